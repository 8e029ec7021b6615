/*
 * What pulls are going to take, from the memo and the configuration alone: how many cells one may
 * be of, how long cells are looked at again, and the calls and series of a pull that was opened and
 * has asked for nothing yet.
 */
#include "base/cleanup.h"
#include "jobs/metrics_pull.h"

#define MINUTE_MS 60000LL
#define HOUR_MS	  (60 * MINUTE_MS)

/* From a metric's first point to the end of the pull that finds it listed: 15 minutes until it is,
 * and some for the runs' pace. */
#define LISTED_AFTER_MS (20 * MINUTE_MS)
#define BIRTH_MAX_MS	(3 * HOUR_MS)
/* Points younger than this are read from the fastest store; spans are kept inside it. */
#define SPAN_MAX_MS (3 * HOUR_MS)
/* And few enough that 32 workers may have as many points in memory: in one call half of what a page
 * may hold, which is 500 series for an hour and a half; in all calls of a span so many. */
#define SPAN_CALL_POINTS (CW_DATAPOINTS_MAX / 2)
#define SPAN_POINTS	 (CW_DATAPOINTS_MAX * 4)
#define SERIES_MAX	 ((size_t)1 << 30)

/* Series of the inventory as it is, for want of the list that comes first. */
static int
count_series(const struct pull *p, size_t *ret, struct err *err)
{
	CLEANUP(arena_done) struct arena mem = ARENA_INIT(PULL_ARENA_MAX);
	struct metrics_plan plan;

	if (metrics_plan_make(&plan, p->s, &p->inv, &mem, err))
		return -1;
	*ret = plan.n;
	return 0;
}

/* Of the inventory as it is, too. */
static int
foresee_math(const struct pull *p, struct math_forecast *ret, struct err *err)
{
	CLEANUP(arena_done) struct arena mem = ARENA_INIT(PULL_ARENA_MAX);
	struct math *math = NULL;
	int r = metrics_math_new(p, &mem, &math, err);

	if (!r)
		math_foresee(math, ret);
	math_done(math);
	return r;
}

int
metrics_foresee(const struct pull *p, uint64_t assumed, struct job_forecast *f, struct err *err)
{
	struct math_forecast math;
	size_t n = p->plan.n;

	*f = (struct job_forecast){.known = p->phase != LIST || p->inv.discovered_ms};
	f->list = (struct job_calls){"ListMetrics",
				     p->inv.pages ? (uint64_t)p->inv.pages : p->n_namespaces};
	f->list_every_ms = p->o->discover_every_ms;
	if (p->phase == LIST) {
		f->list_now = p->recent ? 1 : 2;
		if (count_series(p, &n, err))
			return -1;
	}
	if (foresee_math(p, &math, err))
		return -1;
	n = f->known ? n : assumed;
	f->series = n + math.series;
	f->metrics = n + math.metrics;
	f->samples = f->series * (uint64_t)(p->s->common->every_ms / p->o->period_ms);
	f->n_calls = 1;
	f->calls[0] = (struct job_calls){"GetMetricData",
					 (n + CW_QUERIES_MAX - 1) / CW_QUERIES_MAX + math.calls};
	return 0;
}

/* How many series this memo's metrics have, at most; 0: not known. */
static int64_t
series_of(const struct metrics_opts *o, const json_t *memo)
{
	size_t metrics = inventory_peek(memo), stats = 1, n;
	const struct metrics_from *from = metrics_from_list(o, &n);

	for (size_t i = 0; i < n; i++)
		if (metrics_from_stats(&from[i])->n > stats)
			stats = metrics_from_stats(&from[i])->n;
	return (int64_t)(metrics < SERIES_MAX / stats ? metrics * stats : SERIES_MAX);
}

static int64_t
smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* One page should hold all points of a call, the span be young enough to be read fast, and all of
 * it small enough to be kept in memory. */
size_t
metrics_span_max(const struct job_stream *s, const json_t *memo)
{
	const struct metrics_opts *o = s->opts;
	int64_t per_cell = s->common->every_ms / o->period_ms;
	int64_t series = series_of(o, memo);
	bool few = series && series < CW_QUERIES_MAX && !metrics_asks_expressions(o);
	int64_t of_call = few ? series : CW_QUERIES_MAX;
	int64_t cells = SPAN_MAX_MS / s->common->every_ms;

	if (per_cell < 1)
		per_cell = 1;
	cells = smaller(cells, SPAN_CALL_POINTS / (of_call * per_cell));
	if (series)
		cells = smaller(cells, SPAN_POINTS / (series * per_cell));
	return cells > 1 ? (size_t)cells : 1;
}

/* A metric is listed up to 15 minutes after its first point, and found with the first listing after
 * that. So that nothing of a service is lost that was born between two listings, cells are looked
 * at long enough for both, whatever `revisit` says, unless that is off. */
int64_t
metrics_reach_ms(const struct job_stream *s)
{
	const struct metrics_opts *o = s->opts;
	int64_t birth = o->discover_every_ms + LISTED_AFTER_MS;

	if (!s->common->revisit_ms)
		return 0;
	if (birth > BIRTH_MAX_MS)
		birth = BIRTH_MAX_MS;
	return s->common->revisit_ms > birth ? s->common->revisit_ms : birth;
}
