"""Runners on a store and at a real mail server: each reminder once, none after a renewal, nothing lost on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.headerregistry import Address
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select
from structlog.testing import capture_logs

from sidecar import records
from sidecar.address import Address as Place
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import DAY, Instant
from sidecar.core.tenant import Tenant
from sync.notices import runner as runners
from sync.notices.letters import Letters
from sync.notices.planner import STEP, Planner
from sync.notices.planning import OFFSETS, reminders
from sync.notices.runner import NO_CONTACTS, OVER, Pace, Runner
from sync.notices.smtp import Mailer, Security, Server
from sync.store import notices, schema, tenants
from sync.store.audit import By
from sync.store.bulk import seed_many
from sync.store.erasure import erase_tenant
from sync.store.notices import Notice
from tests import shipped
from tests.mailserver import MailServer, mail_server, until_kept
from tests.serving import wait_for
from tests.storing import TESTER, Shop, again, at, away, meddle, on_every_database, per_unit, until

pytestmark = on_every_database

END = at("2027-01-01")
TIMEOUT = 2.0
"""Of the mail server: enough for a machine that is busy."""


@cache
def ours() -> Letters:
    return Letters()


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    with mail_server(tmp_path_factory.mktemp("mail")) as server:
        yield server


@pytest.fixture
def mail(serving: MailServer) -> Iterator[MailServer]:
    """A server that behaves well, and has taken nothing yet."""
    serving.behave()
    for file in (serving.folder / "mail").iterdir():
        file.unlink()
    yield serving
    serving.behave()


class Desk:
    """A store, a mail server, and a clock that stands where it is put."""

    def __init__(self, path: Path, mail: MailServer) -> None:
        self.shop = Shop(path)
        self.mail = mail
        self.now: Instant = at("2026-06-01")
        self.shop.product(per_unit("fd", "fixed_desk"))

    def tenant(self, name: str = "acme", **fields: Any) -> None:
        """With a term until the end of 2026."""
        self.shop.tenant(name, **{"contacts": [f"ann@{name}.example"], **fields})
        self.shop.new(name, {"fd": 1}, "2026-01-01", until("2027-01-01T00:00:00Z"))

    def runner(self, port: int | None = None, letters: Letters | None = None, **pace: Any) -> Runner:
        server = Server(
            place=Place("127.0.0.1", port or self.mail.port),
            sender=Address("Desking", addr_spec="desking@seller.example"),
            security=Security.NONE,
            timeout=pace.pop("timeout", TIMEOUT),
        )
        planner = Planner(shipped.book(), pace.pop("offsets", OFFSETS), pace.pop("since", 0))
        given = {"lease": 60.0, "look_every": 0.02} | pace
        return Runner(self.shop.store, planner, letters or ours(), server, pace=Pace(**given), clock=lambda: self.now)

    def pay(self, number: int = 1, tenant: str = "acme", **facts: Any) -> None:
        """A notice that holds whatever becomes of the tenant's terms."""
        told = {"order_id": number, "amount": 5_000_000, "currency": "CNY", **facts}
        with self.shop.store.writing(By(operator="ann", at=self.now)) as writing:
            notices.queue(writing, tenant, "payment_recorded", told, dedupe=f"payment:{number}", now=self.now)

    def change(self, change: Any, *args: Any, **kwargs: Any) -> Any:
        with self.shop.store.writing(TESTER) as writing:
            return change(writing, *args, **kwargs)

    def notices(self) -> list[Notice]:
        with self.shop.store.reading() as conn:
            return notices.list_notices(conn)

    def states(self) -> list[str]:
        return [notice.state.value for notice in self.notices()]


@pytest.fixture
def desk(tmp_path: Path, mail: MailServer) -> Desk:
    return Desk(tmp_path / "store.db", mail)


def test_from_the_first_reminder_to_the_last_each_once(desk: Desk) -> None:
    desk.tenant(zone="Asia/Shanghai", language="zh-CN")
    desk.tenant("globex")
    told: dict[str, list[int]] = {"ann@acme.example": [], "ann@globex.example": []}
    runner, other = desk.runner(), desk.runner()
    near = {day + step for day in (-60, -30, -14, -7, -3, -1, 0, 31, 59) for step in (-1, 0, 1)}
    for day in sorted(near | set(range(-62, 94, 4))):
        desk.now = END + day * DAY + DAY // 4
        before = desk.mail.count()
        (runner, other)[day % 2].once()
        for got in desk.mail.mails()[before:]:
            told[got.to[0]].append(day)
    assert told["ann@acme.example"] == told["ann@globex.example"] == [-60, -30, -14, -7, -3, -1, 0, 31, 59]
    mails = desk.mail.mails()
    assert len({got.id for got in mails}) == len(mails) == 18
    store_id = desk.shop.store.status().store_id
    assert {got.id for got in mails} == {f"<deskgate.{n}.{store_id}@seller.example>" for n in range(1, 19)}
    assert {got.subject for got in mails if got.to == ["ann@globex.example"]} >= {
        "Your subscription ends in 60 days",
        "Your subscription ends tomorrow",
        "Your subscription has ended",
        "Your subscription ended 2 months ago and can still be renewed",
    }
    assert "订阅将在 30 天后到期" in {got.subject for got in mails if got.to == ["ann@acme.example"]}
    assert set(desk.states()) == {"sent"}
    assert (runner.tally + other.tally) == {"planned": 18, "sent": 18}


def test_a_runner_that_was_away_tells_the_latest_and_no_burst(desk: Desk) -> None:
    desk.tenant()
    desk.now = END - 6 * DAY
    desk.runner().once()
    desk.runner().once()
    assert [got.subject for got in desk.mail.mails()] == ["Your subscription ends in 6 days"]
    (notice,) = desk.notices()
    assert (notice.facts["count"], notice.due_at, notice.sent_at) == (7, END - 7 * DAY, desk.now)


def test_one_that_waited_too_long_gives_way_to_the_next(desk: Desk) -> None:
    desk.tenant()
    desk.now = END - 7 * DAY
    desk.mail.behave(data="451 later")
    desk.runner().once()
    desk.now = END - 3 * DAY
    desk.mail.behave()
    desk.runner().once()
    assert [got.subject for got in desk.mail.mails()] == ["Your subscription ends in 3 days"]
    assert [(n.state, n.error) for n in desk.notices()] == [("cancelled", OVER), ("sent", "")]


def test_what_was_due_before_is_left_alone_when_asked(desk: Desk) -> None:
    desk.tenant()
    desk.now = END - 6 * DAY
    desk.runner(since=END - 7 * DAY).once()
    assert desk.notices() == []
    desk.now = END - 3 * DAY
    desk.runner(since=END - 7 * DAY).once()
    assert desk.states() == ["sent"]


def test_other_offsets(desk: Desk) -> None:
    desk.tenant()
    for day in range(-20, 2):
        desk.now = END + day * DAY
        desk.runner(offsets=(15, 2)).once()
    assert [n.facts["count"] for n in desk.notices()] == [15, 2, 0]


def test_a_renewal_between_planning_and_sending(desk: Desk) -> None:
    desk.tenant()
    desk.now = END - 7 * DAY
    runner = desk.runner()
    runner.plan()
    assert desk.states() == ["pending"]
    desk.shop.renew("acme", {"fd": 1}, "2026-12-25", until("2028-01-01T00:00:00Z"))
    runner.once()
    assert (desk.mail.count(), desk.states()) == (0, ["cancelled"])
    assert desk.notices()[0].error == OVER
    assert runner.tally["cancelled"] == 1


def test_an_archived_tenant_is_not_told_and_a_restored_one_is(desk: Desk) -> None:
    desk.tenant()
    desk.now = END - 7 * DAY
    runner = desk.runner()
    runner.plan()
    desk.change(tenants.archive_tenant, "acme", now=desk.now)
    runner.once()
    assert (desk.mail.count(), desk.states()) == (0, ["cancelled"])
    desk.change(tenants.restore_tenant, "acme")
    runner.once()
    assert (desk.mail.count(), desk.states()) == (1, ["sent"])


def test_an_erased_tenant_is_told_nothing_at_all(desk: Desk) -> None:
    desk.tenant()
    desk.pay()
    desk.change(tenants.archive_tenant, "acme", now=desk.now, retention_days=0)
    desk.change(erase_tenant, "acme", now=desk.now)
    desk.runner().once()
    assert (desk.mail.count(), desk.states()) == (0, ["cancelled"])


def test_the_holder_is_told_for_those_who_share_its_services(desk: Desk) -> None:
    desk.tenant()
    desk.shop.tenant("labs", parent_id="acme", contacts=["lab@acme.example"])
    desk.now = END - 7 * DAY
    desk.runner().once()
    assert [got.to for got in desk.mail.mails()] == [["ann@acme.example"]]


def test_no_contacts_is_a_failure_that_can_be_mended(desk: Desk) -> None:
    desk.tenant(contacts=[])
    desk.now = END - 7 * DAY
    runner = desk.runner()
    runner.once()
    (notice,) = desk.notices()
    assert (notice.state, notice.error, notice.attempts) == ("failed", NO_CONTACTS, 0)
    runner.once()
    assert desk.states() == ["failed"], "it is not planned once more"
    desk.change(tenants.update_tenant, "acme", now=desk.now, contacts=["ann@acme.example"])
    desk.change(notices.retry_notice, notice.id, now=desk.now)
    runner.once()
    assert (desk.states(), desk.mail.count()) == (["sent"], 1)


def test_what_the_server_will_never_take_has_failed_and_can_be_tried_again(desk: Desk) -> None:
    desk.tenant()
    desk.pay()
    desk.mail.behave(data="554 spam")
    runner = desk.runner()
    runner.once()
    (notice,) = desk.notices()
    assert (notice.state, notice.error, notice.attempts, notice.recipients) == ("failed", "554 spam", 1, ())
    assert notice.message_id
    desk.mail.behave()
    runner.once()
    assert desk.mail.count() == 0
    desk.change(notices.retry_notice, notice.id, now=desk.now)
    runner.once()
    (got,) = desk.mail.mails()
    assert got.id == notice.message_id
    assert (desk.states(), desk.notices()[0].recipients) == (["sent"], ("ann@acme.example",))


def test_what_it_will_not_take_now_is_tried_again_later_and_not_for_ever(desk: Desk) -> None:
    desk.tenant()
    desk.pay()
    desk.mail.behave(data="451 later")
    runner = desk.runner(attempts=4)
    waits = []
    for attempt in range(1, 5):
        assert runner.send_due()
        (notice,) = desk.notices()
        assert (notice.attempts, notice.error) == (attempt, "451 later")
        waits.append(notice.next_attempt_at - desk.now)
        desk.now = max(desk.now, notice.next_attempt_at)
    assert all(0 <= wait <= 60_000_000 * 2**n for n, wait in enumerate(waits[:3]))
    assert len(set(waits[:3])) == 3, "they are drawn"
    assert desk.states() == ["failed"]
    assert runner.tally == {"postponed": 3, "failed": 1}
    assert not runner.send_due()


def test_the_wait_is_bounded(desk: Desk) -> None:
    runner = desk.runner()
    waits = [runner._delay(attempts) for attempts in (1, 30, 1000) for _ in range(200)]
    assert max(waits[:200]) <= runners.FIRST_DELAY
    assert runners.LONGEST_DELAY * 0.9 < max(waits) <= runners.LONGEST_DELAY
    assert min(waits) < runners.FIRST_DELAY


def test_those_who_have_it_do_not_get_it_again(desk: Desk) -> None:
    desk.tenant(contacts=["ann@acme.example", "bob@acme.example"])
    desk.pay()
    desk.mail.behave(rcpt={"bob@acme.example": "450 busy"})
    runner = desk.runner()
    runner.once()
    (notice,) = desk.notices()
    assert (notice.state, notice.recipients) == ("pending", ("ann@acme.example",))
    assert notice.error == "bob@acme.example: 450 busy"
    desk.mail.behave()
    desk.now = notice.next_attempt_at
    runner.once()
    assert [got.to for got in desk.mail.mails()] == [["ann@acme.example"], ["bob@acme.example"]]
    (notice,) = desk.notices()
    assert (notice.state, notice.recipients, notice.error) == ("sent", ("ann@acme.example", "bob@acme.example"), "")


def test_one_who_is_no_contact_any_more_is_waited_for_no_longer(desk: Desk) -> None:
    desk.tenant(contacts=["ann@acme.example", "bob@acme.example"])
    desk.pay()
    desk.mail.behave(rcpt={"bob@acme.example": "450 busy"})
    desk.runner().once()
    desk.change(tenants.update_tenant, "acme", now=desk.now, contacts=["ann@acme.example"])
    desk.now += DAY
    desk.runner().once()
    (notice,) = desk.notices()
    assert (notice.state, notice.recipients, desk.mail.count()) == ("sent", ("ann@acme.example",), 1)


@pytest.mark.parametrize(("reply", "attempts"), [("550 unknown", 24), ("450 busy", 1)])
def test_who_was_refused_is_on_record(desk: Desk, reply: str, attempts: int) -> None:
    desk.tenant(contacts=["ann@acme.example", "bob@acme.example"])
    desk.pay()
    desk.mail.behave(rcpt={"ann@acme.example": reply})
    desk.runner(attempts=attempts).once()
    (notice,) = desk.notices()
    assert (notice.state, notice.recipients) == ("sent", ("bob@acme.example",))
    assert notice.error == f"ann@acme.example: {reply}"


def test_a_server_that_is_away_costs_nothing_but_time(desk: Desk) -> None:
    desk.tenant()
    for number in range(5):
        desk.pay(number)
    runner = desk.runner(port=1)
    assert runner.send_due()
    assert all(n.error.startswith("127.0.0.1:1 cannot be used: ") and n.attempts == 1 for n in desk.notices())
    assert runner.tally == {"postponed": 5}
    desk.now += DAY
    desk.runner().once()
    assert (desk.mail.count(), set(desk.states())) == (5, {"sent"})


def test_a_server_that_lets_us_in_too_late_for_our_claim(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.tenant()
    desk.pay()
    connect = Mailer.connect

    def slowly(mailer: Mailer) -> None:
        time.sleep(1.1)
        connect(mailer)

    monkeypatch.setattr(Mailer, "connect", slowly)
    assert desk.runner(timeout=0.5, lease=2.0).send_due()
    (notice,) = desk.notices()
    assert (desk.mail.count(), notice.state) == (0, "pending")
    assert notice.error.endswith("takes too long to let us in")


def test_what_cannot_be_written_stops_nobody_else(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "own" / "en").mkdir(parents=True)
    (tmp_path / "own" / "en" / "payment_recorded.txt").write_text("{{ 1 / (order_id - 13) }}")
    desk.tenant()
    for number in (12, 13, 14):
        desk.pay(number)
    desk.pay(15, amount="much")
    row = {"dedupe": "x", "tenant_id": "acme", "kind": "fax", "facts": "{}", "due_at": 0, "state": "pending"}
    row |= {"attempts": 0, "next_attempt_at": 0, "claimed_by": "", "claimed_until": 0, "message_id": ""}
    with desk.shop.store.writing(TESTER) as writing:
        writing.conn.execute(insert(schema.notice).values(**row, recipients="[]", error=""))
    desk.runner(letters=Letters(tmp_path / "own")).once()
    errors = {n.dedupe: n.error for n in desk.notices() if n.state == "failed"}
    assert errors["payment:13"] == f"{tmp_path}/own/en/payment_recorded.txt:1: division by zero"
    assert errors["payment:15"].startswith("payment_recorded: its facts cannot be told")
    assert errors["x"] == "'fax' is no kind of notice that this version knows"
    assert sorted(desk.states()) == ["failed"] * 3 + ["sent"] * 2


def test_a_record_that_is_none_stops_nobody_else(desk: Desk) -> None:
    desk.tenant()
    desk.tenant("broken")
    meddle(desk.shop.store, "UPDATE entitlement SET record = :record WHERE tenant_id = 'broken'", record=b"\xff")
    desk.now = END - 7 * DAY
    desk.runner().once()
    assert [n.tenant_id for n in desk.notices()] == ["acme"]


def test_every_tenant_of_a_store_is_looked_at(desk: Desk) -> None:
    seed_many(desk.shop.store, 2 * STEP + 100, desk.now, seed=5)
    with desk.shop.store.reading() as conn:
        found = [records.decode(data) for data in conn.scalars(select(schema.entitlement.c.record))]
    holders = [Tenant(record, record, shipped.book()) for record in found if not record.holder_id]
    expected = {r.dedupe for tenant in holders for r in reminders(tenant, OFFSETS, desk.now)}
    assert len(expected) > 100
    runner = desk.runner()
    runner.plan()
    runner.plan()
    with desk.shop.store.reading() as conn:
        queued = list(conn.scalars(select(schema.notice.c.dedupe)))
    assert (set(queued), len(queued), runner.tally["planned"]) == (expected, len(expected), len(expected))


def test_a_lease_must_outlast_the_server(desk: Desk) -> None:
    with pytest.raises(InvalidRequest, match="at least four times the mail server's timeout, 8 s"):
        desk.runner(lease=7.9)


# --- running on and on ---


@contextmanager
def running(runner: Runner) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=runner.run)
    thread.start()
    try:
        yield thread
    finally:
        runner.stop()
        thread.join(30)
        assert not thread.is_alive()


def test_what_is_queued_while_it_runs_is_sent(desk: Desk) -> None:
    desk.tenant()
    with running(desk.runner(plan_every=0.05)):
        desk.pay(1)
        until_kept(desk.mail, 1)
        desk.now = END - 7 * DAY
        until_kept(desk.mail, 2)
        wait_for(lambda: desk.states() == ["sent", "sent"])


def test_a_store_that_is_away_is_waited_for(desk: Desk) -> None:
    desk.tenant()
    with running(desk.runner(plan_every=0.02)) as thread, capture_logs() as logs:
        desk.pay(1)
        until_kept(desk.mail, 1)
        wait_for(lambda: desk.states() == ["sent"])
        with away(desk.shop.store):
            told = ("store cannot be used", "STORE_UNAVAILABLE")
            wait_for(lambda: told in [(e["event"], e.get("code")) for e in logs], "told of it")
            assert thread.is_alive()
        desk.pay(2)
        until_kept(desk.mail, 2)
        wait_for(lambda: desk.states() == ["sent", "sent"])
        wait_for(lambda: "store can be used again" in [e["event"] for e in logs], "told that it is back")
    problems = [e["problem"] for e in logs if e["event"] == "store cannot be used"]
    assert len(problems) == len(set(problems)) <= 2, "each once: a connection that was lost, then none to be had"
    assert [e["event"] for e in logs].count("store can be used again") == 1


def test_it_stops_after_the_letter_on_its_way_and_gives_back_the_rest(desk: Desk) -> None:
    desk.tenant()
    for number in range(5):
        desk.pay(number)
    desk.mail.behave(delay=0.4)
    runner = desk.runner()
    with running(runner):
        until_kept(desk.mail, 1)
    sent = desk.mail.count()
    assert 1 <= sent <= 2
    assert desk.states() == ["sent"] * sent + ["pending"] * (5 - sent)
    assert all((n.claimed_by, n.claimed_until, n.attempts) == ("", 0, 0) for n in desk.notices()[sent:])
    desk.mail.behave()
    desk.runner().once()
    assert len({got.id for got in desk.mail.mails()}) == desk.mail.count() == 5


def test_a_store_that_is_locked_when_a_letter_was_taken_is_waited_for(desk: Desk) -> None:
    desk.tenant()
    desk.pay()
    desk.mail.behave(delay=0.3)
    patient, desk.shop.store = desk.shop.store, again(desk.shop.store, busy_timeout=0.05)
    runner = desk.runner()
    thread = threading.Thread(target=runner.once)
    with capture_logs() as logs:
        thread.start()
        until_kept(desk.mail, 1)
        with patient.writing(TESTER):
            told = ("not recorded yet", "STORE_LOCKED")
            wait_for(lambda: told in [(e["event"], e.get("code")) for e in logs], "told of it")
    thread.join(30)
    assert (desk.states(), desk.mail.count()) == (["sent"], 1)


def test_a_claim_that_ran_out_is_sent_again_under_the_same_name(desk: Desk) -> None:
    """As after a crash between the server's yes and our record."""
    desk.tenant()
    desk.pay()
    dead = desk.runner()
    claimed, _ = dead._claim()
    assert [c.to for c in claimed] == [("ann@acme.example",)]
    other = desk.runner()
    other.once()
    assert (desk.mail.count(), desk.states()) == (0, ["pending"])
    desk.now += 60_000_000
    other.once()
    (got,) = desk.mail.mails()
    assert got.id == claimed[0].message_id
    assert desk.states() == ["sent"]
