#!/usr/bin/python3
"""The kind of script that muster replaces, written with care: boto3, a thread pool, the same data to the same places.

    script.py LAKE TENANTS MINUTES NOW      (AWS_ENDPOINT_URL says where)

For each tenant: assume its role, list its metrics, ask for all points in as few calls as there can be, write a compressed
object of JSON lines for each five minutes, and push each as one remote-write request. No checkpoints, no retries but
boto3's, nothing is checked: what it costs is the least that such a script can cost. zstd and snappy are called in their C
libraries.
"""
import ctypes
import ctypes.util
import json
import os
import re
import struct
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import boto3
from botocore.config import Config

URL = os.environ["AWS_ENDPOINT_URL"]
CELL = 300
CONFIG = Config(retries={"mode": "standard"}, max_pool_connections=32)
ZSTD = ctypes.CDLL("libzstd.so.1")
SNAPPY = ctypes.CDLL("libsnappy.so.1")
ZSTD.ZSTD_compressBound.restype = ZSTD.ZSTD_compress.restype = ctypes.c_size_t
ZSTD.ZSTD_compressBound.argtypes = [ctypes.c_size_t]
ZSTD.ZSTD_compress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
SNAPPY.snappy_max_compressed_length.restype = ctypes.c_size_t
SNAPPY.snappy_max_compressed_length.argtypes = [ctypes.c_size_t]


def zstd(data):
    out = ctypes.create_string_buffer(ZSTD.ZSTD_compressBound(len(data)))
    return out.raw[:ZSTD.ZSTD_compress(out, len(out), data, len(data), 3)]


def snappy(data):
    size = ctypes.c_size_t(SNAPPY.snappy_max_compressed_length(len(data)))
    out = ctypes.create_string_buffer(size.value)
    SNAPPY.snappy_compress(data, ctypes.c_size_t(len(data)), out, ctypes.byref(size))
    return out.raw[:size.value]


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, data):
    return bytes([number << 3 | 2]) + varint(len(data)) + data


def labels_of(series):
    return b"".join(field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in series)


def sample(time, value):
    return field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(time * 1000))


def snake(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def client(service, **keys):
    return boto3.client(service, endpoint_url=URL, region_name="eu-west-1", config=CONFIG, **keys)


def session_of(account):
    keys = STS.assume_role(RoleArn=f"arn:aws:iam::{account}:role/reader", RoleSessionName="script",
                           ExternalId="bench")["Credentials"]
    return {"aws_access_key_id": keys["AccessKeyId"], "aws_secret_access_key": keys["SecretAccessKey"],
            "aws_session_token": keys["SessionToken"]}


def pull(cloudwatch, start, end):
    """{metric's number: [(time, value)]}"""
    pages = cloudwatch.get_paginator("list_metrics").paginate(Namespace="ECS/ContainerInsights")
    found = [metric for page in pages for metric in page["Metrics"]]
    points = {number: [] for number in range(len(found))}
    for first in range(0, len(found), 500):
        queries = [{"Id": f"m{number}", "MetricStat": {"Metric": found[number], "Period": 60, "Stat": "Average"}}
                   for number in range(first, min(first + 500, len(found)))]
        for page in cloudwatch.get_paginator("get_metric_data").paginate(
                MetricDataQueries=queries, StartTime=start, EndTime=end, ScanBy="TimestampAscending"):
            for row in page["MetricDataResults"]:
                points[int(row["Id"][1:])] += zip((int(time.timestamp()) for time in row["Timestamps"]), row["Values"])
    return found, points


def tenant(number):
    account, name = str(200000000000 + number), f"t{number:05}"
    cloudwatch = client("cloudwatch", **session_of(account))
    found, points = pull(cloudwatch, START, END)
    series = []
    for metric in found:
        labels = {snake(dimension["Name"]): dimension["Value"] for dimension in metric["Dimensions"]}
        series.append(sorted({**labels, "__name__": "ecs_task_" + snake(metric["MetricName"]), "tenant": name,
                              "account_id": account, "region": "eu-west-1"}.items()))
    cells = {}
    for index, rows in points.items():
        for time, value in rows:
            cells.setdefault(time // CELL * CELL, {}).setdefault(index, []).append((time, value))
    for start in sorted(cells):
        write(name, start, series, cells[start])


def write(name, start, series, cell):
    lines, request = [], bytearray()
    for index, rows in cell.items():
        lines.append(json.dumps({"ts": start, "tenant": name, "labels": dict(series[index]),
                                 "values": [value for _, value in rows]}, separators=(",", ":")))
        request += field(1, labels_of(series[index]) + b"".join(sample(time, value) for time, value in rows))
    folder = os.path.join(LAKE, name)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, f"{start}.ndjson.zst"), "wb") as file:
        file.write(zstd("\n".join(lines).encode()))
    urllib.request.urlopen(urllib.request.Request(
        URL + "/api/v1/write", snappy(bytes(request)), {"Content-Encoding": "snappy",
                                                        "Content-Type": "application/x-protobuf"})).read()


LAKE, TENANTS, MINUTES = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
NOW = datetime.strptime(sys.argv[4], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
START, END = NOW - timedelta(minutes=MINUTES), NOW - timedelta(minutes=5)
os.environ["SSL_CERT_FILE"] = os.environ["AWS_CA_BUNDLE"]
STS = client("sts")
with ThreadPoolExecutor(32) as pool:
    list(pool.map(tenant, range(TENANTS)))
