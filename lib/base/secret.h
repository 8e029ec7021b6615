/*
 * Secrets: wiped when freed, and with no way to print one.
 */
#ifndef MUSTER_BASE_SECRET_H
#define MUSTER_BASE_SECRET_H

#include "base/buf.h"

struct secret {
	char *p; /* NUL-terminated, NULL when empty; only for code that signs or sends it */
	size_t n;
};

/* Copies; the old value is wiped. -1 without memory. */
int secret_set(struct secret *s, struct sv v, struct err *err);
int secret_copy(struct secret *to, const struct secret *from, struct err *err);
void secret_done(struct secret *s);
/* As buf_reserve; where the buf has to move, nothing of it is left where it was. */
bool secret_reserve(struct buf *b, size_t more);
/* OPENSSL_cleanse over the buf's whole allocation, then buf_done. */
void secret_wipe_buf(struct buf *b);
/* A whole file (symbolic links are followed) into out, which the caller wipes; nothing of it is left anywhere else. A missing
 * file is ERR_NOTFOUND, one larger than out's ceiling ERR_LOCAL. */
int secret_read_file(const char *path, struct buf *out, struct err *err);

#endif
