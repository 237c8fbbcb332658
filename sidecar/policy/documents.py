"""The shape of a policy's YAML (architecture 5). The JSON schema and the checks of load.py both come from these types.

A field that is left out means what its description says; nothing may be given as null.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError, PydanticKnownError

from sidecar.core.locales import LOCALE
from sidecar.core.model import Effect, Freshness, Group, Period, Phase, Standing, Status
from sidecar.core.rules import Booked, CutFrom, ReasonClass, Remedy, Retry, Room, Seated, Used
from sidecar.policy.expressions import CelCondition, InvalidExpression, compile_condition
from sidecar.policy.values import DURATION, PERCENT, PERIOD, cut_length, duration, percent, period, template

API_VERSION: Final = "deskgate/v1"
KIND: Final = "Policy"


def _read(parse: Callable[[str], Any], pattern: str, description: str, *examples: str) -> tuple[Any, Any]:
    """A text that `parse` makes a value of, raising ValueError; and how the schema shows it."""

    def value(given: object) -> Any:
        if not isinstance(given, str):
            raise PydanticKnownError("string_type")
        return parse(given)

    schema = {"type": "string", "pattern": f"^(?:{pattern})$", "description": description, "examples": list(examples)}
    return PlainValidator(value), WithJsonSchema(schema)


def _no_names(pattern: str) -> str:
    """A pattern as JSON Schema has it: without named groups."""
    return re.sub(r"\?P<\w+>", "", pattern)


def _condition(given: object) -> CelCondition:
    if not isinstance(given, str):
        raise PydanticKnownError("string_type")
    try:
        return compile_condition(given)
    except InvalidExpression as e:
        raise PydanticCustomError("expression", "invalid expression", {"faults": e.faults}) from None


def _form(pattern: str, words: str) -> Any:
    return Field(pattern=pattern, json_schema_extra={"description": words})


def _with_english(message: dict[str, str]) -> dict[str, str]:
    if "en" not in message:
        raise ValueError("the message has no English text: en")
    return message


NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
CODE: Final = r"^[A-Z][A-Z0-9_]{0,63}$"
FACT: Final = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"
PATTERN: Final = r"^[^\s\x00-\x1f\x7f]{1,256}$"

FORMS: Final = {
    NAME: "1 to 128 letters, digits, dots, dashes and underscores, beginning with a letter or digit",
    CODE: "1 to 64 capital letters, digits and underscores, beginning with a letter",
    FACT: "1 to 64 letters, digits, dashes and underscores, beginning with a letter",
    PATTERN: "1 to 256 characters without blanks",
    f"^{LOCALE.pattern}$": "a language tag such as en or zh-CN",
}
"""What each pattern asks for, in words."""

NameText = Annotated[str, _form(NAME, FORMS[NAME])]
CodeText = Annotated[str, _form(CODE, FORMS[CODE])]
FactText = Annotated[str, _form(FACT, FORMS[FACT])]
PatternText = Annotated[str, _form(PATTERN, "A name, or a pattern in which * stands for any characters and ? for one.")]
PlainText = Annotated[str, _form(PATTERN, "A name as it is, without patterns.")]
LanguageText = Annotated[str, _form(f"^{LOCALE.pattern}$", "A language tag such as en or zh-CN.")]

PeriodText = Annotated[Period, *_read(period, _no_names(PERIOD.pattern), "An ISO 8601 period.", "P3M", "P30D")]
CutText = Annotated[
    Period, *_read(cut_length, _no_names(PERIOD.pattern), "An ISO 8601 period; negative: before.", "P14D", "-P7D")
]
DurationText = Annotated[int, *_read(duration, DURATION.pattern, "An exact duration.", "PT5M", "PT24H")]
NearText = Annotated[int, *_read(partial(percent, low=1, high=100), PERCENT.pattern, "1% to 100%.", "90%")]
OverText = Annotated[int, *_read(partial(percent, low=0, high=1000), PERCENT.pattern, "0% to 1000%.", "10%")]
MessageText = Annotated[str, AfterValidator(template)]
_EXAMPLE: Final = {"en": "Release {excess}.", "zh-CN": "请减少 {excess} 个。"}
Message = Annotated[
    dict[LanguageText, MessageText],
    AfterValidator(_with_english),
    Field(json_schema_extra={"required": ["en"], "examples": [_EXAMPLE]}),
]
ConditionText = Annotated[
    CelCondition,
    PlainValidator(_condition),
    WithJsonSchema({"type": "string", "description": "A CEL expression that is true or false.", "maxLength": 4096}),
]

Lax = Strict(False)
"""Enumerations are given by their text."""


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


def _some(description: str) -> Any:
    return Field(default=None, min_length=1, description=description)


def _maybe(description: str, alias: str | None = None) -> Any:
    return Field(default=None, description=description, alias=alias)


class MetadataShape(_Shape):
    """What a policy is called."""

    name: NameText = Field(description="Unique in the set of policies; shown in answers.")
    description: str | None = _maybe("For people.")


class AppliesToShape(_Shape):
    """Whom a policy is for. Of several kinds given all must hold; of one kind, any value. Empty: everyone."""

    editions: list[PlainText] | None = _some("Tenants of one of these editions.")
    tags: list[PlainText] | None = _some("Tenants with one of these tags.")
    tenants: list[PlainText] | None = _some("These tenants.")


class TermsShape(_Shape):
    """Terms; each replaces that of more general policies."""

    grace: PeriodText | None = _maybe("How long after its end a key is in GRACE. Default P3M.")
    expiring_soon: PeriodText | None = _maybe("How long before the coverage end expiring_soon holds. Default P30D.")
    near_quota: NearText | None = _maybe("From which part of the limit on near_quota holds. Default 90%.")
    overage: OverText | None = _maybe("By how much every limit is stretched, rounded down. Default 0%.")


class FreshnessShape(_Shape):
    """How old the data may be; each replaces that of more general policies."""

    stale_after: DurationText | None = _maybe("Since the last contact with the store, until STALE. Default PT5M.")
    blind_after: DurationText | None = _maybe("Since the last contact with the store, until BLIND. Default PT24H.")


class CutShape(_Shape):
    """A fact of the policy's own that holds during a stretch of time."""

    from_: Annotated[CutFrom, Lax] = Field(alias="from", description="The instant it is counted from.")
    for_: CutText = Field(alias="for", description="How long from there; negative: how long before.")


class ReasonShape(_Shape):
    """A reason for denials beyond the built-in ones."""

    class_: Annotated[ReasonClass, Lax] = Field(alias="class", description="What kind of thing denies.")
    retry: Annotated[Retry, Lax] = Field(description="When asking again can help.")
    remedies: list[Annotated[Remedy, Lax]] | None = _some("What would lift it. Default: contact.")
    message: Message = Field(description="For people, by language; en is needed.")


class WarningShape(_Shape):
    """A warning that an allowed answer shows."""

    code: CodeText = Field(description="For programs.")
    message: Message = Field(description="For people, by language; en is needed.")


class RuleShape(_Shape):
    """One rule. All matchers given must hold; one left out holds always."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                {"anyOf": [{"required": ["effect"]}, {"required": ["warnings"]}]},
                {"anyOf": [{"required": ["actions"]}, {"required": ["action_groups"]}]},
                {
                    "if": {"properties": {"effect": {"const": "deny"}}, "required": ["effect"]},
                    "then": {"required": ["reason"]},
                },
            ]
        }
    )

    id: NameText = Field(description="Unique in the set of policies.")
    description: str | None = _maybe("For people.")
    actions: list[PatternText] | None = _some("Actions, by name or pattern; adds to action_groups.")
    action_groups: list[Annotated[Group, Lax]] | None = _some("Groups of actions; adds to actions.")
    keys: list[PatternText] | None = _some("Resource kinds, by name or pattern; a question without one never matches.")
    status: list[Annotated[Status, Lax]] | None = _some("Status of the tenant.")
    phase: list[Annotated[Phase, Lax]] | None = _some("Phase of the key.")
    standing: list[Annotated[Standing, Lax]] | None = _some("Standing of the account.")
    licensed: bool | None = _maybe("Whether the space asked about is licensed.")
    seat: list[Annotated[Seated, Lax]] | None = _some("Where the user stands among the seats.")
    usage: list[Annotated[Used, Lax]] | None = _some("What exists, against the limit.")
    room: list[Annotated[Room, Lax]] | None = _some("Whether what is asked for would fit.")
    window: list[Annotated[Booked, Lax]] | None = _some("The booking window, against the coverage end.")
    freshness: list[Annotated[Freshness, Lax]] | None = _some("How old the data may be.")
    expiring_soon: bool | None = _maybe("Whether coverage ends within the term expiring_soon.")
    near_quota: bool | None = _maybe("Whether what is asked for comes near the limit.")
    cuts: dict[FactText, bool] | None = _some("Cuts, and whether each must hold.")
    judge_by: FactText | None = _maybe("A key group: usage, room and near_quota are judged over its sum.")
    when: ConditionText | None = _maybe("An expression that must hold as well.")
    effect: Annotated[Effect, Lax] | None = _maybe("The verdict; left out: the rule only warns.")
    reason: CodeText | None = _maybe("Why it denies: a built-in reason or one under reasons.")
    message: Message | None = _maybe("For people, by language. Default: the reason's.")
    remedies: list[Annotated[Remedy, Lax]] | None = _maybe("What would lift the denial. Default: the reason's.")
    warnings: list[WarningShape] | None = _some("Shown by an answer that allows.")


class SpecShape(_Shape):
    """What the policy says."""

    applies_to: AppliesToShape = Field(default_factory=AppliesToShape, description="Whom it is for. Default: everyone.")
    terms: TermsShape = Field(default_factory=TermsShape, description="By what time and quota are judged.")
    freshness: FreshnessShape = Field(default_factory=FreshnessShape, description="When data is too old.")
    key_groups: dict[FactText, Annotated[list[PlainText], Field(min_length=1)]] = Field(
        default_factory=dict, description="Keys to judge together, by a name unique in the set of policies."
    )
    cuts: dict[FactText, CutShape] = Field(
        default_factory=dict, description="Facts of the policy's own, by a name unique in the set of policies."
    )
    reasons: dict[CodeText, ReasonShape] = Field(default_factory=dict, description="Reasons beyond the built-in ones.")
    overrides: list[NameText] = Field(
        default_factory=list, description="Rules of more general policies that do not hold where this one applies."
    )
    rules: list[RuleShape] = Field(default_factory=list, description="The rules, in order.")


class PolicyDocument(_Shape):
    """A deskgate policy."""

    api_version: Literal["deskgate/v1"] = Field(alias="apiVersion")
    kind: Literal["Policy"]
    metadata: MetadataShape
    spec: SpecShape


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a policy file, for editors."""
    schema: dict[str, Any] = _tidy(PolicyDocument.model_json_schema(by_alias=True))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text() -> str:
    """The JSON Schema as it is in policies/policy.schema.json."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _tidy(part: Any) -> Any:
    """A schema without null, as what is not given is left out; and without titles, which only repeat names."""
    if isinstance(part, list):
        return [_tidy(p) for p in part]
    if not isinstance(part, dict):
        return part
    kept = {k: _tidy(v) for k, v in part.items() if not (k == "default" and v is None) and not _is_title(k, v)}
    options = [p for p in kept.pop("anyOf", []) if p != {"type": "null"}]
    if len(options) > 1:
        kept["anyOf"] = options
    return {**(options[0] if len(options) == 1 else {}), **kept}


def _is_title(key: str, value: object) -> bool:
    return key == "title" and isinstance(value, str)
