#!/usr/bin/python3
"""What whole runs cost, measured side by side in one session on one machine.

    tests/bench/bench.py [--size small|full] [--rounds N] [--beside NAME,...] [--svg FILE]      (make bench)

pages (tests/bench/pages.c) serves made pages over TLS on loopback and takes what is pushed. Each subject is started, with
everything it needs, as one process; its CPU seconds and peak memory are what the kernel says of it when it ends. In each
round every subject runs once; of the rounds the median is shown. A result that lacks a sample is no result.

  metrics    muster from CBOR and from JSON, to remote write and a lake, and to remote write alone; the same by a script
             of the kind that muster replaces (script.py: boto3, threads), and by an exporter that is scraped (rivals.py)
  logs       muster's Insights job, rows in and compressed objects out, both over TLS, beside the bare pipe on the same
             bytes: curl | zstd -3, and curl that sends what came of it; and a log shipper (rivals.py)
  memory     muster for one tenant with one cell of logs of 1 kB, and of 1 GB
  growth     muster for 1, 10, 100, ... tenants
  latency    muster against a service that answers after 50 ms
  start      until the first request comes
"""
import argparse
import json
import os
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from math import log

import rivals
import spent

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
MUSTER = os.environ.get("MUSTER", os.path.join(ROOT, "build", "muster"))
PAGES = os.path.join(ROOT, "build", "bench", "pages")
NOW = "2026-01-01T04:00:00Z"
WORKERS = 32
BUDGET = {"JSON to both": 1.5, "CBOR to both": 1.5, "CBOR to remote write": 0.5}  # microseconds of CPU a sample
RSS_BUDGET = 48                                                                   # MiB
FIVE, YACE = "CBOR, five minutes", "YACE and vmagent"
ALIKE = "JSON, script's tenants"
OURS, PIPE, AS_THEY_ARE, EACH_ROW = "muster to S3", "curl | zstd -3, curl", "Benthos, whole pages", "Benthos, each row"
SHORT = (("CBOR to both", "muster, CBOR"), ("JSON to both", "muster, JSON"), (FIVE, "muster, 5 min."),
         ("boto3 script to both", "boto3 script"), (YACE, "YACE, vmagent"), (OURS, "muster to S3"), (PIPE, "curl, zstd, curl"),
         (AS_THEY_ARE, "Benthos, pages"), (EACH_ROW, "Benthos, rows"))  # in the plot
EVENT = "upstream took too long"                                       # each row of logs has it once
SIZES = {
    # series, minutes, tenants of: the metrics table, the script, growth, latency, logs; and milliseconds from event to event
    # in the large cell
    "small": (500, 95, 24, 4, (1, 10, 100, 1000), 1000, 3, 30),
    "full": (500, 95, 240, 24, (1, 10, 100, 1000, 10000), 1000, 24, 3),
}


class Bench:
    """A folder in memory, a certificate, and the server."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="muster-bench.", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out",
                        "cert.pem", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                       cwd=self.folder, check=True, capture_output=True)
        self.trust = ssl.create_default_context(cafile=self.path("cert.pem"))
        self.server = None
        os.mkdir(self.path("kept"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def serve(self, *flags):
        """Start the server anew with these flags."""
        self.stop()
        self.server = subprocess.Popen([PAGES, self.path("port"), "--tls", self.path("cert.pem"), self.path("key.pem"),
                                        *map(str, flags)])
        deadline = time.monotonic() + 10
        while not (os.path.exists(self.path("port")) and os.path.getsize(self.path("port"))):
            if time.monotonic() > deadline:
                sys.exit("bench: the server did not start")
            time.sleep(0.01)
        with open(self.path("port"), encoding="ascii") as file:
            self.url = f"https://localhost:{file.read().strip()}"

    def stop(self):
        if self.server:
            self.server.kill()
            self.server.wait()
            os.remove(self.path("port"))
            self.server = None

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stats(self):
        """What came since the last time, and forget it."""
        with urllib.request.urlopen(self.url + "/stats", context=self.trust, timeout=10) as answer:
            return json.load(answer)

    def environment(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MUSTER_"))}
        return {**kept, "AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench",
                "AWS_CA_BUNDLE": self.path("cert.pem"), "AWS_REGION": "eu-west-1", "HOME": self.folder}

    def configure(self, tenants, minutes, sinks, logs=None):
        """`logs`: the keys of an Insights job that stands in the place of the one for metrics."""
        document = {
            "region": "eu-west-1", "state": f"file://{self.path('state')}",
            "tenants": [{"id": f"t{n:05}", "account": str(200000000000 + n), "role": "reader", "external_id": "bench"}
                        for n in range(tenants)],
            "jobs": {"app": {"kind": "insights", "log_groups": ["/ecs/app"], "to": sinks, **logs,
                             "query": "fields @timestamp, @logStream, @message, level"}} if logs else
                    {"ecs": {"kind": "metrics", "to": sinks, "lookback": f"{minutes}m"}},
            "sinks": {name: conf for name, conf in {
                "prom": {"kind": "remote_write", "url": self.url + "/api/v1/write"},
                "lake": {"kind": "objects", "url": f"file://{self.path('lake')}"},
                "s3": {"kind": "objects", "url": "s3://bench/lake"}}.items() if name in sinks},
            "run": {"workers": WORKERS, "limits": {"logs_start_query": "1000/s", "logs_get_query_results": "1000/s"}}}
        with open(self.path("muster.yaml"), "w", encoding="ascii") as file:
            json.dump(document, file)

    def run(self, command):
        """(CPU seconds, MiB, wall seconds) of a process, which must succeed and leave nothing behind."""
        self.stats()
        began = time.monotonic()
        process = spent.Process(self, command)
        try:
            cpu, rss, code = process.result()
        finally:
            process.kill()
        wall = time.monotonic() - began
        if code:
            sys.exit(f"bench: {command[0]}: exit {code}")
        for name in ("state", "lake"):
            shutil.rmtree(self.path(name), ignore_errors=True)
        return cpu, rss, wall

    def muster(self, series, minutes, tenants, sinks):
        """One run, checked: (samples, CPU, MiB, wall, calls)."""
        self.configure(tenants, minutes, sinks)
        cpu, rss, wall = self.run([MUSTER, "run", "-q", "-c", self.path("muster.yaml"), "--now", NOW])
        return self.checked(series, minutes, tenants, cpu, rss, wall)

    def muster_logs(self, tenants, sinks, events, stats, **keys):
        """One run that pulls so many events: (CPU, MiB, wall); what the server counted is put into `stats`."""
        self.configure(tenants, 0, sinks, keys)
        used = self.run([MUSTER, "run", "-q", "-c", self.path("muster.yaml"), "--now", NOW])
        stats.update(self.stats())
        if stats["rows"] < events:
            sys.exit(f"bench: {stats['rows']} rows were asked for, {events} were expected")
        return used

    def all_rows(self, used, events):
        """`used`, if each event is once in the objects that came since the last time, which are forgotten."""
        folder = self.path("kept")
        count = subprocess.run(f"zstd -qdc {folder}/* | tr '}}' '\\n' | LC_ALL=C grep -c '{EVENT}'", shell=True,
                               check=False, capture_output=True)
        found = int(count.stdout)
        for name in os.listdir(folder):
            os.remove(os.path.join(folder, name))
        if found != events:
            raise rivals.Failed(f"{found} rows arrived, {events} were expected")
        return used

    def pipe(self, pages):
        """The pages of results that the server remembers, moved by curl and zstd: (CPU, MiB, wall)."""
        curl = f"curl -sSf --cacert {self.path('cert.pem')}"
        return self.run(["sh", "-c", f"{curl} '{self.url}/results/[0-{pages - 1}]' | zstd -q -3 -o lake.zst && "
                         f"{curl} -T lake.zst -o answer {self.url}/bench/lake.zst && rm lake.zst answer"])

    def script(self, series, minutes, tenants):
        command = ["/usr/bin/python3", os.path.join(HERE, "script.py"), self.path("lake"), str(tenants), str(minutes), NOW]
        cpu, rss, wall = self.run(command)
        return self.checked(series, minutes, tenants, cpu, rss, wall)

    def checked(self, series, minutes, tenants, cpu, rss, wall):
        stats = self.stats()
        expected = series * (minutes - 5) * tenants  # what is younger than `delay` is not due
        if stats["samples"] != expected:
            sys.exit(f"bench: {stats['samples']} samples arrived, {expected} were expected")
        return expected, cpu, rss, wall, stats["calls"], stats["asked"]


class Found:
    """What each subject's rounds cost. One that failed has no figures; what failed is said at once."""

    def __init__(self, names):
        self.rounds, self.failed = {name: [] for name in names}, set()

    def add(self, name, run):
        try:
            self.rounds[name].append(run())
        except rivals.Failed as why:
            self.failed.add(name)
            print(f"{name}: no figures: {why}", flush=True)

    def measured(self):
        return [name for name in self.rounds if name not in self.failed]

    def median(self, name):
        if name in self.failed:
            sys.exit(f"bench: {name} has no figures")
        return [statistics.median(column) for column in zip(*self.rounds[name])]


def rule(title):
    print(f"\n{title}")


def metrics(bench, size, rounds, beside):
    series, minutes, tenants, script_tenants, *_ = size
    subjects = {
        "CBOR to both": ([], lambda: bench.muster(series, minutes, tenants, ["prom", "lake"])),
        "JSON to both": (["--no-cbor"], lambda: bench.muster(series, minutes, tenants, ["prom", "lake"])),
        "CBOR to remote write": ([], lambda: bench.muster(series, minutes, tenants, ["prom"])),
        "JSON to remote write": (["--no-cbor"], lambda: bench.muster(series, minutes, tenants, ["prom"])),
        ALIKE: (["--no-cbor"], lambda: bench.muster(series, minutes, script_tenants, ["prom", "lake"])),
        "boto3 script to both": ([], lambda: bench.script(series, minutes, script_tenants)),
    }
    exported = min(tenants, rivals.TENANTS)
    if "yace" in beside:
        subjects[FIVE] = ([], lambda: bench.muster(series, 10, exported, ["prom"]))
        subjects[YACE] = ([], lambda: rivals.yace(bench, series, exported))
    found = Found(subjects)
    for _ in range(rounds):
        for name, (flags, run) in subjects.items():
            bench.serve("--series", series, *flags)
            found.add(name, run)
    rule(f"metrics: {tenants} tenants (the script: {script_tenants}, YACE: {exported}), {series} series, {minutes - 5} minutes, TLS")
    print(f"{'':22} {'samples':>9} {'CPU s':>7} {'us/sample':>10} {'budget':>7} {'peak MiB':>9} {'wall s':>7} "
          f"{'asked/sample':>13}")
    for name in found.measured():
        samples, cpu, rss, wall, _, asked = found.median(name)
        print(f"{name:22} {samples:9.0f} {cpu:7.2f} {cpu / samples * 1e6:10.2f} {BUDGET.get(name, ''):>7} {rss:9.1f} "
              f"{wall:7.2f} {asked / samples:13.3f}")
    ours, theirs = found.median(ALIKE), found.median("boto3 script to both")
    print(f"script : muster, {script_tenants} tenants both = {_each(theirs) / _each(ours):.1f} in CPU a sample (at least 25), "
          f"{theirs[2] / ours[2]:.1f} in memory (at least 8)")
    shown = [(short, found.median(name)) for name, short in SHORT if name in found.measured()]
    if YACE in found.measured():
        _exporter(found.median(FIVE), found.median(YACE))
    return [("CPU, microseconds a sample", [(short, _each(figures)) for short, figures in shown], BUDGET["JSON to both"]),
            ("peak MiB, metrics", [(short, figures[2]) for short, figures in shown], RSS_BUDGET)]


def _exporter(ours, theirs):
    """Beside a run of muster's that brings the five newest points of the same series."""
    print(f"YACE, vmagent : muster, 5 minutes = {_each(theirs) / _each(ours):.1f} in CPU a sample, {theirs[2] / ours[2]:.1f} in "
          f"memory, {theirs[5] / theirs[0] / (ours[5] / ours[0]):.1f} in metrics asked for a sample, which AWS bills\n"
          f"{rivals.note('yace')}")


def _each(figures):
    """Microseconds of CPU a sample."""
    samples, cpu, *_ = figures
    return cpu / samples * 1e6


def logs(bench, size, rounds, beside):
    """Each tenant has 12 cells of 7,500 events."""
    tenants, every_ms = size[6], 40
    events = tenants * 12 * 300_000 // every_ms
    stats = {}
    subjects = {
        OURS: lambda: bench.muster_logs(tenants, ["s3"], events, stats, lookback="70m"),
        PIPE: lambda: bench.pipe(stats["pages"]),
    }
    if "benthos" in beside:
        subjects[AS_THEY_ARE] = lambda: rivals.benthos(bench, stats["pages"], rows=False)
        subjects[EACH_ROW] = lambda: rivals.benthos(bench, stats["pages"], rows=True)
    found = Found(subjects)
    for _ in range(rounds):
        bench.serve("--event-ms", every_ms, "--keep", bench.path("kept"))
        for name, run in subjects.items():
            found.add(name, lambda run=run: bench.all_rows(run(), events))
    rule(f"logs: {tenants} tenants, {events:,} events, {stats['page_bytes'] / 1e6:.0f} MB of GetQueryResults, "
         f"{stats['objects']} objects, TLS both ways")
    print(f"{'':22} {'CPU s':>7} {'MB/CPU s':>9} {'peak MiB':>9} {'wall s':>7} {'muster : it':>12}")
    ours, bare = found.median(OURS), found.median(PIPE)
    for name in found.measured():
        cpu, rss, wall = found.median(name)
        print(f"{name:22} {cpu:7.2f} {stats['page_bytes'] / 1e6 / cpu:9.0f} {rss:9.1f} {wall:7.2f} {ours[0] / cpu:12.2f}")
    print("muster : pipe in CPU at most 1.5; muster's wall has its waits before it asks for a result")
    if "benthos" in beside:
        print(rivals.note("benthos"))
    return ("CPU seconds, logs", [(short, found.median(name)[0]) for name, short in SHORT if name in found.measured()],
            1.5 * bare[0])


def memory(bench, size):
    """One tenant, one cell of two hours: of three events, and of 240,000 or 2.4 million, which are 1.2 GB."""
    rule(f"memory: one cell of logs, {WORKERS} workers, TLS")
    rows = []
    for every_ms in (2_400_000, size[7]):
        bench.serve("--event-ms", every_ms)
        stats = {}
        cpu, rss, wall = bench.muster_logs(1, ["lake"], 7_200_000 // every_ms, stats, every="2h", lookback="2h5m")
        print(f"{stats['page_bytes'] / 1e6:9.3f} MB in {stats['pages']} pages: peak {rss:.1f} MiB, CPU {cpu:.2f} s, "
              f"wall {wall:.1f} s", flush=True)
        rows.append((stats["page_bytes"], rss))
    print(f"budget: {RSS_BUDGET} MiB for either")
    return rows


def growth(bench, size):
    series, minutes = 128, 35
    rows = []
    rule(f"growth: {series} series, {minutes - 5} minutes a tenant, CBOR to both, {WORKERS} workers, TLS")
    print(f"{'tenants':>8} {'samples':>10} {'CPU s':>7} {'us/sample':>10} {'peak MiB':>9} {'wall s':>7}")
    bench.serve("--series", series)
    for tenants in size[4]:
        samples, cpu, rss, wall, *_ = bench.muster(series, minutes, tenants, ["prom", "lake"])
        rows.append((tenants, cpu, rss))
        print(f"{tenants:8} {samples:10} {cpu:7.2f} {cpu / samples * 1e6:10.2f} {rss:9.1f} {wall:7.2f}", flush=True)
    print(f"budget: {RSS_BUDGET} MiB, the same for 10 and for 10,000 tenants")
    return rows


def latency(bench, size):
    tenants, delay = size[5], 0.05
    bench.serve("--series", 24, "--latency", int(delay * 1000))
    _, _, rss, wall, calls, _ = bench.muster(24, 15, tenants, ["prom", "lake"])
    ideal = calls * delay / WORKERS
    rule(f"latency: {tenants} tenants, {delay * 1000:.0f} ms a call, {calls} calls")
    print(f"wall {wall:.2f} s, {wall / ideal:.2f} of calls x latency / workers (at most 1.2); peak {rss:.1f} MiB")


def start(bench):
    """Until the server is reached for the first time: a run whose first call is refused at once is over then."""
    bench.serve("--series", 1)
    bench.configure(1, 15, ["prom"])
    environment = {**bench.environment(), "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    times = []
    for _ in range(9):
        began = time.monotonic()
        subprocess.run([MUSTER, "run", "-q", "-c", bench.path("muster.yaml")], env=environment, cwd=bench.folder,
                       stderr=subprocess.DEVNULL, check=False)
        times.append((time.monotonic() - began) * 1000)
    stripped = bench.path("stripped")
    subprocess.run(["strip", "-o", stripped, MUSTER], check=True)
    rule("start")
    print(f"{statistics.median(times):.0f} ms from the command to the end of a run whose first call is refused (under 20); "
          f"{os.path.getsize(stripped) / 1024:.0f} KiB stripped (under 1024)")


STYLE = ("<style>text{font:12px sans-serif;fill:#222}.axis{stroke:#999}.ours{fill:#1f77b4;stroke:#1f77b4}"
         ".theirs{fill:#999}.limit{stroke:#d62728;stroke-dasharray:4 3}"
         "@media(prefers-color-scheme:dark){text{fill:#ddd}.theirs{fill:#777}.back{fill:#111}}</style>")


def plot(path, bars, rows):
    """Bars beside the alternatives and the budgets, and growth over tenants: an SVG by hand, for light and for dark."""
    parts, top = [], 20
    for title, values, limit in bars:
        parts += _bars(20, top, title, values, limit)
        top += 38 + 22 * len(values)
    parts += _growth(430, 20, "CPU seconds over tenants", [(row[0], row[1]) for row in rows], (1e-2, 1e3), None)
    parts += _growth(430, 180, "peak MiB over tenants", [(row[0], row[2]) for row in rows], (10, 100), RSS_BUDGET)
    height = max(330, top)
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{height}" viewBox="0 0 760 {height}">', STYLE,
            f'<rect class="back" width="760" height="{height}" fill="#fff"/>']
    parts = head + parts
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join([*parts, "</svg>\n"]))


def _bars(left, top, title, values, limit):
    """Lengths are in proportion; the line is the budget."""
    most = max([value for _, value in values] + [limit])
    width = 190
    yield f'<text x="{left}" y="{top}" font-weight="bold">{title}</text>'
    for number, (name, value) in enumerate(values):
        y = top + 8 + number * 22
        share = max(1, width * value / most)
        kind = "ours" if name.startswith("muster") else "theirs"
        yield f'<text x="{left}" y="{y + 13}">{name}</text>'
        yield f'<rect class="{kind}" x="{left + 120}" y="{y + 2}" width="{share:.0f}" height="14"/>'
        yield f'<text x="{left + 125 + share:.0f}" y="{y + 13}">{value:.3g}</text>'
    x = left + 120 + width * limit / most
    yield f'<line class="limit" x1="{x:.0f}" x2="{x:.0f}" y1="{top + 6}" y2="{top + 10 + 22 * len(values)}"/>'


def _growth(left, top, title, points, span, limit):
    """Both axes logarithmic."""
    width, height = 290, 90
    most = max(tenants for tenants, _ in points)
    places = [(left + width * _share(tenants, 1, most), top + 20 + height * (1 - _share(value, *span)), tenants, value)
              for tenants, value in points]
    yield f'<text x="{left}" y="{top}" font-weight="bold">{title}</text>'
    yield f'<line class="axis" x1="{left}" x2="{left + width}" y1="{top + 20 + height}" y2="{top + 20 + height}"/>'
    if limit:
        y = top + 20 + height * (1 - _share(limit, *span))
        yield f'<line class="limit" x1="{left}" x2="{left + width}" y1="{y:.0f}" y2="{y:.0f}"/>'
    yield ('<polyline class="ours" style="fill:none" points="' + " ".join(f"{x:.0f},{y:.0f}" for x, y, _, _ in places) + '"/>')
    for x, y, tenants, value in places:
        yield f'<circle class="ours" cx="{x:.0f}" cy="{y:.0f}" r="3"/>'
        yield f'<text x="{x:.0f}" y="{y - 7:.0f}" text-anchor="middle">{value:.3g}</text>'
        yield f'<text x="{x:.0f}" y="{top + 36 + height}" text-anchor="middle">{tenants:,}</text>'


def _share(value, low, high):
    """Where a value lies between two others, on a logarithmic scale."""
    return log(max(value, low) / low) / log(high / low) if high > low else 0.5


def main():
    parser = argparse.ArgumentParser(description="what whole runs cost")
    parser.add_argument("--size", choices=SIZES, default="small", help="full: 10 million samples a subject and more")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beside", metavar="NAME,...", default=",".join(rivals.NAMES),
                        help="which of %(default)s to measure where they are (scripts/rivals), or none")
    parser.add_argument("--svg", metavar="FILE", help="a plot of all this")
    args = parser.parse_args()
    beside = rivals.chosen(args.beside)
    bench = Bench()
    try:
        start(bench)
        bars = metrics(bench, SIZES[args.size], args.rounds, beside)
        bars.append(logs(bench, SIZES[args.size], args.rounds, beside))
        memory(bench, SIZES[args.size])
        latency(bench, SIZES[args.size])
        rows = growth(bench, SIZES[args.size])
        if args.svg:
            plot(args.svg, bars, rows)
    finally:
        bench.close()


if __name__ == "__main__":
    main()
