/* Order and validity of series. */
#include "model/series.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/cleanup.h"

static const struct label ab[] = {{"a", "1"}, {"b", "1"}};
static const struct label ac[] = {{"a", "1"}, {"c", "1"}};
static const struct label a2[] = {{"a", "2"}};

/* In the order they must have. */
static const struct series ordered[] = {
    {.name = "Z"},
    {.name = "m"},
    {.name = "m", .labels = ab, .n_labels = 1},
    {.name = "m", .labels = ab, .n_labels = 2},
    {.name = "m", .labels = ac, .n_labels = 2},
    {.name = "m", .labels = a2, .n_labels = 1},
    {.name = "m_"},
    {.name = "n"},
    {.name = "\xC3\xA9"},
};

static int
sign(int c)
{
	return (c > 0) - (c < 0);
}

static void
test_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ordered); i++)
		for (size_t k = 0; k < ARRAY_LEN(ordered); k++)
			assert_int_equal(sign(series_cmp(&ordered[i], &ordered[k])),
					 (i > k) - (i < k));
}

/* What a receiver does not see does not tell series apart. */
static void
test_identity_is_name_and_labels(void **state)
{
	struct series a = ordered[3], b = ordered[3];

	(void)state;
	a.stat = "Average";
	a.unit = "Percent";
	a.period_ms = 60000;
	assert_int_equal(series_cmp(&a, &b), 0);
}

static void
test_names(void **state)
{
	static const struct {
		const char *name;
		bool series, label;
	} cases[] = {
	    {"a", true, true},	   {"_", true, true},	       {"a9_Z", true, true},
	    {":a", true, false},   {"a:b", true, false},       {"", false, false},
	    {"9a", false, false},  {"a-b", false, false},      {"a b", false, false},
	    {"a\n", false, false}, {"\xC3\xA9", false, false}, {"a.b", false, false},
	    {"a\"", false, false}, {"__name__", true, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(series_name_valid(cases[i].name), cases[i].series);
		assert_int_equal(label_name_valid(cases[i].name), cases[i].label);
	}
}

static void
test_cell_data_is_empty_and_freed(void **state)
{
	struct cell_data d;

	(void)state;
	cell_data_init(&d, (struct cell){300000, 600000});
	assert_int_equal(d.cell.end_ms, 600000);
	assert_int_equal(d.n_rows + d.n_lines + d.n_samples + d.n_rejected, 0);
	d.rows = arena_array(&d.arena, 4, sizeof(*d.rows));
	buf_str(&d.ndjson, "x");
	assert_non_null(d.rows);
	cell_data_done(&d);
	assert_null(d.rows);
	cell_data_done(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_identity_is_name_and_labels),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_cell_data_is_empty_and_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
