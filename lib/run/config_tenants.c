/*
 * The keys `defaults`, `tenants` and `tenants_from`: what each tenant gets from the file as a
 * whole, from the entry that found it, and from itself.
 *
 * A value that comes from `defaults` is wrong once, not once for each of five hundred tenants: see
 * said_before().
 */
#include "run/config_tenants.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define GIVEN(member) offsetof(struct tenant_given, member)

/* The keys of `defaults`; tenants and entries of tenants_from have them beside their own. */
const struct conf_key config_tenant_default_keys[] = {
    {.name = "role",
     .type = CONF_STRING,
     .offset = GIVEN(role),
     .node_offset = GIVEN(role_node),
     .help = "Role to assume: its name in the tenant's account, or a whole ARN."},
    {.name = "external_id",
     .type = CONF_STRING,
     .offset = GIVEN(external_id),
     .node_offset = GIVEN(external_id_node),
     .help = "What the role's trust policy asks for; `none` if it asks for nothing."},
    {.name = "regions",
     .type = CONF_STRINGS,
     .offset = GIVEN(regions),
     .node_offset = GIVEN(regions_node),
     .help = "Regions to fetch from. Default: the central one."},
    {.name = "labels",
     .type = CONF_MAP,
     .offset = GIVEN(labels),
     .node_offset = GIVEN(labels_node),
     .help = "Added to every series and row; a tenant's own hide those of the defaults."},
    {.name = "jobs",
     .type = CONF_STRINGS,
     .offset = GIVEN(jobs),
     .node_offset = GIVEN(jobs_node),
     .help = "Names of the jobs to do. Default: all."},
    {.name = "assume",
     .type = CONF_BOOL,
     .offset = GIVEN(assume),
     .deflt = "true",
     .node_offset = GIVEN(assume_node),
     .help = "false: use the base credentials and no role (the central account as a tenant of its "
	     "own)."},
    CONF_END,
};

const struct conf_key config_tenant_keys[] = {
    {.name = "id",
     .type = CONF_STRING,
     .offset = offsetof(struct tenant_read, id),
     .flags = CONF_REQUIRED,
     .node_offset = offsetof(struct tenant_read, id_node),
     .help = "Unique; becomes the label `tenant` and a part of paths."},
    {.name = "account",
     .type = CONF_STRING,
     .offset = offsetof(struct tenant_read, account),
     .flags = CONF_REQUIRED,
     .node_offset = offsetof(struct tenant_read, account_node),
     .help = "Account number of 12 digits."},
    {.name = "linked",
     .type = CONF_BOOL,
     .offset = offsetof(struct tenant_read, linked),
     .deflt = "false",
     .help = "true: the account is linked to this monitoring account and read through it, with the "
	     "base credentials and no role."},
    CONF_END,
};

struct from_read {
	const char *file;
	const struct conf_node *file_node;
	struct organization_read organization;
	struct linked_read linked;
};
const struct conf_key config_tenants_from_keys[] = {
    {.name = "file",
     .type = CONF_STRING,
     .offset = offsetof(struct from_read, file),
     .node_offset = offsetof(struct from_read, file_node),
     .help = "Files with more tenants (a list, or a mapping with `tenants`); * and ? stand for "
	     "anything; relative to the configuration's folder."},
    {.name = "organization",
     .type = CONF_TABLE,
     .offset = offsetof(struct from_read, organization),
     .table = config_organization_keys,
     .help = "The active accounts of an AWS organization, listed when a run begins; if that fails, "
	     "as they were listed last."},
    {.name = "linked",
     .type = CONF_TABLE,
     .offset = offsetof(struct from_read, linked),
     .table = config_linked_keys,
     .help = "The accounts linked to this monitoring account (OAM) in the entry's regions; no role "
	     "is assumed. {} for all."},
    CONF_END,
};

/* A mapping with keys of its own beside those of `defaults`. */
static void
read_with_given(struct config_read *r, const struct conf_node *node, const struct conf_key *own,
		void *out, struct tenant_given *given)
{
	conf_read(node, (const struct conf_key *const[]){own, config_tenant_default_keys, NULL},
		  (void *const[]){out, given}, r->a, r->f);
}

/* Lists that are wrong for whoever uses them: looked at where they stand. */
static void
check_given(struct tenants_read *t, const struct tenant_given *g)
{
	struct config_read *r = t->r;

	for (size_t i = 0; i < g->regions.n; i++) {
		const struct conf_node *at = config_word_node(g->regions_node, &g->regions, i);

		if (!config_check_region(r, at, g->regions.v[i]))
			continue;
		for (size_t k = 0; k < i; k++)
			if (!strcmp(g->regions.v[i], g->regions.v[k]))
				conf_fault(r->f, at, "region %s is named twice", g->regions.v[i]);
	}
	for (size_t i = 0; i < g->jobs.n; i++)
		config_check_job_name(r, config_word_node(g->jobs_node, &g->jobs, i), g->jobs.v[i]);
	for (size_t i = 0; i < g->labels.n; i++)
		config_check_label_name(r, conf_child(g->labels_node, g->labels.v[i].key),
					g->labels.v[i].key);
}

/* A linked account is read with the base credentials: a role beside it would be ignored, and
 * whoever wrote it believes otherwise. One in `defaults`, or for a whole file, is for the other
 * tenants. */
static void
check_linked(struct tenants_read *t, const struct tenant_given *g)
{
	static const char words[] =
	    "has no effect, for a linked account is read without a role: leave it out here";

	if (g->role_node)
		conf_fault(t->r->f, g->role_node, "%s", words);
	if (g->external_id_node)
		conf_fault(t->r->f, g->external_id_node, "%s", words);
	if (g->assume_node && g->assume)
		conf_fault(t->r->f, g->assume_node, "%s", words);
}

static void
add_tenant(struct tenants_read *t, const struct conf_node *node,
	   const struct tenant_given *const *from)
{
	struct config *c = t->r->c;
	struct tenant_read in = {0};
	struct tenant *v;

	read_with_given(t->r, node, config_tenant_keys, &in, &in.given);
	if (!conf_is_map(node))
		return;
	check_given(t, &in.given);
	if (in.linked)
		check_linked(t, &in.given);
	v = arena_grow(t->r->apart, c->tenants, c->n_tenants, &t->cap, sizeof(*v));
	if (!v) {
		conf_nomem(t->r->f);
		return;
	}
	c->tenants = v;
	config_resolve_tenant(t, node, &in, from, &c->tenants[c->n_tenants++]);
}

static void
add_tenants(struct tenants_read *t, const struct conf_node *list,
	    const struct tenant_given *const *from)
{
	if (conf_is_null(list) || conf_is_bad(list))
		return;
	if (!conf_is_list(list)) {
		conf_fault(t->r->f, list, "should be a list of mappings");
		return;
	}
	for (const struct conf_node *n = conf_first(list); n; n = conf_next(list, n))
		add_tenant(t, n, from);
}

/* A file of tenants: a list, or a mapping with the key `tenants`. */
static void
add_file(struct tenants_read *t, const char *path, const struct tenant_given *const *from)
{
	struct list_read {
		const struct conf_node *tenants;
	} in = {0};
	static const struct conf_key keys[] = {
	    {.name = "tenants",
	     .type = CONF_NODE,
	     .offset = offsetof(struct list_read, tenants),
	     .flags = CONF_REQUIRED},
	    CONF_END,
	};
	const struct conf_apart all = {NULL, t->r->apart};
	const struct conf_node *root = conf_load(path, t->r->a, &all, t->r->f);

	if (conf_is_map(root)) {
		conf_read(root, (const struct conf_key *const[]){keys, NULL}, (void *const[]){&in},
			  t->r->a, t->r->f);
		root = in.tenants;
	}
	add_tenants(t, root, from);
}

/* A folder that is not there has no files; one that cannot be read may have: errno says why. */
static int
glob_trouble(const char *path, int errnum)
{
	(void)path;
	errno = errnum;
	return errnum != ENOENT && errnum != ENOTDIR;
}

/* The pattern, below the configuration's folder if it is relative. */
static void
add_pattern(struct tenants_read *t, const struct conf_node *node, const char *pattern,
	    const struct tenant_given *const *from)
{
	const char *slash = strrchr(t->r->c->path, '/');
	CLEANUP(buf_done) struct buf full = BUF_INIT(64 << 10);
	glob_t g = {0};
	int rc;

	if (pattern[0] != '/' && slash)
		buf_add(&full, t->r->c->path, (size_t)(slash - t->r->c->path) + 1);
	buf_str(&full, pattern);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads yet */
	rc = full.no_memory ? GLOB_NOSPACE : glob(buf_cstr(&full), 0, glob_trouble, &g);
	if (rc == GLOB_NOSPACE)
		conf_nomem(t->r->f);
	else if (rc == GLOB_NOMATCH)
		conf_fault(t->r->f, node, "no such file: %s", buf_cstr(&full));
	else if (rc && errnum_is_trouble(errno))
		conf_unreadable(t->r->f, node, buf_cstr(&full), errno);
	else if (rc)
		conf_fault(t->r->f, node, "cannot be searched: %s", buf_cstr(&full));
	for (size_t i = 0; rc == 0 && i < g.gl_pathc; i++)
		add_file(t, g.gl_pathv[i], from);
	globfree(&g);
}

/* The key that says what kind of entry this is; NULL after a fault. */
static const char *
kind_of(struct tenants_read *t, const struct conf_node *node)
{
	static const char *const kinds[] = {"file", "organization", "linked"};
	const char *kind = NULL;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!conf_child(node, kinds[i]))
			continue;
		kind = kinds[i];
		n++;
	}
	if (n != 1 && !conf_meant(node, "file"))
		conf_fault(t->r->f, node, "needs one of file, organization and linked");
	return n == 1 ? kind : NULL;
}

static void
add_from(struct tenants_read *t, const struct conf_node *node, const struct tenant_given *defaults)
{
	struct from_read in = {0};
	struct tenant_given *given = config_array(t->r, 1, sizeof(*given));
	const struct tenant_given *const from[] = {given, defaults, NULL};
	struct tenant_source s = {.given = given, .defaults = defaults, .node = node};
	const char *kind;

	if (!given)
		return;
	read_with_given(t->r, node, config_tenants_from_keys, &in, given);
	kind = conf_is_map(node) ? kind_of(t, node) : NULL;
	if (!kind)
		return;
	check_given(t, given);
	if (in.file) {
		add_pattern(t, in.file_node, in.file, from);
	} else if (!strcmp(kind, "organization")) {
		config_add_source(t, &s, &in.organization, NULL);
	} else if (!strcmp(kind, "linked")) {
		check_linked(t, given);
		config_add_source(t, &s, NULL, &in.linked);
	}
}

static int
compare_ids(const void *a, const void *b)
{
	const struct tenant *x = a, *y = b;

	return strcmp(x->id, y->id);
}

/* Sorted, and where they stay. */
static void
keep_tenants(struct config_read *r)
{
	struct tenant *v = config_array(r, r->c->n_tenants, sizeof(*v));

	if (!v)
		return;
	memcpy(v, r->c->tenants, r->c->n_tenants * sizeof(*v));
	qsort(v, r->c->n_tenants, sizeof(*v), compare_ids);
	r->c->tenants = v;
}

void
config_read_tenants(struct config_read *r, const struct config_tenant_nodes *n)
{
	struct tenants_read t = {.r = r, .ids = MAP_INIT};
	/* Found tenants are put together from it after this has returned. */
	struct tenant_given *defaults = config_array(r, 1, sizeof(*defaults));
	const struct tenant_given *const from[] = {defaults, NULL};

	if (!defaults)
		return;
	conf_read(n->defaults, (const struct conf_key *const[]){config_tenant_default_keys, NULL},
		  (void *const[]){defaults}, r->a, r->f);
	check_given(&t, defaults);
	add_tenants(&t, n->tenants, from);
	if (n->tenants_from && !conf_is_list(n->tenants_from) && !conf_is_bad(n->tenants_from))
		conf_fault(r->f, n->tenants_from, "should be a list of mappings");
	if (conf_is_list(n->tenants_from))
		for (const struct conf_node *e = conf_first(n->tenants_from); e;
		     e = conf_next(n->tenants_from, e))
			add_from(&t, e, defaults);
	if (!n->tenants && !n->tenants_from && !conf_meant(n->root, "tenants") &&
	    !conf_meant(n->root, "tenants_from"))
		conf_fault_missing(r->f, n->root, "tenants", "missing");
	map_done(&t.ids, NULL);
	/* Only whole ones: with a fault there is no configuration. */
	if (conf_faults_count(r->f) == 0 && r->c->n_tenants)
		keep_tenants(r);
}
