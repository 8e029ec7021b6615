/* Endpoints: names by service, region and partition, and what the environment changes. */
#include "aws/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "aws/profile.h"
#include "base/cleanup.h"
#include "tests/support/data.h"

static const char *const variables[] = {
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_PROFILE",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_CLOUDWATCH",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
};

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
assert_url(const char *service, const char *region, const char *expected)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(1000);
	struct err err = {0};

	if (endpoint_url(service, region, &out, &err) < 0)
		fail_msg("%s %s: %s", service, region, err.msg);
	assert_string_equal(buf_cstr(&out), expected);
}

static void
assert_no_url(const char *service, const char *region)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(1000);
	struct err err = {0};

	assert_int_equal(endpoint_url(service, region, &out, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
}

static void
test_names(void **state)
{
	(void)state;
	assert_url("sts", "eu-west-1", "https://sts.eu-west-1.amazonaws.com");
	assert_url("s3", "cn-north-1", "https://s3.cn-north-1.amazonaws.com.cn");
	assert_url("aps", "eu-central-1", "https://aps.eu-central-1.amazonaws.com");
	assert_url("oam", "eusc-de-east-1", "https://oam.eusc-de-east-1.amazonaws.eu");
	assert_url("organizations", "eu-west-1", "https://organizations.us-east-1.amazonaws.com");
	set("AWS_USE_FIPS_ENDPOINT", "true");
	assert_url("monitoring", "us-east-1", "https://monitoring-fips.us-east-1.amazonaws.com");
	assert_url("s3", "us-east-1", "https://s3-fips.us-east-1.amazonaws.com");
	set("AWS_USE_DUALSTACK_ENDPOINT", "TRUE");
	assert_url("s3", "us-east-1", "https://s3-fips.dualstack.us-east-1.amazonaws.com");
	assert_no_url("logs", "us-iso-east-1");
	assert_no_url("s3", "cn-north-1");
}

static void
test_overrides(void **state)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(1000);

	(void)state;
	assert_int_equal(endpoint_override("sts", &out, NULL), 0);
	assert_int_equal(out.n, 0);
	set("AWS_ENDPOINT_URL", "http://127.0.0.1:4566/");
	set("AWS_ENDPOINT_URL_STS", "https://sts.example.com/prefix//");
	set("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "https://logs.example.com");
	set("AWS_ENDPOINT_URL_CLOUDWATCH", ""); /* empty counts as unset */
	assert_url("sts", "eu-west-1", "https://sts.example.com/prefix");
	assert_url("logs", "eu-west-1", "https://logs.example.com");
	assert_url("monitoring", "eu-west-1", "http://127.0.0.1:4566");
	/* The region does not matter then. */
	assert_url("s3", "anything", "http://127.0.0.1:4566");
	assert_int_equal(endpoint_override("s3", &out, NULL), 0);
	assert_string_equal(buf_cstr(&out), "http://127.0.0.1:4566");
	set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
	assert_url("sts", "eu-west-1", "https://sts.eu-west-1.amazonaws.com");
	set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false");
	set("AWS_USE_FIPS_ENDPOINT", "true");
	assert_no_url("sts", "eu-west-1");
	(void)unsetenv("AWS_USE_FIPS_ENDPOINT");
	set("AWS_USE_DUALSTACK_ENDPOINT", "true");
	assert_no_url("s3", "eu-west-1");
}

/* One place after the other: for the service before for all, the environment before the profile. */
static void
test_overrides_of_a_profile(void **state)
{
	char file[] = "/tmp/muster-endpoint-XXXXXX";
	int fd = mkstemp(file);
	struct err err = {0};
	FILE *f = fdopen(fd, "w");

	(void)state;
	assert_non_null(f);
	assert_true(fputs("[profile a]\nendpoint_url = http://all.profile\nservices = s\n"
			  "[services s]\ncloudwatch_logs =\n  endpoint_url = http://logs.profile/\n"
			  "[profile b]\nuse_fips_endpoint = true\nuse_dualstack_endpoint = true\n"
			  "[profile c]\nignore_configured_endpoint_urls = true\n"
			  "endpoint_url = http://all.profile\n",
			  f) >= 0);
	assert_int_equal(fclose(f), 0);
	set("AWS_CONFIG_FILE", file);
	set("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
	assert_int_equal(settings_load(&err), 0);
	assert_url("logs", "eu-west-1", "https://logs.eu-west-1.amazonaws.com");
	set("AWS_PROFILE", "a");
	assert_url("sts", "eu-west-1", "http://all.profile");
	assert_url("logs", "eu-west-1", "http://logs.profile");
	set("AWS_ENDPOINT_URL", "http://all.environment");
	assert_url("logs", "eu-west-1", "http://all.environment");
	set("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "http://logs.environment");
	assert_url("logs", "eu-west-1", "http://logs.environment");
	assert_url("sts", "eu-west-1", "http://all.environment");
	set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
	assert_url("logs", "eu-west-1", "https://logs.eu-west-1.amazonaws.com");
	(void)unsetenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
	set("AWS_PROFILE", "c");
	assert_url("logs", "eu-west-1", "https://logs.eu-west-1.amazonaws.com");
	(void)unsetenv("AWS_ENDPOINT_URL");
	(void)unsetenv("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS");
	set("AWS_PROFILE", "b");
	assert_url("sts", "us-east-1", "https://sts-fips.us-east-1.api.aws");
	set("AWS_USE_FIPS_ENDPOINT", "false");
	assert_url("sts", "us-east-1", "https://sts.us-east-1.api.aws");
	assert_int_equal(remove(file), 0);
}

static void
test_bad_overrides(void **state)
{
	static const char *const urls[] = {"sts.example.com", "ftp://x/",     "https://u:p@x/",
					   "https://x/?a=b",  "https://x y/", "https://a%2eb/"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		set("AWS_ENDPOINT_URL_STS", urls[i]);
		assert_no_url("sts", "eu-west-1");
	}
}

static void
test_regions(void **state)
{
	static const char *const good[] = {"us-east-1",	    "ap-southeast-12", "us-gov-west-1",
					   "us-iso-east-1", "eusc-de-east-1",  "cn-northwest-1"};
	static const char *const bad[] = {
	    "",		  "us",		 "us-1",       "us-east",    "us-east-",
	    "us-east1",	  "US-east-1",	 "u-east-1",   "us--east-1", "us-east-1a",
	    "us-east-1 ", "us-east-1/x", "aws-global", "-us-e-1",    "us-east-1.evil.com"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(region_valid(sv_of(good[i])));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_false(region_valid(sv_of(bad[i])));
		assert_no_url("sts", bad[i]);
	}
	assert_string_equal(endpoint_partition("us-gov-west-1"), "aws-us-gov");
	assert_string_equal(endpoint_partition("us-isob-east-1"), "aws-iso-b");
	assert_string_equal(endpoint_partition("xx-new-1"), "aws");
}

/* Not all of a rule set: no names that stand for no region (aws-global), no old global host of STS,
 * no buckets (s3_test has the ordinary ones), none of S3's special kinds of them. */
static bool
applies(const json_t *params)
{
	static const char *const other[] = {"Bucket",
					    "Accelerate",
					    "UseGlobalEndpoint",
					    "UseS3Express",
					    "UseObjectLambdaEndpoint",
					    "ForcePathStyle",
					    "UseArnRegion",
					    "DisableAccessPoints"};
	const char *region = data_str(params, "Region");

	if (strstr(region, "global"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(other); i++)
		if (json_is_string(json_object_get(params, other[i])) ||
		    json_is_true(json_object_get(params, other[i])))
			return false;
	return true;
}

static void
check_case(const char *service, const json_t *j)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(1000);
	const json_t *params = json_object_get(j, "params");
	const char *url =
	    data_str(json_object_get(json_object_get(j, "expect"), "endpoint"), "url");
	const char *own = data_str(params, "Endpoint");
	struct err err = {0};
	int r;

	(void)clean(NULL);
	if (*own)
		set("AWS_ENDPOINT_URL", own);
	if (json_is_true(json_object_get(params, "UseFIPS")))
		set("AWS_USE_FIPS_ENDPOINT", "true");
	if (json_is_true(json_object_get(params, "UseDualStack")))
		set("AWS_USE_DUALSTACK_ENDPOINT", "true");
	r = endpoint_url(service, data_str(params, "Region"), &out, &err);
	if ((r == 0) != (*url != '\0') || (r == 0 && strcmp(buf_cstr(&out), url) != 0))
		fail_msg("%s: %s: \"%s\" instead of \"%s\"", service, data_str(j, "documentation"),
			 r == 0 ? buf_cstr(&out) : err.msg, url);
}

static int
check_file(const char *service)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	char path[64];
	const json_t *j;
	int n = 0;
	size_t i;

	(void)snprintf(path, sizeof(path), "endpoints/%s.json", service);
	doc = data_json(path);
	json_array_foreach(json_object_get(doc, "testCases"), i, j)
	{
		if (!applies(json_object_get(j, "params")))
			continue;
		check_case(service, j);
		n++;
	}
	return n;
}

static void
test_rule_sets(void **state)
{
	static const char *const services[] = {"sts",  "monitoring",	"logs", "ecs",
					       "xray", "organizations", "s3"};
	int n = 0;

	(void)state;
	data_or_skip();
	for (size_t i = 0; i < ARRAY_LEN(services); i++)
		n += check_file(services[i]);
	print_message("%d endpoint cases\n", n);
	assert_true(n >= 152);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_names, clean, clean),
	    cmocka_unit_test_setup_teardown(test_overrides, clean, clean),
	    cmocka_unit_test_setup_teardown(test_overrides_of_a_profile, clean, clean),
	    cmocka_unit_test_setup_teardown(test_bad_overrides, clean, clean),
	    cmocka_unit_test_setup_teardown(test_regions, clean, clean),
	    cmocka_unit_test_setup_teardown(test_rule_sets, clean, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
