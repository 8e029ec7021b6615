/*
 * What muster has to know about a Logs Insights query before it may put its own stages around it.
 *
 * A query is stages with '|' between them, outside of strings, quoted names, regular expressions
 * and comments. This is no compiler: what is not recognised is left to the service, and treated
 * with the most care (asked once for each cell, never split).
 */
#ifndef MUSTER_MODEL_INSIGHTS_QUERY_H
#define MUSTER_MODEL_INSIGHTS_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

#define INSIGHTS_BINS_MAX 16

struct insights_query {
	bool events; /* its rows are log events, as they came: false for stats and its like */
	bool splits; /* asked for parts of a time, its rows are together what they are for all of it
		      */
	bool plain;  /* every event that its filters let through is a row */
	int64_t limit;		 /* of a limit command; 0: none */
	const char *time_column; /* the column that holds the bin, NULL: none */
	struct insights_bin {
		int64_t ms;	  /* 0: not one that cells can be whole numbers of (months) */
		const char *text; /* as written */
		bool capped;	  /* more of its unit than the service takes: bin(300s) */
	} bins[INSIGHTS_BINS_MAX];
	size_t n_bins;
	const char *body; /* what stands behind muster's filter */
};

/* Everything *ret points to lives in the arena. ERR_USAGE: a query that cannot be asked for a cell,
 * and why. */
int insights_query_parse(const char *text, struct arena *a, struct insights_query *ret,
			 struct err *err);

/* What is asked for. */
struct insights_part {
	int64_t from_ms, to_ms;
	const char *const *streams; /* only of these */
	size_t n_streams;	    /* 0: of all */
	const char *const *sources; /* prefixes of log groups for a SOURCE command */
	size_t n_sources;	    /* 0: none */
};
/* The query for exactly that part. */
void insights_query_compose(const struct insights_query *q, const struct insights_part *part,
			    struct buf *out);
/* One that counts the events of each log stream of the part, in the columns @logStream and
 * INSIGHTS_COUNT. */
void insights_query_streams(const struct insights_part *part, struct buf *out);
#define INSIGHTS_COUNT "muster_events"

#endif
