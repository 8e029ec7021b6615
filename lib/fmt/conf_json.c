/*
 * Configuration as JSON. A cassette carries the configuration of its run with the secrets left out,
 * so the file cannot simply be copied; what is known to hold none is copied by this.
 */
#include "fmt/conf_json.h"

#include "fmt/conf_node.h"

static json_t *
list_json(const struct conf_node *node)
{
	json_t *list = json_array();

	for (const struct conf_node *n = node->first; list && n; n = n->next) {
		if (json_array_append_new(list, conf_json(n))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *
map_json(const struct conf_node *node)
{
	json_t *map = json_object();

	for (const struct conf_node *n = node->first; map && n; n = n->next) {
		if (json_object_set_new(map, n->key, conf_json(n))) {
			json_decref(map);
			return NULL;
		}
	}
	return map;
}

/* As deep as the file was: conf_load bounds it. */
json_t *
conf_json(const struct conf_node *node)
{
	if (node && node->kind == NODE_LIST)
		return list_json(node);
	if (node && node->kind == NODE_MAP)
		return map_json(node);
	return node && node->kind == NODE_SCALAR ? json_string(node->text) : json_null();
}
