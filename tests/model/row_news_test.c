/*
 * Which rows are new: told by all that makes a row but ptr and what is made of its message, by how
 * many equal ones there are, and against a plain count of random ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "model/row_news.h"
#include "tests/support/effort.h"

#define MOST 4000

static const struct cell cell = {0, 300000};

/* A row as muster writes it. */
static void
add(struct cell_data *d, int64_t ms, const char *rest)
{
	CLEANUP(buf_done) struct buf line = BUF_INIT(1 << 20);
	struct err err;

	buf_fmt(&line, "{\"ts\":\"1970-01-01T00:%02lld:%02lld.%03lldZ\",\"tenant\":\"a\"%s}\n",
		(long long)ms / 60000, (long long)ms / 1000 % 60, (long long)ms % 1000, rest);
	assert_int_equal(cell_lines_add(d, buf_view(&line), &err), 0);
	d->n_lines++;
}

static void
expect_news(const char *const known[], const char *const rows[], const char *const want[])
{
	struct cell_data k, d, late, expected;
	struct err err;

	cell_data_init(&k, cell);
	cell_data_init(&d, cell);
	cell_data_init(&late, cell);
	cell_data_init(&expected, cell);
	for (; *known; known++)
		add(&k, 5, *known);
	for (; *rows; rows++)
		add(&d, 5, *rows);
	for (; *want; want++)
		add(&expected, 5, *want);
	assert_int_equal(row_news(&k, &d, &late, &err), 0);
	assert_int_equal(late.n_lines, expected.n_lines);
	assert_string_equal(buf_cstr(&late.ndjson), buf_cstr(&expected.ndjson));
	cell_data_done(&k);
	cell_data_done(&d);
	cell_data_done(&late);
	cell_data_done(&expected);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NONE	  ((const char *const[]){NULL})
#define M(m, p)                                                                                    \
	",\"log_group\":\"g\",\"log_stream\":\"s\",\"message\":\"" m "\",\"ptr\":\"" p             \
	"\",\"fields\":{}"

static void
test_what_makes_a_row(void **state)
{
	(void)state;
	expect_news(LIST(M("x", "1")), LIST(M("x", "1")), NONE);
	expect_news(LIST(M("x", "1")), LIST(M("x", "1"), M("y", "2")), LIST(M("y", "2")));
	expect_news(NONE, LIST(M("x", "1")), LIST(M("x", "1")));
	expect_news(LIST(M("x", "1")), NONE, NONE);
	/* Its ptr does not. */
	expect_news(LIST(M("x", "1")), LIST(M("x", "9")), NONE);
	/* Nor what the query makes of its message. */
	expect_news(LIST(",\"message\":\"x\",\"fields\":{\"a\":\"1\"}"),
		    LIST(",\"message\":\"x\",\"fields\":{\"a\":\"2\"}"), NONE);
	/* Its group and stream do. */
	expect_news(LIST(",\"log_group\":\"g\",\"log_stream\":\"s\",\"message\":\"x\""),
		    LIST(",\"log_group\":\"g\",\"log_stream\":\"t\",\"message\":\"x\""),
		    LIST(",\"log_group\":\"g\",\"log_stream\":\"t\",\"message\":\"x\""));
	expect_news(LIST(",\"log_group\":\"g\",\"message\":\"x\""),
		    LIST(",\"log_group\":\"h\",\"message\":\"x\""),
		    LIST(",\"log_group\":\"h\",\"message\":\"x\""));
	/* Without a message, all that the query brings. */
	expect_news(LIST(",\"log_group\":\"g\",\"ptr\":\"1\",\"fields\":{\"a\":\"1\"}"),
		    LIST(",\"log_group\":\"g\",\"ptr\":\"2\",\"fields\":{\"a\":\"1\"}",
			 ",\"log_group\":\"g\",\"ptr\":\"3\",\"fields\":{\"a\":\"2\"}"),
		    LIST(",\"log_group\":\"g\",\"ptr\":\"3\",\"fields\":{\"a\":\"2\"}"));
	/* What looks like a column in a message is none. */
	expect_news(LIST(M("\\\",\\\"ptr\\\":\\\"1", "1")), LIST(M("\\\",\\\"ptr\\\":\\\"2", "1")),
		    LIST(M("\\\",\\\"ptr\\\":\\\"2", "1")));
}

static void
test_equal_rows_are_counted(void **state)
{
	(void)state;
	expect_news(LIST(M("x", "1"), M("x", "2")), LIST(M("x", "1"), M("x", "2")), NONE);
	/* The one that is new is told by its ptr, wherever it comes. */
	expect_news(LIST(M("x", "1"), M("x", "3")), LIST(M("x", "1"), M("x", "2"), M("x", "3")),
		    LIST(M("x", "2")));
	expect_news(LIST(M("x", "1")), LIST(M("x", "0"), M("x", "1")), LIST(M("x", "0")));
	/* Where no ptr is as it was, by their number. */
	expect_news(LIST(M("x", "1"), M("x", "2")), LIST(M("x", "7"), M("x", "8"), M("x", "9")),
		    LIST(M("x", "9")));
	expect_news(LIST(M("x", "1"), M("x", "2")), LIST(M("x", "3")), NONE);
}

static void
test_late_objects_are_known(void **state)
{
	struct cell_data k, d, late;
	struct err err;

	(void)state;
	cell_data_init(&k, cell);
	cell_data_init(&d, cell);
	cell_data_init(&late, cell);
	k.later = calloc(1, sizeof(*k.later));
	assert_non_null(k.later);
	cell_data_init(k.later, cell);
	add(&k, 1, M("x", "1"));
	add(k.later, 1, M("x", "2"));
	add(k.later, 3, M("y", "3"));
	add(&d, 1, M("x", "1"));
	add(&d, 1, M("x", "2"));
	add(&d, 2, M("y", "4"));
	add(&d, 3, M("y", "3"));
	assert_int_equal(row_news(&k, &d, &late, &err), 0);
	assert_int_equal(late.n_lines, 1);
	assert_non_null(strstr(buf_cstr(&late.ndjson), "\"ptr\":\"4\""));
	cell_data_done(&k);
	cell_data_done(&d);
	cell_data_done(&late);
}

static void
expect_fault(const char *known, const char *rows, const char *want)
{
	struct cell_data k, d, late;
	struct err err = {0};

	cell_data_init(&k, cell);
	cell_data_init(&d, cell);
	cell_data_init(&late, cell);
	buf_str(&k.ndjson, known);
	buf_str(&d.ndjson, rows);
	assert_int_equal(row_news(&k, &d, &late, &err), -1);
	assert_int_equal(err.kind, ERR_DATA);
	assert_non_null(strstr(err.msg, want));
	cell_data_done(&k);
	cell_data_done(&d);
	cell_data_done(&late);
}

#define ROW(time, rest) "{\"ts\":\"1970-01-01T00:00:0" time ".000Z\"" rest "\n"

static void
test_what_is_no_row(void **state)
{
	(void)state;
	expect_fault("", ROW("2", "}") ROW("1", "}"), "not in order of time");
	expect_fault(ROW("2", "}") ROW("1", "}"), ROW("3", "}"), "not in order of time");
	expect_fault("", "{\"ts\":\"1970\"}\n", "without its time");
	expect_fault("", "{}\n", "without its time");
	expect_fault("", ROW("1", ",}"), "no row");
	expect_fault("", ROW("1", ",\"a\":\"b"), "no row");
	expect_fault("", "{\"ts\":\"1970-01-01T00:00:01.000Z\"}", "no end");
	expect_fault(ROW("1", ",\"a\""), ROW("1", "}"), "what is frozen");
}

/* Random */

struct event {
	int64_t ms;
	int text, id;
	bool known;
};

static int
cmp_events(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	if (x->ms != y->ms)
		return x->ms < y->ms ? -1 : 1;
	return x->text != y->text ? x->text - y->text : x->id - y->id;
}

static void
add_event(struct cell_data *d, const struct event *e, int pad)
{
	CLEANUP(buf_done) struct buf rest = BUF_INIT(1 << 20);

	buf_fmt(&rest, ",\"log_group\":\"g\",\"message\":\"m%d", e->text);
	for (int i = 0; i < pad; i++)
		buf_ch(&rest, 'p');
	buf_fmt(&rest, "\",\"ptr\":\"%06d\",\"fields\":{}", e->id);
	add(d, e->ms, buf_cstr(&rest));
}

/* In memory or, where they are long, in a spool. */
static void
one_world(uint64_t seed, int pad)
{
	static struct event v[MOST];
	size_t n = mix64(seed) % (pad ? MOST : 60);
	struct cell_data k, d, late, want;
	struct err err;

	cell_data_init(&k, cell);
	cell_data_init(&d, cell);
	cell_data_init(&late, cell);
	cell_data_init(&want, cell);
	for (size_t i = 0; i < n; i++) {
		uint64_t r = mix64(seed * 1000003 + i);

		v[i] = (struct event){(int64_t)(r % 40), (int)(r >> 16) % 3, (int)i, (r >> 40) % 4};
	}
	qsort(v, n, sizeof(*v), cmp_events);
	for (size_t i = 0; i < n; i++) {
		if (v[i].known)
			add_event(&k, &v[i], pad);
		else
			add_event(&want, &v[i], pad);
		add_event(&d, &v[i], pad);
	}
	if (row_news(&k, &d, &late, &err))
		fail_msg("seed %llu: %s", (unsigned long long)seed, err.msg);
	assert_int_equal(late.n_lines, want.n_lines);
	assert_int_equal(cell_lines_load(&late, &err), 0);
	assert_int_equal(cell_lines_load(&want, &err), 0);
	assert_string_equal(buf_cstr(&late.ndjson), buf_cstr(&want.ndjson));
	cell_data_done(&k);
	cell_data_done(&d);
	cell_data_done(&late);
	cell_data_done(&want);
}

static void
test_random_rows(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < effort(400); seed++)
		one_world(seed, 0);
	for (uint64_t seed = 0; seed < 3; seed++)
		one_world(seed, 3000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_makes_a_row),
	    cmocka_unit_test(test_equal_rows_are_counted),
	    cmocka_unit_test(test_late_objects_are_known),
	    cmocka_unit_test(test_what_is_no_row),
	    cmocka_unit_test(test_random_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
