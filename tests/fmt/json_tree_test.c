/* JSON as a tree whose numbers keep their digits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "fmt/json_scan.h"
#include "fmt/json_tree.h"

#define ARENA ARENA_INIT((size_t)1 << 20)

static void
test_numbers_keep_their_digits(void **state)
{
	static const char text[] =
	    " {\"a\" : 1596648396.63994461234 ,\"b\":1.5E9,\"c\":[-0,12] , \"d\":{\"e\":\"f\"}} ";
	struct arena a = ARENA;
	const struct json_node *n = json_tree_parse(sv_of(text), &a);

	(void)state;
	assert_non_null(n);
	assert_true(sv_eq(json_tree_get(n, "a")->text, SV("1596648396.63994461234")));
	assert_true(sv_eq(json_tree_of(n, "b", JSON_T_NUMBER)->text, SV("1.5E9")));
	assert_true(sv_eq(json_tree_get(n, "c")->text, SV("[-0,12]")));
	assert_true(sv_eq(json_tree_get(n, "c")->first->text, SV("-0")));
	assert_true(sv_eq(json_tree_get(n, "c")->first->next->text, SV("12")));
	assert_null(json_tree_get(n, "c")->first->next->next);
	assert_true(sv_eq(json_tree_str(json_tree_get(n, "d"), "e"), SV("f")));
	arena_done(&a);
}

static void
test_members_of_other_types_are_absent(void **state)
{
	struct arena a = ARENA;
	const struct json_node *n = json_tree_parse(SV("{\"n\":null,\"t\":true,\"f\":false,\"s\":"
						       "\"x\\n\\u0000y\",\"k\\u0065y\":1,\"t\":5}"),
						    &a);

	(void)state;
	assert_non_null(n);
	assert_null(json_tree_get(n, "n"));
	assert_true(json_tree_true(n, "t"));
	assert_false(json_tree_true(n, "f"));
	assert_false(json_tree_true(n, "s"));
	assert_int_equal(json_tree_str(n, "t").n, 0);
	assert_true(sv_eq(json_tree_str(n, "s"), SV("x\n\0y")));
	assert_non_null(json_tree_get(n, "key"));
	assert_null(json_tree_get(n, "absent"));
	assert_null(json_tree_get(NULL, "a"));
	assert_null(json_tree_get(json_tree_get(n, "s"), "a"));
	arena_done(&a);
}

static void
test_what_is_no_json(void **state)
{
	static const char *const bad[] = {
	    "",	     " ",      "{",	"{\"a\"}",   "{\"a\":}",  "[1,]",   "[1 2]",
	    "nul",   "tru",    "truex", "falsehood", "\"",	  "1 2",    "{\"a\":1}}",
	    "{a:1}", "[\x01]", "NaN",	"-",	     "\"\\ud8\"", "\"\n\"", "{\"a\":1,}"};
	struct arena a = ARENA;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_null(json_tree_parse(sv_of(bad[i]), &a));
	assert_null(json_tree_parse(SV("1\0"), &a));
	arena_done(&a);
}

/* As deep as it may be, one deeper, and far too deep. */
static void
test_depth_is_bounded(void **state)
{
	struct arena a = ARENA_INIT((size_t)1 << 26);

	(void)state;
	for (size_t depth = 1; depth < 1000000; depth = depth < 100 ? depth + 1 : depth * 10) {
		CLEANUP(buf_done) struct buf text = BUF_INIT((size_t)4 << 20);

		for (size_t i = 0; i < depth; i++)
			buf_ch(&text, '[');
		for (size_t i = 0; i < depth; i++)
			buf_ch(&text, ']');
		assert_int_equal(json_tree_parse(buf_view(&text), &a) != NULL,
				 depth <= JSON_SCAN_DEPTH + 1);
	}
	arena_done(&a);
}

/* U+FFFD is longer than what it stands for. */
static void
test_broken_bytes_beside_escapes(void **state)
{
	struct arena a = ARENA_INIT((size_t)1 << 16);
	const struct json_node *doc = json_tree_parse(SV("[\"\\n\xff\xff\xff\xff\xff\xff\"]"), &a);

	(void)state;
	assert_non_null(doc);
	assert_true(sv_eq(doc->first->text, SV("\n\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
					       "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD")));
	arena_done(&a);
}

static void
test_memory_is_bounded(void **state)
{
	struct arena a = ARENA_INIT(100);

	(void)state;
	assert_null(json_tree_parse(SV("[1,2,3,4,5,6,7,8,9,10,11,12]"), &a));
	arena_done(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_numbers_keep_their_digits),
	    cmocka_unit_test(test_members_of_other_types_are_absent),
	    cmocka_unit_test(test_what_is_no_json),
	    cmocka_unit_test(test_depth_is_bounded),
	    cmocka_unit_test(test_broken_bytes_beside_escapes),
	    cmocka_unit_test(test_memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
