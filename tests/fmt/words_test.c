/* Command lines cut into words; the expectations are those of Python's shlex, which botocore uses.
 */
#include "fmt/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/cleanup.h"

/* Words joined by |, "!" for an error. */
static void
assert_words(const char *line, const char *expected)
{
	CLEANUP(buf_done) struct buf got = BUF_INIT(1000);
	char **v = NULL;
	struct err err = {0};
	size_t n = 0;

	if (words_split(sv_of(line), &v, &n, &err)) {
		assert_int_equal(err.kind, ERR_USAGE);
		buf_str(&got, "!");
	}
	for (size_t i = 0; i < n; i++)
		buf_fmt(&got, "%s%s", i ? "|" : "", v[i]);
	if (v)
		assert_null(v[n]);
	free(v);
	assert_string_equal(buf_cstr(&got), expected);
}

static void
test_words(void **state)
{
	(void)state;
	assert_words("", "");
	assert_words(" \t\n", "");
	assert_words("a", "a");
	assert_words("a b", "a|b");
	assert_words("  /opt/bin/keys\t--x=1 \n y ", "/opt/bin/keys|--x=1|y");
	assert_words("a 'b c' \"d e\"", "a|b c|d e");
	assert_words("a\\ b c\\\\d \\'e", "a b|c\\d|'e");
	assert_words("'a\\b' \"a\\b\" \"a\\\"b\" \"a\\\\b\"", "a\\b|a\\b|a\"b|a\\b");
	assert_words("x'y'\"z\"w", "xyzw");
	assert_words("'' a \"\"", "|a|");
	assert_words("a; b | c > d && $HOME `id` $(id) * ~ # e",
		     "a;|b|||c|>|d|&&|$HOME|`id`|$(id)|*|~|#|e");
}

static void
test_errors(void **state)
{
	(void)state;
	assert_words("a 'b", "!");
	assert_words("a \"b", "!");
	assert_words("a \"b\\", "!");
	assert_words("a\\", "!");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
