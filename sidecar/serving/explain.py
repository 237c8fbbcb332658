"""Explain: a check with its trace, for people. Nothing of it is remembered."""

from __future__ import annotations

from collections.abc import Sequence

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.core.decide import Outcome, decide, weigh
from sidecar.core.facts import Ask, Facts, Judged, glance_at, observe
from sidecar.core.model import Freshness, Instant
from sidecar.core.rules import Rule
from sidecar.core.table import UNJUDGED, mismatches
from sidecar.core.tenant import Tenant
from sidecar.core.text import count
from sidecar.core.variables import variables
from sidecar.serving.codec import constant_part, read_ask, read_details, timeline_segment
from sidecar.state.world import World


def explain(
    *,
    world: World,
    tenant: Tenant,
    message: pb.CheckRequest,
    size: int,
    at: Instant,
    freshness: Freshness,
    stamp: bytes,
) -> bytes:
    """The bytes of an ExplainResponse for a tenant, judged at an instant. Raises InvalidRequest as a check does."""
    ask = Ask(*read_ask(message, size))
    facts = observe(tenant, ask, glance_at(tenant, ask, at), at, freshness)
    table, book = tenant.applied.table, world.book
    outcomes = weigh(table.match(facts), variables(tenant, ask, read_details(message), facts, at))
    languages = book.languages.chain(message.locale, tenant.record.language)
    decision = decide(tenant=tenant, book=book, ask=ask, facts=facts, outcomes=outcomes, languages=languages)
    answer = pb.CheckResponse.FromString(constant_part(decision, freshness, book.policy_set.revision) + stamp)
    response = pb.ExplainResponse(
        answer=answer,
        facts=[pb.Fact(name=name, value=value) for name, value in _facts(facts)],
        rules=[_trace(rule, facts, outcomes) for rule in table.rules],
        timeline=[timeline_segment(s) for s in tenant.timeline(facts.kind).segments],
    )
    return response.SerializeToString()


def _facts(facts: Facts) -> list[tuple[str, str]]:
    state, own = facts.segment.state, facts.own or UNJUDGED
    found = [
        ("action", facts.action),
        ("group", facts.shape.group.value if facts.shape.group else "none"),
        ("key", facts.kind or "none"),
        ("status", state.status.value),
        ("phase", state.phase.value),
        ("standing", state.standing.value),
        ("licensed", str(facts.licensed).lower()),
        ("seat", facts.seat.value),
        *_judged("", own),
        ("consumes", str(facts.n)),
        ("window", facts.window.value),
        ("expiring_soon", str(state.expiring_soon).lower()),
        ("freshness", facts.freshness.value),
        ("cuts", ", ".join(state.cuts) or "none"),
    ]
    return found + [pair for name, pool, _ in facts.pools for pair in _judged(f"{name}: ", pool)]


def _judged(prefix: str, judged: Judged) -> list[tuple[str, str]]:
    return [
        (f"{prefix}limit", count(judged.limit)),
        (f"{prefix}used", str(judged.used)),
        (f"{prefix}usage", judged.usage.value),
        (f"{prefix}room", judged.room.value),
        (f"{prefix}near_quota", str(judged.near).lower()),
    ]


def _trace(rule: Rule, facts: Facts, outcomes: Sequence[Outcome]) -> pb.RuleTrace:
    outcome = next((o for o in outcomes if o.rule is rule), None)
    return pb.RuleTrace(
        rule=pb.RuleRef(policy=rule.policy, id=rule.id),
        matched=outcome is not None and outcome.held is not False,
        effect=f"EFFECT_{rule.effect.name}" if rule.effect else None,
        reason=rule.reason or "",
        why="; ".join(mismatches(rule, facts)) if outcome is None else _answered(outcome),
    )


def _answered(outcome: Outcome) -> str:
    if outcome.rule.when is None:
        return ""
    if outcome.held is None:
        return f"its expression failed: {outcome.why}"
    return f"its expression answered {str(outcome.held).lower()}: {outcome.rule.when.source}"
