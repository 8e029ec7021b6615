#!/usr/bin/python3
"""What whole runs cost: CPU and memory of the program alone, for more and more tenants, against the stand-in.

    tests/bench/runs.py [--tenants 1,10,100] [--hours 6]      (make bench)

A run pulls the given hours of the eight metrics of each tenant's sixteen services and writes them to a remote-write
receiver and to a lake on disk. The stand-in is slow, so wall time says nothing; CPU and memory are read from the kernel
for the finished process. The result is checked by its count of samples: a fast wrong run is no run.
"""
import argparse
import os
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

from expected import Expected, windows  # noqa: E402
from lab import Lab  # noqa: E402

CPU_BUDGET = 1.5   # microseconds a sample
RSS_BUDGET = 48    # MiB


def measure(tenants, hours):
    """(samples, CPU seconds, MiB) of one run."""
    lab = Lab(tenants, clusters=2, services=8, gap_rate=0)
    try:
        lab.settings["jobs"]["ecs"]["lookback"] = f"{hours}h"
        process = lab.start("-q")
        process.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"bench: exit {process.returncode}: {process.stderr.read()[-2000:]}")
        process.stderr.close()
        count = lab.daemon.control("rw/stats")["prometheus"]["accepted"]
        check(lab, tenants, count, hours)
        return count, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    finally:
        lab.close()


def check(lab, tenants, count, hours):
    """Every tenant has as many samples as the first, whose number is computed from the truth."""
    start, end = lab.now // 300 * 300 - hours * 3600, lab.window()[1]
    first = windows(lab.world, start, end, {lab.world.tenants[0]["id"]})
    expected = tenants * sum(map(len, Expected(lab.world).samples(first).values()))
    if count != expected:
        sys.exit(f"bench: {count} samples arrived, {expected} were expected")


def main():
    parser = argparse.ArgumentParser(description="what whole runs cost")
    parser.add_argument("--tenants", default="1,10,100")
    parser.add_argument("--hours", type=int, default=6)
    args = parser.parse_args()
    print(f"{'tenants':>8} {'samples':>10} {'CPU s':>8} {'us/sample':>10} {'peak MiB':>9} {'wall s':>7}")
    for tenants in map(int, args.tenants.split(",")):
        began = time.monotonic()
        count, cpu, rss = measure(tenants, args.hours)
        print(f"{tenants:>8} {count:>10} {cpu:>8.2f} {cpu / count * 1e6:>10.2f} {rss:>9.1f} {time.monotonic() - began:>7.1f}",
              flush=True)
    print(f"budget: {CPU_BUDGET} us a sample from JSON, {RSS_BUDGET} MiB")


if __name__ == "__main__":
    main()
