/*
 * What the parts of the insights kind share: its options, the log groups it asks, and its asks: the
 * parts into which the time of the cells is divided, one query each.
 */
#ifndef MUSTER_JOBS_INSIGHTS_H
#define MUSTER_JOBS_INSIGHTS_H

#include <jansson.h>

#include "aws/logs.h"
#include "fmt/conf.h"
#include "model/insights_query.h"
#include "model/row_samples.h"
#include "run/job.h"

#define INSIGHTS_SOURCES_MAX 5 /* prefixes of a SOURCE command (service limit) */

/* From rows to samples. */
struct insights_series {
	const char *time;	     /* column */
	struct conf_map values, labels; /* column to name */
	const struct conf_node *time_node, *values_node, *labels_node;
};

struct insights_opts {
	struct conf_strings log_groups; /* names, with '*' */
	const char *query;
	uint64_t scan_budget; /* bytes a day, 0: none */
	int64_t limit;	      /* the most rows asked for in one query */
	int64_t concurrency, discover_every_ms;
	const struct conf_node *query_node, *groups_node, *series_node;
	struct insights_series series;
	struct insights_query q; /* by insights_check */
	struct row_rules rules;	 /* the same; only with series_node */
};

/* jobs/insights_conf.c */

extern const struct conf_key insights_keys[];
void insights_check(const struct job_common *c, void *opts, const struct conf_node *node,
		    struct arena *a, struct conf_faults *f);
void insights_definition(const struct job_common *c, const void *opts, struct buf *out);

/* jobs/insights_series.c: samples from the lines of a cell, where the job has `series`. */

/* Who makes them while lines are added; *ret NULL: nobody. */
int insights_series_begin(const struct job_stream *s, struct cell_data *d, struct row_samples **ret,
			  struct err *err);
/* The end of the cell; what was refused is said. */
int insights_series_end(const struct job_stream *s, const struct cell_data *d,
			struct row_samples *samples, struct err *err);
/* Count the lines of a frozen cell, and make its samples. */
int insights_adopt(const struct job_stream *s, struct cell_data *d, struct err *err);

/* jobs/insights_groups.c: the log groups there are. All memory comes from the arena. */

struct groups {
	/* First those of an older list that asks still name by their place, then, from `base` on,
	 * those of the present one: sorted by class and name, unique, after groups_end. */
	struct logs_group *v;
	size_t n, cap, base;
	int64_t listed_ms; /* the present one */
};
/* What has to be listed so that all configured groups are seen: prefixes of names, none of which
 * begins with another. */
int groups_prefixes(const struct insights_opts *o, struct arena *a, struct conf_strings *ret,
		    struct err *err);
/* Those of a page that are configured and can be queried. */
int groups_add(struct groups *g, const struct insights_opts *o, const struct logs_groups_page *page,
	       struct arena *a, struct err *err);
/* ERR_NOTFOUND: a group that is configured by its whole name is not there. */
int groups_end(struct groups *g, const struct insights_opts *o, struct err *err);
/* Is it configured, and can it be queried? */
bool groups_wanted(const struct insights_opts *o, const struct logs_group *g);
/* The end of the chunk that begins at i: groups that one query may be of. */
size_t groups_chunk(const struct groups *g, size_t i);
/* May the group hold events of a time before to_ms? */
bool groups_alive(const struct logs_group *g, int64_t to_ms, int64_t now_ms);
/* Before this moment the group has lost its events; INT64_MIN: it keeps all. */
int64_t groups_kept_from(const struct logs_group *g, int64_t now_ms);
/* The prefixes that name exactly these groups, for SOURCE. false: there are none. */
bool groups_sources(const struct groups *g, const struct insights_opts *o,
		    const char *sources[INSIGHTS_SOURCES_MAX], size_t *ret_n, struct arena *a);
json_t *groups_save(const struct groups *g);
bool groups_load(struct groups *g, const json_t *list, struct arena *a);

/* jobs/insights_probe.c: what `muster check` tries. */

extern const struct job_probe insights_probes[];
bool insights_doubt(const struct job_stream *s, const json_t *seen, struct buf *out);

/* jobs/insights_asks.c: what is asked, and what has been. */

enum ask_state {
	ASK_NEW,
	ASK_RUNNING, /* the service works on it */
	ASK_DONE,    /* its rows are here */
	ASK_GONE,    /* others have taken its place */
	ASK_LOST,    /* given up: a gap */
};
struct ask {
	enum ask_state state;
	int64_t from_ms, to_ms; /* whose events are asked for */
	int64_t used_to_ms;	/* rows before this count; what is behind it is asked for again */
	size_t g0, g1;		/* of these groups */
	const char *const *streams;
	size_t n_streams; /* 0: of all */
	bool more;	  /* not the first of several that have the same time and groups */
	bool lists;	  /* asks for the log streams, not for rows */
	bool counted;	  /* its scan is on the bill */
	const char *id;
	unsigned tries; /* how often it came to nothing */
};
struct asks {
	struct ask *v;
	size_t n, cap;
	struct arena *a; /* of all strings; the array itself is on the heap */
};
/* Pointers to asks are good until the next one is added. */
int asks_add(struct asks *s, const struct ask *ask, struct err *err);
/* The same time and groups as `of` from from_ms on, in `pieces` parts of equal length. */
int asks_add_pieces(struct asks *s, const struct ask *of, int64_t from_ms, int64_t pieces,
		    struct err *err);
void asks_done(struct asks *s);
/* An array of those that are not gone. */
json_t *asks_save(const struct asks *s);
/* Add those of a cell, if together they cover all of it for all groups of one list: else false, and
 * none is added. */
bool asks_load(struct asks *s, const json_t *list, int64_t start_ms, int64_t end_ms,
	       const struct groups *g);
bool asks_have(const struct asks *s, int64_t start_ms, int64_t end_ms);
#define INSIGHTS_ARN_MAX 256
/* What stands before the names of another account's groups, which go by their ARNs: appended to out; nothing where the
 * groups are the caller's own. */
int insights_arn(const struct job_stream *s, struct buf *out, struct err *err);

/* Forget the older list of groups if no ask names it any more. */
void asks_trim(struct asks *s, struct groups *g);

#endif
