/* Maps: keys of any bytes, order, replacing, and who frees what. */
#include "base/map.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void
test_put_get(void **state)
{
	struct map m = MAP_INIT;
	char key[] = "key";
	int one, two;
	void *old = &two;
	struct err err;

	(void)state;
	assert_null(map_get(&m, SV("key")));
	assert_int_equal(map_count(&m), 0);
	assert_int_equal(map_put(&m, sv_of(key), &one, &old, &err), 0);
	assert_null(old);
	key[0] = 'x'; /* the map has its own copy */
	assert_ptr_equal(map_get(&m, SV("key")), &one);
	assert_int_equal(map_put(&m, SV("key"), &two, &old, &err), 0);
	assert_ptr_equal(old, &one);
	assert_ptr_equal(map_get(&m, SV("key")), &two);
	assert_int_equal(map_put(&m, SV("key"), &one, NULL, &err), 0);
	assert_int_equal(map_count(&m), 1);
	map_done(&m, NULL);
	assert_int_equal(map_count(&m), 0);
	assert_null(map_get(&m, SV("key")));
}

static void
test_any_bytes(void **state)
{
	struct map m = MAP_INIT;
	int v[4];

	(void)state;
	assert_int_equal(map_put(&m, SV(""), &v[0], NULL, NULL), 0);
	assert_int_equal(map_put(&m, SV("a"), &v[1], NULL, NULL), 0);
	assert_int_equal(map_put(&m, SV("a\0"), &v[2], NULL, NULL), 0);
	assert_int_equal(map_put(&m, SV("a\0b"), &v[3], NULL, NULL), 0);
	assert_int_equal(map_count(&m), 4);
	assert_ptr_equal(map_get(&m, SV("")), &v[0]);
	assert_ptr_equal(map_get(&m, (struct sv){NULL, 0}), &v[0]);
	assert_ptr_equal(map_get(&m, SV("a")), &v[1]);
	assert_ptr_equal(map_get(&m, SV("a\0")), &v[2]);
	assert_ptr_equal(map_get(&m, SV("a\0b")), &v[3]);
	map_done(&m, NULL);
}

static void
collect(struct sv key, void *value, void *arg)
{
	(void)value;
	buf_sv(arg, key);
	buf_ch(arg, ' ');
}

static void
test_order(void **state)
{
	struct map m = MAP_INIT;
	struct buf seen = BUF_INIT(100);
	int v;

	(void)state;
	assert_int_equal(map_put(&m, SV("c"), &v, NULL, NULL), 0);
	assert_int_equal(map_put(&m, SV("a"), &v, NULL, NULL), 0);
	assert_int_equal(map_put(&m, SV("b"), &v, NULL, NULL), 0);
	assert_int_equal(map_put(&m, SV("a"), &v, NULL, NULL), 0); /* keeps its place */
	map_each(&m, collect, &seen);
	assert_string_equal(buf_cstr(&seen), "c a b ");
	assert_ptr_equal(map_del(&m, SV("c")), &v);
	assert_null(map_del(&m, SV("c")));
	assert_int_equal(map_put(&m, SV("c"), &v, NULL, NULL), 0);
	buf_reset(&seen);
	map_each(&m, collect, &seen);
	assert_string_equal(buf_cstr(&seen), "a b c ");
	map_done(&m, NULL);
	buf_done(&seen);
}

static void
test_many(void **state)
{
	struct map m = MAP_INIT;
	char key[16];

	(void)state;
	for (uintptr_t i = 1; i <= 20000; i++) {
		(void)snprintf(key, sizeof(key), "k%zu", (size_t)i);
		assert_int_equal(map_put(&m, sv_of(key), malloc(1), NULL, NULL), 0);
	}
	assert_int_equal(map_count(&m), 20000);
	for (uintptr_t i = 1; i <= 20000; i += 2) {
		(void)snprintf(key, sizeof(key), "k%zu", (size_t)i);
		free(map_del(&m, sv_of(key)));
		assert_null(map_get(&m, sv_of(key)));
	}
	assert_int_equal(map_count(&m), 10000);
	map_done(&m, free); /* the leak sanitizer counts */
}

static void
test_empty(void **state)
{
	struct map m = MAP_INIT;

	(void)state;
	assert_null(map_del(&m, SV("x")));
	map_each(&m, collect, NULL);
	map_done(&m, free);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_put_get), cmocka_unit_test(test_any_bytes),
	    cmocka_unit_test(test_order),   cmocka_unit_test(test_many),
	    cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
