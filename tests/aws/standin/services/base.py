"""What every service has in common: how it recognises a request, and how an operation is found."""
import re
from dataclasses import dataclass, field

from .. import sigv4
from ..errors import Refusal, invalid
from ..protocols import Json, Query, read_form, read_json
from ..wire import Request

FORM = "application/x-www-form-urlencoded"


@dataclass
class Call:
    """One request that a service has recognised as its own."""
    service: object
    operation: str
    protocol: object
    load: object          # from the body to params; run once the signature is known to be good
    request: Request
    params: dict = field(default_factory=dict)
    request_id: str = ""
    principal: object = None
    account: str = None   # whose data or role it is about
    region: str = None
    token: object = None  # a paging position, where the operation pages
    fault: str = None     # the kind of the fault that hit it
    fate: str = None      # how a fault lets the query end that it starts
    resource: str = ""    # what it is about, where a fault rule may want to know

    def whole(self, name, default=None, low=None, high=None):
        value = self.params.get(name)
        if value is None:
            return default
        value = self.protocol.whole(name, value)
        if low is not None and not low <= value <= high:
            raise invalid(f"The value {value} for parameter {name} is not between {low} and {high}.")
        return value

    def flag(self, name, default):
        value = self.params.get(name)
        return default if value is None else self.protocol.flag(name, value)

    def instant(self, name):
        value = self.params.get(name)
        if value is None:
            raise missing(name)
        return self.protocol.instant(name, value)

    def text(self, name, pattern=None, required=False):
        """A string parameter, checked against its pattern as STS words it."""
        return checked(self.params, name, pattern, required)


class Service:
    """One service: its names, and its operations by name."""
    name = ""           # in stats and fault rules
    scope = None        # the service in a signature's scope; None: not signed
    unsigned = ()       # the operations that are not, all the same
    iam = ""            # the service in IAM actions
    target = None       # the prefix of X-Amz-Target, for JSON protocols
    version = None      # the API version of the query protocol
    namespace = None    # the XML namespace of the query protocol
    json = Json         # the protocol, where it is JSON
    json_version = "1.0"
    query_modes = False  # whether JSON clients may ask for the codes of the query protocol
    rules = sigv4.USUAL  # how signatures are judged
    request_id_header = "x-amzn-RequestId"
    pager = None        # of its tokens, where anything is paged
    operations = {}     # name -> function(self, call)
    controls = {}       # (method, name below /_standin/) -> function(self, request)

    def __init__(self, standin):
        self.standin = standin

    def read(self, request):
        """The Call that a request is, None if it is for another service."""
        target = request.headers.get("x-amz-target", "")
        if self.target and target.startswith(self.target + "."):
            return self._read_json(request, target[len(self.target) + 1:])
        if self.version and request.method == "POST" and request.headers.get("content-type", "").startswith(FORM):
            return self._read_form(request)
        return None

    def perform(self, call):
        function = self.operations.get(call.operation)
        if function is None:
            raise Refusal("InvalidAction", f"Could not find operation {call.operation}",
                          400 if isinstance(call.protocol, Query) else 404)
        return function(self, call)

    def subject(self, call):
        """The account a call is about: the caller's, unless the service knows better."""
        return call.principal.account if call.principal else None

    def action(self, call):
        """What IAM calls the operation."""
        return f"{self.iam}:{call.operation}"

    def forget(self):
        """Forget what was counted."""

    def regions(self):
        """Where there is an endpoint of the service."""
        return self.standin.world.regions | {"us-east-1"}

    def resource(self, call):
        """What a call is about, for the fault rules that look at it."""
        return ""

    def page_token(self, call):
        """A token for the page this very call asks for."""
        return self.pager.token(call, call.token or {"at": 0})

    def _read_json(self, request, operation):
        old_codes = request.headers.get("x-amzn-query-mode") == "true"
        return Call(self, operation, self.json(self.json_version, self.query_modes, old_codes), read_json, request)

    def _read_form(self, request):
        match = re.search(rb"(?:^|&)Version=([0-9-]+)", request.body)
        if not match or match[1].decode() != self.version:
            return None
        action = re.search(rb"(?:^|&)Action=(\w+)", request.body)
        return Call(self, action[1].decode() if action else "-", Query(self.namespace), read_form, request)


def missing(name):
    return invalid(f"The parameter {name} is required.", "MissingParameter")


def rows(params, name, most):
    """A parameter that is a list of structures."""
    value = params.get(name) or []  # an empty list is an empty string in a form
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise invalid(f"{name} is of the wrong type", "SerializationException")
    if len(value) > most:
        raise invalid(f"The collection {name} must not have a size greater than {most}.")
    return value


def checked(params, name, pattern=None, required=False):
    value = params.get(name)
    if value is None:
        if required:
            raise missing(name)
        return None
    if not isinstance(value, str):
        raise invalid(f"{name} is of the wrong type", "SerializationException")
    if pattern and not re.fullmatch(pattern, value):
        field = name[0].lower() + name[1:]
        raise invalid(f"1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: "
                      f"Member must satisfy regular expression pattern: {pattern}")
    return value
