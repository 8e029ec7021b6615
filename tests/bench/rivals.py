"""Tools that users would install otherwise, for bench.py to run beside muster against the same pages.

  yace      YACE asks CloudWatch each `ROUND_S` seconds, vmagent scrapes it as often and writes to remote write. An exporter
            brings one point of each series a round, whatever the window: so it is measured over rounds, and the same minute's
            point comes several times.
  benthos   fetches pages of results, compresses them and puts them to S3, a page an object: as they are, as the bare pipe does,
            or each row as a line of JSON.

scripts/rivals builds them into build/rivals. Their settings are those that their documentation gives for speed, and where it
leaves a choice, what costs them less.
"""
import collections
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import spent

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
FOLDER = os.path.join(ROOT, "build", "rivals")
NAMES = ("yace", "benthos")
TENANTS = 24  # at most, for the exporter: more do not fit into a round
ROUND_S = 6
ROUNDS = 4
WAIT_S = 300
METRICS = ("CpuReserved", "CpuUtilized", "MemoryReserved", "MemoryUtilized", "NetworkRxBytes", "NetworkTxBytes",
           "StorageReadBytes", "StorageWriteBytes")


class Failed(Exception):
    """Why a tool has no figures."""


def missing(name):
    """Why it cannot be run, or None."""
    if not os.path.exists(os.path.join(FOLDER, name)):
        return f"not here: scripts/rivals {name} builds it"
    if name == "yace" and not shutil.which("vmagent"):
        return "no vmagent here: scripts/setup test"
    return None


def chosen(names):
    """Those of "name,name" that can be run; of the others it is said why not."""
    here = []
    for name in names.split(",") if names != "none" else []:
        why = missing(name) if name in NAMES else f"not known ({', '.join(NAMES)}, none)"
        if why:
            print(f"{name}: {why}", file=sys.stderr)
        else:
            here.append(name)
    return here


def note(name):
    """Versions and settings, for below the table."""
    with open(os.path.join(FOLDER, name + ".version"), encoding="ascii") as file:
        version = file.read().strip()
    if name == "benthos":
        return (f"Benthos {version}: generate, http, (unarchive, archive), compress zstd 3, aws_s3 with 64 in flight; a page an "
                "object. It is given the pages' numbers and asks AWS for nothing.")
    debian = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "victoria-metrics"], capture_output=True, text=True,
                            check=False).stdout
    return (f"YACE {version}, AWS SDK v2, 500 metrics a query, concurrency 32, length 60, CloudWatch's times; vmagent "
            f"{debian or '(not from a package)'}; {ROUNDS} rounds of {ROUND_S} s. Of both together; wall is theirs to wait.")


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _write(path, document):
    """JSON is YAML too."""
    with open(path, "w", encoding="ascii") as file:
        json.dump(document, file)


def _started(stack, bench, command):
    """Ends with the stack, if not before."""
    log = bench.path(os.path.basename(command[0]) + ".log")
    process = spent.Process(bench, command, log, SSL_CERT_FILE=bench.path("cert.pem"))
    stack.callback(process.kill)
    return process


def _used(process, endings=(0,)):
    """(CPU seconds, MiB)"""
    cpu, rss, code = process.result()
    if code not in endings:
        raise Failed(f"{process.name}: exit {code}: {process.last_line()}")
    return cpu, rss


def _stopped(process):
    process.terminate()
    return _used(process, (0, -signal.SIGTERM))


def _answers(port):
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return b"aws_" in answer.read()
    return False


def _until(condition, *processes):
    deadline = time.monotonic() + WAIT_S
    while not condition():
        for process in processes:
            if not process.running():
                _used(process, ())
        if time.monotonic() > deadline:
            raise Failed(f"nothing came within {WAIT_S} s: {processes[-1].last_line()}")
        time.sleep(0.1)


class _Seen:
    """What the server counted in all: it forgets what it has told."""

    def __init__(self, bench):
        self.bench, self.sums = bench, collections.Counter()
        bench.stats()

    def of(self, name):
        self.sums.update(self.bench.stats())
        return self.sums[name]

    def whole(self, scrape):
        """No part of a scrape came but the scraper's own few samples: it is between two."""
        scrapes, more = divmod(self.of("samples"), scrape)
        return more <= 100 * scrapes


def _yace_config(tenants):
    roles = [{"roleArn": f"arn:aws:iam::{200000000000 + n}:role/reader", "externalId": "bench"} for n in range(tenants)]
    return {"apiVersion": "v1alpha1", "sts-region": "eu-west-1", "customNamespace": [{
        "name": "ecs", "namespace": "ECS/ContainerInsights", "regions": ["eu-west-1"], "roles": roles,
        "dimensionNameRequirements": ["ClusterName", "ServiceName"],
        "metrics": [{"name": name, "statistics": ["Average"], "period": 60, "length": 60, "addCloudwatchTimestamp": True}
                    for name in METRICS]}]}


def yace(bench, series, tenants):
    """(samples, CPU, MiB, wall, calls, metrics asked for) of so many rounds: CPU and memory of both processes together. A
    scrape that finds only what the last one found brings no sample."""
    port, expected = _free_port(), series * tenants
    _write(bench.path("yace.json"), _yace_config(tenants))
    _write(bench.path("scrape.json"), {
        "global": {"scrape_interval": f"{ROUND_S}s"},
        "scrape_configs": [{"job_name": "yace", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}]})
    seen = _Seen(bench)
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        exporter = _started(stack, bench, [
            os.path.join(FOLDER, "yace"), "-listen-address", f"127.0.0.1:{port}", "-config.file", bench.path("yace.json"),
            "-scraping-interval", str(ROUND_S), "-cloudwatch-concurrency", "32", "-metrics-per-query", "500",
            "-enable-feature", "aws-sdk-v2"])
        _until(lambda: _answers(port), exporter)
        agent = _started(stack, bench, [
            shutil.which("vmagent"), f"-httpListenAddr=127.0.0.1:{_free_port()}",
            f"-promscrape.config={bench.path('scrape.json')}", f"-remoteWrite.url={bench.url}/api/v1/write",
            f"-remoteWrite.tlsCAFile={bench.path('cert.pem')}", f"-remoteWrite.tmpDataPath={bench.path('vmagent')}"])
        stack.callback(shutil.rmtree, bench.path("vmagent"), ignore_errors=True)
        _until(lambda: min(seen.of("asked"), seen.of("samples")) >= ROUNDS * expected and seen.whole(expected), exporter, agent)
        samples = min(seen.sums["samples"] // expected * expected, seen.sums["asked"])
        used = [_stopped(agent), _stopped(exporter)]
    wall = time.monotonic() - began
    return samples, sum(cpu for cpu, _ in used), sum(rss for _, rss in used), wall, seen.of("calls"), seen.sums["asked"]


FIELDS = ("ts", "log_stream", "log", "message", "level", "ptr")  # by their places, which costs less than by their names
ROWS = "root = this.results.map_each(r -> {" + ", ".join(f'"{name}": r.{n}.value' for n, name in enumerate(FIELDS)) + "})"


def benthos(bench, pages, rows):
    """(CPU, MiB, wall); `rows`: each as a line of JSON, or the pages as they are."""
    ca, url = {"enabled": True, "root_cas_file": bench.path("cert.pem")}, bench.url
    lines = [{"mapping": ROWS}, {"unarchive": {"format": "json_array"}}, {"archive": {"format": "lines"}}]
    _write(bench.path("benthos.json"), {
        "http": {"enabled": False}, "logger": {"level": "WARN"},
        "input": {"generate": {"count": pages, "interval": "", "mapping": "root = counter() - 1"}},
        "pipeline": {"processors": [
            {"http": {"url": url + "/results/${! content() }", "verb": "GET", "tls": ca}},
            *(lines if rows else []),
            {"compress": {"algorithm": "zstd", "level": 3}}]},
        "output": {"aws_s3": {
            "bucket": "bench", "path": "lake/${! uuid_v4() }.zst", "endpoint": url, "region": "eu-west-1",
            "force_path_style_urls": True, "max_in_flight": 64,
            "credentials": {"id": "bench", "secret": "bench"}}}})
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        cpu, rss = _used(_started(stack, bench, [os.path.join(FOLDER, "benthos"), "-c", bench.path("benthos.json")]))
    return cpu, rss, time.monotonic() - began
