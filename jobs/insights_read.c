/*
 * Reading the results of queries, and dividing what a query could not bring.
 *
 * A result that was cut off is known by its number of rows (as many as were asked for, or fewer
 * than the service says it matched). Its rows are in order of time: all that are older than the
 * last one are complete and stay, and the rest of its time is asked for again in as many parts as
 * its number of events suggests. A millisecond that is too full alone is divided by log stream, and
 * what even one stream of one group has too much of is a gap.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "jobs/insights_pull.h"

/* How often an ask may come to nothing: then its cells are left to the next run. */
#define TRIES_MAX 4
/* Parts are made for half of what a query can bring: events do not come evenly. */
#define FILL_DIVISOR 2
#define PIECES_MAX   256
#define PAGES_MAX    12000 /* of one result, at the smallest page */
#define ITEMS_SHRINK 4
/* Lines of so many bytes are put away, after the page that brought them: 32 workers have as many
 * each while they wait. */
#define ROWS_MEMORY ((size_t)256 << 10)
/* What a page should have: it is in memory at once, and its rows are. */
#define PAGE_BYTES ((size_t)5 << 20)
/* Room in a query around its body and the names of streams. */
#define AROUND_STREAMS 400

void
reading_begin(struct pull *p)
{
	paging_begin(&p->paging);
	p->in_pages = false;
	p->rd.first_row = p->n_rows;
	p->rd.first_run = p->runs.n;
	p->rd.seen = 0;
	p->rd.ordered = true;
	p->rd.last_ms = INT64_MIN;
	p->rd.n_streams = 0;
}

/* Gaps */

int
pull_gap(struct pull *p, int64_t from_ms, int64_t to_ms, const char *reason, struct err *err)
{
	struct job_gap *last = p->n_gaps ? &p->gaps[p->n_gaps - 1] : NULL;

	if (last && !strcmp(last->reason, reason) && from_ms <= last->to_ms &&
	    to_ms >= last->from_ms) {
		last->from_ms = from_ms < last->from_ms ? from_ms : last->from_ms;
		last->to_ms = to_ms > last->to_ms ? to_ms : last->to_ms;
		return 0;
	}
	if (p->n_gaps == p->cap_gaps) {
		size_t cap = p->cap_gaps ? 2 * p->cap_gaps : 16;
		struct job_gap *v = realloc(p->gaps, cap * sizeof(*v));

		if (!v)
			return err_nomem(err);
		p->gaps = v;
		p->cap_gaps = cap;
	}
	p->gaps[p->n_gaps++] = (struct job_gap){from_ms, to_ms, reason, false};
	return 0;
}

/* One stream of one group has more events in a millisecond than a query has rows. */
static int
stream_gap(struct pull *p, const struct ask *a, double matched, struct err *err)
{
	CLEANUP(buf_done) struct buf reason = BUF_INIT(4096);
	const char *text;

	buf_fmt(&reason, "log stream %s of %s has more events in this millisecond than one query ",
		a->streams[0], p->groups.v[a->g0].name);
	buf_fmt(&reason, "can bring: %llu", (unsigned long long)p->rd.seen);
	if (matched > (double)p->rd.seen)
		buf_fmt(&reason, " of %.0f", matched);
	text = buf_ok(&reason) ? arena_strdup(&p->mem, buf_view(&reason)) : NULL;
	return text ? pull_gap(p, a->from_ms, a->to_ms, text, err) : err_nomem(err);
}

/* Rows */

static int
keep_row(struct pull *p, struct insights_row row, struct err *err)
{
	char *line = arena_strdup(&p->lines, buf_view(&p->line));

	if (p->n_rows == p->cap_rows) {
		size_t cap = p->cap_rows ? 2 * p->cap_rows : 1024;
		struct insights_row *v = reallocarray(p->rows, cap, sizeof(*v));

		if (!v)
			return err_nomem(err);
		p->rows = v;
		p->cap_rows = cap;
	}
	if (!line || p->line.n > UINT32_MAX)
		return err_nomem(err);
	row.line = line;
	row.n = (uint32_t)p->line.n;
	row.source = (uint32_t)p->at;
	p->rows[p->n_rows++] = row;
	return 0;
}

static int
take_row(struct pull *p, const struct insights_lines *l, struct json_raw *fields, size_t n,
	 struct err *err)
{
	const struct ask *a = &p->asks.v[p->at];
	struct insights_row row = {0};

	buf_reset(&p->line);
	if (insights_line(l, fields, n, &p->line, &row, err))
		return -1;
	p->rd.seen++;
	p->rd.ordered = p->rd.ordered && row.ts_ms >= p->rd.last_ms;
	p->rd.last_ms = row.ts_ms;
	if (row.ts_ms < a->from_ms || row.ts_ms >= a->to_ms) {
		p->n_outside++;
		return 0;
	}
	return row.ts_ms < a->used_to_ms ? keep_row(p, row, err) : 0;
}

static bool
column(const struct json_raw *fields, size_t n, const char *name, struct sv *ret)
{
	for (size_t i = 0; i < n; i++)
		if (sv_eq(fields[i].name, sv_of(name))) {
			*ret = fields[i].value;
			return true;
		}
	return false;
}

static int
take_stream(struct pull *p, const struct json_raw *fields, size_t n, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT((size_t)64 << 10);
	struct reading *rd = &p->rd;
	struct sv name, count;
	double events;

	rd->seen++;
	if (!column(fields, n, "@logStream", &name) || !column(fields, n, INSIGHTS_COUNT, &count) ||
	    !num_double(count, &events) || !(events >= 0 && events < 1e15))
		return err_set(err, ERR_DATA, "a row without a log stream and its number");
	if (rd->n_streams == rd->cap_streams) {
		size_t cap = rd->cap_streams ? 2 * rd->cap_streams : 64;
		struct stream_count *v = reallocarray(rd->streams, cap, sizeof(*v));

		if (!v)
			return err_nomem(err);
		rd->streams = v;
		rd->cap_streams = cap;
	}
	json_unescape(&text, name);
	rd->streams[rd->n_streams].n = (uint64_t)events;
	rd->streams[rd->n_streams].name = arena_strdup(&p->mem, buf_view(&text));
	return rd->streams[rd->n_streams++].name ? buf_check(&text, "log stream", err)
						 : err_nomem(err);
}

static const char *
only_group(const struct insights_opts *o)
{
	const char *name = o->log_groups.v[0];

	return o->log_groups.n == 1 && !strchr(name, '*') ? name : NULL;
}

/* Where the status is behind the rows: so that no names are kept that are not used. */
static int
learn_status(struct logs_results *r, struct json_raw *fields, struct err *err)
{
	struct logs_results ahead = *r;
	size_t n;
	int more;

	while ((more = logs_results_row(&ahead, fields, &n, err)) > 0)
		;
	r->status = ahead.status;
	r->has_status = true;
	return more;
}

/* All rows are read, but none is taken of a result that is not complete. */
static int
take_rows(struct pull *p, struct logs_results *r, struct err *err)
{
	CLEANUP(freep) struct json_raw *fields = malloc(LOGS_ROW_FIELDS * sizeof(*fields));
	const struct ask *a = &p->asks.v[p->at];
	struct insights_columns columns = {0};
	const struct insights_lines l = {
	    .common = p->common,
	    .events = p->o->q.events,
	    .time_column = p->o->q.time_column,
	    .ts_ms = a->from_ms,
	    .log_group = only_group(p->o),
	    .columns = &columns,
	};
	bool failed = false;
	size_t n = 0;
	int more;

	if (!fields)
		return err_nomem(err);
	if (a->lists && !r->has_status && learn_status(r, fields, err))
		return -1;
	while ((more = logs_results_row(r, fields, &n, err)) > 0)
		if (!failed && (!r->has_status || r->status == LOGS_COMPLETE))
			failed = (a->lists ? take_stream(p, fields, n, err)
					   : take_row(p, &l, fields, n, err)) != 0;
	if (more || !failed)
		return more;
	if (r->status == LOGS_COMPLETE)
		return -1;
	err_clear(err);
	return 0;
}

void
reading_drop(struct pull *p, int64_t from_ms)
{
	while (p->n_rows > p->rd.first_row && p->rows[p->n_rows - 1].ts_ms >= from_ms)
		p->n_rows--;
	row_runs_cut(&p->runs, p->rd.first_run, from_ms);
}

/* When they are many, out of memory: what is not in question any more as one run, what the present
 * result has brought so far as another. */
static int
put_away(struct pull *p, struct err *err)
{
	size_t first = p->rd.first_row;

	if (p->lines.used <= ROWS_MEMORY)
		return 0;
	if (row_runs_add(&p->runs, p->rows, first, err))
		return -1;
	if (first)
		p->rd.first_run = p->runs.n;
	if (row_runs_add(&p->runs, p->rows + first, p->n_rows - first, err))
		return -1;
	free(p->rows);
	p->rows = NULL;
	p->n_rows = p->cap_rows = p->rd.first_row = 0;
	arena_done(&p->lines);
	return 0;
}

/* Asking again */

int
reading_again(struct pull *p, bool halve, const char *why, struct err *err)
{
	struct ask a = p->asks.v[p->at];

	reading_drop(p, INT64_MIN);
	p->changed = true;
	a.to_ms = a.used_to_ms; /* what is behind is asked for already */
	a.state = ASK_NEW;
	a.id = NULL;
	a.counted = false;
	if (++a.tries > TRIES_MAX)
		return err_set(err, ERR_REJECTED,
			       "a query came to nothing %u times, the last one: %s%s", a.tries, why,
			       p->o->q.splits ? "" : "; a shorter `every` asks for less at a time");
	if (!halve || !p->o->q.splits || a.to_ms - a.from_ms < 2) {
		p->asks.v[p->at] = a;
		return 0;
	}
	p->asks.v[p->at].state = ASK_GONE;
	return asks_add_pieces(&p->asks, &a, a.from_ms, 2, err);
}

/* Dividing */

static int64_t
pieces_for(const struct pull *p, double events, int64_t least)
{
	double n = FILL_DIVISOR * events / (double)p->limit + 1;

	if (n > PIECES_MAX)
		return PIECES_MAX;
	return (int64_t)n > least ? (int64_t)n : least;
}

/* Of one millisecond: by streams, by halves of the streams, by halves of the groups. 1: there is
 * nothing left to divide by. */
static int
divide_ms(struct pull *p, const struct ask *a, int64_t ms, struct err *err)
{
	struct ask one = *a, two;

	one.state = ASK_NEW;
	one.id = NULL;
	one.counted = false;
	one.from_ms = ms;
	one.to_ms = one.used_to_ms = ms + 1;
	two = one;
	if (!a->n_streams) {
		one.lists = true;
		return asks_add(&p->asks, &one, err);
	}
	if (a->n_streams > 1) {
		one.n_streams = a->n_streams / 2;
		two.streams += one.n_streams;
		two.n_streams -= one.n_streams;
		two.more = true;
	} else if (a->g1 - a->g0 > 1) {
		one.g1 = two.g0 = a->g0 + (a->g1 - a->g0) / 2;
	} else {
		return 1;
	}
	return asks_add(&p->asks, &one, err) || asks_add(&p->asks, &two, err) ? -1 : 0;
}

/* How many events are expected from `from_ms` on. */
static double
events_left(const struct pull *p, const struct ask *a, int64_t from_ms, double kept, double matched)
{
	if (p->o->q.plain && matched >= kept)
		return matched - kept;
	if (kept > 0)
		return kept / (double)(from_ms - a->from_ms) * (double)(a->to_ms - from_ms);
	return 2 * (double)p->rd.seen;
}

/* A result that was cut off. */
static int
divide(struct pull *p, double matched, struct err *err)
{
	struct ask a = p->asks.v[p->at];
	bool ordered = p->rd.ordered && p->rd.seen;
	int64_t from_ms = ordered ? p->rd.last_ms : a.from_ms, rest_ms = from_ms;
	double kept;
	int r;

	if (from_ms < a.from_ms || from_ms >= a.to_ms)
		return err_set(err, ERR_DATA, "rows outside of what was asked for");
	/* Its first millisecond fills the query alone. */
	if (from_ms == a.from_ms && (ordered || a.to_ms - a.from_ms == 1)) {
		r = divide_ms(p, &a, from_ms, err);
		if (r < 0)
			return -1;
		if (r > 0) {
			p->asks.v[p->at].state = ASK_DONE;
			return stream_gap(p, &a, matched, err);
		}
		rest_ms = from_ms + 1;
	}
	reading_drop(p, ordered ? from_ms : INT64_MIN);
	kept = (double)(p->n_rows - p->rd.first_row +
			row_runs_count(&p->runs, p->rd.first_run, INT64_MIN));
	p->asks.v[p->at].state = from_ms > a.from_ms ? ASK_DONE : ASK_GONE;
	p->asks.v[p->at].used_to_ms = from_ms;
	if (rest_ms == a.to_ms)
		return 0;
	return asks_add_pieces(
	    &p->asks, &a, rest_ms,
	    pieces_for(p, events_left(p, &a, from_ms, kept, matched), ordered ? 1 : 2), err);
}

int
reading_too_large(struct pull *p, struct err *err)
{
	const struct ask *a = &p->asks.v[p->at];
	bool paged = p->items > 1;

	reading_drop(p, INT64_MIN);
	reading_begin(p);
	if (paged) {
		p->items = p->items / ITEMS_SHRINK ? p->items / ITEMS_SHRINK : 1;
		return 0;
	}
	if (p->o->q.splits && !a->lists &&
	    (a->to_ms - a->from_ms > 1 || !a->n_streams || a->n_streams > 1)) {
		p->rd.seen = (uint64_t)p->limit;
		p->rd.ordered = false;
		p->changed = true;
		return divide(p, -1, err);
	}
	return err_set(err, ERR_REJECTED, "a result that is larger than can be received");
}

/* Streams */

static int
cmp_streams(const void *a, const void *b)
{
	const struct stream_count *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int
add_batch(struct pull *p, const struct ask *of, size_t first, size_t n, struct err *err)
{
	struct ask one = *of;
	const char **v = arena_array(&p->mem, n, sizeof(*v));

	if (!v)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++)
		v[i] = p->rd.streams[first + i].name;
	one.state = ASK_NEW;
	one.id = NULL;
	one.counted = one.lists = false;
	one.streams = v;
	one.n_streams = n;
	one.more = of->more || first > 0;
	return asks_add(&p->asks, &one, err);
}

/* As many streams to a query as fit, by their events and by the length of its text. */
static int
divide_streams(struct pull *p, struct err *err)
{
	const struct ask a = p->asks.v[p->at];
	const struct reading *rd = &p->rd;
	size_t room = LOGS_QUERY_MAX - AROUND_STREAMS - strlen(p->o->q.body), length = 0, first = 0;
	uint64_t events = 0;

	qsort(rd->streams, rd->n_streams, sizeof(*rd->streams), cmp_streams);
	for (size_t i = 0; i < rd->n_streams; i++) {
		size_t own = 2 * strlen(rd->streams[i].name) + 4;

		if (i > first &&
		    (events + rd->streams[i].n >= (uint64_t)p->limit || length + own > room)) {
			if (add_batch(p, &a, first, i - first, err))
				return -1;
			first = i;
			events = length = 0;
		}
		events += rd->streams[i].n;
		length += own;
	}
	p->asks.v[p->at].state = ASK_GONE;
	return add_batch(p, &a, first, rd->n_streams - first, err);
}

static int
streams_end(struct pull *p, struct err *err)
{
	if (!p->rd.n_streams)
		return reading_again(p, false, "a full millisecond has no log streams", err);
	if (p->rd.n_streams < (size_t)p->limit)
		return divide_streams(p, err);
	p->asks.v[p->at].state = ASK_LOST;
	return pull_gap(p, p->asks.v[p->at].from_ms, p->asks.v[p->at].to_ms,
			"more log streams in this millisecond than a query has rows", err);
}

/* The end of a result */

static bool
cut_off(const struct pull *p, double matched)
{
	uint64_t seen = p->rd.seen;

	if (seen >= (uint64_t)p->limit)
		return true;
	/* A service that takes a large limit and does not heed it. */
	return seen && seen % LOGS_ROWS_MAX == 0 && !(p->o->q.plain && matched == (double)seen);
}

static int
rows_end(struct pull *p, double matched, struct err *err)
{
	const struct insights_query *q = &p->o->q;
	struct ask *a = &p->asks.v[p->at];

	if (a->used_to_ms < a->to_ms) { /* the rest was asked for by an earlier run */
		a->state = ASK_DONE;
		return 0;
	}
	if (q->splits && cut_off(p, matched))
		return divide(p, matched, err);
	if (!q->splits && !q->limit && cut_off(p, matched))
		return err_set(err, ERR_REJECTED,
			       "the result is cut off at %llu rows and cannot be divided: group by "
			       "less, or make `every` shorter",
			       (unsigned long long)p->rd.seen);
	if (q->plain && matched >= 0 && matched != (double)p->rd.seen)
		return reading_again(p, true, "rows and recordsMatched differ", err);
	a->state = ASK_DONE;
	return 0;
}

static void
count_bytes(struct pull *p, double bytes)
{
	struct ask *a = &p->asks.v[p->at];

	if (a->counted || !(bytes > 0 && bytes < 1e18))
		return;
	a->counted = true;
	p->billed += (uint64_t)bytes;
	p->spent += (uint64_t)bytes;
}

static int
go_on(struct pull *p, const struct logs_results *r, struct err *err)
{
	CLEANUP(buf_done) struct buf token = BUF_INIT(PAGE_TOKEN_MAX);

	if (!r->token.n)
		return 0;
	json_unescape(&token, r->token);
	if (buf_check(&token, "nextToken", err))
		return -1;
	return paging_go_on(&p->paging, buf_cstr(&token), PAGES_MAX, err);
}

/* The whole page, or nothing of it: it may be asked for again. Nothing of a result that is not
 * complete, either, whose status may stand behind its rows. */
static int
take_page(struct pull *p, struct logs_results *r, struct err *err)
{
	struct reading before = p->rd;
	size_t n_rows = p->n_rows;
	uint64_t n_outside = p->n_outside;
	int rc = take_rows(p, r, err);

	if (!rc && r->status == LOGS_COMPLETE && !go_on(p, r, err))
		return 0;
	before.streams = p->rd.streams; /* they may have moved */
	before.cap_streams = p->rd.cap_streams;
	p->rd = before;
	p->n_rows = n_rows;
	p->n_outside = n_outside;
	if (!n_rows)
		arena_reset(&p->lines);
	if (rc || r->status == LOGS_COMPLETE)
		return -1;
	return put_away(p, err); /* a query that runs is looked at many times */
}

static int
complete_page(struct pull *p, const struct logs_results *r, struct err *err)
{
	int rc;

	p->in_pages = r->token.n > 0;
	if (p->in_pages)
		return put_away(p, err);
	p->changed = true;
	count_bytes(p, r->bytes_scanned);
	rc = p->asks.v[p->at].lists ? streams_end(p, err) : rows_end(p, r->matched, err);
	reading_begin(p); /* its rows are no longer in question */
	return rc ? rc : put_away(p, err);
}

/* Pages of the next results, where rows are long. */
static void
fit_items(struct pull *p, size_t bytes)
{
	if (!p->in_pages && p->items > 1 && bytes > PAGE_BYTES)
		p->items = (long)((double)p->items * PAGE_BYTES / (double)bytes) + 1;
}

/* Its pages that were read already, too. */
static int
came_to_nothing(struct pull *p, const struct logs_results *r, bool halve, struct err *err)
{
	count_bytes(p, r->bytes_scanned);
	reading_drop(p, INT64_MIN);
	reading_begin(p);
	return reading_again(p, halve, logs_status_word(r->status), err);
}

int
reading_page(struct pull *p, struct sv body, struct err *err)
{
	struct logs_results r;

	if (logs_results_open(body, &r, err))
		return -1;
	if (!p->in_pages)
		reading_begin(p);
	if (take_page(p, &r, err))
		return -1;
	p->unready = r.status == LOGS_SCHEDULED || r.status == LOGS_RUNNING;
	switch (r.status) {
	case LOGS_SCHEDULED:
	case LOGS_RUNNING:
		return 0;
	case LOGS_COMPLETE:
		if (complete_page(p, &r, err))
			return -1;
		p->page_size = body.n;
		fit_items(p, body.n);
		return 0;
	case LOGS_FAILED:
	case LOGS_TIMEOUT:
		return came_to_nothing(p, &r, true, err);
	default:
		return came_to_nothing(p, &r, false, err);
	}
}
