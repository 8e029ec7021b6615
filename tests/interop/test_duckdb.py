"""The lake as DuckDB reads it, which knows nothing of muster: compressed JSON lines with partitions in their names. Rows,
samples and their times must be the truth, from files and, through DuckDB's own S3 client, from versitygw.
"""
import collections
import datetime
import glob
import math
import os
import time
import unittest

import duckdb
import duckdb_extension_httpfs

from gateway import BINARY, BUCKET, GatewayCase

import tables
from expected import Expected, windows
from lab import NOW, REGION
from spans import covered, true_spans
from standin.traces import TICK

EXTENSION, = glob.glob(os.path.join(os.path.dirname(duckdb_extension_httpfs.__file__), "extensions", "*", "httpfs.*"))
MIDNIGHT = NOW // 86400 * 86400
TYPES = {"ts": "TIMESTAMP", "tenant": "VARCHAR", "account_id": "VARCHAR", "region": "VARCHAR", "job": "VARCHAR",
         "name": "VARCHAR", "stat": "VARCHAR", "unit": "VARCHAR", "period": "BIGINT",
         "labels": 'STRUCT("cluster" VARCHAR, service VARCHAR)', "values": "DOUBLE[]", "dt": "DATE", "hh": "VARCHAR"}
# A row has a cell's values, one each period from its ts on.
SAMPLES = """CREATE VIEW samples AS
    SELECT * EXCLUDE ("values", nth), ts + to_seconds(nth * period) AS moment
    FROM (SELECT *, unnest("values") AS value, unnest(range(len("values"))) AS nth FROM lake)
    WHERE value IS NOT NULL"""
# Functions of Athena's that DuckDB has by another name, or with its arguments in another order.
DIALECT = """
    CREATE MACRO from_iso8601_timestamp(text) AS text::TIMESTAMPTZ AT TIME ZONE 'UTC';
    CREATE MACRO date_format(day, format) AS strftime(day, format);
    CREATE MACRO date_add(unit, amount, moment) AS moment + to_seconds(amount);
    CREATE MACRO element_at(entries, key) AS entries[key];
    CREATE MACRO json_extract_scalar(text, path) AS json_extract_string(text, path);"""
DUCK_TYPES = {"string": "VARCHAR", "bigint": "BIGINT", "int": "INTEGER", "double": "DOUBLE", "array<double>": "DOUBLE[]",
              "map<string,string>": "MAP(VARCHAR, VARCHAR)", "array<map<string,string>>": "MAP(VARCHAR, VARCHAR)[]",
              "struct<code:int,message:string>": 'STRUCT(code INTEGER, "message" VARCHAR)',
              "struct<name:string,version:string>": 'STRUCT("name" VARCHAR, "version" VARCHAR)',
              "struct<attributes:array<map<string,string>>>": "STRUCT(attributes MAP(VARCHAR, VARCHAR)[])"}


def connect():
    """DuckDB that fetches nothing by itself; it loads only what bears its makers' signature."""
    return duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})


def define(database, url):
    """The views `lake`, of rows, and `samples`, of single values."""
    database.execute(f"CREATE VIEW lake AS FROM read_json_auto('{url}/ecs/**/*.ndjson.zst', hive_partitioning = true)")
    database.execute(SAMPLES)


def identified(database):
    """{identity: {ms: value}}, in the receivers' shape."""
    found = {}
    rows = database.execute("SELECT labels, name, tenant, account_id, region, epoch_ms(moment), value FROM samples")
    for labels, name, tenant, account, region, ms, value in rows.fetchall():
        labels.update(__name__=name, tenant=tenant, account_id=account, region=region)
        found.setdefault(tuple(sorted(labels.items())), {})[ms] = value
    return found


class DuckDB(GatewayCase):
    def files(self):
        """A lake of two days, as files."""
        lab = self.lab(tenants=3, now=MIDNIGHT + 1200)
        self.settle(lab)
        spans = windows(lab.world, *lab.window())
        database = connect()
        define(database, lab.lake)
        return lab, spans, database

    def test_types(self):
        _, _, database = self.files()
        self.assertEqual({row[0]: row[1] for row in database.execute("DESCRIBE lake").fetchall()}, TYPES)

    def test_every_sample_at_its_time(self):
        lab, spans, database = self.files()
        self.assert_received(lab, spans, identified(database))

    def test_counts_and_sums_of_tenants(self):
        lab, spans, database = self.files()
        objects = Expected(lab.world).objects(spans)
        rows = database.execute("SELECT tenant, account_id, count(*) FROM lake GROUP BY ALL").fetchall()
        sums = database.execute("SELECT tenant, count(*), fsum(value) FROM samples GROUP BY ALL").fetchall()
        self.assertEqual(len(rows), 3)
        for tenant, account, count in rows:
            true = [row for cell in objects.values() for row in cell if row["tenant"] == tenant]
            self.assertEqual((account, count), (true[0]["account_id"], len(true)))
        for tenant, count, total in sums:
            values = [value for cell in objects.values() for row in cell if row["tenant"] == tenant
                      for value in row["values"].values()]
            self.assertEqual(count, len(values))
            self.assertTrue(math.isclose(total, math.fsum(values), rel_tol=1e-12), (total, math.fsum(values)))

    def test_partitions_are_days_and_hours(self):
        lab, spans, database = self.files()
        wanted = {}
        for key, rows in Expected(lab.world).objects(spans).items():
            part = tuple(name.partition("=")[2] for name in key.split("/")[1:-1])
            wanted[part] = wanted.get(part, 0) + len(rows)
        found = database.execute("SELECT tenant, region, dt::VARCHAR, hh, count(*) FROM lake GROUP BY ALL").fetchall()
        self.assertEqual({row[:-1]: row[-1] for row in found}, wanted)
        self.assertEqual({row[2] for row in found}, {"2025-12-31", "2026-01-01"})

    @unittest.skipUnless(os.access(BINARY, os.X_OK), "versitygw was not built")
    def test_every_sample_through_s3(self):
        lab = self.gateway_lab(tenants=3)
        self.settle(lab)
        keys = lab.world.central
        database = connect()
        database.execute(f"LOAD '{EXTENSION}'")
        database.execute(f"""CREATE SECRET (TYPE s3, KEY_ID '{keys["access_key"]}', SECRET '{keys["secret_key"]}',
            ENDPOINT '{lab.address}', REGION '{REGION}', URL_STYLE 'path', USE_SSL false)""")
        define(database, f"s3://{BUCKET}/telemetry")
        self.assert_received(lab, windows(lab.world, *lab.window()), identified(database))


class Athena(GatewayCase):
    """The tables that `muster help athena` prints, with their columns and types as they are there, and its questions, word for
    word, but for the functions of DIALECT."""

    def asked(self):
        lab = self.lab(tenants=3, now=int(time.time()) // 300 * 300)
        lab.settings["jobs"].update(tables.JOBS)
        lab.daemon.control("rw/policy", {"max_age": 1200})  # so that some samples are refused
        self.assertIn(lab.run().status, (0, 1))
        found, queries, _ = tables.printed(lab)
        database = connect()
        database.execute(DIALECT)
        for table in found:
            keys = {table.keys.get(name, name): kind for name, kind in {**table.columns, **table.partitions}.items()}
            columns = ", ".join(f"'{key}': '{DUCK_TYPES[kind]}'" for key, kind in keys.items())
            named = ", ".join(f'"{key}" AS {name}' for name, key in table.keys.items())
            partitions = ", ".join(f"'{name}': VARCHAR" for name in table.partitions)
            database.execute(f"""CREATE VIEW "{table.name}" AS SELECT {named}, {", ".join(table.partitions)} FROM read_json('{table.location}**/*.ndjson.zst',
                format = 'newline_delimited', columns = {{{columns}}}, hive_partitioning = true, hive_types = {{{partitions}}})""")
        return lab, database, queries

    def test_every_question_has_an_answer(self):
        _, database, queries = self.asked()
        self.assertGreater(len(queries), 8)
        for query in queries:
            with self.subTest(query):
                self.assertTrue(database.execute(query).fetchall())

    def test_answers_are_the_truth(self):
        lab, database, queries = self.asked()
        rows = [row for cell in Expected(lab.world).objects(windows(lab.world, *lab.window())).values() for row in cell]

        def samples(tenant, name):
            return [item for row in rows if row["tenant"] == tenant and row["name"] == name for item in row["values"].items()]

        def values(tenant, name):
            return [value for _, value in samples(tenant, name)]

        def answer(words):
            (query,) = [query for query in queries if words in query]
            return database.execute(query).fetchall()

        self.assertEqual(sorted((moment.replace(tzinfo=datetime.timezone.utc).timestamp(), value)
                                for moment, _, value in answer("AS moment")), sorted(samples("t0001", "ecs_task_cpu_utilized")))
        self.assertEqual(max(highest for *_, highest in answer("AS highest")), max(values("t0001", "ecs_task_memory_utilized")))
        for tenant, used, reserved, share in answer("AS share"):
            self.assertTrue(math.isclose(used, math.fsum(values(tenant, "ecs_task_cpu_utilized")), rel_tol=1e-12))
            self.assertTrue(math.isclose(share, used / reserved, rel_tol=1e-12))
        self.assertEqual({(name, tenants) for name, _, _, tenants, _ in answer("AS cells")}, {(row["name"], 3) for row in rows})

    def test_answers_about_traces_are_the_truth(self):
        lab, database, queries = self.asked()
        spans = {span.id: (tenant["id"], span) for tenant, _, _, span in true_spans(lab.world, *covered(lab.now, lab.now))}
        served = [(tenant, span) for tenant, span in spans.values() if span.kind == 2 or not span.parent]

        def answer(words):
            (query,) = [query for query in queries if words in query]
            return database.execute(query).fetchall()

        def lasted(span):
            return (span.end - span.start) / TICK

        for tenant, service, calls, failed, mean in answer("AS mean_seconds"):
            own = [span for whose, span in served if (whose, span.service) == (tenant, service)]
            self.assertEqual((calls, failed), (len(own), sum(1 for span in own if span.fate)))
            self.assertTrue(math.isclose(mean, math.fsum(map(lasted, own)) / len(own), rel_tol=1e-9))
        calls = collections.Counter((tenant, spans[span.parent][1].service, span.service)
                                    for tenant, span in spans.values() if span.parent)
        self.assertEqual({tuple(row[:3]): row[3] for row in answer("AS caller")},
                         {row: n for row, n in calls.items() if row[1] != row[2]})
        roots = sorted((lasted(span) for tenant, span in spans.values() if tenant == "t0001" and not span.parent), reverse=True)
        self.assertEqual([round(row[-1], 6) for row in answer("AS seconds")], [round(one, 6) for one in roots[:50]])
        methods = collections.Counter((span.service, span.attributes["http.request.method"]) for tenant, span in spans.values()
                                      if tenant == "t0001" and "http.request.method" in span.attributes)
        self.assertEqual({tuple(row[:2]): row[2] for row in answer("http.request.method")}, methods)


if __name__ == "__main__":
    unittest.main()
