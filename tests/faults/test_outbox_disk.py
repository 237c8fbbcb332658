"""A disk that is really full: no statement is acknowledged that is not kept, none that is kept is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.outbox.file import Outbox
from sidecar.outbox.rows import OutboxUnusable
from sidecar.outbox.sender import Sender
from sidecar.outbox.writer import OutboxUsageWriter
from sidecar.serving.adjust import Adjusted, Adjustment
from sidecar.serving.answers import CannotAnswer, Code
from tests.faults.test_full_disk import disk, fill_up
from tests.unit.test_outbox_sender import Store

__all__ = ["disk"]
USER = "u" * 200


def adjustment(number: int) -> Adjustment:
    seats = tuple((f"{USER}{n}", True) for n in range(50))
    return Adjustment(tenant_id="acme", key="designer", idempotency_key=f"k{number}", seats=seats)


def test_a_full_disk(disk: Path) -> None:
    outbox, store = Outbox(disk / "outbox.db", limit=10_000), Store()
    sender = Sender(outbox, store)
    write = OutboxUsageWriter(sender, lambda: 1)
    assert write(adjustment(0), 0.0) == Adjusted(queued=True)
    ballast = fill_up(disk)
    taken = [0]

    def until_it_is_full() -> None:
        for number in range(1, 400):
            assert write(adjustment(number), 0.0).queued
            taken.append(number)

    with pytest.raises(CannotAnswer, match="no room left on the disk") as raised:
        until_it_is_full()
    assert raised.value.code is Code.UNAVAILABLE
    ballast.unlink()
    assert write(adjustment(1000), 0.0).queued
    while not sender.step():
        pass
    assert store.taken == [f"k{n}" for n in (*taken, 1000)]
    assert outbox.oldest() is None
    outbox.close()


def test_an_outbox_that_cannot_be_begun(disk: Path) -> None:
    ballast = fill_up(disk)
    outbox = Outbox(disk / "outbox.db", limit=10)
    with pytest.raises(OutboxUnusable):
        outbox.open()
    with pytest.raises(CannotAnswer) as raised:
        OutboxUsageWriter(Sender(outbox, Store()), lambda: 1)(adjustment(1), 0.0)
    assert raised.value.code is Code.UNAVAILABLE
    assert outbox.aside() == [], "a full disk is no damage"
    ballast.unlink()
    assert OutboxUsageWriter(Sender(outbox, Store()), lambda: 1)(adjustment(1), 0.0).queued
    outbox.close()
