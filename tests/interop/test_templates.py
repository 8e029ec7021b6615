"""cfn-lint, the linter of AWS's own templates, kubernetes-validate, the schemas of Kubernetes' own API, and hadolint on what lies
in schedules/."""
import glob
import os
import subprocess
import sys
import tempfile
import unittest

FOLDER = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "schedules")


OLDEST, NEWEST = "1.29", "1.37"


def beside_python(name):
    return os.path.join(os.path.dirname(sys.executable), name)


class Templates(unittest.TestCase):
    def test_cfn_lint_has_nothing_to_say(self):
        files = [path for path in sorted(glob.glob(os.path.join(FOLDER, "*.yaml")))
                 if "AWSTemplateFormatVersion" in open(path, encoding="utf-8").read()]
        self.assertGreaterEqual(len(files), 4)
        found = subprocess.run([beside_python("cfn-lint"), "--include-checks", "I", "--", *files], capture_output=True,
                               text=True, check=False)
        self.assertEqual((found.returncode, found.stdout), (0, ""), found.stderr)

    def validate(self, path, version):
        return subprocess.run([beside_python("kubernetes-validate"), "--strict", "-k", version, path], capture_output=True,
                              text=True, check=False)

    def test_kubernetes_takes_its_definition(self):
        """The oldest version that it is for, and the newest that is known."""
        path = os.path.join(FOLDER, "kubernetes.yaml")
        for version in (OLDEST, NEWEST):
            with self.subTest(version=version):
                found = self.validate(path, version)
                self.assertEqual(found.returncode, 0, found.stdout + found.stderr)
                self.assertEqual((found.stdout + found.stderr).count(" passed "), 2)
        with open(path, encoding="utf-8") as file, tempfile.NamedTemporaryFile("w", suffix=".yaml") as wrong:
            wrong.write(file.read().replace("backoffLimitPerIndex:", "backoffLimitPerIndx:"))
            wrong.flush()
            self.assertNotEqual(self.validate(wrong.name, NEWEST).returncode, 0, "it takes anything")

    def test_hadolint_has_nothing_to_say(self):
        path = os.path.join(FOLDER, "Dockerfile")
        with open(path, encoding="utf-8") as file, tempfile.NamedTemporaryFile("w", suffix="Dockerfile") as wrong:
            wrong.write(file.read().replace("FROM debian:12 ", "FROM debian "))
            wrong.flush()
            done = [subprocess.run([beside_python("hadolint"), "--no-color", name], capture_output=True, text=True, check=False)
                    for name in (path, wrong.name)]
        self.assertEqual((done[0].returncode, done[0].stdout), (0, ""), done[0].stderr)
        self.assertNotEqual(done[1].returncode, 0, "it takes anything")


if __name__ == "__main__":
    unittest.main()
