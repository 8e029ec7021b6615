/*
 * Rows in runs and merged, against the same rows sorted in memory.
 */
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
		assert_int_equal(row_merge_next(m, &row, &err), 1);
		if (i % 7 == 3) { /* as if it belonged to the next cell */
			row_merge_back(m);
			assert_int_equal(row_merge_next(m, &row, &err), 1);
		}
		assert_int_equal(row.ts_ms, want->v[i].ts_ms);
		assert_int_equal(row.n, want->v[i].n);
		assert_memory_equal(row.line, want->v[i].line, row.n);
	}
	assert_int_equal(row_merge_next(m, &row, &err), 0);
	assert_int_equal(row_merge_next(m, &row, &err), 0);
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
		assert_int_equal(row_merge_next(m, &row, &err), 1);
		assert_memory_equal(row.line, want[i], row.n);
	}
	assert_int_equal(row_merge_next(m, &row, &err), 0);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_second_comings),
	    cmocka_unit_test(test_random_runs),
	    cmocka_unit_test(test_cuts_and_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
