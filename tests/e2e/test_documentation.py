#!/usr/bin/python3
"""What README.md, lib/pages and .github say is so: every command line of muster is run against the stand-in and ends as is said, every
configuration is read by the program, every query by promtool, every link leads somewhere, and what every error means is said of every error.

A command is a line that is indented by four and begins with a program's name; `# exit N` behind it promises a status. NOT_RUN has the
others, each with what is looked at instead.
"""
import glob
import json
import os
import re
import shlex
import shutil
import subprocess
import unittest

import botocore.session
import yaml
from botocore import xform_name

from lab import MUSTER, NOW, ROOT, Case, Lab, rfc3339

PAGES = sorted(glob.glob(os.path.join(ROOT, "lib/pages/*.md")))
DOCUMENTS = [os.path.join(ROOT, "README.md"), *PAGES, *sorted(glob.glob(os.path.join(ROOT, ".github/*.md")))]
PROGRAMS = r"muster|aws|sudo|scripts/\S+|make|find|tar|jq|promtool|journalctl|\("
COMMAND = re.compile(rf"^ {{4,}}(?:\$ )?((?:[A-Z_]+=\S+ )*(?:{PROGRAMS})(?: .*|\w.*)?)$")
PROMQL = re.compile(r"^ {4}((?:absent_over_time|time|increase|histogram_quantile|sum|max)\b.*)$")
FOLDER = "/var/lib/muster"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def fences(path, language):
    return re.findall(rf"(?m)^```{language}\n((?:.*\n)*?)```$", read(path))


def commands(path):
    """(section, command, promised status) of each command line."""
    text, section = re.sub(r"\\\n *", "", re.sub(r"(?ms)^```.*?^```$", "", read(path))), ""
    for line in text.split("\n"):
        section = line.lstrip("# ") if line.startswith("#") else section
        found = COMMAND.match(line)
        if found and not re.match(r"muster/|make \w+ +#? ?[A-Z]", found[1]):
            command, _, comment = found[1].partition("  #")
            promised = re.search(r"exit (\d)", comment)
            yield section, command.strip(), int(promised[1]) if promised else 0


def operations(service):
    return {xform_name(name) for name in botocore.session.get_session().get_service_model(service).operation_names}


class Unrun:
    """Commands that need AWS, root or minutes: what can be seen of them without."""

    @staticmethod
    def aws(words):
        assert words[2] == "deploy" or words[2].replace("-", "_") in operations(words[1]), words
        for name, value in zip(words, words[1:]):
            if name in ("--template-file", "--template-body"):
                assert os.path.exists(os.path.join(ROOT, value.removeprefix("file://"))), value
        given = [word.partition("=")[0] for word in words if re.match(r"[A-Z]\w+=\S", word) and "," not in word.partition("=")[0]]
        template = read(os.path.join(ROOT, next((w.removeprefix("file://") for w in words if w.endswith(".yaml")), "Makefile")))
        for name in given:
            assert name in ("MaxConcurrentPercentage", "Enabled", "ParameterKey", "OrganizationalUnitIds") or f"\n  {name}:\n" in template, name

    @staticmethod
    def sudo(words):
        assert words[1] in ("make", "install", "systemctl", "apt"), words
        if words[1] == "make":
            Unrun.make(words[1:])

    @staticmethod
    def make(words):
        for target in words[1:]:
            assert re.search(rf"(?m)^{target}:", read(os.path.join(ROOT, "Makefile"))), target

    @staticmethod
    def script(words):
        assert os.access(os.path.join(ROOT, words[0]), os.X_OK), words

    @staticmethod
    def journal(words):
        assert words[1:3] == ["-u", "muster"] and os.path.exists(os.path.join(ROOT, "schedules/muster.service"))


# (what it begins with, why it is not run here, what is looked at instead)
NOT_RUN = [("aws ", "needs an account", Unrun.aws), ("sudo ", "needs root", Unrun.sudo), ("make", "builds", Unrun.make),
           ("scripts/", "builds or tests everything", Unrun.script), ("journalctl ", "needs systemd", Unrun.journal)]
# Whole sections that another module types.
ELSEWHERE = {("README.md", "The first tenant"): "test_first_day"}


class PageLab(Lab):
    """A folder to type in: muster.yaml, tenants acme and t0002, and a `muster` whose present is the stand-in's."""

    def __init__(self):
        world = Lab.document(2)
        world["central"]["account"] = "444455556666"
        world["tenants"][0].update(id="acme", account="111122223333", role="arn:aws:iam::111122223333:role/muster-reader",
                                   external_id="muster-111122223333")
        super().__init__(document=world)
        self.settings["sinks"]["prom"]["max_age"] = "1h"
        text = json.dumps(self.settings)
        for name in ("muster", "muster-record", "plain"):
            self.path(f"{name}.yaml", text if name == "muster" else text.replace(self.state, self.path(f"state-{name}"))
                      .replace(f"file://{self.lake}", f"file://{self.path(f'lake-{name}')}"))
        os.mkdir(self.path("bin"))
        self.path("bin/muster", "#!/bin/sh\ncase $1 in init|help|version|replay) exec " + MUSTER + ' "$@" ;; esac\n'
                  f'exec {MUSTER} "$@" --now {rfc3339(NOW)}Z\n')
        os.chmod(self.path("bin/muster"), 0o755)
        os.mkdir(self.path("expected"))
        for words in ("muster run", "muster record -o plain.tar.zst -- run -c plain.yaml"):
            done = self.type(words)
            assert done.returncode == 0, done.stderr[-2000:]

    def type(self, command):
        environment = {**self.environment(), "PATH": self.path("bin") + ":" + os.environ["PATH"]}
        done = subprocess.run(["/bin/sh", "-c", command.replace(FOLDER, self.folder)], text=True, cwd=self.folder, env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=240, check=False)
        for name in re.findall(r"^muster init -c (\S+)$", command):  # what it wrote is filled in
            self.path(name, read(self.path(name)).replace(FOLDER, self.path(name + ".d")))
        return done


class Documentation(Case):
    def test_every_command_is_run(self):
        lab = PageLab()
        self.addCleanup(lab.close)
        ran = 0
        for path in DOCUMENTS:
            for section, command, promised in commands(path):
                with self.subTest(page=os.path.basename(path), command=command):
                    how = next((how for begins, _, how in NOT_RUN if command.startswith(begins)), None)
                    subprocess.run(["/bin/sh", "-n", "-c", command], check=True)
                    if how:
                        for part in command.split(" && "):
                            words = shlex.split(part)
                            next(how for begins, _, how in NOT_RUN if part.startswith(begins))(words)
                        continue
                    if (os.path.basename(path), section) in ELSEWHERE or (command.startswith("promtool") and not shutil.which("promtool")):
                        continue
                    done = lab.type(command)
                    ran += 1
                    self.assertEqual(done.returncode, promised, f"{done.stdout[-1500:]}\n{done.stderr[-3000:]}")
        self.assertGreater(ran, 40)

    def test_the_file_that_init_writes_is_the_one_that_is_used(self):
        """That the program takes a line does not show it: another file of that name lies in the lab."""
        written = {}
        for path in DOCUMENTS:
            for section, command, _ in commands(path):
                found = re.match(r"muster (\w+).* -c (\S+)", command)
                if found and found[1] == "init":
                    written[path, section] = found[2]
                if found:
                    self.assertEqual(found[2], written.get((path, section), found[2]), f"{path}: {command}")
        self.assertTrue(written)

    def test_every_configuration_is_read(self):
        lab = Lab(tenants=1)
        self.addCleanup(lab.close)
        os.mkdir(lab.path("tenants.d"))
        lab.path("tenants.d/more.yaml", '[{"id": "more", "account": "222233334444"}]')
        read_some = 0
        for path in DOCUMENTS:
            for text in fences(path, "yaml"):
                document = yaml.safe_load(text)
                with self.subTest(page=os.path.basename(path), text=text):
                    if re.match(r"# (collector\.yaml|yace\.yml)", text):
                        continue
                    done = self.load(lab, document)
                    self.assertNotEqual(done.returncode, 2, done.stderr)
                    read_some += 1
        self.assertGreater(read_some, 10)

    def load(self, lab, document):
        whole = {"region": "eu-west-1", "state": f"file://{lab.folder}/none", "jobs": {"ecs": {"kind": "metrics", "to": ["lake"]}}, **document}
        if "tenants_from" not in document:
            whole.setdefault("tenants", [{"id": "acme", "account": "111122223333"}])
        whole["defaults"] = {"role": "muster-reader", "external_id": "none", **document.get("defaults", {})}
        amp = {"kind": "remote_write", "url": "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write",
               "sigv4": {"service": "aps"}}
        whole["sinks"] = {"amp": amp, "prom": {"kind": "remote_write", "url": "http://127.0.0.1:1/w"},
                          "lake": {"kind": "objects", "url": f"file://{lab.folder}/lake"},
                          "oncall": {"kind": "alertmanager", "url": "http://127.0.0.1:1"},
                          "jaeger": {"kind": "otlp", "url": "http://127.0.0.1:1"}, **document.get("sinks", {})}
        for tenant in whole.get("tenants", []):
            for job in tenant.get("jobs", []):
                whole["jobs"].setdefault(job, {"kind": "metrics", "to": ["lake"]})
        return subprocess.run([MUSTER, "status", "-c", lab.path("page.yaml", json.dumps(whole)), "--now", rfc3339(NOW) + "Z"], text=True,
                              env=lab.environment(), capture_output=True, timeout=60, check=False)

    @unittest.skipUnless(shutil.which("promtool"), "no promtool here")
    def test_every_query_is_promql(self):
        rules = []
        for path in DOCUMENTS:
            for line in read(path).split("\n"):
                if PROMQL.match(line):
                    rules.append({"alert": f"a{len(rules)}", "expr": PROMQL.match(line)[1].partition("  #")[0].strip()})
        self.assertGreater(len(rules), 4)
        lab_file = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"muster-rules.{os.getpid()}.yaml")
        self.addCleanup(os.remove, lab_file)
        with open(lab_file, "w", encoding="ascii") as file:
            json.dump({"groups": [{"name": "pages", "rules": rules}]}, file)
        done = subprocess.run(["promtool", "check", "rules", lab_file], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_link_leads_somewhere(self):
        for path in DOCUMENTS:
            for target in re.findall(r"\]\(([^)#]+)[^)]*\)", re.sub(r"(?ms)^```.*?^```$|`[^`]*`", "", read(path))):
                if not target.startswith("http"):
                    self.assertTrue(os.path.exists(os.path.join(os.path.dirname(path), target)), f"{path}: {target}")

    def test_every_page_is_named(self):
        readme, usage = read(DOCUMENTS[0]), subprocess.run([MUSTER, "help"], capture_output=True, text=True, check=True).stdout
        for path in PAGES:
            name = os.path.basename(path)
            if name != "muster.md":
                self.assertIn(f"(lib/pages/{name})", readme)
                self.assertRegex(usage, rf"\b{name.removesuffix('.md')}\b")
                subprocess.run([MUSTER, "help", name.removesuffix(".md")], capture_output=True, check=True)
        for name in ("SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"):
            self.assertIn(f"(.github/{name})", readme)

    def test_rows_shown_to_contributors_are_there(self):
        sources = "\n".join(read(path) for path in glob.glob(os.path.join(ROOT, "lib/*/*.c")) + glob.glob(os.path.join(ROOT, "jobs/*.c")))
        shown = fences(os.path.join(ROOT, ".github/CONTRIBUTING.md"), "c")
        self.assertEqual(len(shown), 6)
        for text in shown:
            self.assertIn(text, sources)
        for name in re.findall(r"`((?:lib|jobs|tests|scripts|schedules)/[a-z_0-9./-]+\.\w+)`", read(os.path.join(ROOT, ".github/CONTRIBUTING.md"))):
            self.assertTrue(os.path.exists(os.path.join(ROOT, name)), name)

    def test_every_error_is_explained(self):
        page = read(os.path.join(ROOT, "lib/pages/errors.md"))
        kinds = re.findall(r'\[ERR_\w+\] = "(\w+)"', read(os.path.join(ROOT, "lib/base/err.c")))
        self.assertGreater(len(kinds), 10)
        for kind in kinds[1:]:
            self.assertIn(f"\n| `{kind}` | ", page)
        rows = re.search(r"\} advices\[\] = \{\n(.*?)\n\};", read(os.path.join(ROOT, "lib/run/status_words.c")), re.DOTALL)[1]
        rows = re.findall(r'\{\{((?:"[^"]*",?\s*|NULL)+)\},\s*((?:"[^"]*"\s*)+)\}', rows)
        self.assertGreater(len(rows), 10)
        for needles, text in rows:
            row = ", ".join(f"`` {one} ``" if "`" in one else f"`{one}`" for one in re.findall(r'"([^"]*)"', needles))
            self.assertIn(f"\n| {row} | {self.joined(text)} |\n", page)
        messages = set()
        for path in glob.glob(os.path.join(ROOT, "lib/*/*.c")) + glob.glob(os.path.join(ROOT, "jobs/*.c")):
            messages |= set(re.findall(r'log_event\(\s*[^"]*?LOG_(?:ERROR|WARN)[^",]*,\s*"([^"]+)"', read(path)))
        self.assertGreater(len(messages), 30)
        for message in messages:
            self.assertRegex(page, rf"(?m)^\|[^|]*(?<!\w){re.escape(message)}(?!\w)[^|]*\|", message)

    @staticmethod
    def joined(text):
        return "".join(re.findall(r'"([^"]*)"', text))


if __name__ == "__main__":
    unittest.main()
