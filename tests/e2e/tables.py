"""What `muster help athena` prints, taken apart: tables with their columns, and the questions to ask of them."""
import json
import re
import subprocess

from lab import MUSTER

# One of each kind, beside the usual job of metrics.
JOBS = {"alarms": {"kind": "alarms", "to": ["lake"]},
        "traces": {"kind": "traces", "to": ["lake"]},
        "app-logs": {"kind": "insights", "log_groups": ["/ecs/app-*"], "to": ["lake"],
                     "query": "fields @timestamp, @logStream, @message, @ptr, level"}}


class Table:
    """A CREATE EXTERNAL TABLE: its columns and partitions as {name: Hive's type}, the key of each column, its location and properties."""

    def __init__(self, statement):
        parts = re.fullmatch(r"CREATE EXTERNAL TABLE `(\w+)` \(\n(.*?)\n\)\nPARTITIONED BY \((.*?)\)\nROW FORMAT SERDE '([\w.]+)'\n"
                             r"WITH SERDEPROPERTIES \((.*?)\)\nLOCATION '([^']*)'\nTBLPROPERTIES \(\n(.*?)\n\)", statement, re.S)
        assert parts, statement
        self.name, columns, partitions, self.serde, serde, self.location, properties = parts.groups()
        self.columns = dict(re.findall(r"`(\w+)` ([\w<>,:]+?)(?:,\n|$)", columns))
        mapped = dict(re.findall(r"'mapping\.(\w+)' = '(\w+)'", serde))
        self.keys = {name: mapped.pop(name, name) for name in self.columns}
        assert not mapped, f"no columns of these names: {mapped}"
        self.partitions = dict(re.findall(r"`(\w+)` (\w+)", partitions))
        self.properties = dict(re.findall(r"'([^']+)' = '([^']*)'", properties))


def without_comments(text):
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))


def printed(lab):
    """([Table], [query]) of what is printed for a lab's configuration, and the text."""
    done = subprocess.run([MUSTER, "help", "athena", "-c", lab.path("muster.yaml", json.dumps(lab.settings))], text=True,
                          cwd=lab.folder, env=lab.environment(), capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done
    statements = [one.strip() for one in without_comments(done.stdout).split(";\n") if one.strip()]
    return ([Table(one) for one in statements if one.startswith("CREATE")],
            [one for one in statements if one.startswith("SELECT")], done.stdout)
