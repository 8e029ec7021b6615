/*
 * The otlp sink: spans by OTLP over HTTP, in protobuf, to Jaeger, an OpenTelemetry collector or any
 * other receiver of it.
 *
 * What is sent is made of a cell's lines, so it is what the lake has, and a frozen cell sends the
 * same. A request that is refused is sent in halves until the span is found that cannot be taken;
 * where the receiver has taken all but some (partial success), nothing is sent again, as the
 * protocol wants it: these are counted, and its words kept. A span may be sent twice, after an
 * answer that was lost or a run that was killed; receivers know it by its ids.
 */
#include "base/cleanup.h"
#include "base/log.h"
#include "model/span_cell.h"
#include "sink/otlp_encode.h"
#include "sink/sink_post.h"

#define PATH	 "/v1/traces"
#define BODY_MAX ((size_t)64 << 20)
/* Of one request; collectors take 20 MiB as they come. */
#define BATCH_SPANS 500
#define BATCH_BYTES ((size_t)2 << 20)
#define NS_PER_MS   1000000u
#define NS_PER_S    1e9
#define COUNT_TEXT  24

static const struct post_kind kind = {
    .service = "otlp",
    .operation = "ExportTraces",
    .type = "application/x-protobuf",
    .what = "spans",
};

/* One publish. */
struct round {
	struct post_sink *sink;
	const struct publish *p;
	struct published *count;
	struct cell cell;
	struct otlp_batch batch;
	struct buf body;
};

/* ---- refusals ---- */

/* Put on record: this span, or so many that the receiver does not name. */
static void
refuse(const struct round *r, const struct otlp_item *i, uint64_t n, int status, struct sv words)
{
	char reason[SINK_REASON_MAX], count[COUNT_TEXT];
	const struct label one[] = {{"span_id", i ? i->span_id : ""},
				    {"trace_id", i ? i->trace_id : ""}};
	const struct label some[] = {{"count", count}};
	const struct series what = {.name = i ? "span" : "spans",
				    .labels = i ? one : some,
				    .n_labels = i ? ARRAY_LEN(one) : ARRAY_LEN(some)};

	sink_http_reason(words, reason);
	(void)snprintf(count, sizeof(count), "%llu", (unsigned long long)n);
	log_event(LOG_WARN, "spans refused", LOG_S("sink", r->sink->base.conf->name),
		  LOG_S("tenant", r->p->tenant), LOG_I("spans", (int64_t)n),
		  LOG_S("trace", i ? i->trace_id : ""), LOG_I("status", status),
		  LOG_S("reason", reason));
	if (r->p->reject)
		r->p->reject(r->p->reject_arg, &what,
			     i ? (int64_t)(i->start_ns / NS_PER_MS) : r->cell.start_ms,
			     i ? (double)(i->end_ns - i->start_ns) / NS_PER_S : (double)n, status,
			     reason);
	r->count->rejected += n;
}

/* A 2xx that took all but some, or all with a warning. */
static void
look_at_answer(const struct round *r, size_t from, size_t n, const struct http_resp *resp)
{
	char warning[SINK_REASON_MAX];
	struct sv message;
	uint64_t rejected;

	if (!otlp_refusal(buf_view(&resp->body), &rejected, &message))
		return;
	if (rejected) {
		refuse(r, n == 1 ? &r->batch.items[from] : NULL, rejected < n ? rejected : n,
		       resp->status, message);
		return;
	}
	sink_http_reason(message, warning);
	log_event(LOG_WARN, "the receiver of spans warns", LOG_S("sink", r->sink->base.conf->name),
		  LOG_S("tenant", r->p->tenant), LOG_S("reason", warning));
}

static int
send_spans(void *arg, size_t from, size_t n, struct err *err)
{
	struct round *r = arg;
	struct http_resp resp;
	int rc = otlp_batch_request(&r->batch, from, n, &r->body, err);

	if (rc)
		return -1;
	resp_init(&resp, POST_ANSWER_MAX);
	rc = post_sink_send(r->sink, &kind, &r->body, r->p, r->count, &resp, err);
	if (!rc)
		look_at_answer(r, from, n, &resp);
	if (rc == 1 && n == 1) {
		err_clear(err);
		refuse(r, &r->batch.items[from], 1, resp.status, buf_view(&resp.body));
		rc = 0;
	}
	resp_done(&resp);
	return rc;
}

static int
send_batch(struct round *r, struct err *err)
{
	size_t n = r->batch.n_items;
	int rc = n ? post_in_halves(send_spans, r, 0, n, err) : 0;

	r->count->acked += rc ? 0 : n;
	otlp_batch_reset(&r->batch);
	return rc;
}

static int
add_span(void *arg, const struct span *s, struct err *err)
{
	struct round *r = arg;

	if (otlp_batch_add(&r->batch, s, err))
		return -1;
	return r->batch.n_items >= BATCH_SPANS || r->batch.spans.n >= BATCH_BYTES
		   ? send_batch(r, err)
		   : 0;
}

static int
otlp_publish(struct sink *s, const struct publish *p, const struct cell_data *d,
	     struct published *ret, struct err *err)
{
	struct round r = {.sink = (struct post_sink *)s,
			  .p = p,
			  .count = ret,
			  .cell = d->cell,
			  .body = BUF_INIT(BODY_MAX)};
	uint64_t rejected_before = ret->rejected;
	int rc;

	otlp_batch_init(&r.batch);
	rc = span_lines_each(d, add_span, &r, err);
	if (!rc)
		rc = send_batch(&r, err);
	ret->acked -= rc ? 0 : ret->rejected - rejected_before;
	otlp_batch_done(&r.batch);
	buf_done(&r.body);
	return rc;
}

/* ---- opening and trying out ---- */

static const struct sink_ops otlp_ops = {
    .kind = "otlp",
    .ordered = true,
    .samples = false,
    .publish = otlp_publish,
    .free = post_sink_free,
};

int
sink_otlp_open(const struct sink_conf *c, const struct sink_env *env, struct sink **ret,
	       struct err *err)
{
	return post_sink_open(&otlp_ops, PATH, c, env, ret, err);
}

/* With no spans at all: an empty request is a valid one. */
int
sink_otlp_try(const struct sink_conf *c, const struct sink_env *env, const struct trials *to,
	      struct err *err)
{
	struct trial t = {.what = "spans"};
	struct sink *s = NULL;
	struct post_sink *ps;

	if (sink_otlp_open(c, env, &s, err) < 0)
		return -1;
	ps = (struct post_sink *)s;
	if (sink_creds_try(&ps->http.creds, c, to))
		post_sink_try(ps, &kind, &BUF_INIT(0), t, to);
	sink_free(s);
	return 0;
}
