/*
 * Everything a command that talks to AWS needs, opened in order and closed in reverse: transports,
 * base credentials, the present, the state store, the sinks, the plan of each job and the streams
 * of each tenant.
 */
#ifndef MUSTER_RUN_SESSION_H
#define MUSTER_RUN_SESSION_H

#include "run/options.h"
#include "run/report.h"
#include "run/runner.h"

struct job_plan {
	const struct job *job;
	struct plan plan;
	struct plan_sink *sinks;
	size_t *outlet_of;
	size_t lake;
};

struct session {
	const struct config *config;
	const struct options *options;
	struct clock *clock;
	struct call_counts *counts;
	struct transport *top;
	const struct transport *signer; /* inside the stack, for the clock offset */
	struct cred_source *base;
	struct buf sts_endpoint;
	struct store *state;
	struct job_plan *plans;
	char run_id[40];
	char host[65];
	int64_t started_wall_ms;
	struct run_env env;
	struct commit_env commit_env;
	struct sink_env sink_env;
	struct runner runner;
	struct tenant_run *tenants;
};

/* -1 with ERR_USAGE: the command line asks for something that is not there (exit 2); any other
 * kind: something central failed (exit 3). Close it in both cases. */
int session_open(struct session *s, const struct config *config, const struct options *options,
		 struct clock *clock, struct err *err);
void session_close(struct session *s);

/* Rendezvous hashing: which of n shards owns a tenant. Adding a shard moves 1/n of the tenants. */
int64_t shard_of(const char *tenant, int64_t n);

#endif
