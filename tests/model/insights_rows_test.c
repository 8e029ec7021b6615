/* Insights rows as lines: their spelling, their time, their order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/timefmt.h"
#include "model/insights_rows.h"

#define RAW(n, v)                                                                                  \
	{                                                                                          \
		.name = {n, sizeof(n) - 1}, .value = { v, sizeof(v) - 1 }                          \
	}
#define HEAD "\",\"tenant\":\"acme\",\"account_id\":\"1\",\"region\":\"r\",\"job\":\"app\""

static const struct line_origin origin = {"acme", "1", "r", "app"};

static int
line(struct insights_lines l, struct json_raw *fields, size_t n, struct buf *out,
     struct insights_row *row, struct err *err)
{
	struct insights_columns columns = {0};
	struct arena a = ARENA_INIT(65536);
	int r;

	if (!l.columns)
		l.columns = &columns;
	l.common = insights_common(&origin, &a);
	assert_non_null(l.common);
	buf_reset(out);
	r = insights_line(&l, fields, n, out, row, err);
	arena_done(&a);
	return r;
}

static void
test_event(void **state)
{
	struct json_raw fields[] = {
	    RAW("level", "e\\u0000r\\/r\\ud83d\\ude00"),
	    RAW("@message", "a\\n\\\"b\\\" \\u00e9\\u001b"),
	    RAW("@ptr", "P="),
	    RAW("@timestamp", "2026-01-01 00:00:00.007"),
	    RAW("@log", "123:/ecs/app"),
	    RAW("@logStream", "s"),
	    RAW("@ingestionTime", "x"),
	};
	struct buf out = BUF_INIT(65536);
	struct insights_row row = {0};
	struct err err;

	(void)state;
	assert_int_equal(line((struct insights_lines){.events = true}, fields, ARRAY_LEN(fields),
			      &out, &row, &err),
			 0);
	assert_string_equal(buf_cstr(&out),
			    "{\"ts\":\"2026-01-01T00:00:00.007Z" HEAD ",\"log_group\":\"/ecs/app\","
			    "\"log_stream\":\"s\",\"message\":\"a\\n\\\"b\\\" \xC3\xA9\\u001b\","
			    "\"ptr\":\"P=\",\"fields\":{\"@ingestionTime\":\"x\",\"level\":"
			    "\"e\\u0000r/r\xF0\x9F\x98\x80\"}}\n");
	assert_int_equal(row.ts_ms, 1767225600007);
	assert_true(row.pointed);
	buf_done(&out);
}

/* Of two columns of one name the first stands. */
static void
test_column_twice(void **state)
{
	static const char text[] = "a 1 a 2";
	struct json_raw fields[] = {{.name = {text + 4, 1}, .value = {text + 6, 1}},
				    {.name = {text, 1}, .value = {text + 2, 1}}};
	struct buf out = BUF_INIT(65536);
	struct insights_row row = {0};
	struct err err;

	(void)state;
	assert_int_equal(line((struct insights_lines){.ts_ms = 0}, fields, 2, &out, &row, &err), 0);
	assert_non_null(strstr(buf_cstr(&out), "\"fields\":{\"a\":\"1\"}}"));
	buf_done(&out);
}

/* Rows of one result, one after another: what is known of one row's columns is used for the next.
 */
static void
test_columns_from_row_to_row(void **state)
{
	static const struct {
		struct json_raw fields[3];
		size_t n;
		const char *line;
	} rows[] = {
	    {{RAW("b", "1"), RAW("@log", "9:g"), RAW("a", "2")}, 3, "g,{\"a\":\"2\",\"b\":\"1\"}"},
	    {{RAW("b", "3"), RAW("@log", "9:h"), RAW("a", "4")}, 3, "h,{\"a\":\"4\",\"b\":\"3\"}"},
	    {{RAW("a", "5"), RAW("@log", "9:i"), RAW("b", "6")}, 3, "i,{\"a\":\"5\",\"b\":\"6\"}"},
	    {{RAW("b", "7"), RAW("a", "8")}, 2, "null,{\"a\":\"8\",\"b\":\"7\"}"},
	    {{RAW("b", "9"), RAW("c", "0")}, 2, "null,{\"b\":\"9\",\"c\":\"0\"}"},
	    {{RAW("", "")}, 0, "null,{}"},
	    {{RAW("@log", "9:g")}, 1, "g,{}"},
	    {{RAW("b", "1"), RAW("@log", "9:g"), RAW("a", "2")}, 3, "g,{\"a\":\"2\",\"b\":\"1\"}"},
	};
	struct insights_columns columns = {0};
	struct buf out = BUF_INIT(65536), want = BUF_INIT(65536);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *comma = strchr(rows[i].line, ',');
		bool null = *rows[i].line == 'n';
		struct json_raw fields[3];
		struct insights_row row;
		struct err err;

		memcpy(fields, rows[i].fields, sizeof(fields));
		assert_int_equal(line((struct insights_lines){.columns = &columns}, fields,
				      rows[i].n, &out, &row, &err),
				 0);
		buf_reset(&want);
		buf_fmt(&want, "\"log_group\":%s%.*s%s,\"fields\":%s}\n", null ? "" : "\"",
			(int)(comma - rows[i].line), rows[i].line, null ? "" : "\"", comma + 1);
		assert_non_null(strstr(buf_cstr(&out), buf_cstr(&want)));
	}
	buf_done(&out);
	buf_done(&want);
}

/* More columns than are kept in mind. */
static void
test_many_columns(void **state)
{
	static char names[40][4];
	struct insights_columns columns = {0};
	struct buf out = BUF_INIT(65536);
	struct insights_row row;
	struct err err;

	(void)state;
	for (int again = 0; again < 2; again++) {
		struct json_raw fields[40];
		const char *at;

		for (int i = 0; i < 40; i++) {
			(void)snprintf(names[i], sizeof(names[i]), "c%02d", 39 - i);
			fields[i] = (struct json_raw){.name = sv_of(names[i]), .value = SV("v")};
		}
		assert_int_equal(line((struct insights_lines){.columns = &columns}, fields, 40,
				      &out, &row, &err),
				 0);
		at = buf_cstr(&out);
		for (int i = 39; i >= 0 && at; i--)
			at = strstr(at, names[i]);
		assert_non_null(at);
	}
	buf_done(&out);
}

static void
test_event_without_time(void **state)
{
	struct json_raw none[] = {RAW("@message", "x")};
	struct json_raw bad[] = {RAW("@timestamp", "yesterday")};
	struct buf out = BUF_INIT(65536);
	struct insights_row row = {0};
	struct err err;

	(void)state;
	assert_int_equal(line((struct insights_lines){.events = true}, none, 1, &out, &row, &err),
			 -1);
	assert_int_equal(err.kind, ERR_DATA);
	assert_int_equal(line((struct insights_lines){.events = true}, bad, 1, &out, &row, &err),
			 -1);
	assert_string_equal(err.msg, "a row's @timestamp is \"yesterday\"");
	buf_done(&out);
}

static void
test_stats(void **state)
{
	struct json_raw fields[] = {RAW("n", "5"), RAW("bin(5m)", "2026-01-01 00:05:00.000")};
	struct json_raw without[] = {RAW("n", "5")};
	const struct insights_lines l = {
	    .time_column = "bin(5m)", .ts_ms = 1000, .log_group = "/ecs/app"};
	struct buf out = BUF_INIT(65536);
	struct insights_row row = {0};
	struct err err;

	(void)state;
	assert_int_equal(line(l, fields, 2, &out, &row, &err), 0);
	assert_string_equal(buf_cstr(&out),
			    "{\"ts\":\"2026-01-01T00:05:00.000Z" HEAD
			    ",\"log_group\":\"/ecs/app\",\"fields\":{\"bin(5m)\":\"2026-01-01 "
			    "00:05:00.000\",\"n\":\"5\"}}\n");
	assert_false(row.pointed);
	assert_int_equal(line(l, without, 1, &out, &row, &err), 0);
	assert_int_equal(row.ts_ms, 1000);
	assert_int_equal(line((struct insights_lines){.ts_ms = 0}, without, 1, &out, &row, &err),
			 0);
	assert_non_null(strstr(buf_cstr(&out), "\"log_group\":null,\"fields\":{\"n\":\"5\"}}"));
	buf_done(&out);
}

static void
test_times(void **state)
{
	int64_t ms = 0;

	(void)state;
	assert_true(insights_time(SV("2026-01-01 00:00:00.999"), &ms));
	assert_int_equal(ms, 1767225600999);
	assert_false(insights_time(SV(""), &ms));
	assert_false(insights_time(SV("2026-01-01 00:00:00.000Z"), &ms));
	assert_false(insights_time(SV("2026-13-01 00:00:00.000"), &ms));
	assert_false(
	    insights_time(SV("2026-01-01 00:00:00.0000000000000000000000000000000000000000"), &ms));
}

/* Row after row of one answer: what is known of the last one's time must not show. */
static void
test_times_of_rows(void **state)
{
	static const struct {
		const char *is, *in_line; /* NULL: no time */
	} rows[] = {
	    {"2026-01-01 00:00:00.007", "2026-01-01T00:00:00.007Z"},
	    {"2026-01-01 00:00:59.999", "2026-01-01T00:00:59.999Z"},
	    {"2026-01-01 00:00:60.001", "2026-01-01T00:01:00.001Z"},
	    {"2026-01-01 00:00:61.001", NULL},
	    {"2026-01-01 00:00:+1.001", NULL},
	    {"2026-01-01 00:00:01,001", NULL},
	    {"2026-01-01 00:00:01.0 1", NULL},
	    {"2026-01-01 00:00:01.1", "2026-01-01T00:00:01.100Z"},
	    {"2026-01-01 00:00:01", "2026-01-01T00:00:01.000Z"},
	    {"2026-01-01 00:01:02.003", "2026-01-01T00:01:02.003Z"},
	    {"2026-01-01 00:01:60.003", "2026-01-01T00:02:00.003Z"},
	    {"2026-01-01 00:01:03.004", "2026-01-01T00:01:03.004Z"},
	    {"2026-01-01T00:01:04.004", "2026-01-01T00:01:04.004Z"},
	    {"1969-12-31 23:59:58.500", "1969-12-31T23:59:58.500Z"},
	    {"1969-12-31 23:59:59.001", "1969-12-31T23:59:59.001Z"},
	    {"2026-02-30 00:00:00.000", NULL},
	    {"2026-02-30 00:00:00.000", NULL},
	};
	struct insights_columns columns = {0};
	const struct insights_lines l = {.common = "\"", .events = true, .columns = &columns};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct json_raw fields[] = {{.name = SV("@timestamp"), .value = sv_of(rows[i].is)}};
		struct buf out = BUF_INIT(1 << 10);
		struct insights_row row;
		struct err err;
		int64_t ms;
		int rc = insights_line(&l, fields, 1, &out, &row, &err);

		assert_int_equal(rc, rows[i].in_line ? 0 : -1);
		if (!rc) {
			assert_true(
			    sv_starts((struct sv){out.p + 7, out.n - 7}, sv_of(rows[i].in_line)));
			assert_true(time_parse_iso(sv_of(rows[i].in_line), &ms));
			assert_int_equal(row.ts_ms, ms);
		}
		buf_done(&out);
	}
}

static void
test_order(void **state)
{
	struct insights_row rows[] = {
	    {2, "b\n", 2, 1, true},  {1, "z\n", 2, 0, true}, {2, "b\n", 2, 0, true},
	    {2, "bb\n", 3, 2, true}, {2, "a\n", 2, 0, true},
	};

	(void)state;
	insights_rows_sort(rows, ARRAY_LEN(rows));
	assert_string_equal(rows[0].line, "z\n");
	assert_string_equal(rows[1].line, "a\n");
	assert_int_equal(rows[2].source, 0);
	assert_int_equal(rows[3].source, 1);
	assert_string_equal(rows[4].line, "bb\n");
	insights_rows_sort(NULL, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_event),	  cmocka_unit_test(test_columns_from_row_to_row),
	    cmocka_unit_test(test_many_columns),  cmocka_unit_test(test_event_without_time),
	    cmocka_unit_test(test_stats),	  cmocka_unit_test(test_column_twice),
	    cmocka_unit_test(test_times_of_rows), cmocka_unit_test(test_times),
	    cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
