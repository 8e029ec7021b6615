/*
 * The run about itself: muster_* series, pushed to run.self_metrics when the run is over.
 *
 * Series of streams carry tenant, account_id, region and job; series of the process carry schedule
 * (the configuration's name) and shard: no two processes write one series. Totals come from the
 * checkpoints, so they only grow, whichever process has a tenant.
 *
 * Calls to AWS count for the stream that a worker was at when it made them: every attempt, with those
 * for the tenant's credentials, the lake and the receivers. They are in the checkpoint as soon as
 * that is next written; what a killed run did after its last write is known to nobody, and does not
 * count. Calls for the run as a whole (who it is, which tenants there are, whether stores work) and for
 * its own state count for the schedule and shard; see run_calls.h. Dollars are those of streams: their totals at the present
 * prices, so where these are changed, so is the past.
 */
#ifndef MUSTER_RUN_SELFMETRICS_H
#define MUSTER_RUN_SELFMETRICS_H

#include "run/report.h"

struct self_metrics {
	const struct runner *runner;
	const struct run_env *env;
	struct outlet *outlet;
	const struct tally *run_calls; /* calls for the run as a whole, since the beginning */
	int64_t shard, shards;
	int64_t duration_ms;
	bool success; /* the run's exit status is 0 */
};
/* An error changes nothing about the run: it is for the log. */
int self_metrics_push(const struct self_metrics *m, struct err *err);

#endif
