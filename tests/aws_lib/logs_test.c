/* CloudWatch Logs: what is sent, and how answers are read, also recorded and damaged ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "aws/logs.h"
#include "base/cleanup.h"
#include "../support/data.h"

static void
test_requests(void **state)
{
	static const char *const groups[] = {"/a", "/b\"c"};
	const struct logs_start_req q = {.groups = groups,
					 .n_groups = 2,
					 .query = "fields a",
					 .start_s = 1,
					 .end_s = 2,
					 .limit = 7};
	const struct logs_start_req source = {.query = "SOURCE x", .start_s = 1, .end_s = 2};
	struct aws_call call;

	(void)state;
	aws_call_init(&call, 65536);
	assert_int_equal(logs_start_call(&q, &call, NULL), 0);
	assert_string_equal(buf_cstr(&call.body),
			    "{\"startTime\":1,\"endTime\":2,\"logGroupNames\":[\"/a\",\"/b\\\"c\"],"
			    "\"queryString\":\"fields a\",\"limit\":7}");
	assert_string_equal(call.target, "Logs_20140328.StartQuery");
	assert_true(call.once);
	assert_string_equal(call.service, "logs");
	aws_call_reset(&call);
	assert_int_equal(logs_start_call(&source, &call, NULL), 0);
	assert_string_equal(buf_cstr(&call.body),
			    "{\"startTime\":1,\"endTime\":2,\"queryString\":\"SOURCE x\"}");
	aws_call_reset(&call);
	assert_int_equal(logs_queries_call("t", &call, NULL), 0);
	assert_string_equal(buf_cstr(&call.body), "{\"maxResults\":100,\"nextToken\":\"t\"}");
	assert_true(call.optional && !call.once);
	aws_call_reset(&call);
	assert_int_equal(logs_results_call("q", 0, NULL, &call, NULL), 0);
	assert_string_equal(buf_cstr(&call.body), "{\"queryId\":\"q\"}");
	aws_call_reset(&call);
	assert_int_equal(logs_results_call("q", 10000, "t", &call, NULL), 0);
	assert_string_equal(buf_cstr(&call.body),
			    "{\"queryId\":\"q\",\"maxItems\":10000,\"nextToken\":\"t\"}");
	aws_call_reset(&call);
	assert_int_equal(logs_stop_call("q", &call, NULL), 0);
	assert_string_equal(call.operation, "StopQuery");
	aws_call_reset(&call);
	assert_int_equal(logs_groups_call("", NULL, NULL, &call, NULL), 0);
	assert_string_equal(buf_cstr(&call.body), "{\"limit\":50}");
	aws_call_reset(&call);
	assert_int_equal(logs_groups_call("/ecs/", NULL, "t", &call, NULL), 0);
	assert_string_equal(buf_cstr(&call.body), "{\"limit\":50,\"logGroupNamePrefix\":\"/ecs/\","
						  "\"nextToken\":\"t\"}");
	aws_call_done(&call);
}

/* Another account's groups are listed by its number, and asked by their ARNs. */
static void
test_linked_requests(void **state)
{
	static const char *const groups[] = {"/a", "/b"};
	const struct logs_start_req q = {.groups = groups,
					 .n_groups = 2,
					 .arn = "arn:aws:logs:eu-west-1:111122223333:log-group:",
					 .query = "fields a",
					 .start_s = 1,
					 .end_s = 2};
	struct aws_call call;

	(void)state;
	aws_call_init(&call, 65536);
	assert_int_equal(logs_groups_call("/a", "111122223333", NULL, &call, NULL), 0);
	assert_string_equal(buf_cstr(&call.body), "{\"limit\":50,\"logGroupNamePrefix\":\"/a\","
						  "\"includeLinkedAccounts\":true,"
						  "\"accountIdentifiers\":[\"111122223333\"]}");
	aws_call_reset(&call);
	assert_int_equal(logs_start_call(&q, &call, NULL), 0);
	assert_string_equal(buf_cstr(&call.body),
			    "{\"startTime\":1,\"endTime\":2,\"logGroupIdentifiers\":["
			    "\"arn:aws:logs:eu-west-1:111122223333:log-group:/a\","
			    "\"arn:aws:logs:eu-west-1:111122223333:log-group:/b\"],"
			    "\"queryString\":\"fields a\"}");
	aws_call_done(&call);
}

static void
test_queries(void **state)
{
	static const char *const broken[] = {"{\"queries\":[{\"queryId\":1}]}",
					     "{\"queries\":[{\"status\":\"Complete\"}]}",
					     "{\"queries\":7}", "[]", ""};
	struct arena a = ARENA_INIT(65536);
	struct logs_queries_page page;
	struct err err;

	(void)state;
	assert_int_equal(
	    logs_queries_read(SV("{\"queries\":[{\"queryId\":\"q1\",\"queryString\":\"a\\nb\","
				 "\"status\":\"Scheduled\",\"createTime\":1},{\"queryId\":\"q2\","
				 "\"status\":\"Paused\"}],\"nextToken\":\"t\"}"),
			      &a, &page, &err),
	    0);
	assert_int_equal(page.n, 2);
	assert_string_equal(page.queries[0].id, "q1");
	assert_string_equal(page.queries[0].text, "a\nb");
	assert_int_equal(page.queries[0].status, LOGS_SCHEDULED);
	assert_string_equal(page.queries[1].text, "");
	assert_int_equal(page.queries[1].status, LOGS_UNKNOWN);
	assert_string_equal(page.token, "t");
	assert_int_equal(logs_queries_read(SV("{}"), &a, &page, &err), -1);
	assert_int_equal(err.kind, ERR_DATA); /* an answer to something else */
	assert_int_equal(logs_queries_read(SV("{\"queries\":[]}"), &a, &page, &err), 0);
	assert_int_equal(page.n, 0);
	assert_null(page.token);
	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		assert_int_equal(logs_queries_read(sv_of(broken[i]), &a, &page, &err), -1);
		assert_int_equal(err.kind, ERR_DATA);
	}
	arena_done(&a);
}

static void
test_groups(void **state)
{
	struct arena a = ARENA_INIT(65536);
	struct logs_groups_page page;
	struct err err;

	(void)state;
	assert_int_equal(
	    logs_groups_read(SV("{\"logGroups\":[{\"logGroupName\":\"/a\",\"creationTime\":5,"
				"\"retentionInDays\":3,\"logGroupClass\":\"INFREQUENT_ACCESS\"},"
				"{\"logGroupName\":\"/b\"}],\"nextToken\":\"t\"}"),
			     &a, &page, &err),
	    0);
	assert_int_equal(page.n, 2);
	assert_string_equal(page.groups[0].name, "/a");
	assert_string_equal(page.groups[0].storage, "INFREQUENT_ACCESS");
	assert_int_equal(page.groups[0].created_ms, 5);
	assert_int_equal(page.groups[0].retention_days, 3);
	assert_string_equal(page.groups[1].storage, "STANDARD");
	assert_int_equal(page.groups[1].retention_days, 0);
	assert_string_equal(page.token, "t");
	assert_int_equal(logs_groups_read(SV("{\"Metrics\":[]}"), &a, &page, &err), -1);
	assert_int_equal(err.kind, ERR_DATA); /* an answer to something else */
	assert_int_equal(logs_groups_read(SV("{\"logGroups\":[]}"), &a, &page, &err), 0);
	assert_int_equal(page.n, 0);
	assert_int_equal(logs_groups_read(SV("{\"logGroups\":[{}]}"), &a, &page, &err), -1);
	assert_string_equal(err.msg, "/logGroups/0/logGroupName: missing, expected a string");
	arena_done(&a);
}

static void
test_start(void **state)
{
	struct arena a = ARENA_INIT(65536);
	const char *id = NULL;
	struct err err;

	(void)state;
	assert_int_equal(logs_start_read(SV("{\"queryId\":\"x\"}"), &a, &id, &err), 0);
	assert_string_equal(id, "x");
	assert_int_equal(logs_start_read(SV("{\"queryId\":\"\"}"), &a, &id, &err), -1);
	assert_int_equal(logs_start_read(SV("{}"), &a, &id, &err), -1);
	assert_int_equal(err.kind, ERR_DATA);
	arena_done(&a);
}

#define PAGE                                                                                       \
	"{\"results\":[[{\"field\":\"a\",\"value\":\"x\\n\"},{\"field\":\"b\"}],[]],"              \
	"\"statistics\":{\"recordsMatched\":1.2E1,\"bytesScanned\":5.0,\"x\":[{}]},"               \
	"\"nextToken\":\"t\",\"other\":{},\"status\":\"Complete\"}"

static void
test_results(void **state)
{
	struct json_raw fields[LOGS_ROW_FIELDS];
	struct logs_results r;
	struct err err;
	size_t n;

	(void)state;
	assert_int_equal(logs_results_open(SV(PAGE), &r, &err), 0);
	assert_false(r.has_status);
	assert_int_equal(logs_results_row(&r, fields, &n, &err), 1);
	assert_int_equal(n, 1);
	assert_true(sv_eq(fields[0].name, SV("a")) && sv_eq(fields[0].value, SV("x\\n")));
	assert_int_equal(logs_results_row(&r, fields, &n, &err), 1);
	assert_int_equal(n, 0);
	assert_int_equal(logs_results_row(&r, fields, &n, &err), 0);
	assert_int_equal(logs_results_row(&r, fields, &n, &err), 0);
	assert_int_equal(r.status, LOGS_COMPLETE);
	assert_true(r.has_status && r.matched == 12 && r.bytes_scanned == 5);
	assert_true(sv_eq(r.token, SV("t")));
}

/* As the service writes a field and in other ways; and which texts may be copied. */
static void
test_fields(void **state)
{
	static const struct {
		const char *field, *name, *value;
		bool name_as_is, value_as_is;
	} table[] = {
	    {"{\"field\":\"a\",\"value\":\"x\"}", "a", "x", true, true},
	    {"{ \"field\" : \"a\" , \"value\" : \"x\" }", "a", "x", true, true},
	    {"{\"value\":\"x\",\"field\":\"a\"}", "a", "x", true, true},
	    {"{\"field\":\"a\",\"value\":\"x\",\"more\":[1]}", "a", "x", true, true},
	    {"{\"field\":\"\\/\",\"value\":\"\\n\"}", "\\/", "\\n", false, true},
	    {"{\"field\":\"\xC3\xA9\",\"value\":\"\\u0041\"}", "\xC3\xA9", "\\u0041", false, false},
	};
	struct json_raw fields[LOGS_ROW_FIELDS];
	struct logs_results r;
	char text[512];
	struct err err;
	size_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		(void)snprintf(text, sizeof(text), "{\"status\":\"Complete\",\"results\":[[%s]]}",
			       table[i].field);
		assert_int_equal(logs_results_open(sv_of(text), &r, &err), 0);
		assert_int_equal(logs_results_row(&r, fields, &n, &err), 1);
		assert_int_equal(n, 1);
		assert_true(sv_eq(fields[0].name, sv_of(table[i].name)));
		assert_true(sv_eq(fields[0].value, sv_of(table[i].value)));
		assert_int_equal(fields[0].name_as_is, table[i].name_as_is);
		assert_int_equal(fields[0].value_as_is, table[i].value_as_is);
		assert_int_equal(logs_results_row(&r, fields, &n, &err), 0);
	}
}

static void
test_statuses(void **state)
{
	static const struct {
		const char *text;
		enum logs_status status;
	} table[] = {
	    {"{\"status\":\"Scheduled\"}", LOGS_SCHEDULED},
	    {"{\"status\":\"Running\",\"results\":null,\"statistics\":null,\"nextToken\":null}",
	     LOGS_RUNNING},
	    {"{\"status\":\"Failed\",\"results\":[]}", LOGS_FAILED},
	    {"{\"status\":\"Timeout\"}", LOGS_TIMEOUT},
	    {"{\"status\":\"Cancelled\"}", LOGS_CANCELLED},
	    {"{\"status\":\"Unknown\"}", LOGS_UNKNOWN},
	    {"{\"status\":\"Paused\"}", LOGS_UNKNOWN},
	};
	struct logs_results r;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		assert_int_equal(logs_results_open(sv_of(table[i].text), &r, &err), 0);
		assert_int_equal(r.status, table[i].status);
		assert_true(r.matched < 0);
	}
	assert_string_equal(logs_status_word(LOGS_TIMEOUT), "Timeout");
}

static void
test_no_results(void **state)
{
	static const char *const texts[] = {
	    "",
	    "[]",
	    "{}",
	    "{\"status\":1}",
	    "{\"status\":\"Complete\",\"status\":\"Failed\"}",
	    "{\"status\":\"Complete\",\"results\":{}}",
	    "{\"status\":\"Complete\",\"statistics\":{\"recordsMatched\":\"many\"}}",
	    "{\"status\":\"Complete\"} x",
	    "<html>",
	};
	static const char *const rows[] = {
	    "{\"status\":\"Complete\",\"results\":[1]}",
	    "{\"status\":\"Complete\",\"results\":[[1]]}",
	    "{\"status\":\"Complete\",\"results\":[[{\"value\":\"x\"}]]}",
	    "{\"status\":\"Complete\",\"results\":[[{\"field\":\"a\",\"value\":1}]]}",
	    "{\"status\":\"Complete\",\"results\":[[{\"field\":\"a\",\"field\":\"b\"}]]}",
	};
	struct json_raw fields[LOGS_ROW_FIELDS];
	struct logs_results r;
	struct err err;
	size_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_int_equal(logs_results_open(sv_of(texts[i]), &r, &err), -1);
		assert_int_equal(err.kind, ERR_DATA);
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(logs_results_open(sv_of(rows[i]), &r, &err), 0);
		assert_int_equal(logs_results_row(&r, fields, &n, &err), -1);
		assert_int_equal(err.kind, ERR_DATA);
	}
}

static int
read_all(struct sv text)
{
	struct json_raw fields[LOGS_ROW_FIELDS];
	struct logs_results r;
	size_t n;
	int more;

	if (logs_results_open(text, &r, NULL))
		return -1;
	while ((more = logs_results_row(&r, fields, &n, NULL)) > 0)
		assert_true(n <= 2);
	return more;
}

/* Cut off anywhere, with any byte changed: an error or an answer, never more. */
static void
test_damaged(void **state)
{
	static const char with[] = "\"\\{}[],:x0\n";

	(void)state;
	for (size_t i = 0; i < sizeof(PAGE) - 1; i++) {
		char *text = sv_dup((struct sv){PAGE, i});

		assert_non_null(text);
		assert_int_equal(read_all((struct sv){text, i}), -1);
		free(text);
		for (size_t k = 0; k < sizeof(with) - 1; k++) {
			text = sv_dup(SV(PAGE));
			assert_non_null(text);
			text[i] = with[k];
			(void)read_all((struct sv){text, sizeof(PAGE) - 1});
			free(text);
		}
	}
}

static void
test_recorded(void **state)
{
	struct buf body = BUF_INIT((size_t)1 << 20);
	struct arena a = ARENA_INIT((size_t)1 << 20);
	struct json_raw fields[LOGS_ROW_FIELDS];
	struct logs_groups_page page;
	struct logs_results r;
	const char *id;
	struct err err;
	size_t n, rows = 0;

	(void)state;
	data_or_skip();
	data_read("aws/recorded/logs.GetQueryResults/cli-get-query-results__1/body.json", &body);
	assert_int_equal(logs_results_open(buf_view(&body), &r, &err), 0);
	for (; logs_results_row(&r, fields, &n, &err) > 0; rows++)
		assert_int_equal(n, 4);
	assert_int_equal(rows, 3);
	assert_int_equal(r.status, LOGS_COMPLETE);
	assert_true(r.matched == 3 && r.bytes_scanned == 141);
	buf_done(&body);
	data_read("aws/recorded/logs.StartQuery/cli-start-query__1/body.json", &body);
	assert_int_equal(logs_start_read(buf_view(&body), &a, &id, &err), 0);
	assert_string_equal(id, "2dac81d5-a6a5-45d7-b355-c842b1a7c0c5");
	buf_done(&body);
	data_read("aws/recorded/logs.DescribeLogGroups/test_log_handler__1/body.json", &body);
	assert_int_equal(logs_groups_read(buf_view(&body), &a, &page, &err), 0);
	assert_int_equal(page.n, 1);
	assert_string_equal(page.groups[0].name, "custodian");
	assert_int_equal(page.groups[0].created_ms, 1568908104055);
	buf_done(&body);
	arena_done(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_requests),   cmocka_unit_test(test_linked_requests),
	    cmocka_unit_test(test_queries),    cmocka_unit_test(test_groups),
	    cmocka_unit_test(test_start),      cmocka_unit_test(test_results),
	    cmocka_unit_test(test_fields),     cmocka_unit_test(test_statuses),
	    cmocka_unit_test(test_no_results), cmocka_unit_test(test_damaged),
	    cmocka_unit_test(test_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
