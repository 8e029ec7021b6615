"""OTLP requests, read only: ExportTraceServiceRequest in protobuf, by the specification's field numbers."""
import struct

from .prompb import fields

SIGNED = 1 << 63


def decode(data):
    """The spans of a request, each with its resource's attributes under `resource`."""
    try:
        return [span for number, wire, value in fields(data) for span in _resource_spans(_want(number, wire, value, 1))]
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise ValueError(f"otlp: {error}") from None


def _want(number, wire, value, *numbers):
    if number not in numbers or wire != 2:
        raise ValueError(f"otlp: field {number} of type {wire}")
    return value


def _resource_spans(data):
    resource, found = {}, []
    for number, wire, value in fields(data):
        _want(number, wire, value, 1, 2, 3)
        if number == 1:
            resource = _attributes(value, 1)
        elif number == 2:
            found += [_span(inner) for inside, _, inner in fields(value) if inside == 2]
    return [{**span, "resource": resource} for span in found]


def _attributes(data, field):
    pairs = [_pair(value) for number, _, value in fields(data) if number == field]
    if len(dict(pairs)) != len(pairs):
        raise ValueError("otlp: an attribute is given twice")
    return dict(pairs)


def _pair(data):
    name, result = "", None
    for number, _, value in fields(data):
        if number == 1:
            name = value.decode()
        else:
            result = _value(value)
    return name, result


def _value(data):
    for number, _, value in fields(data):
        if number == 1:
            return value.decode()
        if number == 2:
            return bool(value)
        if number == 3:
            return value - 2 * SIGNED if value >= SIGNED else value
        if number == 4:
            return struct.unpack("<d", value.to_bytes(8, "little"))[0]
        if number == 5:
            return [_value(item) for inside, _, item in fields(value) if inside == 1]
    raise ValueError("otlp: a value of no type")


def _span(data):
    span = {"parent": "", "kind": 0, "status": 0, "message": "", "events": [], "links": []}
    for number, wire, value in fields(data):
        if number in (1, 2, 4):
            span[{1: "trace", 2: "id", 4: "parent"}[number]] = value.hex()
        elif number == 5:
            span["name"] = value.decode()
        elif number == 6:
            span["kind"] = value
        elif number in (7, 8):
            if wire != 1:
                raise ValueError("otlp: a time that is not fixed64")
            span["start" if number == 7 else "end"] = value
        elif number == 11:
            span["events"].append(_attributes(value, 3))
        elif number == 13:
            span["links"].append(next(inner.hex() for inside, _, inner in fields(value) if inside == 2))
        elif number == 15:
            for inside, _, inner in fields(value):
                span["message" if inside == 2 else "status"] = inner.decode() if inside == 2 else inner
    span["attributes"] = _attributes(data, 9)
    check(span)
    return span


def check(span):
    """What every receiver demands, and no correct client gets wrong."""
    for name, size in (("trace", 32), ("id", 16)):
        if len(span.get(name, "")) != size or not span[name].strip("0"):
            raise ValueError(f"otlp: {name} is {span.get(name)!r}")
    if len(span["parent"]) not in (0, 16) or not span.get("name") or span["end"] < span["start"] or span["kind"] > 5:
        raise ValueError(f"otlp: {span}")
