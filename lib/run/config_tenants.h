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
	bool linked;
	struct tenant_given given;
	const struct found_account *found; /* NULL: it is listed */
	bool sample; /* stands for whatever will be found: its tags are not known */
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
/* An entry of tenants_from that is no file; between config_tenants.c and config_from.c. */
struct organization_read {
	const char *role_for_listing, *external_id_for_listing, *id_tag;
	struct conf_strings ous, exclude;
	struct conf_map tags;
	const struct conf_node *role_node, *ous_node, *exclude_node, *tags_node, *id_tag_node;
};
struct linked_read {
	struct conf_strings exclude;
	const struct conf_node *exclude_node;
};
extern const struct conf_key config_organization_keys[], config_linked_keys[];
/* `s` with what was read: a source of the configuration. NULL for what the entry is not. */
void config_add_source(struct tenants_read *t, const struct tenant_source *s,
		       const struct organization_read *org, const struct linked_read *linked);
void config_check_label_name(struct config_read *r, const struct conf_node *at, const char *name);
void config_check_job_name(struct config_read *r, const struct conf_node *at, const char *name);

#endif
