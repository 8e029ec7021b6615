/* Our own credentials: which source is found, what it asks and whom, and what is said if there is
 * none. */
#include "aws/cred_sources.h"

#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "tests/support/key_endpoints.h"

#define START_MS 1767225600000
#define MINUTE	 60000

extern char **environ;

struct fixture {
	struct clock *clock;
	struct key_endpoints keys;
	struct cred_setup setup;
	char folder[64], file[96];
	struct cred_source *s;
	struct cred c;
	struct err err;
};

static void
set(const char *name, const char *value)
{
	assert_int_equal(setenv(name, value, 1), 0);
}

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* No AWS_ variable, and shared files that say this. */
static void
begin(struct fixture *f, const char *config)
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
	*f = (struct fixture){.folder = "/tmp/muster-chain-XXXXXX"};
	f->clock = clock_fake_new(START_MS);
	assert_non_null(f->clock);
	assert_non_null(mkdtemp(f->folder));
	(void)snprintf(f->file, sizeof(f->file), "%s/file", f->folder);
	f->setup = (struct cred_setup){
	    .t = key_endpoints_init(&f->keys, f->clock),
	    .clock = f->clock,
	    .region = "eu-west-1",
	    .session_name = "muster-base",
	};
	write_file(f->file, config);
	set("AWS_CONFIG_FILE", f->file);
	set("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
	assert_int_equal(settings_load(&f->err), 0);
}

static void
end(struct fixture *f)
{
	cred_source_free(f->s);
	cred_done(&f->c);
	settings_done();
	(void)unlink(f->file);
	assert_int_equal(rmdir(f->folder), 0);
	clock_fake_free(f->clock);
}

static int
get(struct fixture *f)
{
	err_clear(&f->err);
	if (!f->s && cred_chain_new(&f->setup, &f->s, &f->err))
		return -1;
	return cred_get(f->s, NULL, &f->c, &f->err);
}

static void
assert_key(struct fixture *f, const char *id, const char *from)
{
	CLEANUP(buf_done) struct buf what = BUF_INIT(1000);

	if (get(f))
		fail_msg("%s", f->err.msg);
	assert_string_equal(f->c.key_id, id);
	cred_describe(f->s, &what);
	assert_string_equal(buf_cstr(&what), from);
}

/* Refused for good, in words that hold `part`. */
static void
assert_refused(struct fixture *f, const char *part)
{
	if (!get(f))
		fail_msg("%s instead of an error with \"%s\"", f->c.key_id, part);
	assert_int_equal(f->err.kind, ERR_AUTH);
	if (!strstr(f->err.msg, part))
		fail_msg("\"%s\" is not in \"%s\"", part, f->err.msg);
}

static void
assert_call(struct fixture *f, int i, const char *method, const char *url, const char *auth)
{
	assert_true(i < f->keys.n);
	assert_string_equal(f->keys.calls[i].method, method);
	assert_string_equal(f->keys.calls[i].url, url);
	assert_string_equal(f->keys.calls[i].auth, auth);
	assert_true(f->keys.calls[i].unrecorded);
}

#define STS	  "https://sts.eu-west-1.amazonaws.com/"
#define IMDS	  "http://169.254.169.254/latest/"
#define IMDS_ROLE IMDS "meta-data/iam/security-credentials/"
#define STATIC	  "aws_access_key_id = AKIDSTATIC\naws_secret_access_key = s\n"

/* ---- the order ---- */

static void
test_order(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "[default]\n" STATIC);
	set("AWS_ACCESS_KEY_ID", "AKIDENV");
	set("AWS_SECRET_ACCESS_KEY", "s");
	set("AWS_WEB_IDENTITY_TOKEN_FILE", f.file);
	set("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/web");
	set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/keys");
	assert_key(&f, "AKIDENV", "environment");
	cred_source_free(STEAL(f.s));
	(void)unsetenv("AWS_ACCESS_KEY_ID");
	(void)unsetenv("AWS_SECRET_ACCESS_KEY");
	assert_key(&f, "AKIDSTATIC", "profile default");
	cred_source_free(STEAL(f.s));
	write_file(f.file, "[profile other]\n");
	assert_int_equal(settings_load(NULL), 0);
	assert_int_equal(get(&f), 0);
	assert_string_equal(f.c.key_id, "ASIAWEB1");
	cred_source_free(STEAL(f.s));
	(void)unsetenv("AWS_WEB_IDENTITY_TOKEN_FILE");
	assert_key(&f, "ASIACONTAINER2", "container credentials");
	cred_source_free(STEAL(f.s));
	(void)unsetenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	assert_key(&f, "ASIAEC25", "EC2 instance metadata");
	end(&f);
}

static void
test_none(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "[default]\nregion = eu-west-1\n");
	set("AWS_EC2_METADATA_DISABLED", "True");
	assert_refused(&f, "there are none, give some by AWS_PROFILE or AWS_ACCESS_KEY_ID: "
			   "environment: AWS_ACCESS_KEY_ID is not set; shared "
			   "files: profile default has no keys; web identity: "
			   "AWS_WEB_IDENTITY_TOKEN_FILE is not set; container: ");
	assert_non_null(strstr(f.err.msg, "EC2 instance metadata: AWS_EC2_METADATA_DISABLED"));
	assert_int_equal(f.keys.n, 0);
	end(&f);
	/* The metadata service does not answer: the same, and it may be asked again. */
	begin(&f, "");
	f.keys.fail_at = "/latest/";
	f.keys.fail_times = 1;
	assert_refused(&f, "shared files: no profile default in ");
	assert_non_null(strstr(f.err.msg, "; EC2 instance metadata: no answer (outside EC2"));
	assert_key(&f, "ASIAEC24", "EC2 instance metadata");
	end(&f);
}

/* What is configured and broken is said, and nothing else is tried. */
static void
test_broken_is_no_reason_to_go_on(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "[default]\naws_access_key_id = AKIDHALF\n");
	set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/keys");
	assert_refused(&f, "aws_access_key_id without aws_secret_access_key");
	set("AWS_SECRET_ACCESS_KEY", "s");
	assert_refused(&f, "AWS_SECRET_ACCESS_KEY is set, AWS_ACCESS_KEY_ID is not");
	end(&f);
	begin(&f, "[default]\n" STATIC);
	set("AWS_PROFILE", "nobody");
	assert_refused(&f, "no profile nobody in ");
	assert_non_null(strstr(f.err.msg, f.file));
	set("AWS_ACCESS_KEY_ID", "AKIDENV");
	set("AWS_SECRET_ACCESS_KEY", "s");
	assert_key(&f, "AKIDENV", "environment (AWS_PROFILE is set, too, and not used)");
	end(&f);
	begin(&f, "");
	set("AWS_WEB_IDENTITY_TOKEN_FILE", f.file);
	assert_refused(&f, "AWS_WEB_IDENTITY_TOKEN_FILE is set, AWS_ROLE_ARN is not");
	assert_int_equal(f.keys.n, 0);
	end(&f);
}

/* Ten minutes before they end new keys are there in any case; a failure then leaves the old error's
 * kind. */
static void
test_renewed(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "");
	set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/keys");
	assert_key(&f, "ASIACONTAINER1", "container credentials");
	clock_fake_advance(f.clock, (int64_t)40 * MINUTE);
	assert_key(&f, "ASIACONTAINER1", "container credentials");
	clock_fake_advance(f.clock, (int64_t)11 * MINUTE);
	assert_key(&f, "ASIACONTAINER2", "container credentials");
	clock_fake_advance(f.clock, (int64_t)51 * MINUTE);
	f.keys.fail_at = "/keys";
	f.keys.fail_times = 2;
	f.keys.fail_status = 503;
	assert_int_equal(get(&f), -1);
	assert_int_equal(f.err.kind, ERR_TRANSIENT);
	end(&f);
}

/* ---- profiles ---- */

static void
test_profile_of_its_own(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "[profile a]\n" STATIC "aws_session_token = t\naws_account_id = 111122223333\n");
	set("AWS_PROFILE", "a");
	assert_key(&f, "AKIDSTATIC", "profile a");
	assert_string_equal(f.c.secret.p, "s");
	assert_string_equal(f.c.token.p, "t");
	assert_string_equal(f.c.account, "111122223333");
	end(&f);
}

static void
test_roles(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "[profile a]\nrole_arn = arn:aws:iam::111122223333:role/a\nsource_profile = b\n"
		  "external_id = ext/1\nrole_session_name = me\nduration_seconds = 3600\n"
		  "[profile b]\nrole_arn = arn:aws:iam::111122223333:role/b\nsource_profile = c\n"
		  "duration_seconds = 7200\n[profile c]\n" STATIC);
	set("AWS_PROFILE", "a");
	assert_key(&f, "ASIAROLE2", "profile a via source_profile b via source_profile c");
	assert_int_equal(f.keys.n, 2);
	assert_call(&f, 0, "POST", STS, "Credential=AKIDSTATIC");
	assert_non_null(strstr(f.keys.calls[0].body, "role%2Fb&RoleSessionName=muster-base&"
						     "DurationSeconds=7200"));
	assert_null(strstr(f.keys.calls[0].body, "ExternalId"));
	assert_call(&f, 1, "POST", STS, "Credential=ASIAROLE1");
	assert_non_null(strstr(f.keys.calls[1].body,
			       "role%2Fa&RoleSessionName=me&DurationSeconds=3600&ExternalId=ext%"
			       "2F1"));
	/* Only what is about to end is asked for again. */
	clock_fake_advance(f.clock, (int64_t)51 * MINUTE);
	assert_int_equal(get(&f), 0);
	assert_string_equal(f.c.key_id, "ASIAROLE4");
	assert_call(&f, 3, "POST", STS, "Credential=ASIAROLE3");
	end(&f);
}

static void
test_role_of_a_source(void **state)
{
	static const char config[] =
	    "[profile env]\nrole_arn = arn:aws:iam::111122223333:role/a\ncredential_source = "
	    "Environment\n[profile ecs]\nrole_arn = arn:aws:iam::111122223333:role/a\n"
	    "credential_source = EcsContainer\n[profile ec2]\nrole_arn = "
	    "arn:aws:iam::111122223333:role/a\ncredential_source = Ec2InstanceMetadata\n"
	    "[profile odd]\nrole_arn = arn:aws:iam::111122223333:role/a\ncredential_source = ecs\n"
	    "[profile long]\nrole_arn = arn:aws:iam::111122223333:role/a\nduration_seconds = "
	    "3601\ncredential_source = EcsContainer\n";
	struct fixture f;

	(void)state;
	begin(&f, config);
	set("AWS_PROFILE", "ec2");
	assert_key(&f, "ASIAROLE4", "profile ec2 via credential_source Ec2InstanceMetadata");
	assert_call(&f, 3, "POST", STS, "Credential=ASIAEC23");
	cred_source_free(STEAL(f.s));
	set("AWS_PROFILE", "ecs");
	assert_refused(&f, "profile ecs: credential_source EcsContainer: "
			   "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/keys");
	assert_key(&f, "ASIAROLE6", "profile ecs via credential_source EcsContainer");
	assert_call(&f, 5, "POST", STS, "Credential=ASIACONTAINER5");
	cred_source_free(STEAL(f.s));
	set("AWS_PROFILE", "env");
	assert_refused(&f, "credential_source Environment: AWS_ACCESS_KEY_ID is not set");
	set("AWS_PROFILE", "odd");
	assert_refused(&f, "expected Environment, EcsContainer or Ec2InstanceMetadata");
	set("AWS_PROFILE", "long");
	assert_refused(&f, "duration_seconds 3601: a role that is assumed with the keys of a role "
			   "lasts at most 3600");
	end(&f);
}

static void
test_bad_profiles(void **state)
{
	static const struct {
		const char *config, *said;
	} cases[] = {
	    {"role_arn = r\n", "role_arn without source_profile or credential_source"},
	    {"role_arn = r\nsource_profile = b\ncredential_source = Environment\n",
	     "both source_profile and credential_source"},
	    {"role_arn = r\nsource_profile = nobody\n", "its source_profile nobody is not in "},
	    {"role_arn = r\nsource_profile = a\n", "source_profile a leads round in a loop"},
	    {"role_arn = r\nsource_profile = c\n[profile c]\nrole_arn = r\nsource_profile = a\n",
	     "profile c: source_profile a leads round in a loop"},
	    {STATIC "role_arn = r\nsource_profile = c\n[profile c]\nrole_arn = r\n"
		    "source_profile = a\n",
	     "profile c: source_profile a leads round in a loop"},
	    {"role_arn = r\nsource_profile = empty\n[profile empty]\nregion = x\n",
	     "profile empty: has no keys, and is a source_profile"},
	    {"role_arn = r\nsource_profile = b\nmfa_serial = arn:aws:iam::1:mfa/me\n",
	     "profile a: mfa_serial asks for a code"},
	    {"role_arn = r\nsource_profile = b\nduration_seconds = 1h\n",
	     "duration_seconds: expected 900 to 43200"},
	    {"role_arn = r\nsource_profile = b\nduration_seconds = 60\n", "expected 900 to 43200"},
	    {"web_identity_token_file = /x\n", "web_identity_token_file without role_arn"},
	    {"sso_session = x\n", "credential_process = aws configure export-credentials"},
	    {STATIC "sso_start_url = x\n", "signs in through a browser"},
	    {"login_session = x\n", "signs in through a browser"},
	    {"aws_secret_access_key = s\n", "aws_secret_access_key without aws_access_key_id"},
	    {"credential_process = 'x\n", "credential_process: a quote that is not closed"},
	    {"credential_process = ''\n", "credential_process: names no program"},
	};
	CLEANUP(buf_done) struct buf config = BUF_INIT(4000);
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		buf_reset(&config);
		buf_fmt(&config, "[profile b]\n%s[profile a]\n%s", STATIC, cases[i].config);
		begin(&f, buf_cstr(&config));
		set("AWS_PROFILE", "a");
		assert_refused(&f, cases[i].said);
		assert_int_equal(f.keys.n, 0);
		end(&f);
	}
}

/* A chain that never repeats itself ends, too. */
/* The sandbox is told what every profile of the longest chain takes, and of no other. */
static void
test_needs_of_a_long_chain(void **state)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT(1 << 14);
	struct cred_needs needs;
	struct fixture f;

	(void)state;
	for (int last = CRED_PROFILES_MAX - 1; last <= CRED_PROFILES_MAX; last++) {
		buf_reset(&config);
		for (int i = 0; i <= last; i++)
			buf_fmt(
			    &config,
			    "[profile p%d]\nweb_identity_token_file = /t%d\nsource_profile = p%d\n",
			    i, i, i + 1);
		buf_str(&config, "credential_process = cat\n");
		begin(&f, buf_cstr(&config));
		set("AWS_PROFILE", "p0");
		cred_needs(&needs);
		assert_int_equal(needs.programs, last < CRED_PROFILES_MAX);
		assert_int_equal(needs.n_files, CRED_PROFILES_MAX);
		end(&f);
	}
}

static void
test_endless_chain(void **state)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT(10000);
	struct fixture f;

	(void)state;
	for (int i = 0; i < 40; i++)
		buf_fmt(&config, "[profile p%d]\nrole_arn = r\nsource_profile = p%d\n", i, i + 1);
	begin(&f, buf_cstr(&config));
	set("AWS_PROFILE", "p0");
	assert_refused(&f, "more than 16 profiles in a chain");
	end(&f);
}

static void
test_own_keys_of_profiles(void **state)
{
	struct fixture f;

	(void)state;
	/* It may name itself, if it has keys. */
	begin(&f, "[profile a]\n" STATIC "role_arn = arn:aws:iam::1:role/a\nsource_profile = a\n");
	set("AWS_PROFILE", "a");
	assert_key(&f, "ASIAROLE1", "profile a");
	assert_call(&f, 0, "POST", STS, "Credential=AKIDSTATIC");
	end(&f);
	/* A role goes before one's own keys, a source_profile's keys before its role. */
	begin(&f, "[profile a]\naws_access_key_id = AKIDNOT\naws_secret_access_key = s\n"
		  "role_arn = arn:aws:iam::1:role/a\nsource_profile = b\n[profile b]\n" STATIC
		  "role_arn = arn:aws:iam::1:role/b\nsource_profile = c\n[profile c]\n");
	set("AWS_PROFILE", "a");
	assert_key(&f, "ASIAROLE1", "profile a via source_profile b");
	assert_call(&f, 0, "POST", STS, "Credential=AKIDSTATIC");
	end(&f);
}

static void
test_endpoints_of_the_profile(void **state)
{
	static const char config[] =
	    "[default]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = b\nendpoint_url = "
	    "http://all\nservices = s\n[services s]\nsts =\n  endpoint_url = http://sts/x\n"
	    "[profile b]\n" STATIC;
	struct fixture f;

	(void)state;
	begin(&f, config);
	assert_int_equal(get(&f), 0);
	assert_call(&f, 0, "POST", "http://sts/x/", "Credential=AKIDSTATIC");
	cred_source_free(STEAL(f.s));
	set("AWS_ENDPOINT_URL", "http://env");
	assert_int_equal(get(&f), 0);
	assert_call(&f, 1, "POST", "http://env/", "Credential=AKIDSTATIC");
	cred_source_free(STEAL(f.s));
	set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
	assert_int_equal(get(&f), 0);
	assert_call(&f, 2, "POST", STS, "Credential=AKIDSTATIC");
	end(&f);
}

/* ---- web identity ---- */

static void
test_web_identity(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "");
	set("AWS_WEB_IDENTITY_TOKEN_FILE", f.file);
	set("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/web");
	set("AWS_ROLE_SESSION_NAME", "pod");
	assert_refused(&f, "there is no token in it");
	write_file(f.file, "jwt.one/+=\n");
	assert_int_equal(get(&f), 0);
	assert_string_equal(f.c.key_id, "ASIAWEB1");
	assert_call(&f, 0, "POST", STS, "");
	assert_string_equal(f.keys.calls[0].body,
			    "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%"
			    "3Aiam%3A%3A111122223333%3Arole%2Fweb&RoleSessionName=pod&"
			    "WebIdentityToken=jwt.one%2F%2B%3D");
	/* Read anew each time, and once more when STS finds the token old. */
	write_file(f.file, "jwt.two");
	clock_fake_advance(f.clock, (int64_t)51 * MINUTE);
	f.keys.fail_at = "jwt.two";
	f.keys.fail_times = 1;
	f.keys.fail_status = 400;
	f.keys.fail_body = "<ErrorResponse><Error><Code>ExpiredTokenException</Code><Message>old"
			   "</Message></Error></ErrorResponse>";
	assert_int_equal(get(&f), 0);
	assert_int_equal(f.keys.n, 3);
	clock_fake_advance(f.clock, (int64_t)51 * MINUTE);
	f.keys.fail_times = 2;
	assert_refused(&f, "ExpiredToken");
	assert_non_null(strstr(f.err.msg, f.file));
	assert_null(strstr(f.err.msg, "jwt.two"));
	end(&f);
}

static void
test_web_identity_of_a_profile(void **state)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT(4000), what = BUF_INIT(4000);
	char token[] = "/tmp/muster-token-XXXXXX";
	int fd = mkstemp(token);
	struct fixture f;

	(void)state;
	assert_int_equal(write(fd, "jwt", 3), 3);
	(void)close(fd);
	buf_fmt(&config,
		"[profile a]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = b\n[profile b]\n"
		"role_arn = arn:aws:iam::1:role/b\nsource_profile = nobody\n"
		"web_identity_token_file = %s\nrole_session_name = x1\n",
		token);
	buf_fmt(&what, "profile a via source_profile b via web identity token file %s", token);
	begin(&f, buf_cstr(&config));
	set("AWS_PROFILE", "a");
	assert_key(&f, "ASIAROLE2", buf_cstr(&what));
	assert_non_null(strstr(f.keys.calls[0].body, "RoleSessionName=x1&WebIdentityToken=jwt"));
	assert_call(&f, 1, "POST", STS, "Credential=ASIAWEB1");
	end(&f);
	(void)unlink(token);
}

/* ---- containers ---- */

#define RELATIVE   "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
#define FULL	   "AWS_CONTAINER_CREDENTIALS_FULL_URI"
#define TOKEN	   "AWS_CONTAINER_AUTHORIZATION_TOKEN"
#define TOKEN_FILE "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"

static void
test_container_hosts(void **state)
{
	static const char *const good[] = {"https://anything.example.com:8080/x",
					   "http://localhost/x",
					   "http://127.0.0.1:1234/x",
					   "http://127.255.0.9/x",
					   "http://[::1]:80/x",
					   "http://169.254.170.2/x",
					   "http://169.254.170.23/v1/credentials",
					   "http://[fd00:ec2::23]/x",
					   "http://[fd00:ec2:0::23]/x"};
	static const char *const bad[] = {
	    "http://example.com/x",	  "http://127.0.0.1.example.com/x",
	    "http://localhost.evil/x",	  "http://169.254.169.254/x",
	    "http://169.254.170.22/x",	  "http://[fd00:ec2::24]/x",
	    "http://user@127.0.0.1/x",	  "ftp://127.0.0.1/x",
	    "http://127.1.evil/",	  "http://[::ffff:8.8.8.8]/x",
	    "http://0x7f000001/x",	  "127.0.0.1/x",
	    "http://169.254.170.2@evil/", "http://10.0.0.1/"};
	struct fixture f;

	(void)state;
	begin(&f, "");
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		set(FULL, good[i]);
		if (get(&f))
			fail_msg("%s: %s", good[i], f.err.msg);
		assert_call(&f, (int)i, "GET", good[i], "");
		assert_true(f.keys.calls[i].direct);
		assert_string_equal(f.keys.calls[i].header, "Accept: application/json");
		cred_source_free(STEAL(f.s));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		set(FULL, bad[i]);
		assert_refused(&f, FULL);
	}
	assert_int_equal(f.keys.n, ARRAY_LEN(good));
	set(RELATIVE, "/v2/x?id=1"); /* goes before */
	assert_int_equal(get(&f), 0);
	assert_call(&f, f.keys.n - 1, "GET", "http://169.254.170.2/v2/x?id=1", "");
	cred_source_free(STEAL(f.s));
	set(RELATIVE, "@evil/x");
	assert_refused(&f, RELATIVE);
	end(&f);
}

static void
test_container_tokens(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "");
	set(RELATIVE, "/x");
	set(TOKEN, "Basic abc");
	assert_int_equal(get(&f), 0);
	assert_call(&f, 0, "GET", "http://169.254.170.2/x", "Basic abc");
	cred_source_free(STEAL(f.s));
	set(TOKEN, "a\r\nX-Evil: 1");
	assert_refused(&f, TOKEN ": the token holds a line break");
	/* A file goes before, and is read each time. */
	set(TOKEN_FILE, f.file);
	write_file(f.file, "one");
	assert_int_equal(get(&f), 0);
	assert_call(&f, 1, "GET", "http://169.254.170.2/x", "one");
	write_file(f.file, "two");
	clock_fake_advance(f.clock, (int64_t)51 * MINUTE);
	assert_int_equal(get(&f), 0);
	assert_call(&f, 2, "GET", "http://169.254.170.2/x", "two");
	write_file(f.file, "three\n");
	clock_fake_advance(f.clock, (int64_t)51 * MINUTE);
	assert_refused(&f, TOKEN_FILE ": the token holds a line break");
	set(TOKEN_FILE, "/nowhere/token");
	cred_source_free(STEAL(f.s));
	assert_refused(&f, TOKEN_FILE ": /nowhere/token: No such file or directory");
	assert_int_equal(f.keys.n, 3);
	end(&f);
}

static void
test_container_refusals(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "");
	set(RELATIVE, "/x");
	f.keys.fail_at = "/x";
	f.keys.fail_times = 2;
	f.keys.fail_status = 403;
	f.keys.fail_body = "{\"code\": \"NoPermission\", \"message\": \"not for you\"}";
	assert_refused(&f, "container credentials: 403 NoPermission: not for you");
	f.keys.fail_status = 200;
	f.keys.fail_body = "{\"AccessKeyId\": \"A\", \"SecretAccessKey\": \"planted\"";
	assert_refused(&f, "the answer is no JSON object with AccessKeyId and SecretAccessKey");
	assert_null(strstr(f.err.msg, "planted"));
	end(&f);
}

/* ---- EC2 ---- */

static void
test_imds(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "");
	assert_key(&f, "ASIAEC23", "EC2 instance metadata");
	assert_string_equal(f.c.token.p, "token-3");
	assert_call(&f, 0, "PUT", IMDS "api/token", "");
	assert_string_equal(f.keys.calls[0].header, "x-aws-ec2-metadata-token-ttl-seconds: 21600");
	assert_call(&f, 1, "GET", IMDS_ROLE, "");
	assert_string_equal(f.keys.calls[1].header, "x-aws-ec2-metadata-token: imds-token-1");
	assert_call(&f, 2, "GET", IMDS_ROLE "the-role", "");
	assert_true(f.keys.calls[2].direct);
	/* The token is kept for its six hours, unless it is refused. */
	clock_fake_advance(f.clock, (int64_t)51 * MINUTE);
	assert_key(&f, "ASIAEC25", "EC2 instance metadata");
	clock_fake_advance(f.clock, (int64_t)51 * MINUTE);
	f.keys.fail_at = "the-role";
	f.keys.fail_times = 1;
	f.keys.fail_status = 401;
	assert_key(&f, "ASIAEC29", "EC2 instance metadata");
	assert_call(&f, 7, "PUT", IMDS "api/token", "");
	assert_string_equal(f.keys.calls[8].header, "x-aws-ec2-metadata-token: imds-token-8");
	clock_fake_advance(f.clock, (int64_t)360 * MINUTE);
	assert_int_equal(get(&f), 0);
	assert_call(&f, 9, "PUT", IMDS "api/token", "");
	end(&f);
}

static void
test_imds_refusals(void **state)
{
	static const struct {
		const char *at, *body, *said;
		int status;
	} cases[] = {
	    {"/api/token", NULL, "no token of IMDSv2, and IMDSv1 is not used", 403},
	    {"/api/token", NULL, "no token of IMDSv2, and IMDSv1 is not used", 404},
	    {"/api/token", NULL, "no token of IMDSv2, and IMDSv1 is not used", 405},
	    {"/api/token", NULL, "400", 400},
	    {"/api/token", "", "an empty token", 200},
	    {"security-credentials/", NULL, "this instance has no role", 404},
	    {"security-credentials/", "../evil?x\n", "names no role", 200},
	    {"security-credentials/", "", "names no role", 200},
	    {"the-role", "{\"Code\": \"AssumeRoleUnauthorizedAccess\", \"Message\": \"no trust\"}",
	     "AssumeRoleUnauthorizedAccess: no trust", 200},
	    {"the-role", "<html>", "no JSON object", 200},
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		begin(&f, "");
		f.keys.fail_at = cases[i].at;
		f.keys.fail_body = cases[i].body;
		f.keys.fail_status = cases[i].status;
		f.keys.fail_times = 9;
		assert_refused(&f, cases[i].said);
		for (int k = 0; k < f.keys.n; k++) /* never version 1 */
			if (!strcmp(f.keys.calls[k].method, "GET"))
				assert_non_null(strstr(f.keys.calls[k].header, "imds-token-"));
		end(&f);
	}
}

static void
test_imds_elsewhere(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "[default]\nec2_metadata_service_endpoint_mode = ipv6\n");
	assert_int_equal(get(&f), 0);
	assert_call(&f, 0, "PUT", "http://[fd00:ec2::254]/latest/api/token", "");
	cred_source_free(STEAL(f.s));
	set("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv4");
	assert_int_equal(get(&f), 0);
	assert_call(&f, 3, "PUT", IMDS "api/token", "");
	cred_source_free(STEAL(f.s));
	set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1338/");
	assert_int_equal(get(&f), 0);
	assert_call(&f, 6, "PUT", "http://127.0.0.1:1338/latest/api/token", "");
	cred_source_free(STEAL(f.s));
	set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "nonsense");
	assert_refused(&f, "AWS_EC2_METADATA_SERVICE_ENDPOINT: is no URL");
	(void)unsetenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	set("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv5");
	assert_refused(&f, "expected IPv4 or IPv6");
	end(&f);
}

/* ---- programs ---- */

static int
run_process(struct fixture *f, const char *command, int64_t limit_ms)
{
	struct cred_source *s = NULL;
	int r;

	err_clear(&f->err);
	cred_done(&f->c);
	r = cred_process_new(command, limit_ms, f->clock, &s, &f->err);
	if (!r)
		r = cred_get(s, NULL, &f->c, &f->err);
	cred_source_free(s);
	return r;
}

static void
assert_process_fails(struct fixture *f, const char *command, const char *said)
{
	assert_int_equal(run_process(f, command, CRED_PROCESS_MS), -1);
	if (f->err.kind != ERR_AUTH)
		fail_msg("%s: %s", command, f->err.msg);
	if (!strstr(f->err.msg, said))
		fail_msg("\"%s\" is not in \"%s\"", said, f->err.msg);
	assert_null(strstr(f->err.msg, "PLANTED"));
}

static void
test_process(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "");
	if (run_process(&f,
			"printf '{\"Version\": 1, \"AccessKeyId\": \"AKIDPROCESS\", "
			"\"SecretAccessKey\": \"s\\\\u0041/+\", \"SessionToken\": \"t\", "
			"\"Expiration\": \"2026-01-01T00:10:00Z\", \"AccountId\": "
			"\"111122223333\"}'",
			CRED_PROCESS_MS))
		fail_msg("%s", f.err.msg);
	assert_string_equal(f.c.key_id, "AKIDPROCESS");
	assert_string_equal(f.c.secret.p, "sA/+");
	assert_string_equal(f.c.token.p, "t");
	assert_int_equal(f.c.expires_wall_ms, START_MS + (int64_t)10 * MINUTE);
	assert_string_equal(f.c.account, "111122223333");
	/* Without a token and an end; no shell looks at the words. */
	assert_int_equal(run_process(&f,
				     "echo '{\"Version\":1,\"AccessKeyId\":\"$HOME;`id`\",'\n"
				     "\"\\\"SecretAccessKey\\\":\\\"s\\\"}\"",
				     CRED_PROCESS_MS),
			 0);
	assert_string_equal(f.c.key_id, "$HOME;`id`");
	assert_null(f.c.token.p);
	assert_int_equal(f.c.expires_wall_ms, 0);
	end(&f);
}

/* Memcheck makes a fork of posix_spawn's vfork, and then no caller hears why a program did not
 * start. */
static bool
spawn_tells(void)
{
	char name[] = "/no/such/program";
	char *argv[] = {name, NULL};
	pid_t pid = 0;

	if (posix_spawn(&pid, name, NULL, NULL, argv, environ))
		return true;
	(void)waitpid(pid, NULL, 0);
	return false;
}

static void
test_process_fails(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "");
	if (spawn_tells())
		assert_process_fails(&f, "/no/such/program", "/no/such/program: No such file");
	assert_process_fails(&f, "sh -c 'echo PLANTED; echo sorry, no \"login\" >&2; exit 3'",
			     "credential_process: exit status 3: sorry, no login");
	assert_process_fails(&f, "sh -c 'kill -9 $$'", "ended by signal 9");
	assert_process_fails(&f, "true", "its output is no JSON object with a Version");
	assert_process_fails(&f, "echo '{\"Version\": 2, \"AccessKeyId\": \"PLANTED\"}'",
			     "its output is of Version 2, expected 1");
	assert_process_fails(&f, "echo '{\"Version\": \"1\", \"AccessKeyId\": \"PLANTED\"}'",
			     "with a Version");
	assert_process_fails(&f, "echo '{\"Version\": 1, \"AccessKeyId\": \"PLANTED\"}'",
			     "no JSON object with AccessKeyId and SecretAccessKey");
	assert_process_fails(&f, "echo '{\"Version\": 1, PLANTED}'", "no JSON object");
	assert_process_fails(&f, "head -c 1000000 /dev/zero", "printed more than");
	/* Complaints, but not the keys in them. */
	assert_process_fails(
	    &f,
	    "sh -c 'echo bad key AKIAPLANTED234567890 / wJalrXPLANTED/K7MDENG+bPxRfiCYEXAMPLEKEY "
	    "in /home/someone/file >&2; exit 1'",
	    "exit status 1: bad key (left out) / (left out) in /home/someone/file");
	assert_process_fails(
	    &f,
	    "sh -c 'echo digest 0123456789abcdef, vault hvs.PLANTED-lower_case.7, "
	    "jwt eyJPLANTED0.eyJz-dWIi.a_b~c, pin=1-2-3-4-5-PLANTED! >&2; exit 1'",
	    "exit status 1: digest (left out), vault (left out), jwt (left out), (left out)!");
	assert_process_fails(&f,
			     "sh -c 'echo no role arn:aws:iam::111122223333:role/reader at "
			     "login.example.com >&2; exit 1'",
			     "no role arn:aws:iam::111122223333:role/reader at login.example.com");
	end(&f);
}

/* It ends, with all that it started, when its time is over or ours. */
static void
test_process_ends(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "");
	assert_int_equal(run_process(&f, "sh -c 'sleep 1000 & sleep 1000'", 100), -1);
	assert_int_equal(f.err.kind, ERR_AUTH);
	assert_non_null(strstr(f.err.msg, "not done after 100 ms"));
	/* Outputs closed, and yet no end. */
	assert_int_equal(run_process(&f, "sh -c 'exec sleep 1000 >/dev/null 2>&1'", 100), -1);
	assert_non_null(strstr(f.err.msg, "ended by signal 9"));
	clock_cancel(f.clock, 15);
	assert_int_equal(run_process(&f, "sleep 1000", CRED_PROCESS_MS), -1);
	assert_int_equal(f.err.kind, ERR_CANCELLED);
	end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_none),
	    cmocka_unit_test(test_broken_is_no_reason_to_go_on),
	    cmocka_unit_test(test_renewed),
	    cmocka_unit_test(test_profile_of_its_own),
	    cmocka_unit_test(test_roles),
	    cmocka_unit_test(test_role_of_a_source),
	    cmocka_unit_test(test_bad_profiles),
	    cmocka_unit_test(test_needs_of_a_long_chain),
	    cmocka_unit_test(test_endless_chain),
	    cmocka_unit_test(test_own_keys_of_profiles),
	    cmocka_unit_test(test_endpoints_of_the_profile),
	    cmocka_unit_test(test_web_identity),
	    cmocka_unit_test(test_web_identity_of_a_profile),
	    cmocka_unit_test(test_container_hosts),
	    cmocka_unit_test(test_container_tokens),
	    cmocka_unit_test(test_container_refusals),
	    cmocka_unit_test(test_imds),
	    cmocka_unit_test(test_imds_refusals),
	    cmocka_unit_test(test_imds_elsewhere),
	    cmocka_unit_test(test_process),
	    cmocka_unit_test(test_process_fails),
	    cmocka_unit_test(test_process_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
