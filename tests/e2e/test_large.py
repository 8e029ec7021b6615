#!/usr/bin/python3
"""Cells with more events than a query can bring, and cells with more bytes than fit in memory."""
import collections
import json
import os
import subprocess
import threading
import unittest

from bucket import S3Lab
from expected import lake_key
from lab import NOW, PATIENCE, Case, finish
from test_insights import Insights, clean, iso, job

from standin.events import Events

WORLD = {"tenants": 1, "now": NOW + 60, "flags": ["--logs-paging"], "logs": {"rate": 20.0, "huge": 0.004}, "services": 1}
KEY = lake_key("app", "t0001", "eu-west-1", NOW - 3600, NOW)


class Dense(Insights):
    """250,000 events in an hour, 30,000 of them within a second and 12,000 within a millisecond, and long lines."""

    def test_dense(self):
        at = (NOW - 3600) * 1000
        bursts = [{"at": at + 1_000_000, "events": 30000, "within": 1000}, {"at": at + 2_000_500, "events": 12000, "within": 1}]
        for flags in ((), ("--logs-paging",)):
            with self.subTest(flags=flags):
                lab = self.lab(tenants=1, now=NOW + 60, flags=flags,
                               logs={"rate": 58.0, "bursts": bursts, "huge": 0.0002}, services=1,
                               job_changes={"every": "1h", "lookback": "1h", "delay": "1m", "log_groups": ["/ecs/app-api"]})
                lab.settings["run"] = {"cell_deadline": "1h"}
                self.assert_status(lab.run(timeout=400), 0)
                self.assert_rows(lab, NOW - 3600, NOW, 3600)


class Large(Case):
    """A cell of 300 MB: its lines go through temporary files, and memory does not grow with it."""
    MOST = 48  # MiB. A page of results is in memory at once, up to 10 MiB of it, and as lines.

    def peak(self, process):
        """MiB that the process had at most, and its result."""
        peak, done = [0], threading.Event()

        def watch():
            while not done.wait(0.02):
                try:
                    with open(f"/proc/{process.pid}/status", encoding="utf-8") as file:
                        peak[0] = max(peak[0], *(int(line.split()[1]) for line in file if line.startswith("VmHWM")))
                except (OSError, TypeError):
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            result = finish(process, 600 * PATIENCE)
        finally:
            done.set()
            watcher.join()
        return peak[0] / 1024, result

    def settings(self, lab):
        lab.settings["jobs"] = {"app": job(every="1h", lookback="1h", delay="1m", log_groups=["/ecs/app-api"])}
        lab.settings["sinks"].pop("prom")
        lab.settings["run"] = {"cell_deadline": "1h"}
        return lab

    def pull(self, lab, state):
        """Twice: who comes second, without a checkpoint, finds the object and counts its lines."""
        peak, result = self.peak(lab.start())
        self.assert_status(result, 0)
        self.assertLess(peak, self.MOST)
        state()
        again, result = self.peak(lab.start("--report", lab.path("report.json")))
        self.assert_status(result, 0)
        self.assertLess(again, self.MOST)
        with open(lab.path("report.json"), encoding="utf-8") as file:
            stats = json.load(file)["totals"]["stats"]
        self.assertEqual(stats["adopted_cells"], 1)
        return peak, again, stats["lines"]

    def test_large(self):
        lab = self.settings(S3Lab(**WORLD))
        self.addCleanup(lab.close)

        def forget():
            lab.settings["state"] = "s3://muster-test/elsewhere"

        peak, again, lines = self.pull(lab, forget)
        lab.fetch()
        self.assert_large(lab, f"{lab.lake}/{KEY}", lines)
        self.assertEqual([row["writes"] for row in lab.objects("telemetry/app/")], [1])
        self.assertEqual(lab.count("open_uploads"), 0)
        calls = lab.daemon.control("stats")["calls"]
        self.assertGreaterEqual(sum(calls["s3"]["UploadPart"].values()), 2)
        print(f"pulled with a peak of {peak:.0f} MiB, adopted with {again:.0f}", flush=True)

    def assert_large(self, lab, path, lines):
        """The very events, in order, in a frame that ends as it should."""
        group = next(group for _, group in Events(lab.world).all_groups() if group.name == "/ecs/app-api")
        events = Events(lab.world).between(group, (NOW - 3600) * 1000, NOW * 1000 - 1)
        expected = collections.Counter((iso(event.ms), event.pointer, len(clean(event.message))) for event in events)
        found, size, last = collections.Counter(), 0, ""
        with subprocess.Popen(["zstd", "-dcq", path], stdout=subprocess.PIPE) as text:
            for line in text.stdout:
                row = json.loads(line)
                self.assertGreaterEqual(row["ts"], last)
                last = row["ts"]
                size += len(line)
                found[row["ts"], row["ptr"], len(row["message"])] += 1
        self.assertEqual(text.returncode, 0)
        self.assertGreater(size, 250_000_000, "a cell that is not large proves nothing")
        self.assertEqual(found, expected)
        self.assertEqual(sum(found.values()), lines)
        print(f"a cell of {size / 1e6:.0f} MB, {lines} lines, {os.path.getsize(path) / 1e6:.0f} MB compressed: ", end="")


if __name__ == "__main__":
    unittest.main()
