/* The states of alarms through time: from changes and snapshot to lines and rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "base/cleanup.h"
#include "model/alarms.h"

#define T	  1767225600000LL /* 2026-01-01T00:00:00Z */
#define MINUTE_MS 60000LL

static const struct label own[] = {{"alarm", "no"}, {"tier", "gold"}, {"zone", "a"}};
static const struct alarm_owner owner = {
    .origin = {"acme", "111122223333", "eu-west-1", "alarms"}, .labels = own, .n_labels = 3};

static struct alarm_change
change(const char *alarm, int64_t minute, enum alarm_state from, enum alarm_state to, size_t seq)
{
	return (struct alarm_change){.alarm = alarm,
				     .reason = "so",
				     .ts_ms = T + minute * MINUTE_MS,
				     .from = from,
				     .to = to,
				     .seq = seq};
}

static void
fill(struct cell_data *d, const struct alarm_track *tracks, size_t n, int64_t minutes)
{
	struct err err = {0};

	cell_data_init(d, (struct cell){T, T + minutes * MINUTE_MS});
	assert_int_equal(alarm_cell_fill(d, &owner, tracks, n, MINUTE_MS, &err), 0);
}

static void
test_state_is_of_the_last_change_before(void **state)
{
	struct alarm_change c[] = {change("a", 2, ALARM_OK, ALARM_FIRING, 0),
				   change("a", 5, ALARM_FIRING, ALARM_ABSENT, 1)};
	struct alarm_track t = {.name = "a", .arn = "arn", .state = ALARM_INSUFFICIENT};
	size_t n = 2;

	(void)state;
	assert_int_equal(alarm_state_at(&t, T), ALARM_INSUFFICIENT);
	alarm_tracks_sort(&t, 1, c, &n);
	assert_int_equal(t.n_changes, 2);
	assert_int_equal(alarm_state_at(&t, T), ALARM_OK);
	assert_int_equal(alarm_state_at(&t, T + 2 * MINUTE_MS - 1), ALARM_OK);
	assert_int_equal(alarm_state_at(&t, T + 2 * MINUTE_MS), ALARM_FIRING);
	assert_int_equal(alarm_state_at(&t, T + 9 * MINUTE_MS), ALARM_ABSENT);
}

static void
test_sorting_leaves_out_repetitions(void **state)
{
	struct alarm_change c[] = {
	    change("b", 1, ALARM_OK, ALARM_FIRING, 0), change("a", 3, ALARM_FIRING, ALARM_OK, 1),
	    change("b", 1, ALARM_OK, ALARM_FIRING, 2), change("a", 1, ALARM_OK, ALARM_FIRING, 3)};
	struct alarm_track t[] = {{.name = "c"}, {.name = "b"}, {.name = "a"}};
	size_t n = 4;

	(void)state;
	alarm_tracks_sort(t, 3, c, &n);
	assert_int_equal(n, 3);
	assert_string_equal(t[0].name, "a");
	assert_int_equal(t[0].n_changes, 2);
	assert_int_equal(t[0].changes[0].to, ALARM_FIRING);
	assert_int_equal(t[1].n_changes, 1);
	assert_int_equal(t[2].n_changes, 0);
}

static void
test_a_cell_has_lines_of_its_transitions(void **state)
{
	struct alarm_change c[] = {change("b", 1, ALARM_OK, ALARM_FIRING, 0),
				   change("a", 1, ALARM_UNKNOWN, ALARM_OK, 1),
				   change("a", 0, ALARM_OK, ALARM_OK, 2),
				   change("a", 3, ALARM_OK, ALARM_FIRING, 3),
				   change("b", 2, ALARM_ABSENT, ALARM_OK, 4),
				   change("b", 2, ALARM_UNKNOWN, ALARM_UNKNOWN, 5)};
	struct alarm_track t[] = {{.name = "a", .arn = "arn:a"}, {.name = "b", .arn = "arn:b"}};
	struct cell_data d;
	size_t n = 6;

	(void)state;
	alarm_tracks_sort(t, 2, c, &n);
	fill(&d, t, 2, 3);
	assert_string_equal(
	    buf_cstr(&d.ndjson),
	    "{\"ts\":\"2026-01-01T00:01:00.000Z\",\"tenant\":\"acme\",\"account_id\":"
	    "\"111122223333\",\"region\":\"eu-west-1\",\"job\":\"alarms\",\"alarm\":\"a\",\"arn\":"
	    "\"arn:a\",\"state\":\"OK\",\"previous_state\":null,\"reason\":\"so\",\"labels\":{"
	    "\"alarm\":\"a\",\"tier\":\"gold\",\"zone\":\"a\"}}\n"
	    "{\"ts\":\"2026-01-01T00:01:00.000Z\",\"tenant\":\"acme\",\"account_id\":"
	    "\"111122223333\",\"region\":\"eu-west-1\",\"job\":\"alarms\",\"alarm\":\"b\",\"arn\":"
	    "\"arn:b\",\"state\":\"ALARM\",\"previous_state\":\"OK\",\"reason\":\"so\",\"labels\":{"
	    "\"alarm\":\"b\",\"tier\":\"gold\",\"zone\":\"a\"}}\n");
	assert_int_equal(d.n_lines, 2);
	assert_int_equal(d.n_rejected, 1);
	cell_data_done(&d);
}

static void
test_a_cell_has_three_series_for_each_alarm(void **state)
{
	static const double want[ALARM_STATES][4] = {
	    {NAN, 1, 0, NAN}, {NAN, 0, 0, NAN}, {NAN, 0, 1, NAN}};
	static const char *const names[] = {"alarm", "insufficient_data", "ok"};
	struct alarm_change c[] = {change("a", 1, ALARM_ABSENT, ALARM_FIRING, 0),
				   change("a", 2, ALARM_FIRING, ALARM_OK, 1),
				   change("a", 3, ALARM_UNKNOWN, ALARM_ABSENT, 2)};
	struct alarm_track t[] = {{.name = "a", .arn = "x"}, {.name = "b", .state = ALARM_ABSENT}};
	struct cell_data d;
	size_t n = 3;

	(void)state;
	alarm_tracks_sort(t, 2, c, &n);
	fill(&d, t, 2, 4);
	assert_int_equal(d.n_rows, 3);
	assert_int_equal(d.n_samples, 6);
	for (size_t k = 0; k < ALARM_STATES; k++) {
		const struct series *s = d.rows[k].series;

		assert_string_equal(s->name, "aws_cloudwatch_alarm_state");
		assert_int_equal(s->n_labels, 7);
		assert_string_equal(s->labels[1].value, "a");
		assert_string_equal(s->labels[3].name, "state");
		assert_string_equal(s->labels[3].value, names[k]);
		assert_true(!k || series_cmp(d.rows[k - 1].series, s) < 0);
		for (size_t i = 0; i < 4; i++)
			assert_true(isnan(want[k][i]) ? isnan(d.rows[k].values[i]) != 0
						      : d.rows[k].values[i] == want[k][i]);
	}
	cell_data_done(&d);
}

static void
test_now_is_the_snapshot_and_what_was_deleted(void **state)
{
	struct alarm_change c[] = {change("b", 1, ALARM_UNKNOWN, ALARM_ABSENT, 0)};
	struct alarm_track t[] = {
	    {.name = "a", .arn = "x", .state = ALARM_FIRING, .since_ms = T, .reason = "high"},
	    {.name = "b", .state = ALARM_ABSENT},
	    {.name = "c", .state = ALARM_UNKNOWN}};
	struct err err = {0};
	struct cell_data d;
	size_t n = 1;

	(void)state;
	alarm_tracks_sort(t, 3, c, &n);
	fill(&d, t, 3, 1);
	assert_int_equal(alarm_cell_now(&d, &owner, t, 3, MINUTE_MS, &err), 0);
	assert_int_equal(d.n_alarms, 2);
	assert_true(d.alarms[0].firing && d.alarms[0].since_ms == T);
	assert_string_equal(d.alarms[0].reason, "high");
	assert_true(!d.alarms[1].firing && d.alarms[1].since_ms == T + MINUTE_MS);
	assert_string_equal(d.alarms[1].state, "DELETED");
	cell_data_done(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_state_is_of_the_last_change_before),
	    cmocka_unit_test(test_sorting_leaves_out_repetitions),
	    cmocka_unit_test(test_a_cell_has_lines_of_its_transitions),
	    cmocka_unit_test(test_a_cell_has_three_series_for_each_alarm),
	    cmocka_unit_test(test_now_is_the_snapshot_and_what_was_deleted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
