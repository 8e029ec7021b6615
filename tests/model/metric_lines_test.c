/* Lake lines of metrics: the one spelling they have, and that nothing else is read. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "model/series.h"

#define START 1767225600000LL /* 2026-01-01T00:00:00Z */

static const struct cell cell = {START, START + 300000};
static const struct line_origin origin = {"acme", "111122223333", "ap-southeast-2", "ecs"};

static const struct label labels[] = {
    {"account_id", "111122223333"}, {"cluster", "c\"1\\"}, {"region", "ap-southeast-2"},
    {"service", "web\n\xC3\xA9"},   {"tenant", "acme"},
};
static const struct series cpu = {.name = "ecs_task_cpu_utilized",
				  .labels = labels,
				  .n_labels = ARRAY_LEN(labels),
				  .stat = "Average",
				  .unit = "None",
				  .period_ms = 60000};
static const struct series plain = {
    .name = "up", .labels = labels, .n_labels = 1, .period_ms = 60000};

/* How a line begins that has the members all lines have. */
#define COMMON                                                                                     \
	"{\"ts\":\"2026-01-01T00:00:00.000Z\",\"tenant\":\"acme\",\"account_id\":"                 \
	"\"111122223333\","                                                                        \
	"\"region\":\"ap-southeast-2\",\"job\":\"ecs\","
#define CPU_LINE                                                                                   \
	COMMON "\"name\":\"ecs_task_cpu_utilized\",\"stat\":\"Average\",\"unit\":\"None\","        \
	       "\"period\":60,"                                                                    \
	       "\"labels\":{\"cluster\":\"c\\\"1\\\\\",\"service\":\"web\\n\xC3\xA9\"},"           \
	       "\"values\":[1,0.1,null,1e+300,5]}\n"

static void
test_spelling(void **state)
{
	static const double values[] = {1, 0.1, NAN, 1e300, 5};
	static const double late[] = {7};
	static const double none[] = {NAN, INFINITY};
	struct sample_row rows[] = {
	    {&cpu, START, values, 5, NULL},
	    {&cpu, START, none, 2, NULL},
	    {&plain, START + 240000, late, 1, NULL},
	};
	struct cell_data d;
	struct err err;

	(void)state;
	cell_data_init(&d, cell);
	d.rows = rows;
	d.n_rows = ARRAY_LEN(rows);
	assert_int_equal(metric_lines_encode(&d, &origin, &err), 0);
	assert_string_equal(buf_cstr(&d.ndjson), CPU_LINE COMMON
			    "\"name\":\"up\",\"stat\":null,\"unit\":null,\"period\":60,\"labels\":{"
			    "},\"values\":[null,null,null,null,7]}\n");
	assert_int_equal(d.n_lines, 2);
	assert_int_equal(d.n_samples, 5);
	cell_data_done(&d);
}

static void
test_off_the_grid(void **state)
{
	static const double values[6] = {1, 2, 3, 4, 5, 6};
	const struct sample_row bad[] = {
	    {&cpu, START + 1, values, 1, NULL},
	    {&cpu, START - 60000, values, 1, NULL},
	    {&cpu, START, values, 6, NULL},
	    {&cpu, START + 300000, values, 1, NULL},
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct sample_row row = bad[i];
		struct cell_data d;

		cell_data_init(&d, cell);
		d.rows = &row;
		d.n_rows = 1;
		assert_int_equal(metric_lines_encode(&d, &origin, &err), -1);
		assert_int_equal(err.kind, ERR_DATA);
		cell_data_done(&d);
	}
}

static int
decode(struct cell_data *d, const char *text, struct err *err)
{
	cell_data_init(d, cell);
	buf_str(&d->ndjson, text);
	return metric_lines_decode(d, &origin, err);
}

static void
test_reading_back(void **state)
{
	struct cell_data d;
	struct err err;

	(void)state;
	assert_int_equal(decode(&d, CPU_LINE, &err), 0);
	assert_int_equal(d.n_rows, 1);
	assert_int_equal(d.n_lines, 1);
	assert_int_equal(d.n_samples, 4);
	assert_int_equal(series_cmp(d.rows[0].series, &cpu), 0);
	assert_string_equal(d.rows[0].series->stat, "Average");
	assert_string_equal(d.rows[0].series->unit, "None");
	assert_int_equal(d.rows[0].series->period_ms, 60000);
	assert_int_equal(d.rows[0].first_ms, START);
	assert_int_equal(d.rows[0].n, 5);
	assert_true(d.rows[0].values[3] == 1e300);
	assert_true(isnan(d.rows[0].values[2]));
	cell_data_done(&d);
	assert_int_equal(decode(&d, "", &err), 0);
	assert_int_equal(d.n_rows, 0);
	cell_data_done(&d);
}

/* A line with these members behind the common ones. */
#define LINE(name, period, labels, values)                                                         \
	COMMON "\"name\":" name ",\"stat\":null,\"unit\":null,\"period\":" period                  \
	       ",\"labels\":" labels ",\"values\":" values "}\n"
#define FIVE "[1,2,3,4,5]"

static void
test_refused(void **state)
{
	static const char *const bad[] = {
	    LINE("\"up\"", "60", "{}", "[1,2,3,4,5,6]"),
	    LINE("\"up\"", "60", "{}", "[1,2,3,4]"),
	    LINE("\"up\"", "60", "{}", "[null,null,null,null,null]"),
	    LINE("\"up\"", "60", "{}", "[1,2,3,4,5.0]"),
	    LINE("\"up\"", "60", "{}", "[1,2,3,4,\"5\"]"),
	    LINE("\"up\"", "60", "{}", "[1,2,3,4,1e999]"),
	    LINE("\"up\"", "60.0", "{}", FIVE),
	    LINE("\"up\"", "0", "{}", FIVE),
	    LINE("\"up\"", "-60", "{}", FIVE),
	    LINE("\"up\"", "7", "{}", FIVE),
	    LINE("\"up\"", "1e99", "{}", FIVE),
	    LINE("\"u-p\"", "60", "{}", FIVE),
	    LINE("\"\"", "60", "{}", FIVE),
	    LINE("null", "60", "{}", FIVE),
	    LINE("\"up\"", "60", "{\"b\":\"1\",\"a\":\"1\"}", FIVE),
	    LINE("\"up\"", "60", "{\"a\":\"\"}", FIVE),
	    LINE("\"up\"", "60", "{\"a\":1}", FIVE),
	    LINE("\"up\"", "60", "{\"a-b\":\"1\"}", FIVE),
	    LINE("\"up\"", "60", "{\"tenant\":\"other\"}", FIVE),
	    LINE("\"up\"", "60", "{\"a\":\"x\\u0000y\"}", FIVE),
	    LINE("\"up\"", "60", "{\"a\":\"\\u00e9\"}", FIVE),
	    LINE("\"up\"", "60", "[]", FIVE),
	    LINE("\"up\"", "60", "{}", FIVE) LINE("\"up\"", "60", "{}", FIVE),
	    LINE("\"up\"", "60", "{}", FIVE) LINE("\"aa\"", "60", "{}", FIVE),
	    LINE("\"up\"", "60", "{}", FIVE) "\n",
	    " " LINE("\"up\"", "60", "{}", FIVE),
	    "{}\n",
	    "[]\n",
	    "\n",
	    "null\n",
	    "{\"ts\":\"2026-01-01T00:00:00.000Z\"",
	    "\xFF\n",
	    "<html>\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct cell_data d;
		struct err err;

		if (!decode(&d, bad[i], &err))
			fail_msg("was read: %s", bad[i]);
		assert_int_equal(err.kind, ERR_DATA);
		assert_non_null(strstr(err.msg, "line"));
		cell_data_done(&d);
	}
}

/* What is in a file and cannot be had is no cell without samples. */
static void
test_lines_that_are_lost(void **state)
{
	struct cell_data d;
	struct err err = {0};
	char line[512];

	(void)state;
	for (int lost = 0; lost < 2; lost++) {
		cell_data_init(&d, cell);
		d.spool = malloc(sizeof(*d.spool));
		assert_non_null(d.spool);
		*d.spool = SPOOL_INIT;
		for (int i = 0; i < 3000; i++) {
			(void)snprintf(line, sizeof(line), LINE("\"up%04d\"", "60", "{}", FIVE), i);
			assert_int_equal(spool_add(d.spool, sv_of(line), &err), 0);
		}
		assert_true(d.spool->fd >= 0);
		if (lost)
			assert_int_equal(ftruncate(d.spool->fd, 0), 0);
		assert_int_equal(metric_lines_decode(&d, &origin, &err), lost ? -1 : 0);
		assert_int_equal(d.n_rows, lost ? 0 : 3000);
		assert_int_equal(err.kind, lost ? ERR_LOCAL : ERR_NONE);
		cell_data_done(&d);
	}
	err_clear(&err);
}

/* Lines of another tenant, job or hour are not ours. */
static void
test_foreign(void **state)
{
	const struct line_origin others[] = {
	    {"evil", "111122223333", "ap-southeast-2", "ecs"},
	    {"acme", "999988887777", "ap-southeast-2", "ecs"},
	    {"acme", "111122223333", "us-east-1", "ecs"},
	    {"acme", "111122223333", "ap-southeast-2", "other"},
	};
	struct cell_data d;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		cell_data_init(&d, cell);
		buf_str(&d.ndjson, CPU_LINE);
		assert_int_equal(metric_lines_decode(&d, &others[i], &err), -1);
		cell_data_done(&d);
	}
	cell_data_init(&d, (struct cell){START + 300000, START + 600000});
	buf_str(&d.ndjson, CPU_LINE);
	assert_int_equal(metric_lines_decode(&d, &origin, &err), -1);
	cell_data_done(&d);
}

static uint64_t
random_u64(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state ^ (*state >> 33);
}

/* Any doubles, written, read and written again, give the same bytes and the same doubles. */
static void
test_round_trip(void **state)
{
	static const double special[] = {0.0,
					 -0.0,
					 0x1p53,
					 -0x1p53,
					 0x1p53 + 2,
					 0x1p-1074,
					 1.7976931348623157e308,
					 2.2250738585072014e-308,
					 1.0 / 3,
					 -1e21,
					 1e16,
					 123456789.12345679};
	uint64_t seed = 42;

	(void)state;
	for (int round = 0; round < 400; round++) {
		double values[5];
		struct sample_row row = {&cpu, START, values, 5, NULL};
		struct cell_data d, again;
		struct err err;

		for (size_t i = 0; i < 5; i++) {
			uint64_t bits = random_u64(&seed);

			memcpy(&values[i], &bits, sizeof(bits));
			if (bits % 3 == 0)
				values[i] = special[bits / 3 % ARRAY_LEN(special)];
		}
		values[round % 5] = special[(size_t)round % ARRAY_LEN(special)];
		cell_data_init(&d, cell);
		d.rows = &row;
		d.n_rows = 1;
		assert_int_equal(metric_lines_encode(&d, &origin, &err), 0);
		if (decode(&again, buf_cstr(&d.ndjson), &err))
			fail_msg("%s: %s", err.msg, buf_cstr(&d.ndjson));
		for (size_t i = 0; i < 5; i++)
			if (isfinite(values[i]))
				assert_memory_equal(&again.rows[0].values[i], &values[i],
						    sizeof(double));
		assert_int_equal(again.n_samples, d.n_samples);
		cell_data_done(&d);
		cell_data_done(&again);
	}
}

/* A line with a few bytes changed is refused, or it is a line whose bytes say what they mean. */
static void
test_mutated(void **state)
{
	static const char bytes[] = "\0\"\\{}[],:09-eE.nu\n \xFF\xC3z";
	uint64_t seed = 7;

	(void)state;
	for (int round = 0; round < 6000; round++) {
		char text[] = CPU_LINE;
		struct cell_data d, again;
		struct err err;

		for (int i = 0; i <= round % 3; i++)
			text[random_u64(&seed) % (sizeof(text) - 1)] =
			    bytes[random_u64(&seed) % (sizeof(bytes) - 1)];
		cell_data_init(&d, cell);
		buf_add(&d.ndjson, text, sizeof(text) - 1);
		if (metric_lines_decode(&d, &origin, &err)) {
			assert_int_equal(err.kind, ERR_DATA);
		} else {
			cell_data_init(&again, cell);
			again.rows = d.rows;
			again.n_rows = d.n_rows;
			assert_int_equal(metric_lines_encode(&again, &origin, &err), 0);
			assert_true(sv_eq(buf_view(&again.ndjson), buf_view(&d.ndjson)));
			cell_data_done(&again);
		}
		cell_data_done(&d);
	}
}

/* Many rows: the array grows, the order is checked, series stay where they are. */
static void
test_many_rows(void **state)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT((size_t)1 << 20);
	struct cell_data d;
	struct err err;

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_fmt(&text, LINE("\"m%04d\"", "60", "{}", FIVE), i);
	assert_int_equal(decode(&d, buf_cstr(&text), &err), 0);
	assert_int_equal(d.n_rows, 1000);
	assert_string_equal(d.rows[0].series->name, "m0000");
	assert_string_equal(d.rows[999].series->name, "m0999");
	cell_data_done(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_spelling),
	    cmocka_unit_test(test_off_the_grid),
	    cmocka_unit_test(test_reading_back),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_lines_that_are_lost),
	    cmocka_unit_test(test_foreign),
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_mutated),
	    cmocka_unit_test(test_many_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
