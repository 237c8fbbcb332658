"""Many watchers of a feed server in one process that takes next to nothing, each on a connection of its own.

They speak HTTP/2 by themselves: a thousand of grpc's own clients would take more of the machine than the server does.
What arrives is noted with its instant, and read afterwards. `python -m benchmarks.watching JOB OUTCOME` is the process:
it says "ready" when every watcher holds what the store has, and ends when its input does.
"""

from __future__ import annotations

import gc
import os
import pickle
import resource
import select
import socket
import subprocess
import sys
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final

from benchmarks import http2
from benchmarks.http2 import Frames, ProtocolError
from benchmarks.loadgen import connect
from benchmarks.processes import CLIENT_CORE, ROOT
from sidecar._gen.desking.entitlements.v1 import feed_pb2 as pb
from sync.feed.channel import SERVICE
from sync.feed.protocol import Batch
from sync.feed.wire import numbered, position_message, read_event
from sync.sources import Position

PATH: Final = f"/{SERVICE}/Watch"
SETTINGS: Final = {2: 0, 4: http2.WINDOW, 5: (1 << 24) - 1}
"""No push, the largest windows and frames."""
PATIENCE: Final = 120.0
"""Seconds until all are ready."""
SEQUENCE_TAG: Final = 0x08
BATCH_TAG: Final = 0x12


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """`held`: where the watchers begin; `kept`: whether what arrives is kept, and not only counted."""

    target: str
    token: str
    watchers: int
    held: Position | None
    kept: bool = True
    tenants: Sequence[str] = ()
    core: int | None = CLIENT_CORE


@dataclass(slots=True, kw_only=True)
class Seen:
    """What one watcher was sent."""

    at: array[float] = field(default_factory=lambda: array("d"))
    """When each batch was there whole, by perf_counter."""
    batch: array[int] = field(default_factory=lambda: array("l"))
    """Which one it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`batches` are the distinct ones; watchers of the same history are sent the same."""

    seen: list[Seen]
    batches: list[Batch]
    sizes: list[int]
    """Bytes of each of `batches`, its number apart."""
    events: int
    heartbeats: int
    received_bytes: int
    """As they came over the wire."""
    ready_seconds: float
    """From the first connection to the last watcher's being up with the store."""

    def delays(self, revision: int, since: float) -> list[float]:
        """Seconds from an instant to each watcher's holding a revision. Raises RuntimeError when one never did."""
        return [self._reached(seen, revision) - since for seen in self.seen]

    def _reached(self, seen: Seen, revision: int) -> float:
        for at, number in zip(seen.at, seen.batch, strict=True):
            batch = self.batches[number]
            if batch.position.revision >= revision and not batch.more:
                return at
        raise RuntimeError(f"a watcher never came to revision {revision}")

    def check(self, held: Position) -> None:
        """Raises RuntimeError unless every watcher was led on from one position to the next, without a gap."""
        for seen in self.seen:
            at = held.revision
            for number in seen.batch:
                batch = self.batches[number]
                if batch.snapshot or batch.since_revision != at:
                    raise RuntimeError(f"a watcher at {at} was sent what follows {batch.since_revision}")
                at = batch.position.revision if not batch.more else at


class Watching:
    """The process, ready when the block begins. `finish` ends it and says what was seen."""

    def __init__(self, folder: Path, job: Job) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._job, self._outcome = folder / "watch.job", folder / "watch.outcome"
        self._job.write_bytes(pickle.dumps(job))
        command = [sys.executable, "-m", "benchmarks.watching", str(self._job), str(self._outcome)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    def __enter__(self) -> Watching:
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "ready":
            self.__exit__(None, None, None)
            raise RuntimeError(f"the watchers ended with {self._process.returncode} before they were ready")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def finish(self) -> Outcome:
        """What was seen since the beginning. Raises RuntimeError when a watch ended by itself."""
        self._process.communicate(timeout=PATIENCE)
        if self._process.returncode:
            raise RuntimeError("the watchers failed")
        return pickle.loads(self._outcome.read_bytes())  # type: ignore[no-any-return]


class _Watch:
    """One connection."""

    def __init__(self, job: Job, opening: bytes) -> None:
        self.socket: socket.socket = connect(job.target)
        self.socket.sendall(opening)
        self.socket.setblocking(False)
        self.frames = Frames()
        self.rest = b""
        self.sequence = 0
        self.ready = False
        self.due = 0
        self.seen = Seen()


class _Loop:
    """All of them."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._poll = select.epoll()
        self._found: dict[bytes, int] = {}
        self.events = self.heartbeats = self.received = self.ready = 0
        opening = _opening(job)
        self.watches: dict[int, _Watch] = {}
        for _ in range(job.watchers):
            watch = _Watch(job, opening)
            self.watches[watch.socket.fileno()] = watch
            self._poll.register(watch.socket, select.EPOLLIN)

    def until_ready(self) -> None:
        until = time.monotonic() + PATIENCE
        while self.ready < self._job.watchers:
            self._turn(1.0)
            if time.monotonic() > until:
                raise RuntimeError(f"only {self.ready} watchers are up with the store after {PATIENCE:g} s")

    def until_told(self) -> None:
        told = sys.stdin.fileno()
        self._poll.register(told, select.EPOLLIN)
        while self._turn(None):
            pass

    def _turn(self, timeout: float | None) -> bool:
        """Whether to go on."""
        for descriptor, _ in self._poll.poll(timeout):
            watch = self.watches.get(descriptor)
            if watch is None:
                return False
            data = watch.socket.recv(1 << 18)
            if not data:
                raise ProtocolError("the server closed a connection")
            self._take(watch, data, time.perf_counter())
        return True

    def _take(self, watch: _Watch, data: bytes, now: float) -> None:
        self.received += len(data)
        for kind, flags, _, payload in watch.frames.feed(data):
            if kind == http2.DATA:
                watch.due += len(payload)
                self._messages(watch, payload, now)
            elif kind == http2.PING and not flags & http2.ACK:
                watch.socket.sendall(http2.frame(http2.PING, http2.ACK, 0, payload))
            elif kind == http2.SETTINGS and not flags & http2.ACK:
                watch.socket.sendall(http2.frame(http2.SETTINGS, http2.ACK, 0))
            elif kind in (http2.RST_STREAM, http2.GOAWAY) or (kind == http2.HEADERS and flags & http2.END_STREAM):
                raise ProtocolError(f"the server ended a watch: {payload!r}")
        if watch.due > 1 << 20:
            watch.socket.sendall(http2.window_update(0, watch.due) + http2.window_update(1, watch.due))
            watch.due = 0

    def _messages(self, watch: _Watch, payload: bytes, now: float) -> None:
        buffer = watch.rest + payload if watch.rest else payload
        at = 0
        while len(buffer) - at >= 5:
            upto = at + 5 + int.from_bytes(buffer[at + 1 : at + 5], "big")
            if upto > len(buffer):
                break
            self._event(watch, buffer[at + 5 : upto], now)
            at = upto
        watch.rest = buffer[at:]

    def _event(self, watch: _Watch, message: bytes, now: float) -> None:
        number, event = _numbered(message)
        if number != watch.sequence + 1:
            raise ProtocolError(f"event {number} came after {watch.sequence}")
        watch.sequence = number
        self.events += 1
        if event[0] != BATCH_TAG:
            self.heartbeats += 1
            if not watch.ready and pb.WatchResponse.FromString(event).heartbeat.HasField("position"):
                watch.ready = True
                self.ready += 1
        elif self._job.kept:
            watch.seen.at.append(now)
            watch.seen.batch.append(self._found.setdefault(event, len(self._found)))

    def outcome(self, ready_seconds: float) -> Outcome:
        return Outcome(
            seen=[watch.seen for watch in self.watches.values()],
            batches=[_read(event) for event in self._found],
            sizes=[len(event) for event in self._found],
            events=self.events,
            heartbeats=self.heartbeats,
            received_bytes=self.received,
            ready_seconds=ready_seconds,
        )


def _numbered(message: bytes) -> tuple[int, bytes]:
    """A message's number, and its event."""
    if message[0] != SEQUENCE_TAG:
        raise ProtocolError("a message has no number")
    number, shift, at = 0, 0, 1
    while True:
        number |= (message[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if message[at - 1] < 0x80:
            return number, message[at:]


def _read(event: bytes) -> Batch:
    found = read_event(numbered(1, event))
    if not isinstance(found, Batch):
        raise ProtocolError("an event is no batch")
    return found


def _opening(job: Job) -> bytes:
    """What a client sends: its settings, and the one call."""
    since = None if job.held is None else position_message(job.held)
    request = pb.WatchRequest(since=since, tenants=job.tenants, instance="bench").SerializeToString()
    first, _ = http2.header_blocks(PATH, "localhost")
    headers = first + http2.literal_headers([(b"authorization", f"Bearer {job.token}".encode())])
    return b"".join(
        (
            http2.PREFACE,
            http2.settings(SETTINGS),
            http2.window_update(0, http2.WINDOW - http2.FIRST_WINDOW),
            http2.frame(http2.HEADERS, http2.END_HEADERS, 1, headers),
            http2.frame(http2.DATA, http2.END_STREAM, 1, http2.message(request)),
        )
    )


def _main(todo: str, done: str) -> None:
    from benchmarks import watching  # the module, not __main__, so that the outcome can be read where it was asked for

    job: Job = pickle.loads(Path(todo).read_bytes())
    if job.core is not None:
        os.sched_setaffinity(0, {job.core})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    gc.disable()
    began = time.perf_counter()
    loop = watching._Loop(job)
    loop.until_ready()
    ready = time.perf_counter() - began
    print("ready", flush=True)
    loop.until_told()
    Path(done).write_bytes(pickle.dumps(loop.outcome(ready)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
