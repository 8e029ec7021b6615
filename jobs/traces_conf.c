/* Options of the traces kind: their keys, their checks, and what they ask for. */
#include "base/cleanup.h"
#include "base/num.h"
#include "fmt/json.h"
#include "jobs/traces.h"

#define OFF(member) offsetof(struct traces_opts, member)
#define CONCURRENCY 4 /* queries of one stream that run at once, as insights has by default */
#define LISTED_MS   600000
#define QUERY	    "fields @timestamp, @message"

const struct conf_key traces_keys[] = {
    {.name = "filter",
     .type = CONF_STRING,
     .offset = OFF(filter),
     .help = "X-Ray filter expression: only traces that it is true of, such as responsetime > 1 OR "
	     "error. Accounts with Transaction Search have `spans_filter` instead. Default: all"},
    {.name = "spans_filter",
     .type = CONF_STRING,
     .offset = OFF(spans_filter),
     .flags = CONF_RAW,
     .node_offset = OFF(spans_node),
     .help =
	 "for accounts with Transaction Search, whose spans are in the log group " TRACES_GROUP
	 ": a condition of Logs Insights, such as durationNano > 1000000000. Default: all spans, "
	 "whatever `filter` says"},
    {.name = "period",
     .type = CONF_DURATION,
     .offset = OFF(period_ms),
     .deflt = "60s",
     .min = 1000,
     .max = 86400000,
     .node_offset = OFF(period_node),
     .help = "distance of the points of trace_calls and trace_duration_seconds; `every` is a "
	     "multiple of it"},
    {.name = "scan_budget",
     .type = CONF_BYTES,
     .offset = OFF(spans.scan_budget),
     .flags = CONF_PER_DAY,
     .help = "as of insights, for accounts with Transaction Search"},
    CONF_END,
};

static void
check_period(const struct job_common *c, const struct traces_opts *o, const struct conf_node *node,
	     struct conf_faults *f)
{
	char every[32], period[32];

	if (c->every_ms % o->period_ms == 0)
		return;
	num_duration_format(c->every_ms, every);
	num_duration_format(o->period_ms, period);
	conf_fault(f, o->period_node ? o->period_node : node,
		   "every (%s) is not a multiple of the period (%s)", every, period);
}

/* What is left of the query once it stands in a filter has to be a condition: nothing may end it.
 */
static void
make_query(struct traces_opts *o, struct arena *a, struct conf_faults *f)
{
	CLEANUP(buf_done) struct buf query = BUF_INIT(LOGS_QUERY_MAX);

	buf_str(&query, QUERY);
	if (o->spans_filter)
		buf_fmt(&query, "\n| filter %s", o->spans_filter);
	if (query.no_memory) {
		conf_nomem(f);
		return;
	}
	if (!buf_ok(&query)) {
		conf_fault(f, o->spans_node, "longer than %d characters", LOGS_QUERY_MAX);
		return;
	}
	o->spans.query = arena_strdup(a, buf_view(&query));
	o->spans.log_groups.v = arena_array(a, 1, sizeof(*o->spans.log_groups.v));
	if (!o->spans.query || !o->spans.log_groups.v)
		return;
	o->spans.log_groups.v[0] = TRACES_GROUP;
	o->spans.log_groups.n = 1;
}

void
traces_check(const struct job_common *c, void *opts, const struct conf_node *node, struct arena *a,
	     struct conf_faults *f)
{
	struct traces_opts *o = opts;

	check_period(c, o, node, f);
	o->spans.limit = LOGS_PAGED_MAX;
	o->spans.concurrency = CONCURRENCY;
	o->spans.discover_every_ms = LISTED_MS;
	o->spans.query_node = o->spans_node ? o->spans_node : node;
	make_query(o, a, f);
	insights_check(c, &o->spans, node, a, f);
	if (o->spans_filter && o->spans.q.body && !o->spans.q.splits)
		conf_fault(f, o->spans_node, "expected a condition and nothing behind it");
}

void
traces_definition(const struct job_common *c, const void *opts, struct buf *out)
{
	const struct traces_opts *o = opts;

	(void)c;
	json_add_str(out, "{\"kind\":\"traces\",\"format\":1,\"filter\":", o->filter);
	json_add_str(out, ",\"spans_filter\":", o->spans_filter);
	buf_fmt(out, ",\"period_ms\":%lld}", (long long)o->period_ms);
}

struct job_stream
traces_as_insights(const struct job_stream *s)
{
	struct job_stream of = *s;

	of.opts = &((const struct traces_opts *)s->opts)->spans;
	return of;
}
