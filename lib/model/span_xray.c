/* Segment documents as spans; see span_xray.h. */
#include "model/span_xray.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/grow.h"
#include "base/map.h"
#include "base/num.h"

#define NS_SCALE      9 /* X-Ray's times are in seconds */
#define STACK_MAX     ((size_t)64 << 10)
#define KEY_MAX	      1024
#define RELATIVES_MAX 64 /* how far up the owner of a lone subsegment is looked for */

struct reading {
	const struct span_trace *t;
	char trace_id[SPAN_TRACE_HEX + 1];
	struct arena *a;
	struct spans *to;
	size_t first;	  /* of this trace */
	struct map by_id; /* index into to->v, plus one */
	uint64_t rejected;
};

void
spans_done(struct spans *s)
{
	free(s->v);
	*s = SPANS_INIT;
}

/* Ids */

/* 1-581cf771-a006649127e371903a2de979 is 581cf771a006649127e371903a2de979. */
static bool
read_trace_id(struct sv text, char ret[SPAN_TRACE_HEX + 1])
{
	char hex[SPAN_TRACE_HEX];

	if (text.n != 35 || text.p[0] != '1' || text.p[1] != '-' || text.p[10] != '-')
		return span_id_read(text, SPAN_TRACE_HEX, ret);
	memcpy(hex, text.p + 2, 8);
	memcpy(hex + 8, text.p + 11, 24);
	return span_id_read((struct sv){hex, sizeof(hex)}, SPAN_TRACE_HEX, ret);
}

/* Values by other names */

static void
add_as(struct span_attrs *to, const char *key, const struct json_node *of, const char *member)
{
	const struct json_node *v = json_tree_get(of, member);

	if (v && v->type != JSON_T_OBJECT && (v->type != JSON_T_STRING || v->text.n))
		span_attr_json(to, sv_of(key), v);
}

/* As a text, whatever it is. */
static void
add_text_as(struct span_attrs *to, const char *key, const struct json_node *of, const char *member)
{
	const struct json_node *v = json_tree_get(of, member);

	if (v && (v->type == JSON_T_STRING || v->type == JSON_T_NUMBER))
		span_attr_str(to, key, v->text);
}

/* A number, though it may be a text. */
static void
add_int_as(struct span_attrs *to, const char *key, const struct json_node *of, const char *member)
{
	const struct json_node *v = json_tree_get(of, member);
	int64_t ignored;

	if (v && (v->type == JSON_T_STRING || v->type == JSON_T_NUMBER) &&
	    num_i64(v->text, &ignored))
		span_attr_add(to, sv_of(key), SPAN_INT, v->text);
}

static struct sv
joined(struct span_attrs *to, const char *prefix, struct sv name)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT(KEY_MAX);
	struct sv ret;

	buf_str(&key, prefix);
	buf_sv(&key, name);
	if (!buf_ok(&key))
		return (struct sv){"", 0}; /* no name of anybody's is so long */
	ret = (struct sv){arena_strdup(to->a, buf_view(&key)), key.n};
	to->failed = to->failed || !ret.p;
	return ret.p ? ret : (struct sv){"", 0};
}

static struct sv
lower(struct span_attrs *to, struct sv text)
{
	char *copy = arena_strdup(to->a, text);

	to->failed = to->failed || !copy;
	for (size_t i = 0; copy && i < text.n; i++)
		copy[i] = (char)tolower((unsigned char)copy[i]);
	return copy ? (struct sv){copy, text.n} : (struct sv){"", 0};
}

/* Parts of a segment */

static void
read_http(const struct json_node *doc, struct span_attrs *to)
{
	const struct json_node *http = json_tree_get(doc, "http");
	const struct json_node *request = json_tree_get(http, "request");
	const struct json_node *response = json_tree_get(http, "response");

	add_as(to, "http.request.method", request, "method");
	add_as(to, "url.full", request, "url");
	add_as(to, "user_agent.original", request, "user_agent");
	add_as(to, "client.address", request, "client_ip");
	add_as(to, "aws.xray.x_forwarded_for", request, "x_forwarded_for");
	add_int_as(to, "http.response.status_code", response, "status");
	add_int_as(to, "http.response.body.size", response, "content_length");
}

static void
read_sql(const struct json_node *doc, struct span_attrs *to)
{
	const struct json_node *sql = json_tree_get(doc, "sql");

	if (!sql)
		return;
	span_attr_str(to, "db.system.name", lower(to, json_tree_str(sql, "database_type")));
	add_as(to, "db.query.text", sql, "sanitized_query");
	add_as(to, "db.connection_string", sql, "url");
	add_as(to, "db.connection_string", sql, "connection_string");
	add_as(to, "db.user", sql, "user");
	add_as(to, "aws.xray.sql.database_version", sql, "database_version");
	add_as(to, "aws.xray.sql.driver_version", sql, "driver_version");
	add_as(to, "aws.xray.sql.preparation", sql, "preparation");
}

/* A call of AWS's: what was called, and whatever else stands there. */
static void
read_aws_call(const struct json_node *doc, const struct span *s, struct span_attrs *to)
{
	const struct json_node *aws = json_tree_of(doc, "aws", JSON_T_OBJECT);
	bool call = sv_eq(json_tree_str(doc, "namespace"), SV("aws"));

	if (call) {
		span_attr_str(to, "rpc.system", SV("aws-api"));
		span_attr_str(to, "rpc.service", s->name);
		add_as(to, "rpc.method", aws, "operation");
	}
	if (json_tree_of(aws, "table_name", JSON_T_STRING))
		span_attr_str(to, "db.system.name", SV("aws.dynamodb"));
	add_as(to, "db.collection.name", aws, "table_name");
	add_as(to, "aws.dynamodb.table_names", aws, "table_names");
	add_as(to, "aws.sqs.queue.url", aws, "queue_url");
	for (const struct json_node *n = aws ? aws->first : NULL; n; n = n->next)
		if (n->type != JSON_T_OBJECT)
			span_attr_json(to, joined(to, "aws.", n->name), n);
}

/* AWS::ECS::Container is aws_ecs. */
static void
read_origin(const struct json_node *doc, struct span_attrs *to)
{
	static const struct {
		const char *origin, *platform;
	} platforms[] = {
	    {"AWS::EC2::", "aws_ec2"},	   {"AWS::ECS::", "aws_ecs"},
	    {"AWS::EKS::", "aws_eks"},	   {"AWS::ElasticBeanstalk::", "aws_elastic_beanstalk"},
	    {"AWS::Lambda", "aws_lambda"}, {"AWS::AppRunner::", "aws_app_runner"},
	};
	struct sv origin = json_tree_str(doc, "origin");

	span_attr_str(to, "aws.xray.origin", origin);
	for (size_t i = 0; i < ARRAY_LEN(platforms); i++)
		if (sv_starts(origin, sv_of(platforms[i].origin)))
			span_attr_str(to, "cloud.platform", sv_of(platforms[i].platform));
}

/* What served the request, and where. */
static struct span_attrs
read_resource(const struct json_node *doc, const struct span *s, struct arena *a)
{
	const struct json_node *aws = json_tree_get(doc, "aws");
	const struct json_node *ecs = json_tree_get(aws, "ecs"), *ec2 = json_tree_get(aws, "ec2");
	const struct json_node *eks = json_tree_get(aws, "eks");
	const struct json_node *beanstalk = json_tree_get(aws, "elastic_beanstalk");
	struct span_attrs to = span_attrs_in(a);

	span_attr_str(&to, "service.name", s->name);
	add_text_as(&to, "service.version", json_tree_get(doc, "service"), "version");
	add_as(&to, "cloud.account.id", aws, "account_id");
	add_as(&to, "cloud.region", aws, "region");
	read_origin(doc, &to);
	add_as(&to, "cloud.availability_zone", ecs, "availability_zone");
	add_as(&to, "cloud.availability_zone", ec2, "availability_zone");
	add_as(&to, "container.name", ecs, "container");
	add_as(&to, "container.id", ecs, "container_id");
	add_as(&to, "aws.ecs.container.arn", ecs, "container_arn");
	add_as(&to, "aws.ecs.cluster.arn", ecs, "cluster_arn");
	add_as(&to, "aws.ecs.task.arn", ecs, "task_arn");
	add_as(&to, "aws.ecs.task.family", ecs, "task_family");
	add_as(&to, "aws.ecs.launchtype", ecs, "launch_type");
	add_as(&to, "host.id", ec2, "instance_id");
	add_as(&to, "host.type", ec2, "instance_size");
	add_as(&to, "host.image.id", ec2, "ami_id");
	add_as(&to, "k8s.cluster.name", eks, "cluster_name");
	add_as(&to, "k8s.pod.name", eks, "pod");
	add_as(&to, "container.id", eks, "container_id");
	add_as(&to, "service.namespace", beanstalk, "environment_name");
	add_text_as(&to, "service.instance.id", beanstalk, "deployment_id");
	add_text_as(&to, "service.version", beanstalk, "version_label");
	add_as(&to, "telemetry.sdk.name", json_tree_get(aws, "xray"), "sdk");
	add_as(&to, "telemetry.sdk.version", json_tree_get(aws, "xray"), "sdk_version");
	return to;
}

/* Under their own names, unless something else has that. */
static void
read_annotations(const struct json_node *doc, struct span_attrs *to)
{
	const struct json_node *all = json_tree_of(doc, "annotations", JSON_T_OBJECT);

	for (const struct json_node *n = all ? all->first : NULL; n; n = n->next) {
		size_t before = to->n + to->dropped;

		span_attr_json(to, n->name, n);
		if (to->n + to->dropped == before && n->name.n)
			span_attr_json(to, joined(to, "annotation.", n->name), n);
	}
}

static void
read_metadata(const struct json_node *doc, struct span_attrs *to)
{
	const struct json_node *all = json_tree_of(doc, "metadata", JSON_T_OBJECT);

	for (const struct json_node *n = all ? all->first : NULL; n; n = n->next)
		span_attr_add(to, joined(to, "aws.xray.metadata.", n->name), SPAN_STR, n->text);
}

/* Events and links */

static size_t
count(const struct json_node *list)
{
	size_t n = 0;

	for (const struct json_node *i = list ? list->first : NULL; i; i = i->next)
		n++;
	return n;
}

/* "at label (path:line)" for each frame. */
static struct sv
stack_of(const struct json_node *exception, struct span_attrs *to)
{
	const struct json_node *frames = json_tree_of(exception, "stack", JSON_T_ARRAY);
	CLEANUP(buf_done) struct buf text = BUF_INIT(STACK_MAX);
	struct sv ret = {"", 0};

	for (const struct json_node *f = frames ? frames->first : NULL; f; f = f->next) {
		const struct json_node *line = json_tree_of(f, "line", JSON_T_NUMBER);

		buf_str(&text, text.n ? "\nat " : "at ");
		buf_sv(&text, json_tree_str(f, "label"));
		buf_str(&text, " (");
		buf_sv(&text, json_tree_str(f, "path"));
		buf_str(&text, line ? ":" : "");
		buf_sv(&text, line ? line->text : ret);
		buf_ch(&text, ')');
	}
	if (!buf_ok(&text) || !text.n)
		return ret;
	ret = (struct sv){arena_strdup(to->a, buf_view(&text)), text.n};
	to->failed = to->failed || !ret.p;
	return ret.p ? ret : (struct sv){"", 0};
}

static void
read_exception(const struct json_node *e, struct span *s, struct arena *a)
{
	struct span_event *to = &s->events[s->n_events++];

	*to = (struct span_event){
	    .time_ns = s->end_ns, .name = SV("exception"), .attrs = span_attrs_in(a)};
	add_as(&to->attrs, "exception.type", e, "type");
	add_as(&to->attrs, "exception.message", e, "message");
	span_attr_str(&to->attrs, "exception.stacktrace", stack_of(e, &to->attrs));
	add_as(&to->attrs, "aws.xray.exception.id", e, "id");
	add_as(&to->attrs, "aws.xray.exception.remote", e, "remote");
	add_as(&to->attrs, "aws.xray.exception.cause", e, "cause");
}

/* The id of an exception of another segment, or exceptions; the first one's message is the span's.
 */
static void
read_cause(const struct json_node *doc, struct span *s, struct arena *a)
{
	const struct json_node *cause = json_tree_get(doc, "cause");
	const struct json_node *list = json_tree_of(cause, "exceptions", JSON_T_ARRAY);

	add_as(&s->attrs, "aws.xray.cause", doc, "cause");
	s->events = arena_array(a, count(list), sizeof(*s->events));
	s->attrs.failed = s->attrs.failed || !s->events;
	for (const struct json_node *e = list && s->events ? list->first : NULL; e; e = e->next)
		read_exception(e, s, a);
	if (list && list->first)
		s->status_message = json_tree_str(list->first, "message");
	if (!s->status_message.n)
		s->status_message = json_tree_str(cause, "message");
}

static void
read_links(const struct reading *r, const struct json_node *doc, struct span *s)
{
	const struct json_node *links = json_tree_of(doc, "links", JSON_T_ARRAY);
	const struct json_node *before = json_tree_of(doc, "precursor_ids", JSON_T_ARRAY);
	struct span_link *to = arena_array(r->a, count(links) + count(before), sizeof(*to));

	s->links = to;
	s->attrs.failed = s->attrs.failed || !to;
	for (const struct json_node *n = links && to ? links->first : NULL; n; n = n->next) {
		const struct json_node *attrs = json_tree_of(n, "attributes", JSON_T_OBJECT);

		to = &s->links[s->n_links];
		if (!read_trace_id(json_tree_str(n, "trace_id"), to->trace_id) ||
		    !span_id_read(json_tree_str(n, "id"), SPAN_ID_HEX, to->span_id))
			continue;
		to->attrs = span_attrs_in(r->a);
		for (const struct json_node *v = attrs ? attrs->first : NULL; v; v = v->next)
			span_attr_json(&to->attrs, v->name, v);
		s->n_links++;
	}
	for (const struct json_node *n = before && s->links ? before->first : NULL; n;
	     n = n->next) {
		to = &s->links[s->n_links];
		if (n->type != JSON_T_STRING || !span_id_read(n->text, SPAN_ID_HEX, to->span_id))
			continue;
		memcpy(to->trace_id, r->trace_id, sizeof(to->trace_id));
		to->attrs = span_attrs_in(r->a);
		span_attr_str(&to->attrs, "aws.xray.link", SV("precursor"));
		s->n_links++;
	}
}

/* A segment or subsegment */

static bool
read_seconds(const struct json_node *doc, const char *name, uint64_t *ret)
{
	const struct json_node *n = json_tree_of(doc, name, JSON_T_NUMBER);

	return n && span_decimal(n->text, NS_SCALE, ret);
}

static bool
read_times(const struct json_node *doc, struct span *s)
{
	if (!read_seconds(doc, "start_time", &s->start_ns))
		return false;
	if (!json_tree_get(doc, "end_time") || json_tree_true(doc, "in_progress")) {
		s->end_ns = s->start_ns;
		span_attr_bool(&s->attrs, "aws.xray.in_progress", true);
		return true;
	}
	if (!read_seconds(doc, "end_time", &s->end_ns))
		return false;
	if (s->end_ns < s->start_ns)
		s->end_ns = s->start_ns;
	return true;
}

static void
read_status(const struct json_node *doc, struct span *s)
{
	static const char *const names[][2] = {{"error", "aws.xray.error"},
					       {"fault", "aws.xray.fault"},
					       {"throttle", "aws.xray.throttle"}};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (json_tree_true(doc, names[i][0])) {
			s->status = SPAN_ERROR;
			span_attr_bool(&s->attrs, names[i][1], true);
		}
	if (s->status != SPAN_ERROR)
		s->status_message = (struct sv){"", 0};
}

static enum span_kind
kind_of(const struct json_node *doc, bool sub)
{
	struct sv space = json_tree_str(doc, "namespace");

	if (!sub)
		return SPAN_SERVER;
	return sv_eq(space, SV("aws")) || sv_eq(space, SV("remote")) ? SPAN_CLIENT : SPAN_INTERNAL;
}

static void
read_rest(const struct reading *r, const struct json_node *doc, struct span *s)
{
	read_cause(doc, s, r->a);
	read_status(doc, s);
	read_http(doc, &s->attrs);
	read_sql(doc, &s->attrs);
	if (s->kind != SPAN_SERVER)
		read_aws_call(doc, s, &s->attrs);
	add_as(&s->attrs, "enduser.id", doc, "user");
	if (json_tree_true(doc, "inferred"))
		span_attr_bool(&s->attrs, "aws.xray.inferred", true);
	if (r->t->cut)
		span_attr_bool(&s->attrs, "aws.xray.limit_exceeded", true);
	read_annotations(doc, &s->attrs);
	read_metadata(doc, &s->attrs);
	read_links(r, doc, s);
}

/* Room for one more; NULL without memory. */
static struct span *
add_span(struct spans *to, struct err *err)
{
	struct span *v = array_grow(to->v, to->n, &to->cap, sizeof(*v), err);

	if (!v)
		return NULL;
	to->v = v;
	return &to->v[to->n++];
}

/* `in`: the span that it is nested in, or NULL. 1: added; 0: it cannot be read; -1: no memory. */
static int
read_one(struct reading *r, const struct json_node *doc, const struct span *in, struct err *err)
{
	bool sub = in || sv_eq(json_tree_str(doc, "type"), SV("subsegment"));
	struct span s = {.attrs = span_attrs_in(r->a), .resource = span_attrs_in(r->a)};
	struct span *to;

	memcpy(s.trace_id, r->trace_id, sizeof(s.trace_id));
	s.name = json_tree_str(doc, "name");
	if (!s.name.n)
		s.name = SV("unknown");
	if (!span_id_read(json_tree_str(doc, "id"), SPAN_ID_HEX, s.span_id) || !read_times(doc, &s))
		return 0;
	if (in)
		memcpy(s.parent_id, in->span_id, sizeof(s.parent_id));
	else
		(void)span_id_read(json_tree_str(doc, "parent_id"), SPAN_ID_HEX, s.parent_id);
	s.kind = kind_of(doc, sub);
	read_rest(r, doc, &s);
	if (in)
		s.resource = in->resource;
	else if (!sub)
		s.resource = read_resource(doc, &s, r->a);
	if (span_failed(&s))
		return err_nomem(err);
	to = add_span(r->to, err);
	if (!to)
		return -1;
	*to = s;
	return map_put(&r->by_id, (struct sv){s.span_id, SPAN_ID_HEX}, (void *)(uintptr_t)r->to->n,
		       NULL, err)
		   ? -1
		   : 1;
}

/* What cannot be read takes with it all that is nested in it: nobody could say whose that is. */
static size_t
count_all(const struct json_node *doc)
{
	const struct json_node *subs = json_tree_of(doc, "subsegments", JSON_T_ARRAY);
	size_t n = 1;

	for (const struct json_node *s = subs ? subs->first : NULL; s; s = s->next)
		n += count_all(s);
	return n;
}

/* With all that is nested in it; the tree is no deeper than JSON may be. */
static int
read_all(struct reading *r, const struct json_node *doc, const struct span *in, struct err *err)
{
	const struct json_node *subs = json_tree_of(doc, "subsegments", JSON_T_ARRAY);
	int n = read_one(r, doc, in, err);
	struct span self;

	if (n < 0)
		return -1;
	if (!n) {
		r->rejected += count_all(doc);
		return 0;
	}
	self = r->to->v[r->to->n - 1];
	for (const struct json_node *s = subs ? subs->first : NULL; s; s = s->next)
		if (read_all(r, s, &self, err))
			return -1;
	return 0;
}

/* A subsegment that was sent alone is of whoever its parent is of; else of its own name. */
static void
adopt(const struct reading *r, struct span *s)
{
	const struct span *up = s;

	for (int i = 0; i < RELATIVES_MAX && up && !up->resource.n; i++) {
		uintptr_t at = (uintptr_t)map_get(
		    &r->by_id, (struct sv){up->parent_id, strlen(up->parent_id)});

		up = at ? &r->to->v[at - 1] : NULL;
	}
	if (up && up->resource.n)
		s->resource = up->resource;
	else
		span_attr_str(&s->resource, "service.name", s->name);
}

int
span_xray(const struct span_trace *t, struct arena *a, struct spans *to, uint64_t *rejected,
	  struct err *err)
{
	struct reading r = {.t = t, .a = a, .to = to, .first = to->n, .by_id = MAP_INIT};
	int rc = 0;

	if (!read_trace_id(sv_of(t->id), r.trace_id)) {
		*rejected += t->n;
		return 0;
	}
	for (size_t i = 0; !rc && i < t->n; i++) {
		const struct json_node *doc = json_tree_parse(t->documents[i], a);

		if (a->no_memory) /* that is no reason to leave it out */
			rc = err_nomem(err);
		else if (doc && doc->type == JSON_T_OBJECT)
			rc = read_all(&r, doc, NULL, err);
		else
			r.rejected++;
	}
	for (size_t i = r.first; !rc && i < to->n; i++)
		if (!to->v[i].resource.n)
			adopt(&r, &to->v[i]);
	for (size_t i = r.first; !rc && i < to->n; i++)
		rc = span_failed(&to->v[i]) || a->no_memory ? err_nomem(err) : 0;
	map_done(&r.by_id, NULL);
	*rejected += r.rejected;
	return rc;
}
