import datetime

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as _authorization_pb2
from sidecar._gen.desking.entitlements.v1 import entitlement_pb2 as _entitlement_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LengthUnit(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LENGTH_UNIT_UNSPECIFIED: _ClassVar[LengthUnit]
    LENGTH_UNIT_DAY: _ClassVar[LengthUnit]
    LENGTH_UNIT_WEEK: _ClassVar[LengthUnit]
    LENGTH_UNIT_MONTH: _ClassVar[LengthUnit]
    LENGTH_UNIT_YEAR: _ClassVar[LengthUnit]

class Calculation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CALCULATION_UNSPECIFIED: _ClassVar[Calculation]
    CALCULATION_FIXED: _ClassVar[Calculation]
    CALCULATION_PER_QTY: _ClassVar[Calculation]

class Billing(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BILLING_UNSPECIFIED: _ClassVar[Billing]
    BILLING_MONTHLY: _ClassVar[Billing]
    BILLING_QUARTERLY: _ClassVar[Billing]
    BILLING_ANNUAL: _ClassVar[Billing]

class Downgrade(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DOWNGRADE_UNSPECIFIED: _ClassVar[Downgrade]
    DOWNGRADE_REFUSED: _ClassVar[Downgrade]
    DOWNGRADE_AT_ONCE: _ClassVar[Downgrade]
    DOWNGRADE_AT_END: _ClassVar[Downgrade]

class OrderKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORDER_KIND_UNSPECIFIED: _ClassVar[OrderKind]
    ORDER_KIND_NEW: _ClassVar[OrderKind]
    ORDER_KIND_RENEW: _ClassVar[OrderKind]
    ORDER_KIND_UPGRADE: _ClassVar[OrderKind]
    ORDER_KIND_DOWNGRADE: _ClassVar[OrderKind]
    ORDER_KIND_VOID: _ClassVar[OrderKind]

class LateStart(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LATE_START_UNSPECIFIED: _ClassVar[LateStart]
    LATE_START_OWN_START: _ClassVar[LateStart]
    LATE_START_OLD_END: _ClassVar[LateStart]

class OperatorRole(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OPERATOR_ROLE_UNSPECIFIED: _ClassVar[OperatorRole]
    OPERATOR_ROLE_VIEWER: _ClassVar[OperatorRole]
    OPERATOR_ROLE_OPERATOR: _ClassVar[OperatorRole]
    OPERATOR_ROLE_ADMIN: _ClassVar[OperatorRole]
    OPERATOR_ROLE_SIDECAR: _ClassVar[OperatorRole]
LENGTH_UNIT_UNSPECIFIED: LengthUnit
LENGTH_UNIT_DAY: LengthUnit
LENGTH_UNIT_WEEK: LengthUnit
LENGTH_UNIT_MONTH: LengthUnit
LENGTH_UNIT_YEAR: LengthUnit
CALCULATION_UNSPECIFIED: Calculation
CALCULATION_FIXED: Calculation
CALCULATION_PER_QTY: Calculation
BILLING_UNSPECIFIED: Billing
BILLING_MONTHLY: Billing
BILLING_QUARTERLY: Billing
BILLING_ANNUAL: Billing
DOWNGRADE_UNSPECIFIED: Downgrade
DOWNGRADE_REFUSED: Downgrade
DOWNGRADE_AT_ONCE: Downgrade
DOWNGRADE_AT_END: Downgrade
ORDER_KIND_UNSPECIFIED: OrderKind
ORDER_KIND_NEW: OrderKind
ORDER_KIND_RENEW: OrderKind
ORDER_KIND_UPGRADE: OrderKind
ORDER_KIND_DOWNGRADE: OrderKind
ORDER_KIND_VOID: OrderKind
LATE_START_UNSPECIFIED: LateStart
LATE_START_OWN_START: LateStart
LATE_START_OLD_END: LateStart
OPERATOR_ROLE_UNSPECIFIED: OperatorRole
OPERATOR_ROLE_VIEWER: OperatorRole
OPERATOR_ROLE_OPERATOR: OperatorRole
OPERATOR_ROLE_ADMIN: OperatorRole
OPERATOR_ROLE_SIDECAR: OperatorRole

class Length(_message.Message):
    __slots__ = ("count", "unit")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    count: int
    unit: LengthUnit
    def __init__(self, count: _Optional[int] = ..., unit: _Optional[_Union[LengthUnit, str]] = ...) -> None: ...

class Texts(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, values: _Optional[_Iterable[str]] = ...) -> None: ...

class TenantBlock(_message.Message):
    __slots__ = ("name", "starts_at", "ends_at", "cascade")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STARTS_AT_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    CASCADE_FIELD_NUMBER: _ClassVar[int]
    name: str
    starts_at: _timestamp_pb2.Timestamp
    ends_at: _timestamp_pb2.Timestamp
    cascade: bool
    def __init__(self, name: _Optional[str] = ..., starts_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cascade: _Optional[bool] = ...) -> None: ...

class Tenant(_message.Message):
    __slots__ = ("id", "name", "parent_id", "zone", "language", "tags", "edition", "contacts", "version", "created_at", "archived_at", "erase_after", "erased_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PARENT_ID_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    EDITION_FIELD_NUMBER: _ClassVar[int]
    CONTACTS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    ARCHIVED_AT_FIELD_NUMBER: _ClassVar[int]
    ERASE_AFTER_FIELD_NUMBER: _ClassVar[int]
    ERASED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    parent_id: str
    zone: str
    language: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    edition: str
    contacts: _containers.RepeatedScalarFieldContainer[str]
    version: int
    created_at: _timestamp_pb2.Timestamp
    archived_at: _timestamp_pb2.Timestamp
    erase_after: _timestamp_pb2.Timestamp
    erased_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., parent_id: _Optional[str] = ..., zone: _Optional[str] = ..., language: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., edition: _Optional[str] = ..., contacts: _Optional[_Iterable[str]] = ..., version: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., archived_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., erase_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., erased_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateTenantRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "id", "name", "parent_id", "zone", "language", "tags", "edition", "contacts")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PARENT_ID_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    EDITION_FIELD_NUMBER: _ClassVar[int]
    CONTACTS_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    id: str
    name: str
    parent_id: str
    zone: str
    language: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    edition: str
    contacts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., id: _Optional[str] = ..., name: _Optional[str] = ..., parent_id: _Optional[str] = ..., zone: _Optional[str] = ..., language: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., edition: _Optional[str] = ..., contacts: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateTenantResponse(_message.Message):
    __slots__ = ("revision", "tenant")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    tenant: Tenant
    def __init__(self, revision: _Optional[int] = ..., tenant: _Optional[_Union[Tenant, _Mapping]] = ...) -> None: ...

class UpdateTenantRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "id", "expected_version", "name", "zone", "language", "tags", "edition", "contacts")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    EDITION_FIELD_NUMBER: _ClassVar[int]
    CONTACTS_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    id: str
    expected_version: int
    name: str
    zone: str
    language: str
    tags: Texts
    edition: str
    contacts: Texts
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., id: _Optional[str] = ..., expected_version: _Optional[int] = ..., name: _Optional[str] = ..., zone: _Optional[str] = ..., language: _Optional[str] = ..., tags: _Optional[_Union[Texts, _Mapping]] = ..., edition: _Optional[str] = ..., contacts: _Optional[_Union[Texts, _Mapping]] = ...) -> None: ...

class UpdateTenantResponse(_message.Message):
    __slots__ = ("revision", "tenant")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    tenant: Tenant
    def __init__(self, revision: _Optional[int] = ..., tenant: _Optional[_Union[Tenant, _Mapping]] = ...) -> None: ...

class MoveTenantRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "id", "parent_id")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_ID_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    id: str
    parent_id: str
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., id: _Optional[str] = ..., parent_id: _Optional[str] = ...) -> None: ...

class MoveTenantResponse(_message.Message):
    __slots__ = ("revision", "tenant")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    tenant: Tenant
    def __init__(self, revision: _Optional[int] = ..., tenant: _Optional[_Union[Tenant, _Mapping]] = ...) -> None: ...

class ArchiveTenantRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "id", "retention_days")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    RETENTION_DAYS_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    id: str
    retention_days: int
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., id: _Optional[str] = ..., retention_days: _Optional[int] = ...) -> None: ...

class ArchiveTenantResponse(_message.Message):
    __slots__ = ("revision", "tenant")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    tenant: Tenant
    def __init__(self, revision: _Optional[int] = ..., tenant: _Optional[_Union[Tenant, _Mapping]] = ...) -> None: ...

class RestoreTenantRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "id")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    id: str
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class RestoreTenantResponse(_message.Message):
    __slots__ = ("revision", "tenant")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    tenant: Tenant
    def __init__(self, revision: _Optional[int] = ..., tenant: _Optional[_Union[Tenant, _Mapping]] = ...) -> None: ...

class EraseTenantRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "id")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    id: str
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class EraseTenantResponse(_message.Message):
    __slots__ = ("revision", "tenant")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    tenant: Tenant
    def __init__(self, revision: _Optional[int] = ..., tenant: _Optional[_Union[Tenant, _Mapping]] = ...) -> None: ...

class EraseDueTenantsRequest(_message.Message):
    __slots__ = ("idempotency_key", "at")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class EraseDueTenantsResponse(_message.Message):
    __slots__ = ("revision", "tenant_ids")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TENANT_IDS_FIELD_NUMBER: _ClassVar[int]
    revision: int
    tenant_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, revision: _Optional[int] = ..., tenant_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class BlockTenantRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "tenant_id", "name", "starts", "ends", "cascade")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STARTS_FIELD_NUMBER: _ClassVar[int]
    ENDS_FIELD_NUMBER: _ClassVar[int]
    CASCADE_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    tenant_id: str
    name: str
    starts: str
    ends: str
    cascade: bool
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tenant_id: _Optional[str] = ..., name: _Optional[str] = ..., starts: _Optional[str] = ..., ends: _Optional[str] = ..., cascade: _Optional[bool] = ...) -> None: ...

class BlockTenantResponse(_message.Message):
    __slots__ = ("revision", "block")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    revision: int
    block: TenantBlock
    def __init__(self, revision: _Optional[int] = ..., block: _Optional[_Union[TenantBlock, _Mapping]] = ...) -> None: ...

class UnblockTenantRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "tenant_id", "name")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    tenant_id: str
    name: str
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tenant_id: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class UnblockTenantResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class GetTenantRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetTenantResponse(_message.Message):
    __slots__ = ("tenant", "blocks", "record", "plan_id")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    tenant: Tenant
    blocks: _containers.RepeatedCompositeFieldContainer[TenantBlock]
    record: _entitlement_pb2.EntitlementRecord
    plan_id: str
    def __init__(self, tenant: _Optional[_Union[Tenant, _Mapping]] = ..., blocks: _Optional[_Iterable[_Union[TenantBlock, _Mapping]]] = ..., record: _Optional[_Union[_entitlement_pb2.EntitlementRecord, _Mapping]] = ..., plan_id: _Optional[str] = ...) -> None: ...

class ListTenantsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "parent_id", "tag", "edition", "archived", "text")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PARENT_ID_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    EDITION_FIELD_NUMBER: _ClassVar[int]
    ARCHIVED_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    parent_id: str
    tag: str
    edition: str
    archived: bool
    text: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., parent_id: _Optional[str] = ..., tag: _Optional[str] = ..., edition: _Optional[str] = ..., archived: _Optional[bool] = ..., text: _Optional[str] = ...) -> None: ...

class ListTenantsResponse(_message.Message):
    __slots__ = ("tenants", "next_page_token")
    TENANTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tenants: _containers.RepeatedCompositeFieldContainer[Tenant]
    next_page_token: str
    def __init__(self, tenants: _Optional[_Iterable[_Union[Tenant, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class TemplateEntry(_message.Message):
    __slots__ = ("name", "users", "users_calculation", "amount", "amount_calculation")
    NAME_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    USERS_CALCULATION_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_CALCULATION_FIELD_NUMBER: _ClassVar[int]
    name: str
    users: _entitlement_pb2.Limit
    users_calculation: Calculation
    amount: _entitlement_pb2.Limit
    amount_calculation: Calculation
    def __init__(self, name: _Optional[str] = ..., users: _Optional[_Union[_entitlement_pb2.Limit, _Mapping]] = ..., users_calculation: _Optional[_Union[Calculation, str]] = ..., amount: _Optional[_Union[_entitlement_pb2.Limit, _Mapping]] = ..., amount_calculation: _Optional[_Union[Calculation, str]] = ...) -> None: ...

class Product(_message.Message):
    __slots__ = ("id", "name", "application", "application_version", "application_type", "billing", "trial", "trial_license_template", "license_template", "features", "downgrade", "version")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    APPLICATION_VERSION_FIELD_NUMBER: _ClassVar[int]
    APPLICATION_TYPE_FIELD_NUMBER: _ClassVar[int]
    BILLING_FIELD_NUMBER: _ClassVar[int]
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    TRIAL_LICENSE_TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    LICENSE_TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    DOWNGRADE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    application: str
    application_version: str
    application_type: str
    billing: Billing
    trial: Length
    trial_license_template: _containers.RepeatedCompositeFieldContainer[TemplateEntry]
    license_template: _containers.RepeatedCompositeFieldContainer[TemplateEntry]
    features: _containers.RepeatedScalarFieldContainer[str]
    downgrade: Downgrade
    version: int
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., application: _Optional[str] = ..., application_version: _Optional[str] = ..., application_type: _Optional[str] = ..., billing: _Optional[_Union[Billing, str]] = ..., trial: _Optional[_Union[Length, _Mapping]] = ..., trial_license_template: _Optional[_Iterable[_Union[TemplateEntry, _Mapping]]] = ..., license_template: _Optional[_Iterable[_Union[TemplateEntry, _Mapping]]] = ..., features: _Optional[_Iterable[str]] = ..., downgrade: _Optional[_Union[Downgrade, str]] = ..., version: _Optional[int] = ...) -> None: ...

class CreateProductRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "product")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    product: Product
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., product: _Optional[_Union[Product, _Mapping]] = ...) -> None: ...

class CreateProductResponse(_message.Message):
    __slots__ = ("revision", "product")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    product: Product
    def __init__(self, revision: _Optional[int] = ..., product: _Optional[_Union[Product, _Mapping]] = ...) -> None: ...

class UpdateProductRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "product", "expected_version")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    product: Product
    expected_version: int
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., product: _Optional[_Union[Product, _Mapping]] = ..., expected_version: _Optional[int] = ...) -> None: ...

class UpdateProductResponse(_message.Message):
    __slots__ = ("revision", "product")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    product: Product
    def __init__(self, revision: _Optional[int] = ..., product: _Optional[_Union[Product, _Mapping]] = ...) -> None: ...

class GetProductRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetProductResponse(_message.Message):
    __slots__ = ("product",)
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    product: Product
    def __init__(self, product: _Optional[_Union[Product, _Mapping]] = ...) -> None: ...

class ListProductsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "key")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    key: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., key: _Optional[str] = ...) -> None: ...

class ListProductsResponse(_message.Message):
    __slots__ = ("products", "next_page_token")
    PRODUCTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    products: _containers.RepeatedCompositeFieldContainer[Product]
    next_page_token: str
    def __init__(self, products: _Optional[_Iterable[_Union[Product, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class EditionPrice(_message.Message):
    __slots__ = ("currency", "key", "from_quantity", "unit_price")
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    FROM_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    UNIT_PRICE_FIELD_NUMBER: _ClassVar[int]
    currency: str
    key: str
    from_quantity: int
    unit_price: str
    def __init__(self, currency: _Optional[str] = ..., key: _Optional[str] = ..., from_quantity: _Optional[int] = ..., unit_price: _Optional[str] = ...) -> None: ...

class Edition(_message.Message):
    __slots__ = ("name", "cap", "prices")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CAP_FIELD_NUMBER: _ClassVar[int]
    PRICES_FIELD_NUMBER: _ClassVar[int]
    name: str
    cap: int
    prices: _containers.RepeatedCompositeFieldContainer[EditionPrice]
    def __init__(self, name: _Optional[str] = ..., cap: _Optional[int] = ..., prices: _Optional[_Iterable[_Union[EditionPrice, _Mapping]]] = ...) -> None: ...

class PutEditionRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "edition")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    EDITION_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    edition: Edition
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., edition: _Optional[_Union[Edition, _Mapping]] = ...) -> None: ...

class PutEditionResponse(_message.Message):
    __slots__ = ("revision", "edition")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    EDITION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    edition: Edition
    def __init__(self, revision: _Optional[int] = ..., edition: _Optional[_Union[Edition, _Mapping]] = ...) -> None: ...

class ListEditionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListEditionsResponse(_message.Message):
    __slots__ = ("editions", "next_page_token")
    EDITIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    editions: _containers.RepeatedCompositeFieldContainer[Edition]
    next_page_token: str
    def __init__(self, editions: _Optional[_Iterable[_Union[Edition, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class OrderItem(_message.Message):
    __slots__ = ("product_id", "quantity", "unit_price", "billing_starts", "billing_periods")
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    UNIT_PRICE_FIELD_NUMBER: _ClassVar[int]
    BILLING_STARTS_FIELD_NUMBER: _ClassVar[int]
    BILLING_PERIODS_FIELD_NUMBER: _ClassVar[int]
    product_id: str
    quantity: int
    unit_price: str
    billing_starts: str
    billing_periods: int
    def __init__(self, product_id: _Optional[str] = ..., quantity: _Optional[int] = ..., unit_price: _Optional[str] = ..., billing_starts: _Optional[str] = ..., billing_periods: _Optional[int] = ...) -> None: ...

class PlaceOrderRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "tenant_id", "kind", "items", "starts", "length", "ends", "perpetual", "trial", "edition", "late_start", "currency", "purchased_on", "coupon", "coupon_amount", "credit", "note", "dry_run")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    STARTS_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    ENDS_FIELD_NUMBER: _ClassVar[int]
    PERPETUAL_FIELD_NUMBER: _ClassVar[int]
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    EDITION_FIELD_NUMBER: _ClassVar[int]
    LATE_START_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    PURCHASED_ON_FIELD_NUMBER: _ClassVar[int]
    COUPON_FIELD_NUMBER: _ClassVar[int]
    COUPON_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    tenant_id: str
    kind: OrderKind
    items: _containers.RepeatedCompositeFieldContainer[OrderItem]
    starts: str
    length: Length
    ends: str
    perpetual: bool
    trial: bool
    edition: str
    late_start: LateStart
    currency: str
    purchased_on: str
    coupon: str
    coupon_amount: str
    credit: str
    note: str
    dry_run: bool
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tenant_id: _Optional[str] = ..., kind: _Optional[_Union[OrderKind, str]] = ..., items: _Optional[_Iterable[_Union[OrderItem, _Mapping]]] = ..., starts: _Optional[str] = ..., length: _Optional[_Union[Length, _Mapping]] = ..., ends: _Optional[str] = ..., perpetual: _Optional[bool] = ..., trial: _Optional[bool] = ..., edition: _Optional[str] = ..., late_start: _Optional[_Union[LateStart, str]] = ..., currency: _Optional[str] = ..., purchased_on: _Optional[str] = ..., coupon: _Optional[str] = ..., coupon_amount: _Optional[str] = ..., credit: _Optional[str] = ..., note: _Optional[str] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class OrderLine(_message.Message):
    __slots__ = ("id", "product_id", "product_version", "quantity", "unit_price", "starts_at", "ends_at", "trial_until", "ended_at", "billing_starts_at", "billing_ends_at", "billing_periods")
    ID_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_VERSION_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    UNIT_PRICE_FIELD_NUMBER: _ClassVar[int]
    STARTS_AT_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    TRIAL_UNTIL_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    BILLING_STARTS_AT_FIELD_NUMBER: _ClassVar[int]
    BILLING_ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    BILLING_PERIODS_FIELD_NUMBER: _ClassVar[int]
    id: int
    product_id: str
    product_version: int
    quantity: int
    unit_price: str
    starts_at: _timestamp_pb2.Timestamp
    ends_at: _timestamp_pb2.Timestamp
    trial_until: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    billing_starts_at: _timestamp_pb2.Timestamp
    billing_ends_at: _timestamp_pb2.Timestamp
    billing_periods: int
    def __init__(self, id: _Optional[int] = ..., product_id: _Optional[str] = ..., product_version: _Optional[int] = ..., quantity: _Optional[int] = ..., unit_price: _Optional[str] = ..., starts_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., trial_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., billing_starts_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., billing_ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., billing_periods: _Optional[int] = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("id", "tenant_id", "kind", "trial", "edition", "placed_at", "starts_at", "voids", "void_at", "purchased_on", "currency", "coupon", "coupon_amount", "credit", "total", "note", "operator", "lines")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    EDITION_FIELD_NUMBER: _ClassVar[int]
    PLACED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTS_AT_FIELD_NUMBER: _ClassVar[int]
    VOIDS_FIELD_NUMBER: _ClassVar[int]
    VOID_AT_FIELD_NUMBER: _ClassVar[int]
    PURCHASED_ON_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    COUPON_FIELD_NUMBER: _ClassVar[int]
    COUPON_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    id: int
    tenant_id: str
    kind: OrderKind
    trial: bool
    edition: str
    placed_at: _timestamp_pb2.Timestamp
    starts_at: _timestamp_pb2.Timestamp
    voids: int
    void_at: _timestamp_pb2.Timestamp
    purchased_on: str
    currency: str
    coupon: str
    coupon_amount: str
    credit: str
    total: str
    note: str
    operator: str
    lines: _containers.RepeatedCompositeFieldContainer[OrderLine]
    def __init__(self, id: _Optional[int] = ..., tenant_id: _Optional[str] = ..., kind: _Optional[_Union[OrderKind, str]] = ..., trial: _Optional[bool] = ..., edition: _Optional[str] = ..., placed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., starts_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., voids: _Optional[int] = ..., void_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., purchased_on: _Optional[str] = ..., currency: _Optional[str] = ..., coupon: _Optional[str] = ..., coupon_amount: _Optional[str] = ..., credit: _Optional[str] = ..., total: _Optional[str] = ..., note: _Optional[str] = ..., operator: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[OrderLine, _Mapping]]] = ...) -> None: ...

class PlaceOrderResponse(_message.Message):
    __slots__ = ("revision", "order", "notices")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    revision: int
    order: Order
    notices: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, revision: _Optional[int] = ..., order: _Optional[_Union[Order, _Mapping]] = ..., notices: _Optional[_Iterable[str]] = ...) -> None: ...

class VoidOrderRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "order_id", "void_from", "note")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    VOID_FROM_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    order_id: int
    void_from: str
    note: str
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., order_id: _Optional[int] = ..., void_from: _Optional[str] = ..., note: _Optional[str] = ...) -> None: ...

class VoidOrderResponse(_message.Message):
    __slots__ = ("revision", "order")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    revision: int
    order: Order
    def __init__(self, revision: _Optional[int] = ..., order: _Optional[_Union[Order, _Mapping]] = ...) -> None: ...

class GetOrderRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class GetOrderResponse(_message.Message):
    __slots__ = ("order",)
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order: Order
    def __init__(self, order: _Optional[_Union[Order, _Mapping]] = ...) -> None: ...

class ListOrdersRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "tenant_id", "kind", "product_id", "placed_from", "placed_until", "voided")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    PLACED_FROM_FIELD_NUMBER: _ClassVar[int]
    PLACED_UNTIL_FIELD_NUMBER: _ClassVar[int]
    VOIDED_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    tenant_id: str
    kind: OrderKind
    product_id: str
    placed_from: _timestamp_pb2.Timestamp
    placed_until: _timestamp_pb2.Timestamp
    voided: bool
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., tenant_id: _Optional[str] = ..., kind: _Optional[_Union[OrderKind, str]] = ..., product_id: _Optional[str] = ..., placed_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., placed_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., voided: _Optional[bool] = ...) -> None: ...

class ListOrdersResponse(_message.Message):
    __slots__ = ("orders", "next_page_token")
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    orders: _containers.RepeatedCompositeFieldContainer[Order]
    next_page_token: str
    def __init__(self, orders: _Optional[_Iterable[_Union[Order, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetPurchaseHistoryRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "tenant_id")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    tenant_id: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., tenant_id: _Optional[str] = ...) -> None: ...

class PurchaseGrant(_message.Message):
    __slots__ = ("key", "starts_at", "ends_at", "trial", "amount", "users")
    KEY_FIELD_NUMBER: _ClassVar[int]
    STARTS_AT_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    key: str
    starts_at: _timestamp_pb2.Timestamp
    ends_at: _timestamp_pb2.Timestamp
    trial: bool
    amount: _entitlement_pb2.Limit
    users: _entitlement_pb2.Limit
    def __init__(self, key: _Optional[str] = ..., starts_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., trial: _Optional[bool] = ..., amount: _Optional[_Union[_entitlement_pb2.Limit, _Mapping]] = ..., users: _Optional[_Union[_entitlement_pb2.Limit, _Mapping]] = ...) -> None: ...

class Purchase(_message.Message):
    __slots__ = ("order", "payments", "provisionings", "paid", "due", "grants")
    ORDER_FIELD_NUMBER: _ClassVar[int]
    PAYMENTS_FIELD_NUMBER: _ClassVar[int]
    PROVISIONINGS_FIELD_NUMBER: _ClassVar[int]
    PAID_FIELD_NUMBER: _ClassVar[int]
    DUE_FIELD_NUMBER: _ClassVar[int]
    GRANTS_FIELD_NUMBER: _ClassVar[int]
    order: Order
    payments: _containers.RepeatedCompositeFieldContainer[Payment]
    provisionings: _containers.RepeatedCompositeFieldContainer[Provisioning]
    paid: str
    due: str
    grants: _containers.RepeatedCompositeFieldContainer[PurchaseGrant]
    def __init__(self, order: _Optional[_Union[Order, _Mapping]] = ..., payments: _Optional[_Iterable[_Union[Payment, _Mapping]]] = ..., provisionings: _Optional[_Iterable[_Union[Provisioning, _Mapping]]] = ..., paid: _Optional[str] = ..., due: _Optional[str] = ..., grants: _Optional[_Iterable[_Union[PurchaseGrant, _Mapping]]] = ...) -> None: ...

class GetPurchaseHistoryResponse(_message.Message):
    __slots__ = ("purchases", "next_page_token")
    PURCHASES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    purchases: _containers.RepeatedCompositeFieldContainer[Purchase]
    next_page_token: str
    def __init__(self, purchases: _Optional[_Iterable[_Union[Purchase, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Payment(_message.Message):
    __slots__ = ("id", "order_id", "amount", "paid_on", "reference", "corrects", "note", "operator", "recorded_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    PAID_ON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    CORRECTS_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    id: int
    order_id: int
    amount: str
    paid_on: str
    reference: str
    corrects: int
    note: str
    operator: str
    recorded_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[int] = ..., order_id: _Optional[int] = ..., amount: _Optional[str] = ..., paid_on: _Optional[str] = ..., reference: _Optional[str] = ..., corrects: _Optional[int] = ..., note: _Optional[str] = ..., operator: _Optional[str] = ..., recorded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RecordPaymentRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "order_id", "amount", "paid_on", "reference", "corrects", "note")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    PAID_ON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    CORRECTS_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    order_id: int
    amount: str
    paid_on: str
    reference: str
    corrects: int
    note: str
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., order_id: _Optional[int] = ..., amount: _Optional[str] = ..., paid_on: _Optional[str] = ..., reference: _Optional[str] = ..., corrects: _Optional[int] = ..., note: _Optional[str] = ...) -> None: ...

class RecordPaymentResponse(_message.Message):
    __slots__ = ("revision", "payment", "due")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_FIELD_NUMBER: _ClassVar[int]
    DUE_FIELD_NUMBER: _ClassVar[int]
    revision: int
    payment: Payment
    due: str
    def __init__(self, revision: _Optional[int] = ..., payment: _Optional[_Union[Payment, _Mapping]] = ..., due: _Optional[str] = ...) -> None: ...

class Provisioning(_message.Message):
    __slots__ = ("id", "order_id", "provisioned_at", "reference", "note", "operator", "recorded_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    PROVISIONED_AT_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    id: int
    order_id: int
    provisioned_at: _timestamp_pb2.Timestamp
    reference: str
    note: str
    operator: str
    recorded_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[int] = ..., order_id: _Optional[int] = ..., provisioned_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reference: _Optional[str] = ..., note: _Optional[str] = ..., operator: _Optional[str] = ..., recorded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RecordProvisioningRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "order_id", "provisioned", "reference", "note")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    PROVISIONED_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    order_id: int
    provisioned: str
    reference: str
    note: str
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., order_id: _Optional[int] = ..., provisioned: _Optional[str] = ..., reference: _Optional[str] = ..., note: _Optional[str] = ...) -> None: ...

class RecordProvisioningResponse(_message.Message):
    __slots__ = ("revision", "provisioning")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PROVISIONING_FIELD_NUMBER: _ClassVar[int]
    revision: int
    provisioning: Provisioning
    def __init__(self, revision: _Optional[int] = ..., provisioning: _Optional[_Union[Provisioning, _Mapping]] = ...) -> None: ...

class ListPaymentsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "tenant_id", "order_id", "reference")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    tenant_id: str
    order_id: int
    reference: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., tenant_id: _Optional[str] = ..., order_id: _Optional[int] = ..., reference: _Optional[str] = ...) -> None: ...

class ListPaymentsResponse(_message.Message):
    __slots__ = ("payments", "next_page_token")
    PAYMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    payments: _containers.RepeatedCompositeFieldContainer[Payment]
    next_page_token: str
    def __init__(self, payments: _Optional[_Iterable[_Union[Payment, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class PlanService(_message.Message):
    __slots__ = ("product_id", "quantity")
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    product_id: str
    quantity: int
    def __init__(self, product_id: _Optional[str] = ..., quantity: _Optional[int] = ...) -> None: ...

class PlanBlocking(_message.Message):
    __slots__ = ("basis", "allowed_balance", "deferral_days")
    BASIS_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_BALANCE_FIELD_NUMBER: _ClassVar[int]
    DEFERRAL_DAYS_FIELD_NUMBER: _ClassVar[int]
    basis: _entitlement_pb2.Basis
    allowed_balance: str
    deferral_days: int
    def __init__(self, basis: _Optional[_Union[_entitlement_pb2.Basis, str]] = ..., allowed_balance: _Optional[str] = ..., deferral_days: _Optional[int] = ...) -> None: ...

class Plan(_message.Message):
    __slots__ = ("id", "name", "owner_id", "version", "services", "blocking", "created_at", "archived_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OWNER_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    BLOCKING_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    ARCHIVED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    owner_id: str
    version: int
    services: _containers.RepeatedCompositeFieldContainer[PlanService]
    blocking: PlanBlocking
    created_at: _timestamp_pb2.Timestamp
    archived_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., owner_id: _Optional[str] = ..., version: _Optional[int] = ..., services: _Optional[_Iterable[_Union[PlanService, _Mapping]]] = ..., blocking: _Optional[_Union[PlanBlocking, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., archived_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreatePlanRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "id", "name", "owner_id", "services", "blocking")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OWNER_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    BLOCKING_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    id: str
    name: str
    owner_id: str
    services: _containers.RepeatedCompositeFieldContainer[PlanService]
    blocking: PlanBlocking
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., id: _Optional[str] = ..., name: _Optional[str] = ..., owner_id: _Optional[str] = ..., services: _Optional[_Iterable[_Union[PlanService, _Mapping]]] = ..., blocking: _Optional[_Union[PlanBlocking, _Mapping]] = ...) -> None: ...

class CreatePlanResponse(_message.Message):
    __slots__ = ("revision", "plan")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    revision: int
    plan: Plan
    def __init__(self, revision: _Optional[int] = ..., plan: _Optional[_Union[Plan, _Mapping]] = ...) -> None: ...

class PlanTerms(_message.Message):
    __slots__ = ("services", "blocking")
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    BLOCKING_FIELD_NUMBER: _ClassVar[int]
    services: _containers.RepeatedCompositeFieldContainer[PlanService]
    blocking: PlanBlocking
    def __init__(self, services: _Optional[_Iterable[_Union[PlanService, _Mapping]]] = ..., blocking: _Optional[_Union[PlanBlocking, _Mapping]] = ...) -> None: ...

class UpdatePlanRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "id", "expected_version", "name", "terms")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    id: str
    expected_version: int
    name: str
    terms: PlanTerms
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., id: _Optional[str] = ..., expected_version: _Optional[int] = ..., name: _Optional[str] = ..., terms: _Optional[_Union[PlanTerms, _Mapping]] = ...) -> None: ...

class UpdatePlanResponse(_message.Message):
    __slots__ = ("revision", "plan")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    revision: int
    plan: Plan
    def __init__(self, revision: _Optional[int] = ..., plan: _Optional[_Union[Plan, _Mapping]] = ...) -> None: ...

class DuplicatePlanRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "id", "new_id")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    NEW_ID_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    id: str
    new_id: str
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., id: _Optional[str] = ..., new_id: _Optional[str] = ...) -> None: ...

class DuplicatePlanResponse(_message.Message):
    __slots__ = ("revision", "plan")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    revision: int
    plan: Plan
    def __init__(self, revision: _Optional[int] = ..., plan: _Optional[_Union[Plan, _Mapping]] = ...) -> None: ...

class ArchivePlanRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "id")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    id: str
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class ArchivePlanResponse(_message.Message):
    __slots__ = ("revision", "plan")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    revision: int
    plan: Plan
    def __init__(self, revision: _Optional[int] = ..., plan: _Optional[_Union[Plan, _Mapping]] = ...) -> None: ...

class RestorePlanRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "id")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    id: str
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class RestorePlanResponse(_message.Message):
    __slots__ = ("revision", "plan")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    revision: int
    plan: Plan
    def __init__(self, revision: _Optional[int] = ..., plan: _Optional[_Union[Plan, _Mapping]] = ...) -> None: ...

class DeletePlanRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "id")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    id: str
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class DeletePlanResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class GetPlanRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetPlanResponse(_message.Message):
    __slots__ = ("plan", "tenant_ids")
    PLAN_FIELD_NUMBER: _ClassVar[int]
    TENANT_IDS_FIELD_NUMBER: _ClassVar[int]
    plan: Plan
    tenant_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, plan: _Optional[_Union[Plan, _Mapping]] = ..., tenant_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ListPlansRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "owner_id", "available_to", "archived")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    OWNER_ID_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_TO_FIELD_NUMBER: _ClassVar[int]
    ARCHIVED_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    owner_id: str
    available_to: str
    archived: bool
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., owner_id: _Optional[str] = ..., available_to: _Optional[str] = ..., archived: _Optional[bool] = ...) -> None: ...

class ListPlansResponse(_message.Message):
    __slots__ = ("plans", "next_page_token")
    PLANS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    plans: _containers.RepeatedCompositeFieldContainer[Plan]
    next_page_token: str
    def __init__(self, plans: _Optional[_Iterable[_Union[Plan, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class AssignPlanRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "tenant_id", "plan_id")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    tenant_id: str
    plan_id: str
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tenant_id: _Optional[str] = ..., plan_id: _Optional[str] = ...) -> None: ...

class AssignPlanResponse(_message.Message):
    __slots__ = ("revision", "replaced_plan_id")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REPLACED_PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    revision: int
    replaced_plan_id: str
    def __init__(self, revision: _Optional[int] = ..., replaced_plan_id: _Optional[str] = ...) -> None: ...

class UnassignPlanRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "tenant_id")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    tenant_id: str
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tenant_id: _Optional[str] = ...) -> None: ...

class UnassignPlanResponse(_message.Message):
    __slots__ = ("revision", "plan_id")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    revision: int
    plan_id: str
    def __init__(self, revision: _Optional[int] = ..., plan_id: _Optional[str] = ...) -> None: ...

class AccountState(_message.Message):
    __slots__ = ("tenant_id", "basis", "balance", "as_of", "owed_since", "owed_charge", "charge", "first_due", "period", "allowed_balance", "deferral_days", "blocking_plan_id", "effective_allowed_balance", "effective_deferral_days", "standing")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    OWED_SINCE_FIELD_NUMBER: _ClassVar[int]
    OWED_CHARGE_FIELD_NUMBER: _ClassVar[int]
    CHARGE_FIELD_NUMBER: _ClassVar[int]
    FIRST_DUE_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_BALANCE_FIELD_NUMBER: _ClassVar[int]
    DEFERRAL_DAYS_FIELD_NUMBER: _ClassVar[int]
    BLOCKING_PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_ALLOWED_BALANCE_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_DEFERRAL_DAYS_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    basis: _entitlement_pb2.Basis
    balance: str
    as_of: _timestamp_pb2.Timestamp
    owed_since: _timestamp_pb2.Timestamp
    owed_charge: str
    charge: str
    first_due: _timestamp_pb2.Timestamp
    period: Length
    allowed_balance: str
    deferral_days: int
    blocking_plan_id: str
    effective_allowed_balance: str
    effective_deferral_days: int
    standing: _authorization_pb2.Standing
    def __init__(self, tenant_id: _Optional[str] = ..., basis: _Optional[_Union[_entitlement_pb2.Basis, str]] = ..., balance: _Optional[str] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., owed_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., owed_charge: _Optional[str] = ..., charge: _Optional[str] = ..., first_due: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., period: _Optional[_Union[Length, _Mapping]] = ..., allowed_balance: _Optional[str] = ..., deferral_days: _Optional[int] = ..., blocking_plan_id: _Optional[str] = ..., effective_allowed_balance: _Optional[str] = ..., effective_deferral_days: _Optional[int] = ..., standing: _Optional[_Union[_authorization_pb2.Standing, str]] = ...) -> None: ...

class OpenAccountRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "tenant_id", "basis", "balance", "charge", "first_due", "period", "allowed_balance", "deferral_days")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    CHARGE_FIELD_NUMBER: _ClassVar[int]
    FIRST_DUE_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_BALANCE_FIELD_NUMBER: _ClassVar[int]
    DEFERRAL_DAYS_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    tenant_id: str
    basis: _entitlement_pb2.Basis
    balance: str
    charge: str
    first_due: str
    period: Length
    allowed_balance: str
    deferral_days: int
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tenant_id: _Optional[str] = ..., basis: _Optional[_Union[_entitlement_pb2.Basis, str]] = ..., balance: _Optional[str] = ..., charge: _Optional[str] = ..., first_due: _Optional[str] = ..., period: _Optional[_Union[Length, _Mapping]] = ..., allowed_balance: _Optional[str] = ..., deferral_days: _Optional[int] = ...) -> None: ...

class OpenAccountResponse(_message.Message):
    __slots__ = ("revision", "account")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    account: AccountState
    def __init__(self, revision: _Optional[int] = ..., account: _Optional[_Union[AccountState, _Mapping]] = ...) -> None: ...

class TopUpAccountRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "tenant_id", "amount", "reference")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    tenant_id: str
    amount: str
    reference: str
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tenant_id: _Optional[str] = ..., amount: _Optional[str] = ..., reference: _Optional[str] = ...) -> None: ...

class TopUpAccountResponse(_message.Message):
    __slots__ = ("revision", "account")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    account: AccountState
    def __init__(self, revision: _Optional[int] = ..., account: _Optional[_Union[AccountState, _Mapping]] = ...) -> None: ...

class SetAccountChargeRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "tenant_id", "charge", "first_due", "period")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    CHARGE_FIELD_NUMBER: _ClassVar[int]
    FIRST_DUE_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    tenant_id: str
    charge: str
    first_due: str
    period: Length
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tenant_id: _Optional[str] = ..., charge: _Optional[str] = ..., first_due: _Optional[str] = ..., period: _Optional[_Union[Length, _Mapping]] = ...) -> None: ...

class SetAccountChargeResponse(_message.Message):
    __slots__ = ("revision", "account")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    account: AccountState
    def __init__(self, revision: _Optional[int] = ..., account: _Optional[_Union[AccountState, _Mapping]] = ...) -> None: ...

class SetAccountBlockingRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "tenant_id", "allowed_balance", "deferral_days")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_BALANCE_FIELD_NUMBER: _ClassVar[int]
    DEFERRAL_DAYS_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    tenant_id: str
    allowed_balance: str
    deferral_days: int
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tenant_id: _Optional[str] = ..., allowed_balance: _Optional[str] = ..., deferral_days: _Optional[int] = ...) -> None: ...

class SetAccountBlockingResponse(_message.Message):
    __slots__ = ("revision", "account")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    account: AccountState
    def __init__(self, revision: _Optional[int] = ..., account: _Optional[_Union[AccountState, _Mapping]] = ...) -> None: ...

class ChangeAccountBasisRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "tenant_id", "basis", "balance", "charge", "first_due", "period", "allowed_balance", "deferral_days")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    CHARGE_FIELD_NUMBER: _ClassVar[int]
    FIRST_DUE_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_BALANCE_FIELD_NUMBER: _ClassVar[int]
    DEFERRAL_DAYS_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    tenant_id: str
    basis: _entitlement_pb2.Basis
    balance: str
    charge: str
    first_due: str
    period: Length
    allowed_balance: str
    deferral_days: int
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tenant_id: _Optional[str] = ..., basis: _Optional[_Union[_entitlement_pb2.Basis, str]] = ..., balance: _Optional[str] = ..., charge: _Optional[str] = ..., first_due: _Optional[str] = ..., period: _Optional[_Union[Length, _Mapping]] = ..., allowed_balance: _Optional[str] = ..., deferral_days: _Optional[int] = ...) -> None: ...

class ChangeAccountBasisResponse(_message.Message):
    __slots__ = ("revision", "account")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    account: AccountState
    def __init__(self, revision: _Optional[int] = ..., account: _Optional[_Union[AccountState, _Mapping]] = ...) -> None: ...

class CorrectAccountBalanceRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "tenant_id", "amount", "reason")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    tenant_id: str
    amount: str
    reason: str
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tenant_id: _Optional[str] = ..., amount: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class CorrectAccountBalanceResponse(_message.Message):
    __slots__ = ("revision", "account")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    account: AccountState
    def __init__(self, revision: _Optional[int] = ..., account: _Optional[_Union[AccountState, _Mapping]] = ...) -> None: ...

class CloseAccountRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "tenant_id", "reason")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    tenant_id: str
    reason: str
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tenant_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class CloseAccountResponse(_message.Message):
    __slots__ = ("revision", "balance")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    revision: int
    balance: str
    def __init__(self, revision: _Optional[int] = ..., balance: _Optional[str] = ...) -> None: ...

class GetAccountRequest(_message.Message):
    __slots__ = ("tenant_id", "at")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    at: _timestamp_pb2.Timestamp
    def __init__(self, tenant_id: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetAccountResponse(_message.Message):
    __slots__ = ("account", "owed_from", "blocked_from")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    OWED_FROM_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_FROM_FIELD_NUMBER: _ClassVar[int]
    account: AccountState
    owed_from: _timestamp_pb2.Timestamp
    blocked_from: _timestamp_pb2.Timestamp
    def __init__(self, account: _Optional[_Union[AccountState, _Mapping]] = ..., owed_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., blocked_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListLedgerRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "tenant_id")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    tenant_id: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., tenant_id: _Optional[str] = ...) -> None: ...

class LedgerEntry(_message.Message):
    __slots__ = ("id", "at", "kind", "basis", "amount", "balance", "count", "reference", "operator")
    ID_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    id: int
    at: _timestamp_pb2.Timestamp
    kind: str
    basis: _entitlement_pb2.Basis
    amount: str
    balance: str
    count: int
    reference: str
    operator: str
    def __init__(self, id: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., kind: _Optional[str] = ..., basis: _Optional[_Union[_entitlement_pb2.Basis, str]] = ..., amount: _Optional[str] = ..., balance: _Optional[str] = ..., count: _Optional[int] = ..., reference: _Optional[str] = ..., operator: _Optional[str] = ...) -> None: ...

class ListLedgerResponse(_message.Message):
    __slots__ = ("entries", "next_page_token")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[LedgerEntry]
    next_page_token: str
    def __init__(self, entries: _Optional[_Iterable[_Union[LedgerEntry, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UsageState(_message.Message):
    __slots__ = ("key", "units", "seats")
    KEY_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    SEATS_FIELD_NUMBER: _ClassVar[int]
    key: str
    units: int
    seats: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, key: _Optional[str] = ..., units: _Optional[int] = ..., seats: _Optional[_Iterable[str]] = ...) -> None: ...

class ChangeUsageRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "tenant_id", "key", "delta", "absolute", "seats")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    ABSOLUTE_FIELD_NUMBER: _ClassVar[int]
    SEATS_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    tenant_id: str
    key: str
    delta: int
    absolute: int
    seats: _authorization_pb2.SeatChanges
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tenant_id: _Optional[str] = ..., key: _Optional[str] = ..., delta: _Optional[int] = ..., absolute: _Optional[int] = ..., seats: _Optional[_Union[_authorization_pb2.SeatChanges, _Mapping]] = ...) -> None: ...

class ChangeUsageResponse(_message.Message):
    __slots__ = ("revision", "usage")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    revision: int
    usage: UsageState
    def __init__(self, revision: _Optional[int] = ..., usage: _Optional[_Union[UsageState, _Mapping]] = ...) -> None: ...

class UsageCount(_message.Message):
    __slots__ = ("key", "units", "seats")
    KEY_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    SEATS_FIELD_NUMBER: _ClassVar[int]
    key: str
    units: int
    seats: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, key: _Optional[str] = ..., units: _Optional[int] = ..., seats: _Optional[_Iterable[str]] = ...) -> None: ...

class ReconcileUsageRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "tenant_id", "counts", "complete", "dry_run")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    tenant_id: str
    counts: _containers.RepeatedCompositeFieldContainer[UsageCount]
    complete: bool
    dry_run: bool
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tenant_id: _Optional[str] = ..., counts: _Optional[_Iterable[_Union[UsageCount, _Mapping]]] = ..., complete: _Optional[bool] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class UsageDifference(_message.Message):
    __slots__ = ("key", "units_before", "units_after", "seats_removed", "seats_added")
    KEY_FIELD_NUMBER: _ClassVar[int]
    UNITS_BEFORE_FIELD_NUMBER: _ClassVar[int]
    UNITS_AFTER_FIELD_NUMBER: _ClassVar[int]
    SEATS_REMOVED_FIELD_NUMBER: _ClassVar[int]
    SEATS_ADDED_FIELD_NUMBER: _ClassVar[int]
    key: str
    units_before: int
    units_after: int
    seats_removed: _containers.RepeatedScalarFieldContainer[str]
    seats_added: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, key: _Optional[str] = ..., units_before: _Optional[int] = ..., units_after: _Optional[int] = ..., seats_removed: _Optional[_Iterable[str]] = ..., seats_added: _Optional[_Iterable[str]] = ...) -> None: ...

class ReconcileUsageResponse(_message.Message):
    __slots__ = ("revision", "differences")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    revision: int
    differences: _containers.RepeatedCompositeFieldContainer[UsageDifference]
    def __init__(self, revision: _Optional[int] = ..., differences: _Optional[_Iterable[_Union[UsageDifference, _Mapping]]] = ...) -> None: ...

class GetUsageRequest(_message.Message):
    __slots__ = ("tenant_id",)
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    def __init__(self, tenant_id: _Optional[str] = ...) -> None: ...

class GetUsageResponse(_message.Message):
    __slots__ = ("usage",)
    USAGE_FIELD_NUMBER: _ClassVar[int]
    usage: _containers.RepeatedCompositeFieldContainer[UsageState]
    def __init__(self, usage: _Optional[_Iterable[_Union[UsageState, _Mapping]]] = ...) -> None: ...

class Operator(_message.Message):
    __slots__ = ("name", "role", "created_at", "disabled_at", "tenants")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    DISABLED_AT_FIELD_NUMBER: _ClassVar[int]
    TENANTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    role: OperatorRole
    created_at: _timestamp_pb2.Timestamp
    disabled_at: _timestamp_pb2.Timestamp
    tenants: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., role: _Optional[_Union[OperatorRole, str]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., disabled_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tenants: _Optional[_Iterable[str]] = ...) -> None: ...

class AddOperatorRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "name", "role", "tenants")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TENANTS_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    name: str
    role: OperatorRole
    tenants: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., name: _Optional[str] = ..., role: _Optional[_Union[OperatorRole, str]] = ..., tenants: _Optional[_Iterable[str]] = ...) -> None: ...

class AddOperatorResponse(_message.Message):
    __slots__ = ("revision", "operator", "token")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    revision: int
    operator: Operator
    token: str
    def __init__(self, revision: _Optional[int] = ..., operator: _Optional[_Union[Operator, _Mapping]] = ..., token: _Optional[str] = ...) -> None: ...

class SetOperatorRoleRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "name", "role")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    name: str
    role: OperatorRole
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., name: _Optional[str] = ..., role: _Optional[_Union[OperatorRole, str]] = ...) -> None: ...

class SetOperatorRoleResponse(_message.Message):
    __slots__ = ("revision", "operator")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    revision: int
    operator: Operator
    def __init__(self, revision: _Optional[int] = ..., operator: _Optional[_Union[Operator, _Mapping]] = ...) -> None: ...

class RotateOperatorTokenRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "name")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    name: str
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., name: _Optional[str] = ...) -> None: ...

class RotateOperatorTokenResponse(_message.Message):
    __slots__ = ("revision", "operator", "token")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    revision: int
    operator: Operator
    token: str
    def __init__(self, revision: _Optional[int] = ..., operator: _Optional[_Union[Operator, _Mapping]] = ..., token: _Optional[str] = ...) -> None: ...

class DisableOperatorRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "name")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    name: str
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., name: _Optional[str] = ...) -> None: ...

class DisableOperatorResponse(_message.Message):
    __slots__ = ("revision", "operator")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    revision: int
    operator: Operator
    def __init__(self, revision: _Optional[int] = ..., operator: _Optional[_Union[Operator, _Mapping]] = ...) -> None: ...

class EnableOperatorRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "name")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    name: str
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., name: _Optional[str] = ...) -> None: ...

class EnableOperatorResponse(_message.Message):
    __slots__ = ("revision", "operator")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    revision: int
    operator: Operator
    def __init__(self, revision: _Optional[int] = ..., operator: _Optional[_Union[Operator, _Mapping]] = ...) -> None: ...

class ListOperatorsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListOperatorsResponse(_message.Message):
    __slots__ = ("operators", "next_page_token")
    OPERATORS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    operators: _containers.RepeatedCompositeFieldContainer[Operator]
    next_page_token: str
    def __init__(self, operators: _Optional[_Iterable[_Union[Operator, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class AuditEntry(_message.Message):
    __slots__ = ("seq", "recorded_at", "operator", "action", "tenant_id", "subject", "idempotency_key", "before_json", "after_json", "hash")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    BEFORE_JSON_FIELD_NUMBER: _ClassVar[int]
    AFTER_JSON_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    seq: int
    recorded_at: _timestamp_pb2.Timestamp
    operator: str
    action: str
    tenant_id: str
    subject: str
    idempotency_key: str
    before_json: str
    after_json: str
    hash: str
    def __init__(self, seq: _Optional[int] = ..., recorded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., operator: _Optional[str] = ..., action: _Optional[str] = ..., tenant_id: _Optional[str] = ..., subject: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., before_json: _Optional[str] = ..., after_json: _Optional[str] = ..., hash: _Optional[str] = ...) -> None: ...

class ListAuditEntriesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "tenant_id", "operator", "action", "subject", "recorded_from", "recorded_until")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    RECORDED_FROM_FIELD_NUMBER: _ClassVar[int]
    RECORDED_UNTIL_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    tenant_id: str
    operator: str
    action: str
    subject: str
    recorded_from: _timestamp_pb2.Timestamp
    recorded_until: _timestamp_pb2.Timestamp
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., tenant_id: _Optional[str] = ..., operator: _Optional[str] = ..., action: _Optional[str] = ..., subject: _Optional[str] = ..., recorded_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., recorded_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListAuditEntriesResponse(_message.Message):
    __slots__ = ("entries", "next_page_token")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[AuditEntry]
    next_page_token: str
    def __init__(self, entries: _Optional[_Iterable[_Union[AuditEntry, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class VerifyAuditRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class VerifyAuditResponse(_message.Message):
    __slots__ = ("intact", "entries", "erased", "head", "fault", "fault_at")
    INTACT_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    ERASED_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    FAULT_AT_FIELD_NUMBER: _ClassVar[int]
    intact: bool
    entries: int
    erased: int
    head: str
    fault: str
    fault_at: int
    def __init__(self, intact: _Optional[bool] = ..., entries: _Optional[int] = ..., erased: _Optional[int] = ..., head: _Optional[str] = ..., fault: _Optional[str] = ..., fault_at: _Optional[int] = ...) -> None: ...

class Notice(_message.Message):
    __slots__ = ("id", "tenant_id", "kind", "state", "due_at", "attempts", "next_attempt_at", "sent_at", "recipients", "message_id", "error")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_ATTEMPT_AT_FIELD_NUMBER: _ClassVar[int]
    SENT_AT_FIELD_NUMBER: _ClassVar[int]
    RECIPIENTS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    id: int
    tenant_id: str
    kind: str
    state: str
    due_at: _timestamp_pb2.Timestamp
    attempts: int
    next_attempt_at: _timestamp_pb2.Timestamp
    sent_at: _timestamp_pb2.Timestamp
    recipients: _containers.RepeatedScalarFieldContainer[str]
    message_id: str
    error: str
    def __init__(self, id: _Optional[int] = ..., tenant_id: _Optional[str] = ..., kind: _Optional[str] = ..., state: _Optional[str] = ..., due_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., attempts: _Optional[int] = ..., next_attempt_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., sent_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., recipients: _Optional[_Iterable[str]] = ..., message_id: _Optional[str] = ..., error: _Optional[str] = ...) -> None: ...

class ListNoticesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "tenant_id", "state", "kind")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    tenant_id: str
    state: str
    kind: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., tenant_id: _Optional[str] = ..., state: _Optional[str] = ..., kind: _Optional[str] = ...) -> None: ...

class ListNoticesResponse(_message.Message):
    __slots__ = ("notices", "next_page_token")
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    notices: _containers.RepeatedCompositeFieldContainer[Notice]
    next_page_token: str
    def __init__(self, notices: _Optional[_Iterable[_Union[Notice, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RetryNoticeRequest(_message.Message):
    __slots__ = ("idempotency_key", "at", "id")
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    at: _timestamp_pb2.Timestamp
    id: int
    def __init__(self, idempotency_key: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., id: _Optional[int] = ...) -> None: ...

class RetryNoticeResponse(_message.Message):
    __slots__ = ("revision", "notice")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    revision: int
    notice: Notice
    def __init__(self, revision: _Optional[int] = ..., notice: _Optional[_Union[Notice, _Mapping]] = ...) -> None: ...
