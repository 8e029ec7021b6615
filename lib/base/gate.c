/* A semaphore of bytes with a queue; see gate.h. */
#include "base/gate.h"

#include <time.h>

#define POLL_MS 100 /* how often a waiting worker looks whether the run was cancelled */

void
gate_init(struct gate *g, size_t max)
{
	pthread_condattr_t attr;

	*g = (struct gate){.max = max};
	(void)pthread_mutex_init(&g->mu, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&g->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
}

void
gate_done(struct gate *g)
{
	(void)pthread_cond_destroy(&g->changed);
	(void)pthread_mutex_destroy(&g->mu);
}

static void
wait_locked(struct gate *g)
{
	struct timespec at;

	(void)clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_nsec += POLL_MS * 1000000L;
	if (at.tv_nsec >= 1000000000L) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000L;
	}
	(void)pthread_cond_timedwait(&g->changed, &g->mu, &at);
}

/* What those inside have room for and do not need yet. */
static size_t
idle_locked(const struct gate *g, int64_t now_ms)
{
	size_t idle = 0;

	for (const struct gate_guest *guest = g->guests; guest; guest = guest->next) {
		size_t needed = 2 * atomic_load(&guest->arrived);

		if (now_ms - guest->since_ms >= GATE_PATIENCE_MS && needed < guest->counted)
			idle += guest->counted - needed;
	}
	return idle;
}

static bool
fits_locked(const struct gate *g, size_t bytes, int64_t now_ms)
{
	size_t used = g->used - idle_locked(g, now_ms);

	return used == 0 || (used < g->max && bytes <= g->max - used);
}

static void
take_locked(struct gate *g, struct gate_guest *guest, size_t bytes, int64_t now_ms)
{
	size_t counted = guest && bytes <= GATE_FEW_BYTES ? 0 : bytes;

	g->used += counted;
	if (!guest)
		return;
	*guest = (struct gate_guest){.bytes = counted ? bytes : GATE_FEW_BYTES,
				     .counted = counted,
				     .since_ms = now_ms,
				     .next = g->guests};
	g->guests = guest;
}

static int
enter(struct gate *g, struct gate_guest *guest, size_t bytes, struct clock *clock, struct err *err)
{
	uint64_t mine;
	int r = 0;

	(void)pthread_mutex_lock(&g->mu);
	mine = g->next++;
	while (mine != g->serving ||
	       (!(r = clock_check(clock, err)) && !fits_locked(g, bytes, clock_mono_ms(clock))))
		wait_locked(g);
	/* Who gives up lets the next one have its turn all the same. */
	g->serving++;
	if (!r)
		take_locked(g, guest, bytes, clock_mono_ms(clock));
	(void)pthread_cond_broadcast(&g->changed);
	(void)pthread_mutex_unlock(&g->mu);
	return r;
}

int
gate_enter(struct gate *g, size_t bytes, struct clock *clock, struct err *err)
{
	return enter(g, NULL, bytes, clock, err);
}

static void
enter_small(struct gate *g, struct gate_guest *guest, size_t bytes, struct clock *clock)
{
	(void)pthread_mutex_lock(&g->mu);
	take_locked(g, guest, bytes, clock_mono_ms(clock));
	(void)pthread_mutex_unlock(&g->mu);
}

int
gate_enter_guest(struct gate *g, struct gate_guest *guest, size_t bytes, struct clock *clock,
		 struct err *err)
{
	if (bytes > GATE_FEW_BYTES)
		return enter(g, guest, bytes, clock, err);
	enter_small(g, guest, bytes, clock);
	return 0;
}

bool
gate_try_guest(struct gate *g, struct gate_guest *guest, const struct gate_guest *beside,
	       size_t bytes, struct clock *clock)
{
	int64_t now_ms = clock_mono_ms(clock);
	bool ok;

	(void)pthread_mutex_lock(&g->mu);
	ok = bytes <= GATE_FEW_BYTES ||
	     (g->next == g->serving &&
	      (fits_locked(g, bytes, now_ms) ||
	       (beside && g->used == beside->counted && bytes <= GATE_ALONE_MAX)));
	if (ok)
		take_locked(g, guest, bytes, now_ms);
	(void)pthread_mutex_unlock(&g->mu);
	return ok;
}

static void
leave_locked(struct gate *g, size_t bytes)
{
	g->used -= bytes;
	(void)pthread_cond_broadcast(&g->changed);
}

void
gate_leave(struct gate *g, size_t bytes)
{
	(void)pthread_mutex_lock(&g->mu);
	leave_locked(g, bytes);
	(void)pthread_mutex_unlock(&g->mu);
}

void
gate_leave_guest(struct gate *g, struct gate_guest *guest)
{
	struct gate_guest **at = &g->guests;

	(void)pthread_mutex_lock(&g->mu);
	while (*at != guest)
		at = &(*at)->next;
	*at = guest->next;
	if (g->beyond == guest)
		g->beyond = NULL;
	leave_locked(g, guest->counted);
	(void)pthread_mutex_unlock(&g->mu);
}

/* Room for so much more, or leave to do without. */
static bool
may_grow_locked(struct gate *g, struct gate_guest *guest, size_t more, int64_t now_ms)
{
	if (g->used - idle_locked(g, now_ms) + more <= g->max)
		return true;
	if (!g->beyond)
		g->beyond = guest;
	return g->beyond == guest;
}

static void
grow(struct gate *g, struct gate_guest *guest, size_t more, struct clock *clock)
{
	int64_t until_ms = clock_mono_ms(clock) + GATE_GROW_MS;
	struct err ignored;

	(void)pthread_mutex_lock(&g->mu);
	while (!guest->hurried && !may_grow_locked(g, guest, more, clock_mono_ms(clock))) {
		wait_locked(g);
		guest->hurried =
		    clock_mono_ms(clock) >= until_ms || clock_check(clock, &ignored) != 0;
	}
	guest->bytes += more;
	guest->counted += more;
	g->used += more;
	(void)pthread_mutex_unlock(&g->mu);
}

void
gate_arrived(struct gate *g, struct gate_guest *guest, size_t have, size_t all, struct clock *clock)
{
	size_t needed = 2 * all;

	atomic_store(&guest->arrived, have);
	if (needed <= guest->bytes)
		return;
	if (all == have)
		needed += GATE_STEP;
	grow(g, guest, needed - guest->bytes, clock);
}
