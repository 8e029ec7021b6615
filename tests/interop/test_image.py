"""The container image as others' tools see it: skopeo reads it as registries do, umoci unpacks what scripts/image packed."""
import json
import os
import subprocess
import tempfile
import unittest

ROOT = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..")


def output(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def listing(folder):
    """{path: (mode, content)} of everything below it."""
    found = {}
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            whole = os.path.join(path, name)
            status = os.lstat(whole)
            if os.path.islink(whole):
                what = os.readlink(whole)
            elif os.path.isfile(whole):
                with open(whole, "rb") as file:
                    what = file.read()
            else:
                what = None
            found[os.path.relpath(whole, folder)] = (oct(status.st_mode), what)
    return found


class Image(unittest.TestCase):
    def test_others_read_it(self):
        with tempfile.TemporaryDirectory() as folder:
            said = output(os.path.join(ROOT, "scripts", "image"), folder).split()
            (root,) = (name for name in os.listdir(folder) if name.startswith("root-") and not name.endswith(".tar"))
            with open(f"{folder}/oci/index.json", encoding="ascii") as file:
                version = json.load(file)["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
            name = f"oci:{folder}/oci:{version}"
            found = json.loads(output("skopeo", "inspect", name))
            self.assertEqual((found["Digest"], found["Architecture"], found["Os"], found["Labels"]["org.opencontainers.image.version"]),
                             (said[-1], root.removeprefix("root-"), "linux", version))
            config = json.loads(output("skopeo", "inspect", "--config", name))["config"]
            self.assertEqual((config["User"], config["Entrypoint"]), ("65532:65532", ["/usr/bin/muster"]))
            # Copied to a format of its own it has been checked, hash by hash.
            output("skopeo", "--insecure-policy", "copy", name, f"dir:{folder}/copied")
            output("umoci", "unpack", *([] if os.geteuid() == 0 else ["--rootless"]), "--image", f"{folder}/oci:{version}",
                   f"{folder}/bundle")
            self.assertEqual(listing(f"{folder}/bundle/rootfs"), listing(f"{folder}/{root}"))


if __name__ == "__main__":
    unittest.main()
