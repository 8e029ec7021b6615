#!/usr/bin/python3
"""P8, damage is seen and mended: whatever happens to both copies of a checkpoint, what is frozen tells where to go on.
No tenant is given up, none begins anew in silence.
"""
import glob
import os
import unittest

import arrivals
from lab import NOW, Case

COPIES = ("ecs.json", "ecs.prev.json")


class Damage(Case):
    def checkpoints(self, lab, tenant):
        return [os.path.join(lab.state, "tenants", tenant, name) for name in COPIES]

    def begun(self, **named):
        lab = self.lab(tenants=2, **named)
        start, _ = lab.window()
        for now in (NOW, NOW + 300):
            self.assert_status(lab.run(now=now), 0)
        return lab, start

    def assert_mended(self, lab, start, now, *words):
        result = lab.run(now=now)
        self.assert_status(result, 0)
        self.assertTrue(result.errors("tenant=t0001", *words), result.err)
        self.assert_exact(lab, start)
        self.assertFalse(lab.folder_has("lake/rejected"), "samples that arrived are called refused")
        self.assert_status(lab.run(now=now + 300), 0)
        self.assert_exact(lab, start)

    def test_both_are_torn(self):
        lab, start = self.begun()
        for path in self.checkpoints(lab, "t0001"):
            with open(path, "r+b") as file:
                file.truncate(os.path.getsize(path) // 2)
        self.assert_mended(lab, start, NOW + 600, "damaged", "frozen")
        self.assertEqual(len(glob.glob(os.path.join(lab.state, "tenants", "t0001", "*.damaged-*.json"))), 2)

    def test_both_are_gone_and_two_hours_went_by(self):
        """A first run begins half an hour ago; what is frozen says that this is none."""
        lab, start = self.begun()
        for path in self.checkpoints(lab, "t0001"):
            os.unlink(path)
        self.assert_mended(lab, start, NOW + 2 * 3600, "no checkpoint, but frozen cells")

    def test_one_is_torn_and_the_other_another_tenants(self):
        lab, start = self.begun()
        newest, prev = self.checkpoints(lab, "t0001")
        with open(self.checkpoints(lab, "t0002")[0], "rb") as other, open(newest, "wb") as file:
            file.write(other.read())
        with open(prev, "wb"):
            pass
        self.assert_mended(lab, start, NOW + 3600, "damaged", "frozen")

    def test_without_a_lake_it_goes_back_as_far_as_it_may(self):
        lab = self.lab(tenants=1)
        lab.settings["jobs"]["ecs"]["to"] = ["prom"]
        start, _ = lab.window()
        self.assert_status(lab.run(), 0)
        for path in self.checkpoints(lab, "t0001"):
            with open(path, "wb") as file:
                file.write(b"{}")
        lab.settings["run"] = {"max_catchup": "4h"}
        self.assert_status(lab.run(now=NOW + 3 * 3600), 0)
        _, end = lab.window()
        self.assert_received(lab, {"t0001": (start, end)})

    def test_what_is_too_old_for_the_receiver_is_on_record(self):
        lab = self.lab(tenants=1, flags=("--rw-max-age", 3600))
        lab.settings["sinks"]["prom"]["max_age"] = "1h"
        self.assert_status(lab.run(), 0)
        os.unlink(self.checkpoints(lab, "t0001")[0])
        self.assert_status(lab.run(now=NOW + 3 * 3600), 0)
        checkpoint = arrivals.report(self.checkpoints(lab, "t0001")[0])
        reasons = {gap["reason"] for gap in checkpoint["streams"]["eu-west-1"]["gaps"]}
        self.assertEqual(reasons, {"older than the sink takes; it may have been sent before the checkpoint was lost"})


if __name__ == "__main__":
    unittest.main()
