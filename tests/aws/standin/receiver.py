"""The store behind the remote-write receivers: one time-series database a workspace.

It takes and refuses samples by the rules of Prometheus's head block, and keeps every accepted one, on disk too where
there is a state directory, so that a test can compare all that arrived with all that should have.
"""
import json
import os
import re
import struct
import threading
from collections import Counter
from dataclasses import dataclass

METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
STALE = 0x7FF0000000000002
OUT_OF_ORDER = "out of order sample"
DUPLICATE = "duplicate sample for timestamp"
OUT_OF_BOUNDS = "out of bounds"
TOO_OLD = "too old sample"
TOO_NEW = "sample too far in the future"


@dataclass
class Policy:
    """What a receiver takes. Ages are in seconds; None switches a rule off."""
    mode: str = "atomic"     # atomic: one bad sample refuses the request; partial: only itself
    max_age: float = None    # against the data's clock
    window: float = 0        # the out-of-order window, against the database's newest sample
    head_age: float = None   # how far behind the database's newest sample a series may begin or go on
    future: float = 600      # against the data's clock
    max_body: int = 1_000_000

    @classmethod
    def of(cls, options):
        return cls(options.rw_mode, options.rw_max_age, options.rw_window, options.rw_head_age, options.rw_future,
                   options.rw_max_body)


class Verdict:
    """What became of one request."""

    def __init__(self):
        self.taken = []          # (labels, [(ms, bits)])
        self.duplicates = 0
        self.refused = Counter()  # reason -> samples
        self.first = None        # the first refusal, in words

    def refuse(self, reason, labels, number=1, milliseconds=None):
        self.refused[reason] += number
        if self.first is None:
            when = "" if milliseconds is None else f" timestamp={milliseconds},"
            self.first = f"{reason}:{when} series={show(labels)}"


class Database:
    """One workspace's series."""

    def __init__(self):
        self.lock = threading.Lock()
        self.series = {}     # labels -> {ms: bits}
        self.newest = {}     # labels -> (ms, bits)
        self.head = None     # newest timestamp of all
        self.counters = Counter()

    def write(self, batch, policy, now, journal):
        """Judge a request sample by sample, and keep what is to be kept."""
        with self.lock:
            verdict, newest = Verdict(), {}
            for labels, samples in batch:
                self._judge(labels, samples, policy, now, newest, verdict)
            if verdict.refused and policy.mode == "atomic":
                verdict.taken, verdict.duplicates = [], 0
            journal(verdict.taken)
            self._keep(verdict.taken)
            self._count(verdict)
            return verdict

    def restore(self, taken):
        self._keep(taken)

    def _judge(self, labels, samples, policy, now, newest, verdict):
        fault = label_fault(labels)
        if fault:
            verdict.refuse(fault, labels, max(len(samples), 1))
            return
        last = newest.get(labels) or self.newest.get(labels)
        have, good = self.series.get(labels, {}), []
        for milliseconds, bits in samples:
            reason = self._reason(last, have, milliseconds, bits, policy, now)
            if reason == "same":
                verdict.duplicates += 1
            elif reason:
                verdict.refuse(reason, labels, 1, milliseconds)
            else:
                good.append((milliseconds, bits))
                last = max(last, (milliseconds, bits)) if last else (milliseconds, bits)
        if good:
            newest[labels] = last
            verdict.taken.append((labels, good))

    def _reason(self, last, have, milliseconds, bits, policy, now):
        """Why a sample is not stored: "same" where that is no refusal, None where it is stored."""
        if policy.future is not None and milliseconds > (now + policy.future) * 1000:
            return TOO_NEW
        if policy.max_age is not None and milliseconds < (now - policy.max_age) * 1000:
            return f"{TOO_OLD} (greater than the maximum sample age)"
        head = self.head if self.head is not None else milliseconds
        in_window = policy.window > 0 and milliseconds >= head - policy.window * 1000
        if last is None or milliseconds > last[0]:
            far = policy.head_age is not None and milliseconds < head - policy.head_age * 1000
            return OUT_OF_BOUNDS if far and not in_window else None
        if milliseconds == last[0]:
            return "same" if bits == last[1] else DUPLICATE
        if in_window:
            return "same" if milliseconds in have else None
        return TOO_OLD if policy.window > 0 else OUT_OF_ORDER

    def _keep(self, taken):
        for labels, samples in taken:
            self.series.setdefault(labels, {}).update(samples)
            last = max(samples)
            if labels not in self.newest or last > self.newest[labels]:
                self.newest[labels] = last
            if self.head is None or last[0] > self.head:
                self.head = last[0]

    def _count(self, verdict):
        self.counters["requests"] += 1
        self.counters["accepted"] += sum(len(samples) for _, samples in verdict.taken)
        self.counters["duplicates"] += verdict.duplicates
        for reason, number in verdict.refused.items():
            self.counters["refused"] += number
            self.counters[f"refused: {reason}"] += number

    def dump(self, name=None):
        """{labels, samples} of each series, in order."""
        with self.lock:
            for labels in sorted(self.series):
                as_dict = dict(labels)
                if name in (None, as_dict["__name__"]):
                    rows = sorted(self.series[labels].items())
                    yield {"labels": as_dict, "samples": [[ms, plain(bits)] for ms, bits in rows]}


class Receiver:
    """All databases, and the journal that lets them survive a restart."""

    def __init__(self, state_dir, policy):
        self.policy = policy
        self.databases = {}
        self.lock = threading.Lock()
        self.journal = None
        if state_dir:
            os.makedirs(state_dir, exist_ok=True)
            path = os.path.join(state_dir, "remote-write.ndjson")
            self._restore(path)
            self.journal = open(path, "ab", buffering=0)

    def database(self, name):
        with self.lock:
            return self.databases.setdefault(name, Database())

    def write(self, name, batch, now):
        return self.database(name).write(batch, self.policy, now, lambda taken: self._record(name, taken))

    def report(self):
        return {name: {"series": len(database.series), **database.counters}
                for name, database in sorted(self.databases.items())}

    def clear(self):
        with self.lock:
            self.databases.clear()
            if self.journal:
                self.journal.truncate(0)

    def _record(self, name, taken):
        if self.journal and taken:
            with self.lock:
                self.journal.write(json.dumps([name, taken], separators=(",", ":")).encode() + b"\n")

    def _restore(self, path):
        """Read the journal; a last line that was cut by a kill was never acknowledged, and goes."""
        if not os.path.exists(path):
            return
        with open(path, "r+b") as file:
            whole = 0
            for line in file:
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                name, taken = json.loads(line)
                self.database(name).restore([(tuple(map(tuple, labels)), list(map(tuple, samples)))
                                             for labels, samples in taken])
            file.truncate(whole)


def label_fault(labels):
    """What is wrong with a series' labels, None if nothing."""
    names = [name for name, _ in labels]
    if "__name__" not in names:
        return "missing metric name"
    if len(set(names)) < len(names):
        return "duplicate label name"
    if names != sorted(names, key=str.encode):
        return "labels not sorted"
    for name, value in labels:
        if not LABEL_NAME.fullmatch(name):
            return "invalid label name"
        if not value:
            return "empty label value"
        if name == "__name__" and not METRIC_NAME.fullmatch(value):
            return "invalid metric name"
    return None


def show(labels):
    return "{" + ", ".join(f"{name}={json.dumps(value)}" for name, value in labels) + "}"


def plain(bits):
    """A value as JSON can hold it."""
    if bits == STALE:
        return "StaleNaN"
    value = struct.unpack("<d", struct.pack("<Q", bits))[0]
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return value
