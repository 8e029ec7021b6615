#!/usr/bin/python3
"""P6 among many: runs of one configuration at once, each with its own idea of now, some of them asleep for longer than
their lease and then awake again in the middle of what they did.

MUSTER_RACES says how many rounds each race has (default 2), MUSTER_SEED which.
"""
import os
import random
import signal
import time
import unittest

from bucket import S3Case
from expected import rfc3339
from lab import NOW, PATIENCE, finish

ROUNDS = int(os.environ.get("MUSTER_RACES", "2"))
SEED = int(os.environ.get("MUSTER_SEED", "1"))
SLOW = [{"match": {"service": "monitoring", "operation": "GetMetricData"}, "kind": "hang", "ms": 120, "prob": 0.5},
        {"match": {"service": "s3", "operation": "PutObject"}, "kind": "hang", "ms": 60, "prob": 0.5},
        {"match": {"service": "prometheus"}, "kind": "hang", "ms": 60, "prob": 0.5}]


class Race(S3Case):
    def pause_some(self, lab, runs, chance):
        """One after the other they sleep, while every lease runs out and the others go on."""
        while any(process.poll() is None for process in runs):
            process = chance.choice(runs)
            if process.poll() is None:
                process.send_signal(signal.SIGSTOP)
                lab.lease_passes()
                time.sleep(chance.uniform(0.05, 0.4))
                process.send_signal(signal.SIGCONT)
            time.sleep(chance.uniform(0, 0.1))

    def race(self, processes, seed):
        chance = random.Random(seed)
        lab = self.lab(tenants=4, regions=["eu-west-1", "us-east-1"])
        start, _ = lab.window()
        self.settle(lab)
        lab.tell(NOW + 1800)
        lab.daemon.control("faults", SLOW)
        nows = [NOW + 300 * chance.randint(1, 6) for _ in range(processes)]
        runs = [lab.start("--now", rfc3339(now) + "Z") for now in nows]
        self.pause_some(lab, runs, chance)
        overtaken = 0
        for process in runs:
            result = finish(process, 60 * PATIENCE)
            self.assertIn(result.status, (0, 1), result.err)
            overtaken += len(result.errors("stream skipped", "another run has moved it"))
        lab.daemon.control("faults", method="DELETE")
        lab.lease_passes()
        self.settle(lab)
        self.assert_exact(lab, start)
        return overtaken

    def races(self, processes):
        overtaken = 0
        for seed in range(SEED, SEED + ROUNDS):
            with self.subTest(seed=seed):
                overtaken += self.race(processes, seed)
        print(f"{processes} runs at once, {ROUNDS} times: {overtaken} streams overtaken", flush=True)
        return overtaken

    def test_two(self):
        self.races(2)

    def test_ten(self):
        self.assertGreater(self.races(10), 0, "nobody was overtaken in the middle of what it did")


if __name__ == "__main__":
    unittest.main()
