"""Tenants, products, editions, usage, operators, audit and notices through the back office: what is said is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar._gen.desking.entitlements.v1.authorization_pb2 import SeatChange, SeatChanges
from sidecar._gen.desking.entitlements.v1.entitlement_pb2 import Limit
from sidecar.core.errors import InvalidRequest
from sync.backoffice.desk import Desk
from sync.store.db import Store, open_store
from sync.store.operators import Role
from tests.desks import ask, desks, furnished, valid
from tests.storing import TESTER, at, on_every_database, refused, stored

pytestmark = on_every_database

VALID = valid()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(stored(tmp_path / "store.db", furnished))


@pytest.fixture(params=["here", "over grpc"])
def desk(request: pytest.FixtureRequest, store: Store) -> Iterator[Desk]:
    with desks(store, remote=request.param == "over grpc") as desk_for:
        yield desk_for(Role.ADMIN)


def stamp(text: str) -> Timestamp:
    return Timestamp(seconds=at(text) // 1_000_000)


def ids(answer: Any) -> list[Any]:
    field = next(field for field in answer.DESCRIPTOR.fields if field.is_repeated)
    return [getattr(each, "id", None) or each.name for each in getattr(answer, field.name)]


def test_a_tenant_is_as_it_was_stated(desk: Desk) -> None:
    stated = VALID["CreateTenant"]
    made = desk.call("CreateTenant", stated).tenant
    assert (made.id, made.name, made.parent_id, made.zone, made.language) == (
        ("new", "New Ltd.", "acme", "Europe/Berlin", "de")
    )
    assert (list(made.tags), made.edition, list(made.contacts), made.version) == (
        (["eu", "trial"], "basic", ["new@example.com"], 1)
    )
    found = ask(desk, "GetTenant", id="new")
    assert found.tenant == made
    assert (found.record.tenant_id, found.record.holder_id, found.plan_id) == ("new", "acme", "")


def test_an_update_changes_what_is_given_and_nothing_else(desk: Desk) -> None:
    before = ask(desk, "GetTenant", id="acme").tenant
    after = ask(desk, "UpdateTenant", id="acme", name="Acme").tenant
    assert (after.name, after.version) == ("Acme", before.version + 1)
    after.name, after.version = before.name, before.version
    assert after == before
    emptied = ask(desk, "UpdateTenant", id="acme", edition="", tags=pb.Texts(), contacts=pb.Texts(), language="")
    assert (emptied.tenant.edition, list(emptied.tenant.tags), list(emptied.tenant.contacts)) == ("", [], [])
    assert emptied.tenant.zone == "Asia/Shanghai"


def test_a_tenant_is_archived_restored_and_erased_when_its_retention_is_over(desk: Desk) -> None:
    archived = ask(desk, "ArchiveTenant", id="acme", at=stamp("2026-03-01")).tenant
    assert (archived.archived_at, archived.erase_after) == (stamp("2026-03-01"), stamp("2027-03-01"))
    with refused("TENANT_ARCHIVED"):
        ask(desk, "OpenAccount", tenant_id="acme", basis=2, balance="1")
    with refused("RETENTION_RUNNING"):
        ask(desk, "EraseTenant", id="acme", at=stamp("2027-02-28"))
    restored = ask(desk, "RestoreTenant", id="acme").tenant
    assert not (restored.HasField("archived_at"))
    assert not (restored.HasField("erase_after"))
    ask(desk, "ArchiveTenant", id="acme", at=stamp("2026-03-01"), retention_days=0)
    erased = ask(desk, "EraseTenant", id="acme", at=stamp("2026-03-02")).tenant
    assert erased.erased_at == stamp("2026-03-02")
    assert (list(erased.contacts), list(erased.tags)) == ([], [])
    *before, last = ask(desk, "ListAuditEntries", tenant_id="acme").entries
    assert {(e.before_json, e.after_json) for e in before} == {("", "")}
    assert (last.action, last.operator) == ("tenant.erase", "admin")
    assert ask(desk, "VerifyAudit").intact
    with refused("TENANT_ERASED"):
        ask(desk, "RestoreTenant", id="acme")


def test_dates_are_read_in_the_tenants_zone_and_ends_are_inclusive(desk: Desk) -> None:
    """domain.md 8, case 25, of a block."""
    fields = {"tenant_id": "acme", "name": "legal", "starts": "2026-06-30", "ends": "2026-06-30", "cascade": True}
    block = ask(desk, "BlockTenant", **fields).block
    assert (block.starts_at, block.ends_at) == (stamp("2026-06-29T16:00:00Z"), stamp("2026-06-30T16:00:00Z"))
    exact = ask(desk, "BlockTenant", **fields | {"ends": "2026-06-30T12:00:00Z"}).block
    assert exact.ends_at == stamp("2026-06-30T12:00:00Z")
    shown = ask(desk, "GetTenant", id="acme")
    assert [(b.name, b.cascade) for b in shown.blocks] == [("fraud", False), ("legal", True)]
    assert {b.name for b in ask(desk, "GetTenant", id="child").record.blocks} == {"legal"}
    ask(desk, "UnblockTenant", tenant_id="acme", name="fraud")
    assert [b.name for b in ask(desk, "GetTenant", id="acme").blocks] == ["legal"]
    with pytest.raises(InvalidRequest, match=r"^ends: "):
        ask(desk, "BlockTenant", **fields | {"ends": "2026-06-29"})


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["acme", "beta", "child", "delta", "gamma", "gone"]),
        ({"parent_id": "acme"}, ["child"]),
        ({"tag": "vip"}, ["acme"]),
        ({"tag": "VIP"}, []),
        ({"tag": "vi"}, []),
        ({"tag": '"'}, []),
        ({"edition": "basic"}, ["acme"]),
        ({"archived": True}, ["gone"]),
        ({"archived": False, "text": "T"}, ["beta", "delta"]),
        ({"text": "%"}, []),
        ({"text": "amm"}, ["gamma"]),
        ({"page_size": 2}, ["acme", "beta"]),
        ({"page_token": "delta"}, ["gamma", "gone"]),
    ],
)
def test_tenants_are_sought(desk: Desk, filters: dict[str, Any], found: list[str]) -> None:
    answer = ask(desk, "ListTenants", **filters)
    assert ids(answer) == found
    assert answer.next_page_token == ("beta" if "page_size" in filters else "")


def test_a_product_is_as_it_was_stated_and_an_update_replaces_it(desk: Desk) -> None:
    stated = VALID["CreateProduct"].product
    made = desk.call("CreateProduct", VALID["CreateProduct"]).product
    assert made.version == 1
    made.version = 0
    assert made.trial == stated.trial
    assert made == stated
    less = pb.Product(id="suite", features=["timesheet"])
    updated = ask(desk, "UpdateProduct", product=less).product
    assert (updated.version, updated.application, updated.billing) == (2, "desking", pb.BILLING_ANNUAL)
    assert not (updated.license_template)
    assert not (updated.HasField("trial"))
    assert not (updated.name)
    assert ask(desk, "GetProduct", id="suite").product == updated
    assert ids(ask(desk, "ListProducts", key="timesheet")) == ["fixed_desk-sku", "suite"]
    assert ids(ask(desk, "ListProducts", key="meeting_room")) == ["meeting_room-sku"]


@pytest.mark.parametrize(
    ("product", "field"),
    [
        (pb.Product(id="x"), "product"),
        (pb.Product(id="x", features=["a", ""]), "product.features[1]"),
        (pb.Product(id="x", features=["a"], trial=pb.Length(count=0, unit=pb.LENGTH_UNIT_DAY)), "product.trial.count"),
        (pb.Product(id="x", features=["a"], trial=pb.Length(count=1)), "product.trial.unit"),
        (pb.Product(id="x", features=["a"], trial_license_template=[pb.TemplateEntry(name="a")]), "product"),
        (pb.Product(id="x", license_template=[pb.TemplateEntry(name="")]), "product.license_template[0].name"),
        (
            pb.Product(id="x", license_template=[pb.TemplateEntry(name="a", users=Limit(count=-1))]),
            "product.license_template[0].users",
        ),
        (
            pb.Product(id="x", license_template=[pb.TemplateEntry(name="a", amount=Limit())]),
            "product.license_template[0].amount",
        ),
        (pb.Product(id="x", features=["a"], billing=9), "product.billing"),
    ],
)
def test_what_is_wrong_with_a_product_is_named(desk: Desk, product: pb.Product, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ask(desk, "CreateProduct", product=product)
    assert caught.value.field == field


def test_an_edition_has_its_cap_and_its_whole_price_list(desk: Desk) -> None:
    made = desk.call("PutEdition", VALID["PutEdition"]).edition
    assert made == VALID["PutEdition"].edition
    assert ids(ask(desk, "ListEditions")) == ["advanced", "basic", "flagship", "tiny", "trial"]
    ask(desk, "PutEdition", edition=pb.Edition(name="tiny", cap=0))
    assert ask(desk, "ListEditions", page_token="flagship", page_size=1).editions == [pb.Edition(name="tiny", cap=0)]


def test_usage_is_stated_and_seats_keep_their_order(desk: Desk) -> None:
    def seats(*changes: tuple[str, bool]) -> list[str]:
        stated = SeatChanges(changes=[SeatChange(user_id=user, held=held) for user, held in changes])
        return list(ask(desk, "ChangeUsage", tenant_id="beta", key="designer", seats=stated).usage.seats)

    assert seats(("u2", True), ("u1", True)) == ["u2", "u1"]
    assert seats(("u2", True), ("u3", True)) == ["u2", "u1", "u3"]
    assert seats(("u2", False), ("u2", True)) == ["u1", "u3", "u2"]
    assert ask(desk, "ChangeUsage", tenant_id="acme", key="fixed_desk", delta=-3).usage.units == 0
    with refused("USAGE_BELOW_ZERO"):
        ask(desk, "ChangeUsage", tenant_id="acme", key="fixed_desk", delta=-1)
    with pytest.raises(InvalidRequest, match=r"^delta: one of delta, absolute and seats"):
        ask(desk, "ChangeUsage", tenant_id="acme", key="fixed_desk")


def test_a_count_is_held_against_the_record_and_taken_over(desk: Desk) -> None:
    counts = [pb.UsageCount(key="designer", units=1, seats=["u1", "u2"])]
    fields = {"tenant_id": "acme", "counts": counts, "complete": True}
    differences = [
        pb.UsageDifference(key="designer", units_after=1, seats_added=["u1", "u2"]),
        pb.UsageDifference(key="fixed_desk", units_before=3),
    ]
    assert ask(desk, "ReconcileUsage", **fields, dry_run=True, idempotency_key="").differences == differences
    assert ask(desk, "ReconcileUsage", **fields).differences == differences
    assert not ask(desk, "ReconcileUsage", **fields).differences
    usage = {each.key: (each.units, list(each.seats)) for each in ask(desk, "GetUsage", tenant_id="acme").usage}
    assert usage["designer"] == (1, ["u1", "u2"])
    assert usage.get("fixed_desk", (0, [])) == (0, [])


def test_operators_come_and_go(desk: Desk) -> None:
    made = ask(desk, "AddOperator", name="cem", role=pb.OPERATOR_ROLE_OPERATOR)
    assert (made.operator.name, made.operator.role, len(made.token)) == ("cem", pb.OPERATOR_ROLE_OPERATOR, 43)
    assert ask(desk, "RotateOperatorToken", name="cem").token not in ("", made.token)
    assert ask(desk, "SetOperatorRole", name="cem", role=1).operator.role == pb.OPERATOR_ROLE_VIEWER
    assert ask(desk, "DisableOperator", name="cem", at=stamp("2026-02-01")).operator.disabled_at == stamp("2026-02-01")
    assert not ask(desk, "EnableOperator", name="cem").operator.HasField("disabled_at")
    assert {"bob", "cem", "eve"} <= set(ids(ask(desk, "ListOperators")))


def test_the_trail_tells_who_did_what_before_and_after(desk: Desk) -> None:
    ask(desk, "UpdateTenant", id="acme", name="Acme", idempotency_key="k7")
    (entry,) = ask(desk, "ListAuditEntries", subject="tenant:acme", action="tenant.update").entries
    assert (entry.operator, entry.tenant_id, entry.idempotency_key) == ("admin", "acme", "k7")
    assert (json.loads(entry.before_json)["name"], json.loads(entry.after_json)["name"]) == ("", "Acme")
    verified = ask(desk, "VerifyAudit")
    assert (verified.intact, verified.entries, verified.head) == (True, entry.seq, entry.hash)


def test_a_trail_that_was_altered_is_told(desk: Desk, store: Store) -> None:
    with store.writing(TESTER) as writing:
        writing.conn.exec_driver_sql("UPDATE audit SET operator = 'nobody' WHERE seq = 3")
    found = ask(desk, "VerifyAudit")
    assert (found.intact, found.entries, found.fault_at) == (False, 2, 3)
    assert "entry 3" in found.fault


def test_a_notice_that_failed_is_tried_again(desk: Desk) -> None:
    with pytest.raises(InvalidRequest, match="state: 'lost' is none of pending, sent, failed, cancelled"):
        ask(desk, "ListNotices", state="lost")
    with refused("UNKNOWN_TENANT"):
        ask(desk, "ListNotices", tenant_id="nobody")
    (failed,) = ask(desk, "ListNotices", state="failed").notices
    assert (failed.kind, failed.error, list(failed.recipients)) == ("ended", "550 no such user", ["ann@acme.example"])
    assert not failed.HasField("next_attempt_at")
    again = ask(desk, "RetryNotice", id=failed.id).notice
    assert (again.state, again.attempts, again.message_id) == ("pending", 0, failed.message_id)
    assert again.HasField("next_attempt_at")
    with refused("NOTICE_NOT_FAILED"):
        ask(desk, "RetryNotice", id=failed.id)
    assert [n.kind for n in ask(desk, "ListNotices", tenant_id="acme").notices] == ["payment_recorded", "ended"]
