/* Spans of a cell; see span_cell.h. */
#include "model/span_cell.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/grow.h"
#include "model/span_series.h"

#define ROWS_MAX ((size_t)1 << 30) /* bytes of a pull's lines */
#define LINE_MAX ((size_t)16 << 20)
#define READ_MAX ((size_t)64 << 20) /* what one line becomes while it is read */
#define ID_BEGIN "\"span_id\":\""

/* Collecting */

int
span_rows_init(struct span_rows *r, const struct span_owner *o, struct err *err)
{
	*r =
	    (struct span_rows){.mem = ARENA_INIT(ROWS_MAX), .line = BUF_INIT(LINE_MAX), .owner = o};
	r->common = span_common(&o->origin, &r->mem);
	return r->common ? 0 : err_nomem(err);
}

void
span_rows_done(struct span_rows *r)
{
	free(r->v);
	buf_done(&r->line);
	arena_done(&r->mem);
	*r = (struct span_rows){0};
}

static int
grow(struct span_rows *r, struct err *err)
{
	struct span_row *v = array_grow(r->v, r->n, &r->cap, sizeof(*v), err);

	if (!v)
		return -1;
	r->v = v;
	return 0;
}

int
span_rows_add(struct span_rows *r, struct span *s, int64_t cell_ms, struct err *err)
{
	struct span_row *to;
	const char *id;

	span_own(s, r->owner);
	if (span_failed(s) || grow(r, err))
		return err_nomem(err);
	buf_reset(&r->line);
	span_line(s, r->common, &r->line);
	if (buf_check(&r->line, "a span", err))
		return -1;
	to = &r->v[r->n];
	*to = (struct span_row){.cell_ms = cell_ms,
				.end_ns = s->end_ns,
				.line = arena_strdup(&r->mem, buf_view(&r->line)),
				.n = (uint32_t)r->line.n};
	if (!to->line)
		return err_set(err, ERR_LOCAL, "spans: no room for more than %zu MiB of them",
			       ROWS_MAX >> 20);
	id = strstr(to->line, ID_BEGIN); /* no quote stands bare in what is before it */
	to->key_n = (uint32_t)(id - to->line + (long)sizeof(ID_BEGIN) - 1 + SPAN_ID_HEX);
	r->n++;
	return 0;
}

/* Cell, then time, trace and id, which is the order of the lines' bytes; of one span the last to
 * end comes first. */
static int
cmp_spans(const void *a, const void *b)
{
	const struct span_row *x = a, *y = b;
	uint32_t n = x->key_n < y->key_n ? x->key_n : y->key_n;
	int c = (x->cell_ms > y->cell_ms) - (x->cell_ms < y->cell_ms);

	if (!c)
		c = memcmp(x->line, y->line, n);
	if (!c)
		c = (x->end_ns < y->end_ns) - (x->end_ns > y->end_ns);
	return c ? c : sv_cmp((struct sv){x->line, x->n}, (struct sv){y->line, y->n});
}

void
span_rows_sort(struct span_rows *r)
{
	if (r->n > 1)
		qsort(r->v, r->n, sizeof(*r->v), cmp_spans);
}

static bool
same_span(const struct span_row *x, const struct span_row *y)
{
	return x->key_n == y->key_n && !memcmp(x->line, y->line, x->key_n);
}

/* Reading lines */

struct each {
	int (*line)(struct each *e, struct sv line, struct err *err);
	int (*fn)(void *arg, const struct span *s, struct err *err);
	void *arg;
	struct buf rest; /* of a line that goes on in the next piece */
	struct arena mem;
	uint64_t lines;
};

static int
each_line(struct each *e, struct sv line, struct err *err)
{
	const char *why = "no JSON";
	const struct json_node *doc;
	struct span s;

	doc = json_tree_parse(line, &e->mem);
	if (e->mem.no_memory)
		return err_nomem(err);
	if (!doc || !span_read(doc, &e->mem, &s, &why))
		return err_set(err, ERR_DATA, "line %llu is no span: %s",
			       (unsigned long long)e->lines, why);
	if (span_failed(&s) || e->mem.no_memory)
		return err_nomem(err);
	return e->fn(e->arg, &s, err);
}

static int
each_piece(void *arg, struct sv piece, struct err *err)
{
	struct each *e = arg;
	const char *end;

	while (piece.n && (end = memchr(piece.p, '\n', piece.n))) {
		struct sv line = {piece.p, (size_t)(end - piece.p)};
		int rc;

		if (e->rest.n) {
			buf_sv(&e->rest, line);
			if (buf_check(&e->rest, "a line", err))
				return -1;
			line = buf_view(&e->rest);
		}
		arena_reset(&e->mem);
		e->lines++;
		rc = e->line(e, line, err);
		buf_reset(&e->rest);
		if (rc)
			return -1;
		piece.n -= (size_t)(end + 1 - piece.p);
		piece.p = end + 1;
	}
	buf_sv(&e->rest, piece);
	return buf_check(&e->rest, "a line", err);
}

static int
lines_each(const struct cell_data *d, struct each *e, struct err *err)
{
	int rc = cell_lines_each(d, each_piece, e, err);

	if (!rc && e->rest.n)
		rc = err_set(err, ERR_DATA, "the last line has no end");
	buf_done(&e->rest);
	arena_done(&e->mem);
	return rc;
}

int
span_lines_each(const struct cell_data *d,
		int (*fn)(void *arg, const struct span *s, struct err *err), void *arg,
		struct err *err)
{
	struct each e = {.line = each_line,
			 .fn = fn,
			 .arg = arg,
			 .rest = BUF_INIT(LINE_MAX),
			 .mem = ARENA_INIT(READ_MAX)};

	return lines_each(d, &e, err);
}

/* Rows of a query */

struct taking {
	struct span_rows *to;
	int64_t cell_ms;
	uint64_t rejected;
};

static int
take_row(struct each *e, struct sv line, struct err *err)
{
	struct taking *t = e->arg;
	const struct json_node *row = json_tree_parse(line, &e->mem), *doc;
	const char *why;
	struct span s;
	bool sound;

	if (!row && !e->mem.no_memory)
		return err_set(err, ERR_DATA, "a row that is no JSON");
	doc = json_tree_parse(json_tree_str(row, "message"), &e->mem);
	sound = doc && span_read(doc, &e->mem, &s, &why);
	if (e->mem.no_memory) /* that is no reason to leave it out */
		return err_nomem(err);
	if (!sound) {
		t->rejected++;
		return 0;
	}
	return span_rows_add(t->to, &s, t->cell_ms, err);
}

int
span_rows_take(struct span_rows *r, const struct cell_data *logs, int64_t cell_ms,
	       uint64_t *rejected, struct err *err)
{
	struct taking t = {.to = r, .cell_ms = cell_ms};
	struct each e = {
	    .line = take_row, .arg = &t, .rest = BUF_INIT(LINE_MAX), .mem = ARENA_INIT(READ_MAX)};
	int rc = lines_each(logs, &e, err);

	*rejected += t.rejected;
	return rc;
}

/* Cells */

static int
count_span(void *arg, const struct span *s, struct err *err)
{
	return span_counts_add(arg, s, err);
}

static int
add_line(struct each *e, const struct span_row *row, struct cell_data *d, struct err *err)
{
	if (!d->rows_only && cell_lines_add(d, (struct sv){row->line, row->n}, err))
		return -1;
	d->n_lines++;
	arena_reset(&e->mem);
	return each_line(e, (struct sv){row->line, row->n - 1}, err);
}

int
span_rows_fill(const struct span_rows *r, struct cell_data *d, int64_t period_ms, struct err *err)
{
	struct span_counts counts;
	struct each e = {.fn = count_span, .arg = &counts, .mem = ARENA_INIT(READ_MAX)};
	const struct span_row *last = NULL;
	int rc = 0;

	span_counts_init(&counts, d->cell, period_ms);
	for (size_t i = 0; !rc && i < r->n; i++) {
		const struct span_row *row = &r->v[i];

		if (row->cell_ms < d->cell.start_ms || row->cell_ms >= d->cell.end_ms)
			continue;
		if (last && same_span(last, row)) {
			d->n_rejected++;
			continue;
		}
		rc = add_line(&e, row, d, err);
		last = row;
	}
	arena_done(&e.mem);
	if (!rc)
		rc = span_counts_rows(&counts, r->owner, d, err);
	span_counts_done(&counts);
	return rc;
}

int
span_cell_adopt(struct cell_data *d, const struct span_owner *o, int64_t period_ms, struct err *err)
{
	struct span_counts counts;
	struct each e = {.line = each_line,
			 .fn = count_span,
			 .arg = &counts,
			 .rest = BUF_INIT(LINE_MAX),
			 .mem = ARENA_INIT(READ_MAX)};
	int rc;

	span_counts_init(&counts, d->cell, period_ms);
	rc = lines_each(d, &e, err);
	d->n_lines = e.lines;
	if (!rc && !d->late)
		rc = span_counts_rows(&counts, o, d, err);
	span_counts_done(&counts);
	return rc;
}
