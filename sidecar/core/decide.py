"""The decision (domain.md 7, architecture 2.3): every rule that matches counts, and deny wins.

Allow needs a matching allow rule and no deny. Of the denials the first in order is the reason, the others are `also`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from sidecar.core.book import Book
from sidecar.core.errors import ConditionFailed
from sidecar.core.facts import Ask, Facts, Judged
from sidecar.core.locales import pick
from sidecar.core.model import FOREVER, UNLIMITED, Effect, Group, Instant, Limit
from sidecar.core.reasons import NO_RULE, POLICY_ERROR
from sidecar.core.rules import Reason, Remedy, Rule, Used
from sidecar.core.tenant import Tenant
from sidecar.core.text import amount, count, fill, moment
from sidecar.core.timeline import State

LENIENT: Final = frozenset({Group.UNDO, Group.READ})
"""Groups for which a rule whose expression fails is ignored: undo is not held hostage."""


class Outcome(NamedTuple):
    """What became of a rule whose matchers all held: `held` is None when its expression failed, for `why`."""

    rule: Rule
    held: bool | None = True
    why: str = ""


class Figures(NamedTuple):
    """The quota figures of an answer. `fits` is UNLIMITED exactly when `limit` is."""

    key: str
    limit: Limit
    used: int
    fits: Limit
    excess: int
    holder: str


class Advice(NamedTuple):
    """A remedy, with how many to release, until when to wait, or how many millionths to top up."""

    remedy: Remedy
    quantity: int = 0
    until: Instant | None = None
    amount: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """An answer, but for what differs from call to call."""

    effect: Effect
    reason: Reason | None = None
    also: tuple[str, ...] = ()
    message: str = ""
    warnings: tuple[tuple[str, str], ...] = ()
    figures: Figures | None = None
    state: State | None = None
    next_change_at: Instant | None = None
    remedies: tuple[Advice, ...] = ()
    rule: Rule | None = None


def weigh(rules: Sequence[Rule], variables: Mapping[str, object]) -> tuple[Outcome, ...]:
    """What becomes of each matching rule once its expression is evaluated."""
    return tuple(_weigh(rule, variables) for rule in rules)


def _weigh(rule: Rule, variables: Mapping[str, object]) -> Outcome:
    if rule.when is None:
        return Outcome(rule)
    try:
        return Outcome(rule, rule.when.evaluate(variables))
    except ConditionFailed as e:
        return Outcome(rule, None, str(e))


def decide(
    *, tenant: Tenant, book: Book, ask: Ask, facts: Facts, outcomes: Sequence[Outcome], languages: tuple[str, ...]
) -> Decision:
    """The decision on a question, from what became of the rules that matched it."""
    denials = [d for o in outcomes if (d := _denial(o, facts, book)) is not None]
    allowing = next((o.rule for o in outcomes if o.held and o.rule.effect is Effect.ALLOW), None)
    if not denials and allowing is not None:
        return _allowed(tenant, ask, facts, outcomes, languages, allowing)
    reason, rule = denials[0] if denials else (book.reasons[NO_RULE], None)
    return _denied(tenant, ask, facts, outcomes, languages, reason, rule, [d for d, _ in denials])


def refuse(book: Book, code: str, languages: tuple[str, ...]) -> Decision:
    """A denial for which nothing about the tenant was looked at: UNKNOWN_TENANT, REVISION_NOT_REACHED."""
    reason = book.reasons[code]
    return Decision(
        effect=Effect.DENY,
        reason=reason,
        message=pick(reason.message, languages),
        remedies=tuple(Advice(r) for r in reason.remedies),
    )


def _denial(outcome: Outcome, facts: Facts, book: Book) -> tuple[Reason, Rule] | None:
    rule = outcome.rule
    if outcome.held is None:
        lenient = facts.shape.group in LENIENT or rule.effect is None
        return None if lenient else (book.reasons[POLICY_ERROR], rule)
    if outcome.held and rule.effect is Effect.DENY and rule.reason is not None:
        return (book.reasons[rule.reason], rule)
    return None


def _allowed(
    tenant: Tenant,
    ask: Ask,
    facts: Facts,
    outcomes: Sequence[Outcome],
    languages: tuple[str, ...],
    rule: Rule,
) -> Decision:
    figures = _figures(tenant, facts, None)
    values = _values(tenant, ask, facts, figures)
    given = {w.code: w.message for o in reversed(outcomes) if o.held for w in reversed(o.rule.warnings)}
    warnings = ((code, fill(pick(message, languages), values)) for code, message in reversed(given.items()))
    return Decision(
        effect=Effect.ALLOW,
        warnings=tuple(warnings),
        figures=figures,
        state=facts.segment.state,
        next_change_at=_next_change(facts, outcomes),
        rule=rule,
    )


def _denied(
    tenant: Tenant,
    ask: Ask,
    facts: Facts,
    outcomes: Sequence[Outcome],
    languages: tuple[str, ...],
    reason: Reason,
    rule: Rule | None,
    reasons: Sequence[Reason],
) -> Decision:
    figures = _figures(tenant, facts, rule)
    values = _values(tenant, ask, facts, figures)
    own = rule if rule is not None and rule.reason == reason.code else None
    message = own.message if own is not None and own.message else reason.message
    remedies = own.remedies if own is not None and own.remedies is not None else reason.remedies
    return Decision(
        effect=Effect.DENY,
        reason=reason,
        also=tuple(code for code in dict.fromkeys(r.code for r in reasons) if code != reason.code),
        message=fill(pick(message, languages), values),
        figures=figures,
        state=facts.segment.state,
        next_change_at=_next_change(facts, outcomes),
        remedies=tuple(_advice(r, tenant, facts, figures) for r in remedies),
        rule=rule,
    )


def _figures(tenant: Tenant, facts: Facts, rule: Rule | None) -> Figures | None:
    """Of the group the deciding rule judges by, else of the key."""
    if facts.own is None:
        return None
    key, judged = facts.kind, facts.own
    for name, pool, _ in facts.pools:
        if rule is not None and rule.judge_by == name:
            key, judged = name, pool
    return Figures(key, judged.limit, judged.used, *_fits_and_excess(judged), tenant.holder.tenant_id)


def _fits_and_excess(judged: Judged) -> tuple[Limit, int]:
    if judged.limit is UNLIMITED:
        return (UNLIMITED, 0)
    if judged.usage is Used.UNCOUNTED:
        return (0, 0)
    return (max(0, judged.limit - judged.used), max(0, judged.used - judged.limit))


def _next_change(facts: Facts, outcomes: Sequence[Outcome]) -> Instant | None:
    if any(o.rule.when is not None and o.rule.when.reads_time for o in outcomes):
        return None
    ends = min([facts.segment.ends_at, *(ends_at for _, _, ends_at in facts.pools)])
    return None if ends == FOREVER else ends


def _advice(remedy: Remedy, tenant: Tenant, facts: Facts, figures: Figures | None) -> Advice:
    if remedy is Remedy.RELEASE and figures is not None and figures.limit is not UNLIMITED:
        return Advice(remedy, quantity=max(0, figures.used + facts.n - figures.limit))
    if remedy is Remedy.WAIT:
        return Advice(remedy, until=facts.segment.state.begins_at)
    if remedy is Remedy.TOP_UP:
        return Advice(remedy, amount=tenant.context.outlook.missing)
    return Advice(remedy)


class _Dashes(dict[str, str]):
    """Placeholders that have no value here show as a dash."""

    def __missing__(self, key: str) -> str:
        return "-"


def _values(tenant: Tenant, ask: Ask, facts: Facts, figures: Figures | None) -> Mapping[str, str]:
    state, zone = facts.segment.state, tenant.context.zone
    return _Dashes(
        used=count(figures and figures.used),
        limit=count(figures and figures.limit),
        fits=count(figures and figures.fits),
        excess=count(figures and figures.excess),
        quantity=str(ask.quantity),
        key=figures.key if figures else facts.kind or "-",
        tenant=tenant.record.tenant_id,
        term_ends_at=moment(state.term_ends_at, zone),
        grace_ends_at=moment(state.grace_ends_at, zone),
        until=moment(state.begins_at, zone),
        top_up=amount(tenant.context.outlook.missing),
    )
