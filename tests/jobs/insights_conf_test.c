/* Options of the insights kind: what is refused before anything is asked, and the definition. */
#include "insights_rig.h"

static void
check(const char *yaml, const char *fault)
{
	const struct conf_key *tables[] = {job_insights.keys, NULL};
	struct job_common common = {.name = "app", .every_ms = CELL_MS};
	struct arena a = ARENA_INIT((size_t)1 << 20);
	struct conf_faults *f = conf_faults_new();
	struct insights_opts opts = {0};
	void *outs[] = {&opts};
	const struct conf_node *node = conf_parse("t", sv_of(yaml), &a, f);

	conf_read(node, tables, outs, &a, f);
	job_insights.check(&common, &opts, node, &a, f);
	if (!fault) {
		if (conf_faults_count(f))
			fail_msg("%s: %s", yaml, conf_faults_get(f, 0));
	} else if (conf_faults_count(f) != 1 || !strstr(conf_faults_get(f, 0), fault)) {
		fail_msg("%s: %zu faults, the first: %s", yaml, conf_faults_count(f),
			 conf_faults_count(f) ? conf_faults_get(f, 0) : "none");
	}
	conf_faults_free(f);
	arena_done(&a);
}

static void
test_faults(void **state)
{
	static const struct {
		const char *yaml, *fault;
	} table[] = {
	    {"log_groups: /a\nquery: fields b\n", NULL},
	    {"log_groups: [/a, '/b/*/c', 'x*']\nquery: stats count(*) by bin(1m)\n", NULL},
	    {"log_groups: /a\nquery: 'fields ${b}'\n", NULL},
	    {"log_groups: /a\nquery: fields b\nscan_budget: 50GB/d\nlimit: 10000\n", NULL},
	    {"log_groups: /a\n", "query"},
	    {"query: fields b\n", "log_groups"},
	    {"log_groups: 'a b'\nquery: fields b\n", "\"a b\" is no name of a log group"},
	    {"log_groups: /a\nquery: fields b | limit 0\n", "limit wants a whole number"},
	    {"log_groups: /a\nquery: fields b | limit 200000\n", "no query has more than 100000"},
	    {"log_groups: /a\nquery: SOURCE x | fields b\n", "SOURCE is for muster to write"},
	    {"log_groups: /a\nquery: stats count(*) by bin(7m)\n",
	     "bin(7m): every (5m) is not a multiple of it"},
	    {"log_groups: /a\nquery: stats count(*) by bin(300s)\n", "write it in that"},
	    {"log_groups: /a\nquery: stats count(*) by bin(1mo)\n", "cannot be whole numbers"},
	    {"log_groups: /a\nquery: fields b\nconcurrency: 0\n", "concurrency"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		check(table[i].yaml, table[i].fault);
}

/* What of `series` is refused before anything is asked. */
static void
test_series(void **state)
{
	static const struct {
		const char *query, *series, *fault;
	} table[] = {
	    {"stats avg(x) as c by bin(1m) as t, k", "{time: t, values: {c: a_b}, labels: {k: k}}",
	     NULL},
	    {"stats avg(x) by bin(1m)", "{values: {avg(x): a}}", NULL},
	    {"stats count( * ) by `a-b`", "{values: {count(*): 'a:b'}, labels: {a-b: _ab}}", NULL},
	    {"fields x", "{time: '@timestamp', values: {x: a}, labels: {'@log': g}}", NULL},
	    {"fields x", "{labels: {x: y}}", "series.values: missing"},
	    {"fields x", "{values: {}}", "names no column"},
	    {"fields x", "{values: {y: a}}", "the query has no column \"y\""},
	    {"fields x", "{time: t, values: {x: a}}", "the query has no column \"t\""},
	    {"fields x", "{values: {x: a}, labels: {k: k}}", "the query has no column \"k\""},
	    {"fields x", "{values: {x: a}, labels: {'@logStream': s}}", "no column \"@logStream\""},
	    {"stats sum(x) as x", "{time: '@timestamp', values: {x: a}}",
	     "no column \"@timestamp\""},
	    {"fields x", "{values: {x: a-b}}", "\"a-b\" is no name of a series"},
	    {"fields x", "{values: {x: 1a}}", "is no name of a series"},
	    {"fields x", "{values: {x: ''}}", "values"},
	    {"fields x, y", "{values: {x: a, y: a}}", "two columns make series of the name a"},
	    {"fields x, y", "{values: {x: a}, labels: {y: 'a:b'}}", "is no name of a label"},
	    {"fields x, y", "{values: {x: a}, labels: {y: __name__}}", "is no name of a label"},
	    {"fields x, y", "{values: {x: a}, labels: {y: tenant}}",
	     "tenant is a label of muster's own"},
	    {"fields x, y", "{values: {x: a}, labels: {y: region}}",
	     "region is a label of muster's own"},
	    {"fields x, y", "{values: {x: a}, labels: {x: l, y: l}}",
	     "two columns make labels of the name l"},
	    {"fields x, @ptr", "{values: {x: a}, labels: {'@ptr': p}}",
	     "@ptr as a label makes a series of each row"},
	    {"fields x", "{values: {x: a}, label: {x: y}}", "unknown key (did you mean labels?)"},
	    {"stats avg(x) as c by bin(7m) as t", "{time: t, values: {c: a}}",
	     "a bin would be torn"},
	    {"fields bin(7m) as t, x", "{time: t, values: {x: a}}", "a bin would be torn"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		char yaml[512];

		(void)snprintf(yaml, sizeof(yaml), "log_groups: /a\nquery: '%s'\nseries: %s\n",
			       table[i].query, table[i].series);
		check(yaml, table[i].fault);
	}
}

static void
test_long_query(void **state)
{
	char yaml[12000];
	int n = snprintf(yaml, sizeof(yaml), "log_groups: /a\nquery: fields a");

	(void)state;
	while (n < 9000)
		n += snprintf(yaml + n, sizeof(yaml) - (size_t)n, ", field%d", n);
	check(yaml, "longer than 8000 characters");
}

static void
check_revisit(const struct job_common *c, const char *query, const char *fault)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(4096);
	struct job_common common = *c;
	struct conf_faults *f = conf_faults_new();
	struct insights_opts opts = {.query = query};
	struct arena a = ARENA_INIT(65536);
	const struct conf_node *node = conf_parse("t", SV("revisit: some\n"), &a, f);

	common.name = "app";
	common.every_ms = CELL_MS;
	job_insights.check(&common, &opts, node, &a, f);
	for (size_t i = 0; i < conf_faults_count(f); i++)
		buf_fmt(&text, "%s\n", conf_faults_get(f, i));
	assert_string_equal(buf_cstr(&text), fault);
	conf_faults_free(f);
	arena_done(&a);
}

static void
test_revisit(void **state)
{
	static const struct job_common once = {.once = true}, hour = {.revisit_ms = 3600000};
	static const char *const rows[] = {"fields a",
					   "fields a | filter b = 1 | sort @timestamp asc",
					   "parse @message 'x *' as a | display a"};
	static const char *const others[] = {"stats count(*) by bin(1m)", "fields a | dedup a",
					     "fields a | limit 5"};

	(void)state;
	check_revisit(&hour, "fields a",
		      "t:1:10: revisit: expected `once` (each cell is asked for a second time, "
		      "`hold` after its end) or off\n");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check_revisit(&once, rows[i], "");
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		check_revisit(
		    &once, others[i],
		    "t:1:10: revisit: `once` finds log events that came late: the rows of this "
		    "query (stats, dedup, limit, ...) change with each event instead of becoming "
		    "more; give it a longer `delay`\n");
}

/* What the data are, not how they are fetched. */
static void
test_definition(void **state)
{
	struct buf out = BUF_INIT(4096);
	struct rig r;

	(void)state;
	rig_init(&r, "log_groups: [/b, '/a*']\nquery: fields \"x\"\nlimit: 10\nconcurrency: 9\n");
	job_insights.definition(&r.common, &r.opts, &out);
	assert_string_equal(buf_cstr(&out),
			    "{\"kind\":\"insights\",\"format\":1,\"log_groups\":[\"/b\",\"/a*\"],"
			    "\"query\":\"fields \\\"x\\\"\"}");
	buf_done(&out);
	rig_done(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_faults),     cmocka_unit_test(test_series),
	    cmocka_unit_test(test_long_query), cmocka_unit_test(test_revisit),
	    cmocka_unit_test(test_definition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
