/* Secrets: copies, replacing and emptying. That freed bytes are wiped cannot be asked without
 * reading freed memory. */
#include "base/secret.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
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

/* As buf_reserve: what is there stays, doubles at the least, and the ceiling holds. */
static void
test_reserve(void **state)
{
	struct buf b = BUF_INIT(1000);
	size_t cap;

	(void)state;
	assert_true(secret_reserve(&b, 3));
	buf_str(&b, "key");
	cap = b.cap;
	assert_true(secret_reserve(&b, 1));
	assert_int_equal(b.cap, cap);
	assert_true(secret_reserve(&b, cap));
	assert_true(b.cap >= 2 * cap);
	assert_string_equal(buf_cstr(&b), "key");
	assert_int_equal(b.max, 1000);
	assert_true(secret_reserve(&b, 997));
	assert_string_equal(buf_cstr(&b), "key");
	assert_false(secret_reserve(&b, 998));
	assert_true(b.failed && !b.no_memory);
	assert_false(secret_reserve(&b, 1));
	secret_wipe_buf(&b);
}

static void
test_read_file(void **state)
{
	struct buf b = BUF_INIT(8), large = BUF_INIT(100000);
	char path[] = "/tmp/muster-secret-XXXXXX", link_path[64];
	int fd = mkstemp(path);
	struct err err = {0};

	(void)state;
	assert_true(fd >= 0);
	(void)snprintf(link_path, sizeof(link_path), "%s.link", path);
	assert_int_equal(symlink(path, link_path), 0);
	assert_int_equal(secret_read_file(link_path, &b, NULL), 0);
	assert_string_equal(buf_cstr(&b), "");
	assert_int_equal(write(fd, "secret\n", 7), 7);
	assert_int_equal(secret_read_file(link_path, &b, NULL), 0);
	assert_string_equal(buf_cstr(&b), "secret\n");
	assert_int_equal(b.n, 7);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(write(fd, "0123456789", 10), 10);
	assert_int_equal(secret_read_file(path, &b, &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	assert_int_equal(secret_read_file(path, &large, NULL), 0);
	assert_int_equal(large.n, 10007);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(secret_read_file(link_path, &b, &err), -1);
	assert_int_equal(err.kind, ERR_NOTFOUND);
	assert_int_equal(unlink(link_path), 0);
	assert_int_equal(secret_read_file("/dev/null", &b, NULL), 0);
	assert_int_equal(secret_read_file("/", &b, &err), -1);
	assert_int_equal(err.kind, ERR_LOCAL);
	(void)close(fd);
	secret_wipe_buf(&b);
	secret_wipe_buf(&large);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_set),	    cmocka_unit_test(test_set_from_itself),
	    cmocka_unit_test(test_copy),    cmocka_unit_test(test_wipe_buf),
	    cmocka_unit_test(test_reserve), cmocka_unit_test(test_read_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
