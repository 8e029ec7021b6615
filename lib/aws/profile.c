/*
 * Profiles: a flat list of what the two files say, in order, of which the last word on a key
 * counts. The files are small and asked a few dozen times.
 */
#include "aws/profile.h"

#include <openssl/crypto.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "fmt/ini.h"
#include "fmt/words.h"

#define FILE_MAX_BYTES (4u << 20)
#define PATH_BYTES     4096

enum kind { PROFILE, SERVICES, OTHER };

struct entry {
	enum kind kind;
	enum profile_file file;
	bool plain_default;	 /* of [default] in the config file */
	char *name;		 /* of the profile or the services section */
	char *key, *sub, *value; /* key NULL: the section itself */
	size_t value_n;
};

struct profiles {
	struct entry *v;
	size_t n, room;
	bool named_default; /* the config file has [profile default]: [default] does not count then
			     */
	char *files;
};

/* ---- reading ---- */

struct reader {
	struct profiles *p;
	enum profile_file file;
	/* Of the section being read: */
	enum kind kind;
	bool plain_default;
	char *name;
};

static void
entry_done(struct entry *e)
{
	if (e->value)
		OPENSSL_cleanse(e->value, e->value_n);
	free(e->name);
	free(e->key);
	free(e->sub);
	free(e->value);
}

/* "profile x", "services x": the second word, which may be quoted. */
static int
second_word(struct reader *r, struct sv section, const char *first, enum kind kind, struct err *err)
{
	CLEANUP(freep) char **words = NULL;
	struct err why = {0};
	size_t n = 0;

	if (words_split(section, &words, &n, &why) && why.kind != ERR_USAGE)
		return err_nomem(err);
	/* As botocore: a name that cannot be read is that of no profile. */
	if (n != 2 || strcmp(words[0], first) != 0)
		return 0;
	r->kind = kind;
	r->name = sv_dup(sv_of(words[1]));
	return r->name ? 0 : err_nomem(err);
}

static int
begin_section(struct reader *r, struct sv section, struct err *err)
{
	free(STEAL(r->name));
	r->kind = OTHER;
	r->plain_default = false;
	if (r->file == PROFILE_CREDENTIALS || sv_eq(section, SV("default"))) {
		r->kind = PROFILE;
		r->plain_default = r->file == PROFILE_CONFIG;
		r->name = sv_dup(section);
		return r->name ? 0 : err_nomem(err);
	}
	if (second_word(r, section, "profile", PROFILE, err) ||
	    second_word(r, section, "services", SERVICES, err))
		return -1;
	if (r->kind == PROFILE && !strcmp(r->name, "default"))
		r->p->named_default = true;
	return 0;
}

static struct entry *
more(struct profiles *p, struct err *err)
{
	if (p->n == p->room) {
		size_t room = p->room ? 2 * p->room : 32;
		struct entry *v = reallocarray(p->v, room, sizeof(*v));

		if (!v) {
			(void)err_nomem(err);
			return NULL;
		}
		p->v = v;
		p->room = room;
	}
	return &p->v[p->n];
}

static int
take(void *arg, const struct ini_item *item, struct err *err)
{
	struct reader *r = arg;
	struct entry *e;

	if (item->key.n == 0 && begin_section(r, item->section, err))
		return -1;
	if (r->kind == OTHER)
		return 0;
	e = more(r->p, err);
	if (!e)
		return -1;
	*e = (struct entry){.kind = r->kind, .file = r->file, .plain_default = r->plain_default};
	r->p->n++;
	e->name = sv_dup(sv_of(r->name));
	if (item->key.n) {
		e->key = sv_dup(item->key);
		e->value = sv_dup(item->value);
		e->value_n = item->value.n;
	}
	if (item->sub.n)
		e->sub = sv_dup(item->sub);
	if (!e->name || (item->key.n && (!e->key || !e->value)) || (item->sub.n && !e->sub))
		return err_nomem(err);
	return 0;
}

static int
parse_file(struct profiles *p, struct sv text, const char *name, enum profile_file file,
	   struct err *err)
{
	struct reader r = {.p = p, .file = file, .kind = OTHER};
	int rc = ini_parse(text, name, take, &r, err);

	free(r.name);
	return rc;
}

int
profiles_parse(struct sv config, struct sv credentials, struct profiles **ret, struct err *err)
{
	struct profiles *p = calloc(1, sizeof(*p));

	if (!p)
		return err_nomem(err);
	if (parse_file(p, config, "config", PROFILE_CONFIG, err) ||
	    parse_file(p, credentials, "credentials", PROFILE_CREDENTIALS, err)) {
		profiles_free(p);
		return -1;
	}
	*ret = p;
	return 0;
}

void
profiles_free(struct profiles *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		entry_done(&p->v[i]);
	free(p->v);
	free(p->files);
	free(p);
}

/* ---- files ---- */

/* HOME, else what the system knows of the user; services have no HOME sometimes. */
static void
home_folder(char out[PATH_BYTES])
{
	const char *home = getenv("HOME");
	char room[8192];
	struct passwd who, *found = NULL;

	if (!home || !*home) {
		if (getpwuid_r(geteuid(), &who, room, sizeof(room), &found) || !found)
			home = "";
		else
			home = who.pw_dir;
	}
	(void)snprintf(out, PATH_BYTES, "%s", home);
}

char *
profile_path(const char *path)
{
	CLEANUP(buf_done) struct buf full = BUF_INIT(2 * PATH_BYTES);
	char home[PATH_BYTES];

	if (path[0] == '~' && path[1] == '/') {
		home_folder(home);
		buf_str(&full, home);
		path++;
	}
	buf_str(&full, path);
	return buf_steal(&full);
}

static int
load_one(struct profiles *p, const char *path, enum profile_file file, struct err *err)
{
	struct buf text = BUF_INIT(FILE_MAX_BYTES);
	struct err own = {0};
	int r = secret_read_file(path, &text, &own);

	if (!r)
		r = parse_file(p, buf_view(&text), path, file, &own);
	else if (own.kind == ERR_NOTFOUND)
		r = 0;
	else if (!errnum_is_trouble(own.errnum))
		own.kind = ERR_USAGE;
	secret_wipe_buf(&text);
	if (r && err)
		*err = own;
	return r;
}

static char *
file_of(const char *variable, const char *usual)
{
	const char *given = getenv(variable);

	return profile_path(given && *given ? given : usual);
}

int
profiles_load(struct profiles **ret, struct err *err)
{
	CLEANUP(freep) char *config = file_of("AWS_CONFIG_FILE", "~/.aws/config");
	CLEANUP(freep)
	char *credentials = file_of("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials");
	CLEANUP(buf_done) struct buf files = BUF_INIT(8 * PATH_BYTES);
	struct profiles *p = calloc(1, sizeof(*p));

	if (!p || !config || !credentials) {
		free(p);
		return err_nomem(err);
	}
	buf_fmt(&files, "%s and %s", config, credentials);
	p->files = buf_steal(&files);
	if (!p->files) {
		profiles_free(p);
		return err_nomem(err);
	}
	if (load_one(p, config, PROFILE_CONFIG, err) ||
	    load_one(p, credentials, PROFILE_CREDENTIALS, err)) {
		profiles_free(p);
		return -1;
	}
	*ret = p;
	return 0;
}

/* ---- asking ---- */

static bool
is_of(const struct profiles *p, const struct entry *e, enum kind kind, const char *name)
{
	return e->kind == kind && !(e->plain_default && p->named_default) && !strcmp(e->name, name);
}

/* The last word; the credentials file was read last. */
static const char *
find(const struct profiles *p, enum kind kind, const char *name, const char *key, const char *sub,
     enum profile_file from)
{
	const struct entry *found = NULL;

	for (size_t i = 0; i < p->n; i++) {
		const struct entry *e = &p->v[i];

		if (is_of(p, e, kind, name) && e->key && !strcmp(e->key, key) &&
		    !strcmp(e->sub ? e->sub : "", sub) &&
		    (from == PROFILE_EITHER || e->file == from))
			found = e;
	}
	return found && found->value_n ? found->value : NULL;
}

bool
profiles_have(const struct profiles *p, const char *profile)
{
	for (size_t i = 0; i < p->n; i++)
		if (is_of(p, &p->v[i], PROFILE, profile))
			return true;
	return false;
}

const char *
profiles_get(const struct profiles *p, const char *profile, const char *key, enum profile_file from)
{
	return find(p, PROFILE, profile, key, "", from);
}

const char *
profiles_get_service(const struct profiles *p, const char *profile, const char *service,
		     const char *key)
{
	const char *section = profiles_get(p, profile, "services", PROFILE_EITHER);

	return section ? find(p, SERVICES, section, service, key, PROFILE_EITHER) : NULL;
}

const char *
profiles_files(const struct profiles *p)
{
	return p->files ? p->files : "";
}

const char *
profile_name(bool *ret_named)
{
	static const char *const variables[] = {"AWS_PROFILE", "AWS_DEFAULT_PROFILE"};

	for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
		const char *name = getenv(variables[i]);

		if (!name || !*name)
			continue;
		if (ret_named)
			*ret_named = true;
		return name;
	}
	if (ret_named)
		*ret_named = false;
	return "default";
}
