"""X-Ray: GetTraceSegmentDestination, GetTraceSummaries and BatchGetTraces."""
import re

from ..errors import Refusal
from ..protocols import RestObject, read_json
from ..world import fraction
from .base import Call, Service
from .paging import Pager

PATHS = {"/GetTraceSegmentDestination": "GetTraceSegmentDestination", "/TraceSummaries": "GetTraceSummaries",
         "/Traces": "BatchGetTraces"}
PAGE = 100
IDS = 5
LONGEST = 24 * 3600  # seconds of one GetTraceSummaries
KEPT = 30 * 86400
FILTER = re.compile(r"(!)?(fault|error|throttle)|(responsetime|duration)\s*(>|<)\s*([0-9.]+)")


class Xray(Service):
    name = scope = iam = "xray"

    def __init__(self, standin):
        super().__init__(standin)
        self.pager = Pager(standin.credentials.master)
        self.asked = {}  # ids that were left unprocessed, and how often

    def read(self, request):
        if request.method != "POST" or request.path not in PATHS:
            return None
        return Call(self, PATHS[request.path], RestObject, read_json, request)

    def perform(self, call):
        if call.request.headers.get("content-type") != "application/json":
            raise Refusal("SerializationException", "The body is not application/json.")
        return super().perform(call)

    def destination(self, call):
        where = self.standin.traces.how(call.account, call.region).get("destination", "XRay")
        return {"Destination": where, "Status": "ACTIVE"}

    def summaries(self, call):
        start, end = call.instant("StartTime"), call.instant("EndTime")
        if start > end or end - start > LONGEST:
            raise refused("Time range cannot be longer than 24 hours")
        if call.text("TimeRangeType") not in (None, "TraceId"):
            raise refused("Only traces by their ids are served by this stand-in.")
        position = self.pager.position(call) or {"at": 0, "now": self.standin.clock.data()}
        call.token = position
        found = [trace for trace in self._seen(call, start, end, position["now"]) if chosen(trace, call.text("FilterExpression"))]
        at = position["at"]
        more = {"NextToken": self.pager.token(call, {**position, "at": at + PAGE})} if at + PAGE < len(found) else {}
        return {"TraceSummaries": [summary(trace) for trace in found[at:at + PAGE]], "ApproximateTime": position["now"],
                "TracesProcessedCount": len(found), **more}

    def _seen(self, call, start, end, now):
        """Newest first. With Transaction Search only what is indexed, which is one of a hundred."""
        truth, delay = self.standin.traces, self.standin.world["trace_delay"]
        indexed = self.destination(call)["Destination"] == "XRay"
        return [trace for trace in reversed(list(truth.between(call.account, call.region, max(start, now - KEPT), end)))
                if trace.end + delay <= now and (indexed or fraction("indexed", trace.id) < 0.01)]

    def batch(self, call):
        ids = call.params.get("TraceIds")
        if not isinstance(ids, list) or not 1 <= len(ids) <= IDS:
            raise refused(f"Between 1 and {IDS} ids of traces can be given.")
        found, left = [], []
        for one in ids:
            trace = self._find(call, one)
            if trace is None or self._put_off(one):
                left.append(one)
            else:
                found.append({"Id": one, "Duration": trace.end - trace.second, "LimitExceeded": trace.large,
                              "Segments": [{"Id": f"{number:016x}", "Document": text}
                                           for number, text in enumerate(trace.documents())]})
        return {"Traces": found, "UnprocessedTraceIds": left}

    def _find(self, call, one):
        if not isinstance(one, str) or not re.fullmatch(r"1-[0-9a-f]{8}-[0-9a-f]{24}", one):
            raise refused(f"Invalid trace id: {one}")
        second = int(one[2:10], 16)
        return next((trace for trace in self._seen(call, second, second + 1, self.standin.clock.data())
                     if trace.id == one), None)

    def _put_off(self, one):
        """Some ids are left unprocessed the first time, or the first few."""
        part = fraction("unprocessed", one)
        if part >= self.standin.world["trace_unprocessed"]:
            return False
        self.asked[one] = self.asked.get(one, 0) + 1
        return self.asked[one] <= 1 + int(part * 1000) % 2

    operations = {"GetTraceSegmentDestination": destination, "GetTraceSummaries": summaries, "BatchGetTraces": batch}


def refused(message):
    return Refusal("InvalidRequestException", message)


def summary(trace):
    top = trace.segments[0]
    return {"Id": trace.id, "StartTime": trace.second, "Duration": trace.end - trace.second,
            "ResponseTime": (top.end - top.start) / 1e7, "HasFault": top.fate == "fault",
            "HasError": top.fate in ("error", "throttle"), "HasThrottle": top.fate == "throttle", "IsPartial": False,
            "Http": {"HttpMethod": "GET"}, "Annotations": {}, "Users": [], "Revision": 1}


def chosen(trace, expression):
    """Does a filter hold: words and comparisons, any of which is enough (OR)?"""
    if not expression:
        return True
    top = trace.segments[0]
    for part in expression.split(" OR "):
        match = FILTER.fullmatch(part.strip())
        if not match:
            raise refused(f"Invalid filter expression: {part}")
        negated, word, _, comparison, number = match.groups()
        if word:
            holds = top.fate == word or (word == "error" and top.fate == "throttle")
            if holds != bool(negated):
                return True
        else:
            lasts = (top.end - top.start) / 1e7
            if lasts > float(number) if comparison == ">" else lasts < float(number):
                return True
    return False
