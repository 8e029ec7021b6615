/*
 * Entries of `tenants_from` whose tenants are found when a run begins: an organization's accounts,
 * and those linked to this one. Reading the configuration calls nobody, so all that can be judged
 * without knowing the accounts is judged here, on a sample of what may be found.
 */
#include "run/config_tenants.h"

#include <stdlib.h>

#include "base/cleanup.h"

#define ORG(member) offsetof(struct organization_read, member)

const struct conf_key config_organization_keys[] = {
    {.name = "role_for_listing",
     .type = CONF_STRING,
     .offset = ORG(role_for_listing),
     .node_offset = ORG(role_node),
     .help = "ARN of a role of the management account (or of a delegated administrator) that may "
	     "list accounts; assumed from the base credentials. Default: these themselves."},
    {.name = "external_id_for_listing",
     .type = CONF_STRING,
     .offset = ORG(external_id_for_listing),
     .help = "What that role's trust policy asks for. Default: nothing."},
    {.name = "ous",
     .type = CONF_STRINGS,
     .offset = ORG(ous),
     .node_offset = ORG(ous_node),
     .help = "Only accounts in these units (ou-...), or in units below them. Default: all."},
    {.name = "tags",
     .type = CONF_MAP,
     .offset = ORG(tags),
     .node_offset = ORG(tags_node),
     .help = "Only accounts that have all these tags; * and ? in a value stand for anything."},
    {.name = "exclude",
     .type = CONF_STRINGS,
     .offset = ORG(exclude),
     .node_offset = ORG(exclude_node),
     .help = "Not these accounts."},
    {.name = "id_tag",
     .type = CONF_STRING,
     .offset = ORG(id_tag),
     .node_offset = ORG(id_tag_node),
     .help = "The tag that holds the tenant's id. Default, and where an account does not have it: "
	     "its name in lower case, with - for what an id cannot have."},
    CONF_END,
};

const struct conf_key config_linked_keys[] = {
    {.name = "exclude",
     .type = CONF_STRINGS,
     .offset = offsetof(struct linked_read, exclude),
     .node_offset = offsetof(struct linked_read, exclude_node),
     .help = "Not these accounts."},
    CONF_END,
};

static void
check_accounts(struct tenants_read *t, const struct conf_strings *v, const struct conf_node *node)
{
	for (size_t i = 0; i < v->n; i++)
		if (!config_is_account(sv_of(v->v[i])))
			conf_fault(t->r->f, config_word_node(node, v, i),
				   "'%.60s' is not an account number of 12 digits", v->v[i]);
}

/* Ids of roots and units: r-abcd, ou-abcd-12345678. */
static bool
unit_ok(const char *s)
{
	if (strncmp(s, "r-", 2) != 0 && strncmp(s, "ou-", 3) != 0)
		return false;
	return !s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-")];
}

static void
check_organization(struct tenants_read *t, const struct organization_read *org)
{
	struct conf_faults *f = t->r->f;
	struct sv account;

	if (org->role_for_listing && !config_split_role_arn(org->role_for_listing, &account))
		conf_fault(f, org->role_node,
			   "not the ARN of a role, arn:aws:iam::ACCOUNT:role/NAME");
	for (size_t i = 0; i < org->ous.n; i++)
		if (!unit_ok(org->ous.v[i]))
			conf_fault(
			    f, config_word_node(org->ous_node, &org->ous, i),
			    "'%.60s' is not the id of a unit or root such as ou-abcd-12345678",
			    org->ous.v[i]);
	check_accounts(t, &org->exclude, org->exclude_node);
}

/* Tags that are needed: no others are read, kept or shown. */
static void
add_tag_name(struct tenants_read *t, struct conf_strings *names, struct sv name)
{
	const char **v;

	for (size_t i = 0; i < names->n; i++)
		if (sv_eq(name, sv_of(names->v[i])))
			return;
	v = config_array(t->r, names->n + 1, sizeof(*v));
	if (!v)
		return;
	if (names->n)
		memcpy(v, names->v, names->n * sizeof(*v));
	v[names->n] = arena_strdup(t->r->a, name);
	if (v[names->n])
		names->n++;
	names->v = v;
}

/* Those of {tag:NAME} in a value. */
static void
add_tags_of(struct tenants_read *t, struct conf_strings *names, const char *value)
{
	static const char begin[] = "{tag:";

	for (const char *p = value ? strstr(value, begin) : NULL; p; p = strstr(p, begin)) {
		p += sizeof(begin) - 1;
		add_tag_name(t, names, (struct sv){p, strcspn(p, "}")});
	}
}

static void
add_tags_of_given(struct tenants_read *t, struct conf_strings *names, const struct tenant_given *g)
{
	add_tags_of(t, names, g->role);
	add_tags_of(t, names, g->external_id);
	for (size_t i = 0; i < g->labels.n; i++)
		add_tags_of(t, names, g->labels.v[i].value);
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void
collect_tag_names(struct tenants_read *t, struct tenant_source *s)
{
	struct conf_strings *names = &s->tag_names;

	for (size_t i = 0; i < s->tags.n; i++)
		add_tag_name(t, names, sv_of(s->tags.v[i].key));
	if (s->id_tag)
		add_tag_name(t, names, sv_of(s->id_tag));
	add_tags_of_given(t, names, s->given);
	add_tags_of_given(t, names, s->defaults);
	if (names->n)
		qsort(names->v, names->n, sizeof(*names->v), by_text);
}

static void
resolve_regions(struct tenants_read *t, struct tenant_source *s)
{
	const struct conf_strings *own = &s->given->regions, *shared = &s->defaults->regions;
	const struct conf_strings *from = own->n ? own : shared;

	s->regions = from->n ? from->v : &t->r->c->region;
	s->n_regions = from->n ? from->n : 1;
}

/* What does not depend on the account is told now, with its place. */
static void
check_sample(struct tenants_read *t, const struct tenant_source *s)
{
	const struct tenant_read in = {.id = "sample",
				       .account = "000000000000",
				       .linked = s->kind == SOURCE_LINKED,
				       .sample = true};
	const struct tenant_given *const from[] = {s->given, s->defaults, NULL};
	struct tenant ignored = {0};

	config_resolve_tenant(t, s->node, &in, from, &ignored);
}

void
config_add_source(struct tenants_read *t, const struct tenant_source *s,
		  const struct organization_read *org, const struct linked_read *linked)
{
	struct config *c = t->r->c;
	struct tenant_source *v = config_array(t->r, c->n_sources + 1, sizeof(*v)), *to;

	if (!v)
		return;
	if (c->n_sources)
		memcpy(v, c->sources, c->n_sources * sizeof(*v));
	to = &v[c->n_sources++];
	c->sources = v;
	*to = *s;
	if (org) {
		check_organization(t, org);
		to->kind = SOURCE_ORGANIZATION;
		to->role_for_listing = org->role_for_listing;
		to->external_id_for_listing = org->external_id_for_listing;
		to->ous = org->ous;
		to->tags = org->tags;
		to->id_tag = org->id_tag;
		to->exclude = org->exclude;
		collect_tag_names(t, to);
	} else {
		check_accounts(t, &linked->exclude, linked->exclude_node);
		to->kind = SOURCE_LINKED;
		to->exclude = linked->exclude;
	}
	resolve_regions(t, to);
	check_sample(t, to);
}

int
config_found_tenant(struct config *c, const struct tenant_source *from,
		    const struct found_account *in, const char *id, struct arena *a,
		    struct tenant *ret, struct err *err)
{
	struct conf_faults *f = conf_faults_new();
	struct config_read r = {.c = c, .a = a, .apart = a, .f = f};
	struct tenants_read t = {.r = &r, .ids = MAP_INIT};
	const struct tenant_read read = {
	    .id = id, .account = in->account, .linked = from->kind == SOURCE_LINKED, .found = in};
	const struct tenant_given *const given[] = {from->given, from->defaults, NULL};
	int rc = 0;

	*ret = (struct tenant){0};
	config_resolve_tenant(&t, from->node, &read, given, ret);
	map_done(&t.ids, NULL);
	if (conf_faults_count(f))
		rc = err_set(err, ERR_USAGE, "%s", f ? conf_faults_get(f, 0) : "out of memory");
	conf_faults_free(f);
	return rc;
}
