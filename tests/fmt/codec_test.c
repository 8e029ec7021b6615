/* Hex and base64: RFC 4648's vectors, and that only the one right text is taken. */
#include "fmt/codec.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"

static void
test_base64(void **state)
{
	static const struct {
		const char *plain, *text;
	} rows[] = {
	    {"", ""},
	    {"f", "Zg=="},
	    {"fo", "Zm8="},
	    {"foo", "Zm9v"},
	    {"foob", "Zm9vYg=="},
	    {"fooba", "Zm9vYmE="},
	    {"foobar", "Zm9vYmFy"},
	    {"\xFB\xFF\xBE", "+/++"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf_done) struct buf b = BUF_INIT(100);

		base64_encode(&b, sv_of(rows[i].plain));
		assert_string_equal(buf_cstr(&b), rows[i].text);
		buf_reset(&b);
		assert_true(base64_decode(&b, sv_of(rows[i].text)));
		assert_string_equal(buf_cstr(&b), rows[i].plain);
	}
}

static void
test_base64_all_bytes(void **state)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(1000), back = BUF_INIT(1000);
	char bytes[256];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		buf_reset(&text);
		buf_reset(&back);
		base64_encode(&text, (struct sv){bytes, n});
		assert_true(base64_decode(&back, buf_view(&text)));
		assert_true(sv_eq(buf_view(&back), (struct sv){bytes, n}));
	}
}

static void
test_base64_bad(void **state)
{
	static const char *const bad[] = {
	    "Z",      "Zg",   "Zg=",  "Zg===",	  "====",     "=",
	    "Z===",   "Zh==", "Zm9=", "Zm8=Zm8=", "Zg==Zg==", "Zm 9v",
	    "Zm9v\n", "Zm9-", "Zm9_", "Zm9v====", "Z=g=",     "Zm\xC3\xBC",
	};
	CLEANUP(buf_done) struct buf b = BUF_INIT(100);

	(void)state;
	buf_str(&b, "kept");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_false(base64_decode(&b, sv_of(bad[i])));
		assert_int_equal(b.n, 4);
	}
	assert_false(base64_decode(&b, SV("Zm9\0")));
}

static void
test_hex(void **state)
{
	static const char *const bad[] = {"0", "0g", "g0", "0x10", " 0", "00 ", "0\n"};
	CLEANUP(buf_done) struct buf b = BUF_INIT(100);

	(void)state;
	assert_true(hex_decode(&b, SV("00fFAb7e")));
	assert_int_equal(b.n, 4);
	assert_memory_equal(b.p, "\x00\xFF\xAB\x7E", 4);
	assert_true(hex_decode(&b, SV("")));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(hex_decode(&b, sv_of(bad[i])));
	assert_int_equal(b.n, 4);
}

static void
test_ceilings(void **state)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(2);

	(void)state;
	assert_false(base64_decode(&b, SV("Zm9v")));
	buf_reset(&b);
	assert_false(hex_decode(&b, SV("000000")));
	buf_reset(&b);
	base64_encode(&b, SV("x"));
	assert_false(buf_ok(&b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_base64),     cmocka_unit_test(test_base64_all_bytes),
	    cmocka_unit_test(test_base64_bad), cmocka_unit_test(test_hex),
	    cmocka_unit_test(test_ceilings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
