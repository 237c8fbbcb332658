"""A YAML file as plain values with the place of each, and with nothing in it that could surprise its reader.

Built from the parser's events, not by a loader: aliases are never followed, so no file can grow in memory, and every
problem is collected instead of the first one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from yaml.resolver import Resolver

LARGEST: Final = 256 * 1024
DEEPEST: Final = 16
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KINDS: Final = {"int": "number", "float": "number", "bool": "boolean", "timestamp": "date", "null": "nothing"}

_NOWHERE: Final = "\0"
"""Stands in a path for what is read for its faults alone: keys, and values that another one has the place of."""

Path = tuple[str | int, ...]
Place = tuple[int, int]
"""Line and column, counted from 1."""


@dataclass(frozen=True, slots=True)
class Unquoted:
    """A scalar that YAML reads as something else than text: `kind` is number, boolean, date, nothing or merge."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at a place of the file."""

    place: Place
    problem: str
    hint: str = ""
    path: Path = ()


@dataclass(slots=True)
class Tree:
    """A file's values, their places, and what is wrong with it as YAML."""

    value: Any = None
    places: dict[Path, Place] = field(default_factory=dict)
    """Where each value starts."""
    keys: dict[Path, Place] = field(default_factory=dict)
    """Where the key of each value of a mapping starts."""
    styles: dict[Path, str] = field(default_factory=dict)
    """How each text is written: "" plain, else the character that opens it."""
    faults: list[Fault] = field(default_factory=list)
    broken: set[Path] = field(default_factory=set)
    """Values that are not what was written, because of a fault told already."""
    whole: bool = True
    """False when the file could not be read to its end."""
    lines: tuple[str, ...] = ()

    def place(self, path: Path) -> Place:
        """Where a value starts, or the nearest one around it."""
        return next((self.places[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.places), (1, 1))

    def key_place(self, path: Path) -> Place:
        """Where the key of a value starts; of one without a key, the value."""
        return self.keys.get(path) or self.place(path)

    def inside(self, path: Path, line: int, column: int) -> Place | None:
        """The place in the file of a place in a text, both counted from 1; None where the text is not written as is."""
        (start, indent), style = self.place(path), self.styles.get(path, "")
        if style == "|":
            at = start + line
            text = self.lines[at - 1] if at <= len(self.lines) else ""
            written = next((t for t in self.lines[start : start + line] if t.strip()), text)
            return (at, len(written) - len(written.lstrip()) + column)
        value = self.get(path)
        raw = self.lines[start - 1][indent - 1 :].removeprefix(style) if start <= len(self.lines) else ""
        if style == ">" or not isinstance(value, str) or not raw.startswith(value[: column - 1]):
            return None
        return (start, indent + len(style) + column - 1)

    def get(self, path: Path) -> Any:
        """The value at a path; None where there is none."""
        found = self.value
        for step in path:
            try:
                found = found[step]
            except (KeyError, IndexError, TypeError):
                return None
        return found


class _Unreadable(Exception):
    """The rest of the file cannot be read."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.problem)
        self.fault = fault


def read(content: bytes) -> Tree:
    """The tree of a file. Never raises for what is in it: see `faults` and `whole`."""
    tree = Tree()
    try:
        text = _text(content)
        tree.lines = tuple(text.split("\n"))
        _Builder(tree, _events(text)).document()
    except _Unreadable as e:
        tree.faults.append(e.fault)
        tree.whole = False
    return tree


def _text(content: bytes) -> str:
    if len(content) > LARGEST:
        raise _Unreadable(Fault((1, 1), f"the file is larger than {LARGEST // 1024} KiB"))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        before = content[: e.start].decode("utf-8", "replace")
        raise _Unreadable(Fault(_place_at(before), "the file is not UTF-8", "save it as UTF-8")) from None
    if "\t" in text:
        raise _Unreadable(_tab(text))
    return text


def _place_at(before: str) -> Place:
    return (before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


def _tab(text: str) -> Fault:
    others = sum("\t" in line for line in text.split("\n")) - 1
    also = f"; so do {others} more lines" if others else ""
    place = _place_at(text[: text.index("\t")])
    return Fault(place, f"the line holds a tab{also}", "use spaces; inside a text in double quotes a tab is \\t")


def _events(text: str) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        context = f" {e.context}" if e.context else ""
        raise _Unreadable(Fault(place, f"this is not YAML: {e.problem}{context}")) from None
    except yaml.YAMLError as e:
        position = getattr(e, "position", 0)
        place = _place_at(text.encode()[:position].decode("utf-8", "replace"))
        raise _Unreadable(Fault(place, f"this is not YAML: {getattr(e, 'reason', e)}")) from None


class _Builder:
    """Takes events one by one and fills the tree."""

    def __init__(self, tree: Tree, events: Iterable[Any]) -> None:
        self._tree = tree
        self._events = iter(events)
        self._resolver: Any = Resolver()

    def document(self) -> None:
        """Reads the file's only document."""
        started = [self._next(), self._next()]
        if isinstance(started[1], yaml.StreamEndEvent):
            raise _Unreadable(Fault((1, 1), "the file is empty"))
        self._tree.value = self._node(self._next(), ())
        self._next()
        extra = self._next()
        if not isinstance(extra, yaml.StreamEndEvent):
            self._fault(
                extra, (), "a second document starts here", "one file holds one policy: make it a file of its own"
            )

    def _next(self) -> Any:
        return next(self._events)

    def _fault(self, event: Any, path: Path, problem: str, hint: str = "") -> None:
        self._tree.faults.append(Fault(_start(event), problem, hint, path))

    def _node(self, event: Any, path: Path) -> Any:
        self._tree.places[path] = _start(event)
        self._refuse_references(event, path)
        if isinstance(event, yaml.ScalarEvent):
            self._tree.styles[path] = event.style or ""
            return self._scalar(event)
        if isinstance(event, yaml.AliasEvent):
            return None
        if len(path) >= DEEPEST:
            raise _Unreadable(Fault(_start(event), f"nested more than {DEEPEST} deep"))
        return self._mapping(path) if isinstance(event, yaml.MappingStartEvent) else self._sequence(path)

    def _refuse_references(self, event: Any, path: Path) -> None:
        anchor = event.anchor
        if isinstance(event, yaml.AliasEvent):
            self._tree.broken.add(path)
            self._fault(event, path, f"aliases are not allowed: *{anchor}", "write the value out")
            return
        if anchor is not None:
            self._fault(event, path, f"anchors are not allowed: &{anchor}", "write the value out where it is needed")
        if event.tag is not None:
            self._tree.broken.add(path)
            self._fault(event, path, f"tags are not allowed: {event.tag}", "leave it out; a text goes in quotes")

    def _scalar(self, event: Any) -> Any:
        if not event.implicit[0]:
            return event.value
        tag = self._resolver.resolve(yaml.ScalarNode, event.value, (True, False))
        name = tag.rpartition(":")[2]
        if name == "bool" and event.value.lower() in {"true", "false"}:
            return event.value.lower() == "true"
        return Unquoted(_KINDS.get(name, name), event.value) if name not in {"str", "value"} else event.value

    def _sequence(self, path: Path) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            found.append(self._node(event, (*path, len(found))))
        return found

    def _mapping(self, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event, path)
            if key is None or key in found:
                self._node(self._next(), (*path, _NOWHERE))
                continue
            self._tree.keys[*path, key] = _start(event)
            found[key] = self._node(self._next(), (*path, key))
        return found

    def _key(self, event: Any, path: Path) -> str | None:
        key = self._node(event, (*path, _NOWHERE))
        if isinstance(key, str):
            if first := self._tree.keys.get((*path, key)):
                self._fault(event, path, f"duplicate key {key!r}", f"it is given on line {first[0]} already")
            return key
        if isinstance(key, Unquoted | bool):
            text = key.text if isinstance(key, Unquoted) else event.value
            kind = key.kind if isinstance(key, Unquoted) else "boolean"
            self._fault(event, path, f"a key must be text, and YAML reads {text!r} as a {kind}", f'write "{text}"')
        elif key is not None:
            self._fault(event, path, "a key must be text", "a list or mapping cannot be one")
        return None


def _start(event: Any) -> Place:
    return (event.start_mark.line + 1, event.start_mark.column + 1)
