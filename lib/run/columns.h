/* Tables for terminals. */
#ifndef MUSTER_RUN_COLUMNS_H
#define MUSTER_RUN_COLUMNS_H

#include "base/buf.h"

/* Exactly `width` wide: ASCII text that is longer is cut in the middle, for the ends of names tell
 * them apart. */
void columns_put(struct buf *out, const char *text, size_t width, bool right);
/* Ends a line, without blanks at its end. */
void columns_end(struct buf *out);

#endif
