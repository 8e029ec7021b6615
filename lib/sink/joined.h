/*
 * Joined objects: what `muster compact` makes of the objects of an hour.
 *
 * A joined object is the old ones behind each other, byte for byte: whole zstd frames, which every reader takes for one
 * file. Its manifest says which there are, and where each lies. It is written first, create-only, and so decides what the joined
 * object of that number holds, whoever comes to make it: the same bytes at any time. An object that a manifest names is
 * deleted only after the joined one was read back. So whoever misses an object first and looks into the manifests then finds it in one of the two.
 */
#ifndef MUSTER_SINK_JOINED_H
#define MUSTER_SINK_JOINED_H

#include "base/arena.h"
#include "base/hash.h"
#include "model/cell.h"
#include "store/store.h"

#define JOINED_FORMAT "1" /* of lake objects, as their metadata say */

struct joined_part {
	const char *name; /* the last part of its key */
	uint64_t at, size;
	const char *sha256;	/* of its bytes, in hex */
	const char *definition; /* as its metadata had it; "" if they had none */
};
struct joined {
	struct joined_part *v; /* behind each other, the first at 0 */
	size_t n;
	struct arena mem;
};

/* Whose they are. */
struct joined_place {
	const char *job, *tenant, *region;
	int64_t hour_ms;
};

void joined_init(struct joined *j);
void joined_done(struct joined *j);
uint64_t joined_size(const struct joined *j);
const struct joined_part *joined_find(const struct joined *j, const char *name);
/* As it is stored. */
int joined_write(const struct joined *j, struct buf *out, struct err *err);
/* The manifest of number n (from 1, without gaps) into *ret, initialised. ERR_NOTFOUND: there is none. */
int joined_read(struct store *s, const struct joined_place *p, unsigned n, struct joined *ret,
		struct err *err);
/* Which manifest names this object: *ret_n, and *j is that one. ERR_NOTFOUND: none does. */
int joined_search(struct store *s, const struct joined_place *p, const char *name,
		  struct joined *j, unsigned *ret_n, struct err *err);

#endif
