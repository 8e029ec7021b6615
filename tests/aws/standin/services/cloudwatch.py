"""CloudWatch: ListMetrics and GetMetricData, over CBOR, JSON 1.0 and Query. Alarms stand in alarms.py."""
import re

from ..errors import Refusal, invalid
from ..protocols import Cbor, RestJson, read_cbor
from ..metric_math import Evaluation
from ..truth import statistic
from . import alarms
from .base import Call, Service, checked, missing, rows
from .paging import Pager

DAY = 86400
LISTED = 500            # metrics a page of ListMetrics
QUERIES = 500           # queries a GetMetricData
DATAPOINTS = 100800     # points a page of GetMetricData
EXPRESSION = 2048       # characters of an expression
SILENT = 14 * DAY       # after which a metric is no longer listed
ACTIVE = 3 * 3600
ID = re.compile(r"[a-z][A-Za-z0-9_]{0,254}")
SHORT_PERIODS = (1, 5, 10, 20, 30)
CBOR_PATH = "/service/GraniteServiceVersion20100801/operation/"


class CloudWatch(Service):
    name = scope = "monitoring"
    iam = "cloudwatch"
    target = "GraniteServiceVersion20100801"
    version = "2010-08-01"
    query_modes = True
    namespace = "http://monitoring.amazonaws.com/doc/2010-08-01/"

    def __init__(self, standin):
        super().__init__(standin)
        self.pager = Pager(standin.credentials.master)

    def read(self, request):
        if not request.path.startswith(CBOR_PATH):
            return super().read(request)
        style = self.standin.options.cbor
        if style == "off" or request.headers.get("smithy-protocol") != "rpc-v2-cbor":
            return Call(self, "UnknownOperation", RestJson, lambda _body: {}, request)
        old_codes = request.headers.get("x-amzn-query-mode") == "true"
        protocol = Cbor(style == "compact", self.query_modes, old_codes)
        return Call(self, request.path[len(CBOR_PATH):], protocol, read_cbor, request)

    # ListMetrics

    def list_metrics(self, call):
        position = self.pager.position(call) or {"at": 0}
        call.token = position
        wanted = self._filter(call)
        found = [(owner, series) for owner in self._owners(call) for series in self._listed(call, owner)
                 if wanted(series)]
        start = position["at"]
        page = found[start:start + LISTED]
        result = {"Metrics": [_metric(series) for _, series in page]}
        if call.flag("IncludeLinkedAccounts", False):
            result["OwningAccounts"] = [owner for owner, _ in page]
        if start + LISTED < len(found):
            result["NextToken"] = self.pager.token(call, {"at": start + LISTED})
        self.standin.ledger.count("metrics_listed", len(page))
        return result

    def _owners(self, call):
        """The accounts whose metrics are listed: the caller's, and with linked ones those, or one of all of them."""
        linked, owner = call.flag("IncludeLinkedAccounts", False), call.text("OwningAccount", r"\d{12}")
        if owner and not linked:
            raise invalid("OwningAccount goes with IncludeLinkedAccounts.", "InvalidParameterCombination")
        accounts = [call.account, *(self._linked(call) if linked else [])]
        return [account for account in accounts if owner in (None, account)]

    def _linked(self, call):
        return self.standin.world.linked(call.account, call.region, "AWS::CloudWatch::Metric")

    def _listed(self, call, account):
        active = call.text("RecentlyActive")
        if active not in (None, "PT3H"):
            raise invalid(f"The value {active} for parameter RecentlyActive is not supported.", "InvalidParameterValue")
        now = self.standin.clock.data()
        silent = now - (ACTIVE if active else SILENT)
        born = now - self.standin.world["list_delay"]
        series = self.standin.truth.catalogue(account, call.region).values()
        return (one for one in series if one.since <= born and one.until > silent)

    def _filter(self, call):
        namespace = call.text("Namespace")
        metric = call.text("MetricName")
        dimensions = rows(call.params, "Dimensions", 10)
        filters = [(checked(row, "Name", required=True), checked(row, "Value")) for row in dimensions]

        def wanted(series):
            if namespace not in (None, series.namespace) or metric not in (None, series.metric):
                return False
            have = dict(series.dimensions)
            return all(name in have and value in (None, have[name]) for name, value in filters)
        return wanted

    # GetMetricData

    def get_metric_data(self, call):
        queries, everything = self._queries(call)
        start, end = self._window(call)
        limit = call.whole("MaxDatapoints", DATAPOINTS, 1, DATAPOINTS)
        descending = self._descending(call)
        if any(wanted.expression is not None for wanted in everything):
            return {"MetricDataResults": self._computed(call, queries, everything, (start, end), descending),
                    "Messages": []}
        position = self.pager.position(call)
        if position is None:  # all pages are of one moment, or points would shift between them
            position = {"query": 0, "point": 0, "now": self.standin.clock.data()}
        call.token = position
        results, following = self._page(call, queries, (start, end), limit, descending, position)
        result = {"MetricDataResults": results, "Messages": []}
        if following:
            result["NextToken"] = self.pager.token(call, {**position, **following})
        return result

    def _queries(self, call):
        queries = rows(call.params, "MetricDataQueries", QUERIES)
        if not queries:
            raise missing("MetricDataQueries")
        read = [Wanted(call, query) for query in queries]
        ids = {wanted.id for wanted in read}
        if len(ids) < len(read):
            raise invalid("The values for parameter id in MetricDataQueries are not unique.")
        if not any(wanted.returned for wanted in read):
            raise invalid("At least one element of MetricDataQueries must have ReturnData set to true.")
        self.standin.ledger.count("metrics_requested", len(read))
        return [wanted for wanted in read if wanted.returned], read

    def _computed(self, call, queries, everything, window, descending):
        """The results of a call with expressions: all on one page."""
        now, accounts = self.standin.clock.data(), [call.account, *self._linked(call)]

        def points(wanted):
            return dict(zip(*self._points(call, wanted, window, now)))

        def find(search, stat, period):
            known = statistic(stat)
            for account in accounts if search.account is None else [search.account]:
                found = self.standin.truth.catalogue(account, call.region).values() if account in accounts else ()
                for series in (one for one in found if now - SILENT < one.until and one.since <= now):
                    if known and search.finds(series):
                        yield series.properties(), dict(zip(*self.standin.truth.points(series, *window, period, stat,
                                                                                       now)))
        evaluation = Evaluation({wanted.id: wanted for wanted in everything}, window, points,
                                lambda *search: list(find(*search)))
        results = []
        for wanted in queries:
            for line in evaluation.lines(wanted):
                times = sorted(line.points, reverse=descending)
                found = wanted.result(times, [line.points[time] for time in times], True)
                results.append({**found, "Label": line.label(wanted.label, wanted.id)})
        return results

    def _window(self, call):
        start, end = call.instant("StartTime"), call.instant("EndTime")
        if start >= end:
            raise invalid("The parameter StartTime must be less than the parameter EndTime.")
        age = self.standin.clock.data() - start
        step = 60 if age < 15 * DAY else 300 if age <= 63 * DAY else 3600
        return int(start // step * step), int(end // 60 * 60)

    def _descending(self, call):
        order = call.text("ScanBy") or "TimestampDescending"
        if order not in ("TimestampDescending", "TimestampAscending"):
            raise invalid(f"The value {order} for parameter ScanBy is not supported.", "InvalidParameterValue")
        return order == "TimestampDescending"

    def _page(self, call, queries, window, limit, descending, position):
        """The results from `position` on, at most `limit` points, and the position of the next page if there is one.

        A page is filled query by query. A result that is cut says PartialData; the next page carries the rest."""
        results, left, skip = [], limit, position["point"]
        for number in range(position["query"], len(queries)):
            wanted = queries[number]
            if wanted.account not in (None, call.account, *self._linked(call)):
                results.append({**wanted.result([], [], True), "StatusCode": "Forbidden"})
                continue
            times, values = self._points(call, wanted, window, position["now"])
            if descending:
                times, values = times[::-1], values[::-1]
            complete = len(times) - skip <= left
            results.append(wanted.result(times[skip:skip + left], values[skip:skip + left], complete))
            if not complete:
                return results, {"query": number, "point": skip + left}
            left -= len(times) - skip
            skip = 0
            if left == 0 and number + 1 < len(queries):
                return results, {"query": number + 1, "point": 0}
        return results, None

    def _points(self, call, wanted, window, now):
        series = self.standin.truth.catalogue(wanted.account or call.account, call.region).get(wanted.key)
        start, end = window
        age = self.standin.clock.data() - start
        coarsest = 60 if age <= 15 * DAY else 300 if age <= 63 * DAY else 3600
        if series is None or wanted.period % coarsest or wanted.unit not in (None, series.unit):
            return [], []
        times, values = self.standin.truth.points(series, start, end, wanted.period, wanted.stat, now)
        self.standin.ledger.count("datapoints", len(times))
        return times, values

    operations = {"ListMetrics": list_metrics, "GetMetricData": get_metric_data, **alarms.operations}


class Wanted:
    """One MetricDataQuery, read and checked."""

    def __init__(self, call, query):
        self.id = checked(query, "Id", required=True)
        if not ID.fullmatch(self.id):
            raise invalid(f"The value {self.id} for parameter MetricDataQueries.member.Id is not matching the "
                          "expected pattern ^[a-z][a-zA-Z0-9_]*$.")
        self.label = checked(query, "Label")
        self.account = checked(query, "AccountId", r"\d{12}")
        self.returned = "ReturnData" not in query or call.protocol.flag("ReturnData", query["ReturnData"])
        if ("Expression" in query) == ("MetricStat" in query):
            raise invalid("Exactly one of Expression and MetricStat must be given.", "InvalidParameterCombination")
        self.expression, self.metric = checked(query, "Expression"), None
        if self.expression is None:
            self._read_stat(call, query["MetricStat"])
        elif len(self.expression) > EXPRESSION:
            raise invalid(f"The expression of {self.id} is longer than {EXPRESSION} characters.")

    def _read_stat(self, call, stat):
        metric = stat.get("Metric") or {}
        namespace = checked(metric, "Namespace", required=True)
        self.metric = checked(metric, "MetricName", required=True)
        pairs = sorted((checked(row, "Name", required=True), checked(row, "Value", required=True))
                       for row in rows(metric, "Dimensions", 30))
        self.key = (namespace, self.metric, tuple(pairs))
        self.unit = checked(stat, "Unit")
        self.stat = checked(stat, "Stat", required=True)
        if "Period" not in stat:
            raise missing("Period")
        self.period = call.protocol.whole("Period", stat["Period"])
        self._check_stat()

    def _check_stat(self):
        if self.period <= 0 or self.period % 60 and self.period not in SHORT_PERIODS:
            raise invalid(f"Period {self.period} must be 1, 5, 10, 20, 30 or a multiple of 60.",
                          "InvalidParameterValue")
        try:
            statistic(self.stat)
        except ValueError:
            raise Refusal("ValidationError", f"The value {self.stat} for parameter Stat is not supported.") from None

    def result(self, times, values, complete):
        return {"Id": self.id, "Label": self.label or self.metric, "Timestamps": times, "Values": values,
                "StatusCode": "Complete" if complete else "PartialData"}


def _metric(series):
    return {"Namespace": series.namespace, "MetricName": series.metric,
            "Dimensions": [{"Name": name, "Value": value} for name, value in series.dimensions]}
