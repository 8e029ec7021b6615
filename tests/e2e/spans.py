"""What has to arrive of traces, by the truth, and what did: in the lake, in the stand-in's OTLP receiver and as series."""
import json
import os

import arrivals
from expected import due_end, first_start, lake_key, rfc3339
from standin.traces import TICK, Traces

EVERY, DELAY, PERIOD = 300, 600, 60
NANOS = 10**9 // TICK
ERROR = 2
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


def covered(first, now):
    """What runs from `first` to `now` cover."""
    return first_start(first, EVERY), due_end(now, EVERY, DELAY)


def in_logs(tenant, region):
    return tenant["regions"][region].get("traces", {}).get("destination") == "CloudWatchLogs"


def true_spans(world, start, end, wanted=lambda trace: True):
    """(tenant, region, cell, span) for all there is."""
    truth = Traces(world)
    for tenant in world.tenants:
        for region in tenant["regions"]:
            logs = in_logs(tenant, region)
            for trace in truth.between(tenant["account"], region, start - 10 * logs, end):
                for span in trace.spans() if wanted(trace) else ():
                    at = span.ms // 1000 if logs else trace.second
                    if start <= at < end:
                        yield tenant, region, at // EVERY * EVERY, span


def told(span):
    """What has to be said of a span, wherever it arrives."""
    return (span.trace, span.id, span.parent, span.name, span.kind, span.start * NANOS, span.end * NANOS,
            ERROR if span.fate else 0, span.service)


def expected_lines(world, start, end, **more):
    """{lake key: what its lines say, in order}"""
    found = {}
    for tenant, region, cell, span in true_spans(world, start, end, **more):
        found.setdefault(lake_key("traces", tenant["id"], region, cell, cell + EVERY), []).append(span)
    return {key: [told(span) for span in sorted(spans, key=lambda span: (span.start * 1000 // TICK, span.trace, span.id))]
            for key, spans in found.items()}


def attributes(pairs):
    values = {pair["key"]: next(iter(pair["value"].values())) for pair in pairs}
    if len(values) != len(pairs):
        raise arrivals.Malformed(f"an attribute is there twice: {pairs}")
    return values


def lines_in(folder):
    return {key: [_said(key, json.loads(line)) for line in
                  arrivals.unpack(os.path.join(folder, key)).decode().split("\n")[:-1]]
            for key in arrivals.lake_keys(folder)}


def _said(key, row):
    start = int(row["startTimeUnixNano"])
    resource = attributes(row["resource"]["attributes"])
    tenant = key.split("/")[1].removeprefix("tenant=")
    stamp = f"{rfc3339(start // 10**9)}.{start // 10**6 % 1000:03d}Z"
    if list(row)[:5] != ["ts", "tenant", "account_id", "region", "job"] or row["tenant"] != tenant or \
            row["ts"] != stamp or row["traceId"] != row["trace_id"] or row["spanId"] != row["span_id"] or \
            resource["tenant"] != tenant or resource["cloud.account.id"] != row["account_id"]:
        raise arrivals.Malformed(f"{key}: {row}")
    return (row["trace_id"], row["span_id"], row.get("parentSpanId", ""), row["name"], row["kind"], start,
            int(row["endTimeUnixNano"]), row["status"]["code"], row["service"])


def sent(url):
    """What the stand-in's receiver was sent, in order, as told() has it."""
    return [(span["trace"], span["id"], span["parent"], span["name"], span["kind"], span["start"], span["end"],
             span["status"], span["resource"]["service.name"]) for span in arrivals.get_json(f"{url}/_standin/spans")]


def expected_samples(world, start, end, **more):
    """{labels: {ms: value}} of calls and durations."""
    found = {}
    for tenant, region, cell, span in true_spans(world, start, end, **more):
        if span.kind != 2 and span.parent:
            continue
        at = min(max(span.start // TICK, cell), cell + EVERY - 1) // PERIOD * PERIOD * 1000
        own = {**tenant.get("labels", {}), "tenant": tenant["id"], "account_id": tenant["account"], "region": region,
               "service": span.service}
        lasts = (span.end - span.start) / TICK
        rows = [("trace_calls", {"status": word}, (span.fate or "ok") == word) for word in ("ok", "error", "fault", "throttle")]
        rows += [("trace_duration_seconds_bucket", {"le": f"{bound:g}"}, lasts <= bound) for bound in BOUNDS]
        rows += [("trace_duration_seconds_bucket", {"le": "+Inf"}, 1), ("trace_duration_seconds_count", {}, 1),
                 ("trace_duration_seconds_sum", {}, lasts)]
        for name, labels, value in rows:
            series = found.setdefault(tuple(sorted({**own, **labels, "__name__": name}.items())), {})
            series[at] = series.get(at, 0) + value
    return rounded(found)


def rounded(found):
    """Sums are of whole ticks, but for what a double loses."""
    return {labels: {ms: round(value * TICK) for ms, value in series.items()} for labels, series in found.items()}
