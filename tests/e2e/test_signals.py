#!/usr/bin/python3
"""P10, it ends: told to stop it stops within five seconds, says 143 or 130, and the next run carries on."""
import os
import random
import signal
import time
import unittest

from lab import PATIENCE, Case, begun_windows, finish

DATA = {"service": "monitoring", "operation": "GetMetricData"}
WITHIN = 5 * PATIENCE
SEED = int(os.environ.get("MUSTER_SEED", "1"))


class Signals(Case):
    def stop(self, lab, number, after):
        process = lab.start()
        time.sleep(after)
        process.send_signal(number)
        return finish(process, WITHIN)

    def test_while_it_waits_for_a_service(self):
        for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
            for match in (DATA, {"service": "sts"}, {"service": "prometheus"}):
                with self.subTest(signal=number.name, at=match["service"]):
                    lab = self.lab()
                    lab.daemon.control("faults", [{"match": match, "kind": "hang", "ms": 60000, "drop": True}])
                    self.assert_status(self.stop(lab, number, 1.0 * PATIENCE), status)
                    lab.daemon.control("faults", method="DELETE")
                    self.assert_status(lab.run(), 0)
                    self.assert_exact(lab)

    def test_while_it_waits_before_a_retry(self):
        lab = self.lab()
        lab.daemon.control("faults", [{"match": DATA, "kind": "throttle", "retry_after": 30}])
        self.assert_status(self.stop(lab, signal.SIGTERM, 1.0 * PATIENCE), 143)
        lab.daemon.control("faults", method="DELETE")
        self.assert_status(lab.run(), 0)
        self.assert_exact(lab)

    def test_at_any_moment(self):
        lab, dice = self.lab(tenants=12), random.Random(SEED)
        slow = [{"match": DATA, "kind": "hang", "ms": 40}]
        start, _ = lab.window()
        for _ in range(12):
            lab.daemon.control("faults", slow)
            result = self.stop(lab, signal.SIGTERM, dice.uniform(0, 0.8) * PATIENCE)
            # Before main() has set its handler the default action ends the process: that is -15, and harmless.
            self.assertIn(result.status, (0, 143, -signal.SIGTERM), result.err)
            lab.tell(lab.now + dice.randrange(0, 400))
        lab.daemon.control("faults", method="DELETE")
        self.assert_status(lab.run(), 0)
        spans = begun_windows(lab, start)
        self.assert_lake(lab, spans)
        self.assert_received(lab, spans)


if __name__ == "__main__":
    unittest.main()
