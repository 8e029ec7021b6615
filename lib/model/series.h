/*
 * Series and the content of a cell.
 *
 * A series is a name and its sorted labels (tenant, account_id and region among them). What one cell holds is a `struct cell_data`:
 * canonical NDJSON lines for the lake, and rows of samples for the receivers, both sorted by series identity. A value that is not
 * finite stands for "no point".
 */
#ifndef MUSTER_MODEL_SERIES_H
#define MUSTER_MODEL_SERIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/spool.h"
#include "model/cell.h"

struct label {
	const char *name, *value;
};
/* For qsort: labels stand in the order of their names. */
int label_by_name(const void *a, const void *b);

/* How long its words are: they are written for each cell of a span, and counted once. */
struct label_len {
	uint16_t name, value;
};
/* Of n labels. NULL: not counted, for want of memory or because one is longer than can be. */
const struct label_len *label_count(const struct label *v, size_t n, struct arena *a);

struct series {
	const char *name;           /* the metric's final name, valid for Prometheus */
	const struct label *labels; /* sorted by name bytewise, unique, no empty values, without __name__ */
	const struct label_len *lens; /* of these, or NULL: nobody counted */
	size_t n_labels;
	const char *stat;           /* Average, Maximum, p99, ... ; NULL for series that are no statistic */
	const char *unit;           /* NULL: unknown */
	int64_t period_ms;
	uint64_t key;               /* seen_key's, where it was made beforehand; else 0 */
};
/* Order by name, then labels pairwise (name, value), then fewer labels first. 0: the same series for a receiver. */
int series_cmp(const struct series *a, const struct series *b);
/* [a-zA-Z_:][a-zA-Z0-9_:]* and [a-zA-Z_][a-zA-Z0-9_]* (Prometheus data model) */
bool series_name_valid(const char *name);
bool label_name_valid(const char *name);

struct sample_row {
	const struct series *series;
	int64_t first_ms;     /* time of values[0]; value i is at first_ms + i * series->period_ms, unless ... */
	const double *values; /* not finite: no point */
	size_t n;
	const int64_t *times; /* ... each value has a time of its own (increasing); NULL: they have not */
};
static inline int64_t
sample_time(const struct sample_row *r, size_t i)
{
	return r->times ? r->times[i] : r->first_ms + (int64_t)i * r->series->period_ms;
}

/* Its values that are points. */
uint64_t sample_points(const struct sample_row *r);

struct alarm_now; /* model/alarms.h */

struct cell_data {
	struct cell cell;
	struct arena arena; /* rows and whatever they point to, unless these outlive the cell */
	bool rows_only;     /* nobody asks for the lines: they are counted, not written */
	struct buf ndjson;  /* canonical lines; empty: the cell holds nothing, or ... */
	struct spool *spool; /* ... so much that all its lines are here; NULL: they are not */
	struct sample_row *rows; /* sorted by series_cmp, no two equal */
	size_t n_rows;
	uint64_t n_lines, n_samples; /* frozen */
	const struct alarm_now *alarms; /* how things stand, where this is the newest cell of a pull; never frozen */
	size_t n_alarms;
	uint64_t n_rejected;         /* read but unusable (not finite, colliding identity), counted never silent */
	bool asked_before;           /* some of it was asked for by an earlier run */
	unsigned late;               /* the number of the late object that it is or will be; 0: the cell itself */
	struct cell_data *later;     /* the cell's next late object; freed with it */
};
#define CELL_NDJSON_MAX ((size_t)1 << 30)
#define CELL_ARENA_MAX  ((size_t)1 << 30)
/* Lines beyond so many bytes go to a spool, where a kind hands them over with cell_lines_add. */
#define CELL_MEMORY_MAX ((size_t)1 << 20)
int cell_lines_add(struct cell_data *d, struct sv text, struct err *err);
/* No more of them come for now: what is in a spool leaves memory. */
int cell_lines_settle(struct cell_data *d, struct err *err);
/* Nobody reads them any more; their number stays. */
void cell_lines_drop(struct cell_data *d);
uint64_t cell_lines_size(const struct cell_data *d);
/* All lines in pieces of some size. */
int cell_lines_each(const struct cell_data *d, int (*fn)(void *arg, struct sv piece, struct err *err), void *arg,
		    struct err *err);
/* All lines into d->ndjson, for who needs them at once. */
int cell_lines_load(struct cell_data *d, struct err *err);
void cell_data_init(struct cell_data *d, struct cell c);
void cell_data_done(struct cell_data *d);

/* Makes d->rows those of the cell and of all its late objects. A point that is there twice stays as it came first: that is what receivers
 * got. Samples are counted together, lines apart. */
int cell_data_merge(struct cell_data *d, struct err *err);

/* Who the lines are about: the common fields of every line. */
struct line_origin {
	const char *tenant, *account_id, *region, *job;
};
/* Metrics lines: appends d->rows to d->ndjson (unless rows_only), one line a row that has a point; counts lines and samples. */
int metric_lines_encode(struct cell_data *d, const struct line_origin *o, struct err *err);
/* The reverse, from the lines (all in d->ndjson then) into rows in d->arena (an adopted object). ERR_DATA names the line. */
int metric_lines_decode(struct cell_data *d, const struct line_origin *o, struct err *err);

#endif
