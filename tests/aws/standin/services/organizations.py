"""Organizations: accounts, units and tags of the world's `organization`."""
from ..errors import Refusal
from .base import Service
from .paging import Pager

PAGE = 20
UNIT = r"(r-[a-z0-9]{4,32}|ou-[a-z0-9]{4,32}-[a-z0-9]{8,32})"
TAGS = 2  # a page of ListTagsForResource, which has no MaxResults; the service's own is larger


class Organizations(Service):
    name = scope = iam = "organizations"
    target = "AWSOrganizationsV20161128"
    json_version = "1.1"

    def __init__(self, standin):
        super().__init__(standin)
        self.pager = Pager(standin.credentials.master)

    def regions(self):
        """A global service: signed for one region, wherever the caller is."""
        return {"us-east-1"}

    def perform(self, call):
        if self._organization() is None:
            raise Refusal("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.",
                          blame=False)
        if call.account not in (self._organization()["management"], *self._organization().get("delegated", ())):
            raise Refusal("AccessDeniedException", "You don't have permissions to access this resource.", blame=False)
        return super().perform(call)

    def _organization(self):
        return self.standin.world.document.get("organization")

    def list_accounts(self, call):
        return self._page(call, "Accounts", [self._account(row) for row in self._organization()["accounts"]])

    def list_accounts_for_parent(self, call):
        parent = self._parent(call)
        rows = [row for row in self._organization()["accounts"] if row["parent"] == parent]
        return self._page(call, "Accounts", [self._account(row) for row in rows])

    def list_units(self, call):
        parent = self._parent(call)
        rows = [row for row in self._organization()["units"] if row["parent"] == parent]
        return self._page(call, "OrganizationalUnits", [{"Id": row["id"], "Arn": self._arn("ou", row["id"]),
                                                         "Name": row["name"]} for row in rows])

    def list_tags(self, call):
        account = call.text("ResourceId", r"\d{12}", required=True)
        row = next((row for row in self._organization()["accounts"] if row["account"] == account), None)
        if row is None:
            raise Refusal("TargetNotFoundException", "You specified a target that doesn't exist.")
        tags = [{"Key": key, "Value": value} for key, value in row.get("tags", {}).items()]
        return self._page(call, "Tags", tags, TAGS)

    def _parent(self, call):
        parent = call.text("ParentId", UNIT, required=True)
        known = {self._organization()["root"], *(unit["id"] for unit in self._organization()["units"])}
        if parent not in known:
            raise Refusal("ParentNotFoundException", "You specified parent that doesn't exist.", blame=False)
        return parent

    def _arn(self, kind, name):
        organization = self._organization()
        return f"arn:aws:organizations::{organization['management']}:{kind}/{organization['id']}/{name}"

    def _account(self, row):
        shown = {"Id": row["account"], "Arn": self._arn("account", row["account"]), "Email": row["email"],
                 "Name": row["name"], "JoinedMethod": "CREATED", "JoinedTimestamp": 1700000000.123}
        for name in self._organization().get("status_members", ("State", "Status")):
            shown[name] = row.get(name.lower(), "ACTIVE")
        if self._organization().get("paths"):
            shown["Paths"] = [self._path(row)]
        return shown

    def _path(self, row):
        parents = {unit["id"]: unit["parent"] for unit in self._organization()["units"]}
        steps, at = [], row["parent"]
        while at:
            steps.append(at)
            at = parents.get(at)
        return "/".join([self._organization()["id"], *reversed(steps), row["account"]]) + "/"

    def _page(self, call, member, found, most=None):
        """A page; where the world says `hollow`, an empty one with a token before each, as AWS may give them."""
        asked = call.whole("MaxResults", PAGE, 1, PAGE)
        most = most or min(asked, self._organization().get("page", PAGE))
        position = self.pager.position(call) or {"at": 0, "hollow": bool(self._organization().get("hollow"))}
        call.token = position
        if position["hollow"]:
            return {member: [], "NextToken": self.pager.token(call, {"at": position["at"], "hollow": False})}
        end = position["at"] + most
        result = {member: found[position["at"]:end]}
        if end < len(found):
            following = {"at": end, "hollow": bool(self._organization().get("hollow"))}
            result["NextToken"] = self.pager.token(call, following)
        return result

    operations = {"ListAccounts": list_accounts, "ListAccountsForParent": list_accounts_for_parent,
                  "ListOrganizationalUnitsForParent": list_units, "ListTagsForResource": list_tags}
