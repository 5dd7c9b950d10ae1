"""``warouter cloud probe``: what Meta's servers do, measured with a number of one's own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex

import click
import uvloop

from warouter import __version__
from warouter.background import wait_for
from warouter.cli.cloud import number_settings
from warouter.cli.nodes import data_dir_option
from warouter.cloud_number import NumberCloud
from warouter.cloud_settings import CloudSettings
from warouter.errors import CommandError
from warouter.flow.pairs import Pairs
from warouter.lab.probe.lab import Lab
from warouter.lab.probe.observed import Observed
from warouter.lab.probe.plan import Times, dry
from warouter.lab.probe.questions import IDS, ProbeScope
from warouter.lab.probe.run import run
from warouter.lab.probe.table import heading, markdown, raw
from warouter.lab.probe.verdicts import rows
from warouter.recipient import wa_id

_MOST_MESSAGES = 10_000
_MOST_PATIENCE = 36 * 3600  # seconds: so long Meta repeats webhooks, says one of its pages
_INTERRUPTED = 130


def _digits(value: str) -> str:
    try:
        return wa_id(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a phone number: {error}") from error


def _one(ctx: click.Context, param: click.Parameter, value: str) -> str:
    return _digits(value) if value else ""


def _several(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_digits(value) for value in values))


def _questions(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    """``Q1,Q12``; all of them without any."""
    wanted = {part.strip().upper() for part in value.split(",") if part.strip()}
    if unknown := wanted - set(IDS):
        names = ", ".join(sorted(unknown))
        raise click.BadParameter(f"{names} is not measured here, but {', '.join(IDS)} are")
    return tuple(one for one in IDS if one in wanted) or IDS


def _new_file(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """Checked before anything is sent: a run costs messages."""
    if value is not None and not value.exists():
        folder = value.absolute().parent
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise click.BadParameter(f"{folder} is no folder in which a file can be made")
    return value


@click.command("probe")
@data_dir_option
@click.option(
    "--to",
    "recipients",
    multiple=True,
    required=True,
    callback=_several,
    help="A phone of yours, with its country code; may be given again. Several are faster.",
)
@click.option("--unreachable", default="", callback=_one, help="A number without WhatsApp, for Q2.")
@click.option(
    "--voice",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A voice note (OGG with Opus) to be played on the first phone, for Q2.",
)
@click.option("--only", default="", callback=_questions, help="Some questions, as Q1,Q12.")
@click.option(
    "--messages",
    type=click.IntRange(1, _MOST_MESSAGES),
    default=40,
    show_default=True,
    help="Texts for Q1, and cut requests for Q3 and Q15.",
)
@click.option(
    "--patience",
    type=click.FloatRange(1, _MOST_PATIENCE),
    default=Times().patience,
    show_default=True,
    help="Seconds for which Q6 waits for repeated webhooks.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    callback=_new_file,
    help="Write every observation to this file, without secrets, ids and numbers.",
)
@click.option("--run", "is_run", is_flag=True, help="Send; without it nothing is.")
@click.option("--yes", is_flag=True, help="Ask nothing before sending.")
def command(
    data_dir: Path | None,
    recipients: tuple[str, ...],
    unreachable: str,
    voice: Path | None,
    only: tuple[str, ...],
    messages: int,
    patience: float,
    json_file: Path | None,
    is_run: bool,
    yes: bool,
) -> None:
    """Measure what Meta's documents do not say, with messages to phones of your own.

    Without --run it says what it would send, what must be true for it and what that may cost; it
    opens no connection. With --run it sends, says on the standard error how far it is, and prints a
    table to paste into an issue; Ctrl-C ends it with what was measured so far.

    Uses the variables WAROUTER_CLOUD_*, or those of a local cluster as the other commands do.
    """
    settings = number_settings(data_dir)
    cloud, of = settings.cloud, settings.number_cloud
    asked = ProbeScope(
        only, recipients, unreachable, messages, voice is not None, sys.stdin.isatty()
    )
    times = Times(patience=patience)
    host, port = cloud.listen
    plan = dry(asked, times, cloud.version, f"{host}:{port}")
    if not is_run:
        click.echo(plan)
        return
    if not yes:
        _confirm(asked, plan)
    observed = _measured(cloud, of, asked, times, voice.read_bytes() if voice else b"")
    _print(observed, asked, cloud, json_file)
    if observed.ended:
        sys.exit(_INTERRUPTED if observed.ended == "interrupted" else 1)


def _confirm(asked: ProbeScope, plan: str) -> None:
    if not asked.person:
        raise CommandError("--run asks before it sends: run it at a terminal, or give --yes.")
    click.echo(plan, err=True)
    click.confirm("\nSend all this now?", abort=True, err=True)


def _measured(
    cloud: CloudSettings, of: NumberCloud, asked: ProbeScope, times: Times, note: bytes
) -> Observed:
    async def measure() -> Observed:
        person = Terminal() if asked.person else None
        lab = Lab(cloud, of, asked, times, token_hex(3), _say, person=person, pairs=Pairs())
        return await run(lab, note)

    # This runner turns the first Ctrl-C into a cancellation, which `run` survives.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measure())


def _print(
    observed: Observed, asked: ProbeScope, cloud: CloudSettings, json_file: Path | None
) -> None:
    found = rows(observed, asked.questions)
    title = heading(observed, __version__, cloud.version)
    click.echo(markdown(title, found))
    if json_file is None:
        return
    try:
        json_file.write_bytes(raw(title, found, observed))
    except OSError as error:
        raise CommandError(
            f"{json_file} cannot be written ({error.strerror}): the table above is all that is left"
            " of the run."
        ) from error


def _say(words: str) -> None:
    click.echo(words, err=True)


class Terminal:
    """Whoever sits at the standard input: a ``lab.Person``."""

    async def count(self, question: str, seconds: float) -> int | None:
        click.echo(question, err=True, nl=False)
        loop, answered = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(sys.stdin.fileno(), answered.set)
        try:
            await wait_for(answered, seconds)
        finally:
            loop.remove_reader(sys.stdin.fileno())
        text = sys.stdin.readline().strip() if answered.is_set() else ""
        return int(text) if text.isascii() and text.isdigit() else None
