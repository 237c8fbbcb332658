"""Layers, overrides, cuts, key groups, overage, expressions and reasons: what a policy author can do with the core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest

from sidecar.core.book import Book
from sidecar.core.decide import Decision, decide, refuse, weigh
from sidecar.core.errors import ConditionFailed
from sidecar.core.facts import Ask, Details, glance_at, observe
from sidecar.core.model import DAY, UNLIMITED, Effect, Freshness, Grant, Group, Period, Phase, Record, Usage
from sidecar.core.rules import (
    AppliesTo,
    Cut,
    CutFrom,
    Policy,
    PolicySet,
    Reason,
    ReasonClass,
    Remedy,
    Retry,
    Room,
    Rule,
    Used,
    WarningText,
)
from sidecar.core.tenant import Tenant
from sidecar.core.variables import variables
from tests.worked import instant

NOW = instant("2026-06-01")
ANYTHING = {"actions": ("*",)}
ALLOW = Rule(policy="general", id="allow", effect=Effect.ALLOW, **ANYTHING)
EVERY = frozenset(Group)


@dataclass(frozen=True)
class When:
    """A stand-in for an expression: answers or fails as it is told, and shows what it was given."""

    answer: bool | None = True
    reads_time: bool = False
    source: str = "as told"

    def evaluate(self, variables: Mapping[str, object]) -> bool:
        if self.answer is None:
            raise ConditionFailed("division by zero")
        return self.answer


def deny(id_: str, reason: str = "OVER_QUOTA", **given: Any) -> Rule:
    return Rule(policy="p", id=id_, effect=Effect.DENY, reason=reason, **(ANYTHING | given))


def book(*policies: Policy) -> Book:
    return Book(PolicySet(policies=policies, revision="r"))


def acme(**given: Any) -> Record:
    grants = (
        Grant(key="fixed_desk", starts_at=instant("2026-01-01"), ends_at=instant("2027-01-01"), amount=10),
        Grant(key="shared_desk", starts_at=instant("2026-01-01"), ends_at=instant("2026-09-01"), amount=4),
    )
    usage = {"fixed_desk": Usage(units=8), "shared_desk": Usage(units=5)}
    return Record(**({"tenant_id": "acme", "revision": 1, "zone": "UTC", "grants": grants, "usage": usage} | given))


def decided(book_: Book, ask: Ask, record: Record | None = None, now: int = NOW, **other: Any) -> Decision:
    own = record or acme()
    tenant = Tenant(own, other.get("holder", own), book_)
    facts = observe(tenant, ask, glance_at(tenant, ask, now), now, other.get("freshness", Freshness.LIVE))
    given = variables(tenant, ask, Details(), facts, now)
    outcomes = weigh(tenant.applied.table.match(facts), given)
    languages = book_.languages.chain(other.get("locale", ""), own.language)
    return decide(tenant=tenant, book=book_, ask=ask, facts=facts, outcomes=outcomes, languages=languages)


BOOK_DESK = Ask("acme", "booking.create", "fixed_desk")
ADD_DESK = Ask("acme", "space.create", "fixed_desk")


def reasons(decision: Decision) -> list[str]:
    return [decision.reason.code, *decision.also] if decision.reason else []


# --- deny wins ---


def test_allow_needs_a_matching_allow_rule() -> None:
    assert reasons(decided(book(Policy(name="p")), BOOK_DESK)) == ["NO_RULE"]
    assert decided(book(Policy(name="p", rules=(ALLOW,))), BOOK_DESK).effect is Effect.ALLOW


def test_any_deny_wins_and_the_others_are_also_without_repeats() -> None:
    rules = (ALLOW, deny("1", "NOT_STARTED"), deny("2"), deny("3", "NOT_STARTED"), deny("4", "BEYOND_TERM"))
    decision = decided(book(Policy(name="p", rules=rules)), BOOK_DESK)
    assert reasons(decision) == ["NOT_STARTED", "OVER_QUOTA", "BEYOND_TERM"]
    assert decision.rule is rules[1]


def test_without_an_allow_rule_a_deny_is_still_the_reason() -> None:
    assert reasons(decided(book(Policy(name="p", rules=(deny("1"),))), BOOK_DESK)) == ["OVER_QUOTA"]


# --- layers ---


def test_the_order_is_general_edition_tag_tenant_then_the_order_of_the_files() -> None:
    policies = [
        Policy(name="t", applies_to=AppliesTo(tenants=frozenset({"acme"})), rules=(deny("t", "NOT_STARTED"),)),
        Policy(name="g", applies_to=AppliesTo(tags=frozenset({"vip"})), rules=(deny("g", "BEYOND_TERM"),)),
        Policy(name="e", applies_to=AppliesTo(editions=frozenset({"basic"})), rules=(deny("e", "SEAT_NOT_HELD"),)),
        Policy(name="b", rules=(deny("b", "NOT_LICENSED"),)),
        Policy(name="c", rules=(deny("c", "GRACE_ENDED"),)),
    ]
    record = acme(edition="basic", tags=("vip",))
    assert reasons(decided(book(*policies), BOOK_DESK, record)) == [
        "NOT_LICENSED",
        "GRACE_ENDED",
        "SEAT_NOT_HELD",
        "BEYOND_TERM",
        "NOT_STARTED",
    ]
    assert reasons(decided(book(*policies), BOOK_DESK, acme(tenant_id="other"))) == ["NOT_LICENSED", "GRACE_ENDED"]


@pytest.mark.parametrize(
    ("applies_to", "covered"),
    [
        (AppliesTo(), True),
        (AppliesTo(editions=frozenset({"basic", "trial"})), True),
        (AppliesTo(editions=frozenset({"flagship"})), False),
        (AppliesTo(tags=frozenset({"a", "z"})), True),
        (AppliesTo(tags=frozenset({"z"})), False),
        (AppliesTo(tenants=frozenset({"acme"})), True),
        (AppliesTo(editions=frozenset({"basic"}), tags=frozenset({"z"})), False),
        (AppliesTo(tenants=frozenset({"acme"}), editions=frozenset({"flagship"})), False),
    ],
)
def test_whom_a_policy_is_for(applies_to: AppliesTo, covered: bool) -> None:
    assert applies_to.covers(tenant_id="acme", edition="basic", tags=("a", "b")) is covered


def test_only_a_more_specific_policy_that_names_a_rule_lifts_it() -> None:
    general = Policy(name="g", rules=(deny("strict"), ALLOW))
    lifting = Policy(
        name="t", applies_to=AppliesTo(tenants=frozenset({"acme"})), overrides=frozenset({"strict"}), rules=()
    )
    beside = Policy(name="h", overrides=frozenset({"strict"}))
    assert decided(book(general, lifting), BOOK_DESK).effect is Effect.ALLOW
    assert decided(book(general, lifting), BOOK_DESK, acme(tenant_id="other")).effect is Effect.DENY
    assert decided(book(general, beside), BOOK_DESK).effect is Effect.DENY


def test_terms_replace_general_ones_field_by_field() -> None:
    policies = (
        Policy(name="t", applies_to=AppliesTo(tenants=frozenset({"acme"})), grace=Period(days=7)),
        Policy(name="g", grace=Period(months=1), near_quota=50, stale_after=7),
    )
    applied = book(*policies).applied(acme())
    assert (applied.terms.grace, applied.terms.near_quota, applied.terms.overage) == (Period(days=7), 50, 0)
    assert (applied.thresholds.stale_after, applied.thresholds.blind_after) == (7, DAY)
    assert book(*policies).applied(acme(tenant_id="x")).terms.grace == Period(months=1)


def test_a_tenant_that_shares_services_has_its_holders_terms_and_its_own_rules() -> None:
    policies = (
        Policy(name="g", rules=(ALLOW, deny("grace", "SUBSCRIPTION_EXPIRED", phase=frozenset({Phase.GRACE})))),
        Policy(name="h", applies_to=AppliesTo(tenants=frozenset({"acme"})), grace=Period(days=1), rules=(deny("h"),)),
    )
    child = Record(tenant_id="child", revision=1, zone="UTC", holder_id="acme")
    late = instant("2027-01-03")
    decision = decided(book(*policies), Ask("child", "booking.create", "fixed_desk"), child, late, holder=acme())
    assert decision.effect is Effect.ALLOW  # past the holder's one day of grace, so not in GRACE; rule h is not its own
    assert decision.state is not None
    assert decision.state.phase is Phase.EXPIRED


# --- terms ---


def test_overage_stretches_every_finite_limit_rounded_down() -> None:
    policies = book(Policy(name="g", overage=15, rules=(ALLOW, deny("room", room=frozenset({Room.EXCEEDS})))))
    at = decided(policies, ADD_DESK._replace(quantity=3))
    assert (at.effect, at.figures and at.figures.limit) == (Effect.ALLOW, 11)
    over = decided(policies, ADD_DESK._replace(quantity=4))
    assert (over.effect, over.figures and over.figures.fits) == (Effect.DENY, 3)
    unlimited = acme(grants=(Grant(key="fixed_desk", starts_at=0, amount=UNLIMITED),))
    decision = decided(policies, ADD_DESK._replace(quantity=2**31), unlimited)
    assert decision.figures is not None
    assert (decision.figures.limit, decision.figures.fits) == (UNLIMITED, UNLIMITED)


def test_near_quota_is_a_matter_of_terms() -> None:
    warn = Rule(
        policy="g", id="w", near_quota=True, warnings=(WarningText(code="NEAR", message={"en": "x"}),), **ANYTHING
    )
    for percent, shown in ((90, True), (91, False)):
        decision = decided(book(Policy(name="g", near_quota=percent, rules=(ALLOW, warn))), ADD_DESK)
        assert bool(decision.warnings) is shown


@pytest.mark.parametrize(
    ("cut", "at", "held"),
    [
        (Cut(name="c", from_=CutFrom.TERM_END, length=Period(days=14)), "2027-01-01", True),
        (Cut(name="c", from_=CutFrom.TERM_END, length=Period(days=14)), "2027-01-14T23:59:59.999999", True),
        (Cut(name="c", from_=CutFrom.TERM_END, length=Period(days=14)), "2027-01-15", False),
        (Cut(name="c", from_=CutFrom.TERM_END, length=Period(days=14)), "2026-12-31T23:59:59.999999", False),
        (Cut(name="c", from_=CutFrom.TERM_END, length=Period(days=-7)), "2026-12-25", True),
        (Cut(name="c", from_=CutFrom.TERM_END, length=Period(days=-7)), "2026-12-24T23:59:59.999999", False),
        (Cut(name="c", from_=CutFrom.TERM_END, length=Period(days=-7)), "2027-01-01", False),
        (Cut(name="c", from_=CutFrom.TERM_START, length=Period(months=1)), "2026-01-31", True),
        (Cut(name="c", from_=CutFrom.TERM_START, length=Period(months=1)), "2026-02-01", False),
        (Cut(name="c", from_=CutFrom.GRACE_END, length=Period(days=-1)), "2027-03-31", True),
        (Cut(name="c", from_=CutFrom.GRACE_END, length=Period(days=1)), "2027-04-01", True),
        (Cut(name="c", from_=CutFrom.GRACE_END, length=Period(days=1)), "2027-04-02", False),
    ],
)
def test_cuts(cut: Cut, at: str, held: bool) -> None:
    rule = deny("cut", cuts=MappingProxyType({"c": True}))
    absent = deny("not", "BEYOND_TERM", cuts=MappingProxyType({"c": False}))
    policies = book(Policy(name="g", cuts=MappingProxyType({"c": cut}), rules=(rule, absent)))
    assert reasons(decided(policies, BOOK_DESK, now=instant(at))) == ["OVER_QUOTA" if held else "BEYOND_TERM"]


def test_a_cut_of_a_term_without_end_never_holds() -> None:
    cut = Cut(name="c", from_=CutFrom.TERM_END, length=Period(days=-7))
    rule = deny("cut", cuts=MappingProxyType({"c": True}))
    policies = book(Policy(name="g", cuts=MappingProxyType({"c": cut}), rules=(rule, ALLOW)))
    forever = acme(grants=(Grant(key="fixed_desk", starts_at=0, amount=9),))
    assert decided(policies, BOOK_DESK, forever).effect is Effect.ALLOW


# --- key groups ---

DESKS = {"desks": ("fixed_desk", "shared_desk")}


def grouped(*rules: Rule) -> Book:
    return book(Policy(name="g", key_groups=MappingProxyType(DESKS), rules=(*rules, ALLOW)))


def test_a_rule_that_judges_by_a_group_sums_over_its_keys() -> None:
    by_group = deny("sum", judge_by="desks", room=frozenset({Room.EXCEEDS}))
    allowed = decided(grouped(by_group), ADD_DESK)
    assert allowed.effect is Effect.ALLOW
    denied = decided(grouped(by_group), ADD_DESK._replace(quantity=2))
    assert denied.figures is not None
    assert (denied.figures.key, denied.figures.limit, denied.figures.used, denied.figures.fits) == ("desks", 14, 13, 1)
    assert next((a.remedy, a.quantity) for a in denied.remedies) == (Remedy.RELEASE, 1)
    assert allowed.figures is not None
    assert allowed.figures.key == "fixed_desk"


def test_a_group_can_be_within_while_its_key_is_over() -> None:
    record = acme(usage={"fixed_desk": Usage(units=2), "shared_desk": Usage(units=5)})
    over = frozenset({Used.OVER})
    shared = Ask("acme", "booking.create", "shared_desk")
    assert decided(grouped(deny("sum", judge_by="desks", usage=over)), shared, record).effect is Effect.ALLOW
    assert decided(grouped(deny("own", usage=over)), shared, record).effect is Effect.DENY


def test_a_key_outside_the_group_is_judged_by_itself() -> None:
    record = acme(grants=(Grant(key="meeting_room", starts_at=0, amount=1),), usage={"meeting_room": Usage(units=2)})
    rule = deny("sum", judge_by="desks", usage=frozenset({Used.OVER}))
    assert decided(grouped(rule), Ask("acme", "booking.create", "meeting_room"), record).effect is Effect.DENY


def test_the_answer_may_change_when_another_key_of_the_group_does() -> None:
    rule = deny("sum", judge_by="desks", room=frozenset({Room.EXCEEDS}))
    decision = decided(grouped(rule), ADD_DESK)
    assert decision.next_change_at == instant("2026-08-02")  # shared_desk: expiring soon


# --- expressions ---


def test_an_expression_has_the_last_word() -> None:
    for answer, effect in ((True, Effect.DENY), (False, Effect.ALLOW)):
        policies = book(Policy(name="g", rules=(deny("w", when=When(answer)), ALLOW)))
        assert decided(policies, BOOK_DESK).effect is effect


@pytest.mark.parametrize(
    ("action", "effect"),
    [
        ("space.create", Effect.DENY),
        ("booking.create", Effect.DENY),
        ("booking.check_in", Effect.DENY),
        ("booking.cancel", Effect.ALLOW),
        ("tenant.read", Effect.ALLOW),
        ("desk.dance", Effect.DENY),
    ],
)
def test_a_failing_expression_denies_but_holds_no_undo_hostage(action: str, effect: Effect) -> None:
    policies = book(Policy(name="g", rules=(deny("w", when=When(None)), ALLOW)))
    decision = decided(policies, Ask("acme", action, "fixed_desk"))
    assert decision.effect is effect
    if effect is Effect.DENY:
        assert decision.reason is not None
        assert (decision.reason.code, decision.rule and decision.rule.id) == ("POLICY_ERROR", "w")
        assert decision.message == "A policy could not be applied. Please contact us."


def test_a_failing_expression_of_a_rule_that_only_warns_denies_nothing() -> None:
    warn = Rule(policy="g", id="w", when=When(None), warnings=(WarningText(code="W", message={"en": "x"}),), **ANYTHING)
    decision = decided(book(Policy(name="g", rules=(warn, ALLOW))), BOOK_DESK)
    assert (decision.effect, decision.warnings) == (Effect.ALLOW, ())


def test_a_failing_allow_is_no_allow() -> None:
    failing = Rule(policy="g", id="a", effect=Effect.ALLOW, when=When(None), **ANYTHING)
    assert reasons(decided(book(Policy(name="g", rules=(failing,))), BOOK_DESK)) == ["POLICY_ERROR"]
    undo = Ask("acme", "booking.cancel", "fixed_desk")
    assert reasons(decided(book(Policy(name="g", rules=(failing,))), undo)) == ["NO_RULE"]


def test_an_answer_that_rests_on_the_time_of_day_promises_nothing() -> None:
    for reads_time in (True, False):
        rule = deny("w", when=When(False, reads_time=reads_time))
        decision = decided(book(Policy(name="g", rules=(rule, ALLOW))), BOOK_DESK)
        assert (decision.next_change_at is None) is reads_time


# --- what people see ---

WEEKEND = Reason(
    code="WEEKEND",
    reason_class=ReasonClass.POLICY,
    retry=Retry.AFTER_TIME,
    remedies=(Remedy.WAIT,),
    message={"en": "Not on weekends.", "zh-CN": "周末不可预订。"},
)


def test_a_policys_own_reason() -> None:
    policy = Policy(name="g", reasons=MappingProxyType({"WEEKEND": WEEKEND}), rules=(deny("w", "WEEKEND"),))
    decision = decided(book(policy), BOOK_DESK, locale="zh-Hans-CN")
    assert (decision.reason, decision.message) == (WEEKEND, "周末不可预订。")
    assert [a.remedy for a in decision.remedies] == [Remedy.WAIT]


def test_a_rules_own_message_and_remedies() -> None:
    message = {"en": "{used} of {limit} {key}, {fits} fit, {excess} over; until {term_ends_at}, {tenant}, {top_up}"}
    rule = deny("m", message=message, remedies=(Remedy.CONTACT,))
    decision = decided(book(Policy(name="g", rules=(rule,))), BOOK_DESK)
    assert decision.message == "8 of 10 fixed_desk, 2 fit, 0 over; until 2027-01-01, acme, 0"
    assert [a.remedy for a in decision.remedies] == [Remedy.CONTACT]


def test_messages_show_the_tenants_own_wall_clock() -> None:
    rule = deny("m", message={"en": "{term_ends_at} / {grace_ends_at} / {until}"})
    decision = decided(book(Policy(name="g", rules=(rule,))), BOOK_DESK, acme(zone="Asia/Shanghai"))
    assert decision.message == "2027-01-01 08:00 / 2027-04-01 08:00 / -"


def test_warnings_are_shown_once_in_the_order_of_the_rules() -> None:
    def warn(id_: str, *codes: str) -> Rule:
        texts = tuple(WarningText(code=c, message={"en": f"{id_} {{used}}"}) for c in codes)
        return Rule(policy="g", id=id_, warnings=texts, **ANYTHING)

    decision = decided(book(Policy(name="g", rules=(warn("1", "A", "B"), ALLOW, warn("2", "B", "C")))), BOOK_DESK)
    assert decision.warnings == (("A", "1 8"), ("B", "1 8"), ("C", "2 8"))


def test_a_refusal_looks_at_nothing() -> None:
    decision = refuse(book(Policy(name="g")), "UNKNOWN_TENANT", ("zh-CN", "en"))
    assert (decision.effect, decision.state, decision.figures, decision.rule) == (Effect.DENY, None, None, None)
    assert [a.remedy for a in decision.remedies] == [Remedy.RETRY, Remedy.CONTACT]
    assert "联系我们" in decision.message
