/*
 * From what was given for a tenant (by itself, by the entry that found it, by the defaults) to the
 * tenant; between config_tenants.c and config_tenant.c.
 */
#ifndef MUSTER_RUN_CONFIG_TENANTS_H
#define MUSTER_RUN_CONFIG_TENANTS_H

#include "base/map.h"
#include "run/config_read.h"

/* The keys that may stand at all three places. */
struct tenant_given {
	const char *role, *external_id;
	struct conf_strings regions, jobs;
	struct conf_map labels;
	bool assume;
	const struct conf_node *role_node, *external_id_node, *regions_node, *labels_node,
	    *jobs_node, *assume_node;
};

struct tenant_read {
	const char *id, *account;
	const struct conf_node *id_node, *account_node;
	struct tenant_given given;
};

#define SAID_MAX 64

struct tenants_read {
	struct config_read *r;
	struct map ids; /* id in lower case -> node of the first that has it */
	size_t cap;	/* of config.tenants */
	const struct conf_node *said[SAID_MAX]; /* shared values that a fault was told about */
	size_t n_said;
};

/* `from`: where values come from that the tenant itself does not give, nearest first, NULL at the
 * end. */
void config_resolve_tenant(struct tenants_read *t, const struct conf_node *node,
			   const struct tenant_read *in, const struct tenant_given *const *from,
			   struct tenant *out);
void config_check_label_name(struct config_read *r, const struct conf_node *at, const char *name);
void config_check_job_name(struct config_read *r, const struct conf_node *at, const char *name);

#endif
