"""The words of a query: names, numbers, strings, signs, and regular expressions where the grammar wants one."""
import re

BLANK = r"(?:\s|\#[^\n]*)*"
TOKEN = re.compile(BLANK + r"""(?:
    (?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)
  | (?P<name>[A-Za-z_@][\w@.]*)
  | `(?P<quoted>[^`]+)`
  | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<sign>=~|!=|<=|>=|[-+*/%^=<>()\[\],|:])
  | (?P<end>\Z)
)""", re.VERBOSE | re.DOTALL)
REGEX = re.compile(r"/((?:[^/\\]|\\.)*)/", re.DOTALL)
DURATION = re.compile(BLANK + r"(\d+)\s*(ms|s|m|h|d|w)\b")
ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class QueryError(ValueError):
    """A query that does not compile, and where."""

    def __init__(self, message, start, end):
        super().__init__(message)
        self.message = message
        self.start = start
        self.end = end


class Scanner:
    """One token ahead: `kind` and `value` are those of the next token, `end` is where the one before ended."""

    def __init__(self, text):
        self.text = text
        self.next_end = 0
        self.advance()

    def advance(self):
        """The value of the next token, which is passed."""
        value = getattr(self, "value", None)
        self.end = self.next_end
        match = TOKEN.match(self.text, self.end)
        if not match:
            raise QueryError("unexpected symbol found", self.end, self.end + 1)
        self.kind = match.lastgroup
        self.value = match[match.lastgroup]
        self.start, self.next_end = match.start(match.lastgroup), match.end()
        if self.kind == "string":
            self.value = re.sub(r"\\(.)", lambda found: ESCAPES.get(found[1], found[1]), self.value[1:-1],
                                flags=re.DOTALL)
        return value

    def error(self, message=None):
        shown = "the end of the query" if self.kind == "end" else repr(self.value)
        return QueryError(message or f"unexpected {shown}", self.start, self.next_end)

    def accept(self, sign):
        if self.kind == "sign" and self.value == sign:
            self.advance()
            return True
        return False

    def expect(self, sign):
        if not self.accept(sign):
            raise self.error(f"mismatched input {self.value!r}, expecting {sign!r}")

    def is_word(self, *words):
        return self.kind == "name" and self.value.lower() in words

    def accept_word(self, *words):
        """The keyword that comes next, in lower case, if it is one of these."""
        return self.advance().lower() if self.is_word(*words) else None

    def name(self):
        if self.kind not in ("name", "quoted"):
            raise self.error(f"mismatched input {self.value!r}, expecting a field")
        return self.advance()

    def whole(self):
        if self.kind != "number" or not self.value.isdigit():
            raise self.error("expecting a whole number")
        return int(self.advance())

    def string(self):
        if self.kind != "string":
            raise self.error("expecting a string")
        return self.advance()

    def regex(self):
        """A compiled /regular expression/, None if the next token is none."""
        match = REGEX.match(self.text, self.start) if self.kind == "sign" and self.value == "/" else None
        if not match:
            return None
        try:
            compiled = re.compile(match[1].replace("(?<", "(?P<").replace("(?P<=", "(?<=").replace("(?P<!", "(?<!"))
        except re.error as error:
            raise QueryError(f"invalid regular expression: {error}", match.start(), match.end()) from None
        self.next_end = match.end()
        self.advance()
        return compiled

    def duration(self):
        """(number, unit) of `5m` and the like."""
        match = DURATION.match(self.text, self.end)
        if not match:
            raise self.error("expecting a period")
        self.next_end = match.end()
        self.advance()
        return int(match[1]), match[2]
