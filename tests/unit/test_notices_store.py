"""Notices in the store: queued once for an occasion, claimed by one runner at a time, how they end, tried again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sync.store import audit, notices, tenants
from sync.store.audit import By, Sought
from sync.store.db import Writing
from sync.store.erasure import erase_tenant
from sync.store.notices import Notice, Occasion, State
from tests.storing import Shop, at, on_every_database, refused

pytestmark = on_every_database

NOW = at("2026-03-01")
MINUTE = 60_000_000
RUNNER = By(operator="notices", at=NOW)
FACTS: notices.Facts = {"order_id": 7, "amount": 5, "currency": "CNY"}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "store.db")
    shop.tenant("acme", name="Acme", contacts=["ann@acme.example"], language="zh-CN", zone="Asia/Shanghai")
    shop.tenant("labs")
    return shop


def do(shop: Shop, change: Callable[..., Any], *args: Any, who: By = RUNNER, **kwargs: Any) -> Any:
    with shop.store.writing(who) as writing:
        return change(writing, *args, **kwargs)


def queue(shop: Shop, dedupe: str = "payment:1", tenant: str = "acme", now: int = NOW, **more: Any) -> None:
    do(shop, notices.queue, tenant, more.pop("kind", "payment_recorded"), FACTS, dedupe=dedupe, now=now, **more)


def every(shop: Shop, **sought: Any) -> list[Notice]:
    with shop.store.reading() as conn:
        return notices.list_notices(conn, **sought)


def due(shop: Shop, now: int = NOW, limit: int = 100) -> list[int]:
    with shop.store.reading() as conn:
        return [one.notice.id for one in notices.due(conn, now=now, limit=limit)]


def claim(shop: Shop, number: int, by: str = "r1", until: int = NOW + MINUTE) -> None:
    do(shop, notices.claim, number, by=by, until=until, message_id=f"<{number}@x>", facts=FACTS)


def entries(shop: Shop) -> list[str]:
    with shop.store.reading() as conn:
        return [e.action for e in audit.entries(conn, Sought())]


def test_an_occasion_is_told_of_once(shop: Shop) -> None:
    before = entries(shop)
    for _ in range(2):
        queue(shop)
    queue(shop, "payment:2")
    first, second = every(shop)
    assert (first.dedupe, second.dedupe) == ("payment:1", "payment:2")
    assert first == Notice(
        id=1,
        dedupe="payment:1",
        tenant_id="acme",
        kind="payment_recorded",
        facts=FACTS,
        due_at=NOW,
        state=State.PENDING,
        attempts=0,
        next_attempt_at=NOW,
        claimed_by="",
        claimed_until=0,
        message_id="",
        recipients=(),
        sent_at=None,
        error="",
    )
    assert entries(shop) == before, "it is part of the change that it tells of"
    assert due(shop) == [1, 2]


@pytest.mark.parametrize("when", ["2020-01-01", "2036-01-01"])
def test_a_change_as_of_another_instant_is_told_of_now(shop: Shop, when: str) -> None:
    queue(shop, now=at(when))
    assert every(shop)[0].due_at == at(when)
    assert due(shop) == [1]


def test_a_notice_is_undone_with_its_change(shop: Shop) -> None:
    def fails(writing: Writing) -> None:
        notices.queue(writing, "acme", "provisioned", {}, dedupe="x", now=NOW)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        do(shop, fails)
    assert every(shop) == []


def occasion(name: str, due_at: int = NOW, tenant: str = "acme") -> Occasion:
    return Occasion(dedupe=name, tenant_id=tenant, kind="expiring", facts={"count": 7, "keys": ["a"]}, due_at=due_at)


def test_planning_queues_what_is_new_and_what_holds_again(shop: Shop) -> None:
    assert do(shop, notices.plan, [occasion("a"), occasion("b", NOW - 1)]) == 2
    assert do(shop, notices.plan, [occasion("a")]) == 0
    assert due(shop) == [2, 1], "what waits longest comes first"
    claim(shop, 1)
    do(shop, notices.cancel, 1, "renewed")
    cancelled = every(shop)[0]
    assert (cancelled.state, cancelled.error, cancelled.claimed_by) == (State.CANCELLED, "renewed", "")
    with shop.store.reading() as conn:
        found = notices.unplanned(conn, [occasion(name) for name in "abc"])
    assert [o.dedupe for o in found] == ["a", "c"]
    assert do(shop, notices.plan, found) == 2
    assert [(n.dedupe, n.state) for n in every(shop)] == [("a", "pending"), ("b", "pending"), ("c", "pending")]
    assert every(shop)[0].message_id == "<1@x>", "it stays the same letter"


def test_what_is_done_is_not_planned_again(shop: Shop) -> None:
    do(shop, notices.plan, [occasion("a"), occasion("b")])
    claim(shop, 1)
    do(shop, notices.sent, 1, at=NOW, recipients=["ann@acme.example"])
    do(shop, notices.unsendable, 2, "no contacts")
    assert do(shop, notices.plan, [occasion("a"), occasion("b")]) == 0
    assert [n.state for n in every(shop)] == [State.SENT, State.FAILED]


def test_planning_is_not_bounded_by_what_one_query_may_name(shop: Shop) -> None:
    many = [occasion(str(n)) for n in range(1200)]
    assert do(shop, notices.plan, many) == 1200
    with shop.store.reading() as conn:
        assert notices.unplanned(conn, many) == []


def test_a_claim_keeps_others_away_until_it_runs_out(shop: Shop) -> None:
    queue(shop)
    queue(shop, "payment:2")
    claim(shop, 1)
    assert due(shop) == [2]
    assert due(shop, NOW + MINUTE) == [1, 2]
    assert due(shop, NOW + MINUTE - 1) == [2]
    do(shop, notices.release, [1], by="another")
    assert due(shop) == [2]
    do(shop, notices.release, [1, 2], by="r1")
    assert due(shop) == [1, 2]
    assert due(shop, limit=1) == [1]
    assert due(shop, NOW - 1) == []


def test_who_reads_it_is_told_with_it(shop: Shop) -> None:
    queue(shop)
    with shop.store.reading() as conn:
        (one,) = notices.due(conn, now=NOW, limit=1)
        assert notices.get_addressed(conn, 1) == one
    assert (one.name, one.zone, one.language) == ("Acme", "Asia/Shanghai", "zh-CN")
    assert (one.contacts, one.erased) == (("ann@acme.example",), False)


def test_sent_is_sent_whoever_holds_it_now(shop: Shop) -> None:
    queue(shop)
    claim(shop, 1, "r1", NOW + 1)
    claim(shop, 1, "r2")
    do(shop, notices.failed, 1, by="r1", error="too late to say so")
    do(shop, notices.postponed, 1, by="r1", recipients=[], error="too late to say so", until=NOW)
    assert every(shop)[0].claimed_by == "r2"
    do(shop, notices.sent, 1, at=NOW + 5, recipients=["ann@acme.example"], error="bob@acme.example: 550 unknown")
    (one,) = every(shop)
    assert (one.state, one.attempts, one.sent_at) == (State.SENT, 1, NOW + 5)
    assert (one.recipients, one.error) == (("ann@acme.example",), "bob@acme.example: 550 unknown")
    do(shop, notices.failed, 1, by="r2", error="x")
    do(shop, notices.sent, 1, at=NOW + 9, recipients=[])
    assert every(shop) == [one]


def test_a_postponed_notice_waits_and_remembers_who_has_it(shop: Shop) -> None:
    queue(shop)
    claim(shop, 1)
    do(shop, notices.postponed, 1, by="r1", recipients=["ann@acme.example"], error="450 busy", until=NOW + MINUTE)
    (one,) = every(shop)
    assert (one.state, one.attempts, one.error, one.recipients) == (
        State.PENDING,
        1,
        "450 busy",
        ("ann@acme.example",),
    )
    assert (due(shop), due(shop, NOW + MINUTE)) == ([], [1])


def test_a_long_answer_of_a_server_is_cut(shop: Shop) -> None:
    queue(shop)
    claim(shop, 1)
    do(shop, notices.failed, 1, by="r1", error="x" * 5000)
    error = every(shop)[0].error
    assert (len(error), error[-4:]) == (1000, "x...")


def test_what_failed_is_tried_again_from_the_start_and_audited(shop: Shop) -> None:
    queue(shop)
    claim(shop, 1)
    do(shop, notices.failed, 1, by="r1", error="550 unknown")
    after = do(shop, notices.retry_notice, 1, now=NOW + 9, who=By(operator="ann", at=NOW + 10))
    assert (after.state, after.attempts, after.next_attempt_at) == (State.PENDING, 0, NOW + 9)
    assert (after.message_id, after.error) == ("<1@x>", "550 unknown")
    with shop.store.reading() as conn:
        (entry,) = audit.entries(conn, Sought(action="notice.retry"))
        assert not audit.verify(conn).fault
    assert (entry.operator, entry.subject, entry.tenant_id) == ("ann", "notice:1", "acme")
    assert entry.details is not None
    assert (entry.details["before"]["state"], entry.details["after"]["state"]) == ("failed", "pending")
    with refused("NOTICE_NOT_FAILED"):
        do(shop, notices.retry_notice, 1, now=NOW)
    with refused("UNKNOWN_NOTICE"):
        do(shop, notices.retry_notice, 2, now=NOW)
    with refused("UNKNOWN_NOTICE"), shop.store.reading() as conn:
        notices.get_addressed(conn, 2)


def test_of_an_erased_tenant_nobody_is_named_and_nothing_is_tried_again(shop: Shop) -> None:
    for name in ("payment:1", "payment:2"):
        queue(shop, name)
    claim(shop, 1)
    do(shop, notices.unsendable, 2, "no contacts")
    do(shop, tenants.archive_tenant, "acme", now=NOW, retention_days=0)
    do(shop, erase_tenant, "acme", now=NOW)
    do(shop, notices.sent, 1, at=NOW, recipients=["ann@acme.example"], error="bob@acme.example: 550")
    first, _ = every(shop)
    assert (first.state, first.recipients, first.error, first.facts) == (State.SENT, (), "", {})
    with refused("TENANT_ERASED"):
        do(shop, notices.retry_notice, 2, now=NOW)


def test_notices_are_listed_in_pages_and_filtered(shop: Shop) -> None:
    queue(shop, "a")
    queue(shop, "b", "labs")
    queue(shop, "c", kind="provisioned")
    do(shop, notices.unsendable, 3, "no contacts")
    assert [n.id for n in every(shop)] == [1, 2, 3]
    assert [n.id for n in every(shop, after=1, limit=1)] == [2]
    assert [n.id for n in every(shop, tenant_id="acme")] == [1, 3]
    assert [n.id for n in every(shop, state="failed")] == [3]
    assert [n.id for n in every(shop, kind="payment_recorded", tenant_id="labs")] == [2]
    assert every(shop, kind="payment_recorded", state="sent") == []
