/*
 * CloudWatch Observability Access Manager: which accounts are linked to this monitoring account.
 *
 * REST with JSON in both directions. There is at most one sink an account and region; each link
 * that is attached to it is another account whose metrics or log groups can be read from here with
 * the monitoring account's own credentials.
 */
#ifndef MUSTER_AWS_OAM_H
#define MUSTER_AWS_OAM_H

#include <stdbool.h>

#include "aws/aws_call.h"
#include "base/arena.h"

struct oam_sinks {
	const char **arns;
	size_t n;
	const char *token; /* NULL: the last page */
};
struct oam_link {
	const char *account; /* 12 digits, of the source; from the link's ARN */
	const char *label;   /* a name for people; "" if there is none */
	bool metrics, logs;  /* what it shares, of what is of use here */
};
struct oam_links {
	struct oam_link *v;
	size_t n;
	const char *token;
};

/* Fill *call (reset before). `token` NULL: the first page. */
int oam_sinks_call(const char *token, struct aws_call *call, struct err *err);
int oam_links_call(const char *sink, const char *token, struct aws_call *call, struct err *err);
/* Read a 2xx answer; whatever *ret points to lives in the arena. ERR_DATA says where and what. */
int oam_sinks_read(struct sv body, struct arena *a, struct oam_sinks *ret, struct err *err);
int oam_links_read(struct sv body, struct arena *a, struct oam_links *ret, struct err *err);

#endif
