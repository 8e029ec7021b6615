/*
 * What every store has to do, whatever it keeps its objects in: the tests of store.h's contract,
 * run over each kind.
 */
#ifndef MUSTER_TESTS_STORE_SUITE_H
#define MUSTER_TESTS_STORE_SUITE_H

#include "store/store.h"

struct store_kind {
	const char *name;
	struct store *(*open)(void *arg);
	void *arg;
	bool many; /* open again gives another handle on the same objects */
	bool has_meta;
};

/* Runs the suite on a fresh, empty store each test (`fresh` makes it so); returns the number of
 * failed tests. */
int store_suite_run(struct store_kind *kind, void (*fresh)(struct store_kind *kind));

/* For other tests: put with a condition, text as bytes. */
int suite_put(struct store *s, const char *key, const char *text, enum store_cond cond,
	      const char *etag, char ret_etag[STORE_ETAG_MAX], struct err *err);
/* The object's text is that. */
void suite_expect(struct store *s, const char *key, const char *text);
/* The keys below prefix, each with a newline behind it. */
void suite_list(struct store *s, const char *prefix, struct buf *out);

#endif
