/* Late points; see late.h. */
#include "run/late.h"

#include <math.h>

#include "base/log.h"
#include "run/rejects.h"

bool
late_may_exist(const struct stream *s)
{
	return s->job->kind->reach_ms || s->job->kind->open_again;
}

static bool
looks(const struct stream *s)
{
	return s->job->kind->reach_ms || s->js.common->once;
}

bool
late_is_used(const struct stream *s)
{
	return looks(s) && !s->env->dry_run && !s->env->backfill;
}

/* The marks are of points, and not only of cells. */
static bool
marks_points(const struct stream *s)
{
	return late_is_used(s) && s->job->kind->reach_ms;
}

static struct cell
cell_of(const struct stream *s, int64_t start_ms)
{
	return (struct cell){start_ms, start_ms + s->plan->every_ms};
}

bool
late_is_frozen(const struct stream *s, struct cell c)
{
	for (size_t k = 0; k < s->plan->n_sinks; k++)
		if ((!stream_has_lake(s) || k == s->lake) &&
		    commit_sink_has(s->commit, s->js.region, s->plan->sinks[k].name, c))
			return true;
	return false;
}

void
late_warn_full(const struct stream *s, const struct err *err)
{
	log_event(LOG_WARN, "late points are looked for in fewer cells",
		  LOG_S("tenant", s->tenant->id), LOG_S("job", s->job->name),
		  LOG_S("region", s->js.region), LOG_E(err));
}

/* Cells that were committed when their marks were not written yet (of two regions one commits, and
 * the run is killed), or whose marks are of no use: from here on they are cells of which nothing is
 * known, and the first look reads them. */
static void
put_unmarked(struct stream *s)
{
	int64_t every = s->plan->every_ms;
	int64_t end = commit_sink_newest(s->commit, s->js.region, s->plan->sinks[s->lake].name);
	int64_t from = s->seen.newest_ms == INT64_MIN ? cell_floor(end - s->reach_ms - 1, every)
						      : s->seen.newest_ms + every;
	struct err err = {0};

	if (from < s->first_ms)
		from = s->first_ms;
	for (int64_t ms = from; ms < end; ms += every)
		if (late_is_frozen(s, cell_of(s, ms)) && !seen_put(&s->seen, ms, &err)) {
			late_warn_full(s, &err);
			return;
		}
}

void
late_begin(struct stream *s)
{
	json_t *j;

	if (s->seen_loaded || !looks(s))
		return;
	j = commit_seen(s->commit, s->js.region);
	(void)seen_load(&s->seen, j, s->job->definition);
	json_decref(j);
	s->reach_ms = s->js.common->once ? s->js.common->hold_ms : s->job->kind->reach_ms(&s->js);
	s->first_ms = commit_first_ms(s->commit, s->js.region);
	s->seen_loaded = true;
	if (marks_points(s) && s->reach_ms && stream_has_lake(s))
		put_unmarked(s);
}

void
late_done(struct stream *s)
{
	if (s->seen_loaded)
		seen_done(&s->seen);
	s->seen_loaded = false;
}

int64_t
late_oldest_ms(const struct stream *s)
{
	return s->env->now_ms - s->plan->max_catchup_ms - s->reach_ms;
}

bool
late_is_settled(const struct stream *s, int64_t start_ms)
{
	return s->env->now_ms >= start_ms + s->plan->every_ms + s->reach_ms;
}

/* Marks */

/* Room for a cell's marks, at the cost of the oldest cell's. */
static bool
mark(struct stream *s, int64_t start_ms, const struct cell_data *d)
{
	struct seen_cell *c = seen_find(&s->seen, start_ms);
	struct err err = {0};

	while (seen_mark(&s->seen, c, d, &err)) {
		if (s->seen.cells[0].start_ms >= start_ms) {
			c->foreign = true;
			late_warn_full(s, &err);
			return false;
		}
		late_warn_full(s, &err);
		seen_drop(&s->seen, 0);
		c = seen_find(&s->seen, start_ms);
	}
	return true;
}

/* A cell as it is frozen, with all its late objects. */
static void
mark_frozen(struct stream *s, const struct cell_data *d)
{
	struct err err = {0};
	struct seen_cell *c;
	unsigned n = 0;

	c = seen_put(&s->seen, d->cell.start_ms, &err);
	if (!c) {
		late_warn_full(s, &err);
		return;
	}
	c->n = 0;
	c->late = 0;
	c->foreign = false;
	/* In their order: of a value that was revised the last one is known. */
	for (; d && mark(s, d->cell.start_ms, d); d = d->later, n++)
		seen_find(&s->seen, d->cell.start_ms)->late = n;
}

void
late_taken(struct stream *s, const struct cell_data *d, bool again)
{
	if (!marks_points(s))
		return;
	if (d->cell.start_ms > s->seen.newest_ms) {
		s->seen.newest_ms = d->cell.start_ms;
		s->seen.newest_series = d->n_rows;
	}
	if ((late_is_settled(s, d->cell.start_ms) && !again) ||
	    (!stream_has_lake(s) && seen_find(&s->seen, d->cell.start_ms)))
		return;
	mark_frozen(s, d);
	if (seen_find(&s->seen, d->cell.start_ms))
		seen_find(&s->seen, d->cell.start_ms)->looked = !again;
}

static bool
is_over(const struct stream *s, const struct seen_cell *c)
{
	return s->js.common->once ? c->asked : c->looked && late_is_settled(s, c->start_ms);
}

void
late_keep(struct stream *s)
{
	int64_t oldest = late_oldest_ms(s);
	json_t *j;

	if (!late_is_used(s))
		return;
	for (size_t i = s->seen.n; i-- > 0;) {
		const struct seen_cell *c = &s->seen.cells[i];

		if (c->start_ms < oldest || (is_over(s, c) && !c->n_owed))
			seen_drop(&s->seen, i);
	}
	j = seen_save(&s->seen);
	if (j)
		commit_seen_set(s->commit, s->js.region, j);
}

bool
late_holds(const struct stream *s, const struct cell_data *d)
{
	return marks_points(s) && d->n_rows * 2 < s->seen.newest_series &&
	       s->seen.newest_ms == d->cell.start_ms - s->plan->every_ms &&
	       s->env->now_ms < d->cell.end_ms + s->job->common.hold_ms;
}

/* What is to be looked at */

static bool
is_to_look_at(const struct stream *s, struct cell c)
{
	const struct seen_cell *seen = seen_find(&s->seen, c.start_ms);

	return seen && !seen->looked && !seen->foreign && c.start_ms >= s->first_ms &&
	       late_is_frozen(s, c);
}

int64_t
late_reach(const struct stream *s, int64_t first_ms)
{
	if (!marks_points(s) || !s->reach_ms)
		return first_ms;
	return cell_floor(first_ms - s->reach_ms - 1, s->plan->every_ms);
}

int64_t
late_from(const struct stream *s, int64_t first_ms)
{
	for (int64_t ms = late_reach(s, first_ms); ms < first_ms; ms += s->plan->every_ms)
		if (is_to_look_at(s, cell_of(s, ms)))
			return ms;
	return first_ms;
}

bool
late_waits(const struct stream *s, int64_t before_ms, int64_t *ret_ms)
{
	if (!marks_points(s) || !s->reach_ms)
		return false;
	for (size_t i = 0; i < s->seen.n; i++) {
		*ret_ms = s->seen.cells[i].start_ms;
		if (*ret_ms >= before_ms)
			return false;
		if (*ret_ms >= s->looked_ms && is_to_look_at(s, cell_of(s, *ret_ms)))
			return true;
	}
	return false;
}

/* Marks from the lake; an object of another definition has other series. */
static int
learn(struct stream *s, struct cell cell, struct err *err)
{
	struct cell_data d;
	char definition[65];
	int r;

	cell_data_init(&d, cell);
	r = stream_read_frozen(s, &d, definition, err);
	if (r && err->kind == ERR_NOTFOUND)
		r = 0;
	if (!r) {
		mark_frozen(s, &d);
		if (d.ndjson.n && strcmp(definition, s->seen.definition) != 0 &&
		    seen_find(&s->seen, cell.start_ms))
			seen_find(&s->seen, cell.start_ms)->foreign = true;
	}
	cell_data_done(&d);
	return r;
}

/* What a receiver takes */

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
	return commit_sink_done(o->s->commit, o->s->js.region, o->sink, cell_of(o->s, start_ms));
}

static void
order_init(struct order *o)
{
	const struct seen *seen = &o->s->seen;
	int64_t newest = commit_sink_newest(o->s->commit, o->s->js.region, o->sink), ms;

	o->head_ms = INT64_MIN;
	for (size_t i = 0; i < seen->n; i++)
		if (sink_has(o, seen->cells[i].start_ms) &&
		    seen_head(seen, &seen->cells[i], o->s->plan->every_ms, &ms) && ms > o->head_ms)
			o->head_ms = ms;
	for (ms = o->cell.end_ms; ms < newest && !o->unknown; ms += o->s->plan->every_ms)
		o->unknown = sink_has(o, ms) && !seen_find(seen, ms);
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

/* Looking */

/* The news as the cell's next late object; whoever was first with that number wins. */
static int
freeze_late(struct stream *s, struct cell_data *late, struct err *err)
{
	const struct line_origin origin = {s->tenant->id, s->tenant->account, s->js.region,
					   s->job->name};
	struct outlet *lake = stream_outlet(s, s->lake);
	struct publish p = stream_publish_args(s);
	struct published r = {0};
	struct cell cell = late->cell;
	unsigned number = late->late;
	char definition[65];

	late->n_samples = 0;
	if (metric_lines_encode(late, &origin, err) || outlet_publish(lake, &p, late, &r, err))
		return -1;
	s->stats.bytes += r.bytes;
	if (!r.already)
		return 0;
	cell_data_done(late);
	cell_data_init(late, cell);
	late->late = number;
	if (lake->sink->ops->read(lake->sink, &p, late, definition, err) ||
	    s->job->kind->adopt(&s->js, late, err))
		return err_wrap(err, "adopt late points");
	return 0;
}

/* The cell was empty, says the checkpoint; a backfill or a run that was overtaken may have seen
 * points and frozen them. */
static int
check_empty(struct stream *s, struct seen_cell *c, bool *changed, struct err *err)
{
	int64_t start_ms = c->start_ms;

	*changed = false;
	if (!stream_has_lake(s) || c->n || c->late)
		return 0;
	if (learn(s, cell_of(s, start_ms), err))
		return -1;
	c = seen_find(&s->seen, start_ms);
	*changed = c && c->n;
	return 0;
}

/* Frozen, published, marked; *done is false if it is not. `d`: the cell as it was pulled now. */
static int
news_through(struct stream *s, const struct cell_data *d, struct cell_data *late, bool *done,
	     struct err *err)
{
	struct seen_cell *c = seen_find(&s->seen, late->cell.start_ms);
	struct seen_news news;
	struct cell_data own;
	bool all;
	int r;

	late->late = c->late + 1;
	if (stream_has_lake(s) && freeze_late(s, late, err))
		return -1;
	cell_data_init(&own, late->cell);
	r = seen_news(&s->seen, c, late, &own, &news, err);
	cell_data_done(&own);
	if (r || late_send(s, d, late, &all, err))
		return -1;
	*done = all || stream_has_lake(s);
	if (!*done)
		return 0; /* nothing but the next look can find it again */
	if (mark(s, late->cell.start_ms, late))
		seen_find(&s->seen, late->cell.start_ms)->late = late->late;
	s->stats.late += news.late;
	s->stats.revised += news.revised;
	s->stats.lines += late->n_lines;
	s->stats.samples += late->n_samples;
	return commit_late_frozen(s->commit, s->js.region, late, news.late, news.revised, err);
}

enum look { LOOK_NOTHING, LOOK_MORE, LOOK_AGAIN };

/* One late object: LOOK_MORE until there is nothing new; LOOK_AGAIN: nothing more now. */
static int
look_once(struct stream *s, const struct cell_data *d, enum look *ret, struct err *err)
{
	struct seen_cell *c = seen_find(&s->seen, d->cell.start_ms);
	struct seen_news news;
	struct cell_data late;
	bool changed = false, done = true;
	int r;

	*ret = LOOK_NOTHING;
	if (!c || c->foreign)
		return 0;
	cell_data_init(&late, d->cell);
	r = seen_news(&s->seen, c, d, &late, &news, err);
	if (!r && late.n_rows)
		r = check_empty(s, c, &changed, err);
	if (!r && late.n_rows) {
		*ret = LOOK_MORE;
		if (!changed)
			r = news_through(s, d, &late, &done, err);
	}
	if (!done)
		*ret = LOOK_AGAIN;
	cell_data_done(&late);
	return r;
}

int
late_look(struct stream *s, const struct cell_data *d, struct err *err)
{
	enum look look = LOOK_MORE;
	struct seen_cell *c;

	if (!is_to_look_at(s, d->cell))
		return 0;
	for (int i = 0; look == LOOK_MORE; i++) {
		if (i >= LATE_MAX)
			return err_set(err, ERR_DATA, "more than %d late objects of one cell",
				       LATE_MAX);
		if (look_once(s, d, &look, err))
			return err_wrap(err, "late points");
	}
	c = seen_find(&s->seen, d->cell.start_ms);
	if (c)
		c->looked = look == LOOK_NOTHING && !s->made_do;
	return 0;
}

/* Debts */

static int
pay_one(struct stream *s, size_t k, struct seen_cell *c, struct err *err)
{
	struct order o = {.s = s, .sink = s->plan->sinks[k].name, .cell = cell_of(s, c->start_ms)};
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

int
late_pay(struct stream *s, int64_t before_ms, struct err *err)
{
	if (!late_is_used(s) || !stream_has_lake(s))
		return 0;
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
