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

/* From rows to samples. */
static const struct conf_key series_keys[] = {
    {.name = "time",
     .type = CONF_STRING,
     .offset = offsetof(struct insights_series, time),
     .node_offset = offsetof(struct insights_series, time_node),
     .help = "the column that holds a sample's time; default: the event's @timestamp, or of "
	     "`stats` the bin, or "
	     "without one the start of the cell"},
    {.name = "values",
     .type = CONF_MAP,
     .offset = offsetof(struct insights_series, values),
     .flags = CONF_REQUIRED,
     .node_offset = offsetof(struct insights_series, values_node),
     .help = "columns that hold a value, and the name of the series of each"},
    {.name = "labels",
     .type = CONF_MAP,
     .offset = offsetof(struct insights_series, labels),
     .node_offset = offsetof(struct insights_series, labels_node),
     .help = "columns that become labels beside tenant, account_id, region and the tenant's own, "
	     "and the name of each; "
	     "two rows of one time need different ones, or the second is rejected"},
    CONF_END,
};

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
     .type = CONF_TABLE,
     .offset = OFF(series),
     .table = series_keys,
     .node_offset = OFF(series_node),
     .help = "rows as samples, for sinks that take these (a lake gets the rows). A value that is "
	     "no finite number, or has "
	     "a unit, is rejected and counted; one that is not there gives no sample"},
    CONF_END,
};

/* The lake has the rows: what samples are made of them is no part of it, so `series` may change and
 * what is frozen be read anew. */
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
		conf_fault_err(f, o->query_node, &err);
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

/* Series */

/* Without blanks: the service names a column as it is written, or nearly so. */
static void
add_squeezed(struct buf *out, const char *text)
{
	for (; *text; text++)
		if (!strchr(" \t\r\n`", *text))
			buf_ch(out, *text);
}

static bool
query_names(const struct insights_opts *o, const char *column)
{
	CLEANUP(buf_done) struct buf query = BUF_INIT((size_t)1 << 20);
	CLEANUP(buf_done) struct buf name = BUF_INIT((size_t)1 << 20);

	add_squeezed(&query, o->query);
	add_squeezed(&name, column);
	return !buf_ok(&query) || !buf_ok(&name) || strstr(buf_cstr(&query), buf_cstr(&name));
}

/* Columns that muster itself adds to a query whose rows are events. */
static bool
is_added(const struct insights_opts *o, const char *column)
{
	return o->q.events && (!strcmp(column, "@timestamp") || !strcmp(column, "@log"));
}

/* A name that was mistyped would give no sample, and nobody would be told. */
static void
check_column(const struct insights_opts *o, const char *column, const struct conf_node *at,
	     struct conf_faults *f)
{
	if (!*column || (!is_added(o, column) && !query_names(o, column)))
		conf_fault(f, at, "the query has no column \"%.64s\"", column);
}

static bool
named_before(const struct conf_map *map, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!strcmp(map->v[k].value, map->v[i].value))
			return true;
	return false;
}

static void
check_values(const struct insights_opts *o, struct conf_faults *f)
{
	const struct conf_map *values = &o->series.values;
	const struct conf_node *at = o->series.values_node;

	if (!values->n && at && !conf_is_bad(at))
		conf_fault(f, at, "names no column");
	for (size_t i = 0; i < values->n; i++) {
		check_column(o, values->v[i].key, at, f);
		if (!series_name_valid(values->v[i].value))
			conf_fault(f, at,
				   "\"%.64s\" is no name of a series (a-z, A-Z, 0-9, _ and :, no "
				   "digit in front)",
				   values->v[i].value);
		else if (named_before(values, i))
			conf_fault(f, at, "two columns make series of the name %.64s",
				   values->v[i].value);
	}
}

/* What is different in each row would make each a series of its own. */
static bool
is_endless(const char *column)
{
	return !strcmp(column, "@ptr") || !strcmp(column, "@timestamp") ||
	       !strcmp(column, "@ingestionTime");
}

static void
check_labels(const struct insights_opts *o, struct conf_faults *f)
{
	const struct conf_map *labels = &o->series.labels;
	const struct conf_node *at = o->series.labels_node;

	for (size_t i = 0; i < labels->n; i++) {
		const char *column = labels->v[i].key, *name = labels->v[i].value;

		check_column(o, column, at, f);
		if (is_endless(column))
			conf_fault(f, at, "%s as a label makes a series of each row", column);
		if (!label_name_valid(name) || !strncmp(name, "__", 2))
			conf_fault(f, at,
				   "\"%.64s\" is no name of a label (a-z, A-Z, 0-9 and _, no digit "
				   "and no __ in front)",
				   name);
		else if (label_is_reserved(name))
			conf_fault(f, at, "%s is a label of muster's own", name);
		else if (named_before(labels, i))
			conf_fault(f, at, "two columns make labels of the name %.64s", name);
	}
}

static const struct row_column *
columns_of(const struct conf_map *map, struct arena *a)
{
	struct row_column *v = arena_array(a, map->n + 1, sizeof(*v));

	for (size_t i = 0; v && i < map->n; i++)
		v[i] = (struct row_column){map->v[i].key, map->v[i].value};
	return v;
}

/* The time of an event stands in its row. */
static void
check_series(const struct job_common *c, struct insights_opts *o, const struct conf_node *revisit,
	     struct arena *a, struct conf_faults *f)
{
	const struct insights_series *s = &o->series;
	bool own = !s->time || (o->q.events && !strcmp(s->time, "@timestamp"));

	if (o->q.events)
		check_bins(c, o, f);
	if (s->time)
		check_column(o, s->time, s->time_node, f);
	check_values(o, f);
	check_labels(o, f);
	if (c->once)
		conf_fault(f, revisit ? revisit : o->series_node,
			   "`once` and `series`: receivers take samples in order of time, and "
			   "those of late events are not; "
			   "use a job of its own for the rows");
	o->rules = (struct row_rules){
	    .time = own ? NULL : s->time,
	    .values = columns_of(&s->values, a),
	    .n_values = s->values.n,
	    .labels = columns_of(&s->labels, a),
	    .n_labels = s->labels.n,
	};
	if (!o->rules.values || !o->rules.labels)
		conf_fault(f, o->series_node, "out of memory");
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
	if (o->series_node && !conf_is_bad(o->series_node) && o->q.body)
		check_series(c, o, revisit, a, f);
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
