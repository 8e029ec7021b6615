/* X-Ray on the wire: what is asked, and what its answers mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "aws/xray.h"
#include "base/cleanup.h"
#include "tests/support/data.h"

#define ARENA ARENA_INIT((size_t)1 << 20)
/* No trace's id is so long. */
#define LONG "01234567890123456789012345678901234567890123456789012345678901234567890123456789"

static void
test_requests(void **state)
{
	const char *ids[] = {"1-581cf771-a006649127e371903a2de979", "a\"b"};
	struct aws_call call;
	struct err err = {0};

	(void)state;
	aws_call_init(&call, 4096);
	assert_int_equal(xray_destination_call(&call, &err), 0);
	assert_string_equal(call.service, "xray");
	assert_string_equal(call.path, "/GetTraceSegmentDestination");
	assert_string_equal(buf_cstr(&call.body), "{}");
	aws_call_reset(&call);
	assert_int_equal(xray_summaries_call(1767225600000, 1767225900000, NULL, NULL, &call, &err),
			 0);
	assert_string_equal(call.path, "/TraceSummaries");
	assert_string_equal(buf_cstr(&call.body),
			    "{\"StartTime\":1767225600,\"EndTime\":1767225900,\"TimeRangeType\":"
			    "\"TraceId\",\"Sampling\":false}");
	aws_call_reset(&call);
	assert_int_equal(
	    xray_summaries_call(1767225600250, 1767225900000, "service(\"a\")", "t", &call, &err),
	    0);
	assert_string_equal(
	    buf_cstr(&call.body),
	    "{\"StartTime\":1767225600.250,\"EndTime\":1767225900,\"TimeRangeType\":"
	    "\"TraceId\",\"Sampling\":false,\"FilterExpression\":\"service(\\\"a\\\")"
	    "\",\"NextToken\":\"t\"}");
	aws_call_reset(&call);
	assert_int_equal(xray_traces_call(ids, 2, &call, &err), 0);
	assert_string_equal(call.operation, "BatchGetTraces");
	assert_string_equal(buf_cstr(&call.body),
			    "{\"TraceIds\":[\"1-581cf771-a006649127e371903a2de979\",\"a\\\"b\"]}");
	aws_call_done(&call);
}

static void
test_destinations(void **state)
{
	enum xray_destination d = XRAY_TO_XRAY;
	struct err err = {0};

	(void)state;
	assert_int_equal(xray_destination_read(SV("{\"Destination\":\"CloudWatchLogs\",\"Status\":"
						  "\"ACTIVE\"}"),
					       &d, &err),
			 0);
	assert_int_equal(d, XRAY_TO_LOGS);
	assert_int_equal(xray_destination_read(SV("{\"Destination\":\"XRay\"}"), &d, &err), 0);
	assert_int_equal(d, XRAY_TO_XRAY);
	assert_int_equal(xray_destination_read(SV("{\"Destination\":\"Moon\"}"), &d, &err), -1);
	assert_int_equal(err.kind, ERR_DATA);
	assert_int_equal(xray_destination_read(SV("{}"), &d, &err), -1);
}

static void
test_summaries(void **state)
{
	struct arena a = ARENA;
	struct xray_summaries page;
	struct err err = {0};

	(void)state;
	assert_int_equal(
	    xray_summaries_read(SV("{\"TraceSummaries\":[{\"Id\":\"1-a\",\"IsPartial\":true},{"
				   "\"Id\":\"1-b\",\"Duration\":1e9}],\"NextToken\":\"n\"}"),
				&a, &page, &err),
	    0);
	assert_int_equal(page.n, 2);
	assert_string_equal(page.v[0].id, "1-a");
	assert_true(page.v[0].partial);
	assert_false(page.v[1].partial);
	assert_string_equal(page.token, "n");
	/* An empty page with a token is not the end; an empty token is. */
	assert_int_equal(
	    xray_summaries_read(SV("{\"TraceSummaries\":[],\"NextToken\":\"n\"}"), &a, &page, &err),
	    0);
	assert_int_equal(page.n, 0);
	assert_string_equal(page.token, "n");
	assert_int_equal(
	    xray_summaries_read(SV("{\"TraceSummaries\":[],\"NextToken\":\"\"}"), &a, &page, &err),
	    0);
	assert_null(page.token);
	arena_done(&a);
}

static void
test_traces(void **state)
{
	static const char body[] =
	    "{\"Traces\":[{\"Id\":\"1-a\",\"LimitExceeded\":true,\"Segments\":[{\"Id\":\"x\","
	    "\"Document\":\"{\\\"id\\\":\\\"x\\\"}\"},{\"Id\":\"y\",\"Document\":\"\"}]},{\"Id\":"
	    "\"1-b\"}],\"UnprocessedTraceIds\":[\"1-c\"],\"NextToken\":\"not usable\"}";
	struct arena a = ARENA;
	struct xray_traces t;
	struct err err = {0};

	(void)state;
	assert_int_equal(xray_traces_read(sv_of(body), &a, &t, &err), 0);
	assert_int_equal(t.n, 2);
	assert_true(t.v[0].limit_exceeded);
	assert_int_equal(t.v[0].n, 2);
	assert_true(sv_eq(t.v[0].documents[0], SV("{\"id\":\"x\"}")));
	assert_int_equal(t.v[0].documents[1].n, 0);
	assert_false(t.v[1].limit_exceeded);
	assert_int_equal(t.v[1].n, 0);
	assert_int_equal(t.n_unprocessed, 1);
	assert_string_equal(t.unprocessed[0], "1-c");
	arena_done(&a);
}

static void
test_answers_that_make_no_sense(void **state)
{
	static const char *const summaries[] = {
	    "",
	    "[]",
	    "{\"Traces\":[]}", /* of something else */
	    "{\"TraceSummaries\":{}}",
	    "{\"TraceSummaries\":[5]}",
	    "{\"TraceSummaries\":[{}]}",
	    "{\"TraceSummaries\":[{\"Id\":\"\"}]}",
	    "{\"TraceSummaries\":[{\"Id\":\"1-a\",\"IsPartial\":1}]}",
	    "{\"TraceSummaries\":[],\"NextToken\":5}",
	};
	static const char *const traces[] = {
	    "{",
	    "{\"TraceSummaries\":[]}",
	    "{\"Traces\":5}",
	    "{\"Traces\":[{\"Id\":\"1-a\",\"Segments\":[{}]}]}",
	    "{\"Traces\":[{\"Id\":\"1-a\",\"Segments\":[{\"Document\":{}}]}]}",
	    "{\"Traces\":[{\"Segments\":[]}]}",
	    "{\"Traces\":[],\"UnprocessedTraceIds\":[5]}",
	};
	struct arena a = ARENA;
	struct xray_summaries page;
	struct xray_traces t;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(summaries); i++) {
		struct err err = {0};

		assert_int_equal(xray_summaries_read(sv_of(summaries[i]), &a, &page, &err), -1);
		assert_int_equal(err.kind, ERR_DATA);
	}
	assert_int_equal(xray_summaries_read(SV("{\"TraceSummaries\":[{\"Id\":\"" LONG "\"}]}"), &a,
					     &page, NULL),
			 -1);
	for (size_t i = 0; i < ARRAY_LEN(traces); i++) {
		struct err err = {0};

		assert_int_equal(xray_traces_read(sv_of(traces[i]), &a, &t, &err), -1);
		assert_int_equal(err.kind, ERR_DATA);
	}
	arena_done(&a);
}

/* What AWS has answered: everything is read, and as many segments as there are. */
static void
test_recorded_answers(void **state)
{
	static const struct {
		const char *path;
		size_t traces, segments;
	} recorded[] = {
	    {"aws/recorded/xray.BatchGetTraces/cli-batch-traces-get__1/body.json", 1, 2},
	    {"aws/recorded/xray.BatchGetTraces/from-segments/body.json", 0, 0},
	    {"xray/traces/grafana-awsResponse.json", 1, 2},
	};
	struct arena a = ARENA;
	struct xray_summaries page;
	struct err err = {0};

	(void)state;
	data_or_skip();
	for (size_t i = 0; i < ARRAY_LEN(recorded); i++) {
		CLEANUP(buf_done) struct buf body = BUF_INIT((size_t)1 << 20);
		struct xray_traces t;

		data_read(recorded[i].path, &body);
		assert_int_equal(xray_traces_read(buf_view(&body), &a, &t, &err), 0);
		assert_true(t.n > 0 && t.v[0].n > 0);
		if (recorded[i].traces)
			assert_int_equal(t.n, recorded[i].traces);
		if (recorded[i].segments)
			assert_int_equal(t.v[0].n, recorded[i].segments);
	}
	for (int i = 0; i < 2; i++) {
		CLEANUP(buf_done) struct buf body = BUF_INIT((size_t)1 << 20);

		data_read(i ? "aws/recorded/xray.GetTraceSummaries/from-segments/body.json"
			    : "xray/traces/docs-trace-summaries.json",
			  &body);
		assert_int_equal(xray_summaries_read(buf_view(&body), &a, &page, &err), 0);
		assert_true(page.n >= 2);
	}
	arena_done(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_requests),
	    cmocka_unit_test(test_destinations),
	    cmocka_unit_test(test_summaries),
	    cmocka_unit_test(test_traces),
	    cmocka_unit_test(test_answers_that_make_no_sense),
	    cmocka_unit_test(test_recorded_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
