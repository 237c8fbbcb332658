"""What is wrong with a set of policies: every problem with its place, the rule it is in and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from sidecar.core.errors import DeskgateError


@dataclass(frozen=True, slots=True, order=True)
class PolicyError:
    """One problem. `line` and `column` count from 1; both are 0 where the file as a whole is meant."""

    file: str
    line: int
    column: int
    rule: str
    problem: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        rule = f"rule {self.rule}: " if self.rule else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}: {rule}{self.problem}{hint}"


class PolicyErrors(DeskgateError):
    """A set of policies cannot be used. `errors` is everything that is wrong with it, by file and place.

    `refused` is False when the set is in force all the same, and only could not be kept for the next start.
    """

    def __init__(self, errors: Iterable[PolicyError], *, refused: bool = True) -> None:
        self.errors = tuple(sorted(errors))
        self.refused = refused
        super().__init__("\n".join(map(str, self.errors)))


def meant(word: str, known: Iterable[str]) -> str:
    """A hint at the known word nearest to one that is not known; empty when none is near."""
    options = {k.casefold().replace("-", "_"): k for k in known}
    near = get_close_matches(word.casefold().replace("-", "_"), options, n=1, cutoff=0.6)
    return f"did you mean {options[near[0]]!r}?" if near else ""


def listed(words: Sequence[str]) -> str:
    """Words for a sentence: "a, b or c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
