/*
 * The permissions of the insights kind, and how they are seen without scanning anything: the job's
 * query over the first second of a log group's life (or of one that does not exist, which is
 * refused only after the permission was looked at), and the results and the end of that query, or
 * of one that there never was. Whether the service understands the query shows besides.
 */
#include <stdio.h>
#include <string.h>

#include "aws/endpoint.h"
#include "base/cleanup.h"
#include "fmt/json.h"
#include "jobs/insights.h"

#define PAGE_MAX	((size_t)4 << 20)
#define GROUP_NAME_SIZE 600
#define DAY_MS		INT64_C(86400000)
/* No query has it. */
#define NO_QUERY "00000000-0000-4000-8000-000000000000"

static const char *
seen_text(const json_t *seen, const char *key)
{
	return json_string_value(json_object_get(seen, key));
}

/* "arn:aws:logs:REGION:ACCOUNT:log-group:NAME:*", the form that policies are compared with. */
static void
add_arn(const struct job_stream *s, const char *name, const char *behind, struct buf *out)
{
	CLEANUP(buf_done) struct buf arn = BUF_INIT(4096);

	buf_fmt(&arn, "arn:%s:logs:%s:%s:log-group:%s%s", endpoint_partition(s->region), s->region,
		s->account, name, behind);
	(void)json_escape(out, buf_view(&arn));
}

static void
any_group(const struct job_stream *s, struct buf *out)
{
	add_arn(s, "*", "", out);
}

static void
configured_groups(const struct job_stream *s, struct buf *out)
{
	const struct insights_opts *o = s->opts;

	if (o->log_groups.n > 1)
		buf_ch(out, '[');
	for (size_t i = 0; i < o->log_groups.n; i++) {
		if (i)
			buf_ch(out, ',');
		add_arn(s, o->log_groups.v[i], ":*", out);
	}
	if (o->log_groups.n > 1)
		buf_ch(out, ']');
}

static int
ask_groups(const struct job_stream *s, const json_t *seen, int64_t now_ms, struct aws_call *call,
	   struct err *err)
{
	const struct insights_opts *o = s->opts;
	char prefix[GROUP_NAME_SIZE];

	(void)seen;
	(void)now_ms;
	(void)snprintf(prefix, sizeof(prefix), "%.*s", (int)strcspn(o->log_groups.v[0], "*"),
		       o->log_groups.v[0]);
	return logs_groups_call(prefix, s->linked_account, NULL, call, err);
}

/* A second of the group's life in which it most likely held nothing: its first, or where retention
 * has taken that one, one half way back. A time outside its life is an error of another kind. */
static int64_t
quiet_second(const struct logs_group *g, int64_t now_ms)
{
	if (g->created_ms <= 0)
		return (now_ms - DAY_MS / 2) / 1000;
	if (g->created_ms > groups_kept_from(g, now_ms))
		return g->created_ms / 1000;
	return (now_ms - g->retention_days * DAY_MS / 2) / 1000;
}

static bool
heard_groups(const struct job_stream *s, json_t *seen, const struct aws_call *call,
	     const struct http_resp *resp, const struct err *err)
{
	struct arena a = ARENA_INIT(PAGE_MAX);
	struct logs_groups_page page = {0};

	(void)call;
	if (err->kind != ERR_NONE || logs_groups_read(buf_view(&resp->body), &a, &page, NULL))
		page.n = 0;
	else
		(void)json_object_set_new(seen, "listed", json_boolean(!page.token));
	for (size_t i = 0; i < page.n; i++) {
		const struct logs_group *g = &page.groups[i];

		if (!groups_wanted(s->opts, g))
			continue;
		(void)json_object_set_new(seen, "group", json_string(g->name));
		(void)json_object_set_new(seen, "created", json_integer(g->created_ms));
		(void)json_object_set_new(seen, "days", json_integer(g->retention_days));
		break;
	}
	arena_done(&a);
	return false;
}

/* A name that the pattern matches. */
static void
name_like(const char *pattern, char name[GROUP_NAME_SIZE])
{
	(void)snprintf(name, GROUP_NAME_SIZE, "%s", pattern);
	for (char *p = name; *p; p++)
		*p = *p == '*' ? 'x' : *p;
}

/* In the group that was found, else in one that need not exist. */
static int
ask_start(const struct job_stream *s, const json_t *seen, int64_t now_ms, struct aws_call *call,
	  struct err *err)
{
	const struct insights_opts *o = s->opts;
	struct logs_group g = {
	    .name = seen_text(seen, "group"),
	    .created_ms = json_integer_value(json_object_get(seen, "created")),
	    .retention_days = json_integer_value(json_object_get(seen, "days")),
	};
	CLEANUP(buf_done) struct buf arn = BUF_INIT(INSIGHTS_ARN_MAX);
	CLEANUP(buf_done) struct buf text = BUF_INIT((size_t)4 * LOGS_QUERY_MAX);
	char name[GROUP_NAME_SIZE];
	const char *names[] = {g.name ? g.name : name};
	struct logs_start_req q = {
	    .groups = names,
	    .n_groups = 1,
	    .start_s = quiet_second(&g, now_ms),
	    .limit = o->q.limit ? 0 : 1,
	};
	const struct insights_part part = {.from_ms = q.start_s * 1000,
					   .to_ms = (q.start_s + 1) * 1000};

	insights_query_compose(&o->q, &part, &text);
	if (insights_arn(s, &arn, err) || buf_check(&text, "query", err))
		return -1;
	q.query = buf_cstr(&text);
	q.arn = arn.n ? buf_cstr(&arn) : NULL;
	name_like(o->log_groups.v[0], name);
	q.end_s = q.start_s + 1;
	return logs_start_call(&q, call, err);
}

static bool
heard_start(const struct job_stream *s, json_t *seen, const struct aws_call *call,
	    const struct http_resp *resp, const struct err *err)
{
	struct arena a = ARENA_INIT(PAGE_MAX);
	const char *id = NULL;

	(void)s;
	(void)call;
	if (!strncmp(err->code, "MalformedQuery", strlen("MalformedQuery")))
		(void)json_object_set_new(seen, "malformed", json_string(err->msg));
	if (err->kind == ERR_NONE && !logs_start_read(buf_view(&resp->body), &a, &id, NULL))
		(void)json_object_set_new(seen, "query", json_string(id));
	arena_done(&a);
	return false;
}

static const char *
query_of(const json_t *seen)
{
	const char *id = seen_text(seen, "query");

	return id ? id : NO_QUERY;
}

static int
ask_results(const struct job_stream *s, const json_t *seen, int64_t now_ms, struct aws_call *call,
	    struct err *err)
{
	(void)s;
	(void)now_ms;
	return logs_results_call(query_of(seen), 0, NULL, call, err);
}

static int
ask_stop(const struct job_stream *s, const json_t *seen, int64_t now_ms, struct aws_call *call,
	 struct err *err)
{
	(void)s;
	(void)now_ms;
	return logs_stop_call(query_of(seen), call, err);
}

static int
ask_queries(const struct job_stream *s, const json_t *seen, int64_t now_ms, struct aws_call *call,
	    struct err *err)
{
	(void)s;
	(void)seen;
	(void)now_ms;
	return logs_queries_call(NULL, call, err);
}

const struct job_probe insights_probes[] = {
    {.action = "logs:DescribeLogGroups",
     .resource = any_group,
     .ask = ask_groups,
     .heard = heard_groups},
    {.action = "logs:StartQuery",
     .resource = configured_groups,
     .ask = ask_start,
     .heard = heard_start},
    {.action = "logs:GetQueryResults", .ask = ask_results},
    {.action = "logs:StopQuery", .ask = ask_stop},
    {.action = "logs:DescribeQueries", .ask = ask_queries},
    {.action = NULL},
};

/* Only where the first page held all that could match: there may be no such group yet. */
static bool
matches_none(const struct insights_opts *o, const json_t *seen)
{
	return json_is_true(json_object_get(seen, "listed")) && !seen_text(seen, "group") &&
	       o->log_groups.n == 1;
}

bool
insights_doubt(const struct job_stream *s, const json_t *seen, struct buf *out)
{
	const struct insights_opts *o = s->opts;
	const char *malformed = seen_text(seen, "malformed");

	if (malformed)
		buf_fmt(out, "the query is not understood: %.400s", malformed);
	else if (matches_none(o, seen))
		buf_fmt(out, "no log group matches %.200s", o->log_groups.v[0]);
	return out->n > 0;
}
