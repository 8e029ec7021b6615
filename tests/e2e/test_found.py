#!/usr/bin/python3
"""Tenants that are found: in an organization, however it pages and whatever its units are; among linked accounts, read
through the monitoring account to the last sample and row; and by the last list when they cannot be listed.
"""
import json
import os
import subprocess
import unittest

import arrivals
from expected import windows
from lab import MUSTER, NOW, Case
from test_insights import as_tuples, expected_rows, iso, job, lake_rows, window
from test_replay import ReplayCase, unpacked

from standin.truth import Truth
from standin.world import generate, link, organize

ROLE = "muster-reader"
LISTING = {"service": "organizations"}
DENIED = [{"match": LISTING, "kind": "denied"}]
LIST_FILE = "tenants-found.json"


def document(tenants=3, regions=("eu-west-1",), **more):
    found = generate(tenants, **{"seed": 11, "regions": list(regions), "services": 2, **more})
    for tenant in found["tenants"]:
        tenant["role"] = f"arn:aws:iam::{tenant['account']}:role/{ROLE}"
    return found


class Found(Case):
    def organization(self, tenants=3, page=20, change=None, entry=None, **organization):
        """A lab whose tenants are found: those that have the tag `muster`, by the tag `tenant`."""
        world = document(tenants)
        organize(world, page)
        world["organization"].update(organization)
        if change:
            change(world["organization"])
        lab = self.lab(document=world)
        lister = f"arn:aws:iam::{world['organization']['management']}:role/lister"
        lab.settings["tenants"] = []
        lab.settings["tenants_from"] = [{
            "organization": {"role_for_listing": lister, "tags": {"muster": "y*"}, "id_tag": "tenant", **(entry or {})},
            "role": ROLE, "external_id": "{tag:external}"}]
        return lab

    def entry(self, lab):
        return lab.settings["tenants_from"][0]["organization"]

    def calls(self, lab, service):
        """{operation: how often} since the last look."""
        rows = lab.daemon.control("stats")["calls"].get(service, {})
        lab.cleared()
        return {name: sum(row.values()) if isinstance(row, dict) else row for name, row in rows.items()}

    def report(self, lab):
        with open(lab.path("report.json"), encoding="utf-8") as file:
            return json.load(file)

    def tenants(self, lab):
        """Those that have anything in the lake."""
        return {name.removeprefix("tenant=") for name in os.listdir(lab.path("lake/ecs"))}


class Organization(Found):
    def test_every_page_of_everything_however_empty(self):
        for page, hollow in ((20, False), (1, True)):
            with self.subTest(page=page, hollow=hollow):
                lab = self.organization(tenants=5, page=page, hollow=hollow)
                self.assert_status(lab.run(), 0)
                self.assert_exact(lab)
                self.assert_no_violation(lab)

    def test_units_with_those_below_them(self):
        for paths in (False, True):
            with self.subTest(paths=paths):
                lab = self.organization(tenants=7, page=2, paths=paths, entry={"ous": ["ou-abcd-prod0001"]})
                self.assert_status(lab.run(), 0)
                units = {row["account"]: row["parent"] for row in lab.world.document["organization"]["accounts"]}
                wanted = {tenant["id"] for tenant in lab.world.tenants if "prod" in units[tenant["account"]]}
                self.assertEqual(wanted, {"t0001", "t0003", "t0004", "t0006", "t0007"})
                self.assert_exact(lab, tenants=wanted)
                walked = self.calls(lab, "organizations").get("ListOrganizationalUnitsForParent", 0)
                self.assertEqual(walked, 0 if paths else 2, "units looked into")

    def test_a_unit_that_does_not_exist_is_said(self):
        for paths in (False, True):
            lab = self.organization(paths=paths, entry={"ous": ["ou-abcd-prod0001", "ou-abcd-gone0001"]})
            result = lab.run()
            self.assert_status(result, 3)
            self.assertTrue(result.errors("level=error", "ou-abcd-gone0001", "ParentNotFoundException"), result.err)

    def test_only_active_accounts_by_either_member(self):
        for members in (["State", "Status"], ["State"], ["Status"]):
            def change(organization, members=members):
                organization["status_members"] = members
                for row, state in zip(organization["accounts"][1:], ("SUSPENDED", "PENDING_CLOSURE", "CLOSED")):
                    row["state"] = state
                    row["status"] = "ACTIVE" if "State" in members else state
            with self.subTest(members=members):
                lab = self.organization(tenants=4, change=change)
                self.assert_status(lab.run(), 0)
                self.assert_exact(lab, tenants={"t0004"})

    def test_excluded_accounts_and_tags(self):
        def change(organization):
            organization["accounts"][2]["tags"]["muster"] = "no"
            del organization["accounts"][3]["tags"]["muster"]
        lab = self.organization(tenants=5, change=change)
        self.entry(lab)["exclude"] = [lab.world.tenants[4]["account"]]
        self.assert_status(lab.run(), 0)
        self.assert_exact(lab, tenants={"t0001", "t0004"})

    def test_labels_from_tags(self):
        lab = self.organization()
        lab.settings["defaults"] = {"labels": {"tier": "{tag:tier}", "owner": "{tag:owner}"}}
        for number, tenant in enumerate(lab.world.tenants):
            tenant["labels"] = {"tier": ("gold", "silver")[number % 2]}
        self.assert_status(lab.run(), 0)
        self.assert_exact(lab)

    def test_without_a_tag_the_name_is_the_id(self):
        def change(organization):
            del organization["accounts"][1]["tags"]["tenant"]
            organization["accounts"][1]["name"] = "  Tenant (T0001) & Söhne!"
            organization["accounts"][2]["tags"]["tenant"] = "T0002 "
        lab = self.organization(change=change)
        result = lab.run()
        self.assert_status(result, 0)
        self.assertEqual(self.tenants(lab), {"tenant-t0001-s-hne", "t0002", "t0003"})
        self.assertTrue(result.errors("level=warn", lab.world.tenants[0]["account"], "tag=tenant"), result.err)
        self.assertFalse(result.errors("level=warn", lab.world.tenants[1]["account"]), result.err)

    def test_listed_tenants_win_and_ids_stay_whose_they_are(self):
        def change(organization):
            organization["accounts"][3]["tags"]["tenant"] = "t0002"
            organization["accounts"][4]["tags"]["tenant"] = "t0001"
        lab = self.organization(tenants=4, change=change)
        one, _, three, four = lab.world.tenants
        lab.settings["tenants"] = [{"id": "t0001", "account": one["account"], "role": one["role"],
                                    "external_id": one["external_id"]}]
        doubles = {"t0001", "t0002", f"t0002-{three['account']}", f"t0001-{four['account']}"}
        result = lab.run()
        self.assert_status(result, 0)
        self.assertEqual(self.tenants(lab), doubles)
        self.assertEqual(len(result.errors("level=warn", "taken")), 2, result.err)
        lab.settings["tenants"] = []
        self.assert_status(lab.run(now=NOW + 600), 0)
        self.assertEqual(self.tenants(lab), doubles)

    def test_who_comes_anew_takes_nobodys_id(self):
        def change(organization):
            organization["accounts"][1]["state"] = "SUSPENDED"
            organization["accounts"][2]["tags"]["tenant"] = "t0001"
        before = self.organization(change=change)
        self.assert_status(before.run(), 0)
        self.assertEqual(self.tenants(before), {"t0001", "t0003"})
        world = before.world.document
        world["organization"]["accounts"][1]["state"] = "ACTIVE"
        lab = self.lab(document=world, now=NOW + 300)
        lab.settings = {**lab.settings, "tenants": [], "tenants_from": before.settings["tenants_from"],
                        "state": before.settings["state"]}
        self.assert_status(lab.run(), 0)
        one, two, _ = lab.world.tenants
        rows = [row for rows in arrivals.lake(lab.lake).values() for row in rows]
        self.assertEqual({(row["tenant"], row["account_id"]) for row in rows if row["tenant"] != "t0003"},
                         {("t0001", two["account"]), (f"t0001-{one['account']}", one["account"])})

    def test_an_account_that_cannot_be_a_tenant_fails_alone(self):
        def change(organization):
            del organization["accounts"][2]["tags"]["external"]
        lab = self.organization(change=change)
        account = lab.world.tenants[1]["account"]
        result = lab.run("--report", lab.path("report.json"))
        self.assert_status(result, 1)
        self.assert_exact(lab, tenants={"t0001", "t0003"})
        self.assertEqual(len(result.errors("level=error", "t0002", account, "no tag external")), 1, result.err)
        report = self.report(lab)
        self.assertEqual((report["totals"]["tenants"], report["totals"]["tenants_failed"]), (3, 1))
        self.assertEqual([row["tenant"] for row in report["tenants_found"]["refused"]], ["t0002"])
        self.assert_status(lab.run("--tenant", "t0001"), 0)
        self.assert_status(lab.run("--tenant", "t0002"), 1)

    def test_globs_and_shards(self):
        lab = self.organization(tenants=6)
        self.assert_status(lab.run("--tenant", "t000[12]"), 0)
        self.assert_exact(lab, tenants={"t0001", "t0002"})
        result = lab.run("--tenant", "t7*")
        self.assert_status(result, 2)
        self.assertTrue(result.errors("--tenant t7*", "none was found"), result.err)
        found = set()
        for shard in range(3):
            result = lab.run("--shard", f"{shard}/3", "--report", lab.path("report.json"))
            self.assert_status(result, 0)
            mine = {row["tenant"] for row in self.report(lab)["streams"]}
            self.assertFalse(found & mine)
            found |= mine
        self.assertEqual(found, {tenant["id"] for tenant in lab.world.tenants})
        self.assert_exact(lab)

    def test_one_list_a_run_and_tags_not_each_time(self):
        lab = self.organization(tenants=6)
        lab.settings["jobs"]["more"] = {**lab.settings["jobs"]["ecs"], "to": ["lake"]}
        self.assert_status(lab.run(), 0)
        self.assertEqual(self.calls(lab, "organizations"), {"ListAccounts": 1, "ListTagsForResource": 7 + 6})
        # The management account is no tenant: whether it is one by now is asked again.
        self.assert_status(lab.run(), 0)
        self.assertEqual(self.calls(lab, "organizations"), {"ListAccounts": 1, "ListTagsForResource": 1})

    def test_with_the_base_credentials_of_a_delegated_administrator(self):
        lab = self.organization(delegated=[document()["central"]["account"]])
        del self.entry(lab)["role_for_listing"]
        self.assert_status(lab.run(), 0)
        self.assert_exact(lab)


class LastList(Found):
    def test_it_is_used_and_its_age_is_shown(self):
        lab = self.organization()
        self.assert_status(lab.run("--report", lab.path("report.json")), 0)
        made = self.report(lab)["tenants_found"]["sources"][0]["listed"]
        for fault in (DENIED, [{"match": {"service": "sts", "operation": "AssumeRole",
                                          "account": lab.world.document["organization"]["management"]},
                                "kind": "denied"}],
                      [{"match": LISTING, "kind": "badjson"}],
                      [{"match": {**LISTING, "operation": "ListAccounts"}, "kind": "repeattoken"}],
                      [{"match": {**LISTING, "operation": "ListTagsForResource"}, "kind": "http500"}]):
            lab.daemon.control("faults", fault)
            with self.subTest(kind=fault[0]):
                result = lab.run("--report", lab.path("report.json"), now=lab.now + 300)
                self.assert_status(result, 0)
                self.assertEqual(len(result.errors("level=warn", "last list", "age=", "from=organization")), 1,
                                 result.err)
                source = self.report(lab)["tenants_found"]["sources"][0]
                self.assertEqual((source["listed"], source["last_list"], source["tenants"]), (made, True, 3))
                self.assertTrue(source["error"]["message"])
                self.assertGreaterEqual(source["age_seconds"], 0)
        self.assert_exact(lab, start=lab.window(NOW)[0])
        lab.daemon.control("faults", method="DELETE")
        self.assert_status(lab.run("--report", lab.path("report.json")), 0)
        source = self.report(lab)["tenants_found"]["sources"][0]
        self.assertEqual((source["last_list"], source["error"]), (False, None))

    def test_status_knows_them_by_it(self):
        """Without credentials and without a network, also one whose every run has failed before it began."""
        lab = self.organization()
        arguments = [MUSTER, "status", "-c", lab.path("muster.yaml", json.dumps(lab.settings)), "--json", "--now", iso(NOW * 1000)]
        how = {"env": {"PATH": os.environ["PATH"]}, "cwd": lab.folder, "capture_output": True, "check": True}
        self.assertEqual(json.loads(subprocess.run(arguments, **how).stdout)["streams"], [])
        self.assert_status(lab.run(), 0)
        os.remove(lab.path("state/tenants/t0002/ecs.json"))
        streams = json.loads(subprocess.run(arguments, **how).stdout)["streams"]
        self.assertEqual({(s["tenant"], s["account"], s["result"], s["configured"]) for s in streams},
                         {(t["id"], t["account"], "never ran" if t["id"] == "t0002" else "ok", True)
                          for t in lab.world.tenants})

    def test_without_one_nothing_can_be_done(self):
        lab = self.organization()
        lab.daemon.control("faults", DENIED)
        result = lab.run()
        self.assert_status(result, 3)
        self.assertEqual(len(result.errors("level=error", "organization", "no earlier list", "AccessDenied")), 1,
                         result.err)
        self.assertFalse(lab.folder_has("lake"))

    def test_outside_an_organization(self):
        lab = self.organization()
        world = {**lab.world.document, "organization": None}
        lab.daemon.stop()
        other = self.lab(document=world)
        other.settings = {**other.settings, "tenants": [], "tenants_from": [
            {"organization": {}, "role": ROLE, "external_id": "none"}]}
        result = other.run()
        self.assert_status(result, 3)
        self.assertTrue(result.errors("AWSOrganizationsNotInUseException"), result.err)

    def test_another_selection_does_not_use_it(self):
        lab = self.organization()
        self.assert_status(lab.run(), 0)
        lab.daemon.control("faults", DENIED)
        self.entry(lab)["tags"] = {"muster": "yes", "tier": "gold"}
        self.assert_status(lab.run(), 3)

    def test_a_damaged_one_is_not_used_and_replaced(self):
        lab = self.organization()
        self.assert_status(lab.run(), 0)
        with open(os.path.join(lab.state, LIST_FILE), encoding="utf-8") as file:
            sound = file.read()
        self.assertNotIn("example.com", sound)
        self.assertNotIn("silver", sound, "a tag that nobody asked for")
        damaged = sound.replace("t0003", "t0009")
        self.assertNotEqual(damaged, sound)
        self.write(lab, damaged)
        lab.daemon.control("faults", DENIED)
        result = lab.run()
        self.assert_status(result, 3)
        self.assertTrue(result.errors("level=warn", "damaged", "checksum"), result.err)
        lab.daemon.control("faults", method="DELETE")
        self.assert_status(lab.run(), 0)
        lab.daemon.control("faults", DENIED)
        self.assert_status(lab.run(), 0)

    def write(self, lab, text):
        path = os.path.join(lab.state, LIST_FILE)
        os.chmod(path, 0o600)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def test_a_dry_run_keeps_none(self):
        lab = self.organization()
        self.assert_status(lab.run("--dry-run"), 0)
        self.assertFalse(os.path.exists(os.path.join(lab.state, LIST_FILE)))


class Linked(Found):
    def linked(self, tenants=3, regions=("eu-west-1",), change=None, flags=(), **more):
        world = document(tenants, regions, **more)
        link(world)
        if change:
            change(world)
        for tenant in world["tenants"]:  # whoever assumes a role is refused
            tenant["deny"] = ["sts:AssumeRole"]
        lab = self.lab(document=world, flags=flags)
        lab.settings["tenants"] = []
        lab.settings["tenants_from"] = [{"linked": {}, "regions": list(regions)}]
        return lab

    def test_metrics_to_the_last_sample(self):
        lab = self.linked(regions=("eu-west-1", "us-east-1"), change=lambda world: world.update(links_page=2))
        self.assert_status(lab.run(), 0)
        self.assert_exact(lab)
        for later in (300, 1800):
            self.assert_status(lab.run(now=NOW + later), 0)
        self.assert_exact(lab, start=lab.window(NOW)[0])
        self.assert_no_violation(lab)
        self.assertNotIn("AssumeRole", self.calls(lab, "sts"))

    def test_log_rows_to_the_last_one(self):
        lab = self.linked(tenants=2, flags=["--logs-paging"], logs={"rate": 1.0})
        lab.settings["jobs"] = {"app": job()}
        lab.settings["sinks"].pop("prom")
        self.assert_status(lab.run(), 0)
        expected = {key: [(iso(ms), *rest) for ms, *rest in rows]
                    for key, rows in expected_rows(lab, *window(NOW)).items()}
        self.assertTrue(expected)
        self.assertEqual(expected, {key: as_tuples(rows) for key, rows in lake_rows(lab).items()})
        self.assert_no_violation(lab)

    def test_a_search_finds_the_tenants_own_metrics_only(self):
        """From a monitoring account it would find those of every linked account: as one series, or as each its own."""
        search = "SEARCH('{ECS/ContainerInsights,ClusterName,ServiceName} CpuUtilized', 'Sum')"
        lab = self.linked()
        lab.settings["jobs"]["ecs"]["from"] = [{"expression": search, "name": "each"},
                                               {"expression": f"SUM({search})", "name": "all"}]
        self.assert_status(lab.run(), 0)
        truth, (start, end) = Truth(lab.world), lab.window()
        each, total = {}, {}
        for tenant, series in truth.series():
            if series.metric == "CpuUtilized" and [name for name, _ in series.dimensions] == ["ClusterName", "ServiceName"]:
                for time, value in zip(*truth.points(series, start, end, 60, "Sum")):
                    each[tenant["account"], dict(series.dimensions)["ServiceName"], time * 1000] = value
                    total[tenant["account"], time * 1000] = total.get((tenant["account"], time * 1000), 0) + value
        found = {name: {} for name in ("each", "all")}
        for key, values in arrivals.stand_in(lab.daemon).items():
            labels = dict(key)
            for ms, value in values.items():
                found[labels["__name__"]][(labels["account_id"], *([labels["service"]] if "service" in labels else []),
                                           ms)] = value
        self.assertTrue(each)
        self.assertEqual(found, {"each": each, "all": total})

    def test_only_where_and_what_is_linked(self):
        def change(world):
            world["links"] = [one for one in world["links"] if (one["account"], one["region"]) !=
                              (world["tenants"][0]["account"], "us-east-1")]
            world["links"][-1]["types"] = ["AWS::XRay::Trace"]
            world["links"][-2]["types"] = ["AWS::XRay::Trace"]
        lab = self.linked(regions=("eu-west-1", "us-east-1"), change=change)
        self.assert_status(lab.run("--report", lab.path("report.json")), 0)
        streams = {(row["tenant"], row["region"]) for row in self.report(lab)["streams"]}
        self.assertEqual(streams, {("t0001", "eu-west-1"), ("t0002", "eu-west-1"), ("t0002", "us-east-1")})

    def test_excluded_and_listed(self):
        lab = self.linked()
        one, two, _ = lab.world.tenants
        lab.settings["tenants_from"][0]["linked"] = {"exclude": [one["account"]]}
        lab.settings["tenants"] = [{"id": "by-hand", "account": two["account"], "linked": True}]
        self.assert_status(lab.run(), 0)
        self.assertEqual(self.tenants(lab), {"by-hand", "t0003"})

    def test_a_link_that_went_fails_its_tenant_alone(self):
        lab = self.linked()
        lab.settings["run"] = {"cell_deadline": "2s"}
        gone = lab.world.tenants[1]
        lab.settings["tenants"] = [{"id": tenant["id"], "account": tenant["account"], "linked": True}
                                   for tenant in lab.world.tenants]
        lab.settings["tenants_from"] = []
        self.assert_status(lab.run(), 0)
        self.assert_exact(lab)
        world = {**lab.world.document,
                 "links": [one for one in lab.world.document["links"] if one["account"] != gone["account"]]}
        lab.daemon.stop()
        other = self.lab(document=world, now=NOW + 300)
        other.settings = {**lab.settings, "sinks": other.settings["sinks"]}
        result = other.run()
        self.assert_status(result, 1)
        self.assertTrue(result.errors("level=error", gone["id"], "Forbidden"), result.err)
        self.assertFalse(result.errors("level=error", "t0003"), result.err)

    def test_the_list_cannot_be_had(self):
        lab = self.linked()
        lab.daemon.control("faults", [{"match": {"service": "oam"}, "kind": "denied"}])
        self.assert_status(lab.run(), 3)
        lab.daemon.control("faults", method="DELETE")
        self.assert_status(lab.run(), 0)
        lab.daemon.control("faults", [{"match": {"service": "oam", "operation": "ListAttachedLinks"}, "kind": "denied"}])
        result = lab.run(now=NOW + 300)
        self.assert_status(result, 0)
        self.assertTrue(result.errors("level=warn", "last list", "from=linked", "age="), result.err)
        self.assert_exact(lab, start=lab.window(NOW)[0])


class Replayed(Found, ReplayCase):
    def test_of_an_organization_without_names(self):
        lab = self.organization()
        self.record(lab, "--scrub")
        self.replay(lab, "-o", "out")
        self.replay(lab, "--expect", "out", "--bytes")
        text = "\n".join(unpacked(lab.path("tape.tar.zst")).values())
        self.assertIn("ListAccounts", text)
        for word in ("example.com", "Tenant", "t0001", "abcdefghij", "Management", "gold",
                     *(tenant["account"] for tenant in lab.world.tenants),
                     *(tenant["external_id"] for tenant in lab.world.tenants)):
            self.assertNotIn(word, text)

    def test_of_linked_accounts(self):
        world = document(2)
        link(world)
        lab = self.lab(document=world)
        lab.settings["tenants"] = []
        lab.settings["tenants_from"] = [{"linked": {}}]
        self.record(lab)
        self.assert_exact(lab)
        self.assert_replays(lab)

    def test_without_external_ids_in_tags(self):
        lab = self.organization()
        self.record(lab)
        text = "\n".join(unpacked(lab.path("tape.tar.zst")).values())
        self.assertIn("ListTagsForResource", text)
        for tenant in lab.world.tenants:
            self.assertNotIn(tenant["external_id"], text)
        self.assertNotIn("example.com", text)

    def test_after_the_last_list_was_used(self):
        lab = self.organization()
        self.assert_status(lab.run("--tenant", "t0001"), 0)
        lab.daemon.control("faults", DENIED)
        self.record(lab)
        self.replay(lab, "-o", "out")
        self.assertEqual(windows(lab.world, 0, 1).keys(), self.tenants(lab))


if __name__ == "__main__":
    unittest.main()
