"""versitygw, an S3 server of other people's that is strict about signatures and about conditional writes, with lake and
state in a bucket of it; and boto3, an S3 client of other people's, to say what is there without asking muster.

Its binary is looked for beside the Python that runs the tests, where scripts/interop builds it.
"""
import hashlib
import os
import re
import shutil
import sys
import time
import urllib.request
from collections import Counter
from urllib.parse import unquote

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from outside import Outside

from lab import REGION, Case, Lab, free_port

BINARY = os.path.join(os.path.dirname(sys.executable), "versitygw")
BUCKET = "muster-test"
# What a correct client is answered: done, not there yet, and somebody else was first.
USUAL = {"200", "204", "206", "404", "412"}
PUT = ("PutObject", "200")


class GatewayLab(Lab):
    """A lab whose lake and state are in the gateway, and all else with the stand-in."""

    def __init__(self, port, **named):
        self.address = f"127.0.0.1:{port}"
        super().__init__(**named)
        self.settings["state"] = f"s3://{BUCKET}/state"
        self.settings["sinks"]["lake"]["url"] = f"s3://{BUCKET}/telemetry"
        keys = self.world.central
        # A refusal is a verdict here, so none is tried again.
        self.s3 = boto3.client("s3", endpoint_url=f"http://{self.address}", region_name=REGION,
                               aws_access_key_id=keys["access_key"], aws_secret_access_key=keys["secret_key"],
                               config=Config(retries={"total_max_attempts": 1}))

    def environment(self):
        return {**super().environment(), "AWS_ENDPOINT_URL_S3": f"http://{self.address}"}

    def rows(self, prefix):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [row for page in pages for row in page.get("Contents", ())]

    def keys(self, prefix):
        return [row["Key"] for row in self.rows(prefix)]

    def etags(self):
        """{key: etag} of all that was frozen."""
        return {row["Key"]: row["ETag"] for row in self.rows("telemetry/")}

    def read(self, key):
        """(etag, bytes). The gateway replaces an object by taking the old one away first: while a request of a run that was killed
        is still under way in it, what is there may be missing for a moment."""
        for patience in range(50, -1, -1):
            try:
                answer = self.s3.get_object(Bucket=BUCKET, Key=key)
                return answer["ETag"], answer["Body"].read()
            except self.s3.exceptions.NoSuchKey:
                if not patience:
                    raise
                time.sleep(0.1)

    def fingerprints(self):
        """{key: (etag, sha256)} of all that was frozen."""
        found = {}
        for key in self.keys("telemetry/"):
            etag, body = self.read(key)
            found[key] = etag, hashlib.sha256(body).hexdigest()
        return found

    def put_status(self, key, body, **condition):
        try:
            return self.s3.put_object(Bucket=BUCKET, Key=key, Body=body, **condition)["ResponseMetadata"]["HTTPStatusCode"]
        except ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"]

    def fetch(self):
        """The lake's objects as files, where the verdicts look for them."""
        shutil.rmtree(self.lake, ignore_errors=True)
        for key in self.keys("telemetry/"):
            path = os.path.join(self.lake, key.removeprefix("telemetry/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(self.read(key)[1])


class GatewayCase(Case, Outside):
    """A test with a gateway of its own."""

    def gateway_lab(self, **named):
        port = free_port()
        lab = GatewayLab(port, **named)
        self.addCleanup(lab.close)
        keys = lab.world.central
        os.mkdir(self.path("buckets"))
        self.daemon([BINARY, "--port", lab.address, "--region", REGION, "--health", "/health", "--quiet", "--access-log",
                     self.path("access.log"), "posix", self.path("buckets")], lambda: self.healthy(lab),
                    {"ROOT_ACCESS_KEY": keys["access_key"], "ROOT_SECRET_KEY": keys["secret_key"]})
        lab.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        return lab

    def healthy(self, lab):
        try:
            urllib.request.urlopen(f"http://{lab.address}/health", timeout=5).close()
            return True
        except OSError:
            return False

    def settle(self, lab):
        result = lab.run()
        self.assert_status(result, 0)
        self.assertEqual(result.errors("the lease is held"), [])

    def assert_exact(self, lab, start=None, end=None, tenants=None):
        lab.fetch()
        super().assert_exact(lab, start, end, tenants)
        self.assert_written_once(lab)

    def answers(self):
        """[(operation, key, status)] of all requests, as the gateway has logged them."""
        with open(self.path("access.log"), encoding="utf-8") as log:
            return re.findall(r" s3_(\w+) (\S+) /\S* (\d{3}) ", log.read())

    def assert_written_once(self, lab):
        """Every object of the lake was put once, and is a cell's."""
        puts = Counter(unquote(key) for operation, key, status in self.answers() if (operation, status) == PUT)
        keys = lab.keys("telemetry/")
        self.assertEqual({key: puts[key] for key in keys if puts[key] != 1}, {})
        self.assertEqual([key for key in keys if "/rejected/" in key], [])

    def assert_nothing_unusual(self):
        """The gateway refused no signature, no checksum and no request for what it says."""
        answered = {status for _, _, status in self.answers()}
        self.assertIn("200", answered, "the gateway has no log")
        self.assertEqual(answered - USUAL, set())
