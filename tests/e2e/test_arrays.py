#!/usr/bin/python3
"""The array jobs of schedules/: what each definition runs, with the environment that it and its engine give to each index,
does all tenants once; and its parts say the same.
"""
import os
import re
import subprocess
import unittest

import yaml

from lab import MUSTER, PATIENCE, Case, rfc3339
from templates import FOLDER, policy, resources, trust

SCRIPT = os.path.join(FOLDER, "slurm.sh")


def kubernetes():
    """{kind: document}"""
    with open(os.path.join(FOLDER, "kubernetes.yaml"), encoding="utf-8") as file:
        return {document["kind"]: document for document in yaml.safe_load_all(file)}


def options_of(script):
    """What #SBATCH lines say, {option: value}."""
    with open(script, encoding="utf-8") as file:
        return dict(re.findall(r"^#SBATCH --([a-z-]+)(?:=(.*))?$", file.read(), re.MULTILINE))


class Arrays(Case):
    def lab(self, **named):
        lab = super().lab(tenants=6, services=1, **named)
        os.makedirs(lab.path("bin"))
        os.symlink(MUSTER, lab.path("bin/muster"))
        return lab

    def task(self, lab, command, env):
        """One index, as the engine starts it but for where the configuration is, and when."""
        words = [lab.path("muster.yaml") if word == "/etc/muster/muster.yaml" else word for word in command]
        path = f"{lab.path('bin')}:{os.environ['PATH']}"
        lab.path("muster.yaml", yaml.safe_dump(lab.settings))
        done = subprocess.run([*words, "--now", rfc3339(lab.now) + "Z"], env={**lab.environment(), "PATH": path, **env},
                              cwd=lab.folder, capture_output=True, text=True, timeout=60 * PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])

    def assert_divided(self, lab):
        """All of it is there, and nobody was asked for twice."""
        self.assert_exact(lab)
        assumed = lab.daemon.control("stats")["calls"]["sts"]["AssumeRole"]
        self.assertEqual(assumed, {tenant["account"]: 1 for tenant in lab.world.tenants})

    def test_kubernetes(self):
        job = kubernetes()["CronJob"]["spec"]["jobTemplate"]["spec"]
        (container,) = job["template"]["spec"]["containers"]
        env = {one["name"]: one["value"] for one in container["env"]}
        self.assertEqual((job["completionMode"], job["parallelism"], env["MUSTER_SHARDS"]),
                         ("Indexed", job["completions"], str(job["completions"])))
        lab = self.lab()
        for i in range(job["completions"]):
            self.task(lab, ["muster", *container["args"]], {**env, "JOB_COMPLETION_INDEX": str(i)})
        self.assert_divided(lab)

    def test_kubernetes_looks_after_its_pods(self):
        """What a cluster with the restricted Pod Security Standard asks for, and no volume that is not there."""
        documents = kubernetes()
        cron, job = documents["CronJob"]["spec"], documents["CronJob"]["spec"]["jobTemplate"]["spec"]
        pod = job["template"]["spec"]
        (container,) = pod["containers"]
        self.assertEqual(pod["serviceAccountName"], documents["ServiceAccount"]["metadata"]["name"])
        self.assertEqual((pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["seccompProfile"]["type"]),
                         (True, "RuntimeDefault"))
        self.assertEqual((container["securityContext"]["allowPrivilegeEscalation"],
                          container["securityContext"]["capabilities"]["drop"]), (False, ["ALL"]))
        self.assertEqual({mount["name"] for mount in container["volumeMounts"]}, {volume["name"] for volume in pod["volumes"]})
        # The API server refuses these but together.
        self.assertEqual((pod["restartPolicy"], job["podReplacementPolicy"]), ("Never", "Failed"))
        names = {rule["onExitCodes"]["containerName"] for rule in job["podFailurePolicy"]["rules"] if "onExitCodes" in rule}
        self.assertEqual(names, {container["name"]})
        self.assertEqual(cron["concurrencyPolicy"], "Forbid")

    def test_aws_batch(self):
        shards = 4
        parts = resources("aws-batch.yaml", Shards=str(shards))
        container = parts["Job"]["Properties"]["ContainerProperties"]
        (target,) = parts["Schedule"]["Properties"]["Targets"]
        env = {one["Name"]: one["Value"] for one in container["Environment"] if one["Name"] != "AWS_REGION"}
        self.assertEqual((env["MUSTER_SHARDS"], target["BatchParameters"]["ArrayProperties"]["Size"]), (str(shards),) * 2)
        lab = self.lab()
        for i in range(shards):
            self.task(lab, ["muster", *container["Command"]], {**env, "AWS_BATCH_JOB_ARRAY_INDEX": str(i)})
        self.assert_divided(lab)

    def test_aws_batch_may_submit_its_job_and_nothing_else(self):
        parts = resources("aws-batch.yaml")
        (target,) = parts["Schedule"]["Properties"]["Targets"]
        (statement,) = policy(parts["SubmitterRole"])["Statement"]
        self.assertEqual((statement["Action"], statement["Resource"]),
                         ("batch:SubmitJob", [target["BatchParameters"]["JobDefinition"], target["Arn"]]))
        for name, service in (("SubmitterRole", "events.amazonaws.com"), ("ExecutionRole", "ecs-tasks.amazonaws.com")):
            (trusted,) = trust(parts[name])["Statement"]
            self.assertEqual((trusted["Principal"], trusted["Action"]), ({"Service": service}, "sts:AssumeRole"))
            self.assertIn("aws:SourceAccount", trusted["Condition"]["StringEquals"])
        # What starts tasks is the same for both ways to start them.
        self.assertEqual(policy(parts["ExecutionRole"]), policy(resources("fargate.yaml")["ExecutionRole"]))

    def test_aws_batch_keeps_its_tasks_small(self):
        """All that Batch lets one say of a container on Fargate; what it does not know it refuses, capabilities too."""
        container = resources("aws-batch.yaml")["Job"]["Properties"]["ContainerProperties"]
        self.assertNotIn(container["User"].split(":")[0], ("0", "root"))
        self.assertTrue(container["ReadonlyRootFilesystem"])
        self.assertFalse(container.get("Privileged"))
        self.assertLessEqual(set(container.get("LinuxParameters", {})), {"InitProcessEnabled"})
        self.assertEqual(container["NetworkConfiguration"], {"AssignPublicIp": "DISABLED"})

    def test_slurm(self):
        first, last = map(int, options_of(SCRIPT)["array"].split("-"))
        self.assertEqual(first, 0)
        lab = self.lab()
        for i in range(last + 1):
            self.task(lab, ["sh", SCRIPT], {"MUSTER_CONFIG": lab.path("muster.yaml"), "SLURM_ARRAY_TASK_ID": str(i),
                                            "SLURM_ARRAY_TASK_COUNT": str(last + 1)})
        self.assert_divided(lab)

    def test_slurm_gives_single_tasks_again(self):
        """Of whose array Slurm says that it has one task."""
        lab = self.lab()
        for i in range(4):
            self.task(lab, ["sh", SCRIPT], {"MUSTER_CONFIG": lab.path("muster.yaml"), "SLURM_ARRAY_TASK_ID": str(i),
                                            "SLURM_ARRAY_TASK_COUNT": "1", "MUSTER_SHARDS": "4"})
        self.assert_divided(lab)


if __name__ == "__main__":
    unittest.main()
