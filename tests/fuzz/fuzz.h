/*
 * What the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput(): libFuzzer makes up inputs, the
 * sanitizers see what no code may do, and fuzz_must() says what else has to hold. Seeds, and every input that ever found
 * something, are in tests/fuzz/seeds/TARGET. scripts/fuzz runs them.
 */
#ifndef MUSTER_TESTS_FUZZ_FUZZ_H
#define MUSTER_TESTS_FUZZ_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* So much a target may take for what one input makes it remember. */
#define FUZZ_MAX ((size_t)16 << 20)

#define fuzz_must(holds)                                                                           \
	do {                                                                                       \
		if (!(holds)) {                                                                    \
			(void)fprintf(stderr, "%s:%d: it should hold: %s\n", __FILE__, __LINE__,   \
				      #holds);                                                     \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* The answer to each call: it worked, or there is an error in words (valid UTF-8 and a known kind), but never both. */
static inline void
fuzz_answer(int rc, const struct err *err)
{
	fuzz_must(rc == 0 || rc == -1);
	fuzz_must((rc == 0) == (err->kind == ERR_NONE));
	fuzz_must(rc == 0 || (err->msg[0] && memchr(err->msg, '\0', sizeof(err->msg))));
	fuzz_must(strcmp(err_kind_name(err->kind), "unknown") != 0);
}

/* Takes the first byte off, 0 where there is none: which of several things is tried. */
static inline unsigned
fuzz_choice(struct sv *in, unsigned of)
{
	unsigned c = in->n ? (unsigned char)in->p[0] : 0;

	if (in->n)
		*in = (struct sv){in->p + 1, in->n - 1};
	return c % of;
}

/* Takes what stands before the first such byte, and that byte; all of it where there is none. */
static inline struct sv
fuzz_part(struct sv *in, char until)
{
	const char *end = in->n ? memchr(in->p, until, in->n) : NULL;
	struct sv part = {in->p, end ? (size_t)(end - in->p) : in->n};

	*in = end ? (struct sv){end + 1, in->n - part.n - 1} : (struct sv){in->p + in->n, 0};
	return part;
}

#endif
