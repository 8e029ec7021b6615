/*
 * Writing the checkpoint as text.
 *
 * The text is JSON with sorted keys and RFC 3339 times, for operators read it when something is
 * wrong. Its checksum covers the document without the checksum itself, in compact form. Equal
 * checkpoints have equal texts, to the byte.
 */
#include "state/calls.h"
#include "state/ckpt_json.h"

#include <stddef.h>

#include "base/cleanup.h"
#include "base/utf8.h"
#include "fmt/json.h"

#define MEMBER(s, json, t, field)                                                                  \
	{                                                                                          \
		json, t, offsetof(struct s, field)                                                 \
	}
#define KNOWN(json)                                                                                \
	{                                                                                          \
		json, ELSEWHERE, 0                                                                 \
	}
#define MAY_BE(json)                                                                               \
	{                                                                                          \
		json, OPTIONAL, 0                                                                  \
	}
#define END                                                                                        \
	{                                                                                          \
		NULL, ELSEWHERE, 0                                                                 \
	}

const struct member ckpt_members[] = {
    MEMBER(ckpt, "tenant", STR, tenant),
    MEMBER(ckpt, "job", STR, job),
    MEMBER(ckpt, "account", OPT_STR, account),
    MEMBER(ckpt, "generation", U64, generation),
    MEMBER(ckpt, "nonce", NONCE, nonce),
    KNOWN("format"),
    KNOWN("version"),
    KNOWN("checksum"),
    KNOWN("lease"),
    KNOWN("streams"),
    MAY_BE("history"),
    END,
};
const struct member lease_members[] = {
    MEMBER(ckpt_lease, "owner", OPT_STR, owner),
    MEMBER(ckpt_lease, "host", OPT_STR, host),
    MEMBER(ckpt_lease, "since", OPT_TIME, since_ms),
    MEMBER(ckpt_lease, "until", OPT_TIME, until_ms),
    MEMBER(ckpt_lease, "begun_through", OPT_TIME, begun_through_ms),
    END,
};
const struct member stream_members[] = {
    MEMBER(ckpt_stream, "first", TIME, first_ms),
    MEMBER(ckpt_stream, "every_ms", I64, every_ms),
    MEMBER(ckpt_stream, "definition", OPT_STR, definition),
    MEMBER(ckpt_stream, "last_success", OPT_TIME, last_success_ms),
    MEMBER(ckpt_stream, "failures", U64, failures),
    MEMBER(ckpt_stream, "last_error", OPT_STR, last_error),
    KNOWN("sinks"),
    KNOWN("gaps"),
    KNOWN("counters"),
    KNOWN("memo"),
    MAY_BE("seen"),
    MAY_BE("calls"),
    END,
};
const struct member counter_members[] = {
    MEMBER(ckpt_counters, "cells", U64, cells),
    MEMBER(ckpt_counters, "empty_cells", U64, empty_cells),
    MEMBER(ckpt_counters, "rows", U64, rows),
    MEMBER(ckpt_counters, "samples_frozen", U64, samples_frozen),
    MEMBER(ckpt_counters, "rejected_in", U64, rejected_in),
    MEMBER(ckpt_counters, "failed_runs", U64, failed_runs),
    MEMBER(ckpt_counters, "late", U64_IF, late),
    MEMBER(ckpt_counters, "revised", U64_IF, revised),
    MEMBER(ckpt_counters, "metrics_requested", U64_IF, metrics_requested),
    MEMBER(ckpt_counters, "bytes_scanned", U64_IF, bytes_scanned),
    END,
};
const struct member sink_members[] = {
    MEMBER(ckpt_sink, "cursor", TIME, cursor_ms),
    MEMBER(ckpt_sink, "acked", U64, acked),
    MEMBER(ckpt_sink, "already", U64, already),
    MEMBER(ckpt_sink, "too_old", U64, too_old),
    MEMBER(ckpt_sink, "rejected", U64, rejected),
    MEMBER(ckpt_sink, "bytes", U64, bytes),
    MEMBER(ckpt_sink, "over_limit", U64_IF, over_limit),
    KNOWN("beyond"),
    END,
};
const struct member range_members[] = {
    MEMBER(ckpt_range, "start", TIME, start_ms),
    MEMBER(ckpt_range, "end", TIME, end_ms),
    END,
};
const struct member gap_members[] = {
    MEMBER(ckpt_gap, "start", TIME, start_ms),
    MEMBER(ckpt_gap, "end", TIME, end_ms),
    MEMBER(ckpt_gap, "sink", STR, sink),
    MEMBER(ckpt_gap, "reason", STR, reason),
    MEMBER(ckpt_gap, "recorded", TIME, recorded_ms),
    END,
};

const struct member event_members[] = {
    MEMBER(ckpt_event, "time", TIME, time_ms),
    MEMBER(ckpt_event, "who", STR, who),
    MEMBER(ckpt_event, "what", STR, what),
    MEMBER(ckpt_event, "reason", STR, reason),
    END,
};

/* Services' words end up in here: what is not UTF-8 is replaced. */
static json_t *
text_json(const char *s)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(CKPT_MAX);
	struct sv rest = sv_of(s);
	uint32_t cp;

	while (rest.n) {
		size_t n = utf8_next(rest, &cp);

		buf_add(&b, cp == UTF8_BAD ? UTF8_REPLACE : rest.p, cp == UTF8_BAD ? 3 : n);
		rest.p += n;
		rest.n -= n;
	}
	return buf_ok(&b) ? json_stringn(buf_cstr(&b), b.n) : NULL;
}

void
ckpt_time_text(int64_t ms, char out[TIME_TEXT_MAX])
{
	if (ms % 1000)
		time_format_ms(ms, out);
	else
		time_format_s(ms, out);
}

static json_t *
time_json(int64_t ms)
{
	char text[TIME_TEXT_MAX];

	ckpt_time_text(ms, text);
	return json_string(text);
}

static json_t *
member_json(const struct member *m, const void *base)
{
	const void *p = (const char *)base + m->offset;
	char *const *s = p;
	const int64_t *i = p;

	switch (m->type) {
	case STR:
		return text_json(*s);
	case OPT_STR:
		return *s ? text_json(*s) : json_null();
	case TIME:
		return time_json(*i);
	case OPT_TIME:
		return *i ? time_json(*i) : json_null();
	case U64:
	case U64_IF:
	case I64:
		return json_integer(*i);
	case NONCE:
		return json_string(p);
	case ELSEWHERE:
	case OPTIONAL:
		break;
	}
	return NULL;
}

static bool
is_written(const struct member *m, const void *base)
{
	const int64_t *i = (const void *)((const char *)base + m->offset);

	return m->type != ELSEWHERE && m->type != OPTIONAL && (m->type != U64_IF || *i);
}

/* An object of all members of a table; NULL without memory. */
static json_t *
object_json(const struct member *table, const void *base)
{
	json_t *o = json_object();

	for (const struct member *m = table; o && m->name; m++)
		if (is_written(m, base) &&
		    json_object_set_new(o, m->name, member_json(m, base)) < 0) {
			json_decref(o);
			return NULL;
		}
	return o;
}

/* An array of n structs. */
static json_t *
array_json(const struct member *table, const void *v, size_t n, size_t size)
{
	json_t *a = json_array();

	for (size_t i = 0; a && i < n; i++)
		if (json_array_append_new(a, object_json(table, (const char *)v + i * size)) < 0) {
			json_decref(a);
			return NULL;
		}
	return a;
}

static json_t *
sink_json(const struct ckpt_sink *k)
{
	CLEANUP(json_decrefp) json_t *o = object_json(sink_members, k);

	if (!o || json_object_set_new(o, "beyond",
				      array_json(range_members, k->beyond.v, k->beyond.n,
						 sizeof(*k->beyond.v))) < 0)
		return NULL;
	return STEAL(o);
}

static json_t *
sinks_json(const struct ckpt_stream *s)
{
	CLEANUP(json_decrefp) json_t *o = json_object();

	for (size_t i = 0; o && i < s->n_sinks; i++)
		if (json_object_set_new(o, s->sinks[i].name, sink_json(&s->sinks[i])) < 0)
			return NULL;
	return STEAL(o);
}

static json_t *
stream_json(const struct ckpt_stream *s)
{
	CLEANUP(json_decrefp) json_t *o = object_json(stream_members, s);
	json_t *memo = s->memo ? json_incref(s->memo) : json_null();

	if (!o) {
		json_decref(memo);
		return NULL;
	}
	if (json_object_set_new(o, "memo", memo) < 0 ||
	    (s->seen && json_object_set(o, "seen", s->seen) < 0) ||
	    (s->calls.n && json_object_set_new(o, "calls", calls_json(&s->calls)) < 0) ||
	    json_object_set_new(o, "sinks", sinks_json(s)) < 0 ||
	    json_object_set_new(o, "counters", object_json(counter_members, &s->counters)) < 0 ||
	    json_object_set_new(o, "gaps",
				array_json(gap_members, s->gaps, s->n_gaps, sizeof(*s->gaps))) < 0)
		return NULL;
	return STEAL(o);
}

static json_t *
ckpt_json(const struct ckpt *c)
{
	CLEANUP(json_decrefp) json_t *o = object_json(ckpt_members, c);
	json_t *streams;

	if (!o || json_object_set_new(o, "format", json_string(CKPT_FORMAT)) < 0 ||
	    json_object_set_new(o, "version", json_integer(CKPT_VERSION)) < 0 ||
	    json_object_set_new(o, "lease", object_json(lease_members, &c->lease)) < 0 ||
	    (c->n_history && json_object_set_new(o, "history",
						 array_json(event_members, c->history, c->n_history,
							    sizeof(*c->history))) < 0) ||
	    json_object_set_new(o, "streams", json_object()) < 0)
		return NULL;
	streams = json_object_get(o, "streams");
	for (size_t i = 0; i < c->n_streams; i++)
		if (json_object_set_new(streams, c->streams[i].region,
					stream_json(&c->streams[i])) < 0)
			return NULL;
	return STEAL(o);
}

/* That it is too large is no trouble of the machine's. */
static int
dump(const json_t *doc, bool indent, struct buf *out, struct err *err)
{
	int r = json_dump(doc, indent, out, err);

	if (!r && indent) {
		buf_ch(out, '\n');
		r = buf_check(out, "checkpoint", err);
	}
	return out->failed && !out->no_memory
		   ? err_set(err, ERR_DATA, "it would be larger than %u MiB", CKPT_MAX >> 20)
		   : r;
}

int
ckpt_checksum(const json_t *doc, char out[CHECKSUM_MAX], struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(CKPT_MAX);
	char hex[SHA256_HEX_LEN + 1];

	if (dump(doc, false, &text, err) < 0)
		return -1;
	sha256_hex(buf_view(&text), hex);
	(void)snprintf(out, CHECKSUM_MAX, "sha256:%s", hex);
	return 0;
}

int
ckpt_text(const json_t *doc, struct buf *out, struct err *err)
{
	return dump(doc, true, out, err);
}

int
ckpt_dump(const struct ckpt *c, struct buf *out, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	char sum[CHECKSUM_MAX];

	if (ckpt_check(c, err) < 0)
		return err_wrap(err, "checkpoint %s/%s", c->tenant ? c->tenant : "",
				c->job ? c->job : "");
	doc = ckpt_json(c);
	if (!doc)
		return err_nomem(err);
	if (ckpt_checksum(doc, sum, err) < 0) {
		out->failed = err->kind == ERR_DATA; /* it would not go in there either */
		return -1;
	}
	if (json_object_set_new(doc, "checksum", json_string(sum)) < 0)
		return err_nomem(err);
	return ckpt_text(doc, out, err);
}
