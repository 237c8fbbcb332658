"""From one question to the bytes of its answer: the hot path.

A segment of a tenant's timeline remembers the constant part of the answers given from it, by the facts they rest on.
What is remembered is bounded, since callers choose quantities and locales.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.core.decide import Decision, Outcome, decide, refuse, weigh
from sidecar.core.facts import Ask, Facts, observe
from sidecar.core.model import Freshness, Instant
from sidecar.core.reasons import UNKNOWN_TENANT
from sidecar.core.rules import Rule, Thresholds
from sidecar.core.tenant import Tenant
from sidecar.core.variables import variables
from sidecar.observe.metrics import Metrics, Recorder
from sidecar.serving.codec import constant_part, read_ask, varying_part
from sidecar.state.world import World

OTHER: Final = "other"
THRESHOLDS: Final = Thresholds()
REMEMBERED: Final = 256
"""Answers that one segment remembers."""

FreshnessOf = Callable[[Thresholds, Instant], Freshness]


class Remembered:
    """The constant part of an answer and the slot it is counted in; or the matching rules, to be weighed each time."""

    __slots__ = ("constant", "rules", "slot")

    def __init__(self, constant: bytes, slot: int, rules: tuple[Rule, ...] = ()) -> None:
        self.constant: Final = constant
        self.slot: Final = slot
        self.rules: Final = rules


class Judge:
    """Answers questions about a world. Holds nothing that an answer depends on."""

    def __init__(self, *, metrics: Metrics, freshness_of: FreshnessOf) -> None:
        self._metrics: Final = metrics
        self._freshness_of: Final = freshness_of

    def answer(
        self, world: World, message: pb.CheckRequest, now: Instant, decision_id: str, recorder: Recorder
    ) -> bytes:
        """The bytes of a CheckResponse. Raises InvalidRequest naming the field that is wrong."""
        ask = read_ask(message)
        tenant = world.tenant(ask.tenant_id)
        if tenant is None:
            return self.refusal(world, message, UNKNOWN_TENANT, now, decision_id, recorder)
        languages = world.book.languages.chain(message.locale, tenant.record.language)
        freshness = self._freshness_of(tenant.applied.thresholds, now)
        facts = observe(tenant, ask, now, freshness)
        key = (
            ask.action,
            facts.kind,
            ask.quantity,
            facts.n,
            facts.licensed,
            facts.seat,
            facts.window,
            freshness,
            languages,
            facts.pools,
        )
        memo = facts.segment.memo
        found: Remembered | None = memo.get(key)
        recorder.memo(found is not None)
        if found is None:
            found = self._remember(memo, key, self._first(world, tenant, ask, facts, languages))
        if found.rules:
            outcomes = weigh(found.rules, variables(tenant, ask, facts, now))
            self._count_failures(outcomes)
            found = self._weighed(memo, key, outcomes, world, tenant, ask, facts, languages)
        recorder.decision(found.slot)
        return found.constant + varying_part(world.revision, now, decision_id)

    def refusal(
        self, world: World, message: pb.CheckRequest, code: str, now: Instant, decision_id: str, recorder: Recorder
    ) -> bytes:
        """A denial for which nothing about the tenant is looked at."""
        ask = read_ask(message)
        book = world.book
        decision = refuse(book, code, ask, book.languages.chain(message.locale, ""))
        freshness = self._freshness_of(THRESHOLDS, now)
        recorder.decision(self._slot(world, ask, decision))
        return self._constant(world, decision, freshness) + varying_part(world.revision, now, decision_id)

    def _first(self, world: World, tenant: Tenant, ask: Ask, facts: Facts, languages: tuple[str, ...]) -> Remembered:
        """What to remember of a question asked for the first time: its answer, unless an expression has a say in it."""
        rules = tenant.applied.table.match(facts)
        if any(rule.when is not None for rule in rules):
            return Remembered(b"", 0, rules)
        return self._written(world, tenant, ask, facts, [Outcome(r) for r in rules], languages)

    def _weighed(
        self,
        memo: dict[object, Remembered],
        key: tuple[object, ...],
        outcomes: Sequence[Outcome],
        world: World,
        tenant: Tenant,
        ask: Ask,
        facts: Facts,
        languages: tuple[str, ...],
    ) -> Remembered:
        full = (key, tuple(o.held for o in outcomes))
        found = memo.get(full)
        if found is None:
            found = self._remember(memo, full, self._written(world, tenant, ask, facts, outcomes, languages))
        return found

    def _written(
        self,
        world: World,
        tenant: Tenant,
        ask: Ask,
        facts: Facts,
        outcomes: Sequence[Outcome],
        languages: tuple[str, ...],
    ) -> Remembered:
        decision = decide(tenant=tenant, book=world.book, ask=ask, facts=facts, outcomes=outcomes, languages=languages)
        return Remembered(self._constant(world, decision, facts.freshness), self._slot(world, ask, decision))

    @staticmethod
    def _remember(memo: dict[object, Remembered], key: tuple[object, ...], entry: Remembered) -> Remembered:
        if len(memo) < REMEMBERED:
            memo[key] = entry
        return entry

    @staticmethod
    def _constant(world: World, decision: Decision, freshness: Freshness) -> bytes:
        return constant_part(decision, freshness, world.book.policy_set.revision)

    def _slot(self, world: World, ask: Ask, decision: Decision) -> int:
        action = ask.action if ask.action in world.book.known_actions else OTHER
        reason = decision.reason.code if decision.reason else ""
        return self._metrics.decision_slot(action, decision.effect.value, reason)

    def _count_failures(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.held is None:
                self._metrics.when_error(outcome.rule.id)
