"""What a notice says: templates in English and Chinese, filled in with its facts (domain.md 3).

A template is named LANGUAGE/KIND.subject.txt, LANGUAGE/KIND.txt or LANGUAGE/KIND.html. An operator's folder may hold
some of them: they come before ours. All are read, and tried on samples, before the first notice is written.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateSyntaxError,
    select_autoescape,
)

from sidecar.core.calendar import to_local, zone_of
from sidecar.core.errors import DeskgateError
from sidecar.core.model import DAY, FOREVER, MICROS, Instant
from sync.store.notices import Facts

OURS: Final = Path(__file__).parent / "texts"
ENGLISH: Final = "en"
CHINESE: Final = "zh"
LANGUAGES: Final = (ENGLISH, CHINESE)
PARTS: Final = ("subject.txt", "txt", "html")
LAYOUT: Final = "layout.html"
REMINDER: Final[Facts] = {"ends_at": 0, "grace_ends_at": 0, "count": 0, "keys": [], "trials": []}
FACTS: Final[Mapping[str, Facts]] = {
    "expiring": REMINDER,
    "ended": REMINDER,
    "grace_monthly": REMINDER,
    "payment_recorded": {"order_id": 0, "amount": 0, "currency": "", "paid_on": "", "reference": ""},
    "provisioned": {"order_id": 0, "provisioned_at": 0, "reference": ""},
}
"""Kind to its facts, with the value that stands where one is left out."""
WALL_CLOCK: Final = {ENGLISH: "%Y-%m-%d %H:%M", CHINESE: "%Y年%m月%d日 %H:%M"}


class BadTemplate(DeskgateError):
    """A template that cannot be used; says which, on which line, and why."""


class BadFacts(DeskgateError):
    """A notice whose facts are not what its kind tells of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Of whom and for whom a letter is written."""

    tenant_id: str
    name: str
    zone: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A notice as people read it."""

    subject: str
    text: str
    html: str


class Letters:
    """All templates. Raises BadTemplate for a folder with one that cannot be used."""

    def __init__(self, folder: Path | None = None) -> None:
        folders = [OURS] if folder is None else [folder, OURS]
        self._folders: Final = [str(f) for f in folders]
        self._environment: Final = Environment(
            loader=ChoiceLoader([FileSystemLoader(f) for f in folders]),
            autoescape=select_autoescape(["html"], default=False),
            undefined=StrictUndefined,
            auto_reload=False,
            cache_size=-1,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        if folder is not None:
            _refuse_unknown(folder)
        for name in NAMES:
            self._read(name)
        for kind, language, facts in _samples():
            reader = Reader(tenant_id="acme", name="Acme", zone="Asia/Shanghai", language=language)
            self.write(kind, facts, reader, SAMPLE_NOW)

    def write(self, kind: str, facts: Facts, reader: Reader, now: Instant) -> Letter:
        """A notice for a reader, as of an instant. Raises BadTemplate or BadFacts."""
        language = language_of(reader.language)
        try:
            context = _context(kind, {**FACTS[kind], **facts}, reader, language, now)
        except (TypeError, ValueError, OverflowError) as e:
            raise BadFacts(f"{kind}: its facts cannot be told: {e}") from e
        subject, text, html = (self._render(f"{language}/{kind}.{part}", context) for part in PARTS)
        return Letter(subject=" ".join(subject.split()), text=text.strip() + "\n", html=html.strip() + "\n")

    def _read(self, name: str) -> Any:
        try:
            return self._environment.get_template(name)
        except TemplateSyntaxError as e:
            raise BadTemplate(f"{e.filename or name}:{e.lineno}: {e.message}") from e
        except (OSError, UnicodeDecodeError) as e:
            raise BadTemplate(f"{self._file(name)}:1: it cannot be read as UTF-8 text: {e}") from e

    def _render(self, name: str, context: Mapping[str, object]) -> str:
        template = self._read(name)
        try:
            return str(template.render(context))
        except BadTemplate:
            raise
        except TemplateSyntaxError as e:
            raise BadTemplate(f"{e.filename or name}:{e.lineno}: {e.message}") from e
        except Exception as e:  # whatever an expression of a template can raise
            raise BadTemplate(f"{self._place(e, name)}: {e or type(e).__name__}") from e

    def _file(self, name: str) -> Path:
        return next(path for f in self._folders if (path := Path(f) / name).exists())

    def _place(self, error: BaseException, name: str) -> str:
        """The innermost line of a template that was being filled in."""
        place, at = f"{self._file(name)}:1", error.__traceback__
        while at is not None:
            file = at.tb_frame.f_code.co_filename
            if file.startswith(tuple(self._folders)) and file.endswith((".txt", ".html")):
                place = f"{file}:{at.tb_lineno}"
            at = at.tb_next
        return place


NAMES: Final = (*(f"{lang}/{kind}.{part}" for lang in LANGUAGES for kind in FACTS for part in PARTS), LAYOUT)


def language_of(tag: str) -> str:
    """Chinese for a tenant whose language is, else English."""
    return CHINESE if tag.lower().split("-")[0] == CHINESE else ENGLISH


def _refuse_unknown(folder: Path) -> None:
    if not folder.is_dir():
        raise BadTemplate(f"{folder} is not a folder of templates")
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_dir() or any(part.startswith(".") for part in name.parts):
            continue
        if name.as_posix() not in NAMES:
            near = difflib.get_close_matches(name.as_posix(), NAMES, n=1)
            hint = f"did you mean {near[0]}?" if near else "they are named LANGUAGE/KIND.PART, such as en/ended.html"
            raise BadTemplate(f"{path}:1: nothing is read from a file of this name ({hint})")


def _context(kind: str, facts: Mapping[str, Any], reader: Reader, language: str, now: Instant) -> dict[str, object]:
    """What templates may say: the facts, instants on the tenant's clock, amounts as decimals."""
    zone = zone_of(reader.zone)
    context: dict[str, object] = {
        **facts,
        "kind": kind,
        "tenant": reader.name or reader.tenant_id,
        "tenant_id": reader.tenant_id,
    }
    for name in ("ends_at", "grace_ends_at", "provisioned_at"):
        if name in facts:
            context[name] = _moment(facts[name], zone, language)
    if "ends_at" in facts:
        context["days_left"] = (to_local(facts["ends_at"], zone).date() - to_local(now, zone).date()).days
        context["has_grace"] = facts["ends_at"] < facts["grace_ends_at"]
        context["in_grace"] = facts["ends_at"] <= now < facts["grace_ends_at"]
        context["trial"] = list(facts["trials"]) == list(facts["keys"])
    if "amount" in facts:
        context["amount"] = _amount(abs(facts["amount"]))
        context["taken_back"] = facts["amount"] < 0
    return context


def _moment(instant: Instant, zone: ZoneInfo, language: str) -> str:
    if instant in (0, FOREVER):
        return ""
    wall = to_local(instant, zone)
    seconds = f":{wall:%S}" if wall.second else ""
    return f"{wall:{WALL_CLOCK[language]}}{seconds} ({zone.key})"


def _amount(micros: int) -> str:
    whole, rest = divmod(micros, MICROS)
    decimals = f"{rest:06}".rstrip("0").ljust(2, "0")
    return f"{whole:,}.{decimals}" if rest else f"{whole:,}"


SAMPLE_NOW: Final = 1_781_000_000 * MICROS
_END: Final = SAMPLE_NOW + 7 * DAY


def _samples() -> Iterator[tuple[str, str, Facts]]:
    """One of each thing that can be said, in each language."""
    keys = ["fixed_desk", "meeting_room"]
    ahead: Facts = {"ends_at": _END, "grace_ends_at": _END + 90 * DAY, "count": 7, "keys": keys, "trials": []}
    past = {**ahead, "ends_at": SAMPLE_NOW - 31 * DAY, "count": 1}
    order: Facts = {"order_id": 7, "reference": "INV-2026-7"}
    payment: Facts = {**order, "amount": 15_000 * MICROS, "currency": "CNY", "paid_on": "2026-06-30"}
    variants: tuple[tuple[str, Facts], ...] = (
        ("expiring", ahead),
        ("expiring", {**ahead, "trials": keys[:1]}),
        ("expiring", {**ahead, "trials": keys, "ends_at": SAMPLE_NOW}),
        ("expiring", {**ahead, "trials": keys, "ends_at": SAMPLE_NOW + DAY}),
        ("ended", past),
        ("ended", {**past, "trials": keys, "grace_ends_at": SAMPLE_NOW}),
        ("ended", {**past, "grace_ends_at": FOREVER}),
        ("grace_monthly", past),
        ("grace_monthly", {**past, "trials": keys, "grace_ends_at": FOREVER}),
        ("payment_recorded", payment),
        ("payment_recorded", {**payment, "amount": -12_500_000, "reference": ""}),
        ("provisioned", {**order, "provisioned_at": SAMPLE_NOW}),
        ("provisioned", {"order_id": 7, "provisioned_at": SAMPLE_NOW}),
    )
    for language in LANGUAGES:
        for kind, facts in variants:
            yield kind, language, facts


def sample(kind: str) -> Facts:
    """Facts to show a kind of notice with."""
    return next(facts for found, _, facts in _samples() if found == kind)
