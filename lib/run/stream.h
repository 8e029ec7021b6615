/*
 * One stream (a job, a tenant, a region), one span of cells at a time: pull, freeze, publish,
 * commit, as a straight line of blocking code.
 *
 * A stream is worked on by one thread at a time; the runner hands it from worker to worker between
 * spans. A backfill has a struct stream for each slice of its window, and these are worked on at
 * once: each freezes what it can, but a sink that needs its cells in order gets none of a slice
 * before the slice in front of it is done.
 */
#ifndef MUSTER_RUN_STREAM_H
#define MUSTER_RUN_STREAM_H

#include <stdatomic.h>

#include "model/seen.h"
#include "run/commit.h"
#include "run/config.h"
#include "base/gate.h"
#include "run/asked.h"
#include "run/job.h"
#include "run/outlet.h"
#include "run/plan.h"
#include "run/rejects.h"

#define STREAM_MAX_SINKS 64    /* bits in `blocked` */
#define PULL_MAX_CALLS	 20000 /* of one pull: an endless token chain ends here */

/* What all streams of a run share. */
struct run_env {
	const struct config *config;
	const char *account; /* of the base credentials */
	struct clock *clock;
	const char *run_id;
	int64_t now_ms; /* the run's present: cells are planned from it */
	bool now_fixed; /* by --now: it does not move while the run lasts */
	int64_t started_mono_ms;
	int64_t deadline_mono_ms; /* 0: none */
	int64_t cell_deadline_ms; /* how long one span is tried again before it is left to the next
				     run */
	bool dry_run;
	bool backfill;
	const char *into; /* folder in the sinks instead of the job's name; NULL: none */
	struct transport *transport;
	struct outlet *outlets; /* in the order of config->sinks */
	struct gate *pages;	/* large answers that are being read; NULL: no bound */
	struct gate *lines;	/* lines that are being written and compressed; NULL: no bound */
	struct ahead *ahead;	/* who asks for the next page while one is read; NULL: nobody */
};

/* What a worker keeps between spans. */
struct worker_mem {
	struct asked asked[2];
	struct asked *now, *next; /* one each: what is asked and read, and what may be asked ahead meanwhile */
	/* By the run's clock: from then on the worker is taken to wait for somebody who does not answer, and others may have its
	 * place. 0: it waits for nobody. Written by the worker, read by the runner. */
	_Atomic int64_t away_at_ms;
	int64_t polling_ms; /* since when it asks for the same again; 0: it does not */
};
void worker_mem_init(struct worker_mem *m);
void worker_mem_done(struct worker_mem *m);

struct stream_stats {
	uint64_t cells, empty_cells, adopted_cells;
	uint64_t earlier_cells; /* of a backfill's window, done by an earlier run of it */
	uint64_t due_cells;	/* to be pulled, as it stood when the stream was begun */
	uint64_t lines, samples, rejected_in; /* with the late ones */
	uint64_t late, revised;		      /* points that came, or changed, after their cell was frozen */
	uint64_t held;			      /* cells that wait for the rest of their series */
	uint64_t acked, already, too_old, rejected, bytes;
	uint64_t over_limit;	    /* samples of series beyond max_series */
	uint64_t series_over_limit; /* how many of a cell's series were, where they were most */
	uint64_t metrics_requested, bytes_scanned;
	uint64_t calls_billed, puts, ingested; /* the other units, see prices.h */
};
struct billed stream_billed(const struct stream_stats *st);

enum stream_state {
	STREAM_WAITING, /* has work, or may have */
	STREAM_DONE,	/* everything due is committed */
	STREAM_FAILED,	/* see error; what was committed is kept */
	STREAM_SKIPPED, /* another run is at it */
};

struct others;

/* How the slice in front of this one stands. */
enum stream_order {
	ORDER_FREE, /* done, or there is none */
	ORDER_WAITS,
	ORDER_LOST, /* it will not be done in this run */
};

/* While it still has cells of a length that `every` had before. */
struct stream_old {
	struct plan plan;
	struct job_common common;
};

/* There are as many as tenants and more: what only a few have is behind pointers. */
struct stream {
	const struct run_env *env;
	const struct job *job;
	const struct tenant *tenant;
	const struct plan *plan; /* of its job */
	const size_t *outlet_of; /* of its job: index into env->outlets for each sink of the job */
	size_t lake;		 /* the job's sink that freezes; n_sinks if none */
	struct job_stream js;
	const char *endpoint;	   /* of the job kind's service in this region */
	const char *endpoint_also; /* of its other one; NULL: it has none */
	struct cred_source *creds; /* borrowed from the tenant */
	struct commit *commit;	   /* NULL while nobody works on the tenant's job */

	struct stream_old *old; /* NULL: `every` is what it was */

	enum stream_state state;
	struct err_kept error; /* the first that matters */
	bool begun, is_new;
	enum plan_pass begun_in; /* what it knows of its checkpoint is of this pass */
	bool answered; /* what it asked of the tenant, once in this run */
	bool lost; /* its checkpoint was, says what is frozen */
	bool gap_said;
	bool most_said; /* that there are more series than max_series */
	int64_t from_ms;	   /* cells before this were dealt with in the present pass */
	uint64_t blocked;	   /* sinks that failed in this run, by bit */
	uint64_t may_pass;	   /* those of them whose failure may pass */
	bool made_do;		   /* with an incomplete answer, in the last pull */
	int64_t held_ms;	   /* cells from here on wait for the rest of their series; 0: none */
	struct seen seen;	   /* if seen_loaded; see late.h */
	bool seen_loaded;
	size_t lines_inside; /* of the gate for lines, what its present cell has */
	size_t lines_before; /* bytes of the last cell's lines; 0: none yet */
	int64_t reach_ms, first_ms;
	int64_t looked_ms; /* cells before it were asked for apart in this run */
	int64_t first_try_mono_ms; /* of the present span; 0: not tried yet */
	int64_t not_before_mono_ms;
	unsigned tries;
	enum err_kind trying; /* why it is to come again later; ERR_NONE: nothing went wrong */
	unsigned sink_tries; /* how often failing sinks were tried again */
	struct stream_stats stats;
	struct tally calls; /* to AWS, that its checkpoint does not have yet */
	struct commit_standing standing; /* at the end of its turn in this run */
	uint64_t samples_over;		 /* the limit of series, since the stream's beginning */
	uint64_t samples_acked;		 /* by all sinks, since the stream's beginning, */
	uint64_t samples_ingested;	 /* and by those that are paid for them */
	uint64_t *sink_bytes;		 /* by sink, as standing; NULL: not known */
	/* Of a backfill: */
	atomic_bool *foreign; /* shared by all of the tenant's job: cells of another definition are
				 in the way; NULL: nobody looks */
	enum stream_order order; /* as of when the stream was picked */
	struct others *others;	 /* who may have given cells to its sinks, too; see others.h */
	bool gated;		 /* has cells for a sink that waits for the slice in front */
	bool parked;		 /* and nothing else to do */
	/* The runner's: */
	bool open;    /* not yet through with the present pass */
	bool in_hand; /* some worker has it */
};

enum step {
	STEP_MORE,  /* come again */
	STEP_LATER, /* come again not before not_before_mono_ms */
	STEP_END,   /* nothing more in this pass, or failed: see state and error */
};
/* One span. Needs s->commit and s->creds. */
enum step stream_step(struct stream *s, struct worker_mem *mem, enum plan_pass pass);
/* Everything due is done for every sink, but for what is held. */
bool stream_complete(struct stream *s);

/* For its other parts: lib/run/stream_begin.c, stream_cell.c, stream_publish.c, late.c. */
/* Once in each pass, before its first span; harmless again. */
int stream_begin(struct stream *s, enum plan_pass pass, struct err *err);
struct outlet *stream_outlet(const struct stream *s, size_t k);
bool stream_has_lake(const struct stream *s);
struct publish stream_publish_args(const struct stream *s);
/* Some sink takes lines, and not only samples; `beside`: one that is not the lake. */
bool stream_wants_lines(const struct stream *s, bool beside);
/* The present cell leaves the gate for lines, if it is inside. */
void stream_leave_lines(struct stream *s);
/* The calls made so far, into the checkpoint and the statistics. */
void stream_keep_calls(struct stream *s);

/* The run's present, moved on by the time the run has lasted (unless fixed). */
int64_t run_now_ms(const struct run_env *env);

#endif
