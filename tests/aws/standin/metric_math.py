"""Metric math, computed: expressions over the queries of one GetMetricData, and SEARCH over what an account has.

A value is a number, a Line (points by time, and of which metric they are) or a list of Lines. Where two lines meet, a
time counts that both have. What CloudWatch has beyond this is refused, as it refuses what it does not have.

A SEARCH finds metrics with exactly the dimensions in its braces, whose name or dimension values hold all its words
(MetricName="x" and Dimension="x": exactly that); OR between words makes alternatives, :aws.AccountId="N" picks an account.
"""
import re
from dataclasses import dataclass, field

from .errors import invalid

TOKENS = re.compile(r"\s*(?:(\d+\.?\d*(?:[eE][-+]?\d+)?)|([A-Za-z][A-Za-z0-9_]*)|'([^']*)'"
                    r"|(&&|\|\||==|!=|<=|>=|[-+*/^()\[\],<>]))")
PROPERTY = re.compile(r"\$\{PROP\('([^']*)'\)\}")
FOUND = 500  # series of a SEARCH


@dataclass
class Line:
    points: dict
    properties: dict = field(default_factory=dict)

    def label(self, template, default):
        if template is None:
            return default
        return PROPERTY.sub(lambda match: self.properties.get(match[1], match[0]), template)


OPERATORS = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else None, "^": lambda a, b: a ** b,
    "<": lambda a, b: float(a < b), ">": lambda a, b: float(a > b), "<=": lambda a, b: float(a <= b),
    ">=": lambda a, b: float(a >= b), "==": lambda a, b: float(a == b), "!=": lambda a, b: float(a != b),
    "AND": lambda a, b: float(bool(a and b)), "&&": lambda a, b: float(bool(a and b)),
    "OR": lambda a, b: float(bool(a or b)), "||": lambda a, b: float(bool(a or b)),
}
LEVELS = (("OR", "||"), ("AND", "&&"), ("==", "!=", "<", ">", "<=", ">="), ("+", "-"), ("*", "/"), ("^",))
MERGES = {"SUM": sum, "MIN": min, "MAX": max, "AVG": lambda values: sum(values) / len(values)}


def combine(name, left, right):
    if isinstance(left, list) and isinstance(right, list):
        raise ValueError("two arrays of time series")
    if isinstance(left, list):
        return [combine(name, line, right) for line in left]
    if isinstance(right, list):
        return [combine(name, left, line) for line in right]
    operate = OPERATORS[name]
    if isinstance(left, float) and isinstance(right, float):
        return operate(left, right) or 0.0
    times = right.points if isinstance(left, float) else left.points
    values = {}
    for time in times:
        if not isinstance(right, float) and time not in right.points:
            continue
        value = operate(left if isinstance(left, float) else left.points[time],
                        right if isinstance(right, float) else right.points[time])
        if value is not None:
            values[time] = value
    whose = left if isinstance(left, Line) and left.properties or not isinstance(right, Line) else right
    return Line(values, whose.properties)


class Evaluation:
    """One call: its queries by id, its window, and how a SEARCH finds and reads series."""

    def __init__(self, queries, window, points, find):
        self.queries, self.window, self.points, self.find = queries, window, points, find
        self.known, self.open = {}, []

    def value(self, name):
        if name not in self.queries:
            raise ValueError(f"there is no {name}")
        if name in self.open:
            raise ValueError(f"{name} depends on itself")
        if name not in self.known:
            query = self.queries[name]
            self.open.append(name)
            self.known[name] = (Expression(self, query.expression).whole() if query.expression is not None
                                else Line(self.points(query)))
            self.open.pop()
        return self.known[name]

    def lines(self, query):
        """What a query with an expression returns: a list of lines."""
        try:
            value = self.value(query.id)
        except (ValueError, TypeError, AttributeError, KeyError) as problem:
            raise invalid(f"Error in expression '{query.id}': {problem}") from None
        if isinstance(value, float):
            raise invalid(f"Error in expression '{query.id}': it is no time series")
        return value if isinstance(value, list) else [value]

    def grid(self, period):
        return range(self.window[0], self.window[1], period)


class Expression:
    def __init__(self, evaluation, text):
        self.evaluation, self.at, self.tokens = evaluation, 0, []
        place = 0
        while text[place:].strip():
            match = TOKENS.match(text, place)
            if not match:
                raise ValueError(f"syntax at {place}")
            self.tokens.append(match.group(0).strip())
            place = match.end()

    def whole(self):
        value = self.level(0)
        if self.at < len(self.tokens):
            raise ValueError(f"unexpected {self.tokens[self.at]}")
        return value

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, expected=None):
        token = self.peek()
        if not token or expected not in (None, token):
            raise ValueError(f"{expected or 'something'} is missing")
        self.at += 1
        return token

    def level(self, depth):
        if depth == len(LEVELS):
            return self.operand()
        value = self.level(depth + 1)
        while self.peek() in LEVELS[depth]:
            value = combine(self.take(), value, self.level(depth + 1))
        return value

    def operand(self):
        token = self.take()
        if token == "-":
            return combine("*", -1.0, self.operand())
        if token == "(":
            value = self.level(0)
            self.take(")")
            return value
        if token == "[":
            return self.items("]")
        if token[0].isdigit():
            return float(token)
        if token[0].islower():
            return self.evaluation.value(token)
        if token[0].isupper() and self.peek() == "(":
            self.take("(")
            return self.search() if token == "SEARCH" else self.call(token, self.items(")"))
        if token in ("REPEAT", "LINEAR"):
            return token
        raise ValueError(f"unexpected {token}")

    def items(self, close):
        values = []
        while self.peek() != close:
            values.append(self.level(0))
            if self.peek() == ",":
                self.take(",")
        self.take(close)
        return values

    def search(self):
        what = self.take().strip("'")
        self.take(",")
        stat = self.take().strip("'")
        self.take(",")
        period = int(self.take())
        self.take(")")
        return [Line(points, {**properties, "Stat": stat, "Period": str(period)})
                for properties, points in self.evaluation.find(Search(what), stat, period)[:FOUND]]

    def call(self, name, given):
        if name in MERGES:
            return self.merge(MERGES[name], given[0])
        function = getattr(self, f"of_{name.lower()}", None)
        if function is None:
            raise ValueError(f"there is no function {name}")
        if isinstance(given[0], list):
            return [function(line, *given[1:]) for line in given[0]]
        return function(*given)

    @staticmethod
    def merge(how, lines):
        """Of lines one line; of one line a number."""
        if isinstance(lines, Line):
            return float(how(list(lines.points.values())))
        times = sorted({time for line in lines for time in line.points})
        return Line({time: how([line.points[time] for line in lines if time in line.points]) for time in times})

    def of_fill(self, line, with_what):
        if not isinstance(with_what, float):
            raise ValueError("FILL from neighbours")
        return Line({time: line.points.get(time, with_what) for time in self.evaluation.grid(60)}, line.properties)

    @staticmethod
    def of_rate(line):
        times = sorted(line.points)
        return Line({time: (line.points[time] - line.points[before]) / (time - before)
                     for before, time in zip(times, times[1:])}, line.properties)

    @staticmethod
    def of_abs(line):
        return Line({time: abs(value) for time, value in line.points.items()}, line.properties)

    @staticmethod
    def of_if(condition, yes, no):
        def at(value, time):
            return value if isinstance(value, float) else value.points.get(time)
        chosen = {time: at(yes if truth else no, time) for time, truth in condition.points.items()}
        return Line({time: value for time, value in chosen.items() if value is not None}, condition.properties)


class Search:
    """What a SEARCH looks for."""

    def __init__(self, text):
        match = re.match(r"\s*\{([^}]*)\}", text)
        names = [name.strip().strip('"') for name in match[1].split(",")] if match else []
        self.namespace, self.dimensions = (names[0], sorted(names[1:])) if names else (None, None)
        terms = text[match.end():] if match else text
        account = re.search(r':aws\.AccountId="(\d+)"', terms)
        self.account = account[1] if account else None
        terms = terms.replace(account[0], "") if account else terms
        self.choices = [re.findall(r'([A-Za-z]+)="([^"]*)"|([^\s()"]+)', choice)
                        for choice in re.split(r"\bOR\b", terms)]

    def finds(self, series):
        if self.namespace is not None and (series.namespace != self.namespace or
                                           [name for name, _ in series.dimensions] != self.dimensions):
            return False
        exact = {"MetricName": series.metric, **dict(series.dimensions)}
        words = {word.lower() for value in exact.values() for word in (value, *re.findall(r"[A-Za-z0-9]+", value))}
        return any(all(exact.get(name) == value if name else word.lower() in words for name, value, word in choice)
                   for choice in self.choices)
