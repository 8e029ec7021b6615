"""What a query computes with: numbers, strings, instants, and nothing (None), which every operation passes on."""
import datetime
import functools
import math
import re

NUMERIC = re.compile(r"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*")
UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3600_000, "d": 86400_000, "w": 7 * 86400_000}
CAPS = {"ms": 1000, "s": 60, "m": 60, "h": 24}  # of bin(): what goes beyond is cut down to this, and nothing says so
EXPONENT = 1e7


class Stamp(int):
    """Milliseconds since the epoch that print as a date."""


def number(value):
    """A value as a number, None if it is none."""
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str) and NUMERIC.fullmatch(value):
        return float(value)
    return None


def text(value, java=False):
    """A value as results show it. `java`: large numbers the way Double.toString writes them."""
    if isinstance(value, str):
        return value
    if isinstance(value, Stamp):
        return date(value)
    if isinstance(value, bool):
        return str(int(value))
    if java and abs(value) >= EXPONENT:
        return _exponent(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16:
        return str(int(value))
    return str(value)


def _exponent(value):
    digits, _, power = f"{float(value):.16e}".partition("e")
    shortest = repr(float(value) / 10 ** int(power)) if float(digits) else "0.0"
    return f"{shortest}E{int(power)}"


@functools.lru_cache(maxsize=65536)
def date(ms):
    moment = datetime.datetime.fromtimestamp(ms // 1000, datetime.timezone.utc)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{ms % 1000:03d}"


def period(count, unit):
    """The milliseconds of a bin's period."""
    return max(min(count, CAPS.get(unit, count)), 1) * UNITS[unit]


def compare(test):
    """A comparison: by number where both are numbers, else by text; nothing is comparable to nothing."""
    def compared(left, right):
        if isinstance(left, int) and isinstance(right, int):
            return test(left, right)
        if left is None or right is None:
            return False
        one, other = number(left), number(right)
        if one is None or other is None:
            one, other = text(left), text(right)
        return test(one, other)
    return compared


def order(value):
    """A key to sort any values by: nothing, then numbers, then texts."""
    if value is None:
        return (0,)
    size = number(value)
    return (2, text(value)) if size is None else (1, size)


def arithmetic(operation):
    def computed(left, right):
        one, other = number(left), number(right)
        if one is None or other is None:
            return None
        try:
            value = operation(one, other)
        except (ZeroDivisionError, OverflowError):
            return None
        return value if not isinstance(value, complex) and math.isfinite(value) else None
    return computed


def of_text(function):
    """A function of strings, which is given what its arguments print as."""
    return lambda first, *others: None if first is None else function(text(first), *others)


def of_number(function):
    def computed(value):
        size = number(value)
        return None if size is None else function(size)
    return computed


def _substr(value, start, length=None):
    return value[int(start):][:None if length is None else int(length)]


def _root(size):
    return math.sqrt(size) if size >= 0 else None


def _blank(value):
    return value is None or not text(value).strip()


FUNCTIONS = {
    "tomillis": lambda value: None if value is None else int(value) if isinstance(value, Stamp) else None,
    "frommillis": of_number(lambda size: Stamp(int(size))),
    "ispresent": lambda value: value is not None,
    "isempty": lambda value: value is None or text(value) == "",
    "isblank": _blank,
    "coalesce": lambda *values: next((value for value in values if value is not None), None),
    "strlen": of_text(len),
    "tolower": of_text(str.lower),
    "toupper": of_text(str.upper),
    "trim": of_text(str.strip),
    "ltrim": of_text(str.lstrip),
    "rtrim": of_text(str.rstrip),
    "strcontains": of_text(lambda value, part: part is not None and text(part) in value),
    "replace": of_text(lambda value, old, new: value.replace(text(old), text(new))),
    "substr": of_text(_substr),
    "concat": lambda *values: "".join("" if value is None else text(value) for value in values),
    "abs": of_number(abs),
    "ceil": of_number(math.ceil),
    "floor": of_number(math.floor),
    "sqrt": of_number(_root),
    "greatest": lambda *values: max((value for value in values if value is not None), key=order, default=None),
    "least": lambda *values: min((value for value in values if value is not None), key=order, default=None),
}
