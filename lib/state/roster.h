/*
 * The accounts that were found when runs began, so that a run goes on with the last list when they
 * cannot be listed: `tenants-found.json` in the state store, one list for each source of tenants.
 *
 * JSON, human-readable, with version and checksum. It is no record of work done: a damaged one is
 * not used, and the next listing replaces it. Not thread-safe.
 */
#ifndef MUSTER_STATE_ROSTER_H
#define MUSTER_STATE_ROSTER_H

#include "base/arena.h"
#include "model/series.h"
#include "store/store.h"

#define ROSTER_KEY "tenants-found.json"
#define ROSTER_MAX (64u << 20)

struct roster_account {
	const char *account, *name;
	const char *id;	    /* the tenant it is */
	struct label *tags; /* sorted by name */
	size_t n_tags;
	int64_t tags_ms; /* when they were read; 0: they were not */
	const char **regions;
	size_t n_regions;
};

struct roster_list {
	const char *key;  /* hash of what decides who is in it */
	const char *kind; /* for people: "organization", "linked" */
	int64_t made_ms;  /* when the accounts were listed, by AWS's clock */
	struct roster_account *v;
	size_t n;
};

struct roster {
	struct roster_list *lists;
	size_t n;
	char etag[STORE_ETAG_MAX]; /* "": there is none yet */
};

/* What there is, into the arena; none at all is an empty one. ERR_DATA: damaged; then *ret is empty
 * but for the etag, so that it can be replaced. */
int roster_load(struct store *s, struct arena *a, struct roster *ret, struct err *err);
const struct roster_list *roster_find(const struct roster *r, const char *key);
/* Put `list` in the place of the one with its key, beside those of other configurations. Lists that
 * were made longer than 90 days before it go. Another writer's changes in between are taken in.
 * ERR_CONFLICT: there were too many. */
int roster_keep(struct store *s, const struct roster_list *list, struct err *err);

#endif
