/*
 * INI files as the AWS SDKs read them: [sections], `key = value` (or `key: value`), lines that begin with # or ;, and
 * indented lines, which continue the value above or, if that is empty, are `key = value` pairs below it. What follows a
 * blank and # or ; is a comment, too.
 */
#ifndef MUSTER_FMT_INI_H
#define MUSTER_FMT_INI_H

#include "base/buf.h"

/* Views that live until the callback returns. */
struct ini_item {
	struct sv section; /* between the brackets, without blanks around it */
	struct sv key;     /* lower case; empty: the section begins here */
	struct sv sub;     /* of an indented pair below `key`, else empty */
	struct sv value;   /* continued lines are joined by a newline */
	size_t line;       /* of the section or the key, from 1 */
};

/* One call for each section and each pair, in order; the first that returns -1 ends it. `name` is the file's, for errors
 * ("name:line: ...", ERR_USAGE), which never quote a line: it may hold a secret. What is copied meanwhile is wiped. */
int ini_parse(struct sv text, const char *name, int (*each)(void *arg, const struct ini_item *item, struct err *err), void *arg,
    struct err *err);

#endif
