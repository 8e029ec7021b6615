"""Faults on purpose: which request is hit, and what is done to it.

A rule says which requests it looks at (match), which of those it hits (nth, every, after, times, prob) and how (kind).
The first rule that hits is the one that counts. Everything is decided by counters and by the world's seed.
"""
import email.utils
import fnmatch
import json
import threading
import time
from collections import Counter

from .credentials import expired_token
from .errors import Refusal, denied
from .protocols import RestJson, Text
from .s3xml import S3Rest, error_body
from .sigv4 import skewed
from .wire import Reply, reset
from .world import fraction

MATCH = {"service", "operation", "account", "region", "resource"}
KEYS = {"match", "nth", "every", "after", "times", "prob", "per_account", "kind", "effect", "status", "ms", "drop",
        "at", "chunk", "interval_ms", "fraction", "seconds", "retry_after", "message", "code"}
HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"


def read_rules(path):
    if not path:
        return []
    with open(path, encoding="utf-8") as file:
        return json.load(file)


class Faults:
    def __init__(self, standin, rules):
        self.standin = standin
        self.lock = threading.Lock()
        self.set(rules)

    def set(self, rules):
        self.rules = [Rule(self.standin, number, rule) for number, rule in enumerate(rules)]

    def pick(self, call):
        """The rule that hits a call, if any; every rule that matches counts it."""
        if not self.rules:
            return None
        with self.lock:
            hits = [rule for rule in self.rules if rule.hits(call)]
            if not hits:
                return None
            hits[0].fired += 1
            return hits[0]

    def report(self):
        return [{**rule.document, "seen": sum(rule.seen.values()), "fired": rule.fired} for rule in self.rules]


class Rule:
    def __init__(self, standin, number, document):
        unknown = (set(document) - KEYS) | (set(document.get("match", {})) - MATCH)
        if unknown:
            raise ValueError(f"rule {number}: unknown keys {sorted(unknown)}")
        self.standin = standin
        self.number = number
        self.document = document
        self.match = document.get("match", {})
        self.kind = document["kind"]
        self.act = KINDS[self.kind]
        self.seen = Counter()
        self.fired = 0

    def get(self, name, default=None):
        return self.document.get(name, default)

    def hits(self, call):
        have = {"service": call.service.name, "operation": call.operation, "account": call.account,
                "region": call.region}
        if any(have[name] != value for name, value in self.match.items() if name != "resource"):
            return False
        if not fnmatch.fnmatchcase(call.resource, self.match.get("resource", "*")):
            return False
        self.seen[call.account if self.get("per_account") else None] += 1
        return self._due(call.account, self.seen[call.account if self.get("per_account") else None])

    def _due(self, account, count):
        nth = self.get("nth")
        if nth is not None and count not in (nth if isinstance(nth, list) else [nth]):
            return False
        if count <= self.get("after", 0) or (count - self.get("after", 0)) % self.get("every", 1):
            return False
        if self.get("times") is not None and self.fired >= self.get("times"):
            return False
        scope = account if self.get("per_account") else "*"
        return fraction(self.standin.world.seed, "fault", self.number, scope, count) < self.get("prob", 1.0)

    def inflict(self, call, serve):
        """The answer to a call that was hit. serve(call, alter) is what would have been done without."""
        return self.act(self, call, serve)


# Instead of an answer: an error, with or without the effect of the request

def _refusing(make):
    def act(rule, call, serve):
        if rule.get("effect"):
            serve(call)
        answer = make(rule, call)
        if isinstance(answer, Reply):
            return answer
        answer.blame = False
        raise answer
    return act


def _throttle(rule, call):
    wait = rule.get("retry_after")
    headers = {} if wait is None else {"Retry-After": str(wait)}
    status = 429 if call.protocol in (RestJson, Text) else 400
    return Refusal("Throttling", "Rate exceeded", status, headers=headers)


def _internal(_rule, _call):
    return Refusal("InternalFailure", "The request processing has failed because of an unknown error.", 500)


def _unavailable(_rule, _call):
    return Refusal("ServiceUnavailable", "The request has failed due to a temporary failure of the server.", 503)


def _html(rule, _call):
    return Reply(rule.get("status", 502), {"Content-Type": "text/html"}, HTML)


def _expired(_rule, _call):
    return expired_token()


def _denied(_rule, call):
    who = call.principal.arn if call.principal else "anonymous"
    return denied(f"User: {who} is not authorized to perform: {call.service.iam}:{call.operation}")


def _skew(rule, call):
    """Refused as if the service's clock were ahead, by a service whose Date header says so, this once."""
    ahead = rule.standin.clock.wall() + rule.get("seconds", 600)
    refusal = skewed(call.request.headers.get("x-amz-date", ""), True, ahead, call.service.rules)
    refusal.headers["Date"] = email.utils.formatdate(ahead, usegmt=True)
    return refusal


def _named(rule, _call):
    """Any error of the service's protocol: `code`, `status`, `message`."""
    return Refusal(rule.get("code", "InternalFailure"), rule.get("message", "Injected."), rule.get("status", 400))


def _conflict(_rule, call):
    """Another conditional write was faster. An upload that was to be completed is void then."""
    if call.protocol is S3Rest:
        call.service.void(call)
    return Refusal("ConditionalRequestConflict", "The conditional request cannot succeed due to a conflicting operation"
                   " against this resource.", 409)


def _late_error(rule, call):
    """What CompleteMultipartUpload may do: blanks to keep the line alive under status 200, and then an error."""
    body = error_body(rule.get("code", "InternalError"), rule.get("message", "We encountered an internal error."),
                      call.request_id, filler=" \n" * 20)
    return Reply(200, {"Content-Type": "application/xml"}, body)


def _plain(status, default):
    def make(rule, _call):
        wait = rule.get("retry_after")
        headers = {"Content-Type": "text/plain"} | ({} if wait is None else {"Retry-After": str(wait)})
        return Reply(status, headers, rule.get("message", default).encode() + b"\n")
    return make


def _reset_now(_rule, _call):
    return Reply(deliver=lambda sock, _data: reset(sock))


# Another answer: the request is done, its result is not what it should be

def _altering(change):
    def act(rule, call, serve):
        def alter(result):
            return change(rule, call, result) if isinstance(result, dict) else result
        return serve(call, alter)
    return act


def _chosen(rule, call, results):
    """The share of a page's results that a rule hits, at least one."""
    share, seed = rule.get("fraction", 0.5), rule.standin.world.seed
    hit = [row for row in results if fraction(seed, rule.number, rule.fired, call.account, row["Id"]) < share]
    return hit or results[:1]


def _spoiled(status, message, keep):
    def change(rule, call, result):
        for row in _chosen(rule, call, result.get("MetricDataResults", [])):
            half = len(row["Values"]) // 2 if keep else 0
            row.update(StatusCode=status, Timestamps=row["Timestamps"][:half], Values=row["Values"][:half],
                       Messages=[{"Code": status, "Value": message}])
        return result
    return change


def _nan(_rule, _call, result):
    """The first value there is becomes no number: the word for it is the same in JSON and in XML."""
    for row in result.get("MetricDataResults", []):
        if row["Values"]:
            row["Values"][0] = "NaN"
            break
    return result


def _empty_page(_rule, call, result):
    """Nothing, and a token for the very page that was asked for."""
    emptied = {name: [] if isinstance(value, list) else value for name, value in result.items()}
    return _repeat_token(_rule, call, emptied)


def _repeat_token(_rule, call, result):
    return {**result, call.service.pager.name: call.service.page_token(call)} if call.service.pager else result


def _fated(status):
    """Whatever query the call starts ends like this."""
    def act(_rule, call, serve):
        call.fate = status
        return serve(call)
    return act


def _wrong_types(_rule, _call, value):
    if isinstance(value, dict):
        return {name: _wrong_types(_rule, _call, inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_wrong_types(_rule, _call, inner) for inner in value]
    return 7 if isinstance(value, str) else "seven"


def _wrong_account(rule, call, result):
    """Working credentials, but of somebody else's account."""
    return call.service.elsewhere(call) if call.operation == "AssumeRole" else result


# The right answer, badly delivered

def _delivering(how):
    def act(rule, call, serve):
        reply = serve(call)
        how(rule, reply)
        return reply
    return act


def _hang(rule, call, serve):
    time.sleep(rule.get("ms", 30000) / 1000)
    return _reset_now(rule, call) if rule.get("drop") else serve(call)


def _bad_body(_rule, reply):
    reply.body = reply.body[:len(reply.body) * 2 // 3]


def _truncate(rule, reply):
    missing = len(reply.body) - int(len(reply.body) * rule.get("at", 0.5))
    reply.deliver = lambda sock, data: sock.sendall(data[:len(data) - missing])


def _reset_after(_rule, reply):
    reply.deliver = lambda sock, _data: reset(sock)


def _slow_drip(rule, reply):
    size, pause = rule.get("chunk", 64), rule.get("interval_ms", 100) / 1000

    def deliver(sock, data):
        for start in range(0, len(data), size):
            sock.sendall(data[start:start + size])
            time.sleep(pause)
    reply.deliver = deliver


KINDS = {
    "throttle": _refusing(_throttle),
    "http500": _refusing(_internal),
    "http503": _refusing(_unavailable),
    "html": _refusing(_html),
    "expired": _refusing(_expired),
    "denied": _refusing(_denied),
    "skew": _refusing(_skew),
    "rw400": _refusing(_plain(400, "out of order sample")),
    "rw429": _refusing(_plain(429, "ingestion rate limit (70000) exceeded")),
    "rw503": _refusing(_plain(503, "no healthy upstream")),
    "error": _refusing(_named),
    "s3-conflict": _refusing(_conflict),
    "s3-late-error": _refusing(_late_error),
    "reset-before": _refusing(_reset_now),
    "gmd-internal": _altering(_spoiled("InternalError", "An internal error occurred.", keep=False)),
    "gmd-partial": _altering(_spoiled("PartialData", "Not all data could be read.", keep=True)),
    "gmd-forbidden": _altering(_spoiled("Forbidden", "Access to the metric was denied.", keep=False)),
    "nan": _altering(_nan),
    "emptypage": _altering(_empty_page),
    "repeattoken": _altering(_repeat_token),
    "wrongtypes": _altering(_wrong_types),
    "query-failed": _fated("Failed"),
    "query-timeout": _fated("Timeout"),
    "query-stuck": _fated("Stuck"),
    "query-short": _fated("Short"),
    "wrong-account": _altering(_wrong_account),
    "hang": _hang,
    "badjson": _delivering(_bad_body),
    "truncate": _delivering(_truncate),
    "reset-after": _delivering(_reset_after),
    "slowdrip": _delivering(_slow_drip),
}
