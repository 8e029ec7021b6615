"""A real Slurm, of this machine alone and of a folder's: schedules/slurm.sh as an array of four tasks, one of which is killed
and given again, or put back by Slurm itself.

Needs Debian's slurmctld, slurmd, slurm-client and munge, and to be root: whoever starts a node's tasks must be.
"""
import json
import os
import shutil
import socket
import subprocess
import time
import unittest

from outside import Outside

from bucket import S3Case
from lab import MUSTER, PATIENCE, free_port, rfc3339
from templates import FOLDER

SCRIPT = os.path.join(FOLDER, "slurm.sh")
THERE = all(shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin") for name in ("munged", "slurmctld", "slurmd", "sbatch"))
TASKS = 4
# One node with as many processors as there are tasks, whatever there are; no cgroups, no accounting.
CONFIGURATION = """
ClusterName=muster
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/controller
SlurmdSpoolDir={folder}/node
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
MinJobAge=600
NodeName=localhost NodeAddr=127.0.0.1 NodeHostname={host} CPUs={tasks} RealMemory=4000 State=UNKNOWN
PartitionName=all Nodes=localhost Default=YES State=UP
"""


@unittest.skipUnless(THERE, "no Slurm here")
@unittest.skipUnless(os.geteuid() == 0, "not root")
class Slurm(Outside, S3Case):
    def setUp(self):
        super().setUp()
        os.chmod(self.folder, 0o755)
        for name in ("controller", "node"):
            os.mkdir(self.path(name))
        os.makedirs(self.path("bin"))
        os.symlink(MUSTER, self.path("bin/muster"))
        self.env = {**os.environ, "SLURM_CONF": self.path("slurm.conf"), "PATH": os.environ["PATH"] + ":/usr/sbin"}
        self.path("slurm.conf", CONFIGURATION.format(folder=self.folder, controller=free_port(), node=free_port(),
                                                     host=socket.gethostname().split(".")[0], tasks=TASKS))
        self.munge()
        self.server("slurmctld", "-D", ready=lambda: self.ask("scontrol", "ping").count(" UP"))
        self.server("slurmd", "-D", "-N", "localhost", ready=lambda: self.ask("sinfo", "-h", "-o", "%T").strip() == "idle")
        self.addCleanup(self.empty)

    def munge(self):
        """Who proves to Slurm's parts who they are, by a key of this test's."""
        key = self.path("munge.key")
        with open(key, "wb") as file:
            os.chmod(key, 0o600)
            file.write(os.urandom(128))
        self.server("munged", "--foreground", "--force", "--num-threads=2", f"--key-file={key}",
                    *(f"--{name}-file={self.path('munge.' + name)}" for name in ("pid", "log", "seed")),
                    f"--socket={self.path('munge.socket')}", ready=lambda: os.path.exists(self.path("munge.socket")))

    def server(self, *command, ready):
        self.daemon([shutil.which(command[0], path=self.env["PATH"]), *command[1:]], ready, self.env)

    def ask(self, *command, **more):
        done = subprocess.run(command, env={**self.env, **more}, cwd=self.folder, capture_output=True, text=True, timeout=60,
                              check=False)
        return done.stdout if done.returncode == 0 else done.stderr

    def wait(self, what, ready):
        deadline = time.monotonic() + 120 * PATIENCE
        while not ready():
            self.assertLess(time.monotonic(), deadline, f"{what}: {self.ask('scontrol', 'show', 'job')[-4000:]}")
            time.sleep(0.2)

    def running(self):
        return self.ask("squeue", "-h", "-r", "-o", "%i").split()

    def empty(self):
        """What a node runs does not end with its daemon."""
        self.ask("scancel", "--user=root")
        self.wait("cancelled", lambda: not self.running())

    def submit(self, lab, *words, **more):
        """The job's number."""
        env = {**lab.environment(), "SLURM_CONF": self.env["SLURM_CONF"], "MUSTER_CONFIG": lab.path("muster.yaml"),
               "PATH": f"{self.path('bin')}:{self.env['PATH']}", **more}
        done = subprocess.run(["sbatch", "--parsable", *words, SCRIPT, "--now", rfc3339(lab.now) + "Z"], env=env,
                              cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def end_of(self, job):
        """How Slurm says a task ended: (state, exit status:signal)."""
        fields = dict(word.split("=", 1) for word in self.ask("scontrol", "show", "job", job).split() if "=" in word)
        return fields.get("JobState"), fields.get("ExitCode")

    def logs(self):
        texts = []
        for name in sorted(os.listdir(self.folder)):
            if name.startswith("muster-"):
                with open(self.path(name), encoding="utf-8") as file:
                    texts.append(f"{name}:\n{file.read()[-1000:]}")
        return "\n".join(texts)

    def array_with_one_stuck(self):
        """(lab, job, its one task that waits for an answer, when all others have ended)."""
        lab = self.lab(tenants=8, services=1)
        lab.path("muster.yaml", json.dumps(lab.settings))
        lab.daemon.control("faults", [{"match": {"service": "monitoring", "operation": "GetMetricData"}, "nth": 1,
                                       "kind": "hang", "ms": 300000, "drop": True}])
        job = self.submit(lab)
        self.wait_for_fault(lab)
        self.wait("the other tasks", lambda: len(self.running()) == 1)
        (stuck,) = self.running()
        others = {f"{job}_{i}" for i in range(TASKS)} - {stuck}
        self.assertEqual({name: self.end_of(name) for name in others}, dict.fromkeys(others, ("COMPLETED", "0:0")), self.logs())
        return lab, job, stuck

    def assert_all_once(self, lab):
        """Nobody's tenants were left out, and none of those that were done were done again."""
        self.assert_exact(lab)
        self.assert_no_violation(lab)
        assumed = lab.daemon.control("stats")["calls"]["sts"]["AssumeRole"]
        self.assertEqual(assumed.keys(), {tenant["account"] for tenant in lab.world.tenants})
        self.assertIn(1, assumed.values())

    def test_a_task_that_was_killed_is_given_again(self):
        lab, job, stuck = self.array_with_one_stuck()
        self.ask("scancel", "--batch", "--signal=KILL", stuck)
        self.wait("the killed task", lambda: not self.running())
        self.assertEqual(self.end_of(stuck), ("FAILED", "0:9"), self.logs())
        lab.daemon.control("faults", method="DELETE")
        lab.lease_passes()
        index = stuck.removeprefix(f"{job}_")
        again = self.submit(lab, f"--array={index}", MUSTER_SHARDS=str(TASKS))
        self.wait("the task given again", lambda: not self.running())
        self.assertEqual(self.end_of(f"{again}_{index}"), ("COMPLETED", "0:0"), self.logs())
        self.assert_all_once(lab)

    def test_a_task_that_slurm_puts_back_carries_on(self):
        """As when another job is preferred: it is told to stop, gives up its leases, and begins once more."""
        lab, _, stuck = self.array_with_one_stuck()
        self.ask("scontrol", "requeue", stuck)
        self.wait("the task's end", lambda: self.end_of(stuck)[0] == "PENDING")
        lab.daemon.control("faults", method="DELETE")
        # Slurm would wait for two minutes, until what the node knows of the ended task is sure to be out of date; it takes no
        # task of the same number whose permission was given in the second of that end.
        self.ask("scontrol", "update", f"JobId={stuck}", "StartTime=now+4")
        self.wait("the task put back", lambda: not self.running())
        self.assertEqual(self.end_of(stuck), ("COMPLETED", "0:0"), self.logs())
        self.assertNotIn("the lease is held", self.logs())
        self.assert_all_once(lab)


if __name__ == "__main__":
    unittest.main()
