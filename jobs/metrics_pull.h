/*
 * The state of a pull of the metrics kind, and what the files that work on it share: jobs/metrics.c, which asks and reads
 * the answers, metrics_open.c, metrics_harvest.c and metrics_foresee.c; nobody else includes it. A pull is one thread's at
 * a time.
 */
#ifndef MUSTER_JOBS_METRICS_PULL_H
#define MUSTER_JOBS_METRICS_PULL_H

#include "aws/paging.h"
#include "base/hash.h"
#include "jobs/metrics.h"

#define PULL_ARENA_MAX ((size_t)1 << 30)

enum phase { LIST, DATA, MATH, DONE };

struct pull {
	const struct job_stream *s;
	const struct metrics_opts *o;
	int64_t start_ms, end_ms, now_ms; /* what is asked for: the span without cells too old */
	size_t slots;			  /* points a series may have in it */
	char definition[SHA256_HEX_LEN + 1];
	struct arena mem, page;
	enum cw_proto proto;
	bool spoken; /* the endpoint has answered in this protocol */

	enum phase phase;
	struct paging paging; /* in all phases */
	unsigned restarts;

	/* LIST */
	bool recent, listed;
	int64_t list_pages;
	const char **namespaces;
	size_t n_namespaces, namespace_at;
	struct inventory inv, fresh;

	/* DATA */
	struct metrics_plan plan;
	size_t *todo; /* indices into plan.v */
	size_t n_todo, todo_at;
	unsigned round;
	char words[256]; /* the last message of a whole call */
	uint64_t n_outside, billed;
	char gap_reason[96]; /* of what is too old */

	struct math *math;
	struct wanted **rows; /* all series, as wanted_sort has them; NULL: not yet */
	size_t n_rows;
	struct job_gap *gaps; /* one of what is too old, and one an expression */
	size_t n_gaps;
};

/* jobs/metrics.c */

/* The list is complete: series are made of it, and asked for. Where there are none, expressions are. */
int metrics_data_begin(struct pull *p, struct err *err);
/* The expressions there are to ask for, as p's inventory is now; memory as math_begin. */
int metrics_math_new(const struct pull *p, struct arena *a, struct math **ret, struct err *err);
/* As `close` of a job kind. */
void metrics_close(struct pull *p);

/* jobs/metrics_open.c: as `open` of a job kind. */
int metrics_open(const struct job_stream *s, const json_t *memo, const struct cell *cells, size_t n,
		 int64_t now_ms, struct pull **ret, struct err *err);

/* jobs/metrics_harvest.c: as `harvest`, `adopt`, `columns` and `examples` of a job kind. */
int metrics_harvest(struct pull *p, struct cell_data *cells, size_t n, struct err *err);
int metrics_adopt(const struct job_stream *s, struct cell_data *d, struct err *err);
extern const struct job_column metrics_columns[];
extern const struct job_example metrics_examples[];

/* jobs/metrics_foresee.c: as `foresee`, `span_max` and `reach_ms` of a job kind. */
int metrics_foresee(const struct pull *p, uint64_t assumed, struct job_forecast *f, struct err *err);
size_t metrics_span_max(const struct job_stream *s, const json_t *memo);
int64_t metrics_reach_ms(const struct job_stream *s);

#endif
