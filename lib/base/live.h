/*
 * Lines below a log on a terminal, redrawn in place. They end with a line feed, so the cursor stands at the
 * beginning of the line below them and nothing about the terminal is changed: whoever dies leaves a
 * whole line behind, and the shell's prompt stands where it should.
 *
 * Sequences: CUU and ED of ECMA-48, which every terminal but a dumb one knows. Not thread-safe.
 */
#ifndef MUSTER_BASE_LIVE_H
#define MUSTER_BASE_LIVE_H

#include <stddef.h>

#define LIVE_TEXT_MAX 1024
#define LIVE_DRAW_MAX (LIVE_TEXT_MAX + 32)

struct live {
	char text[LIVE_TEXT_MAX]; /* lines of printable ASCII, each with its line feed */
	size_t n;
	size_t drawn; /* how many lines stand on the terminal */
};

/* The lines from here on, nothing drawn yet; those that do not fit as a whole are left out. Any byte that is not printable
 * ASCII becomes '?': one byte is one column. */
void live_set(struct live *l, const char *text, size_t n);
/* What takes them off the terminal; returns its length, 0 where there are none. */
size_t live_erase(struct live *l, char out[LIVE_DRAW_MAX]);
/* What puts them there, each cut to fit, on a terminal of this size (0: not known, 80 by 24); returns its length. */
size_t live_draw(struct live *l, size_t columns, size_t rows, char out[LIVE_DRAW_MAX]);

#endif
