/* Arenas: alignment, zeroed memory, ceilings, and what a reset keeps. */
#include "base/arena.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"

static bool
is_zero(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

static void
test_aligned_and_zeroed(void **state)
{
	CLEANUP(arena_done) struct arena a = ARENA_INIT((size_t)64 << 20);

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t n = 0; n < 3000; n += 7) {
			unsigned char *p = arena_alloc(&a, n);

			assert_non_null(p);
			assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
			assert_true(is_zero(p, n));
			memset(p, 0xAA, n);
		}
		arena_reset(&a);
		assert_int_equal(a.used, 0);
	}
}

static void
test_pieces_do_not_overlap(void **state)
{
	CLEANUP(arena_done) struct arena a = ARENA_INIT((size_t)64 << 20);
	unsigned char *p[500];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		/* Some are larger than the largest ordinary block. */
		p[i] = arena_alloc(&a, i % 100 == 99 ? (size_t)2 << 20 : i);
		assert_non_null(p[i]);
		memset(p[i], (int)(i & 0xFF), i);
	}
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		for (size_t k = 0; k < i; k++)
			assert_int_equal(p[i][k], i & 0xFF);
}

static void
test_ceiling(void **state)
{
	CLEANUP(arena_done) struct arena a = ARENA_INIT(1024);

	(void)state;
	assert_null(arena_alloc(&a, 1025));
	assert_non_null(arena_alloc(&a, 1000));
	assert_null(arena_alloc(&a, 100));
	arena_reset(&a);
	assert_non_null(arena_alloc(&a, 1024));
	assert_null(arena_alloc(&a, 0));
}

static void
test_overflow(void **state)
{
	CLEANUP(arena_done) struct arena a = ARENA_INIT(SIZE_MAX);

	(void)state;
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_alloc(&a, SIZE_MAX - 8));
	assert_null(arena_array(&a, SIZE_MAX / 2, 4));
	assert_null(arena_strdup(&a, (struct sv){"x", SIZE_MAX}));
	assert_non_null(arena_array(&a, 10, 10));
}

static void
test_strdup(void **state)
{
	CLEANUP(arena_done) struct arena a = ARENA_INIT(1000);

	(void)state;
	assert_memory_equal(arena_strdup(&a, SV("a\0b")), "a\0b", 4);
	assert_string_equal(arena_strdup(&a, (struct sv){NULL, 0}), "");
}

/* After a reset the largest block serves again: the same work takes no new memory. */
static void
test_reset_keeps_the_largest(void **state)
{
	CLEANUP(arena_done) struct arena a = ARENA_INIT((size_t)64 << 20);
	const void *kept;

	(void)state;
	assert_non_null(arena_alloc(&a, 100));
	kept = arena_alloc(&a, (size_t)3 << 20);
	assert_non_null(kept);
	arena_reset(&a);
	assert_ptr_equal(arena_alloc(&a, 100), kept);
	assert_non_null(arena_alloc(&a, (size_t)2 << 20));
}

/* That it is wiped shows in tests/aws_lib/wipe_test.c. */
static void
test_wipe(void **state)
{
	struct arena a = ARENA_INIT((size_t)64 << 20);

	(void)state;
	assert_non_null(arena_alloc(&a, 100));
	assert_non_null(arena_alloc(&a, (size_t)1 << 20));
	arena_wipe(&a);
	assert_null(a.head);
	assert_int_equal(a.used, 0);
	assert_non_null(arena_alloc(&a, 100));
	arena_wipe(&a);
}

static void
test_empty(void **state)
{
	struct arena a = ARENA_INIT(10);

	(void)state;
	arena_reset(&a);
	arena_done(&a);
	assert_null(a.head);
	arena_done(&a);
	arena_wipe(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_aligned_and_zeroed),
	    cmocka_unit_test(test_pieces_do_not_overlap),
	    cmocka_unit_test(test_ceiling),
	    cmocka_unit_test(test_overflow),
	    cmocka_unit_test(test_strdup),
	    cmocka_unit_test(test_reset_keeps_the_largest),
	    cmocka_unit_test(test_wipe),
	    cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
