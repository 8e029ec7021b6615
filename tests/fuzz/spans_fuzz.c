/*
 * Spans: X-Ray's segments (a document up to each NUL) and OTLP/JSON. What is taken becomes a line
 * of the lake, and that line is read again as the same line; what is not taken is counted, so that
 * no segment and no subsegment is gone without a word.
 */
#include "model/span_xray.h"
#include "tests/fuzz/fuzz.h"

#define DOCUMENTS 8

static const struct line_origin who = {"acme", "111122223333", "eu-west-1", "traces"};

static void
line_again(const struct span *s, struct arena *a)
{
	CLEANUP(buf_done) struct buf once = BUF_INIT(FUZZ_MAX), twice = BUF_INIT(FUZZ_MAX);
	const char *common = span_common(&who, a), *why = NULL;
	const struct json_node *doc;
	struct span again = {0};

	fuzz_must(common && !span_failed(s) && s->end_ns >= s->start_ns);
	span_line(s, common, &once);
	fuzz_must(buf_ok(&once) && once.n && once.p[once.n - 1] == '\n');
	fuzz_must(!memchr(once.p, '\n', once.n - 1) && utf8_valid(buf_view(&once)));
	doc = json_tree_parse(buf_view(&once), a);
	fuzz_must(doc);
	fuzz_must(span_read(doc, a, &again, &why));
	span_line(&again, common, &twice);
	fuzz_must(sv_eq(buf_view(&once), buf_view(&twice)));
}

/* A segment, and all that is nested in it. */
static uint64_t
nested(const struct json_node *doc)
{
	const struct json_node *subs = json_tree_of(doc, "subsegments", JSON_T_ARRAY);
	uint64_t n = 1;

	for (const struct json_node *s = subs ? subs->first : NULL; s; s = s->next)
		n += nested(s);
	return n;
}

/* One that has all that a span needs, as the services write it; others may do as well. */
static bool
plain(const struct json_node *doc)
{
	struct sv id = json_tree_str(doc, "id");
	const struct json_node *from = json_tree_of(doc, "start_time", JSON_T_NUMBER);
	const struct json_node *to = json_tree_of(doc, "end_time", JSON_T_NUMBER);
	size_t hex = 0;

	while (hex < id.n && memchr("123456789abcdef", id.p[hex], 15))
		hex++;
	return id.n == SPAN_ID_HEX && hex == SPAN_ID_HEX && from && to && from->text.n == 1 &&
	       to->text.n == 10;
}

/* Those of a segment that become spans for certain. */
static uint64_t
certain(const struct json_node *doc)
{
	const struct json_node *subs = json_tree_of(doc, "subsegments", JSON_T_ARRAY);
	uint64_t n = 1;

	if (!plain(doc))
		return 0;
	for (const struct json_node *s = subs ? subs->first : NULL; s; s = s->next)
		n += certain(s);
	return n;
}

static void
segments(struct sv in, struct arena *a)
{
	struct spans spans = SPANS_INIT;
	struct sv docs[DOCUMENTS];
	struct span_trace t = {"1-5f84c7a1-0123456789abcdef01234567", docs, 0, in.n % 2};
	uint64_t rejected = 0, all = 0, sure = 0;
	struct err err = {0};

	while (in.n && t.n < DOCUMENTS) {
		docs[t.n] = fuzz_part(&in, '\0');
		all += nested(json_tree_parse(docs[t.n], a));
		sure += certain(json_tree_parse(docs[t.n++], a));
	}
	fuzz_must(span_xray(&t, a, &spans, &rejected, &err) == 0);
	fuzz_must(spans.n + rejected == all && spans.n >= sure);
	for (size_t i = 0; i < spans.n; i++)
		line_again(&spans.v[i], a);
	spans_done(&spans);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sv in = {(const char *)data, n};
	CLEANUP(arena_done) struct arena a = ARENA_INIT(4 * FUZZ_MAX);
	const struct json_node *doc = json_tree_parse(in, &a);
	struct span s = {0};
	const char *why = NULL;

	if (doc && span_read(doc, &a, &s, &why))
		line_again(&s, &a);
	else if (doc)
		fuzz_must(why && *why);
	segments(in, &a);
	return 0;
}
