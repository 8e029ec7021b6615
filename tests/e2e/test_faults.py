#!/usr/bin/python3
"""Every way in which the stand-in can fail, at every operation: met once it is survived; met for ever it costs that
tenant alone, in one clear error; and when it is over, the next run heals it.
"""
import re
import unittest

from lab import Case

ASSUME = {"service": "sts", "operation": "AssumeRole"}
LIST = {"service": "monitoring", "operation": "ListMetrics"}
DATA = {"service": "monitoring", "operation": "GetMetricData"}
WRITE = {"service": "prometheus"}

ANYWHERE = ("throttle", "http500", "http503", "html", "skew", "reset-before", "reset-after", "badjson", "truncate",
            "wrongtypes", "denied", "expired")
ALWAYS = (
    [(ASSUME, {"kind": kind}) for kind in (*ANYWHERE, "wrong-account")]
    + [(LIST, {"kind": kind}) for kind in (*ANYWHERE, "emptypage", "repeattoken")]
    + [(DATA, {"kind": kind}) for kind in (*ANYWHERE, "emptypage", "repeattoken", "gmd-internal", "gmd-partial",
                                           "gmd-forbidden")]
    + [(match, {"kind": "hang", "ms": 60000}) for match in (ASSUME, LIST, DATA)]
    + [(match, {"kind": "slowdrip", "chunk": 1, "interval_ms": 5000}) for match in (ASSUME, LIST, DATA)]
)
# Once: none of these is an answer to believe, so the same run must get over it. Denials are answers, and so is being told
# that the base credentials have expired: there are no others.
BELIEVED = {("AssumeRole", "expired")} | {(match["operation"], kind) for match in (ASSUME, LIST, DATA)
                                          for kind in ("denied", "wrong-account", "gmd-forbidden")}
BRIEF = {"hang": {"ms": 300}, "slowdrip": {"chunk": 64, "interval_ms": 5}}
ONCE = [(match, {**rule, **BRIEF.get(rule["kind"], {})}) for match, rule in ALWAYS
        if (match["operation"], rule["kind"]) not in BELIEVED]
RECEIVER = ("rw429", "rw503", "throttle", "http500", "http503", "html", "reset-before", "reset-after", "truncate")


def told(match, rule):
    return f"{match.get('operation', match['service'])} {rule['kind']}"


class Faults(Case):
    def test_met_once_it_is_survived(self):
        """Each tenant meets one kind, at the first call that it fits."""
        lab = self.lab(tenants=len(ONCE))
        rules = [{"match": {**match, "account": tenant["account"]}, **rule, "nth": 1}
                 for tenant, (match, rule) in zip(lab.world.tenants, ONCE)]
        lab.daemon.control("faults", rules)
        result = lab.run()
        for tenant, (match, rule) in zip(lab.world.tenants, ONCE):
            with self.subTest(fault=told(match, rule)):
                self.assertFalse(result.errors("level=error", tenant["id"]))
        self.assert_status(result, 0)
        self.assertTrue(all(row["fired"] == 1 for row in lab.daemon.control("faults")), "a fault was never met")
        self.assert_exact(lab)

    def test_met_for_ever_it_costs_its_tenant_and_heals(self):
        lab = self.lab(tenants=len(ALWAYS) + 5)
        lab.settings["run"] = {"deadline": "20s", "workers": 6}
        victims = list(zip(lab.world.tenants, ALWAYS))
        healthy = {tenant["id"] for tenant in lab.world.tenants[len(ALWAYS):]}
        start, end = lab.window()
        lab.daemon.control("faults", [{"match": {**match, "account": tenant["account"]}, **rule}
                                      for tenant, (match, rule) in victims])
        result = lab.run()
        self.assert_status(result, 1)
        for tenant, (match, rule) in victims:
            with self.subTest(fault=told(match, rule)):
                lines = result.errors("level=error", tenant["id"], "ecs")
                self.assertEqual(len(lines), 1, f"want one error line for {tenant['id']}, got {lines}")
        self.assertFalse([line for line in result.errors("level=error")
                          if set(re.findall(r"\bt\d{4}\b", line)) & healthy], "a healthy tenant is named")
        self.assert_exact(lab, start, end, healthy)

        lab.daemon.control("faults", method="DELETE")
        self.assert_status(lab.run(), 0)
        self.assert_exact(lab, start, end)

    def test_the_receiver_fails_once(self):
        for kind in RECEIVER:
            with self.subTest(kind=kind):
                lab = self.lab(tenants=2)
                lab.daemon.control("faults", [{"match": WRITE, "kind": kind, "every": 3}])
                self.assert_status(lab.run(), 0)
                self.assert_exact(lab)

    def test_the_receiver_takes_it_and_says_no(self):
        """The effect happens, the answer is an error: sent again, nothing may be doubled or called refused."""
        for kind in ("rw503", "rw429", "http500", "html", "reset-before"):
            with self.subTest(kind=kind):
                lab = self.lab(tenants=2)
                lab.daemon.control("faults", [{"match": WRITE, "kind": kind, "effect": True, "every": 2}])
                self.assert_status(lab.run(), 0)
                self.assert_exact(lab)
                self.assertFalse(lab.folder_has("lake/rejected"), "samples that arrived are called refused")

    def test_a_value_that_is_no_number(self):
        """One unusable value costs one value: all else arrives, and it is counted."""
        lab = self.lab(tenants=2)
        lab.daemon.control("faults", [{"match": DATA, "kind": "nan", "per_account": True}])
        result = lab.run()
        self.assertIn(result.status, (0, 1), result.err)
        for line in result.errors("level=error"):
            self.assertRegex(line, r"t000[12]")


if __name__ == "__main__":
    unittest.main()
