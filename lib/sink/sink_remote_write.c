/*
 * The remote_write sink: a cell's samples to a Prometheus-compatible receiver, as remote-write 1.0
 * requests.
 *
 * Receivers want each series in time order, and measure age from the newest timestamp of their
 * whole database. So a cell goes out in slabs of half an hour (fixed on the grid, hence alike in
 * every run), each slab series by series and oldest first, one request at a time. What a refusal
 * means is the business of rw_bisect.c; here are the address, the credentials and the meaning of a
 * status.
 */
#include "aws/endpoint.h"
#include "base/cleanup.h"
#include "base/gate.h"
#include "base/num.h"
#include "base/secret.h"
#include "fmt/snappy.h"
#include "sink/rw_bisect.h"
#include "sink/rw_words.h"
#include "sink/rw_workspace.h"
#include "sink/sink.h"
#include "sink/sink_creds.h"
#include "sink/sink_http.h"

#define SLAB_MS	   ((int64_t)30 * 60 * 1000)
#define ANSWER_MAX ((size_t)1 << 20)
#define BODY_CEILING                                                                               \
	((size_t)4 << 20) /* one sample whose labels alone are larger cannot be sent               \
			   */

#define AT_ONCE                                                                                    \
	4 /* requests that are being written: with more they would only wait for a processor */

struct remote_write {
	struct sink base;
	struct sink_http http;
	struct gate writing;
};

/* One publish: its buffers and its request. */
struct exchange {
	struct remote_write *rw;
	const struct publish *p;
	const struct cell_data *d;
	struct published *count;
	struct buf raw, packed;
	struct secret auth;
	bool series_limit; /* a 429 spoke of one: repeating the next is in vain */
	struct http_resp resp;
};

/* ---- one request ---- */

static int
fill_request(struct exchange *x, struct http_req *req, struct err *err)
{
	static const struct http_header fixed[] = {
	    {"Content-Encoding", "snappy"},
	    {"Content-Type", "application/x-protobuf"},
	    {"X-Prometheus-Remote-Write-Version", "0.1.0"},
	};

	*req = (struct http_req){
	    .method = "POST",
	    .url = x->rw->base.conf->url,
	    .body = buf_view(&x->packed),
	    .limits = {.max_body = ANSWER_MAX},
	    .service = "remote_write",
	    .operation = "RemoteWrite",
	    .account = "",
	    .proto = PROTO_PLAIN,
	    .retry_429 = !x->series_limit,
	    .deadline_mono_ms = x->p->deadline_mono_ms,
	};
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		if (req_header(req, fixed[i].name, fixed[i].value, err) < 0)
			return -1;
	return sink_http_fill(&x->rw->http, req, &x->auth, err);
}

/* Whether the transport's error is about the way there, not about what the request holds. */
static bool
is_passing(enum err_kind k)
{
	return k == ERR_TRANSIENT || k == ERR_CANCELLED || k == ERR_LOCAL || k == ERR_EXPIRED ||
	       k == ERR_SKEW;
}

/*
 * Only a few statuses speak of the samples. All others say that the sink cannot be used, now or at
 * all: the samples stay with the caller.
 */
static int
judge(const struct http_resp *resp, struct rw_answer *ret, struct err *err)
{
	ret->status = resp->status;
	ret->repeated = resp->attempts > 1;
	sink_http_reason(buf_view(&resp->body), ret->reason);
	if (is_passing(err->kind))
		return -1;
	switch (resp->status) {
	case 400:
	case 409:
	case 422:
		if (err->kind == ERR_AUTH || err->kind == ERR_THROTTLED)
			return -1;
		ret->verdict = RW_REFUSED;
		return 0;
	case 413:
		ret->verdict = RW_TOO_LARGE;
		return 0;
	case 429:
		ret->verdict = RW_REFUSED;
		err->kind = ERR_THROTTLED;
		return rw_words_of_series_limit(ret->reason) ? 0 : -1;
	case 401:
	case 403:
		err->kind = ERR_AUTH;
		return -1;
	case 408:
	case 425:
		err->kind = ERR_TRANSIENT;
		return -1;
	case 0:
		return -1;
	default:
		err->kind = resp->status >= 500 ? ERR_TRANSIENT : ERR_REJECTED;
		return -1;
	}
}

static int
check_deadline(struct exchange *x, struct err *err)
{
	struct clock *c = x->rw->http.env->clock;

	if (x->p->deadline_mono_ms > 0 && clock_mono_ms(c) >= x->p->deadline_mono_ms)
		return err_set(err, ERR_TRANSIENT, "the cell's deadline passed");
	return clock_check(c, err);
}

/* Into x->packed. What it is made of, several times as much, is not kept while the receiver is
 * waited for. */
static int
write_body(struct exchange *x, struct rw_part *part, struct err *err)
{
	struct remote_write *rw = x->rw;
	int rc;

	buf_reset(&x->packed);
	if (gate_enter(&rw->writing, 1, rw->http.env->clock, err))
		return -1;
	rc = rw_encode(x->d, part, &x->raw, err);
	if (rc == 0)
		rc = snappy_block_encode(buf_view(&x->raw), &x->packed, err);
	buf_done(&x->raw);
	gate_leave(&rw->writing, 1);
	return rc;
}

static int
send_part(void *arg, struct rw_part *part, struct rw_answer *ret, struct err *err)
{
	struct exchange *x = arg;
	struct err local;
	struct http_req req;

	err_clear(&local);
	err = err ? err : &local;
	if (check_deadline(x, err) < 0)
		return -1;
	resp_reset(&x->resp);
	if (write_body(x, part, err) < 0 || fill_request(x, &req, err) < 0)
		return -1;
	x->count->requests++;
	x->count->bytes += x->packed.n;
	if (transport_send(x->rw->http.env->transport, &req, &x->resp, err) == 0) {
		ret->verdict = RW_TAKEN;
		ret->status = x->resp.status;
		return 0;
	}
	if (judge(&x->resp, ret, err) < 0)
		return -1;
	x->series_limit = x->series_limit || ret->status == 429;
	err_clear(err);
	return 0;
}

/* ---- publish ---- */

static uint64_t
count_all(const struct cell_data *d, int64_t from_ms, int64_t to_ms)
{
	struct rw_part all = {.row1 = d->n_rows, .from_ms = from_ms, .to_ms = to_ms};

	return rw_count(d, &all);
}

static int
deliver_slab(struct rw_delivery *v, int64_t from_ms, int64_t to_ms, struct err *err)
{
	int64_t next_ms = from_ms;
	struct rw_part part;
	size_t row = 0;

	while (rw_cut(v->d, from_ms, to_ms, RW_MAX_BODY, &row, &next_ms, &part))
		if (rw_deliver(v, &part, err) < 0)
			return -1;
	return 0;
}

static int
deliver_from(struct rw_delivery *v, int64_t from_ms, struct err *err)
{
	int64_t oldest, end;

	while (rw_oldest(v->d, from_ms, &oldest)) {
		if (__builtin_add_overflow(cell_floor(oldest, SLAB_MS), SLAB_MS, &end))
			end = INT64_MAX;
		if (deliver_slab(v, from_ms, end, err) < 0)
			return -1;
		from_ms = end;
	}
	return 0;
}

static int64_t
oldest_allowed(const struct sink_conf *c, int64_t now_ms)
{
	int64_t from;

	if (c->max_age_ms <= 0 || __builtin_sub_overflow(now_ms, c->max_age_ms, &from))
		return INT64_MIN;
	return from;
}

static int
rw_publish(struct sink *s, const struct publish *p, const struct cell_data *d,
	   struct published *ret, struct err *err)
{
	struct remote_write *rw = (struct remote_write *)s;
	struct exchange x = {.rw = rw, .p = p, .d = d, .count = ret};
	int64_t from = oldest_allowed(s->conf, p->now_ms);
	struct rw_delivery v;
	uint64_t all;
	int rc;

	if (rw_check(d, err) < 0)
		return -1;
	all = count_all(d, INT64_MIN, INT64_MAX);
	x.raw = BUF_INIT(BODY_CEILING);
	x.packed = BUF_INIT(BODY_CEILING * 2);
	resp_init(&x.resp, ANSWER_MAX);
	rw_delivery_init(&v, d, ret);
	v.send = send_part;
	v.arg = &x;
	v.maybe_sent = p->maybe_sent;
	v.keeps_good = rw->http.amp;
	v.out_of_order_ms = s->conf->out_of_order_ms;
	ret->too_old = from == INT64_MIN ? 0 : all - count_all(d, from, INT64_MAX);
	rc = deliver_from(&v, from, err);
	if (rc == 0)
		rw_delivery_report(&v, p);
	if (rc == 0 && ret->acked + ret->already + ret->too_old + ret->rejected != all)
		rc = err_set(err, ERR_LOCAL, "lost count of the cell's samples");
	rw_delivery_done(&v);
	resp_done(&x.resp);
	secret_done(&x.auth);
	buf_done(&x.raw);
	buf_done(&x.packed);
	return rc;
}

/* ---- open ---- */

static void
rw_free(struct sink *s)
{
	struct remote_write *rw = (struct remote_write *)s;

	sink_http_done(&rw->http);
	gate_done(&rw->writing);
	free(rw);
}

static const struct sink_ops remote_write_ops = {
    .kind = "remote_write",
    .ordered = true,
    .samples = true,
    .publish = rw_publish,
    .free = rw_free,
};

int
sink_remote_write_open(const struct sink_conf *c, const struct sink_env *env, struct sink **ret,
		       struct err *err)
{
	struct remote_write *rw = calloc(1, sizeof(*rw));

	if (!rw)
		return err_nomem(err);
	rw->base = (struct sink){.ops = &remote_write_ops, .conf = c};
	gate_init(&rw->writing, AT_ONCE);
	if (sink_http_open(&rw->http, c, env, err) < 0) {
		rw_free(&rw->base);
		return -1;
	}
	*ret = &rw->base;
	return 0;
}

/* ---- trying out ---- */

/* A request without any series: it is taken or refused like any other, and leaves nothing. */
static int
send_empty(struct remote_write *rw, struct rw_answer *answer, struct err *err)
{
	const struct publish p = {.job = ""};
	struct exchange x = {.rw = rw, .p = &p, .packed = BUF_INIT(64)};
	struct http_req req;
	int rc;

	resp_init(&x.resp, ANSWER_MAX);
	rc = snappy_block_encode(SV(""), &x.packed, err);
	if (rc == 0)
		rc = fill_request(&x, &req, err);
	if (rc == 0)
		rc = transport_send(rw->http.env->transport, &req, &x.resp, err);
	if (rc < 0 && x.resp.status)
		rc = judge(&x.resp, answer, err);
	else
		answer->status = x.resp.status;
	resp_done(&x.resp);
	secret_done(&x.auth);
	buf_done(&x.packed);
	return rc;
}

static bool
try_empty(struct remote_write *rw, const char *workspace, const struct trials *to)
{
	char resource[RW_WORKSPACE_MAX + 2 * SINK_REGION_MAX];
	struct rw_answer answer = {0};
	struct err err = {0};
	struct trial t = {.what = "remote write", .note = "takes a request"};

	(void)snprintf(resource, sizeof(resource), "\"arn:%s:aps:%s:*:workspace/%s\"",
		       endpoint_partition(rw->http.region), rw->http.region, workspace);
	if (rw->base.conf->sigv4_service && !strcmp(rw->base.conf->sigv4_service, "aps")) {
		t.action = "aps:RemoteWrite";
		t.resource = workspace[0] ? resource : NULL;
	}
	/* Those that take samples take none of them, too; a 400 is one of another kind of server.
	 */
	if (send_empty(rw, &answer, &err) == 0 && answer.verdict != RW_TAKEN)
		(void)err_set(&err, ERR_REJECTED,
			      "the receiver refuses a request without samples (%d: %s): check its "
			      "URL",
			      answer.status, answer.reason);
	if (err.kind != ERR_NONE) {
		t.result = TRIAL_FAILED;
		t.err = &err;
	}
	trial_tell(to, &t);
	return t.result == TRIAL_OK;
}

/* The window decides what becomes of late points, so a wrong one in the configuration loses them.
 */
static void
try_order(struct remote_write *rw, const char *workspace, const struct trials *to)
{
	int64_t own_ms = rw->base.conf->out_of_order_ms, its_ms = 0;
	char own[32], its[32], note[256];
	struct trial t = {.what = "out-of-order window", .note = note};
	struct err err = {0};

	num_duration_format(own_ms, own);
	if (rw_workspace_order(rw->http.env->transport, rw->http.creds.use, rw->http.region,
			       workspace, &its_ms, &err) < 0) {
		(void)snprintf(note, sizeof(note),
			       "taken as configured (%s): the workspace does not tell (%.60s; "
			       "aps:DescribeWorkspaceConfiguration is needed for this only)",
			       own, err.code[0] ? err.code : err_kind_name(err.kind));
	} else if (its_ms == own_ms) {
		(void)snprintf(note, sizeof(note), "%s, as configured", own);
	} else {
		num_duration_format(its_ms, its);
		t.result = TRIAL_WARN;
		(void)snprintf(note, sizeof(note),
			       "the workspace's is %s, the configuration says %s: set "
			       "out_of_order: %s",
			       its, own, its);
	}
	trial_tell(to, &t);
}

int
sink_remote_write_try(const struct sink_conf *c, const struct sink_env *env,
		      const struct trials *to, struct err *err)
{
	char workspace[RW_WORKSPACE_MAX] = "";
	struct sink *s = NULL;
	struct remote_write *rw;
	bool amp;

	if (sink_remote_write_open(c, env, &s, err) < 0)
		return -1;
	rw = (struct remote_write *)s;
	amp = c->sigv4_service && !strcmp(c->sigv4_service, "aps") &&
	      rw_workspace_of(c->url, workspace);
	if (sink_creds_try(&rw->http.creds, c, to) && try_empty(rw, workspace, to) && amp)
		try_order(rw, workspace, to);
	sink_free(s);
	return 0;
}
