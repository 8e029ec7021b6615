/*
 * Pull, freeze, publish, commit; see stream.h.
 *
 * The order is the promise (nothing lost, nothing twice): a cell is frozen before anything of it is
 * published, and a cursor moves only after its sink has accounted for every sample. Each step may
 * be repeated by anyone at any time: freezing is create-only and an existing object wins;
 * publishing a stored cell again is told apart by the receiver's refusal; committing is
 * compare-and-swap.
 */
#include "run/stream.h"

#include <stdlib.h>

#include "base/log.h"
#include "model/series_cap.h"
#include "run/late.h"
#include "run/others.h"
#include "run/pull.h"
#include "run/second.h"

#define BACKOFF_MIN_MS 1000
#define BACKOFF_MAX_MS 20000
#define SINK_TRIES                                                                                 \
	3 /* more of one stream's cells to a failing sink in one run: after 1, 2 and 4 s */
#define LOST_OLD      PLAN_TOO_OLD "; it may have been sent before the checkpoint was lost"
#define CALL_BODY_MAX (4u << 20)

void
worker_mem_init(struct worker_mem *m)
{
	aws_call_init(&m->call, CALL_BODY_MAX);
	resp_init(&m->resp, HTTP_MAX_BODY);
}

void
worker_mem_done(struct worker_mem *m)
{
	aws_call_done(&m->call);
	resp_done(&m->resp);
}

int64_t
run_now_ms(const struct run_env *env)
{
	if (env->now_fixed)
		return env->now_ms;
	return env->now_ms + clock_mono_ms(env->clock) - env->started_mono_ms;
}

struct outlet *
stream_outlet(const struct stream *s, size_t k)
{
	return &s->env->outlets[s->outlet_of[k]];
}

bool
stream_has_lake(const struct stream *s)
{
	return s->lake < s->plan->n_sinks;
}

bool
stream_wants_lines(const struct stream *s, bool beside)
{
	for (size_t k = 0; k < s->plan->n_sinks; k++) {
		const struct sink *sink = stream_outlet(s, k)->sink;

		if ((!sink || !sink->ops->samples) && !(beside && k == s->lake))
			return true;
	}
	return false;
}

void
stream_leave_lines(struct stream *s)
{
	if (s->lines_inside)
		gate_leave(s->env->lines, s->lines_inside);
	s->lines_inside = 0;
}

struct publish
stream_publish_args(const struct stream *s)
{
	return (struct publish){
	    .job = s->env->into ? s->env->into : s->job->name,
	    .tenant = s->tenant->id,
	    .account = s->tenant->account,
	    .region = s->js.region,
	    .definition = s->job->definition,
	    .now_ms = run_now_ms(s->env),
	    .deadline_mono_ms = s->env->deadline_mono_ms,
	};
}

/* A backfill goes on only from what the same definition made. (A store may have lost the hash: then
 * nobody can tell.) */
static int
check_definition(const struct stream *s, const struct publish *p, const struct cell_data *d,
		 const char *definition, struct err *err)
{
	struct buf key = BUF_INIT(1024);

	if (!s->foreign || !*definition || !strcmp(definition, s->job->definition))
		return 0;
	atomic_store(s->foreign, true);
	cell_lake_key(&key, p->job, p->tenant, p->region, d->cell, d->late);
	(void)err_set(err, ERR_CONFLICT,
		      "sink %s holds %s of another definition of the job (%.12s, now %.12s): "
		      "--into NAME writes beside it",
		      s->plan->sinks[s->lake].name, buf_cstr(&key), definition, s->job->definition);
	buf_done(&key);
	return -1;
}

/* One object of a cell, the one of number d->late. */
static int
read_object(struct stream *s, struct cell_data *d, char definition[65], struct err *err)
{
	struct outlet *o = stream_outlet(s, s->lake);
	struct publish p = stream_publish_args(s);

	if (!o->sink) {
		*err = o->why;
		return -1;
	}
	if (o->sink->ops->read(o->sink, &p, d, definition, err) ||
	    check_definition(s, &p, d, definition, err))
		return -1;
	return s->job->kind->adopt ? s->job->kind->adopt(&s->js, d, err) : 0;
}

/* The late objects behind d, from the first number on to the last. */
static int
read_late(struct stream *s, struct cell_data *d, char definition[65], struct err *err)
{
	struct cell_data **end = &d->later;
	int r = 0;

	for (unsigned n = 1; !r && late_may_exist(s); n++) {
		*end = calloc(1, sizeof(**end));
		if (!*end)
			return err_nomem(err);
		cell_data_init(*end, d->cell);
		(*end)->late = n;
		r = read_object(s, *end, definition, err);
		if (!r)
			end = &(*end)->later;
	}
	if (!r || err->kind != ERR_NOTFOUND)
		return r;
	cell_data_done(*end);
	free(*end);
	*end = NULL;
	return 0;
}

int
stream_read_frozen(struct stream *s, struct cell_data *d, char definition[65], struct err *err)
{
	struct cell cell = d->cell;
	char of_late[65] = "";
	int r;

	cell_data_done(d);
	cell_data_init(d, cell);
	definition[0] = '\0';
	r = read_object(s, d, definition, err);
	if (r && (err->kind != ERR_NOTFOUND || !late_may_exist(s)))
		return -1;
	if (read_late(s, d, r ? definition : of_late, err))
		return -1;
	if (r && !d->later)
		return err_set(err, ERR_NOTFOUND, "nothing is frozen of this cell");
	err_clear(err);
	return 0;
}

/* The frozen content of a cell into d, with what came late. ERR_NOTFOUND: nothing is frozen. */
static int
adopt(struct stream *s, struct cell_data *d, struct err *err)
{
	char definition[65];

	if (!s->job->kind->adopt)
		return err_set(err, ERR_NOTFOUND, "cells of this kind are pulled again");
	return stream_read_frozen(s, d, definition, err) || cell_data_merge(d, err) ? -1 : 0;
}

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

struct billed
stream_billed(const struct stream_stats *st)
{
	return (struct billed){.metrics = st->metrics_requested,
			       .calls = st->calls_billed,
			       .bytes_scanned = st->bytes_scanned,
			       .samples = st->ingested,
			       .puts = st->puts};
}

void
stream_keep_calls(struct stream *s)
{
	struct billed u = {0};

	billed_count_calls(&u, &s->calls);
	s->stats.calls_billed += u.calls;
	s->stats.puts += u.puts;
	commit_calls(s->commit, s->js.region, &s->calls);
	tally_done(&s->calls);
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

static uint64_t
lines_of(const struct cell_data *d)
{
	uint64_t n = 0;

	for (; d; d = d->later)
		n += d->n_lines;
	return n;
}

/* Of an older cell there is nothing to tell a sink that takes how things stand: it is done. */
static bool
has_nothing_for(const struct stream *s, size_t k, struct cell cell)
{
	return s->plan->sinks[k].newest_only && !plan_is_newest(s->plan, cell);
}

/* What a sink has to account for. */
static uint64_t
wanted_by(const struct stream *s, size_t k, const struct cell_data *d)
{
	const struct outlet *o = stream_outlet(s, k);

	if (has_nothing_for(s, k, d->cell))
		return 0;
	if (s->plan->sinks[k].newest_only)
		return d->n_alarms;
	return o->sink && o->sink->ops->samples ? d->n_samples : lines_of(d);
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
	bool wanted = !has_nothing_for(s, k, d->cell) &&
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
static bool
passes(enum err_kind kind)
{
	return kind == ERR_TRANSIENT || kind == ERR_THROTTLED || kind == ERR_EXPIRED ||
	       kind == ERR_SKEW;
}

/* Of several sinks' errors the first that will not pass is told, else the first. */
void
stream_block(struct stream *s, size_t k, const struct err *err)
{
	bool may_pass = passes(err->kind);

	s->blocked |= 1ULL << k;
	s->may_pass |= may_pass ? 1ULL << k : 0;
	if (err_kept(&s->error)->kind == ERR_NONE ||
	    (passes(err_kept(&s->error)->kind) && !may_pass))
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
static int
publish_all(struct stream *s, const struct cell_data *d, bool adopted, struct err *err)
{
	for (int leftovers = 0; leftovers < 2; leftovers++)
		for (size_t k = 0; k < s->plan->n_sinks; k++)
			if (s->plan->sinks[k].leftovers == leftovers &&
			    publish_to(s, k, d, adopted, err))
				return -1;
	return 0;
}

/* What is pulled again only has to be of the definition that the frozen object is of. */
static int
look_at(struct stream *s, struct cell cell, struct err *err)
{
	struct cell_data had;
	char definition[65] = "";
	int r;

	cell_data_init(&had, cell);
	r = read_object(s, &had, definition, err);
	cell_data_done(&had);
	return r;
}

struct frozen {
	struct stream *s;
	struct cell_data *d;
};

/* They are compressed; most jobs have no other use for them. */
static void
lines_read(void *arg)
{
	struct frozen *f = arg;

	if (!stream_wants_lines(f->s, true))
		cell_lines_drop(f->d);
	stream_leave_lines(f->s);
}

/* Create the cell's object, or take over the one that is there: whoever was first wins. */
static int
freeze(struct stream *s, struct cell_data *d, bool *adopted, struct err *err)
{
	const char *name = s->plan->sinks[s->lake].name;
	struct frozen f = {s, d};
	struct publish p = stream_publish_args(s);
	struct published r = {0};

	p.lines_read = lines_read;
	p.lines_arg = &f;
	if (!*adopted && d->n_lines && outlet_publish(stream_outlet(s, s->lake), &p, d, &r, err))
		return -1;
	if (r.already) {
		*adopted = true;
		if (s->job->kind->adopt ? adopt(s, d, err) : look_at(s, d->cell, err))
			return err_wrap(err, "adopt the frozen cell");
	}
	s->stats.bytes += r.bytes;
	if (second_expect(s, d, *adopted || d->asked_before, err))
		return -1;
	return commit_cell_sent(s->commit, s->js.region, name, d->cell, &r, p.now_ms, err);
}

static void
count_cell(struct stream_stats *st, const struct cell_data *d, bool adopted)
{
	st->cells++;
	st->empty_cells += lines_of(d) == 0;
	st->adopted_cells += adopted;
	st->lines += lines_of(d);
	st->samples += d->n_samples;
	st->rejected_in += d->n_rejected;
}

/* Some sink has it: it was counted with the first that took it. */
static bool
counted_before(const struct stream *s, const struct cell_data *d)
{
	for (size_t k = 0; k < s->plan->n_sinks; k++)
		if (commit_sink_done(s->commit, s->js.region, s->plan->sinks[k].name, d->cell))
			return true;
	return false;
}

static int
count_taken(struct stream *s, const struct cell_data *d, bool adopted, struct err *err)
{
	if (commit_cell_frozen(s->commit, s->js.region, d, err))
		return -1;
	count_cell(&s->stats, d, adopted);
	return 0;
}

/* Without a lake a cell counts once the first sink has it: it may be pulled again for the others.
 */
static int
unfrozen_through(struct stream *s, struct cell_data *d, struct err *err)
{
	bool counted = counted_before(s, d);

	if (publish_all(s, d, false, err))
		return -1;
	late_taken(s, d, s->made_do);
	if (counted || !counted_before(s, d))
		return 0;
	return count_taken(s, d, false, err);
}

/* A cell whose content is known, all the way. */
static int
cell_through(struct stream *s, struct cell_data *d, bool adopted, struct err *err)
{
	const char *lake = s->plan->sinks[stream_has_lake(s) ? s->lake : 0].name;
	bool counted;

	if (s->env->dry_run) {
		count_cell(&s->stats, d, adopted);
		return 0;
	}
	if (!stream_has_lake(s))
		return unfrozen_through(s, d, err);
	/* Committed before, and pulled again: it was counted then, and what may have been sent of
	 * it is known. Unless its object is gone. */
	counted = commit_sink_done(s->commit, s->js.region, lake, d->cell);
	if (counted && !lines_of(d))
		return publish_all(s, d, adopted, err);
	if (freeze(s, d, &adopted, err))
		return -1;
	counted = counted && adopted;
	if (!counted && count_taken(s, d, adopted, err))
		return -1;
	late_taken(s, d, adopted || s->made_do);
	return publish_all(s, d, adopted && !counted, err);
}

/* Somebody may have frozen this cell before: a run that did not end well, one whose checkpoint is
 * gone, or a scheduled one before this backfill. */
static bool
may_exist(const struct stream *s, struct cell c)
{
	return stream_has_lake(s) &&
	       (s->env->backfill || s->is_new || c.end_ms <= s->commit->begun_before_ms);
}

/* How many cells from the first on are to be pulled; 0: the first one exists, and *d holds it. One
 * that cannot be read is met when those in front of it are done; another definition stops at once.
 */
static int
count_missing(struct stream *s, const struct plan_span *span, struct cell_data *d, size_t *ret,
	      struct err *err)
{
	struct cell c = span->first;

	for (*ret = 0; *ret < span->n; (*ret)++) {
		if (may_exist(s, c)) {
			d->cell = c;
			if (!adopt(s, d, err))
				return 0;
			if (err->kind != ERR_NOTFOUND)
				return *ret && err->kind != ERR_CONFLICT ? 0 : -1;
		}
		c = (struct cell){c.end_ms, c.end_ms + s->plan->every_ms};
	}
	return 0;
}

/* Cells from this one on are left to a later run: this pass is through. */
static void
hold(struct stream *s, const struct pull_span *span, const struct cell_data *d)
{
	int64_t end_ms = span->cells[span->n - 1].end_ms;

	log_event(LOG_INFO, "cell held for the rest of its series", LOG_S("tenant", s->tenant->id),
		  LOG_S("job", s->job->name), LOG_S("region", s->js.region),
		  LOG_I("series", (int64_t)d->n_rows),
		  LOG_I("series_before", (int64_t)s->seen.newest_series));
	s->held_ms = d->cell.start_ms;
	s->stats.held += (uint64_t)((end_ms - d->cell.start_ms) / s->plan->every_ms);
}

/* Late points first: a receiver takes them only before newer ones. */
static int
take_pulled(struct stream *s, const struct pull_span *span, struct cell_data *d, struct err *err)
{
	if (d->cell.start_ms < pull_first_new_ms(span))
		return late_look(s, d, err);
	if (late_holds(s, d)) {
		hold(s, span, d);
		return 1;
	}
	if (cell_through(s, d, false, err))
		return -1;
	s->from_ms = d->cell.end_ms;
	return 0;
}

static size_t
span_max(const struct stream *s)
{
	json_t *memo = commit_memo(s->commit, s->js.region);
	size_t n = s->job->kind->span_max(&s->js, memo);

	json_decref(memo);
	return n ? n : 1;
}

/* n cells from from_ms on, of which the first `again` are done and only looked at again. */
static int
pull_range(struct stream *s, struct worker_mem *mem, int64_t from_ms, size_t n, size_t again,
	   struct err *err)
{
	int64_t every = s->plan->every_ms;
	struct cell *cells = calloc(n, sizeof(*cells));
	const struct pull_span span = {.cells = cells, .n = n, .again = again};
	int r;

	if (!cells)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++)
		cells[i] =
		    (struct cell){from_ms + (int64_t)i * every, from_ms + (int64_t)(i + 1) * every};
	r = pull_cells(s, mem, &span, take_pulled, err);
	free(cells);
	return r;
}

/* `look`: what is due to be looked at again before these cells is asked for in the same calls. */
static int
pull_through(struct stream *s, struct worker_mem *mem, struct cell first, size_t n, bool look,
	     struct err *err)
{
	int64_t from_ms = look ? late_from(s, first.start_ms) : first.start_ms;
	size_t again = (size_t)((first.start_ms - from_ms) / s->plan->every_ms);
	size_t most = span_max(s);

	/* Together no more than what calls are made for. */
	while (n > 1 && n + again > most)
		n--;
	return pull_range(s, mem, from_ms, again + n, again, err);
}

/* Cells that are out of the others' reach. What stands in the way is no reason for the stream to
 * fail: nothing new depends on them. */
static int
look_apart(struct stream *s, struct worker_mem *mem, int64_t from_ms, size_t n, struct err *err)
{
	size_t most = span_max(s);
	int r;

	if (n > most)
		n = most;
	r = pull_range(s, mem, from_ms, n, n, err);
	if (r && (err->kind == ERR_CANCELLED || commit_lost(s->commit)))
		return -1;
	late_was_apart(s, from_ms, n, r ? err : NULL);
	err_clear(err);
	return 0;
}

/* A cell that is frozen already, for the sinks that lack it. Without an object it was empty, or the
 * lake is not the one it was frozen in: the service knows. */
static int
republish_one(struct stream *s, struct worker_mem *mem, struct cell cell, struct err *err)
{
	struct cell_data d;
	bool missing;
	int r;

	if (s->env->dry_run)
		return 0;
	cell_data_init(&d, cell);
	r = adopt(s, &d, err);
	missing = r && err->kind == ERR_NOTFOUND;
	if (!r)
		r = publish_all(s, &d, false, err);
	cell_data_done(&d);
	if (!missing)
		return r;
	err_clear(err);
	return pull_through(s, mem, cell, 1, false, err);
}

/* Sinks that a cell has nothing for are through with it; true: so are all. */
static bool
settle_old(struct stream *s, struct cell cell, struct err *err)
{
	const struct published none = {0};
	bool all = true;

	for (size_t k = 0; k < s->plan->n_sinks; k++) {
		const char *name = s->plan->sinks[k].name;

		if (commit_sink_done(s->commit, s->js.region, name, cell))
			continue;
		if (!has_nothing_for(s, k, cell) ||
		    commit_cell_sent(s->commit, s->js.region, name, cell, &none, run_now_ms(s->env),
				     err))
			all = false;
	}
	return all;
}

/* What frozen lines do not hold is asked for again, of all cells from the first that a sink wants.
 */
static int
pull_again(struct stream *s, struct worker_mem *mem, const struct plan_span *span, struct err *err)
{
	struct cell c = span->first;
	size_t n = span->n;

	for (; n && settle_old(s, c, err); n--) {
		s->from_ms = c.end_ms;
		c = (struct cell){c.end_ms, c.end_ms + s->plan->every_ms};
	}
	return n ? pull_through(s, mem, c, n, false, err) : 0;
}

static int
republish(struct stream *s, struct worker_mem *mem, const struct plan_span *span, struct err *err)
{
	struct cell c = span->first;

	if (!s->job->kind->adopt && !s->env->dry_run)
		return pull_again(s, mem, span, err);
	for (size_t i = 0; i < span->n; i++) {
		if (republish_one(s, mem, c, err))
			return -1;
		s->from_ms = c.end_ms;
		c = (struct cell){c.end_ms, c.end_ms + s->plan->every_ms};
	}
	return 0;
}

static size_t
cells_before(const struct stream *s, const struct plan_span *span, int64_t ms)
{
	int64_t n = (ms - span->first.start_ms) / s->plan->every_ms;

	if (n < 0)
		return 0;
	return (size_t)n < span->n ? (size_t)n : span->n;
}

static int
do_span(struct stream *s, struct worker_mem *mem, struct plan_span *span, struct err *err)
{
	struct cell_data existing;
	size_t missing, n_old;
	int r;

	if (late_pay(s, span->first.start_ms, err))
		return -1;
	if (span->mode == PLAN_REPUBLISH)
		return republish(s, mem, span, err);
	n_old = cells_before(s, span, pull_makes_do_before(s));
	if (n_old) /* apart: the others must not share their fate */
		span->n = n_old;
	cell_data_init(&existing, span->first);
	r = count_missing(s, span, &existing, &missing, err);
	if (!r && missing)
		r = pull_through(s, mem, span->first, missing, true, err);
	else if (!r) {
		r = cell_through(s, &existing, true, err);
		if (!r)
			s->from_ms = span->first.end_ms;
	}
	cell_data_done(&existing);
	return r;
}

/* The sink that nothing goes without: the lake, or where there is none the last that is left. It is
 * opened when a run begins, and not again. NULL: it is open. */
static const struct outlet *
closed_sink(const struct stream *s)
{
	const struct outlet *o = NULL;

	if (s->env->dry_run)
		return NULL;
	if (stream_has_lake(s)) {
		o = stream_outlet(s, s->lake);
		return o->sink ? NULL : o;
	}
	for (size_t k = 0; k < s->plan->n_sinks; k++) {
		o = stream_outlet(s, k);
		if (o->sink)
			return NULL;
	}
	return o;
}

/* Before anything is asked for that nobody could be given. */
static int
check_sinks(const struct stream *s, struct err *err)
{
	const struct outlet *closed = closed_sink(s);

	if (!closed)
		return 0;
	*err = closed->why;
	return -1;
}

/* What to do about a span that failed: come back later, or leave the stream to the next run. */
static enum step
after_failure(struct stream *s, const struct err *err)
{
	int64_t now = clock_mono_ms(s->env->clock);
	int64_t wait = BACKOFF_MIN_MS << (s->tries < 5 ? s->tries : 5);

	if (commit_lost(s->commit)) {
		s->state = STREAM_SKIPPED;
		err_keep(&s->error, err);
		return STEP_END;
	}
	if (wait > BACKOFF_MAX_MS)
		wait = BACKOFF_MAX_MS;
	if (passes(err->kind) && !closed_sink(s) &&
	    now + wait < s->first_try_mono_ms + s->env->cell_deadline_ms &&
	    (!s->env->deadline_mono_ms || now + wait < s->env->deadline_mono_ms)) {
		s->tries++;
		s->trying = err->kind;
		s->not_before_mono_ms = now + wait;
		return STEP_LATER;
	}
	s->state = STREAM_FAILED;
	err_keep(&s->error, err);
	return STEP_END;
}

static int64_t
last_start_ms(const struct stream *s, const struct plan_span *span)
{
	return span->first.start_ms + (int64_t)(span->n - 1) * s->plan->every_ms;
}

static bool
next_span(const struct stream *s, enum plan_pass pass, struct plan_span *ret)
{
	if (!commit_next(s->commit, s->plan, s->js.region, pass, s->from_ms, span_max(s), ret))
		return false;
	while (s->held_ms && ret->n && last_start_ms(s, ret) >= s->held_ms)
		ret->n--;
	return ret->n > 0;
}

/* The pass is through, but for a sink that failed: if that may pass, it is tried again from the
 * lake a little later in the same run. */
static enum step
after_pass(struct stream *s)
{
	int64_t now = clock_mono_ms(s->env->clock);
	int64_t wait = BACKOFF_MIN_MS << s->sink_tries;

	s->first_try_mono_ms = 0; /* the next span's time begins when it does */
	if (s->gated && s->order != ORDER_LOST) {
		s->gated = s->parked = s->order == ORDER_WAITS;
		s->from_ms = 0;
		return s->parked ? STEP_LATER : STEP_MORE;
	}
	if (!(s->blocked & s->may_pass) || s->sink_tries >= SINK_TRIES ||
	    (s->env->deadline_mono_ms && now + wait >= s->env->deadline_mono_ms))
		return STEP_END;
	s->sink_tries++;
	s->trying = err_kept(&s->error)->kind;
	s->blocked &= ~s->may_pass;
	s->may_pass = 0;
	s->from_ms = 0;
	if (passes(err_kept(&s->error)->kind))
		err_forget(&s->error);
	s->not_before_mono_ms = now + wait;
	return STEP_LATER;
}

/* All that could be frozen is; sinks that need their cells in order will not get these now. */
static int
check_front(const struct stream *s, struct err *err)
{
	if (s->gated && s->order == ORDER_LOST)
		return err_set(err, ERR_DATA, "the cells in front of these are not done");
	return 0;
}

/* Nothing more comes of this stream in this run. */
static int
check_slices(const struct stream *s, struct err *err)
{
	if (s->foreign && atomic_load(s->foreign))
		return err_set(err, ERR_CONFLICT,
			       "stopped: cells of another definition are in the way");
	/* Without a lake nobody could be given what is pulled. */
	return stream_has_lake(s) ? 0 : check_front(s, err);
}

/* How many cells are to be looked at apart, once nothing of this stream is left for a pass. */
static size_t
apart_now(struct stream *s, enum plan_pass pass, int64_t *from_ms)
{
	if (pass != PLAN_REST && commit_has_rest(s->commit, s->plan, s->js.region))
		return 0;
	return late_apart(s, from_ms);
}

/* What is new goes first: it must not lack what a second asking, or a look at what is old, has
 * spent. True: there was something to do. */
static bool
do_next(struct stream *s, struct worker_mem *mem, enum plan_pass pass, int *r, struct err *err)
{
	struct plan_span span;
	struct cell again;
	int64_t from_ms;
	bool next = next_span(s, pass, &span), second = !next && second_due(s, &again);
	size_t apart = next || second ? 0 : apart_now(s, pass, &from_ms);

	if (!next && !second && !apart)
		return false;
	*r = check_sinks(s, err);
	if (!*r && next)
		*r = do_span(s, mem, &span, err);
	else if (!*r && second)
		*r = second_ask(s, mem, again, err);
	else if (!*r)
		*r = look_apart(s, mem, from_ms, apart, err);
	return true;
}

enum step
stream_step(struct stream *s, struct worker_mem *mem, enum plan_pass pass)
{
	struct err err = {0};
	int r;

	s->parked = false;
	s->trying = ERR_NONE;
	if (!s->first_try_mono_ms)
		s->first_try_mono_ms = clock_mono_ms(s->env->clock);
	r = clock_check(s->env->clock, &err);
	if (!r)
		r = check_slices(s, &err);
	if (!r)
		r = commit_tick(s->commit, &err);
	if (!r)
		r = stream_begin(s, &err);
	if (!r && !do_next(s, mem, pass, &r, &err)) {
		if (!check_front(s, &err))
			return after_pass(s);
		return after_failure(s, &err);
	}
	if (s->begun)
		late_keep(s);
	if (s->begun)
		stream_keep_calls(s);
	if (!r)
		r = commit_tick(s->commit, &err);
	if (r)
		return after_failure(s, &err);
	s->first_try_mono_ms = 0;
	s->tries = 0;
	return STEP_MORE;
}

bool
stream_complete(struct stream *s)
{
	struct plan_span span;
	struct cell again;

	return s->begun && !second_due(s, &again) &&
	       (!commit_next(s->commit, s->plan, s->js.region, PLAN_REST, 0, 1, &span) ||
		(s->held_ms && span.first.start_ms >= s->held_ms));
}
