/* Credential cases of the SDKs, with the exchanges that belong to them. */
#include "aws/cred_sources.h"

#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "aws/aws_err.h"
#include "aws/sigv4.h"
#include "base/cleanup.h"
#include "tests/support/data.h"
#include "tests/support/fake_transport.h"
#include "tests/support/key_endpoints.h"

#define START_MS      1600000000000 /* before the answers' keys end */
#define MAX_EXCHANGES 16
#define TOKEN_FILE    "/token.jwt" /* the cases' own, absolute */

extern char **environ;

struct rig {
	char root[64];
	struct clock *clock;
	struct fake_answer answers[MAX_EXCHANGES];
	size_t n;
	struct transport *fake, *top;
	struct cred_setup setup;
};

/* ---- folders and variables ---- */

static void
clear_environment(void)
{
	for (char **e = environ; *e;) {
		char name[128];
		size_t n = strcspn(*e, "=");

		if (strncmp(*e, "AWS_", 4) != 0 || n >= sizeof(name)) {
			e++;
			continue;
		}
		(void)snprintf(name, sizeof(name), "%.*s", (int)n, *e);
		(void)unsetenv(name);
		e = environ;
	}
}

/* A text of the case, with the token's file where it really is. */
static void
moved(const struct rig *r, const char *text, struct buf *out)
{
	const char *at;

	while ((at = strstr(text, TOKEN_FILE))) {
		buf_add(out, text, (size_t)(at - text));
		buf_fmt(out, "%s" TOKEN_FILE, r->root);
		text = at + strlen(TOKEN_FILE);
	}
	buf_str(out, text);
}

static void
write_file(const struct rig *r, const char *path, const char *text)
{
	CLEANUP(buf_done) struct buf full = BUF_INIT(4096), content = BUF_INIT(1u << 20);
	FILE *f;

	buf_fmt(&full, "%s%s", r->root, path);
	for (char *slash = full.p + strlen(r->root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		(void)mkdir(full.p, 0700);
		*slash = '/';
	}
	moved(r, text, &content);
	f = fopen(full.p, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(buf_cstr(&content), 1, content.n, f), content.n);
	assert_int_equal(fclose(f), 0);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static void
set_up_environment(const struct rig *r, const json_t *j)
{
	CLEANUP(buf_done) struct buf value = BUF_INIT(4096);
	const char *name;
	const json_t *v;

	clear_environment();
	json_object_foreach((json_t *)(uintptr_t)json_object_get(j, "env"), name, v)
	{
		buf_reset(&value);
		if (!strcmp(name, "HOME"))
			buf_str(&value, r->root);
		moved(r, json_string_value(v), &value);
		assert_int_equal(setenv(name, buf_cstr(&value), 1), 0);
	}
	json_object_foreach((json_t *)(uintptr_t)json_object_get(j, "config_files"), name, v)
	    write_file(r, name, json_string_value(v));
	if (!json_object_get(json_object_get(j, "env"), "HOME"))
		assert_int_equal(setenv("HOME", r->root, 1), 0);
}

/* ---- a case ---- */

static void
set_up_answers(struct rig *r, const json_t *exchanges)
{
	const json_t *x;
	size_t i;

	json_array_foreach(exchanges, i, x)
	{
		const json_t *response = json_object_get(x, "response");

		assert_true(r->n < MAX_EXCHANGES);
		r->answers[r->n++] = (struct fake_answer){
		    .status = (int)json_integer_value(json_object_get(response, "status")),
		    .body = data_str(response, "body"),
		    .classify = aws_classify,
		};
	}
	if (!r->n) /* whoever asks all the same is found by the number of calls */
		r->answers[r->n++] = (struct fake_answer){.kind = ERR_REJECTED, .status = 404};
}

static void
begin(struct rig *r, const json_t *j)
{
	struct transport *sign;
	struct err err = {0};
	const char *region;

	*r = (struct rig){.root = "/tmp/muster-case-XXXXXX"};
	assert_non_null(mkdtemp(r->root));
	set_up_environment(r, j);
	if (settings_load(&err))
		fail_msg("%s", err.msg);
	set_up_answers(r, json_object_get(json_object_get(j, "http"), "exchanges"));
	r->clock = clock_fake_new(START_MS);
	r->fake = fake_transport_new(r->answers, r->n, r->clock);
	assert_int_equal(sign_transport_new(r->fake, r->clock, &sign, &err), 0);
	assert_int_equal(retry_transport_new(sign, 3, 1, r->clock, &r->top, &err), 0);
	region = settings_get("AWS_REGION", "region");
	r->setup = (struct cred_setup){
	    .t = r->top,
	    .clock = r->clock,
	    .region = region ? region : "us-east-1",
	    .session_name = "muster-base",
	};
}

static void
end(struct rig *r)
{
	transport_free(r->top);
	clock_fake_free(r->clock);
	settings_done();
	clear_environment();
	assert_int_equal(nftw(r->root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* What SDKs sort into providers: the shared files alone, or the whole chain. */
static int
open_source(struct rig *r, const char *group, struct cred_source **ret, struct err *err)
{
	if (strcmp(group, "profile-provider") != 0)
		return cred_chain_new(&r->setup, ret, err);
	if (!profiles_have(settings_profiles(), profile_name(NULL)))
		return err_set(err, ERR_NOTFOUND, "no profile");
	return cred_profile_new(&r->setup, settings_profiles(), profile_name(NULL), ret, err);
}

/* The same calls in the same order. Bodies of STS differ in names of sessions, and the recorded
 * ones were edited. */
static void
check_calls(const struct rig *r, const char *name, const json_t *exchanges)
{
	const json_t *x;
	size_t i;

	if (fake_calls(r->fake) != (int)json_array_size(exchanges))
		fail_msg("%s: %d calls instead of %zu", name, fake_calls(r->fake),
			 json_array_size(exchanges));
	json_array_foreach(exchanges, i, x)
	{
		const json_t *q = json_object_get(x, "request");
		const struct fake_call *c = fake_call(r->fake, i);
		struct sv url = sv_of(c->url), expected = sv_of(data_str(q, "uri"));
		const char *body = data_str(q, "body");
		size_t action = strcspn(body, "&");

		if (!sv_ends(expected, SV("/")) && sv_ends(url, SV("/")))
			url.n--;
		if (strcmp(c->method, data_str(q, "method")) != 0 || !sv_eq(url, expected) ||
		    strncmp(c->body, body, action) != 0)
			fail_msg("%s: %s %s instead of %s", name, c->method, c->url, expected.p);
	}
}

static void
check_keys(const char *name, const struct cred *c, const json_t *ok)
{
	const char *token = data_str(ok, "session_token");
	json_int_t expiry = json_integer_value(json_object_get(ok, "expiry"));

	if (strcmp(c->key_id, data_str(ok, "access_key_id")) != 0)
		fail_msg("%s: key %s instead of %s", name, c->key_id,
			 data_str(ok, "access_key_id"));
	assert_string_equal(c->secret.p, data_str(ok, "secret_access_key"));
	assert_string_equal(c->token.p ? c->token.p : "", token);
	assert_string_equal(c->account, data_str(ok, "account_id"));
	assert_int_equal(c->expires_wall_ms / 1000, expiry);
}

/* SDKs word these differently; each error says what it is about all the same. */
static const struct {
	const char *name, *said;
} errors[] = {
    {"eks_pod_identity_no_token_file", "No such file or directory"},
    {"imds_disabled", "AWS_EC2_METADATA_DISABLED is true"},
    {"imds_no_iam_role", "this instance has no role"},
    {"profile_overrides_web_identity", "credential_source Environment: AWS_ACCESS_KEY_ID is not"},
    {"web_identity_source_profile_no_env", "profile B: web_identity_token_file without role_arn"},
    {"web_identity_token_invalid_jwt", "InvalidIdentityToken"},
    {"empty_config", "no profile"},
};

static void
check_error(const char *name, const struct err *err)
{
	const char *said = "(this case is not in the table)";

	for (size_t i = 0; i < ARRAY_LEN(errors); i++)
		if (!strcmp(errors[i].name, name))
			said = errors[i].said;
	if (!strstr(err->msg, said))
		fail_msg("%s: \"%s\" is not in \"%s\"", name, said, err->msg);
	assert_true(err->kind == ERR_AUTH || err->kind == ERR_NOTFOUND);
}

static void
run_case(const char *path)
{
	CLEANUP(json_decrefp) json_t *j = data_json(path);
	const json_t *result = json_object_get(json_object_get(j, "expected"), "result");
	const json_t *ok = json_object_get(result, "Ok");
	const char *name = data_str(j, "name");
	CLEANUP(cred_done) struct cred c = {0};
	struct cred_source *s = NULL;
	struct err err = {0};
	struct rig r;
	int rc;

	begin(&r, j);
	rc = open_source(&r, data_str(j, "group"), &s, &err);
	if (!rc)
		rc = cred_get(s, NULL, &c, &err);
	if (rc && ok)
		fail_msg("%s: %s", name, err.msg);
	if (!rc && !ok)
		fail_msg("%s: key %s instead of an error", name, c.key_id);
	if (ok)
		check_keys(name, &c, ok);
	else
		check_error(name, &err);
	check_calls(&r, name, json_object_get(json_object_get(j, "http"), "exchanges"));
	cred_source_free(s);
	end(&r);
}

static int
run_folder(const char *folder)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT(4096);
	const struct dirent *e;
	int n = 0;
	DIR *dir;

	buf_fmt(&path, "%s/credentials/%s", getenv("MUSTER_DATA"), folder);
	dir = opendir(buf_cstr(&path));
	assert_non_null(dir);
	while ((e = readdir(dir))) {
		if (!sv_ends(sv_of(e->d_name), SV(".json")))
			continue;
		buf_reset(&path);
		buf_fmt(&path, "credentials/%s/%s", folder, e->d_name);
		run_case(buf_cstr(&path));
		n++;
	}
	(void)closedir(dir);
	return n;
}

static void
test_recorded(void **state)
{
	int n;

	(void)state;
	data_or_skip();
	n = run_folder("default-credential-provider-chain") + run_folder("profile-provider");
	print_message("%d credential cases\n", n);
	assert_true(n >= 22);
}

/* ---- where a container's keys are ---- */

static void
check_container(const json_t *j)
{
	const char *ok = json_string_value(json_object_get(json_object_get(j, "result"), "Ok"));
	const char *name;
	struct key_endpoints keys;
	struct clock *clock = clock_fake_new(START_MS);
	const struct cred_setup setup = {.t = key_endpoints_init(&keys, clock), .clock = clock};
	struct cred_source *s = NULL;
	struct cred c = {0};
	struct err err = {0};
	const json_t *v;

	clear_environment();
	json_object_foreach((json_t *)(uintptr_t)json_object_get(j, "env"), name, v)
	    assert_int_equal(setenv(name, json_string_value(v), 1), 0);
	if (cred_container_new(&setup, &s, &err)) {
		if (ok)
			fail_msg("%s: %s", data_str(j, "docs"), err.msg);
	} else {
		assert_non_null(ok);
		assert_int_equal(cred_get(s, NULL, &c, &err), 0);
		assert_string_equal(keys.calls[0].url, ok);
	}
	cred_done(&c);
	cred_source_free(s);
	clock_fake_free(clock);
}

static void
test_containers(void **state)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	const json_t *tests, *j;
	size_t i;

	(void)state;
	data_or_skip();
	doc = data_json("credentials/ecs-tests.json");
	tests = json_object_get(doc, "tests");
	assert_true(json_array_size(tests) >= 7);
	json_array_foreach(tests, i, j) check_container(j);
	clear_environment();
}

/* ---- profiles and the chain of roles that they stand for ---- */

static void
write_profiles(const json_t *input, struct buf *config)
{
	const char *name, *key;
	const json_t *profile, *v;

	json_object_foreach((json_t *)(uintptr_t)json_object_get(input, "profiles"), name, profile)
	{
		buf_fmt(config, "[profile %s]\n", name);
		json_object_foreach((json_t *)(uintptr_t)profile, key, v)
		    /* The token must be there. */
		    buf_fmt(config, "%s = %s\n", key,
			    strcmp(key, "web_identity_token_file") != 0 ? json_string_value(v)
									: "/proc/self/comm");
	}
}

/* The calls that a chain of providers makes, and who signs each. */
static void
check_chain(const char *docs, const json_t *chain, const struct key_endpoints *k,
	    const struct cred *c)
{
	char signer[320] = "", last[300] = "";
	const json_t *link;
	int at = 0;
	size_t i;

	json_array_foreach(chain, i, link)
	{
		const json_t *role = json_object_get(link, "AssumeRole");
		const json_t *keys = json_object_get(link, "AccessKey");
		const char *session;

		if (keys) {
			(void)snprintf(last, sizeof(last), "%s", data_str(keys, "access_key_id"));
		} else if (!strcmp(data_str(link, "NamedSource"), "Ec2InstanceMetadata")) {
			at += 3;
			(void)snprintf(last, sizeof(last), "ASIAEC2%d", at);
		} else if (!role) {
			const json_t *web = json_object_get(link, "WebIdentityToken");

			assert_non_null(web);
			assert_non_null(
			    strstr(k->calls[at].body, data_str(web, "role_session_name")));
			(void)snprintf(last, sizeof(last), "ASIAWEB%d", ++at);
		} else {
			(void)snprintf(signer, sizeof(signer), "Credential=%s", last);
			assert_string_equal(k->calls[at].auth, signer);
			assert_non_null(strstr(k->calls[at].body,
					       strrchr(data_str(role, "role_arn"), '/') + 1));
			session = data_str(role, "role_session_name");
			assert_non_null(strstr(k->calls[at].body, session));
			assert_non_null(strstr(k->calls[at].body, data_str(role, "external_id")));
			(void)snprintf(last, sizeof(last), "ASIAROLE%d", ++at);
		}
	}
	if (strcmp(c->key_id, last) != 0 || k->n != at)
		fail_msg("%s: key %s after %d calls instead of %s after %d", docs, c->key_id, k->n,
			 last, at);
}

/* One of the vectors is a profile of IAM Identity Center: refused here, and so it says. */
static bool
is_sso(const json_t *chain)
{
	return json_object_get(json_array_get(chain, 0), "Sso") != NULL;
}

static void
check_roles(const json_t *j)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT(1u << 16);
	const json_t *input = json_object_get(j, "input");
	const json_t *chain = json_object_get(json_object_get(j, "output"), "ProfileChain");
	const char *docs = data_str(j, "docs"), *name = data_str(input, "selected_profile");
	struct clock *clock = clock_fake_new(START_MS);
	struct key_endpoints keys;
	const struct cred_setup setup = {.t = key_endpoints_init(&keys, clock),
					 .clock = clock,
					 .region = "us-east-1",
					 .session_name = "muster-base"};
	struct profiles *p = NULL;
	struct cred_source *s = NULL;
	struct cred c = {0};
	struct err err = {0};
	int rc;

	clear_environment();
	write_profiles(input, &config);
	assert_int_equal(profiles_parse(buf_view(&config), SV(""), &p, &err), 0);
	rc = cred_profile_new(&setup, p, name, &s, &err);
	if (!rc)
		rc = cred_get(s, NULL, &c, &err);
	if (chain && !is_sso(chain)) {
		if (rc)
			fail_msg("%s: %s", docs, err.msg);
		check_chain(docs, chain, &keys, &c);
	} else {
		if (!rc)
			fail_msg("%s: key %s instead of an error", docs, c.key_id);
		assert_true(err.kind == ERR_AUTH || err.kind == ERR_NOTFOUND);
		assert_true(!chain || strstr(err.msg, "signs in through a browser"));
		assert_int_equal(keys.n, 0);
	}
	cred_done(&c);
	cred_source_free(s);
	profiles_free(p);
	clock_fake_free(clock);
}

static void
test_roles(void **state)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	const json_t *j;
	size_t i;

	(void)state;
	data_or_skip();
	doc = data_json("credentials/assume-role-tests.json");
	assert_true(json_array_size(doc) >= 17);
	json_array_foreach(doc, i, j) check_roles(j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_recorded),
	    cmocka_unit_test(test_containers),
	    cmocka_unit_test(test_roles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
