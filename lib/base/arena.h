/*
 * Memory that is freed all at once: what is decoded from one page or one cell lives in its arena.
 *
 * Blocks double up to 64 KiB; an arena has a ceiling like struct buf. Not thread-safe: one owner at a time.
 */
#ifndef MUSTER_BASE_ARENA_H
#define MUSTER_BASE_ARENA_H

#include <stddef.h>

#include "base/buf.h"

struct arena_block;
struct arena {
	struct arena_block *head;
	size_t used; /* bytes handed out */
	size_t max;
	bool no_memory; /* that is why there was nothing; else it was the ceiling */
};

#define ARENA_INIT(max_bytes) ((struct arena){ .max = (max_bytes) })

/* Zeroed memory aligned for any type, or NULL (ceiling or no memory). */
void *arena_alloc(struct arena *a, size_t n);
/* Room for n elements of `size`, overflow checked. */
void *arena_array(struct arena *a, size_t n, size_t size);
/* Room in the array v (NULL: none yet) for one more than its n elements of that size: v itself, or a copy of twice the size,
 * with *cap set anew. NULL without memory, and v is as it was. */
void *arena_grow(struct arena *a, void *v, size_t n, size_t *cap, size_t size);
/* A NUL-terminated copy. */
char *arena_strdup(struct arena *a, struct sv s);
/* Forget the contents, keep the largest block. */
void arena_reset(struct arena *a);
void arena_done(struct arena *a);
/* As arena_done, for what holds secrets: nothing of it is left in memory. */
void arena_wipe(struct arena *a);

#endif
