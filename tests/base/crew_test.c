/* Crews: all hands work at once, and the caller is one of them. */
#include "base/crew.h"

#include <stdatomic.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct job {
	pthread_barrier_t all;
	pthread_t caller;
	atomic_uint hands, by_caller;
};

/* Nobody is let out before all are in. */
static void *
meet(void *arg)
{
	struct job *j = arg;

	(void)pthread_barrier_wait(&j->all);
	atomic_fetch_add(&j->hands, 1);
	atomic_fetch_add(&j->by_caller, pthread_equal(pthread_self(), j->caller) != 0);
	return NULL;
}

static void
work_with(size_t hands, unsigned expected)
{
	struct job j = {.caller = pthread_self()};

	assert_int_equal(pthread_barrier_init(&j.all, NULL, expected), 0);
	crew_work(hands, meet, &j);
	assert_int_equal(atomic_load(&j.hands), expected);
	assert_int_equal(atomic_load(&j.by_caller), 1);
	(void)pthread_barrier_destroy(&j.all);
}

static void
all_work_at_once_and_the_caller_too(void **state)
{
	(void)state;
	work_with(8, 8);
	work_with(2, 2);
	work_with(1, 1);
	work_with(0, 1);
}

static void *
measure(void *arg)
{
	pthread_attr_t attr;

	if (!pthread_getattr_np(pthread_self(), &attr)) {
		(void)pthread_attr_getstacksize(&attr, arg);
		(void)pthread_attr_destroy(&attr);
	}
	return NULL;
}

/* Hundreds of threads with eight megabytes each would be refused where address space is limited. */
static void
a_thread_has_a_small_stack(void **state)
{
	size_t stack = 0;
	pthread_t thread;

	(void)state;
	assert_int_equal(crew_start(&thread, measure, &stack), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_in_range(stack, 512 << 10, 1 << 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_work_at_once_and_the_caller_too),
	    cmocka_unit_test(a_thread_has_a_small_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
