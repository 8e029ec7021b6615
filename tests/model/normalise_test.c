/* Names and labels of all namings, row by row as the interface has them. */
#include "model/normalise.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/cleanup.h"

static const struct label service_dims[] = {{"ClusterName", "prod"}, {"ServiceName", "web"}};
static const struct label task_dims[] = {
    {"ClusterName", "prod"},
    {"TaskDefinitionFamily", "api"},
    {"TaskId", "t1"},
};
static const struct label container_dims[] = {
    {"ClusterName", "prod"},
    {"ContainerName", "app"},
    {"TaskDefinitionFamily", "api"},
};
static const struct label tier[] = {{"tier", "gold"}};

/* name{label="value",...} */
static const char *
text_of(const struct series *s, struct buf *out)
{
	buf_reset(out);
	buf_str(out, s->name);
	for (size_t i = 0; i < s->n_labels; i++)
		buf_fmt(out, "%c%s=%s", i ? ',' : '{', s->labels[i].name, s->labels[i].value);
	buf_ch(out, '}');
	assert_true(buf_ok(out));
	return buf_cstr(out);
}

static void
check_series(const struct naming_rules *r, const struct series_owner *o,
	     const struct metric_source *m, const char *want)
{
	CLEANUP(arena_done) struct arena a = ARENA_INIT((size_t)1 << 20);
	CLEANUP(buf_done) struct buf text = BUF_INIT((size_t)1 << 16);
	struct series s;
	struct err err;

	if (normalise_series(r, o, m, 60000, &a, &s, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(text_of(&s, &text), want);
	assert_true(series_name_valid(s.name));
	for (size_t i = 0; i < s.n_labels; i++) {
		assert_true(label_name_valid(s.labels[i].name));
		assert_true(s.labels[i].value[0] != '\0');
		assert_true(!i || strcmp(s.labels[i - 1].name, s.labels[i].name) < 0);
	}
	assert_string_equal(s.stat, m->stat);
	assert_int_equal(s.period_ms, 60000);
}

static const struct series_owner acme = {"acme", "111122223333", "ap-southeast-2", "aws", tier, 1,
					 NULL};
static const struct series_owner bare = {"7-up.x", "111122223333", "cn-north-1", "aws-cn", NULL, 0,
					 NULL};

#define EIGHT(metric, stat)                                                                        \
	{                                                                                          \
		ECS_INSIGHTS_NAMESPACE, metric, stat, service_dims, 2, false                       \
	}
#define OURS                                                                                       \
	"{account_id=111122223333,cluster=prod,region=ap-southeast-2,service=web,tenant=acme,"     \
	"tier=gold}"
#define ADOT                                                                                       \
	"{account_id=111122223333,aws_ecs_cluster_name=prod,aws_ecs_service_name=web,cloud_"       \
	"account_id=111122223333,"                                                                 \
	"cloud_region=ap-southeast-2,cluster=prod,region=ap-southeast-2,service=web,tenant=acme,"  \
	"tier=gold}"
#define YACE                                                                                       \
	"{account_id=111122223333,dimension_ClusterName=prod,dimension_ServiceName=web,"           \
	"name=arn:aws:ecs:ap-southeast-2:111122223333:service/prod/"                               \
	"web,region=ap-southeast-2,tenant=acme,tier=gold}"

/* The eight in each naming. */
static const struct {
	const char *metric, *muster, *suffix, *yace, *unit;
} rows[] = {
    {"MemoryUtilized", "ecs_task_memory_utilized", "_MiB", "memory_utilized", "Megabytes"},
    {"MemoryReserved", "ecs_task_memory_reserved", "_MiB", "memory_reserved", "Megabytes"},
    {"CpuUtilized", "ecs_task_cpu_utilized", "_None", "cpu_utilized", "None"},
    {"CpuReserved", "ecs_task_cpu_reserved", "_None", "cpu_reserved", "None"},
    {"NetworkRxBytes", "ecs_task_network_rate_rx", "_Bytes_per_Second", "network_rx_bytes",
     "Bytes/Second"},
    {"NetworkTxBytes", "ecs_task_network_rate_tx", "_Bytes_per_Second", "network_tx_bytes",
     "Bytes/Second"},
    {"StorageReadBytes", "ecs_task_storage_read_bytes", "_Bytes", "storage_read_bytes", "Bytes"},
    {"StorageWriteBytes", "ecs_task_storage_write_bytes", "_Bytes", "storage_write_bytes", "Bytes"},
};

static void
test_the_eight(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct metric_source m = EIGHT(rows[i].metric, "Average");
		char want[512];

		(void)snprintf(want, sizeof(want), "%s" OURS, rows[i].muster);
		check_series(&(struct naming_rules){NAMING_MUSTER, 0}, &acme, &m, want);
		(void)snprintf(want, sizeof(want), "%s" ADOT, rows[i].muster);
		check_series(&(struct naming_rules){NAMING_ADOT, 0}, &acme, &m, want);
		(void)snprintf(want, sizeof(want), "%s%s" ADOT, rows[i].muster, rows[i].suffix);
		check_series(&(struct naming_rules){NAMING_ADOT_UNITS, MEMORY_MIB}, &acme, &m,
			     want);
		(void)snprintf(want, sizeof(want), "acme_%s" ADOT, rows[i].muster);
		check_series(&(struct naming_rules){NAMING_TENANT_PREFIX, 0}, &acme, &m, want);
		(void)snprintf(want, sizeof(want), "aws_ecs_containerinsights_%s_average" YACE,
			       rows[i].yace);
		check_series(&(struct naming_rules){NAMING_YACE, 0}, &acme, &m, want);
	}
}

static void
test_units(void **state)
{
	CLEANUP(arena_done) struct arena a = ARENA_INIT((size_t)1 << 20);
	const struct metric_source other = {"AWS/ECS", "CPUUtilization", "Average", service_dims, 2,
					    false};
	struct series s;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct metric_source m = EIGHT(rows[i].metric, "p99");

		assert_int_equal(normalise_series(&(struct naming_rules){NAMING_YACE, 0}, &acme, &m,
						  1000, &a, &s, &err),
				 0);
		assert_string_equal(s.unit, rows[i].unit);
	}
	assert_int_equal(
	    normalise_series(&(struct naming_rules){0, 0}, &acme, &other, 1000, &a, &s, &err), 0);
	assert_null(s.unit);
}

/* The word list that the configuration takes and the order of the enum are one thing. */
static void
test_words(void **state)
{
	(void)state;
	assert_string_equal(naming_words[NAMING_MUSTER], "muster");
	assert_string_equal(naming_words[NAMING_ADOT], "adot");
	assert_string_equal(naming_words[NAMING_ADOT_UNITS], "adot-units");
	assert_string_equal(naming_words[NAMING_TENANT_PREFIX], "tenant-prefix");
	assert_string_equal(naming_words[NAMING_YACE], "yace");
	assert_null(naming_words[NAMING_YACE + 1]);
	assert_string_equal(memory_unit_words[MEMORY_MIB], "MiB");
	assert_string_equal(memory_unit_words[MEMORY_MEGABYTES], "Megabytes");
	assert_null(memory_unit_words[MEMORY_MEGABYTES + 1]);
	for (size_t i = 0; i < ECS_EIGHT; i++)
		assert_true(!i || strcmp(ecs_eight[i - 1], ecs_eight[i]) < 0);
}

static const struct {
	struct naming_rules r;
	struct metric_source m;
	const char *name;
} names[] = {
    /* Statistics: a suffix of the eight only if not Average, of all others always. */
    {{NAMING_MUSTER, 0}, EIGHT("CpuUtilized", "Maximum"), "ecs_task_cpu_utilized_maximum"},
    {{NAMING_MUSTER, 0}, EIGHT("CpuUtilized", "p99"), "ecs_task_cpu_utilized_p99"},
    {{NAMING_MUSTER, 0}, EIGHT("CpuUtilized", "p99.9"), "ecs_task_cpu_utilized_p99_9"},
    {{NAMING_MUSTER, 0}, EIGHT("CpuUtilized", "SampleCount"), "ecs_task_cpu_utilized_sample_count"},
    {{NAMING_MUSTER, 0},
     EIGHT("CpuUtilized", "TM(10%:90%)"),
     "ecs_task_cpu_utilized_tm_10_percent_90_percent"},
    {{NAMING_ADOT_UNITS, 0},
     EIGHT("MemoryUtilized", "Maximum"),
     "ecs_task_memory_utilized_MiB_maximum"},
    {{NAMING_ADOT_UNITS, MEMORY_MEGABYTES},
     EIGHT("MemoryUtilized", "Average"),
     "ecs_task_memory_utilized_Megabytes"},
    {{NAMING_ADOT_UNITS, MEMORY_MEGABYTES},
     EIGHT("CpuReserved", "Average"),
     "ecs_task_cpu_reserved_None"},
    {{NAMING_TENANT_PREFIX, 0}, EIGHT("CpuUtilized", "Sum"), "acme_ecs_task_cpu_utilized_sum"},
    /* Outside the eight. */
    {{NAMING_MUSTER, 0},
     EIGHT("RunningTaskCount", "Average"),
     "aws_ecs_container_insights_running_task_count_average"},
    {{NAMING_MUSTER, 0},
     {"AWS/ECS", "CPUUtilization", "Average", service_dims, 2, false},
     "aws_ecs_cpu_utilization_average"},
    {{NAMING_MUSTER, 0},
     {"AWS/ECS", "CpuUtilized", "Average", service_dims, 2, false},
     "aws_ecs_cpu_utilized_average"},
    {{NAMING_MUSTER, 0},
     {"AWS/ApplicationELB", "HTTPCode_Target_2XX_Count", "Sum", NULL, 0, false},
     "aws_application_elb_http_code_target_2xx_count_sum"},
    {{NAMING_MUSTER, 0},
     {"AWS/EC2", "EBSIOBalance%", "Average", NULL, 0, false},
     "aws_ec2_ebsio_balance_percent_average"},
    {{NAMING_MUSTER, 0},
     {"Checkout", "orders", "Average", NULL, 0, false},
     "aws_checkout_orders_average"},
    {{NAMING_MUSTER, 0}, {"aws", "x", "Average", NULL, 0, false}, "aws_x_average"},
    {{NAMING_MUSTER, 0}, {"Awsome", "x", "Average", NULL, 0, false}, "aws_awsome_x_average"},
    {{NAMING_MUSTER, 0}, {"\xE6\x97\xA5", "///", "Average", NULL, 0, false}, "aws_x_x_average"},
    {{NAMING_ADOT_UNITS, 0},
     {"AWS/ECS", "CPUUtilization", "Average", NULL, 0, false},
     "aws_ecs_cpu_utilization_average"},
    {{NAMING_TENANT_PREFIX, 0},
     {"AWS/ECS", "CPUUtilization", "p99", NULL, 0, false},
     "acme_aws_ecs_cpu_utilization_p99"},
    /* YACE's own spelling. */
    {{NAMING_YACE, 0},
     EIGHT("CpuUtilized", "Average"),
     "aws_ecs_containerinsights_cpu_utilized_average"},
    {{NAMING_YACE, 0},
     {"AWS/ECS", "CPUUtilization", "Average", NULL, 0, false},
     "aws_ecs_cpuutilization_average"},
    {{NAMING_YACE, 0},
     {"AWS/EC2", "EBSIOBalance%", "p99.9", NULL, 0, false},
     "aws_ec2_ebsiobalance_percent_p99_9"},
    {{NAMING_YACE, 0},
     {"Glue", "glue.driver.aggregate.bytesRead", "Sum", NULL, 0, false},
     "aws_glue_driver_aggregate_bytes_read_sum"},
    {{NAMING_YACE, 0},
     {"/aws/sagemaker/TrainingJobs", "CPUUtilization", "Average", NULL, 0, false},
     "aws_sagemaker_trainingjobs_cpuutilization_average"},
    {{NAMING_YACE, 0},
     {"AWS/ApplicationELB", "HTTPCode_Target_2XX_Count", "SampleCount", NULL, 0, false},
     "aws_applicationelb_httpcode_target_2_xx_count_sample_count"},
    {{NAMING_YACE, 0},
     {"Custom/App 1", "a\xC3\xA9+b", "Average", NULL, 0, false},
     "aws_custom_app_1_a___b_average"},
};

static void
test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(arena_done) struct arena a = ARENA_INIT((size_t)1 << 20);
		struct series s;
		struct err err;

		assert_int_equal(
		    normalise_series(&names[i].r, &acme, &names[i].m, 60000, &a, &s, &err), 0);
		assert_string_equal(s.name, names[i].name);
		assert_true(series_name_valid(s.name));
	}
}

static const struct label hostile[] = {
    {"Account-Id", "666"}, {"DimensionSet", "all"}, {"Empty", ""},
    {"Region", "mars"},	   {"Tenant", "evil"},	    {"__name__", "x"},
    {"dim_tenant", "z"},   {"tier", "lead"},	    {"tier.", "tin"},
    {"2nd", "b"},	   {"\xC3\xA9", "e"},
};

/* Nothing that a tenant publishes takes the place of a label that says whose it is. */
static void
test_hostile_dimensions(void **state)
{
	const struct metric_source m = {"Checkout", "n", "Sum", hostile, ARRAY_LEN(hostile), false};

	(void)state;
	check_series(&(struct naming_rules){NAMING_MUSTER, 0}, &acme, &m,
		     "aws_checkout_n_sum{_2nd=b,account_id=111122223333,dim_account_id=666,dim_dim_"
		     "tenant=z,dim_dim_tier=tin,"
		     "dim_dimension_set=all,dim_region=mars,dim_tenant=evil,dim_tier=lead,name=x,"
		     "region=ap-southeast-2,tenant=acme,"
		     "tier=gold,x=e}");
}

static void
test_hostile_yace(void **state)
{
	static const struct label dims[] = {
	    {"Set", "1"}, {"a b", "2"}, {"a%", "3"}, {"a-b", "4"}, {"set", "5"}};
	const struct metric_source m = {"Checkout", "n", "Sum", dims, ARRAY_LEN(dims), false};

	(void)state;
	check_series(
	    &(struct naming_rules){NAMING_YACE, 0}, &bare, &m,
	    "aws_checkout_n_sum{account_id=111122223333,dim_dimension_a_b=4,dim_dimension_set=5,"
	    "dimension_Set=1,"
	    "dimension_a_b=2,dimension_a_percent=3,name=global,region=cn-north-1,tenant=7-up.x}");
}

/* The tenant's labels come after ours and before everything else. */
static void
test_tenant_labels(void **state)
{
	static const struct label own[] = {
	    {"cloud_region", "mine"}, {"cluster", "mine"}, {"tenant", "evil"}};
	const struct series_owner o = {"acme", "111122223333", "eu-west-1", "aws",
				       own,    ARRAY_LEN(own), NULL};
	const struct metric_source m = EIGHT("CpuUtilized", "Average");

	(void)state;
	check_series(&(struct naming_rules){NAMING_ADOT, 0}, &o, &m,
		     "ecs_task_cpu_utilized{account_id=111122223333,aws_ecs_cluster_name=prod,aws_"
		     "ecs_service_name=web,"
		     "cloud_account_id=111122223333,cloud_region=mine,cluster=mine,dim_cluster="
		     "prod,region=eu-west-1,service=web,"
		     "tenant=acme}");
}

static void
test_dimension_sets(void **state)
{
	struct metric_source m = {
	    ECS_INSIGHTS_NAMESPACE, "CpuUtilized", "Average", task_dims, 3, true};

	(void)state;
	check_series(&(struct naming_rules){NAMING_MUSTER, 0}, &bare, &m,
		     "ecs_task_cpu_utilized{account_id=111122223333,cluster=prod,dimension_set="
		     "cluster_task_task_family,"
		     "region=cn-north-1,task=t1,task_family=api,tenant=7-up.x}");
	m.dims = service_dims;
	m.n_dims = 2;
	check_series(&(struct naming_rules){NAMING_MUSTER, 0}, &bare, &m,
		     "ecs_task_cpu_utilized{account_id=111122223333,cluster=prod,dimension_set="
		     "cluster_service,region=cn-north-1,"
		     "service=web,tenant=7-up.x}");
	m.n_dims = 0;
	check_series(&(struct naming_rules){NAMING_TENANT_PREFIX, 0}, &bare, &m,
		     "_7_up_x_ecs_task_cpu_utilized{account_id=111122223333,cloud_account_id="
		     "111122223333,cloud_region=cn-north-1,"
		     "region=cn-north-1,tenant=7-up.x}");
	m.dims = container_dims;
	m.n_dims = 3;
	check_series(&(struct naming_rules){NAMING_YACE, 0}, &bare, &m,
		     "aws_ecs_containerinsights_cpu_utilized_average{account_id=111122223333,"
		     "dimension_ClusterName=prod,"
		     "dimension_ContainerName=app,dimension_TaskDefinitionFamily=api,dimension_set="
		     "cluster_container_task_family,"
		     "name=arn:aws-cn:ecs:cn-north-1:111122223333:cluster/"
		     "prod,region=cn-north-1,tenant=7-up.x}");
	check_series(&(struct naming_rules){NAMING_ADOT, 0}, &bare, &m,
		     "ecs_task_cpu_utilized{account_id=111122223333,aws_ecs_cluster_name=prod,aws_"
		     "ecs_task_family=api,"
		     "cloud_account_id=111122223333,cloud_region=cn-north-1,cluster=prod,container="
		     "app,container_name=app,"
		     "dimension_set=cluster_container_task_family,region=cn-north-1,task_family="
		     "api,tenant=7-up.x}");
}

static void
test_snake_case(void **state)
{
	static const char *const cases[][2] = {
	    {"CPUUtilization", "cpu_utilization"},
	    {"HTTPCode_Target_2XX_Count", "http_code_target_2xx_count"},
	    {"HTTPCode_ELB_5XX_Count", "http_code_elb_5xx_count"},
	    {"5xxErrorRate", "5xx_error_rate"},
	    {"P99Latency", "p99_latency"},
	    {"EC2InstanceId", "ec2_instance_id"},
	    {"LoadBalancer", "load_balancer"},
	    {"TargetTLSNegotiationErrorCount", "target_tls_negotiation_error_count"},
	    {"GrpcRequestCount", "grpc_request_count"},
	    {"instance_cpu_usage_total", "instance_cpu_usage_total"},
	    {"GetRecords.IteratorAgeMilliseconds", "get_records_iterator_age_milliseconds"},
	    {"IOPS", "iops"},
	    {"A", "a"},
	    {"aB", "a_b"},
	    {"__a__b__", "a_b"},
	    {"100%", "100_percent"},
	    {"%", "percent"},
	    {"a%b", "a_percent_b"},
	    {"mem used\tpct", "mem_used_pct"},
	    {"", "x"},
	    {"--", "x"},
	    {"na\xC3\xAFve", "na_ve"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_done) struct buf out = BUF_INIT(256);

		buf_str(&out, "_");
		snake_case(&out, sv_of(cases[i][0]));
		assert_string_equal(buf_cstr(&out) + 1, cases[i][1]);
	}
}

/* A name that does not fit is an error, not a cut one. */
static void
test_too_long(void **state)
{
	CLEANUP(arena_done) struct arena a = ARENA_INIT((size_t)1 << 20);
	CLEANUP(buf_done) struct buf metric = BUF_INIT((size_t)1 << 20);
	struct metric_source m = {"X", NULL, "Sum", NULL, 0, false};
	struct series s;
	struct err err;

	(void)state;
	for (int i = 0; i < 100000; i++)
		buf_ch(&metric, 'a');
	m.metric = buf_cstr(&metric);
	for (unsigned n = NAMING_MUSTER; n <= NAMING_YACE; n++) {
		struct naming_rules r = {(enum naming)n, 0};

		assert_int_equal(normalise_series(&r, &acme, &m, 60000, &a, &s, &err), -1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_eight),
	    cmocka_unit_test(test_units),
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_hostile_dimensions),
	    cmocka_unit_test(test_hostile_yace),
	    cmocka_unit_test(test_tenant_labels),
	    cmocka_unit_test(test_dimension_sets),
	    cmocka_unit_test(test_snake_case),
	    cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
