/*
 * Names: from a CloudWatch metric to a series.
 *
 * Five namings share one set of labels: tenant, account_id, region, the tenant's own labels, the
 * dimensions, and dimension_set where the job asks for more than one dimension set of the metric.
 * What differs is the metric's name and which further labels stand beside (or, for yace, instead
 * of) the dimensions' own.
 *
 * Snake case: letters become lower-case, '%' the word "percent", anything that is no ASCII letter
 * or digit separates words. A word also begins at a capital that follows a lower-case letter, or
 * that follows a capital or a digit and has a lower-case letter behind it: CPUUtilization
 * cpu_utilization, HTTPCode_Target_2XX_Count http_code_target_2xx_count, p99.9 p99_9. What would be
 * empty becomes "x"; a name that would begin with a digit gets '_' in front.
 *
 * Nothing that comes from the tenant's data replaces a label of ours: a dimension whose label name
 * is taken (tenant, account_id, region, dimension_set, one of the tenant's labels, or another
 * dimension) gets "dim_" in front until it is free. Labels with empty values are left out.
 */
#ifndef MUSTER_MODEL_NORMALISE_H
#define MUSTER_MODEL_NORMALISE_H

#include "model/series.h"

enum naming { NAMING_MUSTER, NAMING_ADOT, NAMING_ADOT_UNITS, NAMING_TENANT_PREFIX, NAMING_YACE };
enum memory_unit { MEMORY_MIB, MEMORY_MEGABYTES };
/* Their words in the order of the enums, NULL-terminated (CONF_ENUM). */
extern const char *const naming_words[];
extern const char *const memory_unit_words[];

struct naming_rules {
	enum naming naming;
	enum memory_unit memory_unit; /* only for adot-units */
};

/* Whose series it is. */
struct series_owner {
	const char *tenant, *account, *region;
	const char *partition;	    /* aws, aws-cn, ...: for the ARNs of yace's `name` */
	const struct label *labels; /* the tenant's own */
	size_t n_labels;
	/* One of its series that was made before, in the same arena: words that both have are kept once. NULL: none. */
	const struct series *like;
};

struct metric_source {
	const char *ns, *metric, *stat;
	const struct label *dims; /* name as CloudWatch has it, sorted */
	size_t n_dims;
	bool many_sets; /* the job asks for more than one dimension set of it */
};

/* What *ret points to lives in the arena, is constant, or is a string of the owner's or the source's: these have to
 * live as long. Thousands of series are in memory at once, and most of their labels are all the same. */
int normalise_series(const struct naming_rules *r, const struct series_owner *o,
		     const struct metric_source *m, int64_t period_ms, struct arena *a,
		     struct series *ret, struct err *err);

/* Only the labels: ours, and `more`, of which one whose name is taken gets "dim_" in front like a dimension. */
int normalise_labels(const struct series_owner *o, const struct label *more, size_t n_more,
		     struct arena *a, struct series *s, struct err *err);
/* Never given to anything that comes from the tenant's data. */
bool label_is_reserved(const char *name);

/* A series with a name of its own (an expression's): only a tenant's prefix is put in front where the
 * naming has one. Of the source, namespace and metric decide the labels alone; unit and statistic
 * stay unknown. */
int normalise_named(const struct naming_rules *r, const struct series_owner *o, const char *name,
		    const struct metric_source *m, int64_t period_ms, struct arena *a,
		    struct series *ret, struct err *err);

/* The names of the eight metrics of ECS/ContainerInsights that have names of their own. */
#define ECS_INSIGHTS_NAMESPACE "ECS/ContainerInsights"
#define ECS_EIGHT	       8
extern const char *const ecs_eight[ECS_EIGHT];

/* The pieces, for tests and for other job kinds. */
void snake_case(struct buf *out, struct sv s);
/* YACE's: words also separate after digits, never inside a run of capitals; separators are kept one
 * by one. */
void yace_case(struct buf *out, struct sv s);
/* A dimension's label name: cluster, service, task_family, task, container, else its snake case. */
void dimension_label(struct buf *out, struct sv dimension);

#endif
