"""Errors of the documents' types in words for a policy's author: what was expected, what is there, what was meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Final, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sidecar.policy.documents import FORMS, PolicyDocument
from sidecar.policy.problems import listed, meant
from sidecar.policy.yamltree import Path, Place, Tree, Unquoted

_QUOTED: Final = re.compile(r"'([^']*)'")
_EXPECTED: Final[Mapping[str, str]] = {
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


class Found(NamedTuple):
    """A problem at a path of the file."""

    path: Path
    place: Place
    problem: str
    hint: str = ""


def findings(error: ValidationError, tree: Tree) -> Iterator[Found]:
    """What a document's types have against it, but for what the file's own faults have caused."""
    for details in error.errors():
        path = tuple(details["loc"])
        if not any(path[:n] in tree.broken for n in range(len(path) + 1)):
            yield from _worded(path, details, tree)


def _worded(path: Path, details: ErrorDetails, tree: Tree) -> Iterator[Found]:
    kind = details["type"]
    if kind == "expression":
        yield from _in_expression(path, details, tree)
        return
    is_key = path[-1:] == ("[key]",)
    bare = path[:-1] if is_key else path
    place = tree.key_place(bare) if is_key or kind in {"extra_forbidden", "missing"} else tree.place(bare)
    problem, hint = _WORDS.get(kind, _other)(bare, details)
    yield Found(bare, place, problem, hint)


def _in_expression(path: Path, details: ErrorDetails, tree: Tree) -> Iterator[Found]:
    for fault in details["ctx"]["faults"]:
        place = tree.inside(path, fault.line, fault.column)
        where = "" if place else f" (line {fault.line}, column {fault.column} of the expression)"
        yield Found(path, place or tree.place(path), f"when: {fault.problem}{where}", fault.hint)


def _missing(path: Path, _: ErrorDetails) -> tuple[str, str]:
    return f"{path[-1]} is missing", ""


def _extra(path: Path, _: ErrorDetails) -> tuple[str, str]:
    known = fields_of(path[:-1])
    return f"unknown field {path[-1]!r}", meant(str(path[-1]), known) or f"there are {listed(sorted(known))}"


def _wrong_type(path: Path, details: ErrorDetails) -> tuple[str, str]:
    expected = _EXPECTED[details["type"]]
    return f"{_name(path)}: expected {expected}, got {_described(details['input'])}", _quote_it(expected, details)


def _choice(path: Path, details: ErrorDetails) -> tuple[str, str]:
    options = _QUOTED.findall(details["ctx"]["expected"])
    given = details["input"]
    problem = f"{_name(path)}: expected {listed(options)}, got {_described(given)}"
    return problem, meant(given, options) if isinstance(given, str) else ""


def _empty(path: Path, _: ErrorDetails) -> tuple[str, str]:
    return f"{_name(path)} is empty", "leave it out"


def _malformed(path: Path, details: ErrorDetails) -> tuple[str, str]:
    return f"{_name(path)}: {details['input']!r} is not allowed: {FORMS[details['ctx']['pattern']]}", ""


def _value(path: Path, details: ErrorDetails) -> tuple[str, str]:
    return f"{_name(path)}: {details['ctx']['error']}", ""


def _other(path: Path, details: ErrorDetails) -> tuple[str, str]:
    return f"{_name(path)}: {details['msg']}", ""


_WORDS: Final[Mapping[str, Callable[[Path, ErrorDetails], tuple[str, str]]]] = {
    **dict.fromkeys(_EXPECTED, _wrong_type),
    "missing": _missing,
    "extra_forbidden": _extra,
    "enum": _choice,
    "literal_error": _choice,
    "too_short": _empty,
    "string_pattern_mismatch": _malformed,
    "value_error": _value,
}


def _name(path: Path) -> str:
    """The last step of a path that has a name, and the position after it."""
    if not path:
        return "the policy"
    return str(path[-1]) if isinstance(path[-1], str) else f"{path[-2]}[{path[-1]}]"


def _described(given: object) -> str:
    if isinstance(given, Unquoted):
        return "nothing" if given.kind == "nothing" else f"the {given.kind} {given.text}"
    if isinstance(given, bool):
        return f"the boolean {str(given).lower()}"
    if isinstance(given, dict | list):
        return "a mapping" if isinstance(given, dict) else "a list"
    return repr(given)


def _quote_it(expected: str, details: ErrorDetails) -> str:
    given = details["input"]
    text = given.text if isinstance(given, Unquoted) else str(given).lower()
    if expected == "text" and isinstance(given, Unquoted | bool) and text:
        return f'for the text, write "{text}"'
    if expected == "true or false" and isinstance(given, Unquoted) and given.kind == "boolean":
        return f"write {'true' if given.text.lower() in {'yes', 'on', 'y'} else 'false'}"
    return f"write [{given}]" if expected == "a list" and isinstance(given, str) else ""


def fields_of(path: Path) -> tuple[str, ...]:
    """The fields that a mapping at a path may have, as they are written; empty where its keys are free."""
    kind: Any = PolicyDocument
    for step in path:
        kind = _inner(kind, step)
    model = _model(kind)
    return tuple(f.alias or name for name, f in model.model_fields.items()) if model else ()


def _inner(kind: Any, step: str | int) -> Any:
    model = _model(kind)
    if model:
        return next((f.annotation for name, f in model.model_fields.items() if (f.alias or name) == step), None)
    return get_args(_plain(kind))[-1] if get_args(_plain(kind)) else None


def _plain(kind: Any) -> Any:
    """A type without what is annotated to it, and without None."""
    while get_origin(kind) in {Annotated, Union, UnionType}:
        kind = next(a for a in get_args(kind) if a is not type(None))
    return kind


def _model(kind: Any) -> type[BaseModel] | None:
    plain = _plain(kind)
    return plain if isinstance(plain, type) and issubclass(plain, BaseModel) else None
