/*
 * Pulling alarms, step by step: the snapshot, then the history, and what becomes of both; what
 * pages, waits and refusals do to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "aws/cloudwatch_alarms.h"
#include "base/cleanup.h"
#include "model/alarms.h"
#include "run/job.h"

#define START	  1767225600000LL /* 2026-01-01T00:00:00Z */
#define MINUTE_MS 60000LL
#define DAY_MS	  (1440 * MINUTE_MS)
#define NOW	  (START + 20 * MINUTE_MS)
#define CELLS_MAX 8
#define OPTS_MAX  64

extern const struct job_kind job_alarms;

/* What the service says. Times are seconds as text. */
#define ALARM(name, state, since)                                                                  \
	"{\"AlarmName\":\"" name "\",\"AlarmArn\":\"arn:" name "\",\"StateValue\":\"" state        \
	"\",\"StateReason\":\"snapshot\",\"StateTransitionedTimestamp\":" since "}"
#define METRIC_ALARMS(list) "{\"MetricAlarms\":[" list "],\"CompositeAlarms\":[]"
#define ITEM(name, ts, type, summary, data)                                                        \
	"{\"AlarmName\":\"" name "\",\"Timestamp\":" ts ",\"HistoryItemType\":\"" type             \
	"\",\"HistorySummary\":\"" summary "\",\"HistoryData\":\"" data "\"}"
#define VALUE(state) "{\\\"stateValue\\\":\\\"" state "\\\",\\\"stateReason\\\":\\\"why\\\"}"
#define CHANGE(name, ts, from, to)                                                                 \
	ITEM(name, ts, "StateUpdate", "",                                                          \
	     "{\\\"oldState\\\":" VALUE(from) ",\\\"newState\\\":" VALUE(to) "}")
#define HISTORY(list) "{\"AlarmHistoryItems\":[" list "]"
#define LAST	      "}"
#define MORE(token)   ",\"NextToken\":\"" token "\"}"
#define NO_ALARMS     METRIC_ALARMS("") LAST
#define ASKED_ALARMS                                                                               \
	"{\"AlarmTypes\":[\"MetricAlarm\",\"CompositeAlarm\",\"LogAlarm\"],\"MaxRecords\":100"
#define ASKED_HISTORY	ASKED_ALARMS ",\"StartDate\":1767225595,\"ScanBy\":\"TimestampAscending\""
#define ASKED_NEXT(tok) ",\"NextToken\":\"" tok "\"}"

#define LINE(ts, name, arn, state, previous, reason)                                               \
	"{\"ts\":\"2026-01-01T" ts "Z\",\"tenant\":\"acme\",\"account_id\":\"111122223333\","      \
	"\"region\":\"eu-west-1\",\"job\":\"alarms\",\"alarm\":\"" name "\",\"arn\":\"" arn        \
	"\",\"state\":\"" state "\",\"previous_state\":" previous ",\"reason\":\"" reason          \
	"\",\"labels\":{\"alarm\":\"" name "\",\"tier\":\"gold\"}}\n"

struct rig {
	struct arena a;
	_Alignas(max_align_t) char opts[OPTS_MAX];
	struct job_common common;
	struct job_stream s;
	struct label label;
	struct cell cells[CELLS_MAX];
	size_t n;
	struct pull *p;
	struct aws_call call;
	struct http_resp resp;
	struct cell_data data[CELLS_MAX];
	struct err err;
};

/* The faults of a job section; 0 of a good one. */
static size_t
rig_configure(struct rig *r, const char *yaml, struct conf_faults *f)
{
	const struct conf_key *tables[] = {job_alarms.keys, NULL};
	void *outs[] = {r->opts};
	const struct conf_node *node = conf_parse("rig", sv_of(yaml), &r->a, f);

	assert_non_null(node);
	conf_read(node, tables, outs, &r->a, f);
	job_alarms.check(&r->common, r->opts, node, &r->a, f);
	return conf_faults_count(f);
}

static void
rig_init(struct rig *r, int64_t every_ms, const char *yaml)
{
	struct conf_faults *f = conf_faults_new();

	assert_true(job_alarms.opts_size <= OPTS_MAX);
	*r = (struct rig){.a = ARENA_INIT((size_t)1 << 20)};
	r->common = (struct job_common){.name = "alarms", .every_ms = every_ms};
	r->label = (struct label){"tier", "gold"};
	r->s = (struct job_stream){.common = &r->common,
				   .opts = r->opts,
				   .tenant = "acme",
				   .account = "111122223333",
				   .region = "eu-west-1",
				   .labels = &r->label,
				   .n_labels = 1};
	if (rig_configure(r, yaml, f))
		fail_msg("%s", conf_faults_get(f, 0));
	conf_faults_free(f);
	aws_call_init(&r->call, (size_t)1 << 20);
	r->resp.body = BUF_INIT((size_t)1 << 20);
	cw_proto_forget();
	cw_proto_begin(CW_JSON);
}

static void
rig_close(struct rig *r)
{
	job_alarms.close(r->p);
	r->p = NULL;
	for (size_t i = 0; i < r->n; i++)
		cell_data_done(&r->data[i]);
	r->n = 0;
}

static void
rig_done(struct rig *r)
{
	rig_close(r);
	buf_done(&r->resp.body);
	aws_call_done(&r->call);
	arena_done(&r->a);
}

static void
rig_open(struct rig *r, int64_t start_ms, size_t n, int64_t now_ms)
{
	rig_close(r);
	for (size_t i = 0; i < n; i++) {
		r->cells[i].start_ms = start_ms + (int64_t)i * r->common.every_ms;
		r->cells[i].end_ms = r->cells[i].start_ms + r->common.every_ms;
		cell_data_init(&r->data[i], r->cells[i]);
	}
	r->n = n;
	if (job_alarms.open(&r->s, NULL, r->cells, n, now_ms, &r->p, &r->err))
		fail_msg("%s", r->err.msg);
}

/* The next request's body; NULL when the pull is complete. */
static const char *
rig_next(struct rig *r)
{
	int more;

	aws_call_reset(&r->call);
	more = job_alarms.next(r->p, &r->call, &r->err);
	if (more < 0)
		fail_msg("%s", r->err.msg);
	return more ? buf_cstr(&r->call.body) : NULL;
}

static int
rig_reply(struct rig *r, int status, const char *body)
{
	r->resp.status = status;
	buf_reset(&r->resp.body);
	buf_str(&r->resp.body, body);
	return job_alarms.reply(r->p, &r->resp, &r->err);
}

/* Ask, which must read so to the letter, and answer. */
static void
rig_say(struct rig *r, const char *asked, const char *answer)
{
	const char *body = rig_next(r);

	if (!body || strcmp(body, asked) != 0)
		fail_msg("expected %s, not %s", asked, body ? body : "nothing");
	err_clear(&r->err);
	if (rig_reply(r, 200, answer))
		fail_msg("%s", r->err.msg);
}

static int
rig_refuse(struct rig *r, int status, const char *code)
{
	assert_non_null(rig_next(r));
	(void)err_set(&r->err, ERR_REJECTED, "refused");
	r->err.http_status = status;
	(void)snprintf(r->err.code, sizeof(r->err.code), "%s", code);
	return rig_reply(r, status, "{}");
}

static void
rig_harvest(struct rig *r)
{
	assert_null(rig_next(r));
	if (job_alarms.harvest(r->p, r->data, r->n, &r->err))
		fail_msg("%s", r->err.msg);
}

/* Both lists, a page each, and what comes of them. */
static void
rig_pull(struct rig *r, const char *alarms, const char *history)
{
	rig_say(r, ASKED_ALARMS "}", alarms);
	rig_say(r, ASKED_HISTORY "}", history);
	rig_harvest(r);
}

static const char *
rig_lines(const struct rig *r, size_t cell)
{
	return buf_cstr(&r->data[cell].ndjson);
}

static const struct sample_row *
rig_row(const struct rig *r, size_t cell, const char *alarm, const char *state)
{
	const struct cell_data *d = &r->data[cell];

	for (size_t i = 0; i < d->n_rows; i++) {
		const struct label *l = d->rows[i].series->labels;

		assert_string_equal(d->rows[i].series->name, "aws_cloudwatch_alarm_state");
		if (!strcmp(l[1].value, alarm) && !strcmp(l[3].value, state))
			return &d->rows[i];
	}
	fail_msg("no series of %s, %s", alarm, state);
	return NULL;
}

/* ---- transitions ---- */

static void
test_snapshot_then_history_up_to_now(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, MINUTE_MS, "{}");
	rig_open(&r, START, 2, NOW);
	assert_string_equal(job_alarms.service, "monitoring");
	assert_non_null(rig_next(&r));
	assert_string_equal(r.call.target, "GraniteServiceVersion20100801.DescribeAlarms");
	rig_pull(&r, METRIC_ALARMS(ALARM("a", "OK", "1767225690.5")) LAST,
		 HISTORY(CHANGE("a", "1767225630.25", "OK",
				"ALARM") "," CHANGE("a", "1767225690.5", "ALARM", "OK")) LAST);
	assert_string_equal(rig_lines(&r, 0),
			    LINE("00:00:30.250", "a", "arn:a", "ALARM", "\"OK\"", "why"));
	assert_string_equal(rig_lines(&r, 1),
			    LINE("00:01:30.500", "a", "arn:a", "OK", "\"ALARM\"", "why"));
	assert_true(rig_row(&r, 0, "a", "ok")->values[0] == 1);
	assert_true(rig_row(&r, 0, "a", "alarm")->values[0] == 0);
	assert_true(rig_row(&r, 1, "a", "alarm")->values[0] == 1);
	assert_int_equal(rig_row(&r, 1, "a", "alarm")->first_ms, START + MINUTE_MS);
	assert_true(rig_row(&r, 1, "a", "insufficient_data")->values[0] == 0);
	assert_int_equal(r.data[0].n_samples, 3);
	rig_done(&r);
}

/* A cell is [start, end), to the millisecond. */
static void
test_the_millisecond_decides(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, MINUTE_MS, "{}");
	rig_open(&r, START, 2, NOW);
	rig_pull(
	    &r, METRIC_ALARMS(ALARM("a", "OK", "1767225720")) LAST,
	    HISTORY(
		CHANGE("a", "1767225599.999", "ALARM", "OK") "," CHANGE("a", "1767225600", "OK", "ALARM") "," CHANGE(
		    "a", "1767225659.999", "ALARM",
		    "OK") "," CHANGE("a", "1767225660", "OK",
				     "INSUFFICIENT_DATA") "," CHANGE("a", "1767225719.999",
								     "INSUFFICIENT_DATA",
								     "ALARM") "," CHANGE("a",
											 "176722572"
											 "0",
											 "ALARM",
											 "OK"))
		LAST);
	assert_string_equal(rig_lines(&r, 0),
			    LINE("00:00:00.000", "a", "arn:a", "ALARM", "\"OK\"", "why")
				LINE("00:00:59.999", "a", "arn:a", "OK", "\"ALARM\"", "why"));
	assert_string_equal(
	    rig_lines(&r, 1),
	    LINE("00:01:00.000", "a", "arn:a", "INSUFFICIENT_DATA", "\"OK\"", "why")
		LINE("00:01:59.999", "a", "arn:a", "ALARM", "\"INSUFFICIENT_DATA\"", "why"));
	/* At the very moment of a change the state is the new one. */
	assert_true(rig_row(&r, 0, "a", "alarm")->values[0] == 1);
	assert_true(rig_row(&r, 1, "a", "insufficient_data")->values[0] == 1);
	rig_done(&r);
}

static void
test_a_state_lasts_through_cells_without_changes(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, 5 * MINUTE_MS, "{}");
	rig_open(&r, START, 4, NOW);
	rig_pull(&r,
		 METRIC_ALARMS(ALARM("a", "OK", "1767226680") "," ALARM("b", "INSUFFICIENT_DATA",
									"1700000000")) LAST,
		 HISTORY(CHANGE("a", "1767225720", "OK", "ALARM") "," CHANGE("a", "1767226680",
									     "ALARM", "OK")) LAST);
	for (size_t i = 0; i < 4; i++) {
		const struct sample_row *firing = rig_row(&r, i, "a", "alarm");

		assert_int_equal(firing->n, 5);
		for (size_t k = 0; k < 5; k++) {
			size_t minute = 5 * i + k;

			assert_true(firing->values[k] == (minute >= 2 && minute < 18));
			assert_true(rig_row(&r, i, "a", "ok")->values[k] == 1 - firing->values[k]);
			assert_true(rig_row(&r, i, "b", "insufficient_data")->values[k] == 1);
		}
		assert_int_equal(r.data[i].n_lines, i == 0 || i == 3);
		assert_int_equal(r.data[i].n_rows, 6);
		assert_int_equal(r.data[i].n_samples, 30);
	}
	rig_done(&r);
}

/* What the history tells of after the cells says how they stood in them. */
static void
test_later_changes_tell_how_it_was(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, MINUTE_MS, "{}");
	rig_open(&r, START, 1, NOW);
	rig_pull(&r, METRIC_ALARMS(ALARM("a", "ALARM", "1767226500")) LAST,
		 HISTORY(CHANGE("a", "1767226500", "INSUFFICIENT_DATA", "ALARM")) LAST);
	assert_string_equal(rig_lines(&r, 0), "");
	assert_true(rig_row(&r, 0, "a", "insufficient_data")->values[0] == 1);
	assert_true(rig_row(&r, 0, "a", "alarm")->values[0] == 0);
	rig_done(&r);
}

static void
test_composite_and_log_alarms(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, MINUTE_MS, "{}");
	rig_open(&r, START, 1, NOW);
	rig_pull(
	    &r,
	    "{\"CompositeAlarms\":[" ALARM("both", "ALARM", "1767225601") "],\"LogAlarms\":[" ALARM(
		"logged", "OK", "1767225602") "]}",
	    HISTORY(CHANGE("both", "1767225601", "OK", "ALARM") "," CHANGE("logged", "1767225602",
									   "ALARM", "OK")) LAST);
	assert_string_equal(rig_lines(&r, 0),
			    LINE("00:00:01.000", "both", "arn:both", "ALARM", "\"OK\"", "why") LINE(
				"00:00:02.000", "logged", "arn:logged", "OK", "\"ALARM\"", "why"));
	assert_int_equal(r.data[0].n_rows, 6);
	rig_done(&r);
}

/* Made in the first cell, deleted in the third; no snapshot has it. */
static void
test_an_alarm_that_is_made_and_deleted(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, MINUTE_MS, "{}");
	rig_open(&r, START, 4, NOW);
	rig_pull(
	    &r, NO_ALARMS,
	    HISTORY(
		ITEM("a", "1767225610", "ConfigurationUpdate", "Alarm made", "{\\\"type\\\":\\\"Create\\\"}") "," ITEM(
		    "a", "1767225615", "ConfigurationUpdate", "Alarm updated",
		    "{\\\"type\\\":\\\"Update\\\"}") "," CHANGE("a", "1767225630",
								"INSUFFICIENT_DATA",
								"OK") "," ITEM("a", "1767225631",
									       "Action",
									       "told somebody",
									       "{}") "," ITEM("a",
											      "1767"
											      "2257"
											      "50",
											      "Conf"
											      "igur"
											      "atio"
											      "nUpd"
											      "ate",
											      "Alar"
											      "m "
											      "gon"
											      "e",
											      "{\\"
											      "\"ty"
											      "pe\\"
											      "\":"
											      "\\\""
											      "Dele"
											      "te\\"
											      "\""
											      "}"))
		LAST);
	assert_string_equal(rig_lines(&r, 0),
			    LINE("00:00:30.000", "a",
				 "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:a", "OK",
				 "\"INSUFFICIENT_DATA\"", "why"));
	assert_int_equal(r.data[0].n_rows, 0); /* not there at its start */
	assert_true(rig_row(&r, 1, "a", "ok")->values[0] == 1);
	assert_true(rig_row(&r, 2, "a", "ok")->values[0] == 1);
	assert_string_equal(rig_lines(&r, 2), "");
	assert_int_equal(r.data[3].n_rows, 0);
	/* Who takes the newest state hears of it once, with the newest cell. */
	assert_int_equal(r.data[2].n_alarms, 0);
	assert_int_equal(r.data[3].n_alarms, 1);
	assert_string_equal(r.data[3].alarms[0].state, "DELETED");
	assert_int_equal(r.data[3].alarms[0].since_ms, START + 150000);
	rig_done(&r);
}

static void
test_what_cannot_be_read_is_counted(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, MINUTE_MS, "{}");
	rig_open(&r, START, 1, NOW);
	rig_pull(&r, METRIC_ALARMS(ALARM("a", "OK", "1700000000")) LAST,
		 HISTORY(ITEM("a", "1767225601", "StateUpdate", "no words",
			      "{") "," CHANGE("a", "1767225602", "ALARM", "OK")) LAST);
	assert_int_equal(r.data[0].n_rejected, 1);
	assert_int_equal(r.data[0].n_lines, 1);
	rig_done(&r);
}

/* ---- pages ---- */

static void
test_all_pages_of_both_lists(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, MINUTE_MS, "{}");
	rig_open(&r, START, 1, NOW);
	rig_say(&r, ASKED_ALARMS "}", METRIC_ALARMS(ALARM("b", "ALARM", "1767225602")) MORE("s1"));
	rig_say(&r, ASKED_ALARMS ASKED_NEXT("s1"), METRIC_ALARMS("") MORE("s2"));
	rig_say(&r, ASKED_ALARMS ASKED_NEXT("s2"),
		METRIC_ALARMS(ALARM("a", "OK", "1767225603")) LAST);
	rig_say(&r, ASKED_HISTORY "}",
		HISTORY(CHANGE("b", "1767225602", "OK", "ALARM")) MORE("h1"));
	rig_say(&r, ASKED_HISTORY ASKED_NEXT("h1"), HISTORY("") MORE("h2"));
	/* The change that the first page ended with once more: one transition. */
	rig_say(&r, ASKED_HISTORY ASKED_NEXT("h2"),
		HISTORY(CHANGE("b", "1767225602", "OK", "ALARM") "," CHANGE("a", "1767225603",
									    "ALARM", "OK")) LAST);
	rig_harvest(&r);
	assert_string_equal(rig_lines(&r, 0),
			    LINE("00:00:02.000", "b", "arn:b", "ALARM", "\"OK\"", "why")
				LINE("00:00:03.000", "a", "arn:a", "OK", "\"ALARM\"", "why"));
	assert_int_equal(r.data[0].n_lines, 2);
	rig_done(&r);
}

static void
test_a_token_that_comes_twice_is_an_error(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, MINUTE_MS, "{}");
	rig_open(&r, START, 1, NOW);
	rig_say(&r, ASKED_ALARMS "}", METRIC_ALARMS("") MORE("s1"));
	assert_non_null(rig_next(&r));
	assert_int_equal(rig_reply(&r, 200, METRIC_ALARMS("") MORE("s1")), -1);
	assert_int_equal(r.err.kind, ERR_DATA);
	assert_non_null(strstr(r.err.msg, "NextToken came twice"));
	rig_done(&r);
}

static void
test_pages_without_an_end_are_an_error(void **state)
{
	char body[256];
	struct rig r;
	unsigned n;

	(void)state;
	rig_init(&r, MINUTE_MS, "{}");
	rig_open(&r, START, 1, NOW);
	rig_say(&r, ASKED_ALARMS "}", NO_ALARMS);
	for (n = 0; n < 20000; n++) {
		assert_non_null(rig_next(&r));
		(void)snprintf(body, sizeof(body),
			       "{\"AlarmHistoryItems\":[],\"NextToken\":\"%u\"}", n);
		if (rig_reply(&r, 200, body))
			break;
	}
	assert_int_equal(n, 10000);
	assert_int_equal(r.err.kind, ERR_DATA);
	rig_done(&r);
}

/* The list is begun again, and what its first pages said does not count twice. */
static void
test_a_token_that_ran_out(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, MINUTE_MS, "{}");
	rig_open(&r, START, 1, NOW);
	rig_say(&r, ASKED_ALARMS "}", METRIC_ALARMS(ALARM("a", "OK", "1700000000")) MORE("s1"));
	assert_int_equal(rig_refuse(&r, 400, "InvalidNextToken"), 0);
	rig_say(&r, ASKED_ALARMS "}", METRIC_ALARMS(ALARM("a", "OK", "1700000000")) LAST);
	for (int i = 0; i < 3; i++) {
		rig_say(&r, ASKED_HISTORY "}",
			HISTORY(ITEM("a", "1767225601", "StateUpdate", "", "")) MORE("h1"));
		assert_int_equal(rig_refuse(&r, 400, "InvalidNextTokenException"), 0);
	}
	rig_say(&r, ASKED_HISTORY "}", HISTORY("") MORE("h1"));
	assert_int_equal(rig_refuse(&r, 400, "InvalidNextToken"), -1);
	assert_int_equal(r.err.kind, ERR_REJECTED);
	rig_say(&r, ASKED_HISTORY ASKED_NEXT("h1"), HISTORY("") LAST);
	rig_harvest(&r);
	assert_int_equal(r.data[0].n_rejected, 0);
	/* Without a token there is nothing that could have run out. */
	rig_open(&r, START, 1, NOW);
	assert_int_equal(rig_refuse(&r, 400, "InvalidNextToken"), -1);
	rig_done(&r);
}

static void
test_nonsense_is_asked_for_again(void **state)
{
	static const char *const bad[] = {"", "[]", "{\"logGroups\":[]}", "{\"MetricAlarms\":[{}]}",
					  "{\"MetricAlarms\":[" ALARM("x", "OK", "1") ",{}]}"};
	struct rig r;

	(void)state;
	rig_init(&r, MINUTE_MS, "{}");
	rig_open(&r, START, 1, NOW);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_non_null(rig_next(&r));
		assert_int_equal(rig_reply(&r, 200, bad[i]), -1);
		assert_int_equal(r.err.kind, ERR_DATA);
	}
	rig_pull(&r, METRIC_ALARMS(ALARM("a", "OK", "1700000000")) LAST, HISTORY("") LAST);
	assert_int_equal(r.data[0].n_rows, 3); /* nothing of the broken pages */
	rig_done(&r);
}

/* ---- a history that is behind ---- */

#define FIRING METRIC_ALARMS(ALARM("a", "ALARM", "1767225630")) LAST

static void
test_what_the_history_does_not_show_yet_is_waited_for(void **state)
{
	char text[128];
	struct rig r;

	(void)state;
	rig_init(&r, MINUTE_MS, "{}");
	rig_open(&r, START, 1, NOW);
	rig_say(&r, ASKED_ALARMS "}", FIRING);
	rig_say(&r, ASKED_HISTORY "}", HISTORY("") LAST);
	assert_non_null(rig_next(&r));
	assert_int_equal(r.call.wait_ms, 2000);
	job_alarms.missing(r.p, text, sizeof(text));
	assert_string_equal(text, "the history does not show the last change of 1 alarms yet");
	rig_say(&r, ASKED_HISTORY "}", HISTORY("") MORE("h1"));
	rig_say(&r, ASKED_HISTORY ASKED_NEXT("h1"), HISTORY("") LAST);
	assert_non_null(rig_next(&r));
	assert_int_equal(r.call.wait_ms, 4000);
	/* The clocks of both need not agree to the millisecond. */
	rig_say(&r, ASKED_HISTORY "}", HISTORY(CHANGE("a", "1767225629.9", "OK", "ALARM")) LAST);
	rig_harvest(&r);
	assert_string_equal(rig_lines(&r, 0),
			    LINE("00:00:29.900", "a", "arn:a", "ALARM", "\"OK\"", "why"));
	rig_done(&r);
}

static void
test_what_the_history_never_shows_is_the_snapshots(void **state)
{
	static const int64_t waits[] = {0, 2000, 4000, 8000};
	struct rig r;

	(void)state;
	rig_init(&r, MINUTE_MS, "{}");
	rig_open(&r, START, 2, NOW);
	rig_say(&r, ASKED_ALARMS "}", FIRING);
	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		assert_non_null(rig_next(&r));
		assert_int_equal(r.call.wait_ms, waits[i]);
		rig_say(&r, ASKED_HISTORY "}", HISTORY("") LAST);
	}
	rig_harvest(&r);
	assert_string_equal(rig_lines(&r, 0),
			    LINE("00:00:30.000", "a", "arn:a", "ALARM", "null", "snapshot"));
	assert_int_equal(r.data[0].n_rows, 0); /* nobody knows how it was at its start */
	assert_true(rig_row(&r, 1, "a", "alarm")->values[0] == 1);
	rig_done(&r);
}

/* A change of before the cells needs no explanation. */
static void
test_old_changes_are_not_waited_for(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, MINUTE_MS, "{}");
	rig_open(&r, START, 1, NOW);
	rig_pull(&r, METRIC_ALARMS(ALARM("a", "ALARM", "1767225599.999")) LAST, HISTORY("") LAST);
	assert_string_equal(rig_lines(&r, 0), "");
	assert_true(rig_row(&r, 0, "a", "alarm")->values[0] == 1);
	assert_int_equal(r.data[0].n_alarms, 1);
	assert_true(r.data[0].alarms[0].firing);
	assert_int_equal(r.data[0].alarms[0].since_ms, START - 1);
	rig_done(&r);
}

/* ---- how far the history reaches ---- */

static void
test_cells_older_than_the_history_are_a_gap(void **state)
{
	const struct job_gap *gaps;
	struct rig r;

	(void)state;
	rig_init(&r, MINUTE_MS, "{}");
	/* The third cell begins when the history does. */
	rig_open(&r, START - 2 * MINUTE_MS, 4, START + 30 * DAY_MS);
	rig_pull(&r, METRIC_ALARMS(ALARM("a", "ALARM", "1767225601")) LAST,
		 HISTORY(CHANGE("a", "1767225601", "OK", "ALARM")) LAST);
	assert_int_equal(job_alarms.gaps(r.p, &gaps), 1);
	assert_int_equal(gaps[0].from_ms, START - 2 * MINUTE_MS);
	assert_int_equal(gaps[0].to_ms, START);
	assert_false(gaps[0].passes);
	assert_string_equal(gaps[0].reason, "CloudWatch keeps the history of alarms for 30 days");
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(r.data[i].n_rows, 0);
		assert_string_equal(rig_lines(&r, i), "");
	}
	assert_int_equal(r.data[2].n_lines, 1);
	assert_int_equal(r.data[3].n_rows, 3);
	rig_done(&r);
}

static void
test_nothing_is_asked_where_all_cells_are_older(void **state)
{
	const struct job_gap *gaps;
	struct rig r;

	(void)state;
	rig_init(&r, MINUTE_MS, "{}");
	rig_open(&r, START, 2, START + MINUTE_MS + 30 * DAY_MS + 1);
	rig_harvest(&r);
	assert_int_equal(job_alarms.gaps(r.p, &gaps), 1);
	assert_int_equal(gaps[0].to_ms - gaps[0].from_ms, 2 * MINUTE_MS);
	assert_int_equal(r.data[0].n_rows + r.data[1].n_rows, 0);
	assert_int_equal(r.data[1].n_alarms, 0);
	rig_open(&r, START, 1, NOW);
	assert_int_equal(job_alarms.gaps(r.p, &gaps), 0);
	rig_done(&r);
}

/* ---- the kind ---- */

static void
test_the_query_protocol_where_there_is_no_other(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, MINUTE_MS, "{}");
	rig_open(&r, START, 1, NOW);
	rig_say(&r, ASKED_ALARMS "}", NO_ALARMS);
	/* Once it has answered, a refusal is a refusal. */
	assert_int_equal(rig_refuse(&r, 404, "UnknownOperationException"), -1);
	rig_open(&r, START, 1, NOW);
	assert_int_equal(rig_refuse(&r, 404, "UnknownOperationException"), 0);
	rig_say(
	    &r,
	    "Action=DescribeAlarms&Version=2010-08-01&AlarmTypes.member.1=MetricAlarm&"
	    "AlarmTypes.member.2=CompositeAlarm&AlarmTypes.member.3=LogAlarm&MaxRecords=100",
	    "<DescribeAlarmsResponse><DescribeAlarmsResult><MetricAlarms/></DescribeAlarmsResult>"
	    "</DescribeAlarmsResponse>");
	assert_non_null(strstr(rig_next(&r), "Action=DescribeAlarmHistory&"));
	rig_done(&r);
}

static void
test_every_is_a_multiple_of_the_period(void **state)
{
	struct conf_faults *f = conf_faults_new();
	struct rig r;

	(void)state;
	rig_init(&r, 5 * MINUTE_MS, "{period: 150s}");
	assert_int_equal(rig_configure(&r, "{period: 2m}", f), 1);
	assert_non_null(
	    strstr(conf_faults_get(f, 0), "every (5m) is not a multiple of the period (2m)"));
	conf_faults_free(f);
	rig_done(&r);
}

static void
test_a_pull_spans_an_hour(void **state)
{
	static const struct {
		int64_t every_min;
		size_t cells;
	} t[] = {{1, 60}, {5, 12}, {60, 1}, {120, 1}};
	struct rig r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		rig_init(&r, t[i].every_min * MINUTE_MS, "{}");
		assert_int_equal(job_alarms.span_max(&r.s, NULL), t[i].cells);
		rig_done(&r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_snapshot_then_history_up_to_now),
	    cmocka_unit_test(test_the_millisecond_decides),
	    cmocka_unit_test(test_a_state_lasts_through_cells_without_changes),
	    cmocka_unit_test(test_later_changes_tell_how_it_was),
	    cmocka_unit_test(test_composite_and_log_alarms),
	    cmocka_unit_test(test_an_alarm_that_is_made_and_deleted),
	    cmocka_unit_test(test_what_cannot_be_read_is_counted),
	    cmocka_unit_test(test_all_pages_of_both_lists),
	    cmocka_unit_test(test_a_token_that_comes_twice_is_an_error),
	    cmocka_unit_test(test_pages_without_an_end_are_an_error),
	    cmocka_unit_test(test_a_token_that_ran_out),
	    cmocka_unit_test(test_nonsense_is_asked_for_again),
	    cmocka_unit_test(test_what_the_history_does_not_show_yet_is_waited_for),
	    cmocka_unit_test(test_what_the_history_never_shows_is_the_snapshots),
	    cmocka_unit_test(test_old_changes_are_not_waited_for),
	    cmocka_unit_test(test_cells_older_than_the_history_are_a_gap),
	    cmocka_unit_test(test_nothing_is_asked_where_all_cells_are_older),
	    cmocka_unit_test(test_the_query_protocol_where_there_is_no_other),
	    cmocka_unit_test(test_every_is_a_multiple_of_the_period),
	    cmocka_unit_test(test_a_pull_spans_an_hour),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
