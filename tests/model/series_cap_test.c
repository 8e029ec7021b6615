/* Fair shares of a bounded number of series. */
#include "model/series_cap.h"

#include <math.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

struct world {
	struct series series[512];
	struct label labels[512];
	char values[512][16];
	struct sample_row rows[512];
	struct cell_data d;
};

static const double point[] = {1, NAN, 3};

static void
add(struct world *w, const char *name, unsigned id)
{
	size_t i = w->d.n_rows++;

	(void)snprintf(w->values[i], sizeof(w->values[i]), "%u", id);
	w->labels[i] = (struct label){"request", w->values[i]};
	w->series[i] = (struct series){
	    .name = name, .labels = &w->labels[i], .n_labels = 1, .period_ms = 60000};
	w->rows[i] = (struct sample_row){.series = &w->series[i], .values = point, .n = 3};
	w->d.rows = w->rows;
	w->d.n_samples += 2;
}

static size_t
of_name(const struct cell_data *d, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n_rows; i++)
		n += !strcmp(d->rows[i].series->name, name);
	return n;
}

static bool
has(const struct cell_data *d, const char *name, const char *id)
{
	for (size_t i = 0; i < d->n_rows; i++)
		if (!strcmp(d->rows[i].series->name, name) &&
		    !strcmp(d->rows[i].series->labels[0].value, id))
			return true;
	return false;
}

/* What stays of `d` where `whole` has the say. */
static void
take(const struct cell_data *whole, const struct cell_data *d, size_t max, struct cell_data *to,
     size_t *over)
{
	struct series_cap cap;
	struct err err = {0};

	cell_data_init(to, d->cell);
	assert_int_equal(series_cap_choose(&cap, whole, max, &err), 0);
	*over = cap.over;
	assert_int_equal(series_cap_take(&cap, d, to, &err), 0);
	series_cap_done(&cap);
}

static void
world_init(struct world *w)
{
	const struct cell hour = {0, 3600000};

	memset(w, 0, sizeof(*w));
	cell_data_init(&w->d, hour);
}

static void
test_within(void **state)
{
	static struct world w;
	struct cell_data to;
	size_t over;

	(void)state;
	world_init(&w);
	for (unsigned i = 0; i < 10; i++)
		add(&w, "up", i);
	for (int max = 0; max <= 11; max += max ? 1 : 10) {
		take(&w.d, &w.d, (size_t)max, &to, &over);
		assert_int_equal(to.n_rows, 10);
		assert_int_equal(to.n_samples, 20);
		assert_int_equal(over, 0);
		cell_data_done(&to);
	}
}

/* Who has many loses, who has few nothing; what is left is all used. */
static void
test_names_share(void **state)
{
	static struct world w;
	struct cell_data to;
	size_t over;

	(void)state;
	world_init(&w);
	for (unsigned i = 0; i < 300; i++)
		add(&w, "bomb", i);
	for (unsigned i = 0; i < 20; i++)
		add(&w, "cpu", i);
	for (unsigned i = 0; i < 60; i++)
		add(&w, "mem", i);
	take(&w.d, &w.d, 101, &to, &over);
	assert_int_equal(to.n_rows, 101);
	assert_int_equal(to.n_samples, 202);
	assert_int_equal(over, 279);
	assert_int_equal(of_name(&to, "cpu"), 20);
	assert_int_equal(of_name(&to, "bomb") + of_name(&to, "mem"), 81);
	assert_in_range(of_name(&to, "bomb"), 40, 41);
	for (size_t i = 1; i < to.n_rows; i++)
		assert_true(series_cmp(to.rows[i - 1].series, to.rows[i].series) != 0);
	cell_data_done(&to);
}

/* Fewer than names: still exactly so many. */
static void
test_more_names_than_room(void **state)
{
	static struct world w;
	static char names[100][16];
	struct cell_data to;
	size_t over;

	(void)state;
	world_init(&w);
	for (unsigned i = 0; i < 100; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "m%u", i);
		add(&w, names[i], 1);
		add(&w, names[i], 2);
	}
	take(&w.d, &w.d, 30, &to, &over);
	assert_int_equal(to.n_rows, 30);
	assert_int_equal(over, 170);
	for (unsigned i = 0; i < 100; i++)
		assert_in_range(of_name(&to, names[i]), 0, 1);
	cell_data_done(&to);
}

static void
reverse(struct world *w)
{
	for (size_t i = 0, j = w->d.n_rows - 1; i < j; i++, j--) {
		struct sample_row row = w->rows[i];

		w->rows[i] = w->rows[j];
		w->rows[j] = row;
	}
}

/* The same ones whatever the order; one more series puts out one at most. */
static void
test_the_same_ones_stay(void **state)
{
	static struct world w;
	struct cell_data first, other;
	size_t over, gone = 0;

	(void)state;
	world_init(&w);
	for (unsigned i = 0; i < 200; i++)
		add(&w, "bomb", i);
	take(&w.d, &w.d, 50, &first, &over);
	reverse(&w);
	take(&w.d, &w.d, 50, &other, &over);
	for (size_t i = 0; i < first.n_rows; i++)
		assert_true(has(&other, "bomb", first.rows[i].series->labels[0].value));
	cell_data_done(&other);
	for (unsigned i = 200; i < 210; i++) {
		add(&w, "bomb", i);
		take(&w.d, &w.d, 50, &other, &over);
		gone = 0;
		for (size_t k = 0; k < first.n_rows; k++)
			gone += !has(&other, "bomb", first.rows[k].series->labels[0].value);
		cell_data_done(&other);
		assert_in_range(gone, 0, i - 199);
	}
	cell_data_done(&first);
}

/* A late object has few series: those that the whole cell had no room for stay out all the same. */
static void
test_late_ones_have_no_room_of_their_own(void **state)
{
	static struct world w, late;
	struct cell_data base, to;
	size_t over, sent = 0;

	(void)state;
	world_init(&w);
	world_init(&late);
	for (unsigned i = 0; i < 200; i++)
		add(&w, "bomb", i);
	for (unsigned i = 0; i < 40; i++)
		add(&late, "bomb", i);
	w.d.later = &late.d;
	take(&w.d, &w.d, 100, &base, &over);
	assert_int_equal(over, 100); /* those of the late object are none more */
	take(&w.d, &late.d, 100, &to, &over);
	for (size_t i = 0; i < to.n_rows; i++)
		assert_true(has(&base, "bomb", to.rows[i].series->labels[0].value));
	for (size_t i = 0; i < late.d.n_rows; i++)
		sent += has(&base, "bomb", late.rows[i].series->labels[0].value);
	assert_int_equal(to.n_rows, sent);
	assert_in_range(sent, 1, 39);
	cell_data_done(&base);
	cell_data_done(&to);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_within),
	    cmocka_unit_test(test_names_share),
	    cmocka_unit_test(test_more_names_than_room),
	    cmocka_unit_test(test_the_same_ones_stay),
	    cmocka_unit_test(test_late_ones_have_no_room_of_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
