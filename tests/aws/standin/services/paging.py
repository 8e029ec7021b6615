"""NextToken: opaque, stateless, and bound to the request it belongs to."""
import base64
import hashlib
import hmac
import json

from ..errors import Refusal


class Pager:
    def __init__(self, key, name="NextToken"):
        self.key = key
        self.name = name

    def token(self, call, position):
        """The token that makes this call's next page begin at `position`."""
        text = json.dumps({"of": self._request(call), **position}, sort_keys=True, separators=(",", ":")).encode()
        mac = hmac.digest(self.key, text, "sha256")[:12]
        return base64.b64encode(mac + text).decode()

    def position(self, call):
        """Where the page begins that a call asks for, None for the first; refused if the token is of another call."""
        given = call.text(self.name)
        if given is None:
            return None
        try:
            raw = base64.b64decode(given, validate=True)
        except ValueError:
            raise _bad("The token is malformed.") from None
        mac, text = raw[:12], raw[12:]
        if not hmac.compare_digest(mac, hmac.digest(self.key, text, "sha256")[:12]):
            raise _bad("The token was not issued by this service.")
        position = json.loads(text)
        if position.pop("of") != self._request(call):
            raise _bad("The request parameters differ from those the token was issued for.")
        return position

    def _request(self, call):
        """A digest of what must not change between pages."""
        same = {name: value for name, value in call.params.items() if name != self.name}
        text = json.dumps([call.operation, call.account, call.region, same], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]


def _bad(message):
    return Refusal("InvalidNextToken", message)
