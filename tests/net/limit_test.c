/* Rate limits and counters. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "tests/support/fake_transport.h"

static const struct rate_row rates[] = {
    {"monitoring", "GetMetricData", 10},
    {"monitoring", NULL, 2},
    {"sts", NULL, 0.5},
    {NULL, NULL, 0},
};

struct fixture {
	struct clock *clock;
	struct transport *fake, *limit;
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
	assert_int_equal(limit_transport_new(f->fake, rates, f->clock, &f->limit, NULL), 0);
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
	transport_free(f->limit);
	clock_fake_free(f->clock);
	resp_done(&f->resp);
}

/* Sends n calls and returns the time that took. */
static int64_t
send_many(struct fixture *f, int n)
{
	int64_t start = clock_mono_ms(f->clock);

	for (int i = 0; i < n; i++)
		(void)transport_send(f->limit, &f->req, &f->resp, &f->err);
	return clock_mono_ms(f->clock) - start;
}

static const struct fake_answer always_ok[] = {{.kind = ERR_NONE}};

static void
test_burst_then_rate(void **state)
{
	struct fixture f;

	(void)state;
	BEGIN(&f, always_ok);
	assert_int_equal(send_many(&f, 10), 0);
	assert_in_range(send_many(&f, 50), 4900, 5100);
	/* A pause fills it again, up to one second's worth. */
	clock_fake_advance(f.clock, 60000);
	assert_int_equal(send_many(&f, 10), 0);
	assert_true(send_many(&f, 1) > 0);
	end(&f);
}

static void
test_slow_rates_hold_one(void **state)
{
	struct fixture f;

	(void)state;
	BEGIN(&f, always_ok);
	f.req.service = "sts";
	f.req.operation = "AssumeRole";
	assert_int_equal(send_many(&f, 1), 0);
	assert_in_range(send_many(&f, 2), 3900, 4100);
	end(&f);
}

static void
test_each_has_its_own(void **state)
{
	struct fixture f;

	(void)state;
	BEGIN(&f, always_ok);
	assert_int_equal(send_many(&f, 10), 0);
	f.req.account = "444455556666";
	assert_int_equal(send_many(&f, 10), 0);
	f.req.region = "us-east-1";
	assert_int_equal(send_many(&f, 10), 0);
	f.req.operation = "ListMetrics";
	assert_int_equal(send_many(&f, 2), 0);
	assert_true(send_many(&f, 1) > 0);
	/* Not in the table: not limited. */
	f.req.service = "ecs";
	assert_int_equal(send_many(&f, 50), 0);
	end(&f);
}

static void
test_no_turn_before_the_deadline(void **state)
{
	struct fixture f;

	(void)state;
	BEGIN(&f, always_ok);
	f.req.operation = "ListMetrics";
	f.req.deadline_mono_ms = 400;
	assert_int_equal(send_many(&f, 2), 0);
	assert_int_equal(transport_send(f.limit, &f.req, &f.resp, &f.err), -1);
	assert_int_equal(f.err.kind, ERR_THROTTLED);
	assert_int_equal(f.resp.status, 0);
	assert_int_equal(fake_calls(f.fake), 2);
	/* The turn that was not taken is still there. */
	f.req.deadline_mono_ms = 0;
	assert_in_range(send_many(&f, 1), 490, 510);
	end(&f);
}

static void
test_cancelled_while_waiting(void **state)
{
	struct fixture f;

	(void)state;
	BEGIN(&f, always_ok);
	f.req.operation = "ListMetrics";
	assert_int_equal(send_many(&f, 2), 0);
	clock_cancel(f.clock, 15);
	assert_int_equal(transport_send(f.limit, &f.req, &f.resp, &f.err), -1);
	assert_int_equal(f.err.kind, ERR_CANCELLED);
	assert_int_equal(fake_calls(f.fake), 2);
	end(&f);
}

static void
test_throttling_slows_and_recovers(void **state)
{
	static const struct fake_answer answers[] = {
	    {.kind = ERR_NONE}, {.kind = ERR_THROTTLED, .status = 400}, {.kind = ERR_NONE}};
	struct fixture f;
	int64_t slow;

	(void)state;
	BEGIN(&f, answers);
	clock_fake_advance(f.clock, 1000);
	assert_int_equal(send_many(&f, 2), 0);
	/* 7 a second at first, rising again: 10 calls take longer than 1 s, less than 1.5 s. */
	slow = send_many(&f, 10);
	assert_in_range(slow, 1050, 1500);
	/* A tenant beside it notices nothing. */
	f.req.account = "444455556666";
	assert_int_equal(send_many(&f, 10), 0);
	f.req.account = "111122223333";
	clock_fake_advance(f.clock, 60000);
	assert_int_equal(send_many(&f, 10), 0);
	assert_in_range(send_many(&f, 10), 950, 1050);
	end(&f);
}

static void
test_storm_has_a_floor(void **state)
{
	static const struct fake_answer answers[] = {{.kind = ERR_THROTTLED, .status = 400}};
	struct fixture f;

	(void)state;
	BEGIN(&f, answers);
	/* Ever slower, but never less than one call in two seconds. */
	assert_true(send_many(&f, 40) < 40 * 2100);
	end(&f);
}

static void
test_many_accounts(void **state)
{
	struct fixture f;
	char account[16];

	(void)state;
	BEGIN(&f, always_ok);
	for (int i = 0; i < 10000; i++) {
		(void)snprintf(account, sizeof(account), "%012d", i);
		f.req.account = account;
		assert_int_equal(send_many(&f, 1), 0);
		clock_fake_advance(f.clock, 1);
	}
	end(&f);
}

enum { WORKERS = 4, ROUNDS = 25 };

static void *
work(void *arg)
{
	struct fixture *f = arg;
	struct http_resp resp;

	resp_init(&resp, 1000);
	for (int i = 0; i < ROUNDS; i++)
		(void)transport_send(f->limit, &f->req, &resp, NULL);
	resp_done(&resp);
	return NULL;
}

static void
test_threads(void **state)
{
	pthread_t threads[WORKERS];
	struct fixture f;

	(void)state;
	BEGIN(&f, always_ok);
	for (size_t i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, &f), 0);
	for (size_t i = 0; i < WORKERS; i++)
		(void)pthread_join(threads[i], NULL);
	assert_int_equal(fake_calls(f.fake), WORKERS * ROUNDS);
	/* 100 calls, 10 at once, 10 a second; time that several waited together counts for each. */
	assert_true(clock_mono_ms(f.clock) >= 8900);
	end(&f);
}

static void
test_counts(void **state)
{
	static const struct fake_answer answers[] = {
	    {.kind = ERR_NONE, .body = "12345"},
	    {.kind = ERR_THROTTLED, .status = 400, .code = "Throttling"},
	    {.kind = ERR_TRANSIENT, .status = 502, .body = "bad"},
	    {.kind = ERR_NONE, .body = "12345"},
	};
	struct call_counts *counts = call_counts_new();
	CLEANUP(freep) struct call_count *rows = NULL;
	struct transport *counting;
	struct fixture f;
	size_t n;

	(void)state;
	assert_non_null(counts);
	BEGIN(&f, answers);
	assert_int_equal(count_transport_new(f.limit, counts, &counting, NULL), 0);
	f.limit = counting;
	f.req.body = SV("abc");
	(void)send_many(&f, 4);
	f.req.service = "a-service-with-a-name-that-is-much-longer-than-its-field";
	(void)send_many(&f, 1);
	assert_int_equal(call_counts_get(counts, &rows, &n, NULL), 0);
	assert_int_equal(n, 4);
	assert_string_equal(rows[0].service, "a-service-with-a-name-that-is-m");
	assert_string_equal(rows[1].code, "200");
	assert_int_equal(rows[1].calls, 2);
	assert_int_equal(rows[1].bytes_out, 6);
	assert_int_equal(rows[1].bytes_in, 10);
	assert_string_equal(rows[2].code, "502");
	assert_int_equal(rows[2].bytes_in, 3);
	assert_string_equal(rows[3].code, "Throttling");
	assert_string_equal(rows[3].service, "monitoring");
	assert_string_equal(rows[3].operation, "GetMetricData");
	assert_string_equal(rows[3].account, "111122223333");
	end(&f);
	call_counts_free(counts);
	call_counts_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_burst_then_rate),
	    cmocka_unit_test(test_slow_rates_hold_one),
	    cmocka_unit_test(test_each_has_its_own),
	    cmocka_unit_test(test_no_turn_before_the_deadline),
	    cmocka_unit_test(test_cancelled_while_waiting),
	    cmocka_unit_test(test_throttling_slows_and_recovers),
	    cmocka_unit_test(test_storm_has_a_floor),
	    cmocka_unit_test(test_many_accounts),
	    cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
