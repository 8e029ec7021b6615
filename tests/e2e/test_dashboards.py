#!/usr/bin/python3
"""Dashboards, rules and routes of schedules/: well-formed, and made for batches; every query run against a real Prometheus
that real runs have filled, at every minute between two runs; routes and inhibition by a real Alertmanager.
"""
import glob
import json
import os
import re
import shutil
import tempfile
import time
import unittest
import urllib.parse
import urllib.request

import arrivals
import board
from lab import PATIENCE, ROOT, Case, Lab, Receiver, start_prometheus

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
UNITS = {"short", "s", "percentunit", "currencyUSD", "mbytes", "Bps", "cps", "cpm"}  # of Grafana's; mbytes are MiB
PANELS = {"stat", "table", "timeseries", "state-timeline"}
# How far back a selector has to look at least: every + delay + 5m of the job that sends it, and its period of a minute, for runs
# each five minutes; muster itself speaks once a run.
REACH = (("aws_cloudwatch_alarm_", 480), ("log_", 1260), ("muster_", 900), ("", 960))


def walk(value, path=()):
    """(path, value) of everything in a document."""
    yield path, value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from walk(child, (*path, key))


def faults(doc):
    """What is wrong with a dashboard, in words."""
    panels, names = doc["panels"], board.variables(doc)
    found = [f"id {one['id']} twice" for n, one in enumerate(panels) if one["id"] in [p["id"] for p in panels[:n]]]
    if names.get("datasource", {}).get("type") != "datasource":
        found.append("no variable for the data source")
    for path, value in walk(doc):
        if path and path[-1] == "datasource" and isinstance(value, (dict, str)) and value != SOURCE:
            found.append(f"a data source of its own at {path}")
    used = set(re.findall(r"\$(\w+)", json.dumps([panel["targets"] for panel in panels])))
    found += [f"${name} is not declared" for name in used - set(names) - {"datasource"}]
    found += [f"${name} is not used" for name in set(names) - used - {"datasource"}]
    for panel in panels:
        found += [f"{panel.get('title')}: {words}" for words in panel_faults(panel)]
    cells = [(x, y) for panel in panels for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
             for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])]
    if len(cells) != len(set(cells)) or max(x for x, _ in cells) > 23:
        found.append("panels lie on each other, or outside")
    return found


def panel_faults(panel):
    if panel["type"] not in PANELS:
        yield f"a panel of type {panel['type']}"
    if not panel.get("title") or not panel.get("description"):
        yield "no title or no description"
    if panel["fieldConfig"]["defaults"].get("unit") not in UNITS:
        yield "no unit"
    if panel.get("datasource") != SOURCE or not panel["targets"]:
        yield "no data source, or nothing asked of it"
    if len({one["refId"] for one in panel["targets"]}) != len(panel["targets"]):
        yield "two targets of one refId"
    for target in panel["targets"]:
        if not target.get("legendFormat") or not target.get("expr") or target.get("datasource") != SOURCE:
            yield f"{target['refId']}: no legend, expression or data source"
        if bool(target.get("instant")) == bool(target.get("range")):
            yield f"{target['refId']}: either instant or range"
        yield from window_faults(target["expr"])


def window_faults(expression, windows=None):
    """What an instant selector sees of a batch is nothing; and a window that is too short shows holes."""
    for name, _, window in board.selectors(expression):
        reach = next(seconds for prefix, seconds in REACH if name.startswith(prefix))
        if not window:
            yield f"{name} without a window"
        elif not window.startswith("$") and board.seconds(window) < reach:
            yield f"{name}[{window}] looks back less than {reach} s"


class Files(unittest.TestCase):
    def test_dashboards_are_well_formed(self):
        boards = board.dashboards()
        self.assertEqual(set(boards), {"fleet.json", "tenant.json", "muster.json"})
        self.assertEqual(len({doc["uid"] for doc in boards.values()}), len(boards))
        for name, doc in boards.items():
            with self.subTest(name):
                self.assertEqual(faults(doc), [])
                self.assertLessEqual(set(re.findall(r"/d/([\w-]+)", json.dumps(doc))), {doc["uid"] for doc in boards.values()})

    def test_what_is_not_well_formed_is_seen(self):
        def broken(change):
            doc = board.dashboards()["tenant.json"]
            change(doc, doc["panels"][0])
            return " ".join(faults(doc))

        self.assertIn("twice", broken(lambda doc, panel: panel.update(id=doc["panels"][1]["id"])))
        self.assertIn("of its own", broken(lambda doc, panel: panel["targets"][0].update(datasource={"uid": "P18"})))
        self.assertIn("legend", broken(lambda doc, panel: panel["targets"][0].pop("legendFormat")))
        self.assertIn("unit", broken(lambda doc, panel: panel["fieldConfig"]["defaults"].pop("unit")))
        self.assertIn("without a window", broken(lambda doc, panel: panel["targets"][0].update(expr="sum(ecs_task_cpu_utilized)")))
        self.assertIn("looks back less", broken(lambda doc, panel: panel["targets"][0].update(expr="rate(log_lines[5m])")))
        self.assertIn("not declared", broken(lambda doc, panel: panel["targets"][0].update(expr="x:y:z > $limit")))
        self.assertIn("each other", broken(lambda doc, panel: panel.update(gridPos=doc["panels"][1]["gridPos"])))

    def test_windows_are_those_of_the_jobs(self):
        """The variables' defaults, and REACH above, from the jobs that the dashboards are made for."""
        jobs = board.load(board.JOBS)["jobs"]
        defaults = {"metrics": ("5m", "5m"), "alarms": ("5m", "1m"), "insights": ("5m", "10m")}
        wanted = {kind: max(board.seconds(job.get("every", defaults[kind][0])) + board.seconds(job.get("delay", defaults[kind][1]))
                            for job in jobs.values() if job["kind"] == kind) + 360 for kind in defaults}
        self.assertEqual((wanted["metrics"], wanted["alarms"], wanted["insights"]), (960, 480, 1260))
        for doc in board.dashboards().values():
            for name, kind in (("window", "metrics"), ("log_window", "insights")):
                if name in board.variables(doc):
                    self.assertGreater(board.seconds(board.variables(doc)[name]["query"]), wanted[kind])

    def test_what_dashboards_and_rules_read_is_recorded_or_sent(self):
        known = {rule["record"] for rule in board.rules() if "record" in rule}
        read = " ".join([rule["expr"] for rule in board.rules()] + [json.dumps(doc) for doc in board.dashboards().values()])
        self.assertEqual(set(board.RECORDED.findall(read)) - known, set())


@unittest.skipUnless(shutil.which("promtool"), "no promtool on this machine")
class Rules(unittest.TestCase):
    def test_promtool_takes_them(self):
        status, said = board.run_tool("promtool", "check", "rules", "--lint=all", "--lint-fatal", board.RULES)
        self.assertEqual(status, 0, said)

    def test_their_tests_pass(self):
        status, said = board.run_tool("promtool", "test", "rules", *glob.glob(f"{ROOT}/tests/rules/*.yaml"))
        self.assertEqual(status, 0, said)

    def test_every_alert_is_seen_to_fire_and_says_what_it_is(self):
        seen = set()
        for path in glob.glob(f"{ROOT}/tests/rules/*.yaml"):
            for one in (one for test in board.load(path)["tests"] for one in test["promql_expr_test"] if one["exp_samples"]):
                seen.update(re.findall(r'alertname="(\w+)"', one["expr"] + json.dumps(one["exp_samples"]).replace("\\", "")))
        alerts = [rule for rule in board.rules() if "alert" in rule]
        self.assertEqual({rule["alert"] for rule in alerts}, seen)
        for rule in alerts:
            self.assertIn(rule["labels"]["severity"], ("page", "ticket"), rule["alert"])
            self.assertEqual(set(rule["annotations"]), {"summary", "description"}, rule["alert"])

    def test_windows(self):
        self.assertEqual([words for rule in board.rules() for words in window_faults(rule["expr"])], [])


@unittest.skipUnless(shutil.which("prometheus-alertmanager") and shutil.which("amtool"), "no Alertmanager on this machine")
class Routes(Case):
    CONFIG = os.path.join(board.FOLDER, "alertmanager.yaml")
    PLACES = ((dict(alertname="MusterDown", severity="page"), ["platform-page"]),
              (dict(alertname="MusterFailing", severity="ticket"), ["platform"]),
              (dict(alertname="StreamStale", severity="ticket", tenant="acme", job="ecs"), ["acme"]),
              (dict(alertname="TenantSilent", severity="page", tenant="t1"), ["tenants"]),
              (dict(alertname="TenantSilent", severity="page", tenant="bank-7"), ["banks-page"]),
              (dict(alertname="TenantSilent", severity="ticket", tenant="bank-7"), ["tenants"]),
              (dict(alertname="ServiceMemoryNearReservation", severity="page", tenant="t2", tier="gold"), ["tenants", "tenants-page"]),
              (dict(alertname="an alarm of CloudWatch's", alarm="x", tenant="t3", account_id="1", region="r"), ["tenants"]),
              (dict(alertname="MusterDown", alarm="MusterDown", tenant="t3"), ["tenants"]))

    def told(self, *alerts):
        """Our configuration in a real one, told these: {labels: (receivers, whether it is quiet)}."""
        server = Receiver(self.lab_folder(), lambda folder, address: [
            "prometheus-alertmanager", f"--config.file={self.CONFIG}", f"--storage.path={folder}/data",
            f"--web.listen-address={address}", "--cluster.listen-address="], "/-/ready")
        self.addCleanup(server.stop)
        body = json.dumps([{"labels": labels} for labels in alerts]).encode()
        urllib.request.urlopen(urllib.request.Request(f"{server.url}/api/v2/alerts", body,
                                                      {"Content-Type": "application/json"}), timeout=10).close()
        deadline = time.monotonic() + 20 * PATIENCE
        while True:
            rows = arrivals.get_json(f"{server.url}/api/v2/alerts")
            if len(rows) == len(alerts) or time.monotonic() > deadline:
                return {tuple(sorted(row["labels"].items())):
                        (sorted(one["name"] for one in row["receivers"]), row["status"]["state"] == "suppressed") for row in rows}
            time.sleep(0.05)

    def lab_folder(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        return os.path.join(folder, "alertmanager")

    def test_amtool_takes_it(self):
        status, said = board.run_tool("amtool", "check-config", self.CONFIG)
        self.assertEqual(status, 0, said)

    def test_each_goes_to_its_tenants_people(self):
        found = self.told(*(labels for labels, _ in self.PLACES))
        self.assertEqual({key: receivers for key, (receivers, _) in found.items()},
                         {tuple(sorted(labels.items())): sorted(receivers) for labels, receivers in self.PLACES})

    def test_what_follows_from_another_is_quiet(self):
        stale = dict(alertname="StreamStale", job="ecs", region="r")
        down = self.told(dict(alertname="MusterDown"), {**stale, "tenant": "a"}, dict(alertname="CloudWatchAlarm", tenant="a"))
        self.assertEqual(sorted(dict(key)["alertname"] for key, (_, quiet) in down.items() if quiet), ["StreamStale"])
        # A tenant's own alarm, whatever its name, keeps nothing of another tenant's quiet.
        absent = self.told(dict(alertname="MusterDown", tenant="evil"), dict(alertname="TenantAbsent", tenant="a"),
                           {**stale, "tenant": "a"}, {**stale, "tenant": "b"})
        self.assertEqual([dict(key)["tenant"] for key, (_, quiet) in absent.items() if quiet], ["a"])


@unittest.skipUnless(shutil.which("prometheus"), "no prometheus on this machine")
class Filled(Case):
    """Runs of the jobs that the dashboards are made for, up to the present, into a Prometheus that evaluates the rules."""

    def filled(self):
        now = int(time.time()) // 300 * 300 - 60  # the last moment before a cell is due: nothing is older when it comes
        document = self.document()
        lab = self.lab(now=now - 900, document=document)
        receiver = start_prometheus(lab.path("prometheus"), rules=board.RULES)
        self.addCleanup(receiver.stop)
        lab.settings.update(board.load(board.JOBS))
        lab.settings["sinks"]["amp"] = {"kind": "remote_write", "url": f"{receiver.url}/api/v1/write"}
        del lab.settings["sinks"]["prom"]
        for moment in (now - 900, now - 600, now - 300, now):
            self.assert_status(lab.run(now=moment), 0)
        return lab, receiver

    def document(self):
        """The usual world, and a count of restarts for each service."""
        document = Lab.document(2)
        for tenant in document["tenants"]:
            for place in tenant["regions"].values():
                place["custom"] += [{"namespace": "ECS/ContainerInsights", "metric": "RestartCount", "unit": "Count",
                                     "dimensions": {"ClusterName": cluster["name"], "ServiceName": service["name"]}}
                                    for cluster in place["clusters"] for service in cluster["services"]]
        return document

    @staticmethod
    def ask(url, **fields):
        path = "query_range" if "step" in fields else "query"
        return arrivals.get_json(f"{url}/api/v1/{path}?{urllib.parse.urlencode(fields)}")["data"]["result"]

    def wait_for_rules(self, receiver):
        """Until everything that is recorded is there."""
        wanted = {rule["record"] for rule in board.rules() if "record" in rule}
        deadline = time.monotonic() + 30 * PATIENCE
        while True:
            found = {row["metric"]["__name__"] for row in self.ask(receiver.url, query='{__name__=~".+:.+:.+"}')}
            if found == wanted:
                return
            self.assertLess(time.monotonic(), deadline, f"not recorded: {wanted - found}")
            time.sleep(0.2)

    def test_every_query_returns_data(self):
        lab, receiver = self.filled()
        self.every_selector(lab, receiver)
        self.wait_for_rules(receiver)
        for name, doc in board.dashboards().items():
            for panel in doc["panels"]:
                for target in panel["targets"]:
                    with self.subTest(f"{name}: {panel['title']} {target['refId']}"):
                        self.target(lab, receiver, doc, target)
            self.variable(lab, receiver, doc)
        (health,) = {rule["health"] for group in arrivals.get_json(f"{receiver.url}/api/v1/rules")["data"]["groups"]
                     for rule in group["rules"]}
        self.assertEqual(health, "ok")

    def every_selector(self, lab, receiver):
        """What the last run brought is seen until the next one, five minutes later, has ended."""
        tenant = lab.world.tenants[0]["id"]
        asked = {selector for rule in board.rules() for selector in board.selectors(rule["expr"])}
        asked |= {selector for doc in board.dashboards().values() for panel in doc["panels"] for target in panel["targets"]
                  for selector in board.selectors(board.filled(doc, target["expr"], tenant))}
        self.assertGreater(len(asked), 40)
        for series, matchers, window in sorted(asked):
            # The outcome a test does not want is not in a run that is well.
            matchers = re.sub(r',?code=~"[^"]*"', "", matchers)
            query = f"last_over_time({series}{matchers}[{window}])"
            with self.subTest(query):
                unseen = [minute for minute in range(6)
                          if not self.ask(receiver.url, query=query, time=lab.now + minute * 60)]
                self.assertEqual(unseen, [])

    def target(self, lab, receiver, doc, target):
        query = board.filled(doc, target["expr"], lab.world.tenants[0]["id"])
        present = time.time()
        if target.get("range"):
            rows = self.ask(receiver.url, query=query, start=present - 900, end=present, step=15)
            self.assertGreaterEqual(max((row["values"][-1][0] for row in rows), default=0), present - 30, "the line ends too early")
        else:
            rows = self.ask(receiver.url, query=query)
        self.assertTrue(rows, query)
        for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
            self.assertTrue(all(row["metric"].get(label) for row in rows), f"{label} in {rows[0]['metric']}")

    def variable(self, lab, receiver, doc):
        for one in board.variables(doc).values():
            if one["type"] == "query":
                series, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", one["query"]["query"]).groups()
                url = f"{receiver.url}/api/v1/label/{label}/values?{urllib.parse.urlencode({'match[]': series})}"
                self.assertEqual(arrivals.get_json(url)["data"], sorted(tenant["id"] for tenant in lab.world.tenants))


if __name__ == "__main__":
    unittest.main()
