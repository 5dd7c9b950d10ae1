"""The step of the account (WABA): it exists for this token, and the number is its own. Pure."""

from __future__ import annotations

from collections.abc import Set

from warouter.upstream.cloud.check.step import CheckStep, ended, failed, ok
from warouter.upstream.cloud.graph.failed import CallFailed

NAME = "account"


def judge(account: str, name: str, numbers: Set[str], number: str) -> CheckStep:
    """``numbers`` are the ids that it has, ``number`` is ours."""
    who = f"{account} ({name})" if name else account
    if number not in numbers:
        return failed(
            NAME,
            f"Account {who} does not have the number {number}: it has {_others(len(numbers))}.",
            "Check WAROUTER_CLOUD_WABA_ID and WAROUTER_CLOUD_PHONE_NUMBER_ID: they stand together"
            " in WhatsApp Manager.",
        )
    return ok(NAME, f"{who} has the number.")


def _others(count: int) -> str:
    if not count:
        return "none"
    return "one other" if count == 1 else f"{count} others"


def judge_refusal(error: CallFailed, account: str) -> CheckStep:
    """Judge the refusal to tell of the account."""
    if error.passing:
        return failed(NAME, f"Meta cannot be asked about it: {ended(error.words)}", "Try again.")
    return failed(
        NAME,
        f"This token is shown no account {account}: {ended(error.words)}",
        "Check WAROUTER_CLOUD_WABA_ID, that the token has whatsapp_business_management, and that"
        " the system user has the account as an asset.",
    )
