#!/usr/bin/python3
"""Against real receivers, asked through their own query interfaces: Prometheus and VictoriaMetrics."""
import random
import shutil
import signal
import time
import unittest

import arrivals
from expected import Expected, windows
from lab import NOW, PATIENCE, Case, finish, start_prometheus, start_victoria

DATA = {"service": "monitoring", "operation": "GetMetricData"}


@unittest.skipUnless(shutil.which("prometheus"), "no prometheus on this machine")
class Prometheus(Case):
    def prometheus(self, lab):
        receiver = start_prometheus(lab.path("prometheus"))
        self.addCleanup(receiver.stop)
        lab.settings["sinks"]["prom"]["url"] = f"{receiver.url}/api/v1/write"
        return receiver

    def assert_there(self, lab, receiver, start, end):
        found = arrivals.prometheus(receiver.url, start - 600, end + 600)
        self.assert_received(lab, windows(lab.world, start, end), found)
        self.assert_lake(lab, windows(lab.world, start, end))
        self.assertFalse(lab.folder_has("lake/rejected"))

    def test_exactly_the_truth(self):
        lab = self.lab(tenants=5, clusters=2)
        receiver = self.prometheus(lab)
        start, _ = lab.window()
        for later in (0, 300, 1500):
            self.assert_status(lab.run(now=NOW + later), 0)
        self.assert_there(lab, receiver, start, lab.window()[1])

    def test_killed_again_and_again(self):
        """A real head block answers a resent sample with 400, which must be taken for what it is."""
        lab, dice = self.lab(tenants=6), random.Random(3)
        receiver = self.prometheus(lab)
        start, _ = lab.window()
        self.assert_status(lab.run(), 0)
        lab.daemon.control("faults", [{"match": DATA, "kind": "hang", "ms": 30, "prob": 0.5}])
        for _ in range(6):
            lab.tell(lab.now + 300)
            process = lab.start()
            time.sleep(dice.uniform(0, 0.3) * PATIENCE)
            process.send_signal(signal.SIGKILL)
            finish(process, 10)
        self.assert_status(lab.run(), 0)
        self.assert_there(lab, receiver, start, lab.window()[1])

    def test_killed_itself_in_between(self):
        lab = self.lab()
        lab.settings["run"] = {"deadline": "5s"}
        receiver = self.prometheus(lab)
        start, _ = lab.window()
        self.assert_status(lab.run(), 0)
        receiver.stop()
        self.assertNotEqual(lab.run(now=NOW + 600).status, 0)
        receiver = self.prometheus(lab)
        self.assert_status(lab.run(now=NOW + 900), 0)
        self.assert_there(lab, receiver, start, lab.window()[1])

    def test_samples_from_before_its_head_are_accounted_for(self):
        """What a receiver refuses for good is in the lake and on record, and nobody waits for it for ever."""
        lab = self.lab(tenants=2)
        receiver = self.prometheus(lab)
        self.assert_status(lab.run("--tenant", "t0001", now=NOW + 4 * 3600), 0)
        start, end = lab.window(NOW)
        result = lab.run("--tenant", "t0002", now=NOW)
        self.assertIn(result.status, (0, 1), result.err)
        later = windows(lab.world, *lab.window(NOW + 4 * 3600), {"t0001"})
        self.assert_received(lab, later, arrivals.prometheus(receiver.url, start, NOW + 5 * 3600))
        self.assert_same(Expected(lab.world).objects({"t0002": (start, end)}), self.base_objects(lab, "t0002"), "the lake")

    def base_objects(self, lab, tenant):
        keys = [key for key in arrivals.lake_keys(lab.lake) if key.startswith(f"ecs/tenant={tenant}/")]
        return {key: arrivals.rows_of(f"{lab.lake}/{key}") for key in keys}


@unittest.skipUnless(shutil.which("victoria-metrics"), "no victoria-metrics on this machine")
class Victoria(Case):
    def test_exactly_the_truth_and_no_sample_twice(self):
        """It keeps what is sent twice twice, and shows it: so nothing may be."""
        lab = self.lab(tenants=4)
        receiver = start_victoria(lab.path("victoria"))
        self.addCleanup(receiver.stop)
        lab.settings["sinks"]["prom"]["url"] = f"{receiver.url}/api/v1/write"
        start, _ = lab.window()
        for later in (0, 60, 300, 1500):
            self.assert_status(lab.run(now=NOW + later), 0)
        end = lab.window()[1]
        found = arrivals.victoria(receiver.url, start - 600, end + 600)
        for samples in found.values():
            self.assertEqual(len(samples), len(dict(samples)), "a sample is there twice")
        expected = Expected(lab.world).samples(windows(lab.world, start, end))
        self.assertEqual(set(found), set(expected))
        for labels, samples in expected.items():
            self.assertEqual(list(dict(found[labels])), list(samples), labels)
            for (_, have), want in zip(found[labels], samples.values()):
                self.assertAlmostEqual(have, want, delta=abs(want) * 1e-14, msg=labels)  # it keeps decimals


if __name__ == "__main__":
    unittest.main()
