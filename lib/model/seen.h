/*
 * Which points of a stream's recent cells are known, so that those that come later can be told.
 *
 * For each series and period of a cell there is a mark: 0, no point is known there; else a hash of
 * its value (24 bits: of 16 million revisions one is overlooked). Series stand as 64-bit hashes of
 * name and labels. Marks are a cache of what is frozen: what they do not tell can be read from the
 * lake again. Stored, a point takes 4 bytes of text.
 *
 * Not thread-safe.
 */
#ifndef MUSTER_MODEL_SEEN_H
#define MUSTER_MODEL_SEEN_H

#include <jansson.h>

#include "model/series.h"

#define SEEN_MARKS_MAX ((size_t)1 << 20) /* of a stream: 4 MiB of text */
#define SEEN_CELLS_MAX 2048

/* A sink that has the cell, but of its late objects only the first `sent`. */
struct seen_owed {
	char *sink;
	unsigned sent;
};
struct seen_cell {
	int64_t start_ms;
	unsigned late; /* how many late objects of it are accounted for */
	bool foreign;  /* frozen under another definition: not looked at */
	bool asked;    /* asked for a second time, or not to be: only debts are left */
	struct seen_owed *owed; /* sorted by sink */
	size_t n_owed;
	bool unread;   /* nothing is known of it yet: its objects tell */
	bool looked;   /* not stored: looked at in this run */
	/* n series with their marks, n * slots */
	uint64_t *keys; /* sorted */
	uint32_t *marks;
	size_t n;
};
struct seen {
	char definition[65]; /* the job's, as hash: marks of another are worth nothing */
	size_t slots;	     /* periods of a cell; 0: no series was seen yet */
	struct seen_cell *cells; /* sorted by start */
	size_t n, cap;
	/* The newest cell that was taken, and how many series it had. */
	int64_t newest_ms; /* its start; INT64_MIN: none */
	size_t newest_series;
};

void seen_init(struct seen *s, const char *definition);
void seen_done(struct seen *s);
/* false, and as if new: there is nothing, or nothing that this program wrote for this definition. */
bool seen_load(struct seen *s, const json_t *j, const char *definition);
/* What was written for another definition: good for what has to be said of its cells, and no more. false: nothing to be freed. */
bool seen_load_other(struct seen *s, const json_t *j);
/* Is there, in a stored document for this definition, a cell that starts at or before start_ms and
 * waits for a second asking? */
bool seen_waits(const json_t *j, const char *definition, int64_t start_ms);
/* NULL without memory. Equal marks give equal documents. */
json_t *seen_save(const struct seen *s);

/* Has a stored document marks? */
bool seen_has_marks(const json_t *j);
/* In its place one without, for they can be read again; what cells owe and wait for stays. false, and *j is as it was: without
 * memory, or it has none that can be read. */
bool seen_shed(json_t **j);

uint64_t seen_key(const struct series *s);
/* Makes it beforehand, for a series that is in many cells and stays as it is. */
void seen_key_make(struct series *s);
struct seen_cell *seen_find(const struct seen *s, int64_t start_ms);
/* The cell, empty if it is new. The pointer is good until the next seen_put or seen_drop. NULL
 * without memory. */
struct seen_cell *seen_put(struct seen *s, int64_t start_ms, struct err *err);
void seen_drop(struct seen *s, size_t i);
/* Marks the points of d's rows. ERR_LOCAL: no memory, or more marks than a stream may have: then
 * nothing was changed. */
int seen_mark(struct seen *s, struct seen_cell *c, const struct cell_data *d, struct err *err);
/* For marks of one more cell like the newest. */
bool seen_has_room(const struct seen *s);
/* The start of the newest period of a series that is marked in the cell. */
bool seen_newest(const struct seen *s, const struct seen_cell *c, uint64_t key, int64_t every_ms,
		 int64_t *ret_ms);

/* The newest period of any series in it. */
bool seen_head(const struct seen *s, const struct seen_cell *c, int64_t every_ms, int64_t *ret_ms);
/* NULL: nothing is owed. */
struct seen_owed *seen_owes(const struct seen_cell *c, const char *sink);
/* From now on; a debt that is there stays as it is. */
int seen_owe(struct seen_cell *c, const char *sink, unsigned sent, struct err *err);
void seen_paid(struct seen_cell *c, const char *sink);

/* Into `late` (initialised, with the bounds of d): rows with those points of d that are not marked
 * so. They point into d's memory. n_samples is set, lines are not made. */
struct seen_news {
	uint64_t late, revised;
};
int seen_news(const struct seen *s, const struct seen_cell *c, const struct cell_data *d,
	      struct cell_data *late, struct seen_news *ret, struct err *err);

#endif
