/*
 * A cell to its sinks: to each that may have it now, until it has accounted for every sample.
 *
 * A sink that fails keeps its cursor and holds up nobody else; what it took of the cell it tells
 * apart the next time. So this may be repeated, from the frozen cell, by anyone at any time.
 */
#include "run/stream_publish.h"

#include "base/log.h"
#include "model/series_cap.h"
#include "run/others.h"

#define LOST_OLD PLAN_TOO_OLD "; it may have been sent before the checkpoint was lost"

/* Every sample of a cell must have one fate, or something is wrong here and the cell does not count
 * as done. */
static int
check_sum(const struct published *r, uint64_t want, const char *sink, struct err *err)
{
	uint64_t sum = r->acked + r->already + r->too_old + r->rejected + r->over_limit;

	if (sum == want)
		return 0;
	return err_set(err, ERR_LOCAL, "sink %s accounts for %llu of %llu samples", sink,
		       (unsigned long long)sum, (unsigned long long)want);
}

/* What becomes of samples is one account; sinks that take lines have bytes only. */
void
stream_count_published(struct stream *s, size_t k, const struct published *r, bool samples)
{
	struct stream_stats *st = &s->stats;

	st->bytes += r->bytes;
	if (!samples)
		return;
	st->acked += r->acked;
	st->already += r->already;
	st->too_old += r->too_old;
	st->rejected += r->rejected;
	st->over_limit += r->over_limit;
	if (sink_bills_samples(stream_outlet(s, k)->conf))
		st->ingested += r->acked;
}

int
stream_write_rejects(struct stream *s, const struct publish *p, const struct rejects *rej,
		     struct cell cell, struct err *err)
{
	struct outlet *o;

	if (!rej->n || !stream_has_lake(s))
		return 0;
	o = stream_outlet(s, s->lake);
	if (buf_check(&rej->lines, "refused samples", err))
		return -1;
	return o->sink->ops->write_rejected(o->sink, p, cell, buf_view(&rej->lines), err);
}

uint64_t
stream_lines_of(const struct cell_data *d)
{
	uint64_t n = 0;

	for (; d; d = d->later)
		n += d->n_lines;
	return n;
}

/* Of an older cell there is nothing to tell a sink that takes how things stand: it is done. */
bool
stream_has_nothing_for(const struct stream *s, size_t k, struct cell cell)
{
	return s->plan->sinks[k].newest_only && !plan_is_newest(s->plan, cell);
}

/* What a sink has to account for. */
static uint64_t
wanted_by(const struct stream *s, size_t k, const struct cell_data *d)
{
	const struct outlet *o = stream_outlet(s, k);

	if (stream_has_nothing_for(s, k, d->cell))
		return 0;
	if (s->plan->sinks[k].newest_only)
		return d->n_alarms;
	return o->sink && o->sink->ops->samples ? d->n_samples : stream_lines_of(d);
}

/* Once a run: what comes of it is counted. */
static void
warn_of_series(struct stream *s, const struct series_cap *cap)
{
	if (cap->over > s->stats.series_over_limit)
		s->stats.series_over_limit = cap->over;
	if (!cap->over || s->most_said)
		return;
	log_event(LOG_WARN, "more series than max_series: receivers get no more of them",
		  LOG_S("tenant", s->tenant->id), LOG_S("job", s->job->name),
		  LOG_S("region", s->js.region), LOG_I("max_series", s->js.common->max_series),
		  LOG_I("series", (int64_t)(cap->n + cap->over)));
	s->most_said = true;
}

int
stream_most_series(struct stream *s, const struct cell_data *whole, const struct cell_data *d,
		   struct cell_data *to, struct err *err)
{
	struct series_cap cap;
	int r = series_cap_choose(&cap, whole, (size_t)s->js.common->max_series, err);

	if (r)
		return -1;
	warn_of_series(s, &cap);
	r = series_cap_take(&cap, d, to, err);
	series_cap_done(&cap);
	return r;
}

/* One cell to one sink, which gets `d` or, a sink of samples, what of it is within max_series,
 * until the sink has accounted for all of it. */
static int
publish_within(struct stream *s, size_t k, const struct cell_data *d,
	       const struct cell_data *within, struct err *err)
{
	struct outlet *o = stream_outlet(s, k);
	const char *name = s->plan->sinks[k].name;
	bool sent_before = commit_maybe_sent(s->commit, s->js.region, name, d->cell) ||
			   others_scheduled(s, k, d->cell);
	bool samples = o->sink && o->sink->ops->samples;
	uint64_t want = wanted_by(s, k, d);
	bool wanted = !stream_has_nothing_for(s, k, d->cell) &&
		      (!s->plan->sinks[k].leftovers ||
		       commit_left_over(s->commit, s->plan, s->js.region, d->cell));
	struct publish p = stream_publish_args(s);
	struct published r = {.too_old_why = s->lost ? LOST_OLD : NULL};
	struct rejects rej;
	int rc = 0;

	rejects_init(&rej, name, &p);
	p.maybe_sent = sent_before;
	p.reject = rejects_add;
	p.reject_arg = &rej;
	if (wanted && (want || !o->sink)) {
		r.over_limit = samples ? want - within->n_samples : 0;
		for (const struct cell_data *part = within; !rc && part; part = part->later)
			if (part == within || !samples) /* that has all samples */
				rc = outlet_publish(o, &p, part, &r, err);
		if (r.requests)
			commit_cell_tried(s->commit, s->js.region, name, d->cell);
		if (!rc)
			rc = check_sum(&r, want, name, err);
		/* They were no refusals if another backfill was here before: then all is asked
		 * again, and taken for that. */
		if (!rc && rej.n && !sent_before && others_backfills(s, k, d->cell)) {
			rejects_done(&rej);
			return publish_within(s, k, d, within, err);
		}
		/* Nor if another run has taken over and been here. */
		if (!rc && rej.n && !sent_before)
			rc = commit_flush(s->commit, err);
		if (!rc)
			rc = stream_write_rejects(s, &p, &rej, d->cell, err);
	}
	if (!rc)
		rc = commit_cell_sent(s->commit, s->js.region, name, d->cell, &r, p.now_ms, err);
	if (!rc)
		stream_count_published(s, k, &r, samples);
	rejects_done(&rej);
	return rc;
}

static int
publish_cell(struct stream *s, size_t k, const struct cell_data *d, struct err *err)
{
	const struct outlet *o = stream_outlet(s, k);
	struct cell_data within;
	int r;

	if (!o->sink || !o->sink->ops->samples)
		return publish_within(s, k, d, d, err);
	cell_data_init(&within, d->cell);
	r = stream_most_series(s, d, d, &within, err);
	if (!r)
		r = publish_within(s, k, d, &within, err);
	cell_data_done(&within);
	return r;
}

/* Waiting a little may help. */
bool
stream_may_pass(enum err_kind kind)
{
	return kind == ERR_TRANSIENT || kind == ERR_THROTTLED || kind == ERR_EXPIRED ||
	       kind == ERR_SKEW;
}

/* Of several sinks' errors the first that will not pass is told, else the first. */
void
stream_block(struct stream *s, size_t k, const struct err *err)
{
	bool may_pass = stream_may_pass(err->kind);

	s->blocked |= 1ULL << k;
	s->may_pass |= may_pass ? 1ULL << k : 0;
	if (err_kept(&s->error)->kind == ERR_NONE ||
	    (stream_may_pass(err_kept(&s->error)->kind) && !may_pass))
		err_keep(&s->error, err);
}

/* In order, and the slice in front is not done. */
static bool
must_wait(struct stream *s, size_t k)
{
	bool waits = s->order != ORDER_FREE && plan_needs_before(s->plan, k);

	s->gated = s->gated || waits;
	return waits;
}

/* A sink that fails keeps its cursor and holds up nobody else. Who froze an adopted cell may have
 * sent it as well; a backfill knows better. */
static int
publish_to(struct stream *s, size_t k, const struct cell_data *d, bool adopted, struct err *err)
{
	const char *name = s->plan->sinks[k].name;

	if (k == s->lake || commit_sink_done(s->commit, s->js.region, name, d->cell))
		return 0;
	if (adopted && !s->env->backfill)
		commit_cell_tried(s->commit, s->js.region, name, d->cell);
	if (s->blocked & (1ULL << k) || must_wait(s, k) ||
	    !commit_may_publish(s->commit, s->plan, s->js.region, k, d->cell) ||
	    !publish_cell(s, k, d, err))
		return 0;
	if (err->kind == ERR_CANCELLED)
		return -1;
	stream_block(s, k, err);
	return 0;
}

/* To every sink that may have it now; what is left over shows when the others have it. */
int
stream_publish_all(struct stream *s, const struct cell_data *d, bool adopted, struct err *err)
{
	for (int leftovers = 0; leftovers < 2; leftovers++)
		for (size_t k = 0; k < s->plan->n_sinks; k++)
			if (s->plan->sinks[k].leftovers == leftovers &&
			    publish_to(s, k, d, adopted, err))
				return -1;
	return 0;
}
