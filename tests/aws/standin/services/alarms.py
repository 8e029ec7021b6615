"""CloudWatch alarms: DescribeAlarms and DescribeAlarmHistory, over JSON 1.0 and Query."""
import json

from ..errors import invalid

PAGE = 100
KEPT = 30 * 86400 * 1000  # milliseconds of history
TYPES = ("MetricAlarm", "CompositeAlarm", "LogAlarm")
ITEMS = ("ConfigurationUpdate", "StateUpdate", "Action", "AlarmContributorStateUpdate", "AlarmContributorAction")


def describe_alarms(service, call):
    names, prefix = call.params.get("AlarmNames"), call.text("AlarmNamePrefix")
    if names and prefix is not None:
        raise invalid("AlarmNames and AlarmNamePrefix cannot be used together.", "InvalidParameterCombination")
    state = call.text("StateValue")
    position, now = _begin(service, call)
    found = []
    for alarm in _chosen(service, call):
        known = service.standin.alarms.state(alarm, now)
        if known and state in (None, known[0]) and (not names or alarm.name in names) \
                and alarm.name.startswith(prefix or ""):
            found.append((alarm, known))
    page, token = _page(service, call, found, position, now, 50)
    lists = {f"{kind}s": [_alarm(*one) for one in page if one[0].kind == kind] for kind in TYPES}
    return {**lists, **token}


def _alarm(alarm, known):
    state, since, reason = known
    row = {"AlarmName": alarm.name, "AlarmArn": alarm.arn, "AlarmDescription": f"about {alarm.name}",
           "ActionsEnabled": True, "StateValue": state, "StateReason": reason, "StateUpdatedTimestamp": since / 1000,
           "StateTransitionedTimestamp": since / 1000}
    if alarm.kind == "CompositeAlarm":
        return {**row, "AlarmRule": alarm.detail[0]}
    if alarm.kind == "LogAlarm":
        return row
    return {**row, "MetricName": "CPUUtilization", "Namespace": "AWS/ECS", "Statistic": "Average", "Period": 60,
            "Dimensions": [{"Name": name, "Value": value} for name, value in alarm.detail],
            "EvaluationPeriods": 3, "Threshold": 80.0, "ComparisonOperator": "GreaterThanThreshold"}


def describe_alarm_history(service, call):
    kind, wanted = call.text("HistoryItemType"), call.text("AlarmName")
    if kind is not None and kind not in ITEMS:
        raise invalid(f"The value {kind} for parameter HistoryItemType is not supported.")
    position, now = _begin(service, call)
    seen = now - service.standin.world["alarm_history_delay"] * 1000
    start = max(int(call.instant("StartDate") * 1000) if "StartDate" in call.params else 0, now - KEPT)
    end = min(int(call.instant("EndDate") * 1000) if "EndDate" in call.params else seen, seen)
    items = [item for alarm in _chosen(service, call) if wanted in (None, alarm.name)
             for item in _items(service, alarm, start, end + 1) if kind in (None, item["HistoryItemType"])]
    order = call.text("ScanBy") or "TimestampDescending"
    if order not in ("TimestampDescending", "TimestampAscending"):
        raise invalid(f"The value {order} for parameter ScanBy is not supported.")
    items.sort(key=lambda item: (item["Timestamp"], item["AlarmName"]), reverse=order == "TimestampDescending")
    page, token = _page(service, call, items, position, now, PAGE)
    return {"AlarmHistoryItems": page, **token}


def _items(service, alarm, start, end):
    """What the history has of one alarm in [start, end)."""
    for ms, word, kind in ((alarm.since, "created", "Create"), (alarm.until, "deleted", "Delete")):
        if ms is not None and start <= ms < end:
            yield _item(alarm, ms, "ConfigurationUpdate", f'Alarm "{alarm.name}" {word}', {"type": kind})
    for change in service.standin.alarms.changes(alarm, start, end):
        yield _item(alarm, change.ms, "StateUpdate", f"Alarm updated from {change.old} to {change.new}", {
            "oldState": {"stateValue": change.old, "stateReason": "whatever it was"},
            "newState": {"stateValue": change.new, "stateReason": change.reason}})
        if change.new == "ALARM":
            yield _item(alarm, change.ms, "Action", "Successfully executed action arn:aws:sns:x", {"actionState": "Succeeded"})


def _item(alarm, ms, kind, summary, data):
    return {"AlarmName": alarm.name, "AlarmType": alarm.kind, "Timestamp": ms / 1000, "HistoryItemType": kind,
            "HistorySummary": summary, "HistoryData": json.dumps({"version": "1.0", **data})}


def _chosen(service, call):
    types = call.params.get("AlarmTypes") or ["MetricAlarm"]  # left out, only these
    if not isinstance(types, list) or not set(types) <= set(TYPES):
        raise invalid(f"The value {types} for parameter AlarmTypes is not supported.")
    return [alarm for alarm in service.standin.alarms.of(call.account, call.region) if alarm.kind in types]


def _begin(service, call):
    """Where the page begins, and the moment that all pages see."""
    position = service.pager.position(call) or {"at": 0, "now": int(service.standin.clock.data() * 1000)}
    call.token = position
    return position, position["now"]


def _page(service, call, found, position, now, usual):
    most, at = call.whole("MaxRecords", usual, 1, PAGE), position["at"]
    more = at + most < len(found)
    return found[at:at + most], {"NextToken": service.pager.token(call, {"at": at + most, "now": now})} if more else {}


operations = {"DescribeAlarms": describe_alarms, "DescribeAlarmHistory": describe_alarm_history}
