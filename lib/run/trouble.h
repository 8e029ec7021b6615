/* Which tenants are in trouble right now, and why in a word: what people want to see while a run goes on. Not thread-safe: the
 * runner's lock guards it. */
#ifndef MUSTER_RUN_TROUBLE_H
#define MUSTER_RUN_TROUBLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define TROUBLE_ROWS 8 /* the newest: a view has no room for more */

struct trouble_of { /* a tenant's part */
	bool failed;
	size_t waiting; /* streams of it whose calls are tried again */
};
struct trouble_row {
	const struct trouble_of *of;
	const char *tenant; /* borrowed */
	char why[sizeof(((struct err *)0)->code)];
};
struct trouble {
	size_t tenants; /* all that are in trouble */
	struct trouble_row rows[TROUBLE_ROWS];
	size_t n_rows;
};

/* A stream of the tenant failed. */
void trouble_failed(struct trouble *t, struct trouble_of *of, const char *tenant, const struct err *err);
/* A stream of the tenant is tried again because of `now`, as it was because of `before`; ERR_NONE: it is (was) not. */
void trouble_waits(struct trouble *t, struct trouble_of *of, const char *tenant, enum err_kind before,
		   enum err_kind now);

#endif
