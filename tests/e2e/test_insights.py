#!/usr/bin/python3
"""Logs Insights: every event of the cells in the lake, once, to the byte, however dense the logs are, whatever the
service refuses, and however often the run is killed; and nothing scanned twice for it.

MUSTER_KILLS says how often (default 10), MUSTER_SEED which instants.
"""
import json
import os
import shutil
import signal
import subprocess
import time
import unittest

from bucket import S3Lab
from expected import differences, lake_key, rfc3339, stamp
from lab import HERE, NOW, PATIENCE, Case, Killer, finish

from standin.events import Events

KILLS = int(os.environ.get("MUSTER_KILLS", "10"))
SEED = int(os.environ.get("MUSTER_SEED", "1"))
EVERY, DELAY, LOOKBACK = 300, 600, 1800
START = {"service": "logs", "operation": "StartQuery"}
QUERY = "fields @timestamp, @logStream, @message"


def job(**changes):
    return {"kind": "insights", "log_groups": ["/ecs/app-*"], "query": QUERY, "to": ["lake"], **changes}


def window(now, every=EVERY, delay=DELAY, lookback=LOOKBACK):
    """What a first run at `now` covers."""
    return (now - lookback) // every * every, (now - delay) // every * every


def iso(ms):
    return f"{rfc3339(ms // 1000)}.{ms % 1000:03d}Z"


def clean(text):
    """What JSON can say: lone surrogates cannot be said."""
    return text.encode("utf-8", "replace").decode()


def expected_rows(lab, start, end, every=EVERY, name="app", prefix="/ecs/app-"):
    """{lake key: its rows in order}, from the truth alone."""
    found = {}
    for tenant, group in Events(lab.world).all_groups():
        if not group.name.startswith(prefix):
            continue
        for event in Events(lab.world).between(group, start * 1000, end * 1000 - 1):
            cell = event.ms // 1000 // every * every
            key = lake_key(name, tenant["id"], group.region, cell, cell + every)
            found.setdefault(key, []).append((event.ms, group.name, event.stream, clean(event.message), event.pointer))
    return {key: sorted(rows) for key, rows in found.items()}


def lake_rows(lab):
    """{lake key: its rows as the same tuples, sorted}; lines must be in order of time."""
    found = {}
    for folder, _, names in os.walk(lab.lake):
        for name in (name for name in names if name.endswith(".zst")):
            path = os.path.join(folder, name)
            text = subprocess.run(["zstd", "-dcq", path], capture_output=True, check=True).stdout.decode()
            rows = [json.loads(line) for line in text.split("\n")[:-1]]
            times = [row["ts"] for row in rows]
            assert times == sorted(times), f"{name} is not in order of time"
            found[os.path.relpath(path, lab.lake)] = rows
    return found


def as_tuples(rows):
    return sorted((row["ts"], row["log_group"], row["log_stream"], row["message"], row["ptr"]) for row in rows)


class Insights(Case):
    def lab(self, *arguments, job_changes=None, **named):
        lab = super().lab(*arguments, **named)
        lab.settings["jobs"] = {"app": job(**(job_changes or {}))}
        lab.settings["sinks"].pop("prom")
        return lab

    def assert_rows(self, lab, start, end, every=EVERY):
        expected = {key: [(iso(ms), *rest) for ms, *rest in rows]
                    for key, rows in expected_rows(lab, start, end, every).items()}
        found = {key: as_tuples(rows) for key, rows in lake_rows(lab).items()}
        self.assertTrue(expected, "a test that expects nothing proves nothing")
        self.assertEqual(sorted(expected), sorted(found))
        for key, rows in expected.items():
            wrong = differences(dict.fromkeys(rows), dict.fromkeys(found[key]))
            self.assertFalse(wrong, f"{key}:\n" + "\n".join(wrong))
            self.assertEqual(rows, found[key], f"{key}: the number of some event")

    def started(self, lab):
        return lab.daemon.control("stats")["counters"].get("queries_started", 0)


class Rows(Insights):
    def test_exact_in_pages_and_without(self):
        for flags in ((), ("--logs-paging",)):
            with self.subTest(flags=flags):
                lab = self.lab(tenants=2, regions=["eu-west-1", "us-east-1"], flags=flags, logs={"rate": 3.0})
                self.assert_status(lab.run(), 0)
                self.assert_rows(lab, *window(NOW))
                if flags:
                    self.assert_no_violation(lab)
                for later in (200, 700, 1800):
                    self.assert_status(lab.run(now=NOW + later), 0)
                self.assert_rows(lab, window(NOW)[0], window(NOW + 1800)[1])

    def test_a_backfill(self):
        """Several slices at once, what a scheduled run has frozen in between taken over, nothing scanned twice."""
        lab = self.lab(tenants=1, logs={"rate": 0.5})
        self.assert_status(lab.run(), 0)
        start, (_, end) = NOW - 10800, window(NOW)
        asked = lab.daemon.control("stats")["counters"]["queries_started"]
        words = ("--from", rfc3339(start) + "Z", "--to", rfc3339(end) + "Z")
        self.assert_status(lab.run(*words, command="backfill"), 0)
        self.assert_rows(lab, start, end)
        self.assertGreater(lab.daemon.control("stats")["counters"]["queries_started"], asked)
        asked = lab.daemon.control("stats")["counters"]["queries_started"]
        self.assert_status(lab.run(*words, command="backfill"), 0)
        self.assertEqual(lab.daemon.control("stats")["counters"]["queries_started"], asked)

    def test_common_fields_and_others(self):
        lab = self.lab(tenants=1, logs={"rate": 0.5}, job_changes={
            "log_groups": ["/ecs/app-api"], "query": "fields level, request.path as path | filter level = 'error'"})
        self.assert_status(lab.run(), 0)
        rows = [row for found in lake_rows(lab).values() for row in found]
        self.assertTrue(rows)
        for row in rows:
            self.assertEqual(list(row), ["ts", "tenant", "account_id", "region", "job", "log_group", "ptr", "fields"])
            self.assertEqual((row["tenant"], row["job"], row["log_group"]), ("t0001", "app", "/ecs/app-api"))
            self.assertEqual(row["fields"]["level"], "error")

    def test_many_groups(self):
        lab = self.lab(tenants=1, flags=["--logs-paging"], logs={"rate": 0.05, "more_groups": 70},
                       job_changes={"log_groups": ["/ecs/app-*", "/ecs/more-*"]})
        self.assert_status(lab.run(), 0)
        found = [row for rows in lake_rows(lab).values() for row in rows]
        expected = [row for prefix in ("/ecs/app-", "/ecs/more-")
                    for rows in expected_rows(lab, *window(NOW), prefix=prefix).values() for row in rows]
        self.assertEqual(sorted((iso(ms), *rest) for ms, *rest in expected), as_tuples(found))
        self.assert_no_violation(lab)

    def test_a_group_that_is_missing_is_said(self):
        lab = self.lab(tenants=1, job_changes={"log_groups": ["/ecs/nobody"]})
        result = lab.run()
        self.assert_status(result, 1)
        self.assertTrue(result.errors("/ecs/nobody", "does not exist"), result.err)

    def test_a_query_that_does_not_compile_is_said(self):
        lab = self.lab(tenants=1, job_changes={"query": "fields @message | filter level ="})
        result = lab.run()
        self.assert_status(result, 1)
        self.assertTrue(result.errors("MalformedQuery"), result.err)


class Stats(Insights):
    def test_bins(self):
        query = "stats count(*) as n, avg(took_ms) as t by bin(1m) as minute, level"
        lab = self.lab(tenants=1, flags=["--logs-paging"], logs={"rate": 2.0}, job_changes={"query": query})
        self.assert_status(lab.run(), 0)
        start, end = window(NOW)
        truth = subprocess.run(
            [os.path.join(HERE, "..", "aws", "awsd-truth"), "rows", "--world", lab.path("world.json"), "--start", str(start),
             "--end", str(end), "--group", "/ecs/app-*", "--query", query], capture_output=True, text=True, check=True)
        expected = sorted(json.dumps(json.loads(line)["fields"], sort_keys=True) for line in truth.stdout.splitlines())
        found = [row for rows in lake_rows(lab).values() for row in rows]
        self.assertEqual(expected, sorted(json.dumps(row["fields"], sort_keys=True) for row in found))
        for row in found:
            self.assertEqual(row["ts"], row["fields"]["minute"].replace(" ", "T") + "Z")
        self.assert_no_violation(lab)

    def test_bins_that_cells_would_tear(self):
        lab = self.lab(tenants=1, job_changes={"query": "stats count(*) by bin(7m)"})
        result = lab.run()
        self.assert_status(result, 2)
        self.assertTrue(result.errors("bin(7m)", "not a multiple"), result.err)


class Trouble(Insights):
    def test_queries_that_fail_or_bring_too_little(self):
        for kind in ("query-failed", "query-timeout", "query-short"):
            with self.subTest(kind=kind):
                lab = self.lab(tenants=1, logs={"rate": 2.0})
                lab.daemon.control("faults", [{"match": START, "kind": kind, "every": 3}])
                self.assert_status(lab.run(), 0)
                self.assert_rows(lab, *window(NOW))

    def test_an_answer_that_is_lost_is_not_paid_twice(self):
        for kind in ("reset-after", "badjson", "http500"):
            with self.subTest(kind=kind):
                lab = self.lab(tenants=2, flags=["--logs-paging"], logs={"rate": 1.0})
                lab.daemon.control("faults", [{"match": START, "kind": kind, "effect": True, "every": 3}])
                self.assert_status(lab.run(), 0)
                self.assertTrue(lab.daemon.control("faults")[0]["fired"])
                self.assert_rows(lab, *window(NOW))
                start, end = window(NOW)
                self.assertEqual(self.started(lab), 2 * (end - start) // EVERY)

    def test_all_slots_are_taken(self):
        """LimitExceeded waits, and is no failure."""
        lab = self.lab(tenants=2, flags=["--logs-concurrency", "1", "--logs-query-ms", "300"], logs={"rate": 1.0})
        self.assert_status(lab.run(), 0)
        self.assert_rows(lab, *window(NOW))

    def test_an_account_has_no_more_at_once_than_it_may(self):
        """With as many slots as `run.limits` asks for there is never a LimitExceeded, whatever the jobs would like."""
        lab = self.lab(tenants=1, flags=["--logs-paging", "--logs-concurrency", "2", "--logs-query-ms", "300"],
                       logs={"rate": 1.0})
        lab.settings["jobs"]["more"] = job()
        lab.settings["run"] = {"limits": {"logs_concurrent_queries": 2, "logs_start_query": "50/s"}}
        self.assert_status(lab.run("--report", lab.path("report.json")), 0)
        with open(lab.path("report.json"), encoding="utf-8") as file:
            calls = json.load(file)["calls"]
        self.assertEqual({call["code"] for call in calls if call["operation"] == "StartQuery"}, {"200"})
        del lab.settings["run"]
        self.assert_status(lab.run("--report", lab.path("report.json"), now=NOW + 1800), 0)
        with open(lab.path("report.json"), encoding="utf-8") as file:
            self.assertIn("LimitExceeded", file.read(), "a test that never meets the limit proves nothing")

    def test_errors_of_every_call(self):
        lab = self.lab(tenants=2, logs={"rate": 1.0})
        lab.daemon.control("faults", [{"match": {"service": "logs"}, "kind": kind, "prob": 0.05}
                                      for kind in ("http500", "http503", "throttle", "reset-before", "badjson")])
        for _ in range(4):
            result = lab.run()
            self.assertIn(result.status, (0, 1), result.err)
        lab.daemon.control("faults", method="DELETE")
        self.assert_status(lab.run(), 0)
        self.assert_rows(lab, *window(NOW))

    def test_a_signal_stops_what_runs(self):
        lab = self.lab(tenants=1, logs={"rate": 1.0})
        lab.daemon.control("faults", [{"match": START, "kind": "query-stuck"}])
        process = lab.start()
        deadline = time.monotonic() + 20 * PATIENCE
        while time.monotonic() < deadline and not self.started(lab):
            time.sleep(0.05)
        time.sleep(0.7)
        process.send_signal(signal.SIGTERM)
        self.assert_status(finish(process, 5 * PATIENCE), 143)
        statuses = {query["status"] for query in lab.daemon.control("logs/queries")}
        self.assertEqual(statuses, {"Cancelled"})
        lab.daemon.control("faults", method="DELETE")
        self.assert_status(lab.run(), 0)
        self.assert_rows(lab, *window(NOW))

    def test_the_deadline_leaves_queries_to_the_next_run(self):
        lab = self.lab(tenants=1, flags=["--logs-query-ms", "4000"], logs={"rate": 1.0})
        lab.settings["run"] = {"deadline": "2s"}
        result = lab.run()
        self.assertEqual(result.status, 1, result.err)
        self.assertEqual({query["status"] for query in lab.daemon.control("logs/queries")} & {"Cancelled"}, set())
        began = self.started(lab)
        del lab.settings["run"]
        time.sleep(4)
        self.assert_status(lab.run(), 0)
        self.assert_rows(lab, *window(NOW))
        start, end = window(NOW)
        self.assertEqual(self.started(lab), (end - start) // EVERY, f"{began} were started before")


class Killed(Insights):
    WORLD = {"tenants": 2, "flags": ["--logs-paging", "--logs-query-ms", "600"], "logs": {"rate": 1.0}}

    def torment(self, lab, look, between=lambda: None):
        """The lake is exact, nothing in it was written again, and no query was paid for twice."""
        killer = Killer(SEED, 1.2)
        start, _ = window(NOW)
        self.assert_status(lab.run(), 0)
        lab.tell(NOW + 1800)
        for _ in range(KILLS):
            later = killer.strike(lab)
            look()
            lab.tell(lab.now + later)
            between()
        self.assertGreater(killer.killed, KILLS / 3, "too few runs were at work when they were killed")
        self.assert_status(lab.run(), 0)
        return start, window(lab.now)[1]

    def assert_paid_once(self, lab, start, end):
        self.assertEqual(self.started(lab), (end - start) // EVERY * len(lab.world.tenants))

    def test_killed_over_and_over(self):
        lab, objects = self.lab(**self.WORLD), {}

        def look():
            for key, identity in self.identities(lab).items():
                self.assertEqual(objects.setdefault(key, identity), identity, f"{key} was written again")

        start, end = self.torment(lab, look)
        self.assert_rows(lab, start, end)
        self.assert_paid_once(lab, start, end)

    def test_killed_over_and_over_on_s3(self):
        lab = S3Lab(**self.WORLD)
        self.addCleanup(lab.close)
        lab.settings["jobs"] = {"app": job()}
        lab.settings["sinks"].pop("prom")
        start, end = self.torment(lab, lambda: None, lab.lease_passes)
        lab.fetch()
        self.assert_rows(lab, start, end)
        self.assert_paid_once(lab, start, end)
        self.assertEqual({row["writes"] for row in lab.objects("telemetry/app/")}, {1})

    def identities(self, lab):
        found = {}
        for folder, _, names in os.walk(lab.lake):
            for name in names:
                if name.endswith(".zst"):
                    path = os.path.join(folder, name)
                    with open(path, "rb") as file:
                        found[os.path.relpath(path, lab.lake)] = (os.stat(path).st_ino, file.read())
        return found


class Late(Insights):
    """`revisit: once`: events that can be found only after their cell was frozen are in the lake once, beside it, for one
    further query a cell."""
    HOLD = 1200
    WORLD = {"tenants": 2, "flags": ["--logs-paging", "--logs-query-ms", "300"], "logs": {"rate": 1.0},
             "log_late_rate": 0.3, "log_late_max": 900}

    def late_lab(self, job_changes=None, **changes):
        return self.lab(job_changes={"revisit": "once", **(job_changes or {})}, **{**self.WORLD, **changes})

    def due(self, now):
        """The end of the newest cell whose second asking is due."""
        return (now - self.HOLD) // EVERY * EVERY

    def together(self, lab):
        """{cell's key: the rows of its objects}, and the numbers of its late ones; each object is in order."""
        rows, numbers = {}, {}
        for key, found in lake_rows(lab).items():
            base, mark, rest = key.partition(".late-")
            if mark:
                base += ".ndjson.zst"
                numbers.setdefault(base, []).append(int(rest.split(".")[0]))
            rows.setdefault(base, []).extend(found)
        for base, found in numbers.items():
            self.assertEqual(sorted(found), list(range(1, len(found) + 1)), base)
        return {key: as_tuples(found) for key, found in rows.items()}, numbers

    def assert_together(self, lab, start, end=None):
        """Base and late objects hold each event of the cells that were asked for twice, once. Returns how many late ones
        there are."""
        end = end or self.due(lab.now)
        found, numbers = self.together(lab)
        expected = {key: [(iso(ms), *rest) for ms, *rest in rows]
                    for key, rows in expected_rows(lab, start, end).items()}
        self.assertTrue(expected, "a test that expects nothing proves nothing")
        for key, rows in expected.items():
            wrong = differences(dict.fromkeys(rows), dict.fromkeys(found[key]))
            self.assertFalse(wrong, f"{key}:\n" + "\n".join(wrong))
            self.assertEqual(rows, found[key], f"{key}: the number of some event")
        for key, rows in found.items():
            self.assertEqual(len(rows), len(set(rows)), f"{key} has an event twice")
        return sum(map(len, numbers.values()))

    def report(self, lab):
        with open(lab.path("report.json"), encoding="utf-8") as file:
            return json.load(file)["totals"]["stats"]

    def test_found_by_one_second_asking(self):
        lab = self.late_lab(regions=["eu-west-1", "us-east-1"])
        start, _ = window(NOW)
        late = lines = scanned = 0
        for now in range(NOW, NOW + 2701, EVERY):
            self.assert_status(lab.run("--report", lab.path("report.json"), now=now), 0)
            stats = self.report(lab)
            late, lines, scanned = late + stats["late"], lines + stats["lines"], scanned + stats["bytes_scanned"]
        self.assertGreater(self.assert_together(lab, start), 20, "nothing came late")
        rows = lake_rows(lab)
        self.assertEqual(late, sum(len(found) for key, found in rows.items() if ".late-" in key))
        self.assertEqual(lines, sum(map(len, rows.values())))
        self.assertEqual(scanned, lab.daemon.control("stats")["counters"]["bytes_scanned"])
        # Of the first run's cells those that were older than `hold` by then are not asked for again.
        first, second = window(lab.now)[1] - start, self.due(lab.now) - self.due(NOW)
        self.assertEqual(self.started(lab), (first + second) // EVERY * 4)
        self.assert_no_violation(lab)

    def test_where_nothing_comes_late_there_is_nothing_more(self):
        lab = self.late_lab(log_late_rate=0.0)
        for now in (NOW, NOW + 1200, NOW + 2400):
            self.assert_status(lab.run(now=now), 0)
        self.assertEqual(self.assert_together(lab, window(NOW)[0]), 0)

    def test_due_without_a_new_cell(self):
        """`hold` is not a multiple of the cell's length: what is due is asked for though nothing new is."""
        lab = self.late_lab(tenants=1)
        lab.settings["jobs"]["app"]["hold"] = "21m"
        self.assert_status(lab.run(), 0)
        asked = self.started(lab)
        self.assert_status(lab.run(now=NOW + 59), 0)
        self.assertEqual(self.started(lab), asked)
        self.assert_status(lab.run(now=NOW + 60), 0)
        self.assertEqual(self.started(lab), asked + 1, "one cell was due a minute later")

    def test_other_sinks_get_them(self):
        lab = self.late_lab(tenants=1)
        lab.settings["sinks"]["screen"] = {"kind": "stdout"}
        lab.settings["jobs"]["app"]["to"] = ["lake", "screen"]
        printed = []
        for now in range(NOW, NOW + 1801, EVERY):
            result = lab.run(now=now)
            self.assert_status(result, 0)
            printed += [line for line in result.out.split("\n") if line.startswith('{"ts"')]
        stored = [row for rows in lake_rows(lab).values() for row in rows]
        self.assertTrue(any(".late-" in key for key in lake_rows(lab)), "nothing came late")
        self.assertEqual(as_tuples(stored), as_tuples([json.loads(line) for line in printed]))

    def test_killed_over_and_over(self):
        lab, objects = self.late_lab(), {}
        start, _ = window(NOW)
        killer = Killer(SEED, 1.5)
        self.assert_status(lab.run(), 0)
        lab.tell(NOW + 600)
        for _ in range(KILLS):
            later = killer.strike(lab)
            for key, identity in Killed.identities(self, lab).items():
                self.assertEqual(objects.setdefault(key, identity), identity, f"{key} was written again")
            lab.tell(lab.now + later)
        self.assertGreater(killer.killed, KILLS / 3, "too few runs were at work when they were killed")
        self.assert_status(lab.run(), 0)
        self.assertGreater(self.assert_together(lab, start, self.due(lab.now)), 0, "nothing came late")
        self.assert_asked_once(lab, start)

    def assert_asked_once(self, lab, start):
        """No asking of a cell was paid for twice: a query has a text of its own, and a cell no more than two."""
        texts = [(row["account"], row["text"]) for row in lab.daemon.control("logs/queries")]
        self.assertEqual(len(texts), len(set(texts)))
        cells = (window(lab.now)[1] - start) // EVERY * len(lab.world.tenants)
        self.assertLessEqual(len(texts), 2 * cells)

    def test_late_objects_that_the_checkpoint_does_not_know_are_taken_over(self):
        """As if every run had died after freezing, and before its checkpoint was written."""
        lab = self.late_lab(tenants=1)
        start, _ = window(NOW)
        self.assert_status(lab.run(), 0)
        kept = lab.path("kept")
        for now in range(NOW + 300, NOW + 2401, EVERY):
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(lab.state, kept)
            before = Killed.identities(self, lab)
            self.assert_status(lab.run(now=now), 0)
            shutil.rmtree(lab.state)
            shutil.copytree(kept, lab.state)
            self.assert_status(lab.run(now=now + 120), 0)
            after = Killed.identities(self, lab)
            self.assertEqual(before, {key: after[key] for key in before})
        self.assertGreater(self.assert_together(lab, start), 0, "nothing came late")

    def test_the_checkpoint_is_gone(self):
        lab = self.late_lab(tenants=1)
        start, _ = window(NOW)
        for now in range(NOW, NOW + 1501, EVERY):
            self.assert_status(lab.run(now=now), 0)
        for name in ("app.json", "app.prev.json"):
            os.unlink(os.path.join(lab.state, "tenants", "t0001", name))
        for now in (NOW + 1800, NOW + 2100):
            self.assert_status(lab.run(now=now), 0)
        self.assertGreater(self.assert_together(lab, start), 0, "nothing came late")

    def test_the_budget_holds_for_it(self):
        """What is new goes first; what is not asked for again is a gap on record."""
        lab = self.late_lab(tenants=1, log_late_rate=0.0)
        self.assert_status(lab.run(), 0)
        spent = lab.daemon.control("stats")["counters"]["bytes_scanned"]
        lab.settings["jobs"]["app"]["scan_budget"] = f"{spent // 1000}kB/d"
        asked = self.started(lab)
        self.assert_status(lab.run(now=NOW + 1200), 0)
        self.assertEqual(self.started(lab), asked)
        with open(os.path.join(lab.state, "tenants", "t0001", "app.json"), encoding="utf-8") as file:
            stream = json.load(file)["streams"]["eu-west-1"]
        reasons = [gap["reason"] for gap in stream["gaps"]]
        self.assertIn("not asked for a second time: scan_budget is used up for this day", reasons)
        self.assertIn("scan_budget is used up for this day", reasons)
        self.assert_status(lab.run(now=NOW + 1200), 0)
        self.assertEqual(self.started(lab), asked)

    def test_an_asking_that_fails_holds_up_nothing_new(self):
        lab = self.late_lab(tenants=1)
        self.assert_status(lab.run(), 0)
        start, _ = window(NOW)
        # Of three queries the first is of the new cell, the others of the one that is asked for again.
        lab.daemon.control("faults", [{"match": START, "kind": "error", "code": "InvalidParameterException", "after": 1}])
        result = lab.run(now=NOW + 300)
        self.assert_status(result, 1)
        self.assertTrue(result.errors("second asking"), result.err)
        lab.daemon.control("faults", [])
        self.assertIn(lake_key("app", "t0001", "eu-west-1", window(NOW + 300)[1] - EVERY, window(NOW + 300)[1]), lake_rows(lab))
        self.assert_status(lab.run(now=NOW + 600), 0)
        self.assertGreater(self.assert_together(lab, start), 0, "nothing came late")


class Budget(Insights):
    def test_it_is_one_for_all_regions_and_all_runs_of_a_day(self):
        """What was scanned is told exactly, and with it reached no run of that day starts a query."""
        lab = self.lab(tenants=1, regions=["eu-west-1", "us-east-1"], flags=["--logs-paging"], logs={"rate": 2.0},
                       job_changes={"scan_budget": "600kB/d", "concurrency": 1})
        self.assert_status(lab.run(), 0)
        began = self.started(lab)
        with open(os.path.join(lab.state, "tenants", "t0001", "app.json"), encoding="utf-8") as file:
            streams = json.load(file)["streams"]
        self.assertEqual(sum(stream["memo"]["scanned"] for stream in streams.values()), self.scanned(lab))
        self.assertGreaterEqual(self.scanned(lab), 600_000)
        for stream in streams.values():
            self.assertIn("scan_budget", stream["gaps"][0]["reason"])
        self.assert_status(lab.run(now=NOW + 600), 0)
        self.assertEqual(self.started(lab), began)
        self.assert_status(lab.run(now=NOW + 86400), 0)
        self.assertGreater(self.started(lab), began)

    def scanned(self, lab):
        """By the stand-in's books: what all queries of the day are billed."""
        result = lab.daemon.control("stats")["counters"]
        return result["bytes_scanned"]

    def test_beyond_it_there_is_a_gap(self):
        lab = self.lab(tenants=1, logs={"rate": 2.0}, job_changes={"scan_budget": "300kB/d", "concurrency": 1})
        self.assert_status(lab.run(), 0)
        with open(os.path.join(lab.state, "tenants", "t0001", "app.json"), encoding="utf-8") as file:
            text = file.read()
        self.assertIn("scan_budget", text)
        start, _ = window(NOW)
        self.assertIn(stamp(start), " ".join(lake_rows(lab)))
        self.assertLess(len(lake_rows(lab)), (window(NOW)[1] - start) // EVERY)

    def test_a_backfill_spends_it_once_and_goes_on_the_next_day(self):
        """Its slices would each have a budget of their own: so there is one."""
        lab = self.lab(tenants=1, logs={"rate": 1.0}, job_changes={"scan_budget": "300kB/d", "concurrency": 1})
        start, end = NOW - 7200, NOW - 3600
        words = ("--from", rfc3339(start) + "Z", "--to", rfc3339(end) + "Z")
        days, status = 0, 1
        while status == 1 and days < 12:
            result = lab.run(*words, command="backfill", now=NOW + days * 86400)
            status = result.status
            self.assertTrue(status == 0 or result.errors("scan_budget is used up"), result.err)
            days += 1
        self.assertEqual(status, 0)
        self.assertGreater(days, 1, "a test that never runs out proves nothing")
        self.assert_rows(lab, start, end)


if __name__ == "__main__":
    unittest.main()
