"""Two runners on one store, killed at any moment and started again: every notice is in the mailbox, under a Message-ID
of its own; at most one repeat for each kill; and the store says in the end that all were sent.

`DESKGATE_SOAK=1` kills 60 times instead of 4.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from sidecar.core.calendar import format_instant
from sidecar.core.model import DAY
from sync.notices.planning import OFFSETS
from sync.store import notices
from sync.store.audit import By
from sync.store.notices import Notice
from sync.store.tenants import NewTenant, create_tenants
from tests.mailserver import MailServer, mail_server
from tests.serving import COMMAND, ROOT, environment, wait_for
from tests.storing import TESTER, Shop, per_unit, until

SOAK = os.environ.get("DESKGATE_SOAK") == "1"
KILLS = 60 if SOAK else 4
TENANTS = 60 if SOAK else 16
PAYMENTS = 10
"""Notices that come in for each kill, while runners are at work."""
SHOWN = 5 if SOAK else 1
"""Kills that must be shown to have come after the mail server had said yes, and before that was on record."""
TIMEOUT, LEASE = 1.25, 5.0


def now() -> int:
    return time.time_ns() // 1000


class Runners:
    """Two processes, each replaced when it is killed."""

    def __init__(self, store: Path, mail: MailServer, stack: ExitStack) -> None:
        self._command = [*COMMAND, "notices", "run", "--store", str(store), "--smtp", f"127.0.0.1:{mail.port}"]
        self._command += ["--smtp-tls", "none", "--from", "desking@seller.example", "--smtp-timeout", str(TIMEOUT)]
        self._command += ["--lease", str(LEASE), "--plan-every", "0.2", "--look-every", "0.02"]
        self._stack = stack
        self.running = [self._start(), self._start()]

    def _start(self) -> subprocess.Popen[bytes]:
        return self._stack.enter_context(process(self._command))

    def kill(self, number: int) -> None:
        self.running[number].send_signal(signal.SIGKILL)
        self.running[number].wait(30)

    def replace(self, number: int) -> None:
        self.running[number] = self._start()


@contextmanager
def process(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    running = subprocess.Popen(command, cwd=ROOT, env=environment(), stderr=subprocess.DEVNULL)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def on_record(shop: Shop) -> list[Notice]:
    with shop.store.reading() as conn:
        return [n for page in range(10) for n in notices.list_notices(conn, after=page * 1000, limit=1000)]


def sell(shop: Shop) -> None:
    """Tenants whose terms end in between 1 and 50 days from now, so that one reminder is due to each."""
    shop.product(per_unit("fd", "fixed_desk"))
    with shop.store.writing(TESTER) as writing:
        asks = [NewTenant(id=f"t{n}", contacts=[f"t{n}@customer.example"]) for n in range(TENANTS)]
        assert create_tenants(writing, asks, now=now()) == [None] * TENANTS
    began = format_instant(now() - 200 * DAY)
    for number in range(TENANTS):
        end = now() + (2 + number % 50) * DAY + DAY // 2
        shop.new(f"t{number}", {"fd": 1}, began, until(format_instant(end)))


def pay(shop: Shop, number: int) -> None:
    at = now()
    facts = {"order_id": number, "amount": 1_000_000, "currency": "CNY"}
    with shop.store.writing(By(operator="ann", at=at)) as writing:
        for n in range(number * PAYMENTS, (number + 1) * PAYMENTS):
            notices.queue(writing, f"t{n % TENANTS}", "payment_recorded", facts, dedupe=f"payment:{n}", now=at)


def strike(runners: Runners, shop: Shop, mail: MailServer, rng: random.Random, number: int) -> bool:
    """Odd kills at any moment, even ones as soon as a letter was kept, every third of both; whether these left a letter
    that was kept and is not on record.
    """
    seen = mail.count()
    pay(shop, number)
    wait_for(lambda: mail.count() > seen, "a letter")
    if number % 2:
        time.sleep(rng.uniform(0, 0.3))
    else:
        seen = mail.count()
        wait_for(lambda: mail.count() > seen, "another letter", seconds=LEASE + 20)
    victims = [rng.randrange(2)] if number % 3 else [0, 1]
    for victim in victims:
        runners.kill(victim)
    done = {n.message_id for n in on_record(shop) if n.state == "sent"}
    ahead = {got.id for got in mail.mails()} - done
    for victim in victims:
        runners.replace(victim)
    return bool(ahead) and len(victims) == 2


@pytest.mark.timeout(1800)
def test_killed_while_sending(tmp_path: Path) -> None:
    shop, rng = Shop(tmp_path / "store.db"), random.Random(20_261_125)
    sell(shop)
    shown = 0
    with ExitStack() as stack:
        mail = stack.enter_context(mail_server(tmp_path / "mail"))
        mail.behave(delay=0.05)
        runners = Runners(shop.store.path, mail, stack)
        kills = 0
        for number in range(KILLS):
            shown += strike(runners, shop, mail, rng, number)
            kills += 1 if number % 3 else 2
        expected = TENANTS + KILLS * PAYMENTS
        wait_for(lambda: Counter(n.state.value for n in on_record(shop)) == {"sent": expected}, "all sent", LEASE + 60)
        assert all(runner.poll() is None for runner in runners.running), "a runner ended by itself"
        mails = mail.mails()
    held = {n.message_id: n for n in on_record(shop)}
    times = Counter(got.id for got in mails)
    assert set(times) == set(held), "the mailbox has each, and nothing else"
    assert {got.id: got.to for got in mails} == {i: [f"{n.tenant_id}@customer.example"] for i, n in held.items()}
    reminded = [n for n in held.values() if n.kind == "expiring"]
    assert Counter(n.tenant_id for n in reminded) == {f"t{n}": 1 for n in range(TENANTS)}
    assert {n.facts["count"] for n in reminded} <= set(OFFSETS)
    repeats = times.total() - len(times)
    assert repeats <= kills, f"{repeats} repeats after {kills} kills"
    print(f"{kills} kills, {shown} shown to be between the yes and its record; {repeats} repeats")  # noqa: T201
    assert shown >= SHOWN
    assert repeats >= shown, "what was not on record is sent once more"
