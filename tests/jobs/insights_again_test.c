/*
 * The second asking of a cell: a query of its own, that no first one is taken for, whose ids
 * outlive what is asked in between, and which keeps to the budget.
 */
#include "insights_rig.h"

#define ROWS                                                                                       \
	"log_groups: /app/*\n"                                                                     \
	"query: 'fields @timestamp, @logStream, @message'\n"

static void
expect_distinct_queries(const struct rig *r)
{
	for (size_t i = 0; i < r->o->n_queries; i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(r->o->q[i].text, r->o->q[j].text);
}

static void
one_cell(struct rig *r, const char *yaml)
{
	rig_init(r, yaml);
	oracle_add(r, START + 1000, 0, 0);
	oracle_add(r, START + 2000, 1, 0);
	rig_open(r, 1);
	rig_complete(r, 1);
	assert_int_equal(r->data[0].n_lines, 2);
	assert_false(r->data[0].asked_before);
}

static void
test_what_was_not_there_at_first(void **state)
{
	struct rig r;

	(void)state;
	one_cell(&r, ROWS);
	oracle_add(&r, START + 1500, 1, 0);
	rig_open_again(&r, START);
	rig_complete(&r, 1);
	assert_int_equal(r.o->started, 2);
	expect_distinct_queries(&r);
	assert_int_equal(r.data[0].n_lines, 3);
	assert_non_null(strstr(rig_lines(&r, 0), "00:00:01.500Z"));
	/* The list of groups is that of the first asking. */
	assert_int_equal(r.o->list_calls, 1);
	rig_done(&r);
}

/* Neither asking makes the other forget what it has started. */
static void
test_each_is_collected_by_itself(void **state)
{
	struct rig r;

	(void)state;
	one_cell(&r, ROWS);
	rig_open_again(&r, START);
	assert_int_equal(rig_run(&r, 1), 1); /* started, and the run died */
	assert_int_equal(r.o->started, 2);
	assert_int_equal(rig_try_open(&r, START + CELL_MS, 1), 0);
	assert_int_equal(rig_run(&r, 1), 1);
	assert_int_equal(r.o->started, 3);
	rig_open_again(&r, START);
	rig_complete(&r, 1);
	assert_int_equal(r.data[0].n_lines, 2);
	assert_true(r.data[0].asked_before);
	assert_int_equal(rig_try_open(&r, START + CELL_MS, 1), 0);
	rig_complete(&r, 1);
	assert_true(r.data[0].asked_before);
	assert_int_equal(r.o->started, 3);
	/* What was collected, and not written down as done. */
	rig_open_again(&r, START);
	rig_complete(&r, 1);
	assert_int_equal(r.data[0].n_lines, 2);
	assert_int_equal(r.o->started, 3);
	/* The next one is begun anew. */
	rig_open_again(&r, START + CELL_MS);
	rig_complete(&r, 1);
	assert_int_equal(r.o->started, 4);
	expect_distinct_queries(&r);
	rig_done(&r);
}

/* Nothing was written down: the service is asked for what it has, and the first asking is not it.
 */
static void
test_what_a_dead_run_started_is_found(void **state)
{
	struct rig r;
	json_t *before;

	(void)state;
	one_cell(&r, ROWS);
	r.s.begun_before_ms = START + CELL_MS;
	before = json_incref(r.memo);
	rig_open_again(&r, START);
	rig_complete(&r, 1);
	assert_int_equal(r.o->started, 2);
	json_decref(r.memo);
	r.memo = before;
	rig_open_again(&r, START);
	rig_complete(&r, 1);
	assert_int_equal(r.o->started, 2);
	assert_true(r.data[0].asked_before);
	assert_int_equal(r.data[0].n_lines, 2);
	expect_distinct_queries(&r);
	rig_done(&r);
}

static void
test_without_a_memo(void **state)
{
	struct rig r;

	(void)state;
	one_cell(&r, ROWS);
	json_decref(r.memo);
	r.memo = json_null();
	rig_open_again(&r, START);
	rig_complete(&r, 1);
	assert_int_equal(r.data[0].n_lines, 2);
	assert_int_equal(r.o->list_calls, 2);
	/* A first asking begins from what that left. */
	assert_int_equal(rig_try_open(&r, START + CELL_MS, 1), 0);
	rig_complete(&r, 1);
	assert_int_equal(r.o->started, 3);
	rig_done(&r);
}

static void
test_the_budget_is_one(void **state)
{
	const struct job_gap *gaps;
	uint64_t metrics, bytes;
	struct rig r;

	(void)state;
	one_cell(&r, ROWS "scan_budget: 300/d\nconcurrency: 1\n"); /* of 200 */
	rig_open_again(&r, START);
	rig_complete(&r, 1);
	job_insights.billed(r.p, &metrics, &bytes);
	assert_int_equal(bytes, 200);
	assert_int_equal(job_insights.gaps(r.p, &gaps), 0);
	assert_int_equal(job_insights.scanned(r.memo, NOW), 400);
	rig_open_again(&r, START + CELL_MS);
	rig_complete(&r, 1);
	assert_int_equal(r.o->started, 2);
	assert_int_equal(job_insights.gaps(r.p, &gaps), 1);
	assert_string_equal(gaps[0].reason,
			    "not asked for a second time: scan_budget is used up for this day");
	assert_int_equal(gaps[0].from_ms, START + CELL_MS);
	assert_int_equal(gaps[0].to_ms, START + 2 * CELL_MS);
	assert_int_equal(rig_try_open(&r, START + 2 * CELL_MS, 1), 0);
	rig_complete(&r, 1);
	assert_int_equal(r.o->started, 2);
	rig_done(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_was_not_there_at_first),
	    cmocka_unit_test(test_each_is_collected_by_itself),
	    cmocka_unit_test(test_what_a_dead_run_started_is_found),
	    cmocka_unit_test(test_without_a_memo),
	    cmocka_unit_test(test_the_budget_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
