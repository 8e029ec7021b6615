"""Commands: what a query does with its rows, one step after the other."""
import zlib
from dataclasses import dataclass

from .expressions import Expressions
from .rows import EventRow
from .scanner import Scanner
from .values import order, text

DEFAULT_SHOWN = ("@timestamp", "@message")
MOST_STATS = 2
PREFIXES = 5
MASK = (1 << 64) - 1


@dataclass
class Result:
    names: list      # of the fields, in order
    rows: list       # of tuples of values as they print; None where there is none
    matched: int     # events that the filters let through
    of_events: bool  # whether the rows are events, and not what stats made of them


class Run:
    """The rows on their way through the steps."""

    def __init__(self, events, seed):
        self.defined = {}
        arranged = sorted(events, key=lambda event: (-event.ms, (event.word + event.ordinal ^ seed) * seed & MASK))
        self.rows = [EventRow(event, self.defined) for event in arranged]
        self.seed = seed
        self.shown = list(DEFAULT_SHOWN)
        self.chosen = False   # whether `fields` or `display` has said what to show
        self.final = False    # whether `display` has
        self.of_events = True
        self.matched = None   # known once rows are more or fewer than events for another reason than a filter

    def settle(self):
        if self.matched is None:
            self.matched = len(self.rows)

    def define(self, name, function):
        """Give a name to a function of the rows; inside it the name still means what it meant before."""
        if not self.of_events:
            for row in self.rows:
                row[name] = function(row)
            return
        self.defined[name] = _redefined(name, self.defined.get(name), function)
        for row in self.rows:
            row.known.pop(name, None)

    def define_all(self, named):
        """What `fields` computes; plain fields have no function."""
        for name, function in named:
            if function:
                self.define(name, function)

    def choose(self, names):
        """What `fields` shows; the first one puts an end to what is shown by default."""
        if not self.chosen:
            self.shown, self.chosen = [], True
        self.show(names)

    def show(self, names):
        if not self.final:
            self.shown += [name for name in dict.fromkeys(names) if name not in self.shown]


@dataclass
class Query:
    """A compiled query."""
    source: dict     # of a SOURCE command, by argument; None
    steps: list      # functions of a Run
    limit: int       # of a limit command; None

    def run(self, events, seed, most, java=False):
        """The Result over these events, at most so many rows. Rows of equal rank come in an order that the seed
        decides: a service does not promise any."""
        run = Run(events, seed | 1)
        for step in self.steps:
            step(run)
        run.settle()
        names = [name for name in run.shown if name != "@ptr"] + ["@ptr"] if run.of_events else run.shown
        rows = [tuple(None if (value := row.get(name)) is None else text(value, java) for name in names)
                for row in run.rows[:most]]
        return Result(names, rows, run.matched, run.of_events)


def compile_query(query_text):
    """The Query that a text is; QueryError if it is none."""
    return _Reader(query_text).read()


class _Reader:
    def __init__(self, query_text):
        self.scanner = Scanner(query_text)
        self.expressions = Expressions(self.scanner)
        self.steps = []
        self.stats = self.parses = 0  # how many there have been
        self.limit = None
        self.ordered = False          # whether there has been a sort or a limit

    def read(self):
        source = self._source() if self.scanner.is_word("source") else None
        while self.scanner.kind != "end":
            if self.steps or source is not None:
                self.scanner.expect("|")
            self.steps.append(self._command())
        return Query(source, self.steps, self.limit)

    def _command(self):
        word = self.scanner.accept_word(*self.COMMANDS)
        if word is None:
            raise self.scanner.error()
        return self.COMMANDS[word](self)

    def _listed(self, one):
        """One or more, with commas between."""
        found = [one()]
        while self.scanner.accept(","):
            found.append(one())
        return found

    def _named(self):
        """(name, function) of an expression that may have an alias; the function is None for a plain field."""
        plain = self.scanner.kind in ("name", "quoted")
        quoted, value = self.scanner.kind == "quoted", self.scanner.value
        function, written = self.expressions.read()
        if self.scanner.accept_word("as"):
            return self.scanner.name(), function
        if plain and written == (f"`{value}`" if quoted else value):
            return value, None
        return written, function

    def _source(self):
        """SOURCE logGroups(namePrefix: [...], class: "...", accountIdentifiers: [...])"""
        self.scanner.advance()
        if not self.scanner.accept_word("loggroups"):
            raise self.scanner.error()
        self.scanner.expect("(")
        arguments = {}
        if not self.scanner.accept(")"):
            arguments = dict(self._listed(self._argument))
            self.scanner.expect(")")
        if set(arguments) - {"namePrefix", "class", "accountIdentifiers"}:
            raise self.scanner.error("unknown argument of logGroups")
        if len(arguments.get("namePrefix", [])) > PREFIXES:
            raise self.scanner.error(f"at most {PREFIXES} prefixes are allowed")
        return arguments

    def _argument(self):
        name = self.scanner.name()
        self.scanner.expect(":")
        if not self.scanner.accept("["):
            return name, [self.scanner.string()]
        values = self._listed(self.scanner.string)
        self.scanner.expect("]")
        return name, values

    def _fields(self):
        named = self._listed(self._named)

        def step(run):
            run.define_all(named)
            run.choose(name for name, _ in named)
        return step

    def _display(self):
        named = self._listed(self._named)

        def step(run):
            run.define_all(named)
            run.shown, run.chosen, run.final = [], True, False
            run.show(name for name, _ in named)
            run.final = True
        return step

    def _filter(self):
        condition = self.expressions.condition()

        def step(run):
            run.rows = [row for row in run.rows if condition(row)]
        return step

    def _sort(self):
        self.ordered = True
        keys = self._listed(self._sort_key)

        def step(run):
            for function, descending in reversed(keys):
                run.rows.sort(key=lambda row: order(function(row)), reverse=descending)
        return step

    def _sort_key(self):
        function, _ = self.expressions.read()
        return function, self.scanner.accept_word("asc", "desc") == "desc"

    def _limit(self):
        self.ordered = True
        limit = self.limit = self.scanner.whole()

        def step(run):
            run.settle()
            run.rows = run.rows[:limit]
        return step

    def _dedup(self):
        keys = self._listed(self.expressions.read)

        def step(run):
            run.settle()
            seen = {}
            for row in run.rows:
                seen.setdefault(tuple(order(function(row)) for function, _ in keys), row)
            run.rows = list(seen.values())
        return step

    def _stats(self):
        if self.ordered:
            raise self.scanner.error("sort and limit are not allowed before stats")
        self.stats += 1
        if self.stats > MOST_STATS:
            raise self.scanner.error(f"at most {MOST_STATS} stats commands are allowed")
        aggregates = self.expressions.aggregates = []
        computed = self._listed(self._computed)
        self.expressions.aggregates = None
        groups = self._listed(self._grouping) if self.scanner.accept_word("by") else []
        return lambda run: _group(run, groups, aggregates, computed)

    def _computed(self):
        before = len(self.expressions.aggregates)
        name, function = self._named()
        if len(self.expressions.aggregates) == before:
            raise self.scanner.error("expecting an aggregation function")
        return name, function

    def _grouping(self):
        name, function = self._named()
        return name, function or (lambda row: row.get(name))

    def _parse(self):
        """parse FIELD "glob * of *" as a, b, or parse FIELD /(?<a>regular) (?<b>expression)/"""
        subject = self._subject()
        pattern = self.scanner.regex()
        if pattern:
            names, groups = {name: number - 1 for name, number in pattern.groupindex.items()}, _matched(pattern)
        else:
            names, groups = self._glob()
        if not names:
            raise self.scanner.error("the expression names no field")
        self.parses += 1
        place = f"#parse{self.parses}"

        def step(run):
            run.define(place, lambda row: None if (value := subject(row)) is None else groups(text(value)))
            for name, number in names.items():
                run.define(name, lambda row, number=number: found[number] if (found := row.get(place)) else None)
            run.show(names)
        return step

    def _glob(self):
        """({name: number}, the function that finds them)"""
        pattern = self.scanner.string()
        if not self.scanner.accept_word("as"):
            raise self.scanner.error("expecting 'as'")
        names = self._listed(self.scanner.name)
        if len(names) != pattern.count("*"):
            raise self.scanner.error("the pattern has not as many stars as there are fields")
        return {name: number for number, name in enumerate(names)}, _globbed(pattern)

    def _subject(self):
        if self.scanner.kind in ("name", "quoted"):
            name = self.scanner.name()
            return lambda row: row.get(name)
        return lambda row: row.get("@message")

    COMMANDS = {"fields": _fields, "display": _display, "filter": _filter, "sort": _sort, "limit": _limit,
                "dedup": _dedup, "stats": _stats, "parse": _parse}


def _redefined(name, before, function):
    if before is None:
        return function

    def value(row):
        row.known[name] = before(row)
        return function(row)
    return value


def _group(run, groups, aggregates, computed):
    """The rows of a stats command: one for each group there is. The order is nobody's promise."""
    run.settle()
    found = {}
    for row in run.rows:
        key = tuple(function(row) for _, function in groups)
        found.setdefault(tuple(map(order, key)), (key, []))[1].append(row)
    rows = []
    for key, members in found.values():
        row = {name: value for (name, _), value in zip(groups, key)}
        row |= {aggregate.field: aggregate.over(members) for aggregate in aggregates}
        row |= {name: function(row) for name, function in computed}
        rows.append(row)
    run.rows = sorted(rows, key=lambda row: zlib.crc32(repr(row).encode(), run.seed & 0xFFFFFFFF))
    run.of_events, run.final, run.chosen, run.shown = False, False, True, []
    run.show(name for name, _ in (*groups, *computed))


def _matched(pattern):
    """The function from a value to the groups of a regular expression."""
    return lambda value: match.groups() if (match := pattern.search(value)) else None


def _globbed(pattern):
    """The function from a value to what the stars of a pattern stand for: each the least it can."""
    first, *others = pattern.split("*")

    def groups(value):
        at = value.find(first)
        found, at = [], at + len(first) if at >= 0 else None
        for number, literal in enumerate(others, 1):
            if at is None:
                return None
            last = number == len(others) and not literal
            end = len(value) if last else value.find(literal, at)
            found.append(value[at:end])
            at = end + len(literal) if end >= 0 else None
        return found if at is not None else None
    return groups
