"""The example policies do what they say, beside the shipped one."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.core.book import Book
from sidecar.core.calendar import parse_instant
from sidecar.core.decide import Decision
from sidecar.core.facts import Ask
from sidecar.core.model import Grant, Record, Usage
from sidecar.core.tenant import Tenant
from sidecar.policy.load import load
from tests import bridge

POLICIES = Path(__file__).parents[2] / "policies"
START, END = parse_instant("2026-01-01T00:00:00Z"), parse_instant("2026-07-01T00:00:00Z")


@pytest.fixture(scope="module")
def book() -> Book:
    return Book(load([POLICIES, POLICIES / "examples"]))


def decided(
    book: Book,
    at: str,
    action: str,
    kind: str = "fixed_desk",
    *,
    tenant: str = "t",
    edition: str = "",
    tags: tuple[str, ...] = (),
    used: int = 0,
    window: tuple[str, str] | None = None,
) -> Decision:
    """A decision on a tenant with 10 fixed desks, 10 shared desks and 10 rooms during the first half of 2026."""
    record = Record(
        tenant_id=tenant,
        revision=1,
        zone="Asia/Shanghai",
        edition=edition,
        tags=tags,
        grants=tuple(
            Grant(key=k, starts_at=START, ends_at=END, amount=10) for k in ("fixed_desk", "shared_desk", "meeting_room")
        ),
        usage={"fixed_desk": Usage(units=used)},
    )
    starts_at, ends_at = map(parse_instant, window) if window else (None, None)
    ask = Ask(tenant, action, kind, window_starts_at=starts_at, window_ends_at=ends_at)
    return bridge.decided(Tenant(record, record, book), book, ask, parse_instant(at), "LIVE")


def verdict(decision: Decision) -> str:
    return "allow" if decision.reason is None else decision.reason.code


@pytest.mark.parametrize(
    ("edition", "starts_at", "expected"),
    [
        ("basic", "2026-03-06T15:59:59Z", "allow"),
        ("basic", "2026-03-06T16:00:00Z", "WEEKEND"),
        ("basic", "2026-03-08T15:59:59Z", "WEEKEND"),
        ("basic", "2026-03-08T16:00:00Z", "allow"),
        ("advanced", "2026-03-07T12:00:00Z", "allow"),
    ],
)
def test_a_weekend_is_one_in_the_tenants_zone(book: Book, edition: str, starts_at: str, expected: str) -> None:
    window = (starts_at, "2026-03-09T10:00:00Z")
    assert verdict(decided(book, "2026-03-01T00:00:00Z", "booking.create", edition=edition, window=window)) == expected


def test_a_booking_without_a_window_is_not_judged_by_the_weekend(book: Book) -> None:
    assert verdict(decided(book, "2026-03-01T00:00:00Z", "booking.create", edition="basic")) == "allow"


@pytest.mark.parametrize(("tags", "expected"), [(("strict-term",), "BEYOND_TERM"), ((), "allow")])
def test_a_booking_beyond_the_term_is_denied_to_those_tagged(book: Book, tags: tuple[str, ...], expected: str) -> None:
    window = ("2026-06-30T23:00:00Z", "2026-07-01T00:00:01Z")
    found = decided(book, "2026-03-01T00:00:00Z", "booking.create", tags=tags, window=window)
    assert verdict(found) == expected
    assert [code for code, _ in found.warnings] == ([] if tags else ["BEYOND_TERM"])


@pytest.mark.parametrize(
    ("tenant", "at", "action", "expected"),
    [
        ("globex", "2026-07-14T23:59:59Z", "booking.create", "allow"),
        ("globex", "2026-07-14T23:59:59Z", "space.create", "SUBSCRIPTION_EXPIRED"),
        ("globex", "2026-07-15T00:00:00Z", "booking.create", "SUBSCRIPTION_EXPIRED"),
        ("globex", "2026-12-31T23:59:59Z", "booking.cancel", "allow"),
        ("globex", "2027-01-01T00:00:00Z", "booking.cancel", "GRACE_ENDED"),
        ("other", "2026-07-14T23:59:59Z", "booking.create", "SUBSCRIPTION_EXPIRED"),
        ("other", "2026-10-01T00:00:00Z", "booking.cancel", "GRACE_ENDED"),
    ],
)
def test_what_was_agreed_after_the_term(book: Book, tenant: str, at: str, action: str, expected: str) -> None:
    assert verdict(decided(book, at, action, tenant=tenant)) == expected


@pytest.mark.parametrize(
    ("tenant", "used", "kind", "expected"),
    [
        ("other", 11, "fixed_desk", "OVER_QUOTA"),
        ("other", 11, "shared_desk", "allow"),
        ("globex", 22, "fixed_desk", "allow"),
        ("globex", 22, "shared_desk", "allow"),
        ("globex", 23, "fixed_desk", "OVER_QUOTA"),
        ("globex", 23, "shared_desk", "OVER_QUOTA"),
        ("globex", 23, "meeting_room", "allow"),
    ],
)
def test_desks_judged_together_and_stretched(book: Book, tenant: str, used: int, kind: str, expected: str) -> None:
    found = decided(book, "2026-03-01T00:00:00Z", "booking.create", kind, tenant=tenant, used=used)
    assert verdict(found) == expected
