/* From lists of accounts to tenants; see found.h. */
#include "run/found.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/map.h"
#include "base/num.h"
#include "base/timefmt.h"

#define ARENA_BYTES ((size_t)512 << 20)
#define ID_MAX	    63
#define ACCOUNT_N   12

static const char *const kinds[] = {
    [SOURCE_ORGANIZATION] = "organization",
    [SOURCE_LINKED] = "linked",
};

struct found_source {
	const struct tenant_source *from;
	struct roster_list list; /* those that are no tenants yet first */
	size_t n_new, n_tenants;
	struct err why; /* not ERR_NONE: it could not be listed, and this is the last list */
	int64_t age_ms;
};

struct found {
	struct config config;
	struct arena arena;
	struct found_source *sources;
	struct found_refused *refused;
	size_t n_refused;
};

/* While it is put together. */
struct finding {
	struct found *f;
	const struct found_env *env;
	struct roster last;
	struct map ids, accounts; /* of all tenants so far */
};

/* Lists */

/* Without a list of its own, nor an earlier one, nobody knows who the tenants are. */
static int
use_last(struct finding *g, struct found_source *s, const struct roster_list *last, struct err *err)
{
	char age[32];

	if (err->kind == ERR_CANCELLED)
		return -1;
	if (!last)
		return err_wrap(err, "tenants_from: %s: no accounts, and no earlier list",
				kinds[s->from->kind]);
	s->why = *err;
	s->list = *last;
	s->list.v = arena_array(&g->f->arena, last->n, sizeof(*last->v));
	if (!s->list.v)
		return err_nomem(err);
	if (last->n)
		memcpy(s->list.v, last->v, last->n * sizeof(*last->v));
	s->age_ms = g->env->wall_ms > last->made_ms ? g->env->wall_ms - last->made_ms : 0;
	num_duration_format(s->age_ms / 1000 * 1000, age);
	log_event(LOG_WARN, "accounts could not be listed; going on with the last list",
		  LOG_S("from", kinds[s->from->kind]), LOG_S("age", age),
		  LOG_I("accounts", last->n), LOG_E(err));
	err_clear(err);
	return 0;
}

static int
newest_first(const void *a, const void *b)
{
	const struct roster_list *x = *(const struct roster_list *const *)a;
	const struct roster_list *y = *(const struct roster_list *const *)b;

	return (x->made_ms < y->made_ms) - (x->made_ms > y->made_ms);
}

/* Without an account a list's key cannot be told: the n-th source of a kind gets the n-th newest
 * list. None is as good as an empty one. */
static int
use_remembered(struct finding *g, struct found_source *s, struct err *err)
{
	const struct roster_list **v = arena_array(&g->f->arena, g->last.n + 1, sizeof(*v));
	size_t n = 0, nth = 0;

	if (!v)
		return err_nomem(err);
	for (const struct found_source *o = g->f->sources; o < s; o++)
		nth += o->from->kind == s->from->kind;
	for (size_t i = 0; i < g->last.n; i++)
		if (strcmp(g->last.lists[i].kind, kinds[s->from->kind]) == 0)
			v[n++] = &g->last.lists[i];
	qsort(v, n, sizeof(*v), newest_first);
	if (nth >= n)
		return 0;
	s->list = *v[nth];
	s->list.v = arena_array(&g->f->arena, s->list.n, sizeof(*s->list.v));
	if (!s->list.v)
		return err_nomem(err);
	if (s->list.n)
		memcpy(s->list.v, v[nth]->v, s->list.n * sizeof(*s->list.v));
	return 0;
}

static int
list_source(struct finding *g, struct found_source *s, struct err *err)
{
	const struct roster_list *last;

	s->list.kind = kinds[s->from->kind];
	if (!g->env->account)
		return use_remembered(g, s, err);
	s->list.key = found_key(g->env, s->from, &g->f->arena);
	if (!s->list.key)
		return err_nomem(err);
	last = roster_find(&g->last, s->list.key);
	if (!found_list(g->env, s->from, last, &g->f->arena, &s->list, err))
		return 0;
	return use_last(g, s, last, err);
}

/* Ids */

void
found_id(const char *text, char out[ID_MAX + 1])
{
	size_t n = 0;

	for (; *text && n < ID_MAX; text++) {
		char c = *text;

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		    (n && (c == '.' || c == '_')))
			out[n++] = c;
		else if (n && out[n - 1] != '-')
			out[n++] = '-';
	}
	while (n && out[n - 1] == '-')
		n--;
	out[n] = '\0';
}

static const char *
tag_of(const struct roster_account *r, const char *name)
{
	for (size_t i = 0; name && i < r->n_tags; i++)
		if (!strcmp(r->tags[i].name, name))
			return r->tags[i].value;
	return NULL;
}

/* The id that an account asks for. */
static void
wanted_id(const struct found_source *s, const struct roster_account *r, char out[ID_MAX + 1])
{
	const char *tag = tag_of(r, s->from->id_tag);

	out[0] = '\0';
	if (tag)
		found_id(tag, out);
	if (s->from->id_tag && !*out)
		log_event(LOG_WARN, "no id in this account's tag; its name is used",
			  LOG_S("account", r->account), LOG_S("tag", s->from->id_tag),
			  LOG_S("name", r->name));
	if (!*out)
		found_id(r->name, out);
	if (!*out)
		(void)snprintf(out, ID_MAX + 1, "%s", r->account);
}

/* The same with the account's number behind it. */
static void
distinct_id(const char *id, const char *account, char out[ID_MAX + 1])
{
	(void)snprintf(out, ID_MAX + 1, "%.*s-%.*s", ID_MAX - ACCOUNT_N - 1, id, ACCOUNT_N,
		       account);
}

static const char *
last_id(const struct finding *g, const char *key, const char *account)
{
	const struct roster_list *last = roster_find(&g->last, key);

	for (size_t i = 0; last && i < last->n; i++)
		if (!strcmp(last->v[i].account, account))
			return last->v[i].id;
	return NULL;
}

static int
take_id(struct finding *g, struct roster_account *r, const char *id, struct err *err)
{
	r->id = arena_strdup(&g->f->arena, sv_of(id));
	return r->id ? map_put(&g->ids, sv_of(id), g, NULL, err) : err_nomem(err);
}

/* The wanted id if nobody has it, else the one with the number; "" stays where that is taken too.
 */
static int
give_new_id(struct finding *g, struct roster_account *r, const char *wanted, struct err *err)
{
	char distinct[ID_MAX + 1];

	if (!map_get(&g->ids, sv_of(wanted)))
		return take_id(g, r, wanted, err);
	distinct_id(wanted, r->account, distinct);
	if (map_get(&g->ids, sv_of(distinct)))
		return 0;
	log_event(LOG_WARN, "the id of this account is taken; its number is put behind it",
		  LOG_S("account", r->account), LOG_S("tenant", distinct), LOG_S("taken", wanted));
	return take_id(g, r, distinct, err);
}

/* The id it had in the last list, if that is still one that it may have. */
static int
give_last_id(struct finding *g, const struct found_source *s, struct roster_account *r,
	     const char *wanted, struct err *err)
{
	const char *had = last_id(g, s->list.key, r->account);
	char distinct[ID_MAX + 1];

	r->id = "";
	distinct_id(wanted, r->account, distinct);
	if (!had || (strcmp(had, wanted) != 0 && strcmp(had, distinct) != 0) ||
	    map_get(&g->ids, sv_of(had)))
		return 0;
	return take_id(g, r, had, err);
}

/* First those keep their ids who had them in the last list, then the others get theirs: who comes
 * anew takes nothing from anybody. */
static int
give_ids(struct finding *g, struct found_source *s, struct err *err)
{
	char(*wanted)[ID_MAX + 1] = calloc(s->n_new + 1, sizeof(*wanted));
	int rc = wanted ? 0 : err_nomem(err);

	for (size_t i = 0; !rc && i < s->n_new; i++) {
		wanted_id(s, &s->list.v[i], wanted[i]);
		rc = give_last_id(g, s, &s->list.v[i], wanted[i], err);
	}
	for (size_t i = 0; !rc && i < s->n_new; i++)
		if (!*s->list.v[i].id)
			rc = give_new_id(g, &s->list.v[i], wanted[i], err);
	free(wanted);
	return rc;
}

/* Tenants */

/* Who is a tenant already is none of this source's; kept in its list all the same, for that may
 * change. */
static void
set_known_apart(struct finding *g, struct found_source *s)
{
	struct roster_account swap;

	for (size_t i = 0; i < s->list.n; i++) {
		if (map_get(&g->accounts, sv_of(s->list.v[i].account)))
			continue;
		swap = s->list.v[i];
		s->list.v[i] = s->list.v[s->n_new];
		s->list.v[s->n_new++] = swap;
	}
	for (size_t i = s->n_new; i < s->list.n; i++)
		s->list.v[i].id = "";
}

static int
refuse(struct finding *g, const struct roster_account *r, const struct err *why)
{
	struct found_refused *to = &g->f->refused[g->f->n_refused++];

	*to = (struct found_refused){
	    .id = *r->id ? r->id : r->account, .account = r->account, .why = *why};
	return 0;
}

static int
add_tenant(struct finding *g, struct found_source *s, const struct roster_account *r,
	   struct err *err)
{
	struct found *f = g->f;
	struct found_account *in = arena_alloc(&f->arena, sizeof(*in));
	struct err why = {0};

	if (!in)
		return err_nomem(err);
	*in = (struct found_account){
	    .account = r->account,
	    .name = r->name,
	    .tags = r->tags,
	    .n_tags = r->n_tags,
	    .regions = r->regions,
	    .n_regions = r->n_regions,
	};
	if (map_put(&g->accounts, sv_of(r->account), g, NULL, err))
		return -1;
	if (!*r->id) {
		(void)err_set(&why, ERR_USAGE, "every id for this account is taken");
		return refuse(g, r, &why);
	}
	if (config_found_tenant(&f->config, s->from, in, r->id, &f->arena,
				&f->config.tenants[f->config.n_tenants], &why))
		return refuse(g, r, &why);
	f->config.n_tenants++;
	s->n_tenants++;
	return 0;
}

static int
by_id(const void *a, const void *b)
{
	const struct tenant *x = a, *y = b;

	return strcmp(x->id, y->id);
}

/* Room for all tenants, the listed ones in it. */
static int
make_room(struct finding *g, const struct config *listed, struct err *err)
{
	struct found *f = g->f;
	size_t n = 0;

	for (size_t i = 0; i < listed->n_sources; i++)
		n += f->sources[i].list.n;
	f->config.tenants = arena_array(&f->arena, listed->n_tenants + n, sizeof(struct tenant));
	f->refused = arena_array(&f->arena, n, sizeof(*f->refused));
	if (!f->config.tenants || !f->refused)
		return err_nomem(err);
	for (size_t i = 0; i < listed->n_tenants; i++) {
		const struct tenant *t = &listed->tenants[i];

		f->config.tenants[i] = *t;
		if (map_put(&g->ids, sv_of(t->id), g, NULL, err) ||
		    map_put(&g->accounts, sv_of(t->account), g, NULL, err))
			return -1;
	}
	return 0;
}

static int
add_tenants(struct finding *g, struct found_source *s, struct err *err)
{
	set_known_apart(g, s);
	if (give_ids(g, s, err))
		return -1;
	for (size_t i = 0; i < s->n_new; i++)
		if (add_tenant(g, s, &s->list.v[i], err))
			return -1;
	if (!g->env->account)
		return 0;
	log_event(s->list.n ? LOG_INFO : LOG_WARN, "tenants found",
		  LOG_S("from", kinds[s->from->kind]), LOG_I("tenants", s->n_tenants));
	return 0;
}

/* A list that cannot be kept is said, and changes nothing about this run. */
static void
keep_lists(const struct finding *g, size_t n)
{
	struct err err = {0};

	for (size_t i = 0; g->env->keep && i < n; i++)
		if (g->f->sources[i].why.kind == ERR_NONE &&
		    roster_keep(g->env->state, &g->f->sources[i].list, &err))
			log_event(LOG_WARN, "the list of accounts was not kept", LOG_E(&err));
}

static int
find(struct finding *g, const struct config *listed, struct err *err)
{
	struct found *f = g->f;

	if (roster_load(g->env->state, &f->arena, &g->last, err)) {
		if (err->kind != ERR_DATA)
			return err_wrap(err, "tenants_from");
		log_event(LOG_WARN, "the last list of accounts is damaged and not used",
			  LOG_E(err));
		err_clear(err);
	}
	f->sources = arena_array(&f->arena, listed->n_sources, sizeof(*f->sources));
	if (!f->sources)
		return err_nomem(err);
	for (size_t i = 0; i < listed->n_sources; i++) {
		f->sources[i].from = &listed->sources[i];
		if (list_source(g, &f->sources[i], err))
			return -1;
	}
	if (make_room(g, listed, err))
		return -1;
	for (size_t i = 0; i < listed->n_sources; i++)
		if (add_tenants(g, &f->sources[i], err))
			return -1;
	if (f->config.n_tenants)
		qsort(f->config.tenants, f->config.n_tenants, sizeof(struct tenant), by_id);
	keep_lists(g, listed->n_sources);
	return 0;
}

int
found_open(const struct config *listed, const struct found_env *env, struct found **ret,
	   struct err *err)
{
	struct found *f = calloc(1, sizeof(*f));
	struct finding g = {.f = f, .env = env, .ids = MAP_INIT, .accounts = MAP_INIT};
	struct err why = {0};
	int rc;

	if (!f)
		return err_nomem(err);
	f->config = *listed;
	f->arena = ARENA_INIT(ARENA_BYTES);
	rc = find(&g, listed, &why);
	map_done(&g.ids, NULL);
	map_done(&g.accounts, NULL);
	if (rc) {
		found_free(f);
		if (err)
			*err = why;
		return -1;
	}
	*ret = f;
	return 0;
}

const struct config *
found_config(const struct found *f)
{
	return &f->config;
}

const struct err *
found_trouble(const struct found *f, size_t i)
{
	return f->sources[i].why.kind == ERR_NONE ? NULL : &f->sources[i].why;
}

size_t
found_refused(const struct found *f, const struct found_refused **ret)
{
	*ret = f->refused;
	return f->n_refused;
}

static json_t *
source_json(const struct found_source *s)
{
	char made[TIME_TEXT_MAX];
	json_t *error = json_null();

	time_format_ms(s->list.made_ms, made);
	if (s->why.kind != ERR_NONE)
		error =
		    json_pack("{s:s, s:s, s:s, s:s}", "kind", err_kind_name(s->why.kind), "message",
			      s->why.msg, "code", s->why.code, "request_id", s->why.request_id);
	return json_pack("{s:s, s:I, s:s, s:f, s:b, s:o}", "from", s->list.kind, "tenants",
			 (json_int_t)s->n_tenants, "listed", made, "age_seconds",
			 (double)s->age_ms / 1000, "last_list", s->why.kind != ERR_NONE, "error",
			 error);
}

json_t *
found_json(const struct found *f)
{
	json_t *sources = json_array(), *refused = json_array();

	for (size_t i = 0; i < f->config.n_sources; i++)
		(void)json_array_append_new(sources, source_json(&f->sources[i]));
	for (size_t i = 0; i < f->n_refused; i++)
		(void)json_array_append_new(
		    refused, json_pack("{s:s, s:s, s:s}", "tenant", f->refused[i].id, "account",
				       f->refused[i].account, "message", f->refused[i].why.msg));
	return json_pack("{s:o, s:o}", "sources", sources, "refused", refused);
}

void
found_free(struct found *f)
{
	if (!f)
		return;
	arena_wipe(&f->arena); /* external ids */
	free(f);
}
