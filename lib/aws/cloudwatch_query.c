/* CloudWatch in the Query protocol: a form in, XML out. What every old stand-in speaks. */
#include "aws/cloudwatch_codec.h"
#include "base/cleanup.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "fmt/uri.h"
#include "fmt/xml.h"

/* A point is two nodes of the answer's tree, whose count fmt/xml caps; a page this small stays far
 * below. */
#define QUERY_DATAPOINTS 50000

/* Requests */

static void
begin(struct buf *out, const char *action)
{
	form_add(out, "Action", sv_of(action));
	form_add(out, "Version", SV("2010-08-01"));
}

static void
build_list(const struct cw_list_req *q, struct buf *out)
{
	begin(out, "ListMetrics");
	form_add(out, "Namespace", sv_of(q->ns));
	if (q->recent)
		form_add(out, "RecentlyActive", SV("PT3H"));
	if (q->account) {
		form_add(out, "IncludeLinkedAccounts", SV("true"));
		form_add(out, "OwningAccount", sv_of(q->account));
	}
	if (q->token)
		form_add(out, "NextToken", sv_of(q->token));
}

__attribute__((format(printf, 3, 4))) static void
add_field(struct buf *out, const char *value, const char *fmt, ...)
{
	char name[128];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	form_add(out, name, sv_of(value));
}

#define MEMBER "MetricDataQueries.member"

static void
build_stat(const struct cw_query *q, size_t at, int64_t period_s, struct buf *out)
{
	char text[32];

	add_field(out, q->metric->ns, MEMBER ".%zu.MetricStat.Metric.Namespace", at);
	add_field(out, q->metric->name, MEMBER ".%zu.MetricStat.Metric.MetricName", at);
	for (size_t i = 0; i < q->metric->n_dims; i++) {
		const struct cw_dim *d = &q->metric->dims[i];

		add_field(out, d->name, MEMBER ".%zu.MetricStat.Metric.Dimensions.member.%zu.Name",
			  at, i + 1);
		add_field(out, d->value,
			  MEMBER ".%zu.MetricStat.Metric.Dimensions.member.%zu.Value", at, i + 1);
	}
	(void)snprintf(text, sizeof(text), "%lld", (long long)period_s);
	add_field(out, text, MEMBER ".%zu.MetricStat.Period", at);
	add_field(out, q->stat, MEMBER ".%zu.MetricStat.Stat", at);
}

static void
build_query(const struct cw_query *q, size_t at, int64_t period_s, const char *account,
	    struct buf *out)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "m%zu", q->id);
	add_field(out, text, MEMBER ".%zu.Id", at);
	if (q->expression) {
		add_field(out, q->expression, MEMBER ".%zu.Expression", at);
		(void)snprintf(text, sizeof(text), "%lld", (long long)period_s);
		add_field(out, text, MEMBER ".%zu.Period", at);
	} else {
		build_stat(q, at, period_s, out);
	}
	if (q->label)
		add_field(out, q->label, MEMBER ".%zu.Label", at);
	if (q->hidden)
		add_field(out, "false", MEMBER ".%zu.ReturnData", at);
	if (account && !q->expression)
		add_field(out, account, MEMBER ".%zu.AccountId", at);
}

static void
add_time(struct buf *out, const char *name, int64_t ms)
{
	char text[TIME_TEXT_MAX];

	(ms % 1000 ? time_format_ms : time_format_s)(ms, text);
	form_add(out, name, sv_of(text));
}

static void
build_data(const struct cw_data_req *q, long max_datapoints, struct buf *out)
{
	begin(out, "GetMetricData");
	for (size_t i = 0; i < q->n; i++)
		build_query(&q->queries[i], i + 1, q->period_ms / 1000, q->account, out);
	add_time(out, "StartTime", q->start_ms);
	add_time(out, "EndTime", q->end_ms);
	form_add(out, "ScanBy", SV("TimestampAscending"));
	buf_fmt(out, "&MaxDatapoints=%ld", max_datapoints);
	if (q->token)
		form_add(out, "NextToken", sv_of(q->token));
}

/* Answers */

/* The <Operation>Result below <Operation>Response. */
static const struct xml_node *
result_node(const struct xml_doc *doc, const char *operation, struct err *err)
{
	const struct xml_node *root = xml_root(doc), *n;
	char name[64];

	(void)snprintf(name, sizeof(name), "%sResponse", operation);
	if (strcmp(root->name, name) != 0) {
		(void)err_set(err, ERR_DATA, "expected <%s>, got <%.64s>", name, root->name);
		return NULL;
	}
	(void)snprintf(name, sizeof(name), "%sResult", operation);
	n = xml_child(root, name);
	if (!n)
		(void)err_set(err, ERR_DATA, "<%s> is missing", name);
	return n;
}

static size_t
count_members(const struct xml_node *list)
{
	size_t n = 0;

	for (const struct xml_node *m = xml_child(list, "member"); m; m = xml_next(m, "member"))
		n++;
	return n;
}

static int
copy_text(const struct xml_node *n, const char *name, struct arena *a, const char **ret,
	  struct err *err)
{
	const char *text = xml_text(n, name);

	if (!text)
		return err_set(err, ERR_DATA, "<%s> is missing in <%s>", name,
			       n->parent ? n->parent->name : n->name);
	*ret = cw_strdup(a, text);
	return *ret ? 0 : err_nomem(err);
}

static int
read_metric(const struct xml_node *n, struct arena *a, struct cw_metric *m, struct err *err)
{
	const struct xml_node *list = xml_child(n, "Dimensions");
	struct cw_dim *dims = arena_array(a, count_members(list), sizeof(*dims));

	if (!dims)
		return err_nomem(err);
	if (copy_text(n, "Namespace", a, &m->ns, err) ||
	    copy_text(n, "MetricName", a, &m->name, err))
		return -1;
	for (const struct xml_node *d = xml_child(list, "member"); d; d = xml_next(d, "member")) {
		struct cw_dim *to = &dims[m->n_dims++];

		if (copy_text(d, "Name", a, &to->name, err) ||
		    copy_text(d, "Value", a, &to->value, err))
			return -1;
	}
	cw_dims_sort(dims, m->n_dims);
	m->dims = dims;
	return 0;
}

/* The second one's content would be lost. */
static int
not_twice(const struct xml_node *top, const char *name, struct err *err)
{
	const struct xml_node *n = xml_child(top, name);

	return n && xml_next(n, name) ? err_set(err, ERR_DATA, "<%s> is there twice", name) : 0;
}

static int
read_token(const struct xml_node *top, struct arena *a, const char **ret, struct err *err)
{
	return not_twice(top, "NextToken", err)
		   ? -1
		   : cw_token_copy(a, xml_text(top, "NextToken"), ret, err);
}

/* It is there when nothing is in it: what lacks it is no answer to this. */
static const struct xml_node *
list_node(const struct xml_node *top, const char *name, struct err *err)
{
	const struct xml_node *list = xml_child(top, name);

	if (!list)
		(void)err_set(err, ERR_DATA, "<%s> is missing", name);
	return not_twice(top, name, err) ? NULL : list;
}

static int
read_list(struct sv body, struct arena *a, struct cw_list_page *ret, struct err *err)
{
	CLEANUP(xml_freep) struct xml_doc *doc = NULL;
	const struct xml_node *top, *list;

	if (xml_parse(body, "ListMetrics answer", &doc, err))
		return -1;
	top = result_node(doc, "ListMetrics", err);
	if (!top || read_token(top, a, &ret->token, err))
		return -1;
	list = list_node(top, "Metrics", err);
	if (!list)
		return -1;
	ret->metrics = arena_array(a, count_members(list), sizeof(*ret->metrics));
	if (!ret->metrics)
		return err_nomem(err);
	for (const struct xml_node *m = xml_child(list, "member"); m; m = xml_next(m, "member"))
		if (read_metric(m, a, &ret->metrics[ret->n++], err))
			return -1;
	return 0;
}

static int
read_points(const struct xml_node *n, struct arena *a, struct cw_result *r, struct err *err)
{
	const struct xml_node *ts = xml_child(n, "Timestamps"), *vs = xml_child(n, "Values");
	size_t count = count_members(ts), i = 0;
	int64_t *t = arena_array(a, count, sizeof(*t));
	double *v = arena_array(a, count, sizeof(*v));

	if (not_twice(n, "Timestamps", err) || not_twice(n, "Values", err))
		return -1;
	if (count_members(vs) != count)
		return err_set(err, ERR_DATA, "%zu timestamps but %zu values", count,
			       count_members(vs));
	if (!t || !v)
		return err_nomem(err);
	for (const struct xml_node *m = xml_child(ts, "member"); m; m = xml_next(m, "member"))
		if (!time_parse_iso(sv_of(m->text), &t[i++]))
			return err_set(err, ERR_DATA, "<Timestamps>: expected a time");
	i = 0;
	for (const struct xml_node *m = xml_child(vs, "member"); m; m = xml_next(m, "member"))
		if (!num_double(sv_of(m->text), &v[i++]))
			return err_set(err, ERR_DATA, "<Values>: expected a number");
	r->ts_ms = t;
	r->values = v;
	r->n = count;
	return 0;
}

static int
read_messages(const struct xml_node *n, struct arena *a, const char **ret, struct err *err)
{
	const char *code = NULL, *text = NULL;

	for (const struct xml_node *m = xml_path(n, "Messages/member"); m;
	     m = xml_next(m, "member")) {
		code = xml_text(m, "Code");
		text = xml_text(m, "Value");
	}
	if (!code && !text)
		return 0;
	*ret = cw_message(a, code ? code : "", text ? text : "");
	return *ret ? 0 : err_nomem(err);
}

static int
read_result(const struct xml_node *n, struct arena *a, struct cw_result *r, struct err *err)
{
	const char *id = xml_text(n, "Id"), *status = xml_text(n, "StatusCode");
	const char *label = xml_text(n, "Label");

	if (!id)
		return err_set(err, ERR_DATA, "<Id> is missing");
	r->id = cw_id_parse(id);
	r->status = cw_status_parse(status ? status : "");
	r->status_text = cw_strdup(a, status ? status : "");
	r->label = label ? cw_strdup(a, label) : NULL;
	if (!r->status_text || (label && !r->label))
		return err_nomem(err);
	if (read_points(n, a, r, err))
		return err_wrap(err, "result %.64s", id);
	return read_messages(n, a, &r->message, err);
}

static int
read_data(struct sv body, struct arena *a, struct cw_data_page *ret, struct err *err)
{
	CLEANUP(xml_freep) struct xml_doc *doc = NULL;
	const struct xml_node *top, *list;

	if (xml_parse(body, "GetMetricData answer", &doc, err))
		return -1;
	top = result_node(doc, "GetMetricData", err);
	if (!top || read_token(top, a, &ret->token, err) ||
	    read_messages(top, a, &ret->message, err))
		return -1;
	list = list_node(top, "MetricDataResults", err);
	if (!list)
		return -1;
	ret->results = arena_array(a, count_members(list), sizeof(*ret->results));
	if (!ret->results)
		return err_nomem(err);
	for (const struct xml_node *m = xml_child(list, "member"); m; m = xml_next(m, "member"))
		if (read_result(m, a, &ret->results[ret->n++], err))
			return -1;
	return 0;
}

const struct cw_codec cw_codec_query = {
    .proto = PROTO_AWS_QUERY,
    .max_datapoints = QUERY_DATAPOINTS,
    .build_list = build_list,
    .build_data = build_data,
    .read_list = read_list,
    .read_data = read_data,
};
