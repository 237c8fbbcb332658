"""The entitlement record as bytes: core values to and from desking.entitlements.v1.EntitlementRecord."""

from __future__ import annotations

from types import MappingProxyType

from google.protobuf.message import DecodeError

from sidecar._gen.desking.entitlements.v1 import entitlement_pb2 as pb
from sidecar.core.errors import InvalidRecord
from sidecar.core.model import FOREVER, UNLIMITED, Account, Basis, Block, Grant, Limit, Period, Record, Seat, Usage


def encode(record: Record) -> bytes:
    """The record's bytes: the same record gives the same bytes, so digests can be taken of them."""
    message = pb.EntitlementRecord(
        tenant_id=record.tenant_id,
        revision=record.revision,
        zone=record.zone,
        language=record.language,
        edition=record.edition,
        tags=record.tags,
        archived=record.archived,
        blocks=[pb.Block(name=b.name, starts_at=b.starts_at, ends_at=_end(b.ends_at)) for b in record.blocks],
        holder_id=record.holder_id,
        grants=[_grant(g) for g in record.grants],
        usage=[_usage(key, record.usage[key]) for key in sorted(record.usage)],
        account=_account(record.account) if record.account else None,
    )
    return message.SerializeToString(deterministic=True)


def decode(data: bytes) -> Record:
    """The record in `data`. Raises InvalidRecord when it is none, or breaks a record's invariants."""
    try:
        message = pb.EntitlementRecord.FromString(data)
    except DecodeError as e:
        raise InvalidRecord(f"not an entitlement record: {e}") from e
    return Record(
        tenant_id=message.tenant_id,
        revision=message.revision,
        zone=message.zone,
        language=message.language,
        edition=message.edition,
        tags=tuple(message.tags),
        archived=message.archived,
        blocks=tuple(
            Block(name=b.name, starts_at=b.starts_at, ends_at=b.ends_at if b.HasField("ends_at") else FOREVER)
            for b in message.blocks
        ),
        holder_id=message.holder_id,
        grants=tuple(
            Grant(
                key=g.key,
                starts_at=g.starts_at,
                ends_at=g.ends_at if g.HasField("ends_at") else FOREVER,
                trial=g.trial,
                amount=_read_limit(g.amount) if g.HasField("amount") else None,
                users=_read_limit(g.users) if g.HasField("users") else None,
                source=g.source,
            )
            for g in message.grants
        ),
        usage=MappingProxyType({u.key: _read_usage(u) for u in message.usage}),
        account=_read_account(message.account) if message.HasField("account") else None,
    )


def _end(instant: int) -> int | None:
    return None if instant == FOREVER else instant


def _limit(limit: Limit | None) -> pb.Limit | None:
    if limit is None:
        return None
    return pb.Limit(unlimited=True) if limit is UNLIMITED else pb.Limit(count=limit)


def _read_limit(message: pb.Limit) -> Limit:
    match message.WhichOneof("value"):
        case "count":
            return message.count
        case "unlimited":
            return UNLIMITED
        case _:
            raise InvalidRecord("a limit is neither a count nor unlimited")


def _grant(grant: Grant) -> pb.Grant:
    return pb.Grant(
        key=grant.key,
        starts_at=grant.starts_at,
        ends_at=_end(grant.ends_at),
        trial=grant.trial,
        amount=_limit(grant.amount),
        users=_limit(grant.users),
        source=grant.source,
    )


def _usage(key: str, usage: Usage) -> pb.Usage:
    seats = [pb.Seat(tenant_id=s.tenant_id, user_id=s.user_id) for s in usage.seats]
    return pb.Usage(key=key, units=usage.units, seats=seats)


def _read_usage(message: pb.Usage) -> Usage:
    return Usage(units=message.units, seats=tuple(Seat(s.tenant_id, s.user_id) for s in message.seats))


def _account(account: Account) -> pb.Account:
    return pb.Account(
        basis=pb.Basis.Name(account.basis),
        balance_micros=account.balance,
        as_of=account.as_of,
        owed_since=account.owed_since,
        owed_charge_micros=account.owed_charge,
        charge_micros=account.charge,
        anchor=account.anchor,
        period_months=account.period.months,
        period_days=account.period.days,
        allowed_balance_micros=account.allowed_balance,
        deferral_days=account.deferral_days,
    )


def _read_account(message: pb.Account) -> Account:
    try:
        basis = Basis(message.basis)
    except ValueError as e:
        raise InvalidRecord(f"account: unknown basis {message.basis}") from e
    return Account(
        basis=basis,
        balance=message.balance_micros,
        as_of=message.as_of,
        charge=message.charge_micros,
        owed_since=message.owed_since if message.HasField("owed_since") else None,
        owed_charge=message.owed_charge_micros,
        anchor=message.anchor,
        period=Period(months=message.period_months, days=message.period_days),
        allowed_balance=message.allowed_balance_micros,
        deferral_days=message.deferral_days,
    )
