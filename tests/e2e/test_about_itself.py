#!/usr/bin/python3
"""What muster says of itself: the muster_* series and the report, against what a run is known to have done."""
import json
import unittest

from lab import REGION, Case

PER_STREAM = ("gap_seconds_total", "rows_written_total", "samples_written_total", "stream_failures_total",
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


if __name__ == "__main__":
    unittest.main()
