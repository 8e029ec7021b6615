/*
 * An answer read from front to back, whatever its encoding: JSON and CBOR spell the same documents.
 * Only for lib/aws/cloudwatch*.c.
 *
 * Nothing is kept of what was passed, so a page of any length needs no memory but what its meaning
 * takes. All functions return false at what is broken, cut off, or not what was asked for.
 */
#ifndef MUSTER_AWS_CLOUDWATCH_DOC_H
#define MUSTER_AWS_CLOUDWATCH_DOC_H

#include <stdint.h>

#include "aws/cloudwatch.h"

struct cw_doc {
	const struct cw_doc_ops *ops;
	const char *p, *end;
	char key[32]; /* of a key that came in pieces */
};

/* A map or list that is being walked through. */
struct cw_walk {
	bool first, counted;
	uint64_t left; /* if counted */
};

struct cw_doc_ops {
	bool (*map)(struct cw_doc *d, struct cw_walk *w);
	bool (*list)(struct cw_doc *d, struct cw_walk *w);
	/* The next key, up to its value; *ret_end: there is none, the map was passed. Keys are only
	 * compared: one too long to be any of ours may be "". */
	bool (*key)(struct cw_doc *d, struct cw_walk *w, struct sv *ret_key, bool *ret_end);
	bool (*item)(struct cw_doc *d, struct cw_walk *w, bool *ret_end);
	/* Passes a null, and nothing else. */
	bool (*null)(struct cw_doc *d);
	/* A text into *a, with a NUL behind it and none in it; NULL if it is none, with ERR_LOCAL in
	 * *err if memory is short. */
	const char *(*text)(struct cw_doc *d, struct arena *a, struct err *err);
	bool (*time)(struct cw_doc *d, int64_t *ret_ms);
	bool (*number)(struct cw_doc *d, double *ret); /* also one that is not finite */
	/* Items of a list, one after the other, as long as there is room and they have the
	 * encoding's usual form; returns how many. What is left is for item() and the above. NULL:
	 * always all. */
	size_t (*times)(struct cw_doc *d, struct cw_walk *w, int64_t *to, size_t room);
	size_t (*numbers)(struct cw_doc *d, struct cw_walk *w, double *to, size_t room);
	bool (*skip)(struct cw_doc *d);
	/* Nothing is left. */
	bool (*end)(struct cw_doc *d);
};

int cw_doc_list(const struct cw_doc_ops *ops, struct sv body, struct arena *a,
		struct cw_list_page *ret, struct err *err);
int cw_doc_data(const struct cw_doc_ops *ops, struct sv body, struct arena *a,
		struct cw_data_page *ret, struct err *err);

/* Seconds since the epoch, perhaps with a fraction, as milliseconds; false for nonsense. */
bool cw_seconds(double s, int64_t *ret_ms);

#endif
