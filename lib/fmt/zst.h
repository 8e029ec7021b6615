/*
 * zstd frames: level fixed by the caller, content checksum on, single thread, so that equal input gives
 * equal bytes.
 */
#ifndef MUSTER_FMT_ZST_H
#define MUSTER_FMT_ZST_H

#include "base/buf.h"

int zst_compress(struct sv in, int level, struct buf *out, struct err *err);
/* All frames of the input; out's ceiling bounds the result; ERR_DATA if broken, cut off or with bytes behind. */
int zst_decompress(struct sv in, struct buf *out, struct err *err);

#endif
