#!/usr/bin/python3
"""A new user's first day: what the README says to type, typed, and what it promises of it: what is missing is named, a role as
the template makes it is enough, many tenants are found, and the alarms it advises ask for series that there are.
"""
import json
import os
import re
import shutil
import subprocess
import time
import unittest

import yaml

from expected import windows
from lab import LANDLOCK, MUSTER, NOW, ROOT, Case, Lab, Result, rfc3339
from standin.world import organize
from templates import ACCOUNT, policy, resources, trust

CENTRAL = "444455556666"
README = os.path.join(ROOT, "README.md")


def section(title):
    with open(README, encoding="utf-8") as file:
        return file.read().partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def commands(text):
    """(words, the exit status that is promised) of each command of muster or aws; they are indented by four."""
    for line in re.sub(r"\\\n *", "", text).splitlines():
        typed, _, comment = line.partition("#")
        if re.match(r"    (muster|aws) ", typed):
            promised = re.search(r"exit (\d)", comment)
            yield typed.split(), int(promised[1]) if promised else 0


class FirstDayLab(Lab):
    """The central account has a role, as a task has; whoever types stands in the lab's folder."""

    def __init__(self, world, **named):
        world["central"]["account"] = CENTRAL
        super().__init__(document=world, **named)

    def type(self, words):
        began = time.monotonic()
        more = [] if words[1] in ("init", "help") else ["--now", rfc3339(NOW) + "Z"]
        done = subprocess.run([MUSTER, *words[1:], *more], text=True, cwd=self.folder, stdin=subprocess.DEVNULL,
                              env={**self.environment(), **self.keys_from("container")}, capture_output=True,
                              timeout=120, check=False)
        return Result(done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    def edit(self, change):
        with open(self.path("muster.yaml"), encoding="utf-8") as file:
            text = file.read()
        self.path("muster.yaml", change(text.replace("/var/lib/muster", self.folder)))


class FirstDay(Case):
    def start(self, world, **named):
        lab = FirstDayLab(world, **named)
        self.addCleanup(lab.close)
        return lab

    def deploy(self, lab, words):
        """What the template makes of these parameters, made in the stand-in."""
        given = dict(word.split("=", 1) for word in words if word.startswith("CentralRoleArn="))
        self.assertEqual(given["CentralRoleArn"], lab.world.central_role)
        name = words[words.index("--template-file") + 1]
        self.assertTrue(os.path.isfile(os.path.join(ROOT, name)), name)
        role = resources(os.path.basename(name), **given)["Reader"]
        allowed = [action for one in policy(role)["Statement"] for action in one["Action"]]
        condition = next(one["Condition"] for one in trust(role)["Statement"] if "Condition" in one)
        lab.daemon.control("role", {"arn": f"arn:aws:iam::{ACCOUNT}:role/muster-reader", "allow": allowed,
                                    "external_id": condition["StringEquals"]["sts:ExternalId"]})
        return trust(role)["Statement"]

    def test_the_first_tenant(self):
        world = Lab.document(1)
        world["tenants"][0].update(id="acme", account=ACCOUNT, role=f"arn:aws:iam::{ACCOUNT}:role/not-there-yet")
        lab = self.start(world)
        typed = list(commands(section("The first tenant")))
        self.assertEqual([words[1] for words, _ in typed], ["init", "check", "cloudformation", "check", "run", "status"])
        said = {}
        for words, promised in typed:
            if words[0] == "aws":
                trusted = self.deploy(lab, words)
                continue
            result = said[words[1]] = lab.type(words)
            self.assert_status(result, promised)
            if words[1] == "init":
                lab.edit(lambda text: text)
            if promised:
                missing = result.out
        (fault,) = [line for line in missing.splitlines() if "FAIL" in line]
        self.assertIn("schedules/tenant-role.yaml", fault)
        for statement in trusted:
            self.assertIn(json.dumps({name: statement[name] for name in ("Effect", "Principal", "Action", "Condition")
                                      if name in statement}, separators=(",", ":")), fault)
        self.assertIn("0 warnings, 0 faults" if LANDLOCK else "1 warning, 0 faults", said["check"].out)
        self.assertRegex(said["status"].out, r"(?m)^acme +ecs +eu-west-1 .* ok ")
        self.assert_lake(lab, windows(lab.world, *lab.window()))
        self.assert_no_violation(lab)

    def hundreds(self, closed):
        """A lab with the README's tenants_from, but for a few: 12 in an organization, one in a file. One is closed."""
        world = Lab.document(13)
        for tenant in world["tenants"]:
            tenant.update(role=f"arn:aws:iam::{tenant['account']}:role/muster-reader",
                          external_id=f"muster-{tenant['account']}")
        world["tenants"][closed - 1]["deny"] = ["sts:AssumeRole"]
        world["central"]["account"] = CENTRAL
        organize(world)
        world["organization"]["delegated"] = [CENTRAL]
        listed = world["organization"]["accounts"].pop()
        lab = self.start(world)
        shown = yaml.safe_load(re.search(r"```yaml\n(.*?)```", section("Three hundred"), re.DOTALL)[1])
        shown["tenants_from"][0]["organization"]["ous"] = ["r-abcd"]
        os.mkdir(lab.path("tenants.d"))
        lab.path("tenants.d/more.yaml", json.dumps([{"id": "by-hand", "account": listed["account"]}]))
        self.assert_status(lab.type(["muster", "init"]), 0)

        def fill_in(text):
            document = yaml.safe_load(text.replace("${AWS_REGION:-eu-west-1}", "eu-west-1"))
            del document["tenants"]
            document.update(shown)
            document["run"]["self_metrics"] = "prom"
            document["jobs"]["ecs"]["from"][0]["dimensions"] = [["ClusterName"], ["ClusterName", "ServiceName"]]
            document["sinks"]["prom"] = {"kind": "remote_write", "url": f"{lab.daemon.url}/api/v1/write"}
            return json.dumps(document)

        lab.edit(fill_in)
        return lab

    def test_three_hundred(self):
        lab = self.hundreds(closed=3)
        checked = lab.type(["muster", "check"])
        self.assert_status(checked, 1)
        self.assertEqual(len([line for line in checked.out.splitlines() if "FAIL" in line and "t0003" in line]), 1)
        self.assertIn("12 tenants found", checked.out)
        self.assertIn("choose one by the label dimension_set", checked.out)
        run = lab.type(["muster", "run"])
        self.assert_status(run, 1)
        self.assertTrue(run.errors("run finished", "tenants=13", "tenants_failed=1", "streams_done=12"), run.err)
        late = lab.type(["muster", "status", "--max-lag", "20m"])
        self.assert_status(late, 1)
        self.assertTrue(late.errors("too far behind", "t0003") and not late.errors("t0004"), late.err)
        self.alarms(lab)

    def alarms(self, lab):
        """Each is an expression to Prometheus, about series that were sent."""
        rules = [line.split("  #")[0].strip() for line in section("What to look at").splitlines() if line.startswith("    ")]
        self.assertEqual(len(rules), 3)
        lab.daemon.control("role", {**lab.world.tenants[2], "arn": lab.world.tenants[2]["role"], "deny": []})
        self.assert_status(lab.type(["muster", "run"]), 0)
        sent = {row["labels"]["__name__"] for row in lab.daemon.control("rw/dump")}
        self.assertLessEqual(set(re.findall(r"muster_\w+", " ".join(rules))), sent)
        if shutil.which("promtool"):
            found = {"groups": [{"name": "muster", "rules": [{"alert": f"a{n}", "expr": rule}
                                                             for n, rule in enumerate(rules)]}]}
            subprocess.run(["promtool", "check", "rules", lab.path("rules.yaml", json.dumps(found))], check=True,
                           capture_output=True)


if __name__ == "__main__":
    unittest.main()
