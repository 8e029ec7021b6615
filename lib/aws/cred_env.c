/*
 * Keys from the environment, read once: the block may be cleaned afterwards, and no thread has to
 * fear another one's setenv.
 */
#include "aws/cred.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/timefmt.h"

struct cred_env {
	struct cred_source base;
	struct cred cred;
};

/* Empty counts as unset. */
static struct sv
env(const char *name)
{
	return sv_of(getenv(name) ? getenv(name) : "");
}

static int
env_get(struct cred_source *s, const char *stale, struct cred *ret, struct err *err)
{
	struct cred_env *e = (struct cred_env *)s;

	if (stale && strcmp(stale, e->cred.key_id) == 0)
		return err_set(err, ERR_AUTH, "the keys in the environment have expired");
	return cred_copy(ret, &e->cred, err);
}

static void
env_free(struct cred_source *s)
{
	struct cred_env *e = (struct cred_env *)s;

	cred_done(&e->cred);
	free(e);
}

static int
copy_text(char *to, size_t size, struct sv s, const char *name, struct err *err)
{
	if (s.n >= size)
		return err_set(err, ERR_AUTH, "%s is longer than %zu characters", name, size - 1);
	memcpy(to, s.p, s.n);
	to[s.n] = '\0';
	return 0;
}

static int
read_env(struct cred *c, struct err *err)
{
	struct sv key = env("AWS_ACCESS_KEY_ID"), secret = env("AWS_SECRET_ACCESS_KEY");
	struct sv expires = env("AWS_CREDENTIAL_EXPIRATION");

	if (key.n == 0 && secret.n == 0)
		return err_set(err, ERR_NOTFOUND, "no keys in the environment");
	if (key.n == 0)
		return err_set(err, ERR_AUTH,
			       "AWS_SECRET_ACCESS_KEY is set, AWS_ACCESS_KEY_ID is not");
	if (secret.n == 0)
		return err_set(err, ERR_AUTH,
			       "AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not");
	if (expires.n && !time_parse_iso(expires, &c->expires_wall_ms))
		return err_set(err, ERR_AUTH, "AWS_CREDENTIAL_EXPIRATION is no ISO 8601 time");
	if (copy_text(c->key_id, sizeof(c->key_id), key, "AWS_ACCESS_KEY_ID", err) < 0 ||
	    copy_text(c->account, sizeof(c->account), env("AWS_ACCOUNT_ID"), "AWS_ACCOUNT_ID",
		      err) < 0)
		return -1;
	if (secret_set(&c->secret, secret, err) < 0)
		return -1;
	return secret_set(&c->token, env("AWS_SESSION_TOKEN"), err);
}

int
cred_env_new(struct cred_source **ret, struct err *err)
{
	static const struct cred_source_ops ops = {"environment", env_get, env_free};
	struct cred_env *e = calloc(1, sizeof(*e));

	if (!e)
		return err_nomem(err);
	e->base.ops = &ops;
	if (read_env(&e->cred, err) < 0) {
		env_free(&e->base);
		return -1;
	}
	*ret = &e->base;
	return 0;
}
