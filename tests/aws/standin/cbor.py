"""CBOR (RFC 8949), as much of it as AWS's RPC protocol has: read strictly, written in the ways that clients must take.

Maps have text keys. Tag 1 (seconds since the epoch) is an Instant; no other tag is known.
"""
import struct

HALF, FLOAT, DOUBLE = 25, 26, 27
CONSTANTS = {20: False, 21: True, 22: None, 23: None}
FLOATS = {HALF: ">e", FLOAT: ">f", DOUBLE: ">d"}
DEEPEST = 64


class Instant(float):
    """A number that stood under tag 1, or is to."""


def loads(data):
    """The one item that the bytes are; ValueError for anything else."""
    reader = Reader(data)
    value = reader.item()
    if reader.at != len(data):
        raise ValueError("bytes behind the item")
    return value


class Reader:
    def __init__(self, data):
        self.data, self.at, self.depth = data, 0, 0

    def take(self, n):
        piece = self.data[self.at:self.at + n]
        if len(piece) != n:
            raise ValueError("cut off")
        self.at += n
        return piece

    def head(self):
        """(major type, argument or None for an open length, additional information)"""
        first = self.take(1)[0]
        major, info = first >> 5, first & 31
        if info < 24:
            return major, info, info
        if info == 31:
            return major, None, info
        if info > DOUBLE:
            raise ValueError("a reserved head")
        return major, int.from_bytes(self.take(1 << (info - 24)), "big"), info

    def item(self):
        self.depth += 1
        if self.depth > DEEPEST:
            raise ValueError("too deep")
        major, argument, info = self.head()
        value = self.READERS[major](self, argument, info)
        self.depth -= 1
        return value

    def positive(self, argument, _info):
        return self.counted(argument)

    def negative(self, argument, _info):
        return -1 - self.counted(argument)

    @staticmethod
    def counted(argument):
        if argument is None:
            raise ValueError("an open length where there is none")
        return argument

    def blob(self, argument, _info):
        if argument is not None:
            return self.take(argument)
        return b"".join(self.pieces(2))

    def text(self, argument, _info):
        whole = self.take(argument) if argument is not None else b"".join(self.pieces(3))
        return whole.decode("utf-8")

    def pieces(self, kind):
        while not self.ended():
            major, argument, _ = self.head()
            if major != kind:
                raise ValueError("a piece of another kind")
            yield self.take(self.counted(argument))

    def ended(self):
        if self.data[self.at:self.at + 1] == b"\xff":
            self.at += 1
            return True
        return False

    def count(self, argument):
        """Once for each item of a list or map."""
        if argument is None:
            while not self.ended():
                yield
        else:
            for _ in range(argument):
                yield

    def list(self, argument, _info):
        return [self.item() for _ in self.count(argument)]

    def map(self, argument, _info):
        found = {}
        for _ in self.count(argument):
            key = self.item()
            if not isinstance(key, str) or key in found:
                raise ValueError("a key that is no text, or is there twice")
            found[key] = self.item()
        return found

    def tag(self, argument, _info):
        value = self.item()
        if argument != 1 or isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError("an unknown tag")
        return Instant(value)

    def other(self, argument, info):
        if info in FLOATS:
            return struct.unpack(FLOATS[info], argument.to_bytes(1 << (info - 24), "big"))[0]
        if info not in CONSTANTS:
            raise ValueError("an unknown simple value")
        return CONSTANTS[info]

    READERS = (positive, negative, blob, text, list, map, tag, other)


def dumps(value, compact=False):
    """As the service writes: lists and maps of open length, numbers as doubles. Compact: lengths announced, every number
    in as few bytes as hold it."""
    out = bytearray()
    _write(out, value, compact)
    return bytes(out)


def _head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    size = next(size for size in (1, 2, 4, 8) if n < 1 << 8 * size)
    return bytes([major << 5 | 23 + size.bit_length()]) + n.to_bytes(size, "big")


def _write(out, value, compact):
    if isinstance(value, str):
        text = value.encode()
        out += _head(3, len(text)) + text
    elif isinstance(value, (list, dict)):
        _write_all(out, value, compact)
    elif isinstance(value, Instant):
        out += b"\xc1"
        _write_number(out, float(value), compact)
    elif value is None or isinstance(value, bool):
        out += {None: b"\xf6", True: b"\xf5", False: b"\xf4"}[value]
    else:
        _write_number(out, value, compact)


def _write_all(out, value, compact):
    major = 5 if isinstance(value, dict) else 4
    out += _head(major, len(value)) if compact else bytes([major << 5 | 31])
    for item in value:
        _write(out, item, compact)
        if major == 5:
            _write(out, value[item], compact)
    if not compact:
        out += b"\xff"


def _write_number(out, value, compact):
    if isinstance(value, int) or compact and value and abs(value) < 1 << 53 and value.is_integer():
        out += _head(0, int(value)) if value >= 0 else _head(1, -1 - int(value))
    elif compact and _fits_float(value):
        out += b"\xfa" + struct.pack(">f", value)
    else:
        out += b"\xfb" + struct.pack(">d", value)


def _fits_float(value):
    try:
        return struct.unpack(">f", struct.pack(">f", value))[0] == value
    except OverflowError:
        return False
