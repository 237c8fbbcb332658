"""Servers that a sidecar may find at a feed's address, and should not: each is told apart and named, nothing of what it
sends is served, and once a right one is there all goes on.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from sidecar._gen.desking.entitlements.v1 import feed_pb2 as pb
from sidecar.address import Address
from sidecar.core.model import Record
from sidecar.records import encode
from sync.digest import EMPTY
from sync.feed import client
from sync.feed.channel import SERVICE, FeedTarget
from sync.feed.client import FeedSource
from sync.feed.wire import batch_bytes, heartbeat_bytes, numbered
from sync.follower import Follower
from sync.sources import Change, FailureKind, Position, SyncFailed
from tests.fakes import digest_of
from tests.serving import PATIENCE, wait_for
from tests.sinks import State

INSTANT = 1_900_000_000_000_000
Rows = dict[str, bytes]
Script = Callable[[pb.WatchRequest, Any], Iterator[bytes]]


def record(tenant_id: str, revision: int = 1, holder: str = "") -> bytes:
    return encode(Record(tenant_id=tenant_id, revision=revision, zone="UTC", holder_id=holder))


ROWS: Rows = {i: record(i) for i in ("a", "b", "c")}
LATER: Rows = ROWS | {"b": record("b", 2)}
OTHERS: Rows = {"x": record("x")}


def at(revision: int, rows: Rows, store_id: str = "s") -> Position:
    return Position(store_id=store_id, revision=revision, mark=digest_of(rows.items()))


FIRST, SECOND = at(1, ROWS), at(2, LATER)


def beat(position: Position | None = None, interval: float = 1.0) -> bytes:
    return heartbeat_bytes(position=position, store_instant=INSTANT, interval=interval)


def snapshot(position: Position, rows: Rows, **given: Any) -> bytes:
    return batch(position, *rows.items(), snapshot=True, since_revision=0, **given)


def batch(position: Position, *changes: Change, **given: Any) -> bytes:
    fields = {"snapshot": False, "since_revision": 1, "more": False, "digest": position.mark} | given
    return batch_bytes(position=position, changes=changes, **fields)


def silence(context: Any) -> Iterator[bytes]:
    """Says nothing more, until the caller has enough."""
    ended = threading.Event()
    context.add_callback(ended.set)
    ended.wait(PATIENCE)
    yield from ()


class FakeFeed:
    """A gRPC server of which a test says what it sends to each watch; what it yields is numbered unless it is raw."""

    def __init__(self, script: Script, *, raw: bool = False) -> None:
        self.script, self._raw = script, raw
        self.asked: list[pb.WatchRequest] = []
        self._server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
        handler = grpc.unary_stream_rpc_method_handler(self._watch, pb.WatchRequest.FromString)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Watch": handler}),))
        self.address = Address("127.0.0.1", self._server.add_insecure_port("127.0.0.1:0"))
        self._server.start()

    def _watch(self, request: pb.WatchRequest, context: Any) -> Iterator[bytes]:
        self.asked.append(request)
        for number, event in enumerate(self.script(request, context), 1):
            yield event if self._raw else numbered(number, event)

    def stop(self) -> None:
        self._server.stop(None).wait()


def good(request: pb.WatchRequest, context: Any) -> Iterator[bytes]:
    """As a right server does it."""
    yield beat()
    if request.whole or not request.HasField("since"):
        yield snapshot(FIRST, ROWS)
    if request.since.revision < 2 or request.whole:
        yield batch(SECOND, ("b", LATER["b"]))
    while context.is_active():
        yield beat(SECOND)
        time.sleep(0.02)


@contextmanager
def faking(script: Script, **options: Any) -> Iterator[FakeFeed]:
    fake = FakeFeed(script, **options)
    try:
        yield fake
    finally:
        fake.stop()


class Sidecar:
    """A real sidecar's state at the end of a feed."""

    def __init__(self, folder: Path, *addresses: Address, only: tuple[str, ...] = ()) -> None:
        self.state = State(folder)
        self.source = FeedSource(FeedTarget(addresses=addresses, token="secret-token"), only=only)
        self.state.sink.load()

    def until(self, condition: Callable[[], Any]) -> None:
        """Steps until something is so; steps may fail."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.state.sink.failing
            try:
                self.source.step(self.state.sink)
            except SyncFailed as e:
                self.state.sink.failed(e)

    def fails(self) -> SyncFailed:
        """How the first step that fails does so."""
        before = sum(self.state.sink.sync_failures.values())
        self.until(lambda: sum(self.state.sink.sync_failures.values()) > before)
        failing = self.state.sink.failing
        assert failing is not None
        assert "secret-token" not in failing.problem
        return failing

    def holds(self, position: Position | None, rows: Rows) -> None:
        assert (self.state.sink.held, self.state.world.tenants) == (position, rows)
        assert self.state.copy.position == position or not self.state.copy.is_open

    def contact(self) -> None:
        before = len(self.state.sink.contacts)
        self.until(lambda: len(self.state.sink.contacts) > before)

    def close(self) -> None:
        self.source.close()
        self.state.end()


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[..., Sidecar]]:
    """Makes a sidecar, and ends it."""
    all_: list[Sidecar] = []

    def make(*addresses: Address, **options: Any) -> Sidecar:
        (folder := tmp_path / f"sidecar-{len(all_)}").mkdir()
        all_.append(Sidecar(folder, *addresses, **options))
        return all_[-1]

    yield make
    for sidecar in all_:
        sidecar.close()


Make = Callable[..., Sidecar]

# What a server sends


def scripted(*events: bytes) -> Script:
    """These events to one who holds nothing, or revision 1; then silence."""

    def script(_: pb.WatchRequest, context: Any) -> Iterator[bytes]:
        yield beat()
        yield from events
        yield from silence(context)

    return script


ELSEWHERE = at(9, OTHERS, "other")
WRONG: dict[str, tuple[Script, FailureKind, str]] = {
    "no message": (scripted(b"\xff\xff\xff"), FailureKind.GARBAGE, "a message is none"),
    "no event": (scripted(b""), FailureKind.GARBAGE, "holds no event"),
    "a claim that is not so": (scripted(beat(SECOND)), FailureKind.GARBAGE, "2 is held, and it is not"),
    "a mark that is none": (
        scripted(beat(Position(store_id="s", revision=2, mark="x"))),
        FailureKind.GARBAGE,
        "digest",
    ),
    "no instant": (
        scripted(heartbeat_bytes(position=FIRST, store_instant=0, interval=1.0)),
        FailureKind.GARBAGE,
        "instant",
    ),
    "heartbeats that never come": (scripted(beat(interval=10_000.0)), FailureKind.GARBAGE, "heartbeats every"),
    "changes that do not fit": (
        scripted(batch(SECOND, ("b", LATER["b"]), since_revision=7)),
        FailureKind.GARBAGE,
        "do not fit",
    ),
    "a digest of something else": (scripted(batch(SECOND, digest=EMPTY)), FailureKind.GARBAGE, "digest"),
    "a heartbeat in an update": (
        scripted(batch(SECOND, ("b", LATER["b"]), more=True), beat()),
        FailureKind.GARBAGE,
        "while receiving",
    ),
    "another update within one": (
        scripted(batch(SECOND, more=True), batch(at(3, ROWS))),
        FailureKind.GARBAGE,
        "another update",
    ),
    "too little": (scripted(batch(SECOND)), FailureKind.WRONG_DIGEST, "the digest would be"),
    "something else": (scripted(batch(SECOND, ("b", record("b", 3)))), FailureKind.WRONG_DIGEST, "digest"),
    "a snapshot that is not whole": (
        scripted(snapshot(SECOND, {"a": ROWS["a"]})),
        FailureKind.WRONG_DIGEST,
        "nothing was changed",
    ),
    "another store": (scripted(snapshot(ELSEWHERE, OTHERS)), FailureKind.HISTORY_WENT_BACK, "store other"),
    "an earlier revision": (scripted(snapshot(at(0, {}), {})), FailureKind.HISTORY_WENT_BACK, "revision 0"),
    "another history": (scripted(beat(at(1, OTHERS))), FailureKind.HISTORY_WENT_BACK, "remove its local copy"),
    "a message that is huge": (scripted(b"\x12" + b"x" * (17 * 1024 * 1024)), FailureKind.GARBAGE, "larger than max"),
}


@pytest.mark.parametrize(("script", "kind", "said"), WRONG.values(), ids=WRONG)
def test_what_makes_no_sense_is_told_and_nothing_of_it_is_served(
    made: Make, script: Script, kind: FailureKind, said: str
) -> None:
    with faking(scripted(snapshot(FIRST, ROWS), beat(FIRST))) as fake:
        sidecar = made(fake.address)
        sidecar.contact()
        sidecar.source._drop()
        fake.script = script
        failure = sidecar.fails()
        assert failure.kind is kind
        assert said in failure.problem
        sidecar.holds(FIRST, ROWS)
        if kind is not FailureKind.WRONG_DIGEST:  # that is found by whoever applies it
            assert str(fake.address) in failure.problem
        fake.script = good
        sidecar.contact()
        sidecar.until(lambda: sidecar.state.sink.held == SECOND)
        sidecar.contact()
        sidecar.holds(SECOND, LATER)
        assert sidecar.state.sink.failing is None


def test_numbers_that_leap_end_the_stream(made: Make) -> None:
    def script(_: pb.WatchRequest, context: Any) -> Iterator[bytes]:
        yield numbered(1, beat())
        yield numbered(3, snapshot(FIRST, ROWS))
        yield from silence(context)

    with faking(script, raw=True) as fake:
        sidecar = made(fake.address)
        assert "event 3 came after 1" in sidecar.fails().problem
        sidecar.holds(None, {})


def test_a_digest_that_is_wrong_for_ever_is_asked_for_whole_and_waited_longer_and_longer(made: Make) -> None:
    def script(request: pb.WatchRequest, context: Any) -> Iterator[bytes]:
        yield beat()
        if request.whole:
            yield snapshot(SECOND, ROWS)
        else:
            yield batch(SECOND)
        yield from silence(context)

    with faking(scripted(snapshot(FIRST, ROWS), beat(FIRST))) as fake:
        sidecar = made(fake.address)
        sidecar.contact()
        sidecar.source._drop()
        fake.script = script
        for _ in range(4):
            assert sidecar.fails().kind is FailureKind.WRONG_DIGEST
        assert [request.whole for request in fake.asked[1:]] == [False, True, True, True]
        sidecar.holds(FIRST, ROWS)
        pace, now = sidecar.source.pace, time.monotonic()
        assert [pace.longest(now + later) > later for later in (5, 20)] == [True, True]
        fake.script = good
        sidecar.until(lambda: sidecar.state.sink.held == SECOND)
        sidecar.holds(SECOND, LATER)


def test_two_stores_that_take_turns_at_one_address(made: Make) -> None:
    def other(_: pb.WatchRequest, context: Any) -> Iterator[bytes]:
        yield beat()
        yield snapshot(ELSEWHERE, OTHERS)
        yield beat(ELSEWHERE)
        yield from silence(context)

    with faking(good) as fake:
        sidecar = made(fake.address)
        for _ in range(3):
            fake.script = good
            sidecar.source._drop()
            sidecar.contact()
            sidecar.until(lambda: sidecar.state.sink.held == SECOND)
            assert not sidecar.state.sink.history_gone_back
            fake.script = other
            sidecar.source._drop()
            assert sidecar.fails().kind is FailureKind.HISTORY_WENT_BACK
            assert sidecar.state.sink.history_gone_back
            sidecar.holds(SECOND, LATER)


def test_a_tenant_that_nobody_asked_for_is_not_taken(made: Make) -> None:
    with faking(scripted(snapshot(FIRST, ROWS, digest=FIRST.mark), beat(FIRST))) as fake:
        sidecar = made(fake.address, only=("a",))
        failure = sidecar.fails()
        assert failure.kind is FailureKind.GARBAGE
        assert "which was not asked for" in failure.problem
        sidecar.holds(None, {})
        assert list(fake.asked[0].tenants) == ["a"]


# Silence


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_PATIENCE", 0.4)
    monkeypatch.setattr(client, "WATCH_EVERY", 0.05)


def quiet(*events: bytes) -> Script:
    def script(_: pb.WatchRequest, context: Any) -> Iterator[bytes]:
        yield from events
        yield from silence(context)

    return script


SILENT = {
    "from the start": (quiet(), "0.4 s"),
    "after a heartbeat": (quiet(beat(interval=0.1)), "0.3 s"),
    "in an update": (quiet(beat(interval=0.1), snapshot(FIRST, ROWS, more=True)), "0.3 s"),
    "when all was sent": (quiet(beat(interval=0.1), snapshot(FIRST, ROWS), beat(FIRST, interval=0.2)), "0.6 s"),
}


@pytest.mark.parametrize(("script", "patience"), SILENT.values(), ids=SILENT)
@pytest.mark.usefixtures("impatient")
def test_a_server_that_falls_silent_is_left(made: Make, script: Script, patience: str) -> None:
    with faking(script) as fake:
        sidecar = made(fake.address)
        failure = sidecar.fails()
        assert failure.kind is FailureKind.UNREACHABLE
        assert failure.problem == f"the feed server {fake.address} fell silent for {patience}"
        fake.script = good
        sidecar.until(lambda: sidecar.state.sink.held == SECOND)
        sidecar.contact()


@pytest.mark.usefixtures("impatient")
def test_an_address_that_takes_connections_and_does_not_answer(made: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hole:
        address = Address("127.0.0.1", hole.getsockname()[1])
        failure = made(address).fails()
    assert failure.kind is FailureKind.UNREACHABLE
    assert str(address) in failure.problem


# None of ours


def test_nobody_there(made: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        address = Address("127.0.0.1", found.getsockname()[1])
    failure = made(address).fails()
    assert failure.kind is FailureKind.UNREACHABLE
    assert str(address) in failure.problem


def test_a_grpc_server_of_another_kind(made: Make) -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    address = Address("127.0.0.1", server.add_insecure_port("127.0.0.1:0"))
    server.start()
    failure = made(address).fails()
    assert failure.kind is FailureKind.FOREIGN
    assert str(address) in failure.problem
    server.stop(None).wait()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", b"\x00\x01\x02", b""])
def test_a_server_that_speaks_another_language(made: Make, answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                with line:
                    line.recv(1024)
                    line.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        address = Address("127.0.0.1", server.getsockname()[1])
        failure = made(address).fails()
        assert failure.kind is FailureKind.UNREACHABLE
        assert str(address) in failure.problem
        server.shutdown(socket.SHUT_RDWR)


STATUSES = {
    grpc.StatusCode.UNAUTHENTICATED: FailureKind.DENIED,
    grpc.StatusCode.PERMISSION_DENIED: FailureKind.DENIED,
    grpc.StatusCode.INVALID_ARGUMENT: FailureKind.GARBAGE,
    grpc.StatusCode.INTERNAL: FailureKind.GARBAGE,
    grpc.StatusCode.UNKNOWN: FailureKind.GARBAGE,
    grpc.StatusCode.RESOURCE_EXHAUSTED: FailureKind.GARBAGE,
    grpc.StatusCode.UNIMPLEMENTED: FailureKind.FOREIGN,
    grpc.StatusCode.UNAVAILABLE: FailureKind.UNREACHABLE,
    grpc.StatusCode.CANCELLED: FailureKind.UNREACHABLE,
    grpc.StatusCode.FAILED_PRECONDITION: FailureKind.UNREACHABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: FailureKind.UNREACHABLE,
}


@pytest.mark.parametrize("status", STATUSES)
def test_every_way_to_end_is_told_by_its_kind(made: Make, status: grpc.StatusCode) -> None:
    def script(_: pb.WatchRequest, context: Any) -> Iterator[bytes]:
        yield beat()
        context.abort(status, "because")

    with faking(script) as fake:
        failure = made(fake.address).fails()
        assert failure.kind is STATUSES[status]
        assert failure.problem == f"the feed server {fake.address}: because"


def test_one_that_ends_without_a_word(made: Make) -> None:
    with faking(lambda *_: iter(())) as fake:
        failure = made(fake.address).fails()
        assert failure.kind is FailureKind.UNREACHABLE
        assert failure.problem == f"the feed server {fake.address} ended the feed"


# Driven as a sidecar does it


def test_one_that_lets_in_and_drops_at_once_is_not_hammered(made: Make) -> None:
    """A contact counts once it has held for a while: those who come back wait longer and longer."""

    def script(request: pb.WatchRequest, context: Any) -> Iterator[bytes]:
        yield beat()
        if not request.HasField("since"):
            yield snapshot(FIRST, ROWS)
        yield beat(FIRST)

    with faking(script) as fake:
        sidecar = made(fake.address)
        follower = Follower(sidecar.source, sidecar.state.sink)
        follower.start()
        wait_for(lambda: len(fake.asked) >= 4)
        began = time.monotonic()
        follower.stop()
        assert follower.join(PATIENCE)
        assert time.monotonic() - began < 2
        assert len(fake.asked) < 40


def test_the_next_address_is_tried_and_a_fleet_does_not_begin_at_the_same_one(made: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        nobody = Address("127.0.0.1", found.getsockname()[1])
    with faking(good) as one, faking(good) as two:
        for _ in range(12):
            sidecar = made(one.address, nobody, two.address)
            sidecar.contact()
            failures = sidecar.state.sink.sync_failures
            assert set(failures) <= {FailureKind.UNREACHABLE}
            assert sum(failures.values()) <= 1
            sidecar.source.close()
        assert one.asked
        assert two.asked


def test_it_is_interrupted_wherever_it_is(made: Make) -> None:
    """While it connects, waits for the first word, for the next one, or the rest of an update."""
    scripts = [*(script for script, _ in SILENT.values()), good]
    for number, script in enumerate(scripts):
        with faking(script) as fake:
            sidecar = made(fake.address)
            follower = Follower(sidecar.source, sidecar.state.sink)
            follower.start()
            if number:
                wait_for(lambda fake=fake: fake.asked)  # type: ignore[misc]
            began = time.monotonic()
            follower.stop()
            assert follower.join(PATIENCE)
            assert time.monotonic() - began < 2
            assert sidecar.state.sink.failing is None


def test_an_interruption_that_comes_before_the_call_is_heard(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with faking(quiet()) as fake:
        sidecar = made(fake.address)
        real = client.open_channel

        def interrupted(*given: Any) -> Any:
            sidecar.source.interrupt()
            return real(*given)

        monkeypatch.setattr(client, "open_channel", interrupted)
        began = time.monotonic()
        assert sidecar.fails().kind is FailureKind.INTERRUPTED
        assert time.monotonic() - began < 2


# The clock


def test_an_instant_that_waited_here_does_not_set_the_clock_back(made: Make) -> None:
    """It would, if what had lain in a buffer while we were busy were taken for now."""
    go_on = threading.Event()

    def script(_: pb.WatchRequest, context: Any) -> Iterator[bytes]:
        yield beat()
        yield snapshot(FIRST, ROWS)
        for n in range(5):  # all at once: the sidecar is busy meanwhile
            yield heartbeat_bytes(position=FIRST, store_instant=INSTANT + n, interval=5.0)
        go_on.wait(PATIENCE)
        yield heartbeat_bytes(position=FIRST, store_instant=INSTANT + 10_000_000, interval=5.0)
        yield from silence(context)

    with faking(script) as fake:
        sidecar = made(fake.address)
        applied = sidecar.state.sink.apply

        def slowly(update: Any) -> None:
            applied(update)
            time.sleep(client.PROMPT + 0.2)

        sidecar.state.sink.apply = slowly  # type: ignore[method-assign]
        sidecar.until(lambda: len(sidecar.state.sink.contacts) == 5)
        assert [instant for _, instant in sidecar.state.sink.contacts] == [None] * 5
        assert sidecar.state.clock.source == "machine"
        threading.Timer(2 * client.EMPTY, go_on.set).start()
        sidecar.contact()
        assert sidecar.state.sink.contacts[-1][1] == INSTANT + 10_000_000
        assert sidecar.state.clock.source == "store"


def test_the_first_contact_of_a_stream_settles_the_clock_at_once(made: Make) -> None:
    with faking(good) as fake:
        sidecar = made(fake.address)
        sidecar.source._empty_at = float("-inf")  # as after a long time without a connection
        sidecar.contact()
        assert sidecar.state.sink.contacts[0][1] == INSTANT


# What is held


def test_a_part_of_a_store_held_from_before_is_not_taken_for_all_of_it(made: Make) -> None:
    """A sidecar that followed some tenants, and is to follow all from now on."""
    part = {"a": ROWS["a"]}
    with faking(scripted(snapshot(FIRST, part, digest=digest_of(part.items())), beat(FIRST))) as fake:
        sidecar = made(fake.address, only=("a",))
        sidecar.contact()
        sidecar.holds(FIRST, part)
        sidecar.source.close()
        sidecar.state.restart()
        fake.script = good
        sidecar.source = FeedSource(FeedTarget(addresses=(fake.address,), token="secret-token"))
        assert sidecar.state.sink.load()
        sidecar.contact()
        sidecar.holds(SECOND, LATER)
