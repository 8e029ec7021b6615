/*
 * The part of pages that speaks Logs Insights: each query is done at once, and its rows are made events that come evenly.
 */
#ifndef MUSTER_BENCH_PAGES_LOGS_H
#define MUSTER_BENCH_PAGES_LOGS_H

#include "base/buf.h"

/* One event each so many milliseconds, from the epoch on; before the first call. */
void logs_every(long ms);
/* The answer to an operation (what follows "Logs_20140328." in the request's headers), in `text` or kept. Thread-safe. */
struct sv logs_answer(const char *operation, struct sv body, struct buf *text);
/* The n-th page of results that was served, from 0; empty: there was none. Thread-safe. */
struct sv logs_page(size_t n);
/* How many queries and pages there were, with the pages' bytes and rows, as members of JSON. */
void logs_counts(struct buf *out);

#endif
