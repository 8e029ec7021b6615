"""Buckets: objects, open uploads, S3's conditions, and the counts a test asks for.

An object's blob is its description and its bytes, an upload's part the same; all of a bucket is one lock's, so that a
condition and the write it guards are one step.
"""
import bisect
import fnmatch
import hashlib
import threading
import uuid
from collections import Counter
from dataclasses import asdict, dataclass, field

from .errors import Refusal

LAST = "\U0010ffff"  # sorts behind whatever follows a common prefix


@dataclass
class Stored:
    """An object without its bytes."""
    key: str
    size: int
    sha256: str
    etag: str            # in quotes
    modified: float
    headers: dict        # as the client gave them, by lower-case name
    checksums: dict      # header name -> value
    writes: int = 1      # how often the key was written, this time included
    overwrites: int = 0  # how often with other bytes than before


@dataclass
class Part:
    size: int
    etag: str
    checksum: str
    modified: float


@dataclass
class Upload:
    id: str
    key: str
    headers: dict
    algorithm: str       # None: without checksums
    composite: bool
    initiated: float
    parts: dict = field(default_factory=dict)  # number -> Part


@dataclass(frozen=True)
class Conditions:
    """What a write asks of the object that is there."""
    absent: bool = False
    etag: str = None

    def check(self, stored):
        if self.absent and stored:
            raise failed("If-None-Match")
        if self.etag and not stored:
            raise Refusal("NoSuchKey", "The specified key does not exist.", 404, blame=False)
        if self.etag and self.etag not in (stored.etag, stored.etag.strip('"')):
            raise failed("If-Match")


def failed(condition):
    return Refusal("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", 412,
                   blame=False, details={"Condition": condition})


class Bucket:
    def __init__(self, document, blobs):
        self.name = document["name"]
        self.owner = document["owner"]
        self.region = document["region"]
        self.allow = document.get("allow", [])
        self.deny = document.get("deny", [])
        self.blobs = blobs
        self.lock = threading.RLock()
        self.counters = Counter()
        self.keys = []     # sorted
        self.objects = {}  # key -> Stored
        self.uploads = {}  # id -> Upload
        self._restore()

    def _restore(self):
        for _, head in self.blobs.heads(f"objects/{self.name}"):
            self._keep(Stored(**head))
        for name, head in self.blobs.heads(f"uploads/{self.name}"):  # an upload comes before its parts
            _, _, upload, number = name.split("/")
            if int(number) == 0:
                self.uploads[upload] = Upload(**head)
            else:
                self.uploads[upload].parts[int(number)] = Part(**head)

    # Access

    def admits(self, account):
        return account == self.owner or account in self.allow

    def denies(self, arn, action, key, headers, creates):
        """Whether one of the bucket's own rules shuts a caller out. A rule with `without` is about requests that make an
        object and have none of these headers; one with `but` spares keys that one of these globs matches."""
        return any(fnmatch.fnmatchcase(arn, rule.get("principal", "*"))
                   and any(fnmatch.fnmatchcase(action, glob) for glob in rule.get("actions", ["*"]))
                   and key.startswith(rule.get("prefix", ""))
                   and not any(fnmatch.fnmatchcase(key, glob) for glob in rule.get("but", []))
                   and ("without" not in rule or creates and not any(name in headers for name in rule["without"]))
                   for rule in self.deny)

    # Objects

    def read(self, key, start=0, end=None):
        return self.blobs.read(self._place(key), start, end)

    def put(self, key, chunks, conditions, **described):
        """Write an object. chunks() gives its bytes piece by piece, as often as it is called."""
        digest, size = hashlib.sha256(), 0
        for chunk in chunks():
            digest.update(chunk)
            size += len(chunk)
        with self.lock:
            old = self.objects.get(key)
            self._check(conditions, old)
            stored = Stored(key, size, digest.hexdigest(), **described)
            if old:
                self._follow(stored, old)
            self.blobs.write(self._place(key), asdict(stored), chunks())
            self._keep(stored)
            self.counters["puts"] += 1
            return stored

    def delete(self, key, conditions=Conditions()):
        with self.lock:
            self._check(conditions, self.objects.get(key))
            if self.objects.pop(key, None):
                self.keys.remove(key)
                self.blobs.delete(self._place(key))
            self.counters["deletes"] += 1

    def listing(self, prefix, delimiter, after, limit):
        """(entries, position): Stored and common prefixes (str) behind `after`; position is None at the end."""
        with self.lock:
            keys, entries = self.keys, []
            at = max(bisect.bisect_left(keys, prefix), bisect.bisect_right(keys, after) if after else 0)
            while at < len(keys) and keys[at].startswith(prefix):
                if len(entries) == limit:
                    return entries, after
                after, cut = keys[at], keys[at].find(delimiter, len(prefix)) if delimiter else -1
                if cut >= 0:
                    entries.append(after[:cut + len(delimiter)])
                    after = entries[-1] + LAST
                else:
                    entries.append(self.objects[after])
                at = bisect.bisect_right(keys, after)
            return entries, None

    def _check(self, conditions, old):
        try:
            conditions.check(old)
        except Refusal:
            self.counters["conditions_failed"] += 1
            raise

    def _follow(self, stored, old):
        changed = stored.sha256 != old.sha256
        stored.writes, stored.overwrites = old.writes + 1, old.overwrites + changed
        self.counters["overwrites" if changed else "rewrites"] += 1

    def _keep(self, stored):
        if stored.key not in self.objects:
            bisect.insort(self.keys, stored.key)
        self.objects[stored.key] = stored

    def _place(self, key):
        return f"objects/{self.name}/{hashlib.sha256(key.encode()).hexdigest()}"

    # Uploads

    def begin(self, key, **described):
        with self.lock:
            upload = Upload(uuid.uuid4().hex, key, **described)
            head = {name: value for name, value in vars(upload).items() if name != "parts"}
            self.blobs.write(self._part_place(upload, 0), head, [])
            self.uploads[upload.id] = upload
            self.counters["uploads_begun"] += 1
            return upload

    def upload(self, key, identity):
        found = self.uploads.get(identity)
        if not found or found.key != key:
            raise Refusal("NoSuchUpload", "The specified multipart upload does not exist. The upload ID may be invalid,"
                          " or the upload may have been aborted or completed.", 404, blame=False)
        return found

    def put_part(self, upload, number, body, part):
        with self.lock:
            self.upload(upload.key, upload.id)
            self.blobs.write(self._part_place(upload, number), vars(part), [body])
            upload.parts[number] = part
            self.counters["parts"] += 1

    def complete(self, upload, numbers, conditions, **described):
        with self.lock:
            stored = self.put(upload.key, lambda: self.part_bodies(upload, numbers), conditions, **described)
            self._remove(upload)
            self.counters["uploads_completed"] += 1
            return stored

    def part_bodies(self, upload, numbers):
        return (self.blobs.read(self._part_place(upload, number)) for number in numbers)

    def abort(self, upload):
        with self.lock:
            self._remove(upload)
            self.counters["uploads_aborted"] += 1

    def _remove(self, upload):
        """The head goes last: parts without one could not be told whose they are."""
        del self.uploads[upload.id]
        for number in [*upload.parts, 0]:
            self.blobs.delete(self._part_place(upload, number))

    def _part_place(self, upload, number):
        return f"uploads/{self.name}/{upload.id}/{number:05d}"

    # Reports

    def report(self):
        with self.lock:
            return {"owner": self.owner, "region": self.region, "objects": len(self.objects),
                    "bytes": sum(stored.size for stored in self.objects.values()), "open_uploads": len(self.uploads),
                    **self.counters}
