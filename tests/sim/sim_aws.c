/* STS, CloudWatch and Logs of the simulated world, and its receiver; see sim.h. */
#include "tests/sim/sim.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "fmt/json.h"

static json_t *
parsed(const struct http_req *req)
{
	json_t *doc = sim_wire_read(req);

	if (!doc)
		abort();
	return doc;
}

static const char *
str(const json_t *doc, const char *key)
{
	const char *s = json_string_value(json_object_get(doc, key));

	return s ? s : "";
}

/* ---- STS ---- */

static void
identity(struct http_resp *resp)
{
	buf_str(&resp->body, "<GetCallerIdentityResponse><GetCallerIdentityResult>"
			     "<Arn>arn:aws:iam::900000000000:user/muster</Arn><UserId>U</UserId>"
			     "<Account>900000000000</Account></GetCallerIdentityResult>"
			     "</GetCallerIdentityResponse>");
}

static void
assume(struct sim *s, const struct http_req *req, struct http_resp *resp)
{
	char until[TIME_TEXT_MAX];
	const char *arn = strstr(req->body.p, "iam%3A%3A"), *op = req->operation;

	if (!arn)
		abort();
	time_format_ms(sim_wall_ms(s) + 60 * SIM_MIN, until);
	buf_fmt(&resp->body,
		"<%sResponse><%sResult><AssumedRoleUser>"
		"<Arn>arn:aws:sts::%.12s:assumed-role/reader/s</Arn>"
		"<AssumedRoleId>AROA:s</AssumedRoleId></AssumedRoleUser><Credentials>"
		"<AccessKeyId>ASIASIMULATED0000000</AccessKeyId>"
		"<SecretAccessKey>simulated</SecretAccessKey><SessionToken>token</SessionToken>"
		"<Expiration>%s</Expiration></Credentials></%sResult></%sResponse>",
		op, op, arn + strlen("iam%3A%3A"), until, op, op);
}

void
sim_sts(struct sim *s, const struct http_req *req, struct http_resp *resp)
{
	resp->status = 200;
	if (!strcmp(req->operation, "GetCallerIdentity"))
		identity(resp);
	else
		assume(s, req, resp);
}

/* ---- CloudWatch ---- */

static void
list_metrics(struct http_resp *resp)
{
	buf_str(&resp->body, "{\"Metrics\":[");
	for (size_t i = 0; i < SIM_SERIES; i++)
		buf_fmt(&resp->body,
			"%s{\"Namespace\":\"ECS/ContainerInsights\",\"MetricName\":\"%s\","
			"\"Dimensions\":[{\"Name\":\"ClusterName\",\"Value\":\"c\"},"
			"{\"Name\":\"ServiceName\",\"Value\":\"web\"}]}",
			i ? "," : "", sim_metrics[i]);
	buf_str(&resp->body, "]}");
}

/* The one expression there is stands for the last metric. */
static void
one_result(const struct sim *s, size_t tenant, size_t region, const json_t *query, int64_t from,
	   int64_t to, struct buf *out)
{
	const char *name =
	    str(json_object_get(json_object_get(query, "MetricStat"), "Metric"), "MetricName");
	struct buf values = BUF_INIT((size_t)1 << 22);
	char text[NUM_DOUBLE_MAX];
	bool any = false;
	size_t series = strcmp(name, sim_metrics[0]) ? 1 : 0;
	double v;

	buf_fmt(out, "{\"Id\":\"%s\",\"Label\":\"x\",\"StatusCode\":\"Complete\",\"Timestamps\":[",
		str(query, "Id"));
	for (int64_t ms = from; ms < to; ms += SIM_MIN) {
		if (!sim_value(s, tenant, region, series, ms, &v) ||
		    sim_shown_ms(s, tenant, region, series, ms) > s->now_ms)
			continue;
		(void)num_format(v, text);
		buf_fmt(out, "%s%lld", any ? "," : "", (long long)(ms / 1000));
		buf_fmt(&values, "%s%s", any ? "," : "", text);
		any = true;
	}
	buf_fmt(out, "],\"Values\":[%s]}", buf_cstr(&values));
	buf_done(&values);
}

static void
metric_data(const struct sim *s, const struct http_req *req, struct http_resp *resp)
{
	CLEANUP(json_decrefp) json_t *doc = parsed(req);
	const json_t *queries = json_object_get(doc, "MetricDataQueries");
	int64_t from = (int64_t)json_number_value(json_object_get(doc, "StartTime")) * 1000;
	int64_t to = (int64_t)json_number_value(json_object_get(doc, "EndTime")) * 1000;
	size_t tenant, region, page = strtoul(str(doc, "NextToken"), NULL, 10), n = 0;
	bool any = false;

	if (!sim_place(s, req, &tenant, &region))
		abort();
	buf_str(&resp->body, "{\"MetricDataResults\":[");
	for (size_t i = 0; i < json_array_size(queries); i++) {
		const json_t *query = json_array_get(queries, i);

		if (json_is_false(json_object_get(query, "ReturnData")) ||
		    !strcmp(str(query, "ReturnData"), "false"))
			continue;
		if (s->pages && n++ != page)
			continue;
		if (any)
			buf_ch(&resp->body, ',');
		any = true;
		one_result(s, tenant, region, query, from, to, &resp->body);
	}
	buf_str(&resp->body, "],\"Messages\":[]");
	if (page + 1 < n)
		buf_fmt(&resp->body, ",\"NextToken\":\"%zu\"", page + 1);
	buf_ch(&resp->body, '}');
}

void
sim_monitoring(struct sim *s, const struct http_req *req, struct http_resp *resp)
{
	static const enum http_proto spoken[CW_N_PROTOS] = {
	    [CW_CBOR] = PROTO_AWS_CBOR, [CW_JSON] = PROTO_AWS_JSON, [CW_QUERY] = PROTO_AWS_QUERY};
	bool alarms = !strncmp(req->operation, "DescribeAlarm", strlen("DescribeAlarm"));
	enum http_proto want =
	    s->ways.proto == CW_CBOR && alarms ? PROTO_AWS_JSON : spoken[s->ways.proto];

	resp->status = req->proto == want ? 200 : 415;
	if (resp->status != 200)
		buf_str(&resp->body, "{\"__type\":\"UnsupportedMediaType\",\"message\":\"no\"}");
	else if (!strcmp(req->operation, "ListMetrics"))
		list_metrics(resp);
	else if (alarms)
		sim_alarms(s, req, resp);
	else
		metric_data(s, req, resp);
	if (resp->status == 200)
		sim_wire_answer(req, resp);
}

/* ---- Logs Insights ---- */

static void
refuse(struct http_resp *resp, const char *code)
{
	resp->status = 400;
	buf_fmt(&resp->body, "{\"__type\":\"%s\",\"message\":\"no\"}", code);
}

static void
describe_groups(const struct sim *s, struct http_resp *resp)
{
	if (s->ways.spans) {
		buf_str(&resp->body, "{\"logGroups\":[{\"logGroupName\":\"aws/spans\","
				     "\"creationTime\":1,\"storedBytes\":0}]}");
		return;
	}
	buf_str(&resp->body, "{\"logGroups\":[");
	for (size_t i = 0; i < SIM_GROUPS; i++)
		buf_fmt(&resp->body,
			"%s{\"logGroupName\":\"%s\",\"creationTime\":1,\"storedBytes\":0}",
			i ? "," : "", sim_groups[i]);
	buf_str(&resp->body, "]}");
}

static void
start_query(struct sim *s, const struct http_req *req, struct http_resp *resp)
{
	CLEANUP(json_decrefp) json_t *doc = parsed(req);
	const char *text = strstr(str(doc, "queryString"), "filter toMillis(@timestamp) >= ");
	struct sim_query *q;
	long long from, to;

	s->queries = reallocarray(s->queries, s->n_queries + 1, sizeof(*s->queries));
	if (!s->queries || !text ||
	    sscanf(text, "filter toMillis(@timestamp) >= %lld and toMillis(@timestamp) < %lld",
		   &from, &to) != 2)
		abort();
	q = &s->queries[s->n_queries];
	*q = (struct sim_query){.from_ms = from, .to_ms = to, .now_ms = s->now_ms};
	(void)snprintf(q->text, sizeof(q->text), "%s", str(doc, "queryString"));
	if (!sim_place(s, req, &q->tenant, &q->region))
		abort();
	buf_fmt(&resp->body, "{\"queryId\":\"q-%zu\"}", s->n_queries++);
}

#define PAGE_ROWS 3

struct rows {
	struct buf *out;
	int64_t now_ms;
	size_t n;
	size_t skip,
	    most; /* of log events: what pages before had, and what this one has room for */
	size_t all;
};

static void
row_time(struct rows *r, const char *field, int64_t ms)
{
	char ts[TIME_TEXT_MAX];

	time_format_ms(ms, ts);
	ts[10] = ' ';
	ts[23] = '\0';
	buf_fmt(r->out, "%s[{\"field\":\"%s\",\"value\":\"%s\"},", r->n++ ? "," : "", field, ts);
}

static void
add_row(void *arg, const struct sim_event *e)
{
	struct rows *r = arg;
	char message[64];

	if (e->found_ms > r->now_ms || r->all++ < r->skip || r->n == r->most)
		return;
	sim_message(e, message);
	row_time(r, "@timestamp", e->ms);
	buf_fmt(r->out,
		"{\"field\":\"@log\",\"value\":\"1:%s\"},{\"field\":\"@message\",\"value\":",
		sim_groups[e->group]);
	(void)json_escape(r->out, sv_of(message));
	buf_fmt(r->out, "},{\"field\":\"n\",\"value\":\"%d.5\"},", e->n);
	buf_fmt(r->out, "{\"field\":\"@ptr\",\"value\":\"p%lld-%zu-%d\"}]", (long long)e->ms,
		e->group, e->n);
}

static void
add_counts(const struct sim *s, const struct sim_query *q, struct rows *r)
{
	for (int64_t ms = q->from_ms; ms < q->to_ms; ms += SIM_MIN) {
		size_t n = sim_count(s, q->tenant, q->region, ms);

		if (!n)
			continue;
		row_time(r, "t", ms);
		buf_fmt(r->out, "{\"field\":\"n\",\"value\":\"%zu\"}]", n);
	}
}

static void
add_spans(const struct sim *s, const struct sim_query *q, struct rows *r)
{
	for (int64_t minute = q->from_ms / SIM_MIN * SIM_MIN; minute < q->to_ms;
	     minute += SIM_MIN) {
		int64_t ms;
		char id[17], doc[512];

		if (!sim_span(s, q->tenant, q->region, minute, &ms, id) || ms < q->from_ms ||
		    ms >= q->to_ms)
			continue;
		(void)snprintf(
		    doc, sizeof(doc),
		    "{\"resource\":{\"attributes\":{\"service.name\":\"web\"}},"
		    "\"traceId\":\"%08llx00000000%s\",\"spanId\":\"%s\",\"name\":\"web\","
		    "\"kind\":\"SERVER\",\"startTimeUnixNano\":%lld000000,"
		    "\"endTimeUnixNano\":%lld000000,\"status\":{\"code\":\"UNSET\"}}",
		    (unsigned long long)(ms / 1000), id, id, (long long)ms, (long long)ms + 40);
		row_time(r, "@timestamp", ms);
		buf_str(r->out, "{\"field\":\"@message\",\"value\":");
		(void)json_escape(r->out, sv_of(doc));
		buf_fmt(r->out, "},{\"field\":\"@ptr\",\"value\":\"%s\"}]", id);
	}
}

static void
query_results(struct sim *s, const struct http_req *req, struct http_resp *resp)
{
	CLEANUP(json_decrefp) json_t *doc = parsed(req);
	size_t at = strtoul(str(doc, "queryId") + 2, NULL, 10);
	size_t skip = strtoul(str(doc, "nextToken"), NULL, 10);
	struct rows rows = {
	    .out = &resp->body, .skip = skip, .most = s->pages ? PAGE_ROWS : SIZE_MAX};

	if (at >= s->n_queries) {
		refuse(resp, "ResourceNotFoundException");
		return;
	}
	rows.now_ms = s->queries[at].now_ms;
	buf_str(&resp->body, "{\"results\":[");
	if (s->ways.stats)
		add_counts(s, &s->queries[at], &rows);
	else if (s->ways.spans)
		add_spans(s, &s->queries[at], &rows);
	else
		sim_events(s, s->queries[at].tenant, s->queries[at].region, s->queries[at].from_ms,
			   s->queries[at].to_ms, add_row, &rows);
	buf_fmt(&resp->body,
		"],\"statistics\":{\"recordsMatched\":%zu.0,\"recordsScanned\":1.0,"
		"\"bytesScanned\":%zu.0},\"status\":\"Complete\"",
		rows.all ? rows.all : rows.n, rows.n * 100);
	if (rows.skip + rows.n < rows.all)
		buf_fmt(&resp->body, ",\"nextToken\":\"%zu\"", rows.skip + rows.n);
	buf_ch(&resp->body, '}');
}

/* Of the last hour's queries those that are asked for: all are Complete here. */
static void
describe_queries(struct sim *s, const struct http_req *req, struct http_resp *resp)
{
	size_t tenant, region, n = 0;

	if (!sim_place(s, req, &tenant, &region))
		abort();
	buf_str(&resp->body, "{\"queries\":[");
	for (size_t i = s->n_queries; i-- > 0 && n < 20;) {
		const struct sim_query *q = &s->queries[i];

		if (q->tenant != tenant || q->region != region)
			continue;
		buf_fmt(&resp->body,
			"%s{\"queryId\":\"q-%zu\",\"status\":\"Complete\",\"createTime\":%lld,"
			"\"logGroupName\":\"%s\",\"queryString\":",
			n++ ? "," : "", i, (long long)sim_wall_ms(s), sim_groups[0]);
		(void)json_escape(&resp->body, sv_of(q->text));
		buf_ch(&resp->body, '}');
	}
	buf_str(&resp->body, "]}");
}

void
sim_logs(struct sim *s, const struct http_req *req, struct http_resp *resp)
{
	resp->status = 200;
	if (!strcmp(req->operation, "DescribeLogGroups"))
		describe_groups(s, resp);
	else if (!strcmp(req->operation, "StartQuery"))
		start_query(s, req, resp);
	else if (!strcmp(req->operation, "GetQueryResults"))
		query_results(s, req, resp);
	else if (!strcmp(req->operation, "DescribeQueries"))
		describe_queries(s, req, resp);
	else
		buf_str(&resp->body, "{\"success\":true}");
}

/* ---- the receiver ---- */

void
sim_receive(struct sim *s, const struct http_req *req, struct http_resp *resp)
{
	struct err err = {0};

	if (s->receiver_down) {
		resp->status = 503;
		return;
	}
	(void)transport_send(&s->receiver->base, req, resp, &err);
	if (s->receiver->malformed)
		abort();
}
