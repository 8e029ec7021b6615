/* Errors as values: texts, wrapping, and that nothing runs over the fixed fields. */
#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

static void
test_set(void **state)
{
	struct err err = {.http_status = 500, .code = "Old"};

	(void)state;
	assert_int_equal(err_set(&err, ERR_DATA, "row %d is broken", 7), -1);
	assert_int_equal(err.kind, ERR_DATA);
	assert_string_equal(err.msg, "row 7 is broken");
	assert_int_equal(err.http_status, 0);
	assert_string_equal(err.code, "");
}

static void
test_sys(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(err_sys(&err, EACCES, "open %s", "x"), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_string_equal(err.msg, "open x: Permission denied");
	(void)err_sys(&err, 99999, "open x");
	assert_string_equal(err.msg, "open x: unknown error");
}

static void
test_wrap(void **state)
{
	struct err err;

	(void)state;
	(void)err_set(&err, ERR_AUTH, "refused");
	err.http_status = 403;
	assert_int_equal(err_wrap(&err, "stream %s", "a"), -1);
	assert_string_equal(err.msg, "stream a: refused");
	assert_int_equal(err.kind, ERR_AUTH);
	assert_int_equal(err.http_status, 403);
}

static void
test_long_texts(void **state)
{
	char text[2000];
	struct err err;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	(void)err_set(&err, ERR_DATA, "%s", text);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	for (size_t i = 1; i <= 4; i++) { /* four bytes, at each place of the end */
		const size_t room = sizeof(err.msg) - 1;

		(void)err_set(&err, ERR_DATA, "%.*s\xF0\x9F\x98\x80", (int)(room - i), text);
		assert_int_equal(strlen(err.msg), i < 4 ? room - i : room);
		(void)err_wrap(&err, "x");
		assert_int_equal(strlen(err.msg), i < 4 ? room : room - 1);
	}
	(void)err_wrap(&err, "%s", text);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	(void)err_sys(&err, EACCES, "%s", text);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
}

static void
test_null(void **state)
{
	(void)state;
	err_clear(NULL);
	assert_int_equal(err_set(NULL, ERR_DATA, "x"), -1);
	assert_int_equal(err_sys(NULL, EACCES, "x"), -1);
	assert_int_equal(err_wrap(NULL, "x"), -1);
	assert_int_equal(err_nomem(NULL), -1);
}

static void
test_kinds(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(err_nomem(&err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_string_equal(err.msg, "out of memory");
	for (int k = ERR_NONE; k <= ERR_CANCELLED; k++)
		assert_string_not_equal(err_kind_name((enum err_kind)k), "unknown");
	assert_string_equal(err_kind_name(ERR_CONFLICT), "conflict");
	assert_string_equal(err_kind_name((enum err_kind)(ERR_CANCELLED + 1)), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_set),	 cmocka_unit_test(test_sys),
	    cmocka_unit_test(test_wrap), cmocka_unit_test(test_long_texts),
	    cmocka_unit_test(test_null), cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
