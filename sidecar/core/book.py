"""A policy set made ready to ask: which rules, terms and thresholds hold for a tenant (architecture 2.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Final

from sidecar.core.locales import Languages
from sidecar.core.model import Record
from sidecar.core.reasons import REASONS
from sidecar.core.rules import Cut, Policy, PolicySet, Reason, Rule, Terms, Thresholds
from sidecar.core.table import Table, build, known_actions


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What the policies that apply to a tenant come to, the more specific ones having had the last word."""

    terms: Terms
    thresholds: Thresholds
    table: Table


class Book:
    """A policy set, indexed. What is kept per combination of policies is bounded by their number."""

    __slots__ = ("_applied", "cuts", "groups", "known_actions", "languages", "memo", "policy_set", "reasons")

    def __init__(self, policy_set: PolicySet) -> None:
        policies = policy_set.policies
        self.policy_set: Final = policy_set
        self.cuts: Final[tuple[Cut, ...]] = tuple(c for p in policies for c in p.cuts.values())
        self.groups: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
            {name: keys for p in policies for name, keys in p.key_groups.items()}
        )
        self.reasons: Final[Mapping[str, Reason]] = MappingProxyType(
            {**REASONS, **{code: reason for p in policies for code, reason in p.reasons.items()}}
        )
        self.known_actions: Final = known_actions(r for p in policies for r in p.rules)
        self.languages: Final = Languages(_languages(policies, self.reasons))
        self.memo: Final[dict[Any, Any]] = {}
        """For whoever answers from the book alone; it dies with it."""
        self._applied: Final[dict[frozenset[int], Applied]] = {}

    def applied(self, record: Record) -> Applied:
        """The rules, terms and thresholds for a tenant, by its id, edition and tags."""
        return self._for(record.tenant_id, record.edition, record.tags)

    @property
    def general(self) -> Applied:
        """The rules, terms and thresholds that hold for everyone: of a tenant about whom nothing is known."""
        return self._for("", "", ())

    def _for(self, tenant_id: str, edition: str, tags: tuple[str, ...]) -> Applied:
        policies = self.policy_set.policies
        chosen = frozenset(
            i for i, p in enumerate(policies) if p.applies_to.covers(tenant_id=tenant_id, edition=edition, tags=tags)
        )
        found = self._applied.get(chosen)
        if found is None:
            ordered = sorted((policies[i] for i in sorted(chosen)), key=lambda p: p.applies_to.layer)
            found = self._applied[chosen] = self._layered(ordered)
        return found

    def _layered(self, policies: Sequence[Policy]) -> Applied:
        return Applied(
            terms=Terms(**_latest(policies, Terms)),
            thresholds=Thresholds(**_latest(policies, Thresholds)),
            table=build(_standing_rules(policies), self.groups),
        )


def _latest(policies: Sequence[Policy], kind: type[Terms] | type[Thresholds]) -> dict[str, Any]:
    """The value of each field that the most specific policy gives; fields that none gives keep their default."""
    names = [f.name for f in fields(kind)]
    return {n: value for p in policies for n in names if (value := getattr(p, n)) is not None}


def _standing_rules(policies: Sequence[Policy]) -> list[Rule]:
    """The rules in order, without those that a policy of a more specific layer overrides by name."""

    def overridden(rule: Rule, layer: int) -> bool:
        return any(rule.id in p.overrides and p.applies_to.layer > layer for p in policies)

    return [r for p in policies for r in p.rules if not overridden(r, p.applies_to.layer)]


def _languages(policies: Sequence[Policy], reasons: Mapping[str, Reason]) -> frozenset[str]:
    messages = [r.message for r in reasons.values()]
    messages += [r.message for p in policies for r in p.rules]
    messages += [w.message for p in policies for r in p.rules for w in r.warnings]
    return frozenset(language for message in messages for language in message)
