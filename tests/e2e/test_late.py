#!/usr/bin/python3
"""P4, late points found: what CloudWatch shows only after its cell was frozen is in the lake once, beside the cell, and
at the receiver where its order allows; through kills, outages and births between two inventories.
"""
import os
import unittest

import arrivals
from expected import Expected, due_end, first_start, identity, windows
from lab import NOW, Case, Killer

LATE = {"late_rate": 0.2, "late_max": 900}
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
        self.assertFalse(lab.folder_has("lake/rejected"))
        self.assert_no_violation(lab)


if __name__ == "__main__":
    unittest.main()
