/* Late points; see late.h. */
#include "run/late.h"

#include "base/log.h"
#include "base/timefmt.h"
#include "run/second.h"
#include "run/stream_cell.h"

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

/* And cells are looked at again. */
static bool
looks_back(const struct stream *s)
{
	return marks_points(s) && s->reach_ms;
}

struct cell
late_cell(const struct stream *s, int64_t start_ms)
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

int64_t
late_oldest_ms(const struct stream *s)
{
	return s->env->now_ms - s->plan->max_catchup_ms - s->reach_ms;
}

#define NOT_DELIVERED "late points: not delivered any more"

static void
warn_not_looked(const struct stream *s, int64_t from_ms, const struct err *err)
{
	char from[TIME_TEXT_MAX];

	time_format_ms(from_ms, from);
	log_event(LOG_WARN, "late points not looked for", LOG_S("tenant", s->tenant->id),
		  LOG_S("job", s->job->name), LOG_S("region", s->js.region), LOG_S("from", from),
		  LOG_E(err));
}

/* No more is known of the i-th cell, so a sink that is owed late objects of it gets none. False:
 * that could not be put on record. */
static bool
forget_cell(struct stream *s, size_t i)
{
	const struct seen_cell *c = &s->seen.cells[i];
	struct err ignored = {0};

	for (size_t k = 0; k < c->n_owed; k++)
		if (commit_gap(s->commit, s->js.region, c->owed[k].sink, late_cell(s, c->start_ms),
			       NOT_DELIVERED, s->env->now_ms, &ignored))
			return false;
	seen_drop(&s->seen, i);
	return true;
}

/* A cell's place among those with marks; if there is none, the oldest one's. */
static struct seen_cell *
put_cell(struct stream *s, int64_t start_ms)
{
	struct seen_cell *c;
	struct err err = {0};

	while (!(c = seen_put(&s->seen, start_ms, &err))) {
		late_warn_full(s, &err);
		if (!s->seen.n || s->seen.cells[0].start_ms > start_ms || !forget_cell(s, 0))
			return NULL;
	}
	return c;
}

/* Cells that were committed when their marks were not written yet (of two regions one commits, and
 * the run is killed), or whose marks are of no use. */
static void
put_unread(struct stream *s)
{
	int64_t every = s->plan->every_ms;
	int64_t end = commit_sink_newest(s->commit, s->js.region, s->plan->sinks[s->lake].name);
	int64_t from =
	    s->seen.newest_ms == INT64_MIN ? end - s->reach_ms : s->seen.newest_ms + every;

	if (from < late_oldest_ms(s))
		from = late_oldest_ms(s);
	from = cell_floor(from + every - 1, every);
	for (int64_t ms = from > s->first_ms ? from : s->first_ms; ms < end; ms += every) {
		struct seen_cell *c = late_is_frozen(s, late_cell(s, ms)) ? put_cell(s, ms) : NULL;

		if (c)
			c->unread = true;
	}
}

/* Their marks had no room, and there is nothing to read them from. */
static void
drop_unread(struct stream *s)
{
	int64_t from_ms = INT64_MIN;
	struct err why;

	for (size_t i = s->seen.n; i-- > 0;)
		if (s->seen.cells[i].unread) {
			from_ms = s->seen.cells[i].start_ms;
			(void)forget_cell(s, i);
		}
	(void)err_set(&why, ERR_LOCAL,
		      "what is known of these cells had no room in the checkpoint, "
		      "and there is no lake to read it from");
	if (from_ms != INT64_MIN)
		warn_not_looked(s, from_ms, &why);
}

/* Its marks are of no use, but what was to come of its cells does not come any more. */
static void
begin_changed(struct stream *s, const json_t *j)
{
	if (!j || !late_is_used(s))
		return;
	if (seen_load_other(&s->seen, j)) {
		second_changed(s);
		for (size_t i = s->seen.n; i-- > 0;)
			(void)forget_cell(s, i);
		seen_done(&s->seen);
	}
	seen_init(&s->seen, s->job->definition);
}

void
late_done(struct stream *s)
{
	if (s->seen_loaded)
		seen_done(&s->seen);
	s->seen_loaded = false;
}

void
late_begin(struct stream *s)
{
	json_t *j;

	late_done(s);
	if (!looks(s))
		return;
	j = commit_seen(s->commit, s->js.region);
	if (!seen_load(&s->seen, j, s->job->definition))
		begin_changed(s, j);
	json_decref(j);
	s->reach_ms = s->js.common->once ? s->js.common->hold_ms : s->job->kind->reach_ms(&s->js);
	s->first_ms = commit_first_ms(s->commit, s->js.region);
	s->seen_loaded = true;
	if (!stream_has_lake(s))
		drop_unread(s);
	else if (looks_back(s))
		put_unread(s);
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
		late_warn_full(s, &err);
		if (s->seen.cells[0].start_ms >= start_ms || !forget_cell(s, 0)) {
			c->foreign = true;
			return false;
		}
		c = seen_find(&s->seen, start_ms);
	}
	return true;
}

/* A cell as it is frozen, with all its late objects. */
static void
mark_frozen(struct stream *s, const struct cell_data *d)
{
	struct seen_cell *c = put_cell(s, d->cell.start_ms);
	unsigned n = 0;

	if (!c)
		return;
	c->n = 0;
	c->late = 0;
	c->foreign = c->unread = false;
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
			(void)forget_cell(s, i);
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

/* The oldest cell that a request for those from first_ms on may begin with. */
static int64_t
reach(const struct stream *s, int64_t first_ms)
{
	return cell_floor(first_ms - s->reach_ms - 1, s->plan->every_ms);
}

int64_t
late_from(const struct stream *s, int64_t first_ms)
{
	if (!looks_back(s))
		return first_ms;
	for (int64_t ms = reach(s, first_ms); ms < first_ms; ms += s->plan->every_ms)
		if (is_to_look_at(s, late_cell(s, ms)))
			return ms;
	return first_ms;
}

size_t
late_apart(const struct stream *s, int64_t *ret_ms)
{
	int64_t every = s->plan->every_ms, before;

	if (!looks_back(s) || !stream_has_lake(s) || !s->stats.cells)
		return 0;
	before =
	    reach(s, commit_sink_newest(s->commit, s->js.region, s->plan->sinks[s->lake].name));
	for (size_t i = 0; i < s->seen.n && s->seen.cells[i].start_ms < before; i++) {
		*ret_ms = s->seen.cells[i].start_ms;
		if (*ret_ms >= s->looked_ms && *ret_ms >= late_oldest_ms(s) &&
		    is_to_look_at(s, late_cell(s, *ret_ms)))
			return (size_t)((before - *ret_ms + every - 1) / every);
	}
	return 0;
}

void
late_was_apart(struct stream *s, int64_t from_ms, size_t n, const struct err *err)
{
	s->looked_ms = from_ms + (int64_t)n * s->plan->every_ms;
	if (err)
		warn_not_looked(s, from_ms, err);
	for (size_t i = 0; i < s->seen.n; i++) {
		struct seen_cell *c = &s->seen.cells[i];

		if (c->start_ms >= from_ms && c->start_ms < s->looked_ms &&
		    (!err || err->kind == ERR_DATA))
			c->looked = true;
	}
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

/* The same for a cell of which nothing is known; one that cannot be read holds up no other. */
static int
read_marks(struct stream *s, struct cell cell, struct err *err)
{
	if (!learn(s, cell, err))
		return 0;
	(void)err_wrap(err, "read what is frozen");
	if (err->kind != ERR_DATA)
		return -1;
	warn_not_looked(s, cell.start_ms, err);
	err_clear(err);
	seen_find(&s->seen, cell.start_ms)->foreign = true;
	return 0;
}

/* Where there is no room, for marks of an older cell, which may be the one at hand, would go. */
void
late_read_all(struct stream *s)
{
	struct err why = {0};

	for (size_t i = 0; stream_has_lake(s) && i < s->seen.n && seen_has_room(&s->seen); i++) {
		const struct seen_cell *c = &s->seen.cells[i];

		if (c->unread && !c->foreign && read_marks(s, late_cell(s, c->start_ms), &why))
			return;
	}
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
	if (learn(s, late_cell(s, start_ms), err))
		return -1;
	c = seen_find(&s->seen, start_ms);
	*changed = c && (c->n || c->foreign);
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
	late_read_all(s);
	if (!is_to_look_at(s, d->cell)) /* forgotten for want of room */
		return 0;
	if (seen_find(&s->seen, d->cell.start_ms)->unread && read_marks(s, d->cell, err))
		return -1;
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
