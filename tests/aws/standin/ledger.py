"""What happened: calls, errors, and the violations that a correct client never commits."""
import collections
import json
import threading
import time

KEPT = 1000  # violations kept with their reasons; all are counted


class Ledger:
    def __init__(self, log=None):
        self.lock = threading.Lock()
        self.log = open(log, "a", encoding="utf-8", buffering=1) if log else None
        self.reset()

    def reset(self):
        with self.lock:
            self.calls = collections.Counter()       # (service, operation, account)
            self.errors = collections.Counter()      # (service, operation, code)
            self.faults = collections.Counter()      # kind
            self.counters = collections.Counter()    # by name
            self.violations = collections.Counter()  # reason
            self.recent = collections.deque(maxlen=KEPT)

    def call(self, call, reply, code, seconds):
        """One finished exchange."""
        with self.lock:
            self.calls[call.service.name, call.operation, call.account or "-"] += 1
            if code:
                self.errors[call.service.name, call.operation, code] += 1
            if call.fault:
                self.faults[call.fault] += 1
        if self.log:
            self._write(call, reply, code, seconds)

    def violation(self, reason, call=None, **more):
        """Something AWS refuses, or that a real client must not do."""
        if call is not None:
            more = {"service": call.service.name, "operation": call.operation, "account": call.account,
                    "request_id": call.request_id, **more}
        with self.lock:
            self.violations[reason] += 1
            self.recent.append({"reason": reason, **more})

    def count(self, name, by=1):
        with self.lock:
            self.counters[name] += by

    def report(self):
        with self.lock:
            return {
                "calls": _nested(self.calls),
                "errors": _nested(self.errors),
                "faults": dict(self.faults),
                "counters": dict(self.counters),
                "violations": {"total": self.violations.total(), "reasons": dict(self.violations),
                               "recent": list(self.recent)},
            }

    def _write(self, call, reply, code, seconds):
        row = {"at": round(time.time(), 3), "service": call.service.name, "operation": call.operation,
               "account": call.account, "region": call.region, "status": reply.status, "code": code,
               "fault": call.fault, "resource": call.resource, "bytes": len(reply.body), "ms": round(seconds * 1000, 2),
               "request_id": call.request_id}
        self.log.write(json.dumps(row) + "\n")


def _nested(counter):
    """{(a, b, c): n} as {a: {b: {c: n}}}."""
    tree = {}
    for (first, second, third), number in sorted(counter.items()):
        tree.setdefault(first, {}).setdefault(second, {})[third] = number
    return tree
