#!/usr/bin/python3
"""Signatures at random, with botocore as the judge: the same canonical request and the same signature, to the byte.

MUSTER_REQUESTS says how many (default 4000), MUSTER_SEED which.
"""
import datetime
import hashlib
import os
import random
import subprocess
import unittest

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lab import PATIENCE, ROOT

SIGNER = os.path.join(ROOT, "build", "tests", "e2e", "signer")
SEED = int(os.environ.get("MUSTER_SEED", "1"))
REQUESTS = int(os.environ.get("MUSTER_REQUESTS", "4000"))
UNRESERVED = "abcXYZ019-_.~"
ODD = " !\"$'()*+,/:;<=>@[\\]^`{|}\x7f\u00e9\u65e5\U0001f468%&#?"
LITERAL = "!$'()*+,/:;=@~"  # may stand in a path or query as they are
HEADERS = ("Content-Type", "X-Amz-Target", "x-amz-meta-a", "X-AMZ-Security-Token", "content-md5", "Accept", "x-amz-meta-a-b", "X-Amz-Meta-A")


class Dice(random.Random):
    def text(self, most):
        return "".join(self.choice(UNRESERVED if self.random() < 0.6 else ODD) for _ in range(self.randrange(most + 1)))

    def spelled(self, text, literal=LITERAL):
        """As it might stand on the wire: some bytes encoded that need not be, in letters of either case."""
        out = []
        for byte in text.encode():
            character = chr(byte)
            if (character in UNRESERVED and self.random() < 0.9) or (character in literal and self.random() < 0.5):
                out.append(character)
            else:
                out.append(self.choice(("%%%02X", "%%%02x")) % byte)
        return "".join(out)

    def path(self):
        parts = [self.choice(("", ".", "..", "%2E", "a")) if self.random() < 0.3 else self.spelled(self.text(8))
                 for _ in range(self.randrange(6))]
        return "/" + "/".join(parts) if parts or self.random() < 0.5 else ""

    def params(self):
        pairs = [(self.text(6), self.text(6)) for _ in range(self.randrange(6))]
        pairs += [(name, self.text(3)) for name, _ in pairs if self.random() < 0.3]  # names that come twice
        return [(name, value) for name, value in pairs if name or value]

    def query(self, pairs):
        """The pairs, in any order, with parts that say nothing in between."""
        parts = []
        for name, value in self.sample(pairs, len(pairs)):
            literal = LITERAL.replace("=", "")
            parts.append(self.spelled(name, literal) + ("=" + self.spelled(value) if value or self.random() < 0.5 else ""))
            if parts[-1] == "" or self.random() < 0.05:
                parts.append("")
        return "&".join(parts)

    def headers(self):
        found = []
        for _ in range(self.randrange(5)):
            blank = self.choice(("", " ", "  ", " \t "))
            value = blank.join(self.choice(("a", "b c", "=", ",", "x/y", "\"q  r\"")) for _ in range(self.randrange(4)))
            found.append((self.choice(HEADERS), self.choice(("", " ")) + value + self.choice(("", "  "))))
        return found


def hexed(text):
    data = text if isinstance(text, bytes) else text.encode()
    return data.hex() or "-"


@unittest.skipUnless(os.access(SIGNER, os.R_OK), f"{SIGNER} is not built")
class Signatures(unittest.TestCase):
    def request(self, dice):
        """A request as a line for the signer, and what botocore makes of it."""
        s3 = dice.random() < 0.5
        service = "s3" if s3 else dice.choice(("sts", "monitoring", "logs", "aps", "xray"))
        region, host = dice.choice(("eu-west-1", "us-gov-east-1", "x")), f"{dice.choice('ab')}.example.com"
        secret = "".join(dice.choice("abcABC019+/") for _ in range(dice.choice((0, 1, 40, 64, 65, 200))))
        when = datetime.datetime(2026, 1, 1) + datetime.timedelta(seconds=dice.randrange(10**9))
        date, body = when.strftime("%Y%m%dT%H%M%SZ"), dice.text(20).encode()
        payload = dice.choice((hashlib.sha256(body).hexdigest(), "UNSIGNED-PAYLOAD"))
        path, pairs, method = dice.path() or "/" * s3, dice.params(), dice.choice(("GET", "PUT", "POST", "HEAD"))
        headers = [("Host", host), ("X-Amz-Date", date), ("X-Amz-Content-SHA256", payload), *dice.headers()]
        request = AWSRequest(method=method, url=f"https://{host}{path}", data=body, params=pairs)
        for name, value in headers:
            request.headers.add_header(name, value)
        request.context["timestamp"] = date
        signer = (S3SigV4Auth if s3 else SigV4Auth)(Credentials("AKID", secret or "x"), service, region)
        canonical = signer.canonical_request(request)
        fields = ["s3" if s3 else "other", method, path, dice.query(pairs), region, service, date, payload, secret or "x"]
        shuffled = headers[:3]
        dice.shuffle(shuffled)
        line = " ".join(map(hexed, [*fields, *(text for pair in shuffled + headers[3:] for text in pair)]))
        return line, canonical, signer.signature(signer.string_to_sign(request, canonical), request)

    def test_the_same_canonical_request_and_signature(self):
        dice = Dice(SEED)
        asked = [self.request(dice) for _ in range(REQUESTS)]
        said = subprocess.run([SIGNER], input="".join(line + "\n" for line, _, _ in asked), text=True, check=True,
                              capture_output=True, timeout=60 * PATIENCE).stdout.splitlines()
        self.assertEqual(len(said), REQUESTS)
        for number, (found, (line, canonical, signature)) in enumerate(zip(said, asked)):
            ours, signed = found.split()
            where = f"request {number} of seed {SEED}: {line}"
            self.assertEqual(bytes.fromhex(ours).decode(), canonical, where)
            self.assertEqual(signed, signature, where)


if __name__ == "__main__":
    unittest.main()
