/*
 * Reading UTF-8 that may be broken.
 */
#ifndef MUSTER_BASE_UTF8_H
#define MUSTER_BASE_UTF8_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define UTF8_BAD     UINT32_MAX
#define UTF8_REPLACE "\xEF\xBF\xBD" /* U+FFFD */

/* The code point at the start of s, which is not empty; returns how many bytes it takes. For broken
 * bytes the code point is UTF8_BAD and the length that of the maximal subpart (Unicode 3.9): what
 * one U+FFFD stands for. */
size_t utf8_next(struct sv s, uint32_t *ret_cp);
bool utf8_valid(struct sv s);
/* Code points that move a cursor, end a line, turn the direction of text or cannot be seen: what services say is shown
 * without them. (Joiners, U+200C and U+200D, belong to words of some scripts.) */
bool utf8_deceives(uint32_t cp);
/* Appends text for a terminal: a '?' for each of those and for what is broken. */
void utf8_plain(struct buf *out, struct sv s);

#endif
