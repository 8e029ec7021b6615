"""Who signs: the central account's user and the sessions made by AssumeRole.

Sessions are not stored. A token carries what it stands for and a keyed hash over it, and the session's key and secret
are derived from the token, so that sessions outlive a restart of the stand-in as they outlive a client's.
"""
import base64
import functools
import hashlib
import hmac
import json
from dataclasses import dataclass

from .errors import Refusal
from .world import key_id, secret_key

FILLER = 700  # real tokens are long; a client with a short buffer must notice here


@dataclass(frozen=True)
class Principal:
    """Somebody whose signature can be checked."""
    key_id: str
    secret: str
    account: str
    arn: str
    user_id: str
    role: str = None      # the ARN of the role, for a session
    expires: float = None


class Credentials:
    def __init__(self, world):
        central = world.central
        self.master = hashlib.sha256(f"stand-in {world.seed} {central['secret_key']}".encode()).digest()
        self.user = Principal(central["access_key"], central["secret_key"], central["account"],
                              f"arn:aws:iam::{central['account']}:user/{central['user']}",
                              key_id("AIDA", central["account"].encode()))
        self.session = functools.lru_cache(maxsize=65536)(self._session)

    def issue(self, role_arn, name, expires, serial):
        """(token, Principal) of a new session."""
        claims = json.dumps({"role": role_arn, "name": name, "exp": expires, "n": serial}, separators=(",", ":"))
        filler = base64.b64encode(hashlib.shake_128(claims.encode()).digest(FILLER))
        payload = base64.b64encode(claims.encode()) + b"." + filler
        token = (payload + b"." + base64.b64encode(self._mac(b"token", payload))).decode()
        return token, self.session(token)

    def find(self, key, token, now):
        """The principal that holds this key and token, or a refusal as AWS words it."""
        if token is None:
            if key != self.user.key_id:
                raise Refusal("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
            return self.user
        principal = self.session(token)
        if principal is None or principal.key_id != key:
            raise Refusal("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
        if principal.expires <= now:
            raise expired_token()
        return principal

    def _mac(self, purpose, data):
        return hmac.digest(self.master, purpose + data, "sha256")

    def _session(self, token):
        """The Principal of a token, None if it was not issued here."""
        payload, _, mac = token.encode("utf-8", "replace").rpartition(b".")
        if not hmac.compare_digest(base64.b64encode(self._mac(b"token", payload)), mac):
            return None
        claims = json.loads(base64.b64decode(payload.partition(b".")[0]))
        account = claims["role"].split(":")[4]
        role_id = key_id("AROA", hashlib.sha256(claims["role"].encode()).digest())
        return Principal(
            key_id("ASIA", self._mac(b"key", payload)), secret_key(self._mac(b"secret", payload)), account,
            f"arn:aws:sts::{account}:assumed-role/{claims['role'].rsplit('/', 1)[-1]}/{claims['name']}",
            f"{role_id}:{claims['name']}", claims["role"], claims["exp"])


def expired_token():
    return Refusal("ExpiredToken", "The security token included in the request is expired", 403, blame=False)
