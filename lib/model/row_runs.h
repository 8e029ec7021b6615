/*
 * Rows, of which there may be too many for memory: they are put away in runs, each in its order, and come back as one
 * sequence in the order of insights_rows_sort, without those events that a second query brought once more.
 *
 * A query's rows come by time, so runs hardly overlap, and only few are open at once when they are merged. Mostly they do
 * not overlap at all: then the lines lie in the spool as they are wanted, one run behind the other, and nothing has to be
 * merged and written once more (row_merge_whole). Not thread-safe.
 */
#ifndef MUSTER_MODEL_ROW_RUNS_H
#define MUSTER_MODEL_ROW_RUNS_H

#include "base/spool.h"
#include "model/insights_rows.h"

struct row_run {
	uint64_t start, lines, end; /* in the spool: what is known of each row, and all lines behind that */
	uint64_t n;
	bool doubles; /* it may hold an event twice */
	int64_t first_ms, last_ms;
	int64_t cut_ms; /* rows from here on do not count */
};
struct row_runs {
	struct spool spool;
	struct row_run *v;
	size_t n, cap;
};
#define ROW_RUNS_INIT ((struct row_runs){ .spool = SPOOL_INIT })

void row_runs_done(struct row_runs *r);
/* Sorts the rows and puts them away as one run; none make no run. */
int row_runs_add(struct row_runs *r, struct insights_row *rows, size_t n, struct err *err);
/* Of the runs from number `first` on, rows at or after from_ms do not count (INT64_MIN: none of them does). */
void row_runs_cut(struct row_runs *r, size_t first, int64_t from_ms);
/* How many rows the runs from number `first` on have at or after from_ms; where that is in the midst of a run all of its
 * rows are counted. */
uint64_t row_runs_count(const struct row_runs *r, size_t first, int64_t from_ms);

struct row_merge;
/* With rows[0..n), sorted here, as one more run. Everything is borrowed and must stay as it is. */
int row_merge_new(const struct row_runs *r, struct insights_row *rows, size_t n, struct row_merge **ret, struct err *err);
/* 1: the next row that is before before_ms, whose line is good until the next call; 0: there is none. */
int row_merge_next(struct row_merge *m, int64_t before_ms, struct insights_row *ret, struct err *err);
/* 1: all next rows that are before before_ms are in `view`, an initialised spool, which sees them in the one of the runs;
 * *ret_n: how many. 0: they have to be merged, or take less than `least` bytes. */
int row_merge_whole(struct row_merge *m, int64_t before_ms, uint64_t least, struct spool *view, uint64_t *ret_n,
		    struct err *err);
/* Rows left out so far. */
uint64_t row_merge_doubles(const struct row_merge *m);
void row_merge_free(struct row_merge *m);

#endif
