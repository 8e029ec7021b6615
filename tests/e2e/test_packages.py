#!/usr/bin/python3
"""What is installed: man pages that say what the program says and render without a warning, completion by bash itself, the list of
components, objects that are the same from another folder, and the package.
"""
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from lab import MUSTER, ROOT

BUILD = os.path.dirname(MUSTER)


def run(*words, status=0, **how):
    done = subprocess.run(words, text=True, capture_output=True, check=False, timeout=300, **{"cwd": ROOT, **how})
    assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def have(*programs):
    """Skips a test where a program is not installed (scripts/setup package has them all)."""
    missing = [one for one in programs if not shutil.which(one)]
    return unittest.skipIf(missing, f"no {', '.join(missing)} here")


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.written = tempfile.mkdtemp(prefix="muster-manual.")
        cls.addClassCleanup(shutil.rmtree, cls.written, ignore_errors=True)
        run("scripts/manual", MUSTER, cls.written)

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="muster-packages.")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    @staticmethod
    def pages(folder):
        return sorted(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names if name[-1].isdigit())

    @staticmethod
    def commands():
        return re.findall(r"^  muster (\w+) ", run(MUSTER, "help"), re.MULTILINE)

    @have("mandoc")
    def test_every_command_option_and_key_is_in_the_manual(self):
        folder = self.written
        shown = run("mandoc", "-T", "utf8", os.path.join(folder, "man1/muster.1"))
        words = set(re.sub(r".\x08", "", shown).replace(",", " ").split())
        for command in self.commands():
            self.assertIn(command, words)
            said = run(MUSTER, "help", command)
            self.assertLessEqual(set(re.findall(r"(?m)^ {2,6}(?:-\w, )?(--[\w-]+)", said)), words, command)
        keys = set(re.findall(r"(?m)^ *([\w.]+)  \(", run(MUSTER, "help", "config")))
        self.assertGreater(len(keys), 80)
        shown = run("mandoc", "-T", "utf8", os.path.join(folder, "man5/muster.yaml.5"))
        self.assertLessEqual(keys, set(re.sub(r".\x08", "", shown).split()))

    @have("mandoc", "groff")
    def test_no_page_has_a_warning(self):
        pages = self.pages(self.written)
        self.assertGreater(len(pages), 10)
        self.assertEqual(run("mandoc", "-T", "lint", "-W", "warning", *pages), "")
        for page in pages:
            done = subprocess.run(["groff", "-ww", "-man", "-Tutf8", "-rLL=80n", page], capture_output=True, text=True, check=True)
            self.assertEqual(done.stderr, "", page)

    def test_the_manual_is_the_same_each_time(self):
        again = os.path.join(self.folder, "again")
        run("scripts/manual", MUSTER, again, env={**os.environ, "LC_ALL": "C", "TZ": "Pacific/Auckland"})
        run("diff", "-r", self.written, again)

    def complete(self, line):
        """What bash offers for the last word."""
        script = os.path.join(self.written, "completions/muster")
        words = line.split(" ")
        quoted = " ".join(f"'{word}'" for word in words)
        return run("bash", "--norc", "-c", f'. "$1"; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _muster; '
                   'printf "%s\\n" "${COMPREPLY[@]}"', "bash", script, cwd=self.folder).split()

    def test_bash_completes(self):
        self.assertEqual(self.complete("muster "), self.commands())
        self.assertEqual(self.complete("muster st"), ["status", "state"])
        self.assertLessEqual({"--html", "--max-lag", "-c"}, set(self.complete("muster status -")))
        self.assertNotIn("--html", self.complete("muster run --"))
        self.assertEqual(self.complete("muster run --log-format l"), ["logfmt"])
        self.assertEqual(self.complete("muster check --log-level "), ["error", "warn", "info", "debug"])
        self.assertEqual(self.complete("muster state re"), ["rewind", "release"])
        self.assertEqual(self.complete("muster help conf"), ["config"])
        self.assertEqual(self.complete("muster record -o x -- ru"), ["run"])
        self.assertIn("--dry-run", self.complete("muster record -o x -- run --d"))
        with open(os.path.join(self.folder, "here.yaml"), "w", encoding="ascii"):
            pass
        self.assertEqual(self.complete("muster run -c he"), ["here.yaml"])
        self.assertEqual(self.complete("muster run --tenant "), [])

    def test_every_option_is_completed(self):
        for command in self.commands():
            if command in ("help", "version"):
                continue
            flags = set(re.findall(r"(?m)^ {2,6}(?:-\w, )?(--[\w-]+)", run(MUSTER, "help", command)))
            self.assertTrue(flags or command == "init", command)
            self.assertLessEqual(flags, set(self.complete(f"muster {command} -")), command)

    @have("ldd", "readelf")
    def test_the_components_are_what_is_linked(self):
        text = run("scripts/sbom", MUSTER)
        self.assertEqual(text, run("scripts/sbom", MUSTER))
        bill = json.loads(text)
        self.assertEqual((bill["bomFormat"], bill["specVersion"], bill["version"]), ("CycloneDX", "1.5", 1))
        sonames = {one["value"] for part in bill["components"] for one in part["properties"] if one["name"] == "muster:soname"}
        self.assertEqual(sonames, set(re.findall(r"(?m)^\s*(\S+) => /", run("ldd", MUSTER))))
        direct = {part["name"] for part in bill["components"] if part["bom-ref"] in bill["dependencies"][0]["dependsOn"]}
        self.assertEqual(direct, {"curl", "openssl", "jansson", "libzstd", "snappy", "libyaml", "expat", "libarchive", "glibc", "uthash"} |
                         ({"gcc-12"} & direct))
        for part in bill["components"]:
            self.assertRegex(part["purl"], r"^pkg:deb/debian/[a-z0-9.+-]+@[^?]+\?arch=\w+&distro=debian-\d+$")

    def test_objects_are_the_same_from_another_folder(self):
        """Some of them; scripts/reproducible builds everything twice."""
        sources = ("lib/base/err.c", "lib/fmt/uri.c", "jobs/table.c")
        objects = [f"b/{name[:-2]}.o" for name in sources]
        copies = [os.path.join(self.folder, name) for name in ("one", "two/deeper")]
        for copy in copies:
            os.makedirs(copy)
            for name in ("Makefile", "lib", "jobs"):
                path = os.path.join(ROOT, name)
                (shutil.copytree if os.path.isdir(path) else shutil.copy)(path, os.path.join(copy, name))
            run("make", "-s", "B=b", *objects, cwd=copy, env={**os.environ, "CCACHE_DISABLE": "1", "FLAVOUR": "release"})
        for name in objects:
            run("cmp", *[os.path.join(copy, name) for copy in copies])
            with open(os.path.join(copies[0], name), "rb") as file:
                self.assertNotIn(self.folder.encode(), file.read())

    @have("dh", "lintian")
    def test_the_package(self):
        """From what is built: nothing is compiled here. Twice, for it has to be the same."""
        built = []
        for umask in (0o022, 0o077):
            copy = os.path.join(self.folder, f"source{umask}")
            os.makedirs(copy)
            for name in ("Makefile", "README.md", "LICENSE", ".github", "lib", "scripts", "schedules"):
                path = os.path.join(ROOT, name)
                (shutil.copytree if os.path.isdir(path) else shutil.copy)(path, os.path.join(copy, name))
            os.makedirs(os.path.join(copy, "build"))
            shutil.copy(MUSTER, os.path.join(copy, "build/muster"))
            shutil.copytree(self.written, os.path.join(copy, "build/manual"))
            environment = {**os.environ, "TZ": "Pacific/Auckland" if umask else "UTC"}
            files = run("sh", "-c", f"umask {umask:03o} && scripts/package", cwd=copy, env=environment).split()
            built.append(next(file for file in files if "/muster_" in file))
        run("cmp", *built)
        self.assertEqual(run("lintian", "--allow-root", "--fail-on", "error,warning,info", "-I", built[0]), "")
        self.contents(built[0])

    def contents(self, package):
        version = run(MUSTER, "version").split()[1]
        self.assertEqual(run("dpkg-deb", "-f", package, "Version").strip(), version)
        root = os.path.join(self.folder, "root")
        run("dpkg-deb", "-R", package, root)
        self.assertEqual(run(os.path.join(root, "usr/bin/muster"), "version"), run(MUSTER, "version"))
        with open(os.path.join(root, "DEBIAN/conffiles"), encoding="ascii") as file:
            self.assertEqual(file.read().split(), ["/etc/muster/env", "/etc/muster/muster.yaml"])
        with open(os.path.join(root, "lib/systemd/system/muster.service"), encoding="ascii") as file:
            self.assertRegex(file.read(), r"(?m)^ExecStart=/usr/bin/muster run -c /etc/muster/muster.yaml$")
        with open(os.path.join(ROOT, ".github/CHANGELOG.md"), encoding="utf-8") as file:
            self.assertIn(f"\n## {version} (", file.read())
        self.assertEqual(os.stat(os.path.join(root, "etc/muster/env")).st_mode & 0o777, 0o600)
        checked = subprocess.run([MUSTER, "check", "-c", os.path.join(root, "etc/muster/muster.yaml")], capture_output=True, text=True,
                                 check=False, env={"PATH": os.environ["PATH"], "HOME": root, "AWS_EC2_METADATA_DISABLED": "true"})
        self.assertEqual(checked.returncode, 3, checked)
        self.assertIn("credentials", checked.stdout + checked.stderr)


if __name__ == "__main__":
    unittest.main()
