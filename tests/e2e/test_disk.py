#!/usr/bin/python3
"""Disks that are full, gone, forbidden or damaged: said clearly, never believed, and healed when they are well again."""
import glob
import json
import os
import subprocess
import unittest

import arrivals
from lab import Case


class Disk(Case):
    def small_disk(self, lab, name, size="256k"):
        """A tmpfs of a few blocks; only root may mount one."""
        folder = lab.path(name)
        os.makedirs(folder)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", folder],
                          capture_output=True).returncode:
            self.skipTest("cannot mount a small file system here")
        self.addCleanup(subprocess.run, ["umount", "-l", folder])
        return folder

    def fill(self, folder):
        """Take every free byte; returns the file to remove."""
        path = os.path.join(folder, ".ballast")
        with open(path, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return path

    def test_a_state_folder_that_cannot_be_made(self):
        lab = self.lab()
        lab.settings["state"] = "file:///proc/muster-state"
        result = lab.run()
        self.assert_status(result, 3)
        self.assertTrue(result.errors("/proc/muster-state"), result.err)
        self.assertNotIn("monitoring", lab.daemon.control("stats")["calls"], "data was pulled for nothing")

    def test_a_state_that_is_a_file(self):
        lab = self.lab()
        lab.path("state", "in the way\n")
        self.assert_status(lab.run(), 3)

    def test_a_full_disk_under_the_state(self):
        lab = self.lab()
        ballast = self.fill(self.small_disk(lab, "state"))
        result = lab.run()
        self.assert_status(result, 3)
        self.assertTrue(result.errors("No space left on device"), result.err)
        os.unlink(ballast)
        self.assert_status(lab.run(), 0)
        self.assert_exact(lab)

    def test_a_full_disk_under_the_lake(self):
        """The lake is what freezes: without it no cell may go anywhere, and all of it is there afterwards."""
        lab = self.lab()
        ballast = self.fill(self.small_disk(lab, "lake"))
        result = lab.run()
        self.assertIn(result.status, (1, 3), result.err)
        self.assertTrue(result.errors("No space left on device"), result.err)
        os.unlink(ballast)
        self.assert_status(lab.run(), 0)
        self.assert_exact(lab)

    def test_a_disk_that_fills_up_half_way(self):
        lab = self.lab(tenants=30)
        folder = self.small_disk(lab, "lake", "192k")
        first = lab.run()
        self.assertIn(first.status, (1, 3), "the disk was meant to be too small")
        subprocess.run(["mount", "-o", "remount,size=16m", folder], check=True)
        self.assert_status(lab.run(), 0)
        self.assert_exact(lab)

    def checkpoints(self, lab):
        return sorted(path for path in glob.glob(f"{lab.state}/tenants/*/ecs.json"))

    def test_a_damaged_checkpoint_is_seen_and_the_one_before_is_used(self):
        """P8, for every kind of damage; a torn or edited checkpoint is set aside and nothing is lost or doubled."""
        def edited(text):
            document = json.loads(text)
            return json.dumps(document | {"account": "000000000000"}).encode()

        damages = {"empty": lambda text: b"", "cut": lambda text: text[:len(text) // 2],
                   "garbage": lambda text: os.urandom(200), "one bit": lambda text: bytes([text[0] ^ 1]) + text[1:],
                   "edited": edited}
        for name, damage in damages.items():
            with self.subTest(name):
                lab = self.lab()
                start, _ = lab.window()
                self.assert_status(lab.run(), 0)
                self.assert_status(lab.run(now=lab.now + 600), 0)
                victim = self.checkpoints(lab)[1]
                with open(victim, "rb") as file:
                    text = file.read()
                with open(victim, "wb") as file:
                    file.write(damage(text))
                result = lab.run(now=lab.now + 600)
                self.assert_status(result, 0)
                self.assertTrue(result.errors("t0002", "damaged"), result.err)
                self.assert_exact(lab, start)

    def test_a_checkpoint_of_another_tenant_is_refused(self):
        lab = self.lab()
        self.assert_status(lab.run(), 0)
        first, second, _ = self.checkpoints(lab)
        with open(first, "rb") as source, open(second, "wb") as target:
            target.write(source.read())
        for path in glob.glob(f"{lab.state}/tenants/t0002/*.prev.json"):
            os.unlink(path)
        result = lab.run(now=lab.now + 600)
        self.assertTrue(result.errors("t0002"), result.err)
        self.assertIn(result.status, (0, 1, 3))

    def test_a_lake_object_that_was_cut_is_not_believed(self):
        """Where a frozen object has to be read again and is damaged, that is an error of its tenant, not its content."""
        lab = self.lab()
        lab.settings["run"] = {"deadline": "5s"}
        lab.daemon.control("faults", [{"match": {"service": "prometheus"}, "kind": "rw503"}])
        self.assertNotEqual(lab.run().status, 0)
        lab.daemon.control("faults", method="DELETE")
        victim = os.path.join(lab.lake, next(key for key in arrivals.lake_keys(lab.lake) if "tenant=t0002" in key))
        with open(victim, "r+b") as file:
            file.truncate(os.path.getsize(victim) // 2)
        result = lab.run()
        self.assert_status(result, 1)
        self.assertTrue(result.errors("t0002"), result.err)
        self.assertFalse(result.errors("level=error", "t0001"), result.err)


if __name__ == "__main__":
    unittest.main()
