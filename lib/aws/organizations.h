/*
 * AWS Organizations: which accounts there are, as AWS JSON 1.1.
 *
 * A global service: its endpoint and its signing region are one for each partition
 * (endpoint_global_region). It answers the management account and delegated administrators only. A
 * page may be empty and still have a token; the last page has none.
 */
#ifndef MUSTER_AWS_ORGANIZATIONS_H
#define MUSTER_AWS_ORGANIZATIONS_H

#include <stdbool.h>

#include "aws/aws_call.h"
#include "base/arena.h"

#define ORG_PAGE_MAX 20 /* accounts or units on a page (service limit) */

struct org_account {
	const char *id, *name;
	/* Neither pending, suspended, closing nor closed: by State, or by Status where an answer
	 * has no State. */
	bool active;
	const char **paths; /* "o-.../r-.../ou-.../<account>/"; none: the answer has none */
	size_t n_paths;
};
struct org_accounts {
	struct org_account *v;
	size_t n;
	const char *token; /* NULL: the last page */
};
struct org_units {
	const char **v; /* ids */
	size_t n;
	const char *token;
};
struct org_tag {
	const char *key, *value;
};
struct org_tags {
	struct org_tag *v;
	size_t n;
	const char *token;
};

/* Fill *call (reset before). `parent`: the accounts directly below a root or a unit; NULL: all
 * there are. `token` NULL: the first page. */
int org_accounts_call(const char *parent, const char *token, struct aws_call *call,
		      struct err *err);
int org_units_call(const char *parent, const char *token, struct aws_call *call, struct err *err);
int org_tags_call(const char *account, const char *token, struct aws_call *call, struct err *err);
/* Read a 2xx answer; whatever *ret points to lives in the arena. ERR_DATA says where and what. */
int org_accounts_read(struct sv body, struct arena *a, struct org_accounts *ret, struct err *err);
int org_units_read(struct sv body, struct arena *a, struct org_units *ret, struct err *err);
int org_tags_read(struct sv body, struct arena *a, struct org_tags *ret, struct err *err);

#endif
