"""What a test needs to run the stand-in and to talk to it: awsd, signatures, remote-write bodies."""
import json
import os
import signal
import struct
import subprocess
import time
import urllib.error
import urllib.request

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

HERE = os.path.dirname(os.path.realpath(__file__))
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
        return [json.loads(line) for line in answer.splitlines()] if name.startswith("rw/dump") else json.loads(answer)


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
