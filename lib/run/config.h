/*
 * The configuration as C structs, read by the tables in config.c.
 *
 * Everything lives in one arena and is constant after config_load: shared by all threads without
 * locks.
 */
#ifndef MUSTER_RUN_CONFIG_H
#define MUSTER_RUN_CONFIG_H

#include "fmt/conf.h"
#include "run/job.h"
#include "run/limits.h"
#include "run/prices.h"
#include "sink/sink.h"

struct tenant {
	const char *id;
	const char *account;	 /* 12 digits */
	const char *role;	 /* a name, or a full ARN of that account; NULL only if !assume */
	const char *external_id; /* NULL: none (said so) */
	const char **regions;
	size_t n_regions;
	struct label *labels; /* sorted by name */
	size_t n_labels;
	const char **jobs;
	size_t n_jobs; /* 0: all */
	bool assume;
	bool linked; /* read through this monitoring account (OAM); then assume is false */
};

/* Where tenants are found when a run begins: an entry of tenants_from. */
enum tenant_source_kind { SOURCE_ORGANIZATION, SOURCE_LINKED };
struct tenant_given;
struct tenant_source {
	enum tenant_source_kind kind;
	/* Of an organization. */
	const char *role_for_listing;	     /* a full ARN; NULL: the base credentials */
	const char *external_id_for_listing; /* NULL: none */
	struct conf_strings ous;	     /* units or roots; none: all accounts */
	struct conf_map tags;		     /* all of these; '*' and '?' in values */
	const char *id_tag;		     /* NULL: ids come from the accounts' names */
	struct conf_strings tag_names;	     /* all that is needed, {tag:NAME} too; sorted */
	struct conf_strings exclude;	     /* accounts */
	const char **regions;		     /* where links are looked for */
	size_t n_regions;
	/* Private: config_found_tenant() goes by them. */
	const struct tenant_given *given, *defaults;
	const struct conf_node *node;
};

/* What is known about an account that was found. */
struct found_account {
	const char *account;
	const char *name;
	struct label *tags;
	size_t n_tags;
	const char **regions; /* where it is linked; none: as the configuration says */
	size_t n_regions;
};

struct job {
	const char *name;
	const struct job_kind *kind;
	struct job_common common;
	struct sink_conf **to; /* into config.sinks */
	size_t n_to;
	void *opts;	     /* of the kind */
	char definition[33]; /* hash of what the data are, not where they go */
	const struct conf_node *node;
};

enum sandbox { SANDBOX_AUTO, SANDBOX_OFF };
enum fail_on { FAIL_ON_ANY, FAIL_ON_ALL, FAIL_ON_PERCENT };

struct run_conf {
	int64_t workers, tenant_workers;
	int64_t deadline_ms; /* 0: none */
	int64_t max_catchup_ms;
	int64_t cell_deadline_ms; /* how long one span is tried again (default 3m) */
	enum fail_on fail_on;
	double fail_percent;
	const char *self_metrics, *status_page; /* NULL: none */
	int sandbox; /* enum sandbox */
	struct prices prices;
	struct limits limits;
};

struct config {
	const char *path;
	const char *name; /* the file's name without folder and .yaml */
	const char *region, *state;
	bool state_ephemeral;
	struct tenant *tenants; /* sorted by id */
	size_t n_tenants;
	struct tenant_source *sources;
	size_t n_sources;
	struct job *jobs;
	size_t n_jobs;
	struct sink_conf *sinks;
	size_t n_sinks;
	struct run_conf run;
	const char **unused_sinks; /* names of sinks that nothing goes to: worth a warning */
	size_t n_unused_sinks;
	struct arena arena;
};

/* -1: ERR_USAGE, and the faults say what is wrong with it; or ERR_LOCAL: there was no memory, and of
 * the file nothing is known. */
int config_load(const char *path, struct config **ret, struct conf_faults *f, struct err *err);
void config_free(struct config *c);
/* The tenant `id` that an account found by `from` is: what the entry and the defaults give it,
 * filled in and checked. In the arena, or borrowed from `c` and `in`. ERR_USAGE says what does not
 * hold. */
int config_found_tenant(struct config *c, const struct tenant_source *from,
			const struct found_account *in, const char *id, struct arena *a,
			struct tenant *ret, struct err *err);
/* `muster help config` */
void config_help(struct buf *out);
/* What `muster init` writes. Static storage. */
const char *config_init_text(void);

#endif
