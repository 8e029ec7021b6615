/* JSON: what is refused and where, typed getters, escaping, and texts that never change for the
 * same tree. */
#include "fmt/json.h"

#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/utf8.h"

static json_t *
parse(const char *text)
{
	json_t *j = NULL;
	struct err err;

	assert_int_equal(json_parse(sv_of(text), "doc", &j, &err), 0);
	return j;
}

static void
check_bad(struct sv text, const char *msg)
{
	json_t *j = NULL;
	struct err err;

	assert_int_equal(json_parse(text, "doc", &j, &err), -1);
	assert_null(j);
	assert_int_equal(err.kind, ERR_DATA);
	assert_string_equal(err.msg, msg);
}

static void
test_parse(void **state)
{
	static const char *const good[] = {
	    "{}",
	    "[]",
	    "null",
	    "true",
	    "5",
	    "-1.5e3",
	    "\"x\"",
	    " [1, 2] \n",
	    "\"\\u0000\"",
	    "\"\xC3\xBC\"",
	    "9223372036854775807",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		CLEANUP(json_decrefp) json_t *j = parse(good[i]);

		assert_non_null(j);
	}
}

static void
test_parse_bad(void **state)
{
	(void)state;
	check_bad(SV(""), "doc: line 1, column 0: the text ends too early");
	check_bad(SV("[1,"), "doc: line 1, column 3: the text ends too early");
	check_bad(SV("[1] 2"), "doc: line 1, column 5: unexpected text behind the value");
	check_bad(SV("{\"a\":1,\n\"a\":2}"), "doc: line 2, column 3: duplicate key");
	check_bad(SV("\"\xFF\""), "doc: line 1, column 1: invalid UTF-8");
	check_bad(SV("\"\xED\xA0\x80\""), "doc: line 1, column 1: invalid UTF-8");
	check_bad(SV("1e999"), "doc: line 1, column 5: number out of range");
	check_bad(SV("9223372036854775808"), "doc: line 1, column 19: number out of range");
	check_bad(SV("{\"a\\u0000b\":1}"), "doc: line 1, column 11: NUL in a key");
	check_bad(SV("[01]"), "doc: line 1, column 2: invalid syntax");
	check_bad(SV("[1,]"), "doc: line 1, column 4: invalid syntax");
	check_bad(SV("[NaN]"), "doc: line 1, column 4: invalid syntax");
	check_bad(SV("{a:1}"), "doc: line 1, column 2: invalid syntax");
	check_bad(SV("// x\n1"), "doc: line 1, column 1: invalid syntax");
	check_bad(SV("\"a\nb\""), "doc: line 1, column 2: invalid syntax");
	check_bad(SV("\"\\ud800\""), "doc: line 1, column 8: invalid syntax");
	check_bad(SV("[1]\0"), "doc: line 1, column 4: unexpected text behind the value");
}

/* What stands beside the error may be a password. */
static void
test_no_quoting(void **state)
{
	struct err err;
	json_t *j;

	(void)state;
	assert_int_equal(json_parse(SV("{\"secret\":\"hunter2\" \"x\"}"), "doc", &j, &err), -1);
	assert_null(strstr(err.msg, "hunter2"));
	assert_int_equal(json_parse(SV("{\"hunter2\":1,\"hunter2\":2}"), "doc", &j, &err), -1);
	assert_null(strstr(err.msg, "hunter2"));
}

static void
nest(struct buf *b, size_t depth)
{
	buf_reset(b);
	for (size_t i = 0; i < depth; i++)
		buf_str(b, "[");
	for (size_t i = 0; i < depth; i++)
		buf_str(b, "]");
}

static void
test_depth(void **state)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT((size_t)1 << 20);
	CLEANUP(json_decrefp) json_t *j = NULL, *strings = NULL;

	(void)state;
	nest(&b, 64);
	assert_int_equal(json_parse(buf_view(&b), "doc", &j, NULL), 0);
	nest(&b, 65);
	check_bad(buf_view(&b), "doc: line 1, column 65: nested deeper than 64 levels");
	nest(&b, 300000);
	check_bad(buf_view(&b), "doc: line 1, column 65: nested deeper than 64 levels");
	/* Brackets in strings do not count, also behind an escaped quote. */
	buf_reset(&b);
	buf_str(&b, "[\"\\\"");
	for (size_t i = 0; i < 100; i++)
		buf_str(&b, "[{");
	buf_str(&b, "\\\\\"]");
	assert_int_equal(json_parse(buf_view(&b), "doc", &strings, NULL), 0);
}

static void
test_getters(void **state)
{
	CLEANUP(json_decrefp)
	json_t *j = parse("{\"s\":\"x\",\"i\":-5,\"r\":1.5,\"b\":true,\"o\":{},\"a\":[1]}");
	const char *s = NULL;
	int64_t i = 0;
	double d = 0;
	bool b = false;
	json_t *o = NULL;
	struct err err;

	(void)state;
	assert_int_equal(json_get_str(j, "", "s", true, &s, &err), 0);
	assert_string_equal(s, "x");
	assert_int_equal(json_get_i64(j, "", "i", true, &i, &err), 0);
	assert_int_equal(i, -5);
	assert_int_equal(json_get_num(j, "", "r", true, &d, &err), 0);
	assert_true(d == 1.5);
	assert_int_equal(json_get_num(j, "", "i", true, &d, &err), 0);
	assert_true(d == -5);
	assert_int_equal(json_get_bool(j, "", "b", true, &b, &err), 0);
	assert_true(b);
	assert_int_equal(json_get_obj(j, "", "o", true, &o, &err), 0);
	assert_true(json_is_object(o));
	assert_int_equal(json_get_arr(j, "", "a", true, &o, &err), 0);
	assert_int_equal(json_array_size(o), 1);
}

static void
test_absent(void **state)
{
	CLEANUP(json_decrefp) json_t *j = parse("{\"null\":null}");
	const char *s = "kept";
	int64_t i = 7;
	json_t *o = j;
	struct err err;

	(void)state;
	assert_int_equal(json_get_str(j, "", "x", false, &s, &err), 0);
	assert_int_equal(json_get_str(j, "", "null", false, &s, &err), 0);
	assert_string_equal(s, "kept");
	assert_int_equal(json_get_i64(j, "", "x", false, &i, &err), 0);
	assert_int_equal(i, 7);
	assert_int_equal(json_get_obj(j, "", "null", false, &o, &err), 0);
	assert_null(o);
	assert_int_equal(json_get_str(j, "/streams/0", "x", true, &s, &err), -1);
	assert_int_equal(err.kind, ERR_DATA);
	assert_string_equal(err.msg, "/streams/0/x: missing, expected a string");
	assert_int_equal(json_get_i64(j, "", "null", true, &i, &err), -1);
	assert_string_equal(err.msg, "/null: expected an integer, got null");
}

static void
test_wrong_types(void **state)
{
	CLEANUP(json_decrefp)
	json_t *j = parse("{\"s\":\"x\",\"i\":5,\"r\":5.0,\"b\":true,\"o\":{},\"a\":[],\"a/b~\":1,"
			  "\"nul\":\"a\\u0000b\"}");
	const char *s;
	int64_t i;
	double d;
	bool b;
	json_t *o;
	struct err err;

	(void)state;
	assert_int_equal(json_get_str(j, "/p", "i", false, &s, &err), -1);
	assert_string_equal(err.msg, "/p/i: expected a string, got an integer");
	assert_int_equal(json_get_i64(j, "/p", "r", false, &i, &err), -1);
	assert_string_equal(err.msg, "/p/r: expected an integer, got a real number");
	assert_int_equal(json_get_num(j, "/p", "s", false, &d, &err), -1);
	assert_string_equal(err.msg, "/p/s: expected a number, got a string");
	assert_int_equal(json_get_bool(j, "/p", "i", false, &b, &err), -1);
	assert_string_equal(err.msg, "/p/i: expected true or false, got an integer");
	assert_int_equal(json_get_obj(j, "/p", "a", false, &o, &err), -1);
	assert_string_equal(err.msg, "/p/a: expected an object, got an array");
	assert_int_equal(json_get_arr(j, "/p", "o", false, &o, &err), -1);
	assert_string_equal(err.msg, "/p/o: expected an array, got an object");
	assert_int_equal(json_get_str(j, "", "a/b~", false, &s, &err), -1);
	assert_string_equal(err.msg, "/a~1b~0: expected a string, got an integer");
	assert_int_equal(json_get_str(j, "", "nul", false, &s, &err), -1);
	assert_string_equal(err.msg, "/nul: NUL in a string");
	assert_int_equal(json_get_str(json_object_get(j, "a"), "/p/a", "x", false, &s, &err), -1);
	assert_string_equal(err.msg, "/p/a: expected an object, got an array");
	assert_int_equal(json_get_str(NULL, "", "x", false, &s, &err), -1);
	assert_string_equal(err.msg, "the document: expected an object, got nothing");
}

static void
check_escape(struct sv raw, const char *expected, bool replaced)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(1000);
	CLEANUP(json_decrefp) json_t *j = NULL;

	assert_int_equal(json_escape(&b, raw), replaced);
	assert_string_equal(buf_cstr(&b), expected);
	assert_int_equal(json_parse(buf_view(&b), "doc", &j, NULL), 0);
	if (!replaced)
		assert_true(sv_eq((struct sv){json_string_value(j), json_string_length(j)}, raw));
}

static void
test_escape(void **state)
{
	(void)state;
	check_escape(SV(""), "\"\"", false);
	check_escape(SV("plain gr\xC3\xBC\xC3\x9F"), "\"plain gr\xC3\xBC\xC3\x9F\"", false);
	check_escape(SV("\"\\/\n\r\t\b\f"), "\"\\\"\\\\/\\n\\r\\t\\b\\f\"", false);
	check_escape(SV("\0\x01\x1F\x7F"), "\"\\u0000\\u0001\\u001f\x7F\"", false);
	check_escape(SV("\xE2\x80\xA8\xE2\x80\xA9"), "\"\xE2\x80\xA8\xE2\x80\xA9\"", false);
	check_escape(SV("a\xFFz"), "\"a\xEF\xBF\xBDz\"", true);
	check_escape(SV("\xE2\x82"), "\"\xEF\xBF\xBD\"", true);
	check_escape(SV("\xF0\x9F\x98\"\xC0\xAF"), "\"\xEF\xBF\xBD\\\"\xEF\xBF\xBD\xEF\xBF\xBD\"",
		     true);
}

/* The same document without what a terminal would obey; a character that is cut is left for later.
 */
static void
test_plainly(void **state)
{
	static const char text[] = "{\n\"a\xC2\x9B\": \"gr\xC3\xBC\xC3\x9F\x7F\\u001b\xE2\x80\xAE"
				   "\xEF\xBB\xBF\xF0\x9F\x98\x80\"}\n";
	CLEANUP(buf_done) struct buf b = BUF_INIT(1000);
	CLEANUP(json_decrefp) json_t *was = parse(text), *is = NULL;

	(void)state;
	assert_int_equal(json_plainly(&b, sv_of(text)), strlen(text));
	assert_string_equal(buf_cstr(&b),
			    "{\n\"a\\u009b\": \"gr\xC3\xBC\xC3\x9F\\u007f\\u001b\\u202e"
			    "\\ufeff\xF0\x9F\x98\x80\"}\n");
	assert_int_equal(json_parse(buf_view(&b), "doc", &is, NULL), 0);
	assert_true(json_equal(was, is));
	buf_reset(&b);
	assert_int_equal(json_plainly(&b, SV("\"x\xE2\x80")), 2);
	assert_string_equal(buf_cstr(&b), "\"x");
	buf_reset(&b);
	assert_int_equal(json_plainly(&b, SV("\"\x9B\"")), 3);
	assert_string_equal(buf_cstr(&b), "\"" UTF8_REPLACE "\"");
}

static void
check_dump(const char *text, bool indent, const char *expected)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(1000);
	CLEANUP(json_decrefp) json_t *j = parse(text), *back = NULL;
	struct err err;

	assert_int_equal(json_dump(j, indent, &b, &err), 0);
	assert_string_equal(buf_cstr(&b), expected);
	assert_int_equal(json_parse(buf_view(&b), "doc", &back, &err), 0);
	assert_true(json_equal(j, back));
}

/* Two blanks a level, however deep. */
static void
test_indent(void **state)
{
	enum { DEPTH = 12 };
	CLEANUP(buf_done) struct buf text = BUF_INIT(1000), expected = BUF_INIT(1000);

	(void)state;
	for (int d = 0; d < DEPTH; d++) {
		buf_ch(&text, '[');
		buf_fmt(&expected, "[\n%*s", 2 * (d + 1), "");
	}
	buf_ch(&text, '1');
	buf_ch(&expected, '1');
	for (int d = DEPTH; d-- > 0;) {
		buf_ch(&text, ']');
		buf_fmt(&expected, "\n%*s]", 2 * d, "");
	}
	check_dump(buf_cstr(&text), true, buf_cstr(&expected));
}

static void
test_dump(void **state)
{
	(void)state;
	check_dump("{\"b\":[1,2.5,true,false,null,\"x\\n\"],\"a\":{},\"c\":[]}", false,
		   "{\"a\":{},\"b\":[1,2.5,true,false,null,\"x\\n\"],\"c\":[]}");
	check_dump(
	    "{\"b\":[1,{\"z\":1,\"y\":2}],\"a\":{},\"c\":[]}", true,
	    "{\n  \"a\": {},\n  \"b\": [\n    1,\n    {\n      \"y\": 2,\n      \"z\": 1\n    }\n"
	    "  ],\n  \"c\": []\n}");
	check_dump("[0.1,5.0,-0.0,1e22,1e-7,-9223372036854775808]", false,
		   "[0.1,5.0,-0.0,1e+22,1e-07,-9223372036854775808]");
	check_dump("\"\\u0000\"", false, "\"\\u0000\"");
	check_dump("5", true, "5");
}

static void
test_dump_ceilings(void **state)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(8), large = BUF_INIT(10000);
	CLEANUP(json_decrefp) json_t *j = parse("[1000000,2000000]"), *deep = json_array();
	struct err err;

	(void)state;
	assert_int_equal(json_dump(j, false, &b, &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	for (int i = 0; i < 100; i++) {
		json_t *outer = json_array();

		assert_int_equal(json_array_append_new(outer, deep), 0);
		deep = outer;
	}
	assert_int_equal(json_dump(deep, false, &large, &err), -1);
	assert_int_equal(err.kind, ERR_DATA);
	assert_string_equal(err.msg, "JSON nested deeper than 64 levels");
}

/* A list that is made while it is written is the text of one that was there, however long it is. */
struct numbers {
	int64_t n, end;
};

static json_t *
next_number(void *arg)
{
	struct numbers *v = arg;

	return v->n < v->end ? json_pack("{s:I}", "n", (json_int_t)v->n++) : NULL;
}

static void
test_dump_lists(void **state)
{
	static const int64_t lengths[] = {0, 1, 2, 40000};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		CLEANUP(json_decrefp)
		json_t *doc = json_pack("{s:i,s:n,s:s}", "a", 1, "list", "z", "z");
		struct numbers made = {0, lengths[i]}, there = made;
		const struct json_list list = {"list", next_number, &made};
		CLEANUP(buf_done) struct buf expected = BUF_INIT(1u << 24);
		CLEANUP(buf_done) struct buf text = BUF_INIT(1u << 24);
		struct spool spool = SPOOL_INIT;
		json_t *item, *whole = json_array();

		assert_int_equal(json_dump_lists(doc, &list, 1, &spool, NULL), 0);
		assert_int_equal(spool_load(&spool, &text, NULL), 0);
		assert_true(lengths[i] < 40000 || spool.filed > 0);
		spool_done(&spool);
		while ((item = next_number(&there)))
			assert_int_equal(json_array_append_new(whole, item), 0);
		assert_int_equal(json_object_set_new(doc, "list", whole), 0);
		assert_int_equal(json_dump(doc, true, &expected, NULL), 0);
		assert_string_equal(buf_cstr(&text), buf_cstr(&expected));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse),	cmocka_unit_test(test_parse_bad),
	    cmocka_unit_test(test_no_quoting),	cmocka_unit_test(test_depth),
	    cmocka_unit_test(test_getters),	cmocka_unit_test(test_absent),
	    cmocka_unit_test(test_wrong_types), cmocka_unit_test(test_escape),
	    cmocka_unit_test(test_plainly),	cmocka_unit_test(test_indent),
	    cmocka_unit_test(test_dump),	cmocka_unit_test(test_dump_ceilings),
	    cmocka_unit_test(test_dump_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
