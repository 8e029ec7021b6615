/*
 * Rates as rows for the transport, and how the queries of an account and region are divided.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "run/limits.h"
#include "run/runner.h"

static void
test_rows(void **state)
{
	const struct limits l = {.get_metric_data = 1,
				 .list_metrics = 2,
				 .alarm_history = 3,
				 .cloudwatch = 4,
				 .start_query = 5,
				 .get_query_results = 6,
				 .logs = 7,
				 .sts = 8};
	struct rate_row rows[LIMITS_ROWS];

	(void)state;
	limits_rows(&l, rows);
	assert_string_equal(rows[2].operation, "DescribeAlarmHistory");
	assert_true(rows[2].per_second == 3);
	assert_string_equal(rows[4].operation, "StartQuery");
	assert_true(rows[4].per_second == 5);
	/* A service's row without an operation stands behind those with one: the first that fits
	 * counts. */
	for (size_t i = 1; rows[i].service; i++)
		assert_true(!rows[i].operation || rows[i - 1].operation ||
			    strcmp(rows[i].service, rows[i - 1].service) != 0);
	assert_null(rows[LIMITS_ROWS - 1].service);
}

#define STREAMS 6

static void
test_division(void **state)
{
	static const struct job_kind logs = {.service = "logs"},
				     metrics = {.service = "monitoring"};
	static const struct job insights = {.kind = &logs}, ecs = {.kind = &metrics};
	const struct limits l = {.concurrent_queries = 7};
	/* Two tenants in one account; three streams of it ask for queries in one region. */
	struct stream s[STREAMS] = {
	    {.job = &insights, .js = {.account = "111122223333", .region = "eu-west-1"}},
	    {.job = &insights, .js = {.account = "111122223333", .region = "us-east-1"}},
	    {.job = &insights, .js = {.account = "111122223333", .region = "eu-west-1"}},
	    {.job = &ecs, .js = {.account = "111122223333", .region = "eu-west-1"}},
	    {.job = &insights, .js = {.account = "111122223333", .region = "eu-west-1"}},
	    {.job = &insights, .js = {.account = "444455556666", .region = "eu-west-1"}},
	};
	struct tenant_job jobs[] = {{.streams = s, .n_streams = 2},
				    {.streams = s + 2, .n_streams = 2},
				    {.streams = s + 4, .n_streams = 1},
				    {.streams = s + 5, .n_streams = 1}};
	struct tenant_run tenants[] = {{.jobs = jobs, .n_jobs = 2},
				       {.jobs = jobs + 2, .n_jobs = 1},
				       {.jobs = jobs + 3, .n_jobs = 1}};
	const int64_t want[STREAMS] = {2, 7, 2, 0, 2, 7};
	struct err err;

	(void)state;
	assert_int_equal(limits_divide(&l, tenants, 3, 4, &err), 0);
	for (size_t i = 0; i < STREAMS; i++)
		assert_int_equal(s[i].js.queries, want[i]);
}

/* Linked accounts are asked through one, and share what that may. */
static void
test_linked_accounts(void **state)
{
	static const struct job_kind logs = {.service = "logs"};
	static const struct job insights = {.kind = &logs};
	static const struct run_env env = {.account = "999988887777"};
	const struct limits l = {.concurrent_queries = 8};
	struct stream s[] = {
	    {.env = &env,
	     .job = &insights,
	     .js = {.account = "111122223333",
		    .region = "eu-west-1",
		    .linked_account = "111122223333"}},
	    {.env = &env,
	     .job = &insights,
	     .js = {.account = "444455556666",
		    .region = "eu-west-1",
		    .linked_account = "444455556666"}},
	};
	struct tenant_job job = {.streams = s, .n_streams = 2};
	struct tenant_run tenant = {.jobs = &job, .n_jobs = 1};
	struct err err;

	(void)state;
	assert_int_equal(limits_divide(&l, &tenant, 1, 4, &err), 0);
	assert_int_equal(s[0].js.queries, 4);
	assert_int_equal(s[1].js.queries, 4);
}

static void
test_at_least_one_each(void **state)
{
	static const struct job_kind logs = {.service = "logs"};
	static const struct job insights = {.kind = &logs};
	const struct limits l = {.concurrent_queries = 2};
	struct stream s[3];
	struct tenant_job job = {.streams = s, .n_streams = 3};
	struct tenant_run tenant = {.jobs = &job, .n_jobs = 1};
	struct err err;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		s[i] = (struct stream){.job = &insights,
				       .js = {.account = "111122223333", .region = "eu-west-1"}};
	assert_int_equal(limits_divide(&l, &tenant, 1, 4, &err), 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(s[i].js.queries, 1);
}

static void
test_slices_of_a_backfill(void **state)
{
	static const struct job_kind logs = {.service = "logs"};
	static const struct job insights = {.kind = &logs};
	const struct limits l = {.concurrent_queries = 8};
	struct stream s[9];
	struct tenant_job jobs[9] = {{0}};
	struct tenant_run tenant = {.jobs = jobs, .n_jobs = 9};
	struct err err;

	(void)state;
	for (size_t i = 0; i < 9; i++) {
		s[i] = (struct stream){.job = &insights,
				       .js = {.account = "111122223333", .region = "eu-west-1"}};
		jobs[i].streams = &s[i];
		jobs[i].n_streams = 1;
		jobs[i].after = i ? &jobs[i - 1] : NULL;
	}
	assert_int_equal(limits_divide(&l, &tenant, 1, 4, &err), 0);
	for (size_t i = 0; i < 9; i++)
		assert_int_equal(s[i].js.queries, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_division),
	    cmocka_unit_test(test_linked_accounts),
	    cmocka_unit_test(test_at_least_one_each),
	    cmocka_unit_test(test_slices_of_a_backfill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
