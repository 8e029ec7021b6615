"""A laboratory for one test: a world, the stand-in that serves it, a muster with its lake and state, and the verdict.

The program under test is build/muster, or what MUSTER names.
"""
import ctypes
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "aws"))

from standin.world import World, dumps, generate  # noqa: E402
from testing import Daemon  # noqa: E402

import arrivals  # noqa: E402
import secrets_of  # noqa: E402
from expected import Expected, differences, due_end, first_start, rfc3339, windows  # noqa: E402

MUSTER = os.path.abspath(os.environ.get("MUSTER", os.path.join(ROOT, "build", "muster")))
NOW = 1767240000  # 2026-01-01T04:00:00Z
REGION = "eu-west-1"
SOURCES = ("profile", "role", "process", "role of an instance", "web", "container", "instance")
API_KEY = "api-key-5Yt9Qz-Lw3"  # a receiver's, in a header
MAY_NAME_EXTERNAL_IDS = ("check's stdout", "check's stderr", "tenants-found.json")
# Whether this kernel has the Landlock that is needed: landlock_create_ruleset tells its version. Else each check warns.
LANDLOCK = ctypes.CDLL(None).syscall(444, None, 0, 1) >= 2
# Sanitizers and memcheck slow a run down, not the time it may take to stop.
PATIENCE = float(os.environ.get("MUSTER_PATIENCE", "1"))


class Result:
    """How a run ended."""

    def __init__(self, status, out, err, seconds):
        self.status, self.out, self.err, self.seconds = status, out, err, seconds

    def errors(self, *words):
        """The lines of the log that hold all these words."""
        return [line for line in self.err.splitlines() if all(word in line for word in words)]


class Lab:
    """Everything below one temporary folder."""

    def __init__(self, tenants=3, now=NOW, flags=(), document=None, **world):
        self.folder = tempfile.mkdtemp(prefix="muster-e2e.")
        self.world = World(document or self.document(tenants, **world))
        self.now = now
        self.own = {"aws.log"}  # files that the test wrote, or the stand-in
        self.said = []          # what each muster wrote to its outputs
        self.given = {}         # to a muster, in its environment
        os.mkdir(self.path("tmp"))
        self.path("world.json", dumps(self.world.document))
        self.daemon = Daemon(self.folder, "--world", self.path("world.json"), "--now", now, "--log",
                             self.path("aws.log"), *flags)
        self.settings = self.configure()

    @staticmethod
    def document(tenants, **world):
        """The usual world, to be changed before it is served."""
        return generate(tenants, **{"seed": 11, "regions": [REGION], "services": 2, **world})

    def close(self):
        try:
            needles = self.secrets()
            self.daemon.stop(signal.SIGKILL)
            places = [*self.said, *secrets_of.written(self.folder, self.own)]
            found = secrets_of.leaks(needles, places) + secrets_of.leaks(
                self.external_ids(), [(where, data) for where, data in places if not where.endswith(MAY_NAME_EXTERNAL_IDS)])
        finally:
            self.daemon.stop(signal.SIGKILL)
            shutil.rmtree(self.folder, ignore_errors=True)
        assert not found, f"P9: {found[:10]}"

    def secrets(self):
        """Everything that must not be seen, as it may look."""
        words = {self.world.central["secret_key"], *secrets_of.passwords(self.settings, {**self.environment(), **self.given})}
        words |= {self.world.central_token(kind) for kind in ("web", "container", "imds")}
        try:
            words |= set(self.daemon.control("secrets"))
        except OSError:  # a test has ended the stand-in
            pass
        return {secrets_of.SESSION}.union(*map(secrets_of.forms, words))

    def external_ids(self):
        """Only `check` may name these, who says what a role's trust should be, and the list of accounts that were found with
        their tags."""
        return set().union(*(secrets_of.forms(tenant["external_id"]) for tenant in self.world.tenants if tenant["external_id"]))

    def path(self, name, text=None):
        """A file of the lab, written where there is a text: whole at any moment, for others may be reading it."""
        path = os.path.join(self.folder, name)
        if text is not None:
            self.own.add(name)
            with open(path + ".new", "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(path + ".new", path)
        return path

    @property
    def lake(self):
        return self.path("lake")

    @property
    def state(self):
        return self.path("state")

    def folder_has(self, name):
        """Whether there is any file below a folder of the lab."""
        return any(files for _, _, files in os.walk(self.path(name)))

    def configure(self, **changes):
        """A configuration as a document (JSON is YAML): the usual one, with top-level keys changed."""
        tenants = [{"id": t["id"], "account": t["account"], "role": t["role"], "external_id": t["external_id"],
                    "regions": list(t["regions"]), **({"labels": t["labels"]} if "labels" in t else {})}
                   for t in self.world.tenants]
        return {
            "region": self.world.region,
            "state": f"file://{self.state}",
            "tenants": tenants,
            "jobs": {"ecs": {"kind": "metrics", "to": ["prom", "lake"],
                             "from": [{"namespace": "ECS/ContainerInsights"}]}},
            "sinks": {"prom": {"kind": "remote_write", "url": f"{self.daemon.url}/api/v1/write",
                               "headers": {"X-Api-Key": API_KEY}},
                      "lake": {"kind": "objects", "url": f"file://{self.lake}"}},
            **changes,
        }

    def environment(self):
        central = self.world.central
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith(("AWS_", "MUSTER_")) and not name.upper().endswith("_PROXY")}
        return {**kept, "HOME": self.folder, "TMPDIR": self.path("tmp"), "AWS_ENDPOINT_URL": self.daemon.url, "AWS_REGION": self.world.region,
                "AWS_ACCESS_KEY_ID": central["access_key"], "AWS_SECRET_ACCESS_KEY": central["secret_key"],
                "AWS_EC2_METADATA_DISABLED": "true", "TZ": "Australia/Lord_Howe"}

    def keys_from(self, source):
        """The environment for base credentials from another source, whose files are written."""
        central, url = self.world.central, self.daemon.url
        pair = f"aws_access_key_id = {central['access_key']}\naws_secret_access_key = {central['secret_key']}\n"
        role = f"role_arn = arn:aws:iam::{central['account']}:role/lake-writer\n"
        printed = json.dumps({"Version": 1, "AccessKeyId": central["access_key"],
                              "SecretAccessKey": central["secret_key"]})
        files = {
            "profile": f"[profile base]\n{pair}",
            "role": f"[profile base]\n{role}source_profile = keys\n[profile keys]\n{pair}",
            "process": f"[profile base]\ncredential_process = cat {self.path('printed', printed)}\n",
            "role of an instance": f"[profile base]\n{role}credential_source = Ec2InstanceMetadata\n",
        }
        variables = {
            "web": {"AWS_WEB_IDENTITY_TOKEN_FILE": self.path("token", self.world.central_token("web")),
                    "AWS_ROLE_ARN": self.world.central_role},
            "container": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/container-creds/central",
                          "AWS_CONTAINER_AUTHORIZATION_TOKEN": self.world.central_token("container")},
        }
        env = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", **variables.get(source, {})}
        if source in files:
            env.update(AWS_PROFILE="base", AWS_CONFIG_FILE=self.path("config", files[source]))
        if "instance" in source:
            env.update(AWS_EC2_METADATA_DISABLED="false", AWS_EC2_METADATA_SERVICE_ENDPOINT=url)
        return env

    def start(self, *words, now=None, env=None, command="run"):
        """A muster that has just begun."""
        if now is not None:
            self.tell(now)
        config_file = self.path("muster.yaml", json.dumps(self.settings, indent=1))
        arguments = [MUSTER, command, "-c", config_file, *words]
        if "--now" not in words:
            arguments += ["--now", rfc3339(self.now) + "Z"]
        self.given.update(env or {})
        process = subprocess.Popen(arguments, env={**self.environment(), **(env or {})}, cwd=self.folder, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.said, process.command = self.said, command
        return process

    def tell(self, now):
        """Move the present, the stand-in's and ours."""
        self.now = now
        self.daemon.control("now", {"now": now})

    def run(self, *words, timeout=120, **how):
        """A whole run."""
        began = time.monotonic()
        process = self.start(*words, **how)
        return finish(process, timeout * PATIENCE, began)

    def window(self, now=None):
        """What a first run at `now` covers."""
        now = self.now if now is None else now
        return first_start(now), due_end(now)

    def cleared(self):
        """Forget what the stand-in counted."""
        self.daemon.control("reset", method="POST")


def sealed(document):
    """The text of a checkpoint, with its checksum."""
    document = {key: value for key, value in document.items() if key != "checksum"}
    compact = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    document["checksum"] = "sha256:" + hashlib.sha256(compact.encode()).hexdigest()
    return json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def finish(process, timeout, began=None):
    began = time.monotonic() if began is None else began
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"still running after {timeout} s; it had said:\n{err[-4000:]}") from None
    command = getattr(process, "command", "")
    getattr(process, "said", []).extend(((f"{command}'s stdout", out.encode()), (f"{command}'s stderr", err.encode())))
    return Result(process.returncode, out, err, time.monotonic() - began)


class Killer:
    """Kills runs at random instants. After one that was over before, which proves nothing, it comes sooner, and lets
    so much time pass that the next has something to do."""

    def __init__(self, seed, longest):
        self.dice, self.reach, self.killed = random.Random(seed), longest * PATIENCE, 0

    def strike(self, lab, *words, **how):
        """Start a run and kill it. Returns after how many seconds the next should begin."""
        process = lab.start(*words, **how)
        time.sleep(self.dice.uniform(0, self.reach))
        process.send_signal(signal.SIGKILL)
        result = finish(process, 10)
        assert result.status in (0, -signal.SIGKILL), result.err[-3000:]
        at_work = result.status == -signal.SIGKILL
        self.killed += at_work
        self.reach *= 1.05 if at_work else 0.6
        return self.dice.choice((0, 0, 1, 60, 300, 420, 900) if at_work else (300, 420, 900))


def begun_windows(lab, earliest):
    """Each tenant's window: from its oldest object, which a kill may have put off, up to what is due now. A stream can
    only begin where some run would have begun it, so not before `earliest`."""
    oldest = {}
    for key in arrivals.lake_keys(lab.lake):
        tenant = key.split("/")[1].removeprefix("tenant=")
        oldest[tenant] = min(oldest.get(tenant, lab.now), arrivals.cell_start(key))
    assert min(oldest.values()) >= earliest, oldest
    assert len(oldest) == len(lab.world.tenants), f"only {sorted(oldest)} have anything"
    return {tenant: (start, due_end(lab.now)) for tenant, start in oldest.items()}


class Case(unittest.TestCase):
    """A test with a lab, and verdicts on what muster left behind."""
    maxDiff = None

    def lab(self, *arguments, **named):
        lab = Lab(*arguments, **named)
        self.addCleanup(lab.close)
        return lab

    def assert_status(self, result, status):
        self.assertEqual(result.status, status, f"\nstdout:\n{result.out[-2000:]}\nstderr:\n{result.err[-6000:]}")

    def assert_same(self, expected, found, what):
        wrong = differences(expected, found)
        self.assertFalse(wrong, f"{what}:\n" + "\n".join(wrong))

    def assert_lake(self, lab, spans, seen=None, **more):
        expected = Expected(lab.world, **more).objects(spans, seen)
        self.assertTrue(expected, "a test that expects nothing proves nothing")
        self.assert_same(expected, arrivals.lake(lab.lake), "the lake")

    def assert_received(self, lab, spans, found=None, seen=None, **more):
        expected = Expected(lab.world, **more).samples(spans, seen)
        self.assertTrue(expected, "a test that expects nothing proves nothing")
        self.assert_same(expected, arrivals.stand_in(lab.daemon) if found is None else found, "the receiver")

    def assert_exact(self, lab, start=None, end=None, tenants=None):
        """Lake and receiver hold the truth of this window (a first run's, if none is given), and nothing else."""
        first, last = lab.window()
        spans = windows(lab.world, first if start is None else start, last if end is None else end, tenants)
        self.assert_lake(lab, spans)
        self.assert_received(lab, spans)

    def assert_no_violation(self, lab):
        """Nothing that AWS refuses, and nothing that a correct client never does."""
        self.assertEqual(lab.daemon.control("stats")["violations"]["recent"], [])

    def wait_for_fault(self, lab):
        deadline = time.monotonic() + 10 * PATIENCE
        while not any(row["fired"] for row in lab.daemon.control("faults")):
            self.assertLess(time.monotonic(), deadline, "the fault was never met")
            time.sleep(0.01)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Receiver:
    """A real time-series database of a test's own, on loopback, in a folder of its own."""

    def __init__(self, folder, command, ready):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.url = f"http://127.0.0.1:{free_port()}"
        with open(os.path.join(folder, "log"), "ab") as log:
            self.process = subprocess.Popen(command(folder, self.url.removeprefix("http://")), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, cwd=folder)
        self._wait(self.url + ready)

    def _wait(self, url, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                urllib.request.urlopen(url, timeout=2).close()
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        raise RuntimeError(f"{self.process.args[0]} did not start; see {self.folder}/log")

    def stop(self):
        self.process.kill()
        self.process.wait(10)


def start_prometheus(folder, rules=None):
    """No scraping, so its newest sample is what a test has written. `rules`: a file of them, evaluated each second."""
    def command(folder, address):
        config_file = os.path.join(folder, "prometheus.yml")
        with open(config_file, "w", encoding="ascii") as file:
            file.write(json.dumps({"global": {"evaluation_interval": "1s"}, "rule_files": [rules]} if rules else
                                  {"scrape_configs": []}))
        return ["prometheus", f"--config.file={config_file}", f"--storage.tsdb.path={folder}/data",
                "--web.enable-remote-write-receiver", f"--web.listen-address={address}",
                "--storage.tsdb.retention.time=30y"]
    return Receiver(folder, command, "/-/ready")


def start_victoria(folder):
    def command(folder, address):
        return ["victoria-metrics", f"-storageDataPath={folder}/data", f"-httpListenAddr={address}",
                "-retentionPeriod=30y", "-memory.allowedBytes=256MB"]
    return Receiver(folder, command, "/health")


def start_alertmanager(folder):
    """One that tells nobody: what it holds is asked for."""
    def command(folder, address):
        config_file = os.path.join(folder, "alertmanager.yml")
        with open(config_file, "w", encoding="ascii") as file:
            file.write("route: {receiver: none}\nreceivers: [{name: none}]\n")
        return ["prometheus-alertmanager", f"--config.file={config_file}", f"--storage.path={folder}/data",
                f"--web.listen-address={address}", "--cluster.listen-address="]
    return Receiver(folder, command, "/-/ready")
