/*
 * Which queries the cells of a pull begin with, one for each part of their time and each chunk of
 * log groups, and what of the cells the groups have lost before.
 */
#include "jobs/insights_pull.h"

/* Before the first cell is known to be dense it is not cut into more than this. */
#define PIECES_MAX 1000

/* Events of a part of this length, by the density of the cell before. */
double
insights_expected_rows(const struct pull *p, int64_t ms)
{
	if (p->ms_before <= 0)
		return 0;
	return (double)p->rows_before / (double)p->ms_before * (double)ms;
}

static int
plan_chunk(struct pull *p, int64_t start_ms, size_t g0, size_t g1, struct err *err)
{
	const struct ask ask = {
	    .from_ms = start_ms,
	    .to_ms = start_ms + p->s->common->every_ms,
	    .used_to_ms = start_ms + p->s->common->every_ms,
	    .g0 = g0,
	    .g1 = g1,
	};
	double share = (double)(g1 - g0) / (double)(p->groups.n - p->groups.base);
	double rows = insights_expected_rows(p, ask.to_ms - ask.from_ms) * share;
	double pieces = 2 * rows / (double)p->limit + 1;

	if (!p->o->q.splits)
		return asks_add(&p->asks, &ask, err);
	return asks_add_pieces(&p->asks, &ask, ask.from_ms,
			       pieces < PIECES_MAX ? (int64_t)pieces : PIECES_MAX, err);
}

static int
plan_cell(struct pull *p, int64_t start_ms, struct err *err)
{
	if (p->n_sources)
		return plan_chunk(p, start_ms, p->groups.base, p->groups.n, err);
	for (size_t g0 = p->groups.base, g1; g0 < p->groups.n; g0 = g1) {
		g1 = groups_chunk(&p->groups, g0);
		if (plan_chunk(p, start_ms, g0, g1, err))
			return -1;
	}
	return 0;
}

/* A query whose rows are not events must see all groups at once. */
static int
choose_sources(struct pull *p, struct err *err)
{
	if (p->o->q.splits || groups_chunk(&p->groups, p->groups.base) == p->groups.n)
		return 0;
	/* SOURCE would have to name the account, for which the service's documents have two words.
	 */
	if (!p->s->linked_account &&
	    groups_sources(&p->groups, p->o, p->sources, &p->n_sources, &p->mem))
		return 0;
	return err_set(err, ERR_REJECTED,
		       "%zu log groups in a query that cannot be divided: it takes %d (of one "
		       "class) by name, or up to %d patterns with one `*` at the end; use fewer "
		       "groups, such patterns, or several jobs",
		       p->groups.n - p->groups.base, LOGS_GROUPS_MAX, INSIGHTS_SOURCES_MAX);
}

/* What the groups have lost to their retention already is a gap. */
static int
note_lost(struct pull *p, struct err *err)
{
	int64_t kept_from = p->start_ms;

	for (size_t i = 0; i < p->groups.n; i++) {
		int64_t from = groups_kept_from(&p->groups.v[i], p->now_ms);

		kept_from = from > kept_from ? from : kept_from;
	}
	if (kept_from == p->start_ms)
		return 0;
	return pull_gap(p, p->start_ms, kept_from < p->end_ms ? kept_from : p->end_ms,
			"older than a log group's retention", err);
}

int
insights_plan(struct pull *p, struct err *err)
{
	int64_t every_ms = p->s->common->every_ms;

	p->phase = ASK;
	p->changed = true;
	if (choose_sources(p, err) || note_lost(p, err))
		return -1;
	for (int64_t ms = p->start_ms; ms < p->end_ms; ms += every_ms)
		if (!asks_have(&p->asks, ms, ms + every_ms) && plan_cell(p, ms, err))
			return -1;
	if (p->lost || p->start_ms + every_ms <= p->s->begun_before_ms)
		lost_look(p, false);
	return 0;
}
