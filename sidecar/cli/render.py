"""Answers and explanations for people."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sidecar.client import Answer, Explanation, Question, Quota, Remedy, RuleTrace, Segment

WIDE: Final = 120
"""Columns when the output is no terminal."""
COLORS: Final = {"allow": "bold green", "deny": "bold red"}


def print_answer(question: Question, answer: Answer) -> None:
    """The verdict, why, what would lift it, and what it rests on."""
    _print_answer(_console(), question, answer)


def print_explanation(question: Question, told: Explanation) -> None:
    """The answer, then what it was made from: facts, rules, timeline."""
    console = _console()
    _print_answer(console, question, told.answer)
    if told.facts:
        console.print(_facts(told.facts))
    if told.rules:
        console.print(_rules(told.rules))
    if told.timeline:
        console.print(_timeline(told.timeline))


def _console() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDE
    return console


def _print_answer(console: Console, question: Question, answer: Answer) -> None:
    what = " ".join(part for part in (question.action, question.kind) if part)
    said = Text(answer.effect.upper(), style=COLORS[answer.effect])
    said.append(f"  {what} for {question.tenant}", style="default not bold")
    if answer.reason:
        said.append(f"  {answer.reason}", style="bold")
    console.print(said)
    console.print(_grid(_lines(question, answer)))


def _lines(question: Question, answer: Answer) -> Iterator[tuple[str, str]]:
    """What to show of an answer, empty ones included."""
    yield "message", answer.message
    yield "also", ", ".join(answer.also)
    for warning in answer.warnings:
        yield "warning", f"{warning.code}: {warning.message}" if warning.message else warning.code
    yield "would lift it", "; ".join(map(_remedy, answer.remedies))
    yield "quota", _quota(answer.quota, question.tenant) if answer.quota else ""
    facts = {"status": answer.status, "phase": answer.phase, "standing": answer.standing}
    yield "tenant", ", ".join(f"{name} {value}" for name, value in facts.items() if value)
    yield "term ends", _when(answer.term_ends_at)
    yield "grace ends", _when(answer.grace_ends_at)
    yield "may change by itself", _when(answer.next_change_at)
    yield "rule", f"{answer.policy}/{answer.rule}" if answer.rule else ""
    yield "rests on", _rests_on(answer)
    yield "decision", answer.decision_id


def _rests_on(answer: Answer) -> str:
    parts = (
        f"revision {answer.entitlement_revision}",
        f"policies {answer.policy_revision}",
        answer.freshness,
        f"as of {_when(answer.as_of)}",
    )
    return ", ".join(part for part in parts if part)


def _quota(quota: Quota, tenant: str) -> str:
    if quota.unlimited:
        return f"{quota.key}: {quota.used} used, no limit"
    text = f"{quota.key}: {quota.used} of {quota.limit} used, {quota.fits} fit"
    if quota.excess:
        text += f", {quota.excess} too many"
    return text + (f" (pool of {quota.holder})" if quota.holder not in ("", tenant) else "")


def _remedy(remedy: Remedy) -> str:
    text = remedy.kind.replace("_", " ")
    if remedy.quantity:
        text += f" {remedy.quantity}"
    if remedy.until is not None:
        text += f" until {_when(remedy.until)}"
    if remedy.amount_micros:
        text += f" at least {remedy.amount_micros / 1_000_000:,.2f}"
    return text


def _when(instant: datetime | None) -> str:
    return "" if instant is None else instant.isoformat().replace("+00:00", "Z")


def _short(instant: datetime | None) -> str:
    return "ever" if instant is None else f"{instant:%Y-%m-%d %H:%M:%S}Z"


def _grid(lines: Iterator[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in lines:
        if value:
            grid.add_row(name, Text(value))
    return grid


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", header_style="dim")
    return table


def _facts(facts: tuple[tuple[str, str], ...]) -> Table:
    table = _table("\nFacts", "fact", "value")
    for name, value in facts:
        table.add_row(Text(name), Text(value))
    return table


def _rules(rules: tuple[RuleTrace, ...]) -> Table:
    table = _table("\nRules", "", "rule", "effect", "why")
    for rule in rules:
        mark, style = ("*", COLORS.get(rule.effect, "bold")) if rule.matched else ("", "dim")
        effect = " ".join(part for part in (rule.effect or "warn", rule.reason) if part)
        cells = (mark, f"{rule.policy}/{rule.rule}", effect, rule.why)
        table.add_row(*(Text(cell, style=style) for cell in cells))
    return table


def _timeline(segments: tuple[Segment, ...]) -> Table:
    table = _table("\nTimeline", "from", "to", "status", "phase", "standing", "units", "users", "")
    for column in table.columns[:2]:
        column.no_wrap = True
    for segment in segments:
        notes = (*segment.cuts, *(("expiring soon",) if segment.expiring_soon else ()))
        cells = (
            _short(segment.starts_at),
            _short(segment.ends_at),
            segment.status,
            segment.phase,
            segment.standing,
            "-" if segment.amount is None else str(segment.amount),
            "-" if segment.users is None else str(segment.users),
            ", ".join(notes),
        )
        table.add_row(*map(Text, cells))
    return table
