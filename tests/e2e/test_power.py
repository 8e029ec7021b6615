#!/usr/bin/python3
"""P8: state and lake on a disk survive a power cut. The program dies before each of its operations on files in turn;
what it had not synced is gone, or torn, or there in any mixture; and the next runs end with the truth.

MUSTER_CUTS says at how many operations (default 24, spread over all; "all": at each), MUSTER_SEED which, and what
becomes of unsafe data.
"""
import json
import os
import random
import shutil
import signal
import subprocess
import unittest

from disk import Disk
from expected import rfc3339
from lab import MUSTER, PATIENCE, ROOT, Case, finish

PRELOAD = os.path.join(ROOT, "build", "tests", "sim", "powercut.so")
CUTS = os.environ.get("MUSTER_CUTS", "24")
SEED = int(os.environ.get("MUSTER_SEED", "1"))
STEP = 300


def content(root):
    """Every file and its bytes, but for locks."""
    found = {}
    for folder, _, files in os.walk(root):
        for name in files:
            with open(os.path.join(folder, name), "rb") as file:
                found[os.path.relpath(os.path.join(folder, name), root)] = file.read()
    return {path: data for path, data in found.items() if "/.locks/" not in path}


@unittest.skipUnless(os.access(PRELOAD, os.R_OK), f"{PRELOAD} is not built")
@unittest.skipIf("asan" in MUSTER or "tsan" in MUSTER, "sanitizers want to be loaded first")
class Power(Case):
    def run_until(self, lab, operation):
        """A run that dies before that operation on files; 0: never. Returns its status and what it did."""
        log = lab.path("operations")
        config = lab.path("muster.yaml", json.dumps(lab.settings))
        process = subprocess.Popen(
            [MUSTER, "run", "-c", config, "--workers", "1", "--now", rfc3339(lab.now) + "Z"], cwd=lab.folder, text=True,
            env={**lab.environment(), "LD_PRELOAD": PRELOAD, "POWERCUT_ROOT": lab.path("disk"), "POWERCUT_LOG": log,
                 "POWERCUT_AT": str(operation)},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        result = finish(process, 60 * PATIENCE)
        with open(log, encoding="utf-8") as file:
            return result, file.read().splitlines()

    def cut(self, lab, operation, dice):
        lab.tell(lab.now + STEP)
        disk = Disk(lab.path("disk"))
        result, operations = self.run_until(lab, operation)
        self.assertIn(result.status, (0, -signal.SIGKILL), result.err[-3000:])
        disk.play(operations)
        shutil.rmtree(lab.path("disk"))
        disk.after_power_cut(lab.path("disk"), dice)
        again = lab.run()
        self.assertEqual(again.status, 0, f"after a cut before operation {operation}:\n{again.err[-3000:]}")
        return result.status != 0

    def lab_on_disk(self):
        """After a first run."""
        lab = self.lab(tenants=2, services=1)
        lab.settings["state"] = f"file://{lab.path('disk')}/state"
        lab.settings["sinks"]["lake"]["url"] = f"file://{lab.path('disk')}/lake"
        os.mkdir(lab.path("disk"), 0o700)
        self.assert_status(lab.run(), 0)
        return lab

    def test_cut_when_a_run_has_ended(self):
        """Nothing of what it has said is lost; cells of new hours lie in new folders."""
        lab = self.lab_on_disk()
        lab.tell(lab.now + 3600)
        disk = Disk(lab.path("disk"))
        result, operations = self.run_until(lab, 0)
        self.assert_status(result, 0)
        self.assertTrue([line for line in operations if line.startswith("mkdir ")])
        written = content(lab.path("disk"))
        disk.play(operations)
        shutil.rmtree(lab.path("disk"))
        disk.after_power_cut(lab.path("disk"))
        self.assertEqual(content(lab.path("disk")), written)

    def test_cut_at_every_operation(self):
        lab = self.lab_on_disk()
        start, _ = lab.window()
        lab.tell(lab.now + STEP)
        result, operations = self.run_until(lab, 0)
        self.assert_status(result, 0)
        words = [line.split(" ")[0] for line in operations]
        for word in ("create", "write", "sync", "link", "rename"):
            self.assertIn(word, words)
        points = range(1, len(operations) + 1)
        if CUTS != "all":
            points = sorted(random.Random(SEED).sample(points, min(int(CUTS), len(points))))
        cuts = 0
        for point in points:
            for dice in (None, random.Random(SEED * 1000003 + point)):
                cuts += self.cut(lab, point, dice)
        print(f"operations={len(operations)} cuts={cuts}", end=" ", flush=True)
        self.assertGreaterEqual(cuts, 2 * len(points) - 4, "too few runs were cut short")
        shutil.copytree(lab.path("disk/lake"), lab.lake)
        self.assert_exact(lab, start)
        self.assertFalse(lab.folder_has("lake/rejected"))


if __name__ == "__main__":
    unittest.main()
