/*
 * The checkpoint of one tenant and job: what has been done, so that any later run carries on
 * exactly there.
 *
 * For each stream (region) and each sink it holds a cursor: every cell that ends at or before it is
 * done for that sink. Cells done beyond the cursor are kept as ranges. Where cells will never be
 * done there is a gap with its reason. What operators changed is in its history. The document is JSON, human-readable, with version,
 * generation, nonce and a checksum; `<job>.prev.json` is the one before the last run. A damaged
 * document is set aside as
 * `<job>.damaged-<sha256/16>.json` and the previous one is used. What an operator removed is kept
 * as `<job>.forgotten-<time>.json`. Only the text that ckpt_dump
 * writes is taken: any other byte is damage.
 *
 * struct ckpt is not thread-safe: its owner (lib/run/commit) locks. Times are milliseconds since
 * the epoch.
 */
#ifndef MUSTER_STATE_CHECKPOINT_H
#define MUSTER_STATE_CHECKPOINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/tally.h"
#include "model/cell.h"
#include "store/store.h"

/* 2: marks of late points, the history, what was billed. 3: the calls that were made. All of these
 * may be missing, so documents of versions 1 and 2 are read alike. */
#define CKPT_VERSION	 3
#define CKPT_MAX	 (32u << 20)
#define CKPT_TRIED	 4 /* saves without a clear answer, one after the other, that are remembered */
#define CKPT_HISTORY_MAX 32  /* the oldest goes when another comes */
#define CKPT_REASON_MAX	 500 /* bytes of an operator's reason */

struct ckpt_range {
	int64_t start_ms, end_ms;
};
struct ckpt_ranges { /* sorted, disjoint, not touching */
	struct ckpt_range *v;
	size_t n;
};
struct ckpt_gap {
	int64_t start_ms, end_ms;
	char *sink;   /* "": all sinks */
	char *reason; /* "max_catchup", "too old for the receiver", ... */
	int64_t recorded_ms;
};
struct ckpt_counters {
	/* Per stream, since the beginning: they only grow. */
	uint64_t cells, empty_cells, rows, samples_frozen, rejected_in;
	uint64_t failed_runs; /* runs that ended with this stream incomplete */
	/* Points that came after their cell was frozen, and values that changed after it. */
	uint64_t late, revised;
	uint64_t metrics_requested, bytes_scanned; /* what is billed */
};
struct ckpt_sink {
	char *name;
	int64_t cursor_ms;
	struct ckpt_ranges beyond;
	int64_t tried_ms; /* not stored: end of the newest cell that it may have a part of */
	uint64_t acked, already, too_old, rejected, bytes;
	uint64_t over_limit; /* samples of series beyond max_series, which it did not get */
};
struct ckpt_stream {
	char *region;
	int64_t first_ms; /* start of its first cell */
	int64_t every_ms;
	char *definition; /* hash of the job's definition when it was last used */
	struct ckpt_sink *sinks;
	size_t n_sinks;
	struct ckpt_gap *gaps;
	size_t n_gaps;
	struct ckpt_counters counters;
	struct tally calls; /* to AWS for this stream, since the beginning */
	json_t *memo; /* the job kind's own (inventory); NULL: none */
	json_t *seen; /* marks of the points known in recent cells (model/seen.h); NULL: none */
	int64_t last_success_ms;
	uint64_t failures; /* runs in a row that ended with this stream incomplete */
	char *last_error;  /* "" or NULL: none */
};
/* What an operator changed, and why. */
struct ckpt_event {
	int64_t time_ms;
	char *who; /* user@host */
	char *what, *reason;
};
struct ckpt_lease {
	char *owner; /* run id; NULL: free */
	char *host;
	int64_t since_ms, until_ms; /* machine's wall clock */
	int64_t begun_through_ms;   /* cells ending at or before this may have been begun by a run
				       that did not end well */
};
struct ckpt {
	char *tenant, *job, *account;
	uint64_t generation;
	char nonce[33];
	struct ckpt_lease lease;
	struct ckpt_stream *streams; /* sorted by region */
	size_t n_streams;
	struct ckpt_event *history; /* oldest first */
	size_t n_history;
	/* How it was loaded. */
	char etag[STORE_ETAG_MAX]; /* "" if it did not exist */
	bool recovered;	  /* the newest one was damaged or missing, this is the previous one */
	bool lost;	  /* recovered, and the previous one could not be used either: this is empty */
	char aside[256];  /* where the damaged one went, "" if it was missing */
	char damage[320]; /* what was wrong with it */
	char tried[CKPT_TRIED][33];	  /* nonces of saves whose outcome is not known, the newest first */
};

/* Key of the document in the state store: tenants/<tenant>/<job>.json, or below `base`
 * ("backfills/<name>/"). */
void ckpt_key(struct buf *out, const char *base, const char *tenant, const char *job,
	      const char *suffix);

/* Load, or an empty one (generation 0) if there is none. A document of a newer version is ERR_LOCAL
 * and left alone. A damaged one (checksum, JSON, types, ranges, another tenant's) is set aside and
 * prev is used; so is prev when the document itself is missing (who wants to forget one removes
 * prev first). Both damaged, or no prev to a damaged one: an empty one that is `lost`, with what
 * was damaged set aside; its owner goes on from what is frozen, never from nothing in silence. */
int ckpt_load(struct store *s, const char *base, const char *tenant, const char *job,
	      struct ckpt **ret, struct err *err);
void ckpt_free(struct ckpt *c);
static inline void
ckpt_freep(struct ckpt **c)
{
	ckpt_free(*c);
}
/* Reads the stored document (suffix "", or ".prev" for the one before) and judges it; touches
 * nothing, damaged or not. ERR_NOTFOUND: there is none; ERR_DATA: damaged; ERR_LOCAL: of a newer
 * version. The text goes to *text where that is not NULL, whatever it is. */
int ckpt_peek(struct store *s, const char *base, const char *tenant, const char *job,
	      const char *suffix, struct buf *text, struct ckpt **ret, struct err *err);
/* May a job have this name? Not `x.prev`, whose checkpoint would stand where the one before of job
 * `x` does, nor one that reads as a copy set aside: *.damaged-*, *.forgotten-*. */
bool ckpt_job_valid(const char *job);
/* Which of its documents a key is. */
enum ckpt_part { CKPT_NEWEST, CKPT_PREV, CKPT_DAMAGED_COPY, CKPT_FORGOTTEN_COPY };
/* Calls fn for everything that is stored below `base` of any tenant and job, in the order of keys;
 * fn != 0 ends it. Others' files are passed over. */
int ckpt_list(struct store *s, const char *base,
	      int (*fn)(const char *tenant, const char *job, enum ckpt_part part, void *arg),
	      void *arg, struct err *err);
/* Compare-and-swap: generation + 1, new nonce, If-Match the etag it was loaded with (create if it
 * was new). When the answer is ERR_CONFLICT or unknown (ERR_TRANSIENT; ERR_LOCAL, when this machine may have failed
 * after its bytes had left) the stored one is read back: our nonce means success. ERR_CONFLICT: another run moved it; nothing was changed in *c.
 * One that would be larger than CKPT_MAX is written without its largest memos and marks; ERR_DATA: nothing else is left. */
int ckpt_save(struct store *s, const char *base, struct ckpt *c, struct err *err);
/* Copy the stored document to prev (once, at the start of a run; nothing to do for a new one, or
 * where prev was what could be used). */
int ckpt_keep_prev(struct store *s, const char *base, const struct ckpt *c, struct err *err);
/* The document's text, for `state show` and tests. */
int ckpt_dump(const struct ckpt *c, struct buf *out, struct err *err);
/* ERR_DATA: damaged, or another tenant's or job's. ERR_LOCAL: of a newer version, or no memory. Any
 * version's text has format, version and checksum. */
int ckpt_parse(struct sv text, const char *tenant, const char *job, struct ckpt **ret,
	       struct err *err);
/* An empty one, as of a tenant and job that never ran. */
struct ckpt *ckpt_new(const char *tenant, const char *job);
/* What must hold of every checkpoint, before it is written and after it was read (ERR_DATA): names,
 * order, cursors on the grid of `every` and not before the first cell, ranges sorted, disjoint and
 * beyond the cursor, times between 1970 and 9999, numbers below 2^63. */
int ckpt_check(const struct ckpt *c, struct err *err);

struct ckpt_stream *ckpt_stream_find(struct ckpt *c, const char *region);
/* Adds it, sorted; the first cell starts at first_ms. One that is there already is returned as it
 * is. Pointers to streams (and, below, to sinks) are good until the next add. ERR_USAGE: not on the
 * grid. */
struct ckpt_stream *ckpt_stream_add(struct ckpt *c, const char *region, int64_t first_ms,
				    int64_t every_ms, struct err *err);
struct ckpt_sink *ckpt_sink_find(const struct ckpt_stream *s, const char *name);
/* A sink new to an old stream begins at `cursor_ms` (not before the stream's first cell). One that
 * is there already is returned as it is. */
struct ckpt_sink *ckpt_sink_add(struct ckpt_stream *s, const char *name, int64_t cursor_ms,
				struct err *err);
/* Mark a cell done: the cursor moves over everything contiguous. Idempotent. */
int ckpt_done(struct ckpt_sink *k, struct cell c, struct err *err);
bool ckpt_is_done(const struct ckpt_sink *k, struct cell c);
/* A stream whose cells are to have another length goes on with its old ones up to the first boundary
 * that both grids have (the return value; a time on both grids, at or after everything that is
 * done). Once all of the n named sinks have everything up to there and no more, the stream is on the
 * new grid: 0. Late points of the old cells are not known any more then. Sinks that are not named
 * and lack something get a gap. -1: no memory. */
int64_t ckpt_regrid(struct ckpt_stream *s, int64_t every_ms, const char *const *sinks, size_t n,
		    int64_t now_ms, struct err *err);
/* Drops the largest memo or the largest stream's marks, and says so. false: there are none. */
bool ckpt_shed(struct ckpt *c);
/* Oldest cursor; first_ms if it has no sinks. */
int64_t ckpt_watermark(const struct ckpt_stream *s);
/* Record a gap; one that touches the last of the same sink and reason grows it. */
int ckpt_gap_add(struct ckpt_stream *s, const char *sink, struct cell c, const char *reason,
		 int64_t now_ms, struct err *err);
/* Move a sink's cursor back to `to_ms`, and forget what it has beyond: all from there on is to be
 * done again. Its gaps from there on are off the record, for they will be filled or found again.
 * ERR_USAGE: not on the grid, before the first cell, or not before the cursor. */
int ckpt_rewind(struct ckpt_stream *s, struct ckpt_sink *k, int64_t to_ms, struct err *err);
/* Move a sink's cursor forward to `to_ms`; what it lacks up to there is a gap with this reason. */
int ckpt_skip(struct ckpt_stream *s, struct ckpt_sink *k, int64_t to_ms, const char *reason,
	      int64_t now_ms, struct err *err);
/* Add to the history; beyond CKPT_HISTORY_MAX the oldest is dropped. */
int ckpt_event_add(struct ckpt *c, int64_t now_ms, const char *who, const char *what,
		   const char *reason, struct err *err);
/* Set a heap string field, freeing the old one; v may be NULL. */
int ckpt_set_str(char **field, const char *v, struct err *err);

#endif
