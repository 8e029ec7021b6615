/*
 * The permissions of the traces kind. Those of Logs Insights are looked at only in accounts whose
 * spans are there; the others need not grant them.
 */
#include "aws/xray.h"
#include "fmt/json.h"
#include "jobs/traces.h"

#define NO_TRACE  "1-00000000-000000000000000000000001" /* X-Ray is older than that */
#define MINUTE_MS 60000
#define IN_LOGS	  "spans_in_logs"

static int
ask_destination(const struct job_stream *s, const json_t *seen, int64_t now_ms,
		struct aws_call *call, struct err *err)
{
	(void)s;
	(void)seen;
	(void)now_ms;
	return xray_destination_call(call, err);
}

static bool
heard_destination(const struct job_stream *s, json_t *seen, const struct aws_call *call,
		  const struct http_resp *resp, const struct err *err)
{
	enum xray_destination to = XRAY_TO_XRAY;

	(void)s;
	(void)call;
	if (err->kind == ERR_NONE && !xray_destination_read(buf_view(&resp->body), &to, NULL))
		(void)json_object_set_new(seen, IN_LOGS, json_boolean(to == XRAY_TO_LOGS));
	return false;
}

static bool
in_logs(const json_t *seen)
{
	return json_is_true(json_object_get(seen, IN_LOGS));
}

static bool
in_xray(const json_t *seen)
{
	return !in_logs(seen);
}

static int
ask_summaries(const struct job_stream *s, const json_t *seen, int64_t now_ms, struct aws_call *call,
	      struct err *err)
{
	const struct traces_opts *o = s->opts;

	(void)seen;
	now_ms -= now_ms % 1000;
	return xray_summaries_call(now_ms - MINUTE_MS, now_ms, o->filter, NULL, call, err);
}

static int
ask_traces(const struct job_stream *s, const json_t *seen, int64_t now_ms, struct aws_call *call,
	   struct err *err)
{
	static const char *const ids[] = {NO_TRACE};

	(void)s;
	(void)seen;
	(void)now_ms;
	return xray_traces_call(ids, 1, call, err);
}

/* The probes of the insights kind, for the log group of spans. */

static void
group(const struct job_stream *s, size_t probe, struct buf *out)
{
	const struct job_stream of = traces_as_insights(s);

	insights_probes[probe].resource(&of, out);
}

static int
ask(size_t probe, const struct job_stream *s, const json_t *seen, int64_t now_ms,
    struct aws_call *call, struct err *err)
{
	const struct job_stream of = traces_as_insights(s);

	return insights_probes[probe].ask(&of, seen, now_ms, call, err);
}

static bool
heard(size_t probe, const struct job_stream *s, json_t *seen, const struct aws_call *call,
      const struct http_resp *resp, const struct err *err)
{
	const struct job_stream of = traces_as_insights(s);

	return insights_probes[probe].heard(&of, seen, call, resp, err);
}

/* In the order of that table. */
enum { GROUPS, START, RESULTS, STOP, QUERIES };
#define ASK(name, probe)                                                                           \
	static int name(const struct job_stream *s, const json_t *seen, int64_t now_ms,            \
			struct aws_call *call, struct err *err)                                    \
	{                                                                                          \
		return ask(probe, s, seen, now_ms, call, err);                                     \
	}
#define HEARD(name, probe)                                                                         \
	static bool name(const struct job_stream *s, json_t *seen, const struct aws_call *call,    \
			 const struct http_resp *resp, const struct err *err)                      \
	{                                                                                          \
		return heard(probe, s, seen, call, resp, err);                                     \
	}
#define RESOURCE(name, probe)                                                                      \
	static void name(const struct job_stream *s, struct buf *out)                              \
	{                                                                                          \
		group(s, probe, out);                                                              \
	}
ASK(ask_groups, GROUPS)
ASK(ask_start, START)
ASK(ask_results, RESULTS)
ASK(ask_stop, STOP)
ASK(ask_queries, QUERIES)
HEARD(heard_groups, GROUPS)
HEARD(heard_start, START)
RESOURCE(any_group, GROUPS)
RESOURCE(spans_group, START)

const struct job_probe traces_probes[] = {
    {.action = "xray:GetTraceSegmentDestination",
     .ask = ask_destination,
     .heard = heard_destination},
    {.action = "xray:GetTraceSummaries", .needed = in_xray, .ask = ask_summaries},
    {.action = "xray:BatchGetTraces", .needed = in_xray, .ask = ask_traces},
    {.action = "logs:DescribeLogGroups",
     .needed = in_logs,
     .resource = any_group,
     .ask = ask_groups,
     .heard = heard_groups},
    {.action = "logs:StartQuery",
     .needed = in_logs,
     .resource = spans_group,
     .ask = ask_start,
     .heard = heard_start},
    {.action = "logs:GetQueryResults", .needed = in_logs, .ask = ask_results},
    {.action = "logs:StopQuery", .needed = in_logs, .ask = ask_stop},
    {.action = "logs:DescribeQueries", .needed = in_logs, .ask = ask_queries},
    {.action = NULL},
};

bool
traces_doubt(const struct job_stream *s, const json_t *seen, struct buf *out)
{
	const struct job_stream of = traces_as_insights(s);
	const struct traces_opts *o = s->opts;

	if (!in_logs(seen))
		return false;
	if (o->filter && !o->spans_filter) {
		buf_str(out,
			"Transaction Search is on in this account: `filter` is X-Ray's and does "
			"not hold here, `spans_filter` would; all spans are taken");
		return true;
	}
	return insights_doubt(&of, seen, out);
}
