#!/usr/bin/python3
"""P9: whoever got hold of the program would find it locked in: a library that is preloaded tries what it would try, in a
whole run, and the run must not notice. The fences are the kernel's; where it has no Landlock nothing is expected of files, and all
else is as everywhere."""
import ctypes
import errno
import json
import os
import tempfile
import unittest

from lab import LANDLOCK, MUSTER, ROOT, Case

PRELOAD = os.path.join(ROOT, "build", "tests", "e2e", "breakout.so")
FILES = dict.fromkeys(("read", "write", "list"), errno.EACCES) if LANDLOCK else {}
PROGRAM = {"program": errno.EPERM}
CALLS = {"namespace": errno.EPERM, "keys": errno.EPERM, "listen": errno.EPERM, "trace": errno.EPERM}
LIMITS = {"limit": errno.EPERM, "limits": 0, "locked": 0}
KEYCTL = 250     # on x86-64
MEMORY = {"core": 0, "dumpable": 0}


def without_fence():
    """What it is like where these tests run: containers have fences of their own."""
    libc = ctypes.CDLL(None, use_errno=True)
    keys = 0 if os.uname().machine != "x86_64" or libc.syscall(KEYCTL, 0, -3, 0) >= 0 else ctypes.get_errno()
    with open("/proc/self/status", encoding="ascii") as file:
        (privileges,) = (int(line.split()[1]) for line in file if line.startswith("NoNewPrivs:"))
    return {"keys": keys, "no_new_privs": privileges}


@unittest.skipUnless(os.access(PRELOAD, os.R_OK), f"{PRELOAD} is not built")
@unittest.skipIf("asan" in MUSTER or "tsan" in MUSTER, "sanitizers want to be loaded first")
class Sandbox(Case):
    def tried(self, lab, *words, env=None, status=0, **how):
        """What came of each trick."""
        log, outside = lab.path("breakout.log"), lab.path("outside")
        # Were they not there, the folder above would be the one that is opened: theirs to be made in.
        for folder in (lab.state, lab.lake, outside):
            os.makedirs(folder, exist_ok=True)
        lab.path("outside/secret", "of another program")
        if os.path.exists(outside + "/planted"):
            os.remove(outside + "/planted")
        result = lab.run("--log-level", "debug", *words, **how,
                         env={"LD_PRELOAD": PRELOAD, "BREAKOUT_LOG": log, "BREAKOUT_OUTSIDE": outside, **(env or {})})
        self.assert_status(result, status)
        with open(log, encoding="ascii") as file:
            found = {name: int(value) for name, value in map(str.split, file)}
        self.assertEqual(os.path.exists(outside + "/planted"), found["write"] == 0)
        return found, result

    def assert_tried(self, found, *expected):
        want = {"names": 0, **MEMORY}
        for more in expected:
            want.update(more)
        self.assertEqual({name: found[name] for name in want}, want)

    def test_a_run_is_locked_in_and_does_its_work(self):
        lab = self.lab()
        lab.settings["run"] = {"status_page": f"file://{lab.path('web')}/status.html"}
        os.mkdir(lab.path("web"))
        found, result = self.tried(lab, "--report", lab.path("web/report.json"))
        self.assert_tried(found, FILES, PROGRAM, CALLS, LIMITS, {"no_new_privs": 1})
        self.assertTrue(result.errors("sandbox", 'files="Landlock ABI' if LANDLOCK else "has no Landlock", "calls=filtered",
                                      "programs=none"), result.err)
        self.assertEqual(not result.errors("sandbox not complete"), LANDLOCK, result.err)
        self.assert_exact(lab)
        self.assertFalse(result.errors("not written"), result.err)
        self.assertTrue(os.path.exists(lab.path("web/status.html")) and os.path.exists(lab.path("web/report.json")))

    def test_off_is_off(self):
        """And that the tricks work where nothing is in their way. `trace` ends here: who is traced stops at signals."""
        lab = self.lab(tenants=1)
        lab.settings["run"] = {"sandbox": "off"}
        found, result = self.tried(lab)
        self.assert_tried(found, without_fence(), {"namespace": 0 if os.geteuid() == 0 else errno.EPERM},
                          dict.fromkeys(("read", "write", "list", "program", "listen", "trace", "limit"), 0))
        self.assertFalse(result.errors("sandbox not complete"), result.err)
        self.assertTrue(result.errors("sandbox", "run.sandbox=off"), result.err)

    def test_a_program_that_brings_credentials_may_be_started(self):
        """And needs files that nobody here knows; all else stays shut."""
        lab = self.lab(tenants=1)
        found, result = self.tried(lab, env=lab.keys_from("process"))
        self.assert_tried(found, CALLS, {"no_new_privs": 1, "program": 0, "read": 0, "limit": 0})
        self.assertTrue(result.errors("sandbox", "credential_process"), result.err)
        self.assertFalse(result.errors("sandbox not complete"), result.err)
        self.assert_exact(lab)

    def test_a_token_is_read_from_its_folder(self):
        """It lies in the folder of the lab, which is so opened for reading: others replace such files."""
        lab = self.lab(tenants=1)
        found, _ = self.tried(lab, env=lab.keys_from("web"))
        self.assert_tried(found, {"read": 0, "write": errno.EACCES if LANDLOCK else 0}, PROGRAM, CALLS)

    def test_a_token_may_be_a_link(self):
        """As Kubernetes mounts them: what is at its end lies in a folder that nobody named."""
        lab = self.lab(tenants=1)
        keys = lab.keys_from("web")
        with tempfile.TemporaryDirectory(prefix="muster-token.", dir="/var/tmp") as elsewhere:
            os.mkdir(lab.path("mount"))
            for name, text in (("token", lab.world.central_token("web")), ("bearer", "planted-bearer")):
                os.mkdir(os.path.join(elsewhere, name))
                with open(os.path.join(elsewhere, name, "data"), "w", encoding="ascii") as file:
                    file.write(text)
                os.symlink(os.path.join(elsewhere, name, "data"), lab.path(f"mount/{name}"))
            lab.settings["sinks"]["prom"]["bearer_token_file"] = lab.path("mount/bearer")
            found, _ = self.tried(lab, env={**keys, "AWS_WEB_IDENTITY_TOKEN_FILE": lab.path("mount/token")})
        self.assert_tried(found, PROGRAM, CALLS)

    def test_a_profile_that_is_not_used_opens_nothing(self):
        lab = self.lab(tenants=1)
        config = lab.path("config", "[profile other]\ncredential_process = cat /etc/hostname\n")
        found, _ = self.tried(lab, env={"AWS_CONFIG_FILE": config})
        self.assert_tried(found, FILES, PROGRAM, CALLS)

    def test_other_commands_are_locked_in_too(self):
        lab = self.lab(tenants=1)
        for command, words, status in (("check", (), 0), ("backfill", ("--from", "now-3h", "--to", "now-2h"), 0)):
            with self.subTest(command=command):
                found, _ = self.tried(lab, *words, command=command, status=status)
                self.assert_tried(found, FILES, PROGRAM, CALLS, LIMITS)

    def test_what_the_kernel_lacks_is_said(self):
        """Once in a run, at the usual level, and by check; and what there is holds all the same."""
        free = dict.fromkeys(("read", "write", "list"), 0)
        open_calls = {"keys": without_fence()["keys"], "listen": 0, "limit": 0}
        for lacks, words, expected in (
                ("landlock", ("files are not confined: ", "Landlock"), (free, PROGRAM, CALLS, LIMITS)),
                ("seccomp", ("calls are not filtered: ", "seccomp"), (open_calls, FILES, {"limits": 0, "locked": 0})),
                ("landlock seccomp", ("files are not confined", "calls not filtered: "), (free, open_calls, {"program": 0}))):
            if lacks == "seccomp" and not LANDLOCK:
                continue
            with self.subTest(lacks=lacks):
                lab, env = self.lab(tenants=1), {"BREAKOUT_WITHOUT": lacks}
                found, result = self.tried(lab, env=env)
                self.assert_tried(found, *expected, {"no_new_privs": 1})
                (line,) = result.errors("sandbox not complete")
                for word in ("level=info", *words):
                    self.assertIn(word, line)
                self.assert_exact(lab)
                _, result = self.tried(lab, "--json", command="check", env=env)
                (found,) = [one for one in json.loads(result.out)["findings"] if one["what"] == "sandbox"]
                self.assertEqual(found["level"], "warn")
                for word in words:
                    self.assertIn(word, found["words"])


if __name__ == "__main__":
    unittest.main()
