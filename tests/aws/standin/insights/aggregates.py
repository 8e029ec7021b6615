"""What stats computes over the rows of a group. Sums are exact, so that they do not depend on the rows' order."""
import math
from dataclasses import dataclass

from .values import number, order, text


@dataclass(frozen=True)
class Aggregate:
    field: str           # where the result is put
    function: object     # of the rows, the argument and the parameter
    argument: object     # a function of a row
    parameter: float

    def over(self, rows):
        return self.function(rows, self.argument, self.parameter)


def _values(rows, argument):
    return [value for value in map(argument, rows) if value is not None]


def _numbers(rows, argument):
    return [value for value in map(number, _values(rows, argument)) if value is not None]


def _count(rows, argument, _parameter):
    return len(_values(rows, argument))


def _distinct(rows, argument, _parameter):
    return len({text(value) for value in _values(rows, argument)})


def _sum(rows, argument, _parameter):
    values = _numbers(rows, argument)
    return math.fsum(values) if values else None


def _average(rows, argument, _parameter):
    values = _numbers(rows, argument)
    return math.fsum(values) / len(values) if values else None


def _deviation(rows, argument, _parameter):
    values = _numbers(rows, argument)
    if not values:
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


def _least(rows, argument, _parameter):
    return min(_values(rows, argument), key=order, default=None)


def _greatest(rows, argument, _parameter):
    return max(_values(rows, argument), key=order, default=None)


def _percentile(rows, argument, parameter):
    """By nearest rank; the service's own is an estimate."""
    values = sorted(_numbers(rows, argument))
    return values[max(math.ceil(len(values) * parameter / 100), 1) - 1] if values else None


def _median(rows, argument, _parameter):
    return _percentile(rows, argument, 50)


def _at_time(pick):
    """The value of the first or last event of those that have one."""
    def of(rows, argument, _parameter):
        having = [row for row in rows if argument(row) is not None and row.get("@timestamp") is not None]
        chosen = pick(having, key=lambda row: row.get("@timestamp"), default=None)
        return None if chosen is None else argument(chosen)
    return of


AGGREGATES = {
    "count": _count, "count_distinct": _distinct, "sum": _sum, "avg": _average, "stddev": _deviation, "min": _least,
    "max": _greatest, "pct": _percentile, "percentile": _percentile, "median": _median, "earliest": _at_time(min),
    "latest": _at_time(max),
}
