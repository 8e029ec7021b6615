/*
 * The machine's clocks and a clock for tests; see clock.h.
 *
 * The real sleep waits in slices and looks at `cancelled` between them: an atomic flag is all that
 * a signal handler may touch, and it wakes any number of sleepers without one of them missing it.
 */
#include "base/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLICE_MS 50

static int64_t
read_ms(clockid_t id)
{
	struct timespec ts = {0};

	(void)clock_gettime(id, &ts); /* cannot fail for the two clocks used here */
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t
real_wall_ms(struct clock *c)
{
	(void)c;
	return read_ms(CLOCK_REALTIME);
}

static int64_t
real_mono_ms(struct clock *c)
{
	(void)c;
	return read_ms(CLOCK_MONOTONIC);
}

static int
real_sleep(struct clock *c, int64_t ms, int64_t grace_ms, struct err *err)
{
	int64_t start = real_mono_ms(c);

	for (;;) {
		int64_t left = ms - (real_mono_ms(c) - start);
		struct timespec ts = {0};

		if (clock_check_grace(c, grace_ms, err) < 0)
			return -1;
		if (left <= 0)
			return 0;
		ts.tv_nsec = (long)(left < SLICE_MS ? left : SLICE_MS) * 1000000;
		/* Cut short by a signal: the loop works out what is left. */
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	}
}

struct clock *
clock_real(void)
{
	static const struct clock_ops ops = {
	    .wall_ms = real_wall_ms,
	    .mono_ms = real_mono_ms,
	    .sleep = real_sleep,
	};
	static struct clock clock = {.ops = &ops};

	return &clock;
}

struct fake_clock {
	struct clock base; /* first: a struct clock * of a fake clock points to this */
	int64_t start_ms;
	atomic_int_least64_t passed_ms;
};

static struct fake_clock *
fake_of(struct clock *c)
{
	return (struct fake_clock *)c;
}

static int64_t
fake_mono_ms(struct clock *c)
{
	return atomic_load(&fake_of(c)->passed_ms);
}

static int64_t
fake_wall_ms(struct clock *c)
{
	return fake_of(c)->start_ms + fake_mono_ms(c);
}

static int
fake_sleep(struct clock *c, int64_t ms, int64_t grace_ms, struct err *err)
{
	if (clock_check_grace(c, grace_ms, err) < 0)
		return -1;
	if (ms > 0)
		clock_fake_advance(c, ms);
	return 0;
}

struct clock *
clock_fake_new(int64_t start_ms)
{
	static const struct clock_ops ops = {
	    .wall_ms = fake_wall_ms,
	    .mono_ms = fake_mono_ms,
	    .sleep = fake_sleep,
	};
	struct fake_clock *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->base.ops = &ops;
	f->start_ms = start_ms;
	return &f->base;
}

void
clock_fake_free(struct clock *c)
{
	free(c ? fake_of(c) : NULL);
}

void
clock_fake_advance(struct clock *c, int64_t ms)
{
	(void)atomic_fetch_add(&fake_of(c)->passed_ms, ms);
}

void
clock_cancel(struct clock *c, int why)
{
	int_least64_t never = 0;
	int none = 0;

	/* The first reason stays, and its time, which is there before whoever looks for it. */
	(void)atomic_compare_exchange_strong(&c->cancelled_mono_ms, &never, clock_mono_ms(c));
	(void)atomic_compare_exchange_strong(&c->cancelled, &none, why);
}

int
clock_check_grace(struct clock *c, int64_t grace_ms, struct err *err)
{
	if (clock_cancelled(c) && grace_ms > 0 &&
	    clock_mono_ms(c) - atomic_load(&c->cancelled_mono_ms) < grace_ms)
		return 0;
	return clock_check(c, err);
}

int
clock_check(struct clock *c, struct err *err)
{
	int why = clock_cancelled(c);
	const char *name;

	if (why == 0)
		return 0;
	if (why == CLOCK_DEADLINE)
		return err_set(err, ERR_CANCELLED, "cancelled: the run's deadline has passed");
	name = sigabbrev_np(why);
	if (!name)
		return err_set(err, ERR_CANCELLED, "cancelled by signal %d", why);
	return err_set(err, ERR_CANCELLED, "cancelled by SIG%s", name);
}
