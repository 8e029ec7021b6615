#!/usr/bin/python3
"""Scale-out: however many processes divide the tenants, whichever of them die, run twice or are asked in another number the
next time, lake, receiver and checkpoints end as those of one process that was left in peace.
"""
import json
import signal
import time
import unittest
from urllib.parse import quote

from arrivals import lake_keys, stand_in
from bucket import BUCKET, S3Case
from lab import NOW, PATIENCE, Case, finish
from testing import send

TENANTS = 10
AT_ONCE = 6
LATER = 900
SILENT = {"match": {"service": "monitoring", "operation": "GetMetricData"}, "kind": "hang", "ms": 60000, "drop": True}
# The receiver has it all, and its answer does not come.
STORED = {"match": {"service": "prometheus"}, "nth": 2, "kind": "slowdrip", "chunk": 1, "interval_ms": 30000}
# How the engines tell a process which it is.
ENGINES = [lambda i, n: {"AWS_BATCH_JOB_ARRAY_INDEX": str(i), "AWS_BATCH_JOB_ATTEMPT": "1", "MUSTER_SHARDS": str(n)},
           lambda i, n: {"JOB_COMPLETION_INDEX": str(i), "MUSTER_SHARDS": str(n)},
           lambda i, n: {"SLURM_ARRAY_TASK_ID": str(i), "SLURM_ARRAY_TASK_COUNT": str(n), "SLURM_ARRAY_JOB_ID": "17"}]
# What differs between any two runs, and how they came there rather than where they stand.
PASSING = ("checksum", "generation", "lease", "nonce")


def settled(name, sink):
    """Where a sink stands, without who brought it there: what a killed process sent, another finds there already; what it
    froze, another adopts, and neither counts."""
    acked, already = sink.pop("acked"), sink.pop("already")
    del sink["bytes"]
    return {**sink, **({"there": acked + already} if name != "lake" else {})}


class Shards(S3Case):
    def lab(self, **named):
        return super().lab(tenants=TENANTS, services=1, **named)

    def array(self, lab, shards, twice=()):
        """Each index once, those of `twice` twice at once, as many at a time as an array may have."""
        waiting = [i for i in range(shards) for _ in range(2 if i in twice else 1)]
        running = []
        while waiting or running:
            while waiting and len(running) < AT_ONCE:
                i = waiting.pop(0)
                running.append(lab.start(env=ENGINES[i % 3](i, shards)))
            self.assert_status(finish(running.pop(0), 60 * PATIENCE), 0)

    def kill(self, lab, indices, shards, fault):
        """One task after the other, until one meets the fault and dies of it. Its leases outlive it, and then they do not."""
        lab.daemon.control("faults", [fault])
        for i in indices:
            process = lab.start(env=ENGINES[i % 3](i, shards))
            while process.poll() is None and not lab.daemon.control("faults")[0]["fired"]:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            if finish(process, 10).status == -signal.SIGKILL:
                lab.daemon.control("faults", method="DELETE")
                lab.lease_passes()
                return
        self.fail("no task met the fault")

    def checkpoints(self, lab):
        found = {}
        for row in lab.objects("state/tenants/"):
            if row["key"].endswith(".prev.json"):
                continue
            url = f"{lab.daemon.url}/_standin/s3/object?bucket={BUCKET}&key={quote(row['key'], safe='')}"
            document = json.loads(send("GET", url, {})[2])
            for name in PASSING:
                document.pop(name)
            for stream in document["streams"].values():
                del stream["calls"]  # of AWS: what was done again was asked for again
                stream["sinks"] = {name: settled(name, sink) for name, sink in stream["sinks"].items()}
            found[row["key"]] = document
        return found

    def left_behind(self, lab):
        """The lake to the byte, the receiver to the sample, and where each tenant stands."""
        lab.fetch()
        lake = {}
        for key in lake_keys(lab.lake):
            with open(f"{lab.lake}/{key}", "rb") as file:
                lake[key] = file.read()
        return lake, stand_in(lab.daemon), self.checkpoints(lab)

    def undisturbed(self):
        lab = self.lab()
        for now in (NOW, NOW + LATER):
            self.assert_status(lab.run(now=now), 0)
        self.assert_exact(lab, lab.window(NOW)[0])
        return self.left_behind(lab)

    def assert_the_same(self, found, expected):
        for got, wanted, what in zip(found, expected, ("lake", "receiver", "checkpoints")):
            self.assertEqual(got.keys(), wanted.keys(), what)
            for key, value in wanted.items():
                self.assertEqual(got[key], value, f"{what}: {key}")

    def test_one_seven_and_sixty_four_are_the_same(self):
        """One killed before it has anything and one when the receiver has it, many given twice, and in the second round in
        another number than in the first."""
        expected = self.undisturbed()
        for first, second in ((7, 64), (64, 7)):
            with self.subTest(first=first, second=second):
                lab = self.lab()
                self.kill(lab, range(first), first, SILENT)
                self.kill(lab, reversed(range(first)), first, STORED)
                self.array(lab, first, twice=range(0, first, 3))
                lab.tell(NOW + LATER)
                self.array(lab, second, twice=range(0, second, 3))
                self.assert_exact(lab, lab.window(NOW)[0])
                self.assert_the_same(self.left_behind(lab), expected)

    def test_each_does_its_own_and_no_more(self):
        lab = self.lab()
        owners = {}
        for i in range(7):
            path = lab.path("report.json")
            self.assert_status(lab.run("--report", path, env=ENGINES[i % 3](i, 7)), 0)
            with open(path, encoding="utf-8") as file:
                owners[i] = [row["tenant"] for row in json.load(file)["streams"]]
        self.assertEqual(sorted(tenant for mine in owners.values() for tenant in mine),
                         sorted(tenant["id"] for tenant in lab.world.tenants))
        self.assertGreater(sum(map(bool, owners.values())), 3)
        assumed = lab.daemon.control("stats")["calls"]["sts"]["AssumeRole"]
        self.assertEqual(assumed, {tenant["account"]: 1 for tenant in lab.world.tenants})


class Alone(Case):
    def test_a_shard_without_tenants_is_well(self):
        """And a tenant that is named, but another's, is no mistake of who typed it."""
        lab = self.lab(tenants=1, services=1)
        statuses = [lab.run("--tenant", "t0001", "--shard", f"{i}/7") for i in range(7)]
        self.assertEqual({result.status for result in statuses}, {0})
        self.assert_exact(lab)

    def test_an_index_that_cannot_be_is_refused_before_any_call(self):
        lab = self.lab(tenants=1, services=1)
        lab.cleared()
        for env in ({"AWS_BATCH_JOB_ARRAY_INDEX": "0"}, {"JOB_COMPLETION_INDEX": "7", "MUSTER_SHARDS": "7"},
                    {"SLURM_ARRAY_TASK_ID": "4", "SLURM_ARRAY_TASK_COUNT": "4"}):
            with self.subTest(**env):
                result = lab.run(env=env)
                self.assert_status(result, 2)
                self.assertEqual(len(result.err.splitlines()), 1, result.err)
                self.assertIn(next(iter(env)), result.err)
        self.assertEqual(lab.daemon.control("stats")["calls"], {})


if __name__ == "__main__":
    unittest.main()
