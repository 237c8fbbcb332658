"""`when:` expressions in CEL, type-checked when a policy is loaded (architecture 2.10).

What the checker lets pass and would fail on every question is refused as well: a bad zone, pattern, duration or instant
in a literal, a division by a literal zero. At run time an error is no exception but a value, and a truthy one: only
True and False themselves count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, Final

from cel_expr_python import cel

from sidecar.core.errors import ConditionFailed, DeskgateError
from sidecar.core.rules import VARIABLES
from sidecar.policy import celtree
from sidecar.policy.problems import meant

LONGEST: Final = 4096
NOW: Final = "now"
EARLIEST: Final = datetime(1, 1, 2, tzinfo=UTC)
LATEST: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""What CEL takes for instants; those outside are read as the nearest of these."""

_TYPES: Final[Mapping[str, Any]] = {
    "timestamp": cel.Type.TIMESTAMP,
    "string": cel.Type.STRING,
    "int": cel.Type.INT,
    "bool": cel.Type.BOOL,
    "list<string>": cel.Type.List(cel.Type.STRING),
    "map<string, string>": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
}
_ERROR: Final = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_UNDECLARED: Final = re.compile(r"undeclared reference to '([^']*)'")
_STATUS: Final = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$| \(in container ''\)")
_FUNCTIONS: Final = ("matches", "contains", "startsWith", "endsWith", "size", "timestamp", "duration", "exists", "all")

_ZONED: Final = (
    *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"),
    *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
)
_PROBES: Final[Mapping[str, tuple[str, str]]] = {
    "matches": ("string", "''.matches(literal)"),
    "_/_": ("int", "1 / literal == 1"),
    "_%_": ("int", "1 % literal == 1"),
    **{function: ("string", f"timestamp(0).{function}(literal) == 0") for function in _ZONED},
}
"""Calls that fail whatever they are called on when their last argument is bad: its type, and how that is found out."""


_LENIENT: Final = frozenset({"_&&_", "_||_", "_?_:_", "@not_strictly_false"})
"""Calls that may succeed though an argument fails."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at a place within an expression; `line` and `column` count from 1."""

    line: int
    column: int
    problem: str
    hint: str = ""


class InvalidExpression(DeskgateError):
    """An expression that cannot be used, with everything that is wrong with it."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(f.problem for f in faults))
        self.faults = faults


class CelCondition:
    """A compiled `when:` expression. Frozen, and safe to evaluate from several threads."""

    __slots__ = ("_expression", "_read", "reads", "reads_time", "source")

    def __init__(self, source: str, expression: Any, reads: frozenset[str]) -> None:
        self.source: Final = source
        self.reads: Final = reads
        """The variables it reads; no others need be given."""
        self.reads_time: Final = NOW in reads
        self._expression: Final = expression
        self._read: Final = tuple((name, _CONVERTED.get(VARIABLES[name], _same)) for name in sorted(reads))

    def evaluate(self, variables: Mapping[str, object]) -> bool:
        """True or False. Raises ConditionFailed, saying why, on anything else."""
        try:
            data = {name: convert(variables[name]) for name, convert in self._read}
            found = self._expression.eval(data=data).plain_value()
        except KeyError as e:
            raise ConditionFailed(f"no value for {e.args[0]}") from None
        except (RuntimeError, ValueError, TypeError, OverflowError) as e:
            raise ConditionFailed(_words(str(e))) from None
        if found is True or found is False:
            return bool(found)
        raise ConditionFailed(_words(str(found)))

    def __repr__(self) -> str:
        return f"CelCondition({self.source!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CelCondition) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)


def _same(value: object) -> object:
    return value


def _moment(value: object) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise TypeError(f"an instant must be a datetime with a zone, got {value!r}")
    return min(max(value, EARLIEST), LATEST)


_CONVERTED: Final[Mapping[str, Callable[[Any], object]]] = {
    "timestamp": _moment,
    "list<string>": list,
    "map<string, string>": dict,
}
"""Types whose values CEL does not take as they come: it silently fails on tuples and read-only mappings."""


@lru_cache(maxsize=1024)
def compile_condition(source: str) -> CelCondition:
    """An expression ready to be evaluated. Raises InvalidExpression with all that is wrong with it."""
    if not source.strip() or len(source) > LONGEST:
        raise InvalidExpression(Fault(1, 1, f"an expression has 1 to {LONGEST} characters"))
    expression = _checked(source)
    kind = expression.return_type()
    if kind != cel.Type.BOOL:
        raise InvalidExpression(Fault(1, 1, f"the expression must be true or false, but it is of type {kind}"))
    tree = celtree.parse(expression.serialize())
    if tree is None:
        raise InvalidExpression(Fault(1, 1, "the expression is nested too deeply"))
    faults = tuple(_faults(tree, source))
    if faults:
        raise InvalidExpression(*faults)
    return CelCondition(source, expression, tree.free & VARIABLES.keys())


@cache
def _environment() -> Any:
    return cel.NewEnv(variables={name: _TYPES[kind] for name, kind in VARIABLES.items()})


@cache
def _probe(function: str) -> Any:
    kind, source = _PROBES[function]
    return cel.NewEnv(variables={"literal": _TYPES[kind]}).compile(source)


def _checked(source: str) -> Any:
    try:
        return _environment().compile(source)
    except RuntimeError as e:
        raise InvalidExpression(*_compile_faults(str(e))) from None


def _compile_faults(message: str) -> list[Fault]:
    found = [Fault(max(1, int(m[1])), max(1, int(m[2])), _words(m[3]), _hint(m[3])) for m in _ERROR.finditer(message)]
    return found or [Fault(1, 1, _words(message))]


def _hint(message: str) -> str:
    undeclared = _UNDECLARED.search(message)
    return meant(undeclared[1], (*VARIABLES, *_FUNCTIONS, *_ZONED)) if undeclared else ""


def _words(message: str) -> str:
    """An error of the library's without its status codes."""
    return _STATUS.sub("", message.strip())


def _faults(node: celtree.Node, source: str) -> Iterator[Fault]:
    """Literal parts that cannot be evaluated, and calls that a literal argument makes fail on every question.

    Inner parts are blamed first. A literal part that works needs no look inside, unless it can do without some of it.
    """
    strict = node.function not in _LENIENT and not node.folds
    problem = _literal_problem(node)
    if not node.free and strict and not problem:
        return
    inner = [fault for child in node.children for fault in _faults(child, source)]
    yield from inner
    if problem and not inner:
        yield Fault(*_place(source, node.offset), problem)


def _literal_problem(node: celtree.Node) -> str:
    if not node.free:
        evaluated = node.children and node.function not in _LENIENT
        return _failure(lambda: _value(node)) if evaluated else ""
    last = node.last
    if node.function not in _PROBES or last is None or last.free or last is node.children[0]:
        return ""
    return _probe_problem(node.function, last)


def _probe_problem(function: str, last: celtree.Node) -> str:
    literal = _value(last)
    kind, _ = _PROBES[function]
    if literal.type() != _TYPES[kind]:
        return (
            "divide by zero" if kind == "int" and literal.type() == cel.Type.UINT and not literal.plain_value() else ""
        )
    return _failure(lambda: _probe(function).eval(data={"literal": literal.plain_value()}))


def _value(node: celtree.Node) -> Any:
    return _environment().deserialize(node.alone()).eval(data={})


def _failure(evaluate: Callable[[], Any]) -> str:
    try:
        value = evaluate()
    except RuntimeError as e:
        return _words(str(e))
    return _words(str(value.plain_value())) if value.type() == cel.Type.ERROR else ""


def _place(source: str, offset: int) -> tuple[int, int]:
    before = source[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1
