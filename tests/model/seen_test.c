/*
 * Marks: what is news and what is not, that they come back as they were stored, that damage is as
 * good as nothing, and how a cell and its late objects become one.
 */
#include "model/seen.h"

#include <math.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/cleanup.h"

#define T0  1767225600000LL
#define MIN 60000LL
#define CELL                                                                                       \
	(struct cell)                                                                              \
	{                                                                                          \
		T0, T0 + 5 * MIN                                                                   \
	}

static const struct label labels_a[] = {{"service", "a"}};
static const struct label labels_b[] = {{"service", "b"}};
static const struct series series_a = {
    .name = "m", .labels = labels_a, .n_labels = 1, .stat = "Average", .period_ms = MIN};
static const struct series series_b = {
    .name = "m", .labels = labels_b, .n_labels = 1, .stat = "Average", .period_ms = MIN};

#define NONE NAN

/* A cell of the two series; a NULL has no row. */
static void
fill(struct cell_data *d, const double *a, const double *b)
{
	cell_data_init(d, CELL);
	d->rows = arena_array(&d->arena, 2, sizeof(*d->rows));
	assert_non_null(d->rows);
	if (a)
		d->rows[d->n_rows++] = (struct sample_row){&series_a, T0, a, 5, NULL};
	if (b)
		d->rows[d->n_rows++] = (struct sample_row){&series_b, T0, b, 5, NULL};
	for (size_t r = 0; r < d->n_rows; r++)
		for (size_t i = 0; i < 5; i++)
			d->n_samples += isfinite(d->rows[r].values[i]) != 0;
}

static void
mark(struct seen *s, const double *a, const double *b)
{
	struct cell_data d;
	struct err err;
	struct seen_cell *c = seen_put(s, T0, &err);

	assert_non_null(c);
	fill(&d, a, b);
	assert_int_equal(seen_mark(s, c, &d, &err), 0);
	cell_data_done(&d);
}

/* What of these is news, as "series:slot=value" in order. */
static const char *
news(const struct seen *s, const double *a, const double *b, struct seen_news *n)
{
	static char text[512];
	struct cell_data d, late;
	struct err err;

	fill(&d, a, b);
	cell_data_init(&late, CELL);
	assert_int_equal(seen_news(s, seen_find(s, T0), &d, &late, n, &err), 0);
	text[0] = '\0';
	for (size_t r = 0; r < late.n_rows; r++)
		for (size_t i = 0; i < late.rows[r].n; i++)
			if (isfinite(late.rows[r].values[i]))
				(void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
					       "%s:%zu=%g ", late.rows[r].series->labels[0].value,
					       i, late.rows[r].values[i]);
	assert_int_equal(late.n_samples, n->late + n->revised);
	cell_data_done(&late);
	cell_data_done(&d);
	return text;
}

static const double first_a[] = {1, NONE, 3, NONE, 5}, first_b[] = {NONE, 2, NONE, NONE, NONE};
static const double later_a[] = {1, 2, 3, NONE, 6};

static void
late_points_and_revised_values_are_news(void **state)
{
	struct seen_news n;
	struct seen s;

	(void)state;
	seen_init(&s, "def");
	mark(&s, first_a, NULL);
	assert_string_equal(news(&s, first_a, NULL, &n), "");
	assert_string_equal(news(&s, later_a, first_b, &n), "a:1=2 a:4=6 b:1=2 ");
	assert_int_equal(n.late, 2);
	assert_int_equal(n.revised, 1);
	mark(&s, later_a, first_b);
	assert_string_equal(news(&s, later_a, first_b, &n), "");
	/* What was known and is not there any more is not forgotten. */
	assert_string_equal(news(&s, NULL, NULL, &n), "");
	assert_string_equal(news(&s, first_a, first_b, &n), "a:4=5 ");
	seen_done(&s);
}

static void
a_cell_without_any_series_is_known_too(void **state)
{
	struct seen_news n;
	struct seen s;

	(void)state;
	seen_init(&s, "def");
	mark(&s, NULL, NULL);
	assert_int_equal(s.n, 1);
	assert_string_equal(news(&s, first_a, NULL, &n), "a:0=1 a:2=3 a:4=5 ");
	assert_int_equal(n.late, 3);
	seen_done(&s);
}

/* Zero of either sign, the smallest and the largest: no value looks like no point, none like its
 * neighbour. */
static void
every_value_leaves_a_mark(void **state)
{
	static const double values[] = {0, -0.0, 5e-324, 1.7976931348623157e308, -1};
	struct seen_news n;
	struct seen s;

	(void)state;
	seen_init(&s, "def");
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		double here[5] = {NONE, NONE, NONE, NONE, NONE};
		double next[5] = {NONE, NONE, NONE, NONE, NONE};

		here[3] = values[i];
		next[3] = nextafter(values[i], 10);
		mark(&s, here, NULL);
		assert_string_equal(news(&s, here, NULL, &n), "");
		(void)news(&s, next, NULL, &n);
		assert_int_equal(n.revised, 1);
	}
	seen_done(&s);
}

static void
the_newest_of_a_series_and_of_all(void **state)
{
	const struct seen_cell *c;
	struct seen s;
	int64_t ms = 0;

	(void)state;
	seen_init(&s, "def");
	mark(&s, first_a, first_b);
	c = seen_find(&s, T0);
	assert_true(seen_newest(&s, c, seen_key(&series_b), 5 * MIN, &ms));
	assert_int_equal(ms, T0 + MIN);
	assert_true(seen_head(&s, c, 5 * MIN, &ms));
	assert_int_equal(ms, T0 + 4 * MIN);
	assert_false(seen_newest(&s, c, 12345, 5 * MIN, &ms));
	seen_done(&s);
}

/* Storing */

static void
sample(struct seen *s)
{
	struct err err;
	struct seen_cell *c;

	seen_init(s, "def");
	mark(s, first_a, first_b);
	seen_find(s, T0)->late = 3;
	assert_int_equal(seen_owe(seen_find(s, T0), "prom", 1, &err), 0);
	assert_int_equal(seen_owe(seen_find(s, T0), "amp", 2, &err), 0);
	assert_int_equal(seen_owe(seen_find(s, T0), "prom", 2, &err), 0); /* stays 1 */
	c = seen_put(s, T0 - 5 * MIN, &err);
	assert_non_null(c);
	c->foreign = true;
	s->newest_ms = T0;
	s->newest_series = 2;
}

static void
stored_and_read_again(void **state)
{
	CLEANUP(json_decrefp) json_t *j = NULL;
	CLEANUP(json_decrefp) json_t *again = NULL;
	struct seen_news n;
	struct seen s, t;

	(void)state;
	sample(&s);
	j = seen_save(&s);
	assert_non_null(j);
	assert_true(seen_load(&t, j, "def"));
	again = seen_save(&t);
	assert_true(json_equal(j, again));
	assert_string_equal(news(&t, later_a, first_b, &n), "a:1=2 a:4=6 ");
	assert_int_equal(seen_find(&t, T0)->late, 3);
	assert_int_equal(seen_owes(seen_find(&t, T0), "prom")->sent, 1);
	assert_int_equal(seen_owes(seen_find(&t, T0), "amp")->sent, 2);
	seen_paid(seen_find(&t, T0), "amp");
	assert_null(seen_owes(seen_find(&t, T0), "amp"));
	assert_non_null(seen_owes(seen_find(&t, T0), "prom"));
	assert_true(seen_find(&t, T0 - 5 * MIN)->foreign);
	assert_int_equal(t.newest_series, 2);
	/* The order of runs' work leaves no trace: series are sorted, cells too. */
	seen_done(&t);
	assert_false(seen_load(&t, j, "another definition"));
	assert_int_equal(t.n, 0);
	assert_int_equal(t.newest_ms, INT64_MIN);
	seen_done(&t);
	seen_done(&s);
}

/* What is left of marks for which there is no room. */
static void
marks_can_be_left_out(void **state)
{
	json_t *j, *none = json_object();
	struct seen s, t;

	(void)state;
	sample(&s);
	j = seen_save(&s);
	assert_true(seen_shed(&j));
	assert_true(seen_load(&t, j, "def"));
	assert_int_equal(t.n, s.n);
	for (size_t i = 0; i < t.n; i++) {
		assert_int_equal(t.cells[i].start_ms, s.cells[i].start_ms);
		assert_int_equal(t.cells[i].late, s.cells[i].late);
		assert_int_equal(t.cells[i].n, 0);
		assert_int_equal(t.cells[i].n_owed, s.cells[i].n_owed);
		assert_int_equal(t.cells[i].foreign, s.cells[i].foreign);
		assert_int_equal(t.cells[i].unread, s.cells[i].n != 0);
	}
	assert_int_equal(seen_owes(seen_find(&t, T0), "amp")->sent, 2);
	assert_int_equal(t.newest_ms, s.newest_ms);
	assert_int_equal(t.newest_series, s.newest_series);
	/* There is no more to be had, and nothing of what is none. */
	assert_false(seen_shed(&j));
	assert_false(seen_shed(&none));
	json_decref(none);
	json_decref(j);
	seen_done(&t);
	seen_done(&s);
}

/* Whatever one member is replaced by: nothing is believed, nothing is left over. */
static void
what_we_did_not_write_is_nothing(void **state)
{
	static const char *const top[] = {"version", "definition", "slots",	   "series",
					  "cells",   "newest_ms",  "newest_series"};
	static const char *const cell[] = {"start_ms", "late", "foreign", "owed", "marks"};
	struct seen s, t;

	(void)state;
	sample(&s);
	for (size_t i = 0; i < ARRAY_LEN(top) + ARRAY_LEN(cell); i++) {
		CLEANUP(json_decrefp) json_t *j = seen_save(&s);
		json_t *o = i < ARRAY_LEN(top) ? j : json_array_get(json_object_get(j, "cells"), 1);
		const char *key = i < ARRAY_LEN(top) ? top[i] : cell[i - ARRAY_LEN(top)];

		assert_int_equal(json_object_set_new(o, key, json_string("AAA")), 0);
		if (seen_load(&t, j, "def"))
			fail_msg("%s was believed", key);
		assert_int_equal(t.n, 0);
		seen_done(&t);
		assert_int_equal(json_object_set_new(o, key, json_integer(-7)), 0);
		if (seen_load(&t, j, "def"))
			fail_msg("-7 for %s was believed", key);
		seen_done(&t);
		/* A time of which there is none behind it. */
		assert_int_equal(json_object_set_new(o, key, json_integer(INT64_MAX)), 0);
		if (seen_load(&t, j, "def") && strcmp(key, "newest_series") != 0)
			fail_msg("the largest number for %s was believed", key);
		seen_done(&t);
	}
	assert_false(seen_load(&t, NULL, "def"));
	seen_done(&t);
	seen_done(&s);
}

static void
there_is_a_limit_to_what_is_remembered(void **state)
{
	static const double values[5] = {1, 2, 3, 4, 5};
	struct cell_data d;
	struct seen_cell *c;
	struct seen s;
	struct err err;
	size_t cells = 0;
	size_t n = 50000;
	struct series *many = calloc(n, sizeof(*many));
	struct label *labels = calloc(n, sizeof(*labels));
	char(*names)[16] = calloc(n, sizeof(*names));

	(void)state;
	assert_true(many && labels && names);
	cell_data_init(&d, CELL);
	d.rows = arena_array(&d.arena, n, sizeof(*d.rows));
	assert_non_null(d.rows);
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "s%zu", i);
		labels[i] = (struct label){"service", names[i]};
		many[i] = (struct series){
		    .name = "m", .labels = &labels[i], .n_labels = 1, .period_ms = MIN};
		d.rows[d.n_rows++] = (struct sample_row){&many[i], T0, values, 5, NULL};
	}
	seen_init(&s, "def");
	s.newest_series = n;
	do {
		assert_int_equal(seen_has_room(&s), cells < SEEN_MARKS_MAX / (5 * n));
		c = seen_put(&s, T0 + (int64_t)cells * 5 * MIN, &err);
		assert_non_null(c);
		d.cell.start_ms = c->start_ms;
		d.cell.end_ms = c->start_ms + 5 * MIN;
		for (size_t i = 0; i < n; i++)
			d.rows[i].first_ms = c->start_ms;
	} while (!seen_mark(&s, c, &d, &err) && ++cells < 100);
	assert_int_equal(cells, SEEN_MARKS_MAX / (5 * n));
	assert_int_equal(err.kind, ERR_LOCAL);
	seen_drop(&s, 0);
	assert_int_equal(seen_mark(&s, seen_find(&s, d.cell.start_ms), &d, &err), 0);
	seen_done(&s);
	cell_data_done(&d);
	free(names);
	free(labels);
	free(many);
}

/* Cells of the same series and of others, next to each other. */
static void
cells_beside_one_another_keep_apart(void **state)
{
	static const double one[] = {1, 2, 3, 4, 5}, two[] = {6, 7, 8, 9, 10};
	static const struct {
		const double *a, *b;
	} cells[] = {{one, two},   {two, one},	{NULL, one}, {one, NULL}, {one, one},
		     {NULL, NULL}, {one, NULL}, {one, two},  {one, NULL}};
	struct seen s;

	(void)state;
	seen_init(&s, "def");
	for (size_t i = 0; i < ARRAY_LEN(cells); i++) {
		int64_t start_ms = T0 + (int64_t)i * 5 * MIN;
		struct seen_cell *c = seen_put(&s, start_ms, NULL);
		struct cell_data d;

		assert_non_null(c);
		fill(&d, cells[i].a, cells[i].b);
		d.cell = (struct cell){start_ms, start_ms + 5 * MIN};
		for (size_t r = 0; r < d.n_rows; r++)
			d.rows[r].first_ms = start_ms;
		/* Again: as with late points of what is marked already. */
		for (int times = 0; times < 2; times++) {
			assert_int_equal(seen_mark(&s, c, &d, NULL), 0);
			assert_int_equal(c->n, d.n_rows);
		}
		cell_data_done(&d);
	}
	for (int loaded = 0; loaded < 2; loaded++) {
		json_t *j = seen_save(&s);

		assert_non_null(j);
		for (size_t i = 0; i < ARRAY_LEN(cells); i++) {
			const struct seen_cell *c = &s.cells[i];
			int64_t ms;

			assert_int_equal(c->n, (cells[i].a != NULL) + (cells[i].b != NULL));
			assert_true(seen_newest(&s, c, seen_key(&series_a), 5 * MIN, &ms) ==
				    (cells[i].a != NULL));
			assert_true(seen_newest(&s, c, seen_key(&series_b), 5 * MIN, &ms) ==
				    (cells[i].b != NULL));
		}
		seen_done(&s);
		assert_true(seen_load(&s, j, "def"));
		json_decref(j);
	}
	seen_done(&s);
}

static void
a_key_made_beforehand_is_the_same(void **state)
{
	struct series s = series_a;

	(void)state;
	seen_key_make(&s);
	assert_true(s.key && s.key == seen_key(&series_a) && seen_key(&s) == s.key);
	s.labels = labels_b;
	seen_key_make(&s);
	assert_true(seen_key(&s) == seen_key(&series_b));
}

/* A cell and its late objects */

static void
merged_points_keep_what_came_first(void **state)
{
	static const double late_1[] = {9, 2, NONE, NONE, NONE};
	static const double late_2[] = {NONE, 8, NONE, 4, NONE};
	struct cell_data d;
	struct err err;

	(void)state;
	fill(&d, first_a, NULL);
	d.later = calloc(1, sizeof(*d.later));
	assert_non_null(d.later);
	fill(d.later, late_1, first_b);
	d.later->later = calloc(1, sizeof(*d.later));
	assert_non_null(d.later->later);
	fill(d.later->later, late_2, NULL);
	assert_int_equal(cell_data_merge(&d, &err), 0);
	assert_int_equal(d.n_rows, 2);
	for (size_t i = 0; i < 5; i++)
		assert_true(d.rows[0].values[i] == (double)i + 1);
	assert_ptr_equal(d.rows[1].series, &series_b);
	assert_int_equal(d.n_samples, 6);
	cell_data_done(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(late_points_and_revised_values_are_news),
	    cmocka_unit_test(a_cell_without_any_series_is_known_too),
	    cmocka_unit_test(every_value_leaves_a_mark),
	    cmocka_unit_test(the_newest_of_a_series_and_of_all),
	    cmocka_unit_test(stored_and_read_again),
	    cmocka_unit_test(marks_can_be_left_out),
	    cmocka_unit_test(what_we_did_not_write_is_nothing),
	    cmocka_unit_test(cells_beside_one_another_keep_apart),
	    cmocka_unit_test(a_key_made_beforehand_is_the_same),
	    cmocka_unit_test(there_is_a_limit_to_what_is_remembered),
	    cmocka_unit_test(merged_points_keep_what_came_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
