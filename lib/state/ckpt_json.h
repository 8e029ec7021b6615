/*
 * What ckpt_json.c (writing) and ckpt_parse.c (reading) share; nobody else includes it.
 *
 * One table a struct names its members, and both directions go by it: what is written is what is
 * read, no member more or less.
 */
#ifndef MUSTER_STATE_CKPT_JSON_H
#define MUSTER_STATE_CKPT_JSON_H

#include "base/hash.h"
#include "base/timefmt.h"
#include "state/checkpoint.h"

#define CKPT_FORMAT  "muster-checkpoint"
#define CHECKSUM_MAX (SHA256_HEX_LEN + 8) /* "sha256:" and NUL */

enum member_type {
	STR,	   /* char * */
	OPT_STR,   /* char *, NULL is null */
	TIME,	   /* int64_t ms */
	OPT_TIME,  /* int64_t ms, 0 is null */
	U64,	   /* uint64_t below 2^63 */
	U64_IF,	   /* the same, left out where it is 0: documents of before it was known have none */
	I64,	   /* int64_t, not negative */
	NONCE,	   /* char[33] */
	ELSEWHERE, /* known, but written and read by other means */
	OPTIONAL,  /* as that, and may be missing */
};

/* A table ends with a row whose name is NULL. */
struct member {
	const char *name;
	enum member_type type;
	size_t offset;
};

extern const struct member ckpt_members[], lease_members[], stream_members[], counter_members[],
    sink_members[], range_members[], gap_members[], event_members[];

/* Zeroed elements in an array that ckpt_stream_add and the like can go on with; never NULL for n 0.
 * In checkpoint.c. */
void *ckpt_array_new(size_t n, size_t size);
/* Times as they stand in the document: RFC 3339, with a fraction only if there is one. */
void ckpt_time_text(int64_t ms, char out[TIME_TEXT_MAX]);
/* "sha256:<hex>" over the compact text of a document that has no checksum (yet, or any more). */
int ckpt_checksum(const json_t *doc, char out[CHECKSUM_MAX], struct err *err);
/* The document's text from the complete tree. */
int ckpt_text(const json_t *doc, struct buf *out, struct err *err);

#endif
