"""What a sidecar is told by its operator: one frozen object from a file, then `DESKGATE_*` variables, then flags.

The later one wins, key by key. Unknown keys and every bad value of every layer, also those that a later layer hides,
are reported together, each with where it comes from.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, model_validator

from sidecar.address import Address, parse_address
from sidecar.configfile import read_config
from sidecar.core.errors import DeskgateError

PREFIX: Final = "DESKGATE_"
OTHER_VARIABLES: Final = frozenset(
    {
        "DESKGATE_BACKOFFICE",
        "DESKGATE_CONFIG",
        "DESKGATE_NOTICES_ATTEMPTS",
        "DESKGATE_NOTICES_LEASE",
        "DESKGATE_NOTICES_LOOK_EVERY",
        "DESKGATE_NOTICES_OFFSETS",
        "DESKGATE_NOTICES_PLAN_EVERY",
        "DESKGATE_NOTICES_SINCE",
        "DESKGATE_NOTICES_TEMPLATES",
        "DESKGATE_OPERATOR",
        "DESKGATE_SMTP_CA",
        "DESKGATE_SMTP_FROM",
        "DESKGATE_SMTP_PASSWORD",
        "DESKGATE_SMTP_PASSWORD_FILE",
        "DESKGATE_SMTP_SERVER",
        "DESKGATE_SMTP_TIMEOUT",
        "DESKGATE_SMTP_TLS",
        "DESKGATE_SMTP_USER",
        "DESKGATE_SOAK",
        "DESKGATE_TARGET",
        "DESKGATE_TOKEN",
    }
)
"""Read by the command line and the tests, not settings of the sidecar."""

SERVICE_LINK: Final = re.compile(
    r"DESKGATE_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
"""What Kubernetes puts into every pod's environment for a service whose name begins with "deskgate"."""

SUN_PATH_BYTES: Final = 107


def _address(value: object) -> object:
    if isinstance(value, str):
        return parse_address(value) if value else None
    return value


def _loopback(value: object) -> object:
    address = _address(value)
    if isinstance(address, Address) and not address.loopback:
        raise ValueError(
            f"{address} is reachable from other machines, and there is no TLS yet: "
            "use 127.0.0.1, [::1], localhost or grpc_socket"
        )
    return address


def _store(value: object) -> object:
    if not isinstance(value, str):
        return value
    scheme, found, rest = value.partition("://")
    if not found:
        path = value
    elif scheme == "sqlite":
        if not rest.startswith("/"):
            raise ValueError(f"{value!r}: write sqlite:///relative/path or sqlite:////absolute/path")
        path = rest[1:]
    else:
        raise ValueError(f"{scheme!r} is not a store that this version knows: sqlite:///PATH or a path is needed")
    if not path:
        raise ValueError("the path of the store's file is missing")
    return f"sqlite:///{path}"


def _mode(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"(0o)?[0-7]{3,4}", value) or int(value, 8) > 0o777:
        raise ValueError('an octal file mode in quotes is needed, as "0660"')
    return f"{int(value, 8):04o}"


def _list(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _path(value: object) -> object:
    if isinstance(value, str | Path) and "\0" in str(value):
        raise ValueError("a path cannot contain NUL")
    return value


def _socket(value: object) -> object:
    if value == "":
        return None
    if isinstance(value, str | Path) and len(str(value).encode()) > SUN_PATH_BYTES:
        raise ValueError(f"the path of a Unix socket may have at most {SUN_PATH_BYTES} bytes")
    return _path(value)


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")
    return value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


_Text = PlainSerializer(lambda value: None if value is None else str(value), return_type=str | None)
_Address = Annotated[Address | None, BeforeValidator(_address, json_schema_input_type=str | None), _Text]
_Loopback = Annotated[Address | None, BeforeValidator(_loopback, json_schema_input_type=str | None), _Text]
_Path = Annotated[Path, BeforeValidator(_path)]
_Socket = Annotated[Path | None, BeforeValidator(_socket)]
_Int = Annotated[int, BeforeValidator(_number)]
_Seconds = Annotated[float, BeforeValidator(_number)]


_GRPC_DEFAULT: Any = "127.0.0.1:9290"
_HTTP_DEFAULT: Any = "127.0.0.1:9291"
"""Validated like every other value, and shown by the schema as people write them."""


class Settings(BaseModel):
    """Every setting of a sidecar. Relative paths are relative to the working directory."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)

    store: Annotated[str, BeforeValidator(_store)] = Field(
        default="sqlite:///var/run/store.db",
        description="The central store: sqlite:///PATH, or just the path of its file.",
    )
    policies: Annotated[tuple[_Path, ...], BeforeValidator(_list)] = Field(
        default=(Path("policies"),),
        min_length=1,
        description="Policy files, and folders of them; in a variable or flag separated by commas.",
    )
    state_dir: _Path = Field(
        default=Path("var/run/state"),
        description="Where the local copy, the clock's floor and the last good policies stay.",
    )
    grpc_address: _Loopback = Field(
        default=_GRPC_DEFAULT,
        description="Where gRPC is served over TCP, host:port; loopback only; port 0: any free one; empty: not at all.",
    )
    grpc_socket: _Socket = Field(
        default=None,
        description="Path of the Unix socket where gRPC is served as well; empty: none. At most 107 bytes.",
    )
    grpc_socket_mode: Annotated[str, BeforeValidator(_mode)] = Field(
        default="0660", description='File mode of that socket, octal, in quotes: "0660".'
    )
    http_address: _Address = Field(
        default=_HTTP_DEFAULT,
        description="Where metrics, health and status are, host:port; empty: nowhere.",
    )
    max_in_flight: _Int = Field(
        default=256, ge=1, le=65_536, description="gRPC calls worked on at once; more are refused."
    )
    max_waiting: _Int = Field(
        default=8,
        ge=0,
        le=511,
        description="Calls that may wait for a min_revision at once, fewer than `threads`; more are refused.",
    )
    threads: _Int = Field(
        default=16, ge=2, le=512, description="Threads that work on checks; with `inline`, on those that wait."
    )
    inline: bool = Field(
        default=True,
        description="Answer checks on the thread that takes calls, which is faster; false: hand them to `threads`.",
    )
    compiled_tenants: _Int = Field(
        default=10_000,
        ge=1,
        le=10_000_000,
        description="Tenants kept compiled, those asked about last; others stay as bytes.",
    )
    drain_seconds: _Seconds = Field(
        default=10.0, ge=0, le=600, description="How long started calls may take to end once a stop was asked for."
    )
    store_poll_seconds: _Seconds = Field(
        default=0.025, ge=0.005, le=5, description="How often an embedded store is asked whether it changed."
    )
    policy_poll_seconds: _Seconds = Field(
        default=0.25, ge=0.01, le=60, description="How often the policy files are looked at for a change."
    )
    log_format: Annotated[Literal["json", "console"], BeforeValidator(_lower)] = Field(
        default="json", description="json for machines, console for people."
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = Field(
        default="info", description="The least level that is logged."
    )

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.grpc_address is None and self.grpc_socket is None:
            raise ValueError("grpc_address and grpc_socket are both empty: nobody could ask")
        if self.max_waiting >= self.threads:
            raise ValueError(
                f"max_waiting is {self.max_waiting} and threads is {self.threads}: with as many waiting as there are"
                " threads none would be left to answer"
            )
        return self

    @property
    def store_path(self) -> Path:
        """The store's file."""
        return Path(self.store.removeprefix("sqlite:///"))

    @property
    def socket_mode(self) -> int:
        """The socket's mode as a number."""
        return int(self.grpc_socket_mode, 8)

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that tell one set of values from another."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:12]


KEYS: Final = tuple(Settings.model_fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing wrong. `origin` is file:key, the variable or the flag; `hint` may be empty."""

    origin: str
    problem: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.origin}: {self.problem}" + (f" ({self.hint})" if self.hint else "")


class SettingsError(DeskgateError):
    """The settings cannot be used. `mistakes` are all of them."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The settings and, by key, where each value comes from: "default", file:key, a variable or a flag."""

    settings: Settings
    origins: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Given:
    """One key as one layer gives it."""

    key: str
    value: object
    origin: str
    candidates: tuple[str, ...]
    """What the layer would have understood, written as the layer writes it."""


def load(*, flags: Mapping[str, str | None], environ: Mapping[str, str], config: Path | None = None) -> Loaded:
    """Settings from the file `config` (or the variable DESKGATE_CONFIG), then `environ`, then `flags`.

    A flag that is None was not given. Raises SettingsError with every mistake of every layer.
    """
    named = environ.get("DESKGATE_CONFIG", "")
    file = config or (Path(named) if named else None)
    mistakes: list[Mistake] = []
    layers: list[list[_Given]] = []
    if file is not None:
        try:
            layers.append(list(_from_file(file)))
        except SettingsError as e:
            mistakes.extend(e.mistakes)
    layers.append(list(_from_environment(environ)))
    layers.append(list(_from_flags(flags)))
    for layer in layers:
        mistakes.extend(_mistakes(layer))
    if mistakes:
        raise SettingsError(tuple(mistakes))
    effective = {given.key: given for layer in layers for given in layer}
    try:
        settings = Settings.model_validate({key: given.value for key, given in effective.items()})
    except ValidationError as e:
        raise SettingsError(tuple(Mistake(origin="settings", problem=_said(error)) for error in e.errors())) from e
    return Loaded(
        settings=settings, origins={key: effective[key].origin if key in effective else "default" for key in KEYS}
    )


def _mistakes(layer: list[_Given]) -> Iterator[Mistake]:
    known = {given.key: given for given in layer if given.key in KEYS}
    for given in layer:
        if given.key not in KEYS:
            near = difflib.get_close_matches(given.origin.rpartition(":")[2], given.candidates, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]}?" if near else "`deskgate config schema` lists what there is"
            yield Mistake(origin=given.origin, problem="unknown setting", hint=hint)
    try:
        Settings.model_validate({key: given.value for key, given in known.items()})
    except ValidationError as e:
        for error in e.errors():
            if error["loc"]:  # what concerns several keys is judged on all layers together
                yield Mistake(origin=known[str(error["loc"][0])].origin, problem=_said(error))


def _said(error: Any) -> str:
    return str(error["msg"]).removeprefix("Value error, ")


def _from_flags(flags: Mapping[str, str | None]) -> Iterator[_Given]:
    candidates = tuple(map(flag_of, KEYS))
    for key, value in flags.items():
        if value is not None:
            yield _Given(key, value, flag_of(key), candidates)


def flag_of(key: str) -> str:
    """The flag of a setting: --state-dir for state_dir."""
    return "--" + key.replace("_", "-")


def _from_environment(environ: Mapping[str, str]) -> Iterator[_Given]:
    candidates = tuple(PREFIX + key.upper() for key in KEYS)
    for name, value in sorted(environ.items()):
        if not name.startswith(PREFIX) or name in OTHER_VARIABLES:
            continue
        key = name.removeprefix(PREFIX).lower()
        if name in candidates or not SERVICE_LINK.fullmatch(name):
            yield _Given(key if name in candidates else name, value, name, candidates)


def _from_file(file: Path) -> Iterator[_Given]:
    try:
        values = read_config(file)
    except ValueError as e:
        raise SettingsError((Mistake(origin=str(file), problem=str(e)),)) from e
    for key, value in values.items():
        yield _Given(str(key), value, f"{file}:{key}", KEYS)
