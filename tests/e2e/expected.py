"""What muster must leave behind for a world, computed from the truth alone: series by the interface's naming rules,
cells by its grid, lake keys and rows by its layout. Nothing in here asks muster, the stand-in or a receiver.
"""
import datetime
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "aws"))

from standin.truth import BOTH, INSIGHTS, Truth  # noqa: E402

PERIOD = 60
EIGHT = {
    "MemoryUtilized": "ecs_task_memory_utilized",
    "MemoryReserved": "ecs_task_memory_reserved",
    "CpuUtilized": "ecs_task_cpu_utilized",
    "CpuReserved": "ecs_task_cpu_reserved",
    "NetworkRxBytes": "ecs_task_network_rate_rx",
    "NetworkTxBytes": "ecs_task_network_rate_tx",
    "StorageReadBytes": "ecs_task_storage_read_bytes",
    "StorageWriteBytes": "ecs_task_storage_write_bytes",
}
LABELS = {"ClusterName": "cluster", "ServiceName": "service", "TaskDefinitionFamily": "task_family"}


def snake(name):
    """CamelCase as snake_case, runs of capitals as one word."""
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name))
    return re.sub(r"[^a-z0-9]+", "_", name.lower())


def is_eight(series):
    """What a job without a list of metrics asks of Container Insights."""
    return (series.namespace == INSIGHTS and series.metric in EIGHT
            and tuple(name for name, _ in series.dimensions) == BOTH)


def own_labels(series):
    """The labels that come from the series itself, as a lake row has them."""
    return {LABELS.get(name, snake(name)): value for name, value in series.dimensions}


def name_of(series, stat="Average"):
    suffix = "" if stat == "Average" else f"_{snake(stat)}"
    return EIGHT[series.metric] + suffix


def identity(tenant, series, stat="Average"):
    """The labels of a receiver's series, sorted: what two series differ in."""
    labels = {**own_labels(series), **tenant.get("labels", {}), "tenant": tenant["id"],
              "account_id": tenant["account"], "region": series.region, "__name__": name_of(series, stat)}
    return tuple(sorted(labels.items()))


def stamp(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")


def rfc3339(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


def lake_key(job, tenant, region, start, end):
    day, hour = stamp(start)[:8], stamp(start)[9:11]
    return (f"{job}/tenant={tenant}/region={region}/dt={day[:4]}-{day[4:6]}-{day[6:]}/hh={hour}/"
            f"{stamp(start)}-{stamp(end)}.ndjson.zst")


def due_end(now, every=300, delay=300):
    """The end of the newest cell that may be pulled at `now`."""
    return int((now - delay) // every * every)


def first_start(now, every=300, lookback=1800):
    """Where a stream without a checkpoint begins at `now`."""
    return int((now - lookback) // every * every)


class Expected:
    """What one job of the eight metrics leaves behind."""

    def __init__(self, world, job="ecs", every=300, wanted=is_eight):
        self.truth = Truth(world)
        self.world = world
        self.job = job
        self.every = every
        self.wanted = wanted

    def series(self, tenants=None):
        for tenant, series in self.truth.series():
            if self.wanted(series) and (tenants is None or tenant["id"] in tenants):
                yield tenant, series

    def samples(self, windows, now=None):
        """{identity: {ms: value}}; `windows` is {tenant id: (start, end)}."""
        found = {}
        for tenant, series in self.series(windows):
            start, end = windows[tenant["id"]]
            times, values = self.truth.points(series, start, end, PERIOD, now=now)
            if times:
                found[identity(tenant, series)] = {time * 1000: value for time, value in zip(times, values)}
        return found

    def objects(self, windows, now=None):
        """{lake key: its rows in order}."""
        found = {}
        for tenant, series in self.series(windows):
            start, end = windows[tenant["id"]]
            for cell in range(start, end, self.every):
                row = self._row(tenant, series, cell, now)
                if row:
                    key = lake_key(self.job, tenant["id"], series.region, cell, cell + self.every)
                    found.setdefault(key, []).append((identity_order(tenant, series), row))
        return {key: [row for _, row in sorted(rows, key=lambda pair: pair[0])] for key, rows in found.items()}

    def _row(self, tenant, series, cell, now):
        times, values = self.truth.points(series, cell, cell + self.every, PERIOD, now=now)
        if not times:
            return None
        return {"ts": f"{rfc3339(cell)}.000Z", "tenant": tenant["id"], "account_id": tenant["account"],
                "region": series.region, "job": self.job, "name": name_of(series), "stat": "Average",
                "unit": series.unit, "period": PERIOD, "labels": {**own_labels(series), **tenant.get("labels", {})},
                "values": dict(zip(times, values))}


def identity_order(tenant, series):
    """Rows of one cell are sorted by name, then by labels."""
    labels = identity(tenant, series)
    return name_of(series), tuple(pair for pair in labels if pair[0] != "__name__")


def windows(world, start, end, tenants=None):
    """The same window for these tenants, or for all."""
    return {tenant["id"]: (start, end) for tenant in world.tenants if tenants is None or tenant["id"] in tenants}


def differences(expected, found, limit=8):
    """What differs between two dictionaries, in words; empty where nothing does."""
    lines = [f"missing: {key}" for key in expected if key not in found]
    lines += [f"unexpected: {key}" for key in found if key not in expected]
    for key in expected:
        if key in found and expected[key] != found[key]:
            lines.append(f"differs: {key}: {_apart(expected[key], found[key])}")
    return lines if len(lines) <= limit else [*lines[:limit], f"... and {len(lines) - limit} more"]


def _apart(expected, found):
    """Both, or of two dictionaries only what is not in both."""
    if isinstance(expected, dict) and isinstance(found, dict):
        pairs = expected.items(), found.items()
        expected, found = ({k: v for k, v in one if other.get(k) != v}
                           for one, other in zip(pairs, (found, expected)))
    return f"expected {_short(expected)}, found {_short(found)}"


def _short(value, width=300):
    text = str(value)
    return text if len(text) <= width else f"{text[:width]}... ({len(text)} characters)"
