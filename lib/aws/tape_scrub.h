/*
 * Other names for the same things: account ids, names and messages replaced by made-up ones, the same one everywhere in a
 * cassette and others in the next (what they stand for is kept nowhere).
 *
 * Words are runs of letters and digits. A word becomes one of 10, 18 or 32 letters; replacements sort as the words do. Numbers
 * stay, except those of 12 digits: they become other numbers of 12 digits. Everything goes through twice: first the words are
 * collected and nothing is changed, then, sealed, they are replaced. Not thread-safe.
 */
#ifndef MUSTER_AWS_TAPE_SCRUB_H
#define MUSTER_AWS_TAPE_SCRUB_H

#include <jansson.h>

#include "net/cassette.h"

struct scrub;
int scrub_new(struct scrub **ret, struct err *err);
void scrub_free(struct scrub *s);
int scrub_seal(struct scrub *s, struct err *err);

/* Every word. */
void scrub_words(struct scrub *s, struct sv in, struct buf *out);
/* Account ids, and names in ARNs. */
void scrub_text(struct scrub *s, struct sv in, struct buf *out);
/* All strings of a tree, by the names of their members, in place. */
int scrub_json(struct scrub *s, json_t *j, struct err *err);
/* Account, path and bodies. */
int scrub_exchange(struct scrub *s, struct exchange *e, struct err *err);

#endif
