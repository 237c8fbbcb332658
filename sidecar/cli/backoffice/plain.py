"""Messages of the back office as plain values, for `--json`, and as cells of a table for people."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from sidecar.core.calendar import format_instant


def plain(message: Message) -> dict[str, Any]:
    """Every field by its name: instants in RFC 3339, enum values as words in lower case, null where nothing is."""
    return {field.name: _value(message, field) for field in message.DESCRIPTOR.fields}


def _value(message: Message, field: Any) -> Any:
    if field.is_repeated:
        return [_one(each, field) for each in getattr(message, field.name)]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _one(getattr(message, field.name), field)


def _one(value: Any, field: Any) -> Any:
    if isinstance(value, Timestamp):
        return moment(value)
    if isinstance(value, Message):
        return plain(value)
    return word(field.enum_type, value) if field.enum_type is not None else value


def word(kind: EnumDescriptor, number: int) -> str | None:
    """An enum's value without the enum's name before it; None for the one that says nothing."""
    name: str = kind.values_by_number[number].name
    return None if number == 0 else name.removeprefix(_prefix(kind)).lower()


def number(kind: EnumDescriptor, text: str) -> Any:
    """The enum's value that `word` gives `text` for."""
    return kind.values_by_name[_prefix(kind) + text.upper()].number


def _prefix(kind: EnumDescriptor) -> str:
    name: str = kind.values_by_number[0].name
    return name.removesuffix("UNSPECIFIED")


def moment(value: Timestamp) -> str:
    """RFC 3339."""
    return format_instant(value.seconds * 1_000_000 + value.nanos // 1000)


def shown(message: Message, field: str, *, absent: str = "-") -> str:
    """A field as a cell: `absent` where there is nothing."""
    value = plain(message)[field]
    if isinstance(value, list):
        return ", ".join(map(str, value)) or absent
    return absent if value in (None, "") else str(value)
