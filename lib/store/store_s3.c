/*
 * A store in an S3 bucket, below a prefix.
 *
 * All that two runs can do to each other is decided by S3's conditional writes, so a bucket whose
 * service takes the conditions and does not keep to them would lose data silently. That is tried
 * out when the store is opened. There is no lock that ends with a process; whoever wants one writes
 * a lease.
 */
#include "store/store_s3.h"

#include <stdio.h>

#include "base/cleanup.h"

#define BUCKET_MAX 63

static struct s3_store *
s3_of(struct store *s)
{
	return (struct s3_store *)s;
}

static int
wrap(const struct s3_store *s, const char *key, struct err *err)
{
	return err_wrap(err, "store %s: %s", s->url, key);
}

/* Where a key lies in the bucket. */
static int
full_key(const struct s3_store *s, const char *key, struct buf *out, struct err *err)
{
	buf_str(out, s->prefix);
	buf_str(out, key);
	if (out->no_memory)
		return err_nomem(err);
	if (!buf_ok(out))
		return err_set(err, ERR_USAGE, "prefix and key have more than %d bytes together",
			       S3_KEY_MAX);
	return 0;
}

/* ---- operations ---- */

static void
fill_info(const struct http_resp *resp, const char *const *want, struct store_info *info)
{
	char name[128];
	struct sv v;

	memset(info, 0, sizeof(*info));
	if (resp_header(resp, "etag", &v) && v.n < sizeof(info->etag))
		memcpy(info->etag, v.p, v.n);
	for (size_t i = 0; want && want[i] && i < STORE_META_MAX; i++) {
		(void)snprintf(name, sizeof(name), S3_META_PREFIX "%s", want[i]);
		if (resp_header(resp, name, &v) && v.n < sizeof(info->meta[i]))
			memcpy(info->meta[i], v.p, v.n);
	}
}

static int
get_object(const struct s3_store *s, const char *key, const char *const *want, struct buf *out,
	   struct store_info *info, struct err *err)
{
	CLEANUP(buf_done) struct buf full = BUF_INIT(S3_KEY_MAX);
	CLEANUP(resp_done) struct http_resp resp;
	size_t max = out->max;

	resp_init(&resp, max);
	resp.body.max = max;
	if (full_key(s, key, &full, err) < 0 || s3_get(s->s3, buf_cstr(&full), &resp, err) < 0)
		return -1;
	if (info) {
		fill_info(&resp, want, info);
		if (info->etag[0] == '\0')
			return err_set(err, ERR_DATA, "the answer names no ETag");
	}
	/* As it came, without a copy: objects can be large. */
	buf_done(out);
	*out = resp.body;
	out->max = max;
	resp.body = BUF_INIT(0);
	return 0;
}

static int
s3_store_get(struct store *base, const char *key, const char *const *want, struct buf *out,
	     struct store_info *info, struct err *err)
{
	const struct s3_store *s = s3_of(base);

	if (store_key_check(key, err) < 0)
		return -1;
	return get_object(s, key, want, out, info, err) < 0 ? wrap(s, key, err) : 0;
}

static int
get_spool(const struct s3_store *s, const char *key, const char *const *want, struct spool *out,
	  struct store_info *info, struct err *err)
{
	CLEANUP(buf_done) struct buf full = BUF_INIT(S3_KEY_MAX);
	CLEANUP(resp_done) struct http_resp resp;

	resp_init(&resp, 0);
	if (full_key(s, key, &full, err) < 0 ||
	    s3_get_spool(s->s3, buf_cstr(&full), out, &resp, err) < 0)
		return -1;
	if (info)
		fill_info(&resp, want, info);
	return 0;
}

static int
s3_store_get_spool(struct store *base, const char *key, const char *const *want, struct spool *out,
		   struct store_info *info, struct err *err)
{
	const struct s3_store *s = s3_of(base);

	if (store_key_check(key, err) < 0)
		return -1;
	return get_spool(s, key, want, out, info, err) < 0 ? wrap(s, key, err) : 0;
}

static int
s3_store_get_range(struct store *base, const char *key, uint64_t at, uint64_t n, struct spool *out,
		   struct err *err)
{
	const struct s3_store *s = s3_of(base);
	CLEANUP(buf_done) struct buf full = BUF_INIT(S3_KEY_MAX);

	if (store_key_check(key, err) < 0)
		return -1;
	if (full_key(s, key, &full, err) < 0 ||
	    s3_get_range(s->s3, buf_cstr(&full), at, n, out, err) < 0)
		return wrap(s, key, err);
	return 0;
}

/* The body, or the spool if that is not NULL. */
static int
put_object(const struct s3_store *s, const char *key, struct sv body, const struct spool *spool,
	   const struct store_put *opt, char ret_etag[STORE_ETAG_MAX], struct err *err)
{
	CLEANUP(buf_done) struct buf full = BUF_INIT(S3_KEY_MAX);
	struct s3_put put = {
	    .create = opt->cond == STORE_CREATE,
	    .match = opt->cond == STORE_MATCH ? opt->etag : NULL,
	    .content_type = opt->content_type,
	    .n_meta = opt->n_meta,
	};
	char etag[S3_ETAG_MAX];

	_Static_assert(S3_ETAG_MAX == STORE_ETAG_MAX && S3_META_MAX >= STORE_META_MAX, "sizes");
	if (put.match && put.match[0] == '\0')
		return err_set(err, ERR_CONFLICT, "no object has an empty ETag");
	for (size_t i = 0; i < opt->n_meta; i++)
		put.meta[i] = (struct http_header){opt->meta[i].name, opt->meta[i].value};
	if (full_key(s, key, &full, err) < 0)
		return -1;
	if (spool ? s3_put_spool(s->s3, buf_cstr(&full), spool, &put, etag, err)
		  : s3_put(s->s3, buf_cstr(&full), body, &put, etag, err))
		return -1;
	if (ret_etag)
		memcpy(ret_etag, etag, sizeof(etag));
	return 0;
}

static int
s3_store_put(struct store *base, const char *key, struct sv body, const struct store_put *opt,
	     char ret_etag[STORE_ETAG_MAX], struct err *err)
{
	const struct s3_store *s = s3_of(base);

	if (store_put_check(key, opt, err) < 0)
		return -1;
	return put_object(s, key, body, NULL, opt, ret_etag, err) < 0 ? wrap(s, key, err) : 0;
}

static int
s3_store_put_spool(struct store *base, const char *key, const struct spool *body,
		   const struct store_put *opt, char ret_etag[STORE_ETAG_MAX], struct err *err)
{
	const struct s3_store *s = s3_of(base);

	if (store_put_check(key, opt, err) < 0)
		return -1;
	if (opt->cond == STORE_MATCH)
		return err_set(err, ERR_USAGE, "%s: a spool replaces nothing that is compared",
			       key);
	return put_object(s, key, SV(""), body, opt, ret_etag, err) < 0 ? wrap(s, key, err) : 0;
}

struct lister {
	size_t skip; /* the store's prefix */
	int (*fn)(const char *key, void *arg);
	void *arg;
};

/* What is no key of ours was put there by somebody else (or is the probe). */
static int
pass_key(const char *key, void *arg)
{
	const struct lister *l = arg;

	return store_key_valid(key + l->skip) ? l->fn(key + l->skip, l->arg) : 0;
}

static int
s3_store_list(struct store *base, const char *prefix, int (*fn)(const char *key, void *arg),
	      void *arg, struct err *err)
{
	const struct s3_store *s = s3_of(base);
	CLEANUP(buf_done) struct buf full = BUF_INIT(S3_KEY_MAX);
	struct lister l = {.skip = strlen(s->prefix), .fn = fn, .arg = arg};

	if (!store_prefix_valid(prefix))
		return err_set(err, ERR_USAGE, "not a valid prefix: \"%.200s\"", prefix);
	if (full_key(s, prefix, &full, err) < 0 ||
	    s3_list(s->s3, buf_cstr(&full), pass_key, &l, err) < 0)
		return err_wrap(err, "store %s: list %s", s->url, prefix);
	return 0;
}

static int
s3_store_del_match(struct store *base, const char *key, const char *etag, struct err *err)
{
	const struct s3_store *s = s3_of(base);
	CLEANUP(buf_done) struct buf full = BUF_INIT(S3_KEY_MAX);

	if (store_key_check(key, err) < 0)
		return -1;
	if (full_key(s, key, &full, err) < 0 ||
	    s3_delete_match(s->s3, buf_cstr(&full), etag, err) < 0)
		return wrap(s, key, err);
	return 0;
}

static int
s3_store_del(struct store *base, const char *key, struct err *err)
{
	return s3_store_del_match(base, key, NULL, err);
}

static void
s3_store_free(struct store *base)
{
	struct s3_store *s = s3_of(base);

	s3_free(s->s3);
	free(s->url);
	free(s->bucket);
	free(s->prefix);
	free(s);
}

static const struct store_ops s3_ops = {
    .name = "s3",
    .get = s3_store_get,
    .put = s3_store_put,
    .get_spool = s3_store_get_spool,
    .put_spool = s3_store_put_spool,
    .get_range = s3_store_get_range,
    .list = s3_store_list,
    .del = s3_store_del,
    .del_match = s3_store_del_match,
    .free = s3_store_free,
};

static const struct store_ops s3_look_ops = {
    .name = "s3",
    .get = s3_store_get,
    .put = store_refuse_put,
    .list = s3_store_list,
    .del = store_refuse_del,
    .free = s3_store_free,
};

/* ---- opening ---- */

/* 1: the condition was kept (nothing was written), 0: it was not, or did hold; -1: failure. */
static int
try_condition(const struct s3_store *s, const struct s3_put *put, struct err *err)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT(S3_KEY_MAX);
	struct err why = {0};

	if (full_key(s, STORE_S3_PROBE_NAME, &key, err) < 0)
		return -1;
	if (s3_put(s->s3, buf_cstr(&key), SV(STORE_S3_PROBE_TEXT), put, NULL, &why) == 0)
		return 0;
	if (why.kind == ERR_CONFLICT)
		return 1;
	if (err)
		*err = why;
	return -1;
}

/* One fixed key, so that probes do not pile up; where it exists already, the first refusal says
 * everything about If-None-Match. */
static int
probe(const struct s3_store *s, struct err *err)
{
	const struct s3_put create = {.create = true, .content_type = "text/plain"};
	const struct s3_put match = {.match = STORE_S3_PROBE_ETAG, .content_type = "text/plain"};
	struct err why = {0};
	int kept = try_condition(s, &create, &why);

	if (kept == 0)
		kept = try_condition(s, &create, &why);
	if (kept == 1) {
		kept = try_condition(s, &match, &why);
		/* A policy that lets nothing be replaced is the strictest way to keep to it. */
		if (kept < 0 && why.kind == ERR_AUTH)
			kept = 1;
	}
	if (kept < 0) {
		(void)err_wrap(&why, "store %s", s->url);
		if (err)
			*err = why;
		return -1;
	}
	if (kept == 0)
		return err_set(err, ERR_LOCAL,
			       "the store at %s ignores conditional writes (If-None-Match, "
			       "If-Match): two runs could overwrite each other's work there",
			       s->url);
	return 0;
}

/* bucket[/prefix[/]] */
static int
split(struct s3_store *s, struct sv rest, struct err *err)
{
	const char *slash = memchr(rest.p, '/', rest.n);
	size_t n = slash ? (size_t)(slash - rest.p) : rest.n;
	struct sv prefix = slash ? (struct sv){slash + 1, rest.n - n - 1} : SV("");

	if (n < 3 || n > BUCKET_MAX || rest.p[0] == '.' || rest.p[0] == '-')
		return err_set(err, ERR_USAGE, "%s: not a bucket's name", s->url);
	for (size_t i = 0; i < n; i++)
		if (!((rest.p[i] >= 'a' && rest.p[i] <= 'z') ||
		      (rest.p[i] >= '0' && rest.p[i] <= '9') || rest.p[i] == '-' ||
		      rest.p[i] == '.'))
			return err_set(err, ERR_USAGE, "%s: not a bucket's name", s->url);
	if (prefix.n && prefix.p[prefix.n - 1] == '/')
		prefix.n--;
	s->bucket = sv_dup((struct sv){rest.p, n});
	s->prefix = calloc(1, prefix.n + 2);
	if (!s->bucket || !s->prefix)
		return err_nomem(err);
	if (prefix.n == 0)
		return 0;
	memcpy(s->prefix, prefix.p, prefix.n);
	if (!store_key_valid(s->prefix))
		return err_set(err, ERR_USAGE,
			       "%s: a prefix is made of letters, digits, '.', '_', '=', '-' and "
			       "'/'",
			       s->url);
	s->prefix[prefix.n] = '/';
	return 0;
}

static int
place(struct s3_store *s, struct sv rest, const struct store_env *env, struct err *err)
{
	struct buf url = BUF_INIT(4096);
	struct s3_conf conf = {
	    .transport = env->transport,
	    .creds = env->creds,
	    .region = env->region,
	    .expected_owner = env->expected_owner,
	    .kms_key = env->kms_key,
	    .grace_ms = env->grace_ms,
	};

	s->base.ops = env->read_only ? &s3_look_ops : &s3_ops;
	buf_str(&url, "s3://");
	buf_sv(&url, rest);
	s->url = buf_steal(&url);
	if (!s->url && url.no_memory)
		return err_nomem(err);
	if (!s->url)
		return err_set(err, ERR_USAGE, "an s3:// URL of more than 4096 bytes");
	if (split(s, rest, err) < 0)
		return -1;
	conf.bucket = s->bucket;
	return s3_new(&conf, &s->s3, err);
}

int
store_s3_place(struct sv bucket_and_prefix, const struct store_env *env, struct s3_store **ret,
	       struct err *err)
{
	struct s3_store *s = calloc(1, sizeof(*s));

	if (!s)
		return err_nomem(err);
	if (place(s, bucket_and_prefix, env, err) < 0) {
		s3_store_free(&s->base);
		return -1;
	}
	*ret = s;
	return 0;
}

int
store_s3_new(struct sv bucket_and_prefix, const struct store_env *env, struct store **ret,
	     struct err *err)
{
	struct s3_store *s;
	size_t aborted;

	if (store_s3_place(bucket_and_prefix, env, &s, err) < 0)
		return -1;
	if (env->read_only || env->unconditional) {
		*ret = &s->base;
		return 0;
	}
	if (probe(s, err) < 0) {
		s3_store_free(&s->base);
		return -1;
	}
	/* Housekeeping, which needs a permission of its own: without it the parts stay. A bucket
	 * without a prefix may hold uploads of others. */
	if (s->prefix[0])
		(void)s3_abort_old(s->s3, s->prefix, &aborted, NULL);
	*ret = &s->base;
	return 0;
}
