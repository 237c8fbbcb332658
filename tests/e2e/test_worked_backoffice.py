"""The worked cases of domain.md 8, set up through the back office's gRPC and asked of a real sidecar: tests/cases.

Of those about the sidecar's own clock and freshness (24, 26, 33) the end is bought here, and time is moved by the clock
of its machine; 27 needs a store over a network. What a sidecar does with a settled clock is in test_clock.py.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
import yaml
from google.protobuf.json_format import MessageToDict, ParseDict

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as office
from sidecar.core.errors import DeskgateError
from sync.backoffice.desk import Desk, RemoteDesk
from sync.store.db import open_store
from sync.store.operators import Role
from tests import desks
from tests.serving import ROOT, Place, RunningSidecar
from tests.worked import CASES, MICROS, Texts, instant

Plain = dict[str, Any]
WRITTEN: Plain = yaml.load((CASES / "backoffice.yaml").read_text(), Texts)
CREATED = "2020-01-01"
TENANT_FIELDS = {"tenant_id", "parent_id", "owner_id", "plan_id"}


class Scene:
    """One case: what it calls a tenant or plan is its own in the store that all cases share."""

    def __init__(self, number: int, desk: Desk, sidecar: RunningSidecar | None = None) -> None:
        self.number = number
        self.desk = desk
        self.sidecar = sidecar
        self.revision = 0

    def named(self, name: str) -> str:
        return f"{name}-{self.number}" if name else ""

    def create(self, tenant: str, fields: Plain) -> None:
        self.call({"do": "CreateTenant", "at": CREATED, "with": fields | {"id": tenant}})

    def call(self, step: Plain) -> Any:
        message = getattr(office, f"{step['do']}Request")()
        known = message.DESCRIPTOR.fields_by_name
        fields = {"idempotency_key": desks.key(), "at": stamp(step["at"]), "tenant_id": "acme"} | step.get("with", {})
        mine = TENANT_FIELDS | ({"id"} if step["do"] in {"CreateTenant", "CreatePlan"} else set())
        stated = {*known, *step.get("with", {})}
        given = {k: self.named(v) if k in mine else v for k, v in fields.items() if k in stated}
        answer = self.desk.call(step["do"], ParseDict(given, message))
        self.revision = getattr(answer, "revision", self.revision)
        return answer

    def question(self, step: Plain) -> pb.CheckRequest:
        action, kind = step["ask"]
        message = pb.CheckRequest(
            tenant_id=self.named(step.get("tenant", "acme")), action=action, min_revision=self.revision
        )
        message.resource.kind = kind
        if "licensed" in step:
            message.resource.licensed = step["licensed"]
        if "entry" in step:
            message.resource.attributes["entry"] = step["entry"]
        if "quantity" in step:
            message.quantity = step["quantity"]
        message.subject.user_id = step.get("user", "")
        for end, text in zip(("starts_at", "ends_at"), step.get("window", ()), strict=False):
            getattr(message.window, end).FromMicroseconds(instant(text))
        return message

    def answer(self, step: Plain) -> pb.CheckResponse:
        assert self.sidecar is not None
        question = self.question(step)
        if "at" not in step:
            code, answer = self.sidecar.call("Check", question)
            assert code == "OK", answer
            return answer  # type: ignore[no-any-return]
        explained = pb.ExplainRequest(check=question)
        explained.at.FromMicroseconds(instant(step["at"]))
        code, answer = self.sidecar.call("Explain", explained)
        assert code == "OK", answer
        assert answer.answer.as_of.ToMicroseconds() == instant(step["at"])
        return answer.answer  # type: ignore[no-any-return]


def stamp(text: str) -> str:
    return f"{text}Z" if "T" in text else f"{text}T00:00:00Z"


def told(answer: pb.CheckResponse, scene: Scene) -> Plain:
    quota = answer.quota
    return {
        "effect": pb.Effect.Name(answer.effect).removeprefix("EFFECT_"),
        "reason": answer.reason,
        "also": list(answer.also),
        "warnings": [w.code for w in answer.warnings],
        "phase": pb.Phase.Name(answer.phase).removeprefix("PHASE_"),
        "standing": pb.Standing.Name(answer.standing).removeprefix("STANDING_"),
        "status": pb.Status.Name(answer.status).removeprefix("STATUS_"),
        "limit": quota.limit,
        "used": quota.used,
        "fits": quota.fits,
        "excess": quota.excess,
        "holder": quota.holder.removesuffix(f"-{scene.number}"),
        "remedies": [[r.kind, *filter(None, [r.quantity, r.amount_micros // MICROS])] for r in answer.remedies],
        "term_ends_at": answer.term_ends_at.ToMicroseconds(),
        "grace_ends_at": answer.grace_ends_at.ToMicroseconds(),
    }


def part_of(expected: Any, found: Any) -> bool:
    """Whether what is expected is so: of a mapping the keys that are named, of a list every item."""
    if isinstance(expected, Mapping):
        return isinstance(found, Mapping) and all(part_of(v, found.get(k)) for k, v in expected.items())
    if isinstance(expected, list):
        pairs = zip(expected, found or [], strict=False)
        return len(expected) == len(found or []) and all(part_of(e, f) for e, f in pairs)
    return bool(str(expected) == str(found))


class Site(NamedTuple):
    desk: Desk
    sidecar: RunningSidecar


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A store with the products of all cases, a back office at it, and a sidecar that follows it."""
    place = Place(tmp_path_factory.mktemp("worked"))
    with back_office(place) as desk, place.serve() as sidecar:
        for product in WRITTEN["products"]:
            Scene(0, desk).call({"do": "CreateProduct", "at": CREATED, "with": {"product": product}})
        yield Site(desk, sidecar)


@contextmanager
def back_office(place: Place) -> Iterator[Desk]:
    """At a place's store, over gRPC, for an admin."""
    store = open_store(place.store_path)
    with desks.serving(store) as target, RemoteDesk(target, desks.token_of(store, Role.ADMIN)) as desk:
        yield desk


@pytest.mark.parametrize("number", range(len(WRITTEN["cases"])), ids=lambda n: WRITTEN["cases"][n]["case"])
def test_worked(number: int, site: Site) -> None:
    case = WRITTEN["cases"][number]
    scene = Scene(number, site.desk, site.sidecar)
    for tenant, fields in case["tenants"].items():
        scene.create(tenant, fields)
    for step in case["steps"]:
        done(step, scene)


def done(step: Plain, scene: Scene) -> None:
    if "ask" in step:
        found, expected = told(scene.answer(step), scene), step["expect"]
        wanted = {k: instant(v) if k.endswith("_at") else v for k, v in expected.items()}
        assert {k: found[k] for k in wanted} == wanted, step
        assert bool(found["reason"]) == (found["effect"] == "DENY")
    elif "refused" in step:
        with pytest.raises(DeskgateError) as refusal:
            scene.call(step)
        assert getattr(refusal.value, "code", "") == step["refused"], step
    else:
        answer = MessageToDict(scene.call(step), preserving_proto_field_name=True)
        assert part_of(step.get("expect", {}), answer), (step, answer)


def test_every_case_is_there() -> None:
    """All 34; four are about the sidecar's own clock and freshness, and one of them needs a store over a network."""
    named: set[int] = set()
    for case in WRITTEN["cases"]:
        words = case["case"].replace(",", " ").split()
        numbers = [int(word) for word in words if word.isdigit()]
        named |= set(range(numbers[0], numbers[1] + 1)) if "to" in words[1:2] else {n for n in numbers if n > 0}
    assert set(range(1, 35)) - named == {24, 26, 27, 33}


# --- the sidecar's own clock and freshness ---

HOUR = 3600
DAY = 24 * HOUR


class Machine:
    """A machine whose clock can be set ahead."""

    def __init__(self, place: Place) -> None:
        self.shift = place.folder / "shift"
        self.shift.write_text("0")
        self.command = (sys.executable, str(ROOT / "tests" / "e2e" / "shifted.py"), str(self.shift))

    def ahead(self, seconds: int) -> None:
        draft = self.shift.with_suffix(".draft")
        draft.write_text(str(seconds))
        draft.replace(self.shift)


@pytest.fixture
def machine(place: Place, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return Machine(place)


def sell(place: Place, seconds: int) -> None:
    """A term of desks for tenant acme-0 that ends so many seconds from now."""
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
    order = {"kind": "ORDER_KIND_NEW", "items": [{"product_id": "desks", "quantity": 10}], "ends": ends.isoformat()}
    with back_office(place) as desk:
        scene = Scene(0, desk)
        scene.call({"do": "CreateProduct", "at": CREATED, "with": {"product": WRITTEN["products"][0]}})
        scene.create("acme", {})
        scene.call({"do": "PlaceOrder", "at": CREATED, "with": order})


def asked(sidecar: RunningSidecar, action: str = "booking.create", kind: str = "fixed_desk") -> Any:
    return sidecar.check("acme-0", action, kind)


def test_24_time_goes_on_without_the_store(place: Place, machine: Machine) -> None:
    sell(place, 2 * HOUR)
    with place.serve(command=machine.command) as sidecar:
        assert asked(sidecar).allowed
        place.hide_store()
        machine.ahead(3 * HOUR)
        answer = asked(sidecar)
        assert (answer.reason, answer.phase, answer.freshness) == ("SUBSCRIPTION_EXPIRED", "GRACE", "STALE")


def test_26_a_clock_set_back_revives_nothing(place: Place, machine: Machine) -> None:
    sell(place, 2 * HOUR)
    with place.serve(command=machine.command) as sidecar:
        assert asked(sidecar).allowed
        place.hide_store()
        machine.ahead(3 * HOUR)
        assert asked(sidecar).reason == "SUBSCRIPTION_EXPIRED"
        machine.ahead(3 * HOUR - 2 * DAY)
        assert asked(sidecar).reason == "SUBSCRIPTION_EXPIRED"


def test_33_blind_after_a_day_without_contact(place: Place, machine: Machine) -> None:
    sell(place, 400 * DAY)
    with place.serve(command=machine.command) as sidecar:
        assert asked(sidecar).allowed
        place.hide_store()
        machine.ahead(25 * HOUR)
        assert asked(sidecar).reason == "DATA_TOO_OLD"
        for answer in (asked(sidecar, "booking.cancel"), asked(sidecar, "tenant.export", "")):
            assert answer.allowed
            assert [warning.code for warning in answer.warnings] == ["STALE_DATA"]
