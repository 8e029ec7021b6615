#!/usr/bin/python3
"""The container image: nothing is in it but what the program needs, two builds of it are the same, and whole runs go well in it, as
the definitions of schedules/ start them: not root, on a file system that cannot be written.
"""
import gzip
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import tarfile
import tempfile
import unittest
from unittest import mock

import yaml

import lab as laboratory
from lab import ROOT, Case
from templates import FOLDER, resources

IN_IMAGE = os.path.join(ROOT, "scripts", "in-image")
NAMESPACES = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], stderr=subprocess.DEVNULL,
                            check=False).returncode == 0
CONFIG_FILE = "/etc/muster/muster.yaml"


def build(folder, **how):
    """The digest of an image that was made there."""
    done = subprocess.run([os.path.join(ROOT, "scripts", "image"), folder], capture_output=True, text=True, check=False, **how)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def setUpModule():
    global IMAGE, DIGEST, ARCH
    held = tempfile.TemporaryDirectory(prefix="muster-image.")
    unittest.addModuleCleanup(held.cleanup)
    IMAGE, DIGEST = held.name, build(held.name)
    ARCH = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()


class Layout:
    """Of an image, by following its hashes."""

    def __init__(self, folder):
        self.folder = f"{folder}/oci"
        with open(f"{self.folder}/index.json", encoding="ascii") as file:
            (self.top,) = json.load(file)["manifests"]
        self.manifest = json.loads(self.blob(self.top))
        self.config = json.loads(self.blob(self.manifest["config"]))
        (layer,) = self.manifest["layers"]
        self.archive = gzip.decompress(self.blob(layer))

    def blob(self, descriptor):
        algorithm, digest = descriptor["digest"].split(":")
        with open(f"{self.folder}/blobs/{algorithm}/{digest}", "rb") as file:
            data = file.read()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (descriptor["size"], digest)
        return data

    def entries(self):
        with tarfile.open(fileobj=io.BytesIO(self.archive)) as tar:
            return {entry.name: entry for entry in tar}


class What(Case):
    def test_the_layout_is_whole(self):
        image = Layout(IMAGE)
        self.assertEqual((image.top["digest"], image.top["platform"]), (DIGEST, {"architecture": ARCH, "os": "linux"}))
        self.assertEqual(image.config["rootfs"]["diff_ids"], [f"sha256:{hashlib.sha256(image.archive).hexdigest()}"])
        with open(f"{IMAGE}/root-{ARCH}.tar", "rb") as file:
            self.assertEqual(file.read(), image.archive)
        with open(f"{image.folder}/oci-layout", encoding="ascii") as file:
            self.assertEqual(json.load(file), {"imageLayoutVersion": "1.0.0"})
        self.assertEqual(len(os.listdir(f"{image.folder}/blobs/sha256")), 3)

    def test_two_builds_are_the_same(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(build(folder, umask=0o077, env={**os.environ, "TZ": "Pacific/Auckland", "LC_ALL": "C"}), DIGEST)

    def test_it_holds_the_program_and_what_that_loads(self):
        """As the loader itself has it, which is asked in the image."""
        entries = Layout(IMAGE).entries()
        loader = next(name for name in entries if os.path.basename(name).startswith("ld-linux"))
        done = subprocess.run(["unshare", "--user", "--map-root-user", f"--root={IMAGE}/root-{ARCH}", f"/{loader}", "--list",
                               "/usr/bin/muster"], capture_output=True, text=True, check=False) if NAMESPACES else None
        if done is not None:
            self.assertNotIn("not found", done.stdout)
            loaded = set(re.findall(r"=> (/\S+) \(", done.stdout))
            self.assertGreater(len(loaded), 10, done.stderr)
            held = {f"/{name}" for name, entry in entries.items() if entry.isfile() and ".so" in name and name != loader}
            self.assertEqual({path if path.startswith("/usr") else f"/usr{path}" for path in loaded} - {f"/{loader}"}, held)
        programs = {name for name, entry in entries.items() if entry.isfile() and entry.mode & 0o111}
        self.assertEqual(programs, {"usr/bin/muster", loader})

    def test_nobody_can_change_it_and_nothing_says_where_it_was_made(self):
        for name, entry in Layout(IMAGE).entries().items():
            with self.subTest(name):
                self.assertEqual((entry.uid, entry.gid, entry.mtime), (0, 0, 0))
                self.assertFalse(entry.mode & 0o6000)
                self.assertTrue(entry.issym() or not entry.mode & 0o022 or (entry.isdir() and entry.mode == 0o1777))

    def test_licences_and_packages_are_named(self):
        entries = Layout(IMAGE).entries()
        packages = {name.rpartition("/")[2] for name, entry in entries.items() if "dpkg/status.d/" in name and entry.isfile()}
        self.assertLess({"base-files", "ca-certificates", "libc6", "libcurl4", "libssl3", "libzstd1"}, packages)
        for package in packages | {"muster"}:
            self.assertGreater(entries[f"usr/share/doc/{package}/copyright"].size, 100, package)
        for package in packages:
            with open(f"{IMAGE}/root-{ARCH}/var/lib/dpkg/status.d/{package}", encoding="utf-8") as file:
                self.assertRegex(file.read(), rf"(?s)^Package: {re.escape(package)}\n.*\nVersion: [^\n]")
        with open(f"{IMAGE}/root-{ARCH}/usr/share/doc/libc6/copyright", encoding="utf-8") as file:
            self.assertIn("/usr/share/common-licenses/", file.read())
        self.assertIn("usr/share/common-licenses/LGPL-2.1", entries)

    def test_the_dockerfile_says_the_same(self):
        with open(os.path.join(FOLDER, "Dockerfile"), encoding="utf-8") as file:
            last = file.read().rpartition("\nFROM scratch\n")[2]
        said = dict(line.split(" ", 1) for line in last.splitlines())
        config = Layout(IMAGE).config["config"]
        self.assertEqual((said["USER"], said["ENV"].split(), json.loads(said["ENTRYPOINT"]), json.loads(said["CMD"])),
                         (config["User"], config["Env"], config["Entrypoint"], config["Cmd"]))
        self.assertEqual({said["VOLUME"]: {}}, config["Volumes"])


@unittest.skipUnless(NAMESPACES, "no user namespaces here")
class Within(Case):
    def setUp(self):
        for patch in (mock.patch.object(laboratory, "MUSTER", IN_IMAGE),
                      mock.patch.dict(os.environ, {"IMAGE_ROOT": f"{IMAGE}/root-{ARCH}"})):
            patch.start()
            self.addCleanup(patch.stop)

    def test_it_is_killed_and_goes_on(self):
        lab = self.lab()
        lab.daemon.control("faults", [{"match": {"operation": "GetMetricData"}, "kind": "hang", "ms": 60000, "times": 1}])
        process = lab.start()
        self.wait_for_fault(lab)
        process.send_signal(signal.SIGTERM)
        self.assert_status(laboratory.finish(process, 20), 143)
        self.assert_status(lab.run(), 0)
        self.assert_exact(lab)
        self.assert_no_violation(lab)

    def test_names_are_looked_up_and_certificates_are_there(self):
        lab = self.lab()
        names = {"AWS_ENDPOINT_URL": lab.daemon.url.replace("127.0.0.1", "localhost")}
        self.assert_status(lab.run(env=names), 0)
        # What it trusts is read before anything is asked: that it cannot be would be said.
        result = lab.run(env={"AWS_ENDPOINT_URL": lab.daemon.url.replace("http:", "https:"), "AWS_MAX_ATTEMPTS": "1"})
        self.assert_status(result, 3)
        self.assertTrue(result.errors("wrong version number") or result.errors("SSL"), result.err)
        self.assertNotIn("certificates", result.err)

    def test_it_is_not_root_and_writes_nowhere_else(self):
        lab = self.lab()
        lab.settings["state"] = "file:///etc/muster/state"
        result = lab.run()
        self.assert_status(result, 3)
        self.assertTrue(result.errors("Read-only file system"), result.err)
        shown = subprocess.run([IN_IMAGE, "replay", os.path.join("replay", "example.tar.zst"), "--expect",
                                os.path.join("replay", "expected")], cwd=os.path.join(ROOT, "tests", "data"), text=True,
                               capture_output=True, check=False)
        self.assertEqual(shown.returncode, 0, shown.stderr)

    def starts(self):
        """{definition: (words, environment, user, where it may write)} of what schedules/ say of containers."""
        with open(os.path.join(FOLDER, "kubernetes.yaml"), encoding="utf-8") as file:
            cron = next(one for one in yaml.safe_load_all(file) if one["kind"] == "CronJob")
        pod = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        (kubernetes,), context = pod["containers"], pod["securityContext"]
        batch = resources("aws-batch.yaml", Shards="1")["Job"]["Properties"]["ContainerProperties"]
        (fargate,) = resources("fargate.yaml")["Task"]["Properties"]["ContainerDefinitions"]
        self.assertTrue(kubernetes["securityContext"]["readOnlyRootFilesystem"])
        yield ("kubernetes", kubernetes["args"], {"MUSTER_SHARDS": "1", "JOB_COMPLETION_INDEX": "0"},
               f"{context['runAsUser']}:{context['runAsGroup']}",
               [one["mountPath"] for one in kubernetes["volumeMounts"] if not one.get("readOnly")])
        for name, container in (("batch", batch), ("fargate", fargate)):
            self.assertTrue(container["ReadonlyRootFilesystem"])
            env = {one["Name"]: one["Value"] for one in container["Environment"] if one["Name"] != "AWS_REGION"}
            yield name, container["Command"], {**env, "AWS_BATCH_JOB_ARRAY_INDEX": "0"} if name == "batch" else env, \
                container["User"], [one["ContainerPath"] for one in container["MountPoints"]]

    def test_definitions_start_it(self):
        config = Layout(IMAGE).config["config"]
        self.assertEqual(config["Entrypoint"], ["/usr/bin/muster"])
        for name, words, env, user, writable in self.starts():
            with self.subTest(name):
                self.assertEqual((user, {path: {} for path in writable}), (config["User"], config["Volumes"]))
                lab = self.lab(tenants=1)
                self.assertEqual(words.count(CONFIG_FILE), 1)
                lab.path("muster.yaml", json.dumps(lab.settings))
                command = [lab.path("muster.yaml") if word == CONFIG_FILE else word for word in words]
                done = subprocess.run([IN_IMAGE, *command, "--now", laboratory.rfc3339(lab.now) + "Z"], cwd=lab.folder, text=True,
                                      env={**lab.environment(), **env}, capture_output=True, timeout=60, check=False)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assert_exact(lab)
                self.assertTrue(all(json.loads(line) for line in done.stderr.splitlines()), "a log of JSON")


if __name__ == "__main__":
    unittest.main()
