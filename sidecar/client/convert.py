"""Between this client's values and the protobuf messages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, cast

from google.protobuf.timestamp_pb2 import Timestamp

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.client.errors import InvalidQuestion
from sidecar.client.types import (
    Answer,
    Change,
    Effect,
    Explanation,
    ItemError,
    Notice,
    Question,
    Quota,
    Remedy,
    RuleTrace,
    Segment,
    UsageNow,
)

CODES = {3: "INVALID_ARGUMENT", 8: "RESOURCE_EXHAUSTED", 14: "UNAVAILABLE"}


def question_message(question: Question) -> pb.CheckRequest:
    """The request that asks it. Raises InvalidQuestion for what a message cannot hold."""
    try:
        message = pb.CheckRequest(
            tenant_id=question.tenant,
            action=question.action,
            quantity=question.quantity,
            locale=question.locale,
            min_revision=question.min_revision,
            request_id=question.request_id,
            attributes=question.attributes,
        )
        if question.kind or question.resource_id or question.licensed is not None or question.resource_attributes:
            message.resource.CopyFrom(
                pb.Resource(
                    kind=question.kind,
                    id=question.resource_id,
                    licensed=question.licensed,
                    attributes=question.resource_attributes,
                )
            )
        if question.user:
            message.subject.user_id = question.user
    except (TypeError, ValueError) as e:
        raise InvalidQuestion("", str(e)) from e
    if question.window is not None:
        starts_at, ends_at = question.window
        message.window.CopyFrom(
            pb.Window(starts_at=timestamp("window", starts_at), ends_at=timestamp("window", ends_at))
        )
    return message


def adjustment_message(tenant: str, key: str, change: Mapping[str, Any], idempotency_key: str) -> pb.AdjustUsageRequest:
    """The request that states what now exists; `change` is one of delta, absolute and seats."""
    try:
        message = pb.AdjustUsageRequest(tenant_id=tenant, key=key, idempotency_key=idempotency_key)
        for name, value in change.items():
            if name == "seats":
                held = [pb.SeatChange(user_id=user, held=is_held) for user, is_held in value.items()]
                message.seats.CopyFrom(pb.SeatChanges(changes=held))
            else:
                setattr(message, name, value)
    except (TypeError, ValueError) as e:
        raise InvalidQuestion("", str(e)) from e
    return message


def timestamp(field: str, instant: datetime) -> Timestamp:
    """The instant as a message. Raises InvalidQuestion for a naive one."""
    if instant.tzinfo is None:
        raise InvalidQuestion("", f"{field}: {instant.isoformat()} has no zone, so it is no instant")
    message = Timestamp()
    message.FromDatetime(instant)
    return message


def answer_of(message: pb.CheckResponse) -> Answer:
    """The answer in a message."""
    return Answer(
        effect=cast("Effect", _name(pb.Effect, message.effect).lower()),
        reason=message.reason,
        reason_class=_name(pb.ReasonClass, message.reason_class),
        retry=_name(pb.Retry, message.retry),
        also=tuple(message.also),
        message=message.message,
        warnings=tuple(Notice(code=w.code, message=w.message) for w in message.warnings),
        quota=_quota(message.quota) if message.HasField("quota") else None,
        phase=_name(pb.Phase, message.phase),
        standing=_name(pb.Standing, message.standing),
        status=_name(pb.Status, message.status),
        term_ends_at=_instant(message, "term_ends_at"),
        grace_ends_at=_instant(message, "grace_ends_at"),
        next_change_at=_instant(message, "next_change_at"),
        remedies=tuple(_remedy(r) for r in message.remedies),
        policy=message.rule.policy,
        rule=message.rule.id,
        policy_revision=message.policy_revision,
        entitlement_revision=message.entitlement_revision,
        as_of=_instant(message, "as_of"),
        freshness=_name(pb.Freshness, message.freshness),
        decision_id=message.decision_id,
    )


def result_of(message: pb.CheckResult) -> Answer | ItemError:
    """One answer of a batch, or why there is none."""
    if message.HasField("error"):
        return ItemError(code=CODES.get(message.error.code, str(message.error.code)), message=message.error.message)
    return answer_of(message.response)


def explanation_of(message: pb.ExplainResponse) -> Explanation:
    """The answer and its trace."""
    return Explanation(
        answer=answer_of(message.answer),
        facts=tuple((f.name, f.value) for f in message.facts),
        rules=tuple(_rule(r) for r in message.rules),
        timeline=tuple(_segment(s) for s in message.timeline),
    )


def usage_of(message: pb.AdjustUsageResponse) -> UsageNow:
    """What the store holds now."""
    return UsageNow(units=message.units, seats=tuple(message.seats), revision=message.revision, queued=message.queued)


def change_of(delta: int | None, absolute: int | None, seats: Mapping[str, bool] | None) -> dict[str, Change]:
    """The one change given. Raises InvalidQuestion unless it is exactly one."""
    given: dict[str, Change | None] = {"delta": delta, "absolute": absolute, "seats": seats}
    change = {name: value for name, value in given.items() if value is not None}
    if len(change) != 1:
        raise InvalidQuestion("", "change: exactly one of delta, absolute and seats is needed")
    return change


def _quota(message: pb.Quota) -> Quota:
    return Quota(
        key=message.key,
        limit=message.limit if message.HasField("limit") else None,
        unlimited=message.unlimited,
        used=message.used,
        reserved=message.reserved,
        fits=message.fits if message.HasField("fits") else None,
        excess=message.excess,
        holder=message.holder,
    )


def _remedy(message: pb.Remedy) -> Remedy:
    return Remedy(
        kind=message.kind,
        quantity=message.quantity,
        until=_instant(message, "until"),
        amount_micros=message.amount_micros,
    )


def _rule(message: pb.RuleTrace) -> RuleTrace:
    return RuleTrace(
        policy=message.rule.policy,
        rule=message.rule.id,
        matched=message.matched,
        effect=_name(pb.Effect, message.effect).lower(),
        reason=message.reason,
        why=message.why,
    )


def _segment(message: pb.TimelineSegment) -> Segment:
    return Segment(
        starts_at=_instant(message, "starts_at"),
        ends_at=_instant(message, "ends_at"),
        status=_name(pb.Status, message.status),
        phase=_name(pb.Phase, message.phase),
        standing=_name(pb.Standing, message.standing),
        amount=_limit(message, "amount"),
        users=_limit(message, "users"),
        term_ends_at=_instant(message, "term_ends_at"),
        grace_ends_at=_instant(message, "grace_ends_at"),
        expiring_soon=message.expiring_soon,
        cuts=tuple(message.cuts),
    )


def _limit(message: pb.TimelineSegment, field: str) -> int | Literal["unlimited"] | None:
    if not message.HasField(cast("Any", field)):
        return None
    limit = getattr(message, field)
    return "unlimited" if limit.unlimited else int(limit.count)


def _instant(message: Any, field: str) -> datetime | None:
    return getattr(message, field).ToDatetime(tzinfo=UTC) if message.HasField(field) else None


def _name(enum: Any, number: int) -> str:
    """The value's name without its prefix; "" for none; the number itself for one that this client does not know."""
    value = enum.DESCRIPTOR.values_by_number.get(number)
    if value is None:
        return str(number)
    name: str = value.name.removeprefix(enum.DESCRIPTOR.values_by_number[0].name.removesuffix("UNSPECIFIED"))
    return "" if name == "UNSPECIFIED" else name
