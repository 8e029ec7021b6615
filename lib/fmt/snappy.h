/* Snappy's block form (not the framed one), over libsnappy. Not <snappy-c.h>: include this as "fmt/snappy.h". */
#ifndef MUSTER_FMT_SNAPPY_H
#define MUSTER_FMT_SNAPPY_H

#include "base/buf.h"

int snappy_block_encode(struct sv in, struct buf *out, struct err *err);
/* Checks the declared length against out's ceiling before anything is allocated; ERR_DATA if broken. */
int snappy_block_decode(struct sv in, struct buf *out, struct err *err);

#endif
