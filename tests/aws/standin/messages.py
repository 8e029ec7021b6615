"""What log events say: everything a collector has to get through unharmed, made from one word of 64 bits.

JSON with nested members, access logs, stack traces of many lines, text beyond ASCII, control characters, JSON that is
cut off, a lonely blank, and lines of a megabyte.
"""
import json

from .world import digest

MASK = (1 << 64) - 1
MIX = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)
HUGE = 1_000_000  # characters of a huge line; its bytes are a few more
LEVELS = ("info", "info", "info", "info", "debug", "warn", "error", "error")
PATHS = ("/", "/cart", "/v1/orders", "/v1/orders/{}", "/login?next=%2Fcart", "/static/app.js")
METHODS = ("GET", "GET", "GET", "POST", "PUT", "DELETE")
STATUSES = (200, 200, 200, 201, 304, 404, 499, 503)
WORDS = ("naïve café", "日本語のログ", "Привет, мир", "שלום עולם", "e\u0301te\u0301", "👩‍👩‍👧 family", "a\u2028b\u2029c", "𝔘𝔫𝔦")
NOISE = ("\x1b[31mred\x1b[0m", "nul\x00inside", "bell\x07", "tab\tand\rreturn", "del\x7f", "\x01\x02\x03", "\ufeffbom",
         "\x85next")
ERRORS = ("NullPointerException", "TimeoutException", "IllegalStateException", "SQLTransientConnectionException")


def draw(word, number):
    """Another word that depends on this one."""
    mixed = (word ^ word >> 29) * MIX[number % 4] & MASK
    return (mixed ^ mixed >> 32) * MIX[(number + 1) % 4] & MASK


def message(kind, word, huge):
    """The text of an application's or a web server's event."""
    if huge:
        return _huge(word)
    if kind == "access":
        return _access(word)
    return SHAPES[word >> 27 & 63](word)


def nominal_size(huge):
    """What an event counts as scanned, without making its text."""
    return HUGE if huge else 256


def _json(word):
    one, two = draw(word, 0), draw(word, 1)
    document = {
        "level": LEVELS[one & 7], "msg": f"order {one >> 40} accepted", "took_ms": (two & 0xFFFF) / 64,
        "status": STATUSES[two >> 16 & 7], "request": {"id": f"{word:016x}", "bytes": two >> 44, "path": _path(two)},
        "retried": bool(one >> 8 & 1), "tags": ["a", f"t{one >> 9 & 3}"], "user-agent": "curl/8",
    }
    if one >> 11 & 3 == 0:
        document["tenant_ref"] = None
    return json.dumps(document, ensure_ascii=bool(one >> 13 & 1), separators=(",", ":") if one >> 14 & 1 else None)


def _unicode(word):
    text = WORDS[draw(word, 0) & 7]
    if word >> 33 & 1:
        return f"{text} {word:016x}"
    return json.dumps({"level": "warn", "msg": text, "id": f"{word:016x}"}, ensure_ascii=False)


def _noise(word):
    text = NOISE[draw(word, 0) & 7]
    return json.dumps({"level": "error", "msg": text}) if word >> 33 & 1 else f"{text} {word:016x} \\ \" ' end"


def _trace(word):
    one = draw(word, 0)
    frames = [f"\tat com.example.shop.Step{number}.run(Step{number}.java:{one >> number & 1023})"
              for number in range(3 + (one & 15))]
    return "\n".join([f"ERROR {ERRORS[one & 3]}: order {word:016x}", *frames, "Caused by: java.io.IOException: \"x\""])


def _access(word):
    one, two = draw(word, 0), draw(word, 1)
    return (f'10.{one & 255}.{one >> 8 & 255}.{one >> 16 & 255} - - "{METHODS[(one >> 24) % 6]} {_path(two)} HTTP/1.1" '
            f'{STATUSES[two & 7]} {two >> 40} {(two >> 3 & 4095) / 1024} "{word:016x}"')


def _cut(word):
    return _json(word)[:40 + (word & 31)]


def _blank(_word):
    return " "


def _path(word):
    return PATHS[(word >> 20) % len(PATHS)].format(word >> 52)


def _huge(word):
    """JSON whose padding is text that neither repeats nor compresses away entirely."""
    head = f'{{"level":"error","huge":true,"id":"{word:016x}","pad":"é'
    pad = digest("huge", word).hex() * (HUGE // 32)
    return head + pad[:HUGE - len(head) - 2] + '"}'


SHAPES = ((_json,) * 42 + (_trace,) * 6 + (_access,) * 6 + (_unicode,) * 5 + (_noise,) * 3 + (_cut, _blank))
