/*
 * Looking at nodes: what the tables do not say, the program asks here (kinds, names, lists of
 * names).
 */
#include "fmt/conf_node.h"

const struct conf_node *
conf_child(const struct conf_node *node, const char *key)
{
	if (!node || node->kind != NODE_MAP)
		return NULL;
	for (const struct conf_node *c = node->first; c; c = c->next)
		if (!strcmp(c->key, key))
			return c;
	return NULL;
}

const char *
conf_peek(const struct conf_node *node, const char *key)
{
	const struct conf_node *c = conf_child(node, key);

	return c && c->kind == NODE_SCALAR ? c->text : NULL;
}

const struct conf_node *
conf_first(const struct conf_node *of)
{
	if (!of || of->kind == NODE_BAD)
		return NULL;
	return of->kind == NODE_SCALAR ? of : of->first;
}

const struct conf_node *
conf_next(const struct conf_node *of, const struct conf_node *child)
{
	return child == of ? NULL : child->next;
}

bool
conf_is_list(const struct conf_node *node)
{
	return node && node->kind == NODE_LIST;
}

bool
conf_is_map(const struct conf_node *node)
{
	return node && node->kind == NODE_MAP;
}

bool
conf_is_null(const struct conf_node *node)
{
	return !node || node->kind == NODE_NULL;
}

bool
conf_is_bad(const struct conf_node *node)
{
	return node && node->kind == NODE_BAD;
}

const char *
conf_name(const struct conf_node *node)
{
	return node->key_line ? node->key : NULL;
}

const char *
conf_file(const struct conf_node *node)
{
	return node->file;
}

unsigned
conf_line(const struct conf_node *node)
{
	return node->line;
}

bool
conf_meant(const struct conf_node *map, const char *key)
{
	for (const struct conf_node *c = map ? map->first : NULL; c; c = c->next)
		if (c->meant && !strcmp(c->meant, key))
			return true;
	return false;
}

static bool
lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool
conf_name_valid(const char *name)
{
	size_t n = strlen(name);

	if (n < 1 || n > 63 || !lower_or_digit(name[0]))
		return false;
	for (size_t i = 1; i < n; i++)
		if (!lower_or_digit(name[i]) && !strchr("._-", name[i]))
			return false;
	return true;
}
