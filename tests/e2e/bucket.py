"""Labs whose lake and state are in a bucket of the stand-in, and what must hold of a bucket after anything."""
import os
import shutil
from urllib.parse import quote

from lab import Case, Lab
from testing import send

BUCKET = "muster-test"
LEASE = 60  # seconds


class S3Lab(Lab):
    """A lab whose lake and state are in a bucket of the stand-in."""

    def __init__(self, *arguments, bucket=BUCKET, flags=(), **named):
        self.skew = 0
        super().__init__(*arguments, flags=("--bucket", bucket, *flags), **named)
        self.settings["state"] = f"s3://{BUCKET}/state"
        self.settings["sinks"]["lake"]["url"] = f"s3://{BUCKET}/telemetry"

    def objects(self, prefix):
        return self.daemon.control(f"s3/objects?bucket={BUCKET}&prefix={prefix}")

    def fetch(self):
        """The lake's objects as files, where the verdicts look for them."""
        shutil.rmtree(self.lake, ignore_errors=True)
        for row in self.objects("telemetry/"):
            path = os.path.join(self.lake, row["key"].removeprefix("telemetry/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            url = f"{self.daemon.url}/_standin/s3/object?bucket={BUCKET}&key={quote(row['key'], safe='')}"
            with open(path, "wb") as file:
                file.write(send("GET", url, {})[2])

    def lease_passes(self):
        """Let the services' clock, and with it every lease, move on."""
        self.skew += LEASE + 1
        self.daemon.control("skew", {"seconds": self.skew})

    def count(self, name):
        return self.daemon.control("s3/stats")["buckets"][BUCKET].get(name, 0)


class S3Case(Case):
    """A case that judges such labs."""

    def lab(self, *arguments, **named):
        lab = S3Lab(*arguments, **named)
        self.addCleanup(lab.close)
        return lab

    def settle(self, lab):
        self.assert_status(lab.run(), 0)

    def writes(self, lab, prefix):
        return sum(row["writes"] for row in lab.objects(prefix))

    def assert_untouched(self, lab):
        """What was frozen stayed as it was, and nothing is half there."""
        rows = [row for row in lab.objects("telemetry/") if row["key"].endswith(".zst")]
        self.assertTrue(rows)
        self.assertEqual([row["key"] for row in rows if row["writes"] != 1], [], "written more than once")
        self.assertEqual([row["key"] for row in rows if "/rejected/" in row["key"]], [], "called refused")
        self.assertEqual(lab.count("open_uploads"), 0)

    def assert_exact(self, lab, start=None, end=None, tenants=None):
        lab.fetch()
        super().assert_exact(lab, start, end, tenants)
        self.assert_untouched(lab)
