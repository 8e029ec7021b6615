#!/usr/bin/python3
"""Traces: every span of the truth in the lake and in an OTLP receiver, calls and durations in the time-series database,
and nothing else; from X-Ray, and from where Transaction Search keeps spans.
"""
import json
import os
import re
import signal
import unittest

import arrivals
from expected import first_start, rfc3339
from lab import NOW, Case, Killer, Lab, finish
from spans import EVERY, covered, expected_lines, expected_samples, lines_in, rounded, sent, told, true_spans
from standin.traces import TICK, Traces
from test_replay import ReplayCase, tree, unpacked

LOGS = {"name": "aws/spans", "kind": "spans", "rate": 0, "streams": 2}


def span_of(lab, first=NOW):
    return covered(first, lab.now)


class TracesCase(Case):
    def trace_lab(self, how=None, to=("prom", "lake", "jaeger"), labels=None, now=NOW, tenants=3, **world):
        document = Lab.document(tenants, **world)
        for tenant in document["tenants"]:
            tenant.update({"labels": labels} if labels else {})
            for place in tenant["regions"].values():
                place["traces"] = {"broken": 0.05, "large": 0.03, **(how or {})}
                if "destination" in place["traces"]:
                    place["log_groups"].append({**LOGS, "created": (now - 86400) * 1000})
        return self.served(document, to, now)

    def served(self, document, to=("prom", "lake", "jaeger"), now=NOW):
        lab = self.lab(document=document, now=now)
        lab.settings["jobs"] = {"traces": {"kind": "traces", "to": list(to)}}
        lab.settings["sinks"]["jaeger"] = {"kind": "otlp", "url": lab.daemon.url}
        lab.settings["run"] = {"limits": {"xray": "1000/s"}}
        return lab

    def assert_traces(self, lab, first=NOW, twice=False, **more):
        start, end = span_of(lab, first)
        lines = expected_lines(lab.world, start, end, **more)
        self.assertTrue(lines, "a test that expects nothing proves nothing")
        self.assert_same(lines, lines_in(lab.lake), "the lake")
        arrived = sent(lab.daemon.url)
        self.assertEqual(set(arrived), {span for found in lines.values() for span in found})
        if not twice:
            self.assertEqual(len(arrived), len(set(arrived)))
        self.assert_same(expected_samples(lab.world, start, end, **more), rounded(arrivals.stand_in(lab.daemon)), "the receiver")


class Exact(TracesCase):
    def test_every_span_and_every_call(self):
        lab = self.trace_lab(labels={"tier": "gold \" é"})
        for later in (0, 60, 300, 4000):
            self.assert_status(lab.run(now=NOW + later), 0)
            self.assert_traces(lab)
        self.assert_no_violation(lab)
        resource = lab.daemon.control("spans")[0]["resource"]
        self.assertEqual((resource["tier"], resource["cloud.provider"]), ("gold \" é", "aws"))

    def test_attributes_arrive(self):
        lab = self.trace_lab(tenants=1)
        self.assert_status(lab.run(), 0)
        start, end = span_of(lab)
        true = {span.id: span for _, _, _, span in true_spans(lab.world, start, end)}
        for span in lab.daemon.control("spans"):
            for name, value in true[span["id"]].attributes.items():
                self.assertEqual(span["attributes"][name], value)

    def test_many_pages_and_unprocessed_ids(self):
        lab = self.trace_lab(tenants=1, how={"rate": 1.2}, trace_unprocessed=0.2)
        self.assert_status(lab.run(), 0)
        self.assert_traces(lab)
        calls = lab.daemon.control("stats")["calls"]["xray"]
        self.assertGreater(sum(calls["GetTraceSummaries"].values()), 5 * 3)
        self.assert_no_violation(lab)

    def test_a_filter(self):
        lab = self.trace_lab(tenants=2, how={"rate": 0.3})
        lab.settings["jobs"]["traces"]["filter"] = "responsetime > 1 OR fault"
        self.assert_status(lab.run(), 0)
        self.assert_traces(lab, wanted=lambda trace: trace.segments[0].fate == "fault" or
                           trace.segments[0].end - trace.segments[0].start > TICK)

    def test_traces_that_are_too_large_are_on_record(self):
        lab = self.trace_lab(tenants=1, how={"rate": 0.5, "large": 0.05})
        result = lab.run("--report", lab.path("report.json"))
        self.assert_status(result, 0)
        start, end = span_of(lab)
        tenant = lab.world.tenants[0]
        large = [trace for trace in Traces(lab.world).between(tenant["account"], "eu-west-1", start, end) if trace.large]
        self.assertTrue(large)
        self.assertIn("LimitExceeded", result.err)
        with open(os.path.join(lab.state, "tenants", tenant["id"], "traces.json"), encoding="utf-8") as file:
            self.assertIn("LimitExceeded", file.read())
        marked = {span["trace"] for span in lab.daemon.control("spans") if span["attributes"].get("aws.xray.limit_exceeded")}
        self.assertEqual(marked, {trace.id[2:].replace("-", "") for trace in large})

    def test_faults_on_the_way(self):
        lab = self.trace_lab()
        rules = [("xray", "http503", 5), ("xray", "truncate", 7), ("xray", "throttle", 13), ("xray", "reset-after", 17),
                 ("otlp", "http503", 3), ("otlp", "throttle", 5)]
        lab.daemon.control("faults", [{"match": {"service": service}, "kind": kind, "every": every}
                                      for service, kind, every in rules])
        for later in (0, 300, 600):
            lab.run(now=NOW + later)
        lab.daemon.control("faults", method="DELETE")
        self.assert_status(lab.run(now=NOW + 900), 0)
        self.assert_traces(lab, twice=True)

    def test_a_receiver_that_was_down_gets_it_from_the_lake(self):
        lab = self.trace_lab(tenants=2)
        lab.daemon.control("faults", [{"match": {"service": "otlp"}, "kind": "error", "code": "Forbidden", "status": 403,
                                       "every": 1}])
        self.assert_status(lab.run(), 1)
        self.assertEqual(sent(lab.daemon.url), [])
        lab.daemon.control("faults", method="DELETE")
        before = sum(lab.daemon.control("stats")["calls"]["xray"]["BatchGetTraces"].values())
        self.assert_status(lab.run(), 0)
        self.assert_traces(lab)
        self.assertEqual(sum(lab.daemon.control("stats")["calls"]["xray"]["BatchGetTraces"].values()), before)

    def test_killed_and_run_again(self):
        self.kill(self.trace_lab(tenants=6))

    def kill(self, lab):
        self.assert_status(lab.run(), 0)
        lab.tell(NOW + 300)
        lab.daemon.control("faults", [{"match": {"service": service}, "kind": "hang", "ms": 20, "prob": 0.3}
                                      for service in ("prometheus", "otlp", "xray", "logs")])
        killer = Killer(5, 0.5)
        for _ in range(int(os.environ.get("MUSTER_KILLS", "20")) // 2):
            lab.tell(lab.now + killer.strike(lab))
        self.assertGreater(killer.killed, 0)
        lab.daemon.control("faults", method="DELETE")
        self.assert_status(lab.run(), 0)
        self.assert_traces(lab, twice=True)
        self.assertFalse(lab.folder_has("lake/rejected"))

    def test_killed_when_the_receiver_had_taken_it(self):
        lab = self.trace_lab(tenants=1)
        for nth in range(1, 4):
            lab.daemon.control("faults", [{"match": {"service": "otlp"}, "kind": "slowdrip", "nth": nth, "chunk": 1,
                                           "interval_ms": 30000}])
            process = lab.start()
            self.wait_for_fault(lab)
            process.send_signal(signal.SIGKILL)
            finish(process, 10)
            lab.daemon.control("faults", method="DELETE")
            lab.tell(lab.now + 300)
        self.assert_status(lab.run(), 0)
        self.assert_traces(lab, twice=True)

    def test_one_tenant_denied(self):
        document = Lab.document(3)
        document["tenants"][1]["deny"] = ["xray:BatchGetTraces"]
        lab = self.served(document)
        result = lab.run()
        self.assert_status(result, 1)
        self.assertTrue(result.errors("t0002", "BatchGetTraces", "AccessDenied"), result.err)
        self.assertEqual({key.split("/")[1] for key in lines_in(lab.lake)}, {"tenant=t0001", "tenant=t0003"})

    def test_without_a_lake(self):
        for to in (("jaeger",), ("prom",)):
            lab = self.trace_lab(tenants=2, to=to)
            for later in (0, 300):
                self.assert_status(lab.run(now=NOW + later), 0)
            start, end = span_of(lab)
            true = [span for lines in expected_lines(lab.world, start, end).values() for span in lines]
            self.assertEqual(sorted(sent(lab.daemon.url)), sorted(true) if "jaeger" in to else [])
            self.assert_same(expected_samples(lab.world, start, end) if "prom" in to else {},
                             rounded(arrivals.stand_in(lab.daemon)), "the receiver")

    def test_backfilled(self):
        lab = self.trace_lab(tenants=2, to=("lake", "jaeger"))
        words = ("--from", f"{rfc3339(NOW - 7200)}Z", "--to", f"{rfc3339(NOW - 3600)}Z")
        self.assert_status(lab.run(*words, command="backfill"), 0)
        lines = expected_lines(lab.world, NOW - 7200, NOW - 3600)
        self.assert_same(lines, lines_in(lab.lake), "the lake")
        self.assertEqual(sorted(sent(lab.daemon.url)), sorted(span for found in lines.values() for span in found))


class TransactionSearch(TracesCase):
    HOW = {"rate": 0.3, "destination": "CloudWatchLogs"}

    def test_spans_of_the_log_group(self):
        lab = self.trace_lab(how=self.HOW, labels={"tier": "gold"})
        for later in (0, 300, 1200):
            self.assert_status(lab.run(now=NOW + later), 0)
            self.assert_traces(lab)
        self.assertNotIn("BatchGetTraces", lab.daemon.control("stats")["calls"]["xray"])
        self.assertEqual([one for one in lab.daemon.control("stats")["violations"]["recent"]
                          if "at 'limit' failed" not in one["reason"]], [])  # how a service is asked whether it pages

    def test_found_out_per_account(self):
        document = Lab.document(3)
        document["tenants"][1]["regions"]["eu-west-1"]["traces"] = self.HOW
        document["tenants"][1]["regions"]["eu-west-1"]["log_groups"].append({**LOGS, "created": (NOW - 86400) * 1000})
        lab = self.served(document)
        self.assert_status(lab.run(), 0)
        self.assert_traces(lab)

    def test_a_condition(self):
        lab = self.trace_lab(tenants=1, how=self.HOW, to=("lake", "jaeger"))
        lab.settings["jobs"]["traces"]["spans_filter"] = 'kind = "SERVER"'
        self.assert_status(lab.run(), 0)
        lines = {key: [span for span in spans if span[4] == 2] for key, spans in expected_lines(lab.world, *span_of(lab)).items()}
        self.assert_same(lines, lines_in(lab.lake), "the lake")

    def test_killed_and_run_again(self):
        Exact.kill(self, self.trace_lab(tenants=3, how=self.HOW))

    def test_spans_that_came_late(self):
        lab = self.trace_lab(tenants=1, how=self.HOW, to=("lake", "jaeger"), log_late_rate=0.2, log_late_max=900)
        lab.settings["jobs"]["traces"].update({"revisit": "once", "hold": "20m", "delay": "5m"})
        for later in range(0, 3000, 300):
            self.assert_status(lab.run(now=NOW + later), 0)
        start, end = first_start(NOW, EVERY), lab.now - 1800
        true = {told(span) for _, _, _, span in true_spans(lab.world, start, end)}
        rows = [row for key, found in lines_in(lab.lake).items() for row in found]
        self.assertTrue(any(".late-1." in key for key in lines_in(lab.lake)))
        self.assertEqual(len(rows), len(set(rows)))
        self.assertLessEqual(true, set(rows))
        self.assertEqual(sorted(sent(lab.daemon.url)), sorted(rows))


class Replayed(TracesCase, ReplayCase):
    def test_a_replay_tells_the_same(self):
        for how in ({"rate": 0.3}, TransactionSearch.HOW):
            lab = self.trace_lab(tenants=2, how=how)
            self.record(lab)
            self.replay(lab, "-o", "out")
            self.assertEqual(tree(lab.path("out/lake")), tree(lab.lake))
            told_again = [json.loads(line) for line in arrivals.unpack(lab.path("out/jaeger.ndjson.zst")).splitlines()]
            self.assertEqual(sorted((row["trace_id"], row["span_id"], row["name"]) for row in told_again),
                             sorted((span["trace"], span["id"], span["name"]) for span in lab.daemon.control("spans")))
            for workers in ("1", "32"):
                self.replay(lab, "--expect", "out", "--bytes", "--workers", workers)


    def test_scrubbed_traces_tell_no_names(self):
        lab = self.trace_lab(tenants=2, how={"rate": 0.3})
        path = self.record(lab, "--scrub")
        truth = lab.daemon.control("spans")
        names = {word for span in truth for word in re.findall(r"[A-Za-z]{4,}", span["name"])} | {"orders", "flat", "goldmember"}
        names -= {"GetItem", "DynamoDB", "Invoke"}  # of AWS's
        text = "\n".join(unpacked(path).values())
        self.assertEqual(sorted(name for name in names if re.search(rf"\b{name}\b", text)), [])
        self.replay(lab, "-o", "out")
        told_again = [json.loads(line) for line in arrivals.unpack(lab.path("out/jaeger.ndjson.zst")).splitlines()]
        self.assertEqual(sorted((row["trace_id"], row["span_id"]) for row in told_again),
                         sorted((span["trace"], span["id"]) for span in truth))
        self.replay(lab, "--expect", "out", "--bytes", "--workers", "32")


class Configured(TracesCase):
    def test_metrics_cannot_go_there(self):
        lab = self.trace_lab(tenants=1)
        lab.settings["jobs"]["ecs"] = {"kind": "metrics", "to": ["jaeger"]}
        result = lab.run()
        self.assert_status(result, 2)
        self.assertIn("sink jaeger takes traces only", result.err)

    def test_check_knows_both_ways(self):
        document = Lab.document(2)
        document["tenants"][1]["regions"]["eu-west-1"]["traces"] = TransactionSearch.HOW
        document["tenants"][1]["regions"]["eu-west-1"]["log_groups"].append({**LOGS, "created": (NOW - 86400) * 1000})
        document["tenants"][0]["deny"] = ["logs:StartQuery", "xray:GetTraceSummaries"]
        document["tenants"][1]["deny"] = ["xray:GetTraceSummaries", "logs:StartQuery"]
        lab = self.served(document)
        lab.settings["jobs"]["traces"]["filter"] = "fault"
        result = lab.run(command="check")
        self.assert_status(result, 1)
        faults = {(line.split()[1], action) for line in result.out.splitlines() if "FAIL" in line
                  for action in ("xray:GetTraceSummaries", "logs:StartQuery") if f": {action}: " in line}
        self.assertEqual(faults, {("t0001:", "xray:GetTraceSummaries"), ("t0002:", "logs:StartQuery")}, result.out)
        self.assertIn("spans_filter", result.out)
        self.assertEqual(lab.daemon.control("spans"), [])


if __name__ == "__main__":
    unittest.main()
