/*
 * A JSON text as a tree in an arena, with its numbers as they stand: for documents whose times have more digits than a double. What is
 * written again goes out with the very digits that came in.
 *
 * Strings are views into the text, or copies in the arena where they have escapes; they may hold NULs and invalid UTF-8. A member that is
 * there twice is there twice: json_tree_get() finds the first.
 */
#ifndef MUSTER_FMT_JSON_TREE_H
#define MUSTER_FMT_JSON_TREE_H

#include <stdbool.h>

#include "base/arena.h"

enum json_type { JSON_T_NULL, JSON_T_TRUE, JSON_T_FALSE, JSON_T_NUMBER, JSON_T_STRING, JSON_T_OBJECT, JSON_T_ARRAY };

struct json_node {
	enum json_type type;
	struct sv name; /* of a member; empty for others */
	struct sv text; /* of a string: what it stands for; of anything else: as it stands in the document */
	const struct json_node *first, *next;
};

/* One value and nothing else, JSON_SCAN_DEPTH deep at most; `text` has to live as long. NULL: it is not that, or a->no_memory. */
const struct json_node *json_tree_parse(struct sv text, struct arena *a);
/* NULL where obj is NULL or no object, or has no such member, or that is null. */
const struct json_node *json_tree_get(const struct json_node *obj, const char *name);
/* The member of this type, or NULL. */
const struct json_node *json_tree_of(const struct json_node *obj, const char *name, enum json_type type);
/* The text of a member that is a string; empty: there is none. */
struct sv json_tree_str(const struct json_node *obj, const char *name);
/* Is the member true? */
bool json_tree_true(const struct json_node *obj, const char *name);

#endif
