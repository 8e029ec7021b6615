/*
 * The configuration as a cassette carries it. It is put together from what was understood, not
 * copied from the file: a comment, a password or an anchor nobody uses cannot come along, and a key
 * that is added to the program later stays out until somebody decides otherwise.
 */
#include "run/tape_config.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "fmt/conf_json.h"
#include "fmt/json.h"
#include "run/config_read.h"

#define REPLACED "replay" /* what stands where a secret stood */

/* jansson passes NULL on, so one look at the end is enough. */
static void
put(json_t *obj, const char *key, json_t *value, bool *ok)
{
	*ok = !json_object_set_new(obj, key, value) && *ok;
}

/* A `$` in a value that was read already is a plain one. */
static json_t *
literal(const char *s)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT((size_t)1 << 20);

	for (; *s; s++) {
		buf_ch(&text, *s);
		if (*s == '$')
			buf_ch(&text, '$');
	}
	return buf_ok(&text) ? json_string(buf_cstr(&text)) : NULL;
}

static json_t *
strings(const char *const *v, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(list, literal(v[i]))) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static json_t *
tenant_json(const struct tenant *t)
{
	json_t *obj = json_object(), *labels = json_object();
	bool ok = true;

	for (size_t i = 0; i < t->n_labels; i++)
		put(labels, t->labels[i].name, literal(t->labels[i].value), &ok);
	put(obj, "id", json_string(t->id), &ok);
	put(obj, "account", json_string(t->account), &ok);
	if (t->role)
		put(obj, "role", literal(t->role), &ok);
	if (t->linked)
		put(obj, "linked", json_true(), &ok);
	else if (t->assume)
		put(obj, "external_id", json_string(t->external_id ? REPLACED : "none"), &ok);
	else
		put(obj, "assume", json_false(), &ok);
	put(obj, "regions", strings(t->regions, t->n_regions), &ok);
	if (t->n_labels)
		put(obj, "labels", json_incref(labels), &ok);
	if (t->n_jobs)
		put(obj, "jobs", strings(t->jobs, t->n_jobs), &ok);
	json_decref(labels);
	if (!ok) {
		json_decref(obj);
		return NULL;
	}
	return obj;
}

static json_t *
duration(int64_t ms)
{
	char text[32];

	if (ms <= 0)
		return json_string("none");
	num_duration_format(ms, text);
	return json_string(text);
}

static void
put_receiver(const struct sink_conf *c, json_t *obj, bool *ok)
{
	json_t *sigv4;

	if (c->sigv4_service) {
		sigv4 = json_object();
		put(sigv4, "service", literal(c->sigv4_service), ok);
		if (c->sigv4_region)
			put(sigv4, "region", literal(c->sigv4_region), ok);
		put(obj, "sigv4", sigv4, ok);
	}
	if (c->kind == SINK_OTLP)
		return;
	if (c->kind == SINK_ALERTMANAGER) {
		put(obj, "ends_after", duration(c->ends_after_ms), ok);
		return;
	}
	put(obj, "max_age", duration(c->max_age_ms), ok);
	put(obj, "out_of_order", duration(c->out_of_order_ms), ok);
}

static json_t *
sink_json(const struct sink_conf *c)
{
	const struct config_sink_kind *k = config_sink_kinds;
	json_t *obj = json_object();
	bool ok = true;

	while (k->name && k->kind != c->kind)
		k++;
	put(obj, "kind", json_string(k->name), &ok);
	if (c->kind == SINK_OBJECTS) {
		put(obj, "url", json_string("file:///" REPLACED), &ok);
		put(obj, "compression", json_pack("{sI}", "zstd", (json_int_t)c->zstd_level), &ok);
	} else if (c->kind == SINK_OPENMETRICS) {
		put(obj, "url", json_string("file:///" REPLACED), &ok);
	} else if (c->kind != SINK_STDOUT) {
		put(obj, "url", json_string("http://" REPLACED ".invalid/"), &ok);
		put_receiver(c, obj, &ok);
	}
	if (!ok) {
		json_decref(obj);
		return NULL;
	}
	return obj;
}

static json_t *
run_json(const struct run_conf *r)
{
	json_t *obj = json_object();
	char percent[NUM_DOUBLE_MAX + 1];
	bool ok = true;
	size_t n = num_format(r->fail_percent, percent);

	(void)snprintf(percent + n, sizeof(percent) - n, "%%");
	put(obj, "tenant_workers", json_integer(r->tenant_workers), &ok);
	put(obj, "max_catchup", duration(r->max_catchup_ms), &ok);
	put(obj, "cell_deadline", duration(r->cell_deadline_ms), &ok);
	put(obj, "fail_on",
	    json_string(r->fail_on == FAIL_ON_ANY   ? "any"
			: r->fail_on == FAIL_ON_ALL ? "all"
						    : percent),
	    &ok);
	if (!ok) {
		json_decref(obj);
		return NULL;
	}
	return obj;
}

json_t *
tape_config(const struct config *c, struct err *err)
{
	json_t *root = json_object(), *tenants = json_array();
	json_t *jobs = json_object(), *sinks = json_object();
	bool ok = true;

	for (size_t i = 0; i < c->n_tenants; i++)
		ok = !json_array_append_new(tenants, tenant_json(&c->tenants[i])) && ok;
	for (size_t i = 0; i < c->n_jobs; i++)
		put(jobs, c->jobs[i].name, conf_json(c->jobs[i].node), &ok);
	for (size_t i = 0; i < c->n_sinks; i++)
		put(sinks, c->sinks[i].name, sink_json(&c->sinks[i]), &ok);
	put(root, "region", literal(c->region), &ok);
	put(root, "state", json_string("file:///" REPLACED), &ok);
	put(root, "state_ephemeral", json_true(), &ok);
	put(root, "tenants", tenants, &ok);
	put(root, "jobs", jobs, &ok);
	put(root, "sinks", sinks, &ok);
	put(root, "run", run_json(&c->run), &ok);
	if (ok)
		return root;
	json_decref(root);
	(void)err_nomem(err);
	return NULL;
}

/* ---- a configuration of others ---- */

#define KEYS_MAX 10

static const char *const root_keys[KEYS_MAX] = {
    "region", "state", "state_ephemeral", "tenants", "jobs", "sinks", "run"};
static const char *const run_keys[KEYS_MAX] = {"tenant_workers", "max_catchup", "cell_deadline",
					       "fail_on"};
static const char *const tenant_keys[KEYS_MAX] = {
    "id", "account", "role", "linked", "external_id", "assume", "regions", "labels", "jobs"};
static const char *const sink_keys[KEYS_MAX] = {"kind",	      "url",	 "compression", "sigv4",
						"ends_after", "max_age", "out_of_order"};

static bool
is_among(const char *key, const char *const keys[KEYS_MAX])
{
	for (size_t i = 0; i < KEYS_MAX && keys[i]; i++)
		if (!strcmp(key, keys[i]))
			return true;
	return false;
}

static int
check_keys(const json_t *obj, const char *path, const char *const keys[KEYS_MAX], struct err *err)
{
	const char *key;
	json_t *value;

	if (!json_is_object(obj))
		return err_set(err, ERR_DATA, "%s: expected an object", *path ? path : "/");
	json_object_foreach((json_t *)(uintptr_t)obj, key, value)
	{
		if (!is_among(key, keys))
			return err_set(err, ERR_DATA, "%s/%.64s: no recording writes this", path,
				       key);
	}
	return 0;
}

int
tape_config_check(struct sv text, struct err *err)
{
	CLEANUP(json_decrefp) json_t *root = NULL;
	json_t *tenants, *sinks, *sink;
	const char *name;

	if (json_parse(text, "the configuration", &root, err) ||
	    check_keys(root, "", root_keys, err) ||
	    json_get_arr(root, "", "tenants", true, &tenants, err) ||
	    json_get_obj(root, "", "sinks", true, &sinks, err) ||
	    (json_object_get(root, "run") &&
	     check_keys(json_object_get(root, "run"), "/run", run_keys, err)))
		return -1;
	for (size_t i = 0; i < json_array_size(tenants); i++)
		if (check_keys(json_array_get(tenants, i), "/tenants", tenant_keys, err))
			return -1;
	json_object_foreach(sinks, name, sink)
	{
		if (check_keys(sink, "/sinks", sink_keys, err))
			return -1;
	}
	return 0;
}

/* ---- references to the environment ---- */

static bool
may_be_secret(const char *name)
{
	static const char *const words[] = {"SECRET", "TOKEN",	  "PASS", "PW",	  "KEY",
					    "CRED",   "EXTERNAL", "XID",  "AUTH", "SALT"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcasestr(name, words[i]))
			return true;
	return false;
}

static bool
has_env(const struct cassette *c, const char *name)
{
	for (size_t i = 0; i < c->n_env; i++)
		if (!strcmp(c->env[i].name, name))
			return true;
	return false;
}

int
tape_config_env(const json_t *config, struct cassette *to, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(CASSETTE_MAX_ENTRY);

	if (json_dump(config, false, &text, err))
		return -1;
	for (const char *p = strstr(buf_cstr(&text), "${"); p; p = strstr(p + 2, "${")) {
		char name[128];
		size_t n = 0;

		while (n < sizeof(name) - 1 &&
		       (isalnum((unsigned char)p[2 + n]) || p[2 + n] == '_')) {
			name[n] = p[2 + n];
			n++;
		}
		name[n] = '\0';
		if (n == 0 || !getenv(name) || has_env(to, name))
			continue;
		if (cassette_add_env(to, name, may_be_secret(name) ? REPLACED : getenv(name), err))
			return -1;
	}
	return 0;
}

/* ---- scrubbing ---- */

static int
scrub_member(struct scrub *s, json_t *obj, const char *key, bool words, struct err *err)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT((size_t)1 << 20);
	const char *text = json_string_value(json_object_get(obj, key));

	if (!text)
		return 0;
	(words ? scrub_words : scrub_text)(s, sv_of(text), &out);
	if (buf_check(&out, key, err))
		return -1;
	return json_object_set_new(obj, key, json_string(buf_cstr(&out))) ? err_nomem(err) : 0;
}

static int
scrub_members(struct scrub *s, json_t *obj, struct err *err)
{
	const char *key;
	json_t *value;
	void *tmp;

	json_object_foreach_safe(obj, tmp, key, value)
	{
		if (scrub_member(s, obj, key, true, err))
			return -1;
	}
	return 0;
}

static int
scrub_tenant(struct scrub *s, json_t *t, struct err *err)
{
	const char *role = json_string_value(json_object_get(t, "role"));

	if (scrub_member(s, t, "id", true, err) || scrub_member(s, t, "account", false, err) ||
	    scrub_member(s, t, "role", role && !sv_starts(sv_of(role), SV("arn:")), err))
		return -1;
	return scrub_members(s, json_object_get(t, "labels"), err);
}

/* In jobs: what tenants' things are called stands in `where` and in `log_groups`. */
static int
scrub_job(struct scrub *s, json_t *job, struct err *err)
{
	json_t *from = json_object_get(job, "from"), *groups = json_object_get(job, "log_groups");

	for (size_t i = 0; i < json_array_size(from); i++)
		if (scrub_members(s, json_object_get(json_array_get(from, i), "where"), err))
			return -1;
	for (size_t i = 0; i < json_array_size(groups); i++) {
		CLEANUP(buf_done) struct buf out = BUF_INIT((size_t)1 << 20);
		const char *text = json_string_value(json_array_get(groups, i));

		scrub_words(s, sv_of(text ? text : ""), &out);
		if (buf_check(&out, "log_groups", err) ||
		    json_array_set_new(groups, i, json_string(buf_cstr(&out))))
			return err_nomem(err);
	}
	return scrub_member(s, job, "log_groups", true, err);
}

int
tape_config_scrub(struct scrub *s, json_t *config, struct err *err)
{
	json_t *tenants = json_object_get(config, "tenants"), *job;
	const char *name;

	for (size_t i = 0; i < json_array_size(tenants); i++)
		if (scrub_tenant(s, json_array_get(tenants, i), err))
			return -1;
	json_object_foreach(json_object_get(config, "jobs"), name, job)
	{
		if (scrub_job(s, job, err))
			return -1;
	}
	return 0;
}
