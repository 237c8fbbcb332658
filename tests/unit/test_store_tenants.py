"""Tenants: inheritance and pools, blocks, archiving, moving (domain.md 3, 5 and 8), as the records say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sidecar.core.errors import InvalidRecord, InvalidRequest
from sidecar.core.model import FOREVER, Block, Seat, Usage
from sync.store import blocks, tenants
from tests.storing import TESTER, Shop, at, months, per_unit, refused


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A parent with ten desks, a child below it and a grandchild, neither with orders."""
    shop = Shop(tmp_path / "store.db")
    shop.product(per_unit("fd", "fixed_desk"))
    shop.tenant("parent", edition="basic")
    shop.tenant("child", parent_id="parent")
    shop.tenant("grandchild", parent_id="child")
    shop.new("parent", {"fd": 10}, "2026-01-01", months(12))
    return shop


def change(shop: Shop, name: str, *args: Any, **kwargs: Any) -> set[str]:
    """Makes one change to tenants; returns whose records it altered."""
    before = shop.revision()
    with shop.store.writing(TESTER) as writing:
        getattr(blocks if "block" in name else tenants, name)(writing, *args, **kwargs)
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
        assert [t.id for t in tenants.list_tenants(conn)] == ["child", "grandchild", "parent"]
        assert [t.id for t in tenants.list_tenants(conn, after="child", limit=1)] == ["grandchild"]
        assert tenants.get_tenant(conn, "child").created_at == at("2026-01-01")
