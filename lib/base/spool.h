/*
 * Bytes that may be too many for memory: the first of them stay there, and the rest goes to a temporary file without a
 * name, which ends with the process whatever becomes of it.
 *
 * The file is made in $TMPDIR, else in /var/tmp (or /tmp where there is none): it can become as large as what is pulled.
 * What lies in one spool already is not written to another: a spool can be a view of parts of it. Not thread-safe.
 */
#ifndef MUSTER_BASE_SPOOL_H
#define MUSTER_BASE_SPOOL_H

#include <stdint.h>

#include "base/buf.h"
#include "base/hash.h"

#define SPOOL_MEMORY ((size_t)256 << 10) /* so many bytes make no file */
#define SPOOL_TAIL   ((size_t)64 << 10)	 /* so many stay in memory where there is one */

struct spool_part {
	uint64_t end; /* in the view */
	uint64_t at;  /* where it begins in the other spool */
};
struct spool {
	struct buf tail; /* what is not in the file */
	uint64_t filed;  /* bytes in the file, or in the parts */
	int fd;		 /* -1: no file yet */
	/* A view. */
	const struct spool *of; /* NULL: it is none */
	struct spool_part *parts;
	size_t n_parts, cap_parts;
};
#define SPOOL_INIT ((struct spool){ .tail = BUF_INIT(2 * SPOOL_MEMORY), .fd = -1 })

/* Where the file would be made. Static storage, or the environment's. */
const char *spool_folder(void);
void spool_done(struct spool *s); /* it may be used again */
/* ERR_LOCAL: no room, no folder. */
int spool_add(struct spool *s, struct sv data, struct err *err);
/* Makes an empty spool a view of n bytes of `of` from `at` on, or adds these to what it is a view of already. Nothing else
 * can be added to it then. `of` outlives it. */
int spool_add_part(struct spool *s, const struct spool *of, uint64_t at, uint64_t n, struct err *err);
/* For who adds nothing for a while: where there is a file, all goes there, and nothing stays in memory. */
int spool_settle(struct spool *s, struct err *err);
static inline uint64_t
spool_size(const struct spool *s)
{
	return s->filed + s->tail.n;
}
/* Exactly n bytes from `at` on into p. */
int spool_read(const struct spool *s, uint64_t at, char *p, size_t n, struct err *err);
/* All of it appended to out, whose ceiling holds. */
int spool_load(const struct spool *s, struct buf *out, struct err *err);
/* All of it in pieces of exactly SPOOL_PIECE bytes and a last one; fn's error ends it. */
#define SPOOL_PIECE ((size_t)128 << 10)
int spool_each(const struct spool *s, int (*fn)(void *arg, struct sv piece, struct err *err), void *arg, struct err *err);
/* The SHA-256 of all of it, in hex. */
int spool_sha256(const struct spool *s, char out[SHA256_HEX_LEN + 1], struct err *err);

#endif
