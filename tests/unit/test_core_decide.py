"""Decisions in figures: what still fits, what to release, until when to wait, how much to top up, and what is said."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.core.book import Book
from sidecar.core.decide import Advice, Decision, Figures, Outcome, decide, refuse, weigh
from sidecar.core.facts import NO_DETAILS, Ask, glance_at, observe
from sidecar.core.model import (
    FOREVER,
    MICROS,
    UNLIMITED,
    Account,
    Basis,
    Effect,
    Freshness,
    Grant,
    Limit,
    Record,
    Usage,
)
from sidecar.core.reasons import NO_RULE, POLICY_ERROR, REASONS, REVISION_NOT_REACHED, UNKNOWN_TENANT
from sidecar.core.rules import Policy, PolicySet, ReasonClass, Remedy, Retry, Rule
from sidecar.core.tenant import Tenant
from sidecar.core.variables import variables
from tests.worked import instant

NOW = instant("2026-06-01")
SPEND = Ask("acme", "space.create", "desk")


def rule(effect: Effect = Effect.DENY, reason: str | None = "QUOTA_REACHED", **given: Any) -> Rule:
    own = reason if effect is Effect.DENY else None
    return Rule(**({"policy": "p", "id": "r", "actions": ("*",), "effect": effect, "reason": own} | given))


def decided(
    *rules: Rule, ask: Ask = SPEND, limit: Limit = 10, units: int = 8, now: int = NOW, **record: Any
) -> Decision:
    grants = (Grant(key="desk", starts_at=instant("2026-01-01"), ends_at=instant("2027-01-01"), amount=limit),)
    plain = {"tenant_id": "acme", "revision": 1, "zone": "UTC", "usage": {"desk": Usage(units=units)}}
    own = Record(**(plain | {"grants": grants} | record))
    book = Book(PolicySet(policies=(Policy(name="p", rules=rules),), revision="r"))
    tenant = Tenant(own, own, book)
    facts = observe(tenant, ask, glance_at(tenant, ask, now), now, Freshness.LIVE)
    outcomes = weigh(tenant.applied.table.match(facts), variables(tenant, ask, NO_DETAILS, facts, now))
    return decide(tenant=tenant, book=book, ask=ask, facts=facts, outcomes=outcomes, languages=("en",))


ALLOW = rule(Effect.ALLOW)


@pytest.mark.parametrize(
    ("limit", "units", "fits", "excess"),
    [(10, 0, 10, 0), (10, 8, 2, 0), (10, 10, 0, 0), (10, 13, 0, 3), (0, 0, 0, 0), (UNLIMITED, 13, UNLIMITED, 0)],
)
def test_figures(limit: Limit, units: int, fits: Limit, excess: int) -> None:
    for decision in (decided(ALLOW, limit=limit, units=units), decided(rule(), limit=limit, units=units)):
        assert decision.figures == Figures("desk", limit, units, fits, excess, "acme")


@pytest.mark.parametrize("now", [instant("2025-12-31"), instant("2027-01-01")])
def test_outside_coverage_limit_and_room_are_nothing(now: int) -> None:
    assert decided(ALLOW, now=now).figures == Figures("desk", 0, 8, 0, 0, "acme")


@pytest.mark.parametrize(
    ("limit", "units", "quantity", "release"),
    [(10, 8, 3, 1), (10, 10, 1, 1), (10, 13, 2, 5), (10, 8, 2, 0), (10, 0, 1, 0), (UNLIMITED, 99, 9, 0)],
)
def test_how_many_to_release(limit: Limit, units: int, quantity: int, release: int) -> None:
    denied = decided(rule(), ask=SPEND._replace(quantity=quantity), limit=limit, units=units)
    assert denied.remedies == (Advice(Remedy.RELEASE, quantity=release), Advice(Remedy.UPGRADE), Advice(Remedy.CONTACT))


def test_without_figures_nothing_is_to_be_released() -> None:
    denied = decided(rule(), ask=Ask("acme", "tenant.read"))
    assert denied.figures is None
    assert denied.remedies[0] == Advice(Remedy.RELEASE, quantity=0)


def test_until_when_to_wait() -> None:
    denied = decided(rule(reason="NOT_STARTED"), now=instant("2025-12-31"))
    assert denied.remedies == (Advice(Remedy.WAIT, until=instant("2026-01-01")),)
    assert denied.message == "The license for desk begins at 2026-01-01."


def test_how_much_to_top_up() -> None:
    account = Account(
        basis=Basis.DAYS, balance=-MICROS, as_of=NOW, charge=0, owed_since=NOW - 1, owed_charge=3 * MICROS // 2
    )
    denied = decided(rule(reason="ACCOUNT_BLOCKED"), account=account)
    assert denied.remedies == (Advice(Remedy.TOP_UP, amount=5 * MICROS // 2),)
    assert denied.message == "The account is blocked for lack of balance. Top up at least 2.5 to go on."


def test_a_message_with_every_figure() -> None:
    message = {"en": "{used}/{limit} {fits} {excess} {quantity} {key} {tenant} {term_ends_at} {grace_ends_at} {until}"}
    spend = SPEND._replace(quantity=4)
    assert decided(rule(message=message), ask=spend).message == "8/10 2 0 4 desk acme 2027-01-01 2027-04-01 -"
    assert decided(rule(message=message), ask=spend, limit=7).message.startswith("8/7 0 1 4 desk")
    unlimited = decided(rule(message=message), ask=spend, limit=UNLIMITED)
    assert unlimited.message.startswith("8/unlimited unlimited 0 4 desk")
    assert decided(rule(message=message), ask=Ask("acme", "tenant.read")).message == "-/- - - 1 - acme - - -"
    assert decided(rule(message=message), ask=Ask("acme", "desk.dance", "desk")).message.startswith("-/- - - 1 desk")


@pytest.mark.parametrize(
    ("now", "change"),
    [
        ("2025-12-31", "2026-01-01"),
        ("2026-06-01", "2026-12-02"),  # expiring soon
        ("2026-12-02", "2027-01-01"),
        ("2027-01-01", "2027-04-01"),
        ("2027-04-01", None),
    ],
)
def test_when_an_answer_may_change(now: str, change: str | None) -> None:
    for by in (ALLOW, rule()):
        assert decided(by, now=instant(now)).next_change_at == (change and instant(change))


def test_a_decision_shows_the_state_it_rests_on() -> None:
    for decision in (decided(ALLOW), decided(rule())):
        assert decision.state is not None
        assert (decision.state.amount, decision.state.term_ends_at) == (10, instant("2027-01-01"))


def test_an_allowing_rule_is_the_first_that_allows() -> None:
    first, second = rule(Effect.ALLOW, id="1"), rule(Effect.ALLOW, id="2")
    assert decided(rule(id="0", effect=None), first, second).rule == first


def test_a_denial_without_any_rule() -> None:
    denied = decided()
    assert (denied.effect, denied.reason, denied.rule, denied.also) == (Effect.DENY, REASONS[NO_RULE], None, ())
    assert denied.remedies == (Advice(Remedy.CONTACT),)


def test_a_rules_own_message_stands_for_its_own_reason_alone() -> None:
    own = rule(reason="NOT_STARTED", message={"en": "mine"}, remedies=())
    assert (decided(own).message, decided(own).remedies) == ("mine", ())
    plain = decided(rule(reason="NOT_LICENSED"), own)
    assert plain.message == "There is no license for desk. To buy one, please contact us."
    assert [a.remedy for a in plain.remedies] == [Remedy.BUY, Remedy.CONTACT]


def test_a_refusal_in_a_language_without_figures() -> None:
    book = Book(PolicySet(policies=(), revision="r"))
    for code in (UNKNOWN_TENANT, REVISION_NOT_REACHED):
        denied = refuse(book, code, ("en",))
        assert (denied.effect, denied.reason, denied.message) == (
            Effect.DENY,
            REASONS[code],
            REASONS[code].message["en"],
        )
        assert denied.remedies == (Advice(Remedy.RETRY), Advice(Remedy.CONTACT))
        assert (denied.also, denied.warnings, denied.next_change_at) == ((), (), None)


def test_what_is_not_said_of_a_rule_is_that_it_holds() -> None:
    assert Outcome(ALLOW) == Outcome(ALLOW, True, "")
    assert Advice(Remedy.CONTACT) == Advice(Remedy.CONTACT, 0, None, 0)
    assert Decision(effect=Effect.ALLOW).next_change_at is None
    assert FOREVER not in {decided(ALLOW, now=instant("2027-05-01")).next_change_at}


# --- reasons (domain.md 7) ---

STATE, QUOTA, UNKNOWN, POLICY = ReasonClass.STATE, ReasonClass.QUOTA, ReasonClass.UNKNOWN, ReasonClass.POLICY


@pytest.mark.parametrize(
    ("code", "class_", "retry", "remedies"),
    [
        ("TENANT_ARCHIVED", STATE, Retry.AFTER_CHANGE, "contact"),
        ("TENANT_SUSPENDED", STATE, Retry.AFTER_CHANGE, "contact"),
        ("NOT_LICENSED", STATE, Retry.AFTER_CHANGE, "buy contact"),
        ("NOT_STARTED", STATE, Retry.AFTER_TIME, "wait"),
        ("SUBSCRIPTION_EXPIRED", STATE, Retry.AFTER_CHANGE, "renew contact"),
        ("GRACE_ENDED", STATE, Retry.AFTER_CHANGE, "renew contact"),
        ("ACCOUNT_BLOCKED", STATE, Retry.AFTER_CHANGE, "top_up"),
        ("SPACE_UNLICENSED", STATE, Retry.AFTER_CHANGE, "license_space"),
        ("SEAT_NOT_HELD", STATE, Retry.AFTER_CHANGE, "assign_seat"),
        ("OVER_QUOTA", QUOTA, Retry.AFTER_CHANGE, "release upgrade contact"),
        ("QUOTA_REACHED", QUOTA, Retry.AFTER_CHANGE, "release upgrade contact"),
        ("BEYOND_TERM", STATE, Retry.AFTER_CHANGE, "renew book_within_term"),
        (UNKNOWN_TENANT, UNKNOWN, Retry.TRANSIENT, "retry contact"),
        ("DATA_TOO_OLD", UNKNOWN, Retry.TRANSIENT, "retry contact"),
        (REVISION_NOT_REACHED, UNKNOWN, Retry.TRANSIENT, "retry contact"),
        (NO_RULE, POLICY, Retry.NEVER, "contact"),
        (POLICY_ERROR, POLICY, Retry.NEVER, "contact"),
    ],
)
def test_built_in_reasons(code: str, class_: ReasonClass, retry: Retry, remedies: str) -> None:
    reason = REASONS[code]
    assert (reason.code, reason.reason_class, reason.retry) == (code, class_, retry)
    assert " ".join(r.value for r in reason.remedies) == remedies
    assert reason.message.keys() == {"en", "zh-CN"}
    assert all(reason.message.values())


def test_no_reason_is_built_in_but_these() -> None:
    assert len(REASONS) == 17
