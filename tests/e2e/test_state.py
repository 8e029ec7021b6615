#!/usr/bin/python3
"""`muster state`: what an operator may do to checkpoints, and that lake and receiver are the same afterwards. P6: whoever
changes a checkpoint under a run's hands fences that run.
"""
import json
import os
import signal
import subprocess
import time
import unittest

import arrivals
from bucket import S3Lab
from expected import rfc3339, windows
from lab import MUSTER, PATIENCE, Case, finish
from test_s3 import DATA
from test_status import tree

ONE = ("--tenant", "t0001", "--job", "ecs")
WHY = ("--reason", "we test it")


class State(Case):
    def state(self, lab, *words, status=0):
        """Without credentials and without a network, unless the state is in AWS."""
        config_file = lab.path("muster.yaml", json.dumps(lab.settings, indent=1))
        arguments = [MUSTER, "state", *words, "-c", config_file, "--now", rfc3339(lab.now) + "Z"]
        env = lab.environment() if isinstance(lab, S3Lab) else {"PATH": os.environ["PATH"]}
        result = subprocess.run(arguments, env=env, cwd=lab.folder, text=True, check=False, capture_output=True,
                                stdin=subprocess.DEVNULL, timeout=60 * PATIENCE)
        self.assertEqual(result.returncode, status, f"{words}\n{result.stdout}\n{result.stderr}")
        return result

    def stored(self, lab, tenant="t0001"):
        with open(os.path.join(lab.state, "tenants", tenant, "ecs.json"), encoding="utf-8") as file:
            return json.load(file)

    def ran(self, **how):
        lab = self.lab(**how)
        self.assert_status(lab.run(), 0)
        return lab

    def test_what_is_rewound_is_done_again_and_nothing_is_twice(self):
        lab = self.ran()
        start, end = lab.window()
        before = tree(lab.lake)
        result = self.state(lab, "rewind", *ONE, "--to", rfc3339(end - 901) + "Z", *WHY)
        self.assertIn("4 cells to do again", result.stdout)
        document = self.stored(lab)
        sinks = document["streams"]["eu-west-1"]["sinks"]
        self.assertEqual({sink["cursor"] for sink in sinks.values()}, {rfc3339(end - 1200) + "Z"}, "down to the cell")
        self.assertIn("we test it", document["history"][0]["reason"])
        self.assertIn("@", document["history"][0]["who"])

        lab.cleared()
        self.assert_status(lab.run(), 0)
        self.assertNotIn("monitoring", lab.daemon.control("stats")["calls"], "what is frozen was asked for again")
        self.assertEqual(tree(lab.lake), before)
        document = self.stored(lab)
        sink = document["streams"]["eu-west-1"]["sinks"]["prom"]
        self.assertEqual(sink["cursor"], rfc3339(end) + "Z")
        self.assertGreater(sink["already"], 0)
        self.assertEqual(sink["rejected"], 0)
        self.assertEqual(len(document["history"]), 1, "a run keeps the history")
        self.assert_exact(lab, start, end)

    def test_one_sink_and_one_region(self):
        lab = self.ran(regions=["eu-west-1", "us-east-1"])
        end = lab.window()[1]
        self.state(lab, "rewind", *ONE, "--region", "us-east-1", "--sink", "prom", "--to", rfc3339(end - 300) + "Z", *WHY)
        streams = self.stored(lab)["streams"]
        cursors = {(region, sink): value["cursor"] for region, stream in streams.items()
                   for sink, value in stream["sinks"].items()}
        moved = {place for place, cursor in cursors.items() if cursor != rfc3339(end) + "Z"}
        self.assertEqual(moved, {("us-east-1", "prom")})
        there = "there is eu-west-1 (lake, prom), us-east-1 (lake, prom)"
        before = tree(lab.state)
        for words, none in ((("--region", "mars"), "it has no region mars"), (("--sink", "zz"), "it has no sink zz"),
                            (("--region", "mars", "--sink", "prom"), "it has no region mars")):
            for which in (ONE, ("--tenant", "*", "--yes")):
                result = self.state(lab, "rewind", *which, *words, "--to", rfc3339(end - 300) + "Z", *WHY, status=2)
                self.assertIn(f"{none}: {there}", result.stderr)
                self.assertNotIn("kind=usage", result.stderr)
        self.assertEqual(tree(lab.state), before)

    def test_what_is_skipped_is_a_gap_with_the_reason(self):
        lab = self.ran()
        end = lab.window()[1]
        lab.tell(lab.now + 3600)
        self.state(lab, "skip", *ONE, "--to", rfc3339(end + 1800) + "Z", *WHY)
        stream = self.stored(lab)["streams"]["eu-west-1"]
        self.assertEqual({(gap["start"], gap["end"], gap["reason"]) for gap in stream["gaps"]},
                         {(rfc3339(end) + "Z", rfc3339(end + 1800) + "Z", "skipped: we test it")})
        self.assertEqual({gap["sink"] for gap in stream["gaps"]}, {"lake", "prom"})
        self.assert_status(lab.run(), 0)
        missing = {key for key in arrivals.lake_keys(lab.lake)
                   if "tenant=t0001" in key and end <= arrivals.cell_start(key) < end + 1800}
        self.assertFalse(missing, "what was skipped was done")
        self.assertEqual(self.state(lab, "verify").stdout.count("FAULT"), 0)

        # And back: the gap goes, the cells come.
        self.state(lab, "rewind", *ONE, "--to", rfc3339(end) + "Z", *WHY)
        self.assertEqual(self.stored(lab)["streams"]["eu-west-1"]["gaps"], [])
        self.assert_status(lab.run(), 0)
        self.assert_lake(lab, windows(lab.world, lab.window(lab.now - 3600)[0], lab.window()[1]))

    def test_what_is_asked_for_has_to_make_sense(self):
        lab = self.ran()
        before = tree(lab.state)
        end = lab.window()[1]
        past, future = rfc3339(end - 600) + "Z", rfc3339(end + 86400) + "Z"
        for words in ((), ("destroy",), ("rewind", *ONE, "--to", past), ("rewind", *ONE, *WHY),
                      ("rewind", *ONE, "--to", "yesterday", *WHY), ("skip", *ONE, "--to", future, *WHY),
                      ("rewind", "--tenant", "t0001", "--to", past, *WHY), ("forget", "--tenant", "*", "--job", "ecs", *WHY),
                      ("forget", *ONE, "--to", past, *WHY), ("rewind", *ONE, "--to", past, "--reason", ""),
                      ("rewind", *ONE, "--to", past, "--reason", "a\nb"), ("show", *ONE, *WHY),
                      ("rewind", *ONE, "--to", past, "--force", *WHY), ("forget", "--tenant", "no", "--job", "ecs", *WHY),
                      ("forget", *ONE, "extra", *WHY)):
            with self.subTest(words=words):
                self.state(lab, *words, status=2)
        for words in (("rewind", *ONE, "--to", future, *WHY), ("skip", *ONE, "--to", past, *WHY),
                      ("rewind", *ONE, "--to", "2025-12-01", *WHY)):
            with self.subTest(words=words):
                self.state(lab, *words, status=1)
        for action in (("rewind", "--to", past), ("skip", "--to", "now"), ("forget",), ("release",)):
            with self.subTest(dry=action):
                self.state(lab, *action, "--dry-run", *WHY)
        self.assertEqual(tree(lab.state), before)

    def test_forgetting_leaves_the_lake_and_begins_anew(self):
        lab = self.ran()
        lab.tell(lab.now + 300)
        self.assert_status(lab.run(), 0)  # so that there is one before
        start, end = lab.window(lab.now - 300)[0], lab.window()[1]
        before = tree(lab.lake)
        result = self.state(lab, "forget", *ONE, *WHY)
        self.assertEqual(tree(lab.lake), before)
        folder = os.path.join(lab.state, "tenants", "t0001")
        kept = os.listdir(folder)
        self.assertEqual([name.split("-")[0] for name in kept], ["ecs.forgotten"])
        self.assertIn(kept[0], result.stdout)
        with open(os.path.join(folder, kept[0]), encoding="utf-8") as file:
            document = json.load(file)
        self.assertEqual(document["reason"], "we test it")
        self.assertEqual(json.loads(document["checkpoint"])["tenant"], "t0001")
        self.assert_status(lab.run(), 0)
        self.assertEqual(tree(lab.lake), before, "the new one has taken over what was frozen")
        self.assert_exact(lab, start, end)

    def test_what_is_damaged_can_be_forgotten(self):
        lab = self.ran()
        lab.tell(lab.now + 300)
        self.assert_status(lab.run(), 0)
        for name in ("ecs.json", "ecs.prev.json"):
            with open(os.path.join(lab.state, "tenants", "t0001", name), "wb") as file:
                file.write(b"\xff torn")
        self.state(lab, "show", *ONE, status=1)
        self.state(lab, "verify", *ONE, status=1)
        self.state(lab, "rewind", *ONE, "--to", rfc3339(lab.now - 1200) + "Z", *WHY, status=1)
        self.state(lab, "forget", *ONE, *WHY)
        self.assert_status(lab.run(), 0)

    def test_several_at_once_need_a_yes(self):
        lab = self.ran()
        self.state(lab, "rewind", "--tenant", "t000[12]", "--job", "*", "--to", "now-20m", "--yes", *WHY)
        self.assertEqual(len(self.stored(lab, "t0001")["history"]), 1)
        self.assertEqual(len(self.stored(lab, "t0002")["history"]), 1)
        self.assertNotIn("history", self.stored(lab, "t0003"))

    def test_a_run_at_work_is_left_alone_or_fenced(self):
        lab = self.ran()
        lab.tell(lab.now + 1200)
        lab.daemon.control("faults", [{"kind": "hang", "match": DATA, "ms": 3000}])
        process = lab.start()
        self.addCleanup(finish, process, 10)
        self.addCleanup(process.kill)
        deadline = time.monotonic() + 20 * PATIENCE
        # All of them: then it writes nothing for a while, and is not stopped with a lock of writing in its hands.
        while time.monotonic() < deadline and not all(
                self.stored(lab, tenant["id"])["lease"]["owner"] for tenant in lab.world.tenants):
            time.sleep(0.02)
        process.send_signal(signal.SIGSTOP)
        self.assertTrue(self.stored(lab)["lease"]["owner"], "the run has not begun")
        refused = self.state(lab, "rewind", *ONE, "--to", "now-1h", *WHY, status=1)
        self.assertIn("a run on this machine", refused.stderr)
        self.state(lab, "release", *ONE, *WHY, status=1)
        self.state(lab, "release", *ONE, "--force", *WHY)
        self.assertIsNone(self.stored(lab)["lease"]["owner"])
        generation = self.stored(lab)["generation"]

        lab.daemon.control("faults", method="DELETE")
        process.send_signal(signal.SIGCONT)
        result = finish(process, 60 * PATIENCE)
        self.assertEqual(self.stored(lab)["generation"], generation, "a run that was fenced has committed\n" + result.err)
        self.assert_status(lab.run(), 0)
        self.assertEqual(len(self.stored(lab)["history"]), 1)
        self.assert_exact(lab, lab.window(lab.now - 1200)[0], lab.window()[1])

    def test_a_dead_runs_lease_on_s3(self):
        lab = S3Lab()
        self.addCleanup(lab.close)
        self.assert_status(lab.run(), 0)
        lab.tell(lab.now + 600)
        lab.daemon.control("faults", [{"kind": "hang", "match": DATA, "ms": 30000, "drop": True}])
        process = lab.start()
        deadline = time.monotonic() + 20 * PATIENCE
        owner = None
        while time.monotonic() < deadline and not owner:
            owner = json.loads(self.state(lab, "show", *ONE, "--json").stdout)["lease"]["owner"]
        process.kill()
        finish(process, 10)
        lab.daemon.control("faults", method="DELETE")
        refused = self.state(lab, "rewind", *ONE, "--to", "now-20m", *WHY, status=1)
        self.assertIn(owner, refused.stderr)
        self.state(lab, "release", *ONE, *WHY, status=1)
        self.state(lab, "release", *ONE, "--force", *WHY)
        self.state(lab, "rewind", *ONE, "--to", "now-20m", *WHY)
        lab.lease_passes()
        self.assert_status(lab.run(), 0)
        lab.fetch()
        self.assert_exact(lab, lab.window(lab.now - 600)[0], lab.window()[1])
        self.assertEqual(self.state(lab, "verify").stdout.count("FAULT"), 0)

    def test_verify_finds_what_is_missing(self):
        lab = self.ran()
        state, lake = tree(lab.state), tree(lab.lake)
        self.assertIn("5 done cells have an object, 0 have none", self.state(lab, "verify").stdout)
        keys = sorted(key for key in arrivals.lake_keys(lab.lake) if "tenant=t0002" in key)
        os.unlink(os.path.join(lab.lake, keys[2]))
        result = self.state(lab, "verify", status=1)
        self.assertEqual(result.stdout.count("FAULT"), 1)
        self.assertIn("t0002 ecs eu-west-1: FAULT: lake lake: at least 1 objects are missing", result.stdout)
        self.assertIn("no object for the cell of " + rfc3339(arrivals.cell_start(keys[2])), result.stdout)
        with open(os.path.join(lab.lake, keys[2]), "wb") as file:
            file.write(b"x")
        with open(os.path.join(lab.lake, os.path.dirname(keys[2]), "notes.txt"), "wb") as file:
            file.write(b"x")
        self.assertIn("FAULT: lake lake: 1 objects that are no cell", self.state(lab, "verify", status=1).stdout)
        path = os.path.join(lab.state, "tenants", "t0001", "ecs.json")
        with open(path, "r+b") as file:
            file.truncate(500)
        self.assertIn("t0001 ecs: FAULT: the checkpoint cannot be used", self.state(lab, "verify", status=1).stdout)
        with open(path, "wb") as file:
            file.write(state[path][0])
        os.unlink(os.path.join(lab.lake, os.path.dirname(keys[2]), "notes.txt"))
        self.assertEqual(set(tree(lab.lake)), set(lake))
        self.assertEqual(set(tree(lab.state)), set(state), "looking for faults has written")

    def test_show_is_the_document_as_it_is_stored(self):
        lab = self.ran()
        with open(os.path.join(lab.state, "tenants", "t0001", "ecs.json"), encoding="utf-8") as file:
            self.assertEqual(self.state(lab, "show", *ONE, "--json").stdout, file.read())
        text = self.state(lab, "show").stdout
        for tenant in lab.world.tenants:
            self.assertIn(f"{tenant['id']} ecs: account {tenant['account']}", text)
        self.assertIn("sink prom: cursor " + rfc3339(lab.window()[1]) + "Z", text)


if __name__ == "__main__":
    unittest.main()
