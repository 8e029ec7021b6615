/*
 * The metrics kind before it asks for data: its keys and their faults, its definition, the memo
 * with the inventory, and how many cells a pull may have.
 */
#include "metrics_rig.h"

#define CPU SERVICE("CpuUtilized", "web")
#define MEM SERVICE("MemoryUtilized", "web")

/* Options */

static void
test_defaults(void **state)
{
	struct rig r;
	size_t n;
	const struct metrics_from *from;

	(void)state;
	rig_init(&r, "{}");
	assert_int_equal(r.opts.period_ms, 60000);
	assert_int_equal(r.opts.discover_every_ms, 600000);
	assert_int_equal(r.opts.naming, NAMING_MUSTER);
	assert_int_equal(r.opts.memory_unit, MEMORY_MIB);
	assert_null(r.opts.keep);
	from = metrics_from_list(&r.opts, &n);
	assert_int_equal(n, 1);
	assert_string_equal(from->ns, "ECS/ContainerInsights");
	assert_string_equal(metrics_from_stats(from)->v[0], "Average");
	assert_int_equal(job_metrics.every_ms, 300000);
	assert_int_equal(job_metrics.delay_ms, 300000);
	assert_int_equal(job_metrics.revisit_ms, 1800000);
	assert_string_equal(job_metrics.service, "monitoring");
	rig_done(&r);
}

static const struct {
	const char *yaml, *fault;
} faults[] = {
    {"period: 45s", "45s is neither a multiple of 60s nor one of 1s, 5s, 10s, 20s, 30s"},
    {"period: 7m", "every (5m) is not a multiple of the period (7m)"},
    {"naming: prometheus", "naming"},
    {"memory_unit: MB", "memory_unit"},
    {"keep: '('", "keep"},
    {"from: [{namespace: A, statistics: [Avg]}]", "\"Avg\" is not a statistic of CloudWatch's"},
    {"from: [{namespace: A, statistics: [p101]}]", "\"p101\" is not"},
    {"from: [{namespace: A, statistics: ['p99 ']}]", "\"p99 \" is not"},
    {"from: [{namespace: A, statistics: ['PR(:)']}]", "\"PR(:)\" is not"},
    {"from: [{namespace: A, statistics: ['TM(:5%)', 'TM(5%:)']}]",
     "TM(:5%) and TM(5%:) would be one series by name"},
    {"from: [{metrics: [x]}]", "an entry has no namespace"},
    {"from: [{metrics: [x], id: a}, {expression: a, name: x}]", "an entry has no namespace"},
    {"from: [{namespace: ''}]", "should not be empty"},
    {"from: [{id: e, expression: 'SUM(x)', name: n}]", "no entry above it has the id x"},
    {"from: [{namespace: A, name: n}]", "a name goes with an expression"},
    {"from: [{expression: '1'}]", "needs a name for its series, or an id"},
    {"from: [{expression: '1', name: '1x'}]", "\"1x\" cannot be the name of a series"},
    {"from: [{expression: '1', name: x}, {expression: '2', name: x}]",
     "two expressions give series of the name x"},
    {"from: [{expression: '1', name: x, namespace: A}]", "an expression has no namespace"},
    {"from: [{expression: '1', name: x, statistics: Sum}]", "an expression has no namespace"},
    {"from: [{expression: '1', id: X, name: x}]", "\"X\" is no id"},
    {"from: [{expression: '1', id: a, name: x}, {expression: '1', id: a, name: y}]",
     "two entries have the id a"},
    {"from: [{expression: '1', id: a}]", "no expression uses a"},
    {"from: [{namespace: A, metrics: [x], id: a}]", "no expression uses a"},
    {"from: [{namespace: A, metrics: ['x*'], id: a}, {expression: a, name: x}]",
     "an entry with an id names one metric"},
    {"from: [{namespace: A, id: a}, {expression: a, name: x}]",
     "an entry with an id names one metric"},
    {"from: [{namespace: A, metrics: [x], id: a, statistics: [Sum, Average]}, {expression: a, "
     "name: x}]",
     "an entry with an id has one statistic"},
    {"from: [{namespace: A, metrics: [x], dimensions: [[B]], id: a}, {namespace: A, metrics: [y], "
     "dimensions: [[C]], id: b}, {expression: a/b, name: x}]",
     "a and b are joined by their dimensions"},
    {"from: [{namespace: A, metrics: [x], id: a}, {expression: \"SEARCH('{A,B} y', 'Sum')/a\", "
     "name: x}]",
     "do not go together with metrics by id"},
    {"from: [{expression: \"SUM(SEARCH('{A,B} y', 'Sum', 300))\", name: x}]",
     "a period of 300s, which is not the job's"},
    {"from: [{expression: 'm1 +', name: x}]", "no entry above it has the id m1"},
    {"from: [{namespace: A, metric: x}]", "metric"},
    {"from: [{namespace: A, dimensions: "
     "[[a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,aa,ab,ac,ad,ae]]}]",
     "more than 30 dimensions"},
};

static void
test_faults(void **state)
{
	const struct conf_key *tables[] = {metrics_keys, NULL};
	const struct job_common common = {.name = "ecs", .every_ms = CELL_MS};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		CLEANUP(arena_done) struct arena a = ARENA_INIT((size_t)16 << 20);
		struct conf_faults *f = conf_faults_new();
		struct metrics_opts o = {0};
		void *outs[] = {&o};
		const struct conf_node *node = conf_parse("x", sv_of(faults[i].yaml), &a, f);

		assert_non_null(node);
		conf_read(node, tables, outs, &a, f);
		if (!conf_faults_count(f))
			metrics_check(&common, &o, node, &a, f);
		if (conf_faults_count(f) != 1 || !strstr(conf_faults_get(f, 0), faults[i].fault))
			fail_msg("%s: %zu faults, %s", faults[i].yaml, conf_faults_count(f),
				 conf_faults_count(f) ? conf_faults_get(f, 0) : "");
		conf_faults_free(f);
	}
}

static void
test_statistics(void **state)
{
	struct rig r;

	(void)state;
	rig_init(
	    &r,
	    "from: [{namespace: A, statistics: [Average, Sum, Minimum, Maximum, SampleCount, IQM, "
	    "p0, p50, p99.9,"
	    " p100, tm90, tc10.5, ts5, wm98, 'PR(10:20)', 'TM(10%:90%)', 'TC(:5)', 'PR(1.5:)']}]");
	assert_int_equal(metrics_from_stats(r.opts.from.v)->n, 18);
	rig_done(&r);
}

static void
definition_of(const char *yaml, char *out, size_t size)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT((size_t)1 << 16);
	struct rig r;

	rig_init(&r, yaml);
	job_metrics.definition(&r.common, &r.opts, &text);
	assert_true(buf_ok(&text));
	(void)snprintf(out, size, "%s", buf_cstr(&text));
	rig_done(&r);
}

/* What decides the data changes it; what does not, does not; and defaults are as good as written.
 */
static void
test_definition(void **state)
{
	static const char *const other[] = {
	    "period: 5m",
	    "naming: adot",
	    "memory_unit: Megabytes",
	    "keep: x",
	    "drop: x",
	    "from: [{namespace: AWS/ECS}]",
	    "from: [{namespace: ECS/ContainerInsights, metrics: [CpuUtilized]}]",
	    "from: [{namespace: ECS/ContainerInsights, dimensions: [[ClusterName]]}]",
	    "from: [{namespace: ECS/ContainerInsights, dimensions: [['*']]}]",
	    "from: [{namespace: ECS/ContainerInsights, where: {ClusterName: a*}}]",
	    "from: [{namespace: ECS/ContainerInsights, statistics: [Sum]}]",
	};
	static const char *const same[] = {
	    "from: [{namespace: ECS/ContainerInsights}]",
	    "discover_every: 1h",
	    "from: [{namespace: ECS/ContainerInsights, dimensions: [[ClusterName, ServiceName]], "
	    "statistics: Average,"
	    " metrics: [CpuReserved, CpuUtilized, MemoryReserved, MemoryUtilized, NetworkRxBytes, "
	    "NetworkTxBytes,"
	    " StorageReadBytes, StorageWriteBytes]}]",
	};
	char base[2048], text[2048];

	(void)state;
	definition_of("{}", base, sizeof(base));
	for (size_t i = 0; i < ARRAY_LEN(other); i++) {
		definition_of(other[i], text, sizeof(text));
		assert_string_not_equal(text, base);
	}
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		definition_of(same[i], text, sizeof(text));
		assert_string_equal(text, base);
	}
}

/* The memo */

/* Pull once with this list; the memo that stays. */
static json_t *
memo_after(struct rig *r, const json_t *memo, const char *list, int64_t now_ms)
{
	json_t *made;

	rig_open_at(r, memo, START, 1, now_ms);
	rig_say(r, "{\"Namespace\":\"ECS/ContainerInsights\"", list);
	assert_non_null(rig_next(r));
	made = job_metrics.memo(r->p);
	assert_non_null(made);
	return made;
}

static size_t
memo_size(const json_t *memo)
{
	const json_t *entries = json_object_get(memo, "entries");
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(entries); i++)
		n += json_object_size(json_object_get(json_array_get(entries, i), "metrics"));
	return n;
}

static void
test_memo_saves_listing(void **state)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(4096);
	json_t *memo;
	struct rig r;

	(void)state;
	rig_init(&r, "{}");
	memo = memo_after(&r, NULL, LIST_OF(CPU), NOW);
	json_object_del(memo, "definition");
	assert_int_equal(json_dump(memo, false, &text, &r.err), 0);
	assert_string_equal(buf_cstr(&text),
			    "{\"discovered_ms\":1767226800000,\"entries\":[{\"dimensions\":{"
			    "\"ClusterName\":\"c\",\"ServiceName\":\"web\"},"
			    "\"metrics\":{\"CpuUtilized\":1767226800000},\"namespace\":\"ECS/"
			    "ContainerInsights\"}],\"pages\":1,\"recent\":true,\"version\":2}");
	json_decref(memo);

	memo = memo_after(&r, NULL, LIST_OF(CPU), NOW);
	rig_open_at(&r, memo, START, 1, NOW + 599999);
	rig_say(&r, "{\"MetricDataQueries\"", DATA_OF(RESULT("m0", "", "", "Complete")));
	rig_complete(&r, 1);
	assert_null(job_metrics.memo(r.p)); /* as it was */
	json_decref(memo);
	rig_done(&r);
}

static void
expect_listing(struct rig *r, const json_t *memo, int64_t start_ms, int64_t now_ms, bool listed)
{
	rig_open_at(r, memo, start_ms, 1, now_ms);
	assert_int_equal(strncmp(rig_next(r), "{\"Namespace\"", 12) == 0, listed);
}

static void
test_memo_age(void **state)
{
	json_t *memo, *full;
	struct rig r;

	(void)state;
	rig_init(&r, "{}");
	memo = memo_after(&r, NULL, LIST_OF(CPU), NOW);
	expect_listing(&r, memo, START, NOW, false);
	expect_listing(&r, memo, START, NOW + 600000, true);
	expect_listing(&r, memo, START, NOW - 1, true); /* a present before the listing */
	/* Cells too old for a list of what was active lately need a full one, which then serves
	 * both. */
	expect_listing(&r, memo, START - 150 * 60000, NOW, true);
	assert_null(strstr(buf_cstr(&r.call.body), "RecentlyActive"));
	rig_answer(&r, LIST_OF(CPU));
	full = job_metrics.memo(r.p);
	expect_listing(&r, full, START - 150 * 60000, NOW, false);
	expect_listing(&r, full, START, NOW, false);
	json_decref(full);
	json_decref(memo);
	rig_done(&r);
}

static void
test_recently_active(void **state)
{
	const int64_t limit = NOW - 150 * 60000;
	struct rig r;

	(void)state;
	rig_init(&r, "{}");
	expect_listing(&r, NULL, limit + 300000, NOW, true);
	assert_non_null(strstr(buf_cstr(&r.call.body), "RecentlyActive"));
	expect_listing(&r, NULL, limit, NOW, true);
	assert_null(strstr(buf_cstr(&r.call.body), "RecentlyActive"));
	rig_done(&r);
}

static void
test_memo_of_another_definition(void **state)
{
	json_t *memo;
	struct rig r;

	(void)state;
	rig_init(&r, "{}");
	memo = memo_after(&r, NULL, LIST_OF(CPU), NOW);
	rig_done(&r);
	rig_init(&r, "naming: adot");
	expect_listing(&r, memo, START, NOW, true);
	json_decref(memo);
	rig_done(&r);
}

/* A metric that the newest list left out is asked for during another hour. */
static void
test_unlisted_metrics_stay_a_while(void **state)
{
	json_t *memo, *next;
	struct rig r;

	(void)state;
	rig_init(&r, "{}");
	memo = memo_after(&r, NULL, LIST_OF(CPU "," MEM), NOW);
	assert_int_equal(memo_size(memo), 2);
	next = memo_after(&r, memo, LIST_OF(CPU), NOW + 3599999);
	assert_int_equal(memo_size(next), 2);
	assert_non_null(strstr(buf_cstr(&r.call.body), "MemoryUtilized"));
	json_decref(next);
	next = memo_after(&r, memo, LIST_OF(CPU), NOW + 3600000);
	assert_int_equal(memo_size(next), 1);
	assert_null(strstr(buf_cstr(&r.call.body), "MemoryUtilized"));
	json_decref(next);
	json_decref(memo);
	rig_done(&r);
}

/* Ways to damage a memo: what stands under this key becomes that. */
static const struct {
	const char *key, *value;
} damage[] = {
    {"version", "1"},
    {"version", "3"},
    {"version", "\"2\""},
    {"definition", "\"\""},
    {"definition", "null"},
    {"discovered_ms", "\"now\""},
    {"discovered_ms", "-1"},
    {"recent", "1"},
    {"entries", "{}"},
    {"entries", "[1]"},
    {"entries", "[{}]"},
    {"entries", "[{\"namespace\":\"a\",\"dimensions\":[],\"metrics\":{\"b\":1}}]"},
    {"entries", "[{\"namespace\":\"a\",\"dimensions\":{\"x\":1},\"metrics\":{\"b\":1}}]"},
    {"entries", "[{\"namespace\":\"a\",\"dimensions\":{},\"metrics\":{\"b\":\"1\"}}]"},
    {"entries", "[{\"namespace\":\"a\",\"dimensions\":{},\"metrics\":[\"b\"]}]"},
    {"entries", "[{\"namespace\":\"a\",\"dimensions\":{}}]"},
    {"entries", "[{\"namespace\":7,\"dimensions\":{},\"metrics\":{\"b\":1}}]"},
};

static void
test_damaged_memos(void **state)
{
	static const char *const others[] = {"{}", "[]", "null", "7", "\"x\""};
	json_t *memo;
	struct rig r;

	(void)state;
	rig_init(&r, "{}");
	memo = memo_after(&r, NULL, LIST_OF(CPU), NOW);
	for (size_t i = 0; i < ARRAY_LEN(damage); i++) {
		CLEANUP(json_decrefp) json_t *bad = json_deep_copy(memo);

		assert_int_equal(
		    json_object_set_new(bad, damage[i].key,
					json_loads(damage[i].value, JSON_DECODE_ANY, NULL)),
		    0);
		expect_listing(&r, bad, START, NOW, true);
		assert_true(job_metrics.span_max(&r.s, bad) >= 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		CLEANUP(json_decrefp) json_t *bad = json_loads(others[i], JSON_DECODE_ANY, NULL);

		expect_listing(&r, bad, START, NOW, true);
		assert_true(job_metrics.span_max(&r.s, bad) >= 1);
	}
	json_decref(memo);
	rig_done(&r);
}

/* A memo with extreme times neither overflows nor counts as young. */
static void
test_memo_times(void **state)
{
	static const int64_t times[] = {INT64_MIN, INT64_MAX, 0, NOW + 1};
	json_t *memo;
	struct rig r;

	(void)state;
	rig_init(&r, "{}");
	memo = memo_after(&r, NULL, LIST_OF(CPU), NOW);
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		assert_int_equal(json_object_set_new(memo, "discovered_ms", json_integer(times[i])),
				 0);
		expect_listing(&r, memo, START, NOW, true);
	}
	json_decref(memo);
	rig_done(&r);
}

/* Spans and ages */

static json_t *
memo_of(size_t n)
{
	json_t *entries = json_array();

	for (size_t i = 0; i < n; i++)
		assert_int_equal(
		    json_array_append_new(entries, json_pack("{s:{s:i}}", "metrics", "b", 1)), 0);
	return json_pack("{s:o}", "entries", entries);
}

static const struct {
	const char *yaml;
	int64_t every_ms;
	size_t series; /* SIZE_MAX: no memo */
	size_t cells;
} spans[] = {
    {"{}", 300000, SIZE_MAX, 20}, /* 500 * 5 * 20 = 50,000: half a page */
    {"{}", 300000, 10, 36},	  /* three hours */
    {"{}", 300000, 280, 36},	  /* 280 * 5 * 36 = 50,400 */
    {"{}", 300000, 281, 35},
    {"{}", 300000, 4000, 20},  /* calls are of 500 at most */
    {"{}", 300000, 10000, 8},  /* 10,000 * 5 * 8 = 400,000 in all calls together */
    {"{}", 300000, 100000, 1}, /* never none */
    {"{}", 3600000, SIZE_MAX, 1},
    {"{}", 3600000, 250, 3},
    {"{}", 86400000, SIZE_MAX, 1},
    {"period: 1s", 300000, SIZE_MAX, 1}, /* 500 * 300 = 150,000 points in one cell: then in pages */
    {"period: 1s", 60000, SIZE_MAX, 1},
    {"period: 10s", 300000, SIZE_MAX, 3}, /* 500 * 30 * 3 = 45,000 */
    {"period: 10s", 300000, 40, 36},
    {"{from: [{namespace: A, statistics: [Average, Sum, p99, Maximum]}], period: 10s}", 300000, 125,
     3},
    {"{from: [{namespace: A, statistics: [Average, Sum, p99, Maximum]}], period: 10s}", 300000, 126,
     3},
    {"{from: [{namespace: A}], period: 10s}", 300000, 125, 13},
};

static void
test_span_max(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(spans); i++) {
		CLEANUP(json_decrefp)
		json_t *memo = spans[i].series == SIZE_MAX ? NULL : memo_of(spans[i].series);
		struct rig r;

		rig_init(&r, spans[i].yaml);
		r.common.every_ms = spans[i].every_ms;
		assert_int_equal(job_metrics.span_max(&r.s, memo), spans[i].cells);
		rig_done(&r);
	}
}

static const struct {
	const char *yaml;
	int64_t kept_ms;
	const char *words;
} ages[] = {
    {"period: 10s", 3 * 3600000LL, "CloudWatch keeps points of a period of 10s only for 3 hours"},
    {"period: 60s", 15 * 86400000LL, "CloudWatch keeps points of a period of 1m only for 15 days"},
    {"period: 5m", 63 * 86400000LL, "CloudWatch keeps points of a period of 5m only for 63 days"},
};

/* CloudWatch answers for points it no longer keeps with an empty list: that is a gap, not "no
 * data". */
static void
test_too_old(void **state)
{
	const struct job_gap *gaps;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ages); i++) {
		struct rig r;

		rig_init(&r, ages[i].yaml);
		/* All young enough. */
		rig_open_at(&r, NULL, START, 3, START + ages[i].kept_ms);
		assert_non_null(rig_next(&r));
		assert_int_equal(job_metrics.gaps(r.p, &gaps), 0);
		/* Two of three are not: the third is asked for. */
		rig_open_at(&r, NULL, START, 3, START + ages[i].kept_ms + 2 * CELL_MS);
		rig_say(&r, "{\"Namespace\"", LIST_OF(CPU));
		rig_say(&r, "\"StartTime\":1767226200,\"EndTime\":1767226500,",
			DATA_OF(RESULT("m0", "1767226200", "7", "Complete")));
		rig_complete(&r, 3);
		assert_int_equal(r.data[0].n_rows + r.data[1].n_rows, 0);
		assert_non_null(strstr(rig_lines(&r, 2), "\"values\":[7"));
		assert_int_equal(job_metrics.gaps(r.p, &gaps), 1);
		assert_int_equal(gaps->from_ms, START);
		assert_int_equal(gaps->to_ms, START + 2 * CELL_MS);
		assert_string_equal(gaps->reason, ages[i].words);
		/* None: nothing is asked for. */
		rig_open_at(&r, NULL, START, 3, START + ages[i].kept_ms + 3 * CELL_MS);
		rig_complete(&r, 3);
		assert_int_equal(job_metrics.gaps(r.p, &gaps), 1);
		assert_int_equal(gaps->to_ms, START + 3 * CELL_MS);
		rig_done(&r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_statistics),
	    cmocka_unit_test(test_definition),
	    cmocka_unit_test(test_memo_saves_listing),
	    cmocka_unit_test(test_memo_age),
	    cmocka_unit_test(test_recently_active),
	    cmocka_unit_test(test_memo_of_another_definition),
	    cmocka_unit_test(test_unlisted_metrics_stay_a_while),
	    cmocka_unit_test(test_damaged_memos),
	    cmocka_unit_test(test_memo_times),
	    cmocka_unit_test(test_span_max),
	    cmocka_unit_test(test_too_old),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
