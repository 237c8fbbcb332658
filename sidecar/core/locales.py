"""Which language to answer in: RFC 4647 look-up, then the tenant's language, then English (architecture 4)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from sidecar.core.errors import InvalidRequest

LOCALE: Final = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,7}")
LAST_RESORT: Final = "en"
REMEMBERED: Final = 1024


class Languages:
    """The languages that a policy set has messages in."""

    def __init__(self, available: frozenset[str]) -> None:
        self._available: Final = {language.lower(): language for language in sorted(available)}
        self._found: Final[dict[tuple[str, str], tuple[str, ...]]] = {}

    def chain(self, locale: str, tenant_language: str) -> tuple[str, ...]:
        """Languages to try, best first. `locale` may be empty. Raises InvalidRequest for a malformed one."""
        found = self._found.get((locale, tenant_language))
        if found is None:
            found = self._chain(locale, tenant_language)
            if len(self._found) < REMEMBERED:
                self._found[locale, tenant_language] = found
        return found

    def _chain(self, locale: str, tenant_language: str) -> tuple[str, ...]:
        if locale and not LOCALE.fullmatch(locale):
            raise InvalidRequest("locale", f"{locale[:64]!r} is not a language tag such as zh-CN")
        wanted = [*self._lookup(locale), *self._lookup(tenant_language), LAST_RESORT]
        return tuple(dict.fromkeys(wanted))

    def _lookup(self, tag: str) -> list[str]:
        """The tag, shortened step by step; then any language of the same primary subtag."""
        parts = tag.lower().split("-") if tag else []
        exact = ["-".join(parts[:n]) for n in range(len(parts), 0, -1)]
        kin = [k for k in self._available if parts and k.split("-")[0] == parts[0]]
        return [self._available[t] for t in (*exact, *kin) if t in self._available]


def pick(message: Mapping[str, str], chain: tuple[str, ...]) -> str:
    """The message in the first language of the chain it has; every message has English."""
    for language in chain:
        text = message.get(language)
        if text is not None:
            return text
    return ""
