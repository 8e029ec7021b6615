/*
 * Time behind a table, so that tests bring their own.
 *
 * Three readings: `wall_ms` is the machine's UTC clock (only for signatures and logs), `mono_ms` never
 * jumps (time-outs, backoff), and `sleep` waits but wakes at once when the run is cancelled. What a run
 * takes as "now" for cells and ages is not a clock: it is a value in struct run_now (lib/run).
 */
#ifndef MUSTER_BASE_CLOCK_H
#define MUSTER_BASE_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct clock;
struct clock_ops {
	int64_t (*wall_ms)(struct clock *c);
	int64_t (*mono_ms)(struct clock *c);
	/* 0 after `ms`, -1 (ERR_CANCELLED) as soon as the clock is cancelled and `grace_ms` have passed since. */
	int (*sleep)(struct clock *c, int64_t ms, int64_t grace_ms, struct err *err);
};
struct clock {
	const struct clock_ops *ops;
	/* Set once by clock_cancel (async-signal-safe); holds the signal number, or CLOCK_DEADLINE. */
	atomic_int cancelled;
	atomic_int_least64_t cancelled_mono_ms; /* when */
};

#define CLOCK_DEADLINE 1000 /* cancelled by the run's own deadline, not by a signal */

/* The machine's clocks. Static storage, thread-safe. */
struct clock *clock_real(void);

/* A clock for tests: wall and mono start at `start_ms` and 0 and move only by sleep (which returns at once). Thread-safe. */
struct clock *clock_fake_new(int64_t start_ms);
void clock_fake_free(struct clock *c);
void clock_fake_advance(struct clock *c, int64_t ms);

static inline int64_t
clock_wall_ms(struct clock *c)
{
	return c->ops->wall_ms(c);
}
static inline int64_t
clock_mono_ms(struct clock *c)
{
	return c->ops->mono_ms(c);
}
static inline int
clock_sleep(struct clock *c, int64_t ms, struct err *err)
{
	return c->ops->sleep(c, ms, 0, err);
}
/* For what has to be brought to an end after a cancellation: it goes on for `grace_ms` from that moment. All that has
 * the same grace ends at the same time, however much it is. */
static inline int
clock_sleep_grace(struct clock *c, int64_t ms, int64_t grace_ms, struct err *err)
{
	return c->ops->sleep(c, ms, grace_ms, err);
}
/* May be called from a signal handler; sleepers of the real clock wake within 100 ms. */
void clock_cancel(struct clock *c, int why);
static inline int
clock_cancelled(struct clock *c)
{
	return atomic_load_explicit(&c->cancelled, memory_order_relaxed);
}
/* 0, or -1 with ERR_CANCELLED and the reason in words. */
int clock_check(struct clock *c, struct err *err);
int clock_check_grace(struct clock *c, int64_t grace_ms, struct err *err);

#endif
