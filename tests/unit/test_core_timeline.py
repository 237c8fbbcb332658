"""Timelines: what a key is at every instant, cut where something changes and nowhere else (domain.md 4 and 5)."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.core.calendar import zone_of
from sidecar.core.model import (
    FOREVER,
    SINCE_EVER,
    UNLIMITED,
    Block,
    Grant,
    Limit,
    Period,
    Phase,
    Record,
    Standing,
    Status,
)
from sidecar.core.rules import Cut, CutFrom, Terms
from sidecar.core.standing import Outlook
from sidecar.core.timeline import (
    Context,
    Segment,
    State,
    Timeline,
    key_timeline,
    stretched,
    tenant_timeline,
    total,
)
from tests.worked import instant


def context(**given: Any) -> Context:
    records = given.pop("records", (Record(tenant_id="acme", revision=1, zone="UTC"),))
    plain = {"zone": zone_of("UTC"), "terms": Terms(), "cuts": (), "outlook": Outlook(), "records": records}
    return Context(**(plain | given))


def grant(starts_at: str, ends_at: str | None, **given: Any) -> Grant:
    ends = FOREVER if ends_at is None else instant(ends_at)
    return Grant(**({"key": "desk", "starts_at": instant(starts_at), "ends_at": ends} | given))


def shown(timeline: Timeline, *names: str) -> list[tuple[object, ...]]:
    """Where each segment starts, and of its state what is asked for."""
    return [(s.starts_at, *(getattr(s.state, n) for n in names)) for s in timeline.segments]


def test_one_term_from_before_it_to_after_its_grace() -> None:
    timeline = key_timeline([grant("2026-01-01", "2027-01-01", amount=5)], context())
    assert shown(timeline, "phase", "amount", "expiring_soon") == [
        (SINCE_EVER, Phase.PENDING, 0, False),
        (instant("2026-01-01"), Phase.ACTIVE, 5, False),
        (instant("2026-12-02"), Phase.ACTIVE, 5, True),
        (instant("2027-01-01"), Phase.GRACE, 0, False),
        (instant("2027-04-01"), Phase.EXPIRED, 0, False),
    ]
    assert [s.covered for s in timeline.segments] == [False, True, True, False, False]


def test_segments_follow_each_other_without_a_gap() -> None:
    timeline = key_timeline([grant("2026-01-01", "2027-01-01"), grant("2026-06-01", "2026-07-01")], context())
    assert timeline.segments[0].starts_at == SINCE_EVER
    assert timeline.segments[-1].ends_at == FOREVER
    ends = [s.ends_at for s in timeline.segments]
    assert [s.starts_at for s in timeline.segments][1:] == ends[:-1]
    assert timeline.starts == tuple(s.starts_at for s in timeline.segments)


def test_neighbors_that_differ_in_nothing_are_one() -> None:
    split = [grant("2026-01-01", "2026-06-01", amount=5), grant("2026-06-01", "2027-01-01", amount=5)]
    # The start of the next grant to come is told too, so the first half differs; the term is one.
    assert shown(key_timeline(split, context()), "term_ends_at")[1][1] == instant("2027-01-01")
    both = [grant("2026-01-01", "2027-01-01", amount=5), grant("2026-01-01", "2026-06-01", users=0)]
    assert shown(key_timeline(both, context()), "amount") == shown(key_timeline(both[:1], context()), "amount")


@pytest.mark.parametrize(("offset", "index"), [(-1, 0), (0, 1), (1, 1)])
def test_a_segment_holds_its_start_but_not_its_end(offset: int, index: int) -> None:
    timeline = key_timeline([grant("2026-01-01", "2027-01-01")], context())
    assert timeline.at(instant("2026-01-01") + offset) is timeline.segments[index]


def test_the_ends_of_time_are_held() -> None:
    timeline = key_timeline([grant("2026-01-01", "2027-01-01")], context())
    assert timeline.at(SINCE_EVER) is timeline.segments[0]
    assert timeline.at(FOREVER) is timeline.segments[-1]


@pytest.mark.parametrize(
    ("grants", "at", "phase"),
    [
        ([], "2026-06-01", Phase.UNLICENSED),
        ([("2026-07-01", None, False)], "2026-06-01", Phase.PENDING),
        ([("2026-01-01", None, True)], "2026-06-01", Phase.TRIAL),
        ([("2026-01-01", None, True), ("2026-01-01", None, False)], "2026-06-01", Phase.ACTIVE),
        ([("2026-01-01", "2026-06-01", False)], "2026-06-01", Phase.GRACE),
        ([("2026-01-01", "2026-03-01", False)], "2026-06-01", Phase.EXPIRED),
        ([("2026-01-01", "2026-03-01", False), ("2026-07-01", None, False)], "2026-06-01", Phase.EXPIRED),
        ([("2026-01-01", "2026-05-01", False), ("2026-07-01", None, False)], "2026-06-01", Phase.GRACE),
        ([("2026-01-01", "2026-05-01", False), ("2026-06-01", None, False)], "2026-06-01", Phase.ACTIVE),
    ],
)
def test_phases(grants: list[tuple[str, str | None, bool]], at: str, phase: Phase) -> None:
    timeline = key_timeline([grant(a, b, trial=trial) for a, b, trial in grants], context())
    assert timeline.at(instant(at)).state.phase is phase


def test_grants_that_meet_are_one_term_and_grants_apart_are_two() -> None:
    meeting = [grant("2026-03-01", "2026-05-01"), grant("2026-01-01", "2026-03-01")]
    state = key_timeline(meeting, context()).at(instant("2026-02-01")).state
    assert (state.term_starts_at, state.term_ends_at) == (instant("2026-01-01"), instant("2026-05-01"))
    apart = [grant("2026-03-01T00:00:00.000001", "2026-05-01"), grant("2026-01-01", "2026-03-01")]
    state = key_timeline(apart, context()).at(instant("2026-02-01")).state
    assert (state.term_starts_at, state.term_ends_at) == (instant("2026-01-01"), instant("2026-03-01"))
    assert state.begins_at == instant("2026-03-01T00:00:00.000001")


def test_a_longer_grant_outlasts_one_within_it() -> None:
    within = [grant("2026-01-01", "2027-01-01"), grant("2026-02-01", "2026-03-01"), grant("2026-12-01", "2027-02-01")]
    state = key_timeline(within, context()).at(instant("2026-04-01")).state
    assert state.term_ends_at == instant("2027-02-01")
    assert state.grace_ends_at == instant("2027-05-01")


def test_a_term_without_end_has_neither_end_nor_grace_and_never_expires_soon() -> None:
    timeline = key_timeline([grant("2026-01-01", None, amount=1)], context())
    assert shown(timeline, "term_starts_at", "term_ends_at", "grace_ends_at", "expiring_soon") == [
        (SINCE_EVER, None, None, None, False),
        (instant("2026-01-01"), instant("2026-01-01"), None, None, False),
    ]


def test_after_a_term_its_ends_stay_and_the_next_start_is_told() -> None:
    grants = [grant("2026-01-01", "2026-02-01"), grant("2026-09-01", None), grant("2026-10-01", None)]
    state = key_timeline(grants, context()).at(instant("2026-03-01")).state
    assert (state.term_ends_at, state.grace_ends_at) == (instant("2026-02-01"), instant("2026-05-01"))
    assert state.begins_at == instant("2026-09-01")
    assert not state.expiring_soon


def test_terms_decide_grace_and_soon_and_how_far_limits_stretch() -> None:
    terms = Terms(grace=Period(days=7), expiring_soon=Period(days=1), overage=50)
    timeline = key_timeline([grant("2026-01-01", "2026-02-01", amount=5, users=3)], context(terms=terms))
    assert shown(timeline, "phase", "amount", "users", "expiring_soon") == [
        (SINCE_EVER, Phase.PENDING, 0, 0, False),
        (instant("2026-01-01"), Phase.ACTIVE, 7, 4, False),
        (instant("2026-01-31"), Phase.ACTIVE, 7, 4, True),
        (instant("2026-02-01"), Phase.GRACE, 0, 0, False),
        (instant("2026-02-08"), Phase.EXPIRED, 0, 0, False),
    ]


def test_cuts_are_named_while_they_hold() -> None:
    cuts = (
        Cut(name="early", from_=CutFrom.TERM_START, length=Period(days=2)),
        Cut(name="late", from_=CutFrom.TERM_END, length=Period(days=-30)),
    )
    timeline = key_timeline([grant("2026-01-01", "2026-02-01")], context(cuts=cuts, terms=Terms(grace=Period())))
    assert shown(timeline, "cuts", "phase") == [
        (SINCE_EVER, (), Phase.PENDING),
        (instant("2026-01-01"), ("early",), Phase.ACTIVE),
        (instant("2026-01-02"), ("early", "late"), Phase.ACTIVE),
        (instant("2026-01-03"), ("late",), Phase.ACTIVE),
        (instant("2026-02-01"), (), Phase.EXPIRED),
    ]


@pytest.mark.parametrize(
    ("archived", "offset", "status"),
    [
        (False, -1, Status.OPEN),
        (False, 0, Status.SUSPENDED),
        (False, 9, Status.SUSPENDED),
        (False, 10, Status.OPEN),
        (True, 0, Status.ARCHIVED),
        (True, -1, Status.ARCHIVED),
    ],
)
def test_status_by_blocks_of_both_records(archived: bool, offset: int, status: Status) -> None:
    start = instant("2026-01-01")
    block = Block(name="fraud", starts_at=start, ends_at=start + 10)
    open_ = Record(tenant_id="a", revision=1, zone="UTC")
    blocked = Record(tenant_id="b", revision=1, zone="UTC", blocks=(block,), archived=archived)
    for records in ((open_, blocked), (blocked, open_), (blocked,)):
        assert context(records=records).status(start + offset) is status
    assert {start, start + 10} <= context(records=(open_, blocked)).edges()


def test_standing_is_cut_where_the_outlook_says() -> None:
    owed, blocked = instant("2026-03-01"), instant("2026-03-31")
    about = context(outlook=Outlook(owed_since=owed, blocked_at=blocked))
    assert shown(key_timeline([], about), "standing", "phase") == [
        (SINCE_EVER, Standing.GOOD, Phase.UNLICENSED),
        (owed, Standing.PAST_DUE, Phase.UNLICENSED),
        (blocked, Standing.BLOCKED, Phase.UNLICENSED),
    ]


def test_the_tenant_as_a_whole_has_the_best_phase_and_the_first_start() -> None:
    about = context()
    keys = [
        key_timeline([grant("2026-01-01", "2026-02-01", trial=True), grant("2026-08-01", None)], about),
        key_timeline([grant("2026-01-15", "2026-03-01"), grant("2026-07-01", None)], about),
    ]
    assert shown(tenant_timeline(keys, about), "phase", "begins_at") == [
        (SINCE_EVER, Phase.PENDING, instant("2026-01-01")),
        (instant("2026-01-01"), Phase.TRIAL, instant("2026-01-15")),
        (instant("2026-01-15"), Phase.ACTIVE, instant("2026-07-01")),
        (instant("2026-03-01"), Phase.GRACE, instant("2026-07-01")),
        (instant("2026-06-01"), Phase.EXPIRED, instant("2026-07-01")),
        (instant("2026-07-01"), Phase.ACTIVE, instant("2026-08-01")),
        (instant("2026-08-01"), Phase.ACTIVE, None),
    ]


def test_a_tenant_without_keys_is_unlicensed_yet_has_status_and_standing() -> None:
    owed = instant("2026-03-01")
    timeline = tenant_timeline([], context(outlook=Outlook(owed_since=owed)))
    assert shown(timeline, "phase", "standing", "begins_at", "status") == [
        (SINCE_EVER, Phase.UNLICENSED, Standing.GOOD, None, Status.OPEN),
        (owed, Phase.UNLICENSED, Standing.PAST_DUE, None, Status.OPEN),
    ]


@pytest.mark.parametrize(
    ("limit", "overage", "stretch"),
    [(10, 0, 10), (10, 15, 11), (10, 19, 11), (10, 20, 12), (0, 1000, 0), (3, 100, 6), (UNLIMITED, 50, UNLIMITED)],
)
def test_stretched(limit: Limit, overage: int, stretch: Limit) -> None:
    assert stretched(limit, overage) == stretch


@pytest.mark.parametrize(
    ("limits", "sum_"),
    [
        ([], 0),
        ([None], 0),
        ([3, None, 4], 7),
        ([3, UNLIMITED, None], UNLIMITED),
        ([0, 0], 0),
        ([UNLIMITED] * 2, UNLIMITED),
    ],
)
def test_total(limits: list[Limit | None], sum_: Limit) -> None:
    assert total(limits) == sum_


def test_what_is_remembered_on_a_segment_does_not_tell_it_from_another() -> None:
    state = State(Status.OPEN, Standing.GOOD, Phase.ACTIVE)
    one, other = (Segment(0, 1, state, True) for _ in range(2))
    one.memo["answer"] = 42
    assert one == other
    assert other.memo == {}
    assert "memo" not in repr(one)


def test_a_state_says_nothing_that_it_was_not_told() -> None:
    state = State(Status.OPEN, Standing.GOOD, Phase.UNLICENSED)
    assert state[3:] == (0, 0, None, None, None, None, False, ())
