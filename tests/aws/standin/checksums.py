"""S3's checksums: of whole bodies, and the composite kind that multipart uploads have."""
import base64
import hashlib
import zlib

HEADER = "x-amz-checksum-"


def _crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC32C = _crc32c_table()


class _Crc:
    """A CRC with the face of a hashlib object."""

    def __init__(self, step):
        self.step = step
        self.value = 0

    def update(self, data):
        self.value = self.step(data, self.value)

    def digest(self):
        return self.value.to_bytes(4, "big")


def crc32c(data, value=0):
    value ^= 0xFFFFFFFF
    for byte in data:
        value = CRC32C[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


ALGORITHMS = {
    "crc32": lambda: _Crc(zlib.crc32),
    "crc32c": lambda: _Crc(crc32c),
    "sha1": hashlib.sha1,
    "sha256": hashlib.sha256,
}


def raw(algorithm, chunks):
    state = ALGORITHMS[algorithm]()
    for chunk in chunks:
        state.update(chunk)
    return state.digest()


def text(algorithm, chunks):
    """A checksum as its header has it."""
    return base64.b64encode(raw(algorithm, chunks)).decode()


def composite(algorithm, parts):
    """The checksum of the parts' checksums, which are given as their headers had them."""
    return f"{text(algorithm, [base64.b64decode(part) for part in parts])}-{len(parts)}"
