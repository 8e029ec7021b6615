/*
 * For whom calls are made: a table of (service, operation, code) that a thread's signed calls are
 * counted in, beside the counters of the whole process.
 *
 * The counting transport sits below retries and credentials, so every attempt counts, and a call
 * that fetches credentials on the way counts for whoever needed them. A tally is used by one thread
 * at a time.
 */
#ifndef MUSTER_BASE_TALLY_H
#define MUSTER_BASE_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A service chooses its codes: more rows than this are added up as code "other". */
#define TALLY_ROWS_MAX 64

struct tally_row {
	char service[16], operation[40], code[40]; /* cut to fit, printable ASCII */
	uint64_t calls;
};
struct tally {
	struct tally_row *v; /* sorted */
	size_t n;
};
void tally_done(struct tally *t);
/* Without memory the calls go uncounted. */
void tally_add(struct tally *t, const char *service, const char *operation, const char *code,
	       uint64_t calls);
/* A row as it was, stored and read again; false: it is not one of a tally, is there already, or
 * there is no room. */
bool tally_restore(struct tally *t, const char *service, const char *operation, const char *code,
		   uint64_t calls);
void tally_add_all(struct tally *t, const struct tally *more);

/* From now on this thread's signed calls are counted in t (borrowed; NULL: in none). Returns where
 * they were counted before. */
struct tally *tally_use(struct tally *t);
/* Where this thread's calls are counted; NULL: nowhere. */
struct tally *tally_used(void);

#endif
