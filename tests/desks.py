"""The back office from all sides: a store, whoever works at it, and a server in front of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import insert, select

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar._gen.desking.entitlements.v1.authorization_pb2 import SeatChange, SeatChanges
from sidecar._gen.desking.entitlements.v1.entitlement_pb2 import BASIS_DAYS, BASIS_MONEY, Limit
from sidecar.address import Address
from sync.backoffice.auth import Identity
from sync.backoffice.desk import Desk, RemoteDesk
from sync.backoffice.front import BackOfficeFront
from sync.backoffice.service import BackOffice
from sync.listening import ServerTls
from sync.store import schema
from sync.store.audit import By
from sync.store.db import Store
from sync.store.operators import Role

LOOPBACK = Address("127.0.0.1", 0)
ROLES = {
    Role.VIEWER: pb.OPERATOR_ROLE_VIEWER,
    Role.OPERATOR: pb.OPERATOR_ROLE_OPERATOR,
    Role.ADMIN: pb.OPERATOR_ROLE_ADMIN,
}
_keys = iter(range(10**9))


class Here:
    """The service in this process, for an operator of any role."""

    def __init__(self, store: Store, role: Role) -> None:
        self._office = BackOffice(store)
        self._identity = Identity(name=role.name.lower(), role=role)

    def call(self, method: str, request: Message) -> Any:
        return self._office.handle(method, request, self._identity)


DeskFor = Callable[[Role], Desk]


@contextmanager
def serving(store: Store, tls: ServerTls | None = None, address: Address = LOOPBACK) -> Iterator[str]:
    """A server before a store: its address."""
    front = BackOfficeFront(store, address, tls)
    front.start()
    try:
        yield str(front.address)
    finally:
        front.stop(0)


def token_of(store: Store, role: Role, name: str | None = None) -> str:
    """A new operator's token."""
    request = pb.AddOperatorRequest(idempotency_key=key(), name=name or role.name.lower(), role=ROLES[role])
    return str(Here(store, Role.ADMIN).call("AddOperator", request).token)


@contextmanager
def desks(store: Store, *, remote: bool) -> Iterator[DeskFor]:
    """Desks for each role, in this process or over gRPC with tokens."""
    if not remote:
        yield lambda role: Here(store, role)
        return
    tokens = {role: token_of(store, role) for role in ROLES}
    with serving(store) as target:
        opened = {role: RemoteDesk(target, token) for role, token in tokens.items()}
        yield opened.__getitem__
        for desk in opened.values():
            desk.close()


def key() -> str:
    """A new idempotency key."""
    return f"key-{next(_keys)}"


def ask(desk: Desk, method: str, **fields: Any) -> Any:
    """Makes a call with these fields; a write gets a new key unless one is given."""
    request = getattr(pb, f"{method}Request")()
    if "idempotency_key" in request.DESCRIPTOR.fields_by_name:
        fields = {"idempotency_key": key()} | fields
    return desk.call(method, type(request)(**fields))


def in_threads(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work` gives, or the error that it raises, in so many threads that begin together."""
    ready, found = threading.Barrier(count), [None] * count

    def run(number: int) -> None:
        ready.wait()
        try:
            found[number] = work(number)
        except Exception as e:
            found[number] = e  # type: ignore[call-overload]

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def marks(store: Store) -> tuple[Any, ...]:
    """What moves when anything is changed: revision, and number and hash of the last entry of the audit trail."""
    with store.reading() as conn:
        return tuple(conn.execute(select(schema.store)).one())


NEW, RENEW, UPGRADE = pb.ORDER_KIND_NEW, pb.ORDER_KIND_RENEW, pb.ORDER_KIND_UPGRADE
YEAR = pb.Length(count=1, unit=pb.LENGTH_UNIT_YEAR)
MONTH = pb.Length(count=1, unit=pb.LENGTH_UNIT_MONTH)


def counted(what: str, **more: Any) -> pb.Product:
    """A product that grants one of a key for each unit ordered."""
    one = pb.TemplateEntry(name=what, amount=Limit(count=1), amount_calculation=pb.CALCULATION_PER_QTY)
    return pb.Product(**({"id": f"{what}-sku", "license_template": [one]} | more))


def furnish(desk: Desk) -> None:
    """Something of everything, so that each call in CALLS has something to work on."""

    def do(method: str, **fields: Any) -> Any:
        return ask(desk, method, **fields)

    trial = pb.Length(count=14, unit=pb.LENGTH_UNIT_DAY)
    do("CreateProduct", product=counted("fixed_desk", trial=trial, trial_license_template=[], features=["timesheet"]))
    do("CreateProduct", product=counted("meeting_room", downgrade=pb.DOWNGRADE_AT_ONCE))
    prices = [pb.EditionPrice(currency="CNY", key="fixed_desk", from_quantity=1, unit_price="12.50")]
    do("PutEdition", edition=pb.Edition(name="basic", cap=10_000, prices=prices))
    do("CreateTenant", id="acme", zone="Asia/Shanghai", contacts=["ann@acme.example"], tags=["vip"], edition="basic")
    for name in ("beta", "gamma", "delta", "gone"):
        do("CreateTenant", id=name)
    do("CreateTenant", id="child", parent_id="acme")
    item = pb.OrderItem(product_id="fixed_desk-sku", quantity=10)
    do("PlaceOrder", tenant_id="acme", kind=NEW, items=[item], length=YEAR, currency="CNY")  # order 1
    room = pb.OrderItem(product_id="meeting_room-sku", quantity=4)
    do("PlaceOrder", tenant_id="beta", kind=NEW, items=[room], length=YEAR)  # order 2
    do("RecordPayment", order_id=1, amount="100.25", reference="bank 1")  # payment 1
    do("BlockTenant", tenant_id="acme", name="fraud")
    do("ChangeUsage", tenant_id="acme", key="fixed_desk", absolute=3)
    services = [pb.PlanService(product_id="meeting_room-sku", quantity=2)]
    for name in ("standard", "old", "spare"):
        do("CreatePlan", id=name, name=name.title(), services=services)
    do("ArchivePlan", id="old")
    do("AssignPlan", tenant_id="gamma", plan_id="standard")
    money = {"basis": BASIS_MONEY, "balance": "100", "charge": "60", "first_due": "2200-01-01", "period": MONTH}
    do("OpenAccount", tenant_id="delta", **money)
    do("ArchiveTenant", id="gone", retention_days=0)
    for name in ("bob", "eve"):
        do("AddOperator", name=name, role=pb.OPERATOR_ROLE_VIEWER)
    do("DisableOperator", name="eve")


@cache
def furnished(store: Store) -> None:
    """Furnishes a store."""
    furnish(Here(store, Role.ADMIN))
    _furnish_beside(store)


def _furnish_beside(store: Store) -> None:
    """What no call makes: a notice that could not be sent, beside that of a payment."""
    row = {
        "dedupe": "x",
        "tenant_id": "acme",
        "kind": "ended",
        "facts": "{}",
        "due_at": 1,
        "state": "failed",
        "attempts": 5,
        "next_attempt_at": 1,
        "claimed_by": "",
        "claimed_until": 0,
        "message_id": "<1@example>",
        "recipients": '["ann@acme.example"]',
        "error": "550 no such user",
    }
    with store.writing(By(operator="runner", at=1)) as writing:
        writing.conn.execute(insert(schema.notice).values(row))


def valid() -> dict[str, Any]:
    """A request for every call, which a furnished store takes; writes have their idempotency keys."""
    item = pb.OrderItem(product_id="fixed_desk-sku", quantity=12, unit_price="10.5", billing_periods=1)
    services = [pb.PlanService(product_id="fixed_desk-sku", quantity=2)]
    blocking = pb.PlanBlocking(basis=BASIS_MONEY, allowed_balance="-50.5", deferral_days=3)
    desk_entry = pb.TemplateEntry(
        name="desk",
        users=Limit(count=3),
        amount=Limit(unlimited=True),
        amount_calculation=pb.CALCULATION_FIXED,
        users_calculation=pb.CALCULATION_PER_QTY,
    )
    whole_product = pb.Product(
        id="suite",
        name="The suite",
        application="desking",
        application_version="7.1",
        application_type="web",
        billing=pb.BILLING_MONTHLY,
        trial=MONTH,
        trial_license_template=[desk_entry],
        license_template=[desk_entry],
        features=["timesheet"],
        downgrade=pb.DOWNGRADE_AT_END,
    )
    given: dict[str, dict[str, Any]] = {
        "CreateTenant": {
            "id": "new",
            "name": "New Ltd.",
            "parent_id": "acme",
            "zone": "Europe/Berlin",
            "language": "de",
            "tags": ["trial", "eu"],
            "edition": "basic",
            "contacts": ["new@example.com"],
        },
        "UpdateTenant": {
            "id": "acme",
            "expected_version": 1,
            "name": "Acme",
            "zone": "UTC",
            "language": "zh-CN",
            "tags": pb.Texts(values=["big"]),
            "edition": "flagship",
            "contacts": pb.Texts(values=["bob@acme.example"]),
        },
        "MoveTenant": {"id": "child", "parent_id": "beta"},
        "ArchiveTenant": {"id": "beta", "retention_days": 30},
        "RestoreTenant": {"id": "gone"},
        "EraseTenant": {"id": "gone"},
        "EraseDueTenants": {},
        "BlockTenant": {
            "tenant_id": "acme",
            "name": "legal",
            "starts": "2026-06-30",
            "ends": "2199-12-31",
            "cascade": True,
        },
        "UnblockTenant": {"tenant_id": "acme", "name": "fraud"},
        "GetTenant": {"id": "acme"},
        "ListTenants": {
            "page_size": 10,
            "page_token": "a",
            "parent_id": "",
            "tag": "vip",
            "edition": "basic",
            "archived": False,
            "text": "AC",
        },
        "CreateProduct": {"product": whole_product},
        "UpdateProduct": {"product": counted("fixed_desk", name="Desk")},
        "GetProduct": {"id": "fixed_desk-sku"},
        "ListProducts": {"page_size": 1, "page_token": "a", "key": "timesheet"},
        "PutEdition": {
            "edition": pb.Edition(
                name="tiny",
                cap=10,
                prices=[pb.EditionPrice(currency="EUR", key="fixed_desk", from_quantity=5, unit_price="1.000001")],
            )
        },
        "ListEditions": {"page_size": 2, "page_token": "advanced"},
        "PlaceOrder": {
            "tenant_id": "delta",
            "kind": NEW,
            "items": [item],
            "starts": "2026-06-30",
            "length": YEAR,
            "edition": "basic",
            "late_start": pb.LATE_START_OLD_END,
            "currency": "EUR",
            "purchased_on": "2026-06-29",
            "coupon": "SUMMER",
            "coupon_amount": "1.5",
            "credit": "0.25",
            "note": "as\ntold",
        },
        "VoidOrder": {"order_id": 2, "void_from": "2199-01-01", "note": "mistaken"},
        "GetOrder": {"id": 1},
        "ListOrders": {
            "page_size": 1,
            "page_token": "0",
            "tenant_id": "acme",
            "kind": NEW,
            "product_id": "fixed_desk-sku",
            "placed_from": Timestamp(seconds=1),
            "placed_until": Timestamp(seconds=7_000_000_000),
            "voided": False,
        },
        "GetPurchaseHistory": {"page_size": 1, "page_token": "0", "tenant_id": "acme"},
        "RecordPayment": {
            "order_id": 1,
            "amount": "-0.25",
            "paid_on": "2026-06-30",
            "reference": "bank 2",
            "corrects": 1,
            "note": "too much",
        },
        "RecordProvisioning": {
            "order_id": 1,
            "provisioned": "2026-06-30T09:00:00Z",
            "reference": "job 7",
            "note": "ready",
        },
        "ListPayments": {"page_size": 1, "page_token": "0", "tenant_id": "acme", "order_id": 1, "reference": "bank 1"},
        "CreatePlan": {"id": "gold", "name": "Gold", "owner_id": "acme", "services": services, "blocking": blocking},
        "UpdatePlan": {
            "id": "spare",
            "expected_version": 1,
            "name": "Spare",
            "terms": pb.PlanTerms(services=services, blocking=blocking),
        },
        "DuplicatePlan": {"id": "standard", "new_id": "standard-2"},
        "ArchivePlan": {"id": "spare"},
        "RestorePlan": {"id": "old"},
        "DeletePlan": {"id": "old"},
        "GetPlan": {"id": "standard"},
        "ListPlans": {"page_size": 1, "page_token": "a", "owner_id": "", "available_to": "acme", "archived": False},
        "AssignPlan": {"tenant_id": "gamma", "plan_id": "spare"},
        "UnassignPlan": {"tenant_id": "gamma"},
        "OpenAccount": {
            "tenant_id": "acme",
            "basis": BASIS_MONEY,
            "balance": "100",
            "charge": "60.5",
            "first_due": "2199-01-01",
            "period": MONTH,
            "allowed_balance": "-10",
            "deferral_days": 5,
        },
        "TopUpAccount": {"tenant_id": "delta", "amount": "0.000001", "reference": "bank 3"},
        "SetAccountCharge": {"tenant_id": "delta", "charge": "70", "first_due": "2199-02-01", "period": YEAR},
        "SetAccountBlocking": {"tenant_id": "delta", "allowed_balance": "-1", "deferral_days": 1},
        "ChangeAccountBasis": {
            "tenant_id": "delta",
            "basis": BASIS_DAYS,
            "balance": "30",
            "allowed_balance": "0",
            "deferral_days": 2,
        },
        "CorrectAccountBalance": {"tenant_id": "delta", "amount": "-5", "reason": "counted twice"},
        "CloseAccount": {"tenant_id": "delta", "reason": "left"},
        "GetAccount": {"tenant_id": "delta", "at": Timestamp(seconds=7_000_000_000)},
        "ListLedger": {"page_size": 1, "page_token": "0", "tenant_id": "delta"},
        "ChangeUsage": {
            "tenant_id": "acme",
            "key": "layout_designer",
            "seats": SeatChanges(changes=[SeatChange(user_id="u1", held=True)]),
        },
        "ReconcileUsage": {
            "tenant_id": "acme",
            "counts": [pb.UsageCount(key="fixed_desk", units=5, seats=["u1", "u2"])],
            "complete": True,
        },
        "GetUsage": {"tenant_id": "acme"},
        "AddOperator": {"name": "cem", "role": pb.OPERATOR_ROLE_OPERATOR},
        "SetOperatorRole": {"name": "bob", "role": pb.OPERATOR_ROLE_ADMIN},
        "RotateOperatorToken": {"name": "bob"},
        "DisableOperator": {"name": "bob"},
        "EnableOperator": {"name": "eve"},
        "ListOperators": {"page_size": 1, "page_token": "a"},
        "ListAuditEntries": {
            "page_size": 1,
            "page_token": "0",
            "tenant_id": "acme",
            "operator": "admin",
            "action": "tenant.",
            "subject": "tenant:acme",
            "recorded_from": Timestamp(seconds=1),
            "recorded_until": Timestamp(seconds=7_000_000_000),
        },
        "VerifyAudit": {},
        "ListNotices": {"page_size": 1, "page_token": "0", "tenant_id": "acme", "state": "failed", "kind": "ended"},
        "RetryNotice": {"id": 2},
    }
    return {method: _request(method, fields) for method, fields in given.items()}


def _request(method: str, fields: dict[str, Any]) -> Any:
    request = getattr(pb, f"{method}Request")(**fields)
    if "idempotency_key" in request.DESCRIPTOR.fields_by_name:
        request.idempotency_key = f"valid {method}"
    return request
