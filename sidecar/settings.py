"""What a sidecar is told by its operator: one frozen object from a file, then `DESKGATE_*` variables, then flags.

The later one wins, key by key. Unknown keys and every bad value of every layer, also those that a later layer hides,
are reported together, each with where it comes from.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationError,
    model_validator,
)

from sidecar.address import Address, parse_address
from sidecar.configfile import read_config
from sidecar.core.errors import DeskgateError
from sidecar.state.directory import USAGE
from sync import storeurl
from sync.opening import SourceOptions

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

SECRET: Final = frozenset({"store_token"})
"""Settings that are no flags: whoever looks at processes sees those."""
FEED_ALONE: Final = ("store_token", "store_token_file", "store_ca", "store_cert", "store_key", "only_tenants")
OTHERWISE: Final = {
    storeurl.POSTGRESQL: "what is for the database goes into its URL (?sslrootcert=...), and it is followed as a whole"
}


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
    return storeurl.parsed(value) if isinstance(value, str) else value


def _mode(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"(0o)?[0-7]{3,4}", value) or int(value, 8) > 0o777:
        raise ValueError('an octal file mode in quotes is needed, as "0660"')
    return f"{int(value, 8):04o}"


def _list(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _named(value: object) -> object:
    """A file that may also not be named at all."""
    return None if value == "" else _path(value)


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
_File = Annotated[Path | None, BeforeValidator(_named)]
_Socket = Annotated[Path | None, BeforeValidator(_socket)]
_Int = Annotated[int, BeforeValidator(_number)]
_Seconds = Annotated[float, BeforeValidator(_number)]


_GRPC_DEFAULT: Any = "127.0.0.1:9290"
_HTTP_DEFAULT: Any = "127.0.0.1:9291"
"""Validated like every other value, and shown by the schema as people write them."""


class Settings(BaseModel):
    """Every setting of a sidecar. Relative paths are relative to the working directory."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)

    store: Annotated[str, BeforeValidator(_store), PlainSerializer(storeurl.shown, when_used="json")] = Field(
        default="sqlite:///var/run/store.db",
        repr=False,  # it may hold a password
        description="Where entitlements come from: sqlite:///PATH or just the path of a store's file, postgresql://...,"
        " deskgate://HOST:PORT of one or more feed servers, separated by commas, or license:///PATH.",
    )
    store_token_file: _File = Field(
        default=None, description="File of the token that lets this sidecar in at the feed servers; read at the start."
    )
    store_token: SecretStr = Field(
        default=SecretStr(""), description="That token itself, for an environment where it is no secret; never shown."
    )
    store_ca: _File = Field(
        default=None, description="PEM file of the authorities that vouch for the feed servers; empty: the system's."
    )
    store_cert: _File = Field(
        default=None, description="PEM file of the certificate by which this sidecar shows who it is to feed servers."
    )
    store_key: _File = Field(default=None, description="PEM file of that certificate's key.")
    only_tenants: Annotated[tuple[str, ...], BeforeValidator(_list)] = Field(
        default=(),
        description="The only tenants to follow over a feed, by id; in a variable separated by commas; empty: all.",
    )
    feed_keepalive_seconds: _Seconds = Field(
        default=20.0, ge=1, le=3600, description="After how long an idle connection to a feed server is tried."
    )
    license_keys: _File = Field(
        default=None, description="JWKS file of the public keys whose licenses are trusted; with license:///PATH."
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
    outbox_limit: _Int = Field(
        default=100_000,
        ge=1,
        le=10_000_000,
        description="Statements of usage that may wait for a store over a network, refused ones too; more are refused.",
    )
    fetched_seconds: _Seconds = Field(
        default=5.0,
        ge=0,
        le=300,
        description="How long a tenant that was fetched by itself from a store over a network is taken as it was then.",
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
        self._refuse_misplaced()
        return self

    def _refuse_misplaced(self) -> None:
        kind = self.store_kind
        for key in () if kind == storeurl.DESKGATE else FEED_ALONE:
            if bool(getattr(self, key)):
                advice = OTHERWISE.get(kind, "leave it out")
                raise ValueError(f"{key} is for feed servers, and store is {kind}://: {advice}")
        if self.store_token.get_secret_value() and self.store_token_file:
            raise ValueError("store_token and store_token_file are both given: one token is meant")
        if bool(self.store_cert) != bool(self.store_key):
            raise ValueError("store_cert and store_key go together: a certificate shows who we are only with its key")
        if bool(self.license_keys) != (kind == storeurl.LICENSE):
            raise ValueError(
                "a license is trusted by the keys that license_keys names"
                if kind == storeurl.LICENSE
                else f"license_keys is for a license, and store is {kind}://: leave it out"
            )

    @property
    def store_kind(self) -> str:
        """What entitlements come from: storeurl.SQLITE, POSTGRESQL, DESKGATE or LICENSE."""
        return storeurl.kind_of(self.store)

    @property
    def store_name(self) -> str:
        """The store for people to read: without a password."""
        return storeurl.shown(self.store)

    @property
    def written_store(self) -> str | None:
        """The store that is written to from here, as the store's library opens it: a path or a postgresql:// URL. None:
        feed servers stand before it.
        """
        if self.store_kind == storeurl.DESKGATE:
            return None
        if self.store_kind == storeurl.LICENSE:
            return str(self.usage_store)
        return self.store if self.store_kind == storeurl.POSTGRESQL else storeurl.path_of(self.store)

    @property
    def usage_store(self) -> Path:
        """Where what exists is kept under a license."""
        return self.state_dir / USAGE

    @property
    def source_options(self) -> SourceOptions:
        """What it takes to follow the store."""
        return SourceOptions(
            interval=self.store_poll_seconds,
            token=self.store_token.get_secret_value(),
            token_file=self.store_token_file,
            ca=self.store_ca,
            cert=self.store_cert,
            key=self.store_key,
            keepalive=self.feed_keepalive_seconds,
            only=self.only_tenants,
            instance=platform.node(),
            license_keys=self.license_keys,
            usage_store=self.usage_store,
        )

    @property
    def socket_mode(self) -> int:
        """The socket's mode as a number."""
        return int(self.grpc_socket_mode, 8)

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that tell one set of values from another."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:12]


KEYS: Final = tuple(Settings.model_fields)
FLAGS: Final = tuple(key for key in KEYS if key not in SECRET)
"""What can be given as a flag, too."""


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
    candidates = tuple(map(flag_of, FLAGS))
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
