/*
 * X-Ray in REST-JSON: where an account's spans are kept, which traces there were, and their segments.
 *
 * A segment document is a JSON text inside a JSON string; it is handed on as it is, for model/span_xray.h to read. Answers are read into
 * an arena, whole or not at all.
 */
#ifndef MUSTER_AWS_XRAY_H
#define MUSTER_AWS_XRAY_H

#include "aws/aws_call.h"
#include "base/arena.h"

#define XRAY_BATCH_MAX 5 /* ids in one BatchGetTraces (service limit; six are refused) */

/* GetTraceSegmentDestination: with Transaction Search on, spans are log events in the group aws/spans, and X-Ray's own calls find only the
 * share of them that is indexed. */
enum xray_destination { XRAY_TO_XRAY, XRAY_TO_LOGS };

struct xray_summary {
	const char *id; /* 1-8 hex-24 hex */
	bool partial;   /* more segments were still to come */
};
struct xray_summaries {
	struct xray_summary *v;
	size_t n;
	const char *token; /* NULL: the last page; an empty page may have one */
};
struct xray_trace {
	const char *id;
	bool limit_exceeded; /* too large: X-Ray leaves segments out */
	struct sv *documents; /* JSON, may hold NULs */
	size_t n;
};
struct xray_traces {
	struct xray_trace *v;
	size_t n;
	const char **unprocessed; /* ids to be asked for again */
	size_t n_unprocessed;
};

/* Fill *call (reset before). */
int xray_destination_call(struct aws_call *call, struct err *err);
/* Traces whose ids tell a time in [start, end), in whatever order. filter: an X-Ray filter expression or NULL. token
 * NULL: the first page. */
int xray_summaries_call(int64_t start_ms, int64_t end_ms, const char *filter, const char *token, struct aws_call *call, struct err *err);
/* At most XRAY_BATCH_MAX ids. */
int xray_traces_call(const char *const *ids, size_t n, struct aws_call *call, struct err *err);
/* Read a 2xx answer; whatever *ret points to lives in the arena. ERR_DATA says where and what. */
int xray_destination_read(struct sv body, enum xray_destination *ret, struct err *err);
int xray_summaries_read(struct sv body, struct arena *a, struct xray_summaries *ret, struct err *err);
int xray_traces_read(struct sv body, struct arena *a, struct xray_traces *ret, struct err *err);

#endif
