"""A question and a tenant's state reduced to the finite facts that rules match on (domain.md 2 to 7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from sidecar.core.actions import ACTIONS, ASSIGN, FEATURE, UNLICENSED_IS_FREE, is_about_seats
from sidecar.core.model import UNLIMITED, Freshness, Group, Instant, Limit
from sidecar.core.rules import NOTHING, Booked, Room, Seated, Used
from sidecar.core.timeline import Segment

if TYPE_CHECKING:
    from sidecar.core.tenant import Tenant


class Ask(NamedTuple):
    """A valid question (serving/codec.py has checked it). Absent names are empty; `quantity` is 1 or more.

    `user_id` is given where it is judged by: license.* and feature.use.
    """

    tenant_id: str
    action: str
    kind: str = ""
    licensed: bool = True
    quantity: int = 1
    user_id: str = ""
    window_starts_at: Instant | None = None
    window_ends_at: Instant | None = None


class Details(NamedTuple):
    """What only expressions look at."""

    user_id: str = ""
    resource_id: str = ""
    attributes: Mapping[str, str] = NOTHING
    resource_attributes: Mapping[str, str] = NOTHING


NO_DETAILS: Final = Details()


class Shape(NamedTuple):
    """What an action's name says about how it is judged."""

    group: Group | None
    spends: bool = False
    reads: bool = False
    seats: bool = False
    feature: bool = False
    names_user: bool = False
    free_unlicensed: bool = False
    assigns: bool = False


def _shape(action: str, group: Group | None) -> Shape:
    return Shape(
        group=group,
        spends=group is Group.SPEND,
        reads=group is Group.READ,
        seats=is_about_seats(action),
        feature=action == FEATURE,
        names_user=is_about_seats(action) or action == FEATURE,
        free_unlicensed=action in UNLICENSED_IS_FREE,
        assigns=action == ASSIGN,
    )


SHAPES: Final = {action: _shape(action, group) for action, group in ACTIONS.items()}
UNKNOWN_SHAPE: Final = Shape(group=None)


class Judged(NamedTuple):
    """Usage against a limit, of a key or of a group of keys; `n` is what the question really consumes."""

    limit: Limit
    used: int
    usage: Used
    room: Room
    near: bool


Glance = tuple[Shape, str, Segment, Seated, Booked]
"""What of a question's facts cannot be told from the question's own words: shape and key judged by, the segment, and
where seat and window stand. A plain tuple: one is made for every check."""


class Facts(NamedTuple):
    """All that rules can match on, but for expressions; and the figures they came from."""

    shape: Shape
    action: str
    kind: str
    segment: Segment
    licensed: bool
    seat: Seated
    own: Judged | None
    """Of the key itself; None without a key, for a feature and for an unknown action."""
    pools: tuple[tuple[str, Judged, Instant], ...]
    """Of each key group that holds the key and that some rule judges by: its name, and when its figures may change."""
    n: int
    window: Booked
    freshness: Freshness


def judge(limit: Limit, used: int, n: int, covered: bool, near_quota: int) -> Judged:
    """Usage and room against a limit. Being exactly at the limit is within; nothing consumed always fits."""
    if not covered:
        return Judged(0, used, Used.UNCOUNTED, Room.EXCEEDS if n else Room.FITS, False)
    if limit is UNLIMITED:
        return Judged(limit, used, Used.WITHIN, Room.FITS, False)
    after = used + n
    return Judged(
        limit,
        used,
        Used.OVER if used > limit else Used.WITHIN,
        Room.EXCEEDS if n and after > limit else Room.FITS,
        n > 0 and after * 100 >= near_quota * limit,
    )


def glance(
    tenant: Tenant, action: str, kind: str, user_id: str, window_ends_at: Instant | None, now: Instant
) -> Glance:
    """The least that tells one answer from another within a segment: the hot path looks at no more than this."""
    shape = SHAPES.get(action, UNKNOWN_SHAPE)
    if shape.reads:
        kind = ""
    segment = tenant.segments.get(kind)
    if segment is None or not segment.starts_at <= now < segment.ends_at:
        segment = tenant.segment(kind, now)
    seat = Seated.UNSEATED
    if shape.names_user and (shape.seats or kind in tenant.per_user):
        seat = _seat(tenant.seat(kind, user_id), segment)
    window = Booked.NONE
    if window_ends_at is not None and segment.covered:
        end = segment.state.term_ends_at
        window = Booked.BEYOND if end is not None and window_ends_at > end else Booked.INSIDE
    return shape, kind, segment, seat, window


def glance_at(tenant: Tenant, ask: Ask, now: Instant) -> Glance:
    """`glance` at a question as a whole."""
    return glance(tenant, ask.action, ask.kind, ask.user_id, ask.window_ends_at, now)


def observe(tenant: Tenant, ask: Ask, seen: Glance, now: Instant, freshness: Freshness) -> Facts:
    """All the facts of a question at an instant."""
    shape, kind, segment, seat, window = seen
    n = _consumed(shape, ask, seat)
    own: Judged | None = None
    pools: tuple[tuple[str, Judged, Instant], ...] = ()
    if kind and shape.group is not None and (seat is not Seated.UNSEATED or not shape.feature):
        seated = seat is not Seated.UNSEATED
        limit = segment.state.users if seated else segment.state.amount
        own = judge(limit, tenant.used(kind, seated), n, segment.covered, tenant.terms.near_quota)
        pools = tenant.pools(kind, seated, n, now)
    licensed = ask.licensed or ask.action == "space.license"
    return Facts(shape, ask.action, kind, segment, licensed, seat, own, pools, n, window, freshness)


def _consumed(shape: Shape, ask: Ask, seat: Seated) -> int:
    """How many the action really takes: none unless it spends, for an unlicensed space, and for a seat already held."""
    if not shape.spends or (shape.free_unlicensed and not ask.licensed):
        return 0
    return 0 if shape.assigns and seat is not Seated.NONE else ask.quantity


def _seat(position: int | None, segment: Segment) -> Seated:
    if position is None:
        return Seated.NONE
    users = segment.state.users
    return Seated.EXCESS if segment.covered and users is not UNLIMITED and position >= users else Seated.HELD
