#!/usr/bin/python3
"""The happy path, exactly: every sample of the truth in the lake and in the receiver, once, and nothing else."""
import json
import os
import unittest

import arrivals
from expected import Expected, windows
from lab import NOW, Case


class Exact(Case):
    def test_a_first_run_brings_the_lookback(self):
        lab = self.lab()
        self.assert_status(lab.run(), 0)
        self.assert_exact(lab)
        self.assert_no_violation(lab)

    def test_lake_and_receiver_hold_the_same(self):
        lab = self.lab()
        self.assert_status(lab.run(), 0)
        self.assert_same(arrivals.samples_in(arrivals.lake(lab.lake)), arrivals.stand_in(lab.daemon), "lake against receiver")

    def test_later_runs_go_on_where_the_last_one_stopped(self):
        lab = self.lab()
        start, _ = lab.window()
        for later in (0, 60, 299, 300, 1500, 7000):
            self.assert_status(lab.run(now=NOW + later), 0)
            self.assert_exact(lab, start)
        self.assert_no_violation(lab)

    def test_a_second_run_at_the_same_time_asks_and_writes_nothing(self):
        lab = self.lab()
        self.assert_status(lab.run(), 0)
        before = arrivals.lake_keys(lab.lake)
        lab.cleared()
        self.assert_status(lab.run(), 0)
        stats = lab.daemon.control("stats")
        self.assertNotIn("GetMetricData", stats["calls"].get("monitoring", {}))
        self.assertNotIn("prometheus", stats["calls"])
        self.assertEqual(before, arrivals.lake_keys(lab.lake))

    def test_two_regions_and_own_labels(self):
        lab = self.lab(regions=["eu-west-1", "us-east-1"], clusters=2)
        for tenant, tier in zip(lab.world.tenants, ("gold", "silver", "weird \" \\ \n é")):
            tenant["labels"] = {"tier": tier}
        lab.settings = lab.configure()
        self.assert_status(lab.run("--report", lab.path("report.json")), 0)
        self.assert_exact(lab)
        with open(lab.path("report.json"), encoding="utf-8") as file:
            report = json.load(file)
        self.assertEqual(sorted((row["tenant"], row["region"]) for row in report["streams"]),
                         [(tenant["id"], region) for tenant in lab.world.tenants for region in ("eu-west-1", "us-east-1")])
        self.assertTrue(report["calls"])

    def test_a_second_lake_is_no_second_account_of_the_samples(self):
        lab = self.lab()
        lab.settings["sinks"]["copy"] = {"kind": "objects", "url": "file://" + lab.path("copy")}
        lab.settings["jobs"]["ecs"]["to"].append("copy")
        result = lab.run("--report", lab.path("report.json"))
        self.assert_status(result, 0)
        with open(lab.path("report.json"), encoding="utf-8") as file:
            stats = json.load(file)["totals"]["stats"]
        self.assertEqual(stats["samples"], stats["acked"])
        self.assertEqual(arrivals.lake_keys(lab.lake), arrivals.lake_keys(lab.path("copy")))

    def test_services_that_are_born_and_end(self):
        lab = self.lab(tenants=4, services=4, births=0.6, ends=0.6, epoch=NOW - 3600, span=7200)
        start, _ = lab.window()
        for later in (0, 900, 2400, 4200):
            self.assert_status(lab.run(now=NOW + later), 0)
        self.assert_exact(lab, start)

    def test_many_series_need_many_pages(self):
        lab = self.lab(tenants=1, clusters=8, services=16)
        self.assert_status(lab.run(), 0)
        self.assert_exact(lab)

    def test_each_protocol_brings_the_same(self):
        """CloudWatch in CBOR, however it is written, and in JSON where CBOR is not understood: asked for once."""
        bytes_of = []
        for style in ("open", "compact", "off"):
            lab = self.lab(tenants=5, flags=("--cbor", style))
            self.assert_status(lab.run("--workers", "1"), 0)
            self.assert_exact(lab)
            refused = lab.daemon.control("stats")["errors"].get("monitoring", {}).get("UnknownOperation", {})
            self.assertEqual(sum(refused.values()), 1 if style == "off" else 0)
            bytes_of.append({key: read(os.path.join(lab.lake, key)) for key in arrivals.lake_keys(lab.lake)})
        self.assertEqual(bytes_of[0], bytes_of[1])
        self.assertEqual(bytes_of[0], bytes_of[2])

    def test_workers_and_order_do_not_show(self):
        """P11: the same world, configuration and now give the same bytes, whatever the number of workers."""
        bytes_of = []
        for workers in (1, 7):
            lab = self.lab(tenants=5)
            self.assert_status(lab.run("--workers", str(workers)), 0)
            bytes_of.append({key: read(os.path.join(lab.lake, key)) for key in arrivals.lake_keys(lab.lake)})
        self.assertEqual(*bytes_of)

    def test_only_the_chosen_tenants(self):
        lab = self.lab(tenants=4)
        self.assert_status(lab.run("--tenant", "t0002", "--tenant", "*3"), 0)
        self.assert_exact(lab, tenants={"t0002", "t0003"})

    def test_a_remote_write_job_alone_and_a_lake_job_alone(self):
        lab = self.lab()
        job = lab.settings["jobs"]["ecs"]
        lab.settings["jobs"] = {"live": {**job, "to": ["prom"]}, "kept": {**job, "to": ["lake"]}}
        self.assert_status(lab.run(), 0)
        spans = windows(lab.world, *lab.window())
        self.assert_lake(lab, spans, job="kept")
        self.assert_received(lab, spans)

    def test_points_the_service_does_not_show_yet_are_not_frozen_as_missing(self):
        """The truth of the due cells is visible at `now`, so nothing of it may be absent."""
        lab = self.lab(delay=240)
        self.assert_status(lab.run(), 0)
        everything = Expected(lab.world).objects(windows(lab.world, *lab.window()))
        self.assert_same(everything, arrivals.lake(lab.lake), "the lake")


def read(path):
    with open(path, "rb") as file:
        return file.read()


if __name__ == "__main__":
    unittest.main()
