/*
 * CloudWatch alarms; see cloudwatch_alarms.h.
 *
 * The two protocols say the same members in JSON or in XML, so an answer becomes a list of records
 * first: what stands under a name is looked up in either. What an item of the history means stands
 * in a JSON text inside it (HistoryData); where that was cut off, the summary says it in words.
 */
#include "aws/cloudwatch_alarms.h"

#include <math.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "fmt/json.h"
#include "fmt/uri.h"
#include "fmt/xml.h"

#define TARGET "GraniteServiceVersion20100801."

static const char *const types[] = {"MetricAlarm", "CompositeAlarm", "LogAlarm"};

/* Requests */

enum cw_proto
cw_alarms_proto(const char *region)
{
	return cw_proto_of(region) == CW_QUERY ? CW_QUERY : CW_JSON;
}

/* Where JSON is not known, neither is what came after it. */
bool
cw_alarms_no_json(enum cw_proto p, const char *region, const struct http_resp *resp,
		  const struct err *err)
{
	if (p != CW_JSON || !cw_proto_unknown(p, resp, err))
		return false;
	for (unsigned later = 0; later < CW_QUERY; later++)
		(void)cw_proto_avoid(region, (enum cw_proto)later);
	return true;
}

static void
form_begin(struct buf *out, const char *action)
{
	form_add(out, "Action", sv_of(action));
	form_add(out, "Version", SV("2010-08-01"));
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		char name[40];

		(void)snprintf(name, sizeof(name), "AlarmTypes.member.%zu", i + 1);
		form_add(out, name, sv_of(types[i]));
	}
	buf_fmt(out, "&MaxRecords=%d", CW_ALARMS_MAX);
}

static void
json_begin(struct buf *out)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		buf_fmt(out, "%s\"%s\"", i ? "," : "{\"AlarmTypes\":[", types[i]);
	buf_fmt(out, "],\"MaxRecords\":%d", CW_ALARMS_MAX);
}

static int
finish(enum cw_proto p, const char *operation, const char *target, const char *token,
       struct aws_call *call, struct err *err)
{
	call->service = "monitoring";
	call->operation = operation;
	call->proto = p == CW_QUERY ? PROTO_AWS_QUERY : PROTO_AWS_JSON;
	call->target = p == CW_QUERY ? NULL : target;
	if (p == CW_QUERY && token)
		form_add(&call->body, "NextToken", sv_of(token));
	if (p != CW_QUERY && token) {
		buf_str(&call->body, ",\"NextToken\":");
		(void)json_escape(&call->body, sv_of(token));
	}
	if (p != CW_QUERY)
		buf_ch(&call->body, '}');
	return buf_check(&call->body, operation, err);
}

int
cw_alarms_call(enum cw_proto p, const char *token, struct aws_call *call, struct err *err)
{
	if (p == CW_QUERY)
		form_begin(&call->body, "DescribeAlarms");
	else
		json_begin(&call->body);
	return finish(p, "DescribeAlarms", TARGET "DescribeAlarms", token, call, err);
}

int
cw_alarm_history_call(enum cw_proto p, int64_t start_ms, const char *token, struct aws_call *call,
		      struct err *err)
{
	char text[NUM_DOUBLE_MAX > TIME_TEXT_MAX ? NUM_DOUBLE_MAX : TIME_TEXT_MAX];

	if (p == CW_QUERY) {
		form_begin(&call->body, "DescribeAlarmHistory");
		time_format_ms(start_ms, text);
		form_add(&call->body, "StartDate", sv_of(text));
		form_add(&call->body, "ScanBy", SV("TimestampAscending"));
	} else {
		json_begin(&call->body);
		(void)num_format((double)start_ms / 1000, text);
		buf_fmt(&call->body, ",\"StartDate\":%s,\"ScanBy\":\"TimestampAscending\"", text);
	}
	return finish(p, "DescribeAlarmHistory", TARGET "DescribeAlarmHistory", token, call, err);
}

/* Records of either protocol */

struct record {
	const json_t *json; /* NULL: the other one */
	const struct xml_node *xml;
	char path[48]; /* for errors */
};

/* NULL: it is not there, or no text. */
static const char *
text_of(const struct record *r, const char *key)
{
	return r->json ? json_string_value(json_object_get(r->json, key)) : xml_text(r->xml, key);
}

static int
copy(const struct record *r, const char *key, bool required, struct arena *a, const char **ret,
     struct err *err)
{
	const char *s = text_of(r, key);

	if (required && (!s || !*s))
		return err_set(err, ERR_DATA, "%s/%s: expected a text", r->path, key);
	*ret = arena_strdup(a, sv_of(s ? s : ""));
	return *ret ? 0 : err_nomem(err);
}

/* Seconds to milliseconds, cut as ISO times are; the quarter is for what the double lost. */
static bool
time_of(const struct record *r, const char *key, int64_t *ret_ms)
{
	const double limit_s = 1e11; /* some three thousand years around 1970 */
	const json_t *j = r->json ? json_object_get(r->json, key) : NULL;
	const char *s = text_of(r, key);

	if (s)
		return time_parse_iso(sv_of(s), ret_ms);
	if (!json_is_number(j) || !(fabs(json_number_value(j)) < limit_s))
		return false;
	*ret_ms = (int64_t)floor(json_number_value(j) * 1000 + 0.25);
	return true;
}

/* An answer, parsed. */
struct answer {
	json_t *doc;
	struct xml_doc *xml;
	const struct xml_node *result;
};

static void
answer_done(struct answer *x)
{
	json_decref(x->doc);
	xml_free(x->xml);
}

static int
parse_xml(struct sv body, const char *operation, struct answer *x, struct err *err)
{
	char name[64];

	if (xml_parse(body, operation, &x->xml, err))
		return -1;
	(void)snprintf(name, sizeof(name), "%sResult", operation);
	x->result = xml_child(xml_root(x->xml), name);
	return x->result ? 0 : err_set(err, ERR_DATA, "<%s> is missing", name);
}

static int
parse(enum cw_proto p, struct sv body, const char *operation, struct answer *x, struct err *err)
{
	if (p == CW_QUERY)
		return parse_xml(body, operation, x, err);
	if (json_parse(body, operation, &x->doc, err))
		return -1;
	return json_is_object(x->doc) ? 0 : err_set(err, ERR_DATA, "expected an object");
}

static int
read_token(const struct answer *x, struct arena *a, const char **ret, struct err *err)
{
	const char *token = x->xml ? xml_text(x->result, "NextToken") : NULL;

	if (x->doc && json_get_str(x->doc, "", "NextToken", false, &token, err))
		return -1;
	*ret = token && *token ? arena_strdup(a, sv_of(token)) : NULL;
	return token && *token && !*ret ? err_nomem(err) : 0;
}

/* One of them is there, if only with nothing in it: what has none is no answer to this. */
static int
need_list(const struct answer *x, const char *const *lists, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (x->doc ? json_object_get(x->doc, lists[i]) != NULL
			   : xml_child(x->result, lists[i]) != NULL)
			return 0;
	return err_set(err, ERR_DATA, "/%s is missing", lists[0]);
}

/* What is called for each record of a list. */
typedef int (*record_fn)(const struct record *r, struct arena *a, void *arg, struct err *err);

static int
each_json(const json_t *doc, const char *list, record_fn fn, struct arena *a, void *arg,
	  struct err *err)
{
	json_t *arr = NULL;

	if (json_get_arr(doc, "", list, false, &arr, err))
		return -1;
	for (size_t i = 0; i < json_array_size(arr); i++) {
		struct record r = {.json = json_array_get(arr, i)};

		(void)snprintf(r.path, sizeof(r.path), "/%s/%zu", list, i);
		if (fn(&r, a, arg, err))
			return -1;
	}
	return 0;
}

static int
each_xml(const struct xml_node *result, const char *list, record_fn fn, struct arena *a, void *arg,
	 struct err *err)
{
	const struct xml_node *n = xml_child(xml_child(result, list), "member");
	struct record r = {0};

	(void)snprintf(r.path, sizeof(r.path), "<%s>", list);
	for (; n; n = xml_next(n, "member")) {
		r.xml = n;
		if (fn(&r, a, arg, err))
			return -1;
	}
	return 0;
}

static int
each(const struct answer *x, const char *list, record_fn fn, struct arena *a, void *arg,
     struct err *err)
{
	return x->doc ? each_json(x->doc, list, fn, a, arg, err)
		      : each_xml(x->result, list, fn, a, arg, err);
}

static int
count_record(const struct record *r, struct arena *a, void *arg, struct err *err)
{
	(void)r;
	(void)a;
	(void)err;
	(*(size_t *)arg)++;
	return 0;
}

/* Alarms */

static int
read_alarm(const struct record *r, struct arena *a, void *arg, struct err *err)
{
	struct cw_alarms_page *page = arg;
	struct cw_alarm *to = &page->alarms[page->n];

	if (copy(r, "AlarmName", true, a, &to->name, err) ||
	    copy(r, "AlarmArn", false, a, &to->arn, err) ||
	    copy(r, "StateValue", true, a, &to->state, err) ||
	    copy(r, "StateReason", false, a, &to->reason, err) ||
	    copy(r, "AlarmDescription", false, a, &to->description, err))
		return -1;
	if (!time_of(r, "StateTransitionedTimestamp", &to->since_ms))
		to->since_ms = 0;
	page->n++;
	return 0;
}

int
cw_alarms_read(enum cw_proto p, struct sv body, struct arena *a, struct cw_alarms_page *ret,
	       struct err *err)
{
	static const char *const lists[] = {"MetricAlarms", "CompositeAlarms", "LogAlarms"};
	CLEANUP(answer_done) struct answer x = {0};
	size_t n = 0;

	*ret = (struct cw_alarms_page){0};
	if (parse(p, body, "DescribeAlarms", &x, err) || read_token(&x, a, &ret->token, err) ||
	    need_list(&x, lists, ARRAY_LEN(lists), err))
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (each(&x, lists[i], count_record, a, &n, err))
			return -1;
	ret->alarms = arena_array(a, n, sizeof(*ret->alarms));
	if (!ret->alarms)
		return err_nomem(err);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (each(&x, lists[i], read_alarm, a, ret, err))
			return -1;
	return 0;
}

/* History */

static bool
is_state(struct sv s)
{
	return sv_eq(s, SV("OK")) || sv_eq(s, SV("ALARM")) || sv_eq(s, SV("INSUFFICIENT_DATA"));
}

/* "Alarm updated from OK to ALARM" */
static bool
states_of_summary(const char *s, struct sv *from, struct sv *to)
{
	static const char begin[] = "Alarm updated from ", between[] = " to ";
	const char *mid;

	if (strncmp(s, begin, sizeof(begin) - 1) != 0)
		return false;
	s += sizeof(begin) - 1;
	mid = strstr(s, between);
	if (!mid)
		return false;
	*from = (struct sv){s, (size_t)(mid - s)};
	*to = sv_of(mid + sizeof(between) - 1);
	return is_state(*from) && is_state(*to);
}

static const char *
text_at(const json_t *data, const char *object, const char *key)
{
	const char *s = json_string_value(json_object_get(json_object_get(data, object), key));

	return s ? s : "";
}

static int
read_states(const json_t *data, const char *summary, struct arena *a, struct cw_alarm_item *to,
	    struct err *err)
{
	struct sv from = sv_of(text_at(data, "oldState", "stateValue"));
	struct sv into = sv_of(text_at(data, "newState", "stateValue"));

	if ((!is_state(from) || !is_state(into)) && !states_of_summary(summary, &from, &into))
		from = into = SV("");
	to->from = arena_strdup(a, from);
	to->to = arena_strdup(a, into);
	to->reason = arena_strdup(a, sv_of(text_at(data, "newState", "stateReason")));
	return to->from && to->to && to->reason ? 0 : err_nomem(err);
}

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);

	return n >= k && !strcmp(s + n - k, end);
}

static enum cw_alarm_event
event_of_update(const json_t *data, const char *summary)
{
	const char *type = json_string_value(json_object_get(data, "type"));

	if (type ? !strcmp(type, "Create") : ends_with(summary, " created"))
		return CW_ALARM_CREATED;
	if (type ? !strcmp(type, "Delete") : ends_with(summary, " deleted"))
		return CW_ALARM_DELETED;
	return CW_ALARM_OTHER;
}

static int
read_item(const struct record *r, struct arena *a, void *arg, struct err *err)
{
	CLEANUP(json_decrefp) json_t *data = NULL;
	struct cw_alarm_history *page = arg;
	struct cw_alarm_item *to = &page->items[page->n];
	const char *type = text_of(r, "HistoryItemType"), *text = text_of(r, "HistoryData");
	const char *summary = text_of(r, "HistorySummary");
	struct err ignored = {0};

	*to = (struct cw_alarm_item){.event = CW_ALARM_OTHER, .from = "", .to = "", .reason = ""};
	if (copy(r, "AlarmName", true, a, &to->name, err))
		return -1;
	if (!time_of(r, "Timestamp", &to->ts_ms))
		return err_set(err, ERR_DATA, "%s/Timestamp: expected a time", r->path);
	page->n++;
	summary = summary ? summary : "";
	if (text && json_parse(sv_of(text), "HistoryData", &data, &ignored))
		data = NULL; /* cut off: the summary says enough */
	if (type && !strcmp(type, "ConfigurationUpdate"))
		to->event = event_of_update(data, summary);
	if (!type || strcmp(type, "StateUpdate") != 0)
		return 0;
	to->event = CW_ALARM_STATE;
	return read_states(data, summary, a, to, err);
}

int
cw_alarm_history_read(enum cw_proto p, struct sv body, struct arena *a,
		      struct cw_alarm_history *ret, struct err *err)
{
	static const char *const lists[] = {"AlarmHistoryItems"};
	CLEANUP(answer_done) struct answer x = {0};
	size_t n = 0;

	*ret = (struct cw_alarm_history){0};
	if (parse(p, body, "DescribeAlarmHistory", &x, err) ||
	    read_token(&x, a, &ret->token, err) || need_list(&x, lists, 1, err))
		return -1;
	if (each(&x, lists[0], count_record, a, &n, err))
		return -1;
	ret->items = arena_array(a, n, sizeof(*ret->items));
	if (!ret->items)
		return err_nomem(err);
	return each(&x, lists[0], read_item, a, ret, err);
}
