from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as _authorization_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FeedPosition(_message.Message):
    __slots__ = ("store_id", "revision", "mark")
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    MARK_FIELD_NUMBER: _ClassVar[int]
    store_id: str
    revision: int
    mark: str
    def __init__(self, store_id: _Optional[str] = ..., revision: _Optional[int] = ..., mark: _Optional[str] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("since", "whole", "tenants", "instance")
    SINCE_FIELD_NUMBER: _ClassVar[int]
    WHOLE_FIELD_NUMBER: _ClassVar[int]
    TENANTS_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    since: FeedPosition
    whole: bool
    tenants: _containers.RepeatedScalarFieldContainer[str]
    instance: str
    def __init__(self, since: _Optional[_Union[FeedPosition, _Mapping]] = ..., whole: _Optional[bool] = ..., tenants: _Optional[_Iterable[str]] = ..., instance: _Optional[str] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("sequence", "batch", "heartbeat")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    batch: Batch
    heartbeat: Heartbeat
    def __init__(self, sequence: _Optional[int] = ..., batch: _Optional[_Union[Batch, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ...) -> None: ...

class Batch(_message.Message):
    __slots__ = ("position", "snapshot", "since_revision", "changes", "more", "digest", "seal", "part")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    SINCE_REVISION_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SEAL_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    position: FeedPosition
    snapshot: bool
    since_revision: int
    changes: _containers.RepeatedCompositeFieldContainer[RecordChange]
    more: bool
    digest: str
    seal: int
    part: bool
    def __init__(self, position: _Optional[_Union[FeedPosition, _Mapping]] = ..., snapshot: _Optional[bool] = ..., since_revision: _Optional[int] = ..., changes: _Optional[_Iterable[_Union[RecordChange, _Mapping]]] = ..., more: _Optional[bool] = ..., digest: _Optional[str] = ..., seal: _Optional[int] = ..., part: _Optional[bool] = ...) -> None: ...

class RecordChange(_message.Message):
    __slots__ = ("tenant_id", "record")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    record: bytes
    def __init__(self, tenant_id: _Optional[str] = ..., record: _Optional[bytes] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("position", "store_instant", "interval_ms", "problem")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    STORE_INSTANT_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    position: FeedPosition
    store_instant: int
    interval_ms: int
    problem: str
    def __init__(self, position: _Optional[_Union[FeedPosition, _Mapping]] = ..., store_instant: _Optional[int] = ..., interval_ms: _Optional[int] = ..., problem: _Optional[str] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("tenant_id", "min_revision")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    min_revision: int
    def __init__(self, tenant_id: _Optional[str] = ..., min_revision: _Optional[int] = ...) -> None: ...

class GetResponse(_message.Message):
    __slots__ = ("position", "records", "store_instant")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    STORE_INSTANT_FIELD_NUMBER: _ClassVar[int]
    position: FeedPosition
    records: _containers.RepeatedCompositeFieldContainer[RecordChange]
    store_instant: int
    def __init__(self, position: _Optional[_Union[FeedPosition, _Mapping]] = ..., records: _Optional[_Iterable[_Union[RecordChange, _Mapping]]] = ..., store_instant: _Optional[int] = ...) -> None: ...
