/*
 * What a cell holds of spans: a line for each, in order of time, trace and id; and what services did in it, as series.
 *
 * A call is a span of kind SERVER or CONSUMER, or one without a parent. For each service (resource attribute service.name) and period:
 *
 *   trace_calls{service,status="ok|error|fault|throttle"}       calls that began in it
 *   trace_duration_seconds_bucket{service,le}, _sum, _count     how long they took
 *
 * The numbers are those of the period alone, not running totals, so that a cell says the same whenever and by whom it is pulled: sum them
 * up over time (sum_over_time) where increase() would be used on a counter. Periods without a call of a service have no points. A span
 * counts within its cell: in its first or last period where its own time is outside. Series are made from the lines alone, so a frozen cell
 * has the same.
 */
#ifndef MUSTER_MODEL_SPAN_CELL_H
#define MUSTER_MODEL_SPAN_CELL_H

#include "model/span.h"

/* Services of one cell that have series of their own; those behind them, by name, are counted together as "other". */
#define SPAN_SERVICES_MAX 500

struct span_row {
	int64_t cell_ms; /* the time by which it belongs to a cell */
	uint64_t end_ns;
	const char *line; /* with its newline */
	uint32_t n, key_n; /* bytes; those of them up to the end of its id */
};
/* Spans of any number of cells, as lines. */
struct span_rows {
	struct span_row *v; /* on the heap */
	size_t n, cap;
	struct arena mem; /* the lines, and `common` */
	const char *common;
	struct buf line;
	const struct span_owner *owner;
};
int span_rows_init(struct span_rows *r, const struct span_owner *o, struct err *err);
void span_rows_done(struct span_rows *r);
/* Made the owner's first (span_own). */
int span_rows_add(struct span_rows *r, struct span *s, int64_t cell_ms, struct err *err);
/* The spans of aws/spans, from lines of a Logs Insights query (model/insights_rows.h): each one's message is a document. What is none is
 * counted in *rejected. */
int span_rows_take(struct span_rows *r, const struct cell_data *logs, int64_t cell_ms, uint64_t *rejected, struct err *err);
/* Before the first span_rows_fill(): by cell and line. */
void span_rows_sort(struct span_rows *r);
/* Lines (none where d->rows_only), rows and counts of one cell. Of spans that are there twice the one that ends last stays; the others count
 * as rejected. */
int span_rows_fill(const struct span_rows *r, struct cell_data *d, int64_t period_ms, struct err *err);

/* Each line of d as a span; it, and what it points to, lives until fn returns. ERR_DATA: a line that is no span. */
int span_lines_each(const struct cell_data *d, int (*fn)(void *arg, const struct span *s, struct err *err), void *arg, struct err *err);
/* Rows and number of lines, from the lines of a frozen object; of a late one only the number: the series of its cell stay as they were
 * sent. */
int span_cell_adopt(struct cell_data *d, const struct span_owner *o, int64_t period_ms, struct err *err);

#endif
