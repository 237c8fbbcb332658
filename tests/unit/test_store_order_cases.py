"""Terms at their edges, plans beside orders, and what orders come to in decisions (domain.md 3, 4 and 8)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.core.calendar import format_instant, zone_of
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import Period
from sidecar.core.tenant import Tenant
from sync.store import assignments, plans
from sync.store.orders import Item, Order
from sync.store.outcomes import place
from sync.store.placing import Ask, History, Kind, LateStart, Wanted
from sync.store.plandoc import PlanTerms, Service
from sync.store.products import product_of
from sync.store.terms import Term, start_of
from tests import bridge, shipped
from tests.storing import TESTER, Shop, at, months, on_every_database, per_unit, refused, until

pytestmark = on_every_database


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "store.db")
    shop.product(per_unit("fd", "fixed_desk"))
    shop.product(per_unit("sd", "shared_desk"))
    shop.product(per_unit("room", "meeting_room"))
    trial = {"trial": {"count": 1, "unit": "month"}, "trial_license_template": [{"name": "pod", "amount": 3}]}
    shop.product(per_unit("tried", "pod", **trial))
    shop.tenant("t")
    return shop


def windows(shop: Shop, key: str) -> list[tuple[str, str, object]]:
    grants = [g for g in shop.record("t").grants if g.key == key]
    return [(format_instant(g.starts_at), format_instant(g.ends_at), g.amount) for g in grants]


# --- plans and the cap ---


def plan(shop: Shop, product: str, quantity: int) -> None:
    terms = PlanTerms(services=(Service(product=product, quantity=quantity),))
    plan_id = f"{quantity} of {product}"
    with shop.store.writing(TESTER) as writing:
        plans.create_plan(writing, plan_id, name="plan", terms=terms, now=at("2026-01-01"))
        assignments.assign_plan(writing, "t", plan_id, now=at("2026-01-01"))


def test_what_a_plan_grants_counts_against_the_cap_and_is_no_term(shop: Shop) -> None:
    plan(shop, "fd", 60)
    with refused("NOTHING_TO_RENEW"):
        shop.renew("t", {"fd": 1}, "2026-01-02", months(1))
    with refused("NOTHING_RUNNING"):
        shop.upgrade("t", {"fd": 61}, "2026-01-02")
    with refused("EDITION_CAP_EXCEEDED"):
        shop.new("t", {"fd": 41}, "2026-01-02", months(1), edition="trial")
    shop.new("t", {"fd": 40}, "2026-01-02", months(1), edition="trial")
    with refused("EDITION_CAP_EXCEEDED"):
        shop.upgrade("t", {"fd": 41}, "2026-01-03")
    assert shop.amount("t", "fixed_desk", "2026-01-03") == 100


def test_a_plan_grants_no_more_than_a_record_can_say(shop: Shop) -> None:
    entry = {"name": "room", "amount": 2**40, "amount_calculation": "per_qty"}
    shop.product({"id": "big", "license_template": [entry]})
    with pytest.raises(InvalidRequest, match=r"more than 2\^53"):
        plan(shop, "big", 2**13 + 1)
    assert shop.record("t").grants == ()
    plan(shop, "big", 2**13)
    assert shop.amount("t", "room", "2026-01-01") == 2**53


# --- terms ---


def test_a_paid_order_ends_a_trial_that_lies_ahead_too(shop: Shop) -> None:
    shop.order("NEW", "t", {"tried": 1}, "2026-01-01", Term(starts_at=at("2026-06-01")), trial=True)
    shop.new("t", {"tried": 5}, "2026-01-01", months(12))
    assert windows(shop, "pod") == [("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", 5)]


def test_two_orders_that_overlap_add_up_and_are_renewed_each_for_itself(shop: Shop) -> None:
    shop.product(per_unit("fd2", "fixed_desk"))
    shop.new("t", {"fd": 5}, "2026-01-01", until("2026-06-01"))
    shop.new("t", {"fd2": 5}, "2026-01-01", until("2026-09-01", "2026-05-01"))
    shop.renew("t", {"fd2": 2, "fd": 3}, "2026-05-20", months(2))
    days = ("2026-04-15", "2026-05-15", "2026-06-15", "2026-08-15", "2026-09-15", "2026-11-01")
    assert [shop.amount("t", "fixed_desk", day) for day in days] == [5, 10, 8, 5, 2, None]


def test_months_are_counted_from_the_first_anchor_through_every_month_end(shop: Shop) -> None:
    shop.tenant("ny", zone="America/New_York")
    start = start_of("2026-01-31", zone_of("America/New_York"))
    shop.new("ny", {"fd": 1}, "2026-01-01", Term(starts_at=start, length=Period(months=1)))
    for _ in range(4):
        shop.renew("ny", {"fd": 1}, "2026-01-15", months(1))
    assert [format_instant(grant.ends_at) for grant in shop.record("ny").grants] == [
        "2026-02-28T05:00:00Z",
        "2026-03-31T04:00:00Z",
        "2026-04-30T04:00:00Z",
        "2026-05-31T04:00:00Z",
        "2026-06-30T04:00:00Z",
    ]


def test_a_renewal_to_an_end_from_off_the_anchor_makes_the_old_end_the_anchor(shop: Shop) -> None:
    shop.new("t", {"fd": 1}, "2026-01-31", until("2026-03-10"))
    shop.renew("t", {"fd": 1}, "2026-02-01", until("2026-04-30"))
    shop.renew("t", {"fd": 1}, "2026-02-02", months(1))
    assert windows(shop, "fixed_desk")[-1][:2] == ("2026-04-30T00:00:00Z", "2026-05-30T00:00:00Z")


def test_days_after_months_are_counted_from_the_anchors_wall_clock(shop: Shop) -> None:
    """New York skips 2026-03-08 02:00 to 03:00: the renewal begins after the gap, and ends by the clock again."""
    shop.tenant("ny", zone="America/New_York")
    shop.new("ny", {"fd": 1}, "2026-01-01", Term(starts_at=at("2026-02-08T07:30:00Z"), length=Period(months=1)))
    shop.renew("ny", {"fd": 1}, "2026-03-01", Term(length=Period(days=1)))
    assert [format_instant(g.ends_at) for g in shop.record("ny").grants] == [
        "2026-03-08T07:00:00Z",
        "2026-03-09T06:30:00Z",
    ]


def test_a_late_renewal_from_the_old_end_may_lie_in_the_past_but_must_end_later(shop: Shop) -> None:
    shop.new("t", {"fd": 1}, "2026-01-01", until("2026-02-01"))
    renewed = shop.renew("t", {"fd": 1}, "2026-06-01", months(1), late_start=LateStart.OLD_END)
    assert (renewed.lines[0].starts_at, renewed.lines[0].ends_at) == (at("2026-02-01"), at("2026-03-01"))
    with refused("END_NOT_LATER"):
        shop.renew("t", {"fd": 1}, "2026-06-01", until("2026-03-01"))


def test_the_same_product_twice_is_one_line_with_the_sum() -> None:
    wanted = Wanted(product=product_of(per_unit("fd", "x")), product_version=1, item=Item(quantity=1))
    history = History(lines=(), edition=None, zone=zone_of("UTC"), caps={})
    with pytest.raises(InvalidRequest, match="add the quantities up"):
        place(Ask(kind=Kind.NEW, lines=(wanted, wanted), term=months(1)), history, now=0)


# --- cases 5 to 9: renewed with fewer ---


def asked(
    shop: Shop, action: str, kind: str, when: str, *, licensed: bool | None = None, user_id: str = ""
) -> tuple[str, str | None, int]:
    record, book = shop.record("t"), shipped.book()
    question = {"action": action, "kind": kind, "licensed": licensed, "quantity": 1, "user_id": user_id, "window": None}
    tenant = Tenant(record, record, book)
    decision = bridge.plain(bridge.decided(tenant, book, bridge.ask(question, "t"), at(when), "LIVE"))
    excess = decision["quota"]["excess"] if decision["quota"] else 0
    return decision["effect"], decision["reason"], excess


@pytest.fixture
def renewed(shop: Shop) -> Order:
    """10 desks until 2027, 8 from then on; 10 exist."""
    shop.new("t", {"fd": 10, "room": 2}, "2026-01-01", months(12))
    order = shop.renew("t", {"fd": 8, "room": 2}, "2026-12-01", months(12))
    shop.use("t", fixed_desk=10, meeting_room=2)
    return order


def test_case_5_and_7_over_quota_from_the_new_terms_first_instant(shop: Shop, renewed: Order) -> None:
    assert renewed.starts_at == at("2027-01-01")
    assert asked(shop, "booking.create", "fixed_desk", "2026-12-31T23:59:59.999999Z") == ("ALLOW", None, 0)
    assert asked(shop, "booking.create", "fixed_desk", "2027-01-01") == ("DENY", "OVER_QUOTA", 2)


def test_case_6_and_9_what_is_undone_and_what_is_within_its_quota_goes_on(shop: Shop, renewed: Order) -> None:
    for action, licensed in (("booking.cancel", None), ("space.delete", None), ("space.create", False)):
        assert asked(shop, action, "fixed_desk", "2027-01-01", licensed=licensed)[0] == "ALLOW"
    assert asked(shop, "booking.create", "meeting_room", "2027-01-01")[0] == "ALLOW"


def test_case_8_it_clears_when_usage_is_down(shop: Shop, renewed: Order) -> None:
    shop.use("t", fixed_desk=8)
    assert asked(shop, "booking.create", "fixed_desk", "2027-01-01") == ("ALLOW", None, 0)


def test_case_15_seats_beyond_the_license_after_the_trial(shop: Shop) -> None:
    shop.product(
        {
            "id": "designer",
            "trial": {"count": 14, "unit": "day"},
            "trial_license_template": [{"name": "designer", "users": 3}],
            "license_template": [{"name": "designer", "users": 1}],
        }
    )
    shop.new("t", {"designer": 1}, "2026-01-01", months(12))
    shop.seat("t", "designer", "u1", "u2")
    for action, user_id, when, reason in (
        ("license.assign", "u3", "2026-01-14", None),
        ("license.assign", "u3", "2026-01-16", "QUOTA_REACHED"),
        ("feature.use", "u1", "2026-01-16", None),
        ("feature.use", "u2", "2026-01-16", "OVER_QUOTA"),
    ):
        assert asked(shop, action, "designer", when, user_id=user_id)[1] == reason
