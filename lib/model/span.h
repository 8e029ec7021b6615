/*
 * A span as OpenTelemetry has it, whoever told of it: what X-Ray's segments and the documents of the log group aws/spans become, what a
 * line of the lake holds, and what an OTLP receiver gets.
 *
 * Texts are views into what was read, or in its arena. Nothing here is trusted: ids are checked, times are exact decimals or refused,
 * attributes that a span has twice count once.
 */
#ifndef MUSTER_MODEL_SPAN_H
#define MUSTER_MODEL_SPAN_H

#include "fmt/json_tree.h"
#include "model/series.h"

#define SPAN_TRACE_HEX 32
#define SPAN_ID_HEX    16
/* More attributes of one span, event, link or resource than so many are counted, not kept. */
#define SPAN_ATTRS_MAX 1000

enum span_kind { SPAN_UNSPECIFIED, SPAN_INTERNAL, SPAN_SERVER, SPAN_CLIENT, SPAN_PRODUCER, SPAN_CONSUMER };
enum span_status { SPAN_UNSET, SPAN_OK, SPAN_ERROR };
enum span_type { SPAN_STR, SPAN_BOOL, SPAN_INT, SPAN_DOUBLE, SPAN_STRS };

struct span_attr {
	struct sv key;
	enum span_type type;
	struct sv text; /* the string; the number's digits; true or false */
	struct sv *list; /* SPAN_STRS */
	size_t n_list;
};
struct span_attrs {
	struct span_attr *v;
	size_t n, cap;
	uint32_t dropped;
	struct arena *a;
	bool failed; /* without memory */
};
struct span_event {
	uint64_t time_ns;
	struct sv name;
	struct span_attrs attrs;
};
struct span_link {
	char trace_id[SPAN_TRACE_HEX + 1], span_id[SPAN_ID_HEX + 1];
	struct span_attrs attrs;
};
struct span {
	char trace_id[SPAN_TRACE_HEX + 1], span_id[SPAN_ID_HEX + 1]; /* lower case, never all zero */
	char parent_id[SPAN_ID_HEX + 1];			     /* "" for a root */
	struct sv trace_state, name;
	uint32_t flags;
	enum span_kind kind;
	uint64_t start_ns, end_ns; /* since the epoch, end >= start */
	enum span_status status;
	struct sv status_message;
	struct span_attrs attrs, resource;
	struct sv scope_name, scope_version;
	struct span_event *events;
	struct span_link *links;
	size_t n_events, n_links;
};

/* Whose they are: the common fields of lines, and attributes of every resource. */
struct span_owner {
	struct line_origin origin;
	const struct label *labels; /* the tenant's own */
	size_t n_labels;
};

/* Ids: so many hex digits, not all of them zero, in lower case then; else false and "". */
bool span_id_read(struct sv text, size_t digits, char *ret);
/* A decimal number times 10^scale, exactly; what is behind that is cut. false: negative, too large, or no number. */
bool span_decimal(struct sv text, int scale, uint64_t *ret);

struct span_attrs span_attrs_in(struct arena *a);
/* Nothing for an attribute that is there already. */
void span_attr_add(struct span_attrs *to, struct sv key, enum span_type type, struct sv text);
void span_attr_str(struct span_attrs *to, const char *key, struct sv text); /* nothing for "" */
void span_attr_bool(struct span_attrs *to, const char *key, bool value);
/* Any JSON value: a list of texts as such, other lists and objects as JSON text. */
void span_attr_json(struct span_attrs *to, struct sv key, const struct json_node *value);
const struct span_attr *span_attr_find(const struct span_attrs *in, const char *key);
/* Without memory for any of it? */
bool span_failed(const struct span *s);
/* tenant, its labels, cloud.provider, cloud.account.id, cloud.region, where the resource does not say. */
void span_own(struct span *s, const struct span_owner *o);

/* model/span_otlp.c */

/* OTLP/JSON, and what aws/spans has: the same names, with attributes as objects and words for numbers. Returns false, and what it is not
 * made of in *why, for what is no span; `doc` and the arena outlive it. */
bool span_read(const struct json_node *doc, struct arena *a, struct span *ret, const char **why);
/* The common part of every line behind its time, in the arena. NULL without memory. */
const char *span_common(const struct line_origin *o, struct arena *a);
/* Append one line: the common fields, trace_id, span_id, service, and the span in OTLP/JSON. */
void span_line(const struct span *s, const char *common, struct buf *out);

#endif
