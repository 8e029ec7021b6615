"""Where a machine or a container gets the keys of the central role: EC2 instance metadata, version 2, and the
credentials endpoint of ECS and EKS."""
import json

from ..errors import Refusal
from ..protocols import Text, iso
from ..wire import Reply
from .base import Call, Service

CREDENTIALS = "/latest/meta-data/iam/security-credentials/"
TTL, TOKEN = "x-aws-ec2-metadata-token-ttl-seconds", "x-aws-ec2-metadata-token"
LONGEST_TTL = 21600
SESSION = 3600


class _Keys(Service):
    def document(self, **more):
        """Keys of the central role, as both write them."""
        role = self.standin.world.central_role
        token, principal, announced = self.standin.issue_session(role, self.name, SESSION)
        keys = {"AccessKeyId": principal.key_id, "SecretAccessKey": principal.secret, "Token": token,
                "Expiration": iso(announced), **more}
        return Reply(200, {"Content-Type": "application/json"}, json.dumps(keys, indent=2).encode())

    @staticmethod
    def call(service, operation, request):
        return Call(service, operation, Text if service.name == "imds" else Json, lambda _body: {}, request)


class Json:
    """As ECS's agent refuses: code and message."""
    result = staticmethod(Text.result)

    @staticmethod
    def error(refusal, _request_id):
        body = json.dumps({"code": refusal.code, "message": refusal.message}).encode()
        return Reply(refusal.status, {"Content-Type": "application/json", **refusal.headers}, body)


class Metadata(_Keys):
    name = iam = "imds"

    def read(self, request):
        if not request.path.startswith("/latest/"):
            return None
        if request.path == "/latest/api/token":
            return self.call(self, "GetToken", request)
        known = request.method == "GET" and request.path.startswith(CREDENTIALS)
        return self.call(self, ("GetCredentials" if request.path != CREDENTIALS else "GetRole") if known else "-",
                         request)

    def get_token(self, call):
        headers = call.request.headers
        if call.request.method != "PUT" or "x-forwarded-for" in headers:
            raise Refusal("Forbidden", "Forbidden", 403)
        ttl = headers.get(TTL, "")
        if not ttl.isdigit() or not 1 <= int(ttl) <= LONGEST_TTL:
            raise Refusal("BadRequest", "Bad Request", 400)
        return Reply(200, {"Content-Type": "text/plain", TTL: ttl}, self.token().encode())

    def token(self):
        return self.standin.world.central_token("imds")

    def check(self, call):
        """Version 1 is off, and whoever asks for it is no correct client."""
        given = call.request.headers.get(TOKEN)
        if given != self.token():
            raise Refusal("Unauthorized", "Unauthorized", 401, blame=given is None)

    def role_name(self):
        return self.standin.world.central_role.rsplit("/", 1)[-1]

    def get_role(self, call):
        self.check(call)
        return Reply(200, {"Content-Type": "text/plain"}, self.role_name().encode())

    def get_credentials(self, call):
        self.check(call)
        if call.request.path != CREDENTIALS + self.role_name():
            raise Refusal("NotFound", "Not Found", 404)
        return self.document(Code="Success", Type="AWS-HMAC", LastUpdated=iso(self.standin.clock.wall()))

    operations = {"GetToken": get_token, "GetRole": get_role, "GetCredentials": get_credentials}


class Container(_Keys):
    name = iam = "container"

    def read(self, request):
        if request.path not in ("/v2/credentials/central", "/container-creds/central"):
            return None
        return self.call(self, "GetCredentials", request)

    def get_credentials(self, call):
        """ECS's path wants no token, the other one that of the world."""
        wanted = call.request.path.startswith("/container-creds/")
        given = call.request.headers.get("authorization")
        if wanted and given != self.standin.world.central_token("container"):
            raise Refusal("AccessDeniedException", "the authorization token is not valid", 401, blame=given is None)
        return self.document(RoleArn=self.standin.world.central_role)

    operations = {"GetCredentials": get_credentials}
