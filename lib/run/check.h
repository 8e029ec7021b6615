/*
 * What `muster check` finds: a list of findings, each well, a warning or a fault, with what to do about it; and the parts that
 * look.
 */
#ifndef MUSTER_RUN_CHECK_H
#define MUSTER_RUN_CHECK_H

#include <sys/socket.h>

#include "aws/trial.h"
#include "base/arena.h"
#include "run/session.h"

enum check_level { CHECK_OK, CHECK_WARN, CHECK_FAULT, CHECK_LEVELS };

/* A statement to add, and to which policy. */
struct remedy {
	const char *to;
	const char *statement; /* JSON */
};
#define CHECK_REMEDIES 3

struct finding {
	enum check_level level;
	const char *who;	 /* a sink's name or a tenant's id; "": the program as a whole */
	const char *job, *region; /* "": of all */
	const char *what;	 /* "clock", "cloudwatch:ListMetrics" */
	const char *words;	 /* "": nothing more to say */
	const char *action;	 /* the IAM action that is missing; "": none */
	const char *code, *request_id; /* the service's; "": none */
	struct remedy remedies[CHECK_REMEDIES];
	size_t n_remedies;
};

/* In the order in which they were found; all memory is in the arena. Of one thread. */
struct findings {
	struct arena mem;
	struct finding *v;
	size_t n, cap;
	size_t count[CHECK_LEVELS];
	bool lost; /* there was no memory for one */
};
void findings_init(struct findings *f);
void findings_done(struct findings *f);
/* A copy in its memory; "" without memory. */
const char *findings_text(struct findings *f, const char *text);
/* All strings are copied; NULL members count as "". */
void findings_add(struct findings *f, const struct finding *one);

/* Where a finding is about, and who would need a permission. */
struct check_place {
	struct findings *to;
	const char *who, *job, *region;
	const char *holder; /* ARN whose policy a statement belongs to */
	const char *caller; /* ARN of the base credentials, "" if unknown */
};
/* For a level and words only. */
void check_say(const struct check_place *p, enum check_level level, const char *what, const char *words);
/* A fault from an error, with the statement that mends it where `action` (NULL: unknown) was denied. */
void check_fault(const struct check_place *p, const char *what, const char *action, const char *resource,
		 const struct err *err);
/* struct trials over a place. */
struct trials check_trials(struct check_place *p);

/* What a role that is to be assumed takes: of the caller's policy, of its trust policy, and of both for the source identity, by
 * which the tenant's CloudTrail tells one run from another. external_id NULL: none. */
enum check_sides { SIDE_CALLER = 1, SIDE_TRUST = 2, SIDE_IDENTITY = 4 };
void check_role_remedies(const struct check_place *p, unsigned sides, const char *role_arn, const char *external_id,
			 struct finding *f);
/* The IAM principal behind the ARN of a session: arn:aws:sts::A:assumed-role/R/S becomes arn:aws:iam::A:role/R. */
void check_principal(const char *caller_arn, struct buf *out);

struct check {
	struct session *s;
	struct findings central, sinks;
	struct findings *tenants; /* one each, of those that were chosen */
	size_t n_tenants;
	bool base, state; /* usable */
	size_t n_sinks_dead;
	char caller[300]; /* principal of the base credentials, "" */
};

/* The parts, in this order. */
void check_central(struct check *c);
void check_sinks(struct check *c);
void check_tenants(struct check *c);
/* Loopback, link-local, or of a private network. */
bool check_is_private(const struct sockaddr *sa);
/* Into c->central: endpoints whose names lead out of private networks. */
void check_endpoints(struct check *c);

enum exit_status check_status(const struct check *c);
/* For people; `color` as on a terminal. LOG_DEBUG names each tenant that is well, LOG_ERROR tells of nothing that is. */
void check_print(const struct check *c, bool color, enum log_level level, struct buf *out);
int check_json(const struct check *c, struct buf *out, struct err *err);
void check_done(struct check *c);

#endif
