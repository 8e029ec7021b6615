#!/usr/bin/python3
"""Alarms: every transition of the truth once in the lake, the state at every minute in the receiver, and nothing else;
and in Alertmanager what fires now.
"""
import http.server
import json
import os
import shutil
import signal
import threading
import time
import unittest

import arrivals
from alarm_truth import DELAY, EVERY, expected_lines, expected_samples, lines_in
from expected import due_end, first_start, rfc3339
from lab import NOW, Case, Killer, Lab, finish, start_alertmanager
from standin.alarms import Alarms
from test_replay import ReplayCase, tree, unpacked


def span(lab, first=NOW):
    """What runs from `first` to the lab's present cover."""
    return first_start(first, EVERY), due_end(lab.now, EVERY, DELAY)


def states_now(lab):
    """{(tenant, alarm): (state, since in milliseconds, reason)}"""
    alarms = Alarms(lab.world)
    states = {(tenant["id"], alarm.name): alarms.state(alarm, lab.now * 1000) for tenant, alarm in alarms.all()}
    return {key: state for key, state in states.items() if state}


def stamp(ms):
    return f"{rfc3339(ms // 1000)}.{ms % 1000:03d}Z"


class AlarmsCase(Case):
    def alarm_lab(self, to=("prom", "lake"), how=None, now=NOW, **world):
        lab = self.lab(document=self.document_of(how or {}, **world), now=now)
        lab.settings["jobs"] = {"alarms": {"kind": "alarms", "to": list(to)}}
        return lab

    @staticmethod
    def document_of(how, tenants=3, labels=None, delay=0, **world):
        document = Lab.document(tenants, **world)
        document["alarm_history_delay"] = delay
        for tenant in document["tenants"]:
            tenant.update({"labels": labels} if labels else {})
            for place in tenant["regions"].values():
                place["alarms"] = how
        return document

    def assert_alarms(self, lab, first=NOW, since=None):
        start, end = span(lab, first)
        lines = expected_lines(lab.world, start, end)
        self.assertTrue(lines, "a test that expects nothing proves nothing")
        self.assert_same(lines, lines_in(lab.lake), "the lake")
        if since is None:
            self.assert_same(expected_samples(lab.world, start, end), arrivals.stand_in(lab.daemon), "the receiver")

    def assert_sent(self, lab, sent):
        """The state at the moment of the run, of everything that fires or lately did."""
        now = lab.now * 1000
        wanted = {key: state for key, state in states_now(lab).items()
                  if state[0] == "ALARM" or state[1] > now - 7200000}
        self.assertEqual(set(wanted), set(sent))
        for key, (state, since, reason) in wanted.items():
            self.assertEqual(sent[key]["endsAt"], stamp(now + 3600000 if state == "ALARM" else since))
            self.assertEqual(sent[key].get("startsAt"), stamp(since) if state == "ALARM" else None)
            self.assertEqual((sent[key]["annotations"]["state"], sent[key]["annotations"]["reason"]), (state, reason))


class Exact(AlarmsCase):
    def test_every_transition_and_every_minute(self):
        lab = self.alarm_lab(labels={"tier": "gold \" é", "alarm": "not this", "state": "nor this"})
        for tenant in lab.world.tenants:
            tenant["labels"] = {"tier": tenant["labels"]["tier"]}  # ours are left as they are
        self.assert_status(lab.run(), 0)
        self.assert_alarms(lab)
        for later in (60, 90, 600, 4000):
            self.assert_status(lab.run(now=NOW + later), 0)
            self.assert_alarms(lab)
        self.assert_no_violation(lab)

    def test_many_alarms_need_many_pages(self):
        lab = self.alarm_lab(tenants=1, how={"more": 230, "slot": 300})
        self.assert_status(lab.run(), 0)
        self.assert_alarms(lab)
        calls = lab.daemon.control("stats")["calls"]["monitoring"]
        self.assertGreater(len(arrivals.stand_in(lab.daemon)), 600)
        self.assertIn("DescribeAlarmHistory", calls)
        self.assert_no_violation(lab)

    def test_alarms_that_are_made_and_deleted(self):
        lives = {"more-0000": {"from": NOW - 1000}, "more-0001": {"until": NOW - 500},
                 "more-0002": {"from": NOW - 1500, "until": NOW - 300}, "more-0003": {"from": NOW + 100}}
        lab = self.alarm_lab(tenants=1, how={"more": 4, "slot": 240, "lives": lives})
        for later in (0, 300):
            self.assert_status(lab.run(now=NOW + later), 0)
        start, end = span(lab)
        self.assert_same(expected_lines(lab.world, start, end), lines_in(lab.lake), "the lake")
        found, wanted = arrivals.stand_in(lab.daemon), expected_samples(lab.world, start, end)
        self.assertLessEqual(set(found), set(wanted))
        for labels, samples in found.items():
            self.assertLessEqual(samples.items(), wanted[labels].items())
        unseen = {dict(labels)["alarm"] for labels in wanted if found.get(labels) != wanted[labels]}
        # Of one that is deleted nobody tells how it was before its last change in the history.
        self.assertLessEqual(unseen, {"more-0001"})

    def test_late_runs_agree_with_early_ones(self):
        early, late = (self.alarm_lab(how={"slot": 240}) for _ in range(2))
        for later in range(0, 1201, 120):
            self.assert_status(early.run(now=NOW + later), 0)
        for later in (0, 1200):
            self.assert_status(late.run(now=NOW + later), 0)
        self.assertEqual(lines_in(early.lake), lines_in(late.lake))
        self.assertEqual(arrivals.stand_in(early.daemon), arrivals.stand_in(late.daemon))
        self.assert_alarms(late)

    def test_a_history_that_is_behind_the_snapshot_is_waited_for(self):
        """What it does not show in time is taken from the snapshot: without a state before it, but not lost."""
        lab = self.alarm_lab(tenants=1, how={"slot": 120}, delay=20000)
        self.assert_status(lab.run(timeout=180), 0)
        rows = [row for found in lines_in(lab.lake).values() for row in found]
        self.assertTrue(rows)
        start, end = span(lab)
        true = {(row["alarm"], row["ts"], row["state"])
                for found in expected_lines(lab.world, start, end).values() for row in found}
        for row in rows:
            self.assertIsNone(row["previous_state"])
            self.assertIn((row["alarm"], row["ts"], row["state"]), true)

    def test_cells_that_are_pulled_again_count_once(self):
        """Their lines do not hold the samples: so they are asked for again when the receiver takes them at last."""
        lab = self.alarm_lab(how={"slot": 120})
        lab.daemon.control("faults", [{"match": {"service": "prometheus"}, "kind": "error", "code": "Forbidden",
                                       "status": 403, "every": 1}])
        totals = []
        for status, later in ((1, 0), (0, 300)):
            self.assert_status(lab.run("--report", lab.path("report.json"), now=NOW + later), status)
            with open(lab.path("report.json"), encoding="utf-8") as file:
                totals.append(json.load(file)["totals"]["stats"])
            calls = lab.daemon.control("stats")["calls"]["monitoring"]["DescribeAlarms"]
            self.assertEqual(sum(calls.values()), 3 * (1 + 2 * (later > 0)))  # all cells in one pull
            lab.daemon.control("faults", method="DELETE")
        self.assert_alarms(lab)
        start, end = span(lab)
        samples = sum(len(series) for series in expected_samples(lab.world, start, end).values())
        wanted = {"cells": 3 * (end - start) // EVERY, "lines": sum(map(len, expected_lines(lab.world, start, end).values())),
                  "samples": samples, "acked": samples, "already_there": 0, "rejected": 0}
        self.assertEqual({key: sum(one[key] for one in totals) for key in wanted}, wanted)

    def test_the_query_protocol(self):
        lab = self.alarm_lab(tenants=1, how={"more": 120})
        lab.daemon.control("faults", [{"match": {"service": "monitoring"}, "kind": "error", "code": "UnknownOperation",
                                       "status": 404, "nth": 1}])
        self.assert_status(lab.run(), 0)
        self.assert_alarms(lab)

    def test_faults_on_the_way(self):
        lab = self.alarm_lab(how={"more": 120})
        service = {"service": "monitoring"}
        lab.daemon.control("faults", [{"match": service, "kind": kind, "every": every} for kind, every in
                                      (("http503", 5), ("truncate", 7), ("badjson", 11), ("emptypage", 6),
                                       ("throttle", 13), ("reset-after", 17))])
        for later in (0, 60, 120):
            lab.run(now=NOW + later)
        lab.daemon.control("faults", method="DELETE")
        self.assert_status(lab.run(now=NOW + 180), 0)
        self.assert_alarms(lab)

    def test_killed_and_run_again(self):
        lab = self.alarm_lab(tenants=6, how={"slot": 180})
        self.assert_status(lab.run(), 0)
        lab.tell(NOW + 300)
        lab.daemon.control("faults", [{"match": {"service": "prometheus"}, "kind": "hang", "ms": 20, "prob": 0.5},
                                      {"match": {"service": "monitoring"}, "kind": "hang", "ms": 20, "prob": 0.5}])
        killer = Killer(3, 0.4)
        for _ in range(int(os.environ.get("MUSTER_KILLS", "20")) // 2):
            lab.tell(lab.now + killer.strike(lab))
        self.assertGreater(killer.killed, 0)
        lab.daemon.control("faults", method="DELETE")
        self.assert_status(lab.run(), 0)
        self.assert_alarms(lab)
        self.assertFalse(lab.folder_has("lake/rejected"))

    def test_killed_when_the_receiver_had_taken_it(self):
        """Frozen and sent, but not committed: pulled again, as the same."""
        lab = self.alarm_lab(tenants=1, how={"slot": 120})
        for nth in range(1, 4):
            lab.daemon.control("faults", [{"match": {"service": "prometheus"}, "kind": "slowdrip", "nth": nth,
                                           "chunk": 1, "interval_ms": 30000}])
            process = lab.start()
            self.wait_for_fault(lab)
            process.send_signal(signal.SIGKILL)
            finish(process, 10)
            lab.daemon.control("faults", method="DELETE")
            lab.tell(lab.now + 60)
        self.assert_status(lab.run(), 0)
        self.assert_alarms(lab)

    def test_one_tenant_denied(self):
        document = self.document_of({})
        document["tenants"][1]["deny"] = ["cloudwatch:DescribeAlarmHistory"]
        lab = self.lab(document=document)
        lab.settings["jobs"] = {"alarms": {"kind": "alarms", "to": ["prom", "lake"]}}
        result = lab.run()
        self.assert_status(result, 1)
        self.assertTrue(result.errors("t0002", "DescribeAlarmHistory", "AccessDenied"), result.err)
        self.assertEqual({row["tenant"] for rows in lines_in(lab.lake).values() for row in rows}, {"t0001", "t0003"})


class Recorder:
    """An Alertmanager that keeps what it is sent, and answers what a test wants."""

    def __init__(self):
        self.sent, self.answer = [], lambda alerts: (200, b"")
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                alerts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, body = outer.answer(alerts)
                if status == 200:
                    outer.sent.append((self.path, alerts))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def taken(self):
        """What was sent since the last time, by tenant and alarm."""
        sent, self.sent = self.sent, []
        found = {}
        for _, alerts in sent:
            for alert in alerts:
                key = (alert["labels"]["tenant"], alert["labels"]["alertname"])
                if key in found:
                    raise AssertionError(f"sent twice: {key}")
                found[key] = alert
        return found


class Alerts(AlarmsCase, ReplayCase):
    def alert_lab(self, url, to=("prom", "lake", "oncall"), **more):
        lab = self.alarm_lab(to=to, **more)
        lab.settings["sinks"]["oncall"] = {"kind": "alertmanager", "url": url, "ends_after": "1h"}
        return lab

    def recorder(self):
        recorder = Recorder()
        self.addCleanup(recorder.close)
        return recorder

    def test_scrubbed_alarms_tell_no_names(self):
        lab = self.alarm_lab(how={"slot": 240, "said": " because of goldmember", "named": ["platypus-down"]})
        path = self.record(lab, "--scrub")
        self.assertNotRegex("\n".join(unpacked(path).values()), "goldmember|platypus")
        self.replay(lab, "-o", "out")
        whole = [sorted((row["ts"], row["previous_state"] or "", row["state"]) for rows in lines_in(lake).values() for row in rows)
                 for lake in (lab.lake, lab.path("out/lake"))]
        self.assertTrue(whole[0])
        self.assertEqual(*whole)
        self.replay(lab, "--expect", "out", "--bytes", "--workers", "32")

    def test_one_snapshot_a_run_and_never_an_older_one(self):
        recorder = self.recorder()
        lab = self.alert_lab(recorder.url, how={"slot": 240}, labels={"tier": "gold"})
        labels = {}
        for later in (0, 60, 60, 1500):
            lab.tell(NOW + later)
            before = len(recorder.sent)
            self.assert_status(lab.run(), 0)
            if later == 60 and labels.get("again"):
                self.assertEqual(len(recorder.sent), before)
                continue
            labels["again"] = later == 60
            self.assertEqual({path for path, _ in recorder.sent}, {"/api/v2/alerts"})
            sent = recorder.taken()
            self.assert_sent(lab, sent)
            for (tenant, alarm), alert in sent.items():
                mine = {**alert["labels"]}
                self.assertEqual(labels.setdefault((tenant, alarm), mine), mine)
                self.assertEqual(set(mine), {"alertname", "alarm", "tenant", "account_id", "region", "tier"})
        self.assert_alarms(lab)

    def test_a_receiver_that_was_down_gets_the_newest_state_only(self):
        recorder = self.recorder()
        lab = self.alert_lab(recorder.url, tenants=1, how={"slot": 180})
        recorder.answer = lambda _: (500, b"down")
        for later in (0, 300):
            self.assert_status(lab.run("--report", lab.path("r.json"), now=NOW + later), 1)
        recorder.answer = lambda _: (200, b"")
        self.assert_status(lab.run(now=NOW + 600), 0)
        self.assertEqual(len(recorder.sent), 1)
        self.assert_sent(lab, recorder.taken())
        self.assert_alarms(lab)
        lab.cleared()
        self.assert_status(lab.run(), 0)  # nothing of the older ones is left to do
        self.assertNotIn("DescribeAlarms", lab.daemon.control("stats")["calls"].get("monitoring", {}))
        self.assertEqual(recorder.sent, [])

    def test_one_refused_alert_costs_one(self):
        recorder = self.recorder()
        lab = self.alert_lab(recorder.url, tenants=1, how={"more": 40, "slot": 180})
        bad = next(key for key, state in states_now(lab).items() if state[0] == "ALARM")
        recorder.answer = lambda alerts: (400, b'"no such thing"') if any(
            alert["labels"]["alertname"] == bad[1] for alert in alerts) else (200, b"")
        self.assert_status(lab.run(), 0)
        sent = recorder.taken()
        self.assertNotIn(bad, sent)
        self.assertEqual(set(states_now(lab)), set(sent) | {bad})
        keys = [key for key in arrivals.lake_keys(lab.lake) if key.startswith("rejected/")]
        rows = [json.loads(line) for key in keys for line in arrivals.unpack(os.path.join(lab.lake, key)).splitlines()]
        self.assertEqual([(row["labels"]["alarm"], row["sink"], row["status"]) for row in rows], [(bad[1], "oncall", 400)])

    def test_a_backfill_agrees_and_alerts_nobody(self):
        """Up to the newest cell there is, of which a run tells Alertmanager: to its own lake, and to one that has all of it."""
        recorder = self.recorder()
        once, twice = (self.alert_lab(recorder.url, tenants=2, how={"slot": 240}) for _ in range(2))
        start, end = NOW - 1800, NOW + 300 - DELAY
        window = ["--from", rfc3339(start) + "Z", "--to", rfc3339(end) + "Z"]
        for later in (0, 300):
            self.assert_status(twice.run(now=NOW + later), 0)
        self.assertTrue(recorder.sent)
        recorder.sent.clear()
        self.assert_status(once.run(*window, now=NOW + 300, command="backfill"), 0)
        self.assertEqual(recorder.sent, [])
        self.assert_same(expected_lines(once.world, start, end), lines_in(once.lake), "the lake of a backfill")
        self.assert_same(expected_samples(once.world, start, end), arrivals.stand_in(once.daemon), "its receiver")
        before = tree(twice.lake)
        self.assertLessEqual(tree(once.lake).items(), before.items())
        samples = arrivals.stand_in(twice.daemon)
        self.assert_status(twice.run(*window, command="backfill"), 0)
        self.assertEqual(tree(twice.lake), before)
        self.assertEqual(arrivals.stand_in(twice.daemon), samples)
        self.assertEqual(recorder.sent, [])

    def test_a_replay_tells_the_same(self):
        recorder = self.recorder()
        lab = self.alert_lab(recorder.url, tenants=2, how={"slot": 240})
        self.record(lab)
        self.replay(lab, "-o", "out")
        self.assertEqual(tree(lab.path("out/lake")), tree(lab.lake))
        told = [json.loads(line) for line in arrivals.unpack(lab.path("out/oncall.ndjson.zst")).splitlines()]
        self.assertEqual({(alert["labels"]["tenant"], alert["labels"]["alertname"]): alert for alert in told},
                         recorder.taken())
        for workers in ("1", "32"):
            self.replay(lab, "--expect", "out", "--bytes", "--workers", workers)

    def test_alerts_alone(self):
        recorder = self.recorder()
        lab = self.alert_lab(recorder.url, to=["oncall"], tenants=2)
        for later in (0, 60):
            self.assert_status(lab.run(now=NOW + later), 0)
            self.assert_sent(lab, recorder.taken())

    def test_metrics_cannot_go_there(self):
        lab = self.alert_lab("http://127.0.0.1:1")
        lab.settings["jobs"]["ecs"] = {"kind": "metrics", "to": ["oncall"]}
        result = lab.run()
        self.assert_status(result, 2)
        self.assertIn("sink oncall takes alarms only", result.err)

    def test_amp_takes_them_signed(self):
        lab = self.alert_lab("", tenants=1)
        lab.settings["sinks"]["oncall"].update(sigv4={"service": "aps"},
                                               url=f"{lab.daemon.url}/workspaces/ws-1/alertmanager")
        self.assert_status(lab.run(), 0)
        sent = {(alert["labels"]["tenant"], alert["labels"]["alertname"]): alert for alert in lab.daemon.control("alerts")}
        self.assert_sent(lab, sent)
        self.assert_no_violation(lab)

    @unittest.skipUnless(shutil.which("prometheus-alertmanager"), "no prometheus-alertmanager here")
    def test_a_real_alertmanager_holds_what_fires(self):
        """It goes by its own clock, so the runs are of the last twenty minutes. An alert that no run saw ended goes on."""
        lab = self.alert_lab("", how={"slot": 180}, now=int(time.time()) // 60 * 60 - 1200)
        receiver = start_alertmanager(lab.path("alertmanager"))
        self.addCleanup(receiver.stop)
        lab.settings["sinks"]["oncall"]["url"] = receiver.url + "/"
        held, seen = {}, set()
        for later in [0, 0, *[120] * 8]:
            lab.tell(lab.now + later)
            self.assert_status(lab.run(), 0)
            before = held
            held = {(alert["labels"]["tenant"], alert["labels"]["alertname"]): (alert["startsAt"], alert["annotations"]["reason"])
                    for alert in arrivals.get_json(receiver.url + "/api/v2/alerts")}
            wanted = {key: (before[key][0] if key in before else stamp(since), reason)
                      for key, (state, since, reason) in states_now(lab).items() if state == "ALARM"}
            self.assertEqual(held, wanted)
            seen.add(frozenset(held))
        self.assertGreater(len(seen), 2, "nothing ever changed")


if __name__ == "__main__":
    unittest.main()
