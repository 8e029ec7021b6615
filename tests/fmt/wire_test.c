/* Protobuf against bytes worked out by hand from the encoding's description. */
#include "fmt/wire.h"

#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/cleanup.h"

static void
check(const struct buf *b, struct sv expected)
{
	assert_true(buf_ok(b));
	assert_int_equal(b->n, expected.n);
	assert_memory_equal(b->p, expected.p, expected.n);
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
test_fields(void **state)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(1000);

	(void)state;
	wire_bytes(&b, 2, SV("testing"));
	wire_bytes(&b, 2, SV(""));
	wire_len(&b, 16, 0);
	wire_len(&b, 536870911, 300);
	check(&b, SV("\x12\x07testing"
		     "\x12\x00"
		     "\x82\x01\x00"
		     "\xFA\xFF\xFF\xFF\x0F\xAC\x02"));
}

/* Remote write: WriteRequest{timeseries: {labels: {name, value}}}. */
static void
test_nested(void **state)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(1000);

	(void)state;
	wire_len(&b, 1, 16);
	wire_len(&b, 1, 14);
	wire_bytes(&b, 1, SV("__name__"));
	wire_bytes(&b, 2, SV("up"));
	wire_len(&b, 3, 0);
	check(&b, SV("\x0A\x10"
		     "\x0A\x0E"
		     "\x0A\x08__name__"
		     "\x12\x02up"
		     "\x1A\x00"));
	assert_int_equal(b.p[b.n], 0);
}

/* Lengths of one octet and of more: the same as a string of that length. */
static void
test_nested_sizes(void **state)
{
	static const size_t sizes[] = {0, 1, 127, 128, 16383, 16384, 2097151, 2097152};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		CLEANUP(buf_done) struct buf a = BUF_INIT((size_t)8 << 20);
		CLEANUP(buf_done) struct buf b = BUF_INIT((size_t)8 << 20);
		CLEANUP(freep) char *body = calloc(sizes[i] + 1, 1);

		assert_non_null(body);
		memset(body, 'x', sizes[i]);
		wire_len(&a, 5, sizes[i]);
		buf_add(&a, body, sizes[i]);
		wire_bytes(&a, 1, SV("end"));
		wire_bytes(&b, 5, (struct sv){body, sizes[i]});
		wire_bytes(&b, 1, SV("end"));
		check(&a, buf_view(&b));
	}
}

/* A full buffer stays failed, whatever is called on it. */
static void
test_ceiling(void **state)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(8);

	(void)state;
	wire_len(&b, 1, 8);
	wire_len(&b, 1, 6);
	wire_bytes(&b, 1, SV("text"));
	assert_false(buf_ok(&b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_varint),  cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_nested),  cmocka_unit_test(test_nested_sizes),
	    cmocka_unit_test(test_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
