"""Spans judged by others: decoded by OpenTelemetry's own protobuf classes, and taken by a real Jaeger, which is asked for
the tree of each trace.

Jaeger's binary is looked for beside the Python that runs the tests, where scripts/interop builds it.
"""
import http.server
import json
import os
import sys
import threading
import time
import unittest
import urllib.error
import urllib.request

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

from outside import Outside

import arrivals
import test_traces as traces
from lab import free_port
from spans import expected_lines

BINARY = os.path.join(os.path.dirname(sys.executable), "jaeger")
KINDS = {1: "internal", 2: "server", 3: "client"}


class Collector:
    """Takes OTLP over HTTP and keeps what was decoded."""

    def __init__(self):
        self.requests = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.path, self.headers["Content-Type"], ExportTraceServiceRequest.FromString(body)))
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def value_of(value):
    """A value as OTLP/JSON has it in a line."""
    which = value.WhichOneof("value")
    if which == "array_value":
        return {"arrayValue": {"values": [value_of(one) for one in value.array_value.values]}}
    return {{"string_value": "stringValue", "bool_value": "boolValue", "double_value": "doubleValue",
             "int_value": "intValue"}[which]: str(value.int_value) if which == "int_value" else getattr(value, which)}


def pairs(attributes):
    return [{"key": one.key, "value": value_of(one.value)} for one in attributes]


def line_of(resource, span):
    """What the lake has to say of a decoded span, but for the common fields."""
    events = [{"timeUnixNano": str(e.time_unix_nano), "name": e.name, "attributes": pairs(e.attributes)} for e in span.events]
    links = [{"traceId": one.trace_id.hex(), "spanId": one.span_id.hex(), "attributes": pairs(one.attributes)}
             for one in span.links]
    return {"traceId": span.trace_id.hex(), "spanId": span.span_id.hex(), "name": span.name, "kind": span.kind,
            "startTimeUnixNano": str(span.start_time_unix_nano), "endTimeUnixNano": str(span.end_time_unix_nano),
            "attributes": pairs(span.attributes), "resource": {"attributes": pairs(resource.attributes)},
            "status": {"code": span.status.code, **({"message": span.status.message} if span.status.message else {})},
            **({"parentSpanId": span.parent_span_id.hex()} if span.parent_span_id else {}),
            **({"flags": span.flags} if span.flags else {}), **({"events": events} if events else {}),
            **({"links": links} if links else {})}


class Decoded(traces.TracesCase):
    def test_every_byte_means_what_the_lake_says(self):
        for how in ({"rate": 0.3}, traces.TransactionSearch.HOW):
            lab = self.trace_lab(tenants=2, how=how)
            collector = Collector()
            self.addCleanup(collector.close)
            lab.settings["sinks"]["jaeger"]["url"] = collector.url
            self.assert_status(lab.run(), 0)
            self.assertEqual({request[:2] for request in collector.requests}, {("/v1/traces", "application/x-protobuf")})
            found = [line_of(group.resource, span) for *_, request in collector.requests
                     for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]
            lines = [json.loads(line) for key in arrivals.lake_keys(lab.lake) for line in
                     arrivals.unpack(os.path.join(lab.lake, key)).decode().split("\n")[:-1]]
            for line in lines:
                for name in ("ts", "tenant", "account_id", "region", "job", "trace_id", "span_id", "service", "scope"):
                    line.pop(name, None)
            self.assertTrue(lines)
            self.assertEqual(sorted(map(order, found)), sorted(map(order, lines)))


def as_kept(span):
    """What Jaeger keeps of a span (as told() has it) behind its ids: times are microseconds there."""
    _, _, parent, name, kind, start, end, status, service = span
    return parent, name, kind, start // 1000, (end - start) // 1000, status, service


def order(line):
    return json.dumps(line, sort_keys=True)


@unittest.skipUnless(os.access(BINARY, os.X_OK), "jaeger was not built")
class Jaeger(traces.TracesCase, Outside):
    def setUp(self):
        Outside.setUp(self)
        names = [f"{name}.host-port" for name in ("collector.otlp.http", "collector.otlp.grpc", "collector.http-server",
                 "collector.grpc-server", "query.http-server", "query.grpc-server", "admin.http", "http-server")]
        names += [f"processor.{name}.server-host-port" for name in ("jaeger-binary", "jaeger-compact", "zipkin-compact")]
        ports = {name: free_port() for name in names}
        self.otlp, self.query = (f"http://127.0.0.1:{ports[f'{name}.host-port']}"
                                 for name in ("collector.otlp.http", "query.http-server"))
        self.daemon([BINARY, *(f"--{name}=127.0.0.1:{port}" for name, port in ports.items())], self.ready,
                    {"SPAN_STORAGE_TYPE": "memory"})

    def ready(self):
        try:
            self.ask("services")
            return True
        except (OSError, ValueError):
            return False

    def ask(self, what):
        with urllib.request.urlopen(f"{self.query}/api/{what}", timeout=10) as answer:
            return json.load(answer)["data"]

    def stored(self, trace):
        """A trace, once it can be asked for."""
        deadline = time.monotonic() + 20
        while True:
            try:
                return self.ask(f"traces/{trace}")[0]
            except urllib.error.HTTPError:
                self.assertLess(time.monotonic(), deadline, f"Jaeger does not have {trace}")
                time.sleep(0.1)

    def test_the_tree_of_every_trace(self):
        for how in ({"rate": 0.2}, traces.TransactionSearch.HOW):
            lab = self.trace_lab(tenants=2, how=how)
            lab.settings["sinks"]["jaeger"]["url"] = self.otlp
            self.assert_status(lab.run(), 0)
            wanted = {}
            for key, spans in expected_lines(lab.world, *traces.span_of(lab)).items():
                tenant = key.split("/")[1].removeprefix("tenant=")
                for span in spans:
                    wanted.setdefault(span[0], {})[span[1]] = (tenant, *as_kept(span))
            self.assertGreater(len(wanted), 50)
            for trace, spans in wanted.items():
                self.assertEqual(self.tree(self.stored(trace)), spans)
        services = set(self.ask("services"))
        self.assertLessEqual({span[-1] for spans in wanted.values() for span in spans.values()}, services)

    def tree(self, stored):
        """{span: tenant and what as_kept() says}"""
        found = {}
        for span in stored["spans"]:
            tags = {tag["key"]: tag["value"] for tag in span["tags"]}
            process = stored["processes"][span["processID"]]
            resource = {tag["key"]: tag["value"] for tag in process["tags"]}
            parents = [one["spanID"] for one in span["references"] if one["refType"] == "CHILD_OF"]
            self.assertEqual(len(span["references"]), len(parents))
            found[span["spanID"]] = (
                resource["tenant"], parents[0] if parents else "", span["operationName"],
                {word: kind for kind, word in KINDS.items()}[tags["span.kind"]], span["startTime"], span["duration"],
                2 if tags.get("error") else 0, process["serviceName"])
        return found


if __name__ == "__main__":
    unittest.main()
