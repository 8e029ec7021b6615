/*
 * Rows in runs and merged, against the same rows sorted in memory.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "model/row_runs.h"

#define MOST 3000

struct rows {
	struct insights_row v[MOST];
	size_t n;
};

/* The first n rows of the merge are these, and no more. */
static void
expect(const struct row_runs *r, struct insights_row *rest, size_t n_rest, const struct rows *want)
{
	struct row_merge *m = NULL;
	struct insights_row row;
	struct err err;

	assert_int_equal(row_merge_new(r, rest, n_rest, &m, &err), 0);
	for (size_t i = 0; i < want->n; i++) {
		if (i % 7 == 3 || (i && want->v[i - 1].ts_ms < want->v[i].ts_ms)) /* a cell's end */
			assert_int_equal(row_merge_next(m, want->v[i].ts_ms, &row, &err), 0);
		assert_int_equal(row_merge_next(m, want->v[i].ts_ms + 1, &row, &err), 1);
		assert_int_equal(row.ts_ms, want->v[i].ts_ms);
		assert_int_equal(row.n, want->v[i].n);
		assert_memory_equal(row.line, want->v[i].line, row.n);
	}
	assert_int_equal(row_merge_next(m, INT64_MAX, &row, &err), 0);
	assert_int_equal(row_merge_next(m, INT64_MAX, &row, &err), 0);
	row_merge_free(m);
}

static void
test_second_comings(void **state)
{
	struct insights_row rows[] = {
	    {2, "b\n", 2, 0, true},  {1, "z\n", 2, 0, true},  {2, "b\n", 2, 1, true},
	    {2, "a\n", 2, 0, true},  {2, "a\n", 2, 0, true},  {3, "c\n", 2, 0, false},
	    {3, "c\n", 2, 1, false}, {2, "bb\n", 3, 2, true},
	};
	static const char *const want[] = {"z\n", "a\n", "a\n", "b\n", "bb\n", "c\n", "c\n"};
	struct row_runs r = ROW_RUNS_INIT;
	struct row_merge *m = NULL;
	struct insights_row row;
	struct err err;

	(void)state;
	/* One query's rows are all events of their own; without pointers so are two queries'. */
	assert_int_equal(row_runs_add(&r, rows, 3, &err), 0);
	assert_int_equal(row_runs_add(&r, rows, 0, &err), 0);
	assert_int_equal(r.n, 1);
	assert_int_equal(row_merge_new(&r, rows + 3, 5, &m, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_int_equal(row_merge_next(m, INT64_MAX, &row, &err), 1);
		assert_memory_equal(row.line, want[i], row.n);
	}
	assert_int_equal(row_merge_next(m, INT64_MAX, &row, &err), 0);
	assert_int_equal(row_merge_doubles(m), 1);
	row_merge_free(m);
	row_runs_done(&r);
}

static uint64_t draws;

static uint64_t
draw(uint64_t below)
{
	return mix64(++draws) % below;
}

/* Some lines are longer than what is read at once. */
static struct insights_row
random_row(struct arena *a, uint32_t source)
{
	size_t n = draw(100) ? 1 + draw(60) : 20000 + draw(30000);
	char *line = arena_alloc(a, n);

	assert_non_null(line);
	memset(line, (int)('a' + draw(3)), n);
	if (n > 17000 && draw(2)) /* what tells two of them apart is far behind */
		line[17000 + draw(n - 17000)] = 'd';
	line[n - 1] = '\n';
	return (struct insights_row){.ts_ms = (int64_t)draw(200),
				     .line = line,
				     .n = (uint32_t)n,
				     .source = source,
				     .pointed = true};
}

static void
test_random_runs(void **state)
{
	struct rows *all = malloc(sizeof(*all)), *run = malloc(sizeof(*run));

	(void)state;
	assert_non_null(all);
	assert_non_null(run);
	for (draws = 1; draws < 400000;) {
		struct arena a = ARENA_INIT((size_t)256 << 20);
		struct row_runs r = ROW_RUNS_INIT;
		size_t runs = draw(8), kept = 0;
		struct err err;

		all->n = 0;
		/* Every run comes from a query of its own; the last one stays in memory. */
		for (uint32_t k = 0; k <= runs; k++) {
			int64_t cut = k < runs && !draw(3) ? (int64_t)draw(200) : INT64_MAX;

			run->n = draw(300);
			for (size_t i = 0; i < run->n; i++) {
				run->v[i] = random_row(&a, k);
				if (run->v[i].ts_ms < cut)
					all->v[all->n++] = run->v[i];
			}
			if (k < runs) {
				size_t at = r.n;

				assert_int_equal(row_runs_add(&r, run->v, run->n, &err), 0);
				row_runs_cut(&r, at, cut);
			}
		}
		/* What a second query brought. */
		insights_rows_sort(all->v, all->n);
		for (size_t i = 0; i < all->n; i++) {
			const struct insights_row *x = &all->v[i],
						  *y = kept ? &all->v[kept - 1] : NULL;

			if (!y || x->source == y->source || x->ts_ms != y->ts_ms || x->n != y->n ||
			    memcmp(x->line, y->line, x->n) != 0)
				all->v[kept++] = all->v[i];
		}
		all->n = kept;
		expect(&r, run->v, run->n, all);
		row_runs_done(&r);
		arena_done(&a);
	}
	free(all);
	free(run);
}

/* Takes a cell as a whole or merged, and compares its text. Returns whether it was whole. */
static bool
expect_cell(struct row_merge *m, int64_t end_ms, uint64_t least, const struct rows *want,
	    size_t *at)
{
	struct spool view = SPOOL_INIT;
	struct buf is = BUF_INIT((size_t)64 << 20), text = BUF_INIT((size_t)64 << 20);
	struct insights_row row;
	struct err err;
	uint64_t n = 0, merged = 0;
	int whole = row_merge_whole(m, end_ms, least, &view, &n, &err);

	assert_true(whole >= 0);
	assert_int_equal(spool_load(&view, &is, &err), 0);
	for (; row_merge_next(m, end_ms, &row, &err) > 0; merged++)
		buf_add(&is, row.line, row.n);
	assert_int_equal(whole ? merged : n, 0);
	for (; *at < want->n && want->v[*at].ts_ms < end_ms; (*at)++, n--)
		buf_add(&text, want->v[*at].line, want->v[*at].n);
	assert_true(n + merged == 0);
	assert_true(sv_eq(buf_view(&is), buf_view(&text)));
	assert_true(!whole || text.n >= least);
	buf_done(&is);
	buf_done(&text);
	spool_done(&view);
	return whole;
}

/* Runs of two rows each. */
static void
test_whole(void **state)
{
	static const struct {
		const char *why;
		int64_t ts[6];	  /* of three runs */
		int64_t cut;	  /* of the second one */
		uint32_t doubled; /* the first one has a row of this query twice */
		uint64_t least;
		bool whole;
	} cases[] = {
	    {"one behind the other", {1, 2, 3, 4, 5, 6}, INT64_MAX, 0, 12, true},
	    {"put away in another order", {5, 6, 3, 4, 1, 2}, INT64_MAX, 0, 12, true},
	    {"few bytes", {1, 2, 3, 4, 5, 6}, INT64_MAX, 0, 13, false},
	    {"one time in two runs", {1, 2, 2, 3, 4, 5}, INT64_MAX, 0, 0, false},
	    {"one within another", {1, 6, 2, 3, 7, 8}, INT64_MAX, 0, 0, false},
	    {"cut", {1, 2, 3, 4, 5, 6}, 4, 0, 0, false},
	    {"all of one cut", {1, 2, 3, 4, 5, 6}, 3, 0, 8, true},
	    {"an event twice", {1, 1, 3, 4, 5, 6}, INT64_MAX, 1, 0, false},
	    {"from one cell into the next", {1, 2, 3, 4, 9, 10}, INT64_MAX, 0, 0, false},
	    {"some in the next cell", {1, 2, 3, 4, 10, 11}, INT64_MAX, 0, 0, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct row_runs r = ROW_RUNS_INIT;
		struct row_merge *m = NULL;
		struct rows all = {.n = 0};
		struct err err;
		size_t at = 0;

		for (size_t k = 0; k < 6; k += 2) {
			struct insights_row rows[] = {
			    {cases[i].ts[k], "x\n", 2, 0, true},
			    {cases[i].ts[k + 1], "x\n", 2, k ? 0 : cases[i].doubled, true}};

			assert_int_equal(row_runs_add(&r, rows, 2, &err), 0);
			for (size_t n = 0; n < 2; n++)
				if ((k != 2 || rows[n].ts_ms < cases[i].cut) &&
				    !(n && rows[n].source))
					all.v[all.n++] = rows[n];
		}
		r.v[1].cut_ms = cases[i].cut;
		insights_rows_sort(all.v, all.n);
		assert_int_equal(row_merge_new(&r, NULL, 0, &m, &err), 0);
		if (expect_cell(m, 10, cases[i].least, &all, &at) != cases[i].whole)
			fail_msg("%s", cases[i].why);
		(void)expect_cell(m, 20, 0, &all, &at);
		assert_int_equal(at, all.n);
		row_merge_free(m);
		row_runs_done(&r);
	}
}

/* Queries of one piece of time each, of which some were divided or overlap; cells of some pieces.
 */
static void
test_random_cells(void **state)
{
	struct rows *all = malloc(sizeof(*all));
	struct insights_row run[40];
	unsigned whole = 0, merged = 0;

	(void)state;
	assert_non_null(all);
	for (draws = 1; draws < 220000;) {
		struct arena a = ARENA_INIT((size_t)256 << 20);
		struct row_runs r = ROW_RUNS_INIT;
		struct row_merge *m = NULL;
		struct err err;
		size_t at = 0;

		all->n = 0;
		for (uint32_t k = 0; k < 20; k++) {
			uint64_t piece = 20 + draw(20) / 19;
			size_t n = draw(ARRAY_LEN(run));
			int64_t cut = draw(20) ? INT64_MAX : (int64_t)(20 * k + draw(30));

			for (size_t i = 0; i < n; i++) {
				run[i] = random_row(&a, 0);
				run[i].ts_ms = (int64_t)(20 * k + draw(piece));
				if (run[i].ts_ms < cut)
					all->v[all->n++] = run[i];
			}
			assert_int_equal(row_runs_add(&r, run, n, &err), 0);
			if (n)
				row_runs_cut(&r, r.n - 1, cut);
		}
		insights_rows_sort(all->v, all->n);
		assert_int_equal(row_merge_new(&r, NULL, 0, &m, &err), 0);
		for (int64_t end = 60; end <= 460; end += 60)
			*(expect_cell(m, end, 100, all, &at) ? &whole : &merged) += 1;
		assert_int_equal(at, all->n);
		row_merge_free(m);
		row_runs_done(&r);
		arena_done(&a);
	}
	assert_true(whole > 100 && merged > 100);
	free(all);
}

static void
test_cuts_and_counts(void **state)
{
	struct insights_row a[] = {{10, "a\n", 2, 0, true}, {20, "b\n", 2, 0, true}};
	struct insights_row b[] = {{30, "c\n", 2, 1, true}};
	struct row_runs r = ROW_RUNS_INIT;
	struct rows none = {.n = 0};
	struct err err;

	(void)state;
	assert_int_equal(row_runs_add(&r, a, 2, &err), 0);
	assert_int_equal(row_runs_add(&r, b, 1, &err), 0);
	assert_int_equal(row_runs_count(&r, 0, INT64_MIN), 3);
	assert_int_equal(row_runs_count(&r, 0, 20), 3);
	assert_int_equal(row_runs_count(&r, 0, 21), 1);
	assert_int_equal(row_runs_count(&r, 1, INT64_MIN), 1);
	row_runs_cut(&r, 1, 30);
	assert_int_equal(row_runs_count(&r, 0, 21), 0);
	row_runs_cut(&r, 0, INT64_MIN);
	assert_int_equal(r.n, 0);
	expect(&r, NULL, 0, &none);
	row_runs_done(&r);
}

/* What was put away takes no memory until it is read. */
static void
test_put_away(void **state)
{
	static char line[SPOOL_MEMORY / 2];
	struct insights_row rows[] = {{1, line, sizeof(line), 0, true},
				      {2, line, sizeof(line), 0, true},
				      {3, line, sizeof(line), 0, true}};
	struct row_runs r = ROW_RUNS_INIT;
	struct err err;

	(void)state;
	memset(line, 'x', sizeof(line));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(row_runs_add(&r, rows, 3, &err), 0);
		assert_true(r.spool.fd >= 0);
		assert_int_equal(r.spool.tail.cap, 0);
	}
	row_runs_done(&r);
}

/* All runs are open at once, and what of their lines is in memory is less than a tenth of them. */
static void
test_long_lines_of_one_time(void **state)
{
	enum { RUNS = 200, BYTES = 256 << 10 };
	struct row_runs r = ROW_RUNS_INIT;
	struct row_merge *m = NULL;
	struct insights_row row;
	struct err err;
	char *line = malloc(BYTES);
	size_t before, used;

	(void)state;
	assert_non_null(line);
	memset(line, 'x', BYTES);
	for (int i = 0; i < RUNS; i++) {
		struct insights_row one = {1, line, BYTES, 0, true};

		line[BYTES - 1] = (char)(i * 73 % RUNS); /* in no order */
		assert_int_equal(row_runs_add(&r, &one, 1, &err), 0);
	}
	free(line);
	assert_int_equal(row_merge_new(&r, NULL, 0, &m, &err), 0);
	before = mallinfo2().uordblks;
	for (int i = 0; i < RUNS; i++) {
		assert_int_equal(row_merge_next(m, 2, &row, &err), 1);
		assert_int_equal(row.n, BYTES);
		assert_int_equal((unsigned char)row.line[BYTES - 1], i);
		assert_int_equal(row.line[BYTES - 2], 'x');
		used = mallinfo2().uordblks; /* nothing under a sanitizer */
		assert_true(used <= before + (size_t)RUNS * BYTES / 10);
	}
	assert_int_equal(row_merge_next(m, 2, &row, &err), 0);
	row_merge_free(m);
	row_runs_done(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_second_comings), cmocka_unit_test(test_random_runs),
	    cmocka_unit_test(test_whole),	   cmocka_unit_test(test_long_lines_of_one_time),
	    cmocka_unit_test(test_random_cells),   cmocka_unit_test(test_cuts_and_counts),
	    cmocka_unit_test(test_put_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
