"""Dashboards and rules as they lie in schedules/, for tests: their files, their expressions, and what these select."""
import glob
import json
import os
import re
import subprocess

import yaml

from lab import ROOT

FOLDER = os.path.join(ROOT, "schedules")
RULES = os.path.join(FOLDER, "rules.yaml")
JOBS = os.path.join(FOLDER, "dashboards", "jobs.yaml")
# A series as it is sent; what rules record has colons.
SELECTOR = re.compile(r"(?<![\w:])((?:ecs|aws|log|muster)_\w+)(?![\w:(])(\{[^}]*\})?(\[\w+\]|\[\$\w+\])?")
RECORDED = re.compile(r"\b\w+:\w+:\w+\b")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def dashboards():
    """{file's name: document}"""
    found = {}
    for path in sorted(glob.glob(os.path.join(FOLDER, "dashboards", "*.json"))):
        with open(path, encoding="utf-8") as file:
            found[os.path.basename(path)] = json.load(file)
    return found


def load(path):
    with open(path, encoding="utf-8") as file:
        return yaml.safe_load(file)


def rules():
    return [rule for group in load(RULES)["groups"] for rule in group["rules"]]


def variables(board):
    return {one["name"]: one for one in board["templating"]["list"]}


def filled(board, expression, tenant):
    """An expression as Grafana would send it."""
    for name, one in variables(board).items():
        value = tenant if name == "tenant" else one.get("query")
        if isinstance(value, str):
            expression = re.sub(rf"\${name}\b", value, expression)
    return expression


def without_words(expression):
    """Without what `by (...)` and `on (...)` name: these are no series."""
    return re.sub(r"\b(by|on|without|ignoring)\s*\([^)]*\)", "", expression)


def selectors(expression):
    """[(name, matchers, window)] of what is read as it was sent."""
    return [(name, matchers or "", (window or "")[1:-1])
            for name, matchers, window in SELECTOR.findall(without_words(expression))]


def seconds(window):
    return int(window[:-1]) * UNITS[window[-1]]


def run_tool(*words):
    """Status and output of a checker."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout + done.stderr
