/*
 * From nodes to structs: walks a mapping beside its tables. What a key's row says is all there is
 * to know about it; nothing here knows a key by name.
 */
#include "fmt/conf_node.h"

#include <stdlib.h>

struct reading {
	struct arena *a;
	struct conf_faults *f;
};

static void fill(const struct conf_node *node, const struct conf_key *const *tables,
		 void *const *outs, bool required, const struct reading *r);

/* The row of a key in any of the tables. */
static const struct conf_key *
find_row(const struct conf_key *const *tables, const char *name)
{
	for (; *tables; tables++)
		for (const struct conf_key *k = *tables; k->name; k++)
			if (!strcmp(k->name, name))
				return k;
	return NULL;
}

static void
unknown_key(struct conf_node *node, const struct conf_key *const *tables, const struct reading *r)
{
	const char *names[256];
	size_t n = 0;

	for (; *tables; tables++)
		for (const struct conf_key *k = *tables; k->name && n < 256; k++)
			names[n++] = k->name;
	node->meant = conf_nearest(node->key, names, n);
	if (node->meant)
		conf_fault_key(r->f, node, "unknown key (did you mean %s?)", node->meant);
	else
		conf_fault_key(r->f, node, "unknown key");
}

/* False after a fault: the node is not of the wanted shape. */
static bool
shape_ok(const struct conf_node *node, enum conf_node_kind want, const struct conf_key *k,
	 const struct reading *r)
{
	if (node->kind == want)
		return true;
	if (node->kind != NODE_BAD)
		conf_fault(r->f, node, "should be %s", conf_type_name(k));
	return false;
}

static bool
empty_ok(const struct conf_node *node, const struct conf_key *k, const struct reading *r)
{
	if (node->first || (k->flags & CONF_EMPTY_OK))
		return true;
	conf_fault(r->f, node, "should not be empty");
	return false;
}

static void *
array_of(size_t n, size_t size, const struct reading *r)
{
	void *v = arena_array(r->a, n, size);

	if (!v)
		conf_nomem(r->f);
	return v;
}

static void
read_strings(const struct conf_key *k, const struct conf_node *node, void *at,
	     const struct reading *r)
{
	struct conf_strings *out = at;

	if (node->kind != NODE_SCALAR &&
	    (!shape_ok(node, NODE_LIST, k, r) || !empty_ok(node, k, r)))
		return;
	out->v = array_of(node->kind == NODE_SCALAR ? 1 : node->n, sizeof(*out->v), r);
	if (!out->v)
		return;
	for (const struct conf_node *c = conf_first(node); c; c = conf_next(node, c)) {
		const char *s = conf_read_text(k, c, r->a, r->f);

		if (s && !*s)
			conf_fault(r->f, c, "should not be empty");
		else if (s)
			out->v[out->n++] = s;
	}
}

static void
read_stringss(const struct conf_key *k, const struct conf_node *node, void *at,
	      const struct reading *r)
{
	struct conf_key inner = *k;
	struct conf_stringss *out = at;

	inner.flags |= CONF_EMPTY_OK;
	if (!shape_ok(node, NODE_LIST, k, r) || !empty_ok(node, k, r))
		return;
	out->v = array_of(node->n, sizeof(*out->v), r);
	if (!out->v)
		return;
	for (const struct conf_node *c = node->first; c; c = c->next)
		if (shape_ok(c, NODE_LIST, k, r))
			read_strings(&inner, c, &out->v[out->n++], r);
}

static void
read_pairs(const struct conf_key *k, const struct conf_node *node, void *at,
	   const struct reading *r)
{
	struct conf_map *out = at;

	if (!shape_ok(node, NODE_MAP, k, r))
		return;
	out->v = array_of(node->n, sizeof(*out->v), r);
	if (!out->v)
		return;
	for (const struct conf_node *c = node->first; c; c = c->next) {
		const char *s = conf_read_text(k, c, r->a, r->f);

		if (s)
			out->v[out->n++] = (struct conf_pair){c->key, s};
	}
}

/* Each child of a list or mapping into its own struct. */
static void
read_structs(const struct conf_key *k, const struct conf_node *node, void *at,
	     const struct reading *r)
{
	const struct conf_key *tables[] = {k->table, NULL};
	struct conf_array *out = at;

	if (!shape_ok(node, k->type == CONF_NAMED ? NODE_MAP : NODE_LIST, k, r) ||
	    !empty_ok(node, k, r))
		return;
	out->v = array_of(node->n, k->elem_size, r);
	if (!out->v)
		return;
	for (const struct conf_node *c = node->first; c; c = c->next) {
		void *elem = (char *)out->v + out->n++ * k->elem_size;

		if (k->type == CONF_NAMED) {
			*(const char **)(void *)((char *)elem + k->name_offset) = c->key;
			if (!conf_name_valid(c->key))
				conf_fault_key(r->f, c, CONF_NAME_RULE);
		}
		fill(c, tables, &elem, true, r);
	}
}

static void
read_table(const struct conf_key *k, const struct conf_node *node, void *at,
	   const struct reading *r)
{
	const struct conf_key *tables[] = {k->table, NULL};

	fill(node, tables, &at, true, r);
}

static void
read_node(const struct conf_key *k, const struct conf_node *node, void *at, const struct reading *r)
{
	(void)k;
	(void)r;
	*(const struct conf_node **)at = node;
}

static void (*const readers[])(const struct conf_key *k, const struct conf_node *node, void *at,
			       const struct reading *r) = {
    [CONF_STRINGS] = read_strings, [CONF_STRINGSS] = read_stringss, [CONF_MAP] = read_pairs,
    [CONF_TABLE] = read_table,	   [CONF_TABLES] = read_structs,    [CONF_NAMED] = read_structs,
    [CONF_NODE] = read_node,
};

/* A default is read as if it stood in the file; lists are written "a b c". A fault here is a
 * mistake in the program's own table, and is told like any other. */
static void
apply_default(const struct conf_key *k, void *out, const struct reading *r)
{
	struct conf_node node = {
	    .kind = NODE_SCALAR, .line = 1, .column = 1, .file = "default", .text = k->deflt};
	const struct conf_key *tables[] = {k->table, NULL};
	void *at = (char *)out + k->offset;

	if (k->type == CONF_TABLE)
		fill(NULL, tables, &at, false, r);
	else if (k->deflt && conf_is_scalar_type(k->type))
		conf_read_scalar(k, &node, out, r->a, r->f);
	else if (k->deflt && k->type == CONF_STRINGS)
		read_strings(k, &node, at, r);
}

static void
set_node(const struct conf_key *k, const struct conf_node *node, void *out)
{
	if (k->node_offset)
		*(const struct conf_node **)(void *)((char *)out + k->node_offset) = node;
}

static void
read_row(const struct conf_key *k, const struct conf_node *map, void *out, bool required,
	 const struct reading *r)
{
	const struct conf_node *node = conf_child(map, k->name);

	if (!node || node->kind == NODE_NULL) {
		if (required && (k->flags & CONF_REQUIRED) && !conf_meant(map, k->name))
			conf_fault_missing(r->f, map, k->name, "missing");
		apply_default(k, out, r);
		return;
	}
	set_node(k, node, out);
	if (conf_is_scalar_type(k->type)) {
		apply_default(k, out, r); /* what stands if the value is wrong */
		conf_read_scalar(k, node, out, r->a, r->f);
	} else {
		readers[k->type](k, node, (char *)out + k->offset, r);
	}
}

/* `required` false: defaults only, and nothing is missing. A null node is an empty mapping. */
static void
fill(const struct conf_node *node, const struct conf_key *const *tables, void *const *outs,
     bool required, const struct reading *r)
{
	if (node && node->kind != NODE_MAP && node->kind != NODE_NULL) {
		if (node->kind != NODE_BAD)
			conf_fault(r->f, node, "should be a mapping of keys");
		required = false;
		node = NULL;
	}
	for (struct conf_node *c = node ? node->first : NULL; c; c = c->next)
		if (!find_row(tables, c->key))
			unknown_key(c, tables, r);
	for (size_t i = 0; tables[i]; i++)
		for (const struct conf_key *k = tables[i]; k->name; k++)
			read_row(k, node, outs[i], required, r);
}

void
conf_read(const struct conf_node *node, const struct conf_key *const *tables, void *const *outs,
	  struct arena *a, struct conf_faults *f)
{
	const struct reading r = {.a = a, .f = f};

	fill(node, tables, outs, node != NULL, &r);
}
