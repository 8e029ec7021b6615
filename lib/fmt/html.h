/*
 * Text in HTML: whatever a name, a label or a service's words hold, they stay text.
 */
#ifndef MUSTER_FMT_HTML_H
#define MUSTER_FMT_HTML_H

#include "base/buf.h"

/* Append s as text for an element's content or an attribute in double or single quotes. & < > " '
 * are written as references. What HTML has no place for, or what could hide or turn round what
 * stands beside it, becomes U+FFFD: invalid UTF-8 (one for each maximal bad run), control
 * characters but tab and newline, bidirectional controls (Unicode 15.0, 23.2), non-characters. */
void html_text(struct buf *out, struct sv s);

#endif
