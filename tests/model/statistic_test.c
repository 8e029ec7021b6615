/* Statistics: what CloudWatch takes, and what it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "model/statistic.h"

static void
test_taken(void **state)
{
	static const char *const names[] = {
	    "Average",	"Sum",		"Minimum",     "Maximum",	 "SampleCount", "IQM",
	    "p0",	"p50",		"p99.9",       "p99.9999999999", "p100",	"p100.0",
	    "tm90",	"tc10.5",	"ts5",	       "wm98",		 "tm100",	"PR(10:20)",
	    "PR(1.5:)", "PR(:300)",	"TM(10%:90%)", "TM(:95%)",	 "TM(5%:)",	"TC(:5)",
	    "TS(80%:)", "WM(150:1000)", "TM(0%:100%)", "TM(0.5:2.25)",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!statistic_valid(sv_of(names[i])))
			fail_msg("%s is refused", names[i]);
}

static void
test_refused(void **state)
{
	static const char *const names[] = {
	    "",		 "average",    "Avg",	     "p",	  "p101",     "p100.1",
	    "p99 ",	 " p99",       "p99.",	     "p.9",	  "p-1",      "p99.99999999999",
	    "p1000",	 "P99",	       "tm",	     "tm101",	  "IQM5",     "iqm",
	    "PR",	 "PR()",       "PR(:)",	     "PR(10)",	  "PR(1:2",   "PR(1:2)x",
	    "PR(1%:2%)", "TM(10%:90)", "TM(10:90%)", "TM(1:2:3)", "TM(%:5%)", "TM(101%:)",
	    "TM(a:b)",	 "pr(1:2)",    "TM90",	     "Summary",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (statistic_valid(sv_of(names[i])))
			fail_msg("%s is taken", names[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_taken),
	    cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("model/statistic", tests, NULL, NULL);
}
