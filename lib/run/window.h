/*
 * The window of a backfill: as asked, widened to whole cells, cut into slices.
 *
 * Slices are what several workers do at once of one stream; each has a checkpoint of its own. How a
 * window is cut depends on the window and the job alone, so that the same window given again finds
 * what it left.
 */
#ifndef MUSTER_RUN_WINDOW_H
#define MUSTER_RUN_WINDOW_H

#include "model/cell.h"
#include "run/options.h"

#define WINDOW_SLICES_MAX 32

/* --from and --to, told from now_ms where they are relative. ERR_USAGE: one is missing, none is a
 * time, or they are not in order. */
int window_read(const struct options *o, int64_t now_ms, struct cell *ret, struct err *err);
/* To whole cells. */
struct cell window_widen(struct cell asked, int64_t every_ms);
/* Length of the slices of a window of whole cells: at least shortest_ms, at most WINDOW_SLICES_MAX
 * of them. */
int64_t window_slice_ms(struct cell whole, int64_t every_ms, int64_t shortest_ms);
size_t window_slices(struct cell whole, int64_t slice_ms);
/* The i-th, oldest first; the first and the last are cut off at the window. */
struct cell window_slice(struct cell whole, int64_t slice_ms, size_t i);

#endif
