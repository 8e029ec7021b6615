/* Spans and their parts; see span.h. */
#include "model/span.h"

#include "base/num.h"
#include "base/utf8.h"

#define EXPONENT_MAX 400
#define REPLACED     0xfffd /* UTF8_REPLACE's code point */

bool
span_id_read(struct sv text, size_t digits, char *ret)
{
	bool zero = true;

	ret[0] = '\0';
	if (text.n != digits)
		return false;
	for (size_t i = 0; i < digits; i++) {
		char c = text.p[i];

		if (c >= 'A' && c <= 'F')
			c = (char)(c - 'A' + 'a');
		if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) {
			ret[0] = '\0';
			return false;
		}
		zero = zero && c == '0';
		ret[i] = c;
	}
	ret[zero ? 0 : digits] = '\0';
	return !zero;
}

/* Times */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "e-9" at the end of a number, or nothing. */
static bool
read_exponent(struct sv s, int64_t *ret)
{
	*ret = 0;
	if (!s.n)
		return true;
	if (s.p[0] != 'e' && s.p[0] != 'E')
		return false;
	return num_i64((struct sv){s.p + 1, s.n - 1}, ret) && *ret <= EXPONENT_MAX &&
	       *ret >= -EXPONENT_MAX;
}

bool
span_decimal(struct sv text, int scale, uint64_t *ret)
{
	size_t at = 0, before, behind = 0, point = 0;
	int64_t exponent, keep;
	uint64_t v = 0;

	while (at < text.n && is_digit(text.p[at]))
		at++;
	before = at;
	if (at < text.n && text.p[at] == '.') {
		point = 1;
		while (at + 1 < text.n && is_digit(text.p[at + 1]))
			at++;
		behind = at - before;
		at++;
	}
	if (!before || !read_exponent((struct sv){text.p + at, text.n - at}, &exponent))
		return false;
	keep = (int64_t)before + exponent + scale;
	for (int64_t i = 0; i < keep; i++) {
		size_t k = (size_t)i;
		unsigned digit = 0;

		if (k < before)
			digit = (unsigned)(text.p[k] - '0');
		else if (k < before + behind)
			digit = (unsigned)(text.p[k + point] - '0');
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)digit, &v))
			return false;
	}
	*ret = v;
	return true;
}

/* Attributes */

struct span_attrs
span_attrs_in(struct arena *a)
{
	return (struct span_attrs){.a = a};
}

/* As they will be written: what is broken as U+FFFD. */
static bool
written_alike(struct sv a, struct sv b)
{
	while (a.n && b.n) {
		uint32_t x, y;
		size_t n = utf8_next(a, &x), m = utf8_next(b, &y);

		if ((x == UTF8_BAD ? REPLACED : x) != (y == UTF8_BAD ? REPLACED : y))
			return false;
		a = (struct sv){a.p + n, a.n - n};
		b = (struct sv){b.p + m, b.n - m};
	}
	return !a.n && !b.n;
}

static bool
is_there(const struct span_attrs *in, struct sv key)
{
	bool plain = utf8_valid(key) && !memmem(key.p, key.n, UTF8_REPLACE, strlen(UTF8_REPLACE));

	for (size_t i = 0; i < in->n; i++)
		if (sv_eq(in->v[i].key, key) || (!plain && written_alike(in->v[i].key, key)))
			return true;
	return false;
}

/* Room for one more of this name; NULL: it is not to be added. */
static struct span_attr *
add(struct span_attrs *to, struct sv key)
{
	struct span_attr *v;

	if (!key.n || is_there(to, key))
		return NULL;
	if (to->n >= SPAN_ATTRS_MAX) {
		to->dropped++;
		return NULL;
	}
	v = arena_grow(to->a, to->v, to->n, &to->cap, sizeof(*v));
	if (!v) {
		to->failed = true;
		return NULL;
	}
	to->v = v;
	v = &to->v[to->n++];
	*v = (struct span_attr){.key = key};
	return v;
}

void
span_attr_add(struct span_attrs *to, struct sv key, enum span_type type, struct sv text)
{
	struct span_attr *v = add(to, key);

	if (v) {
		v->type = type;
		v->text = text;
	}
}

void
span_attr_str(struct span_attrs *to, const char *key, struct sv text)
{
	if (text.n)
		span_attr_add(to, sv_of(key), SPAN_STR, text);
}

void
span_attr_bool(struct span_attrs *to, const char *key, bool value)
{
	span_attr_add(to, sv_of(key), SPAN_BOOL, value ? SV("true") : SV("false"));
}

static bool
all_strings(const struct json_node *list, size_t *ret_n)
{
	*ret_n = 0;
	for (const struct json_node *n = list->first; n; n = n->next, (*ret_n)++)
		if (n->type != JSON_T_STRING)
			return false;
	return true;
}

static void
add_list(struct span_attrs *to, struct sv key, const struct json_node *value, size_t n)
{
	struct sv *list = arena_array(to->a, n, sizeof(*list));
	struct span_attr *v = list ? add(to, key) : NULL;
	size_t i = 0;

	to->failed = to->failed || !list;
	if (!v)
		return;
	for (const struct json_node *item = value->first; item; item = item->next)
		list[i++] = item->text;
	v->type = SPAN_STRS;
	v->list = list;
	v->n_list = n;
}

void
span_attr_json(struct span_attrs *to, struct sv key, const struct json_node *value)
{
	int64_t ignored;
	size_t n;

	if (value->type == JSON_T_NULL)
		return;
	if (value->type == JSON_T_ARRAY && all_strings(value, &n))
		add_list(to, key, value, n);
	else if (value->type == JSON_T_TRUE || value->type == JSON_T_FALSE)
		span_attr_add(to, key, SPAN_BOOL, value->text);
	else if (value->type == JSON_T_NUMBER)
		span_attr_add(to, key, num_i64(value->text, &ignored) ? SPAN_INT : SPAN_DOUBLE,
			      value->text);
	else
		span_attr_add(to, key, SPAN_STR, value->text);
}

const struct span_attr *
span_attr_find(const struct span_attrs *in, const char *key)
{
	for (size_t i = 0; i < in->n; i++)
		if (sv_eq(in->v[i].key, sv_of(key)))
			return &in->v[i];
	return NULL;
}

bool
span_failed(const struct span *s)
{
	bool failed = s->attrs.failed || s->resource.failed;

	for (size_t i = 0; i < s->n_events; i++)
		failed = failed || s->events[i].attrs.failed;
	for (size_t i = 0; i < s->n_links; i++)
		failed = failed || s->links[i].attrs.failed;
	return failed;
}

void
span_own(struct span *s, const struct span_owner *o)
{
	span_attr_str(&s->resource, "cloud.provider", SV("aws"));
	span_attr_str(&s->resource, "cloud.account.id", sv_of(o->origin.account_id));
	span_attr_str(&s->resource, "cloud.region", sv_of(o->origin.region));
	span_attr_str(&s->resource, "tenant", sv_of(o->origin.tenant));
	for (size_t i = 0; i < o->n_labels; i++)
		span_attr_str(&s->resource, o->labels[i].name, sv_of(o->labels[i].value));
}
