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
		CLEANUP(buf_done) struct buf b = BUF_INIT(100);

		wire_varint(&b, rows[i].v);
		check(&b, rows[i].bytes);
		assert_int_equal(wire_varint_len(rows[i].v), rows[i].bytes.n);
	}
}

static void
test_fields(void **state)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(1000);

	(void)state;
	wire_u64(&b, 1, 150);
	wire_i64(&b, 2, -1);
	wire_fixed64(&b, 3, 0x0102030405060708);
	wire_double(&b, 1, 1.0);
	wire_double(&b, 1, -0.0);
	wire_bytes(&b, 2, SV("testing"));
	wire_bytes(&b, 2, SV(""));
	wire_u64(&b, 16, 0);
	wire_u64(&b, 536870911, 0);
	check(&b, SV("\x08\x96\x01"
		     "\x10\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"
		     "\x19\x08\x07\x06\x05\x04\x03\x02\x01"
		     "\x09\x00\x00\x00\x00\x00\x00\xF0\x3F"
		     "\x09\x00\x00\x00\x00\x00\x00\x00\x80"
		     "\x12\x07testing"
		     "\x12\x00"
		     "\x80\x01\x00"
		     "\xF8\xFF\xFF\xFF\x0F\x00"));
}

/* Remote write: WriteRequest{timeseries: {labels: {name, value}, samples: {value, timestamp}}}. */
static void
test_nested(void **state)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(1000);
	size_t series, part;

	(void)state;
	series = wire_begin(&b, 1);
	part = wire_begin(&b, 1);
	wire_bytes(&b, 1, SV("__name__"));
	wire_bytes(&b, 2, SV("up"));
	wire_end(&b, part);
	part = wire_begin(&b, 2);
	wire_double(&b, 1, 1.0);
	wire_i64(&b, 2, 300);
	wire_end(&b, part);
	wire_end(&b, series);
	wire_end(&b, wire_begin(&b, 3));
	check(&b, SV("\x0A\x1E"
		     "\x0A\x0E"
		     "\x0A\x08__name__"
		     "\x12\x02up"
		     "\x12\x0C"
		     "\x09\x00\x00\x00\x00\x00\x00\xF0\x3F"
		     "\x10\xAC\x02"
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
		size_t mark;

		assert_non_null(body);
		memset(body, 'x', sizes[i]);
		mark = wire_begin(&a, 5);
		buf_add(&a, body, sizes[i]);
		wire_end(&a, mark);
		wire_u64(&a, 1, 1);
		wire_bytes(&b, 5, (struct sv){body, sizes[i]});
		wire_u64(&b, 1, 1);
		check(&a, buf_view(&b));
	}
}

/* A full buffer stays failed, whatever is called on it. */
static void
test_ceiling(void **state)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(8);
	size_t outer, inner;

	(void)state;
	outer = wire_begin(&b, 1);
	inner = wire_begin(&b, 1);
	wire_bytes(&b, 1, SV("text"));
	wire_end(&b, inner);
	wire_end(&b, outer);
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
