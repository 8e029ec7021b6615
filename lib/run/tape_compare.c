/*
 * Comparing outputs. Lines are sorted in every file, so a difference is local: the two files are
 * walked like the two halves of a merge, and what only one of them has is shown, with as much of a
 * long line as it takes to see why.
 */
#include "run/tape_compare.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fsx.h"
#include "base/utf8.h"
#include "fmt/zst.h"

#define FILE_MAX   ((size_t)1 << 30)
#define SHOW_FILES 10 /* with their lines; the others by name only */
#define SHOW_LINES 12
#define LOOK_AHEAD 2000 /* lines within which the two halves find together again */
#define SHOW_CHARS 240
#define SHOW_LEAD  100 /* characters in front of the first that differs */

struct names {
	char **v;
	size_t n;
};

static void
names_done(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
}

/* Parts that begin with a dot are a store's own. */
static bool
is_hidden(const char *path)
{
	return path[0] == '.' || strstr(path, "/.");
}

static int
list(const char *dir, struct names *ret, struct err *err)
{
	size_t kept = 0;

	if (fsx_list(AT_FDCWD, dir, &ret->v, &ret->n, err)) {
		if (err->kind != ERR_NOTFOUND)
			return -1;
		err_clear(err);
		return 0;
	}
	for (size_t i = 0; i < ret->n; i++) {
		if (is_hidden(ret->v[i]))
			free(ret->v[i]);
		else
			ret->v[kept++] = ret->v[i];
	}
	ret->n = kept;
	return 0;
}

static int
read_packed(const char *dir, const char *name, struct buf *out, struct err *err)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT(8192);

	buf_fmt(&path, "%s/%s", dir, name);
	if (buf_check(&path, "path", err))
		return -1;
	return fsx_read(AT_FDCWD, buf_cstr(&path), out, err);
}

static int
read_content(const char *dir, const char *name, struct buf *out, struct err *err)
{
	CLEANUP(buf_done) struct buf packed = BUF_INIT(FILE_MAX);

	if (!sv_ends(sv_of(name), SV(".zst")))
		return read_packed(dir, name, out, err);
	if (read_packed(dir, name, &packed, err))
		return -1;
	if (zst_decompress(buf_view(&packed), out, err))
		return err_wrap(err, "%s/%s", dir, name);
	return 0;
}

/* ---- lines ---- */

struct side {
	struct sv rest;
	size_t line; /* of the first one in rest, from 1 */
};

static struct sv
peek(const struct side *s)
{
	const char *nl = s->rest.n ? memchr(s->rest.p, '\n', s->rest.n) : NULL;

	return (struct sv){s->rest.p, nl ? (size_t)(nl - s->rest.p) : s->rest.n};
}

static void
skip(struct side *s)
{
	size_t n = peek(s).n;

	n += n < s->rest.n;
	s->rest.p += n;
	s->rest.n -= n;
	s->line++;
}

/* How many lines ahead `want` comes; LOOK_AHEAD: not soon. */
static size_t
distance(struct side s, struct sv want)
{
	size_t n = 0;

	while (n < LOOK_AHEAD && s.rest.n && !sv_eq(peek(&s), want)) {
		skip(&s);
		n++;
	}
	return s.rest.n ? n : LOOK_AHEAD;
}

static void
show(FILE *out, char sign, struct sv line, size_t from)
{
	size_t n = line.n > from ? line.n - from : 0;
	CLEANUP(buf_done) struct buf text = BUF_INIT(4 * SHOW_CHARS + 1);
	bool cut = n > SHOW_CHARS;

	(void)fprintf(out, "%c%s", sign, from ? "..." : "");
	if (n)
		utf8_plain(&text, (struct sv){line.p + from, cut ? SHOW_CHARS : n});
	(void)fprintf(out, "%s%s\n", buf_cstr(&text), cut ? "..." : "");
}

/* Where showing a pair of lines should begin: a little before they part. */
static size_t
lead(struct sv a, struct sv b)
{
	size_t n = 0;

	while (n < a.n && n < b.n && a.p[n] == b.p[n])
		n++;
	return n > SHOW_LEAD && (a.n > SHOW_CHARS || b.n > SHOW_CHARS) ? n - SHOW_LEAD : 0;
}

static void
show_difference(FILE *out, struct side *e, struct side *f, bool begins, size_t *shown)
{
	struct sv want = peek(e), got = peek(f);
	size_t missing = e->rest.n ? distance(*f, want) : 0;
	size_t extra = f->rest.n ? distance(*e, got) : 0;
	bool both = e->rest.n && f->rest.n && missing == LOOK_AHEAD && extra == LOOK_AHEAD;
	bool show_want = e->rest.n && (both || !f->rest.n || missing > extra);
	size_t from = both ? lead(want, got) : 0;

	if (begins)
		(void)fprintf(out, "@@ line %zu, line %zu @@\n", e->line, f->line);
	if (show_want) {
		show(out, '-', want, from);
		skip(e);
		(*shown)++;
	}
	if (both || !show_want) {
		show(out, '+', got, from);
		skip(f);
		(*shown)++;
	}
}

static void
show_lines(FILE *out, struct sv expected, struct sv found)
{
	struct side e = {expected, 1}, f = {found, 1};
	bool begins = true;
	size_t shown = 0;

	while ((e.rest.n || f.rest.n) && shown < SHOW_LINES) {
		if (e.rest.n && f.rest.n && sv_eq(peek(&e), peek(&f))) {
			skip(&e);
			skip(&f);
			begins = true;
		} else {
			show_difference(out, &e, &f, begins, &shown);
			begins = false;
		}
	}
	if (e.rest.n || f.rest.n)
		(void)fprintf(out, "  (the rest of the file is not shown)\n");
}

/* ---- files ---- */

struct comparison {
	const char *expected, *found;
	bool bytes;
	FILE *out;
	size_t different;
};

static int
compare_file(struct comparison *c, const char *name, struct err *err)
{
	CLEANUP(buf_done) struct buf e = BUF_INIT(FILE_MAX), f = BUF_INIT(FILE_MAX);
	int (*reader)(const char *, const char *, struct buf *, struct err *) =
	    c->bytes ? read_packed : read_content;

	if (reader(c->expected, name, &e, err) || reader(c->found, name, &f, err))
		return -1;
	if (sv_eq(buf_view(&e), buf_view(&f)))
		return 0;
	if (c->different++ >= SHOW_FILES)
		return 0;
	(void)fprintf(c->out, "--- %s/%s\n+++ replayed/%s\n", c->expected, name, name);
	if (!c->bytes) {
		show_lines(c->out, buf_view(&e), buf_view(&f));
		return 0;
	}
	(void)fprintf(c->out, "  %zu and %zu bytes, which differ\n", e.n, f.n);
	return 0;
}

static void
only_in(struct comparison *c, bool expected, const char *name)
{
	if (c->different++ < SHOW_FILES)
		(void)fprintf(c->out,
			      expected ? "--- %s/%s\n  expected, and not there\n"
				       : "+++ %s/%s\n  not expected\n",
			      expected ? c->expected : "replayed", name);
}

static int
compare_names(struct comparison *c, const struct names *e, const struct names *f, struct err *err)
{
	size_t i = 0, k = 0;

	while (i < e->n || k < f->n) {
		int order = i == e->n ? 1 : k == f->n ? -1 : strcmp(e->v[i], f->v[k]);

		if (order == 0 && compare_file(c, e->v[i], err))
			return -1;
		if (order < 0)
			only_in(c, true, e->v[i]);
		if (order > 0)
			only_in(c, false, f->v[k]);
		i += order <= 0;
		k += order >= 0;
	}
	return 0;
}

int
tape_compare(const char *expected, const char *found, bool bytes, FILE *out, size_t *ret_different,
	     struct err *err)
{
	CLEANUP(names_done) struct names e = {0}, f = {0};
	struct comparison c = {.expected = expected, .found = found, .bytes = bytes, .out = out};

	if (list(expected, &e, err) || list(found, &f, err) || compare_names(&c, &e, &f, err))
		return -1;
	if (c.different > SHOW_FILES)
		(void)fprintf(out, "and %zu more files differ\n", c.different - SHOW_FILES);
	*ret_different = c.different;
	return 0;
}

/* ---- updating ---- */

static int
put_file(const char *dir, const char *name, struct sv bytes, struct err *err)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT(8192);
	char *slash;
	int r;

	buf_fmt(&path, "%s/%s", dir, name);
	if (buf_check(&path, "path", err))
		return -1;
	slash = strrchr(path.p, '/');
	*slash = '\0';
	r = fsx_mkdirs(AT_FDCWD, path.p, err);
	*slash = '/';
	return r ? -1 : fsx_replace(AT_FDCWD, path.p, bytes, err);
}

static int
remove_old(const char *dir, const struct names *old, const struct names *now, struct err *err)
{
	for (size_t i = 0, k = 0; i < old->n; i++) {
		CLEANUP(buf_done) struct buf path = BUF_INIT(8192);

		while (k < now->n && strcmp(now->v[k], old->v[i]) < 0)
			k++;
		if ((k < now->n && !strcmp(now->v[k], old->v[i])) ||
		    !sv_ends(sv_of(old->v[i]), SV(".zst")))
			continue;
		buf_fmt(&path, "%s/%s", dir, old->v[i]);
		if (buf_check(&path, "path", err) || fsx_unlink(AT_FDCWD, path.p, err))
			return -1;
	}
	return 0;
}

int
tape_update(const char *expected, const char *found, struct err *err)
{
	CLEANUP(names_done) struct names e = {0}, f = {0};

	if (fsx_mkdirs(AT_FDCWD, expected, err) || list(expected, &e, err) ||
	    list(found, &f, err) || remove_old(expected, &e, &f, err))
		return -1;
	for (size_t i = 0; i < f.n; i++) {
		CLEANUP(buf_done) struct buf bytes = BUF_INIT(FILE_MAX);

		if (read_packed(found, f.v[i], &bytes, err) ||
		    put_file(expected, f.v[i], buf_view(&bytes), err))
			return -1;
	}
	return 0;
}
