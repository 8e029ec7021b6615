/*
 * STS: AssumeRole as a credential source, GetCallerIdentity as a probe.
 */
#ifndef MUSTER_AWS_STS_H
#define MUSTER_AWS_STS_H

#include "aws/cred.h"
#include "net/transport.h"

struct assume_role {
	const char *endpoint;        /* base URL */
	const char *region;          /* STS's region */
	const char *role_arn;        /* complete */
	const char *external_id;     /* NULL: none */
	const char *session_name;    /* 2-64 of [A-Za-z0-9_+=,.@-]; see sts_session_name */
	const char *source_identity; /* NULL: none */
	int duration_s;              /* 0: 3600 */
	const char *expect_account;  /* 12 digits; the answer's ARN must be of this account, NULL: not checked */
	bool unrecorded;             /* as in struct http_req: the role is one of our own credentials */
};
/* All strings are copied. `base` signs the call and is borrowed, as is `t`. Wrap it in cred_cache. A refused AssumeRole is ERR_AUTH and says
 * what the operator can check: role, trust policy, external id (STS does not say which). A SourceIdentity that the trust policy does not
 * allow looks the same: after AccessDenied with one, the call is made once more without. */
int cred_sts_new(struct transport *t, struct cred_source *base, const struct assume_role *p, struct cred_source **ret, struct err *err);

/* One AssumeRole just as it is asked for: no second try without the source identity, and a refusal in STS's own words. For
 * trials. *ret empty before. */
int sts_assume_role(struct transport *t, struct cred_source *base, const struct assume_role *p, struct cred *ret, struct err *err);

struct caller_identity {
	char account[16];
	char arn[256];
	int64_t server_wall_ms; /* the Date header, 0 if absent */
};
int sts_caller_identity(struct transport *t, struct cred_source *creds, const char *endpoint, const char *region,
    struct caller_identity *ret, struct err *err);

/* Builds "muster-<tenant>-<run>" cut to 64 allowed characters (others become '-'). */
void sts_session_name(char out[65], const char *tenant, const char *run);
/* arn:<partition>:iam::<account>:role/<name>, or `role` itself if it is an ARN already. */
int sts_role_arn(const char *role, const char *account, const char *region, struct buf *out, struct err *err);

#endif
