"""The forecast, kind by kind: what comes about, when, and with which figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from sqlalchemy import update

from sidecar import records
from sidecar.core.book import Book
from sidecar.core.calendar import parse_instant as at
from sidecar.core.model import (
    MICROS,
    UNLIMITED,
    Account,
    Basis,
    Block,
    Effect,
    Grant,
    Limit,
    Period,
    Record,
    Seat,
    Usage,
)
from sidecar.core.rules import AppliesTo, Policy, PolicySet, Rule, Used
from sidecar.core.tenant import Tenant
from sync.forecast.events import Event, Kind, events, quiet
from sync.forecast.reading import Question, forecast
from sync.forecast.spool import NAMED, Spool
from sync.store import schema
from sync.store.blocks import block_tenant
from sync.store.bulk import seed_many
from sync.store.errors import StoreForeign
from sync.store.tenants import archive_tenant
from tests import shipped
from tests.storing import TESTER, Shop, months, on_every_database, per_unit, refused, until

pytestmark = on_every_database

DESK, SEAT = "fixed_desk", "layout_designer"
SINCE, UNTIL = "2026-03-01", "2026-06-01"


def grant(starts: str, ends: str | None, key: str = DESK, **more: Any) -> Grant:
    window = {"starts_at": at(starts)} | ({} if ends is None else {"ends_at": at(ends)})
    return Grant(key=key, **({"amount": 10} | more), **window)


def record(*grants: Grant, tenant_id: str = "acme", zone: str = "UTC", used: int = 0, **more: Any) -> Record:
    usage = {DESK: Usage(units=used)} if used else {}
    given = {"usage": MappingProxyType(usage)} | more
    return Record(tenant_id=tenant_id, revision=1, zone=zone, grants=grants, **given)


def foretold(own: Record, *, since: str = SINCE, until: str = UNTIL, book: Book | None = None) -> list[Event]:
    tenant = Tenant(own, own, book or shipped.book())
    return sorted(events(tenant, at(since), at(until)), key=lambda e: (e.at, e.kind, e.key))


def short(found: list[Event]) -> list[tuple[str, str, str, str]]:
    return [(e.kind, str(e.at), e.before, e.after) for e in found]


def moments(*told: tuple[str, str, str, str]) -> list[tuple[str, str, str, str]]:
    return [(kind, str(at(when)), before, after) for kind, when, before, after in told]


@pytest.mark.parametrize(
    ("grants", "told"),
    [
        pytest.param(
            [grant("2026-04-01", "2027-04-01")],
            [("starts", "2026-04-01", "PENDING", "ACTIVE")],
            id="a term begins",
        ),
        pytest.param(
            [grant("2026-04-01", "2026-04-15", trial=True), grant("2026-04-15", "2027-04-01")],
            [
                ("starts", "2026-04-01", "PENDING", "TRIAL"),
                ("trial_to_paid", "2026-04-15", "TRIAL", "ACTIVE"),
            ],
            id="a trial begins, and gives way to the license",
        ),
        pytest.param(
            [grant("2025-04-01", "2026-04-01"), grant("2026-04-01", "2027-04-01", trial=True)],
            [("paid_to_trial", "2026-04-01", "ACTIVE", "TRIAL")],
            id="a trial is all that is left",
        ),
        pytest.param(
            [grant("2025-01-31", "2026-01-31")],
            [("grace_ends", "2026-04-30", "GRACE", "EXPIRED")],
            id="grace ends, three months clamped to the month's end",
        ),
        pytest.param(
            [grant("2025-03-02", "2026-03-02")],
            [("coverage_ends", "2026-03-02", "ACTIVE", "GRACE")],
            id="coverage ends, and grace lasts longer than the window",
        ),
        pytest.param(
            [grant("2025-03-02", "2026-03-02"), grant("2026-04-01", "2026-05-01")],
            [
                ("coverage_ends", "2026-03-02", "ACTIVE", "GRACE"),
                ("renewed", "2026-04-01", "GRACE", "ACTIVE"),
                ("coverage_ends", "2026-05-01", "ACTIVE", "GRACE"),
            ],
            id="renewed in grace",
        ),
        pytest.param(
            [grant("2024-01-01", "2025-01-01"), grant("2026-04-01", "2027-04-01", trial=True)],
            [("renewed", "2026-04-01", "EXPIRED", "TRIAL")],
            id="renewed after grace",
        ),
        pytest.param(
            [grant("2025-04-01", "2026-04-01"), grant("2026-04-01", "2027-04-01")],
            [],
            id="renewed in time: nothing comes about",
        ),
        pytest.param(
            [grant("2025-04-01", "2026-04-01"), grant("2025-06-01", None)],
            [],
            id="a perpetual term goes on",
        ),
        pytest.param([grant("2026-04-01", "2026-04-01")], [], id="an empty window is no grant"),
    ],
)
def test_phases(grants: list[Grant], told: list[tuple[str, str, str, str]]) -> None:
    assert short(foretold(record(*grants))) == moments(*told)


def test_phases_say_when_coverage_and_grace_end() -> None:
    started, ended = foretold(record(grant("2026-03-10", "2026-04-01"), zone="Asia/Shanghai"), until="2026-05-01")
    assert (started.term_ends_at, started.grace_ends_at) == (at("2026-04-01"), at("2026-07-01"))
    assert (ended.key, ended.term_ends_at, ended.grace_ends_at) == (DESK, at("2026-04-01"), at("2026-07-01"))
    (endless,) = foretold(record(grant("2026-03-10", None)))
    assert (endless.term_ends_at, endless.grace_ends_at) == (None, None)


def test_the_window_is_half_open() -> None:
    own = record(grant("2026-03-01", "2026-06-01"))
    assert short(foretold(own)) == moments(("starts", "2026-03-01", "PENDING", "ACTIVE"))
    assert short(foretold(own, since=UNTIL, until="2026-06-02")) == moments(
        ("coverage_ends", "2026-06-01", "ACTIVE", "GRACE")
    )
    assert foretold(own, since=UNTIL, until=UNTIL) == []


def test_each_key_for_itself() -> None:
    found = foretold(record(grant("2025-04-01", "2026-04-01"), grant("2025-04-01", "2026-04-01", key="meeting_room")))
    assert [(e.kind, e.key) for e in found] == [("coverage_ends", DESK), ("coverage_ends", "meeting_room")]


def quotas(*terms: tuple[str, str, Limit | None], used: int, **more: Any) -> list[tuple[Any, ...]]:
    own = record(*(grant(starts, ends, amount=amount) for starts, ends, amount in terms), used=used, **more)
    over = (Kind.OVER_QUOTA, Kind.WITHIN_QUOTA)
    return [(e.kind, e.before, e.limit, e.used, e.excess) for e in foretold(own) if e.kind in over]


@pytest.mark.parametrize(
    ("terms", "used", "told"),
    [
        pytest.param(
            [("2025-04-01", "2026-04-01", 10), ("2026-04-01", "2027-04-01", 8)],
            10,
            [("over_quota", "within", 8, 10, 2)],
            id="renewed with fewer",
        ),
        pytest.param(
            [("2025-04-01", "2026-04-01", 10), ("2026-04-01", "2027-04-01", 8)], 8, [], id="exactly at the limit"
        ),
        pytest.param(
            [("2025-04-01", "2026-04-01", 9), ("2026-04-01", "2027-04-01", 8)],
            10,
            [("over_quota", "over", 8, 10, 2)],
            id="over already, and by more",
        ),
        pytest.param(
            [("2025-04-01", "2026-04-01", 7), ("2026-04-01", "2027-04-01", 8)], 10, [], id="over already, by less"
        ),
        pytest.param(
            [("2025-04-01", "2026-04-01", 8), ("2026-04-01", "2027-04-01", 10)],
            10,
            [("within_quota", "over", 10, 10, 0)],
            id="renewed with enough",
        ),
        pytest.param(
            [("2025-04-01", "2026-04-01", 8), ("2026-04-01", "2027-04-01", UNLIMITED)],
            10,
            [("within_quota", "over", UNLIMITED, 10, 0)],
            id="renewed without a limit",
        ),
        pytest.param([("2026-04-01", "2027-04-01", 8)], 10, [("over_quota", "uncounted", 8, 10, 2)], id="begins over"),
        pytest.param([("2025-04-01", "2026-04-01", 8)], 10, [], id="ends over: not counted any more"),
        pytest.param(
            [("2025-04-01", "2026-04-01", 5), ("2025-04-01", "2027-04-01", 5)],
            10,
            [("over_quota", "within", 5, 10, 5)],
            id="one of two terms ends",
        ),
    ],
)
def test_quotas(terms: list[tuple[str, str, Limit | None]], used: int, told: list[tuple[Any, ...]]) -> None:
    assert quotas(*terms, used=used) == told


def test_seats_when_a_trial_ends() -> None:
    """domain.md 8, 15: three users in the trial, one by the license, two seats held."""
    seats = Usage(seats=(Seat("", "u1"), Seat("", "u2")))
    own = record(
        grant("2026-03-01", "2026-03-15", SEAT, amount=None, users=3, trial=True),
        grant("2026-03-15", "2027-03-01", SEAT, amount=None, users=1),
        usage=MappingProxyType({SEAT: seats}),
    )
    over, paid = foretold(own, since="2026-03-02")
    assert (over.kind, over.key, over.seats, over.limit, over.used, over.excess) == ("over_quota", SEAT, True, 1, 2, 1)
    assert (over.at, paid.kind, paid.at) == (at("2026-03-15"), "trial_to_paid", at("2026-03-15"))


MONEY = Account(
    basis=Basis.MONEY,
    balance=100 * MICROS,
    as_of=at("2026-03-01"),
    charge=60 * MICROS,
    anchor=at("2026-02-15"),
    period=Period(months=1),
)


@pytest.mark.parametrize(
    ("account", "told"),
    [
        (MONEY, [("blocked", "2026-04-15", "GOOD", "BLOCKED")]),
        (
            replace(MONEY, deferral_days=5),
            [("past_due", "2026-04-15", "GOOD", "PAST_DUE"), ("blocked", "2026-04-20", "PAST_DUE", "BLOCKED")],
        ),
        (
            replace(MONEY, owed_since=at("2026-02-15"), owed_charge=120 * MICROS, deferral_days=30),
            [("blocked", "2026-03-17", "PAST_DUE", "BLOCKED")],
        ),
        (replace(MONEY, balance=1000 * MICROS), []),
    ],
)
def test_standings(account: Account, told: list[tuple[str, str, str, str]]) -> None:
    found = foretold(record(grant("2025-01-01", None), account=account))
    assert short(found) == moments(*told)
    assert {(e.key, e.top_up) for e in found} <= {("", 20 * MICROS)}


def test_blocks_come_and_go_by_their_dates() -> None:
    blocks = (
        Block(name="operator", starts_at=at("2026-03-05"), ends_at=at("2026-03-10")),
        Block(name="fraud", starts_at=at("2026-03-08"), ends_at=at("2026-03-12")),
        Block(name="legal", starts_at=at("2026-05-01")),
    )
    found = foretold(record(grant("2025-01-01", None), blocks=blocks))
    assert [(e.kind, e.at, e.blocks) for e in found] == [
        ("suspended", at("2026-03-05"), ("operator",)),
        ("unsuspended", at("2026-03-12"), ("fraud",)),
        ("suspended", at("2026-05-01"), ("legal",)),
    ]


def test_nothing_is_told_of_the_archived() -> None:
    blocks = (Block(name="legal", starts_at=at("2026-05-01")),)
    own = record(grant("2025-04-01", "2026-04-01"), blocks=blocks, account=MONEY, archived=True)
    assert foretold(own) == []
    assert quiet(own, shipped.book().applied(own).terms, at(SINCE), at(UNTIL))


def shared(*blocks: Block, holder: tuple[Block, ...] = (), archived: bool = False) -> list[Event]:
    owner = record(grant("2025-04-01", "2026-04-01"), tenant_id="acme", blocks=holder, archived=archived)
    child = Record(tenant_id="labs", revision=1, zone="Asia/Shanghai", holder_id="acme", blocks=blocks)
    return list(events(Tenant(child, owner, shipped.book()), at(SINCE), at(UNTIL)))


def test_of_one_that_shares_only_its_own_blocks_are_told() -> None:
    own = Block(name="fraud", starts_at=at("2026-03-05"), ends_at=at("2026-03-10"))
    found = shared(own)
    assert [(e.tenant_id, e.kind, e.holder_id) for e in found] == [
        ("labs", "suspended", "acme"),
        ("labs", "unsuspended", "acme"),
    ]
    assert shared(own, archived=True) == []
    assert shared(holder=(own,)) == []
    assert shared(own, holder=(own,)) == []


def test_own_blocks_behind_the_holders() -> None:
    own = Block(name="fraud", starts_at=at("2026-03-05"), ends_at=at("2026-03-10"))
    longer = Block(name="operator", starts_at=at("2026-03-07"), ends_at=at("2026-03-12"))
    assert [(e.kind, e.at) for e in shared(own, holder=(longer,))] == [("suspended", at("2026-03-05"))]


def book(*policies: Policy) -> Book:
    return Book(PolicySet(policies=(*shipped.book().policy_set.policies, *policies), revision="more"))


def test_the_terms_of_a_policy_count() -> None:
    stretched = Policy(
        name="generous",
        applies_to=AppliesTo(tags=frozenset({"pilot"})),
        grace=Period(days=10),
        overage=20,
    )
    own = record(grant("2025-04-01", "2026-04-01"), grant("2026-04-01", "2026-04-02", amount=8), used=10)
    usual = foretold(own, until="2026-04-20", book=book(stretched))
    pilot = foretold(replace(own, tags=("pilot",)), until="2026-04-20", book=book(stretched))
    assert [e.kind for e in usual] == ["over_quota", "coverage_ends"]
    assert [(e.kind, e.excess) for e in pilot] == [("over_quota", 1), ("coverage_ends", None), ("grace_ends", None)]
    assert pilot[-1].at == at("2026-04-12")


def test_grace_may_be_none_at_all() -> None:
    found = foretold(record(grant("2025-04-01", "2026-04-01")), book=book(Policy(name="none", grace=Period())))
    assert short(found) == moments(("coverage_ends", "2026-04-01", "ACTIVE", "EXPIRED"))


def over(rule_id: str, **more: Any) -> Rule:
    return Rule(policy="p", id=rule_id, effect=Effect.DENY, reason="OVER_QUOTA", usage=frozenset({Used.OVER}), **more)


DESKS = {"desks": (DESK, "shared_desk")}
BY_DESKS = {"actions": ("booking.*",), "judge_by": "desks"}
RENEWED_WITH_FEWER = (grant("2025-04-01", "2026-04-01"), grant("2026-04-01", "2027-04-01", amount=8))


@pytest.mark.parametrize(
    ("policy", "more", "told"),
    [
        pytest.param(
            Policy(name="p", key_groups=DESKS, rules=(over("g", **BY_DESKS),), overrides=frozenset({"over-quota"})),
            (),
            [],
            id="there is room in the group",
        ),
        pytest.param(
            Policy(name="p", key_groups=DESKS, rules=(over("g", **BY_DESKS),), overrides=frozenset({"over-quota"})),
            (grant("2025-04-01", "2026-04-01", key="shared_desk", amount=3),),
            [("desks", 8, 10, 2)],
            id="the group loses what another key gave",
        ),
        pytest.param(
            Policy(name="p", key_groups=DESKS, rules=(over("g", **BY_DESKS),)),
            (),
            [(DESK, 8, 10, 2)],
            id="a rule judges the key by itself as well",
        ),
        pytest.param(
            Policy(
                name="p",
                key_groups=DESKS,
                rules=(over("g", **BY_DESKS, keys=("shared_*",)),),
                overrides=frozenset({"over-quota"}),
            ),
            (),
            [(DESK, 8, 10, 2)],
            id="the group's rule is for other keys",
        ),
    ],
)
def test_usage_is_judged_as_the_rules_judge_it(
    policy: Policy, more: tuple[Grant, ...], told: list[tuple[Any, ...]]
) -> None:
    policy = replace(policy, applies_to=AppliesTo(tenants=frozenset({"acme"})))
    room = () if more else (grant("2025-01-01", None, key="shared_desk", amount=2),)
    found = foretold(record(*RENEWED_WITH_FEWER, *more, *room, used=10), book=book(policy))
    assert [(e.key, e.limit, e.used, e.excess) for e in found if e.kind is Kind.OVER_QUOTA] == told


def test_seats_are_judged_by_a_group_where_a_rule_does() -> None:
    own = Policy(
        name="p",
        key_groups={"designers": (SEAT, "viewer")},
        rules=(over("g", actions=("feature.use",), judge_by="designers"),),
    )
    seats = Usage(seats=(Seat("", "u1"), Seat("", "u2")))
    terms = (
        grant("2025-01-01", "2026-04-01", SEAT, amount=None, users=2),
        grant("2025-01-01", None, "viewer", amount=None, users=1),
    )
    found = foretold(record(*terms, usage=MappingProxyType({SEAT: seats})), book=book(own))
    told = [(e.key, e.seats, e.limit, e.excess) for e in found if e.kind is Kind.OVER_QUOTA]
    assert told == [("designers", True, 1, 1)]


# --- a store ---


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "store.db")
    shop.product(per_unit("desk", DESK))
    return shop


def ask(**more: Any) -> Question:
    return Question(**({"book": shipped.book(), "since": at(SINCE), "until": at(UNTIL)} | more))


def read(shop: Shop, **more: Any) -> list[Event]:
    with forecast(shop.store, ask(**more)) as found:
        return list(found)


def archive(shop: Shop, tenant_id: str) -> None:
    with shop.store.writing(TESTER) as writing:
        archive_tenant(writing, tenant_id, now=at(SINCE))


def test_a_queued_renewal_with_fewer_is_told_for_the_pool(shop: Shop) -> None:
    shop.tenant("acme")
    shop.new("acme", {"desk": 10}, "2026-01-01", until("2026-04-01"))
    shop.renew("acme", {"desk": 8}, "2026-02-01", months(12))
    for number in range(NAMED + 2):
        shop.tenant(f"c{number}", parent_id="acme")
    archive(shop, "c0")
    shop.use("acme", fixed_desk=6)
    shop.use("c1", fixed_desk=4)
    (event,) = read(shop)
    assert (event.tenant_id, event.kind, event.used, event.excess) == ("acme", "over_quota", 10, 2)
    assert (event.sharers, event.shared_with) == (NAMED + 1, ("c1", "c2", "c3", "c4", "c5"))
    assert read(shop, tenants=["c3"]) == [event]
    assert read(shop, tenants=["acme", "c3"], kinds=[Kind.STARTS]) == []


def test_a_sharers_own_block_is_read_with_its_holder(shop: Shop) -> None:
    shop.tenant("acme")
    shop.new("acme", {"desk": 10}, "2026-01-01", until("2027-04-01"))
    shop.tenant("labs", parent_id="acme")
    with shop.store.writing(TESTER) as writing:
        block_tenant(writing, "labs", "fraud", starts_at=at("2026-03-05"), cascade=False)
    (event,) = read(shop)
    assert (event.tenant_id, event.kind, event.holder_id, event.sharers) == ("labs", "suspended", "acme", 0)


def test_an_unknown_tenant_is_refused(shop: Shop) -> None:
    with refused("UNKNOWN_TENANT"):
        read(shop, tenants=["nobody"])


def test_a_store_without_tenants(shop: Shop) -> None:
    assert read(shop) == []


def test_how_far_it_is_is_told(shop: Shop) -> None:
    seed_many(shop.store, 1100, at(SINCE))
    told: list[tuple[int, int]] = []
    with forecast(shop.store, ask(), lambda done, count: told.append((done, count))):
        assert told == [(500, 1100), (1000, 1100), (1100, 1100)]


def put(shop: Shop, tenant_id: str, data: bytes) -> None:
    e = schema.entitlement
    with shop.store.writing(TESTER) as writing:
        writing.conn.execute(update(e).where(e.c.tenant_id == tenant_id).values(record=data))


@pytest.mark.parametrize(
    ("tenant_id", "broken", "why"),
    [
        ("acme", b"\xff", "not an entitlement record"),
        ("acme", records.encode(record(grant("2025-01-01", None), zone="Mars/Base")), "not a known IANA time zone"),
        ("labs", records.encode(Record(tenant_id="labs", revision=1, zone="UTC", holder_id="gone")), "no services"),
    ],
)
def test_a_record_that_cannot_be_used_is_named_and_nothing_is_told(
    shop: Shop, tenant_id: str, broken: bytes, why: str
) -> None:
    shop.tenant("acme")
    shop.new("acme", {"desk": 10}, "2026-01-01", until("2026-04-01"))
    shop.tenant("labs", parent_id="acme")
    with shop.store.writing(TESTER) as writing:
        block_tenant(writing, "labs", "fraud", starts_at=at("2026-03-05"), cascade=False)
    if tenant_id == "labs":
        held = records.decode(broken)
        broken = records.encode(replace(held, blocks=(Block(name="fraud", starts_at=at("2026-03-05")),)))
    put(shop, tenant_id, broken)
    with pytest.raises(StoreForeign, match=f"record of '{tenant_id}'.*{why}"):
        read(shop)


def test_events_come_back_as_they_went() -> None:
    first = Event(tenant_id="b", at=2, kind=Kind.SUSPENDED, before="OPEN", after="SUSPENDED", blocks=("x", "y"))
    second = Event(tenant_id="a", at=2, kind=Kind.WITHIN_QUOTA, before="over", after="within", limit=UNLIMITED, used=3)
    with Spool() as spool:
        spool.add([first, second, replace(second, at=1, kind=Kind.OVER_QUOTA, limit=2, excess=1)])
        spool.share([("b", "c"), ("b", "c")])
        found = list(spool)
    assert found == [
        replace(second, at=1, kind=Kind.OVER_QUOTA, limit=2, excess=1),
        second,
        replace(first, sharers=1, shared_with=("c",)),
    ]
