/*
 * Cassettes in memory, and as an archive. A cassette that somebody else made is input like any
 * other: every name, size and type is checked here, once, so that whoever replays one can believe
 * it.
 */
#include "net/cassette.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/grow.h"
#include "base/timefmt.h"
#include "base/utf8.h"
#include "fmt/archive.h"
#include "fmt/json.h"
#include "net/header.h"

#define MAX_PATH_TEXT	 ((size_t)64 << 10)
#define MAX_HEADERS_TEXT ((size_t)128 << 10)
#define MAX_WORDS	 1000 /* of args, environment, files beside the exchanges: a sane bound */

static const struct archive_limits limits = {
    .max_entries = CASSETTE_MAX_FILES,
    .max_entry = CASSETTE_MAX_ENTRY,
    .max_total = CASSETTE_MAX_TOTAL,
};

/* ---- in memory ---- */

struct cassette *
cassette_new(void)
{
	return calloc(1, sizeof(struct cassette));
}

static void
files_done(struct cassette_files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->v[i].name);
		buf_done(&f->v[i].text);
	}
	free(f->v);
}

void
cassette_free(struct cassette *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++)
		exchange_free(c->exchanges[i]);
	free(c->exchanges);
	for (size_t i = 0; i < c->n_args; i++)
		free(c->args[i]);
	free(c->args);
	for (size_t i = 0; i < c->n_env; i++) {
		free(c->env[i].name);
		free(c->env[i].value);
	}
	free(c->env);
	files_done(&c->config);
	files_done(&c->state);
	free(c);
}

struct exchange *
exchange_new(void)
{
	struct exchange *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->path = BUF_INIT(MAX_PATH_TEXT);
	e->headers = BUF_INIT(MAX_HEADERS_TEXT);
	e->answer_headers = BUF_INIT(MAX_HEADERS_TEXT);
	e->body = BUF_INIT(CASSETTE_MAX_ENTRY);
	e->answer = BUF_INIT(CASSETTE_MAX_ENTRY);
	return e;
}

void
exchange_free(struct exchange *e)
{
	if (!e)
		return;
	buf_done(&e->path);
	buf_done(&e->headers);
	buf_done(&e->answer_headers);
	buf_done(&e->body);
	buf_done(&e->answer);
	free(e);
}

static int
exchange_check(const struct exchange *e, struct err *err)
{
	if (buf_check(&e->path, "path", err) || buf_check(&e->headers, "headers", err) ||
	    buf_check(&e->answer_headers, "headers", err) || buf_check(&e->body, "body", err))
		return -1;
	return buf_check(&e->answer, "body", err);
}

static int
grow(struct cassette *c, struct err *err)
{
	struct exchange **v =
	    array_grow(c->exchanges, c->n, &c->cap, sizeof(struct exchange *), err);

	if (!v)
		return -1;
	c->exchanges = v;
	return 0;
}

int
cassette_add(struct cassette *c, struct exchange *e, struct err *err)
{
	size_t bytes = e->path.n + e->headers.n + e->body.n + e->answer_headers.n + e->answer.n;
	int r = exchange_check(e, err);

	if (!r && (bytes > CASSETTE_MAX_TOTAL - c->bytes || c->n >= CASSETTE_MAX_FILES / 4))
		r = err_set(err, ERR_DATA, "the cassette is full: %zu exchanges, %zu bytes", c->n,
			    c->bytes);
	if (!r)
		r = grow(c, err);
	if (r) {
		exchange_free(e);
		return -1;
	}
	c->bytes += bytes;
	c->exchanges[c->n++] = e;
	return 0;
}

int
cassette_add_arg(struct cassette *c, const char *arg, struct err *err)
{
	char **v = reallocarray(c->args, c->n_args + 2, sizeof(char *));
	char *copy = sv_dup(sv_of(arg));

	if (v)
		c->args = v;
	if (!v || !copy) {
		free(copy);
		return err_nomem(err);
	}
	v[c->n_args++] = copy;
	v[c->n_args] = NULL;
	return 0;
}

int
cassette_add_env(struct cassette *c, const char *name, const char *value, struct err *err)
{
	struct cassette_env *v = reallocarray(c->env, c->n_env + 1, sizeof(*v));
	struct cassette_env e = {sv_dup(sv_of(name)), sv_dup(sv_of(value))};

	if (v)
		c->env = v;
	if (!v || !e.name || !e.value) {
		free(e.name);
		free(e.value);
		return err_nomem(err);
	}
	v[c->n_env++] = e;
	return 0;
}

int
cassette_add_file(struct cassette_files *f, const char *name, struct sv text, struct err *err)
{
	struct cassette_file *v = reallocarray(f->v, f->n + 1, sizeof(*v));
	struct cassette_file file = {sv_dup(sv_of(name)), BUF_INIT(CASSETTE_MAX_ENTRY)};

	if (v)
		f->v = v;
	buf_sv(&file.text, text);
	if (!v || !file.name || buf_check(&file.text, name, err)) {
		free(file.name);
		buf_done(&file.text);
		return v && file.name ? -1 : err_nomem(err);
	}
	v[f->n++] = file;
	return 0;
}

bool
exchange_outcome_parse(const char *word, enum err_kind *ret)
{
	for (int k = ERR_NONE; k <= ERR_CANCELLED; k++) {
		if (!strcmp(word, err_kind_name((enum err_kind)k))) {
			*ret = (enum err_kind)k;
			return true;
		}
	}
	return false;
}

/* ---- bodies as files ---- */

/* How a body looks in the archive is told by its name. */
static const char *
form_of(struct sv body)
{
	if (body.n == 0)
		return NULL;
	if (body.p[0] == '{' || body.p[0] == '[')
		return "json";
	if (body.p[0] == '<')
		return "xml";
	if (sv_starts(body, SV("Action=")) && !memchr(body.p, '\n', body.n))
		return "form";
	return utf8_valid(body) ? "txt" : "bin";
}

/* A form has a field on each line, for people. */
static void
swap_bytes(struct buf *b, char from, char to)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->p[i] == from)
			b->p[i] = to;
}

static int
add_body(struct archive_out *out, const char *folder, const char *which, struct sv body,
	 struct err *err)
{
	CLEANUP(buf_done) struct buf lines = BUF_INIT(CASSETTE_MAX_ENTRY + 1);
	const char *form = form_of(body);
	char path[256];

	if (!form)
		return 0;
	(void)snprintf(path, sizeof(path), "exchanges/%s/%s.%s", folder, which, form);
	if (strcmp(form, "form") != 0)
		return archive_out_add(out, path, body, err);
	buf_sv(&lines, body);
	swap_bytes(&lines, '&', '\n');
	buf_ch(&lines, '\n');
	if (buf_check(&lines, path, err))
		return -1;
	return archive_out_add(out, path, buf_view(&lines), err);
}

/* ---- packing ---- */

static int
set_new(json_t *obj, const char *key, json_t *value, struct err *err)
{
	return json_object_set_new(obj, key, value) ? err_nomem(err) : 0;
}

static json_t *
json_text(struct sv s)
{
	return json_stringn(s.p, s.n);
}

/* "name: value\n" lines as an object. */
static json_t *
headers_json(struct sv lines)
{
	json_t *obj = json_object();

	while (obj && lines.n) {
		const char *nl = memchr(lines.p, '\n', lines.n);
		size_t n = nl ? (size_t)(nl - lines.p) : lines.n;
		const char *colon = memchr(lines.p, ':', n);
		CLEANUP(freep) char *name = NULL;

		if (colon && (size_t)(colon - lines.p) + 2 <= n)
			name = sv_dup((struct sv){lines.p, (size_t)(colon - lines.p)});
		if (name)
			(void)json_object_set_new(
			    obj, name, json_stringn(colon + 2, n - (size_t)(colon + 2 - lines.p)));
		lines.p += n + (nl ? 1 : 0);
		lines.n -= n + (nl ? 1 : 0);
	}
	return obj;
}

static int
fill_request(const struct exchange *e, json_t *req, struct err *err)
{
	const char *form = form_of(buf_view(&e->body));
	char file[32];

	if (set_new(req, "service", json_string(e->service), err) ||
	    set_new(req, "operation", json_string(e->operation), err) ||
	    set_new(req, "account", json_string(e->account), err) ||
	    set_new(req, "region", json_string(e->region), err) ||
	    set_new(req, "method", json_string(e->method), err) ||
	    set_new(req, "path", json_text(buf_view(&e->path)), err) ||
	    set_new(req, "headers", headers_json(buf_view(&e->headers)), err))
		return -1;
	(void)snprintf(file, sizeof(file), "request.%s", form ? form : "");
	return form ? set_new(req, "body", json_string(file), err) : 0;
}

static int
fill_answer(const struct exchange *e, json_t *res, struct err *err)
{
	const char *form = form_of(buf_view(&e->answer));
	char file[32];

	if (set_new(res, "status", json_integer(e->status), err) ||
	    set_new(res, "outcome", json_string(err_kind_name(e->outcome)), err) ||
	    set_new(res, "headers", headers_json(buf_view(&e->answer_headers)), err))
		return -1;
	if (e->clock_off && set_new(res, "clock_off", json_true(), err))
		return -1;
	if (e->code[0] && set_new(res, "code", json_string(e->code), err))
		return -1;
	(void)snprintf(file, sizeof(file), "response.%s", form ? form : "");
	return form ? set_new(res, "body", json_string(file), err) : 0;
}

static int
add_json(struct archive_out *out, const char *path, const json_t *j, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(CASSETTE_MAX_ENTRY);

	if (json_dump(j, true, &text, err))
		return -1;
	buf_ch(&text, '\n');
	return archive_out_add(out, path, buf_view(&text), err);
}

static void
decrefp(json_t **j)
{
	json_decref(*j);
}

static int
pack_exchange(const struct exchange *e, size_t number, struct archive_out *out, struct err *err)
{
	CLEANUP(decrefp) json_t *root = json_object();
	json_t *req = json_object(), *res = json_object();
	char folder[128], path[256];

	(void)snprintf(folder, sizeof(folder), "%06zu-%s-%s", number, e->service, e->operation);
	(void)snprintf(path, sizeof(path), "exchanges/%s/exchange.json", folder);
	if (!root || json_object_set_new(root, "request", req) ||
	    json_object_set_new(root, "response", res))
		return err_nomem(err);
	if (fill_request(e, req, err) || fill_answer(e, res, err) || add_json(out, path, root, err))
		return -1;
	if (add_body(out, folder, "request", buf_view(&e->body), err))
		return -1;
	return add_body(out, folder, "response", buf_view(&e->answer), err);
}

static int
pack_index(const struct cassette *c, struct archive_out *out, struct err *err)
{
	CLEANUP(decrefp) json_t *root = json_object();
	json_t *args = json_array(), *env = json_object();
	char now[TIME_TEXT_MAX], wall[TIME_TEXT_MAX];

	time_format_ms(c->now_ms, now);
	time_format_ms(c->wall_ms, wall);
	if (!root || json_object_set_new(root, "command", args) ||
	    json_object_set_new(root, "environment", env))
		return err_nomem(err);
	for (size_t i = 0; i < c->n_args; i++)
		if (json_array_append_new(args, json_string(c->args[i])))
			return err_nomem(err);
	for (size_t i = 0; i < c->n_env; i++)
		if (set_new(env, c->env[i].name, json_string(c->env[i].value), err))
			return -1;
	if (set_new(root, "cassette", json_integer(CASSETTE_FORMAT), err) ||
	    set_new(root, "exchanges", json_integer((json_int_t)c->n), err) ||
	    set_new(root, "now", json_string(now), err) ||
	    set_new(root, "clock", json_string(wall), err))
		return -1;
	return add_json(out, "index.json", root, err);
}

static int
pack_files(const struct cassette_files *f, const char *folder, struct archive_out *out,
	   struct err *err)
{
	char path[256];

	for (size_t i = 0; i < f->n; i++) {
		if (snprintf(path, sizeof(path), "%s/%s", folder, f->v[i].name) >=
		    (int)sizeof(path))
			return err_set(err, ERR_USAGE, "%s: the name is too long", f->v[i].name);
		if (archive_out_add(out, path, buf_view(&f->v[i].text), err))
			return -1;
	}
	return 0;
}

int
cassette_pack(const struct cassette *c, struct buf *bytes, struct err *err)
{
	struct archive_out *out = NULL;
	int r;

	if (archive_out_new(&limits, &out, err))
		return -1;
	r = pack_index(c, out, err);
	if (!r)
		r = pack_files(&c->config, "config", out, err);
	if (!r)
		r = pack_files(&c->state, "state", out, err);
	for (size_t i = 0; !r && i < c->n; i++)
		r = pack_exchange(c->exchanges[i], i + 1, out, err);
	if (!r)
		r = archive_out_finish(out, bytes, err);
	archive_out_free(out);
	return r;
}

/* ---- unpacking ---- */

struct unpack {
	struct cassette *c;
	bool has_index;
	int64_t announced;
	struct exchange *open; /* its exchange.json was read; bodies may follow */
	char request_file[32], answer_file[32];
};

static int
copy_word(const json_t *obj, const char *key, char *out, size_t size, struct err *err)
{
	const char *s = NULL;

	if (json_get_str(obj, "/request", key, true, &s, err))
		return -1;
	if (strlen(s) >= size)
		return err_set(err, ERR_DATA, "/request/%s: longer than %zu bytes", key, size - 1);
	(void)snprintf(out, size, "%s", s);
	return 0;
}

static int
read_headers(const json_t *obj, const char *path, struct buf *out, struct err *err)
{
	json_t *headers = NULL, *value;
	const char *name;

	if (json_get_obj(obj, path, "headers", false, &headers, err))
		return -1;
	json_object_foreach(headers, name, value)
	{
		const char *text = json_string_value(value);

		if (!text || !header_name_ok(name) || !header_value_ok(text))
			return err_set(err, ERR_DATA, "%s/headers: not a header", path);
		buf_fmt(out, "%s: %s\n", name, text);
	}
	return buf_check(out, "headers", err);
}

/* A folder is called by it. */
static bool
is_name(const char *s)
{
	return archive_path_valid(s) && !strchr(s, '/');
}

static int
read_request(const json_t *req, struct exchange *e, struct err *err)
{
	const char *path = NULL;

	if (copy_word(req, "service", e->service, sizeof(e->service), err) ||
	    copy_word(req, "operation", e->operation, sizeof(e->operation), err) ||
	    copy_word(req, "account", e->account, sizeof(e->account), err) ||
	    copy_word(req, "region", e->region, sizeof(e->region), err) ||
	    copy_word(req, "method", e->method, sizeof(e->method), err) ||
	    json_get_str(req, "/request", "path", true, &path, err))
		return -1;
	if (!is_name(e->service) || !is_name(e->operation))
		return err_set(err, ERR_DATA, "/request: service and operation are to be names");
	buf_str(&e->path, path);
	if (buf_check(&e->path, "/request/path", err))
		return -1;
	return read_headers(req, "/request", &e->headers, err);
}

static int
read_answer(const json_t *res, struct exchange *e, struct err *err)
{
	const char *outcome = NULL, *code = "";
	int64_t status = 0;

	if (json_get_i64(res, "/response", "status", true, &status, err) ||
	    json_get_str(res, "/response", "outcome", true, &outcome, err) ||
	    json_get_str(res, "/response", "code", false, &code, err) ||
	    json_get_bool(res, "/response", "clock_off", false, &e->clock_off, err))
		return -1;
	if (status < 0 || status > 999)
		return err_set(err, ERR_DATA, "/response/status: not a status");
	if (!exchange_outcome_parse(outcome, &e->outcome))
		return err_set(err, ERR_DATA, "/response/outcome: unknown word");
	if (e->outcome == ERR_NONE && status == 0)
		return err_set(err, ERR_DATA, "/response: a success without an answer");
	e->status = (int)status;
	(void)snprintf(e->code, sizeof(e->code), "%s", code);
	return read_headers(res, "/response", &e->answer_headers, err);
}

static int
body_name(const json_t *obj, const char *path, char out[32], struct err *err)
{
	const char *name = "";

	if (json_get_str(obj, path, "body", false, &name, err))
		return -1;
	if (strlen(name) >= 32)
		return err_set(err, ERR_DATA, "%s/body: not the name of a file", path);
	(void)snprintf(out, 32, "%s", name);
	return 0;
}

/* The exchange that was being read must have had all its files. */
static int
close_exchange(struct unpack *u, struct err *err)
{
	struct exchange *e = STEAL(u->open);

	if (!e)
		return 0;
	if (u->request_file[0] || u->answer_file[0]) {
		(void)err_set(err, ERR_DATA, "exchanges/%s: %s is missing", e->name,
			      u->request_file[0] ? u->request_file : u->answer_file);
		exchange_free(e);
		return -1;
	}
	return cassette_add(u->c, e, err);
}

static int
open_exchange(struct unpack *u, struct sv folder, struct sv body, struct err *err)
{
	CLEANUP(decrefp) json_t *root = NULL;
	json_t *req = NULL, *res = NULL;

	if (close_exchange(u, err) || json_parse(body, "exchange.json", &root, err))
		return -1;
	u->open = exchange_new();
	if (!u->open)
		return err_nomem(err);
	if (folder.n >= sizeof(u->open->name))
		return err_set(err, ERR_DATA, "the name of an exchange is too long");
	memcpy(u->open->name, folder.p, folder.n);
	if (json_get_obj(root, "", "request", true, &req, err) ||
	    json_get_obj(root, "", "response", true, &res, err) ||
	    read_request(req, u->open, err) || read_answer(res, u->open, err) ||
	    body_name(req, "/request", u->request_file, err))
		return -1;
	return body_name(res, "/response", u->answer_file, err);
}

static int
read_body(struct unpack *u, const char *file, struct sv body, struct err *err)
{
	struct exchange *e = u->open;
	bool request = e && !strcmp(file, u->request_file);
	struct buf *to;

	if (!request && (!e || strcmp(file, u->answer_file) != 0))
		return err_set(err, ERR_DATA, "%s: belongs to no exchange", file);
	to = request ? &e->body : &e->answer;
	(request ? u->request_file : u->answer_file)[0] = '\0';
	if (sv_ends(sv_of(file), SV(".form")) && sv_ends(body, SV("\n")))
		body.n--;
	buf_sv(to, body);
	if (sv_ends(sv_of(file), SV(".form")))
		swap_bytes(to, '\n', '&');
	return buf_check(to, file, err);
}

static int
read_exchange_file(struct unpack *u, const char *path, struct sv body, struct err *err)
{
	const char *slash = strchr(path, '/');
	struct sv folder = {path, slash ? (size_t)(slash - path) : 0};

	if (!slash || strchr(slash + 1, '/'))
		return err_set(err, ERR_DATA, "exchanges/%s: not a file of an exchange", path);
	if (!strcmp(slash + 1, "exchange.json"))
		return open_exchange(u, folder, body, err);
	if (!u->open || !sv_eq(folder, sv_of(u->open->name)))
		return err_set(err, ERR_DATA, "exchanges/%s: stands alone", path);
	return read_body(u, slash + 1, body, err);
}

static int
read_args(struct cassette *c, const json_t *args, struct err *err)
{
	size_t n = json_array_size(args);

	if (n < 1 || n > MAX_WORDS)
		return err_set(err, ERR_DATA, "/command: not a command");
	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(args, i));

		if (!s)
			return err_set(err, ERR_DATA, "/command/%zu: expected a string", i);
		if (cassette_add_arg(c, s, err))
			return -1;
	}
	return 0;
}

static int
read_env(struct cassette *c, json_t *env, struct err *err)
{
	const char *name;
	json_t *value;

	if (json_object_size(env) > MAX_WORDS)
		return err_set(err, ERR_DATA, "/environment: too many");
	json_object_foreach(env, name, value)
	{
		if (!json_is_string(value))
			return err_set(err, ERR_DATA, "/environment: expected strings");
		if (cassette_add_env(c, name, json_string_value(value), err))
			return -1;
	}
	return 0;
}

static int
read_index(struct unpack *u, struct sv body, struct err *err)
{
	CLEANUP(decrefp) json_t *root = NULL;
	json_t *args = NULL, *env = NULL;
	const char *now = NULL, *wall = NULL;
	int64_t format = 0;

	if (json_parse(body, "index.json", &root, err) ||
	    json_get_i64(root, "", "cassette", true, &format, err))
		return -1;
	if (format != CASSETTE_FORMAT)
		return err_set(err, ERR_DATA,
			       "a cassette of format %" PRId64 "; this version reads %d", format,
			       CASSETTE_FORMAT);
	if (json_get_i64(root, "", "exchanges", true, &u->announced, err) ||
	    json_get_str(root, "", "now", true, &now, err) ||
	    json_get_str(root, "", "clock", true, &wall, err) ||
	    json_get_arr(root, "", "command", true, &args, err) ||
	    json_get_obj(root, "", "environment", false, &env, err))
		return -1;
	if (!time_parse_iso(sv_of(now), &u->c->now_ms) ||
	    !time_parse_iso(sv_of(wall), &u->c->wall_ms))
		return err_set(err, ERR_DATA, "/now, /clock: not a time");
	u->has_index = true;
	return read_args(u->c, args, err) ? -1 : read_env(u->c, env, err);
}

static int
read_file(void *arg, const char *path, struct sv body, struct err *err)
{
	struct unpack *u = arg;

	if (!strcmp(path, "index.json"))
		return read_index(u, body, err);
	if (!u->has_index)
		return err_set(err, ERR_DATA, "it does not begin with index.json");
	if (sv_starts(sv_of(path), SV("exchanges/")))
		return read_exchange_file(u, path + strlen("exchanges/"), body, err);
	if (sv_starts(sv_of(path), SV("config/")) && u->c->config.n < MAX_WORDS)
		return cassette_add_file(&u->c->config, path + strlen("config/"), body, err);
	if (sv_starts(sv_of(path), SV("state/")))
		return cassette_add_file(&u->c->state, path + strlen("state/"), body, err);
	return err_set(err, ERR_DATA, "%s: no part of a cassette", path);
}

int
cassette_unpack(struct sv bytes, struct cassette **ret, struct err *err)
{
	struct unpack u = {.c = cassette_new()};
	int r;

	if (!u.c)
		return err_nomem(err);
	r = archive_in_each(bytes, &limits, read_file, &u, err);
	if (!r)
		r = close_exchange(&u, err);
	if (!r && !u.has_index)
		r = err_set(err, ERR_DATA, "there is no index.json in it");
	if (!r && (uint64_t)u.announced != u.c->n)
		r = err_set(err, ERR_DATA,
			    "index.json tells of %" PRId64 " exchanges, there are %zu", u.announced,
			    u.c->n);
	exchange_free(u.open);
	if (r) {
		cassette_free(u.c);
		return -1;
	}
	*ret = u.c;
	return 0;
}
