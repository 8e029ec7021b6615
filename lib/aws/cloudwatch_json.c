/* CloudWatch in AWS JSON 1.0. Times are epoch seconds, numbers that are none come as words. */
#include <math.h>

#include "aws/cloudwatch_codec.h"
#include "base/cleanup.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "fmt/json.h"

/* Requests */

static void
add_member(struct buf *out, const char *key, const char *value)
{
	buf_str(out, key);
	(void)json_escape(out, sv_of(value));
}

static void
build_list(const struct cw_list_req *q, struct buf *out)
{
	add_member(out, "{\"Namespace\":", q->ns);
	if (q->recent)
		buf_str(out, ",\"RecentlyActive\":\"PT3H\"");
	if (q->account)
		add_member(out, ",\"IncludeLinkedAccounts\":true,\"OwningAccount\":", q->account);
	if (q->token)
		add_member(out, ",\"NextToken\":", q->token);
	buf_ch(out, '}');
}

static void
build_query(const struct cw_query *q, int64_t period_s, const char *account, struct buf *out)
{
	buf_fmt(out, "{\"Id\":\"m%zu\"", q->id);
	add_member(out, ",\"MetricStat\":{\"Metric\":{\"Namespace\":", q->metric->ns);
	add_member(out, ",\"MetricName\":", q->metric->name);
	buf_str(out, ",\"Dimensions\":[");
	for (size_t i = 0; i < q->metric->n_dims; i++) {
		add_member(out, i ? ",{\"Name\":" : "{\"Name\":", q->metric->dims[i].name);
		add_member(out, ",\"Value\":", q->metric->dims[i].value);
		buf_ch(out, '}');
	}
	buf_fmt(out, "]},\"Period\":%lld", (long long)period_s);
	add_member(out, ",\"Stat\":", q->stat);
	buf_ch(out, '}');
	if (account)
		add_member(out, ",\"AccountId\":", account);
	buf_ch(out, '}');
}

static void
add_seconds(struct buf *out, const char *key, int64_t ms)
{
	char text[NUM_DOUBLE_MAX];

	(void)num_format((double)ms / 1000, text);
	buf_str(out, key);
	buf_str(out, text);
}

static void
build_data(const struct cw_data_req *q, long max_datapoints, struct buf *out)
{
	buf_str(out, "{\"MetricDataQueries\":[");
	for (size_t i = 0; i < q->n; i++) {
		if (i)
			buf_ch(out, ',');
		build_query(&q->queries[i], q->period_ms / 1000, q->account, out);
	}
	add_seconds(out, "],\"StartTime\":", q->start_ms);
	add_seconds(out, ",\"EndTime\":", q->end_ms);
	buf_fmt(out, ",\"ScanBy\":\"TimestampAscending\",\"MaxDatapoints\":%ld", max_datapoints);
	if (q->token)
		add_member(out, ",\"NextToken\":", q->token);
	buf_ch(out, '}');
}

/* Answers */

static int
copy_str(const json_t *obj, const char *path, const char *key, struct arena *a, const char **ret,
	 struct err *err)
{
	const char *s = NULL;

	if (json_get_str(obj, path, key, true, &s, err))
		return -1;
	*ret = cw_strdup(a, s);
	return *ret ? 0 : err_nomem(err);
}

static int
read_dims(const json_t *arr, const char *path, struct arena *a, struct cw_metric *m,
	  struct err *err)
{
	size_t n = json_array_size(arr);
	struct cw_dim *dims = arena_array(a, n, sizeof(*dims));

	if (!dims)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		const json_t *d = json_array_get(arr, i);
		char at[96];

		(void)snprintf(at, sizeof(at), "%s/Dimensions/%zu", path, i);
		if (copy_str(d, at, "Name", a, &dims[i].name, err) ||
		    copy_str(d, at, "Value", a, &dims[i].value, err))
			return -1;
	}
	cw_dims_sort(dims, n);
	m->dims = dims;
	m->n_dims = n;
	return 0;
}

static int
read_metric(const json_t *j, size_t at, struct arena *a, struct cw_metric *m, struct err *err)
{
	char path[48];
	json_t *dims;

	(void)snprintf(path, sizeof(path), "/Metrics/%zu", at);
	if (copy_str(j, path, "Namespace", a, &m->ns, err) ||
	    copy_str(j, path, "MetricName", a, &m->name, err) ||
	    json_get_arr(j, path, "Dimensions", false, &dims, err))
		return -1;
	return read_dims(dims, path, a, m, err);
}

static int
read_token(const json_t *doc, struct arena *a, const char **ret, struct err *err)
{
	const char *token = NULL;

	if (json_get_str(doc, "", "NextToken", false, &token, err))
		return -1;
	return cw_token_copy(a, token, ret, err);
}

static int
read_list(struct sv body, struct arena *a, struct cw_list_page *ret, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	json_t *arr;

	if (json_parse(body, "ListMetrics answer", &doc, err) ||
	    json_get_arr(doc, "", "Metrics", true, &arr, err) ||
	    read_token(doc, a, &ret->token, err))
		return -1;
	ret->metrics = arena_array(a, json_array_size(arr), sizeof(*ret->metrics));
	if (!ret->metrics)
		return err_nomem(err);
	for (; ret->n < json_array_size(arr); ret->n++)
		if (read_metric(json_array_get(arr, ret->n), ret->n, a, &ret->metrics[ret->n], err))
			return -1;
	return 0;
}

/* Seconds to milliseconds, cut as ISO times are; the quarter is for what the double lost. */
static int
read_time(const json_t *j, int64_t *ret_ms)
{
	const double limit_s = 1e11; /* some three thousand years around 1970 */
	double s;

	if (json_is_string(j))
		return time_parse_iso(sv_of(json_string_value(j)), ret_ms) ? 0 : -1;
	if (!json_is_number(j))
		return -1;
	s = json_number_value(j);
	if (!(fabs(s) < limit_s))
		return -1;
	*ret_ms = (int64_t)floor(s * 1000 + 0.25);
	return 0;
}

static int
read_value(const json_t *j, double *ret)
{
	static const struct {
		const char *word;
		double v;
	} words[] = {{"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};

	if (json_is_number(j)) {
		*ret = json_number_value(j);
		return 0;
	}
	for (size_t i = 0; json_is_string(j) && i < ARRAY_LEN(words); i++) {
		if (!strcmp(json_string_value(j), words[i].word)) {
			*ret = words[i].v;
			return 0;
		}
	}
	return -1;
}

static int
read_points(const json_t *ts, const json_t *vs, const char *path, struct arena *a,
	    struct cw_result *r, struct err *err)
{
	size_t n = json_array_size(ts);
	int64_t *t = arena_array(a, n, sizeof(*t));
	double *v = arena_array(a, n, sizeof(*v));

	if (json_array_size(vs) != n)
		return err_set(err, ERR_DATA, "%s: %zu timestamps but %zu values", path, n,
			       json_array_size(vs));
	if (!t || !v)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		if (read_time(json_array_get(ts, i), &t[i]))
			return err_set(err, ERR_DATA, "%s/Timestamps/%zu: expected a time", path,
				       i);
		if (read_value(json_array_get(vs, i), &v[i]))
			return err_set(err, ERR_DATA, "%s/Values/%zu: expected a number", path, i);
	}
	r->ts_ms = t;
	r->values = v;
	r->n = n;
	return 0;
}

/* The last of a list of {Code, Value}. */
static int
read_messages(const json_t *obj, const char *path, struct arena *a, const char **ret,
	      struct err *err)
{
	const char *code = "", *text = "";
	const json_t *last;
	json_t *arr;

	if (json_get_arr(obj, path, "Messages", false, &arr, err))
		return -1;
	if (!json_array_size(arr))
		return 0;
	last = json_array_get(arr, json_array_size(arr) - 1);
	if (json_get_str(last, "/Messages", "Code", false, &code, err) ||
	    json_get_str(last, "/Messages", "Value", false, &text, err))
		return -1;
	*ret = cw_message(a, code, text);
	return *ret ? 0 : err_nomem(err);
}

static int
read_result(const json_t *j, size_t at, struct arena *a, struct cw_result *r, struct err *err)
{
	const char *id = "", *status = "";
	json_t *ts, *vs;
	char path[48];

	(void)snprintf(path, sizeof(path), "/MetricDataResults/%zu", at);
	if (json_get_str(j, path, "Id", true, &id, err) ||
	    json_get_str(j, path, "StatusCode", false, &status, err) ||
	    json_get_arr(j, path, "Timestamps", false, &ts, err) ||
	    json_get_arr(j, path, "Values", false, &vs, err))
		return -1;
	r->id = cw_id_parse(id);
	r->status = cw_status_parse(status);
	r->status_text = cw_strdup(a, status);
	if (!r->status_text)
		return err_nomem(err);
	return read_points(ts, vs, path, a, r, err) || read_messages(j, path, a, &r->message, err)
		   ? -1
		   : 0;
}

static int
read_data(struct sv body, struct arena *a, struct cw_data_page *ret, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	json_t *arr;

	if (json_parse(body, "GetMetricData answer", &doc, err) ||
	    json_get_arr(doc, "", "MetricDataResults", true, &arr, err) ||
	    read_token(doc, a, &ret->token, err) || read_messages(doc, "", a, &ret->message, err))
		return -1;
	ret->results = arena_array(a, json_array_size(arr), sizeof(*ret->results));
	if (!ret->results)
		return err_nomem(err);
	for (; ret->n < json_array_size(arr); ret->n++)
		if (read_result(json_array_get(arr, ret->n), ret->n, a, &ret->results[ret->n], err))
			return -1;
	return 0;
}

const struct cw_codec cw_codec_json = {
    .proto = PROTO_AWS_JSON,
    .list_target = "GraniteServiceVersion20100801.ListMetrics",
    .data_target = "GraniteServiceVersion20100801.GetMetricData",
    .max_datapoints = CW_DATAPOINTS_MAX,
    .build_list = build_list,
    .build_data = build_data,
    .read_list = read_list,
    .read_data = read_data,
};
