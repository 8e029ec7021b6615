#!/usr/bin/python3
"""`muster help athena`: each job's table has the columns that its lines in the lake really have, of the types that they have, and
the present tenants; and it needs no network for that.
"""
import json
import os
import subprocess
import unittest

import arrivals
import tables
from lab import MUSTER, NOW, Case, Lab
from standin.world import organize

# A value of a column, by Hive's type.
TYPES = {"string": str, "bigint": int, "int": int, "double": (int, float), "map<string,string>": dict, "array<double>": list}
TYPES.update({"array<map<string,string>>": list, "struct<code:int,message:string>": dict,
              "struct<name:string,version:string>": dict, "struct<attributes:array<map<string,string>>>": dict})
# A span's ids are there twice, and some keys only where there is something to say.
TWICE = {"traceId", "spanId"}
SELDOM = {"traceState", "flags", "droppedAttributesCount", "events", "links", "scope"}
PARTITIONS = ["tenant", "region", "dt", "hh"]


class Athena(Case):
    def lab(self, **named):
        lab = super().lab(**named)
        lab.settings["jobs"].update(tables.JOBS)
        return lab

    @staticmethod
    def rows(location):
        folder = location.removeprefix("file://")
        return [json.loads(line) for key in arrivals.lake_keys(folder)
                for line in arrivals.unpack(os.path.join(folder, key)).splitlines()]

    def test_columns_are_the_keys_of_the_lines(self):
        lab = self.lab(tenants=2)
        lab.daemon.control("rw/policy", {"max_age": 1200})  # so that some samples are refused
        self.assertIn(lab.run().status, (0, 1))
        found, _, _ = tables.printed(lab)
        self.assertEqual([table.name for table in found], ["ecs", "ecs_rejected", "alarms", "traces", "app_logs"])
        for table in found:
            with self.subTest(table.name):
                rows = self.rows(table.location)
                self.assertTrue(rows, f"nothing below {table.location}")
                keys = {key for row in rows for key in row} - {"tenant", "region"}
                twice, seldom = (TWICE, SELDOM) if table.name == "traces" else (set(), set())
                self.assertEqual(keys - seldom - twice, set(table.keys.values()) - seldom)
                self.assertEqual([name for name in table.columns if name != name.lower()], [])
                self.assertEqual(list(table.partitions), PARTITIONS)
                for name, key in table.keys.items():
                    for value in (row[key] for row in rows if row.get(key) is not None):
                        self.assertIsInstance(value, TYPES[table.columns[name]], (name, value))
                self.projected(lab, table)

    def projected(self, lab, table):
        """The folders that Athena would look in, worked out from the properties, are those that there are."""
        wanted = {"enabled": "true", "tenant.type": "enum", "tenant.values": "t0001,t0002", "region.type": "enum",
                  "region.values": "eu-west-1", "dt.type": "date", "dt.format": "yyyy-MM-dd", "dt.range": "2020-01-01,NOW",
                  "hh.type": "integer", "hh.range": "0,23", "hh.digits": "2"}
        template = table.properties.pop("storage.location.template")
        self.assertEqual(table.properties, {f"projection.{name}": value for name, value in wanted.items()})
        self.assertEqual(template, table.location + "".join(f"{name}=${{{name}}}/" for name in PARTITIONS))
        folders = {os.path.dirname(key) for key in arrivals.lake_keys(table.location.removeprefix("file://"))}
        looked = set()
        for tenant in wanted["tenant.values"].split(","):
            for day in ("2025-12-31", "2026-01-01"):
                for hour in range(24):
                    there = template
                    for name, value in zip(PARTITIONS, (tenant, "eu-west-1", day, f"{hour:02d}")):
                        there = there.replace(f"${{{name}}}", value)
                    looked.add(there.removeprefix(table.location).rstrip("/"))
        self.assertLessEqual(folders, looked)
        self.assertLess(NOW, 1767312000, "another day than those looked at")

    def test_questions_are_of_these_tables_and_say_the_day(self):
        lab = self.lab(tenants=2)
        self.assert_status(lab.run(), 0)
        found, queries, _ = tables.printed(lab)
        names = {table.name for table in found}
        self.assertGreaterEqual(len(queries), 2 * len(names))
        for name in names:
            own = [query for query in queries if f'FROM "{name}"' in query]
            self.assertTrue(own, name)
            self.assertTrue(any("tenant = 't0001'" not in query for query in own), f"{name}: none across tenants")
        for query in queries:
            self.assertIn("dt >= ", query)

    def test_jobs_of_some_tenants_and_names_that_become_one(self):
        lab = self.lab(tenants=3)
        lab.settings["tenants"][2]["jobs"] = ["ecs"]
        lab.settings["tenants"][1]["regions"] = ["us-east-1", "eu-west-1"]
        lab.settings["jobs"]["app.logs"] = lab.settings["jobs"]["app-logs"]
        lab.settings["jobs"]["nobodys"] = lab.settings["jobs"]["alarms"]
        for tenant in lab.settings["tenants"][:2]:
            tenant["jobs"] = ["ecs", "alarms", "app-logs", "app.logs"]
        found, _, text = tables.printed(lab)
        have = {table.name: table.properties for table in found}
        self.assertEqual(have["ecs"]["projection.tenant.values"], "t0001,t0002,t0003")
        self.assertEqual(have["alarms"]["projection.tenant.values"], "t0001,t0002")
        self.assertEqual(have["alarms"]["projection.region.values"], "eu-west-1,us-east-1")
        self.assertEqual({table.location.split("/")[-2] for table in found if table.name.startswith("app_logs")},
                         {"app-logs", "app.logs"})
        self.assertEqual(len(have), len(found), "two tables of one name")
        self.assertNotIn("nobodys", have)
        self.assertIn("No tenant has this job", text)

    def test_tenants_that_were_found(self):
        """By the last run: there is nobody to be asked any more."""
        document = Lab.document(3)
        for tenant in document["tenants"]:
            tenant["role"] = f"arn:aws:iam::{tenant['account']}:role/muster-reader"
        organize(document)
        document["organization"]["delegated"] = [document["central"]["account"]]
        lab = self.lab(document=document)
        lab.settings.update(tenants=[], tenants_from=[{
            "organization": {"id_tag": "tenant"}, "role": "muster-reader", "external_id": "{tag:external}"}])
        self.assertIn(lab.run().status, (0, 1))
        lab.daemon.stop()
        found, _, _ = tables.printed(lab)
        self.assertEqual(found[0].properties["projection.tenant.values"], "t0001,t0002,t0003")

    def test_more_tenants_than_a_statement_may_name(self):
        lab = self.lab(tenants=1)
        one = lab.settings["tenants"][0]
        lab.settings["tenants"] = [{**one, "id": f"tenant-with-a-long-name-{n:05d}", "account": f"{n:012d}", "role": "r"}
                                   for n in range(8000)]
        found, _, text = tables.printed(lab)
        self.assertEqual(found[0].properties["projection.tenant.type"], "injected")
        self.assertNotIn("projection.tenant.values", found[0].properties)
        self.assertIn("has to name", text)
        self.assertLess(max(len(one) for one in text.split(";\n")), 262144)

    def test_without_a_configuration(self):

        lab = self.lab(tenants=1)
        done = subprocess.run([MUSTER, "help", "athena"], cwd=lab.folder, env=lab.environment(), capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("no configuration", done.stderr)


if __name__ == "__main__":
    unittest.main()
