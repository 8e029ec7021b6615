/*
 * CloudWatch Logs: the calls around an Insights query, as AWS JSON 1.1.
 *
 * Requests are built into a struct aws_call; small answers are read into an arena. The rows of
 * GetQueryResults are read in place, one at a time: they are views into the answer's body.
 */
#ifndef MUSTER_AWS_LOGS_H
#define MUSTER_AWS_LOGS_H

#include <stdbool.h>
#include <stdint.h>

#include "aws/aws_call.h"
#include "base/arena.h"
#include "fmt/json_scan.h"

#define LOGS_GROUPS_MAX	   50	  /* log groups of one query (service limit) */
#define LOGS_QUERY_MAX	   10000  /* characters of a query (service limit) */
#define LOGS_ROWS_MAX	   10000  /* rows of a query, and of one page of results (service limit) */
#define LOGS_PAGED_MAX	   100000 /* rows of a query where results come in pages (service limit) */
#define LOGS_ROW_FIELDS	   1024	  /* columns of a row we read; the service extracts 200 */
#define LOGS_CLASS_DEFAULT "STANDARD"
#define LOGS_CLASS_NEVER   "DELIVERY" /* log groups that cannot be queried */

struct logs_group {
	const char *name;
	const char *storage;	/* its class: STANDARD, INFREQUENT_ACCESS */
	int64_t created_ms;	/* 0: unknown */
	int64_t retention_days; /* 0: for ever */
};
struct logs_groups_page {
	struct logs_group *groups;
	size_t n;
	const char *token; /* NULL: the last page */
};
/* `prefix` may be ""; `account`: a linked account whose groups are meant, NULL: the caller's own. */
int logs_groups_call(const char *prefix, const char *account, const char *token,
		     struct aws_call *call, struct err *err);
int logs_groups_read(struct sv body, struct arena *a, struct logs_groups_page *ret,
		     struct err *err);

struct logs_start_req {
	const char *const *groups; /* names; none: the query says it with SOURCE */
	size_t n_groups;
	const char *arn; /* put before each name: groups of a linked account; NULL: own ones */
	const char *query;
	int64_t start_s, end_s; /* both inclusive: of the end second only the first millisecond */
	long limit;		/* rows; 0: the query says it */
};
/* Sent once: each query is billed. */
int logs_start_call(const struct logs_start_req *q, struct aws_call *call, struct err *err);
/* The query's id, in the arena. */
int logs_start_read(struct sv body, struct arena *a, const char **ret_id, struct err *err);

/* `items` rows a page, 0: as many as the service likes. */
int logs_results_call(const char *id, long items, const char *token, struct aws_call *call,
		      struct err *err);
int logs_stop_call(const char *id, struct aws_call *call, struct err *err);

/* What muster puts at the end of a query, with a number behind it: a comment of the language. */
#define LOGS_QUERY_MARK "\n# muster "

enum logs_status {
	LOGS_SCHEDULED,
	LOGS_RUNNING,
	LOGS_COMPLETE,
	LOGS_FAILED,
	LOGS_TIMEOUT,
	LOGS_CANCELLED,
	LOGS_UNKNOWN, /* or a status that is new to us */
};
/* As the service writes it. */
const char *logs_status_word(enum logs_status s);

/* The queries of the account and region, of the last days. */
struct logs_query {
	const char *id, *text;
	enum logs_status status;
};
struct logs_queries_page {
	struct logs_query *queries;
	size_t n;
	const char *token; /* NULL: the last page */
};
int logs_queries_call(const char *token, struct aws_call *call, struct err *err);
int logs_queries_read(struct sv body, struct arena *a, struct logs_queries_page *ret,
		      struct err *err);

struct logs_results {
	enum logs_status status;
	bool has_status;	       /* else it is behind the rows */
	double matched, bytes_scanned; /* negative: not told */
	struct sv token;	       /* raw; empty: the last page */
	/* Private. */
	struct sv body;
	struct json_scan s;
	unsigned seen;
	bool in_rows, first;
};
/* An answer is read once, from front to back: here up to its rows, by logs_results_row() the rows,
 * and what is behind them when these are through. Where a member stands is up to the service. */
int logs_results_open(struct sv body, struct logs_results *ret, struct err *err);
/* The next row's fields, at most LOGS_ROW_FIELDS: 1; 0: no more, and the whole answer was read; -1:
 * ERR_DATA. */
int logs_results_row(struct logs_results *r, struct json_raw *fields, size_t *ret_n,
		     struct err *err);

#endif
