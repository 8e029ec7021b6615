/*
 * Trials: something is tried out to see whether it would work, so that nothing stays behind; and
 * what a refusal says about the permission that is missing.
 */
#ifndef MUSTER_AWS_TRIAL_H
#define MUSTER_AWS_TRIAL_H

#include <stdbool.h>

#include "base/buf.h"

#define TRIAL_ACTION_MAX   96
#define TRIAL_RESOURCE_MAX 2100

enum trial_result { TRIAL_OK, TRIAL_WARN, TRIAL_FAILED };

struct trial {
	enum trial_result result;
	const char *what;      /* "write", "conditional write" */
	const char *action;    /* the IAM action that it takes; NULL: none */
	const char *resource;  /* the value of "Resource", as JSON; NULL: "*" */
	const char *note;      /* in words; NULL: nothing more to say */
	const struct err *err; /* why it did not go well; NULL: the note says it */
};

/* Who is told of each trial, as it was made. What it is told lives during the call only. */
struct trials {
	void (*take)(void *arg, const struct trial *t);
	void *arg;
};
static inline void
trial_tell(const struct trials *to, const struct trial *t)
{
	to->take(to->arg, t);
}

/* Is this refusal one of a policy, so that a statement could help? */
bool trial_denied(const struct err *err);
/* The action and the resource that AWS names in such a refusal ("... is not authorized to perform: ACTION on resource: ARN ...").
 * False if it names no action; resource is "" if it names none. */
bool trial_denied_what(const struct err *err, char action[TRIAL_ACTION_MAX], char resource[TRIAL_RESOURCE_MAX]);
/* Does a deny stand against it, which no statement that allows can lift? */
bool trial_denied_explicitly(const struct err *err);
/* {"Effect":"Allow","Action":"s3:PutObject","Resource":...}; resource as in struct trial. */
void trial_statement(const char *action, const char *resource, struct buf *out);

#endif
