/*
 * What a run would do, from configuration and checkpoints alone: what is known, what is taken from
 * the others, what is assumed, and how that is added up and shown.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "jobs/metrics.h"
#include "run/forecast.h"

#define MINUTE INT64_C(60000)
#define T0     INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define EVERY  (5 * MINUTE)
#define NOW    "2026-01-01T02:00:00Z"

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-6)

#define ok(call)                                                                                   \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, err.msg);                                        \
	} while (0)

static const char three[] = "region: eu-west-1\n"
			    "state: file://%s/state\n"
			    "defaults: {role: r, external_id: none}\n"
			    "tenants:\n"
			    "  - {id: acme, account: \"111122223333\"}\n"
			    "  - {id: globex, account: \"222233334444\"}\n"
			    "  - {id: initech, account: \"333344445555\"}\n"
			    "jobs:\n"
			    "  ecs: {kind: metrics, to: [lake]}\n"
			    "sinks:\n"
			    "  lake: {kind: objects, url: \"s3://bucket/lake\"}\n"
			    "run: {limits: {cloudwatch_get_metric_data: 2/s}}\n";

struct fixture {
	char folder[32];
	struct config *config;
	struct options options;
	struct session session;
	struct forecast f;
};

static void
setup(struct fixture *f)
{
	struct conf_faults *faults = conf_faults_new();
	struct err err = {0};
	char path[64], text[2048];
	FILE *file;

	*f = (struct fixture){.folder = "/tmp/forecast_test.XXXXXX"};
	assert_non_null(mkdtemp(f->folder));
	(void)snprintf(path, sizeof(path), "%s/muster.yaml", f->folder);
	(void)snprintf(text, sizeof(text), three, f->folder);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	if (config_load(path, &f->config, faults, &err))
		fail_msg("%s %s", err.msg,
			 conf_faults_count(faults) ? conf_faults_get(faults, 0) : "");
	conf_faults_free(faults);
	f->options = (struct options){.command = FOR_PLAN, .shards = 1, .now = NOW};
}

static void
teardown(struct fixture *f)
{
	char command[64];

	forecast_done(&f->f);
	session_close(&f->session);
	config_free(f->config);
	(void)snprintf(command, sizeof(command), "rm -rf %s", f->folder);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c,concurrency-mt-unsafe) */
}

static void
make(struct fixture *f)
{
	struct err err = {0};

	ok(session_open_plan(&f->session, f->config, &f->options, clock_real(), &err));
	ok(forecast_make(&f->session, &f->f, &err));
}

/* The memo of a stream with n series, listed just now. */
static json_t *
memo_of(const struct fixture *f, int n)
{
	const struct job *job = &f->config->jobs[0];
	CLEANUP(buf_done) struct buf text = BUF_INIT(1u << 20);
	CLEANUP(arena_done) struct arena mem = ARENA_INIT(16u << 20);
	struct inventory inv = {.discovered_ms = T0 + 119 * MINUTE, .recent = true, .pages = 3};
	char hex[SHA256_HEX_LEN + 1], service[32];
	struct err err = {0};

	metrics_definition(&job->common, job->opts, &text);
	sha256_hex(buf_view(&text), hex);
	for (int i = 0; i < n; i++) {
		struct cw_dim dims[] = {{"ClusterName", "c"}, {"ServiceName", service}};
		const struct cw_metric m = {"ECS/ContainerInsights", "CpuUtilized", dims, 2};

		(void)snprintf(service, sizeof(service), "s%d", i);
		ok(inventory_add(&inv, &m, T0, &mem, &err));
	}
	inventory_sort(&inv);
	return inventory_save(&inv, hex);
}

/* A stream with n series on record, done up to so many cells after T0. Ten were done, with 80
 * samples each, two of them empty. */
static void
record(const struct fixture *f, const char *tenant, int n, int cells)
{
	struct store *store = NULL;
	struct ckpt *c = ckpt_new(tenant, "ecs");
	struct ckpt_stream *s;
	struct err err = {0};
	char url[64];

	(void)snprintf(url, sizeof(url), "file://%s/state", f->folder);
	ok(store_open(url, &(struct store_env){0}, &store, &err));
	s = ckpt_stream_add(c, "eu-west-1", T0, EVERY, &err);
	assert_non_null(s);
	assert_non_null(ckpt_sink_add(s, "lake", T0 + cells * EVERY, &err));
	s->counters = (struct ckpt_counters){.cells = 10, .empty_cells = 2, .samples_frozen = 800};
	s->memo = memo_of(f, n);
	ok(ckpt_save(store, "", c, &err));
	ckpt_free(c);
	store_free(store);
}

static const struct forecast_stream *
stream(const struct fixture *f, const char *tenant)
{
	for (size_t i = 0; i < f->f.n_streams; i++)
		if (!strcmp(f->f.streams[i].tenant->id, tenant))
			return &f->f.streams[i];
	fail_msg("%s is not foretold", tenant);
	return NULL;
}

static uint64_t
calls(const struct forecast_calls *c, const char *operation)
{
	for (size_t i = 0; i < c->n; i++)
		if (!strcmp(c->v[i].operation, operation))
			return c->v[i].n;
	return 0;
}

/* Two of three are on record: the third is as they are on average. */
static void
what_is_known_and_what_is_taken_from_others(void **state)
{
	const struct forecast_stream *s;
	struct fixture f;

	(void)state;
	setup(&f);
	record(&f, "acme", 600, 20); /* 3 cells behind */
	record(&f, "initech", 100, 23);
	make(&f);
	s = stream(&f, "acme");
	assert_int_equal(s->basis, BASIS_RECORD);
	assert_false(s->first);
	assert_int_equal(s->series, 600);
	assert_int_equal(s->cells, 3);
	assert_int_equal(s->pulls, 1);
	assert_int_equal(s->samples, 3 * 80);
	assert_int_equal(calls(&s->calls, "GetMetricData"), 2); /* 500 and 100 */
	assert_int_equal(calls(&s->calls, "ListMetrics"), 0);	/* the list is a minute old */
	assert_int_equal(s->billed.metrics, 600);
	assert_int_equal(s->billed.puts, 2); /* 3 cells, of which 8 in 10 leave an object */
	s = stream(&f, "initech");
	assert_int_equal(s->cells, 0);
	assert_int_equal(s->calls.n, 0);
	s = stream(&f, "globex");
	assert_int_equal(s->basis, BASIS_OTHERS);
	assert_true(s->first);
	assert_int_equal(s->series, 350);
	assert_int_equal(s->cells, 5); /* lookback */
	assert_int_equal(s->samples, 5 * 80);
	assert_int_equal(f.f.likened, 1);
	assert_int_equal(f.f.assumed, 0);
	/* Who has nothing to do takes no role. */
	assert_int_equal(calls(&f.f.calls, "AssumeRole"), 2);
	assert_int_equal(f.f.billed.metrics, 950);
	NEAR(f.f.run_dollars, prices_sum(&f.config->run.prices, &f.f.billed));
	teardown(&f);
}

static void
nothing_is_known(void **state)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(1u << 20);
	struct forecast_shown shown;
	struct fixture f;

	(void)state;
	setup(&f);
	make(&f);
	assert_int_equal(f.f.assumed, 3);
	assert_int_equal(f.f.series, 3 * FORECAST_SERIES);
	shown = (struct forecast_shown){.f = &f.f};
	forecast_table(&shown, &text);
	assert_non_null(strstr(buf_cstr(&text), "* 3 streams have no record"));
	assert_non_null(strstr(buf_cstr(&text), " 80*"));
	teardown(&f);
}

/* All calls by all workers, the busiest tenant's, the tightest quota: the longest of these. */
static void
how_long_it_takes(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	record(&f, "acme", 50 * CW_QUERIES_MAX, 22);
	record(&f, "globex", 10, 22);
	record(&f, "initech", 10, 22);
	make(&f);
	/* 50 + 1 + 1 calls, 3 roles, 1 for who we are; 3 streams that are at it */
	assert_int_equal(f.f.latency_ms, 56 * FORECAST_CALL_MS / 3);
	assert_int_equal(f.f.tenant_ms, 51 * FORECAST_CALL_MS);
	assert_string_equal(f.f.quota.operation, "GetMetricData");
	assert_string_equal(f.f.quota.account, "111122223333");
	assert_int_equal(f.f.quota.calls, 50);
	assert_int_equal(f.f.quota_ms, 25000);
	assert_int_equal(forecast_duration_ms(&f.f), 25000);
	teardown(&f);
}

/* The same points for fewer metrics asked for. */
static void
longer_cells_cost_less(void **state)
{
	struct forecast_schedule five, hour, odd;
	struct err err = {0};
	struct fixture f;

	(void)state;
	setup(&f);
	record(&f, "acme", 100, 22);
	record(&f, "globex", 100, 22);
	record(&f, "initech", 100, 22);
	make(&f);
	ok(forecast_schedule(&f.f, EVERY, &five, &err));
	ok(forecast_schedule(&f.f, 60 * MINUTE, &hour, &err));
	ok(forecast_schedule(&f.f, 10000, &odd, &err));
	assert_null(five.cannot);
	NEAR(five.day.metrics, 288 * 300);
	NEAR(five.day.metrics, f.f.day.metrics);
	NEAR(hour.day.metrics, 24 * 300);
	/* Each second run lists with 3 pages, or each one. */
	NEAR(five.day.other_calls, 144 * 3 * 3);
	NEAR(hour.day.other_calls, 24 * 3 * 3);
	/* 8 cells in 10 leave an object; the lake is tried with two in each run. */
	NEAR(five.day.puts, 288 * (3 * 0.8 + 2));
	assert_ptr_equal(odd.cannot, &f.config->jobs[0]); /* its period is a minute */
	NEAR(odd.day.metrics, 0);
	teardown(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_known_and_what_is_taken_from_others),
	    cmocka_unit_test(nothing_is_known),
	    cmocka_unit_test(how_long_it_takes),
	    cmocka_unit_test(longer_cells_cost_less),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
