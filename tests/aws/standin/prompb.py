"""Prometheus remote write 1.0 messages, read only.

Values stay 64-bit patterns, for a staleness marker is a NaN that arithmetic would not keep apart from others.
"""
import functools
import struct

FIXED64 = struct.Struct("<Q")


def read_varint(data, position):
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("proto: varint too long")


def fields(data):
    """(field number, wire type, value) of each field; value is bytes for wire type 2."""
    position, end = 0, len(data)
    while position < end:
        key, position = read_varint(data, position)
        wire = key & 7
        if wire == 0:
            value, position = read_varint(data, position)
        elif wire == 1:
            value, position = FIXED64.unpack_from(data, position)[0], position + 8
        elif wire == 2:
            size, position = read_varint(data, position)
            value, position = data[position:position + size], position + size
        elif wire == 5:
            value, position = data[position:position + 4], position + 4
        else:
            raise ValueError(f"proto: wire type {wire}")
        if position > end:
            raise ValueError("proto: field beyond the end")
        yield key >> 3, wire, value


def decode(data):
    """[(labels, [(ms, value bits)])] of a WriteRequest; labels are (name, value) pairs as sent."""
    try:
        return [_series(value) for number, wire, value in fields(data) if (number, wire) == (1, 2)]
    except (IndexError, struct.error) as error:
        raise ValueError(f"proto: {error}") from None


def _series(data):
    labels, samples = [], []
    for number, wire, value in fields(data):
        if (number, wire) == (1, 2):
            labels.append(_label(value))
        elif (number, wire) == (2, 2):
            samples.append(_sample(value))
    return tuple(labels), samples


@functools.lru_cache(maxsize=65536)
def _label(data):
    name = value = b""
    for number, wire, inner in fields(data):
        if (number, wire) == (1, 2):
            name = inner
        elif (number, wire) == (2, 2):
            value = inner
    return name.decode("utf-8"), value.decode("utf-8")


def _sample(data):
    if len(data) > 10 and data[0] == 0x09 and data[9] == 0x10:  # the usual order, read at once
        bits, (milliseconds, _) = FIXED64.unpack_from(data, 1)[0], read_varint(data, 10)
    else:
        found = {(number, wire): value for number, wire, value in fields(data)}
        bits, milliseconds = found.get((1, 1), 0), found.get((2, 0), 0)
    return (milliseconds - (1 << 64) if milliseconds >> 63 else milliseconds), bits
