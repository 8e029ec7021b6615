/* Runs of rows and their merging; see row_runs.h. */
#include "model/row_runs.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/grow.h"

#define READ_BYTES ((size_t)16 << 10)

struct record { /* in front of each line */
	int64_t ts_ms;
	uint32_t n, source;
	uint32_t pointed, unused;
};

void
row_runs_done(struct row_runs *r)
{
	spool_done(&r->spool);
	free(r->v);
	*r = ROW_RUNS_INIT;
}

static int
put_row(struct row_runs *r, const struct insights_row *row, struct err *err)
{
	const struct record head = {
	    .ts_ms = row->ts_ms, .n = row->n, .source = row->source, .pointed = row->pointed};

	return spool_add(&r->spool, (struct sv){(const char *)&head, sizeof(head)}, err) ||
		       spool_add(&r->spool, (struct sv){row->line, row->n}, err)
		   ? -1
		   : 0;
}

int
row_runs_add(struct row_runs *r, struct insights_row *rows, size_t n, struct err *err)
{
	struct row_run run = {.start = spool_size(&r->spool), .n = n, .cut_ms = INT64_MAX};
	struct row_run *v;

	if (!n)
		return 0;
	v = array_grow(r->v, r->n, &r->cap, sizeof(*v), err);
	if (!v)
		return -1;
	r->v = v;
	insights_rows_sort(rows, n);
	for (size_t i = 0; i < n; i++)
		if (put_row(r, &rows[i], err))
			return -1;
	run.end = spool_size(&r->spool);
	run.first_ms = rows[0].ts_ms;
	run.last_ms = rows[n - 1].ts_ms;
	r->v[r->n++] = run;
	return 0;
}

void
row_runs_cut(struct row_runs *r, size_t first, int64_t from_ms)
{
	if (from_ms == INT64_MIN && first < r->n)
		r->n = first;
	for (size_t i = first; i < r->n; i++)
		if (from_ms < r->v[i].cut_ms)
			r->v[i].cut_ms = from_ms;
}

uint64_t
row_runs_count(const struct row_runs *r, size_t first, int64_t from_ms)
{
	uint64_t n = 0;

	for (size_t i = first; i < r->n; i++)
		if (r->v[i].last_ms >= from_ms && r->v[i].cut_ms > r->v[i].first_ms)
			n += r->v[i].n;
	return n;
}

/* Merging */

/* Where a run is read: `row` is its next one. */
struct cursor {
	const struct row_run *run; /* NULL: the rows in memory */
	uint64_t at;		   /* of what is behind `bytes` */
	struct buf bytes;
	size_t used;
	struct insights_row row;
	const struct insights_row *rows;
	size_t i, n;
};

struct row_merge {
	const struct row_runs *r;
	const struct row_run **waiting; /* by their first time */
	size_t n_waiting, next_waiting;
	struct cursor **heap; /* the open ones, the smallest row in front */
	size_t n_heap;
	struct cursor *held; /* whose row was given out last */
	struct insights_row last;
	struct buf last_line;
	bool any, again;
	uint64_t doubles;
};

static void
cursor_free(struct cursor *c)
{
	if (!c)
		return;
	buf_done(&c->bytes);
	free(c);
}

/* At least n bytes of the run in front. */
static int
cursor_fill(const struct row_merge *m, struct cursor *c, size_t n, struct err *err)
{
	size_t have = c->bytes.n - c->used, more = n > READ_BYTES ? n : READ_BYTES;

	if (have >= n)
		return 0;
	if (have)
		memmove(c->bytes.p, c->bytes.p + c->used, have);
	c->bytes.n = have;
	c->used = 0;
	if (more - have > c->run->end - c->at)
		more = have + (size_t)(c->run->end - c->at);
	if (more < n || !buf_reserve(&c->bytes, more - have))
		return more < n ? err_set(err, ERR_LOCAL, "a run of rows is cut off")
				: err_nomem(err);
	if (spool_read(&m->r->spool, c->at, c->bytes.p + have, more - have, err))
		return -1;
	c->bytes.n = more;
	c->at += more - have;
	return 0;
}

static int
next_in_run(const struct row_merge *m, struct cursor *c, struct err *err)
{
	struct record head;

	if (c->at == c->run->end && c->bytes.n == c->used)
		return 0;
	if (cursor_fill(m, c, sizeof(head), err))
		return -1;
	memcpy(&head, c->bytes.p + c->used, sizeof(head));
	if (head.ts_ms >= c->run->cut_ms)
		return 0;
	if (cursor_fill(m, c, sizeof(head) + head.n, err))
		return -1;
	c->row = (struct insights_row){.ts_ms = head.ts_ms,
				       .line = c->bytes.p + c->used + sizeof(head),
				       .n = head.n,
				       .source = head.source,
				       .pointed = head.pointed};
	c->used += sizeof(head) + head.n;
	return 1;
}

/* 1: c->row is its next row; 0: it has no more. */
static int
cursor_next(const struct row_merge *m, struct cursor *c, struct err *err)
{
	if (c->run)
		return next_in_run(m, c, err);
	if (c->i == c->n)
		return 0;
	c->row = c->rows[c->i++];
	return 1;
}

static void
heap_down(struct row_merge *m)
{
	for (size_t i = 0, least;; i = least) {
		size_t left = 2 * i + 1;
		struct cursor *c;

		least = i;
		for (size_t k = left; k < left + 2 && k < m->n_heap; k++)
			if (insights_rows_cmp(&m->heap[k]->row, &m->heap[least]->row) < 0)
				least = k;
		if (least == i)
			return;
		c = m->heap[i];
		m->heap[i] = m->heap[least];
		m->heap[least] = c;
	}
}

static void
heap_add(struct row_merge *m, struct cursor *c)
{
	size_t i = m->n_heap++;

	while (i && insights_rows_cmp(&c->row, &m->heap[(i - 1) / 2]->row) < 0) {
		m->heap[i] = m->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	m->heap[i] = c;
}

static int
open_cursor(struct row_merge *m, struct cursor start, struct err *err)
{
	struct cursor *c = malloc(sizeof(*c));
	int more;

	if (!c)
		return err_nomem(err);
	*c = start;
	more = cursor_next(m, c, err);
	if (more > 0)
		heap_add(m, c);
	else
		cursor_free(c);
	return more < 0 ? -1 : 0;
}

/* All runs that may have a row that is not behind the first of those that are open. */
static int
open_runs(struct row_merge *m, struct err *err)
{
	while (m->next_waiting < m->n_waiting) {
		const struct row_run *run = m->waiting[m->next_waiting];
		const struct cursor start = {
		    .run = run, .at = run->start, .bytes = BUF_INIT(SIZE_MAX / 2)};

		if (m->n_heap && m->heap[0]->row.ts_ms < run->first_ms)
			break;
		m->next_waiting++;
		if (open_cursor(m, start, err))
			return -1;
	}
	return 0;
}

static int
cmp_first(const void *a, const void *b)
{
	const struct row_run *const *x = a, *const *y = b;

	return ((*x)->first_ms > (*y)->first_ms) - ((*x)->first_ms < (*y)->first_ms);
}

void
row_merge_free(struct row_merge *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n_heap; i++)
		cursor_free(m->heap[i]);
	free(m->heap);
	free(m->waiting);
	buf_done(&m->last_line);
	free(m);
}
DEFINE_FREEP(struct row_merge, row_merge_free)

int
row_merge_new(const struct row_runs *r, struct insights_row *rows, size_t n, struct row_merge **ret,
	      struct err *err)
{
	CLEANUP(row_merge_freep) struct row_merge *m = calloc(1, sizeof(*m));

	if (!m)
		return err_nomem(err);
	m->r = r;
	m->last_line = BUF_INIT(SIZE_MAX / 2);
	m->waiting = calloc(r->n + 1, sizeof(*m->waiting));
	m->heap = calloc(r->n + 1, sizeof(*m->heap));
	if (!m->waiting || !m->heap)
		return err_nomem(err);
	for (; m->n_waiting < r->n; m->n_waiting++)
		m->waiting[m->n_waiting] = &r->v[m->n_waiting];
	qsort(m->waiting, m->n_waiting, sizeof(*m->waiting), cmp_first);
	insights_rows_sort(rows, n);
	if (open_cursor(m, (struct cursor){.rows = rows, .n = n}, err))
		return -1;
	*ret = STEAL(m);
	return 0;
}

/* The row in front, all rows given out before it left behind. */
static int
step(struct row_merge *m, struct err *err)
{
	if (m->held) {
		int more = cursor_next(m, m->held, err);

		if (more < 0)
			return -1;
		m->held = NULL;
		if (!more) {
			cursor_free(m->heap[0]);
			m->heap[0] = m->heap[--m->n_heap];
		}
		heap_down(m);
	}
	if (open_runs(m, err))
		return -1;
	if (!m->n_heap)
		return 0;
	m->held = m->heap[0];
	return 1;
}

/* The same event, from another query. */
static bool
doubles_last(const struct row_merge *m, const struct insights_row *row)
{
	return m->any && row->pointed && row->source != m->last.source &&
	       row->ts_ms == m->last.ts_ms && row->n == m->last.n &&
	       !memcmp(row->line, m->last_line.p, row->n);
}

int
row_merge_next(struct row_merge *m, struct insights_row *ret, struct err *err)
{
	int more;

	if (m->again) {
		m->again = false;
		*ret = m->last;
		return 1;
	}
	while ((more = step(m, err)) > 0 && doubles_last(m, &m->held->row))
		m->doubles++;
	if (more <= 0)
		return more;
	buf_reset(&m->last_line);
	buf_add(&m->last_line, m->held->row.line, m->held->row.n);
	if (buf_check(&m->last_line, "a row", err))
		return -1;
	m->last = m->held->row;
	m->last.line = m->last_line.p;
	m->any = true;
	*ret = m->last;
	return 1;
}

void
row_merge_back(struct row_merge *m)
{
	m->again = true;
}

uint64_t
row_merge_doubles(const struct row_merge *m)
{
	return m->doubles;
}
