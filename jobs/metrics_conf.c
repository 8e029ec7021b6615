/*
 * Options of the metrics kind: their keys, their checks, the canonical text of what they ask for,
 * and the questions the pull has about them. Defaults that depend on the namespace are applied here
 * and nowhere else.
 */
#include <fnmatch.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "fmt/json.h"
#include "jobs/metrics.h"
#include "model/statistic.h"

#define OFF(member)  offsetof(struct metrics_opts, member)
#define FROM(member) offsetof(struct metrics_from, member)
#define SUFFIX_MAX   256

static const struct conf_key from_keys[] = {
    {.name = "namespace",
     .type = CONF_STRING,
     .offset = FROM(ns),
     .node_offset = FROM(ns_node),
     .help = "CloudWatch namespace, AWS's (AWS/ECS) or any custom one"},
    {.name = "metrics",
     .type = CONF_STRINGS,
     .offset = FROM(metrics),
     .help = "metric names, `*` stands for anything; default: all of the namespace, for "
	     "ECS/ContainerInsights the "
	     "eight that have names of their own"},
    {.name = "dimensions",
     .type = CONF_STRINGSS,
     .offset = FROM(dimensions),
     .node_offset = FROM(dimensions_node),
     .help =
	 "sets of dimension names, each matched exactly; [\"*\"] is every set there is; default: "
	 "[ClusterName, ServiceName] for AWS/ECS and ECS/ContainerInsights, every set for others"},
    {.name = "where",
     .type = CONF_MAP,
     .offset = FROM(where),
     .help = "only metrics whose dimension of this name matches this glob"},
    {.name = "statistics",
     .type = CONF_STRINGS,
     .offset = FROM(statistics),
     .deflt = "Average",
     .node_offset = FROM(statistics_node),
     .help = "Average, Sum, Minimum, Maximum, SampleCount, p99, tm90, IQM, PR(10:20), ..."},
    {.name = "id",
     .type = CONF_STRING,
     .offset = FROM(id),
     .node_offset = FROM(id_node),
     .help =
	 "what expressions below call this entry; one metric with an id gives no series itself"},
    {.name = "expression",
     .type = CONF_STRING,
     .offset = FROM(expression),
     .flags = CONF_RAW,
     .node_offset = FROM(expression_node),
     .help = "metric math over the ids of entries above it, and SEARCH('{Namespace,Dimension} "
	     "...', 'Sum'); instead of a namespace"},
    {.name = "name",
     .type = CONF_STRING,
     .offset = FROM(name),
     .node_offset = FROM(name_node),
     .help = "of an expression's series; without it others use its id"},
    CONF_END,
};

const struct conf_key metrics_keys[] = {
    {.name = "period",
     .type = CONF_DURATION,
     .offset = OFF(period_ms),
     .deflt = "60s",
     .min = 1000,
     .max = 86400000,
     .node_offset = OFF(period_node),
     .help = "distance of the points: a multiple of 60s, or 1s, 5s, 10s, 20s, 30s"},
    {.name = "discover_every",
     .type = CONF_DURATION,
     .offset = OFF(discover_every_ms),
     .deflt = "10m",
     .min = 0,
     .max = 86400000,
     .help = "how often the account's metrics are listed"},
    {.name = "from",
     .type = CONF_TABLES,
     .offset = OFF(from),
     .table = from_keys,
     .elem_size = sizeof(struct metrics_from),
     .node_offset = OFF(from_node),
     .help = "which metrics; default: the eight of ECS/ContainerInsights"},
    {.name = "naming",
     .type = CONF_ENUM,
     .offset = OFF(naming),
     .deflt = "muster",
     .words = naming_words,
     .help = "how series and labels are named"},
    {.name = "memory_unit",
     .type = CONF_ENUM,
     .offset = OFF(memory_unit),
     .deflt = "MiB",
     .words = memory_unit_words,
     .help = "the unit suffix of memory metrics under `naming: adot-units`"},
    {.name = "keep",
     .type = CONF_STRING,
     .offset = OFF(keep),
     .flags = CONF_REGEX,
     .help = "only series whose whole name matches this extended regular expression; others are "
	     "not asked for"},
    {.name = "drop",
     .type = CONF_STRING,
     .offset = OFF(drop),
     .flags = CONF_REGEX,
     .help = "no series whose whole name matches this extended regular expression"},
    CONF_END,
};

/* Defaults by namespace */

static const char *average[] = {"Average"};
static const struct conf_strings average_only = {average, 1};

static const char *service_names[] = {"ClusterName", "ServiceName"};
static struct conf_strings service_set[] = {{service_names, 2}};
static const struct conf_stringss service_sets = {service_set, 1};
static const struct conf_stringss no_sets = {NULL, 0};

static const struct metrics_from from_default = {.ns = ECS_INSIGHTS_NAMESPACE};

const struct metrics_from *
metrics_from_list(const struct metrics_opts *o, size_t *ret_n)
{
	*ret_n = o->from.n ? o->from.n : 1;
	return o->from.n ? o->from.v : &from_default;
}

bool
metrics_asks_expressions(const struct metrics_opts *o)
{
	size_t n;
	const struct metrics_from *from = metrics_from_list(o, &n);

	for (size_t i = 0; i < n; i++)
		if (from[i].expression && from[i].name)
			return true;
	return false;
}

const struct conf_strings *
metrics_from_stats(const struct metrics_from *from)
{
	return from->statistics.n ? &from->statistics : &average_only;
}

bool
metrics_from_plain(const struct metrics_from *from)
{
	return !from->expression && !from->id;
}

const struct conf_stringss *
metrics_from_sets(const struct metrics_from *from)
{
	for (size_t i = 0; i < from->dimensions.n; i++)
		if (from->dimensions.v[i].n == 1 && !strcmp(from->dimensions.v[i].v[0], "*"))
			return &no_sets;
	if (from->dimensions.n)
		return &from->dimensions;
	/* Without a namespace it is at fault already. */
	return from->ns &&
		       (!strcmp(from->ns, ECS_INSIGHTS_NAMESPACE) || !strcmp(from->ns, "AWS/ECS"))
		   ? &service_sets
		   : &no_sets;
}

bool
metrics_from_names(const struct metrics_from *from, const char *metric)
{
	bool eight = !from->metrics.n && !strcmp(from->ns, ECS_INSIGHTS_NAMESPACE);

	for (size_t i = 0; eight && i < ECS_EIGHT; i++)
		if (!strcmp(ecs_eight[i], metric))
			return true;
	for (size_t i = 0; i < from->metrics.n; i++)
		if (!fnmatch(from->metrics.v[i], metric, 0))
			return true;
	return !eight && !from->metrics.n;
}

static const char *
dim_value(const struct cw_metric *m, const char *name)
{
	for (size_t i = 0; i < m->n_dims; i++)
		if (!strcmp(m->dims[i].name, name))
			return m->dims[i].value;
	return NULL;
}

static bool
contains(const struct conf_strings *set, const char *s)
{
	for (size_t i = 0; i < set->n; i++)
		if (!strcmp(set->v[i], s))
			return true;
	return false;
}

static bool
set_is(const struct conf_strings *set, const struct cw_metric *m)
{
	for (size_t i = 0; i < set->n; i++)
		if (!dim_value(m, set->v[i]))
			return false;
	for (size_t i = 0; i < m->n_dims; i++)
		if (!contains(set, m->dims[i].name))
			return false;
	return true;
}

bool
metrics_from_selects(const struct metrics_from *from, const struct cw_metric *m)
{
	const struct conf_stringss *sets = &no_sets;
	bool fits;

	if (from->expression || strcmp(from->ns, m->ns) != 0 || !metrics_from_names(from, m->name))
		return false;
	sets = metrics_from_sets(from);
	fits = sets->n == 0;
	for (size_t i = 0; i < sets->n && !fits; i++)
		fits = set_is(&sets->v[i], m);
	for (size_t i = 0; fits && i < from->where.n; i++) {
		const char *value = dim_value(m, from->where.v[i].key);

		fits = value && !fnmatch(from->where.v[i].value, value, 0);
	}
	return fits;
}

static bool
same_set(const struct conf_strings *a, const struct conf_strings *b)
{
	for (size_t i = 0; i < a->n; i++)
		if (!contains(b, a->v[i]))
			return false;
	for (size_t i = 0; i < b->n; i++)
		if (!contains(a, b->v[i]))
			return false;
	return true;
}

bool
metrics_same_sets(const struct conf_stringss *a, const struct conf_stringss *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!same_set(&a->v[i], &b->v[i]))
			return false;
	return true;
}

bool
metrics_many_sets(const struct metrics_opts *o, const char *ns, const char *metric)
{
	const struct conf_strings *first = NULL;
	size_t n;
	const struct metrics_from *from = metrics_from_list(o, &n);

	for (size_t i = 0; i < n; i++) {
		const struct conf_stringss *sets;

		if (!metrics_from_plain(&from[i]) || strcmp(from[i].ns, ns) != 0 ||
		    !metrics_from_names(&from[i], metric))
			continue;
		sets = metrics_from_sets(&from[i]);
		if (!sets->n)
			return true;
		first = first ? first : &sets->v[0];
		for (size_t k = 0; k < sets->n; k++)
			if (!same_set(first, &sets->v[k]))
				return true;
	}
	return false;
}

/* The definition */

static void
add_list(struct buf *out, const char *key, const struct conf_strings *list)
{
	buf_str(out, key);
	buf_ch(out, '[');
	for (size_t i = 0; i < list->n; i++)
		json_add_str(out, i ? "," : "", list->v[i]);
	buf_ch(out, ']');
}

static void
define_math(const struct metrics_from *from, struct buf *out)
{
	json_add_str(out, "{\"expression\":", from->expression);
	json_add_str(out, ",\"id\":", from->id);
	json_add_str(out, ",\"name\":", from->name);
	buf_ch(out, '}');
}

static void
define_from(const struct metrics_from *from, struct buf *out)
{
	const struct conf_stringss *sets = metrics_from_sets(from);
	const char *names[ECS_EIGHT];
	struct conf_strings eight = {names, ECS_EIGHT};

	memcpy(names, ecs_eight, sizeof(names));
	json_add_str(out, "{\"namespace\":", from->ns);
	if (!from->metrics.n && !strcmp(from->ns, ECS_INSIGHTS_NAMESPACE))
		add_list(out, ",\"metrics\":", &eight);
	else
		add_list(out, ",\"metrics\":", &from->metrics);
	buf_str(out, ",\"dimensions\":[");
	for (size_t i = 0; i < sets->n; i++)
		add_list(out, i ? "," : "", &sets->v[i]);
	buf_str(out, "],\"where\":{");
	for (size_t i = 0; i < from->where.n; i++) {
		json_add_str(out, i ? "," : "", from->where.v[i].key);
		json_add_str(out, ":", from->where.v[i].value);
	}
	add_list(out, "},\"statistics\":", metrics_from_stats(from));
	if (from->id)
		json_add_str(out, ",\"id\":", from->id);
	buf_ch(out, '}');
}

void
metrics_definition(const struct job_common *c, const void *opts, struct buf *out)
{
	const struct metrics_opts *o = opts;
	size_t n;
	const struct metrics_from *from = metrics_from_list(o, &n);

	(void)c;
	buf_fmt(out, "{\"kind\":\"metrics\",\"format\":1,\"period_ms\":%lld,\"from\":[",
		(long long)o->period_ms);
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_ch(out, ',');
		(from[i].expression ? define_math : define_from)(&from[i], out);
	}
	json_add_str(out, "],\"naming\":", naming_words[o->naming]);
	json_add_str(out, ",\"memory_unit\":", memory_unit_words[o->memory_unit]);
	json_add_str(out, ",\"keep\":", o->keep);
	json_add_str(out, ",\"drop\":", o->drop);
	buf_ch(out, '}');
}

/* Checks */

/* Names of series carry the statistic in snake case: TM(:5%) and TM(5%:) would be one. */
static bool
same_suffix(const char *x, const char *y, struct conf_faults *f)
{
	CLEANUP(buf_done) struct buf a = BUF_INIT(SUFFIX_MAX), b = BUF_INIT(SUFFIX_MAX);

	snake_case(&a, sv_of(x));
	snake_case(&b, sv_of(y));
	if (a.no_memory || b.no_memory)
		conf_nomem(f);
	return strcmp(x, y) != 0 && sv_eq(buf_view(&a), buf_view(&b));
}

static void
check_stats(const struct metrics_from *from, struct conf_faults *f)
{
	const struct conf_strings *stats = &from->statistics;

	for (size_t i = 0; i < stats->n; i++) {
		if (!statistic_valid(sv_of(stats->v[i])))
			conf_fault(f, from->statistics_node,
				   "\"%.64s\" is not a statistic of CloudWatch's", stats->v[i]);
		for (size_t k = 0; k < i; k++)
			if (same_suffix(stats->v[k], stats->v[i], f))
				conf_fault(
				    f, from->statistics_node,
				    "%.64s and %.64s would be one series by name: ask for one "
				    "of them in a job of its own",
				    stats->v[k], stats->v[i]);
	}
}

static void
check_from(const struct metrics_from *from, const struct conf_node *parent, struct conf_faults *f)
{
	if (from->expression)
		return; /* metrics_math_check */
	if (!from->ns || !*from->ns) {
		conf_fault(f, from->ns_node ? from->ns_node : parent, "an entry has no namespace");
		return;
	}
	for (size_t i = 0; i < from->dimensions.n; i++)
		if (from->dimensions.v[i].n > CW_DIMENSIONS_MAX)
			conf_fault(f, from->dimensions_node, "more than %d dimensions in a set",
				   CW_DIMENSIONS_MAX);
	check_stats(from, f);
}

static bool
period_valid(int64_t period_ms)
{
	static const int64_t short_ms[] = {1000, 5000, 10000, 20000, 30000};

	for (size_t i = 0; i < ARRAY_LEN(short_ms); i++)
		if (period_ms == short_ms[i])
			return true;
	return period_ms > 0 && period_ms % 60000 == 0;
}

void
metrics_check(const struct job_common *c, void *opts, const struct conf_node *node, struct arena *a,
	      struct conf_faults *f)
{
	struct metrics_opts *o = opts;
	const struct conf_node *at = o->period_node ? o->period_node : node;
	const struct metrics_from *from = o->from.v;
	char every[32], period[32];

	num_duration_format(c->every_ms, every);
	num_duration_format(o->period_ms, period);
	if (!period_valid(o->period_ms))
		conf_fault(f, at,
			   "%s is neither a multiple of 60s nor one of 1s, 5s, 10s, 20s, 30s",
			   period);
	else if (c->every_ms % o->period_ms)
		conf_fault(f, at, "every (%s) is not a multiple of the period (%s)", every, period);
	for (size_t i = 0; i < o->from.n; i++)
		check_from(&from[i], o->from_node ? o->from_node : node, f);
	metrics_math_check(o, o->from_node ? o->from_node : node, a, f);
}
