/*
 * Listing the accounts of one source of tenants: an organization, or this monitoring account's
 * links. A list is whole or not at all: after an error nothing of it counts.
 */
#ifndef MUSTER_RUN_FOUND_LIST_H
#define MUSTER_RUN_FOUND_LIST_H

#include "aws/cred.h"
#include "net/transport.h"
#include "run/config.h"
#include "state/roster.h"

struct found_env {
	struct transport *transport;
	struct cred_source *base;
	struct clock *clock;
	/* The base credentials'. NULL: nobody is asked, and the last lists are used: of each kind of
	 * source the newest, for whose it is cannot be told. */
	const char *account;
	const char *region;  /* the central one */
	const char *sts_endpoint, *run_id;
	int64_t wall_ms;	  /* AWS's clock, now */
	int64_t deadline_mono_ms; /* of the listing; 0: none */
	struct store *state;
	bool keep; /* may the state store be written? */
};

/*
 * The active accounts that `from` selects, sorted, into the arena; ids are left out. Tags of an
 * account that is in `last` (NULL: there is no earlier list) are taken from there while they are
 * fresh: reading them costs a call an account.
 */
int found_list(const struct found_env *env, const struct tenant_source *from,
	       const struct roster_list *last, struct arena *a, struct roster_list *ret,
	       struct err *err);
/* What decides who is in the list, as a hash in the arena; NULL without memory. */
const char *found_key(const struct found_env *env, const struct tenant_source *from,
		      struct arena *a);

#endif
