/*
 * Rows of a Logs Insights query as canonical NDJSON lines.
 *
 * A line has the common fields (ts, tenant, account_id, region, job), then log_group, and
 * log_stream, message and ptr where the query has them; all other columns stand under `fields`,
 * sorted by name. Lines are in order of time, then bytewise, which is by log group, log stream and
 * message. All values are text, as the service gives them.
 */
#ifndef MUSTER_MODEL_INSIGHTS_ROWS_H
#define MUSTER_MODEL_INSIGHTS_ROWS_H

#include "fmt/json_scan.h"
#include "model/series.h"

struct insights_row {
	int64_t ts_ms;
	const char *line; /* with its newline */
	uint32_t n;
	uint32_t source; /* the query it came from: no two of them give the same event */
	bool pointed;	 /* it has a ptr, by which two events differ */
};

/* How the columns of the last row stood, and where each belongs: rows of a result mostly have the
 * same ones in the same order. And the minute that it was of, which the next one mostly is of, too.
 * For as long as the answer is in memory; begins as {0}. */
#define INSIGHTS_COLUMNS_KEPT 16
#define INSIGHTS_COLUMNS_OWN  5	 /* with a place of their own in a line */
#define INSIGHTS_MINUTE	      17 /* "2026-01-01 00:00:" */
struct insights_columns {
	size_t n; /* 0: none are known */
	struct sv names[INSIGHTS_COLUMNS_KEPT];
	unsigned char from[INSIGHTS_COLUMNS_KEPT]; /* of the sorted ones */
	size_t own[INSIGHTS_COLUMNS_OWN];	   /* among the sorted ones; n: it has none */
	char minute[INSIGHTS_MINUTE];		   /* as it stood */
	int64_t minute_ms;
};

struct insights_lines {
	const char *common; /* of insights_common() */
	/* Rows that are no events: the column that holds their time, NULL: none; and the time of
	 * those that have none. */
	bool events;
	const char *time_column;
	int64_t ts_ms;
	const char *log_group; /* of rows that do not say, NULL: unknown */
	struct insights_columns *columns;
};
/* The common part of every line, in the arena. NULL without memory. */
const char *insights_common(const struct line_origin *o, struct arena *a);

/* Append one line for a row's columns (sorted in place); fills ts_ms and pointed. ERR_DATA: an
 * event without a time. */
int insights_line(const struct insights_lines *l, struct json_raw *fields, size_t n,
		  struct buf *out, struct insights_row *ret, struct err *err);
/* "2026-01-01 00:00:00.000", UTC. */
bool insights_time(struct sv text, int64_t *ret_ms);

/* Their order: time, bytes of the line, query. */
int insights_rows_cmp(const struct insights_row *x, const struct insights_row *y);
void insights_rows_sort(struct insights_row *rows, size_t n);

#endif
