"""What a test needs to run the stand-in and to talk to it: awsd, signatures, a case, remote-write bodies."""
import json
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

from botocore.auth import SigV4Auth  # noqa: E402
from botocore.awsrequest import AWSRequest  # noqa: E402
from botocore.credentials import Credentials as Keys  # noqa: E402

from standin.world import World, generate  # noqa: E402

NOW = 1767240000
START = NOW - 7200
REGION = "eu-west-1"
TARGET = "GraniteServiceVersion20100801."
RATES = {"gap_rate": 0.05, "late_rate": 0.1}
HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "User-Agent": "test",
           "X-Prometheus-Remote-Write-Version": "0.1.0"}


class Daemon:
    """An awsd of a test's own."""

    def __init__(self, folder, *flags):
        self.port_file = os.path.join(folder, "port")
        if os.path.exists(self.port_file):
            os.unlink(self.port_file)
        self.process = subprocess.Popen(
            [os.path.join(HERE, "awsd"), "--port-file", self.port_file, *map(str, flags)], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not os.path.exists(self.port_file):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("awsd did not start")
            time.sleep(0.02)
        with open(self.port_file, encoding="ascii") as file:
            self.url = f"http://127.0.0.1:{file.read().strip()}"

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(10)

    def control(self, name, value=None, method=None):
        body = None if value is None else json.dumps(value).encode()
        method = method or ("GET" if value is None else "PUT")
        status, _, answer = send(method, f"{self.url}/_standin/{name}", {}, body)
        assert status == 200, answer
        lines = name.startswith(("rw/dump", "s3/objects"))
        return [json.loads(line) for line in answer.splitlines()] if lines else json.loads(answer)


def send(method, url, headers, body=None):
    """(status, headers, body), whatever the status."""
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def signed(url, keys, service, region, body, headers):
    """The headers of a POST that botocore has signed."""
    request = AWSRequest("POST", url, headers, body)
    SigV4Auth(keys, service, region).add_auth(request)
    return dict(request.headers)


class Case(unittest.TestCase):
    """A daemon with a small world, and the ways to call it."""
    flags = ()

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.world = World(cls.document())
        world_file = os.path.join(cls.folder.name, "world.json")
        with open(world_file, "w", encoding="utf-8") as file:
            json.dump(cls.world.document, file)
        cls.arguments = ("--world", world_file, "--now", NOW, *cls.flags)
        cls.daemon = Daemon(cls.folder.name, *cls.arguments)
        cls.tenant = cls.world.tenants[0]
        cls.base = Keys(cls.world.central["access_key"], cls.world.central["secret_key"])

    @classmethod
    def document(cls):
        return generate(2, 7, [REGION, "us-east-1"], 2, births=0.5, ends=0.3, epoch=START, **RATES)

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()
        cls.folder.cleanup()

    def setUp(self):
        self.daemon.control("faults", method="DELETE")
        self.daemon.control("reset", method="POST")
        self.daemon.control("ttl", {"seconds": None})

    def query(self, keys, service, version, region=REGION, **fields):
        body = "&".join(f"{name}={urllib.parse.quote(str(value), safe='')}"
                        for name, value in {**fields, "Version": version}.items()).encode()
        headers = signed(self.daemon.url + "/", keys, service, region, body,
                         {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"})
        return send("POST", self.daemon.url + "/", headers, body)

    def sts(self, action, keys=None, **fields):
        return self.query(keys or self.base, "sts", "2011-06-15", Action=action, **fields)

    def assume(self, tenant=None, **fields):
        tenant = tenant or self.tenant
        return self.sts("AssumeRole", **{"RoleArn": tenant["role"], "RoleSessionName": "test",
                                         "ExternalId": tenant["external_id"], **fields})

    def session(self, tenant=None):
        status, _, body = self.assume(tenant)
        self.assertEqual(status, 200, body)
        return Keys(*(re.search(f"<{name}>(.*?)</{name}>", body.decode())[1]
                      for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")))

    def metrics(self, operation, keys, value, region=REGION):
        return self.json_call("monitoring", "1.0", TARGET + operation, keys, value, region)

    def logs(self, operation, keys, value, region=REGION):
        return self.json_call("logs", "1.1", f"Logs_20140328.{operation}", keys, value, region)

    def json_call(self, service, version, target, keys, value, region):
        body = json.dumps(value).encode()
        headers = signed(self.daemon.url + "/", keys, service, region, body,
                         {"Content-Type": f"application/x-amz-json-{version}", "X-Amz-Target": target})
        status, headers, answer = send("POST", self.daemon.url + "/", headers, body)
        return status, headers, json.loads(answer)

    def violations(self):
        return self.daemon.control("stats")["violations"]["total"]

    def faults(self, *rules):
        self.daemon.control("faults", list(rules))


def varint(number):
    out = bytearray()
    number &= (1 << 64) - 1
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def chunk(number, data):
    return bytes([number << 3 | 2]) + varint(len(data)) + data


def write_request(*series):
    """A WriteRequest of ((labels), (samples)) as snappy literals."""
    body = b""
    for labels, samples in series:
        inner = b"".join(chunk(1, chunk(1, name.encode()) + chunk(2, value.encode())) for name, value in labels)
        for milliseconds, value in samples:
            inner += chunk(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(milliseconds))
        body += chunk(1, inner)
    literals = b"".join(bytes([61 << 2]) + struct.pack("<H", len(part) - 1) + part
                        for part in (body[at:at + 65536] for at in range(0, len(body), 65536)))
    return varint(len(body)) + literals
