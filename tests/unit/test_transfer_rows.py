"""Rows of each kind: what is read from their cells; every field that is wrong is told, and what is wrong with it."""

from __future__ import annotations

import pytest

from sidecar.core.model import Period
from sync.store.counting import UsageAsk
from sync.store.orders import Deal
from sync.store.placing import Kind, LateStart
from sync.transfer import orders, tenants, usage
from sync.transfer.cells import Cells
from sync.transfer.orders import DraftLine, DraftOrder

TENANT = {"tenant": "acme"}
USED = {"tenant": "acme", "key": "desk"}
ORDER = {"tenant": "acme", "product": "p", "quantity": "2"}


def order(*rows: dict[str, str]) -> tuple[DraftOrder, list[dict[str, str]]]:
    cells = [Cells(row) for row in rows]
    return orders.read(cells), [each.problems for each in cells]


def test_a_tenant_says_no_more_than_it_must() -> None:
    row = Cells(TENANT)
    read = tenants.read([row])
    assert (read.id, read.parent_id, read.zone, read.tags, read.edition) == ("acme", None, "UTC", (), None)
    assert row.problems == {}


def test_a_tenant_says_all_that_it_can() -> None:
    row = Cells(
        TENANT
        | {
            "name": "Acme Ltd",
            "parent": "holding",
            "zone": "Asia/Shanghai",
            "language": "zh-CN",
            "contacts": "a@x.org b@x.org",
            "tags": "pilot; first wave",
            "edition": "basic",
            "created_at": "2020-01-01T00:00:00Z",
        }
    )
    read = tenants.read([row])
    assert row.problems == {}
    assert (read.name, read.parent_id, read.zone, read.language) == ("Acme Ltd", "holding", "Asia/Shanghai", "zh-CN")
    assert (read.contacts, read.tags, read.edition) == (("a@x.org", "b@x.org"), ("pilot", "first wave"), "basic")


def test_an_archived_tenant_is_not_imported_as_one_that_is_not() -> None:
    row = Cells(TENANT | {"archived_at": "2026-01-01T00:00:00Z"})
    tenants.read([row])
    assert set(row.problems) == {"archived_at"}


@pytest.mark.parametrize(
    ("more", "units", "user"),
    [
        ({"units": "5"}, 5, None),
        ({"units": "0", "user": ""}, 0, None),
        ({"user": "ada"}, None, "ada"),
        ({"user": " ada "}, None, " ada "),
    ],
)
def test_usage_is_units_or_a_seat(more: dict[str, str], units: int | None, user: str | None) -> None:
    row = Cells(USED | more)
    assert usage.read([row]) == UsageAsk(tenant_id="acme", key="desk", units=units, user_id=user)
    assert row.problems == {}


@pytest.mark.parametrize(
    ("cells", "wrong"),
    [
        (USED, {"units"}),
        (USED | {"units": "5", "user": "ada"}, {"units"}),
        (USED | {"units": "-1"}, {"units"}),
        (USED | {"units": str(2**53 + 1)}, {"units"}),
        ({"units": "x"}, {"units", "tenant", "key"}),
    ],
)
def test_usage_that_cannot_be_is_told(cells: dict[str, str], wrong: set[str]) -> None:
    row = Cells(cells)
    usage.read([row])
    assert set(row.problems) == wrong


def test_an_order_says_no_more_than_it_must() -> None:
    read, problems = order(ORDER)
    assert problems == [{}]
    assert (read.kind, read.trial, read.edition, read.length, read.anchor) == (
        Kind.NEW,
        False,
        None,
        None,
        LateStart.OWN_START,
    )
    assert read.lines == (
        DraftLine(product_id="p", quantity=2, unit_price=None, billing_starts="", billing_periods=None),
    )


def test_an_order_of_several_lines_says_once_what_holds_for_all() -> None:
    first = ORDER | {
        "kind": "renew",
        "starts": "2026-07-01",
        "months": "12",
        "edition": "basic",
        "anchor": "OLD_END",
        "currency": "CNY",
        "coupon": "X1",
        "coupon_amount": "10.5",
        "credit": "1",
        "purchased_on": "2026-06-30",
        "note": " first\nsecond",
        "at": "2026-06-30T10:00:00Z",
        "unit_price": "49.90",
        "billing_starts": "2026-08-01",
        "periods": "0",
        "total": "whatever",
    }
    second = {"tenant": "acme", "product": "q", "quantity": "3", "kind": "renew"}
    read, problems = order(first, second)
    assert problems == [{}, {}]
    assert (read.kind, read.starts, read.length, read.edition) == (Kind.RENEW, "2026-07-01", Period(months=12), "basic")
    assert (read.anchor, read.at) == (LateStart.OLD_END, "2026-06-30T10:00:00Z")
    assert read.deal == Deal(
        currency="CNY",
        purchased_on="2026-06-30",
        coupon="X1",
        coupon_amount=10_500_000,
        credit=1_000_000,
        note=" first\nsecond",
    )
    assert [(x.product_id, x.quantity, x.unit_price, x.billing_starts, x.billing_periods) for x in read.lines] == [
        ("p", 2, 49_900_000, "2026-08-01", 0),
        ("q", 3, None, "", None),
    ]


def test_a_later_line_may_not_say_otherwise() -> None:
    _, problems = order(ORDER, ORDER | {"tenant": "globex", "product": "q", "months": "3"})
    assert problems[0] == {}
    assert set(problems[1]) == {"tenant", "months"}


def test_a_product_stands_in_one_line() -> None:
    _, problems = order(ORDER, ORDER | {"product": "q"}, ORDER)
    assert [set(each) for each in problems] == [set(), set(), {"product"}]


def test_an_upgrade_of_the_edition_alone_has_no_line() -> None:
    read, problems = order({"tenant": "acme", "kind": "UPGRADE", "edition": "flagship", "product": "", "quantity": ""})
    assert (read.lines, problems) == ((), [{}])


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("tenant", ""),
        ("kind", "VOID"),
        ("kind", "GIFT"),
        ("product", ""),
        ("quantity", ""),
        ("quantity", "0"),
        ("quantity", str(2**31 + 1)),
        ("quantity", "some"),
        ("starts", "1.7.2026"),
        ("starts", "1969-12-31"),
        ("ends", "2026-02-30"),
        ("ends", "9999-12-31"),
        ("months", "0"),
        ("months", "1201"),
        ("days", "36001"),
        ("perpetual", "perhaps"),
        ("trial", "2"),
        ("edition", "two\nlines"),
        ("anchor", "there"),
        ("unit_price", "-1"),
        ("unit_price", "1.2345678"),
        ("unit_price", "10,50"),
        ("coupon", "c" * 257),
        ("currency", "yuan"),
        ("note", "\a"),
        ("coupon_amount", "-1"),
        ("credit", "1e3"),
        ("purchased_on", "2026-06-30T10:00:00Z"),
        ("billing_starts", "soon"),
        ("periods", "-1"),
        ("periods", "12001"),
        ("note", "n" * 4097),
        ("at", "now"),
    ],
)
def test_each_field_that_is_wrong_is_told(column: str, cell: str) -> None:
    _, (problems,) = order(ORDER | {column: cell})
    assert set(problems) == {column}


def test_a_term_is_stated_in_one_way() -> None:
    assert set(order(ORDER | {"months": "1", "days": "1"})[1][0]) == {"days"}
    for other in ({"ends": "2026-07-31"}, {"months": "1"}, {"days": "1"}):
        assert set(order(ORDER | {"perpetual": "yes"} | other)[1][0]) == {"perpetual"}


def test_all_that_is_wrong_is_told_together() -> None:
    _, (problems,) = order({"kind": "x", "product": "p", "starts": "y", "quantity": "z"})
    assert set(problems) == {"tenant", "kind", "starts", "quantity"}
