/* `series` of the insights kind: the same samples from a pull and from what it froze. */
#include "insights_rig.h"

#define YAML                                                                                       \
	"log_groups: '/app/*'\nquery: stats count(*) as muster_events by @logStream\n"             \
	"series: {values: {muster_events: app_events}, labels: {'@logStream': stream}}\n"

static void
same_rows(const struct cell_data *a, const struct cell_data *b)
{
	assert_int_equal(a->n_rows, b->n_rows);
	assert_int_equal(a->n_samples, b->n_samples);
	assert_int_equal(a->n_lines, b->n_lines);
	for (size_t i = 0; i < a->n_rows; i++) {
		assert_int_equal(series_cmp(a->rows[i].series, b->rows[i].series), 0);
		assert_int_equal(a->rows[i].n, b->rows[i].n);
		for (size_t k = 0; k < a->rows[i].n; k++) {
			assert_int_equal(sample_time(&a->rows[i], k), sample_time(&b->rows[i], k));
			assert_true(a->rows[i].values[k] == b->rows[i].values[k]);
		}
	}
}

/* As who finds the cell frozen does. */
static void
check_adopted(const struct rig *r, size_t i)
{
	struct cell_data d;
	struct err err = {0};

	cell_data_init(&d, r->cells[i]);
	buf_str(&d.ndjson, rig_lines(r, i));
	if (job_insights.adopt(&r->s, &d, &err))
		fail_msg("%s", err.msg);
	same_rows(&r->data[i], &d);
	cell_data_done(&d);
}

/* Without a bin: one set of rows a cell, at its start. */
static void
test_each_cell_its_own(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, YAML);
	for (int i = 0; i < 60; i++)
		oracle_add(&r, START + i * 10000, i % 2, i % 3);
	rig_open(&r, 2);
	rig_complete(&r, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(r.data[i].n_lines, 3);
		assert_int_equal(r.data[i].n_rows, 3);
		assert_int_equal(r.data[i].n_samples, 3);
		assert_int_equal(r.data[i].n_rejected, 0);
		assert_int_equal(sample_time(&r.data[i].rows[0], 0), r.cells[i].start_ms);
		assert_true(r.data[i].rows[0].values[0] == 10);
		assert_string_equal(r.data[i].rows[2].series->labels[2].value, "s2");
		check_adopted(&r, i);
	}
	rig_done(&r);
}

/* Lines for a lake are not made where none is. */
static void
test_without_a_lake(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, YAML);
	oracle_add(&r, START + 1, 0, 1);
	rig_open(&r, 1);
	assert_int_equal(rig_run(&r, 1000), 0);
	cell_data_init(&r.data[0], r.cells[0]);
	r.n_cells = 1;
	r.data[0].rows_only = true;
	assert_int_equal(job_insights.harvest(r.p, &r.data[0], 1, &r.err), 0);
	assert_int_equal(r.data[0].n_lines, 1);
	assert_int_equal(r.data[0].n_samples, 1);
	assert_int_equal(cell_lines_size(&r.data[0]), 0);
	rig_done(&r);
}

/* The same labels at one time: one sample, the rest on the account. */
static void
test_rows_of_one_series(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, "log_groups: '/app/*'\nquery: stats count(*) as muster_events by @logStream\n"
		     "series: {values: {muster_events: app_events}}\n");
	for (int i = 0; i < 6; i++)
		oracle_add(&r, START + i, 0, i % 3);
	rig_open(&r, 1);
	rig_complete(&r, 1);
	assert_int_equal(r.data[0].n_lines, 3);
	assert_int_equal(r.data[0].n_samples, 1);
	assert_int_equal(r.data[0].n_rejected, 2);
	check_adopted(&r, 0);
	rig_done(&r);
}

/* Pieces of a frozen cell end anywhere: a cell beyond memory is read from its file. */
static void
test_large_cell(void **state)
{
	struct cell_data d;
	struct rig r;

	(void)state;
	rig_init(&r, "log_groups: /a\nquery: 'fields v'\nseries: {values: {v: x}}\n");
	cell_data_init(&d, (struct cell){START, START + CELL_MS});
	for (int i = 0; i < 20000; i++) {
		CLEANUP(buf_done) struct buf line = BUF_INIT(4096);
		char ts[TIME_TEXT_MAX];

		time_format_ms(START + i * 10, ts);
		buf_fmt(&line, "{\"ts\":\"%s\",\"fields\":{\"pad\":\"%0*d\",\"v\":\"%d\"}}\n", ts,
			100 + i % 97, i, i);
		assert_int_equal(cell_lines_add(&d, buf_view(&line), &r.err), 0);
	}
	assert_non_null(d.spool);
	assert_int_equal(job_insights.adopt(&r.s, &d, &r.err), 0);
	assert_int_equal(d.n_lines, 20000);
	assert_int_equal(d.n_samples, 20000);
	assert_int_equal(d.n_rows, 1);
	for (size_t i = 0; i < d.rows[0].n; i++)
		assert_true(d.rows[0].values[i] == (double)i);
	cell_data_done(&d);
	rig_done(&r);
}

/* A cut-off object is damage, as without series. */
static void
test_cut_off(void **state)
{
	static const char *const lines[] = {"{\"ts\":\"2026-01-01T00:00:00.000Z\",\"fields\":{}}",
					    "{\"ts\":\"2026-01-01T00:00:00.000Z\"\n", "x\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct cell_data d;
		struct rig r;

		rig_init(&r, YAML);
		cell_data_init(&d, (struct cell){START, START + CELL_MS});
		buf_str(&d.ndjson, lines[i]);
		assert_int_equal(job_insights.adopt(&r.s, &d, &r.err), -1);
		assert_int_equal(r.err.kind, ERR_DATA);
		cell_data_done(&d);
		rig_done(&r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_cell_its_own),
	    cmocka_unit_test(test_without_a_lake),
	    cmocka_unit_test(test_rows_of_one_series),
	    cmocka_unit_test(test_large_cell),
	    cmocka_unit_test(test_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
