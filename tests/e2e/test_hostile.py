#!/usr/bin/python3
"""What tenants can choose is hostile: names, dimensions, alarms and their reasons, traces, log lines, tags. One tenant's world is
made of it, through every kind of job into every kind of sink, and everything that muster writes is read back: words stay words,
its neighbour's data are exact, and a bomb of series is bounded, counted and said.
"""
import json
import os
import re
import shutil
import unittest

import arrivals
from expected import Expected, windows
from lab import NOW, REGION, Case, Lab, start_prometheus
from screen import Terminal
from standin.world import organize
from test_page import Page

WORDS = (
    "a\nlevel=error msg=\"run finished\" tenant=t0002 tenants_failed=0",
    "cr\r\nb\u2028c\u2029d\x85e",
    "\x1b[2J\x1b[31mred\x1b]0;title\x07\x9b31m\x7f",
    "\u202egnp.exe\u2066\ufeff",
    "</td></title><script>alert(1)</script><img src=x onerror=alert(2)>\"' onload='x' &lt; javascript:x",
    "=cmd|' /C calc'!A0,\"x\"",
    "+1+1\t@SUM(A1);-2",
    "../../../../etc/passwd",
    "..\\..\\nul%2f..%2f~/.ssh",
    "\"} or vector(1) #",
    "{{ $labels.tenant }} ${HOME} $(reboot) `id` %n%s",
    "{\"tenant\":\"t0002\",\"level\":\"info\"}",
    "tenant=t0002/region=eu-west-1/dt=2026-01-01",
    "x" * 1000,
    "\u05d0e\u0301\u0661",
)
DIMENSIONS = ("tenant", "account_id", "Region", "__name__", "le", "dimension_set", "tier", "a b\"}\n", "0", "\u00e9", "Tenant",
              "../x", "=1+1", "<b>", "K" * 255)
MARKS = ("\x1b", "\x07", "\x9b", "\x7f", "\x85", "\u202e", "\u2028")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
KEY = re.compile(r"(rejected/)?[a-z0-9-]+/tenant=[a-z0-9-]+/region=[a-z0-9-]+/dt=\d{4}-\d\d-\d\d/hh=\d\d/"
                 r"\d{8}T\d{6}Z-\d{8}T\d{6}Z(\.joined-\d+|\.late-\d+|-\d+)?\.ndjson\.zst\Z")
ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\Z")
BAD, GOOD = "t0001", "t0002"


def hostile(document):
    """The first tenant of a world, made of words."""
    document["tenants"][0]["labels"] = {"tier": WORDS[9]}
    place = document["tenants"][0]["regions"][REGION]
    place["clusters"][0]["name"] = WORDS[4]
    for number, service in enumerate(place["clusters"][0]["services"]):
        service["name"] = service["family"] = WORDS[(number * 2) % len(WORDS)]
    custom = [{"namespace": "Shop", "metric": "orders", "unit": "Count", "dimensions": {"Word": word}} for word in WORDS]
    custom += [{"namespace": "Shop", "metric": "orders", "unit": "Count", "dimensions": {name: "theirs", "And": "more"}}
               for name in DIMENSIONS]
    custom += [{"namespace": word[:255], "metric": word[:255], "unit": "None", "dimensions": {"One": word}} for word in WORDS]
    place["custom"] = custom
    place["log_groups"] = [{"name": "/ecs/app-words", "kind": "app", "rate": 0.2, "streams": 1, "texts": [
        *WORDS, *(json.dumps({"word": word, "tenant": word, "n": 1, word: 2}) for word in WORDS)]}]
    place["alarms"] = {"slot": 60, "named": [word[:255] for word in WORDS], "said": " ".join(WORDS)}
    place["traces"] = {"rate": 0.2}
    return document


def configuration(lab):
    """Every kind of job into every kind of sink."""
    every = ["prom", "lake"]
    lab.settings["jobs"] = {
        "ecs": {"kind": "metrics", "to": [*every, "screen", "old"], "from": [{"namespace": "ECS/ContainerInsights"}]},
        "words": {"kind": "metrics", "to": every, "from": [{"namespace": word[:255].replace("$", "$$"), "metrics": ["*"]} for word in WORDS]
                  + [{"namespace": "Shop", "metrics": ["*"]}]},
        "logs": {"kind": "insights", "log_groups": ["/ecs/*"], "to": every,
                 "query": "fields @message, word, `../x`, `=1+1`, `<b>`"},
        "numbers": {"kind": "insights", "log_groups": ["/ecs/*"], "to": every,
                    "query": "stats count(*) as n by bin(1m) as t, word, tenant, @message",
                    "series": {"time": "t", "values": {"n": "log_words"},
                               "labels": {"word": "word", "@message": "message"}}},
        "alarms": {"kind": "alarms", "to": [*every, "oncall"]},
        "traces": {"kind": "traces", "to": [*every, "jaeger"]},
    }
    url = lab.daemon.url
    lab.settings["sinks"].update({
        "screen": {"kind": "stdout"}, "old": {"kind": "openmetrics", "url": f"file://{lab.path('old')}"},
        "oncall": {"kind": "alertmanager", "url": f"{url}/workspaces/ws-1/alertmanager",
                   "sigv4": {"service": "aps"}} , "jaeger": {"kind": "otlp", "url": url}})
    lab.settings["run"] = {"self_metrics": "prom", "status_page": f"file://{lab.path('page.html')}",
                           "limits": {"xray": "1000/s"}}


def written_plainly(text, allowed="\n"):
    """The characters of an output for people or machines that a terminal, or who reads by lines, would obey."""
    return sorted({c for c in text if (c < " " and c not in allowed) or "\x7f" <= c <= "\x9f" or c in "\u2028\u2029\u202e\u2066\ufeff"})


class Hostile(Case):
    """One run of everything; each test reads something that it left."""

    @classmethod
    def setUpClass(cls):
        cls.lab_of_all = lab = Lab(document=hostile(Lab.document(2)), flags=["--logs-paging"])
        cls.addClassCleanup(lab.close)
        configuration(lab)
        cls.real = start_prometheus(lab.path("prometheus")) if shutil.which("prometheus") else None
        if cls.real:
            cls.addClassCleanup(cls.real.stop)
            lab.settings["sinks"]["real"] = {"kind": "remote_write", "url": f"{cls.real.url}/api/v1/write"}
            for job in lab.settings["jobs"].values():
                job["to"] = [*job["to"], "real"]
        cls.first = lab.run("--report", lab.path("report.json"), "--log-format", "json", "-v")
        cls.received = arrivals.stand_in(lab.daemon)

    def setUp(self):
        self.assert_status(self.first, 0)
        self.truth = self.lab_of_all

    def test_receivers_get_words_as_values_and_nothing_of_ours_is_theirs(self):
        lab, accounts = self.truth, {t["id"]: t["account"] for t in self.truth.world.tenants}
        values = {}
        for pairs in self.received:
            labels = dict(pairs)
            name = labels.pop("__name__")
            self.assertRegex(name, NAME)
            for label in labels:
                self.assertRegex(label, LABEL)
                self.assertFalse(label.startswith("__"), label)
            if "schedule" not in labels:
                self.assertEqual(labels["account_id"], accounts[labels["tenant"]], labels)
                self.assertEqual(labels["region"], REGION)
            if labels.get("tenant") == BAD and not name.startswith("muster_"):
                self.assertEqual(labels["tier"], WORDS[9], labels)
            elif not name.startswith("muster_"):
                self.assertNotIn("tier", labels)
                self.assertFalse(set(labels.values()) & set(WORDS), labels)
            for label, value in labels.items():
                values.setdefault((name, label), set()).add(value)
        self.assertLessEqual(set(WORDS), values["aws_shop_orders_average", "word"])
        self.assertLessEqual(set(WORDS), values["log_words", "word"] | values["log_words", "message"])
        self.assertLessEqual({word[:255] for word in WORDS}, values["aws_cloudwatch_alarm_state", "alarm"])
        theirs = {label for (name, label), found in values.items() if name == "aws_shop_orders_average" and "theirs" in found}
        self.assertLessEqual({"dim_tenant", "dim_account_id", "dim_region", "dim_dimension_set", "dim_tier", "a_b", "le"}, theirs)
        self.assertFalse(theirs & {"tenant", "account_id", "region", "dimension_set", "tier"})
        expected = Expected(lab.world).samples(windows(lab.world, *lab.window()))
        self.assert_same(expected, {labels: samples for labels, samples in self.received.items()
                                    if dict(labels)["__name__"].startswith("ecs_task_")}, "both tenants' ECS series")

    @unittest.skipUnless(shutil.which("prometheus"), "no prometheus on this machine")
    def test_a_real_receiver_decodes_the_same(self):
        start, end = self.truth.window()
        found = arrivals.prometheus(self.real.url, start - 600, end + 600)
        self.assert_same({labels: samples for labels, samples in self.received.items()
                          if not dict(labels)["__name__"].startswith("muster_")}, found, "Prometheus")

    def test_the_lake_has_plain_keys_and_a_line_for_each_row(self):
        lab, words = self.truth, set()
        for key in arrivals.lake_keys(lab.lake):
            self.assertRegex(key, KEY)
            job, tenant = key.split("/")[0], key.split("/")[1].removeprefix("tenant=")
            text = arrivals.unpack(os.path.join(lab.lake, key))
            self.assertFalse([byte for byte in text if byte < 0x20 and byte != 10], key)
            self.assertTrue(text.endswith(b"\n"))
            for line in text.decode("utf-8").removesuffix("\n").split("\n"):
                row = json.loads(line)
                self.assertEqual((row.get("tenant", tenant), row.get("job", job)), (tenant, job))
                if job == "logs" and tenant == BAD:
                    words |= {row["message"], row["fields"].get("word")}
        self.assertLessEqual(set(WORDS), words)
        spans = windows(lab.world, *lab.window())
        self.assert_same(Expected(lab.world).objects(spans), {
            key: rows for key, rows in ((key, arrivals.rows_of(os.path.join(lab.lake, key)))
                                        for key in arrivals.lake_keys(lab.lake) if key.startswith("ecs/"))}, "the lake")

    def test_what_else_is_written(self):
        lab = self.truth
        lines = self.first.err.removesuffix("\n").split("\n")
        self.assertEqual(written_plainly(self.first.err), [])
        self.assertEqual({type(json.loads(line)) for line in lines}, {dict})
        self.assertEqual(sum(json.loads(line)["msg"] == "run finished" for line in lines), 1)
        for line in self.first.out.removesuffix("\n").split("\n"):
            self.assertEqual(json.loads(line)["job"], "ecs")
        self.assertEqual([c for c in self.first.out if c < " " and c != "\n"], [])
        with open(lab.path("report.json"), encoding="utf-8") as file:
            self.assertEqual({row["state"] for row in json.load(file)["streams"]}, {"done"})

    def test_openmetrics_can_be_read_back(self):
        found = {}
        for key in arrivals.lake_keys(self.truth.path("old")):
            with open(os.path.join(self.truth.path("old"), key), encoding="utf-8", newline="\n") as file:
                lines = file.read().removesuffix("\n").split("\n")
            self.assertEqual(lines[-1], "# EOF")
            for line in lines:
                if line.startswith("#"):
                    continue
                name, labels, value, second = re.fullmatch(
                    r'([a-z_]+)\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\n"])*",?)*)\} (\S+) (\S+)', line).groups()
                pairs = {label: re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), text)
                         for label, text in re.findall(r'([a-z_]+)="((?:[^"\\\n]|\\.)*)"', labels)}
                found.setdefault(tuple(sorted({**pairs, "__name__": name}.items())), {})[
                    round(float(second) * 1000)] = float(value)
        self.assert_same(Expected(self.truth.world).samples(windows(self.truth.world, *self.truth.window())), found, "OpenMetrics")

    def test_alerts_and_spans_keep_their_words(self):
        alerts = self.truth.daemon.control("alerts")
        names = set()
        for alert in alerts:
            self.assertTrue(all(LABEL.match(name) for name in alert["labels"]), alert)
            names.add(alert["labels"]["alarm"])
            url = alert.get("generatorURL", "")
            self.assertRegex(url, r"\A(https://[a-z0-9.-]+/[!-~]*)?\Z")
        self.assertTrue(names & {word[:255] for word in WORDS}, names)
        spans = [span for span in self.truth.daemon.control("spans") if span["resource"]["cloud.account.id"] !=
                 self.truth.world.tenants[1]["account"]]
        told = {span["resource"]["service.name"] for span in spans}
        self.assertLessEqual({WORDS[0], WORDS[2]}, told)



class Said(Case):
    """What AWS says, and what tenants have called themselves, in logs, tables, pages and documents."""

    def run_command(self, lab, command, *words, now=None):
        return lab.run(*words, command=command, now=now)

    def assert_plain(self, lab, result, what):
        self.assertEqual((written_plainly(result.err), written_plainly(result.out)), ([], []), what)

    def refusing(self):
        """A lab whose first tenant is refused in words, and has been."""
        lab = self.lab(tenants=2)
        lab.settings["jobs"]["alarms"] = {"kind": "alarms", "to": ["lake"]}
        lab.settings["run"] = {"status_page": f"file://{lab.path('page.html')}"}
        message = " ".join(word for word in WORDS if len(word) < 200)
        lab.daemon.control("faults", [
            {"match": {"service": "monitoring", "account": lab.world.tenants[0]["account"]}, "kind": "error", "status": 403,
             "code": "AccessDenied" + WORDS[2], "message": message, "every": 1}])
        return lab

    def test_refusals_in_words(self):
        lab = self.refusing()
        for form in ("text", "logfmt", "json"):
            result = lab.run("--log-format", form, "--report", lab.path("report.json"), "-v")
            self.assert_status(result, 1)
            self.assert_plain(lab, result, form)
            lines = [line for line in result.err.splitlines() if "stream failed" in line]
            self.assertEqual(len(lines), 2, result.err)
            for line in lines:
                self.assertIn("onerror", line)
            finished = [line for line in result.err.split("\n") if re.search(r"^(\S+ )*(msg=\"run finished|.*\"msg\":\"run finished)|^\S+ +\S+ +run finished", line)]
            self.assertEqual(len(finished), 1, finished)
        with open(lab.path("report.json"), encoding="utf-8") as file:
            text = file.read()
        self.assertEqual([c for c in text if c < " " and c != "\n"], [])
        self.assertTrue(any("onerror" in (row["error"] or {}).get("message", "") for row in json.loads(text)["streams"]))

    def test_commands_say_them_plainly(self):
        lab = self.refusing()
        self.assert_status(lab.run(), 1)
        for command, *words in (("status",), ("plan",), ("check", "-v"), ("state", "show"), ("compact", "--dry-run"), ("help", "athena")):
            result = lab.run(*words, command=command) if command != "help" else None
            if result:
                self.assert_plain(lab, result, command)
                self.assertIn(result.status, (0, 1), (command, result.err))
        result = lab.run("--json", command="status")
        json.loads(result.out)
        self.assertEqual([c for c in result.out if c < " " and c != "\n"], [])
        with open(lab.path("page.html"), encoding="utf-8") as file:
            text = file.read()
        page = Page(text)
        self.assertEqual((page.wrong[:3], page.open[:3]), ([], []))
        self.assertFalse({tag for tag, _ in page.tags} & {"script", "img", "iframe", "link", "object", "base", "form"})
        for _, attrs in page.tags:
            self.assertFalse([name for name in attrs if name.startswith("on") or name == "src"], attrs)
            self.assertRegex(attrs.get("href", "#"), "^#")
        self.assertEqual(written_plainly(text), [])
        self.assertIn("onerror=alert(2)", "".join(page.text))

    def on_a_terminal(self, lab, command, *words):
        """The lines of its standard output there, which moves no cursor and turns no text."""
        terminal = Terminal(lab, *words, command=command, outputs=("stdout",))
        self.addCleanup(terminal.close)
        self.assertIn(terminal.finish(), (0, 1), terminal.seen[-3000:])
        text = terminal.seen.decode("utf-8")
        self.assertEqual(written_plainly(text, "\r\n"), [])
        return text.replace("\r\n", "\n")

    def test_rows_on_a_terminal(self):
        """The sink for people and pipes: a pipe gets the bytes, a terminal the same JSON."""
        found = []
        for is_terminal in (False, True):
            lab = self.lab(document=hostile(Lab.document(2)))
            lab.settings["sinks"]["screen"] = {"kind": "stdout"}
            lab.settings["jobs"]["ecs"]["to"] = ["lake", "screen"]
            text = self.on_a_terminal(lab, "run") if is_terminal else lab.run().out
            found.append(sorted((json.loads(line) for line in text.removesuffix("\n").split("\n")), key=json.dumps))
            if not is_terminal:
                self.assertLessEqual({"\x7f", "\x9b"}, set(text))
        self.assertEqual(found[0], found[1])

    def test_documents_on_a_terminal(self):
        lab = self.refusing()
        self.assert_status(lab.run(), 1)
        for command, *words in (("status", "--json"), ("plan", "--json"), ("state", "show", "--json")):
            with self.subTest(command=command):
                result = lab.run(*words, command=command)
                shown = self.on_a_terminal(lab, command, *words)
                if command == "status":
                    self.assertIn("\u202e", result.out)
                    self.assertEqual(json.loads(shown), json.loads(result.out))

    def test_tenants_of_an_organization(self):
        """Accounts whose name, tag for an id or other tags are words: refused by name, or words in labels."""
        document = Lab.document(len(WORDS) + 1)
        organize(document)
        lab_world = document["organization"]["accounts"][1:]
        for word, account in zip(WORDS, lab_world):
            account["name"] = word
            account["tags"].update(tier=word[:256], tenant=word[:256])
        lab_world[-1]["tags"]["tier"] = WORDS[4]
        lab = self.lab(document=document)
        lab.settings["tenants"] = []
        lab.settings["tenants_from"] = [{
            "organization": {"role_for_listing": f"arn:aws:iam::{document['organization']['management']}:role/lister",
                             "id_tag": "tenant"}, "role": "muster-reader", "external_id": "{tag:external}",
            "labels": {"tier": "{tag:tier}"}}]
        last = document["tenants"][-1]
        result = lab.run("--log-format", "text")
        self.assert_plain(lab, result, "run")
        self.assert_status(result, 1)
        found = {name.removeprefix("tenant=") for name in os.listdir(os.path.join(lab.lake, "ecs"))}
        for name in found:
            self.assertRegex(name, ID)
        self.assertIn(last["id"], found)
        received = [dict(labels) for labels in arrivals.stand_in(lab.daemon)]
        self.assertEqual({labels["tenant"] for labels in received}, found)
        self.assertLessEqual({labels["tier"] for labels in received}, {word[:256] for word in WORDS})
        ours = {labels["account_id"] for labels in received}
        self.assertEqual(len(ours), len(found), "two accounts under one name")
        for account in lab_world:
            self.assertTrue(account["account"] in ours or result.errors(account["account"]), account)
        for command in ("check", "status", "plan"):
            self.assert_plain(lab, lab.run(command=command), command)
        outside = os.path.dirname(lab.folder)
        self.assertFalse(os.path.exists(os.path.join(outside, "etc")))

    def test_a_configuration_of_words(self):
        """Ids and job names are refused, a line for each, before anything is written or asked."""
        lab = self.lab(tenants=1)
        ids = [word for word in WORDS if "$" not in word] + [".", "..", "a/b", "A", "-a", "a" * 64, "a..b/../c", "t0001\u0130"]
        lab.settings["tenants"] = [{**lab.settings["tenants"][0], "id": word} for word in ids]
        result = lab.run()
        self.assert_status(result, 2)
        self.assert_plain(lab, result, "ids")
        self.assertEqual(sum(".id: " in line for line in result.err.splitlines()), len(ids), result.err)
        self.assertTrue(all(line.startswith(lab.path("muster.yaml") + ":") for line in result.err.splitlines()), result.err)
        self.assertFalse(os.path.exists(lab.state))
        lab.settings = lab.configure()
        job = lab.settings["jobs"]["ecs"]
        lab.settings["jobs"] = {word: job for word in ids}
        result = lab.run()
        self.assert_status(result, 2)
        self.assert_plain(lab, result, "jobs")
        lab.settings = lab.configure()
        for role in ("../../x", "a\nb", WORDS[4], WORDS[2]):
            lab.settings["tenants"][0]["role"] = role
            result = lab.run()
            self.assertIn(result.status, (1, 2))
            self.assert_plain(lab, result, role)
        self.assertEqual(lab.daemon.control("stats")["calls"].get("monitoring", {}), {})


class Long(Case):
    def test_a_line_of_a_megabyte_as_a_label(self):
        """No request can hold it: it costs its own samples, which are on record with the reason, and no others."""
        document = Lab.document(1)
        place = document["tenants"][0]["regions"][REGION]
        place["log_groups"] = [{"name": "/ecs/app-long", "kind": "app", "rate": 0.1, "streams": 1,
                                "texts": ["short", "y" * 1_000_000, "\x1b" * 50_000]}]
        lab = self.lab(document=document, flags=["--logs-paging"])
        lab.settings["jobs"] = {
            "long": {"kind": "insights", "log_groups": ["/ecs/*"], "to": ["prom", "lake"], "lookback": "15m",
                     "query": "stats count(*) as n by bin(1m) as t, @message",
                     "series": {"time": "t", "values": {"n": "lines"}, "labels": {"@message": "message"}}}}
        result = lab.run("--report", lab.path("report.json"))
        self.assert_status(result, 0)
        with open(lab.path("report.json"), encoding="utf-8") as file:
            stats = json.load(file)["streams"][0]["stats"]
        refused = [json.loads(line) for key in arrivals.lake_keys(lab.lake) if key.startswith("rejected/")
                   for line in arrivals.unpack(os.path.join(lab.lake, key)).splitlines()]
        self.assertEqual({row["labels"]["message"][:1] for row in refused}, {"y"})
        self.assertTrue(all(row["reason"] for row in refused))
        self.assertEqual((stats["rejected"], stats["acked"]), (len(refused), stats["samples"] - len(refused)))
        self.assertEqual({dict(labels)["message"][:5] for labels in arrivals.stand_in(lab.daemon)},
                         {"short", "\x1b" * 5})


class Bomb(Case):
    """A dimension that holds a request's id."""
    LIMIT, BOMB = 60, 150

    def bomb_lab(self):
        document = Lab.document(2)
        for number in range(self.BOMB):
            document["tenants"][0]["regions"][REGION]["custom"].append(
                {"namespace": "Shop", "metric": "latency", "unit": "None", "dimensions": {"RequestId": f"r{number:05d}"}})
        for number in range(20):
            document["tenants"][0]["regions"][REGION]["custom"].append(
                {"namespace": "Shop", "metric": "orders", "unit": "None", "dimensions": {"Shop": f"s{number:05d}"}})
        lab = self.lab(document={**document, "late_rate": 0.1, "late_max": 900})
        lab.settings["jobs"]["shop"] = {"kind": "metrics", "to": ["prom", "lake"], "max_series": self.LIMIT,
                                        "from": [{"namespace": "Shop", "metrics": ["*"]}]}
        lab.settings["run"] = {"self_metrics": "prom"}
        return lab

    def shop(self, lab):
        return {labels: samples for labels, samples in arrivals.stand_in(lab.daemon).items()
                if dict(labels)["__name__"].startswith("aws_shop_")}

    def test_series_are_bounded_counted_and_the_same_each_time(self):
        lab, kept, over = self.bomb_lab(), None, 0
        lake = {}
        for later in (0, 300, 900):
            result = lab.run("--report", lab.path("report.json"), now=NOW + later)
            self.assert_status(result, 0)
            said = result.errors("level=warn", "max_series", f"tenant={BAD}", "job=shop", f"max_series={self.LIMIT}")
            self.assertEqual(len(said), 1, result.err)
            with open(lab.path("report.json"), encoding="utf-8") as file:
                stats = {(row["tenant"], row["job"]): row["stats"] for row in json.load(file)["streams"]}
            mine = stats[BAD, "shop"]
            self.assertEqual(mine["samples"], sum(mine[key] for key in ("acked", "already_there", "too_old", "rejected", "over_limit")))
            self.assertGreater(mine["over_limit"], 0)
            self.assertEqual(mine["series_over_limit"], self.BOMB + 20 - self.LIMIT)
            self.assertEqual({key[0] for key, row in stats.items() if row["over_limit"]}, {BAD})
            self.assertRegex(result.err, f"run finished.* over_limit={mine['over_limit']} ")
            over += mine["over_limit"]
            found = set(self.shop(lab))
            kept = kept or found
            self.assertEqual(found, kept, "others than at first")
        self.assertEqual(len(kept), self.LIMIT)
        names = [dict(labels)["__name__"] for labels in kept]
        self.assertEqual(names.count("aws_shop_orders_average"), 20, "who has few keeps them")
        total = lab.daemon.control("rw/dump?name=muster_samples_over_limit_total")
        rows = total if isinstance(total, list) else [json.loads(line) for line in total.splitlines()]
        self.assertEqual(sum(row["samples"][-1][1] for row in rows), over)
        lake = {key: arrivals.rows_of(os.path.join(lab.lake, key)) for key in arrivals.lake_keys(lab.lake)
                if key.startswith("shop/")}
        frozen = {labels: samples for labels, samples in arrivals.samples_in(lake).items()}
        self.assertEqual(len(frozen), self.BOMB + 20)
        for labels, samples in self.shop(lab).items():
            self.assertLessEqual(samples.items(), frozen[labels].items())
            missing = set(frozen[labels]) - set(samples)
            self.assertLessEqual(len(missing), 0.2 * len(samples))

        # Killed and begun anew, in however many pieces: the same.
        again = self.bomb_lab()
        self.assert_status(again.run(now=NOW + 900), 0)
        self.assertEqual(set(self.shop(again)), kept)


if __name__ == "__main__":
    unittest.main()
