"""A watcher's machine: what may come when, and that everything else ends the stream with nothing of it taken."""

from __future__ import annotations

from itertools import product
from random import Random
from typing import Any

import pytest

from sidecar.core.model import Record
from sidecar.records import encode
from sync.feed.protocol import (
    TRANSITIONS,
    Action,
    Batch,
    Begin,
    Contact,
    Event,
    Heartbeat,
    Kind,
    More,
    Nothing,
    OutOfTouch,
    State,
    Watcher,
)
from sync.sources import Change, FailureKind, Position, SyncFailed
from tests.property import test_feed_histories as histories

MARKS = {letter: letter * 64 for letter in "abcdef"}


def at(revision: int, mark: str = "a", store_id: str = "s") -> Position:
    return Position(store_id=store_id, revision=revision, mark=MARKS[mark])


def record(tenant_id: str, holder: str = "") -> bytes:
    return encode(Record(tenant_id=tenant_id, revision=1, zone="UTC", holder_id=holder))


def batch(sequence: int, to: Position, *changes: Change, **given: Any) -> Batch:
    """Changes since revision 5, unless it is said otherwise."""
    fields = {"snapshot": False, "since_revision": 5, "more": False, "digest": to.mark} | given
    return Batch(sequence=sequence, position=to, changes=changes, **fields)


def beat(sequence: int, position: Position | None = None, *, problem: str = "") -> Heartbeat:
    return Heartbeat(sequence=sequence, position=position, store_instant=7, interval=5.0, problem=problem)


FIVE = at(5)


def following(held: Position | None = FIVE, only: tuple[str, ...] = ()) -> Watcher:
    watcher = Watcher(only)
    watcher.opened(held)
    return watcher


def receiving() -> Watcher:
    watcher = following()
    assert watcher.received(batch(1, at(6, "b"), ("t1", b"1"), more=True)) == begin(6, "b", ("t1", b"1"), last=False)
    return watcher


def begin(revision: int, mark: str, *changes: Change, last: bool = True, snapshot: bool = False) -> Begin:
    return Begin(position=at(revision, mark), snapshot=snapshot, digest=MARKS[mark], changes=changes, last=last)


def refused(watcher: Watcher, event: Event, kind: FailureKind, *said: str) -> None:
    """The event is not taken, and nothing is after it."""
    with pytest.raises(SyncFailed) as told:
        watcher.received(event)
    assert told.value.kind is kind, told.value
    assert all(part in told.value.problem for part in said), told.value
    assert watcher.state is State.CLOSED
    with pytest.raises(SyncFailed, match="on a stream that was closed"):
        watcher.received(event)


GARBAGE = FailureKind.GARBAGE

# Transitions

MAKE = {State.CLOSED: lambda: Watcher(), State.FOLLOWING: following, State.RECEIVING: receiving}
EVENTS = {
    State.CLOSED: {Kind.PART: batch(1, at(6), more=True), Kind.LAST: batch(1, at(6)), Kind.HEARTBEAT: beat(1)},
    State.FOLLOWING: {
        Kind.PART: batch(1, at(6, "b"), ("t", None), more=True),
        Kind.LAST: batch(1, at(6, "b"), ("t", None)),
        Kind.HEARTBEAT: beat(1, at(5)),
    },
    State.RECEIVING: {
        Kind.PART: batch(2, at(6, "b"), ("t2", b"2"), more=True),
        Kind.LAST: batch(2, at(6, "b"), ("t2", b"2")),
        Kind.HEARTBEAT: beat(2),
    },
}
ACTIONS: dict[tuple[State, Kind], Action] = {
    (State.FOLLOWING, Kind.PART): begin(6, "b", ("t", None), last=False),
    (State.FOLLOWING, Kind.LAST): begin(6, "b", ("t", None)),
    (State.FOLLOWING, Kind.HEARTBEAT): Contact(store_instant=7),
    (State.RECEIVING, Kind.PART): More(changes=(("t2", b"2"),), last=False),
    (State.RECEIVING, Kind.LAST): More(changes=(("t2", b"2"),), last=True),
}


@pytest.mark.parametrize(("state", "kind"), list(product(State, Kind)))
def test_what_may_come_when(state: State, kind: Kind) -> None:
    watcher, event = MAKE[state](), EVENTS[state][kind]
    assert watcher.state is state
    leads_to = TRANSITIONS.get((state, kind))
    if leads_to is None:
        refused(watcher, event, GARBAGE)
        return
    assert watcher.received(event) == ACTIONS[state, kind]
    assert watcher.state is leads_to
    ended = isinstance(event, Batch) and not event.more
    assert watcher.held == (at(6, "b") if ended else at(5))


def test_every_transition_has_an_action_here() -> None:
    assert ACTIONS.keys() == TRANSITIONS.keys()


def test_a_stream_that_was_closed_gives_nothing_until_another_is_opened() -> None:
    watcher = receiving()
    watcher.closed()
    refused(watcher, batch(2, at(6, "b")), GARBAGE, "closed")
    watcher.opened(at(5))
    assert watcher.received(beat(1, at(5))) == Contact(store_instant=7)


def test_an_update_that_was_broken_off_is_not_held_and_its_rest_does_not_come_later() -> None:
    watcher = receiving()
    watcher.closed()
    watcher.opened(at(5))
    assert watcher.received(batch(1, at(7, "c"), ("t", b"1"))) == begin(7, "c", ("t", b"1"))
    assert watcher.held == at(7, "c")


# Numbers


@pytest.mark.parametrize("sequence", [3, 4, 2**40])
@pytest.mark.parametrize("make", [following, receiving])
def test_a_gap_ends_the_stream(make: Any, sequence: int) -> None:
    refused(make(), beat(sequence), GARBAGE, f"event {sequence} came after", "lost on the way")


@pytest.mark.parametrize("sequence", [2, 1, 0, -1])
def test_what_came_before_is_taken_once(sequence: int) -> None:
    watcher = following()
    watcher.received(beat(1))
    watcher.received(batch(2, at(6, "b")))
    assert watcher.received(batch(sequence, at(9, "c"), since_revision=6)) == Nothing()
    assert (watcher.held, watcher.state) == (at(6, "b"), State.FOLLOWING)
    assert watcher.received(beat(3, at(6, "b"))) == Contact(store_instant=7)


def test_what_is_doubled_within_an_update_is_taken_once() -> None:
    watcher = receiving()
    assert watcher.received(batch(1, at(6, "b"), ("t1", b"1"), more=True)) == Nothing()
    assert watcher.state is State.RECEIVING
    assert watcher.received(batch(2, at(6, "b"))) == More(changes=(), last=True)


def test_numbers_begin_anew_with_each_stream() -> None:
    watcher = following()
    watcher.received(beat(1))
    watcher.received(beat(2))
    watcher.opened(at(5))
    refused(watcher, beat(3), GARBAGE, "event 3 came after 0")


# History

BACK = FailureKind.HISTORY_WENT_BACK
OTHERS = {
    "another store": at(9, "b", "other"),
    "another store at the same point": at(5, "a", "other"),
    "an earlier revision": at(4, "b"),
    "the same revision, another mark": at(5, "b"),
}


@pytest.mark.parametrize("snapshot", [True, False])
@pytest.mark.parametrize("position", OTHERS.values(), ids=OTHERS)
def test_another_history_is_not_obeyed(position: Position, snapshot: bool) -> None:
    event = batch(1, position, ("t", b"1"), snapshot=snapshot)
    watcher = following()
    refused(watcher, event, BACK, f"store {position.store_id}, revision {position.revision}", "revision 5")
    assert watcher.held == at(5)


@pytest.mark.parametrize("position", OTHERS.values(), ids=OTHERS)
def test_a_heartbeat_of_another_history_is_no_contact(position: Position) -> None:
    refused(following(), beat(1, position), BACK)


@pytest.mark.parametrize("to", [at(5), at(6, "b"), at(2**60, "b")])
def test_a_snapshot_of_the_same_history_replaces_everything(to: Position) -> None:
    watcher = following()
    action = watcher.received(batch(1, to, ("t", b"1"), snapshot=True, since_revision=0))
    assert isinstance(action, Begin)
    assert (action.snapshot, watcher.held) == (True, to)


def test_who_holds_nothing_takes_any_history_but_no_changes() -> None:
    assert isinstance(following(None).received(batch(1, at(0), snapshot=True)), Begin)
    refused(following(None), batch(1, at(6), since_revision=0), GARBAGE, "do not fit")


@pytest.mark.parametrize("since", [4, 6, 0, -5])
def test_changes_since_something_else_do_not_fit(since: int) -> None:
    refused(following(), batch(1, at(9, "b"), since_revision=since), GARBAGE, f"changes since {since} do not fit")


@pytest.mark.parametrize(("held", "told"), [(at(5), at(6, "b")), (None, at(6)), (None, at(0))])
def test_a_heartbeat_claims_no_more_than_is_held(held: Position | None, told: Position) -> None:
    refused(following(held), beat(1, told), GARBAGE, f"{told.revision} is held, and it is not")


def test_heartbeats_tell_contact_trouble_or_nothing() -> None:
    watcher = following()
    assert watcher.received(beat(1, at(5))) == Contact(store_instant=7)
    assert watcher.received(beat(2, problem="it burns")) == OutOfTouch(problem="it burns")
    assert watcher.received(beat(3)) == Nothing()


# Updates


@pytest.mark.parametrize(
    "other",
    [
        {"to": at(7, "b")},
        {"to": at(6, "c")},
        {"to": at(6, "b", "other")},
        {"snapshot": True},
        {"since_revision": 4},
        {"digest": MARKS["c"]},
    ],
    ids=str,
)
@pytest.mark.parametrize("more", [True, False])
def test_a_batch_of_another_update_ends_the_stream(other: dict[str, Any], more: bool) -> None:
    given = {"to": at(6, "b"), "digest": MARKS["b"], "more": more} | other
    watcher = receiving()
    refused(watcher, batch(2, **given), GARBAGE, "another update")
    assert watcher.held == at(5)


def test_the_digest_of_all_records_is_the_mark() -> None:
    refused(following(), batch(1, at(6, "b"), digest=MARKS["c"]), GARBAGE, "not that of all records")
    refused(following(None), batch(1, at(6, "b"), snapshot=True, digest=MARKS["c"]), GARBAGE, "digest")


# Only some tenants


def some(*changes: Change, sequence: int = 1, **given: Any) -> Batch:
    revision = 5 + sequence
    given = {"since_revision": revision - 1, "digest": MARKS["d"]} | given
    return batch(sequence, at(revision, "b"), *changes, **given)


def test_the_digest_of_some_tenants_is_their_own() -> None:
    action = following(only=("a",)).received(some(("a", record("a"))))
    assert isinstance(action, Begin)
    assert action.digest == MARKS["d"]


@pytest.mark.parametrize("snapshot", [True, False])
@pytest.mark.parametrize("before", [(), (("a", record("a")),), (("a", b"\xff"),), (("a", None),)], ids=str)
def test_a_tenant_that_nobody_asked_for_ends_the_stream(before: tuple[Change, ...], snapshot: bool) -> None:
    watcher = following(only=("a", "b"))
    refused(watcher, some(*before, ("x", record("x")), snapshot=snapshot), GARBAGE, "'x'", "not asked for")


def test_whose_services_are_shared_may_come_as_long_as_they_are() -> None:
    watcher = following(only=("a", "b"))
    watcher.received(some(("pool", record("pool")), ("a", record("a", "pool")), snapshot=True))
    watcher.received(some(("pool", record("pool")), sequence=2))
    watcher.received(some(("a", record("a")), ("pool", None), sequence=3))
    refused(watcher, some(("pool", record("pool")), sequence=4), GARBAGE, "'pool'")


def test_a_holder_may_come_in_a_later_batch_than_who_shares() -> None:
    watcher = following(only=("a",))
    watcher.received(some(("a", record("a", "pool")), snapshot=True, more=True))
    rest = batch(2, at(6, "b"), ("pool", record("pool")), snapshot=True, digest=MARKS["d"])
    assert watcher.received(rest) == More(changes=rest.changes, last=True)
    assert watcher.held == at(6, "b")


def test_who_shared_services_in_an_earlier_world_is_forgotten_with_it() -> None:
    watcher = following(only=("a",))
    watcher.received(some(("a", record("a", "pool")), ("pool", record("pool")), snapshot=True))
    watcher.received(some(snapshot=True, sequence=2))
    refused(watcher, some(("pool", record("pool")), sequence=3), GARBAGE, "'pool'")


def test_a_tenant_may_go_whoever_it_is() -> None:
    """What is not held cannot be taken away: that harms nobody."""
    assert isinstance(following(only=("a",)).received(some(("x", None))), Begin)


# The comparison can fail


class NoSequence(Watcher):
    """Takes events in whatever order."""

    def received(self, event: Event) -> Action:
        self._sequence = event.sequence - 1
        return super().received(event)


class AnyPosition(Watcher):
    """Takes changes that do not fit what it holds, to wherever they lead."""

    def _begun(self, event: Batch) -> Begin:
        self._update = event
        return Begin(
            position=event.position,
            snapshot=event.snapshot,
            digest=event.digest,
            changes=event.changes,
            last=not event.more,
        )


class Careless(histories.Taker):
    """Does not look at the digest of what it then holds."""

    def apply(self, begun: Begin, changes: list[Change]) -> None:
        rows = {} if begun.snapshot else dict(self.rows)
        rows.update({i: r for i, r in changes if r is not None})
        for tenant_id, found in changes:
            if found is None:
                rows.pop(tenant_id, None)
        self.rows, self.position, self.doubted = rows, begun.position, False


@pytest.mark.parametrize(
    "broken",
    [{"Watcher": NoSequence, "Taker": Careless}, {"Watcher": AnyPosition, "Taker": Careless}, {"Taker": Careless}],
    ids=["no sequence", "any position", "no digest"],
)
def test_random_histories_notice_a_watcher_that_does_not_look(
    broken: dict[str, type], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, kind in broken.items():
        monkeypatch.setattr(histories, name, kind)
    noticed = 0
    for seed in range(400):
        try:
            histories.play(Random(seed))
        except AssertionError:
            noticed += 1
    assert noticed
