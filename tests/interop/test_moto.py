"""moto, the AWS mock that others wrote, as a second STS and CloudWatch: it checks signatures, sessions, trust policies
and permissions by its own reading of AWS, and serves real series that were loaded into it. Prometheus must end with
exactly those points.

MUSTER_DATA names the folder with the series (metrics/nab/*.csv: `timestamp,value`, a point each 300 s).
"""
import calendar
import csv
import glob
import json
import os
import sys
import time
import unittest
import urllib.request

import boto3

from outside import Outside

import arrivals
from expected import due_end, rfc3339
from lab import free_port, start_prometheus
from templates import policy, resources, trust

REGION = "eu-west-1"
PERIOD = 300
FILES = sorted(glob.glob(os.path.join(os.environ.get("MUSTER_DATA", "/nonexistent"), "metrics", "nab", "*.csv")))
DAY = 86400
DAYS = int(os.environ.get("MUSTER_NAB_DAYS", "7"))


def reader(account, without=None):
    """The role of schedules/, as a template for CloudFormation makes it in this account, but for one action: (trust,
    permissions)."""
    role = resources("tenant-role.yaml", **{"AWS::AccountId": account, "CentralRoleArn": "arn:aws:iam::123456789012:root"})[
        "Reader"]
    permissions = policy(role)
    for one in permissions["Statement"]:  # moto names CloudWatch's actions by what the signature says, AWS by the other name
        names = one["Action"] if isinstance(one["Action"], list) else [one["Action"]]
        names = [name for name in names if name != without]
        one["Action"] = names + [name.replace("cloudwatch:", "monitoring:") for name in names if "cloudwatch:" in name]
    return json.dumps(trust(role)), json.dumps(permissions)


def read_series(path):
    """[(epoch, value)], the first DAYS of the file."""
    with open(path, encoding="ascii", newline="") as file:
        rows = [(calendar.timegm(time.strptime(row["timestamp"], "%Y-%m-%d %H:%M:%S")), float(row["value"]))
                for row in csv.DictReader(file)]
    return [row for row in rows if row[0] < rows[0][0] + DAYS * DAY]


def by_period(rows):
    """{period's start: average}: what CloudWatch makes of points that do not lie on the period's grid."""
    slots = {}
    for second, value in rows:
        slots.setdefault(second // PERIOD * PERIOD, []).append(value)
    return {second: sum(values) / len(values) for second, values in slots.items()}


class Tenant:
    """One file, in an account of its own, behind a role with an external id."""

    def __init__(self, number, path):
        self.id = os.path.basename(path).removesuffix(".csv").replace("_", "-").lower()
        self.account = f"4{number:011d}"
        self.role = f"arn:aws:iam::{self.account}:role/muster-reader"
        self.external_id = f"muster-{self.account}"
        self.rows = read_series(path)
        self.points = by_period(self.rows)
        self.end = (max(self.points) // 3600 + 1) * 3600


class Moto(Outside):
    def setUp(self):
        super().setUp()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        server = os.path.join(os.path.dirname(sys.executable), "moto_server")
        self.daemon([server, "-H", "127.0.0.1", "-p", str(port)], self.ready)

    def ready(self):
        try:
            arrivals.get_json(f"{self.url}/moto-api/data.json")
            return True
        except OSError:
            return False

    def client(self, service, keys=("setup", "setup", None)):
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, aws_access_key_id=keys[0],
                            aws_secret_access_key=keys[1], aws_session_token=keys[2])

    def create_central(self):
        """A user that may assume roles and nothing else; returns its keys."""
        iam = self.client("iam")
        iam.create_user(UserName="muster")
        iam.put_user_policy(UserName="muster", PolicyName="assume", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}))
        key = iam.create_access_key(UserName="muster")["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    def create_tenant(self, tenant, without=None):
        session = self.client("sts").assume_role(RoleArn=tenant.role, RoleSessionName="setup")["Credentials"]
        keys = session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"]
        iam, metrics = self.client("iam", keys), self.client("cloudwatch", keys)
        trusted, permitted = reader(tenant.account, without)
        iam.create_role(RoleName="muster-reader", AssumeRolePolicyDocument=trusted)
        iam.put_role_policy(RoleName="muster-reader", PolicyName="muster", PolicyDocument=permitted)
        for start in range(0, len(tenant.rows), 500):
            metrics.put_metric_data(Namespace="NAB", MetricData=[
                {"MetricName": "Value", "Timestamp": second, "Value": value,
                 "Dimensions": [{"Name": "Series", "Value": tenant.id}]}
                for second, value in tenant.rows[start:start + 500]])

    def enforce(self):
        """From here on every request must be signed and permitted."""
        request = urllib.request.Request(f"{self.url}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"}, method="POST")
        urllib.request.urlopen(request, timeout=30).close()

    def configure(self, tenants, receiver):
        self.path("muster.yaml", json.dumps(self.document(tenants, f"{receiver.url}/api/v1/write")))

    def document(self, tenants, url):
        return {
            "region": REGION, "state": f"file://{self.folder}/state",
            "tenants": [{"id": t.id, "account": t.account, "role": t.role, "external_id": t.external_id} for t in tenants],
            "jobs": {"nab": {"kind": "metrics", "every": "1h", "period": "5m", "lookback": f"{DAYS + 1}d",
                             "to": ["prom", "lake"], "from": [{"namespace": "NAB", "metrics": ["*"]}]}},
            "sinks": {"prom": {"kind": "remote_write", "url": url},
                      "lake": {"kind": "objects", "url": f"file://{self.folder}/lake"}},
            "run": {"max_catchup": "30d"}}

    @unittest.skipUnless(FILES, "MUSTER_DATA is not set to a folder with metrics/nab/*.csv")
    def test_real_series_arrive_point_by_point(self):
        tenants = [Tenant(number, path) for number, path in enumerate(FILES, 1)]
        keys = self.create_central()
        for tenant in tenants:
            self.create_tenant(tenant)
        self.enforce()
        for tenant in tenants:
            with self.subTest(series=tenant.id):
                # One each: a time-series database takes nothing from long before its newest sample.
                receiver = start_prometheus(self.path(f"prometheus-{tenant.id}"))
                self.addCleanup(receiver.stop)
                self.configure(tenants, receiver)
                self.muster("--tenant", tenant.id, "--now", rfc3339(tenant.end + 300) + "Z", env=self.environment(keys))
                self.check(tenant, receiver)
                receiver.stop()

    @unittest.skipUnless(FILES, "MUSTER_DATA is not set to a folder with metrics/nab/*.csv")
    def test_an_expression_over_a_real_series(self):
        """moto knows expressions that are another query's id: what is asked for has its form, and inputs stay inputs."""
        tenant = Tenant(1, FILES[0])
        keys = self.create_central()
        self.create_tenant(tenant)
        self.enforce()
        document = self.document([tenant], "http://127.0.0.1:9/unused")
        document["jobs"]["nab"].update({"to": ["lake"], "from": [
            {"id": "raw", "namespace": "NAB", "metrics": ["Value"], "dimensions": [["Series"]]},
            {"expression": "raw", "name": "again"}]})
        del document["sinks"]["prom"]
        self.path("muster.yaml", json.dumps(document))
        self.muster("--now", rfc3339(tenant.end + 300) + "Z", env=self.environment(keys))
        frozen = {}
        for rows in arrivals.lake(self.path("lake"), 3600).values():
            for row in rows:
                self.assertEqual((row["name"], row["labels"]), ("again", {"series": tenant.id}))
                frozen.update(row["values"])
        self.assertEqual(frozen, tenant.points)

    def environment(self, keys):
        return {"AWS_ENDPOINT_URL_STS": self.url, "AWS_ENDPOINT_URL_CLOUDWATCH": self.url, "AWS_ACCESS_KEY_ID": keys[0],
                "AWS_SECRET_ACCESS_KEY": keys[1]}

    @unittest.skipUnless(FILES, "MUSTER_DATA is not set to a folder with metrics/nab/*.csv")
    def test_a_signature_that_is_wrong_is_refused(self):
        """So that the test above means something: moto does look at signatures."""
        tenant = Tenant(1, FILES[0])
        keys = self.create_central()
        self.create_tenant(tenant)
        self.enforce()
        self.path("muster.yaml", json.dumps(self.document([tenant], "http://127.0.0.1:9/unused")))
        result = self.muster("--now", rfc3339(tenant.end + 300) + "Z", env=self.environment((keys[0], "wrong")), status=3)
        self.assertIn("SignatureDoesNotMatch", result.err)

    @unittest.skipUnless(FILES, "MUSTER_DATA is not set to a folder with metrics/nab/*.csv")
    def test_check_names_what_each_role_lacks(self):
        """The template's actions are enough, and each of them is needed."""
        lacks = [None, "cloudwatch:ListMetrics", "cloudwatch:GetMetricData"]
        tenants = [Tenant(number, path) for number, path in enumerate(FILES[:3], 1)]
        keys = self.create_central()
        for tenant, action in zip(tenants, lacks):
            self.create_tenant(tenant, without=action)
        self.enforce()
        document = self.document(tenants, "http://127.0.0.1:9/unused")
        document["jobs"]["nab"]["to"] = ["lake"]
        del document["sinks"]["prom"]
        self.path("muster.yaml", json.dumps(document))
        result = json.loads(self.muster("--json", command="check", env=self.environment(keys), status=1).out)
        missing = {(one["tenant"], one["action"].replace("monitoring:", "cloudwatch:"))  # as above
                   for one in result["findings"] if one["level"] == "fail"}
        self.assertEqual(missing, {(tenant.id, action) for tenant, action in zip(tenants, lacks) if action})

    def test_the_accounts_of_an_organization(self):
        """More than a page of them, in units below units; one is closed, one has another tag."""
        service = self.client("organizations")
        service.create_organization(FeatureSet="ALL")
        root = service.list_roots()["Roots"][0]["Id"]
        units = [service.create_organizational_unit(ParentId=root, Name=name)["OrganizationalUnit"]["Id"]
                 for name in ("prod", "test")]
        units.append(service.create_organizational_unit(ParentId=units[0], Name="eu")["OrganizationalUnit"]["Id"])
        wanted = {}
        for number in range(66):
            tags = [{"Key": "muster", "Value": "no" if number == 3 else "yes"}, {"Key": "tenant", "Value": f"T {number}"}]
            account = service.create_account(Email=f"t{number}@example.com", AccountName=f"Tenant {number}", Tags=tags)[
                "CreateAccountStatus"]["AccountId"]
            service.move_account(AccountId=account, SourceParentId=root, DestinationParentId=units[number % 3])
            if number == 5:
                service.close_account(AccountId=account)
            elif number % 3 != 1 and number != 3:
                wanted[f"t-{number}"] = account
        document = {**self.document([], "http://127.0.0.1:9/unused"), "tenants_from": [{
            "organization": {"ous": [units[0]], "tags": {"muster": "yes"}, "id_tag": "tenant"}, "role": "muster-reader",
            "external_id": "muster-{account}"}]}
        self.path("muster.yaml", json.dumps(document))
        self.muster("--report", self.path("report.json"), env={
            **self.environment(("setup", "setup")), "AWS_ENDPOINT_URL_ORGANIZATIONS": self.url})
        with open(self.path("report.json"), encoding="utf-8") as file:
            report = json.load(file)
        self.assertEqual({row["tenant"] for row in report["streams"]}, set(wanted))
        with open(self.path("state/tenants-found.json"), encoding="utf-8") as file:
            kept = json.load(file)["lists"][0]["accounts"]
        self.assertEqual({row["id"]: row["account"] for row in kept}, wanted)

    def check(self, tenant, receiver):
        wanted = {second * 1000: value for second, value in tenant.points.items()}
        self.assertLessEqual(tenant.end, due_end(tenant.end + 300, 3600))
        self.assertGreater(len(wanted), 200)
        selector = f'{{tenant="{tenant.id}"}}'
        found = arrivals.prometheus(receiver.url, min(tenant.points) - DAY, tenant.end + DAY, selector)
        self.assertEqual(len(found), 1, list(found))
        self.assertEqual(next(iter(found.values())), wanted)
        labels = dict(next(iter(found)))
        self.assertEqual((labels["account_id"], labels["series"]), (tenant.account, tenant.id))
        frozen = {second * 1000: value for rows in arrivals.lake(self.path("lake"), 3600).values() for row in rows
                  if row["tenant"] == tenant.id for second, value in row["values"].items()}
        self.assertEqual(frozen, wanted)


if __name__ == "__main__":
    unittest.main()
