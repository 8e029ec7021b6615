/* JSON read in place: the same strings as jansson reads, written as json_escape() writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "fmt/json.h"
#include "fmt/json_scan.h"

static bool
skips(const char *text)
{
	struct sv sv = sv_of(text);
	struct json_scan s = JSON_SCAN_INIT(sv);

	return json_scan_skip(&s) && json_scan_end(&s);
}

static void
test_values(void **state)
{
	static const char *const good[] = {
	    "{}",
	    " [ ] ",
	    "[1,2]",
	    "{\"a\":{\"b\":[true,false,null,-1.5e3,\"x\"]},\"c\":[]}",
	    "\"\\u0000\\\\\\\"\"",
	    "[[[[]]]]"};
	static const char *const bad[] = {"",	     "{",	   "[1,]",	"[,1]",
					  "{\"a\"}", "{\"a\":1,}", "{a:1}",	"[1 2]",
					  "\"",	     "\"\\x\"",	   "\"\\u12\"", "\"a\nb\"",
					  "tru",     "[]]",	   "1 2",	"{\"a\":1 \"b\":2}",
					  "nul",     "+",	   "\"\\"};
	const size_t half = JSON_SCAN_DEPTH + 2;
	char deep[2 * JSON_SCAN_DEPTH + 16];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (!skips(good[i]))
			fail_msg("%s", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (skips(bad[i]))
			fail_msg("%s", bad[i]);
	memset(deep, '[', half);
	memset(deep + half, ']', half);
	deep[2 * half] = '\0';
	assert_false(skips(deep));
	deep[2 * half - 1] = '\0';
	assert_true(skips(deep + 1));
}

static void
test_null(void **state)
{
	static const struct {
		const char *text;
		bool null;
	} rows[] = {{"null", true},   {" \tnull,", true},  {"nul", false},
		    {"n ull", false}, {"\"null\"", false}, {"", false}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sv sv = sv_of(rows[i].text);
		struct json_scan s = JSON_SCAN_INIT(sv);

		assert_int_equal(json_scan_null(&s), rows[i].null);
	}
}

/* Strings are looked through some bytes at a time: each byte stops that, or does not, wherever it
 * stands and whatever is behind it. */
static void
test_each_byte_everywhere(void **state)
{
	(void)state;
	for (int byte = 0; byte < 256; byte++) {
		for (size_t at = 0; at < 24; at++) {
			char text[32];
			struct json_scan s = JSON_SCAN_INIT(((struct sv){text, 26}));
			struct sv raw = {0};
			bool plain = byte >= 0x20 && byte != '"' && byte != '\\';

			memset(text, at % 2 ? 0xC3 : 'u', sizeof(text));
			text[0] = text[25] = '"';
			text[1 + at] = (char)byte;
			/* A backslash before u wants digits; the last one takes the quote. */
			assert_int_equal(json_scan_str(&s, &raw), plain || byte == '"');
			if (plain)
				assert_int_equal(raw.n, 24);
			else if (byte == '"')
				assert_int_equal(raw.n, at);
			else if (byte != '\\' || at < 23)
				assert_ptr_equal(s.p, text + 1 + at);
		}
	}
}

static void
expect_recoded(const char *raw, const char *want)
{
	struct buf out = BUF_INIT(4096);

	json_recode(&out, sv_of(raw));
	assert_string_equal(buf_cstr(&out), want);
	buf_done(&out);
}

static void
test_recoded(void **state)
{
	(void)state;
	expect_recoded("", "\"\"");
	expect_recoded("plain \xC3\xA9", "\"plain \xC3\xA9\"");
	expect_recoded("\\n\\t\\\"\\\\\\b\\f\\r", "\"\\n\\t\\\"\\\\\\b\\f\\r\"");
	expect_recoded("\\/\\u002f\\u0022\\u005C", "\"//\\\"\\\\\"");
	expect_recoded("\\u000a\\u0000\\u001F", "\"\\n\\u0000\\u001f\"");
	expect_recoded("\\u00e9\\u20AC\\ud83d\\ude00", "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"");
	/* Lone halves, and bytes that are no UTF-8. */
	expect_recoded("\\ud83dx\\ude00", "\"\xEF\xBF\xBDx\xEF\xBF\xBD\"");
	expect_recoded("\\ud83d\\u0041", "\"\xEF\xBF\xBD"
					 "A\"");
	expect_recoded("a\xFF\xC3", "\"a\xEF\xBF\xBD\xEF\xBF\xBD\"");
	expect_recoded("\x7F", "\"\x7F\"");
}

/* A text that may be copied is what json_recode() writes; and what needs nothing done may be
 * copied, wherever its escapes stand. */
static void
test_as_is(void **state)
{
	static const char *const parts[] = {"a",	"\\\"", "\\\\",
					    "\\n",	"\\/",	"\\u0041",
					    "\xC3\xA9", "\xFF", "fifteen letters",
					    "\\u00e9",	"\x7F"};
	/* The first four and the words need nothing done. */
	static const bool same[] = {true,  true,  true, true,  false, false,
				    false, false, true, false, true};

	(void)state;
	for (uint64_t seed = 1; seed <= 3000; seed++) {
		struct buf text = BUF_INIT(4096), got = BUF_INIT(8192);
		bool as_is = false, expected = true;
		struct json_scan s;
		struct sv raw;

		buf_ch(&text, '"');
		for (uint64_t i = 0, n = mix64(seed) % 24; i < n; i++) {
			/* Mostly of the harmless ones. */
			size_t k = mix64(seed * 1000 + i) % (seed % 4 ? 4 : ARRAY_LEN(parts));

			buf_str(&text, parts[k]);
			expected = expected && same[k];
		}
		buf_str(&text, "\",\"sixteen bytes and more\"");
		s = JSON_SCAN_INIT(buf_view(&text));
		assert_true(json_scan_text(&s, &raw, &as_is));
		assert_int_equal(as_is, expected);
		json_recode(&got, raw);
		if (as_is)
			assert_true(got.n == raw.n + 2 && !memcmp(got.p + 1, raw.p, raw.n));
		buf_done(&text);
		buf_done(&got);
	}
}

/* Any text: through jansson's writer and ours, and back. */
static void
test_against_jansson(void **state)
{
	static const size_t flags[] = {JSON_ENCODE_ANY, JSON_ENCODE_ANY | JSON_ENSURE_ASCII,
				       JSON_ENCODE_ANY | JSON_ESCAPE_SLASH};
	static const char *const parts[] = {"a",
					    "\"",
					    "\\",
					    "/",
					    "\n",
					    "\x01",
					    "\xC3\xA9",
					    "\xE2\x80\xA8",
					    "\x7F",
					    "\t",
					    "\xF0\x9F\x98\x80",
					    "long run of text",
					    "\xEF\xBB\xBF"};

	(void)state;
	for (uint64_t seed = 1; seed <= 500; seed++) {
		struct buf text = BUF_INIT(4096), want = BUF_INIT(8192), got = BUF_INIT(8192);
		struct sv raw;
		json_t *value;
		char *dump;

		for (uint64_t i = 0; i < mix64(seed) % 20; i++)
			buf_str(&text, parts[mix64(seed * 1000 + i) % ARRAY_LEN(parts)]);
		value = json_stringn(buf_cstr(&text), text.n);
		dump = json_dumps(value, flags[seed % 3]);
		json_decref(value);
		assert_non_null(dump);
		(void)json_escape(&want, buf_view(&text));
		{
			struct sv sv = sv_of(dump);
			struct json_scan s = JSON_SCAN_INIT(sv);

			assert_true(json_scan_str(&s, &raw));
			assert_true(json_scan_end(&s));
		}
		json_recode(&got, raw);
		assert_string_equal(buf_cstr(&got), buf_cstr(&want));
		buf_reset(&got);
		json_unescape(&got, raw);
		assert_true(sv_eq(buf_view(&got), buf_view(&text)));
		free(dump);
		buf_done(&text);
		buf_done(&want);
		buf_done(&got);
	}
}

/* Numbers of C that are none of JSON. */
static void
test_no_numbers(void **state)
{
	static const char *const no[] = {".5", "-.5", "1.",  "1.e5", "01", "-01",
					 "+1", "1e",  "NaN", "-",    ""};
	static const char *const yes[] = {"0", "-0", "0.5", "-0.25e+2", "10", "1E2", "1.0"};
	double v;

	(void)state;
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		struct json_scan s = JSON_SCAN_INIT(sv_of(no[i]));

		assert_false(json_scan_num(&s, &v) && json_scan_end(&s));
	}
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		struct json_scan s = JSON_SCAN_INIT(sv_of(yes[i]));

		assert_true(json_scan_num(&s, &v) && json_scan_end(&s));
	}
}

static void
test_members_and_items(void **state)
{
	struct sv text = SV("{\"a\": [1, 2] , \"b\":3}"), name;
	struct json_scan s = JSON_SCAN_INIT(text);
	bool end = false;
	double v = 0;

	(void)state;
	assert_true(json_scan_ch(&s, '{'));
	assert_true(json_scan_member(&s, true, &name, &end));
	assert_true(sv_eq(name, SV("a")));
	assert_true(json_scan_ch(&s, '['));
	assert_true(json_scan_item(&s, true, &end) && !end && json_scan_num(&s, &v));
	assert_true(json_scan_item(&s, false, &end) && !end && json_scan_num(&s, &v));
	assert_true(v == 2);
	assert_true(json_scan_item(&s, false, &end) && end);
	assert_true(json_scan_member(&s, false, &name, &end) && !end);
	assert_true(json_scan_num(&s, &v) && v == 3);
	assert_true(json_scan_member(&s, false, &name, &end) && end);
	assert_true(json_scan_end(&s));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_null),
	    cmocka_unit_test(test_each_byte_everywhere),
	    cmocka_unit_test(test_recoded),
	    cmocka_unit_test(test_as_is),
	    cmocka_unit_test(test_against_jansson),
	    cmocka_unit_test(test_no_numbers),
	    cmocka_unit_test(test_members_and_items),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
