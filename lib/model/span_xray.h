/*
 * X-Ray's segment documents as spans.
 *
 * A segment is what a service did for one request: a span of kind SERVER. A subsegment is a call that it made (namespace aws or remote:
 * CLIENT) or a part of its own work (INTERNAL); its parent is what it is nested in. Errors (4xx), faults (5xx) and throttles (429) are
 * status ERROR, each with an attribute of its own (aws.xray.error, .fault, .throttle). HTTP, cloud and AWS data go by OpenTelemetry's
 * semantic conventions, annotations by their own names, metadata as JSON text (aws.xray.metadata.<namespace>), exceptions as events, links
 * and precursors as links. A segment that has not ended is as long as nothing (aws.xray.in_progress).
 */
#ifndef MUSTER_MODEL_SPAN_XRAY_H
#define MUSTER_MODEL_SPAN_XRAY_H

#include "model/span.h"

struct spans {
	struct span *v; /* on the heap */
	size_t n, cap;
};
#define SPANS_INIT ((struct spans){0})
void spans_done(struct spans *s);

struct span_trace {
	const char *id; /* 1-8 hex-24 hex, or 32 hex */
	const struct sv *documents;
	size_t n;
	bool cut; /* X-Ray left segments out: aws.xray.limit_exceeded on what there is */
};
/* Add the spans of a trace: of each segment, and of each subsegment in it. What cannot be read (no JSON, no id, no time) is counted in
 * *rejected. Documents and arena outlive the spans. -1 only without memory. */
int span_xray(const struct span_trace *t, struct arena *a, struct spans *to, uint64_t *rejected, struct err *err);

#endif
