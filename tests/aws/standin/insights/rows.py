"""A log event as a row: its system fields, what its JSON holds, and what the query has defined. All by need."""
import json

from .values import Stamp

DISCOVERED = 200  # fields found in one event's JSON; the rest need `parse`
SYSTEM = {
    "@timestamp": lambda event: Stamp(event.ms),
    "@ingestionTime": lambda event: Stamp(event.ingested),
    "@message": lambda event: event.message,
    "@logStream": lambda event: event.stream,
    "@log": lambda event: f"{event.group.account}:{event.group.name}",
    "@ptr": lambda event: event.pointer,
}


class EventRow:
    __slots__ = ("event", "defined", "known")

    def __init__(self, event, defined):
        self.event = event
        self.defined = defined  # name -> function of a row; shared by all rows of a query, and growing
        self.known = {}         # what has been computed of this row

    def get(self, name):
        if name in self.known:
            return self.known[name]
        function = self.defined.get(name)
        if function is None:
            value = self._own(name)
        else:
            self.known[name] = self._own(name)  # what the name means inside its own definition
            value = function(self)
        self.known[name] = value
        return value

    def _own(self, name):
        system = SYSTEM.get(name)
        return system(self.event) if system else self._discovered().get(name)

    def _discovered(self):
        found = self.known.get(None)
        if found is None:
            found = self.known[None] = discover(self.get("@message"))
        return found


def discover(message):
    """The fields of a JSON message: members of members by dotted names, of lists by their index."""
    found = {}
    if message.startswith("{"):
        try:
            _flatten("", json.loads(message), found)
        except ValueError:
            pass
    return found


def _flatten(prefix, value, found):
    if isinstance(value, (dict, list)):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            _flatten(f"{prefix}.{name}" if prefix else str(name), inner, found)
    elif value is not None and len(found) < DISCOVERED:
        found[prefix] = value
