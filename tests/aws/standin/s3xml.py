"""S3's own REST with XML: results, errors, and the one request body there is to read.

Errors have no XML namespace and successes do. What the gateway and the faults call by the older services' names gets
S3's name and status here.
"""
import re
import xml.etree.ElementTree as ElementTree
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

from .errors import Refusal
from .wire import Reply

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
PROLOGUE = '<?xml version="1.0" encoding="UTF-8"?>\n'
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
NAMES = {
    "ExpiredToken": ("ExpiredToken", 400),
    "InvalidClientTokenId": ("InvalidAccessKeyId", 403),
    "IncompleteSignature": ("AuthorizationHeaderMalformed", 400),
    "InternalFailure": ("InternalError", 500),
    "MissingAuthenticationToken": ("AccessDenied", 403),
    "Throttling": ("SlowDown", 503),
}


class S3Rest:
    @staticmethod
    def whole(name, value):
        if not re.fullmatch(r"\d{1,9}", value):
            raise Refusal("InvalidArgument", f"Provided {name} not an integer or within integer range")
        return int(value)

    @staticmethod
    def result(_operation, reply, _request_id):
        return reply

    @staticmethod
    def error(refusal, request_id):
        code, status = NAMES.get(refusal.code, (refusal.code, refusal.status))
        headers = {"Content-Type": "application/xml", "x-amz-id-2": host_id(request_id), **refusal.headers}
        return Reply(status, headers, error_body(code, refusal.message, request_id, refusal.details))


def host_id(request_id):
    return f"stand-in/{request_id}"


def error_body(code, message, request_id, details=None, filler=""):
    rows = {"Code": code, "Message": message, **(details or {}), "RequestId": request_id, "HostId": host_id(request_id)}
    return (PROLOGUE + filler + element("Error", rows)).encode()


def document(name, value):
    """A successful answer's body."""
    return (PROLOGUE + f'<{name} xmlns="{NAMESPACE}">{_inner(value)}</{name}>').encode()


def element(name, value):
    if value is None:
        return ""
    if isinstance(value, list):
        return "".join(element(name, one) for one in value)
    return f"<{name}>{_inner(value)}</{name}>"


def _inner(value):
    if isinstance(value, dict):
        return "".join(element(name, inner) for name, inner in value.items())
    if isinstance(value, bool):
        return str(value).lower()
    return CONTROL.sub(lambda match: f"&#x{ord(match[0]):x};", escape(str(value)))


def encoded(text, encoding):
    """A key in a listing, as encoding-type asks for it."""
    return quote_plus(text, safe="/") if encoding == "url" and text is not None else text


def read_parts(body):
    """[{name: text}] of a CompleteMultipartUpload body."""
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        root = None
    if root is None or _local(root) != "CompleteMultipartUpload" or not len(root):
        raise Refusal("MalformedXML", "The XML you provided was not well-formed or did not validate against our "
                      "published schema")
    return [{_local(child): (child.text or "").strip() for child in part} for part in root if _local(part) == "Part"]


def _local(node):
    return node.tag.rpartition("}")[2]
