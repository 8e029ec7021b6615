#!/usr/bin/python3
"""muster compact: fewer objects, the same rows, at any moment and whatever kills it; and nobody who comes later asks for
a cell again.

MUSTER_KILLS says how often it is killed (default 8), MUSTER_SEED at which instants.
"""
import collections
import json
import os
import random
import signal
import subprocess
import time
import unittest

import arrivals
from bucket import S3Lab
from expected import rfc3339
from lab import NOW, PATIENCE, Case, Lab, finish

KILLS = int(os.environ.get("MUSTER_KILLS", "8"))
SEED = int(os.environ.get("MUSTER_SEED", "1"))
HOUR = 3600
DAY = 24 * HOUR
HOURS = 3
START, END = NOW - HOURS * HOUR, NOW
THEN = NOW + 4 * DAY  # when that day is out of any run's reach
ON_TIME = NOW - 4 * HOUR + DAY + DAY + 1800 + DAY  # the day's end, max_catchup, revisit, and a day
WINDOW = ("--from", rfc3339(START) + "Z", "--to", rfc3339(END) + "Z")
TENANTS = 2


class Judged:
    """What must hold of any lake that is compacted; mixed into the cases of each store."""
    kind = None

    def filled(self, **named):
        """A lab with a few hours of cells, and the lines in them."""
        lab = self.kind(tenants=TENANTS, epoch=NOW - DAY, span=10 * DAY, services=1, **named)
        self.addCleanup(lab.close)
        lab.settings["sinks"]["prom"]["max_age"] = "30d"
        self.assert_status(lab.run(*WINDOW, command="backfill", now=NOW + 600), 0)
        lab.tell(THEN)
        return lab, self.lines(lab)

    def keys(self, lab):
        if isinstance(lab, S3Lab):
            lab.fetch()
        return [key for key in arrivals.lake_keys(lab.lake) if key.startswith("ecs/")]

    def lines(self, lab):
        """Every line that a table over the lake shows, and how often."""
        paths = [os.path.join(lab.lake, key) for key in self.keys(lab)]
        text = subprocess.run(["zstd", "-dcq", *paths], check=True, capture_output=True, timeout=60).stdout
        return collections.Counter(text.splitlines())

    def compact(self, lab, *words, status=0, **how):
        result = lab.run("--report", lab.path("report.json"), *words, command="compact", **how)
        self.assert_status(result, status)
        with open(lab.path("report.json"), encoding="utf-8") as file:
            return result, json.load(file)

    def assert_compacted(self, lab, lines):
        self.assertEqual(self.lines(lab), lines)
        self.assertEqual(sorted(key.rsplit(".", 3)[1] for key in self.keys(lab)), ["joined-1"] * HOURS * TENANTS)

    def assert_nothing_asked_again(self, lab, lines):
        """A backfill with checkpoints of its own takes every cell from the lake."""
        lab.cleared()
        result = lab.run(*WINDOW[:3], rfc3339(END - 300) + "Z", "--report", lab.path("report.json"), command="backfill")
        self.assert_status(result, 0)
        self.assertNotIn("monitoring", lab.daemon.control("stats")["calls"])
        with open(lab.path("report.json"), encoding="utf-8") as file:
            stats = json.load(file)["totals"]["stats"]
        self.assertEqual(stats["adopted_cells"], TENANTS * (HOURS * 12 - 1))
        self.assertEqual(self.lines(lab), lines)

    def test_the_same_rows_in_fewer_objects(self):
        lab, lines = self.filled()
        self.assertEqual(len(self.keys(lab)), TENANTS * HOURS * 12)
        _, report = self.compact(lab)
        self.assert_compacted(lab, lines)
        self.assertEqual(report["totals"]["hours"], TENANTS * HOURS)
        self.assertEqual(report["totals"]["objects"], TENANTS * HOURS * 12)
        self.assertEqual(report["totals"]["joined"], TENANTS * HOURS)
        self.assertEqual(len(report["streams"]), TENANTS)
        self.assert_nothing_asked_again(lab, lines)
        lab.cleared()
        _, report = self.compact(lab)
        self.assertEqual(report["totals"]["hours"], 0)
        self.assert_compacted(lab, lines)
        self.assert_no_violation(lab)

    def test_killed_at_any_instant(self):
        lab, lines = self.filled()
        dice, killed = random.Random(SEED), 0
        for _ in range(KILLS):
            process = lab.start(command="compact")
            time.sleep(dice.uniform(0, 0.15 * PATIENCE))
            process.send_signal(signal.SIGKILL)
            killed += finish(process, 10).status == -signal.SIGKILL
            found = self.lines(lab)
            self.assertEqual(set(found), set(lines), "a reader misses rows")
            self.assertLessEqual(max(found.values()), 2)
        self.assertGreater(killed, 0)
        self.compact(lab)
        self.assert_compacted(lab, lines)
        self.assert_nothing_asked_again(lab, lines)

    def test_two_at_once(self):
        lab, lines = self.filled()
        for process in [lab.start(command="compact") for _ in range(3)]:
            self.assert_status(finish(process, 60 * PATIENCE), 0)
        self.compact(lab)
        self.assert_compacted(lab, lines)


class InFiles(Judged, Case):
    kind = Lab

    def test_only_days_that_no_run_reaches(self):
        lab, lines = self.filled()
        keys = self.keys(lab)
        _, report = self.compact(lab, now=ON_TIME - 1)
        self.assertEqual(report["totals"]["hours"], 0)
        self.assertEqual(self.keys(lab), keys)
        self.compact(lab, now=ON_TIME)
        self.assert_compacted(lab, lines)

    def test_a_dry_run_changes_nothing(self):
        lab, _ = self.filled()
        keys = self.keys(lab)
        _, report = self.compact(lab, "--dry-run")
        self.assertEqual([report["totals"][name] for name in ("hours", "objects", "joined")],
                         [TENANTS * HOURS, TENANTS * HOURS * 12, TENANTS * HOURS])
        self.assertEqual(self.keys(lab), keys)

    def test_before_the_first_run(self):
        lab = self.lab(tenants=1)
        result = lab.run("--dry-run", command="compact")
        self.assert_status(result, 0)
        self.assertTrue(result.errors("level=warn", "there is no lake yet"), result.err)
        self.assertFalse(os.path.exists(lab.lake), "looking has made a folder")

    def test_one_tenant_alone(self):
        lab, lines = self.filled()
        self.compact(lab, "--tenant", "t0001")
        names = collections.Counter(("joined" in key, "t0001" in key) for key in self.keys(lab))
        self.assertEqual(names, {(True, True): HOURS, (False, False): HOURS * 12})
        self.assertEqual(self.lines(lab), lines)
        result = lab.run("--tenant", "nobody", command="compact")
        self.assert_status(result, 2)

    def test_what_comes_later_is_joined_beside_it(self):
        lab, lines = self.filled()
        self.compact(lab)
        earlier = (rfc3339(START - HOUR) + "Z", rfc3339(START) + "Z")
        self.assert_status(lab.run("--from", earlier[0], "--to", earlier[1], command="backfill"), 0)
        more = self.lines(lab)
        self.assertGreater(sum(more.values()), sum(lines.values()))
        self.compact(lab)
        self.assertEqual(self.lines(lab), more)
        self.assertEqual(len(self.keys(lab)), TENANTS * (HOURS + 1))

    def test_another_definition_is_seen_within(self):
        lab, lines = self.filled()
        self.compact(lab)
        lab.settings["jobs"]["ecs"]["period"] = "300s"
        result = lab.run(*WINDOW, command="backfill")
        self.assert_status(result, 1)
        self.assertTrue(result.errors("of another definition"), result.err)
        self.assertEqual(self.lines(lab), lines)

    def test_damage_is_left_and_said(self):
        lab, _ = self.filled()
        keys = self.keys(lab)
        with open(os.path.join(lab.lake, keys[5]), "r+b") as file:
            file.truncate(os.path.getsize(file.name) - 3)
        result, report = self.compact(lab, status=1)
        self.assertTrue(result.errors("hour left as it is", "t0001"), result.err)
        self.assertEqual(report["totals"]["hours_failed"], 1)
        left = [key for key in self.keys(lab) if "joined" not in key]
        self.assertEqual(left, [key for key in keys if os.path.dirname(key) == os.path.dirname(keys[5])])

    def test_state_verify_knows_where_they_are(self):
        lab = self.kind(tenants=1, services=1)
        self.addCleanup(lab.close)
        self.assert_status(lab.run(), 0)
        self.compact(lab, now=THEN)
        self.assertTrue(all("joined" in key for key in self.keys(lab)))
        result = lab.run("verify", command="state")
        self.assert_status(result, 0)
        self.assertIn("5 done cells have an object, 0 have none", result.out)


class OnS3(Judged, Case):
    kind = S3Lab

    def test_denied_it_changes_nothing_and_names_the_statement(self):
        lab, _ = self.filled()
        keys = self.keys(lab)
        lab.daemon.control("faults", [{"match": {"service": "s3", "operation": "DeleteObject"}, "kind": "denied"}])
        result, report = self.compact(lab, status=1)
        self.assertTrue(result.errors("stream not compacted", "s3:DeleteObject",
                                      "arn:aws:s3:::muster-test/telemetry/*"), result.err)
        self.assertEqual(report["totals"]["joined"], 0)
        self.assertEqual(self.keys(lab), keys)


if __name__ == "__main__":
    unittest.main()
