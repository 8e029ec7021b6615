/* Views and capped buffers; see buf.h. */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

bool
sv_eq(struct sv a, struct sv b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

int
sv_cmp(struct sv a, struct sv b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.p, b.p, n) : 0;

	if (c)
		return c;
	return (a.n > b.n) - (a.n < b.n);
}

bool
sv_starts(struct sv s, struct sv prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool
sv_ends(struct sv s, struct sv suffix)
{
	return s.n >= suffix.n &&
	       (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

char *
sv_dup(struct sv s)
{
	char *d = malloc(s.n + 1);

	if (!d)
		return NULL;
	if (s.n)
		memcpy(d, s.p, s.n);
	d[s.n] = '\0';
	return d;
}

void
buf_done(struct buf *b)
{
	free(b->p);
	*b = BUF_INIT(b->max);
}

void
buf_reset(struct buf *b)
{
	b->n = 0;
	b->failed = b->no_memory = false;
	if (b->p)
		b->p[0] = '\0';
}

/* Makes room for `more` bytes and the NUL; doubles at the least, never beyond the ceiling. */
bool
buf_reserve(struct buf *b, size_t more)
{
	size_t cap = b->cap ? b->cap : 64;
	char *p;

	if (b->failed)
		return false;
	if (more > b->max || b->n > b->max - more) {
		b->failed = true;
		return false;
	}
	if (b->n + more < b->cap)
		return true;
	if (cap <= b->n + more)
		cap *= 2;
	if (cap <= b->n + more)
		cap = b->n + more + 1; /* one large piece, whose size is known */
	p = realloc(b->p, cap);
	if (!p) {
		b->failed = b->no_memory = true;
		return false;
	}
	b->p = p;
	b->p[b->n] = '\0';
	b->cap = cap;
	return true;
}

void
buf_add_slowly(struct buf *b, const void *p, size_t n)
{
	if (!buf_reserve(b, n))
		return;
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
	b->p[b->n] = '\0';
}

void
buf_fmt(struct buf *b, const char *fmt, ...)
{
	/* Most of what is written fits into the room there is, and is written once. */
	size_t room = b->failed ? 0 : b->cap - b->n;
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(room ? b->p + b->n : NULL, room, fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
	} else if (buf_reserve(b, (size_t)n)) {
		if ((size_t)n >= room)
			(void)vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
		b->n += (size_t)n;
	}
	va_end(again);
	if (b->failed && room)
		b->p[b->n] = '\0';
}

int
buf_check(const struct buf *b, const char *what, struct err *err)
{
	if (!b->failed)
		return 0;
	if (b->no_memory) {
		(void)err_nomem(err);
		return err_wrap(err, "%s", what);
	}
	return err_set(err, ERR_LOCAL, "%s: larger than %zu bytes", what, b->max);
}

char *
buf_steal(struct buf *b)
{
	char *p;

	if (b->failed || !buf_reserve(b, 0))
		return NULL;
	b->p[b->n] = '\0';
	p = b->p;
	*b = BUF_INIT(b->max);
	return p;
}
