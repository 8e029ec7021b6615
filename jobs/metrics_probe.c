/*
 * The permissions of the metrics kind, and how they are seen: one page of the list, and one metric
 * over one minute (which CloudWatch bills with a hundredth of a thousandth of a dollar). Actions of
 * CloudWatch's know no resources.
 */
#include <string.h>

#include "base/cleanup.h"
#include "jobs/metrics.h"

#define MINUTE_MS 60000LL

static const struct metrics_from any = {.ns = ECS_INSIGHTS_NAMESPACE};

static const struct metrics_from *
first_from(const struct job_stream *s)
{
	size_t n;
	const struct metrics_from *from = metrics_from_list(s->opts, &n);

	for (size_t i = 0; i < n; i++)
		if (!from[i].expression)
			return &from[i];
	return &any; /* expressions only: any namespace shows what may be called */
}

static int
ask_list(const struct job_stream *s, const json_t *seen, int64_t now_ms, struct aws_call *call,
	 struct err *err)
{
	const struct cw_list_req q = {
	    .ns = first_from(s)->ns, .recent = true, .account = s->linked_account};

	(void)seen;
	(void)now_ms;
	return cw_list_call(cw_proto_of(s->region), &q, call, err);
}

/* The name need not exist: there is nothing of it then. */
static int
ask_data(const struct job_stream *s, const json_t *seen, int64_t now_ms, struct aws_call *call,
	 struct err *err)
{
	const struct cw_metric metric = {.ns = first_from(s)->ns, .name = "CpuUtilized"};
	const struct cw_query query = {.metric = &metric, .stat = "Average"};
	const int64_t end_ms = now_ms - now_ms % MINUTE_MS;
	const struct cw_data_req q = {
	    .queries = &query,
	    .n = 1,
	    .account = s->linked_account,
	    .start_ms = end_ms - MINUTE_MS,
	    .end_ms = end_ms,
	    .period_ms = MINUTE_MS,
	};

	(void)seen;
	return cw_data_call(cw_proto_of(s->region), &q, call, err);
}

static bool
other_protocol(const struct job_stream *s, json_t *seen, const struct aws_call *call,
	       const struct http_resp *resp, const struct err *err)
{
	enum cw_proto p = cw_proto_of_call(call);

	(void)seen;
	return err->kind != ERR_NONE && cw_proto_unknown(p, resp, err) &&
	       cw_proto_avoid(s->region, p) != CW_N_PROTOS;
}

const struct job_probe metrics_probes[] = {
    {.action = "cloudwatch:ListMetrics", .ask = ask_list, .heard = other_protocol},
    {.action = "cloudwatch:GetMetricData", .ask = ask_data, .heard = other_protocol},
    {.action = NULL},
};

/* Is this entry the first of its namespace to select this? Once is enough. */
static bool
told_before(const struct metrics_from *from, size_t i, const char *metric)
{
	for (size_t k = 0; k < i; k++)
		for (size_t j = 0; metrics_from_plain(&from[k]) &&
				   !strcmp(from[k].ns, from[i].ns) && j < from[k].metrics.n;
		     j++)
			if (!strcmp(from[k].metrics.v[j], metric))
				return true;
	return false;
}

/* Which metric of an entry stands for all: its first, or any. */
static const char *
example(const struct metrics_from *from)
{
	if (from->metrics.n)
		return from->metrics.v[0];
	return !strcmp(from->ns, ECS_INSIGHTS_NAMESPACE) ? ecs_eight[0] : "*";
}

/* What is asked for a cell at a time costs as many calls, and is billed as often, as there are
 * cells. */
static void
advise_windowed(const struct metrics_from *from, void (*say)(void *arg, const char *text),
		void *arg)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(4096);

	if (!from->name || !from->math || !from->math->parsed.traits.windowed)
		return;
	buf_fmt(&text,
		"expression %.200s depends on more than the points of one time: it is asked for "
		"cell by "
		"cell, and again for each that is looked at again (`revisit`), which takes and "
		"costs so "
		"many times the calls of one that does not",
		from->name);
	say(arg, buf_cstr(&text));
}

void
metrics_advise(const void *opts, void (*say)(void *arg, const char *text), void *arg)
{
	const struct metrics_opts *o = opts;
	size_t n;
	const struct metrics_from *from = metrics_from_list(o, &n);

	for (size_t i = 0; i < n; i++) {
		CLEANUP(buf_done) struct buf text = BUF_INIT(4096);
		const char *metric = from[i].expression ? NULL : example(&from[i]);

		advise_windowed(&from[i], say, arg);
		if (!metrics_from_plain(&from[i]) || !metrics_many_sets(o, from[i].ns, metric) ||
		    told_before(from, i, metric))
			continue;
		buf_fmt(&text,
			"%.200s %.200s is asked for in more than one set of dimensions: the same "
			"thing is counted once in each; choose one by the label dimension_set in "
			"every query that sums, or name one set under dimensions",
			from[i].ns, metric);
		say(arg, buf_cstr(&text));
	}
}

static bool
one_statistic(const struct metrics_from *a, const struct metrics_from *b)
{
	const struct conf_strings *x = metrics_from_stats(a), *y = metrics_from_stats(b);

	for (size_t i = 0; i < x->n; i++)
		for (size_t k = 0; k < y->n; k++)
			if (!strcmp(x->v[i], y->v[k]))
				return true;
	return false;
}

/* A name (or the example of a default) that `a` gives and `b` selects; NULL: none. */
static const char *
name_in_both(const struct metrics_from *a, const struct metrics_from *b)
{
	for (size_t i = 0; i < a->metrics.n; i++)
		if (metrics_from_names(b, a->metrics.v[i]))
			return a->metrics.v[i];
	return !a->metrics.n && metrics_from_names(b, example(a)) ? example(a) : NULL;
}

/* Two entries with a `where` each may select different things. */
static const char *
asked_by_both(const struct metrics_from *a, const struct metrics_from *b)
{
	const char *name;

	if (!metrics_from_plain(a) || !metrics_from_plain(b))
		return NULL;
	if (strcmp(a->ns, b->ns) != 0 || !one_statistic(a, b) || (a->where.n && b->where.n))
		return NULL;
	name = name_in_both(a, b);
	return name ? name : name_in_both(b, a);
}

bool
metrics_shares(const void *opts, const void *other, struct buf *what)
{
	const struct metrics_opts *x = opts, *y = other;
	size_t n, m;
	const struct metrics_from *a = metrics_from_list(x, &n), *b = metrics_from_list(y, &m);

	if (x->naming != y->naming || x->keep || x->drop || y->keep || y->drop)
		return false;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < m; k++) {
			const char *metric = asked_by_both(&a[i], &b[k]);

			if (a[i].name && b[k].name && !strcmp(a[i].name, b[k].name)) {
				buf_fmt(what, "%.200s", a[i].name);
				return true;
			}
			if (!metric)
				continue;
			buf_fmt(what, "%.200s %.200s", a[i].ns, metric);
			return true;
		}
	return false;
}
