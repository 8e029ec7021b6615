/*
 * Small XML replies (STS, CloudWatch Query, S3) by expat into a flat tree of local names. A DOCTYPE ends
 * the parse at once; depth, node count and text size are capped.
 */
#ifndef MUSTER_FMT_XML_H
#define MUSTER_FMT_XML_H

#include "base/buf.h"

struct xml_node {
	const char *name; /* local name, without prefix or namespace */
	const char *text; /* concatenated character data, "" if none */
	struct xml_node *child, *next, *parent;
};
struct xml_doc;

/* ERR_DATA with line and column for anything that is not one well-formed document. */
int xml_parse(struct sv text, const char *what, struct xml_doc **ret, struct err *err);
void xml_free(struct xml_doc *d);
static inline void
xml_freep(struct xml_doc **d)
{
	xml_free(*d);
}
const struct xml_node *xml_root(const struct xml_doc *d);
/* First child / next sibling of that name, NULL if none. A NULL node gives NULL. */
const struct xml_node *xml_child(const struct xml_node *n, const char *name);
const struct xml_node *xml_next(const struct xml_node *n, const char *name);
/* Down a path "A/B/C" of first children; NULL if it ends early. */
const struct xml_node *xml_path(const struct xml_node *n, const char *path);
/* Text at a path, or NULL. */
const char *xml_text(const struct xml_node *n, const char *path);

#endif
