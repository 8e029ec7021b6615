/*
 * Workers and turns; see runner.h.
 *
 * One mutex guards the schedule (who is open, whose turn it is); it is held only to pick or to put
 * back a stream, never during I/O. The fields of a stream belong to the worker that picked it,
 * until it is put back.
 */
#include "run/runner.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "aws/sts.h"
#include "base/crew.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "run/late.h"

/* Tenants open beside those that keep the workers busy: each holds its checkpoint in memory. */
#define WINDOW_SPARE	  8
#define WINDOW_SLOW	  128 /* and beside those that only wait, or are tried again */
#define SPARE_WORKERS	  32  /* in the place of others who only wait */
#define TICK_MS		  200
#define TRIM_ABOVE_KIB	  (36L << 10) /* of the 48 MiB that a run may take at its peak */
#define DEADLINE_GRACE_MS 5000	      /* for what is in flight when the run's deadline comes */

struct worker {
	struct sched *sc;
	pthread_t thread;
	struct worker_mem mem;
	struct tenant_run *on; /* whose stream it has; NULL: none */
};

struct sched {
	struct runner *r;
	pthread_mutex_t mu;
	pthread_cond_t changed; /* work has come, or has ended */
	enum plan_pass pass;
	struct tenant_run **open; /* the window */
	size_t n_open;
	struct worker *workers; /* room for r->workers and the spare ones */
	size_t n_workers;	/* started in this pass */
	int short_of_workers;	/* the number of the error that kept others from being started */
	size_t next_tenant;	/* to be opened */
	size_t turn;
	size_t busy; /* streams picked */
	size_t tenants_done;
	bool said_short;
	bool stop;    /* pick nothing any more */
	bool central; /* the state store failed */
	struct err why;
	struct stream_stats sum;
	size_t streams_failed;
	size_t streams, streams_seen; /* all; those of which it is known what is due */
	struct trouble trouble;
	size_t workers_left; /* not ended yet */
};

/* ---- one tenant's life ---- */

static bool
wants_pass(const struct stream *s, enum plan_pass pass)
{
	return s->state == STREAM_WAITING && (pass == PLAN_FRESH || s->begun);
}

static int
tenant_creds(const struct runner *r, struct tenant_run *t, struct err *err)
{
	char session[65];
	struct buf arn = BUF_INIT(2048);
	struct cred_source *sts = NULL;
	struct assume_role role = {
	    .endpoint = r->sts_endpoint,
	    .region = r->env->config->region,
	    .external_id = t->tenant->external_id,
	    .session_name = session,
	    .source_identity = session,
	    .expect_account = t->tenant->account,
	};
	int rc;

	t->owns_creds = t->tenant->assume;
	t->creds = r->base;
	if (!t->tenant->assume)
		return 0;
	sts_session_name(session, t->tenant->id, r->env->run_id);
	rc = sts_role_arn(t->tenant->role, t->tenant->account, r->env->config->region, &arn, err);
	role.role_arn = buf_cstr(&arn);
	if (!rc)
		rc = cred_sts_new(r->env->transport, r->base, &role, &sts, err);
	if (!rc) {
		rc = cred_cache_new(sts, fnv1a64(sv_of(t->tenant->id)), r->env->clock, &t->creds,
				    err);
		if (rc)
			cred_source_free(sts);
	}
	if (rc)
		t->owns_creds = false;
	buf_done(&arn);
	return rc;
}

static void
tenant_close(struct tenant_run *t)
{
	if (t->owns_creds)
		cred_source_free(t->creds);
	t->creds = NULL;
	t->owns_creds = false;
}

static void
fail_stream(struct stream *s, const struct err *err)
{
	s->state = STREAM_FAILED;
	err_keep(&s->error, err);
}

static void
failed_locked(struct sched *sc, struct tenant_run *t, const struct err *err)
{
	trouble_failed(&sc->trouble, &t->trouble, t->tenant->id, err);
}

static void log_settled(const struct stream *s);

/* Hands the job's streams of this pass their credentials, or the reason why there are none. */
static void
job_open(const struct sched *sc, struct tenant_job *tj, const struct err *failed)
{
	tj->open_streams = 0;
	tj->through = false;
	for (size_t i = 0; i < tj->n_streams; i++) {
		struct stream *s = &tj->streams[i];

		if (!wants_pass(s, sc->pass))
			continue;
		if (failed) {
			fail_stream(s, failed);
			log_settled(s);
			continue;
		}
		s->creds = tj->owner->creds;
		s->open = true;
		s->from_ms = 0;
		tj->open_streams++;
	}
	tj->through = tj->open_streams == 0;
}

static bool
tenant_wants_pass(const struct tenant_run *t, enum plan_pass pass)
{
	for (size_t j = 0; j < t->n_jobs; j++)
		for (size_t i = 0; i < t->jobs[j].n_streams; i++)
			if (wants_pass(&t->jobs[j].streams[i], pass))
				return true;
	return false;
}

/* Ready a tenant for this pass; false: it has nothing to do in it. */
static bool
tenant_open(struct sched *sc, struct tenant_run *t)
{
	struct err err = {0};
	bool failed;

	if (!tenant_wants_pass(t, sc->pass))
		return false;
	failed = tenant_creds(sc->r, t, &err) != 0;
	if (failed)
		failed_locked(sc, t, &err);
	t->open_jobs = 0;
	for (size_t j = 0; j < t->n_jobs; j++) {
		job_open(sc, &t->jobs[j], failed ? &err : NULL);
		t->open_jobs += t->jobs[j].open_streams > 0;
	}
	if (!t->open_jobs)
		tenant_close(t);
	return t->open_jobs > 0;
}

/* ---- the schedule (sc->mu held) ---- */

/* It has a stream, and waits for somebody who does not answer. */
static bool
away(const struct worker *w, int64_t now)
{
	int64_t at = w->on ? atomic_load(&w->mem.away_at_ms) : 0;

	return at && now >= at;
}

static size_t
count_away_locked(const struct sched *sc)
{
	int64_t now = clock_mono_ms(sc->r->env->clock);
	size_t n = 0;

	for (size_t i = 0; i < sc->n_workers; i++)
		n += away(&sc->workers[i], now);
	return n;
}

/* Those that are kept waiting take no room from the others, up to a bound. */
static size_t
window_locked(const struct sched *sc)
{
	size_t slow = count_away_locked(sc);

	for (size_t i = 0; i < sc->n_open; i++)
		slow += sc->open[i]->trouble.waiting > 0;
	return sc->r->workers + WINDOW_SPARE + (slow < WINDOW_SLOW ? slow : WINDOW_SLOW);
}

static void
fill_window_locked(struct sched *sc)
{
	size_t window = window_locked(sc);

	while (!sc->stop && sc->n_open < window && sc->next_tenant < sc->r->n_tenants) {
		struct tenant_run *t = &sc->r->tenants[sc->next_tenant++];

		if (tenant_open(sc, t))
			sc->open[sc->n_open++] = t;
		else
			sc->tenants_done++;
	}
}

/* How the slice in front stands: nobody has it when it is through. */
static enum stream_order
order_of(const struct tenant_job *tj, const struct stream *s)
{
	if (!tj->after)
		return ORDER_FREE;
	if (!tj->after->through)
		return ORDER_WAITS;
	return tj->after->streams[s - tj->streams].state == STREAM_DONE ? ORDER_FREE : ORDER_LOST;
}

/* A stream in hand belongs to its worker: nothing else in it may be looked at. */
static bool
stream_is_open(const struct sched *sc, const struct tenant_job *tj, const struct stream *s)
{
	return !s->in_hand && s->open && wants_pass(s, sc->pass) &&
	       !(s->parked && order_of(tj, s) == ORDER_WAITS);
}

/* A stream of this tenant that may run now, `first`: that is not in trouble; *soonest gets the time
 * of the next one that may not yet. */
static struct stream *
pick_of_tenant(const struct sched *sc, struct tenant_run *t, bool first, int64_t now,
	       int64_t *soonest, struct tenant_job **ret_job)
{
	size_t total = 0;
	size_t at = 0;

	for (size_t j = 0; j < t->n_jobs; j++)
		total += t->jobs[j].n_streams;
	for (size_t n = 0; n < total; n++) {
		struct tenant_job *tj = t->jobs;
		struct stream *s;

		at = (t->turn + n) % total;
		for (; at >= tj->n_streams; tj++)
			at -= tj->n_streams;
		s = &tj->streams[at];
		if (!stream_is_open(sc, tj, s) || (first && s->trying != ERR_NONE))
			continue;
		if (s->not_before_mono_ms > now) {
			if (!*soonest || s->not_before_mono_ms < *soonest)
				*soonest = s->not_before_mono_ms;
			continue;
		}
		if (!sc->r->env->backfill)
			t->turn = (t->turn + n + 1) % total;
		s->order = order_of(tj, s);
		*ret_job = tj;
		return s;
	}
	return NULL;
}

/* Of a tenant that was not heard of yet one stream at a time finds out whether it answers; so does
 * one of a tenant in trouble that did before. */
static bool
comes_first(const struct tenant_run *t)
{
	if (t->trouble.waiting)
		return t->answered && !t->in_flight;
	return t->answered || !t->in_flight;
}

static struct stream *
pick_among_locked(struct sched *sc, bool first, int64_t now, int64_t *soonest,
		  struct tenant_job **ret_job)
{
	for (size_t n = 0; n < sc->n_open; n++) {
		struct tenant_run *t = sc->open[(sc->turn + n) % sc->n_open];
		struct stream *s;

		if (t->in_flight >= sc->r->tenant_workers || (first && !comes_first(t)))
			continue;
		s = pick_of_tenant(sc, t, first, now, soonest, ret_job);
		if (!s)
			continue;
		sc->turn = (sc->turn + n + 1) % sc->n_open;
		s->in_hand = true;
		t->in_flight++;
		sc->busy++;
		return s;
	}
	return NULL;
}

/* A worker that only waits leaves its place to another. While all the spare ones have such a place,
 * what may be kept waiting, too, is begun only where nobody else has work. */
static struct stream *
pick_locked(struct sched *sc, int64_t *soonest, struct tenant_job **ret_job)
{
	int64_t now = clock_mono_ms(sc->r->env->clock);
	size_t waiting = count_away_locked(sc);
	struct stream *s;

	*soonest = 0;
	if (sc->busy >= sc->r->workers + waiting)
		return NULL;
	s = pick_among_locked(sc, true, now, soonest, ret_job);
	if (!s && (waiting < SPARE_WORKERS || sc->busy == waiting))
		s = pick_among_locked(sc, false, now, soonest, ret_job);
	return s;
}

static void
window_remove_locked(struct sched *sc, struct tenant_run *t)
{
	for (size_t i = 0; i < sc->n_open; i++)
		if (sc->open[i] == t) {
			sc->open[i] = sc->open[--sc->n_open];
			break;
		}
	sc->tenants_done++;
}

/* The state store is gone: begin nothing more. */
static void
central_failure(struct sched *sc, const struct err *err)
{
	(void)pthread_mutex_lock(&sc->mu);
	if (!sc->central)
		sc->why = *err;
	sc->central = true;
	sc->stop = true;
	(void)pthread_mutex_unlock(&sc->mu);
}

/* ---- what a worker does with a stream ---- */

static void
log_stream(enum log_level level, const char *event, const struct stream *s, const struct err *err)
{
	log_event(level, event, LOG_S("tenant", s->tenant->id), LOG_S("job", s->job->name),
		  LOG_S("region", s->js.region), LOG_E(err));
}

static enum commit_opened
open_commit(const struct sched *sc, const struct stream *s, struct tenant_job *tj, struct err *err)
{
	struct commit_stream *v = calloc(tj->n_streams, sizeof(*v));
	enum commit_opened opened;

	if (!v) {
		(void)err_nomem(err);
		return COMMIT_FAILED;
	}
	for (size_t i = 0; i < tj->n_streams; i++)
		v[i] = (struct commit_stream){tj->streams[i].plan, tj->streams[i].js.region,
					      tj->job->definition};
	opened = commit_open(sc->r->commit_env, s->tenant->id, tj->doc ? tj->doc : tj->job->name,
			     s->tenant->account, plan_due_end(s->plan), v, tj->n_streams,
			     &tj->commit, err);
	free(v);
	return opened;
}

/* Opens the job's checkpoint with the first of its streams; the others find it, or find why it
 * cannot be used. */
static bool
ensure_commit(struct sched *sc, struct stream *s, struct tenant_job *tj)
{
	enum commit_opened opened;
	struct err err = {0};
	bool ok;

	(void)pthread_mutex_lock(&tj->mu);
	if (!tj->commit && tj->refused == STREAM_WAITING) {
		opened = open_commit(sc, s, tj, &err);
		if (opened == COMMIT_HELD)
			tj->refused = STREAM_SKIPPED;
		if (opened == COMMIT_FAILED || opened == COMMIT_BROKEN)
			tj->refused = STREAM_FAILED;
		if (opened == COMMIT_BROKEN)
			central_failure(sc, &err);
		err_keep(&tj->why, &err);
	}
	ok = tj->commit != NULL;
	s->commit = tj->commit;
	if (!ok) {
		s->state = tj->refused;
		err_keep(&s->error, err_kept(&tj->why));
	}
	(void)pthread_mutex_unlock(&tj->mu);
	return ok;
}

/* For the report and the series about the run: after this the checkpoint may be closed. */
static void
take_standing(struct stream *s)
{
	tally_done(&s->standing.calls);
	commit_standing(s->commit, s->plan, s->js.region, &s->standing);
	if (!s->env->config->run.self_metrics) /* nobody asks, and there may be many streams */
		tally_done(&s->standing.calls);
	if (!s->sink_bytes)
		s->sink_bytes = calloc(s->plan->n_sinks, sizeof(*s->sink_bytes));
	s->samples_acked = s->samples_over = s->samples_ingested = 0;
	for (size_t k = 0; s->sink_bytes && k < s->plan->n_sinks; k++) {
		const struct sink *sink = s->env->outlets[s->outlet_of[k]].sink;
		struct sink_totals had =
		    commit_sink_totals(s->commit, s->js.region, s->plan->sinks[k].name);

		s->sink_bytes[k] = had.bytes;
		s->samples_over += had.over_limit;
		if (sink && sink->ops->samples)
			s->samples_acked += had.acked;
		if (sink_bills_samples(stream_outlet(s, k)->conf))
			s->samples_ingested += had.acked;
	}
}

/* The stream's last word in this run, into its checkpoint and the log. */
static void
settle(struct stream *s)
{
	const char *error;
	struct err err = {0};

	if (s->state == STREAM_WAITING && !s->env->dry_run && !stream_complete(s)) {
		s->state = STREAM_FAILED;
		if (err_kept(&s->error)->kind == ERR_NONE) {
			(void)err_set(&err, ERR_DATA,
				      "some due cells are not done yet; the next run carries on");
			err_keep(&s->error, &err);
			err_clear(&err);
		}
	}
	if (s->state == STREAM_WAITING)
		s->state = STREAM_DONE;
	error = s->state == STREAM_FAILED ? err_kept(&s->error)->msg : NULL;
	if (s->commit && s->begun && s->state != STREAM_SKIPPED &&
	    commit_stream_end(s->commit, s->js.region, error, s->env->now_ms, &err) &&
	    s->state == STREAM_DONE)
		fail_stream(s, &err);
	if (s->commit && s->begun)
		take_standing(s);
	if (!s->env->now_fixed && plan_is_ahead(s->standing.watermark_ms, s->env->now_ms))
		log_stream(LOG_WARN, "ahead of the present: nothing is due", s, NULL);
	late_done(s);
}

/* What an operator can do about it. */
static const char *
advice(enum err_kind kind)
{
	static const char *const words[] = {
	    [ERR_USAGE] = "mend the configuration",
	    [ERR_AUTH] = "check the role's trust policy and permissions; the next run tries again",
	    [ERR_THROTTLED] =
		"ask for a higher quota or lower run.workers; the next run carries on",
	    [ERR_TRANSIENT] = "nothing yet: the next run carries on",
	    [ERR_EXPIRED] = "check the machine's clock and the role's session length",
	    [ERR_SKEW] = "set the machine's clock",
	    [ERR_REJECTED] = "check the job's configuration against the service's words",
	    [ERR_DATA] = "the next run asks again; if it stays, report it with the request id",
	    [ERR_NOTFOUND] = "check names and URLs in the configuration",
	    [ERR_LOCAL] = "check this machine's disk, memory and permissions",
	    [ERR_CANCELLED] = "nothing: the next run carries on",
	};

	return (size_t)kind < sizeof(words) / sizeof(words[0]) ? words[kind] : NULL;
}

/* A time of a slice's window, or nothing: of its end, how far it could be done. */
static const char *
window_time(const struct stream *s, int64_t ms, char out[TIME_TEXT_MAX])
{
	if (!plan_has_window(s->plan))
		return NULL;
	time_format_s(ms, out);
	return out;
}

static void
log_settled(const struct stream *s)
{
	char from[TIME_TEXT_MAX];
	char to[TIME_TEXT_MAX];
	const struct log_field slice[] = {
	    LOG_S("from", window_time(s, s->plan->window.start_ms, from)),
	    LOG_S("to", window_time(s, plan_due_end(s->plan), to)),
	};

	if (s->state == STREAM_FAILED)
		log_event(LOG_ERROR, "stream failed", LOG_S("tenant", s->tenant->id),
			  LOG_S("job", s->job->name), LOG_S("region", s->js.region), slice[0],
			  slice[1], LOG_E(err_kept(&s->error)),
			  LOG_S("advice", advice(err_kept(&s->error)->kind)));
	else if (s->state == STREAM_SKIPPED)
		log_stream(LOG_WARN, "stream skipped", s, err_kept(&s->error));
	else
		log_event(LOG_INFO, "stream done", LOG_S("tenant", s->tenant->id),
			  LOG_S("job", s->job->name), LOG_S("region", s->js.region), slice[0],
			  slice[1], LOG_I("cells", s->stats.cells), LOG_I("rows", s->stats.lines),
			  LOG_I("samples", s->stats.samples), LOG_I("late", s->stats.late));
}

/* One turn of one stream. True: it is through with this pass. */
static bool
take_turn(struct sched *sc, struct stream *s, struct tenant_job *tj, struct worker_mem *mem)
{
	if (ensure_commit(sc, s, tj)) {
		struct tally *before = tally_use(&s->calls);
		enum step step = stream_step(s, mem, sc->pass);

		(void)tally_use(before);
		if (step != STEP_END)
			return false;
		if (s->state == STREAM_WAITING && sc->pass == PLAN_FRESH && !s->env->dry_run &&
		    commit_has_rest(s->commit, s->plan, s->js.region))
			return true;
	}
	settle(s);
	log_settled(s);
	return true;
}

/* What streams have done counts only with the checkpoint that says so. Returns how many failed by
 * that. */
static size_t
not_written(struct tenant_job *tj, const struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < tj->n_streams; i++) {
		struct stream *s = &tj->streams[i];

		if (s->state != STREAM_DONE)
			continue;
		fail_stream(s, err);
		if (err->kind == ERR_CONFLICT)
			s->state = STREAM_SKIPPED;
		n += s->state == STREAM_FAILED;
	}
	return n;
}

/* The checkpoint's last write, by whoever finished its last stream. */
static void
close_commit(struct sched *sc, struct tenant_job *tj)
{
	struct err err = {0};
	size_t failed;

	if (tj->commit && commit_close(tj->commit, &err)) {
		log_event(err.kind == ERR_CONFLICT ? LOG_WARN : LOG_ERROR, "checkpoint not written",
			  LOG_S("tenant", tj->owner->tenant->id), LOG_S("job", tj->job->name),
			  LOG_E(&err), LOG_S("advice", advice(err.kind)));
		if (err.kind == ERR_LOCAL)
			central_failure(sc, &err);
		failed = not_written(tj, &err);
		(void)pthread_mutex_lock(&sc->mu);
		sc->streams_failed += failed;
		if (failed)
			failed_locked(sc, tj->owner, &err);
		(void)pthread_mutex_unlock(&sc->mu);
	}
	tj->commit = NULL;
}

static void
add_stats(struct stream_stats *sum, const struct stream_stats *now,
	  const struct stream_stats *before)
{
	sum->cells += now->cells - before->cells;
	sum->earlier_cells += now->earlier_cells - before->earlier_cells;
	sum->due_cells += now->due_cells - before->due_cells;
	sum->lines += now->lines - before->lines;
	sum->samples += now->samples - before->samples;
}

/* Back into the schedule. True: this was the last stream of its job in this pass. */
static bool
put_back_locked(struct sched *sc, struct stream *s, struct tenant_job *tj, bool through)
{
	s->in_hand = false;
	tj->owner->in_flight--;
	sc->busy--;
	if (!through)
		return false;
	s->creds = NULL;
	s->open = false;
	sc->streams_failed += s->state == STREAM_FAILED;
	return --tj->open_streams == 0;
}

static void
job_through_locked(struct sched *sc, struct tenant_job *tj)
{
	struct tenant_run *t = tj->owner;

	tj->through = true;
	if (--t->open_jobs)
		return;
	tenant_close(t);
	window_remove_locked(sc, t);
	fill_window_locked(sc);
}

static void
work_on(struct worker *w, struct stream *s, struct tenant_job *tj)
{
	struct sched *sc = w->sc;
	struct stream_stats before = s->stats;
	enum err_kind trying = s->trying;
	bool unseen = !s->begun;
	bool through = take_turn(sc, s, tj, &w->mem);
	bool last;

	(void)pthread_mutex_lock(&sc->mu);
	w->on = NULL;
	tj->owner->answered |= s->answered && s->trying == ERR_NONE && s->state != STREAM_FAILED;
	add_stats(&sc->sum, &s->stats, &before);
	sc->streams_seen += unseen && (s->begun || through);
	trouble_waits(&sc->trouble, &tj->owner->trouble, s->tenant->id, trying, s->trying);
	if (through && s->state == STREAM_FAILED)
		failed_locked(sc, tj->owner, err_kept(&s->error));
	last = put_back_locked(sc, s, tj, through);
	(void)pthread_mutex_unlock(&sc->mu);
	if (last)
		close_commit(sc, tj);
	(void)pthread_mutex_lock(&sc->mu);
	if (last)
		job_through_locked(sc, tj);
	(void)pthread_cond_broadcast(&sc->changed);
	(void)pthread_mutex_unlock(&sc->mu);
}

/* ---- threads ---- */

static void
wait_locked(struct sched *sc, int64_t ms)
{
	struct timespec at;

	(void)clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += ms % 1000 * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	(void)pthread_cond_timedwait(&sc->changed, &sc->mu, &at);
}

static bool
stopping(const struct sched *sc)
{
	return sc->stop || clock_cancelled(sc->r->env->clock);
}

/* Nobody works, so only time brings work: by the run's clock, which need not be this machine's. */
static void
idle_locked(struct sched *sc, int64_t until_mono_ms)
{
	struct clock *clock = sc->r->env->clock;
	int64_t ms = until_mono_ms - clock_mono_ms(clock);
	struct err ignored = {0};

	(void)pthread_mutex_unlock(&sc->mu);
	(void)clock_sleep(clock, ms < TICK_MS ? ms : TICK_MS, &ignored);
	(void)pthread_mutex_lock(&sc->mu);
}

/* The next stream for this worker, waiting for one if need be. NULL: the pass is over, or stopped.
 */
static struct stream *
next_stream(struct worker *w, struct tenant_job **tj)
{
	struct sched *sc = w->sc;
	struct stream *s = NULL;
	int64_t soonest;

	(void)pthread_mutex_lock(&sc->mu);
	while (!stopping(sc)) {
		s = pick_locked(sc, &soonest, tj);
		if (s || (!sc->n_open && sc->next_tenant >= sc->r->n_tenants))
			break;
		if (!sc->busy && soonest)
			idle_locked(sc, soonest);
		else
			wait_locked(sc, TICK_MS);
	}
	w->on = s ? (*tj)->owner : NULL;
	(void)pthread_mutex_unlock(&sc->mu);
	return s;
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;
	struct sched *sc = w->sc;
	struct tenant_job *tj = NULL;
	struct stream *s;

	worker_mem_init(&w->mem);
	while ((s = next_stream(w, &tj)))
		work_on(w, s, tj);
	worker_mem_done(&w->mem);
	(void)pthread_mutex_lock(&sc->mu);
	sc->workers_left--;
	(void)pthread_cond_broadcast(&sc->changed);
	(void)pthread_mutex_unlock(&sc->mu);
	return NULL;
}

/* Up to so many, or as many as there can be. */
static void
start_workers_locked(struct sched *sc, size_t up_to)
{
	while (sc->n_workers < up_to) {
		struct worker *w = &sc->workers[sc->n_workers];

		*w = (struct worker){.sc = sc};
		sc->short_of_workers = crew_start(&w->thread, worker_main, w);
		if (sc->short_of_workers)
			return;
		sc->n_workers++;
		sc->workers_left++;
	}
}

/* So that there are others to work on, and as many who do as were asked for; where there can be no
 * more, it goes on with those there are. */
static void
replace_waiting_locked(struct sched *sc)
{
	size_t waiting = count_away_locked(sc);

	fill_window_locked(sc);
	if (!waiting || !sc->n_open)
		return;
	start_workers_locked(sc,
			     sc->r->workers + (waiting < SPARE_WORKERS ? waiting : SPARE_WORKERS));
}

/* Gives back what is free in the midst of heaps, which free() never does. It costs a small run a
 * twentieth of its CPU, and there it brings nothing. */
static void
trim(void)
{
	struct rusage used;

	if (!getrusage(RUSAGE_SELF, &used) && used.ru_maxrss > TRIM_ABOVE_KIB)
		(void)malloc_trim(0);
}

/* The run goes on with the workers there are, and says so once. */
static void
say_short(struct sched *sc)
{
	struct err err = {0};

	if (!sc->short_of_workers || sc->said_short)
		return;
	sc->said_short = true;
	(void)err_sys(&err, sc->short_of_workers, "no other worker thread could be started");
	log_event(LOG_WARN, "fewer workers than asked for", LOG_I("workers", sc->n_workers),
		  LOG_E(&err));
	err_clear(&err);
}

/* The main thread's part: progress, the deadline, memory. */
static void
wait_for_workers(struct sched *sc)
{
	const struct run_env *env = sc->r->env;

	(void)pthread_mutex_lock(&sc->mu);
	while (sc->workers_left) {
		wait_locked(sc, TICK_MS);
		if (!stopping(sc))
			replace_waiting_locked(sc);
		if (env->deadline_mono_ms && clock_mono_ms(env->clock) >= env->deadline_mono_ms)
			sc->stop = true;
		if (env->deadline_mono_ms &&
		    clock_mono_ms(env->clock) >= env->deadline_mono_ms + DEADLINE_GRACE_MS)
			clock_cancel(env->clock, CLOCK_DEADLINE);
		(void)pthread_mutex_unlock(&sc->mu);
		say_short(sc);
		trim();
		if (sc->r->tick)
			sc->r->tick(sc->r, sc->r->tick_arg);
		(void)pthread_mutex_lock(&sc->mu);
	}
	(void)pthread_mutex_unlock(&sc->mu);
}

static int
run_pass(struct sched *sc, struct err *err)
{
	(void)pthread_mutex_lock(&sc->mu);
	sc->next_tenant = 0;
	sc->tenants_done = 0;
	sc->n_workers = 0;
	sc->short_of_workers = 0;
	fill_window_locked(sc);
	if (sc->n_open)
		start_workers_locked(sc, sc->r->workers);
	(void)pthread_mutex_unlock(&sc->mu);
	if (!sc->n_workers)
		return sc->short_of_workers
			   ? err_sys(err, sc->short_of_workers, "no worker thread could be started")
			   : 0;
	say_short(sc);
	wait_for_workers(sc);
	for (size_t i = 0; i < sc->n_workers; i++)
		(void)pthread_join(sc->workers[i].thread, NULL);
	return 0;
}

/* ---- the end ---- */

static void
unfinished(const struct sched *sc, struct stream *s)
{
	int why = clock_cancelled(sc->r->env->clock);
	struct err err;

	if (sc->central)
		err = sc->why;
	else if (why && why != CLOCK_DEADLINE)
		(void)err_set(&err, ERR_CANCELLED,
			      "interrupted by a signal; the next run carries on");
	else
		(void)err_set(&err, ERR_CANCELLED,
			      "the run's deadline came first; the next run carries on");
	fail_stream(s, &err);
}

/* Whatever the workers left open: after a stop there are streams nobody picked, and leases to give
 * up. */
static void
close_tenant(struct sched *sc, struct tenant_run *t)
{
	for (size_t j = 0; j < t->n_jobs; j++) {
		struct tenant_job *tj = &t->jobs[j];

		for (size_t i = 0; i < tj->n_streams; i++) {
			struct stream *s = &tj->streams[i];

			if (s->state == STREAM_WAITING) {
				unfinished(sc, s);
				s->commit = tj->commit;
				if (tj->commit)
					settle(s);
			}
			late_done(s);
		}
		close_commit(sc, tj);
	}
	tenant_close(t);
}

static int
sched_init(struct sched *sc, struct runner *r, struct err *err)
{
	pthread_condattr_t attr;

	*sc = (struct sched){.r = r};
	sc->open = calloc(r->workers + WINDOW_SPARE + WINDOW_SLOW, sizeof(struct tenant_run *));
	sc->workers = calloc(r->workers + SPARE_WORKERS, sizeof(*sc->workers));
	if (!sc->open || !sc->workers) {
		free(sc->open);
		free(sc->workers);
		return err_nomem(err);
	}
	(void)pthread_mutex_init(&sc->mu, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&sc->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	return 0;
}

static void
sched_done(struct sched *sc)
{
	(void)pthread_cond_destroy(&sc->changed);
	(void)pthread_mutex_destroy(&sc->mu);
	free(sc->open);
	free(sc->workers);
}

int
runner_run(struct runner *r, struct err *err)
{
	struct sched sc;
	int rc = 0;

	if (sched_init(&sc, r, err))
		return -1;
	for (size_t i = 0; i < r->n_tenants; i++)
		for (size_t j = 0; j < r->tenants[i].n_jobs; j++)
			sc.streams += r->tenants[i].jobs[j].n_streams;
	r->sched = &sc;
	for (sc.pass = PLAN_FRESH; !rc && sc.pass < PLAN_PASSES && !stopping(&sc); sc.pass++)
		rc = run_pass(&sc, err);
	if (rc) {
		sc.central = true;
		sc.why = *err;
	}
	for (size_t i = 0; i < r->n_tenants; i++)
		close_tenant(&sc, &r->tenants[i]);
	if (sc.central) {
		*err = sc.why;
		rc = -1;
	}
	r->sched = NULL;
	sched_done(&sc);
	return rc;
}

/* Where some streams have not been looked at yet, they are taken to be like the others. */
static void
cells_due_locked(const struct sched *sc, struct runner_progress *ret)
{
	uint64_t due = sc->sum.due_cells;

	ret->cells_earlier = sc->sum.earlier_cells;
	ret->cells_all = sc->r->window_cells;
	if (sc->r->env->backfill || !sc->streams_seen)
		return;
	ret->cells_guessed = sc->streams_seen < sc->streams;
	ret->cells_all = due * sc->streams / sc->streams_seen;
}

void
runner_progress(const struct runner *r, struct runner_progress *ret)
{
	struct sched *sc = r->sched;

	*ret = (struct runner_progress){.tenants = r->n_tenants};
	if (!sc)
		return;
	(void)pthread_mutex_lock(&sc->mu);
	ret->tenants_done = sc->tenants_done;
	ret->streams_failed = sc->streams_failed;
	ret->busy = sc->busy;
	ret->cells = sc->sum.cells;
	ret->lines = sc->sum.lines;
	ret->samples = sc->sum.samples;
	ret->trouble = sc->trouble;
	cells_due_locked(sc, ret);
	(void)pthread_mutex_unlock(&sc->mu);
}
