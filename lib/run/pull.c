/* The loop that no job kind has; see pull.h. */
#include "run/pull.h"

#include <stdio.h>

#include "base/log.h"
#include "base/timefmt.h"

#define LEAVE_MAX_CALLS 100
#define LEAVE_GRACE_MS	3000 /* of the 5 s in which a run has to end after a signal */
#define POLL_MS		30000 /* that it may take to have an answer which is asked for again and again */

static int64_t
span_deadline(const struct stream *s)
{
	int64_t at = s->first_try_mono_ms + s->env->cell_deadline_ms;

	if (s->env->deadline_mono_ms && s->env->deadline_mono_ms < at)
		at = s->env->deadline_mono_ms;
	return at;
}

/* Wait as the kind asks (polling, asking again), but not beyond the span's time. */
static int
wait_for_call(const struct stream *s, struct pull *p, int64_t wait_ms, struct err *err)
{
	char missing[256] = "";

	if (clock_mono_ms(s->env->clock) + wait_ms <= span_deadline(s))
		return wait_ms ? clock_sleep(s->env->clock, wait_ms, err) : 0;
	if (s->job->kind->missing)
		s->job->kind->missing(p, missing, sizeof(missing));
	return err_set(err, ERR_DATA, "the answer is still incomplete after %lld s: %s",
		       (long long)((clock_mono_ms(s->env->clock) - s->first_try_mono_ms) / 1000),
		       missing);
}

/* From when on a worker that asks now only waits. */
static int64_t
away_at(const struct stream *s, const struct worker_mem *mem)
{
	int64_t at = clock_mono_ms(s->env->clock) + ASKED_ANSWER_MS;

	if (mem->polling_ms && mem->polling_ms + POLL_MS < at)
		return mem->polling_ms + POLL_MS;
	return at;
}

/* Asks, or takes what was asked ahead. */
static int
get_answer(struct stream *s, struct worker_mem *mem, int64_t deadline_mono_ms, struct err *err)
{
	int r;

	atomic_store(&mem->away_at_ms, away_at(s, mem));
	if (mem->now->ahead)
		r = asked_take(mem->now, s, err);
	else
		r = asked_send(mem->now, s, deadline_mono_ms, err);
	atomic_store(&mem->away_at_ms, 0);
	return r;
}

/* A refusal that the kind has an answer to (an expired token, another protocol, no free slot) is
 * none. */
static int
refused(const struct stream *s, struct worker_mem *mem, struct pull *p, struct err *err)
{
	struct err own = *err;

	if (mem->now->resp.status == 0 ||
	    (err->kind != ERR_REJECTED && err->kind != ERR_NOTFOUND && err->kind != ERR_DATA &&
	     err->kind != ERR_THROTTLED && !(err->kind == ERR_AUTH && mem->now->call.optional)))
		return -1;
	if (s->job->kind->reply(p, &mem->now->resp, &own))
		return -1;
	err_clear(err);
	return 0;
}

/* What is billed each time is not sent again before it is known whether it was done. */
static int
lost(const struct stream *s, const struct worker_mem *mem, struct pull *p, struct err *err)
{
	if (!mem->now->call.once || (err->kind != ERR_TRANSIENT && err->kind != ERR_DATA) ||
	    s->job->kind->lost(p))
		return -1;
	err_clear(err);
	return 0;
}

static void
forget_ahead(struct stream *s, struct worker_mem *mem)
{
	if (!mem->next->ahead)
		return;
	atomic_store(&mem->away_at_ms, away_at(s, mem));
	asked_drop(mem->next, s);
	atomic_store(&mem->away_at_ms, 0);
}

/* What follows the answer that is about to be read is on its way meanwhile. */
static void
look_ahead(struct stream *s, struct worker_mem *mem, struct pull *p)
{
	struct asked *next = mem->next;

	if (!s->env->ahead || !s->job->kind->following || next->ahead ||
	    mem->now->took_ms < ASKED_WORTH_MS)
		return;
	aws_call_reset(&next->call);
	if (s->job->kind->following(p, &mem->now->resp, &next->call))
		asked_ahead(next, mem->now, s, span_deadline(s));
}

/* A reply that makes no sense is asked for once more: a proxy's page or a cut-off body passes. */
static int
ask(struct stream *s, struct worker_mem *mem, struct pull *p, struct err *err)
{
	for (int attempt = 0;; attempt++) {
		if (get_answer(s, mem, span_deadline(s), err))
			return lost(s, mem, p, err) ? refused(s, mem, p, err) : 0;
		look_ahead(s, mem, p);
		if (!s->job->kind->reply(p, &mem->now->resp, err)) {
			s->answered = true;
			return 0;
		}
		if (!lost(s, mem, p, err))
			return 0;
		if (err->kind != ERR_DATA || attempt > 0)
			return err_wrap(err, "%s", mem->now->call.operation);
	}
}

/* What was asked ahead, if it is what is asked now; else it is forgotten. */
static void
take_up(struct stream *s, struct worker_mem *mem)
{
	struct asked *ahead = mem->next;

	if (!asked_same(ahead, &mem->now->call)) {
		forget_ahead(s, mem);
		return;
	}
	mem->next = mem->now;
	mem->now = ahead;
}

static int
exchange(struct stream *s, struct worker_mem *mem, struct pull *p, struct err *err)
{
	int r;

	take_up(s, mem);
	if (!mem->now->ahead && asked_enter(mem->now, s, err))
		return -1;
	r = ask(s, mem, p, err);
	asked_leave(mem->now, s);
	return r;
}

static void
keep_memo(struct stream *s, struct pull *p)
{
	json_t *memo = s->job->kind->memo ? s->job->kind->memo(p) : NULL;

	if (memo)
		commit_memo_set(s->commit, s->js.region, memo);
}

static uint64_t
scanned(const struct stream *s, const struct pull *p)
{
	uint64_t metrics = 0, bytes = 0;

	if (s->job->kind->billed)
		s->job->kind->billed(p, &metrics, &bytes);
	return bytes;
}

/* A scan is on the bill, and what it belongs to no longer to be paid for, in one and the same memo:
 * the other regions see it at once. */
static int
keep_urgent(struct stream *s, struct pull *p, uint64_t *kept, struct err *err)
{
	bool urgent = s->job->kind->memo_urgent && s->job->kind->memo_urgent(p);

	if (urgent || scanned(s, p) != *kept)
		keep_memo(s, p);
	*kept = scanned(s, p);
	if (urgent)
		stream_keep_calls(s);
	return urgent ? commit_flush(s->commit, err) : 0;
}

static void
tell_scanned(struct stream *s, struct pull *p)
{
	if (s->job->kind->scanned_elsewhere)
		s->job->kind->scanned_elsewhere(
		    p,
		    commit_memos(s->commit, s->js.region, s->job->kind->scanned, s->env->now_ms));
}

/* A wait for what was asked before; who goes on with that for long only waits, too. */
static int
wait_and_ask(struct stream *s, struct worker_mem *mem, struct pull *p, struct err *err)
{
	int64_t wait_ms = mem->now->call.wait_ms;
	int r;

	if (!wait_ms)
		mem->polling_ms = 0;
	else if (!mem->polling_ms)
		mem->polling_ms = clock_mono_ms(s->env->clock);
	atomic_store(&mem->away_at_ms, mem->polling_ms ? mem->polling_ms + POLL_MS : 0);
	r = wait_for_call(s, p, wait_ms, err);
	atomic_store(&mem->away_at_ms, 0);
	return r ? r : exchange(s, mem, p, err);
}

static int
pull_loop(struct stream *s, struct worker_mem *mem, struct pull *p, struct err *err)
{
	struct err ignored;
	uint64_t kept = 0;

	mem->polling_ms = 0;
	for (unsigned calls = 0; calls < PULL_MAX_CALLS; calls++) {
		int more;

		if (clock_check(s->env->clock, err))
			return -1;
		aws_call_reset(&mem->now->call);
		tell_scanned(s, p);
		more = s->job->kind->next(p, &mem->now->call, err);
		if (more <= 0)
			return more;
		if (wait_and_ask(s, mem, p, err))
			return -1;
		if (keep_urgent(s, p, &kept, err))
			return -1;
		stream_keep_calls(s);
		/* A lost lease shows up at the next commit; here it is only kept alive. */
		(void)commit_tick(s->commit, &ignored);
	}
	return err_set(err, ERR_DATA,
		       "more than %u calls for one span: the service's paging does not end",
		       PULL_MAX_CALLS);
}

/* The span is tried again later, or by the next run, and finds what it left. */
static bool
comes_back(enum err_kind kind)
{
	return kind == ERR_TRANSIENT || kind == ERR_THROTTLED || kind == ERR_EXPIRED ||
	       kind == ERR_SKEW;
}

/* Its time is up, not its work: the next run finds in the memo what still runs over there. */
static bool
out_of_time(const struct stream *s, const struct worker_mem *mem)
{
	return clock_cancelled(s->env->clock) == CLOCK_DEADLINE ||
	       clock_mono_ms(s->env->clock) + mem->now->call.wait_ms > span_deadline(s);
}

/* Best effort: whatever still runs over there for a pull that is given up is told to end, also by a
 * run that was told to end itself. */
static void
leave(struct stream *s, struct worker_mem *mem, struct pull *p)
{
	int64_t until = clock_mono_ms(s->env->clock) + LEAVE_GRACE_MS;
	struct err ignored;

	for (int i = 0; s->job->kind->leave && i < LEAVE_MAX_CALLS; i++) {
		aws_call_reset(&mem->now->call);
		if (s->job->kind->leave(p, &mem->now->call) <= 0)
			return;
		mem->now->call.grace_ms = LEAVE_GRACE_MS;
		(void)get_answer(s, mem, until, &ignored);
	}
}

/* The first of a stream's in a run; all of them are in its checkpoint. */
static void
say_gap(const struct stream *s, const struct job_gap *g)
{
	char from[TIME_TEXT_MAX];

	time_format_ms(g->from_ms, from);
	log_event(LOG_WARN, "gap on record", LOG_S("tenant", s->tenant->id),
		  LOG_S("job", s->job->name), LOG_S("region", s->js.region), LOG_S("from", from),
		  LOG_S("reason", g->reason));
}

/* Of new cells: those before first_ms are done, and are only looked at again. The gaps are on
 * record before anything of it is frozen: whoever finds a cell frozen takes it for whole. */
static int
record_gaps(struct stream *s, const struct pull *p, int64_t first_ms, struct err *err)
{
	const struct job_gap *gaps = NULL;
	size_t n = s->job->kind->gaps ? s->job->kind->gaps(p, &gaps) : 0;
	bool any = s->made_do;

	for (size_t i = 0; s->env->backfill && i < n; i++)
		if (gaps[i].passes)
			return err_set(err, ERR_DATA, "%s; given again on another day it goes on",
				       gaps[i].reason);
	for (size_t i = 0; i < n; i++) {
		struct cell gap = {gaps[i].from_ms > first_ms ? gaps[i].from_ms : first_ms,
				   gaps[i].to_ms};

		if (gap.start_ms >= gap.end_ms)
			continue;
		if (commit_gap(s->commit, s->js.region, "", gap, gaps[i].reason, s->env->now_ms,
			       err))
			return -1;
		if (!s->gap_said)
			say_gap(s, &gaps[i]);
		s->gap_said = true;
		any = true;
	}
	return any ? commit_flush(s->commit, err) : 0;
}

int64_t
pull_first_new_ms(const struct pull_span *span)
{
	return span->again < span->n ? span->cells[span->again].start_ms
				     : span->cells[span->n - 1].end_ms;
}

static void
count_bill(struct stream *s, const struct pull *p)
{
	uint64_t metrics = 0;
	uint64_t bytes = 0;

	if (s->job->kind->billed)
		s->job->kind->billed(p, &metrics, &bytes);
	s->stats.metrics_requested += metrics;
	s->stats.bytes_scanned += bytes;
	commit_billed(s->commit, s->js.region, metrics, bytes);
}

/* Receivers close after an hour (Amazon's): what is later than this has still time to get there. */
#define MAKE_DO_AFTER_MS   (40 * 60000LL)
#define MAKE_DO_AFTER_RUNS 3

int64_t
pull_makes_do_before(const struct stream *s)
{
	if (!s->job->kind->make_do || s->env->dry_run ||
	    commit_failures(s->commit, s->js.region, PULL_INCOMPLETE) < MAKE_DO_AFTER_RUNS)
		return 0;
	return s->env->now_ms - MAKE_DO_AFTER_MS;
}

/* The time is up, the answer is not whole, and it has been so for long. */
static int
make_do(struct stream *s, struct pull *p, const struct pull_span *span, struct err *err)
{
	struct cell gap = {pull_first_new_ms(span), span->cells[span->n - 1].end_ms};
	char reason[200];

	if (gap.start_ms == gap.end_ms || err->kind != ERR_DATA ||
	    !strstr(err->msg, PULL_INCOMPLETE) || gap.end_ms > pull_makes_do_before(s) ||
	    !s->job->kind->make_do(p))
		return -1;
	(void)snprintf(reason, sizeof(reason), "taken as it was: %s",
		       strstr(err->msg, PULL_INCOMPLETE) + strlen(PULL_INCOMPLETE));
	log_event(LOG_WARN, "cells taken without what cannot be had",
		  LOG_S("tenant", s->tenant->id), LOG_S("job", s->job->name),
		  LOG_S("region", s->js.region), LOG_E(err));
	err_clear(err);
	s->made_do = true;
	return commit_gap(s->commit, s->js.region, "", gap, reason, s->env->now_ms, err);
}

/* A few at a time write lines, until these are compressed: so that workers who wait for a processor
 * or the network have none in memory. */
static int
enter_lines(struct stream *s, const struct cell_data *d, struct err *err)
{
	size_t most = CELL_MEMORY_MAX, bytes = s->lines_before ? s->lines_before : most;

	if (d->rows_only || !s->env->lines || bytes <= GATE_FEW_BYTES)
		return 0;
	if (gate_enter(s->env->lines, bytes < most ? bytes : most, s->env->clock, err))
		return -1;
	s->lines_inside = bytes < most ? bytes : most;
	return 0;
}

static int
harvest(struct stream *s, struct pull *p, struct cell_data *d, struct err *err)
{
	if (enter_lines(s, d, err))
		return -1;
	if (!d->rows_only && s->lines_before <= CELL_MEMORY_MAX) /* cells are alike */
		(void)buf_reserve(&d->ndjson, s->lines_before + s->lines_before / 8);
	if (s->job->kind->harvest(p, d, 1, err) || cell_lines_settle(d, err))
		return -1;
	if (!d->rows_only)
		s->lines_before = (size_t)cell_lines_size(d);
	if (d->spool || !d->n_lines || !stream_has_lake(s))
		stream_leave_lines(s);
	return 0;
}

/* One cell of a long span after the other: all of them together would be many times the pull. */
static int
hand_over(struct stream *s, struct pull *p, const struct pull_span *span, cell_taker *take,
	  struct err *err)
{
	struct cell_data d;
	int r = 0;

	for (size_t i = 0; !r && i < span->n; i++) {
		cell_data_init(&d, span->cells[i]);
		d.rows_only = i < span->again || !stream_wants_lines(s, false);
		r = harvest(s, p, &d, err);
		if (!r)
			r = take(s, span, &d, err);
		cell_data_done(&d);
		stream_leave_lines(s);
	}
	return r < 0 ? -1 : 0;
}

int
pull_cells(struct stream *s, struct worker_mem *mem, const struct pull_span *span, cell_taker *take,
	   struct err *err)
{
	const struct job_kind *kind = s->job->kind;
	json_t *memo = commit_memo(s->commit, s->js.region);
	struct pull *p = NULL;
	int r;

	s->made_do = false;
	r = (span->second ? kind->open_again : kind->open)(&s->js, memo, span->cells, span->n,
							   s->env->now_ms, &p, err);
	if (!r) {
		r = pull_loop(s, mem, p, err);
		forget_ahead(s, mem);
		if (r)
			r = make_do(s, p, span, err);
		if (r && !comes_back(err->kind) && !out_of_time(s, mem))
			leave(s, mem, p);
		keep_memo(s, p);
		count_bill(s, p);
	}
	if (!r)
		r = record_gaps(s, p, pull_first_new_ms(span), err);
	if (!r)
		r = hand_over(s, p, span, take, err);
	if (p)
		kind->close(p);
	json_decref(memo);
	return r;
}
