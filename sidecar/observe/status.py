"""What `/statusz` tells: the state of a sidecar at one moment, as plain values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyStatus:
    """The policies in force and how the last reading of their files went. Instants are RFC 3339, "" for never."""

    revision: str
    names: tuple[str, ...]
    sources: tuple[str, ...]
    """The files and folders that are watched."""
    in_force_since: str
    last_reload_at: str
    last_reload_ok: bool
    last_error: str
    """Why the last reading was refused; the set in force is then an earlier one."""
    from_last_good: bool = False
    """True when the set in force was read from the state directory, not from the files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatus:
    """Where the sidecar is in the store's history, and when the two were last in touch."""

    source: str
    store_id: str
    revision: int
    last_contact_at: str
    last_applied_at: str
    freshness: str
    history_gone_back: bool
    last_error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxStatus:
    """Statements of usage on their way to a store over a network; `deskgate outbox list` has them one by one."""

    file: str
    usable: bool
    """False: it cannot be read, and the figures are not known."""
    pending: int
    oldest_at: str
    not_sent_because: str
    """"": they are sent."""
    refused: int
    """Kept for an operator."""
    set_aside: tuple[str, ...]
    """Damaged outboxes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockStatus:
    """The instant that is decided by, where it comes from, and how far the machine's clock is from it."""

    now: str
    machine: str
    offset_seconds: float
    floor: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantStatus:
    """How many tenants are held as bytes, and compiled."""

    held: int
    compiled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingStatus:
    """Whether calls are answered, and where."""

    ready: bool
    not_ready_because: tuple[str, ...]
    addresses: tuple[str, ...]
    in_flight: int
    started_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The whole of it."""

    version: str
    settings_digest: str
    serving: ServingStatus
    policies: PolicyStatus
    store: StoreStatus
    outbox: OutboxStatus | None
    """None: usage is written to the store directly."""
    clock: ClockStatus
    tenants: TenantStatus
