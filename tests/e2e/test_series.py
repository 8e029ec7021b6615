#!/usr/bin/python3
"""Samples from Logs Insights (`series`): per-task CPU and memory out of Container Insights' performance log, and the numbers
of log lines in the embedded metric format, are in the receiver what the stand-in's own query engine makes of its events: each
once, whatever happens in between, and whoever sends them.

MUSTER_KILLS says how often runs are killed (default 10), MUSTER_SEED at which instants.
"""
import json
import os
import shutil
import unittest

import arrivals
from expected import rfc3339
from lab import NOW, Case, Killer, Lab, start_prometheus
from row_truth import rows, samples
from test_insights import EVERY, lake_rows, window

from standin.events import Events

KILLS = int(os.environ.get("MUSTER_KILLS", "10"))
SEED = int(os.environ.get("MUSTER_SEED", "1"))
PERFORMANCE = "/aws/ecs/containerinsights/*/performance"
USAGE = {"kind": "insights", "log_groups": [PERFORMANCE], "to": ["prom", "lake"],
         "query": 'filter Type = "Task"\n| stats avg(CpuUtilized) as cpu, avg(MemoryUtilized) as mem '
                  'by bin(1m) as t, ClusterName, ServiceName, TaskId',
         "series": {"time": "t", "values": {"cpu": "ecs_task_cpu_utilized", "mem": "ecs_task_memory_utilized"},
                    "labels": {"ClusterName": "cluster", "ServiceName": "service", "TaskId": "task"}}}
ORDERS = {"kind": "insights", "log_groups": ["/ecs/emf"], "to": ["prom", "lake"],
          "query": "stats sum(order_value) as value, count(*) as orders by bin(1m) as t, Service",
          "series": {"time": "t", "values": {"value": "shop_order_value", "orders": "shop_orders"},
                     "labels": {"Service": "service"}}}
EACH_ORDER = {**ORDERS, "query": "fields order_value, Service, @logStream\n| filter order_value > 100",
              "series": {"time": "@timestamp", "values": {"order_value": "shop_order_value"},
                         "labels": {"Service": "service", "@logStream": "stream"}}}


class SeriesCase(Case):
    def lab(self, job=USAGE, **named):
        named = {"tenants": 2, "flags": ["--logs-paging"], "logs": {"rate": 0.2}, **named}
        lab = super().lab(**named)
        lab.settings["jobs"] = {"usage": json.loads(json.dumps(job))}
        return lab

    def with_orders(self, job=ORDERS, rate=1.0, **named):
        """A lab whose tenants have a group of lines in the embedded metric format."""
        document = Lab.document(named.pop("tenants", 2), logs={"rate": 0.2}, **named)
        for tenant in document["tenants"]:
            for place in tenant["regions"].values():
                place["log_groups"].append({"name": "/ecs/emf", "kind": "emf", "rate": rate, "streams": 2})
        return self.lab(job, document=document)

    def assert_samples(self, lab, start, end, found=None):
        expected = samples(lab.world, lab.settings["jobs"]["usage"], start, end)
        self.assertTrue(expected, "a test that expects nothing proves nothing")
        self.assert_same(expected, arrivals.stand_in(lab.daemon) if found is None else found, "the receiver")
        return sum(map(len, expected.values()))

    def run_and_report(self, lab, *words, **how):
        result = lab.run("--report", lab.path("report.json"), *words, **how)
        with open(lab.path("report.json"), encoding="utf-8") as file:
            return result, json.load(file)["totals"]["stats"]

    def started(self, lab):
        return lab.daemon.control("stats")["counters"].get("queries_started", 0)


class Samples(SeriesCase):
    def test_cpu_and_memory_of_each_task(self):
        lab = self.lab(regions=["eu-west-1", "us-east-1"], clusters=2)
        result, stats = self.run_and_report(lab)
        self.assert_status(result, 0)
        n = self.assert_samples(lab, *window(NOW))
        self.assertEqual((stats["samples"], stats["acked"], stats["rejected_in"], stats["rejected"]), (n, n, 0, 0))
        self.assertEqual(stats["lines"], len(list(rows(lab.world, USAGE, *window(NOW)))))
        self.assertEqual(stats["lines"], sum(map(len, lake_rows(lab).values())))
        for later in (200, 700, 1800):
            self.assert_status(lab.run(now=NOW + later), 0)
        self.assert_samples(lab, window(NOW)[0], window(NOW + 1800)[1])
        self.assert_no_violation(lab)

    def test_without_a_lake(self):
        lab = self.lab({**USAGE, "to": ["prom"]})
        for later in (0, 600):
            self.assert_status(lab.run(now=NOW + later), 0)
        self.assert_samples(lab, window(NOW)[0], window(NOW + 600)[1])
        self.assertEqual(lake_rows(lab), {})

    def test_a_business_number_of_a_log_line(self):
        """What a collector's or agent's sidecar writes in the embedded metric format arrives without CloudWatch's metrics."""
        lab = self.with_orders()
        self.assert_status(lab.run(), 0)
        self.assert_samples(lab, *window(NOW))

    def test_each_line_a_sample(self):
        """Events at any millisecond, and in no order of their series."""
        lab = self.with_orders(EACH_ORDER, rate=0.5)
        result, stats = self.run_and_report(lab)
        self.assert_status(result, 0)
        expected = self.orders(lab, *window(NOW))
        found = arrivals.stand_in(lab.daemon)
        self.assertFalse({(key, ms) for key in found for ms in found[key]} ^ set(expected))
        for (key, ms), values in expected.items():
            self.assertIn(found[key][ms], values)
        # Of orders of one series and millisecond one counts, and the others are on the account.
        twice = sum(map(len, expected.values())) - len(expected)
        self.assertEqual((stats["samples"], stats["rejected_in"]), (len(expected), twice))

    @staticmethod
    def orders(lab, start, end):
        """{(labels, ms): the values of all orders there}"""
        found, events = {}, Events(lab.world)
        for tenant, group in events.all_groups():
            for event in events.between(group, start * 1000, end * 1000 - 1) if group.name == "/ecs/emf" else ():
                order = json.loads(event.message)
                labels = {"__name__": "shop_order_value", "tenant": tenant["id"], "account_id": tenant["account"],
                          "region": group.region, "service": order["Service"], "stream": event.stream}
                if order["order_value"] > 100:
                    found.setdefault((tuple(sorted(labels.items())), event.ms), []).append(order["order_value"])
        assert found, "a test that expects nothing proves nothing"
        return found

    @unittest.skipUnless(shutil.which("prometheus"), "no prometheus on this machine")
    def test_in_a_real_prometheus(self):
        lab = self.lab()
        receiver = start_prometheus(lab.path("prometheus"))
        self.addCleanup(receiver.stop)
        lab.settings["sinks"]["prom"]["url"] = f"{receiver.url}/api/v1/write"
        for later in (0, 300, 900):
            self.assert_status(lab.run(now=NOW + later), 0)
        start, end = window(NOW)[0], window(NOW + 900)[1]
        self.assert_samples(lab, start, end, arrivals.prometheus(receiver.url, start - 600, end + 600))


class Account(SeriesCase):
    """Each row is frozen, and each value has one fate."""

    def test_rows_of_one_series_and_time(self):
        job = {**USAGE, "series": {**USAGE["series"], "labels": {"ClusterName": "cluster"}}}
        lab = self.lab(job, tenants=1)
        result, stats = self.run_and_report(lab)
        self.assert_status(result, 0)
        lines = [fields for *_, fields in rows(lab.world, USAGE, *window(NOW))]
        kept = {(fields["ClusterName"], fields["t"]) for fields in lines}
        self.assertEqual(stats["lines"], len(lines))
        self.assertEqual((stats["samples"], stats["acked"]), (2 * len(kept), 2 * len(kept)))
        self.assertEqual(stats["rejected_in"], 2 * (len(lines) - len(kept)))
        self.assertTrue(result.errors("values that are no samples", "tenant=t0001", "job=usage", "labels and time of a row before"),
                        result.err)

    def test_values_that_are_no_numbers(self):
        job = {**ORDERS, "query": "stats latest(Service) as value, count(*) as orders by bin(1m) as t, Service"}
        lab = self.with_orders(job, tenants=1)
        result, stats = self.run_and_report(lab)
        self.assert_status(result, 0)
        self.assertEqual(stats["samples"], stats["lines"])
        self.assertEqual(stats["rejected_in"], stats["lines"])
        self.assertTrue(result.errors("values that are no samples", "value: no finite number"), result.err)

    def test_samples_that_are_too_old(self):
        lab = self.lab(tenants=1)
        lab.settings["sinks"]["prom"]["max_age"] = "20m"
        result, stats = self.run_and_report(lab)
        self.assertIn(result.status, (0, 1), result.err)
        n = self.assert_samples(lab, NOW - 1200, window(NOW)[1])
        self.assertEqual(stats["acked"], n)
        self.assertEqual(stats["samples"], stats["acked"] + stats["too_old"])
        self.assertGreater(stats["too_old"], 0)


class WhoeverSendsThem(SeriesCase):
    def test_frozen_by_one_run_and_sent_by_another(self):
        """The receiver is down: what the next run sends is read back from the lake, and nothing is asked again."""
        lab = self.lab()
        lab.daemon.control("faults", [{"match": {"service": "prometheus"}, "kind": "rw503"}])
        self.assertEqual(lab.run().status, 1)
        self.assertEqual(arrivals.stand_in(lab.daemon), {})
        asked = self.started(lab)
        lab.daemon.control("faults", method="DELETE")
        self.assert_status(lab.run(), 0)
        self.assert_samples(lab, *window(NOW))
        self.assertEqual(self.started(lab), asked)

    def test_series_of_rows_that_were_frozen_before(self):
        """A job that wrote rows only is given `series`: a backfill makes them of what is in the lake."""
        rows_only = {key: value for key, value in USAGE.items() if key != "series"}
        lab = self.lab({**rows_only, "to": ["lake"]})
        self.assert_status(lab.run(), 0)
        asked, before = self.started(lab), lake_rows(lab)
        lab.settings["jobs"]["usage"] = USAGE
        start, end = window(NOW)
        words = ("--from", rfc3339(start) + "Z", "--to", rfc3339(end) + "Z")
        self.assert_status(lab.run(*words, command="backfill"), 0)
        self.assert_samples(lab, start, end)
        self.assertEqual((self.started(lab), lake_rows(lab)), (asked, before))

    def test_a_backfill_from_the_service(self):
        lab = self.lab()
        start, end = NOW - 7200, window(NOW)[1]
        words = ("--from", rfc3339(start) + "Z", "--to", rfc3339(end) + "Z")
        self.assert_status(lab.run(*words, command="backfill"), 0)
        self.assert_samples(lab, start, end)

    def test_killed_over_and_over(self):
        lab, killer = self.lab(flags=["--logs-paging", "--logs-query-ms", "400"]), Killer(SEED, 1.0)
        start, _ = window(NOW)
        self.assert_status(lab.run(), 0)
        lab.tell(NOW + 1800)
        for _ in range(KILLS):
            lab.tell(lab.now + killer.strike(lab))
        self.assertGreater(killer.killed, KILLS / 3, "too few runs were at work when they were killed")
        self.assert_status(lab.run(), 0)
        end = window(lab.now)[1]
        self.assert_samples(lab, start, end)
        self.assertEqual(self.started(lab), (end - start) // EVERY * len(lab.world.tenants), "a query was paid for twice")
        self.assertFalse(lab.folder_has("lake/rejected"))


class Refused(SeriesCase):
    def test_before_anything_is_asked(self):
        for changes, words in (
                ({"series": {**USAGE["series"], "time": "minute"}}, ("no column", "minute")),
                ({"query": USAGE["query"].replace("1m", "7m")}, ("bin(7m)", "not a multiple")),
                ({"series": {**USAGE["series"], "labels": {"TaskId": "tenant"}}}, ("tenant is a label of muster's own",)),
                ({"revisit": "once"}, ("`once`",))):
            with self.subTest(words=words):
                lab = self.lab({**USAGE, **changes}, tenants=1)
                result = lab.run()
                self.assert_status(result, 2)
                self.assertTrue(result.errors(*words), result.err)

    def test_a_query_that_the_service_does_not_understand_shows_in_a_check(self):
        lab = self.lab({**USAGE, "query": USAGE["query"].replace('= "Task"', "=")}, tenants=1)
        result = lab.run(command="check")
        self.assertIn("the query is not understood", result.out, result.err)
        self.assertIn("MalformedQuery", result.out)
        lab.settings["jobs"]["usage"] = USAGE
        result = lab.run(command="check")
        self.assert_status(result, 0)
        self.assertNotIn("not understood", result.out)


if __name__ == "__main__":
    unittest.main()
