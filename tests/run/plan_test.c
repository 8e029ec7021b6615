/* What is due, in which order, and what may be published when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "run/plan.h"

#define MIN  60000LL
#define HOUR (60 * MIN)
#define T0   (1767225600000LL) /* 2026-01-01T00:00:00Z */

struct fixture {
	struct ckpt *ckpt;
	struct ckpt_stream *s;
	struct plan_sink sinks[2];
	struct plan plan;
};

/* A stream with a lake and a receiver, begun at T0, looked at `later` ms after that. */
static void
setup(struct fixture *f, int64_t later, int64_t max_age)
{
	struct store *store = NULL;
	struct err err = {0};

	assert_int_equal(store_mem_new(&store, &err), 0);
	assert_int_equal(ckpt_load(store, "", "acme", "ecs", &f->ckpt, &err), 0);
	store_free(store);
	f->s = ckpt_stream_add(f->ckpt, "eu-west-1", T0, 5 * MIN, &err);
	assert_non_null(f->s);
	f->sinks[0] = (struct plan_sink){.name = "lake", .lake = true};
	f->sinks[1] = (struct plan_sink){.name = "prom", .ordered = true, .max_age_ms = max_age};
	for (size_t i = 0; i < 2; i++)
		assert_non_null(ckpt_sink_add(f->s, f->sinks[i].name, T0, &err));
	f->plan = (struct plan){
	    .now_ms = T0 + later,
	    .every_ms = 5 * MIN,
	    .delay_ms = 5 * MIN,
	    .lookback_ms = 30 * MIN,
	    .max_catchup_ms = 24 * HOUR,
	    .sinks = f->sinks,
	    .n_sinks = 2,
	};
}

static void
teardown(struct fixture *f)
{
	ckpt_free(f->ckpt);
}

static void
done(struct fixture *f, size_t sink, int64_t from, int64_t to)
{
	struct err err = {0};

	assert_int_equal(ckpt_done(ckpt_sink_find(f->s, f->sinks[sink].name),
				   (struct cell){T0 + from, T0 + to}, &err),
			 0);
}

static struct plan_span
next(const struct fixture *f, enum plan_pass pass, int64_t from, size_t max)
{
	struct plan_span span = {0};

	if (!plan_next(&f->plan, f->s, pass, from, max, &span))
		span.n = 0;
	return span;
}

static void
due_cells_come_in_one_span(void **state)
{
	struct fixture f;
	struct plan_span span;

	(void)state;
	setup(&f, 34 * MIN + 59999, 0);
	assert_int_equal(plan_due_end(&f.plan), T0 + 25 * MIN);
	span = next(&f, PLAN_FRESH, 0, 100);
	assert_int_equal(span.mode, PLAN_PULL);
	assert_int_equal(span.first.start_ms, T0);
	assert_int_equal(span.n, 5);
	f.plan.now_ms = T0 + 35 * MIN;
	assert_int_equal(next(&f, PLAN_FRESH, 0, 100).n, 6);
	assert_int_equal(next(&f, PLAN_FRESH, 0, 4).n, 4);
	assert_int_equal(next(&f, PLAN_FRESH, T0 + 20 * MIN, 4).n, 2);
	assert_int_equal(next(&f, PLAN_FRESH, T0 + 30 * MIN, 4).n, 0);
	teardown(&f);
}

static void
frozen_cells_are_republished_not_pulled(void **state)
{
	struct fixture f;
	struct plan_span span;

	(void)state;
	setup(&f, 35 * MIN, 0);
	done(&f, 0, 0, 15 * MIN);
	done(&f, 1, 0, 5 * MIN);
	span = next(&f, PLAN_FRESH, 0, 100);
	assert_int_equal(span.mode, PLAN_REPUBLISH);
	assert_int_equal(span.first.start_ms, T0 + 5 * MIN);
	assert_int_equal(span.n, 2);
	span = next(&f, PLAN_FRESH, span.first.start_ms + 10 * MIN, 100);
	assert_int_equal(span.mode, PLAN_PULL);
	assert_int_equal(span.n, 3);
	teardown(&f);
}

static void
fresh_cells_first_after_an_outage(void **state)
{
	struct fixture f;
	struct plan_span span;

	(void)state;
	setup(&f, 5 * HOUR, HOUR);
	span = next(&f, PLAN_FRESH, 0, 1000);
	assert_int_equal(span.first.start_ms, T0 + 4 * HOUR);
	assert_int_equal(span.n, 11);
	assert_true(plan_has_rest(&f.plan, f.s));
	done(&f, 0, 4 * HOUR, 4 * HOUR + 55 * MIN);
	done(&f, 1, 4 * HOUR, 4 * HOUR + 55 * MIN);
	assert_int_equal(next(&f, PLAN_FRESH, 0, 1000).n, 0);
	span = next(&f, PLAN_REST, 0, 1000);
	assert_int_equal(span.first.start_ms, T0);
	assert_int_equal(span.n, 48);
	done(&f, 0, 0, 4 * HOUR);
	done(&f, 1, 0, 4 * HOUR);
	assert_false(plan_has_rest(&f.plan, f.s));
	teardown(&f);
}

static void
order_is_kept_for_each_sink(void **state)
{
	const struct cell third = {T0 + 10 * MIN, T0 + 15 * MIN};
	struct fixture f;

	(void)state;
	setup(&f, 35 * MIN, 0);
	assert_true(plan_may_publish(&f.plan, f.s, 0, third));
	assert_false(plan_may_publish(&f.plan, f.s, 1, third));
	done(&f, 1, 0, 5 * MIN);
	assert_false(plan_may_publish(&f.plan, f.s, 1, third));
	done(&f, 1, 5 * MIN, 10 * MIN);
	assert_true(plan_may_publish(&f.plan, f.s, 1, third));
	teardown(&f);
}

static void
what_a_sink_cannot_take_does_not_hold_it_up(void **state)
{
	struct fixture f;
	const struct cell fresh = {T0 + 4 * HOUR, T0 + 4 * HOUR + 5 * MIN};
	const struct cell after = {T0 + 4 * HOUR + 5 * MIN, T0 + 4 * HOUR + 10 * MIN};

	(void)state;
	setup(&f, 5 * HOUR, HOUR);
	assert_true(plan_may_publish(&f.plan, f.s, 1, fresh));
	assert_false(plan_may_publish(&f.plan, f.s, 1, after));
	done(&f, 1, 4 * HOUR, 4 * HOUR + 5 * MIN);
	assert_true(plan_may_publish(&f.plan, f.s, 1, after));
	teardown(&f);
}

static void
beyond_max_catchup_is_given_up(void **state)
{
	struct fixture f;
	struct cell old;

	(void)state;
	setup(&f, 24 * HOUR, 0);
	assert_false(plan_given_up(&f.plan, f.s, &old));
	teardown(&f);
	setup(&f, 24 * HOUR + 17 * MIN, 0);
	assert_true(plan_given_up(&f.plan, f.s, &old));
	assert_int_equal(old.start_ms, T0);
	assert_int_equal(old.end_ms, T0 + 15 * MIN);
	assert_int_equal(next(&f, PLAN_REST, 0, 1).first.start_ms, T0 + 15 * MIN);
	teardown(&f);
}

/* A slice of a backfill of old times: two hours from T0, long after them. */
static void
setup_slice(struct fixture *f)
{
	setup(f, 48 * HOUR, HOUR);
	f->plan.window = (struct cell){T0, T0 + 2 * HOUR};
}

static void
a_window_is_all_there_is(void **state)
{
	struct fixture f;
	struct plan_span span;
	struct cell old;

	(void)state;
	setup_slice(&f);
	assert_int_equal(plan_first_ms(&f.plan), T0);
	assert_int_equal(plan_due_end(&f.plan), T0 + 2 * HOUR);
	assert_false(plan_given_up(&f.plan, f.s, &old));
	span = next(&f, PLAN_FRESH, 0, 1000);
	assert_int_equal(span.first.start_ms, T0);
	assert_int_equal(span.n, 24);
	assert_false(plan_has_rest(&f.plan, f.s));
	teardown(&f);
}

static void
a_window_ends_with_what_is_due(void **state)
{
	struct fixture f;

	(void)state;
	setup_slice(&f);
	f.plan.now_ms = T0 + 67 * MIN;
	assert_int_equal(plan_window_cells(&f.plan), 12);
	assert_int_equal(next(&f, PLAN_FRESH, 0, 1000).n, 12);
	f.plan.now_ms = T0 + 9 * MIN;
	assert_int_equal(plan_window_cells(&f.plan), 0);
	assert_int_equal(next(&f, PLAN_FRESH, 0, 1000).n, 0);
	f.plan.now_ms = T0 - 9 * HOUR;
	assert_int_equal(plan_window_cells(&f.plan), 0);
	teardown(&f);
}

static void
what_is_left_of_a_window_is_what_nobody_froze(void **state)
{
	struct fixture f;

	(void)state;
	setup_slice(&f);
	assert_int_equal(plan_window_left(&f.plan, f.s), 24);
	done(&f, 0, 10 * MIN, 20 * MIN);
	assert_int_equal(plan_window_left(&f.plan, f.s), 22);
	done(&f, 0, 0, 2 * HOUR);
	assert_int_equal(plan_window_left(&f.plan, f.s), 0);
	assert_int_equal(next(&f, PLAN_FRESH, 0, 1000).mode, PLAN_REPUBLISH);
	teardown(&f);
}

static void
slices_wait_for_each_other_only_for_order(void **state)
{
	struct fixture f;

	(void)state;
	setup_slice(&f);
	assert_false(plan_needs_before(&f.plan, 0));
	assert_false(plan_needs_before(&f.plan, 1)); /* all before it is too old for the receiver */
	f.plan.now_ms = T0 + 30 * MIN;
	assert_true(plan_needs_before(&f.plan, 1));
	f.plan.now_ms = T0 + 48 * HOUR;
	f.sinks[1].max_age_ms = 0;
	assert_true(plan_needs_before(&f.plan, 1));
	f.plan.window = (struct cell){0, 0};
	assert_false(plan_needs_before(&f.plan, 1));
	teardown(&f);
}

static void
leftovers_are_what_a_receiver_was_too_late_for(void **state)
{
	const struct plan_sink rest = {.name = "old", .leftovers = true};
	const struct cell first = {T0, T0 + 5 * MIN};
	const struct cell second = {T0 + 5 * MIN, T0 + 10 * MIN};
	struct fixture f;
	struct err err = {0};

	(void)state;
	setup(&f, 35 * MIN, HOUR);
	f.sinks[0] = rest;
	assert_false(plan_may_publish(&f.plan, f.s, 0, first));
	done(&f, 1, 0, 10 * MIN);
	assert_true(plan_may_publish(&f.plan, f.s, 0, first));
	assert_false(plan_left_over(&f.plan, f.s, first));
	assert_int_equal(ckpt_gap_add(f.s, "prom", second, "max_catchup", T0, &err), 0);
	assert_int_equal(ckpt_gap_add(f.s, "lake", second, PLAN_TOO_OLD, T0, &err), 0);
	assert_false(plan_left_over(&f.plan, f.s, second));
	assert_int_equal(ckpt_gap_add(f.s, "prom", second, PLAN_TOO_OLD, T0, &err), 0);
	assert_true(plan_left_over(&f.plan, f.s, second));
	assert_false(plan_left_over(&f.plan, f.s, first));
	f.sinks[1].max_age_ms = 0; /* who takes anything leaves nothing over: it gets all */
	assert_true(plan_left_over(&f.plan, f.s, first));
	teardown(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(due_cells_come_in_one_span),
	    cmocka_unit_test(frozen_cells_are_republished_not_pulled),
	    cmocka_unit_test(fresh_cells_first_after_an_outage),
	    cmocka_unit_test(order_is_kept_for_each_sink),
	    cmocka_unit_test(what_a_sink_cannot_take_does_not_hold_it_up),
	    cmocka_unit_test(beyond_max_catchup_is_given_up),
	    cmocka_unit_test(a_window_is_all_there_is),
	    cmocka_unit_test(a_window_ends_with_what_is_due),
	    cmocka_unit_test(what_is_left_of_a_window_is_what_nobody_froze),
	    cmocka_unit_test(slices_wait_for_each_other_only_for_order),
	    cmocka_unit_test(leftovers_are_what_a_receiver_was_too_late_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
