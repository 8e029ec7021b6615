"""cfn-lint, the linter of AWS's own templates, on those of schedules/."""
import glob
import os
import subprocess
import sys
import unittest

FOLDER = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "schedules")


class Templates(unittest.TestCase):
    def test_cfn_lint_has_nothing_to_say(self):
        files = [path for path in sorted(glob.glob(os.path.join(FOLDER, "*.yaml")))
                 if "AWSTemplateFormatVersion" in open(path, encoding="utf-8").read()]
        self.assertGreaterEqual(len(files), 3)
        lint = os.path.join(os.path.dirname(sys.executable), "cfn-lint")
        found = subprocess.run([lint, "--include-checks", "I", "--", *files], capture_output=True, text=True, check=False)
        self.assertEqual((found.returncode, found.stdout), (0, ""), found.stderr)


if __name__ == "__main__":
    unittest.main()
