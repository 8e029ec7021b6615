/* Snappy blocks: known bytes, round trips, and blocks that lie about themselves. */
#include "fmt/snappy.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"

static void
test_known_bytes(void **state)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(100);
	struct err err;

	(void)state;
	/* The length, one literal of that length. */
	assert_int_equal(snappy_block_encode(SV("hello"), &b, &err), 0);
	assert_int_equal(b.n, 7);
	assert_memory_equal(b.p, "\x05\x10hello", 7);
	buf_reset(&b);
	assert_int_equal(snappy_block_encode((struct sv){NULL, 0}, &b, &err), 0);
	assert_int_equal(b.n, 1);
	assert_memory_equal(b.p, "\x00", 1);
	buf_reset(&b);
	/* "ab", then a copy of six bytes from two back. */
	assert_int_equal(snappy_block_decode(SV("\x08\x04"
						"ab\x09\x02"),
					     &b, &err),
			 0);
	assert_string_equal(buf_cstr(&b), "abababab");
}

static void
check_round_trip(struct sv data)
{
	CLEANUP(buf_done) struct buf packed = BUF_INIT((size_t)8 << 20);
	CLEANUP(buf_done) struct buf back = BUF_INIT(data.n + 4);
	struct err err;

	assert_int_equal(snappy_block_encode(data, &packed, &err), 0);
	buf_str(&back, "head"); /* results are appended */
	assert_int_equal(snappy_block_decode(buf_view(&packed), &back, &err), 0);
	assert_int_equal(back.n, data.n + 4);
	assert_memory_equal(back.p, "head", 4);
	assert_true(data.n == 0 || memcmp(back.p + 4, data.p, data.n) == 0);
	assert_int_equal(back.p[back.n], 0);
}

static void
test_round_trip(void **state)
{
	const size_t n = (size_t)1 << 20;
	CLEANUP(freep) char *data = malloc(n);
	uint32_t x = 1;

	(void)state;
	assert_non_null(data);
	memset(data, 'a', n);
	check_round_trip((struct sv){data, n});
	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		data[i] = (char)(x >> 24);
	}
	check_round_trip((struct sv){data, n});
	check_round_trip((struct sv){data, 1});
	check_round_trip(SV(""));
}

static void
test_broken(void **state)
{
	static const struct {
		struct sv in;
		const char *msg;
	} rows[] = {
	    {{"", 0}, "snappy: broken length"},
	    {{"\xFF\xFF\xFF\xFF\xFF\xFF", 6}, "snappy: broken length"},
	    {{"\x80", 1}, "snappy: broken length"},
	    {{"\x05", 1}, "snappy: broken block"},
	    {{"\x05\x10hell", 6}, "snappy: broken block"},
	    {{"\x05\x10hello!", 8}, "snappy: broken block"},
	    {{"\x04\x10hello", 7}, "snappy: broken block"},
	    {{"\x08\x04"
	      "ab\x09\x03",
	      6},
	     "snappy: broken block"},
	    {{"\x08\x04"
	      "ab\x09\x00",
	      6},
	     "snappy: broken block"},
	};
	CLEANUP(buf_done) struct buf b = BUF_INIT(100);
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(snappy_block_decode(rows[i].in, &b, &err), -1);
		assert_int_equal(err.kind, ERR_DATA);
		assert_string_equal(err.msg, rows[i].msg);
		assert_int_equal(b.n, 0);
	}
}

/* Four bytes that declare 4 GiB: refused before anything is allocated. */
static void
test_ceilings(void **state)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(100);
	struct err err;

	(void)state;
	assert_int_equal(snappy_block_decode(SV("\xFF\xFF\xFF\xFF\x0F\x00"), &b, &err), -1);
	assert_int_equal(err.kind, ERR_DATA);
	assert_string_equal(err.msg,
			    "snappy: the block declares 4294967295 bytes, at most 100 are allowed");
	assert_null(b.p);
	buf_str(&b, "12345678901234567890");
	assert_int_equal(snappy_block_decode(SV("\x51\x00"), &b, &err), -1);
	assert_string_equal(err.msg, "snappy: the block declares 81 bytes, at most 80 are allowed");
	b.max = 24;
	assert_int_equal(snappy_block_encode(SV("incompressible"), &b, &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_string_equal(err.msg, "snappy: larger than 24 bytes");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_known_bytes),
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_broken),
	    cmocka_unit_test(test_ceilings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
