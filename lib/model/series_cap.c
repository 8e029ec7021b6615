/* Fair shares of a bounded number of series; see series_cap.h. */
#include "model/series_cap.h"

#include <stdlib.h>
#include <string.h>

#include "model/seen.h"

struct ranked {
	const char *name;
	uint64_t key;
	size_t rank; /* among those of its name */
};

static int
by_name(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	int r = x->name == y->name ? 0 : strcmp(x->name, y->name);

	return r ? r : (x->key > y->key) - (x->key < y->key);
}

static int
by_rank(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank > y->rank ? 1 : -1;
	return (x->key > y->key) - (x->key < y->key);
}

static int
by_key(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static size_t
count_rows(const struct cell_data *d)
{
	size_t n = 0;

	for (; d; d = d->later)
		n += d->n_rows;
	return n;
}

/* Each series once, by its name and hash; returns how many there are. */
static size_t
rank_all(struct ranked *v, const struct cell_data *d)
{
	size_t n = 0, distinct = 0;

	for (; d; d = d->later)
		for (size_t i = 0; i < d->n_rows; i++)
			v[n++] = (struct ranked){.name = d->rows[i].series->name,
						 .key = seen_key(d->rows[i].series)};
	qsort(v, n, sizeof(*v), by_name);
	for (size_t i = 0; i < n; i++) {
		const struct ranked *last = distinct ? &v[distinct - 1] : NULL;
		bool named_alike = last && !strcmp(last->name, v[i].name);

		if (named_alike && last->key == v[i].key)
			continue;
		v[i].rank = named_alike ? last->rank + 1 : 0;
		v[distinct++] = v[i];
	}
	return distinct;
}

int
series_cap_choose(struct series_cap *c, const struct cell_data *whole, size_t max, struct err *err)
{
	size_t n = count_rows(whole);
	struct ranked *v;

	*c = (struct series_cap){0};
	if (!max || n <= max)
		return 0;
	v = calloc(n, sizeof(*v));
	if (!v)
		return err_nomem(err);
	n = rank_all(v, whole);
	if (n > max) {
		c->kept = calloc(max, sizeof(*c->kept));
		if (!c->kept) {
			free(v);
			return err_nomem(err);
		}
		qsort(v, n, sizeof(*v), by_rank);
		for (; c->n < max; c->n++)
			c->kept[c->n] = v[c->n].key;
		qsort(c->kept, c->n, sizeof(*c->kept), by_key);
		c->over = n - max;
	}
	free(v);
	return 0;
}

void
series_cap_done(struct series_cap *c)
{
	free(c->kept);
	*c = (struct series_cap){0};
}

int
series_cap_take(const struct series_cap *c, const struct cell_data *d, struct cell_data *to,
		struct err *err)
{
	to->late = d->late;
	if (!c->kept) {
		to->rows = d->rows;
		to->n_rows = d->n_rows;
		to->n_samples = d->n_samples;
		return 0;
	}
	to->rows = arena_array(&to->arena, d->n_rows, sizeof(*to->rows));
	if (!to->rows)
		return err_nomem(err);
	for (size_t i = 0; i < d->n_rows; i++) {
		uint64_t key = seen_key(d->rows[i].series);

		if (!bsearch(&key, c->kept, c->n, sizeof(key), by_key))
			continue;
		to->rows[to->n_rows++] = d->rows[i];
		to->n_samples += sample_points(&d->rows[i]);
	}
	return 0;
}
