"""The built-in reasons: one meaning, class and retry hint each (domain.md 7). Policies may declare more."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sidecar.core.rules import Reason, ReasonClass, Remedy, Retry

UNKNOWN_TENANT: Final = "UNKNOWN_TENANT"
REVISION_NOT_REACHED: Final = "REVISION_NOT_REACHED"
NO_RULE: Final = "NO_RULE"
POLICY_ERROR: Final = "POLICY_ERROR"

_STATE, _QUOTA, _UNKNOWN, _POLICY = ReasonClass.STATE, ReasonClass.QUOTA, ReasonClass.UNKNOWN, ReasonClass.POLICY
_CHANGE = Retry.AFTER_CHANGE
_R = Remedy

_TABLE: Final = (
    (
        "TENANT_ARCHIVED",
        _STATE,
        _CHANGE,
        (_R.CONTACT,),
        "This company's account was closed. Please contact us.",
        "该企业已停用，请点击“联系我们”。",
    ),
    (
        "TENANT_SUSPENDED",
        _STATE,
        _CHANGE,
        (_R.CONTACT,),
        "This company's account is suspended. Please contact us.",
        "该企业已被暂停使用，请点击“联系我们”。",
    ),
    (
        "NOT_LICENSED",
        _STATE,
        _CHANGE,
        (_R.BUY, _R.CONTACT),
        "There is no license for {key}. To buy one, please contact us.",
        "尚未购买 {key} 的授权。如需购买、续费、增加授权数量，请点击“联系我们”。",
    ),
    (
        "NOT_STARTED",
        _STATE,
        Retry.AFTER_TIME,
        (_R.WAIT,),
        "The license for {key} begins at {until}.",
        "{key} 的授权将于 {until} 开始生效。",
    ),
    (
        "SUBSCRIPTION_EXPIRED",
        _STATE,
        _CHANGE,
        (_R.RENEW, _R.CONTACT),
        "The subscription ended at {term_ends_at}. To renew, please contact us.",
        "订阅已于 {term_ends_at} 到期。如需购买、续费、增加授权数量，请点击“联系我们”。",
    ),
    (
        "GRACE_ENDED",
        _STATE,
        _CHANGE,
        (_R.RENEW, _R.CONTACT),
        "The subscription ended at {term_ends_at}, its grace period at {grace_ends_at}. To renew, please contact us.",
        "订阅已于 {term_ends_at} 到期，宽限期已于 {grace_ends_at} 结束。"
        "如需购买、续费、增加授权数量，请点击“联系我们”。",
    ),
    (
        "ACCOUNT_BLOCKED",
        _STATE,
        _CHANGE,
        (_R.TOP_UP,),
        "The account is blocked for lack of balance. Top up at least {top_up} to go on.",
        "账户余额不足，已被停用。请至少充值 {top_up} 后继续使用。",
    ),
    (
        "SPACE_UNLICENSED",
        _STATE,
        _CHANGE,
        (_R.LICENSE_SPACE,),
        "This space has no license, so it cannot be booked or bound. License it first.",
        "该空间未授权，无法预订或绑定，请先为其分配授权。",
    ),
    (
        "SEAT_NOT_HELD",
        _STATE,
        _CHANGE,
        (_R.ASSIGN_SEAT,),
        "This user has no seat of {key}. Assign one first.",
        "该用户没有 {key} 的席位，请先分配席位。",
    ),
    (
        "OVER_QUOTA",
        _QUOTA,
        _CHANGE,
        (_R.RELEASE, _R.UPGRADE, _R.CONTACT),
        "You have {used} and a license for {limit}. Release {excess}, or contact us to add more.",
        "已有 {used} 个，授权数量为 {limit}，请减少 {excess} 个。如需购买、续费、增加授权数量，请点击“联系我们”。",
    ),
    (
        "QUOTA_REACHED",
        _QUOTA,
        _CHANGE,
        (_R.RELEASE, _R.UPGRADE, _R.CONTACT),
        "You have {used} of {limit}; {quantity} more do not fit, {fits} would. Contact us to add more.",
        "已有 {used} 个，授权数量为 {limit}，无法再增加 {quantity} 个，还可增加 {fits} 个。"
        "如需购买、续费、增加授权数量，请点击“联系我们”。",
    ),
    (
        "BEYOND_TERM",
        _STATE,
        _CHANGE,
        (_R.RENEW, _R.BOOK_WITHIN_TERM),
        "The booking ends after the subscription does, at {term_ends_at}. Renew, or book within the term.",
        "预订结束时间晚于订阅到期时间 {term_ends_at}。请续费或在有效期内预订。",
    ),
    (
        UNKNOWN_TENANT,
        _UNKNOWN,
        Retry.TRANSIENT,
        (_R.RETRY, _R.CONTACT),
        "This company is not known here yet. Try again shortly, or contact us.",
        "暂未找到该企业，请稍后重试或点击“联系我们”。",
    ),
    (
        "DATA_TOO_OLD",
        _UNKNOWN,
        Retry.TRANSIENT,
        (_R.RETRY, _R.CONTACT),
        "The license data here is too old to go by. Try again shortly, or contact us.",
        "授权数据长时间未更新，请稍后重试或点击“联系我们”。",
    ),
    (
        REVISION_NOT_REACHED,
        _UNKNOWN,
        Retry.TRANSIENT,
        (_R.RETRY, _R.CONTACT),
        "The latest change has not arrived here yet. Try again shortly.",
        "最新变更尚未同步，请稍后重试。",
    ),
    (
        NO_RULE,
        _POLICY,
        Retry.NEVER,
        (_R.CONTACT,),
        "No policy allows this. Please contact us.",
        "没有允许该操作的策略，请点击“联系我们”。",
    ),
    (
        POLICY_ERROR,
        _POLICY,
        Retry.NEVER,
        (_R.CONTACT,),
        "A policy could not be applied. Please contact us.",
        "策略执行出错，请点击“联系我们”。",
    ),
)

REASONS: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        code: Reason(
            code=code,
            reason_class=reason_class,
            retry=retry,
            remedies=remedies,
            message=MappingProxyType({"en": english, "zh-CN": chinese}),
        )
        for code, reason_class, retry, remedies, english, chinese in _TABLE
    }
)
"""Code to reason, in the order of domain.md 7."""
