/*
 * zstd frames: level fixed by the caller, size and checksum of the content in the frame, single thread. Equal input gives equal
 * bytes, whether it comes in one piece or in many, from memory or from a spool.
 */
#ifndef MUSTER_FMT_ZST_H
#define MUSTER_FMT_ZST_H

#include "base/spool.h"

int zst_compress(struct sv in, int level, struct buf *out, struct err *err);
/* All frames of the input; out's ceiling bounds the result; ERR_DATA if broken, cut off or with bytes behind. */
int zst_decompress(struct sv in, struct buf *out, struct err *err);

/* Compressing piece by piece into a spool; `size` is the number of bytes that will come. */
struct zst_pack;
int zst_pack_new(int level, uint64_t size, struct spool *out, struct zst_pack **ret, struct err *err);
int zst_pack_add(struct zst_pack *z, struct sv piece, struct err *err);
/* Ends the frame. ERR_LOCAL if not exactly `size` bytes came. */
int zst_pack_end(struct zst_pack *z, struct err *err);
void zst_pack_free(struct zst_pack *z);
/* All frames of the spool, in pieces; fn's error ends it. */
int zst_unpack(const struct spool *in, int (*fn)(void *arg, struct sv piece, struct err *err), void *arg, struct err *err);

#endif
