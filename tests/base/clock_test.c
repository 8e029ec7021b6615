/* Clocks: the fake one moves only by sleeping, the real one wakes when it is cancelled. */
#include "base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"

#define SLEEPERS 8
#define HOUR_MS	 3600000

/* The real clock is one for the whole program: each test leaves it as it was. */
static int
uncancel(void **state)
{
	(void)state;
	atomic_store(&clock_real()->cancelled, 0);
	return 0;
}

static void
test_fake(void **state)
{
	struct clock *c = clock_fake_new(1000000);
	struct err err;

	(void)state;
	assert_non_null(c);
	assert_int_equal(clock_wall_ms(c), 1000000);
	assert_int_equal(clock_mono_ms(c), 0);
	assert_int_equal(clock_sleep(c, 10 * HOUR_MS, &err), 0);
	assert_int_equal(clock_wall_ms(c), 1000000 + 10 * HOUR_MS);
	assert_int_equal(clock_mono_ms(c), 10 * HOUR_MS);
	assert_int_equal(clock_sleep(c, -5, &err), 0);
	assert_int_equal(clock_mono_ms(c), 10 * HOUR_MS);
	clock_fake_advance(c, 7);
	assert_int_equal(clock_mono_ms(c), 10 * HOUR_MS + 7);
	clock_fake_free(c);
	clock_fake_free(NULL);
}

static void
test_fake_cancelled(void **state)
{
	struct clock *c = clock_fake_new(0);
	struct err err;

	(void)state;
	assert_non_null(c);
	clock_cancel(c, SIGINT);
	assert_int_equal(clock_sleep(c, 5, &err), -1);
	assert_int_equal(err.kind, ERR_CANCELLED);
	assert_int_equal(clock_mono_ms(c), 0);
	clock_fake_free(c);
}

/* What may go on for a while goes on until then, and not longer. */
static void
test_fake_grace(void **state)
{
	struct clock *c = clock_fake_new(0);
	struct err err;

	(void)state;
	assert_non_null(c);
	clock_fake_advance(c, 1000);
	assert_int_equal(clock_check_grace(c, 50, &err), 0);
	clock_cancel(c, SIGTERM);
	assert_int_equal(clock_check_grace(c, 50, &err), 0);
	assert_int_equal(clock_check_grace(c, 0, &err), -1);
	assert_int_equal(clock_sleep_grace(c, 40, 50, &err), 0);
	clock_cancel(c, SIGINT); /* does not begin it anew */
	assert_int_equal(clock_sleep_grace(c, 9, 50, &err), 0);
	assert_int_equal(clock_check_grace(c, 50, &err), 0);
	clock_fake_advance(c, 1);
	assert_int_equal(clock_check_grace(c, 50, &err), -1);
	assert_int_equal(err.kind, ERR_CANCELLED);
	assert_non_null(strstr(err.msg, "SIGTERM"));
	assert_int_equal(clock_sleep_grace(c, 1, 50, &err), -1);
	clock_fake_free(c);
}

static void
test_reasons(void **state)
{
	struct clock *c = clock_fake_new(0);
	struct err err;

	(void)state;
	assert_non_null(c);
	assert_int_equal(clock_check(c, &err), 0);
	clock_cancel(c, SIGTERM);
	clock_cancel(c, CLOCK_DEADLINE); /* the first reason stays */
	assert_int_equal(clock_cancelled(c), SIGTERM);
	assert_int_equal(clock_check(c, &err), -1);
	assert_string_equal(err.msg, "cancelled by SIGTERM");
	atomic_store(&c->cancelled, CLOCK_DEADLINE);
	assert_int_equal(clock_check(c, &err), -1);
	assert_string_equal(err.msg, "cancelled: the run's deadline has passed");
	atomic_store(&c->cancelled, 999);
	assert_int_equal(clock_check(c, &err), -1);
	assert_string_equal(err.msg, "cancelled by signal 999");
	assert_int_equal(clock_check(c, NULL), -1);
	clock_fake_free(c);
}

static void *
sleep_fake(void *arg)
{
	for (int i = 0; i < 1000; i++)
		(void)clock_sleep(arg, 1, NULL);
	return NULL;
}

static void
test_fake_threads(void **state)
{
	struct clock *c = clock_fake_new(0);
	pthread_t t[SLEEPERS];

	(void)state;
	assert_non_null(c);
	for (size_t i = 0; i < SLEEPERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, sleep_fake, c), 0);
	for (size_t i = 0; i < SLEEPERS; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_int_equal(clock_mono_ms(c), SLEEPERS * 1000);
	clock_fake_free(c);
}

static void
test_real_readings(void **state)
{
	struct clock *c = clock_real();
	int64_t mono = clock_mono_ms(c), wall = clock_wall_ms(c);

	(void)state;
	assert_ptr_equal(c, clock_real());
	assert_true(wall / 1000 <= time(NULL) && wall / 1000 > time(NULL) - 5);
	assert_true(clock_mono_ms(c) >= mono);
}

static void
test_real_sleep(void **state)
{
	struct clock *c = clock_real();
	int64_t start = clock_mono_ms(c);
	struct err err;

	(void)state;
	assert_int_equal(clock_sleep(c, 0, &err), 0);
	assert_int_equal(clock_sleep(c, -1, &err), 0);
	assert_int_equal(clock_sleep(c, 120, &err), 0);
	assert_true(clock_mono_ms(c) - start >= 120);
}

struct sleeper {
	pthread_t thread;
	int rc;
	struct err err;
};

static void *
sleep_real(void *arg)
{
	struct sleeper *s = arg;

	s->rc = clock_sleep(clock_real(), HOUR_MS, &s->err);
	return NULL;
}

static void
test_cancel_wakes_all(void **state)
{
	struct sleeper s[SLEEPERS];
	int64_t start;

	(void)state;
	for (size_t i = 0; i < SLEEPERS; i++)
		assert_int_equal(pthread_create(&s[i].thread, NULL, sleep_real, &s[i]), 0);
	assert_int_equal(clock_sleep(clock_real(), 30, NULL), 0);
	start = clock_mono_ms(clock_real());
	clock_cancel(clock_real(), SIGTERM);
	for (size_t i = 0; i < SLEEPERS; i++) {
		assert_int_equal(pthread_join(s[i].thread, NULL), 0);
		assert_int_equal(s[i].rc, -1);
		assert_int_equal(s[i].err.kind, ERR_CANCELLED);
		assert_string_equal(s[i].err.msg, "cancelled by SIGTERM");
	}
	/* 100 ms are promised; a busy machine may take longer, but not an hour. */
	assert_true(clock_mono_ms(clock_real()) - start < 10000);
}

static void
on_alarm(int sig)
{
	clock_cancel(clock_real(), sig);
}

static void
test_cancel_from_a_handler(void **state)
{
	const struct sigaction act = {.sa_handler = on_alarm};
	struct sigaction old;
	struct err err;

	(void)state;
	assert_int_equal(sigaction(SIGALRM, &act, &old), 0);
	(void)ualarm(20000, 0);
	assert_int_equal(clock_sleep(clock_real(), HOUR_MS, &err), -1);
	assert_string_equal(err.msg, "cancelled by SIGALRM");
	assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
}

static void
ignore(int sig)
{
	(void)sig;
}

/* A signal that cancels nothing does not cut a sleep short. */
static void
test_interrupted_sleep(void **state)
{
	const struct sigaction act = {.sa_handler = ignore};
	int64_t start = clock_mono_ms(clock_real());
	struct sigaction old;

	(void)state;
	assert_int_equal(sigaction(SIGALRM, &act, &old), 0);
	(void)ualarm(5000, 5000);
	assert_int_equal(clock_sleep(clock_real(), 100, NULL), 0);
	(void)ualarm(0, 0);
	assert_true(clock_mono_ms(clock_real()) - start >= 100);
	assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fake),
	    cmocka_unit_test(test_fake_cancelled),
	    cmocka_unit_test(test_fake_grace),
	    cmocka_unit_test(test_reasons),
	    cmocka_unit_test(test_fake_threads),
	    cmocka_unit_test(test_real_readings),
	    cmocka_unit_test_teardown(test_real_sleep, uncancel),
	    cmocka_unit_test_teardown(test_cancel_wakes_all, uncancel),
	    cmocka_unit_test_teardown(test_cancel_from_a_handler, uncancel),
	    cmocka_unit_test_teardown(test_interrupted_sleep, uncancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
