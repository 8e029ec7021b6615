/*
 * uthash behind the names of map.h. Its macros stay in this file, and running out of memory comes
 * back as an error instead of ending the program.
 */
#include "base/map.h"

static void
table_oom(bool *failed)
{
	*failed = true;
}

#define HASH_NONFATAL_OOM	 1
#define uthash_nonfatal_oom(elt) table_oom(&failed)
#include <uthash.h>

struct map_entry {
	UT_hash_handle hh;
	void *value;
	size_t n;
	char key[];
};

static struct map_entry *
find(const struct map *m, struct sv key)
{
	const char *p = key.n ? key.p : "";
	struct map_entry *e = NULL;

	HASH_FIND(hh, m->head, p, key.n, e);
	return e;
}

void *
map_get(const struct map *m, struct sv key)
{
	const struct map_entry *e = find(m, key);

	return e ? e->value : NULL;
}

static int
add(struct map *m, struct sv key, void *value, struct err *err)
{
	bool failed = false;
	struct map_entry *e;

	if (key.n > UINT32_MAX / 2)
		return err_set(err, ERR_LOCAL, "map key too long");
	e = malloc(sizeof(*e) + key.n + 1);
	if (!e)
		return err_nomem(err);
	memset(e, 0, sizeof(*e));
	e->value = value;
	e->n = key.n;
	if (key.n)
		memcpy(e->key, key.p, key.n);
	e->key[key.n] = '\0';
	HASH_ADD_KEYPTR(hh, m->head, e->key, e->n, e);
	if (failed) {
		free(e);
		return err_nomem(err);
	}
	return 0;
}

int
map_put(struct map *m, struct sv key, void *value, void **ret_old, struct err *err)
{
	struct map_entry *e = find(m, key);

	if (ret_old)
		*ret_old = e ? e->value : NULL;
	if (!e)
		return add(m, key, value, err);
	e->value = value;
	return 0;
}

void *
map_del(struct map *m, struct sv key)
{
	struct map_entry *e = find(m, key);
	void *value;

	if (!e)
		return NULL;
	HASH_DEL(m->head, e);
	value = e->value;
	free(e);
	return value;
}

size_t
map_count(const struct map *m)
{
	return HASH_COUNT(m->head);
}

void
map_each(const struct map *m, void (*fn)(struct sv key, void *value, void *arg), void *arg)
{
	for (struct map_entry *e = m->head, *next; e; e = next) {
		next = e->hh.next;
		fn((struct sv){e->key, e->n}, e->value, arg);
	}
}

void
map_done(struct map *m, void (*free_value)(void *))
{
	struct map_entry *e = m->head;

	HASH_CLEAR(hh, m->head);
	while (e) {
		struct map_entry *next = e->hh.next;

		if (free_value)
			free_value(e->value);
		free(e);
		e = next;
	}
}
