/* DescribeAlarms and DescribeAlarmHistory on the wire, both protocols. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "aws/cloudwatch_alarms.h"
#include "base/cleanup.h"
#include "base/timefmt.h"
#include "tests/support/data.h"

#define ARENA ARENA_INIT((size_t)1 << 20)

static void
test_requests_ask_for_all_types_of_alarms(void **state)
{
	struct aws_call call;
	struct err err = {0};

	(void)state;
	aws_call_init(&call, 4096);
	assert_int_equal(cw_alarms_call(CW_JSON, "t\"k", &call, &err), 0);
	assert_string_equal(call.target, "GraniteServiceVersion20100801.DescribeAlarms");
	assert_string_equal(buf_cstr(&call.body),
			    "{\"AlarmTypes\":[\"MetricAlarm\",\"CompositeAlarm\",\"LogAlarm\"],"
			    "\"MaxRecords\":100,\"NextToken\":\"t\\\"k\"}");
	aws_call_reset(&call);
	assert_int_equal(cw_alarm_history_call(CW_JSON, 1767225600250, NULL, &call, &err), 0);
	assert_string_equal(buf_cstr(&call.body),
			    "{\"AlarmTypes\":[\"MetricAlarm\",\"CompositeAlarm\",\"LogAlarm\"],"
			    "\"MaxRecords\":100,\"StartDate\":1767225600.25,\"ScanBy\":"
			    "\"TimestampAscending\"}");
	aws_call_reset(&call);
	assert_int_equal(cw_alarm_history_call(CW_QUERY, 1767225600250, "a b", &call, &err), 0);
	assert_null(call.target);
	assert_string_equal(buf_cstr(&call.body),
			    "Action=DescribeAlarmHistory&Version=2010-08-01&AlarmTypes.member.1="
			    "MetricAlarm&AlarmTypes.member.2=CompositeAlarm&AlarmTypes.member.3="
			    "LogAlarm&MaxRecords=100&StartDate=2026-01-01T00%3A00%3A00.250Z&ScanBy="
			    "TimestampAscending&NextToken=a%20b");
	aws_call_done(&call);
}

static void
test_alarms_of_all_lists_are_read(void **state)
{
	static const char json[] =
	    "{\"CompositeAlarms\":[{\"AlarmName\":\"b\",\"AlarmArn\":\"arn:b\",\"StateValue\":"
	    "\"OK\",\"StateTransitionedTimestamp\":1.76722560025E9}],\"LogAlarms\":[{\"AlarmName\":"
	    "\"c\",\"StateValue\":\"INSUFFICIENT_DATA\"}],\"MetricAlarms\":[{\"AlarmName\":\"a\","
	    "\"StateValue\":\"ALARM\",\"StateReason\":\"r\",\"AlarmDescription\":null}],"
	    "\"NextToken\":\"n\"}";
	static const char xml[] =
	    "<DescribeAlarmsResponse xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\">"
	    "<DescribeAlarmsResult><MetricAlarms><member><AlarmName>a</AlarmName><StateValue>ALARM"
	    "</StateValue><StateReason>r</StateReason></member></MetricAlarms><CompositeAlarms>"
	    "<member><AlarmName>b</AlarmName><AlarmArn>arn:b</AlarmArn><StateValue>OK</StateValue>"
	    "<StateTransitionedTimestamp>2026-01-01T00:00:00.250Z</StateTransitionedTimestamp>"
	    "</member></CompositeAlarms><LogAlarms><member><AlarmName>c</AlarmName><StateValue>"
	    "INSUFFICIENT_DATA</StateValue></member></LogAlarms><NextToken>n</NextToken>"
	    "</DescribeAlarmsResult></DescribeAlarmsResponse>";
	struct arena a = ARENA;
	struct err err = {0};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct cw_alarms_page page;
		struct sv body = sv_of(i ? xml : json);

		assert_int_equal(cw_alarms_read(i ? CW_QUERY : CW_JSON, body, &a, &page, &err), 0);
		assert_int_equal(page.n, 3);
		assert_string_equal(page.alarms[0].name, "a");
		assert_string_equal(page.alarms[0].reason, "r");
		assert_string_equal(page.alarms[0].description, "");
		assert_int_equal(page.alarms[0].since_ms, 0);
		assert_string_equal(page.alarms[1].arn, "arn:b");
		assert_int_equal(page.alarms[1].since_ms, 1767225600250);
		assert_string_equal(page.alarms[2].state, "INSUFFICIENT_DATA");
		assert_string_equal(page.token, "n");
	}
	arena_done(&a);
}

#define ITEM(type, summary, data)                                                                  \
	"{\"AlarmName\":\"a\",\"Timestamp\":1767225600.25,\"HistoryItemType\":\"" type             \
	"\",\"HistorySummary\":\"" summary "\",\"HistoryData\":\"" data "\"}"

static void
test_history_is_read_whatever_shape_it_has(void **state)
{
	static const char *const items[] = {
	    ITEM("StateUpdate", "",
		 "{\\\"oldState\\\":{\\\"stateValue\\\":\\\"OK\\\"},\\\"newState\\\":{"
		 "\\\"stateValue\\\":\\\"ALARM\\\",\\\"stateReason\\\":\\\"why\\\"}}"),
	    ITEM("StateUpdate", "Alarm updated from ALARM to INSUFFICIENT_DATA", "{\\\"oldSt"),
	    ITEM("StateUpdate", "Alarm updated from ALARM to MARS", "{}"),
	    ITEM("ConfigurationUpdate", "", "{\\\"type\\\":\\\"Create\\\"}"),
	    ITEM("ConfigurationUpdate", "Alarm \\\"a\\\" deleted", "["),
	    ITEM("ConfigurationUpdate", "Alarm \\\"a\\\" updated", "{\\\"type\\\":\\\"Update\\\"}"),
	    ITEM("Action", "done", "{}")};
	static const enum cw_alarm_event events[] = {
	    CW_ALARM_STATE,   CW_ALARM_STATE, CW_ALARM_STATE, CW_ALARM_CREATED,
	    CW_ALARM_DELETED, CW_ALARM_OTHER, CW_ALARM_OTHER};
	CLEANUP(buf_done) struct buf json = BUF_INIT(1u << 20);
	struct arena a = ARENA;
	struct cw_alarm_history page;
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(items); i++)
		buf_fmt(&json, "%s%s", i ? "," : "{\"AlarmHistoryItems\":[", items[i]);
	buf_str(&json, "]}");
	assert_int_equal(cw_alarm_history_read(CW_JSON, buf_view(&json), &a, &page, &err), 0);
	assert_int_equal(page.n, ARRAY_LEN(events));
	for (size_t i = 0; i < page.n; i++)
		assert_int_equal(page.items[i].event, events[i]);
	assert_int_equal(page.items[0].ts_ms, 1767225600250);
	assert_string_equal(page.items[0].from, "OK");
	assert_string_equal(page.items[0].to, "ALARM");
	assert_string_equal(page.items[0].reason, "why");
	assert_string_equal(page.items[1].from, "ALARM");
	assert_string_equal(page.items[1].to, "INSUFFICIENT_DATA");
	assert_string_equal(page.items[2].from, "");
	assert_string_equal(page.items[2].to, "");
	assert_null(page.token);
	arena_done(&a);
}

static void
test_nonsense_is_an_error(void **state)
{
	static const char *const bad[] = {
	    "",
	    "[]",
	    "{\"AlarmHistoryItems\":5}",
	    "{\"AlarmHistoryItems\":[{}]}",
	    "{\"AlarmHistoryItems\":[{\"AlarmName\":\"a\"}]}",
	    "{\"AlarmHistoryItems\":[{\"AlarmName\":\"a\",\"Timestamp\":1e300}]}",
	    "{\"AlarmHistoryItems\":[{\"AlarmName\":\"a\",\"Timestamp\":\"noon\"}]}"};
	struct arena a = ARENA;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct cw_alarm_history page;
		struct err err = {0};

		assert_int_equal(cw_alarm_history_read(CW_JSON, sv_of(bad[i]), &a, &page, &err),
				 -1);
		assert_int_equal(err.kind, ERR_DATA);
	}
	for (size_t i = 0; i < 4; i++) {
		static const char *const pages[] = {
		    "{\"MetricAlarms\":[{}]}", "<A/>",
		    "{\"MetricAlarms\":[],\"NextToken\":5}", /* there would be no other page */
		    "{\"MetricAlarms\":[],\"NextToken\":\"a\\u0000b\"}"};
		struct cw_alarms_page page;
		struct err err = {0};

		assert_int_equal(
		    cw_alarms_read(i == 1 ? CW_QUERY : CW_JSON, sv_of(pages[i]), &a, &page, &err),
		    -1);
		assert_int_equal(err.kind, ERR_DATA);
	}
	arena_done(&a);
}

/* A recorded answer in one of the protocols. */
static void
read_recorded(const char *folder, const char *file, struct buf *out)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "aws/recorded/monitoring.%s/%s", folder, file);
	buf_done(out);
	data_read(path, out);
}

static json_t *
parse_recorded(const char *folder)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "aws/recorded/monitoring.%s/parsed.json", folder);
	return data_json(path);
}

static int64_t
recorded_ms(const json_t *obj, const char *key)
{
	int64_t ms = 0;

	if (*data_str(obj, key))
		assert_true(time_parse_iso(sv_of(data_str(obj, key)), &ms));
	return ms;
}

static void
test_recorded_alarms(void **state)
{
	static const char *const folders[] = {
	    "DescribeAlarms/cli-describe-alarms__1",
	    "DescribeAlarms/test_alarm_add_tags__1",
	    "DescribeAlarms/test_alarm_delete__1",
	    "DescribeAlarms/test_alarm_delete__2",
	    "DescribeAlarms/test_delete_composite_alarms__1",
	    "DescribeAlarms/test_log_group_log_metric_filter_alarm__1"};
	static const char *const lists[] = {"MetricAlarms", "CompositeAlarms"};
	CLEANUP(buf_done) struct buf body = BUF_INIT((size_t)1 << 20);
	struct arena a = ARENA;
	size_t seen = 0;

	(void)state;
	data_or_skip();
	for (size_t i = 0; i < 2 * ARRAY_LEN(folders); i++) {
		json_t *want = parse_recorded(folders[i / 2]);
		struct cw_alarms_page page;
		struct err err = {0};
		size_t at = 0;

		read_recorded(folders[i / 2], i % 2 ? "body.query.xml" : "body.json", &body);
		if (cw_alarms_read(i % 2 ? CW_QUERY : CW_JSON, buf_view(&body), &a, &page, &err))
			fail_msg("%s: %s", folders[i / 2], err.msg);
		for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
			const json_t *list = json_object_get(want, lists[k]);

			for (size_t m = 0; m < json_array_size(list); m++, at++) {
				const json_t *one = json_array_get(list, m);

				assert_true(at < page.n);
				assert_string_equal(page.alarms[at].name,
						    data_str(one, "AlarmName"));
				assert_string_equal(page.alarms[at].arn, data_str(one, "AlarmArn"));
				assert_string_equal(page.alarms[at].state,
						    data_str(one, "StateValue"));
				assert_string_equal(page.alarms[at].reason,
						    data_str(one, "StateReason"));
				assert_int_equal(page.alarms[at].since_ms,
						 recorded_ms(one, "StateTransitionedTimestamp"));
			}
		}
		assert_int_equal(page.n, at);
		seen += at;
		json_decref(want);
	}
	assert_true(seen >= 10);
	arena_done(&a);
}

static void
test_recorded_history(void **state)
{
	static const char *const folders[] = {"DescribeAlarmHistory/cli-describe-alarm-history__1",
					      "DescribeAlarmHistory/from-events"};
	CLEANUP(buf_done) struct buf body = BUF_INIT((size_t)1 << 20);
	struct arena a = ARENA;

	(void)state;
	data_or_skip();
	for (size_t i = 0; i < 2 * ARRAY_LEN(folders); i++) {
		json_t *want = parse_recorded(folders[i / 2]);
		const json_t *list = json_object_get(want, "AlarmHistoryItems");
		struct cw_alarm_history page;
		struct err err = {0};

		read_recorded(folders[i / 2], i % 2 ? "body.query.xml" : "body.json", &body);
		if (cw_alarm_history_read(i % 2 ? CW_QUERY : CW_JSON, buf_view(&body), &a, &page,
					  &err))
			fail_msg("%s: %s", folders[i / 2], err.msg);
		assert_int_equal(page.n, json_array_size(list));
		for (size_t k = 0; k < page.n; k++) {
			const json_t *one = json_array_get(list, k);
			char words[128];

			assert_string_equal(page.items[k].name, data_str(one, "AlarmName"));
			assert_int_equal(page.items[k].ts_ms, recorded_ms(one, "Timestamp"));
			assert_int_equal(page.items[k].event, CW_ALARM_STATE);
			(void)snprintf(words, sizeof(words), "Alarm updated from %s to %s",
				       page.items[k].from, page.items[k].to);
			assert_string_equal(words, data_str(one, "HistorySummary"));
			assert_true(*page.items[k].reason);
		}
		json_decref(want);
	}
	arena_done(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_requests_ask_for_all_types_of_alarms),
	    cmocka_unit_test(test_alarms_of_all_lists_are_read),
	    cmocka_unit_test(test_history_is_read_whatever_shape_it_has),
	    cmocka_unit_test(test_nonsense_is_an_error),
	    cmocka_unit_test(test_recorded_alarms),
	    cmocka_unit_test(test_recorded_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
