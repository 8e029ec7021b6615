/*
 * Configuration as tables: one row a key gives the parser, its checks, `muster help config` and (later) the manual.
 *
 * YAML (libyaml) becomes a tree of nodes with line and column; a table of rows then fills a plain C struct. All faults
 * are collected, none stops the reading: unknown keys (with the nearest known one), wrong types, bad values, duplicates,
 * missing required keys. Environment references ${NAME}, ${NAME:-default} and $$ are replaced in string values, except
 * in rows marked CONF_RAW (queries, regular expressions). Aliases to finished anchors are allowed up to a total of
 * 100,000 nodes; loops and merge keys are faults.
 *
 * Strings, lists and structs live in the arena given to conf_read. Not thread-safe.
 */
#ifndef MUSTER_FMT_CONF_H
#define MUSTER_FMT_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"

struct conf_node; /* a YAML node with its place */
struct conf_faults;

/* Places and faults. Each fault is one line "file:line:column: key: text". */
struct conf_faults *conf_faults_new(void);
void conf_faults_free(struct conf_faults *f);
size_t conf_faults_count(const struct conf_faults *f);
/* Sorted by file, line, column. */
const char *conf_faults_get(const struct conf_faults *f, size_t i);
/* Add one about `node` (NULL: about the whole file); the key's full path ("jobs.ecs.every") is put in front. */
void conf_fault(struct conf_faults *f, const struct conf_node *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

enum conf_type {
	CONF_STRING,    /* const char * */
	CONF_BOOL,      /* bool */
	CONF_INT,       /* int64_t, within min..max if these differ */
	CONF_DURATION,  /* int64_t ms, within min..max if these differ */
	CONF_BYTES,     /* uint64_t; also "50GB/d" when the row has CONF_PER_DAY */
	CONF_NUMBER,    /* double */
	CONF_STRINGS,   /* struct conf_strings; a single string counts as a list of one */
	CONF_STRINGSS,  /* struct conf_stringss: list of lists of strings (dimension sets) */
	CONF_MAP,       /* struct conf_map: string to string, order kept */
	CONF_ENUM,      /* int: index into `words` */
	CONF_TABLE,     /* nested struct by `table`, in place at the offset */
	CONF_TABLES,    /* struct conf_array of structs of `elem_size` by `table`: a YAML list of mappings */
	CONF_NAMED,     /* struct conf_array of structs by `table`: a YAML mapping name -> mapping; the name goes to the row's `name_offset` */
	CONF_NODE,      /* const struct conf_node *: kept for the caller to read later with conf_read (kinds, sinks) */
};

enum conf_flags {
	CONF_REQUIRED = 1,
	CONF_RAW = 2,      /* no environment references */
	CONF_REGEX = 4,    /* a string that must compile as a POSIX extended regular expression (implies RAW) */
	CONF_PER_DAY = 8,
};

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
	} *v;
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
	const char *deflt;        /* default as it would be written; NULL: none (zero). Parsed like a value */
	const char *help;         /* one sentence for `help config` */
	int64_t min, max;         /* INT, DURATION */
	const char *const *words; /* ENUM, NULL-terminated */
	const struct conf_key *table;
	size_t elem_size, name_offset;
	size_t node_offset; /* if not 0: a `const struct conf_node *` in the struct gets the value's node, for later faults */
};
/* A table ends with a row whose name is NULL. */
#define CONF_END { .name = NULL }

/* Read a file (or text, for tests) into nodes; faults are added and NULL returned only if there is no document at all. */
const struct conf_node *conf_load(const char *path, struct arena *a, struct conf_faults *f);
const struct conf_node *conf_parse(const char *name, struct sv text, struct arena *a, struct conf_faults *f);
/* Fill `out` (zeroed by the caller, defaults applied here) from a mapping node by a NULL-terminated list of tables that share
 * one key space (common keys + the kind's own). `node` NULL: defaults only. */
void conf_read(const struct conf_node *node, const struct conf_key *const *tables, void *const *outs, struct arena *a, struct conf_faults *f);
/* Kind lookup before the rest is read: string value of a key in a mapping, NULL if absent or not a string. */
const char *conf_peek(const struct conf_node *node, const char *key);
const struct conf_node *conf_child(const struct conf_node *node, const char *key);
/* "(did you mean x?)" helper: the nearest of n words within distance 2 (or a third of the length), or NULL. */
const char *conf_nearest(const char *word, const char *const *words, size_t n);
/* One paragraph a key: name, type, default, help; nested tables indented. */
void conf_help(const struct conf_key *table, const char *prefix, struct buf *out);

#endif
