/*
 * What readers make of a text when memory runs out at any of their allocations: the whole of it, or
 * "out of memory"; never less of it, and never a complaint about the text. (The sweep of
 * allocations does so with whole runs; here is what it has found.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "aws/cred_sources.h"
#include "aws/profile.h"
#include "base/cleanup.h"
#include "model/insights_rows.h"
#include "run/command.h"
#include "run/config.h"
#include "run/report.h"
#include "sink/sink.h"
#include "tests/sim/sim.h"

#define MANY 1000 /* more allocations than any of these asks for */

/* Reads and appends what it understood. */
typedef int (*reader)(struct buf *out, struct err *err);

/* Returns how many allocations there were. */
static uint64_t
assert_reads(reader read, const char *expected, uint64_t without)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(1u << 16);
	struct err err = {0};
	uint64_t n;
	int r;

	assert_true(buf_reserve(&out, 4096));
	sim_alloc_begin(without);
	r = read(&out, &err);
	n = sim_alloc_end();
	if (r) {
		assert_true(without > 0 && without <= n);
		assert_non_null(strstr(err.msg, "out of memory"));
	} else {
		assert_string_equal(buf_cstr(&out), expected);
	}
	return n;
}

static void
assert_all_or_nothing(reader read, const char *expected)
{
	uint64_t n = assert_reads(read, expected, 0);

	assert_in_range(n, 1, MANY);
	for (uint64_t at = 1; at <= n; at++)
		(void)assert_reads(read, expected, at);
}

static int
read_profiles(struct buf *out, struct err *err)
{
	static const char config[] = "[profile 'a b']\nregion = r\ns3 =\n  style = path\n";
	struct profiles *p = NULL;

	if (profiles_parse(sv_of(config), SV(""), &p, err))
		return -1;
	buf_fmt(out, "%d %s", profiles_have(p, "a b"),
		profiles_get(p, "a b", "region", PROFILE_EITHER));
	profiles_free(p);
	return 0;
}

static void
test_profiles(void **state)
{
	(void)state;
	assert_all_or_nothing(read_profiles, "1 r");
}

static int
read_keys(struct buf *out, struct err *err)
{
	static const char doc[] =
	    "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"T\","
	    "\"Expiration\":\"1970-01-01T00:00:01Z\",\"AccountId\":\"1\"}";
	struct cred c = {0};
	int r = cred_json_keys(sv_of(doc), "Token", &c, err);

	if (!r)
		buf_fmt(out, "%s %s %s %lld %s", c.key_id, c.secret.p, c.token.p,
			(long long)c.expires_wall_ms, c.account);
	cred_done(&c);
	return r;
}

/* Without their expiry keys would be used for ever, without their token they are none. */
static void
test_keys(void **state)
{
	(void)state;
	assert_all_or_nothing(read_keys, "A S T 1000 1");
}

static int
read_row(struct buf *out, struct err *err)
{
	struct json_raw fields[] = {
	    {.name = SV("n"), .value = SV("3")},
	    {.name = SV("bin(1m)"), .value = SV("1970-01-01 00:01:00.000")}};
	struct insights_columns columns = {0};
	const struct insights_lines l = {
	    .common = "\"", .time_column = "bin(1m)", .ts_ms = 7, .columns = &columns};
	struct insights_row row = {0};
	CLEANUP(buf_done) struct buf line = BUF_INIT(4096);
	int r = insights_line(&l, fields, ARRAY_LEN(fields), &line, &row, err);

	if (!r)
		buf_fmt(out, "%lld", (long long)row.ts_ms);
	return r;
}

/* Else it would be frozen at another time. */
static void
test_row(void **state)
{
	(void)state;
	assert_all_or_nothing(read_row, "60000");
}

/* With whatever asks for memory of its own while it is read. */
static const char configuration[] =
    "region: eu-west-1\n"
    "state: file:///tmp/${HOME:-none}\n"
    "defaults: {role: 'reader-{account}', external_id: 'muster-{id}'}\n"
    "tenants: [{id: acme, account: '111122223333', labels: {tier: gold}}]\n"
    "tenants_from: [{organization: {tags: {a: b}}, labels: {tier: '{tag:tier}'}}, {file: "
    "t*.yaml}]\n"
    "jobs:\n"
    "  ecs: {kind: metrics, to: [prom], from: [{namespace: A, statistics: [p99, p95]},\n"
    "        {id: a, namespace: B, metrics: [M]}, {id: e, expression: 'a * 2', name: twice}]}\n"
    "  app: {kind: insights, to: [prom], log_groups: [/app], query: 'stats count(*) as n by "
    "bin(1m) as t',\n"
    "        series: {time: t, values: {n: events}}}\n"
    "  traces: {kind: traces, to: [spans], spans_filter: 'duration > 1'}\n"
    "sinks:\n"
    "  prom: {kind: remote_write, url: 'http://127.0.0.1/write'}\n"
    "  spans: {kind: otlp, url: 'http://127.0.0.1:4318'}\n"
    "  idle: {kind: stdout}\n";
static char folder[] = "/tmp/no_memory_test.XXXXXX", config_path[64], list_path[64];

static void
write_file(char path[64], const char *name, const char *text)
{
	FILE *f;

	(void)snprintf(path, 64, "%s/%s", folder, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int
write_configuration(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	write_file(config_path, "muster.yaml", configuration);
	write_file(list_path, "tenants.yaml", "- {id: beta, account: '222233334444'}\n");
	return 0;
}

static int
remove_configuration(void **state)
{
	char command[64];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static int
read_configuration(struct buf *out, struct err *err)
{
	struct conf_faults *f = conf_faults_new();
	struct config *c = NULL;
	int r = config_load(config_path, &c, f, err);

	if (r) {
		assert_int_equal(err->kind, ERR_LOCAL);
	} else {
		buf_fmt(out, "%s, %zu tenants, %zu sources, %zu jobs, %zu sinks, %zu of no use",
			c->region, c->n_tenants, c->n_sources, c->n_jobs, c->n_sinks,
			c->n_unused_sinks);
		config_free(c);
	}
	conf_faults_free(f);
	return r;
}

static void
test_configuration(void **state)
{
	(void)state;
	assert_all_or_nothing(read_configuration,
			      "eu-west-1, 2 tenants, 1 sources, 3 jobs, 3 sinks, 1 of no use");
}

/* Two series, each time as those of another tenant, and what is in the file. */
static int
write_openmetrics(struct buf *out, struct err *err)
{
	static const double values[] = {1};
	static const struct label labels[] = {{"cluster", "c"}, {"service", "s"}};
	const struct series series[] = {
	    {.name = "a", .labels = labels, .n_labels = 2, .period_ms = 60000},
	    {.name = "b", .labels = labels, .n_labels = 2, .period_ms = 60000}};
	struct sample_row rows[] = {{.series = &series[0], .values = values, .n = 1},
				    {.series = &series[1], .values = values, .n = 1}};
	static unsigned n;
	char url[64], tenant[16], key[128];
	const struct sink_conf conf = {.name = "old", .kind = SINK_OPENMETRICS, .url = url};
	const struct sink_env env = {.stdout_fd = -1};
	const struct publish who = {.job = "j", .tenant = tenant, .account = "1", .region = "r"};
	struct published done = {0};
	struct cell_data d;
	struct sink *s = NULL;
	struct store *store = NULL;
	int r;

	(void)snprintf(url, sizeof(url), "file://%s/old", folder);
	(void)snprintf(tenant, sizeof(tenant), "t%u", ++n);
	(void)snprintf(
	    key, sizeof(key),
	    "j/tenant=%s/region=r/dt=1970-01-01/hh=00/19700101T000000Z-19700101T000500Z.om",
	    tenant);
	cell_data_init(&d, (struct cell){0, 300000});
	d.rows = rows;
	d.n_rows = ARRAY_LEN(rows);
	r = sink_open(&conf, &env, &s, err);
	if (!r)
		r = s->ops->publish(s, &who, &d, &done, err);
	if (!r)
		r = store_open(url, NULL, &store, err);
	if (!r)
		r = store_get(store, key, NULL, out, NULL, err);
	store_free(store);
	sink_free(s);
	cell_data_done(&d);
	return r;
}

/* Samples under half of their labels would be another series', for good. */
static void
test_openmetrics(void **state)
{
	(void)state;
	assert_all_or_nothing(write_openmetrics, "a{cluster=\"c\",service=\"s\"} 1 0\n"
						 "b{cluster=\"c\",service=\"s\"} 1 0\n# EOF\n");
}

/* In a process of its own, which a plan that comes about locks in. Returns its exit status, and
 * what it said on stderr. */
static int
plan_without(uint64_t at, char said[4096])
{
	char name[] = "plan", option[] = "-c";
	char *argv[] = {name, option, config_path, NULL};
	int fd = memfd_create("said", MFD_CLOEXEC), status = 0;
	ssize_t n;
	pid_t pid;

	assert_true(fd >= 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (dup2(fd, STDERR_FILENO) < 0 || !freopen("/dev/null", "w", stdout))
			abort();
		sim_alloc_begin(at);
		_exit(cmd_plan(3, argv));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	n = pread(fd, said, 4095, 0);
	said[n > 0 ? n : 0] = '\0';
	assert_int_equal(close(fd), 0);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* It is not the configuration's fault, nor anybody's at the keyboard. */
static void
test_status(void **state)
{
	char said[4096];
	size_t failed = 0;

	(void)state;
	for (uint64_t at = 1; at <= 20; at++) {
		int status = plan_without(at, said);

		if (status == EXIT_OK)
			continue; /* it made do with less */
		failed++;
		assert_int_equal(status, EXIT_CENTRAL);
		assert_non_null(strstr(said, "out of memory"));
		assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1); /* one line */
	}
	assert_true(failed > 15);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_profiles),	cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_row),		cmocka_unit_test(test_configuration),
	    cmocka_unit_test(test_openmetrics), cmocka_unit_test(test_status),
	};

	return cmocka_run_group_tests(tests, write_configuration, remove_configuration);
}
