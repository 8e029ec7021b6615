/*
 * Bytes: borrowed views and owned, growing buffers with a ceiling.
 *
 * `struct sv` is a view: pointer and length, passed by value, never freed, not NUL-terminated.
 * `struct buf` owns its bytes, keeps a NUL after them, and is born with the largest size it may ever
 * have: whoever controls the input never controls our memory. A buf that failed once (no memory, or the
 * ceiling) stays failed: appends do nothing, and buf_ok() or buf_check() tells at the end, so a long
 * row of appends needs one check.
 */
#ifndef MUSTER_BASE_BUF_H
#define MUSTER_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/err.h"

struct sv {
	const char *p;
	size_t n;
};

#define SV(lit) ((struct sv){ (lit), sizeof(lit) - 1 })

static inline struct sv
sv_of(const char *s)
{
	return (struct sv){ s, s ? strlen(s) : 0 };
}

bool sv_eq(struct sv a, struct sv b);
int sv_cmp(struct sv a, struct sv b); /* bytewise, shorter first */
bool sv_starts(struct sv s, struct sv prefix);
bool sv_ends(struct sv s, struct sv suffix);
/* A NUL-terminated copy on the heap (the caller frees it), NULL without memory. */
char *sv_dup(struct sv s);

struct buf {
	char *p;
	size_t n;   /* bytes in use */
	size_t cap; /* bytes allocated */
	size_t max; /* ceiling */
	bool failed;
	bool no_memory; /* why: else it was the ceiling */
};

#define BUF_INIT(max_bytes) ((struct buf){ .max = (max_bytes) })

void buf_done(struct buf *b);  /* frees; the buf may be used again */
void buf_reset(struct buf *b); /* empties and forgives a failure, keeps the memory */
bool buf_reserve(struct buf *b, size_t more);
void buf_add_slowly(struct buf *b, const void *p, size_t n);
/* Most appends find room: pages are put together from millions of them. */
static inline void
buf_add(struct buf *b, const void *p, size_t n)
{
	if (b->failed || n >= b->cap - b->n || n > b->max - b->n) {
		buf_add_slowly(b, p, n);
		return;
	}
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
	b->p[b->n] = '\0';
}
static inline void
buf_sv(struct buf *b, struct sv s)
{
	buf_add(b, s.p, s.n);
}
static inline void
buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}
static inline void
buf_ch(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}
void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline bool
buf_ok(const struct buf *b)
{
	return !b->failed;
}
/* 0, or -1 with "what: larger than N bytes" or "what: out of memory" (ERR_LOCAL). */
int buf_check(const struct buf *b, const char *what, struct err *err);
static inline struct sv
buf_view(const struct buf *b)
{
	return (struct sv){ b->p ? b->p : "", b->n };
}
/* The bytes as a C string owned by b; "" when empty. */
static inline const char *
buf_cstr(const struct buf *b)
{
	return b->p ? b->p : "";
}
/* Takes the heap string out of b (the caller frees it) and leaves b empty; NULL if b failed or no memory. */
char *buf_steal(struct buf *b);

#endif
