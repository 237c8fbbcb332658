"""The small languages inside a policy's YAML: periods, durations, percentages and message templates, read into core
values. Every function here raises ValueError, saying what is wrong and how it should look."""

from __future__ import annotations

import re
from string import Formatter
from typing import Final

from sidecar.core.model import SECOND, Period
from sidecar.core.text import PLACEHOLDERS
from sidecar.policy.problems import listed, meant

PERIOD: Final = re.compile(
    r"(?P<sign>-?)P(?=.)(?:(?P<y>\d{1,4})Y)?(?:(?P<m>\d{1,4})M)?(?:(?P<w>\d{1,4})W)?(?:(?P<d>\d{1,5})D)?"
    r"(?:T(?=.)(?:(?P<H>\d{1,6})H)?(?:(?P<M>\d{1,8})M)?(?:(?P<S>\d{1,9})S)?)?"
)
DURATION: Final = re.compile(r"PT(?=.)(?:(\d{1,6})H)?(?:(\d{1,8})M)?(?:(\d{1,9})(?:\.(\d{1,6}))?S)?")
PERCENT: Final = re.compile(r"(\d{1,6})%")

LONGEST_MONTHS: Final = 1_200
LONGEST_DAYS: Final = 36_600
LONGEST_MICROS: Final = LONGEST_DAYS * 86_400 * SECOND
LONGEST_MESSAGE: Final = 2_000


def signed_period(text: str) -> Period:
    """An ISO 8601 period such as P14D, P3M, PT12H, or -P7D; never of length 0, at most 100 years each part."""
    match = PERIOD.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a period; write it like P3M, P14D, P2W or PT12H")
    y, mo, w, d, h, mi, s = (int(match[g] or 0) for g in ("y", "m", "w", "d", "H", "M", "S"))
    months, days, micros = 12 * y + mo, 7 * w + d, (3600 * h + 60 * mi + s) * SECOND
    if months > LONGEST_MONTHS or days > LONGEST_DAYS or micros > LONGEST_MICROS:
        raise ValueError(f"{text!r} is longer than 100 years")
    k = -1 if match["sign"] else 1
    return Period(months=k * months, days=k * days, micros=k * micros)


def period(text: str) -> Period:
    """An ISO 8601 period of 0 or more, such as P3M or P0D."""
    found = signed_period(text)
    if text.startswith("-"):
        raise ValueError(f"{text!r} is negative; only a cut may count backwards")
    return found


def cut_length(text: str) -> Period:
    """How long a cut lasts: from its instant on, or, when negative, before it."""
    found = signed_period(text)
    if found == Period():
        raise ValueError(f"{text!r} has no length, so the cut would never hold")
    return found


def duration(text: str) -> int:
    """An exact duration above 0, such as PT5M or PT24H, in microseconds."""
    match = DURATION.fullmatch(text)
    if match is None:
        days = ", and a day as PT24H" if "D" in text.upper() else ""
        raise ValueError(f"{text!r} is not an exact duration; write it in hours, minutes, seconds, like PT5M{days}")
    hours, minutes, seconds = (int(part or 0) for part in match.groups()[:3])
    micros = (3600 * hours + 60 * minutes + seconds) * SECOND + int((match[4] or "").ljust(6, "0"))
    if not 0 < micros <= LONGEST_MICROS:
        raise ValueError(f"{text!r} must be above 0 and at most 100 years")
    return micros


def percent(text: str, *, low: int, high: int) -> int:
    """A whole percentage such as "90%"."""
    match = PERCENT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a percentage; write it like {low or 10}%")
    if not low <= int(match[1]) <= high:
        raise ValueError(f"{text!r} must be {low}% to {high}%")
    return int(match[1])


def template(text: str) -> str:
    """A message for people, with none but the known placeholders in braces."""
    if not text.strip() or len(text) > LONGEST_MESSAGE:
        raise ValueError(f"a message has 1 to {LONGEST_MESSAGE} characters")
    try:
        fields = [(name, spec, conversion) for _, name, spec, conversion in Formatter().parse(text) if name is not None]
    except ValueError as e:
        raise ValueError(f"the braces do not pair up: {e}; for a brace itself write {{{{ or }}}}") from None
    for name, spec, conversion in fields:
        if name not in PLACEHOLDERS:
            raise ValueError(_unknown(name))
        if spec or conversion:
            raise ValueError(f"placeholder {{{name}}} cannot be formatted; leave out what follows its name")
    return text


def _unknown(name: str) -> str:
    hint = meant(name, PLACEHOLDERS) or f"there are {listed(sorted(PLACEHOLDERS))}"
    return f"unknown placeholder {{{name}}}; {hint}"
