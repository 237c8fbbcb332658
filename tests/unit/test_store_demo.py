"""The demo shows what it says, and the synthetic tenants are what measuring needs."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from sidecar import records
from sidecar.core.calendar import add_period, zone_of
from sidecar.core.model import Instant, Period, Record, Standing
from sidecar.core.standing import outlook
from sync.store import schema
from sync.store.bulk import SHAPES, seed_many
from sync.store.demo import EXAMPLES, seed_demo
from sync.store.entitlements import project
from tests.storing import Shop, at, on_every_database, refused

pytestmark = on_every_database

NOW = at("2026-07-14T09:30:00Z")


@pytest.fixture(scope="module")
def shop(each_place: str, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = Shop(tmp_path_factory.mktemp("demo") / "store.db")
    assert seed_demo(shop.store, NOW).keys() == EXAMPLES.keys()
    return shop


def limit(record: Record, key: str, now: Instant = NOW) -> int:
    found = [g.amount for g in record.grants if g.key == key and g.starts_at <= now < g.ends_at]
    return sum(amount for amount in found if isinstance(amount, int))


def last_end(record: Record) -> Instant:
    return max(g.ends_at for g in record.grants)


def standing(record: Record) -> Standing:
    return outlook(record.account, zone_of(record.zone)).at(NOW)


def test_acme_has_room_and_shares_its_pool(shop: Shop) -> None:
    acme, labs = shop.record("acme"), shop.record("acme-labs")
    assert (acme.edition, limit(acme, "fixed_desk"), acme.usage["fixed_desk"].units) == ("basic", 40, 31)
    assert {g.key for g in acme.grants} == {"fixed_desk", "shared_desk", "meeting_room"}
    assert labs.holder_id == "acme"


def test_terms_are_where_the_demo_says(shop: Shop) -> None:
    grace = Period(months=3)
    assert all(g.trial and g.starts_at <= NOW < g.ends_at for g in shop.record("globex").grants)
    hooli, soylent = last_end(shop.record("hooli")), last_end(shop.record("soylent"))
    assert hooli <= NOW < add_period(hooli, grace, zone_of("America/Los_Angeles"))
    assert add_period(soylent, grace, zone_of("UTC")) <= NOW
    assert all(g.starts_at > NOW for g in shop.record("oscorp").grants)
    assert last_end(shop.record("vandelay")) == 2**63 - 1


def test_quotas_are_where_the_demo_says(shop: Shop) -> None:
    used = {name: shop.record(name).usage["fixed_desk"].units for name in ("initech", "umbrella", "huaxia")}
    limits = {name: limit(shop.record(name), "fixed_desk") for name in used}
    assert (used, limits) == (
        {"initech": 9, "umbrella": 10, "huaxia": 100},
        {"initech": 10, "umbrella": 8, "huaxia": 100},
    )
    assert len(shop.record("drafthouse").usage["layout_designer"].seats) == 3


def test_states_are_what_the_demo_says(shop: Shop) -> None:
    assert [standing(shop.record(name)) for name in ("stark", "wayne", "vandelay", "acme")] == [
        Standing.BLOCKED,
        Standing.PAST_DUE,
        Standing.GOOD,
        Standing.GOOD,
    ]
    assert [b.name for b in shop.record("wonka").blocks] == ["operator"]
    assert shop.record("tyrell").archived
    assert (shop.record("huaxia").zone, shop.record("huaxia").language) == ("Asia/Shanghai", "zh-CN")
    assert any(g.key == "timesheet" for g in shop.record("tempo").grants)


def test_seeding_again_changes_nothing(shop: Shop) -> None:
    before = shop.store.status()
    assert seed_demo(shop.store, NOW + 1) == {}
    assert shop.store.status() == before


def test_synthetic_tenants_are_the_same_for_the_same_seed_and_of_every_shape(tmp_path: Path) -> None:
    shops = [Shop(tmp_path / f"{n}.db") for n in (1, 2)]
    made = [seed_many(shop.store, 800, NOW, seed=7) for shop in shops]
    assert made[0] == made[1]
    assert made[0].keys() == SHAPES.keys()
    assert sum(len(ids) for ids in made[0].values()) == shops[0].store.status().tenants == 800
    ids = sorted(i for group in made[0].values() for i in group)
    assert [shops[0].record(i) for i in ids[:50]] == [shops[1].record(i) for i in ids[:50]]
    with shops[0].store.reading() as conn:
        e = schema.entitlement
        held = {row.tenant_id: records.decode(row.record) for row in conn.execute(select(e))}
        assert held == {record.tenant_id: record for record in project(conn, ids, shops[0].revision())}
    assert all(held[i].holder_id for i in made[0]["child"][1:])
    assert all(held[i].archived for i in made[0]["archived"])
    assert all(last_end(held[i]) <= NOW for i in made[0]["grace"] + made[0]["expired"])
    assert all(min(g.starts_at for g in held[i].grants) > NOW for i in made[0]["pending"])
    assert {standing(held[i]) for i in made[0]["blocked"]} == {Standing.BLOCKED}
    assert {standing(held[i]) for i in made[0]["owing"]} == {Standing.PAST_DUE}


def test_synthetic_tenants_join_others_under_another_prefix(shop: Shop) -> None:
    seed_many(shop.store, 3, NOW, prefix="more-")
    with refused("TENANT_EXISTS"):
        seed_many(shop.store, 3, NOW, prefix="more-")
