#!/usr/bin/python3
"""Tests of the stand-in's CloudWatch Logs: the query language, queries from start to end, and boto3 as the client."""
import collections
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from http.client import HTTPException

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

import boto3  # noqa: E402
from botocore.config import Config  # noqa: E402

from standin.events import Events  # noqa: E402
from standin.faults import KINDS  # noqa: E402
from standin.insights import QueryError, compile_query  # noqa: E402
from standin.world import World, generate  # noqa: E402
from testing import NOW, REGION, START, Case, Daemon  # noqa: E402

DENSE = (START + 600) * 1000 + 250
FIRST = "/ecs/app-api"
EXACT = "filter toMillis(@timestamp) >= {} and toMillis(@timestamp) < {}\n| fields @timestamp, @logStream, @message"
LOGS = {"rate": 2.0, "more_groups": 60, "huge": 0.0001, "bursts": [
    {"at": DENSE, "events": 3000, "within": 1000}, {"at": DENSE + 60_000, "events": 12_000, "within": 1}]}


class FakeEvent:
    """An event that says what a test wants it to."""

    def __init__(self, ordinal, ms, message):
        self.ordinal = self.word = ordinal
        self.ms = self.ingested = ms
        self.message = message
        self.stream = "s"
        self.pointer = f"p{ordinal}"
        self.group = type("Group", (), {"account": "1", "name": "/g"})


class Language(unittest.TestCase):
    """The query language by itself."""

    def rows(self, query, *messages, java=False):
        """The rows of a query over messages that are a second apart, as dictionaries."""
        events = [FakeEvent(number, number * 1000, message) for number, message in enumerate(messages)]
        self.result = compile_query(query).run(events, 1, 10_000, java)
        return [{name: value for name, value in zip(self.result.names, row) if value is not None}
                for row in self.result.rows]

    def kept(self, condition, *messages):
        """The numbers of the messages that a filter lets through."""
        rows = self.rows(f"filter {condition} | fields toMillis(@timestamp) / 1000 as n | sort n", *messages)
        return [int(row["n"]) for row in rows]

    def value(self, expression, message="{}", java=False):
        return self.rows(f"fields {expression} as v | display v", message, java=java)[0].get("v")

    def test_what_is_shown(self):
        message = '{"a": 1.50, "b": {"c": ["x", true]}, "d-e": null}'
        self.assertEqual(self.rows("filter 1 = 1", message), [{"@timestamp": "1970-01-01 00:00:00.000",
                                                               "@message": message, "@ptr": "p0"}])
        self.assertEqual(self.rows("fields a, b.c.0, b.c.1, `d-e`, @log", message),
                         [{"a": "1.5", "b.c.0": "x", "b.c.1": "1", "@log": "1:/g", "@ptr": "p0"}])
        self.assertEqual(self.rows("fields a | display a + 1, b.c.0 as x", message),
                         [{"a + 1": "2.5", "x": "x", "@ptr": "p0"}])
        self.assertEqual(self.rows("fields tolower(L) as L, L as m", '{"L": "X"}'),
                         [{"L": "x", "m": "x", "@ptr": "p0"}])

    def test_comparisons(self):
        messages = ('{"n": 9}', '{"n": "10"}', '{"n": "abc"}', "text")
        for condition, kept in (("n < 10", [0]), ("n <= '10'", [0, 1]), ("n > 9", [1, 2]), ("n = 10", [1]),
                                ("n != 10", [0, 2, 3]), ("n in [9, 'abc']", [0, 2]), ("n not in [9]", [1, 2, 3]),
                                ("ispresent(n) and not n = 9", [1, 2]), ("n = 9 or n like 'b'", [0, 2]),
                                ("n like /^a.c$/", [2]), ("@message =~ /EXT/", []), ("@message =~ /(?i)EXT/", [3]),
                                ("n not like 'b'", [0, 1, 3]), ("strlen(@message) = 4", [3]),
                                ("toMillis(@timestamp) >= 1000 AND toMillis(@timestamp) < 3000", [1, 2])):
            self.assertEqual(self.kept(condition, *messages), kept, condition)

    def test_expressions(self):
        for expression, value in (("1 + 2 * 3 ^ 2", "19"), ("(1 + 2) * -3", "-9"), ("7 / 2", "3.5"), ("7 % 4", "3"),
                                  ("1 / 0", None), ("a + 1", None), ("concat('a', 1, b)", "a1"),
                                  ("coalesce(x, 'y')", "y"), ("substr('hello', 1, 3)", "ell"), ("abs(-2.5)", "2.5"),
                                  ("replace('a.b', '.', '-')", "a-b"), ("strcontains('abc', 'b')", "1"),
                                  ("fromMillis(1500)", "1970-01-01 00:00:01.500"),
                                  ("bin(5m)", "1970-01-01 00:00:00.000"),
                                  ("datefloor(fromMillis(3725999), 1m)", "1970-01-01 01:02:00.000"),
                                  ("greatest(2, 10, 9)", "10"), ("'it\\'s'", "it's")):
            self.assertEqual(self.value(expression), value, expression)
        self.assertEqual(self.value("1767225600123", java=True), "1.767225600123E12")

    def test_bins_are_capped_without_a_word(self):
        messages = ["x"] * 600
        self.assertEqual(len(self.rows("stats count(*) by bin(300s)", *messages)), 10)
        self.assertEqual(len(self.rows("stats count(*) by bin(5m)", *messages)), 2)

    def test_stats(self):
        messages = [json.dumps({"k": number % 2, "v": number}) for number in range(10)] + ["no json"]
        rows = self.rows("stats count(*) as n, count(v), sum(v) as s, avg(v), min(v), max(v), pct(v, 50) as p, "
                         "count_distinct(k), earliest(v) as e, latest(v) as l, max(v) - min(v) as span by k "
                         "| sort k desc", *messages)
        self.assertEqual(rows[0], {"k": "1", "n": "5", "count(v)": "5", "s": "25", "avg(v)": "5", "min(v)": "1",
                                   "max(v)": "9", "p": "5", "count_distinct(k)": "1", "e": "1", "l": "9", "span": "8"})
        self.assertEqual(rows[2], {"n": "1", "count(v)": "0", "count_distinct(k)": "0"})
        self.assertEqual(self.result.matched, 11)
        twice = self.rows("stats count(*) as n by k, bin(5s) | stats max(n) as most, count(*) by k | sort k", *messages)
        self.assertEqual(twice[1:], [{"k": "0", "most": "3", "count(*)": "2"},
                                     {"k": "1", "most": "3", "count(*)": "2"}])
        self.assertEqual(self.rows("filter v > 100 | stats count(*)", *messages), [])

    def test_order_limit_and_dedup(self):
        messages = [json.dumps({"v": number, "k": number // 2}) for number in range(6)]
        self.assertEqual([row["v"] for row in self.rows("fields v", *messages)], list("543210"))
        rows = self.rows("fields v | sort @timestamp asc | limit 2", *messages)
        self.assertEqual([row["v"] for row in rows], ["0", "1"])
        self.assertEqual(self.result.matched, 6)
        self.assertEqual([row["v"] for row in self.rows("fields v | sort k, v desc", *messages)], list("103254"))
        self.assertEqual([row["v"] for row in self.rows("fields v | dedup k", *messages)], list("531"))

    def test_equal_ranks_are_in_an_order_of_the_seeds(self):
        events = [FakeEvent(number, 0, str(number)) for number in range(50)]
        query = compile_query("fields @message")
        orders = {tuple(query.run(events, seed, 100).rows) for seed in (1, 2**40 + 7, 2**63 + 5)}
        self.assertEqual(len(orders), 3)
        self.assertEqual(len({tuple(sorted(rows)) for rows in orders}), 1)

    def test_parse(self):
        message = 'user=eve, "GET /x HTTP/1.1" 200 [a | b]'
        self.assertEqual(self.rows('parse @message "user=*, \\"* *\\" * [*" as u, m, p, s, t | display u, m, p, s, t',
                                   message, "other"),
                         [{"@ptr": "p1"}, {"u": "eve", "m": "GET", "p": "/x HTTP/1.1", "s": "200", "t": "a | b]",
                                           "@ptr": "p0"}])
        query = r"parse /user=(?<user>\w+)[^\/]*(?<path>\/\w)/ | display user, path # as it is"
        self.assertEqual(self.rows(query, message), [{"user": "eve", "path": "/x", "@ptr": "p0"}])
        self.assertEqual(self.rows("parse '* *' as a, b", "x y"), [
            {"@timestamp": "1970-01-01 00:00:00.000", "@message": "x y", "a": "x", "b": "y", "@ptr": "p0"}])

    def test_source(self):
        query = compile_query("SOURCE logGroups(namePrefix: ['/a', \"/b\"], class: 'STANDARD') | limit 3")
        self.assertEqual((query.source, query.limit), ({"namePrefix": ["/a", "/b"], "class": ["STANDARD"]}, 3))

    def test_what_does_not_compile(self):
        for text in ("fields", "filter x >", "fields ~", "stats foo(x)", "stats a", "nonsense",
                     "limit 5 | stats count(*)",
                     "stats count(*) | " * 2 + "stats count(*)", "filter m like /[/", "parse '* *' as a", "fields a b",
                     "SOURCE logGroups(namePrefix: ['1', '2', '3', '4', '5', '6'])", "filter x not 5"):
            with self.assertRaises(QueryError, msg=text):
                compile_query(text)


class LogsCase(Case):
    flags = ("--logs-query-ms", 0)

    @classmethod
    def document(cls):
        world = generate(2, 7, [REGION], 2, epoch=START, logs=LOGS)
        groups = world["tenants"][0]["regions"][REGION]["log_groups"]
        groups.append({"name": "/ecs/young", "created": (NOW - 600) * 1000, "rate": 1.0})
        return world

    def setUp(self):
        super().setUp()
        self.keys = self.session()
        self.events = Events(self.world)
        self.group = self.events.groups(self.tenant["account"], REGION)[FIRST]

    def start(self, query, start=START, end=NOW, **more):
        groups = {} if "SOURCE" in query or any("logGroup" in name for name in more) else {"logGroupName": FIRST}
        return self.logs("StartQuery", self.keys, {"startTime": start, "endTime": end, "queryString": query, **groups,
                                                   **more})

    def results(self, query, **more):
        """(rows, the answer) of a query that is complete."""
        status, _, answer = self.start(query, **more)
        self.assertEqual(status, 200, answer)
        answer = self.wait(answer["queryId"])
        self.assertEqual(answer["status"], "Complete")
        return [{cell["field"]: cell["value"] for cell in row} for row in answer["results"]], answer

    def wait(self, identity):
        while True:
            answer = self.logs("GetQueryResults", self.keys, {"queryId": identity})[2]
            if answer["status"] not in ("Scheduled", "Running"):
                return answer
            time.sleep(0.01)

    def truth(self, start, end):
        """[(ms, stream, message)] of the first group, both inclusive."""
        return [(event.ms, event.stream, event.message) for event in self.events.between(self.group, start, end)]

    def refused(self, code, answer):
        self.assertEqual((answer[0], answer[2]["__type"].rpartition("#")[2]), (400, code), answer[2])
        self.assertNotIn("x-amzn-query-error", answer[1])
        return answer[2]


class Data(LogsCase):
    """The events by themselves."""

    def test_bursts_are_where_they_should_be(self):
        self.assertGreaterEqual(len(self.truth(DENSE, DENSE + 999)), 3000)
        self.assertGreaterEqual(len(self.truth(DENSE + 60_000, DENSE + 60_000)), 12_000)

    def test_the_rate_is_about_what_was_asked_for(self):
        events = self.truth(START * 1000, (START + 600) * 1000 - 1)
        self.assertAlmostEqual(len(events) / 600, 2.0, delta=0.2)

    def test_everything_awkward_occurs(self):
        texts = [message for _, _, message in self.truth(START * 1000, (START + 800) * 1000)]
        for part in ("\n\tat ", "\x00", "\x1b", "\u2028", "𝔘", "שלום", '"level":"error"', " "):
            self.assertTrue(any(part in text for text in texts), ascii(part))
        self.assertEqual(max(map(len, texts)), 1_000_000)
        counts = collections.Counter(self.truth(START * 1000, (START + 800) * 1000))
        self.assertGreater(counts.most_common(1)[0][1], 1)  # one event, word for word, twice
        times = collections.Counter(ms for ms, _, _ in self.truth(START * 1000, (START + 600) * 1000 - 1))
        self.assertGreater(times.most_common(1)[0][1], 1)

    def test_late_events_are_seen_later(self):
        world = World({**self.world.document, "log_late_rate": 0.5, "log_late_max": 100})
        events, now = Events(world), (START + 60) * 1000
        group = events.groups(self.tenant["account"], REGION)[FIRST]
        everything = list(events.between(group, START * 1000, now))
        seen = list(events.between(group, START * 1000, now, now))
        later = list(events.between(group, START * 1000, now, now + 200_000))
        self.assertLess(len(seen), len(everything) * 0.9)
        self.assertEqual(len(later), len(everything))


class Queries(LogsCase):
    def test_ends_are_inclusive_by_the_millisecond(self):
        second = DENSE // 1000
        rows, answer = self.results("fields toMillis(@timestamp) as ms", start=second - 5, end=second)
        expected = self.truth((second - 5) * 1000, second * 1000)
        self.assertEqual(sorted(int(row["ms"]) for row in rows), [ms for ms, _, _ in expected])
        self.assertEqual(answer["statistics"]["recordsMatched"], len(expected))
        self.assertEqual(answer["statistics"]["recordsScanned"], len(expected))

    def test_exact_cells_give_the_truth(self):
        found = []
        for cell in range(START, START + 300, 60):
            rows, answer = self.results(EXACT.format(cell * 1000, (cell + 60) * 1000), start=cell, end=cell + 60)
            self.assertEqual(answer["statistics"]["recordsMatched"], len(rows))
            times = [row["@timestamp"] for row in rows]
            self.assertEqual(times, sorted(times, reverse=True))
            found += [(row["@timestamp"], row["@logStream"], row["@message"]) for row in rows]
        expected = self.truth(START * 1000, (START + 300) * 1000 - 1)
        self.assertEqual(sorted(row[1:] for row in found), sorted(row[1:] for row in expected))
        self.assertEqual(self.violations(), 0)

    def test_the_cap(self):
        second = (DENSE + 60_000) // 1000
        rows, answer = self.results("fields @message", start=second, end=second + 1)
        self.assertEqual(len(rows), 10_000)
        self.assertGreater(answer["statistics"]["recordsMatched"], 12_000)
        self.assertEqual(len({row["@ptr"] for row in rows}), 10_000)
        self.assertNotIn("nextToken", answer)
        self.assertEqual(len(self.results("fields @message | limit 7", limit=9)[0]), 7)
        self.assertEqual(len(self.results("fields @message", limit=9)[0]), 9)

    def test_groups_by_name_by_arn_and_by_source(self):
        arn = f"arn:aws:logs:{REGION}:{self.tenant['account']}:log-group:/ecs/edge"
        count = "stats count(*) as n by @log | sort @log"
        rows, answer = self.results(count, logGroupIdentifiers=[FIRST, arn], end=START + 300)
        self.assertEqual([row["@log"].partition(":")[2] for row in rows], [FIRST, "/ecs/edge"])
        self.assertEqual(answer["statistics"]["logGroupsScanned"], 2)
        rows, _ = self.results(f"SOURCE logGroups(namePrefix: ['/ecs/app-']) | {count}", end=START + 300)
        self.assertEqual(len(rows), 2)
        self.assertNotIn("@ptr", rows[0])
        self.refused("ResourceNotFoundException", self.start("fields a", logGroupName="/none"))
        self.refused("InvalidParameterException", self.start("fields a", logGroupIdentifiers=[arn + ":*"]))
        self.refused("InvalidParameterException", self.start("fields a", logGroupNames=[FIRST] * 51))
        self.refused("InvalidParameterException", self.start("SOURCE logGroups() | limit 1", logGroupName=FIRST))

    def test_what_aws_refuses_is_refused(self):
        body = self.refused("MalformedQueryException", self.start("fields @timestamp | nonsense"))
        self.assertEqual(body["queryCompileError"]["location"], {"startCharOffset": 20, "endCharOffset": 28})
        self.refused("InvalidParameterException", self.start("fields a", start=NOW, end=START))
        self.refused("InvalidParameterException", self.start("fields a", limit=10_001))
        self.refused("MalformedQueryException", self.start("fields a | limit 10001"))
        self.refused("InvalidParameterException", self.start("fields a" + " " * 10_000))
        self.refused("MalformedQueryException", self.start("fields a", logGroupName="/ecs/young", end=NOW - 700))
        self.refused("ResourceNotFoundException", self.logs("GetQueryResults", self.keys, {"queryId": "x"}))

    def test_another_tenant_sees_nothing_of_it(self):
        identity = self.start("fields a")[2]["queryId"]
        other = self.session(self.world.tenants[1])
        self.refused("ResourceNotFoundException", self.logs("GetQueryResults", other, {"queryId": identity}))

    def test_task_usage(self):
        query = 'filter Type = "Task" | stats avg(CpuUtilized) as cpu by bin(1m) as t, ServiceName, TaskId'
        rows, _ = self.results(query, logGroupName="/aws/ecs/containerinsights/shop-1/performance", end=START + 599)
        tasks = {row["TaskId"] for row in rows}
        self.assertEqual(len(rows), 10 * len(tasks))
        self.assertEqual(self.violations(), 0)

    def test_fates(self):
        for kind, status in (("query-failed", "Failed"), ("query-timeout", "Timeout")):
            self.faults({"match": {"operation": "StartQuery", "resource": FIRST}, "kind": kind, "times": 1})
            self.assertEqual(self.wait(self.start("fields a")[2]["queryId"])["status"], status)
        self.faults({"kind": "query-stuck", "times": 1})
        stuck = self.start("fields a")[2]["queryId"]
        self.assertEqual(self.logs("GetQueryResults", self.keys, {"queryId": stuck})[2]["status"], "Running")
        self.assertEqual(self.logs("StopQuery", self.keys, {"queryId": stuck})[2], {"success": True})
        self.refused("InvalidParameterException", self.logs("StopQuery", self.keys, {"queryId": stuck}))
        self.assertEqual(self.wait(stuck)["status"], "Cancelled")
        self.faults({"kind": "query-short", "times": 1})
        rows, answer = self.results("fields @message", end=START + 300)
        self.assertGreater(answer["statistics"]["recordsMatched"], len(rows))
        self.faults({"kind": "throttle", "times": 1})
        self.refused("ThrottlingException", self.start("fields a"))
        self.assertEqual(self.violations(), 0)

    def test_log_groups_are_paged(self):
        def names(**value):
            found, token = [], {}
            while True:
                answer = self.logs("DescribeLogGroups", self.keys, {**value, **token})[2]
                found += [group["logGroupName"] for group in answer["logGroups"]]
                if "nextToken" not in answer:
                    return found
                self.assertLessEqual(len(answer["logGroups"]), 50)
                token = {"nextToken": answer["nextToken"]}
        self.assertEqual(len(names()), 65)
        self.assertEqual(names(), sorted(names()))
        self.assertEqual(names(logGroupNamePrefix="/ecs/app"), [FIRST, "/ecs/app-web"])
        self.assertEqual(names(logGroupNamePattern="APP-W"), ["/ecs/app-web"])
        group = self.logs("DescribeLogGroups", self.keys, {"limit": 1})[2]["logGroups"][0]
        self.assertEqual(group["arn"], group["logGroupArn"] + ":*")

    def test_events_without_a_query(self):
        value = {"logGroupName": FIRST, "startTime": DENSE, "endTime": DENSE + 60_000, "limit": 2000}
        found = []
        while True:
            answer = self.logs("FilterLogEvents", self.keys, value)[2]
            found += [(event["timestamp"], event["logStreamName"], event["message"]) for event in answer["events"]]
            if "nextToken" not in answer:
                break
            value["nextToken"] = answer["nextToken"]
        self.assertEqual(found, self.truth(DENSE, DENSE + 60_000))

    def test_no_kind_of_fault_breaks_the_standin(self):
        identity = self.start("fields a")[2]["queryId"]
        calls = (lambda: self.start("fields a"), lambda: self.logs("GetQueryResults", self.keys, {"queryId": identity}),
                 lambda: self.logs("DescribeLogGroups", self.keys, {}))
        for kind in KINDS:
            self.faults({"kind": kind, "ms": 1, "interval_ms": 0, "chunk": 1000})
            for call in calls:
                try:
                    self.assertNotEqual(call()[0], 599, kind)
                except (OSError, ValueError, HTTPException):
                    pass  # what the kind is for: a broken connection, a cut body, no JSON


class Paging(LogsCase):
    flags = ("--logs-query-ms", 0, "--logs-paging")

    def test_up_to_a_hundred_thousand_rows(self):
        second = (DENSE + 60_000) // 1000
        status, _, answer = self.start("fields @message", start=second, end=second + 1, limit=100_000)
        value, rows, sizes = {"queryId": answer["queryId"], "maxItems": 5000}, [], []
        while True:
            answer = self.logs("GetQueryResults", self.keys, value)[2]
            rows += [row[-1]["value"] for row in answer["results"]]
            sizes.append(len(answer["results"]))
            if "nextToken" not in answer:
                break
            value["nextToken"] = answer["nextToken"]
        self.assertEqual(sizes[:2], [5000, 5000])
        self.assertEqual(len(set(rows)), answer["statistics"]["recordsMatched"])
        self.assertEqual(len(self.results("fields @message", start=second, end=second + 1)[0]), 10_000)
        self.refused("InvalidParameterException", self.logs("GetQueryResults", self.keys, {**value, "nextToken": "x"}))


class Progress(LogsCase):
    flags = ("--logs-query-ms", 400, "--logs-concurrency", 2)

    def test_partial_rows_before_the_end(self):
        seen = {}
        identity = self.start("stats count(*) as n by bin(1h)")[2]["queryId"]
        while "Complete" not in seen:
            answer = self.logs("GetQueryResults", self.keys, {"queryId": identity})[2]
            seen[answer["status"]] = answer
            time.sleep(0.04)
        self.assertEqual(list(seen), ["Scheduled", "Running", "Complete"])
        self.assertEqual(seen["Scheduled"]["results"], [])
        for row in seen["Running"]["results"]:
            self.assertNotIn(row, seen["Complete"]["results"])
        self.assertLess(seen["Running"]["statistics"]["recordsMatched"],
                        seen["Complete"]["statistics"]["recordsMatched"])

    def test_concurrency_and_descriptions(self):
        running = [self.start("fields a")[2]["queryId"] for _ in range(2)]
        self.refused("LimitExceededException", self.start("fields a"))
        listed = self.logs("DescribeQueries", self.keys, {"logGroupName": FIRST, "maxResults": 2})[2]["queries"]
        self.assertEqual([row["queryId"] for row in listed], running[::-1])
        self.assertEqual({row["queryString"] for row in listed}, {"fields a"})
        self.assertEqual(self.logs("StopQuery", self.keys, {"queryId": running[0]})[0], 200)
        self.assertEqual(self.start("fields a")[0], 200)
        self.assertEqual(self.logs("DescribeQueries", self.keys, {"status": "Cancelled"})[2]["queries"][0]["queryId"],
                         running[0])
        time.sleep(0.5)
        self.assertEqual(self.violations(), 0)


class Throttled(LogsCase):
    flags = ("--logs-tps", 40)

    def test_calls_a_second(self):
        codes = [self.logs("DescribeQueries", self.keys, {})[0] for _ in range(100)]
        self.assertEqual(set(codes), {200, 400})


class Restart(LogsCase):
    def test_a_query_outlives_a_kill(self):
        folder = tempfile.mkdtemp(dir=self.folder.name)
        arguments = (*self.arguments, "--state-dir", folder)
        mine = self.daemon
        self.addCleanup(setattr, type(self), "daemon", mine)
        type(self).daemon = Daemon(tempfile.mkdtemp(dir=folder), *arguments)
        identity = self.start("fields @message", end=START + 60)[2]["queryId"]
        before = self.wait(identity)
        self.daemon.stop(signal.SIGKILL)
        type(self).daemon = Daemon(tempfile.mkdtemp(dir=folder), *arguments)
        self.addCleanup(self.daemon.stop)
        self.assertEqual(self.wait(identity), before)


class Tools(unittest.TestCase):
    WINDOW = ("--tenants", "1", "--log-rate", "1", "--start", str(START), "--end", str(START + 120))

    def run_tool(self, name, *flags):
        return subprocess.run([os.path.join(HERE, name), *flags], check=True, capture_output=True, text=True).stdout

    def test_truth_of_events_and_rows(self):
        events = [json.loads(line) for line in self.run_tool("awsd-truth", "events", *self.WINDOW).splitlines()]
        counts = collections.Counter(event["group"] for event in events)
        rows = self.run_tool("awsd-truth", "rows", *self.WINDOW, "--query", "stats count(*) as n by @log as log")
        found = {row["fields"]["log"].partition(":")[2]: int(row["fields"]["n"])
                 for row in map(json.loads, rows.splitlines())}
        self.assertEqual(found, counts)
        burst = self.run_tool("awsd-truth", "events", *self.WINDOW, "--group", FIRST,
                              "--log-burst", f"{START * 1000 + 5}:77:1")
        self.assertEqual(sum(json.loads(line)["timestamp"] == START * 1000 + 5 for line in burst.splitlines()), 77)

    def test_configuration_of_jobs_and_stores(self):
        text = self.run_tool("awsd-world", "--config", "--jobs", "ecs,app-logs,task-usage", "--job-every", "5m",
                             "--job-period", "60s", "--lake", "s3://lake/telemetry", "--state", "s3://lake/muster",
                             "--log-group", "/ecs/app-*", "--expected-owner", "444455556666")
        jobs = {name: json.loads(flow) for name, flow in re.findall(r"^  ([a-z-]+): (\{.*kind.*\})$", text, re.M)}
        self.assertEqual((jobs["app-logs"]["kind"], jobs["app-logs"]["to"]), ("insights", ["lake"]))
        self.assertNotIn("period", jobs["app-logs"])
        self.assertEqual(jobs["task-usage"]["to"], ["amp", "lake"])
        self.assertEqual(jobs["lake"]["expected_owner"], "444455556666")
        self.assertIn('state: "s3://lake/muster"', text)
        world = json.loads(self.run_tool("awsd-world", "--bucket", "lake", "--bucket", "far:444455556666:us-west-2"))
        self.assertEqual(world["buckets"][1], {"name": "far", "owner": "444455556666", "region": "us-west-2"})
        self.assertEqual(world["buckets"][0]["owner"], world["central"]["account"])


class Boto3(LogsCase):
    def test_boto3_is_satisfied(self):
        client = boto3.client("logs", endpoint_url=self.daemon.url, region_name=REGION,
                              aws_access_key_id=self.keys.access_key, aws_secret_access_key=self.keys.secret_key,
                              aws_session_token=self.keys.token, config=Config(retries={"max_attempts": 1}))
        self.addCleanup(client.close)
        groups = client.get_paginator("describe_log_groups").paginate().build_full_result()["logGroups"]
        self.assertEqual(len(groups), 65)
        identity = client.start_query(logGroupNames=[FIRST], startTime=START, endTime=START + 60,
                                      queryString="fields @timestamp, @message | sort @timestamp asc")["queryId"]
        answer = client.get_query_results(queryId=identity)
        messages = [next(cell["value"] for cell in row if cell["field"] == "@message") for row in answer["results"]]
        expected = [message for _, _, message in self.truth(START * 1000, (START + 60) * 1000)]
        self.assertEqual(sorted(messages), sorted(expected))
        self.assertEqual(client.describe_queries(status="Complete")["queries"][0]["queryId"], identity)
        with self.assertRaises(client.exceptions.MalformedQueryException):
            client.start_query(logGroupName=FIRST, startTime=START, endTime=NOW, queryString="what | is | this")
        events = client.get_paginator("filter_log_events").paginate(
            logGroupName=FIRST, startTime=START * 1000, endTime=START * 1000 + 60_000).build_full_result()["events"]
        self.assertEqual([event["message"] for event in events], expected)


if __name__ == "__main__":
    unittest.main()
