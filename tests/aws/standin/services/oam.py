"""Observability Access Manager: the central account's sinks, and what is linked to them."""
from ..errors import Refusal
from ..protocols import RestObject, read_json
from .base import Call, Service
from .paging import Pager

PATHS = {"/ListSinks": "ListSinks", "/ListAttachedLinks": "ListAttachedLinks"}
SINKS, LINKS = 100, 1000


class Oam(Service):
    name = scope = iam = "oam"

    def __init__(self, standin):
        super().__init__(standin)
        self.pager = Pager(standin.credentials.master)

    def read(self, request):
        if request.method != "POST" or request.path not in PATHS:
            return None
        return Call(self, PATHS[request.path], RestObject, read_json, request)

    def perform(self, call):
        if call.request.headers.get("content-type") != "application/json":
            raise Refusal("SerializationException", "The body is not application/json.")
        return super().perform(call)

    def list_sinks(self, call):
        there = call.account == self.standin.world.central["account"] and self._links(call)
        return self._page(call, [{"Arn": self._sink(call), "Id": "sink-1", "Name": "central"}] if there else [], SINKS)

    def list_links(self, call):
        if call.text("SinkIdentifier", required=True) != self._sink(call):
            raise Refusal("ResourceNotFoundException", "The sink does not exist.", 404)
        return self._page(call, [{
            "Label": link["label"], "ResourceTypes": link["types"],
            "LinkArn": f"arn:aws:oam:{call.region}:{link['account']}:link/l-{number}",
        } for number, link in enumerate(self._links(call))], LINKS)

    def _links(self, call):
        return [link for link in self.standin.world.document.get("links", []) if link["region"] == call.region]

    def _sink(self, call):
        return f"arn:aws:oam:{call.region}:{self.standin.world.central['account']}:sink/s-1"

    def _page(self, call, found, limit):
        position = self.pager.position(call) or {"at": 0}
        call.token = position
        most = min(call.whole("MaxResults", 5, 1, limit), self.standin.world.document.get("links_page", limit))
        end = position["at"] + most
        following = {"NextToken": self.pager.token(call, {"at": end})} if end < len(found) else {}
        return {"Items": found[position["at"]:end], **following}

    operations = {"ListSinks": list_sinks, "ListAttachedLinks": list_links}
