/*
 * Keeping credentials, and renewing them in time, by one thread only.
 *
 * Times are kept on the monotonic clock from the moment an answer came: a wall clock that is set
 * later can neither keep dead keys alive nor throw good ones away. Callers that find nothing usable
 * wait for the one flight that is under way and share its result, also its failure: a source in
 * trouble is asked once, not once by each worker.
 */
#include "aws/cred.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"

/* botocore: refresh from 15 minutes before expiry if it works, from 10 minutes in any case. */
#define ADVISORY_MS	   (15 * 60000)
#define MANDATORY_MS	   (10 * 60000)
#define SHORT_LIFE_MS	   (30 * 60000)
#define MAX_JITTER_MS	   60000
#define ADVISORY_AGAIN_MS  30000 /* after an advisory refresh that failed */
#define ALREADY_EXPIRED_MS 60000 /* how long keys are used that look expired when they come */

struct cred_cache {
	struct cred_source base;
	struct cred_source *inner;
	struct clock *clock;
	uint64_t seed;
	struct {
		pthread_mutex_t mu;
		pthread_cond_t landed;
		struct cred cred;		   /* key_id "": none yet */
		int64_t advisory_ms, mandatory_ms; /* monotonic; INT64_MAX: never */
		bool in_flight;
		uint64_t flights; /* landed so far */
		int last_result;  /* of the newest flight */
		struct err last_err;
	} locked;
};

static void
set_bounds_locked(struct cred_cache *c)
{
	int64_t now = clock_mono_ms(c->clock), jitter = MAX_JITTER_MS, life;

	c->locked.advisory_ms = c->locked.mandatory_ms = INT64_MAX;
	if (c->locked.cred.expires_wall_ms == 0)
		return;
	life = c->locked.cred.expires_wall_ms - clock_wall_ms(c->clock);
	if (life <= 0) {
		/* Our clock is wrong, or the source knows that old keys are still honoured. */
		c->locked.advisory_ms = c->locked.mandatory_ms = now + ALREADY_EXPIRED_MS;
		return;
	}
	c->locked.mandatory_ms = now + life - (life < SHORT_LIFE_MS ? life / 3 : MANDATORY_MS);
	c->locked.advisory_ms = now + life - (life < SHORT_LIFE_MS ? life / 2 : ADVISORY_MS);
	if (jitter > life / 10)
		jitter = life / 10;
	c->locked.advisory_ms -=
	    (int64_t)(mix64(c->seed + c->locked.flights) % (uint64_t)(jitter + 1));
}

/* Asks the source without the lock; the caller has set in_flight. */
static int
fly_locked(struct cred_cache *c, const char *stale, struct err *err)
{
	struct cred fresh = {0};
	struct err own = {0};
	int r;

	(void)pthread_mutex_unlock(&c->locked.mu);
	r = cred_get(c->inner, stale, &fresh, &own);
	(void)pthread_mutex_lock(&c->locked.mu);
	c->locked.in_flight = false;
	c->locked.flights++;
	c->locked.last_result = r;
	c->locked.last_err = own;
	if (r == 0) {
		cred_done(&c->locked.cred);
		c->locked.cred = fresh;
		set_bounds_locked(c);
	} else if (err) {
		*err = own;
	}
	(void)pthread_cond_broadcast(&c->locked.landed);
	return r;
}

/* Waits until the flight under way has landed, and takes its result. */
static int
join_locked(struct cred_cache *c, struct err *err)
{
	uint64_t mine = c->locked.flights;

	while (c->locked.flights == mine)
		(void)pthread_cond_wait(&c->locked.landed, &c->locked.mu);
	if (c->locked.last_result < 0 && err)
		*err = c->locked.last_err;
	return c->locked.last_result;
}

static int
refresh_locked(struct cred_cache *c, const char *stale, struct err *err)
{
	if (c->locked.in_flight)
		return join_locked(c, err);
	c->locked.in_flight = true;
	return fly_locked(c, stale, err);
}

static bool
usable_locked(const struct cred_cache *c, const char *stale, int64_t now)
{
	const struct cred *have = &c->locked.cred;

	if (!have->key_id[0] || (stale && strcmp(stale, have->key_id) == 0))
		return false;
	return now < c->locked.mandatory_ms;
}

static int
get_locked(struct cred_cache *c, const char *stale, struct cred *ret, struct err *err)
{
	int64_t now = clock_mono_ms(c->clock);

	if (!usable_locked(c, stale, now)) {
		if (refresh_locked(c, stale, err) < 0)
			return -1;
		if (stale && strcmp(stale, c->locked.cred.key_id) == 0)
			return err_set(err, ERR_AUTH, "%s: still hands out the expired key",
				       c->inner->ops->name);
	} else if (now >= c->locked.advisory_ms && !c->locked.in_flight) {
		/* First, so that no other thread tries as well, nor this one soon again. */
		c->locked.advisory_ms = now + ADVISORY_AGAIN_MS;
		(void)refresh_locked(c, NULL, NULL);
	}
	return cred_copy(ret, &c->locked.cred, err);
}

static int
cache_get(struct cred_source *s, const char *stale, struct cred *ret, struct err *err)
{
	struct cred_cache *c = (struct cred_cache *)s;
	int r;

	(void)pthread_mutex_lock(&c->locked.mu);
	r = get_locked(c, stale, ret, err);
	(void)pthread_mutex_unlock(&c->locked.mu);
	return r;
}

static void
cache_describe(const struct cred_source *s, struct buf *out)
{
	cred_describe(((const struct cred_cache *)s)->inner, out);
}

static void
cache_free(struct cred_source *s)
{
	struct cred_cache *c = (struct cred_cache *)s;

	cred_source_free(c->inner);
	cred_done(&c->locked.cred);
	(void)pthread_cond_destroy(&c->locked.landed);
	(void)pthread_mutex_destroy(&c->locked.mu);
	free(c);
}

int
cred_cache_new(struct cred_source *inner, uint64_t seed, struct clock *clock,
	       struct cred_source **ret, struct err *err)
{
	static const struct cred_source_ops ops = {"cache", cache_get, cache_free, cache_describe};
	struct cred_cache *c = calloc(1, sizeof(*c));

	if (!c)
		return err_nomem(err);
	c->base.ops = &ops;
	c->inner = inner;
	c->clock = clock;
	c->seed = seed;
	/* Without attributes neither can fail on Linux. */
	(void)pthread_mutex_init(&c->locked.mu, NULL);
	(void)pthread_cond_init(&c->locked.landed, NULL);
	*ret = &c->base;
	return 0;
}
