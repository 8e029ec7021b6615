#!/usr/bin/python3
"""Lake and state in S3: P1, P2, P6 and P10 without a disk. No object of the lake is ever written twice, whatever is lost,
killed or run at once.

MUSTER_S3_KILLS says how often runs are killed (default 10), MUSTER_SEED at which instants.
"""
import os
import signal
import time
import unittest

from bucket import BUCKET, S3Case
from lab import NOW, PATIENCE, Killer, begun_windows, finish

KILLS = int(os.environ.get("MUSTER_S3_KILLS", "10"))
SEED = int(os.environ.get("MUSTER_SEED", "1"))
DATA = {"service": "monitoring", "operation": "GetMetricData"}
PUT = {"service": "s3", "operation": "PutObject"}
WITHIN = 5 * PATIENCE


class S3(S3Case):
    def test_a_backfill(self):
        """Killed and given again; its files of OpenMetrics are in the bucket, too."""
        lab = self.lab(tenants=2, epoch=NOW - 86400, span=2 * 86400, services=1)
        lab.settings["sinks"]["old"] = {"kind": "openmetrics", "url": f"s3://{BUCKET}/old"}
        lab.settings["jobs"]["ecs"]["to"] = ["prom", "lake", "old"]
        words = ("--from", "now-7h", "--to", "now-1h")
        process = lab.start(*words, command="backfill")
        deadline = time.monotonic() + 20 * PATIENCE
        while time.monotonic() < deadline and len(lab.objects("telemetry/")) < 20:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        finish(process, 10)
        lab.lease_passes()
        self.assert_status(lab.run(*words, command="backfill"), 0)
        self.assert_exact(lab, NOW - 7 * 3600, NOW - 3600)
        frozen = [row["key"].removeprefix("telemetry/").removesuffix(".ndjson.zst") for row in lab.objects("telemetry/ecs/")]
        self.assertEqual(frozen, [row["key"].removeprefix("old/").removesuffix(".om") for row in lab.objects("old/ecs/")])

    def test_the_truth_and_nothing_else(self):
        lab = self.lab()
        start, _ = lab.window()
        self.settle(lab)
        self.assert_exact(lab)
        for later in (300, 900):
            lab.tell(NOW + later)
            self.settle(lab)
        self.assert_exact(lab, start)
        self.assert_no_violation(lab)
        self.assertEqual(len(lab.objects("state/reports/")), 3)

    def test_role_owner_and_key(self):
        lab = self.lab()
        account = lab.world.central["account"]
        lab.settings["sinks"]["lake"].update(role=f"arn:aws:iam::{account}:role/lake-writer",
                                             expected_owner=account, kms_key="alias/lake")
        self.settle(lab)
        self.assert_exact(lab)
        headers = [row["headers"] for row in lab.objects("telemetry/ecs/")]
        self.assertTrue(headers)
        for row in headers:
            self.assertEqual(row["x-amz-server-side-encryption"], "aws:kms")
            self.assertEqual(row["x-amz-server-side-encryption-aws-kms-key-id"], "alias/lake")
        self.assert_no_violation(lab)
        lab.settings["sinks"]["lake"]["expected_owner"] = "999999999999"
        lab.tell(NOW + 300)
        result = lab.run()
        self.assertNotEqual(result.status, 0)
        self.assertTrue(result.errors("owned by 999999999999"), result.err[-3000:])

    def test_a_bucket_in_another_region(self):
        lab = self.lab(bucket=f"{BUCKET}::us-west-2")
        self.settle(lab)
        self.assert_exact(lab)

    def test_stores_that_cannot_be_used(self):
        lab = self.lab(flags=("--s3-ignore-conditions",))
        result = lab.run()
        self.assert_status(result, 3)
        self.assertTrue(result.errors("ignores conditional writes"), result.err)
        self.assertEqual(lab.objects("telemetry/ecs/"), [])
        lab.settings["state"] = "s3://no-such-bucket/state"
        result = lab.run()
        self.assert_status(result, 3)
        self.assertTrue(result.errors("bucket no-such-bucket does not exist"), result.err)

    def test_answers_get_lost(self):
        for kind in ({"kind": "reset-after"}, {"kind": "reset-before"}, {"kind": "http503", "effect": True},
                     {"kind": "http500"}, {"kind": "s3-conflict"}):
            with self.subTest(**kind):
                lab = self.lab()
                lab.daemon.control("faults", [{"match": PUT, "every": 3, **kind}])
                for later in (0, 300, 600):
                    # A tenant whose every attempt is hit fails, and says so; the next run carries on.
                    lab.tell(NOW + later)
                    result = lab.run()
                    self.assertIn(result.status, (0, 1), result.err[-3000:])
                    lab.lease_passes()
                lab.daemon.control("faults", method="DELETE")
                self.settle(lab)
                lab.fetch()
                spans = begun_windows(lab, NOW - 1800)
                self.assert_lake(lab, spans)
                self.assert_received(lab, spans)
                self.assert_untouched(lab)

    def torment(self, lab, longest):
        """Start, kill at a random instant, let time pass. Returns how many were killed at work."""
        killer = Killer(SEED, longest)
        for _ in range(KILLS):
            lab.tell(lab.now + killer.strike(lab))
            lab.lease_passes()
        return killer.killed

    def test_killed_over_and_over(self):
        lab = self.lab(tenants=8, regions=["eu-west-1", "us-east-1"])
        start, _ = lab.window()
        self.settle(lab)
        lab.tell(NOW + 900)
        lab.daemon.control("faults", [{"match": DATA, "kind": "hang", "ms": 30, "prob": 0.5},
                                      {"match": PUT, "kind": "hang", "ms": 40, "prob": 0.5},
                                      {"match": {"service": "prometheus"}, "kind": "hang", "ms": 15, "prob": 0.5}])
        killed = self.torment(lab, 0.45)
        self.assertGreater(killed, KILLS / 3, "too few runs were at work when they were killed")
        self.settle(lab)
        self.assert_exact(lab, start)

    def test_killed_in_the_first_runs_of_all(self):
        lab = self.lab(tenants=10)
        earliest, _ = lab.window()
        lab.daemon.control("faults", [{"match": DATA, "kind": "hang", "ms": 30}])
        self.torment(lab, 0.3)
        self.settle(lab)
        lab.fetch()
        spans = begun_windows(lab, earliest)
        self.assert_lake(lab, spans)
        self.assert_received(lab, spans)
        self.assert_untouched(lab)

    def test_a_killed_run_holds_its_tenants_for_a_minute(self):
        lab = self.lab(tenants=2)
        lab.daemon.control("faults", [{"match": DATA, "kind": "hang", "ms": 60000}])
        process = lab.start()
        time.sleep(1.0 * PATIENCE)
        process.send_signal(signal.SIGKILL)
        finish(process, 10)
        lab.daemon.control("faults", method="DELETE")
        result = lab.run()
        self.assertEqual(len(result.errors("the lease is held by run")), 2, result.err)
        self.assertEqual(lab.objects("telemetry/ecs/"), [])
        lab.lease_passes()
        self.settle(lab)
        self.assert_exact(lab)

    def test_machines_at_once_do_no_harm(self):
        """P6 without a lock that machines share."""
        lab = self.lab(tenants=6)
        lab.daemon.control("faults", [{"match": DATA, "kind": "hang", "ms": 100}])
        runs = [lab.start() for _ in range(3)]
        for process in runs:
            self.assert_status(finish(process, 60 * PATIENCE), 0)
        self.settle(lab)
        self.assert_exact(lab)

    def test_machines_at_once_without_a_lease(self):
        """The lease is a courtesy: where it has run out under a run that is still at work, the fence keeps order."""
        lab = self.lab(tenants=4)
        lab.daemon.control("faults", [{"match": DATA, "kind": "hang", "ms": 400},
                                      {"match": {"service": "prometheus"}, "kind": "hang", "ms": 100}])
        runs = []
        for _ in range(3):
            runs.append(lab.start())
            time.sleep(0.35 * PATIENCE)
            lab.lease_passes()
        for process in runs:
            finish(process, 60 * PATIENCE)
        lab.daemon.control("faults", method="DELETE")
        lab.lease_passes()
        self.settle(lab)
        self.assert_exact(lab)

    def test_told_to_stop_it_gives_up_its_leases(self):
        lab = self.lab(tenants=5)
        lab.daemon.control("faults", [{"match": DATA, "kind": "hang", "ms": 60000, "drop": True}])
        process = lab.start()
        time.sleep(1.0 * PATIENCE)
        process.send_signal(signal.SIGTERM)
        self.assert_status(finish(process, WITHIN), 143)
        lab.daemon.control("faults", method="DELETE")
        result = lab.run()
        self.assert_status(result, 0)
        self.assertEqual(result.errors("the lease is held"), [])
        self.assert_exact(lab)

    def test_told_to_stop_it_does_not_wait_for_a_store_in_trouble(self):
        for kind in ({"kind": "hang", "ms": 60000, "drop": True}, {"kind": "throttle", "retry_after": 30}):
            with self.subTest(**kind):
                lab = self.lab(tenants=8)
                lab.daemon.control("faults", [{"match": DATA, "kind": "hang", "ms": 60000, "drop": True},
                                              {"match": {"service": "s3"}, "after": 20, **kind}])
                process = lab.start()
                time.sleep(1.0 * PATIENCE)
                process.send_signal(signal.SIGTERM)
                began = time.monotonic()
                self.assert_status(finish(process, WITHIN), 143)
                self.assertLess(time.monotonic() - began, WITHIN)
                lab.daemon.control("faults", method="DELETE")
                lab.lease_passes()
                self.settle(lab)
                self.assert_exact(lab)

    def test_what_fifty_tenants_cost(self):
        """PUTs are what S3 charges for. Each cell is one. Of state a run writes three for a tenant (the first one: the
        lease, where its stream begins, the end; a later one: the checkpoint before, the lease, the end), and one with nothing
        to do none."""
        lab = self.lab(tenants=50)
        puts = []
        for later in (0, 300, 360):
            lab.tell(NOW + later)
            self.settle(lab)
            puts.append({"state": self.writes(lab, "state/tenants/"), "cells": self.writes(lab, "telemetry/ecs/")})
        requests = {name: lab.count(name) for name in ("puts", "gets", "heads", "lists")}
        print(f"50 tenants, PUTs after a first run, one with a cell each, one without: {puts}; all requests: {requests}",
              flush=True)
        self.assertEqual([row["state"] for row in puts], [150, 300, 300])
        self.assertEqual([row["cells"] for row in puts], [250, 300, 300])
        self.assert_exact(lab, NOW - 1800)


if __name__ == "__main__":
    unittest.main()
