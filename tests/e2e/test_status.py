#!/usr/bin/python3
"""`muster status`: how everything stands, from the configuration and the checkpoints alone. P8, damage is seen: and left
where it is by those who only look.
"""
import json
import os
import subprocess
import time
import unittest

from bucket import S3Lab
from expected import rfc3339
from lab import MUSTER, PATIENCE, Case


def tree(folder):
    """Every file below a folder, with its bytes and times."""
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            file = os.path.join(path, name)
            with open(file, "rb") as opened:
                found[file] = opened.read(), os.stat(file).st_mtime_ns
    return found


class Status(Case):
    def status(self, lab, *words, env=None, now=None):
        """Without credentials and without a network, unless the environment has them."""
        config_file = lab.path("muster.yaml", json.dumps(lab.settings, indent=1))
        arguments = [MUSTER, "status", "-c", config_file, "--now", rfc3339(lab.now if now is None else now) + "Z", *words]
        return subprocess.run(arguments, env=env or {"PATH": os.environ["PATH"]}, cwd=lab.folder, text=True, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60 * PATIENCE)

    def document(self, lab, *words, **how):
        result = self.status(lab, "--json", *words, **how)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def test_before_anything_ran(self):
        lab = self.lab()
        result = self.status(lab, "--max-lag", "1000d")
        self.assertEqual(result.returncode, 1, "a stream that never ran lags behind everything")
        for tenant in lab.world.tenants:
            self.assertIn(f"tenant={tenant['id']} job=ecs", result.stderr)
        self.assertFalse(os.path.exists(lab.state), "looking has made a folder")
        self.assertEqual(self.status(lab).returncode, 0)

    def test_a_page_that_has_no_place_to_go_to(self):
        lab = self.lab(tenants=1)
        for words, said in ((("--html", "nosuch/page.html"), "--html: open the folder of nosuch/page.html: No such file"),
                            (("--html", "page.html", "--json"), "--html and --json: choose one")):
            result = self.status(lab, *words)
            self.assertEqual((result.returncode, result.stdout), (2, ""))
            self.assertIn(said, result.stderr)
        self.assertFalse(lab.folder_has("page.html") or lab.folder_has("nosuch"))

    def test_after_a_run_and_after_a_failure(self):
        lab = self.lab()
        self.assert_status(lab.run(), 0)
        document = self.document(lab)
        self.assertEqual({s["result"] for s in document["streams"]}, {"ok"})
        self.assertEqual({s["watermark"] for s in document["streams"]}, {rfc3339(lab.window()[1]) + ".000Z"})
        self.assertGreater(document["totals"]["metrics_requested"], 0)
        self.assertGreater(document["totals"]["estimated_dollars"], 0)

        lab.tell(lab.now + 900)
        account = lab.world.tenants[1]["account"]
        lab.daemon.control("faults", [{"kind": "denied",
                                       "match": {"service": "sts", "operation": "AssumeRole", "account": account}}])
        for runs in (1, 2):
            self.assert_status(lab.run(), 1)
            first = self.document(lab)["streams"][0]
            self.assertEqual((first["tenant"], first["result"], first["failing_runs"]), ("t0002", "failing", runs))
            self.assertIn("AccessDenied", first["error"])
            self.assertIn("trusts the central role", first["advice"])

        table = self.status(lab).stdout
        lines = table.splitlines()
        self.assertTrue(lines[1].startswith("t0002 "), table)
        self.assertIn("failing 2", lines[1])
        self.assertIn("AccessDenied", table)
        self.assertLessEqual(max(map(len, lines)), 100)

    def test_max_lag_is_a_health_check(self):
        lab = self.lab()
        self.assert_status(lab.run(), 0)
        end = lab.window()[1]
        self.assertEqual(self.status(lab, "--max-lag", "10m", now=end + 600).returncode, 0)
        result = self.status(lab, "--max-lag", "10m", now=end + 601)
        self.assertEqual(result.returncode, 1)
        self.assertIn("tenant=t0003 job=ecs region=eu-west-1", result.stderr)
        result = self.status(lab, "--max-lag", "10m", "--tenant", "t0003", now=end + 601)
        self.assertEqual((result.returncode, "t0001" in result.stderr), (1, False))
        self.assertEqual(self.status(lab, "--max-lag", "soon").returncode, 2)
        self.assertEqual(self.status(lab, "--tenant", "nobody").returncode, 2)

    def test_a_now_that_is_yet_to_come_is_told_by_the_run_and_no_health(self):
        lab = self.lab(tenants=1)
        present = int(time.time())
        lab.now = present + 7200
        result = lab.run()
        self.assert_status(result, 0)
        self.assertIn("--now is yet to come", result.err)
        result = self.status(lab, "--max-lag", "1000d", now=present)
        self.assertEqual(result.returncode, 1)
        self.assertIn("ahead of the present", result.stderr)
        self.assertRegex(self.status(lab, now=present).stdout.splitlines()[1], "^t0001 .* ahead ")

    def test_damage_is_shown_and_left_alone(self):
        lab = self.lab()
        self.assert_status(lab.run(), 0)
        with open(os.path.join(lab.state, "tenants", "t0002", "ecs.json"), "r+b") as file:
            file.truncate(100)
        before = tree(lab.state)
        result = self.status(lab)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout.splitlines()[1], "^t0002 .* damaged")
        self.document(lab)
        self.assertEqual(tree(lab.state), before)

    def test_on_s3_with_the_base_credentials_alone(self):
        lab = S3Lab(tenants=40)
        self.addCleanup(lab.close)
        self.assert_status(lab.run(), 0)
        lab.cleared()
        puts = lab.count("PutObject")
        document = self.document(lab, env=lab.environment())
        self.assertEqual(len(document["streams"]), 40)
        self.assertEqual({s["result"] for s in document["streams"]}, {"ok"})
        calls = lab.daemon.control("stats")["calls"]
        self.assertEqual(set(calls), {"s3"}, "AWS was asked for more than the state")
        self.assertEqual(lab.count("PutObject"), puts, "looking has written")
        self.assertEqual(sum(calls["s3"]["GetObject"].values()), 40, "one read a checkpoint")
        self.assertFalse(set(calls["s3"]) - {"GetObject", "ListObjectsV2"}, calls["s3"])

        result = self.status(lab)
        self.assertEqual(result.returncode, 3, "there were no credentials")
        self.assertIn("credentials", result.stderr)
        lab.daemon.control("faults", [{"kind": "denied", "match": {"service": "s3"}}])
        result = self.status(lab, env=lab.environment())
        self.assertEqual(result.returncode, 3)
        self.assertIn("AccessDenied", result.stderr)


if __name__ == "__main__":
    unittest.main()
