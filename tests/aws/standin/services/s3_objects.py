"""S3's operations on one object, and what its headers say: checksums, encryption, metadata, conditions."""
import base64
import email.utils
import hashlib
import re

from .. import checksums
from ..buckets import Conditions, failed
from ..errors import Refusal
from ..wire import Reply

KEPT = ("content-type", "content-encoding", "content-language", "content-disposition", "cache-control", "expires",
        "x-amz-storage-class", "x-amz-tagging")
META = "x-amz-meta-"
META_LIMIT = 2048
SSE = "x-amz-server-side-encryption"
SSE_KINDS = ("AES256", "aws:kms", "aws:kms:dsse")
UNTOLD = ("x-amz-tagging", SSE + "-context")  # kept, and not in answers
RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def put_object(service, call):
    request = call.request
    if "x-amz-copy-source" in request.headers:
        raise Refusal("NotImplemented", "Copying is not served by this stand-in.", 501)
    check_md5(request)
    named = read_checksum(request)
    headers = read_headers(request.headers)
    stored = call.bucket.put(call.key, lambda: [request.body], read_conditions(service, call), headers=headers,
                             etag=body_etag(request.body, headers), checksums=named, modified=service.now())
    return Reply(200, {"ETag": stored.etag, "x-amz-object-size": str(stored.size), **encryption(headers),
                       **told_checksums(stored)})


def get_object(service, call):
    return _read(service, call, "gets", call.bucket.read)


def head_object(service, call):
    return _read(service, call, "heads", lambda _key, _start, _end: b"")


def delete_object(service, call):
    call.bucket.delete(call.key, read_conditions(service, call))
    return Reply(204)


def _read(service, call, counter, body):
    bucket, headers = call.bucket, call.request.headers
    with bucket.lock:
        bucket.counters[counter] += 1
        stored = bucket.objects.get(call.key)
        if stored is None:
            raise service.missing_key(call)
        if not _same(headers.get("if-match", stored.etag), stored):
            raise failed("If-Match")
        if "if-none-match" in headers and _same(headers["if-none-match"], stored):
            return Reply(304, {"ETag": stored.etag, "Last-Modified": http_date(stored.modified)})
        status, start, end = _span(headers.get("range"), stored.size)
        answer = {**_describe(stored), "Content-Length": str(end - start)}
        if status == 206:
            answer["Content-Range"] = f"bytes {start}-{end - 1}/{stored.size}"
        elif headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
            answer |= told_checksums(stored)
        return Reply(status, answer, body(call.key, start, end))


def _same(asked, stored):
    return asked == "*" or any(one.strip().strip('"') == stored.etag.strip('"') for one in asked.split(","))


def _span(text, size):
    """(status, start, end) of a Range header; one that is not understood is as if not there."""
    match = RANGE.fullmatch(text or "")
    if not match or not any(match.groups()):
        return 200, 0, size
    first, last = match.groups()
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last) + 1, size) if first and last else size
    if start >= end:
        raise Refusal("InvalidRange", "The requested range is not satisfiable", 416, blame=False,
                      details={"RangeRequested": text, "ActualObjectSize": size})
    return 206, start, end


def _describe(stored):
    told = {name: value for name, value in stored.headers.items() if name not in UNTOLD}
    return {"content-type": "binary/octet-stream", **told, **encryption(stored.headers), "ETag": stored.etag,
            "Last-Modified": http_date(stored.modified), "Accept-Ranges": "bytes"}


def http_date(seconds):
    return email.utils.formatdate(seconds, usegmt=True)


# What headers say

def read_conditions(service, call):
    """If-None-Match and If-Match of a write. A store that does not know them does not even look."""
    if service.ignore_conditions:
        return Conditions()
    headers = call.request.headers
    absent, etag = headers.get("if-none-match"), headers.get("if-match")
    if absent not in (None, "*") or absent and etag:
        raise Refusal("NotImplemented", "A header you provided implies functionality that is not implemented", 501)
    if etag:
        service.authorise(call, "s3:GetObject")
    return Conditions(absent == "*", etag)


def read_headers(headers):
    """What is kept of a write's headers."""
    kept = {name: value for name, value in headers.items()
            if name in KEPT or name.startswith(META) or name.startswith(SSE)}
    if sum(len(name) - len(META) + len(value) for name, value in kept.items() if name.startswith(META)) > META_LIMIT:
        raise Refusal("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size")
    if kept.get("content-encoding", "").startswith("aws-chunked"):
        raise Refusal("NotImplemented", "Chunked signatures are not served by this stand-in.", 501)
    _check_encryption(kept)
    return kept


def _check_encryption(headers):
    kind = headers.get(SSE)
    if kind not in (None, *SSE_KINDS):
        raise Refusal("InvalidArgument", "The encryption method specified is not supported")
    if SSE + "-aws-kms-key-id" in headers and not (kind or "").startswith("aws:kms"):
        raise Refusal("InvalidArgument", "Server Side Encryption with AWS KMS managed key requires HTTP header "
                      f"{SSE} : aws:kms")


def encryption(headers):
    """How an object is encrypted, as every answer about it tells."""
    told = {name: value for name, value in headers.items() if name.startswith(SSE) and name not in UNTOLD}
    return {SSE: "AES256", **told}


def body_etag(body, headers):
    """The MD5 of a body; under KMS something else of that look."""
    digest = hashlib.md5(body).digest()
    if headers.get(SSE, "AES256") != "AES256":
        digest = hashlib.md5(b"encrypted" + digest).digest()
    return f'"{digest.hex()}"'


def check_md5(request):
    given = request.headers.get("content-md5")
    if given is None:
        return
    digest = decoded(given)
    if digest is None or len(digest) != 16:
        raise Refusal("InvalidDigest", "The Content-MD5 you specified was invalid.")
    if digest != hashlib.md5(request.body).digest():
        raise Refusal("BadDigest", "The Content-MD5 you specified did not match what we received.")


def read_checksum(request):
    """{header: value} of a body's checksum, once it is found to be right; empty where none is given."""
    given = {name: value for name, value in request.headers.items()
             if name.startswith(checksums.HEADER) and name.removeprefix(checksums.HEADER) in checksums.ALGORITHMS}
    if len(given) > 1:
        raise Refusal("InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not "
                      "allowed.")
    for name, value in given.items():
        algorithm = name.removeprefix(checksums.HEADER)
        if len(decoded(value) or b"") != len(checksums.raw(algorithm, [])):
            raise Refusal("InvalidRequest", f"Value for {name} header is invalid.")
        if value != checksums.text(algorithm, [request.body]):
            raise Refusal("BadDigest", f"The {algorithm.upper()} you specified did not match the calculated checksum.")
    return given


def told_checksums(stored):
    if not stored.checksums:
        return {}
    composite = any("-" in value for value in stored.checksums.values())
    return {**stored.checksums, "x-amz-checksum-type": "COMPOSITE" if composite else "FULL_OBJECT"}


def decoded(text):
    """The bytes of strict base64, None if it is not."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


OPERATIONS = {"PutObject": put_object, "GetObject": get_object, "HeadObject": head_object,
              "DeleteObject": delete_object}
