/*
 * Repeating what may be repeated. The rules are the SDKs' standard mode (2026 form): few attempts,
 * full jitter, and a bucket of tokens for each (account, service), so that a service in trouble is
 * not buried under repetitions and a tenant in trouble does not use up what the others may spend.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/map.h"
#include "net/transport.h"

/* Numbers of the SDKs' standard retry mode, version 2.1. */
#define BUCKET_FULL	  500
#define COST_TRANSIENT	  14
#define COST_THROTTLED	  5
#define PAY_FIRST_TRY	  1
#define BASE_TRANSIENT_MS 50
#define BASE_THROTTLED_MS 1000
#define MAX_DELAY_MS	  20000
#define MAX_HINT_ABOVE_MS 5000	/* a service's hint may add this much to the computed delay */
#define MAX_HINT_PLAIN_MS 30000 /* Retry-After of other receivers: up to this in all */
#define SWEEP_MIN	  1024

struct bucket {
	int tokens;
};

struct retry_transport {
	struct transport base;
	struct transport *next;
	struct clock *clock;
	int max_attempts;
	uint64_t seed;
	atomic_uint_least64_t draws;
	struct {
		pthread_mutex_t mu;
		struct map buckets; /* only those that are not full */
		size_t sweep_at;
	} locked;
};

/* One exchange with all its attempts. */
struct round {
	struct retry_transport *rt;
	const struct http_req *req;
	struct sv key;	/* of the bucket */
	int counted;	/* attempts that count */
	int paid;	/* tokens the last retry cost */
	bool refreshed; /* ERR_EXPIRED was tried again */
	bool unskewed;	/* ERR_SKEW was tried again */
};

static void
sweep_one(struct sv key, void *value, void *arg)
{
	struct bucket *b = value;

	if (b->tokens >= BUCKET_FULL || map_put(arg, key, b, NULL, NULL) < 0)
		free(b);
}

/* Drops full buckets, so that the table does not grow with the number of tenants. */
static void
sweep_locked(struct retry_transport *rt)
{
	struct map kept = MAP_INIT;

	map_each(&rt->locked.buckets, sweep_one, &kept);
	map_done(&rt->locked.buckets, NULL);
	rt->locked.buckets = kept;
	rt->locked.sweep_at = 2 * map_count(&kept);
	if (rt->locked.sweep_at < SWEEP_MIN)
		rt->locked.sweep_at = SWEEP_MIN;
}

static struct bucket *
add_locked(struct retry_transport *rt, struct sv key)
{
	struct bucket *b;

	if (map_count(&rt->locked.buckets) >= rt->locked.sweep_at)
		sweep_locked(rt);
	b = malloc(sizeof(*b));
	if (!b)
		return NULL;
	b->tokens = BUCKET_FULL;
	if (map_put(&rt->locked.buckets, key, b, NULL, NULL) < 0) {
		free(b);
		return NULL;
	}
	return b;
}

/* False when the bucket cannot pay for another attempt. */
static bool
pay(struct round *r, int cost)
{
	struct retry_transport *rt = r->rt;
	struct bucket *b;
	bool ok = false;

	(void)pthread_mutex_lock(&rt->locked.mu);
	b = map_get(&rt->locked.buckets, r->key);
	if (!b)
		b = add_locked(rt, r->key);
	if (b && b->tokens >= cost) {
		b->tokens -= cost;
		ok = true;
	}
	(void)pthread_mutex_unlock(&rt->locked.mu);
	if (ok)
		r->paid = cost;
	return ok;
}

static void
pay_back(struct round *r)
{
	struct retry_transport *rt = r->rt;
	struct bucket *b;

	(void)pthread_mutex_lock(&rt->locked.mu);
	b = map_get(&rt->locked.buckets, r->key);
	if (b) {
		b->tokens += r->paid ? r->paid : PAY_FIRST_TRY;
		if (b->tokens > BUCKET_FULL)
			b->tokens = BUCKET_FULL;
	}
	(void)pthread_mutex_unlock(&rt->locked.mu);
}

/* [0, 1): the same row of numbers for the same seed. */
static double
draw(struct retry_transport *rt)
{
	uint64_t n = atomic_fetch_add(&rt->draws, 1);

	return (double)(mix64(rt->seed + n * 0x9e3779b97f4a7c15) >> 11) / 9007199254740992.0;
}

static int64_t
delay_ms(struct round *r, const struct err *err)
{
	int64_t ms = err->kind == ERR_THROTTLED ? BASE_THROTTLED_MS : BASE_TRANSIENT_MS;
	int64_t hint = err->retry_after_ms, most;

	for (int i = 1; i < r->counted && ms < MAX_DELAY_MS; i++)
		ms *= 2;
	if (ms > MAX_DELAY_MS)
		ms = MAX_DELAY_MS;
	ms = (int64_t)((double)ms * draw(r->rt));
	most = r->req->proto == PROTO_PLAIN ? MAX_HINT_PLAIN_MS : ms + MAX_HINT_ABOVE_MS;
	if (hint > most)
		hint = most;
	return hint > ms ? hint : ms;
}

/* Expired credentials and a wrong clock were put right below: once more, at once, free of charge.
 */
static bool
repaired(struct round *r, const struct err *err)
{
	bool *done = err->kind == ERR_EXPIRED ? &r->refreshed : &r->unskewed;

	if ((err->kind != ERR_EXPIRED && err->kind != ERR_SKEW) || *done)
		return false;
	*done = true;
	return true;
}

/* 0: the caller may try again, and has waited for it. -1: *err says why not. */
static int
prepare_retry(struct round *r, struct err *err)
{
	struct retry_transport *rt = r->rt;
	struct err cancelled = {0};
	int64_t wait;

	if (r->req->no_retry && err->kind == ERR_TRANSIENT)
		return -1;
	if (repaired(r, err))
		return 0;
	r->counted++;
	if (err->kind != ERR_THROTTLED && err->kind != ERR_TRANSIENT)
		return -1;
	if (r->counted >= rt->max_attempts)
		return -1;
	wait = delay_ms(r, err);
	if (r->req->deadline_mono_ms && clock_mono_ms(rt->clock) + wait >= r->req->deadline_mono_ms)
		return -1;
	if (!pay(r, err->kind == ERR_THROTTLED ? COST_THROTTLED : COST_TRANSIENT))
		return -1;
	if (clock_sleep_grace(rt->clock, wait, r->req->grace_ms, &cancelled) < 0) {
		*err = cancelled;
		return -1;
	}
	return 0;
}

static int
retry_send(struct transport *t, const struct http_req *req, struct http_resp *resp, struct err *err)
{
	struct retry_transport *rt = (struct retry_transport *)t;
	CLEANUP(buf_done) struct buf key = BUF_INIT(1024);
	struct round r = {.rt = rt, .req = req};
	struct err own = {0};
	int attempts = 0, result;

	buf_fmt(&key, "%s\n%s", req->account, req->service);
	if (buf_check(&key, "retry key", err) < 0)
		return -1;
	r.key = buf_view(&key);
	do {
		resp_reset(resp);
		if (clock_check_grace(rt->clock, req->grace_ms, &own) < 0) {
			result = -1;
			break;
		}
		result = transport_send(rt->next, req, resp, &own);
		resp->attempts = ++attempts;
	} while (result < 0 && prepare_retry(&r, &own) == 0);
	if (result == 0)
		pay_back(&r);
	else if (err)
		*err = own;
	return result;
}

static void
retry_free(struct transport *t)
{
	struct retry_transport *rt = (struct retry_transport *)t;

	transport_free(rt->next);
	map_done(&rt->locked.buckets, free);
	(void)pthread_mutex_destroy(&rt->locked.mu);
	free(rt);
}

int
retry_transport_new(struct transport *next, int max_attempts, uint64_t seed, struct clock *clock,
		    struct transport **ret, struct err *err)
{
	static const struct transport_ops ops = {"retry", retry_send, retry_free};
	struct retry_transport *rt = calloc(1, sizeof(*rt));
	int e;

	if (!rt)
		return err_nomem(err);
	e = pthread_mutex_init(&rt->locked.mu, NULL);
	if (e) {
		free(rt);
		return err_sys(err, e, "mutex");
	}
	rt->base.ops = &ops;
	rt->next = next;
	rt->clock = clock;
	rt->max_attempts = max_attempts;
	rt->seed = seed;
	rt->locked.sweep_at = SWEEP_MIN;
	*ret = &rt->base;
	return 0;
}
