/*
 * How everything stands, from the configuration and the checkpoints alone: what `muster status`
 * shows as a table, as JSON and as a page.
 *
 * Gathering writes nothing and mends nothing: a damaged checkpoint is shown as one. Nothing here is
 * thread-safe; gathering itself reads many checkpoints at once.
 */
#ifndef MUSTER_RUN_STATUS_H
#define MUSTER_RUN_STATUS_H

#include "run/config.h"
#include "run/options.h"
#include "state/checkpoint.h"
#include "store/store.h"

/* What became of a stream last, the worst first. */
enum status_result {
	STATUS_DAMAGED,	   /* its checkpoint cannot be used as it is */
	STATUS_FAILING,	   /* the last run, or more, ended with it incomplete */
	STATUS_AHEAD,	   /* done beyond the present: nothing is due until that has come */
	STATUS_NEVER,	   /* no run has begun it */
	STATUS_UNFINISHED, /* begun, but no run has come to its end yet */
	STATUS_RUNNING,	   /* a run is at it */
	STATUS_OK,
	STATUS_LEFT, /* not in the configuration (any more) */
	STATUS_RESULTS,
};

/* One tenant and job. */
struct status_entry {
	const char *tenant, *name, *account;
	const struct tenant *owner; /* NULL: not in the configuration */
	const struct job *job;	    /* NULL: likewise */
	bool stored, prev_stored;
	size_t set_aside;  /* damaged documents that were kept */
	struct ckpt *ckpt; /* NULL: there is none that can be used; without memos and marks */
	bool from_prev;	   /* the newest cannot be used; this is the one before */
	struct err why;	   /* what is wrong with the newest; ERR_NONE: nothing */
};

struct status_stream {
	const struct status_entry *entry;
	const char *region;
	const struct ckpt_stream *s; /* NULL: never begun, or not readable */
	enum status_result result;
	bool configured, held;	      /* held: a run has the lease */
	int64_t watermark_ms, lag_ms; /* only with s */
	int64_t gap_ms;
	double dollars; /* estimated, since the beginning */
};

struct status_totals {
	size_t tenants, streams, of[STATUS_RESULTS], gaps;
	int64_t gap_ms;
	struct ckpt_counters counters;
	double dollars;
	const struct status_stream *furthest; /* the one with the greatest lag; NULL: none */
};

struct status {
	const struct config *config;
	int64_t now_ms;	 /* lags are counted to here */
	int64_t wall_ms; /* leases are judged at */
	struct status_entry *entries;
	size_t n_entries;
	struct status_stream *streams; /* by trouble: result, then lag, then name */
	size_t n_streams;
	struct status_totals totals;
	struct arena arena;
};

/*
 * Reads the state. state NULL: there is none yet. select NULL: everything, else what its --tenant,
 * --job and --shard take in. ERR_USAGE: a --tenant or --job that nothing answers to; other kinds:
 * the state store cannot be read. A checkpoint that cannot be read is no error.
 */
int status_gather(const struct config *config, struct store *state, const struct options *select,
		  int64_t now_ms, int64_t wall_ms, struct status **ret, struct err *err);
void status_free(struct status *st);

/* Configured and further behind than max_lag_ms, or not known to be anywhere. */
bool status_lags(const struct status_stream *s, int64_t max_lag_ms);
/* "ok", "failing", "never ran", ... */
const char *status_result_word(enum status_result r);
/* The same for one stream: what is damaged and what only cannot be read are told apart. */
const char *status_word(const struct status_stream *s);
/* The trouble in words: the last error, or what is wrong with the checkpoint; "" for none. */
const char *status_trouble(const struct status_stream *s);
/* What to do about it, one sentence; "" for nothing. Static storage. */
const char *status_advice(const struct status_stream *s);
/* The sinks of a stream are not all at the same place. */
bool status_cursors_differ(const struct status_stream *s);

/* At most STATUS_COLUMNS wide. */
#define STATUS_COLUMNS 100
void status_table(const struct status *st, struct buf *out);
/* max_lag_ms -1: not asked for. */
int status_json(const struct status *st, int64_t max_lag_ms, struct buf *out, struct err *err);

struct status_runs;
/* One page that needs nothing else: no script, no style or font from elsewhere. */
int status_html(const struct status *st, const struct status_runs *runs, struct buf *out,
		struct err *err);

/* "3h5m", "2d4h", "45s": at most two units, the smaller cut off. */
void status_duration(int64_t ms, char out[48]);
/* "999", "12.3k", "4.5M" */
void status_count(uint64_t n, char out[16]);

#endif
