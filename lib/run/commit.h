/*
 * The committer: one for each tenant and job, the only place that moves its checkpoint.
 *
 * Opening it takes the lease and writes it down, so that a later run knows which cells this one may
 * have begun. Workers report what became of each cell; the checkpoint is written at most every few
 * seconds (commit_tick) and when it is closed, by compare-and-swap. A committer that finds another
 * generation in the store is `lost`: it writes nothing any more, and its streams stop.
 *
 * What that costs on S3: a run with cells to do writes three times for a tenant and job (the
 * checkpoint before, the lease, the end), a run with nothing to do not at all, and each cell that
 * holds anything is one more. So 500 tenants with one job, five-minute cells and a run each five
 * minutes make 500 * 288 * 3 = 432,000 PUTs of state a day and 144,000 of cells (at $0.005 for 1,000
 * some $2.90); running each minute makes no more. With one run an hour it is 36,000 and 144,000.
 *
 * All functions are thread-safe.
 */
#ifndef MUSTER_RUN_COMMIT_H
#define MUSTER_RUN_COMMIT_H

#include <pthread.h>
#include <stdbool.h>

#include "base/clock.h"
#include "run/plan.h"
#include "sink/sink.h"
#include "state/checkpoint.h"
#include "store/store.h"

#define COMMIT_EVERY_MS 5000  /* between two writes of one checkpoint */
#define LEASE_MS	60000 /* without a renewal, a lease is over */
#define LEASE_RENEW_MS	20000

struct commit_env {
	struct store *state;
	const char *base; /* "" or "backfills/<name>/" */
	struct clock *clock;
	/* The services' clock minus this machine's: leases are told in the time that all machines
	 * share. */
	int64_t clock_offset_ms;
	const char *run_id, *host;
	bool dry_run; /* load only, write nothing */
};

struct commit {
	const struct commit_env *env;
	const char *tenant, *job;
	struct store_lock *process_lock;
	int64_t begun_before_ms; /* cells ending at or before this may have been begun by an earlier
				    run */
	struct {
		pthread_mutex_t mu;
		struct ckpt *ckpt;
		bool dirty, lost;
		bool idle; /* no stream has anything to do: no lease is taken */
		bool first_unsaved; /* a new stream's first cell is not written down yet */
		int64_t saved_mono_ms;
	} locked;
};

enum commit_opened {
	COMMIT_OPENED,
	COMMIT_HELD,   /* by another run */
	COMMIT_FAILED, /* this checkpoint cannot be used */
	COMMIT_BROKEN, /* the store cannot be written: no checkpoint can */
};

/* A stream that may begin. */
struct commit_stream {
	const struct plan *plan;
	const char *region, *definition;
};
/* `job` is the checkpoint's name: the job's, or that of a slice of it. `due_end_ms`: end of the newest cell this run may begin. The streams are those of the run: where
 * none of them has anything to do, nothing is written; n 0: they are not known yet. On COMMIT_HELD err
 * says who holds it. */
enum commit_opened commit_open(const struct commit_env *env, const char *tenant, const char *job,
			       const char *account, int64_t due_end_ms,
			       const struct commit_stream *streams, size_t n, struct commit **ret,
			       struct err *err);
/* Gives up the lease, writes what is left, frees. err may be filled even if everything else went
 * well. ERR_CONFLICT: it was lost before. */
int commit_close(struct commit *c, struct err *err);

/* Whether the checkpoint knows the stream; *lost: it may have, before it was lost. */
bool commit_knows(struct commit *c, const char *region, bool *lost);
/* Where `every` is not what it was when the stream began: its old value, and up to where it still
 * holds (see ckpt_regrid). *old_every 0: there is nothing to finish. */
int commit_regrid(struct commit *c, const struct plan *p, const char *region, int64_t *old_every,
		  int64_t *until, struct err *err);
/* The stream's state, made on first use, from first_ms on (which is then written down before
 * anything of it is frozen) with a cursor for each sink; cells beyond max_catchup are recorded as gaps. `is_new`:
 * it did not exist. */
int commit_stream_begin(struct commit *c, const struct plan *p, const char *region,
			int64_t first_ms, const char *definition, bool *is_new, struct err *err);

/* The same on a checkpoint that nobody else has, for who only looks at what a run would do. */
int commit_regrid_in(const struct plan *p, struct ckpt_stream *s, int64_t *old_every,
		     int64_t *until, struct err *err);
int commit_begin_in(struct ckpt *ckpt, const struct plan *p, const char *region, int64_t first_ms,
		    const char *definition, bool *is_new, struct err *err);

/* plan_next, plan_may_publish, plan_left_over on the present state. */
bool commit_next(struct commit *c, const struct plan *p, const char *region, enum plan_pass pass,
		 int64_t from_ms, size_t max_cells, struct plan_span *ret);
bool commit_has_rest(struct commit *c, const struct plan *p, const char *region);
bool commit_may_publish(struct commit *c, const struct plan *p, const char *region, size_t k,
			struct cell cell);
bool commit_left_over(struct commit *c, const struct plan *p, const char *region, struct cell cell);
/* plan_window_left on the present state. */
size_t commit_window_left(struct commit *c, const struct plan *p, const char *region);
bool commit_sink_done(struct commit *c, const char *region, const char *sink, struct cell cell);
/* Done, and not because it was given up or skipped. */
bool commit_sink_has(struct commit *c, const char *region, const char *sink, struct cell cell);
bool commit_lost(struct commit *c);

/* What was pulled for one cell, once it is frozen (or needs no freezing). */
int commit_cell_frozen(struct commit *c, const char *region, const struct cell_data *d,
		       struct err *err);
/* One sink has a cell (all of it accounted for). */
int commit_cell_sent(struct commit *c, const char *region, const char *sink, struct cell cell,
		     const struct published *r, int64_t now_ms, struct err *err);
/* A sink may have a part of a cell from now on: remembered for this run and the next ones. */
void commit_cell_tried(struct commit *c, const char *region, const char *sink, struct cell cell);
/* May a sink have a part of a cell that it is not known to have in full, from an earlier run or an
 * earlier try in this one? */
bool commit_maybe_sent(struct commit *c, const char *region, const char *sink, struct cell cell);
/* What AWS bills for a pull, whatever came of it. */
void commit_billed(struct commit *c, const char *region, uint64_t metrics, uint64_t bytes_scanned);
/* Calls to AWS that were made for the stream; those for the checkpoint itself are not among them. */
void commit_calls(struct commit *c, const char *region, const struct tally *calls);
/* The stream's memo, NULL if none: a reference that the caller gives back with json_decref. It is read by others too, and
 * never changed: commit_memo_set() puts another in its place. */
json_t *commit_memo(struct commit *c, const char *region);
/* Takes the reference. */
void commit_memo_set(struct commit *c, const char *region, json_t *memo);
/* The same for the marks of the points that are known (model/seen.h). */
json_t *commit_seen(struct commit *c, const char *region);
void commit_seen_set(struct commit *c, const char *region, json_t *seen);
/* A late object of a cell is frozen (or needs no freezing), and what it holds is counted. */
int commit_late_frozen(struct commit *c, const char *region, const struct cell_data *late,
		       uint64_t n_late, uint64_t n_revised, struct err *err);
/* What became of one at a sink that has its cell. */
void commit_late_sent(struct commit *c, const char *region, const char *sink,
		      const struct published *r);
/* Start of the stream's first cell; end of the newest cell that a sink has. 0: there is none. */
int64_t commit_first_ms(struct commit *c, const char *region);
int64_t commit_sink_newest(struct commit *c, const char *region, const char *sink);
/* The sum of what fn finds in the memos of all streams but this one. */
uint64_t commit_memos(struct commit *c, const char *except_region,
		      uint64_t (*fn)(const json_t *memo, int64_t now_ms), int64_t now_ms);
/* Cells of the span are done but for a range that nobody can have, or that one sink does not get ("": all): on record. */
int commit_gap(struct commit *c, const char *region, const char *sink, struct cell range, const char *reason,
	       int64_t now_ms, struct err *err);
/* Write now: what comes next must find it after a crash. */
int commit_flush(struct commit *c, struct err *err);
/* In how many runs in a row the stream was left incomplete, the last time for an error with these
 * words. */
uint64_t commit_failures(struct commit *c, const char *region, const char *words);
/* The end of a stream's turn in this run: NULL error text for success. */
int commit_stream_end(struct commit *c, const char *region, const char *error, int64_t now_ms,
		      struct err *err);

/* How a stream stands: since its beginning, not only in this run. */
struct commit_standing {
	int64_t watermark_ms;
	size_t gaps;
	int64_t gap_ms; /* of all gaps, for all sinks */
	struct ckpt_counters counters;
	struct tally calls; /* the caller frees it */
};
void commit_standing(struct commit *c, const struct plan *p, const char *region,
		     struct commit_standing *ret);
/* What a sink has taken of the stream: samples (lines, for a lake) and bytes; and the samples that it did not get for
 * being of too many series. */
struct sink_totals {
	uint64_t acked, over_limit, bytes;
};
struct sink_totals commit_sink_totals(struct commit *c, const char *region, const char *sink);

/* Write if something is waiting and the last write is old enough, or the lease needs renewing.
 * ERR_CONFLICT from the moment it is lost. */
int commit_tick(struct commit *c, struct err *err);

#endif
