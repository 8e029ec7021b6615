/*
 * What receivers get of late points: those that their order allows, now or, where one cannot be
 * reached, as a debt before anything newer; see late.h.
 */
#include "run/late.h"

#include <math.h>

#include "run/rejects.h"
#include "run/stream_cell.h"
#include "run/stream_publish.h"

/* What is known of a receiver's samples beside a cell's late ones. */
struct order {
	const struct stream *s;
	const char *sink;
	struct cell cell;
	bool unknown;	 /* it has newer cells of which nothing is known here */
	int64_t head_ms; /* its newest sample of this stream; INT64_MIN: none known */
	/* Where the marks of the cell itself know more than the receiver has: the cell as it is
	 * frozen, of which it has the late objects up to this number. */
	const struct cell_data *had;
	unsigned had_late;
	const struct cell_data
	    *whole; /* the cell as far as it is known: all of its series count for max_series */
};

static bool
sink_has(const struct order *o, int64_t start_ms)
{
	return commit_sink_done(o->s->commit, o->s->js.region, o->sink, late_cell(o->s, start_ms));
}

/* Of a cell that could not be read the newest point is before its end. */
static bool
newest_known(const struct order *o, const struct seen_cell *c, int64_t *ret_ms)
{
	*ret_ms = late_cell(o->s, c->start_ms).end_ms;
	return c->unread || seen_head(&o->s->seen, c, o->s->plan->every_ms, ret_ms);
}

static void
order_init(struct order *o)
{
	const struct seen *seen = &o->s->seen;
	int64_t newest = commit_sink_newest(o->s->commit, o->s->js.region, o->sink), ms;

	o->head_ms = INT64_MIN;
	for (size_t i = 0; i < seen->n; i++)
		if (sink_has(o, seen->cells[i].start_ms) && newest_known(o, &seen->cells[i], &ms) &&
		    ms > o->head_ms)
			o->head_ms = ms;
	for (ms = o->cell.end_ms; ms < newest && !o->unknown; ms += o->s->plan->every_ms) {
		const struct seen_cell *c = seen_find(seen, ms);

		o->unknown = sink_has(o, ms) && (!c || c->unread);
	}
	if (o->unknown)
		o->head_ms = newest;
}

static void
newest_in(const struct cell_data *d, const struct series *series, int64_t *newest)
{
	for (size_t r = 0; r < d->n_rows; r++) {
		const struct sample_row *row = &d->rows[r];

		if (series_cmp(row->series, series) != 0)
			continue;
		for (size_t i = 0; i < row->n; i++) {
			int64_t ms = row->first_ms + (int64_t)i * series->period_ms;

			if (isfinite(row->values[i]) && ms > *newest)
				*newest = ms;
		}
	}
}

/* The newest sample of a series that the receiver has, in the cells that are known. */
static int64_t
newest_of(const struct order *o, const struct series *series)
{
	const struct seen *seen = &o->s->seen;
	uint64_t key = seen_key(series);
	int64_t newest = INT64_MIN, ms;

	for (size_t i = 0; i < seen->n; i++) {
		const struct seen_cell *c = &seen->cells[i];

		if ((o->had && c->start_ms == o->cell.start_ms) || !sink_has(o, c->start_ms))
			continue;
		if (seen_newest(seen, c, key, o->s->plan->every_ms, &ms) && ms > newest)
			newest = ms;
	}
	for (const struct cell_data *d = o->had; d && d->late <= o->had_late; d = d->later)
		newest_in(d, series, &newest);
	return newest;
}

/* Into *to (initialised): the rows of d that the receiver takes. */
static int
deliverable(const struct order *o, const struct cell_data *d, int64_t window_ms,
	    struct cell_data *to, struct err *err)
{
	to->rows = arena_array(&to->arena, d->n_rows, sizeof(*to->rows));
	if (!to->rows)
		return err_nomem(err);
	for (size_t r = 0; r < d->n_rows; r++) {
		struct sample_row row = d->rows[r];
		double *values = arena_array(&to->arena, row.n, sizeof(*values));
		int64_t newest = newest_of(o, row.series);
		uint64_t n = 0;

		if (!values)
			return err_nomem(err);
		for (size_t i = 0; i < row.n; i++) {
			int64_t ms = row.first_ms + (int64_t)i * row.series->period_ms;
			bool in_order = !o->unknown && ms > newest;
			bool in_window =
			    window_ms && o->head_ms != INT64_MIN && ms >= o->head_ms - window_ms;

			values[i] = in_order || in_window ? row.values[i] : NAN;
			n += isfinite(values[i]) != 0;
		}
		row.values = values;
		to->n_samples += n;
		if (n)
			to->rows[to->n_rows++] = row;
	}
	return 0;
}

/* To a sink that takes samples, and an account of all of d's. What the receiver refuses for its
 * order is too old for it, or there already since a try whose outcome was lost. */
static int
send_samples(struct stream *s, const struct order *o, size_t k, const struct cell_data *d,
	     struct published *r, struct err *err)
{
	struct outlet *out = stream_outlet(s, k);
	struct publish p = stream_publish_args(s);
	struct cell_data within, to;
	struct rejects rej;
	int rc;

	rejects_init(&rej, o->sink, &p);
	p.maybe_sent = true;
	p.reject = rejects_add;
	p.reject_arg = &rej;
	cell_data_init(&within, d->cell);
	cell_data_init(&to, d->cell);
	rc = stream_most_series(s, o->whole, d, &within, err);
	if (!rc)
		rc = deliverable(o, &within, out->conf->out_of_order_ms, &to, err);
	if (!rc && to.n_samples)
		rc = outlet_publish(out, &p, &to, r, err);
	if (!rc)
		rc = stream_write_rejects(s, &p, &rej, d->cell, err);
	r->too_old += within.n_samples - to.n_samples;
	r->over_limit += d->n_samples - within.n_samples;
	cell_data_done(&to);
	cell_data_done(&within);
	rejects_done(&rej);
	return rc;
}

/* One late object to one sink. */
static int
send_one(struct stream *s, struct order *o, size_t k, const struct cell_data *d, struct err *err)
{
	struct outlet *out = stream_outlet(s, k);
	struct published r = {0};
	struct publish p = stream_publish_args(s);
	bool samples = out->sink && out->sink->ops->samples;
	int rc;

	if (samples)
		rc = send_samples(s, o, k, d, &r, err);
	else
		rc = outlet_publish(out, &p, d, &r, err);
	if (rc)
		return -1;
	stream_count_published(s, k, &r, samples);
	commit_late_sent(s->commit, s->js.region, o->sink, &r);
	return 0;
}

static bool
is_blocked(const struct stream *s, size_t k)
{
	return s->blocked & (1ULL << k);
}

int
late_send(struct stream *s, const struct cell_data *whole, const struct cell_data *d, bool *all,
	  struct err *err)
{
	struct seen_cell *c = seen_find(&s->seen, d->cell.start_ms);

	*all = true;
	for (size_t k = 0; k < s->plan->n_sinks; k++) {
		struct order o = {
		    .s = s, .sink = s->plan->sinks[k].name, .cell = d->cell, .whole = whole};

		if (k == s->lake || s->plan->sinks[k].leftovers ||
		    !sink_has(&o, d->cell.start_ms) || seen_owes(c, o.sink))
			continue;
		order_init(&o);
		if (!is_blocked(s, k) && !send_one(s, &o, k, d, err))
			continue;
		if (!is_blocked(s, k) && err->kind == ERR_CANCELLED)
			return -1;
		if (!is_blocked(s, k))
			stream_block(s, k, err);
		*all = false;
		if (stream_has_lake(s) && seen_owe(c, o.sink, c->late, err))
			return -1;
	}
	return 0;
}

/* Debts */

static int
pay_one(struct stream *s, size_t k, struct seen_cell *c, struct err *err)
{
	struct order o = {
	    .s = s, .sink = s->plan->sinks[k].name, .cell = late_cell(s, c->start_ms)};
	struct cell_data had;
	char definition[65];
	int r;

	cell_data_init(&had, o.cell);
	r = stream_read_frozen(s, &had, definition, err);
	o.had = o.whole = &had;
	o.had_late = seen_owes(c, o.sink)->sent;
	order_init(&o);
	for (const struct cell_data *d = had.later; !r && d; d = d->later) {
		if (d->late <= o.had_late)
			continue;
		r = send_one(s, &o, k, d, err);
		o.had_late = d->late;
	}
	if (!r || err->kind == ERR_NOTFOUND) {
		r = 0;
		seen_paid(c, o.sink);
	}
	cell_data_done(&had);
	return r;
}

static bool
any_owed(const struct stream *s)
{
	for (size_t i = 0; i < s->seen.n; i++)
		if (s->seen.cells[i].n_owed)
			return true;
	return false;
}

int
late_pay(struct stream *s, int64_t before_ms, struct err *err)
{
	if (!late_is_used(s) || !stream_has_lake(s))
		return 0;
	if (any_owed(s))
		late_read_all(s);
	for (size_t k = 0; k < s->plan->n_sinks; k++)
		for (size_t i = 0; i < s->seen.n && !is_blocked(s, k); i++) {
			struct seen_cell *c = &s->seen.cells[i];

			if (c->start_ms >= before_ms || k == s->lake ||
			    !seen_owes(c, s->plan->sinks[k].name) || !pay_one(s, k, c, err))
				continue;
			if (err->kind == ERR_CANCELLED)
				return -1;
			stream_block(s, k, err);
		}
	err_clear(err);
	return 0;
}
