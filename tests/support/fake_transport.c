/* A scripted transport; see fake_transport.h. */
#include "tests/support/fake_transport.h"

#include <pthread.h>
#include <stdlib.h>

struct fake_transport {
	struct transport base;
	const struct fake_answer *answers;
	size_t n;
	struct clock *clock;
	struct {
		pthread_mutex_t mu;
		size_t calls;
		struct fake_call log[FAKE_CALLS];
	} locked;
};

static void
note_locked(struct fake_transport *f, const struct http_req *req)
{
	struct buf lines = BUF_INIT(1u << 20);
	struct fake_call *c;

	if (f->locked.calls >= FAKE_CALLS)
		return;
	c = &f->locked.log[f->locked.calls];
	for (size_t i = 0; i < req->n_headers; i++)
		buf_fmt(&lines, "%s: %s\n", req->headers[i].name, req->headers[i].value);
	if (req->auth_header)
		buf_fmt(&lines, "Authorization: %s\n", req->auth_header);
	c->headers = buf_steal(&lines);
	c->method = sv_dup(sv_of(req->method));
	c->url = sv_dup(sv_of(req->url));
	c->body = sv_dup(req->body);
	c->mono_ms = clock_mono_ms(f->clock);
}

static int
answer(const struct fake_answer *a, const struct http_req *req, struct http_resp *resp,
       struct err *err)
{
	resp->status = a->status ? a->status : 200;
	if (a->headers)
		buf_str(&resp->headers, a->headers);
	if (a->body)
		buf_str(&resp->body, a->body);
	if (a->classify)
		return a->classify(req, resp, err);
	if (a->kind == ERR_NONE)
		return 0;
	(void)err_set(err, a->kind, "scripted failure");
	if (err) {
		err->http_status = a->status;
		err->retry_after_ms = a->retry_after_ms;
		for (size_t i = 0; a->code && a->code[i] && i + 1 < sizeof(err->code); i++)
			err->code[i] = a->code[i];
	}
	return -1;
}

static int
fake_send(struct transport *t, const struct http_req *req, struct http_resp *resp, struct err *err)
{
	struct fake_transport *f = (struct fake_transport *)t;
	size_t at;

	resp_reset(resp);
	(void)pthread_mutex_lock(&f->locked.mu);
	note_locked(f, req);
	at = f->locked.calls++;
	(void)pthread_mutex_unlock(&f->locked.mu);
	return answer(&f->answers[at < f->n ? at : f->n - 1], req, resp, err);
}

static void
fake_free(struct transport *t)
{
	struct fake_transport *f = (struct fake_transport *)t;

	for (size_t i = 0; i < FAKE_CALLS; i++) {
		free(f->locked.log[i].method);
		free(f->locked.log[i].url);
		free(f->locked.log[i].headers);
		free(f->locked.log[i].body);
	}
	(void)pthread_mutex_destroy(&f->locked.mu);
	free(f);
}

struct transport *
fake_transport_new(const struct fake_answer *answers, size_t n, struct clock *clock)
{
	static const struct transport_ops ops = {"fake", fake_send, fake_free};
	struct fake_transport *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->base.ops = &ops;
	f->answers = answers;
	f->n = n;
	f->clock = clock;
	(void)pthread_mutex_init(&f->locked.mu, NULL);
	return &f->base;
}

int
fake_calls(struct transport *t)
{
	struct fake_transport *f = (struct fake_transport *)t;
	int n;

	(void)pthread_mutex_lock(&f->locked.mu);
	n = (int)f->locked.calls;
	(void)pthread_mutex_unlock(&f->locked.mu);
	return n;
}

const struct fake_call *
fake_call(struct transport *t, size_t i)
{
	return &((struct fake_transport *)t)->locked.log[i];
}
