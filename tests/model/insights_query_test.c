/* Insights queries: what is recognised in them, and what is put around them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "model/insights_query.h"
#include "../support/data.h"

struct rig {
	struct arena a;
	struct insights_query q;
	struct err err;
};

static void
parse(struct rig *r, const char *text)
{
	*r = (struct rig){.a = ARENA_INIT((size_t)1 << 20)};
	if (insights_query_parse(text, &r->a, &r->q, &r->err))
		fail_msg("%s: %s", text, r->err.msg);
}

static void
expect_body(const char *text, const char *body)
{
	struct rig r;

	parse(&r, text);
	assert_string_equal(r.q.body, body);
	arena_done(&r.a);
}

static void
test_rows(void **state)
{
	(void)state;
	expect_body("fields @timestamp, @log, @message",
		    "fields @timestamp, @log, @message\n| sort @timestamp asc");
	expect_body("fields level", "fields @timestamp, @log, level\n| sort @timestamp asc");
	expect_body("FIELDS `@timestamp`, @message | filter x = 1",
		    "FIELDS @log, `@timestamp`, @message\n| filter x = 1\n| sort @timestamp asc");
	/* An alias is another column. */
	expect_body("fields @timestamp as t",
		    "fields @timestamp, @log, @timestamp as t\n| sort @timestamp asc");
	expect_body("fields a | fields @log",
		    "fields @timestamp, a\n| fields @log\n| sort @timestamp asc");
	/* Nothing says what is shown: what would be, and the group. */
	expect_body("filter level = 'error'",
		    "fields @timestamp, @message, @log\n| filter level = 'error'\n| sort "
		    "@timestamp asc");
	/* The last display decides. */
	expect_body("fields @timestamp, @log | display a | display b, @log",
		    "fields @timestamp, @log\n| display a\n| display @timestamp, b, @log\n| sort "
		    "@timestamp asc");
	/* Comments at the end swallow nothing. */
	expect_body("fields a # | stats count(*)\n",
		    "fields @timestamp, @log, a\n| sort @timestamp "
		    "asc");
	expect_body("fields a\n", "fields @timestamp, @log, a\n| sort @timestamp asc");
	/* An order of its own would be lost in the lake anyway. */
	expect_body("fields a | sort @timestamp desc | filter b",
		    "fields @timestamp, @log, a\n| filter b\n| sort @timestamp asc");
	/* With a limit it decides what is there. */
	expect_body("fields a | sort b desc | limit 5",
		    "fields @timestamp, @log, a\n| sort b desc\n| limit 5");
}

static const struct {
	const char *text;
	bool events, splits, plain;
	int64_t limit;
	const char *time_column;
	int64_t bin_ms;
} kinds[] = {
    {"fields a | filter b like /x|y/", true, true, true, 0, NULL, 0},
    {"fields a | filter b like \"| stats count(*)\"", true, true, true, 0, NULL, 0},
    {"fields a / b | filter c / d > 1 | filter e", true, true, true, 0, NULL, 0},
    {"filterIndex a = 1 | fields b", true, true, true, 0, NULL, 0},
    {"parse @message /a=(?<a>[^|]*)|stats/ | fields a", true, true, false, 0, NULL, 0},
    {"fields a | limit 20", true, false, false, 20, NULL, 0},
    {"fields a | dedup b", true, false, false, 0, NULL, 0},
    {"filter a | stats count(*)", false, false, false, 0, NULL, 0},
    {"fields a | parse b \"* |stats *\" as c, d | STATS max(c) by d", false, false, false, 0, NULL,
     0},
    {"stats count(*) by bin(5m)", false, false, false, 0, "bin(5m)", 300000},
    {"stats count(*) by bin( 1m ) as t, a", false, false, false, 0, "t", 60000},
    {"stats count(*) as n by a, bin(30 seconds) as `t t` | sort n | limit 3", false, false, false,
     3, "t t", 30000},
    {"fields datefloor(@timestamp, 1h) as t | stats count(*) by t", false, false, false, 0, "t",
     3600000},
    {"stats count(*) by datefloor(@ingestionTime, 1h) as t", false, false, false, 0, NULL, 0},
    {"stats count(*) as n by bin(1m) as t, a | stats max(n) by a", false, false, false, 0, NULL,
     60000},
    {"stats count(*) as n by bin(1m) as t, a | stats max(n) by t", false, false, false, 0, "t",
     60000},
    {"pattern @message", false, false, false, 0, NULL, 0},
    {"fields bin, f(bin)", true, true, true, 0, NULL, 0},
};

static void
test_kinds(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct rig r;

		parse(&r, kinds[i].text);
		if (r.q.events != kinds[i].events || r.q.splits != kinds[i].splits ||
		    r.q.plain != kinds[i].plain || r.q.limit != kinds[i].limit ||
		    (r.q.time_column == NULL) != (kinds[i].time_column == NULL) ||
		    (r.q.time_column && strcmp(r.q.time_column, kinds[i].time_column) != 0) ||
		    (r.q.n_bins > 0) != (kinds[i].bin_ms > 0) ||
		    (r.q.n_bins && r.q.bins[0].ms != kinds[i].bin_ms))
			fail_msg("%s: %d %d %d %d %s %zu %d", kinds[i].text, r.q.events, r.q.splits,
				 r.q.plain, (int)r.q.limit, r.q.time_column ? r.q.time_column : "-",
				 r.q.n_bins, r.q.n_bins ? (int)r.q.bins[0].ms : 0);
		arena_done(&r.a);
	}
}

/* What is no event keeps its text. */
static void
test_stats_are_left_alone(void **state)
{
	(void)state;
	expect_body("fields a | filter b | stats count(*) by a | sort a",
		    "fields a\n| filter b\n| stats count(*) by a\n| sort a");
}

static void
test_bins_of_no_length(void **state)
{
	struct rig r;

	(void)state;
	parse(&r, "stats count(*) by bin(300s), bin(1mo), bin(2d)");
	assert_int_equal(r.q.n_bins, 3);
	assert_true(r.q.bins[0].capped);
	assert_string_equal(r.q.bins[0].text, "bin(300s)");
	assert_int_equal(r.q.bins[1].ms, 0);
	assert_int_equal(r.q.bins[2].ms, 2 * 86400000);
	assert_false(r.q.bins[2].capped);
	arena_done(&r.a);
}

static void
test_faults(void **state)
{
	static const char *const texts[] = {"", "  # nothing\n",
					    "SOURCE logGroups(namePrefix: ['a']) | fields b",
					    "fields a | limit x", "fields a | limit 0"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct rig r = {.a = ARENA_INIT((size_t)1 << 20)};

		assert_int_equal(insights_query_parse(texts[i], &r.a, &r.q, &r.err), -1);
		assert_int_equal(r.err.kind, ERR_USAGE);
		arena_done(&r.a);
	}
}

static void
test_composed(void **state)
{
	static const char *const streams[] = {"a/b", "c\"\\d"}, *const sources[] = {"/x/", "/y"};
	struct insights_part part = {.from_ms = 1000, .to_ms = 2001};
	struct buf out = BUF_INIT(4096);
	struct rig r;

	(void)state;
	parse(&r, "stats count(*)");
	insights_query_compose(&r.q, &part, &out);
	assert_string_equal(buf_cstr(&out), "filter toMillis(@timestamp) >= 1000 and "
					    "toMillis(@timestamp) < 2001 | stats count(*)");
	buf_reset(&out);
	part.streams = streams;
	part.n_streams = 2;
	part.sources = sources;
	part.n_sources = 2;
	insights_query_streams(&part, &out);
	assert_string_equal(buf_cstr(&out),
			    "SOURCE logGroups(namePrefix: [\"/x/\", \"/y\"]) | filter "
			    "toMillis(@timestamp) >= 1000 and toMillis(@timestamp) < 2001 | filter "
			    "@logStream in [\"a/b\", \"c\\\"\\\\d\"] | stats count(*) as "
			    "muster_events by @logStream");
	buf_done(&out);
	arena_done(&r.a);
}

/* Cut off anywhere, with any byte changed: never more than an error. */
static void
test_damaged(void **state)
{
	char text[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t n = strlen(kinds[i].text);

		for (size_t k = 0; k < n; k++) {
			static const char with[] = "\"'`/|#(,\\)";
			struct arena a = ARENA_INIT((size_t)1 << 20);
			struct insights_query q;

			(void)snprintf(text, sizeof(text), "%s", kinds[i].text);
			text[k] = with[(i + k) % (sizeof(with) - 1)];
			(void)insights_query_parse(text, &a, &q, NULL);
			text[k] = '\0';
			(void)insights_query_parse(text, &a, &q, NULL);
			arena_done(&a);
		}
	}
}

/* The samples of AWS's documentation. */
static void
test_documented(void **state)
{
	json_t *list;

	(void)state;
	data_or_skip();
	list = data_json("logs/insights-queries.json");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = data_str(json_array_get(list, i), "query");
		struct rig r;

		parse(&r, text);
		assert_int_equal(r.q.events, !strstr(text, "stats "));
		arena_done(&r.a);
	}
	json_decref(list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_kinds),
	    cmocka_unit_test(test_stats_are_left_alone),
	    cmocka_unit_test(test_bins_of_no_length),
	    cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_composed),
	    cmocka_unit_test(test_damaged),
	    cmocka_unit_test(test_documented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
