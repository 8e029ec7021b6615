/*
 * A cassette: the exchanges of one run, and all that it takes to do that run again.
 *
 * As a file it is a .tar.zst, made to be read by people too:
 *
 *     index.json                           what was run, when, and with which environment
 *     config/<name>.yaml                   the configuration, without secrets
 *     state/<key>                          the checkpoints it began with
 *     exchanges/000001-<service>-<operation>/exchange.json, request.<form>, response.<form>
 *
 * What may stand in it is decided by those who fill it (lib/aws/tape.h); here is the form. Not thread-safe.
 */
#ifndef MUSTER_NET_CASSETTE_H
#define MUSTER_NET_CASSETTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define CASSETTE_FORMAT	    1
#define CASSETTE_MAX_ENTRY  ((size_t)64 << 20)
#define CASSETTE_MAX_TOTAL  ((size_t)1 << 30)
#define CASSETTE_MAX_FILES  ((size_t)400000)
#define CASSETTE_MAX_PACKED ((size_t)512 << 20) /* of the file itself */

struct exchange {
	char name[128]; /* its folder; "" until it was written or read */
	char service[32], operation[64], account[16], region[32], method[16];
	struct buf path; /* with its query */
	struct buf headers, body;	     /* of the request; "name: value\n" lines */
	struct buf answer_headers, answer;
	int status;	       /* 0: no answer came */
	enum err_kind outcome; /* ERR_NONE: a success */
	bool clock_off;	       /* a failure whose Date was far from the time it was signed with */
	char code[64];	       /* the service's own word for the failure, "" if none */
};

/* A file beside the exchanges, by its name below its folder. */
struct cassette_file {
	char *name;
	struct buf text;
};
struct cassette_files {
	struct cassette_file *v;
	size_t n;
};
struct cassette_env {
	char *name, *value;
};

struct cassette {
	struct exchange **exchanges;
	size_t n, cap;
	size_t bytes; /* of all exchanges */
	int64_t now_ms, wall_ms; /* the run's present; the clock it was signed by */
	char **args; /* the command and its options, NULL-terminated */
	size_t n_args;
	struct cassette_env *env; /* what references in the configuration stand for */
	size_t n_env;
	struct cassette_files config, state;
};

struct cassette *cassette_new(void);
void cassette_free(struct cassette *c);

struct exchange *exchange_new(void);
void exchange_free(struct exchange *e);
/* Takes e, also when it fails. ERR_DATA when the cassette is full. */
int cassette_add(struct cassette *c, struct exchange *e, struct err *err);
int cassette_add_arg(struct cassette *c, const char *arg, struct err *err);
int cassette_add_env(struct cassette *c, const char *name, const char *value, struct err *err);
int cassette_add_file(struct cassette_files *f, const char *name, struct sv text, struct err *err);

/* The whole cassette as bytes; equal cassettes give equal bytes. */
int cassette_pack(const struct cassette *c, struct buf *out, struct err *err);
/* ERR_DATA says which part is not what it should be. */
int cassette_unpack(struct sv bytes, struct cassette **ret, struct err *err);

/* The words of enum err_kind, both ways; false: no such word. */
bool exchange_outcome_parse(const char *word, enum err_kind *ret);

#endif
