/*
 * CloudWatch alarms: DescribeAlarms and DescribeAlarmHistory, in AWS JSON 1.0 and in Query.
 *
 * Both are asked for all three types of alarms (left out, the service answers with metric alarms
 * only), and the history oldest first. Answers are read into an arena, whole or not at all. Sizes
 * of names and texts are the API reference's and not relied on.
 */
#ifndef MUSTER_AWS_CLOUDWATCH_ALARMS_H
#define MUSTER_AWS_CLOUDWATCH_ALARMS_H

#include "aws/cloudwatch.h"

#define CW_ALARMS_MAX	     100 /* alarms, or items of history, on a page (service limit) */
#define CW_ALARM_HISTORY_DAYS 30 /* how long history is kept (API reference of DescribeAlarmHistory) */

struct cw_alarm {
	const char *name, *arn;
	const char *state; /* OK, ALARM, INSUFFICIENT_DATA */
	const char *reason, *description; /* "" if none */
	int64_t since_ms; /* StateTransitionedTimestamp; 0 if it is not told */
};
struct cw_alarms_page {
	struct cw_alarm *alarms;
	size_t n;
	const char *token; /* NULL: the last page */
};

enum cw_alarm_event {
	CW_ALARM_STATE,	  /* from, to, reason; from and to are "" where the item cannot be read */
	CW_ALARM_CREATED,
	CW_ALARM_DELETED,
	CW_ALARM_OTHER, /* actions, contributors, changes of the definition */
};
struct cw_alarm_item {
	const char *name;
	int64_t ts_ms;
	enum cw_alarm_event event;
	const char *from, *to, *reason;
};
struct cw_alarm_history {
	struct cw_alarm_item *items;
	size_t n;
	const char *token;
};

/* The protocol to ask in: what of cloudwatch.h's this service's alarms are read in here. */
enum cw_proto cw_alarms_proto(const char *region);
/* Does this refusal of a call in `p` say that there is only the Query protocol? The region is remembered as such then. */
bool cw_alarms_no_json(enum cw_proto p, const char *region, const struct http_resp *resp, const struct err *err);
/* Fill *call (reset before). token NULL: the first page. */
int cw_alarms_call(enum cw_proto p, const char *token, struct aws_call *call, struct err *err);
/* From start_ms up to the service's present. */
int cw_alarm_history_call(enum cw_proto p, int64_t start_ms, const char *token, struct aws_call *call, struct err *err);
/* Read a 2xx answer; whatever *ret points to lives in the arena. ERR_DATA says where and what. */
int cw_alarms_read(enum cw_proto p, struct sv body, struct arena *a, struct cw_alarms_page *ret, struct err *err);
int cw_alarm_history_read(enum cw_proto p, struct sv body, struct arena *a, struct cw_alarm_history *ret, struct err *err);

#endif
