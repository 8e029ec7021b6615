/*
 * How far an answer in pages is: the token of the next page and how many there were. Not thread-safe.
 *
 * Paging that leads nowhere ends with an error: a token that came before, or more pages than there can be.
 */
#ifndef MUSTER_AWS_PAGING_H
#define MUSTER_AWS_PAGING_H

#include "aws/page_token.h"
#include "base/map.h"

struct paging {
	const char *name;  /* of the member that holds the token: NextToken; borrowed */
	const char *token; /* of the next page; NULL: there was none yet */
	unsigned pages;	   /* that were had, and have a next one */
	struct buf text;
	struct map seen;
};
#define PAGING_INIT(name_) ((struct paging){ .name = (name_), .text = BUF_INIT(PAGE_TOKEN_MAX), .seen = MAP_INIT })

void paging_done(struct paging *p);
/* From the first page on (again). */
void paging_begin(struct paging *p);
/* Does a page's token lead on? To be asked before the page counts; NULL, which no page has but the last, is right. ERR_DATA
 * if it came before, or if `max` pages were had. */
int paging_check(const struct paging *p, const char *token, unsigned max, struct err *err);
/* The same, and on to that page; the token is copied. NULL: there is none, and p->token is NULL. */
int paging_go_on(struct paging *p, const char *token, unsigned max, struct err *err);

#endif
