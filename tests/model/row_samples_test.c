/* Rows as samples: every type of value that Insights can give, times, cells' edges, duplicates,
 * labels. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "fmt/json_scan.h"
#include "model/insights_rows.h"
#include "model/row_samples.h"
#include "tests/support/data.h"

#define START	1767225600000LL /* 2026-01-01T00:00:00Z */
#define CELL_MS 300000LL
/* A line as it is frozen, at 00:01, up to its fields. */
#define HEAD                                                                                       \
	"{\"ts\":\"2026-01-01T00:01:00.000Z\",\"tenant\":\"acme\",\"account_id\":"                 \
	"\"111122223333\","                                                                        \
	"\"region\":\"eu-west-1\",\"job\":\"app\",\"log_group\":\"/ecs/app\",\"fields\":"

static const struct row_column cpu[] = {{"cpu", "ecs_task_cpu_utilized"}};
static const struct row_column task[] = {{"TaskId", "task"}};
static const struct row_rules plain = {
    .time = "t", .values = cpu, .n_values = 1, .labels = task, .n_labels = 1};

struct rig {
	struct cell_data d;
	struct row_samples_seen seen;
	struct err err;
	int rc;
};

static const struct label own[] = {{"service", "shop"}, {"tier", "gold"}};

/* The lines, one of the array after the other. */
static void
make(struct rig *r, const struct row_rules *rules, const char *const *lines)
{
	const struct series_owner owner = {.tenant = "acme",
					   .account = "111122223333",
					   .region = "eu-west-1",
					   .labels = own,
					   .n_labels = ARRAY_LEN(own)};
	CLEANUP(row_samples_freep) struct row_samples *s = NULL;

	*r = (struct rig){0};
	cell_data_init(&r->d, (struct cell){START, START + CELL_MS});
	assert_int_equal(row_samples_new(rules, owner, &r->d, &s, &r->err), 0);
	for (; *lines && !r->rc; lines++)
		r->rc = row_samples_add(s, sv_of(*lines), &r->err);
	if (!r->rc)
		assert_int_equal(row_samples_end(s, &r->seen, &r->err), 0);
}

static void
done(struct rig *r)
{
	cell_data_done(&r->d);
}

/* "name{label=value,...} seconds:value ..." for each row, ours left out of the labels. */
static const char *
shown(const struct rig *r)
{
	static char text[4096];
	static const char *const ours[] = {"account_id", "region", "service", "tenant", "tier"};
	size_t n = 0;

	*text = '\0';
	for (size_t i = 0; i < r->d.n_rows; i++) {
		const struct sample_row *row = &r->d.rows[i];

		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s{", i ? "\n" : "",
				      row->series->name);
		for (size_t k = 0; k < row->series->n_labels; k++) {
			const struct label *l = &row->series->labels[k];
			bool mine = false;

			for (size_t o = 0; o < ARRAY_LEN(ours); o++)
				mine = mine || !strcmp(ours[o], l->name);
			if (!mine)
				n += (size_t)snprintf(text + n, sizeof(text) - n, "%s=%s,", l->name,
						      l->value);
		}
		n += (size_t)snprintf(text + n, sizeof(text) - n, "}");
		for (size_t k = 0; k < row->n; k++) {
			char value[NUM_DOUBLE_MAX];

			(void)num_format(row->values[k], value);
			n += (size_t)snprintf(text + n, sizeof(text) - n, " %g:%s",
					      (double)(sample_time(row, k) - START) / 1000, value);
		}
	}
	return text;
}

static void
check(const struct row_rules *rules, const char *const *lines, const char *expected,
      uint64_t rejected)
{
	struct rig r;

	make(&r, rules, lines);
	if (r.rc)
		fail_msg("%s", r.err.msg);
	assert_string_equal(shown(&r), expected);
	assert_int_equal(r.d.n_rejected, rejected);
	done(&r);
}

static void
one_value(const char *text, const char *expected)
{
	char line[1024];
	const char *lines[] = {line, NULL};

	(void)snprintf(line, sizeof(line),
		       HEAD "{\"TaskId\":\"a\",\"cpu\":%s,\"t\":\"2026-01-01 00:01:00.000\"}}\n",
		       text);
	check(&plain, lines, expected, *expected || !strcmp(text, "null") ? 0 : 1);
}

/* All values are text. What is no finite number is rejected, what is absent is not there. */
static void
test_values(void **state)
{
	static const struct {
		const char *text, *value;
	} good[] = {
	    {"\"0\"", "0"},
	    {"\"12.5\"", "12.5"},
	    {"\"-3\"", "-3"},
	    {"\"1.767225600000E12\"", "1767225600000"},
	    {"\"1e-7\"", "1e-07"},
	    {"\"0.1\"", "0.1"},
	    {"\"9007199254740992\"", "9007199254740992"},
	    /* Beyond 2^53 the nearest double: ties to even. */
	    {"\"9007199254740993\"", "9007199254740992"},
	    {"\"9007199254740995\"", "9007199254740996"},
	    {"\"18446744073709551615\"", "1.8446744073709552e+19"},
	    {"\"1.7976931348623157e308\"", "1.7976931348623157e+308"},
	    {"\"1\\u0032\"", NULL}, /* canonical lines have no such escape, and it is no number */
	};
	static const char *const bad[] = {"\"\"",      "\"NaN\"",   "\"Infinity\"", "\"-Inf\"",
					  "\"12ms\"",  "\"3 s\"",   "\" 3\"",	    "\"3 \"",
					  "\"1,234\"", "\"0x10\"",  "\"true\"",	    "\"1e999\"",
					  "\"-\"",     "\"1.2.3\"", "\"12%\""};
	char expected[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		(void)snprintf(expected, sizeof(expected), "ecs_task_cpu_utilized{task=a,} 60:%s",
			       good[i].value ? good[i].value : "");
		one_value(good[i].text, good[i].value ? expected : "");
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		one_value(bad[i], "");
	one_value("null", "");
}

/* -0 is a value of its own bits. */
static void
test_minus_zero(void **state)
{
	static const char *const lines[] = {
	    HEAD "{\"TaskId\":\"a\",\"cpu\":\"-0\",\"t\":\"2026-01-01 00:01:00.000\"}}\n", NULL};
	struct rig r;

	(void)state;
	make(&r, &plain, lines);
	assert_int_equal(r.d.n_samples, 1);
	assert_true(signbit(r.d.rows[0].values[0]));
	done(&r);
}

/* A sample for each value that is there; a row without any is no fault. */
static void
test_missing(void **state)
{
	static const struct row_column values[] = {{"cpu", "c"}, {"mem", "m"}};
	static const struct row_rules two = {
	    .time = "t", .values = values, .n_values = 2, .labels = task, .n_labels = 1};
	static const char *const lines[] = {
	    HEAD "{\"TaskId\":\"a\",\"cpu\":\"1\",\"t\":\"2026-01-01 00:01:00.000\"}}\n",
	    HEAD "{\"TaskId\":\"b\",\"mem\":\"2\",\"t\":\"2026-01-01 00:01:00.000\"}}\n",
	    HEAD "{\"cpu\":\"4\",\"mem\":\"3\",\"t\":\"2026-01-01 00:01:00.000\"}}\n",
	    HEAD "{\"TaskId\":\"c\",\"t\":\"2026-01-01 00:01:00.000\"}}\n",
	    HEAD "{\"TaskId\":\"c\"}}\n",
	    NULL};

	(void)state;
	check(&two, lines, "c{task=a,} 60:1\nc{} 60:4\nm{task=b,} 60:2\nm{} 60:3", 0);
}

/* The first and the last millisecond of the cell are its own; what is outside belongs to no sample
 * here. */
static void
test_edges(void **state)
{
	static const char *const lines[] = {
	    HEAD "{\"cpu\":\"1\",\"t\":\"2025-12-31 23:59:59.999\"}}\n",
	    HEAD "{\"cpu\":\"2\",\"t\":\"2026-01-01 00:00:00.000\"}}\n",
	    HEAD "{\"cpu\":\"3\",\"t\":\"2026-01-01 00:04:59.999\"}}\n",
	    HEAD "{\"cpu\":\"4\",\"t\":\"2026-01-01 00:05:00.000\"}}\n", NULL};
	struct rig r;

	(void)state;
	check(&plain, lines, "ecs_task_cpu_utilized{} 0:2 299.999:3", 2);
	make(&r, &plain, lines);
	assert_int_equal(r.seen.refused[ROW_OUTSIDE], 2);
	assert_string_equal(r.seen.example,
			    "cpu: a time outside of its cell: \"2025-12-31 23:59:59.999\"");
	done(&r);
}

/* Insights' form, or milliseconds as toMillis() gives them; else the row is refused. */
static void
test_times(void **state)
{
	static const char *const lines[] = {HEAD "{\"cpu\":\"1\",\"t\":\"1767225601000\"}}\n",
					    HEAD "{\"cpu\":\"2\",\"t\":\"1.767225602E12\"}}\n",
					    HEAD
					    "{\"cpu\":\"3\",\"t\":\"2026-01-01 00:00:03.000\"}}\n",
					    HEAD "{\"cpu\":\"4\",\"t\":\"1767225604000.5\"}}\n",
					    HEAD "{\"cpu\":\"5\",\"t\":\"soon\"}}\n",
					    HEAD "{\"cpu\":\"6\",\"t\":null}}\n",
					    HEAD "{\"cpu\":\"7\"}}\n",
					    HEAD "{\"cpu\":\"8\",\"t\":\"1e300\"}}\n",
					    NULL};
	static const struct row_rules of_row = {.values = cpu, .n_values = 1};
	static const char *const own_time[] = {HEAD "{\"cpu\":\"9\",\"t\":\"soon\"}}\n", NULL};

	(void)state;
	check(&plain, lines, "ecs_task_cpu_utilized{} 1:1 2:2 3:3", 5);
	check(&of_row, own_time, "ecs_task_cpu_utilized{} 60:9", 0);
}

/* In order of time whatever the lines' order is; of two with the same labels and time the first
 * line's. */
static void
test_order_and_doubles(void **state)
{
	static const char *const lines[] = {
	    HEAD "{\"TaskId\":\"a\",\"cpu\":\"3\",\"t\":\"1767225603000\"}}\n",
	    HEAD "{\"TaskId\":\"b\",\"cpu\":\"8\",\"t\":\"1767225601000\"}}\n",
	    HEAD "{\"TaskId\":\"a\",\"cpu\":\"1\",\"t\":\"1767225601000\"}}\n",
	    HEAD "{\"TaskId\":\"a\",\"cpu\":\"2\",\"t\":\"1767225601000\"}}\n",
	    HEAD "{\"TaskId\":\"a\",\"cpu\":\"1\",\"t\":\"1767225601000\"}}\n",
	    HEAD "{\"TaskId\":\"a\",\"cpu\":\"x\",\"t\":\"1767225602000\"}}\n",
	    HEAD "{\"TaskId\":\"a\",\"cpu\":\"2\",\"t\":\"1767225602000\"}}\n",
	    NULL};
	struct rig r;

	(void)state;
	check(&plain, lines,
	      "ecs_task_cpu_utilized{task=a,} 1:1 2:2 3:3\necs_task_cpu_utilized{task=b,} 1:8", 3);
	make(&r, &plain, lines);
	assert_int_equal(r.seen.refused[ROW_TWICE], 2);
	assert_int_equal(r.seen.refused[ROW_NO_NUMBER], 1);
	assert_int_equal(r.d.n_samples, 4);
	done(&r);
}

/* Ours always win; a label that is empty is none. */
static void
test_labels(void **state)
{
	static const struct row_column labels[] = {{"@log", "group"},
						   {"@logStream", "stream"},
						   {"a \"b\"", "ab"},
						   {"svc", "service"},
						   {"t", "tier_"}};
	static const struct row_rules rules = {
	    .values = cpu, .n_values = 1, .labels = labels, .n_labels = 5};
	static const char *const lines[] = {
	    "{\"ts\":\"2026-01-01T00:00:07.250Z\",\"log_group\":\"/ecs/"
	    "app\",\"log_stream\":\"s\\\"1\",\"fields\":"
	    "{\"a \\\"b\\\"\":\"l\\u0000\\n\",\"cpu\":\"1\",\"svc\":\"api\",\"t\":\"\"}}\n",
	    "{\"ts\":\"2026-01-01T00:00:07.250Z\",\"log_group\":null,\"fields\":{\"cpu\":\"2\"}}\n",
	    NULL};
	struct rig r;

	(void)state;
	make(&r, &rules, lines);
	assert_int_equal(r.rc, 0);
	assert_string_equal(
	    shown(&r),
	    "ecs_task_cpu_utilized{ab=l?\n,dim_service=api,group=/ecs/app,stream=s\"1,} 7.25:1\n"
	    "ecs_task_cpu_utilized{} 7.25:2");
	/* Sorted, with the tenant's own. */
	assert_int_equal(r.d.rows[1].series->n_labels, 5);
	assert_string_equal(r.d.rows[1].series->labels[0].name, "account_id");
	assert_string_equal(r.d.rows[1].series->labels[2].value, "shop");
	done(&r);
}

/* A label's text may hold anything, and no two sets of labels are taken for one. */
static void
test_keys(void **state)
{
	static const struct row_column labels[] = {{"a", "a"}, {"b", "b"}};
	static const struct row_rules rules = {
	    .values = cpu, .n_values = 1, .labels = labels, .n_labels = 2};
	static const char *const lines[] = {HEAD "{\"a\":\"x\\\"\",\"b\":\"y\",\"cpu\":\"1\"}}\n",
					    HEAD "{\"a\":\"x\",\"b\":\"\\\"y\",\"cpu\":\"2\"}}\n",
					    HEAD "{\"a\":\"x\",\"b\":\"y\",\"cpu\":\"3\"}}\n",
					    NULL};

	(void)state;
	check(&rules, lines,
	      "ecs_task_cpu_utilized{a=x,b=\"y,} 60:2\necs_task_cpu_utilized{a=x,b=y,} 60:3\n"
	      "ecs_task_cpu_utilized{a=x\",b=y,} 60:1",
	      0);
}

static void
test_damage(void **state)
{
	static const char *const bad[] = {
	    "", "{}", "[]", "{\"ts\":\"x\"", HEAD "{\"cpu\":1}}", HEAD "[]}", HEAD "{}} x"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *lines[] = {HEAD "{}}\n", bad[i], NULL};
		struct rig r;

		make(&r, &plain, lines);
		assert_int_equal(r.rc, -1);
		assert_int_equal(r.err.kind, ERR_DATA);
		assert_non_null(strstr(r.err.msg, "line 2 of the cell"));
		done(&r);
	}
}

/* Container Insights' own event of a task, as the query names its fields. */
static void
test_recorded_event(void **state)
{
	static const char *const fields[] = {"CpuUtilized", "MemoryUtilized", "TaskId",
					     "ClusterName", "ServiceName"};
	static const struct row_column values[] = {{"CpuUtilized", "ecs_task_cpu_utilized"},
						   {"MemoryUtilized", "ecs_task_memory_utilized"}};
	static const struct row_column labels[] = {
	    {"TaskId", "task"}, {"ClusterName", "cluster"}, {"ServiceName", "service_name"}};
	static const struct row_rules rules = {
	    .values = values, .n_values = 2, .labels = labels, .n_labels = 3};
	CLEANUP(buf_done) struct buf line = BUF_INIT(65536);
	const char *lines[] = {NULL, NULL};
	const json_t *cpu_used, *memory;
	struct rig r;
	json_t *event;

	(void)state;
	data_or_skip();
	event = data_json("ecs/container-insights/ecs-task.json");
	buf_str(&line, HEAD "{");
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		char *text = json_dumps(json_object_get(event, fields[i]), JSON_ENCODE_ANY);
		bool quoted = text && *text == '"';

		if (text)
			buf_fmt(&line, "%s\"%s\":%s%s%s", line.p[line.n - 1] == '{' ? "" : ",",
				fields[i], quoted ? "" : "\"", text, quoted ? "" : "\"");
		free(text);
	}
	buf_str(&line, "}}\n");
	lines[0] = buf_cstr(&line);
	cpu_used = json_object_get(event, "CpuUtilized");
	memory = json_object_get(event, "MemoryUtilized");
	make(&r, &rules, lines);
	if (r.rc)
		fail_msg("%s: %s", r.err.msg, lines[0]);
	assert_int_equal(r.d.n_rows, 2);
	assert_int_equal(r.d.n_rejected, 0);
	assert_true(r.d.rows[0].values[0] == json_number_value(cpu_used));
	assert_true(r.d.rows[1].values[0] == json_number_value(memory));
	done(&r);
	json_decref(event);
}

/* What came late (under an older configuration) stands beside what was there. */
static void
test_merge(void **state)
{
	static const char *const first[] = {HEAD "{\"cpu\":\"1\",\"t\":\"1767225601000\"}}\n",
					    HEAD "{\"cpu\":\"5\",\"t\":\"1767225605000\"}}\n",
					    NULL};
	static const char *const late[] = {HEAD "{\"cpu\":\"3\",\"t\":\"1767225603000\"}}\n",
					   HEAD "{\"cpu\":\"55\",\"t\":\"1767225605000\"}}\n",
					   HEAD "{\"cpu\":\"7\",\"t\":\"1767225607000\"}}\n", NULL};
	struct rig r, more;

	(void)state;
	make(&r, &plain, first);
	make(&more, &plain, late);
	r.d.later = malloc(sizeof(*r.d.later));
	assert_non_null(r.d.later);
	*r.d.later = more.d;
	assert_int_equal(cell_data_merge(&r.d, &r.err), 0);
	assert_string_equal(shown(&r), "ecs_task_cpu_utilized{} 1:1 3:3 5:5 7:7");
	assert_int_equal(r.d.n_samples, 4);
	done(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_values),  cmocka_unit_test(test_minus_zero),
	    cmocka_unit_test(test_missing), cmocka_unit_test(test_edges),
	    cmocka_unit_test(test_times),   cmocka_unit_test(test_order_and_doubles),
	    cmocka_unit_test(test_labels),  cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_damage),  cmocka_unit_test(test_recorded_event),
	    cmocka_unit_test(test_merge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
