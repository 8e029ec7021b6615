/*
 * Reading the configuration: the keys of the file as a whole, and the order in which its sections
 * are read. Everything lives in one arena, so that a configuration is freed, and the passwords in
 * it wiped, at once, however far its reading came.
 */
#include "run/config_read.h"

#include "base/cleanup.h"

#include <stdlib.h>

#include "aws/profile.h"

#define ARENA_BYTES ((size_t)512 << 20)

struct root_read {
	const char *region, *state;
	bool state_ephemeral;
	const struct conf_node *defaults, *tenants, *tenants_from, *jobs, *sinks, *run;
	const struct conf_node *region_node, *state_node;
};

#define ROOT(member) offsetof(struct root_read, member)

const struct conf_key config_root_keys[] = {
    {.name = "region",
     .type = CONF_STRING,
     .offset = ROOT(region),
     .node_offset = ROOT(region_node),
     .help = "The central region. Default: AWS_REGION, AWS_DEFAULT_REGION, the profile's."},
    {.name = "state",
     .type = CONF_STRING,
     .offset = ROOT(state),
     .flags = CONF_REQUIRED,
     .node_offset = ROOT(state_node),
     .help = "Where checkpoints and reports are kept: s3://bucket/prefix or file:///dir."},
    {.name = "state_ephemeral",
     .type = CONF_BOOL,
     .offset = ROOT(state_ephemeral),
     .deflt = "false",
     .help = "true: the state may be lost with the machine (an ECS task's disk)."},
    {.name = "defaults",
     .type = CONF_NODE,
     .offset = ROOT(defaults),
     .help = "For every tenant; {account}, {id} and {tag:NAME} are filled in."},
    {.name = "tenants", .type = CONF_NODE, .offset = ROOT(tenants), .help = "The tenants, a list."},
    {.name = "tenants_from",
     .type = CONF_NODE,
     .offset = ROOT(tenants_from),
     .help = "Where more tenants are found, a list; each entry takes the keys of `defaults` too."},
    {.name = "jobs",
     .type = CONF_NODE,
     .offset = ROOT(jobs),
     .flags = CONF_REQUIRED,
     .help = "What is fetched, by name."},
    {.name = "sinks",
     .type = CONF_NODE,
     .offset = ROOT(sinks),
     .flags = CONF_REQUIRED,
     .help = "Where it goes, by name."},
    {.name = "run", .type = CONF_NODE, .offset = ROOT(run), .help = "How a run behaves."},
    CONF_END,
};

/* The file's name without folder and without .yaml, .yml or .json. */
static const char *
name_of(const char *path, struct arena *a)
{
	static const char *const endings[] = {".yaml", ".yml", ".json"};
	const char *slash = strrchr(path, '/');
	struct sv name = sv_of(slash ? slash + 1 : path);

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		struct sv ending = sv_of(endings[i]);

		if (name.n > ending.n && sv_ends(name, ending)) {
			name.n -= ending.n;
			break;
		}
	}
	return arena_strdup(a, name);
}

static const char *
env(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

static void
read_region(struct config_read *r, const struct conf_node *root, const struct root_read *in)
{
	const char *from_env =
	    env("AWS_REGION") ? env("AWS_REGION") : settings_get("AWS_DEFAULT_REGION", "region");

	if (in->region_node) {
		if (in->region && config_check_region(r, in->region_node, in->region))
			r->c->region = in->region;
	} else if (!from_env) {
		if (!conf_meant(root, "region"))
			conf_fault_missing(
			    r->f, root, "region",
			    "missing, and neither AWS_REGION nor a profile gives one");
	} else if (config_check_region(r, root, from_env)) {
		r->c->region = arena_strdup(r->a, sv_of(from_env));
	}
}

static void
read_state(struct config_read *r, const struct root_read *in)
{
	r->c->state = in->state;
	r->c->state_ephemeral = in->state_ephemeral;
	if (!in->state || !config_check_store_url(r, in->state_node, in->state))
		return;
	if (env("ECS_CONTAINER_METADATA_URI_V4") && !strncmp(in->state, "file://", 7) &&
	    !in->state_ephemeral)
		conf_fault(
		    r->f, in->state_node,
		    "the disk of an ECS task goes with the task: use s3://bucket/prefix, or say "
		    "state_ephemeral: true");
}

/* A mapping of names with at least one in it. */
static const struct conf_node *
section(struct config_read *r, const struct conf_node *node)
{
	if (!node || conf_is_bad(node))
		return NULL;
	if (!conf_is_map(node))
		conf_fault(r->f, node, "should be a mapping of names");
	else if (!conf_first(node))
		conf_fault(r->f, node, "should not be empty");
	return conf_is_map(node) ? node : NULL;
}

static void
read_root(struct config_read *r, const struct conf_node *root)
{
	struct root_read in = {0};

	conf_read(root, (const struct conf_key *const[]){config_root_keys, NULL},
		  (void *const[]){&in}, r->a, r->f);
	if (!conf_is_map(root))
		return;
	read_region(r, root, &in);
	read_state(r, &in);
	config_read_sinks(r, section(r, in.sinks));
	config_read_jobs(r, section(r, in.jobs));
	config_read_tenants(r, &(struct config_tenant_nodes){.root = root,
							     .defaults = in.defaults,
							     .tenants = in.tenants,
							     .tenants_from = in.tenants_from});
	config_read_run(r, in.run);
}

static bool
sink_used(const struct config *c, const struct sink_conf *sink)
{
	for (size_t j = 0; j < c->n_jobs; j++)
		for (size_t k = 0; k < c->jobs[j].n_to; k++)
			if (c->jobs[j].to[k] == sink)
				return true;
	return c->run.self_metrics && !strcmp(c->run.self_metrics, sink->name);
}

/* What is no fault, but most likely not meant. */
static void
find_unused(struct config_read *r)
{
	struct config *c = r->c;

	c->unused_sinks = config_array(r, c->n_sinks, sizeof(*c->unused_sinks));
	for (size_t i = 0; c->unused_sinks && i < c->n_sinks; i++)
		if (!sink_used(c, &c->sinks[i]))
			c->unused_sinks[c->n_unused_sinks++] = c->sinks[i].name;
}

int
config_load(const char *path, struct config **ret, struct conf_faults *f, struct err *err)
{
	struct config *c = calloc(1, sizeof(*c));
	CLEANUP(arena_done) struct arena apart = ARENA_INIT(ARENA_BYTES);
	const struct conf_apart tenants = {"tenants", &apart};
	struct config_read r = {.c = c, .apart = &apart, .f = f};
	const struct conf_node *root;
	size_t n;

	if (!c || !f) {
		free(c);
		return err_nomem(err);
	}
	c->arena = ARENA_INIT(ARENA_BYTES);
	r.a = &c->arena;
	c->path = arena_strdup(r.a, sv_of(path));
	c->name = name_of(path, r.a);
	root = c->path && c->name ? conf_load(path, r.a, &tenants, f) : NULL;
	if (root)
		read_root(&r, root);
	find_unused(&r);
	if (c->arena.no_memory || apart.no_memory)
		conf_nomem(f);
	n = conf_faults_count(f);
	if (n == 0 && root) {
		*ret = c;
		return 0;
	}
	config_free(c);
	if (conf_faults_local(f, path, err))
		return -1;
	return err_set(err, ERR_USAGE, "%s: %zu fault%s in the configuration", path, n,
		       n == 1 ? "" : "s");
}

void
config_free(struct config *c)
{
	struct arena a;

	if (!c)
		return;
	a = c->arena;
	free(c);
	arena_wipe(&a);
}
