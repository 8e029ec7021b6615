/*
 * Pulling traces, step by step: where the spans are, which traces there were, what is asked for
 * again, and what becomes of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "run/job.h"

#define START	  1767225600000LL /* 2026-01-01T00:00:00Z */
#define MINUTE_MS 60000LL
#define NOW	  (START + 60 * MINUTE_MS)
#define CELLS_MAX 8
#define OPTS_MAX  4096

extern const struct job_kind job_traces;

#define XRAY	   "{\"Destination\":\"XRay\",\"Status\":\"ACTIVE\"}"
#define ID(n)	   "1-6955b900-00000000000000000000000" n
#define HEX(n)	   "6955b90000000000000000000000000" n
#define SUMMARY(n) "{\"Id\":\"" ID(n) "\",\"IsPartial\":false}"
#define TRACE(n, more)                                                                             \
	"{\"Id\":\"" ID(n) "\"" more ",\"Segments\":[{\"Id\":\"x\",\"Document\":\"{\\\"id\\\":"    \
			   "\\\"000000000000000" n                                                 \
			   "\\\",\\\"name\\\":\\\"s\\\",\\\"start_time\\\":1767225601.5,"          \
			   "\\\"end_time\\\":1767225602}\"}]}"
#define LIST(list)	   "{\"TraceSummaries\":[" list "]}"
#define MORE(list)	   "{\"TraceSummaries\":[" list "],\"NextToken\":\"t\"}"
#define TRACES(list, left) "{\"Traces\":[" list "],\"UnprocessedTraceIds\":[" left "]}"
#define ASKED(from, to)                                                                            \
	"{\"StartTime\":" from ",\"EndTime\":" to                                                  \
	",\"TimeRangeType\":\"TraceId\",\"Sampling\":false"

struct rig {
	struct arena a;
	_Alignas(max_align_t) char opts[OPTS_MAX];
	struct job_common common;
	struct job_stream s;
	struct cell cells[CELLS_MAX];
	struct cell_data data[CELLS_MAX];
	size_t n;
	struct pull *p;
	struct aws_call call;
	struct http_resp resp;
	struct err err;
};

static void
rig_init(struct rig *r, int64_t every_ms, const char *yaml)
{
	const struct conf_key *tables[] = {job_traces.keys, NULL};
	struct conf_faults *f = conf_faults_new();
	const struct conf_node *node;
	void *outs[] = {r->opts};

	assert_true(job_traces.opts_size <= OPTS_MAX);
	*r = (struct rig){.a = ARENA_INIT((size_t)1 << 20)};
	r->common = (struct job_common){.name = "traces", .every_ms = every_ms};
	r->s = (struct job_stream){.common = &r->common,
				   .opts = r->opts,
				   .tenant = "acme",
				   .account = "111122223333",
				   .region = "eu-west-1"};
	node = conf_parse("rig", sv_of(yaml), &r->a, f);
	assert_non_null(node);
	conf_read(node, tables, outs, &r->a, f);
	job_traces.check(&r->common, r->opts, node, &r->a, f);
	if (conf_faults_count(f))
		fail_msg("%s", conf_faults_get(f, 0));
	conf_faults_free(f);
	aws_call_init(&r->call, (size_t)1 << 20);
	r->resp.body = BUF_INIT((size_t)1 << 20);
}

static void
rig_close(struct rig *r)
{
	job_traces.close(r->p);
	r->p = NULL;
	for (size_t i = 0; i < r->n; i++)
		cell_data_done(&r->data[i]);
	r->n = 0;
}

static void
rig_done(struct rig *r)
{
	rig_close(r);
	buf_done(&r->resp.body);
	aws_call_done(&r->call);
	arena_done(&r->a);
}

static void
rig_open(struct rig *r, size_t n)
{
	rig_close(r);
	for (size_t i = 0; i < n; i++) {
		r->cells[i].start_ms = START + (int64_t)i * r->common.every_ms;
		r->cells[i].end_ms = r->cells[i].start_ms + r->common.every_ms;
		cell_data_init(&r->data[i], r->cells[i]);
	}
	r->n = n;
	if (job_traces.open(&r->s, NULL, r->cells, n, NOW, &r->p, &r->err))
		fail_msg("%s", r->err.msg);
}

/* The next request's body; NULL when the pull is complete. */
static const char *
ask(struct rig *r)
{
	int more;

	aws_call_reset(&r->call);
	more = job_traces.next(r->p, &r->call, &r->err);
	if (more < 0)
		fail_msg("%s", r->err.msg);
	return more ? buf_cstr(&r->call.body) : NULL;
}

static int
answer(struct rig *r, const char *body)
{
	err_clear(&r->err);
	r->resp.status = 200;
	buf_reset(&r->resp.body);
	buf_str(&r->resp.body, body);
	return job_traces.reply(r->p, &r->resp, &r->err);
}

static int
refuse(struct rig *r, int status, enum err_kind kind, const char *code)
{
	r->resp.status = status;
	buf_reset(&r->resp.body);
	(void)err_set(&r->err, kind, "refused");
	(void)snprintf(r->err.code, sizeof(r->err.code), "%s", code);
	return job_traces.reply(r->p, &r->resp, &r->err);
}

static void
step(struct rig *r, const char *asked, const char *body)
{
	assert_string_equal(ask(r), asked);
	if (answer(r, body))
		fail_msg("%s", r->err.msg);
}

static void
harvest(struct rig *r)
{
	assert_null(ask(r));
	for (size_t i = 0; i < r->n; i++)
		if (job_traces.harvest(r->p, &r->data[i], 1, &r->err))
			fail_msg("%s", r->err.msg);
}

static void
test_a_pull_of_one_cell(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, 5 * MINUTE_MS, "{filter: fault}");
	rig_open(&r, 1);
	step(&r, "{}", XRAY);
	assert_string_equal(r.call.operation, "GetTraceSegmentDestination");
	step(&r, ASKED("1767225600", "1767225900") ",\"FilterExpression\":\"fault\"}",
	     MORE(SUMMARY("1") "," SUMMARY("2")));
	/* An empty page with a token is not the end; what a page repeats is one trace. */
	step(&r,
	     ASKED("1767225600",
		   "1767225900") ",\"FilterExpression\":\"fault\",\"NextToken\":\"t\"}",
	     "{\"TraceSummaries\":[],\"NextToken\":\"u\"}");
	step(&r,
	     ASKED("1767225600",
		   "1767225900") ",\"FilterExpression\":\"fault\",\"NextToken\":\"u\"}",
	     LIST(SUMMARY("2") "," SUMMARY("3")));
	step(&r, "{\"TraceIds\":[\"" ID("1") "\",\"" ID("2") "\",\"" ID("3") "\"]}",
	     TRACES(TRACE("1", "") "," TRACE("2", "") "," TRACE("3", ""), ""));
	harvest(&r);
	assert_int_equal(r.data[0].n_lines, 3);
	assert_int_equal(r.data[0].n_rows, 20);
	assert_non_null(strstr(buf_cstr(&r.data[0].ndjson), "\"trace_id\":\"" HEX("1") "\""));
	rig_done(&r);
}

static void
test_a_cell_without_traces(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, 5 * MINUTE_MS, "{}");
	rig_open(&r, 1);
	step(&r, "{}", XRAY);
	step(&r, ASKED("1767225600", "1767225900") "}", LIST(""));
	harvest(&r);
	assert_int_equal(r.data[0].n_lines + r.data[0].n_rows, 0);
	rig_done(&r);
}

/* Each cell is asked for by itself, and one of hours in windows of one. */
static void
test_windows(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, 5 * MINUTE_MS, "{}");
	rig_open(&r, 2);
	step(&r, "{}", XRAY);
	step(&r, ASKED("1767225600", "1767225900") "}", LIST(SUMMARY("1")));
	step(&r, ASKED("1767225900", "1767226200") "}", LIST(SUMMARY("2")));
	step(&r, "{\"TraceIds\":[\"" ID("1") "\",\"" ID("2") "\"]}",
	     TRACES(TRACE("1", "") "," TRACE("2", ""), ""));
	harvest(&r);
	assert_int_equal(r.data[0].n_lines, 1);
	assert_int_equal(r.data[1].n_lines, 1);
	rig_done(&r);
	rig_init(&r, 120 * MINUTE_MS, "{}");
	rig_open(&r, 1);
	step(&r, "{}", XRAY);
	step(&r, ASKED("1767225600", "1767229200") "}", LIST(""));
	step(&r, ASKED("1767229200", "1767232800") "}", LIST(""));
	harvest(&r);
	rig_done(&r);
}

static void
test_five_at_a_time_and_what_is_left_again(void **state)
{
	struct rig r;
	char missing[256];

	(void)state;
	rig_init(&r, 5 * MINUTE_MS, "{}");
	rig_open(&r, 1);
	step(&r, "{}", XRAY);
	step(&r, ASKED("1767225600", "1767225900") "}",
	     LIST(SUMMARY("1") "," SUMMARY("2") "," SUMMARY("3") "," SUMMARY("4") "," SUMMARY(
		 "5") "," SUMMARY("6")));
	step(&r,
	     "{\"TraceIds\":[\"" ID("1") "\",\"" ID("2") "\",\"" ID("3") "\",\"" ID("4") "\",\"" ID(
		 "5") "\"]}",
	     TRACES(TRACE("1", "") "," TRACE("3", "") "," TRACE("4", ""), "\"" ID("2") "\""));
	step(&r, "{\"TraceIds\":[\"" ID("6") "\"]}", TRACES(TRACE("6", ""), ""));
	/* 2 was said to be unprocessed, 5 was not there at all. */
	assert_string_equal(ask(&r), "{\"TraceIds\":[\"" ID("2") "\",\"" ID("5") "\"]}");
	assert_int_equal(r.call.wait_ms, 1000);
	job_traces.missing(r.p, missing, sizeof(missing));
	assert_string_equal(missing, "2 of 6 traces are still unprocessed, such as " ID("2"));
	assert_int_equal(answer(&r, TRACES(TRACE("5", ""), "\"" ID("2") "\"")), 0);
	assert_string_equal(ask(&r), "{\"TraceIds\":[\"" ID("2") "\"]}");
	assert_int_equal(r.call.wait_ms, 2000);
	assert_int_equal(answer(&r, TRACES(TRACE("2", ""), "")), 0);
	harvest(&r);
	assert_int_equal(r.data[0].n_lines, 6);
	assert_int_equal(r.data[0].n_rejected, 0);
	rig_done(&r);
}

static void
test_making_do_without_what_does_not_come(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, 5 * MINUTE_MS, "{}");
	rig_open(&r, 1);
	step(&r, "{}", XRAY);
	assert_false(job_traces.make_do(r.p)); /* nothing is known yet */
	step(&r, ASKED("1767225600", "1767225900") "}", LIST(SUMMARY("1") "," SUMMARY("2")));
	for (int i = 0; i < 20; i++) {
		assert_non_null(ask(&r));
		assert_true(r.call.wait_ms <= 20000);
		assert_int_equal(answer(&r, TRACES(TRACE("1", ""), "\"" ID("2") "\"")), i ? -1 : 0);
	}
	assert_true(job_traces.make_do(r.p));
	harvest(&r);
	assert_int_equal(r.data[0].n_lines, 1);
	rig_done(&r);
}

static void
test_large_traces_and_bad_documents(void **state)
{
	const struct job_gap *gaps;
	struct rig r;

	(void)state;
	rig_init(&r, 5 * MINUTE_MS, "{}");
	rig_open(&r, 1);
	step(&r, "{}", XRAY);
	step(&r, ASKED("1767225600", "1767225900") "}", LIST(SUMMARY("1") "," SUMMARY("2")));
	step(&r, "{\"TraceIds\":[\"" ID("1") "\",\"" ID("2") "\"]}",
	     TRACES(TRACE("1", ",\"LimitExceeded\":true") ",{\"Id\":\"" ID(
			"2") "\",\"Segments\":[{\"Document\":\"{\"}]}",
		    ""));
	harvest(&r);
	assert_int_equal(r.data[0].n_lines, 1);
	assert_int_equal(r.data[0].n_rejected, 1);
	assert_int_equal(job_traces.gaps(r.p, &gaps), 1);
	assert_int_equal(gaps[0].from_ms, START + 1500);
	assert_int_equal(gaps[0].to_ms, START + 2001);
	assert_non_null(strstr(gaps[0].reason, "LimitExceeded"));
	assert_non_null(strstr(gaps[0].reason, ID("1")));
	rig_done(&r);
}

static void
test_refusals(void **state)
{
	struct rig r;

	(void)state;
	/* A place that does not know the question has X-Ray only. */
	rig_init(&r, 5 * MINUTE_MS, "{}");
	rig_open(&r, 1);
	assert_non_null(ask(&r));
	assert_int_equal(refuse(&r, 404, ERR_NOTFOUND, "UnknownOperationException"), 0);
	/* A token that ran out: from the beginning; without one, no way is left. */
	step(&r, ASKED("1767225600", "1767225900") "}", MORE(SUMMARY("1")));
	for (int i = 0; i < 3; i++) {
		assert_non_null(strstr(ask(&r), "NextToken"));
		assert_int_equal(refuse(&r, 400, ERR_REJECTED, "InvalidRequestException"), 0);
		step(&r, ASKED("1767225600", "1767225900") "}", MORE(SUMMARY("1")));
	}
	assert_non_null(strstr(ask(&r), "NextToken"));
	assert_int_equal(refuse(&r, 400, ERR_REJECTED, "InvalidRequestException"), -1);
	rig_open(&r, 1);
	assert_non_null(ask(&r));
	assert_int_equal(refuse(&r, 403, ERR_AUTH, "AccessDeniedException"), -1);
	rig_open(&r, 1);
	step(&r, "{}", XRAY);
	assert_non_null(ask(&r));
	assert_int_equal(refuse(&r, 400, ERR_REJECTED, "InvalidRequestException"), -1);
	rig_done(&r);
}

static void
test_answers_that_make_no_sense(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, 5 * MINUTE_MS, "{}");
	rig_open(&r, 1);
	assert_non_null(ask(&r));
	assert_int_equal(answer(&r, "{}"), -1);
	assert_int_equal(r.err.kind, ERR_DATA);
	step(&r, "{}", XRAY);
	assert_non_null(ask(&r));
	assert_int_equal(answer(&r, "{\"TraceSummaries\":5}"), -1);
	step(&r, ASKED("1767225600", "1767225900") "}", MORE(SUMMARY("1")));
	assert_non_null(ask(&r));
	assert_int_equal(answer(&r, MORE("")), -1); /* the same token once more */
	assert_non_null(strstr(r.err.msg, "twice"));
	assert_int_equal(answer(&r, LIST("")), 0);
	/* A trace that nobody asked for. */
	assert_non_null(ask(&r));
	assert_int_equal(answer(&r, TRACES(TRACE("9", ""), "")), -1);
	assert_int_equal(r.err.kind, ERR_DATA);
	step(&r, "{\"TraceIds\":[\"" ID("1") "\"]}", TRACES(TRACE("1", ""), ""));
	harvest(&r);
	assert_int_equal(r.data[0].n_lines, 1);
	rig_done(&r);
}

/* Then it is a pull of the insights kind, of the group of spans. */
static void
test_transaction_search(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, 5 * MINUTE_MS, "{filter: fault, spans_filter: 'kind = \"SERVER\"'}");
	rig_open(&r, 1);
	step(&r, "{}", "{\"Destination\":\"CloudWatchLogs\",\"Status\":\"ACTIVE\"}");
	assert_non_null(strstr(ask(&r), "\"aws/spans\""));
	assert_string_equal(r.call.service, "logs");
	assert_string_equal(r.call.operation, "DescribeLogGroups");
	assert_int_equal(answer(&r, "{\"logGroups\":[{\"logGroupName\":\"aws/spans\","
				    "\"creationTime\":1700000000000,\"logGroupClass\":"
				    "\"STANDARD\"}]}"),
			 0);
	assert_non_null(ask(&r));
	while (strcmp(r.call.operation, "StartQuery") != 0) {
		assert_int_equal(answer(&r, "{\"queries\":[]}"), 0);
		assert_non_null(ask(&r));
	}
	assert_non_null(strstr(buf_cstr(&r.call.body), "| filter kind = \\\"SERVER\\\""));
	assert_int_equal(answer(&r, "{\"queryId\":\"q-1\"}"), 0);
	assert_true(job_traces.memo_urgent(r.p));
	assert_non_null(ask(&r));
	assert_string_equal(r.call.operation, "GetQueryResults");
	rig_done(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_pull_of_one_cell),
	    cmocka_unit_test(test_a_cell_without_traces),
	    cmocka_unit_test(test_windows),
	    cmocka_unit_test(test_five_at_a_time_and_what_is_left_again),
	    cmocka_unit_test(test_making_do_without_what_does_not_come),
	    cmocka_unit_test(test_large_traces_and_bad_documents),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_answers_that_make_no_sense),
	    cmocka_unit_test(test_transaction_search),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
