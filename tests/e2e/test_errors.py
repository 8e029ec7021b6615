#!/usr/bin/python3
"""Every system call fails once, in each way that it can: no file may be opened or made, the disk is full or broken,
memory or threads cannot be had, a connection is refused or breaks, half of the bytes are read or written. The run
ends in order and says why; later runs finish the work, and lake and receiver hold the truth.

MUSTER_ERRORS says at how many (call, error) points (default 12, spread over all; "all": at each), MUSTER_SEED which.
tests/sim/killer.c injects.
"""
import errno
import json
import os
import platform
import random
import subprocess
import unittest

from expected import rfc3339
from lab import MUSTER, PATIENCE, ROOT, finish
from test_insights import DELAY, NOW, Insights, job, window

KILLER = os.path.join(ROOT, "build", "tests", "sim", "killer")
POINTS = os.environ.get("MUSTER_ERRORS", "12")
SEED = int(os.environ.get("MUSTER_SEED", "1"))
STEP = 300      # one more cell for each stream
AT_ONCE = 200   # so many points for one world
TRIES = 3       # of runs, after the one that was disturbed

DISK = ("ENOSPC", "EIO", "EDQUOT")
OPEN = ("EACCES", "EMFILE", "ENFILE", "ENOMEM", "EIO", "EINTR")
# What the kernel may answer, by call. "short": half of the bytes.
ANSWERS = {
    "write": (*DISK, "EINTR", "short"), "pwrite64": (*DISK, "short"), "writev": DISK,
    "read": ("EIO", "EINTR", "short"), "pread64": ("EIO", "short"),
    "openat": OPEN, "openat2": OPEN, "mkdirat": ("ENOSPC", "EACCES", "EIO"), "unlinkat": ("EACCES", "EIO"),
    "linkat": DISK, "renameat": DISK, "renameat2": DISK, "fsync": ("EIO", "ENOSPC"), "fdatasync": ("EIO", "ENOSPC"),
    "fsetxattr": ("ENOSPC", "ENOTSUP", "EACCES"), "fgetxattr": ("EIO", "ENOTSUP"), "ftruncate": ("EIO",), "fchmod": ("EPERM",),
    "flock": ("ENOLCK", "EINTR"), "getdents64": ("EIO", "ENOMEM"), "newfstatat": ("EIO", "EACCES", "ENOMEM"),
    "faccessat": ("EIO",), "close": ("EIO", "EINTR"),
    "socket": ("EMFILE", "ENFILE", "ENOBUFS"), "socketpair": ("EMFILE",), "connect": ("ECONNREFUSED", "ENETUNREACH", "ETIMEDOUT"),
    "setsockopt": ("ENOBUFS",), "sendto": ("ECONNRESET", "EPIPE", "ENOBUFS", "short"), "sendmsg": ("ECONNRESET",),
    "recvfrom": ("ECONNRESET", "ETIMEDOUT", "short"), "recvmsg": ("ECONNRESET",), "poll": ("ENOMEM", "EINTR"),
    "pipe2": ("EMFILE",), "eventfd2": ("EMFILE", "ENOMEM"), "clone3": ("EAGAIN",), "mmap": ("ENOMEM",),
}
STATUSES = (0, 1, 2, 3)
# Whose errors are told in the system's own words; of the others libraries make theirs.
FILES = ("pwrite64", "openat2", "mkdirat", "unlinkat", "linkat", "renameat", "fsync", "fsetxattr", "ftruncate")


def wanted():
    """The places of a list of so many points."""
    def chosen(n):
        if POINTS == "all":
            return range(n)
        return sorted(random.Random(SEED).sample(range(n), min(int(POINTS), n)))
    return chosen


@unittest.skipUnless(os.access(KILLER, os.X_OK), f"{KILLER} is not built")
@unittest.skipUnless(platform.machine() == "x86_64", "the killer knows the registers of x86-64 only")
@unittest.skipIf("asan" in MUSTER or "tsan" in MUSTER, "sanitizers end where memory does")
class Errors(Insights):
    def disturbed(self, lab, order):
        """A run with that one fault. Returns how it ended, and the killer's report."""
        lab.tell(lab.now + STEP)
        command = [KILLER, order, MUSTER, "run", "-c", lab.path("muster.yaml", json.dumps(lab.settings)), "--workers", "1",
                   "--now", rfc3339(lab.now) + "Z"]
        process = subprocess.Popen(command, env={**lab.environment(), "KILLER_REPORT": lab.path("calls")}, cwd=lab.folder,
                                   text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        result = finish(process, 100 * PATIENCE)
        with open(lab.path("calls"), encoding="ascii") as file:
            return result, dict(line.strip().split(": ") for line in file)

    def points(self, lab):
        """[(call, how often, error)] of an undisturbed run."""
        result, report = self.disturbed(lab, "FAULTS")
        self.assert_status(result, 0)
        report.pop("calls")
        self.assertEqual(set(report) - set(ANSWERS), set(), "calls that can fail, but no word of how")
        return [(name, n, answer) for name in sorted(report) for n in range(1, int(report[name]) + 1) for answer in ANSWERS[name]]

    def assert_told(self, result, name, answer):
        """The end is one that is documented, and a bad one has the reason in words."""
        what = f"{name}={answer}: exit {result.status}\n{result.err[-3000:]}"
        self.assertIn(result.status, STATUSES, what)
        if result.status and name in FILES and answer != "short":
            self.assertIn(os.strerror(getattr(errno, answer)), result.err, what)
        elif result.status:
            plain = [line for line in result.err.splitlines() if line.strip() and " level=" not in line]
            self.assertTrue(plain or result.errors("level=error"), what)

    def hit(self, lab, name, n, answer):
        """False: no run had so many such calls."""
        number = "short" if answer == "short" else getattr(errno, answer)
        result, report = self.disturbed(lab, f"{name}:{n}={number}")
        if report["failed"] == "0":
            self.assert_status(result, 0)
            return False
        self.assert_told(result, name, answer)
        self.orderly += result.status != 0
        for _ in range(TRIES):
            again = lab.run()
            self.restarts += 1
            if again.status == 0:
                return True
        self.assertEqual(again.status, 0, f"after {name}:{n}={answer}:\n{result.err[-2000:]}\nthen\n{again.err[-3000:]}")
        return True

    def sweep(self, new_lab, check):
        self.restarts = self.orderly = 0
        lab, start = new_lab()
        points = self.points(lab)
        places = wanted()(len(points))
        met = 0
        for count, place in enumerate(places, 1):
            met += self.hit(lab, *points[place])
            if count % AT_ONCE == 0 or count == len(places):
                lab.tell(lab.now + STEP)
                self.assert_status(lab.run(), 0)
                check(lab, start)
                lab, start = new_lab()
        print(f"points={met} of={len(points)} failed_runs={self.orderly} restarts={self.restarts} "
              "lost=0 duplicated=0 mismatched=0", end=" ", flush=True)
        # Threads make a few calls more or less from run to run.
        self.assertGreater(met, 0.8 * len(places))

    def test_metrics(self):
        def new_lab():
            lab = super(Insights, self).lab(tenants=2, services=1)
            self.assert_status(lab.run(), 0)
            return lab, lab.window()[0]
        self.sweep(new_lab, self.assert_exact)

    def test_insights(self):
        def new_lab():
            lab = self.lab(tenants=1, services=1)
            lab.settings["jobs"] = {"app": job()}
            self.assert_status(lab.run(), 0)
            return lab, window(NOW)[0]
        self.sweep(new_lab, lambda lab, start: self.assert_rows(lab, start, (lab.now - DELAY) // STEP * STEP))


if __name__ == "__main__":
    unittest.main()
