/* Requests that are taken or refused whole; see sink_post.h. */
#include "sink/sink_post.h"

#include <stdlib.h>

#define URL_MAX ((size_t)8192)

void
post_sink_free(struct sink *s)
{
	struct post_sink *ps = (struct post_sink *)s;

	sink_http_done(&ps->http);
	buf_done(&ps->url);
	free(ps);
}

int
post_sink_open(const struct sink_ops *ops, const char *path, const struct sink_conf *c,
	       const struct sink_env *env, struct sink **ret, struct err *err)
{
	struct post_sink *ps = calloc(1, sizeof(*ps));

	if (!ps)
		return err_nomem(err);
	ps->base = (struct sink){.ops = ops, .conf = c};
	ps->url = BUF_INIT(URL_MAX);
	if (sink_http_open(&ps->http, c, env, err) < 0 ||
	    sink_http_url(&ps->url, c->url, path, err) < 0) {
		post_sink_free(&ps->base);
		return -1;
	}
	*ret = &ps->base;
	return 0;
}

/* Statuses that speak of the request, not of the receiver or of who asks. */
static bool
is_refusal(int status)
{
	return status == 400 || status == 413 || status == 422;
}

int
post_sink_send(struct post_sink *s, const struct post_kind *kind, const struct buf *body,
	       const struct publish *p, struct published *count, struct http_resp *resp,
	       struct err *err)
{
	struct secret auth = {0};
	struct http_req req = {
	    .method = "POST",
	    .url = buf_cstr(&s->url),
	    .body = buf_view(body),
	    .limits = {.max_body = POST_ANSWER_MAX},
	    .service = kind->service,
	    .operation = kind->operation,
	    .account = "",
	    .proto = PROTO_PLAIN,
	    .retry_429 = true,
	    .deadline_mono_ms = p->deadline_mono_ms,
	};
	int rc = buf_check(body, kind->what, err);

	if (!rc)
		rc = req_header(&req, "Content-Type", kind->type, err);
	if (!rc)
		rc = sink_http_fill(&s->http, &req, &auth, err);
	if (!rc)
		rc = transport_send(s->http.env->transport, &req, resp, err);
	secret_done(&auth);
	if (count && resp->status) {
		count->requests++;
		count->bytes += body->n;
	}
	return rc && is_refusal(resp->status) ? 1 : rc;
}

int
post_in_halves(post_part_fn send, void *arg, size_t from, size_t n, struct err *err)
{
	size_t half = n / 2;
	int rc = send(arg, from, n, err);

	if (rc != 1)
		return rc;
	err_clear(err);
	rc = post_in_halves(send, arg, from, half, err);
	return rc ? rc : post_in_halves(send, arg, from + half, n - half, err);
}

void
post_sink_try(struct post_sink *s, const struct post_kind *kind, const struct buf *empty,
	      struct trial t, const struct trials *to)
{
	const struct publish p = {.job = ""};
	struct http_resp resp;
	struct err err = {0};

	t.note = "takes a request";
	resp_init(&resp, POST_ANSWER_MAX);
	if (post_sink_send(s, kind, empty, &p, NULL, &resp, &err)) {
		t.result = TRIAL_FAILED;
		t.err = &err;
	}
	trial_tell(to, &t);
	resp_done(&resp);
}
