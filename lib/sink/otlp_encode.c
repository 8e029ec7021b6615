/*
 * OTLP's protobuf; see otlp_encode.h.
 *
 * A message is written first and its length put before it afterwards: spans are small, and there
 * are far fewer of them than samples. As every proto3 writer does, fields that hold their default
 * are left out.
 */
#include "sink/otlp_encode.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/grow.h"
#include "base/num.h"
#include "base/utf8.h"
#include "fmt/codec.h"
#include "fmt/wire.h"

#define SPANS_BYTES_MAX ((size_t)64 << 20)
#define KEY_BYTES_MAX	((size_t)16 << 20)

/* Field numbers (opentelemetry/proto/trace/v1, common/v1, collector/trace/v1). */
enum {
	REQUEST_RESOURCE_SPANS = 1,
	RESOURCE_SPANS_RESOURCE = 1,
	RESOURCE_SPANS_SCOPE_SPANS = 2,
	RESOURCE_ATTRIBUTES = 1,
	RESOURCE_DROPPED = 2,
	SCOPE_SPANS_SCOPE = 1,
	SCOPE_SPANS_SPANS = 2,
	SCOPE_NAME = 1,
	SCOPE_VERSION = 2,
	SPAN_TRACE_ID = 1,
	SPAN_SPAN_ID = 2,
	SPAN_TRACE_STATE = 3,
	SPAN_PARENT = 4,
	SPAN_NAME = 5,
	SPAN_KIND = 6,
	SPAN_START = 7,
	SPAN_END = 8,
	SPAN_ATTRIBUTES = 9,
	SPAN_DROPPED = 10,
	SPAN_EVENTS = 11,
	SPAN_LINKS = 13,
	SPAN_STATUS = 15,
	SPAN_FLAGS = 16,
	EVENT_TIME = 1,
	EVENT_NAME = 2,
	EVENT_ATTRIBUTES = 3,
	EVENT_DROPPED = 4,
	LINK_TRACE_ID = 1,
	LINK_SPAN_ID = 2,
	LINK_ATTRIBUTES = 4,
	LINK_DROPPED = 5,
	STATUS_MESSAGE = 2,
	STATUS_CODE = 3,
	PAIR_KEY = 1,
	PAIR_VALUE = 2,
	VALUE_STRING = 1,
	VALUE_BOOL = 2,
	VALUE_INT = 3,
	VALUE_DOUBLE = 4,
	VALUE_ARRAY = 5,
	ARRAY_VALUES = 1,
	RESPONSE_PARTIAL = 1,
	PARTIAL_REJECTED = 1,
	PARTIAL_MESSAGE = 2,
};
enum { TYPE_VARINT = 0, TYPE_FIXED64 = 1, TYPE_FIXED32 = 5 };

/* Fields */

static void
put_varint(struct buf *out, uint64_t v)
{
	unsigned char p[WIRE_VARINT_MAX];

	buf_add(out, p, wire_varint_put(p, v));
}

static void
put_tag(struct buf *out, unsigned field, unsigned type)
{
	put_varint(out, (uint64_t)field << 3 | type);
}

static void
put_number(struct buf *out, unsigned field, uint64_t v)
{
	put_tag(out, field, TYPE_VARINT);
	put_varint(out, v);
}

/* Unless it is 0. */
static void
put_count(struct buf *out, unsigned field, uint64_t v)
{
	if (v)
		put_number(out, field, v);
}

static void
put_fixed(struct buf *out, unsigned field, uint64_t v, unsigned bytes)
{
	put_tag(out, field, bytes == 8 ? TYPE_FIXED64 : TYPE_FIXED32);
	for (unsigned i = 0; i < bytes; i++)
		buf_ch(out, (char)(v >> (8 * i) & 0xff));
}

static void
put_bytes(struct buf *out, unsigned field, struct sv v)
{
	put_tag(out, field, WIRE_TYPE_BYTES);
	put_varint(out, v.n);
	buf_sv(out, v);
}

/* What was put together first. What there was no memory for fails the whole: it is not left out. */
static void
put_made(struct buf *out, unsigned field, const struct buf *made)
{
	put_bytes(out, field, buf_view(made));
	out->failed |= made->failed;
	out->no_memory |= made->no_memory;
}

/* Protobuf's strings are valid UTF-8, or the whole request is refused. */
static void
put_text(struct buf *out, unsigned field, struct sv v)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(v.n * 3 + 1);

	if (utf8_valid(v)) {
		put_bytes(out, field, v);
		return;
	}
	while (v.n) {
		uint32_t cp;
		size_t n = utf8_next(v, &cp);

		buf_sv(&text, cp == UTF8_BAD ? SV(UTF8_REPLACE) : (struct sv){v.p, n});
		v = (struct sv){v.p + n, v.n - n};
	}
	put_made(out, field, &text);
}

static void
put_id(struct buf *out, unsigned field, const char *hex)
{
	CLEANUP(buf_done) struct buf bytes = BUF_INIT(SPAN_TRACE_HEX);

	(void)hex_decode(&bytes, sv_of(hex)); /* ids are checked when they are read */
	if (*hex)
		put_made(out, field, &bytes);
}

/* What has been written since `at` becomes a message. */
static void
wrap(struct buf *out, unsigned field, size_t at)
{
	unsigned char head[2 * WIRE_VARINT_MAX];
	size_t n = out->n - at;
	size_t len = (size_t)(wire_len(head, field, n) - head);

	if (!buf_reserve(out, len))
		return;
	buf_add(out, head, len);
	if (!buf_ok(out))
		return;
	memmove(out->p + at + len, out->p + at, n);
	memcpy(out->p + at, head, len);
}

/* Attributes */

static void
put_value(struct buf *out, const struct span_attr *v)
{
	size_t at = out->n;
	int64_t whole = 0;
	double real = 0;
	uint64_t bits;

	switch (v->type) {
	case SPAN_STR:
		put_text(out, VALUE_STRING, v->text);
		break;
	case SPAN_BOOL:
		put_number(out, VALUE_BOOL, sv_eq(v->text, SV("true")));
		break;
	case SPAN_INT:
		(void)num_i64(v->text, &whole); /* it was seen to be one */
		put_number(out, VALUE_INT, (uint64_t)whole);
		break;
	case SPAN_DOUBLE:
		(void)num_double(v->text, &real);
		memcpy(&bits, &real, sizeof(bits));
		put_fixed(out, VALUE_DOUBLE, bits, 8);
		break;
	case SPAN_STRS:
		for (size_t i = 0; i < v->n_list; i++) {
			size_t item = out->n;

			put_text(out, VALUE_STRING, v->list[i]);
			wrap(out, ARRAY_VALUES, item);
		}
		wrap(out, VALUE_ARRAY, at);
		break;
	}
	wrap(out, PAIR_VALUE, at);
}

static void
put_attrs(struct buf *out, unsigned field, unsigned dropped, const struct span_attrs *attrs)
{
	for (size_t i = 0; i < attrs->n; i++) {
		size_t at = out->n;

		put_text(out, PAIR_KEY, attrs->v[i].key);
		put_value(out, &attrs->v[i]);
		wrap(out, field, at);
	}
	put_count(out, dropped, attrs->dropped);
}

/* Spans */

static void
put_events(struct buf *out, const struct span *s)
{
	for (size_t i = 0; i < s->n_events; i++) {
		const struct span_event *e = &s->events[i];
		size_t at = out->n;

		put_fixed(out, EVENT_TIME, e->time_ns, 8);
		put_text(out, EVENT_NAME, e->name);
		put_attrs(out, EVENT_ATTRIBUTES, EVENT_DROPPED, &e->attrs);
		wrap(out, SPAN_EVENTS, at);
	}
}

static void
put_links(struct buf *out, const struct span *s)
{
	for (size_t i = 0; i < s->n_links; i++) {
		const struct span_link *l = &s->links[i];
		size_t at = out->n;

		put_id(out, LINK_TRACE_ID, l->trace_id);
		put_id(out, LINK_SPAN_ID, l->span_id);
		put_attrs(out, LINK_ATTRIBUTES, LINK_DROPPED, &l->attrs);
		wrap(out, SPAN_LINKS, at);
	}
}

static void
put_status(struct buf *out, const struct span *s)
{
	size_t at = out->n;

	if (s->status_message.n)
		put_text(out, STATUS_MESSAGE, s->status_message);
	put_count(out, STATUS_CODE, s->status);
	if (out->n > at)
		wrap(out, SPAN_STATUS, at);
}

static void
put_span(struct buf *out, const struct span *s)
{
	size_t at = out->n;

	put_id(out, SPAN_TRACE_ID, s->trace_id);
	put_id(out, SPAN_SPAN_ID, s->span_id);
	if (s->trace_state.n)
		put_text(out, SPAN_TRACE_STATE, s->trace_state);
	put_id(out, SPAN_PARENT, s->parent_id);
	put_text(out, SPAN_NAME, s->name);
	put_count(out, SPAN_KIND, s->kind);
	put_fixed(out, SPAN_START, s->start_ns, 8);
	put_fixed(out, SPAN_END, s->end_ns, 8);
	put_attrs(out, SPAN_ATTRIBUTES, SPAN_DROPPED, &s->attrs);
	put_events(out, s);
	put_links(out, s);
	put_status(out, s);
	if (s->flags)
		put_fixed(out, SPAN_FLAGS, s->flags, 4);
	wrap(out, SCOPE_SPANS_SPANS, at);
}

/* Batches */

void
otlp_batch_init(struct otlp_batch *b)
{
	*b = (struct otlp_batch){.spans = BUF_INIT(SPANS_BYTES_MAX),
				 .heads = BUF_INIT(SPANS_BYTES_MAX),
				 .key = BUF_INIT(KEY_BYTES_MAX),
				 .by_key = MAP_INIT};
}

void
otlp_batch_done(struct otlp_batch *b)
{
	map_done(&b->by_key, NULL);
	buf_done(&b->key);
	buf_done(&b->heads);
	buf_done(&b->spans);
	free(b->items);
	free(b->groups);
	*b = (struct otlp_batch){0};
}

void
otlp_batch_reset(struct otlp_batch *b)
{
	map_done(&b->by_key, NULL);
	b->by_key = MAP_INIT;
	buf_reset(&b->heads);
	buf_reset(&b->spans);
	b->n_items = b->n_groups = 0;
}

/* The span's group, as its number plus one; 0 without memory. */
static size_t
group_of(struct otlp_batch *b, const struct span *s, struct err *err)
{
	struct otlp_group *v;
	size_t resource;
	uintptr_t at;

	buf_reset(&b->key);
	put_attrs(&b->key, RESOURCE_ATTRIBUTES, RESOURCE_DROPPED, &s->resource);
	wrap(&b->key, RESOURCE_SPANS_RESOURCE, 0);
	resource = b->key.n;
	if (s->scope_name.n)
		put_text(&b->key, SCOPE_NAME, s->scope_name);
	if (s->scope_version.n)
		put_text(&b->key, SCOPE_VERSION, s->scope_version);
	if (b->key.n > resource)
		wrap(&b->key, SCOPE_SPANS_SCOPE, resource);
	if (buf_check(&b->key, "the resource of a span", err))
		return 0;
	at = (uintptr_t)map_get(&b->by_key, buf_view(&b->key));
	if (at)
		return at;
	v = array_grow(b->groups, b->n_groups, &b->cap_groups, sizeof(*v), err);
	if (!v)
		return 0;
	b->groups = v;
	v[b->n_groups++] = (struct otlp_group){.resource_at = b->heads.n,
					       .resource_n = resource,
					       .scope_at = b->heads.n + resource,
					       .scope_n = b->key.n - resource};
	buf_sv(&b->heads, buf_view(&b->key));
	if (buf_check(&b->heads, "resources of spans", err) ||
	    map_put(&b->by_key, buf_view(&b->key), (void *)(uintptr_t)b->n_groups, NULL, err))
		return 0;
	return b->n_groups;
}

int
otlp_batch_add(struct otlp_batch *b, const struct span *s, struct err *err)
{
	size_t group = group_of(b, s, err), at = b->spans.n;
	struct otlp_item *v =
	    group ? array_grow(b->items, b->n_items, &b->cap_items, sizeof(*v), err) : NULL;

	if (!v)
		return -1;
	b->items = v;
	put_span(&b->spans, s);
	if (buf_check(&b->spans, "spans", err))
		return -1;
	v += b->n_items++;
	*v = (struct otlp_item){.group = group - 1,
				.at = at,
				.n = b->spans.n - at,
				.start_ns = s->start_ns,
				.end_ns = s->end_ns};
	memcpy(v->trace_id, s->trace_id, sizeof(v->trace_id));
	memcpy(v->span_id, s->span_id, sizeof(v->span_id));
	return 0;
}

/* The items of one group, if there are any among them. */
static void
put_group(const struct otlp_batch *b, size_t group, size_t from, size_t n, struct buf *out)
{
	const struct otlp_group *g = &b->groups[group];
	size_t at = out->n, scope;

	buf_add(out, b->heads.p + g->resource_at, g->resource_n);
	scope = out->n;
	buf_add(out, b->heads.p + g->scope_at, g->scope_n);
	for (size_t i = from; i < from + n; i++)
		if (b->items[i].group == group)
			buf_add(out, b->spans.p + b->items[i].at, b->items[i].n);
	wrap(out, RESOURCE_SPANS_SCOPE_SPANS, scope);
	wrap(out, REQUEST_RESOURCE_SPANS, at);
}

static bool
has_group(const struct otlp_batch *b, size_t group, size_t from, size_t n)
{
	for (size_t i = from; i < from + n; i++)
		if (b->items[i].group == group)
			return true;
	return false;
}

int
otlp_batch_request(const struct otlp_batch *b, size_t from, size_t n, struct buf *out,
		   struct err *err)
{
	buf_reset(out);
	for (size_t g = 0; g < b->n_groups; g++)
		if (has_group(b, g, from, n))
			put_group(b, g, from, n, out);
	return buf_check(out, "a request of spans", err);
}

/* Answers */

static bool
take_varint(struct sv *in, uint64_t *ret)
{
	*ret = 0;
	for (unsigned shift = 0; shift < 64 && in->n; shift += 7) {
		unsigned char c = (unsigned char)*in->p++;

		in->n--;
		*ret |= (uint64_t)(c & 0x7f) << shift;
		if (c < 0x80)
			return true;
	}
	return false;
}

static bool
take_bytes(struct sv *in, uint64_t n, struct sv *ret)
{
	if (n > in->n)
		return false;
	*ret = (struct sv){in->p, (size_t)n};
	*in = (struct sv){in->p + n, in->n - (size_t)n};
	return true;
}

/* One field, with its number or its bytes. What is there is numbers and bytes, but a later version
 * may have other fields. */
static bool
take_field(struct sv *in, uint64_t *field, uint64_t *number, struct sv *bytes)
{
	uint64_t tag;

	*number = 0;
	*bytes = (struct sv){"", 0};
	if (!take_varint(in, &tag))
		return false;
	*field = tag >> 3;
	switch (tag & 7) {
	case TYPE_VARINT:
		return take_varint(in, number);
	case TYPE_FIXED64:
		return take_bytes(in, sizeof(uint64_t), bytes);
	case TYPE_FIXED32:
		return take_bytes(in, sizeof(uint32_t), bytes);
	default:
		return (tag & 7) == WIRE_TYPE_BYTES && take_varint(in, number) &&
		       take_bytes(in, *number, bytes);
	}
}

bool
otlp_refusal(struct sv body, uint64_t *rejected, struct sv *message)
{
	struct sv partial = {"", 0}, bytes;
	uint64_t field, number;

	*rejected = 0;
	*message = partial;
	while (body.n && take_field(&body, &field, &number, &bytes))
		if (field == RESPONSE_PARTIAL)
			partial = bytes;
	while (partial.n && take_field(&partial, &field, &number, &bytes))
		if (field == PARTIAL_REJECTED && !bytes.n)
			*rejected = number;
		else if (field == PARTIAL_MESSAGE)
			*message = bytes;
	return *rejected > 0 || message->n > 0;
}
