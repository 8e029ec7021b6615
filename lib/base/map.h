/*
 * A map from byte strings to pointers (uthash behind our names). Keys are copied. Iteration order is
 * insertion order. Not thread-safe.
 */
#ifndef MUSTER_BASE_MAP_H
#define MUSTER_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct map_entry;
struct map {
	struct map_entry *head;
};
#define MAP_INIT ((struct map){ NULL })

void *map_get(const struct map *m, struct sv key); /* NULL: absent */
/* Adds or replaces; the old value in *ret_old (may be NULL). -1 without memory. */
int map_put(struct map *m, struct sv key, void *value, void **ret_old, struct err *err);
void *map_del(struct map *m, struct sv key);
size_t map_count(const struct map *m);
void map_each(const struct map *m, void (*fn)(struct sv key, void *value, void *arg), void *arg);
/* Frees the keys, and the values through free_value if it is not NULL. */
void map_done(struct map *m, void (*free_value)(void *));

#endif
