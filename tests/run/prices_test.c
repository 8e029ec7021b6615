/* What is billed, and what it costs: units told apart by service, prices of the table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/num.h"
#include "run/prices.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-9)

/* Of each key its default, as `help config` shows it. */
static struct prices
defaults(void)
{
	struct prices p = {0};

	for (const struct conf_key *k = prices_keys; k->name; k++) {
		double v = 0;

		assert_true(num_double(sv_of(k->deflt), &v));
		assert_true(v > 0);
		memcpy((char *)&p + k->offset, &v, sizeof(v));
	}
	return p;
}

static void
each_service_has_its_units(void **state)
{
	const struct prices p = defaults();
	const struct billed b = {.metrics = 1000000,
				 .calls = 2000,
				 .bytes_scanned = 3000000000,
				 .samples = 40000000,
				 .puts = 5000};

	(void)state;
	NEAR(prices_of(&p, &b, PRICE_MONITORING), 10 + 0.02);
	NEAR(prices_of(&p, &b, PRICE_LOGS), 0.015);
	NEAR(prices_of(&p, &b, PRICE_APS), 3.6);
	NEAR(prices_of(&p, &b, PRICE_S3), 0.025);
	NEAR(prices_sum(&p, &b), 13.66);
}

static void
calls_that_are_billed_by_themselves(void **state)
{
	struct tally t = {0};
	struct billed b = {.metrics = 7};

	(void)state;
	tally_add(&t, "monitoring", "GetMetricData", "200", 1000); /* by what it asks for */
	tally_add(&t, "monitoring", "ListMetrics", "200", 3);
	tally_add(&t, "monitoring", "DescribeAlarmHistory", "Throttling", 2);
	tally_add(&t, "logs", "StartQuery", "200", 1000);
	tally_add(&t, "sts", "AssumeRole", "200", 1000);
	tally_add(&t, "s3", "GetObject", "200", 1000);
	tally_add(&t, "s3", "PutObject", "200", 4);
	tally_add(&t, "s3", "PutObject", "PreconditionFailed", 1);
	tally_add(&t, "s3", "UploadPart", "200", 10);
	billed_count_calls(&b, &t);
	assert_int_equal(b.calls, 5);
	assert_int_equal(b.puts, 15);
	assert_int_equal(b.metrics, 7);
	assert_int_equal(b.samples + b.bytes_scanned, 0);
	tally_done(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_service_has_its_units),
	    cmocka_unit_test(calls_that_are_billed_by_themselves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
