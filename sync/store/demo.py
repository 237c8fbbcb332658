"""A small store to try things on: one tenant for each thing that can be so, relative to the instant it is filled at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from sidecar.core.model import DAY, FOREVER, MICROS, Basis, Instant, Period
from sync.store import schema
from sync.store.accounts import open_account
from sync.store.audit import By
from sync.store.blocks import block_tenant
from sync.store.catalogue import create_product
from sync.store.db import Store, Writing
from sync.store.orders import place_order
from sync.store.placing import Kind
from sync.store.products import Product, product_of
from sync.store.tenants import archive_tenant, create_tenant
from sync.store.terms import Term
from sync.store.usage import Absolute, SeatChange, Seats, change_usage

YEAR: Final = Period(months=12)


def _per_unit(product_id: str, key: str, name: str, *, trial_days: int = 0) -> Product:
    """A product that grants one space of a kind for each unit ordered; its trial, if any, grants twenty."""
    trial = {
        "trial": {"count": trial_days, "unit": "day"},
        "trial_license_template": [{"name": key, "amount": 20}],
    }
    return product_of(
        {
            "id": product_id,
            "name": name,
            "application_version": "1.0",
            "application_type": "space",
            "license_template": [{"name": key, "amount": 1, "amount_calculation": "per_qty"}],
        }
        | (trial if trial_days else {})
    )


PRODUCTS: Final = (
    _per_unit("fixed-desk", "fixed_desk", "Fixed desks"),
    _per_unit("shared-desk", "shared_desk", "Shared desks"),
    _per_unit("meeting-room", "meeting_room", "Meeting rooms"),
    _per_unit("desk-trial", "shared_desk", "Shared desks, two weeks on trial", trial_days=14),
    product_of(
        {
            "id": "layout-designer",
            "name": "Layout designer, by user",
            "application_type": "add-on",
            "license_template": [{"name": "layout_designer", "users": 1, "users_calculation": "per_qty"}],
        }
    ),
    product_of(
        {
            "id": "timesheet",
            "name": "Time sheets",
            "application_type": "add-on",
            "billing": "monthly",
            "features": [{"name": "timesheet", "type": "checkbox", "scope": "instance"}],
        }
    ),
)


@dataclass(frozen=True, slots=True)
class Desk:
    """The back office's desk while the demo is filled: the change on its way, and `now`."""

    writing: Writing
    now: Instant

    def ago(self, days: int) -> Instant:
        """So many days before now; negative: after."""
        return self.now - days * DAY

    def buy(self, tenant: str, products: Mapping[str, int], *, since: int, until: int | None = None) -> None:
        """A NEW order, placed by its first day: from `since` days ago for a year, or until `until` days ago."""
        start = self.ago(since)
        end = None if until is None else self.ago(until)
        term = Term(starts_at=start, length=YEAR if end is None else None, ends_at=end)
        placed = min(start, self.now)
        place_order(self.writing, tenant, Kind.NEW, products, now=placed, term=term, edition="basic")

    def use(self, tenant: str, **units: int) -> None:
        """What exists."""
        for key, count in units.items():
            change_usage(self.writing, tenant, key, Absolute(units=count))


def _acme(desk: Desk) -> None:
    desk.buy("acme", {"fixed-desk": 40, "shared-desk": 60, "meeting-room": 8}, since=100)
    desk.use("acme", fixed_desk=25, shared_desk=30, meeting_room=5)


def _acme_labs(desk: Desk) -> None:
    desk.use("acme-labs", fixed_desk=6, shared_desk=4)


def _globex(desk: Desk) -> None:
    place_order(desk.writing, "globex", Kind.NEW, {"desk-trial": 1}, now=desk.ago(5), trial=True, edition="trial")
    desk.use("globex", shared_desk=7)


def _initech(desk: Desk) -> None:
    desk.buy("initech", {"fixed-desk": 10, "meeting-room": 2}, since=60)
    desk.use("initech", fixed_desk=9, meeting_room=2)


def _umbrella(desk: Desk) -> None:
    desk.buy("umbrella", {"fixed-desk": 10, "meeting-room": 4}, since=400, until=35)
    fewer = {"fixed-desk": 8, "meeting-room": 4}
    place_order(desk.writing, "umbrella", Kind.RENEW, fewer, now=desk.ago(50), term=Term(length=YEAR))
    desk.use("umbrella", fixed_desk=10, meeting_room=3)


def _hooli(desk: Desk) -> None:
    desk.buy("hooli", {"shared-desk": 30}, since=385, until=20)
    desk.use("hooli", shared_desk=22)


def _soylent(desk: Desk) -> None:
    desk.buy("soylent", {"shared-desk": 30}, since=565, until=200)
    desk.use("soylent", shared_desk=12)


def _wonka(desk: Desk) -> None:
    desk.buy("wonka", {"fixed-desk": 20}, since=30)
    desk.use("wonka", fixed_desk=4)
    block_tenant(desk.writing, "wonka", "operator", starts_at=desk.ago(2))


def _by_balance(desk: Desk, tenant: str, deferral_days: int) -> None:
    forever = Term(ends_at=FOREVER)
    place_order(desk.writing, tenant, Kind.NEW, {"shared-desk": 25}, now=desk.ago(41), term=forever, edition="basic")
    desk.use(tenant, shared_desk=15)
    open_account(
        desk.writing,
        tenant,
        basis=Basis.MONEY,
        balance=100 * MICROS,
        now=desk.ago(41),
        charge=60 * MICROS,
        anchor=desk.ago(40),
        period=Period(months=1),
        deferral_days=deferral_days,
    )


def _stark(desk: Desk) -> None:
    _by_balance(desk, "stark", 3)


def _wayne(desk: Desk) -> None:
    _by_balance(desk, "wayne", 30)


def _vandelay(desk: Desk) -> None:
    forever = Term(ends_at=FOREVER)
    place_order(desk.writing, "vandelay", Kind.NEW, {"shared-desk": 10}, now=desk.ago(90), term=forever)
    desk.use("vandelay", shared_desk=3)
    open_account(desk.writing, "vandelay", basis=Basis.DAYS, balance=455 * MICROS, now=desk.ago(90), deferral_days=5)


def _drafthouse(desk: Desk) -> None:
    desk.buy("drafthouse", {"layout-designer": 2, "shared-desk": 15}, since=45)
    seated = tuple(SeatChange(user_id=user, held=True) for user in ("ada", "grace", "linus"))
    change_usage(desk.writing, "drafthouse", "layout_designer", Seats(changes=seated))
    desk.use("drafthouse", shared_desk=11)


def _tempo(desk: Desk) -> None:
    desk.buy("tempo", {"timesheet": 1, "shared-desk": 20}, since=10)
    desk.use("tempo", shared_desk=6)


def _oscorp(desk: Desk) -> None:
    desk.buy("oscorp", {"fixed-desk": 50}, since=-20)


def _tyrell(desk: Desk) -> None:
    desk.buy("tyrell", {"shared-desk": 30}, since=120)
    desk.use("tyrell", shared_desk=12)
    archive_tenant(desk.writing, "tyrell", now=desk.ago(1))


def _huaxia(desk: Desk) -> None:
    desk.buy("huaxia", {"fixed-desk": 100, "meeting-room": 10}, since=345, until=-20)
    desk.use("huaxia", fixed_desk=100, meeting_room=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A demo tenant: what it shows, and how it came to be so."""

    shows: str
    fill: Callable[[Desk], None]
    parent_id: str | None = None
    zone: str = "UTC"
    language: str = "en"
    tags: tuple[str, ...] = ()


EXAMPLES: Final[Mapping[str, Example]] = {
    "acme": Example(shows="active, room left", fill=_acme, zone="Europe/London", tags=("reference",)),
    "acme-labs": Example(shows="below acme, shares its pool", fill=_acme_labs, parent_id="acme", zone="Europe/London"),
    "globex": Example(shows="on trial", fill=_globex, zone="America/New_York"),
    "initech": Example(shows="near its quota", fill=_initech, zone="America/Chicago"),
    "umbrella": Example(shows="over quota after a smaller renewal", fill=_umbrella, zone="Europe/Berlin"),
    "hooli": Example(shows="in grace", fill=_hooli, zone="America/Los_Angeles"),
    "soylent": Example(shows="expired, grace over", fill=_soylent),
    "wonka": Example(shows="suspended by the operator", fill=_wonka),
    "stark": Example(shows="blocked by its balance", fill=_stark),
    "wayne": Example(shows="past due, not yet blocked", fill=_wayne),
    "vandelay": Example(shows="without end, billed in days", fill=_vandelay),
    "drafthouse": Example(shows="licenses by user, one seat too many", fill=_drafthouse),
    "tempo": Example(shows="a feature switched on", fill=_tempo),
    "oscorp": Example(shows="bought, begins in 20 days", fill=_oscorp),
    "tyrell": Example(shows="archived", fill=_tyrell),
    "huaxia": Example(
        shows="speaks Chinese, full, ends in 20 days", fill=_huaxia, zone="Asia/Shanghai", language="zh-CN"
    ),
}


def seed_demo(store: Store, now: Instant) -> Mapping[str, str]:
    """Fills the store with the demo's products and tenants, in one change; returns tenant to what it shows.

    A store that already has demo tenants is left as it is, and the answer is empty. Raises StoreError.
    """
    with store.writing(By(operator="demo", at=now)) as writing:
        if writing.conn.scalar(select(schema.tenant.c.id).where(schema.tenant.c.id.in_(EXAMPLES))):
            return {}
        for product in PRODUCTS:
            create_product(writing, product, now=now)
        for tenant_id, example in EXAMPLES.items():
            _fill(Desk(writing, now), tenant_id, example)
    return {tenant_id: example.shows for tenant_id, example in EXAMPLES.items()}


def _fill(desk: Desk, tenant_id: str, example: Example) -> None:
    create_tenant(
        desk.writing,
        tenant_id,
        now=desk.ago(600),
        parent_id=example.parent_id,
        zone=example.zone,
        language=example.language,
        tags=example.tags,
    )
    example.fill(desk)
