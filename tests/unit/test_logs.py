"""The log: one event a line, libraries' own in the same shape, nothing below the level."""

from __future__ import annotations

import io
import json
import logging
from typing import Literal

import pytest

from sidecar.observe.logs import configure, log


def logged(log_format: Literal["json", "console"], level: Literal["debug", "info", "warning", "error"]) -> str:
    stream = io.StringIO()
    early = log("early")
    configure(log_format=log_format, level=level, stream=stream)
    early.info("policies loaded", revision="p1", tenant="北京")
    early.debug("detail")
    logging.getLogger("grpc").warning("a library's own %s", "words")
    try:
        raise ValueError("broken")
    except ValueError:
        early.exception("failed")
    return stream.getvalue()


def test_json_is_one_object_a_line() -> None:
    first, second, third = map(json.loads, logged("json", "info").splitlines())
    assert first["event"] == "policies loaded"
    assert (first["level"], first["component"], first["revision"], first["tenant"]) == ("info", "early", "p1", "北京")
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["logger"], second["level"]) == ("a library's own words", "grpc", "warning")
    assert third["exception"][0]["exc_type"] == "ValueError"


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_trace_shows_no_values_of_variables(log_format: Literal["json", "console"]) -> None:
    """A token may be among them."""
    stream = io.StringIO()
    configure(log_format=log_format, level="info", stream=stream)

    def fails(token: str) -> None:
        raise ValueError("broken")

    try:
        fails("s3cr3t".upper())
    except ValueError:
        log("early").exception("failed")
    assert "broken" in stream.getvalue()
    assert "S3CR3T" not in stream.getvalue()


def test_console_is_for_people() -> None:
    text = logged("console", "debug")
    assert "policies loaded" in text
    assert "detail" in text
    assert "ValueError: broken" in text
    assert "\x1b[" not in text


def test_below_the_level_nothing_is_logged() -> None:
    assert [json.loads(line)["event"] for line in logged("json", "error").splitlines()] == ["failed"]


def test_it_goes_to_standard_error_unless_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    configure(log_format="json", level="info")
    log("x").info("here")
    out, err = capsys.readouterr()
    assert out == ""
    assert "here" in err
