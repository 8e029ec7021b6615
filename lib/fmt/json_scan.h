/*
 * JSON read in place, for the large answers of the hot path: no tree is built and nothing is
 * copied; strings are views into the text, with their escapes. What a document means is up to the
 * caller, who walks through it member by member.
 *
 * All functions return false at text that is not JSON, or not what was asked for; the place is
 * s->p then. Strings may hold invalid UTF-8 until they are recoded.
 */
#ifndef MUSTER_FMT_JSON_SCAN_H
#define MUSTER_FMT_JSON_SCAN_H

#include <stdbool.h>

#include "base/buf.h"

#define JSON_SCAN_DEPTH 64

struct json_scan {
	const char *p, *end;
};
#define JSON_SCAN_INIT(text) ((struct json_scan){(text).p, (text).p + (text).n})

/* Strings as they stand between their quotes, and whether json_recode() would write them as they
 * are. */
struct json_raw {
	struct sv name, value;
	bool name_as_is, value_as_is;
};

/* Blanks and this character. Without it nothing but the blanks is passed. */
bool json_scan_ch(struct json_scan *s, char c);
/* Nothing is left but blanks. */
bool json_scan_end(struct json_scan *s);
bool json_scan_str(struct json_scan *s, struct sv *ret_raw);
/* *ret_as_is: json_recode() would write it as it is. False says nothing. */
bool json_scan_text(struct json_scan *s, struct sv *ret_raw, bool *ret_as_is);
bool json_scan_num(struct json_scan *s, double *ret);
/* Passes a null; anything else stays where it is. */
bool json_scan_null(struct json_scan *s);
/* Any value, with all that is in it. */
bool json_scan_skip(struct json_scan *s);
/* The next member of an object whose '{' was passed (`first`: no comma stands before it), up to its
 * value; *ret_end: there is none, and the '}' was passed. */
bool json_scan_member(struct json_scan *s, bool first, struct sv *ret_raw, bool *ret_end);
/* The same for the next item of a list. */
bool json_scan_item(struct json_scan *s, bool first, bool *ret_end);

/* How many bytes at the start of s stand for themselves in a string: ASCII without quotes, backslashes
 * and control characters. */
size_t json_plain_run(struct sv s);
/* Append the string as json_escape() would write what it stands for, quotes included. Lone
 * surrogates and invalid UTF-8 become U+FFFD. */
void json_recode(struct buf *out, struct sv raw);
/* Append what it stands for. */
void json_unescape(struct buf *out, struct sv raw);

#endif
