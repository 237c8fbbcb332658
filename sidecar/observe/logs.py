"""The log: one event a line on standard error, JSON for machines or columns for people. None per check."""

from __future__ import annotations

import logging
import sys
from typing import Final, Literal, TextIO

import structlog
from structlog.typing import FilteringBoundLogger, Processor

_SHARED: Final[tuple[Processor, ...]] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
)

TRACES: Final = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
"""Without the values of variables: tokens and people's data are among them."""


def configure(
    *,
    log_format: Literal["json", "console"],
    level: Literal["debug", "info", "warning", "error"],
    stream: TextIO | None = None,
) -> None:
    """Sets up logging for the whole process, that of libraries included, which comes out in the same shape."""
    out = sys.stderr if stream is None else stream
    number = logging.getLevelNamesMapping()[level.upper()]
    ending = _json() if log_format == "json" else _console(colors=out.isatty())
    structlog.configure(
        processors=[*_SHARED, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)


def log(name: str) -> FilteringBoundLogger:
    """A logger whose events carry `component=name`; it follows `configure` whenever that is called."""
    logger: FilteringBoundLogger = structlog.get_logger(component=name)
    return logger


def _json() -> tuple[Processor, ...]:
    return (TRACES, structlog.processors.JSONRenderer(ensure_ascii=False, default=str))


def _console(*, colors: bool) -> tuple[Processor, ...]:
    return (structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback),)
