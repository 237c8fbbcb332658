"""`deskgate check` and `deskgate explain`: a question to a running sidecar.

Exit 0 allow, 1 deny, 2 not a question that can be judged, 3 no answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

import typer

from sidecar.cli.options import given
from sidecar.cli.render import print_answer, print_explanation
from sidecar.cli.target import Target, Timeout
from sidecar.client import Answer, ClientError, Deskgate, InvalidQuestion, Question

T = TypeVar("T")

DENIED: Final = 1
USAGE: Final = 2
NO_ANSWER: Final = 3

Tenant = Annotated[str, typer.Argument(metavar="TENANT", help="Id of the tenant.")]
Action = Annotated[str, typer.Argument(metavar="ACTION", help="Such as booking.create.")]
Kind = Annotated[str, typer.Argument(metavar="KIND", help="Resource kind, such as shared_desk.", show_default=False)]
Quantity = Annotated[int | None, typer.Option("--quantity", "-n", help="How many; default: 1.")]
User = Annotated[str, typer.Option(help="Whose seat it is, or who acts.")]
Unlicensed = Annotated[bool, typer.Option("--unlicensed", help="The space is not licensed.")]
Window = Annotated[str, typer.Option(metavar="A..B", help="Of a booking: instants or dates, UTC unless they say so.")]
Locale = Annotated[str, typer.Option(help="Language of the message, such as zh-CN; default: the tenant's.")]
MinRevision = Annotated[int, typer.Option(help="Answer from data at least this new.")]
Attr = Annotated[list[str] | None, typer.Option(metavar="K=V", help="One of request.attributes; repeatable.")]
ResourceAttr = Annotated[
    list[str] | None, typer.Option(metavar="K=V", help="One of resource.attributes, as entry=bulk_import.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
At = Annotated[str, typer.Option(metavar="INSTANT", help="Judge as of then: an instant or a date; default: now.")]


def question_of(
    tenant: Tenant,
    action: Action,
    kind: Kind = "",
    quantity: Quantity = None,
    user: User = "",
    unlicensed: Unlicensed = False,
    window: Window = "",
    locale: Locale = "",
    min_revision: MinRevision = 0,
    attr: Attr = None,
    resource_attr: ResourceAttr = None,
) -> Question:
    """The question that the options make. Raises typer.BadParameter."""
    return Question(
        tenant=tenant,
        action=action,
        kind=kind,
        quantity=quantity,
        user=user,
        licensed=False if unlicensed else None,
        window=_window(window) if window else None,
        locale=locale,
        min_revision=min_revision,
        attributes=_pairs("--attr", attr or ()),
        resource_attributes=_pairs("--resource-attr", resource_attr or ()),
    )


@given("question", question_of)
def check(
    question: Question, as_json: AsJson = False, target: Target = "127.0.0.1:9290", timeout: Timeout = 3.0
) -> None:
    """Ask a sidecar: may this tenant do this now? Exit 0 allow, 1 deny, 2 not judged, 3 no answer."""
    answer = _asked(target, timeout, lambda gate: gate.ask(question))
    if as_json:
        _print_json(answer)
    else:
        print_answer(question, answer)
    _leave(answer)


@given("question", question_of)
def explain(
    question: Question,
    at: At = "",
    as_json: AsJson = False,
    target: Target = "127.0.0.1:9290",
    timeout: Timeout = 3.0,
) -> None:
    """Ask a sidecar why, at any instant: facts, rules, the key's timeline. Exit as for check."""
    instant = _instant("--at", at) if at else None
    told = _asked(target, timeout, lambda gate: gate.explain(question, at=instant))
    if as_json:
        _print_json(told)
    else:
        print_explanation(question, told)
    _leave(told.answer)


def _asked(target: str, timeout: float, ask: Callable[[Deskgate], T]) -> T:
    try:
        with Deskgate(target, timeout=timeout) as gate:
            return ask(gate)
    except ClientError as e:
        typer.echo(f"deskgate: {target}: {e}", err=True)
        raise typer.Exit(USAGE if isinstance(e, InvalidQuestion) else NO_ANSWER) from e


def _leave(answer: Answer) -> None:
    if not answer.allowed:
        raise typer.Exit(DENIED)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(asdict(value), ensure_ascii=False, indent=2, default=_plain))


def _plain(value: object) -> object:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else dict(value)  # type: ignore[call-overload]


def _pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{option}: K=V is needed, got {text!r}")
        pairs[key] = value
    return pairs


def _window(text: str) -> tuple[datetime, datetime]:
    starts_at, dots, ends_at = text.partition("..")
    if not dots:
        raise typer.BadParameter(f"--window: A..B is needed, as 2027-01-01T09:00Z..2027-01-01T10:00Z, got {text!r}")
    return _instant("--window", starts_at), _instant("--window", ends_at)


def _instant(option: str, text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as e:
        raise typer.BadParameter(f"{option}: {text!r} is neither an instant nor a date") from e
    try:
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except OverflowError as e:
        raise typer.BadParameter(f"{option}: {text!r} is out of range") from e
