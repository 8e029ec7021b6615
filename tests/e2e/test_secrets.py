#!/usr/bin/python3
"""P9, nothing leaks: secrets that go in never come out, whatever is asked for and whatever goes wrong."""
import base64
import os
import unittest

from lab import Case

PASSWORD = "hunter2-Zq8vW3xK"
BEARER = "bearer-Jd93kfLq02mZ"
DATA = {"service": "monitoring"}


class Secrets(Case):
    def secrets(self, lab):
        """Everything that must not be seen: as it is, and as it would look in a header."""
        central = lab.world.central
        plain = [central["secret_key"], PASSWORD, BEARER, base64.b64encode(f"muster:{PASSWORD}".encode()).decode()]
        plain += [tenant["external_id"] for tenant in lab.world.tenants]
        return [word.encode() for word in plain] + self.session_marks(lab)

    def session_marks(self, lab):
        """How every session's token begins, whose it is: the stand-in's tokens carry the role's name in base64."""
        return [base64.b64encode(f'{{"role":"{tenant["role"]}"'.encode())[:40] for tenant in lab.world.tenants]

    def everything_written(self, lab, result):
        yield "stdout", result.out.encode()
        yield "stderr", result.err.encode()
        for place, _, files in os.walk(lab.folder):
            for name in files:
                path = os.path.join(place, name)
                if os.path.relpath(path, lab.folder) in ("world.json", "muster.yaml", "aws.log", "token"):
                    continue
                with open(path, "rb") as file:
                    yield path, file.read()

    def assert_silent(self, lab, result):
        written = list(self.everything_written(lab, result))
        self.assertGreater(sum(len(data) for _, data in written), 100, "nothing was written at all")
        for place, data in written:
            for secret in self.secrets(lab):
                self.assertNotIn(secret, data, place)

    def loud(self, lab, **how):
        return lab.run("--log-level", "debug", "--report", lab.path("report.json"), **how)

    def test_when_all_goes_well(self):
        lab = self.lab(flags=["--rw-basic", f"muster:{PASSWORD}"])
        lab.settings["sinks"]["prom"]["basic_auth"] = {"username": "muster", "password": "${E2E_PASSWORD}"}
        result = self.loud(lab, env={"E2E_PASSWORD": PASSWORD})
        self.assert_status(result, 0)
        self.assert_exact(lab)
        self.assert_silent(lab, result)

    def test_with_a_bearer_token(self):
        lab = self.lab(flags=["--rw-bearer", BEARER])
        lab.settings["sinks"]["prom"]["bearer_token_file"] = lab.path("token", BEARER + "\n")
        result = self.loud(lab)
        self.assert_status(result, 0)
        self.assert_silent(lab, result)

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
