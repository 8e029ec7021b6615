/*
 * One tenant, listed or found: values found at the nearest place, {account}, {id} and {tag:NAME}
 * filled in, checked.
 */
#include "run/config_tenants.h"

#include <stdlib.h>

#include "base/cleanup.h"

#define FILLED_MAX	4096
#define EXTERNAL_ID_MAX 1224
#define SOURCES_MAX	4 /* the tenant, an entry of tenants_from, the defaults, NULL */

/* A value and where it stands. */
struct given {
	const char *text;
	const struct conf_node *node;
};

/* A tenant while it is put together. */
struct resolve {
	struct tenants_read *t;
	const struct conf_node *node;
	const struct tenant_read *in;
	const struct tenant_given *from[SOURCES_MAX]; /* nearest first */
	struct tenant *out;
	bool account_ok;
	bool may_lack_tags; /* the present value is left out without a tag that it names */
};

/* Is a fault about this value told already? A shared one is told for the first tenant only. */
static bool
said_before(struct tenants_read *t, const struct conf_node *node)
{
	for (size_t i = 0; i < t->n_said; i++)
		if (t->said[i] == node)
			return true;
	if (t->n_said < SAID_MAX)
		t->said[t->n_said++] = node;
	return false;
}

/* {tag:NAME}: false if the value cannot be filled in, or is to be left out. */
static bool
fill_tag(struct resolve *s, const struct given *g, struct sv name, struct buf *out)
{
	const struct found_account *found = s->in->found;

	for (size_t i = 0; found && i < found->n_tags; i++) {
		if (!sv_eq(name, sv_of(found->tags[i].name)))
			continue;
		buf_str(out, found->tags[i].value);
		return true;
	}
	if (s->in->sample) {
		buf_str(out, "sample");
		return true;
	}
	if ((found && s->may_lack_tags) || said_before(s->t, g->node))
		return false;
	if (found)
		conf_fault(s->t->r->f, g->node, "account %s has no tag %.*s", found->account,
			   (int)name.n, name.p);
	else
		conf_fault(s->t->r->f, g->node, "a tenant from a file has no tags: {tag:%.*s}",
			   (int)name.n, name.p);
	return false;
}

/* One {...}, `p` behind the brace: the rest behind its end, NULL after a fault. */
static const char *
fill_one(struct resolve *s, const struct given *g, const char *p, struct buf *out)
{
	size_t n = strcspn(p, "}");
	struct sv name = {p, n};

	if (p[n] == '}' && sv_eq(name, SV("account"))) {
		buf_str(out, s->in->account ? s->in->account : "");
	} else if (p[n] == '}' && sv_eq(name, SV("id"))) {
		buf_str(out, s->in->id ? s->in->id : "");
	} else if (p[n] == '}' && sv_starts(name, SV("tag:"))) {
		if (!fill_tag(s, g, (struct sv){p + 4, n - 4}, out))
			return NULL;
	} else if (said_before(s->t, g->node)) {
		return NULL;
	} else {
		conf_fault(s->t->r->f, g->node,
			   "'{' begins {account}, {id} or {tag:NAME}, nothing else");
		return NULL;
	}
	return p + n + 1;
}

/* The value with its {...} replaced, NULL after a fault. */
static const char *
fill(struct resolve *s, const struct given *g)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(FILLED_MAX);
	const char *p = g->text;

	if (!strchr(p, '{'))
		return p;
	while (p && *p) {
		size_t n = strcspn(p, "{");

		buf_add(&out, p, n);
		p += n;
		if (*p)
			p = fill_one(s, g, p + 1, &out);
	}
	if (!p)
		return NULL;
	if (out.no_memory) {
		conf_nomem(s->t->r->f);
		return NULL;
	}
	if (!buf_ok(&out)) {
		if (!said_before(s->t, g->node))
			conf_fault(s->t->r->f, g->node, "longer than %d characters", FILLED_MAX);
		return NULL;
	}
	return arena_strdup(s->t->r->a, buf_view(&out));
}

static void
check_id(struct resolve *s)
{
	struct conf_faults *f = s->t->r->f;
	const char *id = s->in->id;
	const struct conf_node **first;
	void *old;

	if (!id)
		return;
	if (!conf_name_valid(id)) {
		conf_fault(f, s->in->id_node, "'%.80s': " CONF_NAME_RULE, id);
		return;
	}
	/* Valid names have no upper case: equal is equal on file systems that fold case, too. */
	first = map_get(&s->t->ids, sv_of(id));
	if (first) {
		conf_fault(f, s->in->id_node, "'%s' is given twice, first at %s:%u", id,
			   conf_file(*first), conf_line(*first));
		return;
	}
	first = arena_array(s->t->r->apart, 1, sizeof(*first)); /* maps do not keep const */
	if (first)
		*first = s->in->id_node;
	if (!first || map_put(&s->t->ids, sv_of(id), first, &old, NULL))
		conf_nomem(f);
}

static void
check_account(struct resolve *s)
{
	s->account_ok = s->in->account && config_is_account(sv_of(s->in->account));
	if (s->in->account && !s->account_ok)
		conf_fault(s->t->r->f, s->in->account_node,
			   "'%.60s' is not an account number of 12 digits", s->in->account);
}

static void
resolve_assume(struct resolve *s)
{
	s->out->assume = !s->in->linked;
	s->out->linked = s->in->linked;
	for (size_t i = 0; s->from[i]; i++) {
		if (s->from[i]->assume_node && !s->in->linked) {
			s->out->assume = s->from[i]->assume;
			return;
		}
	}
}

static void
check_role(struct resolve *s, const struct given *g, const char *role)
{
	struct conf_faults *f = s->t->r->f;
	struct sv account;

	if (strncmp(role, "arn:", 4) != 0) {
		if (!config_is_role_name(role) && !said_before(s->t, g->node))
			conf_fault(f, g->node, "'%.80s' is neither the name of a role nor its ARN",
				   role);
	} else if (!config_split_role_arn(role, &account)) {
		if (!said_before(s->t, g->node))
			conf_fault(f, g->node,
				   "not the ARN of a role, "
				   "arn:aws:iam::ACCOUNT:role/NAME");
	} else if (s->account_ok && !sv_eq(account, sv_of(s->in->account))) {
		if (!said_before(s->t, g->node))
			conf_fault(f, g->node,
				   "a role of account %.*s, but the account of tenant %s is %s",
				   (int)account.n, account.p, s->in->id ? s->in->id : "?",
				   s->in->account);
	}
}

static void
resolve_role(struct resolve *s)
{
	struct given g = {NULL, NULL};

	if (s->in->linked)
		return; /* nobody assumes it */
	for (size_t i = 0; s->from[i] && !g.node; i++)
		g = (struct given){s->from[i]->role, s->from[i]->role_node};
	if (!g.node && s->out->assume && !conf_meant(s->node, "role"))
		conf_fault_missing(s->t->r->f, s->node, "role",
				   "missing, here and in defaults (or say assume: false)");
	if (!g.text)
		return;
	s->out->role = fill(s, &g);
	if (s->out->role)
		check_role(s, &g, s->out->role);
}

static bool
external_id_ok(const char *id)
{
	size_t n = strlen(id);

	if (n < 2 || n > EXTERNAL_ID_MAX)
		return false;
	for (const char *p = id; *p; p++)
		if (!(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z') &&
		    !(*p >= '0' && *p <= '9') && !strchr("_+=,.@:/-", *p))
			return false;
	return true;
}

static void
resolve_external_id(struct resolve *s)
{
	struct given g = {NULL, NULL};

	if (s->in->linked)
		return;
	for (size_t i = 0; s->from[i] && !g.node; i++)
		g = (struct given){s->from[i]->external_id, s->from[i]->external_id_node};
	if (!g.node && s->out->assume && !conf_meant(s->node, "external_id"))
		conf_fault_missing(
		    s->t->r->f, s->node, "external_id",
		    "missing, here and in defaults (`none` if the role's trust policy "
		    "asks for none)");
	if (!g.text || !strcmp(g.text, "none"))
		return;
	s->out->external_id = fill(s, &g);
	if (s->out->external_id && !external_id_ok(s->out->external_id) &&
	    !said_before(s->t, g.node))
		conf_fault(s->t->r->f, g.node,
			   "an external id has 2 to %d letters, digits and _+=,.@:/-",
			   EXTERNAL_ID_MAX);
}

static void
resolve_lists(struct resolve *s)
{
	struct config *c = s->t->r->c;

	if (s->in->found) {
		s->out->regions = s->in->found->regions;
		s->out->n_regions = s->in->found->n_regions;
	}
	for (size_t i = 0; s->from[i] && !s->out->n_regions; i++) {
		s->out->regions = s->from[i]->regions.v;
		s->out->n_regions = s->from[i]->regions.n;
	}
	for (size_t i = 0; s->from[i] && !s->out->n_jobs; i++) {
		s->out->jobs = s->from[i]->jobs.v;
		s->out->n_jobs = s->from[i]->jobs.n;
	}
	if (!s->out->n_regions && c->region) {
		s->out->regions = &c->region;
		s->out->n_regions = 1;
	}
}

static bool
has_label(const struct tenant *t, const char *name)
{
	for (size_t i = 0; i < t->n_labels; i++)
		if (!strcmp(t->labels[i].name, name))
			return true;
	return false;
}

static int
compare_labels(const void *a, const void *b)
{
	const struct label *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* Empty values hide those of the places further away, and are no labels themselves. */
static void
resolve_labels(struct resolve *s)
{
	struct tenant *out = s->out;
	size_t n = 0, kept = 0;

	for (size_t i = 0; s->from[i]; i++)
		n += s->from[i]->labels.n;
	if (!n)
		return;
	out->labels = config_array(s->t->r, n, sizeof(*out->labels));
	if (!out->labels)
		return;
	s->may_lack_tags = true;
	for (size_t i = 0; s->from[i]; i++) {
		for (size_t k = 0; k < s->from[i]->labels.n; k++) {
			const struct conf_pair *p = &s->from[i]->labels.v[k];
			const struct given g = {p->value,
						conf_child(s->from[i]->labels_node, p->key)};

			if (!has_label(out, p->key))
				out->labels[out->n_labels++] = (struct label){p->key, fill(s, &g)};
		}
	}
	s->may_lack_tags = false;
	for (size_t i = 0; i < out->n_labels; i++)
		if (out->labels[i].value && *out->labels[i].value)
			out->labels[kept++] = out->labels[i];
	out->n_labels = kept;
	if (kept)
		qsort(out->labels, kept, sizeof(*out->labels), compare_labels);
}

void
config_resolve_tenant(struct tenants_read *t, const struct conf_node *node,
		      const struct tenant_read *in, const struct tenant_given *const *from,
		      struct tenant *out)
{
	struct resolve s = {.t = t, .node = node, .in = in, .from = {&in->given}, .out = out};

	for (size_t i = 0; from[i] && i + 2 < SOURCES_MAX; i++)
		s.from[i + 1] = from[i];
	out->id = in->id;
	out->account = in->account;
	if (!in->sample) {
		check_id(&s);
		check_account(&s);
	}
	resolve_assume(&s);
	resolve_role(&s);
	resolve_external_id(&s);
	resolve_lists(&s);
	resolve_labels(&s);
}

void
config_check_label_name(struct config_read *r, const struct conf_node *at, const char *name)
{
	static const char *const reserved[] = {"tenant", "account_id", "region", "dimension_set"};

	if (!label_name_valid(name)) {
		conf_fault_key(r->f, at,
			       "labels are named with a-z, A-Z, 0-9 and '_', and do not begin "
			       "with a digit");
		return;
	}
	if (!strncmp(name, "__", 2))
		conf_fault_key(r->f, at, "names that begin with __ are reserved");
	for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
		if (!strcmp(reserved[i], name))
			conf_fault_key(r->f, at, "this label is set by muster itself");
}

void
config_check_job_name(struct config_read *r, const struct conf_node *at, const char *name)
{
	const char **names = config_array(r, r->c->n_jobs, sizeof(*names));

	for (size_t i = 0; names && i < r->c->n_jobs; i++) {
		names[i] = r->c->jobs[i].name;
		if (!strcmp(names[i], name))
			return;
	}
	if (names)
		config_unknown(r, at, "job", name, names, r->c->n_jobs);
}
