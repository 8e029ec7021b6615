/* The document of the accounts found; see roster.h. */
#include "state/roster.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/timefmt.h"
#include "fmt/json.h"

#define FORMAT	     "muster-tenants-found"
#define VERSION	     1
#define KEPT_MS	     (INT64_C(90) * 86400 * 1000)
#define KEEP_TRIES   5
#define CHECKSUM_MAX (SHA256_HEX_LEN + 8) /* "sha256:" and NUL */

/* Writing */

static json_t *
time_json(int64_t ms)
{
	char text[TIME_TEXT_MAX];

	time_format_ms(ms, text);
	return json_string(text);
}

static json_t *
tags_json(const struct roster_account *r)
{
	json_t *tags = json_object();

	for (size_t i = 0; tags && i < r->n_tags; i++)
		if (json_object_set_new(tags, r->tags[i].name, json_string(r->tags[i].value))) {
			json_decref(tags);
			return NULL;
		}
	return tags;
}

static json_t *
regions_json(const struct roster_account *r)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < r->n_regions; i++)
		if (json_array_append_new(list, json_string(r->regions[i]))) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static json_t *
account_json(const struct roster_account *r)
{
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "account", r->account, "name", r->name,
			 "id", r->id, "tags", tags_json(r), "tags_read",
			 r->tags_ms ? time_json(r->tags_ms) : json_null(), "regions",
			 regions_json(r));
}

static json_t *
list_json(const struct roster_list *l)
{
	json_t *accounts = json_array();

	for (size_t i = 0; accounts && i < l->n; i++)
		if (json_array_append_new(accounts, account_json(&l->v[i]))) {
			json_decref(accounts);
			return NULL;
		}
	return json_pack("{s:s, s:s, s:o, s:o}", "key", l->key, "kind", l->kind, "made",
			 time_json(l->made_ms), "accounts", accounts);
}

/* Over the compact text of a document without its checksum. */
static int
checksum(const json_t *doc, char out[CHECKSUM_MAX], struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(ROSTER_MAX);
	char hex[SHA256_HEX_LEN + 1];

	if (json_dump(doc, false, &text, err))
		return -1;
	sha256_hex(buf_view(&text), hex);
	(void)snprintf(out, CHECKSUM_MAX, "sha256:%s", hex);
	return 0;
}

static int
dump(const struct roster *r, struct buf *out, struct err *err)
{
	json_t *lists = json_array();
	CLEANUP(json_decrefp) json_t *doc = NULL;
	char sum[CHECKSUM_MAX];
	bool ok = lists;

	for (size_t i = 0; ok && i < r->n; i++)
		ok = !json_array_append_new(lists, list_json(&r->lists[i]));
	if (!ok) {
		json_decref(lists);
		return err_nomem(err);
	}
	doc = json_pack("{s:s, s:i, s:o}", "format", FORMAT, "version", VERSION, "lists", lists);
	if (!doc)
		return err_nomem(err);
	if (checksum(doc, sum, err))
		return -1;
	if (json_object_set_new(doc, "checksum", json_string(sum)))
		return err_nomem(err);
	if (json_dump(doc, true, out, err))
		return -1;
	buf_ch(out, '\n');
	return buf_check(out, ROSTER_KEY, err);
}

/* Reading */

static int
copy(const char *s, struct arena *a, const char **ret, struct err *err)
{
	*ret = arena_strdup(a, sv_of(s));
	return *ret ? 0 : err_nomem(err);
}

static int
get_copy(const json_t *j, const char *path, const char *key, struct arena *a, const char **ret,
	 struct err *err)
{
	const char *text = "";

	return json_get_str(j, path, key, true, &text, err) || copy(text, a, ret, err) ? -1 : 0;
}

static int
get_time(const json_t *j, const char *path, const char *key, bool required, int64_t *ret,
	 struct err *err)
{
	const char *text = NULL;

	if (json_get_str(j, path, key, required, &text, err))
		return -1;
	if (text && !time_parse_iso(sv_of(text), ret))
		return err_set(err, ERR_DATA, "%s/%s: '%.40s' is no time", path, key, text);
	return 0;
}

static int
read_tags(const json_t *j, const char *path, struct arena *a, struct roster_account *to,
	  struct err *err)
{
	json_t *tags, *value;
	const char *name;

	if (json_get_obj(j, path, "tags", true, &tags, err))
		return -1;
	to->tags = arena_array(a, json_object_size(tags), sizeof(*to->tags));
	if (!to->tags)
		return err_nomem(err);
	json_object_foreach(tags, name, value)
	{
		struct label *tag = &to->tags[to->n_tags++];

		if (!json_is_string(value))
			return err_set(err, ERR_DATA, "%s/tags: expected strings", path);
		if (copy(name, a, &tag->name, err) ||
		    copy(json_string_value(value), a, &tag->value, err))
			return -1;
	}
	return 0;
}

static int
read_regions(const json_t *j, const char *path, struct arena *a, struct roster_account *to,
	     struct err *err)
{
	json_t *list;

	if (json_get_arr(j, path, "regions", true, &list, err))
		return -1;
	to->regions = arena_array(a, json_array_size(list), sizeof(*to->regions));
	if (!to->regions)
		return err_nomem(err);
	for (; to->n_regions < json_array_size(list); to->n_regions++) {
		const char *text = json_string_value(json_array_get(list, to->n_regions));

		if (!text)
			return err_set(err, ERR_DATA, "%s/regions: expected strings", path);
		if (copy(text, a, &to->regions[to->n_regions], err))
			return -1;
	}
	return 0;
}

static int
read_account(const json_t *j, const char *path, struct arena *a, struct roster_account *to,
	     struct err *err)
{
	return get_copy(j, path, "account", a, &to->account, err) ||
		       get_copy(j, path, "name", a, &to->name, err) ||
		       get_copy(j, path, "id", a, &to->id, err) ||
		       get_time(j, path, "tags_read", false, &to->tags_ms, err) ||
		       read_tags(j, path, a, to, err) || read_regions(j, path, a, to, err)
		   ? -1
		   : 0;
}

static int
read_list(const json_t *j, size_t at, struct arena *a, struct roster_list *to, struct err *err)
{
	char path[80];
	json_t *accounts;

	(void)snprintf(path, sizeof(path), "/lists/%zu", at);
	if (get_copy(j, path, "key", a, &to->key, err) ||
	    get_copy(j, path, "kind", a, &to->kind, err) ||
	    get_time(j, path, "made", true, &to->made_ms, err) ||
	    json_get_arr(j, path, "accounts", true, &accounts, err))
		return -1;
	to->v = arena_array(a, json_array_size(accounts), sizeof(*to->v));
	if (!to->v)
		return err_nomem(err);
	for (; to->n < json_array_size(accounts); to->n++) {
		(void)snprintf(path, sizeof(path), "/lists/%zu/accounts/%zu", at, to->n);
		if (read_account(json_array_get(accounts, to->n), path, a, &to->v[to->n], err))
			return -1;
	}
	return 0;
}

/* Format, version and checksum; the checksum is gone afterwards. */
static int
check_document(json_t *doc, struct err *err)
{
	const char *format = "", *said = "";
	char sum[CHECKSUM_MAX], is[CHECKSUM_MAX];
	int64_t version = 0;
	bool fits;

	if (json_get_str(doc, "", "format", true, &format, err) ||
	    json_get_i64(doc, "", "version", true, &version, err) ||
	    json_get_str(doc, "", "checksum", true, &said, err))
		return -1;
	if (strcmp(format, FORMAT) != 0 || version != VERSION)
		return err_set(err, ERR_DATA, "not of format " FORMAT ", version %d", VERSION);
	fits = (size_t)snprintf(sum, sizeof(sum), "%s", said) < sizeof(sum);
	(void)json_object_del(doc, "checksum");
	if (checksum(doc, is, err))
		return -1;
	if (!fits || strcmp(sum, is) != 0)
		return err_set(err, ERR_DATA, "the checksum does not match");
	return 0;
}

static int
parse(struct sv text, struct arena *a, struct roster *ret, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	struct roster_list *v;
	json_t *lists;
	size_t n;

	if (json_parse(text, "list", &doc, err) || check_document(doc, err) ||
	    json_get_arr(doc, "", "lists", true, &lists, err))
		return -1;
	n = json_array_size(lists);
	v = arena_array(a, n, sizeof(*v));
	if (!v)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++)
		if (read_list(json_array_get(lists, i), i, a, &v[i], err))
			return -1;
	ret->lists = v;
	ret->n = n;
	return 0;
}

int
roster_load(struct store *s, struct arena *a, struct roster *ret, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(ROSTER_MAX);
	struct store_info info = {0};
	struct err why = {0};

	*ret = (struct roster){0};
	if (store_get(s, ROSTER_KEY, NULL, &text, &info, &why)) {
		if (why.kind == ERR_NOTFOUND)
			return 0;
		if (err)
			*err = why;
		return -1;
	}
	memcpy(ret->etag, info.etag, sizeof(ret->etag));
	return parse(buf_view(&text), a, ret, err) ? err_wrap(err, "%s", ROSTER_KEY) : 0;
}

const struct roster_list *
roster_find(const struct roster *r, const char *key)
{
	for (size_t i = 0; i < r->n; i++)
		if (!strcmp(r->lists[i].key, key))
			return &r->lists[i];
	return NULL;
}

/* Keeping */

static int
put(struct store *s, const struct roster *r, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(ROSTER_MAX);
	const struct store_put opt = {.cond = *r->etag ? STORE_MATCH : STORE_CREATE,
				      .etag = r->etag,
				      .content_type = "application/json"};

	return dump(r, &text, err) || store_put(s, ROSTER_KEY, buf_view(&text), &opt, NULL, err)
		   ? -1
		   : 0;
}

static int
keep_once(struct store *s, const struct roster_list *list, struct err *err)
{
	struct arena a = ARENA_INIT(ROSTER_MAX * 4ull);
	struct roster was, next = {0};
	int rc = roster_load(s, &a, &was, err);

	if (!rc || err->kind == ERR_DATA) {
		next.lists = arena_array(&a, was.n + 1, sizeof(*next.lists));
		memcpy(next.etag, was.etag, sizeof(next.etag));
		rc = next.lists ? 0 : err_nomem(err);
	}
	for (size_t i = 0; !rc && i < was.n; i++)
		if (strcmp(was.lists[i].key, list->key) != 0 &&
		    was.lists[i].made_ms > list->made_ms - KEPT_MS)
			next.lists[next.n++] = was.lists[i];
	if (!rc) {
		next.lists[next.n++] = *list;
		rc = put(s, &next, err);
	}
	arena_done(&a);
	return rc;
}

int
roster_keep(struct store *s, const struct roster_list *list, struct err *err)
{
	struct err why = {0};

	for (int i = 0; i < KEEP_TRIES; i++) {
		if (!keep_once(s, list, &why))
			return 0;
		if (why.kind != ERR_CONFLICT)
			break;
	}
	(void)err_wrap(&why, "%s", ROSTER_KEY);
	if (err)
		*err = why;
	return -1;
}
