/*
 * OTLP's protobuf: spans collected into ExportTraceServiceRequests, and what the answers say.
 */
#ifndef MUSTER_SINK_OTLP_ENCODE_H
#define MUSTER_SINK_OTLP_ENCODE_H

#include "base/map.h"
#include "model/span.h"

/* One span of a batch, encoded; what is said of it if it is refused. */
struct otlp_item {
	size_t group, at, n; /* bytes of `spans` */
	char trace_id[SPAN_TRACE_HEX + 1], span_id[SPAN_ID_HEX + 1];
	uint64_t start_ns, end_ns;
};
/* Spans with the same resource and scope. */
struct otlp_group {
	size_t resource_at, resource_n, scope_at, scope_n; /* bytes of `heads` */
};
struct otlp_batch {
	struct buf spans, heads, key;
	struct otlp_item *items;
	struct otlp_group *groups;
	size_t n_items, cap_items, n_groups, cap_groups;
	struct map by_key; /* index into groups, plus one */
};
void otlp_batch_init(struct otlp_batch *b);
void otlp_batch_done(struct otlp_batch *b);
/* Empty, with its memory. */
void otlp_batch_reset(struct otlp_batch *b);
int otlp_batch_add(struct otlp_batch *b, const struct span *s, struct err *err);
/* Items [from, from + n) as a request. */
int otlp_batch_request(const struct otlp_batch *b, size_t from, size_t n, struct buf *out, struct err *err);

/* What a 2xx answer says of refused spans; false: nothing. *message is a view into the body. */
bool otlp_refusal(struct sv body, uint64_t *rejected, struct sv *message);

#endif
