/* A tree of views; see json_tree.h. */
#include "fmt/json_tree.h"

#include "base/cleanup.h"
#include "base/utf8.h"
#include "fmt/json_scan.h"

struct reading {
	struct json_scan s;
	struct arena *a;
};

/* What a string between quotes stands for. An escape is longer than its character, a broken byte
 * shorter than the U+FFFD that it becomes. */
static bool
take_text(struct reading *r, struct sv raw, struct sv *ret)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(raw.n * (sizeof(UTF8_REPLACE) - 1) + 1);

	*ret = raw;
	if (!raw.n || !memchr(raw.p, '\\', raw.n))
		return true;
	json_unescape(&text, raw);
	if (text.no_memory)
		r->a->no_memory = true;
	ret->p = buf_ok(&text) ? arena_strdup(r->a, buf_view(&text)) : NULL;
	ret->n = text.n;
	return ret->p != NULL;
}

static bool read_value(struct reading *r, struct json_node *to, int depth);

/* The members or items of what has been opened. */
static bool
read_inside(struct reading *r, struct json_node *to, int depth)
{
	const struct json_node **link = &to->first;
	bool end = false;

	for (bool first = true;; first = false) {
		struct json_node *node;
		struct sv raw = {"", 0};

		if (to->type == JSON_T_OBJECT ? !json_scan_member(&r->s, first, &raw, &end)
					      : !json_scan_item(&r->s, first, &end))
			return false;
		if (end)
			return true;
		node = arena_alloc(r->a, sizeof(*node));
		if (!node || !take_text(r, raw, &node->name) || !read_value(r, node, depth + 1))
			return false;
		*link = node;
		link = &node->next;
	}
}

static bool
read_plain(struct reading *r, struct json_node *to)
{
	double ignored;

	if (json_scan_null(&r->s)) {
		to->type = JSON_T_NULL;
		return true;
	}
	to->type = *r->s.p == 't' ? JSON_T_TRUE : *r->s.p == 'f' ? JSON_T_FALSE : JSON_T_NUMBER;
	return to->type == JSON_T_NUMBER ? json_scan_num(&r->s, &ignored) : json_scan_skip(&r->s);
}

static bool
read_value(struct reading *r, struct json_node *to, int depth)
{
	struct sv raw;
	bool ok;

	(void)json_scan_end(&r->s); /* passes blanks */
	to->text.p = r->s.p;
	if (depth > JSON_SCAN_DEPTH || r->s.p == r->s.end)
		return false;
	if (*r->s.p == '"') {
		to->type = JSON_T_STRING;
		return json_scan_str(&r->s, &raw) && take_text(r, raw, &to->text);
	}
	if (*r->s.p == '{' || *r->s.p == '[') {
		to->type = *r->s.p == '{' ? JSON_T_OBJECT : JSON_T_ARRAY;
		r->s.p++;
		ok = read_inside(r, to, depth);
	} else {
		ok = read_plain(r, to);
	}
	to->text.n = (size_t)(r->s.p - to->text.p);
	return ok;
}

const struct json_node *
json_tree_parse(struct sv text, struct arena *a)
{
	struct reading r = {.s = JSON_SCAN_INIT(text), .a = a};
	struct json_node *root = arena_alloc(a, sizeof(*root));

	return root && read_value(&r, root, 0) && json_scan_end(&r.s) ? root : NULL;
}

const struct json_node *
json_tree_get(const struct json_node *obj, const char *name)
{
	const struct json_node *n = obj && obj->type == JSON_T_OBJECT ? obj->first : NULL;
	struct sv want = sv_of(name);

	while (n && !sv_eq(n->name, want))
		n = n->next;
	return n && n->type != JSON_T_NULL ? n : NULL;
}

const struct json_node *
json_tree_of(const struct json_node *obj, const char *name, enum json_type type)
{
	const struct json_node *n = json_tree_get(obj, name);

	return n && n->type == type ? n : NULL;
}

struct sv
json_tree_str(const struct json_node *obj, const char *name)
{
	const struct json_node *n = json_tree_of(obj, name, JSON_T_STRING);

	return n ? n->text : (struct sv){"", 0};
}

bool
json_tree_true(const struct json_node *obj, const char *name)
{
	return json_tree_of(obj, name, JSON_T_TRUE) != NULL;
}
