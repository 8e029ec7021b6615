/*
 * What the parts of reading the configuration share; only lib/run/config_*.c look inside.
 *
 * Order matters in one place: sinks, then jobs (whose `to` names sinks), then tenants (whose `jobs`
 * names jobs), then the run.
 */
#ifndef MUSTER_RUN_CONFIG_READ_H
#define MUSTER_RUN_CONFIG_READ_H

#include "run/config.h"

struct config_read {
	struct config *c;
	struct arena *a;
	/* What is needed only while tenants are read: the nodes of thousands of them take more room than
	 * all the rest. */
	struct arena *apart;
	struct conf_faults *f;
};

/* The sections; `node` is the section's value, NULL if it is absent. */
void config_read_sinks(struct config_read *r, const struct conf_node *node);
void config_read_jobs(struct config_read *r, const struct conf_node *node);
void config_read_run(struct config_read *r, const struct conf_node *node);
/* The three keys that tenants come from. */
struct config_tenant_nodes {
	const struct conf_node *root, *defaults, *tenants, *tenants_from;
};
void config_read_tenants(struct config_read *r, const struct config_tenant_nodes *n);

/* NULL after conf_faults counted that there is no memory. */
void *config_array(struct config_read *r, size_t n, size_t size);

/* A fault about an unknown word, with the nearest known one: "no sink 'lakes' (did you mean
 * lake?)". */
void config_unknown(struct config_read *r, const struct conf_node *node, const char *what,
		    const char *word, const char *const *known, size_t n);

/* The node of the i-th word of a list that was read without a fault, else the list's. */
const struct conf_node *config_word_node(const struct conf_node *list,
					 const struct conf_strings *words, size_t i);

/* Checks of values; each adds a fault at `node` and returns false if it does not hold. */
bool config_check_store_url(struct config_read *r, const struct conf_node *node, const char *url);
bool config_check_http_url(struct config_read *r, const struct conf_node *node, const char *url);
bool config_check_region(struct config_read *r, const struct conf_node *node, const char *region);
bool config_is_account(struct sv s);
/* A full role ARN; its account in *ret_account. False: it is none. */
bool config_split_role_arn(const char *arn, struct sv *ret_account);
/* The name of a role, with its path if it has one: team/muster-reader. */
bool config_is_role_name(const char *s);

/* Tables for help. */
extern const struct conf_key config_root_keys[], config_tenant_default_keys[], config_tenant_keys[],
    config_tenants_from_keys[], config_job_keys[], config_run_keys[];
struct config_sink_kind {
	const char *name;
	enum sink_kind kind;
	const char *summary;
	const struct conf_key *keys; /* beside `kind` */
};
/* Ends with a row without name. */
extern const struct config_sink_kind config_sink_kinds[];

#endif
