#!/usr/bin/python3
"""P2, nothing twice, and P1, nothing lost: killed at any instant, again and again, each time run again at a later now,
the lake and the receiver end with the truth, to the byte and the sample.

MUSTER_KILLS says how often (default 20), MUSTER_SEED which instants.
"""
import os
import signal
import unittest

from expected import windows
from lab import NOW, PATIENCE, Case, Killer, begun_windows, finish

KILLS = int(os.environ.get("MUSTER_KILLS", "20"))
SEED = int(os.environ.get("MUSTER_SEED", "1"))
DATA = {"service": "monitoring", "operation": "GetMetricData"}


class Kill(Case):
    def torment(self, lab, kills, longest):
        """Start, kill at a random instant, let time pass; `kills` times. Returns how many were killed at work."""
        killer = Killer(SEED, longest)
        for _ in range(kills):
            lab.tell(lab.now + killer.strike(lab))
        return killer.killed

    def settle(self, lab):
        result = lab.run()
        self.assert_status(result, 0)
        self.assertFalse(lab.folder_has("lake/rejected"), "samples that arrived are called refused")

    def test_killed_over_and_over(self):
        """All streams begin in a first whole run, so the end is known to the cell."""
        lab = self.lab(tenants=8, regions=["eu-west-1", "us-east-1"])
        start, _ = lab.window()
        self.settle(lab)
        lab.tell(NOW + 900)
        lab.daemon.control("faults", [{"match": DATA, "kind": "hang", "ms": 30, "prob": 0.5},
                                      {"match": {"service": "prometheus"}, "kind": "hang", "ms": 15, "prob": 0.5}])
        killed = self.torment(lab, KILLS, 0.45)
        self.assertGreater(killed, KILLS / 3, "too few runs were at work when they were killed")
        self.settle(lab)
        self.assert_exact(lab, start)

    def test_killed_in_the_first_runs_of_all(self):
        lab = self.lab(tenants=10)
        earliest, _ = lab.window()
        lab.daemon.control("faults", [{"match": DATA, "kind": "hang", "ms": 30}])
        self.torment(lab, max(KILLS // 2, 3), 0.3)
        self.settle(lab)
        spans = begun_windows(lab, earliest)
        self.assert_lake(lab, spans)
        self.assert_received(lab, spans)

    def test_killed_by_the_receiver_taking_all_and_answering_nothing(self):
        """The worst instant on purpose: everything was stored, the answer is lost, and the process dies of it."""
        lab = self.lab(tenants=3)
        start, _ = lab.window()
        for nth in range(1, 6):
            lab.daemon.control("faults", [{"match": {"service": "prometheus"}, "kind": "slowdrip", "nth": nth,
                                           "chunk": 1, "interval_ms": 30000}])
            process = lab.start()
            self.wait_for_fault(lab)
            process.send_signal(signal.SIGKILL)
            finish(process, 10)
            lab.daemon.control("faults", method="DELETE")
            lab.tell(lab.now + 300)
        self.settle(lab)
        self.assert_exact(lab, start)

    def test_two_runs_at_once_do_no_harm(self):
        """P6: the second sees the lease, skips what the first holds, and this alone changes no status."""
        lab = self.lab(tenants=6)
        lab.daemon.control("faults", [{"match": DATA, "kind": "hang", "ms": 100}])
        runs = [lab.start() for _ in range(3)]
        for process in runs:
            self.assert_status(finish(process, 60 * PATIENCE), 0)
        self.assert_exact(lab)
        self.assert_status(lab.run(), 0)
        self.assert_received(lab, windows(lab.world, *lab.window()))


if __name__ == "__main__":
    unittest.main()
