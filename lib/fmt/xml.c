/*
 * Small XML replies; see xml.h. Document type declarations end the parse before they can define an
 * entity, and everything the tree keeps comes out of one arena with a ceiling.
 */
#include "fmt/xml.h"

#include <expat.h>
#include <limits.h>
#include <malloc.h>
#include <openssl/crypto.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/secret.h"

#define DEPTH_MAX 64
#define NODES_MAX 200000
#define TEXT_MAX  ((size_t)16 << 20) /* of the document, and of the text of one node */
#define TEXT_ROOM                                                                                  \
	4095 /* for a node's text at first: a buffer that grows leaves its bytes behind            \
	      */
#define TREE_MAX ((size_t)64 << 20)

struct xml_doc {
	struct arena arena;
	struct xml_node *root;
};

/* Open elements are a stack: the node, its last child and the text so far. */
struct level {
	struct xml_node *node, *last;
	struct buf text;
};

struct parse {
	XML_Parser parser;
	struct xml_doc *doc;
	struct level stack[DEPTH_MAX];
	size_t depth, nodes;
	const char *why; /* our own reason to stop, static text, and where */
	unsigned long line, column;
	bool no_memory; /* that was it */
};

/* Replies of STS carry keys, and expat copies its input: its memory is wiped when it is freed. */
static void
wipe_and_free(void *p)
{
	if (p)
		OPENSSL_cleanse(p, malloc_usable_size(p));
	free(p);
}

static void *
move(void *p, size_t n)
{
	size_t had = p ? malloc_usable_size(p) : 0;
	void *q = malloc(n);

	if (q && p) {
		memcpy(q, p, had < n ? had : n);
		wipe_and_free(p);
	}
	return q;
}

static void
mark_place(struct parse *p)
{
	p->line = XML_GetCurrentLineNumber(p->parser);
	p->column = XML_GetCurrentColumnNumber(p->parser) + 1;
}

static void
stop(struct parse *p, const char *why)
{
	if (p->why)
		return;
	p->why = why;
	mark_place(p);
	(void)XML_StopParser(p->parser, XML_FALSE);
}

/* Something has no room. */
static void
full(struct parse *p, bool no_memory)
{
	p->no_memory = no_memory;
	stop(p, "document too large");
}

/* The parser writes "uri|name", and a name has no bar. */
static const char *
local_name(const char *name)
{
	const char *bar = strrchr(name, '|');

	return bar ? bar + 1 : name;
}

static void
link_node(struct parse *p, struct xml_node *n)
{
	struct level *up = p->depth ? &p->stack[p->depth - 1] : NULL;

	if (!up)
		p->doc->root = n;
	else if (up->last)
		up->last->next = n;
	else
		up->node->child = n;
	if (up) {
		n->parent = up->node;
		up->last = n;
	}
}

static void
on_start(void *arg, const XML_Char *name, const XML_Char **atts)
{
	struct parse *p = arg;
	struct xml_node *n;

	(void)atts;
	if (p->depth == DEPTH_MAX) {
		stop(p, "elements nested too deep");
		return;
	}
	if (p->nodes++ == NODES_MAX) {
		stop(p, "too many elements");
		return;
	}
	n = arena_alloc(&p->doc->arena, sizeof(*n));
	if (n)
		n->name = arena_strdup(&p->doc->arena, sv_of(local_name(name)));
	if (!n || !n->name) {
		full(p, p->doc->arena.no_memory);
		return;
	}
	n->text = "";
	link_node(p, n);
	p->stack[p->depth].node = n;
	p->stack[p->depth].last = NULL;
	buf_reset(&p->stack[p->depth].text);
	(void)buf_reserve(&p->stack[p->depth].text, TEXT_ROOM);
	p->depth++;
}

static void
on_end(void *arg, const XML_Char *name)
{
	struct parse *p = arg;
	struct level *top;

	(void)name;
	/* Expat may still report the end of an element whose start has stopped the parse. */
	if (p->why)
		return;
	top = &p->stack[--p->depth];
	if (top->text.n)
		top->node->text = arena_strdup(&p->doc->arena, buf_view(&top->text));
	if (!buf_ok(&top->text))
		full(p, top->text.no_memory);
	else if (!top->node->text)
		full(p, p->doc->arena.no_memory);
}

static void
on_text(void *arg, const XML_Char *s, int len)
{
	struct parse *p = arg;

	if (!p->why && p->depth)
		buf_add(&p->stack[p->depth - 1].text, s, (size_t)len);
}

static void
on_doctype(void *arg, const XML_Char *name, const XML_Char *sysid, const XML_Char *pubid,
	   int has_internal)
{
	(void)name;
	(void)sysid;
	(void)pubid;
	(void)has_internal;
	stop(arg, "document type declarations are not allowed");
}

static int
run(struct parse *p, struct sv text, const char *what, struct err *err)
{
	XML_SetUserData(p->parser, p);
	XML_SetElementHandler(p->parser, on_start, on_end);
	XML_SetCharacterDataHandler(p->parser, on_text);
	XML_SetStartDoctypeDeclHandler(p->parser, on_doctype);
	if (XML_Parse(p->parser, text.n ? text.p : "", (int)text.n, 1) == XML_STATUS_OK)
		return 0;
	if (!p->why) {
		p->why = XML_ErrorString(XML_GetErrorCode(p->parser));
		mark_place(p);
	}
	if (p->no_memory || XML_GetErrorCode(p->parser) == XML_ERROR_NO_MEMORY)
		return err_set(err, ERR_LOCAL, "%s: out of memory", what);
	return err_set(err, ERR_DATA, "%s: line %lu, column %lu: %s", what, p->line, p->column,
		       p->why);
}

static void
parse_freep(struct parse **pp)
{
	struct parse *p = *pp;

	if (!p)
		return;
	for (size_t i = 0; i < DEPTH_MAX; i++)
		secret_wipe_buf(&p->stack[i].text);
	if (p->parser)
		XML_ParserFree(p->parser);
	xml_free(p->doc);
	free(p);
}

int
xml_parse(struct sv text, const char *what, struct xml_doc **ret, struct err *err)
{
	static const XML_Memory_Handling_Suite wiping = {malloc, move, wipe_and_free};
	CLEANUP(parse_freep) struct parse *p = NULL;

	if (text.n > TEXT_MAX)
		return err_set(err, ERR_DATA, "%s: larger than %zu bytes", what, TEXT_MAX);
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_nomem(err);
	for (size_t i = 0; i < DEPTH_MAX; i++)
		p->stack[i].text = BUF_INIT(TEXT_MAX);
	p->doc = calloc(1, sizeof(*p->doc));
	p->parser = XML_ParserCreate_MM(NULL, &wiping, "|");
	if (!p->doc || !p->parser)
		return err_nomem(err);
	p->doc->arena = ARENA_INIT(TREE_MAX);
	if (run(p, text, what, err) < 0)
		return -1;
	*ret = STEAL(p->doc);
	return 0;
}

void
xml_free(struct xml_doc *d)
{
	if (d)
		arena_done(&d->arena);
	free(d);
}

const struct xml_node *
xml_root(const struct xml_doc *d)
{
	return d->root;
}

/* n or the first after it that has the name. */
static const struct xml_node *
find(const struct xml_node *n, struct sv name)
{
	while (n && !sv_eq(sv_of(n->name), name))
		n = n->next;
	return n;
}

const struct xml_node *
xml_child(const struct xml_node *n, const char *name)
{
	return n ? find(n->child, sv_of(name)) : NULL;
}

const struct xml_node *
xml_next(const struct xml_node *n, const char *name)
{
	return n ? find(n->next, sv_of(name)) : NULL;
}

const struct xml_node *
xml_path(const struct xml_node *n, const char *path)
{
	while (n && *path) {
		size_t len = strcspn(path, "/");

		n = find(n->child, (struct sv){path, len});
		path += len;
		path += *path == '/';
	}
	return n;
}

const char *
xml_text(const struct xml_node *n, const char *path)
{
	const struct xml_node *at = xml_path(n, path);

	return at ? at->text : NULL;
}
