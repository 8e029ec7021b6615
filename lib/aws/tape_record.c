/*
 * The recording transport: passes everything on, and keeps what may be kept. It never gets in the
 * way: where something cannot be kept the run goes on, and the cassette is not written.
 */
#include <pthread.h>
#include <stdlib.h>

#include "aws/tape.h"

struct record_transport {
	struct transport base;
	struct transport *next;
	struct {
		pthread_mutex_t mu;
		struct recording *to;
	} locked;
};

static void
keep(struct record_transport *r, const struct http_req *req, const struct http_resp *resp,
     int result, const struct err *why)
{
	struct exchange *e = NULL;
	struct err err = {0};
	int failed = tape_mask(req, resp, result, why, &e, &err);

	(void)pthread_mutex_lock(&r->locked.mu);
	if (!failed)
		failed = cassette_add(r->locked.to->cassette, e, &err);
	if (failed && r->locked.to->failed.kind == ERR_NONE)
		r->locked.to->failed = err;
	(void)pthread_mutex_unlock(&r->locked.mu);
}

static int
record_send(struct transport *t, const struct http_req *req, struct http_resp *resp,
	    struct err *err)
{
	struct record_transport *r = (struct record_transport *)t;
	struct err own = {0};
	int result = transport_send(r->next, req, resp, &own);

	/* What a stop cut off did not happen. */
	if (tape_records(req->service) && !req->unrecorded &&
	    !(result < 0 && own.kind == ERR_CANCELLED))
		keep(r, req, resp, result, &own);
	if (result < 0 && err)
		*err = own;
	return result;
}

static void
record_free(struct transport *t)
{
	struct record_transport *r = (struct record_transport *)t;

	transport_free(r->next);
	(void)pthread_mutex_destroy(&r->locked.mu);
	free(r);
}

int
record_transport_new(struct transport *next, struct recording *to, struct transport **ret,
		     struct err *err)
{
	static const struct transport_ops ops = {"record", record_send, record_free};
	struct record_transport *r = calloc(1, sizeof(*r));

	if (!r)
		return err_nomem(err);
	r->base.ops = &ops;
	r->next = next;
	r->locked.to = to;
	(void)pthread_mutex_init(&r->locked.mu, NULL); /* cannot fail without attributes */
	*ret = &r->base;
	return 0;
}
