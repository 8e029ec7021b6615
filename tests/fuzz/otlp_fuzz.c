/*
 * OTLP, both ways, beside protobuf-c: spans (OTLP/JSON, one up to each NUL) are read of a request
 * as exactly those that went into it, wherever it is cut; and what it reads of a receiver's answer
 * is what is on record of the spans that were refused. The first byte chooses.
 */
#include <otlp.pb-c.h>

#include "base/num.h"
#include "fmt/json_tree.h"
#include "sink/otlp_encode.h"
#include "sink/sink_http.h"
#include "tests/fuzz/fuzz.h"

#define SPANS 8

static bool
is_bytes(struct sv ours, ProtobufCBinaryData theirs)
{
	return ours.n == theirs.len && (!ours.n || !memcmp(ours.p, theirs.data, ours.n));
}

/* Protobuf's strings are UTF-8: a sign stands for what was no character. */
static bool
is_text(struct sv ours, ProtobufCBinaryData theirs)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(FUZZ_MAX);

	while (ours.n) {
		uint32_t cp;
		size_t n = utf8_next(ours, &cp);

		if (cp == UTF8_BAD)
			buf_str(&text, "\xef\xbf\xbd");
		else
			buf_add(&text, ours.p, n);
		ours = (struct sv){ours.p + n, ours.n - n};
	}
	return is_bytes(buf_view(&text), theirs);
}

static bool
is_id(const char *hex, ProtobufCBinaryData theirs)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(FUZZ_MAX);

	for (size_t i = 0; i < theirs.len; i++)
		buf_fmt(&text, "%02x", theirs.data[i]);
	return sv_eq(buf_view(&text), sv_of(hex));
}

/* ---- requests ---- */

static bool
same_list(const struct span_attr *a, const Oracle__ArrayValue *list)
{
	bool same = list->n_values == a->n_list;

	for (size_t i = 0; same && i < a->n_list; i++)
		same = list->values[i]->value_case == ORACLE__ANY_VALUE__VALUE_STRING_VALUE &&
		       is_text(a->list[i], list->values[i]->string_value);
	return same;
}

static bool
same_value(const struct span_attr *a, const Oracle__AnyValue *v)
{
	CLEANUP(freep) char *text = sv_dup(a->text);

	switch (v ? v->value_case : ORACLE__ANY_VALUE__VALUE__NOT_SET) {
	case ORACLE__ANY_VALUE__VALUE_STRING_VALUE:
		return a->type == SPAN_STR && is_text(a->text, v->string_value);
	case ORACLE__ANY_VALUE__VALUE_BOOL_VALUE:
		return a->type == SPAN_BOOL && (v->bool_value != 0) == !strcmp(text, "true");
	case ORACLE__ANY_VALUE__VALUE_INT_VALUE:
		return a->type == SPAN_INT && v->int_value == strtoll(text, NULL, 10);
	case ORACLE__ANY_VALUE__VALUE_DOUBLE_VALUE:
		return a->type == SPAN_DOUBLE && v->double_value == strtod(text, NULL);
	case ORACLE__ANY_VALUE__VALUE_ARRAY_VALUE:
		return a->type == SPAN_STRS && same_list(a, v->array_value);
	default:
		return false;
	}
}

static bool
same_attrs(const struct span_attrs *a, size_t n, Oracle__KeyValue *const *v, uint32_t dropped)
{
	bool same = a->n == n && a->dropped == dropped;

	for (size_t i = 0; same && i < n; i++)
		same = is_text(a->v[i].key, v[i]->key) && same_value(&a->v[i], v[i]->value);
	return same;
}

static bool
same_events(const struct span *s, const Oracle__Span *t)
{
	bool same = s->n_events == t->n_events;

	for (size_t i = 0; same && i < s->n_events; i++)
		same = s->events[i].time_ns == t->events[i]->time_unix_nano &&
		       is_text(s->events[i].name, t->events[i]->name) &&
		       same_attrs(&s->events[i].attrs, t->events[i]->n_attributes,
				  t->events[i]->attributes, t->events[i]->dropped_attributes_count);
	return same;
}

static bool
same_links(const struct span *s, const Oracle__Span *t)
{
	bool same = s->n_links == t->n_links;

	for (size_t i = 0; same && i < s->n_links; i++)
		same = is_id(s->links[i].trace_id, t->links[i]->trace_id) &&
		       is_id(s->links[i].span_id, t->links[i]->span_id) &&
		       same_attrs(&s->links[i].attrs, t->links[i]->n_attributes,
				  t->links[i]->attributes, t->links[i]->dropped_attributes_count);
	return same;
}

static bool
same_span(const struct span *s, const Oracle__Span *t)
{
	static const ProtobufCBinaryData none = {0, NULL};

	return is_id(s->trace_id, t->trace_id) && is_id(s->span_id, t->span_id) &&
	       is_id(s->parent_id, t->parent_span_id) && is_text(s->trace_state, t->trace_state) &&
	       is_text(s->name, t->name) && (int)s->kind == t->kind &&
	       s->start_ns == t->start_time_unix_nano && s->end_ns == t->end_time_unix_nano &&
	       s->flags == t->flags &&
	       is_text(s->status_message, t->status ? t->status->message : none) &&
	       (int)s->status == (t->status ? t->status->code : 0) &&
	       same_attrs(&s->attrs, t->n_attributes, t->attributes, t->dropped_attributes_count) &&
	       same_events(s, t) && same_links(s, t);
}

static bool
same_head(const struct span *s, const Oracle__Resource *r, const Oracle__Scope *scope)
{
	static const ProtobufCBinaryData none = {0, NULL};

	return r &&
	       same_attrs(&s->resource, r->n_attributes, r->attributes,
			  r->dropped_attributes_count) &&
	       is_text(s->scope_name, scope ? scope->name : none) &&
	       is_text(s->scope_version, scope ? scope->version : none);
}

struct given {
	struct span v[SPANS];
	bool sent[SPANS];
	size_t n;
};

/* The first of them that it is, behind number `after` (plus one), and not sent yet; plus one. */
static size_t
find(const struct given *g, size_t after, const Oracle__ResourceSpans *r,
     const Oracle__ScopeSpans *scope, const Oracle__Span *t)
{
	for (size_t i = after; i < g->n; i++)
		if (!g->sent[i] && same_head(&g->v[i], r->resource, scope->scope) &&
		    same_span(&g->v[i], t))
			return i + 1;
	return 0;
}

/* Each span of the request is one that was given, in their order within a resource. */
static size_t
sent(struct given *g, struct sv body)
{
	Oracle__Request *req = oracle__request__unpack(NULL, body.n, (const uint8_t *)body.p);
	size_t n = 0;

	fuzz_must(req);
	for (size_t i = 0; i < req->n_resource_spans; i++) {
		const Oracle__ResourceSpans *r = req->resource_spans[i];

		for (size_t k = 0, at = 0; k < r->n_scope_spans; k++, at = 0)
			for (size_t j = 0; j < r->scope_spans[k]->n_spans; j++, n++) {
				at = find(g, at, r, r->scope_spans[k], r->scope_spans[k]->spans[j]);
				fuzz_must(at);
				g->sent[at - 1] = true;
			}
	}
	oracle__request__free_unpacked(req, NULL);
	return n;
}

static void
requests(struct sv in)
{
	CLEANUP(arena_done) struct arena a = ARENA_INIT(4 * FUZZ_MAX);
	CLEANUP(buf_done) struct buf body = BUF_INIT(FUZZ_MAX);
	struct given g = {.n = 0};
	struct otlp_batch batch;
	struct err err = {0};

	otlp_batch_init(&batch);
	while (in.n && g.n < SPANS) {
		const struct json_node *doc = json_tree_parse(fuzz_part(&in, '\0'), &a);
		const char *why;

		if (!doc || !span_read(doc, &a, &g.v[g.n], &why))
			continue;
		fuzz_must(otlp_batch_add(&batch, &g.v[g.n], &err) == 0);
		fuzz_must(!strcmp(batch.items[g.n].span_id, g.v[g.n].span_id));
		g.n++;
	}
	for (size_t from = 0, n; from < g.n; from += n) {
		n = from ? g.n - from : (g.n + 1) / 2;
		fuzz_must(otlp_batch_request(&batch, from, n, &body, &err) == 0);
		fuzz_must(sent(&g, buf_view(&body)) == n);
	}
	for (size_t i = 0; i < g.n; i++)
		fuzz_must(g.sent[i]);
	otlp_batch_done(&batch);
}

/* ---- answers ---- */

static void
answers(struct sv body)
{
	Oracle__Response *theirs =
	    oracle__response__unpack(NULL, body.n, (const uint8_t *)(body.n ? body.p : ""));
	size_t n = theirs ? theirs->n_partial_success : 0;
	const Oracle__PartialSuccess *partial = n ? theirs->partial_success[n - 1] : NULL;
	char reason[SINK_REASON_MAX];
	struct sv words;
	uint64_t rejected;
	bool refused = otlp_refusal(body, &rejected, &words);

	fuzz_must(refused == (rejected > 0 || words.n > 0));
	fuzz_must(!words.n || (words.p >= body.p && words.p + words.n <= body.p + body.n));
	sink_http_reason(words, reason);
	fuzz_must(utf8_valid(sv_of(reason)) && !strpbrk(reason, "\r\n\x7f"));
	if (theirs && !partial)
		fuzz_must(!refused);
	if (partial) {
		fuzz_must(rejected == (uint64_t)partial->rejected_spans);
		fuzz_must(is_bytes(words, partial->error_message));
	}
	if (theirs)
		oracle__response__free_unpacked(theirs, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sv in = {(const char *)data, n};

	if (fuzz_choice(&in, 2))
		requests(in);
	else
		answers(in);
	return 0;
}
