/* Retries: what is repeated, when, how often, and who pays for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "tests/support/fake_transport.h"

#define OK                                                                                         \
	{                                                                                          \
		.kind = ERR_NONE                                                                   \
	}
#define FAIL(k)                                                                                    \
	{                                                                                          \
		.kind = (k), .status = 500                                                         \
	}
#define HINT(k, ms)                                                                                \
	{                                                                                          \
		.kind = (k), .status = 500, .retry_after_ms = (ms)                                 \
	}

struct fixture {
	struct clock *clock;
	struct transport *fake, *retry;
	struct http_resp resp;
	struct http_req req;
	struct err err;
};

static void
begin(struct fixture *f, const struct fake_answer *answers, size_t n)
{
	memset(f, 0, sizeof(*f));
	f->clock = clock_fake_new(1767225600000);
	assert_non_null(f->clock);
	f->fake = fake_transport_new(answers, n, f->clock);
	assert_non_null(f->fake);
	assert_int_equal(retry_transport_new(f->fake, 3, 7, f->clock, &f->retry, NULL), 0);
	resp_init(&f->resp, 1000);
	f->req = (struct http_req){
	    .method = "POST",
	    .url = "http://x/",
	    .service = "monitoring",
	    .operation = "GetMetricData",
	    .account = "111122223333",
	    .region = "eu-west-1",
	    .proto = PROTO_AWS_JSON,
	};
}

#define BEGIN(f, answers) begin((f), (answers), ARRAY_LEN(answers))

static void
end(struct fixture *f)
{
	transport_free(f->retry);
	clock_fake_free(f->clock);
	resp_done(&f->resp);
}

static int
send_one(struct fixture *f)
{
	return transport_send(f->retry, &f->req, &f->resp, &f->err);
}

static void
test_first_try(void **state)
{
	static const struct fake_answer answers[] = {OK};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	assert_int_equal(send_one(&f), 0);
	assert_int_equal(f.resp.attempts, 1);
	assert_int_equal(fake_calls(f.fake), 1);
	assert_int_equal(clock_mono_ms(f.clock), 0);
	end(&f);
}

static void
test_transient_then_well(void **state)
{
	static const struct fake_answer answers[] = {FAIL(ERR_TRANSIENT), FAIL(ERR_TRANSIENT), OK};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	assert_int_equal(send_one(&f), 0);
	assert_int_equal(f.resp.attempts, 3);
	/* At most 50 ms, then at most 100 ms. */
	assert_true(fake_call(f.fake, 1)->mono_ms <= 50);
	assert_true(fake_call(f.fake, 2)->mono_ms <= 150);
	end(&f);
}

static void
test_gives_up_after_three(void **state)
{
	static const struct fake_answer answers[] = {
	    {.kind = ERR_THROTTLED, .status = 400, .code = "Throttling"}};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	assert_int_equal(send_one(&f), -1);
	assert_int_equal(f.err.kind, ERR_THROTTLED);
	assert_string_equal(f.err.code, "Throttling");
	assert_int_equal(f.resp.attempts, 3);
	assert_int_equal(fake_calls(f.fake), 3);
	/* Throttling waits longer: up to 1 s, then up to 2 s. */
	assert_in_range(clock_mono_ms(f.clock), 1, 3000);
	end(&f);
}

static void
test_never_repeated(void **state)
{
	static const enum err_kind kinds[] = {ERR_AUTH,	     ERR_REJECTED, ERR_DATA,
					      ERR_CONFLICT,  ERR_NOTFOUND, ERR_LOCAL,
					      ERR_CANCELLED, ERR_USAGE};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct fake_answer answers[] = {FAIL(kinds[i])};
		struct fixture f;

		BEGIN(&f, answers);
		assert_int_equal(send_one(&f), -1);
		assert_int_equal(f.err.kind, kinds[i]);
		assert_int_equal(fake_calls(f.fake), 1);
		end(&f);
	}
}

static void
test_no_retry(void **state)
{
	static const struct fake_answer answers[] = {FAIL(ERR_TRANSIENT), FAIL(ERR_EXPIRED),
						     FAIL(ERR_THROTTLED), OK};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	f.req.no_retry = true;
	/* It may have been done. */
	assert_int_equal(send_one(&f), -1);
	assert_int_equal(fake_calls(f.fake), 1);
	/* It was not. */
	assert_int_equal(send_one(&f), 0);
	assert_int_equal(fake_calls(f.fake), 4);
	end(&f);
}

static void
test_repaired_once_each(void **state)
{
	static const struct fake_answer answers[] = {FAIL(ERR_EXPIRED),	  FAIL(ERR_SKEW),
						     FAIL(ERR_TRANSIENT), FAIL(ERR_TRANSIENT),
						     FAIL(ERR_TRANSIENT), OK};
	static const struct fake_answer expired[] = {FAIL(ERR_EXPIRED)};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	assert_int_equal(send_one(&f), -1);
	assert_int_equal(f.resp.attempts, 5);
	/* Neither waited for nor counted. */
	assert_int_equal(fake_call(f.fake, 2)->mono_ms, 0);
	end(&f);
	BEGIN(&f, expired);
	assert_int_equal(send_one(&f), -1);
	assert_int_equal(f.err.kind, ERR_EXPIRED);
	assert_int_equal(f.resp.attempts, 2);
	end(&f);
}

static void
test_hint_is_clamped(void **state)
{
	static const struct fake_answer answers[] = {HINT(ERR_THROTTLED, 3600000), OK};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	assert_int_equal(send_one(&f), 0);
	/* Up to 1 s computed, and 5 s above it. */
	assert_in_range(fake_call(f.fake, 1)->mono_ms, 5000, 6000);
	end(&f);
	BEGIN(&f, answers);
	f.req.proto = PROTO_PLAIN;
	assert_int_equal(send_one(&f), 0);
	assert_int_equal(fake_call(f.fake, 1)->mono_ms, 30000);
	end(&f);
}

static void
test_hint_is_honoured(void **state)
{
	static const struct fake_answer answers[] = {HINT(ERR_TRANSIENT, 4000), OK};
	static const struct fake_answer small[] = {HINT(ERR_THROTTLED, 1), OK};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	assert_int_equal(send_one(&f), 0);
	assert_int_equal(fake_call(f.fake, 1)->mono_ms, 4000);
	end(&f);
	/* It never shortens the computed delay. */
	BEGIN(&f, small);
	assert_int_equal(send_one(&f), 0);
	assert_true(fake_call(f.fake, 1)->mono_ms > 1);
	end(&f);
}

static void
test_deadline_ends_it(void **state)
{
	static const struct fake_answer answers[] = {HINT(ERR_TRANSIENT, 4000)};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	f.req.deadline_mono_ms = 3000;
	assert_int_equal(send_one(&f), -1);
	assert_int_equal(f.err.kind, ERR_TRANSIENT);
	assert_int_equal(fake_calls(f.fake), 1);
	assert_int_equal(clock_mono_ms(f.clock), 0);
	end(&f);
}

static void
test_cancelled(void **state)
{
	static const struct fake_answer answers[] = {OK};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	clock_cancel(f.clock, 15);
	assert_int_equal(send_one(&f), -1);
	assert_int_equal(f.err.kind, ERR_CANCELLED);
	assert_int_equal(fake_calls(f.fake), 0);
	end(&f);
}

/* 500 tokens are 35 transient retries at 14; then each failure is final. */
static void
test_bucket_runs_dry(void **state)
{
	static const struct fake_answer answers[] = {FAIL(ERR_TRANSIENT)};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	for (int i = 0; i < 40; i++)
		assert_int_equal(send_one(&f), -1);
	assert_int_equal(fake_calls(f.fake), 40 + 500 / 14);
	/* Another tenant has its own. */
	f.req.account = "444455556666";
	assert_int_equal(send_one(&f), -1);
	assert_int_equal(f.resp.attempts, 3);
	end(&f);
}

static void
test_success_pays_back(void **state)
{
	/* 50 times a failure and a success: without paying back, 35 would be the end. */
	struct fake_answer answers[100] = {0};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i += 2)
		answers[i] = (struct fake_answer)FAIL(ERR_TRANSIENT);
	BEGIN(&f, answers);
	for (size_t i = 0; i < ARRAY_LEN(answers) / 2; i++) {
		assert_int_equal(send_one(&f), 0);
		assert_int_equal(f.resp.attempts, 2);
	}
	end(&f);
}

static void
test_same_seed_same_delays(void **state)
{
	static const struct fake_answer answers[] = {FAIL(ERR_THROTTLED)};
	int64_t at[2][9];

	(void)state;
	for (int run = 0; run < 2; run++) {
		struct fixture f;

		BEGIN(&f, answers);
		for (int i = 0; i < 3; i++)
			assert_int_equal(send_one(&f), -1);
		for (size_t i = 0; i < 9; i++)
			at[run][i] = fake_call(f.fake, i)->mono_ms;
		end(&f);
	}
	assert_memory_equal(at[0], at[1], sizeof(at[0]));
}

/* Thousands of tenants in trouble one after the other leave no thousands of buckets; seen under
 * the sanitizers as no leak and no use of a bucket that was dropped. */
static void
test_many_accounts(void **state)
{
	static const struct fake_answer answers[] = {FAIL(ERR_TRANSIENT)};
	struct fixture f;
	char account[16];

	(void)state;
	BEGIN(&f, answers);
	for (int i = 0; i < 5000; i++) {
		(void)snprintf(account, sizeof(account), "%012d", i);
		f.req.account = account;
		assert_int_equal(send_one(&f), -1);
		assert_int_equal(f.resp.attempts, 3);
	}
	end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_first_try),
	    cmocka_unit_test(test_transient_then_well),
	    cmocka_unit_test(test_gives_up_after_three),
	    cmocka_unit_test(test_never_repeated),
	    cmocka_unit_test(test_no_retry),
	    cmocka_unit_test(test_repaired_once_each),
	    cmocka_unit_test(test_hint_is_clamped),
	    cmocka_unit_test(test_hint_is_honoured),
	    cmocka_unit_test(test_deadline_ends_it),
	    cmocka_unit_test(test_cancelled),
	    cmocka_unit_test(test_bucket_runs_dry),
	    cmocka_unit_test(test_success_pays_back),
	    cmocka_unit_test(test_same_seed_same_delays),
	    cmocka_unit_test(test_many_accounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
