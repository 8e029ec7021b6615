/*
 * Single values by their row's type: one function a type, one row each in a table.
 */
#include "fmt/conf_node.h"

#include <math.h>
#include <regex.h>
#include <stdlib.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/num.h"

/* What a value is read with. */
struct scalar {
	const struct conf_key *k;
	const struct conf_node *node;
	const char *text; /* environment references replaced */
	void *at;	  /* its place in the struct */
	struct conf_faults *f;
};

static void
bad(const struct scalar *s, const char *what)
{
	conf_fault(s->f, s->node, "'%.60s' is not %s", s->text, what);
}

static void
read_string(const struct scalar *s)
{
	const char **at = s->at;

	if (s->text[0] == '\0' && !(s->k->flags & CONF_EMPTY_OK))
		conf_fault(s->f, s->node, "should not be empty");
	*at = s->text;
}

static void
read_bool(const struct scalar *s)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {{"true", true},   {"yes", true}, {"on", true},
		     {"false", false}, {"no", false}, {"off", false}};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!strcasecmp(s->text, words[i].word)) {
			*(bool *)s->at = words[i].value;
			return;
		}
	}
	bad(s, "true or false");
}

/* "between 1 and 9", "at least 1": in the row's own spelling. */
static void
range_text(const struct conf_key *k, char *out, size_t size)
{
	char min[32], max[32];

	if (k->type == CONF_DURATION) {
		num_duration_format(k->min, min);
		num_duration_format(k->max, max);
	} else {
		(void)snprintf(min, sizeof(min), "%lld", (long long)k->min);
		(void)snprintf(max, sizeof(max), "%lld", (long long)k->max);
	}
	if (k->max == INT64_MAX)
		(void)snprintf(out, size, "at least %s", min);
	else
		(void)snprintf(out, size, "between %s and %s", min, max);
}

/* A value out of range is not stored: what stood there before it is. */
static void
store_ranged(const struct scalar *s, int64_t v)
{
	char range[96];

	if (s->k->min == s->k->max || (v >= s->k->min && v <= s->k->max)) {
		*(int64_t *)s->at = v;
		return;
	}
	range_text(s->k, range, sizeof(range));
	conf_fault(s->f, s->node, "'%.60s' should be %s", s->text, range);
}

static void
read_int(const struct scalar *s)
{
	int64_t v;

	if (num_i64(sv_of(s->text), &v))
		store_ranged(s, v);
	else
		bad(s, "a whole number");
}

static void
read_duration(const struct scalar *s)
{
	bool off = !strcasecmp(s->text, "none") || !strcasecmp(s->text, "off");
	int64_t v;

	if (off && (s->k->flags & CONF_OFF))
		*(int64_t *)s->at = 0;
	else if ((s->k->flags & CONF_OR_ONCE) && !strcasecmp(s->text, "once"))
		*(int64_t *)s->at = CONF_ONCE_MS;
	else if (num_duration(sv_of(s->text), &v))
		store_ranged(s, v);
	else
		bad(s, conf_type_name(s->k));
}

static void
read_bytes(const struct scalar *s)
{
	struct sv v = sv_of(s->text);

	if ((s->k->flags & CONF_PER_DAY) && sv_ends(v, SV("/d")))
		v.n -= 2;
	if (!num_bytes(v, s->at))
		bad(s, conf_type_name(s->k));
}

static void
read_number(const struct scalar *s)
{
	bool rate = s->k->flags & CONF_PER_SECOND;
	struct sv text = sv_of(s->text);
	double v;

	if (rate && sv_eq(text, SV("none")))
		text = SV("0");
	if (rate && sv_ends(text, SV("/s")))
		text.n -= 2;
	if (num_double(text, &v) && isfinite(v) && !(rate && v < 0))
		*(double *)s->at = v;
	else
		bad(s, conf_type_name(s->k));
}

/* "a, b, c" of a NULL-terminated list. */
static void
join_words(const char *const *words, struct buf *out)
{
	for (size_t i = 0; words[i]; i++)
		buf_fmt(out, "%s%s", i ? ", " : "", words[i]);
}

static void
read_enum(const struct scalar *s)
{
	const char *const *words = s->k->words;
	struct buf known = BUF_INIT(4096);
	const char *near;
	size_t n = 0;

	for (; words[n]; n++) {
		if (!strcmp(words[n], s->text)) {
			*(int *)s->at = (int)n;
			return;
		}
	}
	near = conf_nearest(s->text, words, n);
	join_words(words, &known);
	if (near)
		conf_fault(s->f, s->node, "unknown value '%.60s' (did you mean %s?)", s->text,
			   near);
	else
		conf_fault(s->f, s->node, "unknown value '%.60s' (known: %s)", s->text,
			   buf_cstr(&known));
	buf_done(&known);
}

static void (*const readers[])(const struct scalar *s) = {
    [CONF_STRING] = read_string,     [CONF_BOOL] = read_bool,	[CONF_INT] = read_int,
    [CONF_DURATION] = read_duration, [CONF_BYTES] = read_bytes, [CONF_NUMBER] = read_number,
    [CONF_ENUM] = read_enum,
};

bool
conf_is_scalar_type(enum conf_type t)
{
	return (size_t)t < ARRAY_LEN(readers) && readers[t];
}

const char *
conf_type_name(const struct conf_key *k)
{
	static const char *const names[] = {
	    [CONF_STRING] = "a string",
	    [CONF_BOOL] = "true or false",
	    [CONF_INT] = "a whole number",
	    [CONF_DURATION] = "a duration such as 90s, 5m or 1h30m",
	    [CONF_BYTES] = "an amount of bytes such as 50GB or 512MiB",
	    [CONF_NUMBER] = "a number",
	    [CONF_STRINGS] = "a list of strings",
	    [CONF_STRINGSS] = "a list of lists of strings",
	    [CONF_MAP] = "a mapping of strings",
	    [CONF_ENUM] = "one of a few words",
	    [CONF_TABLE] = "a mapping",
	    [CONF_TABLES] = "a list of mappings",
	    [CONF_NAMED] = "a mapping of names",
	    [CONF_NODE] = "a value",
	};

	if (k->type == CONF_BYTES && (k->flags & CONF_PER_DAY))
		return "an amount of bytes such as 50GB, or 50GB/d for each day";
	if (k->type == CONF_NUMBER && (k->flags & CONF_PER_SECOND))
		return "a rate such as 5/s, or none";
	return names[k->type];
}

static bool
regex_ok(const struct conf_node *node, const char *text, struct conf_faults *f)
{
	char why[128];
	regex_t re;
	int rc = regcomp(&re, text, REG_EXTENDED | REG_NOSUB);

	if (rc == 0) {
		regfree(&re);
		return true;
	}
	(void)regerror(rc, &re, why, sizeof(why));
	conf_fault(f, node, "not an extended regular expression: %s", why);
	return false;
}

const char *
conf_read_text(const struct conf_key *k, const struct conf_node *node, struct arena *a,
	       struct conf_faults *f)
{
	if (node->kind == NODE_BAD)
		return NULL;
	if (node->kind != NODE_SCALAR) {
		conf_fault(f, node, "should be a string%s",
			   node->kind == NODE_NULL ? ", but there is nothing" : "");
		return NULL;
	}
	if ((k->flags & CONF_REGEX) && !regex_ok(node, node->text, f))
		return NULL;
	if (k->flags & (CONF_RAW | CONF_REGEX))
		return node->text;
	return conf_expand(node, node->text, a, f);
}

void
conf_read_scalar(const struct conf_key *k, const struct conf_node *node, void *out, struct arena *a,
		 struct conf_faults *f)
{
	struct scalar s = {.k = k, .node = node, .at = (char *)out + k->offset, .f = f};

	if (node->kind == NODE_BAD)
		return;
	if (node->kind != NODE_SCALAR) {
		conf_fault(f, node, "should be %s, not a %s", conf_type_name(k),
			   node->kind == NODE_LIST ? "list" : "mapping");
		return;
	}
	s.text = conf_read_text(k, node, a, f);
	if (s.text)
		readers[k->type](&s);
}
