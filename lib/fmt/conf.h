/*
 * Configuration as tables: one row a key gives the parser, its checks and the text of `help
 * config`.
 *
 * YAML (libyaml) becomes a tree of nodes with line and column; a table of rows then fills a plain C
 * struct. All faults are collected, none stops the reading: unknown keys (with the nearest known
 * one), wrong types, bad values, duplicates, missing required keys. Environment references ${NAME},
 * ${NAME:-default} and $$ are replaced in values, except in rows marked CONF_RAW (queries, regular
 * expressions). Aliases to finished anchors are copied, up to a total of 100,000 nodes; loops,
 * merge keys and tags other than !!str are faults. null, ~ and an empty value mean that the key is
 * absent.
 *
 * Nodes, strings, lists and structs live in the arena given to conf_load and conf_read; a long list
 * can have its nodes elsewhere, to be freed when it is read (struct conf_apart). Not thread-safe.
 */
#ifndef MUSTER_FMT_CONF_H
#define MUSTER_FMT_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"

#define CONF_FILE_MAX  ((size_t)16 << 20)
#define CONF_DEPTH_MAX 32
#define CONF_NODES_MAX 100000

struct conf_node; /* a YAML node with its place */
struct conf_faults;

/* Faults: each is one line "file:line:column: key: text". Without memory for one, the count still
 * grows and the line says so; a NULL conf_faults counts as one such fault. */
struct conf_faults *conf_faults_new(void);
void conf_faults_free(struct conf_faults *f);
size_t conf_faults_count(const struct conf_faults *f);
/* Sorted by file, line, column; the text is valid until the next fault is added. */
const char *conf_faults_get(const struct conf_faults *f, size_t i);
/* Add one about `node` (NULL: about the whole file, the first that was read); the key's full path
 * ("jobs.ecs.every", "tenants[0].account") is put in front. Control characters come out escaped. */
void conf_fault(struct conf_faults *f, const struct conf_node *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same at the key under which the node stands: "unknown key" and the like. */
void conf_fault_key(struct conf_faults *f, const struct conf_node *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* About a key that is not in the mapping `node`. */
void conf_fault_missing(struct conf_faults *f, const struct conf_node *node, const char *key,
			const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* There was no memory, which is nobody's fault: what else is told may come of that alone. */
void conf_nomem(struct conf_faults *f);
/* `path` could not be read. Where the machine is to blame for that (errnum_is_trouble) it is as without memory; else it
 * is a fault at `node`, or (NULL) of that file. */
void conf_unreadable(struct conf_faults *f, const struct conf_node *node, const char *path, int errnum);
/* ERR_LOCAL if either was the machine's doing; else 0. `path`: of the whole configuration. */
int conf_faults_local(const struct conf_faults *f, const char *path, struct err *err);
/* What a reader of a value said: one about `node`, or that there was no memory. */
void conf_fault_err(struct conf_faults *f, const struct conf_node *node, const struct err *err);

enum conf_type {
	CONF_STRING,   /* const char * */
	CONF_BOOL,     /* bool */
	CONF_INT,      /* int64_t, within min..max if these differ */
	CONF_DURATION, /* int64_t ms, within min..max if these differ */
	CONF_BYTES,    /* uint64_t; also "50GB/d" when the row has CONF_PER_DAY */
	CONF_NUMBER,   /* double, finite; also "5/s" when the row has CONF_PER_SECOND */
	CONF_STRINGS,  /* struct conf_strings; a single string counts as a list of one */
	CONF_STRINGSS, /* struct conf_stringss: list of lists of strings (dimension sets) */
	CONF_MAP,      /* struct conf_map: string to string, order kept */
	CONF_ENUM,     /* int: index into `words` */
	CONF_TABLE,    /* nested struct by `table`, in place at the offset */
	CONF_TABLES, /* struct conf_array of structs of `elem_size` by `table`: list of mappings */
	CONF_NAMED,  /* the same from a mapping name -> mapping; the name goes to `name_offset` */
	CONF_NODE,   /* const struct conf_node *, for the caller to read later with conf_read */
};

enum conf_flags {
	CONF_REQUIRED = 1,
	CONF_RAW = 2,	    /* no environment references */
	CONF_REGEX = 4,	    /* must compile as a POSIX extended regular expression (implies RAW) */
	CONF_PER_DAY = 8,   /* BYTES: "/d" may follow */
	CONF_OFF = 16,	    /* DURATION: "none" and "off" mean 0 */
	CONF_EMPTY_OK = 32, /* STRING, STRINGS, STRINGSS, TABLES: "" or [] is a value */
	CONF_PER_SECOND = 64, /* NUMBER: "/s" may follow, "none" means 0, and less is no value */
	CONF_OR_ONCE = 128, /* DURATION: "once" means CONF_ONCE_MS */
};

#define CONF_ONCE_MS INT64_C(-1)

struct conf_strings {
	const char **v;
	size_t n;
};
struct conf_stringss {
	struct conf_strings *v;
	size_t n;
};
struct conf_map {
	struct conf_pair {
		const char *key, *value;
	} * v;
	size_t n;
};
struct conf_array {
	void *v;
	size_t n;
};

struct conf_key {
	const char *name;
	enum conf_type type;
	size_t offset;
	unsigned flags;
	const char *deflt;	  /* as it would be written, parsed like a value; NULL: zero */
	const char *help;	  /* one sentence for `help config` */
	int64_t min, max;	  /* INT, DURATION */
	const char *const *words; /* ENUM, NULL-terminated */
	const struct conf_key *table;
	size_t elem_size, name_offset;
	/* If not 0: a `const struct conf_node *` in the struct gets the value's node (NULL: the key
	 * is absent), for faults found later. */
	size_t node_offset;
};
/* A table ends with a row whose name is NULL. */
#define CONF_END                                                                                   \
	{                                                                                          \
		.name = NULL                                                                       \
	}

/* Nodes that are not needed for as long as what is read from them: those below the value of this key
 * of the document, or (NULL) all. Strings are in the arena of the others. */
struct conf_apart {
	const char *key;
	struct arena *nodes;
};
/* Read a file (or text, for tests) into nodes. NULL, with a fault added, when there is no document:
 * nothing to read, broken YAML, beyond a limit. `apart` NULL: all nodes are in a. */
const struct conf_node *conf_load(const char *path, struct arena *a, const struct conf_apart *apart,
				  struct conf_faults *f);
const struct conf_node *conf_parse(const char *name, struct sv text, struct arena *a,
				   struct conf_faults *f);

/* Fill `outs` (zeroed by the caller, defaults applied here) from a mapping node by a
 * NULL-terminated list of tables that share one key space (common keys + the kind's own). `node`
 * NULL: defaults only, and nothing is required. */
void conf_read(const struct conf_node *node, const struct conf_key *const *tables,
	       void *const *outs, struct arena *a, struct conf_faults *f);

/* Kind lookup before the rest is read: string value of a key in a mapping as it is written, NULL if
 * absent or not a string. */
const char *conf_peek(const struct conf_node *node, const char *key);
/* The value of a key in a mapping; NULL if there is none, or the node is NULL or no mapping. */
const struct conf_node *conf_child(const struct conf_node *node, const char *key);
/* Values of a mapping or items of a list, in order; NULL at the end. A scalar counts as a list of
 * itself. */
const struct conf_node *conf_first(const struct conf_node *of);
const struct conf_node *conf_next(const struct conf_node *of, const struct conf_node *child);
bool conf_is_list(const struct conf_node *node);
bool conf_is_map(const struct conf_node *node);
bool conf_is_null(const struct conf_node *node);
/* Already the subject of a fault: say no more about it. */
bool conf_is_bad(const struct conf_node *node);
/* Where a node stands: its file and line. */
const char *conf_file(const struct conf_node *node);
unsigned conf_line(const struct conf_node *node);
/* The key under which a value stands in its mapping; NULL in lists. */
const char *conf_name(const struct conf_node *node);
/* Was an unknown key of this mapping taken for a misspelling of `key`? Then that it is missing has
 * been said already. */
bool conf_meant(const struct conf_node *map, const char *key);
/* [a-z0-9][a-z0-9._-]{0,62}: what tenants, jobs and sinks may be called. */
bool conf_name_valid(const char *name);
#define CONF_NAME_RULE                                                                             \
	"names are made of a-z, 0-9, '.', '_' and '-', begin with a letter or digit and have at "  \
	"most "                                                                                    \
	"63 characters"

/* The nearest of n words for "(did you mean x?)": at most 2 edits or a third of the length away, or
 * NULL. */
const char *conf_nearest(const char *word, const char *const *words, size_t n);
/* One paragraph a key: name, type, default, help; nested tables indented under it. `prefix` stands
 * in front of each line. */
void conf_help(const struct conf_key *table, const char *prefix, struct buf *out);

#endif
