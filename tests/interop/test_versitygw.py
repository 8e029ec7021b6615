"""Lake and state in versitygw: what is promised of S3 must hold where others decide what a conditional write means and
when a signature is right. boto3 is the judge of what is there, and of what has changed.

MUSTER_KILLS says how often runs are killed (default 5), MUSTER_SEED at which instants.
"""
import hashlib
import json
import os
import unittest

from gateway import BINARY, BUCKET, GatewayCase
from lab import NOW, PATIENCE, Killer, finish

KILLS = int(os.environ.get("MUSTER_KILLS", "5"))
SEED = int(os.environ.get("MUSTER_SEED", "1"))
LONG_AGO = "2020-01-01T00:00:00Z"
DATA = {"service": "monitoring", "operation": "GetMetricData"}


def checksum(document):
    """A checkpoint's, over its compact text without the checksum."""
    bare = {name: value for name, value in document.items() if name != "checksum"}
    return "sha256:" + hashlib.sha256(json.dumps(bare, separators=(",", ":"), sort_keys=True).encode()).hexdigest()


def text_of(document):
    return json.dumps({**document, "checksum": checksum(document)}, indent=2, sort_keys=True).encode() + b"\n"


def checkpoints(lab):
    return [key for key in lab.keys("state/tenants/") if not key.endswith(".prev.json")]


@unittest.skipUnless(os.access(BINARY, os.X_OK), "versitygw was not built")
class Versitygw(GatewayCase):
    def test_the_truth_and_nothing_else(self):
        lab = self.gateway_lab(tenants=3)
        start, _ = lab.window()
        for later in (0, 300, 900):
            lab.tell(NOW + later)
            self.settle(lab)
        self.assert_exact(lab, start)
        self.assert_no_violation(lab)
        self.assert_nothing_unusual()
        self.assertEqual(len(lab.keys("state/reports/")), 3)

    def test_checkpoints_are_what_they_say(self):
        lab = self.gateway_lab(tenants=3)
        self.settle(lab)
        found = [json.loads(lab.read(key)[1]) for key in checkpoints(lab)]
        self.assertEqual(sorted(row["tenant"] for row in found), ["t0001", "t0002", "t0003"])
        for key, row in zip(checkpoints(lab), found):
            self.assertEqual(text_of(row), lab.read(key)[1])
            self.assertIsNone(row["lease"]["owner"], "a run that ended well holds nothing")
            self.assertEqual({name for stream in row["streams"].values() for name in stream["sinks"]}, {"lake", "prom"})

    def test_what_is_frozen_can_be_created_by_nobody(self):
        """boto3 is refused as muster is, and a run without its state finds all cells there and takes them."""
        lab = self.gateway_lab(tenants=2)
        self.settle(lab)
        before = lab.fingerprints()
        for key in before:
            for body in (lab.read(key)[1], b"another"):
                self.assertEqual(lab.put_status(key, body, IfNoneMatch="*"), 412)
        for key in lab.keys("state/"):
            lab.s3.delete_object(Bucket=BUCKET, Key=key)
        self.settle(lab)
        self.assertEqual(lab.fingerprints(), before)
        self.assert_exact(lab)
        self.assert_nothing_unusual()

    def test_a_checkpoint_is_swapped_only_by_who_has_read_it(self):
        lab = self.gateway_lab(tenants=1)
        self.settle(lab)
        key, = checkpoints(lab)
        stale, _ = lab.read(key)
        lab.tell(NOW + 300)
        self.settle(lab)
        etag, text = lab.read(key)
        self.assertNotEqual(etag, stale)
        self.assertEqual(lab.put_status(key, b"{}", IfMatch=stale), 412)
        self.assertEqual(lab.read(key), (etag, text))

    def end_leases(self, lab):
        """What a minute does to a killed run's leases, done by hand: also a swap that muster has to take."""
        for key in checkpoints(lab):
            etag, text = lab.read(key)
            row = json.loads(text)
            row["lease"].update(since=LONG_AGO, until=LONG_AGO)
            self.assertEqual(lab.put_status(key, text_of(row), IfMatch=etag), 200)

    def test_killed_over_and_over(self):
        """P1 and P2; and of all that was ever seen in the lake, nothing is gone and nothing is written again."""
        lab = self.gateway_lab(tenants=4, regions=["eu-west-1", "us-east-1"])
        start, _ = lab.window()
        self.settle(lab)
        lab.daemon.control("faults", [{"match": DATA, "kind": "hang", "ms": 200, "prob": 0.7}])
        killer, seen, frozen = Killer(SEED, 0.4), lab.etags(), lab.fingerprints()
        lab.tell(lab.now + 900)
        for _ in range(KILLS):
            lab.tell(lab.now + killer.strike(lab))
            self.end_leases(lab)
            found = lab.etags()
            self.assertEqual({key: found.get(key) for key in seen}, seen)
            seen = found
        print(f"points={KILLS} at_work={killer.killed} objects={len(seen)}", end=" ", flush=True)
        self.assertGreater(killer.killed, KILLS / 3, "too few runs were at work when they were killed")
        self.settle(lab)
        found = lab.fingerprints()
        self.assertEqual({key: found[key][0] for key in seen}, seen)
        self.assertEqual({key: found[key] for key in frozen}, frozen)
        self.assert_exact(lab, start)

    def test_machines_at_once_do_no_harm(self):
        lab = self.gateway_lab(tenants=4)
        lab.daemon.control("faults", [{"match": DATA, "kind": "hang", "ms": 100}])
        for process in [lab.start() for _ in range(3)]:
            self.assert_status(finish(process, 60 * PATIENCE), 0)
        self.settle(lab)
        self.assert_exact(lab)
        self.assert_nothing_unusual()


if __name__ == "__main__":
    unittest.main()
