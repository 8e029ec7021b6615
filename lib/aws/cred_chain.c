/*
 * Where our own credentials come from: one row a source, in the order in which they are looked for.
 *
 * The first that is configured is the one; one that is configured and broken is an error and not a
 * reason to go on with somebody else's keys. Only the metadata service is always there to be asked,
 * so it is the last.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "aws/cred_sources.h"
#include "base/cleanup.h"

#define REASONS_MAX 2048

static int
open_env(const struct cred_setup *setup, struct cred_source **ret, struct err *err)
{
	(void)setup;
	return cred_env_new(ret, err);
}

static int
open_profile(const struct cred_setup *setup, struct cred_source **ret, struct err *err)
{
	const struct profiles *p = settings_profiles();
	bool chosen;
	const char *name = profile_name(&chosen);

	if (!p)
		return err_set(err, ERR_NOTFOUND, "the shared files were not read");
	if (profiles_have(p, name)) {
		if (!cred_profile_new(setup, p, name, ret, err))
			return 0;
		if (err && err->kind == ERR_NOTFOUND)
			return err_set(err, ERR_NOTFOUND, "profile %s has no keys", name);
		return -1;
	}
	return err_set(err, chosen ? ERR_AUTH : ERR_NOTFOUND, "no profile %s in %s", name,
		       profiles_files(p));
}

static const struct {
	const char *name;
	int (*open)(const struct cred_setup *setup, struct cred_source **ret, struct err *err);
} sources[] = {
    {"environment", open_env},
    {"shared files", open_profile},
    {"web identity", cred_web_env_new},
    {"container", cred_container_new},
    {"EC2 instance metadata", cred_imds_new},
};

struct cred_chain {
	struct cred_source base;
	struct cred_source *chosen; /* in a cache */
	char *others;		    /* why those before it are not */
	bool last;		    /* it was chosen because there is no other */
	atomic_bool worked;
};

static void
add_reason(struct buf *reasons, const char *name, const struct err *why)
{
	buf_fmt(reasons, "%s%s: %s", reasons->n ? "; " : "", name, why->msg);
}

#define THERE_ARE_NONE "there are none, give some by AWS_PROFILE or AWS_ACCESS_KEY_ID: "

static int
none(const struct buf *reasons, struct err *err)
{
	return err_set(err, ERR_AUTH, THERE_ARE_NONE "%s", buf_cstr(reasons));
}

/* Whoever signs with them can only know that there are none, or that there may be some later. */
static void
settle(struct err *err)
{
	if (err->kind != ERR_TRANSIENT && err->kind != ERR_THROTTLED &&
	    err->kind != ERR_CANCELLED && err->kind != ERR_LOCAL)
		err->kind = ERR_AUTH;
}

static int
chain_get(struct cred_source *s, const char *stale, struct cred *ret, struct err *err)
{
	struct cred_chain *c = (struct cred_chain *)s;
	struct err own = {0};

	if (!cred_get(c->chosen, stale, ret, &own)) {
		atomic_store(&c->worked, true);
		return 0;
	}
	settle(&own);
	if (c->last && !atomic_load(&c->worked) && own.kind != ERR_CANCELLED) {
		struct err why = own;

		(void)err_set(&own, ERR_AUTH, THERE_ARE_NONE "%s; %s", c->others, why.msg);
	}
	if (err)
		*err = own;
	return -1;
}

static void
chain_describe(const struct cred_source *s, struct buf *out)
{
	cred_describe(((const struct cred_chain *)s)->chosen, out);
}

static void
chain_free(struct cred_source *s)
{
	struct cred_chain *c = (struct cred_chain *)s;

	cred_source_free(c->chosen);
	free(c->others);
	free(c);
}

/* The first source that there is; its row in *ret_at. */
static int
choose(const struct cred_setup *setup, struct buf *reasons, struct cred_source **ret,
       size_t *ret_at, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		struct err why = {0};

		*ret_at = i;
		if (!sources[i].open(setup, ret, &why))
			return 0;
		if (why.kind != ERR_NOTFOUND) {
			settle(&why);
			if (err)
				*err = why;
			return -1;
		}
		add_reason(reasons, sources[i].name, &why);
	}
	return none(reasons, err);
}

int
cred_chain_new(const struct cred_setup *setup, struct cred_source **ret, struct err *err)
{
	static const struct cred_source_ops ops = {"default chain", chain_get, chain_free,
						   chain_describe};
	CLEANUP(buf_done) struct buf reasons = BUF_INIT(REASONS_MAX);
	struct cred_chain *c = calloc(1, sizeof(*c));
	struct cred_source *found = NULL;
	size_t at = 0;

	if (!c)
		return err_nomem(err);
	c->base.ops = &ops;
	if (choose(setup, &reasons, &found, &at, err) ||
	    cred_cache_new(found, setup->seed, setup->clock, &c->chosen, err)) {
		cred_source_free(found);
		chain_free(&c->base);
		return -1;
	}
	c->last = at == ARRAY_LEN(sources) - 1;
	c->others = sv_dup(buf_view(&reasons));
	if (!c->others) {
		chain_free(&c->base);
		return err_nomem(err);
	}
	*ret = &c->base;
	return 0;
}
