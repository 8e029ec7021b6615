/*
 * CloudWatch's CBOR: the same documents as in JSON, spelt in every way that the protocol allows,
 * have to be read alike; broken ones have to be refused. Where MUSTER_DATA names the folder of
 * recorded answers, those as well.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "aws/cloudwatch.h"
#include "base/cleanup.h"
#include "fmt/cbor.h"
#include "fmt/json.h"
#include "tests/support/data.h"

#define ROOM ((size_t)64 << 20)

/* How a document is spelt. */
struct spelling {
	bool open;    /* lengths are not announced */
	bool pieces;  /* texts come in two pieces */
	bool compact; /* whole numbers as integers, others in as few bytes as hold them */
	bool strange; /* members that nobody knows, with all that CBOR has */
};
static const struct spelling spellings[] = {
    {false, false, false, false}, {true, false, false, false}, {false, true, true, false},
    {true, true, true, true},	  {false, false, true, true},
};

static void
put(struct buf *out, const char *bytes, size_t n)
{
	buf_add(out, bytes, n);
}
#define PUT(out, lit) put(out, lit, sizeof(lit) - 1)

static void
spell_text(struct buf *out, const struct spelling *s, struct sv text)
{
	if (!s->pieces) {
		cbor_put_text(out, text);
		return;
	}
	PUT(out, "\x7f");
	cbor_put_text(out, (struct sv){text.p, text.n / 2});
	cbor_put_text(out, (struct sv){text.p + text.n / 2, text.n - text.n / 2});
	PUT(out, "\xff");
}

static void
spell_number(struct buf *out, const struct spelling *s, double v)
{
	float f = (float)v;
	uint32_t bits;

	if (s->compact && v == trunc(v) && fabs(v) < 1e15 && !(v == 0 && signbit(v))) {
		cbor_put_head(out, v < 0 ? CBOR_NEGATIVE : CBOR_UINT,
			      (uint64_t)(v < 0 ? -1 - v : v));
	} else if (s->compact && isnan(v)) {
		PUT(out, "\xf9\x7e\x00");
	} else if (s->compact && isinf(v)) {
		PUT(out, "\xf9\x7c\x00");
	} else if (s->compact && (double)f == v) {
		memcpy(&bits, &f, sizeof(bits));
		buf_ch(out, (char)0xfa);
		for (int i = 24; i >= 0; i -= 8)
			buf_ch(out, (char)(bits >> i));
	} else {
		cbor_put_double(out, v);
	}
}

static void spell(struct buf *out, const struct spelling *s, const json_t *j, bool times);

static void
spell_map(struct buf *out, const struct spelling *s, json_t *j)
{
	size_t n = json_object_size(j) + (s->strange ? 2 : 0);
	const char *key;
	json_t *value;

	if (s->open)
		PUT(out, "\xbf");
	else
		cbor_put_head(out, CBOR_MAP, n);
	if (s->strange) /* {"New": [-1, h'00', {"a": (_ "b")}, 2.5, true, 1(0)], "": undefined} */
		PUT(out, "\x63New\x86\x20\x41\x00\xa1\x61"
			 "a\x7f\x61"
			 "b\xff\xf9\x41\x00\xf5\xc1\x00\x60\xf7");
	json_object_foreach(j, key, value)
	{
		spell_text(out, s, sv_of(key));
		spell(out, s, value, !strcmp(key, "Timestamps"));
	}
	if (s->open)
		PUT(out, "\xff");
}

static void
spell(struct buf *out, const struct spelling *s, const json_t *j, bool times)
{
	json_t *tree = (json_t *)(uintptr_t)j;

	if (json_is_object(j)) {
		spell_map(out, s, tree);
	} else if (json_is_array(j)) {
		if (s->open)
			PUT(out, "\x9f");
		else
			cbor_put_head(out, CBOR_LIST, json_array_size(j));
		for (size_t i = 0; i < json_array_size(j); i++)
			spell(out, s, json_array_get(j, i), times);
		if (s->open)
			PUT(out, "\xff");
	} else if (json_is_number(j)) {
		if (times)
			PUT(out, "\xc1");
		spell_number(out, s, json_number_value(j));
	} else if (json_is_null(j)) {
		PUT(out, "\xf6");
	} else {
		spell_text(out, s, (struct sv){json_string_value(j), json_string_length(j)});
	}
}

static const char good_data[] =
    "{\"MetricDataResults\":[{\"Id\":\"m0\",\"Label\":\"x\",\"Timestamps\":[1767225600,1767225660."
    "5,"
    "1767225720],\"Values\":[1,-2.5e-3,-7],\"StatusCode\":\"Complete\",\"New\":{}},"
    "{\"Id\":\"m41\",\"Timestamps\":[],\"Values\":[],\"StatusCode\":\"Forbidden\","
    "\"Messages\":[{\"Code\":\"a\",\"Value\":\"b\"},{\"Code\":\"Forbidden\",\"Value\":"
    "\"n\xC3\xB6\"}]},"
    "{\"Id\":\"other\",\"StatusCode\":\"Fancy\",\"Messages\":null}],"
    "\"Messages\":[{\"Code\":\"Max\",\"Value\":\"Too many\"}],\"NextToken\":\"t\"}";
static const char good_list[] =
    "{\"Metrics\":[{\"Namespace\":\"A\",\"MetricName\":\"m\",\"Dimensions\":[{\"Name\":\"b\","
    "\"Value\":"
    "\"2\"},{\"Name\":\"a\",\"Value\":\"1\"}]},{\"MetricName\":\"n\",\"Namespace\":\"A\"}],"
    "\"OwningAccounts\":[],\"NextToken\":\"\"}";

static void
spell_document(struct buf *out, const struct spelling *s, const char *json)
{
	CLEANUP(json_decrefp) json_t *j = NULL;
	struct err err;

	assert_int_equal(json_parse(sv_of(json), "document", &j, &err), 0);
	buf_reset(out);
	spell(out, s, j, false);
	assert_true(buf_ok(out));
}

static void
same_text(const char *a, const char *b)
{
	assert_int_equal(a == NULL, b == NULL);
	if (a)
		assert_string_equal(a, b);
}

static void
same_data(const struct cw_data_page *a, const struct cw_data_page *b)
{
	assert_int_equal(a->n, b->n);
	same_text(a->token, b->token);
	same_text(a->message, b->message);
	for (size_t i = 0; i < a->n; i++) {
		const struct cw_result *x = &a->results[i], *y = &b->results[i];

		assert_true(x->id == y->id && x->status == y->status && x->n == y->n);
		same_text(x->status_text, y->status_text);
		same_text(x->message, y->message);
		for (size_t k = 0; k < x->n; k++) {
			assert_int_equal(x->ts_ms[k], y->ts_ms[k]);
			assert_true((isnan(x->values[k]) && isnan(y->values[k])) ||
				    !memcmp(&x->values[k], &y->values[k], sizeof(double)));
		}
	}
}

static void
same_list(const struct cw_list_page *a, const struct cw_list_page *b)
{
	assert_int_equal(a->n, b->n);
	same_text(a->token, b->token);
	for (size_t i = 0; i < a->n; i++)
		assert_int_equal(cw_metric_cmp(&a->metrics[i], &b->metrics[i]), 0);
}

static void
compare(struct sv json, struct sv cbor, bool list)
{
	struct arena a = ARENA_INIT(ROOM);
	struct cw_data_page data[2];
	struct cw_list_page lists[2];
	struct err err;
	int r;

	if (list)
		r = cw_list_read(CW_JSON, json, &a, &lists[0], &err) ||
		    cw_list_read(CW_CBOR, cbor, &a, &lists[1], &err);
	else
		r = cw_data_read(CW_JSON, json, &a, &data[0], &err) ||
		    cw_data_read(CW_CBOR, cbor, &a, &data[1], &err);
	if (r)
		fail_msg("%s", err.msg);
	if (list)
		same_list(&lists[0], &lists[1]);
	else
		same_data(&data[0], &data[1]);
	arena_done(&a);
}

static void
test_spellings(void **state)
{
	CLEANUP(buf_done) struct buf cbor = BUF_INIT(ROOM);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
		spell_document(&cbor, &spellings[i], good_data);
		compare(sv_of(good_data), buf_view(&cbor), false);
		spell_document(&cbor, &spellings[i], good_list);
		compare(sv_of(good_list), buf_view(&cbor), true);
	}
}

/* {"MetricDataResults": [{"Id": "m0", "Timestamps": [TIME], "Values": [VALUE]}]} */
static int
read_point(const char *time, size_t n_time, const char *value, size_t n_value, int64_t *ret_ms,
	   double *ret)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(1024);
	struct arena a = ARENA_INIT(ROOM);
	struct cw_data_page page;
	struct err err;
	int r;

	PUT(&body, "\xa1\x71MetricDataResults\x81\xa3\x62Id\x62m0\x6aTimestamps\x81");
	put(&body, time, n_time);
	PUT(&body, "\x66Values\x81");
	put(&body, value, n_value);
	r = cw_data_read(CW_CBOR, buf_view(&body), &a, &page, &err);
	if (!r) {
		*ret_ms = page.results[0].ts_ms[0];
		*ret = page.results[0].values[0];
	} else {
		assert_int_equal(err.kind, ERR_DATA);
	}
	arena_done(&a);
	return r;
}
#define POINT(time, value, ms, v)                                                                  \
	read_point(time, sizeof(time) - 1, value, sizeof(value) - 1, ms, v)

static void
test_numbers(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		double v;
	} good[] = {
#define GOOD(bytes, v) {bytes, sizeof(bytes) - 1, v}
	    GOOD("\x00", 0),
	    GOOD("\x17", 23),
	    GOOD("\x18\xff", 255),
	    GOOD("\x19\x01\x00", 256),
	    GOOD("\x1a\x00\x01\x00\x00", 65536),
	    GOOD("\x1b\x00\x00\x00\x01\x00\x00\x00\x00", 4294967296.0),
	    GOOD("\x20", -1),
	    GOOD("\x39\x01\xf3", -500),
	    GOOD("\xf9\x3c\x00", 1),
	    GOOD("\xf9\xc1\x00", -2.5),
	    GOOD("\xf9\x00\x01", 0x1p-24),
	    GOOD("\xf9\x03\xff", 0x3ffp-24),
	    GOOD("\xf9\x7b\xff", 65504),
	    GOOD("\xf9\xfc\x00", -INFINITY),
	    GOOD("\xf9\x7e\x00", NAN),
	    GOOD("\xfa\x3f\xc0\x00\x00", 1.5),
	    GOOD("\xfb\x3f\xb9\x99\x99\x99\x99\x99\x9a", 0.1),
	};
	int64_t ms = 0;
	double v = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(read_point("\xc1\x01", 2, good[i].bytes, good[i].n, &ms, &v), 0);
		assert_true(v == good[i].v || (isnan(v) && isnan(good[i].v)));
	}
	assert_int_equal(POINT("\xc1\x01", "\xf6", &ms, &v), -1);	  /* null */
	assert_int_equal(POINT("\xc1\x01", "\xf5", &ms, &v), -1);	  /* true */
	assert_int_equal(POINT("\xc1\x01", "\x61\x31", &ms, &v), -1);	  /* "1" */
	assert_int_equal(POINT("\xc1\x01", "\x1f", &ms, &v), -1);	  /* an open integer */
	assert_int_equal(POINT("\xc1\x01", "\x1c", &ms, &v), -1);	  /* reserved */
	assert_int_equal(POINT("\xc1\x01", "\xc2\x41\x01", &ms, &v), -1); /* a big number */
}

static void
test_times(void **state)
{
	int64_t ms = 0;
	double v = 0;

	(void)state;
	assert_int_equal(POINT("\xc1\x1a\x69\x55\xb9\x00", "\x01", &ms, &v), 0);
	assert_int_equal(ms, 1767225600000);
	assert_int_equal(POINT("\xc1\xfb\x41\xda\x55\x6e\x40\x20\x00\x00", "\x01", &ms, &v), 0);
	assert_int_equal(ms, 1767225600500);
	assert_int_equal(POINT("\xc1\x20", "\x01", &ms, &v), 0);
	assert_int_equal(ms, -1000);
	assert_int_equal(POINT("\x1a\x69\x55\xb9\x00", "\x01", &ms, &v), -1); /* no tag */
	assert_int_equal(POINT("\xc0\x1a\x69\x55\xb9\x00", "\x01", &ms, &v), -1);
	assert_int_equal(POINT("\xc1\xf9\x7e\x00", "\x01", &ms, &v), -1); /* NaN */
	assert_int_equal(POINT("\xc1\x1b\xff\xff\xff\xff\xff\xff\xff\xff", "\x01", &ms, &v), -1);
}

/* The usual form of times and values beside all others, in lists of a known length (`counted`) and
 * in open ones; `cut` bytes are missing, `said` more items are announced than there are. */
static int
read_mixed(bool counted, size_t cut, int said, struct arena *a, struct cw_data_page *page)
{
#define TIMES                                                                                      \
	"\xc1\x1a\x69\x55\xb9\x00\xc1\x1a\x69\x55\xb9\x3c\xc1\xfb\x41\xda\x55\x6e\x60\x20\x00\x00" \
	"\xc1\x01\xc1\x1a\xff\xff\xff\xff"
#define VALUES                                                                                     \
	"\xfb\x3f\xf8\x00\x00\x00\x00\x00\x00\xfb\x3f\xb9\x99\x99\x99\x99\x99\x9a\x03\xf9\x7e\x00" \
	"\xfb\xc0\x00\x00\x00\x00\x00\x00\x00"
	static const char head[] = "\xa1\x71MetricDataResults\x81\xa3\x62Id\x62m0\x6aTimestamps";
	CLEANUP(buf_done) struct buf text = BUF_INIT(4096);
	struct err err;

	buf_sv(&text, SV(head));
	buf_ch(&text, (char)(counted ? 0x85 + said : 0x9f));
	buf_sv(&text, SV(TIMES));
	buf_str(&text, counted ? "\x66Values" : "\xff\x66Values");
	buf_ch(&text, (char)(counted ? 0x85 + said : 0x9f));
	buf_sv(&text, SV(VALUES));
	buf_str(&text, counted ? "" : "\xff");
	text.n -= cut;
	return cw_data_read(CW_CBOR, buf_view(&text), a, page, &err);
}

static void
test_lists(void **state)
{
	static const int64_t ms[] = {1767225600000, 1767225660000, 1767225728500, 1000,
				     4294967295000};
	static const double values[] = {1.5, 0.1, 3, NAN, -2};
	struct arena a = ARENA_INIT((size_t)1 << 20);

	(void)state;
	for (int counted = 0; counted < 2; counted++) {
		struct cw_data_page page;

		assert_int_equal(read_mixed(counted, 0, 0, &a, &page), 0);
		assert_int_equal(page.n, 1);
		assert_int_equal(page.results[0].n, 5);
		for (size_t i = 0; i < 5; i++) {
			assert_int_equal(page.results[0].ts_ms[i], ms[i]);
			assert_true(page.results[0].values[i] == values[i] ||
				    (isnan(values[i]) && isnan(page.results[0].values[i])));
		}
		for (size_t cut = 1; cut < 100; cut++)
			assert_int_equal(read_mixed(counted, cut, 0, &a, &page), -1);
	}
	assert_int_equal(read_mixed(true, 0, 1, &a, &(struct cw_data_page){0}), -1);
	assert_int_equal(read_mixed(true, 0, -1, &a, &(struct cw_data_page){0}), -1);
	arena_done(&a);
}

static const struct {
	const char *bytes;
	size_t n;
} bad[] = {
#define BAD(bytes)                                                                                 \
	{                                                                                          \
		bytes, sizeof(bytes) - 1                                                           \
	}
    BAD(""),
    BAD("\xa0"),
    BAD("\x80"),
    BAD("\xf6"),
    BAD("{\"MetricDataResults\":[]}"),
    BAD("<html>"),
    BAD("\xbf\x71MetricDataResults\x80"),			   /* no break */
    BAD("\xa1\x71MetricDataResults\x80\x00"),			   /* more behind */
    BAD("\xa1\x71MetricDataResults\xa0"),			   /* a map */
    BAD("\xa1\x71MetricDataResults\x81\xa0"),			   /* no Id */
    BAD("\xa1\x71MetricDataResults\x81\xa1\x62Id\x01"),		   /* a number */
    BAD("\xa1\x71MetricDataResults\x81\xa1\x62Id\x62m\x00"),	   /* a NUL */
    BAD("\xa1\x71MetricDataResults\x81\xa1\x62Id\x62m\xff"),	   /* no UTF-8 */
    BAD("\xa2\x71MetricDataResults\x80\x71MetricDataResults\x80"), /* twice */
    BAD("\xa2\x71MetricDataResults\x80\x01\x02"),		   /* a key that is no text */
    BAD("\xa2\x71MetricDataResults\x80\x61x\xff"),		   /* a lone break */
    BAD("\xa2\x71MetricDataResults\x80\x61x\x5f\x61x\xff"),	   /* text among bytes */
    BAD("\xa2\x71MetricDataResults\x80\x61x\x7b\xff\xff\xff\xff\xff\xff\xff\xff"),
    BAD("\xa2\x71MetricDataResults\x80\x61x\x9b\xff\xff\xff\xff\xff\xff\xff\xff"),
    BAD("\xbb\xff\xff\xff\xff\xff\xff\xff\xff\x71MetricDataResults\x80"),
    BAD("\xa1\x71MetricDataResults\x81\xa2\x62Id\x62m0\x6aTimestamps\x81\xc1\x01"), /* no value */
};

static void
test_bad(void **state)
{
	struct arena a = ARENA_INIT(ROOM);
	struct cw_data_page page;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (!cw_data_read(CW_CBOR, (struct sv){bad[i].bytes, bad[i].n}, &a, &page, &err))
			fail_msg("number %zu was read", i);
		assert_int_equal(err.kind, ERR_DATA);
	}
	arena_done(&a);
}

static void
test_too_deep(void **state)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT((size_t)1 << 20);
	struct arena a = ARENA_INIT(ROOM);
	struct cw_data_page page;
	struct err err;

	(void)state;
	for (int deep = 0; deep < 2; deep++) {
		buf_reset(&body);
		PUT(&body, "\xa2\x71MetricDataResults\x80\x61x");
		for (int i = 0; i < (deep ? 100000 : 30); i++)
			PUT(&body, "\x81");
		PUT(&body, "\x01");
		assert_int_equal(cw_data_read(CW_CBOR, buf_view(&body), &a, &page, &err), -deep);
	}
	arena_done(&a);
}

/* Reads a copy of its own, so that a sanitizer sees what goes beyond it. */
static int
read_copy(struct sv body, bool list, struct err *err)
{
	struct arena a = ARENA_INIT(ROOM);
	struct cw_data_page data;
	struct cw_list_page metrics;
	char *copy = malloc(body.n ? body.n : 1);
	int r;

	assert_non_null(copy);
	if (body.n)
		memcpy(copy, body.p, body.n);
	body.p = copy;
	r = list ? cw_list_read(CW_CBOR, body, &a, &metrics, err)
		 : cw_data_read(CW_CBOR, body, &a, &data, err);
	free(copy);
	arena_done(&a);
	return r;
}

static void
test_truncated(void **state)
{
	CLEANUP(buf_done) struct buf cbor = BUF_INIT(ROOM);
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
		for (int list = 0; list < 2; list++) {
			spell_document(&cbor, &spellings[i], list ? good_list : good_data);
			for (size_t cut = 0; cut < cbor.n; cut++) {
				assert_int_equal(read_copy((struct sv){cbor.p, cut}, list, &err),
						 -1);
				assert_int_equal(err.kind, ERR_DATA);
			}
		}
	}
}

static void
test_mutated(void **state)
{
	CLEANUP(buf_done) struct buf cbor = BUF_INIT(ROOM);
	uint64_t seed = 7;
	struct err err;
	unsigned refused = 0;

	(void)state;
	for (unsigned round = 0; round < 8000; round++) {
		bool list = round % 3 == 0;

		spell_document(&cbor, &spellings[round % ARRAY_LEN(spellings)],
			       list ? good_list : good_data);
		for (unsigned i = 0; i < 1 + round % 4; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			cbor.p[(seed >> 33) % cbor.n] ^= (char)(1u << (seed >> 20) % 8);
		}
		if (read_copy(buf_view(&cbor), list, &err)) {
			assert_true(err.kind == ERR_DATA || err.kind == ERR_LOCAL);
			refused++;
		}
	}
	assert_true(refused > 1000);
}

/* Requests: what is written has to be read as what was meant. */
static void
test_requests(void **state)
{
	static const struct cw_dim dims[] = {{"ServiceName", "w\xC3\xA9"}};
	static const struct cw_metric m = {"A/B", "n", dims, 1};
	static const struct cw_query q = {.id = 24, .metric = &m, .stat = "p99"};
	const struct cw_data_req data = {.queries = &q,
					 .n = 1,
					 .start_ms = 1767225600000,
					 .end_ms = 1767225900000,
					 .period_ms = 60000,
					 .token = "t"};
	const struct cw_list_req list = {.ns = "A/B", .recent = true};
	static const char want_list[] = "\xa2\x69Namespace\x63"
					"A/B\x6eRecentlyActive\x64PT3H";
	static const char want_data[] = "\xa6\x71MetricDataQueries\x81\xa2\x62Id\x63m24\x6aMetricSt"
					"at\xa3\x66Metric\xa3\x69Namespace\x63"
					"A/B\x6aMetricName\x61n\x6a"
					"Dimensions\x81\xa2\x64Name\x6bServiceName\x65Value\x63w"
					"\xC3\xA9\x66Period\x18\x3c\x64Stat\x63p99"
					"\x69StartTime\xc1\xfb\x41\xda\x55\x6e\x40\x00\x00\x00\x67"
					"EndTime\xc1\xfb\x41\xda\x55\x6e\x8b\x00\x00\x00\x66ScanBy"
					"\x72TimestampAscending\x6dMaxDatapoints"
					"\x1a\x00\x01\x89\xc0\x69NextToken\x61t";
	struct aws_call call;
	struct err err;

	(void)state;
	aws_call_init(&call, (size_t)1 << 20);
	assert_int_equal(cw_list_call(CW_CBOR, &list, &call, &err), 0);
	assert_int_equal(call.body.n, sizeof(want_list) - 1);
	assert_memory_equal(call.body.p, want_list, call.body.n);
	assert_string_equal(call.path,
			    "/service/GraniteServiceVersion20100801/operation/ListMetrics");
	assert_null(call.target);
	assert_int_equal(call.proto, PROTO_AWS_CBOR);
	aws_call_reset(&call);
	assert_int_equal(cw_data_call(CW_CBOR, &data, &call, &err), 0);
	assert_int_equal(call.body.n, sizeof(want_data) - 1);
	assert_memory_equal(call.body.p, want_data, call.body.n);
	assert_string_equal(call.path,
			    "/service/GraniteServiceVersion20100801/operation/GetMetricData");
	aws_call_done(&call);
}

/* A request back as JSON, without its tags. */
static json_t *
to_json(struct cbor_scan *s)
{
	struct cbor_scan before = *s;
	struct cbor_walk w;
	bool end = false;
	struct sv text;
	double v;
	json_t *j;

	if (cbor_text(s, &text))
		return json_stringn(text.p, text.n);
	*s = before;
	if (cbor_number(s, &v))
		return json_real(v);
	*s = before;
	if (cbor_tag(s, 1))
		return to_json(s);
	*s = before;
	if (*s->p == '\xf5' || *s->p == '\xf4')
		return json_boolean(*s->p++ == '\xf5');
	if (cbor_open(s, CBOR_LIST, &w)) {
		for (j = json_array(); cbor_next(s, &w, &end) && !end;)
			assert_int_equal(json_array_append_new(j, to_json(s)), 0);
		return j;
	}
	*s = before;
	assert_true(cbor_open(s, CBOR_MAP, &w));
	for (j = json_object(); cbor_next(s, &w, &end) && !end;) {
		assert_true(cbor_text(s, &text));
		assert_int_equal(json_object_setn_new(j, text.p, text.n, to_json(s)), 0);
	}
	return j;
}

/* Whatever is asked is asked for alike in both. */
static void
same_request(const struct aws_call *json, const struct aws_call *cbor)
{
	struct sv body = buf_view(&cbor->body);
	struct cbor_scan s = CBOR_SCAN_INIT(body);
	CLEANUP(json_decrefp) json_t *a = NULL;
	CLEANUP(json_decrefp) json_t *b = to_json(&s);
	CLEANUP(buf_done) struct buf one = BUF_INIT(1 << 20);
	CLEANUP(buf_done) struct buf other = BUF_INIT(1 << 20);
	struct err err;

	assert_ptr_equal(s.p, s.end);
	a = json_loadb(json->body.p, json->body.n, JSON_DECODE_INT_AS_REAL, NULL);
	assert_int_equal(json_dump(a, true, &one, &err), 0);
	assert_int_equal(json_dump(b, true, &other, &err), 0);
	assert_string_equal(buf_cstr(&one), buf_cstr(&other));
}

static void
test_requests_like_json(void **state)
{
	static const struct cw_dim dims[] = {{"A", "1 \"x\""}, {"ServiceName", "w\xC3\xA9"}};
	static const struct cw_metric m[] = {{"A/B", "n", dims, 2}, {"C", "o", NULL, 0}};
	static const struct cw_query q[] = {
	    {.id = 0, .metric = &m[0], .stat = "p99"},
	    {.id = 30000, .metric = &m[1], .stat = "Average", .hidden = true},
	    {.id = 7, .expression = "SUM(m0)", .label = "x"},
	    {.id = 8, .expression = "m0", .hidden = true},
	};
	struct aws_call calls[2];
	struct err err;

	(void)state;
	aws_call_init(&calls[0], (size_t)1 << 20);
	aws_call_init(&calls[1], (size_t)1 << 20);
	for (unsigned i = 0; i < 8; i++) {
		const char *token = i & 1 ? "t\n" : NULL, *account = i & 2 ? "111122223333" : NULL;
		const struct cw_data_req data = {.queries = q,
						 .n = i & 4 ? 1 : 4,
						 .start_ms = 1767225600000,
						 .end_ms = 1767225900500,
						 .period_ms = 60000,
						 .token = token,
						 .account = account};
		const struct cw_list_req list = {
		    .ns = "A/B", .recent = (i & 4) != 0, .token = token, .account = account};

		for (int list_them = 0; list_them < 2; list_them++) {
			for (int k = 0; k < 2; k++) {
				enum cw_proto p = k ? CW_CBOR : CW_JSON;

				aws_call_reset(&calls[k]);
				assert_int_equal(list_them
						     ? cw_list_call(p, &list, &calls[k], &err)
						     : cw_data_call(p, &data, &calls[k], &err),
						 0);
			}
			same_request(&calls[0], &calls[1]);
		}
	}
	aws_call_done(&calls[0]);
	aws_call_done(&calls[1]);
}

/* Recorded answers */

static size_t
compare_recorded(const char *operation, bool list)
{
	CLEANUP(json_decrefp) json_t *cases = data_json("aws/recorded/index.json");
	static const char *const files[] = {"body.cbor", "body.indefinite.cbor"};
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(cases); i++) {
		const json_t *c = json_array_get(cases, i);
		CLEANUP(buf_done) struct buf json = BUF_INIT(ROOM);
		char path[512];

		if (strcmp(data_str(c, "service"), "monitoring") != 0 ||
		    strcmp(data_str(c, "operation"), operation) != 0 ||
		    !json_is_null(json_object_get(c, "error")))
			continue;
		(void)snprintf(path, sizeof(path), "aws/recorded/%s/body.json",
			       data_str(c, "case"));
		data_read(path, &json);
		for (size_t k = 0; k < ARRAY_LEN(files); k++) {
			CLEANUP(buf_done) struct buf cbor = BUF_INIT(ROOM);

			(void)snprintf(path, sizeof(path), "aws/recorded/%s/%s",
				       data_str(c, "case"), files[k]);
			data_read(path, &cbor);
			compare(buf_view(&json), buf_view(&cbor), list);
			n++;
		}
	}
	return n;
}

static void
test_recorded(void **state)
{
	(void)state;
	data_or_skip();
	assert_true(compare_recorded("ListMetrics", true) >= 6);
	assert_true(compare_recorded("GetMetricData", false) >= 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_requests),  cmocka_unit_test(test_requests_like_json),
	    cmocka_unit_test(test_spellings), cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_times),     cmocka_unit_test(test_lists),
	    cmocka_unit_test(test_lists),     cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_too_deep),  cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_mutated),   cmocka_unit_test(test_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
