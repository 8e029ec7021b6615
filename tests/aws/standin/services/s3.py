"""S3: which operation a request is, who may do it, listings, and the control endpoints.

The operations on objects are s3_objects.py's, multipart uploads s3_multipart.py's, the data is kept by buckets.py.
"""
import json
import re
from dataclasses import asdict, dataclass
from urllib.parse import parse_qsl, unquote

from .. import s3xml, sigv4
from ..blobs import Folder, Memory
from ..buckets import Bucket, Stored
from ..control import as_json
from ..errors import Refusal, denied
from ..protocols import iso
from ..wire import Reply
from . import s3_multipart, s3_objects
from .base import Call, Service
from .paging import Pager

# the first of these parameters that a request has decides, with the method, what it is
MARKERS = ("list-type", "uploads", "location", "partNumber", "uploadId")
OTHERS = {"prefix", "delimiter", "max-keys", "continuation-token", "start-after", "encoding-type", "fetch-owner",
          "max-parts", "part-number-marker", "max-uploads", "key-marker", "upload-id-marker", "x-id"}
ROUTES = {  # (method, of an object, marker)
    ("GET", False, "list-type"): "ListObjectsV2",
    ("GET", False, "uploads"): "ListMultipartUploads",
    ("GET", False, "location"): "GetBucketLocation",
    ("HEAD", False, None): "HeadBucket",
    ("GET", True, None): "GetObject",
    ("GET", True, "uploadId"): "ListParts",
    ("HEAD", True, None): "HeadObject",
    ("PUT", True, None): "PutObject",
    ("PUT", True, "partNumber"): "UploadPart",
    ("POST", True, "uploads"): "CreateMultipartUpload",
    ("POST", True, "uploadId"): "CompleteMultipartUpload",
    ("DELETE", True, None): "DeleteObject",
    ("DELETE", True, "uploadId"): "AbortMultipartUpload",
}
ACTIONS = {  # what IAM calls it, where it is another name
    "ListObjectsV2": "ListBucket",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "UploadPart": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "ListParts": "ListMultipartUploadParts",
    "ListMultipartUploads": "ListBucketMultipartUploads",
}
AWS_HOST = re.compile(r"(?:(?P<bucket>[a-z0-9.-]+)\.)?s3(?:-fips)?(?:\.dualstack)?(?:\.(?P<region>[a-z0-9-]+))?"
                      r"\.amazonaws\.com(?:\.cn)?")
LOCAL_HOST = re.compile(r"(?P<bucket>[a-z0-9.-]+)\.localhost")
SCOPE = "/s3/aws4_request"
KEY_LIMIT = 1024
LISTED = 1000


@dataclass
class S3Call(Call):
    """A request to S3: a bucket, and a key where it is about an object."""
    name: str = ""
    key: str = ""
    host_region: str = None
    bucket: object = None  # the Bucket, once it is known that the caller may see it


class S3(Service):
    name = scope = iam = "s3"
    rules = sigv4.S3
    request_id_header = "x-amz-request-id"

    def __init__(self, standin):
        super().__init__(standin)
        options = standin.options
        self.blobs = Folder(f"{options.state_dir}/s3") if options.state_dir else Memory()
        self.buckets = {row["name"]: self._open(row) for row in standin.world.buckets}
        self.ignore_conditions = options.s3_ignore_conditions
        self.pager = Pager(standin.credentials.master, "continuation-token")

    def _open(self, row):
        return Bucket({**row, "allow": [self.standin.world.central["account"], *row.get("allow", [])]}, self.blobs)

    # Which request it is

    def read(self, request):
        name, path, region = address(request)
        if SCOPE not in request.headers.get("authorization", SCOPE if name in self.buckets else ""):
            return None
        params = dict(parse_qsl(request.query, keep_blank_values=True))
        call = S3Call(self, _operation(request.method, path, params), s3xml.S3Rest, lambda _body: params, request)
        call.name, call.key, call.host_region = name, path, region
        return call

    def resource(self, call):
        return f"{call.name}/{call.key}"

    def regions(self):
        return super().regions().union(bucket.region for bucket in self.buckets.values())

    def action(self, call):
        return f"s3:{ACTIONS.get(call.operation, call.operation)}"

    def now(self):
        return self.standin.clock.wall()

    def perform(self, call):
        function = self.operations.get(call.operation)
        if function is None:
            raise Refusal("NotImplemented", "A header or parameter you provided implies functionality that is not "
                          "implemented", 501)
        _check_key(call.key)
        call.bucket = self._bucket(call)
        self.authorise(call, self.action(call))
        reply = function(self, call)
        reply.headers["x-amz-id-2"] = s3xml.host_id(call.request_id)
        return reply

    def _bucket(self, call):
        bucket = self.buckets.get(call.name)
        if bucket is None:
            raise Refusal("NoSuchBucket", "The specified bucket does not exist", 404, blame=False,
                          details={"BucketName": call.name})
        if call.host_region not in (None, call.region):
            raise Refusal("AuthorizationHeaderMalformed", "The authorization header is malformed; the region "
                          f"'{call.region}' is wrong; expecting '{call.host_region}'", blame=False,
                          details={"Region": call.host_region})
        if call.region != bucket.region:
            raise _elsewhere(bucket)
        if call.request.headers.get("x-amz-expected-bucket-owner", bucket.owner) != bucket.owner:
            raise denied("Access Denied")
        return bucket

    # Who may do it

    def authorise(self, call, action):
        if not call.bucket.admits(call.principal.account):
            raise denied(f"User: {call.principal.arn} is not authorized to perform: {action} on resource: "
                         f"arn:aws:s3:::{call.resource}", blame=True)
        if not self._permitted(call, action):
            raise denied("Access Denied")

    def _permitted(self, call, action):
        who, creates = call.principal, call.operation in ("PutObject", "CompleteMultipartUpload")
        return self.standin.permits(who, action) and not call.bucket.denies(who.role or who.arn, action, call.key,
                                                                            call.request.headers, creates)

    def missing_key(self, call):
        """Without the right to list, nobody learns that there is nothing."""
        if not self._permitted(call, "s3:ListBucket"):
            return denied("Access Denied")
        return Refusal("NoSuchKey", "The specified key does not exist.", 404, blame=False, details={"Key": call.key})

    def void(self, call):
        """A conflict ends an upload that was about to be completed."""
        bucket = self.buckets.get(call.name)
        if bucket and call.operation == "CompleteMultipartUpload":
            bucket.abort(bucket.upload(call.key, call.params.get("uploadId")))

    # Operations on buckets

    def head_bucket(self, call):
        return Reply(200, {"x-amz-bucket-region": call.bucket.region})

    def location(self, call):
        region = "" if call.bucket.region == "us-east-1" else call.bucket.region
        return Reply(200, {"Content-Type": "application/xml"}, s3xml.document("LocationConstraint", region))

    def list_objects(self, call):
        bucket, params = call.bucket, call.params
        bucket.counters["lists"] += 1
        most = min(call.whole("max-keys", LISTED), LISTED)
        after = (self._position(call) or {"after": params.get("start-after", "")})["after"]
        prefix, delimiter = params.get("prefix", ""), params.get("delimiter", "")
        entries, position = bucket.listing(prefix, delimiter, after, most) if most else ([], None)
        following = self.pager.token(call, {"after": position}) if position is not None else None
        body = s3xml.document("ListBucketResult", _listing(call, most, entries, following))
        return Reply(200, {"Content-Type": "application/xml"}, body)

    def _position(self, call):
        try:
            return self.pager.position(call)
        except Refusal:
            raise Refusal("InvalidArgument", "The continuation token provided is incorrect") from None

    operations = {"HeadBucket": head_bucket, "GetBucketLocation": location, "ListObjectsV2": list_objects,
                  **s3_objects.OPERATIONS, **s3_multipart.OPERATIONS}

    # Control

    def forget(self):
        for bucket in self.buckets.values():
            bucket.counters.clear()

    def stats(self, _request):
        return as_json({"ignore_conditions": self.ignore_conditions,
                        "buckets": {name: bucket.report() for name, bucket in self.buckets.items()}})

    def dump(self, request):
        """Every object as a line; `?bucket=` and `?prefix=` narrow it."""
        asked = dict(parse_qsl(request.query))
        lines = []
        for name, bucket in self.buckets.items():
            if asked.get("bucket", name) == name:
                with bucket.lock:
                    found = [bucket.objects[key] for key in bucket.keys if key.startswith(asked.get("prefix", ""))]
                lines += [json.dumps({"bucket": name, **asdict(stored)}) + "\n" for stored in found]
        return Reply(200, {"Content-Type": "application/x-ndjson"}, "".join(lines).encode())

    def uploads(self, _request):
        return as_json([{"bucket": name, **asdict(upload)} for name, bucket in self.buckets.items()
                        for upload in bucket.uploads.values()])

    def get(self, request):
        bucket, key = self._asked(request)
        with bucket.lock:
            return Reply(200, {"Content-Type": "application/octet-stream"}, bucket.read(bucket.objects[key].key))

    def put(self, request):
        """Write an object past all rules, as somebody else would: a test's way to damage one."""
        bucket, key = self._asked(request)
        stored = bucket.put(key, lambda: [request.body], s3_objects.Conditions(), headers={}, checksums={},
                            etag=s3_objects.body_etag(request.body, {}), modified=self.now())
        return as_json(asdict(stored))

    def delete(self, request):
        bucket, key = self._asked(request)
        bucket.delete(key)
        return as_json({"ok": True})

    def _asked(self, request):
        asked = dict(parse_qsl(request.query))
        return self.buckets[asked["bucket"]], asked["key"]

    def set_mode(self, request):
        """{"ignore_conditions": bool}"""
        self.ignore_conditions = bool(json.loads(request.body)["ignore_conditions"])
        return as_json({"ignore_conditions": self.ignore_conditions})

    controls = {
        ("GET", "s3/stats"): stats,
        ("GET", "s3/objects"): dump,
        ("GET", "s3/uploads"): uploads,
        ("GET", "s3/object"): get,
        ("PUT", "s3/object"): put,
        ("DELETE", "s3/object"): delete,
        ("PUT", "s3/mode"): set_mode,
    }


def address(request):
    """(bucket, key, region) of a request; the region only where the host's name tells it."""
    host = request.headers.get("host", "").partition(":")[0]
    match = AWS_HOST.fullmatch(host) or LOCAL_HOST.fullmatch(host)
    named = match.groupdict() if match else {}
    path = unquote(request.path[1:], errors="surrogateescape")
    if named.get("bucket"):
        return named["bucket"], path, named.get("region")
    bucket, _, key = path.partition("/")
    return bucket, key, named.get("region")


def _operation(method, key, params):
    if set(params) - OTHERS - set(MARKERS):
        return "-"
    marker = next((name for name in MARKERS if name in params), None)
    return ROUTES.get((method, bool(key), marker), "-")


def _check_key(key):
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise Refusal("InvalidURI", "Couldn't parse the specified URI.") from None
    if size > KEY_LIMIT:
        raise Refusal("KeyTooLongError", "Your key is too long")


def _elsewhere(bucket):
    return Refusal("PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified "
                   "endpoint. Please send all future requests to this endpoint.", 301, blame=False,
                   headers={"x-amz-bucket-region": bucket.region},
                   details={"Endpoint": f"{bucket.name}.s3.{bucket.region}.amazonaws.com", "Bucket": bucket.name})


def _listing(call, most, entries, following):
    params, encoding = call.params, call.params.get("encoding-type")

    def coded(name):
        return s3xml.encoded(params.get(name), encoding)
    return {
        "Name": call.bucket.name, "Prefix": coded("prefix") or "", "Delimiter": coded("delimiter"),
        "StartAfter": coded("start-after"), "MaxKeys": most, "EncodingType": encoding, "KeyCount": len(entries),
        "IsTruncated": following is not None, "ContinuationToken": params.get("continuation-token"),
        "NextContinuationToken": following,
        "Contents": [_contents(one, encoding) for one in entries if isinstance(one, Stored)],
        "CommonPrefixes": [{"Prefix": s3xml.encoded(one, encoding)} for one in entries if isinstance(one, str)],
    }


def _contents(stored, encoding):
    return {"Key": s3xml.encoded(stored.key, encoding), "LastModified": iso(stored.modified), "ETag": stored.etag,
            "Size": stored.size, "StorageClass": stored.headers.get("x-amz-storage-class", "STANDARD")}
