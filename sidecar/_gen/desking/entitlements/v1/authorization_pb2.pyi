import datetime

from sidecar._gen.desking.entitlements.v1 import entitlement_pb2 as _entitlement_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Effect(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EFFECT_UNSPECIFIED: _ClassVar[Effect]
    EFFECT_ALLOW: _ClassVar[Effect]
    EFFECT_DENY: _ClassVar[Effect]

class ReasonClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REASON_CLASS_UNSPECIFIED: _ClassVar[ReasonClass]
    REASON_CLASS_STATE: _ClassVar[ReasonClass]
    REASON_CLASS_QUOTA: _ClassVar[ReasonClass]
    REASON_CLASS_UNKNOWN: _ClassVar[ReasonClass]
    REASON_CLASS_POLICY: _ClassVar[ReasonClass]

class Retry(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RETRY_UNSPECIFIED: _ClassVar[Retry]
    RETRY_NEVER: _ClassVar[Retry]
    RETRY_AFTER_CHANGE: _ClassVar[Retry]
    RETRY_AFTER_TIME: _ClassVar[Retry]
    RETRY_TRANSIENT: _ClassVar[Retry]

class Phase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PHASE_UNSPECIFIED: _ClassVar[Phase]
    PHASE_ACTIVE: _ClassVar[Phase]
    PHASE_TRIAL: _ClassVar[Phase]
    PHASE_GRACE: _ClassVar[Phase]
    PHASE_PENDING: _ClassVar[Phase]
    PHASE_EXPIRED: _ClassVar[Phase]
    PHASE_UNLICENSED: _ClassVar[Phase]

class Standing(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STANDING_UNSPECIFIED: _ClassVar[Standing]
    STANDING_GOOD: _ClassVar[Standing]
    STANDING_PAST_DUE: _ClassVar[Standing]
    STANDING_BLOCKED: _ClassVar[Standing]

class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATUS_UNSPECIFIED: _ClassVar[Status]
    STATUS_OPEN: _ClassVar[Status]
    STATUS_SUSPENDED: _ClassVar[Status]
    STATUS_ARCHIVED: _ClassVar[Status]

class Freshness(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FRESHNESS_UNSPECIFIED: _ClassVar[Freshness]
    FRESHNESS_LIVE: _ClassVar[Freshness]
    FRESHNESS_STALE: _ClassVar[Freshness]
    FRESHNESS_BLIND: _ClassVar[Freshness]
EFFECT_UNSPECIFIED: Effect
EFFECT_ALLOW: Effect
EFFECT_DENY: Effect
REASON_CLASS_UNSPECIFIED: ReasonClass
REASON_CLASS_STATE: ReasonClass
REASON_CLASS_QUOTA: ReasonClass
REASON_CLASS_UNKNOWN: ReasonClass
REASON_CLASS_POLICY: ReasonClass
RETRY_UNSPECIFIED: Retry
RETRY_NEVER: Retry
RETRY_AFTER_CHANGE: Retry
RETRY_AFTER_TIME: Retry
RETRY_TRANSIENT: Retry
PHASE_UNSPECIFIED: Phase
PHASE_ACTIVE: Phase
PHASE_TRIAL: Phase
PHASE_GRACE: Phase
PHASE_PENDING: Phase
PHASE_EXPIRED: Phase
PHASE_UNLICENSED: Phase
STANDING_UNSPECIFIED: Standing
STANDING_GOOD: Standing
STANDING_PAST_DUE: Standing
STANDING_BLOCKED: Standing
STATUS_UNSPECIFIED: Status
STATUS_OPEN: Status
STATUS_SUSPENDED: Status
STATUS_ARCHIVED: Status
FRESHNESS_UNSPECIFIED: Freshness
FRESHNESS_LIVE: Freshness
FRESHNESS_STALE: Freshness
FRESHNESS_BLIND: Freshness

class Resource(_message.Message):
    __slots__ = ("kind", "id", "licensed", "attributes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    LICENSED_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    kind: str
    id: str
    licensed: bool
    attributes: _containers.ScalarMap[str, str]
    def __init__(self, kind: _Optional[str] = ..., id: _Optional[str] = ..., licensed: _Optional[bool] = ..., attributes: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Subject(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    def __init__(self, user_id: _Optional[str] = ...) -> None: ...

class Window(_message.Message):
    __slots__ = ("starts_at", "ends_at")
    STARTS_AT_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    starts_at: _timestamp_pb2.Timestamp
    ends_at: _timestamp_pb2.Timestamp
    def __init__(self, starts_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CheckRequest(_message.Message):
    __slots__ = ("tenant_id", "action", "resource", "quantity", "subject", "window", "locale", "min_revision", "request_id", "attributes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    LOCALE_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    action: str
    resource: Resource
    quantity: int
    subject: Subject
    window: Window
    locale: str
    min_revision: int
    request_id: str
    attributes: _containers.ScalarMap[str, str]
    def __init__(self, tenant_id: _Optional[str] = ..., action: _Optional[str] = ..., resource: _Optional[_Union[Resource, _Mapping]] = ..., quantity: _Optional[int] = ..., subject: _Optional[_Union[Subject, _Mapping]] = ..., window: _Optional[_Union[Window, _Mapping]] = ..., locale: _Optional[str] = ..., min_revision: _Optional[int] = ..., request_id: _Optional[str] = ..., attributes: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Warning(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Quota(_message.Message):
    __slots__ = ("key", "limit", "unlimited", "used", "reserved", "fits", "excess", "holder")
    KEY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    UNLIMITED_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    FITS_FIELD_NUMBER: _ClassVar[int]
    EXCESS_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    key: str
    limit: int
    unlimited: bool
    used: int
    reserved: int
    fits: int
    excess: int
    holder: str
    def __init__(self, key: _Optional[str] = ..., limit: _Optional[int] = ..., unlimited: _Optional[bool] = ..., used: _Optional[int] = ..., reserved: _Optional[int] = ..., fits: _Optional[int] = ..., excess: _Optional[int] = ..., holder: _Optional[str] = ...) -> None: ...

class Remedy(_message.Message):
    __slots__ = ("kind", "quantity", "until", "amount_micros")
    KIND_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MICROS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    quantity: int
    until: _timestamp_pb2.Timestamp
    amount_micros: int
    def __init__(self, kind: _Optional[str] = ..., quantity: _Optional[int] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., amount_micros: _Optional[int] = ...) -> None: ...

class RuleRef(_message.Message):
    __slots__ = ("policy", "id")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    policy: str
    id: str
    def __init__(self, policy: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class CheckResponse(_message.Message):
    __slots__ = ("effect", "reason", "reason_class", "retry", "also", "message", "warnings", "quota", "phase", "standing", "status", "term_ends_at", "grace_ends_at", "next_change_at", "remedies", "rule", "policy_revision", "entitlement_revision", "as_of", "freshness", "decision_id")
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REASON_CLASS_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    ALSO_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    QUOTA_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TERM_ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    GRACE_ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    NEXT_CHANGE_AT_FIELD_NUMBER: _ClassVar[int]
    REMEDIES_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    POLICY_REVISION_FIELD_NUMBER: _ClassVar[int]
    ENTITLEMENT_REVISION_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    FRESHNESS_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    effect: Effect
    reason: str
    reason_class: ReasonClass
    retry: Retry
    also: _containers.RepeatedScalarFieldContainer[str]
    message: str
    warnings: _containers.RepeatedCompositeFieldContainer[Warning]
    quota: Quota
    phase: Phase
    standing: Standing
    status: Status
    term_ends_at: _timestamp_pb2.Timestamp
    grace_ends_at: _timestamp_pb2.Timestamp
    next_change_at: _timestamp_pb2.Timestamp
    remedies: _containers.RepeatedCompositeFieldContainer[Remedy]
    rule: RuleRef
    policy_revision: str
    entitlement_revision: int
    as_of: _timestamp_pb2.Timestamp
    freshness: Freshness
    decision_id: str
    def __init__(self, effect: _Optional[_Union[Effect, str]] = ..., reason: _Optional[str] = ..., reason_class: _Optional[_Union[ReasonClass, str]] = ..., retry: _Optional[_Union[Retry, str]] = ..., also: _Optional[_Iterable[str]] = ..., message: _Optional[str] = ..., warnings: _Optional[_Iterable[_Union[Warning, _Mapping]]] = ..., quota: _Optional[_Union[Quota, _Mapping]] = ..., phase: _Optional[_Union[Phase, str]] = ..., standing: _Optional[_Union[Standing, str]] = ..., status: _Optional[_Union[Status, str]] = ..., term_ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., grace_ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., next_change_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., remedies: _Optional[_Iterable[_Union[Remedy, _Mapping]]] = ..., rule: _Optional[_Union[RuleRef, _Mapping]] = ..., policy_revision: _Optional[str] = ..., entitlement_revision: _Optional[int] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., freshness: _Optional[_Union[Freshness, str]] = ..., decision_id: _Optional[str] = ...) -> None: ...

class CheckBatchRequest(_message.Message):
    __slots__ = ("items", "min_revision")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[CheckRequest]
    min_revision: int
    def __init__(self, items: _Optional[_Iterable[_Union[CheckRequest, _Mapping]]] = ..., min_revision: _Optional[int] = ...) -> None: ...

class ItemError(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class CheckResult(_message.Message):
    __slots__ = ("response", "error")
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    response: CheckResponse
    error: ItemError
    def __init__(self, response: _Optional[_Union[CheckResponse, _Mapping]] = ..., error: _Optional[_Union[ItemError, _Mapping]] = ...) -> None: ...

class CheckBatchResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[CheckResult]
    def __init__(self, results: _Optional[_Iterable[_Union[CheckResult, _Mapping]]] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("check", "at")
    CHECK_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    check: CheckRequest
    at: _timestamp_pb2.Timestamp
    def __init__(self, check: _Optional[_Union[CheckRequest, _Mapping]] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Fact(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class RuleTrace(_message.Message):
    __slots__ = ("rule", "matched", "effect", "reason", "why")
    RULE_FIELD_NUMBER: _ClassVar[int]
    MATCHED_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    rule: RuleRef
    matched: bool
    effect: Effect
    reason: str
    why: str
    def __init__(self, rule: _Optional[_Union[RuleRef, _Mapping]] = ..., matched: _Optional[bool] = ..., effect: _Optional[_Union[Effect, str]] = ..., reason: _Optional[str] = ..., why: _Optional[str] = ...) -> None: ...

class TimelineSegment(_message.Message):
    __slots__ = ("starts_at", "ends_at", "status", "phase", "standing", "amount", "users", "term_ends_at", "grace_ends_at", "expiring_soon", "cuts")
    STARTS_AT_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    TERM_ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    GRACE_ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRING_SOON_FIELD_NUMBER: _ClassVar[int]
    CUTS_FIELD_NUMBER: _ClassVar[int]
    starts_at: _timestamp_pb2.Timestamp
    ends_at: _timestamp_pb2.Timestamp
    status: Status
    phase: Phase
    standing: Standing
    amount: _entitlement_pb2.Limit
    users: _entitlement_pb2.Limit
    term_ends_at: _timestamp_pb2.Timestamp
    grace_ends_at: _timestamp_pb2.Timestamp
    expiring_soon: bool
    cuts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, starts_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., status: _Optional[_Union[Status, str]] = ..., phase: _Optional[_Union[Phase, str]] = ..., standing: _Optional[_Union[Standing, str]] = ..., amount: _Optional[_Union[_entitlement_pb2.Limit, _Mapping]] = ..., users: _Optional[_Union[_entitlement_pb2.Limit, _Mapping]] = ..., term_ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., grace_ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expiring_soon: _Optional[bool] = ..., cuts: _Optional[_Iterable[str]] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("answer", "facts", "rules", "timeline")
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    TIMELINE_FIELD_NUMBER: _ClassVar[int]
    answer: CheckResponse
    facts: _containers.RepeatedCompositeFieldContainer[Fact]
    rules: _containers.RepeatedCompositeFieldContainer[RuleTrace]
    timeline: _containers.RepeatedCompositeFieldContainer[TimelineSegment]
    def __init__(self, answer: _Optional[_Union[CheckResponse, _Mapping]] = ..., facts: _Optional[_Iterable[_Union[Fact, _Mapping]]] = ..., rules: _Optional[_Iterable[_Union[RuleTrace, _Mapping]]] = ..., timeline: _Optional[_Iterable[_Union[TimelineSegment, _Mapping]]] = ...) -> None: ...

class SeatChange(_message.Message):
    __slots__ = ("user_id", "held")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    held: bool
    def __init__(self, user_id: _Optional[str] = ..., held: _Optional[bool] = ...) -> None: ...

class SeatChanges(_message.Message):
    __slots__ = ("changes",)
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[SeatChange]
    def __init__(self, changes: _Optional[_Iterable[_Union[SeatChange, _Mapping]]] = ...) -> None: ...

class AdjustUsageRequest(_message.Message):
    __slots__ = ("tenant_id", "key", "delta", "absolute", "seats", "idempotency_key")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    ABSOLUTE_FIELD_NUMBER: _ClassVar[int]
    SEATS_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    key: str
    delta: int
    absolute: int
    seats: SeatChanges
    idempotency_key: str
    def __init__(self, tenant_id: _Optional[str] = ..., key: _Optional[str] = ..., delta: _Optional[int] = ..., absolute: _Optional[int] = ..., seats: _Optional[_Union[SeatChanges, _Mapping]] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class AdjustUsageResponse(_message.Message):
    __slots__ = ("units", "seats", "revision", "queued")
    UNITS_FIELD_NUMBER: _ClassVar[int]
    SEATS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    units: int
    seats: _containers.RepeatedScalarFieldContainer[str]
    revision: int
    queued: bool
    def __init__(self, units: _Optional[int] = ..., seats: _Optional[_Iterable[str]] = ..., revision: _Optional[int] = ..., queued: _Optional[bool] = ...) -> None: ...
