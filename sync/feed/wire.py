"""The protocol's events as messages of the contract, and back."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Final

from google.protobuf.message import DecodeError

from sidecar._gen.desking.entitlements.v1 import feed_pb2 as pb
from sidecar.core.model import Instant
from sync.digest import as_number
from sync.feed.protocol import Batch, Event, Heartbeat, garbage
from sync.sources import Change, Position

ID_BYTES: Final = 256
SEQUENCE: Final = bytes([1 << 3])
"""The tag of WatchResponse.sequence: a varint follows."""
LONGEST_INTERVAL: Final = 600.0
"""Seconds between two heartbeats that a watcher puts up with."""


def numbered(sequence: int, event: bytes) -> bytes:
    """A WatchResponse: its number, and an event that is the same for every watcher, serialized once."""
    number = bytearray(SEQUENCE)
    while sequence > 0x7F:
        number.append(sequence & 0x7F | 0x80)
        sequence >>= 7
    number.append(sequence)
    return bytes(number) + event


def batch_bytes(
    *,
    position: Position,
    snapshot: bool,
    since_revision: int,
    changes: Iterable[Change],
    more: bool,
    digest: str,
    part: bool = False,
) -> bytes:
    """An event without its number."""
    batch = pb.Batch(
        position=position_message(position),
        snapshot=snapshot,
        since_revision=since_revision,
        changes=change_messages(changes),
        more=more,
        digest=digest,
        seal=_seal(position, snapshot, since_revision, digest, part),
        part=part,
    )
    return pb.WatchResponse(batch=batch).SerializeToString()


def _seal(position: Position, snapshot: bool, since_revision: int, digest: str, part: bool) -> int:
    at = f"{position.store_id} {position.revision} {position.mark}"
    said = f"{at} {int(snapshot)} {since_revision} {digest} {int(part)}"
    return zlib.crc32(said.encode("utf-8", "surrogatepass"))


def heartbeat_bytes(*, position: Position | None, store_instant: Instant, interval: float, problem: str = "") -> bytes:
    """An event without its number."""
    heartbeat = pb.Heartbeat(
        position=None if position is None else position_message(position),
        store_instant=store_instant,
        interval_ms=round(interval * 1000),
        problem=problem,
    )
    return pb.WatchResponse(heartbeat=heartbeat).SerializeToString()


def position_message(position: Position) -> pb.FeedPosition:
    """A position in the contract's terms."""
    return pb.FeedPosition(store_id=position.store_id, revision=position.revision, mark=position.mark)


def change_messages(changes: Iterable[Change]) -> list[pb.RecordChange]:
    """Changes in the contract's terms."""
    return [pb.RecordChange(tenant_id=tenant_id, record=record) for tenant_id, record in changes]


def read_event(data: bytes) -> Event:
    """An event as it came. Raises SyncFailed, GARBAGE."""
    try:
        return _event(pb.WatchResponse.FromString(data))
    except DecodeError as e:
        raise garbage(f"a message is none ({e})") from e
    except ValueError as e:
        raise garbage(str(e)) from e


def _event(message: pb.WatchResponse) -> Event:
    if message.WhichOneof("event") == "batch":
        return _batch(message.sequence, message.batch)
    if message.WhichOneof("event") == "heartbeat":
        return _heartbeat(message.sequence, message.heartbeat)
    raise ValueError("a message holds no event")


def _batch(sequence: int, batch: pb.Batch) -> Batch:
    position = read_position(batch.position)
    if batch.seal != _seal(position, batch.snapshot, batch.since_revision, batch.digest, batch.part):
        raise ValueError("a batch is not as it was sealed")
    return Batch(
        sequence=sequence,
        position=position,
        snapshot=batch.snapshot,
        since_revision=batch.since_revision,
        changes=read_changes(batch.changes),
        more=batch.more,
        digest=_digest(batch.digest),
        part=batch.part,
    )


def _heartbeat(sequence: int, beat: pb.Heartbeat) -> Heartbeat:
    told = beat.HasField("position")
    if told and beat.store_instant <= 0:
        raise ValueError(f"{beat.store_instant} is no instant of a store's clock")
    if not 0 < beat.interval_ms <= LONGEST_INTERVAL * 1000:
        raise ValueError(f"heartbeats every {beat.interval_ms} ms are none")
    return Heartbeat(
        sequence=sequence,
        position=read_position(beat.position) if told else None,
        store_instant=beat.store_instant,
        interval=beat.interval_ms / 1000,
        problem=beat.problem,
    )


def read_position(message: pb.FeedPosition) -> Position:
    """A position as it came. Raises ValueError saying what is wrong."""
    if not 1 <= len(message.store_id.encode()) <= ID_BYTES or message.revision < 0:
        raise ValueError(f"store {message.store_id[:64]!r} at revision {message.revision} is no position")
    return Position(store_id=message.store_id, revision=message.revision, mark=_digest(message.mark))


def read_changes(messages: Iterable[pb.RecordChange]) -> tuple[Change, ...]:
    """Changes as they came. Raises ValueError saying what is wrong."""
    found = tuple((m.tenant_id, m.record if m.HasField("record") else None) for m in messages)
    for tenant_id, _ in found:
        if not 1 <= len(tenant_id.encode()) <= ID_BYTES:
            raise ValueError("a record is of no tenant")
    return found


def _digest(text: str) -> str:
    try:
        as_number(text)
    except ValueError as e:
        raise ValueError(f"{text[:80]!r} is no digest: {e}") from e
    return text
