/*
 * Samples from the rows of an Insights query (`series:` of a job).
 *
 * They are made of the canonical lines that are frozen, and of nothing else: whoever pulls a cell and whoever reads it
 * back from the lake gets the same samples. A row gives one for each of its value columns that is there; a column that is
 * not there gives none (absent is not zero). What cannot be a sample is counted by its reason and left out: a value that
 * is no finite number (Insights gives all values as text; a number with a unit is none), a row without a readable time,
 * a time outside of the cell, and whatever has the labels and the time of a row before it: of those the first in the
 * lines' own order counts. Values are doubles: whole numbers beyond 2^53 are rounded to the nearest one.
 *
 * Not thread-safe.
 */
#ifndef MUSTER_MODEL_ROW_SAMPLES_H
#define MUSTER_MODEL_ROW_SAMPLES_H

#include "base/cleanup.h"
#include "model/normalise.h"

struct row_column {
	const char *column; /* as the query names it */
	const char *name;   /* of the series, or of the label */
};
struct row_rules {
	const char *time; /* the column that holds the time ("2026-01-01 00:00:00.000" or epoch ms); NULL: the row's own */
	const struct row_column *values, *labels;
	size_t n_values, n_labels;
};

/* What became of the values, all cells together. */
enum row_refusal {
	ROW_NO_TIME,
	ROW_OUTSIDE,
	ROW_NO_NUMBER,
	ROW_TWICE,
	ROW_REFUSALS,
};
extern const char *const row_refusal_words[ROW_REFUSALS];
struct row_samples_seen {
	uint64_t refused[ROW_REFUSALS];
	char example[160]; /* of the first that was refused: its column or series, and what stood there */
};

struct row_samples;
/* One cell's: what is given is borrowed, and the series live in the cell's arena. */
int row_samples_new(const struct row_rules *rules, struct series_owner owner, struct cell_data *d,
		    struct row_samples **ret, struct err *err);
/* One line, with or without its newline, in the order in which they are frozen. ERR_DATA: it is no row. */
int row_samples_add(struct row_samples *s, struct sv line, struct err *err);
/* Fill d->rows and n_samples, add to n_rejected; *seen gets the account. */
int row_samples_end(struct row_samples *s, struct row_samples_seen *seen, struct err *err);
void row_samples_free(struct row_samples *s); /* NULL is fine */
DEFINE_FREEP(struct row_samples, row_samples_free)

#endif
