#!/usr/bin/python3
"""The status page: P9, nothing that a tenant, a service or an operator said gets out of its place in it. With Chromium,
where Debian's is installed, it is also shown, for 3 and for 1,000 tenants, light and dark.
"""
import html.parser
import json
import os
import shutil
import struct
import subprocess
import unittest

from bucket import BUCKET, S3Lab
from expected import rfc3339
from lab import MUSTER, NOW, PATIENCE, Case, sealed
from testing import send

CHROMIUM = shutil.which("chromium")
HOSTILE = "</td></title><script>alert(1)</script><img src=x onerror=alert(2)>\"' onload='x' &lt; \u202e\x1b[31m ${7*7}"
VOID = {"meta", "br"}
GAPS = [(7200, 3600, "max_catchup"), (30000, 900, "skipped: the disk was full")]
ERRORS = ["ListMetrics: role arn:aws:iam::111122223333:role/muster-reader cannot be assumed: 403 AccessDenied: not "
          "authorized to perform: sts:AssumeRole",
          "GetMetricData: 400 Throttling: Rate exceeded", "prom: Could not resolve host: prom.example"]


def time_text(seconds):
    return rfc3339(seconds) + "Z"


def checkpoint(tenant, job="ecs", region="eu-west-1", lag=600, error=None, failures=0, gaps=(), history=(), amp=0,
               rows=12345):
    """A document as muster stores it, written by other means."""
    cursor = (NOW - lag) // 300 * 300
    sink = {"acked": rows, "already": 0, "beyond": [], "bytes": 1, "rejected": 0, "too_old": 0}
    events = [{"time": time_text(NOW - 60), "who": who, "what": what, "reason": reason} for who, what, reason in history]
    document = {
        "format": "muster-checkpoint", "version": 2, "tenant": tenant, "job": job, "account": "111122223333",
        "generation": 5, "nonce": "00112233445566778899aabbccddeeff",
        "lease": {"begun_through": None, "host": None, "owner": None, "since": None, "until": None},
        **({"history": events} if events else {}),
        "streams": {region: {
            "counters": {"bytes_scanned": 12 * 10**9, "cells": 300, "empty_cells": 1, "failed_runs": failures,
                         "metrics_requested": 250000, "rejected_in": 0, "rows": rows, "samples_frozen": rows * 5},
            "definition": "0123", "every_ms": 300000, "failures": failures, "first": time_text(NOW - 86400 * 3),
            "gaps": [{"start": time_text(NOW - start), "end": time_text(NOW - start + length), "sink": sink_name,
                      "reason": reason, "recorded": time_text(NOW)} for start, length, reason, sink_name in gaps],
            "last_error": error, "last_success": time_text(NOW - lag), "memo": None,
            "sinks": {"lake": {**sink, "cursor": time_text(cursor)},
                      "prom": {**sink, "cursor": time_text(cursor - amp * 300)}}}},
    }
    return sealed(document)


def report(seconds, samples, failed=0):
    stats = {"cells": 10, "lines": samples // 5, "samples": samples}
    return json.dumps({"format": "muster-report", "now": time_text(seconds), "duration_ms": samples,
                       "exit_status": int(failed > 0), "streams": [{"totals": {"stats": {"samples": 1}}}],
                       "totals": {"failed": failed, "stats": stats, "estimated_dollars": samples / 1e6}})


class Page(html.parser.HTMLParser):
    """What a page holds, and whether its tags fit."""

    def __init__(self, text):
        super().__init__()
        self.open, self.wrong, self.tags, self.ids, self.refers, self.rows, self.text = [], [], [], [], [], 0, []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        self.refers += [value for name, value in attrs if name == "aria-labelledby"]
        self.rows += tag == "tr"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append((tag, self.getpos()))

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text.append(data)


class StatusPage(Case):
    def lay_out(self, tenants):
        """A lab whose state was written by this test, not by runs; with so many tenants, most of them well."""
        lab = self.lab()
        for index in range(tenants):
            name = f"tenant-{index:04d}"
            how = {}
            if index % 40 == 1:
                how = {"error": ERRORS[index // 40 % len(ERRORS)], "failures": index % 7 + 1, "lag": 3600 + index * 20}
            elif index % 50 == 2:
                how = {"gaps": [(*gap, "lake") for gap in GAPS], "history": [("ann@ops", "skip eu-west-1", "disk full")]}
            elif index % 60 == 3:
                how = {"amp": 40}
            if index % 100 != 99:
                self.put(lab, f"tenants/{name}/ecs.json", checkpoint(name, rows=1000 + index, **how))
        lab.settings["tenants"] = [{"id": f"tenant-{i:04d}", "account": f"{i:012d}", "role": "r", "external_id": "none"}
                                   for i in range(tenants)]
        for index in range(60):
            seconds = NOW - 86000 + index * 1400
            stamp = rfc3339(seconds).replace("-", "").replace(":", "") + "Z"
            self.put(lab, f"reports/{rfc3339(seconds)[:10]}/{stamp}-{index:08x}.json",
                     report(seconds, 50000 + index * 700 % 9000, failed=int(index % 17 == 5)))
        return lab

    def put(self, lab, key, text):
        path = os.path.join(lab.state, key)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(text.encode() if isinstance(text, str) else text)

    def write(self, lab, path):
        config_file = lab.path("muster.yaml", json.dumps(lab.settings, indent=1))
        result = subprocess.run([MUSTER, "status", "-c", config_file, "--now", time_text(lab.now), "--html", path],
                                env={"PATH": os.environ["PATH"]}, cwd=lab.folder, text=True, check=False,
                                capture_output=True, stdin=subprocess.DEVNULL, timeout=60 * PATIENCE)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def page(self, lab):
        path = lab.path("page.html")
        self.write(lab, path)
        with open(path, encoding="utf-8") as file:
            return self.check(file.read())

    def check(self, text):
        """What holds of every page."""
        page = Page(text)
        self.assertEqual((page.wrong[:3], page.open[:3]), ([], []), "tags that do not fit")
        names = {tag for tag, _ in page.tags}
        self.assertFalse(names & {"script", "img", "iframe", "link", "object", "embed", "form", "base"}, names)
        self.assertEqual(len(page.ids), len(set(page.ids)), "an id twice")
        self.assertLessEqual(set(page.refers), set(page.ids))
        for tag, attrs in page.tags:
            self.assertFalse([name for name in attrs if name.startswith("on")], attrs)
            self.assertRegex(attrs.get("href", "#"), "^#", "a link to elsewhere")
            self.assertNotIn("src", attrs)
            if tag == "th":
                self.assertIn(attrs.get("scope"), ("col", "row"))
            if tag == "svg":
                self.assertTrue(attrs.get("aria-hidden") == "true" or
                                (attrs.get("role") == "img" and ("aria-label" in attrs or "aria-labelledby" in attrs)))
        self.assertEqual(sum(tag == "table" for tag, _ in page.tags), sum(tag == "caption" for tag, _ in page.tags))
        self.assertEqual([attrs["lang"] for tag, attrs in page.tags if tag == "html"], ["en"])
        self.assertNotIn("http:", text)
        self.assertNotIn("https:", text)
        return page

    def test_three_tenants_that_ran(self):
        lab = self.lab()
        self.assert_status(lab.run(), 0)
        page = self.page(lab)
        text = "".join(page.text)
        for tenant in lab.world.tenants:
            self.assertIn(tenant["id"], text)
        self.assertIn("Nothing: every stream's last run was complete; the furthest behind is so by 5m.", text)
        self.assertIn("1 of the last day's 1 runs", text)
        self.assertIn("<!doctype html>", self.write(lab, "-"))

    def test_trouble_in_words_and_what_to_do(self):
        lab = self.lay_out(3)
        text = "".join(self.page(lab).text)
        self.assertIn(ERRORS[0], text)
        self.assertIn("trusts the central role", text)
        self.assertIn("skipped: the disk was full", text)
        self.assertIn("ann@ops", text)

    def test_hostile_words_stay_words(self):
        lab = self.lay_out(1)
        before = [tag for tag, _ in self.page(lab).tags]
        words = HOSTILE
        self.put(lab, "tenants/tenant-0000/ecs.json",
                 checkpoint("tenant-0000", error=words, failures=3, history=[(words, words, words)],
                            gaps=[(3600, 300, words, words)]))
        self.put(lab, "tenants/tenant-0000/old.json", checkpoint("tenant-0000", "old", region=words))
        self.put(lab, "tenants/torn/ecs.json", b"\xff<script>")
        page = self.page(lab)
        text = "".join(page.text)
        self.assertIn("</td></title><script>alert(1)</script><img src=x onerror=alert(2)>\"' onload='x' &lt; \ufffd\ufffd[31m",
                      text)
        self.assertNotIn("\u202e", text)
        self.assertEqual(set(before) - {tag for tag, _ in page.tags}, set())
        self.assertIn("damaged", text)
        if CHROMIUM:
            dom = self.chromium("--dump-dom", "file://" + lab.path("page.html")).stdout.decode()
            self.assertNotIn("<script", dom)
            self.assertNotIn("<img", dom)
            self.assertIn("<title>muster status: muster</title>", dom)

    def test_a_thousand_tenants(self):
        lab = self.lay_out(1000)
        page = self.page(lab)
        text = "".join(page.text)
        self.assertIn("1000 tenants, 1000 streams", text)
        self.assertGreater(page.rows, 1000)
        self.assertIn("10 streams never ran", text)
        self.assertLess(os.path.getsize(lab.path("page.html")), 3 << 20)
        first = text.index("tenant-")
        self.assertIn("failing", text[:first])

    def test_written_at_the_end_of_a_run(self):
        lab = self.lab()
        path = lab.path("pages/status.html")
        os.mkdir(os.path.dirname(path))
        lab.settings["run"] = {"status_page": "file://" + path}
        self.assert_status(lab.run("--dry-run"), 0)
        self.assertFalse(os.path.exists(path))
        self.assert_status(lab.run("--tenant", "t0002"), 0)
        with open(path, encoding="utf-8") as file:
            text = "".join(self.check(file.read()).text)
        self.assertIn("t0001", text, "a run for one tenant leaves a page of all")
        self.assertIn("never ran", text)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o644)
        self.assert_status(lab.run("--shard", "1/2"), 0)

        lab.settings["run"] = {"status_page": "file://" + lab.path("nowhere/status.html")}
        result = lab.run()
        self.assert_status(result, 0)
        self.assertTrue(result.errors("level=warn", "status page not written", "nowhere"), result.err)
        for url in ("s3://bucket", "s3://bucket/folder/", "file:///folder/", "http://x/y.html"):
            lab.settings["run"] = {"status_page": url}
            self.assert_status(lab.run(), 2)

    def test_written_to_s3(self):
        lab = S3Lab()
        self.addCleanup(lab.close)
        lab.settings["run"] = {"status_page": f"s3://{BUCKET}/status.html"}
        for _ in range(2):
            result = lab.run()
            self.assert_status(result, 0)
            self.assertFalse(result.errors("level=warn"), result.err)
        self.assertEqual([row["key"] for row in lab.objects("status")], ["status.html"])
        self.assertEqual(lab.objects(".muster-probe"), [], "the page is written without a condition")
        body = send("GET", f"{lab.daemon.url}/_standin/s3/object?bucket={BUCKET}&key=status.html", {})[2]
        self.assertIn("t0003", "".join(self.check(body.decode()).text))

    def chromium(self, *words):
        with_home = {**os.environ, "HOME": self.home}
        return subprocess.run([CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                               "--hide-scrollbars", "--no-first-run", "--user-data-dir=" + self.home, *words],
                              env=with_home, check=True, capture_output=True, stdin=subprocess.DEVNULL,
                              timeout=120 * PATIENCE)

    def setUp(self):
        import tempfile
        self.home = tempfile.mkdtemp(prefix="muster-chromium.")
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)

    @unittest.skipUnless(CHROMIUM, "Debian's chromium is not installed")
    def test_shown_by_chromium(self):
        keep = os.environ.get("MUSTER_SHOTS")
        for tenants in (3, 1000):
            lab = self.lay_out(tenants)
            self.page(lab)
            shots = {}
            for scheme, flag in (("light", "--blink-settings=preferredColorScheme=1"),
                                 ("dark", "--blink-settings=preferredColorScheme=0")):
                shot = lab.path(f"{scheme}.png")
                self.chromium(flag, "--window-size=1280,1600", "--screenshot=" + shot,
                              "file://" + lab.path("page.html"))
                with open(shot, "rb") as file:
                    shots[scheme] = file.read()
                self.assertEqual(struct.unpack(">II", shots[scheme][16:24]), (1280, 1600))
                if keep:
                    shutil.copy(shot, os.path.join(keep, f"{tenants}-{scheme}.png"))
            self.assertNotEqual(shots["light"], shots["dark"], "it does not follow the reader's scheme")


if __name__ == "__main__":
    unittest.main()
