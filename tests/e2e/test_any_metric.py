#!/usr/bin/python3
"""Any metric, whole runs: custom namespaces with wildcards, `where` and extended statistics; Service Connect's series,
which stand where App Mesh's did; what StatsD and OTLP clients send through the CloudWatch agent; metric math and SEARCH.

What must arrive is computed from the truth here, with none of muster's code and none of the stand-in's arithmetic.
"""
import os
import re
import unittest

import yaml

import arrivals
from expected import LABELS, PERIOD, snake
from lab import NOW, REGION, ROOT, Case, Killer, Lab, start_prometheus
from standin.truth import Truth

KILLS = max(int(os.environ.get("MUSTER_KILLS", "20")) // 2, 4)
SEED = int(os.environ.get("MUSTER_SEED", "1"))
TARGET = ("ClusterName", "ServiceName", "TargetDiscoveryName")
CLIENT = ("ClusterName", "DiscoveryName", "ServiceName")
# Names are spelt out where the rule for digits and capitals is not expected.py's.
SPELT = {"HTTPCode_Target_5XX_Count": "http_code_target_5xx_count", "CWAgent": "cw_agent", "OTel": "o_tel"}


def row(namespace, metric, unit="Count", **dimensions):
    return {"namespace": namespace, "metric": metric, "unit": unit, "dimensions": dimensions}


def service_connect(cluster, service, name):
    """What ECS publishes for one service of a Service Connect namespace, and the same by name alone."""
    where = {"ClusterName": cluster, "ServiceName": service}
    for metric, unit in (("RequestCount", "Count"), ("ActiveConnectionCount", "Count"), ("ProcessedBytes", "Bytes")):
        yield row("AWS/ECS", metric, unit, DiscoveryName=name, **where)
        yield row("AWS/ECS", metric, unit, DiscoveryName=name)
    for metric, unit in (("HTTPCode_Target_5XX_Count", "Count"), ("RequestCountPerTarget", "Count"),
                         ("TargetResponseTime", "Milliseconds")):
        yield row("AWS/ECS", metric, unit, TargetDiscoveryName=name, **where)
        yield row("AWS/ECS", metric, unit, TargetDiscoveryName=name)


def by_agent():
    """What the CloudWatch agent publishes for StatsD and OTLP clients: counters, gauges and timers."""
    for kind, metric, unit in (("counter", "checkout.requests", "Count"), ("gauge", "checkout.queue", "None"),
                               ("timing", "checkout.latency", "Milliseconds")):
        yield row("CWAgent", metric, unit, metric_type=kind, service="checkout")
    for metric, unit in (("http.server.duration", "Milliseconds"), ("orders.placed", "Count")):
        yield row("OTel", metric, unit, **{"OTelLib": "checkout", "deployment.environment": "prod"})


def balancers():
    for balancer in ("app/front/1", "app/back/2", "app/idle/3"):
        yield row("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", LoadBalancer=balancer)
        yield row("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", LoadBalancer=balancer, AvailabilityZone="a")
        yield row("AWS/ApplicationELB", "RequestCount", LoadBalancer=balancer)


SEARCHED = "SEARCH('{AWS/ApplicationELB,LoadBalancer} HTTPCode_ELB_5XX_Count', 'Sum')"
MATH = [
    {"id": "bad", "namespace": "AWS/ECS", "metrics": ["HTTPCode_Target_5XX_Count"], "statistics": ["Sum"],
     "dimensions": [list(TARGET)]},
    {"id": "all", "namespace": "AWS/ECS", "metrics": ["RequestCountPerTarget"], "statistics": ["Sum"],
     "dimensions": [list(TARGET)]},
    {"id": "share", "expression": "FILL(bad, 0) / all"},
    {"expression": "100 * share", "name": "error_percent"},
    {"id": "errors", "expression": f"SUM({SEARCHED})", "name": "elb_5xx"},
    {"expression": f"2 * {SEARCHED}", "name": "elb_5xx_twice"},
    {"expression": f"RATE(SUM({SEARCHED}))", "name": "elb_5xx_change"},
    {"expression": "errors - MIN(errors)", "name": "elb_5xx_above_least"},
]


class AnyMetric(Case):
    def furnished(self, *rows, from_entries, flags=(), tenants=2, **world):
        """A lab whose tenants have these series too, and a job that asks for these entries."""
        document = Lab.document(tenants, **world)
        for tenant in document["tenants"]:
            for place in tenant["regions"].values():
                place["custom"] = [*place.get("custom", []), *rows]
        lab = self.lab(document=document, flags=flags)
        lab.settings["jobs"]["ecs"]["from"] = from_entries
        return lab

    def identity(self, tenant, name, labels, region=REGION):
        return tuple(sorted({**labels, "tenant": tenant["id"], "account_id": tenant["account"], "region": region,
                             "__name__": name}.items()))

    def plain(self, lab, window, wanted, stats, sets=None):
        """{identity: {ms: value}} of the series that wanted() likes, one for each statistic."""
        truth, found = Truth(lab.world), {}
        for tenant, series in truth.series():
            if not wanted(series):
                continue
            names = [name for name, _ in series.dimensions]
            labels = {LABELS.get(name, snake(name)): value for name, value in series.dimensions}
            if sets:
                labels["dimension_set"] = "_".join(sorted(LABELS.get(name, snake(name)) for name in names))
            for stat in stats:
                space, metric = (SPELT.get(text, snake(text)) for text in (series.namespace, series.metric))
                name = f"{'' if space.startswith('aws') else 'aws_'}{space}_{metric}_{snake(stat)}"
                times, values = truth.points(series, *window, PERIOD, stat)
                if times:
                    found[self.identity(tenant, name, labels, series.region)] = {
                        time * 1000: value for time, value in zip(times, values)}
        return found

    def assert_samples(self, lab, expected):
        self.assertTrue(expected, "a test that expects nothing proves nothing")
        self.assert_same(expected, arrivals.stand_in(lab.daemon), "the receiver")
        self.assert_same(expected, arrivals.samples_in(arrivals.lake(lab.lake)), "the lake")

    def test_service_connect_stands_where_app_mesh_did(self):
        rows = [*service_connect("main-1", "web", "web"), *service_connect("main-1", "api", "api")]
        lab = self.furnished(*rows, from_entries=[
            {"namespace": "AWS/ECS", "metrics": ["RequestCount", "*Connection*", "ProcessedBytes"],
             "dimensions": [list(CLIENT)], "statistics": ["Sum"]},
            {"namespace": "AWS/ECS", "metrics": ["*Target*"], "dimensions": [list(TARGET)],
             "where": {"TargetDiscoveryName": "w*"}, "statistics": ["Sum"]}])
        self.assert_status(lab.run(), 0)
        self.assert_samples(lab, {
            **self.plain(lab, lab.window(), lambda s: [n for n, _ in s.dimensions] == list(CLIENT), ["Sum"]),
            **self.plain(lab, lab.window(), lambda s: [n for n, _ in s.dimensions] == list(TARGET)
                         and dict(s.dimensions)["TargetDiscoveryName"] == "web", ["Sum"])})
        names = {dict(key)["__name__"] for key in arrivals.stand_in(lab.daemon)}
        self.assertLessEqual({"aws_ecs_request_count_sum", "aws_ecs_http_code_target_5xx_count_sum",
                              "aws_ecs_target_response_time_sum"}, names)
        self.assert_no_violation(lab)

    def test_both_sets_of_service_connect_say_which_they_are(self):
        lab = self.furnished(*service_connect("main-1", "web", "web"), from_entries=[
            {"namespace": "AWS/ECS", "metrics": ["RequestCount"], "dimensions": [["DiscoveryName"], list(CLIENT)],
             "statistics": ["Sum"]}])
        self.assert_status(lab.run(), 0)
        self.assert_samples(lab, self.plain(lab, lab.window(), lambda s: s.metric == "RequestCount", ["Sum"], sets=True))

    def test_statsd_through_the_agent(self):
        """Counters, gauges and timers, each by its own statistic; a timer's percentiles need no histogram here."""
        lab = self.furnished(*by_agent(), from_entries=[
            {"namespace": "CWAgent", "metrics": ["*"], "where": {"metric_type": "counter"}, "statistics": ["Sum"],
             "dimensions": [["service", "metric_type"]]},
            {"namespace": "CWAgent", "metrics": ["*"], "where": {"metric_type": "gauge"},
             "dimensions": [["service", "metric_type"]]},
            {"namespace": "CWAgent", "metrics": ["*"], "where": {"metric_type": "timing"},
             "statistics": ["Average", "p99.9", "tm90", "IQM", "SampleCount"], "dimensions": [["service", "metric_type"]]}])
        self.assert_status(lab.run(), 0)
        expected = {}
        for kind, stats in (("counter", ["Sum"]), ("gauge", ["Average"]),
                            ("timing", ["Average", "p99.9", "tm90", "IQM", "SampleCount"])):
            expected.update(self.plain(lab, lab.window(), lambda s, kind=kind: dict(s.dimensions).get("metric_type") == kind,
                                       stats))
        self.assert_samples(lab, expected)
        self.assertIn("aws_cw_agent_checkout_latency_p99_9", {dict(key)["__name__"] for key in expected})
        self.assert_no_violation(lab)

    def test_otlp_through_the_agent(self):
        lab = self.furnished(*by_agent(), from_entries=[
            {"namespace": "OTel", "metrics": ["http.*", "orders.*"], "where": {"deployment.environment": "prod*"},
             "statistics": ["Sum", "wm95"]}])
        self.assert_status(lab.run(), 0)
        self.assert_samples(lab, self.plain(lab, lab.window(), lambda s: s.namespace == "OTel", ["Sum", "wm95"], sets=True))
        self.assert_no_violation(lab)

    def test_the_pages_example_works(self):
        with open(os.path.join(ROOT, "lib/pages/metrics.md"), encoding="utf-8") as file:
            job = yaml.safe_load(re.search(r"```yaml\n(.*?)```", file.read(), re.DOTALL)[1])["jobs"]["any"]
        rows = [*service_connect("main-1", "web", "web"), *balancers()]
        lab = self.furnished(*rows, from_entries=job["from"])
        self.assert_status(lab.run(), 0)
        names = {dict(key)["__name__"] for key in arrivals.stand_in(lab.daemon)}
        self.assertLessEqual({"error_percent", "elb_5xx", "elb_requests", "aws_checkout_orders_placed_p99_9",
                              "aws_checkout_payment_latency_tm_10_percent_90_percent"}, names)
        self.assertFalse([name for name in names if name.startswith("aws_ecs")], "inputs are no series")
        self.assert_no_violation(lab)

    # Metric math

    def computed(self, lab, window):
        """The series of MATH, by arithmetic of our own; RATE of each cell sees the cell before it, and MIN the
        cell alone."""
        truth, found = Truth(lab.world), {}
        start, end = window

        def points(series, begin=start):
            return dict(zip(*truth.points(series, begin, end, PERIOD, "Sum")))
        for tenant in lab.world.tenants:
            series = [s for t, s in truth.series() if t is tenant]
            inputs = {(s.metric, s.dimensions): s for s in series if [n for n, _ in s.dimensions] == list(TARGET)}
            for dims in {dims for _, dims in inputs}:
                bad = points(inputs["HTTPCode_Target_5XX_Count", dims])
                every = points(inputs["RequestCountPerTarget", dims])
                labels = {LABELS.get(n, snake(n)): v for n, v in dims}
                found[self.identity(tenant, "error_percent", labels)] = {
                    time * 1000: 100 * (bad.get(time, 0) / every[time]) for time in every}
            lost = [s for s in series if s.metric == "HTTPCode_ELB_5XX_Count" and len(s.dimensions) == 1]
            for one in lost:
                labels = {"metric": one.metric, "load_balancer": one.dimensions[0][1]}
                found[self.identity(tenant, "elb_5xx_twice", labels)] = {
                    time * 1000: 2 * value for time, value in points(one).items()}
            totals = {}
            for one in lost:
                for time, value in points(one, start - 300).items():
                    totals[time] = totals.get(time, 0) + value
            found[self.identity(tenant, "elb_5xx", {})] = {t * 1000: v for t, v in totals.items() if t >= start}
            change, above = {}, {}
            for cell in range(start, end, 300):
                times = sorted(t for t in totals if cell - 300 <= t < cell + 300)
                for before, time in zip(times, times[1:]):
                    if time >= cell:
                        change[time * 1000] = (totals[time] - totals[before]) / (time - before)
                inside = [t for t in times if t >= cell]
                above.update({t * 1000: totals[t] - min(totals[u] for u in inside) for t in inside})
            found[self.identity(tenant, "elb_5xx_change", {})] = change
            found[self.identity(tenant, "elb_5xx_above_least", {})] = above
        return found

    def math_lab(self, **named):
        rows = [*service_connect("main-1", "web", "web"), *service_connect("main-1", "api", "api"), *balancers()]
        return self.furnished(*rows, from_entries=MATH, **named)

    def test_metric_math_is_what_arithmetic_says(self):
        lab = self.math_lab()
        self.assert_status(lab.run(), 0)
        self.assert_samples(lab, self.computed(lab, lab.window()))
        self.assert_no_violation(lab)

    def test_a_real_prometheus_takes_it(self):
        lab = self.math_lab()
        receiver = start_prometheus(lab.path("prometheus"))
        self.addCleanup(receiver.stop)
        lab.settings["sinks"]["prom"]["url"] = f"{receiver.url}/api/v1/write"
        self.assert_status(lab.run(), 0)
        start, end = lab.window()
        self.assert_same(self.computed(lab, (start, end)), arrivals.prometheus(receiver.url, start - 3600, end + 3600),
                         "Prometheus")

    def test_math_goes_on_run_after_run_with_late_points(self):
        """P4, and that a cell holds the same however much is pulled with it."""
        lab = self.math_lab(late_rate=0.2, late_max=600)
        start, _ = lab.window()
        for later in (0, 300, 420, 1500, 3000):
            self.assert_status(lab.run(now=NOW + later), 0)
        self.assertTrue([key for key in arrivals.lake_keys(lab.lake) if ".late-" in key], "no point was late")
        expected, settled = self.computed(lab, (start, lab.window()[1])), (NOW + 1500) * 1000
        for key, values in self.newest(lab).items():
            self.assertEqual({ms: value for ms, value in expected[key].items() if ms < settled},
                             {ms: value for ms, value in values.items() if ms < settled}, key)

    @staticmethod
    def newest(lab):
        """The lake's samples, where a later object's value takes the place of an earlier one's."""
        found = {}
        for key, rows in sorted(arrivals.lake(lab.lake).items(), key=lambda pair: pair[0].replace(".ndjson", ".a")):
            for identity, values in arrivals.samples_in({key: rows}).items():
                found.setdefault(identity, {}).update(values)
        return found

    def test_each_protocol_brings_the_same_math(self):
        found = []
        for style in ("open", "off"):
            lab = self.math_lab(flags=("--cbor", style))
            self.assert_status(lab.run(), 0)
            self.assert_samples(lab, self.computed(lab, lab.window()))
            found.append({key: arrivals.unpack(os.path.join(lab.lake, key)) for key in arrivals.lake_keys(lab.lake)})
        self.assertEqual(*found)

    def test_a_bad_expression_costs_itself(self):
        """P5, P7: the service refuses one expression of one job; all else arrives, and it is on record for each tenant."""
        lab = self.math_lab()
        lab.settings["jobs"]["ecs"]["from"] = [*MATH, {"expression": "CEIL(errors)", "name": "rounded"}]  # not served
        result = lab.run("--report", lab.path("report.json"))
        self.assert_status(result, 0)
        self.assert_samples(lab, self.computed(lab, lab.window()))
        self.assertEqual(len(result.errors("gap on record", "expression rounded", "ValidationError")), 2)
        streams = arrivals.report(lab.path("report.json"))["streams"]
        self.assertEqual([row["standing"]["gap_seconds"] for row in streams], [1500.0, 1500.0])
        before = len(arrivals.lake_keys(lab.lake))
        self.assert_status(lab.run("--report", lab.path("report.json"), now=NOW + 300), 0)
        self.assertGreater(len(arrivals.lake_keys(lab.lake)), before)
        streams = arrivals.report(lab.path("report.json"))["streams"]
        self.assertEqual([(row["standing"]["gaps"], row["standing"]["gap_seconds"]) for row in streams],
                         [(1, 1800.0)] * 2, "one gap that grows")

    def test_killed_over_and_over(self):
        lab = self.math_lab(tenants=4)
        start, _ = lab.window()
        self.assert_status(lab.run(), 0)
        lab.tell(NOW + 900)
        lab.daemon.control("faults", [{"match": {"service": "monitoring", "operation": "GetMetricData"}, "kind": "hang",
                                       "ms": 20, "prob": 0.5}])
        killer = Killer(SEED, 0.3)
        for _ in range(KILLS):
            lab.tell(lab.now + killer.strike(lab))
        self.assertGreater(killer.killed, KILLS / 4, "too few runs were at work when they were killed")
        self.assert_status(lab.run(), 0)
        self.assert_samples(lab, self.computed(lab, (start, lab.window()[1])))


if __name__ == "__main__":
    unittest.main()
