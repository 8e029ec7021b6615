/* The text of a cell, and that its file is made once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "sink/sink.h"

#define START INT64_C(1767225600000)
#define CELL  ((struct cell){START, START + 300000})
#define KEY                                                                                        \
	"ecs/tenant=acme/region=eu-west-1/dt=2026-01-01/hh=00/"                                    \
	"20260101T000000Z-20260101T000500Z.om"

static const struct publish who = {.job = "ecs",
				   .tenant = "acme",
				   .account = "111122223333",
				   .region = "eu-west-1",
				   .definition = "0123456789abcdef"};

struct dump {
	char dir[32], url[64];
	struct sink_conf conf;
	struct sink *sink;
	struct store *store; /* the same folder, to look behind it */
};

static void
dump_open(struct dump *d)
{
	const struct sink_env env = {.stdout_fd = -1};
	struct err err;

	*d = (struct dump){.dir = "/tmp/muster-test-XXXXXX"};
	assert_non_null(mkdtemp(d->dir));
	(void)snprintf(d->url, sizeof(d->url), "file://%s", d->dir);
	d->conf = (struct sink_conf){.name = "old", .kind = SINK_OPENMETRICS, .url = d->url};
	assert_int_equal(sink_open(&d->conf, &env, &d->sink, &err), 0);
	assert_int_equal(store_open(d->url, NULL, &d->store, &err), 0);
}

static void
dump_close(struct dump *d)
{
	char command[64];

	sink_free(d->sink);
	store_free(d->store);
	(void)snprintf(command, sizeof(command), "rm -rf %s", d->dir);
	assert_int_equal(system(command), 0);
}

static struct published
publish(struct dump *d, struct sample_row *rows, size_t n)
{
	struct published done = {0};
	struct cell_data data;
	struct err err = {0};

	cell_data_init(&data, CELL);
	data.rows = rows;
	data.n_rows = n;
	assert_int_equal(d->sink->ops->publish(d->sink, &who, &data, &done, &err), 0);
	cell_data_done(&data);
	return done;
}

static void
check_text(struct dump *d, const char *want)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(1u << 20);
	struct err err;

	assert_int_equal(store_get(d->store, KEY, NULL, &text, NULL, &err), 0);
	assert_string_equal(buf_cstr(&text), want);
}

static void
a_cell_is_a_text(void **state)
{
	static const struct label labels[] = {{"cluster", "a\"b\\c\nd"}, {"tenant", "\xc3\xa9"}};
	const struct series bare = {.name = "a", .period_ms = 60000};
	const struct series full = {
	    .name = "b", .labels = labels, .n_labels = 2, .period_ms = 60000};
	static const double first[] = {1, NAN, -0.1};
	static const double second[] = {NAN, 9007199254740993.0, 1e300};
	const struct series events = {.name = "c", .period_ms = 1};
	static const int64_t times[] = {START + 1500, START + 2250};
	struct sample_row rows[] = {
	    {.series = &bare, .first_ms = START, .values = first, .n = 3},
	    {.series = &full, .first_ms = START, .values = second, .n = 3},
	    {.series = &events, .first_ms = times[0], .values = first + 1, .n = 2, .times = times},
	};
	struct published done;
	struct dump d;

	(void)state;
	dump_open(&d);
	assert_true(d.sink->ops->samples && d.sink->ops->leftovers && !d.sink->ops->ordered);
	done = publish(&d, rows, 3);
	assert_int_equal(done.acked, 5);
	assert_int_equal(done.already + done.rejected + done.too_old, 0);
	assert_int_equal(done.requests, 1);
	check_text(
	    &d, "a 1 1767225600\n"
		"a -0.1 1767225720\n"
		"b{cluster=\"a\\\"b\\\\c\\nd\",tenant=\"\xc3\xa9\"} 9007199254740992 1767225660\n"
		"b{cluster=\"a\\\"b\\\\c\\nd\",tenant=\"\xc3\xa9\"} 1e+300 1767225720\n"
		"c -0.1 1767225602.250\n"
		"# EOF\n");
	dump_close(&d);
}

static void
the_first_stays(void **state)
{
	const struct series s = {.name = "a", .period_ms = 60000};
	static const double one[] = {1}, two[] = {2}, none[] = {NAN};
	struct sample_row row = {.series = &s, .first_ms = START, .values = none, .n = 1};
	struct published done;
	struct dump d;

	(void)state;
	dump_open(&d);
	done = publish(&d, &row, 1); /* nothing in it: no file */
	assert_int_equal(done.requests, 0);
	row.values = one;
	assert_int_equal(publish(&d, &row, 1).acked, 1);
	row.values = two;
	done = publish(&d, &row, 1);
	assert_int_equal(done.acked, 0);
	assert_int_equal(done.already, 1);
	check_text(&d, "a 1 1767225600\n# EOF\n");
	dump_close(&d);
}

#define AWKWARD INT64_C(1084658704000) /* 212 ms later is one that comes out short */

/* Prometheus multiplies by 1,000 as doubles do and cuts the rest off. */
static void
every_millisecond_comes_back(void **state)
{
	const struct series s = {.name = "a", .period_ms = 1};
	double values[1000];
	struct sample_row row = {.series = &s, .first_ms = AWKWARD, .values = values, .n = 1000};
	CLEANUP(buf_done) struct buf text = BUF_INIT(1u << 20);
	const char *line;
	struct dump d;
	struct err err;

	(void)state;
	for (size_t i = 0; i < 1000; i++)
		values[i] = 1;
	dump_open(&d);
	assert_int_equal(publish(&d, &row, 1).acked, 1000);
	assert_int_equal(store_get(d.store, KEY, NULL, &text, NULL, &err), 0);
	line = buf_cstr(&text);
	for (int64_t i = 0; i < 1000; i++) {
		double at = strtod(line + 4, NULL);

		assert_int_equal((int64_t)(at * 1000), AWKWARD + i);
		assert_int_equal(llround(at * 1000), AWKWARD + i);
		line = strchr(line, '\n') + 1;
	}
	assert_string_equal(line, "# EOF\n");
	dump_close(&d);
}

static void
what_cannot_be_opened_or_written_is_said(void **state)
{
	const struct sink_env env = {.stdout_fd = -1};
	const struct sink_conf no_url = {.name = "old", .kind = SINK_OPENMETRICS};
	const struct sink_conf s3 = {
	    .name = "old", .kind = SINK_OPENMETRICS, .url = "s3://bucket/prefix"};
	struct sink *sink;
	struct err err;

	(void)state;
	assert_int_equal(sink_open(&no_url, &env, &sink, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_int_equal(sink_open(&s3, &env, &sink, &err), -1);
	assert_int_equal(err.kind, ERR_AUTH);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_cell_is_a_text),
	    cmocka_unit_test(the_first_stays),
	    cmocka_unit_test(every_millisecond_comes_back),
	    cmocka_unit_test(what_cannot_be_opened_or_written_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
