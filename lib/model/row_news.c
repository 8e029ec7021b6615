/* Rows that are new; see row_news.h. */
#include "model/row_news.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/grow.h"
#include "base/hash.h"
#include "fmt/json_scan.h"

#define READ_BYTES ((size_t)64 << 10)
#define TIME_CHARS 24 /* 2026-01-01T00:00:00.000Z: their order is that of the bytes */
#define LINE_START SV("{\"ts\":\"")

/* The lines of a cell, one after the other. */
struct lines {
	const struct cell_data *d;
	uint64_t read;	  /* bytes of its spool that were read */
	struct buf piece; /* of the spool */
	size_t at;	  /* the next line's place in it, or in the cell's text */
	struct sv line;	  /* the present one, with its newline; empty: there is none */
	char time[TIME_CHARS];
};

/* What a row is known by. */
struct row_id {
	unsigned char id[16],
	    exact[8]; /* beginnings of SHA-256; `exact` is of the line as it stands */
	size_t place; /* in the millisecond */
	bool is_new;
};
struct row_ids {
	struct row_id *v;
	size_t n, cap;
};

/* Reading */

static int
read_more(struct lines *l, struct err *err)
{
	uint64_t left = spool_size(l->d->spool) - l->read;
	size_t n = left < READ_BYTES ? (size_t)left : READ_BYTES;

	if (l->at)
		memmove(l->piece.p, l->piece.p + l->at, l->piece.n - l->at);
	l->piece.n -= l->at;
	l->at = 0;
	if (!buf_reserve(&l->piece, n))
		return buf_check(&l->piece, "a line", err);
	if (spool_read(l->d->spool, l->read, l->piece.p + l->piece.n, n, err))
		return -1;
	l->piece.n += n;
	l->read += n;
	return 0;
}

/* The rest of what is in memory from the next line on. */
static struct sv
rest_of(const struct lines *l)
{
	const struct buf *b = l->d->spool ? &l->piece : &l->d->ndjson;

	return (struct sv){b->n ? b->p + l->at : NULL, b->n - l->at};
}

static int
find_end(struct lines *l, size_t *ret, struct err *err)
{
	for (;;) {
		struct sv rest = rest_of(l);
		const char *end = rest.n ? memchr(rest.p, '\n', rest.n) : NULL;

		*ret = end ? (size_t)(end - rest.p) + 1 : 0;
		if (end)
			return 0;
		if (l->d->spool && l->read < spool_size(l->d->spool)) {
			if (read_more(l, err))
				return -1;
			continue;
		}
		return rest.n ? err_set(err, ERR_DATA, "the last line has no end") : 0;
	}
}

static int
next_line(struct lines *l, struct err *err)
{
	size_t n;

	if (find_end(l, &n, err))
		return -1;
	l->line = (struct sv){rest_of(l).p, n};
	l->at += n;
	if (!n)
		return 0;
	if (n < LINE_START.n + TIME_CHARS || !sv_starts(l->line, LINE_START))
		return err_set(err, ERR_DATA, "a line without its time");
	if (memcmp(l->time, l->line.p + LINE_START.n, TIME_CHARS) > 0)
		return err_set(err, ERR_DATA, "lines that are not in order of time");
	memcpy(l->time, l->line.p + LINE_START.n, TIME_CHARS);
	return 0;
}

static int
lines_begin(struct lines *l, const struct cell_data *d, struct err *err)
{
	*l = (struct lines){.d = d, .piece = BUF_INIT(CELL_NDJSON_MAX)};
	return buf_check(&d->ndjson, "cell", err) ? -1 : next_line(l, err);
}

static void
lines_done(struct lines *l)
{
	buf_done(&l->piece);
}

/* Knowing */

/* The line up to the end of its message; or, without one, *ptr is what is to be left out of it. */
static int
find_columns(struct sv line, size_t *message_end, struct sv *ptr, struct err *err)
{
	struct json_scan s = JSON_SCAN_INIT(line);
	struct sv name;
	bool first = true, end = false;

	*message_end = 0;
	*ptr = (struct sv){line.p, 0};
	if (!json_scan_ch(&s, '{'))
		return err_set(err, ERR_DATA, "a line that is no row");
	for (;; first = false) {
		const char *from = s.p;

		if (!json_scan_member(&s, first, &name, &end) || (!end && !json_scan_skip(&s)))
			return err_set(err, ERR_DATA, "a line that is no row");
		if (end)
			return 0;
		if (sv_eq(name, SV("message"))) {
			*message_end = (size_t)(s.p - line.p);
			return 0;
		}
		if (sv_eq(name, SV("ptr")))
			*ptr = (struct sv){from, (size_t)(s.p - from)};
	}
}

static int
know(struct sv line, struct row_id *ret, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(CELL_NDJSON_MAX);
	unsigned char digest[SHA256_LEN];
	size_t message_end;
	struct sv ptr;

	sha256(line, digest);
	memcpy(ret->exact, digest, sizeof(ret->exact));
	if (find_columns(line, &message_end, &ptr, err))
		return -1;
	if (message_end) {
		sha256((struct sv){line.p, message_end}, digest);
	} else {
		buf_sv(&text, (struct sv){line.p, (size_t)(ptr.p - line.p)});
		buf_sv(&text,
		       (struct sv){ptr.p + ptr.n, (size_t)(line.p + line.n - (ptr.p + ptr.n))});
		if (buf_check(&text, "a line", err))
			return -1;
		sha256(buf_view(&text), digest);
	}
	memcpy(ret->id, digest, sizeof(ret->id));
	return 0;
}

static int
add_id(struct row_ids *ids, struct sv line, struct err *err)
{
	struct row_id *v = array_grow(ids->v, ids->n, &ids->cap, sizeof(*v), err);

	if (!v)
		return -1;
	ids->v = v;
	ids->v[ids->n] = (struct row_id){.place = ids->n};
	return know(line, &ids->v[ids->n++], err);
}

/* The rows of a moment; what is before it is passed. */
static int
take_moment(struct lines *l, const char time[TIME_CHARS], struct row_ids *ids, struct err *err)
{
	while (l->line.n && memcmp(l->time, time, TIME_CHARS) < 0)
		if (next_line(l, err))
			return -1;
	while (l->line.n && !memcmp(l->time, time, TIME_CHARS))
		if (add_id(ids, l->line, err) || next_line(l, err))
			return -1;
	return 0;
}

/* Comparing */

static int
cmp_exact(const void *a, const void *b)
{
	const struct row_id *x = a, *y = b;
	int c = memcmp(x->id, y->id, sizeof(x->id));

	if (!c)
		c = memcmp(x->exact, y->exact, sizeof(x->exact));
	return c ? c : (x->place > y->place) - (x->place < y->place);
}

static int
cmp_places(const void *a, const void *b)
{
	const struct row_id *x = a, *y = b;

	return (x->place > y->place) - (x->place < y->place);
}

static size_t
run_end(const struct row_ids *ids, size_t from)
{
	size_t i = from;

	while (i < ids->n && !memcmp(ids->v[i].id, ids->v[from].id, sizeof(ids->v[i].id)))
		i++;
	return i;
}

/* Equal rows, in order of `exact`, and those that are known, from number k to `end`: first those
 * that are known as they stand are taken for it, then as many as there are others that are known.
 */
static void
compare_equal(const struct row_ids *known, size_t k, size_t end, struct row_id *rows, size_t n)
{
	size_t left = end - k;

	for (size_t i = 0; i < n; i++) {
		while (k < end &&
		       memcmp(known->v[k].exact, rows[i].exact, sizeof(rows[i].exact)) < 0)
			k++;
		rows[i].is_new = k == end || memcmp(known->v[k].exact, rows[i].exact,
						    sizeof(rows[i].exact)) != 0;
		k += !rows[i].is_new;
		left -= !rows[i].is_new;
	}
	for (size_t i = 0; i < n && left; i++)
		if (rows[i].is_new) {
			rows[i].is_new = false;
			left--;
		}
}

static void
compare(struct row_ids *known, struct row_ids *rows)
{
	if (known->n > 1)
		qsort(known->v, known->n, sizeof(*known->v), cmp_exact);
	qsort(rows->v, rows->n, sizeof(*rows->v), cmp_exact);
	for (size_t i = 0, end, k = 0, k_end; i < rows->n; i = end) {
		end = run_end(rows, i);
		while (k < known->n &&
		       memcmp(known->v[k].id, rows->v[i].id, sizeof(rows->v[i].id)) < 0)
			k++;
		k_end = k;
		if (k < known->n && !memcmp(known->v[k].id, rows->v[i].id, sizeof(rows->v[i].id)))
			k_end = run_end(known, k);
		compare_equal(known, k, k_end, rows->v + i, end - i);
		k = k_end;
	}
	qsort(rows->v, rows->n, sizeof(*rows->v), cmp_places);
}

/* Both sides along each other */

struct news {
	struct lines *known; /* of the cell and of each late object */
	size_t n_known;
	struct lines ahead, behind; /* of the cell that was asked for again */
	struct row_ids was, is;
};

static int
news_begin(struct news *w, const struct cell_data *known, const struct cell_data *d,
	   struct err *err)
{
	size_t n = 0;

	for (const struct cell_data *part = known; part; part = part->later)
		n++;
	*w = (struct news){.known = calloc(n + 1, sizeof(*w->known))};
	if (!w->known)
		return err_nomem(err);
	for (const struct cell_data *part = known; part; part = part->later)
		if (lines_begin(&w->known[w->n_known++], part, err))
			return -1;
	return lines_begin(&w->ahead, d, err) || lines_begin(&w->behind, d, err) ? -1 : 0;
}

static void
news_done(struct news *w)
{
	for (size_t i = 0; i < w->n_known; i++)
		lines_done(&w->known[i]);
	free(w->known);
	lines_done(&w->ahead);
	lines_done(&w->behind);
	free(w->was.v);
	free(w->is.v);
}

/* The rows of the next moment: which of them are new, and these into `late`. */
static int
news_of_moment(struct news *w, struct cell_data *late, struct err *err)
{
	char time[TIME_CHARS];

	memcpy(time, w->ahead.time, TIME_CHARS);
	w->was.n = w->is.n = 0;
	for (size_t i = 0; i < w->n_known; i++)
		if (take_moment(&w->known[i], time, &w->was, err))
			return err_wrap(err, "what is frozen");
	if (take_moment(&w->ahead, time, &w->is, err))
		return -1;
	compare(&w->was, &w->is);
	for (size_t i = 0; i < w->is.n; i++) {
		if (w->is.v[i].is_new && cell_lines_add(late, w->behind.line, err))
			return -1;
		late->n_lines += w->is.v[i].is_new;
		if (next_line(&w->behind, err))
			return -1;
	}
	return 0;
}

int
row_news(const struct cell_data *known, const struct cell_data *d, struct cell_data *late,
	 struct err *err)
{
	struct news w;
	int r = news_begin(&w, known, d, err);

	while (!r && w.ahead.line.n)
		r = news_of_moment(&w, late, err);
	news_done(&w);
	return r;
}
