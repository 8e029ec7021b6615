"""What the stand-in's alarms have to become: lines of the lake, and series; and the lines that are there."""
import json
import os

import arrivals
from expected import lake_key, rfc3339
from standin.alarms import Alarms

EVERY = DELAY = 60
STATES = {"OK": "ok", "ALARM": "alarm", "INSUFFICIENT_DATA": "insufficient_data"}
FIELDS = ["ts", "tenant", "account_id", "region", "job", "alarm", "arn", "state", "previous_state", "reason", "labels"]


def expected_lines(world, start, end):
    """{lake key: its lines in order}"""
    found = {}
    for tenant, alarm in Alarms(world).all():
        for change in Alarms(world).changes(alarm, start * 1000, end * 1000):
            cell = change.ms // 1000 // EVERY * EVERY
            row = {"ts": f"{rfc3339(change.ms // 1000)}.{change.ms % 1000:03d}Z", "tenant": tenant["id"],
                   "account_id": tenant["account"], "region": alarm.region, "job": "alarms", "alarm": alarm.name,
                   "arn": alarm.arn, "state": change.new, "previous_state": change.old, "reason": change.reason,
                   "labels": {"alarm": alarm.name, **tenant.get("labels", {})}}
            key = lake_key("alarms", tenant["id"], alarm.region, cell, cell + EVERY)
            found.setdefault(key, []).append(row)
    return {key: sorted(rows, key=lambda row: (row["ts"], row["alarm"])) for key, rows in found.items()}


def expected_samples(world, start, end):
    found = {}
    alarms = Alarms(world)
    for tenant, alarm in alarms.all():
        for second in range(start, end, 60):
            known = alarms.state(alarm, second * 1000)
            for state, word in STATES.items() if known else ():
                labels = {**tenant.get("labels", {}), "__name__": "aws_cloudwatch_alarm_state", "alarm": alarm.name,
                          "state": word, "tenant": tenant["id"], "account_id": tenant["account"],
                          "region": alarm.region}
                series = found.setdefault(tuple(sorted(labels.items())), {})
                series[second * 1000] = float(known[0] == state)
    return found


def lines_in(folder):
    found = {}
    for key in arrivals.lake_keys(folder):
        rows = [json.loads(line) for line in arrivals.unpack(os.path.join(folder, key)).splitlines()]
        for row in rows:
            if list(row) != FIELDS:
                raise arrivals.Malformed(f"{key}: fields {list(row)}")
        found[key] = rows
    return found
