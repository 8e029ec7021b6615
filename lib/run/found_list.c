/*
 * Listing accounts; see found_list.h. Calls are made one after the other by the only thread there
 * is yet: their quotas are low, and one list serves the whole run.
 */
#include "run/found_list.h"

#include <fnmatch.h>
#include <stdlib.h>

#include "aws/endpoint.h"
#include "aws/oam.h"
#include "aws/organizations.h"
#include "aws/paging.h"
#include "aws/sts.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/map.h"

/* 20 accounts a page: 200,000 accounts; the service's own limit is lower. */
#define PAGES_MAX 10000
/* Units below those that were asked for (the service allows 2,000 in an organization). */
#define UNITS_MAX 10000
#define PAGE_MAX  ((size_t)64 << 20)
/* How long tags that were read are taken for true: the service allows few calls, and it takes one
 * an account. */
#define TAGS_FRESH_MS INT64_C(600000)

struct lister {
	const struct found_env *env;
	const struct tenant_source *from;
	struct arena *a, page;
	struct cred_source *creds, *own; /* own: to be freed */
	const char *account;		 /* whose quota is used */
	const char *region;
	struct buf endpoint;
	struct aws_call call;
	struct http_resp resp;
	struct map have; /* account -> where it is in v, plus 1 */
	struct roster_account *v;
	size_t n, cap;
};

/* Calls and pages */

/* Whatever the last page left is forgotten; the next call can be built. */
static struct aws_call *
begin(struct lister *l)
{
	arena_reset(&l->page);
	aws_call_reset(&l->call);
	return &l->call;
}

static int
ask(struct lister *l, struct err *err)
{
	const struct aws_target to = {
	    .t = l->env->transport,
	    .creds = l->creds,
	    .endpoint = buf_cstr(&l->endpoint),
	    .account = l->account,
	    .region = l->region,
	    .deadline_mono_ms = l->env->deadline_mono_ms,
	};

	resp_reset(&l->resp);
	return aws_call_send(&l->call, &to, &l->resp, err);
}

static struct sv
answer(const struct lister *l)
{
	return buf_view(&l->resp.body);
}

/* Accounts */

static bool
excluded(const struct tenant_source *from, const char *account)
{
	for (size_t i = 0; i < from->exclude.n; i++)
		if (!strcmp(from->exclude.v[i], account))
			return true;
	return false;
}

static int
grow(struct lister *l, struct err *err)
{
	struct roster_account *v = arena_grow(l->a, l->v, l->n, &l->cap, sizeof(*v));

	if (!v)
		return err_nomem(err);
	l->v = v;
	return 0;
}

/* The account's place in the list, a new one if need be; NULL in *ret if it is excluded. */
static int
add_account(struct lister *l, const char *account, const char *name, struct roster_account **ret,
	    struct err *err)
{
	uintptr_t at = (uintptr_t)map_get(&l->have, sv_of(account));

	*ret = NULL;
	if (excluded(l->from, account))
		return 0;
	if (!at) {
		if (grow(l, err))
			return -1;
		l->v[l->n] = (struct roster_account){
		    .account = arena_strdup(l->a, sv_of(account)),
		    .name = arena_strdup(l->a, sv_of(name)),
		};
		if (!l->v[l->n].account || !l->v[l->n].name)
			return err_nomem(err);
		at = ++l->n;
		if (map_put(&l->have, sv_of(account), (void *)at, NULL, err))
			return -1;
	}
	*ret = &l->v[at - 1];
	return 0;
}

/* An organization */

static int
accounts_of(struct lister *l, const char *parent, struct err *err)
{
	CLEANUP(paging_done) struct paging p = PAGING_INIT("NextToken");
	struct roster_account *ignored;
	struct org_accounts page;

	do {
		if (org_accounts_call(parent, p.token, begin(l), err) || ask(l, err) ||
		    org_accounts_read(answer(l), &l->page, &page, err))
			return err_wrap(err, "%s", l->call.operation);
		for (size_t i = 0; i < page.n; i++)
			if (page.v[i].active &&
			    add_account(l, page.v[i].id, page.v[i].name, &ignored, err))
				return -1;
		if (paging_go_on(&p, page.token, PAGES_MAX, err))
			return err_wrap(err, "%s", l->call.operation);
	} while (p.token);
	return 0;
}

struct units {
	struct map seen;
	const char **v;
	size_t n;
};

static int
add_unit(struct lister *l, struct units *u, const char *id, struct err *err)
{
	if (map_get(&u->seen, sv_of(id)))
		return 0;
	if (u->n == UNITS_MAX)
		return err_set(err, ERR_DATA, "more than %d units", UNITS_MAX);
	u->v[u->n] = arena_strdup(l->a, sv_of(id));
	return u->v[u->n++] ? map_put(&u->seen, sv_of(id), u, NULL, err) : err_nomem(err);
}

static int
units_of(struct lister *l, struct units *u, const char *parent, struct err *err)
{
	CLEANUP(paging_done) struct paging p = PAGING_INIT("NextToken");
	struct org_units page;

	do {
		if (org_units_call(parent, p.token, begin(l), err) || ask(l, err) ||
		    org_units_read(answer(l), &l->page, &page, err))
			return err_wrap(err, "%s", l->call.operation);
		for (size_t i = 0; i < page.n; i++)
			if (add_unit(l, u, page.v[i], err))
				return -1;
		if (paging_go_on(&p, page.token, PAGES_MAX, err))
			return err_wrap(err, "%s", l->call.operation);
	} while (p.token);
	return 0;
}

/* The accounts of a unit, and of all units below it. */
static int
walk(struct lister *l, const char *top, struct err *err)
{
	struct units u = {.seen = MAP_INIT, .v = calloc(UNITS_MAX, sizeof(*u.v))};
	int r = u.v ? add_unit(l, &u, top, err) : err_nomem(err);

	for (size_t i = 0; !r && i < u.n; i++)
		r = accounts_of(l, u.v[i], err) || units_of(l, &u, u.v[i], err) ? -1 : 0;
	map_done(&u.seen, NULL);
	free(u.v);
	return r;
}

/* Does a path o-.../r-.../ou-.../<account>/ lead through this unit? */
static bool
path_has(const char *path, const char *unit)
{
	size_t n = strlen(unit);

	for (const char *p = strstr(path, unit); p; p = strstr(p + 1, unit))
		if (p > path && p[-1] == '/' && p[n] == '/')
			return true;
	return false;
}

static int
take_by_paths(struct lister *l, const struct org_account *one, bool *met, struct err *err)
{
	const struct conf_strings *ous = &l->from->ous;
	struct roster_account *ignored;
	bool below = false;

	for (size_t i = 0; i < ous->n; i++)
		for (size_t k = 0; k < one->n_paths; k++) {
			if (!path_has(one->paths[k], ous->v[i]))
				continue;
			met[i] = below = true;
		}
	return below ? add_account(l, one->id, one->name, &ignored, err) : 0;
}

/* By the paths that newer answers have: then nobody needs to walk the tree. *ret_all: they had. */
static int
accounts_by_paths(struct lister *l, bool *met, bool *ret_all, struct err *err)
{
	CLEANUP(paging_done) struct paging p = PAGING_INIT("NextToken");
	struct org_accounts page;
	struct err why = {0};

	*ret_all = false;
	do {
		if (org_accounts_call(NULL, p.token, begin(l), err))
			return -1;
		if (ask(l, &why)) {
			if (why.kind == ERR_AUTH)
				return 0; /* it may be allowed to list units only */
			(void)err_wrap(&why, "ListAccounts");
			if (err)
				*err = why;
			return -1;
		}
		if (org_accounts_read(answer(l), &l->page, &page, err))
			return err_wrap(err, "ListAccounts");
		for (size_t i = 0; i < page.n; i++) {
			if (!page.v[i].active)
				continue;
			if (!page.v[i].n_paths)
				return 0;
			if (take_by_paths(l, &page.v[i], met, err))
				return -1;
		}
		if (paging_go_on(&p, page.token, PAGES_MAX, err))
			return err_wrap(err, "ListAccounts");
	} while (p.token);
	*ret_all = true;
	return 0;
}

/* A unit that no path names is looked into all the same: it may be empty, or not exist. */
static int
accounts_of_units(struct lister *l, struct err *err)
{
	const struct conf_strings *ous = &l->from->ous;
	CLEANUP(freep) bool *met = calloc(ous->n, sizeof(*met));
	bool all;

	if (!met)
		return err_nomem(err);
	if (accounts_by_paths(l, met, &all, err))
		return -1;
	for (size_t i = 0; i < ous->n; i++)
		if ((!all || !met[i]) && walk(l, ous->v[i], err))
			return err_wrap(err, "%s", ous->v[i]);
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	const struct label *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static bool
is_needed(const struct tenant_source *from, const char *tag)
{
	for (size_t i = 0; i < from->tag_names.n; i++)
		if (!strcmp(from->tag_names.v[i], tag))
			return true;
	return false;
}

static int
add_tags(struct lister *l, struct roster_account *to, const struct org_tags *page, struct err *err)
{
	struct label *v = arena_array(l->a, to->n_tags + page->n, sizeof(*v));

	if (!v)
		return err_nomem(err);
	if (to->n_tags)
		memcpy(v, to->tags, to->n_tags * sizeof(*v));
	to->tags = v;
	for (size_t i = 0; i < page->n; i++) {
		struct label *tag = &v[to->n_tags];

		if (!is_needed(l->from, page->v[i].key))
			continue;
		to->n_tags++;
		tag->name = arena_strdup(l->a, sv_of(page->v[i].key));
		tag->value = arena_strdup(l->a, sv_of(page->v[i].value));
		if (!tag->name || !tag->value)
			return err_nomem(err);
	}
	return 0;
}

static int
read_tags(struct lister *l, struct roster_account *to, struct err *err)
{
	CLEANUP(paging_done) struct paging p = PAGING_INIT("NextToken");
	struct org_tags page;

	do {
		if (org_tags_call(to->account, p.token, begin(l), err) || ask(l, err) ||
		    org_tags_read(answer(l), &l->page, &page, err) ||
		    paging_go_on(&p, page.token, PAGES_MAX, err))
			return err_wrap(err, "ListTagsForResource of %s", to->account);
		if (add_tags(l, to, &page, err))
			return -1;
	} while (p.token);
	if (to->n_tags)
		qsort(to->tags, to->n_tags, sizeof(*to->tags), by_name);
	to->tags_ms = l->env->wall_ms;
	return 0;
}

/* Compared, not subtracted: a stored time may be anything. */
static const struct roster_account *
fresh_tags(const struct lister *l, const struct roster_list *last, const char *account)
{
	for (size_t i = 0; last && i < last->n; i++)
		if (!strcmp(last->v[i].account, account))
			return last->v[i].tags_ms > l->env->wall_ms - TAGS_FRESH_MS &&
				       last->v[i].tags_ms <= l->env->wall_ms
				   ? &last->v[i]
				   : NULL;
	return NULL;
}

static const char *
tag_value(const struct roster_account *r, const char *name)
{
	for (size_t i = 0; i < r->n_tags; i++)
		if (!strcmp(r->tags[i].name, name))
			return r->tags[i].value;
	return NULL;
}

static bool
has_tags(const struct tenant_source *from, const struct roster_account *r)
{
	for (size_t i = 0; i < from->tags.n; i++) {
		const char *value = tag_value(r, from->tags.v[i].key);

		if (!value || fnmatch(from->tags.v[i].value, value, 0))
			return false;
	}
	return true;
}

/* Tags of those that have them not yet; who lacks one that is asked for goes. */
static int
select_by_tags(struct lister *l, const struct roster_list *last, struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct roster_account *r = &l->v[i];
		const struct roster_account *known = fresh_tags(l, last, r->account);

		if (known) {
			r->tags = known->tags;
			r->n_tags = known->n_tags;
			r->tags_ms = known->tags_ms;
		} else if (read_tags(l, r, err)) {
			return -1;
		}
		if (has_tags(l->from, r))
			l->v[n++] = *r;
	}
	l->n = n;
	return 0;
}

static int
open_creds(struct lister *l, struct err *err)
{
	char session[65];
	const struct assume_role role = {
	    .endpoint = l->env->sts_endpoint,
	    .region = l->env->region,
	    .role_arn = l->from->role_for_listing,
	    .external_id = l->from->external_id_for_listing,
	    .session_name = session,
	};
	struct cred_source *sts = NULL;

	if (!role.role_arn)
		return 0;
	sts_session_name(session, "list", l->env->run_id);
	if (cred_sts_new(l->env->transport, l->env->base, &role, &sts, err))
		return -1;
	if (cred_cache_new(sts, 0, l->env->clock, &l->own, err)) {
		cred_source_free(sts);
		return -1;
	}
	l->creds = l->own;
	return 0;
}

/* The account in arn:aws:iam::ACCOUNT:role/NAME, which the configuration has checked. */
static const char *
account_of_role(const char *arn, struct arena *a)
{
	const char *p = arn;

	for (int colons = 0; *p && colons < 4; p++)
		colons += *p == ':';
	return arena_strdup(a, (struct sv){p, strcspn(p, ":")});
}

static int
list_organization(struct lister *l, const struct roster_list *last, struct err *err)
{
	if (l->from->role_for_listing)
		l->account = account_of_role(l->from->role_for_listing, l->a);
	l->region = endpoint_global_region(l->env->region);
	if (!l->account)
		return err_nomem(err);
	if (endpoint_url("organizations", l->env->region, &l->endpoint, err) ||
	    open_creds(l, err) ||
	    (l->from->ous.n ? accounts_of_units(l, err) : accounts_of(l, NULL, err)))
		return -1;
	return l->from->tag_names.n ? select_by_tags(l, last, err) : 0;
}

/* Linked accounts */

static int
add_link(struct lister *l, const struct oam_link *link, struct err *err)
{
	struct roster_account *r;
	const char **v;

	if (!link->metrics && !link->logs)
		return 0;
	if (add_account(l, link->account, link->label, &r, err))
		return -1;
	if (!r || (r->n_regions && !strcmp(r->regions[r->n_regions - 1], l->region)))
		return 0;
	v = arena_array(l->a, r->n_regions + 1, sizeof(*v));
	if (!v)
		return err_nomem(err);
	if (r->n_regions)
		memcpy(v, r->regions, r->n_regions * sizeof(*v));
	v[r->n_regions++] = l->region;
	r->regions = v;
	return 0;
}

static int
links_of(struct lister *l, const char *sink, struct err *err)
{
	CLEANUP(paging_done) struct paging p = PAGING_INIT("NextToken");
	struct oam_links page;

	do {
		if (oam_links_call(sink, p.token, begin(l), err) || ask(l, err) ||
		    oam_links_read(answer(l), &l->page, &page, err) ||
		    paging_go_on(&p, page.token, PAGES_MAX, err))
			return err_wrap(err, "ListAttachedLinks in %s", l->region);
		for (size_t i = 0; i < page.n; i++)
			if (add_link(l, &page.v[i], err))
				return -1;
	} while (p.token);
	return 0;
}

static int
list_region(struct lister *l, const char *region, struct err *err)
{
	CLEANUP(paging_done) struct paging p = PAGING_INIT("NextToken");
	struct oam_sinks page;

	l->region = region;
	buf_reset(&l->endpoint);
	if (endpoint_url("oam", region, &l->endpoint, err))
		return -1;
	do {
		const char **arns;

		if (oam_sinks_call(p.token, begin(l), err) || ask(l, err) ||
		    oam_sinks_read(answer(l), &l->page, &page, err) ||
		    paging_go_on(&p, page.token, PAGES_MAX, err))
			return err_wrap(err, "ListSinks in %s", region);
		/* The page's memory is used again for the links. */
		arns = arena_array(l->a, page.n, sizeof(*arns));
		for (size_t i = 0; arns && i < page.n; i++)
			arns[i] = arena_strdup(l->a, sv_of(page.arns[i]));
		for (size_t i = 0; i < page.n; i++) {
			if (!arns || !arns[i])
				return err_nomem(err);
			if (links_of(l, arns[i], err))
				return -1;
		}
	} while (p.token);
	return 0;
}

static int
list_linked(struct lister *l, struct err *err)
{
	for (size_t i = 0; i < l->from->n_regions; i++)
		if (list_region(l, l->from->regions[i], err))
			return -1;
	return 0;
}

static int
by_account(const void *a, const void *b)
{
	const struct roster_account *x = a, *y = b;

	return strcmp(x->account, y->account);
}

int
found_list(const struct found_env *env, const struct tenant_source *from,
	   const struct roster_list *last, struct arena *a, struct roster_list *ret,
	   struct err *err)
{
	struct lister l = {
	    .env = env,
	    .from = from,
	    .a = a,
	    .page = ARENA_INIT(PAGE_MAX),
	    .creds = env->base,
	    .account = env->account,
	    .endpoint = BUF_INIT(4096),
	    .have = MAP_INIT,
	};
	int r;

	aws_call_init(&l.call, 2 * PAGE_TOKEN_MAX);
	resp_init(&l.resp, HTTP_MAX_BODY);
	r = from->kind == SOURCE_ORGANIZATION ? list_organization(&l, last, err)
					      : list_linked(&l, err);
	if (!r && l.n)
		qsort(l.v, l.n, sizeof(*l.v), by_account);
	ret->v = l.v;
	ret->n = l.n;
	ret->made_ms = env->wall_ms;
	resp_done(&l.resp);
	aws_call_done(&l.call);
	buf_done(&l.endpoint);
	map_done(&l.have, NULL);
	arena_done(&l.page);
	cred_source_free(l.own);
	return r;
}

static void
add_strings(struct buf *out, const char *const *v, size_t n)
{
	buf_fmt(out, "%zu\n", n);
	for (size_t i = 0; i < n; i++)
		buf_fmt(out, "%s\n", v[i]);
}

const char *
found_key(const struct found_env *env, const struct tenant_source *from, struct arena *a)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT((size_t)1 << 20);
	char hex[SHA256_HEX_LEN + 1];

	buf_fmt(&text, "%d\n%s\n%s\n%s\n", (int)from->kind, env->account,
		from->role_for_listing ? from->role_for_listing : "",
		from->id_tag ? from->id_tag : "");
	add_strings(&text, from->ous.v, from->ous.n);
	add_strings(&text, from->exclude.v, from->exclude.n);
	for (size_t i = 0; i < from->tags.n; i++)
		buf_fmt(&text, "%s=%s\n", from->tags.v[i].key, from->tags.v[i].value);
	add_strings(&text, from->tag_names.v, from->tag_names.n);
	if (from->kind == SOURCE_LINKED)
		add_strings(&text, from->regions, from->n_regions);
	if (!buf_ok(&text))
		return NULL;
	sha256_hex(buf_view(&text), hex);
	return arena_strdup(a, (struct sv){hex, 32});
}
