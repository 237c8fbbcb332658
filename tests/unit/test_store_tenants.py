"""Tenants: inheritance and pools, blocks, archiving, moving (domain.md 3, 5 and 8), as the records say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sidecar.core.errors import InvalidRecord, InvalidRequest
from sidecar.core.model import DAY, FOREVER, Block, Seat, Usage
from sync.store import blocks, seeking, tenants
from sync.store.erasure import erase_tenant
from sync.store.tenants import NewTenant
from tests import changing
from tests.storing import TESTER, Shop, at, filling, months, on_every_database, per_unit, refused

pytestmark = on_every_database


@filling
def filled(shop: Shop) -> None:
    """A parent with ten desks, a child below it and a grandchild, neither with orders."""
    shop.product(per_unit("fd", "fixed_desk"))
    shop.tenant("parent", edition="basic")
    shop.tenant("child", parent_id="parent")
    shop.tenant("grandchild", parent_id="child")
    shop.new("parent", {"fd": 10}, "2026-01-01", months(12))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "store.db", filled)


def change(shop: Shop, function: str, /, *args: Any, **kwargs: Any) -> set[str]:
    """Makes one change to tenants; returns whose records it altered."""
    before = shop.revision()
    with shop.store.writing(TESTER) as writing:
        getattr(blocks if "block" in function else tenants, function)(writing, *args, **kwargs)
    return shop.changed_since(before)


def test_a_tenant_is_recorded_as_given(shop: Shop) -> None:
    shop.tenant("t", zone="Asia/Shanghai", language="zh-CN", tags=("b", "a", "b"), edition="trial")
    record = shop.record("t")
    assert (record.zone, record.language, record.tags, record.edition) == (
        "Asia/Shanghai",
        "zh-CN",
        ("a", "b"),
        "trial",
    )
    assert (record.holder_id, record.grants, record.archived, record.account) == ("", (), False, None)


def test_case_21_one_pool(shop: Shop) -> None:
    shop.use("parent", fixed_desk=6)
    before = shop.revision()
    shop.use("child", fixed_desk=3)
    assert shop.changed_since(before) == {"parent"}
    assert shop.record("parent").usage == {"fixed_desk": Usage(units=9)}
    child = shop.record("child")
    assert (child.holder_id, child.grants, child.usage, child.edition) == ("parent", (), {}, "basic")
    assert shop.record("grandchild").holder_id == "parent"


def test_seats_of_a_pool_stand_in_one_order(shop: Shop) -> None:
    shop.seat("child", "designer", "u1")
    shop.seat("parent", "designer", "u2", "u1")
    shop.seat("grandchild", "designer", "u3")
    shop.seat("child", "designer", "u1")
    assert shop.record("parent").usage["designer"].seats == (
        Seat("child", "u1"),
        Seat("", "u2"),
        Seat("", "u1"),
        Seat("grandchild", "u3"),
    )


def test_the_first_order_takes_a_tenant_and_those_below_out_of_the_pool(shop: Shop) -> None:
    shop.use("parent", fixed_desk=1)
    shop.use("child", fixed_desk=2)
    shop.use("grandchild", fixed_desk=4)
    before = shop.revision()
    shop.new("child", {"fd": 5}, "2026-01-01", months(1))
    assert shop.changed_since(before) == {"parent", "child", "grandchild"}
    assert shop.record("parent").usage["fixed_desk"].units == 1
    assert shop.record("child").usage["fixed_desk"].units == 6
    assert (shop.record("child").holder_id, shop.record("grandchild").holder_id) == ("", "child")
    before = shop.revision()
    shop.renew("child", {"fd": 5}, "2026-01-02", months(1))
    assert shop.changed_since(before) == {"child"}


def test_the_first_order_above_gives_services_to_those_below(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "store.db")
    shop.product(per_unit("fd", "fixed_desk"))
    for tenant_id, parent in (("a", None), ("b", "a"), ("c", "b")):
        shop.tenant(tenant_id, parent_id=parent)
    shop.use("c", fixed_desk=2)
    assert (shop.record("c").holder_id, shop.record("c").usage["fixed_desk"].units) == ("", 2)
    assert shop.record("a").usage == {}
    shop.new("a", {"fd": 5}, "2026-01-01", months(1))
    assert (shop.record("c").holder_id, shop.record("c").usage) == ("a", {})
    assert shop.record("a").usage["fixed_desk"].units == 2


def test_an_edition_bought_above_reaches_those_who_share(shop: Shop) -> None:
    shop.tenant("own", parent_id="parent", edition="trial")
    before = shop.revision()
    shop.upgrade("parent", {"fd": 11}, "2026-02-01", edition="advanced")
    assert shop.changed_since(before) == {"parent", "child", "grandchild"}
    editions = [shop.record(t).edition for t in ("parent", "child", "grandchild", "own")]
    assert editions == ["advanced", "advanced", "advanced", "trial"]
    assert change(shop, "update_tenant", "parent", now=0, edition="flagship") == set()
    shop.tenant("free", edition="basic")
    assert change(shop, "update_tenant", "free", now=0, edition="") == {"free"}
    assert shop.record("free").edition == ""


def test_case_22_blocks_reach_below_only_when_they_cascade(shop: Shop) -> None:
    shop.new("grandchild", {"fd": 1}, "2026-01-01", months(12))
    assert change(shop, "block_tenant", "parent", "operator", starts_at=5) == {"parent"}
    assert shop.record("grandchild").blocks == ()
    touched = change(shop, "block_tenant", "parent", "operator", starts_at=5, ends_at=9, cascade=True)
    assert touched == {"parent", "child", "grandchild"}
    for tenant_id in touched:
        assert shop.record(tenant_id).blocks == (Block(name="operator", starts_at=5, ends_at=9),)
    assert change(shop, "unblock_tenant", "parent", "operator") == {"parent", "child", "grandchild"}
    assert shop.record("grandchild").blocks == ()


def test_case_34_lifting_one_block_lifts_no_other(shop: Shop) -> None:
    change(shop, "block_tenant", "parent", "operator", starts_at=5)
    change(shop, "block_tenant", "parent", "fraud", starts_at=6)
    change(shop, "unblock_tenant", "parent", "fraud")
    assert shop.record("parent").blocks == (Block(name="operator", starts_at=5, ends_at=FOREVER),)
    with refused("UNKNOWN_BLOCK"):
        change(shop, "unblock_tenant", "parent", "fraud")


def test_setting_a_block_again_replaces_it(shop: Shop) -> None:
    change(shop, "block_tenant", "parent", "fraud", starts_at=5)
    change(shop, "block_tenant", "parent", "fraud", starts_at=7, ends_at=8)
    assert shop.record("parent").blocks == (Block(name="fraud", starts_at=7, ends_at=8),)
    assert change(shop, "block_tenant", "parent", "fraud", starts_at=7, ends_at=8) == set()


def test_archiving_keeps_everything_but_takes_usage_out_of_the_pool(shop: Shop) -> None:
    shop.use("parent", fixed_desk=6)
    shop.use("child", fixed_desk=3)
    shop.seat("child", "designer", "u1")
    assert change(shop, "archive_tenant", "child", now=1) == {"parent", "child"}
    assert shop.record("child").archived
    assert shop.record("parent").usage == {"fixed_desk": Usage(units=6)}
    assert change(shop, "archive_tenant", "child", now=2) == set()
    assert change(shop, "restore_tenant", "child") == {"parent", "child"}
    assert shop.record("parent").usage == {
        "fixed_desk": Usage(units=9),
        "designer": Usage(seats=(Seat("child", "u1"),)),
    }


def test_moving_takes_usage_along_and_changes_the_holder(shop: Shop) -> None:
    shop.tenant("other")
    shop.new("other", {"fd": 3}, "2026-01-01", months(12))
    shop.use("grandchild", fixed_desk=2)
    assert change(shop, "move_tenant", "child", "other") == {"parent", "other", "child", "grandchild"}
    assert (shop.record("parent").usage, shop.record("other").usage["fixed_desk"].units) == ({}, 2)
    assert shop.record("grandchild").holder_id == "other"
    assert change(shop, "move_tenant", "child", None) == {"other", "child", "grandchild"}
    assert (shop.record("child").holder_id, shop.record("grandchild").usage["fixed_desk"].units) == ("", 2)


def test_moving_brings_the_blocks_from_above(shop: Shop) -> None:
    shop.tenant("blocked")
    change(shop, "block_tenant", "blocked", "legal", starts_at=1, cascade=True)
    change(shop, "move_tenant", "parent", "blocked")
    assert [b.name for b in shop.record("grandchild").blocks] == ["legal"]


@pytest.mark.parametrize("parent", ["parent", "child", "grandchild"])
def test_nobody_is_below_itself(shop: Shop, parent: str) -> None:
    before = shop.revision()
    with refused("PARENT_CYCLE"):
        change(shop, "move_tenant", "parent", parent)
    assert shop.revision() == before


def test_a_change_that_changes_nothing_takes_no_revision(shop: Shop) -> None:
    assert change(shop, "update_tenant", "parent", now=0) == set()
    assert change(shop, "update_tenant", "parent", now=0, language="", tags=()) == set()
    assert change(shop, "move_tenant", "child", "parent") == set()


def test_unknown_and_taken_names_are_refused(shop: Shop) -> None:
    with refused("TENANT_EXISTS"):
        shop.tenant("parent")
    with refused("UNKNOWN_TENANT"):
        shop.tenant("x", parent_id="nobody")
    with refused("UNKNOWN_EDITION"):
        shop.tenant("x", edition="deluxe")
    for name, args in (
        ("update_tenant", ("nobody",)),
        ("archive_tenant", ("nobody",)),
    ):
        with refused("UNKNOWN_TENANT"):
            change(shop, name, *args, now=0)
    for name, args in (
        ("restore_tenant", ("nobody",)),
        ("move_tenant", ("nobody", None)),
        ("move_tenant", ("child", "nobody")),
        ("unblock_tenant", ("nobody", "fraud")),
    ):
        with refused("UNKNOWN_TENANT"):
            change(shop, name, *args)


@pytest.mark.parametrize("tenant_id", ["", " a", "a\n", "a\x00b", "x" * 257, "é" * 129, "\udcff"])
def test_ids_that_nobody_can_type_are_invalid(shop: Shop, tenant_id: str) -> None:
    with pytest.raises(InvalidRequest, match="tenant_id"):
        shop.tenant(tenant_id)


def test_other_bad_fields_are_invalid(shop: Shop) -> None:
    with pytest.raises(InvalidRecord, match="zone"):
        shop.tenant("x", zone="Mars/Olympus")
    with pytest.raises(InvalidRequest, match="language"):
        shop.tenant("x", language="english please")
    with pytest.raises(InvalidRequest, match="tags"):
        shop.tenant("x", tags=[str(n) for n in range(65)])
    with pytest.raises(InvalidRequest, match="tags"):
        shop.tenant("x", tags=[""])
    with pytest.raises(InvalidRequest, match="until"):
        change(shop, "block_tenant", "parent", "fraud", starts_at=5, ends_at=5)


def test_tenants_are_listed_by_id_in_pages(shop: Shop) -> None:
    with shop.store.reading() as conn:
        assert seeking.tenant_ids(conn, after="", limit=9) == ["child", "grandchild", "parent"]
        assert seeking.tenant_ids(conn, after="child", limit=1) == ["grandchild"]
        assert tenants.get_tenant(conn, "child").created_at == at("2026-01-01")


# --- names, contacts, versions ---


def told(shop: Shop, tenant_id: str) -> tenants.Tenant:
    with shop.store.reading() as conn:
        return tenants.get_tenant(conn, tenant_id)


def test_a_tenant_has_a_name_for_people_and_contacts_in_the_order_given(shop: Shop) -> None:
    shop.tenant("t", name="张三 GmbH", contacts=("b@t.example", "a.b+c@t.example", "b@t.example"))
    found = told(shop, "t")
    assert (found.name, found.contacts, found.version) == ("张三 GmbH", ("b@t.example", "a.b+c@t.example"), 1)
    change(shop, "update_tenant", "t", now=0, name="", contacts=())
    found = told(shop, "t")
    assert (found.name, found.contacts, found.version) == ("", (), 2)


@pytest.mark.parametrize("name", [" t", "t\n", "x" * 257])
def test_a_name_that_nobody_can_read_is_invalid(shop: Shop, name: str) -> None:
    with pytest.raises(InvalidRequest, match="name"):
        shop.tenant("t", name=name)
    with pytest.raises(InvalidRequest, match="name"):
        change(shop, "update_tenant", "parent", now=0, name=name)


@pytest.mark.parametrize(
    "address",
    [
        *("", "ada", "@acme.example", "ada@", "ada@acme@example", "ada lovelace@acme.example", " ada@acme.example"),
        *("ada@acme.example ", "ada@acme.example\n", "ada@acme.example,eve@acme.example", "Ada <ada@acme.example>"),
        *(
            "ädä@acme.example",
            "ada@\udcff.example",
            "a\x00b@acme.example",
            "a" * 250 + "@acme.example",
            "a@b\r\nBcc: c@d",
        ),
    ],
)
def test_what_is_no_address_is_no_contact(shop: Shop, address: str) -> None:
    with pytest.raises(InvalidRequest, match="contacts"):
        shop.tenant("t", contacts=["eve@acme.example", address])
    with pytest.raises(InvalidRequest, match="contacts"):
        change(shop, "update_tenant", "parent", now=0, contacts=[address])
    assert told(shop, "parent").contacts == ()


def test_a_tenant_has_sixteen_contacts_at_most(shop: Shop) -> None:
    contacts = [f"c{number}@acme.example" for number in range(17)]
    shop.tenant("t", contacts=contacts[:16])
    with pytest.raises(InvalidRequest, match="contacts"):
        change(shop, "update_tenant", "t", now=0, contacts=contacts)
    assert told(shop, "t").contacts == tuple(contacts[:16])


def test_a_change_made_on_an_older_version_is_refused(shop: Shop) -> None:
    change(shop, "update_tenant", "parent", now=0, expected_version=1, name="One")
    for version in (0, 1, 3):
        with refused("CONFLICT"):
            change(shop, "update_tenant", "parent", now=0, expected_version=version, name="Two")
    assert (told(shop, "parent").name, told(shop, "parent").version) == ("One", 2)
    change(shop, "update_tenant", "parent", now=0, expected_version=2, name="Two")
    change(shop, "archive_tenant", "parent", now=0)
    change(shop, "restore_tenant", "parent")
    change(shop, "move_tenant", "grandchild", "parent")
    assert [told(shop, t).version for t in ("parent", "grandchild")] == [5, 2]


def test_what_records_do_not_hold_changes_the_tenant_and_no_record(shop: Shop) -> None:
    assert change(shop, "update_tenant", "parent", now=0, name="N", contacts=["ada@acme.example"]) == set()
    assert told(shop, "parent").contacts == ("ada@acme.example",)


def test_a_change_is_told_before_and_after(shop: Shop) -> None:
    (entry,) = changing.change(shop, tenants.update_tenant, "parent", now=0, name="N", tags=["b", "a"]).entries
    assert (entry.action, entry.subject, entry.tenant_id) == ("tenant.update", "tenant:parent", "parent")
    assert entry.details is not None
    told = [(entry.details[when]["name"], entry.details[when]["tags"]) for when in ("before", "after")]
    assert told == [("", []), ("N", ["a", "b"])]


def test_archiving_twice_keeps_the_first_retention(shop: Shop) -> None:
    change(shop, "archive_tenant", "child", now=DAY, retention_days=30)
    left = changing.change(shop, tenants.archive_tenant, "child", now=9 * DAY, retention_days=1)
    assert (left.records, left.entries) == (set(), [])
    found = told(shop, "child")
    assert (found.archived_at, found.erase_after, found.version) == (DAY, 31 * DAY, 2)
    change(shop, "restore_tenant", "child")
    found = told(shop, "child")
    assert (found.archived_at, found.erase_after, found.version) == (None, None, 3)
    left = changing.change(shop, tenants.restore_tenant, "child")
    assert (left.records, left.entries) == (set(), [])


def test_what_changes_nothing_is_told_nowhere(shop: Shop) -> None:
    for make, args, fields in (
        (tenants.move_tenant, ("child", "parent"), {}),
        (tenants.move_tenant, ("parent", None), {}),
        (tenants.update_tenant, ("parent",), {"now": 0}),
        (tenants.update_tenant, ("parent",), {"now": 0, "edition": "basic", "zone": "UTC", "contacts": ()}),
    ):
        left = changing.change(shop, make, *args, **fields)
        assert (left.records, left.entries, told(shop, args[0]).version) == (set(), [], 1)


def test_nothing_is_sold_to_an_archived_tenant_but_it_can_be_put_in_order(shop: Shop) -> None:
    change(shop, "archive_tenant", "parent", now=0)
    with shop.store.reading() as conn, refused("TENANT_ARCHIVED"):
        tenants.writable(conn, "parent")
    with shop.store.reading() as conn, refused("UNKNOWN_TENANT"):
        tenants.writable(conn, "nobody")
    with refused("TENANT_ARCHIVED"):
        shop.new("parent", {"fd": 1}, "2027-01-01", months(1))
    shop.use("parent", fixed_desk=3)
    assert change(shop, "block_tenant", "parent", "legal", starts_at=5) == {"parent"}
    assert change(shop, "unblock_tenant", "parent", "legal") == {"parent"}
    change(shop, "update_tenant", "parent", now=0, name="N")
    change(shop, "move_tenant", "child", None)
    change(shop, "restore_tenant", "parent")
    with shop.store.reading() as conn:
        assert tenants.writable(conn, "parent").name == "N"
    assert shop.record("parent").usage["fixed_desk"].units == 3


def test_blocks_are_a_hundred_at_most(shop: Shop) -> None:
    for number in range(blocks.MOST_BLOCKS):
        change(shop, "block_tenant", "child", f"b{number}", starts_at=5)
    with refused("TOO_MANY_BLOCKS"):
        change(shop, "block_tenant", "child", "one more", starts_at=5)
    assert change(shop, "block_tenant", "child", "b7", starts_at=6) == {"child"}


# --- many at once ---


def test_many_tenants_are_added_at_once_parents_first(shop: Shop) -> None:
    change(shop, "archive_tenant", "child", now=0)
    shop.tenant("erased")
    changing.change(shop, tenants.archive_tenant, "erased", now=0, retention_days=0)
    changing.change(shop, erase_tenant, "erased", now=0)
    asks = [
        NewTenant(id="a", contacts=("ada@a.example",), edition="basic"),
        NewTenant(id="b", parent_id="a", name="B", tags=("y", "x")),
        NewTenant(id="a"),
        NewTenant(id="early", parent_id="late"),
        NewTenant(id="late", parent_id="parent"),
        NewTenant(id="bad", zone="Mars/Olympus"),
        NewTenant(id="below-bad", parent_id="bad"),
        NewTenant(id="child"),
        NewTenant(id=" x"),
        NewTenant(id="x", parent_id=""),
        NewTenant(id="x", parent_id="\udcff"),
        NewTenant(id="x", parent_id="erased"),
        NewTenant(id="x", edition="deluxe"),
        NewTenant(id="x", language="english please"),
        NewTenant(id="x", contacts=("nobody",)),
        NewTenant(id="x", tags=("",)),
        NewTenant(id="x", name="\n"),
        NewTenant(id="x", parent_id="child"),
        NewTenant(id="x", parent_id="x"),
    ]
    left = changing.change(shop, tenants.create_tenants, asks, now=7)
    told_of = [type(o).__name__ if o is None else getattr(o, "code", getattr(o, "field", "zone")) for o in left.answer]
    assert told_of == [
        *("NoneType", "NoneType", "TENANT_EXISTS", "UNKNOWN_TENANT", "NoneType", "zone", "UNKNOWN_TENANT"),
        *("TENANT_EXISTS", "tenant_id", "parent_id", "parent_id", "TENANT_ERASED", "UNKNOWN_EDITION", "language"),
        *("contacts", "tags", "name", "NoneType", "TENANT_EXISTS"),
    ]
    made = {"a", "b", "late", "x"}
    assert left.records == made
    assert [(e.action, e.tenant_id) for e in left.entries] == [("tenant.create", t) for t in ("a", "b", "late", "x")]
    assert (shop.record("late").holder_id, shop.record("x").holder_id) == ("parent", "parent")
    found = told(shop, "b")
    assert (found.parent_id, found.name, found.tags, found.created_at) == ("a", "B", ("x", "y"), 7)


def test_a_batch_and_one_by_one_come_to_the_same(shop: Shop, tmp_path: Path) -> None:
    asks = [NewTenant(id=f"n{n}", parent_id=f"n{n // 3}" if n else "child", tags=(f"g{n % 2}",)) for n in range(30)]
    changing.change(shop, tenants.create_tenants, asks, now=7)
    apart = Shop(tmp_path / "apart.db")
    apart.tenant("parent", edition="basic")
    apart.tenant("child", parent_id="parent")
    for ask in asks:
        changing.change(apart, tenants.create_tenants, [ask], now=7)
    for ask in asks:
        assert told(shop, ask.id) == told(apart, ask.id)
        assert shop.record(ask.id).tags == apart.record(ask.id).tags
    assert {shop.record(ask.id).holder_id for ask in asks} == {"parent"}


def test_nothing_asked_for_adds_nothing(shop: Shop) -> None:
    left = changing.change(shop, tenants.create_tenants, [], now=0)
    assert (left.answer, left.records, left.entries) == ([], set(), [])
