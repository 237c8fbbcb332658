"""Names, contacts and labels as callers give them: taken as they are, or refused naming the field."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from email.errors import MessageError
from email.headerregistry import Address
from typing import Final

from sidecar.core.errors import InvalidRequest

LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
MOST_TAGS: Final = 64
MOST_CONTACTS: Final = 16
LONGEST_ADDRESS: Final = 254
LONGEST_NAME: Final = 256


def sized_name(field: str, value: str) -> str:
    """`value`, when it is 1 to 256 bytes of UTF-8 without a NUL, which not every database can hold: what others name is
    taken as it is. Raises InvalidRequest.
    """
    try:
        size = len(value.encode())
    except UnicodeEncodeError as e:
        raise InvalidRequest(field, "not text that UTF-8 can say") from e
    if not 1 <= size <= LONGEST_NAME:
        raise InvalidRequest(field, f"1 to {LONGEST_NAME} bytes are needed, got {size}")
    return whole_text(field, value)


def whole_text(field: str, value: str) -> str:
    """`value`, when there is no NUL in it. Raises InvalidRequest."""
    if "\0" in value:
        raise InvalidRequest(field, "it has a NUL character")
    return value


def checked_name(field: str, value: str) -> str:
    """`value`, when it is 1 to 256 bytes without blanks at its ends or control characters. Raises InvalidRequest."""
    sized_name(field, value)
    if value != value.strip() or not value.isprintable():
        raise InvalidRequest(field, f"{value!r} has blanks at its ends or characters that cannot be printed")
    return value


def checked_title(field: str, value: str) -> str:
    """A name for people: empty, or a checked name. Raises InvalidRequest."""
    return checked_name(field, value) if value else value


def checked_language(value: str) -> str:
    """A BCP 47 language, or nothing. Raises InvalidRequest."""
    if value and not LANGUAGE.fullmatch(value):
        raise InvalidRequest("language", f"{value!r} is not a language tag such as en or zh-CN")
    return value


def checked_tags(tags: Sequence[str]) -> list[str]:
    """Labels, each once, in order of the alphabet. Raises InvalidRequest."""
    if len(tags) > MOST_TAGS:
        raise InvalidRequest("tags", f"at most {MOST_TAGS}")
    return sorted({checked_name("tags", tag) for tag in tags})


def checked_contacts(addresses: Iterable[str]) -> list[str]:
    """E-mail addresses, each once, in the order given. Raises InvalidRequest."""
    found = list(dict.fromkeys(checked_address("contacts", address) for address in addresses))
    if len(found) > MOST_CONTACTS:
        raise InvalidRequest("contacts", f"at most {MOST_CONTACTS}")
    return found


def checked_address(field: str, value: str) -> str:
    """An e-mail address such as ada@acme.example. Raises InvalidRequest."""
    try:
        parsed = Address(addr_spec=value)
    except (MessageError, ValueError, IndexError) as e:
        raise InvalidRequest(field, f"{value!r} is not an e-mail address") from e
    plain = value.isascii() and value.isprintable() and " " not in value and len(value) <= LONGEST_ADDRESS
    if not (plain and parsed.username and parsed.domain and parsed.addr_spec == value):
        raise InvalidRequest(field, f"{value!r} is not an e-mail address of ASCII characters")
    return value
