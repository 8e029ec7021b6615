/* Manifests of joined objects; see joined.h. */
#include "sink/joined.h"

#include <jansson.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "fmt/json.h"

#define MANIFEST_MAX ((size_t)8 << 20)
#define VERSION	     1

void
joined_init(struct joined *j)
{
	*j = (struct joined){.mem = ARENA_INIT(4 * MANIFEST_MAX)};
}

void
joined_done(struct joined *j)
{
	arena_done(&j->mem);
	joined_init(j);
}

uint64_t
joined_size(const struct joined *j)
{
	return j->n ? j->v[j->n - 1].at + j->v[j->n - 1].size : 0;
}

const struct joined_part *
joined_find(const struct joined *j, const char *name)
{
	for (size_t i = 0; i < j->n; i++)
		if (strcmp(j->v[i].name, name) == 0)
			return &j->v[i];
	return NULL;
}

int
joined_write(const struct joined *j, struct buf *out, struct err *err)
{
	CLEANUP(json_decrefp) json_t *parts = json_array();
	CLEANUP(json_decrefp) json_t *doc = NULL;

	for (size_t i = 0; i < j->n; i++) {
		const struct joined_part *p = &j->v[i];

		if (json_array_append_new(parts, json_pack("{s:s,s:I,s:I,s:s,s:s}", "name", p->name,
							   "at", (json_int_t)p->at, "size",
							   (json_int_t)p->size, "sha256", p->sha256,
							   "definition", p->definition)))
			return err_nomem(err);
	}
	doc = json_pack("{s:i,s:O}", "version", VERSION, "objects", parts);
	return doc ? json_dump(doc, true, out, err) : err_nomem(err);
}

static int
read_part(struct joined *j, const json_t *o, const char *path, struct err *err)
{
	struct joined_part *p = &j->v[j->n];
	const char *name, *sum, *definition;
	int64_t at, size;

	if (json_get_str(o, path, "name", true, &name, err) ||
	    json_get_i64(o, path, "at", true, &at, err) ||
	    json_get_i64(o, path, "size", true, &size, err) ||
	    json_get_str(o, path, "sha256", true, &sum, err) ||
	    json_get_str(o, path, "definition", true, &definition, err))
		return -1;
	if (at < 0 || (uint64_t)at != joined_size(j) || size <= 0 || size > INT64_MAX - at ||
	    strlen(sum) != SHA256_HEX_LEN || strlen(definition) > 64)
		return err_set(err, ERR_DATA, "%s: says nothing that could be", path);
	*p = (struct joined_part){
	    .name = arena_strdup(&j->mem, sv_of(name)),
	    .at = (uint64_t)at,
	    .size = (uint64_t)size,
	    .sha256 = arena_strdup(&j->mem, sv_of(sum)),
	    .definition = arena_strdup(&j->mem, sv_of(definition)),
	};
	j->n++;
	return p->name && p->sha256 && p->definition ? 0 : err_nomem(err);
}

static int
parse(struct joined *j, struct sv text, struct err *err)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	json_t *parts = NULL;
	int64_t version = 0;
	char path[64];

	if (json_parse(text, "manifest", &doc, err) ||
	    json_get_i64(doc, "", "version", true, &version, err) ||
	    json_get_arr(doc, "", "objects", true, &parts, err))
		return -1;
	if (version != VERSION)
		return err_set(err, ERR_DATA, "its version %lld is unknown", (long long)version);
	j->v = arena_array(&j->mem, json_array_size(parts) + 1, sizeof(*j->v));
	if (!j->v)
		return err_nomem(err);
	for (size_t i = 0; i < json_array_size(parts); i++) {
		(void)snprintf(path, sizeof(path), "/objects/%zu", i);
		if (read_part(j, json_array_get(parts, i), path, err))
			return -1;
	}
	return 0;
}

int
joined_read(struct store *s, const struct joined_place *p, unsigned n, struct joined *ret,
	    struct err *err)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT(1024);
	CLEANUP(buf_done) struct buf text = BUF_INIT(MANIFEST_MAX);

	joined_done(ret);
	cell_manifest_key(&key, p->job, p->tenant, p->region, p->hour_ms, n);
	if (buf_check(&key, "manifest's key", err) ||
	    store_get(s, buf_cstr(&key), NULL, &text, NULL, err))
		return -1;
	return parse(ret, buf_view(&text), err) ? err_wrap(err, "%s", buf_cstr(&key)) : 0;
}

int
joined_search(struct store *s, const struct joined_place *p, const char *name, struct joined *j,
	      unsigned *ret_n, struct err *err)
{
	for (unsigned n = 1;; n++) {
		if (joined_read(s, p, n, j, err))
			return -1;
		if (!joined_find(j, name))
			continue;
		*ret_n = n;
		return 0;
	}
}
