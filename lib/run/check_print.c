/*
 * Findings as text, a line each, and as JSON.
 *
 * What is well is put together, a line for each sink and tenant, and where there are many tenants
 * one for all: what is left are the lines somebody has to read.
 */
#include "base/cleanup.h"
#include "base/utf8.h"
#include "fmt/json.h"
#include "run/check.h"

#define TENANTS_NAMED  20
#define LINE_MAX_BYTES ((size_t)64 << 10)

static const char *const words[] = {
    [CHECK_OK] = "ok", [CHECK_WARN] = "warn", [CHECK_FAULT] = "FAIL"};
static const char *const colors[] = {
    [CHECK_OK] = "\033[32m", [CHECK_WARN] = "\033[33m", [CHECK_FAULT] = "\033[31m"};

/* ---- text ---- */

struct printer {
	struct buf *out;
	bool color;
};

/* Configuration, file system and services bring in text; none of it acts on a terminal. */
static void
add_plain(struct buf *out, const char *text)
{
	utf8_plain(out, sv_of(text));
}

static void
begin_line(const struct printer *p, enum check_level level)
{
	buf_fmt(p->out, "  %s%-4s%s  ", p->color ? colors[level] : "", words[level],
		p->color ? "\033[0m" : "");
}

static void
add_part(struct buf *out, const char *text, const char *behind)
{
	if (!*text)
		return;
	add_plain(out, text);
	buf_str(out, behind);
}

static void
print_remedies(const struct finding *f, struct buf *out)
{
	for (size_t i = 0; i < f->n_remedies; i++) {
		buf_str(out, i ? "; and to " : "; add to ");
		add_plain(out, f->remedies[i].to);
		buf_str(out, ": ");
		add_plain(out, f->remedies[i].statement);
	}
}

static void
print_one(const struct printer *p, const struct finding *f)
{
	begin_line(p, f->level);
	add_part(p->out, f->who, ": ");
	if (*f->job && *f->region) {
		add_plain(p->out, f->job);
		buf_str(p->out, " in ");
		add_part(p->out, f->region, ": ");
	} else {
		add_part(p->out, f->job, ": ");
	}
	add_plain(p->out, f->what);
	if (*f->words)
		buf_str(p->out, ": ");
	add_plain(p->out, f->words);
	if (*f->request_id) {
		buf_str(p->out, " (request id ");
		add_part(p->out, f->request_id, ")");
	}
	print_remedies(f, p->out);
	buf_ch(p->out, '\n');
}

static bool
said_before(const struct findings *fs, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (fs->v[k].level == CHECK_OK && !strcmp(fs->v[k].who, fs->v[i].who) &&
		    !strcmp(fs->v[k].what, fs->v[i].what) &&
		    !strcmp(fs->v[k].words, fs->v[i].words))
			return true;
	return false;
}

/* All that is well with one, in a line; `i` is its first finding. */
static void
print_well(const struct printer *p, const struct findings *fs, const char *who)
{
	const char *between = "";
	bool begun = false;

	for (size_t i = 0; i < fs->n; i++) {
		const struct finding *f = &fs->v[i];

		if (f->level != CHECK_OK || strcmp(f->who, who) != 0 || said_before(fs, i))
			continue;
		if (!begun) {
			begin_line(p, CHECK_OK);
			add_part(p->out, who, ": ");
		}
		begun = true;
		buf_str(p->out, between);
		add_plain(p->out, f->what);
		if (*f->words) {
			buf_str(p->out, " (");
			add_part(p->out, f->words, ")");
		}
		between = ", ";
	}
	if (begun)
		buf_ch(p->out, '\n');
}

static bool
first_of_who(const struct findings *fs, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!strcmp(fs->v[k].who, fs->v[i].who))
			return false;
	return true;
}

static void
print_bad(const struct printer *p, const struct findings *fs)
{
	for (size_t i = 0; i < fs->n; i++)
		if (fs->v[i].level != CHECK_OK)
			print_one(p, &fs->v[i]);
}

static void
print_list(const struct printer *p, const struct findings *fs)
{
	for (size_t i = 0; i < fs->n; i++) {
		if (!*fs->v[i].who && fs->v[i].level == CHECK_OK)
			print_one(p, &fs->v[i]);
		else if (*fs->v[i].who && first_of_who(fs, i))
			print_well(p, fs, fs->v[i].who);
	}
	print_bad(p, fs);
}

static void
print_tenants(const struct printer *p, const struct check *c, bool all)
{
	size_t well = 0;

	for (size_t i = 0; i < c->n_tenants; i++) {
		const struct findings *fs = &c->tenants[i];
		bool quiet = !fs->count[CHECK_WARN] && !fs->count[CHECK_FAULT];

		well += quiet && fs->n;
		if (fs->n && (all || c->n_tenants <= TENANTS_NAMED) && fs->count[CHECK_OK])
			print_well(p, fs, fs->v[0].who);
		print_bad(p, fs);
	}
	if (!all && c->n_tenants > TENANTS_NAMED && well) {
		begin_line(p, CHECK_OK);
		buf_fmt(p->out, "%zu of %zu tenants: all is well (-v names them)\n", well,
			c->n_tenants);
	}
}

static void
count(const struct check *c, size_t sum[CHECK_LEVELS])
{
	for (size_t l = 0; l < CHECK_LEVELS; l++) {
		sum[l] = c->central.count[l] + c->sinks.count[l];
		for (size_t i = 0; i < c->n_tenants; i++)
			sum[l] += c->tenants[i].count[l];
	}
}

static void
print_all_bad(const struct printer *p, const struct check *c)
{
	print_bad(p, &c->central);
	print_bad(p, &c->sinks);
	for (size_t i = 0; i < c->n_tenants; i++)
		print_bad(p, &c->tenants[i]);
}

void
check_print(const struct check *c, bool color, enum log_level level, struct buf *out)
{
	const struct printer p = {out, color};
	size_t sum[CHECK_LEVELS];

	if (level == LOG_ERROR) {
		print_all_bad(&p, c);
		return;
	}
	count(c, sum);
	buf_str(out, "central\n");
	print_list(&p, &c->central);
	if (c->sinks.n)
		buf_str(out, "sinks\n");
	print_list(&p, &c->sinks);
	if (c->n_tenants)
		buf_str(out, "tenants\n");
	print_tenants(&p, c, level == LOG_DEBUG);
	buf_fmt(out, "%zu well, %zu warning%s, %zu fault%s\n", sum[CHECK_OK], sum[CHECK_WARN],
		sum[CHECK_WARN] == 1 ? "" : "s", sum[CHECK_FAULT],
		sum[CHECK_FAULT] == 1 ? "" : "s");
}

/* ---- JSON ---- */

static void
set_text(json_t *to, const char *key, const char *text)
{
	if (*text)
		(void)json_object_set_new(to, key, json_string(text));
}

static json_t *
json_of(const struct finding *f, const char *part)
{
	static const char *const levels[] = {"ok", "warn", "fail"};
	json_t *j = json_object(), *remedies = json_array();

	set_text(j, "level", levels[f->level]);
	set_text(j, "part", part);
	set_text(j, strcmp(part, "tenant") != 0 ? "name" : "tenant", f->who);
	set_text(j, "job", f->job);
	set_text(j, "region", f->region);
	set_text(j, "what", f->what);
	set_text(j, "words", f->words);
	set_text(j, "action", f->action);
	set_text(j, "code", f->code);
	set_text(j, "request_id", f->request_id);
	for (size_t i = 0; i < f->n_remedies; i++) {
		json_t *statement = NULL;

		(void)json_parse(sv_of(f->remedies[i].statement), "statement", &statement, NULL);
		(void)json_array_append_new(
		    remedies,
		    json_pack("{s:s, s:o*}", "to", f->remedies[i].to, "statement", statement));
	}
	if (f->n_remedies)
		(void)json_object_set_new(j, "add", remedies);
	else
		json_decref(remedies);
	return j;
}

static void
add_findings(json_t *list, const struct findings *fs, const char *part)
{
	for (size_t i = 0; i < fs->n; i++)
		(void)json_array_append_new(list, json_of(&fs->v[i], part));
}

int
check_json(const struct check *c, struct buf *out, struct err *err)
{
	CLEANUP(json_decrefp) json_t *root = NULL;
	json_t *list = json_array();
	size_t sum[CHECK_LEVELS];

	count(c, sum);
	add_findings(list, &c->central, "central");
	add_findings(list, &c->sinks, "sink");
	for (size_t i = 0; i < c->n_tenants; i++)
		add_findings(list, &c->tenants[i], "tenant");
	root = json_pack("{s:i, s:i, s:I, s:I, s:I, s:o}", "version", 1, "exit_status",
			 (int)check_status(c), "ok", (json_int_t)sum[CHECK_OK], "warnings",
			 (json_int_t)sum[CHECK_WARN], "faults", (json_int_t)sum[CHECK_FAULT],
			 "findings", list);
	if (!root)
		return err_nomem(err);
	if (json_dump(root, true, out, err))
		return -1;
	buf_ch(out, '\n');
	return buf_check(out, "findings", err);
}

void
check_done(struct check *c)
{
	for (size_t i = 0; i < c->n_tenants; i++)
		findings_done(&c->tenants[i]);
	free(c->tenants);
	findings_done(&c->central);
	findings_done(&c->sinks);
}
