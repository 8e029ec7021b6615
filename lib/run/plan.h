/*
 * Which cells are due: a pure function of configuration, checkpoint and now.
 *
 * `run`, `plan` and `backfill` differ only in what they feed it. A stream's cells are walked oldest
 * first in two passes: FRESH holds the cells that a sink with a maximum age still takes, REST all
 * others, so that after an outage a receiver is current again before old cells are caught up.
 * Without such a sink everything is in FRESH.
 *
 * A plan with a window is a slice of a backfill: its cells are those of the window that are due,
 * all in FRESH, however old they are.
 */
#ifndef MUSTER_RUN_PLAN_H
#define MUSTER_RUN_PLAN_H

#include "model/cell.h"
#include "state/checkpoint.h"

enum plan_pass { PLAN_FRESH, PLAN_REST, PLAN_PASSES };

/* Reason of the gap of a sink with a maximum age, or the beginning of it. */
#define PLAN_TOO_OLD "older than the sink takes"
/* The same in a backfill: what scheduled runs have sent since stands in the way. */
#define PLAN_REFUSED "refused by the sink"

/* One sink of the job, in the order of the job's `to`. */
struct plan_sink {
	const char *name;
	bool ordered;	    /* takes every cell of a stream in time order */
	bool lake;	    /* this one freezes */
	bool leftovers;	    /* takes what those with a maximum age were too late for */
	bool newest_only;   /* takes how things stand: of older cells there is nothing to tell it */
	int64_t max_age_ms; /* 0: none */
};

struct plan {
	int64_t now_ms;
	int64_t every_ms, delay_ms, lookback_ms, max_catchup_ms;
	int64_t until_ms; /* no cell beyond this; 0: no end */
	int64_t again_ms; /* so long after its end a cell is asked for again; 0: it is not */
	struct cell window; /* whole cells; empty: none */
	const struct plan_sink *sinks;
	size_t n_sinks;
};

/* The window is one that was given. */
static inline bool
plan_has_window(const struct plan *p)
{
	return p->window.start_ms < p->window.end_ms;
}

enum plan_mode {
	PLAN_PULL,	/* the cells are not frozen yet (or nothing freezes them) */
	PLAN_REPUBLISH, /* frozen, but a sink has not got them */
};
struct plan_span {
	enum plan_mode mode;
	struct cell first;
	size_t n; /* contiguous cells, at least 1 */
};

/* Start of the first cell of a stream that has no checkpoint. */
int64_t plan_first_ms(const struct plan *p);
/* Where catching up begins, for a stream whose checkpoint was lost. */
int64_t plan_oldest_ms(const struct plan *p);
/* End of the newest due cell. */
int64_t plan_due_end(const struct plan *p);
/* Is it the newest cell that is due? Never in a window that was given. */
bool plan_is_newest(const struct plan *p, struct cell c);
/* The oldest cursor of the job's sinks; one that the job no longer has does not count. */
int64_t plan_watermark(const struct plan *p, const struct ckpt_stream *s);
/* A time that is after the present by more than clocks may differ (AWS refuses signatures at 15 minutes): of a watermark,
 * that a run was told of a present that is yet to come, and nothing is due until then; of a lease, that it says nothing. */
bool plan_is_ahead(int64_t ms, int64_t now_ms);
/* Cells that are too long ago to be caught up: the range from the oldest cursor to where catching
 * up begins. false: none. */
bool plan_given_up(const struct plan *p, const struct ckpt_stream *s, struct cell *ret);
/* The next span of a pass that starts at or after from_ms (0: from the beginning), at most
 * max_cells long. false: no more. */
bool plan_next(const struct plan *p, const struct ckpt_stream *s, enum plan_pass pass,
	       int64_t from_ms, size_t max_cells, struct plan_span *ret);
/* Is anything undone that is older than the cells of PLAN_FRESH? */
bool plan_has_rest(const struct plan *p, const struct ckpt_stream *s);
/* How many cells of the window are due; those of them that are still to be pulled. */
size_t plan_window_cells(const struct plan *p);
size_t plan_window_left(const struct plan *p, const struct ckpt_stream *s);
/* May sink k still need something from before the window, and in order? */
bool plan_needs_before(const struct plan *p, size_t k);
/* Is cell c for a sink of leftovers: was one with a maximum age too late for any of it, or is there
 * no such sink? */
bool plan_left_over(const struct plan *p, const struct ckpt_stream *s, struct cell c);
/* May cell c go to sink k now? Not while an older cell that the sink can still take is undone; and
 * leftovers not before it is known what is left. */
bool plan_may_publish(const struct plan *p, const struct ckpt_stream *s, size_t k, struct cell c);

#endif
