"""CloudWatch Logs: Insights queries from StartQuery to GetQueryResults, log groups, and FilterLogEvents."""
import re

from ..control import as_json
from ..errors import Refusal
from ..events import Events
from ..insights import QueryError, compile_query
from ..pace import Pace
from ..protocols import Json
from ..queries import ENDED, Queries
from .base import Service
from .paging import Pager

GROUPS = 50              # a query, and a page of DescribeLogGroups
QUERY_TEXT = 10_000      # characters
PAGE = 10_000            # rows of GetQueryResults
PAGED = 100_000          # rows of a query, where pages are offered
EVENTS = 10_000          # a page of FilterLogEvents
EVENT_BYTES = 1024 * 1024
MILLISECONDS = 10**11    # a StartQuery time beyond this cannot be meant in seconds
ARN = re.compile(r"arn:aws[a-z-]*:logs:([a-z0-9-]+):(\d{12}):log-group:([^:*]+)")
STATISTICS = ("recordsMatched", "recordsScanned", "bytesScanned", "logGroupsScanned", "estimatedRecordsSkipped",
              "estimatedBytesSkipped")
STATUSES = ("Scheduled", "Running", *ENDED, "Unknown")


class LogsJson(Json):
    """Its refusals have status 400, all of them."""

    def error(self, refusal, request_id):
        refusal.status = 400 if refusal.status < 500 else refusal.status
        return super().error(refusal, request_id)


class Logs(Service):
    name = scope = iam = "logs"
    target = "Logs_20140328"
    json_version = "1.1"
    json = LogsJson

    def __init__(self, standin):
        super().__init__(standin)
        options = standin.options
        self.events = Events(standin.world)
        self.queries = Queries(self.events, options.state_dir, options.logs_query_ms / 1000, options.logs_exponents)
        self.most = PAGED if options.logs_paging else PAGE
        self.concurrent = options.logs_concurrency
        self.pace = Pace(options.logs_tps)
        self.billed = set()
        self.pager = Pager(standin.credentials.master, "nextToken")

    def resource(self, call):
        """The log groups a call names, or its query does."""
        params = call.params
        asked = self.queries.asked.get(params.get("queryId"))
        names = asked.groups if asked else params.get("logGroupIdentifiers") or params.get("logGroupNames")
        return ",".join(map(str, names or [params.get("logGroupIdentifier") or params.get("logGroupName") or ""]))

    def perform(self, call):
        if not self.pace.admits((call.account, call.region, call.operation)):
            raise Refusal("Throttling", "Rate exceeded", blame=False)
        return super().perform(call)

    # Queries

    def start_query(self, call):
        text = call.text("queryString", required=True)
        start, end = self._moment(call, "startTime"), self._moment(call, "endTime")
        if len(text) > QUERY_TEXT:
            raise wrong(f"The query must not have more than {QUERY_TEXT} characters.")
        if start > end:
            raise wrong("End time should not be less than start time.")
        if call.text("queryLanguage") not in (None, "CWLI"):
            raise wrong("Only the language CWLI is served by this stand-in.")
        query = _compiled(text)
        groups = self._groups_of(call, query)
        self._check_window(groups, end)
        most = self._most(call, query)
        if self.queries.running(call.account, call.region) >= self.concurrent:
            raise Refusal("LimitExceededException", "Account maximum query concurrency limit of "
                          f"[{self.concurrent}] reached.", blame=False)
        self.standin.ledger.count("queries_started")
        owners = {group.account for group in groups}
        if len(owners) > 1:
            raise wrong("This stand-in serves no query of several accounts.")
        asked = self.queries.add(account=call.account, region=call.region, groups=[group.name for group in groups],
                                 owner=next(iter(owners), call.account),
                                 start=start, end=end, text=text, most=most, fate=call.fate,
                                 now=int(self.standin.clock.data() * 1000))
        return {"queryId": asked.id}

    def _moment(self, call, name):
        """Seconds since the epoch, as milliseconds: the end covers only its first. Those who give milliseconds get
        them, as they do from the service, though no document says so."""
        value = call.whole(name)
        if value is None or value < 0:
            raise wrong(f"{name} must be given, and not be negative.")
        return value if value > MILLISECONDS else value * 1000

    def _most(self, call, query):
        """How many rows the query may have at most."""
        limit = call.whole("limit")
        if limit is not None and not 1 <= limit <= self.most:
            raise wrong(f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member "
                        f"must have value less than or equal to {self.most}")
        if query.limit is not None and query.limit > self.most:
            raise malformed(f"limit must not be greater than {self.most}")
        return min(limit or query.limit or PAGE, query.limit or self.most)

    def _groups_of(self, call, query):
        there = self.events.groups(call.account, call.region)
        given = [name for name in ("logGroupName", "logGroupNames", "logGroupIdentifiers") if call.params.get(name)]
        if len(given) + (query.source is not None) != 1:
            raise wrong("Exactly one of logGroupName, logGroupNames, logGroupIdentifiers and SOURCE must be given.")
        if query.source is not None:
            return _of_source(there.values(), query.source, call.account)
        value = call.params[given[0]]
        names = [value] if given[0] == "logGroupName" else value
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise wrong(f"{given[0]} is of the wrong type", "SerializationException")
        if len(names) > GROUPS:
            raise wrong(f"A query may be of at most {GROUPS} log groups.")
        return [self._group(call, name) for name in dict.fromkeys(names)]

    def _group(self, call, name):
        """A group by its name, or by its ARN without the star at its end."""
        match = ARN.fullmatch(name)
        owner = match[2] if match else call.account
        within = owner in (call.account, *self._linked(call)) and (not match or match[1] == call.region)
        if ":" in name and not match:
            raise wrong(f"The log group identifier {name} is malformed.")
        group = self.events.groups(owner, call.region).get(match[3] if match else name) if within else None
        if group is None:
            raise Refusal("ResourceNotFoundException", f"Log group '{name}' does not exist for account ID "
                          f"'{call.account}' (Service: AWSLogs; Status Code: 400)", blame=False)
        return group

    def _linked(self, call):
        return self.standin.world.linked(call.account, call.region, "AWS::Logs::LogGroup")

    def _check_window(self, groups, end):
        now = self.standin.clock.data() * 1000
        if groups and all(end < group.window(now) for group in groups):
            raise malformed("end date and time is either before the log groups creation time or exceeds the log groups "
                            "log retention settings", blame=False)

    def get_query_results(self, call):
        asked = self._asked(call)
        status = self.queries.status(asked)
        if status == "Complete":
            return self._final(call, asked)
        nothing = dict.fromkeys(STATISTICS, 0.0)
        empty = {"queryLanguage": "CWLI", "results": [], "statistics": nothing, "status": status}
        return self._partial(asked, empty) if status == "Running" else empty

    def _final(self, call, asked):
        answer = self.queries.answer(asked.id)
        rows = answer.result.rows
        if asked.fate == "Short":
            rows = [row for at, row in enumerate(rows) if at % 10 != 7]
        position = self._position(call)
        size = call.whole("maxItems", PAGE) if self.most > PAGE else PAGE
        if not 1 <= size <= PAGE:
            raise wrong(f"maxItems must be between 1 and {PAGE}.")
        start = position["at"]
        call.token = position
        result = {"queryLanguage": "CWLI", "results": _shown(answer.result.names, rows[start:start + size]),
                  "statistics": _statistics(answer, asked), "status": "Complete"}
        if start + size < len(rows):
            result["nextToken"] = self.pager.token(call, {"at": start + size})
        self.standin.ledger.count("rows_served", len(result["results"]))
        if asked.id not in self.billed:
            self.billed.add(asked.id)
            self.standin.ledger.count("bytes_scanned", answer.bytes)
        return result

    def _partial(self, asked, empty):
        """What a running query shows: some of the rows, in no order, and of counts not the last word."""
        answer = self.queries.answer(asked.id)
        rows = answer.result.rows[1::2][::-1]
        if not answer.result.of_events:
            rows = [tuple(_unfinished(value) for value in row) for row in rows]
        return {**empty, "results": _shown(answer.result.names, rows[:PAGE]),
                "statistics": _statistics(answer, asked, share=2)}

    def stop_query(self, call):
        asked = self._asked(call)
        if self.queries.status(asked) in ENDED:
            raise wrong("Query is not running: it has ended already.", blame=False)
        self.queries.stop(asked)
        self.standin.ledger.count("queries_stopped")
        return {"success": True}

    def _asked(self, call):
        asked = self.queries.asked.get(call.text("queryId", required=True))
        if asked is None or (asked.account, asked.region) != (call.account, call.region):
            raise Refusal("ResourceNotFoundException", "Query does not exist.", blame=False)
        return asked

    def describe_queries(self, call):
        status, name = call.text("status"), call.text("logGroupName")
        if status not in (None, *STATUSES):
            raise wrong(f"The value {status} for status is unknown.")
        most = call.whole("maxResults", 1000)
        if not 1 <= most <= 1000:
            raise wrong("maxResults must be between 1 and 1000.")
        found = [asked for asked in self.queries.of(call.account, call.region)
                 if status in (None, self.queries.status(asked)) and (name is None or name in asked.groups)]
        page, following = self._page(call, found, most)
        return {"queries": [{"queryLanguage": "CWLI", "queryId": asked.id, "queryString": asked.text,
                             "status": self.queries.status(asked), "createTime": int(asked.created * 1000),
                             "logGroupName": asked.groups[0] if asked.groups else ""} for asked in page], **following}

    # Log groups and events

    def describe_log_groups(self, call):
        prefix, pattern = call.text("logGroupNamePrefix"), call.text("logGroupNamePattern")
        if prefix is not None and pattern is not None:
            raise wrong("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
        most = call.whole("limit", GROUPS)
        if not 1 <= most <= GROUPS:
            raise wrong(f"limit must be between 1 and {GROUPS}.")
        found = [group for owner in self._owners(call) for group in self.events.groups(owner, call.region).values()
                 if group.name.startswith(prefix or "") and (pattern or "").lower() in group.name.lower()]
        page, following = self._page(call, found, most)
        return {"logGroups": [_described(group) for group in page], **following}

    def _owners(self, call):
        """Whose groups are described: the caller's, or where linked accounts are included those that are named."""
        named = call.params.get("accountIdentifiers") or []
        if not call.flag("includeLinkedAccounts", False):
            if named:
                raise wrong("accountIdentifiers goes with includeLinkedAccounts.")
            return [call.account]
        if not isinstance(named, list) or len(named) > 20:
            raise wrong("accountIdentifiers must be a list of at most 20 accounts.")
        return [owner for owner in (call.account, *self._linked(call)) if not named or owner in named]

    def filter_log_events(self, call):
        """The events of a group by time. A pattern is one term in quotes, or one word."""
        group = self._group(call, call.text("logGroupIdentifier") or call.text("logGroupName", required=True))
        pattern = call.text("filterPattern") or ""
        term = pattern[1:-1] if pattern[:1] == '"' else pattern
        if re.search(r'[{}\[\]?"]', term) or " " in term and term == pattern:
            raise wrong("Only single terms are served by this stand-in.")
        most = call.whole("limit", EVENTS)
        if not 1 <= most <= EVENTS:
            raise wrong(f"limit must be between 1 and {EVENTS}.")
        position = self._position(call)
        call.token = position
        seen = position.get("now", int(self.standin.clock.data() * 1000))
        page, at = self._events_page(call, group, term, most, position["at"], seen)
        result = {"events": page, "searchedLogStreams": []}
        if at is not None:
            result["nextToken"] = self.pager.token(call, {"at": at, "now": seen})
        return result

    def _events_page(self, call, group, term, most, skip, now):
        """(events, position): a page is full by number or by bytes, and empty where a search went long without luck."""
        start, end = call.whole("startTime"), call.whole("endTime", now)
        if start is None:
            raise wrong("This stand-in wants a startTime.")
        page, size = [], 0
        for at, event in enumerate(self.events.between(group, start, end, now)):
            if at < skip:
                continue
            if len(page) == most or size > EVENT_BYTES or at - skip == 5 * EVENTS:
                return page, at
            message = event.message
            if term in message:
                size += len(message)
                page.append({"logStreamName": event.stream, "timestamp": event.ms, "message": message,
                             "ingestionTime": event.ingested, "eventId": f"{event.ms:020d}{event.ordinal:036d}"})
        return page, None

    def _position(self, call):
        try:
            return self.pager.position(call) or {"at": 0}
        except Refusal as refusal:
            raise wrong(refusal.message) from None

    def _page(self, call, found, most):
        """(the page a call asks for, the token of the next one as a member of the answer)"""
        call.token = self._position(call)
        start = call.token["at"]
        more = start + most < len(found)
        return found[start:start + most], {"nextToken": self.pager.token(call, {"at": start + most})} if more else {}

    operations = {"StartQuery": start_query, "GetQueryResults": get_query_results, "StopQuery": stop_query,
                  "DescribeQueries": describe_queries, "DescribeLogGroups": describe_log_groups,
                  "FilterLogEvents": filter_log_events}

    # Control

    def list_queries(self, _request):
        return as_json([{**vars(asked), "status": self.queries.status(asked)}
                        for asked in list(self.queries.asked.values())])

    controls = {("GET", "logs/queries"): list_queries}


def wrong(message, code="InvalidParameterException", blame=True):
    return Refusal(code, message, blame=blame)


def malformed(message, blame=True, **details):
    return Refusal("MalformedQueryException", message, blame=blame, details=details)


def _compiled(text):
    try:
        return compile_query(text)
    except QueryError as error:
        location = {"startCharOffset": error.start, "endCharOffset": error.end}
        raise malformed(error.message, queryCompileError={"location": location, "message": error.message}) from None


def _of_source(groups, source, account):
    """The groups that a SOURCE command names by their prefixes."""
    if source.get("accountIdentifiers", [account]) != [account]:
        raise malformed("SOURCE names an account that is not linked to this one")
    prefixes, storage = tuple(source.get("namePrefix", [""])), source.get("class", ["STANDARD"])[0]
    return [group for group in groups if group.name.startswith(prefixes) and group.storage == storage]


def _statistics(answer, asked, share=1):
    """The numbers of an answer, or of a part of it."""
    counts = (answer.result.matched // share, answer.scanned // share, answer.bytes // share, len(asked.groups), 0, 0)
    return dict(zip(STATISTICS, map(float, counts)))


def _shown(names, rows):
    return [[{"field": name, "value": value} for name, value in zip(names, row) if value is not None] for row in rows]


def _unfinished(value):
    return str(int(value) // 2) if value and value.isdigit() else value


def _described(group):
    row = {"logGroupName": group.name, "arn": f"{group.arn}:*", "logGroupArn": group.arn, "metricFilterCount": 0,
           "creationTime": group.created or 0, "storedBytes": int(group.rate * 10**6), "logGroupClass": group.storage}
    return row if group.retention is None else {**row, "retentionInDays": group.retention}
