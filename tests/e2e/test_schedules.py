#!/usr/bin/python3
"""What lies in schedules/: the templates give what a run needs and nothing else, the role for CloudFormation is the role
for Terraform, the bucket's policy lets muster work, and systemd takes the units.
"""
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import unittest

from lab import LANDLOCK, MUSTER, NOW, Case, Lab, rfc3339
from standin.world import link, organize
from templates import ACCOUNT, BUCKET, FOLDER, PARAMETERS, policy, resources, template, trust

TERRAFORM = {"var.central_role_arn": PARAMETERS["CentralRoleArn"], "var.external_id_prefix": "muster",
             "var.role_name": "muster-reader", "data.aws_caller_identity.here.account_id": ACCOUNT,
             "data.aws_partition.here.partition": "aws"}

# Any other is prose. What follows some is the shell's; what is filled in later is some name.
COMMAND_LINE = re.compile(r"\bmuster (?:(?:run|record|check|status) -|replay [\"\w])[^`\n]*")
SHELLS = re.compile(r"2>&1|\|\||\\$")
PLACEHOLDER = re.compile(r"\{\{.*?\}\}|\$\{.*?\}|\$\w+")
NO_FILE = r"No such file or directory|no configuration"


def listed(value):
    return sorted(value) if isinstance(value, list) else [value]


def of_cloudformation(document):
    """{sid: statement}, in a form that both kinds of template can be brought to."""
    return {one["Sid"]: (one["Effect"], listed(one["Action"]), listed(one.get("Resource", [])),
                         listed(one.get("Principal", {}).get("AWS", [])),
                         [(test, variable, listed(values)) for test, pairs in one.get("Condition", {}).items()
                          for variable, values in pairs.items()])
            for one in document["Statement"]}


def of_terraform(document):
    def filled(value):
        text = json.dumps(value)
        for name, known in TERRAFORM.items():
            text = text.replace("${" + name + "}", known)
        return json.loads(text)

    return {one["sid"]: (one["effect"], sorted(one["actions"]), sorted(filled(one.get("resources", []))),
                         [arn for group in one.get("principals", []) for arn in filled(group["identifiers"])],
                         [(rule["test"], rule["variable"], filled(rule["values"])) for rule in one.get("condition", [])])
            for one in document["statement"]}


def actions(document):
    return sorted(action for one in document["Statement"] for action in listed(one["Action"]))


READER = resources("tenant-role.yaml")["Reader"]
CENTRAL = resources("central.yaml")
GRANTED = actions(policy(READER))
TRUSTED = actions(trust(READER))


def bucket_rules():
    """The bucket's policy as rules of the stand-in. What it says of TLS has no meaning there."""
    arn = f"arn:aws:s3:::{BUCKET}/"
    rules = []
    for one in CENTRAL["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]:
        if one["Sid"] == "TlsOnly":
            continue
        assert one["Effect"] == "Deny" and one["Condition"]["Bool"] == {"s3:ObjectCreationOperation": "true"}
        rule = {"actions": listed(one["Action"]),
                "without": [name.removeprefix("s3:") for name in one["Condition"]["Null"]]}
        if "Resource" in one:
            rule["prefix"] = one["Resource"].removeprefix(arn).removesuffix("*")
        else:
            rule["but"] = [name.removeprefix(arn) for name in one["NotResource"]]
        rules.append(rule)
    return rules

# What muster does without, or needs for nothing that can be tried.
UNCHECKED = {"logs:DescribeQueries", "s3:AbortMultipartUpload", "s3:ListBucketMultipartUploads"}


class ScheduleLab(Lab):
    """Roles, bucket and central user as the templates make them, less `without`. `part`: the policy of central.yaml that a
    parameter adds; `workspace`: it was given one; `prepare`: changes the world first."""

    def __init__(self, without=None, part=None, workspace=True, prepare=None, **world):
        def less(names):
            return [name for name in names if name != without]

        world = Lab.document(2, **world)
        if prepare:
            prepare(world)
        for tenant in world["tenants"]:
            tenant["allow"] = less(GRANTED)
            tenant["deny"] = [without] if without in TRUSTED else []
        parts = ["Role", *(["Workspace"] if workspace else []), *([part] if part else [])]
        world["central"]["allow"] = less([action for name in parts for action in actions(policy(CENTRAL[name]))])
        world["buckets"] = [{"name": BUCKET, "owner": world["central"]["account"], "region": world["region"],
                             "deny": bucket_rules()}]
        super().__init__(document=world)
        self.settings["state"] = f"s3://{BUCKET}/muster"
        self.settings["sinks"] = {
            "lake": {"kind": "objects", "url": f"s3://{BUCKET}/telemetry"},
            "amp": {"kind": "remote_write", "sigv4": {"service": "aps"},
                    "url": f"{self.daemon.url}/workspaces/ws-1/api/v1/remote_write"},
            "oncall": {"kind": "alertmanager", "sigv4": {"service": "aps"},
                       "url": f"{self.daemon.url}/workspaces/ws-1/alertmanager"}}
        self.settings["jobs"]["ecs"]["to"] = ["amp", "lake"]
        self.settings["jobs"]["alarms"] = {"kind": "alarms", "to": ["amp", "lake", "oncall"]}
        self.settings["jobs"]["traces"] = {"kind": "traces", "to": ["amp", "lake"]}
        self.settings["jobs"]["app"] = {"kind": "insights", "log_groups": ["/ecs/app-*"], "to": ["lake"],
                                        "query": "fields @timestamp, @message"}

    def check(self):
        """What muster check finds."""
        config_file = self.path("muster.yaml", json.dumps(self.settings))
        done = subprocess.run([MUSTER, "check", "-c", config_file, "--now", rfc3339(NOW) + "Z", "--json"], text=True,
                              env=self.environment(), cwd=self.folder, capture_output=True, timeout=120, check=False)
        return json.loads(done.stdout)


class Schedules(Case):
    def lab(self, without=None, **named):
        lab = ScheduleLab(without, **named)
        self.addCleanup(lab.close)
        return lab

    def test_the_role_is_the_same_for_cloudformation_and_terraform(self):
        with open(os.path.join(FOLDER, "tenant-role.tf.json"), encoding="utf-8") as file:
            terraform = json.load(file)
        documents, role = terraform["data"]["aws_iam_policy_document"], terraform["resource"]["aws_iam_role"]["muster"]
        self.assertEqual(of_cloudformation(policy(READER)), of_terraform(documents["muster"]))
        self.assertEqual(of_cloudformation(trust(READER)), of_terraform(documents["trust"]))
        self.assertEqual(READER["Properties"]["MaxSessionDuration"], role["max_session_duration"])
        conditions = of_cloudformation(trust(READER))["Muster"][4]
        self.assertEqual(conditions, [("StringEquals", "sts:ExternalId", [f"muster-{ACCOUNT}"])])

    def test_what_the_templates_grant_is_enough(self):
        lab = self.lab()
        for later in (0, 300):
            lab.tell(lab.now + later)
            self.assert_status(lab.run(), 0)
        written = lab.daemon.control(f"s3/objects?bucket={BUCKET}&prefix=telemetry/")
        self.assertTrue(all(any(f"/{job}/" in row["key"] for row in written) for job in lab.settings["jobs"]))
        self.assertTrue(lab.daemon.control("alerts"))
        self.assertEqual([one for one in lab.daemon.control("stats")["violations"]["recent"]
                          if "at 'limit' failed" not in one["reason"]], [])  # how a service is asked whether it pages

    def test_without_one_action_of_the_tenants_role(self):
        """Each is needed, and its absence is told by its name, but for what is rarely needed or can be done without."""
        spare = {"logs:StopQuery", "logs:DescribeQueries", "sts:SetSourceIdentity"}
        for action in [*TRUSTED, *GRANTED]:
            with self.subTest(without=action):
                result = self.lab(action).run()
                if action in spare and result.status == 0:
                    continue
                self.assert_status(result, 1)
                self.assertTrue(result.errors(action), result.err[-3000:])

    def organization(self, without=None, **entry):
        """A lab whose tenants are listed by the central account, a delegated administrator."""
        def prepare(world):
            for tenant in world["tenants"]:
                tenant["role"] = f"arn:aws:iam::{tenant['account']}:role/muster-reader"
            organize(world)
            world["organization"]["delegated"] = [world["central"]["account"]]

        lab = self.lab(without, part="Organization", prepare=prepare)
        lab.settings["tenants"] = []
        lab.settings["tenants_from"] = [{"organization": {"id_tag": "tenant", **entry}, "role": "muster-reader",
                                         "external_id": "{tag:external}"}]
        if not entry:  # the management account is not ours
            lab.settings["tenants_from"][0]["organization"]["tags"] = {"muster": "yes"}
        return lab

    def test_the_organization_is_listed_with_what_its_policy_grants(self):
        ways = ({}, {"ous": ["r-abcd"], "tags": {"muster": "yes"}})
        for way in ways:
            self.assert_status(self.organization(**way).run(), 0)
        for action in actions(policy(CENTRAL["Organization"])):
            with self.subTest(without=action):
                results = [self.organization(action, **way).run() for way in ways]
                self.assertTrue(any(result.status == 3 and result.errors(action) for result in results),
                                [result.err[-1000:] for result in results])

    def test_check_names_what_the_listing_lacks(self):
        """With a list of an earlier run, too, by which runs go on."""
        for lab, action in ((self.organization, "organizations:ListTagsForResource"), (self.linked, "oam:ListAttachedLinks")):
            with self.subTest(without=action):
                lab = lab()
                service, operation = action.split(":")
                for _ in range(2):
                    found = lab.check()
                    self.assertEqual((found["exit_status"], found["faults"]), (0, 0), found)
                    lab.daemon.control("faults", [{"match": {"service": service, "operation": operation}, "kind": "denied"}])
                    found = lab.check()
                    (fault,) = [one for one in found["findings"] if one["level"] == "fail"]
                    self.assertEqual((found["exit_status"], fault["what"], fault["action"]), (1, "tenants_from", action))
                    self.assertIn(lab.world.central["account"], fault["add"][0]["to"])
                    self.assertEqual(fault["words"].count("tenants_from"), 0)
                    lab.daemon.control("faults", method="DELETE")
                    self.assert_status(lab.run(), 0)

    def linked(self, without=None):
        """A lab whose tenants are linked to the central account, and let nobody assume a role."""
        def prepare(world):
            link(world)

        lab = self.lab(without, part="Linked", prepare=prepare)
        lab.settings["tenants"] = []
        lab.settings["tenants_from"] = [{"linked": {}}]
        return lab

    def test_linked_accounts_are_read_with_what_its_policy_grants(self):
        lab = self.linked()
        self.assert_status(lab.run(), 0)
        found = lab.check()
        self.assertEqual((found["exit_status"], found["faults"]), (0, 0), found)
        for action in actions(policy(CENTRAL["Linked"])):
            if action in ("logs:StopQuery", "logs:DescribeQueries"):
                continue
            with self.subTest(without=action):
                result = self.linked(action).run()
                self.assert_status(result, 3 if action.startswith("oam:") else 1)
                self.assertTrue(result.errors(action), result.err[-3000:])

    def test_compact_deletes_with_what_its_policy_grants(self):
        for part in (None, "Compacting"):
            lab = self.lab(part=part)
            self.assert_status(lab.run(), 0)
            result = lab.run(command="compact", now=NOW + 5 * 86400)
            keys = [row["key"] for row in lab.daemon.control(f"s3/objects?bucket={BUCKET}&prefix=telemetry/ecs/")]
            self.assertEqual([".joined-1." in key for key in keys], [bool(part)] * len(keys))
            self.assert_status(result, 0 if part else 1)
            self.assertEqual(bool(result.errors("s3:DeleteObject", f"arn:aws:s3:::{BUCKET}/telemetry/*")), not part)

    def test_no_workspace_is_needed_by_who_writes_to_none(self):
        whole = template("central.yaml")
        given = whole["Parameters"]["WorkspaceArn"]
        self.assertEqual(given["Default"], "")
        for arn in ("", PARAMETERS["WorkspaceArn"]):
            self.assertRegex(arn, given["AllowedPattern"])
        self.assertNotRegex("arn:aws:s3:::acme", given["AllowedPattern"])
        self.assertEqual(whole["Conditions"][CENTRAL["Workspace"]["Condition"]], [[PARAMETERS["WorkspaceArn"], ""]])
        self.assertEqual({one["Resource"] for one in policy(CENTRAL["Workspace"])["Statement"]}, {PARAMETERS["WorkspaceArn"]})
        self.assertNotIn("aps:", str(actions(policy(CENTRAL["Role"]))))
        lab = self.lab(workspace=False)
        lab.settings["sinks"] = {"lake": lab.settings["sinks"]["lake"]}
        for job in lab.settings["jobs"].values():
            job["to"] = ["lake"]
        self.assert_status(lab.run(), 0)

    def test_the_role_for_listing_can_be_assumed(self):
        """In the template it is the one that is named, and no other."""
        (statement,) = policy(CENTRAL["Listing"])["Statement"]
        self.assertEqual((statement["Action"], statement["Resource"]), (TRUSTED, PARAMETERS["ListingRoleArn"]))

    def test_check_finds_nothing_missing_and_leaves_nothing(self):
        lab = self.lab()
        for run_before in (False, True):
            with self.subTest(run_before=run_before):
                if run_before:
                    self.assert_status(lab.run(), 0)
                before = lab.daemon.control(f"s3/objects?bucket={BUCKET}&prefix=")
                found = lab.check()
                self.assertEqual((found["exit_status"], found["warnings"], found["faults"]), (0, 0 if LANDLOCK else 1, 0), found)
                self.assertEqual(lab.daemon.control(f"s3/objects?bucket={BUCKET}&prefix="), before)

    def test_check_names_each_action_that_is_not_granted(self):
        for action in (*actions(policy(CENTRAL["Role"])), *actions(policy(CENTRAL["Workspace"])), *TRUSTED, *GRANTED):
            if action in UNCHECKED:
                continue
            with self.subTest(without=action):
                found = self.lab(action).check()
                named = {one["action"] for one in found["findings"] if one["level"] != "ok" and "action" in one}
                self.assertEqual(named, {action})

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze here")
    def test_systemd_takes_the_units(self):
        units = [os.path.join(FOLDER, name) for name in ("muster.service", "muster.timer")]
        found = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
        # The program need not be installed here.
        said = [line for line in found.stderr.splitlines() if "/usr/local/bin/muster is not executable" not in line]
        self.assertEqual(said, [])
        found = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", units[0]],
                               capture_output=True, text=True, check=False)
        self.assertEqual(found.returncode, 0, found.stdout[-3000:])

    def typed(self):
        """(file, words) of each line in schedules/ that has a command of muster's, comments and annotations too."""
        for folder, _, names in os.walk(FOLDER):
            for name in sorted(names):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    for found in COMMAND_LINE.finditer(file.read()):
                        yield name, shlex.split(PLACEHOLDER.sub("acme", SHELLS.split(found[0])[0]))

    def refusal(self, words):
        """What the program says to such a line where there is no configuration and no cassette."""
        with tempfile.TemporaryDirectory() as folder:
            words = [os.path.join(folder, word.lstrip("/")) if word.startswith("/") else word for word in words]
            done = subprocess.run([MUSTER, *words[1:]], cwd=folder, capture_output=True, text=True, check=False,
                                  env={"PATH": "/usr/bin", "HOME": folder})
        self.assertEqual(done.returncode, 2, done.stderr)
        return done.stderr

    def test_every_line_is_one_that_the_program_takes(self):
        """It takes the options, and misses but the file."""
        lines = list(self.typed())
        self.assertLessEqual({"crontab", "muster.service", "github-actions.yaml", "rules.yaml", "slurm.sh"}, {name for name, _ in lines})
        for name, words in lines:
            with self.subTest(name, words=words):
                self.assertRegex(self.refusal(words), NO_FILE)
                self.assertNotRegex(self.refusal([words[0], words[1], "--bogus", *words[2:]]), NO_FILE)


if __name__ == "__main__":
    unittest.main()
