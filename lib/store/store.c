/*
 * What all stores have in common: which keys and metadata there may be, and which kind of store a
 * URL asks for; see store.h.
 *
 * Keys are checked here, once and strictly, for they are made of names that tenants and
 * configuration bring in: what is no valid key never reaches a file system or a service.
 */
#include "store/store.h"

#include <stdint.h>

#include "base/cleanup.h"
#include "fmt/uri.h"

#define KEY_MAX	       1000
#define PART_MAX       255 /* the longest name most file systems take */
#define SPOOL_LOAD_MAX ((size_t)1 << 30)
#define PATH_MAX_BYTES 4000

void
store_free(struct store *s)
{
	if (s)
		s->ops->free(s);
}

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool
is_key_char(char c)
{
	return is_alnum(c) || c == '.' || c == '_' || c == '=' || c == '-';
}

bool
store_key_valid(const char *key)
{
	size_t len = 0, part = 0;

	for (; key[len]; len++) {
		if (len >= KEY_MAX)
			return false;
		if (key[len] == '/') {
			if (part == 0)
				return false;
			part = 0;
			continue;
		}
		if (!is_key_char(key[len]) || (part == 0 && key[len] == '.') || part >= PART_MAX)
			return false;
		part++;
	}
	return part > 0;
}

bool
store_prefix_valid(const char *prefix)
{
	size_t len = strlen(prefix);
	char key[KEY_MAX + 1];

	if (len == 0)
		return true;
	if (len > KEY_MAX)
		return false;
	memcpy(key, prefix, len + 1);
	if (key[len - 1] == '/')
		key[len - 1] = '\0';
	return store_key_valid(key);
}

int
store_key_check(const char *key, struct err *err)
{
	if (!store_key_valid(key))
		return err_set(err, ERR_USAGE, "not a valid key: \"%.200s\"", key);
	return 0;
}

static bool
meta_valid(const struct store_meta *m)
{
	size_t n = strlen(m->name), v = strlen(m->value);

	if (n == 0 || n > 64 || v >= sizeof(((struct store_info *)NULL)->meta[0]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_alnum(m->name[i]) && m->name[i] != '-')
			return false;
	for (size_t i = 0; i < n; i++)
		if (m->name[i] >= 'A' && m->name[i] <= 'Z')
			return false;
	for (size_t i = 0; i < v; i++)
		if (m->value[i] < 0x20 || m->value[i] > 0x7e)
			return false;
	return true;
}

int
store_put_check(const char *key, const struct store_put *opt, struct err *err)
{
	if (store_key_check(key, err) < 0)
		return -1;
	if (opt->cond == STORE_MATCH && !opt->etag)
		return err_set(err, ERR_USAGE, "%s: no etag to match", key);
	if (opt->n_meta > STORE_META_MAX)
		return err_set(err, ERR_USAGE, "%s: more than %d metadata", key, STORE_META_MAX);
	for (size_t i = 0; i < opt->n_meta; i++)
		if (!meta_valid(&opt->meta[i]))
			return err_set(err, ERR_USAGE, "%s: not valid as metadata: %.64s=%.128s",
				       key, opt->meta[i].name, opt->meta[i].value);
	return 0;
}

int
store_refuse_put(struct store *s, const char *key, struct sv body, const struct store_put *opt,
		 char ret_etag[STORE_ETAG_MAX], struct err *err)
{
	(void)s;
	(void)body;
	(void)opt;
	(void)ret_etag;
	return err_set(err, ERR_USAGE, "%s: this store was opened to be read only", key);
}

int
store_refuse_del(struct store *s, const char *key, struct err *err)
{
	(void)s;
	return err_set(err, ERR_USAGE, "%s: this store was opened to be read only", key);
}

/* file:///dir: an absolute path, percent-encoded where need be. */
static int
folder_of(const char *url, struct sv rest, struct buf *dir, struct err *err)
{
	if (!sv_starts(rest, SV("/")))
		return err_set(err, ERR_USAGE, "%s: a file store is written file:///absolute/path",
			       url);
	if (memchr(rest.p, '?', rest.n) || memchr(rest.p, '#', rest.n))
		return err_set(err, ERR_USAGE,
			       "%s: '?' and '#' in a path are written %%3F and %%23", url);
	if (!uri_decode(dir, rest, false) || !buf_ok(dir) || memchr(buf_cstr(dir), '\0', dir->n))
		return dir->no_memory ? err_nomem(err)
				      : err_set(err, ERR_USAGE,
						"%s: the path is too long or wrongly encoded", url);
	return 0;
}

static int
open_file(const char *url, struct sv rest, const struct store_env *env, struct store **ret,
	  struct err *err)
{
	CLEANUP(buf_done) struct buf dir = BUF_INIT(PATH_MAX_BYTES);

	if (folder_of(url, rest, &dir, err) < 0)
		return -1;
	return env && env->read_only ? store_file_look(buf_cstr(&dir), ret, err)
				     : store_file_new(buf_cstr(&dir), ret, err);
}

static int
try_file(const char *url, struct sv rest, const struct store_env *env, const struct trials *to,
	 struct err *err)
{
	CLEANUP(buf_done) struct buf dir = BUF_INIT(PATH_MAX_BYTES);

	(void)env;
	if (folder_of(url, rest, &dir, err) < 0)
		return -1;
	return store_file_try(buf_cstr(&dir), to, err);
}

static int
check_env(const char *url, const struct store_env *env, struct err *err)
{
	if (!env || !env->transport || !env->creds)
		return err_set(err, ERR_AUTH, "%s: there are no credentials to sign with", url);
	return 0;
}

static int
open_s3(const char *url, struct sv rest, const struct store_env *env, struct store **ret,
	struct err *err)
{
	return check_env(url, env, err) < 0 ? -1 : store_s3_new(rest, env, ret, err);
}

static int
try_s3(const char *url, struct sv rest, const struct store_env *env, const struct trials *to,
       struct err *err)
{
	return check_env(url, env, err) < 0 ? -1 : store_s3_try(rest, env, to, err);
}

static const struct scheme {
	const char *prefix;
	int (*open)(const char *url, struct sv rest, const struct store_env *env,
		    struct store **ret, struct err *err);
	int (*attempt)(const char *url, struct sv rest, const struct store_env *env,
		       const struct trials *to, struct err *err);
} schemes[] = {
    {"file://", open_file, try_file},
    {"s3://", open_s3, try_s3},
};

/* *rest: what stands behind the scheme. */
static const struct scheme *
scheme_of(const char *url, struct sv *rest, struct err *err)
{
	struct sv all = sv_of(url);

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		struct sv prefix = sv_of(schemes[i].prefix);

		if (!sv_starts(all, prefix))
			continue;
		*rest = (struct sv){all.p + prefix.n, all.n - prefix.n};
		return &schemes[i];
	}
	(void)err_set(err, ERR_USAGE,
		      "%s: not a store's URL; file:///dir and s3://bucket/prefix are", url);
	return NULL;
}

int
store_get_spool(struct store *s, const char *key, const char *const *want, struct spool *out,
		struct store_info *info, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SPOOL_LOAD_MAX);

	if (s->ops->get_spool)
		return s->ops->get_spool(s, key, want, out, info, err);
	if (store_get(s, key, want, &body, info, err) < 0)
		return -1;
	return spool_add(out, buf_view(&body), err);
}

/* A part of a spool, in pieces. */
static int
cut(const struct spool *whole, uint64_t at, uint64_t n, struct spool *out, struct err *err)
{
	char piece[4096];

	while (n > 0) {
		size_t take = n < sizeof(piece) ? (size_t)n : sizeof(piece);

		if (spool_read(whole, at, piece, take, err) < 0 ||
		    spool_add(out, (struct sv){piece, take}, err) < 0)
			return -1;
		at += take;
		n -= take;
	}
	return 0;
}

int
store_get_range(struct store *s, const char *key, uint64_t at, uint64_t n, struct spool *out,
		struct err *err)
{
	struct spool whole = SPOOL_INIT;
	int rc;

	if (s->ops->get_range)
		return s->ops->get_range(s, key, at, n, out, err);
	rc = store_get_spool(s, key, NULL, &whole, NULL, err);
	if (rc == 0 && (at > spool_size(&whole) || n > spool_size(&whole) - at))
		rc = err_set(err, ERR_DATA, "%s: it is shorter than it should be", key);
	if (rc == 0)
		rc = cut(&whole, at, n, out, err);
	spool_done(&whole);
	return rc;
}

int
store_del_match(struct store *s, const char *key, const char *etag, struct err *err)
{
	return s->ops->del_match ? s->ops->del_match(s, key, etag, err) : s->ops->del(s, key, err);
}

int
store_put_spool(struct store *s, const char *key, const struct spool *body,
		const struct store_put *opt, char ret_etag[STORE_ETAG_MAX], struct err *err)
{
	CLEANUP(buf_done) struct buf all = BUF_INIT(SPOOL_LOAD_MAX);

	if (s->ops->put_spool)
		return s->ops->put_spool(s, key, body, opt, ret_etag, err);
	if (spool_load(body, &all, err) < 0)
		return -1;
	return store_put(s, key, buf_view(&all), opt, ret_etag, err);
}

int
store_open(const char *url, const struct store_env *env, struct store **ret, struct err *err)
{
	struct sv rest;
	const struct scheme *s = scheme_of(url, &rest, err);

	return s ? s->open(url, rest, env, ret, err) : -1;
}

int
store_try(const char *url, const struct store_env *env, const struct trials *to, struct err *err)
{
	struct sv rest;
	const struct scheme *s = scheme_of(url, &rest, err);

	return s ? s->attempt(url, rest, env, to, err) : -1;
}
