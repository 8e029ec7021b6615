/*
 * Pull, freeze, publish, commit; see stream.h. What becomes of one cell is in stream_cell.c, how
 * it gets to its sinks in stream_publish.c; here is which cells come next, and what to do when that
 * fails.
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
#include "run/late.h"
#include "run/pull.h"
#include "run/second.h"
#include "run/stream_cell.h"
#include "run/stream_publish.h"

#define BACKOFF_MIN_MS 1000
#define BACKOFF_MAX_MS 20000
#define SINK_TRIES                                                                                 \
	3 /* more of one stream's cells to a failing sink in one run: after 1, 2 and 4 s */

void
worker_mem_init(struct worker_mem *m)
{
	asked_init(&m->asked[0], &m->away_at_ms);
	asked_init(&m->asked[1], &m->away_at_ms);
	m->now = &m->asked[0];
	m->next = &m->asked[1];
}

void
worker_mem_done(struct worker_mem *m)
{
	asked_done(&m->asked[0]);
	asked_done(&m->asked[1]);
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
			if (!stream_adopt(s, d, err))
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
	if (stream_cell_through(s, d, false, err))
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
	r = stream_adopt(s, &d, err);
	missing = r && err->kind == ERR_NOTFOUND;
	if (!r)
		r = stream_publish_all(s, &d, false, err);
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
		if (!stream_has_nothing_for(s, k, cell) ||
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
		r = stream_cell_through(s, &existing, true, err);
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
	if (stream_may_pass(err->kind) && !closed_sink(s) &&
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
	if (stream_may_pass(err_kept(&s->error)->kind))
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

/* The time in which others had their turn is none of the span's. */
static void
begin_turn(struct stream *s)
{
	int64_t now = clock_mono_ms(s->env->clock);

	if (!s->first_try_mono_ms)
		s->first_try_mono_ms = now;
	else if (s->trying != ERR_NONE && now > s->not_before_mono_ms)
		s->first_try_mono_ms += now - s->not_before_mono_ms;
	s->trying = ERR_NONE;
}

enum step
stream_step(struct stream *s, struct worker_mem *mem, enum plan_pass pass)
{
	struct err err = {0};
	int r;

	s->parked = false;
	begin_turn(s);
	r = clock_check(s->env->clock, &err);
	if (!r)
		r = check_slices(s, &err);
	if (!r)
		r = commit_tick(s->commit, &err);
	if (!r)
		r = stream_begin(s, pass, &err);
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
