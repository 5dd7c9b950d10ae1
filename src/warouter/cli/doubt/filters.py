"""Options that choose among the messages in doubt or held, and ids of messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from warouter.errors import CommandError
from warouter.flow.causes import CAUSES
from warouter.message_id import parse
from warouter.store.views.doubt_choice import DoubtChoice, choice_of
from warouter.store.views.doubts import LISTED, STATES

Command = Callable[..., None]
_TIME = "ISO 8601, UTC unless it says another zone, or a span: 90s, 15m, 2h, 1d ago."


def filtered(states: tuple[int, ...] = LISTED) -> Callable[[Command], Command]:
    """Give a command the options of a choice among the messages in these states."""
    names = ", ".join(STATES[state] for state in states)
    options = (
        click.option("--state", multiple=True, metavar="STATE", help=f"Only in one of: {names}."),
        click.option("--to", "number", metavar="NUMBER", help="Only those to this customer."),
        click.option(
            "--since",
            metavar="TIME",
            help=f"Only those in their state since then or later. {_TIME}",
        ),
        click.option(
            "--before",
            metavar="TIME",
            help="Only those in their state since before then. Written as for --since.",
        ),
        click.option("--cause", type=click.Choice(CAUSES), help="Only those of this cause."),
        click.option(
            "--template", metavar="NAME", help="Only those of the template NAME: slow for many."
        ),
        click.option("--slot", metavar="N", help="Only those of this slot."),
    )

    def give(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return give


def chosen(given: Mapping[str, Any], states: tuple[int, ...] = LISTED) -> DoubtChoice:
    """The choice of these options; raises CommandError."""
    try:
        return choice_of(fields_of(given), datetime.now(UTC), states)
    except ValueError as error:
        raise CommandError(str(error)) from error


def fields_of(given: Mapping[str, Any]) -> dict[str, str]:
    """The options as the fields of ``choice_of``."""
    return {
        name: ",".join(value) if isinstance(value, tuple) else value or ""
        for name, value in given.items()
    }


def parsed(text: str) -> bytes:
    """The id of a message; raises CommandError."""
    try:
        return parse(text)
    except ValueError as error:
        raise CommandError(f"{text[:64]!r} is not the id of a message.") from error
