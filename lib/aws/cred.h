/*
 * Credentials: where keys come from.
 *
 * A source is two functions. Everything around it (caching, refreshing ahead of expiry, letting only one
 * thread refresh) lives in cred_cache, once. `struct cred` is a snapshot that the caller owns: a refresh by
 * another thread never changes or frees it.
 */
#ifndef MUSTER_AWS_CRED_H
#define MUSTER_AWS_CRED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/secret.h"

struct cred {
	char key_id[132];
	struct secret secret;
	struct secret token;     /* empty: none */
	int64_t expires_wall_ms; /* 0: never */
	char account[16];        /* "" if the source does not tell */
};
void cred_done(struct cred *c);
int cred_copy(struct cred *to, const struct cred *from, struct err *err);

struct cred_source;
struct cred_source_ops {
	const char *name;
	/* Fill *ret (empty before). `stale`: the key id that a service just refused as expired, or NULL; a cache answers
	 * with it only if it holds a newer one. Thread-safe. */
	int (*get)(struct cred_source *s, const char *stale, struct cred *ret, struct err *err);
	void (*free)(struct cred_source *s);
	/* Appends what it is, for people, nothing secret: "profile acme via source_profile base". NULL: the name says it. */
	void (*describe)(const struct cred_source *s, struct buf *out);
};
struct cred_source {
	const struct cred_source_ops *ops;
};
static inline int
cred_get(struct cred_source *s, const char *stale, struct cred *ret, struct err *err)
{
	return s->ops->get(s, stale, ret, err);
}
void cred_source_free(struct cred_source *s);
void cred_describe(const struct cred_source *s, struct buf *out);

/* AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN (AWS_SECURITY_TOKEN), AWS_CREDENTIAL_EXPIRATION,
 * AWS_ACCOUNT_ID; empty counts as unset, half a pair is ERR_AUTH. Read once, at creation; ERR_NOTFOUND if there is none. */
int cred_env_new(struct cred_source **ret, struct err *err);

/*
 * Around another source (owned): keeps its credentials until 10 minutes (mandatory) before their expiry, begins to refresh
 * 15 minutes (advisory, failure ignored) before it, less up to 60 s of jitter by `seed`; for sessions shorter than 30 minutes
 * the two bounds are a third and a half of their life. One thread refreshes, the others go on or wait (mandatory).
 */
int cred_cache_new(struct cred_source *inner, uint64_t seed, struct clock *clock, struct cred_source **ret, struct err *err);

struct transport;
/* What the sources of our own credentials work with; all is borrowed, and outlives them. */
struct cred_setup {
	struct transport *t; /* with retries and signing */
	struct clock *clock;
	const char *region;       /* of STS */
	const char *session_name; /* of roles whose profile gives none */
	uint64_t seed;            /* of the jitter */
};
/*
 * Our own (base) credentials, from the first source that is configured, as the SDKs look for them: environment, profile of the
 * shared files (settings_load() before), web identity, container, EC2 instance metadata. One that is configured and does not
 * work is ERR_AUTH, and no other is tried; if none is configured the error says of each why. In a cache of its own.
 */
int cred_chain_new(const struct cred_setup *setup, struct cred_source **ret, struct err *err);

/* What the chain may want of this machine beside the network; texts are the environment's and the profiles'. */
#define CRED_PROFILES_MAX 16 /* of a chain; nobody has more than three */
#define CRED_NEEDS_FILES (CRED_PROFILES_MAX + 2) /* a token for each, and two named by the environment */
struct cred_needs {
	bool programs; /* credential_process */
	const char *files[CRED_NEEDS_FILES]; /* tokens that others put there and replace; "~/" may begin them */
	size_t n_files;
};
void cred_needs(struct cred_needs *ret);

#endif
