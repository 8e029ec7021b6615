"""STS: AssumeRole with external ids, AssumeRoleWithWebIdentity, GetCallerIdentity."""
from ..errors import Refusal, denied, invalid
from ..protocols import Query, iso
from .base import Service

ROLE_ARN = r"arn:aws[a-z-]*:iam::\d{12}:role/[!-~]{1,512}"
SESSION_NAME = r"[\w+=,.@-]{2,64}"
EXTERNAL_ID = r"[\w+=,.@:\/-]{2,1224}"
CHAINED = 3600


class Sts(Service):
    name = iam = scope = "sts"
    unsigned = ("AssumeRoleWithWebIdentity",)
    version = "2011-06-15"
    namespace = "https://sts.amazonaws.com/doc/2011-06-15/"

    def subject(self, call):
        """A fault rule that names an account means the account whose role is assumed."""
        arn = call.params.get("RoleArn", "")
        return arn.split(":")[4] if arn.count(":") >= 5 else super().subject(call)

    def assume_role(self, call):
        arn = call.text("RoleArn", ROLE_ARN, required=True)
        name = call.text("RoleSessionName", SESSION_NAME, required=True)
        external_id = call.text("ExternalId", EXTERNAL_ID)
        source = call.text("SourceIdentity", SESSION_NAME)
        needed = ["sts:AssumeRole", *(["sts:SetSourceIdentity"] if source else [])]
        role = self._trusted(call, arn, external_id, needed)
        seconds = self._duration(call, role)
        issued = self.standin.issue_session(arn, name, seconds)
        return self._answer(issued, source, call.protocol)

    def web_identity(self, call):
        """The central role, against the world's own token."""
        arn = call.text("RoleArn", ROLE_ARN, required=True)
        name = call.text("RoleSessionName", SESSION_NAME, required=True)
        token = call.text("WebIdentityToken", r".{4,20000}", required=True)
        if token != self.standin.world.central_token("web"):
            raise Refusal("InvalidIdentityToken", "No OpenIDConnect provider found in your account", 400, blame=False)
        if arn != self.standin.world.central_role:
            raise denied("Not authorized to perform sts:AssumeRoleWithWebIdentity")
        issued = self.standin.issue_session(arn, name, self._duration(call, {}))
        return {**self._answer(issued, None, call.protocol), "Provider": "https://standin.example", "Audience": "sts"}

    def _trusted(self, call, arn, external_id, needed):
        """The role, if its trust policy lets this caller in. All reasons are told alike, as STS tells them."""
        role = self.standin.world.roles.get(arn)
        lacks = next((action for action in needed if role is None or action in role.get("deny", ())), None)
        if lacks is None and role["external_id"] not in (None, external_id):
            lacks = "sts:AssumeRole"
        if lacks:
            self.standin.ledger.count("assume_role_denied")
            raise denied(f"User: {call.principal.arn} is not authorized to perform: {lacks} on resource: {arn}")
        return role

    def _duration(self, call, role):
        seconds = call.whole("DurationSeconds", 3600)
        longest = role.get("max_session", 3600)
        if not 900 <= seconds <= 43200:
            word = "greater than or equal to 900" if seconds < 900 else "less than or equal to 43200"
            raise invalid(f"1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy "
                          f"constraint: Member must have value {word}")
        if call.principal and call.principal.role and seconds > CHAINED:
            raise invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by "
                          "role chaining.")
        if seconds > longest:
            raise invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
        return seconds

    def _answer(self, issued, source, protocol):
        token, principal, announced = issued
        expires = iso(announced) if isinstance(protocol, Query) else announced
        return {
            "AssumedRoleUser": {"AssumedRoleId": principal.user_id, "Arn": principal.arn},
            "Credentials": {"AccessKeyId": principal.key_id, "SecretAccessKey": principal.secret,
                            "SessionToken": token, "Expiration": expires},
            "PackedPolicySize": None,
            "SourceIdentity": source,
        }

    def elsewhere(self, call):
        """The answer of a service gone wrong: a session in another account, that works."""
        asked = call.account
        others = (tenant["account"] for tenant in self.standin.world.tenants if tenant["account"] != asked)
        arn = call.params["RoleArn"].replace(asked, next(others, "999999999999"))
        issued = self.standin.issue_session(arn, call.params["RoleSessionName"], 3600)
        return self._answer(issued, call.params.get("SourceIdentity"), call.protocol)

    def caller_identity(self, call):
        who = call.principal
        return {"Arn": who.arn, "UserId": who.user_id, "Account": who.account}

    operations = {"AssumeRole": assume_role, "AssumeRoleWithWebIdentity": web_identity,
                  "GetCallerIdentity": caller_identity}
