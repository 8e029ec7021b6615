/*
 * One stream of a forecast: its plan walked on a copy of its checkpoint; see forecast.h.
 *
 * A scheduled run's checkpoint is the record, too: what it knows of metrics and what its cells
 * held. That of a backfill is another, and its record stays the scheduled one.
 */
#include <math.h>

#include "base/cleanup.h"
#include "model/seen.h"
#include "run/forecast.h"

#define CELLS_MAX 4096

struct walk {
	struct forecast_stream *to;
	struct plan plan;
	struct job_common common;
	struct job_stream js;
	struct ckpt_stream *s;		  /* it is moved on */
	const struct ckpt_stream *record; /* of scheduled runs; NULL: none */
	const struct forecast_mean *mean; /* of the job's other streams; NULL: none */
	uint64_t assumed;		  /* series, where the memo tells none; 0: none */
	bool own;			  /* they are from the record */
	int listed;			  /* how thoroughly in this run */
	enum plan_pass pass;
	bool pulled, unknown;
};

/* Opens what a run would, and asks it. */
static int
foresee(const struct walk *w, const json_t *memo, const struct cell *cells, size_t n, bool again,
	struct job_forecast *ret, struct err *err)
{
	const struct job_kind *kind = w->to->job->kind;
	uint64_t assumed = w->assumed ? w->assumed : FORECAST_SERIES;
	struct pull *p = NULL;
	int r;

	*ret = (struct job_forecast){.known = true};
	if (!kind->foresee)
		return 0;
	r = (again ? kind->open_again : kind->open)(&w->js, memo, cells, n, w->plan.now_ms, &p,
						    err);
	if (!r)
		r = kind->foresee(p, assumed, ret, err);
	if (p)
		kind->close(p);
	return r;
}

/* From the record; where there is none, as with the others, or as if no point were missing. */
static struct forecast_cell
cell_of(const struct walk *w, const struct job_forecast *jf)
{
	const struct ckpt_counters *c = w->record ? &w->record->counters : NULL;
	struct forecast_cell r = {.samples = (double)jf->samples, .filled = 1};

	if (c && c->cells) {
		r.samples = (double)c->samples_frozen / (double)c->cells;
		r.bytes = (double)c->bytes_scanned / (double)c->cells;
		r.filled = (double)(c->cells - c->empty_cells) / (double)c->cells;
		r.samples *= (double)w->common.every_ms / (double)w->record->every_ms;
		r.bytes *= (double)w->common.every_ms / (double)w->record->every_ms;
	} else if (w->mean && w->mean->streams) {
		r = w->mean->cell;
	}
	return r;
}

static void
count_pull(struct walk *w, const struct job_forecast *jf, size_t n_new)
{
	struct forecast_stream *to = w->to;
	const struct forecast_cell brings = cell_of(w, jf);
	const char *service = to->job->kind->service;
	bool other = !strcmp(service, price_service_name(PRICE_MONITORING));
	uint64_t samples;

	for (size_t i = 0; i < jf->n_calls; i++) {
		forecast_calls_add(&to->calls, service, jf->calls[i].operation, jf->calls[i].n);
		if (other && strcmp(jf->calls[i].operation, "GetMetricData") != 0)
			to->billed.calls += jf->calls[i].n;
	}
	if (jf->list_now > w->listed) {
		w->listed = jf->list_now;
		forecast_calls_add(&to->calls, service, jf->list.operation, jf->list.n);
		to->billed.calls += other ? jf->list.n : 0;
	}
	w->unknown = w->unknown || !jf->known;
	to->pulls++;
	to->passes |= 1u << w->pass;
	to->cells += n_new;
	if (jf->series > to->series)
		to->series = jf->series;
	to->billed.metrics += jf->metrics;
	to->billed.bytes_scanned += (uint64_t)llround(brings.bytes * (double)n_new);
	samples = (uint64_t)llround(brings.samples * (double)n_new);
	to->samples += samples;
	to->billed.samples += samples * forecast_paid_sinks(to->job);
	to->billed.puts +=
	    (uint64_t)llround(brings.filled * (double)n_new) * forecast_lakes(to->job);
}

/* Where a request for cells from first_ms on begins: those that are done are looked at again in the
 * first one, as far back as the kind reaches. */
static int64_t
looks_from(const struct walk *w, int64_t first_ms, int64_t not_before_ms)
{
	const struct job_kind *kind = w->to->job->kind;
	int64_t every = w->common.every_ms;
	int64_t from;

	if (!kind->reach_ms || !kind->reach_ms(&w->js) || plan_has_window(&w->plan))
		return first_ms;
	from = cell_floor(first_ms - kind->reach_ms(&w->js) - 1, every);
	return from > not_before_ms ? from : not_before_ms;
}

static size_t
make_cells(const struct walk *w, int64_t from_ms, size_t n, struct cell *cells)
{
	int64_t every = w->common.every_ms;

	for (size_t i = 0; i < n; i++)
		cells[i] =
		    (struct cell){from_ms + (int64_t)i * every, from_ms + (int64_t)(i + 1) * every};
	return n;
}

static size_t
most_cells(const struct walk *w)
{
	size_t n = w->to->job->kind->span_max(&w->js, w->s->memo);

	return n < 1 ? 1 : n < CELLS_MAX / 2 ? n : CELLS_MAX / 2;
}

/* As the run pulls it; returns how many new cells that does. */
static int
walk_pull(struct walk *w, const struct plan_span *span, size_t *ret_n, struct err *err)
{
	int64_t every = w->common.every_ms;
	int64_t from =
	    w->pulled ? span->first.start_ms : looks_from(w, span->first.start_ms, w->s->first_ms);
	size_t again = (size_t)((span->first.start_ms - from) / every);
	struct cell cells[CELLS_MAX];
	struct job_forecast jf;
	size_t n = span->n;

	while (n > 1 && n + again > most_cells(w))
		n--;
	if (again > CELLS_MAX / 2) {
		again = CELLS_MAX / 2;
		from = span->first.start_ms - (int64_t)again * every;
	}
	if (foresee(w, w->s->memo, cells, make_cells(w, from, again + n, cells), false, &jf, err))
		return -1;
	w->pulled = true;
	count_pull(w, &jf, n);
	*ret_n = n;
	return 0;
}

static int
mark_done(struct walk *w, struct cell range, struct err *err)
{
	for (size_t k = 0; k < w->plan.n_sinks; k++) {
		struct ckpt_sink *sink = ckpt_sink_find(w->s, w->plan.sinks[k].name);

		for (struct cell c = {range.start_ms, range.start_ms + w->common.every_ms};
		     sink && c.end_ms <= range.end_ms;
		     c.start_ms = c.end_ms, c.end_ms += w->common.every_ms)
			if (!ckpt_is_done(sink, c) && ckpt_done(sink, c, err))
				return -1;
	}
	return 0;
}

static int
walk_pass(struct walk *w, enum plan_pass pass, struct err *err)
{
	struct plan_span span;
	int64_t from = 0;

	w->pass = pass;
	while (plan_next(&w->plan, w->s, pass, from, most_cells(w), &span)) {
		size_t n = span.n;

		if (span.mode == PLAN_REPUBLISH && w->to->job->kind->adopt)
			w->to->from_lake += n;
		else if (walk_pull(w, &span, &n, err))
			return -1;
		from = span.first.start_ms + (int64_t)n * w->common.every_ms;
		if (mark_done(w, (struct cell){span.first.start_ms, from}, err))
			return -1;
	}
	return 0;
}

/* `revisit: once`: cells that wait for their second asking, one pull each. */
static int
walk_again(struct walk *w, struct err *err)
{
	CLEANUP(seen_done) struct seen seen = {0};
	int64_t due = w->plan.now_ms - w->plan.again_ms - w->common.every_ms;
	struct job_forecast jf;

	if (!w->plan.again_ms || plan_has_window(&w->plan) ||
	    !seen_load(&seen, w->s->seen, w->to->job->definition))
		return 0;
	for (size_t i = 0; i < seen.n && seen.cells[i].start_ms <= due; i++) {
		struct cell c = {seen.cells[i].start_ms,
				 seen.cells[i].start_ms + w->common.every_ms};

		if (seen.cells[i].asked || seen.cells[i].foreign)
			continue;
		if (foresee(w, w->s->memo, &c, 1, true, &jf, err))
			return -1;
		count_pull(w, &jf, 1);
		w->to->cells--; /* it is done already */
	}
	return 0;
}

/* What each run asks for when all is caught up. */
static int
walk_steady(struct walk *w, struct err *err)
{
	int64_t every = w->common.every_ms;
	int64_t due = cell_due_end(w->plan.now_ms, every, w->common.delay_ms);
	int64_t from = looks_from(w, due - every, INT64_MIN);
	const json_t *memo = w->record ? w->record->memo : NULL;
	struct cell cells[CELLS_MAX];
	struct forecast_stream *to = w->to;

	if ((due - from) / every > CELLS_MAX)
		from = due - every * CELLS_MAX;
	if (foresee(w, memo, cells, make_cells(w, from, (size_t)((due - from) / every), cells),
		    false, &to->steady, err))
		return -1;
	w->unknown = w->unknown || !to->steady.known;
	to->cell = cell_of(w, &to->steady);
	if (to->steady.series > to->series)
		to->series = to->steady.series;
	return 0;
}

/* As a run begins a stream: cells of an older length first, what is too old given up. */
static int
walk_begin(struct walk *w, struct ckpt *ckpt, struct err *err)
{
	struct ckpt_stream *s = ckpt_stream_find(ckpt, w->to->region);
	int64_t old_every = 0, until = 0;
	struct cell old;
	bool is_new;

	if (s && s->every_ms != w->plan.every_ms && w->to->job->kind->reach_ms &&
	    !plan_has_window(&w->plan)) {
		if (commit_regrid_in(&w->plan, s, &old_every, &until, err))
			return -1;
		if (old_every) {
			w->plan.every_ms = w->common.every_ms = old_every;
			w->plan.until_ms = until;
		}
	}
	if (s && plan_given_up(&w->plan, s, &old))
		w->to->given_up_ms = old.end_ms - old.start_ms;
	if (commit_begin_in(ckpt, &w->plan, w->to->region, plan_first_ms(&w->plan),
			    w->to->job->definition, &is_new, err))
		return -1;
	w->s = ckpt_stream_find(ckpt, w->to->region);
	return 0;
}

/* What there is, or an empty one. The one before counts where the newest is damaged. */
static struct ckpt *
read_ckpt(const struct session *s, const char *base, const char *tenant, const char *doc,
	  struct err *err)
{
	struct ckpt *c = NULL;
	struct err why = {0};

	if (!s->state || (ckpt_peek(s->state, base, tenant, doc, "", NULL, &c, &why) &&
			  why.kind == ERR_NOTFOUND))
		c = ckpt_new(tenant, doc);
	else if (!c && why.kind == ERR_DATA &&
		 ckpt_peek(s->state, base, tenant, doc, ".prev", NULL, &c, NULL))
		c = NULL;
	if (!c && why.kind != ERR_NONE && why.kind != ERR_NOTFOUND)
		*err = why;
	else if (!c)
		(void)err_nomem(err);
	return c;
}

/* How many series the scheduled runs know of. */
static int
know_series(struct walk *w, struct err *err)
{
	int64_t due = cell_due_end(w->plan.now_ms, w->common.every_ms, w->common.delay_ms);
	struct cell c = {due - w->common.every_ms, due};
	struct job_forecast jf = {0};

	if (w->record && w->record->memo && foresee(w, w->record->memo, &c, 1, false, &jf, err))
		return -1;
	w->own = jf.known && jf.series;
	if (w->own)
		w->assumed = jf.series;
	else if (w->mean && w->mean->streams)
		w->assumed = w->mean->series;
	return 0;
}

static int
walk_slice(struct walk *w, struct ckpt *ckpt, struct err *err)
{
	if (walk_begin(w, ckpt, err) || walk_pass(w, PLAN_FRESH, err))
		return -1;
	if (!plan_has_window(&w->plan) && walk_pass(w, PLAN_REST, err))
		return -1;
	return walk_again(w, err);
}

static int
walk_init(struct walk *w, struct forecast_stream *to, const struct plan *plan, struct ckpt *record,
	  const struct forecast_mean *mean, struct err *err)
{
	*w = (struct walk){.to = to, .plan = *plan, .common = to->job->common, .mean = mean};
	w->js = session_job_stream(to->tenant, to->job, to->region);
	w->js.common = &w->common;
	w->record = ckpt_stream_find(record, to->region);
	return know_series(w, err);
}

/* One slice of its job's window, which is all of it but for a backfill. */
static int
walk_doc(const struct session *s, struct forecast_stream *to, const struct job_slice *slice,
	 struct ckpt *record, const struct forecast_mean *mean, bool *unknown, struct err *err)
{
	CLEANUP(ckpt_freep)
	struct ckpt *c = read_ckpt(s, s->backfill.base, to->tenant->id, slice->doc, err);
	struct walk w;

	if (!c || walk_init(&w, to, &slice->plan, record, mean, err) || walk_slice(&w, c, err))
		return -1;
	*unknown = *unknown || (w.unknown && !w.own);
	return 0;
}

int
forecast_walk(const struct session *s, const struct job_plan *jp, const struct forecast_mean *mean,
	      struct forecast_stream *to, struct err *err)
{
	CLEANUP(ckpt_freep)
	struct ckpt *record = read_ckpt(s, "", to->tenant->id, to->job->name, err);
	bool unknown = false;
	struct walk w;

	if (!record)
		return -1;
	to->first = !ckpt_stream_find(record, to->region);
	for (size_t i = 0; i < jp->n_slices; i++)
		if (walk_doc(s, to, &jp->slices[i], record, mean, &unknown, err))
			return -1;
	if (walk_init(&w, to, &jp->plan, record, mean, err) || walk_steady(&w, err))
		return -1;
	unknown = unknown || (w.unknown && !w.own);
	if (unknown)
		to->basis = mean && mean->streams ? BASIS_OTHERS : BASIS_ASSUMED;
	return 0;
}
