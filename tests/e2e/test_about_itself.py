#!/usr/bin/python3
"""What muster says of itself: the muster_* series and the report, against what a run is known to have done."""
import collections
import json
import random
import signal
import time
import unittest

from bucket import S3Case
from lab import PATIENCE, REGION, Case, finish

PER_STREAM = ("gap_seconds_total", "rows_written_total", "samples_over_limit_total", "samples_written_total",
              "stream_failures_total",
              "stream_lag_seconds", "stream_watermark_timestamp_seconds")


class AboutItself(Case):
    def series(self, lab, name):
        """{(tenant, sink): newest value} of one muster_* series."""
        rows = lab.daemon.control(f"rw/dump?name=muster_{name}")
        rows = rows if isinstance(rows, list) else [json.loads(line) for line in rows.splitlines()]
        return {(row["labels"].get("tenant"), row["labels"].get("sink")): row["samples"][-1][1] for row in rows}

    def test_the_series_of_a_run(self):
        lab = self.lab(tenants=3)
        lab.settings["run"] = {"self_metrics": "prom"}
        report = lab.path("report.json")
        self.assert_status(lab.run("--report", report), 0)
        with open(report, encoding="utf-8") as file:
            said = json.load(file)
        _, end = lab.window()
        tenants = {t["id"] for t in lab.world.tenants}
        for name in PER_STREAM:
            self.assertEqual({tenant for tenant, _ in self.series(lab, name)}, tenants, name)
        self.assertEqual(set(self.series(lab, "stream_watermark_timestamp_seconds").values()), {end})
        self.assertEqual(set(self.series(lab, "stream_lag_seconds").values()), {lab.now - end})
        self.assertEqual(sum(self.series(lab, "samples_written_total").values()), said["totals"]["stats"]["acked"])
        self.assertEqual(set(self.series(lab, "run_last_success_timestamp_seconds").values()), {lab.now})
        self.assertEqual({sink for _, sink in self.series(lab, "bytes_written_total")}, {"prom", "lake"})
        self.assertEqual(set(self.series(lab, "run_duration_seconds").values()), {said["duration_ms"] / 1000})
        self.assertEqual({tenant for tenant, _ in self.series(lab, "aws_cost_dollars_total")}, tenants)
        self.assertEqual({tenant for tenant, _ in self.series(lab, "aws_calls_total")}, tenants | {None})
        self.assertGreater(said["totals"]["estimated_dollars"], 0)

    def test_totals_only_grow_and_failures_count(self):
        lab = self.lab(tenants=2)
        lab.settings["run"] = {"self_metrics": "prom"}
        self.assert_status(lab.run(), 0)
        before = self.series(lab, "samples_written_total")
        lab.tell(lab.now + 600)
        broken = lab.world.tenants[0]
        lab.daemon.control("faults", [{"match": {"service": "monitoring", "account": broken["account"]},
                                       "kind": "denied"}])
        self.assert_status(lab.run(), 1)
        after = self.series(lab, "samples_written_total")
        key = (broken["id"], None)
        self.assertEqual(after[key], before[key])
        self.assertTrue(all(after[k] > before[k] for k in before if k != key))
        self.assertEqual(self.series(lab, "stream_failures_total")[key], 1)
        self.assertEqual(self.series(lab, "stream_lag_seconds")[key], 900)

    def test_the_report_in_the_state_store_names_what_failed(self):
        lab = self.lab(tenants=2)
        broken = lab.world.tenants[1]
        lab.daemon.control("faults", [{"match": {"service": "monitoring", "account": broken["account"]},
                                       "kind": "denied"}])
        result = lab.run("--report", "-")
        self.assert_status(result, 1)
        said = json.loads(result.out)
        failed = [row for row in said["streams"] if row["state"] == "failed"]
        self.assertEqual([(row["tenant"], row["job"], row["region"]) for row in failed], [(broken["id"], "ecs", REGION)])
        self.assertEqual(failed[0]["error"]["code"], "AccessDenied")
        self.assertTrue(failed[0]["error"]["request_id"])
        self.assertEqual(said["exit_status"], 1)
        self.assertTrue(lab.folder_has("state/reports"))
        self.assertTrue(result.errors("advice="), result.err)


class WhatItCosts(S3Case):
    """muster_aws_calls_total and muster_aws_cost_dollars_total, against the stand-in's own log of calls."""
    PRICES = {"get_metric_data_per_1000": 1, "cloudwatch_calls_per_1000": 10, "s3_puts_per_1000": 100,
              "amp_per_10m_samples": 1e6}

    def costly(self, tenants):
        lab = self.lab(tenants=tenants)
        lab.settings["sinks"]["amp"] = {"kind": "remote_write", "sigv4": {"service": "aps"},
                                        "url": f"{lab.daemon.url}/workspaces/ws-1/api/v1/remote_write"}
        lab.settings["jobs"]["ecs"]["to"] = ["amp", "lake"]
        lab.settings["run"] = {"self_metrics": "prom", "prices": self.PRICES}
        return lab

    def about(self, lab, name):
        return self.received(lab, f"db=prometheus&name=muster_aws_{name}_total")

    @staticmethod
    def received(lab, which):
        rows = lab.daemon.control(f"rw/dump?{which}")
        return rows if isinstance(rows, list) else [json.loads(line) for line in rows.splitlines()]

    def calls(self, lab):
        """What the series say, tenants and shards added up: {(service, operation, code): calls}."""
        found = collections.Counter()
        for row in self.about(lab, "calls"):
            labels, values = row["labels"], [value for _, value in row["samples"]]
            self.assertEqual(values, sorted(values), f"a total that fell: {labels}")
            self.assertIn(sorted(set(labels) & {"tenant", "job", "schedule", "shard"}), (["job", "tenant"], ["schedule", "shard"]))
            found[labels["service"], labels["operation"], labels["code"]] += values[-1]
        return found

    @staticmethod
    def made(lab):
        """What the stand-in saw of signed calls."""
        found = collections.Counter()
        with open(lab.path("aws.log"), encoding="utf-8") as file:
            for row in map(json.loads, file):
                if row["service"] != "prometheus":
                    code = row["code"] if row["service"] != "aps" else None  # receivers have no codes
                    code = "200" if row["status"] < 300 else code or str(row["status"])
                    found[row["service"], row["operation"], code] += 1
        return found

    @staticmethod
    def told_next(processes):
        """What each process did after it had told: its report, and the last count, which was read and written."""
        return collections.Counter({("s3", "PutObject", "200"): 2 * processes, ("s3", "GetObject", "200"): processes})

    def of_tenants(self, lab):
        found = collections.Counter()
        for row in self.about(lab, "calls"):
            if "tenant" in row["labels"]:
                found[tuple(row["labels"][name] for name in ("service", "operation", "code"))] += row["samples"][-1][1]
        return found

    def dollars(self, lab):
        found = collections.Counter()
        for row in self.about(lab, "cost_dollars"):
            found[row["labels"]["service"]] += row["samples"][-1][1]
        return {service: round(dollars, 6) for service, dollars in found.items()}

    def test_every_call_is_counted_once_whatever_the_shards_and_runs(self):
        lab = self.costly(tenants=6)
        denied, broken = lab.world.tenants[0], lab.world.tenants[1]
        lab.daemon.control("faults", [
            {"match": {"service": "sts", "operation": "AssumeRole", "account": denied["account"]}, "kind": "denied"},
            {"match": {"service": "monitoring", "operation": "GetMetricData", "account": broken["account"]},
             "kind": "throttle", "times": 1}])
        billed = collections.Counter()
        for later in (0, 300, 300, 900):
            lab.tell(lab.now + later)
            statuses = set()
            for shard in ("0/2", "1/2"):
                result = lab.run("--shard", shard, "--report", "-")
                statuses.add(result.status)
                report = json.loads(result.out)
                billed.update(report["totals"]["stats"])
                billed["dollars"] += report["totals"]["estimated_dollars"]
            self.assertEqual(statuses, {0, 1}, "one tenant is denied")
            self.assertEqual(self.calls(lab) + self.told_next(2), self.made(lab))
        found = self.calls(lab)
        self.assertGreater(found["sts", "AssumeRole", "AccessDenied"], 0)
        self.assertGreater(sum(n for (_, _, code), n in found.items() if "Thrott" in code), 0)
        self.assertEqual(billed["objects_put"], self.of_tenants(lab)["s3", "PutObject", "200"])
        self.assertEqual(billed["calls_billed"], found["monitoring", "ListMetrics", "200"])
        accepted = sum(len(row["samples"]) for row in self.received(lab, "db=ws-1"))
        self.assertEqual(billed["samples_ingested"], accepted)
        prices = self.PRICES
        self.assertEqual(self.dollars(lab), {
            "monitoring": round(billed["metrics_requested"] / 1000 * prices["get_metric_data_per_1000"] +
                                billed["calls_billed"] / 1000 * prices["cloudwatch_calls_per_1000"], 6),
            "s3": round(billed["objects_put"] / 1000 * prices["s3_puts_per_1000"], 6),
            "aps": round(accepted / 1e7 * prices["amp_per_10m_samples"], 6)})
        self.assertAlmostEqual(sum(self.dollars(lab).values()), billed["dollars"], places=5)

    def test_killed_runs_take_nothing_back_and_invent_nothing(self):
        """What a killed run did after its checkpoint's last write is known to nobody. Everything else counts once."""
        lab = self.costly(tenants=4)
        dice = random.Random(5)
        self.assert_status(lab.run(), 0)
        for _ in range(6):
            lab.tell(lab.now + 300)
            process = lab.start()
            time.sleep(dice.uniform(0, 0.15) * PATIENCE)
            process.send_signal(signal.SIGKILL)
            finish(process, 10)
            lab.lease_passes()
            self.assert_status(lab.run(), 0)
            found, made = self.calls(lab), self.made(lab)
            self.assertLessEqual(set(found), set(made))
            self.assertTrue(all(found[row] <= made[row] for row in found), f"{found}\n{made}")
        # What is in the checkpoint of a job for which nothing was due any more is told when something is.
        lab.tell(lab.now + 600)
        self.assert_status(lab.run(), 0)
        lost = self.made(lab) - self.calls(lab)
        lab.tell(lab.now + 600)
        self.assert_status(lab.run(), 0)
        self.assertEqual(self.made(lab) - self.calls(lab), lost, "an undisturbed run counts all it does")


if __name__ == "__main__":
    unittest.main()
