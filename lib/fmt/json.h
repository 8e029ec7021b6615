/*
 * Typed reading of JSON over jansson: every error says where in the document (a JSON pointer) and what
 * was expected. For configuration-sized documents, state and replies; not for the pages of the hot path.
 *
 * Getters on an object: `required` false means that an absent or null member leaves *ret untouched and is
 * no error. A member of another type is always ERR_DATA.
 */
#ifndef MUSTER_FMT_JSON_H
#define MUSTER_FMT_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/spool.h"

/* Strict: one value, no duplicate keys, valid UTF-8, NULs in strings allowed, depth at most 64 (ERR_DATA otherwise, with
 * line and column). The caller owns the result (json_decref,
 * CLEANUP(json_decrefp)). `what` names the document in errors. */
int json_parse(struct sv text, const char *what, json_t **ret, struct err *err);

/* `path` is the pointer of obj for the error text, e.g. "/streams/0". */
int json_get_str(const json_t *obj, const char *path, const char *key, bool required, const char **ret, struct err *err);
int json_get_i64(const json_t *obj, const char *path, const char *key, bool required, int64_t *ret, struct err *err);
/* Integer or real. */
int json_get_num(const json_t *obj, const char *path, const char *key, bool required, double *ret, struct err *err);
int json_get_bool(const json_t *obj, const char *path, const char *key, bool required, bool *ret, struct err *err);
/* Borrowed; *ret NULL when absent and not required. */
int json_get_obj(const json_t *obj, const char *path, const char *key, bool required, json_t **ret, struct err *err);
int json_get_arr(const json_t *obj, const char *path, const char *key, bool required, json_t **ret, struct err *err);

/* Append a JSON string with its quotes: control characters, quotes and backslashes escaped, U+2028/2029 as is, invalid
 * UTF-8 replaced by U+FFFD (one for each maximal bad run per Unicode 3.9). Returns true if something was replaced. */
bool json_escape(struct buf *out, struct sv s);
/* What stands before it as it is (`,"key":`), then the string, or null for NULL. */
void json_add_str(struct buf *out, const char *before, const char *value);
/* Appends JSON text for a terminal: what deceives (utf8.h) and stands in it as it is, written \uXXXX, so that the document
 * is the same. Returns how many bytes of it were taken: all but a character at the end that is not all there. */
size_t json_plainly(struct buf *out, struct sv json);
/* Compact or indented (2) text of a tree with sorted keys, for state and reports. */
int json_dump(const json_t *j, bool indent, struct buf *out, struct err *err);
/* A long list that is made item by item while it is written, and so never is in memory as a tree or as text. */
struct json_list {
	const char *key;           /* of the document's own members; what stands there is replaced */
	json_t *(*next)(void *arg); /* the next item, which is given away; NULL behind the last one */
	void *arg;
};
/* As json_dump, indented, with these lists. */
int json_dump_lists(const json_t *j, const struct json_list *lists, size_t n, struct spool *out, struct err *err);

#endif
