/* The signing transport: what it adds, and how it repairs expired keys and a wrong clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "aws/aws_err.h"
#include "aws/sigv4.h"
#include "base/cleanup.h"
#include "tests/support/fake_transport.h"

/* 2026-01-01T00:00:00Z */
#define START_MS 1767225600000

/* Hands out KEY1, KEY2, ...: another one whenever the last is called stale. */
struct keys {
	struct cred_source base;
	int n;
	bool fail_stale;
	const char *token;
};

static int
keys_get(struct cred_source *s, const char *stale, struct cred *ret, struct err *err)
{
	struct keys *k = (struct keys *)s;
	char now[16];

	(void)snprintf(now, sizeof(now), "KEY%d", k->n);
	if (stale && strcmp(stale, now) == 0) {
		if (k->fail_stale)
			return err_set(err, ERR_TRANSIENT, "STS is away");
		k->n++;
	}
	(void)snprintf(ret->key_id, sizeof(ret->key_id), "KEY%d", k->n);
	if (secret_set(&ret->secret, SV("secret"), err) < 0)
		return -1;
	return secret_set(&ret->token, sv_of(k->token ? k->token : ""), err);
}

static void
keys_free(struct cred_source *s)
{
	(void)s;
}

static const struct cred_source_ops keys_ops = {"keys", keys_get, keys_free, NULL};

struct fixture {
	struct clock *clock;
	struct keys keys;
	struct transport *fake, *sign, *top; /* top: retries above it */
	struct http_resp resp;
	struct http_req req;
	struct err err;
};

static void
begin(struct fixture *f, const struct fake_answer *answers, size_t n)
{
	memset(f, 0, sizeof(*f));
	f->clock = clock_fake_new(START_MS);
	assert_non_null(f->clock);
	f->keys.base.ops = &keys_ops;
	f->keys.n = 1;
	f->fake = fake_transport_new(answers, n, f->clock);
	assert_non_null(f->fake);
	assert_int_equal(sign_transport_new(f->fake, f->clock, &f->sign, NULL), 0);
	assert_int_equal(retry_transport_new(f->sign, 3, 1, f->clock, &f->top, NULL), 0);
	resp_init(&f->resp, 10000);
	f->req = (struct http_req){
	    .method = "POST",
	    .url = "https://monitoring.eu-west-1.amazonaws.com/",
	    .body = SV("{}"),
	    .service = "monitoring",
	    .operation = "ListMetrics",
	    .account = "111122223333",
	    .region = "eu-west-1",
	    .auth = AUTH_SIGV4,
	    .creds = &f->keys.base,
	    .proto = PROTO_AWS_JSON,
	};
}

#define BEGIN(f, answers) begin((f), (answers), ARRAY_LEN(answers))

static void
end(struct fixture *f)
{
	transport_free(f->top);
	clock_fake_free(f->clock);
	resp_done(&f->resp);
}

static int
send_one(struct fixture *f)
{
	err_clear(&f->err);
	return transport_send(f->top, &f->req, &f->resp, &f->err);
}

static bool
sent(struct fixture *f, size_t call, const char *text)
{
	return strstr(fake_call(f->fake, call)->headers, text) != NULL;
}

static void
test_what_is_added(void **state)
{
	static const struct fake_answer answers[] = {{.kind = ERR_NONE}};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	f.keys.token = "TOKEN/+=";
	assert_int_equal(req_header(&f.req, "X-Amz-Target", "T.ListMetrics", NULL), 0);
	assert_int_equal(req_header(&f.req, "Content-Type", "application/json", NULL), 0);
	assert_int_equal(req_header(&f.req, "Accept", "application/json", NULL), 0);
	assert_int_equal(send_one(&f), 0);
	assert_true(sent(&f, 0, "Host: monitoring.eu-west-1.amazonaws.com\n"));
	assert_true(sent(&f, 0, "X-Amz-Date: 20260101T000000Z\n"));
	assert_true(sent(&f, 0, "X-Amz-Security-Token: TOKEN/+=\n"));
	assert_false(sent(&f, 0, "x-amz-content-sha256"));
	assert_true(sent(&f, 0,
			 "Authorization: AWS4-HMAC-SHA256 Credential=KEY1/20260101/eu-west-1/"
			 "monitoring/aws4_request, SignedHeaders=content-type;host;x-amz-date;"
			 "x-amz-security-token;x-amz-target, Signature="));
	/* The caller's request is as it was. */
	assert_int_equal(f.req.n_headers, 3);
	assert_null(f.req.auth_header);
	end(&f);
}

static void
test_s3(void **state)
{
	static const struct fake_answer answers[] = {{.kind = ERR_NONE}};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	f.req.s3_rules = true;
	f.req.url = "http://127.0.0.1:9000/bucket/a//b?list-type=2";
	assert_int_equal(req_header(&f.req, "If-None-Match", "*", NULL), 0);
	assert_int_equal(send_one(&f), 0);
	assert_true(sent(&f, 0, "Host: 127.0.0.1:9000\n"));
	/* of "{}" */
	assert_true(sent(&f, 0,
			 "x-amz-content-sha256: "
			 "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\n"));
	assert_true(
	    sent(&f, 0, "SignedHeaders=host;if-none-match;x-amz-content-sha256;x-amz-date,"));
	end(&f);
}

static void
test_others_pass_through(void **state)
{
	static const struct fake_answer answers[] = {{.kind = ERR_NONE}};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	f.req.auth = AUTH_HEADER;
	f.req.auth_header = "Bearer x";
	assert_int_equal(send_one(&f), 0);
	assert_string_equal(fake_call(f.fake, 0)->headers, "Authorization: Bearer x\n");
	f.req.auth = AUTH_SIGV4;
	f.req.creds = NULL;
	assert_int_equal(send_one(&f), -1);
	assert_int_equal(f.err.kind, ERR_USAGE);
	assert_int_equal(fake_calls(f.fake), 1);
	end(&f);
}

static void
test_too_many_headers(void **state)
{
	static const struct fake_answer answers[] = {{.kind = ERR_NONE}};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	for (int i = 0; i < HTTP_MAX_HEADERS; i++)
		assert_int_equal(req_header(&f.req, "X-Amz-Meta", "v", NULL), 0);
	assert_int_equal(send_one(&f), -1);
	assert_int_equal(f.err.kind, ERR_USAGE);
	end(&f);
}

#define JSON_ERROR(type, text) "{\"__type\":\"" type "\",\"message\":\"" text "\"}"

static void
test_expired_is_renewed(void **state)
{
	static const struct fake_answer answers[] = {
	    {.status = 400,
	     .body = JSON_ERROR("ExpiredTokenException", "x"),
	     .classify = aws_classify},
	    {.kind = ERR_NONE},
	};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	assert_int_equal(send_one(&f), 0);
	assert_int_equal(f.resp.attempts, 2);
	assert_true(sent(&f, 0, "Credential=KEY1/"));
	assert_true(sent(&f, 1, "Credential=KEY2/"));
	end(&f);
}

static void
test_expired_without_new_ones(void **state)
{
	static const struct fake_answer answers[] = {
	    {.status = 400,
	     .body = JSON_ERROR("ExpiredTokenException", "x"),
	     .classify = aws_classify},
	};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	f.req.no_retry = true;
	f.keys.fail_stale = true;
	assert_int_equal(send_one(&f), -1);
	assert_int_equal(f.err.kind, ERR_TRANSIENT);
	assert_non_null(strstr(f.err.msg, "ExpiredTokenException"));
	assert_non_null(strstr(f.err.msg, "STS is away"));
	end(&f);
	/* New ones that are refused as well: once more, not for ever. */
	BEGIN(&f, answers);
	assert_int_equal(send_one(&f), -1);
	assert_int_equal(f.err.kind, ERR_EXPIRED);
	assert_int_equal(f.resp.attempts, 2);
	end(&f);
}

#define ONE_HOUR_LATER "date: Thu, 01 Jan 2026 01:00:00 GMT\n"
#define ON_TIME	       "date: Thu, 01 Jan 2026 00:00:00 GMT\n"
#define SKEWED	       JSON_ERROR("InvalidSignatureException", "Signature expired: 2026 is now earlier")

static void
test_skew_is_corrected(void **state)
{
	static const struct fake_answer answers[] = {
	    {.status = 400, .headers = ONE_HOUR_LATER, .body = SKEWED, .classify = aws_classify},
	    {.kind = ERR_NONE},
	};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	assert_int_equal(send_one(&f), 0);
	assert_int_equal(f.resp.attempts, 2);
	assert_true(sent(&f, 0, "X-Amz-Date: 20260101T000000Z\n"));
	assert_true(sent(&f, 1, "X-Amz-Date: 20260101T010000Z\n"));
	assert_int_equal(sign_transport_offset(f.sign), 3600000);
	/* It is known from now on, for this host. */
	assert_int_equal(send_one(&f), 0);
	assert_true(sent(&f, 2, "X-Amz-Date: 20260101T010000Z\n"));
	f.req.url = "https://logs.eu-west-1.amazonaws.com/";
	assert_int_equal(send_one(&f), 0);
	assert_true(sent(&f, 3, "X-Amz-Date: 20260101T000000Z\n"));
	end(&f);
}

/* A code that can mean anything, together with a clock that is evidently off. */
static void
test_skew_behind_another_code(void **state)
{
	static const struct fake_answer answers[] = {
	    {.status = 403,
	     .headers = ONE_HOUR_LATER,
	     .body = JSON_ERROR("SignatureDoesNotMatch", "no reason given"),
	     .classify = aws_classify},
	    {.kind = ERR_NONE},
	};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	assert_int_equal(send_one(&f), 0);
	assert_true(sent(&f, 1, "X-Amz-Date: 20260101T010000Z\n"));
	end(&f);
}

static void
test_skew_that_is_none(void **state)
{
	static const struct fake_answer answers[] = {
	    {.status = 400, .headers = ON_TIME, .body = SKEWED, .classify = aws_classify}};
	static const struct fake_answer wrong_key[] = {
	    {.status = 403,
	     .headers = ON_TIME,
	     .body = JSON_ERROR("SignatureDoesNotMatch", "x"),
	     .classify = aws_classify}};
	static const struct fake_answer cached[] = {{.status = 400,
						     .headers = ONE_HOUR_LATER "age: 3600\n",
						     .body = SKEWED,
						     .classify = aws_classify}};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	assert_int_equal(send_one(&f), -1);
	assert_int_equal(f.err.kind, ERR_AUTH);
	assert_int_equal(f.resp.attempts, 1);
	end(&f);
	BEGIN(&f, wrong_key);
	assert_int_equal(send_one(&f), -1);
	assert_int_equal(f.err.kind, ERR_AUTH);
	end(&f);
	BEGIN(&f, cached);
	assert_int_equal(send_one(&f), -1);
	assert_int_equal(f.err.kind, ERR_AUTH);
	assert_int_equal(sign_transport_offset(f.sign), 0);
	end(&f);
}

static void
test_offset_is_learnt_from_success(void **state)
{
	static const struct fake_answer answers[] = {
	    {.kind = ERR_NONE, .headers = ONE_HOUR_LATER},
	    {.kind = ERR_TRANSIENT, .status = 502, .headers = ON_TIME}, /* some gateway's clock */
	    {.kind = ERR_NONE},
	};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	assert_int_equal(send_one(&f), 0);
	assert_int_equal(send_one(&f), 0);
	assert_true(sent(&f, 1, "X-Amz-Date: 20260101T010000Z\n"));
	assert_true(sent(&f, 2, "X-Amz-Date: 20260101T0100"));
	end(&f);
}

/* RequestExpired means either; without a skew it is the credentials. */
static void
test_request_expired(void **state)
{
	static const struct fake_answer answers[] = {
	    {.status = 400,
	     .headers = ON_TIME,
	     .body = JSON_ERROR("RequestExpired", "x"),
	     .classify = aws_classify},
	    {.kind = ERR_NONE},
	};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	assert_int_equal(send_one(&f), 0);
	assert_true(sent(&f, 1, "Credential=KEY2/"));
	end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_added),
	    cmocka_unit_test(test_s3),
	    cmocka_unit_test(test_others_pass_through),
	    cmocka_unit_test(test_too_many_headers),
	    cmocka_unit_test(test_expired_is_renewed),
	    cmocka_unit_test(test_expired_without_new_ones),
	    cmocka_unit_test(test_skew_is_corrected),
	    cmocka_unit_test(test_skew_behind_another_code),
	    cmocka_unit_test(test_skew_that_is_none),
	    cmocka_unit_test(test_offset_is_learnt_from_success),
	    cmocka_unit_test(test_request_expired),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
