/*
 * The replaying transport: the bottom of the stack without a network.
 *
 * Streams run in any order and in any number at once, so an answer is found by what was asked, not
 * by when. The strict key includes times and page tokens, which come from the cassette itself and
 * so tell the pages of equal questions apart; only a run at another time, or of changed code, falls
 * back to the key without them.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "aws/aws_err.h"
#include "aws/tape.h"
#include "base/cleanup.h"
#include "base/map.h"

#define KEY_MAX	      CASSETTE_MAX_ENTRY
#define EXCERPT	      48
#define SKEW_STEP_MS  ((int64_t)600000)
#define EXCERPT_LEAD  16
#define ACCOUNT_SCORE ((size_t)1 << 40)
#define REGION_SCORE  ((size_t)1 << 39)

/* One recorded exchange in its two queues; queues are in the order of recording. */
struct take {
	const struct exchange *e;
	struct take *next_strict, *next_loose;
	char *loose; /* the key, for the nearest */
	bool used;
};
struct queue {
	struct take *first, *last;
};

struct replay_transport {
	struct transport base;
	struct tape_outlet outlet;
	struct take *takes;
	size_t n;
	struct map strict, loose; /* of struct queue */
	struct clock *clock;
	atomic_uint_least64_t keys, skews; /* given out so far */
	struct {
		pthread_mutex_t mu; /* guards `used` and what follows */
		struct tape_report *report;
	} locked;
};

/* ---- loading ---- */

static struct queue *
queue_of(struct map *m, struct sv key, struct err *err)
{
	struct queue *q = map_get(m, key);

	if (q)
		return q;
	q = calloc(1, sizeof(*q));
	if (!q) {
		(void)err_nomem(err);
	} else if (map_put(m, key, q, NULL, err)) {
		free(q);
		q = NULL;
	}
	return q;
}

static int
load_one(struct replay_transport *r, struct take *t, const struct exchange *e, struct err *err)
{
	CLEANUP(buf_done) struct buf strict = BUF_INIT(KEY_MAX), loose = BUF_INIT(KEY_MAX);
	struct queue *q;

	t->e = e;
	if (tape_key(e, false, &strict, err) || tape_key(e, true, &loose, err))
		return -1;
	q = queue_of(&r->strict, buf_view(&strict), err);
	if (!q)
		return -1;
	*(q->last ? &q->last->next_strict : &q->first) = t;
	q->last = t;
	q = queue_of(&r->loose, buf_view(&loose), err);
	if (!q)
		return -1;
	*(q->last ? &q->last->next_loose : &q->first) = t;
	q->last = t;
	t->loose = buf_steal(&loose);
	return t->loose ? 0 : err_nomem(err);
}

/* ---- finding ---- */

/* What can be given again although it was given before. */
static bool
lasts(const struct take *t)
{
	return !strcmp(t->e->service, "sts") || t->e->outcome == ERR_THROTTLED ||
	       t->e->outcome == ERR_TRANSIENT;
}

static struct take *
find_locked(struct replay_transport *r, struct sv strict, struct sv loose)
{
	struct queue *s = map_get(&r->strict, strict), *l = map_get(&r->loose, loose);

	for (struct take *t = s ? s->first : NULL; t; t = t->next_strict)
		if (!t->used)
			return t;
	if (s && lasts(s->last))
		return s->last;
	for (struct take *t = l ? l->first : NULL; t; t = t->next_loose)
		if (!t->used)
			return t;
	return l && lasts(l->last) ? l->last : NULL;
}

static size_t
common(const char *a, const char *b)
{
	size_t n = 0;

	while (a[n] && a[n] == b[n])
		n++;
	return n;
}

/* The exchange of the same operation that is most like it; NULL: there is none. */
static const struct take *
nearest(const struct replay_transport *r, const struct exchange *asked, const char *loose)
{
	const struct take *best = NULL;
	size_t most = 0;

	for (size_t i = 0; i < r->n; i++) {
		const struct exchange *e = r->takes[i].e;
		size_t score = 1 + common(loose, r->takes[i].loose);

		if (strcmp(e->service, asked->service) != 0 ||
		    strcmp(e->operation, asked->operation) != 0)
			continue;
		if (!strcmp(e->account, asked->account))
			score += ACCOUNT_SCORE;
		if (!strcmp(e->region, asked->region))
			score += REGION_SCORE;
		if (score > most) {
			most = score;
			best = &r->takes[i];
		}
	}
	return best;
}

static int
miss(struct replay_transport *r, const struct exchange *asked, const char *loose, struct err *err)
{
	const struct take *near = nearest(r, asked, loose);
	size_t at, from;

	(void)err_set(err, ERR_REJECTED, "the cassette has no answer to %s %s of account %s in %s",
		      asked->service, asked->operation, asked->account[0] ? asked->account : "-",
		      asked->region);
	if (near) {
		char so_far[sizeof(err->msg)];

		memcpy(so_far, err->msg, sizeof(so_far));
		at = common(loose, near->loose);
		from = at > EXCERPT_LEAD ? at - EXCERPT_LEAD : 0;
		if (!loose[at] && !near->loose[at])
			(void)err_set(err, ERR_REJECTED, "%s; all like %s were given before",
				      so_far, near->e->name);
		else
			(void)err_set(
			    err, ERR_REJECTED,
			    "%s; the nearest is %s: asked ...%.*s..., recorded ...%.*s...", so_far,
			    near->e->name, EXCERPT, loose + from, EXCERPT, near->loose + from);
	}
	(void)pthread_mutex_lock(&r->locked.mu);
	if (!r->locked.report->unmatched++)
		r->locked.report->first = *err;
	(void)pthread_mutex_unlock(&r->locked.mu);
	return -1;
}

/* ---- answering ---- */

/* Keys that were asked for again are new ones, or nobody would believe them. */
static void
copy_body(struct replay_transport *r, const struct exchange *e, struct buf *out)
{
	static const char mark[] = "<AccessKeyId>REPLAY";
	struct sv body = buf_view(&e->answer);
	const char *at = NULL;

	if (!strcmp(e->service, "sts"))
		at = memmem(body.p, body.n, mark, sizeof(mark) - 1);
	if (at) {
		size_t n = (size_t)(at - body.p) + sizeof(mark) - 1;

		buf_add(out, body.p, n);
		buf_fmt(out, "%" PRIu64, atomic_fetch_add(&r->keys, 1));
		body.p += n;
		body.n -= n;
	}
	buf_sv(out, body);
}

/* A Date that differs from every other one: streams come in any order, and each must find its clock
 * as far off as it was. */
static void
add_date(struct replay_transport *r, struct buf *headers)
{
	int64_t offset_ms = SKEW_STEP_MS * (int64_t)(1 + atomic_fetch_add(&r->skews, 1));
	time_t at = (time_t)((clock_wall_ms(r->clock) + offset_ms) / 1000);
	struct tm tm = {0};
	char text[64];

	if (gmtime_r(&at, &tm) && strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm))
		buf_fmt(headers, "date: %s\n", text);
}

static int
answer(struct replay_transport *r, const struct exchange *e, const struct http_req *req,
       struct http_resp *resp, struct err *err)
{
	int result;

	if (e->status == 0)
		return err_set(err, e->outcome, "no answer (%s), as recorded in %s",
			       err_kind_name(e->outcome), e->name);
	resp->status = e->status;
	buf_sv(&resp->headers, buf_view(&e->answer_headers));
	if (e->clock_off)
		add_date(r, &resp->headers);
	copy_body(r, e, &resp->body);
	if (buf_check(&resp->headers, "headers", err) || buf_check(&resp->body, "answer", err))
		return -1;
	result = aws_classify(req, resp, err);
	if (result == 0 && e->outcome != ERR_NONE)
		return err_set(err, e->outcome, "a failure (%s), as recorded in %s",
			       err_kind_name(e->outcome), e->name);
	if (result < 0 && e->outcome != ERR_NONE)
		err->kind = e->outcome;
	return result;
}

static int
replay_aws(struct replay_transport *r, const struct http_req *req, struct http_resp *resp,
	   struct err *err)
{
	CLEANUP(buf_done) struct buf strict = BUF_INIT(KEY_MAX), loose = BUF_INIT(KEY_MAX);
	const struct http_resp none = {0};
	struct exchange *asked = NULL;
	struct take *t = NULL;
	int result = tape_mask(req, &none, 0, NULL, &asked, err);

	if (!result)
		result = tape_key(asked, false, &strict, err);
	if (!result)
		result = tape_key(asked, true, &loose, err);
	if (!result) {
		(void)atomic_fetch_add(&r->locked.report->served, 1);
		(void)pthread_mutex_lock(&r->locked.mu);
		t = find_locked(r, buf_view(&strict), buf_view(&loose));
		if (t)
			t->used = true;
		(void)pthread_mutex_unlock(&r->locked.mu);
		result =
		    t ? answer(r, t->e, req, resp, err) : miss(r, asked, buf_cstr(&loose), err);
	}
	exchange_free(asked);
	return result;
}

static int
replay_send(struct transport *t, const struct http_req *req, struct http_resp *resp,
	    struct err *err)
{
	struct replay_transport *r = (struct replay_transport *)t;
	struct err own = {0};
	int result;

	resp_reset(resp);
	if (tape_records(req->service))
		result = replay_aws(r, req, resp, &own);
	else
		result = r->outlet.take(r->outlet.arg, req, resp, &own);
	if (result < 0 && err)
		*err = own;
	return result;
}

static void
replay_free(struct transport *t)
{
	struct replay_transport *r = (struct replay_transport *)t;

	for (size_t i = 0; i < r->n; i++) {
		r->locked.report->unused += !r->takes[i].used;
		free(r->takes[i].loose);
	}
	free(r->takes);
	map_done(&r->strict, free);
	map_done(&r->loose, free);
	(void)pthread_mutex_destroy(&r->locked.mu);
	free(r);
}

int
replay_transport_new(const struct cassette *c, const struct tape_outlet *outlet,
		     struct tape_report *report, struct clock *clock, struct transport **ret,
		     struct err *err)
{
	static const struct transport_ops ops = {"replay", replay_send, replay_free};
	struct replay_transport *r = calloc(1, sizeof(*r));

	if (!r)
		return err_nomem(err);
	r->base.ops = &ops;
	r->outlet = *outlet;
	r->clock = clock;
	r->locked.report = report;
	(void)pthread_mutex_init(&r->locked.mu, NULL); /* cannot fail without attributes */
	r->takes = calloc(c->n + 1, sizeof(*r->takes));
	if (!r->takes) {
		replay_free(&r->base);
		return err_nomem(err);
	}
	for (; r->n < c->n; r->n++) {
		if (load_one(r, &r->takes[r->n], c->exchanges[r->n], err)) {
			(void)err_wrap(err, "%s", c->exchanges[r->n]->name);
			r->n++;
			replay_free(&r->base);
			return -1;
		}
	}
	*ret = &r->base;
	return 0;
}
