"""The way of a request: whose is it, who signed it, is it allowed, does a fault hit it, what is the answer."""
import collections
import email.utils
import fnmatch
import itertools
import time
import uuid

from . import control, sigv4
from .alarms import Alarms
from .credentials import Credentials
from .errors import Refusal, denied
from .faults import Faults, read_rules
from .ledger import Ledger
from .receiver import Policy, Receiver
from .services import TABLE
from .traces import Traces
from .truth import Truth
from .wire import Reply


class Standin:
    """All the state there is, and the function that answers a request."""

    def __init__(self, world, clock, options):
        self.world = world
        self.clock = clock
        self.options = options
        self.truth = Truth(world)
        self.alarms = Alarms(world)
        self.traces = Traces(world)
        self.credentials = Credentials(world)
        self.ledger = Ledger(options.log)
        self.receiver = Receiver(options.state_dir, Policy.of(options))
        self.faults = Faults(self, read_rules(options.faults))
        self.ttl = options.session_ttl   # seconds a session really lives; None: as long as was asked for
        self.ttl_announced = True        # whether Expiration tells the truth about that
        self.serial = itertools.count(time.time_ns())
        self.issued = collections.deque(maxlen=100)  # secrets of the newest sessions, for tests to look for
        self.services = [service(self) for service in TABLE]

    def issue_session(self, role_arn, name, seconds):
        """(token, Principal, Expiration as told) of a new session."""
        now = self.clock.wall()
        lives = min(seconds, self.ttl) if self.ttl is not None else seconds
        token, principal = self.credentials.issue(role_arn, name, now + lives, next(self.serial))
        self.issued.append(principal.secret)
        return token, principal, now + (lives if self.ttl_announced else seconds)

    def handle(self, request):
        if request.path.startswith(control.PREFIX):
            return control.answer(self, request)
        reply = self._answer(request, str(uuid.uuid4()))
        reply.headers.setdefault("Date", email.utils.formatdate(self.clock.wall(), usegmt=True))
        return reply

    def _answer(self, request, request_id):
        call = self._recognise(request)
        if call is None:
            self.ledger.violation("no such service", method=request.method, path=request.path,
                                  target=request.headers.get("x-amz-target"))
            return Reply(404, {"Content-Type": "text/plain"}, b"no service of this stand-in takes this request\n")
        call.request_id = request_id
        began, code = time.perf_counter(), None
        try:
            reply = self._perform(call)
        except Refusal as refusal:
            code = refusal.code
            reply = call.protocol.error(refusal, request_id)
            if refusal.blame:
                self.ledger.violation(f"{refusal.code}: {refusal.message}", call)
        reply.headers.setdefault(call.service.request_id_header, request_id)
        self.ledger.call(call, reply, code, time.perf_counter() - began)
        return reply

    def _recognise(self, request):
        calls = (service.read(request) for service in self.services)
        return next((call for call in calls if call), None)

    def _perform(self, call):
        self._authenticate(call)
        self._authorise(call)
        rule = self.faults.pick(call)
        if rule is None:
            return self._serve(call)
        call.fault = rule.kind
        return rule.inflict(call, self._serve)

    @staticmethod
    def _serve(call, alter=None):
        """The answer, its result changed by `alter` before the protocol writes it."""
        result = call.service.perform(call)
        if alter:
            result = alter(result)
        return call.protocol.result(call.operation, result, call.request_id)

    def _authenticate(self, call):
        """Who calls, judged by the signature, and which account and region the call is about."""
        service, request = call.service, call.request
        if service.scope and call.operation not in service.unsigned:
            claim = sigv4.read_claim(request.headers)
            now = self.clock.wall()
            principal = self.credentials.find(claim.key_id, request.headers.get("x-amz-security-token"), now)
            sigv4.check(request, claim, principal.secret, service.scope, now, service.rules)
            if claim.region not in service.regions():
                raise Refusal("SignatureDoesNotMatch",
                              f"Credential should be scoped to a valid region, not '{claim.region}'. ", 403)
            call.principal, call.region = principal, claim.region
        call.params = call.load(request.body)
        call.account = service.subject(call)
        call.resource = service.resource(call)

    def permits(self, principal, action):
        """By what the world says of a role, or of the central user: `allow` (globs; absent: everything) less `deny`."""
        central = principal.account == self.world.central["account"] and not principal.role
        rules = self.world.central if central else self.world.roles.get(principal.role) or {}
        return (any(fnmatch.fnmatchcase(action, glob) for glob in rules.get("allow", ["*"]))
                and action not in rules.get("deny", ())) or action == "sts:GetCallerIdentity"

    def _authorise(self, call):
        action = call.service.action(call)
        if call.principal and not self.permits(call.principal, action):
            raise denied(f"User: {call.principal.arn} is not authorized to perform: {action} because no "
                         f"identity-based policy allows the {action} action")
