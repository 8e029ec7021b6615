#!/usr/bin/python3
"""Every system call fails once, in each way that it can: no file may be opened or made, the disk is full or broken,
memory or threads cannot be had, a connection is refused or breaks. The run ends in order and says why; later runs
finish the work, and lake and receiver hold the truth. Where half of the bytes are read or written, or one, once or at
every call, the run does not even notice.

MUSTER_ERRORS says at how many (call, error) points of each scenario (default 6, spread over all; "all": at each),
MUSTER_SEED which. tests/sim/killer.c injects.
"""
import errno
import json
import os
import platform
import random
import subprocess
import unittest

from bucket import S3Case, S3Lab
from expected import rfc3339
from lab import MUSTER, PATIENCE, ROOT, Case, finish
from test_alarms import AlarmsCase
from test_insights import DELAY, NOW, Insights, job, window
from test_traces import TracesCase

KILLER = os.path.join(ROOT, "build", "tests", "sim", "killer")
POINTS = os.environ.get("MUSTER_ERRORS", "6")
SEED = int(os.environ.get("MUSTER_SEED", "1"))
STEP = 300      # one more cell for each stream
AT_ONCE = 200   # so many points for one world
TRIES = 3       # of runs, after the one that was disturbed

DISK = ("ENOSPC", "EIO", "EDQUOT")
OPEN = ("EACCES", "EMFILE", "ENFILE", "ENOMEM", "EIO", "EINTR")
SHORT = ("short", "byte")  # half of the bytes; one of them
UNNOTICED = ("poll",)      # a run waits again
# Where they are for a file that is to be kept, which is written under another name at first, nothing makes up for them.
KEPT = ("write", "pwrite64", "writev", "fsync", "fdatasync")
# What the kernel may answer, by call.
ANSWERS = {
    "write": (*DISK, "EINTR", *SHORT), "pwrite64": (*DISK, *SHORT), "writev": DISK,
    "read": ("EIO", "EINTR", *SHORT), "pread64": ("EIO", *SHORT),
    "openat": OPEN, "openat2": OPEN, "mkdirat": ("ENOSPC", "EACCES", "EIO"), "unlinkat": ("EACCES", "EIO"),
    "linkat": DISK, "renameat": DISK, "renameat2": DISK, "fsync": ("EIO", "ENOSPC"), "fdatasync": ("EIO", "ENOSPC"),
    "fsetxattr": ("ENOSPC", "ENOTSUP", "EACCES"), "fgetxattr": ("EIO", "ENOTSUP"), "ftruncate": ("EIO",), "fchmod": ("EPERM",),
    "flock": ("ENOLCK", "EINTR"), "getdents64": ("EIO", "ENOMEM"), "newfstatat": ("EIO", "EACCES", "ENOMEM"),
    "faccessat": ("EIO",), "faccessat2": ("EIO",), "readlink": ("EACCES", "EIO"), "chmod": ("EPERM",), "close": ("EIO", "EINTR"),
    "socket": ("EMFILE", "ENFILE", "ENOBUFS"), "socketpair": ("EMFILE",), "connect": ("ECONNREFUSED", "ENETUNREACH", "ETIMEDOUT"),
    "setsockopt": ("ENOBUFS",), "sendto": ("ECONNRESET", "EPIPE", "ENOBUFS", *SHORT), "sendmsg": ("ECONNRESET",),
    "recvfrom": ("ECONNRESET", "ETIMEDOUT", *SHORT), "recvmsg": ("ECONNRESET",), "poll": ("ENOMEM", "EINTR"),
    "getsockopt": ("ENOBUFS",), "getsockname": ("ENOBUFS",), "getpeername": ("ENOBUFS", "ENOTCONN"), "fcntl": ("EMFILE",),
    "pipe2": ("EMFILE",), "eventfd2": ("EMFILE", "ENOMEM"), "clone3": ("EAGAIN",), "clone": ("EAGAIN", "ENOMEM"),
    "wait4": ("EINTR", "ECHILD"), "getrandom": ("EINTR", "ENOSYS"),
    "mmap": ("ENOMEM",), "mprotect": ("ENOMEM",), "mremap": ("ENOMEM",), "munmap": ("ENOMEM",),
    "prlimit64": ("EPERM",), "prctl": ("EINVAL", "EPERM"), "seccomp": ("EINVAL", "ENOMEM"),
    "landlock_create_ruleset": ("ENOSYS", "EOPNOTSUPP", "ENOMEM"), "landlock_add_rule": ("ENOMEM",), "landlock_restrict_self": ("EPERM", "E2BIG"),
}
STATUSES = (0, 1, 2, 3)
EACH = 0  # as the number of a call: at every one of that name
# What becomes of an error, or of any in a call, where it is not told in the system's own words.
NO_THREAD = (os.strerror(errno.EAGAIN),)  # for want of a stack
WORDS = {"ENOMEM": ("out of memory",), "clone": NO_THREAD, "mmap": NO_THREAD, "mprotect": NO_THREAD}


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
class Errors(unittest.TestCase):
    """What the scenarios share; each has a new_lab(), with its first run behind it, and a judge(lab, start)."""

    def disturbed(self, lab, order, workers=1):
        """A run with that one fault. Returns how it ended, and the killer's report."""
        lab.tell(lab.now + STEP)
        command = [KILLER, order, MUSTER, "run", "-c", lab.path("muster.yaml", json.dumps(lab.settings)), "--workers", str(workers),
                   "--now", rfc3339(lab.now) + "Z"]
        process = subprocess.Popen(command, env={**lab.environment(), "KILLER_REPORT": lab.path("calls")}, cwd=lab.folder,
                                   text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.said, process.command = lab.said, "run"
        try:
            result = finish(process, 100 * PATIENCE)
        except AssertionError as error:
            raise AssertionError(f"{order}: {error}") from None
        with open(lab.path("calls"), encoding="ascii") as file:
            return result, dict(line.strip().split(": ") for line in file)

    def points(self, lab):
        """[(call, how often, error)] of an undisturbed run."""
        result, report = self.disturbed(lab, "FAULTS")
        self.assert_status(result, 0)
        report.pop("calls")
        self.assertEqual(set(report) - set(ANSWERS), set(), "calls that can fail, but no word of how")
        once = [(name, n, answer) for name in sorted(report) for n in range(1, int(report[name]) + 1) for answer in ANSWERS[name]]
        return once + [(name, EACH, answer) for name in sorted(report) for answer in ANSWERS[name] if answer in SHORT]

    def assert_told(self, result, name, answer, file):
        """The end is one that is documented, and a bad one has the reason in words; so has the loss of a file."""
        what = f"{name}={answer} of {file}: exit {result.status}\n{result.err[-3000:]}"
        self.assertIn(result.status, (0,) if answer in SHORT or name in UNNOTICED else STATUSES, what)
        if result.status or (name in KEPT and file.endswith(".tmp") and answer not in ("EINTR", *SHORT)):
            words = (os.strerror(getattr(errno, answer)), *WORDS.get(name, ()), *WORDS.get(answer, ()))
            self.assertTrue(any(word in result.err for word in words), f"{what}\nwithout one of {words}")

    def hit(self, lab, name, n, answer):
        """False: no run had so many such calls."""
        number = answer if answer in SHORT else getattr(errno, answer)
        result, report = self.disturbed(lab, f"{name}:{n}={number}")
        if report["failed"] == "0":
            self.assert_status(result, 0)
            return False
        self.assert_told(result, name, answer, report.get("file", ""))
        self.orderly += result.status != 0
        for _ in range(TRIES):
            again = lab.run()
            self.restarts += 1
            if "the lease is held" in again.err:  # nobody knows whether the run that took it is gone
                lab.lease_passes()
            elif again.status == 0:
                return True
        self.assertEqual(again.status, 0, f"after {name}:{n}={answer}:\n{result.err[-2000:]}\nthen\n{again.err[-3000:]}")
        return True

    def sweep(self):
        self.restarts = self.orderly = 0
        lab, start = self.new_lab()
        points = self.points(lab)
        places = wanted()(len(points))
        met = small = 0
        for count, place in enumerate(places, 1):
            met += self.hit(lab, *points[place])
            small += points[place][2] in SHORT
            if count % AT_ONCE == 0 or count == len(places):
                lab.tell(lab.now + STEP)
                self.assert_status(lab.run(), 0)
                self.judge(lab, start)
                lab, start = self.new_lab()
        print(f"points={met} of={len(points)} failed_runs={self.orderly} restarts={self.restarts} "
              "lost=0 duplicated=0 mismatched=0", end=" ", flush=True)
        # Threads make a few calls more or less from run to run; what has few bytes cannot be cut short.
        self.assertGreater(met + small, 0.8 * len(places))

    def each(self, name, answer, least, step=1):
        """That answer at each of these calls, or at each `step`th; what is left is judged."""
        self.restarts = self.orderly = 0
        lab, start = self.new_lab()
        numbers = [n for call, n, said in self.points(lab) if (call, said) == (name, answer)]
        self.assertGreater(sum(self.hit(lab, name, n, answer) for n in numbers[::step]), least)
        lab.tell(lab.now + STEP)
        self.assert_status(lab.run(), 0)
        self.judge(lab, start)

    def first_run(self, lab):
        self.assert_status(lab.run(), 0)
        return lab


class OfMetrics(Errors, Case):
    def new_lab(self):
        lab = self.first_run(self.lab(tenants=2, services=1))
        return lab, lab.window()[0]

    def judge(self, lab, start):
        self.assert_exact(lab, start)

    def test_metrics(self):
        self.sweep()

    def test_a_wait_without_memory_is_not_noticed(self):
        self.each("poll", "ENOMEM", 3, step=3)
        self.assertEqual(self.orderly, 0)

    def test_a_file_that_is_not_on_the_disk_is_told_of(self):
        self.each("fsync", "EIO", 10)

    def test_workers_that_cannot_be_started_are_told_of(self):
        lab, start = self.new_lab()
        result, report = self.disturbed(lab, f"clone3:2={errno.EAGAIN}", workers=2)
        self.assertEqual(report["failed"], "1")
        self.assert_status(result, 0)
        self.assertRegex(result.err, "fewer workers than asked for.*workers=1.*" + os.strerror(errno.EAGAIN))
        before = self.reports(lab)
        result, _ = self.disturbed(lab, f"clone3:1={errno.EAGAIN}")
        self.assert_status(result, 3)
        self.assertIn(os.strerror(errno.EAGAIN), result.err)
        path, = self.reports(lab) - before
        with open(path, encoding="utf-8") as file:
            streams = json.load(file)["streams"]
        self.assertEqual([os.strerror(errno.EAGAIN) in stream["error"]["message"] for stream in streams], [True] * len(streams))
        self.assert_status(lab.run(), 0)
        self.judge(lab, start)

    @staticmethod
    def reports(lab):
        """The paths of those that runs kept."""
        return {os.path.join(folder, name) for folder, _, names in os.walk(os.path.join(lab.state, "reports")) for name in names}


class OfFiles(Errors, Case):
    """Tenants in files behind a pattern: while the machine is short of something, none of it is taken for a mistake in them."""

    def test_a_configuration_that_cannot_be_read_now_is_not_called_wrong(self):
        lab = self.first_run(self.lab(tenants=2, services=1))
        os.mkdir(os.path.join(lab.folder, "tenants.d"))
        lab.path("tenants.d/all.yaml", json.dumps(lab.settings.pop("tenants")))
        lab.settings["tenants_from"] = [{"file": "tenants.d/*.yaml"}]
        self.assert_status(self.disturbed(lab, "FAULTS")[0], 0)
        for answer, words in (("EMFILE", "Too many open files"), ("ENOMEM", "[Cc]annot allocate memory|out of memory")):
            said = ""
            for n in range(1, 9):
                result, report = self.disturbed(lab, f"openat:{n}={getattr(errno, answer)}")
                self.assertEqual(report["failed"], "1", n)
                self.assertIn(result.status, (0, 3), f"openat:{n}={answer}\n{result.err}")
                if result.status:
                    self.assertRegex(result.err, words)
                    said += result.err
            self.assertIn("muster.yaml: ", said)
            if answer == "EMFILE":
                self.assertIn("tenants.d/*.yaml: cannot be read", said)
                self.assertIn("tenants.d/all.yaml: cannot be read", said)


class OfMetricsInS3(Errors, S3Case):
    def new_lab(self):
        lab = self.first_run(self.lab(tenants=1, services=1))
        return lab, lab.window()[0]

    def judge(self, lab, start):
        self.assert_exact(lab, start)

    def test_metrics_in_s3(self):
        self.sweep()


class OfInsights(Errors, Insights):
    def new_lab(self):
        return self.first_run(self.lab(tenants=1, services=1)), window(NOW)[0]

    def judge(self, lab, start):
        self.assert_rows(lab, start, (lab.now - DELAY) // STEP * STEP)

    def test_insights(self):
        self.sweep()


class OfInsightsInS3(Errors, Insights):
    def new_lab(self):
        lab = S3Lab(tenants=1, services=1)
        self.addCleanup(lab.close)
        lab.settings["jobs"] = {"app": job()}
        lab.settings["sinks"].pop("prom")
        return self.first_run(lab), window(NOW)[0]

    def judge(self, lab, start):
        lab.fetch()
        self.assert_rows(lab, start, (lab.now - DELAY) // STEP * STEP)

    def test_insights_in_s3(self):
        self.sweep()


class OfAlarms(Errors, AlarmsCase):
    def new_lab(self):
        return self.first_run(self.alarm_lab(tenants=1, how={"slot": 240})), NOW

    def judge(self, lab, start):
        self.assert_alarms(lab, start)

    def test_alarms(self):
        self.sweep()


class OfAlarmsInS3(Errors, S3Case, AlarmsCase):
    def new_lab(self):
        return self.first_run(self.alarm_lab(tenants=1, how={"slot": 240})), NOW

    def judge(self, lab, start):
        lab.fetch()
        self.assert_alarms(lab, start)
        self.assert_untouched(lab)

    def test_alarms_in_s3(self):
        self.sweep()


class OfTraces(Errors, TracesCase):
    def new_lab(self):
        return self.first_run(self.trace_lab(tenants=1, how={"broken": 0, "large": 0})), NOW

    def judge(self, lab, start):
        self.assert_traces(lab, start, twice=True)

    def test_traces(self):
        self.sweep()


class OfTracesInS3(Errors, S3Case, TracesCase):
    def new_lab(self):
        return self.first_run(self.trace_lab(tenants=1, how={"broken": 0, "large": 0})), NOW

    def judge(self, lab, start):
        lab.fetch()
        self.assert_traces(lab, start, twice=True)
        self.assert_untouched(lab)

    def test_traces_in_s3(self):
        self.sweep()


if __name__ == "__main__":
    unittest.main()
