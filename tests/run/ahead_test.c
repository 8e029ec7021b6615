/* Tasks that others do: at most so many at once, each once, and who waits sees what came of it. */
#include "run/ahead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Its task is done when it is let go. */
struct held {
	struct ahead_task task;
	pthread_mutex_t mu;
	pthread_t by;
	size_t done;
};

static void
wait_until_let_go(void *arg)
{
	struct held *h = arg;

	(void)pthread_mutex_lock(&h->mu);
	h->by = pthread_self();
	h->done++;
	(void)pthread_mutex_unlock(&h->mu);
}

static void
hold(struct held *h)
{
	*h = (struct held){.task = {.run = wait_until_let_go, .arg = h}};
	(void)pthread_mutex_init(&h->mu, NULL);
	(void)pthread_mutex_lock(&h->mu);
}

static void
let_go(struct held *h)
{
	(void)pthread_mutex_unlock(&h->mu);
}

static void
another_thread_does_it(void **state)
{
	struct ahead a;
	struct held h;

	(void)state;
	ahead_init(&a);
	hold(&h);
	let_go(&h);
	for (size_t i = 1; i <= 3; i++) {
		assert_true(ahead_begin(&a, &h.task));
		ahead_wait(&a, &h.task);
		assert_int_equal(h.done, i);
		assert_false(pthread_equal(h.by, pthread_self()));
	}
	ahead_done(&a);
}

/* Who comes when all are busy is told so, and does without. */
static void
nobody_queues(void **state)
{
	struct held h[AHEAD_THREADS + 1];
	struct ahead a;

	(void)state;
	ahead_init(&a);
	for (size_t i = 0; i <= AHEAD_THREADS; i++)
		hold(&h[i]);
	for (size_t i = 0; i < AHEAD_THREADS; i++)
		assert_true(ahead_begin(&a, &h[i].task));
	assert_false(ahead_begin(&a, &h[AHEAD_THREADS].task));
	let_go(&h[0]);
	ahead_wait(&a, &h[0].task);
	assert_true(ahead_begin(&a, &h[AHEAD_THREADS].task));
	for (size_t i = 1; i <= AHEAD_THREADS; i++) {
		let_go(&h[i]);
		ahead_wait(&a, &h[i].task);
	}
	for (size_t i = 0; i <= AHEAD_THREADS; i++)
		assert_int_equal(h[i].done, 1);
	ahead_done(&a);
}

static void
nothing_is_started_for_nothing(void **state)
{
	struct ahead a;

	(void)state;
	ahead_init(&a);
	assert_int_equal(a.n_threads, 0);
	ahead_done(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(another_thread_does_it),
	    cmocka_unit_test(nobody_queues),
	    cmocka_unit_test(nothing_is_started_for_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
