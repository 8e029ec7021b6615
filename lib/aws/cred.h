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

/* AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_CREDENTIAL_EXPIRATION; empty counts as unset, half a
 * pair is ERR_AUTH. Read once, at creation; ERR_NOTFOUND if there is none. The secrets are removed from the environment
 * block only by the process's main (they are in /proc otherwise; see cli). */
int cred_env_new(struct cred_source **ret, struct err *err);

/*
 * Around another source (owned): keeps its credentials until 10 minutes (mandatory) before their expiry, begins to refresh
 * 15 minutes (advisory, failure ignored) before it, less up to 60 s of jitter by `seed`; for sessions shorter than 30 minutes
 * the two bounds are a third and a half of their life. One thread refreshes, the others go on or wait (mandatory).
 */
int cred_cache_new(struct cred_source *inner, uint64_t seed, struct clock *clock, struct cred_source **ret, struct err *err);

#endif
