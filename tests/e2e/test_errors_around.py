#!/usr/bin/python3
"""Every system call fails once, as in test_errors.py, in runs whose keys come from each source that there is, and in runs
that write to what test_errors.py leaves out: stdout, files for promtool, and Alertmanager.
"""
import unittest

import arrivals
from expected import Expected, due_end, windows
from lab import NOW, Case, Lab
from test_alarms import AlarmsCase
from test_errors import STEP, Errors


class KeysLab(Lab):
    """Its runs have their own keys from that source."""

    def __init__(self, source, *arguments, **named):
        super().__init__(*arguments, **named)
        self.source = source

    def environment(self):
        return {**super().environment(), **self.keys_from(self.source)}


class OfKeys(Errors, Case):
    def new_lab(self):
        lab = KeysLab(self.source, tenants=1, services=1)
        self.addCleanup(lab.close)
        return self.first_run(lab), lab.window()[0]

    def judge(self, lab, start):
        self.assert_exact(lab, start)

    def sweep_of(self, source):
        self.source = source
        self.sweep()

    def test_a_profile(self):
        self.sweep_of("profile")

    def test_a_role_of_a_profile(self):
        self.sweep_of("role")

    def test_a_process(self):
        self.sweep_of("process")

    def test_a_process_that_cannot_be_read_is_not_said_to_print_nonsense(self):
        self.source = "process"
        self.each("read", "EIO", 10)

    def test_a_web_identity(self):
        self.sweep_of("web")

    def test_a_container(self):
        self.sweep_of("container")

    def test_an_instance(self):
        self.sweep_of("instance")


class OfStdout(Errors, Case):
    def new_lab(self):
        lab = self.lab(tenants=2, services=1)
        lab.settings["sinks"]["screen"] = {"kind": "stdout"}
        lab.settings["jobs"]["ecs"]["to"] = ["screen", "lake"]
        start = lab.window()[0]
        return self.first_run(lab), start

    def judge(self, lab, start):
        """All lines of the lake, and no others; the last of a run may be cut, for its cell is printed again."""
        self.assert_lake(lab, windows(lab.world, start, due_end(lab.now)))
        rows = {line for key in arrivals.lake_keys(lab.lake) for line in arrivals.unpack(f"{lab.lake}/{key}").splitlines()}
        printed = set()
        for lines in (said.split(b"\n") for where, said in lab.said if where == "run's stdout"):
            cut = lines.pop()
            self.assertTrue(any(row.startswith(cut) for row in rows), cut)
            printed.update(lines)
        self.assertEqual(printed, rows)

    def test_stdout(self):
        self.sweep()


class OfOpenMetrics(Errors, Case):
    def new_lab(self):
        lab = self.lab(tenants=1, services=1)
        lab.settings["sinks"]["old"] = {"kind": "openmetrics", "url": "file://" + lab.path("old")}
        lab.settings["sinks"]["prom"]["max_age"] = "1m"
        lab.settings["jobs"]["ecs"]["to"] = ["old", "prom", "lake"]
        start = lab.window()[0]
        return self.first_run(lab), start

    def judge(self, lab, start):
        """To the receiver all comes too late."""
        spans = windows(lab.world, start, due_end(lab.now))
        self.assert_lake(lab, spans)
        self.assert_same(Expected(lab.world).samples(spans), arrivals.open_metrics(lab.path("old")), "the files")
        self.assertEqual(arrivals.stand_in(lab.daemon), {})

    def test_openmetrics(self):
        self.sweep()


class OfAlertmanager(Errors, AlarmsCase):
    def new_lab(self):
        lab = self.alarm_lab(tenants=1, how={"slot": 240}, to=("prom", "lake", "oncall"))
        lab.settings["sinks"]["oncall"] = {"kind": "alertmanager", "url": f"{lab.daemon.url}/workspaces/ws-1/alertmanager",
                                           "ends_after": "1h", "sigv4": {"service": "aps"}}
        return self.first_run(lab), NOW

    def judge(self, lab, start):
        """Alertmanager has the newest state after the next run, whatever became of those before."""
        self.assert_alarms(lab, start)
        before = len(lab.daemon.control("alerts"))
        lab.tell(lab.now + STEP)
        self.assert_status(lab.run(), 0)
        self.assert_sent(lab, {(alert["labels"]["tenant"], alert["labels"]["alertname"]): alert
                               for alert in lab.daemon.control("alerts")[before:]})

    def test_alertmanager(self):
        self.sweep()


if __name__ == "__main__":
    unittest.main()
