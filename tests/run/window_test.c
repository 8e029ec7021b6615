/* Windows: what is asked for, whole cells, and slices that cover them exactly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "run/window.h"

#define MIN  60000LL
#define HOUR (60 * MIN)
#define DAY  (24 * HOUR)
#define T0   (1767225600000LL) /* 2026-01-01T00:00:00Z */

static struct err
refused(const char *from, const char *to)
{
	struct options o = {.from = from, .to = to};
	struct err err = {0};
	struct cell ret;

	assert_int_equal(window_read(&o, T0, &ret, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	return err;
}

static void
windows_are_read(void **state)
{
	struct options o = {.from = "2026-01-01T00:00:00Z", .to = "now"};
	struct err err = {0};
	struct cell ret;

	(void)state;
	assert_int_equal(window_read(&o, T0 + HOUR, &ret, &err), 0);
	assert_int_equal(ret.start_ms, T0);
	assert_int_equal(ret.end_ms, T0 + HOUR);
	assert_non_null(strstr(refused(NULL, "now").msg, "--from is missing"));
	assert_non_null(strstr(refused("now", NULL).msg, "--to is missing"));
	assert_non_null(strstr(refused("yesterday", "now").msg, "--from yesterday: expected"));
	assert_non_null(strstr(refused("now", "now").msg, "--from now is not before --to now"));
	assert_non_null(strstr(refused("1969-01-01", "now").msg, "before 1970"));
}

static void
windows_are_widened(void **state)
{
	struct cell w;

	(void)state;
	w = window_widen((struct cell){T0 + 1, T0 + 5 * MIN + 1}, 5 * MIN);
	assert_int_equal(w.start_ms, T0);
	assert_int_equal(w.end_ms, T0 + 10 * MIN);
	w = window_widen((struct cell){T0, T0 + 5 * MIN}, 5 * MIN);
	assert_int_equal(w.start_ms, T0);
	assert_int_equal(w.end_ms, T0 + 5 * MIN);
}

/* Each begins where the one before ended, and none is longer than it may be. */
static size_t
check_slices(struct cell whole, int64_t every, int64_t shortest)
{
	int64_t slice = window_slice_ms(whole, every, shortest);
	size_t n = window_slices(whole, slice);
	int64_t at = whole.start_ms;

	assert_true(slice >= shortest);
	assert_int_equal(slice % every, 0);
	assert_in_range(n, 1, WINDOW_SLICES_MAX);
	for (size_t i = 0; i < n; i++) {
		struct cell s = window_slice(whole, slice, i);

		assert_int_equal(s.start_ms, at);
		assert_true(s.end_ms > s.start_ms && s.end_ms - s.start_ms <= slice);
		assert_true(i == 0 || s.start_ms % slice == 0);
		at = s.end_ms;
	}
	assert_int_equal(at, whole.end_ms);
	return n;
}

static void
slices_cover_the_window(void **state)
{
	static const int64_t everies[] = {MIN, 5 * MIN, HOUR, 2 * HOUR, 8 * HOUR, DAY};

	(void)state;
	for (size_t e = 0; e < sizeof(everies) / sizeof(everies[0]); e++)
		for (int64_t cells = 1; cells < 100000; cells = cells * 3 + 1)
			for (int64_t off = 0; off < 30; off += 7) {
				int64_t start = cell_floor(T0, everies[e]) + off * everies[e];

				(void)check_slices((struct cell){start, start + cells * everies[e]},
						   everies[e], 3 * HOUR);
			}
}

static void
slices_are_as_many_as_help(void **state)
{
	(void)state;
	assert_int_equal(check_slices((struct cell){T0, T0 + DAY}, 5 * MIN, 3 * HOUR), 8);
	assert_int_equal(check_slices((struct cell){T0, T0 + DAY}, 5 * MIN, 5 * MIN), 24);
	assert_int_equal(check_slices((struct cell){T0, T0 + 30 * DAY}, 5 * MIN, 3 * HOUR), 30);
	assert_int_equal(check_slices((struct cell){T0, T0 + 5 * MIN}, 5 * MIN, 3 * HOUR), 1);
	assert_int_equal(
	    check_slices((struct cell){T0 + 50 * MIN, T0 + 70 * MIN}, 5 * MIN, 5 * MIN), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(windows_are_read),
	    cmocka_unit_test(windows_are_widened),
	    cmocka_unit_test(slices_cover_the_window),
	    cmocka_unit_test(slices_are_as_many_as_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
