/* Tallies: rows by name, a bound on them, and whose thread counts where. */
#include "base/tally.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static uint64_t
all(const struct tally *t)
{
	uint64_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		n += t->v[i].calls;
	return n;
}

static void
rows_are_sorted_and_added_up(void **state)
{
	struct tally t = {0}, sum = {0};

	(void)state;
	tally_add(&t, "sts", "AssumeRole", "200", 1);
	tally_add(&t, "monitoring", "GetMetricData", "Throttling", 2);
	tally_add(&t, "monitoring", "GetMetricData", "200", 3);
	tally_add(&t, "monitoring", "GetMetricData", "200", 4);
	assert_int_equal(t.n, 3);
	assert_string_equal(t.v[0].code, "200");
	assert_int_equal(t.v[0].calls, 7);
	assert_string_equal(t.v[1].code, "Throttling");
	assert_string_equal(t.v[2].service, "sts");
	tally_add_all(&sum, &t);
	tally_add_all(&sum, &t);
	assert_int_equal(sum.n, 3);
	assert_int_equal(all(&sum), 20);
	tally_done(&t);
	tally_done(&sum);
	assert_int_equal(t.n, 0);
}

/* A service that invents a code for every call fills no checkpoint, and no call is lost. */
static void
hostile_codes_are_bounded(void **state)
{
	struct tally t = {0}, again = {0};
	char code[96];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(code, sizeof(code), "Code %d\n\"\xff%s", i,
			       "that is longer than its field by a few dozens of characters");
		tally_add(&t, "monitoring", "GetMetricData", code, 1);
	}
	assert_in_range(t.n, 2, TALLY_ROWS_MAX);
	assert_int_equal(all(&t), 1000);
	for (size_t i = 0; i < t.n; i++) {
		for (const char *p = t.v[i].code; *p; p++)
			assert_in_range(*p, '!', '~');
		/* As a checkpoint gives them back. */
		assert_true(tally_restore(&again, t.v[i].service, t.v[i].operation, t.v[i].code,
					  t.v[i].calls));
	}
	assert_int_equal(all(&again), 1000);
	assert_false(tally_restore(&again, t.v[0].service, t.v[0].operation, t.v[0].code, 1));
	assert_false(tally_restore(&again, "s", "o", "a blank", 1));
	assert_false(tally_restore(&again, "s", "", "200", 1));
	assert_false(tally_restore(&again, "s", "o", "200", 0));
	tally_done(&t);
	tally_done(&again);
}

static void *
elsewhere(void *arg)
{
	assert_null(tally_used());
	assert_null(tally_use(arg));
	assert_ptr_equal(tally_used(), arg);
	return NULL;
}

static void
each_thread_counts_for_its_own(void **state)
{
	struct tally mine = {0}, other = {0};
	pthread_t thread;

	(void)state;
	assert_null(tally_use(&mine));
	assert_int_equal(pthread_create(&thread, NULL, elsewhere, &other), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_ptr_equal(tally_used(), &mine);
	assert_ptr_equal(tally_use(NULL), &mine);
	assert_null(tally_used());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows_are_sorted_and_added_up),
	    cmocka_unit_test(hostile_codes_are_bounded),
	    cmocka_unit_test(each_thread_counts_for_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
