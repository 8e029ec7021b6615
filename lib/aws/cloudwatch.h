/*
 * CloudWatch metrics: the two calls muster makes, ListMetrics and GetMetricData, in whichever of
 * the service's protocols.
 *
 * Requests are built into a struct aws_call; answers are read into an arena, whole or not at all:
 * after an error nothing of the page counts. A protocol is a row of functions (cw_codec);
 * everything above knows only its number.
 */
#ifndef MUSTER_AWS_CLOUDWATCH_H
#define MUSTER_AWS_CLOUDWATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "aws/aws_call.h"
#include "aws/page_token.h"
#include "base/arena.h"

#define CW_QUERIES_MAX	  500	 /* queries in one GetMetricData (service limit) */
#define CW_DATAPOINTS_MAX 100800 /* points on one page, all results together (service limit) */
#define CW_DIMENSIONS_MAX 30	 /* dimensions of a metric (service limit) */
#define CW_EXPIRED_TOKEN                                                                           \
	"InvalidNextToken" /* the code (newer: with "Exception" behind) of a token that ran out */

/* In the order in which they are tried. */
enum cw_proto {
	CW_CBOR,  /* Smithy RPC v2 CBOR */
	CW_JSON,  /* AWS JSON 1.0 */
	CW_QUERY, /* form in, XML out: old stand-ins */
	CW_N_PROTOS,
};

struct cw_dim {
	const char *name, *value;
};
struct cw_metric {
	const char *ns, *name;
	const struct cw_dim *dims; /* sorted by name bytewise */
	size_t n_dims;
};
/* By namespace, name, then dimensions pairwise (name, value), fewer first. */
int cw_metric_cmp(const struct cw_metric *a, const struct cw_metric *b);

struct cw_list_req {
	const char *ns;
	bool recent;	     /* only metrics with data in the last three hours or so */
	const char *token;   /* NULL: the first page */
	const char *account; /* a linked account whose metrics are meant; NULL: the caller's own */
};
struct cw_list_page {
	struct cw_metric *metrics;
	size_t n;
	const char *token; /* NULL: the last page */
};

struct cw_query {
	size_t id; /* goes as "m<id>" */
	const struct cw_metric *metric;
	const char *stat;
	const char *expression; /* instead of a metric and its statistic; NULL: none */
	const char *label;	/* what each result is to be called; NULL: as the service likes */
	bool hidden;		/* only for expressions of the same call: no result of it */
};
struct cw_data_req {
	const struct cw_query *queries;
	size_t n;
	int64_t start_ms, end_ms; /* [start, end) */
	int64_t period_ms;
	const char *token;
	const char *account; /* as in cw_list_req */
};

enum cw_status { CW_COMPLETE, CW_PARTIAL, CW_INTERNAL, CW_FORBIDDEN, CW_OTHER };

struct cw_result {
	size_t id; /* CW_NO_ID: not one of ours */
	enum cw_status status;
	const char *status_text; /* as the service says it, "" if it says nothing */
	const char *label;	 /* NULL: none */
	const int64_t *ts_ms;
	const double *values; /* not finite as sent */
	size_t n;
	const char *message; /* the last one of the result, NULL: none */
};
#define CW_NO_ID SIZE_MAX
struct cw_data_page {
	struct cw_result *results;
	size_t n;
	const char *message; /* the last one of the whole call, NULL: none */
	const char *token;
};

/* Fill *call (reset before). */
int cw_list_call(enum cw_proto p, const struct cw_list_req *q, struct aws_call *call,
		 struct err *err);
int cw_data_call(enum cw_proto p, const struct cw_data_req *q, struct aws_call *call,
		 struct err *err);
/* Read a 2xx answer; whatever *ret points to lives in the arena. ERR_DATA says where and what. */
int cw_list_read(enum cw_proto p, struct sv body, struct arena *a, struct cw_list_page *ret,
		 struct err *err);
int cw_data_read(enum cw_proto p, struct sv body, struct arena *a, struct cw_data_page *ret,
		 struct err *err);

/* The token in an answer that was not read; see page_token.h. */
enum page_token cw_token_peek(enum cw_proto p, struct sv body, struct buf *ret);

/* The protocol to begin with for a region (and so for an endpoint) in this process: CW_CBOR until
 * cw_proto_avoid() was called for it, or what cw_proto_begin() said. Thread-safe. */
enum cw_proto cw_proto_of(const char *region);
/* The protocol of a call that was built here. What a region's is may have changed since. */
enum cw_proto cw_proto_of_call(const struct aws_call *call);
/* This region's endpoint does not understand `p`; returns the next to try, or CW_N_PROTOS when
 * there is none. */
enum cw_proto cw_proto_avoid(const char *region, enum cw_proto p);
/* It has answered in `p`: what comes before that is tried no more there. A refusal alone says that of nobody but who got
 * it, for it may be a proxy's. */
void cw_proto_answered(const char *region, enum cw_proto p);
/* Try none before this one: CW_JSON where exchanges are to be kept as text. */
void cw_proto_begin(enum cw_proto first);
/* Forget what was learnt, and what to begin with (tests). */
void cw_proto_forget(void);
/* Does this refusal say "I do not know this protocol" (and not "I refuse this request")? */
bool cw_proto_unknown(enum cw_proto p, const struct http_resp *resp, const struct err *err);

#endif
