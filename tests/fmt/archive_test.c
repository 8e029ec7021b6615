/* Archives: equal content is equal bytes, and nothing that is read is believed. */
#include "fmt/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct archive_limits roomy = {100, 1u << 20, 1u << 22};

struct found {
	size_t n;
	char names[16][64];
	size_t bytes;
	size_t stop_at; /* 0: never */
};

static int
take(void *arg, const char *path, struct sv body, struct err *err)
{
	struct found *f = arg;

	(void)snprintf(f->names[f->n % 16], sizeof(f->names[0]), "%s", path);
	f->n++;
	f->bytes += body.n;
	return f->n == f->stop_at ? err_set(err, ERR_LOCAL, "enough") : 0;
}

static void
pack(struct buf *out)
{
	struct archive_out *a = NULL;

	assert_int_equal(archive_out_new(&roomy, &a, NULL), 0);
	assert_int_equal(archive_out_add(a, "a/b.json", SV("{}"), NULL), 0);
	assert_int_equal(archive_out_add(a, "empty", SV(""), NULL), 0);
	assert_int_equal(archive_out_add(a, "c", SV("some text"), NULL), 0);
	assert_int_equal(archive_out_finish(a, out, NULL), 0);
	archive_out_free(a);
}

static void
test_round_trip(void **state)
{
	struct buf one = BUF_INIT(1u << 20), two = BUF_INIT(1u << 20);
	struct found f = {0};
	struct err err = {0};

	(void)state;
	pack(&one);
	pack(&two);
	assert_true(sv_eq(buf_view(&one), buf_view(&two)));
	assert_int_equal(archive_in_each(buf_view(&one), &roomy, take, &f, &err), 0);
	assert_int_equal(f.n, 3);
	assert_int_equal(f.bytes, 11);
	assert_string_equal(f.names[0], "a/b.json");
	f = (struct found){.stop_at = 2};
	assert_int_equal(archive_in_each(buf_view(&one), &roomy, take, &f, &err), -1);
	assert_string_equal(err.msg, "enough");
	buf_done(&one);
	buf_done(&two);
}

static void
test_paths(void **state)
{
	static const char *const bad[] = {"",	  "/a",	  "a//b", "a/",	  ".",	  "a/./b",
					  "../a", "a/..", "a b",  "a\nb", "a\\b", "\xc3\xa4"};
	static const char *const good[] = {"a", "a/b", "..a", "tenant=x/hh=03/.x", "A-1_b.c"};
	char longest[300];
	struct archive_out *a = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(archive_path_valid(bad[i]));
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(archive_path_valid(good[i]));
	memset(longest, 'x', sizeof(longest));
	longest[241] = '\0';
	assert_false(archive_path_valid(longest));
	longest[240] = '\0';
	assert_true(archive_path_valid(longest));
	assert_int_equal(archive_out_new(&roomy, &a, NULL), 0);
	assert_int_equal(archive_out_add(a, "../x", SV(""), NULL), -1);
	archive_out_free(a);
}

static void
test_limits(void **state)
{
	static const struct archive_limits few = {2, 100, 100}, small = {9, 8, 100},
					   little = {9, 100, 10};
	struct buf bytes = BUF_INIT(1u << 20);
	const struct archive_limits *const each[] = {&few, &small, &little};
	struct archive_out *a = NULL;
	struct err err;

	(void)state;
	pack(&bytes);
	for (size_t i = 0; i < 3; i++) {
		struct found f = {0};

		assert_int_equal(archive_in_each(buf_view(&bytes), each[i], take, &f, &err), -1);
		assert_int_equal(err.kind, ERR_DATA);
	}
	assert_int_equal(archive_out_new(&small, &a, NULL), 0);
	assert_int_equal(archive_out_add(a, "x", SV("123456789"), &err), -1);
	archive_out_free(a);
	buf_done(&bytes);
}

/* A bomb: little to read, much to keep. */
static void
test_bomb(void **state)
{
	static char zeros[1u << 20];
	static const struct archive_limits tight = {9, 1000, 1000};
	struct buf bytes = BUF_INIT(1u << 20);
	struct archive_out *a = NULL;
	struct found f = {0};
	struct err err;

	(void)state;
	assert_int_equal(archive_out_new(&roomy, &a, NULL), 0);
	assert_int_equal(archive_out_add(a, "zeros", (struct sv){zeros, sizeof(zeros)}, NULL), 0);
	assert_int_equal(archive_out_finish(a, &bytes, NULL), 0);
	archive_out_free(a);
	assert_true(bytes.n < 2000);
	assert_int_equal(archive_in_each(buf_view(&bytes), &tight, take, &f, &err), -1);
	assert_string_equal(err.msg, "zeros: larger than 1000 bytes");
	assert_int_equal(f.n, 0);
	buf_done(&bytes);
}

static void
test_damage(void **state)
{
	struct buf bytes = BUF_INIT(1u << 20);
	struct err err;

	(void)state;
	pack(&bytes);
	for (size_t n = 0; n < bytes.n; n++) {
		struct found f = {0};
		int r = archive_in_each((struct sv){bytes.p, n}, &roomy, take, &f, &err);

		assert_true(r == 0 || err.kind == ERR_DATA);
	}
	for (size_t i = 0; i < bytes.n; i++) {
		struct found f = {0};

		bytes.p[i] ^= 0x55;
		(void)archive_in_each(buf_view(&bytes), &roomy, take, &f, &err);
		bytes.p[i] ^= 0x55;
	}
	assert_int_equal(archive_in_each(SV("not an archive"), &roomy, take, NULL, &err), -1);
	buf_done(&bytes);
}

/* One entry as somebody else would write it. */
static size_t
foreign(char *out, size_t size, const char *path, unsigned type, const char *twice)
{
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	size_t used = 0;

	assert_int_equal(archive_write_set_format_pax_restricted(a), ARCHIVE_OK);
	assert_int_equal(archive_write_open_memory(a, out, size, &used), ARCHIVE_OK);
	for (int i = 0; i < 2; i++) {
		(void)archive_entry_clear(e);
		archive_entry_set_pathname(e, i ? twice : path);
		archive_entry_set_filetype(e, i ? AE_IFREG : type);
		archive_entry_set_perm(e, 0644);
		archive_entry_set_size(e, 0);
		if (type == AE_IFLNK && !i)
			archive_entry_set_symlink(e, "/etc/passwd");
		assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	}
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_entry_free(e);
	(void)archive_write_free(a);
	return used;
}

static void
test_foreign(void **state)
{
	static const struct {
		const char *path;
		unsigned type;
		const char *twice, *error;
	} cases[] = {
	    {"a", AE_IFREG, "b", NULL},
	    {"folder/", AE_IFDIR, "folder/b", NULL},
	    {"a", AE_IFLNK, "b", "holds something else than plain files"},
	    {"a", AE_IFIFO, "b", "holds something else than plain files"},
	    {"../../a", AE_IFREG, "b", "holds a file with a bad name"},
	    {"/a", AE_IFREG, "b", "holds a file with a bad name"},
	    {"a", AE_IFREG, "a", "a is in it twice"},
	};
	static char bytes[65536];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n =
		    foreign(bytes, sizeof(bytes), cases[i].path, cases[i].type, cases[i].twice);
		struct found f = {0};
		struct err err = {0};
		int r = archive_in_each((struct sv){bytes, n}, &roomy, take, &f, &err);

		assert_int_equal(r, cases[i].error ? -1 : 0);
		if (cases[i].error)
			assert_string_equal(err.msg, cases[i].error);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip), cmocka_unit_test(test_paths),
	    cmocka_unit_test(test_limits),     cmocka_unit_test(test_bomb),
	    cmocka_unit_test(test_damage),     cmocka_unit_test(test_foreign),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
