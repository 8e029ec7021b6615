#!/usr/bin/python3
"""Few calls: how often a run asks each service, exactly, counted by the other side.

For each tenant and run one session, whatever the jobs and regions; a listing once per `discover_every`; of metrics one request
for each 500 series, with the points of all cells that are due; of logs one query a cell, of alarms and traces one walk. What is
done is not asked for again.
"""
import math
import unittest

import arrivals
from bucket import S3Case
from lab import NOW, REGION

TENANTS = 2
REGIONS = (REGION, "us-east-1")
PLACES = TENANTS * len(REGIONS)
METRICS = {"kind": "metrics", "from": [
    {"namespace": "ECS/ContainerInsights", "dimensions": [["*"]], "statistics": ["Average", "Maximum"]}]}
LOGS = {"kind": "insights", "log_groups": ["/ecs/app-*"], "query": "fields @timestamp, @message", "to": ["lake"]}
JOBS = {"ecs": METRICS, "app": LOGS, "alarms": {"kind": "alarms"}, "traces": {"kind": "traces"}}
# Of each run, with state and lake in one bucket: are conditions kept to (two objects, twice: a new one, and one that is there)?
# Then there is the report.
PROBES, REPORT = 4, 1
# Of each checkpoint that moves: the generation before, the lease, what was done.
MOVE = 3


class Calls(S3Case):
    def counted(self, lab, now):
        """A run's calls: {service: {operation: n}}."""
        lab.tell(now)
        lab.cleared()
        self.assert_status(lab.run(), 0)
        calls = lab.daemon.control("stats")["calls"]
        return {service: {operation: sum(by.values()) for operation, by in of.items()} for service, of in calls.items()}

    def calls_lab(self, jobs, to=("prom", "lake"), **world):
        lab = self.lab(**{"tenants": TENANTS, "regions": list(REGIONS), **world})
        lab.settings["jobs"] = {name: {"to": list(to), **JOBS[name]} for name in jobs}
        lab.settings["run"] = {"limits": {"xray": "1000/s"}}
        return lab

    def test_of_each_kind_in_a_steady_state(self):
        lab = self.calls_lab(JOBS, to=["lake"])
        self.counted(lab, NOW)
        for run in range(1, 5):
            calls = self.counted(lab, NOW + 300 * run)
            self.assertEqual(calls["sts"], {"GetCallerIdentity": 1, "AssumeRole": TENANTS})
            self.assertEqual(calls["logs"], {"StartQuery": PLACES, "GetQueryResults": PLACES,
                                             **({} if run % 2 else {"DescribeLogGroups": PLACES})})
            self.assertEqual(calls["monitoring"], {
                "GetMetricData": PLACES, "DescribeAlarms": PLACES, "DescribeAlarmHistory": PLACES,
                **({} if run % 2 else {"ListMetrics": PLACES})})
            self.assertGreater(calls["xray"].pop("BatchGetTraces"), 0)
            self.assertEqual(calls["xray"], {"GetTraceSegmentDestination": PLACES, "GetTraceSummaries": PLACES})

    def test_nothing_that_is_done_is_asked_for_again(self):
        lab = self.calls_lab(JOBS, to=["lake"])
        self.counted(lab, NOW)
        calls = self.counted(lab, NOW)
        self.assertEqual(calls.pop("s3")["PutObject"], PROBES + REPORT)
        self.assertEqual(calls, {"sts": {"GetCallerIdentity": 1}})

    def test_five_hundred_series_a_request_however_many_cells(self):
        lab = self.calls_lab(["ecs"], tenants=1, regions=[REGION], services=20)
        for now, cells in ((NOW, 5), (NOW + 300, 1), (NOW + 1200, 3)):
            before = len(lab.objects("telemetry/"))
            calls = self.counted(lab, now)
            series = len(arrivals.stand_in(lab.daemon))
            self.assertGreater(series, 500)
            self.assertEqual(calls["monitoring"]["GetMetricData"], math.ceil(series / 500))
            self.assertEqual(calls["sts"]["AssumeRole"], 1)
            self.assertEqual(len(lab.objects("telemetry/")) - before, cells + (before == 0))  # and the probe's

    def test_puts_of_a_run(self):
        lab = self.calls_lab(["ecs"])
        self.counted(lab, NOW)
        for run in (1, 2):
            calls = self.counted(lab, NOW + 300 * run)
            self.assertEqual(calls["s3"]["PutObject"], PROBES + REPORT + TENANTS * MOVE + PLACES)
            self.assertEqual(calls["prometheus"], {"RemoteWrite": PLACES})


if __name__ == "__main__":
    unittest.main()
