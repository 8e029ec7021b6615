/* X-Ray of the simulated world, and a receiver of spans by OTLP; see sim.h. */
#include "tests/sim/sim.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "fmt/json.h"
#include "tests/sink/wire_read.h"

#define PAGE	2
#define LAST_MS 40

bool
sim_span(const struct sim *s, size_t tenant, size_t region, int64_t minute_ms, int64_t *ret_ms,
	 char id[17])
{
	uint64_t place = (uint64_t)tenant * SIM_REGIONS + region;
	uint64_t r = mix64(mix64(s->seed ^ mix64(place + 4711)) ^ (uint64_t)(minute_ms / SIM_MIN));

	if (r % 4 == 0)
		return false;
	*ret_ms = minute_ms + (int64_t)(r >> 32) % SIM_MIN;
	(void)snprintf(id, 17, "%016llx", (unsigned long long)(r | 1));
	return true;
}

static void
trace_id(int64_t ms, const char *span, char out[36])
{
	(void)snprintf(out, 36, "1-%08llx-00000000%s", (unsigned long long)(ms / 1000), span);
}

static int64_t
whole_ms(const json_t *doc, const char *key)
{
	return (int64_t)json_integer_value(json_object_get(doc, key)) * 1000;
}

/* Two a page; a page's token is where it begins. */
static void
summaries(struct sim *s, const json_t *doc, size_t tenant, size_t region, struct buf *out)
{
	int64_t from = whole_ms(doc, "StartTime"), to = whole_ms(doc, "EndTime"), ms;
	const char *token = json_string_value(json_object_get(doc, "NextToken"));
	int64_t minute = token ? strtoll(token, NULL, 10) : from / SIM_MIN * SIM_MIN;
	char span[17], id[36];
	size_t n = 0;

	buf_str(out, "{\"TraceSummaries\":[");
	for (; minute < to && n < PAGE; minute += SIM_MIN) {
		if (!sim_span(s, tenant, region, minute, &ms, span) || ms < from || ms >= to)
			continue;
		trace_id(ms, span, id);
		buf_fmt(out, "%s{\"Id\":\"%s\"}", n++ ? "," : "", id);
	}
	buf_ch(out, ']');
	if (minute < to)
		buf_fmt(out, ",\"NextToken\":\"%lld\"", (long long)minute);
	buf_ch(out, '}');
}

static void
batch(struct sim *s, const json_t *doc, size_t tenant, size_t region, struct buf *out)
{
	const json_t *ids = json_object_get(doc, "TraceIds");
	size_t n = 0;

	buf_str(out, "{\"Traces\":[");
	for (size_t i = 0; i < json_array_size(ids); i++) {
		const char *want = json_string_value(json_array_get(ids, i));
		int64_t ms, near_ms = strtoll(want + 2, NULL, 16) * 1000;
		char span[17], id[36];

		if (!sim_span(s, tenant, region, near_ms / SIM_MIN * SIM_MIN, &ms, span))
			continue;
		trace_id(ms, span, id);
		if (strcmp(id, want) != 0)
			continue;
		buf_fmt(out,
			"%s{\"Id\":\"%s\",\"Segments\":[{\"Document\":\"{\\\"id\\\":\\\"%s\\\","
			"\\\"name\\\":\\\"web\\\",\\\"start_time\\\":%lld.%03lld,"
			"\\\"end_time\\\":%lld.%03lld}\"}]}",
			n++ ? "," : "", id, span, (long long)(ms / 1000), (long long)(ms % 1000),
			(long long)((ms + LAST_MS) / 1000), (long long)((ms + LAST_MS) % 1000));
	}
	buf_str(out, "],\"UnprocessedTraceIds\":[]}");
}

void
sim_xray(struct sim *s, const struct http_req *req, struct http_resp *resp)
{
	CLEANUP(json_decrefp) json_t *doc = sim_wire_read(req);
	size_t tenant, region;

	if (!doc || !sim_place(s, req, &tenant, &region))
		abort();
	resp->status = 200;
	if (!strcmp(req->operation, "GetTraceSummaries"))
		summaries(s, doc, tenant, region, &resp->body);
	else if (!strcmp(req->operation, "BatchGetTraces"))
		batch(s, doc, tenant, region, &resp->body);
	else
		buf_fmt(&resp->body, "{\"Destination\":\"%s\",\"Status\":\"ACTIVE\"}",
			s->ways.spans ? "CloudWatchLogs" : "XRay");
}

/* ---- the receiver ---- */

static void
keep_span(struct sim *s, struct reader span)
{
	unsigned field = 0, type = 0;
	struct reader sub = {0};
	char id[17] = "";
	uint64_t v;

	while (!*id && read_field(&span, &field, &type, &v, &sub))
		if (field == 2 && type == 2 && sub.end - sub.p == 8)
			hex_lower(sub.p, 8, id);
	if (!*id || map_put(&s->spans, sv_of(id), s, NULL, NULL))
		abort();
}

/* What is in field 2 of field 2 of field 1. */
static void
keep_spans(struct sim *s, struct reader r, int depth)
{
	unsigned field = 0, type = 0;
	struct reader sub = {0};
	uint64_t v;

	while (r.p < r.end) {
		if (!read_field(&r, &field, &type, &v, &sub))
			abort();
		if (field != (depth ? 2u : 1u))
			continue;
		if (depth == 2)
			keep_span(s, sub);
		else
			keep_spans(s, sub, depth + 1);
	}
}

void
sim_otlp(struct sim *s, const struct http_req *req, struct http_resp *resp)
{
	const unsigned char *p = (const unsigned char *)req->body.p;

	resp->status = s->receiver_down ? 503 : 200;
	if (!s->receiver_down)
		keep_spans(s, (struct reader){p, p + req->body.n}, 0);
}
