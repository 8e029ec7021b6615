"""A second simulator of STS, Organizations, CloudWatch and Amazon's Prometheus, with its own reading of AWS and its own truth.

MUSTER_SIMULATOR names its program (run by node; truth.mjs beside it computes what is true).
"""
import json
import os
import shutil
import subprocess
import unittest
import urllib.request

from outside import Outside

import arrivals
from expected import EIGHT, due_end, first_start, rfc3339
from lab import NOW, free_port

PROGRAM = os.environ.get("MUSTER_SIMULATOR", "")
REGIONS = "eu-west-1,us-east-1"
THERE = os.path.isfile(PROGRAM) and shutil.which("node")
KEYS = ("account_id", "region", "__name__", "cluster", "service")
# Each is legal, and each breaks a client that guesses.
QUIRKS = ({}, {"sciTimestamps": True}, {"cborCompact": True}, {"cborDefinite": True}, {"gmdPaging": "query"})


@unittest.skipUnless(THERE, "MUSTER_SIMULATOR is not set to a simulator's program, or there is no node")
class Simulator(Outside):
    def begin(self, quirks, *flags, change=None, **defaults):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        truth = os.path.join(os.path.dirname(PROGRAM), "truth.mjs")
        text = subprocess.run(["node", truth, "world", "--tenants", "6", "--seed", "42", "--regions", REGIONS,
                               "--epoch", str(NOW)], check=True, capture_output=True, text=True, timeout=60).stdout
        self.world = {**json.loads(text), "quirks": quirks}
        self.world["defaults"] = {**self.world.get("defaults", {}), **defaults}
        self.now = NOW
        for tenant in self.world["tenants"]:
            tenant["tags"]["external"] = tenant["externalId"]
        if change:
            change(self.world)
        world_file = self.path("world.json", json.dumps(self.world))
        self.daemon(["node", PROGRAM, "--port", str(port), "--world", world_file, "--now", str(NOW), "--data",
                     self.path("data"), "--amp-max-age", "86400", "--latency", "0", *flags], self.ready)

    def ready(self):
        try:
            arrivals.get_json(f"{self.url}/_sim/health")
            return True
        except OSError:
            return False

    def configure(self, **changes):
        workspace = self.world["amp"]["workspaces"][0]["id"]
        tenants = [{"id": t["id"], "account": t["account"], "role": t["roles"][0]["arn"], "external_id": t["externalId"],
                    "regions": t["regions"]} for t in self.world["tenants"]]
        self.path("muster.yaml", json.dumps({
            "region": self.world["central"]["region"], "state": f"file://{self.folder}/state", "tenants": tenants,
            "jobs": {"ecs": {"kind": "metrics", "to": ["amp", "lake"]}},
            "sinks": {"amp": {"kind": "remote_write", "sigv4": {"service": "aps"},
                              "url": f"{self.url}/workspaces/{workspace}/api/v1/remote_write"},
                      "lake": {"kind": "objects", "url": f"file://{self.folder}/lake"}}, **changes}))

    def tell(self, now):
        body = json.dumps({"now": now}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/_sim/now", body, method="PUT"), timeout=30).close()
        self.now = now

    def run_once(self, *words, keys=None, **how):
        central = self.world["central"]
        return self.muster("--now", rfc3339(self.now) + "Z", *words, **how, env={
            "AWS_ENDPOINT_URL": self.url, **(keys or {
                "AWS_ACCESS_KEY_ID": central["accessKeyId"], "AWS_SECRET_ACCESS_KEY": central["secretAccessKey"]})})

    def truth(self):
        """{(account, region, name, cluster, service): {ms: value}} that can be seen now."""
        start, end = first_start(NOW), due_end(self.now)
        command = ["node", os.path.join(os.path.dirname(PROGRAM), "truth.mjs"), "metrics", "--world",
                   self.path("world.json"), "--start", start, "--end", end, "--period", 60, "--stat", "Average", "--ns",
                   "ECS/ContainerInsights", "--now", self.now]
        text = subprocess.run([*map(str, command)], check=True, capture_output=True, text=True, timeout=120).stdout
        found = {}
        for row in map(json.loads, text.splitlines()):
            if row["metric"] in EIGHT and set(row["dims"]) == {"ClusterName", "ServiceName"}:
                key = (row["account"], row["region"], EIGHT[row["metric"]], *(row["dims"][n] for n in sorted(row["dims"])))
                found.setdefault(key, {})[row["t"] * 1000] = row["v"]
        return found

    def received(self):
        with urllib.request.urlopen(f"{self.url}/_sim/amp/dump", timeout=60) as answer:
            rows = [json.loads(line) for line in answer.read().decode().split("\n") if line]
        return {tuple(row["labels"][key] for key in KEYS): dict(map(tuple, row["samples"])) for row in rows}

    def test_exactly_its_truth_whatever_it_answers_like(self):
        for quirks in QUIRKS:
            with self.subTest(quirks=quirks):
                self.begin(quirks)
                self.configure()
                self.run_once()
                truth = self.truth()
                self.assertTrue(truth)
                self.assertEqual(self.received(), truth)
                self.assertEqual(len(arrivals.samples_in(arrivals.lake(self.path("lake")))), len(truth))
                stats = arrivals.get_json(f"{self.url}/_sim/stats")
                self.assertEqual(stats["violations"], [])
                shutil.rmtree(self.path("lake"))
                shutil.rmtree(self.path("state"))

    def true_traces(self, start, end):
        """{(account, region, id): number of segments} that can be seen now and tell a second in [start, end)."""
        found = {}
        for tenant in self.world["tenants"]:
            for region in tenant["regions"]:
                command = ["node", os.path.join(os.path.dirname(PROGRAM), "truth.mjs"), "traces", "--world",
                           self.path("world.json"), "--start", start, "--end", end - 1e-6, "--now", self.now,
                           "--account", tenant["account"], "--region", region]
                text = subprocess.run([*map(str, command)], check=True, capture_output=True, text=True, timeout=120).stdout
                for row in map(json.loads, text.splitlines()):
                    found[row["account"], row["region"], row["id"][2:].replace("-", "")] = row["segments"]
        return found

    def test_every_trace_and_nothing_else(self):
        self.begin({}, "--tps", "off")
        self.configure(jobs={"traces": {"kind": "traces", "to": ["amp", "lake", "otlp"]}},
                       run={"limits": {"xray": "1000/s"}})
        with open(self.path("muster.yaml"), encoding="utf-8") as file:
            config = json.load(file)
        config["sinks"]["otlp"] = {"kind": "otlp", "url": self.url}
        self.path("muster.yaml", json.dumps(config))
        for later in (0, 300):
            self.tell(NOW + later)
            self.run_once()
        truth = self.true_traces(first_start(NOW), due_end(self.now, delay=600))
        self.assertTrue(truth)
        tops = {}
        for key in arrivals.lake_keys(self.path("lake")):
            for row in map(json.loads, arrivals.unpack(os.path.join(self.path("lake"), key)).decode().split("\n")[:-1]):
                place = (row["account_id"], row["region"], row["trace_id"])
                tops[place] = tops.get(place, 0) + (row["kind"] == 2)
        self.assertEqual(tops, truth)
        with urllib.request.urlopen(f"{self.url}/_sim/otlp/dump", timeout=60) as answer:
            spans = [json.loads(line) for line in answer.read().decode().split("\n") if line]
        self.assertEqual({(s["resource"]["cloud.account.id"], s["resource"]["cloud.region"], s["traceId"]) for s in spans},
                         set(truth))
        stats = arrivals.get_json(f"{self.url}/_sim/stats")
        self.assertEqual(stats["violations"], [])

    def test_check_names_what_each_role_lacks(self):
        lacks = ["cloudwatch:ListMetrics", "cloudwatch:GetMetricData", "logs:StartQuery", "logs:StopQuery"]

        def change(world):
            for tenant, action in zip(world["tenants"], lacks):
                tenant["roles"][0]["deny"] = [action]
            world["tenants"][len(lacks)]["roles"][0]["denied"] = True

        self.begin({}, change=change)
        self.configure()
        with open(self.path("muster.yaml"), encoding="utf-8") as file:
            config = json.load(file)
        config["jobs"]["app"] = {"kind": "insights", "log_groups": ["/ecs/*"], "query": "fields @message", "to": ["lake"]}
        self.path("muster.yaml", json.dumps(config))
        before = sorted(os.listdir(self.folder))
        result = json.loads(self.run_once("--json", command="check", status=1).out)
        missing = {(one["tenant"], one["action"]) for one in result["findings"] if one["level"] == "fail"}
        ids = [tenant["id"] for tenant in self.world["tenants"]]
        self.assertEqual(missing, set(zip(ids, [*lacks, "sts:AssumeRole"])))
        self.assertEqual(sorted(os.listdir(self.folder)), before)
        self.assertFalse(arrivals.get_json(f"{self.url}/_sim/amp/summary").get("accepted"))

    def test_the_tenants_of_its_organization(self):
        """Those of a unit and of one below it, by tags; the central account is none."""
        self.begin({})
        tenants = {t["account"]: t for t in self.world["tenants"] if t["ou"] in ("ou-aw51-prod0001", "ou-aw51-eu000001")}
        self.assertEqual(len(tenants), 5)
        role = next(iter(tenants.values()))["roles"][0]["arn"].partition(":role/")[2]
        self.configure(tenants=[], tenants_from=[{
            "organization": {"ous": ["ou-aw51-prod0001"], "tags": {"tier": "*"}, "id_tag": "tenant"},
            "role": role, "external_id": "{tag:external}", "regions": REGIONS.split(",")}])
        self.run_once()
        wanted = {key: values for key, values in self.truth().items() if key[0] in tenants}
        self.assertTrue(wanted)
        self.assertEqual(self.received(), wanted)
        stats = arrivals.get_json(f"{self.url}/_sim/stats")
        self.assertEqual(stats["violations"], [])

    def test_late_points_are_found_none_is_missing(self):
        self.begin({}, "--amp-ooo", "60", lateRate=0.1, lateMax=900)
        self.configure()
        for now in range(NOW, NOW + 3601, 300):
            self.tell(now)
            self.run_once()
        objects = arrivals.lake(self.path("lake"))
        self.assertTrue(any(".late-" in key for key in objects), "nothing came late")
        found = {tuple(dict(key)[name] for name in KEYS): samples
                 for key, samples in arrivals.samples_in(objects).items()}
        self.assertEqual(found, self.truth())
        for key, samples in self.received().items():
            self.assertLessEqual(samples.items(), found[key].items())
        self.assertEqual(arrivals.get_json(f"{self.url}/_sim/stats")["violations"], [])

    def test_samples_from_rows_of_stats(self):
        """Its own query language's rows, as samples, against a count of its own events."""
        self.begin({}, "--insights-max-rows", "100000")
        query = "filter @message like /order/ | stats count(*) as lines, max(strlen(@message)) as longest by bin(1m) as t, @log"
        self.configure(jobs={"lines": {
            "kind": "insights", "log_groups": ["/ecs/*"], "query": query, "to": ["amp", "lake"],
            "series": {"time": "t", "values": {"lines": "log_lines", "longest": "log_longest"}, "labels": {"@log": "group"}}}})
        self.run_once()
        truth = self.lines_of_orders(NOW - 1800, NOW // 300 * 300 - 600)
        self.assertTrue(truth)
        self.assertEqual(self.lines_received(), truth)
        self.assertEqual(arrivals.get_json(f"{self.url}/_sim/stats")["violations"], [])

    def lines_received(self):
        """{(account, region, series, group): {ms: value}}"""
        with urllib.request.urlopen(f"{self.url}/_sim/amp/dump", timeout=60) as answer:
            rows = [json.loads(line) for line in answer.read().decode().split("\n") if line]
        return {tuple(row["labels"][key] for key in ("account_id", "region", "__name__", "group")):
                dict(map(tuple, row["samples"])) for row in rows}

    def lines_of_orders(self, start, end):
        command = ["node", os.path.join(os.path.dirname(PROGRAM), "truth.mjs"), "logs", "--world", self.path("world.json"),
                   "--start", start, "--end", end, "--now", self.now]
        text = subprocess.run([*map(str, command)], check=True, capture_output=True, text=True, timeout=120).stdout
        found = {}
        for event in map(json.loads, filter(None, text.split("\n"))):
            if "order" not in event["message"] or not event["group"].startswith("/ecs/"):
                continue
            minute = event["ts"] // 60000 * 60000
            place = (event["account"], event["region"])
            lines = found.setdefault((*place, "log_lines", event["group"]), {})
            longest = found.setdefault((*place, "log_longest", event["group"]), {})
            lines[minute] = lines.get(minute, 0) + 1
            longest[minute] = max(longest.get(minute, 0), len(event["message"]))
        return found

    def test_base_credentials_from_elsewhere(self):
        """Instance, container and web identity, as it reads them."""
        role = "arn:aws:iam::999900000001:role/batch-runner"
        self.begin({}, change=lambda world: world["central"].update(
            webIdentityTokens=["a.token.of-mine"], containerToken="shown", roles=[{"arn": role, "webIdentity": True}]))
        self.configure()
        for keys in ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url},
                     {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.url}/container-creds/x",
                      "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": self.path("shown", "shown")},
                     {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.url}/v2/credentials/x"},
                     {"AWS_WEB_IDENTITY_TOKEN_FILE": self.path("token", "a.token.of-mine"), "AWS_ROLE_ARN": role}):
            with self.subTest(keys=sorted(keys)):
                self.run_once(keys=keys)
                self.assertEqual(len(arrivals.samples_in(arrivals.lake(self.path("lake")))), len(self.truth()))
                self.assertEqual(arrivals.get_json(f"{self.url}/_sim/stats")["violations"], [])
                shutil.rmtree(self.path("lake"))
                shutil.rmtree(self.path("state"))


if __name__ == "__main__":
    unittest.main()
