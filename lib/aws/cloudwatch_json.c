/* CloudWatch in AWS JSON 1.0. Times are epoch seconds, numbers that are none come as words. */
#include <math.h>

#include "aws/cloudwatch_codec.h"
#include "aws/cloudwatch_doc.h"
#include "base/cleanup.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "base/utf8.h"
#include "fmt/json.h"
#include "fmt/json_scan.h"

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
build_stat(const struct cw_query *q, int64_t period_s, struct buf *out)
{
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
}

static void
build_query(const struct cw_query *q, int64_t period_s, const char *account, struct buf *out)
{
	buf_fmt(out, "{\"Id\":\"m%zu\"", q->id);
	if (q->expression) {
		add_member(out, ",\"Expression\":", q->expression);
		buf_fmt(out, ",\"Period\":%lld", (long long)period_s);
	} else {
		build_stat(q, period_s, out);
	}
	if (q->label)
		add_member(out, ",\"Label\":", q->label);
	if (q->hidden)
		buf_str(out, ",\"ReturnData\":false");
	if (account && !q->expression)
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

static struct json_scan
scan_of(const struct cw_doc *d)
{
	return (struct json_scan){d->p, d->end};
}

static bool
open_with(struct cw_doc *d, char c, struct cw_walk *w)
{
	struct json_scan s = scan_of(d);
	bool ok = json_scan_ch(&s, c);

	*w = (struct cw_walk){.first = true};
	d->p = s.p;
	return ok;
}

static bool
open_map(struct cw_doc *d, struct cw_walk *w)
{
	return open_with(d, '{', w);
}

static bool
open_list(struct cw_doc *d, struct cw_walk *w)
{
	return open_with(d, '[', w);
}

static bool
next_key(struct cw_doc *d, struct cw_walk *w, struct sv *ret_key, bool *ret_end)
{
	struct json_scan s = scan_of(d);
	bool ok = json_scan_member(&s, w->first, ret_key, ret_end);

	w->first = false;
	d->p = s.p;
	return ok;
}

static bool
next_item(struct cw_doc *d, struct cw_walk *w, bool *ret_end)
{
	struct json_scan s = scan_of(d);
	bool ok = json_scan_item(&s, w->first, ret_end);

	w->first = false;
	d->p = s.p;
	return ok;
}

static bool
skip_value(struct cw_doc *d)
{
	struct json_scan s = scan_of(d);
	bool ok = json_scan_skip(&s);

	d->p = s.p;
	return ok;
}

static bool
take_null(struct cw_doc *d)
{
	struct json_scan s = scan_of(d);
	bool ok = json_scan_null(&s);

	if (ok)
		d->p = s.p;
	return ok;
}

static bool
at_end(struct cw_doc *d)
{
	struct json_scan s = scan_of(d);

	return json_scan_end(&s);
}

/* Copied as it stands, unless there are escapes in it. */
static const char *
take_text(struct cw_doc *d, struct arena *a, struct err *err)
{
	CLEANUP(buf_done) struct buf plain = BUF_INIT((size_t)(d->end - d->p));
	struct json_scan s = scan_of(d);
	const char *copy;
	struct sv raw;

	if (!json_scan_str(&s, &raw))
		return NULL;
	if (memchr(raw.p, '\\', raw.n)) {
		json_unescape(&plain, raw);
		if (buf_check(&plain, "text", err))
			return NULL;
		raw = buf_view(&plain);
	}
	if (memchr(raw.p, '\0', raw.n))
		return NULL;
	copy = arena_strdup(a, raw);
	if (!copy)
		(void)err_nomem(err);
	d->p = s.p;
	return copy;
}

static bool
take_time(struct cw_doc *d, int64_t *ret_ms)
{
	struct json_scan s = scan_of(d);
	struct sv raw;
	double seconds;
	bool ok;

	if (json_scan_num(&s, &seconds))
		ok = cw_seconds(seconds, ret_ms);
	else
		ok = json_scan_str(&s, &raw) && time_parse_iso(raw, ret_ms);
	if (ok)
		d->p = s.p;
	return ok;
}

static bool
take_number(struct cw_doc *d, double *ret)
{
	static const struct {
		struct sv word;
		double v;
	} words[] = {{{"NaN", 3}, NAN}, {{"Infinity", 8}, INFINITY}, {{"-Infinity", 9}, -INFINITY}};
	struct json_scan s = scan_of(d);
	struct sv raw;
	bool ok = json_scan_num(&s, ret);

	if (!ok && json_scan_str(&s, &raw)) {
		for (size_t i = 0; i < ARRAY_LEN(words) && !ok; i++) {
			ok = sv_eq(raw, words[i].word);
			*ret = words[i].v;
		}
	}
	if (ok)
		d->p = s.p;
	return ok;
}

static const struct cw_doc_ops json_doc = {
    .map = open_map,
    .list = open_list,
    .key = next_key,
    .item = next_item,
    .null = take_null,
    .text = take_text,
    .time = take_time,
    .number = take_number,
    .skip = skip_value,
    .end = at_end,
};

/* Texts are copied as they are, so what is no UTF-8 must not be in the answer. */
static int
check_utf8(struct sv body, struct err *err)
{
	return utf8_valid(body) ? 0 : err_set(err, ERR_DATA, "the answer is not UTF-8");
}

static int
read_list(struct sv body, struct arena *a, struct cw_list_page *ret, struct err *err)
{
	return check_utf8(body, err) ? -1 : cw_doc_list(&json_doc, body, a, ret, err);
}

static int
read_data(struct sv body, struct arena *a, struct cw_data_page *ret, struct err *err)
{
	return check_utf8(body, err) ? -1 : cw_doc_data(&json_doc, body, a, ret, err);
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
