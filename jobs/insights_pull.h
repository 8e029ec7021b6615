/*
 * The state of a pull of the insights kind, and what the files that work on it share: jobs/insights.c, which asks and
 * reads the answers, and those named below; nobody else includes it. A pull is one thread's at a time.
 */
#ifndef MUSTER_JOBS_INSIGHTS_PULL_H
#define MUSTER_JOBS_INSIGHTS_PULL_H

#include "aws/paging.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/timefmt.h"
#include "jobs/insights.h"
#include "model/row_runs.h"

#define POLL_FIRST_MS 500 /* a query takes a second or so */

enum phase { LIST, ASK, DONE };
enum doing { LISTING, LOOKING, STARTING, POLLING };

struct stream_count {
	const char *name;
	uint64_t n;
};

/* The result that is being read, over all its pages. */
struct reading {
	size_t first_row; /* of p->rows */
	size_t first_run; /* of p->runs */
	uint64_t seen;
	int64_t last_ms;
	bool ordered; /* by time so far */
	struct stream_count *streams;
	size_t n_streams, cap_streams;
};

struct pull {
	const struct job_stream *s;
	const struct insights_opts *o;
	int64_t start_ms, end_ms, now_ms;
	char definition[SHA256_HEX_LEN + 1];
	char day[TIME_TEXT_MAX];
	const char *common;	/* of every line */
	const char *arn;	/* of a linked account's groups, up to their names; or NULL */
	struct arena mem, page; /* of the pull; of one small answer */
	enum phase phase;
	enum doing doing; /* what the last request was */
	int64_t pause_ms; /* the service asked for: before the next request */

	struct paging paging; /* of lists and results */
	unsigned restarts;

	/* LIST */
	struct conf_strings prefixes;
	size_t prefix_at;
	struct groups groups;

	/* ASK */
	const char *sources[INSIGHTS_SOURCES_MAX];
	size_t n_sources;
	struct asks asks;
	size_t at;	  /* the ask that the last request was about */
	bool in_pages;	  /* its result has more pages */
	bool unready;	  /* the last answer brought nothing: the query runs, or runs again */
	size_t poll_at;	  /* the present round of polling goes on here */
	int64_t poll_ms;  /* pause before the next round, or before a page that was not ready */
	bool round_begun; /* something was polled in this round */
	bool starved;	  /* no slot was free for the last start */
	long limit;	  /* rows asked for */
	long items;	  /* rows a page, 0: the service's own */
	size_t page_size; /* bytes of the last one that had rows */
	struct reading rd;
	struct buf text, line;
	size_t leave_at;

	/* Queries that may have been started; jobs/insights_lost.c. */
	struct map started; /* the ids, by SHA-256 of the texts */
	bool looking;	    /* the service is being asked for them */
	bool lost;	    /* the answer to a StartQuery, and not looked for yet */
	unsigned losses;    /* one after another */

	/* Rows, their lines in `lines`; when these are many, all but the last ones are in runs. */
	struct insights_row *rows;
	size_t n_rows, cap_rows;
	struct arena lines;
	struct row_runs runs;
	struct row_merge *merge; /* from the first harvest on */
	uint64_t n_outside;
	struct job_gap *gaps;
	size_t n_gaps, cap_gaps;

	/* The memo. */
	bool urgent, changed;
	bool again;	/* the second asking of a cell */
	bool collected; /* some query was started by an earlier run */
	json_t *other;	/* of the memo: the second asking's part in a first one, all of it in a second;
			   NULL: none */
	uint64_t rows_before; /* of the last cell before this span, */
	int64_t ms_before;    /* and its length */
	uint64_t spent;	      /* bytes of this day, */
	uint64_t elsewhere;   /* and of the other regions */
	uint64_t billed;
};

/* jobs/insights_read.c: what becomes of an answer of GetQueryResults. */

/* Begin to read a result; what was read before is no longer in question. */
void reading_begin(struct pull *p);
/* Forget the rows of the present result that are not older than from_ms. */
void reading_drop(struct pull *p, int64_t from_ms);
/* One page of the result of p->asks.v[p->at]; at its end the ask is done, or replaced. */
int reading_page(struct pull *p, struct sv body, struct err *err);
/* A page that is larger than can be received. */
int reading_too_large(struct pull *p, struct err *err);
/* The ask came to nothing, and is asked again: in two halves if that may help. */
int reading_again(struct pull *p, bool halve, const char *why, struct err *err);
/* `reason` lives as long as the pull. */
int pull_gap(struct pull *p, int64_t from_ms, int64_t to_ms, const char *reason, struct err *err);

/* jobs/insights_lost.c */

/* Add to the text what makes it this ask's own. */
int lost_mark(const struct pull *p, const struct ask *a, struct buf *text, struct err *err);
/* Ask for what was started, from the beginning. just_now: not before it can be seen. */
void lost_look(struct pull *p, bool just_now);
int lost_next(struct pull *p, struct aws_call *call, struct err *err);
int lost_reply(struct pull *p, struct sv body, struct err *err);
int lost_refused(struct pull *p, const struct err *err);
/* As `lost` of a job kind. */
int lost_answer(struct pull *p);
/* The id of a query with this text that was started; NULL: none is known. */
const char *lost_found(const struct pull *p, const char *text);
void lost_done(struct pull *p);

/* jobs/insights_open.c: as `open` and `open_again` of a job kind. */
int insights_open(const struct job_stream *s, const json_t *memo, const struct cell *cells, size_t n,
		  int64_t now_ms, struct pull **ret, struct err *err);
int insights_open_again(const struct job_stream *s, const json_t *memo, const struct cell *cells, size_t n,
			int64_t now_ms, struct pull **ret, struct err *err);

/* jobs/insights_plan.c */

/* Asks for all cells that the memo has none of; the groups are known. ERR_REJECTED: the query cannot be divided, and there
 * are too many groups for it. */
int insights_plan(struct pull *p, struct err *err);
/* Events of a part of this length, by the density of the cell before; 0: not known. */
double insights_expected_rows(const struct pull *p, int64_t ms);

/* jobs/insights_memo.c */

/* What an earlier pull left in the memo. False: the groups have to be listed. */
bool insights_memo_load(struct pull *p, const json_t *memo);
/* As `memo`, `scanned` and `span_max` of a job kind. */
json_t *insights_memo(struct pull *p);
uint64_t insights_scanned(const json_t *memo, int64_t now_ms);
size_t insights_span_max(const struct job_stream *s, const json_t *memo);

/* jobs/insights_harvest.c: as `harvest`, `columns` and `examples` of a job kind. */
int insights_harvest(struct pull *p, struct cell_data *cells, size_t n, struct err *err);
extern const struct job_column insights_columns[];
extern const struct job_example insights_examples[];

/* jobs/insights.c */

/* As `close` of a job kind. */
void insights_close(struct pull *p);

#endif
