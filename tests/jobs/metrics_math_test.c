/*
 * Expressions, step by step: what is asked for, how series are told apart, and that one
 * expression's trouble is its own.
 */
#include <math.h>

#include "metrics_rig.h"

#define T0  "1767225600"
#define T1  "1767225660"
#define SEP "\xE2\x90\x9F"

#define ALB_ENTRY                                                                                  \
	"{expression: \"SEARCH('{AWS/ApplicationELB,LoadBalancer} HTTPCode_ELB_5XX_Count', "       \
	"'Sum')\", name: elb_5xx}"
#define SC(name, dims) METRIC("AWS/ECS", name, dims)
#define SC_DIMS(discovery)                                                                         \
	DIM("TargetDiscoveryName", discovery)                                                      \
	"," DIM("ServiceName", "web") "," DIM("ClusterName", "c")
#define JOINED                                                                                     \
	"from:\n"                                                                                  \
	"- {id: bad, namespace: AWS/ECS, metrics: [HTTPCode_Target_5XX_Count], statistics: "       \
	"[Sum], "                                                                                  \
	"dimensions: [[TargetDiscoveryName, ServiceName, ClusterName]]}\n"                         \
	"- {id: all, namespace: AWS/ECS, metrics: [RequestCountPerTarget], statistics: [Sum], "    \
	"dimensions: [[TargetDiscoveryName, ServiceName, ClusterName]]}\n"                         \
	"- {id: share, expression: 'FILL(bad, 0) / all'}\n"                                        \
	"- {expression: '100 * share', name: error_percent}\n"
#define LABELLED(label, ts, values)                                                                \
	"{\"Id\":\"m0\",\"Label\":\"" label "\",\"Timestamps\":[" ts "],\"Values\":[" values       \
	"],\"StatusCode\":\"Complete\"}"
#define LABEL(account, metric, balancer) account SEP metric SEP balancer

static void
expect_gap(const struct rig *r, const char *words)
{
	const struct job_gap *gaps;

	assert_int_equal(job_metrics.gaps(r->p, &gaps), 1);
	if (!strstr(gaps[0].reason, words))
		fail_msg("%s", gaps[0].reason);
	assert_int_equal(gaps[0].from_ms, r->cells[0].start_ms);
	assert_false(gaps[0].passes);
}

static void
expect_no_gap(const struct rig *r)
{
	const struct job_gap *gaps;

	assert_int_equal(job_metrics.gaps(r->p, &gaps), 0);
}

/* Computed for each service that has any of the metrics; inputs, and expressions used by others,
 * are not returned; the series is named by the entry and has the dimensions for labels. */
static void
test_joined_by_dimensions(void **state)
{
	struct rig r;
	uint64_t metrics, bytes;

	(void)state;
	rig_init(&r, JOINED);
	rig_open(&r, NULL, 1);
	rig_say(
	    &r, "\"AWS/ECS\"",
	    LIST_OF(SC("RequestCountPerTarget", SC_DIMS("api")) "," SC(
		"RequestCountPerTarget",
		SC_DIMS("web")) "," SC("HTTPCode_Target_5XX_Count",
				       SC_DIMS("web")) "," SC("HTTPCode_Target_5XX_Count",
							      DIM("TargetDiscoveryName",
								  "web")) "," SC("CPUUtilization",
										 SC_DIMS("web"))));
	rig_say(
	    &r,
	    "{\"Id\":\"m2\",\"Expression\":\"FILL(m0, 0) / "
	    "m1\",\"Period\":60,\"ReturnData\":false},"
	    "{\"Id\":\"m3\",\"Expression\":\"100 * "
	    "m2\",\"Period\":60},{\"Id\":\"m4\",\"MetricStat\":{\"Metric\":"
	    "{\"Namespace\":\"AWS/"
	    "ECS\",\"MetricName\":\"HTTPCode_Target_5XX_Count\",\"Dimensions\":["
	    "{\"Name\":\"ClusterName\",\"Value\":\"c\"},{\"Name\":\"ServiceName\",\"Value\":"
	    "\"web\"},"
	    "{\"Name\":\"TargetDiscoveryName\",\"Value\":\"web\"}]},\"Period\":60,\"Stat\":\"Sum\"}"
	    ","
	    "\"ReturnData\":false},",
	    DATA_OF(RESULT("m3", T0, "0", "Complete") "," RESULT("m7", T0 "," T1, "1.5,2",
								 "Complete")));
	rig_complete(&r, 1);
	assert_string_equal(rig_lines(&r, 0),
			    "{\"ts\":\"2026-01-01T00:00:00.000Z\",\"tenant\":\"acme\",\"account_"
			    "id\":\"111122223333\","
			    "\"region\":\"eu-west-1\",\"job\":\"ecs\",\"name\":\"error_percent\","
			    "\"stat\":null,\"unit\":"
			    "null,\"period\":60,\"labels\":{\"cluster\":\"c\",\"service\":\"web\","
			    "\"target_discovery_name\":\"api\",\"tier\":\"gold\"},\"values\":[0,"
			    "null,null,null,null]}\n"
			    "{\"ts\":\"2026-01-01T00:00:00.000Z\",\"tenant\":\"acme\",\"account_"
			    "id\":\"111122223333\","
			    "\"region\":\"eu-west-1\",\"job\":\"ecs\",\"name\":\"error_percent\","
			    "\"stat\":null,\"unit\":"
			    "null,\"period\":60,\"labels\":{\"cluster\":\"c\",\"service\":\"web\","
			    "\"target_discovery_name\":\"web\",\"tier\":\"gold\"},\"values\":[1.5,"
			    "2,null,null,null]}\n");
	expect_no_gap(&r);
	job_metrics.billed(r.p, &metrics, &bytes);
	assert_int_equal(metrics, 4);
	rig_done(&r);
}

/* What was frozen of an expression reads back. */
static void
test_lines_read_back(void **state)
{
	struct cell_data again;
	struct rig r;

	(void)state;
	rig_init(&r, "from: [" ALB_ENTRY "]");
	rig_open(&r, NULL, 1);
	rig_say(&r, "", DATA_OF(LABELLED(LABEL("111122223333", "x", "lb"), T0, "1")));
	rig_complete(&r, 1);
	cell_data_init(&again, r.cells[0]);
	buf_sv(&again.ndjson, buf_view(&r.data[0].ndjson));
	assert_int_equal(job_metrics.adopt(&r.s, &again, &r.err), 0);
	assert_int_equal(again.n_rows, 1);
	assert_int_equal(series_cmp(again.rows[0].series, r.data[0].rows[0].series), 0);
	cell_data_done(&again);
	rig_done(&r);
}

/* Nobody has these metrics: there is nothing to ask for. */
static void
test_nothing_to_compute(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, JOINED);
	rig_open(&r, NULL, 1);
	rig_say(&r, "", LIST_OF(SC("CPUUtilization", SC_DIMS("web"))));
	rig_complete(&r, 1);
	assert_int_equal(r.data[0].n_rows, 0);
	rig_done(&r);
}

/* One series of all that is found; nothing is listed for it. With nothing found there is no result.
 */
static void
test_search_of_one_series(void **state)
{
	static const char yaml[] =
	    "from: [{id: errors, expression: \"SUM(SEARCH('{AWS/ApplicationELB,LoadBalancer} "
	    "HTTPCode_ELB_5XX_Count', 'Sum'))\", name: elb_5xx}]";
	static const char asked[] =
	    "{\"MetricDataQueries\":[{\"Id\":\"m0\",\"Expression\":\"SUM(SEARCH('{AWS/"
	    "ApplicationELB,LoadBalancer} HTTPCode_ELB_5XX_Count', 'Sum', 60))\",\"Period\":60}],";
	struct rig r;

	(void)state;
	rig_init(&r, yaml);
	rig_open(&r, NULL, 2);
	rig_say(&r, asked, DATA_OF(RESULT("m0", T1 ",1767225900", "7,8", "Complete")));
	rig_complete(&r, 2);
	assert_int_equal(r.calls, 1);
	assert_string_equal(r.data[0].rows[0].series->name, "elb_5xx");
	assert_int_equal(r.data[0].rows[0].series->n_labels, 4);
	assert_true(r.data[0].rows[0].values[1] == 7);
	assert_true(r.data[1].rows[0].values[0] == 8);
	rig_open(&r, NULL, 1);
	rig_say(&r, asked, DATA_OF(""));
	rig_complete(&r, 1);
	assert_int_equal(r.data[0].n_rows, 0);
	expect_no_gap(&r);
	rig_done(&r);
}

/* Several series: told apart by the label that was asked for, whatever their order. */
static void
test_search_of_many_series(void **state)
{
	char first[4096];
	struct rig r;

	(void)state;
	rig_init(&r, "from: [" ALB_ENTRY "]");
	for (int turn = 0; turn < 2; turn++) {
		rig_open(&r, NULL, 1);
		rig_say(
		    &r,
		    "\"Label\":\"${PROP('AccountId')}" SEP "${PROP('MetricName')}" SEP
		    "${PROP('Dim.LoadBalancer')}\"}],",
		    turn ? DATA_OF(LABELLED(LABEL("111122223333", "5XX", "app/b"), T0,
					    "2") "," LABELLED(LABEL("111122223333", "5XX", "app/a"),
							      T0, "1"))
			 : DATA_OF(LABELLED(LABEL("111122223333", "5XX", "app/a"), T0,
					    "1") "," LABELLED(LABEL("111122223333", "5XX", "app/b"),
							      T0, "2")));
		rig_complete(&r, 1);
		assert_int_equal(r.data[0].n_rows, 2);
		if (turn)
			assert_string_equal(rig_lines(&r, 0), first);
		(void)snprintf(first, sizeof(first), "%s", rig_lines(&r, 0));
		expect_no_gap(&r);
	}
	assert_non_null(strstr(first,
			       "\"name\":\"elb_5xx\",\"stat\":null,\"unit\":null,\"period\":60,"
			       "\"labels\":{\"load_balancer\":\"app/a\",\"metric\":\"5XX\","
			       "\"tier\":\"gold\"},\"values\":[1,"));
	rig_done(&r);
}

/* A service that does not fill in the label, or tells two series alike: nothing of it is taken. */
static void
test_series_that_cannot_be_told_apart(void **state)
{
	static const struct {
		const char *answer, *why;
	} t[] = {
	    {DATA_OF(LABELLED("5XX", T0, "1")), "cannot be told apart by the label \"5XX\""},
	    {DATA_OF(LABELLED(LABEL("111122223333", "5XX", ""), T0, "1")), "cannot be told apart"},
	    {DATA_OF(LABELLED(LABEL("111122223333", "5XX", "a" SEP "b"), T0, "1")),
	     "cannot be told apart"},
	    {DATA_OF(
		 LABELLED(LABEL("111122223333", "5XX", "${PROP('Dim.LoadBalancer')}"), T0, "1")),
	     "cannot be told apart"},
	    {DATA_OF(RESULT("m0", T0, "1", "Complete")), "cannot be told apart"},
	    {DATA_OF(LABELLED(LABEL("111122223333", "5XX", "a"), T0,
			      "1") "," LABELLED(LABEL("111122223333", "5XX", "a"), T1, "2")),
	     "several series where one was expected, of the label"},
	};
	struct rig r;

	(void)state;
	rig_init(&r, "from: [" ALB_ENTRY "]");
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		rig_open(&r, NULL, 1);
		rig_say(&r, "", t[i].answer);
		rig_complete(&r, 1);
		assert_int_equal(r.data[0].n_rows, 0);
		expect_gap(&r, t[i].why);
	}
	rig_done(&r);
}

/* A monitoring account finds what is linked to it: of another account nothing becomes this
 * tenant's. */
static void
test_another_accounts_series(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, "from: [" ALB_ENTRY "]");
	rig_open(&r, NULL, 1);
	rig_say(&r, "",
		DATA_OF(LABELLED(LABEL("999988887777", "5XX", "a"), T0 "," T1,
				 "1,2") "," LABELLED(LABEL("111122223333", "5XX", "a"), T0, "3")));
	rig_complete(&r, 1);
	assert_int_equal(r.data[0].n_rows, 1);
	assert_true(r.data[0].rows[0].values[0] == 3);
	assert_int_equal(r.data[0].n_rejected, 2);
	rig_done(&r);
	rig_init(&r, "from: [" ALB_ENTRY "]");
	r.s.linked_account = "111122223333";
	rig_open(&r, NULL, 1);
	rig_say(&r,
		"{AWS/ApplicationELB,LoadBalancer} :aws.AccountId=\\\"111122223333\\\" "
		"(HTTPCode_ELB_5XX_Count)'",
		DATA_OF(""));
	rig_complete(&r, 1);
	rig_done(&r);
}

/* P5, P7: one that the service refuses costs itself, is on record, and is not asked again. */
static void
test_a_bad_expression_costs_itself(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, "from:\n- {namespace: ECS/ContainerInsights}\n"
		     "- {expression: \"RATE(SUM(SEARCH('{A,B} x', 'Sum')))\", name: refused}\n"
		     "- {expression: \"SUM(SEARCH('{A,B} y', 'Sum'))\", name: fine}\n");
	rig_open(&r, NULL, 2);
	rig_say(&r, "", LIST_OF(SERVICE("CpuUtilized", "web")));
	rig_say(&r, "CpuUtilized", DATA_OF(RESULT("m0", T0, "1", "Complete")));
	assert_non_null(strstr(rig_next(&r), "RATE(SUM(SEARCH("));
	assert_int_equal(rig_refuse(&r, 400, "ValidationError", "{}"), 0);
	rig_say(&r, "{A,B} y", DATA_OF(RESULT("m0", T0, "2", "Complete")));
	rig_complete(&r, 2);
	assert_int_equal(r.data[0].n_rows, 2);
	assert_string_equal(r.data[0].rows[0].series->name, "ecs_task_cpu_utilized");
	assert_string_equal(r.data[0].rows[1].series->name, "fine");
	expect_gap(&r, "expression refused: refused");
	rig_done(&r);
}

/* Trouble that is not the expression's is the stream's: nothing is frozen without it. */
static void
test_other_refusals_are_not_the_expressions(void **state)
{
	static const char *const codes[] = {"LimitExceeded", "InternalServiceFault", "AccessDenied",
					    ""};
	struct rig r;

	(void)state;
	rig_init(&r, "from: [" ALB_ENTRY "]");
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		rig_open(&r, NULL, 1);
		assert_non_null(rig_next(&r));
		assert_int_equal(rig_refuse(&r, 400, codes[i], "{}"), -1);
	}
	rig_done(&r);
}

/* Values that depend on more than their own time: a cell at a time, with the one before it for what
 * looks back. So a cell holds the same whatever is pulled with it. */
static void
test_cells_apart(void **state)
{
	static const char yaml[] =
	    "from: [{expression: \"RATE(SUM(SEARCH('{A,B} x', 'Sum')))\", name: rate},"
	    "{expression: \"SUM(SUM(SEARCH('{A,B} x', 'Sum')))\", name: total}]";
	struct rig r;

	(void)state;
	rig_init(&r, yaml);
	rig_open(&r, NULL, 2);
	rig_say(&r, "\"StartTime\":1767225300,\"EndTime\":1767225900,",
		DATA_OF(RESULT("m0", "1767225540," T0, "9,1", "Complete")));
	rig_say(&r, "\"StartTime\":1767225600,\"EndTime\":1767226200,",
		DATA_OF(RESULT("m0", T0 ",1767225900", "9,2", "Complete")));
	rig_say(&r, "\"StartTime\":1767225600,\"EndTime\":1767225900,",
		DATA_OF(RESULT("m0", T0, "3", "Complete")));
	rig_say(&r, "\"StartTime\":1767225900,\"EndTime\":1767226200,",
		DATA_OF(RESULT("m0", "1767225900", "4", "Complete")));
	rig_complete(&r, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(r.data[i].n_rows, 2);
		assert_true(r.data[i].rows[0].values[0] == (double)i + 1);
		assert_true(r.data[i].rows[1].values[0] == (double)i + 3);
		assert_int_equal(r.data[i].n_rejected, 0);
	}
	rig_done(&r);
}

/* P3: what is not complete is asked for again, expression by expression, and never taken for
 * nothing. */
static void
test_asked_again(void **state)
{
	static const char yaml[] =
	    "from: [" ALB_ENTRY ", {expression: \"SUM(SEARCH('x', 'Sum'))\", name: x}]";
	struct rig r;

	(void)state;
	rig_init(&r, yaml);
	rig_open(&r, NULL, 1);
	rig_say(
	    &r, "LoadBalancer",
	    DATA_OF(LABELLED(LABEL("111122223333", "5XX", "a"), T0,
			     "1") ","
				  "{\"Id\":\"m0\",\"Label\":\"" LABEL(
				      "111122223333", "5XX",
				      "b") "\",\"Timestamps\":[" T0
					   "],\"Values\":[5],\"StatusCode\":\"InternalError\"}"));
	rig_say(&r, "SEARCH('x'", DATA_OF(RESULT("m0", T0, "3", "Complete")));
	assert_string_equal(
	    rig_missing(&r),
	    "1 of 2 questions about expressions not complete, for one elb_5xx InternalError");
	assert_non_null(strstr(rig_next(&r), "LoadBalancer"));
	assert_int_equal(r.call.wait_ms, 1000);
	rig_answer(&r, DATA_OF(LABELLED(LABEL("111122223333", "5XX", "a"), T1, "1")));
	rig_complete(&r, 1);
	assert_int_equal(r.data[0].n_rows, 2);
	/* The answer is the answer: nothing is left of the one before. */
	assert_true(isnan(r.data[0].rows[0].values[0]));
	assert_true(r.data[0].rows[0].values[1] == 1);
	rig_done(&r);
}

/* An expression over metrics has a result, or the answer is not whole. */
static void
test_no_result_is_no_answer(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, JOINED);
	rig_open(&r, NULL, 1);
	rig_say(&r, "", LIST_OF(SC("RequestCountPerTarget", SC_DIMS("web"))));
	rig_say(&r, "100 * m2", DATA_OF(""));
	rig_say(&r, "100 * m2", DATA_OF(RESULT("m3", T0, "1", "PartialData")));
	assert_non_null(rig_next(&r));
	assert_true(job_metrics.make_do(r.p));
	rig_complete(&r, 1);
	assert_int_equal(r.data[0].n_rows, 0);
	rig_done(&r);
}

/* Given up among the metrics: that expressions were never asked for is on record. */
static void
test_make_do_before_expressions(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, "from: [{namespace: ECS/ContainerInsights}, " ALB_ENTRY "]");
	rig_open(&r, NULL, 1);
	rig_say(&r, "", LIST_OF(SERVICE("CpuUtilized", "web")));
	rig_say(&r, "", DATA_OF(RESULT("m0", "", "", "Forbidden")));
	assert_true(job_metrics.make_do(r.p));
	expect_gap(&r, "expressions were not asked for");
	rig_done(&r);
}

static void
test_garbage(void **state)
{
	static const char *const t[] = {
	    DATA_OF(RESULT("m0", T0, "1", "Complete")), /* an input */
	    DATA_OF(RESULT("m7", T0, "1", "Complete")), /* of no question */
	    DATA_OF(RESULT("x", T0, "1", "Complete")),
	    "{}",
	};
	struct rig r;

	(void)state;
	rig_init(&r, JOINED);
	rig_open(&r, NULL, 1);
	rig_say(&r, "", LIST_OF(SC("RequestCountPerTarget", SC_DIMS("web"))));
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		assert_non_null(rig_next(&r));
		rig_garbage(&r, t[i]);
	}
	/* Two results of one expression that is one series. */
	rig_say(&r, "100 * m2",
		DATA_OF(RESULT("m3", T0, "1", "Complete") "," RESULT("m3", T0, "2", "Complete")));
	rig_complete(&r, 1);
	assert_int_equal(r.data[0].n_rows, 0);
	expect_gap(&r, "several series where one was expected");
	rig_done(&r);
}

/* As many as a SEARCH can give: they may not be all, and that is on record. */
static void
test_a_search_at_its_limit(void **state)
{
	static const struct {
		unsigned n;
		bool doubt;
	} t[] = {{99, false}, {100, true}, {101, false}, {499, false}, {500, true}};
	struct rig r;

	(void)state;
	rig_init(&r, "from: [" ALB_ENTRY "]");
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		CLEANUP(buf_done) struct buf b = BUF_INIT((size_t)1 << 20);

		buf_str(&b, "{\"MetricDataResults\":[");
		for (unsigned k = 0; k < t[i].n; k++)
			buf_fmt(&b,
				"%s{\"Id\":\"m0\",\"Label\":\"111122223333" SEP "x" SEP
				"lb%u\",\"Timestamps\":[" T0
				"],\"Values\":[1],\"StatusCode\":\"Complete\"}",
				k ? "," : "", k);
		buf_str(&b, "]}");
		rig_open(&r, NULL, 1);
		assert_non_null(rig_next(&r));
		rig_answer(&r, buf_cstr(&b));
		rig_complete(&r, 1);
		assert_int_equal(r.data[0].n_rows, t[i].n);
		if (t[i].doubt)
			expect_gap(&r, "series, which may not be all that its SEARCH finds");
		else
			expect_no_gap(&r);
	}
	rig_done(&r);
}

/* A metric whose series has the same name and labels was there first. */
static void
test_collision_with_a_metric(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, "from: [{namespace: A, metrics: [x], dimensions: [[]]}, "
		     "{expression: \"SUM(SEARCH('{A,B} x', 'Sum'))\", name: aws_a_x_average}]");
	rig_open(&r, NULL, 1);
	rig_say(&r, "", LIST_OF(METRIC("A", "x", "")));
	rig_say(&r, "", DATA_OF(RESULT("m0", T0, "1", "Complete")));
	rig_say(&r, "", DATA_OF(RESULT("m0", T0 "," T1, "2,3", "Complete")));
	rig_complete(&r, 1);
	assert_int_equal(r.data[0].n_rows, 1);
	assert_true(r.data[0].rows[0].values[0] == 1);
	assert_int_equal(r.data[0].n_rejected, 2);
	rig_done(&r);
}

/* What keep and drop leave out is not asked for, and so not paid for. */
static void
test_keep_and_drop(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, "{from: [" ALB_ENTRY "], drop: 'elb_.*'}");
	rig_open(&r, NULL, 1);
	assert_null(rig_next(&r));
	rig_done(&r);
	rig_init(&r, "{from: [" ALB_ENTRY "], keep: 'acme_elb_5xx', naming: tenant-prefix}");
	rig_open(&r, NULL, 1);
	rig_say(&r, "", DATA_OF(LABELLED(LABEL("111122223333", "5XX", "a"), T0, "1")));
	rig_complete(&r, 1);
	assert_string_equal(r.data[0].rows[0].series->name, "acme_elb_5xx");
	rig_done(&r);
}

/* 500 queries a call: as many whole sets of inputs and result as fit. */
static void
test_many_services(void **state)
{
	CLEANUP(buf_done) struct buf list = BUF_INIT((size_t)1 << 20);
	struct rig r;

	(void)state;
	rig_init(
	    &r,
	    "from: [{id: a, namespace: A, metrics: [x], dimensions: [[D]]}, {id: b, namespace: A, "
	    "metrics: [y], dimensions: [[D]]}, {expression: a + b, name: sum}]");
	buf_str(&list, "{\"Metrics\":[");
	for (int i = 0; i < 200; i++)
		buf_fmt(&list,
			"%s{\"Namespace\":\"A\",\"MetricName\":\"x\",\"Dimensions\":[{\"Name\":"
			"\"D\",\"Value\":"
			"\"%03d\"}]}",
			i ? "," : "", i);
	buf_str(&list, "]}");
	rig_open(&r, NULL, 1);
	assert_non_null(rig_next(&r));
	rig_answer(&r, buf_cstr(&list));
	for (int call = 0; call < 2; call++) {
		CLEANUP(buf_done) struct buf b = BUF_INIT((size_t)1 << 20);
		const char *asked = rig_next(&r);
		int n = call ? 34 : 166;

		assert_non_null(strstr(asked, call ? "\"Id\":\"m101\"" : "\"Id\":\"m497\""));
		assert_null(strstr(asked, call ? "\"Id\":\"m102\"" : "\"Id\":\"m498\""));
		buf_str(&b, "{\"MetricDataResults\":[");
		for (int i = 0; i < n; i++)
			buf_fmt(&b,
				"%s{\"Id\":\"m%d\",\"Timestamps\":[" T0
				"],\"Values\":[%d],\"StatusCode\":"
				"\"Complete\"}",
				i ? "," : "", i * 3 + 2, call * 166 + i);
		buf_str(&b, "]}");
		rig_answer(&r, buf_cstr(&b));
	}
	rig_complete(&r, 1);
	assert_int_equal(r.data[0].n_rows, 200);
	for (size_t i = 0; i < 200; i++)
		assert_true(r.data[0].rows[i].values[0] == (double)i);
	rig_done(&r);
}

static void
hear(void *arg, const char *text)
{
	(void)snprintf(arg, 1024, "%s", text);
}

/* What is asked for cell by cell costs more, and whoever writes it is told. */
static void
test_advice(void **state)
{
	static const struct {
		const char *yaml;
		bool told;
	} t[] = {
	    {"from: [" ALB_ENTRY "]", false},
	    {"from: [{expression: \"RATE(SUM(SEARCH('{A,B} x', 'Sum')))\", name: rate}]", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		char heard[1024] = "";
		struct rig r;

		rig_init(&r, t[i].yaml);
		job_metrics.advise(&r.opts, hear, heard);
		assert_int_equal(heard[0] != 0, t[i].told);
		assert_true(!t[i].told || strstr(heard, "expression rate depends on more than"));
		rig_done(&r);
	}
}

/* Whatever decides an expression's data is of the job's definition. */
static void
test_definition(void **state)
{
	static const char *const yaml[] = {
	    "from: [{namespace: A, metrics: [x], statistics: [Sum]}]",
	    "from: [{id: a, namespace: A, metrics: [x], statistics: [Sum]}, {expression: a, name: "
	    "n}]",
	    "from: [{id: a, namespace: A, metrics: [x], statistics: [Sum]}, {expression: a+1, "
	    "name: n}]",
	    "from: [{id: a, namespace: A, metrics: [x], statistics: [Sum]}, {expression: a, name: "
	    "o}]",
	};
	char text[ARRAY_LEN(yaml)][1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(yaml); i++) {
		CLEANUP(buf_done) struct buf b = BUF_INIT(1024);
		struct rig r;

		rig_init(&r, yaml[i]);
		job_metrics.definition(&r.common, &r.opts, &b);
		(void)snprintf(text[i], sizeof(text[i]), "%s", buf_cstr(&b));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(text[k], text[i]);
		rig_done(&r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_joined_by_dimensions),
	    cmocka_unit_test(test_lines_read_back),
	    cmocka_unit_test(test_nothing_to_compute),
	    cmocka_unit_test(test_search_of_one_series),
	    cmocka_unit_test(test_search_of_many_series),
	    cmocka_unit_test(test_series_that_cannot_be_told_apart),
	    cmocka_unit_test(test_another_accounts_series),
	    cmocka_unit_test(test_a_bad_expression_costs_itself),
	    cmocka_unit_test(test_other_refusals_are_not_the_expressions),
	    cmocka_unit_test(test_cells_apart),
	    cmocka_unit_test(test_asked_again),
	    cmocka_unit_test(test_no_result_is_no_answer),
	    cmocka_unit_test(test_make_do_before_expressions),
	    cmocka_unit_test(test_garbage),
	    cmocka_unit_test(test_a_search_at_its_limit),
	    cmocka_unit_test(test_collision_with_a_metric),
	    cmocka_unit_test(test_keep_and_drop),
	    cmocka_unit_test(test_many_services),
	    cmocka_unit_test(test_advice),
	    cmocka_unit_test(test_definition),
	};

	return cmocka_run_group_tests_name("jobs/metrics_math", tests, NULL, NULL);
}
