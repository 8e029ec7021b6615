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

		if (now_ms - guest->since_ms >= GATE_PATIENCE_MS && needed < guest->bytes)
			idle += guest->bytes - needed;
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
	g->used += bytes;
	if (!guest)
		return;
	*guest = (struct gate_guest){.bytes = bytes, .since_ms = now_ms, .next = g->guests};
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

int
gate_enter_guest(struct gate *g, struct gate_guest *guest, size_t bytes, struct clock *clock,
		 struct err *err)
{
	return enter(g, guest, bytes, clock, err);
}

bool
gate_try_guest(struct gate *g, struct gate_guest *guest, const struct gate_guest *beside,
	       size_t bytes, struct clock *clock)
{
	int64_t now_ms = clock_mono_ms(clock);
	bool ok;

	(void)pthread_mutex_lock(&g->mu);
	ok = g->next == g->serving &&
	     (fits_locked(g, bytes, now_ms) ||
	      (beside && g->used == beside->bytes && bytes <= GATE_ALONE_MAX));
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
	leave_locked(g, guest->bytes);
	(void)pthread_mutex_unlock(&g->mu);
}
