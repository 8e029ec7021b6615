/*
 * The credentials of the sinks that sign; see sink_creds.h. Receivers and buckets often belong to
 * an account that knows one role only, so each sink may have its own, in a cache of its own.
 */
#include "sink/sink_creds.h"

#include "aws/sts.h"
#include "base/hash.h"
#include "fmt/json.h"

int
sink_creds_open(const struct sink_conf *c, const struct sink_env *env, struct sink_creds *ret,
		struct err *err)
{
	struct cred_source *sts = NULL;
	char session[65];
	struct assume_role role = {
	    .endpoint = env->sts_endpoint,
	    .region = env->region,
	    .role_arn = c->role,
	    .session_name = session,
	};

	*ret = (struct sink_creds){.use = env->base_creds};
	if (!env->base_creds)
		return err_set(err, ERR_AUTH, "there are no credentials to sign with");
	if (!c->role)
		return 0;
	sts_session_name(session, c->name, env->run_id ? env->run_id : "");
	if (cred_sts_new(env->transport, env->base_creds, &role, &sts, err) < 0)
		return -1;
	if (cred_cache_new(sts, fnv1a64(sv_of(c->name)), env->clock, &ret->own, err) < 0) {
		cred_source_free(sts);
		return -1;
	}
	ret->use = ret->own;
	return 0;
}

bool
sink_creds_try(struct sink_creds *creds, const struct sink_conf *c, const struct trials *to)
{
	struct buf arn = BUF_INIT(TRIAL_RESOURCE_MAX);
	struct cred got = {0};
	struct err err = {0};
	struct trial t = {.what = "role", .action = "sts:AssumeRole"};

	if (!creds->own)
		return true;
	if (cred_get(creds->own, NULL, &got, &err) < 0) {
		t.result = TRIAL_FAILED;
		t.err = &err;
	}
	cred_done(&got);
	(void)json_escape(&arn, sv_of(c->role));
	t.resource = buf_cstr(&arn);
	trial_tell(to, &t);
	buf_done(&arn);
	return t.result == TRIAL_OK;
}

void
sink_creds_done(struct sink_creds *c)
{
	cred_source_free(c->own);
	*c = (struct sink_creds){0};
}

static bool
on_s3(const struct sink_conf *c)
{
	return sv_starts(sv_of(c->url), SV("s3://"));
}

static struct store_env
store_env_of(const struct sink_conf *c, const struct sink_env *env, struct cred_source *creds)
{
	return (struct store_env){
	    .transport = env->transport,
	    .creds = creds,
	    .region = env->region,
	    .expected_owner = c->expected_owner,
	    .kms_key = c->kms_key,
	    .read_only = env->read_only,
	};
}

int
sink_store_open(const struct sink_conf *c, const struct sink_env *env, struct sink_creds *creds,
		struct store **ret, struct err *err)
{
	struct store_env store = store_env_of(c, env, NULL);

	if (!on_s3(c))
		return store_open(c->url, &store, ret, err);
	if (sink_creds_open(c, env, creds, err) < 0)
		return -1;
	store = store_env_of(c, env, creds->use);
	return store_open(c->url, &store, ret, err);
}

int
sink_store_try(const struct sink_conf *c, const struct sink_env *env, const struct trials *to,
	       struct err *err)
{
	struct sink_creds creds;
	struct store_env store;
	int rc = 0;

	if (!on_s3(c))
		return store_try(c->url, NULL, to, err);
	if (sink_creds_open(c, env, &creds, err) < 0)
		return -1;
	store = store_env_of(c, env, creds.use);
	if (sink_creds_try(&creds, c, to))
		rc = store_try(c->url, &store, to, err);
	sink_creds_done(&creds);
	return rc;
}
