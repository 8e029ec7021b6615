/*
 * A plan for terminals: a line a stream, then what all of it is billed for, so that each sum can be
 * done again by hand from what stands there. See forecast.h.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "run/columns.h"
#include "run/forecast.h"
#include "run/status.h"

#define CELL_MAX       72
#define NAME_MAX_WIDTH 20

enum column {
	TENANT,
	JOB,
	REGION,
	CELLS,
	CALLS,
	METRICS,
	SCANNED,
	SAMPLES,
	RUN,
	DAY,
	MONTH,
	COLUMNS
};

static const struct {
	const char *title;
	bool right;
} columns[COLUMNS] = {
    {"TENANT", false}, {"JOB", false},	  {"REGION", false}, {"CELLS", true},
    {"CALLS", true},   {"METRICS", true}, {"SCANNED", true}, {"SAMPLES", true},
    {"RUN", true},     {"DAY", true},	  {"MONTH", true},
};

struct line {
	char cell[COLUMNS][CELL_MAX];
};

/* As many digits as tell something. */
static void
dollars(double v, char out[CELL_MAX])
{
	int digits = v >= 1 || v <= 0 ? 2 : v >= 0.01 ? 4 : 6;

	(void)snprintf(out, CELL_MAX, "$%.*f", digits, v);
}

static void
bytes(double v, char out[CELL_MAX])
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
	size_t i = 0;

	for (; v >= 1000 && i + 1 < ARRAY_LEN(units); i++)
		v /= 1000;
	(void)snprintf(out, CELL_MAX, "%.*f%s", i && v < 100 ? 1 : 0, v, units[i]);
}

static const char *
mark(const struct forecast_stream *s)
{
	return s->basis == BASIS_RECORD ? "" : s->basis == BASIS_OTHERS ? "~" : "*";
}

static void
number(uint64_t n, char out[CELL_MAX])
{
	(void)snprintf(out, CELL_MAX, "%" PRIu64, n);
}

static void
fill(const struct prices *p, const struct forecast_stream *s, struct line *l)
{
	double day = forecast_day_dollars(p, &s->day);

	*l = (struct line){0};
	(void)snprintf(l->cell[TENANT], CELL_MAX, "%s", s->tenant->id);
	(void)snprintf(l->cell[JOB], CELL_MAX, "%s", s->job->name);
	(void)snprintf(l->cell[REGION], CELL_MAX, "%s", s->region);
	for (size_t c = CELLS; c < COLUMNS; c++)
		(void)snprintf(l->cell[c], CELL_MAX, "-");
	if (err_kept(&s->why)->kind != ERR_NONE)
		return;
	number(s->cells, l->cell[CELLS]);
	number(forecast_calls_sum(&s->calls), l->cell[CALLS]);
	(void)snprintf(l->cell[METRICS], CELL_MAX, "%" PRIu64 "%s", s->billed.metrics, mark(s));
	if (s->billed.bytes_scanned)
		bytes((double)s->billed.bytes_scanned, l->cell[SCANNED]);
	(void)snprintf(l->cell[SAMPLES], CELL_MAX, "%" PRIu64 "%s", s->samples, mark(s));
	dollars(prices_sum(p, &s->billed), l->cell[RUN]);
	dollars(day, l->cell[DAY]);
	dollars(day * FORECAST_MONTH, l->cell[MONTH]);
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

static void
put_streams(const struct forecast *f, struct buf *out)
{
	const struct prices *p = &f->session->config->run.prices;
	size_t width[COLUMNS];
	struct line l = {0};

	for (size_t c = 0; c < COLUMNS; c++)
		width[c] = strlen(columns[c].title);
	for (size_t i = 0; i < f->n_streams; i++) {
		fill(p, &f->streams[i], &l);
		for (size_t c = 0; c < COLUMNS; c++)
			if (strlen(l.cell[c]) > width[c])
				width[c] = strlen(l.cell[c]);
	}
	for (size_t c = TENANT; c <= REGION; c++)
		width[c] = width[c] > NAME_MAX_WIDTH ? NAME_MAX_WIDTH : width[c];
	for (size_t c = 0; c < COLUMNS; c++)
		(void)snprintf(l.cell[c], CELL_MAX, "%s", columns[c].title);
	put_line(out, &l, width);
	for (size_t i = 0; i < f->n_streams; i++) {
		fill(p, &f->streams[i], &l);
		put_line(out, &l, width);
	}
}

/* Calls */

static void
put_calls(const struct forecast *f, struct buf *out)
{
	char text[CELL_MAX];

	buf_fmt(out,
		"\n%" PRIu64 " tenants, %zu streams: %" PRIu64 " cells to pull, %" PRIu64
		" to send from the lake, %" PRIu64 " calls:\n",
		f->tenants, f->n_streams, f->cells, f->from_lake, forecast_calls_sum(&f->calls));
	for (size_t i = 0; i < f->calls.n; i++) {
		(void)snprintf(text, sizeof(text), "%s %s", f->calls.v[i].service,
			       f->calls.v[i].operation);
		buf_str(out, "  ");
		columns_put(out, text, 32, false);
		buf_fmt(out, " %9" PRIu64 "\n", f->calls.v[i].n);
	}
}

/* The bill */

static void
put_item(struct buf *out, const char *what, uint64_t now, double day, double per, const char *of,
	 double price)
{
	char run[CELL_MAX];
	char a_day[CELL_MAX];

	if (!now && day <= 0)
		return;
	dollars((double)now / per * price, run);
	dollars(day / per * price, a_day);
	buf_str(out, "  ");
	columns_put(out, what, 24, false);
	buf_fmt(out, " $%g / %s", price, of);
	buf_fmt(out, "%*s", (int)(strlen(of) < 20 ? 20 - strlen(of) : 1), "");
	buf_fmt(out, "%12" PRIu64 " %12s %14.0f %12s\n", now, run, day, a_day);
}

static void
put_bill(const struct forecast *f, struct buf *out)
{
	const struct prices *p = &f->session->config->run.prices;
	const struct billed *b = &f->billed;
	char run[CELL_MAX], day[CELL_MAX], month[CELL_MAX];

	buf_fmt(out, "\n  %-24s %-26s%12s %12s %14s\n", "ESTIMATED COST", "PRICE", "THIS RUN", "",
		"A DAY");
	put_item(out, "metrics asked for", b->metrics, f->day.metrics, 1e3, "1,000",
		 p->get_metric_data_per_1000);
	put_item(out, "other CloudWatch calls", b->calls, f->day.other_calls, 1e3, "1,000",
		 p->cloudwatch_calls_per_1000);
	put_item(out, "bytes scanned", b->bytes_scanned, f->day.bytes_scanned, 1e9, "1,000,000,000",
		 p->insights_per_gb);
	put_item(out, "samples to AMP", b->samples, f->day.samples, 1e7, "10,000,000",
		 p->amp_per_10m_samples);
	put_item(out, "objects put on S3", b->puts, f->day.puts, 1e3, "1,000", p->s3_puts_per_1000);
	dollars(f->run_dollars, run);
	dollars(f->day_dollars, day);
	dollars(f->day_dollars * FORECAST_MONTH, month);
	buf_fmt(out, "  %-24s %-26s%12s %12s %14s %12s\n", "sum", "", "", run, "", day);
	buf_fmt(out, "  %-24s %-26s%12s %12s %14s %12s\n", "a month of 30 days", "", "", "", "",
		month);
	buf_fmt(out, "  Prices: %s. \"A day\": a run each `every`, all caught up.\n",
		PRICES_SOURCE);
}

/* Time */

static void
put_time(const struct forecast *f, struct buf *out)
{
	int64_t ms = forecast_duration_ms(f);
	char text[48];

	status_duration(ms < 1000 ? 1000 : ms, text);
	buf_fmt(out,
		"\nDuration: about %s: all calls, %d ms each, by all workers %.1f s; the busiest "
		"tenant's %.1f s;\n",
		text, FORECAST_CALL_MS, (double)f->latency_ms / 1000, (double)f->tenant_ms / 1000);
	if (f->quota.operation)
		buf_fmt(out,
			"  the tightest quota (run.limits): %" PRIu64
			" %s of %s in %s at %g a second, %.1f s\n",
			f->quota.calls, f->quota.operation, f->quota.account, f->quota.region,
			f->quota.per_second, (double)f->quota_ms / 1000);
	if (f->session->config->run.deadline_ms && ms > f->session->config->run.deadline_ms)
		buf_str(out,
			"  That is longer than run.deadline: what is left is the next run's.\n");
}

/* Assumptions */

static void
put_assumptions(const struct forecast *f, struct buf *out)
{
	if (f->likened)
		buf_fmt(out,
			"\n~ %" PRIu64
			" streams have no record yet: taken to be as the job's others are "
			"on average.\n",
			f->likened);
	if (f->assumed)
		buf_fmt(out,
			"\n* %" PRIu64
			" streams have no record, nor has any other of their job: %d "
			"series each are assumed\n  (10 services of 8 metrics), every point there; "
			"what "
			"is scanned is not known, and not in the sums.\n",
			f->assumed, FORECAST_SERIES);
	if (f->failed)
		buf_fmt(out, "\n- %" PRIu64 " streams cannot be foreseen: see stderr.\n",
			f->failed);
	if (*f->session->backfill.name)
		buf_str(
		    out,
		    "\nCells that are in the lake already are taken from there: that is not known "
		    "here.\n");
}

/* Schedules and other ways */

static void
put_schedules(const struct forecast_shown *s, struct buf *out)
{
	const struct prices *p = &s->f->session->config->run.prices;
	char every[32], day[CELL_MAX], month[CELL_MAX];

	if (!s->n_schedules)
		return;
	buf_fmt(out, "\n%-8s %12s %14s %14s %12s %12s\n", "EVERY", "CALLS A DAY", "METRICS A DAY",
		"OBJECTS A DAY", "A DAY", "A MONTH");
	for (size_t i = 0; i < s->n_schedules; i++) {
		const struct forecast_schedule *v = &s->schedules[i];
		double d = forecast_day_dollars(p, &v->day);

		num_duration_format(v->every_ms, every);
		dollars(d, day);
		dollars(d * FORECAST_MONTH, month);
		buf_fmt(out, "%-8s %12.0f %14.0f %14.0f %12s %12s", every, v->day.calls,
			v->day.metrics, v->day.puts, day, month);
		if (v->cannot)
			buf_fmt(out, "  without job %s", v->cannot->name);
		if (v->too_old)
			buf_fmt(out, "  too old for %s", v->too_old);
		buf_ch(out, '\n');
	}
	buf_str(out, "  Cells, and runs, of that length; the points are the same, and come so much "
		     "later.\n");
}

static void
put_others(const struct forecast *f, struct buf *out)
{
	struct forecast_other others[FORECAST_OTHERS];
	char text[CELL_MAX];

	forecast_others(f, others);
	if (others[0].dollars <= 0)
		return;
	buf_str(out, "\nThe same metrics in other ways, a month; estimates:\n");
	for (size_t i = 0; i < FORECAST_OTHERS; i++) {
		dollars(others[i].dollars, text);
		buf_fmt(out, "  %s: %s = %s\n    assumed: %s\n    better: %s\n", others[i].name,
			text, others[i].sum, others[i].assumption, others[i].wins);
	}
}

void
forecast_table(const struct forecast_shown *s, struct buf *out)
{
	put_streams(s->f, out);
	put_calls(s->f, out);
	put_bill(s->f, out);
	put_time(s->f, out);
	put_assumptions(s->f, out);
	put_schedules(s, out);
	put_others(s->f, out);
}
