/* The only place that moves a checkpoint; see commit.h. */
#include "run/commit.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "model/seen.h"

static void
lock(struct commit *c)
{
	(void)pthread_mutex_lock(&c->locked.mu);
}

static void
unlock(struct commit *c)
{
	(void)pthread_mutex_unlock(&c->locked.mu);
}

static int64_t
shared_now_ms(const struct commit *c)
{
	return clock_wall_ms(c->env->clock) + c->env->clock_offset_ms;
}

/* Compare-and-swap now. A lost race is remembered: nothing is ever written after it. */
static int
save_locked(struct commit *c, struct err *err)
{
	struct tally *tally;
	int r;

	if (c->env->dry_run)
		return 0;
	if (c->locked.lost)
		return err_set(err, ERR_CONFLICT, "another run has taken over the checkpoint");
	if (!c->locked.idle)
		c->locked.ckpt->lease.until_ms = shared_now_ms(c) + LEASE_MS;
	/* What is written cannot count its own writing. */
	tally = tally_use(NULL);
	r = ckpt_save(c->env->state, c->env->base, c->locked.ckpt, err);
	(void)tally_use(tally);
	if (r) {
		c->locked.lost = err->kind == ERR_CONFLICT;
		return err_wrap(err, "write the checkpoint");
	}
	c->locked.dirty = false;
	c->locked.saved_mono_ms = clock_mono_ms(c->env->clock);
	return 0;
}

/* True if somebody else may still be at work. A store with process locks has answered that already,
 * and what this run could not give up after its first pass is its own. One that ends later than any
 * that is taken now is of a clock that was wrong: it only saves work, so it is not waited for. */
static bool
lease_is_live(const struct commit *c, const struct ckpt_lease *l)
{
	int64_t now = shared_now_ms(c);

	return l->owner && strcmp(l->owner, c->env->run_id) != 0 && !c->process_lock &&
	       l->until_ms > now && !plan_is_ahead(l->until_ms - LEASE_MS, now);
}

/* It may have been written although it failed here; nothing was begun under it. What is written now
 * replaces only what was loaded, or that write: where it does not come about either, the lease ends
 * by itself. */
static void
lease_give_back(struct commit *c, int64_t begun_through_ms)
{
	struct ckpt_lease *l = &c->locked.ckpt->lease;
	struct err ignored = {0};

	l->begun_through_ms = begun_through_ms;
	if (!ckpt_set_str(&l->owner, NULL, &ignored))
		(void)save_locked(c, &ignored);
}

static int
lease_take(struct commit *c, int64_t due_end_ms, struct err *err)
{
	int64_t begun_before_ms = c->locked.ckpt->lease.begun_through_ms;
	struct ckpt_lease *l = &c->locked.ckpt->lease;

	/* A checkpoint that was mended is older than what was done: anything due may have been
	 * begun. */
	c->begun_before_ms = c->locked.ckpt->recovered && due_end_ms > l->begun_through_ms
				 ? due_end_ms
				 : l->begun_through_ms;
	if (c->env->dry_run)
		return 0;
	if (ckpt_set_str(&l->owner, c->env->run_id, err) ||
	    ckpt_set_str(&l->host, c->env->host, err))
		return -1;
	l->since_ms = shared_now_ms(c);
	if (due_end_ms > l->begun_through_ms)
		l->begun_through_ms = due_end_ms;
	if (!save_locked(c, err))
		return 0;
	if (err->kind == ERR_LOCAL && *c->locked.ckpt->tried[0])
		lease_give_back(c, begun_before_ms);
	return -1;
}

/* The checkpoint stays as it is in this run, whatever the stream's begin looks at. */
static bool
has_nothing_to_do(const struct commit *c, const struct commit_stream *v)
{
	const struct ckpt_stream *s = ckpt_stream_find(c->locked.ckpt, v->region);
	struct plan_span span;

	if (!s || s->every_ms != v->plan->every_ms)
		return false;
	for (size_t k = 0; k < v->plan->n_sinks; k++)
		if (!ckpt_sink_find(s, v->plan->sinks[k].name))
			return false;
	if (v->plan->again_ms &&
	    seen_waits(s->seen, v->definition,
		       v->plan->now_ms - v->plan->again_ms - v->plan->every_ms))
		return false;
	return !plan_next(v->plan, s, PLAN_REST, 0, 1, &span);
}

static bool
is_idle(const struct commit *c, const struct commit_stream *streams, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!has_nothing_to_do(c, &streams[i]))
			return false;
	return n > 0 && !c->locked.ckpt->recovered && !c->locked.ckpt->lost;
}

static enum commit_opened
open_loaded(struct commit *c, int64_t due_end_ms, const struct commit_stream *streams, size_t n,
	    struct err *err)
{
	const struct ckpt_lease *l = &c->locked.ckpt->lease;

	if (c->locked.ckpt->recovered)
		log_event(
		    LOG_WARN,
		    c->locked.ckpt->lost
			? "checkpoint and the one before damaged, going on from what is frozen"
			: "checkpoint damaged, going on from the one before",
		    LOG_S("tenant", c->tenant), LOG_S("job", c->job),
		    LOG_S("set_aside", c->locked.ckpt->aside),
		    LOG_S("damage", c->locked.ckpt->damage));
	if (lease_is_live(c, l)) {
		(void)err_set(err, ERR_CONFLICT, "the lease is held by run %s on %s", l->owner,
			      l->host ? l->host : "?");
		return COMMIT_HELD;
	}
	c->locked.idle = is_idle(c, streams, n);
	if (c->locked.idle) {
		c->begun_before_ms = l->begun_through_ms;
		return COMMIT_OPENED;
	}
	if ((c->env->dry_run ||
	     !ckpt_keep_prev(c->env->state, c->env->base, c->locked.ckpt, err)) &&
	    !lease_take(c, due_end_ms, err))
		return COMMIT_OPENED;
	if (err->kind == ERR_CONFLICT)
		return COMMIT_HELD;
	return err->kind == ERR_LOCAL ? COMMIT_BROKEN : COMMIT_FAILED;
}

static enum commit_opened
take_process_lock(struct commit *c, struct err *err)
{
	struct buf key = BUF_INIT(1024);
	int r;

	if (c->env->dry_run || !c->env->state->ops->lock)
		return COMMIT_OPENED;
	ckpt_key(&key, c->env->base, c->tenant, c->job, "");
	r = buf_check(&key, "checkpoint key", err);
	if (!r)
		r = c->env->state->ops->lock(c->env->state, buf_cstr(&key), &c->process_lock, err);
	buf_done(&key);
	if (!r)
		return COMMIT_OPENED;
	return err->kind == ERR_CONFLICT ? COMMIT_HELD : COMMIT_FAILED;
}

static void
commit_free(struct commit *c)
{
	if (c->process_lock)
		c->env->state->ops->unlock(c->env->state, c->process_lock);
	ckpt_free(c->locked.ckpt);
	(void)pthread_mutex_destroy(&c->locked.mu);
	free(c);
}

enum commit_opened
commit_open(const struct commit_env *env, const char *tenant, const char *job, const char *account,
	    int64_t due_end_ms, const struct commit_stream *streams, size_t n, struct commit **ret,
	    struct err *err)
{
	struct commit *c = calloc(1, sizeof(*c));
	enum commit_opened r;

	if (!c) {
		(void)err_nomem(err);
		return COMMIT_FAILED;
	}
	c->env = env;
	c->tenant = tenant;
	c->job = job;
	(void)pthread_mutex_init(&c->locked.mu, NULL);
	r = take_process_lock(c, err);
	if (r == COMMIT_OPENED &&
	    (ckpt_load(env->state, env->base, tenant, job, &c->locked.ckpt, err) ||
	     ckpt_set_str(&c->locked.ckpt->account, account, err)))
		r = COMMIT_FAILED;
	if (r == COMMIT_OPENED)
		r = open_loaded(c, due_end_ms, streams, n, err);
	if (r != COMMIT_OPENED) {
		commit_free(c);
		return r;
	}
	*ret = c;
	return COMMIT_OPENED;
}

/* What the next run has to know: up to where a sink may hold cells that the checkpoint does not
 * count as done. */
static int64_t
begun_through_locked(const struct commit *c)
{
	const struct ckpt *k = c->locked.ckpt;
	int64_t begun = 0;

	for (size_t i = 0; i < k->n_streams; i++)
		for (size_t j = 0; j < k->streams[i].n_sinks; j++) {
			const struct ckpt_sink *sink = &k->streams[i].sinks[j];
			int64_t tried = sink->tried_ms > c->begun_before_ms ? sink->tried_ms
									    : c->begun_before_ms;

			if (sink->cursor_ms < tried && begun < tried)
				begun = tried;
		}
	return begun;
}

int
commit_close(struct commit *c, struct err *err)
{
	struct ckpt_lease *l = &c->locked.ckpt->lease;
	int r = 0;

	lock(c);
	if (c->locked.idle) {
		if (c->locked.dirty)
			r = save_locked(c, err);
	} else if (!c->env->dry_run) {
		l->begun_through_ms = begun_through_locked(c);
		r = ckpt_set_str(&l->owner, NULL, err);
		if (!r)
			r = save_locked(c, err);
	}
	unlock(c);
	commit_free(c);
	return r;
}

/* Cells that will not be caught up: each sink that lacks them gets a gap on record, and moves on.
 */
static int
give_up_old(const struct plan *p, struct ckpt_stream *s, struct err *err)
{
	struct cell old;

	if (!plan_given_up(p, s, &old))
		return 0;
	for (size_t i = 0; i < p->n_sinks; i++) {
		struct ckpt_sink *k = ckpt_sink_find(s, p->sinks[i].name);

		if (k && k->cursor_ms < old.end_ms &&
		    ckpt_skip(s, k, old.end_ms, "max_catchup", p->now_ms, err))
			return -1;
	}
	return 0;
}

/* A sink that is new to the stream gets the first cell that no other has got, and all after it. */
static int64_t
new_sink_begins(const struct ckpt_stream *s)
{
	int64_t newest = s->first_ms;

	for (size_t i = 0; i < s->n_sinks; i++)
		if (s->sinks[i].cursor_ms > newest)
			newest = s->sinks[i].cursor_ms;
	return newest;
}

int
commit_begin_in(struct ckpt *ckpt, const struct plan *p, const char *region, int64_t first_ms,
		const char *definition, bool *is_new, struct err *err)
{
	struct ckpt_stream *s = ckpt_stream_find(ckpt, region);
	int64_t begins;

	*is_new = !s;
	if (!s)
		s = ckpt_stream_add(ckpt, region, first_ms, p->every_ms, err);
	if (!s)
		return -1;
	if (s->every_ms != p->every_ms)
		return err_set(err, ERR_USAGE,
			       "`every` was %lld s when this stream began and is %lld s now: give "
			       "the job a new name",
			       (long long)(s->every_ms / 1000), (long long)(p->every_ms / 1000));
	/* A backfill is given again with one sink more to fill that one. */
	begins = plan_has_window(p) ? s->first_ms : new_sink_begins(s);
	for (size_t k = 0; k < p->n_sinks; k++)
		if (!ckpt_sink_find(s, p->sinks[k].name) &&
		    !ckpt_sink_add(s, p->sinks[k].name, begins, err))
			return -1;
	return ckpt_set_str(&s->definition, definition, err) || give_up_old(p, s, err) ? -1 : 0;
}

static int
stream_begin_locked(struct commit *c, const struct plan *p, const char *region, int64_t first_ms,
		    const char *definition, bool *is_new, struct err *err)
{
	if (commit_begin_in(c->locked.ckpt, p, region, first_ms, definition, is_new, err))
		return -1;
	c->locked.first_unsaved = c->locked.first_unsaved || *is_new;
	if (!c->locked.first_unsaved)
		return 0;
	if (save_locked(c, err))
		return -1;
	c->locked.first_unsaved = false;
	return 0;
}

bool
commit_knows(struct commit *c, const char *region, bool *lost)
{
	bool r;

	lock(c);
	r = ckpt_stream_find(c->locked.ckpt, region) != NULL;
	*lost = !r && c->locked.ckpt->lost;
	unlock(c);
	return r;
}

int
commit_regrid_in(const struct plan *p, struct ckpt_stream *s, int64_t *old_every, int64_t *until,
		 struct err *err)
{
	const char **names = calloc(p->n_sinks + 1, sizeof(*names));
	int64_t old = s->every_ms;

	if (!names)
		return err_nomem(err);
	for (size_t k = 0; k < p->n_sinks; k++)
		names[k] = p->sinks[k].name;
	*until = ckpt_regrid(s, p->every_ms, names, p->n_sinks, p->now_ms, err);
	*old_every = *until > 0 ? old : 0;
	free(names);
	return *until < 0 ? -1 : 0;
}

int
commit_regrid(struct commit *c, const struct plan *p, const char *region, int64_t *old_every,
	      int64_t *until, struct err *err)
{
	struct ckpt_stream *s;
	int r = 0;

	*old_every = 0;
	lock(c);
	s = ckpt_stream_find(c->locked.ckpt, region);
	if (s && s->every_ms != p->every_ms) {
		r = commit_regrid_in(p, s, old_every, until, err);
		c->locked.first_unsaved = c->locked.first_unsaved || (!r && !*old_every);
	}
	unlock(c);
	return r;
}

int
commit_stream_begin(struct commit *c, const struct plan *p, const char *region, int64_t first_ms,
		    const char *definition, bool *is_new, struct err *err)
{
	int r;

	lock(c);
	r = stream_begin_locked(c, p, region, first_ms, definition, is_new, err);
	unlock(c);
	return r;
}

bool
commit_next(struct commit *c, const struct plan *p, const char *region, enum plan_pass pass,
	    int64_t from_ms, size_t max_cells, struct plan_span *ret)
{
	const struct ckpt_stream *s;
	bool r;

	lock(c);
	s = ckpt_stream_find(c->locked.ckpt, region);
	r = s && plan_next(p, s, pass, from_ms, max_cells, ret);
	unlock(c);
	return r;
}

bool
commit_has_rest(struct commit *c, const struct plan *p, const char *region)
{
	const struct ckpt_stream *s;
	bool r;

	lock(c);
	s = ckpt_stream_find(c->locked.ckpt, region);
	r = s && plan_has_rest(p, s);
	unlock(c);
	return r;
}

bool
commit_may_publish(struct commit *c, const struct plan *p, const char *region, size_t k,
		   struct cell cell)
{
	const struct ckpt_stream *s;
	bool r;

	lock(c);
	s = ckpt_stream_find(c->locked.ckpt, region);
	r = s && plan_may_publish(p, s, k, cell);
	unlock(c);
	return r;
}

bool
commit_left_over(struct commit *c, const struct plan *p, const char *region, struct cell cell)
{
	const struct ckpt_stream *s;
	bool r;

	lock(c);
	s = ckpt_stream_find(c->locked.ckpt, region);
	r = s && plan_left_over(p, s, cell);
	unlock(c);
	return r;
}

size_t
commit_window_left(struct commit *c, const struct plan *p, const char *region)
{
	const struct ckpt_stream *s;
	size_t r;

	lock(c);
	s = ckpt_stream_find(c->locked.ckpt, region);
	r = s ? plan_window_left(p, s) : plan_window_cells(p);
	unlock(c);
	return r;
}

static struct ckpt_sink *
find_sink_locked(struct commit *c, const char *region, const char *sink)
{
	struct ckpt_stream *s = ckpt_stream_find(c->locked.ckpt, region);

	return s ? ckpt_sink_find(s, sink) : NULL;
}

bool
commit_sink_done(struct commit *c, const char *region, const char *sink, struct cell cell)
{
	const struct ckpt_sink *k;
	bool r;

	lock(c);
	k = find_sink_locked(c, region, sink);
	r = k && ckpt_is_done(k, cell);
	unlock(c);
	return r;
}

/* The sink has a gap of its own there: a gap of all sinks lies within cells that were done. */
static bool
given_up(const struct ckpt_stream *s, const char *sink, struct cell cell)
{
	for (size_t i = 0; i < s->n_gaps; i++) {
		const struct ckpt_gap *g = &s->gaps[i];

		if (strcmp(g->sink, sink) == 0 && g->start_ms < cell.end_ms &&
		    g->end_ms > cell.start_ms)
			return true;
	}
	return false;
}

bool
commit_sink_has(struct commit *c, const char *region, const char *sink, struct cell cell)
{
	const struct ckpt_stream *s;
	const struct ckpt_sink *k;
	bool r;

	lock(c);
	s = ckpt_stream_find(c->locked.ckpt, region);
	k = s ? ckpt_sink_find(s, sink) : NULL;
	r = k && ckpt_is_done(k, cell) && !given_up(s, sink, cell);
	unlock(c);
	return r;
}

bool
commit_lost(struct commit *c)
{
	bool r;

	lock(c);
	r = c->locked.lost;
	unlock(c);
	return r;
}

int
commit_cell_frozen(struct commit *c, const char *region, const struct cell_data *d, struct err *err)
{
	struct ckpt_stream *s;
	int r = 0;

	lock(c);
	s = ckpt_stream_find(c->locked.ckpt, region);
	if (!s) {
		r = err_set(err, ERR_LOCAL, "no stream for region %s", region);
	} else {
		s->counters.cells++;
		s->counters.empty_cells += d->n_lines == 0 && !d->later;
		for (const struct cell_data *part = d; part; part = part->later)
			s->counters.rows += part->n_lines;
		s->counters.samples_frozen += d->n_samples;
		s->counters.rejected_in += d->n_rejected;
		c->locked.dirty = true;
	}
	unlock(c);
	return r;
}

/* What a sink did not take of a cell, as a gap of its own; NULL: nothing, or it is in the lake. */
static const char *
not_taken(const struct commit *c, const struct published *r)
{
	if (r->too_old)
		return r->too_old_why ? r->too_old_why : PLAN_TOO_OLD;
	return r->rejected && *c->env->base ? PLAN_REFUSED : NULL;
}

/* The gap first: a cell that is done is never looked at again. */
static int
cell_sent_locked(struct commit *c, const char *region, const char *sink, struct cell cell,
		 const struct published *r, int64_t now_ms, struct err *err)
{
	struct ckpt_stream *s = ckpt_stream_find(c->locked.ckpt, region);
	struct ckpt_sink *k = s ? ckpt_sink_find(s, sink) : NULL;
	const char *why = not_taken(c, r);

	if (!k)
		return err_set(err, ERR_LOCAL, "no cursor for sink %s", sink);
	if ((why && ckpt_gap_add(s, sink, cell, why, now_ms, err)) || ckpt_done(k, cell, err))
		return -1;
	k->acked += r->acked;
	k->already += r->already;
	k->too_old += r->too_old;
	k->rejected += r->rejected;
	k->over_limit += r->over_limit;
	k->bytes += r->bytes;
	c->locked.dirty = true;
	return 0;
}

int
commit_cell_sent(struct commit *c, const char *region, const char *sink, struct cell cell,
		 const struct published *r, int64_t now_ms, struct err *err)
{
	int rc;

	lock(c);
	rc = cell_sent_locked(c, region, sink, cell, r, now_ms, err);
	unlock(c);
	return rc;
}

void
commit_cell_tried(struct commit *c, const char *region, const char *sink, struct cell cell)
{
	struct ckpt_sink *k;

	lock(c);
	k = find_sink_locked(c, region, sink);
	if (k && cell.end_ms > k->tried_ms)
		k->tried_ms = cell.end_ms;
	unlock(c);
}

bool
commit_maybe_sent(struct commit *c, const char *region, const char *sink, struct cell cell)
{
	const struct ckpt_sink *k;
	bool r;

	lock(c);
	k = find_sink_locked(c, region, sink);
	r = cell.end_ms <= c->begun_before_ms || (k && cell.end_ms <= k->tried_ms);
	unlock(c);
	return r;
}

void
commit_billed(struct commit *c, const char *region, uint64_t metrics, uint64_t bytes_scanned)
{
	struct ckpt_stream *s;

	lock(c);
	s = ckpt_stream_find(c->locked.ckpt, region);
	if (s && (metrics || bytes_scanned)) {
		s->counters.metrics_requested += metrics;
		s->counters.bytes_scanned += bytes_scanned;
		c->locked.dirty = true;
	}
	unlock(c);
}

void
commit_calls(struct commit *c, const char *region, const struct tally *calls)
{
	struct ckpt_stream *s;

	lock(c);
	s = ckpt_stream_find(c->locked.ckpt, region);
	if (s && calls->n) {
		tally_add_all(&s->calls, calls);
		c->locked.dirty = true;
	}
	unlock(c);
}

json_t *
commit_memo(struct commit *c, const char *region)
{
	struct ckpt_stream *s;
	json_t *memo = NULL;

	lock(c);
	s = ckpt_stream_find(c->locked.ckpt, region);
	if (s && s->memo)
		memo = json_incref(s->memo);
	unlock(c);
	return memo;
}

void
commit_memo_set(struct commit *c, const char *region, json_t *memo)
{
	struct ckpt_stream *s;

	lock(c);
	s = ckpt_stream_find(c->locked.ckpt, region);
	if (s) {
		json_decref(s->memo);
		s->memo = memo;
		c->locked.dirty = true;
	} else {
		json_decref(memo);
	}
	unlock(c);
}

json_t *
commit_seen(struct commit *c, const char *region)
{
	struct ckpt_stream *s;
	json_t *seen;

	lock(c);
	s = ckpt_stream_find(c->locked.ckpt, region);
	seen = s && s->seen ? json_deep_copy(s->seen) : NULL;
	unlock(c);
	return seen;
}

void
commit_seen_set(struct commit *c, const char *region, json_t *seen)
{
	struct ckpt_stream *s;

	lock(c);
	s = ckpt_stream_find(c->locked.ckpt, region);
	if (s && !json_equal(s->seen, seen)) {
		json_decref(s->seen);
		s->seen = seen;
		c->locked.dirty = true;
	} else {
		json_decref(seen);
	}
	unlock(c);
}

int
commit_late_frozen(struct commit *c, const char *region, const struct cell_data *late,
		   uint64_t n_late, uint64_t n_revised, struct err *err)
{
	struct ckpt_stream *s;

	lock(c);
	s = ckpt_stream_find(c->locked.ckpt, region);
	if (s) {
		s->counters.rows += late->n_lines;
		s->counters.samples_frozen += late->n_samples;
		s->counters.late += n_late;
		s->counters.revised += n_revised;
		c->locked.dirty = true;
	}
	unlock(c);
	return s ? 0 : err_set(err, ERR_LOCAL, "no stream for region %s", region);
}

void
commit_late_sent(struct commit *c, const char *region, const char *sink, const struct published *r)
{
	struct ckpt_sink *k;

	lock(c);
	k = find_sink_locked(c, region, sink);
	if (k) {
		k->acked += r->acked;
		k->already += r->already;
		k->too_old += r->too_old;
		k->rejected += r->rejected;
		k->over_limit += r->over_limit;
		k->bytes += r->bytes;
		c->locked.dirty = true;
	}
	unlock(c);
}

int64_t
commit_first_ms(struct commit *c, const char *region)
{
	const struct ckpt_stream *s;
	int64_t ms;

	lock(c);
	s = ckpt_stream_find(c->locked.ckpt, region);
	ms = s ? s->first_ms : 0;
	unlock(c);
	return ms;
}

int64_t
commit_sink_newest(struct commit *c, const char *region, const char *sink)
{
	const struct ckpt_sink *k;
	int64_t ms = 0;

	lock(c);
	k = find_sink_locked(c, region, sink);
	if (k)
		ms = k->beyond.n ? k->beyond.v[k->beyond.n - 1].end_ms : k->cursor_ms;
	unlock(c);
	return ms;
}

uint64_t
commit_memos(struct commit *c, const char *except_region,
	     uint64_t (*fn)(const json_t *memo, int64_t now_ms), int64_t now_ms)
{
	const struct ckpt *k = c->locked.ckpt;
	uint64_t sum = 0;

	lock(c);
	for (size_t i = 0; i < k->n_streams; i++)
		if (k->streams[i].memo && strcmp(k->streams[i].region, except_region) != 0)
			sum += fn(k->streams[i].memo, now_ms);
	unlock(c);
	return sum;
}

int
commit_gap(struct commit *c, const char *region, const char *sink, struct cell range,
	   const char *reason, int64_t now_ms, struct err *err)
{
	struct ckpt_stream *s;
	int r;

	lock(c);
	s = ckpt_stream_find(c->locked.ckpt, region);
	r = s ? ckpt_gap_add(s, sink, range, reason, now_ms, err)
	      : err_set(err, ERR_LOCAL, "no stream for region %s", region);
	c->locked.dirty = true;
	unlock(c);
	return r;
}

int
commit_flush(struct commit *c, struct err *err)
{
	int r;

	lock(c);
	r = save_locked(c, err);
	unlock(c);
	return r;
}

int
commit_stream_end(struct commit *c, const char *region, const char *error, int64_t now_ms,
		  struct err *err)
{
	struct ckpt_stream *s;
	int r = 0;

	lock(c);
	s = ckpt_stream_find(c->locked.ckpt, region);
	if (s && (error || !c->locked.idle)) {
		s->failures = error ? s->failures + 1 : 0;
		s->counters.failed_runs += error != NULL;
		if (!error)
			s->last_success_ms = now_ms;
		r = ckpt_set_str(&s->last_error, error, err);
		c->locked.dirty = true;
	}
	unlock(c);
	return r;
}

uint64_t
commit_failures(struct commit *c, const char *region, const char *words)
{
	const struct ckpt_stream *s;
	uint64_t n = 0;

	lock(c);
	s = ckpt_stream_find(c->locked.ckpt, region);
	if (s && s->last_error && strstr(s->last_error, words))
		n = s->failures;
	unlock(c);
	return n;
}

void
commit_standing(struct commit *c, const struct plan *p, const char *region,
		struct commit_standing *ret)
{
	const struct ckpt_stream *s;

	*ret = (struct commit_standing){0};
	lock(c);
	s = ckpt_stream_find(c->locked.ckpt, region);
	if (s) {
		ret->watermark_ms = plan_watermark(p, s);
		ret->counters = s->counters;
		ret->gaps = s->n_gaps;
		for (size_t i = 0; i < s->n_gaps; i++)
			ret->gap_ms += s->gaps[i].end_ms - s->gaps[i].start_ms;
		tally_add_all(&ret->calls, &s->calls);
	}
	unlock(c);
}

struct sink_totals
commit_sink_totals(struct commit *c, const char *region, const char *sink)
{
	struct sink_totals ret = {0};
	const struct ckpt_sink *k;

	lock(c);
	k = find_sink_locked(c, region, sink);
	if (k)
		ret = (struct sink_totals){k->acked, k->over_limit, k->bytes};
	unlock(c);
	return ret;
}

int
commit_tick(struct commit *c, struct err *err)
{
	int64_t age;
	int r = 0;

	lock(c);
	age = clock_mono_ms(c->env->clock) - c->locked.saved_mono_ms;
	if (c->locked.lost || (c->locked.dirty && age >= COMMIT_EVERY_MS) ||
	    (!c->locked.idle && age >= LEASE_RENEW_MS))
		r = save_locked(c, err);
	unlock(c);
	return r;
}
