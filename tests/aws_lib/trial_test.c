/* What is read from a refusal: is it one of a policy, and what does it name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "aws/trial.h"

static struct err
refusal(const char *code, const char *msg)
{
	struct err err = {.kind = ERR_AUTH, .http_status = 403};

	(void)snprintf(err.code, sizeof(err.code), "%s", code);
	(void)snprintf(err.msg, sizeof(err.msg), "%s", msg);
	return err;
}

#define USER                                                                                       \
	"User: arn:aws:sts::111122223333:assumed-role/muster-reader/s is not authorized to "       \
	"perform: "

static void
names_action_and_resource(void **state)
{
	static const struct {
		const char *msg, *action, *resource;
	} rows[] = {
	    {USER "logs:StartQuery on resource: "
		  "arn:aws:logs:eu-west-1:111122223333:log-group:/a/b:log-stream: "
		  "because no identity-based policy allows the logs:StartQuery action",
	     "logs:StartQuery", "arn:aws:logs:eu-west-1:111122223333:log-group:/a/b:log-stream:"},
	    {USER "s3:PutObject on resource: \"arn:aws:s3:::b/k\" because", "s3:PutObject",
	     "arn:aws:s3:::b/k"},
	    {USER "kms:Decrypt on this resource because", "kms:Decrypt", ""},
	    {USER "cloudwatch:ListMetrics because no", "cloudwatch:ListMetrics", ""},
	    {USER "cloudwatch:ListMetrics", "cloudwatch:ListMetrics", ""},
	    {USER "sts:AssumeRole on resource: *, because", "sts:AssumeRole", ""},
	    {USER "cloudwatch:ListMetrics</Message><Type>", "cloudwatch:ListMetrics", ""},
	    /* Cut off within the ARN. */
	    {USER "s3:GetObject on resource: arn:aws:s3:::buck", "s3:GetObject", ""},
	};
	char action[TRIAL_ACTION_MAX], resource[TRIAL_RESOURCE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = refusal("AccessDenied", rows[i].msg);

		assert_true(trial_denied_what(&err, action, resource));
		assert_string_equal(action, rows[i].action);
		assert_string_equal(resource, rows[i].resource);
	}
}

static void
names_nothing(void **state)
{
	static const char *const messages[] = {"", "Access Denied", "not authorized to perform: ",
					       "not authorized to perform: something"};
	char action[TRIAL_ACTION_MAX], resource[TRIAL_RESOURCE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		struct err err = refusal("AccessDenied", messages[i]);

		assert_false(trial_denied_what(&err, action, resource));
	}
}

static void
is_a_refusal_of_a_policy(void **state)
{
	struct err none = {0}, throttled = {.kind = ERR_THROTTLED, .http_status = 400};
	struct err err;

	(void)state;
	err = refusal("AccessDenied", "");
	assert_true(trial_denied(&err));
	err = refusal("AccessDeniedException", "");
	assert_true(trial_denied(&err));
	err = refusal("UnauthorizedOperation", "");
	assert_true(trial_denied(&err));
	err = refusal("", "403: {\"message\":...}");
	assert_true(trial_denied(&err));
	/* No statement helps against these. */
	err = refusal("InvalidClientTokenId", "");
	assert_false(trial_denied(&err));
	err = refusal("SignatureDoesNotMatch", "");
	assert_false(trial_denied(&err));
	assert_false(trial_denied(&throttled));
	assert_false(trial_denied(&none));
}

static void
explicit_denies_are_told_apart(void **state)
{
	struct err err =
	    refusal("AccessDenied", USER "x:Y with an explicit deny in a service control policy");

	(void)state;
	assert_true(trial_denied_explicitly(&err));
	err = refusal("AccessDenied", USER "x:Y because no identity-based policy allows it");
	assert_false(trial_denied_explicitly(&err));
}

static void
writes_the_statement(void **state)
{
	struct buf out = BUF_INIT(4096);

	(void)state;
	trial_statement("s3:PutObject", "[\"a\",\"b\"]", &out);
	assert_string_equal(
	    buf_cstr(&out),
	    "{\"Effect\":\"Allow\",\"Action\":\"s3:PutObject\",\"Resource\":[\"a\",\"b\"]}");
	buf_reset(&out);
	trial_statement("x:Y", NULL, &out);
	assert_string_equal(buf_cstr(&out),
			    "{\"Effect\":\"Allow\",\"Action\":\"x:Y\",\"Resource\":\"*\"}");
	buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_action_and_resource),
	    cmocka_unit_test(names_nothing),
	    cmocka_unit_test(is_a_refusal_of_a_policy),
	    cmocka_unit_test(explicit_denies_are_told_apart),
	    cmocka_unit_test(writes_the_statement),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
