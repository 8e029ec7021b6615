"""A receiver of OTLP over HTTP: spans in protobuf, kept as they come."""
from .. import otlp
from ..control import as_json
from ..errors import Refusal
from ..protocols import Text
from ..wire import Reply
from .base import Call, Service

EXPORT = "ExportTraces"


class Collector(Service):
    name = "otlp"

    def __init__(self, standin):
        super().__init__(standin)
        self.spans = []

    def read(self, request):
        if request.path != "/v1/traces" or request.method != "POST":
            return None
        return Call(self, EXPORT, Text, lambda _body: {}, request)

    def export(self, call):
        if call.request.headers.get("content-type") != "application/x-protobuf":
            raise Refusal("UnsupportedMediaType", "expected application/x-protobuf", 415)
        try:
            self.spans += otlp.decode(call.request.body)
        except ValueError as error:
            raise Refusal("BadBody", str(error), 400) from None
        return Reply(200, {"Content-Type": "application/x-protobuf"})

    def list_spans(self, _request):
        return as_json(self.spans)

    operations = {EXPORT: export}
    controls = {("GET", "spans"): list_spans}
