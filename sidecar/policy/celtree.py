"""A checked CEL expression as a tree, to judge its literals by: the checker lets bad zones and patterns pass.

A literal part, one that reads no variable, has one value whatever the question is: if that is an error, or if it makes
the call it stands in fail on every question, the expression is refused when it is loaded. The message layout below is
the published one of cel.expr.CheckedExpr, as far as it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

_F: Final = FieldDescriptorProto
_ONE, _MANY = _F.LABEL_OPTIONAL, _F.LABEL_REPEATED
_LAYOUT: Final[dict[str, tuple[tuple[str, int, int, int | str], ...]]] = {
    "Checked": (
        ("references", 2, _MANY, "Keyed"),
        ("types", 3, _MANY, "Keyed"),
        ("expr", 4, _ONE, "Expr"),
        ("source", 5, _ONE, "Source"),
    ),
    "Source": (("positions", 4, _MANY, "Position"),),
    "Keyed": (("key", 1, _ONE, _F.TYPE_INT64),),
    "Position": (("key", 1, _ONE, _F.TYPE_INT64), ("value", 2, _ONE, _F.TYPE_INT32)),
    "Expr": (
        ("id", 2, _ONE, _F.TYPE_INT64),
        ("literal", 3, _ONE, "Opaque"),
        ("ident", 4, _ONE, "Ident"),
        ("select", 5, _ONE, "Select"),
        ("call", 6, _ONE, "Call"),
        ("list", 7, _ONE, "List"),
        ("struct", 8, _ONE, "Struct"),
        ("fold", 9, _ONE, "Fold"),
    ),
    "Opaque": (),
    "Ident": (("name", 1, _ONE, _F.TYPE_STRING),),
    "Select": (("operand", 1, _ONE, "Expr"), ("field", 2, _ONE, _F.TYPE_STRING)),
    "Call": (("target", 1, _ONE, "Expr"), ("function", 2, _ONE, _F.TYPE_STRING), ("args", 3, _MANY, "Expr")),
    "List": (("elements", 1, _MANY, "Expr"),),
    "Struct": (("entries", 2, _MANY, "Entry"),),
    "Entry": (("map_key", 3, _ONE, "Expr"), ("value", 4, _ONE, "Expr")),
    "Fold": (
        ("iter_var", 1, _ONE, _F.TYPE_STRING),
        ("range", 2, _ONE, "Expr"),
        ("accu_var", 3, _ONE, _F.TYPE_STRING),
        ("init", 4, _ONE, "Expr"),
        ("condition", 5, _ONE, "Expr"),
        ("step", 6, _ONE, "Expr"),
        ("result", 7, _ONE, "Expr"),
        ("iter_var2", 8, _ONE, _F.TYPE_STRING),
    ),
}


def _message(name: str, fields: tuple[tuple[str, int, int, int | str], ...]) -> DescriptorProto:
    made = DescriptorProto(name=name)
    for field, number, label, kind in fields:
        of_message = isinstance(kind, str)
        added = made.field.add(name=field, number=number, label=label, type=_F.TYPE_MESSAGE if of_message else kind)
        if of_message:
            added.type_name = f".celtree.{kind}"
    return made


def _checked_class() -> Any:
    file = FileDescriptorProto(name="celtree.proto", package="celtree", syntax="proto3")
    file.message_type.extend(_message(name, fields) for name, fields in _LAYOUT.items())
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("celtree.Checked"))


_Checked: Final = _checked_class()


@dataclass(frozen=True, slots=True)
class Node:
    """One part of an expression. `offset` is its place in characters; `free` are the names it reads from outside."""

    ids: tuple[int, ...]
    """Of the part itself and of all inner ones."""
    offset: int
    free: frozenset[str]
    function: str
    """Of a call; else empty."""
    folds: bool
    """Whether it is a loop over a list or map."""
    last: Node | None
    """A call's last argument."""
    children: tuple[Node, ...]
    alone: Callable[[], bytes]
    """The part alone, serialized as an expression that can be evaluated where `free` is empty."""


class _Whole(NamedTuple):
    """The expression that a part is of."""

    offsets: Mapping[int, int]
    references: Mapping[int, Any]
    types: Mapping[int, Any]
    type_url: str


def parse(serialized: bytes) -> Node | None:
    """The tree of a checked expression; None when it is nested too deeply to be read."""
    wrapped = AnyMessage.FromString(serialized)
    try:
        checked = _Checked.FromString(wrapped.value)
    except DecodeError:
        return None
    whole = _Whole(
        {p.key: p.value for p in checked.source.positions},
        {r.key: r for r in checked.references},
        {t.key: t for t in checked.types},
        wrapped.type_url,
    )
    return _node(checked.expr, whole)


def _node(expr: Any, whole: _Whole) -> Node:
    children = tuple(_node(part, whole) for part in _parts(expr) if part.ByteSize())
    ids = (expr.id, *(i for c in children for i in c.ids))
    return Node(
        ids=ids,
        offset=whole.offsets.get(expr.id, 0),
        free=_free(expr, children),
        function=expr.call.function,
        folds=expr.HasField("fold"),
        last=children[-1] if expr.call.args else None,
        children=children,
        alone=lambda: _alone(expr, ids, whole),
    )


def _free(expr: Any, children: tuple[Node, ...]) -> frozenset[str]:
    """The names a part reads from outside it. A fold's own names are not known in its range and start value."""
    if expr.HasField("ident"):
        return frozenset({expr.ident.name.lstrip(".")})
    inner = [c.free for c in children]
    if not expr.HasField("fold"):
        return frozenset().union(*inner)
    own = {expr.fold.iter_var, expr.fold.iter_var2, expr.fold.accu_var}
    return inner[0].union(inner[1], frozenset().union(*inner[2:]) - own)


def _alone(expr: Any, ids: Iterable[int], whole: _Whole) -> bytes:
    part = _Checked(expr=expr)
    for i in ids:
        part.references.extend(_found(whole.references, i))
        part.types.extend(_found(whole.types, i))
    return AnyMessage(type_url=whole.type_url, value=part.SerializeToString()).SerializeToString()


def _found(entries: Mapping[int, Any], key: int) -> list[Any]:
    return [entries[key]] if key in entries else []


def _parts(expr: Any) -> Iterator[Any]:
    if expr.HasField("select"):
        yield expr.select.operand
    if expr.HasField("call"):
        yield expr.call.target
        yield from expr.call.args
    yield from expr.list.elements
    for entry in expr.struct.entries:
        yield from (entry.map_key, entry.value)
    if expr.HasField("fold"):
        fold = expr.fold
        yield from (fold.range, fold.init, fold.condition, fold.step, fold.result)
