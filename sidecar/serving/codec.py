"""Between wire messages and core values: questions read and checked, answers written.

An answer is written in two parts, which are concatenated: the part that a segment remembers, here, and the part that
differs from call to call, in stamps.py. Each field lives in exactly one of them, so the whole is a valid message.
"""

from __future__ import annotations

from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar._gen.desking.entitlements.v1 import entitlement_pb2 as records_pb
from sidecar.core.actions import ASSIGN, NEEDS_KIND
from sidecar.core.decide import Advice, Decision, Figures
from sidecar.core.errors import DeskgateError, InvalidRequest
from sidecar.core.facts import SHAPES, UNKNOWN_SHAPE, Details
from sidecar.core.model import DAY, FOREVER, SECOND, SINCE_EVER, UNLIMITED, Freshness, Instant, Limit
from sidecar.core.timeline import Segment
from sidecar.serving.answers import Code

M = TypeVar("M", bound=Message)

CHECK_BYTES: Final = 64 * 1024
BATCH_BYTES: Final = 4 * 1024 * 1024
BATCH_ITEMS: Final = 1000
NAME_BYTES: Final = 256
MAX_QUANTITY: Final = 2**31
MAX_UNITS: Final = 2**53
MAX_WINDOW: Final = 3653 * DAY
MAX_ATTRIBUTES: Final = 64
LAST: Final = 253402300799_999999
"""The last microsecond of the year 9999."""
NANOS: Final = 1_000_000_000
NO_WINDOW: Final = (None, None)


def read_message(kind: type[M], data: bytes, limit: int) -> M:
    """A message of `kind`. Raises InvalidRequest when `data` is too long or is none."""
    if len(data) > limit:
        raise InvalidRequest("request", f"{len(data)} bytes are more than the {limit} that are taken")
    try:
        return kind.FromString(data)
    except DecodeError as e:
        raise InvalidRequest("request", f"these bytes are no {kind.__name__}: {e}") from e


Asked = tuple[str, str, str, bool, int, str, Instant | None, Instant | None]
"""The fields of an Ask, in order: a plain tuple, since one is made for every check."""


def read_ask(message: pb.CheckRequest, size: int) -> Asked:
    """The question in a message of `size` bytes. Raises InvalidRequest naming the first field that is wrong."""
    tenant_id, action, resource = message.tenant_id, message.action, message.resource
    kind, shape = resource.kind, SHAPES.get(action, UNKNOWN_SHAPE)
    user_id = message.subject.user_id if shape.names_user else ""
    quantity = message.quantity if message.HasField("quantity") else 1
    if size > NAME_BYTES:  # in fewer bytes no name and no number of attributes can be too long
        _check_sizes(message)
    if not (tenant_id and action and 1 <= quantity <= MAX_QUANTITY):
        _check_least(message, quantity)
    if not kind and shape.group in NEEDS_KIND:
        raise InvalidRequest("resource.kind", f"{action} needs one")
    if shape.assigns:
        _check_assign(user_id, quantity)
    starts_at, ends_at = read_window(message.window) if message.HasField("window") else NO_WINDOW
    licensed = resource.licensed if resource.HasField("licensed") else True
    return tenant_id, action, kind, licensed, quantity, user_id, starts_at, ends_at


def read_details(message: pb.CheckRequest) -> Details:
    """What only expressions look at."""
    return Details(message.subject.user_id, message.resource.id, message.attributes, message.resource.attributes)


def read_window(window: pb.Window) -> tuple[Instant, Instant]:
    """Both ends of a window. Raises InvalidRequest when it is half given, reversed, empty or too long."""
    starts, ends = window.starts_at, window.ends_at
    nanos, end_nanos = starts.nanos, ends.nanos
    starts_at = starts.seconds * SECOND + nanos // 1000
    ends_at = ends.seconds * SECOND + end_nanos // 1000
    sound = 0 <= nanos < NANOS and 0 <= end_nanos < NANOS and ends_at <= LAST
    if not (sound and 0 < starts_at < ends_at <= starts_at + MAX_WINDOW):
        return _window_checked(window)
    return starts_at, ends_at


def _window_checked(window: pb.Window) -> tuple[Instant, Instant]:
    for name in ("starts_at", "ends_at"):
        if not window.HasField(name):
            raise InvalidRequest(f"window.{name}", "both ends of a window are needed")
    starts_at = read_timestamp("window.starts_at", window.starts_at)
    ends_at = read_timestamp("window.ends_at", window.ends_at)
    if ends_at <= starts_at:
        raise InvalidRequest("window.ends_at", "a window ends after it starts")
    if ends_at - starts_at > MAX_WINDOW:
        raise InvalidRequest("window.ends_at", "a window is at most 10 years long")
    return starts_at, ends_at


def read_timestamp(field: str, stamp: Timestamp) -> Instant:
    """An instant, to the microsecond. Raises InvalidRequest outside 1970 to 9999."""
    instant = stamp.seconds * SECOND + stamp.nanos // 1000
    if not (0 <= instant <= LAST and 0 <= stamp.nanos < NANOS):
        raise InvalidRequest(field, "an instant of the years 1970 to 9999 is needed")
    return instant


def _check_least(message: pb.CheckRequest, quantity: int) -> None:
    check_name("tenant_id", message.tenant_id)
    check_name("action", message.action)
    raise InvalidRequest("quantity", f"{quantity} is not between 1 and {MAX_QUANTITY}")


def _check_sizes(message: pb.CheckRequest) -> None:
    check_name("tenant_id", message.tenant_id)
    check_name("action", message.action)
    optional = {
        "resource.kind": message.resource.kind,
        "resource.id": message.resource.id,
        "subject.user_id": message.subject.user_id,
        "request_id": message.request_id,
    }
    for field, text in optional.items():
        if text:
            check_name(field, text)
    for field, entries in (("attributes", message.attributes), ("resource.attributes", message.resource.attributes)):
        if len(entries) > MAX_ATTRIBUTES:
            raise InvalidRequest(field, f"{len(entries)} entries are more than the {MAX_ATTRIBUTES} that are taken")


def check_name(field: str, text: str) -> None:
    """Raises InvalidRequest unless the text is 1 to 256 bytes long."""
    size = len(text.encode())
    if not 1 <= size <= NAME_BYTES:
        raise InvalidRequest(field, f"1 to {NAME_BYTES} bytes are needed, got {size}")


def _check_assign(user_id: str, quantity: int) -> None:
    if not user_id:
        raise InvalidRequest("subject.user_id", f"{ASSIGN} needs one")
    if quantity != 1:
        raise InvalidRequest("quantity", f"{ASSIGN} is for one user at a time, so it takes only 1")


def constant_part(decision: Decision, freshness: Freshness | None, policy_revision: str) -> bytes:
    """The fields of an answer that stay while the segment, the policies and the question's facts do."""
    reason, state, rule = decision.reason, decision.state, decision.rule
    message = pb.CheckResponse(
        effect=f"EFFECT_{decision.effect.name}",
        also=decision.also,
        message=decision.message,
        warnings=[pb.Warning(code=code, message=text) for code, text in decision.warnings],
        quota=_quota(decision.figures) if decision.figures else None,
        next_change_at=_stamp(decision.next_change_at),
        remedies=[_remedy(a) for a in decision.remedies],
        rule=pb.RuleRef(policy=rule.policy, id=rule.id) if rule else None,
        policy_revision=policy_revision,
        freshness=f"FRESHNESS_{freshness}" if freshness else None,
        reason=reason.code if reason else None,
        reason_class=f"REASON_CLASS_{reason.reason_class}" if reason else None,
        retry=f"RETRY_{reason.retry}" if reason else None,
        phase=f"PHASE_{state.phase}" if state else None,
        standing=f"STANDING_{state.standing}" if state else None,
        status=f"STATUS_{state.status}" if state else None,
        term_ends_at=_stamp(state.term_ends_at) if state else None,
        grace_ends_at=_stamp(state.grace_ends_at) if state else None,
    )
    return message.SerializeToString()


def batch_error(problem: DeskgateError, code: Code = Code.INVALID_ARGUMENT) -> bytes:
    """An item that could not be judged, as one result of a batch."""
    result = pb.CheckResult(error=pb.ItemError(code=code, message=str(problem)))
    return pb.CheckBatchResponse(results=[result]).SerializeToString()


def timeline_segment(segment: Segment) -> pb.TimelineSegment:
    """A segment, for people."""
    state = segment.state
    return pb.TimelineSegment(
        starts_at=_stamp(segment.starts_at),
        ends_at=_stamp(segment.ends_at),
        status=f"STATUS_{state.status}",
        phase=f"PHASE_{state.phase}",
        standing=f"STANDING_{state.standing}",
        amount=_limit(state.amount),
        users=_limit(state.users),
        term_ends_at=_stamp(state.term_ends_at),
        grace_ends_at=_stamp(state.grace_ends_at),
        expiring_soon=state.expiring_soon,
        cuts=state.cuts,
    )


def _limit(limit: Limit) -> records_pb.Limit:
    return records_pb.Limit(unlimited=True) if limit is UNLIMITED else records_pb.Limit(count=limit)


def _quota(figures: Figures) -> pb.Quota:
    quota = pb.Quota(key=figures.key, used=figures.used, excess=figures.excess, holder=figures.holder)
    if figures.limit is UNLIMITED:
        quota.unlimited = True
    else:
        quota.limit = figures.limit
    if figures.fits is not UNLIMITED:
        quota.fits = figures.fits
    return quota


def _remedy(advice: Advice) -> pb.Remedy:
    return pb.Remedy(
        kind=advice.remedy,
        quantity=advice.quantity,
        until=_stamp(advice.until),
        amount_micros=advice.amount,
    )


def _stamp(instant: Instant | None) -> Timestamp | None:
    if instant is None or instant in (SINCE_EVER, FOREVER):
        return None
    seconds, micros = divmod(instant, SECOND)
    return Timestamp(seconds=seconds, nanos=micros * 1000)
