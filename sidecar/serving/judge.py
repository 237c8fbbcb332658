"""From one question to the bytes of its answer: the hot path.

A segment of a tenant's timeline remembers the constant part of the answers given from it, by the facts they rest on.
What is remembered is bounded, since callers choose quantities and locales.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.core.decide import Decision, Outcome, decide, refuse, weigh
from sidecar.core.facts import Ask, Facts, Glance, glance, observe
from sidecar.core.model import Freshness, Instant
from sidecar.core.reasons import UNKNOWN_TENANT
from sidecar.core.rules import Rule, Thresholds
from sidecar.core.tenant import Tenant
from sidecar.core.variables import variables
from sidecar.observe.metrics import Metrics, Recorder
from sidecar.serving.codec import Asked, constant_part, read_ask, read_details
from sidecar.state.world import World

OTHER: Final = "other"
REMEMBERED: Final = 32
"""Answers that one segment remembers. Callers choose quantities and locales: when they fill it, it begins anew."""

FreshnessOf = Callable[[Thresholds, Instant], Freshness]
Memo = dict[object, "Remembered"]


class Remembered:
    """The constant part of an answer and the slot it is counted in; or the matching rules, to be weighed each time."""

    __slots__ = ("constant", "rules", "slot")

    def __init__(self, constant: bytes, slot: int, rules: tuple[Rule, ...] = ()) -> None:
        self.constant: Final = constant
        self.slot: Final = slot
        self.rules: Final = rules


class _Question(NamedTuple):
    """All that an answer which is not remembered is worked out from."""

    world: World
    tenant: Tenant
    ask: Ask
    message: pb.CheckRequest
    seen: Glance
    now: Instant
    freshness: Freshness


class Judge:
    """Answers questions about a world. Holds nothing that an answer depends on."""

    def __init__(self, *, metrics: Metrics, freshness_of: FreshnessOf) -> None:
        self._metrics: Final = metrics
        self._freshness_of: Final = freshness_of

    def constant(self, world: World, message: pb.CheckRequest, size: int, now: Instant, recorder: Recorder) -> bytes:
        """The constant part of the answer to a message of `size` bytes. Raises InvalidRequest naming the field."""
        asked = read_ask(message, size)
        tenant_id, action, kind, licensed, quantity, user_id, _, window_ends_at = asked
        tenant = world.found.get(tenant_id) or world.tenant(tenant_id)
        if tenant is None:
            return self._refused(world, asked, message.locale, UNKNOWN_TENANT, now, recorder)
        freshness = self._freshness_of(tenant.thresholds, now)
        seen = glance(tenant, action, kind, user_id, window_ends_at, now)
        _, kind, segment, seat, window = seen
        epoch = tenant.epoch(kind, now) if tenant.grouped else None
        key = (action, kind, quantity, licensed, seat, window, freshness, message.locale, epoch)
        memo = segment.memo
        found: Remembered | None = memo.get(key)
        hit = found is not None
        if found is None or found.rules:
            question = _Question(world, tenant, Ask(*asked), message, seen, now, freshness)
            found = self._worked_out(question, memo, key, found)
        recorder.decision(found.slot, hit)
        return found.constant

    def refused(
        self, world: World, message: pb.CheckRequest, size: int, code: str, now: Instant, recorder: Recorder
    ) -> bytes:
        """The same for a denial, for which nothing about the tenant is looked at."""
        return self._refused(world, read_ask(message, size), message.locale, code, now, recorder)

    def _refused(self, world: World, asked: Asked, locale: str, code: str, now: Instant, recorder: Recorder) -> bytes:
        book, action = world.book, asked[1]
        languages = book.languages.chain(locale, "")
        freshness = self._freshness_of(book.general.thresholds, now)
        key = (code, action, languages, freshness)
        found: Remembered | None = book.memo.get(key)
        hit = found is not None
        if found is None:
            decision = refuse(book, code, languages)
            entry = Remembered(self._constant(world, decision, freshness), self._slot(world, action, decision))
            found = _remember(book.memo, key, entry)
        recorder.decision(found.slot, hit)
        return found.constant

    def _worked_out(
        self, question: _Question, memo: Memo, key: tuple[object, ...], found: Remembered | None
    ) -> Remembered:
        """What a question comes to that was not remembered, or in which an expression has a say."""
        _, tenant, ask, message, seen, now, freshness = question
        facts = observe(tenant, ask, seen, now, freshness)
        rules = found.rules if found is not None else tenant.applied.table.match(facts)
        if all(rule.when is None for rule in rules):
            return _remember(memo, key, self._written(question, facts, [Outcome(rule) for rule in rules]))
        if found is None:
            _remember(memo, key, Remembered(b"", 0, rules))
        outcomes = weigh(rules, variables(tenant, ask, read_details(message), facts, now))
        for outcome in outcomes:
            if outcome.held is None:
                self._metrics.when_error(outcome.rule.id)
        full = (key, tuple(outcome.held for outcome in outcomes))
        return memo.get(full) or _remember(memo, full, self._written(question, facts, outcomes))

    def _written(self, question: _Question, facts: Facts, outcomes: Sequence[Outcome]) -> Remembered:
        world, tenant, ask, message, *_ = question
        languages = world.book.languages.chain(message.locale, tenant.record.language)
        decision = decide(tenant=tenant, book=world.book, ask=ask, facts=facts, outcomes=outcomes, languages=languages)
        return Remembered(self._constant(world, decision, facts.freshness), self._slot(world, ask.action, decision))

    @staticmethod
    def _constant(world: World, decision: Decision, freshness: Freshness) -> bytes:
        return constant_part(decision, freshness, world.book.policy_set.revision)

    def _slot(self, world: World, action: str, decision: Decision) -> int:
        action = action if action in world.book.known_actions else OTHER
        reason = decision.reason.code if decision.reason else ""
        return self._metrics.decision_slot(action, decision.effect.value, reason)


def _remember(memo: Memo, key: tuple[object, ...], entry: Remembered) -> Remembered:
    if len(memo) >= REMEMBERED:
        memo.clear()
    memo[key] = entry
    return entry
