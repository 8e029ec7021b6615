"""Signature Version 4, from the service's side: is this request signed as it claims to be?

Written from the published algorithm and independent of any client library; the tests compare it with botocore's.
"""
import calendar
import functools
import hashlib
import hmac
import re
import time
from dataclasses import dataclass
from urllib.parse import quote, unquote

from .errors import Refusal

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
MISMATCH = ("The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details.")
AUTHORIZATION = re.compile(
    rf"{ALGORITHM} +Credential=([^/, ]+)/(\d{{8}})/([^/, ]+)/([^/, ]+)/aws4_request, *"
    r"SignedHeaders=([^, ]+), *Signature=([0-9a-f]{64})")


@dataclass(frozen=True)
class Rules:
    """In what services differ."""
    s3: bool = False       # the path as sent, the hash of the body declared in a header, codes of its own
    tolerance: int = 300   # seconds between the signature's date and the service's clock


USUAL = Rules()
S3 = Rules(s3=True, tolerance=900)


@dataclass(frozen=True)
class Claim:
    """What an Authorization header says."""
    key_id: str
    day: str
    region: str
    service: str
    signed: tuple
    signature: str
    stamp: str

    @property
    def scope(self):
        return f"{self.day}/{self.region}/{self.service}/aws4_request"


def read_claim(headers):
    """The Claim of a request, or a refusal where there is none or it is malformed."""
    text = headers.get("authorization")
    if not text:
        raise Refusal("MissingAuthenticationToken", "Missing Authentication Token", 403)
    match = AUTHORIZATION.fullmatch(text)
    stamp = headers.get("x-amz-date", "")
    if not match or not re.fullmatch(r"\d{8}T\d{6}Z", stamp):
        raise Refusal("IncompleteSignature", "Authorization header requires 'Credential', 'SignedHeaders' and "
                      "'Signature' parameters and an 'X-Amz-Date' header.", 400)
    key_id, day, region, service, signed, signature = match.groups()
    return Claim(key_id, day, region, service, tuple(signed.split(";")), signature, stamp)


def canonical_path(path, s3=False):
    """The path as it is signed: S3's as sent, all others without dots and encoded once more."""
    if s3:
        return path or "/"
    kept = []
    for part in path.split("/"):
        if part == "..":
            kept = kept[:-1]
        elif part not in ("", "."):
            kept.append(part)
    tail = "/" if kept and path.endswith("/") else ""
    return quote("/" + "/".join(kept) + tail, safe="/~")


def canonical_query(query):
    pairs = (part.partition("=") for part in query.split("&") if part)
    encoded = sorted((quote(unquote(name), safe="-_.~"), quote(unquote(value), safe="-_.~"))
                     for name, _, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def canonical_request(request, signed, payload_hash, s3=False):
    lines = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in signed)
    return "\n".join((request.method, canonical_path(request.path, s3), canonical_query(request.query), lines,
                      ";".join(signed), payload_hash))


@functools.lru_cache(maxsize=4096)
def signing_key(secret, day, region, service):
    key = ("AWS4" + secret).encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def signature(secret, claim, canonical):
    text = "\n".join((ALGORITHM, claim.stamp, claim.scope, hashlib.sha256(canonical.encode("latin-1")).hexdigest()))
    return hmac.digest(signing_key(secret, claim.day, claim.region, claim.service), text.encode(), "sha256").hex()


def check(request, claim, secret, scope, now, rules=USUAL):
    """Refuse what is not signed with this secret, for this service, at about this time."""
    _check_signed_headers(request, claim, rules)
    if claim.service != scope:
        raise _mismatch(f"Credential should be scoped to correct service: '{scope}'. ")
    if claim.stamp[:8] != claim.day:
        raise _mismatch("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
                        f"'{claim.day}' != '{claim.stamp[:8]}', from '{claim.stamp}'.")
    payload_hash = _declared_hash(request) if rules.s3 else _own_hash(request)
    canonical = canonical_request(request, claim.signed, payload_hash, rules.s3)
    if not hmac.compare_digest(signature(secret, claim, canonical), claim.signature):
        raise _mismatch(MISMATCH)
    _check_date(claim, now, rules)


def _own_hash(request):
    payload_hash = hashlib.sha256(request.body).hexdigest()
    if request.headers.get("x-amz-content-sha256", payload_hash) != payload_hash:
        raise _mismatch(MISMATCH)
    return payload_hash


def _declared_hash(request):
    """What x-amz-content-sha256 says, which S3 requires and believes only if it is so."""
    declared = request.headers.get("x-amz-content-sha256")
    if declared is None:
        raise Refusal("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
    if declared.startswith("STREAMING-"):
        raise Refusal("NotImplemented", "Chunked signatures are not served by this stand-in.", 501)
    if declared not in (UNSIGNED, hashlib.sha256(request.body).hexdigest()):
        raise Refusal("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was "
                      "computed.")
    return declared


def _mismatch(message, blame=True):
    return Refusal("SignatureDoesNotMatch", message, 403, blame)


def _check_signed_headers(request, claim, rules):
    signed = claim.signed
    if list(signed) != sorted(set(name.lower() for name in signed)):
        raise _mismatch("SignedHeaders must be lower-case, sorted and unique.")
    needed = {"host", "x-amz-date"} | {name for name in request.headers if name.startswith("x-amz-")}
    if rules.s3:
        needed |= {"content-type"} & set(request.headers)
    missing = sorted(needed - set(signed))
    if missing and rules.s3:
        raise Refusal("AccessDenied", "There were headers present in the request which were not signed", 403,
                      details={"HeadersNotSigned": ", ".join(missing)})
    if missing:
        raise _mismatch(f"'{missing[0]}' must be a 'SignedHeader' in the AWS Authorization.")


def _check_date(claim, now, rules):
    signed = calendar.timegm(time.strptime(claim.stamp, "%Y%m%dT%H%M%SZ"))
    if abs(signed - now) > rules.tolerance:
        raise skewed(claim.stamp, signed < now, now, rules)


def skewed(stamp, early, now, rules):
    """The refusal of a date that is too far from the service's."""
    if rules.s3:
        return Refusal("RequestTimeTooSkewed", "The difference between the request time and the current time is too "
                       "large.", 403, blame=False, details={"RequestTime": stamp, "ServerTime": _iso(now),
                                                            "MaxAllowedSkewMilliseconds": rules.tolerance * 1000})
    minutes = rules.tolerance // 60
    if early:
        return _mismatch(f"Signature expired: {stamp} is now earlier than {_stamp(now - rules.tolerance)} "
                         f"({_stamp(now)} - {minutes} min.)", blame=False)
    return _mismatch(f"Signature not yet current: {stamp} is still later than {_stamp(now + rules.tolerance)} "
                     f"({_stamp(now)} + {minutes} min.)", blame=False)


def _stamp(when):
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(when))


def _iso(when):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
