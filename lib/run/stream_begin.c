/*
 * Where a stream begins: what the checkpoint says; if it says nothing, what is frozen; and what is
 * to be finished first when its cells are to have another length.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/timefmt.h"
#include "run/late.h"
#include "run/others.h"
#include "run/second.h"

/* Where a stream that the checkpoint does not know begins: with the oldest cell that is frozen of
 * what can be caught up; if there is none and a checkpoint was lost, as far back as that; else
 * where new ones do. */
static int
first_cell(struct stream *s, bool lost, int64_t *ret, struct err *err)
{
	struct publish p = stream_publish_args(s);
	struct outlet *o = stream_has_lake(s) ? stream_outlet(s, s->lake) : NULL;
	int64_t oldest = plan_oldest_ms(s->plan), found;
	char from[TIME_TEXT_MAX];

	*ret = lost ? oldest : plan_first_ms(s->plan);
	if (!o || !o->sink || !o->sink->ops->oldest || s->env->dry_run)
		return 0;
	if (o->sink->ops->oldest(o->sink, &p, oldest, plan_due_end(s->plan), &found, err))
		return err->kind == ERR_NOTFOUND ? 0 : -1;
	found = cell_floor(found, s->plan->every_ms);
	s->lost = true;
	if (!lost && found >= *ret)
		return 0;
	*ret = found;
	time_format_s(found, from);
	log_event(LOG_WARN, "no checkpoint, but frozen cells: going on from these",
		  LOG_S("tenant", s->tenant->id), LOG_S("job", s->job->name),
		  LOG_S("region", s->js.region), LOG_S("from", from));
	return 0;
}

/* `every` was changed: the cells of before go on to the first boundary that both lengths have, and
 * the run after that begins with the new ones. Only for kinds whose points do not care: a query may
 * be made for one length. */
static int
finish_old_grid(struct stream *s, struct err *err)
{
	int64_t every, until;
	char text[TIME_TEXT_MAX];

	if (!s->job->kind->reach_ms || s->env->dry_run)
		return 0;
	if (commit_regrid(s->commit, s->plan, s->js.region, &every, &until, err))
		return -1;
	if (!every)
		return 0;
	if (!s->old)
		s->old = malloc(sizeof(*s->old));
	if (!s->old)
		return err_nomem(err);
	*s->old = (struct stream_old){.plan = *s->plan, .common = *s->js.common};
	s->old->plan.every_ms = every;
	s->old->plan.until_ms = until;
	s->plan = &s->old->plan;
	s->old->common.every_ms = every;
	s->js.common = &s->old->common;
	time_format_s(until, text);
	log_event(LOG_INFO, "`every` was changed, cells keep their length for now",
		  LOG_S("tenant", s->tenant->id), LOG_S("job", s->job->name),
		  LOG_S("region", s->js.region), LOG_S("until", text));
	return 0;
}

/* What a backfill knows from the start: its window, and of a first run on it nothing else. */
static int
begin_slice(struct stream *s, struct err *err)
{
	s->stats.earlier_cells =
	    plan_window_cells(s->plan) - commit_window_left(s->commit, s->plan, s->js.region);
	s->others = others_new(s->plan->n_sinks);
	return s->others ? 0 : err_nomem(err);
}

/* How many cells there are to be pulled, however old. */
static uint64_t
due_cells(const struct stream *s)
{
	struct plan_span span;
	int64_t from_ms = 0;
	uint64_t n = 0;

	while (commit_next(s->commit, s->plan, s->js.region, PLAN_REST, from_ms, SIZE_MAX, &span)) {
		n += span.mode == PLAN_PULL ? span.n : 0;
		from_ms = span.first.start_ms + (int64_t)span.n * s->plan->every_ms;
	}
	return n;
}

/* What was left to be done of earlier cells: marks, debts, and what never came to be asked. */
static int
begin_late(struct stream *s, enum plan_pass pass, struct err *err)
{
	s->js.begun_before_ms = s->commit->begun_before_ms;
	late_begin(s);
	if (second_begin(s, err))
		return -1;
	s->begun_in = pass;
	return 0;
}

int
stream_begin(struct stream *s, enum plan_pass pass, struct err *err)
{
	int64_t first_ms = plan_first_ms(s->plan);
	bool lost;

	if (s->begun && s->begun_in == pass)
		return 0;
	/* Between the passes the checkpoint was closed, and another run may have had it. */
	if (s->begun)
		return begin_late(s, pass, err);
	if (!s->env->backfill && finish_old_grid(s, err))
		return -1;
	if (!s->env->backfill && !commit_knows(s->commit, s->js.region, &lost) &&
	    first_cell(s, lost, &first_ms, err))
		return -1;
	if (commit_stream_begin(s->commit, s->plan, s->js.region, first_ms, s->job->definition,
				&s->is_new, err))
		return -1;
	if (begin_late(s, pass, err) || (s->env->backfill && begin_slice(s, err)))
		return -1;
	s->begun = true;
	if (!s->env->backfill) /* whose window says it */
		s->stats.due_cells = due_cells(s);
	return 0;
}
