#!/usr/bin/python3
"""P1 and P2 at every system call: the program is killed as it enters each call that has an effect outside of it, one
after the other, and run again; in the end lake and receiver hold the truth.

MUSTER_SYSCALLS says at how many of them (default 30 for each kind of job, spread over all; "all": at each), MUSTER_SEED
which. tests/sim/killer.c counts and kills.
"""
import json
import os
import random
import subprocess
import unittest

from expected import rfc3339
from lab import MUSTER, PATIENCE, ROOT, finish
from test_insights import DELAY, NOW, Insights, job, window

KILLER = os.path.join(ROOT, "build", "tests", "sim", "killer")
POINTS = os.environ.get("MUSTER_SYSCALLS", "30")
SEED = int(os.environ.get("MUSTER_SEED", "1"))
STEP = 300     # one more cell for each stream
TRIES = 4      # threads make a few calls more or less from run to run
KILLED = 137


@unittest.skipUnless(os.access(KILLER, os.X_OK), f"{KILLER} is not built")
class Syscalls(Insights):
    def under_killer(self, lab, what):
        """A run, killed at the call of that number, or counted."""
        command = [KILLER, str(what), MUSTER, "run", "-c", lab.path("muster.yaml", json.dumps(lab.settings)), "--workers", "1",
                   "--now", rfc3339(lab.now) + "Z"]
        process = subprocess.Popen(command, env={**lab.environment(), "KILLER_REPORT": lab.path("calls")}, cwd=lab.folder,
                                   text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return finish(process, 60 * PATIENCE)

    def count(self, lab):
        """How many calls an undisturbed run makes that has one cell to do for each stream, and of which names."""
        lab.tell(lab.now + STEP)
        self.assert_status(self.under_killer(lab, "COUNT"), 0)
        with open(lab.path("calls"), encoding="ascii") as file:
            lines = file.read().splitlines()
        return int(lines[0].split()[1]), {line.split(":")[0].strip() for line in lines[1:]}

    def hit(self, lab, point):
        """Kill a run at that call, and let the next one finish its work. False: no run had so many calls."""
        for _ in range(TRIES):
            lab.tell(lab.now + STEP)
            result = self.under_killer(lab, point)
            again = lab.run()
            self.assertEqual(again.status, 0, f"after a kill at call {point}:\n{again.err[-3000:]}")
            if result.status == KILLED:
                return True
            self.assert_status(result, 0)
        return False

    def sweep(self, lab, expected):
        self.assert_status(lab.run(), 0)
        calls, names = self.count(lab)
        self.assertLessEqual(expected, names)
        points = range(1, calls + 1)
        if POINTS != "all":
            points = sorted(random.Random(SEED).sample(points, min(int(POINTS), calls)))
        missed = [point for point in points if not self.hit(lab, point)]
        print(f"calls={calls} points={len(points) - len(missed)} restarts={len(points)}", end=" ", flush=True)
        # Only the very last may be missing where other runs had fewer; any other gap makes the sweep void.
        self.assertTrue(all(point > calls - 8 for point in missed), f"never reached: {missed} of {calls}")

    def test_metrics(self):
        lab = super(Insights, self).lab(tenants=2, services=1)
        start, _ = lab.window()
        self.sweep(lab, {"write", "fsync", "linkat", "renameat", "sendto", "recvfrom"})
        self.assert_exact(lab, start)

    def test_insights(self):
        lab = self.lab(tenants=1, services=1)
        lab.settings["jobs"] = {"app": job()}
        self.sweep(lab, {"write", "fsync", "linkat", "renameat", "sendto", "recvfrom"})
        self.assert_rows(lab, window(NOW)[0], (lab.now - DELAY) // STEP * STEP)


if __name__ == "__main__":
    unittest.main()
