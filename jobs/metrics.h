/*
 * What the parts of the metrics kind share: its options, what they select, and the inventory of
 * metrics.
 */
#ifndef MUSTER_JOBS_METRICS_H
#define MUSTER_JOBS_METRICS_H

#include <jansson.h>

#include "aws/cloudwatch.h"
#include "fmt/conf.h"
#include "model/normalise.h"
#include "run/job.h"

/* One entry of `from`. */
struct metrics_from {
	const char *ns;
	struct conf_strings metrics;	 /* names with '*'; none: the default of the namespace */
	struct conf_stringss dimensions; /* exact sets of names; none: the default of the namespace;
					    ["*"]: every set */
	struct conf_map where;		 /* dimension -> glob */
	struct conf_strings statistics;	 /* none: Average */
	const char *id, *expression, *name;
	const struct conf_node *ns_node, *dimensions_node, *statistics_node, *expression_node;
};

struct metrics_opts {
	int64_t period_ms, discover_every_ms;
	struct conf_array from; /* of struct metrics_from; none: metrics_from_default */
	int naming, memory_unit;
	const char *keep, *drop;
	const struct conf_node *period_node, *from_node;
};

/* jobs/metrics_conf.c */

extern const struct conf_key metrics_keys[];
void metrics_check(const struct job_common *c, void *opts, const struct conf_node *node,
		   struct arena *a, struct conf_faults *f);
void metrics_definition(const struct job_common *c, const void *opts, struct buf *out);

/* The entries of `from`, or the default one. */
const struct metrics_from *metrics_from_list(const struct metrics_opts *o, size_t *ret_n);
/* The statistics of an entry, Average by default. */
const struct conf_strings *metrics_from_stats(const struct metrics_from *from);
/* Metrics of this name, where the rest of the entry fits. */
bool metrics_from_names(const struct metrics_from *from, const char *metric);
bool metrics_from_selects(const struct metrics_from *from, const struct cw_metric *m);
/* Does the job ask for more than one dimension set of this metric? A matter of the configuration
 * alone, so that no series changes its identity when the account gets another set. */
bool metrics_many_sets(const struct metrics_opts *o, const char *ns, const char *metric);

/* jobs/metrics_probe.c: what `muster check` tries, and what it warns of. */

extern const struct job_probe metrics_probes[];
void metrics_advise(const void *opts, void (*say)(void *arg, const char *text), void *arg);
bool metrics_shares(const void *opts, const void *other, struct buf *what);

/* jobs/metrics_inventory.c: the metrics an account has, as ListMetrics told and the memo keeps. */

struct inventory_entry {
	struct cw_metric metric;
	int64_t seen_ms; /* when a listing last had it */
};
struct inventory {
	struct inventory_entry *v; /* sorted by cw_metric_cmp, unique, after inventory_sort */
	size_t n, cap;
	int64_t discovered_ms;
	bool recent; /* only of metrics that were active lately */
};
/* All memory comes from the arena. */
int inventory_add(struct inventory *inv, const struct cw_metric *m, int64_t seen_ms,
		  struct arena *a, struct err *err);
/* Order it; of equal metrics the one seen last stays. */
void inventory_sort(struct inventory *inv);
/* From a memo: false if there is none, it is damaged, of another version or of another definition.
 */
bool inventory_load(struct inventory *inv, const json_t *memo, const char *definition,
		    struct arena *a);
/* NULL without memory. */
json_t *inventory_save(const struct inventory *inv, const char *definition);
/* How many metrics a memo holds, without looking further; 0 if unknown. */
size_t inventory_peek(const json_t *memo);

/* jobs/metrics_plan.c: the series that are asked for. */

struct wanted {
	const struct cw_metric *metric;
	const char *stat;
	struct series series;
	bool collides;	/* another metric before it has the same series: its points are rejected */
	double *values; /* a slot a period; NaN: no point, infinite: one that was no number */
	enum cw_status status; /* as of the last page that had it */
	bool answered;
	char *words; /* the service's own, of an incomplete answer: status and message; or NULL */
};
struct metrics_plan {
	struct wanted *v; /* in the order of requests: by metric, then statistic */
	size_t n;
	struct wanted **by_series; /* sorted by series_cmp; equal ones in the order of requests */
	size_t n_collisions;
};
/* From a sorted inventory; `slots` values for each series, all NaN. What keep and drop leave out is
 * not in it. */
int metrics_plan_make(struct metrics_plan *p, const struct job_stream *s,
		      const struct inventory *inv, size_t slots, struct arena *a, struct err *err);

#endif
