"""Remote-write receivers: a workspace of Amazon Managed Prometheus with its Alertmanager, signed, and a plain Prometheus."""
import base64
import json
import re

from .. import prompb, snappy
from ..errors import Refusal, denied
from ..protocols import RestJson, Text
from ..wire import Reply
from .base import Call, Service

WORKSPACE = re.compile(r"/workspaces/([A-Za-z0-9-]{1,64})/(.*)")
REMOTE_WRITE = "RemoteWrite"
CONFIGURATION = "DescribeWorkspaceConfiguration"
ALERTS = "CreateAlertManagerAlerts"
OPERATIONS = {("POST", "api/v1/remote_write"): REMOTE_WRITE, ("GET", "configuration"): CONFIGURATION,
              ("POST", "alertmanager/api/v2/alerts"): ALERTS}
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class _Receiver(Service):
    """What both receivers share: reading a request strictly and handing it to a database."""
    success = 200

    def database(self, call):
        raise NotImplementedError

    def authorise(self, call):
        raise NotImplementedError

    def remote_write(self, call):
        self.authorise(call)
        batch = self._read(call.request)
        self._look_for_disorder(call, batch)
        verdict = self.standin.receiver.write(self.database(call), batch, self.standin.clock.data())
        if verdict.first:
            self._blame(call, verdict)
            raise Refusal("BadSample", verdict.first, 400, blame=False)
        return Reply(self.success)

    def _read(self, request):
        """The series of a request, or a refusal if it is not a remote-write 1.0 request in every respect."""
        check_headers(request.headers)
        limit = self.standin.receiver.policy.max_body
        try:
            if max(len(request.body), snappy.uncompressed_length(request.body)[0]) > limit:
                raise Refusal("RequestEntityTooLarge", f"request body too large: the limit is {limit} bytes", 413,
                              blame=False)
            return prompb.decode(snappy.decompress(request.body))
        except ValueError as error:
            raise Refusal("BadBody", str(error), 400) from None

    def _blame(self, call, verdict):
        """Order and age may be refused to a correct client that resends; labels may not."""
        for reason in verdict.refused:
            if "label" in reason or "name" in reason:
                self.standin.ledger.violation(f"remote write: {reason}", call, series=verdict.first)

    def _look_for_disorder(self, call, batch):
        for labels, samples in batch:
            if any(one[0] >= other[0] for one, other in zip(samples, samples[1:])):
                self.standin.ledger.violation("remote write: samples of a series not in order of time", call,
                                              series=str(labels))

    operations = {REMOTE_WRITE: remote_write}


class Workspaces(_Receiver):
    name = scope = iam = "aps"

    def __init__(self, standin):
        super().__init__(standin)
        self.taken = []  # alerts, as they came

    def read(self, request):
        match = WORKSPACE.fullmatch(request.path)
        if not match:
            return None
        operation = OPERATIONS.get((request.method, match[2]), "-")
        return Call(self, operation, RestJson, lambda _body: {"workspace": match[1]}, request)

    def regions(self):
        return {self.standin.world.region}

    def database(self, call):
        return call.params["workspace"]

    def authorise(self, call):
        """A workspace belongs to the central account; tenants' roles have no business there."""
        if call.principal.account != self.standin.world.central["account"]:
            raise denied(f"User: {call.principal.arn} is not authorized to perform: {self.action(call)}", blame=True)

    def configuration(self, call):
        self.authorise(call)
        answer = {"workspaceConfiguration": {
            "status": {"statusCode": "ACTIVE"}, "limitsPerLabelSet": [], "retentionPeriodInDays": 150,
            "outOfOrderTimeWindowInSeconds": int(self.standin.receiver.policy.window)}}
        return Reply(200, {"Content-Type": "application/json"}, json.dumps(answer).encode())

    def alerts(self, call):
        """All of a request or nothing; [] is taken like any other."""
        self.authorise(call)
        self.taken.extend(read_alerts(call.request))
        return Reply(200)

    def list_alerts(self, _request):
        return Reply(200, {"Content-Type": "application/json"}, json.dumps(self.taken).encode())

    operations = {**_Receiver.operations, CONFIGURATION: configuration, ALERTS: alerts}
    controls = {("GET", "alerts"): list_alerts}


class Prometheus(_Receiver):
    name = "prometheus"
    success = 204

    def read(self, request):
        if request.path != "/api/v1/write" or request.method != "POST":
            return None
        return Call(self, REMOTE_WRITE, Text, lambda _body: {}, request)

    def database(self, call):
        return "prometheus"

    def authorise(self, call):
        options, given = self.standin.options, call.request.headers.get("authorization")
        if options.rw_basic:
            wanted = "Basic " + base64.b64encode(options.rw_basic.encode()).decode()
        elif options.rw_bearer:
            wanted = "Bearer " + options.rw_bearer
        else:
            return
        if given != wanted:
            raise Refusal("Unauthorized", "Unauthorized", 401)


def check_headers(headers):
    media, _, parameter = headers.get("content-type", "").partition(";")
    if media.strip() != "application/x-protobuf" or parameter.strip() not in ("", "proto=prometheus.WriteRequest"):
        raise Refusal("UnsupportedMediaType", f"unsupported Content-Type: {headers.get('content-type')}", 415)
    if headers.get("content-encoding") != "snappy":
        raise Refusal("UnsupportedMediaType", "Content-Encoding must be snappy", 415)
    if headers.get("x-prometheus-remote-write-version") != "0.1.0":
        raise Refusal("BadHeader", "X-Prometheus-Remote-Write-Version must be 0.1.0", 400)
    if not headers.get("user-agent"):
        raise Refusal("BadHeader", "User-Agent is required", 400)


def read_alerts(request):
    """The alerts of a request of Alertmanager's API v2, or a refusal."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise Refusal("UnsupportedMediaType", "unsupported media type, only [application/json] are allowed", 415)
    try:
        alerts = json.loads(request.body)
    except ValueError as error:
        raise Refusal("BadBody", f"parsing alerts body from failed: {error}", 400) from None
    if not isinstance(alerts, list) or not all(is_alert(alert) for alert in alerts):
        raise Refusal("BadBody", "alerts in body must be valid", 400)
    return alerts


def is_alert(alert):
    if not isinstance(alert, dict) or not isinstance(alert.get("labels"), dict):
        return False
    pairs = [*alert["labels"].items(), *alert.get("annotations", {}).items()]
    return bool(any(alert["labels"].values()) and set(alert) <= {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
                and all(LABEL.fullmatch(name) and isinstance(value, str) for name, value in pairs)
                and alert.get("startsAt", "") <= alert.get("endsAt", "~"))
