/*
 * URLs: splitting, percent-encoding as SigV4 wants it, form bodies.
 */
#ifndef MUSTER_FMT_URI_H
#define MUSTER_FMT_URI_H

#include <stdbool.h>

#include "base/buf.h"

/* Everything but A-Z a-z 0-9 - _ . ~ becomes %XX, upper-case hex; `keep_slash` leaves '/' alone. */
void uri_encode(struct buf *out, struct sv s, bool keep_slash);
/* %XX and, if plus_is_space, '+'. false for a broken escape. */
bool uri_decode(struct buf *out, struct sv s, bool plus_is_space);

struct uri {
	struct sv scheme, host, port, path, query; /* views into the text; host without brackets; path may be "" */
	int port_number;                           /* given or the scheme's default */
};
/* http and https only; userinfo, fragments, blanks, control characters and encoded bytes in the host are errors
 * (ERR_USAGE). */
int uri_split(struct sv text, struct uri *ret, struct err *err);
/* The Host header's value for it: the port only if it is not the scheme's default; brackets around IPv6. */
void uri_host_header(struct buf *out, const struct uri *u);

/* This machine by its own word: "localhost", an address of 127.0.0.0/8 (in IPv6, too), or ::1, as a uri's host has it (no
 * brackets). A name that merely begins like one is none, nor are numbers in other spellings (127.1, 0x7f000001). */
bool uri_is_loopback(struct sv host);

/* application/x-www-form-urlencoded: appends [&]name=value, both encoded. */
void form_add(struct buf *out, const char *name, struct sv value);

#endif
