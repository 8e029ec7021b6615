#!/usr/bin/python3
"""How far one process goes, and what is in the way after that.

    tests/bench/scale.py [--tenants 1,10,100,1000] [--latency 30-300] [--series 24]      (make scale)

First measured: whole runs of muster against pages (pages.c) over TLS, each call answered after something between 30 and 300
milliseconds, one cell of five minutes a tenant, to a receiver and a lake on disk. Then worked out from these runs and from
what AWS grants by default (its pages on quotas, April 2026): how many tenants can be done before the next schedule is due,
for each thing that could be in the way, the nearest first. State and lake on S3 are calls that these runs do not make; they
are in that second part by their number.
"""
import argparse
import json
import os
import re
import sys

from bench import Bench, MUSTER, NOW, WORKERS

MINUTES = 10        # a first run's `lookback`, of which five are due: one cell
PASS = 240          # seconds that a run may take where one is started every five minutes
RUNS_A_MONTH = 30 * 24 * 12
PUT_DOLLARS = 0.005 / 1000
# On S3, of a tenant and job in a run that finds one cell due, as the stand-in of the tests counts them: checkpoint and object
# are looked for; the generation before, the lease, the object and the checkpoint are written.
S3_WRITES, S3_CALLS = 4, 6
# Calls a second, and whose: AWS's defaults.
STS, S3_PREFIX, REMOTE_WRITE = 600, 3500, 3000
DATA_CALLS, LIST_CALLS = 500, 25


def measure(bench, tenants, series):
    """A row of the table."""
    bench.configure(tenants, MINUTES, ["prom", "lake"])
    report = bench.path("report.json")
    cpu, rss, wall = bench.run([MUSTER, "run", "-q", "-c", bench.path("muster.yaml"), "--now", NOW, "--report", report])
    samples, *_ = bench.checked(series, MINUTES, tenants, cpu, rss, wall)
    with open(report, encoding="utf-8") as file:
        document = json.load(file)
    calls = {}
    for row in document["calls"]:
        calls[row["operation"]] = calls.get(row["operation"], 0) + row["calls"]
    return {"tenants": tenants, "samples": samples, "wall": wall, "cpu": cpu, "rss": rss, "calls": calls,
            "dollars": document["totals"]["estimated_dollars"]}


def show(rows):
    print(f"{'tenants':>8} {'wall s':>7} {'CPU s':>7} {'peak MiB':>9} {'calls':>7} {'calls/s':>8} {'$ a run':>9} {'$ a month':>10}")
    for row in rows:
        calls = sum(row["calls"].values())
        month = (row["dollars"] + row["tenants"] * S3_WRITES * PUT_DOLLARS) * RUNS_A_MONTH
        print(f"{row['tenants']:8,} {row['wall']:7.1f} {row['cpu']:7.2f} {row['rss']:9.1f} {calls:7,} {calls / row['wall']:8.0f} "
              f"{row['dollars']:9.5f} {month:10,.2f}", flush=True)
    print(f"$ a month: a run every five minutes, with {S3_WRITES} PUTs a tenant where state and lake are on S3")


def own_limit(name):
    """What muster asks for at most unless run.limits says otherwise, by its own help."""
    with os.popen(f"{MUSTER} help config") as out:
        return int(re.search(rf"^ +{name} +\(rate; default (\d+)/s\)", out.read(), re.MULTILINE).group(1))


def bounds(row, latency):
    """[(tenants a pass, what is in the way, what to do)], the nearest first. Of operations that a run does for each tenant:
    quotas of tenants' own accounts are there once for each tenant, so they are in nobody's way."""
    each = {name: number / row["tenants"] for name, number in row["calls"].items()}
    a_tenant = sum(each.values()) * (latency[0] + latency[1]) / 2000 + S3_CALLS * latency[0] / 1000
    own = {name: own_limit(name) for name in ("sts", "cloudwatch_list_metrics", "cloudwatch_get_metric_data")}
    return sorted([
        (WORKERS * PASS / a_tenant, f"{WORKERS} workers that wait {a_tenant:.1f} s for each tenant",
         "run.workers (up to 1,024), then shards"),
        (row["tenants"] * PASS / row["cpu"], "one processor", "shards"),
        (own["sts"] * PASS / each["AssumeRole"], f"run.limits, sts: {own['sts']}/s of each process", "shards"),
        (STS * PASS / each["AssumeRole"], f"STS: {STS}/s of the central account, all shards together",
         "divide run.limits, sts, by the shards; have it raised"),
        (S3_PREFIX * PASS / S3_WRITES, f"S3: {S3_PREFIX:,} writes/s of a prefix, all shards together",
         "nothing: S3 divides prefixes that are busy, and what it refuses meanwhile is tried again"),
        (REMOTE_WRITE * PASS / each["RemoteWrite"], f"AMP: {REMOTE_WRITE:,} remote writes/s of a workspace",
         "have it raised; several workspaces"),
        (own["cloudwatch_list_metrics"] * PASS / each["ListMetrics"], "linked accounts only: run.limits, "
         f"cloudwatch_list_metrics: {own['cloudwatch_list_metrics']}/s (AWS: {LIST_CALLS}/s of the monitoring account)",
         "roles instead of links; discover_every"),
        (own["cloudwatch_get_metric_data"] * PASS / each["GetMetricData"], "linked accounts only: run.limits, "
         f"cloudwatch_get_metric_data: {own['cloudwatch_get_metric_data']}/s (AWS: {DATA_CALLS}/s)", "raise it; roles instead of links"),
    ])


def main():
    parser = argparse.ArgumentParser(description="how far one process goes")
    parser.add_argument("--tenants", default="1,10,100,1000", help="numbers of tenants (10000: some minutes more)")
    parser.add_argument("--latency", default="30-300", metavar="MS-MS")
    parser.add_argument("--series", type=int, default=24, help="of a tenant")
    args = parser.parse_args()
    latency = [int(part) for part in args.latency.split("-")]
    if len(latency) != 2:
        sys.exit("scale: --latency: expected MS-MS")
    bench = Bench()
    try:
        bench.serve("--series", args.series, "--latency", args.latency)
        print(f"measured: {args.series} series a tenant, one cell, {args.latency} ms a call, {WORKERS} workers, TLS")
        rows = [measure(bench, int(number), args.series) for number in args.tenants.split(",")]
    finally:
        bench.close()
    show(rows)
    print(f"\nworked out: tenants in {PASS} s, the nearest bound first")
    for tenants, what, remedy in bounds(rows[-1], latency):
        print(f"{tenants:12,.0f}  {what}: {remedy}")


if __name__ == "__main__":
    main()
