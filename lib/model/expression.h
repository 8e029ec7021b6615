/*
 * What muster has to know about an expression of CloudWatch's metric math before it may ask for it.
 *
 * Three things: which entries it refers to (by ids, which get other names in a request), whether
 * its result is one series or one for each metric that a SEARCH finds, and whether a value depends
 * on points beside those of its own time. For a cell must hold the same however far the request
 * reached that brought it: what depends on more is asked for cell by cell.
 *
 * Functions are those of a table, and whatever is not understood is refused before anything is
 * asked; that operands fit together is the service's to say. (Sources: CloudWatch user guide,
 * "Using math expressions with CloudWatch metrics" and "CloudWatch search expression syntax".)
 */
#ifndef MUSTER_MODEL_EXPRESSION_H
#define MUSTER_MODEL_EXPRESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

#define EXPRESSION_MAX	      2048 /* characters (MetricDataQuery, API reference) */
#define EXPRESSION_SEARCH_MAX 1024 /* of what a SEARCH looks for (user guide) */
#define EXPRESSION_ID_MAX     255  /* MetricDataQuery, API reference */

/* The metrics that a SEARCH finds: those of this namespace with exactly these dimensions. */
struct expression_schema {
	const char *ns;
	const char *const *dims; /* sorted, unique */
	size_t n_dims;
};
struct expression_traits {
	const struct expression_schema
	    *each;     /* one series for each that is found; NULL: one series */
	bool windowed; /* a value depends on other points of what is asked for */
	bool back;     /* on earlier ones: the first of a request lack something */
};
struct expression {
	const char *text;
	struct expression_traits traits;
	struct expression_part *parts; /* ids and SEARCHes, in order */
	size_t n_parts;
	int64_t period_s; /* of a SEARCH that names one; 0: none does */
	bool searches;
};

/* What is known of the entry with this id; false: there is none. */
typedef bool expression_lookup(void *arg, struct sv id, struct expression_traits *ret);

/* Everything *ret points to lives in the arena, or in the text. ERR_USAGE says what is wrong, and
 * where. */
int expression_parse(const char *text, expression_lookup *find, void *arg, struct arena *a,
		     struct expression *ret, struct err *err);
/* [a-z][A-Za-z0-9_]* */
bool expression_id_valid(const char *id);
/* Each id that stands in it, as often as it does. */
void expression_each_id(const struct expression *e, void (*fn)(void *arg, struct sv id), void *arg);

/* As it is sent: each id as rename() writes it; each SEARCH with this period, and of the metrics of
 * one account only where that is given (a monitoring account finds those of all it is linked to).
 */
struct expression_sent {
	void (*rename)(void *arg, struct sv id, struct buf *out);
	void *arg;
	int64_t period_s;
	const char *account; /* NULL: the caller's own */
};
void expression_write(const struct expression *e, const struct expression_sent *how,
		      struct buf *out);

#endif
