/* Metric math: what is recognised in an expression, what is refused, and how it is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "model/expression.h"

#define ALB "SEARCH('{AWS/ApplicationELB,LoadBalancer} HTTPCode_ELB_5XX_Count', 'Sum')"

static const char *const alb_dims[] = {"LoadBalancer"};
static const struct expression_schema alb = {"AWS/ApplicationELB", alb_dims, 1};

/* m1, m2: metrics; many: a SEARCH's series; rate: of earlier points. */
static bool
find(void *arg, struct sv id, struct expression_traits *ret)
{
	(void)arg;
	if (sv_eq(id, SV("many")))
		ret->each = &alb;
	else if (sv_eq(id, SV("rate")))
		ret->windowed = ret->back = true;
	else
		return sv_eq(id, SV("m1")) || sv_eq(id, SV("m2"));
	return true;
}

static const struct {
	const char *text;
	bool many, windowed, back;
} read_so[] = {
    {"m1", false, false, false},
    {"100 * m1 / (m1 + m2)", false, false, false},
    {"-m1 ^ 2 + 1.5e3", false, false, false},
    {"IF(m1 > 0 AND m2 <= 1 || m1 != m2, m1, 0)", false, false, false},
    {"FILL(m1, 0)", false, false, false},
    {"FILL(m1, REPEAT)", false, true, true},
    {"FILL(m1, LINEAR)", false, true, true},
    {"SUM([m1, m2])", false, false, false},
    {"SUM([FILL(m1,0), FILL(m2,0)]) / PERIOD(m1)", false, false, false},
    {ALB, true, false, false},
    {"SUM(" ALB ")", false, false, false},
    {"100*" ALB, true, false, false},
    {"many", true, false, false},
    {"MAX(many)", false, false, false},
    {"many - AVG(many)", true, false, false},
    /* A number for all that is asked for is another one for another stretch of time. */
    {"SUM(m1)", false, true, false},
    {"m1 / MAX(m1)", false, true, false},
    {"SUM(SUM([m1, m2]))", false, true, false},
    {"RATE(m1)", false, true, true},
    {"DIFF(m1) + 1", false, true, true},
    {"RUNNING_SUM(m1)", false, true, false},
    {"rate * 2", false, true, true},
    {"SLICE(SORT(many, AVG, DESC), 0, 3)", true, true, false},
    {"FIRST(many)", false, true, false},
    {"METRIC_COUNT(" ALB ") + m1", false, true, false},
    {"SUM(SEARCH('HTTPCode', 'Sum', 60)) + SUM(SEARCH(' {A} x', 'p99.9', 60))", false, false,
     false},
};

static void
test_traits(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(read_so); i++) {
		CLEANUP(arena_done) struct arena a = ARENA_INIT((size_t)1 << 20);
		struct expression e;
		struct err err = {0};

		if (expression_parse(read_so[i].text, find, NULL, &a, &e, &err))
			fail_msg("%s: %s", read_so[i].text, err.msg);
		if ((e.traits.each != NULL) != read_so[i].many ||
		    e.traits.windowed != read_so[i].windowed || e.traits.back != read_so[i].back)
			fail_msg("%s: many %d, windowed %d, back %d", read_so[i].text,
				 e.traits.each != NULL, e.traits.windowed, e.traits.back);
	}
}

static void
test_schema(void **state)
{
	CLEANUP(arena_done) struct arena a = ARENA_INIT((size_t)1 << 20);
	struct expression e;
	struct err err = {0};

	(void)state;
	assert_int_equal(
	    expression_parse(
		"RATE(SEARCH(' { \"My, App\" ,  ServiceName,\"Cluster Name\"} MetricName=\"a\" "
		"OR b', 'Average', 300))",
		find, NULL, &a, &e, &err),
	    0);
	assert_string_equal(e.traits.each->ns, "My, App");
	assert_int_equal(e.traits.each->n_dims, 2);
	assert_string_equal(e.traits.each->dims[0], "Cluster Name");
	assert_string_equal(e.traits.each->dims[1], "ServiceName");
	assert_int_equal(e.period_s, 300);
	assert_true(e.searches);
}

static const struct {
	const char *text, *why;
} refused[] = {
    {"", "column 1 of the expression: it ends too early"},
    {"m1 +", "column 5 of the expression: it ends too early"},
    {"m1 m2", "column 4 of the expression: an operator is missing"},
    {"m1)", "a bracket too many"},
    {"(m1", "')' is missing"},
    {"m3", "no entry above it has the id m3"},
    {"m1 # 2", "an operator is missing"},
    {"_x", "nothing that can stand here begins with '_'"},
    {"1.2.3", "no number"},
    {"1e", "no number"},
    {"LINEAR", "LINEAR alone is no expression"},
    {"ABS()", "ABS is given nothing"},
    {"METRICS()", "METRICS is not one that muster asks for"},
    {"ANOMALY_DETECTION_BAND(m1)", "ANOMALY_DETECTION_BAND is not one"},
    {"SUM(m1", "')' is missing"},
    {"[m1, m2]", "of which nothing is made"},
    {"[m1, m2] * 2", "of which nothing is made"},
    {"SEARCH('HTTPCode', 'Sum')", "has to name their namespace and dimensions in braces"},
    {ALB " / " ALB, "the series of two SEARCHes meet"},
    {"many / " ALB, "the series of two SEARCHes meet"},
    {"SUM(SEARCH('{A', 'Sum'))", "a brace of a SEARCH has no end"},
    {"SUM(SEARCH('{} x', 'Sum'))", "name no namespace"},
    {"SUM(SEARCH('{A,} x', 'Sum')) + SUM(SEARCH('{A,,B} x', 'Sum'))", "name no dimension"},
    {"SUM(SEARCH('{A,B,B} x', 'Sum'))", "name B twice"},
    {"SUM(SEARCH('{A} x'))", "',' is missing"},
    {"SUM(SEARCH('{A} x', 'Avg'))", "\"Avg\" is not a statistic"},
    {"SUM(SEARCH('{A} x', Sum))", "''' is missing"},
    {"SUM(SEARCH('{A} x', 'Sum', m1))", "is no period"},
    {"SUM(SEARCH('x', 'Sum', 60)) + SUM(SEARCH('x', 'Sum', 300))", "or another one"},
    {"SUM(SEARCH('{A} x", "has no end"},
    {"SELECT AVG(x) FROM y", "Metrics Insights"},
};

static void
test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		CLEANUP(arena_done) struct arena a = ARENA_INIT((size_t)1 << 20);
		struct expression e;
		struct err err = {0};

		if (!expression_parse(refused[i].text, find, NULL, &a, &e, &err))
			fail_msg("%s is taken", refused[i].text);
		if (err.kind != ERR_USAGE || !strstr(err.msg, refused[i].why))
			fail_msg("%s: %s", refused[i].text, err.msg);
	}
}

static void
test_limits(void **state)
{
	static char text[4096];
	static const struct {
		const char *head, *unit, *tail;
		size_t n;
		bool taken;
	} t[] = {
	    {"m1", "+1", "", 1023, true},
	    {"m1", "+1", "", 1024, false},
	    {"m1", "+m1", "", 99, true},
	    {"m1", "+m1", "", 100, false},
	    {"", "(", "m1", 40, false},
	    {"SUM(SEARCH('{A} ", "x", "', 'Sum'))", 1020, true},
	    {"SUM(SEARCH('{A} ", "x", "', 'Sum'))", 1021, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		CLEANUP(arena_done) struct arena a = ARENA_INIT((size_t)1 << 20);
		CLEANUP(buf_done) struct buf b = BUF_INIT(sizeof(text));
		struct expression e;
		struct err err = {0};

		buf_str(&b, t[i].head);
		for (size_t k = 0; k < t[i].n; k++)
			buf_str(&b, t[i].unit);
		buf_str(&b, t[i].tail);
		if (!expression_parse(buf_cstr(&b), find, NULL, &a, &e, &err) != t[i].taken)
			fail_msg("%zu: %s", i, err.msg);
	}
}

static void
rename_id(void *arg, struct sv id, struct buf *out)
{
	(void)arg;
	buf_str(out, "q_");
	buf_sv(out, id);
}

/* Cut off anywhere, and with any byte in any place: an answer or an error, nothing else. */
static void
test_damaged(void **state)
{
	static const char bytes[] = "()[]{}',\"+a1. \\\xFF";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(read_so); i++)
		for (size_t at = 0; at < strlen(read_so[i].text); at++)
			for (size_t k = 0; k < sizeof(bytes); k++) {
				CLEANUP(arena_done) struct arena a = ARENA_INIT((size_t)1 << 20);
				CLEANUP(buf_done) struct buf out = BUF_INIT(4096);
				const struct expression_sent how = {rename_id, NULL, 60, NULL};
				char text[256];
				struct expression e;
				struct err err = {0};

				(void)snprintf(text, sizeof(text), "%s", read_so[i].text);
				text[at] = bytes[k]; /* the last one is a NUL */
				if (expression_parse(text, find, NULL, &a, &e, &err))
					assert_int_equal(err.kind, ERR_USAGE);
				else
					expression_write(&e, &how, &out);
			}
}

static void
test_sent(void **state)
{
	static const struct {
		const char *text, *account, *sent;
	} t[] = {
	    {"100*m1 / (m1+ m2)", NULL, "100*q_m1 / (q_m1+ q_m2)"},
	    {"SUM(" ALB ")/m1", NULL,
	     "SUM(SEARCH('{AWS/ApplicationELB,LoadBalancer} HTTPCode_ELB_5XX_Count', 'Sum', "
	     "60))/q_m1"},
	    {"SUM( SEARCH ('x' ,'p99' , 60 ) )", NULL, "SUM( SEARCH('x', 'p99', 60) )"},
	    {"SUM(SEARCH('{A,B} x OR y', 'Sum'))", "111122223333",
	     "SUM(SEARCH('{A,B} :aws.AccountId=\"111122223333\" (x OR y)', 'Sum', 60))"},
	    {"SUM(SEARCH('{A,B}', 'Sum'))", "111122223333",
	     "SUM(SEARCH('{A,B} :aws.AccountId=\"111122223333\"', 'Sum', 60))"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		CLEANUP(arena_done) struct arena a = ARENA_INIT((size_t)1 << 20);
		CLEANUP(buf_done) struct buf b = BUF_INIT(4096);
		const struct expression_sent how = {rename_id, NULL, 60, t[i].account};
		struct expression e;
		struct err err = {0};

		if (expression_parse(t[i].text, find, NULL, &a, &e, &err))
			fail_msg("%s: %s", t[i].text, err.msg);
		expression_write(&e, &how, &b);
		assert_string_equal(buf_cstr(&b), t[i].sent);
	}
}

static void
test_ids(void **state)
{
	static char longest[EXPRESSION_ID_MAX + 2];

	(void)state;
	assert_true(expression_id_valid("m1"));
	assert_true(expression_id_valid("error_Rate2"));
	assert_false(expression_id_valid(""));
	assert_false(expression_id_valid("M1"));
	assert_false(expression_id_valid("1m"));
	assert_false(expression_id_valid("m-1"));
	memset(longest, 'a', EXPRESSION_ID_MAX);
	assert_true(expression_id_valid(longest));
	longest[EXPRESSION_ID_MAX] = 'a';
	assert_false(expression_id_valid(longest));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_traits),  cmocka_unit_test(test_schema),
	    cmocka_unit_test(test_refused), cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_sent),    cmocka_unit_test(test_ids),
	    cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests_name("model/expression", tests, NULL, NULL);
}
