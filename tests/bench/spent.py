"""A process whose CPU seconds and peak memory are wanted."""
import os
import signal
import subprocess

LAUNCH = os.path.join(os.path.dirname(os.path.realpath(__file__)), "launch.py")


class Process:
    """Its output goes to `log`, or where ours goes."""

    def __init__(self, bench, command, log=None, **environment):
        self.name, self.log, self.spent = os.path.basename(command[0]), log, bench.path("spent." + os.path.basename(command[0]))
        with open(log or os.devnull, "wb") as out:
            self.process = subprocess.Popen(["/usr/bin/python3", "-ISE", LAUNCH, self.spent, *command], cwd=bench.folder,
                                            env={**bench.environment(), **environment}, stdout=out if log else None,
                                            stderr=out if log else None, start_new_session=True)

    def running(self):
        return self.process.poll() is None

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def kill(self):
        if self.running():
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def result(self):
        """Wait for its end: (CPU seconds, MiB, exit code, or minus the signal)."""
        self.process.wait()
        with open(self.spent, encoding="ascii") as file:
            cpu, kib, code = file.read().split()
        return float(cpu), int(kib) / 1024, int(code)

    def last_line(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return (log.read().strip().splitlines() or ["(says nothing)"])[-1][:300]
