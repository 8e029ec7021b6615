/* Runs of rows and their merging; see row_runs.h. */
#include "model/row_runs.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/grow.h"

/* Of lines, where few runs are open or many, and of what is known of them. More of a line than that
 * is in memory only while it is the row in front: where a thousand runs have a row of one
 * millisecond, all of them are open. */
#define READ_LINES   ((size_t)16 << 10)
#define READ_SOME    ((size_t)2 << 10)
#define MANY_OPEN    256
#define READ_RECORDS ((size_t)2 << 10)
#define COMPARED     ((size_t)4 << 10) /* at once, of what is not in memory */

struct record { /* of each row, in front of the lines of its run */
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
put_record(struct row_runs *r, const struct insights_row *row, struct err *err)
{
	const struct record head = {
	    .ts_ms = row->ts_ms, .n = row->n, .source = row->source, .pointed = row->pointed};

	return spool_add(&r->spool, (struct sv){(const char *)&head, sizeof(head)}, err);
}

/* The same event, from another query, if the lines are the same. */
static bool
may_double(const struct insights_row *row, const struct insights_row *before)
{
	return row->pointed && row->source != before->source && row->ts_ms == before->ts_ms &&
	       row->n == before->n;
}

static bool
doubles(const struct insights_row *row, const struct insights_row *before)
{
	return may_double(row, before) && !memcmp(row->line, before->line, row->n);
}

static int
put_rows(struct row_runs *r, const struct insights_row *rows, size_t n, struct row_run *run,
	 struct err *err)
{
	run->start = spool_size(&r->spool);
	for (size_t i = 0; i < n; i++)
		if (put_record(r, &rows[i], err))
			return -1;
	run->lines = spool_size(&r->spool);
	for (size_t i = 0; i < n; i++) {
		run->doubles = run->doubles || (i && doubles(&rows[i], &rows[i - 1]));
		if (spool_add(&r->spool, (struct sv){rows[i].line, rows[i].n}, err))
			return -1;
	}
	run->end = spool_size(&r->spool);
	return 0;
}

int
row_runs_add(struct row_runs *r, struct insights_row *rows, size_t n, struct err *err)
{
	struct row_run run = {.n = n, .cut_ms = INT64_MAX};
	struct row_run *v;

	if (!n)
		return 0;
	v = array_grow(r->v, r->n, &r->cap, sizeof(*v), err);
	if (!v)
		return -1;
	r->v = v;
	insights_rows_sort(rows, n);
	if (put_rows(r, rows, n, &run, err))
		return -1;
	run.first_ms = rows[0].ts_ms;
	run.last_ms = rows[n - 1].ts_ms;
	r->v[r->n++] = run;
	return spool_settle(&r->spool, err);
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

/* A part of the spool that is read from its beginning to its end. */
struct reader {
	uint64_t at, end; /* of what is behind `bytes` */
	size_t once;	  /* so many bytes are read at once */
	struct buf bytes;
	size_t used;
};

/* Where a run is read: `row` is its next one, of whose line the first `have` bytes are in memory.
 */
struct cursor {
	const struct row_run *run; /* NULL: the rows in memory */
	struct reader records, lines;
	struct insights_row row;
	size_t have;
	uint64_t line_at; /* in the spool, if not all of it is */
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
	bool any;
	uint64_t doubles;
	struct err unread; /* what a comparison could not read; ERR_NONE: nothing */
};

static void
cursor_free(struct cursor *c)
{
	if (!c)
		return;
	buf_done(&c->records.bytes);
	buf_done(&c->lines.bytes);
	free(c);
}

/* The next n bytes, good until the next call. */
static int
reader_take(const struct row_merge *m, struct reader *r, size_t n, const char **ret,
	    struct err *err)
{
	size_t have = r->bytes.n - r->used, more = n > r->once ? n : r->once;

	if (have < n) {
		if (have)
			memmove(r->bytes.p, r->bytes.p + r->used, have);
		r->bytes.n = have;
		r->used = 0;
		if (more - have > r->end - r->at)
			more = have + (size_t)(r->end - r->at);
		if (more < n)
			return err_set(err, ERR_LOCAL, "a run of rows is cut off");
		if (!buf_reserve(&r->bytes, more - have))
			return err_nomem(err);
		if (spool_read(&m->r->spool, r->at, r->bytes.p + have, more - have, err))
			return -1;
		r->bytes.n = more;
		r->at += more - have;
	}
	*ret = r->bytes.p + r->used;
	r->used += n;
	return 0;
}

/* Where what is taken next begins. */
static uint64_t
reader_at(const struct reader *r)
{
	return r->at - (r->bytes.n - r->used);
}

/* What was taken last stays where it is. */
static void
reader_skip(struct reader *r, size_t n)
{
	size_t have = r->bytes.n - r->used, now = n < have ? n : have;

	r->used += now;
	r->at += n - now;
}

static int
next_in_run(const struct row_merge *m, struct cursor *c, struct err *err)
{
	struct record head;
	const char *p;

	if (c->i == c->run->n)
		return 0;
	if (reader_take(m, &c->records, sizeof(head), &p, err))
		return -1;
	memcpy(&head, p, sizeof(head));
	if (head.ts_ms >= c->run->cut_ms)
		return 0;
	c->have = head.n < c->lines.once ? head.n : c->lines.once;
	c->line_at = reader_at(&c->lines);
	if (head.n > c->run->end - c->line_at)
		return err_set(err, ERR_LOCAL, "a run of rows is cut off");
	if (reader_take(m, &c->lines, c->have, &p, err))
		return -1;
	reader_skip(&c->lines, head.n - c->have);
	c->i++;
	c->row = (struct insights_row){.ts_ms = head.ts_ms,
				       .line = p,
				       .n = head.n,
				       .source = head.source,
				       .pointed = head.pointed};
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
	c->have = c->row.n;
	return 1;
}

/* Part of a line, in `room` if it is not in memory. NULL: it cannot be read, which is kept. */
static const char *
part_of_line(struct row_merge *m, const struct cursor *c, size_t from, size_t n, char *room)
{
	if (from + n <= c->have)
		return c->row.line + from;
	if (!spool_read(&m->r->spool, c->line_at + from, room, n, &m->unread))
		return room;
	return NULL;
}

/* The first n bytes of two lines, as memcmp. `b` NULL: of the line given out last. */
static int
cmp_starts(struct row_merge *m, const struct cursor *a, const struct cursor *b, size_t n)
{
	char room[2][COMPARED];
	int diff = 0;

	for (size_t at = 0, now; !diff && at < n; at += now) {
		size_t left = n - at;
		bool inside = at < a->have && (!b || at < b->have);
		size_t most = b && b->have < a->have ? b->have - at : a->have - at;
		const char *x, *y;

		now = inside ? most : COMPARED;
		now = now < left ? now : left;
		x = part_of_line(m, a, at, now, room[0]);
		y = b ? part_of_line(m, b, at, now, room[1]) : m->last.line + at;
		if (!x || !y)
			return 0;
		diff = memcmp(x, y, now);
	}
	return diff;
}

/* As insights_rows_cmp. */
static int
cmp_cursors(struct row_merge *m, const struct cursor *a, const struct cursor *b)
{
	const struct insights_row *x = &a->row, *y = &b->row;
	int diff;

	if (a->have == x->n && b->have == y->n)
		return insights_rows_cmp(x, y);
	if (x->ts_ms != y->ts_ms)
		return x->ts_ms < y->ts_ms ? -1 : 1;
	diff = cmp_starts(m, a, b, x->n < y->n ? x->n : y->n);
	if (diff || x->n != y->n)
		return diff ? diff : x->n < y->n ? -1 : 1;
	return (x->source > y->source) - (x->source < y->source);
}

static void
heap_down(struct row_merge *m)
{
	for (size_t i = 0, least;; i = least) {
		size_t left = 2 * i + 1;
		struct cursor *c;

		least = i;
		for (size_t k = left; k < left + 2 && k < m->n_heap; k++)
			if (cmp_cursors(m, m->heap[k], m->heap[least]) < 0)
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

	while (i && cmp_cursors(m, c, m->heap[(i - 1) / 2]) < 0) {
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

static struct cursor
cursor_of(const struct row_run *run, size_t open)
{
	size_t once = open < MANY_OPEN ? READ_LINES : READ_SOME;

	return (struct cursor){
	    .run = run,
	    .records = {run->start, run->lines, READ_RECORDS, BUF_INIT(SIZE_MAX / 2), 0},
	    .lines = {run->lines, run->end, once, BUF_INIT(SIZE_MAX / 2), 0},
	};
}

/* All runs that may have a row before before_ms that is not behind the first of those that are
 * open. */
static int
open_runs(struct row_merge *m, int64_t before_ms, struct err *err)
{
	while (m->next_waiting < m->n_waiting) {
		const struct row_run *run = m->waiting[m->next_waiting];

		if (run->first_ms >= before_ms ||
		    (m->n_heap && m->heap[0]->row.ts_ms < run->first_ms))
			break;
		m->next_waiting++;
		if (open_cursor(m, cursor_of(run, m->n_heap), err))
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

/* What was given out last is left behind. */
static int
let_go(struct row_merge *m, struct err *err)
{
	int more;

	if (!m->held)
		return 0;
	more = cursor_next(m, m->held, err);
	if (more < 0)
		return -1;
	m->held = NULL;
	if (!more) {
		cursor_free(m->heap[0]);
		m->heap[0] = m->heap[--m->n_heap];
	}
	heap_down(m);
	return 0;
}

/* The row in front, all rows given out before it left behind. */
static int
step(struct row_merge *m, int64_t before_ms, struct err *err)
{
	if (let_go(m, err) || open_runs(m, before_ms, err))
		return -1;
	if (m->unread.kind != ERR_NONE) {
		*err = m->unread;
		return -1;
	}
	if (!m->n_heap || m->heap[0]->row.ts_ms >= before_ms)
		return 0;
	m->held = m->heap[0];
	return 1;
}

static bool
doubles_last(struct row_merge *m, const struct cursor *c)
{
	return m->any && may_double(&c->row, &m->last) && !cmp_starts(m, c, NULL, c->row.n);
}

/* All of it, as the one given out last. */
static int
take_line(struct row_merge *m, const struct cursor *c, struct err *err)
{
	size_t n = c->row.n, rest = n - c->have;

	buf_reset(&m->last_line);
	buf_add(&m->last_line, c->row.line, c->have);
	if (buf_reserve(&m->last_line, rest) && rest) {
		if (spool_read(&m->r->spool, c->line_at + c->have, m->last_line.p + c->have, rest,
			       err))
			return -1;
		m->last_line.n = n;
	}
	if (buf_check(&m->last_line, "a row", err))
		return -1;
	m->last = c->row;
	m->last.line = m->last_line.p;
	return 0;
}

int
row_merge_next(struct row_merge *m, int64_t before_ms, struct insights_row *ret, struct err *err)
{
	int more;

	while ((more = step(m, before_ms, err)) > 0 && doubles_last(m, m->held))
		m->doubles++;
	if (more <= 0)
		return more;
	if (take_line(m, m->held, err))
		return -1;
	m->any = true;
	*ret = m->last;
	return 1;
}

/* From number `i` of those that wait on, the first that counts; m->n_waiting: none before before_ms
 * does. */
static size_t
next_that_counts(const struct row_merge *m, size_t i, int64_t before_ms)
{
	while (i < m->n_waiting && m->waiting[i]->cut_ms <= m->waiting[i]->first_ms)
		i++;
	return i < m->n_waiting && m->waiting[i]->first_ms < before_ms ? i : m->n_waiting;
}

/* One behind the other, each of them whole; *ret_size: the bytes of their lines. */
static bool
lie_in_order(const struct row_merge *m, int64_t before_ms, uint64_t *ret_size)
{
	const struct row_run *before = NULL;
	size_t i = m->next_waiting;

	*ret_size = 0;
	while ((i = next_that_counts(m, i, before_ms)) < m->n_waiting) {
		const struct row_run *run = m->waiting[i++];

		if (run->doubles || run->cut_ms <= run->last_ms || run->last_ms >= before_ms ||
		    (before && before->last_ms >= run->first_ms))
			return false;
		*ret_size += run->end - run->lines;
		before = run;
	}
	return true;
}

int
row_merge_whole(struct row_merge *m, int64_t before_ms, uint64_t least, struct spool *view,
		uint64_t *ret_n, struct err *err)
{
	size_t i = m->next_waiting;
	uint64_t size;

	*ret_n = 0;
	if (let_go(m, err))
		return -1;
	if (m->n_heap || !lie_in_order(m, before_ms, &size) || size < least)
		return 0;
	while ((i = next_that_counts(m, i, before_ms)) < m->n_waiting) {
		const struct row_run *run = m->waiting[i++];

		if (spool_add_part(view, &m->r->spool, run->lines, run->end - run->lines, err))
			return -1;
		*ret_n += run->n;
		m->next_waiting = i;
	}
	return 1;
}

uint64_t
row_merge_doubles(const struct row_merge *m)
{
	return m->doubles;
}
