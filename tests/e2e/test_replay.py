"""Record and replay: a run on a cassette comes out the same with no network, credentials or clock, for any number of
workers; and what must not be on a cassette is not on it.
"""
import glob
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
import unittest

import arrivals
from lab import MUSTER, PATIENCE, ROOT, Case, finish, rfc3339

EXAMPLE = os.path.join(ROOT, "tests", "data", "replay")
# What a replay gets: no HOME, no AWS_*, no address of anything.
BARE = {"PATH": "/usr/bin:/bin"}


def muster(*words, folder, env=None, timeout=120):
    """Any command of muster, in a folder."""
    began = time.monotonic()
    process = subprocess.Popen([MUSTER, *words], env=BARE if env is None else env, cwd=folder, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return finish(process, timeout * PATIENCE, began)


def unpacked(path):
    """{name: text} of a .tar.zst."""
    plain = subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True, timeout=60).stdout
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        return {entry.name: tar.extractfile(entry).read().decode("utf-8") for entry in tar}


def packed(path, files):
    """The reverse of unpacked, in the order given."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    subprocess.run(["zstd", "-q", "-f", "-o", path], input=plain.getvalue(), check=True, timeout=60)


def tree(folder):
    """{path: bytes} of all that is not hidden."""
    found = {}
    for key in arrivals.lake_keys(folder):
        with open(os.path.join(folder, key), "rb") as file:
            found[key] = file.read()
    return found


class ReplayCase(Case):
    def record(self, lab, *words, cassette="tape.tar.zst", status=0, command=("run",), **env):
        """A recorded run at the lab's present."""
        lab.path("muster.yaml", json.dumps(lab.settings, indent=1))
        result = muster("record", "-o", cassette, *words, "--", *command, "-c", "muster.yaml", "--now",
                        rfc3339(lab.now) + "Z", folder=lab.folder, env={**lab.environment(), **env})
        self.assert_status(result, status)
        return lab.path(cassette)

    def replay(self, lab, *words, status=0):
        result = muster("replay", "tape.tar.zst", *words, folder=lab.folder)
        self.assert_status(result, status)
        return result

    def assert_replays(self, lab):
        """Lake and receiver after a replay hold what the recorded run left."""
        self.replay(lab, "-o", "out")
        self.assertEqual(arrivals.lake(lab.path("out/lake")), arrivals.lake(lab.lake))
        samples = {}
        for line in arrivals.unpack(lab.path("out/prom.ndjson.zst")).splitlines():
            row = json.loads(line)
            samples.setdefault(tuple(sorted(row["labels"].items())), {})[row["ts"]] = row["value"]
        self.assert_same(arrivals.stand_in(lab.daemon), samples, "the receiver")
        for workers in ("1", "2", "32"):
            self.replay(lab, "--expect", "out", "--bytes", "--workers", workers)


class Replaying(ReplayCase):
    def test_comes_out_the_same_with_any_number_of_workers(self):
        lab = self.lab(3)
        self.record(lab)
        self.assert_exact(lab)
        lab.daemon.stop()
        before = tree(lab.lake)
        self.replay(lab, "-o", "out")
        self.assertEqual({key: data for key, data in tree(lab.path("out/lake")).items()}, before)
        for workers in ("1", "2", "32"):
            self.replay(lab, "--expect", "out", "--bytes", "--workers", workers)

    def test_base_credentials_are_not_on_it(self):
        """Wherever they come from: none of these calls is recorded, and none is missed."""
        for source in ("process", "role of an instance", "web", "container"):
            with self.subTest(source=source):
                lab = self.lab(1)
                files = unpacked(self.record(lab, **lab.keys_from(source)))
                requests = [json.loads(text)["request"] for name, text in files.items()
                            if name.endswith("/exchange.json")]
                asked = [f"{request['service']} {request['operation']}" for request in requests]
                self.assertIn("sts GetCallerIdentity", asked)
                self.assertEqual(asked.count("sts AssumeRole"), 1, "the tenant's, and no other")
                self.assertFalse([one for one in asked if one.startswith(("imds", "container")) or "Web" in one])
                everything = "".join(files.values())
                for secret in (lab.world.central["secret_key"], lab.world.central["access_key"], "lake-writer/", "ASIA",
                               *(lab.world.central_token(kind) for kind in ("web", "container", "imds"))):
                    self.assertNotIn(secret, everything)
                self.replay(lab, "-o", "out")
                self.assertEqual(arrivals.lake(lab.path("out/lake")), arrivals.lake(lab.lake))

    def test_the_profile_is_not_asked_for(self):
        """What stands in the files of whoever replays has no say: not even a region or an endpoint."""
        lab = self.lab(1)
        self.record(lab)
        os.mkdir(lab.path(".aws"))
        for text in ("[default]\nregion = us-east-1\nendpoint_url = http://127.0.0.1:9/x\nmax_attempts = 99\n", "broken"):
            lab.path(".aws/config", text)
            result = muster("replay", "tape.tar.zst", folder=lab.folder, env={**BARE, "HOME": lab.folder})
            self.assert_status(result, 0)

    def test_the_receiver_gets_the_same(self):
        lab = self.lab(2)
        self.record(lab)
        self.assert_replays(lab)

    def test_failures_that_passed_come_again(self):
        lab = self.lab(2)
        lab.daemon.control("faults", [
            {"match": {"service": "monitoring"}, "every": 3, "kind": "http503"},
            {"match": {"service": "monitoring"}, "every": 5, "kind": "throttle"},
            {"match": {"service": "monitoring"}, "nth": 4, "kind": "reset-before"},
            {"match": {"service": "monitoring"}, "nth": 7, "kind": "expired"},
            {"match": {"service": "monitoring"}, "nth": 8, "kind": "skew"},
            {"match": {"service": "sts", "operation": "AssumeRole"}, "nth": 1, "kind": "http500"}])
        path = self.record(lab)
        outcomes = [json.loads(text)["response"]["outcome"] for name, text in unpacked(path).items()
                    if name.endswith("/exchange.json")]
        self.assertIn("transient", outcomes)
        self.assertIn("throttled", outcomes)
        self.assertIn("expired", outcomes)
        self.assertIn("clock_off", "".join(unpacked(path).values()))
        lab.daemon.control("faults", [])
        self.assert_replays(lab)

    def test_a_tenant_that_was_refused_is_refused_again(self):
        lab = self.lab(3)
        lab.world.tenants[1]["external_id"] = "something-else"
        lab.settings = lab.configure()
        self.record(lab, status=1)
        result = self.replay(lab, "-o", "out", status=1)
        self.assertTrue(result.errors("stream failed", "tenant=" + lab.world.tenants[1]["id"], "AccessDenied"))
        self.assertEqual(arrivals.lake(lab.path("out/lake")), arrivals.lake(lab.lake))
        self.replay(lab, "--expect", "out")

    def test_a_run_that_carried_on_is_replayed_from_where_it_began(self):
        lab = self.lab(2)
        self.assert_status(lab.run(), 0)
        first = set(arrivals.lake_keys(lab.lake))
        lab.tell(lab.now + 900)
        path = self.record(lab)
        self.assertEqual(sum(name.startswith("state/tenants/") for name in unpacked(path)), 2)
        self.replay(lab, "-o", "out")
        later = {key: rows for key, rows in arrivals.lake(lab.lake).items() if key not in first}
        self.assertTrue(later)
        self.assertEqual(arrivals.lake(lab.path("out/lake")), later)

    def test_rows_of_logs_insights(self):
        for scrub in ([], ["--scrub"]):
            lab = self.lab(2)
            lab.settings["jobs"] = {"logs": {"kind": "insights", "to": ["lake"], "log_groups": ["/ecs/*"],
                                             "query": "fields @timestamp, @logStream, @message"}}
            path = self.record(lab, *scrub)
            lab.daemon.stop()
            self.replay(lab, "-o", "out")
            if scrub:
                text = "".join(unpacked(path).values())
                self.assertNotIn("/ecs/", text)
                self.assertEqual(len(tree(lab.path("out/lake"))), len(tree(lab.lake)))
            else:
                self.assertEqual(tree(lab.path("out/lake")), tree(lab.lake))
            for workers in ("1", "2", "32"):
                self.replay(lab, "--expect", "out", "--bytes", "--workers", workers)

    def test_a_backfill(self):
        """Its slices come in any order; files of OpenMetrics are outputs like a lake's."""
        lab = self.lab(1)
        lab.settings["sinks"]["old"] = {"kind": "openmetrics", "url": "file://" + lab.path("old")}
        lab.settings["jobs"]["ecs"]["to"] = ["prom", "lake", "old"]
        self.record(lab, command=("backfill", "--from", "now-5h", "--to", "now"))
        self.assert_replays(lab)
        self.assertEqual(tree(lab.path("out/old")), tree(lab.path("old")))
        for workers in ("1", "32"):
            self.replay(lab, "--expect", "out", "--bytes", "--workers", workers)

    def test_sinks_on_stdout_are_sorted_into_a_file(self):
        lab = self.lab(2)
        lab.settings["sinks"]["screen"] = {"kind": "stdout"}
        lab.settings["jobs"]["ecs"]["to"] = ["lake", "screen"]
        self.record(lab)
        self.replay(lab, "-o", "out")
        lines = arrivals.unpack(lab.path("out/stdout.ndjson.zst")).splitlines()
        self.assertEqual(lines, sorted(lines))
        self.assertEqual(len(lines), sum(map(len, arrivals.lake(lab.lake).values())))

    def test_equal_runs_leave_equal_cassettes_but_for_time(self):
        lab = self.lab(1)
        one = unpacked(self.record(lab))
        for folder in (lab.lake, lab.state):
            shutil.rmtree(folder)
        two = unpacked(self.record(lab, cassette="two.tar.zst"))
        self.assertEqual(list(one), list(two))
        differing = {name.rsplit("/", 1)[-1] for name in one if one[name] != two[name]}
        self.assertLessEqual(differing, {"index.json", "exchange.json"})


class Comparing(ReplayCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="muster-replay-test.")
        self.addCleanup(shutil.rmtree, self.folder)
        shutil.copytree(EXAMPLE, os.path.join(self.folder, "replay"))
        self.expected = os.path.join(self.folder, "replay", "expected")

    def example(self, *words, status=0):
        result = muster("replay", "replay/example.tar.zst", "-q", *words, folder=self.folder)
        self.assert_status(result, status)
        return result

    def test_the_example(self):
        for workers in ("1", "2", "32"):
            result = self.example("--expect", self.expected, "--workers", workers)
            self.assertEqual(result.out, f"no difference from {self.expected}\n")
        self.assertLess(sum(map(len, tree(EXAMPLE).values())), 200_000)

    def rewrite(self, path, change):
        plain = arrivals.unpack(path)
        subprocess.run(["zstd", "-q", "-f", "-o", path], input=change(plain), check=True, timeout=60)

    def test_differences_are_shown_as_a_diff(self):
        received = os.path.join(self.expected, "prom.ndjson.zst")
        lines = arrivals.unpack(received).splitlines(keepends=True)
        self.rewrite(received, lambda plain: b"".join(lines[:4] + lines[5:]))
        objects = arrivals.lake_keys(os.path.join(self.expected, "lake"))
        os.rename(os.path.join(self.expected, "lake", objects[0]), os.path.join(self.expected, "gone.ndjson.zst"))
        result = self.example("--expect", self.expected, status=1)
        self.assertIn(f"+++ replayed/prom.ndjson.zst\n@@ line 5, line 5 @@\n+{lines[4].decode()}", result.out)
        self.assertIn("gone.ndjson.zst\n  expected, and not there\n", result.out)
        self.assertIn(f"+++ replayed/lake/{objects[0]}\n  not expected\n", result.out)
        self.assertIn("3 files differ from", result.out)
        self.example("--expect", self.expected, "--update")
        self.example("--expect", self.expected, "--bytes")
        self.assertEqual(list(tree(self.expected)), list(tree(os.path.join(EXAMPLE, "expected"))))

    def test_other_compression_differs_only_in_bytes(self):
        received = os.path.join(self.expected, "prom.ndjson.zst")
        plain = arrivals.unpack(received)
        subprocess.run(["zstd", "-q", "-19", "-f", "-o", received], input=plain, check=True, timeout=60)
        self.example("--expect", self.expected)
        result = self.example("--expect", self.expected, "--bytes", status=1)
        self.assertIn("bytes, which differ", result.out)

    def test_a_call_that_was_not_recorded_names_the_nearest(self):
        path = os.path.join(self.folder, "replay", "example.tar.zst")
        config = json.loads(next(text for name, text in unpacked(path).items() if name.startswith("config/")))
        config["jobs"]["ecs"]["from"] = [{"namespace": "AWS/ECS"}]
        with open(os.path.join(self.folder, "other.yaml"), "w", encoding="utf-8") as file:
            json.dump(config, file)
        result = self.example("-c", "other.yaml", "--expect", self.expected, status=1)
        self.assertRegex(result.err, r"no answer to monitoring ListMetrics of account [0-9]+ in eu-west-1; "
                                     r"the nearest is 0+[0-9]+-monitoring-ListMetrics: asked .*AWS/ECS")

    def test_an_output_folder_is_for_one_run(self):
        self.example("-o", "out")
        result = self.example("-o", "out", status=2)
        self.assertIn("not empty", result.err)

    def test_nothing_is_left_behind(self):
        place = os.path.join(self.folder, "tmp")
        os.mkdir(place)
        result = muster("replay", "replay/example.tar.zst", "-q", folder=self.folder, env={**BARE, "TMPDIR": place})
        self.assert_status(result, 0)
        self.assertEqual(os.listdir(place), [])

    def test_a_cassette_is_checked_first(self):
        path = os.path.join(self.folder, "replay", "example.tar.zst")
        files = unpacked(path)
        index = json.loads(files["index.json"])

        def refused(words, changes=None, **changed):
            packed(path, {**files, **(changes or {}), "index.json": json.dumps({**index, **changed})})
            result = self.example(status=2)
            self.assertIn(words, result.err)

        refused("/command: sh cannot be replayed", command=["sh"])
        refused("/command: unexpected --report", command=["run", "--report", "/tmp/x"])
        refused("/command: --job has no value", command=["run", "--job"])
        refused("format 9", cassette=9)
        refused("bad name", {"state/../x": "{}"})
        described = next(name for name in files if name.endswith("/exchange.json"))
        exchange = json.loads(files[described])
        exchange["request"]["service"] = "s/s"
        refused("service and operation are to be names", {described: json.dumps(exchange)})
        with open(path, "rb") as file:
            whole = file.read()
        with open(path, "wb") as file:
            file.write(whole[:len(whole) // 2])
        self.assertIn("example.tar.zst", self.example(status=2).err)

    def changed(self, change, environment=None):
        """Somebody else's cassette: the example with another configuration."""
        path = os.path.join(self.folder, "replay", "example.tar.zst")
        files = unpacked(path)
        config = json.loads(files["config/example.yaml"])
        change(config)
        index = {**json.loads(files["index.json"]), "environment": environment or {}}
        packed(path, {**files, "index.json": json.dumps(index), "config/example.yaml": json.dumps(config)})

    def test_a_cassette_only_says_what_a_recording_says(self):
        for place, change in (
                ("/run/sandbox", lambda config: config["run"].update(sandbox="off")),
                ("/tenants_from", lambda config: config.update(tenants_from=[{"file": "/etc/*"}])),
                ("/sinks/bearer_token_file", lambda config: config["sinks"]["prom"].update(bearer_token_file="/etc/passwd")),
                ("/tenants/credentials", lambda config: config["tenants"][0].update(credentials="x"))):
            with self.subTest(place):
                self.setUp()
                self.changed(change)
                self.assertIn(f"{place}: no recording writes this", self.example(status=2).err)

    def test_a_cassette_sees_nothing_of_this_machine(self):
        """And gives it no orders: not to the libraries either, which read the environment."""
        self.changed(lambda config: config["tenants"][0].update(labels={"x": "${PLANTED}"}))
        result = muster("replay", "replay/example.tar.zst", "-o", "out", folder=self.folder, env={**BARE, "PLANTED": "of-this-machine"})
        self.assert_status(result, 2)
        self.assertIn("PLANTED is not set", result.err)
        orders = os.path.join(self.folder, "orders.cnf")
        os.mkfifo(orders)  # whoever opens it waits for ever
        self.changed(lambda config: config["tenants"][0].update(labels={"x": "${PLANTED}"}),
                     {"PLANTED": "of-the-cassette", "OPENSSL_CONF": orders, "SSL_CERT_FILE": orders})
        self.assert_status(muster("replay", "replay/example.tar.zst", "-o", "out", folder=self.folder, timeout=20), 0)
        self.assertIn(b"of-the-cassette", arrivals.unpack(os.path.join(self.folder, "out", "prom.ndjson.zst")))

    def test_usage(self):
        for words in ([], ["a", "b"], ["a", "--update"], ["--nonsense", "a"], ["a", "--expect"]):
            self.assert_status(muster("replay", *words, folder=self.folder), 2)
        result = self.example("--expect", "not-there", status=2)
        self.assertIn("--expect not-there: it is not there", result.err)
        for words in ([], ["-o", "x"], ["--", "run"], ["-o", "x", "--", "init"], ["-o"]):
            self.assert_status(muster("record", *words, folder=self.folder), 2)
        for command in ("record", "replay"):
            result = muster("help", command, folder=self.folder)
            self.assert_status(result, 0)
            self.assertIn(f"usage: muster {command}", result.out)


class Secrets(ReplayCase):
    """Canaries, and whatever looks like a secret, must not be on a cassette."""
    PATTERNS = (r"A[KS]IA[A-Z0-9]{16}", r"(?i)x-amz-security-token", r"(?i)authorization", r"(?i)x-amz-date",
                r"AWS4-HMAC", r"Signature=", r"(?i)externalid")

    def text_of(self, path):
        with open(path, "rb") as file:
            raw = file.read()
        return "\n".join(f"{name}\n{text}" for name, text in unpacked(path).items()) + raw.decode("latin-1")

    def scan(self, text, canaries, patterns=PATTERNS):
        found = [canary for canary in canaries if canary.lower() in text.lower()]
        return found + [pattern for pattern in patterns if re.search(pattern, text)]

    def test_no_secret_is_on_a_cassette(self):
        lab = self.lab(3)
        central = lab.world.central
        lab.settings["sinks"]["prom"]["basic_auth"] = {"username": "canary-user", "password": "canary-password"}
        lab.settings["sinks"]["prom"]["headers"] = {"X-Scope-OrgID": "canary-header"}
        lab.settings["tenants"][1]["external_id"] = "${CANARY_EXTERNAL}"
        lab.settings["tenants"][2]["external_id"] = "canary-wrong-external"
        lab.settings["jobs"]["ecs"]["from"][0]["namespace"] = "${CANARY_NAMESPACE}"
        wanted = lab.world.tenants[1]["external_id"]
        path = self.record(lab, status=1, CANARY_EXTERNAL=wanted, CANARY_NAMESPACE="ECS/ContainerInsights",
                           CANARY_UNUSED="canary-unused")
        canaries = [central["access_key"], central["secret_key"], "canary-user", "canary-password", "canary-header",
                    "canary-wrong-external", "canary-unused", lab.daemon.url.split("//")[1], lab.folder,
                    *(tenant["external_id"] for tenant in lab.world.tenants)]
        self.assertEqual(self.scan(self.text_of(path), canaries), [])
        self.assertIn("${CANARY_NAMESPACE}", self.text_of(path))
        lab.daemon.stop()
        self.replay(lab, "-o", "out", status=1)
        self.assertEqual(arrivals.lake(lab.path("out/lake")), arrivals.lake(lab.lake))

    def test_the_scan_would_find_one(self):
        planted = "{\"key\": \"AKIAABCDEFGHIJKLMNOP\", \"note\": \"CANARY-user\"}"
        self.assertEqual(self.scan(planted, ["canary-user"]), ["canary-user", self.PATTERNS[0]])

    def test_scrubbed_names_are_nowhere(self):
        lab = self.lab(3)
        for tenant in lab.settings["tenants"]:
            tenant["labels"] = {"tier": "goldmember"}
        path = self.record(lab, "--scrub")
        text = self.text_of(path)
        names = {"goldmember", "muster-reader"}
        for tenant in lab.world.tenants:
            names |= {tenant["id"], tenant["account"]}
            for region in tenant["regions"].values():
                for cluster in region["clusters"]:
                    names |= {cluster["name"], *(service["name"] for service in cluster["services"])}
        names = {name for name in names if len(name) > 3}
        self.assertGreater(len(names), 8)
        self.assertEqual(self.scan(text, names), [])
        self.assertNotIn(lab.world.central["account"], text)
        self.replay(lab, "-o", "out")
        for workers in ("1", "2", "32"):
            self.replay(lab, "--expect", "out", "--bytes", "--workers", workers)
        shapes = [sorted((row["name"], row["stat"], sorted(row["values"].items()))
                         for rows in arrivals.lake(lake).values() for row in rows)
                  for lake in (lab.lake, lab.path("out/lake"))]
        self.assertEqual(*shapes)

    def test_scrubbing_wants_no_checkpoint(self):
        lab = self.lab(1)
        self.assert_status(lab.run(), 0)
        lab.tell(lab.now + 600)
        self.record(lab, "--scrub", status=2)
        self.assertEqual(glob.glob(lab.path("*.tar.zst")), [])


if __name__ == "__main__":
    unittest.main()
