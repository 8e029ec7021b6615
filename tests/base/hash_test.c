/* Digests against published vectors: FIPS 180-4, RFC 4231, the FNV reference. */
#include "base/hash.h"

#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/cleanup.h"

static void
test_sha256(void **state)
{
	static const struct {
		const char *text;
		const char *hex;
	} rows[] = {
	    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	};
	char hex[SHA256_HEX_LEN + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		sha256_hex(sv_of(rows[i].text), hex);
		assert_string_equal(hex, rows[i].hex);
	}
	sha256_hex((struct sv){NULL, 0}, hex);
	assert_string_equal(hex, rows[0].hex);
}

static void
test_sha256_million(void **state)
{
	CLEANUP(freep) char *a = malloc(1000000);
	char hex[SHA256_HEX_LEN + 1];

	(void)state;
	assert_non_null(a);
	memset(a, 'a', 1000000);
	sha256_hex((struct sv){a, 1000000}, hex);
	assert_string_equal(hex,
			    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void
check_hmac(struct sv key, struct sv data, const char *expected)
{
	unsigned char mac[SHA256_LEN];
	char hex[SHA256_HEX_LEN + 1];

	hmac_sha256(key, data, mac);
	hex_lower(mac, sizeof(mac), hex);
	assert_string_equal(hex, expected);
}

static void
test_hmac(void **state)
{
	char key[131], data[50];

	(void)state;
	memset(key, 0x0b, 20);
	check_hmac((struct sv){key, 20}, SV("Hi There"),
		   "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	check_hmac(SV("Jefe"), SV("what do ya want for nothing?"),
		   "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof(key));
	memset(data, 0xdd, sizeof(data));
	check_hmac((struct sv){key, 20}, (struct sv){data, 50},
		   "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
	check_hmac((struct sv){key, 131},
		   SV("Test Using Larger Than Block-Size Key - Hash Key First"),
		   "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	check_hmac(
	    (struct sv){key, 131},
	    SV("This is a test using a larger than block-size key and a larger than block-size "
	       "data. The key needs to be hashed before being used by the HMAC algorithm."),
	    "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
	check_hmac(SV(""), SV(""),
		   "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void
test_hex(void **state)
{
	char out[9];

	(void)state;
	hex_lower((const unsigned char *)"\x00\x0f\xa0\xff", 4, out);
	assert_string_equal(out, "000fa0ff");
	hex_lower(NULL, 0, out);
	assert_string_equal(out, "");
}

static void
test_fnv_and_mix(void **state)
{
	(void)state;
	assert_true(fnv1a64(SV("")) == 0xcbf29ce484222325);
	assert_true(fnv1a64(SV("a")) == 0xaf63dc4c8601ec8c);
	assert_true(fnv1a64(SV("foobar")) == 0x85944171f73967e8);
	assert_true(mix64(0) == 0);
	assert_true(mix64(1) == 0xb456bcfc34c2cb2c);
	assert_true(mix64(2) == 0x3abf2a20650683e7);
}

static void
test_random(void **state)
{
	unsigned char a[64] = {0}, b[64] = {0};
	struct err err;

	(void)state;
	assert_int_equal(random_bytes(a, sizeof(a), &err), 0);
	assert_int_equal(random_bytes(b, sizeof(b), &err), 0);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_int_equal(random_bytes(NULL, 0, &err), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sha256),	cmocka_unit_test(test_sha256_million),
	    cmocka_unit_test(test_hmac),	cmocka_unit_test(test_hex),
	    cmocka_unit_test(test_fnv_and_mix), cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
