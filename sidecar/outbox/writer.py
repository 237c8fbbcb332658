"""Statements of usage for a store over a network: kept in the outbox, and answered by the store if it is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.core.model import Instant
from sidecar.outbox.forward import Refusal
from sidecar.outbox.rows import Draft, KeyTaken, OutboxError, OutboxFull
from sidecar.outbox.sender import Sender
from sidecar.serving.adjust import Adjusted, Adjustment
from sidecar.serving.answers import CannotAnswer, Code
from sidecar.usagewriter import refused

PROBLEMS: Final = {KeyTaken: Code.ALREADY_EXISTS, OutboxFull: Code.RESOURCE_EXHAUSTED}


class OutboxUsageWriter:
    """Writes to the outbox of this sidecar, and waits for the store."""

    def __init__(self, sender: Sender, now: Callable[[], Instant]) -> None:
        self._sender: Final = sender
        self._now: Final = now

    def __call__(self, adjustment: Adjustment, patience: float) -> Adjusted:
        """See UsageWriter."""
        try:
            outcome = self._sender.state(draft_of(adjustment), self._now(), patience)
        except OutboxError as e:
            raise CannotAnswer(PROBLEMS.get(type(e), Code.UNAVAILABLE), f"nothing was taken: {e}") from e
        if isinstance(outcome, Refusal):
            raise refused(outcome.code, str(outcome))
        return outcome


def draft_of(adjustment: Adjustment) -> Draft:
    """The statement as it is kept and sent: the same content always makes the same bytes."""
    message = pb.AdjustUsageRequest(
        tenant_id=adjustment.tenant_id,
        key=adjustment.key,
        idempotency_key=adjustment.idempotency_key,
        delta=adjustment.delta,
        absolute=adjustment.absolute,
    )
    if adjustment.seats is not None:
        changes = [pb.SeatChange(user_id=user, held=held) for user, held in adjustment.seats]
        message.seats.CopyFrom(pb.SeatChanges(changes=changes))
    return Draft(
        idempotency_key=adjustment.idempotency_key,
        tenant_id=adjustment.tenant_id,
        key=adjustment.key,
        request=message.SerializeToString(deterministic=True),
    )
