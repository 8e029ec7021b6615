"""What the tests against other people's software share: a folder, a muster run in it, and processes that end with the
test."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "e2e"))

from lab import MUSTER, finish  # noqa: E402


class Outside(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="muster-interop.")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, name, text=None):
        path = os.path.join(self.folder, name)
        if text is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        return path

    def daemon(self, command, ready, env=None):
        """A server with its port in its command line, once it answers; ended with the test."""
        with open(self.path("daemon.log"), "ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder,
                                       env={**os.environ, **(env or {})}, start_new_session=True)
        self.addCleanup(self.end, process)
        deadline = time.monotonic() + 60
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                with open(self.path("daemon.log"), encoding="utf-8", errors="replace") as log:
                    self.fail(f"{command[0]} did not start:\n{log.read()[-3000:]}")
            time.sleep(0.1)

    def end(self, process):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def muster(self, *words, env, status=0, timeout=180, command="run"):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        process = subprocess.Popen(
            [MUSTER, command, "-c", self.path("muster.yaml"), *words], env={**clean, "HOME": self.folder, **env},
            cwd=self.folder, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        result = finish(process, timeout)
        self.assertEqual(result.status, status, f"\n{result.out[-2000:]}\n{result.err[-6000:]}")
        return result
