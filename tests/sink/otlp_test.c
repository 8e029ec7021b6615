/*
 * The otlp sink against a receiver of our own: what is sent of a cell's lines, in which requests,
 * and what each answer means.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "sink/otlp_encode.h"
#include "sink/sink.h"
#include "tests/sink/wire_read.h"

#define MINUTE	 INT64_C(60000)
#define START	 INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define HELD_MAX 2048
#define NAME_MAX 32
#define SIZES	 64

/* ---- the receiver ---- */

/* Knows spans by their names. */
struct receiver {
	struct transport base;
	const char *bad;    /* 400 for requests with a span whose name contains it */
	const char *answer; /* of a 200, with its length */
	size_t answer_n;
	unsigned fail_at; /* this request (from 1) ends so, and all after it; 0: none */
	int fail_status;
	enum err_kind fail_kind;

	char held[HELD_MAX][NAME_MAX];
	size_t n_held, groups; /* of the last request */
	unsigned requests;
	size_t sizes[SIZES];
	char url[256], headers[512];
};

static int
say(struct http_resp *resp, int status, enum err_kind kind, struct sv body, struct err *err)
{
	resp->status = status;
	buf_sv(&resp->body, body);
	if (kind == ERR_NONE)
		return 0;
	(void)err_set(err, kind, "status %d", status);
	err->http_status = status;
	return -1;
}

static void
name_of(struct reader span, char name[NAME_MAX])
{
	unsigned field = 0, type = 0;
	struct reader sub = {0};
	uint64_t v;

	*name = '\0';
	while (*name == '\0' && span.p < span.end) {
		assert_true(read_field(&span, &field, &type, &v, &sub));
		if (field == 5 && type == 2)
			(void)snprintf(name, NAME_MAX, "%.*s", (int)read_view(sub).n,
				       read_view(sub).p);
	}
}

/* All names of a request, one after the other. */
static size_t
names_of(struct reader r, char names[][NAME_MAX], size_t *groups)
{
	unsigned field = 0, type = 0;
	struct reader of = {0}, scope = {0}, span = {0};
	size_t n = 0;
	uint64_t v;

	for (*groups = 0; r.p < r.end; (*groups)++) {
		assert_true(read_field(&r, &field, &type, &v, &of) && field == 1 && type == 2);
		while (of.p < of.end) {
			assert_true(read_field(&of, &field, &type, &v, &scope) && type == 2);
			while (field == 2 && scope.p < scope.end) {
				unsigned f = 0;

				assert_true(read_field(&scope, &f, &type, &v, &span));
				assert_true(n < HELD_MAX);
				if (f == 2)
					name_of(span, names[n++]);
			}
		}
	}
	return n;
}

static int
receiver_send(struct transport *t, const struct http_req *req, struct http_resp *resp,
	      struct err *err)
{
	static char names[HELD_MAX][NAME_MAX];
	struct receiver *x = (struct receiver *)t;
	const unsigned char *p = (const unsigned char *)req->body.p;
	size_t at = 0, n = names_of((struct reader){p, p + req->body.n}, names, &x->groups);

	(void)snprintf(x->url, sizeof(x->url), "%s", req->url);
	for (size_t i = 0; i < req->n_headers; i++)
		at += (size_t)snprintf(x->headers + at, sizeof(x->headers) - at, "%s: %s\n",
				       req->headers[i].name, req->headers[i].value);
	assert_true(req->retry_429);
	if (x->requests < SIZES)
		x->sizes[x->requests] = n;
	x->requests++;
	if (x->fail_at && x->requests >= x->fail_at)
		return say(resp, x->fail_status, x->fail_kind, SV("no"), err);
	for (size_t i = 0; i < n; i++)
		if (x->bad && strstr(names[i], x->bad))
			return say(resp, 400, ERR_REJECTED, SV("no\nsuch span"), err);
	for (size_t i = 0; i < n; i++) {
		assert_true(x->n_held < HELD_MAX);
		memcpy(x->held[x->n_held++], names[i], NAME_MAX);
	}
	return say(resp, 200, ERR_NONE, (struct sv){x->answer ? x->answer : "", x->answer_n}, err);
}

static void
receiver_free(struct transport *t)
{
	free(t);
}

/* ---- a sink and its world ---- */

struct refusals {
	size_t n;
	int status;
	double value;
	char what[32], label[64], reason[256];
};

static void
note(void *arg, const struct series *s, int64_t ts_ms, double value, int status, const char *reason)
{
	struct refusals *r = arg;

	assert_true(ts_ms >= START);
	r->n++;
	r->status = status;
	r->value = value;
	(void)snprintf(r->what, sizeof(r->what), "%s", s->name);
	(void)snprintf(r->label, sizeof(r->label), "%s", s->labels[s->n_labels - 1].value);
	(void)snprintf(r->reason, sizeof(r->reason), "%s", reason);
}

struct bench {
	struct receiver *x;
	struct sink_conf conf;
	struct sink_env env;
	struct published done;
	struct refusals refusals;
	struct err err;
	struct cell_data d;
};

static void
bench_init(struct bench *b)
{
	static const struct transport_ops ops = {"receiver", receiver_send, receiver_free};

	*b = (struct bench){.x = calloc(1, sizeof(*b->x))};
	assert_non_null(b->x);
	b->x->base.ops = &ops;
	b->conf =
	    (struct sink_conf){.name = "jaeger", .kind = SINK_OTLP, .url = "http://jaeger:4318"};
	b->env = (struct sink_env){
	    .transport = &b->x->base, .clock = clock_real(), .region = "eu-west-1"};
	cell_data_init(&b->d, (struct cell){START, START + 5 * MINUTE});
}

#define LINE                                                                                       \
	"{\"traceId\":\"581cf771a006649127e371903a2de979\",\"spanId\":\"%016zx\",\"name\":\"%s%"   \
	"04zu\","                                                                                  \
	"\"startTimeUnixNano\":\"%lld000000\",\"endTimeUnixNano\":\"%lld500000\",\"resource\":{"   \
	"\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"s%zu\"}}]}}\n"

/* So many spans, of `services` services. */
static void
bench_spans(struct bench *b, const char *name, size_t n, size_t services)
{
	for (size_t i = 0; i < n; i++)
		buf_fmt(&b->d.ndjson, LINE, i + 1, name, i, (long long)START, (long long)START,
			i % services);
	b->d.n_lines = n;
	assert_true(buf_ok(&b->d.ndjson));
}

static int
bench_publish(struct bench *b)
{
	const struct publish p = {.job = "traces",
				  .tenant = "acme",
				  .account = "111122223333",
				  .region = "eu-west-1",
				  .definition = "",
				  .now_ms = START + 60 * MINUTE,
				  .deadline_mono_ms = INT64_MAX,
				  .reject = note,
				  .reject_arg = &b->refusals};
	struct sink *s;
	int rc;

	b->done = (struct published){0};
	b->refusals = (struct refusals){0};
	if (sink_open(&b->conf, &b->env, &s, &b->err) < 0)
		fail_msg("%s", b->err.msg);
	rc = s->ops->publish(s, &p, &b->d, &b->done, &b->err);
	assert_true(s->ops->ordered && !s->ops->samples && !s->ops->read);
	sink_free(s);
	return rc;
}

static void
bench_done(struct bench *b)
{
	cell_data_done(&b->d);
	transport_free(&b->x->base);
}

static void
assert_done(const struct bench *b, uint64_t acked, uint64_t rejected)
{
	assert_int_equal(b->done.acked, acked);
	assert_int_equal(b->done.rejected, rejected);
	assert_int_equal(b->done.already + b->done.too_old, 0);
}

/* ---- what is sent ---- */

static void
test_request(void **state)
{
	static struct conf_pair pair = {"X-Scope-OrgID", "acme"};
	struct bench b;

	(void)state;
	bench_init(&b);
	b.conf.headers = (struct conf_map){&pair, 1};
	bench_spans(&b, "a", 5, 2);
	assert_int_equal(bench_publish(&b), 0);
	assert_done(&b, 5, 0);
	assert_string_equal(b.x->url, "http://jaeger:4318/v1/traces");
	assert_non_null(strstr(b.x->headers, "Content-Type: application/x-protobuf\n"));
	assert_non_null(strstr(b.x->headers, "X-Scope-OrgID: acme\n"));
	assert_int_equal(b.x->n_held, 5);
	assert_int_equal(b.x->groups, 2); /* a resource is sent once */
	assert_int_equal(b.done.requests, 1);
	assert_true(b.done.bytes > 0);
	bench_done(&b);
}

static void
test_urls(void **state)
{
	static const char *const urls[][2] = {
	    {"http://a:4318/", "http://a:4318/v1/traces"},
	    {"http://a:4318/v1/traces", "http://a:4318/v1/traces"},
	    {"http://a/otlp/", "http://a/otlp/v1/traces"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		struct bench b;

		bench_init(&b);
		b.conf.url = urls[i][0];
		bench_spans(&b, "a", 1, 1);
		assert_int_equal(bench_publish(&b), 0);
		assert_string_equal(b.x->url, urls[i][1]);
		bench_done(&b);
	}
}

static void
test_a_cell_without_spans_asks_nobody(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	assert_int_equal(bench_publish(&b), 0);
	assert_done(&b, 0, 0);
	assert_int_equal(b.x->requests, 0);
	bench_done(&b);
}

static void
test_batches(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	bench_spans(&b, "a", 1200, 700);
	assert_int_equal(bench_publish(&b), 0);
	assert_done(&b, 1200, 0);
	assert_int_equal(b.x->requests, 3);
	assert_int_equal(b.x->sizes[0], 500);
	assert_int_equal(b.x->sizes[2], 200);
	assert_int_equal(b.x->n_held, 1200);
	bench_done(&b);
}

/* The bytes themselves, by the specification. */
static void
test_bytes(void **state)
{
	static const unsigned char want[] =
	    {
		0x0a, 0x67,					     /* resource_spans */
		0x0a, 0x13,					     /* resource */
		0x0a, 0x0f, 0x0a, 0x04, 'f',  'l',  'a',  'g',	     /* attribute */
		0x12, 0x07, 0x2a, 0x05, 0x0a, 0x03, 0x0a, 0x01, 'x', /* list of texts */
		0x10, 0x02,					     /* 2 dropped */
		0x12, 0x50,					     /* scope_spans */
		0x0a, 0x03, 0x0a, 0x01, 'l',			     /* scope */
		0x12, 0x49,					     /* span */
		0x0a, 0x10, 0,	  0,	0,    0,    0,	  0,	0,    0, 0,
		0,    0,    0,	  0,	0,    0,    0x0a, 0x12, 0x08, 0, 0,
		0,    0,    0,	  0,	0,    0x0b, 0x2a, 0x01, 'n',  /* name */
		0x30, 0x03,					      /* kind */
		0x39, 1,    0,	  0,	0,    0,    0,	  0,	0,    /* start */
		0x41, 2,    0,	  0,	0,    0,    0,	  0,	0,    /* end */
		0x4a, 0x07, 0x0a, 0x01, 'b',  0x12, 0x02, 0x10, 0x01, /* true */
		0x4a, 0x07, 0x0a, 0x01, 'i',  0x12, 0x02, 0x18, 0x05, /* 5 */
		0x7a, 0x02, 0x18, 0x02,				      /* status: error */
	    };
	struct arena a = ARENA_INIT((size_t)1 << 20);
	struct buf out = BUF_INIT((size_t)1 << 20);
	struct otlp_batch batch;
	struct err err = {0};
	const char *why;
	struct span s;

	(void)state;
	assert_true(span_read(
	    json_tree_parse(
		SV("{\"traceId\":\"0000000000000000000000000000000a\",\"spanId\":"
		   "\"000000000000000b\",\"name\":\"n\",\"kind\":3,\"startTimeUnixNano\":1,"
		   "\"endTimeUnixNano\":2,\"status\":{\"code\":2},\"attributes\":{\"b\":true,"
		   "\"i\":5},\"scope\":{\"name\":\"l\"},\"resource\":{\"attributes\":{"
		   "\"flag\":[\"x\"]},\"droppedAttributesCount\":2}}"),
		&a),
	    &a, &s, &why));
	otlp_batch_init(&batch);
	assert_int_equal(otlp_batch_add(&batch, &s, &err), 0);
	assert_int_equal(otlp_batch_request(&batch, 0, 1, &out, &err), 0);
	assert_int_equal(out.n, sizeof(want));
	assert_memory_equal(out.p, want, sizeof(want));
	otlp_batch_done(&batch);
	buf_done(&out);
	arena_done(&a);
}

/* ---- answers ---- */

static void
test_one_refused_span_costs_one(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	b.x->bad = "a0123";
	bench_spans(&b, "a", 1200, 3);
	assert_int_equal(bench_publish(&b), 0);
	assert_done(&b, 1199, 1);
	assert_int_equal(b.x->n_held, 1199);
	assert_int_equal(b.refusals.n, 1);
	assert_int_equal(b.refusals.status, 400);
	assert_string_equal(b.refusals.what, "span");
	assert_string_equal(b.refusals.label, "581cf771a006649127e371903a2de979");
	assert_string_equal(b.refusals.reason, "no such span");
	assert_true(b.refusals.value == 0.0005);
	assert_true(b.x->requests <= 3 + 2 * 9);
	bench_done(&b);
	bench_init(&b);
	b.x->bad = "a";
	bench_spans(&b, "a", 5, 1);
	assert_int_equal(bench_publish(&b), 0);
	assert_done(&b, 0, 5);
	assert_int_equal(b.refusals.n, 5);
	bench_done(&b);
}

/* What it has taken but for some is not sent again. */
static void
test_partial_success(void **state)
{
	/* With fields of a later version, too. */
	static const char partial[] = "\x19\1\2\3\4\5\6\7\x08\x1d\1\2\3\4\x0a\x0e\x1d\0\0\0\0"
				      "\x08\x03\x12\x05no\nno",
			  warning[] = "\x0a\x04\x12\x02hm";
	struct bench b;

	(void)state;
	bench_init(&b);
	b.x->answer = partial;
	b.x->answer_n = sizeof(partial) - 1;
	bench_spans(&b, "a", 10, 1);
	assert_int_equal(bench_publish(&b), 0);
	assert_done(&b, 7, 3);
	assert_int_equal(b.x->requests, 1);
	assert_int_equal(b.refusals.n, 1);
	assert_string_equal(b.refusals.what, "spans");
	assert_string_equal(b.refusals.label, "3");
	assert_string_equal(b.refusals.reason, "no no");
	bench_done(&b);
	/* More than there were: all. */
	bench_init(&b);
	b.x->answer = partial;
	b.x->answer_n = sizeof(partial) - 1;
	bench_spans(&b, "a", 1, 1);
	assert_int_equal(bench_publish(&b), 0);
	assert_done(&b, 0, 1);
	assert_string_equal(b.refusals.what, "span");
	bench_done(&b);
	/* A warning is none; neither is an answer that is not protobuf. */
	for (int i = 0; i < 2; i++) {
		bench_init(&b);
		b.x->answer = i ? "{\"partialSuccess\":{}}" : warning;
		b.x->answer_n = i ? 21 : sizeof(warning) - 1;
		bench_spans(&b, "a", 2, 1);
		assert_int_equal(bench_publish(&b), 0);
		assert_done(&b, 2, 0);
		assert_int_equal(b.refusals.n, 0);
		bench_done(&b);
	}
}

static void
test_a_receiver_that_cannot_be_used(void **state)
{
	static const struct {
		int status;
		enum err_kind kind;
	} cases[] = {{503, ERR_TRANSIENT}, {429, ERR_THROTTLED}, {500, ERR_TRANSIENT},
		     {401, ERR_AUTH},	   {404, ERR_NOTFOUND},	 {0, ERR_TRANSIENT}};
	struct bench b;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bench_init(&b);
		b.x->fail_at = 2;
		b.x->fail_status = cases[i].status;
		b.x->fail_kind = cases[i].kind;
		bench_spans(&b, "a", 600, 1);
		assert_int_equal(bench_publish(&b), -1);
		assert_int_equal(b.err.kind, cases[i].kind);
		assert_int_equal(b.refusals.n, 0);
		bench_done(&b);
	}
}

static void
test_lines_that_are_no_spans(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	buf_str(&b.d.ndjson, "{}\n");
	assert_int_equal(bench_publish(&b), -1);
	assert_int_equal(b.err.kind, ERR_DATA);
	assert_int_equal(b.x->requests, 0);
	bench_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_request),
	    cmocka_unit_test(test_urls),
	    cmocka_unit_test(test_a_cell_without_spans_asks_nobody),
	    cmocka_unit_test(test_batches),
	    cmocka_unit_test(test_bytes),
	    cmocka_unit_test(test_one_refused_span_costs_one),
	    cmocka_unit_test(test_partial_success),
	    cmocka_unit_test(test_a_receiver_that_cannot_be_used),
	    cmocka_unit_test(test_lines_that_are_no_spans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
