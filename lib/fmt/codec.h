/* Hex and base64, strict both ways. */
#ifndef MUSTER_FMT_CODEC_H
#define MUSTER_FMT_CODEC_H

#include <stdbool.h>

#include "base/buf.h"

void base64_encode(struct buf *out, struct sv s);
bool base64_decode(struct buf *out, struct sv s);
bool hex_decode(struct buf *out, struct sv s);

#endif
