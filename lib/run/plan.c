/* Which cells are due; see plan.h. */
#include "run/plan.h"

#include <string.h>

#define CLOCKS_DIFFER_MS (15 * 60000LL)

int64_t
plan_first_ms(const struct plan *p)
{
	return plan_has_window(p) ? p->window.start_ms
				  : cell_floor(p->now_ms - p->lookback_ms, p->every_ms);
}

int64_t
plan_due_end(const struct plan *p)
{
	int64_t end = cell_due_end(p->now_ms, p->every_ms, p->delay_ms);

	if (plan_has_window(p) && p->window.end_ms < end)
		end = p->window.end_ms;
	return p->until_ms && p->until_ms < end ? p->until_ms : end;
}

bool
plan_is_newest(const struct plan *p, struct cell c)
{
	return !plan_has_window(p) && c.end_ms == cell_due_end(p->now_ms, p->every_ms, p->delay_ms);
}

/* Catching up begins with the cell that holds this moment. */
int64_t
plan_oldest_ms(const struct plan *p)
{
	if (plan_has_window(p))
		return p->window.start_ms;
	return cell_floor(p->now_ms - p->max_catchup_ms, p->every_ms);
}

static int64_t
catchup_floor(const struct plan *p, const struct ckpt_stream *s)
{
	int64_t oldest = plan_oldest_ms(p);

	return oldest > s->first_ms ? oldest : s->first_ms;
}

int64_t
plan_watermark(const struct plan *p, const struct ckpt_stream *s)
{
	int64_t oldest = INT64_MAX;

	for (size_t k = 0; k < p->n_sinks; k++) {
		const struct ckpt_sink *state = ckpt_sink_find(s, p->sinks[k].name);

		if (state && state->cursor_ms < oldest)
			oldest = state->cursor_ms;
	}
	return oldest == INT64_MAX ? s->first_ms : oldest;
}

bool
plan_is_ahead(int64_t ms, int64_t now_ms)
{
	return ms - now_ms > CLOCKS_DIFFER_MS;
}

bool
plan_given_up(const struct plan *p, const struct ckpt_stream *s, struct cell *ret)
{
	int64_t from = plan_watermark(p, s);
	int64_t to = catchup_floor(p, s);

	if (plan_has_window(p) || from >= to)
		return false;
	*ret = (struct cell){from, to};
	return true;
}

/* Start of the oldest cell that a sink with this maximum age takes at least in part. */
static int64_t
age_floor(const struct plan *p, int64_t max_age_ms)
{
	return cell_floor(p->now_ms - max_age_ms, p->every_ms);
}

/* Start of the FRESH cells: as old as the most impatient sink takes. */
static int64_t
fresh_floor(const struct plan *p, const struct ckpt_stream *s)
{
	int64_t youngest = 0;

	for (size_t i = 0; i < p->n_sinks; i++) {
		int64_t age = p->sinks[i].max_age_ms;

		if (age && (!youngest || age < youngest))
			youngest = age;
	}
	if (!youngest || plan_has_window(p))
		return catchup_floor(p, s);
	return age_floor(p, youngest) > catchup_floor(p, s) ? age_floor(p, youngest)
							    : catchup_floor(p, s);
}

static bool
sink_has(const struct plan *p, const struct ckpt_stream *s, size_t k, struct cell c)
{
	const struct ckpt_sink *state = ckpt_sink_find(s, p->sinks[k].name);

	return state && ckpt_is_done(state, c);
}

/* What is to be done with a cell; false: nothing. */
static bool
cell_mode(const struct plan *p, const struct ckpt_stream *s, struct cell c, enum plan_mode *ret)
{
	bool lake_has = false;
	bool undone = false;

	for (size_t k = 0; k < p->n_sinks; k++) {
		bool has = sink_has(p, s, k, c);

		undone = undone || !has;
		lake_has = lake_has || (has && p->sinks[k].lake);
	}
	*ret = lake_has ? PLAN_REPUBLISH : PLAN_PULL;
	return undone;
}

bool
plan_next(const struct plan *p, const struct ckpt_stream *s, enum plan_pass pass, int64_t from_ms,
	  size_t max_cells, struct plan_span *ret)
{
	int64_t start = pass == PLAN_FRESH ? fresh_floor(p, s) : catchup_floor(p, s);
	int64_t due = plan_due_end(p);
	enum plan_mode mode;

	if (from_ms > start)
		start = from_ms;
	ret->n = 0;
	for (struct cell c = {start, start + p->every_ms}; c.end_ms <= due;
	     c.start_ms += p->every_ms, c.end_ms += p->every_ms) {
		bool wanted = cell_mode(p, s, c, &mode);

		if (ret->n && (!wanted || mode != ret->mode || ret->n >= max_cells))
			break;
		if (!wanted)
			continue;
		if (!ret->n) {
			ret->first = c;
			ret->mode = mode;
		}
		ret->n++;
	}
	return ret->n > 0;
}

bool
plan_has_rest(const struct plan *p, const struct ckpt_stream *s)
{
	struct plan_span span;

	return plan_next(p, s, PLAN_REST, 0, 1, &span) && span.first.start_ms < fresh_floor(p, s);
}

size_t
plan_window_cells(const struct plan *p)
{
	int64_t due = plan_due_end(p);

	return due > p->window.start_ms ? (size_t)((due - p->window.start_ms) / p->every_ms) : 0;
}

size_t
plan_window_left(const struct plan *p, const struct ckpt_stream *s)
{
	int64_t start = p->window.start_ms;
	enum plan_mode mode;
	size_t n = 0;

	for (size_t i = 0; i < plan_window_cells(p); i++, start += p->every_ms) {
		const struct cell c = {start, start + p->every_ms};

		n += cell_mode(p, s, c, &mode) && mode == PLAN_PULL;
	}
	return n;
}

bool
plan_needs_before(const struct plan *p, size_t k)
{
	const struct plan_sink *sink = &p->sinks[k];

	return sink->ordered && plan_has_window(p) &&
	       !(sink->max_age_ms && age_floor(p, sink->max_age_ms) >= p->window.start_ms);
}

/* What sinks with a maximum age do with a cell is known when they have it. */
static bool
is_settled(const struct plan *p, const struct ckpt_stream *s, struct cell c)
{
	for (size_t k = 0; k < p->n_sinks; k++)
		if (p->sinks[k].max_age_ms && !sink_has(p, s, k, c))
			return false;
	return true;
}

bool
plan_left_over(const struct plan *p, const struct ckpt_stream *s, struct cell c)
{
	bool any_age = false;

	for (size_t k = 0; k < p->n_sinks; k++) {
		any_age = any_age || p->sinks[k].max_age_ms;
		for (size_t i = 0; p->sinks[k].max_age_ms && i < s->n_gaps; i++) {
			const struct ckpt_gap *g = &s->gaps[i];

			if (!strcmp(g->sink, p->sinks[k].name) &&
			    (sv_starts(sv_of(g->reason), SV(PLAN_TOO_OLD)) ||
			     !strcmp(g->reason, PLAN_REFUSED)) &&
			    g->start_ms < c.end_ms && c.start_ms < g->end_ms)
				return true;
		}
	}
	return !any_age;
}

bool
plan_may_publish(const struct plan *p, const struct ckpt_stream *s, size_t k, struct cell c)
{
	const struct plan_sink *sink = &p->sinks[k];
	const struct ckpt_sink *state = ckpt_sink_find(s, sink->name);
	int64_t from;

	if (sink->leftovers)
		return is_settled(p, s, c);
	if (!sink->ordered)
		return true;
	if (!state)
		return false;
	from = state->cursor_ms;
	if (sink->max_age_ms && age_floor(p, sink->max_age_ms) > from)
		from = age_floor(p, sink->max_age_ms);
	return from >= c.start_ms || ckpt_is_done(state, (struct cell){from, c.start_ms});
}
