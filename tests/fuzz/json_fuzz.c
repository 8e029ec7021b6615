/*
 * Our JSON scanner and tree beside jansson: what one takes the other takes, and it means the same.
 * What only ours takes is told apart: broken UTF-8 and lone surrogates (they become U+FFFD),
 * numbers beyond jansson's, members that are there twice.
 */
#include "fmt/json.h"
#include "fmt/json_scan.h"
#include "fmt/json_tree.h"
#include "tests/fuzz/fuzz.h"

static size_t
depth_of(const json_t *j)
{
	size_t most = 0, i;
	json_t *v;

	if (json_is_array(j))
		for (i = 0; i < json_array_size(j); i++) {
			size_t d = depth_of(json_array_get(j, i));

			most = d > most ? d : most;
		}
	else if (json_is_object(j))
		for (void *it = json_object_iter((json_t *)(uintptr_t)j); it;
		     it = json_object_iter_next((json_t *)(uintptr_t)j, it)) {
			v = json_object_iter_value(it);
			i = depth_of(v);
			most = i > most ? i : most;
		}
	return json_is_array(j) || json_is_object(j) ? most + 1 : 0;
}

static void
same_string(struct sv ours, const json_t *theirs)
{
	fuzz_must(sv_eq(ours, (struct sv){json_string_value(theirs), json_string_length(theirs)}));
}

static void
same_number(const struct json_node *ours, const json_t *theirs)
{
	struct json_scan s = JSON_SCAN_INIT(ours->text);
	double v;

	fuzz_must(json_scan_num(&s, &v) && json_scan_end(&s));
	fuzz_must(v == json_number_value(theirs));
}

/* The document has no member twice: jansson was told to refuse that. */
static void
same(const struct json_node *ours, const json_t *theirs)
{
	size_t n = 0;

	switch (ours->type) {
	case JSON_T_NULL:
		fuzz_must(json_is_null(theirs));
		break;
	case JSON_T_TRUE:
		fuzz_must(json_is_true(theirs));
		break;
	case JSON_T_FALSE:
		fuzz_must(json_is_false(theirs));
		break;
	case JSON_T_NUMBER:
		fuzz_must(json_is_number(theirs));
		same_number(ours, theirs);
		break;
	case JSON_T_STRING:
		fuzz_must(json_is_string(theirs));
		same_string(ours->text, theirs);
		break;
	case JSON_T_ARRAY:
		fuzz_must(json_is_array(theirs));
		for (const struct json_node *c = ours->first; c; c = c->next)
			same(c, json_array_get(theirs, n++));
		fuzz_must(n == json_array_size(theirs));
		break;
	case JSON_T_OBJECT:
		fuzz_must(json_is_object(theirs));
		for (const struct json_node *c = ours->first; c; c = c->next, n++) {
			json_t *v = json_object_getn(theirs, c->name.p, c->name.n);

			fuzz_must(v);
			same(c, v);
		}
		fuzz_must(n == json_object_size(theirs));
		break;
	}
}

/* What our writer makes of their tree is read as the same, and written as the same again. */
static void
round_trip(const json_t *doc, bool indent)
{
	CLEANUP(buf_done) struct buf once = BUF_INIT(FUZZ_MAX), twice = BUF_INIT(FUZZ_MAX);
	json_t *again = NULL;
	struct err err = {0};

	fuzz_must(json_dump(doc, indent, &once, &err) == 0);
	fuzz_must(json_parse(buf_view(&once), "again", &again, &err) == 0);
	fuzz_must(json_equal(doc, again));
	fuzz_must(json_dump(again, indent, &twice, &err) == 0);
	fuzz_must(sv_eq(buf_view(&once), buf_view(&twice)));
	json_decref(again);
}

/* Whatever bytes are written as a string come out valid, and are read as the same text again. */
static void
escaped(struct sv in)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(FUZZ_MAX), back = BUF_INIT(FUZZ_MAX);
	struct json_scan s;
	struct sv raw;
	bool replaced = json_escape(&text, in);

	fuzz_must(buf_ok(&text) && utf8_valid(buf_view(&text)));
	fuzz_must(replaced != utf8_valid(in));
	s.p = text.p;
	s.end = text.p + text.n;
	fuzz_must(json_scan_str(&s, &raw) && json_scan_end(&s));
	json_unescape(&back, raw);
	fuzz_must(replaced || sv_eq(buf_view(&back), in));
	buf_reset(&back);
	json_recode(&back, raw);
	fuzz_must(sv_eq(buf_view(&back), buf_view(&text)));
}

/* Reasons for which jansson may refuse what we take. */
static bool
is_ours(const json_error_t *why)
{
	enum json_error_code code = json_error_code(why);

	return code == json_error_invalid_utf8 || code == json_error_numeric_overflow ||
	       code == json_error_duplicate_key || strstr(why->text, "invalid Unicode");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sv in = {(const char *)data, n};
	CLEANUP(arena_done) struct arena a = ARENA_INIT(FUZZ_MAX);
	const struct json_node *ours = json_tree_parse(in, &a);
	struct json_scan s = JSON_SCAN_INIT(in);
	bool skipped = json_scan_skip(&s) && json_scan_end(&s);
	json_t *strict = NULL;
	struct err err = {0};
	json_error_t why;
	json_t *theirs =
	    json_loadb(in.p, in.n, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &why);

	fuzz_must(skipped == (ours != NULL));
	if (theirs && ours)
		same(ours, theirs);
	else if (theirs) /* jansson forgets a NUL behind a number */
		fuzz_must(depth_of(theirs) > JSON_SCAN_DEPTH || memchr(in.p, '\0', in.n));
	else if (ours)
		fuzz_must(is_ours(&why));
	fuzz_answer(json_parse(in, "input", &strict, &err), &err);
	fuzz_must(!strict || json_equal(strict, theirs));
	if (strict) {
		round_trip(strict, false);
		round_trip(strict, true);
	}
	escaped(in);
	json_decref(strict);
	json_decref(theirs);
	return 0;
}
