/*
 * From the inventory to the series that are asked for: each metric with each of its statistics,
 * named, filtered by keep and drop (what they leave out is never asked for and so never paid), and
 * checked for two that would be one series.
 */
#include <math.h>
#include <regex.h>
#include <stdlib.h>

#include "aws/endpoint.h"
#include "base/cleanup.h"
#include "jobs/metrics.h"

#define WORDS_MAX 160

struct filter {
	regex_t re;
	bool set;
};

static void
filter_done(struct filter *f)
{
	if (f->set)
		regfree(&f->re);
}

static int
filter_init(struct filter *f, const char *key, const char *pattern, struct err *err)
{
	char why[128];
	int r;

	if (!pattern || !*pattern)
		return 0;
	r = regcomp(&f->re, pattern, REG_EXTENDED);
	if (r) {
		(void)regerror(r, &f->re, why, sizeof(why));
		return err_set(err, ERR_USAGE, "%s: %s", key, why);
	}
	f->set = true;
	return 0;
}

/* POSIX takes the leftmost match, and of those the longest: if the whole name can match, that is
 * the one. */
static bool
filter_matches(const struct filter *f, const char *name)
{
	regmatch_t m;

	return !regexec(&f->re, name, 1, &m, 0) && m.rm_so == 0 && (size_t)m.rm_eo == strlen(name);
}

int
metrics_keeps(const struct metrics_opts *o, const char *name, bool *ret, struct err *err)
{
	struct filter keep = {0}, drop = {0};
	int r =
	    filter_init(&keep, "keep", o->keep, err) || filter_init(&drop, "drop", o->drop, err);

	*ret = !r && (!keep.set || filter_matches(&keep, name)) &&
	       (!drop.set || !filter_matches(&drop, name));
	filter_done(&keep);
	filter_done(&drop);
	return r ? -1 : 0;
}

struct series_owner
metrics_owner(const struct job_stream *s)
{
	return (struct series_owner){
	    .tenant = s->tenant,
	    .account = s->account,
	    .region = s->region,
	    .partition = endpoint_partition(s->region),
	    .labels = s->labels,
	    .n_labels = s->n_labels,
	};
}

struct planner {
	struct metrics_plan *plan;
	const struct job_stream *s;
	const struct metrics_opts *o;
	struct arena *a;
	struct filter keep, drop;
	size_t metric_start; /* where the present metric's statistics begin in the plan */
};

static bool
has_stat(const struct planner *pl, const char *stat)
{
	for (size_t i = pl->metric_start; i < pl->plan->n; i++)
		if (!strcmp(pl->plan->v[i].stat, stat))
			return true;
	return false;
}

static int
add_stat(struct planner *pl, const struct cw_metric *m, const struct label *dims, const char *stat,
	 bool many_sets, struct err *err)
{
	const struct naming_rules rules = {(enum naming)pl->o->naming,
					   (enum memory_unit)pl->o->memory_unit};
	struct series_owner owner = metrics_owner(pl->s);
	const struct metric_source source = {m->ns, m->name, stat, dims, m->n_dims, many_sets};
	struct wanted *w;

	if (has_stat(pl, stat))
		return 0;
	w = &pl->plan->v[pl->plan->n];
	owner.like = pl->plan->n ? &w[-1].series : NULL;
	*w = (struct wanted){.metric = m, .stat = stat, .order = pl->plan->n, .status = CW_OTHER};
	if (normalise_series(&rules, &owner, &source, pl->o->period_ms, pl->a, &w->series, err))
		return -1;
	if (pl->keep.set && !filter_matches(&pl->keep, w->series.name))
		return 0;
	if (pl->drop.set && filter_matches(&pl->drop, w->series.name))
		return 0;
	pl->plan->n++;
	return 0;
}

static int
add_metric(struct planner *pl, const struct cw_metric *m, bool many_sets, struct err *err)
{
	/* Series keep the words, not the array. */
	struct label dims[CW_DIMENSIONS_MAX];
	size_t n;
	const struct metrics_from *from = metrics_from_list(pl->o, &n);

	if (m->n_dims > CW_DIMENSIONS_MAX)
		return err_set(err, ERR_DATA, "%s %s: more than %d dimensions", m->ns, m->name,
			       CW_DIMENSIONS_MAX);
	for (size_t i = 0; i < m->n_dims; i++)
		dims[i] = (struct label){m->dims[i].name, m->dims[i].value};
	pl->metric_start = pl->plan->n;
	for (size_t i = 0; i < n; i++) {
		const struct conf_strings *stats = metrics_from_stats(&from[i]);

		if (!metrics_from_plain(&from[i]) || !metrics_from_selects(&from[i], m))
			continue;
		for (size_t k = 0; k < stats->n; k++)
			if (add_stat(pl, m, dims, stats->v[k], many_sets, err))
				return -1;
	}
	return 0;
}

/* How many series there are at most: what keep and drop leave out is not known yet. */
static size_t
count_stats(const struct planner *pl, const struct inventory *inv)
{
	size_t n_from, n = 0;
	const struct metrics_from *from = metrics_from_list(pl->o, &n_from);

	for (size_t i = 0; i < inv->n; i++)
		for (size_t k = 0; k < n_from; k++)
			if (metrics_from_plain(&from[k]) &&
			    metrics_from_selects(&from[k], &inv->v[i].metric))
				n += metrics_from_stats(&from[k])->n;
	return n;
}

static int
add_inventory(struct planner *pl, const struct inventory *inv, struct err *err)
{
	const struct cw_metric *last = NULL;
	bool many = false;

	pl->plan->v = arena_array(pl->a, count_stats(pl, inv), sizeof(*pl->plan->v));
	if (!pl->plan->v)
		return err_nomem(err);
	for (size_t i = 0; i < inv->n; i++) {
		const struct cw_metric *m = &inv->v[i].metric;

		if (!last || strcmp(last->ns, m->ns) != 0 || strcmp(last->name, m->name) != 0)
			many = metrics_many_sets(pl->o, m->ns, m->name);
		last = m;
		if (add_metric(pl, m, many, err))
			return -1;
	}
	return 0;
}

static int
cmp_wanted(const void *a, const void *b)
{
	const struct wanted *x = *(struct wanted *const *)a, *y = *(struct wanted *const *)b;
	int c = series_cmp(&x->series, &y->series);

	return c ? c : (x->order > y->order) - (x->order < y->order);
}

static struct slots *
slots_new(size_t cells, size_t per_cell, struct arena *a)
{
	struct slots *s = NULL;
	size_t bytes;

	if (!__builtin_mul_overflow(cells, sizeof(*s->v), &bytes) && bytes < SIZE_MAX / 2)
		s = arena_alloc(a, sizeof(*s) + bytes);
	if (s)
		*s = (struct slots){.per_cell = per_cell, .cells = cells};
	return s;
}

static void
empty(double *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		values[i] = NAN;
}

struct slots *
wanted_slots(size_t per_cell, struct arena *a)
{
	struct slots *s = slots_new(1, per_cell, a);

	if (s)
		s->v[0] = arena_array(a, per_cell, sizeof(double));
	if (!s || !s->v[0])
		return NULL;
	empty(s->v[0], per_cell);
	return s;
}

double *
wanted_values(const struct wanted *w, size_t at)
{
	const struct slots *s = w->slots;

	return s->v[at / s->per_cell] + w->place * s->per_cell + at % s->per_cell;
}

void
wanted_reset(struct wanted *w, const struct wanted_span *span)
{
	size_t first = (size_t)((span->start_ms - span->base_ms) / span->period_ms);
	size_t n = (size_t)((span->end_ms - span->start_ms) / span->period_ms);

	for (size_t i = 0; w->slots && i < n; i++)
		*wanted_values(w, first + i) = NAN;
	w->status = CW_OTHER;
	w->answered = false;
}

bool
wanted_take(struct wanted *w, const struct wanted_span *span, int64_t ts_ms, double value)
{
	int64_t at = ts_ms - span->base_ms;
	double *slot;

	if (ts_ms < span->start_ms || ts_ms >= span->end_ms)
		return false;
	slot = wanted_values(w, (size_t)(at / span->period_ms));
	if (isfinite(value) && at % span->period_ms == 0)
		*slot = value;
	else if (!isfinite(*slot))
		*slot = INFINITY;
	return true;
}

void
wanted_answer(struct wanted *w, const struct cw_result *r, struct arena *a)
{
	w->answered = true;
	w->status = r->status;
	if (r->status == CW_COMPLETE)
		return;
	if (!w->words)
		w->words = arena_alloc(a, WORDS_MAX);
	if (w->words)
		(void)snprintf(w->words, WORDS_MAX, "%s%s%s", r->status_text,
			       r->message ? ": " : "", r->message ? r->message : "");
}

bool
wanted_incomplete(const struct wanted *w)
{
	return !w->answered || w->status != CW_COMPLETE;
}

size_t
wanted_sort(struct wanted **v, size_t n)
{
	size_t collisions = 0;

	if (n > 1)
		qsort(v, n, sizeof(*v), cmp_wanted);
	for (size_t i = 1; i < n; i++) {
		v[i]->collides = !series_cmp(&v[i - 1]->series, &v[i]->series);
		collisions += v[i]->collides;
	}
	return collisions;
}

static int
find_collisions(struct planner *pl, struct err *err)
{
	struct metrics_plan *p = pl->plan;

	p->by_series = arena_array(pl->a, p->n, sizeof(struct wanted *));
	if (!p->by_series)
		return err_nomem(err);
	for (size_t i = 0; i < p->n; i++)
		p->by_series[i] = &p->v[i];
	p->n_collisions = wanted_sort(p->by_series, p->n);
	return 0;
}

void
metrics_plan_forget(struct metrics_plan *p, size_t cells)
{
	for (size_t c = 0; p->slots && c < cells && c < p->slots->cells; c++) {
		free(p->slots->v[c]);
		p->slots->v[c] = NULL;
	}
}

void
metrics_plan_done(struct metrics_plan *p)
{
	metrics_plan_forget(p, SIZE_MAX);
	p->slots = NULL;
}

int
metrics_plan_room(struct metrics_plan *p, size_t cells, size_t per_cell, struct arena *a,
		  struct err *err)
{
	if (!p->n || p->slots)
		return 0;
	p->slots = slots_new(cells, per_cell, a);
	if (!p->slots)
		return err_nomem(err);
	for (size_t c = 0; c < cells; c++) {
		p->slots->v[c] = reallocarray(NULL, p->n, per_cell * sizeof(double));
		if (!p->slots->v[c]) {
			metrics_plan_done(p);
			return err_nomem(err);
		}
		empty(p->slots->v[c], p->n * per_cell);
	}
	for (size_t i = 0; i < p->n; i++) {
		p->v[i].slots = p->slots;
		p->v[i].place = i;
	}
	return 0;
}

int
metrics_plan_make(struct metrics_plan *p, const struct job_stream *s, const struct inventory *inv,
		  struct arena *a, struct err *err)
{
	struct planner pl = {.plan = p, .s = s, .o = s->opts, .a = a};
	int r;

	*p = (struct metrics_plan){0};
	r = filter_init(&pl.keep, "keep", pl.o->keep, err) ||
	    filter_init(&pl.drop, "drop", pl.o->drop, err) || add_inventory(&pl, inv, err) ||
	    find_collisions(&pl, err);
	filter_done(&pl.keep);
	filter_done(&pl.drop);
	return r ? -1 : 0;
}
