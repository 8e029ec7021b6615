"""Two clocks: what the data calls now, and what signatures are judged by.

A test fixes the first to get the same answers every time. The second is the machine's, for clients sign with that,
and can be set off to see what a client does when its own clock is wrong.
"""
import time


class Clock:
    def __init__(self, now=None, skew=0.0):
        self.fixed = now
        self.skew = skew

    def data(self):
        """The present of metrics, of visibility and of sample ages."""
        return self.fixed if self.fixed is not None else time.time()

    def wall(self):
        """The present of signatures, session lifetimes and the Date header."""
        return time.time() + self.skew
