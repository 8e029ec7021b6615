/*
 * The token of a page's successor, looked for in an answer that nobody has read.
 *
 * For guesses: the first member of that name counts, wherever it stands. Whoever reads the page finds out whether it was
 * the right one.
 */
#ifndef MUSTER_AWS_PAGE_TOKEN_H
#define MUSTER_AWS_PAGE_TOKEN_H

#include "base/buf.h"
#include "net/transport.h"

#define PAGE_TOKEN_MAX ((size_t)64 << 10) /* longer ones are not believed; those seen have some 2 KiB */

enum page_token {
	PAGE_TOKEN,	/* there is one */
	PAGE_TOKEN_NONE, /* nothing has this name, or its value is empty or null */
	PAGE_TOKEN_UNSURE, /* it is not text that could be taken as it is, or the protocol is neither JSON nor CBOR */
};
/* `name` of a member, at most 23 bytes of ASCII (NextToken). The token is appended to *ret. Thread-safe. */
enum page_token page_token_peek(enum http_proto proto, struct sv body, const char *name, struct buf *ret);

#endif
