/* Counting calls for somebody; see tally.h. */
#include "base/tally.h"

#include <stdlib.h>
#include <string.h>

static _Thread_local struct tally *used;

struct tally *
tally_use(struct tally *t)
{
	struct tally *before = used;

	used = t;
	return before;
}

struct tally *
tally_used(void)
{
	return used;
}

void
tally_done(struct tally *t)
{
	free(t->v);
	*t = (struct tally){0};
}

/* Codes are the services' words, and become labels. */
static void
put(char *to, size_t size, const char *s)
{
	size_t n = 0;

	for (; n < size - 1 && s[n]; n++)
		to[n] = (char)(s[n] > 0x20 && s[n] < 0x7f ? s[n] : '?');
	to[n] = '\0';
}

static int
compare(const struct tally_row *a, const struct tally_row *b)
{
	int r = strcmp(a->service, b->service);

	r = r ? r : strcmp(a->operation, b->operation);
	return r ? r : strcmp(a->code, b->code);
}

/* Where a row is or belongs. */
static size_t
place(const struct tally *t, const struct tally_row *row)
{
	size_t i = 0;

	while (i < t->n && compare(&t->v[i], row) < 0)
		i++;
	return i;
}

static bool
insert(struct tally *t, size_t at, const struct tally_row *row)
{
	struct tally_row *v;

	if (t->n == TALLY_ROWS_MAX)
		return false;
	v = reallocarray(t->v, t->n + 1, sizeof(*v));
	if (!v)
		return false;
	t->v = v;
	memmove(v + at + 1, v + at, (t->n - at) * sizeof(*v));
	v[at] = *row;
	t->n++;
	return true;
}

static struct tally_row
make_row(const char *service, const char *operation, const char *code, uint64_t calls)
{
	struct tally_row row = {.calls = calls};

	put(row.service, sizeof(row.service), service);
	put(row.operation, sizeof(row.operation), operation);
	put(row.code, sizeof(row.code), code);
	return row;
}

static bool
holds(const struct tally *t, size_t at, const struct tally_row *row)
{
	return at < t->n && compare(&t->v[at], row) == 0;
}

void
tally_add(struct tally *t, const char *service, const char *operation, const char *code,
	  uint64_t calls)
{
	struct tally_row row = make_row(service, operation, code, calls);
	size_t at = place(t, &row);

	/* The last rows are kept for codes that are added up. */
	if (!holds(t, at, &row) && t->n >= TALLY_ROWS_MAX / 2) {
		put(row.code, sizeof(row.code), "other");
		at = place(t, &row);
	}
	if (holds(t, at, &row))
		t->v[at].calls += calls;
	else
		(void)insert(t, at, &row);
}

bool
tally_restore(struct tally *t, const char *service, const char *operation, const char *code,
	      uint64_t calls)
{
	const struct tally_row row = make_row(service, operation, code, calls);
	size_t at = place(t, &row);

	return *service && *operation && *code && calls && !holds(t, at, &row) &&
	       !strcmp(row.service, service) && !strcmp(row.operation, operation) &&
	       !strcmp(row.code, code) && insert(t, at, &row);
}

void
tally_add_all(struct tally *t, const struct tally *more)
{
	for (size_t i = 0; i < more->n; i++)
		tally_add(t, more->v[i].service, more->v[i].operation, more->v[i].code,
			  more->v[i].calls);
}
