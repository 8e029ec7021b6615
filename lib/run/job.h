/*
 * A job kind: how to ask for a page and how to read one. Nothing else.
 *
 * The runner owns the loop: it calls next() for a request, sends it (credentials, rate limits,
 * retries, deadlines), hands the answer to reply(), until next() says that the pull is complete;
 * then it takes the cells with harvest(), freezes, publishes and commits them. A kind never sees a
 * retry, a sink or a checkpoint, so it cannot forget one. To add a kind: one file in jobs/ that
 * defines `const struct job_kind job_<name>`, and its row in jobs/table.c.
 *
 * A pull is used by one thread at a time; different pulls run at once and share only `const` data.
 */
#ifndef MUSTER_RUN_JOB_H
#define MUSTER_RUN_JOB_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "aws/aws_call.h"
#include "fmt/conf.h"
#include "model/series.h"

/* What every kind of job has in common, as configured. */
struct job_common {
	const char *name;
	int64_t every_ms, delay_ms, hold_ms, revisit_ms, lookback_ms;
	bool once; /* `revisit: once`: a second asking, hold_ms after a cell's end */
	int64_t max_series; /* of a tenant and region, that receivers get in a cell; 0: all */
};

/* The stream that is pulled: one job, one tenant, one region. All strings outlive the pull. */
struct job_stream {
	const struct job_common *common;
	const void *opts; /* the kind's own options, filled by its key table */
	const char *tenant, *account, *region;
	/* The account again, where it is read through a monitoring account that it is linked to:
	 * calls then say whose data they mean. NULL: the credentials are the account's own. */
	const char *linked_account;
	const struct label *labels; /* the tenant's own, sorted by name */
	size_t n_labels;
	int64_t begun_before_ms; /* cells ending at or before it may have been begun by a run that did
				    not end well */
	int64_t queries;	 /* that may run at once, this stream's share; 0: as many as the job likes */
};

struct job_gap {
	int64_t from_ms, to_ms;
	const char *reason; /* lives as long as the pull */
	bool passes;	    /* another day it can be had: a backfill waits for that */
};

/*
 * A permission that a kind's calls take in the tenant's account, and a call that shows whether it
 * is there: one that changes nothing, costs (next to) nothing, and whose refusal for any other
 * reason than permission is as good as success. `seen` is a JSON object that the probes of one
 * stream share, in the order of their table: what one has learnt (the name of a log group, the id of
 * a query) the next may use.
 */
struct job_probe {
	const char *action; /* IAM: logs:StartQuery */
	/* The least "Resource" of the statement that allows it, as JSON; NULL: "*", as for actions
	 * that know no resources. */
	void (*resource)(const struct job_stream *s, struct buf *out);
	/* By what has been seen: is the permission needed at all? NULL: always. */
	bool (*needed)(const json_t *seen);
	/* Fill *call (reset before). */
	int (*ask)(const struct job_stream *s, const json_t *seen, int64_t now_ms,
		   struct aws_call *call, struct err *err);
	/* Look at the answer to this call (*err as the transport filled it). True: ask once more,
	 * for there is another way (a protocol). NULL: nothing to look at. */
	bool (*heard)(const struct job_stream *s, json_t *seen, const struct aws_call *call,
		      const struct http_resp *resp, const struct err *err);
};

/* What a pull will ask for, as far as that is known before its first call: `muster plan`. */
#define JOB_CALLS_MAX 4
struct job_calls {
	const char *operation; /* static */
	uint64_t n;
};
struct job_forecast {
	struct job_calls calls[JOB_CALLS_MAX];
	size_t n_calls;
	/* Beside these, where what there is has to be listed first. */
	struct job_calls list;
	int64_t list_every_ms; /* how long a list stays good */
	int list_now; /* 0: one is there; else how thorough it has to be: an earlier one of this run that was as thorough does */
	uint64_t series, metrics, queries;
	uint64_t samples; /* of a cell, if no point is missing */
	bool known; /* false: nothing is on record, and what was assumed was taken for it */
};

/* A column of a kind's lines in the lake, named by its key, and Hive's type for what it holds. */
struct job_column {
	const char *name, *type;
};
/* A question to ask of such a table, in the SQL of Athena and Trino. What is filled in: {table}, {tenant}, and {day} or
 * {week}, a condition on how old rows are. */
struct job_example {
	const char *what, *sql;
};

struct pull; /* each kind embeds it first in its own struct */

struct job_kind {
	const char *name;	     /* `kind:` in the configuration */
	const char *summary;	     /* one line for help */
	const struct conf_key *keys; /* the kind's own keys beside the common ones */
	size_t opts_size;
	/* Defaults, in ms. */
	int64_t every_ms, delay_ms, revisit_ms;
	/* Service whose endpoint the calls go to (signing name); and another that some go to, NULL:
	 * none. */
	const char *service, *also;
	bool linked; /* it heeds linked_account */
	bool states; /* it tells how things stand: what sinks of states take */
	bool spans;  /* its lines are spans: what sinks of those take */

	/* Cross-checks after reading; faults go to `f`, derived values may be stored in opts
	 * (memory from `a`). */
	void (*check)(const struct job_common *c, void *opts, const struct conf_node *node,
		      struct arena *a, struct conf_faults *f);
	/* Canonical text of everything that decides what the data are (not when or where to): its
	 * hash is the job's definition. */
	void (*definition)(const struct job_common *c, const void *opts, struct buf *out);
	/* The most cells one pull should span for this memo (bounded pages and memory); at least 1.
	 */
	size_t (*span_max)(const struct job_stream *s, const json_t *memo);

	/* How long after its end a cell is looked at again for points that came late; 0: not at all.
	 * NULL: this kind's cells have no series of which that could be told. */
	int64_t (*reach_ms)(const struct job_stream *s);

	/* What the stream spends is counted in its memo: a backfill must not pull its cells in several
	 * places at once. NULL: never. */
	bool (*alone)(const struct job_stream *s);
	/* Begin to pull cells[0..n), contiguous, oldest first. `memo` is what the last pull of this
	 * stream left (may be NULL, from an older version, or damaged: then start without). now_ms
	 * is the run's present. */
	int (*open)(const struct job_stream *s, const json_t *memo, const struct cell *cells,
		    size_t n, int64_t now_ms, struct pull **ret, struct err *err);
	/* The same for cells that are done, which are asked for a second time: its asking is one of its
	 * own, kept in the memo beside the other. NULL: this kind's cells are not (`revisit: once`). */
	int (*open_again)(const struct job_stream *s, const json_t *memo, const struct cell *cells,
			  size_t n, int64_t now_ms, struct pull **ret, struct err *err);
	/* Fill *call (reset before) with the next request: 1; 0: the pull is complete; -1: it
	 * cannot be (ERR_DATA, ...). */
	int (*next)(struct pull *p, struct aws_call *call, struct err *err);
	/* Read the answer to the last request. -1 with ERR_DATA: the answer makes no sense; the
	 * runner asks again once, then defers. A complete answer that refuses (status not 2xx, kind
	 * ERR_REJECTED, ERR_NOTFOUND or ERR_DATA; ERR_AUTH of an optional call) comes here too, with *err as the transport filled
	 * it: 0 when the kind knows another way (a page token ran out, another protocol), and
	 * next() is asked; -1, *err untouched, when it does not. */
	int (*reply)(struct pull *p, const struct http_resp *resp, struct err *err);
	/* What next() will ask for once this answer, a 2xx that reply() is given next, was read: fill *call (reset before),
	 * as next() will, if that is all but certain; else false. It is asked for meanwhile, and what comes is taken if
	 * it was the right guess. Looks at *resp briefly, and changes nothing. NULL: never. */
	bool (*following)(struct pull *p, const struct http_resp *resp, struct aws_call *call);
	/* The last request, one that is sent once, had no answer, or none that makes sense: it may
	 * have been done. 0: the kind will find out, and next() is asked; -1: it cannot. NULL: the
	 * kind has no such requests. */
	int (*lost)(struct pull *p);
	/* What is still missing, in words, when the runner gives up at the cell's deadline: "3
	 * metrics still InternalError: ..." */
	void (*missing)(const struct pull *p, char *out, size_t size);
	/* What is still missing will not be had: make do with what is there, so that harvest() may be
	 * called. False: nothing can be made of it. NULL: never. */
	bool (*make_do)(struct pull *p);
	/* After next() returned 0: fill cells[0..n) (initialised with their bounds) with lines (none if
	 * rows_only) and rows. The first n of the pull, and with each further call those that follow: so that only
	 * a few of a long span need be in memory at once. What they point to may be the pull's, until the next call. */
	int (*harvest)(struct pull *p, struct cell_data *cells, size_t n, struct err *err);
	/* The memo to keep, or NULL for "as it was". The caller owns the result. */
	json_t *(*memo)(struct pull *p);
	/* True when the memo must be durable before the next call: a query that was started and
	 * paid for is collected after a crash, not started again. NULL: never. */
	bool (*memo_urgent)(const struct pull *p);
	/* The pull is given up: fill *call with a call that ends what still runs there (StopQuery):
	 * 1; 0: nothing more. Answers are not read. NULL: nothing to end. */
	int (*leave)(struct pull *p, struct aws_call *call);
	/* Ranges of time whose events cannot be had although the pull is complete, with the reason;
	 * called before harvest. NULL: never any. */
	size_t (*gaps)(const struct pull *p, const struct job_gap **ret);
	/* Bytes scanned on the day of now_ms, by this memo. NULL: the kind scans nothing. */
	uint64_t (*scanned)(const json_t *memo, int64_t now_ms);
	/* Told before each next(): what the tenant's job has scanned on this day in all other regions.
	 * NULL with the above. */
	void (*scanned_elsewhere)(struct pull *p, uint64_t bytes);
	/* What the pull, just opened, will ask for; where no series are known, `assumed` of them. NULL:
	 * nothing can be told. */
	int (*foresee)(const struct pull *p, uint64_t assumed, struct job_forecast *ret,
		       struct err *err);
	/* What is billed: metrics requested, bytes scanned; added up by the runner. */
	void (*billed)(const struct pull *p, uint64_t *metrics, uint64_t *bytes_scanned);
	void (*close)(struct pull *p); /* NULL is fine */

	/* Rows from the lines of a frozen object (cell_lines_each, or cell_lines_load, into d->rows),
	 * and their number. NULL: the lines do not hold them, and the service tells the same of a
	 * time whenever it is asked; a frozen cell is then pulled again. */
	int (*adopt)(const struct job_stream *s, struct cell_data *d, struct err *err);

	/* The lines' columns behind the common ones (ts, tenant, account_id, region, job), and
	 * examples, for `muster help athena`; each ends with a row without a name. NULL: the lines
	 * are nothing that a table could show. */
	const struct job_column *columns;
	const struct job_example *examples;

	/* What `muster check` tries in each tenant's account: ends with a row without an action. */
	const struct job_probe *probes;
	/* After the probes: what this stream saw that is allowed and still likely a mistake, in
	 * words; false: nothing. NULL: never anything. */
	bool (*doubt)(const struct job_stream *s, const json_t *seen, struct buf *out);
	/* What about the job's configuration is allowed but asks for care: say() for each. NULL:
	 * never anything. */
	void (*advise)(const void *opts, void (*say)(void *arg, const char *text), void *arg);
	/* Do two jobs of this kind make series of one name of the same tenant's things? `what`: an
	 * example, in words. False where that is not certain. NULL: never. */
	bool (*shares)(const void *opts, const void *other, struct buf *what);
};

/* NULL-terminated, in jobs/table.c. */
extern const struct job_kind *const job_kinds[];
const struct job_kind *job_kind_find(const char *name);

#endif
