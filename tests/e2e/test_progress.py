#!/usr/bin/python3
"""How far a run has come, as a person in front of a terminal sees it, and as a log keeps it."""
import re
import signal
import unittest

from expected import rfc3339
from lab import NOW, Case
from screen import Terminal

HOUR = 3600
DATA = {"service": "monitoring", "operation": "GetMetricData"}
LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z (INFO |WARN |ERROR) \S.*")


class Progress(Case):
    def slow_lab(self, ms=300, **more):
        lab = self.lab(**more)
        lab.settings["run"] = {"tenant_workers": 1}
        lab.daemon.control("faults", [{"match": DATA, "kind": "hang", "ms": ms}])
        return lab

    def terminal(self, lab, *words, **how):
        terminal = Terminal(lab, *words, **how)
        self.addCleanup(terminal.close)
        return terminal

    def backfill(self, lab, hours, *words, **how):
        window = ("--from", rfc3339(NOW - (hours + 1) * HOUR) + "Z", "--to", rfc3339(NOW - HOUR) + "Z")
        return self.terminal(lab, *window, *words, command="backfill", **how)

    def assert_only_log(self, lines):
        self.assertEqual(lines[-1], "", lines)
        for line in lines[:-1]:
            self.assertRegex(line, LOG_LINE)

    def test_a_backfill_on_a_terminal(self):
        lab = self.slow_lab(tenants=1)
        terminal = self.backfill(lab, 6)
        self.assertEqual(terminal.finish(), 0, terminal.seen)
        shown = [line for view in terminal.views for line in view if re.match(r"\d+/72 cells", line)]
        self.assertTrue(any(re.fullmatch(r"\d+/72 cells, about \d+[ms].* left, \d+ samples \(\d+/s\), "
                                         r"\d+ rows \(\d+/s\), \d+s so far", line) for line in shown), shown)
        done = [int(line.split("/")[0]) for line in shown]
        self.assertEqual(done, sorted(done))
        self.assert_only_log(terminal.screen.lines())
        self.assertTrue(any("backfill finished" in line for line in terminal.screen.lines()))
        self.assertTrue(terminal.is_sane())

    def test_a_run_says_what_is_due_and_who_is_in_trouble(self):
        lab = self.slow_lab(tenants=3, ms=2500)
        denied, throttled, slow = lab.world.tenants
        lab.daemon.control("faults", [
            {"match": {"service": "sts", "operation": "AssumeRole", "account": denied["account"]}, "kind": "denied"},
            {"match": {**DATA, "account": throttled["account"]}, "kind": "throttle"},
            {"match": {**DATA, "account": slow["account"]}, "kind": "hang", "ms": 2500}])
        terminal = self.terminal(lab)
        terminal.wait_for(f"{denied['id']}: AccessDenied")
        terminal.wait_for(r"^\d+/~?\d+ cells")
        terminal.wait_for(r"/3 tenants, [12] in trouble, failed streams: 1")
        terminal.wait_for(f"{throttled['id']}: throttled")
        terminal.process.send_signal(signal.SIGTERM)
        self.assertEqual(terminal.finish(), 143)

    def test_it_fits_the_terminal_as_it_is_now(self):
        lab = self.slow_lab(tenants=1)
        terminal = self.backfill(lab, 6, "--log-level", "error", "--progress", "always", size=(110, 5))
        terminal.wait_for("so far")
        terminal.resize(30, 5)
        terminal.wait_for(r"^\d+/72 cells$|^\d+/72 cells, about \S+ left$")
        self.assertEqual(terminal.finish(), 0, terminal.seen)
        self.assertEqual(terminal.screen.lines(), [""])

    def test_interrupted_it_leaves_the_terminal_as_it_was(self):
        lab = self.slow_lab(tenants=1)
        terminal = self.backfill(lab, 6)
        terminal.wait_for("streams at work")
        terminal.process.send_signal(signal.SIGTERM)
        self.assertEqual(terminal.finish(), 143)
        self.assert_only_log(terminal.screen.lines())
        self.assertTrue(terminal.is_sane())

    def test_killed_it_leaves_whole_lines(self):
        lab = self.slow_lab(tenants=1)
        terminal = self.backfill(lab, 6)
        terminal.wait_for("streams at work")
        terminal.process.send_signal(signal.SIGKILL)
        self.assertEqual(terminal.finish(), -signal.SIGKILL)
        lines = terminal.screen.lines()
        self.assertRegex(lines[-3], r"^\d+/72 cells, .* so far$")
        self.assertRegex(lines[-2], r"^0/1 tenants, .* streams at work$")
        self.assert_only_log(lines[:-3] + lines[-1:])
        self.assertTrue(terminal.is_sane())

    def test_where_nothing_can_be_redrawn_nothing_is(self):
        lab = self.slow_lab(tenants=1, ms=700)
        for hours, words, env in ((2, (), {"TERM": "dumb"}), (3, (), {"TERM": ""}), (4, ("--progress", "never"), {}),
                                  (5, ("--log-level", "warn"), {})):
            with self.subTest(words=words, env=env):
                terminal = self.backfill(lab, hours, *words, env=env)
                self.assertEqual(terminal.finish(), 0, terminal.seen)
                self.assertNotIn(b"\x1b", terminal.seen)
                self.assertNotIn(b"cells,", terminal.seen)

    def test_a_sink_that_writes_there_has_the_terminal_for_itself(self):
        lab = self.slow_lab(tenants=1, ms=300)
        lab.settings["sinks"]["screen"] = {"kind": "stdout"}
        lab.settings["jobs"]["ecs"]["to"].append("screen")
        terminal = self.backfill(lab, 3, outputs=("stdout", "stderr"))
        self.assertEqual(terminal.finish(), 0, terminal.seen[-2000:])
        self.assertIn(b'"values"', terminal.seen)
        self.assertNotIn(b"\x1b", terminal.seen)

    def test_a_file_gets_no_terminal_s_commands(self):
        lab = self.slow_lab(tenants=1, ms=700)
        window = ("--from", rfc3339(NOW - 3 * HOUR) + "Z", "--to", rfc3339(NOW - HOUR) + "Z")
        result = lab.run(*window, "--progress", "always", command="backfill", env={"TERM": "xterm"})
        self.assert_status(result, 0)
        self.assertNotIn("\x1b", result.err)
        self.assertNotIn("cells,", result.err)


if __name__ == "__main__":
    unittest.main()
