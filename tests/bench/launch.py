"""Runs a command and writes what it spent: CPU seconds, KiB at its peak, and how it ended.

    python3 -ISE launch.py FILE COMMAND...      (SIGTERM is handed on)

The kernel counts into a process's peak what its parent held when it was started: so a small parent starts it, not bench.py.
"""
import os
import signal
import sys

child = os.fork()
if not child:
    os.execvp(sys.argv[2], sys.argv[2:])
signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
_, status, usage = os.wait4(child, 0)
with open(sys.argv[1], "w", encoding="ascii") as file:
    file.write(f"{usage.ru_utime + usage.ru_stime} {usage.ru_maxrss} {os.waitstatus_to_exitcode(status)}")
