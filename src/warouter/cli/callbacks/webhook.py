"""``warouter callbacks failures``, ``test`` and ``retry``: how the webhook does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from rich.table import Table
from rich.text import Text

from warouter.cli.database import ask, cluster_option, console, operator, table
from warouter.cloud_number import FIRST
from warouter.errors import CommandError
from warouter.store.account import callback_requests
from warouter.store.database import Connection
from warouter.store.views.webhook_status import (
    MOST_FAILURES,
    CallbackTrial,
    FailedPost,
    KindStatus,
    WebhookStatus,
    read_webhook,
)

APPLICATION = "warouter callbacks"
# A POST ends after 15 s, and is reported within 5 s.
TEST_SECONDS, LOOK_SECONDS = 25.0, 0.5


@click.command()
@cluster_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--limit", type=click.IntRange(1, MOST_FAILURES), default=MOST_FAILURES, show_default=True
)
def failures(data_dir: Path | None, as_json: bool, limit: int) -> None:
    """Show how the webhook does, and the last POSTs that failed, newest first.

    Coreapps keep the last hour and their last 100 failures in memory: both end with the process.
    """
    found = ask(data_dir, APPLICATION, lambda connection: read_webhook(connection, FIRST, limit))
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    click.echo("\n".join(_summary(found)))
    if found.failures:
        console().print(_failures(found.failures))


@click.command()
@cluster_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def test(data_dir: Path | None, as_json: bool) -> None:
    """Have every coreapp send a test callback to the webhook, and show how it ended.

    It is signed like any other, and holds no event: {"statuses": [], "test": {...}}. The command
    fails unless every coreapp is answered 2xx.
    """
    found, coreapps = ask(data_dir, APPLICATION, _try_out)
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        console().print(_trials(found))
    if len(found) < coreapps:
        raise CommandError(f"Only {len(found)} of {coreapps} coreapps said how their test ended.")
    if any(one.result != "success" for one in found):
        raise CommandError("The webhook did not take every test callback.")


@click.command()
@cluster_option
def retry(data_dir: Path | None) -> None:
    """Have the coreapps try at once what the webhook has refused, and what waits for it.

    For a receiver that is mended: otherwise what was refused is sent again when its back-off is
    over, up to 15 minutes by default. What is refused once more waits longer.
    """
    found = ask(data_dir, APPLICATION, _retry)
    parked = sum(one.parked for one in found.kinds)
    click.echo(
        f"{found.coreapps:,} coreapps try at once what waits: {parked:,} parked callbacks,"
        f" {found.waits - parked:,} others"
    )


async def _try_out(connection: Connection) -> tuple[list[CallbackTrial], int]:
    """Ask for one test: the words of the coreapps, and how many there are."""
    if not (await read_webhook(connection, FIRST, 0)).coreapps:
        raise CommandError("No coreapp runs: only these send callbacks.")
    name = await callback_requests.ask_test(connection, *operator())
    ends = time.monotonic() + TEST_SECONDS
    while True:
        read = await read_webhook(connection, FIRST, 0)
        found = [one for one in read.trials if one.name == name]
        if len(found) >= read.coreapps or time.monotonic() > ends:
            return found, read.coreapps
        await asyncio.sleep(LOOK_SECONDS)


async def _retry(connection: Connection) -> WebhookStatus:
    """Ask for a retry, and return what waited then."""
    found = await read_webhook(connection, FIRST, 0)
    if found.why_no_retry:
        raise CommandError(found.why_no_retry)
    await callback_requests.ask_retry(connection, *operator())
    return found


def _summary(found: WebhookStatus) -> list[str]:
    secrets = f"{found.secrets} secrets" if found.secrets != 1 else "1 secret"
    since = f" since {found.secrets_at}" if found.secrets and found.secrets_at else ""
    return [
        f"webhook   {found.url or 'none is set'}, {secrets}{since}",
        *_registered(found.headers),
        *(f"{one.kind:<9} {_of_kind(one)}" for one in found.kinds),
        *(
            f"outage    {one.kind} of {one.node} since {one.since}"
            + (", one event at a time is tried" if one.probing else "")
            for one in found.outages
        ),
    ]


def _registered(headers: Sequence[str] | None) -> list[str]:
    """The header fields that a client of 360dialog's dialect has set, if one has."""
    if headers is None:
        return []
    return [f"headers   {', '.join(headers) or 'none'}; one event a callback"]


def _of_kind(one: KindStatus) -> str:
    posts = one.taken + one.failed
    said = f"{posts:,} POSTs in the last hour"
    if posts:
        said += (
            f", {100 * one.taken / posts:.1f} % taken, half within {one.half_ms} ms,"
            f" 95 % within {one.most_ms} ms"
        )
    said += f"; {one.waiting:,} waiting, {one.parked:,} parked"
    if one.oldest:
        said += f", the oldest since {one.oldest}"
    return f"{said}; {one.dead:,} dead letters, {one.asked:,} asked for"


def _failures(found: Sequence[FailedPost]) -> Table:
    listed = table("at", "kind", "result", ">ms", "message", ">events", "coreapp", "answer")
    for one in found:
        listed.add_row(
            one.at,
            one.kind,
            str(one.status or one.result),
            str(one.took_ms),
            Text(one.message),
            str(one.others + 1),
            one.node,
            Text(one.answer),
        )
    return listed


def _trials(found: Sequence[CallbackTrial]) -> Table:
    listed = table("coreapp", "at", "result", ">ms", "answer")
    for one in found:
        result = str(one.status or one.result)
        listed.add_row(one.node, one.at, result, str(one.took_ms), Text(one.answer))
    return listed
