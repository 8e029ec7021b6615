"""What `series` must make of the rows of a job: the job's query over the stand-in's events, by its own engine and without cells,
as samples in the shapes that expected.py has.
"""
import calendar
import fnmatch
import os
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "aws"))

from standin.events import Events  # noqa: E402
from standin.insights import compile_query  # noqa: E402


def ms_of(text):
    """2026-01-01 00:00:00.000"""
    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%d %H:%M:%S")) * 1000 + int(text[20:])


def rows(world, job, start, end):
    """(tenant, region, {column: text}) of each row of the window."""
    query, events, places = compile_query(job["query"]), Events(world), {}
    for tenant, group in events.all_groups():
        if any(fnmatch.fnmatchcase(group.name, pattern) for pattern in job["log_groups"]):
            places.setdefault((tenant["id"], tenant["account"], group.region), []).append(group)
    for (tenant, account, region), groups in places.items():
        found = [event for group in groups for event in events.between(group, start * 1000, end * 1000 - 1)]
        result = query.run(found, 0, len(found))
        for row in result.rows:
            yield tenant, account, region, {name: text for name, text in zip(result.names, row) if text is not None}


def samples(world, job, start, end):
    """{labels: {ms: value}}. Two rows of one series and time are a mistake of the test's."""
    series, found = job["series"], {}
    for tenant, account, region, fields in rows(world, job, start, end):
        given = {label: fields[column] for column, label in series["labels"].items() if column in fields}
        ms = ms_of(fields[series["time"]])
        for column, name in series["values"].items():
            if column not in fields:
                continue
            labels = {"__name__": name, "tenant": tenant, "account_id": account, "region": region, **given}
            points = found.setdefault(tuple(sorted(labels.items())), {})
            assert ms not in points, (labels, ms, "twice")
            points[ms] = float(fields[column])
    return found
