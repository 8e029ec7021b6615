/*
 * How everything stands, as a table for terminals; see status.h.
 *
 * A line a stream, the worst first, and below it what there is to say about it. Columns are as wide
 * as what is in them; where that is too much, names are cut in the middle, for their ends tell them
 * apart.
 */
#include "run/status.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/timefmt.h"
#include "base/utf8.h"
#include "run/columns.h"

enum column {
	TENANT,
	JOB,
	REGION,
	WATERMARK,
	LAG,
	LAST,
	GAPS,
	CELLS,
	ROWS,
	SAMPLES,
	COST,
	COLUMNS,
};

#define NAMES	 3 /* the first columns, which may be cut */
#define NAME_MIN 8
#define CELL_MAX 80

static const struct {
	const char *title;
	bool right;
} columns[COLUMNS] = {
    {"TENANT", false}, {"JOB", false},	  {"REGION", false}, {"WATERMARK", false},
    {"LAG", true},     {"LAST", false},	  {"GAPS", true},    {"CELLS", true},
    {"ROWS", true},    {"SAMPLES", true}, {"COST", true},
};

struct line {
	char cell[COLUMNS][CELL_MAX];
};

/* "01-02 03:04", and the year only where it is another one. */
static void
short_time(int64_t ms, int64_t now_ms, char out[CELL_MAX])
{
	char text[TIME_TEXT_MAX], now[TIME_TEXT_MAX];

	time_format_s(ms, text);
	time_format_s(now_ms, now);
	if (memcmp(text, now, 5) == 0)
		(void)snprintf(out, CELL_MAX, "%.5s %.5s", text + 5, text + 11);
	else
		(void)snprintf(out, CELL_MAX, "%.10s", text);
}

static void
dollars(double v, char out[CELL_MAX])
{
	char count[16];

	status_count((uint64_t)v, count);
	if (v > 0 && v < 0.005)
		(void)snprintf(out, CELL_MAX, "<$0.01");
	else if (v >= 1000)
		(void)snprintf(out, CELL_MAX, "$%s", count);
	else
		(void)snprintf(out, CELL_MAX, "$%.2f", v);
}

static void
fill_numbers(const struct status *st, const struct status_stream *s, struct line *l)
{
	const struct ckpt_counters *n = &s->s->counters;
	char text[48];

	short_time(s->watermark_ms, st->now_ms, l->cell[WATERMARK]);
	status_duration(s->lag_ms, l->cell[LAG]);
	if (s->s->n_gaps) {
		status_duration(s->gap_ms, text);
		(void)snprintf(l->cell[GAPS], CELL_MAX, "%s", text);
	}
	status_count(n->cells, l->cell[CELLS]);
	status_count(n->rows, l->cell[ROWS]);
	status_count(n->samples_frozen, l->cell[SAMPLES]);
	dollars(s->dollars, l->cell[COST]);
}

static void
fill(const struct status *st, const struct status_stream *s, struct line *l)
{
	*l = (struct line){0};
	(void)snprintf(l->cell[TENANT], CELL_MAX, "%s", s->entry->tenant);
	(void)snprintf(l->cell[JOB], CELL_MAX, "%s", s->entry->name);
	(void)snprintf(l->cell[REGION], CELL_MAX, "%s", *s->region ? s->region : "-");
	(void)snprintf(l->cell[WATERMARK], CELL_MAX, "-");
	(void)snprintf(l->cell[LAG], CELL_MAX, "-");
	(void)snprintf(l->cell[LAST], CELL_MAX, "%s", status_word(s));
	if (s->result == STATUS_FAILING)
		(void)snprintf(l->cell[LAST], CELL_MAX, "failing %" PRIu64, s->s->failures);
	if (s->s)
		fill_numbers(st, s, l);
}

/* Names are ASCII, by the rules of the configuration and of keys. */
static void
measure(const struct status *st, size_t width[COLUMNS])
{
	struct line l;
	size_t all = COLUMNS - 1;

	for (size_t c = 0; c < COLUMNS; c++)
		width[c] = strlen(columns[c].title);
	for (size_t i = 0; i < st->n_streams; i++) {
		fill(st, &st->streams[i], &l);
		for (size_t c = 0; c < COLUMNS; c++)
			if (strlen(l.cell[c]) > width[c])
				width[c] = strlen(l.cell[c]);
	}
	for (size_t c = 0; c < COLUMNS; c++)
		all += width[c];
	/* The widest name gives way first. */
	while (all > STATUS_COLUMNS) {
		size_t widest = 0;

		for (size_t c = 1; c < NAMES; c++)
			if (width[c] > width[widest])
				widest = c;
		if (width[widest] <= NAME_MIN)
			break;
		width[widest]--;
		all--;
	}
}

static void
put_line(struct buf *out, const struct line *l, const size_t width[COLUMNS])
{
	for (size_t c = 0; c < COLUMNS; c++) {
		columns_put(out, l->cell[c], width[c], columns[c].right);
		buf_ch(out, ' ');
	}
	columns_end(out);
}

/* Details */

/* What a service said must not move the cursor or forge a line. One column a code point. */
static size_t
put_clean(struct buf *out, struct sv word)
{
	size_t columns_used = 0;
	uint32_t cp;

	while (word.n) {
		size_t n = utf8_next(word, &cp);

		if (cp >= 0x200b && cp <= 0x200d) /* no column wide */
			buf_ch(out, '?');
		else
			utf8_plain(out, (struct sv){word.p, n});
		columns_used++;
		word.p += n;
		word.n -= n;
	}
	return columns_used;
}

/* The first `columns` code points of a word. */
static size_t
head_of(struct sv word, size_t columns_max)
{
	size_t n = 0;
	uint32_t cp;

	while (n < word.n && columns_max-- > 0)
		n += utf8_next((struct sv){word.p + n, word.n - n}, &cp);
	return n;
}

#define INDENT 4

/* A paragraph with a label in front, wrapped. */
static void
put_paragraph(struct buf *out, size_t indent, const char *label, const char *text)
{
	size_t at = indent + strlen(label) + 2, room = STATUS_COLUMNS - at;
	struct sv rest = sv_of(text);
	bool first = true;
	size_t used = at;

	buf_fmt(out, "%*s%s: ", (int)indent, "", label);
	while (rest.n) {
		size_t blank = 0, n, width;

		while (rest.n && *rest.p == ' ') {
			rest.p++;
			rest.n--;
		}
		while (blank < rest.n && rest.p[blank] != ' ')
			blank++;
		n = head_of((struct sv){rest.p, blank}, room);
		width = n; /* bytes, so at least as much as columns */
		if (!first && used + 1 + width > STATUS_COLUMNS) {
			buf_fmt(out, "\n%*s", (int)at, "");
			used = at;
		} else if (!first) {
			buf_ch(out, ' ');
			used++;
		}
		used += put_clean(out, (struct sv){rest.p, n});
		rest.p += n;
		rest.n -= n;
		first = false;
	}
	buf_ch(out, '\n');
}

/* Below a stream's line. */
static void
put_detail(struct buf *out, const char *label, const char *text)
{
	put_paragraph(out, INDENT, label, text);
}

__attribute__((format(printf, 3, 4))) static void
put_detail_fmt(struct buf *out, const char *label, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_detail(out, label, text);
}

static void
put_sinks(struct buf *out, const struct status *st, const struct status_stream *s)
{
	for (size_t i = 0; i < s->s->n_sinks; i++) {
		const struct ckpt_sink *k = &s->s->sinks[i];
		char lag[48], at[CELL_MAX];

		status_duration(st->now_ms - k->cursor_ms, lag);
		short_time(k->cursor_ms, st->now_ms, at);
		put_detail_fmt(out, "sink", "%s is at %s, %s behind%s", k->name, at, lag,
			       k->beyond.n ? ", and has cells beyond" : "");
	}
}

static void
put_gaps(struct buf *out, const struct status *st, const struct status_stream *s)
{
	const size_t shown = 3; /* the newest; --json has all */

	for (size_t i = s->s->n_gaps > shown ? s->s->n_gaps - shown : 0; i < s->s->n_gaps; i++) {
		const struct ckpt_gap *g = &s->s->gaps[i];
		char from[CELL_MAX], length[48];

		short_time(g->start_ms, st->now_ms, from);
		status_duration(g->end_ms - g->start_ms, length);
		put_detail_fmt(out, "gap", "%s from %s%s%s: %s", length, from,
			       *g->sink ? " for " : "", g->sink, g->reason);
	}
	if (s->s->n_gaps > shown)
		put_detail_fmt(out, "gap", "and %zu older", s->s->n_gaps - shown);
}

static void
put_lease(struct buf *out, const struct status *st, const struct status_stream *s)
{
	const struct ckpt_lease *l = &s->entry->ckpt->lease;
	char text[CELL_MAX];

	if (!l->owner)
		return;
	short_time(s->held ? l->since_ms : l->until_ms, st->now_ms, text);
	if (s->held)
		put_detail_fmt(out, "lease", "run %s on %s since %s", l->owner,
			       l->host ? l->host : "?", text);
	else
		put_detail_fmt(
		    out, "lease",
		    "run %s on %s did not give it up (over since %s); the next run takes it",
		    l->owner, l->host ? l->host : "?", text);
}

static void
put_last_change(struct buf *out, const struct status *st, const struct status_stream *s)
{
	const struct ckpt *c = s->entry->ckpt;
	const struct ckpt_event *e;
	char at[CELL_MAX];

	if (!c->n_history)
		return;
	e = &c->history[c->n_history - 1];
	short_time(e->time_ms, st->now_ms, at);
	put_detail_fmt(out, "changed", "%s by %s: %s (%s)", at, e->who, e->what, e->reason);
}

static void
put_details(struct buf *out, const struct status *st, const struct status_stream *s)
{
	const char *trouble = status_trouble(s), *advice = status_advice(s);

	if (*trouble)
		put_detail(out, s->result == STATUS_DAMAGED ? "damage" : "error", trouble);
	if (*advice && s->result != STATUS_NEVER)
		put_detail(out, "do", advice);
	if (!s->s)
		return;
	put_lease(out, st, s);
	if (status_cursors_differ(s))
		put_sinks(out, st, s);
	put_gaps(out, st, s);
	put_last_change(out, st, s);
}

static void
put_total_streams(struct buf *out, const struct status_totals *t)
{
	struct buf text = BUF_INIT(1024);
	const char *sep = ": ";

	buf_fmt(&text, "%zu tenant%s, %zu stream%s", t->tenants, t->tenants == 1 ? "" : "s",
		t->streams, t->streams == 1 ? "" : "s");
	for (size_t r = 0; r < STATUS_RESULTS; r++)
		if (t->of[r]) {
			buf_fmt(&text, "%s%zu %s", sep, t->of[r],
				status_result_word((enum status_result)r));
			sep = ", ";
		}
	put_paragraph(out, 0, "total", buf_cstr(&text));
	buf_done(&text);
}

static void
put_totals(struct buf *out, const struct status *st)
{
	const struct status_totals *t = &st->totals;
	char rows[16], samples[16], cost[CELL_MAX], length[48], text[512];

	buf_ch(out, '\n');
	put_total_streams(out, t);
	status_count(t->counters.rows, rows);
	status_count(t->counters.samples_frozen, samples);
	dollars(t->dollars, cost);
	(void)snprintf(text, sizeof(text), "%s rows, %s samples, %s estimated", rows, samples,
		       cost);
	put_paragraph(out, 0, "since the beginning", text);
	if (t->gaps) {
		status_duration(t->gap_ms, length);
		(void)snprintf(text, sizeof(text), "%zu, %s together", t->gaps, length);
		put_paragraph(out, 0, "gaps", text);
	}
	if (t->furthest) {
		status_duration(t->furthest->lag_ms, length);
		(void)snprintf(text, sizeof(text), "%s %s %s, %s", t->furthest->entry->tenant,
			       t->furthest->entry->name, t->furthest->region, length);
		put_paragraph(out, 0, "furthest behind", text);
	}
}

void
status_table(const struct status *st, struct buf *out)
{
	size_t width[COLUMNS];
	struct line l = {0};

	measure(st, width);
	for (size_t c = 0; c < COLUMNS; c++)
		(void)snprintf(l.cell[c], CELL_MAX, "%s", columns[c].title);
	put_line(out, &l, width);
	for (size_t i = 0; i < st->n_streams; i++) {
		fill(st, &st->streams[i], &l);
		put_line(out, &l, width);
		put_details(out, st, &st->streams[i]);
	}
	put_totals(out, st);
}
