#!/usr/bin/python3
"""P1 after trouble that lasts: a receiver or a service that is away for hours, a run with little time, metrics that
cannot be had. What can still be taken comes first; what cannot is on record, never silent.
"""
import unittest

import arrivals
from expected import Expected, due_end, first_start, windows
from lab import NOW, PATIENCE, Case

HOUR = 3600
DATA = {"service": "monitoring", "operation": "GetMetricData"}
WRITE = {"service": "prometheus"}


class Outage(Case):
    def gaps(self, lab, tenant="t0001"):
        document = arrivals.report(f"{lab.state}/tenants/{tenant}/ecs.json")
        return document["streams"]["eu-west-1"]["gaps"]

    def current(self, lab, now):
        """What a receiver that takes an hour has to hold of it."""
        spans = windows(lab.world, due_end(now - HOUR) + 600, due_end(now))
        return Expected(lab.world).samples(spans)

    def assert_holds(self, expected, found):
        for key, samples in expected.items():
            self.assertLessEqual(samples.items(), found.get(key, {}).items(), key)

    def test_three_hours_later_and_in_a_hurry_the_receiver_is_current_first(self):
        """The second call of each tenant never ends, so the deadline comes before the old cells do."""
        lab = self.lab(tenants=3, flags=("--rw-max-age", HOUR))
        lab.settings["sinks"]["prom"]["max_age"] = "1h"
        start, _ = lab.window()
        self.assert_status(lab.run(), 0)
        lab.settings["run"] = {"deadline": f"{int(6 * PATIENCE)}s"}
        lab.daemon.control("faults", [{"match": DATA, "per_account": True, "after": 1, "kind": "hang", "ms": 600000}])
        self.assert_status(lab.run(now=NOW + 3 * HOUR), 1)
        expected = self.current(lab, lab.now)
        self.assertTrue(expected)
        self.assert_holds(expected, arrivals.stand_in(lab.daemon))
        self.assertFalse(lab.folder_has("lake/rejected"))
        lab.daemon.control("faults", method="DELETE")
        del lab.settings["run"]
        self.assert_status(lab.run(), 0)
        self.assert_lake(lab, windows(lab.world, start, due_end(lab.now)))
        reasons = {gap["reason"] for gap in self.gaps(lab)}
        self.assertEqual(reasons, {"older than the sink takes"})

    def test_a_receiver_that_is_down_for_hours_holds_back_its_own_cursor_only(self):
        lab = self.lab(tenants=2)
        start, _ = lab.window()
        lab.daemon.control("faults", [{"match": WRITE, "kind": "http503"}])
        for now in range(NOW, NOW + 2 * HOUR + 1, HOUR):
            self.assert_status(lab.run(now=now), 1)
            self.assert_lake(lab, windows(lab.world, start, due_end(now)))
        lab.daemon.control("faults", method="DELETE")
        self.assert_status(lab.run(now=NOW + 3 * HOUR), 0)
        self.assert_exact(lab, start)
        self.assertEqual(self.gaps(lab), [])

    def test_what_is_too_long_ago_is_a_gap_on_record(self):
        lab = self.lab(tenants=1)
        start, end = lab.window()
        self.assert_status(lab.run(), 0)
        lab.settings["run"] = {"max_catchup": "2h"}
        self.assert_status(lab.run(now=NOW + 5 * HOUR), 0)
        again = int((lab.now - 2 * HOUR) // 300 * 300)
        expected = Expected(lab.world)
        objects = {**expected.objects(windows(lab.world, start, end)),
                   **expected.objects(windows(lab.world, again, due_end(lab.now)))}
        found = {key: rows for key, rows in arrivals.lake(lab.lake).items() if ".late-" not in key}
        self.assert_same(objects, found, "the lake")
        self.assertEqual({gap["reason"] for gap in self.gaps(lab)}, {"max_catchup"})

    def test_metrics_that_cannot_be_had_do_not_hold_up_the_others_for_ever(self):
        """Deferred first; after three runs and 40 minutes taken as it is, with a gap; what is had later is late."""
        lab = self.lab(tenants=1)
        lab.settings["run"] = {"cell_deadline": "2s"}
        start = first_start(NOW)
        lab.daemon.control("faults", [{"match": DATA, "kind": "gmd-internal", "fraction": 0.3}])
        for now in (NOW, NOW + 600, NOW + 1200):
            self.assert_status(lab.run(now=now), 1)
            self.assertEqual(arrivals.lake_keys(lab.lake), [], "taken too early")
        result = lab.run(now=NOW + 1800)
        self.assert_status(result, 1)
        self.assertTrue(result.errors("cannot be had", "InternalError"), result.err)
        taken = [arrivals.cell_start(key) for key in arrivals.lake_keys(lab.lake)]
        self.assertTrue(taken)
        self.assertTrue(all(cell + 300 + 2400 <= lab.now for cell in taken), "a young cell was taken as it was")
        gap = self.gaps(lab)[0]
        self.assertIn("taken as it was", gap["reason"])
        lab.daemon.control("faults", method="DELETE")
        self.assert_status(lab.run(now=NOW + 2100), 0)
        found = arrivals.samples_in(arrivals.lake(lab.lake))
        self.assert_same(Expected(lab.world).samples(windows(lab.world, start, due_end(lab.now))), found, "the lake")


if __name__ == "__main__":
    unittest.main()
