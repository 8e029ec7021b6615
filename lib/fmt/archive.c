/*
 * .tar.zst by libarchive. Cassettes travel: they are mailed, committed, and replayed by machines
 * that did not make them. So writing leaves out all that tells where and when it was done, and
 * reading believes nothing: two formats only, plain files only, limits before memory.
 */
#include "fmt/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/map.h"

#define PATH_MAX_BYTES 240
#define ENTRY_MODE     0644
#define ENTRY_TIME     946684800 /* 2000-01-01, so that tar shows something sensible */
#define LEVEL	       "9"
#define CHUNK	       ((size_t)64 << 10)

bool
archive_path_valid(const char *path)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._=-/";
	size_t n = strlen(path), part;

	if (n == 0 || n > PATH_MAX_BYTES || path[strspn(path, allowed)] != '\0')
		return false;
	for (const char *p = path;; p += part + 1) {
		part = strcspn(p, "/");
		if (part == 0 || (part == 1 && p[0] == '.') ||
		    (part == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		if (p[part] == '\0')
			return true;
	}
}

/* Counts one more file against the limits. */
struct tally {
	const struct archive_limits *limits;
	size_t entries, total;
};

static int
tally_add(struct tally *t, const char *path, size_t bytes, struct err *err)
{
	const struct archive_limits *l = t->limits;

	if (t->entries >= l->max_entries)
		return err_set(err, ERR_DATA, "more than %zu files", l->max_entries);
	if (bytes > l->max_entry)
		return err_set(err, ERR_DATA, "%s: larger than %zu bytes", path, l->max_entry);
	if (bytes > l->max_total - t->total)
		return err_set(err, ERR_DATA, "more than %zu bytes in all", l->max_total);
	t->entries++;
	t->total += bytes;
	return 0;
}

/* ---- writing ---- */

struct archive_out {
	struct archive *a;
	struct archive_limits limits;
	struct tally tally;
	struct buf bytes;
};

static int
failed(struct archive *a, const char *what, struct err *err)
{
	const char *why = archive_error_string(a);

	return err_set(err, ERR_LOCAL, "%s: %s", what, why ? why : "libarchive failed");
}

static la_ssize_t
take_bytes(struct archive *a, void *arg, const void *p, size_t n)
{
	struct archive_out *o = arg;

	buf_add(&o->bytes, p, n);
	if (buf_ok(&o->bytes))
		return (la_ssize_t)n;
	archive_set_error(a, -1, "no memory for the archive");
	return -1;
}

int
archive_out_new(const struct archive_limits *limits, struct archive_out **ret, struct err *err)
{
	struct archive_out *o = calloc(1, sizeof(*o));

	if (!o)
		return err_nomem(err);
	o->limits = *limits;
	o->tally.limits = &o->limits;
	o->bytes = BUF_INIT(limits->max_total);
	o->a = archive_write_new();
	if (!o->a) {
		free(o);
		return err_nomem(err);
	}
	if (archive_write_set_format_pax_restricted(o->a) != ARCHIVE_OK ||
	    archive_write_add_filter_zstd(o->a) != ARCHIVE_OK ||
	    archive_write_set_filter_option(o->a, "zstd", "compression-level", LEVEL) !=
		ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(o->a, 1) != ARCHIVE_OK ||
	    archive_write_open(o->a, o, NULL, take_bytes, NULL) != ARCHIVE_OK) {
		(void)failed(o->a, "archive", err);
		archive_out_free(o);
		return -1;
	}
	*ret = o;
	return 0;
}

static void
entry_freep(struct archive_entry **e)
{
	archive_entry_free(*e);
}

int
archive_out_add(struct archive_out *o, const char *path, struct sv body, struct err *err)
{
	CLEANUP(entry_freep) struct archive_entry *e = archive_entry_new();

	if (!e)
		return err_nomem(err);
	if (!archive_path_valid(path))
		return err_set(err, ERR_USAGE, "not a path for an archive: %.100s", path);
	if (tally_add(&o->tally, path, body.n, err))
		return -1;
	archive_entry_set_pathname(e, path);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, ENTRY_MODE);
	archive_entry_set_mtime(e, ENTRY_TIME, 0);
	archive_entry_set_size(e, (la_int64_t)body.n);
	if (archive_write_header(o->a, e) != ARCHIVE_OK)
		return failed(o->a, path, err);
	while (body.n > 0) {
		la_ssize_t n = archive_write_data(o->a, body.p, body.n);

		if (n <= 0)
			return failed(o->a, path, err);
		body.p += n;
		body.n -= (size_t)n;
	}
	return 0;
}

int
archive_out_finish(struct archive_out *o, struct buf *out, struct err *err)
{
	if (archive_write_close(o->a) != ARCHIVE_OK)
		return failed(o->a, "archive", err);
	buf_sv(out, buf_view(&o->bytes));
	return buf_check(out, "archive", err);
}

void
archive_out_free(struct archive_out *o)
{
	if (!o)
		return;
	(void)archive_write_free(o->a);
	buf_done(&o->bytes);
	free(o);
}

/* ---- reading ---- */

struct reader {
	struct archive *a;
	struct tally tally;
	struct map seen;
	struct buf body;
};

static void
reader_done(struct reader *r)
{
	(void)archive_read_free(r->a);
	map_done(&r->seen, NULL);
	buf_done(&r->body);
}

static int
broken(struct archive *a, struct err *err)
{
	const char *why = archive_error_string(a);

	return err_set(err, ERR_DATA, "not a sound .tar.zst: %s", why ? why : "unknown reason");
}

/* The body as far as the limits allow; what the header says of its size is not believed. */
static int
read_body(struct reader *r, const char *path, struct err *err)
{
	size_t max = r->tally.limits->max_entry;
	char chunk[CHUNK];
	la_ssize_t n;

	buf_reset(&r->body);
	r->body.max = max;
	while ((n = archive_read_data(r->a, chunk, sizeof(chunk))) > 0) {
		if ((size_t)n > max - r->body.n)
			return err_set(err, ERR_DATA, "%s: larger than %zu bytes", path, max);
		buf_add(&r->body, chunk, (size_t)n);
		if (!buf_ok(&r->body))
			return err_nomem(err);
	}
	if (n < 0)
		return broken(r->a, err);
	return tally_add(&r->tally, path, r->body.n, err);
}

static int
read_entry(struct reader *r, struct archive_entry *e,
	   int (*fn)(void *arg, const char *path, struct sv body, struct err *err), void *arg,
	   struct err *err)
{
	const char *path = archive_entry_pathname(e);
	static char mark;

	if (archive_entry_filetype(e) == AE_IFDIR)
		return tally_add(&r->tally, "a folder", 0, err);
	if (archive_entry_filetype(e) != AE_IFREG || archive_entry_hardlink(e))
		return err_set(err, ERR_DATA, "holds something else than plain files");
	if (!path || !archive_path_valid(path))
		return err_set(err, ERR_DATA, "holds a file with a bad name");
	if (map_get(&r->seen, sv_of(path)))
		return err_set(err, ERR_DATA, "%s is in it twice", path);
	if (map_put(&r->seen, sv_of(path), &mark, NULL, err) || read_body(r, path, err))
		return -1;
	return fn(arg, path, buf_view(&r->body), err);
}

int
archive_in_each(struct sv bytes, const struct archive_limits *limits,
		int (*fn)(void *arg, const char *path, struct sv body, struct err *err), void *arg,
		struct err *err)
{
	CLEANUP(reader_done)
	struct reader r = {.a = archive_read_new(), .tally = {.limits = limits}, .seen = MAP_INIT};
	struct archive_entry *e;
	int s;

	if (!r.a)
		return err_nomem(err);
	if (archive_read_support_filter_zstd(r.a) != ARCHIVE_OK ||
	    archive_read_support_format_tar(r.a) != ARCHIVE_OK ||
	    archive_read_open_memory(r.a, bytes.p, bytes.n) != ARCHIVE_OK)
		return broken(r.a, err);
	while ((s = archive_read_next_header(r.a, &e)) == ARCHIVE_OK)
		if (read_entry(&r, e, fn, arg, err))
			return -1;
	return s == ARCHIVE_EOF ? 0 : broken(r.a, err);
}
