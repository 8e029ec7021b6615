/* Identity and order of series; see series.h. */
#include "model/series.h"

#include <math.h>
#include <stdlib.h>

int
label_by_name(const void *a, const void *b)
{
	const struct label *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int
label_cmp(const struct label *a, const struct label *b)
{
	int c = label_by_name(a, b);

	return c ? c : strcmp(a->value, b->value);
}

const struct label_len *
label_count(const struct label *v, size_t n, struct arena *a)
{
	struct label_len *lens = arena_array(a, n, sizeof(*lens));

	for (size_t i = 0; lens && i < n; i++) {
		size_t name = strlen(v[i].name), value = strlen(v[i].value);

		if (name > UINT16_MAX || value > UINT16_MAX)
			return NULL;
		lens[i] = (struct label_len){(uint16_t)name, (uint16_t)value};
	}
	return lens;
}

int
series_cmp(const struct series *a, const struct series *b)
{
	size_t n = a->n_labels < b->n_labels ? a->n_labels : b->n_labels;
	int c = strcmp(a->name, b->name);

	for (size_t i = 0; i < n && !c; i++)
		c = label_cmp(&a->labels[i], &b->labels[i]);
	return c ? c : (a->n_labels > b->n_labels) - (a->n_labels < b->n_labels);
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
name_valid(const char *name, char also)
{
	if (!is_letter(*name) && (*name != also || !also))
		return false;
	for (; *name; name++)
		if (!is_letter(*name) && !is_digit(*name) && (*name != also || !also))
			return false;
	return true;
}

bool
series_name_valid(const char *name)
{
	return name_valid(name, ':');
}

bool
label_name_valid(const char *name)
{
	return name_valid(name, '\0');
}

void
cell_data_init(struct cell_data *d, struct cell c)
{
	*d = (struct cell_data){
	    .cell = c,
	    .arena = ARENA_INIT(CELL_ARENA_MAX),
	    .ndjson = BUF_INIT(CELL_NDJSON_MAX),
	};
}

void
cell_data_done(struct cell_data *d)
{
	if (d->later) {
		cell_data_done(d->later);
		free(d->later);
		d->later = NULL;
	}
	arena_done(&d->arena);
	buf_done(&d->ndjson);
	if (d->spool)
		spool_done(d->spool);
	free(d->spool);
	d->spool = NULL;
	d->rows = NULL;
	d->n_rows = 0;
	d->alarms = NULL;
	d->n_alarms = 0;
}

/* A row's point at a time; not finite: none. */
static double
value_at(const struct sample_row *row, int64_t ms)
{
	int64_t at = ms - row->first_ms;

	if (at < 0 || at % row->series->period_ms || at / row->series->period_ms >= (int64_t)row->n)
		return NAN;
	return row->values[at / row->series->period_ms];
}

/* Of values that have times of their own: by time, the old one where both have it. */
static int
merge_timed(struct cell_data *d, const struct sample_row *old, const struct sample_row *more,
	    struct sample_row *ret, struct err *err)
{
	double *values = arena_array(&d->arena, old->n + more->n, sizeof(*values));
	int64_t *times = arena_array(&d->arena, old->n + more->n, sizeof(*times));
	size_t n = 0, a = 0, b = 0;

	if (!values || !times)
		return err_nomem(err);
	while (a < old->n || b < more->n) {
		bool has_old = a < old->n && (b == more->n || old->times[a] <= more->times[b]);
		bool both = has_old && b < more->n && old->times[a] == more->times[b];

		times[n] = has_old ? old->times[a] : more->times[b];
		values[n++] = has_old ? old->values[a] : more->values[b];
		d->n_samples += !has_old;
		a += has_old;
		b += !has_old || both;
	}
	*ret = (struct sample_row){old->series, times[0], values, n, times};
	return 0;
}

/* One row for a series that has points in both. */
static int
merge_rows(struct cell_data *d, const struct sample_row *old, const struct sample_row *more,
	   struct sample_row *ret, struct err *err)
{
	int64_t period = old->series->period_ms;
	size_t n = (size_t)((d->cell.end_ms - d->cell.start_ms) / period);
	double *values = arena_array(&d->arena, n, sizeof(*values));

	if (!values)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		int64_t ms = d->cell.start_ms + (int64_t)i * period;

		values[i] = value_at(old, ms);
		if (isfinite(values[i]))
			continue;
		values[i] = value_at(more, ms);
		d->n_samples += isfinite(values[i]) != 0;
	}
	*ret = (struct sample_row){old->series, d->cell.start_ms, values, n, NULL};
	return 0;
}

uint64_t
sample_points(const struct sample_row *r)
{
	uint64_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += isfinite(r->values[i]) != 0;
	return n;
}

static int
merge_one(struct cell_data *d, const struct cell_data *late, struct err *err)
{
	struct sample_row *rows = arena_array(&d->arena, d->n_rows + late->n_rows, sizeof(*rows));
	size_t n = 0, a = 0, b = 0;

	if (!rows)
		return err_nomem(err);
	while (a < d->n_rows || b < late->n_rows) {
		int c = a == d->n_rows	    ? 1
			: b == late->n_rows ? -1
					    : series_cmp(d->rows[a].series, late->rows[b].series);

		if (c == 0 && (d->rows[a].times ? merge_timed : merge_rows)(
				  d, &d->rows[a], &late->rows[b], &rows[n], err))
			return -1;
		if (c < 0)
			rows[n] = d->rows[a];
		if (c > 0) {
			rows[n] = late->rows[b];
			d->n_samples += sample_points(&late->rows[b]);
		}
		n++;
		a += c <= 0;
		b += c >= 0;
	}
	d->rows = rows;
	d->n_rows = n;
	return 0;
}

int
cell_data_merge(struct cell_data *d, struct err *err)
{
	for (const struct cell_data *late = d->later; late; late = late->later)
		if (merge_one(d, late, err))
			return -1;
	return 0;
}

/* The lines of a large cell move out of memory, all of them. */
static int
move_lines(struct cell_data *d, struct err *err)
{
	d->spool = malloc(sizeof(*d->spool));
	if (!d->spool)
		return err_nomem(err);
	*d->spool = SPOOL_INIT;
	if (spool_add(d->spool, buf_view(&d->ndjson), err))
		return -1;
	buf_done(&d->ndjson);
	return 0;
}

int
cell_lines_add(struct cell_data *d, struct sv text, struct err *err)
{
	if (!d->spool && d->ndjson.n + text.n > CELL_MEMORY_MAX && move_lines(d, err))
		return -1;
	if (d->spool)
		return spool_add(d->spool, text, err);
	buf_sv(&d->ndjson, text);
	return buf_check(&d->ndjson, "cell", err);
}

int
cell_lines_settle(struct cell_data *d, struct err *err)
{
	return d->spool ? spool_settle(d->spool, err) : 0;
}

void
cell_lines_drop(struct cell_data *d)
{
	buf_done(&d->ndjson);
	if (d->spool)
		spool_done(d->spool);
	free(d->spool);
	d->spool = NULL;
}

uint64_t
cell_lines_size(const struct cell_data *d)
{
	return d->spool ? spool_size(d->spool) : d->ndjson.n;
}

int
cell_lines_each(const struct cell_data *d, int (*fn)(void *arg, struct sv piece, struct err *err),
		void *arg, struct err *err)
{
	if (buf_check(&d->ndjson, "cell", err))
		return -1;
	if (d->spool)
		return spool_each(d->spool, fn, arg, err);
	return d->ndjson.n ? fn(arg, buf_view(&d->ndjson), err) : 0;
}

int
cell_lines_load(struct cell_data *d, struct err *err)
{
	if (!d->spool)
		return 0;
	if (spool_load(d->spool, &d->ndjson, err))
		return err_wrap(err, "cell");
	spool_done(d->spool);
	free(d->spool);
	d->spool = NULL;
	return 0;
}
