#!/usr/bin/python3
"""Tests of the stand-in's S3, with boto3 as the client and its signer for what boto3 does not offer."""
import base64
import hashlib
import os
import signal
import sys
import tempfile
import threading
import unittest
import zlib
from http.client import HTTPException
from urllib.parse import quote

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

import boto3  # noqa: E402
from botocore.auth import S3SigV4Auth  # noqa: E402
from botocore.awsrequest import AWSRequest  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

from standin import checksums  # noqa: E402
from standin.faults import KINDS  # noqa: E402
from testing import REGION, Case, Daemon, send  # noqa: E402

OTHER = "us-west-2"
MIB = 1024 * 1024


def b64(data):
    return base64.b64encode(data).decode()


class S3Case(Case):
    flags = ("--bucket", "lake", "--bucket", f"far::{OTHER}", "--bucket", "foreign:444455556666")

    def setUp(self):
        super().setUp()
        self.s3 = self.client()
        self.daemon.control("s3/mode", {"ignore_conditions": False})
        for row in self.daemon.control("s3/uploads"):
            self.s3.abort_multipart_upload(Bucket=row["bucket"], Key=row["key"], UploadId=row["id"])
        for row in self.daemon.control("s3/objects"):
            self.daemon.control(f"s3/object?bucket={row['bucket']}&key={quote(row['key'], safe='')}", method="DELETE")
        self.daemon.control("reset", method="POST")

    def client(self, keys=None, region=REGION, style="path"):
        keys = keys or self.base
        config = Config(retries={"max_attempts": 1, "mode": "standard"}, s3={"addressing_style": style})
        client = boto3.client("s3", endpoint_url=self.daemon.url, region_name=region, config=config,
                              aws_access_key_id=keys.access_key, aws_secret_access_key=keys.secret_key,
                              aws_session_token=keys.token)
        self.addCleanup(client.close)
        return client

    def raw(self, method, target, body=b"", headers=(), unsigned=(), region=REGION, keys=None):
        """A request signed by botocore; `unsigned` headers are added afterwards."""
        request = AWSRequest(method, self.daemon.url + target, {"Content-Type": "test/test", **dict(headers)}, body)
        S3SigV4Auth(keys or self.base, "s3", region).add_auth(request)
        return send(method, self.daemon.url + target, {**dict(request.headers), **dict(unsigned)}, body)

    def put(self, key, body=b"x", **headers):
        """The status of a PUT with these headers, underscores for dashes."""
        return self.raw("PUT", f"/lake/{quote(key)}", body, {name.replace("_", "-"): value
                                                             for name, value in headers.items()})[0]

    def assert_code(self, code, function, **arguments):
        with self.assertRaises(ClientError) as caught:
            function(**arguments)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)
        return caught.exception.response

    def count(self, name, bucket="lake"):
        return self.daemon.control("s3/stats")["buckets"][bucket].get(name, 0)


class Objects(S3Case):
    def test_round_trip_of_bytes_and_headers(self):
        key, body = "acct=1/a b+c/é//../~'(x).zst", bytes(range(256)) * 40
        put = self.s3.put_object(Bucket="lake", Key=key, Body=body, Metadata={"format": "1"}, ContentType="text/plain",
                                 ContentEncoding="zstd", ServerSideEncryption="aws:kms", SSEKMSKeyId="k1",
                                 ChecksumAlgorithm="SHA256", ExpectedBucketOwner=self.world.central["account"])
        got = self.s3.get_object(Bucket="lake", Key=key, ChecksumMode="ENABLED")
        head = self.s3.head_object(Bucket="lake", Key=key)
        self.assertEqual(got["Body"].read(), body)
        for answer in (got, head):
            self.assertEqual((answer["Metadata"], answer["ContentType"], answer["ContentEncoding"]),
                             ({"format": "1"}, "text/plain", "zstd"))
            self.assertEqual((answer["ContentLength"], answer["ETag"]), (len(body), put["ETag"]))
            self.assertEqual((answer["ServerSideEncryption"], answer["SSEKMSKeyId"]), ("aws:kms", "k1"))
        self.assertEqual(got["ChecksumSHA256"], b64(hashlib.sha256(body).digest()))
        self.assertNotEqual(put["ETag"], f'"{hashlib.md5(body).hexdigest()}"')  # under KMS it is not the MD5
        row = self.daemon.control("s3/objects")[0]
        self.assertEqual((row["key"], row["sha256"]), (key, hashlib.sha256(body).hexdigest()))
        self.s3.delete_object(Bucket="lake", Key=key)
        self.assert_code("NoSuchKey", self.s3.get_object, Bucket="lake", Key=key)
        self.assert_code("404", self.s3.head_object, Bucket="lake", Key=key)
        self.assertEqual(self.violations(), 0)

    def test_ranges(self):
        self.s3.put_object(Bucket="lake", Key="r", Body=b"0123456789")
        for asked, body, told in (("bytes=2-4", b"234", "bytes 2-4/10"), ("bytes=7-", b"789", "bytes 7-9/10"),
                                  ("bytes=-3", b"789", "bytes 7-9/10"), ("bytes=8-99", b"89", "bytes 8-9/10")):
            got = self.s3.get_object(Bucket="lake", Key="r", Range=asked)
            self.assertEqual((got["Body"].read(), got["ContentRange"]), (body, told))
        self.assert_code("InvalidRange", self.s3.get_object, Bucket="lake", Key="r", Range="bytes=10-")

    def test_reads_with_conditions(self):
        etag = self.s3.put_object(Bucket="lake", Key="c", Body=b"x")["ETag"]
        self.assert_code("304", self.s3.get_object, Bucket="lake", Key="c", IfNoneMatch=etag)
        self.assert_code("PreconditionFailed", self.s3.get_object, Bucket="lake", Key="c", IfMatch='"y"')
        self.assertEqual(self.s3.get_object(Bucket="lake", Key="c", IfMatch=etag)["Body"].read(), b"x")

    def test_checksums_are_verified(self):
        body = b"123456789"
        right = {"crc32": b64(zlib.crc32(body).to_bytes(4, "big")), "crc32c": b64(bytes.fromhex("e3069283")),
                 "sha1": b64(hashlib.sha1(body).digest()), "sha256": b64(hashlib.sha256(body).digest())}
        for name, value in right.items():
            self.assertEqual(self.put("k", body, **{f"x_amz_checksum_{name}": value}), 200)
            self.assertIn(b"BadDigest", self.raw("PUT", "/lake/k", b"other", {f"x-amz-checksum-{name}": value})[2])
            self.assertEqual(self.put("k", body, **{f"x_amz_checksum_{name}": "AAA="}), 400)
        self.assertEqual(self.put("k", body, Content_MD5=b64(hashlib.md5(body).digest())), 200)
        self.assertIn(b"BadDigest", self.raw("PUT", "/lake/k", b"other", {"Content-MD5": b64(b"0" * 16)})[2])
        self.assertIn(b"InvalidDigest", self.raw("PUT", "/lake/k", body, {"Content-MD5": "x"})[2])
        both = {"x-amz-checksum-sha1": right["sha1"], "x-amz-checksum-sha256": right["sha256"]}
        self.assertIn(b"InvalidRequest", self.raw("PUT", "/lake/k", body, both)[2])

    def test_encryption_and_metadata_are_checked(self):
        self.assertEqual(self.put("k", x_amz_server_side_encryption="rot13"), 400)
        self.assertEqual(self.put("k", x_amz_server_side_encryption_aws_kms_key_id="k"), 400)
        self.assertEqual(self.put("k", x_amz_meta_long="x" * 2100), 400)
        self.assertEqual(self.put("k" * 1025), 400)
        self.assertIn(b"<Code>InvalidURI</Code>", self.raw("PUT", "/lake/%ff", b"x")[2])
        self.assertEqual(self.s3.list_objects_v2(Bucket="lake")["KeyCount"], 0)


class Conditional(S3Case):
    def test_create_only(self):
        self.assertEqual([self.put("k", b"1", If_None_Match="*"), self.put("k", b"2", If_None_Match="*")], [200, 412])
        self.assertEqual(self.s3.get_object(Bucket="lake", Key="k")["Body"].read(), b"1")
        self.assertEqual(self.put("k", If_None_Match='"x"'), 501)
        self.assertEqual((self.count("conditions_failed"), self.count("overwrites")), (1, 0))

    def test_replace_only_what_was_read(self):
        self.assertEqual(self.put("k", If_Match='"x"'), 404)
        etag = self.s3.put_object(Bucket="lake", Key="k", Body=b"1")["ETag"]
        self.assertEqual(self.put("k", b"2", If_Match=etag), 200)
        self.assertEqual(self.put("k", b"3", If_Match=etag), 412)
        self.assertEqual(self.raw("DELETE", "/lake/k", headers={"If-Match": etag})[0], 412)
        self.assertEqual((self.count("overwrites"), self.violations()), (1, 0))

    def test_one_of_many_wins(self):
        statuses = []
        threads = [threading.Thread(target=lambda n=n: statuses.append(self.put("k", b"%d" % n, If_None_Match="*")))
                   for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(statuses), [200] + [412] * 7)

    def test_overwrites_are_told_from_repetitions(self):
        for body in (b"1", b"1", b"2"):
            self.put("k", body)
        row = self.daemon.control("s3/objects?bucket=lake")[0]
        self.assertEqual((row["writes"], row["overwrites"]), (3, 1))
        self.assertEqual((self.count("puts"), self.count("overwrites"), self.count("rewrites")), (3, 1, 1))

    def test_a_store_that_ignores_conditions(self):
        self.daemon.control("s3/mode", {"ignore_conditions": True})
        self.assertEqual([self.put("k", b"1", If_None_Match="*"), self.put("k", b"2", If_None_Match="*")], [200, 200])
        self.assertEqual(self.put("other", If_Match='"x"'), 200)
        self.assertEqual(self.count("overwrites"), 1)

    def test_conflict_and_lost_answer(self):
        self.faults({"match": {"resource": "lake/s*"}, "kind": "s3-conflict", "times": 1},
                    {"match": {"operation": "PutObject"}, "nth": 2, "kind": "reset-after"})
        self.assertEqual(self.put("lost", If_None_Match="*"), 200)
        status, _, body = self.raw("PUT", "/lake/s", b"1", {"If-None-Match": "*"})
        self.assertEqual((status, b"<Code>ConditionalRequestConflict</Code>" in body), (409, True))
        self.faults({"kind": "reset-after", "times": 1})
        with self.assertRaises(OSError):
            self.put("s", b"1", If_None_Match="*")
        self.assertEqual(self.put("s", b"1", If_None_Match="*"), 412)


class Access(S3Case):
    def test_signature_headers(self):
        body = b"x"
        for unsigned in ({"x-amz-meta-a": "1"}, {"Content-Type": "other/type"}):
            self.assertEqual(self.raw("PUT", "/lake/k", body, unsigned=unsigned)[0], 403)
        self.assertIn(b"<HeadersNotSigned>x-amz-acl<",
                      self.raw("PUT", "/lake/k", body, unsigned={"x-amz-acl": "private"})[2])
        self.assertIn(b"<Code>AccessDenied</Code>", send("GET", self.daemon.url + "/lake/k", {})[2])
        request = AWSRequest("PUT", self.daemon.url + "/lake/k", {"Content-Type": "test/test"}, body)
        S3SigV4Auth(self.base, "s3", REGION).add_auth(request)
        self.assertIn(b"XAmzContentSHA256Mismatch", send("PUT", request.url, dict(request.headers), b"y")[2])
        self.daemon.control("skew", {"seconds": 1000})
        answer = send("PUT", request.url, dict(request.headers), body)[2]
        self.daemon.control("skew", {"seconds": 0})
        self.assertIn(b"<Code>RequestTimeTooSkewed</Code>", answer)
        self.assertIn(b"<MaxAllowedSkewMilliseconds>900000<", answer)
        self.assertEqual(self.violations(), 5)

    def test_wrong_region_is_redirected(self):
        status, headers, body = self.raw("GET", "/far/k")
        self.assertEqual((status, headers["x-amz-bucket-region"]), (301, OTHER))
        self.assertIn(b"<Code>PermanentRedirect</Code>", body)
        self.assertEqual(self.raw("GET", "/far/k", region=OTHER)[0], 404)
        self.assertEqual(self.s3.head_bucket(Bucket="lake")["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"],
                         REGION)

    def test_virtual_hosts(self):
        self.s3.put_object(Bucket="lake", Key="a/b", Body=b"x")
        for host in (f"lake.s3.{REGION}.amazonaws.com", "lake.s3.amazonaws.com", "lake.localhost:80"):
            self.assertEqual(self.raw("GET", "/a/b", headers={"Host": host})[::2], (200, b"x"), host)
        body = self.raw("GET", "/a/b", headers={"Host": f"lake.s3.{OTHER}.amazonaws.com"})[2]
        self.assertIn(f"<Region>{OTHER}</Region>".encode(), body)

    def test_owner(self):
        self.assertEqual(self.raw("GET", "/foreign/k", headers={"x-amz-expected-bucket-owner": "444455556666"})[0], 404)
        self.assertEqual(self.put("k", x_amz_expected_bucket_owner="444455556666"), 403)
        self.assertEqual(self.violations(), 0)
        self.assertEqual(self.raw("GET", "/lake/k", keys=self.session())[0], 403)
        self.assertEqual(self.violations(), 1)  # a tenant's role has no business in the lake

    def test_no_such_bucket_and_operation(self):
        self.assertIn(b"NoSuchBucket", self.raw("GET", "/nowhere/k")[2])
        self.assertEqual(self.raw("GET", "/lake/k?acl")[0], 501)

    def test_injected_errors_have_the_shape_of_s3(self):
        for kind, status, code in (("throttle", 503, "SlowDown"), ("http500", 500, "InternalError"),
                                   ("http503", 503, "ServiceUnavailable"), ("expired", 400, "ExpiredToken"),
                                   ("skew", 403, "RequestTimeTooSkewed"), ("denied", 403, "AccessDenied")):
            self.faults({"kind": kind})
            answer = self.raw("GET", "/lake/k")
            self.assertEqual(answer[0], status)
            self.assertIn(f"<Error><Code>{code}</Code>".encode(), answer[2])
            self.assertTrue(answer[1]["x-amz-request-id"] and answer[1]["x-amz-id-2"])
        self.faults({"kind": "error", "code": "OperationAborted", "status": 409})
        self.assert_code("OperationAborted", self.s3.put_object, Bucket="lake", Key="k")


class Denied(S3Case):
    """Rules of buckets and of roles."""

    @classmethod
    def document(cls):
        world = super().document()
        account = world["central"]["account"]
        world["roles"].append({"arn": f"arn:aws:iam::{account}:role/blind", "external_id": None,
                               "deny": ["s3:ListBucket"]})
        world["buckets"] = [{"name": "lake", "owner": account, "region": REGION, "deny": [
            {"principal": "*:user/*", "actions": ["s3:Put*"], "prefix": "closed/"}]}]
        return world

    flags = ()

    def test_bucket_rule(self):
        self.assertEqual([self.put("closed/k"), self.put("open/k")], [403, 200])
        self.assertEqual(self.raw("GET", "/lake/closed/k")[0], 404)

    def test_role_without_the_right_to_list_learns_nothing(self):
        role = {"role": self.world["roles"][-1]["arn"], "external_id": None}
        keys = self.session(role)
        self.assertEqual(self.raw("GET", "/lake/k", keys=keys)[0], 403)
        self.assertEqual(self.raw("GET", "/lake?list-type=2", keys=keys)[0], 403)
        self.assertEqual(self.raw("PUT", "/lake/k", keys=keys)[0], 200)

    def session(self, role):
        fields = {"RoleArn": role["role"], "RoleSessionName": "test"}
        keys = self.sts("AssumeRole", **fields)[2].decode()
        return type(self.base)(*(keys.split(f"<{name}>")[1].split("<")[0]
                                 for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")))


class Listing(S3Case):
    def fill(self, *keys):
        for key in keys:
            self.s3.put_object(Bucket="lake", Key=key, Body=key.encode())

    def keys(self, **arguments):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket="lake", **arguments)
        pages = list(pages)
        return ([row["Key"] for page in pages for row in page.get("Contents", [])],
                [row["Prefix"] for page in pages for row in page.get("CommonPrefixes", [])], len(pages))

    def test_pages_prefixes_and_delimiters(self):
        keys = [f"t={n}/dt={day}/o {n}&<é>" for n in range(3) for day in range(4)] + ["top", "\x01odd", "z\U0001f600"]
        self.fill(*keys)
        self.assertEqual(self.keys()[:2], (sorted(keys), []))
        self.assertEqual(self.keys(PaginationConfig={"PageSize": 4}), (sorted(keys), [], 4))
        self.assertEqual(self.keys(Prefix="t=1/")[0], [key for key in keys if key.startswith("t=1/")])
        groups = [f"t=1/dt={day}/" for day in range(4)]
        for size in (1, 2, 1000):
            self.assertEqual(self.keys(Prefix="t=1/", Delimiter="/", PaginationConfig={"PageSize": size})[:2],
                             ([], groups))
        self.assertEqual(self.keys(Delimiter="/", PaginationConfig={"PageSize": 2})[:2],
                         (["\x01odd", "top", "z\U0001f600"], ["t=0/", "t=1/", "t=2/"]))
        self.assertEqual(self.keys(StartAfter="t=2/dt=2/o 2&<é>")[0], sorted(keys)[-3:])

    def test_token_is_checked(self):
        self.fill("a", "b")
        token = self.s3.list_objects_v2(Bucket="lake", MaxKeys=1)["NextContinuationToken"]
        self.assert_code("InvalidArgument", self.s3.list_objects_v2, Bucket="lake", Prefix="b", MaxKeys=1,
                         ContinuationToken=token)
        body = self.raw("GET", "/lake?list-type=2&max-keys=1&prefix=")[2].decode()
        self.assertIn("<IsTruncated>true</IsTruncated>", body)
        self.assertIn('<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">', body)


class Multipart(S3Case):
    def upload(self, key, parts, checksum=None, **more):
        """(upload id, the parts as Complete wants them) of an upload that is not yet completed."""
        named = {"ChecksumAlgorithm": checksum} if checksum else {}
        upload = self.s3.create_multipart_upload(Bucket="lake", Key=key, **named, **more)["UploadId"]
        done = []
        for number, body in enumerate(parts, 1):
            answer = self.s3.upload_part(Bucket="lake", Key=key, UploadId=upload, PartNumber=number, Body=body, **named)
            done.append({"PartNumber": number, "ETag": answer["ETag"]})
            if checksum:
                done[-1][f"Checksum{checksum}"] = answer[f"Checksum{checksum}"]
        return upload, done

    def complete(self, key, upload, parts):
        return self.s3.complete_multipart_upload(Bucket="lake", Key=key, UploadId=upload,
                                                 MultipartUpload={"Parts": parts})

    def test_parts_become_one_object(self):
        bodies = [os.urandom(5 * MIB), os.urandom(5 * MIB + 1), b"end"]
        upload, parts = self.upload("big", bodies, "SHA256", Metadata={"a": "b"}, ServerSideEncryption="AES256")
        self.assertEqual(self.count("open_uploads"), 1)
        listed = self.s3.list_parts(Bucket="lake", Key="big", UploadId=upload, MaxParts=2)
        self.assertEqual([(part["PartNumber"], part["Size"]) for part in listed["Parts"]],
                         [(1, 5 * MIB), (2, 5 * MIB + 1)])
        self.assertTrue(listed["IsTruncated"])
        self.assertEqual(self.s3.list_multipart_uploads(Bucket="lake")["Uploads"][0]["UploadId"], upload)
        done = self.complete("big", upload, parts)
        digests = b"".join(hashlib.md5(body).digest() for body in bodies)
        self.assertEqual(done["ETag"], f'"{hashlib.md5(digests).hexdigest()}-3"')
        joined = hashlib.sha256(b"".join(hashlib.sha256(b).digest() for b in bodies)).digest()
        self.assertEqual(done["ChecksumSHA256"], f"{b64(joined)}-3")
        got = self.s3.get_object(Bucket="lake", Key="big")
        self.assertEqual((got["Body"].read(), got["Metadata"]), (b"".join(bodies), {"a": "b"}))
        self.assert_code("NoSuchUpload", self.complete, key="big", upload=upload, parts=parts)
        self.assertEqual((self.count("open_uploads"), self.count("puts"), self.violations()), (0, 1, 0))

    def test_what_complete_refuses(self):
        upload, parts = self.upload("k", [b"small", b"end"])
        self.assert_code("EntityTooSmall", self.complete, key="k", upload=upload, parts=parts)
        self.assert_code("InvalidPartOrder", self.complete, key="k", upload=upload, parts=parts[::-1])
        self.assert_code("InvalidPart", self.complete, key="k", upload=upload, parts=[{**parts[0], "ETag": '"x"'}])
        self.assert_code("MalformedXML", self.complete, key="k", upload=upload, parts=[])
        self.s3.abort_multipart_upload(Bucket="lake", Key="k", UploadId=upload)
        self.assert_code("NoSuchUpload", self.s3.abort_multipart_upload, Bucket="lake", Key="k", UploadId=upload)

    def test_checksums_of_parts(self):
        upload, parts = self.upload("k", [b"end"], "CRC32")
        self.assert_code("InvalidRequest", self.s3.upload_part, Bucket="lake", Key="k", UploadId=upload, PartNumber=2,
                         Body=b"x")
        self.assert_code("InvalidRequest", self.complete, key="k", upload=upload,
                         parts=[{"PartNumber": 1, "ETag": parts[0]["ETag"]}])
        wrong = {**parts[0], "ChecksumCRC32": b64(b"\0\0\0\0")}
        self.assert_code("InvalidPart", self.complete, key="k", upload=upload, parts=[wrong])
        self.assertTrue(self.complete("k", upload, parts)["ChecksumCRC32"].endswith("-1"))

    def raw_complete(self, key, upload, parts, **headers):
        rows = "".join(f"<Part><PartNumber>{row['PartNumber']}</PartNumber><ETag>{row['ETag']}</ETag></Part>"
                       for row in parts)
        body = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
        return self.raw("POST", f"/lake/{key}?uploadId={upload}", body, headers)

    def test_conditions_on_complete(self):
        (first, parts), (second, _) = self.upload("k", [b"1"]), self.upload("k", [b"1"])
        self.assertEqual(self.raw_complete("k", first, parts, **{"If-None-Match": "*"})[0], 200)
        self.assertEqual(self.raw_complete("k", second, parts, **{"If-None-Match": "*"})[0], 412)
        self.assertEqual(self.count("open_uploads"), 1)
        self.faults({"match": {"operation": "CompleteMultipartUpload"}, "kind": "s3-conflict", "times": 1})
        self.assertEqual(self.raw_complete("k", second, parts)[0], 409)
        self.assertEqual(self.raw_complete("k", second, parts)[0], 404)  # a conflict voids the upload
        third, parts = self.upload("k", [b"12"])
        self.assertEqual(self.raw_complete("k", third, parts, **{"x-amz-mp-object-size": "3"})[0], 400)
        self.assertEqual(self.raw_complete("k", third, parts, **{"x-amz-mp-object-size": "2"})[0], 200)

    def test_error_under_status_200(self):
        upload, parts = self.upload("k", [b"1"])
        self.faults({"kind": "s3-late-error", "times": 1}, {"kind": "s3-late-error", "times": 1, "effect": True})
        status, _, body = self.raw_complete("k", upload, parts)
        self.assertEqual((status, b"<Error><Code>InternalError</Code>" in body), (200, True))
        self.assertEqual(self.count("objects"), 0)
        self.raw_complete("k", upload, parts)
        self.assertEqual(self.count("objects"), 1)

    def test_full_object_checksum(self):
        body = self.raw("POST", "/lake/k?uploads", headers={"x-amz-checksum-algorithm": "CRC32C",
                                                            "x-amz-checksum-type": "FULL_OBJECT"})[2].decode()
        upload = body.split("<UploadId>")[1].split("<")[0]
        crc = b64(checksums.crc32c(b"end").to_bytes(4, "big"))
        _, headers, _ = self.raw("PUT", f"/lake/k?partNumber=1&uploadId={upload}", b"end",
                                 {"x-amz-checksum-crc32c": crc})
        body = self.raw_complete("k", upload, [{"PartNumber": 1, "ETag": headers["ETag"]}])[2].decode()
        self.assertIn(f"<ChecksumCRC32C>{crc}</ChecksumCRC32C><ChecksumType>FULL_OBJECT</ChecksumType>", body)


class Faults(S3Case):
    def test_no_kind_breaks_the_standin_itself(self):
        upload = self.s3.create_multipart_upload(Bucket="lake", Key="m")["UploadId"]
        calls = (("PUT", "/lake/k", b"x"), ("GET", "/lake/k", b""), ("HEAD", "/lake/k", b""),
                 ("GET", "/lake?list-type=2", b""), ("POST", f"/lake/m?uploadId={upload}", b"<x/>"))
        for kind in KINDS:
            self.faults({"kind": kind, "ms": 1, "interval_ms": 0, "chunk": 1000})
            for call in calls:
                try:
                    self.assertNotEqual(self.raw(*call)[0], 599, kind)
                except (OSError, HTTPException):
                    pass  # what the kind is for: a broken connection or a cut body


class Restart(S3Case):
    def test_objects_and_uploads_outlive_a_kill(self):
        state = tempfile.mkdtemp(dir=self.folder.name)
        arguments = (*self.arguments, "--state-dir", state)
        first, mine = Daemon(tempfile.mkdtemp(dir=self.folder.name), *arguments), self.daemon
        self.addCleanup(setattr, type(self), "daemon", mine)
        type(self).daemon = first
        self.put("k", b"1")
        self.put("k", b"2")
        client = self.client()
        upload = client.create_multipart_upload(Bucket="lake", Key="m")["UploadId"]
        etag = client.upload_part(Bucket="lake", Key="m", UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
        first.stop(signal.SIGKILL)
        second = Daemon(tempfile.mkdtemp(dir=self.folder.name), *arguments)
        self.addCleanup(second.stop)
        type(self).daemon = second
        client = self.client()
        client.complete_multipart_upload(Bucket="lake", Key="m", UploadId=upload,
                                         MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
        rows = second.control("s3/objects")
        self.assertEqual([(row["key"], row["size"], row["overwrites"]) for row in rows], [("k", 1, 1), ("m", 4, 0)])
        self.assertEqual(client.get_object(Bucket="lake", Key="k")["Body"].read(), b"2")


if __name__ == "__main__":
    unittest.main()
