"""A message made wrong, field by field, in each way that its type allows: what no caller may send, or nearly not."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

F = FieldDescriptor

TEXTS = (
    "",
    " ",
    "x",
    " padded ",
    "a\nb",
    "a\x00b",
    "\u202eabc",
    "\u2028",
    "客" * 86,
    "x" * 257,
    "x" * 5000,
    "-1",
    "0",
    "1",
    "-0",
    "1e3",
    "1.0000001",
    "9" * 40,
    "999999999999.999999",
    "1000000000000.000001",
    "NaN",
    "١٢",
    "2026-02-30",
    "2026-06-30",
    "1969-12-31",
    "0000-00-00",
    "9999-12-31",
    "2026-06-30T25:00:00Z",
    "2026-06-30T12:00:00+08:00",
    "Mars/Olympus",
    "../../etc/passwd",
    "Asia/Shanghai",
    "eur",
    "EUR",
    "no address",
    "%",
)
NUMBERS = (0, 1, -1, 2, 7, 12_001, 36_601, 2**31 - 1, -(2**31))
LARGE = (2**31, 2**31 + 1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63))
WIDE = (F.TYPE_INT64, F.TYPE_UINT64, F.TYPE_SINT64)


def variants(message: Message, leaving_out: Collection[str] = ()) -> Iterator[tuple[str, Any]]:
    """Copies of a message that differ from it in one field, with that field's path."""
    for field in message.DESCRIPTOR.fields:
        if field.name not in leaving_out:
            yield from _of_field(message, field)


def _of_field(message: Any, field: Any) -> Iterator[tuple[str, Any]]:
    if field.is_repeated:
        yield from _of_repeated(message, field)
    elif field.type == F.TYPE_MESSAGE:
        yield from _of_message(message, field)
    else:
        for value in _values(field):
            copy = _copy(message)
            setattr(copy, field.name, value)
            yield field.name, copy
        yield field.name, _without(message, field)


def _values(field: Any) -> tuple[Any, ...]:
    if field.type == F.TYPE_STRING:
        return TEXTS
    if field.type == F.TYPE_BOOL:
        return (True, False)
    if field.type == F.TYPE_ENUM:
        return (*(value.number for value in field.enum_type.values), 99, -1)
    return NUMBERS + (LARGE if field.type in WIDE else ())


def _of_message(message: Any, field: Any) -> Iterator[tuple[str, Any]]:
    yield field.name, _without(message, field)
    empty = _without(message, field)
    getattr(empty, field.name).SetInParent()
    yield field.name, empty
    for path, inner in variants(getattr(message, field.name)):
        copy = _copy(message)
        getattr(copy, field.name).CopyFrom(inner)
        yield f"{field.name}.{path}", copy


def _of_repeated(message: Any, field: Any) -> Iterator[tuple[str, Any]]:
    yield field.name, _without(message, field)
    held = list(getattr(message, field.name))
    first = held[0] if held else _new(message, field)
    for many in (held * 2, [first] * 1001, [*held, _new(message, field)]):
        yield field.name, _with(message, field, many)
    if field.type != F.TYPE_MESSAGE:
        for value in _values(field):
            yield field.name, _with(message, field, [*held[1:], value])
        return
    for path, inner in variants(first):
        yield f"{field.name}[0].{path}", _with(message, field, [inner, *held[1:]])


def _new(message: Any, field: Any) -> Any:
    if field.type == F.TYPE_MESSAGE:
        return getattr(_copy(message), field.name).add()
    return ""


def _with(message: Any, field: Any, values: list[Any]) -> Any:
    copy = _without(message, field)
    getattr(copy, field.name).extend(values)
    return copy


def _without(message: Any, field: Any) -> Any:
    copy = _copy(message)
    copy.ClearField(field.name)
    return copy


def _copy(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
