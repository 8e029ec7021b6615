"""What is true in a world: every series, and every point of it, without any server.

The points of a series come from one stream of 64-bit words a series and hour: SHAKE-128 over the series' key and the
number of the hour since the epoch, squeezed to 60 words, one a minute. Of each word

    bits  0..15   no point in this minute if below gap_rate x 65536
    bits 16..31   late if below late_rate x 65536
    bits 32..43   by how much: 1 + (bits x late_max) / 4096 seconds
    bits 44..53   a, bits 54..63   b: the value
    bits  8..23   revised if below revise_rate x 65536: for 1 + (bits 32..43 x revise_max) / 4096 seconds from its
                  first sight on, the last bit of a is the other one

and a minute's statistics follow from a and b by the metric's kind. All are multiples of a power of two and small
enough that sums of them are exact in doubles, whatever the order:

    level     Minimum = (base + a) x quantum, Maximum = Minimum + b x quantum (the same where SampleCount is 1)
    steady    Minimum = Maximum = 256 x (1 + base mod 8)
    counter   Minimum = (minute mod 2^22) x 4096 + a, Maximum = Minimum + b: it only grows
    Sum       Minimum + Maximum + (SampleCount - 2) x (Minimum + Maximum) / 2

Longer periods aggregate the minutes in them that can be seen. A percentile is Minimum + (Maximum - Minimum) x p / 100,
linear between the ends: not how percentiles are, but something a client cannot get right by chance. The same goes for
the extended statistics (tmNN, wmNN, tcNN, tsNN, IQM, TM(a%:b%)), each by a rule of its own.
"""
import functools
import hashlib
import re
import struct
from dataclasses import dataclass

from .world import digest

BOTH = ("ClusterName", "ServiceName")
INSIGHTS = "ECS/ContainerInsights"

# metric, unit, kind, quantum
EIGHT = (
    ("CpuReserved", "None", "steady", 1),
    ("CpuUtilized", "None", "level", 1 / 64),
    ("MemoryReserved", "Megabytes", "steady", 1),
    ("MemoryUtilized", "Megabytes", "level", 1 / 4),
    ("NetworkRxBytes", "Bytes/Second", "level", 8),
    ("NetworkTxBytes", "Bytes/Second", "level", 8),
    ("StorageReadBytes", "Bytes", "counter", 1),
    ("StorageWriteBytes", "Bytes", "counter", 1),
)
CLUSTER_COUNTS = (("TaskCount", "Count", "steady", 1), ("ServiceCount", "Count", "steady", 1))
SERVICE_COUNTS = (("RunningTaskCount", "Count", "steady", 1), ("DesiredTaskCount", "Count", "steady", 1))
UTILIZATION = (("CPUUtilization", "Percent", "level", 1 / 64), ("MemoryUtilization", "Percent", "level", 1 / 64))
WORDS = struct.Struct("<60Q")
TRIMMED = re.compile(r"TM\((\d+)%:(\d+)%\)")
EXTENDED = re.compile(r"(p|tm|wm|tc|ts)(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Series:
    """One metric: what CloudWatch would call namespace, name and dimensions in an account and region."""
    account: str
    region: str
    namespace: str
    metric: str
    dimensions: tuple  # of (name, value), sorted
    unit: str
    kind: str
    quantum: float
    tasks: int
    since: float
    until: float
    key: bytes

    def properties(self):
        """What a dynamic label may say of it."""
        return {"AccountId": self.account, "Region": self.region, "Namespace": self.namespace,
                "MetricName": self.metric, **{f"Dim.{name}": value for name, value in self.dimensions}}

    @property
    def base(self):
        return int.from_bytes(self.key[:2], "big") % 512


def make_series(world, account, region, namespace, row, dimensions, tasks, life):
    metric, unit, kind, quantum = row
    pairs = tuple(sorted(dimensions.items()))
    since, until = life
    key = digest(world.seed, account, region, namespace, metric, *(part for pair in pairs for part in pair))
    return Series(account, region, namespace, metric, pairs, unit, kind, quantum, tasks,
                  since if since is not None else float("-inf"), until if until is not None else float("inf"), key)


def _together(lives):
    """The lifetime of what lives while any of these does."""
    begins, ends = [life[0] for life in lives], [life[1] for life in lives]
    return (None if None in begins else min(begins, default=None),
            None if None in ends else max(ends, default=None))


def _cluster_rows(cluster):
    """Every (namespace, row, dimensions, tasks, lifetime) of one cluster."""
    name = {"ClusterName": cluster["name"]}
    services = cluster["services"]
    lives = {service["name"]: (service.get("from"), service.get("until")) for service in services}
    total = sum(service["tasks"] for service in services)
    for row in EIGHT + CLUSTER_COUNTS:
        yield INSIGHTS, row, name, max(total, 1), _together(list(lives.values()))
    for service in services:
        life, tasks = lives[service["name"]], service["tasks"]
        both = {**name, "ServiceName": service["name"]}
        for row in EIGHT + SERVICE_COUNTS:
            yield INSIGHTS, row, both, tasks, life
        for row in EIGHT:
            yield INSIGHTS, row, {**name, "TaskDefinitionFamily": service["family"]}, tasks, life
        for row in UTILIZATION:
            yield "AWS/ECS", row, both, tasks, life


def _custom_rows(region):
    for entry in region.get("custom", []):
        row = (entry["metric"], entry["unit"], "level", 1 / 64)
        yield (entry["namespace"], row, entry["dimensions"], entry.get("samples", 3),
               (entry.get("from"), entry.get("until")))


class Truth:
    """The series of a world and their points."""

    def __init__(self, world):
        self.world = world
        self.gap_below = int(world["gap_rate"] * 65536)
        self.late_below = int(world["late_rate"] * 65536)
        self.late_max = int(world["late_max"])
        self.revise_below = int(world["revise_rate"] * 65536)
        self.revise_max = int(world["revise_max"])
        self.delay = int(world["delay"])
        self.catalogue = functools.lru_cache(maxsize=None)(self._catalogue)

    def _catalogue(self, account, region):
        """{(namespace, metric, dimensions): Series} of one account and region; empty where there is nothing."""
        tenant = self.world.by_account.get(account)
        place = tenant["regions"].get(region) if tenant else None
        if place is None:
            return {}
        rows = [row for cluster in place.get("clusters", []) for row in _cluster_rows(cluster)]
        rows.extend(_custom_rows(place))
        made = (make_series(self.world, account, region, *row) for row in rows)
        return {(series.namespace, series.metric, series.dimensions): series for series in made}

    def series(self):
        """(tenant, Series) for all there is, in the world's order."""
        for tenant in self.world.tenants:
            for region in tenant["regions"]:
                for series in self.catalogue(tenant["account"], region).values():
                    yield tenant, series

    def minutes(self, series, start, end, now=None):
        """(minute, SampleCount, Sum, Minimum, Maximum) for the points in [start, end) that `now` can see, in order."""
        start, end = max(start, series.since), min(end, series.until)
        if now is not None:
            end = min(end, now - self.delay + 1)
        if end <= start:
            return
        first, last = -int(-start // 60), -int(-end // 60)
        statistics, gap_below, check = _KINDS[series.kind], self.gap_below, now is not None and self.late_below
        for hour in range(first // 60, (last - 1) // 60 + 1):
            words, base = _words(series.key, hour), hour * 60
            for minute in range(max(first, base), min(last, base + 60)):
                word = words[minute - base]
                if word & 0xFFFF < gap_below or (check and self._seen_from(minute, word) > now):
                    continue
                if now is not None and self.revise_below:
                    word = self._as_of(minute, word, now)
                low, high = statistics(series, minute, word)
                yield minute, series.tasks, low + high + (series.tasks - 2) * ((low + high) / 2), low, high

    def _seen_from(self, minute, word):
        seen = minute * 60 + self.delay
        if word >> 16 & 0xFFFF < self.late_below:
            seen += 1 + ((word >> 32 & 0xFFF) * self.late_max >> 12)
        return seen

    def _as_of(self, minute, word, now):
        """The word as it stands at `now`, before or after its revision."""
        if word >> 8 & 0xFFFF >= self.revise_below:
            return word
        revised = self._seen_from(minute, word) + 1 + ((word >> 32 & 0xFFF) * self.revise_max >> 12)
        return word if now >= revised else word ^ 1 << 44

    def points(self, series, start, end, period=60, stat="Average", now=None):
        """([timestamp], [value]) ascending; periods are counted from `start`."""
        pick = statistic(stat)
        times, values = [], []
        if period == 60:
            for minute, *row in self.minutes(series, start, end, now):
                times.append(minute * 60)
                values.append(pick(row))
            return times, values
        for time, row in _grouped(self.minutes(series, start, end, now), start, period):
            times.append(time)
            values.append(pick(row))
        return times, values


def _grouped(minutes, start, period):
    """Minutes aggregated into periods: (period's start, [SampleCount, Sum, Minimum, Maximum])."""
    current, row = None, None
    for minute, count, total, low, high in minutes:
        slot = start + (minute * 60 - start) // period * period
        if slot != current:
            if row:
                yield current, row
            current, row = slot, [0, 0.0, low, high]
        row = [row[0] + count, row[1] + total, min(row[2], low), max(row[3], high)]
    if row:
        yield current, row


@functools.lru_cache(maxsize=32768)
def _words(key, hour):
    return WORDS.unpack(hashlib.shake_128(key + hour.to_bytes(8, "little")).digest(480))


def _level(series, _minute, word):
    low = (series.base + (word >> 44 & 0x3FF)) * series.quantum
    return float(low), float(low if series.tasks == 1 else low + (word >> 54) * series.quantum)


def _steady(series, _minute, _word):
    value = 256.0 * (1 + series.base % 8)
    return value, value


def _counter(series, minute, word):
    low = float((minute & 0x3FFFFF) * 4096 + (word >> 44 & 0x3FF))
    return low, low if series.tasks == 1 else low + (word >> 54)


_KINDS = {"level": _level, "steady": _steady, "counter": _counter}
_PLAIN = {
    "SampleCount": lambda row: float(row[0]),
    "Sum": lambda row: row[1],
    "Minimum": lambda row: row[2],
    "Maximum": lambda row: row[3],
    "Average": lambda row: row[1] / row[0],
}


@functools.lru_cache(maxsize=256)
def statistic(name):
    """The function from [SampleCount, Sum, Minimum, Maximum] to the statistic; ValueError for an unknown one."""
    if name in _PLAIN:
        return _PLAIN[name]
    if name == "IQM":
        return lambda row: (row[2] + row[3]) / 2
    trimmed = TRIMMED.fullmatch(name)
    if trimmed:
        low, high = float(trimmed[1]) / 100, float(trimmed[2]) / 100
        return lambda row: row[2] + (row[3] - row[2]) * (low + high) / 2
    match = EXTENDED.fullmatch(name)
    if not match or not 0 <= float(match[2]) <= 100:
        raise ValueError(f"no such statistic: {name}")
    share = float(match[2]) / 100
    return {"p": lambda row: row[2] + (row[3] - row[2]) * share,
            "tm": lambda row: row[2] + (row[3] - row[2]) * share / 2,
            "wm": lambda row: row[2] + (row[3] - row[2]) * share / 4,
            "tc": lambda row: row[0] * share,
            "ts": lambda row: row[1] * share}[match[1]]
