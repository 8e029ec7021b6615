/* How far a run is, in words: counters and time in, lines out; and who counts as in trouble. */
#include "run/progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/cleanup.h"

static void
assert_view(const struct runner_progress *g, int64_t elapsed_ms, size_t columns,
	    const char *expected)
{
	struct buf text = BUF_INIT(4096);

	progress_view(g, elapsed_ms, columns, &text);
	assert_true(buf_ok(&text));
	assert_string_equal(buf_cstr(&text), expected);
	buf_done(&text);
}

static struct runner_progress
usual(void)
{
	return (struct runner_progress){
	    .tenants = 300,
	    .tenants_done = 60,
	    .busy = 32,
	    .cells = 400,
	    .cells_all = 1500,
	    .cells_guessed = true,
	    .lines = 8000,
	    .samples = 40000,
	};
}

static void
test_a_run(void **state)
{
	struct runner_progress g = usual();

	(void)state;
	assert_view(&g, 20000, 200,
		    "400/~1500 cells, about 55s left, 40000 samples (2000/s), 8000 rows (400/s), "
		    "20s so far\n"
		    "60/300 tenants, 32 streams at work\n");
	g.cells_guessed = false;
	g.cells = 1500;
	assert_view(&g, 75000, 200,
		    "1500/1500 cells, 40000 samples (533/s), 8000 rows (106/s), 1m15s so far\n"
		    "60/300 tenants, 32 streams at work\n");
}

static void
test_before_anything_is_known(void **state)
{
	const struct runner_progress g = {.tenants = 3};

	(void)state;
	assert_view(&g, 0, 80,
		    "0 cells, 0 samples (0/s), 0 rows (0/s), 1s so far\n"
		    "0/3 tenants, 0 streams at work\n");
}

/* What an earlier run of a backfill did says nothing about how fast this one is. */
static void
test_time_left(void **state)
{
	struct runner_progress g = {
	    .cells = 10, .cells_earlier = 60, .cells_all = 100, .tenants = 1};

	(void)state;
	assert_int_equal(progress_left_ms(&g, 1000), 3000);
	g.cells = 40;
	assert_int_equal(progress_left_ms(&g, 1000), 0);
	g.cells = 0;
	assert_int_equal(progress_left_ms(&g, 1000), 0);
	g = (struct runner_progress){.tenants = 4, .tenants_done = 1};
	assert_int_equal(progress_left_ms(&g, 500), 1500);
}

static void
test_narrow_terminals_get_whole_parts(void **state)
{
	const struct runner_progress g = usual();

	(void)state;
	assert_view(&g, 20000, 40,
		    "400/~1500 cells, about 55s left\n60/300 tenants, 32 streams at work\n");
	assert_view(&g, 20000, 20, "400/~1500 cells\n60/300 tenants\n");
}

/* The first part of each line stays, cut where it is drawn; all others fit, whatever the width. */
static void
test_every_width(void **state)
{
	struct runner_progress g = usual();

	(void)state;
	g.trouble =
	    (struct trouble){.tenants = 12,
			     .n_rows = 2,
			     .rows = {{NULL, "a", "AccessDenied"}, {NULL, "b", "throttled"}}};
	for (size_t columns = 16; columns < 150; columns++) {
		struct buf text = BUF_INIT(4096);
		const char *p;

		progress_view(&g, 20000, columns, &text);
		p = buf_cstr(&text);
		for (int i = 0; i < 3; i++, p++) {
			size_t n = strcspn(p, "\n");

			assert_true(n <= columns);
			p += n;
		}
		assert_int_equal(*p, '\0');
		buf_done(&text);
	}
}

static const struct err denied = {.kind = ERR_AUTH, .code = "AccessDenied"};

static void
test_trouble(void **state)
{
	struct runner_progress g = {.tenants = 3, .streams_failed = 1};
	struct trouble_of a = {0}, b = {0};

	(void)state;
	trouble_failed(&g.trouble, &a, "acme", &denied);
	trouble_waits(&g.trouble, &b, "beta", ERR_NONE, ERR_THROTTLED);
	assert_view(&g, 1000, 80,
		    "0 cells, 0 samples (0/s), 0 rows (0/s), 1s so far\n"
		    "0/3 tenants, 2 in trouble, failed streams: 1, 0 streams at work\n"
		    "beta: throttled, acme: AccessDenied\n");
	trouble_waits(&g.trouble, &b, "beta", ERR_THROTTLED, ERR_NONE);
	trouble_waits(&g.trouble, &a, "acme", ERR_NONE, ERR_THROTTLED);
	trouble_waits(&g.trouble, &a, "acme", ERR_THROTTLED, ERR_NONE);
	assert_int_equal(g.trouble.tenants, 1);
	assert_int_equal(g.trouble.n_rows, 1);
	assert_string_equal(g.trouble.rows[0].why, "AccessDenied");
}

/* Two streams of one tenant are one tenant in trouble, until both are well. */
static void
test_a_tenant_counts_once(void **state)
{
	struct trouble t = {0};
	struct trouble_of a = {0};

	(void)state;
	trouble_waits(&t, &a, "acme", ERR_NONE, ERR_THROTTLED);
	trouble_waits(&t, &a, "acme", ERR_NONE, ERR_TRANSIENT);
	assert_int_equal(t.tenants, 1);
	assert_int_equal(t.n_rows, 1);
	assert_string_equal(t.rows[0].why, "transient");
	trouble_waits(&t, &a, "acme", ERR_THROTTLED, ERR_THROTTLED);
	trouble_waits(&t, &a, "acme", ERR_THROTTLED, ERR_NONE);
	assert_int_equal(t.tenants, 1);
	trouble_waits(&t, &a, "acme", ERR_TRANSIENT, ERR_NONE);
	assert_int_equal(t.tenants, 0);
	assert_int_equal(t.n_rows, 0);
}

static void
test_many_in_trouble(void **state)
{
	static const char *const names[] = {"t00", "t01", "t02", "t03", "t04",
					    "t05", "t06", "t07", "t08", "t09"};
	struct trouble_of of[ARRAY_LEN(names)] = {0};
	struct runner_progress g = {.tenants = 10};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		trouble_failed(&g.trouble, &of[i], names[i], &denied);
	assert_int_equal(g.trouble.tenants, 10);
	assert_int_equal(g.trouble.n_rows, TROUBLE_ROWS);
	assert_view(&g, 1000, 60,
		    "0 cells, 0 samples (0/s), 0 rows (0/s), 1s so far\n"
		    "0/10 tenants, 10 in trouble, 0 streams at work\n"
		    "t09: AccessDenied, t08: AccessDenied, 8 more\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_run),
	    cmocka_unit_test(test_before_anything_is_known),
	    cmocka_unit_test(test_time_left),
	    cmocka_unit_test(test_narrow_terminals_get_whole_parts),
	    cmocka_unit_test(test_every_width),
	    cmocka_unit_test(test_trouble),
	    cmocka_unit_test(test_a_tenant_counts_once),
	    cmocka_unit_test(test_many_in_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
