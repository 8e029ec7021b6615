"""Log groups and their events: a pure function of the world, like its metrics.

A second of a group has int(rate x (0.5 + u) + v) events, u and v in [0, 1): the head of a stream of 64-bit words,
SHAKE-128 over the group's key and the second. Each further word is an event:

    bits  0..15   the millisecond; a multiple of 100 where bits 16..18 are 0, so that many are equal
    bits 19..26   the log stream
    bits 27..32   the shape of the message (messages.py)
    bits 58..63   0: the event before once more, word for word

An emf group's events are lines in CloudWatch's embedded metric format: one order each, of one of three services.

Bursts come on top: `events` of them, evenly over `within` milliseconds from the millisecond `at`. In a performance
group every task of the clusters reports once a minute instead, itself and its one container.
"""
import base64
import functools
import hashlib
import json
import struct
from dataclasses import dataclass

from .messages import draw, message, nominal_size
from .traces import Traces, span_document
from .world import digest

DAY = 86400_000
TASK_SECONDS = 60


@dataclass(frozen=True)
class Group:
    """A log group of an account and region."""
    account: str
    region: str
    name: str
    kind: str            # app, access, emf, performance or spans
    rate: float          # events a second
    streams: tuple
    huge: float          # share of events of a megabyte
    bursts: tuple        # of (at, events, within)
    created: int         # ms; None: always there
    retention: int       # days; None: for ever
    storage: str         # STANDARD or INFREQUENT_ACCESS
    tasks: tuple         # of (cluster, service, family, task)
    key: bytes
    traces: object       # the truth about spans, of a group of these
    texts: tuple = ()    # what its events say, one after the other, instead of what their kind does

    @property
    def arn(self):
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{self.name}"

    def window(self, now):
        """The earliest millisecond that can be read at `now`; None asks for all there ever was."""
        aged = float("-inf") if None in (now, self.retention) else now - self.retention * DAY
        return max(aged, float("-inf") if self.created is None else self.created)


class Event:
    """One event; its text is made when it is asked for."""
    __slots__ = ("group", "ms", "ordinal", "word", "ingested")

    def __init__(self, group, ms, ordinal, word, ingested):
        self.group = group
        self.ms = ms
        self.ordinal = ordinal  # among the group's events of this second
        self.word = word
        self.ingested = ingested

    @property
    def huge(self):
        return draw(self.word, 2) >> 32 < self.group.huge * 2**32

    @property
    def size(self):
        return nominal_size(self.huge)

    @property
    def stream(self):
        return self.group.streams[(self.word >> 19 & 255) % len(self.group.streams)]

    @property
    def message(self):
        if self.group.texts:
            return self.group.texts[(self.ms + self.ordinal) % len(self.group.texts)]
        if self.group.kind == "performance":
            return _performance(self)
        if self.group.kind == "emf":
            return _embedded(self)
        if self.group.kind == "spans":
            return _span(self)
        return message(self.group.kind, self.word, self.huge)

    @property
    def pointer(self):
        """Opaque to clients, and not the same for two events."""
        raw = digest(self.group.key.hex(), self.ms, self.ordinal, "ptr")
        return base64.b64encode(b"\x0a\x61" + raw * 3).decode()


class Events:
    def __init__(self, world):
        self.world = world
        self.traces = Traces(world)
        self.delay = int(world["log_delay"] * 1000)
        self.late_below = world["log_late_rate"] * 2**32
        self.late_max = int(world["log_late_max"] * 1000)
        self.groups = functools.lru_cache(maxsize=None)(self._groups)
        self.second = functools.lru_cache(maxsize=16384)(self._second)

    def all_groups(self):
        """(tenant, Group) in the world's order."""
        for tenant in self.world.tenants:
            for region in tenant["regions"]:
                for group in self.groups(tenant["account"], region).values():
                    yield tenant, group

    def between(self, group, start, end, now=None):
        """The events of a group in [start, end] ms, those that `now` (ms) can see, by time and then by ordinal."""
        start, end = max(start, group.window(now)), end if now is None else min(end, now)
        for second in range(int(start // 1000), int(end // 1000) + 1):
            for event in self.second(group, second):
                if start <= event.ms <= end and (now is None or event.ingested <= now):
                    yield event

    def _groups(self, account, region):
        """{name: Group}, by name."""
        tenant = self.world.by_account.get(account)
        place = tenant["regions"].get(region) if tenant else None
        rows = sorted(place.get("log_groups", []), key=lambda row: row["name"]) if place else []
        return {row["name"]: self._group(account, region, place, row) for row in rows}

    def _group(self, account, region, place, row):
        kind, name = row.get("kind", "app"), row["name"]
        key = digest(self.world.seed, "log group", account, region, name)
        bursts = tuple((one["at"], one["events"], one["within"]) for one in row.get("bursts", []))
        return Group(account, region, name, kind, row.get("rate", 1.0), _streams(kind, key, row.get("streams", 3)),
                     row.get("huge", 0.0), bursts, row.get("created"), row.get("retention"),
                     row.get("class", "STANDARD"), _tasks(place, name) if kind == "performance" else (), key,
                     self.traces if kind == "spans" else None, tuple(row.get("texts", ())))

    def _second(self, group, second):
        pairs = MADE.get(group.kind, _steady)(group, second)
        pairs += [pair for burst in group.bursts for pair in _burst(group, burst, second)]
        events = [Event(group, ms, ordinal, word, self._ingested(ms, word)) for ordinal, (ms, word) in enumerate(pairs)]
        return sorted(events, key=lambda event: event.ms)

    def _ingested(self, ms, word):
        late = draw(word, 3)
        lateness = 1 + (late & 0xFFFF) * self.late_max // 65536 if late >> 32 < self.late_below else 0
        return ms + self.delay + lateness


def _steady(group, second):
    source = hashlib.shake_128(group.key + second.to_bytes(8, "little", signed=True))
    head = int.from_bytes(source.digest(4), "little")
    count = int(group.rate * (0.5 + (head & 0xFFFF) / 65536) + (head >> 16) / 65536)
    return [(second * 1000 + _millisecond(word), word) for word in _words(source, count)]


def _millisecond(word):
    millisecond = (word & 0xFFFF) * 1000 >> 16
    return millisecond if word >> 16 & 7 else millisecond // 100 * 100


def _burst(group, burst, second):
    at, count, within = burst
    if second * 1000 + 1000 <= at or second * 1000 >= at + within:
        return []
    moments = (at + number * within // count for number in range(count))
    return [(ms, word) for ms, word in zip(moments, _burst_words(group.key, burst)) if ms // 1000 == second]


@functools.lru_cache(maxsize=64)
def _burst_words(key, burst):
    return _words(hashlib.shake_128(key + b"burst" + repr(burst).encode()), burst[1])


def _words(source, count):
    """The words of `count` events, some of them the one before once more."""
    words = list(struct.unpack(f"<{count}Q", source.digest(4 + 8 * count)[4:]))
    for number in range(1, count):
        if words[number] >> 58 == 0:
            words[number] = words[number - 1]
    return words


def _reports(group, second):
    """(ms, word) of the tasks that report in this second; the word holds the task's number and the kind."""
    pairs, minute = [], second // TASK_SECONDS
    for number, (*_, task) in enumerate(group.tasks):
        if int(task[:4], 16) % TASK_SECONDS == second % TASK_SECONDS:
            values = int.from_bytes(digest(task, minute)[:4], "big")
            ms = second * 1000 + int(task[4:8], 16) % 1000
            pairs += [(ms, values << 32 | 1 << 31 | number), (ms, values << 32 | number)]
    return pairs


def _performance(event):
    cluster, service, family, task = event.group.tasks[event.word & 0xFFFF]
    values, whole = event.word >> 32, event.word >> 31 & 1
    document = {
        "Version": "0", "Type": "Task" if whole else "Container", "TaskId": task, "TaskDefinitionFamily": family,
        "TaskDefinitionRevision": "1", "ServiceName": service, "ClusterName": cluster,
        "AccountID": event.group.account, "Region": event.group.region, "KnownStatus": "RUNNING",
        "LaunchType": "FARGATE", "Timestamp": event.ms // 60000 * 60000, "CpuUtilized": (values & 0xFFFF) / 64,
        "CpuReserved": 1024.0, "MemoryUtilized": values >> 22, "MemoryReserved": 2048,
    }
    if not whole:
        document["ContainerName"] = "main"
    return json.dumps(document, separators=(",", ":"))


def _embedded(event):
    """What OpenTelemetry's and the CloudWatch agent's exporters write for a metric with one dimension."""
    one = draw(event.word, 0)
    metrics = [{"Name": "orders", "Unit": "Count"}, {"Name": "order_value", "Unit": "None"}]
    return json.dumps({
        "_aws": {"Timestamp": event.ms,
                 "CloudWatchMetrics": [{"Namespace": "Shop", "Dimensions": [["Service"]], "Metrics": metrics}]},
        "Service": ("web", "app", "phone")[one % 3], "orders": 1, "order_value": (one >> 8 & 0xFFFF) / 64,
    }, separators=(",", ":"))


def _tasks(place, name):
    """Every task of the clusters that a performance group is named after: .../containerinsights/CLUSTER/performance."""
    found = []
    for cluster in place.get("clusters", []):
        if f"/{cluster['name']}/" in name:
            for service in cluster["services"]:
                found += [(cluster["name"], service["name"], service["family"],
                           digest("task", cluster["name"], service["name"], number, name).hex())
                          for number in range(service["tasks"])]
    return tuple(found)


def _streams(kind, key, count):
    if kind == "performance":
        return tuple(f"FargateTelemetry-{number + 1}" for number in range(count))
    return tuple(f"{kind}/main/{digest(key.hex(), 'stream', number).hex()}" for number in range(count))


def _ends(group, second):
    """(ms, word) of the spans that end in this second; the word is the span's number."""
    return [(span.ms, number) for number, span in enumerate(group.traces.ended(group.account, group.region, second))]


def _span(event):
    span = event.group.traces.ended(event.group.account, event.group.region, event.ms // 1000)[event.word]
    return span_document(span, event.group.account, event.group.region)


MADE = {"performance": _reports, "spans": _ends}  # of other kinds than these: a steady stream
