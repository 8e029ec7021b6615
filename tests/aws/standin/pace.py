"""How many calls a second somebody may make."""
import threading
import time
from collections import Counter


class Pace:
    """At most `most` within a second of the clock, for each key; None: any number."""

    def __init__(self, most):
        self.most = most
        self.lock = threading.Lock()
        self.second = None
        self.seen = Counter()

    def admits(self, key):
        if self.most is None:
            return True
        with self.lock:
            second = int(time.monotonic())
            if second != self.second:
                self.second = second
                self.seen.clear()
            self.seen[key] += 1
            return self.seen[key] <= self.most
