"""The hand-written part of an answer is what protobuf would read and write."""

from __future__ import annotations

import pytest

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.serving.stamps import LENGTHS, Stamps, varint
from tests.worked import instant

LAST = 253402300799_999999


@pytest.mark.parametrize(
    "as_of", [0, 1, 999_999, 1_000_000, instant("2026-06-01"), instant("2026-06-01") + 123_456, LAST]
)
@pytest.mark.parametrize("revision", [0, 1, 127, 128, 2**31, 2**53])
def test_a_moment_is_read_back(as_of: int, revision: int) -> None:
    stamps = Stamps("instance")
    for _ in range(2):  # written, then remembered
        message = pb.CheckResponse.FromString(stamps.moment(revision, as_of) + stamps.next_id())
        assert (message.entitlement_revision, message.as_of.ToMicroseconds()) == (revision, as_of)


def test_a_moment_is_never_anothers() -> None:
    stamps = Stamps("i")
    for revision, as_of in ((1, 5_000_000), (2, 5_000_000), (2, 6_000_000), (2, 6_000_001), (1, 6_000_001)):
        message = pb.CheckResponse.FromString(stamps.moment(revision, as_of))
        assert (message.entitlement_revision, message.as_of.ToMicroseconds()) == (revision, as_of)


def test_decision_ids_differ_and_say_whose_they_are() -> None:
    stamps = Stamps("07b9f311")
    ids = [pb.CheckResponse.FromString(stamps.next_id()).decision_id for _ in range(3)]
    assert ids == ["07b9f311-000000000001", "07b9f311-000000000002", "07b9f311-000000000003"]


@pytest.mark.parametrize("size", [*range(130), *range(4000, 4100), 20_000])
def test_batch_items_of_any_length(size: int) -> None:
    stamps = Stamps("i")
    answer = pb.CheckResponse(message="x" * size).SerializeToString()
    moment = stamps.moment(7, instant("2026-06-01"))
    read = pb.CheckBatchResponse.FromString(stamps.item(answer, moment) + stamps.item(answer, moment))
    assert [(len(r.response.message), r.response.entitlement_revision) for r in read.results] == [(size, 7)] * 2
    assert [r.response.decision_id for r in read.results] == ["i-000000000001", "i-000000000002"]


def test_varints() -> None:
    assert [varint(n) for n in (0, 127, 128, 300)] == [b"\0", b"\x7f", b"\x80\x01", b"\xac\x02"]
    assert LENGTHS[300] == varint(300)
