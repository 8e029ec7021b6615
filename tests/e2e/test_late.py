#!/usr/bin/python3
"""P4, late points found: what CloudWatch shows only after its cell was frozen is in the lake once, beside the cell, and
at the receiver where its order allows; through kills, outages and births between two inventories.
"""
import os
import shutil
import unittest

import arrivals
from expected import Expected, due_end, first_start, identity, rfc3339, windows
from lab import NOW, REGION, Case, Killer, finish, generate, sealed

LATE = {"late_rate": 0.2, "late_max": 900}
KILLS = max(int(os.environ.get("MUSTER_KILLS", "20")) // 2, 8)
SEED = int(os.environ.get("MUSTER_SEED", "1"))


def steps(start, end, every=300):
    return range(start, end + 1, every)


class Late(Case):
    def run_each(self, lab, until, every=300):
        """A run now and each so many seconds, the last at `until`. Returns the presents."""
        presents = list(steps(lab.now, until, every))
        for now in presents:
            self.assert_status(lab.run(now=now), 0)
        return presents

    def assert_together(self, lab, start, now=None, end=None):
        """Base and late objects hold what can be seen by now, each point once."""
        now = lab.now if now is None else now
        spans = windows(lab.world, start, due_end(now) if end is None else end)
        objects = arrivals.lake(lab.lake)
        self.assert_same(Expected(lab.world).samples(spans, now), arrivals.samples_in(objects), "the lake")
        self.assert_numbered(objects)
        return objects

    def assert_numbered(self, objects):
        """Late objects are numbered from 1 without gaps."""
        numbers = {}
        for key in objects:
            base, mark, rest = key.partition(".late-")
            if mark:
                numbers.setdefault(base, []).append(int(rest.split(".")[0]))
        for base, found in numbers.items():
            self.assertEqual(sorted(found), list(range(1, len(found) + 1)), base)
        return numbers

    def allowed(self, lab, presents, window=0):
        """What a receiver gets: of late points those newer than what it has of their series, or inside its window."""
        expected, delivered, newest, before = Expected(lab.world), {}, {}, None
        start = first_start(presents[0])
        for now in presents:
            spans = {"old": (start, due_end(before) if before else start),
                     "new": (due_end(before) if before else start, due_end(now))}
            head = max(newest.values(), default=0)
            for tenant, series in expected.series():
                key = identity(tenant, series)
                times, values = expected.truth.points(series, *spans["old"], now=now)
                for cell in range(*spans["old"], 300):
                    late = [(t, v) for t, v in zip(times, values)
                            if cell <= t < cell + 300 and t not in delivered[key][1]]
                    taken, known = delivered[key]
                    last = newest.get(key, 0)
                    for t, v in late:
                        known.add(t)
                        if t > last or (window and t >= head - window):
                            taken[t * 1000] = v
                        newest[key] = max(newest.get(key, 0), t)
                times, values = expected.truth.points(series, *spans["new"], now=now)
                taken, known = delivered.setdefault(key, ({}, set()))
                taken.update({t * 1000: v for t, v in zip(times, values)})
                known.update(times)
                newest[key] = max([newest.get(key, 0), *times])
            before = now
        return {key: taken for key, (taken, _) in delivered.items() if taken}

    def test_found_once_and_delivered_where_the_order_allows(self):
        lab = self.lab(tenants=2, **LATE)
        start, _ = lab.window()
        presents = self.run_each(lab, NOW + 3600)
        objects = self.assert_together(lab, start)
        self.assertGreater(len(self.assert_numbered(objects)), 5, "nothing came late")
        received = arrivals.stand_in(lab.daemon)
        self.assert_same(self.allowed(lab, presents), received, "the receiver")
        self.assertEqual(lab.daemon.control("rw/stats")["prometheus"].get("refused", 0), 0, "sent what it must refuse")
        self.assertFalse(lab.folder_has("lake/rejected"))
        self.assert_no_violation(lab)

    def test_inside_the_window_of_a_receiver_that_has_one(self):
        lab = self.lab(tenants=1, flags=("--rw-window", 600, "--rw-mode", "partial"), **LATE)
        lab.settings["sinks"]["prom"]["out_of_order"] = "10m"
        presents = self.run_each(lab, NOW + 2400)
        with_window, without = self.allowed(lab, presents, 600), self.allowed(lab, presents)
        self.assertNotEqual(with_window, without, "the window made no difference")
        self.assert_same(with_window, arrivals.stand_in(lab.daemon), "the receiver")
        self.assertFalse(lab.folder_has("lake/rejected"))

    def test_a_revised_value_goes_to_the_lake_once(self):
        lab = self.lab(tenants=1, revise_rate=0.3)
        start, _ = lab.window()
        revised = 0
        for now in steps(NOW, NOW + 3600):
            self.assert_status(lab.run("--report", lab.path("report.json"), now=now), 0)
            revised += arrivals.report(lab.path("report.json"))["totals"]["stats"]["revised"]
        found, times = {}, 0
        for _, rows in sorted(arrivals.lake(lab.lake).items(), key=lambda pair: pair[0].replace(".ndjson", ".late-0")):
            for key, samples in arrivals.samples_in({"": rows}).items():
                times += len(samples.keys() & found.get(key, {}).keys())
                found.setdefault(key, {}).update(samples)
        spans = windows(lab.world, start, due_end(lab.now))
        self.assert_same(Expected(lab.world).samples(spans, lab.now), found, "the lake's last words")
        self.assertGreater(revised, 10)
        self.assertEqual(times, revised)
        self.assertFalse(lab.folder_has("lake/rejected"))

    def test_killed_over_and_over(self):
        lab = self.lab(tenants=4, **LATE)
        start, _ = lab.window()
        self.assert_status(lab.run(), 0)
        lab.daemon.control("faults", [{"match": {"service": "monitoring"}, "kind": "hang", "ms": 20, "prob": 0.5},
                                      {"match": {"service": "prometheus"}, "kind": "hang", "ms": 15, "prob": 0.5}])
        killer = Killer(SEED, 0.4)
        lab.tell(NOW + 300)
        for _ in range(KILLS):
            lab.tell(lab.now + killer.strike(lab))
        self.assertGreater(killer.killed, KILLS / 3, "too few runs were at work when they were killed")
        # With a new cell: where none is due there is no look at the others, and what came since the last one is not
        # found yet.
        self.assert_status(lab.run(now=lab.now + 300), 0)
        objects = self.assert_together(lab, start)
        self.assertTrue(self.assert_numbered(objects), "nothing came late")
        self.assertFalse(lab.folder_has("lake/rejected"))
        received, truth = arrivals.stand_in(lab.daemon), arrivals.samples_in(objects)
        base = arrivals.samples_in({key: rows for key, rows in objects.items() if ".late-" not in key})
        for key, samples in base.items():
            self.assertLessEqual(samples.items(), received[key].items(), "a cell's own points are all delivered")
        for key, samples in received.items():
            self.assertLessEqual(samples.items(), truth[key].items(), "nothing is delivered that is not frozen")

    def test_a_receiver_that_was_down_gets_them_in_order(self):
        lab = self.lab(tenants=2, **LATE)
        presents = list(steps(NOW, NOW + 2400))
        for number, now in enumerate(presents):
            down = number in (2, 3)
            lab.daemon.control("faults", [{"match": {"service": "prometheus"}, "kind": "http503"}] if down else [])
            self.assert_status(lab.run(now=now), 1 if down else 0)
        self.assert_together(lab, first_start(NOW))
        self.assertEqual(lab.daemon.control("stats")["violations"]["recent"], [])
        received, allowed = arrivals.stand_in(lab.daemon), self.allowed(lab, presents)
        for key, samples in allowed.items():
            self.assertLessEqual(samples.items(), received[key].items(), "what an undisturbed run delivers is there")
        self.assertFalse(lab.folder_has("lake/rejected"))

    def shed_marks(self, lab):
        """As a checkpoint does that would be too large."""
        for tenant in lab.world.tenants:
            name = os.path.join(lab.state, "tenants", tenant["id"], "ecs.json")
            document = arrivals.report(name)
            seen = document["streams"][REGION]["seen"]
            self.assertTrue(seen["series"])
            seen["series"] = ""
            for cell in seen["cells"]:
                cell.update({"marks": "", "unread": True} if cell["marks"] else {})
            with open(name, "w", encoding="utf-8") as file:
                file.write(sealed(document))

    def delivered(self, outage, shed):
        """What a receiver with a window gets through an outage, or none; the marks are lost after each run from then on, or not. One tenant, for
        what is in the window depends on who comes first."""
        lab = self.lab(tenants=1, flags=("--rw-window", 300, "--rw-mode", "partial"), **LATE)
        lab.settings["sinks"]["prom"]["out_of_order"] = "5m"
        for number, now in enumerate(steps(NOW, NOW + 2400)):
            down = outage and number == 3
            lab.daemon.control("faults", [{"match": {"service": "prometheus"}, "kind": "http503"}] if down else [])
            self.assert_status(lab.run(now=now), 1 if down else 0)
            if shed and number >= 3:
                self.shed_marks(lab)
        self.assertTrue(self.assert_numbered(self.assert_together(lab, first_start(NOW))), "nothing came late")
        return arrivals.stand_in(lab.daemon)

    def test_marks_had_no_room_and_nothing_else_differs(self):
        self.assert_same(self.delivered(False, False), self.delivered(False, True), "the receiver")

    def test_marks_had_no_room_and_what_is_owed_is_delivered_all_the_same(self):
        self.assert_same(self.delivered(True, False), self.delivered(True, True), "the receiver")

    def test_marks_had_no_room_and_there_is_no_lake_to_read_them_from(self):
        lab = self.lab(tenants=1, **LATE)
        lab.settings["jobs"]["ecs"]["to"] = ["prom"]
        self.run_each(lab, NOW + 900)
        self.shed_marks(lab)
        self.run_each(lab, NOW + 2400)
        truth = Expected(lab.world).samples(windows(lab.world, *lab.window(NOW)), lab.now)
        received = arrivals.stand_in(lab.daemon)
        for key, samples in truth.items():
            self.assertLessEqual(len(samples.items() - received[key].items()), len(samples) // 2)
        self.assertEqual(lab.daemon.control("rw/stats")["prometheus"].get("refused", 0), 0, "sent what it must refuse")

    def test_after_three_hours_the_last_cells_get_their_look(self):
        lab = self.lab(tenants=1, **LATE)
        start, _ = lab.window()
        self.assert_status(lab.run(), 0)
        self.assert_status(lab.run(now=NOW + 300), 0)
        self.assert_status(lab.run(now=NOW + 3 * 3600), 0)
        objects = self.assert_together(lab, start)
        self.assertTrue(self.assert_numbered(objects), "nothing came late")

    def test_a_backfill_did_what_a_killed_run_had_begun(self):
        """The last cells before it get their look although those behind them are there already."""
        lab = self.lab(tenants=2, **LATE)
        start, end = lab.window()
        self.assert_status(lab.run(), 0)
        self.hang_and_kill(lab, NOW + 7200)
        until = end + 3600
        filled = lab.run("--from", rfc3339(end) + "Z", "--to", rfc3339(until) + "Z", command="backfill")
        self.assert_status(filled, 0)
        self.assert_status(lab.run(), 0)
        objects = self.assert_together(lab, start)
        late = {arrivals.cell_start(key) for key in objects if ".late-" in key}
        self.assertTrue(late, "nothing came late")
        self.assertLess(max(late), end, "of what was pulled after two hours nothing is late")
        self.assertFalse(lab.folder_has("lake/rejected"))

    def hang_and_kill(self, lab, now):
        """A run that is killed while it waits for its points."""
        lab.daemon.control("faults", [{"match": {"operation": "GetMetricData"}, "kind": "hang", "ms": 60000}])
        killed = lab.start(now=now)
        self.wait_for_fault(lab)
        killed.kill()
        finish(killed, 10)
        lab.daemon.control("faults", [])

    def test_a_look_apart_that_fails_is_left_to_the_next_run(self):
        """Nothing new depends on it."""
        lab = self.lab(tenants=1, **LATE)
        start, end = lab.window()
        self.assert_status(lab.run(), 0)
        self.hang_and_kill(lab, NOW + 7200)
        self.assert_status(lab.run("--from", rfc3339(end) + "Z", "--to", rfc3339(end + 3600) + "Z", command="backfill"), 0)
        lab.daemon.control("faults", [{"match": {"operation": "GetMetricData"}, "kind": "denied", "after": 1}])
        result = lab.run()
        self.assert_status(result, 0)
        self.assertTrue(result.errors("late points not looked for", "tenant=t0001", "AccessDenied"), result.err)
        lab.daemon.control("faults", [])
        self.assert_status(lab.run(now=NOW + 7500), 0)
        self.assert_together(lab, start)

    def run_with_old_marks(self, lab, killed=True):
        """As after a kill in the middle of a step, when another region had just committed: one more cell is done than
        there are marks of."""
        self.assert_status(lab.run(), 0)
        name = os.path.join(lab.state, "tenants", "t0001", "ecs.json")
        marks = arrivals.report(name)["streams"][REGION]["seen"]
        self.assert_status(lab.run(now=NOW + 300), 0)
        if killed:
            self.hang_and_kill(lab, NOW + 7200)
        document = arrivals.report(name)
        document["streams"][REGION]["seen"] = marks
        with open(name, "w", encoding="utf-8") as file:
            file.write(sealed(document))

    def test_what_cannot_be_read_holds_up_nothing(self):
        lab = self.lab(tenants=1, **LATE)
        _, end = lab.window()
        self.run_with_old_marks(lab)
        key, = (key for key in arrivals.lake_keys(lab.lake) if arrivals.cell_start(key) == end)
        with open(os.path.join(lab.lake, key), "wb") as file:
            file.write(b"spoiled")
        result = lab.run()
        self.assert_status(result, 0)
        self.assertTrue(result.errors("late points not looked for", "read what is frozen", "tenant=t0001"), result.err)
        self.assertIn(due_end(lab.now) - 300, map(arrivals.cell_start, arrivals.lake_keys(lab.lake)))
        again = lab.run(now=NOW + 7500)
        self.assert_status(again, 0)
        self.assertFalse(again.errors("late points not looked for"), again.err)

    def fill_behind(self, lab):
        """All but the first cell that is out of reach then is there already, and not by a run."""
        self.run_with_old_marks(lab)
        _, end = lab.window(NOW)
        filled = lab.run("--from", rfc3339(end + 300) + "Z", "--to", rfc3339(end + 3900) + "Z", command="backfill")
        self.assert_status(filled, 0)

    def test_a_look_apart_that_makes_no_sense_is_not_repeated(self):
        """What will not pass is asked for once."""
        lab = self.lab(tenants=1, **LATE)
        self.fill_behind(lab)
        lab.daemon.control("faults", [{"match": {"operation": "GetMetricData"}, "kind": "repeattoken", "after": 1}])
        result = lab.run()
        self.assert_status(result, 0)
        self.assertTrue(result.errors("late points not looked for"), result.err)
        lab.daemon.control("faults", [])
        lab.cleared()
        self.assert_status(lab.run(now=NOW + 7500), 0)
        self.assertEqual(lab.daemon.control("stats")["calls"]["monitoring"]["GetMetricData"], {"201100000001": 1})

    def test_a_look_apart_at_nothing_is_no_trouble(self):
        """The cell whose marks are missing has no object, for there was nothing in it."""
        document = generate(1, 11, [REGION], 2)
        end = due_end(NOW)
        before, behind = document["tenants"][0]["regions"][REGION]["clusters"][0]["services"]
        before["until"], behind["from"] = end, end + 300
        lab = self.lab(document=document)
        lab.settings["jobs"]["ecs"]["hold"] = "1s"
        self.fill_behind(lab)
        self.assertNotIn(end, map(arrivals.cell_start, arrivals.lake_keys(lab.lake)))
        result = lab.run()
        self.assert_status(result, 0)
        self.assertFalse(result.errors("level=warn"), result.err)
        self.assert_exact(lab, first_start(NOW))

    def test_the_marks_are_older_than_the_cursors(self):
        """That the cells behind it are there already does not take its look from the cell whose marks were not written
        any more."""
        lab = self.lab(tenants=1, **LATE)
        start, end = lab.window()
        self.run_with_old_marks(lab)
        filled = lab.run("--from", rfc3339(end + 300) + "Z", "--to", rfc3339(end + 1200) + "Z", command="backfill")
        self.assert_status(filled, 0)
        self.assert_status(lab.run(), 0)
        objects = self.assert_together(lab, start)
        self.assertTrue(any(arrivals.cell_start(key) == end for key in objects if ".late-" in key), "nothing came late")

    def test_a_cell_whose_marks_are_missing_is_not_taken_for_empty(self):
        """What the receiver has of it stands in the way of older points, and is known to."""
        lab = self.lab(tenants=2, **LATE)
        start, _ = lab.window()
        self.run_with_old_marks(lab, killed=False)
        self.assert_status(lab.run(now=NOW + 600), 0)
        self.assertTrue(self.assert_numbered(self.assert_together(lab, start)), "nothing came late")
        self.assertEqual(lab.daemon.control("rw/stats")["prometheus"].get("refused", 0), 0, "sent what it must refuse")

    def test_the_checkpoint_is_gone_and_the_marks_with_it(self):
        """What was frozen tells what is known: nothing is written twice."""
        lab = self.lab(tenants=2, **LATE)
        start, _ = lab.window()
        self.run_each(lab, NOW + 1200)
        for tenant in ("t0001", "t0002"):
            for name in ("ecs.json", "ecs.prev.json"):
                os.unlink(os.path.join(lab.state, "tenants", tenant, name))
        self.run_each(lab, NOW + 1500)
        self.run_each(lab, NOW + 1800)
        self.assert_together(lab, start)
        self.assertFalse(lab.folder_has("lake/rejected"))

    def test_late_objects_that_the_checkpoint_does_not_know_are_taken_over(self):
        """As if every run had died after freezing and publishing, and before its checkpoint was written."""
        lab = self.lab(tenants=1, **LATE)
        start, _ = lab.window()
        self.assert_status(lab.run(), 0)
        kept = lab.path("kept")
        for now in steps(NOW + 300, NOW + 2400):
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(lab.state, kept)
            before = {key: arrivals.unpack(f"{lab.lake}/{key}") for key in arrivals.lake_keys(lab.lake)}
            self.assert_status(lab.run(now=now), 0)
            shutil.rmtree(lab.state)
            shutil.copytree(kept, lab.state)
            self.assert_status(lab.run(now=now + 120), 0)
            for key, text in before.items():
                self.assertEqual(arrivals.unpack(f"{lab.lake}/{key}"), text, key)
        numbers = self.assert_numbered(self.assert_together(lab, start))
        self.assertGreater(max(map(len, numbers.values())), 2, "no cell was found late more than twice")
        self.assertFalse(lab.folder_has("lake/rejected"))

    def test_born_between_two_inventories(self):
        """P3: listed 15 minutes after its first point, and found with the next listing; nothing of it is lost."""
        lab = self.lab(tenants=4, services=3, births=0.7, epoch=NOW, span=2400, list_delay=900)
        start, _ = lab.window()
        self.run_each(lab, NOW + 3900)
        born = [s for t in lab.world.tenants for r in t["regions"].values() for c in r["clusters"] for s in c["services"]
                if s["from"]]
        self.assertTrue(born, "a world without births proves nothing")
        self.assert_together(lab, start)

    def test_a_cell_with_too_few_series_waits_and_is_then_whole(self):
        """The service is behind: nothing of the newest cell is there when it is due."""
        lab = self.lab(tenants=1)
        start, _ = lab.window()
        self.assert_status(lab.run(), 0)
        lab.tell(NOW + 300)
        lab.daemon.control("now", {"now": NOW - 300})
        held = lab.run()
        self.assert_status(held, 0)
        self.assertTrue(held.errors("cell held"), held.err)
        self.assertEqual(len(arrivals.lake_keys(lab.lake)), 5)
        lab.daemon.control("now", {"now": lab.now})
        self.assert_status(lab.run(), 0)
        self.assert_exact(lab, start)

    def test_a_cell_with_too_few_series_is_taken_when_its_time_is_up(self):
        document = generate(1, 11, ["eu-west-1"], 3)
        for service in document["tenants"][0]["regions"]["eu-west-1"]["clusters"][0]["services"][1:]:
            service["until"] = NOW - 300
        lab = self.lab(document=document)
        start, end = lab.window()
        self.assert_status(lab.run(), 0)
        for now in steps(NOW + 300, NOW + 900):
            held = lab.run(now=now)
            self.assert_status(held, 0)
            self.assertTrue(held.errors("cell held"), held.err)
        self.assert_exact(lab, start, end)
        self.assert_status(lab.run(now=NOW + 1200), 0)
        self.assert_exact(lab, start)

    def test_every_is_changed(self):
        """Cells keep their length up to a boundary of both; no point is lost or twice. (What comes late of cells before
        the change is not looked for.)"""
        lab = self.lab(tenants=1)
        start, _ = lab.window()
        self.assert_status(lab.run(), 0)
        for every, until in (("15m", 3600), ("10m", 6000), ("5m", 7200)):
            lab.settings["jobs"]["ecs"]["every"] = every
            for now in steps(lab.now + 300, NOW + until):
                self.assert_status(lab.run(now=now), 0)
        objects = {key: arrivals.rows_of(f"{lab.lake}/{key}", 900) for key in arrivals.lake_keys(lab.lake)}
        found = arrivals.samples_in(objects)
        end = due_end(lab.now)
        self.assert_same(Expected(lab.world).samples(windows(lab.world, start, end), lab.now), found, "the lake")
        lengths = {arrivals.cell_start(key[-27:]) - arrivals.cell_start(key) for key in objects if ".late" not in key}
        self.assertEqual(lengths, {300, 600, 900})
        self.assertFalse(lab.folder_has("lake/rejected"))


if __name__ == "__main__":
    unittest.main()
