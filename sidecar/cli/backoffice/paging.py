"""Options of lists, and what is said where there is more."""

from __future__ import annotations

from typing import Annotated, Any

import typer

Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")]
PageToken = Annotated[str | None, typer.Option(help="Go on where a list that said so ended.")]


def page(limit: int, page_token: str | None) -> dict[str, Any]:
    """The fields of a list's request."""
    return {"page_size": limit, "page_token": page_token}


def more(answer: Any) -> str:
    """A line that tells how to go on; "" at the end of the list."""
    return f"\n... more with --page-token {answer.next_page_token}" if answer.next_page_token else ""
