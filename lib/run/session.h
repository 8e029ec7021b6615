/*
 * Everything a command that talks to AWS needs, opened in order and closed in reverse: transports,
 * base credentials, the present, the state store, the sinks, the plan of each job and the streams
 * of each tenant.
 */
#ifndef MUSTER_RUN_SESSION_H
#define MUSTER_RUN_SESSION_H

#include "aws/sts.h"
#include "base/map.h"
#include "run/backfill.h"
#include "run/found.h"
#include "run/report.h"
#include "run/runner.h"

struct job_plan {
	const struct job *job;
	struct plan plan;	  /* of the job as a whole */
	struct job_slice *slices; /* oldest first: one, or those of a backfill's window */
	size_t n_slices;	  /* 0: the job was not chosen, or nothing of the window is due */
	struct plan_sink *sinks;
	size_t *outlet_of;
	size_t lake;
};

struct session {
	const struct config *config; /* with the tenants that were found */
	struct found *found;	     /* NULL: all tenants are listed */
	const struct options *options;
	struct clock *clock;
	struct rate_row rates[LIMITS_ROWS];
	struct call_counts *counts;
	struct transport *top;
	const struct transport *signer; /* inside the stack, for the clock offset */
	struct cred_source *base;
	struct caller_identity me; /* whose they are, and what time it was there */
	int64_t clock_behind_ms;   /* AWS's clock less the machine's */
	struct buf sts_endpoint;
	struct store *state;
	struct job_plan *plans;
	struct backfill backfill; /* without a name: this is none */
	char run_id[40];
	char host[65];
	int64_t started_wall_ms, aws_wall_ms;
	struct run_env env;
	struct gate pages, lines;
	struct ahead ahead;
	struct commit_env commit_env;
	struct sink_env sink_env;
	struct runner runner;
	struct tenant_run *tenants;
	struct map endpoints; /* what streams borrow: service and region -> URL */
};

/*
 * What a recording or a replay changes about a session, whatever command opens it. Members that are
 * zero leave things as they are.
 */
struct session_hooks {
	struct clock *clock; /* instead of the machine's */
	bool offline;	     /* no network: `bottom` makes a transport of its own */
	bool fixed_now;	     /* the present does not move while the run lasts */
	bool one_by_one;     /* a stream asks for nothing while it reads */
	int stdout_fd;	     /* where stdout sinks write */
	const char *folders[4]; /* where it writes beside what the configuration names */
	/* After the configuration was read. */
	int (*configure)(void *arg, struct config *c, struct err *err);
	/* *t is the transport that would be the bottom (NULL: offline); put another in its place. */
	int (*bottom)(void *arg, struct transport **t, struct err *err);
	/* All is open, nothing was done yet. */
	int (*opened)(void *arg, struct session *s, struct err *err);
	void *arg;
};
/* For the whole process, once, before the command; NULL: none. */
void session_hook(const struct session_hooks *h);
/* The hook of that name, or the usual: */
struct clock *session_clock(void);
const struct session_hooks *session_hooks(void);
int session_configure(struct config *c, struct err *err);

/* -1 with ERR_USAGE: the command line asks for something that is not there (exit 2); any other
 * kind: something central failed (exit 3). Close it in both cases. */
int session_open(struct session *s, const struct config *config, const struct options *options,
		 struct clock *clock, struct err *err);
enum session_state {
	STATE_LOOK = 1, /* nothing is written, and a folder that does not exist leaves s->state NULL */
	STATE_AWS = 2,	/* something else than the state is to be read from there, too */
};
/* Only what the state needs: no call to AWS is made and no credentials are looked for unless it lies
 * there. Tenants are those that are listed and those that the last runs found. The present
 * (s->env.now_ms) is --now, or the machine's clock. `how`: enum session_state, or'ed. Errors as
 * session_open. */
int session_open_state(struct session *s, const struct config *config,
		       const struct options *options, struct clock *clock, unsigned how,
		       struct err *err);
/* ERR_USAGE: --job or --tenant names what is not there. Behind session_open_state. */
int session_check_choice(const struct session *s, struct err *err);
/* For who only wants to know what a run would do: session_open_state, and the plan of each job. Sinks
 * stay closed. */
int session_open_plan(struct session *s, const struct config *config, const struct options *options,
		      struct clock *clock, struct err *err);
struct job_stream session_job_stream(const struct tenant *t, const struct job *job,
				     const char *region);
/* The time that leases and histories are told in: the machine's, or the services' where one has
 * answered; never --now. */
int64_t session_shared_now(const struct session *s);
/* Whether the command line's --tenant, --job and --shard take it in. */
bool options_select(const struct options *o, const char *tenant, const char *job);
/* Whether a tenant has a job of the configuration. */
bool tenant_has_job(const struct tenant *t, const char *job);
void session_close(struct session *s);

/* The first stages of session_open, in this order, for commands that want to hear of each. Close it whatever came.
 *
 * What was typed is judged, the transports are made; nobody is asked yet. */
int session_begin(struct session *s, const struct config *config, const struct options *options,
		  struct clock *clock, struct err *err);
int session_base(struct session *s, struct err *err);	  /* the base credentials */
int session_identify(struct session *s, struct err *err); /* whose they are, and the present */
int session_state(struct session *s, struct err *err);	  /* the state store */
/* The tenants of `tenants_from` beside those listed: s->config has them all from here on. `keep`: the list for later runs. */
int session_find(struct session *s, bool keep, struct err *err);

/* What sinks need of this session. */
void session_sink_env(const struct session *s, struct sink_env *ret);
/* Do the options choose this tenant, and this of its jobs? */
bool session_has_tenant(const struct session *s, const char *tenant);
bool session_has_job(const struct session *s, const struct tenant *t, const struct job *job);

#endif
