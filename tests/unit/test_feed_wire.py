"""Events as bytes: what is written is read again, and whatever else comes is told as garbage, with what is wrong."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar._gen.desking.entitlements.v1 import feed_pb2 as pb
from sync.feed.protocol import Batch, Heartbeat
from sync.feed.wire import (
    LONGEST_INTERVAL,
    batch_bytes,
    change_messages,
    heartbeat_bytes,
    numbered,
    read_changes,
    read_event,
    read_position,
)
from sync.sources import Change, FailureKind, Position, SyncFailed

MARK = "ab" * 32
AT = Position(store_id="store", revision=7, mark=MARK)
INT64 = 2**63 - 1

ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=64).filter(lambda text: len(text.encode()) <= 256)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
positions = st.builds(Position, store_id=ids, revision=st.integers(0, INT64), mark=digests)
changes = st.lists(st.tuples(ids, st.none() | st.binary(max_size=40)), max_size=5).map(tuple)
sequences = st.integers(1, 2**40)
intervals = st.integers(1, int(LONGEST_INTERVAL * 1000)).map(lambda ms: ms / 1000)


def garbage(data: bytes, *said: str) -> None:
    with pytest.raises(SyncFailed) as told:
        read_event(data)
    assert told.value.kind is FailureKind.GARBAGE
    assert told.value.problem.startswith("the feed makes no sense: ")
    assert all(part in told.value.problem for part in said), told.value.problem


@given(sequences, positions, st.booleans(), st.integers(0, INT64), changes, st.booleans(), digests, st.booleans())
def test_a_batch_comes_back_as_it_was(
    sequence: int,
    position: Position,
    snapshot: bool,
    since: int,
    changes: tuple[Change, ...],
    more: bool,
    digest: str,
    part: bool,
) -> None:
    event = batch_bytes(
        position=position,
        snapshot=snapshot,
        since_revision=since,
        changes=changes,
        more=more,
        digest=digest,
        part=part,
    )
    assert read_event(numbered(sequence, event)) == Batch(
        sequence=sequence,
        position=position,
        snapshot=snapshot,
        since_revision=since,
        changes=changes,
        more=more,
        digest=digest,
        part=part,
    )


@given(sequences, st.none() | positions, st.integers(1, INT64), intervals, st.text(st.characters(codec="utf-8")))
def test_a_heartbeat_comes_back_as_it_was(
    sequence: int, position: Position | None, instant: int, interval: float, problem: str
) -> None:
    event = heartbeat_bytes(position=position, store_instant=instant, interval=interval, problem=problem)
    assert read_event(numbered(sequence, event)) == Heartbeat(
        sequence=sequence, position=position, store_instant=instant, interval=interval, problem=problem
    )


@given(sequences)
def test_a_number_before_an_event_is_protobufs_own(sequence: int) -> None:
    event = heartbeat_bytes(position=AT, store_instant=1, interval=1)
    message = pb.WatchResponse.FromString(event)
    message.sequence = sequence
    assert numbered(sequence, event) == message.SerializeToString(deterministic=True)


@pytest.mark.parametrize("sequence", [1, 0x7F, 0x80, 0x3FFF, 0x4000, 2**32 - 1, 2**32, 2**40])
def test_numbers_where_their_length_changes(sequence: int) -> None:
    event = heartbeat_bytes(position=None, store_instant=0, interval=1)
    assert read_event(numbered(sequence, event)).sequence == sequence


@given(changes)
def test_changes_come_back_as_they_were(changes: tuple[Change, ...]) -> None:
    assert read_changes(change_messages(changes)) == changes


# Garbage


@pytest.mark.parametrize("data", [b"\xff", b"\x12\xff", b"\x12\x05\x0a", b"GET / HTTP/1.1", b"\x0b\x0b\x0b"])
def test_bytes_that_are_no_message(data: bytes) -> None:
    garbage(data, "a message is none")


@pytest.mark.parametrize("data", [b"", numbered(3, b""), b"\x22\x01x"])
def test_a_message_without_an_event(data: bytes) -> None:
    garbage(data, "a message holds no event")


@given(st.binary(max_size=64))
def test_whatever_bytes_are_an_event_or_garbage(data: bytes) -> None:
    with suppress(SyncFailed):
        assert isinstance(read_event(data), Batch | Heartbeat)


BATCH = batch_bytes(position=AT, snapshot=False, since_revision=5, changes=[("t", b"r")], more=False, digest=MARK)
BEAT = heartbeat_bytes(position=AT, store_instant=1, interval=5)


def altered(event: bytes, **fields: Any) -> bytes:
    """An event with some fields otherwise: of its position, or its own."""
    message = pb.WatchResponse.FromString(event)
    inner = getattr(message, str(message.WhichOneof("event")))
    for name, value in fields.items():
        setattr(inner.position if name in ("store_id", "revision", "mark") else inner, name, value)
    return bytes(message.SerializeToString())


@pytest.mark.parametrize(
    "fields",
    [
        {"store_id": "other"},
        {"revision": 8},
        {"mark": "cd" * 32},
        {"snapshot": True},
        {"since_revision": 6},
        {"digest": "cd" * 32},
        {"digest": ""},
        {"seal": 0},
    ],
    ids=str,
)
def test_what_a_seal_covers_is_not_altered(fields: dict[str, Any]) -> None:
    assert read_event(BATCH)
    garbage(altered(BATCH, **fields), "not as it was sealed")


def test_each_bit_of_a_batch_is_covered_by_seal_or_digest_or_is_told() -> None:
    """Any one bit that changes on the way shows at once, or alters the records, which the digest covers, or alters
    whether more is to come, which the next event tells.
    """
    whole = read_event(BATCH)
    for place in range(len(BATCH) * 8):
        data = bytearray(BATCH)
        data[place // 8] ^= 1 << place % 8
        try:
            found = read_event(bytes(data))
        except SyncFailed:
            continue
        assert isinstance(found, Batch)
        assert isinstance(whole, Batch)
        same = (found.position, found.snapshot, found.since_revision, found.digest) == (
            whole.position,
            whole.snapshot,
            whole.since_revision,
            whole.digest,
        )
        assert same or found == whole, f"bit {place}: {found}"


DIGESTS = ["", "0", MARK[:-1], MARK + "0", MARK.upper(), "xy" * 32, " " + MARK[1:], "é" * 64, "ab " * 21 + "a"]


@pytest.mark.parametrize("text", DIGESTS)
def test_digests_are_64_hexadecimal_digits(text: str) -> None:
    garbage(altered(BEAT, mark=text), "is no digest")
    of = Position(store_id="s", revision=1, mark=MARK)
    event = batch_bytes(position=of, snapshot=True, since_revision=0, changes=(), more=False, digest=text)
    garbage(event, "is no digest")
    garbage(
        batch_bytes(
            position=Position(store_id="s", revision=1, mark=text),
            snapshot=True,
            since_revision=0,
            changes=(),
            more=False,
            digest=MARK,
        ),
        "is no digest",
    )


@pytest.mark.parametrize(
    ("store_id", "revision"), [("", 1), ("s", -1), ("s", -(2**63)), ("x" * 257, 1), ("é" * 129, 1)]
)
def test_positions_that_are_none(store_id: str, revision: int) -> None:
    garbage(altered(BEAT, store_id=store_id, revision=revision), f"revision {revision} is no position")
    with pytest.raises(ValueError, match="is no position"):
        read_position(pb.FeedPosition(store_id=store_id, revision=revision, mark=MARK))


@pytest.mark.parametrize("tenant_id", ["", "x" * 257, "é" * 129])
def test_records_of_no_tenant(tenant_id: str) -> None:
    changes = [("good", b"r"), (tenant_id, b"r")]
    event = batch_bytes(position=AT, snapshot=True, since_revision=0, changes=changes, more=False, digest=MARK)
    garbage(event, "a record is of no tenant")


@pytest.mark.parametrize("instant", [0, -1, -(2**63)])
def test_instants_that_are_none(instant: int) -> None:
    garbage(altered(BEAT, store_instant=instant), f"{instant} is no instant")
    assert read_event(heartbeat_bytes(position=None, store_instant=instant, interval=1))


@pytest.mark.parametrize("interval", [0, -1, 600_001, 2**31 - 1])
def test_intervals_that_are_none(interval: int) -> None:
    garbage(altered(BEAT, interval_ms=interval), f"heartbeats every {interval} ms")


def test_a_record_may_be_empty_which_is_not_to_have_none() -> None:
    changes: list[Change] = [("a", b""), ("b", None)]
    event = batch_bytes(position=AT, snapshot=True, since_revision=0, changes=changes, more=False, digest=MARK)
    found = read_event(event)
    assert isinstance(found, Batch)
    assert found.changes == (("a", b""), ("b", None))
