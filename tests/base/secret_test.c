/* Secrets: copies, replacing and emptying. That freed bytes are wiped cannot be asked without
 * reading freed memory. */
#include "base/secret.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void
test_set(void **state)
{
	struct secret s = {0};
	char source[] = "key";
	struct err err;

	(void)state;
	assert_int_equal(secret_set(&s, sv_of(source), &err), 0);
	source[0] = 'x';
	assert_string_equal(s.p, "key");
	assert_int_equal(s.n, 3);
	assert_int_equal(secret_set(&s, SV("other"), &err), 0);
	assert_string_equal(s.p, "other");
	assert_int_equal(secret_set(&s, SV(""), &err), 0);
	assert_null(s.p);
	assert_int_equal(s.n, 0);
	secret_done(&s);
	secret_done(&s);
}

/* The new value may be a part of the old one. */
static void
test_set_from_itself(void **state)
{
	struct secret s = {0};

	(void)state;
	assert_int_equal(secret_set(&s, SV("abcdef"), NULL), 0);
	assert_int_equal(secret_set(&s, (struct sv){s.p + 2, 3}, NULL), 0);
	assert_string_equal(s.p, "cde");
	assert_int_equal(secret_copy(&s, &s, NULL), 0);
	assert_string_equal(s.p, "cde");
	secret_done(&s);
}

static void
test_copy(void **state)
{
	struct secret a = {0}, b = {0};

	(void)state;
	assert_int_equal(secret_set(&a, SV("a\0b"), NULL), 0);
	assert_int_equal(secret_copy(&b, &a, NULL), 0);
	assert_int_equal(b.n, 3);
	assert_memory_equal(b.p, "a\0b", 4);
	assert_ptr_not_equal(a.p, b.p);
	secret_done(&a);
	assert_int_equal(secret_copy(&b, &a, NULL), 0);
	assert_null(b.p);
}

static void
test_wipe_buf(void **state)
{
	struct buf b = BUF_INIT(100);

	(void)state;
	secret_wipe_buf(&b);
	buf_str(&b, "secret");
	secret_wipe_buf(&b);
	assert_null(b.p);
	assert_int_equal(b.n, 0);
	assert_int_equal(b.max, 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_set),
	    cmocka_unit_test(test_set_from_itself),
	    cmocka_unit_test(test_copy),
	    cmocka_unit_test(test_wipe_buf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
