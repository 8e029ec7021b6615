/*
 * The insights kind without a runner, and a Logs Insights of its own in front of it: events in
 * memory, a cap, pages, queries that take a while, show a part of their rows meanwhile, fail, or
 * are forgotten.
 */
#ifndef MUSTER_TESTS_INSIGHTS_RIG_H
#define MUSTER_TESTS_INSIGHTS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/timefmt.h"
#include "fmt/json.h"
#include "jobs/insights.h"

#define START	      1767225600000LL /* 2026-01-01T00:00:00Z */
#define CELL_MS	      300000LL
#define NOW	      (START + 60 * 60000)
#define MAX_RIG_CELLS 16
#define MAX_EVENTS    8192
#define MAX_QUERIES   8192

extern const struct job_kind job_insights;

struct event {
	int64_t ms;
	int group, stream, id;
};

struct oracle_query {
	int64_t from_ms, to_ms;
	unsigned long streams, groups; /* bits; streams 0: all */
	bool lists, stats, ordered, stopped, forgotten, short_rows, failed;
	size_t limit;
	char *text;
	int polls; /* until it has ended */
	const char *end;
};

struct oracle {
	struct event events[MAX_EVENTS]; /* by time */
	size_t n_events;
	int n_groups;
	long most; /* rows a query may be asked for; 0: any */
	size_t page; /* rows a page, 0: all */
	int slots; /* queries at once, 0: any */
	/* In 1,000 queries, so many ... */
	int fail, short_rows, forget, lose;
	bool fail_later; /* the first query, once, on its second page */
	int run_later;	 /* the first query, so often, on its second page */
	bool denies_lists; /* of queries */
	int retention_days; /* of all groups, 0: for good */
	bool no_matched;
	struct oracle_query q[MAX_QUERIES];
	size_t n_queries, started, stopped, refused, most_running, lost, looks;
	uint64_t draws;
	size_t list_calls;
	char last_query[LOGS_QUERY_MAX + 1];
	char last_start[2048];
};

struct rig {
	struct arena a;
	struct insights_opts opts;
	struct job_common common;
	struct job_stream s;
	struct cell cells[MAX_RIG_CELLS];
	size_t n_cells;
	struct pull *p;
	struct aws_call call;
	struct http_resp resp;
	struct cell_data data[MAX_RIG_CELLS];
	bool lay_there[MAX_RIG_CELLS]; /* its lines were not written a second time */
	struct err err;
	json_t *memo; /* what is durable */
	struct oracle *o;
	int64_t waited_ms;
	size_t calls;
};

static inline uint64_t
draw(struct oracle *o)
{
	return mix64(++o->draws);
}

static inline bool
chance(struct oracle *o, int in_1000)
{
	return in_1000 && draw(o) % 1000 < (uint64_t)in_1000;
}

/* Answering */

static inline int
oracle_refuse(struct rig *r, enum err_kind kind, const char *code)
{
	r->o->refused++;
	r->resp.status = 400;
	(void)err_set(&r->err, kind, "400 %s", code);
	(void)snprintf(r->err.code, sizeof(r->err.code), "%s", code);
	r->err.http_status = 400;
	return -1;
}

static inline int
oracle_groups(struct rig *r, const json_t *req)
{
	const char *prefix = json_string_value(json_object_get(req, "logGroupNamePrefix"));
	const char *token = json_string_value(json_object_get(req, "nextToken"));
	struct buf *out = &r->resp.body;
	int first = token ? (int)strtol(token, NULL, 10) : 0, i, shown = 0;

	r->o->list_calls++;
	buf_str(out, "{\"logGroups\":[");
	for (i = first; i < r->o->n_groups && shown < 20; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "/app/g%03d", i);
		if (prefix && strncmp(name, prefix, strlen(prefix)) != 0)
			continue;
		buf_fmt(out,
			"%s{\"logGroupName\":\"%s\",\"creationTime\":1,\"arn\":\"a:*\","
			"\"storedBytes\":0",
			shown++ ? "," : "", name);
		if (r->o->retention_days)
			buf_fmt(out, ",\"retentionInDays\":%d", r->o->retention_days);
		buf_ch(out, '}');
	}
	buf_str(out, "]");
	if (i < r->o->n_groups)
		buf_fmt(out, ",\"nextToken\":\"%d\"", i);
	buf_str(out, "}");
	return 0;
}

static inline unsigned long
bits_after(const char *text, const char *end, const char *prefix)
{
	unsigned long bits = 0;

	for (const char *p = text; (p = strstr(p, prefix)) && p < end; p++)
		bits |= 1ul << strtol(p + strlen(prefix), NULL, 10);
	return bits;
}

static inline size_t
oracle_running(const struct oracle *o)
{
	size_t n = 0;

	for (size_t i = 0; i < o->n_queries; i++)
		n += o->q[i].polls > 0 && !o->q[i].stopped;
	return n;
}

static inline void
oracle_compile(struct oracle *o, const json_t *req, const char *text, struct oracle_query *q)
{
	static const char *const ends[] = {"Failed", "Timeout", "Cancelled", "Unknown"};
	const char *in = strstr(text, "@logStream in [");
	const json_t *groups = json_object_get(req, "logGroupNames");
	long long from = 0, to = 0;

	*q = (struct oracle_query){.polls = (int)(draw(o) % 3), .end = "Complete"};
	text = strstr(text, "filter toMillis(@timestamp) >= ");
	assert_non_null(text);
	assert_int_equal(sscanf(text,
				"filter toMillis(@timestamp) >= %lld and toMillis(@timestamp) < "
				"%lld | ",
				&from, &to),
			 2);
	q->from_ms = from;
	q->to_ms = to;
	if (in)
		q->streams = bits_after(in, strchr(in, ']'), "\"s");
	for (size_t i = 0; i < json_array_size(groups); i++)
		q->groups |= 1ul << strtol(json_string_value(json_array_get(groups, i)) + 6, NULL, 10);
	q->lists = strstr(text, "stats count(*) as muster_events by @logStream");
	q->stats = strstr(text, "stats ") && !q->lists;
	q->ordered = strstr(text, "| sort @timestamp asc");
	q->limit = (size_t)json_integer_value(json_object_get(req, "limit"));
	if (chance(o, o->fail))
		q->end = ends[draw(o) % ARRAY_LEN(ends)];
	q->short_rows = chance(o, o->short_rows);
	/* The range in seconds must hold the part in milliseconds. */
	assert_true(json_integer_value(json_object_get(req, "startTime")) * 1000 <= from);
	assert_true(json_integer_value(json_object_get(req, "endTime")) * 1000 >= to - 1);
}

static inline int
oracle_start(struct rig *r, const json_t *req)
{
	const char *text = json_string_value(json_object_get(req, "queryString"));
	struct oracle *o = r->o;

	assert_true(strlen(text) <= LOGS_QUERY_MAX);
	(void)snprintf(o->last_query, sizeof(o->last_query), "%s", text);
	(void)snprintf(o->last_start, sizeof(o->last_start), "%s", buf_cstr(&r->call.body));
	if (o->most && json_integer_value(json_object_get(req, "limit")) > o->most)
		return oracle_refuse(r, ERR_REJECTED, "InvalidParameterException");
	if (o->slots && oracle_running(o) >= (size_t)o->slots) {
		/* Somebody else's queries end at some time. */
		if (draw(o) % 4 == 0)
			for (size_t i = 0; i < o->n_queries; i++)
				o->q[i].polls = 0;
		return oracle_refuse(r, ERR_THROTTLED, "LimitExceededException");
	}
	assert_true(o->n_queries < MAX_QUERIES);
	oracle_compile(o, req, text, &o->q[o->n_queries]);
	o->q[o->n_queries].text = strdup(text);
	buf_fmt(&r->resp.body, "{\"queryId\":\"q-%zu\"}", o->n_queries++);
	o->started++;
	if (oracle_running(o) > o->most_running)
		o->most_running = oracle_running(o);
	if (chance(o, o->lose)) {
		o->lost++;
		return err_set(&r->err, ERR_TRANSIENT, "connection reset");
	}
	return 0;
}

static inline bool
oracle_has(const struct oracle_query *q, const struct event *e)
{
	return e->ms >= q->from_ms && e->ms < q->to_ms && (q->groups & 1ul << e->group) &&
	       (!q->streams || (q->streams & 1ul << e->stream));
}

/* The rows' indices; those of one time in an order of chance. */
static inline size_t
oracle_rows(const struct oracle *o, const struct oracle_query *q, size_t *rows, size_t *matched)
{
	size_t n = 0;

	for (size_t i = 0; i < o->n_events; i++)
		if (oracle_has(q, &o->events[i]))
			rows[n++] = i;
	for (size_t i = 0; i + 1 < n; i++) {
		size_t with = i + mix64(i ^ (uint64_t)q->from_ms) % (n - i), other = rows[i];

		if (!q->ordered || o->events[rows[with]].ms == o->events[rows[i]].ms) {
			rows[i] = rows[with];
			rows[with] = other;
		}
	}
	*matched = n;
	if (q->short_rows && n)
		n--;
	return q->limit && n > q->limit ? q->limit : n;
}

static inline void
oracle_event(const struct event *e, struct buf *out)
{
	char ts[TIME_TEXT_MAX];

	time_format_ms(e->ms, ts);
	ts[10] = ' ';
	ts[23] = '\0';
	buf_fmt(out, "[{\"field\":\"@timestamp\",\"value\":\"%s\"},", ts);
	buf_fmt(out, "{\"field\":\"@log\",\"value\":\"111122223333:/app/g%03d\"},", e->group);
	buf_fmt(out, "{\"field\":\"@logStream\",\"value\":\"s%d\"},", e->stream);
	buf_fmt(out, "{\"field\":\"@message\",\"value\":\"l\\u00f6g \\n \\\"%d\\\"\"},", e->id % 7);
	buf_fmt(out, "{\"field\":\"@ptr\",\"value\":\"p%d\"}]", e->id);
}

static inline void
oracle_streams(const struct oracle *o, const struct oracle_query *q, struct buf *out)
{
	bool any = false;

	for (int s = 0; s < 64; s++) {
		size_t n = 0;

		for (size_t i = 0; i < o->n_events; i++)
			n += oracle_has(q, &o->events[i]) && o->events[i].stream == s;
		if (!n)
			continue;
		buf_fmt(out,
			"%s[{\"field\":\"@logStream\",\"value\":\"s%d\"},{\"field\":"
			"\"muster_events\",\"value\":\"%zu\"}]",
			any ? "," : "", s, n);
		any = true;
	}
}

static inline void
oracle_page(struct rig *r, const struct oracle_query *q, const char *token, bool part)
{
	size_t *rows = calloc(MAX_EVENTS, sizeof(*rows)), matched, n, i, end, shown = 0;
	const struct oracle *o = r->o;
	struct buf *out = &r->resp.body;

	assert_non_null(rows);
	n = oracle_rows(o, q, rows, &matched);
	i = token ? (size_t)strtol(token, NULL, 10) : 0;
	end = o->page && n - i > o->page ? i + o->page : n;
	buf_str(out, "\"results\":[");
	if (q->lists || q->stats)
		oracle_streams(o, q, out);
	for (size_t k = i; !q->lists && !q->stats && k < end; k += part ? 2 : 1) {
		if (k > i)
			buf_ch(out, ',');
		oracle_event(&o->events[rows[k]], out);
		shown++;
	}
	buf_str(out, "],\"statistics\":{");
	if (!o->no_matched)
		buf_fmt(out, "\"recordsMatched\":%zu.0,", part ? shown : matched); /* so far */
	buf_fmt(out, "\"recordsScanned\":1.0E3,\"bytesScanned\":%zu.0}", 100 * matched);
	if (end < n && !part && !q->lists)
		buf_fmt(out, ",\"nextToken\":\"%zu\"", end);
	free(rows);
}

static inline int
oracle_results(struct rig *r, const json_t *req)
{
	const char *id = json_string_value(json_object_get(req, "queryId"));
	const char *token = json_string_value(json_object_get(req, "nextToken"));
	size_t at = (size_t)strtol(id + 2, NULL, 10);
	struct oracle *o = r->o;
	struct oracle_query *q = &o->q[at];
	const char *status;

	assert_true(at < o->n_queries);
	if (!token && chance(o, o->forget))
		q->forgotten = true;
	if (q->forgotten)
		return oracle_refuse(r, ERR_NOTFOUND, "ResourceNotFoundException");
	status = q->stopped ? "Cancelled" : q->polls > 0 ? "Running" : q->end;
	assert_false(q->failed); /* that was its end */
	if (o->fail_later && token && at == 0) {
		q->failed = true;
		status = "Failed";
	}
	if (token && at == 0 && o->run_later > 0) {
		o->run_later--;
		status = "Running";
	}
	/* The order of members is the service's. */
	buf_ch(&r->resp.body, '{');
	if (at % 2)
		buf_fmt(&r->resp.body, "\"status\":\"%s\",", status);
	oracle_page(r, q, token, strcmp(status, "Complete") != 0);
	if (at % 2 == 0)
		buf_fmt(&r->resp.body, ",\"status\":\"%s\"", status);
	buf_ch(&r->resp.body, '}');
	q->polls -= q->polls > 0;
	return 0;
}

static inline int
oracle_stop(struct rig *r, const json_t *req)
{
	const char *id = json_string_value(json_object_get(req, "queryId"));

	r->o->q[strtol(id + 2, NULL, 10)].stopped = true;
	r->o->stopped++;
	buf_str(&r->resp.body, "{\"success\":true}");
	return 0;
}

/* Two a page, the newest first. */
static inline int
oracle_queries(struct rig *r, const json_t *req)
{
	const char *token = json_string_value(json_object_get(req, "nextToken"));
	struct oracle *o = r->o;
	size_t at = token ? (size_t)strtol(token, NULL, 10) : o->n_queries, n = 0;
	json_t *list = json_array(), *doc;
	struct buf *out = &r->resp.body;

	if (o->denies_lists) {
		json_decref(list);
		return oracle_refuse(r, ERR_AUTH, "AccessDeniedException");
	}
	o->looks += !token;
	for (; at && n < 2; n++) {
		const struct oracle_query *q = &o->q[--at];
		char id[32];

		(void)snprintf(id, sizeof(id), "q-%zu", at);
		(void)json_array_append_new(
		    list, json_pack("{s:s, s:s, s:s}", "queryId", id, "queryString", q->text,
				    "status", q->stopped ? "Cancelled" : q->polls ? "Running" : q->end));
	}
	doc = json_pack("{s:o}", "queries", list);
	if (at) {
		char next[32];

		(void)snprintf(next, sizeof(next), "%zu", at);
		(void)json_object_set_new(doc, "nextToken", json_string(next));
	}
	assert_int_equal(json_dump(doc, false, out, NULL), 0);
	json_decref(doc);
	return 0;
}

/* All queries it ever had. */
static inline void
oracle_forget(struct oracle *o)
{
	while (o->n_queries)
		free(o->q[--o->n_queries].text);
}

static inline int
oracle_answer(struct rig *r)
{
	static const struct {
		const char *operation;
		int (*answer)(struct rig *r, const json_t *req);
	} table[] = {
	    {"DescribeLogGroups", oracle_groups},
	    {"DescribeQueries", oracle_queries},
	    {"StartQuery", oracle_start},
	    {"GetQueryResults", oracle_results},
	    {"StopQuery", oracle_stop},
	};
	json_t *req = NULL;
	int rc = -1;

	err_clear(&r->err);
	r->resp.status = 200;
	buf_reset(&r->resp.body);
	assert_int_equal(json_parse(buf_view(&r->call.body), "request", &req, NULL), 0);
	assert_string_equal(r->call.service, "logs");
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (!strcmp(table[i].operation, r->call.operation))
			rc = table[i].answer(r, req);
	json_decref(req);
	return rc;
}

/* The rig */

static inline void
rig_init(struct rig *r, const char *yaml)
{
	const struct conf_key *tables[] = {job_insights.keys, NULL};
	void *outs[] = {&r->opts};
	struct conf_faults *f = conf_faults_new();
	const struct conf_node *node;

	*r = (struct rig){.a = ARENA_INIT((size_t)16 << 20)};
	r->common = (struct job_common){.name = "app", .every_ms = CELL_MS};
	r->s = (struct job_stream){.common = &r->common,
				   .opts = &r->opts,
				   .tenant = "acme",
				   .account = "111122223333",
				   .region = "eu-west-1"};
	node = conf_parse("rig", sv_of(yaml), &r->a, f);
	assert_non_null(node);
	conf_read(node, tables, outs, &r->a, f);
	job_insights.check(&r->common, &r->opts, node, &r->a, f);
	if (conf_faults_count(f))
		fail_msg("%s", conf_faults_get(f, 0));
	conf_faults_free(f);
	aws_call_init(&r->call, (size_t)1 << 20);
	r->resp.body = BUF_INIT((size_t)16 << 20);
	r->o = calloc(1, sizeof(*r->o));
	assert_non_null(r->o);
	r->o->n_groups = 2;
}

static inline void
rig_close(struct rig *r)
{
	job_insights.close(r->p);
	r->p = NULL;
	for (size_t i = 0; i < r->n_cells; i++)
		cell_data_done(&r->data[i]);
	r->n_cells = 0;
}

static inline void
rig_done(struct rig *r)
{
	rig_close(r);
	json_decref(r->memo);
	buf_done(&r->resp.body);
	aws_call_done(&r->call);
	arena_done(&r->a);
	oracle_forget(r->o);
	free(r->o);
}

static inline void
rig_cells(struct rig *r, int64_t start_ms, size_t n)
{
	rig_close(r);
	for (size_t i = 0; i < n; i++)
		r->cells[i] = (struct cell){start_ms + (int64_t)i * r->common.every_ms,
					    start_ms + (int64_t)(i + 1) * r->common.every_ms};
}

static inline int
rig_try_open(struct rig *r, int64_t start_ms, size_t n)
{
	rig_cells(r, start_ms, n);
	return job_insights.open(&r->s, r->memo, r->cells, n, NOW, &r->p, &r->err);
}

/* One cell, a second time. */
static inline void
rig_open_again(struct rig *r, int64_t start_ms)
{
	rig_cells(r, start_ms, 1);
	if (job_insights.open_again(&r->s, r->memo, r->cells, 1, NOW, &r->p, &r->err))
		fail_msg("%s", r->err.msg);
}

static inline void
rig_keep(struct rig *r)
{
	json_t *memo = job_insights.memo(r->p), *copy = NULL;
	struct buf text = BUF_INIT((size_t)16 << 20);

	if (!memo)
		return;
	/* As it comes back from a checkpoint. */
	assert_int_equal(json_dump(memo, false, &text, NULL), 0);
	assert_int_equal(json_parse(buf_view(&text), "memo", &copy, NULL), 0);
	buf_done(&text);
	json_decref(memo);
	json_decref(r->memo);
	r->memo = copy;
}

/* As the runner does it; `calls` more at most. 1: more to come; 0: complete; -1: *err. */
static inline int
rig_run(struct rig *r, size_t calls)
{
	for (size_t i = 0; i < calls; i++) {
		int more, rc;

		aws_call_reset(&r->call);
		more = job_insights.next(r->p, &r->call, &r->err);
		if (more <= 0)
			return more;
		r->calls++;
		r->waited_ms += r->call.wait_ms;
		rc = oracle_answer(r);
		if (rc && r->err.kind == ERR_TRANSIENT && r->call.once && !job_insights.lost(r->p))
			continue;
		if (rc && r->err.kind == ERR_TRANSIENT)
			return -1;
		if (job_insights.reply(r->p, &r->resp, &r->err))
			return -1;
		if (job_insights.memo_urgent(r->p))
			rig_keep(r);
	}
	return 1;
}

static inline void
rig_harvest(struct rig *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		cell_data_init(&r->data[i], r->cells[i]);
	r->n_cells = n;
	for (size_t i = 0; i < n; i++) {
		if (job_insights.harvest(r->p, &r->data[i], 1, &r->err))
			fail_msg("%s", r->err.msg);
		r->lay_there[i] = r->data[i].spool && r->data[i].spool->of;
		if (cell_lines_load(&r->data[i], &r->err))
			fail_msg("%s", r->err.msg);
	}
}

static inline void
rig_complete(struct rig *r, size_t n)
{
	if (rig_run(r, 100000))
		fail_msg("%s", r->err.msg);
	rig_keep(r);
	rig_harvest(r, n);
}

static inline void
rig_open(struct rig *r, size_t n)
{
	if (rig_try_open(r, START, n))
		fail_msg("%s", r->err.msg);
}

static inline const char *
rig_lines(const struct rig *r, size_t i)
{
	return buf_cstr(&r->data[i].ndjson);
}

static inline void
oracle_add(struct rig *r, int64_t ms, int group, int stream)
{
	struct oracle *o = r->o;
	size_t at = o->n_events++;

	assert_true(at < MAX_EVENTS);
	while (at && o->events[at - 1].ms > ms) {
		o->events[at] = o->events[at - 1];
		at--;
	}
	o->events[at] = (struct event){ms, group, stream, (int)o->n_events};
}

#endif
