/* As whom a sink calls AWS: the run's own credentials, or a role that is assumed from them. For the kinds themselves. */
#ifndef MUSTER_SINK_SINK_CREDS_H
#define MUSTER_SINK_SINK_CREDS_H

#include "sink/sink.h"

struct sink_creds {
	struct cred_source *use;
	struct cred_source *own; /* freed with the sink; NULL without a role */
};
/* Asks nobody: the role is assumed with the first request. ERR_AUTH if the run has no credentials. */
int sink_creds_open(const struct sink_conf *c, const struct sink_env *env, struct sink_creds *ret, struct err *err);
/* Assumes the role, if there is one, and tells of it: true if there are credentials. */
bool sink_creds_try(struct sink_creds *creds, const struct sink_conf *c, const struct trials *to);
void sink_creds_done(struct sink_creds *c);
/* The store behind the sink's URL; s3:// is called with *creds, which is filled for it. */
int sink_store_open(const struct sink_conf *c, const struct sink_env *env, struct sink_creds *creds, struct store **ret,
		    struct err *err);
int sink_store_try(const struct sink_conf *c, const struct sink_env *env, const struct trials *to, struct err *err);

#endif
