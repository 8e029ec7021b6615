/*
 * The sources that the chain of cred.h is made of; private to lib/aws and its tests.
 *
 * Those that look for themselves answer ERR_NOTFOUND where nothing is configured, with the reason in a few words, and
 * ERR_AUTH where something is, but wrongly.
 */
#ifndef MUSTER_AWS_CRED_SOURCES_H
#define MUSTER_AWS_CRED_SOURCES_H

#include "aws/cred.h"
#include "aws/profile.h"
#include "net/transport.h"

/* Keys that never change. Takes what *c holds, also when it fails; `what` is copied. */
int cred_fixed_new(struct cred *c, const char *what, struct cred_source **ret, struct err *err);

/* What a profile says: static keys, a role and the profile or source it is assumed from, a program, a token file. */
int cred_profile_new(const struct cred_setup *setup, const struct profiles *p, const char *name, struct cred_source **ret,
    struct err *err);

/* The standard output of a program, JSON. It is run without a shell, its standard input empty, in a process group that is
 * killed after limit_ms (CRED_PROCESS_MS) or when the clock is cancelled. */
#define CRED_PROCESS_MS 60000 /* as the SDK for Go; others wait for ever */
int cred_process_new(const char *command, int64_t limit_ms, struct clock *clock, struct cred_source **ret, struct err *err);

/* AssumeRoleWithWebIdentity. The token is read anew each time: Kubernetes replaces the file. */
struct web_identity {
	const char *token_file, *role_arn;
	const char *session_name; /* NULL: the setup's */
};
int cred_web_new(const struct cred_setup *setup, const struct web_identity *w, struct cred_source **ret, struct err *err);
/* From AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN, AWS_ROLE_SESSION_NAME. */
int cred_web_env_new(const struct cred_setup *setup, struct cred_source **ret, struct err *err);

/* AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI, AWS_CONTAINER_AUTHORIZATION_TOKEN or _TOKEN_FILE: ECS, EKS. */
int cred_container_new(const struct cred_setup *setup, struct cred_source **ret, struct err *err);

/* EC2 instance metadata, version 2 only. ERR_NOTFOUND where AWS_EC2_METADATA_DISABLED says so; whether it is there shows when asked. */
int cred_imds_new(const struct cred_setup *setup, struct cred_source **ret, struct err *err);

/* ---- what they share ---- */

/* A member of a JSON object: a string, decoded, or a number. False: there is none. */
bool cred_json_str(struct sv doc, const char *name, struct buf *out);
bool cred_json_num(struct sv doc, const char *name, double *ret);
/* AccessKeyId, SecretAccessKey, `token` (the name differs), Expiration, AccountId; the last three may be missing. ERR_DATA never
 * quotes the document. */
int cred_json_keys(struct sv doc, const char *token, struct cred *ret, struct err *err);

/* One request to an endpoint on this machine's link: no proxy, short waits, not recorded. *resp is initialised; end it with
 * cred_fetch_done, which wipes it. */
struct cred_fetch {
	const char *service, *operation;
	const char *method, *url;
	struct http_header header;
	const char *authorization; /* NULL: none */
	enum http_proto proto;
};
int cred_fetch(struct transport *t, const struct cred_fetch *f, struct http_resp *resp, struct err *err);
void cred_fetch_done(struct http_resp *resp);

#endif
