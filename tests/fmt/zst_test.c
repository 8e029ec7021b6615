/* zstd: round trips, equal bytes for equal input, and input that is broken or too good. */
#include "fmt/zst.h"

#include <pthread.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"

#define LEVEL 3

static void
fill(char *p, size_t n)
{
	uint32_t x = 7;

	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = (char)('a' + (x >> 30));
	}
}

static void
check_round_trip(struct sv data, int level)
{
	CLEANUP(buf_done) struct buf packed = BUF_INIT((size_t)8 << 20);
	CLEANUP(buf_done) struct buf again = BUF_INIT((size_t)8 << 20);
	CLEANUP(buf_done) struct buf back = BUF_INIT(data.n);
	struct err err;

	assert_int_equal(zst_compress(data, level, &packed, &err), 0);
	assert_int_equal(zst_compress(data, level, &again, &err), 0);
	assert_true(sv_eq(buf_view(&packed), buf_view(&again)));
	assert_int_equal(zst_decompress(buf_view(&packed), &back, &err), 0);
	assert_true(sv_eq(buf_view(&back), data));
}

static void
test_round_trip(void **state)
{
	const size_t n = (size_t)3 << 20;
	CLEANUP(freep) char *data = malloc(n);

	(void)state;
	assert_non_null(data);
	fill(data, n);
	check_round_trip((struct sv){data, n}, LEVEL);
	check_round_trip((struct sv){data, n}, 1);
	check_round_trip((struct sv){data, 1000}, 19);
	check_round_trip(SV("x"), LEVEL);
	check_round_trip(SV(""), LEVEL);
	memset(data, 0, n);
	check_round_trip((struct sv){data, n}, LEVEL);
}

#define THREADS 12

static void *
compress_often(void *arg)
{
	struct buf out = BUF_INIT((size_t)1 << 20);
	const struct sv *data = arg;
	uintptr_t bad = 0;
	size_t n = 0;

	for (int i = 0; i < 20; i++) {
		buf_reset(&out);
		bad += zst_compress(*data, i % 5 ? LEVEL : 1, &out, NULL) != 0;
		if (i % 5 && n)
			bad += out.n != n;
		if (i % 5)
			n = out.n;
	}
	buf_done(&out);
	return (void *)bad;
}

/* More threads than compressors: each waits for its turn, and the levels of others do not show. */
static void
test_threads(void **state)
{
	pthread_t threads[THREADS];
	char text[20000];
	struct sv data = {text, sizeof(text)};
	void *bad;

	(void)state;
	fill(text, sizeof(text));
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, compress_often, &data), 0);
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &bad), 0);
		assert_null(bad);
	}
}

static int
add_back(void *arg, struct sv piece, struct err *err)
{
	buf_sv(arg, piece);
	return buf_check(arg, "back", err);
}

/* Pieces of any size give the bytes of one piece. */
static void
check_pieces(struct sv data, size_t piece)
{
	CLEANUP(buf_done) struct buf whole = BUF_INIT((size_t)8 << 20);
	CLEANUP(buf_done) struct buf packed = BUF_INIT((size_t)8 << 20);
	CLEANUP(buf_done) struct buf back = BUF_INIT(data.n);
	struct spool spool = SPOOL_INIT;
	struct zst_pack *z = NULL;
	struct err err;

	assert_int_equal(zst_compress(data, LEVEL, &whole, &err), 0);
	assert_int_equal(zst_pack_new(LEVEL, data.n, &spool, &z, &err), 0);
	for (size_t at = 0; at < data.n; at += piece) {
		size_t n = data.n - at < piece ? data.n - at : piece;

		assert_int_equal(zst_pack_add(z, (struct sv){data.p + at, n}, &err), 0);
	}
	assert_int_equal(zst_pack_end(z, &err), 0);
	zst_pack_free(z);
	assert_int_equal(spool_load(&spool, &packed, &err), 0);
	assert_true(sv_eq(buf_view(&packed), buf_view(&whole)));
	assert_int_equal(zst_unpack(&spool, add_back, &back, &err), 0);
	assert_true(sv_eq(buf_view(&back), data));
	spool_done(&spool);
}

static void
test_pieces(void **state)
{
	static const size_t sizes[] = {0,      1,	131071,	 131072, 131073,
				       262144, 2097152, 2097153, 3000001};
	static const size_t pieces[] = {777, 131072, 131071, 1000000, 4000000};
	CLEANUP(freep) char *data = malloc(3000001);

	(void)state;
	assert_non_null(data);
	fill(data, 3000001);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		for (size_t k = 0; k < ARRAY_LEN(pieces); k++)
			check_pieces((struct sv){data, sizes[i]}, pieces[k]);
}

static void
test_what_was_not_announced(void **state)
{
	struct spool spool = SPOOL_INIT;
	struct zst_pack *z = NULL;
	struct err err;

	(void)state;
	assert_int_equal(zst_pack_new(LEVEL, 5, &spool, &z, &err), 0);
	assert_int_equal(zst_pack_add(z, SV("four"), &err), 0);
	assert_int_equal(zst_pack_end(z, &err), -1);
	assert_int_equal(zst_pack_add(z, SV("56"), &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	zst_pack_free(z);
	/* A frame that is cut off. */
	spool_done(&spool);
	assert_int_equal(spool_add(&spool, SV("\x28\xB5\x2F\xFD"), &err), 0);
	assert_int_equal(zst_unpack(&spool, add_back, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_DATA);
	spool_done(&spool);
}

static void
test_frames(void **state)
{
	CLEANUP(buf_done) struct buf packed = BUF_INIT(1000), back = BUF_INIT(1000);
	struct err err;

	(void)state;
	assert_int_equal(zst_compress(SV("one "), LEVEL, &packed, &err), 0);
	assert_int_equal(zst_compress(SV("two"), LEVEL, &packed, &err), 0);
	assert_int_equal(zst_decompress(buf_view(&packed), &back, &err), 0);
	assert_string_equal(buf_cstr(&back), "one two");
	/* The content checksum and size are there: 4 bytes magic, then the frame header's flags. */
	assert_memory_equal(packed.p, "\x28\xB5\x2F\xFD", 4);
	assert_int_equal(packed.p[4] & 0x24, 0x24);
}

static void
check_bad(struct sv in, const char *msg)
{
	CLEANUP(buf_done) struct buf back = BUF_INIT(100000);
	struct err err;

	assert_int_equal(zst_decompress(in, &back, &err), -1);
	assert_int_equal(err.kind, ERR_DATA);
	if (msg)
		assert_string_equal(err.msg, msg);
	else
		assert_memory_equal(err.msg, "zstd: ", 6);
}

static void
test_broken(void **state)
{
	CLEANUP(buf_done) struct buf packed = BUF_INIT(100000);
	char data[20000];

	(void)state;
	fill(data, sizeof(data));
	assert_int_equal(zst_compress((struct sv){data, sizeof(data)}, LEVEL, &packed, NULL), 0);
	check_bad(SV(""), "zstd: the data is cut off");
	check_bad(SV("not zstd at all"), "zstd: Unknown frame descriptor");
	for (size_t n = 1; n < packed.n; n += 1 + packed.n / 200)
		check_bad((struct sv){packed.p, n}, "zstd: the data is cut off");
	check_bad((struct sv){packed.p, packed.n - 1}, "zstd: the data is cut off");
	packed.p[packed.n - 1] ^= 1;
	check_bad(buf_view(&packed), "zstd: Restored data doesn't match checksum");
	packed.p[packed.n - 1] ^= 1;
	buf_str(&packed, "behind");
	check_bad(buf_view(&packed), "zstd: Unknown frame descriptor");
	buf_reset(&packed);
	assert_int_equal(zst_compress(SV("x"), LEVEL, &packed, NULL), 0);
	buf_ch(&packed, '\0');
	check_bad(buf_view(&packed), NULL);
}

static void
test_ceilings(void **state)
{
	const size_t n = (size_t)64 << 20;
	CLEANUP(buf_done) struct buf packed = BUF_INIT(100000), back = BUF_INIT(1000000);
	CLEANUP(buf_done) struct buf tiny = BUF_INIT(10);
	CLEANUP(freep) char *zeros = calloc(n, 1);
	struct err err;

	(void)state;
	assert_non_null(zeros);
	assert_int_equal(zst_compress((struct sv){zeros, n}, LEVEL, &packed, &err), 0);
	assert_true(packed.n < 10000);
	assert_int_equal(zst_decompress(buf_view(&packed), &back, &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_string_equal(err.msg, "zstd: larger than 1000000 bytes");
	assert_true(back.cap <= 2 * 1000000);
	assert_int_equal(zst_compress(SV("0123456789"), LEVEL, &tiny, &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_frames),
	    cmocka_unit_test(test_pieces),
	    cmocka_unit_test(test_what_was_not_announced),
	    cmocka_unit_test(test_broken),
	    cmocka_unit_test(test_ceilings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
