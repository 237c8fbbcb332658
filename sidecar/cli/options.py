"""Options that several commands share, stated once: a command is given what is built from them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from sidecar.settings import FLAGS, Loaded, Settings, flag_of, load

T = TypeVar("T")
CONFIG = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings in YAML or TOML; or DESKGATE_CONFIG.")
]


def given(name: str, build: Callable[..., object]) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Decorates a function: its parameter `name` is what `build` makes of options that are `build`'s parameters.

    The function may be a command, or itself build what another is given.
    """

    def decorate(command: Callable[..., T]) -> Callable[..., T]:
        keyword = inspect.Parameter.KEYWORD_ONLY
        needed = inspect.signature(build, eval_str=True).parameters
        own = {n: p for n, p in inspect.signature(command, eval_str=True).parameters.items() if n != name}
        parameters = [p.replace(kind=keyword) for p in (*needed.values(), *own.values())]

        def run(**values: Any) -> T:
            built = build(**{n: values[n] for n in needed})
            return command(**{name: built}, **{n: values[n] for n in own})

        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        return run

    return decorate


def _loaded(config: CONFIG = None, **flags: str | None) -> Loaded:
    return load(flags=flags, environ=os.environ, config=config)


def _with_flags() -> Callable[..., Loaded]:
    build = partial(_loaded)
    keyword = inspect.Parameter.KEYWORD_ONLY
    flags = [inspect.Parameter(key, keyword, default=None, annotation=_flag(key)) for key in FLAGS]
    config = inspect.Parameter("config", keyword, default=None, annotation=CONFIG)
    build.__signature__ = inspect.Signature([config, *flags])  # type: ignore[attr-defined]
    return build


def _flag(key: str) -> Any:
    about = Settings.model_fields[key].description
    return Annotated[str | None, typer.Option(flag_of(key), metavar="VALUE", help=about, rich_help_panel="Settings")]


with_settings = given("loaded", _with_flags())
"""Gives a command `--config` and a flag for each setting, and `loaded: Loaded`, which they make with the environment.

Values are handed on as text, so that bad ones are reported with all the others. The command raises SettingsError.
"""
