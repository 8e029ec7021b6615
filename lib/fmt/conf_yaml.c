/*
 * From YAML to nodes. libyaml's own document loader takes duplicate keys, lists that hold
 * themselves and aliases that multiply without end; here its events are built into a tree that has
 * none of these and knows the place of every key and value.
 */
#include "fmt/conf_node.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <yaml.h>

#include "base/cleanup.h"
#include "base/map.h"

#define STR_TAG "tag:yaml.org,2002:str"

struct parse {
	yaml_parser_t yaml;
	yaml_event_t ev; /* the current one */
	bool have_event;
	const char *file;
	struct sv text;
	struct arena *a, *nodes_a; /* for strings, for nodes */
	const struct conf_apart *apart;
	struct conf_faults *f;
	struct map anchors; /* name -> struct conf_node */
	struct map keys;    /* each has one copy, however often it is used */
	size_t nodes;
};

/* One line and column up from libyaml's marks, which count from 0. */
static unsigned
from_one(size_t n)
{
	return n < UINT32_MAX ? (unsigned)n + 1 : UINT32_MAX;
}

static int
nomem(struct parse *p)
{
	conf_nomem(p->f);
	return -1;
}

static int
syntax_fault(struct parse *p)
{
	const yaml_parser_t *y = &p->yaml;
	unsigned line = from_one(y->problem_mark.line);
	unsigned column = from_one(y->problem_mark.column);
	const char *problem = y->problem ? y->problem : "cannot be understood";

	if (y->error == YAML_MEMORY_ERROR)
		return nomem(p);
	if (y->error == YAML_READER_ERROR)
		conf_place(p->text, y->problem_offset, &line, &column);
	if (y->context)
		conf_fault_at(p->f, p->file, line, column, "not valid YAML: %s, %s in line %u",
			      problem, y->context, from_one(y->context_mark.line));
	else
		conf_fault_at(p->f, p->file, line, column, "not valid YAML: %s", problem);
	return -1;
}

/* libyaml frees as it is what may be a password. */
static void
drop_event(struct parse *p)
{
	if (!p->have_event)
		return;
	if (p->ev.type == YAML_SCALAR_EVENT)
		OPENSSL_cleanse(p->ev.data.scalar.value, p->ev.data.scalar.length);
	yaml_event_delete(&p->ev);
	p->have_event = false;
}

static void
drop_parser(yaml_parser_t *y)
{
	OPENSSL_cleanse(y->raw_buffer.start, (size_t)(y->raw_buffer.end - y->raw_buffer.start));
	OPENSSL_cleanse(y->buffer.start, (size_t)(y->buffer.end - y->buffer.start));
	yaml_parser_delete(y);
}

/* Advance p->ev. */
static int
next_event(struct parse *p)
{
	drop_event(p);
	if (!yaml_parser_parse(&p->yaml, &p->ev))
		return syntax_fault(p);
	p->have_event = true;
	return 0;
}

static struct conf_node *
node_new(struct parse *p, const struct conf_node *parent)
{
	struct conf_node *n;

	if (++p->nodes > CONF_NODES_MAX) {
		conf_fault_at(p->f, p->file, from_one(p->ev.start_mark.line),
			      from_one(p->ev.start_mark.column), "more than %d values",
			      CONF_NODES_MAX);
		return NULL;
	}
	n = arena_alloc(p->nodes_a, sizeof(*n));
	if (!n) {
		conf_nomem(p->f);
		return NULL;
	}
	n->parent = parent;
	n->file = p->file;
	n->line = from_one(p->ev.start_mark.line);
	n->column = from_one(p->ev.start_mark.column);
	return n;
}

static int
remember_anchor(struct parse *p, const yaml_char_t *anchor, struct conf_node *n)
{
	void *old;

	if (!anchor)
		return 0;
	return map_put(&p->anchors, sv_of((const char *)anchor), n, &old, NULL) ? nomem(p) : 0;
}

/* Tags would change what a value means behind the table's back; !!str only says what quotes say. */
static bool
tag_ok(struct parse *p, struct conf_node *n, const yaml_char_t *tag)
{
	const char *t = (const char *)tag;

	if (!t || !strcmp(t, "!") || (n->kind == NODE_SCALAR && !strcmp(t, STR_TAG)))
		return true;
	conf_fault(p->f, n, "the tag '%s' is not supported", t);
	n->kind = NODE_BAD;
	return false;
}

static bool
is_null_text(struct sv s)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (sv_eq(s, sv_of(words[i])))
			return true;
	return false;
}

static int
read_scalar(struct parse *p, struct conf_node *n)
{
	struct sv s = {(const char *)p->ev.data.scalar.value, p->ev.data.scalar.length};
	const yaml_char_t *tag = p->ev.data.scalar.tag;
	bool plain = p->ev.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !tag;

	n->kind = plain && is_null_text(s) ? NODE_NULL : NODE_SCALAR;
	if (!tag_ok(p, n, tag))
		return 0;
	if (memchr(s.p, '\0', s.n)) {
		conf_fault(p->f, n, "holds a NUL character");
		n->kind = NODE_BAD;
		return 0;
	}
	n->text = arena_strdup(p->a, s);
	if (!n->text)
		return nomem(p);
	return remember_anchor(p, p->ev.data.scalar.anchor, n);
}

static void
append(struct conf_node *parent, struct conf_node *child, struct conf_node **last)
{
	child->index = parent->n++;
	if (*last)
		(*last)->next = child;
	else
		parent->first = child;
	*last = child;
}

/* An alias is a copy: the paths in faults are those of the place where it is used, and the limit on
 * nodes holds for what the document means, not for how it is written. */
static int
copy_node(struct parse *p, struct conf_node *to, const struct conf_node *from, unsigned depth)
{
	struct conf_node *last = NULL;

	if (from->first && depth > CONF_DEPTH_MAX) {
		conf_fault(p->f, to, "nested more than %d deep", CONF_DEPTH_MAX);
		return -1;
	}
	to->kind = from->kind;
	to->text = from->text;
	to->line = from->line;
	to->column = from->column;
	for (const struct conf_node *c = from->first; c; c = c->next) {
		struct conf_node *n = node_new(p, to);

		if (!n)
			return -1;
		n->key = c->key;
		n->key_line = c->key_line;
		n->key_column = c->key_column;
		append(to, n, &last);
		if (copy_node(p, n, c, depth + 1))
			return -1;
	}
	return 0;
}

static int
read_alias(struct parse *p, struct conf_node *n, unsigned depth)
{
	const char *name = (const char *)p->ev.data.alias.anchor;
	const struct conf_node *to = map_get(&p->anchors, sv_of(name));

	if (to && !to->open)
		return copy_node(p, n, to, depth);
	n->kind = NODE_BAD;
	if (to)
		conf_fault(p->f, n, "the alias *%s stands inside of what it means", name);
	else
		conf_fault(p->f, n, "no anchor &%s above this alias", name);
	return 0;
}

static int read_node(struct parse *p, struct conf_node *n, unsigned depth);

static int
read_list(struct parse *p, struct conf_node *n, unsigned depth)
{
	struct conf_node *last = NULL;

	for (;;) {
		struct conf_node *c;

		if (next_event(p))
			return -1;
		if (p->ev.type == YAML_SEQUENCE_END_EVENT)
			return 0;
		c = node_new(p, n);
		if (!c)
			return -1;
		append(n, c, &last);
		if (read_node(p, c, depth + 1))
			return -1;
	}
}

/* Why the current event cannot be a key; NULL if it can. */
static const char *
key_trouble(const struct parse *p)
{
	const char *text = (const char *)p->ev.data.scalar.value;
	size_t n = p->ev.data.scalar.length;

	if (p->ev.type != YAML_SCALAR_EVENT || memchr(text, '\0', n))
		return "a key should be a plain string";
	if (p->ev.data.scalar.tag)
		return "tags on keys are not supported";
	if (p->ev.data.scalar.plain_implicit && !strcmp(text, "<<"))
		return "merge keys (<<) are not supported; write the keys out";
	return NULL;
}

/* NULL without memory. */
static const char *
key_text(struct parse *p, struct sv key)
{
	char *text = map_get(&p->keys, key);

	if (text)
		return text;
	text = arena_strdup(p->a, key);
	return text && map_put(&p->keys, key, text, NULL, NULL) == 0 ? text : NULL;
}

/* The current event as the key of a new value. After a fault about it the value is NODE_BAD and has
 * no key. */
static int
read_key(struct parse *p, const struct conf_node *map, struct conf_node **ret)
{
	struct conf_node *c = node_new(p, map);
	const char *trouble = key_trouble(p);

	if (!c)
		return -1;
	*ret = c;
	c->key_line = c->line;
	c->key_column = c->column;
	if (trouble) {
		conf_fault(p->f, c, "%s", trouble);
		c->kind = NODE_BAD;
		return 0;
	}
	c->key = key_text(
	    p, (struct sv){(const char *)p->ev.data.scalar.value, p->ev.data.scalar.length});
	return c->key ? 0 : nomem(p);
}

/* A fault about a key that was given before; the first one counts. */
static int
check_twice(struct parse *p, struct map *seen, struct conf_node *c, bool *twice)
{
	const struct conf_node *before = map_get(seen, sv_of(c->key));
	void *old;

	*twice = before != NULL;
	if (before) {
		conf_fault_key(p->f, c, "given twice, first in line %u", before->key_line);
		return 0;
	}
	return map_put(seen, sv_of(c->key), c, &old, NULL) ? nomem(p) : 0;
}

/* The value of a key; what is below it apart, if it is that key. */
static int
read_value(struct parse *p, struct conf_node *c, unsigned depth)
{
	struct arena *before = p->nodes_a;
	int rc;

	if (depth == 1 && c->key && p->apart && p->apart->key && !strcmp(c->key, p->apart->key))
		p->nodes_a = p->apart->nodes;
	rc = read_node(p, c, depth + 1);
	p->nodes_a = before;
	return rc;
}

static int
read_pair(struct parse *p, struct conf_node *n, unsigned depth, struct map *seen,
	  struct conf_node **last)
{
	struct conf_node *c, *key_alone;
	bool drop;

	if (read_key(p, n, &c))
		return -1;
	drop = c->kind == NODE_BAD;
	if (!drop && check_twice(p, seen, c, &drop))
		return -1;
	if (drop && p->ev.type != YAML_SCALAR_EVENT && p->ev.type != YAML_ALIAS_EVENT) {
		/* A list or mapping as key: read it for the sake of its end. */
		key_alone = node_new(p, n);
		if (!key_alone || read_node(p, key_alone, depth + 1))
			return -1;
	}
	if (next_event(p))
		return -1;
	c->line = from_one(p->ev.start_mark.line);
	c->column = from_one(p->ev.start_mark.column);
	if (!drop)
		append(n, c, last);
	return read_value(p, c, depth);
}

static int
read_map(struct parse *p, struct conf_node *n, unsigned depth)
{
	struct conf_node *last = NULL;
	struct map seen = MAP_INIT;
	int rc = 0;

	for (;;) {
		rc = next_event(p);
		if (rc || p->ev.type == YAML_MAPPING_END_EVENT)
			break;
		rc = read_pair(p, n, depth, &seen, &last);
		if (rc)
			break;
	}
	map_done(&seen, NULL);
	return rc;
}

static int
read_collection(struct parse *p, struct conf_node *n, unsigned depth)
{
	bool list = p->ev.type == YAML_SEQUENCE_START_EVENT;
	const yaml_char_t *anchor =
	    list ? p->ev.data.sequence_start.anchor : p->ev.data.mapping_start.anchor;
	const yaml_char_t *tag =
	    list ? p->ev.data.sequence_start.tag : p->ev.data.mapping_start.tag;
	int rc;

	if (depth > CONF_DEPTH_MAX) {
		conf_fault(p->f, n, "nested more than %d deep", CONF_DEPTH_MAX);
		return -1;
	}
	n->kind = list ? NODE_LIST : NODE_MAP;
	if (remember_anchor(p, anchor, n))
		return -1;
	(void)tag_ok(p, n, tag);
	n->open = true;
	rc = list ? read_list(p, n, depth) : read_map(p, n, depth);
	n->open = false;
	return rc;
}

/* The current event, and all that belongs to it, into n. */
static int
read_node(struct parse *p, struct conf_node *n, unsigned depth)
{
	switch (p->ev.type) {
	case YAML_SCALAR_EVENT:
		return read_scalar(p, n);
	case YAML_ALIAS_EVENT:
		return read_alias(p, n, depth);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return read_collection(p, n, depth);
	default:
		conf_fault(p->f, n, "not valid YAML: a value was expected");
		return -1;
	}
}

/* Stream start, one document, stream end. */
static struct conf_node *
read_document(struct parse *p)
{
	struct conf_node *root;

	if (next_event(p) || next_event(p))
		return NULL;
	if (p->ev.type != YAML_DOCUMENT_START_EVENT) {
		conf_fault_at(p->f, p->file, 1, 1, "the file is empty");
		return NULL;
	}
	if (next_event(p))
		return NULL;
	root = node_new(p, NULL);
	if (!root || read_node(p, root, 1) || next_event(p) || next_event(p))
		return NULL;
	if (p->ev.type != YAML_STREAM_END_EVENT) {
		conf_fault_at(p->f, p->file, from_one(p->ev.start_mark.line), 1,
			      "a second document begins here; only one is read");
		return NULL;
	}
	return root;
}

const struct conf_node *
conf_parse_apart(const char *name, struct sv text, struct arena *a, const struct conf_apart *apart,
		 struct conf_faults *f)
{
	struct parse p = {.a = a, .apart = apart, .f = f, .anchors = MAP_INIT, .keys = MAP_INIT};
	struct conf_node *root = NULL;

	if (sv_starts(text, SV("\xEF\xBB\xBF"))) {
		text.p += 3;
		text.n -= 3;
	}
	p.text = text;
	p.nodes_a = apart && !apart->key ? apart->nodes : a;
	p.file = arena_strdup(a, sv_of(name));
	conf_faults_file(f, name);
	if (!p.file || !yaml_parser_initialize(&p.yaml)) {
		conf_nomem(f);
		return NULL;
	}
	if (text.n > CONF_FILE_MAX) {
		conf_fault_at(f, name, 1, 1, "larger than %zu MiB", CONF_FILE_MAX >> 20);
	} else if (conf_utf8_ok(name, text, f)) {
		yaml_parser_set_encoding(&p.yaml, YAML_UTF8_ENCODING);
		yaml_parser_set_input_string(&p.yaml, (const unsigned char *)text.p, text.n);
		root = read_document(&p);
	}
	drop_event(&p);
	drop_parser(&p.yaml);
	map_done(&p.anchors, NULL);
	map_done(&p.keys, NULL);
	return root;
}

const struct conf_node *
conf_parse(const char *name, struct sv text, struct arena *a, struct conf_faults *f)
{
	return conf_parse_apart(name, text, a, NULL, f);
}
