"""What the store's commands share: their options, how they answer, and how they say no."""

from __future__ import annotations

import functools
import getpass
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final, ParamSpec

import typer

from sidecar.core.calendar import format_instant, parse_instant
from sidecar.core.errors import DeskgateError, InvalidRequest
from sidecar.core.model import FOREVER, MICROS, UNLIMITED, Account, Instant, Limit
from sync.backoffice.errors import DeskError
from sync.store.audit import By
from sync.store.db import Writing, open_store
from sync.store.errors import Refused, StoreError
from sync.store.terms import in_calendar

P = ParamSpec("P")

DEFAULT_STORE: Final = "var/run/store.db"
PRODUCT: Final = re.compile(r"(?P<id>.+)=(?P<quantity>\d{1,12})")

StorePath = Annotated[
    str, typer.Option("--store", envvar="DESKGATE_STORE", help="The store: a path, or an sqlite:/// URL.")
]
At = Annotated[
    str | None, typer.Option("--at", help="The instant of the change, such as 2026-01-31T09:00:00Z; default: now.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
BELOW_ZERO: Final = {"ignore_unknown_options": True}
"""Settings of a command that takes a number below 0 as an argument, which looks like an option."""
TenantId = Annotated[str, typer.Argument(metavar="TENANT", help="Id of the tenant.")]


def app_of(name: str, about: str) -> typer.Typer:
    """A sub-command of `deskgate`."""
    return typer.Typer(name=name, help=about, no_args_is_help=True, add_completion=False)


def told(command: Callable[P, None]) -> Callable[P, None]:
    """Says no as people expect: a refusal or a failing store exits 1 with its code, bad usage exits 2."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (Refused, StoreError, DeskError) as e:
            raise _exit(e.code, e.advice, 1, kwargs.get("as_json")) from e
        except DeskgateError as e:
            raise _exit("INVALID", str(e), 2, kwargs.get("as_json")) from e

    return run


def _exit(code: str, advice: str, status: int, as_json: object) -> typer.Exit:
    error = {"error": {"code": code, "message": advice}}
    typer.echo(json.dumps(error, ensure_ascii=False) if as_json else f"{code}: {advice}", err=True)
    return typer.Exit(status)


def now_or(at: str | None) -> Instant:
    """The instant of a change: what `--at` says, else the clock's."""
    instant = time.time_ns() // 1000 if at is None else parse_instant(at)
    in_calendar("at", instant)
    return instant


@contextmanager
def changing(store: str) -> Iterator[Writing]:
    """One change to the store that `--store` names."""
    by = By(operator=f"local:{getpass.getuser()}", at=time.time_ns() // 1000)
    with open_store(store).writing(by) as writing:
        yield writing


def answer(as_json: bool, text: str, **value: object) -> None:
    """Prints a command's answer: a sentence or a table for people, or the value."""
    typer.echo(json.dumps(value, ensure_ascii=False) if as_json else text)


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Columns as wide as they need to be."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)


def moment(instant: Instant | None) -> str | None:
    """An instant in JSON: RFC 3339, or null where there is none."""
    return None if instant is None or instant == FOREVER else format_instant(instant)


def products(lines: Iterable[str]) -> dict[str, int]:
    """Product to quantity, from arguments such as fixed-desk=10. Raises InvalidRequest."""
    found: dict[str, int] = {}
    for line in lines:
        match = PRODUCT.fullmatch(line)
        if match is None or match["id"] in found:
            raise InvalidRequest("lines", f"{line!r} is not PRODUCT=QUANTITY, or names a product again")
        found[match["id"]] = int(match["quantity"])
    return found


def millionths(field: str, text: str) -> int:
    """An exact amount with up to six decimals. Raises InvalidRequest."""
    try:
        scaled = Decimal(text) * MICROS
        if scaled == int(scaled):
            return int(scaled)
    except (InvalidOperation, OverflowError, ValueError) as e:
        raise InvalidRequest(field, f"{text!r} is not an amount such as 12.50") from e
    raise InvalidRequest(field, f"{text} has more than six decimals")


def amount(micros: int) -> str:
    """Millionths as a decimal number."""
    return format((Decimal(micros) / MICROS).normalize(), "f")


def limit(value: Limit | None) -> int | str | None:
    """A limit in JSON."""
    return "unlimited" if value is UNLIMITED else value


def account_json(account: Account) -> Mapping[str, Any]:
    """An account in JSON."""
    return {
        "basis": account.basis.name.lower(),
        "balance": amount(account.balance),
        "as_of": moment(account.as_of),
        "owed_since": moment(account.owed_since),
        "owed_charge": amount(account.owed_charge),
        "charge": amount(account.charge),
        "first_due": moment(account.anchor) if account.basis.name == "MONEY" else None,
        "period_months": account.period.months,
        "period_days": account.period.days,
        "allowed_balance": amount(account.allowed_balance),
        "deferral_days": account.deferral_days,
    }
