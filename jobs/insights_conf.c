/*
 * Options of the insights kind: their keys, their checks, and the canonical text of what they ask
 * for. Everything that a query is recognised by is settled here, before anything is asked.
 */
#include <stddef.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "fmt/json.h"
#include "jobs/insights.h"

#define OFF(member) offsetof(struct insights_opts, member)

/* Queries of one account and region that run at once are at most 100, for all who use it; 30 in
 * older Regions (CloudWatch Logs API reference). */
#define CONCURRENCY_MAX 100
/* What muster puts around a query: its filter (two times of 13 digits), two columns, its order; and
 * room for the names of log streams. */
#define ROOM_AROUND 2000
/* Log group names (CloudWatch Logs: letters, digits, . - _ / #) with '*'. */
#define GROUP_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_/#*"
#define GROUP_MAX   512

const struct conf_key insights_keys[] = {
    {.name = "log_groups",
     .type = CONF_STRINGS,
     .offset = OFF(log_groups),
     .flags = CONF_REQUIRED,
     .node_offset = OFF(groups_node),
     .help = "names of log groups, `*` stands for anything; a pattern may match none, a whole name "
	     "must be there"},
    {.name = "query",
     .type = CONF_STRING,
     .offset = OFF(query),
     .flags = CONF_REQUIRED | CONF_RAW,
     .node_offset = OFF(query_node),
     .help = "in the Logs Insights language; a limit in it holds for each cell"},
    {.name = "scan_budget",
     .type = CONF_BYTES,
     .offset = OFF(scan_budget),
     .flags = CONF_PER_DAY,
     .help =
	 "bytes that may be scanned in a day (UTC) for one tenant, in all its regions together "
	 "(50GB/d); beyond it cells are not asked for but recorded as a gap; default: no limit"},
    {.name = "limit",
     .type = CONF_INT,
     .offset = OFF(limit),
     .deflt = "100000",
     .min = 10,
     .max = LOGS_PAGED_MAX,
     .help = "the most rows asked for in one query; above 10000 they come in pages, and where the "
	     "service does not do that, 10000 are asked for"},
    {.name = "concurrency",
     .type = CONF_INT,
     .offset = OFF(concurrency),
     .deflt = "4",
     .min = 1,
     .max = CONCURRENCY_MAX,
     .help =
	 "queries of one tenant and region that run at once; run.limits bounds those of all jobs"},
    {.name = "discover_every",
     .type = CONF_DURATION,
     .offset = OFF(discover_every_ms),
     .deflt = "10m",
     .min = 0,
     .max = 86400000,
     .help = "how often the account's log groups are listed"},
    {.name = "series",
     .type = CONF_NODE,
     .offset = OFF(series_node),
     .help = "rows as samples (not supported by this version)"},
    CONF_END,
};

void
insights_definition(const struct job_common *c, const void *opts, struct buf *out)
{
	const struct insights_opts *o = opts;

	(void)c;
	buf_str(out, "{\"kind\":\"insights\",\"format\":1,\"log_groups\":[");
	for (size_t i = 0; i < o->log_groups.n; i++)
		json_add_str(out, i ? "," : "", o->log_groups.v[i]);
	json_add_str(out, "],\"query\":", o->query);
	buf_ch(out, '}');
}

/* Every bin must lie within one cell. */
static void
check_bins(const struct job_common *c, const struct insights_opts *o, struct conf_faults *f)
{
	char every[32];

	num_duration_format(c->every_ms, every);
	for (size_t i = 0; i < o->q.n_bins; i++) {
		const struct insights_bin *b = &o->q.bins[i];

		if (b->capped)
			conf_fault(f, o->query_node,
				   "%s: the service takes no more of this unit than the next "
				   "larger one has: write it in that",
				   b->text);
		else if (!b->ms)
			conf_fault(f, o->query_node,
				   "%s: cells cannot be whole numbers of this (milliseconds to "
				   "days can be)",
				   b->text);
		else if (c->every_ms % b->ms)
			conf_fault(f, o->query_node,
				   "%s: every (%s) is not a multiple of it, a bin would be torn "
				   "between cells",
				   b->text, every);
	}
}

static void
check_query(const struct job_common *c, struct insights_opts *o, struct arena *a,
	    struct conf_faults *f)
{
	struct err err = {0};

	if (insights_query_parse(o->query, a, &o->q, &err)) {
		conf_fault(f, o->query_node, "%s", err.msg);
		return;
	}
	if (strlen(o->q.body) > LOGS_QUERY_MAX - ROOM_AROUND)
		conf_fault(f, o->query_node, "longer than %d characters",
			   LOGS_QUERY_MAX - ROOM_AROUND);
	if (o->q.limit > LOGS_PAGED_MAX)
		conf_fault(f, o->query_node, "limit %lld: no query has more than %d rows",
			   (long long)o->q.limit, LOGS_PAGED_MAX);
	if (!o->q.events)
		check_bins(c, o, f);
}

static void
check_groups(const struct insights_opts *o, struct conf_faults *f)
{
	if (!o->log_groups.n && o->groups_node && !conf_is_bad(o->groups_node))
		conf_fault(f, o->groups_node, "names no log group");
	for (size_t i = 0; i < o->log_groups.n; i++) {
		const char *name = o->log_groups.v[i];

		if (!*name || strlen(name) > GROUP_MAX || name[strspn(name, GROUP_CHARS)])
			conf_fault(f, o->groups_node,
				   "\"%.64s\" is no name of a log group (a-z, A-Z, 0-9, . - _ / #, "
				   "and * for anything)",
				   name);
	}
}

void
insights_check(const struct job_common *c, void *opts, const struct conf_node *node,
	       struct arena *a, struct conf_faults *f)
{
	struct insights_opts *o = opts;
	const struct conf_node *revisit = conf_child(node, "revisit");

	if (o->query)
		check_query(c, o, a, f);
	check_groups(o, f);
	if (o->series_node)
		conf_fault(f, o->series_node, "series is not supported by this version");
	if (c->revisit_ms)
		conf_fault(
		    f, revisit ? revisit : node,
		    "expected `once` (each cell is asked for a second time, `hold` after its "
		    "end) or off");
	if (c->once && o->q.body && !o->q.splits)
		conf_fault(
		    f, revisit ? revisit : node,
		    "`once` finds log events that came late: the rows of this query (stats, "
		    "dedup, limit, ...) change with each event instead of becoming more; give "
		    "it a longer `delay`");
}
