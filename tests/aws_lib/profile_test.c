/* Profiles of the shared files: which one a name means, and which of several values counts. */
#include "aws/profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"

static struct profiles *
parse(const char *config, const char *credentials)
{
	struct profiles *p = NULL;
	struct err err = {0};

	if (profiles_parse(sv_of(config), sv_of(credentials), &p, &err))
		fail_msg("%s", err.msg);
	return p;
}

static void
assert_value(const struct profiles *p, const char *profile, const char *key, const char *expected)
{
	const char *v = profiles_get(p, profile, key, PROFILE_EITHER);

	assert_string_equal(v ? v : "(none)", expected);
}

static void
test_sections(void **state)
{
	struct profiles *p =
	    parse("[default]\nk = 0\n[profile a]\nk = 1\n[b]\nk = 2\n"
		  "[profile \"c d\"]\nk = 3\n[profile e f]\nk = 4\n[ profile  g ]\n"
		  "k = 5\n[profileh]\nk = 6\n[sso-session i]\nk = 7\n[preview]\n"
		  "k = 8\n[profile 'x]\nk = 9\n",
		  "[a]\nl = 10\n[profile j]\nk = 11\n[empty]\n");

	(void)state;
	assert_value(p, "default", "k", "0");
	assert_value(p, "a", "k", "1");
	assert_value(p, "a", "l", "10");
	assert_false(profiles_have(p, "b"));
	assert_value(p, "c d", "k", "3");
	assert_false(profiles_have(p, "e"));
	assert_false(profiles_have(p, "e f"));
	assert_value(p, "g", "k", "5");
	assert_false(profiles_have(p, "h"));
	assert_false(profiles_have(p, "i"));
	assert_false(profiles_have(p, "preview"));
	assert_false(profiles_have(p, "j"));
	assert_true(profiles_have(p, "profile j")); /* the credentials file has no prefix */
	assert_true(profiles_have(p, "empty"));
	assert_false(profiles_have(p, "A"));
	profiles_free(p);
	profiles_free(NULL);
}

static void
test_precedence(void **state)
{
	struct profiles *p = parse("[profile a]\nK = 1\nk2 = 2\n[profile a]\nk = 3\nempty =\n",
				   "[a]\nk2 = 4\nk3 = 5\n");

	(void)state;
	assert_value(p, "a", "k", "3");	 /* later goes before earlier */
	assert_value(p, "a", "k2", "4"); /* credentials before config */
	assert_value(p, "a", "k3", "5");
	assert_value(p, "a", "empty", "(none)");
	assert_string_equal(profiles_get(p, "a", "k2", PROFILE_CONFIG), "2");
	assert_null(profiles_get(p, "a", "k3", PROFILE_CONFIG));
	assert_null(profiles_get(p, "a", "k", PROFILE_CREDENTIALS));
	profiles_free(p);
}

static void
test_default_twice(void **state)
{
	struct profiles *p =
	    parse("[profile default]\nk = 1\n[default]\nk = 2\nl = 3\n", "[default]\nm = 4\n");

	(void)state;
	assert_value(p, "default", "k", "1");
	assert_value(p, "default", "l", "(none)");
	assert_value(p, "default", "m", "4");
	profiles_free(p);
}

static void
test_services(void **state)
{
	struct profiles *p = parse("[profile a]\nservices = mine\nendpoint_url = http://all\n"
				   "[services mine]\nsts =\n  endpoint_url = http://sts\n"
				   "cloudwatch_logs =\n  Endpoint_URL = http://logs\n"
				   "[profile b]\nservices = none\n[profile c]\n",
				   "");

	(void)state;
	assert_string_equal(profiles_get_service(p, "a", "sts", "endpoint_url"), "http://sts");
	assert_string_equal(profiles_get_service(p, "a", "cloudwatch_logs", "endpoint_url"),
			    "http://logs");
	assert_null(profiles_get_service(p, "a", "s3", "endpoint_url"));
	assert_null(profiles_get_service(p, "b", "sts", "endpoint_url"));
	assert_null(profiles_get_service(p, "c", "sts", "endpoint_url"));
	profiles_free(p);
}

/* ---- files and the environment ---- */

static const char *const variables[] = {"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
					"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_X"};

static int
clean(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(variables); i++)
		(void)unsetenv(variables[i]);
	settings_done();
	return 0;
}

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

static void
test_files(void **state)
{
	char home[] = "/tmp/muster-profile-XXXXXX", aws[64], config[80], credentials[80];
	char *before = getenv("HOME") ? strdup(getenv("HOME")) : NULL;
	struct err err = {0};

	(void)state;
	assert_non_null(mkdtemp(home));
	set("HOME", home);
	(void)snprintf(aws, sizeof(aws), "%s/.aws", home);
	(void)snprintf(config, sizeof(config), "%s/config", aws);
	(void)snprintf(credentials, sizeof(credentials), "%s/credentials", aws);
	/* Nothing there is nothing configured. */
	assert_int_equal(settings_load(&err), 0);
	assert_false(profiles_have(settings_profiles(), "default"));
	assert_non_null(strstr(profiles_files(settings_profiles()), credentials));
	assert_int_equal(mkdir(aws, 0700), 0);
	write_file(config, "[default]\nx = config\n");
	write_file(credentials, "[default]\ny = credentials\n[a]\nx = a\n");
	assert_int_equal(settings_load(&err), 0);
	assert_string_equal(settings_get("AWS_X", "x"), "config");
	assert_string_equal(settings_get("AWS_X", "y"), "credentials");
	assert_null(settings_get("AWS_X", "z"));
	assert_null(settings_get("AWS_X", NULL));
	set("AWS_X", "");
	assert_string_equal(settings_get("AWS_X", "x"), "config");
	set("AWS_X", "variable");
	assert_string_equal(settings_get("AWS_X", "x"), "variable");
	(void)unsetenv("AWS_X");
	set("AWS_DEFAULT_PROFILE", "a");
	assert_string_equal(settings_get("AWS_X", "x"), "a");
	set("AWS_PROFILE", "default");
	assert_string_equal(settings_get("AWS_X", "x"), "config");
	settings_done();
	assert_null(settings_get("AWS_X", "x"));
	/* Other places. */
	set("AWS_CONFIG_FILE", "~/.aws/credentials");
	set("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
	set("AWS_PROFILE", "default");
	assert_int_equal(settings_load(&err), 0);
	assert_string_equal(settings_get("AWS_X", "y"), "credentials");
	/* A fault names file and line, and not what stands there. */
	write_file(credentials, "[default]\nAKIDSECRET\n");
	assert_int_equal(settings_load(&err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_non_null(strstr(err.msg, "/.aws/credentials:2: expected key = value"));
	assert_null(strstr(err.msg, "AKID"));
	set("AWS_CONFIG_FILE", aws); /* a folder */
	assert_int_equal(settings_load(&err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_int_equal(unlink(config) + unlink(credentials) + rmdir(aws) + rmdir(home), 0);
	if (before)
		set("HOME", before);
	free(before);
}

static void
test_true(void **state)
{
	(void)state;
	assert_false(settings_true("AWS_X", NULL));
	set("AWS_X", "TRUE");
	assert_true(settings_true("AWS_X", NULL));
	set("AWS_X", "1");
	assert_false(settings_true("AWS_X", NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sections),
	    cmocka_unit_test(test_precedence),
	    cmocka_unit_test(test_default_twice),
	    cmocka_unit_test(test_services),
	    cmocka_unit_test_setup_teardown(test_files, clean, clean),
	    cmocka_unit_test_setup_teardown(test_true, clean, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
