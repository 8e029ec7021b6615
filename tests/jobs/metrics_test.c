/*
 * Pulling metrics, step by step: what is asked for, in which order, what counts as an answer, and
 * what becomes of it.
 */
#include <math.h>

#include "metrics_rig.h"

/* One metric, so that tests of the data phase have little to say. */
#define ONE LIST_OF(SERVICE("CpuUtilized", "web"))
#define TWO LIST_OF(SERVICE("CpuUtilized", "web") "," SERVICE("MemoryUtilized", "web"))

#define CPU_LINE(start, values)                                                                    \
	"{\"ts\":\"" start                                                                         \
	"\",\"tenant\":\"acme\",\"account_id\":\"111122223333\",\"region\":\"eu-west-1\","         \
	"\"job\":\"ecs\",\"name\":\"ecs_task_cpu_utilized\",\"stat\":\"Average\",\"unit\":"        \
	"\"None\",\"period\":60,"                                                                  \
	"\"labels\":{\"cluster\":\"c\",\"service\":\"web\",\"tier\":\"gold\"},\"values\":[" values \
	"]}\n"

static void
test_two_cells_in_one_request(void **state)
{
	struct rig r;
	uint64_t metrics, bytes;

	(void)state;
	rig_init(&r, "{}");
	rig_open(&r, NULL, 2);
	rig_say(&r, "{\"Namespace\":\"ECS/ContainerInsights\",\"RecentlyActive\":\"PT3H\"}", ONE);
	rig_say(
	    &r,
	    "{\"MetricDataQueries\":[{\"Id\":\"m0\",\"MetricStat\":{\"Metric\":{\"Namespace\":"
	    "\"ECS/ContainerInsights\","
	    "\"MetricName\":\"CpuUtilized\",\"Dimensions\":[{\"Name\":\"ClusterName\",\"Value\":"
	    "\"c\"},"
	    "{\"Name\":\"ServiceName\",\"Value\":\"web\"}]},\"Period\":60,\"Stat\":\"Average\"}}],"
	    "\"StartTime\":1767225600,\"EndTime\":1767226200,\"ScanBy\":\"TimestampAscending\","
	    "\"MaxDatapoints\":100800}",
	    DATA_OF(RESULT("m0", "1767225600,1767225840,1767225900,1767226140", "1,2.5,3,4",
			   "Complete")));
	rig_complete(&r, 2);
	assert_string_equal(rig_lines(&r, 0),
			    CPU_LINE("2026-01-01T00:00:00.000Z", "1,null,null,null,2.5"));
	assert_string_equal(rig_lines(&r, 1),
			    CPU_LINE("2026-01-01T00:05:00.000Z", "3,null,null,null,4"));
	assert_int_equal(r.data[0].n_rows, 1);
	assert_int_equal(r.data[0].n_samples, 2);
	assert_int_equal(r.data[0].n_rejected, 0);
	assert_int_equal(r.data[1].rows[0].first_ms, START + CELL_MS);
	job_metrics.billed(r.p, &metrics, &bytes);
	assert_int_equal(metrics, 1);
	assert_int_equal(bytes, 0);
	rig_done(&r);
}

/* What was frozen reads back as the rows that were harvested. */
static void
test_lines_read_back(void **state)
{
	struct cell_data again;
	struct rig r;

	(void)state;
	rig_init(&r, "{}");
	rig_open(&r, NULL, 1);
	rig_say(&r, "", TWO);
	rig_say(&r, "",
		DATA_OF(RESULT("m0", "1767225600", "1", "Complete") "," RESULT("m1", "1767225660",
									       "2", "Complete")));
	rig_complete(&r, 1);
	assert_int_equal(r.data[0].n_rows, 2);
	cell_data_init(&again, r.cells[0]);
	buf_sv(&again.ndjson, buf_view(&r.data[0].ndjson));
	assert_int_equal(job_metrics.adopt(&r.s, &again, &r.err), 0);
	assert_int_equal(again.n_rows, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(series_cmp(again.rows[i].series, r.data[0].rows[i].series), 0);
		assert_int_equal(again.rows[i].n, r.data[0].rows[i].n);
	}
	cell_data_done(&again);
	rig_done(&r);
}

static void
test_nothing_there(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, "{}");
	rig_open(&r, NULL, 1);
	rig_say(&r, "", LIST_OF(""));
	rig_complete(&r, 1);
	assert_int_equal(r.data[0].ndjson.n, 0);
	assert_int_equal(r.data[0].n_rows, 0);
	/* A metric without points leaves no line. */
	rig_open(&r, NULL, 1);
	rig_say(&r, "", ONE);
	rig_say(&r, "", DATA_OF(RESULT("m0", "", "", "Complete")));
	rig_complete(&r, 1);
	assert_int_equal(r.data[0].ndjson.n, 0);
	rig_done(&r);
}

/* Of the cells in front of those that are handed over nothing is kept; what comes behind does not
 * change. */
static void
test_cells_one_by_one(void **state)
{
	static const char *const lines[] = {
	    CPU_LINE("2026-01-01T00:00:00.000Z", "1,null,null,null,5"),
	    CPU_LINE("2026-01-01T00:05:00.000Z", "2,null,null,null,null"),
	    CPU_LINE("2026-01-01T00:10:00.000Z", "null,null,null,null,3"),
	};
	struct rig r;

	(void)state;
	rig_init(&r, "{}");
	rig_open(&r, NULL, 3);
	rig_say(&r, "", ONE);
	rig_say(&r, "",
		DATA_OF(RESULT("m0", "1767225600,1767225840,1767225900,1767226440", "1,5,2,3",
			       "Complete")));
	assert_null(rig_next(&r));
	r.n_cells = 3;
	for (size_t i = 0; i < 3; i++) {
		cell_data_init(&r.data[i], r.cells[i]);
		assert_int_equal(job_metrics.harvest(r.p, &r.data[i], 1, &r.err), 0);
		assert_string_equal(rig_lines(&r, i), lines[i]);
		assert_int_equal(r.data[i].n_rows, 1);
		assert_int_equal(sample_points(r.data[i].rows), i ? 1 : 2);
	}
	rig_done(&r);
}

/* Cells that are only looked at again have rows and no lines. */
static void
test_rows_only(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, "{}");
	rig_open(&r, NULL, 2);
	rig_say(&r, "", ONE);
	rig_say(&r, "", DATA_OF(RESULT("m0", "1767225600,1767225900", "1,2", "Complete")));
	assert_null(rig_next(&r));
	for (size_t i = 0; i < 2; i++)
		cell_data_init(&r.data[i], r.cells[i]);
	r.n_cells = 2;
	r.data[0].rows_only = true;
	assert_int_equal(job_metrics.harvest(r.p, r.data, 2, &r.err), 0);
	assert_int_equal(r.data[0].ndjson.n, 0);
	assert_int_equal(r.data[0].n_rows, 1);
	assert_true(r.data[0].rows[0].values[0] == 1);
	assert_string_equal(rig_lines(&r, 1),
			    CPU_LINE("2026-01-01T00:05:00.000Z", "2,null,null,null,null"));
	rig_done(&r);
}

/* `revisit`, or as long as a birth may take to be found; nothing where it is switched off. */
static void
test_reach(void **state)
{
	static const struct {
		const char *yaml;
		int64_t revisit_min, reach_min;
	} t[] = {
	    {"{}", 30, 30},
	    {"{}", 60, 60},
	    {"{}", 5, 30},
	    {"{discover_every: 1h}", 30, 80},
	    {"{discover_every: 1d}", 30, 180},
	    {"{}", 0, 0},
	};
	struct rig r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		rig_init(&r, t[i].yaml);
		r.common.revisit_ms = t[i].revisit_min * 60000;
		assert_int_equal(job_metrics.reach_ms(&r.s), t[i].reach_min * 60000);
		rig_done(&r);
	}
}

/* What will not be had: whole answers stay, a list that is not whole is none. */
static void
test_make_do(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, "{}");
	rig_open(&r, NULL, 1);
	assert_false(job_metrics.make_do(r.p));
	rig_say(&r, "", TWO);
	rig_say(&r, "",
		DATA_OF(RESULT("m0", "1767225600", "1",
			       "Complete") "," RESULT("m1", "1767225660", "2", "InternalError")));
	assert_non_null(rig_next(&r));
	assert_true(job_metrics.make_do(r.p));
	rig_complete(&r, 1);
	assert_int_equal(r.data[0].n_rows, 1);
	assert_int_equal(r.data[0].n_samples, 1);
	rig_done(&r);
}

/* CloudWatch would answer with nothing, and not with an error. */
static void
test_what_is_kept_no_longer_is_a_gap(void **state)
{
	const int64_t kept_ms = INT64_C(15) * 24 * 60 * 60000;
	const struct job_gap *gaps;
	struct rig r;

	(void)state;
	rig_init(&r, "{}");
	rig_open_at(&r, NULL, START, 3, START + CELL_MS + 1 + kept_ms);
	rig_say(&r, "", TWO);
	rig_say(&r, "\"StartTime\":1767226200,",
		DATA_OF(RESULT("m0", "1767226200", "1", "Complete") "," RESULT("m1", "1767226200",
									       "2", "Complete")));
	rig_complete(&r, 3);
	assert_int_equal(r.data[0].n_samples + r.data[1].n_samples, 0);
	assert_int_equal(r.data[2].n_samples, 2);
	assert_int_equal(job_metrics.gaps(r.p, &gaps), 1);
	assert_int_equal(gaps[0].from_ms, START);
	assert_int_equal(gaps[0].to_ms, START + 2 * CELL_MS);
	assert_string_equal(gaps[0].reason,
			    "CloudWatch keeps points of a period of 1m only for 15 days");
	rig_done(&r);
}

/* Selection */

static void
test_eight_by_default(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, "{}");
	rig_open(&r, NULL, 1);
	rig_say(
	    &r, "",
	    LIST_OF(SERVICE("TaskCount", "web") "," SERVICE("StorageReadBytes", "web") "," SERVICE("CpuReserved", "web") "," METRIC(
		"ECS/ContainerInsights", "CpuUtilized",
		DIM("ClusterName",
		    "c")) "," METRIC("ECS/ContainerInsights", "CpuUtilized",
				     DIM("ClusterName", "c") "," DIM("ServiceName", "web") "," DIM(
					 "TaskId", "t")) "," METRIC("AWS/ECS", "CpuUtilized",
								    DIM("ClusterName", "c") "," DIM(
									"ServiceName", "web"))));
	assert_non_null(rig_next(&r));
	assert_non_null(strstr(buf_cstr(&r.call.body),
			       "\"Id\":\"m0\",\"MetricStat\":{\"Metric\":{\"Namespace\":"
			       "\"ECS/ContainerInsights\",\"MetricName\":\"CpuReserved\""));
	assert_non_null(strstr(buf_cstr(&r.call.body), "\"MetricName\":\"StorageReadBytes\""));
	assert_null(strstr(buf_cstr(&r.call.body), "\"m2\""));
	rig_done(&r);
}

static void
test_wildcards_and_where(void **state)
{
	struct rig r;

	(void)state;
	rig_init(
	    &r,
	    "from:\n"
	    "- {namespace: Checkout, metrics: ['ord*', Exact], where: {Environment: 'prod*'}}\n");
	rig_open(&r, NULL, 1);
	rig_say(
	    &r, "\"Namespace\":\"Checkout\"",
	    LIST_OF(METRIC("Checkout", "orders", DIM("Environment", "prod-1")) "," METRIC(
		"Checkout", "orders",
		DIM("Environment",
		    "staging")) "," METRIC("Checkout", "orders",
					   "") "," METRIC("Checkout", "Exactly",
							  DIM("Environment",
							      "prod")) "," METRIC("Checkout",
										  "Exact",
										  DIM("Environment", "prod") "," DIM(
										      "Shop",
										      "x/y"))));
	assert_non_null(rig_next(&r));
	assert_non_null(
	    strstr(buf_cstr(&r.call.body),
		   "\"Id\":\"m0\",\"MetricStat\":{\"Metric\":{\"Namespace\":\"Checkout\","
		   "\"MetricName\":\"Exact\""));
	assert_non_null(
	    strstr(buf_cstr(&r.call.body),
		   "\"Id\":\"m1\",\"MetricStat\":{\"Metric\":{\"Namespace\":\"Checkout\","
		   "\"MetricName\":\"orders\",\"Dimensions\":[{\"Name\":\"Environment\","
		   "\"Value\":\"prod-1\"}]"));
	assert_null(strstr(buf_cstr(&r.call.body), "\"m2\""));
	rig_done(&r);
}

/* One listing a namespace; a metric that two entries want is asked for once with each statistic. */
static void
test_entries_share(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, "from:\n"
		     "- {namespace: B, metrics: [x], statistics: [Sum, Average, Sum]}\n"
		     "- {namespace: A}\n"
		     "- {namespace: B, metrics: ['*'], statistics: [Average, p99]}\n");
	rig_open(&r, NULL, 1);
	rig_say(&r, "\"Namespace\":\"A\"", LIST_OF(METRIC("A", "z", "")));
	rig_say(&r, "\"Namespace\":\"B\"", LIST_OF(METRIC("B", "x", "")));
	assert_non_null(rig_next(&r));
	assert_non_null(strstr(buf_cstr(&r.call.body),
			       "\"m0\",\"MetricStat\":{\"Metric\":{\"Namespace\":\"A\""));
	assert_non_null(strstr(buf_cstr(&r.call.body), "\"Stat\":\"Sum\"}},{\"Id\":\"m2\""));
	assert_non_null(strstr(buf_cstr(&r.call.body), "\"Stat\":\"Average\"}},{\"Id\":\"m3\""));
	assert_non_null(strstr(buf_cstr(&r.call.body), "\"Stat\":\"p99\"}}],"));
	rig_done(&r);
}

static void
test_keep_and_drop(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, "keep: 'ecs_task_(cpu|memory)_.*'\n"
		     "drop: 'ecs_task_memory|.*_reserved'\n");
	rig_open(&r, NULL, 1);
	rig_say(&r, "",
		LIST_OF(SERVICE("CpuReserved", "web") "," SERVICE("CpuUtilized", "web") "," SERVICE(
		    "MemoryUtilized", "web") "," SERVICE("NetworkRxBytes", "web")));
	assert_non_null(rig_next(&r));
	assert_non_null(strstr(buf_cstr(&r.call.body), "CpuUtilized"));
	assert_non_null(strstr(buf_cstr(&r.call.body), "MemoryUtilized"));
	assert_null(strstr(buf_cstr(&r.call.body), "CpuReserved"));
	assert_null(strstr(buf_cstr(&r.call.body), "NetworkRxBytes"));
	rig_done(&r);
	/* Nothing left: nothing is asked. */
	rig_init(&r, "keep: 'nothing'\n");
	rig_open(&r, NULL, 1);
	rig_say(&r, "", ONE);
	rig_complete(&r, 1);
	rig_done(&r);
}

static const struct {
	const char *yaml;
	const char *metric;
	const char *want; /* in the line's labels */
} sets[] = {
    {"{}", SERVICE("CpuUtilized", "web"), "\"labels\":{\"cluster\":\"c\",\"service\":\"web\","},
    {"from: [{namespace: ECS/ContainerInsights, dimensions: [[ClusterName, ServiceName], "
     "[ServiceName, ClusterName]]}]",
     SERVICE("CpuUtilized", "web"), "\"labels\":{\"cluster\":\"c\",\"service\":\"web\","},
    {"from: [{namespace: ECS/ContainerInsights, dimensions: [[ClusterName, ServiceName], "
     "[ClusterName]]}]",
     SERVICE("CpuUtilized", "web"),
     "\"labels\":{\"cluster\":\"c\",\"dimension_set\":\"cluster_service\",\"service\":\"web\","},
    {"from: [{namespace: ECS/ContainerInsights, dimensions: [['*']]}]",
     SERVICE("CpuUtilized", "web"), "\"dimension_set\":\"cluster_service\""},
    {"from: [{namespace: ECS/ContainerInsights}, {namespace: ECS/ContainerInsights, dimensions: "
     "[[ClusterName]]}]",
     SERVICE("CpuUtilized", "web"), "\"dimension_set\":\"cluster_service\""},
    {"from: [{namespace: ECS/ContainerInsights}, "
     "{namespace: ECS/ContainerInsights, metrics: [TaskCount], dimensions: [[ClusterName]]}]",
     SERVICE("CpuUtilized", "web"), "\"labels\":{\"cluster\":\"c\",\"service\":\"web\","},
    {"from: [{namespace: Checkout, dimensions: [[Shop]]}]",
     METRIC("Checkout", "n", DIM("Shop", "s")), "\"labels\":{\"shop\":\"s\","},
    {"from: [{namespace: Checkout}]", METRIC("Checkout", "n", DIM("Shop", "s")),
     "\"dimension_set\":\"shop\""},
    {"from: [{namespace: Checkout, dimensions: [[]]}]", METRIC("Checkout", "n", ""),
     "\"labels\":{\"tier\":\"gold\"}"},
};

/* The label is a matter of what is asked, not of what happens to be there. */
static void
test_dimension_set(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		char list[512];
		struct rig r;

		rig_init(&r, sets[i].yaml);
		rig_open(&r, NULL, 1);
		(void)snprintf(list, sizeof(list), "{\"Metrics\":[%s]}", sets[i].metric);
		rig_say(&r, "", list);
		rig_say(&r, "", DATA_OF(RESULT("m0", "1767225600", "1", "Complete")));
		rig_complete(&r, 1);
		if (!strstr(rig_lines(&r, 0), sets[i].want))
			fail_msg("%s: %s", sets[i].yaml, rig_lines(&r, 0));
		rig_done(&r);
	}
}

/* Two metrics whose names become one: the first stays, the other's points are counted. */
static void
test_collision(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, "from: [{namespace: Checkout, dimensions: [[]]}]");
	rig_open(&r, NULL, 1);
	rig_say(&r, "", LIST_OF(METRIC("Checkout", "a.b", "") "," METRIC("Checkout", "a-b", "")));
	rig_say(&r, "",
		DATA_OF(RESULT("m0", "1767225600", "1", "Complete") "," RESULT(
		    "m1", "1767225600,1767225660", "7,8", "Complete")));
	rig_complete(&r, 1);
	assert_int_equal(r.data[0].n_rows, 1);
	assert_int_equal(r.data[0].n_rejected, 2);
	assert_non_null(strstr(rig_lines(&r, 0), "\"values\":[1,null,null,null,null]"));
	rig_done(&r);
}

/* Listing */

static void
test_list_pages(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, "{}");
	rig_open(&r, NULL, 1);
	rig_say(&r, "\"PT3H\"}",
		"{\"Metrics\":[" SERVICE("CpuUtilized", "b") "],\"NextToken\":\"t1\"}");
	assert_string_equal(rig_missing(&r),
			    "the list of metrics of ECS/ContainerInsights is at page 2");
	rig_say(&r, "\"NextToken\":\"t1\"}",
		"{\"Metrics\":[],\"NextToken\":\"t2\"}"); /* empty, and not the end */
	rig_say(&r, "\"NextToken\":\"t2\"}",
		LIST_OF(SERVICE("CpuUtilized", "a") "," SERVICE("CpuUtilized", "b")));
	assert_non_null(rig_next(&r));
	assert_non_null(
	    strstr(buf_cstr(&r.call.body),
		   "\"Value\":\"a\"}]},\"Period\":60,\"Stat\":\"Average\"}},{\"Id\":\"m1\""));
	assert_null(strstr(buf_cstr(&r.call.body), "\"m2\"")); /* listed twice is there once */
	rig_done(&r);
}

static void
test_list_token_repeats(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, "{}");
	rig_open(&r, NULL, 1);
	rig_say(&r, "", "{\"Metrics\":[],\"NextToken\":\"t1\"}");
	rig_say(&r, "t1", "{\"Metrics\":[],\"NextToken\":\"t2\"}");
	assert_non_null(rig_next(&r));
	rig_garbage(&r, "{\"Metrics\":[],\"NextToken\":\"t1\"}");
	/* The same page again, this time with an end. */
	rig_say(&r, "\"t2\"", ONE);
	rig_say(&r, "CpuUtilized", DATA_OF(RESULT("m0", "", "", "Complete")));
	rig_complete(&r, 1);
	rig_done(&r);
}

static void
test_list_pages_end(void **state)
{
	struct rig r;
	int pages = 0;

	(void)state;
	rig_init(&r, "{}");
	rig_open(&r, NULL, 1);
	for (;; pages++) {
		char answer[64];

		assert_true(pages < 10000);
		assert_non_null(rig_next(&r));
		(void)snprintf(answer, sizeof(answer), "{\"Metrics\":[],\"NextToken\":\"t%d\"}",
			       pages);
		if (rig_reply_n(&r, 200, sv_of(answer)))
			break;
	}
	assert_int_equal(r.err.kind, ERR_DATA);
	assert_non_null(strstr(r.err.msg, "pages"));
	rig_done(&r);
}

static void
test_list_expired_token(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, "{}");
	rig_open(&r, NULL, 1);
	for (int i = 0; i < 3; i++) {
		rig_say(&r, "\"PT3H\"}", "{\"Metrics\":[],\"NextToken\":\"t1\"}");
		assert_non_null(rig_next(&r));
		assert_int_equal(rig_refuse(&r, 400, "InvalidNextToken", "{}"), 0);
	}
	rig_say(&r, "\"PT3H\"}", "{\"Metrics\":[],\"NextToken\":\"t1\"}");
	assert_non_null(rig_next(&r));
	assert_int_equal(rig_refuse(&r, 400, "InvalidNextToken", "{}"), -1);
	assert_int_equal(r.err.kind, ERR_REJECTED);
	rig_done(&r);
}

/* A metric that cannot be asked for does not spoil the call for the others. */
static void
test_list_impossible_metrics(void **state)
{
	CLEANUP(buf_done) struct buf list = BUF_INIT((size_t)1 << 16);
	struct rig r;

	(void)state;
	rig_init(&r, "from: [{namespace: Checkout}]");
	rig_open(&r, NULL, 1);
	buf_str(&list,
		"{\"Metrics\":[" METRIC("Checkout", "n", DIM("A", "1") "," DIM("A", "2")) ",");
	buf_str(&list, METRIC("Other", "n", "") "," METRIC("Checkout", "ok", "") ",");
	buf_str(&list, "{\"Namespace\":\"Checkout\",\"MetricName\":\"many\",\"Dimensions\":[");
	for (int i = 0; i <= CW_DIMENSIONS_MAX; i++)
		buf_fmt(&list, "%s{\"Name\":\"d%d\",\"Value\":\"v\"}", i ? "," : "", i);
	buf_str(&list, "]}]}");
	rig_say(&r, "", buf_cstr(&list));
	assert_non_null(rig_next(&r));
	assert_non_null(strstr(buf_cstr(&r.call.body), "\"MetricName\":\"ok\""));
	assert_null(strstr(buf_cstr(&r.call.body), "\"m1\""));
	rig_done(&r);
}

/* Data */

static void
start_data(struct rig *r, const char *list)
{
	rig_init(r, "{}");
	rig_open(r, NULL, 1);
	rig_say(r, "", list);
}

static void
test_data_pages(void **state)
{
	struct rig r;
	uint64_t metrics, bytes;

	(void)state;
	start_data(&r, TWO);
	rig_say(&r, "\"m1\"",
		"{\"MetricDataResults\":[" RESULT("m0", "1767225600", "1",
						  "PartialData") "],\"NextToken\":\"t1\"}");
	rig_say(&r, ",\"NextToken\":\"t1\"}",
		"{\"MetricDataResults\":[],\"NextToken\":\"t2\"}"); /* empty is not the end */
	rig_say(&r, ",\"NextToken\":\"t2\"}",
		"{\"MetricDataResults\":[" RESULT("m0", "1767225660", "2", "Complete") "," RESULT(
		    "m1", "1767225600", "9", "Complete") "],\"NextToken\":\"\"}");
	rig_complete(&r, 1);
	assert_non_null(strstr(rig_lines(&r, 0), "\"values\":[1,2,null,null,null]"));
	assert_non_null(strstr(rig_lines(&r, 0), "\"values\":[9,null,null,null,null]"));
	job_metrics.billed(r.p, &metrics, &bytes);
	assert_int_equal(metrics, 6);
	rig_done(&r);
}

static void
test_data_token_repeats(void **state)
{
	struct rig r;

	(void)state;
	start_data(&r, ONE);
	rig_say(&r, "", "{\"MetricDataResults\":[],\"NextToken\":\"t1\"}");
	assert_non_null(rig_next(&r));
	rig_garbage(&r, "{\"MetricDataResults\":[" RESULT("m0", "1767225600", "1",
							  "PartialData") "],\"NextToken\":\"t1\"}");
	assert_non_null(strstr(r.err.msg, "NextToken"));
	rig_say(&r, "\"t1\"", DATA_OF(RESULT("m0", "1767225600", "2", "Complete")));
	rig_complete(&r, 1);
	assert_non_null(strstr(rig_lines(&r, 0), "\"values\":[2,"));
	rig_done(&r);
}

/* An expired token: the chunk from its beginning, and nothing of the first try stays. */
static void
test_data_expired_token(void **state)
{
	struct rig r;

	(void)state;
	start_data(&r, ONE);
	for (int i = 0; i < 3; i++) {
		rig_say(&r, "\"MaxDatapoints\":100800}",
			"{\"MetricDataResults\":[" RESULT("m0", "1767225600", "1",
							  "PartialData") "],\"NextToken\":\"t1\"}");
		assert_non_null(rig_next(&r));
		assert_int_equal(rig_refuse(&r, 400, "InvalidNextTokenException", "{}"), 0);
	}
	rig_say(&r, "\"MaxDatapoints\":100800}", "{\"MetricDataResults\":[],\"NextToken\":\"t1\"}");
	rig_say(&r, "\"t1\"", DATA_OF(RESULT("m0", "1767225660", "2", "Complete")));
	rig_complete(&r, 1);
	assert_non_null(strstr(rig_lines(&r, 0), "\"values\":[null,2,"));
	rig_done(&r);

	start_data(&r, ONE);
	assert_non_null(rig_next(&r));
	assert_int_equal(rig_refuse(&r, 400, "InvalidNextToken", "{}"),
			 -1); /* without a token that cannot be */
	rig_done(&r);
}

/* Whatever is not complete is asked again, alone, after a growing pause, and is no data until then.
 */
static void
test_asked_again(void **state)
{
	static const char *const open[] = {
	    DATA_OF(RESULT("m0", "1767225600", "5", "Complete") "," RESULT("m1", "1767225600", "1",
									   "PartialData")),
	    DATA_OF(RESULT("m1", "", "", "InternalError")),
	    DATA_OF("{\"Id\":\"m1\",\"Timestamps\":[],\"Values\":[],\"StatusCode\":\"Forbidden\","
		    "\"Messages\":"
		    "[{\"Code\":\"Forbidden\",\"Value\":\"no access to 1\"}]}"),
	    DATA_OF(""),
	    DATA_OF("{\"Id\":\"m1\",\"Timestamps\":[],\"Values\":[]}"),
	    DATA_OF(RESULT("m1", "", "", "Surprise")),
	    DATA_OF(RESULT("m1", "", "", "PartialData")),
	};
	static const int64_t waits[] = {0, 1000, 2000, 4000, 8000, 16000, 20000, 20000};
	struct rig r;

	(void)state;
	start_data(&r, TWO);
	for (size_t i = 0; i < ARRAY_LEN(open); i++) {
		assert_non_null(rig_next(&r));
		assert_int_equal(r.call.wait_ms, waits[i]);
		assert_int_equal(strstr(buf_cstr(&r.call.body), "\"m0\"") != NULL, i == 0);
		assert_non_null(strstr(buf_cstr(&r.call.body), "\"m1\""));
		rig_answer(&r, open[i]);
		if (i == 2)
			assert_string_equal(rig_missing(&r),
					    "1 of 2 metrics not complete, for one MemoryUtilized "
					    "Forbidden: Forbidden: no access to 1");
	}
	assert_non_null(rig_next(&r));
	assert_int_equal(r.call.wait_ms, waits[ARRAY_LEN(open)]);
	rig_answer(&r, DATA_OF(RESULT("m1", "1767225660", "2", "Complete")));
	rig_complete(&r, 1);
	assert_non_null(strstr(rig_lines(&r, 0), "\"values\":[5,null,null,null,null]"));
	assert_non_null(strstr(rig_lines(&r, 0), "\"values\":[null,2,null,null,null]"));
	rig_done(&r);
}

static void
test_message_of_the_call(void **state)
{
	struct rig r;

	(void)state;
	start_data(&r, ONE);
	rig_say(&r, "",
		"{\"MetricDataResults\":[" RESULT(
		    "m0", "", "",
		    "PartialData") "],\"Messages\":[{\"Code\":\"Max\",\"Value\":\"many\"}]}");
	assert_string_equal(
	    rig_missing(&r),
	    "1 of 1 metrics not complete, for one CpuUtilized PartialData; Max: many");
	rig_done(&r);
}

static const char *const garbage[] = {
    "",
    "<html><body>Bad gateway</body></html>",
    "{",
    "{}",
    "[]",
    "\xFF\xFE",
    "{\"MetricDataResults\":1}",
    "{\"MetricDataResults\":[{\"Id\":\"m0\",\"Timestamps\":[1],\"Values\":[]}]}",
    "{\"MetricDataResults\":[{\"Id\":\"m0\",\"Timestamps\":[\"soon\"],\"Values\":[1]}]}",
    "{\"MetricDataResults\":[{\"Id\":\"m0\",\"Timestamps\":[1767225600],\"Values\":[\"1\"]}]}",
    "{\"MetricDataResults\":[{\"Id\":\"m0\",\"Timestamps\":[1767225600],\"Values\":[1e999]}]}",
    "{\"MetricDataResults\":[{\"Id\":\"m0\",\"Label\":\"\xC3(\"}]}",
    "{\"MetricDataResults\":[{\"Id\":\"m1\"}]}",
    "{\"MetricDataResults\":[{\"Id\":\"m18446744073709551615\"}]}",
    "{\"MetricDataResults\":[{\"Id\":\"evil\"}]}",
    "{\"MetricDataResults\":[{\"Id\":\"m0\"},{\"Id\":7}]}",
};

/* An answer that makes no sense changes nothing: the next one counts. */
static void
test_garbage(void **state)
{
	struct rig r;

	(void)state;
	start_data(&r, ONE);
	for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
		assert_non_null(rig_next(&r));
		assert_int_equal(r.call.wait_ms, 0);
		rig_garbage(&r, garbage[i]);
	}
	rig_say(&r, "", DATA_OF(RESULT("m0", "1767225600", "1", "Complete")));
	rig_complete(&r, 1);
	assert_string_equal(rig_lines(&r, 0),
			    CPU_LINE("2026-01-01T00:00:00.000Z", "1,null,null,null,null"));
	rig_done(&r);
}

static void
test_odd_points(void **state)
{
	struct rig r;

	(void)state;
	start_data(&r, ONE);
	rig_say(&r, "",
		DATA_OF(RESULT("m0",
			       /* before, behind, twice with another value, off the grid, off the
				  grid before a good one */
			       "1767225599,1767225900,1767225600,1767225600,1767225661,1767225721,"
			       "1767225720,1767225780,1767225840,-5",
			       "1,2,3,4,5,6,7,\"NaN\",\"-Infinity\",8", "Complete")));
	rig_complete(&r, 1);
	assert_string_equal(rig_lines(&r, 0),
			    CPU_LINE("2026-01-01T00:00:00.000Z", "4,null,7,null,null"));
	assert_int_equal(r.data[0].n_rejected, 3 + 3); /* in slots, and outside of all */
	assert_int_equal(r.data[0].n_samples, 2);
	rig_done(&r);
}

static void
test_extreme_values(void **state)
{
	struct rig r;

	(void)state;
	start_data(&r, ONE);
	rig_say(&r, "",
		DATA_OF(RESULT(
		    "m0", "1767225600,1767225660,1767225720,1767225780,1767225840",
		    "9007199254740992,1.7976931348623157e308,5e-324,-0.0,2.348542582773833e108",
		    "Complete")));
	rig_complete(&r, 1);
	assert_string_equal(
	    rig_lines(&r, 0),
	    CPU_LINE(
		"2026-01-01T00:00:00.000Z",
		"9007199254740992,1.7976931348623157e+308,5e-324,-0.0,2.348542582773833e+108"));
	rig_done(&r);
}

/* A service in small: answers any request for data with a value for each period and metric. */
static void
serve(struct rig *r, const char *body, struct buf *out)
{
	CLEANUP(json_decrefp) json_t *doc = NULL;
	const json_t *queries;

	assert_int_equal(json_parse(sv_of(body), "request", &doc, &r->err), 0);
	queries = json_object_get(doc, "MetricDataQueries");
	buf_str(out, "{\"MetricDataResults\":[");
	for (size_t i = 0; i < json_array_size(queries); i++) {
		const json_t *q = json_array_get(queries, i);
		const json_t *dims = json_object_get(
		    json_object_get(json_object_get(q, "MetricStat"), "Metric"), "Dimensions");
		const char *service =
		    json_string_value(json_object_get(json_array_get(dims, 1), "Value"));

		buf_fmt(out,
			"%s{\"Id\":\"%s\",\"Timestamps\":[1767225600],\"Values\":[%zu],"
			"\"StatusCode\":\"Complete\"}",
			i ? "," : "", json_string_value(json_object_get(q, "Id")),
			strlen(service) + (size_t)service[0] * 100);
	}
	buf_str(out, "]}");
}

static void
services_list(struct buf *out, int n, bool backwards)
{
	buf_reset(out);
	buf_str(out, "{\"Metrics\":[");
	for (int i = 0; i < n; i++)
		buf_fmt(out, "%s" SERVICE("CpuUtilized", "s%03d"), i ? "," : "",
			backwards ? n - 1 - i : i);
	buf_str(out, "]}");
}

static void
test_many_metrics(void **state)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT((size_t)4 << 20);
	static const char *const first[] = {"\"m0\"", "\"m500\""};
	struct rig r;
	const char *body;

	(void)state;
	rig_init(&r, "{}");
	rig_open(&r, NULL, 1);
	assert_non_null(rig_next(&r));
	services_list(&text, 501, false);
	rig_answer(&r, buf_cstr(&text));
	for (size_t i = 0; i < 2; i++) {
		body = rig_next(&r);
		assert_non_null(strstr(body, first[i]));
		assert_int_equal(strstr(body, "\"m499\"") != NULL, i == 0);
		buf_reset(&text);
		serve(&r, body, &text);
		rig_answer(&r, buf_cstr(&text));
	}
	rig_complete(&r, 1);
	assert_int_equal(r.data[0].n_rows, 501);
	assert_int_equal(r.data[0].n_samples, 501);
	rig_done(&r);
}

/* What failed in different chunks comes together in one. */
static void
test_again_over_chunks(void **state)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT((size_t)4 << 20);
	struct rig r;
	const char *body;

	(void)state;
	rig_init(&r, "{}");
	rig_open(&r, NULL, 1);
	assert_non_null(rig_next(&r));
	services_list(&text, 501, false);
	rig_answer(&r, buf_cstr(&text));
	for (size_t i = 0; i < 2; i++) {
		char *bad;

		body = rig_next(&r);
		buf_reset(&text);
		serve(&r, body, &text);
		bad = strstr(text.p, "Complete");
		memcpy(bad, "Waiting!", 8);
		rig_answer(&r, buf_cstr(&text));
	}
	assert_non_null(strstr(rig_missing(&r), "2 of 501"));
	body = rig_next(&r);
	assert_int_equal(r.call.wait_ms, 1000);
	assert_non_null(strstr(body, "\"m0\""));
	assert_non_null(strstr(body, "\"m500\""));
	assert_null(strstr(body, "\"m1\""));
	buf_reset(&text);
	serve(&r, body, &text);
	rig_answer(&r, buf_cstr(&text));
	rig_complete(&r, 1);
	assert_int_equal(r.data[0].n_rows, 501);
	rig_done(&r);
}

/* Given up: of what is incomplete nothing is taken, in whichever call it was asked. */
static void
test_make_do_over_chunks(void **state)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT((size_t)4 << 20);
	struct rig r;

	(void)state;
	rig_init(&r, "{}");
	rig_open(&r, NULL, 1);
	assert_non_null(rig_next(&r));
	services_list(&text, 501, false);
	rig_answer(&r, buf_cstr(&text));
	for (size_t i = 0; i < 2; i++) {
		const char *body = rig_next(&r);

		buf_reset(&text);
		serve(&r, body, &text);
		for (char *bad = strstr(text.p, "Complete"); bad; bad = strstr(bad, "Complete"))
			memcpy(bad, "Waiting!", 8);
		rig_answer(&r, buf_cstr(&text));
	}
	assert_true(job_metrics.make_do(r.p));
	rig_complete(&r, 1);
	assert_int_equal(r.data[0].n_rows, 0);
	rig_done(&r);
}

/* P11: the order in which a service lists and answers does not show. */
static void
test_deterministic(void **state)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT((size_t)4 << 20);
	char *requests[2], *lines[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct rig r;

		rig_init(&r, "{}");
		rig_open(&r, NULL, 1);
		assert_non_null(rig_next(&r));
		services_list(&text, 40, i == 1);
		rig_answer(&r, buf_cstr(&text));
		requests[i] = sv_dup(sv_of(rig_next(&r)));
		buf_reset(&text);
		serve(&r, requests[i], &text);
		rig_answer(&r, buf_cstr(&text));
		rig_complete(&r, 1);
		lines[i] = sv_dup(buf_view(&r.data[0].ndjson));
		rig_done(&r);
	}
	assert_string_equal(requests[0], requests[1]);
	assert_string_equal(lines[0], lines[1]);
	for (int i = 0; i < 2; i++) {
		free(requests[i]);
		free(lines[i]);
	}
}

/* next() may be asked any number of times. */
static void
test_next_does_not_move(void **state)
{
	struct rig r;

	(void)state;
	start_data(&r, TWO);
	for (int i = 0; i < 3; i++)
		assert_non_null(strstr(rig_next(&r), "\"m0\""));
	rig_answer(&r, DATA_OF(RESULT("m0", "", "", "Complete")));
	for (int i = 0; i < 3; i++) {
		assert_null(strstr(rig_next(&r), "\"m0\""));
		assert_int_equal(r.call.wait_ms, 1000);
	}
	rig_answer(&r, DATA_OF(RESULT("m1", "", "", "Complete")));
	for (int i = 0; i < 3; i++)
		assert_null(rig_next(&r));
	rig_done(&r);
}

/* Protocols */

#define XML_ONE                                                                                    \
	"<ListMetricsResponse><ListMetricsResult><Metrics><member><Namespace>ECS/"                 \
	"ContainerInsights</Namespace>"                                                            \
	"<MetricName>CpuUtilized</MetricName><Dimensions><member><Name>ClusterName</"              \
	"Name><Value>c</Value></member>"                                                           \
	"<member><Name>ServiceName</Name><Value>web</Value></member></Dimensions></member></"      \
	"Metrics>"                                                                                 \
	"</ListMetricsResult></ListMetricsResponse>"
#define XML_DATA                                                                                   \
	"<GetMetricDataResponse><GetMetricDataResult><MetricDataResults><member><Id>m0</"          \
	"Id><Timestamps><member>"                                                                  \
	"2026-01-01T00:00:00Z</member></Timestamps><Values><member>1.5</member></"                 \
	"Values><StatusCode>Complete"                                                              \
	"</StatusCode></member></MetricDataResults></GetMetricDataResult></GetMetricDataResponse>"

static void
test_old_endpoint(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, "{}");
	for (int i = 0; i < 2; i++) {
		rig_open(&r, NULL, 1);
		if (!i) {
			assert_non_null(rig_next(&r));
			assert_int_equal(rig_refuse(&r, 404, "UnknownOperationException", "{}"), 0);
			/* For the others nothing is different: it may be this tenant's proxy. */
			assert_int_equal(cw_proto_of("eu-west-1"), CW_JSON);
		}
		rig_say(&r, "Action=ListMetrics&", XML_ONE); /* the second time at once */
		assert_int_equal(r.call.proto, PROTO_AWS_QUERY);
		rig_say(&r, "Action=GetMetricData&", XML_DATA);
		rig_complete(&r, 1);
		assert_string_equal(rig_lines(&r, 0), CPU_LINE("2026-01-01T00:00:00.000Z",
							       "1.5,null,null,null,null"));
	}
	/* An endpoint that knows neither. */
	rig_open(&r, NULL, 1);
	assert_non_null(rig_next(&r));
	assert_int_equal(rig_refuse(&r, 404, "", "<html>"), -1);
	rig_done(&r);
}

/* Once it has answered, a refusal is a refusal. */
static void
test_refusals(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, "{}");
	rig_open(&r, NULL, 1);
	assert_non_null(rig_next(&r));
	assert_int_equal(rig_refuse(&r, 403, "AccessDenied", "{}"), -1);
	assert_int_equal(rig_refuse(&r, 400, "InvalidParameterValue", "{}"), -1);
	rig_say(&r, "{\"Namespace\"", ONE);
	assert_non_null(rig_next(&r));
	assert_int_equal(rig_refuse(&r, 404, "UnknownOperationException", "{}"), -1);
	assert_int_equal(r.err.kind, ERR_REJECTED);
	rig_say(&r, "{\"MetricDataQueries\"", DATA_OF(RESULT("m0", "", "", "Complete")));
	rig_complete(&r, 1);
	rig_done(&r);
}

/* Tenants are checked at once: the second hears that a protocol is not known when the first has
 * turned to the next one, which must not be written off for it. */
static void
test_two_probes_at_once(void **state)
{
	const struct job_probe *list = &job_metrics.probes[0];
	const struct http_resp resp = {.status = 404};
	const struct err unknown = {.kind = ERR_REJECTED, .http_status = 404};
	struct aws_call second;
	struct rig r;

	(void)state;
	rig_init(&r, "{}");
	cw_proto_begin(CW_CBOR);
	aws_call_init(&second, 10000);
	assert_int_equal(list->ask(&r.s, NULL, 0, &r.call, &r.err), 0);
	assert_int_equal(list->ask(&r.s, NULL, 0, &second, &r.err), 0);
	assert_int_equal(second.proto, PROTO_AWS_CBOR);
	assert_true(list->heard(&r.s, NULL, &r.call, &resp, &unknown));
	assert_true(list->heard(&r.s, NULL, &second, &resp, &unknown));
	assert_int_equal(cw_proto_of("eu-west-1"), CW_JSON);
	aws_call_done(&second);
	rig_done(&r);
}

static void
test_table(void **state)
{
	(void)state;
	assert_ptr_equal(job_kind_find("metrics"), &job_metrics);
	assert_null(job_kind_find("metric"));
	assert_null(job_kind_find(""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_two_cells_in_one_request),
	    cmocka_unit_test(test_lines_read_back),
	    cmocka_unit_test(test_nothing_there),
	    cmocka_unit_test(test_cells_one_by_one),
	    cmocka_unit_test(test_rows_only),
	    cmocka_unit_test(test_reach),
	    cmocka_unit_test(test_make_do),
	    cmocka_unit_test(test_what_is_kept_no_longer_is_a_gap),
	    cmocka_unit_test(test_eight_by_default),
	    cmocka_unit_test(test_wildcards_and_where),
	    cmocka_unit_test(test_entries_share),
	    cmocka_unit_test(test_keep_and_drop),
	    cmocka_unit_test(test_dimension_set),
	    cmocka_unit_test(test_collision),
	    cmocka_unit_test(test_list_pages),
	    cmocka_unit_test(test_list_token_repeats),
	    cmocka_unit_test(test_list_pages_end),
	    cmocka_unit_test(test_list_expired_token),
	    cmocka_unit_test(test_list_impossible_metrics),
	    cmocka_unit_test(test_data_pages),
	    cmocka_unit_test(test_data_token_repeats),
	    cmocka_unit_test(test_data_expired_token),
	    cmocka_unit_test(test_asked_again),
	    cmocka_unit_test(test_message_of_the_call),
	    cmocka_unit_test(test_garbage),
	    cmocka_unit_test(test_odd_points),
	    cmocka_unit_test(test_extreme_values),
	    cmocka_unit_test(test_many_metrics),
	    cmocka_unit_test(test_again_over_chunks),
	    cmocka_unit_test(test_make_do_over_chunks),
	    cmocka_unit_test(test_deterministic),
	    cmocka_unit_test(test_next_does_not_move),
	    cmocka_unit_test(test_old_endpoint),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_two_probes_at_once),
	    cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
