/*
 * The runner: N workers over the streams of all tenants, fair between tenants.
 *
 * Tenants are opened a window at a time (so that memory does not grow with their number) and served
 * in turn, at most `tenant_workers` streams of one tenant at once, and one until it is known that it
 * answers. A stream whose calls fail is put back and tried when no other has work. A worker that
 * waits for long leaves its place to another: N work, and up to 32 may wait beside them. Two passes:
 * first what receivers still take, then the rest (plan.h).
 *
 * The slices of a backfill are jobs of the same tenant, in the order in which they should come: an
 * earlier one is always picked first, so that few are open at a time.
 */
#ifndef MUSTER_RUN_RUNNER_H
#define MUSTER_RUN_RUNNER_H

#include "run/stream.h"
#include "run/trouble.h"

struct sched;
struct tenant_run;
struct tenant_job {
	struct tenant_run *owner;
	const struct job *job;
	const char *doc; /* the checkpoint's name; NULL: the job's */
	/* Of a slice of a backfill: the slice in front of it, with the same streams; NULL: none. */
	struct tenant_job *after;
	atomic_bool foreign; /* what streams of all slices share, in the first */
	bool through;	     /* with the present pass, checkpoint written */
	pthread_mutex_t mu; /* guards the opening of `commit` */
	struct commit *commit;
	enum stream_state refused; /* STREAM_FAILED or STREAM_SKIPPED when the checkpoint could not
				      be opened, because of `why` */
	struct err_kept why;
	struct stream *streams;
	size_t n_streams;
	size_t open_streams; /* not yet through with the present pass */
};
struct tenant_run {
	const struct tenant *tenant;
	struct cred_source *creds; /* while the tenant is open */
	bool owns_creds;
	struct tenant_job *jobs;
	size_t n_jobs;
	size_t open_jobs;
	size_t in_flight;
	size_t turn; /* where the next look for a stream begins */
	bool answered; /* a stream of it got on in this run */
	struct trouble_of trouble;
};

struct runner {
	const struct run_env *env;
	const struct commit_env *commit_env;
	struct cred_source *base;
	const char *sts_endpoint;
	struct tenant_run *tenants;
	size_t n_tenants;
	size_t n_refused; /* further tenants that failed before the run: never worked on */
	size_t workers, tenant_workers;
	uint64_t window_cells; /* of all streams of a backfill; 0: not known */
	/* Called by the waiting main thread several times a second. */
	void (*tick)(const struct runner *r, void *arg);
	void *tick_arg;
	struct sched *sched; /* while it runs */
};

/* How far it is; taken under the runner's lock. */
struct runner_progress {
	size_t tenants, tenants_done, streams_failed;
	size_t busy; /* streams that a worker has */
	uint64_t cells, lines, samples;
	uint64_t cells_all;	/* that were due when the run began; of a backfill in its window; 0: not known yet */
	bool cells_guessed;	/* by the streams that were looked at so far */
	uint64_t cells_earlier; /* of a backfill: done before, and in cells_all */
	struct trouble trouble;
};
void runner_progress(const struct runner *r, struct runner_progress *ret);

/* Runs until everything due is done or failed, the deadline has come, or the clock is cancelled.
 * Streams hold the results. -1: no worker could be started, or the state store failed (ERR_LOCAL):
 * then `err` says so and nothing more was begun. */
int runner_run(struct runner *r, struct err *err);

#endif
