"""Expressions, compiled to functions of a row. A row is anything with get(name)."""
import operator

from .aggregates import AGGREGATES, Aggregate
from .scanner import QueryError
from .values import FUNCTIONS, Stamp, arithmetic, compare, number, period, text

COMPARISONS = {sign: compare(test) for sign, test in (
    ("=", operator.eq), ("<", operator.lt), ("<=", operator.le), (">", operator.gt), (">=", operator.ge))}
ADDING = {"+": arithmetic(operator.add), "-": arithmetic(operator.sub)}
MULTIPLYING = {"*": arithmetic(operator.mul), "/": arithmetic(operator.truediv), "%": arithmetic(operator.mod)}
POWER = arithmetic(operator.pow)
RESERVED = {"as", "by", "and", "or", "not", "like", "in", "asc", "desc"}


def constant(value):
    return lambda _row: value


def truth(value):
    if value is True or value is False:
        return value
    return bool(number(value)) if not isinstance(value, str) else value.lower() == "true"


class Expressions:
    """Reads expressions. In `stats`, calls of aggregates are collected, and become fields named after their place."""

    def __init__(self, scanner):
        self.scanner = scanner
        self.aggregates = None  # the Aggregates of the stats command that is being read

    def read(self):
        """(function of a row, the expression as it was written)"""
        start = self.scanner.start
        function = self._or()
        return function, self.scanner.text[start:self.scanner.end]

    def condition(self):
        function, _ = self.read()
        return lambda row: truth(function(row))

    def _or(self):
        left = self._and()
        while self.scanner.accept_word("or"):
            left = _either(left, self._and())
        return left

    def _and(self):
        left = self._not()
        while self.scanner.accept_word("and"):
            left = _both(left, self._not())
        return left

    def _not(self):
        if self.scanner.accept_word("not"):
            return _negated(self._not())
        return self._comparison()

    def _comparison(self):
        left, scanner = self._sum(), self.scanner
        if scanner.kind == "sign" and scanner.value in COMPARISONS:
            return _applied(COMPARISONS[scanner.advance()], left, self._sum())
        if scanner.accept("!="):
            return _negated(_applied(COMPARISONS["="], left, self._sum()))
        if scanner.kind == "sign" and scanner.value == "=~":
            scanner.advance()
            return self._like(left)
        negative = bool(scanner.accept_word("not"))
        word = scanner.accept_word("like", "in")
        if word is None:
            if negative:
                raise scanner.error()
            return left
        matched = self._like(left) if word == "like" else self._in(left)
        return _negated(matched) if negative else matched

    def _like(self, left):
        pattern = self.scanner.regex()
        if pattern:
            return lambda row: (value := left(row)) is not None and pattern.search(text(value)) is not None
        part = self.scanner.string()
        return lambda row: (value := left(row)) is not None and part in text(value)

    def _in(self, left):
        self.scanner.expect("[")
        chosen = [self._sum()]
        while self.scanner.accept(","):
            chosen.append(self._sum())
        self.scanner.expect("]")
        equal = COMPARISONS["="]
        return lambda row: any(equal(left(row), one(row)) for one in chosen)

    def _sum(self):
        return self._chain(self._product, ADDING)

    def _product(self):
        return self._chain(self._power, MULTIPLYING)

    def _chain(self, operand, table):
        left = operand()
        while self.scanner.kind == "sign" and self.scanner.value in table:
            left = _applied(table[self.scanner.advance()], left, operand())
        return left

    def _power(self):
        left = self._sign()
        return _applied(POWER, left, self._power()) if self.scanner.accept("^") else left

    def _sign(self):
        if self.scanner.accept("-"):
            return _applied(ADDING["-"], constant(0), self._sign())
        return self._primary()

    def _primary(self):
        scanner = self.scanner
        if scanner.accept("("):
            inner = self._or()
            scanner.expect(")")
            return inner
        if scanner.kind == "number":
            value = scanner.advance()
            return constant(int(value) if value.isdigit() else float(value))
        if scanner.kind == "string":
            return constant(scanner.advance())
        if scanner.kind not in ("name", "quoted") or scanner.is_word(*RESERVED):
            raise scanner.error()
        quoted, start, name = scanner.kind == "quoted", scanner.start, scanner.name()
        if not quoted and scanner.accept("("):
            return self._call(name, start)
        return lambda row: row.get(name)

    def _call(self, name, start):
        lower = name.lower()
        if lower in ("bin", "datefloor"):
            return self._floor(lower)
        if lower in AGGREGATES and self.aggregates is not None:
            return self._aggregate(lower)
        function = FUNCTIONS.get(lower)
        if function is None:
            raise QueryError(f"Invalid function: {name}", start, self.scanner.end)
        arguments = self._arguments()
        if len(arguments) == 1:
            return lambda row, argument=arguments[0]: function(argument(row))
        return lambda row: function(*(argument(row) for argument in arguments))

    def _arguments(self):
        arguments = []
        while not self.scanner.accept(")"):
            if arguments:
                self.scanner.expect(",")
            arguments.append(self._or())
        return arguments

    def _floor(self, name):
        """bin(5m) is of the event's time, datefloor(x, 5m) of any."""
        moment = _time_of
        if name == "datefloor":
            moment = self._sum()
            self.scanner.expect(",")
        width = period(*self.scanner.duration())
        self.scanner.expect(")")
        return lambda row: None if (value := moment(row)) is None else Stamp(value // width * width)

    def _aggregate(self, name):
        """count(*), pct(x, 95) and their like: a field of the row that stats makes."""
        counted_all = name == "count" and (self.scanner.accept("*") or self._closes())
        argument = constant(True) if counted_all else self._or()
        parameter = None
        if name in ("pct", "percentile"):
            self.scanner.expect(",")
            parameter = float(self.scanner.advance())
        self.scanner.expect(")")
        field = f"#{len(self.aggregates)}"
        self.aggregates.append(Aggregate(field, AGGREGATES[name], argument, parameter))
        return lambda row: row.get(field)

    def _closes(self):
        return self.scanner.kind == "sign" and self.scanner.value == ")"


def _time_of(row):
    return row.get("@timestamp")


def _applied(operation, left, right):
    return lambda row: operation(left(row), right(row))


def _either(left, right):
    return lambda row: truth(left(row)) or truth(right(row))


def _both(left, right):
    return lambda row: truth(left(row)) and truth(right(row))


def _negated(inner):
    return lambda row: not truth(inner(row))
