/* UTF-8: the Unicode standard's own examples of broken text, and the borders of every range. */
#include "base/utf8.h"

#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/cleanup.h"

static void
check(struct sv text, const uint32_t *expected, size_t n)
{
	uint32_t cp;
	size_t len;

	for (size_t i = 0; i < n; i++) {
		assert_true(text.n > 0);
		len = utf8_next(text, &cp);
		assert_int_equal(cp, expected[i]);
		assert_in_range(len, 1, text.n);
		text.p += len;
		text.n -= len;
	}
	assert_int_equal(text.n, 0);
}

#define CHECK(text, ...)                                                                           \
	check(SV(text), (const uint32_t[]){__VA_ARGS__},                                           \
	      ARRAY_LEN(((const uint32_t[]){__VA_ARGS__})))
#define B UTF8_BAD

static void
test_good(void **state)
{
	(void)state;
	CHECK("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 'a', 0xE9, 0x20AC, 0x1F600);
	CHECK("\xC2\x80\xDF\xBF", 0x80, 0x7FF);
	CHECK("\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF", 0x800, 0xD7FF, 0xE000, 0xFFFF);
	CHECK("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", 0x10000, 0x10FFFF);
	CHECK("\0\x7F", 0, 0x7F);
}

/* Tables 3-8 to 3-11 of the Unicode standard. */
static void
test_bad(void **state)
{
	(void)state;
	CHECK("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", B, B, B, B, B, B, B, B, 'A');
	CHECK("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", B, B, B, B, B, B, B, B, 'A');
	CHECK("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", B, B, B, B, B, 'A', B, B, 'B');
	CHECK("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", B, B, B, B, 'A');
	CHECK("\xF5\x80\xF8\xC1\xBF", B, B, B, B, B);
}

static void
test_cut_off(void **state)
{
	(void)state;
	CHECK("\xF0\x9F\x98", B);
	CHECK("\xE2\x82", B);
	CHECK("\xC3", B);
	CHECK("x\xE2", 'x', B);
}

static void
test_valid(void **state)
{
	(void)state;
	assert_true(utf8_valid(SV("")));
	assert_true(utf8_valid(SV("gr\xC3\xBC\xC3\x9F")));
	assert_false(utf8_valid(SV("gr\xFC\xDF")));
	assert_false(utf8_valid(SV("\xED\xA0\x80")));
}

static void
test_what_deceives(void **state)
{
	static const uint32_t bad[] = {0x1b,   0x7f,   0x85,   0x9b,   0x61c,  0x200e, 0x200f,
				       0x2028, 0x2029, 0x202a, 0x202e, 0x2066, 0x2069, 0xfeff};
	static const uint32_t good[] = {' ',	'~',	0xa0,	0xe9,	0x200c,
					0x200d, 0x2027, 0x202f, 0x1F600};
	struct buf out = BUF_INIT(1024);

	(void)state;
	for (uint32_t cp = 0; cp < 0x20; cp++)
		assert_true(utf8_deceives(cp));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_true(utf8_deceives(bad[i]));
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_false(utf8_deceives(good[i]));
	utf8_plain(&out, SV("a\nb\x1b[2J\0\xC2\x9B\xE2\x80\xAE\xFF gr\xC3\xBC\xC3\x9F"));
	assert_string_equal(buf_cstr(&out), "a?b?[2J???? gr\xC3\xBC\xC3\x9F");
	buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),	  cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_cut_off),	  cmocka_unit_test(test_valid),
	    cmocka_unit_test(test_what_deceives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
