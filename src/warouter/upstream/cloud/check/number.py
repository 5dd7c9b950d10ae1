"""The steps of the number and of its throughput. Pure."""

from __future__ import annotations

from warouter.flow.share import STANDARD
from warouter.upstream.cloud.check.step import CheckStep, ended, failed, ok, warning
from warouter.upstream.cloud.graph.described import (
    CONNECTED,
    LEVELS,
    LIMITED,
    VERIFIED,
    NumberFields,
    is_registered,
)
from warouter.upstream.cloud.graph.failed import CallFailed
from warouter.upstream.cloud.graph.health import NAMES

NAME, THROUGHPUT = "phone number", "throughput"
# Statuses of numbers that can be registered; any other is Meta's to change.
_REGISTRABLE = frozenset({"", "DISCONNECTED", "PENDING", "UNKNOWN", "UNVERIFIED"})
_CLOUD = frozenset({"", "CLOUD_API"})


def judge(found: NumberFields, id: str) -> CheckStep:
    """Judge if the number may send now."""
    who = f"{found.number} ({found.name})" if found.name else found.number
    if not found.number and not found.status:
        return failed(NAME, f"{id} is no phone number's id.", _WHICH)
    status = found.status or "without a status"
    if not is_registered(found.status):
        todo = _to_register(found) if found.status in _REGISTRABLE else _MANAGER
        return failed(NAME, f"{who} is {status}, not {CONNECTED}.", todo)
    if found.platform not in _CLOUD:
        return failed(
            NAME, f"{who} is registered with {found.platform}, not here.", _to_register(found)
        )
    if found.can_send == "BLOCKED":
        return failed(NAME, f"{who} cannot send. {_why(found)}", _remedies(found))
    if found.can_send == "LIMITED":
        return warning(NAME, f"{who} can send with limits. {_why(found)}", _remedies(found))
    if doubts := _doubts(found):
        return warning(NAME, f"{who} is {status}; {', '.join(doubts)}.", _MANAGER)
    quality = f", quality {found.quality}" if found.quality else ""
    return ok(NAME, f"{who} is {status}{quality}.")


def judge_refusal(error: CallFailed, id: str) -> CheckStep:
    """Judge the refusal to tell of the number."""
    if error.passing:
        return failed(NAME, f"Meta cannot be asked about it: {ended(error.words)}", "Try again.")
    return failed(
        NAME,
        f"This token is shown no number with the id {id}: {ended(error.words)}",
        f"{_WHICH} Check too that the system user has the account as an asset.",
    )


def judge_throughput(level: str, rate: float | None) -> CheckStep:
    """Judge the number's level; ``rate`` is that of WAROUTER_CLOUD_RATE, None for `auto`."""
    most = LEVELS.get(level, STANDARD)
    if level not in LEVELS:
        return warning(
            THROUGHPUT,
            f"Meta's level {level or '(none)'} is not known here: it is taken for {most:g}"
            " messages/s.",
            "Set WAROUTER_CLOUD_RATE if you know better.",
        )
    found = f"The level {level} is {most:g} messages/s, in and out together"
    if rate is None:
        return ok(THROUGHPUT, f"{found}.")
    if rate > most:
        return warning(
            THROUGHPUT,
            f"{found}, and WAROUTER_CLOUD_RATE is {rate:g}: Meta refuses what is above.",
            "Set it to auto.",
        )
    return ok(THROUGHPUT, f"{found}; WAROUTER_CLOUD_RATE makes {rate:g} of it.")


_WHICH = (
    "Check WAROUTER_CLOUD_PHONE_NUMBER_ID: it is the Phone number ID of the app's page API Setup,"
    " neither the number itself nor the account's id."
)
_MANAGER = "See WhatsApp Manager for what Meta wants."


def _to_register(found: NumberFields) -> str:
    if found.verification == VERIFIED:
        return "Register it with POST /v1/account."
    return "Register it: POST /v1/account has a code sent, POST /v1/account/verify takes it."


def _doubts(found: NumberFields) -> list[str]:
    doubts = []
    if found.status in LIMITED:
        doubts.append("Meta limits it")
    if found.quality in ("RED", "YELLOW"):
        doubts.append(f"its quality is {found.quality}")
    if found.name_status and found.name_status not in NAMES:
        doubts.append(f"its name is {found.name_status}")
    return doubts


def _why(found: NumberFields) -> str:
    """Meta's words about what is wrong, by node."""
    said = []
    for one in found.entities:
        if one.can_send in ("BLOCKED", "LIMITED"):
            words = " ".join([e.description for e in one.errors if e.description] or one.info)
            said.append(f"{one.type} {one.id} is {one.can_send}: {words or 'no reason given.'}")
    return " ".join(said) or "Meta gives no reason."


def _remedies(found: NumberFields) -> str:
    """Meta's advice."""
    said = [error.solution for one in found.entities for error in one.errors if error.solution]
    return " ".join(dict.fromkeys(said)) or _MANAGER
