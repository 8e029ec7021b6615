/*
 * What a profile of the shared files stands for.
 *
 * A profile with a role names where the keys come from that assume it: another profile, which may
 * have a role, too, or a source outside the files. So the profiles are followed down to the one
 * that has keys of its own, and the roles are laid on top of these from there up.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "aws/cred_sources.h"
#include "aws/endpoint.h"
#include "aws/sts.h"
#include "base/cleanup.h"
#include "base/num.h"

#define MAX_CHAINED_S  3600
#define MIN_DURATION_S 900
#define MAX_DURATION_S 43200

struct cred_profile {
	struct cred_source base;
	/* Each uses the one before; the last one's keys are the profile's. */
	struct cred_source *v[CRED_PROFILES_MAX + 1];
	size_t n;
	char *what;
};

struct build {
	const struct cred_setup *setup;
	const struct profiles *p;
	struct cred_profile *made;
	const char *names[CRED_PROFILES_MAX]; /* from the one that was asked for down */
	size_t n;
	struct buf what;
	bool short_lived; /* the newest keys are a session's: a role assumed with them lasts an hour
			   */
};

static const char *
get(const struct build *b, const char *name, const char *key)
{
	return profiles_get(b->p, name, key, PROFILE_EITHER);
}

static int
fault(const char *name, struct err *err, const char *what)
{
	return err_set(err, ERR_AUTH, "profile %s: %s", name, what);
}

static bool
has_keys(const struct build *b, const char *name)
{
	return get(b, name, "aws_access_key_id") || get(b, name, "aws_secret_access_key");
}

/* ---- what a profile has itself ---- */

/* Both halves from the same file: of two pairs, one half each is no pair. */
static int
open_keys(struct build *b, const char *name, enum profile_file from, struct cred_source **ret,
	  struct err *err)
{
	const char *id = profiles_get(b->p, name, "aws_access_key_id", from);
	const char *secret = profiles_get(b->p, name, "aws_secret_access_key", from);
	const char *token = profiles_get(b->p, name, "aws_session_token", from);
	const char *account = get(b, name, "aws_account_id");
	struct cred c = {0};

	if (!token)
		token = profiles_get(b->p, name, "aws_security_token", from);
	if (!id && !secret)
		return err_set(err, ERR_NOTFOUND, "no keys");
	if (!id || !secret)
		return err_set(err, ERR_AUTH, "profile %s: %s without %s", name,
			       id ? "aws_access_key_id" : "aws_secret_access_key",
			       id ? "aws_secret_access_key" : "aws_access_key_id");
	if (strlen(id) >= sizeof(c.key_id) || (account && strlen(account) >= sizeof(c.account)))
		return fault(name, err, "a key id or account that is too long");
	memcpy(c.key_id, id, strlen(id));
	if (account)
		memcpy(c.account, account, strlen(account));
	if (secret_set(&c.secret, sv_of(secret), err) ||
	    secret_set(&c.token, sv_of(token ? token : ""), err)) {
		cred_done(&c);
		return -1;
	}
	return cred_fixed_new(&c, "the profile's keys", ret, err);
}

static int
open_web(struct build *b, const char *name, struct cred_source **ret, struct err *err)
{
	const struct web_identity id = {
	    .token_file = get(b, name, "web_identity_token_file"),
	    .role_arn = get(b, name, "role_arn"),
	    .session_name = get(b, name, "role_session_name"),
	};

	if (!id.role_arn)
		return fault(name, err, "web_identity_token_file without role_arn");
	b->short_lived = true;
	buf_fmt(&b->what, " via web identity token file %s", id.token_file);
	return cred_web_new(b->setup, &id, ret, err);
}

static int
open_process(struct build *b, const char *name, struct cred_source **ret, struct err *err)
{
	buf_str(&b->what, " via credential_process");
	return cred_process_new(get(b, name, "credential_process"), CRED_PROCESS_MS,
				b->setup->clock, ret, err);
}

static int
refuse_sso(const char *name, struct err *err)
{
	return err_set(err, ERR_AUTH,
		       "profile %s: signs in through a browser (sso_* or login_session), which a "
		       "batch job cannot; to use a session you have opened, make a profile with "
		       "credential_process = aws configure export-credentials --profile %s",
		       name, name);
}

static bool
has_sso(const struct build *b, const char *name)
{
	static const char *const keys[] = {"sso_session", "sso_start_url", "sso_account_id",
					   "sso_role_name"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (get(b, name, keys[i]))
			return true;
	return false;
}

/* In botocore's order. ERR_NOTFOUND: it has nothing. */
static int
open_own(struct build *b, const char *name, struct cred_source **ret, struct err *err)
{
	struct err own = {0};

	if (get(b, name, "web_identity_token_file"))
		return open_web(b, name, ret, err);
	if (has_sso(b, name))
		return refuse_sso(name, err);
	if (!open_keys(b, name, PROFILE_CREDENTIALS, ret, &own))
		return 0;
	if (own.kind == ERR_NOTFOUND && get(b, name, "login_session"))
		return refuse_sso(name, err);
	if (own.kind == ERR_NOTFOUND && get(b, name, "credential_process"))
		return open_process(b, name, ret, err);
	if (own.kind == ERR_NOTFOUND)
		return open_keys(b, name, PROFILE_CONFIG, ret, err);
	if (err)
		*err = own;
	return -1;
}

/* ---- outside the files ---- */

static int
open_env(const struct cred_setup *setup, struct cred_source **ret, struct err *err)
{
	(void)setup;
	return cred_env_new(ret, err);
}

static const struct {
	const char *name;
	int (*open)(const struct cred_setup *setup, struct cred_source **ret, struct err *err);
	bool short_lived;
} named[] = {
    {"Environment", open_env, false},
    {"EcsContainer", cred_container_new, true},
    {"Ec2InstanceMetadata", cred_imds_new, true},
};

static int
open_named(struct build *b, const char *profile, const char *name, struct cred_source **ret,
	   struct err *err)
{
	struct err why = {0};

	for (size_t i = 0; i < ARRAY_LEN(named); i++) {
		if (strcmp(named[i].name, name) != 0)
			continue;
		buf_fmt(&b->what, " via credential_source %s", name);
		b->short_lived = named[i].short_lived;
		if (!named[i].open(b->setup, ret, &why))
			return 0;
		return err_set(err, why.kind == ERR_NOTFOUND ? ERR_AUTH : why.kind,
			       "profile %s: credential_source %s: %s", profile, name, why.msg);
	}
	return err_set(err, ERR_AUTH,
		       "profile %s: credential_source %s: expected Environment, EcsContainer or "
		       "Ec2InstanceMetadata",
		       profile, name);
}

/* ---- roles ---- */

static int
read_duration(const struct build *b, const char *name, int *ret, struct err *err)
{
	const char *text = get(b, name, "duration_seconds");
	int64_t n = 0;

	if (!text)
		return 0;
	if (!num_i64(sv_of(text), &n) || n < MIN_DURATION_S || n > MAX_DURATION_S)
		return err_set(err, ERR_AUTH, "profile %s: duration_seconds: expected %d to %d",
			       name, MIN_DURATION_S, MAX_DURATION_S);
	if (b->short_lived && n > MAX_CHAINED_S)
		return err_set(err, ERR_AUTH,
			       "profile %s: duration_seconds %" PRId64 ": a role that is assumed "
			       "with the keys of a role lasts at most %d",
			       name, n, MAX_CHAINED_S);
	*ret = (int)n;
	return 0;
}

static int
push(struct build *b, struct cred_source *s, struct err *err)
{
	if (b->made->n == ARRAY_LEN(b->made->v)) {
		cred_source_free(s);
		return err_set(err, ERR_AUTH, "more than %d profiles in a chain",
			       CRED_PROFILES_MAX);
	}
	b->made->v[b->made->n++] = s;
	return 0;
}

/* The role of a profile on top of the newest source, which gets a cache, so that it is not asked
 * anew whenever the role is. */
static int
push_role(struct build *b, const char *name, struct err *err)
{
	CLEANUP(buf_done) struct buf endpoint = BUF_INIT(4096);
	struct cred_source **top = &b->made->v[b->made->n - 1], *cache, *role;
	const char *session = get(b, name, "role_session_name");
	struct assume_role how = {
	    .region = b->setup->region,
	    .role_arn = get(b, name, "role_arn"),
	    .external_id = get(b, name, "external_id"),
	    .session_name = session ? session : b->setup->session_name,
	    .unrecorded = true,
	};

	if (get(b, name, "mfa_serial"))
		return fault(name, err,
			     "mfa_serial asks for a code, which a batch job does not have; use a "
			     "role that can be assumed without");
	if (read_duration(b, name, &how.duration_s, err) ||
	    endpoint_url("sts", b->setup->region, &endpoint, err) ||
	    cred_cache_new(*top, b->setup->seed, b->setup->clock, &cache, err))
		return -1;
	*top = cache;
	how.endpoint = buf_cstr(&endpoint);
	if (cred_sts_new(b->setup->t, cache, &how, &role, err))
		return -1;
	b->short_lived = true;
	return push(b, role, err);
}

/* ---- the chain ---- */

static bool
was_visited(const struct build *b, const char *name)
{
	for (size_t i = 0; i < b->n; i++)
		if (!strcmp(b->names[i], name))
			return true;
	return false;
}

/* One step down. A profile may name itself, if it has keys. */
static int
follow(struct build *b, const char *from, const char *to, struct err *err)
{
	bool itself = !strcmp(from, to);

	if (!profiles_have(b->p, to))
		return err_set(err, ERR_AUTH, "profile %s: its source_profile %s is not in %s",
			       from, to, profiles_files(b->p));
	if (was_visited(b, to) && !(itself && has_keys(b, to)))
		return err_set(err, ERR_AUTH, "profile %s: source_profile %s leads round in a loop",
			       from, to);
	if (b->n == CRED_PROFILES_MAX)
		return err_set(err, ERR_AUTH, "profile %s: more than %d profiles in a chain", from,
			       CRED_PROFILES_MAX);
	b->names[b->n++] = to;
	if (!itself)
		buf_fmt(&b->what, " via source_profile %s", to);
	return 0;
}

/* A role that is assumed with other keys. Below the first profile, keys of its own go before. */
static bool
is_role(const struct build *b, const char *name)
{
	return get(b, name, "role_arn") && !get(b, name, "web_identity_token_file") &&
	       !(b->n > 1 && has_keys(b, name));
}

/* Down to the keys: b->names is the way, *ret what is there. */
static int
find_keys(struct build *b, struct cred_source **ret, struct err *err)
{
	const char *name = b->names[0];

	while (is_role(b, name)) {
		const char *source = get(b, name, "source_profile");
		const char *outside = get(b, name, "credential_source");

		if (!source == !outside)
			return fault(name, err,
				     source ? "both source_profile and credential_source"
					    : "role_arn without source_profile or "
					      "credential_source");
		if (outside) {
			b->n++; /* names[n - 1] has a role, too */
			return open_named(b, name, outside, ret, err);
		}
		if (follow(b, name, source, err))
			return -1;
		name = source;
	}
	if (!open_own(b, name, ret, err))
		return 0;
	if (b->n > 1 && err && err->kind == ERR_NOTFOUND)
		return err_set(err, ERR_AUTH, "profile %s: has no keys, and is a source_profile",
			       name);
	return -1;
}

static int
build(struct build *b, struct err *err)
{
	struct cred_source *keys = NULL;

	if (find_keys(b, &keys, err) || push(b, keys, err))
		return -1;
	for (size_t i = b->n - 1; i-- > 0;)
		if (push_role(b, b->names[i], err))
			return -1;
	b->made->what = buf_steal(&b->what);
	return b->made->what ? 0 : err_nomem(err);
}

static int
profile_get(struct cred_source *s, const char *stale, struct cred *ret, struct err *err)
{
	struct cred_profile *p = (struct cred_profile *)s;

	if (cred_get(p->v[p->n - 1], stale, ret, err))
		return err_wrap(err, "%s", p->what);
	return 0;
}

static void
profile_describe(const struct cred_source *s, struct buf *out)
{
	buf_str(out, ((const struct cred_profile *)s)->what);
}

/* From the top: who uses a source goes before it. */
static void
profile_free(struct cred_source *s)
{
	struct cred_profile *p = (struct cred_profile *)s;

	while (p->n)
		cred_source_free(p->v[--p->n]);
	free(p->what);
	free(p);
}

int
cred_profile_new(const struct cred_setup *setup, const struct profiles *p, const char *name,
		 struct cred_source **ret, struct err *err)
{
	static const struct cred_source_ops ops = {"profile", profile_get, profile_free,
						   profile_describe};
	struct build b = {
	    .setup = setup,
	    .p = p,
	    .made = calloc(1, sizeof(*b.made)),
	    .names = {name},
	    .n = 1,
	    .what = BUF_INIT(64u << 10),
	};
	int r;

	if (!b.made)
		return err_nomem(err);
	b.made->base.ops = &ops;
	buf_fmt(&b.what, "profile %s", name);
	r = build(&b, err);
	buf_done(&b.what);
	if (r) {
		profile_free(&b.made->base);
		return -1;
	}
	*ret = &b.made->base;
	return 0;
}
