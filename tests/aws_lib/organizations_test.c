/* Organizations and OAM: what is sent, and how answers are read, also recorded and damaged ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "aws/endpoint.h"
#include "aws/oam.h"
#include "aws/organizations.h"
#include "base/cleanup.h"
#include "../support/data.h"

static void
expect_call(const struct aws_call *call, const char *operation, const char *body)
{
	assert_string_equal(call->operation, operation);
	assert_string_equal(buf_cstr(&call->body), body);
}

static void
test_organization_requests(void **state)
{
	struct aws_call call;

	(void)state;
	aws_call_init(&call, 65536);
	assert_int_equal(org_accounts_call(NULL, NULL, &call, NULL), 0);
	expect_call(&call, "ListAccounts", "{\"MaxResults\":20}");
	assert_string_equal(call.service, "organizations");
	assert_string_equal(call.target, "AWSOrganizationsV20161128.ListAccounts");
	aws_call_reset(&call);
	assert_int_equal(org_accounts_call(NULL, "a\"b", &call, NULL), 0);
	expect_call(&call, "ListAccounts", "{\"MaxResults\":20,\"NextToken\":\"a\\\"b\"}");
	aws_call_reset(&call);
	assert_int_equal(org_accounts_call("ou-1", "t", &call, NULL), 0);
	expect_call(&call, "ListAccountsForParent",
		    "{\"ParentId\":\"ou-1\",\"MaxResults\":20,\"NextToken\":\"t\"}");
	aws_call_reset(&call);
	assert_int_equal(org_units_call("r-1", NULL, &call, NULL), 0);
	expect_call(&call, "ListOrganizationalUnitsForParent",
		    "{\"ParentId\":\"r-1\",\"MaxResults\":20}");
	aws_call_reset(&call);
	/* Tags have no MaxResults. */
	assert_int_equal(org_tags_call("111122223333", "t", &call, NULL), 0);
	expect_call(&call, "ListTagsForResource",
		    "{\"ResourceId\":\"111122223333\",\"NextToken\":\"t\"}");
	aws_call_done(&call);
}

/* Where it is signed for is not where the run is. */
static void
test_global_region(void **state)
{
	(void)state;
	assert_string_equal(endpoint_global_region("ap-southeast-2"), "us-east-1");
	assert_string_equal(endpoint_global_region("cn-north-1"), "cn-northwest-1");
	assert_string_equal(endpoint_global_region("us-gov-east-1"), "us-gov-west-1");
}

static void
test_accounts(void **state)
{
	static const char body[] =
	    "{\"Accounts\":["
	    "{\"Id\":\"111111111111\",\"Name\":\"A\",\"State\":\"ACTIVE\",\"Status\":\"SUSPENDED\","
	    "\"Paths\":[\"o-x/r-1/ou-1/111111111111/\"],\"Email\":\"a@example.com\"},"
	    "{\"Id\":\"222222222222\",\"Name\":\"B\",\"Status\":\"ACTIVE\"},"
	    "{\"Id\":\"333333333333\",\"State\":\"PENDING_CLOSURE\",\"Status\":\"ACTIVE\"},"
	    "{\"Id\":\"444444444444\",\"Name\":\"D\",\"Status\":\"SUSPENDED\"},"
	    "{\"Id\":\"555555555555\",\"Name\":\"E\",\"State\":\"SOMETHING_NEW\"}"
	    "],\"NextToken\":\"more\"}";
	static const bool active[] = {true, true, false, false, false};
	struct arena a = ARENA_INIT(65536);
	struct org_accounts page;

	(void)state;
	assert_int_equal(org_accounts_read(SV(body), &a, &page, NULL), 0);
	assert_int_equal(page.n, 5);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(page.v[i].active, active[i]);
	assert_string_equal(page.v[0].name, "A");
	assert_int_equal(page.v[0].n_paths, 1);
	assert_string_equal(page.v[0].paths[0], "o-x/r-1/ou-1/111111111111/");
	assert_int_equal(page.v[1].n_paths, 0);
	assert_string_equal(page.v[2].name, "");
	assert_string_equal(page.token, "more");
	/* An empty page may go on. */
	assert_int_equal(
	    org_accounts_read(SV("{\"Accounts\":[],\"NextToken\":\"x\"}"), &a, &page, NULL), 0);
	assert_int_equal(page.n, 0);
	assert_string_equal(page.token, "x");
	assert_int_equal(org_accounts_read(SV("{\"Accounts\":[]}"), &a, &page, NULL), 0);
	assert_null(page.token);
	arena_done(&a);
}

static void
test_bad_answers(void **state)
{
	static const char *const accounts[] = {
	    "",
	    "[]",
	    "{}",
	    "{\"Accounts\":{}}",
	    "{\"Accounts\":[1]}",
	    "{\"Accounts\":[{\"Name\":\"A\",\"State\":\"ACTIVE\"}]}",
	    "{\"Accounts\":[{\"Id\":\"111111111111\"}]}",
	    "{\"Accounts\":[{\"Id\":\"../../etc\",\"State\":\"ACTIVE\"}]}",
	    "{\"Accounts\":[{\"Id\":\"1111111111111\",\"State\":\"ACTIVE\"}]}",
	    "{\"Accounts\":[{\"Id\":\"111111111111\",\"State\":\"ACTIVE\",\"Paths\":[7]}]}",
	    "{\"Accounts\":[],\"NextToken\":7}",
	};
	static const char *const links[] = {
	    "{}",
	    "{\"Items\":[{\"Label\":\"a\",\"ResourceTypes\":[]}]}",
	    "{\"Items\":[{\"LinkArn\":\"arn:aws:oam:r:12:link/x\",\"ResourceTypes\":[]}]}",
	    "{\"Items\":[{\"LinkArn\":\"no arn\",\"ResourceTypes\":[]}]}",
	    "{\"Items\":[{\"LinkArn\":\"arn:aws:oam:r:111122223333:link/x\"}]}",
	};
	struct arena a = ARENA_INIT(65536);
	struct org_accounts page;
	struct oam_links attached;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(accounts); i++) {
		assert_int_equal(org_accounts_read(sv_of(accounts[i]), &a, &page, &err), -1);
		assert_int_equal(err.kind, ERR_DATA);
	}
	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		assert_int_equal(oam_links_read(sv_of(links[i]), &a, &attached, &err), -1);
		assert_int_equal(err.kind, ERR_DATA);
	}
	arena_done(&a);
}

static void
test_units_and_tags(void **state)
{
	struct arena a = ARENA_INIT(65536);
	struct org_units units;
	struct org_tags tags;

	(void)state;
	assert_int_equal(org_units_read(SV("{\"OrganizationalUnits\":[{\"Id\":\"ou-1\"},"
					   "{\"Id\":\"ou-2\",\"Name\":\"x\"}]}"),
					&a, &units, NULL),
			 0);
	assert_int_equal(units.n, 2);
	assert_string_equal(units.v[1], "ou-2");
	assert_null(units.token);
	assert_int_equal(org_tags_read(SV("{\"Tags\":[{\"Key\":\"tier\",\"Value\":\"gold\"},"
					  "{\"Key\":\"empty\",\"Value\":\"\"}]}"),
				       &a, &tags, NULL),
			 0);
	assert_int_equal(tags.n, 2);
	assert_string_equal(tags.v[0].key, "tier");
	assert_string_equal(tags.v[0].value, "gold");
	assert_string_equal(tags.v[1].value, "");
	assert_int_equal(org_tags_read(SV("{\"Tags\":[{\"Key\":\"x\"}]}"), &a, &tags, NULL), -1);
	arena_done(&a);
}

static void
test_recorded(void **state)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(1 << 20);
	struct arena a = ARENA_INIT(1 << 20);
	struct org_accounts page;

	(void)state;
	data_or_skip();
	data_read("aws/recorded/organizations.ListAccounts/ex-ListAccounts__1/body.json", &body);
	assert_int_equal(org_accounts_read(buf_view(&body), &a, &page, NULL), 0);
	assert_int_equal(page.n, 4);
	assert_string_equal(page.v[1].id, "222222222222");
	assert_string_equal(page.v[1].name, "Developer Account");
	assert_true(page.v[1].active);
	arena_done(&a);
}

static void
test_links(void **state)
{
	static const char body[] =
	    "{\"Items\":["
	    "{\"Label\":\"Acme\",\"LinkArn\":\"arn:aws:oam:eu-west-1:111122223333:link/a-b\","
	    "\"ResourceTypes\":[\"AWS::CloudWatch::Metric\",\"AWS::XRay::Trace\"]},"
	    "{\"LinkArn\":\"arn:aws:oam:eu-west-1:444455556666:link/c\","
	    "\"ResourceTypes\":[\"AWS::Logs::LogGroup\"]}],\"NextToken\":\"t\"}";
	struct arena a = ARENA_INIT(65536);
	struct aws_call call;
	struct oam_links links;
	struct oam_sinks sinks;

	(void)state;
	aws_call_init(&call, 65536);
	assert_int_equal(oam_sinks_call(NULL, &call, NULL), 0);
	expect_call(&call, "ListSinks", "{\"MaxResults\":100}");
	assert_string_equal(call.path, "/ListSinks");
	assert_null(call.target);
	aws_call_reset(&call);
	assert_int_equal(oam_links_call("arn:x", "t", &call, NULL), 0);
	expect_call(&call, "ListAttachedLinks",
		    "{\"SinkIdentifier\":\"arn:x\",\"MaxResults\":1000,\"NextToken\":\"t\"}");
	aws_call_done(&call);

	assert_int_equal(oam_links_read(SV(body), &a, &links, NULL), 0);
	assert_int_equal(links.n, 2);
	assert_string_equal(links.v[0].account, "111122223333");
	assert_string_equal(links.v[0].label, "Acme");
	assert_true(links.v[0].metrics && !links.v[0].logs);
	assert_string_equal(links.v[1].label, "");
	assert_true(!links.v[1].metrics && links.v[1].logs);
	assert_string_equal(links.token, "t");
	assert_int_equal(
	    oam_sinks_read(SV("{\"Items\":[{\"Arn\":\"arn:s\",\"Id\":\"s\"}]}"), &a, &sinks, NULL),
	    0);
	assert_int_equal(sinks.n, 1);
	assert_string_equal(sinks.arns[0], "arn:s");
	arena_done(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_organization_requests),
	    cmocka_unit_test(test_global_region),
	    cmocka_unit_test(test_accounts),
	    cmocka_unit_test(test_bad_answers),
	    cmocka_unit_test(test_units_and_tags),
	    cmocka_unit_test(test_recorded),
	    cmocka_unit_test(test_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
