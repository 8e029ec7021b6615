/*
 * Rate limits. Quotas belong to an account, a region and an API, so each such triple has its own
 * token bucket, and one tenant that is throttled slows nobody else.
 *
 * A caller takes its token at once, going into debt if there is none, and sleeps until the debt is
 * paid: first come, first served, without a queue. The rate after a throttling answer follows
 * CUBIC as in the SDKs' adaptive mode: down to 0.7 of itself, then flat around the rate that
 * failed, then on to the configured one.
 */
#include <math.h>
#include <pthread.h>

#include "base/cleanup.h"
#include "base/map.h"
#include "net/transport.h"

/* The SDKs' adaptive mode: aws-sdk "retry-mode adaptive", beta and scale constant of CUBIC. */
#define CUT	  0.7
#define SCALE	  0.4
#define MIN_RATE  0.5 /* calls per second */
#define SWEEP_MIN 1024

struct bucket {
	double per_second; /* configured */
	double tokens;	   /* below zero: owed by callers that sleep */
	double last_max;   /* the rate at which throttling began */
	int64_t filled_ms; /* when tokens was brought up to date */
	int64_t cut_ms;	   /* when the rate was cut, -1: not since it was whole */
};

struct limit_transport {
	struct transport base;
	struct transport *next;
	const struct rate_row *rates;
	struct clock *clock;
	struct {
		pthread_mutex_t mu;
		struct map buckets;
		size_t sweep_at; /* number of buckets at which idle ones are dropped */
	} locked;
};

static double
rate_now(struct bucket *b, int64_t now_ms)
{
	double floor = b->per_second < MIN_RATE ? b->per_second : MIN_RATE;
	double t, k, rate;

	if (b->cut_ms < 0)
		return b->per_second;
	t = (double)(now_ms - b->cut_ms) / 1000;
	k = cbrt(b->last_max * (1 - CUT) / SCALE);
	rate = SCALE * (t - k) * (t - k) * (t - k) + b->last_max;
	if (rate >= b->per_second) {
		b->cut_ms = -1;
		return b->per_second;
	}
	return rate > floor ? rate : floor;
}

static double
fill(struct bucket *b, int64_t now_ms)
{
	double rate = rate_now(b, now_ms);
	double full = rate > 1 ? rate : 1;

	b->tokens += rate * (double)(now_ms - b->filled_ms) / 1000;
	if (b->tokens > full)
		b->tokens = full;
	b->filled_ms = now_ms;
	return rate;
}

struct sweep {
	struct map kept;
	int64_t now_ms;
};

/* A full bucket at its whole rate is what a new one would be. */
static void
sweep_one(struct sv key, void *value, void *arg)
{
	struct sweep *s = arg;
	struct bucket *b = value;

	(void)fill(b, s->now_ms);
	if (b->cut_ms < 0 && b->tokens >= b->per_second && b->tokens >= 1)
		free(b);
	else if (map_put(&s->kept, key, b, NULL, NULL) < 0)
		free(b);
}

/* Keeps the table as large as the set of busy buckets, not as the set of all tenants. */
static void
sweep_locked(struct limit_transport *l, int64_t now_ms)
{
	struct sweep s = {.kept = MAP_INIT, .now_ms = now_ms};

	map_each(&l->locked.buckets, sweep_one, &s);
	map_done(&l->locked.buckets, NULL);
	l->locked.buckets = s.kept;
	l->locked.sweep_at = 2 * map_count(&s.kept);
	if (l->locked.sweep_at < SWEEP_MIN)
		l->locked.sweep_at = SWEEP_MIN;
}

static const struct rate_row *
find_row(const struct limit_transport *l, const struct http_req *req)
{
	for (const struct rate_row *r = l->rates; r && r->service; r++) {
		if (strcmp(r->service, req->service) != 0)
			continue;
		if (!r->operation || strcmp(r->operation, req->operation) == 0)
			return r;
	}
	return NULL;
}

static struct bucket *
add_locked(struct limit_transport *l, struct sv key, const struct rate_row *row, int64_t now_ms)
{
	struct bucket *b;

	if (map_count(&l->locked.buckets) >= l->locked.sweep_at)
		sweep_locked(l, now_ms);
	b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->per_second = row->per_second;
	b->tokens = row->per_second > 1 ? row->per_second : 1;
	b->filled_ms = now_ms;
	b->cut_ms = -1;
	if (map_put(&l->locked.buckets, key, b, NULL, NULL) < 0) {
		free(b);
		return NULL;
	}
	return b;
}

/* Takes a token and says how long to wait for it; without memory nothing is limited. */
static int
take(struct limit_transport *l, struct sv key, const struct rate_row *row,
     const struct http_req *req, int64_t *ret_wait_ms, struct err *err)
{
	int64_t now = clock_mono_ms(l->clock), wait = 0;
	struct bucket *b;
	double rate;

	(void)pthread_mutex_lock(&l->locked.mu);
	b = map_get(&l->locked.buckets, key);
	if (!b)
		b = add_locked(l, key, row, now);
	if (b) {
		rate = fill(b, now);
		b->tokens -= 1;
		if (b->tokens < 0)
			wait = (int64_t)ceil(-b->tokens / rate * 1000);
		if (req->deadline_mono_ms && now + wait > req->deadline_mono_ms) {
			b->tokens += 1;
			wait = -1;
		}
	}
	(void)pthread_mutex_unlock(&l->locked.mu);
	if (wait < 0)
		return err_set(err, ERR_THROTTLED,
			       "%s %s: the rate limit of %g calls a second leaves no turn before "
			       "the deadline",
			       req->service, req->operation, row->per_second);
	*ret_wait_ms = wait;
	return 0;
}

/* A caller that was cancelled while it waited gives its turn back. */
static void
give_back(struct limit_transport *l, struct sv key)
{
	struct bucket *b;

	(void)pthread_mutex_lock(&l->locked.mu);
	b = map_get(&l->locked.buckets, key);
	if (b)
		b->tokens += 1;
	(void)pthread_mutex_unlock(&l->locked.mu);
}

/* All calls that were under way when the rate was cut may be throttled too: they are one event. */
static void
cut(struct limit_transport *l, struct sv key, int64_t sent_ms)
{
	int64_t now = clock_mono_ms(l->clock);
	struct bucket *b;

	(void)pthread_mutex_lock(&l->locked.mu);
	b = map_get(&l->locked.buckets, key);
	if (b && sent_ms > b->cut_ms) {
		b->last_max = fill(b, now);
		b->cut_ms = now;
		if (b->tokens > 0)
			b->tokens = 0;
	}
	(void)pthread_mutex_unlock(&l->locked.mu);
}

static int
limit_send(struct transport *t, const struct http_req *req, struct http_resp *resp, struct err *err)
{
	struct limit_transport *l = (struct limit_transport *)t;
	const struct rate_row *row = find_row(l, req);
	CLEANUP(buf_done) struct buf key = BUF_INIT(1024);
	struct err own = {0};
	int64_t wait_ms = 0, sent_ms;
	int r;

	resp_reset(resp);
	if (!row || !(row->per_second > 0))
		return transport_send(l->next, req, resp, err);
	buf_fmt(&key, "%s\n%s\n%s\n%s", req->account, req->region, req->service, req->operation);
	if (buf_check(&key, "rate limit key", err) < 0)
		return -1;
	if (take(l, buf_view(&key), row, req, &wait_ms, err) < 0)
		return -1;
	if (wait_ms > 0 && clock_sleep_grace(l->clock, wait_ms, req->grace_ms, err) < 0) {
		give_back(l, buf_view(&key));
		return -1;
	}
	sent_ms = clock_mono_ms(l->clock);
	r = transport_send(l->next, req, resp, &own);
	if (r < 0 && own.kind == ERR_THROTTLED)
		cut(l, buf_view(&key), sent_ms);
	if (r < 0 && err)
		*err = own;
	return r;
}

static void
limit_free(struct transport *t)
{
	struct limit_transport *l = (struct limit_transport *)t;

	transport_free(l->next);
	map_done(&l->locked.buckets, free);
	(void)pthread_mutex_destroy(&l->locked.mu);
	free(l);
}

int
limit_transport_new(struct transport *next, const struct rate_row *rates, struct clock *clock,
		    struct transport **ret, struct err *err)
{
	static const struct transport_ops ops = {"limit", limit_send, limit_free};
	struct limit_transport *l = calloc(1, sizeof(*l));
	int e;

	if (!l)
		return err_nomem(err);
	e = pthread_mutex_init(&l->locked.mu, NULL);
	if (e) {
		free(l);
		return err_sys(err, e, "mutex");
	}
	l->base.ops = &ops;
	l->next = next;
	l->rates = rates;
	l->clock = clock;
	l->locked.sweep_at = SWEEP_MIN;
	*ret = &l->base;
	return 0;
}
