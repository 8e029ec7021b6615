"""The stand-in's own endpoints under /_standin/: what a test sets and asks."""
import json
from dataclasses import replace
from urllib.parse import parse_qsl

from .wire import Reply

PREFIX = "/_standin/"


def answer(standin, request):
    name = request.path[len(PREFIX):]
    function = ROUTES.get((request.method, name)) or _of_service(standin, request.method, name)
    if function is None:
        return as_json({"error": f"no {request.method} {request.path}"}, 404)
    try:
        return function(standin, request)
    except (ValueError, KeyError, TypeError) as error:
        return as_json({"error": f"{type(error).__name__}: {error}"}, 400)


def _of_service(standin, method, name):
    """The endpoint that one of the services brings along."""
    for service in standin.services:
        if (method, name) in service.controls:
            return lambda _standin, request: service.controls[method, name](service, request)
    return None


def as_json(value, status=200):
    return Reply(status, {"Content-Type": "application/json"}, json.dumps(value).encode() + b"\n")


def _health(_standin, _request):
    return as_json({"ok": True})


def _stats(standin, _request):
    return as_json({**standin.ledger.report(), "remote_write": standin.receiver.report()})


def _secrets(standin, _request):
    """Of the newest sessions: what a client must not show anywhere."""
    return as_json(list(standin.issued))


def _world(standin, _request):
    return as_json(standin.world.document)


def _now(standin, _request):
    return as_json({"now": standin.clock.data(), "fixed": standin.clock.fixed is not None})


def _set_now(standin, request):
    """{"now": EPOCH}, {"now": null} for the machine's clock, or {"advance": SECONDS}."""
    body = json.loads(request.body)
    if "advance" in body:
        standin.clock.fixed = standin.clock.data() + float(body["advance"])
    else:
        standin.clock.fixed = None if body["now"] is None else float(body["now"])
    return _now(standin, request)


def _set_skew(standin, request):
    """{"seconds": N}: how far the services' clock is ahead of the machine's."""
    standin.clock.skew = float(json.loads(request.body)["seconds"])
    return as_json({"seconds": standin.clock.skew})


def _set_ttl(standin, request):
    """{"seconds": N or null, "announced": bool}: how long new sessions live, and whether Expiration says so."""
    body = json.loads(request.body)
    standin.ttl = None if body["seconds"] is None else float(body["seconds"])
    standin.ttl_announced = bool(body.get("announced", True))
    return as_json({"seconds": standin.ttl, "announced": standin.ttl_announced})


def _set_role(standin, request):
    """{"arn": ARN, "external_id": TEXT or null, ...}: makes a role, or replaces it, as `roles` of a world has them."""
    role = json.loads(request.body)
    standin.world.roles[role["arn"]] = {"external_id": role["external_id"], **role}
    return as_json(role)


def _faults(standin, _request):
    return as_json(standin.faults.report())


def _set_faults(standin, request):
    """A list of rules; it replaces the one before, and all counters."""
    standin.faults.set(json.loads(request.body))
    return _faults(standin, request)


def _clear_faults(standin, request):
    standin.faults.set([])
    return _faults(standin, request)


def _dump(standin, request):
    """Every accepted sample: `?db=ws-1` of one workspace (or `prometheus`), `?name=` of one metric."""
    asked = dict(parse_qsl(request.query))
    lines = []
    for name, database in sorted(standin.receiver.databases.items()):
        if asked.get("db", name) == name:
            for row in database.dump(asked.get("name")):
                lines.append(json.dumps({"db": name, **row}, separators=(",", ":")) + "\n")
    return Reply(200, {"Content-Type": "application/x-ndjson"}, "".join(lines).encode())


def _rw_stats(standin, _request):
    return as_json(standin.receiver.report())


def _policy(standin, _request):
    return as_json(vars(standin.receiver.policy))


def _set_policy(standin, request):
    """Any members of Policy; the others stay."""
    standin.receiver.policy = replace(standin.receiver.policy, **json.loads(request.body))
    return _policy(standin, request)


def _rw_reset(standin, _request):
    standin.receiver.clear()
    return as_json({"ok": True})


def _reset(standin, _request):
    """Forget what was counted; samples, objects and queries stay."""
    standin.ledger.reset()
    for service in standin.services:
        service.forget()
    return as_json({"ok": True})


ROUTES = {
    ("GET", "health"): _health,
    ("GET", "stats"): _stats,
    ("GET", "secrets"): _secrets,
    ("GET", "world"): _world,
    ("GET", "now"): _now,
    ("PUT", "now"): _set_now,
    ("PUT", "skew"): _set_skew,
    ("PUT", "ttl"): _set_ttl,
    ("PUT", "role"): _set_role,
    ("POST", "reset"): _reset,
    ("GET", "faults"): _faults,
    ("PUT", "faults"): _set_faults,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "rw/dump"): _dump,
    ("GET", "rw/stats"): _rw_stats,
    ("GET", "rw/policy"): _policy,
    ("PUT", "rw/policy"): _set_policy,
    ("POST", "rw/reset"): _rw_reset,
}
