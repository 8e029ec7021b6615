#!/usr/bin/python3
"""Base credentials, with botocore as the judge: the same files and environment give the same key, or none.

A server of the test's own hands out keys that are a hash of how they were asked for: who signed, which role, with what, at
which endpoint. So the same key in the end means the same way to it.
"""
import hashlib
import http.server
import json
import os
import random
import re
import subprocess
import tempfile
import threading
import unittest
import warnings
from unittest import mock
from urllib.parse import parse_qsl

import botocore.credentials
import botocore.exceptions
import botocore.session
from lab import MUSTER, PATIENCE

warnings.simplefilter("ignore", ResourceWarning)  # botocore leaves its connections to the collector
SEED = os.environ.get("MUSTER_SEED", "1")
CASES = int(os.environ.get("MUSTER_PROFILES", "40"))
NAMES = ("default", "alpha", "beta", "gamma", "two words")
END = "2099-12-31T23:59:59Z"
# Debian 12's botocore is older than AWS_ENDPOINT_URL: it is told where STS is, and endpoints are not among the dice.
ENDPOINTS = tuple(map(int, botocore.__version__.split(".")[:2])) >= (1, 31)
TOKEN_FILES = hasattr(botocore.credentials.ContainerProvider, "ENV_VAR_AUTH_TOKEN_FILE")
ROLES = "/latest/meta-data/iam/security-credentials/"


def key_of(kind, *parts):
    return kind + hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16].upper()


class Keys(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body, status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def answer_json(self, key):
        self.answer(json.dumps({"Code": "Success", "AccessKeyId": key, "SecretAccessKey": "s" * 40, "Token": "t",
                                "Expiration": END, "AccountId": "111122223333"}))

    def do_PUT(self):
        self.answer("imds-token" if self.path == "/latest/api/token" else "", 200)

    def do_GET(self):
        if self.path.startswith("/container"):
            self.answer_json(key_of("ASIACONT", self.path, self.headers.get("Authorization")))
        elif self.headers.get("x-aws-ec2-metadata-token") != "imds-token":
            self.answer("", 401)
        elif self.path == ROLES:
            self.answer("the-role")
        else:
            self.answer_json(key_of("ASIAIMDS", self.path))

    def do_POST(self):
        form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        signer = re.search("Credential=([^/]*)", self.headers.get("Authorization", "-"))
        action = form.pop("Action")
        if action == "GetCallerIdentity":
            self.answer("<ErrorResponse><Error><Code>AccessDenied</Code><Message>enough</Message></Error>"
                        "</ErrorResponse>", 403)
            return
        asked = [form.get(name) for name in ("RoleArn", "ExternalId", "WebIdentityToken")]
        session = form["RoleSessionName"]  # those that nobody chose differ
        key = key_of("ASIAROLE", action, signer and signer[1], self.path.strip("/"), *asked,
                     session if session.startswith("chosen") else "")
        self.answer(f"<{action}Response><{action}Result><AssumedRoleUser><AssumedRoleId>A:b</AssumedRoleId><Arn>"
                    f"arn:aws:sts::111122223333:assumed-role/r/s</Arn></AssumedRoleUser><Credentials><AccessKeyId>{key}"
                    f"</AccessKeyId><SecretAccessKey>{'s' * 40}</SecretAccessKey><SessionToken>t</SessionToken>"
                    f"<Expiration>{END}</Expiration></Credentials></{action}Result></{action}Response>")

    def log_message(self, *_arguments):
        pass


class Dice(random.Random):
    """Random files. What botocore and the other SDKs do differently is left out: a secret
    without a key id (botocore goes on to the next source), sections and keys that come twice, comments behind values,
    roles that ask for a code, and web identities of the environment beside profiles."""

    def __init__(self, seed, folder, url):
        super().__init__(seed)
        self.folder, self.url, self.serial = folder, url, 0

    def maybe(self, share):
        return self.random() < share

    def static(self, kind):
        self.serial += 1
        key = f"AKIA{kind}{self.serial:08d}"
        pairs = [("aws_access_key_id", key), ("aws_secret_access_key", "k/+" * 13)]
        if self.maybe(0.1):
            pairs.pop()
        elif self.maybe(0.3):
            pairs.append(("aws_session_token", "token+/=="))
        return pairs

    def role(self):
        pairs = [("role_arn", f"arn:aws:iam::111122223333:role/{self.choice('abc')}")]
        if self.maybe(0.85):
            pairs.append(("source_profile", self.choice(NAMES + ("nobody",))))
        if self.maybe(0.2):
            pairs.append(("credential_source", self.choice(("Environment", "EcsContainer", "Ec2InstanceMetadata",
                                                            "Elsewhere"))))
        if self.maybe(0.3):
            pairs.append(("external_id", f"ext/{self.randrange(9)}=x"))
        if self.maybe(0.3):
            pairs.append(("role_session_name", "chosen-name"))
        if self.maybe(0.2):
            pairs.append(("duration_seconds", "1800"))
        if self.maybe(0.15):
            pairs.append(("web_identity_token_file", os.path.join(self.folder, "jwt")))
        return pairs

    def process(self):
        self.serial += 1
        keys = {"Version": 1, "AccessKeyId": f"AKIAPROC{self.serial:08d}", "SecretAccessKey": "x y'z"}
        if self.maybe(0.2):
            keys["Version"] = 2
        if self.maybe(0.5):
            keys.update(SessionToken="t", Expiration=END)
        quoted = json.dumps(keys).replace("\\", "\\\\").replace('"', '\\"')
        return [("credential_process", f'/bin/echo -n "{quoted}"' if self.maybe(0.9) else "/bin/false")]

    def body(self, config):
        pairs = []
        if self.maybe(0.5):
            pairs += self.static("CONF" if config else "CRED")
        if self.maybe(0.5 if config else 0.1):
            pairs += self.role()
        if self.maybe(0.2 if config else 0.05):
            pairs += self.process()
        if config and self.maybe(0.2):
            pairs.append(("region", "eu-west-1"))
        if config and ENDPOINTS and self.maybe(0.15):
            pairs.append(("endpoint_url", f"{self.url}/profile"))
        if config and ENDPOINTS and self.maybe(0.15):
            pairs.append(("services", "mine"))
        self.shuffle(pairs)
        return pairs

    def written(self, pairs):
        lines = []
        for name, value in pairs:
            name = name.upper() if self.maybe(0.1) else name
            lines.append(f"{name}{self.choice((' = ', '=', '= ', ' : '))}{value}{self.choice(('', '', ' '))}")
            if self.maybe(0.1):
                lines += self.choice((["# a comment"], ["; another = one"], [""]))
            if self.maybe(0.05):
                lines += [f"s{self.randrange(10**6)} =", "  max_queue_size = 5", "  aws_access_key_id = AKIDNESTED"]
        return lines

    def file(self, config):
        lines = ["# made by dice"]
        for name in self.sample(NAMES, self.randrange(len(NAMES) + 1)):
            if config and name != "default":
                lines.append(f'[profile "{name}"]' if " " in name or self.maybe(0.3) else f"[profile {name}]")
            else:
                lines.append(f"[{name}]")
            lines += self.written(self.body(config))
        if config:
            lines += ["[services mine]", "sts =", f"  endpoint_url = {self.url}/services", "[preview]", "x = y"]
        return "\n".join(lines) + "\n"

    def environment(self):
        """Never without an end: the metadata service is ours or off."""
        env = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url + "/" if self.maybe(0.3) else self.url}
        if self.maybe(0.3):
            env = {"AWS_EC2_METADATA_DISABLED": "true"}
        if self.maybe(0.6):
            env[self.choice(("AWS_PROFILE", "AWS_DEFAULT_PROFILE"))] = self.choice(NAMES)
        if self.maybe(0.15):
            env.update(AWS_ACCESS_KEY_ID="AKIAENVIRONMENT", AWS_SECRET_ACCESS_KEY="e", AWS_SESSION_TOKEN="t")
        if self.maybe(0.3):
            env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{self.url}/container/{self.randrange(3)}"
            if self.maybe(0.5):
                env["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "shown"
        if not ENDPOINTS or self.maybe(0.6):
            env["AWS_ENDPOINT_URL"] = f"{self.url}/all"
        if ENDPOINTS and self.maybe(0.2):
            env["AWS_ENDPOINT_URL_STS"] = f"{self.url}/sts"
        return env


class Profiles(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keys)
        cls.url = f"http://127.0.0.1:{cls.server.server_port}"
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.write("jwt", "header.payload.signature")
        # What stands in a profile would be for muster's state and sinks, too: none of them is reached here.
        self.write("muster.yaml", json.dumps({
            "region": "eu-west-1", "state": f"file://{self.folder}/state",
            "tenants": [{"id": "acme", "account": "111122223333", "role": "r", "external_id": "none"}],
            "jobs": {"ecs": {"kind": "metrics", "to": ["lake"]}},
            "sinks": {"lake": {"kind": "objects", "url": f"file://{self.folder}/lake"}}}))

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)
        return os.path.join(self.folder, name)

    def environment(self, env):
        """Whole, and the same for both. Without an endpoint nothing may leave this machine."""
        return {"PATH": os.environ["PATH"], "HOME": self.folder, "AWS_CONFIG_FILE": f"{self.folder}/config",
                "AWS_SHARED_CREDENTIALS_FILE": f"{self.folder}/credentials", "AWS_DEFAULT_REGION": "eu-west-1",
                "HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1",
                "AWS_METADATA_SERVICE_TIMEOUT": "5", **env}

    def of_botocore(self, env):
        """(key id or None, what it said)"""
        class Session(botocore.session.Session):
            def create_client(self, *arguments, **named):
                if not ENDPOINTS:
                    named["endpoint_url"] = env.get("AWS_ENDPOINT_URL")
                return super().create_client(*arguments, **named)

        with mock.patch.dict(os.environ, self.environment(env), clear=True):
            try:
                found = Session().get_credentials()
                return (found.get_frozen_credentials().access_key, "") if found else (None, "found none")
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
                return None, f"{type(error).__name__}: {error}"

    def of_muster(self, env):
        done = subprocess.run([MUSTER, "run", "-c", f"{self.folder}/muster.yaml", "--log-level", "debug"],
                              env=self.environment(env), capture_output=True, text=True, timeout=60 * PATIENCE,
                              check=False, stdin=subprocess.DEVNULL)
        self.assertIn(done.returncode, (2, 3), done.stderr)
        key = re.search(r'msg="base credentials".* key_id=(\S+)', done.stderr)
        if not key:
            self.assertIn("base credentials", done.stderr)
        return key and key[1], done.stderr

    def assert_same(self, env):
        (theirs, why), (ours, log) = self.of_botocore(env), self.of_muster(env)
        if "ProfileNotFound" in why and "AWS_ACCESS_KEY_ID" in env:
            theirs = env["AWS_ACCESS_KEY_ID"]  # others take the keys, and do not look for the profile
        if theirs != ours:
            files = "".join(f"--- {name}\n{text}" for name, text in self.files().items())
            self.fail(f"botocore: {theirs} {why}\nmuster: {ours}\n{log}\n{env}\n{files}")
        return ours

    def files(self):
        found = {}
        for name in ("config", "credentials"):
            if os.path.exists(os.path.join(self.folder, name)):
                with open(os.path.join(self.folder, name), encoding="utf-8") as file:
                    found[name] = file.read()
        return found

    def test_random_files(self):
        kinds = {}
        for number in range(CASES):
            dice = Dice(f"{SEED} {number}", self.folder, self.url)
            with self.subTest(seed=SEED, number=number):
                self.write("config", dice.file(True))
                self.write("credentials", dice.file(False))
                key = self.assert_same(dice.environment())
                kind = key[:8] if key else None
                kinds[kind] = kinds.get(kind, 0) + 1
        if CASES >= 40:  # the dice are no good if they show one face only
            self.assertGreaterEqual(len(kinds), 5, kinds)
            self.assertLess(kinds.get(None, 0), CASES / 2, kinds)

    def test_web_identity_of_the_environment(self):
        env = {"AWS_WEB_IDENTITY_TOKEN_FILE": f"{self.folder}/jwt", "AWS_ENDPOINT_URL": self.url,
               "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/web", "AWS_EC2_METADATA_DISABLED": "true"}
        first = self.assert_same(env)
        self.assertIsNotNone(first)
        self.assertNotEqual(first, self.assert_same({**env, "AWS_ROLE_SESSION_NAME": "chosen-one"}))
        self.assertIsNone(self.assert_same({**env, "AWS_ROLE_ARN": ""}))

    def test_nothing_at_all(self):
        self.assertIsNone(self.assert_same({"AWS_EC2_METADATA_DISABLED": "true"}))

    @unittest.skipUnless(TOKEN_FILES, "this botocore is older than token files")
    def test_tokens_of_containers_are_read_anew(self):
        env = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.url}/container/x", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "no",
               "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": self.write("token", "one")}
        first = self.assert_same(env)
        self.write("token", "two")
        self.assertNotEqual(first, self.assert_same(env))


if __name__ == "__main__":
    unittest.main()
