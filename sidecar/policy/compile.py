"""Policy documents made into what the core decides by: names are checked already, so nothing here can fail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeVar

from sidecar.core.rules import AppliesTo, Cut, Policy, Reason, Remedy, Rule, WarningText
from sidecar.policy.documents import PolicyDocument, ReasonShape, RuleShape, WarningShape

_K = TypeVar("_K")
_V = TypeVar("_V")

_SETS: Final = ("status", "phase", "standing", "seat", "usage", "room", "window", "freshness")
_AS_THEY_ARE: Final = ("licensed", "expiring_soon", "near_quota", "judge_by", "when", "effect", "reason")
DEFAULT_REMEDIES: Final = (Remedy.CONTACT,)


def compile_policy(document: PolicyDocument, lines: Sequence[int]) -> Policy:
    """A policy from its document; `lines` are where its rules stand in the file, in order."""
    spec, name = document.spec, document.metadata.name
    to, terms, fresh = spec.applies_to, spec.terms, spec.freshness
    return Policy(
        name=name,
        applies_to=AppliesTo(
            editions=frozenset(to.editions or ()), tags=frozenset(to.tags or ()), tenants=frozenset(to.tenants or ())
        ),
        grace=terms.grace,
        expiring_soon=terms.expiring_soon,
        near_quota=terms.near_quota,
        overage=terms.overage,
        stale_after=fresh.stale_after,
        blind_after=fresh.blind_after,
        key_groups=_frozen((group, tuple(keys)) for group, keys in spec.key_groups.items()),
        cuts=_frozen((cut, Cut(name=cut, from_=c.from_, length=c.for_)) for cut, c in spec.cuts.items()),
        reasons=_frozen((code, _reason(code, r)) for code, r in spec.reasons.items()),
        rules=tuple(_rule(name, rule, line) for rule, line in zip(spec.rules, lines, strict=True)),
        overrides=frozenset(spec.overrides),
    )


def _frozen(pairs: Iterable[tuple[_K, _V]]) -> Mapping[_K, _V]:
    return MappingProxyType(dict(pairs))


def _rule(policy: str, rule: RuleShape, line: int) -> Rule:
    matchers: dict[str, Any] = {name: _set(getattr(rule, name)) for name in _SETS}
    return Rule(
        policy=policy,
        id=rule.id,
        line=line,
        actions=tuple(rule.actions or ()),
        action_groups=frozenset(rule.action_groups or ()),
        keys=None if rule.keys is None else tuple(rule.keys),
        cuts=_frozen((rule.cuts or {}).items()),
        message=_frozen((rule.message or {}).items()),
        remedies=None if rule.remedies is None else tuple(rule.remedies),
        warnings=tuple(map(_warning, rule.warnings or ())),
        **matchers,
        **{name: getattr(rule, name) for name in _AS_THEY_ARE},
    )


def _set(values: list[Any] | None) -> frozenset[Any] | None:
    return None if values is None else frozenset(values)


def _warning(warning: WarningShape) -> WarningText:
    return WarningText(code=warning.code, message=_frozen(warning.message.items()))


def _reason(code: str, reason: ReasonShape) -> Reason:
    return Reason(
        code=code,
        reason_class=reason.class_,
        retry=reason.retry,
        remedies=DEFAULT_REMEDIES if reason.remedies is None else tuple(reason.remedies),
        message=_frozen(reason.message.items()),
    )
