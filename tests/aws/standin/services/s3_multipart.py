"""S3's multipart uploads."""
import hashlib

from .. import checksums, s3xml
from ..buckets import Part
from ..errors import Refusal
from ..protocols import iso
from ..wire import Reply
from .s3_objects import (body_etag, check_md5, encryption, read_checksum, read_conditions, read_headers, told_checksums)

SMALLEST = 5 * 1024 * 1024
PARTS = 10000
LISTED = 1000
ALGORITHM = "x-amz-checksum-algorithm"
TYPE = "x-amz-checksum-type"
FULL = ("crc32", "crc32c")  # the algorithms that can also tell of the whole object


def create(service, call):
    headers = call.request.headers
    algorithm = headers.get(ALGORITHM, "").lower() or None
    kind = headers.get(TYPE, "COMPOSITE")
    if algorithm not in (None, *checksums.ALGORITHMS):
        raise Refusal("InvalidRequest", f"Checksum algorithm provided is unsupported: {algorithm}")
    if kind not in ("COMPOSITE", "FULL_OBJECT") or kind == "FULL_OBJECT" and algorithm not in FULL:
        raise Refusal("InvalidRequest", f"The {kind} checksum type cannot be used with the {algorithm} algorithm.")
    upload = call.bucket.begin(call.key, headers=read_headers(headers), algorithm=algorithm,
                               composite=kind == "COMPOSITE", initiated=service.now())
    told = {ALGORITHM: algorithm.upper(), TYPE: kind} if algorithm else {}
    return _xml("InitiateMultipartUploadResult", {"Bucket": call.bucket.name, "Key": call.key, "UploadId": upload.id},
                {**encryption(upload.headers), **told})


def upload_part(service, call):
    upload, request = _upload(call), call.request
    number = _part_number(call)
    check_md5(request)
    named = read_checksum(request)
    header = f"{checksums.HEADER}{upload.algorithm}"
    if upload.algorithm and header not in named:
        raise Refusal("InvalidRequest", f"Checksum Type mismatch occurred, expected checksum Type: {upload.algorithm}, "
                      f"actual checksum Type: {next(iter(named), 'null')}")
    part = Part(len(request.body), body_etag(request.body, upload.headers), named.get(header), service.now())
    call.bucket.put_part(upload, number, request.body, part)
    return Reply(200, {"ETag": part.etag, **encryption(upload.headers), **named})


def complete(service, call):
    upload = _upload(call)
    conditions = read_conditions(service, call)
    with call.bucket.lock:
        numbers = _chosen_parts(upload, s3xml.read_parts(call.request.body))
        named = _checksums(call, upload, numbers)
        _check_size(call, upload, numbers)
        stored = call.bucket.complete(upload, numbers, conditions, headers=upload.headers, checksums=named,
                                      etag=_etag(upload, numbers), modified=service.now())
    rows = {"Location": f"http://{call.request.headers['host']}/{call.bucket.name}/{call.key}",
            "Bucket": call.bucket.name, "Key": call.key, "ETag": stored.etag}
    told = told_checksums(stored)
    rows |= {_member(name): value for name, value in told.items()}
    return _xml("CompleteMultipartUploadResult", rows, encryption(upload.headers))


def abort(_service, call):
    call.bucket.abort(_upload(call))
    return Reply(204)


def list_parts(_service, call):
    upload = _upload(call)
    most = min(call.whole("max-parts", LISTED), LISTED)
    after = call.whole("part-number-marker", 0)
    numbers = sorted(number for number in upload.parts if number > after)
    page = numbers[:most]
    return _xml("ListPartsResult", {
        "Bucket": call.bucket.name, "Key": call.key, "UploadId": upload.id, "PartNumberMarker": after,
        "NextPartNumberMarker": page[-1] if page else 0, "MaxParts": most, "IsTruncated": len(numbers) > most,
        "ChecksumAlgorithm": upload.algorithm and upload.algorithm.upper(),
        "Part": [_part_row(upload, number) for number in page]})


def list_uploads(_service, call):
    """Open uploads by key, then by age."""
    prefix, encoding = call.params.get("prefix", ""), call.params.get("encoding-type")
    if call.params.get("delimiter"):
        raise Refusal("NotImplemented", "Uploads are not grouped by this stand-in.", 501)
    most = min(call.whole("max-uploads", LISTED), LISTED)
    found = sorted(call.bucket.uploads.values(), key=lambda one: (one.key, one.initiated, one.id))
    left = _behind(call, [one for one in found if one.key.startswith(prefix)])
    page, more = left[:most], len(left) > most
    return _xml("ListMultipartUploadsResult", {
        "Bucket": call.bucket.name, "Prefix": s3xml.encoded(prefix, encoding), "MaxUploads": most, "IsTruncated": more,
        "NextKeyMarker": s3xml.encoded(page[-1].key, encoding) if more else None,
        "NextUploadIdMarker": page[-1].id if more else None, "EncodingType": encoding,
        "Upload": [{"Key": s3xml.encoded(one.key, encoding), "UploadId": one.id, "Initiated": iso(one.initiated)}
                   for one in page]})


def _behind(call, uploads):
    """The uploads behind the markers of a ListMultipartUploads."""
    key, identity = call.params.get("key-marker", ""), call.params.get("upload-id-marker")
    marked = next((at for at, one in enumerate(uploads) if one.key == key and one.id == identity), None)
    if marked is not None:
        return uploads[marked + 1:]
    return [one for one in uploads if one.key > key]


def _upload(call):
    return call.bucket.upload(call.key, call.params.get("uploadId"))


def _part_number(call):
    number = call.whole("partNumber", 0)
    if not 1 <= number <= PARTS:
        raise Refusal("InvalidArgument", f"Part number must be an integer between 1 and {PARTS}, inclusive")
    return number


def _chosen_parts(upload, rows):
    """The numbers a Complete names, if they are in order and are what was uploaded."""
    numbers = [int(row["PartNumber"]) if row.get("PartNumber", "").isdigit() else 0 for row in rows]
    if any(one >= other for one, other in zip(numbers, numbers[1:])):
        raise Refusal("InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part "
                      "number.")
    for number, row in zip(numbers, rows):
        part = upload.parts.get(number)
        if not part or row.get("ETag", "").strip('"') != part.etag.strip('"') or not _checksum_fits(upload, part, row):
            raise Refusal("InvalidPart", "One or more of the specified parts could not be found. The part may not have "
                          "been uploaded, or the specified entity tag may not match the part's entity tag.",
                          details={"UploadId": upload.id, "PartNumber": number})
    _check_part_sizes(upload, numbers)
    return numbers


def _checksum_fits(upload, part, row):
    given = row.get(f"Checksum{(upload.algorithm or '').upper()}")
    if upload.algorithm and upload.composite and given is None:
        raise Refusal("InvalidRequest", f"The upload was created using a {upload.algorithm} checksum. The complete "
                      "request must include the checksum for each part.")
    return given in (None, part.checksum)


def _check_part_sizes(upload, numbers):
    if upload.algorithm and numbers != list(range(1, len(numbers) + 1)):
        raise Refusal("InvalidPartOrder", "With checksums the part numbers must be consecutive and begin with 1.")
    for number in numbers[:-1]:
        if upload.parts[number].size < SMALLEST:
            raise Refusal("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size",
                          details={"ProposedSize": upload.parts[number].size, "MinSizeAllowed": SMALLEST,
                                   "PartNumber": number})


def _checksums(call, upload, numbers):
    """{header: value} of the whole object, compared with what the client says it is."""
    if not upload.algorithm:
        return {}
    name = f"{checksums.HEADER}{upload.algorithm}"
    if upload.composite:
        value = checksums.composite(upload.algorithm, [upload.parts[number].checksum for number in numbers])
    else:
        value = checksums.text(upload.algorithm, call.bucket.part_bodies(upload, numbers))
    if call.request.headers.get(name, value) not in (value, value.partition("-")[0]):
        raise Refusal("BadDigest", f"The {upload.algorithm} you specified did not match the calculated checksum.")
    return {name: value}


def _check_size(call, upload, numbers):
    size = sum(upload.parts[number].size for number in numbers)
    if call.request.headers.get("x-amz-mp-object-size", str(size)) != str(size):
        raise Refusal("InvalidRequest", "The provided 'x-amz-mp-object-size' header value does not match what was "
                      "computed")


def _etag(upload, numbers):
    digests = b"".join(bytes.fromhex(upload.parts[number].etag.strip('"')) for number in numbers)
    return f'"{hashlib.md5(digests).hexdigest()}-{len(numbers)}"'


def _part_row(upload, number):
    part = upload.parts[number]
    row = {"PartNumber": number, "LastModified": iso(part.modified), "ETag": part.etag, "Size": part.size}
    return {**row, _member(upload.algorithm): part.checksum} if part.checksum else row


def _member(name):
    """ChecksumSHA256 of x-amz-checksum-sha256, ChecksumType of x-amz-checksum-type."""
    short = name.removeprefix(checksums.HEADER)
    return "ChecksumType" if short == "type" else f"Checksum{short.upper()}"


def _xml(name, value, headers=None):
    return Reply(200, {"Content-Type": "application/xml", **(headers or {})}, s3xml.document(name, value))


OPERATIONS = {
    "CreateMultipartUpload": create,
    "UploadPart": upload_part,
    "CompleteMultipartUpload": complete,
    "AbortMultipartUpload": abort,
    "ListParts": list_parts,
    "ListMultipartUploads": list_uploads,
}
