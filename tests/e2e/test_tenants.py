#!/usr/bin/python3
"""P5, one tenant's trouble is its own: some fail, all others are committed exactly, and each that failed is named.
P1, nothing lost: what failed is there after the next run.
"""
import unittest

from expected import windows
from lab import Case

MONITORING = {"service": "monitoring", "operation": "GetMetricData"}
FIVE = {  # tenant: the fault it meets, for ever
    "t0007": {"kind": "denied", "match": {"service": "sts", "operation": "AssumeRole"}},
    "t0050": {"kind": "denied", "match": MONITORING},
    "t0093": {"kind": "throttle", "match": MONITORING},
    "t0150": {"kind": "http500", "match": {"service": "monitoring", "operation": "ListMetrics"}},
    "t0200": {"kind": "badjson", "match": MONITORING},
}


def broken(lab, faults):
    """Fault rules, each for one tenant's account."""
    accounts = {tenant["id"]: tenant["account"] for tenant in lab.world.tenants}
    return [{**rule, "match": {**rule["match"], "account": accounts[tenant]}} for tenant, rule in faults.items()]


class Tenants(Case):
    def test_five_of_two_hundred_fail_in_five_ways(self):
        lab = self.lab(tenants=200)
        lab.settings["run"] = {"deadline": "25s"}
        start, end = lab.window()
        everybody = {tenant["id"] for tenant in lab.world.tenants}
        lab.daemon.control("faults", broken(lab, FIVE))

        result = lab.run()
        self.assert_status(result, 1)
        self.assert_exact(lab, start, end, everybody - set(FIVE))
        for tenant, rule in FIVE.items():
            self.assertEqual(len(result.errors("level=error", tenant, "ecs")), 1, f"{tenant} ({rule['kind']}) is not named once in\n{result.err[-4000:]}")
        self.assertFalse(result.errors("level=error", "t0001"), "a healthy tenant is named among the errors")

        lab.daemon.control("faults", method="DELETE")
        self.assert_status(lab.run(), 0)
        self.assert_exact(lab, start, end)
        self.assert_no_violation(lab)

    def test_fail_on_says_how_many_failures_make_the_status(self):
        lab = self.lab(tenants=4)
        lab.daemon.control("faults", broken(lab, {"t0002": FIVE["t0007"]}))
        for fail_on, status in (("any", 1), ("50%", 0), ("25%", 1), ("all", 0)):
            with self.subTest(fail_on=fail_on):
                lab.settings["run"] = {"fail_on": fail_on}
                self.assert_status(lab.run(), status)

    def test_a_wrong_external_id_names_the_tenant_and_the_code(self):
        lab = self.lab()
        lab.settings["tenants"][1]["external_id"] = "somebody-else"
        result = lab.run()
        self.assert_status(result, 1)
        self.assertTrue(result.errors("t0002", "ecs", "AccessDenied"), result.err)
        self.assert_exact(lab, tenants={"t0001", "t0003"})

    def test_every_tenant_failing_is_still_the_tenants_failure(self):
        lab = self.lab()
        lab.daemon.control("faults", [FIVE["t0007"]])
        result = lab.run()
        self.assert_status(result, 1)
        for tenant in lab.world.tenants:
            self.assertTrue(result.errors(tenant["id"], "AccessDenied"))

    def test_base_credentials_that_nobody_knows_are_central(self):
        lab = self.lab()
        result = lab.run(env={"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"})
        self.assert_status(result, 3)
        self.assertTrue(result.errors("InvalidClientTokenId"), result.err)

    def test_no_base_credentials_at_all_are_central(self):
        lab = self.lab()
        result = lab.run(env={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
        self.assert_status(result, 3)
        self.assertEqual(lab.daemon.control("stats")["calls"], {})

    def test_a_receiver_that_is_down_holds_back_only_itself(self):
        lab = self.lab()
        lab.settings["run"] = {"deadline": "8s"}
        lab.daemon.control("faults", [{"match": {"service": "prometheus"}, "kind": "rw503"}])
        start, end = lab.window()
        self.assertNotEqual(lab.run().status, 0)
        self.assert_lake(lab, windows(lab.world, start, end))
        lab.daemon.control("faults", method="DELETE")
        lab.cleared()
        self.assert_status(lab.run(), 0)
        self.assert_exact(lab, start, end)
        self.assertNotIn("GetMetricData", lab.daemon.control("stats")["calls"].get("monitoring", {}),
                         "what was frozen is read from the lake, not pulled again")


if __name__ == "__main__":
    unittest.main()
