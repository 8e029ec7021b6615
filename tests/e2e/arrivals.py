"""What did arrive: the lake as files, the receivers through their own query interfaces, all in the shapes that
expected.py has. Strict where the layout is strict: an unknown file, field or order is an error, not skipped.
"""
import calendar
import json
import os
import re
import subprocess
import time
import urllib.parse
import urllib.request

FIELDS = ["ts", "tenant", "account_id", "region", "job", "name", "stat", "unit", "period", "labels", "values"]


class Malformed(Exception):
    """Something in the lake that the layout does not allow."""


def lake_keys(folder):
    """Every key below a file:// lake, sorted. Names that begin with a dot are the store's own, and are not keys."""
    keys = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        keys += [os.path.relpath(os.path.join(place, name), folder) for name in files if not name.startswith(".")]
    return sorted(keys)


def lake(folder, every=300):
    """{key: its rows in order}, each row's values as {second: value}."""
    return {key: rows_of(os.path.join(folder, key), every) for key in lake_keys(folder)}


def unpack(path):
    """The bytes of a lake object; zstd checks its checksum."""
    return subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True, timeout=60).stdout


def rows_of(path, every=300):
    text = unpack(path)
    if not text.endswith(b"\n"):
        raise Malformed(f"{path}: the last line has no end")
    return [_row(path, json.loads(line), every) for line in text[:-1].split(b"\n")]


def _row(path, row, every):
    if list(row) != FIELDS:
        raise Malformed(f"{path}: fields {list(row)}")
    start = cell_start(path)
    if len(row["values"]) > every // row["period"]:
        raise Malformed(f"{path}: {len(row['values'])} values in a cell of {every} s")
    values = {start + i * row["period"]: value for i, value in enumerate(row["values"]) if value is not None}
    if not values:
        raise Malformed(f"{path}: a row without a value")
    return {**row, "values": values}


def cell_start(path):
    """Epoch seconds of the cell an object is named after."""
    name = os.path.basename(path)
    return calendar.timegm(time.strptime(name[:16], "%Y%m%dT%H%M%SZ"))


def samples_in(objects):
    """The samples that a lake's rows hold, in the receivers' shape."""
    found = {}
    for rows in objects.values():
        for row in rows:
            labels = {**row["labels"], "__name__": row["name"], "tenant": row["tenant"],
                      "account_id": row["account_id"], "region": row["region"]}
            kept = found.setdefault(tuple(sorted(labels.items())), {})
            for second, value in row["values"].items():
                if second * 1000 in kept:
                    raise Malformed(f"twice in the lake: {labels} at {second}")
                kept[second * 1000] = value
    return found


def open_metrics(folder):
    """The samples that the files of an openmetrics sink hold, read by the rules of the format, in the receivers' shape."""
    found = {}
    for key in lake_keys(folder):
        with open(os.path.join(folder, key), encoding="utf-8") as file:
            *lines, end = file.read().splitlines()
        if end != "# EOF":
            raise Malformed(f"{key} ends with {end!r}")
        for line in lines:
            name, labels, value, at = re.fullmatch(r"(\w+)\{(.*)\} (\S+) (\d+)", line).groups()
            pairs = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels)
            kept = found.setdefault(tuple(sorted([*pairs, ("__name__", name)])), {})
            if int(at) * 1000 in kept:
                raise Malformed(f"twice in {key}: {line}")
            kept[int(at) * 1000] = float(value)
    return found


def report(path):
    """What a run said about itself."""
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def stand_in(daemon, database=None):
    """All samples the stand-in's receiver keeps."""
    rows = daemon.control("rw/dump" + (f"?db={database}" if database else ""))
    return {tuple(sorted(row["labels"].items())): {int(ms): value for ms, value in row["samples"]} for row in rows}


def get_json(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def ask(url, query, at):
    """The result of an instant PromQL query."""
    fields = {"query": query, "time": at}
    answer = get_json(f"{url}/api/v1/query?{urllib.parse.urlencode(fields)}")
    return answer["data"]["result"]


def prometheus(url, start, end, selector='{tenant!=""}'):
    """Every raw sample with start <= t < end, as Prometheus stored it. A range selector excludes its left end only in
    versions after ours, so the window reaches back one second more and is cut here."""
    found = {}
    for row in ask(url, f"{selector}[{end - start}s]", end - 0.001):
        samples = {round(float(at) * 1000): float(value) for at, value in row["values"]}
        found[tuple(sorted(row["metric"].items()))] = {ms: value for ms, value in samples.items() if ms >= start * 1000}
    return found


def victoria(url, start, end, selector='{tenant!=""}'):
    """Every raw sample with start <= t < end in VictoriaMetrics; [(ms, value)] so that doubles show."""
    urllib.request.urlopen(f"{url}/internal/force_flush", timeout=30).close()
    query = urllib.parse.urlencode({"match[]": selector, "start": start, "end": end - 0.001})
    with urllib.request.urlopen(f"{url}/api/v1/export?{query}", timeout=60) as answer:
        rows = [json.loads(line) for line in answer.read().splitlines()]
    return {tuple(sorted(row["metric"].items())): list(zip(row["timestamps"], row["values"])) for row in rows}
