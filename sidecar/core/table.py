"""Rules as a table: per fact value one bit mask of the rules that accept it, so that matching is a few ANDs.

`mismatch` states the same for one rule in words; the tests hold the two against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import reduce
from operator import or_
from types import MappingProxyType
from typing import Final

from sidecar.core.actions import ACTIONS
from sidecar.core.facts import Facts, Judged
from sidecar.core.model import Freshness, Phase, Standing, Status
from sidecar.core.rules import Booked, Room, Rule, Seated, Used

GLOB: Final = frozenset("*?[")
UNJUDGED: Final = Judged(0, 0, Used.UNCOUNTED, Room.FITS, False)

_ENUMS: Final[tuple[tuple[str, tuple[object, ...], Callable[[Facts], object]], ...]] = (
    ("status", tuple(Status), lambda f: f.segment.state.status),
    ("phase", tuple(Phase), lambda f: f.segment.state.phase),
    ("standing", tuple(Standing), lambda f: f.segment.state.standing),
    ("licensed", (True, False), lambda f: f.licensed),
    ("seat", tuple(Seated), lambda f: f.seat),
    ("window", tuple(Booked), lambda f: f.window),
    ("freshness", tuple(Freshness), lambda f: f.freshness),
    ("expiring_soon", (True, False), lambda f: f.segment.state.expiring_soon),
)
"""Matcher, its values, and where a question's value is found."""

_JUDGED: Final[tuple[tuple[str, tuple[object, ...], Callable[[Judged], object]], ...]] = (
    ("usage", tuple(Used), lambda j: j.usage),
    ("room", tuple(Room), lambda j: j.room),
    ("near_quota", (True, False), lambda j: j.near),
)
"""The same for what is judged over a key, or over the group a rule judges by."""


@dataclass(frozen=True, slots=True)
class Table:
    """The rules that apply to a tenant, in order, and their index."""

    rules: tuple[Rule, ...]
    groups: Mapping[str, tuple[str, ...]]
    """Key groups that some rule judges by, and their keys."""
    actions: Mapping[str, int]
    """Masks of the actions that are known or named; others are matched by glob."""
    enums: tuple[tuple[Callable[[Facts], object], Mapping[object, int]], ...]
    judged: tuple[tuple[Callable[[Judged], object], Mapping[object, int]], ...]
    cuts: tuple[tuple[str, int, int], ...]
    """Name of a cut; rules that accept it held, and not held."""
    judged_by: Mapping[str, int]
    keyed: int
    """Rules that name keys."""

    def match(self, facts: Facts) -> tuple[Rule, ...]:
        """The rules whose matchers all hold, in order; expressions are not looked at."""
        mask = self.actions.get(facts.action)
        if mask is None:
            mask = _action_mask(self.rules, facts.action)
        for read, masks in self.enums:
            mask &= masks[read(facts)]
        for name, held, absent in self.cuts:
            mask &= held if name in facts.segment.state.cuts else absent
        mask &= self._judge(facts)
        if mask & self.keyed:
            mask &= _mask(self.rules, lambda r: names_key(r, facts.kind))
        return tuple(rule for i, rule in enumerate(self.rules) if mask >> i & 1)

    def _judge(self, facts: Facts) -> int:
        """Rules whose usage, room and nearness hold: over their group where they judge by one that holds the key."""
        own = facts.own or UNJUDGED
        by_pool = reduce(or_, (self.judged_by[name] for name, _, _ in facts.pools), 0)
        accepted = self._accepting(own) & ~by_pool
        for name, pool, _ in facts.pools:
            accepted |= self._accepting(pool) & self.judged_by[name]
        return accepted

    def _accepting(self, judged: Judged) -> int:
        mask = -1
        for read, masks in self.judged:
            mask &= masks[read(judged)]
        return mask


def build(rules: Sequence[Rule], groups: Mapping[str, tuple[str, ...]]) -> Table:
    """The table of rules in order. `groups` holds every key group of the policy set."""
    ordered = tuple(rules)
    judges = {r.judge_by for r in ordered if r.judge_by is not None}
    cuts = sorted({name for r in ordered for name in r.cuts})
    return Table(
        rules=ordered,
        groups=MappingProxyType({name: keys for name, keys in groups.items() if name in judges}),
        actions=MappingProxyType({a: _action_mask(ordered, a) for a in known_actions(ordered)}),
        enums=tuple((read, _masks(ordered, name, values)) for name, values, read in _ENUMS),
        judged=tuple((read, _masks(ordered, name, values)) for name, values, read in _JUDGED),
        cuts=tuple((c, _cut_mask(ordered, c, True), _cut_mask(ordered, c, False)) for c in cuts),
        judged_by=MappingProxyType({j: _judge_mask(ordered, j) for j in judges}),
        keyed=_mask(ordered, lambda r: r.keys is not None),
    )


def known_actions(rules: Iterable[Rule]) -> frozenset[str]:
    """Every action of domain.md 2, and those that rules name without a glob."""
    return frozenset({a for r in rules for a in r.actions if not GLOB & set(a)} | ACTIONS.keys())


def mismatches(rule: Rule, facts: Facts) -> list[str]:
    """Why a rule does not match, in words; empty when it does. The plain statement of what `Table.match` computes."""
    found = [] if names_action(rule, facts.action) else [f"it is not for {facts.action}"]
    if not names_key(rule, facts.kind):
        found.append(f"it is not for {facts.kind or 'a question without a key'}")
    found += [_differs(name, read(facts), getattr(rule, name)) for name, _, read in _ENUMS]
    judged = next((pool for name, pool, _ in facts.pools if name == rule.judge_by), facts.own or UNJUDGED)
    found += [_differs(name, read(judged), getattr(rule, name)) for name, _, read in _JUDGED]
    held = facts.segment.state.cuts
    found += [_differs(f"cut {cut}", cut in held, wanted) for cut, wanted in rule.cuts.items()]
    return [why for why in found if why]


def names_action(rule: Rule, action: str) -> bool:
    """Whether a rule is for an action, by its name, a glob or its group."""
    return ACTIONS.get(action) in rule.action_groups or any(fnmatchcase(action, a) for a in rule.actions)


def names_key(rule: Rule, kind: str) -> bool:
    """Whether a rule is for a resource kind; "" is a question without a key."""
    return rule.keys is None or (kind != "" and any(fnmatchcase(kind, k) for k in rule.keys))


def _differs(name: str, value: object, wanted: object) -> str:
    if _accepts(wanted, value):
        return ""
    many = sorted(str(w) for w in wanted) if isinstance(wanted, frozenset) else [str(wanted)]
    return f"{name} is {value}, not {' or '.join(many)}"


def _accepts(wanted: object, value: object) -> bool:
    if isinstance(wanted, frozenset):
        return value in wanted
    return wanted is None or value == wanted


def _mask(rules: Sequence[Rule], accepts: Callable[[Rule], bool]) -> int:
    return sum(1 << i for i, rule in enumerate(rules) if accepts(rule))


def _masks(rules: Sequence[Rule], matcher: str, values: Iterable[object]) -> Mapping[object, int]:
    wanted = [getattr(rule, matcher) for rule in rules]
    return MappingProxyType({v: sum(1 << i for i, w in enumerate(wanted) if _accepts(w, v)) for v in values})


def _cut_mask(rules: Sequence[Rule], cut: str, held: bool) -> int:
    return _mask(rules, lambda r: r.cuts.get(cut, held) is held)


def _judge_mask(rules: Sequence[Rule], group: str) -> int:
    return _mask(rules, lambda r: r.judge_by == group)


def _action_mask(rules: Sequence[Rule], action: str) -> int:
    return _mask(rules, lambda r: names_action(r, action))
