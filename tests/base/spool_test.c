/*
 * Bytes that may be too many for memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/spool.h"

static char
byte_at(uint64_t at)
{
	return (char)(mix64(at / 8) >> at % 8 * 8);
}

static void
add_until(struct spool *s, uint64_t size, size_t most)
{
	char *piece = malloc(most);
	struct err err;

	assert_non_null(piece);
	for (uint64_t draw = 1, at; (at = spool_size(s)) < size; draw++) {
		size_t n = (size_t)(mix64(draw) % most) + 1;

		n = n < size - at ? n : (size_t)(size - at);
		for (size_t i = 0; i < n; i++)
			piece[i] = byte_at(at + i);
		assert_int_equal(spool_add(s, (struct sv){piece, n}, &err), 0);
	}
	free(piece);
}

static int
check_piece(void *arg, struct sv piece, struct err *err)
{
	uint64_t *at = arg;

	(void)err;
	assert_true(piece.n && piece.n <= SPOOL_PIECE);
	for (size_t i = 0; i < piece.n; i++)
		if (piece.p[i] != byte_at(*at + i))
			fail_msg("byte %llu", (unsigned long long)(*at + i));
	*at += piece.n;
	return 0;
}

static void
test_what_goes_in_comes_out(void **state)
{
	static const uint64_t sizes[] = {0, 1, SPOOL_MEMORY, SPOOL_MEMORY + 1,
					 5 * SPOOL_MEMORY + 77};
	struct spool s = SPOOL_INIT;
	struct err err;

	(void)state;
	for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++)
		for (size_t most = 1000; most < 2000000; most *= 30) {
			struct buf all = BUF_INIT(8 * SPOOL_MEMORY);
			uint64_t at = 0;

			add_until(&s, sizes[k], most);
			assert_int_equal(s.fd >= 0, sizes[k] > SPOOL_MEMORY);
			assert_int_equal(spool_each(&s, check_piece, &at, &err), 0);
			assert_int_equal(at, sizes[k]);
			assert_int_equal(spool_load(&s, &all, &err), 0);
			assert_int_equal(all.n, sizes[k]);
			for (size_t i = 0; i < all.n; i++)
				assert_true(all.p[i] == byte_at(i));
			buf_done(&all);
			spool_done(&s);
		}
}

/* On both sides of where the file ends. */
static void
test_any_piece_can_be_read(void **state)
{
	const uint64_t size = 3 * SPOOL_MEMORY + 1000;
	struct spool s = SPOOL_INIT;
	char p[5000];
	struct err err;

	(void)state;
	add_until(&s, size, 5000);
	assert_true(s.filed > 0 && s.tail.n > 0);
	for (uint64_t at = s.filed - 6000; at < s.filed + 1000; at += 7) {
		size_t n = (size_t)(mix64(at) % sizeof(p));

		n = n < size - at ? n : (size_t)(size - at);
		assert_int_equal(spool_read(&s, at, p, n, &err), 0);
		for (size_t i = 0; i < n; i++)
			assert_true(p[i] == byte_at(at + i));
	}
	assert_int_equal(spool_read(&s, size, p, 0, &err), 0);
	assert_int_equal(spool_read(&s, size, p, 1, &err), -1);
	assert_int_equal(spool_read(&s, size + 1, p, 0, &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	spool_done(&s);
}

/* What is settled is read as before, takes no memory where there is a file, and can be added to. */
static void
test_settled(void **state)
{
	static const uint64_t sizes[] = {
	    0, 1000, SPOOL_MEMORY, SPOOL_MEMORY + 1, 7 * SPOOL_MEMORY / 4, 5 * SPOOL_MEMORY + 77};
	struct spool s = SPOOL_INIT;
	struct err err;

	(void)state;
	for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
		uint64_t at = 0;

		add_until(&s, sizes[k], 3000);
		assert_true(s.fd < 0 || s.tail.cap <= 2 * SPOOL_TAIL);
		assert_int_equal(spool_settle(&s, &err), 0);
		assert_true(s.fd >= 0 ? !s.tail.cap : s.tail.n == sizes[k]);
		add_until(&s, sizes[k] + 5000, 3000);
		assert_int_equal(spool_each(&s, check_piece, &at, &err), 0);
		assert_int_equal(at, sizes[k] + 5000);
		spool_done(&s);
	}
}

static int
refuse(void *arg, struct sv piece, struct err *err)
{
	(void)arg;
	(void)piece;
	return err_set(err, ERR_DATA, "no");
}

static void
test_failures(void **state)
{
	struct spool s = SPOOL_INIT;
	struct buf small = BUF_INIT(10);
	struct err err;

	(void)state;
	add_until(&s, 1000, 100);
	assert_int_equal(spool_each(&s, refuse, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_DATA);
	assert_int_equal(spool_load(&s, &small, &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	buf_done(&small);
	/* No folder, no file: but what fits in memory needs none. */
	assert_int_equal(setenv("TMPDIR", "/nonexistent/folder", 1), 0);
	add_until(&s, SPOOL_MEMORY, 1000);
	assert_int_equal(spool_add(&s, SV("x"), &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_non_null(strstr(err.msg, "/nonexistent/folder"));
	assert_int_equal(unsetenv("TMPDIR"), 0);
	spool_done(&s);
}

struct seen {
	const uint64_t *from; /* of each byte */
	size_t n;
};

static int
compare_piece(void *arg, struct sv piece, struct err *err)
{
	struct seen *seen = arg;

	(void)err;
	for (size_t i = 0; i < piece.n; i++)
		assert_true(piece.p[i] == byte_at(seen->from[seen->n + i]));
	seen->n += piece.n;
	return 0;
}

static void
test_view(void **state)
{
	static const struct {
		uint64_t at, n;
	} parts[] = {{300000, 200000}, {5, 0}, {0, 3}, {499000, 70000}, {1000, 1}};
	static uint64_t from[270004];
	struct spool s = SPOOL_INIT, other = SPOOL_INIT, view = SPOOL_INIT;
	struct seen seen = {from, 0};
	struct err err;
	size_t n = 0;
	char p[5000];

	(void)state;
	add_until(&s, 600000, 5000);
	assert_true(s.filed > 0 && s.tail.n > 0);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		assert_int_equal(spool_add_part(&view, &s, parts[i].at, parts[i].n, &err), 0);
		for (uint64_t k = 0; k < parts[i].n; k++)
			from[n++] = parts[i].at + k;
	}
	assert_int_equal(spool_size(&view), n);
	assert_int_equal(spool_each(&view, compare_piece, &seen, &err), 0);
	assert_int_equal(seen.n, n);
	for (uint64_t draw = 1; draw < 2000; draw++) {
		uint64_t at = draw % 3 ? mix64(draw) % n : 199000 + mix64(draw) % 1100;
		size_t len = (size_t)(mix64(draw + 1) % sizeof(p));

		len = len < n - at ? len : (size_t)(n - at);
		assert_int_equal(spool_read(&view, at, p, len, &err), 0);
		for (size_t i = 0; i < len; i++)
			assert_true(p[i] == byte_at(from[at + i]));
	}
	assert_int_equal(spool_read(&view, n, p, 1, &err), -1);
	/* It is nothing else. */
	assert_int_equal(spool_add(&view, SV("x"), &err), -1);
	assert_int_equal(spool_add_part(&view, &other, 0, 0, &err), -1);
	assert_int_equal(spool_add_part(&s, &other, 0, 0, &err), -1);
	spool_done(&view);
	assert_int_equal(spool_size(&view), 0);
	assert_int_equal(spool_add(&view, SV("x"), &err), 0);
	spool_done(&view);
	spool_done(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_goes_in_comes_out),
	    cmocka_unit_test(test_any_piece_can_be_read),
	    cmocka_unit_test(test_settled),
	    cmocka_unit_test(test_failures),
	    cmocka_unit_test(test_view),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
