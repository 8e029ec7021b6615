/*
 * A bump allocator. Decoding one page makes thousands of small strings and nodes that all die
 * together: handing them out of a few blocks costs no bookkeeping and cannot leak one of them.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>

#define BLOCK_MIN 4096
#define BLOCK_MAX ((size_t)64 << 10)
#define ALIGN	  alignof(max_align_t)
#define FIRST	  8 /* elements of an array that grows */

struct arena_block {
	struct arena_block *next;
	size_t cap;
	size_t n;
	alignas(max_align_t) unsigned char p[];
};

static size_t
room(const struct arena_block *b)
{
	return b ? b->cap - b->n : 0;
}

/* A block of at least n bytes. A piece that would fill most of one gets a block of its own size
 * behind the head, which has room left for small ones: so nothing large is ever half empty. */
static struct arena_block *
add_block(struct arena *a, size_t n)
{
	size_t cap = a->head ? a->head->cap * 2 : BLOCK_MIN;
	struct arena_block *b;

	bool own;

	if (cap > BLOCK_MAX)
		cap = BLOCK_MAX;
	own = n > cap / 2;
	if (own)
		cap = n;
	b = malloc(sizeof(*b) + cap);
	if (!b)
		return NULL;
	b->cap = cap;
	b->n = 0;
	if (a->head && own) {
		b->next = a->head->next;
		a->head->next = b;
	} else {
		b->next = a->head;
		a->head = b;
	}
	return b;
}

/* As arena_alloc(), with whatever is there. */
static void *
take(struct arena *a, size_t n)
{
	struct arena_block *b = a->head;
	void *p;

	if (n > SIZE_MAX / 2)
		return NULL;
	n = n ? (n + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
	if (n > a->max || a->used > a->max - n)
		return NULL;
	if (room(b) < n) {
		b = add_block(a, n);
		if (!b) {
			a->no_memory = true;
			return NULL;
		}
	}
	p = b->p + b->n;
	b->n += n;
	a->used += n;
	return p;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	void *p = take(a, n);

	return p ? memset(p, 0, n) : NULL;
}

void *
arena_array(struct arena *a, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	return arena_alloc(a, bytes);
}

void *
arena_grow(struct arena *a, void *v, size_t n, size_t *cap, size_t size)
{
	size_t want = *cap ? *cap * 2 : FIRST;
	void *p;

	if (n < *cap)
		return v;
	p = arena_array(a, want, size);
	if (!p)
		return NULL;
	if (n)
		memcpy(p, v, n * size);
	*cap = want;
	return p;
}

char *
arena_strdup(struct arena *a, struct sv s)
{
	char *d = s.n < SIZE_MAX ? take(a, s.n + 1) : NULL;

	if (d && s.n)
		memcpy(d, s.p, s.n);
	if (d)
		d[s.n] = '\0';
	return d;
}

void
arena_reset(struct arena *a)
{
	struct arena_block *keep = a->head;

	for (struct arena_block *b = a->head; b; b = b->next)
		if (b->cap > keep->cap)
			keep = b;
	for (struct arena_block *b = a->head, *next; b; b = next) {
		next = b->next;
		if (b != keep)
			free(b);
	}
	if (keep) {
		keep->next = NULL;
		keep->n = 0;
	}
	a->head = keep;
	a->used = 0;
}

void
arena_done(struct arena *a)
{
	for (struct arena_block *b = a->head, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	a->head = NULL;
	a->used = 0;
}

/* The whole blocks: also what a reset forgot. */
void
arena_wipe(struct arena *a)
{
	for (struct arena_block *b = a->head; b; b = b->next)
		explicit_bzero(b->p, b->cap);
	arena_done(a);
}
