#!/usr/bin/python3
"""Usage and configuration: what is wrong is said with its place, all of it at once; the status is 2; nothing is touched."""
import os
import re
import subprocess
import unittest

from lab import MUSTER, Case

GOOD = """\
region: eu-west-1
state: file://FOLDER/state
tenants:
  - {id: t0001, account: "ACCOUNT", role: "ROLE", external_id: "EXTERNAL"}
jobs:
  ecs: {kind: metrics, to: [lake]}
sinks:
  lake: {kind: objects, url: "file://FOLDER/lake"}
"""
# What is wrong: (in GOOD, this becomes that), and the words that must be in the one line about it.
FAULTS = {
    "an unknown key": ("region: eu-west-1", "regoin: eu-west-1", ["regoin", "did you mean region"]),
    "an unknown key of a job": ("to: [lake]", "to: [lake], evry: 5m", ["evry", "did you mean every"]),
    "an unknown sink": ("to: [lake]", "to: [lakes]", ["lakes", "did you mean lake"]),
    "an unknown kind": ("kind: metrics", "kind: metric", ["metric", "did you mean metrics"]),
    "a duration without a unit": ("to: [lake]", "to: [lake], every: 5", ["every"]),
    "a grid that does not divide the hour": ("to: [lake]", "to: [lake], every: 7m", ["every"]),
    "a cell that is no multiple of the period": ("to: [lake]", "to: [lake], every: 5m, period: 2m", ["period"]),
    "an account that is no account": ('account: "', 'account: "x', ["account"]),
    "an id that escapes its path": ("id: t0001", "id: ../t0001", ["id"]),
    "no external id": (', external_id: "EXTERNAL"', "", ["external_id"]),
    "an unset variable": ("region: eu-west-1", "region: ${MUSTER_E2E_UNSET}", ["MUSTER_E2E_UNSET"]),
    "a key given twice": ("region: eu-west-1", "region: eu-west-1\nregion: eu-west-2", ["region"]),
    "a broken regular expression": ("to: [lake]", 'to: [lake], keep: "a("', ["keep"]),
    "no such store": ("file://FOLDER/state", "gopher://x/state", ["state"]),
    "broken YAML": ("jobs:", "jobs: [", []),
}


class Config(Case):
    def write(self, lab, change=("region", "region")):
        tenant, text = lab.world.tenants[0], GOOD.replace(*change)
        for name, value in (("FOLDER", lab.folder), ("ACCOUNT", tenant["account"]), ("ROLE", tenant["role"]),
                            ("EXTERNAL", tenant["external_id"])):
            text = text.replace(name, value)
        return lab.path("given.yaml", text)

    def refused(self, lab, *words):
        lab.cleared()
        result = lab.run(*words)
        self.assert_status(result, 2)
        self.assertEqual(lab.daemon.control("stats")["calls"], {}, "AWS was called")
        self.assertFalse(os.path.exists(lab.lake) or os.path.exists(lab.state), "something was written")
        self.assertTrue(result.err.strip(), "nothing was said")
        return result

    def test_the_good_one_is_good(self):
        lab = self.lab(tenants=1)
        self.assert_status(lab.run("-c", self.write(lab)), 0)

    @unittest.skipIf(os.path.exists("/etc/muster/muster.yaml"), "there is a configuration of this machine's")
    def test_without_any_it_says_how_to_get_one(self):
        lab = self.lab(tenants=1)
        for command in ("run", "check", "status"):
            done = subprocess.run([MUSTER, command], env=lab.environment(), cwd=lab.folder, text=True,
                                  capture_output=True, timeout=60, check=False)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            for word in ("./muster.yaml", "/etc/muster/muster.yaml", "`muster init`", "-c"):
                self.assertIn(word, done.stderr)

    def test_init_leaves_what_is_there(self):
        lab = self.lab(tenants=1)
        for words in ([], ["-c", "other.yaml"]):
            name = words[-1] if words else "muster.yaml"
            first, second = (subprocess.run([MUSTER, "init", *words], env=lab.environment(), cwd=lab.folder, text=True,
                                            capture_output=True, timeout=60, check=False) for _ in range(2))
            self.assertEqual((first.returncode, second.returncode), (0, 2), first.stderr)
            self.assertIn(f"muster check{' -c ' + name if words else ''}`", first.stdout)
            self.assertIn(f"{name} exists already", second.stderr)

    def test_each_fault_is_one_line_with_its_place(self):
        lab = self.lab(tenants=1)
        for name, (old, new, words) in FAULTS.items():
            with self.subTest(name):
                path = self.write(lab, (old, new))
                lines = self.refused(lab, "-c", path).err.splitlines()
                placed = [line for line in lines if re.match(re.escape(path) + r":\d+:\d+: ", line)]
                self.assertEqual(len(placed), 1, lines)
                for word in words:
                    self.assertIn(word, placed[0])

    def test_all_faults_are_listed(self):
        lab = self.lab(tenants=1)
        path = self.write(lab, ("kind: metrics, to: [lake]", "kind: metrics, to: [lakes], evry: 5m, delay: never"))
        lines = self.refused(lab, "-c", path).err
        for word in ("lakes", "evry", "delay"):
            self.assertIn(word, lines)

    def test_a_file_that_is_not_there(self):
        lab = self.lab(tenants=1)
        self.assertIn("/nowhere/muster.yaml", self.refused(lab, "-c", "/nowhere/muster.yaml").err)

    def test_usage(self):
        lab = self.lab(tenants=1)
        for words in (["--nonsense"], ["--workers", "0"], ["--workers", "many"], ["--now", "yesterday-ish"],
                      ["--shard", "2/2"], ["stray"], ["--log-format", "xml"]):
            with self.subTest(words=words):
                self.refused(lab, *words)

    def test_a_report_that_has_no_place_to_go_to(self):
        lab = self.lab(tenants=1)
        for place, why in (("nosuch/r.json", "No such file"), (lab.folder, "Is a directory"), ("muster.yaml/r.json", "Not a directory")):
            with self.subTest(place=place):
                said = self.refused(lab, "--report", place).err
                self.assertTrue("--report: " in said and place in said and why in said, said)

    def test_words_that_nothing_takes(self):
        for words in (["version"], ["--version"], ["help", "run"], ["help", "config"], ["help", "athena"], ["help", "operating"]):
            with self.subTest(words=words):
                done = subprocess.run([MUSTER, *words, "extra"], text=True, capture_output=True, timeout=60, check=False)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn("unexpected argument: extra", done.stderr)

    def test_help_with_a_topic_names_its_page(self):
        done = subprocess.run([MUSTER, "help", "operating"], text=True, capture_output=True, timeout=60, check=True)
        self.assertEqual(done.stdout, "see man muster-operating\n")

    def test_names_that_match_nothing(self):
        """A glob that chooses nobody is a mistake worth a word, not a run of nothing."""
        lab = self.lab(tenants=1)
        for words in (["--tenant", "nobody*"], ["--job", "nothing"]):
            with self.subTest(words=words):
                self.refused(lab, *words)


if __name__ == "__main__":
    unittest.main()
