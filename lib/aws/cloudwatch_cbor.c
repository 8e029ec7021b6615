/*
 * CloudWatch in Smithy's RPC v2 CBOR: the protocol that costs least, for a page of numbers needs no
 * parsing. The operation is in the path, times are tag 1 with seconds.
 */
#include "aws/cloudwatch_codec.h"
#include "aws/cloudwatch_doc.h"
#include "base/cleanup.h"
#include "base/utf8.h"
#include "fmt/cbor.h"

#define TAG_EPOCH 1
#define SERVICE	  "/service/GraniteServiceVersion20100801/operation/"

/* Requests */

static void
put_key(struct buf *out, const char *key)
{
	cbor_put_text(out, sv_of(key));
}

static void
put_member(struct buf *out, const char *key, const char *value)
{
	put_key(out, key);
	cbor_put_text(out, sv_of(value));
}

static void
build_list(const struct cw_list_req *q, struct buf *out)
{
	cbor_put_head(out, CBOR_MAP,
		      1u + q->recent + (q->account ? 2u : 0u) + (q->token ? 1u : 0u));
	put_member(out, "Namespace", q->ns);
	if (q->recent)
		put_member(out, "RecentlyActive", "PT3H");
	if (q->account) {
		put_key(out, "IncludeLinkedAccounts");
		cbor_put_true(out);
		put_member(out, "OwningAccount", q->account);
	}
	if (q->token)
		put_member(out, "NextToken", q->token);
}

static void
build_metric(const struct cw_metric *m, struct buf *out)
{
	put_key(out, "Metric");
	cbor_put_head(out, CBOR_MAP, 3);
	put_member(out, "Namespace", m->ns);
	put_member(out, "MetricName", m->name);
	put_key(out, "Dimensions");
	cbor_put_head(out, CBOR_LIST, m->n_dims);
	for (size_t i = 0; i < m->n_dims; i++) {
		cbor_put_head(out, CBOR_MAP, 2);
		put_member(out, "Name", m->dims[i].name);
		put_member(out, "Value", m->dims[i].value);
	}
}

static void
build_stat(const struct cw_query *q, int64_t period_s, struct buf *out)
{
	put_key(out, "MetricStat");
	cbor_put_head(out, CBOR_MAP, 3);
	build_metric(q->metric, out);
	put_key(out, "Period");
	cbor_put_head(out, CBOR_UINT, (uint64_t)period_s);
	put_member(out, "Stat", q->stat);
}

static void
build_query(const struct cw_query *q, int64_t period_s, const char *account, struct buf *out)
{
	char id[32];

	if (q->expression)
		account = NULL;
	(void)snprintf(id, sizeof(id), "m%zu", q->id);
	cbor_put_head(out, CBOR_MAP,
		      (q->expression ? 3u : 2u) + (q->label ? 1u : 0u) + (q->hidden ? 1u : 0u) +
			  (account ? 1u : 0u));
	put_member(out, "Id", id);
	if (q->expression) {
		put_member(out, "Expression", q->expression);
		put_key(out, "Period");
		cbor_put_head(out, CBOR_UINT, (uint64_t)period_s);
	} else {
		build_stat(q, period_s, out);
	}
	if (q->label)
		put_member(out, "Label", q->label);
	if (q->hidden) {
		put_key(out, "ReturnData");
		cbor_put_false(out);
	}
	if (account)
		put_member(out, "AccountId", account);
}

static void
put_time(struct buf *out, const char *key, int64_t ms)
{
	put_key(out, key);
	cbor_put_head(out, CBOR_TAG, TAG_EPOCH);
	cbor_put_double(out, (double)ms / 1000);
}

static void
build_data(const struct cw_data_req *q, long max_datapoints, struct buf *out)
{
	cbor_put_head(out, CBOR_MAP, 5u + (q->token != NULL));
	put_key(out, "MetricDataQueries");
	cbor_put_head(out, CBOR_LIST, q->n);
	for (size_t i = 0; i < q->n; i++)
		build_query(&q->queries[i], q->period_ms / 1000, q->account, out);
	put_time(out, "StartTime", q->start_ms);
	put_time(out, "EndTime", q->end_ms);
	put_member(out, "ScanBy", "TimestampAscending");
	put_key(out, "MaxDatapoints");
	cbor_put_head(out, CBOR_UINT, (uint64_t)max_datapoints);
	if (q->token)
		put_member(out, "NextToken", q->token);
}

/* Answers */

static struct cbor_scan
scan_of(const struct cw_doc *d)
{
	return (struct cbor_scan){d->p, d->end};
}

static bool
open_as(struct cw_doc *d, enum cbor_major major, struct cw_walk *w)
{
	struct cbor_scan s = scan_of(d);
	struct cbor_walk walk = {0};
	bool ok = cbor_open(&s, major, &walk);

	*w = (struct cw_walk){.counted = !walk.open, .left = walk.left};
	d->p = s.p;
	return ok;
}

static bool
open_map(struct cw_doc *d, struct cw_walk *w)
{
	return open_as(d, CBOR_MAP, w);
}

static bool
open_list(struct cw_doc *d, struct cw_walk *w)
{
	return open_as(d, CBOR_LIST, w);
}

static bool
next_item(struct cw_doc *d, struct cw_walk *w, bool *ret_end)
{
	struct cbor_scan s = scan_of(d);
	struct cbor_walk walk = {!w->counted, w->left};
	bool ok = cbor_next(&s, &walk, ret_end);

	w->left = walk.left;
	d->p = s.p;
	return ok;
}

/* In one piece as a rule; pieces are put together where they may be one of ours. */
static bool
next_key(struct cw_doc *d, struct cw_walk *w, struct sv *ret_key, bool *ret_end)
{
	CLEANUP(buf_done) struct buf joined = BUF_INIT((size_t)(d->end - d->p));
	struct cbor_scan s;

	if (!next_item(d, w, ret_end) || *ret_end)
		return *ret_end;
	s = scan_of(d);
	if (cbor_text(&s, ret_key)) {
		d->p = s.p;
		return true;
	}
	s = scan_of(d);
	if (!cbor_text_add(&s, &joined) || !buf_ok(&joined))
		return false;
	d->p = s.p;
	if (joined.n > sizeof(d->key)) {
		*ret_key = SV("");
		return true;
	}
	if (joined.n)
		memcpy(d->key, joined.p, joined.n);
	*ret_key = (struct sv){d->key, joined.n};
	return true;
}

static bool
take_null(struct cw_doc *d)
{
	struct cbor_scan s = scan_of(d);
	bool ok = cbor_null(&s);

	d->p = s.p;
	return ok;
}

static bool
skip_item(struct cw_doc *d)
{
	struct cbor_scan s = scan_of(d);
	bool ok = cbor_skip(&s);

	d->p = s.p;
	return ok;
}

static const char *
take_text(struct cw_doc *d, struct arena *a, struct err *err)
{
	CLEANUP(buf_done) struct buf joined = BUF_INIT((size_t)(d->end - d->p));
	struct cbor_scan s = scan_of(d);
	const char *copy;
	struct sv text;

	if (!cbor_text(&s, &text)) {
		s = scan_of(d);
		if (!cbor_text_add(&s, &joined) || buf_check(&joined, "text", err))
			return NULL;
		text = buf_view(&joined);
	}
	if (memchr(text.p, '\0', text.n) || !utf8_valid(text))
		return NULL;
	copy = arena_strdup(a, text);
	if (!copy)
		(void)err_nomem(err);
	d->p = s.p;
	return copy;
}

static bool
take_number(struct cw_doc *d, double *ret)
{
	struct cbor_scan s = scan_of(d);
	bool ok = cbor_number(&s, ret);

	if (ok)
		d->p = s.p;
	return ok;
}

static bool
take_time(struct cw_doc *d, int64_t *ret_ms)
{
	struct cbor_scan s = scan_of(d);
	double seconds;
	bool ok =
	    cbor_tag(&s, TAG_EPOCH) && cbor_number(&s, &seconds) && cw_seconds(seconds, ret_ms);

	if (ok)
		d->p = s.p;
	return ok;
}

/* Whether a further item may be there; its head tells if it is one. */
static bool
goes_on(const struct cw_walk *w)
{
	return !w->counted || w->left;
}

static size_t
take_times(struct cw_doc *d, struct cw_walk *w, int64_t *to, size_t room)
{
	struct cbor_scan s = scan_of(d);
	double seconds;
	size_t n = 0;

	while (n < room && goes_on(w) && cbor_usual_seconds(&s, &seconds) &&
	       cw_seconds(seconds, &to[n])) {
		d->p = s.p;
		w->left -= w->counted;
		n++;
	}
	return n;
}

static size_t
take_numbers(struct cw_doc *d, struct cw_walk *w, double *to, size_t room)
{
	struct cbor_scan s = scan_of(d);
	size_t n = 0;

	for (; n < room && goes_on(w) && cbor_usual_double(&s, &to[n]); n++)
		w->left -= w->counted;
	d->p = s.p;
	return n;
}

static bool
at_end(struct cw_doc *d)
{
	return d->p == d->end;
}

static const struct cw_doc_ops cbor_doc = {
    .map = open_map,
    .list = open_list,
    .key = next_key,
    .item = next_item,
    .null = take_null,
    .text = take_text,
    .time = take_time,
    .number = take_number,
    .times = take_times,
    .numbers = take_numbers,
    .skip = skip_item,
    .end = at_end,
};

static int
read_list(struct sv body, struct arena *a, struct cw_list_page *ret, struct err *err)
{
	return cw_doc_list(&cbor_doc, body, a, ret, err);
}

static int
read_data(struct sv body, struct arena *a, struct cw_data_page *ret, struct err *err)
{
	return cw_doc_data(&cbor_doc, body, a, ret, err);
}

const struct cw_codec cw_codec_cbor = {
    .proto = PROTO_AWS_CBOR,
    .list_path = SERVICE "ListMetrics",
    .data_path = SERVICE "GetMetricData",
    .max_datapoints = CW_DATAPOINTS_MAX,
    .build_list = build_list,
    .build_data = build_data,
    .read_list = read_list,
    .read_data = read_data,
};
