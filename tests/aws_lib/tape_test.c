/* Recording and replaying: what is kept, what a call is known by, and which answer it gets. */
#include "aws/tape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "aws/tape_scrub.h"
#include "fmt/json.h"
#include "tests/support/fake_transport.h"

#define KEY_ID	  "ASIACANARYCANARY1234"
#define TOKEN	  "canary/session+token=="
#define SIGNATURE "0123456789abcdefcanary"

static struct http_req
request(const char *service, const char *operation, const char *body)
{
	struct http_req r = {
	    .method = "POST",
	    .url = "https://canary-host.example/",
	    .body = sv_of(body),
	    .service = service,
	    .operation = operation,
	    .account = "111122223333",
	    .region = "eu-west-1",
	    .auth = AUTH_SIGV4,
	    .auth_header = "AWS4-HMAC-SHA256 Credential=" KEY_ID
			   "/20260101/eu-west-1/sts/aws4_request, SignedHeaders=host, "
			   "Signature=" SIGNATURE,
	    .proto = strcmp(service, "sts") ? PROTO_AWS_JSON : PROTO_AWS_QUERY,
	};

	assert_int_equal(req_header(&r, "Content-Type", "kept", NULL), 0);
	assert_int_equal(req_header(&r, "X-Amz-Security-Token", TOKEN, NULL), 0);
	assert_int_equal(req_header(&r, "X-Amz-Date", "canary-date", NULL), 0);
	return r;
}

static struct exchange *
masked(const struct http_req *req, int status, const char *answer, const struct err *why)
{
	struct exchange *e = NULL;
	struct http_resp resp;
	struct err err = {0};

	resp_init(&resp, 0);
	resp.status = status;
	buf_str(&resp.headers,
		"date: canary\nretry-after: 1\nset-cookie: canary\nx-amzn-requestid: canary\n");
	buf_str(&resp.body, answer);
	assert_int_equal(tape_mask(req, &resp, why ? -1 : 0, why, &e, &err), 0);
	resp_done(&resp);
	return e;
}

static void
assert_clean(const struct exchange *e)
{
	static const char *const canaries[] = {"canary", "CANARY", "X-Amz", "AWS4"};
	const struct buf *const all[] = {&e->path, &e->headers, &e->body, &e->answer_headers,
					 &e->answer};

	for (size_t i = 0; i < 5; i++)
		for (size_t k = 0; k < 4; k++)
			assert_null(strstr(buf_cstr(all[i]), canaries[k]));
}

static void
test_sts_is_written_anew(void **state)
{
	struct http_req r = request("sts", "AssumeRole",
				    "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws"
				    "&RoleSessionName=canary-session&ExternalId=canary%2Fexternal"
				    "&SourceIdentity=canary&TokenCode=canary&DurationSeconds=900");
	struct exchange *e =
	    masked(&r, 200,
		   "<AssumeRoleResponse><AssumeRoleResult><AssumedRoleUser>"
		   "<Arn>arn:aws:sts::111122223333:assumed-role/reader/canary-session</Arn>"
		   "<AssumedRoleId>AROACANARY</AssumedRoleId></AssumedRoleUser><Credentials>"
		   "<AccessKeyId>ASIACANARYCANARY5678</AccessKeyId><SecretAccessKey>canary-secret"
		   "</SecretAccessKey><SessionToken>canary-token</SessionToken>"
		   "<Expiration>2026-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>"
		   "</AssumeRoleResponse>",
		   NULL);

	(void)state;
	assert_clean(e);
	assert_string_equal(
	    buf_cstr(&e->body),
	    "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws&DurationSeconds=900");
	assert_non_null(strstr(buf_cstr(&e->answer), "assumed-role/reader/replay</Arn>"));
	assert_string_equal(buf_cstr(&e->headers), "Content-Type: kept\n");
	assert_string_equal(buf_cstr(&e->answer_headers), "retry-after: 1\n");
	exchange_free(e);
}

/* What is not understood is not kept, and an error may quote what was sent. */
static void
test_other_answers_of_sts(void **state)
{
	static const char *const answers[] = {
	    "<Surprise>canary</Surprise>",
	    "{\"AccessKeyId\": \"canary\"}",
	    "canary",
	    "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>canary</AccessKeyId>"
	    "</Credentials></AssumeRoleResult></AssumeRoleResponse>",
	    "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not canary/external: " TOKEN
	    " &lt;b&gt;</Message></Error></ErrorResponse>",
	};
	const struct err why = {.kind = ERR_AUTH, .code = "AccessDenied"};

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct http_req r =
		    request("sts", "AssumeRole", "Action=AssumeRole&ExternalId=canary%2Fexternal");
		struct exchange *e = masked(&r, 403, answers[i], &why);

		assert_clean(e);
		assert_int_equal(e->outcome, ERR_AUTH);
		exchange_free(e);
	}
}

static void
test_bodies_are_searched(void **state)
{
	struct http_req r =
	    request("monitoring", "ListMetrics", "{\"b\": 1, \"a\": \"AKIACANARYCANARY9999\"}");
	struct exchange *e = masked(
	    &r, 403, "{\"message\": \"should have been: " TOKEN " " SIGNATURE " by " KEY_ID "\"}",
	    NULL);

	(void)state;
	assert_clean(e);
	assert_string_equal(buf_cstr(&e->body),
			    "{\n  \"a\": \"XXXXXXXXXXXXXXXXXXXX\",\n  \"b\": 1\n}\n");
	exchange_free(e);
	assert_true(tape_records("sts"));
	assert_false(tape_records("s3"));
	assert_false(tape_records("aps"));
	assert_false(tape_records("remote_write"));
}

/* It is made of names, and nothing is known by it. */
static void
test_the_mark_of_a_query_is_dropped(void **state)
{
	struct http_req r = request("logs", "StartQuery",
				    "{\"queryString\": \"fields a\\n# muster 1234567890123\"}");
	struct exchange *e = masked(&r, 200, "{}", NULL);

	(void)state;
	assert_string_equal(buf_cstr(&e->body), "{\n  \"queryString\": \"fields a\"\n}\n");
	exchange_free(e);
}

/* Of the service's clock only this is kept: that it was far off. */
static void
test_clock(void **state)
{
	static const struct {
		const char *signed_at, *date;
		bool off;
	} cases[] = {
	    {"20260101T000000Z", "Thu, 01 Jan 2026 00:03:59 GMT", false},
	    {"20260101T000000Z", "Thu, 01 Jan 2026 00:04:00 GMT", true},
	    {"20260101T001000Z", "Thu, 01 Jan 2026 00:00:00 GMT", true},
	    {"nonsense", "Thu, 01 Jan 2026 00:00:00 GMT", false},
	    {"20260101T001000Z", "nonsense", false},
	};
	const struct err why = {.kind = ERR_SKEW};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct http_req r = {.method = "POST",
				     .url = "https://x/",
				     .service = "monitoring",
				     .operation = "ListMetrics"};
		struct exchange *e = NULL;
		struct http_resp resp;

		resp_init(&resp, 0);
		resp.status = 403;
		buf_fmt(&resp.headers, "date: %s\n", cases[i].date);
		assert_int_equal(req_header(&r, "X-Amz-Date", cases[i].signed_at, NULL), 0);
		assert_int_equal(tape_mask(&r, &resp, -1, &why, &e, NULL), 0);
		assert_int_equal(e->clock_off, cases[i].off);
		assert_int_equal(e->answer_headers.n, 0);
		exchange_free(e);
		resp_done(&resp);
	}
}

static void
key_of(const char *body, bool loose, struct buf *out)
{
	struct http_req r = request("monitoring", "GetMetricData", body);
	struct exchange *e = masked(&r, 200, "", NULL);

	assert_int_equal(tape_key(e, loose, out, NULL), 0);
	exchange_free(e);
}

static bool
same_key(const char *a, const char *b, bool loose)
{
	struct buf x = BUF_INIT(1u << 20), y = BUF_INIT(1u << 20);
	bool same;

	key_of(a, loose, &x);
	key_of(b, loose, &y);
	same = sv_eq(buf_view(&x), buf_view(&y));
	buf_done(&x);
	buf_done(&y);
	return same;
}

static void
test_keys(void **state)
{
	static const struct {
		const char *a, *b;
		bool strict, loose;
	} cases[] = {
	    {"{\"a\":1,\"b\":2}", "{ \"b\": 2, \"a\": 1 }", true, true},
	    {"{\"a\":1}", "{\"a\":2}", false, false},
	    {"{\"StartTime\":1}", "{\"StartTime\":2}", false, true},
	    {"{\"NextToken\":\"x\"}", "{\"NextToken\":\"y\"}", false, true},
	    {"{\"q\":\"t >= 1767240000000\"}", "{\"q\":\"t >= 1767240300000\"}", false, true},
	    {"Action=A&EndTime=1&B=2", "Action=A&EndTime=3&B=2", false, true},
	    {"Action=A&B=2", "Action=A&B=3", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(same_key(cases[i].a, cases[i].b, false), cases[i].strict);
		assert_int_equal(same_key(cases[i].a, cases[i].b, true), cases[i].loose);
	}
}

/* ---- the two transports ---- */

static int
refuse(void *arg, const struct http_req *req, struct http_resp *resp, struct err *err)
{
	(void)arg;
	(void)req;
	(void)resp;
	return err_set(err, ERR_LOCAL, "the outlet");
}

/* Records `n` answers to these bodies in turn. */
static struct cassette *
recorded(const struct fake_answer *answers, const char *const *bodies, size_t n)
{
	struct clock *clock = clock_fake_new(0);
	struct recording rec = {.cassette = cassette_new()};
	struct transport *t = fake_transport_new(answers, n, clock);
	struct http_resp resp;

	assert_int_equal(record_transport_new(t, &rec, &t, NULL), 0);
	resp_init(&resp, 0);
	for (size_t i = 0; i < n; i++) {
		struct http_req r = request("monitoring", "ListMetrics", bodies[i]);

		(void)transport_send(t, &r, &resp, NULL);
	}
	resp_done(&resp);
	transport_free(t);
	clock_fake_free(clock);
	assert_int_equal(rec.failed.kind, ERR_NONE);
	assert_int_equal(rec.cassette->n, n);
	for (size_t i = 0; i < n; i++)
		(void)snprintf(rec.cassette->exchanges[i]->name, 8, "e%u", (unsigned)i % 1000);
	return rec.cassette;
}

/* What is about our own credentials goes through, and on no cassette. */
static void
test_unrecorded(void **state)
{
	static const struct fake_answer answer = {ERR_NONE, 200, NULL, 0, "", "<keys/>", NULL};
	struct clock *clock = clock_fake_new(0);
	struct recording rec = {.cassette = cassette_new()};
	struct transport *t = fake_transport_new(&answer, 1, clock);
	struct http_req r = request("sts", "AssumeRoleWithWebIdentity", "Action=x");
	struct http_resp resp;

	(void)state;
	assert_int_equal(record_transport_new(t, &rec, &t, NULL), 0);
	resp_init(&resp, 0);
	r.unrecorded = true;
	assert_int_equal(transport_send(t, &r, &resp, NULL), 0);
	assert_string_equal(buf_cstr(&resp.body), "<keys/>");
	assert_int_equal(rec.cassette->n, 0);
	r.unrecorded = false;
	assert_int_equal(transport_send(t, &r, &resp, NULL), 0);
	assert_int_equal(rec.cassette->n, 1);
	resp_done(&resp);
	transport_free(t);
	cassette_free(rec.cassette);
	clock_fake_free(clock);
}

static enum err_kind
ask(struct transport *t, const char *body, const char *answer, struct err *err)
{
	struct http_req r = request("monitoring", "ListMetrics", body);
	struct http_resp resp;
	int result;

	err_clear(err);
	resp_init(&resp, 0);
	result = transport_send(t, &r, &resp, err);
	if (answer)
		assert_non_null(strstr(buf_cstr(&resp.body), answer));
	resp_done(&resp);
	return result ? err->kind : ERR_NONE;
}

#define ANSWER(text)                                                                               \
	{                                                                                          \
		ERR_NONE, 200, NULL, 0, "", "{\"is\":\"" text "\"}", NULL                          \
	}

static void
test_matching(void **state)
{
	static const struct fake_answer answers[] = {
	    {ERR_TRANSIENT, 503, "ServiceUnavailable", 0, "", "{}", NULL},
	    ANSWER("first"),
	    ANSWER("page-2"),
	    ANSWER("again"),
	    {ERR_TRANSIENT, 0, NULL, 0, "", "", NULL},
	};
	static const char *const bodies[] = {
	    "{\"n\":1}", "{\"n\":1}", "{\"n\":1,\"NextToken\":\"t\"}", "{\"n\":1}", "{\"n\":2}"};
	struct cassette *c = recorded(answers, bodies, 5);
	const struct tape_outlet outlet = {refuse, NULL};
	struct tape_report report = {0};
	struct transport *t = NULL;
	struct err err;

	(void)state;
	assert_int_equal(replay_transport_new(c, &outlet, &report, clock_real(), &t, &err), 0);
	/* By what is asked, not by when; in order where the same is asked again. */
	assert_int_equal(ask(t, "{\"n\":1,\"NextToken\":\"t\"}", "page-2", &err), ERR_NONE);
	assert_int_equal(ask(t, "{\"n\":1}", NULL, &err), ERR_TRANSIENT);
	assert_int_equal(err.http_status, 503);
	assert_int_equal(ask(t, "{\"n\":1}", "first", &err), ERR_NONE);
	/* No such token: the next one without. */
	assert_int_equal(ask(t, "{\"n\":1,\"NextToken\":\"u\"}", "again", &err), ERR_NONE);
	/* A failure that was the last answer goes on. */
	assert_int_equal(ask(t, "{\"n\":2}", NULL, &err), ERR_TRANSIENT);
	assert_int_equal(ask(t, "{\"n\":2}", NULL, &err), ERR_TRANSIENT);
	assert_int_equal(err.http_status, 0);
	/* Used up; never asked. */
	assert_int_equal(ask(t, "{\"n\":1}", NULL, &err), ERR_REJECTED);
	assert_non_null(strstr(err.msg, "were given before"));
	assert_int_equal(ask(t, "{\"n\":25}", NULL, &err), ERR_REJECTED);
	assert_non_null(strstr(err.msg, "the nearest is e4"));
	transport_free(t);
	assert_int_equal(report.unmatched, 2);
	assert_int_equal(report.unused, 0);
	assert_non_null(strstr(report.first.msg, "no answer to monitoring ListMetrics"));
	cassette_free(c);
}

static void
test_what_is_no_read_goes_to_the_outlet(void **state)
{
	struct cassette *c = cassette_new();
	const struct tape_outlet outlet = {refuse, NULL};
	struct http_req r = request("remote_write", "RemoteWrite", "x");
	struct tape_report report = {0};
	struct transport *t = NULL;
	struct http_resp resp;
	struct err err;

	(void)state;
	resp_init(&resp, 0);
	assert_int_equal(replay_transport_new(c, &outlet, &report, clock_real(), &t, &err), 0);
	assert_int_equal(transport_send(t, &r, &resp, &err), -1);
	assert_string_equal(err.msg, "the outlet");
	assert_int_equal(ask(t, "{}", NULL, &err), ERR_REJECTED);
	assert_null(strstr(err.msg, "nearest"));
	transport_free(t);
	resp_done(&resp);
	cassette_free(c);
}

/* ---- scrubbing ---- */

static void
scrubbed(struct scrub *s, const char *in, bool words, char out[200])
{
	struct buf b = BUF_INIT(200);

	(words ? scrub_words : scrub_text)(s, sv_of(in), &b);
	(void)snprintf(out, 200, "%s", buf_cstr(&b));
	buf_done(&b);
}

static void
test_scrub(void **state)
{
	static const char *const names[] = {"Acme", "acme", "acme-web", "web", "zebra_7", "a"};
	char before[200], out[6][200];
	struct scrub *s = NULL;

	(void)state;
	assert_int_equal(scrub_new(&s, NULL), 0);
	for (size_t i = 0; i < 6; i++)
		scrubbed(s, names[i], true, before);
	assert_string_equal(before, "a");
	scrubbed(s, "arn:aws:iam::111122223333:role/team/web by 111122223333", false, before);
	assert_int_equal(scrub_seal(s, NULL), 0);
	for (size_t i = 0; i < 6; i++) {
		scrubbed(s, names[i], true, out[i]);
		assert_null(strcasestr(out[i], "acme"));
		assert_null(strstr(out[i], "web"));
		/* Sorted as they were. */
		for (size_t k = 0; k < i; k++)
			assert_int_equal(strcmp(names[k], names[i]) < 0,
					 strcmp(out[k], out[i]) < 0);
	}
	assert_int_equal(strlen(out[5]), 10);
	assert_memory_equal(out[2], out[1], 10);
	assert_string_equal(out[2] + 11, out[3]);
	assert_string_equal(out[4] + 10, "_7");
	scrubbed(s, "arn:aws:iam::111122223333:role/team/web by 111122223333", false, before);
	assert_memory_equal(before, "arn:aws:iam::", 13);
	assert_null(strstr(before, "111122223333"));
	assert_null(strstr(before, "team"));
	assert_non_null(strstr(before, out[3]));
	assert_memory_equal(before + 13, before + strlen(before) - 12, 12);
	scrubbed(s, "never seen", true, before);
	assert_string_equal(before, "unknown unknown");
	scrub_free(s);
}

static void
test_scrub_bodies(void **state)
{
	static const char *const bodies[] = {
	    "{\"Metrics\": [{\"Dimensions\": [{\"Name\": \"ClusterName\", \"Value\": \"secret\"}],"
	    " \"n\": 123456789012}]}",
	    "<a><Name>ClusterName</Name><Value>secret&amp;secret</Value><n>1</n></a>",
	    "{\"logGroupNamePrefix\": \"/secret/\", \"Name\": \"ClusterName\", \"arn\":"
	    " \"arn:aws:logs:eu-west-1:111122223333:log-group:/secret/x:*\"}",
	    "Action=A&X.1.Value=secret%20x&Name=ClusterName",
	    "{\"results\": [[{\"field\": \"@message\", \"value\": \"a secret\"},"
	    " {\"field\": \"@timestamp\", \"value\": \"ClusterName 2026\"}]]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct exchange *e = exchange_new();
		struct scrub *s = NULL;

		assert_int_equal(scrub_new(&s, NULL), 0);
		buf_str(&e->answer, bodies[i]);
		assert_int_equal(scrub_exchange(s, e, NULL), 0);
		assert_string_equal(buf_cstr(&e->answer), bodies[i]);
		assert_int_equal(scrub_seal(s, NULL), 0);
		assert_int_equal(scrub_exchange(s, e, NULL), 0);
		assert_null(strstr(buf_cstr(&e->answer), "secret"));
		assert_non_null(strstr(buf_cstr(&e->answer), "ClusterName"));
		exchange_free(e);
		scrub_free(s);
	}
}

/* An account's id stands in documents as a text and as a number: it becomes the same one. */
static void
scrub_number(const char *text_in, const char *number_in)
{
	struct exchange *e = exchange_new();
	const char *text, *number;
	struct scrub *s = NULL;
	char in[256];

	(void)snprintf(in, sizeof(in),
		       "{\"Segments\": [{\"Document\": \"{\\\"account_id\\\":\\\"%s\\\","
		       "\\\"metadata\\\":{\\\"a\\\":%s,\\\"b\\\":9876543210123,"
		       "\\\"c\\\":12345678902}}\"}]}",
		       text_in, number_in);
	assert_int_equal(scrub_new(&s, NULL), 0);
	buf_str(&e->answer, in);
	assert_int_equal(scrub_exchange(s, e, NULL), 0);
	assert_string_equal(buf_cstr(&e->answer), in);
	assert_int_equal(scrub_seal(s, NULL), 0);
	assert_int_equal(scrub_exchange(s, e, NULL), 0);
	assert_null(strstr(buf_cstr(&e->answer), text_in));
	assert_null(strstr(buf_cstr(&e->answer), number_in));
	assert_non_null(
	    strstr(buf_cstr(&e->answer), "\\\"b\\\":9876543210123,\\\"c\\\":12345678902}"));
	text = strstr(buf_cstr(&e->answer), "account_id\\\":\\\"");
	number = strstr(buf_cstr(&e->answer), "\\\"a\\\":");
	assert_true(text && number);
	assert_memory_equal(text + strlen("account_id\\\":\\\""), number + strlen("\\\"a\\\":"),
			    strlen("111122223333"));
	exchange_free(e);
	scrub_free(s);
}

static void
test_scrub_numbers(void **state)
{
	(void)state;
	scrub_number("111122223333", "111122223333");
	scrub_number("012345678901", "12345678901"); /* which JSON knows no zero before */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sts_is_written_anew),
	    cmocka_unit_test(test_other_answers_of_sts),
	    cmocka_unit_test(test_bodies_are_searched),
	    cmocka_unit_test(test_the_mark_of_a_query_is_dropped),
	    cmocka_unit_test(test_clock),
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_unrecorded),
	    cmocka_unit_test(test_matching),
	    cmocka_unit_test(test_what_is_no_read_goes_to_the_outlet),
	    cmocka_unit_test(test_scrub),
	    cmocka_unit_test(test_scrub_bodies),
	    cmocka_unit_test(test_scrub_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
