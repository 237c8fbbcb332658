"""The benchmarks' own arithmetic: what they send, how they count, when they fail."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter

import pytest

from benchmarks import __main__ as command
from benchmarks import http2, responder
from benchmarks.committing import full, units
from benchmarks.databases import LIMIT
from benchmarks.feed_herd import most_within
from benchmarks.figures import Figure, Threshold, percentile, ratios, thresholds
from benchmarks.loadgen import Job, measure
from benchmarks.report import write
from benchmarks.watching import Outcome, Seen, _numbered
from benchmarks.workload import LEAST_SHARE, QUESTIONS, REASONS, mix, questions
from benchmarks.world import CASES, hot_tenants
from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sync.digest import EMPTY
from sync.feed.protocol import Batch
from sync.feed.wire import numbered
from sync.sources import Position

NOW = 1_800_000_000_000_000


@pytest.mark.parametrize("freshness", ["LIVE", "BLIND"])
def test_every_reason_has_its_share_of_distinct_questions(freshness: str) -> None:
    asked = questions(hot_tenants(NOW), NOW, freshness=freshness)
    shares = mix(asked)
    due = set(REASONS) - ({"DATA_TOO_OLD"} if freshness == "LIVE" else set())
    assert len({q.request for q in asked}) == len(asked) == QUESTIONS
    assert all(shares[reason] >= LEAST_SHARE for reason in due)
    assert set(shares) == due | {""}


def test_questions_are_the_same_each_time_and_carry_no_fact_to_the_sidecar() -> None:
    first, second = (questions(hot_tenants(NOW), NOW) for _ in range(2))
    assert [q.request for q in first] == [q.request for q in second]
    fields = {f.name for q in first[:500] for f, _ in pb.CheckRequest.FromString(q.request).ListFields()}
    assert fields <= {"tenant_id", "action", "resource", "quantity", "subject", "window", "locale", "request_id"}


def test_hot_tenants_come_in_the_stated_shares() -> None:
    counted = Counter(id(hot.case) for hot in hot_tenants(NOW))
    assert {name: counted[id(case)] for name, case in CASES.items()} == {n: c.share * 10 for n, c in CASES.items()}


def test_frames_are_found_however_they_are_cut() -> None:
    sent = [http2.frame(http2.DATA, 1, 2**31 - 1, b"x" * n) for n in (0, 1, 300, 16_384)]
    for size in (1, 7, 9, 10, 20_000):
        frames, stream = http2.Frames(), b"".join(sent)
        found = [f for i in range(0, len(stream), size) for f in frames.feed(stream[i : i + size])]
        assert [http2.frame(*f) for f in found] == sent


def test_a_long_body_goes_out_in_frames_that_every_peer_takes() -> None:
    call = http2.Call(b"y" * 40_000)
    out = call.on(b"\0\0\0\x01", http2.open_headers(b"\x83"))
    kinds = [(kind, flags, len(payload)) for kind, flags, _, payload in http2.Frames().feed(out)]
    assert kinds == [(1, 4, 1), (0, 0, 16_384), (0, 0, 16_384), (0, 1, 40_005 - 2 * 16_384)]


@pytest.fixture
def nothing_doing(tmp_path):
    target = f"unix:{tmp_path}/responder.sock"
    server = responder.listen(target)

    def serve() -> None:
        client, _ = server.accept()
        connection = responder.Connection(client, 100)
        while connection.serve():
            pass
        client.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield target
    thread.join()
    server.close()


@pytest.mark.parametrize("in_flight", [1, 16])
def test_every_body_is_sent_once_and_answered(nothing_doing: str, in_flight: int) -> None:
    bodies = [bytes([n % 256]) * (n % 900) for n in range(500)]
    outcome = measure(Job(target=nothing_doing, path="/x/Y", bodies=bodies, in_flight=in_flight, seconds=0, once=True))
    assert sorted(outcome.indices) == list(range(500))
    assert outcome.failed == 0
    assert {len(answer) for answer in outcome.answers.values()} == {100}


def test_flow_control_is_kept_to_with_bodies_beyond_the_first_window(nothing_doing: str) -> None:
    job = Job(target=nothing_doing, path="/x/Y", bodies=[b"z" * 30_000] * 40, in_flight=8, seconds=0, once=True)
    assert len(measure(job).latencies) == 40


def test_calls_without_a_message_count_as_failed(tmp_path) -> None:
    path = f"{tmp_path}/refuser.sock"
    server = responder.listen(f"unix:{path}")

    def refuse() -> None:
        client, _ = server.accept()
        frames, skip = http2.Frames(), len(http2.PREFACE)
        while data := client.recv(65_536):
            cut, skip = min(skip, len(data)), max(0, skip - len(data))
            for kind, flags, stream, _ in frames.feed(data[cut:]):
                if kind == http2.DATA and flags & http2.END_STREAM:
                    client.sendall(http2.frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, stream, b"\x88"))
        client.close()

    thread = threading.Thread(target=refuse)
    thread.start()
    job = Job(target=f"unix:{path}", path="/x/Y", bodies=[b"a", b"b"], in_flight=1, seconds=0, once=True)
    outcome = measure(job)
    thread.join()
    server.close()
    assert (outcome.failed, len(outcome.latencies)) == (2, 0)


def test_nobody_listening_is_an_error(tmp_path) -> None:
    with pytest.raises(OSError, match="No such file"):
        measure(Job(target=f"unix:{tmp_path}/none.sock", path="/x/Y", bodies=[b""], in_flight=1, seconds=0))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        measure(Job(target=f"127.0.0.1:{port}", path="/x/Y", bodies=[b""], in_flight=1, seconds=0))


@pytest.mark.parametrize(
    ("threshold", "value", "holds"),
    [
        (Threshold(at_least=1.2), 1.2, True),
        (Threshold(at_least=1.2), 1.19, False),
        (Threshold(at_most=0), 0, True),
        (Threshold(at_most=0), 0.1, False),
    ],
)
def test_thresholds_hold_at_their_own_value(threshold: Threshold, value: float, holds: bool) -> None:
    assert threshold.holds(value) is holds


def test_the_thresholds_file_is_well_formed() -> None:
    assert all((t.at_least is None) != (t.at_most is None) for t in thresholds().values())


def test_ratios_are_pair_by_pair_and_percentiles_are_values_that_occurred() -> None:
    assert ratios("r", [2, 9], [1, 3]).values == (2, 3)
    assert [percentile(range(1, 101), p) for p in (50, 99, 100)] == [50, 99, 100]
    assert percentile([7], 99) == 7


def test_figures_are_kept_with_every_value(tmp_path) -> None:
    path = write(
        "q", [Figure(name="f", unit="us", values=(3.0, 1.0, 2.0), calibration_ms=9.0)], effort="quick", folder=tmp_path
    )
    kept = json.loads(path.read_text())["figures"][0]
    assert (kept["median"], kept["low"], kept["high"], kept["values"]) == (2.0, 1.0, 3.0, [3.0, 1.0, 2.0])


def test_a_group_is_its_questions_and_none_are_all_of_them() -> None:
    assert command.asked([]) == command.QUESTIONS
    assert command.asked(["forecast", "back_office", "unary"]) == ("forecast", "importing", "unary")


def test_the_most_in_any_second_are_counted_wherever_it_begins() -> None:
    assert most_within([0.0, 0.9, 1.0, 1.5, 1.89, 9.0], 1.0) == 4
    assert [most_within(instants, 1.0) for instants in ([], [3.0], [3.0, 3.0], [3.0, 4.0])] == [0, 1, 2, 1]


def test_each_statement_of_each_writer_changes_something() -> None:
    said = {units(number, 1, writer) for number in range(2) for writer in (1, 2, 40_000)}
    assert len(said) == 6
    assert all((units(number, 1, 9) >= LIMIT) is full(number, 1) for number in range(4))


def test_a_statement_takes_its_tenant_by_turns_to_the_limit_and_below() -> None:
    assert [full(n, 1) for n in range(4)] == [True, False, True, False]
    assert [full(n, 2) for n in range(6)] == [True, True, False, False, True, True]


@pytest.mark.parametrize("number", [1, 127, 128, 300, 2**31])
def test_an_event_is_told_from_its_number(number: int) -> None:
    assert _numbered(numbered(number, b"\x12\x00")) == (number, b"\x12\x00")


def _batch(since: int, revision: int, *, more: bool = False) -> Batch:
    position = Position(store_id="s", revision=revision, mark=EMPTY)
    return Batch(
        sequence=1, position=position, snapshot=False, since_revision=since, changes=(), more=more, digest=EMPTY
    )


def _outcome(*batches: Batch) -> Outcome:
    seen = Seen()
    for number in range(len(batches)):
        seen.at.append(10.0 + number)
        seen.batch.append(number)
    return Outcome(
        seen=[seen], batches=list(batches), sizes=[], events=0, heartbeats=0, received_bytes=0, ready_seconds=0.0
    )


def test_a_revision_is_held_with_the_batch_that_ends_its_update_or_a_later_one() -> None:
    outcome = _outcome(_batch(1, 2), _batch(2, 4, more=True), _batch(2, 4))
    assert [outcome.delays(revision, 10.0) for revision in (2, 3, 4)] == [[0.0], [2.0], [2.0]]
    with pytest.raises(RuntimeError, match="never came to revision 5"):
        outcome.delays(5, 10.0)


def test_a_watcher_that_was_sent_what_does_not_follow_is_told() -> None:
    held = Position(store_id="s", revision=1, mark=EMPTY)
    _outcome(_batch(1, 2), _batch(2, 4, more=True), _batch(2, 4)).check(held)
    with pytest.raises(RuntimeError, match="at 2 was sent what follows 3"):
        _outcome(_batch(1, 2), _batch(3, 4)).check(held)
