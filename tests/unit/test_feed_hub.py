"""What a feed server knows of its store: when it is in touch, whom it tells so, and whom it lets in."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sync.feed import hub as hubs
from sync.feed.errors import Stopping
from sync.feed.eye import Doors, Seen, elapsed
from sync.feed.hub import OUT_OF_TOUCH, Hub
from sync.feed.protocol import Heartbeat
from sync.feed.window import Delta
from sync.feed.wire import read_event
from sync.sources import Position
from sync.store.operators import Operator, Role, token_digest

INSTANT = 1_800_000_000_000_000


def at(revision: int) -> Position:
    return Position(store_id="s", revision=revision, mark="a" * 64)


def delta(since: int, to: int, *, left_at: float) -> Delta:
    return Delta(since=at(since), position=at(to), changes=(), batch=b"x", left_at=left_at)


def seen(revision: int, *, ago: float = 0.0, **more: Any) -> Seen:
    return Seen(position=at(revision), instant=INSTANT, at=elapsed() - ago, **more)


def told(hub: Hub, position: Position | None) -> Heartbeat:
    event = read_event(hub.heartbeat(position))
    assert isinstance(event, Heartbeat)
    return event


def sidecar(name: str = "desk-1") -> Operator:
    return Operator(name=name, role=Role.SIDECAR, created_at=0, disabled_at=None)


def test_before_the_first_look_there_is_nothing_to_tell_and_after_a_while_that_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub = Hub()
    assert (told(hub, None).problem, hub.in_touch, hub.head) == ("", False, None)
    monkeypatch.setattr(hubs, "OUT_OF_TOUCH", -1.0)
    assert told(hub, None).problem == "it does not answer"
    hub.trouble("it is locked")
    assert told(hub, None).problem == "it is locked"


def test_contact_is_told_to_who_is_where_the_store_is_with_its_clock() -> None:
    hub = Hub()
    hub.take(seen(5, ago=2.0))
    beat = told(hub, at(5))
    assert (beat.position, beat.problem) == (at(5), "")
    assert abs(beat.store_instant - INSTANT - 2_000_000) < 1_000_000
    for elsewhere in (None, at(4), at(6)):
        assert told(hub, elsewhere).position is None


def test_contact_is_told_to_who_was_there_within_the_interval_alone() -> None:
    """What was read to catch somebody up says nothing of when the store was there."""
    hub, now = Hub(interval=5.0), elapsed()
    hub.take(seen(6, delta=delta(5, 6, left_at=now - 1)))
    hub.window.put(delta(4, 6, left_at=now - 6))
    hub.window.put(delta(3, 6, left_at=float("-inf")))
    assert [told(hub, at(n)).position for n in (6, 5, 4, 3)] == [at(6), at(5), None, None]


def test_one_look_that_fails_is_not_told_but_that_none_went_well_for_a_while_is() -> None:
    hub = Hub()
    hub.take(seen(5))
    hub.trouble("it is locked")
    assert told(hub, at(5)).position == at(5)
    hub.take(seen(5, ago=OUT_OF_TOUCH + 1))
    hub.trouble("it is locked")
    beat = told(hub, at(5))
    assert (beat.position, beat.problem, beat.store_instant, hub.in_touch) == (None, "it is locked", 0, False)
    hub.take(seen(5))
    assert told(hub, at(5)).position == at(5)


def test_of_another_history_nothing_that_was_known_is_of_use() -> None:
    hub = Hub()
    hub.take(seen(6, delta=delta(5, 6, left_at=elapsed())))
    assert hub.knows(at(5))
    assert hub.knows(at(6))
    hub.take(seen(2, broken="it went back"))
    assert (hub.knows(at(5)), hub.knows(at(6)), hub.knows(at(2)), hub.history) == (False, False, True, 1)


def test_who_is_let_in_is_known_by_token_and_by_name_as_it_was_last_found_out() -> None:
    hub = Hub()
    assert hub.sidecar("t") is hub.sidecar("") is hub.named("desk-1") is None
    hub.doors(Doors(at=1.0, by_token={token_digest("t"): sidecar()}))
    assert hub.sidecar("t") == hub.named("desk-1") == sidecar()
    assert hub.sidecar("other") is None
    hub.doors(Doors(at=2.0, by_token={token_digest("other"): sidecar("desk-2")}))
    assert (hub.sidecar("t"), hub.named("desk-1"), hub.doors_at) == (None, None, 2.0)


def test_news_wakes_who_took_the_event_before_it_and_no_news_does_not() -> None:
    async def story() -> None:
        hub = Hub()
        for news in (
            lambda: hub.take(seen(1)),
            lambda: hub.take(seen(2)),
            lambda: hub.doors(Doors(at=1.0, by_token={"x": sidecar()})),
            hub.close,
        ):
            before = hub.changed
            news()
            assert before.is_set()
            await asyncio.wait_for(hub.news(before, 60.0), 5.0)
        before = hub.changed
        hub.take(seen(2))
        hub.trouble("none")
        hub.doors(Doors(at=2.0, by_token={"x": sidecar()}))
        assert not before.is_set()
        await hub.news(before, 0.01)
        await hub.news(before, -1.0)

    asyncio.run(story())


def test_a_revision_is_waited_for_until_it_is_there_or_the_replica_stops() -> None:
    async def story() -> None:
        hub = Hub()
        waiting = asyncio.create_task(hub.reach(3))
        for revision in (1, 2):
            hub.take(seen(revision))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not waiting.done()
        hub.take(seen(4))
        await asyncio.wait_for(waiting, 5)
        never = asyncio.create_task(hub.reach(9))
        await asyncio.sleep(0)
        hub.close()
        with pytest.raises(Stopping):
            await asyncio.wait_for(never, 5)

    asyncio.run(story())
