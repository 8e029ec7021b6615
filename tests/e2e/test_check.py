#!/usr/bin/python3
"""muster check: says exactly what is missing, writes nothing, and one tenant's fault is its own (P5)."""
import json
import os
import shutil
import subprocess
import unittest

from lab import LANDLOCK, MUSTER, NOW, Case, Lab, Result, free_port, rfc3339, start_prometheus, start_victoria
from standin.world import generate

METRICS = ("cloudwatch:ListMetrics", "cloudwatch:GetMetricData")
LOGS = ("logs:DescribeLogGroups", "logs:StartQuery", "logs:GetQueryResults", "logs:StopQuery",
        "logs:DescribeQueries")
BUCKET = "muster-test"
ARN = f"arn:aws:s3:::{BUCKET}"
WORKSPACE = "/workspaces/ws-1/api/v1/remote_write"


class CheckLab(Lab):
    """A lab with jobs of each kind, and a muster check in it."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.settings["jobs"]["app"] = {"kind": "insights", "log_groups": ["/ecs/app-*", "/ecs/edge"],
                                        "query": "fields @message", "to": ["lake"]}

    def check(self, *words, env=None):
        config_file = self.path("muster.yaml", json.dumps(self.settings, indent=1))
        arguments = [MUSTER, "check", "-c", config_file, "--now", rfc3339(NOW) + "Z", *words]
        done = subprocess.run(arguments, env={**self.environment(), **(env or {})}, cwd=self.folder, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
        return Result(done.returncode, done.stdout, done.stderr, 0)

    def in_bucket(self):
        self.settings["state"] = f"s3://{BUCKET}/state"
        self.settings["sinks"]["lake"]["url"] = f"s3://{BUCKET}/telemetry"

    def objects(self):
        return self.daemon.control(f"s3/objects?bucket={BUCKET}&prefix=")

    def files(self):
        """All there is below the lab but what the lab itself writes."""
        own = {"muster.yaml", "world.json", "port", "aws.log"}
        return sorted(os.path.relpath(os.path.join(folder, name), self.folder)
                      for folder, folders, names in os.walk(self.folder) for name in (*folders, *names)
                      if folder != self.folder or name not in own)


def findings(result, *levels):
    return [one for one in json.loads(result.out)["findings"] if one["level"] in levels and (LANDLOCK or one["what"] != "sandbox")]


def lines(result):
    return [line for line in result.out.splitlines() if LANDLOCK or " sandbox: " not in line]


def faults(result):
    return findings(result, "fail")


class Check(Case):
    def lab(self, *arguments, **named):
        lab = CheckLab(*arguments, **named)
        self.addCleanup(lab.close)
        return lab

    def denying(self, *denied, tenants=None):
        """A lab whose tenants lack one action each."""
        document = generate(tenants or len(denied), 11, ["eu-west-1"], 2)
        for tenant, action in zip(document["tenants"], denied):
            tenant["deny"] = [action]
        return self.lab(document=document)

    def test_all_is_well_and_nothing_is_left(self):
        lab = self.lab(flags=("--bucket", BUCKET))
        lab.settings["sinks"]["amp"] = {"kind": "remote_write", "url": lab.daemon.url + WORKSPACE,
                                        "sigv4": {"service": "aps"}, "out_of_order": "0"}
        lab.settings["jobs"]["ecs"]["to"].append("amp")
        for place in ("disk", "new folders", "bucket"):
            with self.subTest(place=place):
                if place == "new folders":
                    os.mkdir(lab.state, 0o700)
                if place == "bucket":
                    lab.in_bucket()
                before = lab.files()
                result = lab.check("--json")
                self.assert_status(result, 0)
                self.assertEqual(findings(result, "warn", "fail"), [])
                self.assertEqual(lab.files(), before)
        self.assertEqual(lab.objects(), [])
        self.assertEqual(lab.daemon.control("rw/dump"), [])
        self.assertTrue(all(query["status"] != "Running" for query in lab.daemon.control("logs/queries")))
        self.assert_no_violation(lab)
        tried = {one["what"] for one in findings(result, "ok") if one.get("tenant") == "t0002"}
        self.assertEqual(tried, {"role", *METRICS, *LOGS})

    def test_each_missing_permission_is_named_and_no_other(self):
        lab = self.denying(*METRICS, *LOGS)
        result = lab.check("--json")
        self.assert_status(result, 1)
        found = {one["tenant"]: one for one in faults(result)}
        self.assertEqual(len(faults(result)), len(found))
        self.assertEqual({tenant: one["action"] for tenant, one in found.items()},
                         {f"t{number:04}": action for number, action in enumerate((*METRICS, *LOGS), 1)})
        for number, action in enumerate((*METRICS, *LOGS), 1):
            tenant = lab.world.tenants[number - 1]
            one = found[tenant["id"]]
            self.assertEqual(one["code"].removesuffix("Exception"), "AccessDenied")
            self.assertTrue(one["request_id"])
            self.assertEqual(one["region"], "eu-west-1")
            self.assertEqual(one["job"], "app" if action in LOGS else "ecs")
            (add,) = one["add"]
            role = tenant["role"] if tenant["role"].startswith("arn:") else f":role/{tenant['role']}"
            self.assertIn(role, add["to"])
            group = f"arn:aws:logs:eu-west-1:{tenant['account']}:log-group:"
            resource = {"logs:StartQuery": [group + "/ecs/app-*:*", group + "/ecs/edge:*"],
                        "logs:DescribeLogGroups": group + "*"}.get(action, "*")
            self.assertEqual(add["statement"], {"Effect": "Allow", "Action": action, "Resource": resource})

    def test_a_fault_is_one_line_with_its_statement(self):
        lab = self.denying("logs:StopQuery", tenants=2)
        result = lab.check()
        self.assert_status(result, 1)
        (line,) = [line for line in result.out.splitlines() if "FAIL" in line]
        for word in ("t0001", "app", "eu-west-1", "logs:StopQuery", "AccessDenied", "request id",
                     '{"Effect":"Allow","Action":"logs:StopQuery","Resource":"*"}'):
            self.assertIn(word, line)
        self.assertNotIn("\033", result.out)

    def test_credentials_over_plain_http_are_warned_of(self):
        """By check, and by each run, once; not those that go to this machine, as all else of the lab does."""
        lab = self.lab(tenants=1)
        lab.settings["sinks"]["far"] = {"kind": "remote_write", "url": "http://receiver.invalid/api/v1/write",
                                        "basic_auth": {"username": "u", "password": "p"}}
        lab.settings["jobs"]["ecs"]["to"].append("far")
        (found,) = [one for one in findings(lab.check("--json"), "warn") if one["what"] == "plain http"]
        self.assertIn(": sink far at receiver.invalid;", found["words"])
        result = lab.run()
        self.assertEqual(len(result.errors("credentials go over plain http")), 1, result.err)
        self.assertTrue(result.errors("level=warn", "credentials go over plain http", "sink far at receiver.invalid"), result.err)

    def test_quiet_tells_only_of_what_is_not_well(self):
        lab = self.lab()
        result = lab.check("-q")
        self.assert_status(result, 0)
        self.assertEqual(lines(result), [])
        lab = self.denying("logs:StopQuery", "sts:SetSourceIdentity", tenants=3)
        result = lab.check("-q")
        self.assert_status(result, 1)
        self.assertEqual([line.split()[:2] for line in lines(result)], [["FAIL", "t0001:"], ["warn", "t0002:"]])

    def test_only_what_the_chosen_jobs_need_is_asked(self):
        lab = self.denying("logs:StartQuery", tenants=2)
        self.assert_status(lab.check("--job", "ecs"), 0)
        self.assert_status(lab.check("--tenant", "t0002"), 0)
        self.assert_status(lab.check("--job", "app"), 1)
        self.assert_status(lab.check("--job", "nothing"), 2)

    def test_a_role_that_is_closed_shows_both_sides(self):
        lab = self.denying("sts:AssumeRole", tenants=2)
        result = lab.check("--json")
        self.assert_status(result, 1)
        (one,) = faults(result)
        tenant, central = lab.world.tenants[0], lab.world.central
        self.assertEqual((one["tenant"], one["action"]), ("t0001", "sts:AssumeRole"))
        self.assertIn("schedules/tenant-role.yaml makes it", one["words"])
        own, trust, identity = (add["statement"] for add in one["add"])
        self.assertEqual(own["Action"], ["sts:AssumeRole", "sts:SetSourceIdentity"])
        self.assertIn(tenant["account"], own["Resource"])
        self.assertEqual([trust["Action"], identity["Action"]], own["Action"])
        for side in (trust, identity):
            self.assertEqual(side["Principal"]["AWS"], f"arn:aws:iam::{central['account']}:user/{central['user']}")
        self.assertEqual(trust["Condition"], {"StringEquals": {"sts:ExternalId": tenant["external_id"]}})

    def test_a_refused_source_identity_is_a_warning(self):
        lab = self.denying("sts:SetSourceIdentity", tenants=2)
        result = lab.check("--json")
        self.assert_status(result, 0)
        (one,) = findings(result, "warn")
        self.assertEqual((one["tenant"], one["action"]), ("t0001", "sts:SetSourceIdentity"))
        self.assertEqual(len(one["add"]), 2)

    def test_trust_without_the_external_id_is_found_when_asked_for(self):
        document = generate(3, 11, ["eu-west-1"], 2)
        document["tenants"][1]["external_id"] = None
        lab = self.lab(document=document)
        lab.settings["tenants"][1]["external_id"] = "what-we-say"
        self.assertEqual(findings(lab.check("--json"), "warn", "fail"), [])
        result = lab.check("--json", "--audit-trust")
        self.assert_status(result, 0)
        words = [(one["tenant"], one["words"]) for one in findings(result, "warn")]
        self.assertEqual({tenant for tenant, _ in words}, {"t0002"})
        self.assertIn("without the external id", words[0][1])
        self.assertIn("any external id", words[1][1])

    def test_tenants_that_cannot_be_asked_do_not_stop_the_others(self):
        lab = self.lab()
        account = lab.world.tenants[1]["account"]
        lab.daemon.control("faults", [{"match": {"service": "monitoring", "account": account}, "kind": "http500"}])
        result = lab.check("--json")
        self.assert_status(result, 1)
        self.assertEqual({one["tenant"] for one in faults(result)}, {"t0002"})
        self.assertFalse(any("add" in one for one in faults(result)), "no statement helps against an error 500")

    def test_many_tenants_are_folded_and_faults_listed(self):
        lab = self.denying("cloudwatch:ListMetrics", tenants=30)
        result = lab.check()
        self.assert_status(result, 1)
        self.assertIn("29 of 30 tenants: all is well", result.out)
        self.assertNotIn("t0017", result.out)
        self.assertIn("t0017", lab.check("-v").out)
        self.assertEqual(len({one["tenant"] for one in findings(lab.check("--json"), "ok", "fail")
                              if one["part"] == "tenant"}), 30)

    # The bucket

    def bucket(self, **rules):
        document = generate(1, 11, ["eu-west-1"], 2)
        document["buckets"] = [{"name": BUCKET, "owner": document["central"]["account"], "region": "eu-west-1", **rules}]
        lab = self.lab(document=document)
        lab.in_bucket()
        return lab

    def test_what_a_bucket_denies_is_named(self):
        places = {"s3:GetObject": f"{ARN}/telemetry/*", "s3:PutObject": f"{ARN}/telemetry/*", "s3:ListBucket": ARN}
        for action, resource in places.items():
            with self.subTest(action=action):
                prefix = "" if action == "s3:ListBucket" else "telemetry/"
                lab = self.bucket(deny=[{"actions": [action], "prefix": prefix}])
                result = lab.check("--json")
                lake = [one for one in faults(result) if one.get("name") == "lake"]
                self.assertEqual([one["action"] for one in lake], [action], result.out)
                self.assertEqual(lake[0]["add"][0]["statement"],
                                 {"Effect": "Allow", "Action": action, "Resource": resource})
                self.assertEqual(lab.objects(), [])
                # A state that cannot be listed, or a dead sink beside a good one.
                self.assert_status(result, 3 if action == "s3:ListBucket" else 1)

    def test_without_the_right_to_remove_nothing_is_created(self):
        lab = self.bucket(deny=[{"actions": ["s3:DeleteObject"]}])
        result = lab.check("--json")
        self.assert_status(result, 0)
        self.assertEqual(findings(result, "warn", "fail"), [])
        self.assertTrue(any("If-None-Match is tried by the first run" in one.get("words", "")
                            for one in findings(result, "ok")))
        self.assertEqual(lab.objects(), [])

    def test_the_probe_of_a_run_serves_and_stays(self):
        lab = self.bucket(deny=[{"actions": ["s3:DeleteObject"]}])
        self.assert_status(lab.run(), 0)
        before = lab.objects()
        result = lab.check("--json")
        self.assert_status(result, 0)
        self.assertEqual(findings(result, "warn", "fail"), [])
        self.assertEqual(lab.objects(), before)

    def test_a_store_that_ignores_conditions_is_central(self):
        for flags in ((), ("a run was there",)):
            with self.subTest(flags=flags):
                lab = self.lab(flags=("--bucket", BUCKET))
                lab.in_bucket()
                if flags:
                    self.assert_status(lab.run(), 0)
                before = {row["key"]: row["sha256"] for row in lab.objects()}
                lab.daemon.control("s3/mode", {"ignore_conditions": True})
                result = lab.check()
                self.assert_status(result, 3)
                self.assertIn("ignores the condition If-", result.out)
                self.assertEqual({row["key"]: row["sha256"] for row in lab.objects()}, before)

    def test_a_bucket_that_is_not_there(self):
        lab = self.lab(flags=("--bucket", BUCKET))
        lab.in_bucket()
        lab.settings["sinks"]["lake"]["url"] = "s3://nobody-has-this/x"
        result = lab.check("--json")
        self.assert_status(result, 1)
        self.assertTrue(all("NoSuchBucket" == one["code"] and "add" not in one for one in faults(result)), result.out)

    # Sinks

    def test_a_receiver_that_cannot_be_reached(self):
        lab = self.lab()
        lab.settings["sinks"]["prom"]["url"] = f"http://127.0.0.1:{free_port()}/api/v1/write"
        result = lab.check("--json", env={"AWS_MAX_ATTEMPTS": "1"})
        self.assert_status(result, 1)
        self.assertEqual([one["name"] for one in faults(result)], ["prom"])

    def test_real_receivers_take_the_request_and_keep_nothing(self):
        for program, start, path in (("prometheus", start_prometheus, "/api/v1/write"),
                                     ("victoria-metrics", start_victoria, "/api/v1/write")):
            if not shutil.which(program):
                continue
            with self.subTest(program=program):
                lab = self.lab(tenants=1)
                receiver = start(lab.path(program))
                self.addCleanup(receiver.stop)
                lab.settings["sinks"]["prom"]["url"] = receiver.url + path
                result = lab.check("--json")
                self.assert_status(result, 0)
                self.assertEqual(findings(result, "warn", "fail"), [])
                lab.settings["sinks"]["prom"]["url"] = receiver.url + "/no/such/path"
                self.assertEqual([one["name"] for one in faults(lab.check("--json"))], ["prom"])

    def test_no_sink_at_all_is_central(self):
        lab = self.lab()
        lab.settings["sinks"] = {"prom": {"kind": "remote_write",
                                          "url": f"http://127.0.0.1:{free_port()}/api/v1/write"}}
        lab.settings["jobs"] = {"ecs": {"kind": "metrics", "to": ["prom"]}}
        self.assert_status(lab.check(env={"AWS_MAX_ATTEMPTS": "1"}), 3)

    def test_a_receiver_that_knows_us_not(self):
        lab = self.lab(flags=("--rw-bearer", "sesame"))
        lab.settings["sinks"]["prom"]["bearer_token_file"] = lab.path("token", "a-wrong-one")
        result = lab.check("--json")
        self.assert_status(result, 1)
        self.assertEqual([one["name"] for one in faults(result)], ["prom"])
        self.assertNotIn("a-wrong-one", result.out + result.err)

    def test_the_workspaces_window_is_compared(self):
        lab = self.lab(flags=("--rw-window", "300"))
        lab.settings["sinks"]["prom"].update(url=lab.daemon.url + WORKSPACE, sigv4={"service": "aps"})
        result = lab.check("--json")
        self.assert_status(result, 0)
        (one,) = findings(result, "warn")
        self.assertIn("set out_of_order: 5m", one["words"])
        lab.settings["sinks"]["prom"]["out_of_order"] = "5m"
        self.assertEqual(findings(lab.check("--json"), "warn"), [])

    def test_a_sinks_role_that_is_closed_shows_both_sides(self):
        lab = self.lab()
        lab.settings["sinks"]["prom"].update(url=lab.daemon.url + WORKSPACE, sigv4={"service": "aps"},
                                             role="arn:aws:iam::444455556666:role/amp-writer")
        result = lab.check("--json")
        self.assert_status(result, 1)
        (one,) = faults(result)
        self.assertEqual((one["name"], one["action"], len(one["add"])), ("prom", "sts:AssumeRole", 2))

    # What is central

    def test_the_clock(self):
        lab = self.lab()
        for seconds, level, status in ((0, "ok", 0), (90, "warn", 0), (-90, "warn", 0), (1200, "fail", 1)):
            with self.subTest(seconds=seconds):
                lab.daemon.control("skew", {"seconds": seconds})
                result = lab.check("--json")
                self.assertEqual([one["level"] for one in findings(result, "ok", "warn", "fail")
                                  if one["what"] == "clock"], [level])
                self.assert_status(result, status)

    def test_no_base_credentials(self):
        lab = self.lab()
        result = lab.check(env={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
        self.assert_status(result, 3)
        self.assertIn("no base credentials", result.out)
        self.assertIn("tenants: not tried", result.out)
        self.assertEqual(result.out.count("base credentials: there are none, give some by AWS_PROFILE"), 1, result.out)
        self.assertNotIn("base credentials: base credentials", result.out)
        result = lab.check(env={"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"})
        self.assert_status(result, 3)
        self.assertIn("InvalidClientTokenId", result.out)

    def test_a_state_that_cannot_be_written(self):
        lab = self.lab()
        os.mkdir(lab.state)
        os.chmod(lab.state, 0o777)
        result = lab.check()
        self.assert_status(result, 3)
        self.assertIn("can be written by everybody", result.out)

    def test_a_bad_configuration_is_told_and_nothing_is_asked(self):
        lab = self.lab()
        lab.settings["jobs"]["ecs"]["evry"] = "5m"
        result = lab.check()
        self.assert_status(result, 2)
        self.assertIn("did you mean every", result.err)
        self.assertEqual(lab.daemon.control("stats")["calls"], {})

    def test_overlapping_sets_of_dimensions_are_warned_of(self):
        lab = self.lab()
        lab.settings["jobs"]["ecs"]["from"][0]["dimensions"] = [["ClusterName"], ["ClusterName", "ServiceName"]]
        result = lab.check("--json")
        self.assert_status(result, 0)
        (one,) = findings(result, "warn")
        self.assertEqual(one["job"], "ecs")
        self.assertIn("dimension_set", one["words"])

    def test_two_jobs_of_the_same_metrics_in_one_receiver_are_warned_of(self):
        lab = self.lab()
        ecs, other = lab.settings["jobs"]["ecs"], {"namespace": "ECS/ContainerInsights", "metrics": ["MemoryU*"],
                                                   "dimensions": [["ClusterName"]]}
        told = "ECS/ContainerInsights MemoryUtilized is asked for by job a-second too, and prom gets it from both"
        ecs["from"][0]["metrics"] = ["CpuUtilized", "MemoryUtilized"]
        for changes, words in (({}, told), ({"to": ["lake"]}, None), ({"drop": "x"}, None), ({"naming": "yace"}, None),
                               ({"from": [{**other, "metrics": ["TaskCount"]}]}, None),
                               ({"from": [{**other, "namespace": "Checkout"}]}, None),
                               ({"from": [{**other, "statistics": ["Maximum"]}]}, None),
                               ({"from": [{**other, "where": {"ClusterName": "a*"}}]}, told)):
            with self.subTest(changes=changes):
                lab.settings["jobs"]["a-second"] = {"kind": "metrics", "to": ["lake", "prom"], "from": [other], **changes}
                lab.settings["jobs"] = dict(sorted(lab.settings["jobs"].items()))
                result = lab.check("--json")
                self.assert_status(result, 0)
                warned = [(one["job"], one["words"].partition(": ")[0]) for one in findings(result, "warn")]
                self.assertEqual(warned, [("ecs", words)] if words else [])
        lab.settings["jobs"]["a-second"] = {"kind": "metrics", "to": ["prom"], "from": [other]}
        for number, tenant in enumerate(lab.settings["tenants"]):
            tenant["jobs"] = ["ecs"] if number else ["a-second"]
        self.assertEqual(findings(lab.check("--json"), "warn"), [])

    def test_log_groups_that_nobody_has_are_warned_of(self):
        lab = self.lab(tenants=1)
        lab.settings["jobs"]["app"]["log_groups"] = ["/nothing/here-*"]
        result = lab.check("--json")
        self.assert_status(result, 0)
        self.assertEqual([one["tenant"] for one in findings(result, "warn")], ["t0001"])

    def test_an_account_that_is_not_the_credentials_own(self):
        lab = self.lab()
        lab.settings["tenants"][0]["assume"] = False
        result = lab.check("--json")
        self.assert_status(result, 1)
        (one,) = faults(result)
        self.assertEqual((one["tenant"], one["what"]), ("t0001", "account"))

    def test_no_secret_is_shown(self):
        lab = self.denying("cloudwatch:ListMetrics", tenants=2)
        for words in ((), ("--json",), ("--audit-trust", "-v")):
            result = lab.check(*words)
            self.assertNotIn(lab.world.central["secret_key"], result.out + result.err)
            self.assertNotIn("ASIA", result.out + result.err)


if __name__ == "__main__":
    unittest.main()
