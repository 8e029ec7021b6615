#!/usr/bin/python3
"""P9, nothing leaks: secrets that go in never come out, whatever is asked for and whatever goes wrong."""
import base64
import os
import re
import subprocess
import unittest
import urllib.parse

import secrets_of
from lab import API_KEY, SOURCES, Case

PASSWORD = "hunter2-Zq8vW3xK"
BEARER = "bearer-Jd93kfLq02mZ"
DATA = {"service": "monitoring"}


def zstd(data):
    return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True, timeout=60).stdout


class Secrets(Case):
    def secrets(self, lab):
        """Beside what every test looks for: this one's own."""
        return lab.secrets().union(lab.external_ids(), *map(secrets_of.forms, (PASSWORD, BEARER, f"muster:{PASSWORD}")))

    def assert_silent(self, lab, result):
        own = lab.own | {"world.json", "muster.yaml", "token", "config", "printed", "keys.sh", "password"}
        written = [("stdout", result.out.encode()), ("stderr", result.err.encode()),
                   *secrets_of.written(lab.folder, own)]
        self.assertGreater(sum(len(data) for _, data in written), 60, "nothing was written at all")
        self.assertEqual(secrets_of.leaks(self.secrets(lab), written), [])

    def test_a_leak_would_be_found(self):
        """In a log, in a file, in a compressed one; as it is, in a URL, in a header, in a token's middle."""
        lab = self.lab(tenants=1)
        self.assert_status(self.loud(lab), 0)
        secret = lab.daemon.control("secrets")[-1]
        key = lab.world.central["secret_key"]
        disguises = (key, urllib.parse.quote(key, safe=""), base64.b64encode(f"me:{key}".encode()).decode(),
                     base64.b64encode(f"it is {key}!".encode()).decode(), secret)
        for disguise in disguises:
            for name, data in (("log", disguise.encode()), ("lake/x.zst", zstd(disguise.encode()))):
                with self.subTest(disguise=disguises.index(disguise), name=name):
                    with open(os.path.join(lab.folder, name), "wb") as file:
                        file.write(b"some text before it " + data if name == "log" else data)
                    found = secrets_of.leaks(lab.secrets(), secrets_of.written(lab.folder, lab.own))
                    os.remove(os.path.join(lab.folder, name))
                    self.assertTrue(found)

    def loud(self, lab, **how):
        return lab.run("--log-level", "debug", "--report", lab.path("report.json"), **how)

    def test_when_all_goes_well(self):
        for way in ("password", "password_file"):
            with self.subTest(way=way):
                lab = self.lab(flags=["--rw-basic", f"muster:{PASSWORD}"])
                word = "${E2E_PASSWORD}" if way == "password" else lab.path("password", PASSWORD + "\n")
                lab.settings["sinks"]["prom"]["basic_auth"] = {"username": "muster", way: word}
                result = self.loud(lab, env={"E2E_PASSWORD": PASSWORD} if way == "password" else None)
                self.assert_status(result, 0)
                self.assert_exact(lab)
                self.assert_silent(lab, result)
                self.assertLessEqual(secrets_of.forms(PASSWORD) | secrets_of.forms(API_KEY), lab.secrets(), "not looked for")

    def test_with_a_bearer_token(self):
        lab = self.lab(flags=["--rw-bearer", BEARER])
        lab.settings["sinks"]["prom"]["bearer_token_file"] = lab.path("token", BEARER + "\n")
        result = self.loud(lab)
        self.assert_status(result, 0)
        self.assert_silent(lab, result)

    def test_with_base_credentials_from_anywhere(self):
        for source in SOURCES:
            with self.subTest(source=source):
                lab = self.lab(tenants=1)
                result = self.loud(lab, env=lab.keys_from(source))
                self.assert_status(result, 0)
                self.assert_silent(lab, result)

    def test_when_base_credentials_are_refused(self):
        for source, service, kind in (("web", "sts", "denied"), ("web", "sts", "badjson"), ("container", "container", "denied"),
                                      ("container", "container", "badjson"), ("instance", "imds", "badjson"),
                                      ("instance", "imds", "truncate"), ("role", "sts", "denied"),
                                      ("role of an instance", "sts", "expired")):
            with self.subTest(source=source, kind=kind):
                lab = self.lab(tenants=1)
                lab.daemon.control("faults", [{"match": {"service": service}, "kind": kind}])
                result = self.loud(lab, env=lab.keys_from(source))
                self.assert_status(result, 3)
                self.assert_silent(lab, result)

    def test_files_with_faults_in_them(self):
        """What is wrong is said, and neither the line nor what a program printed."""
        lab = self.lab(tenants=1)
        secret = lab.world.central["secret_key"]
        keys = f'{{"Version": 1, "AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "{secret}"}}'
        script = lab.path("keys.sh", f"echo '{keys}'; echo 'cannot use {secret} today' >&2; exit 1")
        for text in (f"[profile base]\n{secret}\n", f"[profile base]\naws_secret_access_key = {secret}\n",
                     f"[profile base]\naws_access_key_id = x{'y' * 200}\naws_secret_access_key = {secret}\n",
                     f"[profile base]\n[{secret}\n", f"{secret}\n", f"[profile base]\ncredential_process = sh {script}\n",
                     f"[profile base]\ncredential_process = sh -c 'cat {script}'\n"):
            with self.subTest(text=text.replace(secret, "SECRET")):
                env = {**lab.keys_from("none"), "AWS_PROFILE": "base", "AWS_CONFIG_FILE": lab.path("config", text)}
                result = self.loud(lab, env=env)
                self.assertIn(result.status, (2, 3), result.err)
                self.assert_silent(lab, result)
                self.assertTrue(re.search("config:|profile base", result.err), result.err)

    def test_when_everything_is_refused(self):
        for match, kind in (({"service": "sts"}, "denied"), (DATA, "denied"), (DATA, "expired"), (DATA, "html"),
                            ({"service": "prometheus"}, "rw400"), ({"service": "sts"}, "wrongtypes"),
                            ({"service": "sts"}, "badjson")):
            with self.subTest(kind=kind, match=match):
                lab = self.lab(tenants=2)
                lab.settings["run"] = {"deadline": "3s"}
                lab.daemon.control("faults", [{"match": match, "kind": kind}])
                self.assert_silent(lab, self.loud(lab))

    def test_a_wrong_password_is_not_repeated(self):
        lab = self.lab(tenants=1, flags=["--rw-basic", "muster:another"])
        lab.settings["run"] = {"deadline": "3s"}
        lab.settings["sinks"]["prom"]["basic_auth"] = {"username": "muster", "password": PASSWORD}
        result = self.loud(lab)
        self.assertNotEqual(result.status, 0)
        self.assert_silent(lab, result)

    def test_a_fault_in_the_configuration_does_not_quote_a_secret(self):
        lab = self.lab(tenants=1)
        lab.settings["sinks"]["prom"]["basic_auth"] = {"username": "muster", "pasword": PASSWORD}
        result = lab.run()
        self.assert_status(result, 2)
        self.assertNotIn(PASSWORD, result.err)


if __name__ == "__main__":
    unittest.main()
