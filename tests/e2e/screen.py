"""A terminal: the other end of a pty, and what a person in front of it sees."""
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from expected import rfc3339
from lab import MUSTER, PATIENCE

TOKEN = re.compile(rb"\x1b\[(\d*)([A-Za-z])|([\r\n])|([ -~\x80-\xff]+)|(.)", re.S)


class Screen:
    """Knows what muster says to terminals, and takes anything else for a fault. Nothing scrolls away: what may be gone back
    to is judged instead."""

    def __init__(self, columns, rows):
        self.columns, self.height = columns, rows
        self.rows, self.wrapped = [""], [False]
        self.row = self.column = 0

    def put(self, text):
        for character in text:
            if self.column == self.columns:
                self.line_feed(wrapped=True)
                self.column = 0
            line = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = line[:self.column] + character + line[self.column + 1:]
            self.column += 1

    def line_feed(self, wrapped=False):
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")
            self.wrapped.append(wrapped)

    def sequence(self, number, letter):
        if letter == "A":
            up = int(number or 1)
            assert up < self.height and up <= self.row, f"{up} lines up, of {self.row}"
            self.row -= up
        elif letter == "J" and number in ("", "0"):
            assert self.column == 0, "half a line is erased"
            self.rows[self.row:], self.wrapped[self.row:] = [""], [False]
        else:
            raise AssertionError(f"unknown to this terminal: ESC [ {number} {letter}")

    def feed(self, data):
        for match in TOKEN.finditer(data):
            number, letter, control, text, other = match.groups()
            assert not other, f"not for a terminal: {other!r}"
            if letter:
                self.sequence(number.decode(), letter.decode())
            elif text:
                self.put(text.decode("utf-8", "replace"))
            elif control == b"\n":
                self.line_feed()
            else:
                self.column = 0

    def lines(self):
        """What stands there, as lines that were written, however often they were wrapped."""
        found = []
        for row, wrapped in zip(self.rows, self.wrapped):
            if wrapped:
                found[-1] += row
            else:
                found.append(row)
        return found


class Terminal:
    """A muster whose outputs (stderr, if nothing is said) are a terminal. `views` are the screens after each piece that arrived."""

    def __init__(self, lab, *words, size=(100, 24), env=None, command="run", outputs=("stderr",)):
        config = lab.path("muster.yaml", json.dumps(lab.settings))
        self.leader, self.follower = pty.openpty()
        self.screen = Screen(*size)
        self.resize(*size)
        self.before = termios.tcgetattr(self.follower)
        self.seen, self.views, self.said = b"", [], lab.said
        lab.given.update(env or {})
        self.process = subprocess.Popen(
            [MUSTER, command, "-c", config, "--now", rfc3339(lab.now) + "Z", *words], cwd=lab.folder,
            env={**lab.environment(), "TERM": "xterm", **(env or {})}, stdin=subprocess.DEVNULL,
            **{name: self.follower if name in outputs else subprocess.DEVNULL for name in ("stdout", "stderr")})

    def resize(self, columns, rows):
        fcntl.ioctl(self.leader, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.columns, self.screen.height = columns, rows

    def take(self, seconds):
        """What arrives within this time. False: nothing did."""
        if not select.select([self.leader], [], [], seconds)[0]:
            return False
        data = os.read(self.leader, 65536)
        self.seen += data
        self.screen.feed(data)
        self.views.append(self.screen.lines())
        return True

    def wait_for(self, pattern):
        """Until a line on the screen matches. Returns the match."""
        deadline = time.monotonic() + 30 * PATIENCE
        while time.monotonic() < deadline:
            self.take(0.1)
            for line in self.screen.lines():
                match = re.search(pattern, line)
                if match:
                    return match
        raise AssertionError(f"{pattern} was never shown:\n" + "\n".join(self.screen.lines()))

    def finish(self):
        """Until the process is gone and all it said has arrived. Returns its status."""
        deadline = time.monotonic() + 60 * PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            self.take(0.1)
        status = self.process.wait(1)
        while self.take(0.1):
            pass
        return status

    def is_sane(self):
        """Whether the terminal is as it was, its cursor where a prompt may stand."""
        return termios.tcgetattr(self.follower) == self.before and self.screen.column == 0

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.said.append(("a terminal", self.seen))
        os.close(self.leader)
        os.close(self.follower)
