/*
 * Tenants that are found: before anything is planned, each source of `tenants_from` that is no file
 * is listed once, and what it finds stands beside the listed tenants from then on.
 *
 * The list is kept in the state store. When accounts cannot be listed, the last list is used, with
 * a warning that tells its age; a source that was never listed is a fault. An account that is a
 * tenant already (listed, or found by an earlier source) is not found again. Ids come from a tag or
 * from the account's name; where two would be the same, the one that had the id in the last list,
 * else the listed tenant, else the lower account number keeps it, and the other's gets its account
 * number behind it, for as long as it is found.
 */
#ifndef MUSTER_RUN_FOUND_H
#define MUSTER_RUN_FOUND_H

#include <jansson.h>

#include "run/found_list.h"

struct found;
/* An account that cannot be a tenant: "account 111122223333 has no tag tier". */
struct found_refused {
	const char *id, *account;
	struct err why;
};

/* -1: a source could not be listed now and never was before, or the state store failed. */
int found_open(const struct config *listed, const struct found_env *env, struct found **ret,
	       struct err *err);
/* The configuration with all tenants in it, constant from here on; as long as `found` lives. */
const struct config *found_config(const struct found *f);
/* Why the i-th source of the configuration could not be listed, so that the last list is used; NULL:
 * it was listed. */
const struct err *found_trouble(const struct found *f, size_t i);
size_t found_refused(const struct found *f, const struct found_refused **ret);
/* For the report: each source, the age of its list, what went wrong. NULL without memory. */
json_t *found_json(const struct found *f);
void found_free(struct found *f);
/* The id that a tag's value or an account's name makes: lower case, '-' for every run of what an id
 * cannot have, at most 63 characters. "" if nothing of it can be used. */
void found_id(const char *text, char out[64]);

#endif
