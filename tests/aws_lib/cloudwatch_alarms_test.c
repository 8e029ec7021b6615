/* DescribeAlarms and DescribeAlarmHistory on the wire, both protocols. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "aws/cloudwatch_alarms.h"
#include "base/cleanup.h"

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
	static const char json[] = "{\"AlarmHistoryItems\":[" ITEM(
	    "StateUpdate", "",
	    "{\\\"oldState\\\":{\\\"stateValue\\\":\\\"OK\\\"},"
	    "\\\"newState\\\":{\\\"stateValue\\\":\\\"ALARM\\\",\\\"stateReason\\\":"
	    "\\\"why\\\"}}") "," ITEM("StateUpdate",
				      "Alarm updated from ALARM to INSUFFICIENT_DATA",
				      "{\\\"oldSt") "," ITEM("StateUpdate",
							     "Alarm updated from ALARM to "
							     "MARS",
							     "{}") "," ITEM("ConfigurationU"
									    "pdate",
									    "",
									    "{\\\"type\\\":"
									    "\\\"Create\\\""
									    "}") "," ITEM("Configur"
											  "ationUpd"
											  "ate",
											  "Alarm "
											  "\\\"a\\"
											  "\" "
											  "deleted",
											  "[") "," ITEM("ConfigurationUpdate",
													"Alarm \\\"a\\\" updated",
													"{\\\"type\\\":\\\"Update\\\"}") "," ITEM("Action",
																		  "done",
																		  "{}") "]}";
	static const enum cw_alarm_event events[] = {
	    CW_ALARM_STATE,   CW_ALARM_STATE, CW_ALARM_STATE, CW_ALARM_CREATED,
	    CW_ALARM_DELETED, CW_ALARM_OTHER, CW_ALARM_OTHER};
	struct arena a = ARENA;
	struct cw_alarm_history page;
	struct err err = {0};

	(void)state;
	assert_int_equal(cw_alarm_history_read(CW_JSON, sv_of(json), &a, &page, &err), 0);
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
	for (size_t i = 0; i < 2; i++) {
		struct cw_alarms_page page;
		struct err err = {0};

		assert_int_equal(cw_alarms_read(i ? CW_QUERY : CW_JSON,
						sv_of(i ? "<A/>" : "{\"MetricAlarms\":[{}]}"), &a,
						&page, &err),
				 -1);
		assert_int_equal(err.kind, ERR_DATA);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
