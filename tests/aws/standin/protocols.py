"""The wire protocols: how parameters are read, how results and errors are written.

A service's operations see plain dictionaries; which protocol the client chose shows only in how a scalar is spelled
(whole(), instant(), flag()) and in the bytes of the answer.
"""
import calendar
import json
import math
import re
import time
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from . import cbor
from .errors import Refusal, invalid
from .wire import Reply

# What the query protocol calls an error, and the newer protocols' name for it where it is another.
MODERN = {
    "AccessDenied": "AccessDeniedException",
    "ExpiredToken": "ExpiredTokenException",
    "IncompleteSignature": "IncompleteSignatureException",
    "InvalidAction": "UnknownOperationException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "InvalidParameterCombination": "InvalidParameterCombinationException",
    "InvalidParameterValue": "InvalidParameterValueException",
    "InvalidNextToken": "InvalidNextTokenException",
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "MissingParameter": "MissingRequiredParameterException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "Throttling": "ThrottlingException",
    "ValidationError": "ValidationException",
}
ISO = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:?\d\d)")
# Members that hold epoch seconds.
INSTANTS = {"Timestamps", "Timestamp", "StateUpdatedTimestamp", "StateTransitionedTimestamp", "Expiration"}


class Query:
    """Form in, XML out."""
    content_type = "text/xml"

    def __init__(self, namespace):
        self.namespace = namespace

    @staticmethod
    def whole(name, value):
        if not re.fullmatch(r"-?\d+", value):
            raise invalid(f"{name} is not a whole number", "MalformedInput")
        return int(value)

    @staticmethod
    def flag(name, value):
        if value not in ("true", "false"):
            raise invalid(f"{name} is neither true nor false", "MalformedInput")
        return value == "true"

    @staticmethod
    def instant(name, value):
        match = ISO.fullmatch(value)
        if not match:
            raise invalid(f"timestamp {name} must follow ISO8601", "InvalidParameterValue")
        seconds = calendar.timegm(time.strptime(match[1], "%Y-%m-%dT%H:%M:%S"))
        return seconds + float(match[2] or 0) - _offset(match[3])

    def result(self, operation, result, request_id):
        inner = f"<{operation}Result>{_xml(result)}</{operation}Result>"
        return Reply(200, {"Content-Type": self.content_type}, (
            f'<{operation}Response xmlns="{self.namespace}">{inner}<ResponseMetadata><RequestId>{request_id}'
            f"</RequestId></ResponseMetadata></{operation}Response>\n").encode())

    def error(self, refusal, request_id):
        text = (f'<ErrorResponse xmlns="{self.namespace}"><Error><Type>{refusal.kind}</Type><Code>{refusal.code}</Code>'
                f"<Message>{escape(refusal.message)}</Message></Error><RequestId>{request_id}</RequestId>"
                "</ErrorResponse>\n")
        return Reply(refusal.status, {"Content-Type": self.content_type, **refusal.headers}, text.encode())


class Json:
    """AWS JSON: an object in, an object out. Scalars are strictly typed."""

    def __init__(self, version, query_modes=False, old_codes=False):
        self.content_type = f"application/x-amz-json-{version}"
        self.query_modes = query_modes
        self.old_codes = old_codes

    @staticmethod
    def whole(name, value):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value % 1:
            raise _serialization(name)
        return int(value)

    @staticmethod
    def flag(name, value):
        if not isinstance(value, bool):
            raise _serialization(name)
        return value

    @staticmethod
    def instant(name, value):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise _serialization(name)
        return value

    def result(self, _operation, result, _request_id):
        return Reply(200, {"Content-Type": self.content_type}, json.dumps(result, separators=(",", ":")).encode())

    def error(self, refusal, _request_id):
        code = refusal.code if self.old_codes else MODERN.get(refusal.code, refusal.code)
        body = {"__type": f"com.amazonaws.standin#{code}", "message": refusal.message, **refusal.details}
        headers = {"Content-Type": self.content_type}
        if self.query_modes:
            headers["x-amzn-query-error"] = f"{refusal.code};{refusal.kind}"
        return Reply(refusal.status, {**headers, **refusal.headers}, json.dumps(body).encode())


class Cbor(Json):
    """Smithy's RPC v2 CBOR: the operation is in the path, instants are tag 1."""
    headers = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}

    def __init__(self, compact, query_modes=False, old_codes=False):
        super().__init__("", query_modes, old_codes)
        self.compact = compact

    @staticmethod
    def instant(name, value):
        if not isinstance(value, cbor.Instant) or not math.isfinite(value):
            raise _serialization(name)
        return float(value)

    def result(self, _operation, result, _request_id):
        return Reply(200, dict(self.headers), cbor.dumps(_instants(result), self.compact))

    def error(self, refusal, request_id):
        reply = super().error(refusal, request_id)
        reply.headers.update(self.headers)
        reply.body = cbor.dumps(json.loads(reply.body), self.compact)
        return reply


class RestJson:
    """REST with JSON errors; what a success looks like is up to the operation, which returns a Reply."""

    @staticmethod
    def result(_operation, reply, _request_id):
        return reply

    @staticmethod
    def error(refusal, _request_id):
        headers = {"Content-Type": "application/json", "x-amzn-ErrorType": MODERN.get(refusal.code, refusal.code)}
        return Reply(refusal.status, {**headers, **refusal.headers}, json.dumps({"message": refusal.message}).encode())


class RestObject(RestJson):
    """REST whose successes are JSON objects too. Scalars are strictly typed, as in AWS JSON."""
    whole, flag, instant = Json.whole, Json.flag, Json.instant

    @staticmethod
    def result(_operation, result, _request_id):
        return Reply(200, {"Content-Type": "application/json"}, json.dumps(result, separators=(",", ":")).encode())


class Text:
    """Plain text errors, as Prometheus answers."""

    @staticmethod
    def result(_operation, reply, _request_id):
        return reply

    @staticmethod
    def error(refusal, _request_id):
        headers = {"Content-Type": "text/plain; charset=utf-8", **refusal.headers}
        return Reply(refusal.status, headers, refusal.message.encode() + b"\n")


def read_form(body):
    """A form as nested dictionaries and lists: `A.member.2.B=x` is {"A": [..., {"B": "x"}]}."""
    tree = {}
    for name, value in parse_qsl(body.decode("utf-8"), keep_blank_values=True):
        node, parts = tree, name.split(".")
        for part in parts[:-1]:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise invalid(f"{name} is given twice", "MalformedQueryString")
        node[parts[-1]] = value
    return _lists(tree)


def _lists(node):
    if not isinstance(node, dict):
        return node
    members = node.get("member")
    if isinstance(members, dict):
        if not all(index.isdigit() for index in members):
            raise invalid("a list's member has no number", "MalformedQueryString")
        return [_lists(members[index]) for index in sorted(members, key=int)]
    return {name: _lists(value) for name, value in node.items()}


def read_json(body):
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        raise invalid("the body is not JSON", "SerializationException") from None
    if not isinstance(value, dict):
        raise invalid("the body is not a JSON object", "SerializationException")
    return value


def read_cbor(body):
    try:
        value = cbor.loads(body) if body else {}
    except ValueError as error:
        raise invalid(f"the body is not CBOR: {error}", "SerializationException") from None
    if not isinstance(value, dict):
        raise invalid("the body is not a map", "SerializationException")
    return value


def _instants(value, name=None):
    """A result with its members that hold instants marked as such."""
    if isinstance(value, dict):
        return {key: _instants(inner, key) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_instants(inner, name) for inner in value]
    return cbor.Instant(value) if name in INSTANTS and isinstance(value, (int, float)) else value


def iso(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _offset(zone):
    if zone == "Z":
        return 0
    sign, digits = (-1 if zone[0] == "-" else 1), zone[1:].replace(":", "")
    return sign * (int(digits[:2]) * 3600 + int(digits[2:]) * 60)


def _serialization(name):
    return Refusal("SerializationException", f"{name} is of the wrong type", 400)


def _xml(value, name=None):
    if isinstance(value, dict):
        return "".join(f"<{key}>{_xml(inner, key)}</{key}>" for key, inner in value.items() if inner is not None)
    if isinstance(value, list):
        return "".join(f"<member>{_xml(inner, name)}</member>" for inner in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if name in INSTANTS and isinstance(value, (int, float)):
        whole, ms = divmod(round(value * 1000), 1000)
        return iso(whole).replace("Z", f".{ms:03d}Z" if ms else "Z")
    return escape(str(value))
