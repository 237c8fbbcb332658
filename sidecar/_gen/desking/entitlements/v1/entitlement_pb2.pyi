from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Basis(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BASIS_UNSPECIFIED: _ClassVar[Basis]
    BASIS_MONEY: _ClassVar[Basis]
    BASIS_DAYS: _ClassVar[Basis]
BASIS_UNSPECIFIED: Basis
BASIS_MONEY: Basis
BASIS_DAYS: Basis

class Limit(_message.Message):
    __slots__ = ("count", "unlimited")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    UNLIMITED_FIELD_NUMBER: _ClassVar[int]
    count: int
    unlimited: bool
    def __init__(self, count: _Optional[int] = ..., unlimited: _Optional[bool] = ...) -> None: ...

class Grant(_message.Message):
    __slots__ = ("key", "starts_at", "ends_at", "trial", "amount", "users", "source")
    KEY_FIELD_NUMBER: _ClassVar[int]
    STARTS_AT_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    key: str
    starts_at: int
    ends_at: int
    trial: bool
    amount: Limit
    users: Limit
    source: str
    def __init__(self, key: _Optional[str] = ..., starts_at: _Optional[int] = ..., ends_at: _Optional[int] = ..., trial: _Optional[bool] = ..., amount: _Optional[_Union[Limit, _Mapping]] = ..., users: _Optional[_Union[Limit, _Mapping]] = ..., source: _Optional[str] = ...) -> None: ...

class Seat(_message.Message):
    __slots__ = ("tenant_id", "user_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    user_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., user_id: _Optional[str] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("key", "units", "seats")
    KEY_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    SEATS_FIELD_NUMBER: _ClassVar[int]
    key: str
    units: int
    seats: _containers.RepeatedCompositeFieldContainer[Seat]
    def __init__(self, key: _Optional[str] = ..., units: _Optional[int] = ..., seats: _Optional[_Iterable[_Union[Seat, _Mapping]]] = ...) -> None: ...

class Block(_message.Message):
    __slots__ = ("name", "starts_at", "ends_at")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STARTS_AT_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    name: str
    starts_at: int
    ends_at: int
    def __init__(self, name: _Optional[str] = ..., starts_at: _Optional[int] = ..., ends_at: _Optional[int] = ...) -> None: ...

class Account(_message.Message):
    __slots__ = ("basis", "balance_micros", "as_of", "owed_since", "owed_charge_micros", "charge_micros", "anchor", "period_months", "period_days", "allowed_balance_micros", "deferral_days")
    BASIS_FIELD_NUMBER: _ClassVar[int]
    BALANCE_MICROS_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    OWED_SINCE_FIELD_NUMBER: _ClassVar[int]
    OWED_CHARGE_MICROS_FIELD_NUMBER: _ClassVar[int]
    CHARGE_MICROS_FIELD_NUMBER: _ClassVar[int]
    ANCHOR_FIELD_NUMBER: _ClassVar[int]
    PERIOD_MONTHS_FIELD_NUMBER: _ClassVar[int]
    PERIOD_DAYS_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_BALANCE_MICROS_FIELD_NUMBER: _ClassVar[int]
    DEFERRAL_DAYS_FIELD_NUMBER: _ClassVar[int]
    basis: Basis
    balance_micros: int
    as_of: int
    owed_since: int
    owed_charge_micros: int
    charge_micros: int
    anchor: int
    period_months: int
    period_days: int
    allowed_balance_micros: int
    deferral_days: int
    def __init__(self, basis: _Optional[_Union[Basis, str]] = ..., balance_micros: _Optional[int] = ..., as_of: _Optional[int] = ..., owed_since: _Optional[int] = ..., owed_charge_micros: _Optional[int] = ..., charge_micros: _Optional[int] = ..., anchor: _Optional[int] = ..., period_months: _Optional[int] = ..., period_days: _Optional[int] = ..., allowed_balance_micros: _Optional[int] = ..., deferral_days: _Optional[int] = ...) -> None: ...

class EntitlementRecord(_message.Message):
    __slots__ = ("tenant_id", "revision", "zone", "language", "edition", "tags", "archived", "blocks", "holder_id", "grants", "usage", "account")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    EDITION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    ARCHIVED_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    HOLDER_ID_FIELD_NUMBER: _ClassVar[int]
    GRANTS_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    revision: int
    zone: str
    language: str
    edition: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    archived: bool
    blocks: _containers.RepeatedCompositeFieldContainer[Block]
    holder_id: str
    grants: _containers.RepeatedCompositeFieldContainer[Grant]
    usage: _containers.RepeatedCompositeFieldContainer[Usage]
    account: Account
    def __init__(self, tenant_id: _Optional[str] = ..., revision: _Optional[int] = ..., zone: _Optional[str] = ..., language: _Optional[str] = ..., edition: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., archived: _Optional[bool] = ..., blocks: _Optional[_Iterable[_Union[Block, _Mapping]]] = ..., holder_id: _Optional[str] = ..., grants: _Optional[_Iterable[_Union[Grant, _Mapping]]] = ..., usage: _Optional[_Iterable[_Union[Usage, _Mapping]]] = ..., account: _Optional[_Union[Account, _Mapping]] = ...) -> None: ...
