"""Random operations for a back office, each made for what the model has come to: plain values, the same for a seed.

Instants mostly rise. They like to fall on, just before and just after whatever changes at a tenant (terms, grace,
blocks, charges), on local midnights, months' ends and days on which a zone's clock does something odd.
"""

from __future__ import annotations

import random
from datetime import datetime, time, timedelta
from typing import Any

from tests import oracle
from tests.model import records
from tests.model.grants import UNLIMITED, desks_at, own_grants
from tests.model.state import Office, Plain
from tests.oracle import DAY, HOUR
from tests.strategies import ODD_DAYS, ZONES

TENANTS = ("acme", "branch", "corner", "depot")
PRODUCTS = ("desks", "mixed", "rooms", "seats")
PLANS = ("bronze", "silver", "gold")
KEYS = ("fixed_desk", "shared_desk", "meeting_room", "layout_designer", "projects")
USERS = ("u1", "u2", "u3")
BLOCKERS = ("operator", "fraud", "legal")
EDITIONS = ("trial", "basic", "small", "large")
UNIT = 1_000_000
EARLIEST, LATEST = 1_262_304_000 * UNIT, 2_208_988_800 * UNIT  # 2010 and 2040


class Author:
    """Writes the next operation, by chance, for an office as it is."""

    def __init__(self, rng: random.Random, office: Office) -> None:
        self.rng = rng
        self.office = office
        self.zone = rng.choice(ZONES)
        odd = datetime.fromisoformat(rng.choice(ODD_DAYS[self.zone]))
        some = datetime(rng.randint(2014, 2030), rng.randint(1, 12), rng.choice([1, 15, 28]))  # noqa: DTZ001 - a wall time
        center = odd if odd.year > 2010 and rng.random() < 0.6 else some
        start = center - timedelta(days=rng.choice([0, 1, 3, 20, 45]))
        self.now = oracle.local_to_instant(datetime.combine(start.date(), time.min), self.zone)

    # --- chances ---

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def one(self, among: Any) -> Any:
        return self.rng.choice(list(among))

    def tenant(self) -> str:
        if not self.office.tenants or self.chance(0.01):
            return "nobody"
        return str(self.one(self.office.tenants))

    def product(self) -> str:
        return "nothing" if self.chance(0.01) else str(self.one(self.office.products))

    def quantity(self) -> int:
        return int(self.one([1, 1, 2, 3, 4, 5, 8, 10, 12]))

    def zone_of(self, tenant: str) -> str:
        return self.office.tenants[tenant].zone if tenant in self.office.tenants else self.zone

    def version(self) -> Plain:
        """That of what is to be changed: not stated, as it is, or as it is no more."""
        return self.one([{}, {}, {"version": "current"}, {"version": "stale"}])  # type: ignore[no-any-return]

    # --- instants ---

    def edges(self, tenant: str) -> list[int]:
        if tenant not in self.office.tenants:
            return []
        return [e for e in oracle.boundaries(records.record(self.office, tenant)) if EARLIEST < e < LATEST]

    def tick(self) -> int:
        """The next instant at which something is done."""
        ahead = [e + d for t in self.office.tenants for e in self.edges(t) for d in (-1, 0, 1) if e > self.now]
        draw = self.rng.random()
        if draw < 0.25:
            step = 0
        elif draw < 0.5 and ahead:
            step = min(self.rng.sample(ahead, min(4, len(ahead)))) - self.now
        elif draw < 0.55:
            step = -self.one([1, HOUR, DAY, 40 * DAY])
        elif draw < 0.7:
            step = self.month_end() - self.now
        else:
            step = self.one([1, HOUR, DAY, 9 * DAY, 28 * DAY, 31 * DAY, 100 * DAY, self.rng.randrange(60 * DAY)])
        self.now = min(max(self.now + step, EARLIEST), LATEST)
        return self.now

    def month_end(self) -> int:
        """The last day of this month or of the next, which later months may not have."""
        day = oracle.wall(self.now, self.zone)
        day += timedelta(days=self.one([0, 0, 15, 31]))
        day = day.replace(day=oracle.days_in_month(day.year, day.month))
        return oracle.local_to_instant(datetime.combine(day.date(), self.clock()), self.zone)

    def clock(self) -> time:
        return (
            time()
            if self.chance(0.5)
            else self.one([time(2, 30), time(0, 30), time(23, 30), time(23, 59, 59, 999_999)])
        )

    def near(self, tenant: str) -> int:
        """Some instant of interest to a tenant, most often not far from now."""
        edges = self.edges(tenant)
        if edges and self.chance(0.4):
            return int(self.one(edges)) + int(self.one([-1, 0, 0, 1]))
        if self.chance(0.2):
            return self.now + int(self.one([0, 0, 1, -1, HOUR, DAY]))
        day = oracle.wall(self.now, self.zone_of(tenant)) + timedelta(
            days=self.one([0, 1, 5, 14, 31, 92, 366, -1, -20])
        )
        if self.chance(0.4):
            day = day.replace(day=oracle.days_in_month(day.year, day.month))
        return oracle.local_to_instant(datetime.combine(day.date(), self.clock()), self.zone_of(tenant))

    # --- what is sold ---

    def entry(self, key: str) -> Plain:
        made: Plain = {"name": key}
        if key in {"layout_designer", "projects"}:
            made |= {"users": self.one([0, 1, 1, 2, 3]), "users_calculation": self.one(["fixed", "per_qty"])}
        if key != "layout_designer":
            made |= {
                "amount": self.one([1, 1, 1, 2, 5]),
                "amount_calculation": self.one(["per_qty", "per_qty", "fixed"]),
            }
        if self.chance(0.04):
            made["users" if key == "layout_designer" else "amount"] = "unlimited"
        return made

    def doc(self, product: str) -> Plain:
        by_product = {
            "desks": ["fixed_desk"],
            "mixed": ["fixed_desk", "shared_desk", "projects"],
            "rooms": ["meeting_room", "shared_desk"],
            "seats": ["layout_designer", "projects"],
        }
        keys = by_product[product]
        doc: Plain = {"id": product, "billing": self.one(["monthly", "quarterly", "annual"])}
        doc["license_template"] = [self.entry(k) for k in keys[: self.rng.randint(1, len(keys))]]
        doc["features"] = [{"name": "timesheet"}] if self.chance(0.3) else []
        if self.chance(0.5):
            doc["trial"] = {"count": self.rng.randint(1, 14), "unit": self.one(["day", "day", "week", "month"])}
            doc["trial"]["count"] = min(doc["trial"]["count"], 2 if doc["trial"]["unit"] != "day" else 14)
            doc["trial_license_template"] = [self.entry(k) for k in keys[: self.rng.randint(0, len(keys))]]
        if self.chance(0.35):
            doc["downgrade"] = self.one(["at_once", "at_end"])
        return doc

    def edition(self) -> Plain:
        prices = {}
        for key in ("fixed_desk", "shared_desk", "meeting_room"):
            if self.chance(0.7):
                prices["CNY", key] = [(1, self.rng.randint(0, 500) * 10_000), (5, self.rng.randint(0, 99_999_999))]
        return {"edition": self.one(["small", "large"]), "cap": self.cap(), "prices": prices}

    def cap(self) -> int:
        """Often about as many desks as somebody has or will have."""
        granted = [own_grants(self.office, tenant) for tenant in self.office.tenants]
        sums = [desks_at(grants, grant["starts_at"]) for grants in granted for grant in grants]
        held = [desks for desks in sums if desks != UNLIMITED]
        if held and self.chance(0.6):
            return max(0, self.one(held) + self.one([-1, 0, 0, 1, 3]))
        return int(self.one([5, 12, 20, 60, 200]))

    def catalogue(self) -> list[Plain]:
        """What is sold before anything happens."""
        made: list[Plain] = [{"op": "product.create", "at": self.now, "doc": self.doc(p)} for p in PRODUCTS]
        for edition in ("small", "large"):
            made.append({"op": "edition.put", "at": self.now} | self.edition() | {"edition": edition})
        return made

    def new_tenant(self, tenant: str, parent: str | None) -> Plain:
        zone = self.zone if self.chance(0.7) else self.one(ZONES)
        edition = self.one([None, None, None, "small", "small", "basic"])
        return {
            "op": "tenant.create",
            "at": self.now,
            "tenant": tenant,
            "parent": parent,
            "zone": zone,
            "edition": edition,
        }
