"""The number: its registration, how it fares at the Cloud API, and what is in doubt or held."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import msgspec

from warouter.cloud_number import FIRST, NumberCloud
from warouter.cloud_settings import CloudSettings
from warouter.config import Settings
from warouter.console.context import ConsoleContext
from warouter.console.form import Form
from warouter.console.page import Act, Page
from warouter.console.pages.doubts import MOST_SHOWN, NUMBER, read_listing
from warouter.console.render import mask
from warouter.console.visit import ConsoleRefusal, Done, ReadingKey, Visitor
from warouter.errors import ConfigError
from warouter.flow.causes import CAUSES
from warouter.store.views.doubts import CloudStatus, read_cloud
from warouter.store.views.number_status import NumberFacts, NumberStatus
from warouter.store.views.setup.registration_status import read_registration
from warouter.store.views.twice import read_twice
from warouter.upstream.cloud.check.step import CheckStep, StepResult
from warouter.upstream.cloud.check.walk import walk
from warouter.upstream.cloud.secrets import Secrets

PATH = NUMBER
LAST, RUNNING = "number check", "number check runs"  # of ``ConsoleContext.kept``
CHECK_SECONDS = 90.0
WARN_DAYS, WARN_VERSION_DAYS = 30, 90
_PHONE = re.compile(r"\+\d[\d ().-]{5,}\d")
SENT, SENT_SECONDS, LEAST_SECONDS = "warouter_messages_sent_total", 60.0, 10.0
END_OF_TIME = 253_402_300_800  # unix s: the year 10000, which no calendar here knows
REFUSED_TOKEN = (0, 190)  # Meta's codes
_LEVELS = {
    StepResult.OK: "good",
    StepResult.WARNING: "warn",
    StepResult.FAILED: "bad",
    StepResult.SKIPPED: "off",
}
_QUALITIES = {"GREEN": "good", "YELLOW": "warn", "RED": "bad"}
_MAY_SEND = {"AVAILABLE": "good", "LIMITED": "warn", "BLOCKED": "bad"}


class Checked(NamedTuple):
    """The last check of this console, and whose it was."""

    at: datetime
    by: str
    steps: list[CheckStep]


class DeadlineText(NamedTuple):
    """Words for something with an end, and how well that is as ``ui.state`` names it."""

    words: str
    level: str
    at: datetime | None = None


async def read(context: ConsoleContext, asked: ReadingKey) -> dict[str, Any]:
    async with context.reading() as connection:
        registration = await read_registration(connection, FIRST)
        cloud = await read_cloud(connection, FIRST)
        twice = await read_twice(connection, MOST_SHOWN) if cloud is not None else None
    now = datetime.now(UTC)
    number = cloud.number if cloud is not None else None
    facts = number.facts if number is not None else None
    doubts = await read_listing(context, asked.query) if cloud is not None else {"options": ""}
    return {
        "registration": registration,
        "certificate": certificate_of(registration.cert_ends, now),
        "cloud": cloud,
        "number": number,
        "facts": facts,
        "sent": sent_per_second(context),
        "quality": _QUALITIES.get(facts.quality, "off") if facts is not None else "off",
        "may_send": _MAY_SEND.get(facts.can_send, "off") if facts is not None else "off",
        "warnings": facts.warnings() if facts is not None else [],
        "token": token_of(facts, cloud, now),
        "version": version_of(number, now.date()),
        **doubts,
        "twice": twice,
        "causes": CAUSES,
        **_check(context),
    }


def sent_per_second(context: ConsoleContext) -> float | None:
    """Over the last minute, or since this console looks; None as long as that is too short."""
    began = context.series.began
    watched = 0.0 if began is None else min(context.clock() - began, SENT_SECONDS)
    if watched < LEAST_SECONDS:
        return None
    return round(context.series.increase(SENT, watched) / watched, 1)


def certificate_of(ends: int | None, now: datetime) -> DeadlineText | None:
    """Say when the number's certificate ends; None if there is none that can be read."""
    if ends is None or not 0 <= ends < END_OF_TIME:
        return None
    return _ending(datetime.fromtimestamp(ends, UTC), now)


def token_of(facts: NumberFacts | None, cloud: CloudStatus | None, now: datetime) -> DeadlineText:
    """Say when the token ends; a stop by it goes before what was known earlier."""
    stopped = cloud.stopped if cloud is not None else None
    if stopped is not None and stopped.code in REFUSED_TOKEN:
        return DeadlineText(f"refused by Meta (code {stopped.code})", "bad")
    if facts is None or facts.token_expires_at is None:
        return DeadlineText("nobody knows when it ends", "off")
    if facts.token_valid is False:
        return DeadlineText("not valid", "bad")
    if not 0 < facts.token_expires_at < END_OF_TIME:
        return DeadlineText("never ends", "good")
    return _ending(datetime.fromtimestamp(facts.token_expires_at, UTC), now)


def version_of(number: NumberStatus | None, today: date) -> DeadlineText | None:
    """Say when the Graph API's version ends; None if nobody has asked yet."""
    name = number.facts.version if number is not None and number.facts is not None else ""
    if number is None or not name:
        return None
    if number.version_ends is None:
        return DeadlineText("of whose end nothing is known", "off")
    days = (date.fromisoformat(number.version_ends) - today).days
    if days <= 0:
        return DeadlineText("has ended", "bad")
    return DeadlineText("ends", "warn" if days < WARN_VERSION_DAYS else "good")


def _ending(at: datetime, now: datetime) -> DeadlineText:
    if at <= now:
        return DeadlineText("has ended", "bad", at)
    return DeadlineText("ends", "warn" if (at - now).days < WARN_DAYS else "good", at)


def cloud_settings(settings: Settings) -> tuple[CloudSettings, NumberCloud]:
    """The Cloud API's settings in this process's environment, and the number there; ConfigError for
    what it lacks.
    """
    cloud = msgspec.structs.replace(settings, upstream="cloud")
    return cloud.cloud, cloud.number_cloud


def _check(context: ConsoleContext) -> Mapping[str, Any]:
    """The last result of the check, or why this console cannot check."""
    lacks = ""
    try:
        cloud_settings(context.settings)
    except ConfigError as error:
        lacks = str(error)
    return {"checked": context.kept.get(LAST), "lacks": lacks, "levels": _LEVELS}


async def check(context: ConsoleContext, visitor: Visitor, _form: Form) -> Done:
    """Take the steps of `warouter cloud check`: nothing is changed, nothing is sent."""
    if context.kept.get(RUNNING):
        raise ConsoleRefusal("Another check is under way: wait for its result.", 409)
    context.kept[RUNNING] = True
    try:
        cloud, of = cloud_settings(context.settings)
        async with asyncio.timeout(CHECK_SECONDS):
            steps = await walk(cloud, of, Secrets(of))
    except ConfigError as error:
        raise ConsoleRefusal(
            f"{error} Run `warouter cloud check` where the variables are."
        ) from error
    except TimeoutError as error:
        raise ConsoleRefusal(
            f"The check took longer than {CHECK_SECONDS:g} s: try again.", 504
        ) from error
    finally:
        del context.kept[RUNNING]
    context.kept[LAST] = Checked(
        datetime.now(UTC), visitor.username, [masked(step) for step in steps]
    )
    return Done(told(steps))


def masked(step: CheckStep) -> CheckStep:
    """The step without the digits of a phone number, as Meta writes them."""

    def hidden(found: re.Match[str]) -> str:
        return mask("".join(filter(str.isdecimal, found[0])))

    return msgspec.structs.replace(
        step, found=_PHONE.sub(hidden, step.found), todo=_PHONE.sub(hidden, step.todo)
    )


def told(steps: list[CheckStep]) -> str:
    """How it went, in a few words."""
    failed = sum(step.failed for step in steps)
    warned = sum(step.result is StepResult.WARNING for step in steps)
    counts = [f"{failed} failed"] if failed else []
    counts += [f"{warned} with a warning"] if warned else []
    return f"{len(steps)} steps" + (f", {' and '.join(counts)}" if counts else ", all right")


PAGES = (Page(PATH, "numbers", "Number", read, key="n"),)
ACTS = (Act(f"{PATH}/check", "check number", check, PATH),)
