/* Answers and their kinds: by hand, and all of a catalogue of recorded errors. */
#include "aws/aws_err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <strings.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "fmt/codec.h"
#include "tests/support/data.h"

struct answer {
	struct http_req req;
	struct http_resp resp;
	struct err err;
	int result;
};

static void
answer_done(struct answer *a)
{
	resp_done(&a->resp);
}

static void
classify_bytes(struct answer *a, enum http_proto proto, int status, const char *headers,
	       struct sv body)
{
	*a = (struct answer){.req = {.method = "POST", .proto = proto}};
	resp_init(&a->resp, 1u << 20);
	a->resp.status = status;
	buf_str(&a->resp.headers, headers);
	buf_sv(&a->resp.body, body);
	a->result = aws_classify(&a->req, &a->resp, &a->err);
}

static void
classify(struct answer *a, enum http_proto proto, int status, const char *headers, const char *body)
{
	classify_bytes(a, proto, status, headers, sv_of(body));
}

static void
test_success(void **state)
{
	static const enum http_proto protos[] = {PROTO_PLAIN, PROTO_AWS_JSON, PROTO_AWS_QUERY,
						 PROTO_AWS_REST_XML, PROTO_AWS_CBOR};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
		CLEANUP(answer_done) struct answer a;

		classify(&a, protos[i], 200, "", "<ok/>");
		assert_int_equal(a.result, 0);
	}
}

static void
test_error_in_200(void **state)
{
	CLEANUP(answer_done) struct answer a, b, c;

	(void)state;
	classify(&a, PROTO_AWS_REST_XML, 200, "",
		 "\n<?xml version=\"1.0\"?>\n<Error><Code>SlowDown</Code></Error>");
	assert_int_equal(a.result, -1);
	assert_int_equal(a.err.kind, ERR_THROTTLED);
	classify(&b, PROTO_AWS_REST_XML, 200, "", "<Error><Code>Whatever</Code></Error>");
	assert_int_equal(b.err.kind, ERR_TRANSIENT);
	classify(&c, PROTO_AWS_REST_XML, 200, "", "<Error><Code>Intern");
	assert_int_equal(c.result, -1);
	assert_int_equal(c.err.kind, ERR_TRANSIENT);
	/* What was asked for may look like one. */
	c.req.method = "GET";
	assert_int_equal(aws_classify(&c.req, &c.resp, &c.err), 0);
}

static void
test_code_spellings(void **state)
{
	static const struct {
		const char *headers, *body, *code;
	} cases[] = {
	    {"", "{\"__type\":\"a.b.c#ThrottlingException\"}", "ThrottlingException"},
	    {"", "{\"__type\":\"Throttling:http://x/\"}", "Throttling"},
	    {"", "{\"code\":\"Throttling\"}", "Throttling"},
	    {"", "{\"Code\":\"Throttling\",\"Message\":null}", "Throttling"},
	    {"x-amzn-errortype: Throttling:http://x/\n", "{}", "Throttling"},
	    {"x-amzn-errortype: Throttling\n", "not json", "Throttling"},
	    {"x-amzn-query-error: Throttling;Sender\n", "{\"__type\":\"Other\"}", "Throttling"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(answer_done) struct answer a;

		classify(&a, PROTO_AWS_JSON, 400, cases[i].headers, cases[i].body);
		assert_int_equal(a.err.kind, ERR_THROTTLED);
		assert_string_equal(a.err.code, cases[i].code);
	}
}

static void
test_skew_in_words(void **state)
{
	(void)state;
	assert_int_equal(aws_kind_of(PROTO_AWS_JSON, 400, "InvalidSignatureException",
				     "Signature expired: 20260101T000000Z is now earlier than "
				     "20260101T005500Z (20260101T010000Z - 5 min.)"),
			 ERR_SKEW);
	assert_int_equal(aws_kind_of(PROTO_AWS_QUERY, 403, "SignatureDoesNotMatch",
				     "Signature not yet current: 20260101T010000Z is still later"),
			 ERR_SKEW);
	assert_int_equal(aws_kind_of(PROTO_AWS_QUERY, 403, "SignatureDoesNotMatch",
				     "The request signature we calculated does not match"),
			 ERR_AUTH);
	assert_int_equal(aws_kind_of(PROTO_AWS_QUERY, 403, "SignatureDoesNotMatch", NULL),
			 ERR_AUTH);
}

static void
test_status_alone(void **state)
{
	static const struct {
		int status;
		enum err_kind aws, plain;
	} cases[] = {
	    {200, ERR_NONE, ERR_NONE},		 {204, ERR_NONE, ERR_NONE},
	    {304, ERR_REJECTED, ERR_REJECTED},	 {400, ERR_REJECTED, ERR_REJECTED},
	    {401, ERR_AUTH, ERR_AUTH},		 {403, ERR_AUTH, ERR_AUTH},
	    {404, ERR_NOTFOUND, ERR_REJECTED},	 {408, ERR_TRANSIENT, ERR_REJECTED},
	    {409, ERR_CONFLICT, ERR_REJECTED},	 {412, ERR_CONFLICT, ERR_REJECTED},
	    {413, ERR_REJECTED, ERR_REJECTED},	 {429, ERR_THROTTLED, ERR_THROTTLED},
	    {500, ERR_TRANSIENT, ERR_TRANSIENT}, {501, ERR_REJECTED, ERR_TRANSIENT},
	    {502, ERR_TRANSIENT, ERR_TRANSIENT}, {504, ERR_TRANSIENT, ERR_TRANSIENT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(aws_kind_of(PROTO_AWS_JSON, cases[i].status, NULL, NULL),
				 cases[i].aws);
		assert_int_equal(aws_kind_of(PROTO_PLAIN, cases[i].status, "", ""), cases[i].plain);
	}
	assert_int_equal(aws_kind_of(PROTO_AWS_REST_XML, 412, "PreconditionFailed", NULL),
			 ERR_CONFLICT);
	assert_int_equal(aws_kind_of(PROTO_AWS_REST_XML, 404, "NoSuchKey", NULL), ERR_NOTFOUND);
	assert_int_equal(aws_kind_of(PROTO_AWS_REST_XML, 400, "KMS.DisabledException", NULL),
			 ERR_AUTH);
	assert_int_equal(aws_kind_of(PROTO_AWS_REST_XML, 400, "KMS.ThrottlingException", NULL),
			 ERR_THROTTLED);
}

/* S3's own: what a second try can put right, and what none can. */
static void
test_s3_codes(void **state)
{
	static const struct {
		int status;
		const char *code;
		enum err_kind kind;
	} cases[] = {
	    {400, "RequestTimeout", ERR_TRANSIENT},
	    {400, "BadDigest", ERR_TRANSIENT},
	    {400, "XAmzContentChecksumMismatch", ERR_TRANSIENT},
	    {400, "IncompleteBody", ERR_TRANSIENT},
	    {400, "XAmzContentSHA256Mismatch", ERR_REJECTED},
	    {400, "EntityTooSmall", ERR_REJECTED},
	    {400, "AuthorizationHeaderMalformed", ERR_REJECTED},
	    {400, "KMS.DisabledException", ERR_AUTH},
	    {400, "KMS.ThrottlingException", ERR_THROTTLED},
	    {400, "ExpiredToken", ERR_EXPIRED},
	    {403, "AllAccessDisabled", ERR_AUTH},
	    {403, "RequestTimeTooSkewed", ERR_SKEW},
	    {404, "NoSuchUpload", ERR_NOTFOUND},
	    {409, "ConditionalRequestConflict", ERR_TRANSIENT},
	    {409, "OperationAborted", ERR_TRANSIENT},
	    {412, "PreconditionFailed", ERR_CONFLICT},
	    {503, "SlowDown", ERR_THROTTLED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(
		    aws_kind_of(PROTO_AWS_REST_XML, cases[i].status, cases[i].code, NULL),
		    cases[i].kind);
}

static void
test_texts_are_harmless(void **state)
{
	CLEANUP(answer_done) struct answer a, b;
	char big[2000];

	(void)state;
	classify(&a, PROTO_PLAIN, 400, "", "one\ntwo\r\x1b[31mred \xc2\x9b\xff end \xc3\xa4\n\n");
	assert_string_equal(a.err.msg,
			    "400: one\\ntwo\\x0d\\x1b[31mred \\xc2\\x9b\\xff end \xc3\xa4");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	big[299] = '\xc3'; /* a letter that the cut would split */
	big[300] = '\xa4';
	classify(&b, PROTO_PLAIN, 500, "", big);
	assert_int_equal(strlen(b.err.msg), 5 + 299 + 3);
}

static void
test_retry_after(void **state)
{
	static const struct {
		const char *headers;
		unsigned ms;
	} cases[] = {
	    {"", 0},
	    {"retry-after: 7\n", 7000},
	    {"retry-after: -7\n", 0},
	    {"retry-after: 99999999999999999\n", 3600000},
	    {"retry-after: soon\n", 0},
	    {"retry-after: Wed, 01 May 2024 00:00:30 GMT\n"
	     "date: Wed, 01 May 2024 00:00:00 GMT\n",
	     30000},
	    {"retry-after: Wed, 01 May 2024 00:00:30 GMT\n", 0},
	    {"retry-after: Wed, 01 May 2024 00:00:00 GMT\n"
	     "date: Wed, 01 May 2024 00:00:30 GMT\n",
	     0},
	    {"x-amz-retry-after: 250\nretry-after: 9\n", 250},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(answer_done) struct answer a;

		classify(&a, PROTO_AWS_JSON, 503, cases[i].headers, "");
		assert_int_equal(a.err.retry_after_ms, cases[i].ms);
	}
}

static void
test_plain_429(void **state)
{
	CLEANUP(answer_done) struct answer a;

	(void)state;
	classify(&a, PROTO_PLAIN, 429, "", "slow down");
	assert_int_equal(a.err.kind, ERR_REJECTED);
	a.req.retry_429 = true;
	assert_int_equal(aws_classify(&a.req, &a.resp, &a.err), -1);
	assert_int_equal(a.err.kind, ERR_THROTTLED);
	assert_int_equal(aws_classify(&a.req, &a.resp, NULL), -1);
}

/* Bodies that are no map of texts leave the status in charge, and end. */
static void
test_broken_cbor(void **state)
{
	static const char deep[] =
	    "\xa1\x61x\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81"
	    "\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x00";
	static const struct sv bodies[] = {
	    {"\xff", 1},
	    {"\xa1", 1},
	    {"\xbf", 1},
	    {"\xa1\x66__type\x7a\xff\xff\xff\xff", 12},
	    {"\xbb\xff\xff\xff\xff\xff\xff\xff\xff", 9},
	    {"\xa1\x61x\x9b\xff\xff\xff\xff\xff\xff\xff\xff", 12},
	    {"\xa1\x61x\xff", 4},
	    {"\xa1\x61x\x1e", 4},
	    {"\x82\x01\x02", 3},
	    {deep, sizeof(deep) - 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		CLEANUP(answer_done) struct answer a;

		classify_bytes(&a, PROTO_AWS_CBOR, 400, "", bodies[i]);
		assert_int_equal(a.err.kind, ERR_REJECTED);
		assert_string_equal(a.err.code, "");
	}
}

/* Indefinite lengths, tags, numbers and nesting around the two fields. */
static void
test_cbor_with_company(void **state)
{
	static const char body[] = "\xbf\x61"
				   "a\xc1\xfb\x41\xd0\0\0\0\0\0\0\x61"
				   "b\x9f\x01\xf6\x5f\x41x\xff\xff\x66__type\x6a"
				   "Throttling\x67message\x64slow\xff";
	CLEANUP(answer_done) struct answer a;

	(void)state;
	classify_bytes(&a, PROTO_AWS_CBOR, 400, "", (struct sv){body, sizeof(body) - 1});
	assert_string_equal(a.err.msg, "400 Throttling: slow");
	assert_int_equal(a.err.kind, ERR_THROTTLED);
}

/* ---- the catalogue ---- */

static enum http_proto
proto_of(const char *name)
{
	if (strcmp(name, "query") == 0)
		return PROTO_AWS_QUERY;
	if (strcmp(name, "rest-xml") == 0)
		return PROTO_AWS_REST_XML;
	if (strcmp(name, "rpc-v2-cbor") == 0)
		return PROTO_AWS_CBOR;
	return strncmp(name, "remote-write", 12) == 0 ? PROTO_PLAIN : PROTO_AWS_JSON;
}

static enum err_kind
kind_of_class(const char *class, int status)
{
	static const struct {
		const char *class;
		enum err_kind kind;
	} kinds[] = {
	    {"throttling", ERR_THROTTLED},
	    {"server", ERR_TRANSIENT},
	    {"transient", ERR_TRANSIENT},
	    {"expired-credentials", ERR_EXPIRED},
	    {"bad-credentials", ERR_AUTH},
	    {"access-denied", ERR_AUTH},
	    {"validation", ERR_REJECTED},
	    {"not-found", ERR_NOTFOUND},
	    {"clock-skew", ERR_SKEW},
	    {"redirect", ERR_REJECTED},
	    {"ok", ERR_NONE},
	};

	/* Of a remote-write receiver: refused is refused, but who we are is another matter. */
	if (strcmp(class, "rejected") == 0)
		return status == 401 || status == 403 ? ERR_AUTH : ERR_REJECTED;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i].class, class) == 0)
			return kinds[i].kind;
	fail_msg("unknown class %s", class);
	return ERR_NONE;
}

static void
load_answer(json_t *j, struct answer *a)
{
	const json_t *base64 = json_object_get(j, "body_base64");
	const char *name;
	json_t *value;

	*a = (struct answer){0};
	resp_init(&a->resp, 1u << 20);
	a->req.method = "POST";
	a->req.proto = proto_of(data_str(j, "protocol"));
	a->req.retry_429 = true;
	a->resp.status = (int)json_integer_value(json_object_get(j, "http_status"));
	json_object_foreach(json_object_get(j, "headers"), name, value)
	{
		for (const char *p = name; *p; p++)
			buf_ch(&a->resp.headers, *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p);
		buf_fmt(&a->resp.headers, ": %s\n", json_string_value(value));
	}
	if (base64)
		assert_true(base64_decode(&a->resp.body, sv_of(json_string_value(base64))));
	else
		buf_str(&a->resp.body, data_str(j, "body"));
}

static void
check_entry(json_t *j)
{
	CLEANUP(answer_done) struct answer a;
	const json_t *expect = json_object_get(j, "expect");
	const char *id = data_str(j, "id"), *code = data_str(expect, "query_code");
	const char *message = data_str(expect, "message");
	enum err_kind kind;

	load_answer(j, &a);
	kind = kind_of_class(data_str(j, "class"), a.resp.status);
	if (!*code)
		code = data_str(expect, "code");
	a.result = aws_classify(&a.req, &a.resp, &a.err);
	if (a.err.kind != kind || (a.result == 0) != (kind == ERR_NONE))
		fail_msg("%s: kind %s instead of %s", id, err_kind_name(a.err.kind),
			 err_kind_name(kind));
	if (strcmp(a.err.code, code) != 0)
		fail_msg("%s: code %s instead of %s", id, a.err.code, code);
	if (strcmp(a.err.request_id, data_str(expect, "request_id")) != 0)
		fail_msg("%s: request id %s", id, a.err.request_id);
	if (*message && strlen(message) < 250 && !strstr(a.err.msg, message))
		fail_msg("%s: message %s instead of %s", id, a.err.msg, message);
}

static void
test_catalogue(void **state)
{
	CLEANUP(json_decrefp) json_t *entries = data_json("errors/catalogue.json");
	json_t *j;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(entries), 64);
	json_array_foreach(entries, i, j) check_entry(j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_success),
	    cmocka_unit_test(test_error_in_200),
	    cmocka_unit_test(test_code_spellings),
	    cmocka_unit_test(test_skew_in_words),
	    cmocka_unit_test(test_status_alone),
	    cmocka_unit_test(test_s3_codes),
	    cmocka_unit_test(test_texts_are_harmless),
	    cmocka_unit_test(test_retry_after),
	    cmocka_unit_test(test_plain_429),
	    cmocka_unit_test(test_broken_cbor),
	    cmocka_unit_test(test_cbor_with_company),
	    cmocka_unit_test(test_catalogue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
