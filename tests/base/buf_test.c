/* Views and capped buffers: the ceiling holds, a failure lasts, and the NUL is always there. */
#include "base/buf.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"

static void
test_views(void **state)
{
	(void)state;
	assert_true(sv_eq(SV("ab"), sv_of("ab")));
	assert_true(sv_eq((struct sv){NULL, 0}, SV("")));
	assert_false(sv_eq(SV("ab"), SV("ac")));
	assert_true(sv_cmp(SV("ab"), SV("abc")) < 0);
	assert_true(sv_cmp(SV("b"), SV("abc")) > 0);
	assert_true(sv_cmp(SV("\xFF"), SV("a")) > 0);
	assert_int_equal(sv_cmp(SV("a"), SV("a")), 0);
	assert_true(sv_starts(SV("abc"), SV("ab")));
	assert_false(sv_starts(SV("a"), SV("ab")));
	assert_true(sv_ends(SV("abc"), SV("bc")));
	assert_false(sv_ends(SV("c"), SV("bc")));
	assert_int_equal(sv_of(NULL).n, 0);
}

static void
test_dup(void **state)
{
	CLEANUP(freep) char *copy = sv_dup(SV("a\0b"));

	(void)state;
	assert_non_null(copy);
	assert_memory_equal(copy, "a\0b", 4);
}

static void
test_appends(void **state)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(1000);

	(void)state;
	assert_string_equal(buf_cstr(&b), "");
	buf_str(&b, "one");
	buf_ch(&b, ' ');
	buf_sv(&b, SV("two"));
	buf_fmt(&b, " %d%s", 3, "!");
	assert_true(buf_ok(&b));
	assert_string_equal(buf_cstr(&b), "one two 3!");
	assert_int_equal(buf_view(&b).n, 10);
	buf_reset(&b);
	assert_string_equal(buf_cstr(&b), "");
}

static void
test_ceiling(void **state)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(8);
	struct err err;

	(void)state;
	buf_str(&b, "12345678");
	assert_int_equal(buf_check(&b, "page", &err), 0);
	buf_ch(&b, '9');
	assert_false(buf_ok(&b));
	assert_string_equal(buf_cstr(&b), "12345678");
	assert_int_equal(buf_check(&b, "page", &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_string_equal(err.msg, "page: larger than 8 bytes");
	buf_reset(&b);
	buf_str(&b, "again");
	assert_true(buf_ok(&b));
}

/* Whether a text is written at once or again with more room, it is the same; and none of it is left
 * where there is no room. */
static void
test_formats_at_every_length(void **state)
{
	const char text[] =
	    "0123456789012345678901234567890123456789012345678901234567890123456789";

	(void)state;
	for (size_t before = 0; before < 70; before++)
		for (size_t n = 0; n < 70; n++) {
			CLEANUP(buf_done) struct buf b = BUF_INIT(100);

			buf_add(&b, text, before);
			buf_fmt(&b, "%.*s", (int)n, text);
			assert_int_equal(buf_ok(&b), before + n <= 100);
			assert_int_equal(b.n, before + n <= 100 ? before + n : before);
			assert_int_equal(strlen(buf_cstr(&b)), b.n);
			assert_memory_equal(buf_cstr(&b), text, before);
			if (buf_ok(&b))
				assert_memory_equal(buf_cstr(&b) + before, text, n);
		}
}

/* A piece that would have fitted after one that did not is not appended either. */
static void
test_failure_lasts(void **state)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(4);

	(void)state;
	buf_str(&b, "too long");
	buf_ch(&b, 'x');
	buf_fmt(&b, "%d", 1);
	assert_int_equal(b.n, 0);
	assert_null(buf_steal(&b));
	assert_false(buf_reserve(&b, SIZE_MAX));
}

static void
test_huge_reserve(void **state)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(SIZE_MAX / 4);

	(void)state;
	buf_ch(&b, 'x');
	assert_false(buf_reserve(&b, SIZE_MAX));
	assert_int_equal(b.n, 1);
}

/* What was freed before lies there otherwise. */
static void
test_reserved_is_still_text(void **state)
{
	struct buf used = BUF_INIT(200);
	CLEANUP(buf_done) struct buf b = BUF_INIT(200);

	(void)state;
	buf_fmt(&used, "%0100d", 1);
	buf_done(&used);
	assert_true(buf_reserve(&b, 100));
	assert_string_equal(buf_cstr(&b), "");
	buf_str(&b, "text");
	assert_true(buf_reserve(&b, 190));
	assert_string_equal(buf_cstr(&b), "text");
}

static void
test_steal(void **state)
{
	struct buf b = BUF_INIT(100);
	CLEANUP(freep) char *empty = buf_steal(&b);
	CLEANUP(freep) char *text = NULL;

	(void)state;
	assert_string_equal(empty, "");
	buf_str(&b, "text");
	text = buf_steal(&b);
	assert_string_equal(text, "text");
	assert_null(b.p);
	assert_int_equal(b.n, 0);
	assert_int_equal(b.max, 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_views),	 cmocka_unit_test(test_dup),
	    cmocka_unit_test(test_appends),	 cmocka_unit_test(test_formats_at_every_length),
	    cmocka_unit_test(test_ceiling),	 cmocka_unit_test(test_failure_lasts),
	    cmocka_unit_test(test_huge_reserve), cmocka_unit_test(test_reserved_is_still_text),
	    cmocka_unit_test(test_steal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
