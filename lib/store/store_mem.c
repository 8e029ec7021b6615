/*
 * A store in memory: the smallest thing that keeps the contract of store.h, for tests of what
 * stands on a store, and as the yardstick for the others in the tests that all of them have to
 * pass.
 */
#include "store/store.h"

#include <pthread.h>

#include "base/cleanup.h"
#include "base/grow.h"
#include "base/hash.h"

struct object {
	char *key;
	char *bytes;
	size_t n;
	char etag[SHA256_HEX_LEN + 1];
	char *names[STORE_META_MAX];
	char *values[STORE_META_MAX];
	size_t n_meta;
};

struct store_lock {
	struct store_lock *next;
	char *key;
};

struct mem_store {
	struct store base;
	pthread_mutex_t mutex; /* guards all below */
	struct object **v;     /* sorted by key */
	size_t n, cap;
	struct store_lock *locks;
};

static void
unlockp(pthread_mutex_t **m)
{
	if (*m)
		(void)pthread_mutex_unlock(*m);
}

/* The mutex is held until the end of the scope. */
#define HOLD(m)                                                                                    \
	CLEANUP(unlockp) pthread_mutex_t *held_ = &(m)->mutex;                                     \
	(void)pthread_mutex_lock(held_)

static struct mem_store *
mem_of(struct store *s)
{
	return (struct mem_store *)s;
}

static void
object_free(struct object *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->n_meta; i++) {
		free(o->names[i]);
		free(o->values[i]);
	}
	free(o->key);
	free(o->bytes);
	free(o);
}
DEFINE_FREEP(struct object, object_free)

/* Where the key is (true) or would be. */
static bool
find(const struct mem_store *m, const char *key, size_t *ret_at)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(m->v[mid]->key, key);

		if (c == 0) {
			*ret_at = mid;
			return true;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_at = lo;
	return false;
}

static const char *
meta_of(const struct object *o, const char *name)
{
	for (size_t i = 0; i < o->n_meta; i++)
		if (strcmp(o->names[i], name) == 0)
			return o->values[i];
	return "";
}

static int
mem_get(struct store *s, const char *key, const char *const *want, struct buf *out,
	struct store_info *info, struct err *err)
{
	struct mem_store *m = mem_of(s);
	const struct object *o;
	size_t at;

	if (store_key_check(key, err) < 0)
		return -1;
	HOLD(m);
	if (!find(m, key, &at))
		return err_set(err, ERR_NOTFOUND, "%s: no such object", key);
	o = m->v[at];
	buf_reset(out);
	buf_add(out, o->bytes, o->n);
	if (buf_check(out, key, err) < 0)
		return -1;
	if (!info)
		return 0;
	memset(info, 0, sizeof(*info));
	(void)snprintf(info->etag, sizeof(info->etag), "%s", o->etag);
	for (size_t i = 0; want && want[i] && i < STORE_META_MAX; i++)
		(void)snprintf(info->meta[i], sizeof(info->meta[i]), "%s", meta_of(o, want[i]));
	return 0;
}

static struct object *
object_new(const char *key, struct sv body, const struct store_put *opt)
{
	CLEANUP(object_freep) struct object *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->key = sv_dup(sv_of(key));
	o->bytes = sv_dup(body);
	o->n = body.n;
	if (!o->key || !o->bytes)
		return NULL;
	sha256_hex(body, o->etag);
	for (size_t i = 0; i < opt->n_meta; i++) {
		o->n_meta = i + 1;
		o->names[i] = sv_dup(sv_of(opt->meta[i].name));
		o->values[i] = sv_dup(sv_of(opt->meta[i].value));
		if (!o->names[i] || !o->values[i])
			return NULL;
	}
	return STEAL(o);
}

/* Puts o at its place; the store owns it from here on. */
static int
insert(struct mem_store *m, size_t at, struct object *o, struct err *err)
{
	struct object **v = array_grow(m->v, m->n, &m->cap, sizeof(struct object *), err);

	if (!v)
		return -1;
	m->v = v;
	memmove(m->v + at + 1, m->v + at, (m->n - at) * sizeof(struct object *));
	m->v[at] = o;
	m->n++;
	return 0;
}

static int
mem_put(struct store *s, const char *key, struct sv body, const struct store_put *opt,
	char ret_etag[STORE_ETAG_MAX], struct err *err)
{
	struct mem_store *m = mem_of(s);
	CLEANUP(object_freep) struct object *o = NULL;
	bool exists;
	size_t at;

	if (store_put_check(key, opt, err) < 0)
		return -1;
	o = object_new(key, body, opt);
	if (!o)
		return err_nomem(err);
	HOLD(m);
	exists = find(m, key, &at);
	if (opt->cond == STORE_CREATE && exists)
		return err_set(err, ERR_CONFLICT, "%s: it exists already", key);
	if (opt->cond == STORE_MATCH && (!exists || strcmp(m->v[at]->etag, opt->etag) != 0))
		return err_set(err, ERR_CONFLICT, "%s: another generation is stored", key);
	if (ret_etag)
		(void)snprintf(ret_etag, STORE_ETAG_MAX, "%s", o->etag);
	if (exists) {
		struct object *old = m->v[at];

		m->v[at] = STEAL(o);
		object_free(old);
		return 0;
	}
	if (insert(m, at, o, err) < 0)
		return -1;
	o = NULL;
	return 0;
}

static void
keys_free(char **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i]);
	free(v);
}

/* Copies of the keys, so that fn is called without the mutex. */
static int
keys_below(struct mem_store *m, const char *prefix, char ***ret, size_t *ret_n, struct err *err)
{
	size_t n = 0, at;
	char **v;

	HOLD(m);
	(void)find(m, prefix, &at);
	v = calloc(m->n + 1, sizeof(*v));
	if (!v)
		return err_nomem(err);
	for (; at < m->n && sv_starts(sv_of(m->v[at]->key), sv_of(prefix)); at++) {
		v[n] = sv_dup(sv_of(m->v[at]->key));
		if (!v[n]) {
			keys_free(v, n);
			return err_nomem(err);
		}
		n++;
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

static int
mem_list(struct store *s, const char *prefix, int (*fn)(const char *key, void *arg), void *arg,
	 struct err *err)
{
	char **v = NULL;
	size_t n = 0;

	if (!store_prefix_valid(prefix))
		return err_set(err, ERR_USAGE, "not a valid prefix: \"%.200s\"", prefix);
	if (keys_below(mem_of(s), prefix, &v, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (fn(v[i], arg) != 0)
			break;
	keys_free(v, n);
	return 0;
}

static int
mem_del(struct store *s, const char *key, struct err *err)
{
	struct mem_store *m = mem_of(s);
	size_t at;

	if (store_key_check(key, err) < 0)
		return -1;
	HOLD(m);
	if (!find(m, key, &at))
		return 0;
	object_free(m->v[at]);
	m->n--;
	memmove(m->v + at, m->v + at + 1, (m->n - at) * sizeof(struct object *));
	return 0;
}

static int
mem_lock(struct store *s, const char *key, struct store_lock **ret, struct err *err)
{
	struct mem_store *m = mem_of(s);
	struct store_lock *l;

	if (store_key_check(key, err) < 0)
		return -1;
	HOLD(m);
	for (l = m->locks; l; l = l->next)
		if (strcmp(l->key, key) == 0)
			return err_set(err, ERR_CONFLICT, "%s: locked by another", key);
	l = calloc(1, sizeof(*l));
	if (!l)
		return err_nomem(err);
	l->key = sv_dup(sv_of(key));
	if (!l->key) {
		free(l);
		return err_nomem(err);
	}
	l->next = m->locks;
	m->locks = l;
	*ret = l;
	return 0;
}

static void
mem_unlock(struct store *s, struct store_lock *l)
{
	struct mem_store *m = mem_of(s);

	if (!l)
		return;
	HOLD(m);
	for (struct store_lock **p = &m->locks; *p; p = &(*p)->next) {
		if (*p != l)
			continue;
		*p = l->next;
		break;
	}
	free(l->key);
	free(l);
}

static void
mem_free(struct store *s)
{
	struct mem_store *m = mem_of(s);

	for (size_t i = 0; i < m->n; i++)
		object_free(m->v[i]);
	free(m->v);
	while (m->locks)
		mem_unlock(s, m->locks);
	(void)pthread_mutex_destroy(&m->mutex);
	free(m);
}

static const struct store_ops mem_ops = {
    .name = "mem",
    .get = mem_get,
    .put = mem_put,
    .list = mem_list,
    .del = mem_del,
    .lock = mem_lock,
    .unlock = mem_unlock,
    .free = mem_free,
};

int
store_mem_new(struct store **ret, struct err *err)
{
	struct mem_store *m = calloc(1, sizeof(*m));

	if (!m)
		return err_nomem(err);
	if (pthread_mutex_init(&m->mutex, NULL) != 0) {
		free(m);
		return err_set(err, ERR_LOCAL, "no mutex for a store in memory");
	}
	m->base.ops = &mem_ops;
	*ret = &m->base;
	return 0;
}
