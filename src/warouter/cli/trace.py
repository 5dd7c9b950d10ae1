"""``warouter trace``: the state of one message, from the database."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from warouter.cli.database import ask, cluster_option
from warouter.errors import CommandError
from warouter.store.views.attempts import Attempts
from warouter.store.views.messages.shown import read_shown
from warouter.store.views.status import numbered
from warouter.store.views.trace import Callback, Step, Trace

APPLICATION = "warouter trace"


@click.command()
@cluster_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.argument("message_id")
def trace(data_dir: Path | None, as_json: bool, message_id: str) -> None:
    """Show the state of a message, outgoing or inbound, with every step and its time.

    Nothing of the message's content is shown.
    """
    found = ask(data_dir, APPLICATION, lambda connection: read_shown(connection, message_id))
    if found is None:
        raise CommandError(
            f"There is no message {message_id[:64]!r}, or it is no longer kept:"
            " check the id, and WAROUTER_RETENTION."
        )
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    for line in lines_of(found):
        click.echo(line)


def lines_of(found: Trace) -> list[str]:
    """A trace as a terminal shows it."""
    side = "to" if found.direction == "outgoing" else "from"
    facts = [
        ("message", f"{found.id} ({found.direction}, {found.kind}) {side} {found.recipient}"),
        ("state", found.state),
        ("place", f"slot {found.slot}, shard {found.shard}, owner {found.owner or 'nobody'}"),
        ("epoch", numbered(found.epoch)),
    ]
    if found.ttl is not None:
        facts.append(("ttl", f"{found.ttl} s"))
    if found.cloud is not None:
        facts += _of_attempts(found.cloud)
    steps = [f"{step.at or '':<24}  {_step(step)}{_then(step, found)}" for step in found.steps]
    return [*(f"{name:<9}{fact}" for name, fact in facts), "", *map(str.rstrip, steps)]


def _of_attempts(cloud: Attempts) -> list[tuple[str, str]]:
    facts = [("attempts", f"{cloud.attempts}, {cloud.state.replace('_', ' ')}")]
    if cloud.doubt is not None:
        facts.append(("doubt", f"since {cloud.doubt.since}, by {cloud.doubt.cause}"))
    if cloud.held is not None:
        facts.append(("held", f"since {cloud.held}: end it with `warouter doubt resend` or `fail`"))
    facts += [
        ("taken", f"attempt {each.attempt} at {each.at} as {each.wamid}") for each in cloud.evidence
    ]
    if cloud.duplicates:
        facts.append(("twice", f"{cloud.duplicates} taken beside the first: they are duplicates"))
    return facts


def _step(step: Step) -> str:
    words = [step.step, *_more(step)]
    if step.callback is not None:
        state = ", ".join((step.callback.state, *_more(step.callback)))
        words.append(f"callback {state}")
    return ", ".join(words)


def _then(step: Step, found: Trace) -> str:
    """The owner at that time, where it was another one, or another of its epochs."""
    if step.epoch is None or (step.owner, step.epoch) == (found.owner, found.epoch):
        return ""
    return f" (owner {step.owner or 'nobody'}, epoch {numbered(step.epoch)})"


def _more(part: Step | Callback) -> list[str]:
    words = []
    if part.attempts:
        words.append(f"attempt {part.attempts}")
    if part.due_in_s is not None and part.due_in_s >= 0.5:
        words.append(f"due in {part.due_in_s:.0f} s")
    if part.reason:
        words.append(part.reason)
    if isinstance(part, Callback) and part.letter:
        words.append(f"deliver it again with `warouter callbacks replay {part.letter}`")
    return words
