/*
 * Keys from the environment, read once: no thread has to fear another one's setenv.
 */
#include <stdlib.h>

#include "aws/cred_sources.h"
#include "base/cleanup.h"
#include "base/timefmt.h"

/* Empty counts as unset. */
static struct sv
env(const char *name)
{
	return sv_of(getenv(name) ? getenv(name) : "");
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
read_secrets(struct cred *c, struct err *err)
{
	struct sv token = env("AWS_SESSION_TOKEN");

	if (token.n == 0)
		token = env("AWS_SECURITY_TOKEN"); /* its name of old */
	if (secret_set(&c->secret, env("AWS_SECRET_ACCESS_KEY"), err) < 0)
		return -1;
	return secret_set(&c->token, token, err);
}

static int
read_env(struct cred *c, struct err *err)
{
	struct sv key = env("AWS_ACCESS_KEY_ID"), secret = env("AWS_SECRET_ACCESS_KEY");
	struct sv expires = env("AWS_CREDENTIAL_EXPIRATION");

	if (key.n == 0 && secret.n == 0)
		return err_set(err, ERR_NOTFOUND, "AWS_ACCESS_KEY_ID is not set");
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
	return read_secrets(c, err);
}

int
cred_env_new(struct cred_source **ret, struct err *err)
{
	struct cred c = {0};
	bool named;

	if (read_env(&c, err) < 0) {
		cred_done(&c);
		return -1;
	}
	(void)profile_name(&named);
	/* Here the SDKs differ; whoever meant the profile should see it. */
	return cred_fixed_new(
	    &c, named ? "environment (AWS_PROFILE is set, too, and not used)" : "environment", ret,
	    err);
}
