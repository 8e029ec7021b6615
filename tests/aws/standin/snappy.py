"""The snappy block format, decompression only."""


def uncompressed_length(data):
    """(length, position after it), from the preamble."""
    length = shift = 0
    for position in range(min(len(data), 5)):
        byte = data[position]
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return length, position + 1
        shift += 7
    raise ValueError("snappy: bad preamble")


def decompress(data):
    """The plain bytes; ValueError if the block is damaged."""
    length, position = uncompressed_length(data)
    out, end = bytearray(), len(data)
    while position < end:
        tag = data[position]
        if tag & 3 == 0:
            position = _literal(data, position, out)
        else:
            position = _copy(data, position, tag, out)
    if len(out) != length or position != end:
        raise ValueError("snappy: length differs from the preamble")
    return bytes(out)


def _literal(data, position, out):
    size = data[position] >> 2
    position += 1
    if size >= 60:
        wide = size - 59
        size = int.from_bytes(data[position:position + wide], "little")
        position += wide
    size += 1
    chunk = data[position:position + size]
    if len(chunk) != size:
        raise ValueError("snappy: literal beyond the end")
    out += chunk
    return position + size


def _copy(data, position, tag, out):
    if tag & 3 == 1:
        size, wide, high = 4 + (tag >> 2 & 7), 1, (tag >> 5) << 8
    else:
        size, wide, high = 1 + (tag >> 2), 2 if tag & 3 == 2 else 4, 0
    offset = high | int.from_bytes(data[position + 1:position + 1 + wide], "little")
    if not 0 < offset <= len(out):
        raise ValueError("snappy: copy from before the beginning")
    start = len(out) - offset
    if offset >= size:
        out += out[start:start + size]
    else:  # overlapping: the pattern repeats
        pattern = out[start:]
        out += (pattern * (size // offset + 1))[:size]
    return position + 1 + wide
