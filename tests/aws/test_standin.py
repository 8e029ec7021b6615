#!/usr/bin/python3
"""Tests of the stand-in itself, with botocore as the second opinion: a judge must be judged first."""
import json
import math
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from http.client import HTTPException, IncompleteRead

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

from botocore.auth import SigV4Auth  # noqa: E402
from botocore.awsrequest import AWSRequest  # noqa: E402
from botocore.credentials import Credentials as Keys  # noqa: E402

from standin import cbor, prompb, sigv4, snappy  # noqa: E402
from standin.faults import KINDS  # noqa: E402
from standin.receiver import STALE  # noqa: E402
from standin.truth import Truth  # noqa: E402
from standin.wire import Request  # noqa: E402
from standin.world import World, generate  # noqa: E402
from testing import (HEADERS, NOW, REGION, START, TARGET, Case, Daemon, chunk, send, signed,  # noqa: E402
                     write_request)

try:
    import boto3
    from botocore.config import Config
except ImportError:
    boto3 = None


def question(series, start=START, end=NOW, period=60, stat="Average", **more):
    """A GetMetricData for these series."""
    return {"StartTime": start, "EndTime": end, **more, "MetricDataQueries": [
        {"Id": f"q{number}", "MetricStat": {"Period": period, "Stat": stat, "Metric": {
            "Namespace": one.namespace, "MetricName": one.metric,
            "Dimensions": [{"Name": name, "Value": value} for name, value in one.dimensions]}}}
        for number, one in enumerate(series)]}


class CentralKeys(Case):
    """What instances, containers and web identities get: keys that sign, for those who show the right token."""
    ROLES = "/latest/meta-data/iam/security-credentials/"

    def get(self, path, **headers):
        return send("GET", self.daemon.url + path, {name.replace("_", "-"): value for name, value in headers.items()})

    def assert_signs(self, document):
        keys = Keys(document["AccessKeyId"], document["SecretAccessKey"], document["Token"])
        status, _, body = self.sts("GetCallerIdentity", keys)
        self.assertEqual(status, 200, body)
        self.assertIn(f"assumed-role/{self.world.central['user']}/", body.decode())

    def test_instance(self):
        url = self.daemon.url + "/latest/api/token"
        self.assertEqual(send("GET", url, {})[0], 403)
        self.assertEqual(send("PUT", url, {})[0], 400)
        self.assertEqual(send("PUT", url, {"X-aws-ec2-metadata-token-ttl-seconds": "21601"})[0], 400)
        token = send("PUT", url, {"X-aws-ec2-metadata-token-ttl-seconds": "60"})[2].decode()
        before = self.violations()
        self.assertEqual(self.get(self.ROLES)[0], 401)
        self.assertEqual(self.violations(), before + 1, "version 1 is what no correct client asks for")
        role = self.get(self.ROLES, x_aws_ec2_metadata_token=token)[2].decode()
        self.assert_signs(json.loads(self.get(self.ROLES + role, x_aws_ec2_metadata_token=token)[2]))
        self.assertEqual(self.get(self.ROLES + "another", x_aws_ec2_metadata_token=token)[0], 404)

    def test_container(self):
        self.assertEqual(self.get("/container-creds/central", Authorization="wrong")[0], 401)
        token = self.world.central_token("container")
        self.assert_signs(json.loads(self.get("/container-creds/central", Authorization=token)[2]))
        self.assert_signs(json.loads(self.get("/v2/credentials/central")[2]))

    def test_web_identity(self):
        form = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=test&RoleArn={}&WebIdentityToken={}"
        for role, token, expected in ((self.world.central_role, "wrong", 400), (self.tenant["role"], None, 403),
                                      (self.world.central_role, None, 200)):
            body = form.format(role, token or self.world.central_token("web")).encode()
            status, _, answer = send("POST", self.daemon.url + "/", {"Content-Type": "application/x-www-form-urlencoded"},
                                     body)
            self.assertEqual(status, expected, answer)
        names = {"AccessKeyId": "AccessKeyId", "SecretAccessKey": "SecretAccessKey", "Token": "SessionToken"}
        self.assert_signs({name: re.search(f"<{tag}>(.*?)</{tag}>", answer.decode())[1] for name, tag in names.items()})


class Signatures(Case):
    def test_own_computation_agrees_with_botocore(self):
        cases = (("GET", "/", "", {}), ("GET", "/a%20b//c/../d/", "Param2=v%2F2&Param1=v1&x", {}),
                 ("POST", "/workspaces/ws-1/api/v1/remote_write", "", {"content-type": "  a   b ; c  "}),
                 ("GET", "/rule%20s/%C3%A9~x", "A=1&A=0&a=~-_.", {"x-amz-target": "T.Op"}))
        for method, path, query, headers in cases:
            keys = Keys("AKID", "SECRET", "TOKEN/+=")
            url = f"http://127.0.0.1:4566{path}" + (f"?{query}" if query else "")
            theirs = AWSRequest(method, url, dict(headers), b"body")
            SigV4Auth(keys, "service", REGION).add_auth(theirs)
            have = {name.lower(): str(value).strip() for name, value in theirs.headers.items()}
            ours = Request(method, path, query, {"host": "127.0.0.1:4566", **have}, b"body")
            claim = sigv4.read_claim(ours.headers)
            sigv4.check(ours, claim, "SECRET", "service", time.time())  # raises if they differ

    def test_published_vector(self):
        request = Request("GET", "/", "Param2=value2&Param1=value1",
                          {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"}, b"")
        claim = sigv4.Claim("AKIDEXAMPLE", "20150830", "us-east-1", "service", ("host", "x-amz-date"), "",
                            "20150830T123600Z")
        empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        canonical = sigv4.canonical_request(request, claim.signed, empty)
        self.assertEqual(sigv4.signature("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", claim, canonical),
                         "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500")

    def test_wrong_secret_is_refused_in_each_protocols_shape(self):
        bad = Keys(self.base.access_key, "x" * 40)
        status, _, body = self.sts("GetCallerIdentity", bad)
        self.assertEqual(status, 403)
        self.assertIn(b"<Code>SignatureDoesNotMatch</Code>", body)
        status, headers, body = self.metrics("ListMetrics", bad, {})
        self.assertEqual((status, headers["x-amzn-query-error"]), (403, "SignatureDoesNotMatch;Sender"))
        self.assertTrue(body["__type"].endswith("#InvalidSignatureException"))
        self.assertEqual(self.violations(), 2)

    def test_changed_body_scope_and_date_are_refused(self):
        body = b"Action=GetCallerIdentity&Version=2011-06-15"
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        good = signed(self.daemon.url + "/", self.base, "sts", REGION, body, form)
        self.assertEqual(send("POST", self.daemon.url + "/", good, body)[0], 200)
        self.assertEqual(send("POST", self.daemon.url + "/", good, body + b"&a=b")[0], 403)
        wrong = signed(self.daemon.url + "/", self.base, "monitoring", REGION, body, form)
        self.assertIn(b"correct service", send("POST", self.daemon.url + "/", wrong, body)[2])
        self.daemon.control("skew", {"seconds": 400})
        status, headers, answer = send("POST", self.daemon.url + "/", good, body)
        self.daemon.control("skew", {"seconds": 0})
        self.assertEqual(status, 403)
        self.assertIn(b"Signature expired: ", answer)
        self.assertIn(b"- 5 min.)", answer)
        self.assertGreater(email_time(headers["Date"]), time.time() + 390)

    def test_unsigned_and_unknown_keys_are_refused(self):
        status, _, body = send("POST", self.daemon.url + "/", {
            "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": TARGET + "ListMetrics"}, b"{}")
        self.assertEqual((status, "MissingAuthentication" in body.decode()), (403, True))
        status, _, body = self.metrics("ListMetrics", Keys("AKIANOBODY", "x"), {})
        self.assertTrue(body["__type"].endswith("UnrecognizedClientException"))


def email_time(text):
    return time.mktime(time.strptime(text, "%a, %d %b %Y %H:%M:%S GMT")) - time.timezone


class Sts(Case):
    def test_session_belongs_to_the_tenant(self):
        status, headers, body = self.sts("GetCallerIdentity", self.session())
        self.assertEqual(status, 200)
        self.assertIn(f"<Account>{self.tenant['account']}</Account>".encode(), body)
        self.assertIn(b":assumed-role/muster-reader/test<", body)
        self.assertTrue(headers["x-amzn-RequestId"])
        self.assertEqual(self.violations(), 0)

    def test_a_role_is_made_and_given_rights_while_it_runs(self):
        role = {"arn": self.tenant["role"].replace("role/", "role/new-"), "external_id": "given"}
        asked = {"RoleArn": role["arn"], "ExternalId": "given"}
        self.assertEqual(self.assume(**asked)[0], 403)
        self.daemon.control("role", {**role, "allow": []})
        keys = self.session({"role": role["arn"], "external_id": "given"})
        self.assertEqual(self.assume(**{**asked, "ExternalId": "another"})[0], 403)
        self.assertEqual(self.metrics("ListMetrics", keys, {})[0], 403)
        self.daemon.control("role", {**role, "allow": ["cloudwatch:ListMetrics"]})
        self.assertEqual(self.metrics("ListMetrics", keys, {})[0], 200)

    def test_wrong_external_id_and_unknown_role_are_told_alike(self):
        answers = [self.assume(ExternalId="other"), self.assume(RoleArn=self.tenant["role"] + "x")]
        answers.append(self.sts("AssumeRole", RoleArn=self.tenant["role"], RoleSessionName="test"))
        for status, _, answer in answers:
            self.assertEqual(status, 403)
            self.assertRegex(answer.decode(), "<Code>AccessDenied</Code><Message>User: .* is not authorized to "
                                              "perform: sts:AssumeRole on resource: ")

    def test_parameters_are_checked(self):
        for fields in ({"RoleSessionName": "x"}, {"RoleSessionName": "a b"}, {"ExternalId": "a b"},
                       {"DurationSeconds": 899}, {"DurationSeconds": 3601}, {"SourceIdentity": "!"}):
            status, _, body = self.assume(**fields)
            self.assertEqual(status, 400, fields)
            self.assertIn(b"<Code>ValidationError</Code>", body)

    def test_session_expires_and_outlives_a_restart(self):
        keys = self.session()
        self.daemon.control("ttl", {"seconds": 0})
        dead = self.session()
        status, _, body = self.sts("GetCallerIdentity", dead)
        self.assertEqual((status, b"<Code>ExpiredToken</Code>" in body), (403, True))
        self.assertTrue(self.metrics("ListMetrics", dead, {})[2]["__type"].endswith("ExpiredTokenException"))
        self.daemon.stop(signal.SIGKILL)
        type(self).daemon = Daemon(self.folder.name, *self.arguments)
        self.assertEqual(self.sts("GetCallerIdentity", keys)[0], 200)

    def test_damaged_token_is_refused(self):
        keys = self.session()
        forged = Keys(keys.access_key, keys.secret_key, "A" + keys.token[1:])
        self.assertIn(b"InvalidClientTokenId", self.sts("GetCallerIdentity", forged)[2])


class CloudWatch(Case):
    def setUp(self):
        super().setUp()
        self.keys = self.session()
        self.truth = Truth(self.world)
        self.all = list(self.truth.catalogue(self.tenant["account"], REGION).values())

    def pages(self, value):
        """All pages merged by Id, and how many there were."""
        found, count, token = {}, 0, {}
        while True:
            status, _, answer = self.metrics("GetMetricData", self.keys, {**value, **token})
            self.assertEqual(status, 200, answer)
            count += 1
            for row in answer["MetricDataResults"]:
                times, values, _ = found.get(row["Id"], ([], [], None))
                found[row["Id"]] = (times + row["Timestamps"], values + row["Values"], row["StatusCode"])
            if "NextToken" not in answer:
                return found, count
            token = {"NextToken": answer["NextToken"]}

    def check(self, period, stat, **more):
        found, count = self.pages(question(self.all, period=period, stat=stat, **more))
        for number, series in enumerate(self.all):
            times, values = self.truth.points(series, START, NOW, period, stat, NOW)
            if more.get("ScanBy") != "TimestampAscending":
                times, values = times[::-1], values[::-1]
            self.assertEqual(found[f"q{number}"], (times, values, "Complete"))
        return count

    def test_paging_gives_the_truth(self):
        self.assertGreater(self.check(60, "Average", MaxDatapoints=100, ScanBy="TimestampAscending"), 40)
        self.assertGreater(self.check(60, "Sum", MaxDatapoints=999), 1)
        self.assertEqual(self.check(60, "p99.5"), 1)
        self.assertEqual(self.check(300, "Maximum", ScanBy="TimestampAscending"), 1)
        self.assertEqual(self.violations(), 0)

    def test_list_metrics_filters(self):
        def listed(**value):
            return self.metrics("ListMetrics", self.keys, value)[2]["Metrics"]
        self.assertEqual(len(listed()), len([one for one in self.all if one.since <= NOW]))
        self.assertEqual(len(listed(Namespace="Checkout", Dimensions=[{"Name": "Environment"}])), 6)
        both = listed(Namespace="AWS/ECS", MetricName="CPUUtilization", Dimensions=[{"Name": "ClusterName"}])
        self.assertTrue(all(len(metric["Dimensions"]) == 2 for metric in both))
        self.assertIn([], [metric["Dimensions"] for metric in listed(Namespace="Checkout")])

    def test_list_metrics_pages(self):
        large = Daemon(tempfile.mkdtemp(dir=self.folder.name), "--tenants", 1, "--clusters", 4, "--services", 8,
                       "--seed", 7, "--now", NOW)
        self.addCleanup(large.stop)
        world = World(generate(1, 7, [REGION], 8, clusters=4))
        small, type(self).daemon = self.daemon, large
        self.addCleanup(setattr, type(self), "daemon", small)
        self.base, tenant = Keys(world.central["access_key"], world.central["secret_key"]), world.tenants[0]
        keys, names, token = self.session(tenant), [], {}
        while True:
            answer = self.metrics("ListMetrics", keys, token)[2]
            self.assertLessEqual(len(answer["Metrics"]), 500)
            names += [json.dumps(metric) for metric in answer["Metrics"]]
            if "NextToken" not in answer:
                break
            token = {"NextToken": answer["NextToken"]}
        self.assertEqual(len(set(names)), len(Truth(world).catalogue(tenant["account"], REGION)))
        self.assertGreater(len(names), 500)

    def test_what_is_not_there_is_empty_and_complete(self):
        value = question(self.all[:1])
        value["MetricDataQueries"][0]["MetricStat"]["Metric"]["Dimensions"].append({"Name": "x", "Value": "y"})
        row = self.metrics("GetMetricData", self.keys, value)[2]["MetricDataResults"][0]
        self.assertEqual((row["Timestamps"], row["StatusCode"]), ([], "Complete"))

    def test_the_data_clock_hides_what_comes_later(self):
        series = next(one for one in self.all if one.until == math.inf and one.since < START)
        before = self.pages(question([series], ScanBy="TimestampAscending"))[0]["q0"][0]
        self.assertLessEqual(before[-1], NOW - self.world["delay"])
        self.daemon.control("now", {"advance": 7200})
        after = self.pages(question([series], ScanBy="TimestampAscending"))[0]["q0"][0]
        self.daemon.control("now", {"now": NOW})
        self.assertGreater(len(after), len(before))  # the late ones have come
        self.assertEqual(after, self.truth.points(series, START, NOW)[0])

    def refused(self, code, value):
        status, headers, body = self.metrics("GetMetricData", self.keys, value)
        self.assertEqual((status, headers["x-amzn-query-error"].split(";")[0]), (400, code), body)

    def test_what_aws_refuses_is_refused(self):
        one = self.all[:1]
        self.refused("ValidationError", question(self.all * 12))
        self.refused("ValidationError", question(one, start=NOW, end=NOW))
        self.refused("ValidationError", question(one, MaxDatapoints=100801))
        self.refused("ValidationError", question(one, stat="Mean"))
        self.refused("InvalidParameterValue", question(one, period=61))
        self.refused("SerializationException", question(one, start="2026-01-01T00:00:00Z"))
        self.refused("ValidationError", {**question(one), "MetricDataQueries": [{"Id": "a", "Expression": "1"}]})
        twice = question(one + one)
        twice["MetricDataQueries"][1]["Id"] = "q0"
        self.refused("ValidationError", twice)
        twice["MetricDataQueries"][1]["Id"] = "Q1"
        self.refused("ValidationError", twice)
        self.assertEqual(self.violations(), 9)

    def computed(self, *queries, refuse=False):
        """[(id, label, {time: value})] of queries with expressions, from START on for an hour."""
        value = {"MetricDataQueries": list(queries), "StartTime": START, "EndTime": START + 3600,
                 "ScanBy": "TimestampAscending"}
        status, _headers, body = self.metrics("GetMetricData", self.keys, value)
        if refuse:
            self.assertEqual(status, 400)
            return body["message"]
        return [(row["Id"], row["Label"], dict(zip(row["Timestamps"], row["Values"])))
                for row in body["MetricDataResults"]]

    def hidden(self, name, series, stat="Sum"):
        return {**question([series], stat=stat)["MetricDataQueries"][0], "Id": name, "ReturnData": False}

    def truly(self, series, stat="Sum"):
        times, values = self.truth.points(series, START, START + 3600, 60, stat, NOW)
        return dict(zip(times, values))

    def test_expressions_are_computed(self):
        one, two = self.all[:2]
        inputs = self.hidden("a", one), self.hidden("b", two)
        x, y = self.truly(one), self.truly(two)
        both = sorted(x.keys() & y.keys())
        either = sorted(x.keys() | y.keys())
        for text, expected in (
                ("100 * a / (a + b)", {t: 100 * x[t] / (x[t] + y[t]) for t in both}),
                ("a - b * 2 ^ 2", {t: x[t] - y[t] * 4 for t in both}),
                ("SUM([a, b])", {t: x.get(t, 0) + y.get(t, 0) for t in either}),
                ("FILL(a, 7)", {t: x.get(t, 7) for t in range(START, START + 3600, 60)}),
                ("IF(a > b, a, 0)", {t: x[t] if x[t] > y[t] else 0 for t in both}),
                ("RATE(a)", {t: (x[t] - x[s]) / (t - s) for s, t in zip(sorted(x), sorted(x)[1:])})):
            with self.subTest(text):
                self.assertEqual(self.computed(*inputs, {"Id": "e", "Expression": text}), [("e", "e", expected)])

    def test_search_finds_by_namespace_dimensions_and_words(self):
        wanted = [one for one in self.all if one.metric == "CpuUtilized"
                  and [name for name, _ in one.dimensions] == ["ClusterName", "ServiceName"] and one.since <= NOW]
        query = {"Id": "e", "Label": "${PROP('MetricName')}|${PROP('Dim.ServiceName')}|${PROP('AccountId')}|${PROP('x')}",
                 "Expression": "SEARCH('{ECS/ContainerInsights,ServiceName,ClusterName} CpuUtilized', 'Sum', 60)"}
        self.assertEqual(
            sorted(self.computed(query), key=str),
            sorted((("e", f"CpuUtilized|{dict(one.dimensions)['ServiceName']}|{one.account}|${{PROP('x')}}",
                     self.truly(one)) for one in wanted), key=str))
        total = self.computed({**query, "Expression": f"SUM({query['Expression']})"})[0][2]
        self.assertEqual(total, {t: sum(self.truly(one).get(t, 0) for one in wanted)
                                 for one in wanted for t in self.truly(one)})
        self.assertEqual(self.computed({**query, "Expression": query["Expression"].replace("CpuU", "NoU")}), [])

    def test_bad_expressions_are_refused_by_name(self):
        for text in ("a +", "NOPE(a)", "b", "1", "SUM(a)", "e", "a a", "a ? 1"):
            with self.subTest(text):
                said = self.computed(self.hidden("a", self.all[0]), {"Id": "e", "Expression": text}, refuse=True)
                self.assertIn("Error in expression 'e'", said)

    def test_token_is_bound_to_its_request(self):
        value = question(self.all, MaxDatapoints=50)
        token = self.metrics("GetMetricData", self.keys, value)[2]["NextToken"]
        self.refused("InvalidNextToken", {**value, "MaxDatapoints": 51, "NextToken": token})
        self.refused("InvalidNextToken", {**value, "NextToken": token[:-8] + "AAAAAAA="})

    def test_query_protocol_answers_the_same(self):
        fields = {"Action": "GetMetricData", "StartTime": iso(START), "EndTime": iso(NOW)}
        series = self.all[1]
        stem = "MetricDataQueries.member.1"
        fields |= {f"{stem}.Id": "a", f"{stem}.MetricStat.Stat": "Sum", f"{stem}.MetricStat.Period": 60,
                   f"{stem}.MetricStat.Metric.Namespace": series.namespace,
                   f"{stem}.MetricStat.Metric.MetricName": series.metric}
        for number, (name, value) in enumerate(series.dimensions, 1):
            fields[f"{stem}.MetricStat.Metric.Dimensions.member.{number}.Name"] = name
            fields[f"{stem}.MetricStat.Metric.Dimensions.member.{number}.Value"] = value
        status, _, body = self.query(self.keys, "monitoring", "2010-08-01", **fields)
        self.assertEqual(status, 200, body)
        values = re.search(r"<Values>(.*?)</Values>", body.decode())[1]
        have = [float(value) for value in re.findall("<member>(.*?)</member>", values)]
        self.assertEqual(have, self.truth.points(series, START, NOW, 60, "Sum", NOW)[1][::-1])

    def cbor(self, operation, value, **more):
        url = f"{self.daemon.url}/service/GraniteServiceVersion20100801/operation/{operation}"
        body = cbor.dumps(value)
        headers = signed(url, self.keys, "monitoring", REGION, body, {"Content-Type": "application/cbor", **more})
        return send("POST", url, headers, body)

    def test_cbor_answers_the_same(self):
        spoken = {"smithy-protocol": "rpc-v2-cbor"}
        series = self.all[1]
        stat = {"Metric": {"Namespace": series.namespace, "MetricName": series.metric,
                           "Dimensions": [{"Name": name, "Value": value} for name, value in series.dimensions]},
                "Period": 60, "Stat": "Sum"}
        value = {"MetricDataQueries": [{"Id": "a", "MetricStat": stat}], "StartTime": START, "EndTime": NOW}
        json_rows = self.metrics("GetMetricData", self.keys, value)[2]["MetricDataResults"]
        status, headers, body = self.cbor("GetMetricData", {**value, "StartTime": cbor.Instant(START),
                                                            "EndTime": cbor.Instant(NOW)}, **spoken)
        self.assertEqual((status, headers["smithy-protocol"]), (200, "rpc-v2-cbor"))
        rows = cbor.loads(body)["MetricDataResults"]
        self.assertEqual(rows, json_rows)
        self.assertTrue(all(isinstance(time, cbor.Instant) for time in rows[0]["Timestamps"]))
        status, headers, body = self.cbor("GetMetricData", value, **spoken)  # times without their tag
        self.assertEqual((status, cbor.loads(body)["__type"]), (400, "com.amazonaws.standin#SerializationException"))
        status, headers, _ = self.cbor("ListMetrics", {})  # without the header it is no protocol
        self.assertEqual((status, headers["x-amzn-ErrorType"]), (404, "UnknownOperationException"))

    def test_cbor_reads_what_it_writes(self):
        values = [0, 1, -1, 23, 24, 255, 256, -500, 1 << 40, 0.1, 1.5, -2.0, 1e300, "", "é", "x" * 300, None, True, False,
                  [], {}, {"a": [1, {"b": "c"}]}]
        for compact in (False, True):
            self.assertEqual(cbor.loads(cbor.dumps(values, compact)), values)
            whole = cbor.dumps(values, compact)
            for cut in range(len(whole)):
                self.assertRaises(ValueError, cbor.loads, whole[:cut])
        self.assertEqual(cbor.loads(b"\x7f\x61a\x61b\xff"), "ab")
        self.assertEqual(cbor.loads(b"\xf9\x3c\x00"), 1.0)

    @unittest.skipUnless(boto3, "python3-boto3 is not installed")
    def test_boto3_is_satisfied(self):
        client = boto3.client("cloudwatch", endpoint_url=self.daemon.url, region_name=REGION,
                              aws_access_key_id=self.keys.access_key, aws_secret_access_key=self.keys.secret_key,
                              aws_session_token=self.keys.token, config=Config(retries={"max_attempts": 1}))
        listed = client.get_paginator("list_metrics").paginate(Namespace="Checkout").build_full_result()["Metrics"]
        self.assertEqual(len(listed), 7)
        self.addCleanup(client.close)
        queries = [{"Id": f"a{number}", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Average"}}
                   for number, metric in enumerate(listed)]
        pages = client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries, StartTime=START, EndTime=NOW, PaginationConfig={"PageSize": 100})
        points = sum(len(row["Values"]) for page in pages for row in page["MetricDataResults"])
        self.assertEqual(points, sum(len(self.truth.points(one, START, NOW, now=NOW)[0])
                                     for one in self.all if one.namespace == "Checkout"))
        with self.assertRaises(client.exceptions.ClientError):
            client.get_metric_data(MetricDataQueries=queries[:1], StartTime=NOW, EndTime=START)
        self.assertEqual(self.violations(), 1)


def iso(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Values(unittest.TestCase):
    """The truth by itself."""

    def setUp(self):
        self.truth = Truth(World(generate(1, 3, [REGION], 3)))
        self.all = [series for _, series in self.truth.series()]

    def test_statistics_agree_with_each_other(self):
        for series in self.all:
            for _, count, total, low, high in self.truth.minutes(series, START, START + 3600):
                self.assertLessEqual(low * count, total)
                self.assertLessEqual(total, high * count)
                self.assertEqual(total * 128, int(total * 128))  # dyadic: sums are exact

    def test_longer_periods_are_the_sum_of_minutes(self):
        for series in self.all[::7]:
            minutes = self.truth.points(series, START, START + 3600, 60, "Sum")[1]
            self.assertEqual(sum(minutes), sum(self.truth.points(series, START, START + 3600, 300, "Sum")[1]))

    def test_cumulative_metrics_only_grow(self):
        grows = [series for series in self.all if series.kind == "counter"]
        for series in grows:
            values = self.truth.points(series, START, START + 3600)[1]
            self.assertEqual(values, sorted(values))
        self.assertTrue(grows)

    def test_gaps_are_about_as_many_as_asked_for(self):
        points = sum(len(self.truth.points(series, START, START + 36000)[0]) for series in self.all)
        self.assertAlmostEqual(points / (600 * len(self.all)), 0.98, places=2)


T = NOW * 1000


def labels(name="up", **more):
    return (("__name__", name), *sorted(more.items()))


class RemoteWrite(Case):
    flags = ("--rw-max-age", 3600)

    def setUp(self):
        super().setUp()
        self.daemon.control("rw/reset", method="POST")
        self.daemon.control("rw/policy", {"mode": "atomic", "window": 0})

    def write(self, *series, headers=HEADERS, body=None):
        status, _, answer = send("POST", self.daemon.url + "/api/v1/write", headers, body or write_request(*series))
        return status, answer.decode()

    def stored(self):
        return {row["labels"]["__name__"]: row["samples"] for row in self.daemon.control("rw/dump")}

    def test_samples_are_kept_in_full(self):
        self.assertEqual(self.write((labels(a="é"), ((T - 1000, 1.5), (T, -0.25))), (labels("b"), ((T, 0.0),)))[0], 204)
        self.assertEqual(self.stored(), {"up": [[T - 1000, 1.5], [T, -0.25]], "b": [[T, 0.0]]})
        self.assertEqual(self.violations(), 0)

    def test_order_and_duplicates_are_judged_as_prometheus_does(self):
        self.write((labels(), ((T - 2000, 1), (T - 1000, 2))))
        self.assertEqual(self.write((labels(), ((T - 1000, 2),)))[0], 204)
        for sample, words in (((T - 1000, 3), "duplicate sample for timestamp"), ((T - 2000, 1), "out of order sample"),
                              ((T - 4000_000, 1), "too old"), ((T + 700_000, 1), "future")):
            status, text = self.write((labels("new"), ((T, 1),)), (labels(), (sample,)))
            self.assertEqual(status, 400)
            self.assertIn(words, text)
        self.assertEqual(list(self.stored()), ["up"])  # the good series of those requests went with the bad
        self.assertEqual(self.daemon.control("rw/stats")["prometheus"]["duplicates"], 1)

    def test_partial_mode_keeps_the_good_samples(self):
        self.daemon.control("rw/policy", {"mode": "partial"})
        self.write((labels(), ((T - 1000, 2),)))
        status, text = self.write((labels(), ((T - 2000, 1), (T, 3))), (labels("new"), ((T, 1),)))
        self.assertEqual(status, 400)
        self.assertEqual(self.stored(), {"up": [[T - 1000, 2], [T, 3]], "new": [[T, 1]]})

    def test_out_of_order_window(self):
        self.daemon.control("rw/policy", {"window": 60})
        self.write((labels(), ((T, 2),)))
        self.assertEqual(self.write((labels(), ((T - 30_000, 1),)))[0], 204)
        self.assertIn("too old", self.write((labels(), ((T - 90_000, 1),)))[1])
        self.assertEqual(self.stored()["up"], [[T - 30_000, 1], [T, 2]])

    def test_bad_labels_are_refused_and_held_against_the_client(self):
        bad = ((("a", "x"), ("__name__", "up")), (("a", "x"),), (("__name__", "up"), ("a", "")),
               (("__name__", "up"), ("a", "x"), ("a", "y")), (("__name__", "up"), ("a-b", "x")), (("__name__", "1"),))
        for number, names in enumerate(bad, 1):
            self.assertEqual(self.write((names, ((T, 1),)))[0], 400, names)
            self.assertEqual(self.violations(), number)
        self.assertEqual(self.stored(), {})

    def test_headers_and_bodies_are_checked(self):
        good = write_request((labels(), ((T, 1),)))
        for name, status in (("Content-Type", 415), ("Content-Encoding", 415),
                             ("X-Prometheus-Remote-Write-Version", 400)):
            self.assertEqual(self.write(body=good, headers={**HEADERS, name: "x"})[0], status)
        self.assertEqual(self.write(body=good[:-1])[0], 400)
        self.assertEqual(self.write((labels(x="y" * 1_000_001), ((T, 1),)))[0], 413)

    def test_workspace_wants_a_signature_of_the_central_account(self):
        url, body = self.daemon.url + "/workspaces/ws-9/api/v1/remote_write", write_request((labels(), ((T, 1),)))
        self.assertEqual(send("POST", url, HEADERS, body)[0], 403)
        self.assertEqual(send("POST", url, signed(url, self.base, "aps", REGION, body, HEADERS), body)[0], 200)
        self.assertEqual(send("POST", url, signed(url, self.session(), "aps", REGION, body, HEADERS), body)[0], 403)
        self.assertEqual(self.daemon.control("rw/dump?db=ws-9")[0]["samples"], [[T, 1.0]])

    def test_alertmanager_of_a_workspace(self):
        url = self.daemon.url + "/workspaces/ws-9/alertmanager/api/v2/alerts"
        good = {"labels": {"alertname": "a"}, "annotations": {"b": "c"}, "startsAt": "2026-01-01T00:00:00.000Z",
                "endsAt": "2026-01-01T00:15:00.000Z"}

        def post(alerts, who, media="application/json"):
            body = json.dumps(alerts).encode()
            return send("POST", url, signed(url, who, "aps", REGION, body, {"Content-Type": media}), body)[0]

        for alerts in ([good], []):
            self.assertEqual(post(alerts, self.base), 200)
            self.assertEqual(post(alerts, self.session()), 403)
        self.assertEqual(post([good], self.base, "text/plain"), 415)
        for bad in (good, [5], [{}], [{"labels": {}}], [{"labels": {"alertname": ""}}], [{"labels": {"a-b": "c"}}],
                    [{"labels": {"alertname": 5}}], [{**good, "state": "x"}], [{**good, "startsAt": "2027"}]):
            self.assertEqual(post([good, *bad] if isinstance(bad, list) else bad, self.base), 400, bad)
        self.assertEqual(self.daemon.control("alerts"), [good])

    def test_samples_outlive_a_restart(self):
        state = os.path.join(self.folder.name, "state")
        for turn in range(2):
            other = Daemon(tempfile.mkdtemp(dir=self.folder.name), *self.arguments, "--state-dir", state)
            body = write_request((labels(), ((T + turn, turn),)))
            self.assertEqual(send("POST", other.url + "/api/v1/write", HEADERS, body)[0], 204)
            dump = other.control("rw/dump")
            other.stop(signal.SIGKILL)
            with open(os.path.join(state, "remote-write.ndjson"), "ab") as file:
                file.write(b'["prometheus",[[[[')  # cut off by the kill
        self.assertEqual(dump[0]["samples"], [[T, 0.0], [T + 1, 1.0]])


class Formats(unittest.TestCase):
    def test_snappy_copies(self):
        # "abcd", then a copy of 8 from 4 back (overlapping), then one of 4 with a two-byte offset
        self.assertEqual(snappy.decompress(b"\x10\x0cabcd\x11\x04\x0e\x0c\x00"), b"abcd" * 4)
        for bad in (b"", b"\x05\x0cabcd", b"\x08\x0cabcd\x11\x09", b"\x04\x0cabc"):
            with self.assertRaises(ValueError):
                snappy.decompress(bad)

    def test_protobuf_of_any_order_and_unknown_fields(self):
        sample = b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" + b"\x09" + struct.pack("<Q", STALE)
        series = chunk(1, chunk(1, b"n") + chunk(9, b"?") + chunk(2, b"v")) + chunk(2, sample) + chunk(2, b"")
        self.assertEqual(prompb.decode(chunk(1, series) + chunk(3, b"m")), [((("n", "v"),), [(-1, STALE), (0, 0)])])
        with self.assertRaises(ValueError):
            prompb.decode(chunk(1, series)[:-1])


class Faults(Case):
    def identity(self):
        return self.sts("GetCallerIdentity")

    def test_rules_choose_their_requests(self):
        self.faults({"match": {"service": "sts"}, "nth": [2, 4], "kind": "http503"},
                    {"match": {"operation": "ListMetrics"}, "kind": "throttle"})
        self.assertEqual([self.identity()[0] for _ in range(5)], [200, 503, 200, 503, 200])
        status, _, body = self.metrics("ListMetrics", self.base, {})
        self.assertEqual((status, body["message"]), (400, "Rate exceeded"))
        self.assertEqual([rule["fired"] for rule in self.daemon.control("faults")], [2, 1])
        self.assertEqual(self.violations(), 0)

    def test_every_and_times(self):
        self.faults({"every": 3, "times": 2, "kind": "expired"})
        self.assertEqual([self.identity()[0] for _ in range(10)], [200, 200, 403] * 2 + [200] * 4)

    def test_broken_deliveries(self):
        for kind, error in (("truncate", IncompleteRead), ("reset-before", OSError), ("reset-after", OSError)):
            self.faults({"kind": kind, "times": 1})
            with self.assertRaises(error):
                self.identity()
            self.assertEqual(self.identity()[0], 200)

    def test_no_kind_breaks_the_standin_itself(self):
        keys, write = self.session(), write_request((labels(), ((T, 1),)))
        some = list(Truth(self.world).catalogue(self.tenant["account"], REGION).values())[:3]
        calls = (self.assume, lambda: self.metrics("GetMetricData", keys, question(some)),
                 lambda: self.metrics("ListMetrics", keys, {}),
                 lambda: send("POST", self.daemon.url + "/api/v1/write", HEADERS, write))
        for kind in KINDS:
            self.faults({"kind": kind, "ms": 1, "interval_ms": 0, "chunk": 1000})
            for call in calls:
                try:
                    self.assertNotEqual(call()[0], 599, kind)
                except (OSError, HTTPException, ValueError):
                    pass  # what the kind is for: a broken connection, a cut body, no JSON
            self.assertEqual(self.daemon.control("faults")[0]["fired"], len(calls), kind)

    def test_skew_shows_in_the_date(self):
        self.faults({"kind": "skew", "seconds": 900, "times": 1})
        status, headers, body = self.identity()
        self.assertEqual((status, b"Signature expired" in body), (403, True))
        self.assertGreater(email_time(headers["Date"]), time.time() + 800)

    def test_error_after_the_effect(self):
        self.faults({"kind": "rw503", "effect": True, "times": 1})
        body = write_request((labels(), ((T, 1),)))
        self.assertEqual(send("POST", self.daemon.url + "/api/v1/write", HEADERS, body)[0], 503)
        self.assertEqual(len(self.daemon.control("rw/dump")), 1)

    def test_altered_metric_data(self):
        keys, truth = self.session(), Truth(self.world)
        some = list(truth.catalogue(self.tenant["account"], REGION).values())[:20]

        def ask(kind, **more):
            self.faults({"kind": kind, "times": 1, **more})
            return self.metrics("GetMetricData", keys, question(some))[2]
        for kind, code in (("internal", "InternalError"), ("partial", "PartialData"), ("forbidden", "Forbidden")):
            codes = [row["StatusCode"] for row in ask("gmd-" + kind, fraction=0.4)["MetricDataResults"]]
            self.assertIn(code, codes)
            self.assertIn("Complete", codes)
        self.assertIn("NaN", str(ask("nan")))
        empty = ask("emptypage")
        self.assertEqual(empty["MetricDataResults"], [])
        following = self.metrics("GetMetricData", keys, {**question(some), "NextToken": empty["NextToken"]})[2]
        self.assertEqual(len(following["MetricDataResults"]), 20)
        self.faults({"kind": "repeattoken"})
        first = self.metrics("GetMetricData", keys, question(some))[2]["NextToken"]
        again = self.metrics("GetMetricData", keys, {**question(some), "NextToken": first})[2]["NextToken"]
        self.assertEqual(first, again)

    def test_assume_role_may_answer_for_another_account(self):
        self.faults({"kind": "wrong-account"})
        self.assertIn(self.world.tenants[1]["account"].encode(), self.assume()[2])

    def test_unknown_kinds_and_keys_are_told(self):
        for rule in ({"kind": "nonsense"}, {"kind": "html", "tines": 1}, {"kind": "html", "match": {"path": "/"}}):
            status, _, _ = send("PUT", self.daemon.url + "/_standin/faults", {}, json.dumps([rule]).encode())
            self.assertEqual(status, 400)


class Tools(unittest.TestCase):
    def run_tool(self, name, *flags):
        return subprocess.run([os.path.join(HERE, name), *flags], check=True, capture_output=True, text=True).stdout

    def test_world_and_truth_are_functions_of_the_seed(self):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            text = self.run_tool("awsd-world", "--seed", "5", "--births", "0.5")
            file.write(text)
            file.flush()
            self.assertEqual(text, self.run_tool("awsd-world", "--world", file.name))
            window = ("--start", str(START), "--end", str(START + 600), "--eight")
            points = self.run_tool("awsd-truth", "points", "--world", file.name, *window)
        self.assertEqual(points, self.run_tool("awsd-truth", "points", "--seed", "5", "--births", "0.5", *window))
        self.assertEqual(len(json.loads(points.splitlines()[0])["points"][0]), 2)

    def test_configuration_names_every_tenant(self):
        text = self.run_tool("awsd-world", "--tenants", "4", "--config", "--only", "t000[13]", "--job-every", "5m")
        self.assertEqual(re.findall(r'"id": "(t\d+)"', text), ["t0001", "t0003"])
        self.assertIn('"every": "5m"', text)
        self.assertIn("export AWS_SECRET_ACCESS_KEY=", self.run_tool("awsd-world", "--env"))


if __name__ == "__main__":
    unittest.main()
