#!/usr/bin/python3
"""Whole runs with base credentials from every source there is; and what is said when there are none."""
import json
import os
import re
import subprocess
import unittest

from lab import MUSTER, SOURCES, Case


class Sources(Case):
    def test_each_does_a_whole_run(self):
        for source in SOURCES:
            with self.subTest(source=source):
                lab = self.lab(tenants=2)
                env = lab.keys_from(source)
                result = lab.run("--log-level", "debug", env=env)
                self.assert_status(result, 0)
                self.assert_exact(lab)
                self.assert_no_violation(lab)
                self.assertTrue(result.errors("base credentials", "from="), result.err)

    def test_keys_that_end_are_renewed(self):
        """Sessions of 2 s, and a run that takes longer: nothing fails for want of keys."""
        for source, call in (("web", "sts AssumeRoleWithWebIdentity"), ("instance", "imds GetCredentials")):
            with self.subTest(source=source):
                lab = self.lab(tenants=2)
                lab.daemon.control("ttl", {"seconds": 2, "announced": True})
                lab.daemon.control("faults", [{"match": {"service": "monitoring"}, "kind": "hang", "ms": 900}])
                lab.settings["run"] = {"workers": 1}
                result = lab.run(env=lab.keys_from(source))
                self.assert_status(result, 0)
                self.assert_exact(lab)
                self.assert_no_violation(lab)
                self.assertGreater(self.calls(lab, call), 1)

    def test_an_unannounced_end_is_noticed(self):
        """The tenants come one after the other, each takes 0.9 s at least: the last role is assumed after the end."""
        lab = self.lab(tenants=4)
        lab.daemon.control("ttl", {"seconds": 2, "announced": False})
        lab.daemon.control("faults", [{"match": {"service": "monitoring"}, "kind": "hang", "ms": 900}])
        lab.settings["run"] = {"workers": 1}
        result = lab.run(env=lab.keys_from("container"))
        self.assert_status(result, 0)
        self.assert_exact(lab)
        self.assertGreater(self.calls(lab, "container GetCredentials"), 1)

    def calls(self, lab, name):
        service, operation = name.split()
        return sum(lab.daemon.control("stats")["calls"][service][operation].values())

    def test_trouble_that_passes(self):
        for source, service in (("instance", "imds"), ("container", "container"), ("web", "sts")):
            with self.subTest(source=source):
                lab = self.lab(tenants=1)
                lab.daemon.control("faults", [{"match": {"service": service}, "kind": "http503", "nth": 1},
                                              {"match": {"service": service}, "kind": "reset-before", "nth": 2}])
                result = lab.run(env=lab.keys_from(source))
                self.assert_status(result, 0)
                self.assert_exact(lab)

    def test_metadata_never_goes_through_a_proxy(self):
        lab = self.lab(tenants=1)
        nowhere = {name: "http://127.0.0.1:9" for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY")}
        for source in ("instance", "container"):
            with self.subTest(source=source):
                result = lab.run("--dry-run", env={**lab.keys_from(source), **nowhere})
                self.assert_status(result, 0)


class NoCredentials(Case):
    def assert_central(self, result, *words):
        self.assert_status(result, 3)
        lines = result.errors("cannot start", "base credentials", *words)
        self.assertEqual(len(lines), 1, result.err)

    def test_every_source_says_why_not(self):
        lab = self.lab(tenants=1)
        env = {**lab.keys_from("none"), "AWS_EC2_METADATA_DISABLED": "true"}
        result = lab.run(env=env)
        self.assert_central(result, "AWS_ACCESS_KEY_ID is not set", "no profile default in",
                            "AWS_WEB_IDENTITY_TOKEN_FILE is not set", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                            "AWS_EC2_METADATA_DISABLED is true")
        self.assertFalse(os.path.exists(lab.state))

    def test_a_source_that_refuses(self):
        lab = self.lab(tenants=1)
        self.assert_central(lab.run(env={**lab.keys_from("web"), "AWS_WEB_IDENTITY_TOKEN_FILE":
                                         lab.path("token", "another")}), "InvalidIdentityToken")
        self.assert_central(lab.run(env={**lab.keys_from("container"), "AWS_CONTAINER_AUTHORIZATION_TOKEN": "x"}),
                            "AccessDeniedException")
        self.assert_central(lab.run(env={**lab.keys_from("container"), "AWS_CONTAINER_CREDENTIALS_FULL_URI":
                                         "http://example.com/keys"}), "host example.com is refused")
        self.assert_central(lab.run(env={**lab.keys_from("profile"), "AWS_PROFILE": "nobody"}), "no profile nobody in")

    def test_a_program_that_fails_is_quoted_whatever_our_parent_ignores(self):
        lab = self.lab(tenants=1)
        env = lab.keys_from("process")
        with open(env["AWS_CONFIG_FILE"], "w", encoding="utf-8") as file:
            file.write("[profile base]\ncredential_process = sh -c 'echo not today >&2; exit 4'\n")
        result = subprocess.run(["env", "--ignore-signal=CHLD", MUSTER, "run", "-c", lab.path("muster.yaml", json.dumps(lab.settings))],
                                env={**lab.environment(), **env}, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertIn("exit status 4: not today", result.stderr)

    def test_no_metadata_service(self):
        """Asked a few times, for a second each: then it is said, and it is over."""
        lab = self.lab(tenants=1)
        lab.daemon.control("faults", [{"match": {"service": "imds"}, "kind": "hang", "ms": 20000, "drop": True}])
        self.assert_central(lab.run(env=lab.keys_from("instance"), timeout=40), "EC2 instance metadata: no answer")

    def test_a_file_that_cannot_be_read(self):
        lab = self.lab(tenants=1)
        file = lab.path("config", "[profile base]\naws_access_key_id AKIDEXAMPLE\n")
        result = lab.run(env={**lab.keys_from("none"), "AWS_CONFIG_FILE": file})
        self.assert_status(result, 2)
        self.assertIn(f"{file}:2: expected key = value", result.err)
        self.assertNotIn("AKID", result.err)

    def test_a_program_that_fails(self):
        lab = self.lab(tenants=1)
        script = lab.path("keys.sh", "echo 'log in first' >&2; exit 7")
        file = lab.path("config", f"[default]\ncredential_process = sh {script}\n")
        result = lab.run(env={**lab.keys_from("none"), "AWS_CONFIG_FILE": file})
        self.assert_central(result, "profile default", "exit status 7: log in first")


class Settings(Case):
    def test_the_profile_gives_region_and_endpoints(self):
        """With one service elsewhere: so the section counts, and the rest of the profile for the others."""
        lab = self.lab(tenants=1)
        del lab.settings["region"]
        central = lab.world.central
        file = lab.path("config", "[profile base]\n"
                        f"region = {lab.world.region}\nservices = here\nendpoint_url = http://127.0.0.1:9\n"
                        f"aws_access_key_id = {central['access_key']}\n"
                        f"aws_secret_access_key = {central['secret_key']}\n"
                        f"[services here]\nsts =\n  endpoint_url = {lab.daemon.url}\n"
                        f"cloudwatch =\n  endpoint_url = {lab.daemon.url}/\n")
        env = {**lab.keys_from("none"), "AWS_CONFIG_FILE": file, "AWS_PROFILE": "base", "AWS_REGION": "",
               "AWS_ENDPOINT_URL": ""}
        result = lab.run(env=env)
        self.assert_status(result, 0)
        self.assert_exact(lab)
        self.assert_no_violation(lab)
        # The environment goes before.
        result = lab.run(env={**env, "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9"})
        self.assert_status(result, 3)
        self.assertTrue(re.search(r"base credentials.*127\.0\.0\.1", result.err), result.err)


if __name__ == "__main__":
    unittest.main()
