/* Protobuf against bytes worked out by hand from the encoding's description. */
#include "fmt/wire.h"

#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/cleanup.h"

static void
check(const unsigned char *from, const unsigned char *to, struct sv expected)
{
	assert_int_equal(to - from, expected.n);
	assert_memory_equal(from, expected.p, expected.n);
}

static void
test_varint(void **state)
{
	static const struct {
		uint64_t v;
		struct sv bytes;
	} rows[] = {
	    {0, {"\x00", 1}},
	    {1, {"\x01", 1}},
	    {127, {"\x7F", 1}},
	    {128, {"\x80\x01", 2}},
	    {300, {"\xAC\x02", 2}},
	    {16383, {"\xFF\x7F", 2}},
	    {16384, {"\x80\x80\x01", 3}},
	    {UINT32_MAX, {"\xFF\xFF\xFF\xFF\x0F", 5}},
	    {INT64_MAX, {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F", 9}},
	    {UINT64_MAX, {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 10}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned char bytes[WIRE_VARINT_MAX];

		assert_int_equal(wire_varint_put(bytes, rows[i].v), rows[i].bytes.n);
		assert_memory_equal(bytes, rows[i].bytes.p, rows[i].bytes.n);
		assert_int_equal(wire_varint_len(rows[i].v), rows[i].bytes.n);
	}
}

static void
test_times(void **state)
{
	unsigned char is[WIRE_VARINT_MAX], expected[WIRE_VARINT_MAX];

	(void)state;
	for (int bits = 0; bits < 64; bits++)
		for (uint64_t d = 0; d < 3; d++) {
			uint64_t ms = (((uint64_t)1 << bits) - 1 + d) ^
				      (0x2A6B5C3D2E1F4u & (((uint64_t)1 << bits) - 1) >> 1);
			size_t n = wire_varint_put(expected, ms);

			assert_int_equal(wire_time_put(is, ms), n);
			assert_memory_equal(is, expected, n);
		}
}

static void
test_fields(void **state)
{
	unsigned char out[64], *p = out;

	(void)state;
	p = wire_bytes(p, 2, SV("testing"));
	p = wire_bytes(p, 2, SV(""));
	p = wire_len(p, 16, 0);
	p = wire_len(p, 536870911, 300);
	check(out, p,
	      SV("\x12\x07testing"
		 "\x12\x00"
		 "\x82\x01\x00"
		 "\xFA\xFF\xFF\xFF\x0F\xAC\x02"));
}

/* Remote write: WriteRequest{timeseries: {labels: {name, value}}}. */
static void
test_nested(void **state)
{
	unsigned char out[64], *p = out;

	(void)state;
	p = wire_len(p, 1, 16);
	p = wire_len(p, 1, 14);
	p = wire_bytes(p, 1, SV("__name__"));
	p = wire_bytes(p, 2, SV("up"));
	p = wire_len(p, 3, 0);
	check(out, p,
	      SV("\x0A\x10"
		 "\x0A\x0E"
		 "\x0A\x08__name__"
		 "\x12\x02up"
		 "\x1A\x00"));
}

/* Lengths of one octet and of more: the same as a string of that length. */
static void
test_nested_sizes(void **state)
{
	static const size_t sizes[] = {0, 1, 127, 128, 16383, 16384, 2097151, 2097152};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		CLEANUP(freep) unsigned char *a = calloc(1, sizes[i] + 32);
		CLEANUP(freep) char *body = calloc(sizes[i] + 1, 1);
		unsigned char head[16], *p;
		size_t n;

		assert_non_null(a);
		assert_non_null(body);
		memset(body, 'x', sizes[i]);
		n = (size_t)(wire_len(head, 5, sizes[i]) - head);
		p = wire_bytes(a, 5, (struct sv){body, sizes[i]});
		assert_int_equal(p - a, n + sizes[i]);
		assert_int_equal(n, 1 + wire_varint_len(sizes[i]));
		assert_memory_equal(a, head, n);
		assert_memory_equal(a + n, body, sizes[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_varint),	 cmocka_unit_test(test_times),
	    cmocka_unit_test(test_fields),	 cmocka_unit_test(test_nested),
	    cmocka_unit_test(test_nested_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
