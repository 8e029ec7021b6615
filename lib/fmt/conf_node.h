/* The tree of nodes behind conf.h; only lib/fmt/conf_*.c look inside. */
#ifndef MUSTER_FMT_CONF_NODE_H
#define MUSTER_FMT_CONF_NODE_H

#include "fmt/conf.h"

enum conf_node_kind {
	NODE_NULL,
	NODE_SCALAR,
	NODE_LIST,
	NODE_MAP,
	NODE_BAD, /* a fault has been told about it: whatever is wanted here, say nothing more */
};

struct conf_node {
	enum conf_node_kind kind;
	bool open; /* being parsed: an alias to it would be a loop */
	unsigned line, column, key_line, key_column; /* from 1; key_line 0: has no key */
	const char *file;
	const char *key;   /* in a mapping */
	const char *meant; /* an unknown key: the known one that it was taken for */
	size_t index;	   /* in a list */
	const struct conf_node *parent;
	struct conf_node *first, *next;
	size_t n;	  /* children */
	const char *text; /* NODE_SCALAR */
};

/* Add a fault at a place that has no node. line 0: the file as a whole cannot be read. */
void conf_fault_at(struct conf_faults *f, const char *file, unsigned line, unsigned column,
		   const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* A file is about to be read: faults about "the whole file" mean the first one. */
void conf_faults_file(struct conf_faults *f, const char *file);

/* conf_parse and conf_load have this behind them; `apart` as there. */
const struct conf_node *conf_parse_apart(const char *name, struct sv text, struct arena *a,
					 const struct conf_apart *apart, struct conf_faults *f);

/* Line and column, from 1, of a byte. */
void conf_place(struct sv text, size_t offset, unsigned *line, unsigned *column);
/* A fault at the first byte that is not UTF-8. */
bool conf_utf8_ok(const char *file, struct sv text, struct conf_faults *f);

/* Where names are looked up instead of in the process's environment, by who reads a configuration that is not his own. NULL:
 * there is none of that name. What it returns lives as long as the arena. Before there are threads. */
typedef const char *conf_env_fn(const char *name, void *arg);
void conf_env_use(conf_env_fn *fn, void *arg);
/* ${NAME}, ${NAME:-default} and $$ replaced. NULL after a fault about `node`. */
const char *conf_expand(const struct conf_node *node, const char *text, struct arena *a,
			struct conf_faults *f);

/* One value of a row, whatever its type, into its place in the struct `out`; conf_scalar.c and
 * conf_read.c. `node` is not NULL, and has the right shape for conf_read_scalar. */
void conf_read_scalar(const struct conf_key *k, const struct conf_node *node, void *out,
		      struct arena *a, struct conf_faults *f);
bool conf_is_scalar_type(enum conf_type t);
/* A string for list items and map values, NULL after a fault. */
const char *conf_read_text(const struct conf_key *k, const struct conf_node *node, struct arena *a,
			   struct conf_faults *f);
/* "a duration such as 5m", for faults and help. */
const char *conf_type_name(const struct conf_key *k);

#endif
