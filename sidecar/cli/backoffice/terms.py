"""Options of terms and lengths, and the message fields that they become."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Final

import typer

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar.core.errors import InvalidRequest

ITEM: Final = re.compile(r"(?P<id>[^=]+)=(?P<quantity>\d{1,12})(@(?P<price>[0-9.]+))?")
Starts = Annotated[str | None, typer.Option(help="A date in the tenant's zone, or an instant; default: at once.")]
Ends = Annotated[
    str | None, typer.Option(help="The last date, inclusive, in the tenant's zone; or the first instant after.")
]
Months = Annotated[int, typer.Option(help="Length in calendar months.", min=0)]
Years = Annotated[int, typer.Option(help="Length in calendar years.", min=0)]
Days = Annotated[int, typer.Option(help="Length in calendar days.", min=0)]
Perpetual = Annotated[bool, typer.Option("--perpetual", help="Without end.")]
FirstDue = Annotated[str | None, typer.Option(help="Money: the first due date in the tenant's zone, or instant.")]
EveryMonths = Annotated[int, typer.Option(help="Money: months between charges.", min=0)]
EveryDays = Annotated[int, typer.Option(help="Money: days between charges.", min=0)]


def length(*, months: int = 0, years: int = 0, days: int = 0) -> pb.Length | None:
    """A length in months or in days; None when nothing is given. Raises InvalidRequest when both are."""
    if (months or years) and days:
        raise InvalidRequest("length", "give it in months and years, or in days")
    if days:
        return pb.Length(count=days, unit=pb.LENGTH_UNIT_DAY)
    whole = months + 12 * years
    return pb.Length(count=whole, unit=pb.LENGTH_UNIT_MONTH) if whole else None


def items(lines: Iterable[str]) -> Iterator[pb.OrderItem]:
    """Lines such as fixed-desk=10 or fixed-desk=10@49.90. Raises InvalidRequest."""
    for line in lines:
        match = ITEM.fullmatch(line)
        if match is None:
            raise InvalidRequest("lines", f"{line!r} is not PRODUCT=QUANTITY or PRODUCT=QUANTITY@PRICE")
        yield pb.OrderItem(product_id=match["id"], quantity=int(match["quantity"]), unit_price=match["price"])
