#!/usr/bin/python3
"""muster backfill: the truth of a window, once, beside the scheduled runs and never in their way.

MUSTER_KILLS says how often it is killed (default 8), MUSTER_SEED at which instants.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import time
import unittest

import arrivals
from expected import Expected, lake_key, rfc3339, stamp, windows
from lab import MUSTER, NOW, PATIENCE, REGION, Case, Killer, finish, start_prometheus

KILLS = int(os.environ.get("MUSTER_KILLS", "8"))
SEED = int(os.environ.get("MUSTER_SEED", "1"))
HOUR = 3600
DAY = 24 * HOUR
DATA = {"service": "monitoring", "operation": "GetMetricData"}


def words(start, end, *more):
    return ("--from", rfc3339(start) + "Z", "--to", rfc3339(end) + "Z", *more)


def files(folder):
    """What is below a folder, and which very file it is."""
    found = {}
    for key in arrivals.lake_keys(folder):
        at = os.stat(os.path.join(folder, key))
        found[key] = (at.st_ino, at.st_mtime_ns, at.st_size)
    return found


def text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class BackfillCase(Case):
    def lab(self, *arguments, **named):
        return super().lab(*arguments, **{"epoch": NOW - 3 * DAY, "span": 6 * DAY, "services": 1, **named})

    def backfill(self, lab, start, end, *more, **how):
        return lab.run(*words(start, end, *more), command="backfill", **how)

    def report(self, lab, start, end, *more, status=0):
        result = self.backfill(lab, start, end, *more, "--report", lab.path("report.json"))
        self.assert_status(result, status)
        return json.loads(text(lab.path("report.json")))


class Backfill(BackfillCase):
    def test_a_day(self):
        lab = self.lab(tenants=2)
        report = self.report(lab, NOW - DAY, NOW - HOUR)
        self.assert_exact(lab, NOW - DAY, NOW - HOUR)
        self.assert_no_violation(lab)
        self.assertEqual(report["command"], "backfill")
        self.assertEqual(report["totals"]["stats"]["cells"], 2 * 23 * 12)
        self.assertEqual(report["backfill"]["window"], {"from": rfc3339(NOW - DAY) + ".000Z",
                                                        "to": rfc3339(NOW - HOUR) + ".000Z"})
        self.assertTrue(lab.folder_has(f"state/backfills/{report['backfill']['name']}/tenants/t0001"))

    def test_given_again_it_asks_and_writes_nothing(self):
        lab = self.lab(tenants=1)
        self.assert_status(self.backfill(lab, NOW - 5 * HOUR, NOW - HOUR), 0)
        before = files(lab.lake)
        lab.cleared()
        report = self.report(lab, NOW - 5 * HOUR, NOW - HOUR)
        calls = lab.daemon.control("stats")["calls"]
        self.assertNotIn("monitoring", calls)
        self.assertNotIn("prometheus", calls)
        self.assertEqual(before, files(lab.lake))
        self.assertEqual(report["totals"]["stats"]["earlier_cells"], 48)

    def test_a_window_is_widened_and_ends_with_what_is_due(self):
        lab = self.lab(tenants=1)
        result = self.backfill(lab, NOW - HOUR + 7, NOW + HOUR)
        self.assert_status(result, 0)
        self.assertTrue(result.errors("widened", rfc3339(NOW - HOUR)), result.err)
        self.assertTrue(result.errors("not due", f"from={rfc3339(NOW - 300)}"), result.err)
        self.assertTrue(result.errors("stream done", f"to={rfc3339(NOW - 300)}Z"), result.err)
        self.assertFalse(result.errors("stream done", f"to={rfc3339(NOW + HOUR)}Z"), "what is told of as done is yet to come")
        self.assert_exact(lab, NOW - HOUR, NOW - 300)

    def test_what_was_not_due_is_done_when_it_is_given_again(self):
        lab = self.lab(tenants=1)
        self.assert_status(self.backfill(lab, NOW - HOUR, NOW + HOUR), 0)
        self.assert_status(self.backfill(lab, NOW - HOUR, NOW + HOUR, now=NOW + DAY), 0)
        self.assert_exact(lab, NOW - HOUR, NOW + HOUR)

    def test_what_cannot_be_meant(self):
        lab = self.lab(tenants=1)
        lab.settings["jobs"]["more"] = lab.settings["jobs"]["ecs"]
        start, end = words(NOW - HOUR, NOW)[1::2]
        for given, said in ((("--from", start), "--to is missing"), ((), "--from is missing"),
                            (("--from", end, "--to", start), "is not before"),
                            (("--from", "soon", "--to", end), "--from soon: expected"),
                            (words(NOW + DAY, NOW + 2 * DAY), "nothing of it is due"),
                            (words(NOW - HOUR, NOW, "--into", "both"), "choose one job"),
                            (words(NOW - HOUR, NOW, "--into", "more", "--job", "ecs"), "a job of that name"),
                            (words(NOW - HOUR, NOW, "--into", "../x", "--job", "ecs"), "names are made of")):
            with self.subTest(given):
                result = lab.run(*given, command="backfill")
                self.assert_status(result, 2)
                self.assertTrue(result.errors(said), result.err)
        self.assertFalse(lab.folder_has("lake"))
        self.assertFalse(lab.folder_has("state/backfills"))

    def test_a_dry_run_writes_nothing(self):
        lab = self.lab(tenants=1)
        report = self.report(lab, NOW - 4 * HOUR, NOW, "--dry-run")
        self.assertEqual(report["totals"]["stats"]["cells"], 47)
        self.assertFalse(lab.folder_has("lake"))
        self.assertFalse(lab.folder_has("state/backfills"))

    def test_points_that_the_service_no_longer_keeps_are_a_gap_not_silence(self):
        lab = self.lab(tenants=1, epoch=NOW - 20 * DAY, span=20 * DAY)
        start = NOW - 15 * DAY - HOUR
        result = self.backfill(lab, start, start + 2 * HOUR)
        self.assert_status(result, 0)
        self.assertTrue(result.errors("gap on record", "only for 15 days", rfc3339(start)), result.err)
        self.assert_exact(lab, NOW - 15 * DAY, start + 2 * HOUR)


class Slices(BackfillCase):
    start = NOW - 10 * HOUR  # three slices

    def test_one_tenant_is_worked_on_in_several_places(self):
        """While one call hangs, the other slices go on; stopped in the middle and given again, all of it is there."""
        lab = self.lab(tenants=1)
        lab.daemon.control("faults", [{"match": DATA, "kind": "hang", "ms": 30000, "nth": 1}])
        process = lab.start(*words(self.start, NOW - HOUR), command="backfill")
        deadline = time.monotonic() + 25 * PATIENCE
        while time.monotonic() < deadline and len(arrivals.lake_keys(lab.lake)) < 2 * 36:
            time.sleep(0.05)
        self.assertGreaterEqual(len(arrivals.lake_keys(lab.lake)), 2 * 36, "nobody else went on")
        process.send_signal(signal.SIGTERM)
        self.assert_status(finish(process, 10 * PATIENCE), 143)
        lab.daemon.control("faults", method="DELETE")
        self.assert_status(self.backfill(lab, self.start, NOW - HOUR), 0)
        self.assert_exact(lab, self.start, NOW - HOUR)

    def test_within_the_limit_of_the_tenant(self):
        """With one worker a tenant, nothing overtakes a call that hangs."""
        lab = self.lab(tenants=1)
        lab.settings["run"] = {"tenant_workers": 1}
        lab.daemon.control("faults", [{"match": DATA, "kind": "hang", "ms": 1000, "nth": 1}])
        self.assert_status(self.backfill(lab, self.start, NOW - HOUR), 0)
        made = {key: os.stat(os.path.join(lab.lake, key)).st_mtime_ns for key in arrivals.lake_keys(lab.lake)}
        self.assertEqual(sorted(made, key=lambda key: (made[key], key)), sorted(made))
        self.assert_exact(lab, self.start, NOW - HOUR)

    def test_a_receiver_alone_gets_all_in_order(self):
        """Without a lake to keep them in, cells are asked for when it is their turn, and once."""
        lab = self.lab(tenants=2)
        asked = self.report(lab, self.start, NOW - HOUR, "--dry-run")["totals"]["stats"]["metrics_requested"]
        lab.settings["jobs"]["ecs"]["to"] = ["prom"]
        report = self.report(lab, self.start, NOW - HOUR)
        self.assert_received(lab, windows(lab.world, self.start, NOW - HOUR))
        self.assertEqual(report["totals"]["stats"]["rejected"], 0)
        self.assertEqual(report["totals"]["stats"]["metrics_requested"], asked)

    def test_a_slice_that_fails_holds_up_the_receiver_not_the_lake(self):
        """The receiver gets nothing from behind the hole, the lake all of it; the next time the rest comes."""
        lab = self.lab(tenants=1)
        hole = self.start + HOUR
        broken = os.path.join(lab.lake, lake_key("ecs", "t0001", REGION, hole, hole + 300))
        os.makedirs(os.path.dirname(broken))
        with open(broken, "wb") as file:
            file.write(b"no zstd")
        self.assert_status(self.backfill(lab, self.start, NOW - HOUR), 1)
        self.assert_received(lab, windows(lab.world, self.start, hole))
        os.unlink(broken)
        self.assertEqual(len(arrivals.lake_keys(lab.lake)), 12 + 2 * 36)
        self.assert_status(self.backfill(lab, self.start, NOW - HOUR), 0)
        self.assert_exact(lab, self.start, NOW - HOUR)

    def test_workers_do_not_show(self):
        bytes_of = []
        for workers in (1, 9):
            lab = self.lab(tenants=2)
            lab.settings["run"] = {"tenant_workers": workers}
            self.assert_status(self.backfill(lab, self.start, NOW, "--workers", str(workers)), 0)
            bytes_of.append({key: arrivals.unpack(os.path.join(lab.lake, key)) for key in arrivals.lake_keys(lab.lake)})
        self.assertEqual(*bytes_of)


class Killed(BackfillCase):
    def test_killed_over_and_over(self):
        """Between scheduled runs, whose checkpoints stay as they are, byte for byte, and go on where they were."""
        lab, killer = self.lab(tenants=2), Killer(SEED, 0.5)
        first = NOW - 9 * HOUR
        lab.settings["sinks"]["prom"]["max_age"] = "30m"
        start, _ = lab.window()
        self.assert_status(lab.run(), 0)
        live = self.live(lab)
        lab.daemon.control("faults", [{"match": DATA, "kind": "hang", "ms": 40, "prob": 0.5}])
        for _ in range(KILLS):
            killed = killer.killed
            killer.strike(lab, *words(first, NOW), command="backfill")
            self.assertEqual(live, self.live(lab))
            lab.tell(lab.now + 600 // KILLS)
            if killer.killed == killed:  # it was done: a longer one finds something to do
                first -= 3 * HOUR
        self.assertGreater(killer.killed, KILLS / 3, "too few were at work when they were killed")
        lab.daemon.control("faults", method="DELETE")
        self.assert_status(self.backfill(lab, first, NOW, now=NOW + 600), 0)
        self.assertEqual(live, self.live(lab))
        self.assert_lake(lab, windows(lab.world, first, NOW))
        self.assertFalse(lab.folder_has("lake/rejected"))
        self.assert_status(lab.run(), 0)
        self.assert_lake(lab, windows(lab.world, first, lab.window()[1]))
        received = arrivals.stand_in(lab.daemon)
        expected = Expected(lab.world).samples(windows(lab.world, start, lab.window()[1]))
        late = {key: {ms: v for ms, v in samples.items() if ms >= start * 1000} for key, samples in received.items()}
        self.assert_same(expected, late, "the receiver since the first scheduled run")

    def live(self, lab):
        folder = os.path.join(lab.state, "tenants")
        return {key: text(os.path.join(folder, key)) for key in arrivals.lake_keys(folder)}


class Meeting(BackfillCase):
    """What is in the lake already."""

    def test_cells_of_scheduled_runs_are_taken_over(self):
        lab = self.lab(tenants=2)
        start, end = lab.window()
        self.assert_status(lab.run(), 0)
        before = files(lab.lake)
        lab.cleared()
        report = self.report(lab, start, end)
        stats = report["totals"]["stats"]
        self.assertEqual(stats["adopted_cells"], stats["cells"])
        self.assertEqual(stats["rejected"], 0, "what the scheduled run has delivered is called refused")
        self.assertEqual(stats["already_there"] + stats["acked"], stats["samples"])
        self.assertNotIn("monitoring", lab.daemon.control("stats")["calls"])
        self.assertEqual(before, files(lab.lake))
        self.assert_exact(lab)

    def test_what_a_scheduled_run_without_a_lake_delivered_is_not_called_refused(self):
        lab = self.lab(tenants=1)
        lab.settings["jobs"]["ecs"]["to"] = ["prom"]
        start, end = lab.window()
        self.assert_status(lab.run(), 0)
        stats = self.report(lab, start, end)["totals"]["stats"]
        self.assertEqual(stats["rejected"], 0)
        self.assertEqual(stats["already_there"] + stats["acked"], stats["samples"])

    def test_a_scheduled_run_goes_on_over_what_a_backfill_did(self):
        lab = self.lab(tenants=2)
        start, end = lab.window()
        self.assert_status(lab.run(), 0)
        self.assert_status(self.backfill(lab, start, end + HOUR, now=NOW + 2 * HOUR), 0)
        before = files(lab.lake)
        self.assert_status(lab.run(now=NOW + 2 * HOUR), 0)
        self.assertEqual(before, {key: value for key, value in files(lab.lake).items() if key in before})
        self.assert_exact(lab, start, NOW + 2 * HOUR - 300)
        self.assertFalse(lab.folder_has("lake/rejected"))

    def test_cells_of_another_definition_are_left_alone(self):
        lab = self.lab(tenants=2)
        start, end = lab.window()
        self.assert_status(lab.run(), 0)
        before = files(lab.lake)
        lab.settings["jobs"]["ecs"]["from"][0]["statistics"] = ["Average", "Maximum"]
        result = self.backfill(lab, start - HOUR, end)
        self.assert_status(result, 1)
        said = result.errors("another definition", "tenant=t0001", "--into NAME")
        self.assertTrue(said, result.err)
        self.assertEqual(before, {key: value for key, value in files(lab.lake).items() if key in before})

    def test_a_folder_beside(self):
        lab = self.lab(tenants=2)
        lab.settings["jobs"]["ecs"]["to"] = ["lake"]
        start, end = lab.window()
        self.assert_status(lab.run(), 0)
        before = files(lab.lake)
        lab.settings["jobs"]["ecs"]["naming"] = "adot-units"
        self.assert_status(self.backfill(lab, start, end, "--into", "ecs-2", "--job", "ecs"), 0)
        self.assertEqual(before, {key: value for key, value in files(lab.lake).items() if key in before})
        beside = {key for key in files(lab.lake) if key not in before}
        self.assertEqual({key.replace("ecs/", "ecs-2/", 1) for key in before}, beside)
        names = {row["name"] for key in beside for row in arrivals.rows_of(os.path.join(lab.lake, key))}
        self.assertIn("ecs_task_memory_utilized_MiB", names)

    def test_a_sink_that_is_new_to_a_backfill_is_filled_from_the_lake(self):
        lab = self.lab(tenants=1)
        lab.settings["jobs"]["ecs"]["to"] = ["lake"]
        self.assert_status(self.backfill(lab, NOW - 5 * HOUR, NOW - HOUR), 0)
        lab.settings["jobs"]["ecs"]["to"] = ["lake", "prom"]
        lab.cleared()
        self.assert_status(self.backfill(lab, NOW - 5 * HOUR, NOW - HOUR), 0)
        self.assertNotIn("GetMetricData", lab.daemon.control("stats")["calls"].get("monitoring", {}))
        self.assert_exact(lab, NOW - 5 * HOUR, NOW - HOUR)


class OpenMetrics(BackfillCase):
    """What comes too late for the receiver."""

    def settings(self, lab):
        lab.settings["sinks"]["prom"]["max_age"] = "1h"
        lab.settings["sinks"]["old"] = {"kind": "openmetrics", "url": "file://" + lab.path("old")}
        lab.settings["jobs"]["ecs"]["to"] = ["old", "prom", "lake"]

    def test_the_receiver_gets_the_last_hour_and_the_files_the_rest(self):
        lab = self.lab(tenants=2)
        self.settings(lab)
        stats = self.report(lab, NOW - 7 * HOUR, NOW - 300)["totals"]["stats"]
        self.assert_lake(lab, windows(lab.world, NOW - 7 * HOUR, NOW - 300))
        self.assert_received(lab, windows(lab.world, NOW - HOUR, NOW - 300))
        expected = Expected(lab.world).samples(windows(lab.world, NOW - 7 * HOUR, NOW - HOUR))
        self.assert_same(expected, arrivals.open_metrics(lab.path("old")), "the files")
        self.assertEqual(stats["too_old"], sum(len(samples) for samples in expected.values()))

    def test_scheduled_runs_leave_no_files_while_the_receiver_takes_all(self):
        lab = self.lab(tenants=1)
        self.settings(lab)
        self.assert_status(lab.run(), 0)
        self.assertFalse(lab.folder_has("old"))
        self.assert_status(lab.run(now=NOW + 6 * HOUR), 0)  # an outage: what is caught up comes too late
        start, end = lab.window(NOW)[1], NOW + 5 * HOUR
        self.assert_same(Expected(lab.world).samples(windows(lab.world, start, end)), arrivals.open_metrics(lab.path("old")), "the files")

    def test_what_the_receiver_has_gone_past_goes_to_the_files_too(self):
        """Young enough for it, but older than what a scheduled run has sent since."""
        lab = self.lab(tenants=1)
        self.settings(lab)
        start, end = lab.window()
        self.assert_status(lab.run(), 0)
        stats = self.report(lab, NOW - 2 * HOUR, end)["totals"]["stats"]
        expected = Expected(lab.world).samples(windows(lab.world, NOW - 2 * HOUR, start))
        self.assert_same(expected, arrivals.open_metrics(lab.path("old")), "the files")
        self.assertEqual(stats["rejected"] + stats["too_old"], sum(map(len, expected.values())))
        self.assert_received(lab, windows(lab.world, start, end))

    def test_a_job_for_the_files_alone(self):
        lab = self.lab(tenants=1)
        self.settings(lab)
        lab.settings["jobs"]["ecs"]["to"] = ["old"]
        self.assert_status(self.backfill(lab, NOW - 4 * HOUR, NOW - 300), 0)
        spans = windows(lab.world, NOW - 4 * HOUR, NOW - 300)
        self.assert_same(Expected(lab.world).samples(spans), arrivals.open_metrics(lab.path("old")), "the files")

    @unittest.skipUnless(shutil.which("promtool") and shutil.which("prometheus"), "no prometheus on this machine")
    def test_a_real_prometheus_answers_from_blocks_made_of_them(self):
        lab = self.lab(tenants=2, regions=["eu-west-1", "us-east-1"])
        for tenant, tier in zip(lab.world.tenants, ("gold", "weird \" \\ \n é")):
            tenant["labels"] = {"tier": tier}
        lab.settings = lab.configure()
        self.settings(lab)
        start, end = NOW - 7 * HOUR, NOW - HOUR
        self.assert_status(self.backfill(lab, start, end), 0)
        data = lab.path("prometheus/data")
        os.makedirs(data)
        for day in range(start // DAY, -(-end // DAY)):
            self.make_blocks(lab, stamp(day * DAY), data)
        receiver = start_prometheus(lab.path("prometheus"))
        self.addCleanup(receiver.stop)
        found = arrivals.prometheus(receiver.url, start - HOUR, end + HOUR)
        self.assert_same(Expected(lab.world).samples(windows(lab.world, start, end)), found, "prometheus")

    def make_blocks(self, lab, day, data):
        """By the very words of `muster help config`."""
        told = subprocess.run([MUSTER, "help", "config"], check=True, capture_output=True, text=True).stdout
        recipe = re.search(r"\(find \..*?DATA_DIR", told, re.DOTALL).group(0)
        recipe = re.sub(r"\s+", " ", recipe).replace("2026-01-01", f"{day[:4]}-{day[4:6]}-{day[6:8]}")
        recipe = recipe.replace("DATA_DIR", data).replace("day.om", lab.path("day.om"))
        subprocess.run(["bash", "-euo", "pipefail", "-c", recipe], check=True, capture_output=True, cwd=lab.path("old"))


if __name__ == "__main__":
    unittest.main()
