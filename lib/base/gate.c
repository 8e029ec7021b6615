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

static bool
fits(const struct gate *g, size_t bytes)
{
	return g->used == 0 || (g->used < g->max && bytes <= g->max - g->used);
}

int
gate_enter(struct gate *g, size_t bytes, struct clock *clock, struct err *err)
{
	uint64_t mine;
	int r = 0;

	(void)pthread_mutex_lock(&g->mu);
	mine = g->next++;
	while (mine != g->serving || (!(r = clock_check(clock, err)) && !fits(g, bytes)))
		wait_locked(g);
	/* Who gives up lets the next one have its turn all the same. */
	g->serving++;
	if (!r)
		g->used += bytes;
	(void)pthread_cond_broadcast(&g->changed);
	(void)pthread_mutex_unlock(&g->mu);
	return r;
}

void
gate_leave(struct gate *g, size_t bytes)
{
	(void)pthread_mutex_lock(&g->mu);
	g->used -= bytes;
	(void)pthread_cond_broadcast(&g->changed);
	(void)pthread_mutex_unlock(&g->mu);
}
