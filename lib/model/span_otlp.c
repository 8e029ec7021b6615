/*
 * Spans in JSON; see span.h. One reader for what this program has written (a line of the lake), for
 * OTLP/JSON of anybody's, and for the documents of aws/spans, which have the same names but plain
 * values.
 */
#include "model/span.h"

#include "base/cleanup.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "fmt/json.h"

#define NS_PER_MS  1000000u
#define COMMON_MAX ((size_t)64 << 10)

/* Reading */

/* {"stringValue":"x"} and its kin; what is none of them stays JSON text. */
static void
read_any_value(struct span_attrs *to, struct sv key, const struct json_node *value)
{
	static const struct {
		const char *name;
		enum span_type type;
	} kinds[] = {{"stringValue", SPAN_STR},
		     {"boolValue", SPAN_BOOL},
		     {"intValue", SPAN_INT},
		     {"doubleValue", SPAN_DOUBLE}};
	const struct json_node *list = json_tree_get(json_tree_get(value, "arrayValue"), "values");
	const struct json_node *v;
	struct json_node items = {.type = JSON_T_ARRAY};
	const struct json_node **link = &items.first;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		int64_t whole;

		v = json_tree_get(value, kinds[i].name);
		if (!v)
			continue;
		/* Numbers may be texts, and texts anything. */
		if ((kinds[i].type == SPAN_INT && !num_i64(v->text, &whole)) ||
		    (kinds[i].type == SPAN_DOUBLE && v->type != JSON_T_NUMBER) ||
		    (kinds[i].type == SPAN_BOOL && v->type != JSON_T_TRUE &&
		     v->type != JSON_T_FALSE))
			span_attr_add(to, key, SPAN_STR, v->text);
		else
			span_attr_add(to, key, kinds[i].type, v->text);
		return;
	}
	for (v = list && list->type == JSON_T_ARRAY ? list->first : NULL; v; v = v->next) {
		const struct json_node *text = json_tree_of(v, "stringValue", JSON_T_STRING);
		struct json_node *item = text ? arena_alloc(to->a, sizeof(*item)) : NULL;

		if (!item) {
			to->failed = to->failed || text;
			span_attr_add(to, key, SPAN_STR, value->text);
			return;
		}
		*item = (struct json_node){.type = JSON_T_STRING, .text = text->text};
		*link = item;
		link = &item->next;
	}
	if (list)
		span_attr_json(to, key, &items);
	else if (value)
		span_attr_add(to, key, SPAN_STR, value->text);
}

/* A list of keys and values, or an object. */
static struct span_attrs
read_attrs(const struct json_node *of, struct arena *a)
{
	const struct json_node *attrs = json_tree_get(of, "attributes");
	struct span_attrs to = span_attrs_in(a);
	uint64_t dropped;

	if (!attrs || (attrs->type != JSON_T_OBJECT && attrs->type != JSON_T_ARRAY))
		return to;
	for (const struct json_node *n = attrs->first; n; n = n->next)
		if (attrs->type == JSON_T_OBJECT)
			span_attr_json(&to, n->name, n);
		else
			read_any_value(&to, json_tree_str(n, "key"), json_tree_get(n, "value"));
	attrs = json_tree_get(of, "droppedAttributesCount");
	if (attrs && num_u64(attrs->text, &dropped) && dropped <= UINT32_MAX - to.dropped)
		to.dropped += (uint32_t)dropped;
	return to;
}

/* A number, as such or as a text. */
static bool
read_ns(const struct json_node *of, const char *name, uint64_t *ret)
{
	const struct json_node *n = json_tree_get(of, name);

	return n && (n->type == JSON_T_NUMBER || n->type == JSON_T_STRING) &&
	       span_decimal(n->text, 0, ret);
}

/* Of an enum: its number, its word, or its word with a prefix; 0 for anything else. */
static unsigned
read_enum(const struct json_node *n, const char *prefix, const char *const *words, size_t n_words)
{
	struct sv text = n ? n->text : (struct sv){"", 0};
	uint64_t number;

	if (num_u64(text, &number))
		return number < n_words ? (unsigned)number : 0;
	if (sv_starts(text, sv_of(prefix)))
		text = (struct sv){text.p + strlen(prefix), text.n - strlen(prefix)};
	for (unsigned i = 0; i < n_words; i++)
		if (sv_eq(text, sv_of(words[i])))
			return i;
	return 0;
}

static enum span_kind
read_kind(const struct json_node *doc)
{
	static const char *const words[] = {"UNSPECIFIED", "INTERNAL", "SERVER",
					    "CLIENT",	   "PRODUCER", "CONSUMER"};

	return (enum span_kind)read_enum(json_tree_get(doc, "kind"), "SPAN_KIND_", words,
					 ARRAY_LEN(words));
}

static enum span_status
read_status(const struct json_node *status)
{
	static const char *const words[] = {"UNSET", "OK", "ERROR"};

	return (enum span_status)read_enum(json_tree_get(status, "code"), "STATUS_CODE_", words,
					   ARRAY_LEN(words));
}

/* The items of a list and room for them; NULL without memory. */
static void *
open_list(const struct json_node *doc, const char *name, size_t size, struct arena *a,
	  const struct json_node **ret)
{
	const struct json_node *list = json_tree_of(doc, name, JSON_T_ARRAY);
	size_t n = 0;

	*ret = list ? list->first : NULL;
	for (const struct json_node *i = *ret; i; i = i->next)
		n++;
	return arena_array(a, n, size);
}

static void
read_events(const struct json_node *doc, struct arena *a, struct span *to)
{
	const struct json_node *n;

	to->events = open_list(doc, "events", sizeof(*to->events), a, &n);
	to->attrs.failed = to->attrs.failed || !to->events;
	for (; to->events && n; n = n->next) {
		struct span_event *e = &to->events[to->n_events++];

		if (!read_ns(n, "timeUnixNano", &e->time_ns))
			e->time_ns = to->start_ns;
		e->name = json_tree_str(n, "name");
		e->attrs = read_attrs(n, a);
	}
}

static void
read_links(const struct json_node *doc, struct arena *a, struct span *to)
{
	const struct json_node *n;

	to->links = open_list(doc, "links", sizeof(*to->links), a, &n);
	to->attrs.failed = to->attrs.failed || !to->links;
	for (; to->links && n; n = n->next) {
		struct span_link *l = &to->links[to->n_links];

		if (!span_id_read(json_tree_str(n, "traceId"), SPAN_TRACE_HEX, l->trace_id) ||
		    !span_id_read(json_tree_str(n, "spanId"), SPAN_ID_HEX, l->span_id))
			continue;
		l->attrs = read_attrs(n, a);
		to->n_links++;
	}
}

static bool
read_times(const struct json_node *doc, struct span *to)
{
	uint64_t ns;

	if (!read_ns(doc, "startTimeUnixNano", &to->start_ns))
		return false;
	to->end_ns = to->start_ns;
	if (read_ns(doc, "endTimeUnixNano", &ns) && ns > to->start_ns)
		to->end_ns = ns;
	return true;
}

bool
span_read(const struct json_node *doc, struct arena *a, struct span *ret, const char **why)
{
	const struct json_node *flags = json_tree_get(doc, "flags");
	const struct json_node *scope = json_tree_get(doc, "scope");
	const struct json_node *status = json_tree_get(doc, "status");
	uint64_t number;

	*ret = (struct span){0};
	*why = !span_id_read(json_tree_str(doc, "traceId"), SPAN_TRACE_HEX, ret->trace_id)
		   ? "no trace id"
	       : !span_id_read(json_tree_str(doc, "spanId"), SPAN_ID_HEX, ret->span_id)
		   ? "no span id"
	       : !read_times(doc, ret) ? "no time"
				       : NULL;
	if (*why)
		return false;
	(void)span_id_read(json_tree_str(doc, "parentSpanId"), SPAN_ID_HEX, ret->parent_id);
	ret->trace_state = json_tree_str(doc, "traceState");
	ret->flags =
	    flags && num_u64(flags->text, &number) && number <= UINT32_MAX ? (uint32_t)number : 0;
	ret->name = json_tree_str(doc, "name");
	ret->kind = read_kind(doc);
	ret->status = read_status(status);
	ret->status_message = json_tree_str(status, "message");
	ret->scope_name = json_tree_str(scope, "name");
	ret->scope_version = json_tree_str(scope, "version");
	ret->attrs = read_attrs(doc, a);
	ret->resource = read_attrs(json_tree_get(doc, "resource"), a);
	read_events(doc, a, ret);
	read_links(doc, a, ret);
	return true;
}

/* Writing */

const char *
span_common(const struct line_origin *o, struct arena *a)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(COMMON_MAX);

	json_add_str(&out, ",\"tenant\":", o->tenant);
	json_add_str(&out, ",\"account_id\":", o->account_id);
	json_add_str(&out, ",\"region\":", o->region);
	json_add_str(&out, ",\"job\":", o->job);
	return buf_ok(&out) ? arena_strdup(a, buf_view(&out)) : NULL;
}

static void
add_text(struct buf *out, const char *before, struct sv text)
{
	buf_str(out, before);
	(void)json_escape(out, text);
}

static void
add_value(struct buf *out, const struct span_attr *v)
{
	static const char *const quoted[] = {[SPAN_STR] = "stringValue", [SPAN_INT] = "intValue"};

	if (v->type == SPAN_STR || v->type == SPAN_INT) {
		buf_fmt(out, "{\"%s\":", quoted[v->type]);
		(void)json_escape(out, v->text);
	} else if (v->type == SPAN_BOOL || v->type == SPAN_DOUBLE) {
		buf_str(out, v->type == SPAN_BOOL ? "{\"boolValue\":" : "{\"doubleValue\":");
		buf_sv(out, v->text);
	} else {
		buf_str(out, "{\"arrayValue\":{\"values\":[");
		for (size_t i = 0; i < v->n_list; i++) {
			add_text(out, i ? ",{\"stringValue\":" : "{\"stringValue\":", v->list[i]);
			buf_ch(out, '}');
		}
		buf_str(out, "]}");
	}
	buf_ch(out, '}');
}

static void
add_attrs(struct buf *out, const char *before, const struct span_attrs *attrs)
{
	buf_fmt(out, "%s\"attributes\":[", before);
	for (size_t i = 0; i < attrs->n; i++) {
		add_text(out, i ? ",{\"key\":" : "{\"key\":", attrs->v[i].key);
		buf_str(out, ",\"value\":");
		add_value(out, &attrs->v[i]);
		buf_ch(out, '}');
	}
	buf_ch(out, ']');
	if (attrs->dropped)
		buf_fmt(out, ",\"droppedAttributesCount\":%u", attrs->dropped);
}

static void
add_events(struct buf *out, const struct span *s)
{
	for (size_t i = 0; i < s->n_events; i++) {
		buf_fmt(out, "%s{\"timeUnixNano\":\"%llu\"", i ? "," : ",\"events\":[",
			(unsigned long long)s->events[i].time_ns);
		add_text(out, ",\"name\":", s->events[i].name);
		add_attrs(out, ",", &s->events[i].attrs);
		buf_ch(out, '}');
	}
	if (s->n_events)
		buf_ch(out, ']');
}

static void
add_links(struct buf *out, const struct span *s)
{
	for (size_t i = 0; i < s->n_links; i++) {
		buf_fmt(out, "%s{\"traceId\":\"%s\",\"spanId\":\"%s\"", i ? "," : ",\"links\":[",
			s->links[i].trace_id, s->links[i].span_id);
		add_attrs(out, ",", &s->links[i].attrs);
		buf_ch(out, '}');
	}
	if (s->n_links)
		buf_ch(out, ']');
}

static void
add_span(struct buf *out, const struct span *s)
{
	buf_fmt(out, ",\"traceId\":\"%s\",\"spanId\":\"%s\"", s->trace_id, s->span_id);
	if (*s->parent_id)
		buf_fmt(out, ",\"parentSpanId\":\"%s\"", s->parent_id);
	if (s->trace_state.n)
		add_text(out, ",\"traceState\":", s->trace_state);
	if (s->flags)
		buf_fmt(out, ",\"flags\":%u", s->flags);
	add_text(out, ",\"name\":", s->name);
	buf_fmt(out, ",\"kind\":%d,\"startTimeUnixNano\":\"%llu\",\"endTimeUnixNano\":\"%llu\"",
		(int)s->kind, (unsigned long long)s->start_ns, (unsigned long long)s->end_ns);
	add_attrs(out, ",", &s->attrs);
	add_events(out, s);
	add_links(out, s);
	buf_fmt(out, ",\"status\":{\"code\":%d", (int)s->status);
	if (s->status_message.n)
		add_text(out, ",\"message\":", s->status_message);
	buf_ch(out, '}');
}

void
span_line(const struct span *s, const char *common, struct buf *out)
{
	const struct span_attr *service = span_attr_find(&s->resource, "service.name");
	char ts[TIME_TEXT_MAX];

	time_format_ms((int64_t)(s->start_ns / NS_PER_MS), ts);
	json_add_str(out, "{\"ts\":", ts);
	buf_str(out, common);
	buf_fmt(out, ",\"trace_id\":\"%s\",\"span_id\":\"%s\"", s->trace_id, s->span_id);
	if (service && service->type == SPAN_STR)
		add_text(out, ",\"service\":", service->text);
	add_span(out, s);
	add_attrs(out, ",\"resource\":{", &s->resource);
	buf_ch(out, '}');
	if (s->scope_name.n || s->scope_version.n) {
		add_text(out, ",\"scope\":{\"name\":", s->scope_name);
		add_text(out, ",\"version\":", s->scope_version);
		buf_ch(out, '}');
	}
	buf_str(out, "}\n");
}
