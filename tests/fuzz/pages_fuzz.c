/*
 * CloudWatch's answers: the first byte chooses the reader, the rest is the body. Whatever comes is
 * read whole or is an error in words. What is taken in JSON is written here in CBOR and in the
 * Query protocol's XML, and is read from these as the same; and a token that is looked for alone is
 * the one that the reader finds.
 */
#include <math.h>
#include <time.h>

#include "aws/cloudwatch_alarms.h"
#include "base/timefmt.h"
#include "fmt/cbor.h"
#include "fmt/json_scan.h"
#include "fmt/json_tree.h"
#include "tests/fuzz/fuzz.h"

typedef int (*reader)(struct sv body, struct arena *a, struct err *err);

/* What a document in JSON is written from. `lost`: the other protocol has no word for it. */
struct other {
	struct sv body;
	struct buf out;
	bool lost;
};

static void
other_done(struct other *o)
{
	buf_done(&o->out);
}

/* The readers compare names as they stand: one with an escape in it is none of theirs. */
static bool
as_it_stands(const struct other *o, const struct json_node *n)
{
	return n->name.p >= o->body.p && n->name.p < o->body.p + o->body.n;
}

/* Nor are all readers of one mind about such a name: these take it for what it stands for. */
static bool
names_stand(const struct other *o, const struct json_node *n)
{
	for (const struct json_node *c = n->first; c; c = c->next)
		if ((c->name.n && !as_it_stands(o, c)) || !names_stand(o, c))
			return false;
	return true;
}

static const struct json_node *
member(const struct other *o, const struct json_node *obj, const char *name)
{
	const struct json_node *c = obj ? obj->first : NULL;

	while (c && (c->type == JSON_T_NULL || !as_it_stands(o, c) || !sv_eq(c->name, sv_of(name))))
		c = c->next;
	return c;
}

static double
number(const struct json_node *n)
{
	struct json_scan s = JSON_SCAN_INIT(n->text);
	double v;

	return json_scan_num(&s, &v) ? v : NAN;
}

/* ---- in CBOR ---- */

/* What stands as text or as a number in JSON, and only as a number in CBOR. */
static void
put_number(struct other *o, const struct json_node *n, bool time)
{
	bool text = n->type == JSON_T_STRING;
	double v = NAN;
	int64_t ms;

	if (!text)
		v = number(n);
	else if (!time)
		v = strtod(n->text.p, NULL); /* a word, with its quote behind it */
	else if (time_parse_iso(n->text, &ms))
		v = (double)ms / 1000;
	o->lost |= time && !(fabs(v) < 1e11); /* the times it has */
	if (time)
		cbor_put_head(&o->out, CBOR_TAG, 1);
	cbor_put_double(&o->out, v);
}

static bool
is_word(const struct json_node *n)
{
	return sv_eq(n->text, SV("NaN")) || sv_eq(n->text, SV("Infinity")) ||
	       sv_eq(n->text, SV("-Infinity"));
}

static void
put_cbor(struct other *o, const struct json_node *j, struct sv in)
{
	bool times = sv_eq(in, SV("Timestamps")), values = sv_eq(in, SV("Values"));
	bool object = j->type == JSON_T_OBJECT;
	size_t n = 0;

	for (const struct json_node *c = j->first; c; c = c->next)
		n += !object || as_it_stands(o, c);
	if (j->type == JSON_T_NUMBER || (j->type == JSON_T_STRING && times) ||
	    (j->type == JSON_T_STRING && values && is_word(j)))
		put_number(o, j, times);
	else if (j->type == JSON_T_STRING)
		cbor_put_text(&o->out, j->text);
	else if (j->type == JSON_T_TRUE)
		cbor_put_true(&o->out);
	else if (j->type == JSON_T_FALSE)
		cbor_put_false(&o->out);
	else if (j->type == JSON_T_NULL)
		buf_ch(&o->out, (char)0xf6);
	else
		cbor_put_head(&o->out, object ? CBOR_MAP : CBOR_LIST, n);
	for (const struct json_node *c = j->first; c; c = c->next) {
		if (object && !as_it_stands(o, c))
			continue;
		if (object)
			cbor_put_text(&o->out, c->name);
		put_cbor(o, c, object ? c->name : in);
	}
}

/* ---- in XML ---- */

static void
put_text(struct other *o, struct sv text)
{
	while (text.n) {
		uint32_t cp;
		size_t n = utf8_next(text, &cp);

		o->lost |= cp == UTF8_BAD || (cp < ' ' && !strchr("\t\n\r", (int)cp)) || !cp ||
			   cp == 0xfffe || cp == 0xffff;
		if (strchr("<>&\r", (int)cp))
			buf_fmt(&o->out, "&#%u;", cp);
		else
			buf_add(&o->out, text.p, n);
		text = (struct sv){text.p + n, text.n - n};
	}
}

static void
put_field(struct other *o, const char *name, struct sv text)
{
	buf_fmt(&o->out, "<%s>", name);
	put_text(o, text);
	buf_fmt(&o->out, "</%s>", name);
}

/* A member that is a text; nothing for anything else. */
static void
put_member(struct other *o, const struct json_node *obj, const char *name)
{
	const struct json_node *n = member(o, obj, name);

	if (n && n->type == JSON_T_STRING)
		put_field(o, name, n->text);
}

/* As ISO 8601, for it is in seconds. */
static void
put_time(struct other *o, const char *name, const struct json_node *n)
{
	double ms = n->type == JSON_T_NUMBER ? floor(number(n) * 1000 + 0.25) : 0;
	char text[TIME_TEXT_MAX], whole[TIME_TEXT_MAX];
	struct tm tm;
	time_t s;

	if (n->type == JSON_T_STRING) {
		put_field(o, name, n->text);
		return;
	}
	o->lost |= !(fabs(ms) < 62e12); /* years of four digits */
	if (o->lost)
		return;
	s = (time_t)floor(ms / 1000);
	(void)strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", gmtime_r(&s, &tm));
	(void)snprintf(text, sizeof(text), "%s.%03dZ", whole, (int)(ms - (double)s * 1000));
	o->lost |= strlen(text) != strlen("2026-01-01T00:00:00.000Z");
	put_field(o, name, sv_of(text));
}

typedef void (*put_fn)(struct other *o, const struct json_node *item);

static void
put_list(struct other *o, const struct json_node *obj, const char *name, put_fn put)
{
	const struct json_node *list = member(o, obj, name);

	if (list) {
		buf_fmt(&o->out, "<%s>", name);
		for (const struct json_node *c = list->first; c; c = c->next)
			put(o, c);
		buf_fmt(&o->out, "</%s>", name);
	}
}

/* An item of a list, its members all texts. */
static void
put_texts(struct other *o, const struct json_node *item, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_member(o, item, names[i]);
}

static void
put_dimension(struct other *o, const struct json_node *item)
{
	static const char *const names[] = {"Name", "Value"};

	buf_str(&o->out, "<member>");
	put_texts(o, item, names, ARRAY_LEN(names));
	buf_str(&o->out, "</member>");
}

static void
put_metric(struct other *o, const struct json_node *item)
{
	static const char *const names[] = {"MetricName", "Namespace"};

	buf_str(&o->out, "<member>");
	put_texts(o, item, names, ARRAY_LEN(names));
	put_list(o, item, "Dimensions", put_dimension);
	buf_str(&o->out, "</member>");
}

static void
put_timestamp(struct other *o, const struct json_node *item)
{
	put_time(o, "member", item);
}

static void
put_value(struct other *o, const struct json_node *item)
{
	put_field(o, "member", item->text);
}

/* Without text it is a message all the same. */
static void
put_message(struct other *o, const struct json_node *item)
{
	buf_str(&o->out, "<member>");
	put_member(o, item, "Code");
	put_member(o, item, "Value");
	buf_str(&o->out, member(o, item, "Code") ? "</member>" : "<Code/></member>");
}

static void
put_result(struct other *o, const struct json_node *item)
{
	static const char *const names[] = {"Id", "StatusCode", "Label"};

	buf_str(&o->out, "<member>");
	put_texts(o, item, names, ARRAY_LEN(names));
	put_list(o, item, "Values", put_value);
	put_list(o, item, "Timestamps", put_timestamp);
	put_list(o, item, "Messages", put_message);
	buf_str(&o->out, "</member>");
}

static void
put_alarm(struct other *o, const struct json_node *item)
{
	static const char *const names[] = {"AlarmName", "AlarmArn", "StateValue", "StateReason",
					    "AlarmDescription"};
	const struct json_node *since = member(o, item, "StateTransitionedTimestamp");

	buf_str(&o->out, "<member>");
	put_texts(o, item, names, ARRAY_LEN(names));
	if (since && (since->type == JSON_T_STRING || since->type == JSON_T_NUMBER))
		put_time(o, "StateTransitionedTimestamp", since);
	buf_str(&o->out, "</member>");
}

static void
put_item(struct other *o, const struct json_node *item)
{
	static const char *const names[] = {"AlarmName", "HistoryItemType", "HistoryData",
					    "HistorySummary"};

	buf_str(&o->out, "<member>");
	put_texts(o, item, names, ARRAY_LEN(names));
	put_time(o, "Timestamp", member(o, item, "Timestamp"));
	buf_str(&o->out, "</member>");
}

static void
put_metrics(struct other *o, const struct json_node *doc)
{
	put_list(o, doc, "Metrics", put_metric);
}

static void
put_data(struct other *o, const struct json_node *doc)
{
	put_list(o, doc, "Messages", put_message);
	put_list(o, doc, "MetricDataResults", put_result);
}

static void
put_alarms(struct other *o, const struct json_node *doc)
{
	buf_str(&o->out, "<MetricAlarms/>"); /* which may be null there */
	o->out.n -= member(o, doc, "MetricAlarms") ? strlen("<MetricAlarms/>") : 0;
	put_list(o, doc, "MetricAlarms", put_alarm);
	put_list(o, doc, "CompositeAlarms", put_alarm);
	put_list(o, doc, "LogAlarms", put_alarm);
}

static void
put_history(struct other *o, const struct json_node *doc)
{
	if (!member(o, doc, "AlarmHistoryItems"))
		buf_str(&o->out, "<AlarmHistoryItems/>");
	put_list(o, doc, "AlarmHistoryItems", put_item);
}

/* The answer of an operation; true if XML has all of it. */
static bool
put_xml(struct other *o, const struct json_node *doc, const char *operation, put_fn put)
{
	buf_reset(&o->out);
	o->lost = false;
	buf_fmt(&o->out, "<%sResponse><%sResult>", operation, operation);
	put_member(o, doc, "NextToken");
	put(o, doc);
	buf_fmt(&o->out, "</%sResult></%sResponse>", operation, operation);
	fuzz_must(buf_ok(&o->out));
	return !o->lost;
}

/* true if CBOR has all of it. */
static bool
write_cbor(struct other *o, const struct json_node *doc)
{
	buf_reset(&o->out);
	o->lost = false;
	put_cbor(o, doc, SV(""));
	fuzz_must(buf_ok(&o->out));
	return !o->lost;
}

/* ---- the token alone ---- */

static size_t
times_in(struct sv body, struct sv what)
{
	const char *p = body.p, *end = body.p + body.n;
	size_t n = 0;

	while (p < end && (p = memmem(p, (size_t)(end - p), what.p, what.n))) {
		p += what.n;
		n++;
	}
	return n;
}

/* Where its name stands once, it is the one that was read. */
static void
peek(enum cw_proto p, struct sv body, const struct json_node *top, const char *token)
{
	CLEANUP(buf_done) struct buf found = BUF_INIT(PAGE_TOKEN_MAX);
	size_t n = times_in(body, SV("NextToken"));
	enum page_token is = cw_token_peek(p, body, &found);

	if (n == 0)
		fuzz_must(is == PAGE_TOKEN_NONE && !token);
	if (n != 1 || !top || is == PAGE_TOKEN_UNSURE)
		fuzz_must(is != PAGE_TOKEN_UNSURE || n > 1 || !top || p == CW_CBOR ||
			  memchr(body.p, '\\', body.n));
	else
		fuzz_must((is == PAGE_TOKEN) == (token != NULL) &&
			  (!token || sv_eq(buf_view(&found), sv_of(token))));
}

/* ---- the same ---- */

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void
same_list(const struct cw_list_page *x, const struct cw_list_page *y)
{
	fuzz_must(x->n == y->n && same_text(x->token, y->token));
	for (size_t i = 0; i < x->n; i++) {
		const struct cw_metric *p = &x->metrics[i], *q = &y->metrics[i];

		fuzz_must(p->n_dims == q->n_dims && cw_metric_cmp(p, q) == 0);
		fuzz_must(same_text(p->ns, q->ns) && same_text(p->name, q->name));
		for (size_t k = 0; k < p->n_dims; k++)
			fuzz_must(same_text(p->dims[k].name, q->dims[k].name) &&
				  same_text(p->dims[k].value, q->dims[k].value));
	}
}

static void
same_page(const struct cw_data_page *x, const struct cw_data_page *y)
{
	fuzz_must(x->n == y->n && same_text(x->token, y->token) &&
		  same_text(x->message, y->message));
	for (size_t i = 0; i < x->n; i++) {
		const struct cw_result *p = &x->results[i], *q = &y->results[i];

		fuzz_must(p->id == q->id && p->status == q->status && p->n == q->n);
		fuzz_must(same_text(p->label, q->label) && same_text(p->message, q->message));
		fuzz_must(same_text(p->status_text, q->status_text));
		for (size_t k = 0; k < p->n; k++)
			fuzz_must(p->ts_ms[k] == q->ts_ms[k] &&
				  (p->values[k] == q->values[k] ||
				   (isnan(p->values[k]) && isnan(q->values[k]))));
	}
}

static void
same_alarms(const struct cw_alarms_page *x, const struct cw_alarms_page *y)
{
	fuzz_must(x->n == y->n && same_text(x->token, y->token));
	for (size_t i = 0; i < x->n; i++) {
		const struct cw_alarm *p = &x->alarms[i], *q = &y->alarms[i];

		fuzz_must(same_text(p->name, q->name) && same_text(p->arn, q->arn));
		fuzz_must(same_text(p->state, q->state) && same_text(p->reason, q->reason));
		fuzz_must(same_text(p->description, q->description) && p->since_ms == q->since_ms);
	}
}

static void
same_history(const struct cw_alarm_history *x, const struct cw_alarm_history *y)
{
	fuzz_must(x->n == y->n && same_text(x->token, y->token));
	for (size_t i = 0; i < x->n; i++) {
		const struct cw_alarm_item *p = &x->items[i], *q = &y->items[i];

		fuzz_must(same_text(p->name, q->name) && p->ts_ms == q->ts_ms);
		fuzz_must(p->event == q->event && same_text(p->from, q->from));
		fuzz_must(same_text(p->to, q->to) && same_text(p->reason, q->reason));
	}
}

/* ---- readers ---- */

/* In order, each with a name and a value. */
static void
check_list(const struct cw_list_page *page)
{
	fuzz_must(!page->token || *page->token);
	for (size_t i = 0; i < page->n; i++) {
		const struct cw_metric *m = &page->metrics[i];

		fuzz_must(m->ns && m->name);
		for (size_t k = 1; k < m->n_dims; k++)
			fuzz_must(strcmp(m->dims[k - 1].name, m->dims[k].name) <= 0);
	}
	for (size_t i = 0; i + 1 < page->n; i++)
		fuzz_must((cw_metric_cmp(&page->metrics[i], &page->metrics[i + 1]) < 0) ==
			  (cw_metric_cmp(&page->metrics[i + 1], &page->metrics[i]) > 0));
}

static int
list_in(enum cw_proto p, struct sv body, struct arena *a, struct err *err)
{
	struct cw_list_page page = {0};
	int rc = cw_list_read(p, body, a, &page, err);

	if (rc == 0)
		check_list(&page);
	return rc;
}

static int
data_in(enum cw_proto p, struct sv body, struct arena *a, struct err *err)
{
	struct cw_data_page page = {0};
	int rc = cw_data_read(p, body, a, &page, err);

	fuzz_must(rc < 0 || !page.token || *page.token);
	return rc;
}

static int
list_cbor(struct sv body, struct arena *a, struct err *err)
{
	return list_in(CW_CBOR, body, a, err);
}

static int
list_query(struct sv body, struct arena *a, struct err *err)
{
	return list_in(CW_QUERY, body, a, err);
}

static int
data_cbor(struct sv body, struct arena *a, struct err *err)
{
	return data_in(CW_CBOR, body, a, err);
}

static int
data_query(struct sv body, struct arena *a, struct err *err)
{
	return data_in(CW_QUERY, body, a, err);
}

static void
list_in_others(struct other *o, const struct json_node *doc, const struct cw_list_page *json,
	       struct arena *a)
{
	struct cw_list_page cbor = {0}, query = {0};
	struct err why = {0};

	peek(CW_JSON, o->body, member(o, doc, "NextToken"), json->token);
	if (write_cbor(o, doc)) {
		fuzz_must(cw_list_read(CW_CBOR, buf_view(&o->out), a, &cbor, &why) == 0);
		same_list(json, &cbor);
		peek(CW_CBOR, buf_view(&o->out), member(o, doc, "NextToken"), cbor.token);
	}
	if (put_xml(o, doc, "ListMetrics", put_metrics)) {
		fuzz_must(cw_list_read(CW_QUERY, buf_view(&o->out), a, &query, &why) == 0);
		same_list(json, &query);
	}
}

static int
list_json(struct sv body, struct arena *a, struct err *err)
{
	struct cw_list_page json = {0};
	CLEANUP(other_done) struct other o = {body, BUF_INIT(FUZZ_MAX), false};
	const struct json_node *doc;

	if (cw_list_read(CW_JSON, body, a, &json, err) < 0)
		return -1;
	check_list(&json);
	doc = json_tree_parse(body, a);
	if (doc)
		list_in_others(&o, doc, &json, a);
	return 0;
}

static void
data_in_others(struct other *o, const struct json_node *doc, const struct cw_data_page *json,
	       struct arena *a)
{
	struct cw_data_page cbor = {0}, query = {0};
	struct err why = {0};

	peek(CW_JSON, o->body, member(o, doc, "NextToken"), json->token);
	if (write_cbor(o, doc)) {
		fuzz_must(cw_data_read(CW_CBOR, buf_view(&o->out), a, &cbor, &why) == 0);
		same_page(json, &cbor);
		peek(CW_CBOR, buf_view(&o->out), member(o, doc, "NextToken"), cbor.token);
	}
	if (put_xml(o, doc, "GetMetricData", put_data)) {
		fuzz_must(cw_data_read(CW_QUERY, buf_view(&o->out), a, &query, &why) == 0);
		same_page(json, &query);
	}
}

static int
data_json(struct sv body, struct arena *a, struct err *err)
{
	struct cw_data_page json = {0};
	CLEANUP(other_done) struct other o = {body, BUF_INIT(FUZZ_MAX), false};
	const struct json_node *doc;

	if (cw_data_read(CW_JSON, body, a, &json, err) < 0)
		return -1;
	doc = json_tree_parse(body, a);
	if (doc)
		data_in_others(&o, doc, &json, a);
	return 0;
}

static int
alarms_query(struct sv body, struct arena *a, struct err *err)
{
	struct cw_alarms_page page = {0};
	return cw_alarms_read(CW_QUERY, body, a, &page, err);
}

static int
history_query(struct sv body, struct arena *a, struct err *err)
{
	struct cw_alarm_history page = {0};
	return cw_alarm_history_read(CW_QUERY, body, a, &page, err);
}

static int
alarms_json(struct sv body, struct arena *a, struct err *err)
{
	struct cw_alarms_page json = {0}, query = {0};
	CLEANUP(other_done) struct other o = {body, BUF_INIT(FUZZ_MAX), false};
	const struct json_node *doc;
	struct err why = {0};

	if (cw_alarms_read(CW_JSON, body, a, &json, err) < 0)
		return -1;
	doc = json_tree_parse(body, a);
	if (doc && names_stand(&o, doc) && put_xml(&o, doc, "DescribeAlarms", put_alarms)) {
		fuzz_must(cw_alarms_read(CW_QUERY, buf_view(&o.out), a, &query, &why) == 0);
		same_alarms(&json, &query);
	}
	return 0;
}

static int
history_json(struct sv body, struct arena *a, struct err *err)
{
	struct cw_alarm_history json = {0}, query = {0};
	CLEANUP(other_done) struct other o = {body, BUF_INIT(FUZZ_MAX), false};
	const struct json_node *doc;
	struct err why = {0};

	if (cw_alarm_history_read(CW_JSON, body, a, &json, err) < 0)
		return -1;
	doc = json_tree_parse(body, a);
	if (doc && names_stand(&o, doc) && put_xml(&o, doc, "DescribeAlarmHistory", put_history)) {
		fuzz_must(cw_alarm_history_read(CW_QUERY, buf_view(&o.out), a, &query, &why) == 0);
		same_history(&json, &query);
	}
	return 0;
}

/* Their letters in the order of the table; seeds begin with them. */
static const reader readers[] = {
    list_cbor,	list_json,   list_query,   data_cbor,	 data_json,
    data_query, alarms_json, alarms_query, history_json, history_query,
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sv in = {(const char *)data, n};
	CLEANUP(arena_done) struct arena a = ARENA_INIT(FUZZ_MAX);
	unsigned which = fuzz_choice(&in, ARRAY_LEN(readers));
	struct err err = {0};

	fuzz_answer(readers[which](in, &a, &err), &err);
	return 0;
}
