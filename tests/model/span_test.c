/* Spans: from X-Ray's segments and from aws/spans, to lines and series, and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <math.h>

#include "base/cleanup.h"
#include "fmt/json.h"
#include "fmt/json_scan.h"
#include "model/span_cell.h"
#include "model/span_xray.h"
#include "tests/support/data.h"

#define T	  1767225600000LL /* 2026-01-01T00:00:00Z */
#define MINUTE_MS 60000LL
#define TRACE	  "1-581cf771-a006649127e371903a2de979"
#define TRACE_HEX "581cf771a006649127e371903a2de979"

static const struct label own[] = {{"service", "no"}, {"tier", "gold"}};
static const struct span_owner owner = {
    .origin = {"acme", "111122223333", "eu-west-1", "traces"}, .labels = own, .n_labels = 2};

struct rig {
	struct arena a;
	struct spans spans;
	uint64_t rejected;
};

static void
convert_as(struct rig *r, const char *id, const char *const *docs, size_t n, bool cut)
{
	struct sv texts[16];
	const struct span_trace t = {.id = id, .documents = texts, .n = n, .cut = cut};
	struct err err = {0};

	*r = (struct rig){.a = ARENA_INIT((size_t)64 << 20), .spans = SPANS_INIT};
	for (size_t i = 0; i < n; i++)
		texts[i] = sv_of(docs[i]);
	assert_int_equal(span_xray(&t, &r->a, &r->spans, &r->rejected, &err), 0);
}

static void
convert(struct rig *r, const char *doc)
{
	convert_as(r, TRACE, &doc, 1, false);
}

static void
rig_done(struct rig *r)
{
	spans_done(&r->spans);
	arena_done(&r->a);
}

static const char *
attr(const struct span_attrs *in, const char *key)
{
	static char text[4096];
	const struct span_attr *v = span_attr_find(in, key);

	if (!v)
		return "(none)";
	(void)snprintf(text, sizeof(text), "%d:%.*s", (int)v->type, (int)v->text.n,
		       v->text.n ? v->text.p : "");
	return text;
}
#define assert_attr(in, key, value) assert_string_equal(attr(in, key), value)
#define assert_sv(s, text)	    assert_true(sv_eq(s, sv_of(text)))

static void
test_ids(void **state)
{
	char id[SPAN_TRACE_HEX + 1];

	(void)state;
	assert_true(span_id_read(SV("70DE5b6f19ff9a0A"), SPAN_ID_HEX, id));
	assert_string_equal(id, "70de5b6f19ff9a0a");
	assert_false(span_id_read(SV("0000000000000000"), SPAN_ID_HEX, id));
	assert_string_equal(id, "");
	assert_false(span_id_read(SV("70de5b6f19ff9a0"), SPAN_ID_HEX, id));
	assert_false(span_id_read(SV("70de5b6f19ff9a0g"), SPAN_ID_HEX, id));
	assert_false(span_id_read(SV(""), SPAN_ID_HEX, id));
}

/* A double has not the digits that these take. */
static void
test_times_are_exact(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
	    {"1478293361.271", 1478293361271000000u},
	    {"1596648396.6399446", 1596648396639944600u},
	    {"1596648396.123456789", 1596648396123456789u},
	    {"1596648396.1234567899", 1596648396123456789u},
	    {"1.568835610432E9", 1568835610432000000u},
	    {"15688356104320e-4", 1568835610432000000u},
	    {"0", 0},
	    {"0.000000001", 1},
	    {"1e-300", 0},
	    {"18446744073.709551615", UINT64_MAX},
	};
	static const char *const bad[] = {
	    "",	    "-1",  ".5",  "1e",	   "1e401",    "18446744073.709551616",
	    "1e11", "NaN", "1x2", "1.2.3", "Infinity", "1e99999999999999999999"};
	uint64_t ns;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(span_decimal(sv_of(good[i].text), 9, &ns));
		assert_true(ns == good[i].ns);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(span_decimal(sv_of(bad[i]), 9, &ns));
}

#define SEGMENT(rest)                                                                              \
	"{\"name\":\"shop\",\"id\":\"70de5b6f19ff9a0a\",\"start_time\":1478293361.271,"            \
	"\"end_time\":1478293361.449,\"trace_id\":\"" TRACE "\"" rest "}"

static void
test_a_segment_is_a_server_span(void **state)
{
	struct rig r;
	const struct span *s;

	(void)state;
	convert(&r,
		SEGMENT(",\"parent_id\":\"53995c3f42cd8ad8\",\"origin\":\"AWS::ECS::Container\","
			"\"service\":{\"version\":\"1.2\"},\"user\":\"ola\",\"aws\":{"
			"\"account_id\":\"999988887777\",\"ecs\":{\"container\":\"c1\"},"
			"\"xray\":{\"sdk\":\"X-Ray for Go\"}},\"http\":{\"request\":{\"method\":"
			"\"GET\",\"url\":\"http://a/b\",\"client_ip\":\"1.2.3.4\","
			"\"user_agent\":\"curl\"},\"response\":{\"status\":200,"
			"\"content_length\":\"86\"}},\"annotations\":{\"theme\":\"flat\",\"n\":3,"
			"\"f\":0.5,\"b\":false,\"url.full\":\"mine\"},\"metadata\":{\"debug\":{"
			"\"x\":[1,2.50]}}"));
	assert_int_equal(r.spans.n, 1);
	s = r.spans.v;
	assert_string_equal(s->trace_id, TRACE_HEX);
	assert_string_equal(s->span_id, "70de5b6f19ff9a0a");
	assert_string_equal(s->parent_id, "53995c3f42cd8ad8");
	assert_sv(s->name, "shop");
	assert_int_equal(s->kind, SPAN_SERVER);
	assert_int_equal(s->status, SPAN_UNSET);
	assert_true(s->start_ns == 1478293361271000000u && s->end_ns == 1478293361449000000u);
	assert_attr(&s->resource, "service.name", "0:shop");
	assert_attr(&s->resource, "service.version", "0:1.2");
	assert_attr(&s->resource, "cloud.platform", "0:aws_ecs");
	assert_attr(&s->resource, "cloud.account.id", "0:999988887777");
	assert_attr(&s->resource, "container.name", "0:c1");
	assert_attr(&s->resource, "telemetry.sdk.name", "0:X-Ray for Go");
	assert_attr(&s->attrs, "http.request.method", "0:GET");
	assert_attr(&s->attrs, "url.full", "0:http://a/b");
	assert_attr(&s->attrs, "annotation.url.full", "0:mine");
	assert_attr(&s->attrs, "client.address", "0:1.2.3.4");
	assert_attr(&s->attrs, "user_agent.original", "0:curl");
	assert_attr(&s->attrs, "http.response.status_code", "2:200");
	assert_attr(&s->attrs, "http.response.body.size", "2:86");
	assert_attr(&s->attrs, "enduser.id", "0:ola");
	assert_attr(&s->attrs, "theme", "0:flat");
	assert_attr(&s->attrs, "n", "2:3");
	assert_attr(&s->attrs, "f", "3:0.5");
	assert_attr(&s->attrs, "b", "1:false");
	assert_attr(&s->attrs, "aws.xray.metadata.debug", "0:{\"x\":[1,2.50]}");
	rig_done(&r);
}

static void
test_subsegments_are_nested(void **state)
{
	struct rig r;

	(void)state;
	convert(&r,
		SEGMENT(",\"subsegments\":[{\"id\":\"0f910026178b71eb\",\"name\":\"DynamoDB\","
			"\"start_time\":1478293361.3,\"end_time\":1478293361.4,\"namespace\":"
			"\"aws\",\"aws\":{\"operation\":\"UpdateItem\",\"table_name\":\"users\","
			"\"request_id\":\"R1\",\"retries\":2,\"resource_names\":[\"users\"]}},{"
			"\"id\":\"1f910026178b71eb\",\"name\":\"work\",\"start_time\":1478293361.3,"
			"\"end_time\":1478293361.4,\"subsegments\":[{\"id\":\"2f910026178b71eb\","
			"\"name\":\"api\",\"start_time\":1478293361.3,\"end_time\":1478293361.4,"
			"\"namespace\":\"remote\"}],\"precursor_ids\":[\"0f910026178b71eb\"]}]"));
	assert_int_equal(r.spans.n, 4);
	assert_string_equal(r.spans.v[1].parent_id, "70de5b6f19ff9a0a");
	assert_int_equal(r.spans.v[1].kind, SPAN_CLIENT);
	assert_attr(&r.spans.v[1].attrs, "rpc.system", "0:aws-api");
	assert_attr(&r.spans.v[1].attrs, "rpc.service", "0:DynamoDB");
	assert_attr(&r.spans.v[1].attrs, "rpc.method", "0:UpdateItem");
	assert_attr(&r.spans.v[1].attrs, "aws.request_id", "0:R1");
	assert_attr(&r.spans.v[1].attrs, "aws.retries", "2:2");
	assert_attr(&r.spans.v[1].attrs, "db.collection.name", "0:users");
	assert_int_equal(span_attr_find(&r.spans.v[1].attrs, "aws.resource_names")->n_list, 1);
	assert_attr(&r.spans.v[1].resource, "service.name", "0:shop");
	assert_int_equal(r.spans.v[2].kind, SPAN_INTERNAL);
	assert_int_equal(r.spans.v[2].n_links, 1);
	assert_string_equal(r.spans.v[2].links[0].span_id, "0f910026178b71eb");
	assert_string_equal(r.spans.v[2].links[0].trace_id, TRACE_HEX);
	assert_string_equal(r.spans.v[3].parent_id, "1f910026178b71eb");
	assert_int_equal(r.spans.v[3].kind, SPAN_CLIENT);
	rig_done(&r);
}

static void
test_errors_faults_and_throttles(void **state)
{
	static const struct {
		const char *doc, *attr;
	} cases[] = {{SEGMENT(",\"error\":true"), "aws.xray.error"},
		     {SEGMENT(",\"fault\":true"), "aws.xray.fault"},
		     {SEGMENT(",\"throttle\":true"), "aws.xray.throttle"}};
	struct rig r;
	const struct span *s;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		convert(&r, cases[i].doc);
		assert_int_equal(r.spans.v[0].status, SPAN_ERROR);
		assert_attr(&r.spans.v[0].attrs, cases[i].attr, "1:true");
		rig_done(&r);
	}
	convert(&r,
		SEGMENT(",\"fault\":true,\"cause\":{\"exceptions\":[{\"id\":\"e1\",\"type\":\"T\","
			"\"message\":\"m\",\"remote\":true,\"stack\":[{\"path\":\"a.go\",\"line\":"
			"7,\"label\":\"f\"},{\"path\":\"b\",\"label\":\"g\"}]},{\"id\":\"e2\"}]}"));
	s = r.spans.v;
	assert_sv(s->status_message, "m");
	assert_int_equal(s->n_events, 2);
	assert_sv(s->events[0].name, "exception");
	assert_true(s->events[0].time_ns == s->end_ns);
	assert_attr(&s->events[0].attrs, "exception.type", "0:T");
	assert_attr(&s->events[0].attrs, "exception.message", "0:m");
	assert_attr(&s->events[0].attrs, "exception.stacktrace", "0:at f (a.go:7)\nat g (b)");
	rig_done(&r);
	convert(&r, SEGMENT(",\"cause\":\"abcdefghijklmnop\",\"error\":false"));
	assert_attr(&r.spans.v[0].attrs, "aws.xray.cause", "0:abcdefghijklmnop");
	assert_int_equal(r.spans.v[0].status, SPAN_UNSET);
	rig_done(&r);
}

static void
test_links(void **state)
{
	struct rig r;

	(void)state;
	convert(&r,
		SEGMENT(",\"links\":[{\"trace_id\":\"1-5759e988-bd862e3fe1be46a994272793\",\"id\":"
			"\"53995c3f42cd8ad8\",\"attributes\":{\"a\":1,\"b\":\"c\"}},{\"trace_id\":"
			"\"no\",\"id\":\"53995c3f42cd8ad8\"},5,{\"trace_id\":"
			"\"5759e988bd862e3fe1be46a994272793\",\"id\":\"53995c3f42cd8ad9\"}]"));
	assert_int_equal(r.spans.v[0].n_links, 2);
	assert_string_equal(r.spans.v[0].links[0].trace_id, "5759e988bd862e3fe1be46a994272793");
	assert_attr(&r.spans.v[0].links[0].attrs, "a", "2:1");
	assert_attr(&r.spans.v[0].links[0].attrs, "b", "0:c");
	assert_string_equal(r.spans.v[0].links[1].span_id, "53995c3f42cd8ad9");
	rig_done(&r);
}

/* Sent alone, in whatever order: it is of the service that made it. */
static void
test_lone_subsegments_find_their_service(void **state)
{
	const char *docs[] = {
	    "{\"id\":\"aaaaaaaaaaaaaaaa\",\"type\":\"subsegment\",\"name\":\"deep\",\"start_time\":"
	    "1,"
	    "\"end_time\":2,\"parent_id\":\"bbbbbbbbbbbbbbbb\"}",
	    "{\"id\":\"bbbbbbbbbbbbbbbb\",\"type\":\"subsegment\",\"name\":\"call\",\"start_time\":"
	    "1,"
	    "\"end_time\":2,\"parent_id\":\"70de5b6f19ff9a0a\",\"namespace\":\"remote\"}",
	    SEGMENT(""),
	    "{\"id\":\"cccccccccccccccc\",\"type\":\"subsegment\",\"name\":\"orphan\",\"start_"
	    "time\":1,"
	    "\"end_time\":2,\"parent_id\":\"dddddddddddddddd\"}",
	    "{\"id\":\"eeeeeeeeeeeeeeee\",\"type\":\"subsegment\",\"name\":\"itself\",\"start_"
	    "time\":1,"
	    "\"end_time\":2,\"parent_id\":\"eeeeeeeeeeeeeeee\"}"};
	struct rig r;

	(void)state;
	convert_as(&r, TRACE, docs, ARRAY_LEN(docs), true);
	assert_int_equal(r.spans.n, 5);
	assert_int_equal(r.rejected, 0);
	assert_attr(&r.spans.v[0].resource, "service.name", "0:shop");
	assert_attr(&r.spans.v[1].resource, "service.name", "0:shop");
	assert_int_equal(r.spans.v[1].kind, SPAN_CLIENT);
	assert_attr(&r.spans.v[3].resource, "service.name", "0:orphan");
	assert_attr(&r.spans.v[4].resource, "service.name", "0:itself");
	assert_attr(&r.spans.v[2].attrs, "aws.xray.limit_exceeded", "1:true");
	rig_done(&r);
}

static void
test_what_has_not_ended(void **state)
{
	struct rig r;

	(void)state;
	convert(&r, "{\"name\":\"a\",\"id\":\"70de5b6f19ff9a0b\",\"start_time\":1478293361.271,"
		    "\"in_progress\":true}");
	assert_attr(&r.spans.v[0].attrs, "aws.xray.in_progress", "1:true");
	assert_true(r.spans.v[0].end_ns == r.spans.v[0].start_ns);
	rig_done(&r);
	convert(&r, "{\"name\":\"a\",\"id\":\"70de5b6f19ff9a0b\",\"start_time\":5,\"end_time\":4}");
	assert_true(r.spans.v[0].end_ns == r.spans.v[0].start_ns);
	assert_attr(&r.spans.v[0].attrs, "aws.xray.in_progress", "(none)");
	rig_done(&r);
}

/* Counted, and nothing else is lost for it. */
static void
test_documents_that_cannot_be_read(void **state)
{
	static const char *const bad[] = {
	    "",
	    "{",
	    "[]",
	    "5",
	    "null",
	    "{}",
	    "{\"id\":\"70de5b6f19ff9a0b\"}",
	    "{\"id\":\"70de5b6f19ff9a0b\",\"start_time\":\"1478293361.271\"}",
	    "{\"id\":\"70de5b6f19ff9a0b\",\"start_time\":-5,\"end_time\":1}",
	    "{\"id\":\"70de5b6f19ff9a0b\",\"start_time\":1e300,\"end_time\":1e301}",
	    "{\"id\":\"70de5b6f19ff9a0b\",\"start_time\":NaN,\"end_time\":1}",
	    "{\"id\":\"70de5b6f19ff9a0b\",\"start_time\":1,\"end_time\":1e999}",
	    "{\"id\":\"70de5b6f19ff9a0b\",\"start_time\":1,\"end_time\":\"x\"}",
	    "{\"id\":\"70de5b6f19ff9a\",\"start_time\":1,\"end_time\":2}",
	    "{\"id\":\"0000000000000000\",\"start_time\":1,\"end_time\":2}",
	    "{\"id\":5,\"start_time\":1,\"end_time\":2}",
	    "{\"name\":\"a\",\"start_time\":1,\"end_time\":2}",
	};
	struct rig r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *docs[] = {SEGMENT(""), bad[i],
				      SEGMENT(",\"subsegments\":[5,null,{},[],\"x\"]")};

		convert_as(&r, TRACE, docs, 3, false);
		assert_int_equal(r.spans.n, 2);
		assert_int_equal(r.rejected, 1 + 5);
		rig_done(&r);
	}
	/* With what is nested in it. */
	convert_as(&r, TRACE,
		   (const char *[]){"{\"id\":\"bad\",\"subsegments\":[{\"id\":\"1\"},"
				    "{\"subsegments\":[{},{}]}]}"},
		   1, false);
	assert_int_equal(r.spans.n, 0);
	assert_int_equal(r.rejected, 1 + 2 + 2);
	rig_done(&r);
	convert_as(&r, "no id", (const char *[]){SEGMENT("")}, 1, false);
	assert_int_equal(r.spans.n, 0);
	assert_int_equal(r.rejected, 1);
	rig_done(&r);
}

/* Members of types that nobody expects are left out. */
static void
test_members_of_other_types(void **state)
{
	struct rig r;

	(void)state;
	convert(&r, "{\"name\":5,\"id\":\"70de5b6f19ff9a0b\",\"start_time\":1,\"end_time\":2,"
		    "\"parent_id\":[],\"http\":[],\"aws\":\"x\",\"annotations\":[1],\"metadata\":5,"
		    "\"subsegments\":{},\"cause\":{\"exceptions\":{}},\"links\":{},"
		    "\"precursor_ids\":[5,{}],\"sql\":\"x\",\"fault\":\"true\",\"origin\":{},"
		    "\"service\":[],\"user\":{}}");
	assert_int_equal(r.spans.n, 1);
	assert_int_equal(r.rejected, 0);
	assert_sv(r.spans.v[0].name, "unknown");
	assert_string_equal(r.spans.v[0].parent_id, "");
	assert_int_equal(r.spans.v[0].status, SPAN_UNSET);
	assert_int_equal(r.spans.v[0].n_links, 0);
	rig_done(&r);
}

static void
test_large_and_deep_documents(void **state)
{
	CLEANUP(buf_done) struct buf deep = BUF_INIT((size_t)1 << 20);
	CLEANUP(buf_done) struct buf wide = BUF_INIT((size_t)4 << 20);
	struct rig r;

	(void)state;
	for (int i = 0; i < 20; i++)
		buf_fmt(&deep,
			"{\"id\":\"70de5b6f19ff9%03x\",\"start_time\":1,\"end_time\":2,"
			"\"subsegments\":[",
			i);
	for (int i = 0; i < 20; i++)
		buf_str(&deep, "]}");
	convert(&r, buf_cstr(&deep));
	assert_int_equal(r.spans.n, 20);
	rig_done(&r);
	buf_reset(&deep);
	for (int i = 0; i < 5000; i++)
		buf_str(&deep, "{\"id\":\"70de5b6f19ff9a0b\",\"start_time\":1,\"end_time\":2,"
			       "\"subsegments\":[");
	convert(&r, buf_cstr(&deep));
	assert_int_equal(r.spans.n, 0);
	assert_int_equal(r.rejected, 1);
	rig_done(&r);
	buf_str(&wide,
		"{\"id\":\"70de5b6f19ff9a0b\",\"start_time\":1,\"end_time\":2,\"annotations\":{");
	for (int i = 0; i < 5000; i++)
		buf_fmt(&wide, "%s\"k%d\":\"v\"", i ? "," : "", i);
	buf_str(&wide, "}}");
	convert(&r, buf_cstr(&wide));
	assert_int_equal(r.spans.v[0].attrs.n, SPAN_ATTRS_MAX);
	assert_int_equal(r.spans.v[0].attrs.dropped, 4000);
	rig_done(&r);
}

/* aws/spans */

static void
read_doc(const char *text, struct arena *a, struct span *s)
{
	const char *why;

	*a = ARENA_INIT((size_t)1 << 20);
	assert_true(span_read(json_tree_parse(sv_of(text), a), a, s, &why));
}

static void
test_documents_of_aws_spans(void **state)
{
	struct arena a;
	struct span s;

	(void)state;
	read_doc(
	    "{\"resource\":{\"attributes\":{\"service.name\":\"shop\",\"n\":5}},\"scope\":{"
	    "\"name\":\"lib\",\"version\":\"1\"},\"traceId\":\"" TRACE_HEX "\",\"spanId\":"
	    "\"70de5b6f19ff9a0a\",\"parentSpanId\":\"53995c3f42cd8ad8\",\"flags\":257,"
	    "\"traceState\":\"a=b\",\"name\":\"GET /\",\"kind\":\"SERVER\","
	    "\"startTimeUnixNano\":1767225600123456789,\"endTimeUnixNano\":1767225600223456789,"
	    "\"durationNano\":100000000,\"attributes\":{\"http.response.status_code\":500,"
	    "\"d\":0.25,\"b\":true,\"l\":[\"x\",\"y\"],\"m\":[1,\"x\"],\"o\":{\"k\":1},\"z\":null},"
	    "\"events\":[{\"timeUnixNano\":1767225600123456790,\"name\":\"e\",\"attributes\":{"
	    "\"a\":\"b\"}}],\"links\":[{\"traceId\":\"" TRACE_HEX "\",\"spanId\":"
	    "\"70de5b6f19ff9a0b\"}],\"status\":{\"code\":\"ERROR\",\"message\":\"no\"}}",
	    &a, &s);
	assert_string_equal(s.parent_id, "53995c3f42cd8ad8");
	assert_int_equal(s.kind, SPAN_SERVER);
	assert_int_equal(s.flags, 257);
	assert_true(s.start_ns == 1767225600123456789u && s.end_ns == 1767225600223456789u);
	assert_int_equal(s.status, SPAN_ERROR);
	assert_sv(s.status_message, "no");
	assert_sv(s.trace_state, "a=b");
	assert_sv(s.scope_name, "lib");
	assert_attr(&s.resource, "service.name", "0:shop");
	assert_attr(&s.attrs, "http.response.status_code", "2:500");
	assert_attr(&s.attrs, "d", "3:0.25");
	assert_attr(&s.attrs, "b", "1:true");
	assert_attr(&s.attrs, "m", "0:[1,\"x\"]");
	assert_attr(&s.attrs, "o", "0:{\"k\":1}");
	assert_attr(&s.attrs, "z", "(none)");
	assert_int_equal(span_attr_find(&s.attrs, "l")->n_list, 2);
	assert_int_equal(s.n_events, 1);
	assert_true(s.events[0].time_ns == 1767225600123456790u);
	assert_int_equal(s.n_links, 1);
	arena_done(&a);
}

static void
test_words_and_numbers_mean_the_same(void **state)
{
	static const struct {
		const char *kind, *code;
		enum span_kind is;
		enum span_status status;
	} cases[] = {{"\"CLIENT\"", "\"OK\"", SPAN_CLIENT, SPAN_OK},
		     {"\"SPAN_KIND_CLIENT\"", "\"STATUS_CODE_OK\"", SPAN_CLIENT, SPAN_OK},
		     {"3", "1", SPAN_CLIENT, SPAN_OK},
		     {"\"3\"", "\"1\"", SPAN_CLIENT, SPAN_OK},
		     {"\"moon\"", "\"moon\"", SPAN_UNSPECIFIED, SPAN_UNSET},
		     {"99", "99", SPAN_UNSPECIFIED, SPAN_UNSET},
		     {"{}", "[]", SPAN_UNSPECIFIED, SPAN_UNSET}};
	struct arena a;
	struct span s;
	char text[400];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		(void)snprintf(text, sizeof(text),
			       "{\"traceId\":\"%s\",\"spanId\":\"70de5b6f19ff9a0a\","
			       "\"startTimeUnixNano\":\"5\",\"kind\":%s,\"status\":{\"code\":%s}}",
			       TRACE_HEX, cases[i].kind, cases[i].code);
		read_doc(text, &a, &s);
		assert_int_equal(s.kind, cases[i].is);
		assert_int_equal(s.status, cases[i].status);
		assert_true(s.start_ns == 5 && s.end_ns == 5);
		arena_done(&a);
	}
}

static void
test_what_is_no_span(void **state)
{
	static const char *const bad[] = {
	    "{}",
	    "[]",
	    "5",
	    "{\"traceId\":\"x\"}",
	    "{\"traceId\":\"" TRACE_HEX
	    "\",\"spanId\":\"0000000000000000\",\"startTimeUnixNano\":1}",
	    "{\"traceId\":\"" TRACE_HEX "\",\"spanId\":\"70de5b6f19ff9a0a\"}",
	    "{\"traceId\":\"" TRACE_HEX
	    "\",\"spanId\":\"70de5b6f19ff9a0a\",\"startTimeUnixNano\":-1}",
	    "{\"traceId\":\"" TRACE_HEX
	    "\",\"spanId\":\"70de5b6f19ff9a0a\",\"startTimeUnixNano\":{}}",
	};
	struct arena a = ARENA_INIT((size_t)1 << 20);
	const char *why;
	struct span s;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_false(span_read(json_tree_parse(sv_of(bad[i]), &a), &a, &s, &why));
		assert_non_null(why);
	}
	arena_done(&a);
}

/* Lines and series */

static void
add(struct span_rows *rows, const struct spans *spans, int64_t cell_ms)
{
	struct err err = {0};

	for (size_t i = 0; i < spans->n; i++)
		assert_int_equal(span_rows_add(rows, &spans->v[i], cell_ms, &err), 0);
}

static void
test_a_line(void **state)
{
	struct span_rows rows;
	struct cell_data d;
	struct err err = {0};
	struct rig r;

	(void)state;
	convert(
	    &r,
	    "{\"name\":\"a\\\"b\",\"id\":\"70de5b6f19ff9a0b\",\"start_time\":1767225600.1234567,"
	    "\"end_time\":1767225600.2,\"fault\":true,\"http\":{\"response\":{\"status\":503}}}");
	assert_int_equal(span_rows_init(&rows, &owner, &err), 0);
	add(&rows, &r.spans, T);
	span_rows_sort(&rows);
	cell_data_init(&d, (struct cell){T, T + 5 * MINUTE_MS});
	assert_int_equal(span_rows_fill(&rows, &d, MINUTE_MS, &err), 0);
	assert_string_equal(
	    buf_cstr(&d.ndjson),
	    "{\"ts\":\"2026-01-01T00:00:00.123Z\",\"tenant\":\"acme\",\"account_id\":"
	    "\"111122223333\","
	    "\"region\":\"eu-west-1\",\"job\":\"traces\",\"trace_id\":\"" TRACE_HEX
	    "\",\"span_id\":"
	    "\"70de5b6f19ff9a0b\",\"service\":\"a\\\"b\",\"traceId\":\"" TRACE_HEX "\",\"spanId\":"
	    "\"70de5b6f19ff9a0b\",\"name\":\"a\\\"b\",\"kind\":2,\"startTimeUnixNano\":"
	    "\"1767225600123456700\",\"endTimeUnixNano\":\"1767225600200000000\",\"attributes\":[{"
	    "\"key\":\"aws.xray.fault\",\"value\":{\"boolValue\":true}},{\"key\":"
	    "\"http.response.status_code\",\"value\":{\"intValue\":\"503\"}}],\"status\":{\"code\":"
	    "2},"
	    "\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":"
	    "\"a\\\"b\"}},{\"key\":\"cloud.provider\",\"value\":{\"stringValue\":\"aws\"}},{"
	    "\"key\":"
	    "\"cloud.account.id\",\"value\":{\"stringValue\":\"111122223333\"}},{\"key\":"
	    "\"cloud.region\",\"value\":{\"stringValue\":\"eu-west-1\"}},{\"key\":\"tenant\","
	    "\"value\":{\"stringValue\":\"acme\"}},{\"key\":\"service\",\"value\":{\"stringValue\":"
	    "\"no\"}},{\"key\":\"tier\",\"value\":{\"stringValue\":\"gold\"}}]}}\n");
	assert_int_equal(d.n_lines, 1);
	cell_data_done(&d);
	span_rows_done(&rows);
	rig_done(&r);
}

struct again {
	struct buf out;
	const char *common;
};

static int
write_again(void *arg, const struct span *s, struct err *err)
{
	struct again *a = arg;

	(void)err;
	span_line(s, a->common, &a->out);
	return 0;
}

/* What is read from a line and written again is the line, byte for byte. */
static void
check_round_trip(struct spans *spans)
{
	struct again a = {.out = BUF_INIT((size_t)64 << 20)};
	struct span_rows rows;
	struct cell_data d;
	struct err err = {0};

	assert_int_equal(span_rows_init(&rows, &owner, &err), 0);
	add(&rows, spans, T);
	span_rows_sort(&rows);
	cell_data_init(&d, (struct cell){T, T + 5 * MINUTE_MS});
	assert_int_equal(span_rows_fill(&rows, &d, MINUTE_MS, &err), 0);
	assert_int_equal(d.n_lines + d.n_rejected, spans->n);
	a.common = rows.common;
	assert_int_equal(span_lines_each(&d, write_again, &a, &err), 0);
	assert_string_equal(buf_cstr(&a.out), buf_cstr(&d.ndjson));
	buf_done(&a.out);
	cell_data_done(&d);
	span_rows_done(&rows);
}

static void
test_lines_are_read_as_they_were_written(void **state)
{
	struct rig r;

	(void)state;
	convert(
	    &r,
	    SEGMENT(",\"fault\":true,\"annotations\":{\"d\":1.50,\"i\":-7,\"s\":\"\\u0000\\u20ac"
		    "\\ud800\",\"l\":\"\"},\"cause\":{\"exceptions\":[{\"id\":\"x\",\"message\":"
		    "\"m\\n\"}]},\"precursor_ids\":[\"53995c3f42cd8ad8\"],\"subsegments\":[{"
		    "\"id\":\"0f910026178b71eb\",\"name\":\"S3\",\"start_time\":1,\"end_time\":2,"
		    "\"namespace\":\"aws\",\"aws\":{\"resource_names\":[],\"x\":[\"a\",\"b\"]}}]"));
	check_round_trip(&r.spans);
	rig_done(&r);
}

static double
value(const struct cell_data *d, const char *name, const char *key, const char *label,
      const char *service, size_t at)
{
	for (size_t i = 0; i < d->n_rows; i++) {
		const struct series *s = d->rows[i].series;
		bool right = !strcmp(s->name, name), of = false;

		for (size_t k = 0; k < s->n_labels; k++) {
			if (!strcmp(s->labels[k].name, "service"))
				of = !strcmp(s->labels[k].value, service);
			if (key && !strcmp(s->labels[k].name, key))
				right = right && !strcmp(s->labels[k].value, label);
		}
		if (right && of)
			return d->rows[i].values[at];
	}
	fail_msg("no series %s of %s", name, service);
	return 0;
}

static const char *const calls[] = {
    "{\"name\":\"shop\",\"id\":\"70de5b6f19ff9a01\",\"start_time\":1767225600.5,\"end_time\":"
    "1767225600.54,\"subsegments\":[{\"id\":\"70de5b6f19ff9a02\",\"name\":\"x\",\"start_time\":"
    "1767225600.5,\"end_time\":1767225600.53}]}",
    "{\"name\":\"shop\",\"id\":\"70de5b6f19ff9a03\",\"start_time\":1767225601,\"end_time\":"
    "1767225701,\"fault\":true}",
    "{\"name\":\"shop\",\"id\":\"70de5b6f19ff9a04\",\"start_time\":1767225720,\"end_time\":"
    "1767225721,\"error\":true,\"throttle\":true}",
    /* Before and after its trace's cell. */
    "{\"name\":\"cart\",\"id\":\"70de5b6f19ff9a05\",\"start_time\":1767225599,\"end_time\":"
    "1767225599.005}",
    "{\"name\":\"cart\",\"id\":\"70de5b6f19ff9a06\",\"start_time\":1767226000,\"end_time\":"
    "1767226000}",
    /* The first one once more, before it had ended. */
    "{\"name\":\"shop\",\"id\":\"70de5b6f19ff9a01\",\"start_time\":1767225600.5,\"in_progress\":"
    "true}",
};

static void
check_calls(const struct cell_data *d)
{
	assert_int_equal(d->n_rows, 2 * (4 + 14 + 2));
	assert_true(value(d, "trace_calls", "status", "ok", "shop", 0) == 1);
	assert_true(value(d, "trace_calls", "status", "fault", "shop", 0) == 1);
	assert_true(value(d, "trace_calls", "status", "error", "shop", 0) == 0);
	assert_true(isnan(value(d, "trace_calls", "status", "ok", "shop", 1)));
	assert_true(value(d, "trace_calls", "status", "throttle", "shop", 2) == 1);
	assert_true(value(d, "trace_calls", "status", "ok", "cart", 0) == 1);
	assert_true(value(d, "trace_calls", "status", "ok", "cart", 4) == 1);
	assert_true(value(d, "trace_duration_seconds_bucket", "le", "0.025", "shop", 0) == 0);
	assert_true(value(d, "trace_duration_seconds_bucket", "le", "0.05", "shop", 0) == 1);
	assert_true(value(d, "trace_duration_seconds_bucket", "le", "60", "shop", 0) == 1);
	assert_true(value(d, "trace_duration_seconds_bucket", "le", "+Inf", "shop", 0) == 2);
	assert_true(value(d, "trace_duration_seconds_bucket", "le", "0.005", "cart", 0) == 1);
	assert_true(value(d, "trace_duration_seconds_count", NULL, NULL, "shop", 0) == 2);
	assert_true(fabs(value(d, "trace_duration_seconds_sum", NULL, NULL, "shop", 0) - 100.04) <
		    1e-9);
	assert_int_equal(d->n_samples, 4 * (4 + 14 + 2)); /* two periods of each */
	for (size_t i = 1; i < d->n_rows; i++)
		assert_true(series_cmp(d->rows[i - 1].series, d->rows[i].series) < 0);
}

static void
test_calls_and_durations_are_series(void **state)
{
	struct cell_data d, frozen;
	struct span_rows rows;
	struct err err = {0};
	struct rig r;

	(void)state;
	convert_as(&r, TRACE, calls, ARRAY_LEN(calls), false);
	assert_int_equal(span_rows_init(&rows, &owner, &err), 0);
	add(&rows, &r.spans, T);
	span_rows_sort(&rows);
	cell_data_init(&d, (struct cell){T, T + 5 * MINUTE_MS});
	assert_int_equal(span_rows_fill(&rows, &d, MINUTE_MS, &err), 0);
	check_calls(&d);
	assert_int_equal(d.n_lines, 6);
	assert_int_equal(d.n_rejected, 1);
	/* From the frozen lines: the same. */
	cell_data_init(&frozen, d.cell);
	assert_int_equal(cell_lines_add(&frozen, buf_view(&d.ndjson), &err), 0);
	assert_int_equal(span_cell_adopt(&frozen, &owner, MINUTE_MS, &err), 0);
	check_calls(&frozen);
	assert_int_equal(frozen.n_lines, 6);
	cell_data_done(&frozen);
	/* A late object has no series; without lines there are the same rows. */
	cell_data_init(&frozen, d.cell);
	frozen.late = 1;
	assert_int_equal(cell_lines_add(&frozen, buf_view(&d.ndjson), &err), 0);
	assert_int_equal(span_cell_adopt(&frozen, &owner, MINUTE_MS, &err), 0);
	assert_int_equal(frozen.n_rows, 0);
	assert_int_equal(frozen.n_lines, 6);
	cell_data_done(&frozen);
	cell_data_done(&d);
	cell_data_init(&d, (struct cell){T, T + 5 * MINUTE_MS});
	d.rows_only = true;
	assert_int_equal(span_rows_fill(&rows, &d, MINUTE_MS, &err), 0);
	check_calls(&d);
	assert_int_equal(d.ndjson.n, 0);
	assert_int_equal(d.n_lines, 6);
	cell_data_done(&d);
	/* Another cell has none of it. */
	cell_data_init(&d, (struct cell){T + 5 * MINUTE_MS, T + 10 * MINUTE_MS});
	assert_int_equal(span_rows_fill(&rows, &d, MINUTE_MS, &err), 0);
	assert_int_equal(d.n_rows + d.n_lines, 0);
	cell_data_done(&d);
	span_rows_done(&rows);
	rig_done(&r);
}

static void
test_services_without_end(void **state)
{
	struct span_rows rows;
	struct cell_data d;
	struct err err = {0};
	double sum = 0;

	(void)state;
	assert_int_equal(span_rows_init(&rows, &owner, &err), 0);
	for (int i = 0; i < 1200; i++) {
		char doc[300];
		struct rig r;

		(void)snprintf(doc, sizeof(doc),
			       "{\"name\":\"s%05d\",\"id\":\"70de5b6f19ff%04x\","
			       "\"start_time\":1767225600,\"end_time\":1767225601}",
			       i, i + 1);
		convert(&r, doc);
		add(&rows, &r.spans, T);
		rig_done(&r);
	}
	span_rows_sort(&rows);
	cell_data_init(&d, (struct cell){T, T + 5 * MINUTE_MS});
	assert_int_equal(span_rows_fill(&rows, &d, MINUTE_MS, &err), 0);
	assert_int_equal(d.n_rows, SPAN_SERVICES_MAX * 20);
	assert_true(value(&d, "trace_calls", "status", "ok", "other", 0) ==
		    1200 - SPAN_SERVICES_MAX + 1);
	for (size_t i = 0; i < d.n_rows; i++)
		if (!strcmp(d.rows[i].series->name, "trace_duration_seconds_count"))
			sum += d.rows[i].values[0];
	assert_true(sum == 1200);
	cell_data_done(&d);
	span_rows_done(&rows);
}

static void
test_lines_that_are_no_spans(void **state)
{
	static const char *const bad[] = {"{}\n", "x\n", "{\"ts\":1}", "\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct cell_data d;
		struct err err = {0};

		cell_data_init(&d, (struct cell){T, T + 5 * MINUTE_MS});
		assert_int_equal(cell_lines_add(&d, sv_of(bad[i]), &err), 0);
		assert_int_equal(span_cell_adopt(&d, &owner, MINUTE_MS, &err), -1);
		assert_int_equal(err.kind, ERR_DATA);
		cell_data_done(&d);
	}
}

/* Documents of AWS's and others': all are read but those that cannot be, and read again from lines.
 */
static void
test_documents_of_others(void **state)
{
	static const struct {
		const char *path;
		size_t spans, rejected;
	} files[] = {
	    {"xray/segments/docs-xray-api-segmentdocuments-11.json", 1, 0},
	    {"xray/segments/docs-xray-api-segmentdocuments-2.json", 1, 0},
	    {"xray/segments/docs-xray-api-segmentdocuments-8.json", 2, 0},
	    {"xray/segments/docs-xray-api-sendingdata-0.json", 1, 0},
	    {"xray/segments/otel-awsValidAwsFields.json", 1, 0},
	    {"xray/segments/otel-indepSubsegment.json", 1, 0},
	    {"xray/segments/otel-indepSubsegmentWithContentLengthString.json", 1, 0},
	    {"xray/segments/otel-indepSubsegmentWithInvalidSqlUrl.json", 1, 0},
	    {"xray/segments/otel-indepSubsegmentWithSql.json", 1, 0},
	    {"xray/segments/otel-minCauseIsExceptionId.json", 1, 0},
	    {"xray/segments/otel-minOtherFields.json", 1, 0},
	    {"xray/invalid/otel-segmentValidationFailed.json", 0, 1},
	};
	CLEANUP(buf_done) struct buf doc = BUF_INIT((size_t)1 << 20);
	struct rig r;

	(void)state;
	data_or_skip();
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		buf_done(&doc);
		data_read(files[i].path, &doc);
		convert(&r, buf_cstr(&doc));
		assert_int_equal(r.spans.n, files[i].spans);
		assert_int_equal(r.rejected, files[i].rejected);
		check_round_trip(&r.spans);
		rig_done(&r);
	}
	for (int i = 0; i < 2; i++) {
		buf_done(&doc);
		data_read(i ? "xray/invalid/otel-invalidNamespace.json"
			    : "xray/segments/otel-ddbSample.json",
			  &doc);
		convert(&r, buf_cstr(&doc));
		assert_true(r.spans.n > 5);
		assert_int_equal(r.rejected, 0);
		assert_sv(r.spans.v[0].status_message,
			  "ResourceNotFoundException: Requested resource not found");
		check_round_trip(&r.spans);
		rig_done(&r);
	}
}

/* Two that differ in what is broken only are written with one name, which a line has once. */
static void
test_names_that_are_written_alike(void **state)
{
	static const char *const names[] = {"a\xe8", "a\xe2",	  "a\xEF\xBF\xBD",
					    "a",     "a\xe2\xe2", "b\xe8"};
	struct arena a = ARENA_INIT((size_t)1 << 20);
	struct span_attrs attrs = span_attrs_in(&a);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		span_attr_add(&attrs, sv_of(names[i]), SPAN_STR, SV("v"));
	assert_int_equal(attrs.n, 4);
	assert_true(sv_eq(attrs.v[0].key, sv_of(names[0])));
	for (size_t i = 1; i < attrs.n; i++)
		assert_true(sv_eq(attrs.v[i].key, sv_of(names[i + 2])));
	arena_done(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ids),
	    cmocka_unit_test(test_names_that_are_written_alike),
	    cmocka_unit_test(test_times_are_exact),
	    cmocka_unit_test(test_a_segment_is_a_server_span),
	    cmocka_unit_test(test_subsegments_are_nested),
	    cmocka_unit_test(test_errors_faults_and_throttles),
	    cmocka_unit_test(test_links),
	    cmocka_unit_test(test_lone_subsegments_find_their_service),
	    cmocka_unit_test(test_what_has_not_ended),
	    cmocka_unit_test(test_documents_that_cannot_be_read),
	    cmocka_unit_test(test_members_of_other_types),
	    cmocka_unit_test(test_large_and_deep_documents),
	    cmocka_unit_test(test_documents_of_aws_spans),
	    cmocka_unit_test(test_words_and_numbers_mean_the_same),
	    cmocka_unit_test(test_what_is_no_span),
	    cmocka_unit_test(test_a_line),
	    cmocka_unit_test(test_lines_are_read_as_they_were_written),
	    cmocka_unit_test(test_calls_and_durations_are_series),
	    cmocka_unit_test(test_services_without_end),
	    cmocka_unit_test(test_lines_that_are_no_spans),
	    cmocka_unit_test(test_documents_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
