/* Whom credentials would go to without TLS: who is named, and who is not. */
#include "run/plain_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/cleanup.h"

static const char *const variables[] = {
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_CLOUDWATCH",
    "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
    "AWS_ENDPOINT_URL_S3",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
};

static int
clean(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(variables); i++)
		(void)unsetenv(variables[i]);
	return 0;
}

static void
set(const char *name, const char *value)
{
	assert_int_equal(setenv(name, value, 1), 0);
}

static void
assert_list(const struct config *c, const char *expected)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(4096);

	plain_http_list(c, &out);
	assert_string_equal(buf_cstr(&out), expected);
}

static void
test_names_of_aws_are_well(void **state)
{
	struct job job = {.kind = job_kind_find("metrics")};
	struct config c = {.state = "s3://b/state", .jobs = &job, .n_jobs = 1};

	(void)state;
	assert_list(&c, "");
	/* These hand credentials out: what they may be is said where they are asked. */
	set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://10.0.0.1");
	set("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://10.0.0.1/keys");
	assert_list(&c, "");
}

static void
test_endpoints_of_services_in_use(void **state)
{
	struct job jobs[] = {{.kind = job_kind_find("metrics")}, {.kind = job_kind_find("alarms")}};
	struct config c = {.state = "file:///s", .jobs = jobs, .n_jobs = ARRAY_LEN(jobs)};

	(void)state;
	set("AWS_ENDPOINT_URL_STS", "http://sts.internal:8080/path");
	assert_list(&c, "sts at sts.internal");
	set("AWS_ENDPOINT_URL_CLOUDWATCH", "http://[fd00::1]/");
	assert_list(&c, "sts at sts.internal, monitoring at fd00::1"); /* of two jobs, once */
	set("AWS_ENDPOINT_URL_CLOUDWATCH", "https://monitoring.internal");
	set("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "http://logs.internal"); /* no job asks there */
	set("AWS_ENDPOINT_URL_S3", "http://s3.internal");
	assert_list(&c, "sts at sts.internal");
	c.run.status_page = (char[]){"s3://b/page.html"};
	assert_list(&c, "sts at sts.internal, s3 at s3.internal");
	c.run.status_page = NULL;
	c.state = "s3://b/state";
	assert_list(&c, "sts at sts.internal, s3 at s3.internal");
	set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
	assert_list(&c, "");
}

static void
test_this_machine_is_no_other(void **state)
{
	static const char *const here[] = {"http://127.0.0.1:4566", "http://localhost:4566",
					   "http://[::1]:4566"};
	const struct config c = {.state = "s3://b/state"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(here); i++) {
		set("AWS_ENDPOINT_URL", here[i]);
		assert_list(&c, "");
	}
	set("AWS_ENDPOINT_URL", "http://127.example.com");
	assert_list(&c, "sts at 127.example.com, s3 at 127.example.com");
}

static void
test_services_that_only_some_need(void **state)
{
	struct job job = {.kind = job_kind_find("traces")};
	struct tenant_source sources[] = {{.kind = SOURCE_ORGANIZATION}, {.kind = SOURCE_LINKED}};
	struct sink_conf sinks[] = {
	    {.kind = SINK_OBJECTS, .name = "lake", .url = "s3://b/lake"},
	    {.name = "amp", .url = "https://amp.internal/", .sigv4_service = "aps"}};
	struct config c = {.state = "file:///s",
			   .jobs = &job,
			   .n_jobs = 1,
			   .sources = sources,
			   .n_sources = 2,
			   .sinks = sinks,
			   .n_sinks = 2};

	(void)state;
	set("AWS_ENDPOINT_URL", "http://x");
	assert_list(&c, "sts at x, logs at x, xray at x, s3 at x, organizations at x, oam at x");
}

static void
test_sinks_that_are_sent_credentials(void **state)
{
	struct conf_pair both[] = {{.key = "X-Scope-OrgID", .value = "7"},
				   {.key = "X-Api-Key", .value = "k"}};
	struct conf_pair cookie = {.key = "Cookie", .value = "k"};
	const char *unused[] = {"idle"};
	struct sink_conf s[] = {
	    {.name = "open", .url = "http://a/"},
	    {.name = "org", .url = "http://b/", .headers = {both, 1}},
	    {.name = "key", .url = "http://c/", .headers = {both, 2}},
	    {.name = "basic", .url = "http://d/", .basic_user = "u", .basic_password = "p"},
	    {.name = "bearer", .url = "http://e/", .bearer_token_file = "/t"},
	    {.name = "signed", .url = "http://f/", .sigv4_service = "aps"},
	    {.name = "here", .url = "http://127.0.0.1:9090/", .basic_user = "u"},
	    {.name = "tls", .url = "https://g/", .basic_user = "u"},
	    {.name = "lake", .url = "file:///lake", .kind = SINK_OBJECTS},
	    {.name = "cookie", .url = "http://h/", .headers = {&cookie, 1}},
	    {.name = "idle", .url = "http://i/", .basic_user = "u"},
	    {.name = "stdout", .kind = SINK_STDOUT},
	};
	const struct config c = {.state = "file:///s",
				 .sinks = s,
				 .n_sinks = ARRAY_LEN(s),
				 .unused_sinks = unused,
				 .n_unused_sinks = 1};

	(void)state;
	assert_list(&c, "sink key at c, sink basic at d, sink bearer at e, sink signed at f, "
			"sink cookie at h");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_names_of_aws_are_well, clean),
	    cmocka_unit_test_setup(test_endpoints_of_services_in_use, clean),
	    cmocka_unit_test_setup(test_this_machine_is_no_other, clean),
	    cmocka_unit_test_setup(test_services_that_only_some_need, clean),
	    cmocka_unit_test_setup(test_sinks_that_are_sent_credentials, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
