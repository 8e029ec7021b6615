/*
 * CloudWatch's three protocols in the simulated world: whatever a request is written in becomes one
 * JSON document, and a JSON answer becomes what the request's protocol wants; see sim.h.
 *
 * In the Query protocol a list's items are numbered fields and <member> elements, and times are
 * texts; in CBOR times are seconds with tag 1.
 */
#include "tests/sim/sim.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "fmt/cbor.h"
#include "fmt/json.h"
#include "fmt/uri.h"

#define TAG_EPOCH  1
#define BODY_MAX   ((size_t)16 << 20)
#define TRUE_BYTE  0xf5
#define FALSE_BYTE 0xf4

static bool
is_time(const char *key)
{
	struct sv k = sv_of(key);

	return sv_ends(k, SV("Time")) || sv_ends(k, SV("Date")) || sv_ends(k, SV("Timestamp")) ||
	       sv_ends(k, SV("Timestamps"));
}

/* ---- CBOR ---- */

static json_t *from_cbor(struct cbor_scan *s);

static json_t *
from_map(struct cbor_scan *s)
{
	json_t *doc = json_object();
	struct cbor_walk w;
	struct sv key;
	bool end;

	for (bool ok = cbor_open(s, CBOR_MAP, &w); ok && cbor_next(s, &w, &end);) {
		if (end)
			return doc;
		ok = cbor_text(s, &key) && !json_object_setn_new(doc, key.p, key.n, from_cbor(s));
	}
	json_decref(doc);
	return NULL;
}

static json_t *
from_list(struct cbor_scan *s)
{
	json_t *doc = json_array();
	struct cbor_walk w;
	bool end;

	for (bool ok = cbor_open(s, CBOR_LIST, &w); ok && cbor_next(s, &w, &end);) {
		if (end)
			return doc;
		ok = !json_array_append_new(doc, from_cbor(s));
	}
	json_decref(doc);
	return NULL;
}

static json_t *
from_cbor(struct cbor_scan *s)
{
	enum cbor_major major =
	    s->p < s->end ? (enum cbor_major)((unsigned char)*s->p >> 5) : CBOR_OTHER;
	bool yes = s->p < s->end && (unsigned char)*s->p == TRUE_BYTE,
	     no = s->p < s->end && (unsigned char)*s->p == FALSE_BYTE;
	struct sv text;
	double v;

	if (major == CBOR_MAP)
		return from_map(s);
	if (major == CBOR_LIST)
		return from_list(s);
	if (major == CBOR_TEXT)
		return cbor_text(s, &text) ? json_stringn(text.p, text.n) : NULL;
	if (major == CBOR_TAG && !cbor_tag(s, TAG_EPOCH))
		return NULL;
	if (yes || no)
		return cbor_skip(s) ? json_boolean(yes) : NULL;
	return cbor_number(s, &v) ? json_real(v) : NULL;
}

static void
to_cbor(struct buf *out, const json_t *doc, bool time)
{
	const char *key;
	json_t *v;
	size_t i;

	if (json_is_object(doc)) {
		cbor_put_head(out, CBOR_MAP, json_object_size(doc));
		json_object_foreach((json_t *)(uintptr_t)doc, key, v)
		{
			cbor_put_text(out, sv_of(key));
			to_cbor(out, v, is_time(key));
		}
	} else if (json_is_array(doc)) {
		cbor_put_head(out, CBOR_LIST, json_array_size(doc));
		json_array_foreach((json_t *)(uintptr_t)doc, i, v) to_cbor(out, v, time);
	} else if (json_is_string(doc)) {
		cbor_put_text(out, sv_of(json_string_value(doc)));
	} else {
		if (time)
			cbor_put_head(out, CBOR_TAG, TAG_EPOCH);
		cbor_put_double(out, json_number_value(doc));
	}
}

/* ---- Query ---- */

/* The member of that name, made if there is none: an object, or an item of a list. */
static json_t *
below(json_t *doc, const char *name)
{
	json_t *v = json_is_array(doc) ? json_array_get(doc, strtoul(name, NULL, 10) - 1)
				       : json_object_get(doc, name);

	if (v)
		return v;
	v = json_object();
	if (json_is_array(doc) ? json_array_append_new(doc, v) : json_object_set_new(doc, name, v))
		abort();
	return v;
}

/* A.member.2.B is B of the second item of A. */
static void
put_field(json_t *doc, char *name, const char *value)
{
	char *rest = NULL, *part = strtok_r(name, ".", &rest), *next;
	int64_t ms;

	for (; (next = strtok_r(NULL, ".", &rest)); part = next) {
		if (!strcmp(next, "member")) {
			if (!json_is_array(json_object_get(doc, part)) &&
			    json_object_set_new(doc, part, json_array()))
				abort();
			doc = json_object_get(doc, part);
			next = strtok_r(NULL, ".", &rest);
			if (!next)
				abort();
			continue;
		}
		doc = json_is_array(doc) || *rest || next ? below(doc, part) : doc;
	}
	if (json_is_array(doc)) {
		(void)json_array_append_new(doc, json_string(value));
		return;
	}
	if (!part || !json_is_object(doc))
		abort();
	if (is_time(part) && time_parse_iso(sv_of(value), &ms))
		(void)json_object_set_new(doc, part, json_real((double)ms / 1000));
	else
		(void)json_object_set_new(doc, part, json_string(value));
}

static json_t *
from_form(struct sv body)
{
	CLEANUP(freep) char *text = sv_dup(body);
	json_t *doc = json_object();
	char *rest = NULL;

	if (!text || !doc)
		abort();
	for (char *at = strtok_r(text, "&", &rest); at; at = strtok_r(NULL, "&", &rest)) {
		CLEANUP(buf_done) struct buf name = BUF_INIT(BODY_MAX), value = BUF_INIT(BODY_MAX);
		size_t n = strcspn(at, "=");

		if (!uri_decode(&name, (struct sv){at, n}, true) ||
		    !uri_decode(&value, sv_of(at + n + (at[n] == '=')), true))
			abort();
		put_field(doc, (char *)(uintptr_t)buf_cstr(&name), buf_cstr(&value));
	}
	return doc;
}

static void
put_scalar(struct buf *out, const json_t *v, bool time)
{
	char text[TIME_TEXT_MAX > NUM_DOUBLE_MAX ? TIME_TEXT_MAX : NUM_DOUBLE_MAX];

	if (json_is_number(v) && time)
		time_format_ms((int64_t)(json_number_value(v) * 1000 + 0.5), text);
	else if (json_is_number(v))
		(void)num_format(json_number_value(v), text);
	if (json_is_number(v)) {
		buf_str(out, text);
		return;
	}
	for (const char *c = json_string_value(v); c && *c; c++)
		if (strchr("<&>", *c))
			buf_fmt(out, "&#%d;", *c);
		else
			buf_ch(out, *c);
}

static void
to_xml(struct buf *out, const json_t *doc, bool time)
{
	const char *key;
	json_t *v;
	size_t i;

	if (json_is_object(doc)) {
		json_object_foreach((json_t *)(uintptr_t)doc, key, v)
		{
			buf_fmt(out, "<%s>", key);
			to_xml(out, v, is_time(key));
			buf_fmt(out, "</%s>", key);
		}
	} else if (json_is_array(doc)) {
		json_array_foreach((json_t *)(uintptr_t)doc, i, v)
		{
			buf_str(out, "<member>");
			to_xml(out, v, time);
			buf_str(out, "</member>");
		}
	} else {
		put_scalar(out, doc, time);
	}
}

/* ---- the two ways ---- */

static json_t *
read_any(const struct http_req *req)
{
	struct cbor_scan scan = CBOR_SCAN_INIT(req->body);
	json_t *doc = NULL;

	if (req->proto == PROTO_AWS_CBOR)
		return from_cbor(&scan);
	if (req->proto == PROTO_AWS_QUERY)
		return from_form(req->body);
	return json_parse(req->body, "request", &doc, NULL) ? NULL : doc;
}

json_t *
sim_wire_read(const struct http_req *req)
{
	static const char *const names[] = {"NextToken", "nextToken"};
	json_t *doc = read_any(req);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *token = json_string_value(json_object_get(doc, names[i]));

		if (token && !strncmp(token, SIM_NO_TOKEN, strlen(SIM_NO_TOKEN)))
			(void)json_object_del(doc, names[i]);
	}
	return doc;
}

void
sim_wire_answer(const struct http_req *req, struct http_resp *resp)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	const char *op = req->operation;

	if (req->proto != PROTO_AWS_CBOR && req->proto != PROTO_AWS_QUERY)
		return;
	if (json_parse(buf_view(&resp->body), "answer", &doc, NULL))
		abort();
	buf_reset(&resp->body);
	if (req->proto == PROTO_AWS_CBOR) {
		to_cbor(&resp->body, doc, false);
		return;
	}
	buf_fmt(&resp->body, "<%sResponse><%sResult>", op, op);
	to_xml(&resp->body, doc, false);
	buf_fmt(&resp->body, "</%sResult></%sResponse>", op, op);
}
