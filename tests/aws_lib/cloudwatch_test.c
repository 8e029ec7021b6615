/*
 * ListMetrics and GetMetricData on the wire: requests byte by byte, answers good and bad in the
 * protocols that are text (CBOR has a test of its own), and, where MUSTER_DATA names the folder of
 * recorded answers, those as well.
 */
#include "aws/cloudwatch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "fmt/json.h"
#include "fmt/uri.h"
#include "tests/support/data.h"

#define FIRST_TEXT CW_JSON
#define START	   1767225600000LL /* 2026-01-01T00:00:00Z */

static const struct cw_dim dims[] = {{"ClusterName", "a \"b\" & c"}, {"ServiceName", "w\xC3\xA9"}};
static const struct cw_metric cpu = {"ECS/ContainerInsights", "CpuUtilized", dims, 2};
static const struct cw_metric bare = {"Custom/App 1", "n", NULL, 0};

static const struct cw_query queries[] = {{.id = 0, .metric = &cpu, .stat = "Average"},
					  {.id = 41, .metric = &bare, .stat = "p99.9"}};

static void
test_json_requests(void **state)
{
	struct cw_list_req list = {"AWS/ECS", false, NULL, NULL};
	struct cw_data_req data = {queries, 2, START, START + 300000, 60000, NULL, NULL};
	struct aws_call call;
	struct err err;

	(void)state;
	aws_call_init(&call, (size_t)1 << 20);
	assert_int_equal(cw_list_call(CW_JSON, &list, &call, &err), 0);
	assert_string_equal(buf_cstr(&call.body), "{\"Namespace\":\"AWS/ECS\"}");
	assert_string_equal(call.service, "monitoring");
	assert_string_equal(call.operation, "ListMetrics");
	assert_string_equal(call.target, "GraniteServiceVersion20100801.ListMetrics");
	assert_int_equal(call.proto, PROTO_AWS_JSON);

	aws_call_reset(&call);
	list = (struct cw_list_req){"AWS/ECS", true, "a\"b", NULL};
	assert_int_equal(cw_list_call(CW_JSON, &list, &call, &err), 0);
	assert_string_equal(
	    buf_cstr(&call.body),
	    "{\"Namespace\":\"AWS/ECS\",\"RecentlyActive\":\"PT3H\",\"NextToken\":\"a\\\"b\"}");

	aws_call_reset(&call);
	assert_int_equal(cw_data_call(CW_JSON, &data, &call, &err), 0);
	assert_string_equal(buf_cstr(&call.body),
			    "{\"MetricDataQueries\":[{\"Id\":\"m0\",\"MetricStat\":{\"Metric\":{"
			    "\"Namespace\":\"ECS/ContainerInsights\","
			    "\"MetricName\":\"CpuUtilized\",\"Dimensions\":[{\"Name\":"
			    "\"ClusterName\",\"Value\":\"a \\\"b\\\" & c\"},"
			    "{\"Name\":\"ServiceName\",\"Value\":\"w\xC3\xA9\"}]},\"Period\":60,"
			    "\"Stat\":\"Average\"}},"
			    "{\"Id\":\"m41\",\"MetricStat\":{\"Metric\":{\"Namespace\":\"Custom/"
			    "App 1\",\"MetricName\":\"n\","
			    "\"Dimensions\":[]},\"Period\":60,\"Stat\":\"p99.9\"}}],\"StartTime\":"
			    "1767225600,\"EndTime\":1767225900,"
			    "\"ScanBy\":\"TimestampAscending\",\"MaxDatapoints\":100800}");
	assert_string_equal(call.target, "GraniteServiceVersion20100801.GetMetricData");

	aws_call_reset(&call);
	data.n = 0;
	data.token = "t+/=";
	assert_int_equal(cw_data_call(CW_JSON, &data, &call, &err), 0);
	assert_non_null(strstr(buf_cstr(&call.body), ",\"NextToken\":\"t+/=\"}"));
	aws_call_done(&call);
}

static void
test_query_requests(void **state)
{
	struct cw_list_req list = {"AWS/ECS", true, "a b+c/d=", NULL};
	struct cw_data_req data = {queries, 2, START, START + 300000, 60000, "t", NULL};
	struct aws_call call;
	struct err err;

	(void)state;
	aws_call_init(&call, (size_t)1 << 20);
	assert_int_equal(cw_list_call(CW_QUERY, &list, &call, &err), 0);
	assert_string_equal(buf_cstr(&call.body),
			    "Action=ListMetrics&Version=2010-08-01&Namespace=AWS%2FECS&"
			    "RecentlyActive=PT3H&NextToken=a%20b%2Bc%2Fd%3D");
	assert_int_equal(call.proto, PROTO_AWS_QUERY);
	assert_null(call.target);

	aws_call_reset(&call);
	assert_int_equal(cw_data_call(CW_QUERY, &data, &call, &err), 0);
#define M "&MetricDataQueries.member."
	assert_string_equal(buf_cstr(&call.body),
			    "Action=GetMetricData&Version=2010-08-01" M "1.Id=m0" M
			    "1.MetricStat.Metric.Namespace=ECS%2FContainerInsights" M
			    "1.MetricStat.Metric.MetricName=CpuUtilized" M
			    "1.MetricStat.Metric.Dimensions.member.1.Name=ClusterName" M
			    "1.MetricStat.Metric.Dimensions.member.1.Value=a%20%22b%22%20%26%20c" M
			    "1.MetricStat.Metric.Dimensions.member.2.Name=ServiceName" M
			    "1.MetricStat.Metric.Dimensions.member.2.Value=w%C3%A9" M
			    "1.MetricStat.Period=60" M "1.MetricStat.Stat=Average" M "2.Id=m41" M
			    "2.MetricStat.Metric.Namespace=Custom%2FApp%201" M
			    "2.MetricStat.Metric.MetricName=n" M "2.MetricStat.Period=60" M
			    "2.MetricStat.Stat=p99.9"
			    "&StartTime=2026-01-01T00%3A00%3A00Z&EndTime=2026-01-01T00%3A05%3A00Z&"
			    "ScanBy=TimestampAscending"
			    "&MaxDatapoints=50000&NextToken=t");
	aws_call_done(&call);
}

/* A monitoring account says whose metrics it means, in each query. */
static void
test_linked_requests(void **state)
{
	const struct cw_list_req list = {"AWS/ECS", false, NULL, "111122223333"};
	const struct cw_query query = {.metric = &bare, .stat = "Sum"};
	const struct cw_data_req data = {&query, 1,    START,	      START + 60000,
					 60000,	 NULL, "111122223333"};
	struct aws_call call;
	struct err err;

	(void)state;
	aws_call_init(&call, (size_t)1 << 20);
	assert_int_equal(cw_list_call(CW_JSON, &list, &call, &err), 0);
	assert_string_equal(buf_cstr(&call.body),
			    "{\"Namespace\":\"AWS/ECS\",\"IncludeLinkedAccounts\":true,"
			    "\"OwningAccount\":\"111122223333\"}");
	aws_call_reset(&call);
	assert_int_equal(cw_data_call(CW_JSON, &data, &call, &err), 0);
	assert_non_null(
	    strstr(buf_cstr(&call.body), "\"Stat\":\"Sum\"},\"AccountId\":\"111122223333\"}]"));
	aws_call_reset(&call);
	assert_int_equal(cw_list_call(CW_QUERY, &list, &call, &err), 0);
	assert_non_null(
	    strstr(buf_cstr(&call.body), "&IncludeLinkedAccounts=true&OwningAccount=111122223333"));
	aws_call_reset(&call);
	assert_int_equal(cw_data_call(CW_QUERY, &data, &call, &err), 0);
	assert_non_null(
	    strstr(buf_cstr(&call.body), "&MetricDataQueries.member.1.AccountId=111122223333"));
	aws_call_done(&call);
}

/* An expression, what it is to be called, and an input of it that is not asked for itself. Whose
 * metrics are meant is said of metrics only: an expression says it in its words. */
static void
test_expression_requests(void **state)
{
	static const struct cw_query q[] = {
	    {.id = 0, .expression = "100*m1 \"&'", .label = "a b"},
	    {.id = 1, .metric = &bare, .stat = "Sum", .hidden = true},
	};
	const struct cw_data_req data = {.queries = q,
					 .n = 2,
					 .start_ms = START,
					 .end_ms = START + 60000,
					 .period_ms = 60000,
					 .account = "111122223333"};
	struct aws_call call;
	struct err err;

	(void)state;
	aws_call_init(&call, (size_t)1 << 20);
	assert_int_equal(cw_data_call(CW_JSON, &data, &call, &err), 0);
	assert_non_null(strstr(buf_cstr(&call.body),
			       "[{\"Id\":\"m0\",\"Expression\":\"100*m1 "
			       "\\\"&'\",\"Period\":60,\"Label\":\"a b\"},{\"Id\":\"m1\","
			       "\"MetricStat\":"));
	assert_non_null(
	    strstr(buf_cstr(&call.body),
		   "\"Stat\":\"Sum\"},\"ReturnData\":false,\"AccountId\":\"111122223333\"}]"));
	aws_call_reset(&call);
	assert_int_equal(cw_data_call(CW_QUERY, &data, &call, &err), 0);
	assert_non_null(strstr(buf_cstr(&call.body),
			       "&MetricDataQueries.member.1.Id=m0"
			       "&MetricDataQueries.member.1.Expression=100%2Am1%20%22%26%27"
			       "&MetricDataQueries.member.1.Period=60"
			       "&MetricDataQueries.member.1.Label=a%20b"
			       "&MetricDataQueries.member.2.Id=m1"));
	assert_non_null(strstr(buf_cstr(&call.body),
			       "&MetricDataQueries.member.2.MetricStat.Stat=Sum"
			       "&MetricDataQueries.member.2.ReturnData=false"
			       "&MetricDataQueries.member.2.AccountId=111122223333&StartTime"));
	aws_call_done(&call);
}

static void
test_request_too_large(void **state)
{
	struct cw_data_req data = {queries, 2, START, START + 300000, 60000, NULL, NULL};
	struct aws_call call;
	struct err err;

	(void)state;
	for (unsigned p = 0; p < CW_N_PROTOS; p++) {
		aws_call_init(&call, 64);
		assert_int_equal(cw_data_call((enum cw_proto)p, &data, &call, &err), -1);
		assert_int_equal(err.kind, ERR_LOCAL);
		aws_call_done(&call);
	}
}

/* Answers. Each fixture reads into its own arena. */

struct reading {
	struct arena a;
	struct cw_data_page data;
	struct cw_list_page list;
	struct err err;
};

static int
read_data(struct reading *r, enum cw_proto p, const char *body)
{
	arena_reset(&r->a);
	err_clear(&r->err);
	return cw_data_read(p, sv_of(body), &r->a, &r->data, &r->err);
}

static int
read_list(struct reading *r, enum cw_proto p, const char *body)
{
	arena_reset(&r->a);
	err_clear(&r->err);
	return cw_list_read(p, sv_of(body), &r->a, &r->list, &r->err);
}

#define XML_DATA(inner)                                                                            \
	"<GetMetricDataResponse><GetMetricDataResult>" inner                                       \
	"</GetMetricDataResult></GetMetricDataResponse>"
#define XML_LIST(inner)                                                                            \
	"<ListMetricsResponse><ListMetricsResult>" inner                                           \
	"</ListMetricsResult></ListMetricsResponse>"

/* The same answer in each protocol. */
static const char *const good_data[CW_N_PROTOS] = {
    [CW_JSON] = "{\"MetricDataResults\":[{\"Id\":\"m0\",\"Label\":\"x\",\"Timestamps\":[1767225600,"
		"1767225660.0,1.76722572E9],"
		"\"Values\":[1,-2.5e-3,\"NaN\"],\"StatusCode\":\"Complete\",\"New\":{}},"
		"{\"Id\":\"m41\",\"Timestamps\":[],\"Values\":[],\"StatusCode\":\"Forbidden\","
		"\"Messages\":[{\"Code\":\"a\",\"Value\":\"b\"},{\"Code\":\"Forbidden\",\"Value\":"
		"\"no\"}]},"
		"{\"Id\":\"other\",\"StatusCode\":\"Fancy\",\"Messages\":null}],"
		"\"Messages\":[{\"Code\":\"Max\",\"Value\":\"Too many\"}],\"NextToken\":\"t\"}",
    [CW_QUERY] = XML_DATA(
	"<MetricDataResults><member><Id>m0</Id><Label>x</"
	"Label><Timestamps><member>2026-01-01T00:00:00Z</member>"
	"<member>2026-01-01T00:01:00.000Z</member><member>2026-01-01T02:02:00+02:00</member></"
	"Timestamps>"
	"<Values><member>1.0</member><member>-2.5E-3</member><member>NaN</member></Values>"
	"<StatusCode>Complete</StatusCode></member><member><Id>m41</Id><Timestamps/><Values></"
	"Values>"
	"<StatusCode>Forbidden</StatusCode><Messages><member><Code>a</Code><Value>b</Value></"
	"member><member>"
	"<Code>Forbidden</Code><Value>no</Value></member></Messages></member><member><Id>other</Id>"
	"<StatusCode>Fancy</StatusCode></member></MetricDataResults><Messages><member><Code>Max</"
	"Code>"
	"<Value>Too many</Value></member></Messages><NextToken>t</NextToken>"),
};

static void
test_good_data(void **state)
{
	struct reading r = {.a = ARENA_INIT((size_t)1 << 20)};

	(void)state;
	for (unsigned p = FIRST_TEXT; p < CW_N_PROTOS; p++) {
		if (read_data(&r, (enum cw_proto)p, good_data[p]))
			fail_msg("%s", r.err.msg);
		assert_int_equal(r.data.n, 3);
		assert_int_equal(r.data.results[0].id, 0);
		assert_int_equal(r.data.results[0].status, CW_COMPLETE);
		assert_int_equal(r.data.results[0].n, 3);
		for (int i = 0; i < 3; i++)
			assert_int_equal(r.data.results[0].ts_ms[i], START + i * 60000);
		assert_true(r.data.results[0].values[0] == 1);
		assert_true(r.data.results[0].values[1] == -0.0025);
		assert_true(isnan(r.data.results[0].values[2]));
		assert_null(r.data.results[0].message);
		assert_string_equal(r.data.results[0].label, "x");
		assert_null(r.data.results[1].label);
		assert_int_equal(r.data.results[1].id, 41);
		assert_int_equal(r.data.results[1].status, CW_FORBIDDEN);
		assert_string_equal(r.data.results[1].message, "Forbidden: no");
		assert_int_equal(r.data.results[1].n, 0);
		assert_true(r.data.results[2].id == CW_NO_ID);
		assert_int_equal(r.data.results[2].status, CW_OTHER);
		assert_string_equal(r.data.results[2].status_text, "Fancy");
		assert_string_equal(r.data.message, "Max: Too many");
		assert_string_equal(r.data.token, "t");
	}
	arena_done(&r.a);
}

static const char *const good_list[CW_N_PROTOS] = {
    [CW_JSON] = "{\"Metrics\":[{\"Namespace\":\"A\",\"MetricName\":\"m\",\"Dimensions\":[{\"Name\":"
		"\"b\",\"Value\":\"2\"},"
		"{\"Name\":\"a\",\"Value\":\"1\"}]},{\"MetricName\":\"n\",\"Namespace\":\"A\"}],"
		"\"OwningAccounts\":[],\"NextToken\":\"\"}",
    [CW_QUERY] = XML_LIST(
	"<Metrics><member><Namespace>A</Namespace><MetricName>m</MetricName><Dimensions>"
	"<member><Name>b</Name><Value>2</Value></member><member><Name>a</Name><Value>1</Value></"
	"member>"
	"</Dimensions></member><member><Namespace>A</Namespace><MetricName>n</MetricName></member>"
	"</Metrics><NextToken/>"),
};

static void
test_good_list(void **state)
{
	struct reading r = {.a = ARENA_INIT((size_t)1 << 20)};

	(void)state;
	for (unsigned p = FIRST_TEXT; p < CW_N_PROTOS; p++) {
		if (read_list(&r, (enum cw_proto)p, good_list[p]))
			fail_msg("%s", r.err.msg);
		assert_int_equal(r.list.n, 2);
		assert_string_equal(r.list.metrics[0].ns, "A");
		assert_string_equal(r.list.metrics[0].name, "m");
		assert_int_equal(r.list.metrics[0].n_dims, 2);
		assert_string_equal(r.list.metrics[0].dims[0].name, "a");
		assert_string_equal(r.list.metrics[0].dims[1].value, "2");
		assert_int_equal(r.list.metrics[1].n_dims, 0);
		assert_null(r.list.token);
	}
	arena_done(&r.a);
}

static const struct {
	enum cw_proto proto;
	const char *body;
} bad_data[] = {
    {CW_JSON, ""},
    {CW_JSON, "{}"},
    {CW_JSON, "[]"},
    {CW_JSON, "null"},
    {CW_JSON, "<html><body>502</body></html>"},
    {CW_JSON, "{\"MetricDataResults\":["},
    {CW_JSON, "{\"MetricDataResults\":{}}"},
    {CW_JSON, "{\"MetricDataResults\":[1]}"},
    {CW_JSON, "{\"MetricDataResults\":[{}]}"},
    {CW_JSON, "{\"MetricDataResults\":[{\"Id\":1}]}"},
    {CW_JSON, "{\"MetricDataResults\":[],\"NextToken\":1}"},
    {CW_JSON, "{\"MetricDataResults\":[],\"Messages\":{}}"},
    {CW_JSON, "{\"MetricDataResults\":[],\"Messages\":[1]}"},
    {CW_JSON, "{\"MetricDataResults\":[{\"Id\":\"m0\",\"Timestamps\":[1],\"Values\":[]}]}"},
    {CW_JSON, "{\"MetricDataResults\":[{\"Id\":\"m0\",\"Timestamps\":[],\"Values\":[1]}]}"},
    {CW_JSON, "{\"MetricDataResults\":[{\"Id\":\"m0\",\"Timestamps\":[1]}]}"},
    {CW_JSON, "{\"MetricDataResults\":[{\"Id\":\"m0\",\"Timestamps\":[\"x\"],\"Values\":[1]}]}"},
    {CW_JSON, "{\"MetricDataResults\":[{\"Id\":\"m0\",\"Timestamps\":[null],\"Values\":[1]}]}"},
    {CW_JSON, "{\"MetricDataResults\":[{\"Id\":\"m0\",\"Timestamps\":[1e300],\"Values\":[1]}]}"},
    {CW_JSON, "{\"MetricDataResults\":[{\"Id\":\"m0\",\"Timestamps\":[-1e12],\"Values\":[1]}]}"},
    {CW_JSON, "{\"MetricDataResults\":[{\"Id\":\"m0\",\"Timestamps\":[1],\"Values\":[\"1\"]}]}"},
    {CW_JSON, "{\"MetricDataResults\":[{\"Id\":\"m0\",\"Timestamps\":[1],\"Values\":[true]}]}"},
    {CW_JSON, "{\"MetricDataResults\":[{\"Id\":\"m0\",\"Timestamps\":[1],\"Values\":[null]}]}"},
    {CW_JSON, "{\"MetricDataResults\":[{\"Id\":\"m0\",\"Timestamps\":[1],\"Values\":[1e400]}]}"},
    {CW_JSON, "{\"MetricDataResults\":[{\"Id\":\"m0\",\"Timestamps\":[1],\"Values\":[NaN]}]}"},
    {CW_JSON, "{\"MetricDataResults\":[{\"Id\":\"m0\",\"Label\":\"\xFF\"}]}"},
    {CW_JSON, "{\"MetricDataResults\":[],\"MetricDataResults\":[]}"},
    {CW_JSON, "{\"MetricDataResults\":[]} x"},
    {CW_QUERY, ""},
    {CW_QUERY, "{}"},
    {CW_QUERY, "<html><body>502</body></html>"},
    {CW_QUERY, "<html>"},
    {CW_QUERY, "<GetMetricDataResponse/>"},
    {CW_QUERY, XML_LIST("")},
    {CW_QUERY, "<!DOCTYPE x [<!ENTITY e \"y\">]>" XML_DATA("")},
    {CW_QUERY, XML_DATA("<MetricDataResults><member/></MetricDataResults>")},
    {CW_QUERY, XML_DATA("<MetricDataResults/><MetricDataResults/>")},
    {CW_QUERY, XML_DATA("<MetricDataResults/><NextToken>a</NextToken><NextToken>b</NextToken>")},
    {CW_QUERY, XML_DATA("<MetricDataResults><member><Id>m0</Id><Timestamps/><Timestamps><member>"
			"2026-01-01T00:00:00Z</member></Timestamps><Values/></member>"
			"</MetricDataResults>")},
    {CW_QUERY, XML_DATA("<MetricDataResults><member><Id>m0</Id><Timestamps/><Values/><Values>"
			"<member>1</member></Values></member></MetricDataResults>")},
    {CW_QUERY,
     XML_DATA(
	 "<MetricDataResults><member><Id>m0</Id><Timestamps><member>x</member></Timestamps><Values>"
	 "<member>1</member></Values></member></MetricDataResults>")},
    {CW_QUERY,
     XML_DATA(
	 "<MetricDataResults><member><Id>m0</Id><Timestamps><member>2026-01-01T00:00:00Z</member>"
	 "</Timestamps></member></MetricDataResults>")},
    {CW_QUERY,
     XML_DATA(
	 "<MetricDataResults><member><Id>m0</Id><Timestamps><member>2026-01-01T00:00:00Z</member>"
	 "</Timestamps><Values><member>one</member></Values></member></MetricDataResults>")},
    {CW_QUERY,
     XML_DATA(
	 "<MetricDataResults><member><Id>m0</Id><Timestamps><member>2026-01-01T00:00:00Z</member>"
	 "</Timestamps><Values><member/></Values></member></MetricDataResults>")},
};

static void
test_bad_data(void **state)
{
	struct reading r = {.a = ARENA_INIT((size_t)1 << 20)};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_data); i++) {
		if (!read_data(&r, bad_data[i].proto, bad_data[i].body))
			fail_msg("was read: %s", bad_data[i].body);
		if (r.err.kind != ERR_DATA)
			fail_msg("%s: %s", bad_data[i].body, r.err.msg);
	}
	arena_done(&r.a);
}

static const struct {
	enum cw_proto proto;
	const char *body;
} bad_lists[] = {
    {CW_JSON, "{}"},
    {CW_JSON, "{\"message\":\"ok\"}"},
    {CW_JSON, "{\"Metrics\":1}"},
    {CW_JSON, "{\"Metrics\":[{\"Namespace\":\"A\"}]}"},
    {CW_JSON, "{\"Metrics\":[{\"Namespace\":1,\"MetricName\":\"m\"}]}"},
    {CW_JSON, "{\"Metrics\":[{\"Namespace\":\"A\",\"MetricName\":\"m\\u0000n\"}]}"},
    {CW_JSON, "{\"Metrics\":[{\"Namespace\":\"A\",\"MetricName\":\"m\",\"Dimensions\":{}}]}"},
    {CW_JSON, "{\"Metrics\":[{\"Namespace\":\"A\",\"MetricName\":\"m\",\"Dimensions\":[{\"Name\":"
	      "\"x\"}]}]}"},
    {CW_JSON, "{\"Metrics\":[],\"NextToken\":[]}"},
    {CW_QUERY, "<ListMetricsResponse/>"},
    {CW_QUERY, XML_DATA("")},
    {CW_QUERY, XML_LIST("<Metrics><member><Namespace>A</Namespace></member></Metrics>")},
    {CW_QUERY,
     XML_LIST(
	 "<Metrics><member><Namespace>A</Namespace><MetricName>m</MetricName><Dimensions><member>"
	 "<Name>x</Name></member></Dimensions></member></Metrics>")},
};

static void
test_bad_lists(void **state)
{
	struct reading r = {.a = ARENA_INIT((size_t)1 << 20)};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_lists); i++) {
		if (!read_list(&r, bad_lists[i].proto, bad_lists[i].body))
			fail_msg("was read: %s", bad_lists[i].body);
		assert_int_equal(r.err.kind, ERR_DATA);
	}
	arena_done(&r.a);
}

/* Every cut of a good answer is an error, and none reads beyond its end. */
static void
test_truncated(void **state)
{
	struct reading r = {.a = ARENA_INIT((size_t)1 << 20)};

	(void)state;
	for (unsigned p = FIRST_TEXT; p < CW_N_PROTOS; p++) {
		size_t n = strlen(good_data[p]);

		for (size_t cut = 0; cut < n; cut++) {
			char *copy = malloc(cut ? cut : 1);

			assert_non_null(copy);
			memcpy(copy, good_data[p], cut);
			arena_reset(&r.a);
			assert_int_equal(cw_data_read((enum cw_proto)p, (struct sv){copy, cut},
						      &r.a, &r.data, &r.err),
					 -1);
			assert_int_equal(r.err.kind, ERR_DATA);
			free(copy);
		}
	}
	arena_done(&r.a);
}

/* Good answers with a few bytes changed: read or refused, but nothing else. */
static void
test_mutated(void **state)
{
	static const char bytes[] = "\0\"\\{}[],:<>/&;0-eE.nN\xFF\xC3 m";
	struct reading r = {.a = ARENA_INIT((size_t)1 << 20)};
	uint64_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < 6000; round++) {
		enum cw_proto p = (enum cw_proto)(round % 2 ? CW_JSON : CW_QUERY);
		bool list = round % 3 == 0;
		const char *good = (list ? good_list : good_data)[p];
		size_t n = strlen(good);
		char *body = malloc(n);
		int bad;

		assert_non_null(body);
		memcpy(body, good, n);
		for (unsigned i = 0; i < 1 + round % 3; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			body[(seed >> 33) % n] = bytes[(seed >> 20) % (sizeof(bytes) - 1)];
		}
		arena_reset(&r.a);
		bad = list ? cw_list_read(p, (struct sv){body, n}, &r.a, &r.list, &r.err)
			   : cw_data_read(p, (struct sv){body, n}, &r.a, &r.data, &r.err);
		assert_true(!bad || r.err.kind == ERR_DATA);
		free(body);
	}
	arena_done(&r.a);
}

static void
test_small_arena(void **state)
{
	struct reading r = {.a = ARENA_INIT(128)};

	(void)state;
	for (unsigned p = FIRST_TEXT; p < CW_N_PROTOS; p++) {
		assert_int_equal(read_data(&r, (enum cw_proto)p, good_data[p]), -1);
		assert_int_equal(r.err.kind, ERR_LOCAL);
		assert_int_equal(read_list(&r, (enum cw_proto)p, good_list[p]), -1);
		assert_int_equal(r.err.kind, ERR_LOCAL);
	}
	arena_done(&r.a);
}

static void
test_ids(void **state)
{
	static const char *const foreign[] = {
	    "", "m", "m01", "M1", "m-1", "m+1", "m1x", "x1", "m99999999999999999999999"};
	struct reading r = {.a = ARENA_INIT((size_t)1 << 20)};
	char body[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
		(void)snprintf(body, sizeof(body), "{\"MetricDataResults\":[{\"Id\":\"%s\"}]}",
			       foreign[i]);
		assert_int_equal(read_data(&r, CW_JSON, body), 0);
		assert_true(r.data.results[0].id == CW_NO_ID);
	}
	arena_done(&r.a);
}

static void
test_metric_order(void **state)
{
	static const struct cw_dim a1[] = {{"a", "1"}, {"b", "1"}}, a2[] = {{"a", "2"}};
	const struct cw_metric ordered[] = {
	    {"A", "m", NULL, 0}, {"A", "m", a1, 1},   {"A", "m", a1, 2},
	    {"A", "m", a2, 1},	 {"A", "n", NULL, 0}, {"B", "a", NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ordered); i++)
		for (size_t k = 0; k < ARRAY_LEN(ordered); k++) {
			int c = cw_metric_cmp(&ordered[i], &ordered[k]);

			assert_int_equal((c > 0) - (c < 0), (i > k) - (i < k));
		}
}

static void
test_protocol_memory(void **state)
{
	char region[32];

	(void)state;
	cw_proto_forget();
	assert_int_equal(cw_proto_of("eu-west-1"), CW_CBOR);
	assert_int_equal(cw_proto_avoid("eu-west-1", CW_CBOR), CW_JSON);
	assert_int_equal(cw_proto_avoid("eu-west-1", CW_CBOR), CW_JSON);
	assert_int_equal(cw_proto_of("eu-west-1"), CW_JSON);
	assert_int_equal(cw_proto_of("eu-west-2"), CW_CBOR);
	/* Who has answered in one that came late knows none of those before it. */
	cw_proto_answered("eu-west-3", CW_CBOR);
	assert_int_equal(cw_proto_of("eu-west-3"), CW_CBOR);
	cw_proto_answered("eu-west-3", CW_QUERY);
	assert_int_equal(cw_proto_of("eu-west-3"), CW_QUERY);
	cw_proto_answered("eu-west-3", CW_JSON);
	assert_int_equal(cw_proto_of("eu-west-3"), CW_QUERY);
	assert_int_equal(cw_proto_avoid("eu-west-1", CW_JSON), CW_QUERY);
	assert_int_equal(cw_proto_of("eu-west-1"), CW_QUERY);
	/* The last one stays in use, whatever its answers. */
	assert_int_equal(cw_proto_avoid("eu-west-1", CW_QUERY), CW_N_PROTOS);
	assert_int_equal(cw_proto_of("eu-west-1"), CW_QUERY);
	for (int i = 0; i < 100; i++) { /* more than there is room for */
		(void)snprintf(region, sizeof(region), "xx-test-%d", i);
		assert_int_equal(cw_proto_avoid(region, CW_CBOR), CW_JSON);
	}
	assert_int_equal(cw_proto_of("xx-test-0"), CW_JSON);
	assert_int_equal(cw_proto_of("xx-test-99"), CW_CBOR);
	cw_proto_begin(CW_JSON);
	assert_int_equal(cw_proto_of("eu-west-2"), CW_JSON);
	assert_int_equal(cw_proto_of("eu-west-1"), CW_QUERY);
	cw_proto_forget();
	assert_int_equal(cw_proto_of("eu-west-1"), CW_CBOR);
}

static const struct {
	int status;
	const char *code, *body;
	bool unknown;
} refusals[] = {
    {404, "UnknownOperationException", "{}", true},
    {400, "UnknownOperation", "{}", true},
    {400, "InvalidAction", "", true},
    {400, "MissingAction", "", true},
    {415, "", "", true},
    {404, "", "<html>", true},
    {405, "", "", true},
    {400, "", "<?xml version=\"1.0\"?><ErrorResponse xmlns=\"x\"><Error/></ErrorResponse>", true},
    {400, "InvalidParameterValue", "{}", false},
    {403, "AccessDenied", "<ErrorResponse/>", false},
    {400, "Throttling", "{}", false},
    {500, "", "<html>", false},
};

static void
test_unknown_protocol(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		struct http_resp resp = {.status = refusals[i].status, .body = BUF_INIT(1024)};
		struct err err = {.kind = ERR_REJECTED, .http_status = refusals[i].status};

		(void)snprintf(err.code, sizeof(err.code), "%s", refusals[i].code);
		buf_str(&resp.body, refusals[i].body);
		assert_int_equal(cw_proto_unknown(CW_JSON, &resp, &err), refusals[i].unknown);
		assert_int_equal(cw_proto_unknown(CW_CBOR, &resp, &err), refusals[i].unknown);
		buf_done(&resp.body);
	}
}

/* Sending: which headers go with which protocol. */

struct fake_transport {
	struct transport t;
	struct http_req seen;
	char url[128];
};

static int
fake_send(struct transport *t, const struct http_req *req, struct http_resp *resp, struct err *err)
{
	struct fake_transport *f = (struct fake_transport *)t;

	(void)resp;
	(void)err;
	f->seen = *req;
	(void)snprintf(f->url, sizeof(f->url), "%s", req->url);
	return 0;
}

static const char *
header(const struct http_req *req, const char *name)
{
	for (size_t i = 0; i < req->n_headers; i++)
		if (!strcmp(req->headers[i].name, name))
			return req->headers[i].value;
	return "";
}

static const struct {
	const char *service;
	enum http_proto proto;
	const char *target, *content_type, *query_mode;
} sends[] = {
    {"monitoring", PROTO_AWS_JSON, "G.ListMetrics", "application/x-amz-json-1.0", "true"},
    {"monitoring", PROTO_AWS_QUERY, NULL, "application/x-www-form-urlencoded; charset=utf-8", ""},
    {"monitoring", PROTO_AWS_CBOR, NULL, "application/cbor", "true"},
    {"logs", PROTO_AWS_JSON, "Logs_20140328.StartQuery", "application/x-amz-json-1.1", ""},
    {"ecs", PROTO_AWS_JSON, "E.ListClusters", "application/x-amz-json-1.1", ""},
    {"xray", PROTO_AWS_JSON, NULL, "application/json", ""},
};

static void
test_sending(void **state)
{
	static const struct transport_ops ops = {.name = "fake", .send = fake_send};
	struct fake_transport f = {.t = {&ops}};
	const struct aws_target to = {&f.t,	      NULL,	   "http://127.0.0.1:1",
				      "111122223333", "eu-west-1", 77};
	struct aws_call call;
	struct err err;

	(void)state;
	aws_call_init(&call, 1024);
	for (size_t i = 0; i < ARRAY_LEN(sends); i++) {
		aws_call_reset(&call);
		call.service = sends[i].service;
		call.operation = "Op";
		call.proto = sends[i].proto;
		call.target = sends[i].target;
		call.path = i % 2 ? "/p" : NULL;
		call.first_byte_ms = 9;
		buf_str(&call.body, "body");
		assert_int_equal(aws_call_send(&call, &to, NULL, &err), 0);
		assert_string_equal(f.url, i % 2 ? "http://127.0.0.1:1/p" : "http://127.0.0.1:1/");
		assert_string_equal(f.seen.method, "POST");
		assert_string_equal(header(&f.seen, "Content-Type"), sends[i].content_type);
		assert_string_equal(header(&f.seen, "X-Amz-Target"),
				    sends[i].target ? sends[i].target : "");
		assert_string_equal(header(&f.seen, "x-amzn-query-mode"), sends[i].query_mode);
		assert_int_equal(f.seen.auth, AUTH_SIGV4);
		assert_int_equal(f.seen.deadline_mono_ms, 77);
		assert_int_equal(f.seen.limits.first_byte_ms, 9);
		assert_int_equal(f.seen.body.n, 4);
	}
	assert_string_equal(header(&f.seen, "smithy-protocol"), "");
	aws_call_done(&call);
}

/* Recorded answers */

static const json_t *
dim_of(const json_t *metric, const char *name)
{
	const json_t *arr = json_object_get(metric, "Dimensions");

	for (size_t i = 0; i < json_array_size(arr); i++)
		if (!strcmp(data_str(json_array_get(arr, i), "Name"), name))
			return json_array_get(arr, i);
	return NULL;
}

static void
compare_list(const struct cw_list_page *page, const json_t *want)
{
	const json_t *arr = json_object_get(want, "Metrics");

	assert_int_equal(page->n, json_array_size(arr));
	assert_string_equal(page->token ? page->token : "", data_str(want, "NextToken"));
	for (size_t i = 0; i < page->n; i++) {
		const json_t *m = json_array_get(arr, i);

		assert_string_equal(page->metrics[i].ns, data_str(m, "Namespace"));
		assert_string_equal(page->metrics[i].name, data_str(m, "MetricName"));
		assert_int_equal(page->metrics[i].n_dims,
				 json_array_size(json_object_get(m, "Dimensions")));
		for (size_t k = 0; k < page->metrics[i].n_dims; k++)
			assert_string_equal(
			    page->metrics[i].dims[k].value,
			    data_str(dim_of(m, page->metrics[i].dims[k].name), "Value"));
	}
}

static void
compare_points(const struct cw_result *r, const json_t *want)
{
	const json_t *ts = json_object_get(want, "Timestamps"),
		     *vs = json_object_get(want, "Values");

	assert_int_equal(r->n, json_array_size(ts));
	for (size_t i = 0; i < r->n; i++) {
		double v = json_number_value(json_array_get(vs, i));
		int64_t ms;

		assert_true(time_parse_iso(sv_of(json_string_value(json_array_get(ts, i))), &ms));
		assert_int_equal(r->ts_ms[i], ms);
		assert_memory_equal(&r->values[i], &v, sizeof(v));
	}
}

static void
compare_data(const struct cw_data_page *page, const json_t *want)
{
	const json_t *arr = json_object_get(want, "MetricDataResults");
	const json_t *messages = json_object_get(want, "Messages");

	assert_int_equal(page->n, json_array_size(arr));
	assert_string_equal(page->token ? page->token : "", data_str(want, "NextToken"));
	assert_int_equal(page->message != NULL, json_array_size(messages) > 0);
	for (size_t i = 0; i < page->n; i++) {
		const json_t *w = json_array_get(arr, i);
		char id[32];

		(void)snprintf(id, sizeof(id), "m%zu", page->results[i].id);
		if (page->results[i].id != CW_NO_ID)
			assert_string_equal(id, data_str(w, "Id"));
		assert_string_equal(page->results[i].status_text, data_str(w, "StatusCode"));
		compare_points(&page->results[i], w);
	}
}

static const char *const body_files[CW_N_PROTOS] = {
    [CW_JSON] = "body.json", [CW_QUERY] = "body.query.xml"};

static void
compare_case(const char *dir, bool list)
{
	struct reading r = {.a = ARENA_INIT((size_t)64 << 20)};
	char path[512];
	json_t *want;

	(void)snprintf(path, sizeof(path), "%s/parsed.json", dir);
	want = data_json(path);
	for (unsigned p = FIRST_TEXT; p < CW_N_PROTOS; p++) {
		CLEANUP(buf_done) struct buf body = BUF_INIT((size_t)64 << 20);
		int bad;

		(void)snprintf(path, sizeof(path), "%s/%s", dir, body_files[p]);
		data_read(path, &body);
		bad = list ? read_list(&r, (enum cw_proto)p, buf_cstr(&body))
			   : read_data(&r, (enum cw_proto)p, buf_cstr(&body));
		if (bad)
			fail_msg("%s: %s", path, r.err.msg);
		if (list)
			compare_list(&r.list, want);
		else
			compare_data(&r.data, want);
	}
	json_decref(want);
	arena_done(&r.a);
}

/* All cases of an operation that the recordings' index knows and that are no errors. */
static size_t
compare_operation(const char *operation, bool list)
{
	CLEANUP(json_decrefp) json_t *cases = NULL;
	size_t n = 0;

	data_or_skip();
	cases = data_json("aws/recorded/index.json");
	for (size_t i = 0; i < json_array_size(cases); i++) {
		const json_t *c = json_array_get(cases, i);
		char dir[256];

		if (strcmp(data_str(c, "service"), "monitoring") != 0 ||
		    strcmp(data_str(c, "operation"), operation) != 0 ||
		    !json_is_null(json_object_get(c, "error")))
			continue;
		(void)snprintf(dir, sizeof(dir), "aws/recorded/%s", data_str(c, "case"));
		compare_case(dir, list);
		n++;
	}
	return n;
}

static void
test_recorded_lists(void **state)
{
	(void)state;
	assert_true(compare_operation("ListMetrics", true) >= 3);
}

static void
test_recorded_data(void **state)
{
	(void)state;
	assert_true(compare_operation("GetMetricData", false) >= 5);
}

/* Protocol cases: the scalars of the shapes in use, put where a page has such a one. */
static const struct {
	const char *file, *id, *member;
	bool time;
} scalars[] = {
    {"json", "parses_double_shapes", "Double", false},
    {"json", "AwsJson11SupportsNaNFloatInputs", "doubleValue", false},
    {"json", "AwsJson11SupportsInfinityFloatInputs", "doubleValue", false},
    {"json", "AwsJson11SupportsNegativeInfinityFloatInputs", "doubleValue", false},
    {"json_1_0", "AwsJson10SupportsNaNFloatInputs", "doubleValue", false},
    {"json_1_0", "AwsJson10SupportsInfinityFloatInputs", "doubleValue", false},
    {"json", "parses_timestamp_shapes", "Timestamp", true},
    {"json", "AwsJson11DateTimeWithFractionalSeconds", "datetime", true},
    {"json", "AwsJson11DateTimeWithNegativeOffset", "datetime", true},
    {"json", "AwsJson11DateTimeWithPositiveOffset", "datetime", true},
    {"query", "AwsQuerySupportsInfinityFloatOutputs", "DoubleDribble", false},
    {"query", "AwsQuerySupportsNegativeInfinityFloatOutputs", "DoubleDribble", false},
    {"query", "AwsQueryDateTimeWithNegativeOffset", "datetime", true},
};

static json_t *
find_case(const json_t *groups, const char *id)
{
	for (size_t i = 0; i < json_array_size(groups); i++) {
		const json_t *cases = json_object_get(json_array_get(groups, i), "cases");

		for (size_t k = 0; k < json_array_size(cases); k++)
			if (!strcmp(data_str(json_array_get(cases, k), "id"), id))
				return json_array_get(cases, k);
	}
	return NULL;
}

static void
page_of(struct buf *out, bool xml, bool time, const char *scalar)
{
	const char *ts = xml ? "1970-01-01T00:00:01Z" : "1", *v = "1";

	if (xml)
		buf_fmt(out,
			"<GetMetricDataResponse><GetMetricDataResult><MetricDataResults><member><"
			"Id>m0</Id><Timestamps><member>"
			"%s</member></Timestamps><Values><member>%s</member></Values></member></"
			"MetricDataResults>"
			"</GetMetricDataResult></GetMetricDataResponse>",
			time ? scalar : ts, time ? v : scalar);
	else
		buf_fmt(
		    out,
		    "{\"MetricDataResults\":[{\"Id\":\"m0\",\"Timestamps\":[%s],\"Values\":[%s]}]}",
		    time ? scalar : ts, time ? v : scalar);
}

/* The text of a member in a body, as it is on the wire. */
static void
scalar_text(const char *body, bool xml, const char *member, struct buf *out)
{
	char mark[64];
	const char *p;

	(void)snprintf(mark, sizeof(mark), xml ? "<%s>" : "\"%s\":", member);
	p = strstr(body, mark);
	assert_non_null(p);
	for (p += strlen(mark); *p == ' '; p++)
		continue;
	while (*p && !strchr(xml ? "<" : ",}\n", *p))
		buf_ch(out, *p++);
}

static double
expected_number(const json_t *want)
{
	double v;

	if (!json_is_string(want))
		return json_number_value(want);
	assert_true(num_double(sv_of(json_string_value(want)), &v));
	return v;
}

static void
test_protocol_cases(void **state)
{
	struct reading r = {.a = ARENA_INIT((size_t)1 << 20)};

	(void)state;
	data_or_skip();
	for (size_t i = 0; i < ARRAY_LEN(scalars); i++) {
		CLEANUP(buf_done) struct buf scalar = BUF_INIT(256), page = BUF_INIT(4096);
		CLEANUP(json_decrefp) json_t *groups = NULL;
		bool xml = !strcmp(scalars[i].file, "query");
		char name[64];
		const json_t *c;
		double want;

		(void)snprintf(name, sizeof(name), "protocols/output/%s.json", scalars[i].file);
		groups = data_json(name);
		c = find_case(groups, scalars[i].id);
		if (!c)
			fail_msg("%s: no case %s", name, scalars[i].id);
		scalar_text(data_str(json_object_get(c, "response"), "body"), xml,
			    scalars[i].member, &scalar);
		page_of(&page, xml, scalars[i].time, buf_cstr(&scalar));
		if (read_data(&r, xml ? CW_QUERY : CW_JSON, buf_cstr(&page)))
			fail_msg("%s: %s", scalars[i].id, r.err.msg);
		c = json_object_get(c, "result");
		want = expected_number(json_object_get(
		    c, strcmp(scalars[i].member, "DoubleDribble") != 0 ? scalars[i].member
								       : "doubleValue"));
		if (scalars[i].time)
			assert_int_equal(r.data.results[0].ts_ms[0], llround(want * 1000));
		else
			assert_true(r.data.results[0].values[0] == want ||
				    (isnan(want) && isnan(r.data.results[0].values[0])));
	}
	arena_done(&r.a);
}

/* Signed requests of others: what ours say must be said there with the same words. */
static void
check_fields(const char *ours, const char *theirs)
{
	CLEANUP(buf_done) struct buf their_text = BUF_INIT((size_t)1 << 20);
	char *copy = sv_dup(sv_of(ours)), *save = NULL;

	buf_ch(&their_text, '&');
	assert_true(uri_decode(&their_text, sv_of(theirs), true));
	buf_ch(&their_text, '&');
	for (char *f = strtok_r(copy, "&", &save); f; f = strtok_r(NULL, "&", &save)) {
		CLEANUP(buf_done) struct buf text = BUF_INIT(4096);

		buf_ch(&text, '&');
		assert_true(uri_decode(&text, sv_of(f), true));
		buf_ch(&text, '&');
		if (strncmp(f, "MaxDatapoints", 13) != 0 &&
		    !strstr(buf_cstr(&their_text), buf_cstr(&text)))
			fail_msg("%s is not in %s", buf_cstr(&text), buf_cstr(&their_text));
	}
	free(copy);
}

/* The same of an expression, whose ids are others' own: ours are numbers. */
static void
test_recorded_expression(void **state)
{
	static const struct cw_dim balancer[] = {{"LoadBalancer", "app/web/50dc6c495c0c9188"}};
	static const struct cw_metric requests = {"AWS/ApplicationELB", "RequestCount", balancer,
						  1};
	static const struct cw_metric errors = {"AWS/ApplicationELB", "HTTPCode_Target_5XX_Count",
						balancer, 1};
	static const struct cw_query q[] = {
	    {.id = 0, .metric = &requests, .stat = "Sum", .hidden = true},
	    {.id = 1, .metric = &errors, .stat = "Sum", .hidden = true},
	    {.id = 2, .expression = "100*err/req", .label = "error rate (%)"},
	};
	static const struct cw_data_req data = {.queries = q,
						.n = 3,
						.start_ms = 1714518000000,
						.end_ms = 1714521600000,
						.period_ms = 60000};
	static const char *const ids[] = {"req", "err", "rate"};
	CLEANUP(json_decrefp) json_t *all = NULL;
	struct aws_call call;
	struct err err;
	size_t seen = 0;

	(void)state;
	data_or_skip();
	all = data_json("requests/signed-requests.json");
	aws_call_init(&call, (size_t)1 << 20);
	assert_int_equal(cw_data_call(CW_QUERY, &data, &call, &err), 0);
	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *c = json_array_get(all, i);
		CLEANUP(buf_done) struct buf ours = BUF_INIT(1 << 16);
		char *copy, *save = NULL;

		if (strcmp(data_str(c, "protocol"), "query") != 0 ||
		    strcmp(data_str(c, "name"), "get-metric-data-expression") != 0)
			continue;
		copy = sv_dup(buf_view(&call.body));
		for (char *f = strtok_r(copy, "&", &save); f; f = strtok_r(NULL, "&", &save)) {
			const char *id = strstr(f, ".Id=m");

			if (!strncmp(f, "ScanBy", 6))
				continue; /* theirs asks for the newest first */
			buf_ch(&ours, '&');
			if (id)
				buf_fmt(&ours, "%.*s.Id=%s", (int)(id - f), f, ids[id[5] - '0']);
			else
				buf_str(&ours, f);
		}
		free(copy);
		check_fields(buf_cstr(&ours), data_str(json_object_get(c, "request"), "body"));
		seen++;
	}
	assert_int_equal(seen, 1);
	aws_call_done(&call);
}

static void
test_recorded_requests(void **state)
{
	static const struct cw_dim instance[] = {{"InstanceId", "i-0123456789abcdef0"}};
	const struct cw_metric ec2 = {"AWS/EC2", "CPUUtilization", instance, 1};
	const struct cw_query q = {.id = 1, .metric = &ec2, .stat = "Average"};
	const struct cw_data_req data = {&q, 1, 1714435200000, 1714521600000, 300000, NULL, NULL};
	const struct cw_list_req list = {"Custom/App 1", false, "a b+c/d=", NULL};
	CLEANUP(json_decrefp) json_t *all = NULL;
	struct aws_call call;
	struct err err;
	size_t seen = 0;

	(void)state;
	data_or_skip();
	all = data_json("requests/signed-requests.json");
	aws_call_init(&call, (size_t)1 << 20);
	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *c = json_array_get(all, i);
		const char *body = data_str(json_object_get(c, "request"), "body");

		if (strcmp(data_str(c, "protocol"), "query") != 0)
			continue;
		aws_call_reset(&call);
		if (strstr(body, "Action=GetMetricData") && strstr(body, "Id=m1&"))
			assert_int_equal(cw_data_call(CW_QUERY, &data, &call, &err), 0);
		else if (strstr(body, "Action=ListMetrics") && strstr(body, "OwningAccount"))
			assert_int_equal(cw_list_call(CW_QUERY, &list, &call, &err), 0);
		else
			continue;
		check_fields(buf_cstr(&call.body), body);
		seen++;
	}
	assert_int_equal(seen, 2);
	aws_call_done(&call);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_json_requests),
	    cmocka_unit_test(test_query_requests),
	    cmocka_unit_test(test_linked_requests),
	    cmocka_unit_test(test_expression_requests),
	    cmocka_unit_test(test_request_too_large),
	    cmocka_unit_test(test_good_data),
	    cmocka_unit_test(test_good_list),
	    cmocka_unit_test(test_bad_data),
	    cmocka_unit_test(test_bad_lists),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_mutated),
	    cmocka_unit_test(test_small_arena),
	    cmocka_unit_test(test_ids),
	    cmocka_unit_test(test_metric_order),
	    cmocka_unit_test(test_protocol_memory),
	    cmocka_unit_test(test_unknown_protocol),
	    cmocka_unit_test(test_sending),
	    cmocka_unit_test(test_recorded_lists),
	    cmocka_unit_test(test_recorded_data),
	    cmocka_unit_test(test_protocol_cases),
	    cmocka_unit_test(test_recorded_requests),
	    cmocka_unit_test(test_recorded_expression),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
