/*
 * What a simulated world has on files, and where the program gets its own keys from; see sim.h.
 */
#include "tests/sim/sim.h"

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/timefmt.h"

#define FILE_BYTES   ((size_t)16 << 20)
#define KEYS_LAST_MS (60 * SIM_MIN)
#define OWN_KEYS     "aws_access_key_id = AKIASIMULATED0000000\naws_secret_access_key = simulated\n"
#define OWN_ROLE     "arn:aws:iam::900000000000:role/"

/* ---- keys ---- */

static void
set(const char *name, const char *value)
{
	/* No other thread is there yet. */
	if (value ? setenv(name, value, 1) : unsetenv(name)) /* NOLINT(concurrency-mt-unsafe) */
		abort();
}

static void
write_file(const struct sim *s, const char *name, const char *text, char ret_path[128])
{
	FILE *f;

	(void)snprintf(ret_path, 128, "%s/%s", s->folder, name);
	f = fopen(ret_path, "we");
	if (!f || fputs(text, f) < 0 || fchmod(fileno(f), 0600) || fclose(f))
		abort();
}

static const char *
profiles(const struct sim *s, char text[1024])
{
	(void)snprintf(text, 1024, "[profile sim]\n%s", OWN_KEYS);
	if (s->ways.keys == SIM_KEYS_ROLES)
		(void)snprintf(
		    text, 1024,
		    "[profile sim]\nrole_arn = " OWN_ROLE "second\nsource_profile = first\n"
		    "[profile first]\nrole_arn = " OWN_ROLE "first\nsource_profile = own\n"
		    "[profile own]\n%s",
		    OWN_KEYS);
	if (s->ways.keys == SIM_KEYS_PROGRAM)
		(void)snprintf(text, 1024, "[profile sim]\ncredential_process = /bin/cat %s/keys\n",
			       s->folder);
	return text;
}

void
sim_set_ways(const struct sim *s)
{
	enum sim_keys k = s->ways.keys;
	bool shared = k == SIM_KEYS_PROFILE || k == SIM_KEYS_ROLES || k == SIM_KEYS_PROGRAM;
	char config[128], token[128], keys[128], text[1024];

	write_file(s, "config", shared ? profiles(s, text) : "", config);
	write_file(s, "token", "simulated-token", token);
	write_file(s, "keys",
		   "{\"Version\":1,\"AccessKeyId\":\"ASIASIMULATED0000000\","
		   "\"SecretAccessKey\":\"simulated\",\"SessionToken\":\"token\"}",
		   keys);
	set("AWS_ENDPOINT_URL", "http://sim");
	set("AWS_REGION", "eu-west-1");
	set("AWS_CONFIG_FILE", config);
	set("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
	set("AWS_PROFILE", shared ? "sim" : NULL);
	set("AWS_ACCESS_KEY_ID", k == SIM_KEYS_ENV ? "AKIASIMULATED0000000" : NULL);
	set("AWS_SECRET_ACCESS_KEY", k == SIM_KEYS_ENV ? "simulated" : NULL);
	set("AWS_WEB_IDENTITY_TOKEN_FILE", k == SIM_KEYS_WEB ? token : NULL);
	set("AWS_ROLE_ARN", k == SIM_KEYS_WEB ? OWN_ROLE "web" : NULL);
	set("AWS_CONTAINER_CREDENTIALS_FULL_URI",
	    k == SIM_KEYS_CONTAINER ? "http://127.0.0.1/keys" : NULL);
	set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", k == SIM_KEYS_CONTAINER ? token : NULL);
	set("AWS_EC2_METADATA_DISABLED", k == SIM_KEYS_INSTANCE ? NULL : "true");
}

static void
tell_keys(const struct sim *s, struct http_resp *resp)
{
	char until[TIME_TEXT_MAX];

	time_format_s(sim_wall_ms(s) + KEYS_LAST_MS, until);
	buf_fmt(&resp->body,
		"{\"Code\":\"Success\",\"AccessKeyId\":\"ASIASIMULATED0000000\","
		"\"SecretAccessKey\":\"simulated\",\"Token\":\"token\",\"Expiration\":\"%s\"}",
		until);
}

void
sim_container(struct sim *s, const struct http_req *req, struct http_resp *resp)
{
	(void)req;
	resp->status = 200;
	tell_keys(s, resp);
}

void
sim_imds(struct sim *s, const struct http_req *req, struct http_resp *resp)
{
	resp->status = 200;
	if (!strcmp(req->operation, "GetToken"))
		buf_str(&resp->body, "simulated-token");
	else if (!strcmp(req->operation, "GetRole"))
		buf_str(&resp->body, "muster");
	else
		tell_keys(s, resp);
}

/* ---- files ---- */

static struct sim *loading; /* nftw passes nothing on */

static int
load_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	struct sim_object *o;
	char key[512];
	FILE *f;

	(void)at;
	(void)snprintf(key, sizeof(key), "sim%s", path + strlen(loading->folder));
	if (type != FTW_F ||
	    !(sv_starts(sv_of(key), SV("sim/state/")) || sv_starts(sv_of(key), SV("sim/lake/")) ||
	      sv_starts(sv_of(key), SV("sim/old/"))))
		return 0;
	o = calloc(1, sizeof(*o));
	f = fopen(path, "re");
	if (!o || !f)
		abort();
	o->key = strdup(key);
	o->n = (size_t)st->st_size;
	o->bytes = malloc(o->n + 1);
	o->writes = 1;
	if (!o->key || !o->bytes || fread(o->bytes, 1, o->n, f) != o->n || fclose(f) ||
	    map_put(&loading->objects, sv_of(o->key), o, NULL, NULL))
		abort();
	return 0;
}

void
sim_load_files(struct sim *s)
{
	if (!s->ways.files)
		return;
	map_done(&s->objects, sim_object_free);
	s->objects = (struct map){0};
	loading = s;
	if (nftw(s->folder, load_file, 16, FTW_PHYS))
		abort();
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

void
sim_remove_files(const struct sim *s)
{
	(void)nftw(s->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
