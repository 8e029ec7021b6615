/* Lines below a log, as a terminal shows them: drawn, redrawn, cut to its size, gone again. */
#include "base/live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define LINES	24
#define COLUMNS 80

/* A terminal that knows what is said to it here, and fails on anything else. */
struct screen {
	char at[LINES][COLUMNS + 1];
	size_t row, column;
};

static void
erase_from(struct screen *s, size_t row)
{
	for (; row < LINES; row++)
		s->at[row][0] = '\0';
}

static size_t
escape_sequence(struct screen *s, const char *p)
{
	char *end;
	size_t n;

	assert_int_equal(p[1], '[');
	n = strtoul(p + 2, &end, 10);
	if (*end == 'A') {
		assert_true(n > 0 && n <= s->row);
		s->row -= n;
	} else {
		assert_int_equal(*end, 'J');
		assert_int_equal(s->column, 0);
		erase_from(s, s->row);
	}
	return (size_t)(end - p) + 1;
}

static void
show(struct screen *s, const char *p, size_t n)
{
	for (const char *end = p + n; p < end;) {
		if (*p == '\033') {
			p += escape_sequence(s, p);
			continue;
		}
		if (*p == '\n') {
			s->row++;
			s->column = 0;
		} else if (*p == '\r') {
			s->column = 0;
		} else {
			assert_true(s->row < LINES && s->column < COLUMNS);
			s->at[s->row][s->column++] = *p;
			s->at[s->row][s->column] = '\0';
		}
		p++;
	}
}

static void
draw(struct live *l, struct screen *s, size_t columns, size_t rows)
{
	char text[LIVE_DRAW_MAX];

	show(s, text, live_erase(l, text));
	show(s, text, live_draw(l, columns, rows, text));
}

static void
set(struct live *l, const char *text)
{
	live_set(l, text, strlen(text));
}

static void
test_the_log_goes_above(void **state)
{
	struct live l = {0};
	struct screen s = {0};
	char text[LIVE_DRAW_MAX];

	(void)state;
	set(&l, "one of two\n3 tenants\n");
	draw(&l, &s, COLUMNS, LINES);
	show(&s, text, live_erase(&l, text));
	show(&s, "a line\n", 7);
	draw(&l, &s, COLUMNS, LINES);
	assert_string_equal(s.at[0], "a line");
	assert_string_equal(s.at[1], "one of two");
	assert_string_equal(s.at[2], "3 tenants");
	assert_int_equal(s.row, 3);
	assert_int_equal(s.column, 0);
}

static void
test_fewer_lines_leave_nothing_of_the_others(void **state)
{
	struct live l = {0};
	struct screen s = {0};
	char text[LIVE_DRAW_MAX];

	(void)state;
	set(&l, "long long long\nb\nc\n");
	draw(&l, &s, COLUMNS, LINES);
	set(&l, "short\n");
	draw(&l, &s, COLUMNS, LINES);
	assert_string_equal(s.at[0], "short");
	assert_string_equal(s.at[1], "");
	assert_string_equal(s.at[2], "");
	show(&s, text, live_erase(&l, text));
	assert_string_equal(s.at[0], "");
	assert_int_equal(s.row, 0);
	assert_int_equal(live_erase(&l, text), 0);
}

/* What would wrap, or scroll away, could not be taken back. */
static void
test_it_fits(void **state)
{
	struct live l = {0};
	struct screen s = {0};

	(void)state;
	set(&l, "0123456789\nb\nc\nd\n");
	draw(&l, &s, 6, 3);
	assert_string_equal(s.at[0], "01234");
	assert_string_equal(s.at[1], "b");
	assert_string_equal(s.at[2], "");
	draw(&l, &s, 0, 0);
	assert_string_equal(s.at[0], "0123456789");
	assert_string_equal(s.at[3], "d");
	draw(&l, &s, 1, 1);
	assert_string_equal(s.at[0], "");
	assert_int_equal(s.row, 0);
}

static void
test_hostile_text_is_no_command(void **state)
{
	struct live l = {0};
	struct screen s = {0};

	(void)state;
	set(&l, "a\033[2Jb\rc\x9b"
		"1md\u202e\n");
	draw(&l, &s, COLUMNS, LINES);
	assert_string_equal(s.at[0], "a?[2Jb?c?1md???");
}

static void
test_too_much_is_left_out_as_whole_lines(void **state)
{
	static char text[2 * LIVE_TEXT_MAX];
	struct live l = {0};

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "first\n", 6);
	text[sizeof(text) - 1] = '\n';
	live_set(&l, text, sizeof(text));
	assert_int_equal(l.n, 6);
	live_set(&l, "no end", 6);
	assert_int_equal(l.n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_log_goes_above),
	    cmocka_unit_test(test_fewer_lines_leave_nothing_of_the_others),
	    cmocka_unit_test(test_it_fits),
	    cmocka_unit_test(test_hostile_text_is_no_command),
	    cmocka_unit_test(test_too_much_is_left_out_as_whole_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
