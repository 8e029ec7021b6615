/*
 * Which rows of a cell that was asked for again are new: a row is known by log group, log stream, time, message and
 * ordinal, so of three equal ones where two were known one is new. Where a query brings no message, all columns but ptr
 * stand for it. Which of equal rows is the new one its ptr tells, if the service still gives the others theirs.
 *
 * Cells are in order of time, so both sides are read along each other: what is in memory is 40 bytes for each row of one
 * millisecond, and the longest line. Not thread-safe.
 */
#ifndef MUSTER_MODEL_ROW_NEWS_H
#define MUSTER_MODEL_ROW_NEWS_H

#include "model/series.h"

/* Adds to `late` (initialised) the lines of d, in their order, that neither `known` nor any of its late objects has.
 * ERR_DATA: lines that are no rows, or not in order of time. */
int row_news(const struct cell_data *known, const struct cell_data *d, struct cell_data *late, struct err *err);

#endif
