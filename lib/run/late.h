/*
 * Points that come after their cell was frozen.
 *
 * Cells are looked at again, in the same requests as the new ones, until one look was the job
 * kind's reach (`revisit`) after their end or later. What a look finds that is not marked in the
 * stream's `seen` becomes the cell's next late object: frozen like a cell (create-only; one that is
 * there already is taken over and the rest tried under the next number), then published, then
 * marked and committed. A receiver gets late points that are newer than what it has of their series,
 * or inside its out-of-order window; the others are counted as too old for it. Where it cannot be
 * reached, it is owed them, and gets them before anything newer.
 *
 * Marks that are missing (another run's, a mended checkpoint's) are read from the frozen objects.
 * What waits for a look and is older than requests for new cells reach is asked for apart, once all
 * that is new is done: cells that others froze are taken over many at a time. Without a lake there
 * are none.
 *
 * Rows of log events have no marks: second.h.
 */
#ifndef MUSTER_RUN_LATE_H
#define MUSTER_RUN_LATE_H

#include "run/stream.h"

/* Reads the stream's marks, anew where it has some: another run may have written others. Before anything else here. */
void late_begin(struct stream *s);
void late_done(struct stream *s);
/* Where the request for cells from first_ms on has to begin for everything within its reach that is to be looked at again:
 * first_ms if that is nothing. */
int64_t late_from(const struct stream *s, int64_t first_ms);
/* What is to be looked at again and is out of the next requests' reach, for others froze it and this run took it over: how
 * many cells, and the first one's start. 0: none, or nothing was new in this run. */
size_t late_apart(const struct stream *s, int64_t *ret_ms);
/* They were asked for. err: what came in between (NULL: nothing); that is tried again in the next run if it may pass, and in
 * none otherwise. */
void late_was_apart(struct stream *s, int64_t from_ms, size_t n, const struct err *err);
/* What was pulled of a cell that was done before. */
int late_look(struct stream *s, const struct cell_data *d, struct err *err);
/* What is owed to sinks of cells before before_ms. */
int late_pay(struct stream *s, int64_t before_ms, struct err *err);
/* True if a cell that was just pulled has too few series to be taken now. */
bool late_holds(const struct stream *s, const struct cell_data *d);
/* A cell went through: marks it if it is to be looked at again. `again`: it is, be it ever so old,
 * for it was adopted (pulled nobody knows when) or is not complete. */
void late_taken(struct stream *s, const struct cell_data *d, bool again);
/* Hands the marks to the committer, without those that no look is due for. */
void late_keep(struct stream *s);

/* For late_send.c and second.c. */
/* The stream's cell that begins then. */
struct cell late_cell(const struct stream *s, int64_t start_ms);
/* Cells of this stream may have late objects. */
bool late_may_exist(const struct stream *s);
/* This run looks for what came late. */
bool late_is_used(const struct stream *s);
/* Cells from before this are not looked at any more. */
int64_t late_oldest_ms(const struct stream *s);
/* A look at it now is the last one. */
bool late_is_settled(const struct stream *s, int64_t start_ms);
/* Taken by the sink that freezes, or, where none does, by any. What was given up or skipped has no
 * late points: all of it would be. */
bool late_is_frozen(const struct stream *s, struct cell c);
/* A late object (d) to every sink that has its cell (of which `whole` is all that is known). The
 * others will get both; a sink of leftovers only what is frozen with the cell. `*all`: nobody is owed
 * it. Without a lake, while one is, the others get it each time that it is found: what they say of it
 * is counted each time, too. */
int late_send(struct stream *s, const struct cell_data *whole, const struct cell_data *d, bool *all,
	      struct err *err);
/* Marks of all cells that none are known of: who sends late points has to know what the receiver has. Those of a cell that
 * cannot be read now, or for which there is no room, stay unknown. Pointers to cells are good no more. */
void late_read_all(struct stream *s);
/* There is no room for a cell's marks. */
void late_warn_full(const struct stream *s, const struct err *err);
#define LATE_MAX 1000 /* late objects of a cell */

#endif
