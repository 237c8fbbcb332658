"""Exports: what is on record, row by row, and what comes of importing it into an empty store."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from sidecar.core.errors import InvalidRequest
from sidecar.core.model import Basis, Record
from sync.store import schema
from sync.store.accounts import correct_balance, open_account, top_up
from sync.store.audit import By
from sync.store.bulk import seed_many
from sync.store.db import Store, Writing
from sync.store.demo import seed_demo
from sync.store.orders import void_order
from sync.store.payments import record_payment
from sync.store.plandoc import PlanTerms, Service
from sync.store.plans import archive_plan, create_plan
from sync.store.tenants import archive_tenant
from sync.transfer import sought
from sync.transfer.exporting import EXPORTS, export_to
from sync.transfer.formats import Format, Values, write_csv, write_json
from sync.transfer.importing import Import, Summary
from sync.transfer.kinds import KINDS
from sync.transfer.sheet import Sheet
from sync.transfer.sought import Sought
from tests.storing import Shop, at, for_a_while, months, on_every_database, refused, until

pytestmark = on_every_database

NOW = at("2026-07-14T09:30:00Z")
ALL = Sought()
DESK = {"id": "desk", "license_template": [{"name": "desk", "amount": 1, "amount_calculation": "per_qty"}]}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "store.db")


def exported(store: Store, kind: str, sought: Sought = ALL, form: Format = Format.CSV) -> str:
    out = io.StringIO(newline="")
    export_to(out, store, EXPORTS[kind], sought, form)
    return out.getvalue()


def rows(store: Store, kind: str, sought: Sought = ALL) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(exported(store, kind, sought), newline="")))


def values(store: Store, kind: str, sought: Sought = ALL) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(exported(store, kind, sought, Format.JSON))
    return found


def imported(store: Store, kind: str, text: str) -> Summary:
    made = Import(KINDS[kind], operator="o", now=NOW, clock=lambda: NOW)
    return made.into(store, Sheet(io.BytesIO(text.encode()), "f"))


def records(shop: Shop) -> dict[str, Record]:
    """Every tenant's record, without its revision."""
    t = schema.tenant
    with shop.store.reading() as conn:
        return {i: replace(shop.record(i), revision=1) for i in conn.scalars(select(t.c.id))}


def test_tenants_come_parents_first(shop: Shop) -> None:
    for name, parent in (("z", None), ("a", "z"), ("0", "a"), ("b", None)):
        shop.tenant(name, parent_id=parent, tags=["x", "y;z"] if name == "a" else ())
    assert [(row["tenant"], row["parent"]) for row in rows(shop.store, "tenants")] == [
        ("b", ""),
        ("z", ""),
        ("a", "z"),
        ("0", "a"),
    ]
    (a,) = rows(shop.store, "tenants", Sought(tenant="a"))
    assert (a["tags"], a["created_at"], a["archived_at"]) == ('["x", "y;z"]', "2026-01-01T00:00:00Z", "")
    assert values(shop.store, "tenants", Sought(tenant="a"))[0]["tags"] == ["x", "y;z"]


def test_seats_come_in_their_order_of_assignment_over_all_tenants(shop: Shop) -> None:
    shop.tenant("a")
    shop.tenant("b")
    shop.use("a", room=3)
    shop.seat("b", "k", "zoe")
    shop.seat("a", "k", "bob")
    shop.seat("b", "k", "amy")
    assert [tuple(row.values()) for row in rows(shop.store, "usage")] == [
        ("a", "room", "3", ""),
        ("b", "k", "", "zoe"),
        ("a", "k", "", "bob"),
        ("b", "k", "", "amy"),
    ]


def test_orders_come_a_line_a_row_with_their_terms_as_bought(shop: Shop) -> None:
    shop.product(DESK | {"trial": {"count": 14, "unit": "day"}})
    shop.product(DESK | {"id": "room"})
    shop.tenant("a", zone="Asia/Shanghai")
    shop.trial("a", {"desk": 1}, "2026-01-10")
    shop.new("a", {"desk": 2, "room": 3}, "2026-02-01", until("2026-07-01"), edition="basic")
    shop.upgrade("a", {"desk": 5}, "2026-03-01")
    shop.new("a", {"room": 1}, "2027-01-01", until("never"))
    found = rows(shop.store, "orders")
    assert [(row["order"], row["kind"], row["product"], row["quantity"], row["trial"]) for row in found] == [
        ("1", "NEW", "desk", "1", "yes"),
        ("2", "NEW", "desk", "2", ""),
        ("2", "NEW", "room", "3", ""),
        ("3", "UPGRADE", "desk", "5", ""),
        ("3", "UPGRADE", "room", "3", ""),
        ("4", "NEW", "room", "1", ""),
    ]
    assert [(row["starts"], row["ends"], row["perpetual"], row["until"]) for row in found] == [
        ("2026-01-10T00:00:00Z", "", "", "2026-01-24T00:00:00Z"),
        ("2026-02-01T00:00:00Z", "2026-07-01T00:00:00Z", "", "2026-03-01T00:00:00Z"),
        ("2026-02-01T00:00:00Z", "2026-07-01T00:00:00Z", "", "2026-03-01T00:00:00Z"),
        ("", "", "", "2026-07-01T00:00:00Z"),
        ("", "", "", "2026-07-01T00:00:00Z"),
        ("2027-01-01T00:00:00Z", "", "yes", ""),
    ]
    assert [row["edition"] for row in found] == ["", "basic", "basic", "", "", ""]
    assert values(shop.store, "orders")[0]["until"] == "2026-01-24T00:00:00Z"


def test_an_order_without_lines_has_a_row(shop: Shop) -> None:
    shop.product(DESK)
    shop.tenant("a")
    shop.new("a", {"desk": 1}, "2026-01-01", months(12))
    with changing(shop) as writing:
        void_order(writing, 1, now=NOW)
    first, last = rows(shop.store, "orders")
    assert (last["order"], last["kind"], last["product"], last["voids"]) == ("2", "VOID", "", "1")
    assert first["until"] == last["void_at"] == "2026-07-14T09:30:00Z"


def changing(shop: Shop) -> AbstractContextManager[Writing]:
    return shop.store.writing(By(operator="o", at=NOW))


def test_amounts_are_numbers_in_csv_and_exact_texts_in_json(shop: Shop) -> None:
    shop.product(DESK)
    shop.tenant("a")
    shop.new("a", {"desk": 1}, "2026-01-01", months(12))
    with changing(shop) as writing:
        record_payment(writing, 1, 10**18, now=NOW, paid_on="2026-01-02", reference="-7", note="=1+1")
        record_payment(writing, 1, -1, now=NOW, corrects=1, note="=1+1")
    first, second = rows(shop.store, "payments")
    assert (first["amount"], first["reference"], first["note"]) == ("1000000000000", "'-7", "'=1+1")
    assert (second["amount"], second["corrects"]) == ("-0.000001", "1")
    said = values(shop.store, "payments")[1]
    assert (said["amount"], said["corrects"], said["note"]) == ("-0.000001", 1, "=1+1")


def test_the_ledger_has_every_movement(shop: Shop) -> None:
    shop.tenant("a")
    with changing(shop) as writing:
        open_account(writing, "a", basis=Basis.DAYS, balance=5_000_000, now=NOW)
        top_up(writing, "a", 1_500_000, now=NOW, reference="=A1")
        correct_balance(writing, "a", -7_000_000, now=NOW, reason="mistaken")
    found = rows(shop.store, "ledger")
    assert [(row["amount"], row["balance"], row["basis"], row["reference"]) for row in found] == [
        ("5", "5", "days", ""),
        ("1.5", "6.5", "days", "'=A1"),
        ("-7", "-0.5", "days", "mistaken"),
    ]


def test_the_audit_trail_has_before_and_after(shop: Shop) -> None:
    shop.tenant("a")
    (entry,) = values(shop.store, "audit")
    assert (entry["action"], entry["tenant"], entry["before"], entry["erased"]) == ("tenant.create", "a", None, False)
    assert entry["after"]["zone"] == "UTC"
    (row,) = rows(shop.store, "audit")
    assert (row["before"], json.loads(row["after"])) == ("", entry["after"])
    with changing(shop) as writing:
        writing.conn.execute(schema.audit.update().values(details=None))
    assert values(shop.store, "audit")[0]["erased"] is True


def test_products_and_plans_are_documents(shop: Shop) -> None:
    shop.product(DESK | {"name": "Desks"})
    (product,) = values(shop.store, "products")
    assert (product["product"], product["version"], product["name"]) == ("desk", 1, "Desks")
    assert product["document"]["license_template"] == DESK["license_template"]
    shop.tenant("a")
    with changing(shop) as writing:
        terms = PlanTerms(services=(Service(product="desk", quantity=3),))
        for name, owner in (("mine", "a"), ("ours", None)):
            create_plan(writing, name, name=name, terms=terms, now=NOW, owner_id=owner)
        archive_plan(writing, "ours", now=NOW)
    assert [(p["plan"], p["owner"], p["version"], p["archived_at"]) for p in values(shop.store, "plans")] == [
        ("mine", "a", 1, None),
        ("ours", None, 2, "2026-07-14T09:30:00Z"),
    ]
    assert values(shop.store, "plans")[0]["document"] == {"services": [{"product": "desk", "quantity": 3}]}
    assert [p["plan"] for p in values(shop.store, "plans", Sought(tenant="a"))] == ["mine"]
    assert [p["plan"] for p in values(shop.store, "plans", Sought(open=True))] == ["mine", "ours"]


@pytest.mark.parametrize("kind", list(EXPORTS))
def test_an_empty_store_exports_a_header_and_an_empty_array(shop: Shop, kind: str) -> None:
    assert exported(shop.store, kind).split("\r\n") == [",".join(EXPORTS[kind].columns), ""]
    assert exported(shop.store, kind, form=Format.JSON) == "[]\n"


@pytest.mark.parametrize("kind", list(EXPORTS))
def test_every_export_says_in_json_what_it_says_in_csv(shop: Shop, kind: str) -> None:
    seed_demo(shop.store, NOW)
    found, said = rows(shop.store, kind), values(shop.store, kind)
    assert [list(each) for each in said] == [list(each) for each in found] == [list(EXPORTS[kind].columns)] * len(said)
    for row, each in zip(found, said, strict=True):
        plain = {name: value for name, value in each.items() if isinstance(value, str | int) and value is not True}
        assert {name: row[name] for name in plain} == {n: str(v) if v is not False else "" for n, v in plain.items()}


def test_a_time_is_half_open(shop: Shop) -> None:
    shop.tenant("a")
    for day in ("2026-02-01", "2026-02-02", "2026-02-03"):
        shop.product(DESK | {"id": day})
        shop.new("a", {day: 1}, day, months(1))
    sought = Sought(since=at("2026-02-01T00:00:01Z"), until=at("2026-02-03"))
    assert [row["order"] for row in rows(shop.store, "orders", sought)] == ["2"]


@pytest.mark.parametrize("kind", ["tenants", "usage", "orders"])
def test_archived_tenants_may_be_left_out(shop: Shop, kind: str) -> None:
    shop.product(DESK)
    for name in ("a", "b"):
        shop.tenant(name)
        shop.use(name, desk=1)
        shop.new(name, {"desk": 1}, "2026-01-01", months(12))
    with changing(shop) as writing:
        archive_tenant(writing, "a", now=NOW)
    assert {row["tenant"] for row in rows(shop.store, kind)} == {"a", "b"}
    assert {row["tenant"] for row in rows(shop.store, kind, Sought(open=True))} == {"b"}


@pytest.mark.parametrize(
    ("kind", "narrowed", "field"),
    [
        ("usage", Sought(since=0), "since"),
        ("usage", Sought(until=0), "until"),
        ("products", Sought(tenant="a"), "tenant"),
        ("products", Sought(open=True), "open"),
    ],
)
def test_what_an_export_cannot_be_narrowed_by_is_told_before_anything_is_written(
    shop: Shop, kind: str, narrowed: Sought, field: str
) -> None:
    shop.tenant("a")
    out = io.StringIO()
    with pytest.raises(InvalidRequest, match=f"^{field}: "):
        export_to(out, shop.store, EXPORTS[kind], narrowed, Format.CSV)
    assert out.getvalue() == ""


def test_the_tenant_sought_must_be_known(shop: Shop) -> None:
    with refused("UNKNOWN_TENANT"):
        exported(shop.store, "usage", Sought(tenant="nobody"))


def test_an_export_is_one_view_whatever_others_write_meanwhile(shop: Shop) -> None:
    seed_many(shop.store, 3000, NOW)

    class Meddling(io.StringIO):
        def write(self, text: str) -> int:
            if text.startswith("t000000"):
                shop.use("t002999", late=1)
                shop.tenant("zzz")
            return super().write(text)

    out = Meddling(newline="")
    export_to(out, shop.store, EXPORTS["tenants"], ALL, Format.CSV)
    assert len(out.getvalue().splitlines()) == 3001
    assert "zzz" not in out.getvalue()
    assert rows(shop.store, "tenants")[-1]["tenant"] != ""
    assert len(rows(shop.store, "tenants")) == 3001


class Nowhere:
    """Takes text, and forgets it."""

    def write(self, text: str) -> None:
        pass


def test_memory_does_not_grow_with_what_is_exported() -> None:
    def many(count: int) -> Iterator[Values]:
        yield from ({"name": "x" * 200, "n": n} for n in range(count))

    for write in (write_csv, write_json):
        tracemalloc.start()
        write(Nowhere(), ("name", "n"), frozenset(), many(20_000))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 200_000


def test_rows_are_read_page_by_page(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in memory at once is a page, not all: so smaller pages take less of it."""
    seed_many(shop.store, 1500, NOW)
    with changing(shop) as writing:
        for n in range(3000):
            writing.audit("a.b", f"c:{n}", after={"text": "x" * 300})
    for kind in ("tenants", "usage", "orders", "audit"):
        peaks = []
        for size in (50, 10_000):
            monkeypatch.setattr(sought, "PAGE", size)
            tracemalloc.start()
            export_to(Nowhere(), shop.store, EXPORTS[kind], ALL, Format.JSON)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert 3 * peaks[0] < peaks[1], kind


def copied(shop: Shop, folder: Path, sought: Sought = ALL) -> Shop:
    """An empty store into which tenants and usage were exported and imported."""
    other = Shop(folder / "other.db")
    for kind in ("tenants", "usage"):
        assert imported(other.store, kind, exported(shop.store, kind, sought)).bad == 0, kind
    return other


def test_demo_tenants_and_their_usage_come_back_equal(shop: Shop, tmp_path: Path) -> None:
    seed_demo(shop.store, NOW)
    openly = Sought(open=True)
    other = copied(shop, tmp_path, openly)
    assert len(rows(other.store, "tenants")) > 10
    created = {"created_at": "2026-07-14T09:30:00Z"}
    assert rows(other.store, "tenants") == [row | created for row in rows(shop.store, "tenants", openly)]
    assert rows(other.store, "usage") == rows(shop.store, "usage", openly)


names = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=6)
labels = st.lists(names | st.sampled_from(["=1", "a;b", "[x", "'q", "two words", "-"]), max_size=3, unique=True)
odd = st.sampled_from([" ", "=u", "\n", "\t"])
users = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=4) | odd


mail = st.sampled_from(["a@x.org", "b-c@y.example", '"d;e"@x.org', "=f@x.org"])
addresses = st.lists(mail, max_size=3, unique=True)


@st.composite
def companies(draw: st.DrawFn) -> tuple[dict[str, dict[str, Any]], list[tuple[str, str, Any]]]:
    """Tenants in a forest, and what they use."""
    ids = draw(st.lists(names | st.sampled_from(["=x", "'-", "a,b", 'q"']), min_size=1, max_size=6, unique=True))
    forest = {
        tenant: {
            "parent_id": draw(st.sampled_from([None, *ids[:n]])),
            "name": draw(st.just("") | names | st.sampled_from(["+1", 'a "b", c'])),
            "contacts": draw(addresses),
            "tags": draw(labels),
            "zone": draw(st.sampled_from(["UTC", "Asia/Shanghai"])),
            "edition": draw(st.sampled_from([None, "basic"])),
        }
        for n, tenant in enumerate(ids)
    }
    used = st.tuples(st.sampled_from(ids), users, st.integers(0, 9) | users)
    return forest, draw(st.lists(used, max_size=8))


@settings(max_examples=40, deadline=None)
@given(companies())
def test_tenants_and_usage_come_back_equal_whatever_their_names(company: tuple[Any, Any]) -> None:
    forest, used = company
    with for_a_while() as folder:
        shop = Shop(folder / "store.db")
        for tenant, fields in forest.items():
            shop.tenant(tenant, **fields)
        for tenant, key, what in used:
            if isinstance(what, int):
                shop.use(tenant, **{key: what})
            else:
                shop.seat(tenant, key, what)
        other = copied(shop, folder)
        assert records(other) == records(shop)
        created = {"created_at": "2026-07-14T09:30:00Z"}
        assert rows(other.store, "tenants") == [row | created for row in rows(shop.store, "tenants")]


def test_new_orders_come_back_equal(shop: Shop, tmp_path: Path) -> None:
    """With their terms, trials and editions; the products are there already."""
    other = Shop(tmp_path / "other.db")
    for each in (shop, other):
        each.product(DESK | {"trial": {"count": 1, "unit": "month"}})
        each.product(DESK | {"id": "room", "features": [{"name": "f"}]})
    shop.tenant("a", zone="Asia/Shanghai")
    shop.tenant("b", zone="America/New_York")
    shop.trial("a", {"desk": 1}, "2026-01-31")
    shop.new("b", {"room": 3, "desk": 4}, "2026-01-31T10:00:00Z", months(13), edition="basic")
    shop.new("a", {"desk": 2}, "2026-02-10", until("2027-01-01", "2026-02-20"))
    shop.new("a", {"room": 2}, "2026-02-11", until("never"))
    for kind in ("tenants", "orders"):
        assert imported(other.store, kind, exported(shop.store, kind)).bad == 0
    assert records(other) == records(shop)
    assert rows(other.store, "orders") == [row | {"operator": "o"} for row in rows(shop.store, "orders")]
    again = other.revision()
    assert imported(other.store, "orders", exported(shop.store, "orders")).revision == again


def test_what_cannot_be_imported_is_told(shop: Shop, tmp_path: Path) -> None:
    """An archived tenant, what it used, and a VOID: each by its row, and all else is taken."""
    shop.product(DESK)
    for name in ("a", "b"):
        shop.tenant(name)
        shop.use(name, desk=1)
    shop.new("b", {"desk": 1}, "2026-01-01", months(12))
    with changing(shop) as writing:
        void_order(writing, 1, now=NOW)
        archive_tenant(writing, "a", now=NOW)
    other = Shop(tmp_path / "other.db")
    other.product(DESK)
    assert [imported(other.store, kind, exported(shop.store, kind)).bad for kind in KINDS] == [1, 1, 1]
    assert [row["tenant"] for row in rows(other.store, "tenants")] == ["b"]
