"""What is true of traces: which there are, and every span of them, without any server.

A second of an account and region has int(rate + u) traces, u in [0, 1), `rate` as its place has it under `traces`. A
trace begins in the second that its id tells. A service answers a request: a segment, with a part of its own work, a call
of DynamoDB (of which X-Ray infers a segment) and often a call of another service, whose segment hangs on that call.
Some of it fails. Now and then the call comes as a document of its own. `broken` is the share of traces with a document
that is no segment at all, `large` of those that X-Ray says LimitExceeded of.

Times have seven digits behind the point, which is more than a double has: as JSON they are written digit by digit.
"""
import functools
import json
import re
from dataclasses import dataclass, field

from .world import fraction

RATE = 0.1
LONGEST = 4         # seconds a trace lasts at most
TICK = 10_000_000   # of a second: what the digits count
SERVER, INTERNAL, CLIENT = 2, 1, 3
KINDS = {SERVER: "SERVER", INTERNAL: "INTERNAL", CLIENT: "CLIENT"}
BROKEN = '{"id":"not a segment","start_time":'


@dataclass
class Span:
    """One span as it has to arrive; times in ticks since the epoch."""
    trace: str
    id: str
    parent: str
    name: str
    kind: int
    start: int
    end: int
    service: str
    fate: str = ""              # error, fault, throttle
    namespace: str = ""
    parts: list = field(default_factory=list)
    more: dict = field(default_factory=dict)  # members of the document
    attributes: dict = field(default_factory=dict)

    @property
    def ms(self):
        return self.end * 1000 // TICK

    def all(self):
        yield self
        for part in self.parts:
            yield from part.all()


@dataclass
class Trace:
    id: str             # as X-Ray has it
    second: int
    segments: list      # of Span, which nest
    lone: list          # subsegments that are documents of their own
    broken: bool        # one more document cannot be read
    large: bool         # X-Ray says LimitExceeded

    def spans(self):
        for top in self.segments + self.lone:
            yield from top.all()

    def documents(self):
        texts = [_text(_document(top)) for top in self.segments] + [_text(_lone(top)) for top in self.lone]
        return texts + [BROKEN] * self.broken

    @property
    def end(self):
        return max(span.end for span in self.spans()) / TICK


def _document(span):
    document = {"id": span.id, "name": span.name, "start_time": f"@{_decimal(span.start)}@",
                "end_time": f"@{_decimal(span.end)}@", **span.more}
    if span.kind == SERVER:
        document["trace_id"] = f"1-{span.trace[:8]}-{span.trace[8:]}"
        if span.parent:
            document["parent_id"] = span.parent
    if span.namespace:
        document["namespace"] = span.namespace
    if span.fate:
        document[span.fate] = True
    if span.parts:
        document["subsegments"] = [_document(part) for part in span.parts]
    return document


def _lone(span):
    return {**_document(span), "type": "subsegment", "parent_id": span.parent,
            "trace_id": f"1-{span.trace[:8]}-{span.trace[8:]}"}


def _decimal(ticks):
    return f"{ticks // TICK}.{ticks % TICK:07d}"


def _text(document):
    return re.sub(r'"@([0-9.]+)@"', r"\1", json.dumps(document, ensure_ascii=False))


class Traces:
    """The traces of a world."""

    def __init__(self, world):
        self.world = world
        self.second = functools.lru_cache(maxsize=65536)(self._second)
        self.ended = functools.lru_cache(maxsize=4096)(self._ended)

    def place(self, account, region):
        tenant = self.world.by_account.get(account)
        return tenant["regions"].get(region) if tenant else None

    def how(self, account, region):
        return (self.place(account, region) or {}).get("traces", {})

    def between(self, account, region, start, end):
        """Those whose ids tell a second in [start, end)."""
        for second in range(int(start), int(end)):
            yield from self.second(account, region, second)

    def _ended(self, account, region, second):
        """The spans that end in a second, in a fixed order."""
        return [span for trace in self.between(account, region, second - LONGEST, second + 1) for span in trace.spans()
                if span.end // TICK == second]

    def _second(self, account, region, second):
        place = self.place(account, region)
        services = [service["name"] for cluster in place["clusters"] for service in cluster["services"]] if place else []
        rate = place.get("traces", {}).get("rate", RATE) if services else 0
        draw = functools.partial(fraction, self.world.seed, "trace", account, region, second)
        how = self.how(account, region)
        return tuple(_trace(second, services, functools.partial(draw, number), how)
                     for number in range(int(rate + draw("count"))))


def _trace(second, services, draw, how):
    trace = f"{second:08x}{int(draw('id') * 2**48):012x}{int(draw('id 2') * 2**48):012x}"

    def make(what, parent, name, kind, start, end, service, **more):
        return Span(trace, f"{int(draw('span', what) * 2**48) | 1 << 50:016x}", parent, name, kind, start, end, service,
                    **more)

    begin = second * TICK + int(draw("begin") * TICK)
    last = begin + 1000 + int(draw("lasts") ** 4 * 3 * TICK)
    here, there = (services[int(draw(what) * len(services))] for what in ("here", "there"))
    fate = next((word for limit, word in ((0.05, "throttle"), (0.12, "fault"), (0.2, "error")) if draw("fate") < limit), "")
    status = {"": 200, "error": 404, "fault": 503, "throttle": 429}[fate]
    top = make("top", "", here, SERVER, begin, last, here, fate=fate, attributes={
        "http.request.method": "GET", "http.response.status_code": status, "order": 5, "theme": 'a "flat" é'}, more={
        "http": {"request": {"method": "GET", "url": f"https://{here}/"}, "response": {"status": status}},
        "annotations": {"order": 5, "theme": 'a "flat" é'}, "metadata": {"debug": {"n": 1, "id": "goldmember"}},
        "origin": "AWS::ECS::Container"})
    table = make("table", top.id, "DynamoDB", CLIENT, begin + 100, begin + 400, here, namespace="aws",
                 more={"aws": {"operation": "GetItem", "table_name": "orders", "request_id": "R"}},
                 attributes={"rpc.method": "GetItem", "aws.request_id": "R"})
    top.parts = [make("work", top.id, "## work", INTERNAL, begin + 50, begin + 500, here), table]
    segments = [top, make("inferred", table.id, "DynamoDB", SERVER, begin + 150, begin + 350, "DynamoDB",
                          more={"inferred": True})]
    lone = []
    if draw("calls") < 0.6:
        call = make("call", top.id, there, CLIENT, begin + 500, last - 100, here, namespace="remote")
        if draw("lone") < 0.3:
            lone.append(call)
        else:
            top.parts.append(call)
        segments.append(make("called", call.id, there, SERVER, begin + 600, last - 200, there))
    return Trace(f"1-{trace[:8]}-{trace[8:]}", second, segments, lone, draw("broken") < how.get("broken", 0),
                 draw("large") < how.get("large", 0))


def span_document(span, account, region):
    """A span as the log group aws/spans has it."""
    nanos = 10**9 // TICK
    return json.dumps({
        "resource": {"attributes": {"service.name": span.service, "cloud.region": region, "cloud.account.id": account}},
        "scope": {"name": "stand-in", "version": "1"}, "traceId": span.trace, "spanId": span.id,
        **({"parentSpanId": span.parent} if span.parent else {}), "flags": 1, "name": span.name,
        "kind": KINDS[span.kind], "startTimeUnixNano": span.start * nanos, "endTimeUnixNano": span.end * nanos,
        "durationNano": (span.end - span.start) * nanos, "attributes": span.attributes,
        "status": {"code": "ERROR" if span.fate else "UNSET"}}, ensure_ascii=False, separators=(",", ":"))
