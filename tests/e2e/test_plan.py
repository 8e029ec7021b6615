#!/usr/bin/python3
"""`muster plan`: what it foretells is what the run right after it does, call by call and unit by unit; it asks nobody and
writes nothing; and each of its sums can be done again from what it prints.
"""
import collections
import json
import os
import re
import subprocess
import unittest

from bucket import S3Lab
from expected import rfc3339
from lab import MUSTER, PATIENCE, REGION, Case, Lab

UNITS = ("metrics_requested", "calls_billed", "objects_put", "samples_ingested")
FORETOLD = ("sts", "monitoring")


def tree(folder):
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(path, name), "rb") as file:
                found[os.path.join(path, name)] = file.read()
    return found


class Plans(Case):
    def plan(self, lab, *words, env=None, status=0):
        """Without credentials and without a network, unless the environment has them."""
        config_file = lab.path("muster.yaml", json.dumps(lab.settings, indent=1))
        result = subprocess.run([MUSTER, "plan", "-c", config_file, "--now", rfc3339(lab.now) + "Z", *words],
                                env=env or {"PATH": os.environ["PATH"]}, cwd=lab.folder, text=True, check=False,
                                stdin=subprocess.DEVNULL, capture_output=True, timeout=120 * PATIENCE)
        self.assertEqual(result.returncode, status, result.stderr[-3000:])
        return result

    def document(self, lab, *words, **how):
        return json.loads(self.plan(lab, "--json", *words, **how).stdout)

    def report(self, lab, *words, **how):
        result = lab.run("--report", "-", *words, **how)
        self.assert_status(result, 0)
        return json.loads(result.out)

    @staticmethod
    def seen(lab):
        """Calls for data and credentials, as the stand-in counted them: {service: {operation: n}}."""
        calls = lab.daemon.control("stats")["calls"]
        return {service: {operation: sum(by.values()) for operation, by in calls[service].items()}
                for service in FORETOLD if service in calls}

    def assert_comes_true(self, lab, *words, units=UNITS, command="run", **how):
        """The plan, and the run that follows at once, agree. Returns the plan."""
        plan = self.document(lab, *words, **how)
        lab.cleared()
        report = self.report(lab, *words, command=command)
        totals, stats = plan["totals"], report["totals"]["stats"]
        self.assertEqual({s: c for s, c in totals["calls"].items() if s in FORETOLD}, self.seen(lab))
        self.assertEqual({unit: totals["billed"][unit] for unit in units}, {unit: stats[unit] for unit in units})
        self.assertEqual(totals["cells"], stats["cells"])
        done = collections.Counter()
        for s in report["streams"]:  # of a backfill, slices
            done[s["tenant"], s["job"], s["region"]] += s["stats"]["cells"]
        self.assertEqual({(s["tenant"], s["job"], s["region"]): s["cells"] for s in plan["streams"]}, done)
        if units == UNITS:
            self.assertAlmostEqual(totals["estimated_dollars"]["run"], report["totals"]["estimated_dollars"], places=9)
        return plan


class ComesTrue(Plans):
    def test_runs_of_many_kinds(self):
        """Steady, idle, behind, a sink that is new; two regions, two jobs, more series than a call takes."""
        lab = self.lab(tenants=2, services=30, regions=[REGION, "us-east-1"])
        lab.settings["jobs"] = {
            "ecs": {"kind": "metrics", "to": ["lake"], "from": [
                {"namespace": "ECS/ContainerInsights", "dimensions": [["*"]], "statistics": ["Average", "Maximum"]}]},
            "cpu": {"kind": "metrics", "to": ["prom"], "from": [{"namespace": "AWS/ECS"}, {"namespace": "ECS/ContainerInsights"}],
                    "revisit": "off"}}
        self.report(lab)
        plan = self.assert_comes_true(lab)
        self.assertEqual(plan["totals"]["cells"], 0)
        self.assertEqual(plan["totals"]["calls"], {"sts": {"GetCallerIdentity": 1}})
        for later in (300, 300, 1500):
            lab.tell(lab.now + later)
            plan = self.assert_comes_true(lab)
        calls = plan["totals"]["calls"]["monitoring"]
        self.assertGreater(plan["streams"][1]["series"], 500)
        self.assertGreater(calls["GetMetricData"], len(plan["streams"]), "500 series a call")
        lab.settings["jobs"]["ecs"]["to"] = ["lake", "prom"]
        lab.tell(lab.now + 300)
        self.assert_comes_true(lab)

    def test_after_hours_without_a_run(self):
        """What receivers still take comes first: two passes, and two lists of metrics."""
        lab = self.lab(tenants=2)
        lab.settings["sinks"]["prom"]["max_age"] = "1h"
        self.report(lab)
        lab.tell(lab.now + 6 * 3600)
        plan = self.assert_comes_true(lab)
        self.assertEqual(plan["totals"]["calls"]["monitoring"]["ListMetrics"], 4)
        self.assertGreater(plan["streams"][0]["pulls"], 2)

    def test_expressions(self):
        """In calls of their own; one that looks back, cell by cell."""
        lab = self.lab(tenants=2, services=3)
        used = {"namespace": "AWS/ECS", "statistics": ["Average"]}
        lab.settings["jobs"] = {"any": {"kind": "metrics", "to": ["lake", "prom"], "from": [
            {"namespace": "AWS/ECS", "statistics": ["Average"]},
            {**used, "id": "cpu", "metrics": ["CPUUtilization"]}, {**used, "id": "memory", "metrics": ["MemoryUtilization"]},
            {"expression": "cpu + memory", "name": "both"}, {"expression": "RATE(cpu)", "name": "rate"}]}}
        self.report(lab)
        lab.tell(lab.now + 900)
        plan = self.assert_comes_true(lab, units=("metrics_requested", "calls_billed", "objects_put"))
        self.assertGreater(plan["totals"]["calls"]["monitoring"]["GetMetricData"], 2 * 5)

    def test_alarms(self):
        lab = self.lab(tenants=2)
        lab.settings["jobs"] = {"alarms": {"kind": "alarms", "every": "1m", "to": ["lake"]}}
        self.report(lab)
        lab.tell(lab.now + 120)
        calls = self.assert_comes_true(lab)["totals"]["calls"]["monitoring"]
        self.assertEqual(calls, {"DescribeAlarms": 2, "DescribeAlarmHistory": 2})

    def test_what_cannot_be_caught_up(self):
        lab = self.lab(tenants=1)
        lab.settings["run"] = {"max_catchup": "1h"}
        self.report(lab)
        lab.tell(lab.now + 3 * 3600)
        plan = self.assert_comes_true(lab)
        self.assertEqual(plan["streams"][0]["given_up_seconds"], 3 * 3600 - 3600 + 300)

    def test_a_thousand_tenants(self):
        lab = self.lab(tenants=1000, services=1)
        lab.settings["jobs"]["ecs"]["to"] = ["lake"]
        lab.settings["jobs"]["ecs"]["lookback"] = "10m"
        plan = self.assert_comes_true(lab, units=("calls_billed", "objects_put"))
        self.assertEqual(len(plan["streams"]), 1000)
        self.assertEqual(plan["totals"]["calls"]["sts"]["AssumeRole"], 1000)

    def test_a_backfill(self):
        lab = self.lab(tenants=2)
        self.report(lab)
        window = ("--from", rfc3339(lab.now - 28800) + "Z", "--to", rfc3339(lab.now - 7200) + "Z")
        plan = self.assert_comes_true(lab, *window, command="backfill")
        self.assertEqual(plan["command"], "backfill")
        self.assertEqual({s["basis"] for s in plan["streams"]}, {"record"}, "scheduled runs know the series")
        self.assertEqual(self.assert_comes_true(lab, *window, command="backfill")["totals"]["cells"], 0)

    def test_all_of_it_on_s3(self):
        """Objects put with those of the state, and samples that are paid for."""
        lab = S3Lab(tenants=2)
        self.addCleanup(lab.close)
        lab.settings["sinks"]["amp"] = {"kind": "remote_write", "sigv4": {"service": "aps"},
                                        "url": f"{lab.daemon.url}/workspaces/ws-1/api/v1/remote_write"}
        lab.settings["jobs"]["ecs"]["to"] = ["amp", "lake"]
        self.report(lab)
        for _ in range(2):
            lab.tell(lab.now + 300)
            plan = self.document(lab, env=lab.environment())
            lab.cleared()
            stats = self.report(lab)["totals"]["stats"]
            puts = lab.daemon.control("stats")["calls"]["s3"]["PutObject"]
            self.assertEqual(plan["totals"]["billed"]["objects_put"], sum(puts.values()))
            self.assertEqual(sum(s["billed"]["objects_put"] for s in plan["streams"]), stats["objects_put"])
            self.assertAlmostEqual(plan["totals"]["billed"]["samples_ingested"], stats["samples_ingested"], delta=8)

    def test_queries(self):
        """One for each cell; what is scanned is known from what was scanned."""
        lab = self.lab(tenants=2)
        lab.settings["jobs"] = {"app": {"kind": "insights", "log_groups": ["/ecs/app-*"], "to": ["lake"],
                                        "query": "fields @timestamp, @logStream, @message"}}
        first = self.document(lab)
        self.assertEqual((first["totals"]["billed"]["bytes_scanned"], first["totals"]["assumed"]), (0, 2))
        self.report(lab)
        lab.tell(lab.now + 1200)
        plan = self.document(lab)
        lab.cleared()
        stats = self.report(lab)["totals"]["stats"]
        calls = lab.daemon.control("stats")["calls"]["logs"]
        self.assertEqual(plan["totals"]["cells"], stats["cells"])
        for operation in ("StartQuery", "DescribeLogGroups"):
            self.assertEqual(plan["totals"]["calls"]["logs"][operation], sum(calls[operation].values()), operation)
        scanned = plan["totals"]["billed"]["bytes_scanned"]
        self.assertLess(abs(scanned - stats["bytes_scanned"]), 0.25 * stats["bytes_scanned"])


class TheFirst(Plans):
    def test_nothing_is_known(self):
        lab = self.lab(tenants=2)
        text = self.plan(lab)
        self.assertIn("2 streams have no record, nor has any other of their job: 80 series each are assumed", text.stdout)
        self.assertIn("there is no state yet", text.stderr)
        plan = self.document(lab)
        self.assertEqual({(s["first_run"], s["basis"], s["series"]) for s in plan["streams"]}, {(True, "assumed", 80)})
        self.assertEqual(plan["totals"]["billed"]["metrics_requested"], 160)
        self.assertFalse(os.path.exists(lab.state), "looking has made a folder")
        lab.cleared()
        self.report(lab)
        self.assertEqual({s: plan["totals"]["calls"][s] for s in FORETOLD}, self.seen(lab))

    def test_a_new_tenant_is_taken_to_be_as_the_others(self):
        lab = self.lab(tenants=3)
        newcomer = lab.settings["tenants"].pop()
        self.report(lab)
        lab.settings["tenants"].append(newcomer)
        lab.tell(lab.now + 300)
        plan = self.document(lab)
        told = {s["tenant"]: s for s in plan["streams"]}
        self.assertEqual((told[newcomer["id"]]["basis"], told[newcomer["id"]]["first_run"]), ("others", True))
        others = [s["series"] for name, s in told.items() if name != newcomer["id"]]
        self.assertEqual(told[newcomer["id"]]["series"], round(sum(others) / 2))
        self.assertIn("~ 1 streams have no record yet", self.plan(lab).stdout)
        self.assertEqual(plan["totals"]["cells"], self.report(lab)["totals"]["stats"]["cells"])


class Harmless(Plans):
    def test_it_asks_nobody_and_writes_nothing(self):
        lab = self.lab(tenants=2)
        self.report(lab)
        lab.tell(lab.now + 900)
        before = tree(lab.state), tree(lab.lake)
        lab.cleared()
        first = self.plan(lab, "--every", "1m,1h").stdout
        self.assertEqual(self.plan(lab, "--every", "1m,1h").stdout, first)
        self.plan(lab, "--from", "now-1d", "--to", "now")
        self.assertEqual((tree(lab.state), tree(lab.lake)), before)
        self.assertEqual(lab.daemon.control("stats")["calls"], {})

    def test_names_and_damage(self):
        """The longest and strangest names there may be; one checkpoint that is damaged with its predecessor."""
        lab = Lab(tenants=3)
        self.addCleanup(lab.close)
        names = ["0" * 63, "a.-_" * 15 + "..z", "x.prev.json"]
        for tenant, name in zip(lab.settings["tenants"], names):
            tenant["id"] = name
        self.report(lab)
        lab.tell(lab.now + 300)
        folder = os.path.join(lab.state, "tenants", names[1])
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write('{"\x1b[2J\nformat": 1}')
        result = self.plan(lab)
        rows = re.findall(rf"^\S+ +\S+ +{REGION} .*$", result.stdout, re.M)
        self.assertEqual(len(rows), 3)
        self.assertTrue(all(len(row) <= 120 for row in rows))
        self.assertNotIn("\x1b", result.stdout + result.stderr)
        self.assertIn("- 1 streams cannot be foreseen", result.stdout)
        self.assertEqual(len([line for line in result.stderr.splitlines() if f"tenant={names[1]}" in line]), 1)
        plan = self.document(lab)
        self.assertEqual([s["tenant"] for s in plan["streams"] if "error" in s], [names[1]])
        self.assertEqual(plan["totals"]["cells"], 2)

    def test_what_is_typed_wrong(self):
        lab = self.lab(tenants=1)
        for words, said in ((("--every", "7m"), "--every 7m"), (("--every", "1m,,5m"), "--every"),
                            (("--every", ""), "--every : expected"), (("--every", "5m,"), "--every : expected"),
                            (("--job", "nosuch"), "no job of that name"), (("--tenant", "nosuch"), "no tenant of that name"),
                            (("--from", "now-1d"), "--to is missing"), (("--to", "now"), "--from is missing")):
            self.assertIn(said, self.plan(lab, *words, status=2).stderr, words)
        self.assertIn("usage: muster plan", subprocess.run([MUSTER, "help", "plan"], text=True, check=True,
                                                           capture_output=True).stdout)


class Sums(Plans):
    def test_each_can_be_done_again_by_hand(self):
        lab = S3Lab(tenants=3)
        self.addCleanup(lab.close)
        lab.settings["run"] = {"prices": {"get_metric_data_per_1000": 0.5, "s3_puts_per_1000": 0.25}}
        self.report(lab)
        lab.tell(lab.now + 900)
        text = self.plan(lab, env=lab.environment()).stdout
        plan = self.document(lab, env=lab.environment())
        items = re.findall(r"^  (\S.*?) +\$([0-9.]+) / ([0-9,]+) +([0-9]+) +\$([0-9.]+) +([0-9]+) +\$([0-9.]+)$", text, re.M)
        self.assertEqual([item[0] for item in items], ["metrics asked for", "other CloudWatch calls", "objects put on S3"])
        run = day = 0
        for name, price, per, now, dollars, a_day, day_dollars in items:
            each = float(price) / int(per.replace(",", ""))
            self.assertAlmostEqual(int(now) * each, float(dollars), delta=0.005 * float(dollars) + 1e-6, msg=name)
            self.assertAlmostEqual(int(a_day) * each, float(day_dollars), delta=0.005 * float(day_dollars) + 1e-6, msg=name)
            run, day = run + int(now) * each, day + int(a_day) * each
        dollars = plan["totals"]["estimated_dollars"]
        self.assertAlmostEqual(run, dollars["run"], places=9)
        self.assertAlmostEqual(day, dollars["day"], places=6)
        self.assertAlmostEqual(dollars["month"], 30 * dollars["day"], places=9)
        rows = [row.split() for row in re.findall(rf"^\S+ +\S+ +{REGION} .*$", text, re.M)]
        calls = plan["totals"]["calls"]
        self.assertEqual(sum(int(row[4]) for row in rows), sum(calls["monitoring"].values()))
        self.assertEqual(sum(int(row[5]) for row in rows), plan["totals"]["billed"]["metrics_requested"])
        self.assertIn("AWS list prices of us-east-1, April 2026, or run.prices", text)

    def test_a_day_is_what_a_day_of_runs_does(self):
        """288 runs, foretold by one; listing each 10 minutes is each second run."""
        lab = self.lab(tenants=1)
        lab.settings["jobs"]["ecs"]["to"] = ["lake"]
        self.report(lab)
        lab.tell(lab.now + 300)
        self.report(lab)
        day = self.document(lab)["totals"]["day"]
        lab.cleared()
        done = collections.Counter()
        for _ in range(12):
            lab.tell(lab.now + 300)
            done.update(self.report(lab)["totals"]["stats"])
        self.assertEqual(day["metrics_requested"], 24 * done["metrics_requested"])
        self.assertEqual(day["calls_billed"], 24 * done["calls_billed"])
        self.assertEqual(day["calls"], 24 * sum(sum(by.values()) for by in self.seen(lab).values()))

    def test_schedules_and_other_ways(self):
        lab = self.lab(tenants=2)
        lab.settings["jobs"]["slow"] = {"kind": "metrics", "period": "5m", "every": "5m", "to": ["lake"]}
        self.report(lab)
        plan = self.document(lab, "--every", "1m,5m,15m,1h")
        rows = {row["every_seconds"]: row for row in plan["schedules"]}
        self.assertEqual(list(rows), [60, 300, 900, 3600])
        self.assertEqual(rows[60]["without_job"], "slow")
        self.assertEqual({rows[every]["without_job"] for every in (300, 900, 3600)}, {None})
        self.assertEqual(rows[300]["day"], plan["totals"]["day"], "that is how it is configured")
        self.assertEqual(rows[300]["day"]["metrics_requested"], 3 * rows[900]["day"]["metrics_requested"])
        series = plan["totals"]["series"]
        self.assertEqual(rows[900]["day"]["metrics_requested"], 96 * series)
        others = {other["name"]: other for other in plan["other_ways"]}
        self.assertTrue(all(other["estimate"] and other["assumption"] and other["wins"] for other in others.values()))
        scraper = others["a scraper each minute"]
        self.assertAlmostEqual(scraper["dollars_a_month"], series * 43200 / 1000 * 0.01, places=6)
        self.assertIn(f"{series} series x 43200 minutes x $0.01 / 1,000", scraper["sum"])
        # What the design promises of fifteen minutes: a fifteenth.
        asked = rows[900]["day"]["metrics_requested"] / 1000 * 0.01 * 30
        self.assertAlmostEqual(scraper["dollars_a_month"], 15 * asked, places=6)
        text = self.plan(lab, "--every", "1m,15m").stdout
        self.assertIn("without job slow", text)
        lab.settings["sinks"]["prom"]["max_age"] = "1h"
        told = {row["every_seconds"]: row["too_old_for"] for row in self.document(lab, "--every", "30m,1h")["schedules"]}
        self.assertEqual(told, {1800: None, 3600: "prom"})
        self.assertIn(scraper["sum"], text)


if __name__ == "__main__":
    unittest.main()
