/* The gate: never more inside than there is room for, nobody starves, and who is told to stop does.
 */
#include "base/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <cmocka.h>
#include <unistd.h>

#include "base/cleanup.h"

#define MAX	(10 * GATE_FEW_BYTES)
#define CAME	(2 * GATE_FEW_BYTES) /* less than half of what was expected */
#define THREADS 8
#define ROUNDS	300

struct shared {
	struct gate gate;
	struct clock *clock;
	atomic_size_t inside, most, entered;
};

static void *
go_in_and_out(void *arg)
{
	struct shared *s = arg;
	uintptr_t bad = 0;

	for (size_t i = 0; i < ROUNDS; i++) {
		size_t bytes = 1 + (i * 37) % 70 * (MAX / 100), now, most;

		bad += gate_enter(&s->gate, bytes, s->clock, NULL) != 0;
		now = atomic_fetch_add(&s->inside, bytes) + bytes;
		most = atomic_load(&s->most);
		while (now > most && !atomic_compare_exchange_weak(&s->most, &most, now))
			continue;
		(void)atomic_fetch_add(&s->entered, 1);
		(void)atomic_fetch_sub(&s->inside, bytes);
		gate_leave(&s->gate, bytes);
	}
	return (void *)bad;
}

static void
test_never_more_than_there_is(void **state)
{
	struct shared s = {.clock = clock_fake_new(0)};
	pthread_t threads[THREADS];
	void *bad;

	(void)state;
	gate_init(&s.gate, MAX);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, go_in_and_out, &s), 0);
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &bad), 0);
		assert_null(bad);
	}
	assert_true(s.most <= MAX);
	assert_int_equal(s.entered, THREADS * ROUNDS);
	assert_int_equal(s.gate.used, 0);
	gate_done(&s.gate);
	clock_fake_free(s.clock);
}

static void *
enter_large(void *arg)
{
	struct shared *s = arg;

	if (gate_enter(&s->gate, 10 * MAX, s->clock, NULL))
		return arg;
	(void)atomic_fetch_add(&s->entered, 1);
	return NULL;
}

/* One that is larger than all there is waits until it is alone, and goes in then. */
static void
test_too_large(void **state)
{
	struct shared s = {.clock = clock_fake_new(0)};
	pthread_t thread;
	struct err err;
	void *bad;

	(void)state;
	gate_init(&s.gate, MAX);
	assert_int_equal(gate_enter(&s.gate, 1, s.clock, &err), 0);
	assert_int_equal(pthread_create(&thread, NULL, enter_large, &s), 0);
	assert_int_equal(s.entered, 0);
	gate_leave(&s.gate, 1);
	assert_int_equal(pthread_join(thread, &bad), 0);
	assert_null(bad);
	assert_int_equal(s.gate.used, 10 * MAX);
	gate_leave(&s.gate, 10 * MAX);
	assert_int_equal(gate_enter(&s.gate, MAX, s.clock, &err), 0);
	gate_leave(&s.gate, MAX);
	gate_done(&s.gate);
	clock_fake_free(s.clock);
}

/* A run that was told to end waits for nobody, and what gave up leaves the way free. */
static void
test_cancelled(void **state)
{
	struct shared s = {.clock = clock_fake_new(0)};
	pthread_t thread;
	struct err err;
	void *refused;

	(void)state;
	gate_init(&s.gate, MAX);
	assert_int_equal(gate_enter(&s.gate, MAX, s.clock, &err), 0);
	assert_int_equal(pthread_create(&thread, NULL, enter_large, &s), 0);
	clock_cancel(s.clock, 15);
	assert_int_equal(pthread_join(thread, &refused), 0);
	assert_non_null(refused);
	assert_int_equal(gate_enter(&s.gate, 1, s.clock, &err), -1);
	assert_int_equal(err.kind, ERR_CANCELLED);
	assert_int_equal(s.gate.used, MAX);
	gate_leave(&s.gate, MAX);
	gate_done(&s.gate);
	clock_fake_free(s.clock);
}

/* It waits for nobody, and takes no room from those who do. */
static void
test_only_if_there_is_room(void **state)
{
	struct gate_guest first, second, third;
	struct shared s = {.clock = clock_fake_new(0)};
	struct err err;

	(void)state;
	gate_init(&s.gate, MAX);
	assert_int_equal(gate_enter_guest(&s.gate, &first, MAX / 2, s.clock, &err), 0);
	assert_false(gate_try_guest(&s.gate, &second, NULL, MAX, s.clock));
	assert_true(gate_try_guest(&s.gate, &second, NULL, MAX / 2, s.clock));
	assert_false(gate_try_guest(&s.gate, &third, NULL, GATE_FEW_BYTES + 1, s.clock));
	assert_true(gate_try_guest(&s.gate, &third, NULL, GATE_FEW_BYTES, s.clock));
	gate_leave_guest(&s.gate, &third);
	gate_leave_guest(&s.gate, &second);
	s.gate.next++; /* somebody waits */
	assert_false(gate_try_guest(&s.gate, &second, NULL, GATE_FEW_BYTES + 1, s.clock));
	s.gate.next--;
	gate_leave_guest(&s.gate, &first);
	assert_int_equal(s.gate.used, 0);
	gate_done(&s.gate);
	clock_fake_free(s.clock);
}

/* With nobody else inside it has room for a second one, up to a bound. */
static void
test_alone_it_may_have_more(void **state)
{
	struct gate_guest first, second, third;
	struct shared s = {.clock = clock_fake_new(0)};
	struct err err;

	(void)state;
	gate_init(&s.gate, MAX);
	assert_int_equal(gate_enter_guest(&s.gate, &first, 5 * MAX, s.clock, &err), 0);
	assert_false(gate_try_guest(&s.gate, &second, NULL, 5 * MAX, s.clock));
	assert_false(gate_try_guest(&s.gate, &second, &first, GATE_ALONE_MAX + 1, s.clock));
	assert_true(gate_try_guest(&s.gate, &second, &first, 5 * MAX, s.clock));
	assert_false(gate_try_guest(&s.gate, &third, &first, 5 * MAX, s.clock));
	gate_leave_guest(&s.gate, &first);
	gate_leave_guest(&s.gate, &second);
	assert_int_equal(s.gate.used, 0);
	gate_done(&s.gate);
	clock_fake_free(s.clock);
}

struct waiting {
	struct shared *s;
	size_t bytes;
};

static void *
enter_some(void *arg)
{
	struct waiting *w = arg;

	if (gate_enter(&w->s->gate, w->bytes, w->s->clock, NULL))
		return arg;
	(void)atomic_fetch_add(&w->s->entered, 1);
	gate_leave(&w->s->gate, w->bytes);
	return NULL;
}

static bool
soon(struct shared *s, size_t entered)
{
	for (int i = 0; i < 5000 && s->entered < entered; i++)
		(void)usleep(1000);
	return s->entered == entered;
}

/* Guests that get no answer keep nobody out for long; what has come for them counts. */
static void
test_guests(void **state)
{
	struct shared s = {.clock = clock_fake_new(0)};
	struct gate_guest stalled, slow;
	struct waiting fits = {&s, MAX - 2 * CAME}, too_many = {&s, MAX - 2 * CAME + 1};
	struct err err;
	pthread_t thread;
	void *bad;

	(void)state;
	gate_init(&s.gate, MAX);
	assert_int_equal(gate_enter_guest(&s.gate, &stalled, MAX / 2, s.clock, &err), 0);
	assert_int_equal(gate_enter_guest(&s.gate, &slow, MAX / 2, s.clock, &err), 0);
	gate_arrived(&s.gate, &slow, CAME, CAME, s.clock);
	clock_fake_advance(s.clock, GATE_PATIENCE_MS);
	assert_int_equal(pthread_create(&thread, NULL, enter_some, &fits), 0);
	assert_true(soon(&s, 1));
	assert_int_equal(pthread_join(thread, &bad), 0);
	assert_null(bad);

	assert_int_equal(pthread_create(&thread, NULL, enter_some, &too_many), 0);
	(void)usleep(20000);
	assert_int_equal(s.entered, 1);
	gate_leave_guest(&s.gate, &slow);
	assert_int_equal(pthread_join(thread, &bad), 0);
	assert_null(bad);
	gate_leave_guest(&s.gate, &stalled);
	assert_int_equal(s.gate.used, 0);
	gate_done(&s.gate);
	clock_fake_free(s.clock);
}

/* As long as they are new there they have all of their room. */
static void
test_new_guests(void **state)
{
	struct shared s = {.clock = clock_fake_new(0)};
	struct gate_guest guest;
	struct waiting one = {&s, 1};
	struct err err;
	pthread_t thread;
	void *refused;

	(void)state;
	gate_init(&s.gate, MAX);
	assert_int_equal(gate_enter_guest(&s.gate, &guest, MAX, s.clock, &err), 0);
	clock_fake_advance(s.clock, GATE_PATIENCE_MS - 1);
	assert_int_equal(pthread_create(&thread, NULL, enter_some, &one), 0);
	(void)usleep(20000);
	clock_cancel(s.clock, 15);
	assert_int_equal(pthread_join(thread, &refused), 0);
	assert_non_null(refused);
	gate_leave_guest(&s.gate, &guest);
	assert_int_equal(s.gate.used, 0);
	gate_done(&s.gate);
	clock_fake_free(s.clock);
}

/* ---- more comes than was expected ---- */

struct growing {
	struct gate *gate;
	struct gate_guest guest;
	struct clock *clock;
	size_t all;
	atomic_bool done;
};

static void *
receive(void *arg)
{
	struct growing *g = arg;

	gate_arrived(g->gate, &g->guest, 1, g->all, g->clock);
	g->done = true;
	return NULL;
}

static bool
done_soon(const struct growing *g)
{
	for (int i = 0; i < 5000 && !g->done; i++)
		(void)usleep(1000);
	return g->done;
}

/* Small ones that turn out large wait for each other, but for the first; and for nobody longer than
 * a while, nor when the run ends. */
static void
test_more_than_expected(void **state)
{
	struct gate gate;
	struct growing g[4];
	pthread_t threads[4];

	(void)state;
	gate_init(&gate, MAX);
	for (size_t i = 0; i < 4; i++) {
		g[i] = (struct growing){
		    .gate = &gate, .clock = clock_fake_new(0), .all = i ? MAX / 2 : 3 * MAX};
		assert_int_equal(gate_enter_guest(&gate, &g[i].guest, 1, g[i].clock, NULL), 0);
	}
	assert_int_equal(gate.used, 0);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, receive, &g[i]), 0);
		if (i == 0)
			assert_true(done_soon(&g[0]));
	}
	(void)usleep(20000);
	assert_false(g[1].done || g[2].done || g[3].done);
	clock_fake_advance(g[1].clock, GATE_GROW_MS);
	assert_true(done_soon(&g[1]));
	gate_arrived(&gate, &g[1].guest, MAX, MAX, g[1].clock); /* not once more */
	clock_cancel(g[2].clock, 15);
	assert_true(done_soon(&g[2]));
	assert_false(g[3].done);
	gate_leave_guest(&gate, &g[1].guest);
	gate_leave_guest(&gate, &g[2].guest);
	gate_leave_guest(&gate, &g[0].guest);
	assert_true(done_soon(&g[3]));
	assert_int_equal(gate.used, g[3].guest.counted);
	gate_leave_guest(&gate, &g[3].guest);
	assert_int_equal(gate.used, 0);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		clock_fake_free(g[i].clock);
	}
	gate_done(&gate);
}

/* Where nobody says how much will come, some more than what came is asked for. */
static void
test_more_and_more(void **state)
{
	struct gate_guest guest;
	struct gate gate;
	struct clock *clock = clock_fake_new(0);
	size_t had;

	(void)state;
	gate_init(&gate, MAX);
	assert_int_equal(gate_enter_guest(&gate, &guest, 1, clock, NULL), 0);
	gate_arrived(&gate, &guest, GATE_FEW_BYTES / 2, GATE_FEW_BYTES / 2, clock);
	assert_int_equal(gate.used, 0);
	gate_arrived(&gate, &guest, GATE_FEW_BYTES, GATE_FEW_BYTES, clock);
	had = gate.used;
	assert_int_equal(had, 2 * GATE_FEW_BYTES + GATE_STEP - GATE_FEW_BYTES);
	gate_arrived(&gate, &guest, GATE_FEW_BYTES + GATE_STEP / 2, GATE_FEW_BYTES + GATE_STEP / 2,
		     clock);
	assert_int_equal(gate.used, had);
	gate_leave_guest(&gate, &guest);
	assert_int_equal(gate.used, 0);
	gate_done(&gate);
	clock_fake_free(clock);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_never_more_than_there_is),
	    cmocka_unit_test(test_too_large),
	    cmocka_unit_test(test_more_than_expected),
	    cmocka_unit_test(test_more_and_more),
	    cmocka_unit_test(test_only_if_there_is_room),
	    cmocka_unit_test(test_alone_it_may_have_more),
	    cmocka_unit_test(test_cancelled),
	    cmocka_unit_test(test_guests),
	    cmocka_unit_test(test_new_guests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
