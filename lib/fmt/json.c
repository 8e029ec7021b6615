/*
 * JSON over jansson, with what jansson leaves out: a depth limit of ours, errors that say where and
 * what but never repeat the document (it may hold credentials), numbers in their shortest form.
 */
#include "fmt/json.h"

#include <inttypes.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "base/utf8.h"
#include "fmt/json_scan.h"

#define DEPTH_MAX  64
#define LISTED_MAX ((size_t)64 << 20) /* an item of a list, or all that is none */

/* Reading */

/* Walks over the brackets outside of strings: jansson recurses, and its own limit is far too high.
 */
static int
check_depth(struct sv text, const char *what, struct err *err)
{
	size_t line = 1, line_start = 0;
	bool in_string = false;
	int depth = 0;

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (c == '\n') {
			line++;
			line_start = i + 1;
		}
		if (in_string) {
			i += c == '\\';
			in_string = c != '"';
		} else if (c == '"') {
			in_string = true;
		} else if (c == '[' || c == '{') {
			depth++;
		} else if (c == ']' || c == '}') {
			depth--;
		}
		if (depth > DEPTH_MAX)
			return err_set(err, ERR_DATA,
				       "%s: line %zu, column %zu: nested deeper than %d levels",
				       what, line, i - line_start + 1, DEPTH_MAX);
	}
	return 0;
}

/* jansson's own texts quote the document, these do not. */
static const char *
reason(const json_error_t *e)
{
	switch (json_error_code(e)) {
	case json_error_invalid_utf8:
		return "invalid UTF-8";
	case json_error_premature_end_of_input:
		return "the text ends too early";
	case json_error_end_of_input_expected:
		return "unexpected text behind the value";
	case json_error_duplicate_key:
		return "duplicate key";
	case json_error_numeric_overflow:
		return "number out of range";
	case json_error_null_byte_in_key:
		return "NUL in a key";
	default:
		return "invalid syntax";
	}
}

int
json_parse(struct sv text, const char *what, json_t **ret, struct err *err)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY;
	json_error_t e = {0};
	json_t *j;

	if (check_depth(text, what, err) < 0)
		return -1;
	j = json_loadb(text.n ? text.p : "", text.n, flags, &e);
	/* Where there is not even memory to begin with, jansson says nothing at all. */
	if (!j && (json_error_code(&e) == json_error_out_of_memory || !*e.text))
		return err_nomem(err);
	if (!j)
		return err_set(err, ERR_DATA, "%s: line %d, column %d: %s", what, e.line, e.column,
			       reason(&e));
	*ret = j;
	return 0;
}

static const char *
type_name(const json_t *j)
{
	static const char *const names[] = {
	    [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "an array",
	    [JSON_STRING] = "a string",	   [JSON_INTEGER] = "an integer",
	    [JSON_REAL] = "a real number", [JSON_TRUE] = "true",
	    [JSON_FALSE] = "false",	   [JSON_NULL] = "null",
	};

	return j ? names[json_typeof(j)] : "nothing";
}

/* The pointer's part for a key: RFC 6901 writes '~' as "~0" and '/' as "~1". */
static void
pointer_part(const char *key, char *out, size_t cap)
{
	size_t n = 0;

	for (; *key && n + 3 < cap; key++) {
		if (*key != '~' && *key != '/') {
			out[n++] = *key;
			continue;
		}
		out[n++] = '~';
		out[n++] = *key == '~' ? '0' : '1';
	}
	out[n] = '\0';
}

static int
bad_type(const char *path, const char *key, const char *expected, const json_t *got,
	 struct err *err)
{
	char part[128];

	pointer_part(key, part, sizeof(part));
	return err_set(err, ERR_DATA, "%s/%s: expected %s, got %s", path, part, expected,
		       type_name(got));
}

/* 1 with the member; 0 if it is absent and may be; -1 with the error. */
static int
member(const json_t *obj, const char *path, const char *key, bool required, const char *expected,
       json_t **ret, struct err *err)
{
	char part[128];
	json_t *j;

	if (!json_is_object(obj))
		return err_set(err, ERR_DATA, "%s: expected an object, got %s",
			       *path ? path : "the document", type_name(obj));
	j = json_object_get(obj, key);
	if (j && !json_is_null(j)) {
		*ret = j;
		return 1;
	}
	if (!required)
		return 0;
	if (j)
		return bad_type(path, key, expected, j, err);
	pointer_part(key, part, sizeof(part));
	return err_set(err, ERR_DATA, "%s/%s: missing, expected %s", path, part, expected);
}

int
json_get_str(const json_t *obj, const char *path, const char *key, bool required, const char **ret,
	     struct err *err)
{
	const char *expected = "a string";
	json_t *j;
	int rc = member(obj, path, key, required, expected, &j, err);

	if (rc <= 0)
		return rc;
	if (!json_is_string(j))
		return bad_type(path, key, expected, j, err);
	/* As a C string it would be another, shorter value. */
	if (strlen(json_string_value(j)) != json_string_length(j))
		return err_set(err, ERR_DATA, "%s/%s: NUL in a string", path, key);
	*ret = json_string_value(j);
	return 0;
}

int
json_get_i64(const json_t *obj, const char *path, const char *key, bool required, int64_t *ret,
	     struct err *err)
{
	const char *expected = "an integer";
	json_t *j;
	int rc = member(obj, path, key, required, expected, &j, err);

	if (rc <= 0)
		return rc;
	if (!json_is_integer(j))
		return bad_type(path, key, expected, j, err);
	*ret = json_integer_value(j);
	return 0;
}

int
json_get_num(const json_t *obj, const char *path, const char *key, bool required, double *ret,
	     struct err *err)
{
	const char *expected = "a number";
	json_t *j;
	int rc = member(obj, path, key, required, expected, &j, err);

	if (rc <= 0)
		return rc;
	if (!json_is_number(j))
		return bad_type(path, key, expected, j, err);
	*ret = json_number_value(j);
	return 0;
}

int
json_get_bool(const json_t *obj, const char *path, const char *key, bool required, bool *ret,
	      struct err *err)
{
	const char *expected = "true or false";
	json_t *j;
	int rc = member(obj, path, key, required, expected, &j, err);

	if (rc <= 0)
		return rc;
	if (!json_is_boolean(j))
		return bad_type(path, key, expected, j, err);
	*ret = json_is_true(j);
	return 0;
}

/* An object or an array, by its JSON type. */
static int
get_container(const json_t *obj, const char *path, const char *key, bool required, json_type type,
	      json_t **ret, struct err *err)
{
	const char *expected = type == JSON_OBJECT ? "an object" : "an array";
	json_t *j;
	int rc;

	*ret = NULL;
	rc = member(obj, path, key, required, expected, &j, err);
	if (rc <= 0)
		return rc;
	if (json_typeof(j) != type)
		return bad_type(path, key, expected, j, err);
	*ret = j;
	return 0;
}

int
json_get_obj(const json_t *obj, const char *path, const char *key, bool required, json_t **ret,
	     struct err *err)
{
	return get_container(obj, path, key, required, JSON_OBJECT, ret, err);
}

int
json_get_arr(const json_t *obj, const char *path, const char *key, bool required, json_t **ret,
	     struct err *err)
{
	return get_container(obj, path, key, required, JSON_ARRAY, ret, err);
}

/* Writing */

static void
escape_control(struct buf *out, char c)
{
	static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
	const char *at = c ? strchr(from, c) : NULL;

	if (at)
		buf_add(out, (char[]){'\\', to[at - from]}, 2);
	else
		buf_fmt(out, "\\u%04x", (unsigned)c);
}

bool
json_escape(struct buf *out, struct sv s)
{
	bool replaced = false;
	uint32_t cp;
	size_t n;

	buf_ch(out, '"');
	for (; s.n; s.p += n, s.n -= n) {
		n = json_plain_run(s);
		if (n) {
			buf_add(out, s.p, n);
			continue;
		}
		n = utf8_next(s, &cp);
		if (cp == UTF8_BAD) {
			buf_str(out, UTF8_REPLACE);
			replaced = true;
		} else if (cp < 0x20 || cp == '"' || cp == '\\') {
			escape_control(out, s.p[0]);
		} else {
			buf_add(out, s.p, n);
		}
	}
	buf_ch(out, '"');
	return replaced;
}

/* ASCII's control characters are escaped already, or white space between values. */
size_t
json_plainly(struct buf *out, struct sv json)
{
	struct sv s = json;
	uint32_t cp;
	size_t n;

	for (; s.n; s.p += n, s.n -= n) {
		n = utf8_next(s, &cp);
		if (cp == UTF8_BAD && n == s.n)
			break;
		if (cp == UTF8_BAD)
			buf_str(out, UTF8_REPLACE);
		else if (cp >= 0x20 && utf8_deceives(cp))
			buf_fmt(out, "\\u%04x", (unsigned)cp);
		else
			buf_add(out, s.p, n);
	}
	return json.n - s.n;
}

void
json_add_str(struct buf *out, const char *before, const char *value)
{
	buf_str(out, before);
	if (value)
		(void)json_escape(out, sv_of(value));
	else
		buf_str(out, "null");
}

struct dump {
	struct buf *out;
	bool indent;
	const struct json_list *lists;
	size_t n_lists;
	struct spool *spool; /* `out` goes here after each item of a list; NULL: it stays */
};

static int dump_value(const struct dump *d, const json_t *j, int depth, struct err *err);

static void
new_line(const struct dump *d, int depth)
{
	static const char spaces[] = "\n                ";

	if (!d->indent)
		return;
	if ((size_t)depth < sizeof(spaces) / 2)
		buf_add(d->out, spaces, 1 + 2 * (size_t)depth);
	else
		buf_fmt(d->out, "\n%*s", 2 * depth, "");
}

/* A real number keeps a sign of being one, so that reading it back gives the same type. */
static void
dump_real(struct buf *out, double v)
{
	char text[NUM_DOUBLE_MAX];

	(void)num_format(v, text);
	buf_str(out, text);
	if (!strpbrk(text, ".e"))
		buf_str(out, ".0");
}

/* An inventory has one for each metric. */
static void
dump_integer(struct buf *out, json_int_t v)
{
	char text[NUM_DIGITS_MAX];

	if (v < 0)
		buf_ch(out, '-');
	buf_add(out, text, num_put_digits(text, v < 0 ? 0 - (uint64_t)v : (uint64_t)v));
}

static int
dump_array(const struct dump *d, const json_t *j, int depth, struct err *err)
{
	size_t n = json_array_size(j);

	buf_ch(d->out, '[');
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_ch(d->out, ',');
		new_line(d, depth + 1);
		if (dump_value(d, json_array_get(j, i), depth + 1, err) < 0)
			return -1;
	}
	if (n)
		new_line(d, depth);
	buf_ch(d->out, ']');
	return 0;
}

struct member_of {
	const char *key;
	const json_t *value;
};

static int
cmp_keys(const void *a, const void *b)
{
	const struct member_of *x = a, *y = b;

	return strcmp(x->key, y->key);
}

/* In bytewise order of their keys, in which they mostly were put in; the caller frees the array. */
static struct member_of *
sorted_members(const json_t *j)
{
	struct member_of *v = calloc(json_object_size(j) + 1, sizeof(*v));
	json_t *value, *tree = (json_t *)(uintptr_t)j; /* jansson iterates over non-const trees */
	bool sorted = true;
	const char *key;
	size_t n = 0;

	if (!v)
		return NULL;
	json_object_foreach(tree, key, value)
	{
		sorted = sorted && (!n || strcmp(v[n - 1].key, key) < 0);
		v[n++] = (struct member_of){key, value};
	}
	if (!sorted)
		qsort(v, n, sizeof(*v), cmp_keys);
	return v;
}

/* What was written so far leaves memory. */
static int
hand_over(const struct dump *d, struct err *err)
{
	if (buf_check(d->out, "JSON", err) || spool_add(d->spool, buf_view(d->out), err))
		return -1;
	buf_reset(d->out);
	return 0;
}

static int
dump_list(const struct dump *d, const struct json_list *l, int depth, struct err *err)
{
	bool any = false;
	json_t *item;
	int r = 0;

	buf_ch(d->out, '[');
	while (!r && (item = l->next(l->arg))) {
		if (any)
			buf_ch(d->out, ',');
		new_line(d, depth + 1);
		r = dump_value(d, item, depth + 1, err);
		json_decref(item);
		if (!r)
			r = hand_over(d, err);
		any = true;
	}
	if (any)
		new_line(d, depth);
	buf_ch(d->out, ']');
	return r;
}

static int
dump_member(const struct dump *d, const struct member_of *m, int depth, struct err *err)
{
	for (size_t i = 0; depth == 1 && i < d->n_lists; i++)
		if (!strcmp(d->lists[i].key, m->key))
			return dump_list(d, &d->lists[i], depth, err);
	return dump_value(d, m->value, depth, err);
}

static int
dump_object(const struct dump *d, const json_t *j, int depth, struct err *err)
{
	CLEANUP(freep) struct member_of *v = sorted_members(j);
	size_t n = json_object_size(j);

	if (!v)
		return err_nomem(err);
	buf_ch(d->out, '{');
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_ch(d->out, ',');
		new_line(d, depth + 1);
		(void)json_escape(d->out, sv_of(v[i].key));
		buf_str(d->out, d->indent ? ": " : ":");
		if (dump_member(d, &v[i], depth + 1, err) < 0)
			return -1;
	}
	if (n)
		new_line(d, depth);
	buf_ch(d->out, '}');
	return 0;
}

static int
dump_value(const struct dump *d, const json_t *j, int depth, struct err *err)
{
	if (depth > DEPTH_MAX)
		return err_set(err, ERR_DATA, "JSON nested deeper than %d levels", DEPTH_MAX);
	switch (json_typeof(j)) {
	case JSON_OBJECT:
		return dump_object(d, j, depth, err);
	case JSON_ARRAY:
		return dump_array(d, j, depth, err);
	case JSON_STRING:
		(void)json_escape(d->out, (struct sv){json_string_value(j), json_string_length(j)});
		break;
	case JSON_INTEGER:
		dump_integer(d->out, json_integer_value(j));
		break;
	case JSON_REAL:
		dump_real(d->out, json_real_value(j));
		break;
	case JSON_TRUE:
		buf_str(d->out, "true");
		break;
	case JSON_FALSE:
		buf_str(d->out, "false");
		break;
	case JSON_NULL:
		buf_str(d->out, "null");
		break;
	}
	return 0;
}

int
json_dump(const json_t *j, bool indent, struct buf *out, struct err *err)
{
	const struct dump d = {.out = out, .indent = indent};

	if (dump_value(&d, j, 0, err) < 0)
		return -1;
	return buf_check(out, "JSON", err);
}

int
json_dump_lists(const json_t *j, const struct json_list *lists, size_t n, struct spool *out,
		struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(LISTED_MAX);
	const struct dump d = {
	    .out = &text, .indent = true, .lists = lists, .n_lists = n, .spool = out};

	if (dump_value(&d, j, 0, err) < 0)
		return -1;
	return hand_over(&d, err);
}
