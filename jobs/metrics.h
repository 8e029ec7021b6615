/*
 * What the parts of the metrics kind share: its options, what they select, and the inventory of
 * metrics.
 */
#ifndef MUSTER_JOBS_METRICS_H
#define MUSTER_JOBS_METRICS_H

#include <jansson.h>

#include "aws/cloudwatch.h"
#include "fmt/conf.h"
#include "model/expression.h"
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
	const char *id;		 /* what expressions call it; it gives no series of its own then */
	const char *expression;	 /* instead of metrics */
	const char *name;	 /* of an expression's series; NULL: it has none, others use it */
	struct metrics_math *math; /* of an expression, as it was read */
	const struct conf_node *ns_node, *dimensions_node, *statistics_node, *expression_node,
	    *id_node, *name_node;
};

/* An expression as it was read. */
struct metrics_math {
	struct expression parsed;
	size_t *uses; /* entries it needs, directly or through others, by index; ascending */
	size_t n_uses;
	const struct metrics_from *input; /* the first metric among them; NULL: none */
	bool searches;			  /* or one that it uses does */
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
/* jobs/metrics_math_conf.c: the same for expressions and what they use. */
void metrics_math_check(struct metrics_opts *o, const struct conf_node *at, struct arena *a,
			struct conf_faults *f);
void metrics_definition(const struct job_common *c, const void *opts, struct buf *out);

/* The entries of `from`, or the default one. */
const struct metrics_from *metrics_from_list(const struct metrics_opts *o, size_t *ret_n);
/* Does this entry give series of its metrics? Others are expressions, or what these use. */
bool metrics_from_plain(const struct metrics_from *from);
/* Does an expression among the entries give series of its own? */
bool metrics_asks_expressions(const struct metrics_opts *o);
/* The statistics of an entry, Average by default. */
const struct conf_strings *metrics_from_stats(const struct metrics_from *from);
/* The sets of dimensions an entry asks for; none: every set. */
const struct conf_stringss *metrics_from_sets(const struct metrics_from *from);
bool metrics_same_sets(const struct conf_stringss *a, const struct conf_stringss *b);
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
	int64_t pages; /* of the listing, others' metrics among them; 0: not known */
};
/* All memory comes from the arena. Room for so many more, in one piece: */
int inventory_room(struct inventory *inv, size_t more, struct arena *a, struct err *err);
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

/* A slot a period, for each of several series: NaN: no point, infinite: one that was no number. */
struct slots {
	size_t per_cell; /* of a series */
	size_t cells;
	double *v[]; /* those of a cell, series by series; NULL: they are done */
};

struct wanted {
	const struct cw_metric *metric;
	const char *stat;
	struct series series;
	size_t order; /* which of two that would be one series comes first */
	bool collides;	/* another before it has the same series: its points are rejected */
	struct slots *slots; /* NULL: no room yet */
	size_t place;	     /* which of their series this is */
	enum cw_status status; /* as of the last page that had it */
	bool answered;
	char *words; /* the service's own, of an incomplete answer: status and message; or NULL */
};
/* Which points a request may bring: those of [start, end), in slots counted from base. */
struct wanted_span {
	int64_t base_ms, start_ms, end_ms, period_ms;
};
/* For one series; all memory comes from the arena. NULL without memory. */
struct slots *wanted_slots(size_t per_cell, struct arena *a);
/* Its slots from number `at` on, to the end of their cell. */
double *wanted_values(const struct wanted *w, size_t at);
/* Forget the values of that span. */
void wanted_reset(struct wanted *w, const struct wanted_span *span);
/* A point into its slot; one that is no number, or not on the grid, only marks an empty slot. False:
 * it is of no time of the span. */
bool wanted_take(struct wanted *w, const struct wanted_span *span, int64_t ts_ms, double value);
/* A result's status, and the service's words where it is not complete. */
void wanted_answer(struct wanted *w, const struct cw_result *r, struct arena *a);
bool wanted_incomplete(const struct wanted *w);
/* By series; of those that would be one the first stays, and the others collide. Returns their
 * number. */
size_t wanted_sort(struct wanted **v, size_t n);
/* Whose series they are. */
struct series_owner metrics_owner(const struct job_stream *s);
/* Do `keep` and `drop` leave a series of this name? */
int metrics_keeps(const struct metrics_opts *o, const char *name, bool *ret, struct err *err);

struct metrics_plan {
	struct wanted *v; /* in the order of requests: by metric, then statistic */
	size_t n;
	struct wanted **by_series; /* sorted by series_cmp; equal ones in the order of requests */
	size_t n_collisions;
	struct slots *slots; /* of all series; NULL: no room yet */
};
/* From a sorted inventory, without room for values. What keep and drop leave out is not in it. */
int metrics_plan_make(struct metrics_plan *p, const struct job_stream *s,
		      const struct inventory *inv, struct arena *a, struct err *err);
/* Slots for each series in so many cells; once. Not before there is something to put in, and no longer
 * than until their cell is done: while they wait, 32 streams that catch up would hold 11 MB for it. */
int metrics_plan_room(struct metrics_plan *p, size_t cells, size_t per_cell, struct arena *a,
		      struct err *err);
/* The first so many cells are done. */
void metrics_plan_forget(struct metrics_plan *p, size_t cells);
void metrics_plan_done(struct metrics_plan *p); /* what is not the arena's */

/*
 * jobs/metrics_math.c: expressions. Each entry is asked for in calls of its own, so that one that the
 * service refuses costs itself and nothing else; one whose values depend on more than their own time,
 * a cell at a time.
 */

struct math;
struct math_span {
	int64_t start_ms, end_ms, cell_ms;
	size_t slots;
};
/* What there is to ask for, given what the account has. All memory comes from the arena. */
int math_begin(const struct job_stream *s, const struct inventory *inv,
	       const struct math_span *span, struct arena *a, struct math **ret, struct err *err);
void math_done(struct math *m); /* what is not the arena's; NULL is fine */
/* Something is left to ask for. */
bool math_open(const struct math *m);
/* The present question from its beginning: what an earlier try brought is forgotten. */
void math_again(struct math *m);
int math_call(struct math *m, enum cw_proto proto, const char *token, struct aws_call *call,
	      struct err *err);
/* Read a page; one without a token ends the question. *billed is added to. */
int math_answer(struct math *m, const struct cw_data_page *page, uint64_t *billed,
		struct err *err);
/* Is this a refusal of the expression that was asked for? Then that is given up, and the others go on. */
bool math_refused(struct math *m, const struct err *err);
void math_missing(const struct math *m, char *out, size_t size);
/* What it is going to take, before anything was asked: of what a SEARCH finds, one. */
struct math_forecast {
	size_t calls, series, metrics;
};
void math_foresee(const struct math *m, struct math_forecast *ret);
/* Its series, of expressions that can be had; NULL without memory. What is still open has no values. */
struct wanted **math_series(struct math *m, size_t *ret_n);
/* Points that can be of no series: of another account's, or of no time asked for. Then 0. */
uint64_t math_rejected(struct math *m);
/* Expressions, and for each why it cannot be had, or perhaps not all of it: NULL if it is whole. */
size_t math_count(const struct math *m);
const char *math_flaw(const struct math *m, size_t i);

#endif
