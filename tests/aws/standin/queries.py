"""Insights queries: what was asked, how far it is, and what comes out.

Only the asking is kept (on disk too, where there is a state directory): an answer is a pure function of it, and is
computed again when it is asked for again.
"""
import functools
import hashlib
import itertools
import json
import os
import threading
import time
import uuid
from dataclasses import asdict, dataclass

from .insights import Result, compile_query

ENDED = ("Complete", "Failed", "Timeout", "Cancelled")
CACHED = 12  # answers


@dataclass
class Asked:
    """A query as StartQuery took it."""
    id: str
    account: str
    region: str
    groups: list         # names
    start: int           # ms, inclusive
    end: int             # ms, inclusive
    text: str
    most: int            # rows
    created: float       # by the machine's clock
    now: int             # ms, by the data's: what is ingested later is not seen
    owner: str = None    # whose groups they are; None: the account's own
    fate: str = None     # how a fault ends it: Failed, Timeout, Stuck or Short
    stopped: float = None

    def status(self, when, pace):
        """Scheduled, then Running, then what becomes of it."""
        if self.stopped is not None:
            return "Cancelled"
        age = when - self.created
        if age < pace / 4:
            return "Scheduled"
        if age < pace or self.fate == "Stuck":
            return "Running"
        return self.fate if self.fate in ENDED else "Complete"


@dataclass
class Answer:
    result: Result
    scanned: int         # events
    bytes: int


class Queries:
    def __init__(self, events, state_dir, pace, java):
        self.events = events
        self.pace = pace
        self.java = java
        self.lock = threading.Lock()
        self.asked = {}
        self.journal = None
        self.answer = functools.lru_cache(maxsize=CACHED)(self._answer)
        if state_dir:
            self._open(os.path.join(state_dir, "queries.ndjson"))

    def _open(self, path):
        """What an earlier process was asked; a line that a kill cut off was never answered for."""
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                for line in file:
                    if line.endswith("\n"):
                        asked = Asked(**json.loads(line))
                        self.asked[asked.id] = asked
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.journal = open(path, "a", encoding="utf-8", buffering=1)

    def add(self, **what):
        asked = Asked(id=str(uuid.uuid4()), created=time.time(), **what)
        with self.lock:
            self.asked[asked.id] = asked
            self._write(asked)
        return asked

    def stop(self, asked):
        with self.lock:
            asked.stopped = time.time()
            self._write(asked)

    def _write(self, asked):
        if self.journal:
            self.journal.write(json.dumps(asdict(asked)) + "\n")

    def of(self, account, region):
        """The queries of an account and region, the newest first."""
        with self.lock:
            found = reversed(self.asked.values())
            return [asked for asked in found if (asked.account, asked.region) == (account, region)]

    def status(self, asked):
        return asked.status(time.time(), self.pace)

    def running(self, account, region):
        return sum(self.status(asked) not in ENDED for asked in self.of(account, region))

    def _answer(self, identity):
        asked = self.asked[identity]
        groups = self.events.groups(asked.owner or asked.account, asked.region)
        found = list(itertools.chain.from_iterable(
            self.events.between(groups[name], asked.start, asked.end, asked.now) for name in asked.groups))
        result = compile_query(asked.text).run(found, seed_of(asked), asked.most, self.java)
        return Answer(result, len(found), sum(event.size for event in found))


def seed_of(asked):
    """The same question in the same window gets its rows of equal rank in the same order."""
    question = json.dumps([asked.account, asked.region, asked.groups, asked.start, asked.end, asked.text])
    return int.from_bytes(hashlib.sha256(question.encode()).digest()[:8], "big")
