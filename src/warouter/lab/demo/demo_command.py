"""``warouter demo``: a business's day in half a minute, with a failover and a change of shards."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any

import click
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from warouter.errors import CommandError
from warouter.lab.demo.doubts import POLICIES, Doubted
from warouter.lab.demo.run import Demo, DemoPlan, DemoReport
from warouter.lab.demo.scene import Scene, own_cluster, running_cluster, started_ago
from warouter.lab.demo.tally import STATUSES, Tally
from warouter.local.options import EMULATOR, SIMULATOR

SHOW_SECONDS = 0.1
# In short what docs/architecture.md promises with the Cloud API. The run above is judged by the
# first line; the second says what it cannot show.
PROMISES = (
    "Promised: each message ends in a status, and Meta takes it once, in its recipient's order.",
    "Except: one in doubt whose window passes without a status is sent again, and Meta may have it"
    " twice. With `fail` or `hold` it is not sent again.",
)


@click.command()
@click.option("--messages", type=click.IntRange(1, 1_000_000), default=2_000, show_default=True)
@click.option("--recipients", type=click.IntRange(1, 10_000), default=500, show_default=True)
@click.option(
    "--inbound",
    type=click.IntRange(0, 100_000),
    default=200,
    show_default=True,
    help="Number of inbound messages during the run.",
)
@click.option(
    "--rate",
    type=click.FloatRange(1, 10_000),
    default=150.0,
    show_default=True,
    help="Messages offered per second.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Run against the cluster that `warouter up` runs on this data directory.",
)
@click.option(
    "--webhook-host",
    default="127.0.0.1",
    show_default=True,
    metavar="HOST",
    help="Name or address of this machine for coreapps, which call the demo's webhook.",
)
@click.option(
    "--upstream",
    type=click.Choice([EMULATOR, SIMULATOR]),
    show_default=EMULATOR,
    help="The door of the simulator that the demo's own cluster sends through.",
)
@click.option("--keep", is_flag=True, help="Keep the data directory of the demo's own cluster.")
@click.option(
    "--since",
    type=float,
    hidden=True,
    help="Unix time from which the first message is timed: `make demo` gives its own start.",
)
def demo(
    data_dir: Path | None,
    upstream: str | None,
    keep: bool,
    since: float | None,
    **traffic: Any,
) -> None:
    """Send messages through a failover and a change of shards, and count the results.

    Starts a cluster of its own, unless --data-dir names a running one, and acts as a business over
    its HTTP API. On the way it kills a coreapp that owns slots, starts two more, and sets shards
    to the next greater count. Of a cluster whose processes run in other containers it kills and
    starts none. A running cluster gets its webhook, status switches and shards back afterwards.
    Exit code 0 only if nothing was lost, repeated or reordered, and nothing is in doubt any more.
    """
    ago = started_ago() if since is None else time.time() - since
    started_at = time.monotonic() - ago
    if data_dir is None and os.environ.get("WA_DB_HOSTNAME"):
        raise CommandError(
            "WA_DB_HOSTNAME is set, and the demo's own cluster brings its own PostgreSQL:"
            " unset it, or name a running cluster with --data-dir."
        )
    if data_dir is not None and upstream is not None:
        raise CommandError(
            "--upstream is for the demo's own cluster: the one of --data-dir has its upstream."
        )
    if data_dir is None:
        scene = own_cluster(upstream or EMULATOR, keep)
    else:
        scene = running_cluster(data_dir)
    uvloop.run(_until_told(_run(scene, DemoPlan(**traffic), started_at)))


async def _until_told(work: Coroutine[None, None, None]) -> None:
    """Run the work until it ends; SIGINT and SIGTERM cancel it in order."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)

    def interrupt() -> None:
        if not task.cancelling():  # a second Ctrl-C must not break off the tidying up
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        await task
    except asyncio.CancelledError:
        raise click.Abort from None


async def _run(
    cluster: AbstractAsyncContextManager[Scene], plan: DemoPlan, started_at: float
) -> None:
    console = Console(highlight=False)
    async with AsyncExitStack() as stack:
        with console.status("starting the cluster"):
            scene = await stack.enter_async_context(cluster)
        click.echo(await scene.about_postgres())
        report = await _shown(console, scene, plan)
        console.print(table(report, plan, started_at))
        for line in PROMISES if report.doubted is not None else ():
            click.echo(line)
        stack.enter_context(console.status("stopping what was started"))
    if not scene.lasting and scene.folder.exists():
        console.print(f"kept: {scene.folder}")
    if report.tally.verdict:
        raise CommandError(report.tally.verdict)


async def _shown(console: Console, scene: Scene, plan: DemoPlan) -> DemoReport:
    """Run the demo under progress bars, with a line for each intervention in the cluster."""
    columns = (TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console) as progress:
        run = Demo(scene, plan, lambda text: progress.console.print(f"[bold]{text}[/]"))
        bars: dict[TaskID, Callable[[], int]] = {
            progress.add_task("accepted", total=plan.messages): lambda: run.accepted,
            progress.add_task("statuses called back", total=plan.messages * len(STATUSES)): (
                lambda: run.called_back
            ),
            progress.add_task("inbound called back", total=plan.inbound): lambda: run.received,
        }
        running = asyncio.create_task(run.run(), name="demo")
        try:
            while not running.done():
                await asyncio.wait([running], timeout=SHOW_SECONDS)
                for bar, count in bars.items():
                    progress.update(bar, completed=count())
            return await running
        finally:
            running.cancel()
            await asyncio.wait([running])


def table(report: DemoReport, plan: DemoPlan, started_at: float) -> Table:
    """The results as a table, with the resolution of each measurement."""
    result = Table(title="warouter demo", title_justify="left")
    for column in ("", "", "how it was counted"):
        result.add_column(column)
    for row in (*_counts(report), *_times(report, plan, started_at)):
        result.add_row(*row)
    return result


Row = tuple[str, str, str]


def _counts(report: DemoReport) -> list[Row]:
    tally = report.tally
    of_all = f"of {tally.accepted}"
    lost = f"messages {tally.lost_messages}, statuses {tally.lost_statuses}"
    return [
        ("accepted", f"{tally.accepted}", "answered 201"),
        *((status, f"{tally.statuses[status]}", f"{of_all}, called back") for status in STATUSES),
        ("inbound received", f"{tally.inbound}", f"of {tally.injected}, called back"),
        ("lost", _marked(tally.lost), f"{lost}, inbound {tally.lost_inbound}"),
        ("repeated", _marked(tally.repeated), "for the recipient"),
        ("out of order", _marked(tally.out_of_order), "per recipient"),
        *(_doubts(report.doubted, tally) if report.doubted is not None else ()),
        ("API errors", f"{tally.errors}", "any answer but 201, or none"),
        ("callbacks repeated", f"{tally.callbacks_again}", "allowed: at least once"),
    ]


def _doubts(doubted: Doubted, tally: Tally) -> list[Row]:
    again, failed, held = (doubted.by(policy) for policy in POLICIES)
    told = doubted.by("status", "lane")
    heard = doubted.by("answer", "operator")
    window = f"sent again {again}, failed {failed}, held {held}"
    return [
        ("in doubt", f"{doubted.total}", "of which nobody knew whether they had been taken"),
        ("  until a status", f"{told}", "named them: they had been taken"),
        ("  until an answer", f"{heard}", "was heard after all"),
        ("  until the window", f"{again + failed + held}", f"was over: {window}"),
        ("  still", _marked(doubted.open), "in the end"),
        ("accepted twice", _marked(tally.twice), "by Meta's side, each a second message"),
    ]


def _times(report: DemoReport, plan: DemoPlan, started_at: float) -> list[Row]:
    fine = f"a slot is seen every {report.spacing:.2f} s"
    before, after = report.shards
    median, slowest = report.answers
    first = report.first_sent_at
    return [
        _failover(report, fine),
        (
            f"pause, shards {before} to {after}",
            _seconds(report.moved_gap),
            f"longest gap of the {report.moved_slots} slots that moved"
            + (f" ({report.moved_unseen} not seen again)" if report.moved_unseen else ""),
        ),
        ("", _seconds(report.unmoved_gap), "longest gap of the others meanwhile"),
        ("set shards", _seconds(report.change_seconds), "the API call, until its 201"),
        ("answer", f"{_seconds(median)}", f"median; the slowest {_seconds(slowest)}"),
        (
            "messages/s",
            f"{report.tally.accepted / report.sending_seconds:.0f}",
            f"accepted while sending; {plan.rate:g}/s were offered",
        ),
        (
            "first message",
            _seconds(None if first is None else first - started_at),
            "from the start of the command (`make demo` counts its build) to its arrival",
        ),
        ("all in all", _seconds(time.monotonic() - started_at), "until this table"),
    ]


def _failover(report: DemoReport, fine: str) -> Row:
    if not report.lost_slots:
        return "failover", "not tried", "the processes run elsewhere, and the demo killed none"
    back = report.lost_slots - report.failover.waiting
    return (
        "failover",
        f"{_seconds(report.failover.first)} to {_seconds(report.failover.last)}",
        f"kill to first message, first to last of {back} of {report.lost_slots} slots; {fine}",
    )


def _marked(count: int) -> str:
    return f"[bold {'red' if count else 'green'}]{count}[/]"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "not seen"
    return f"{seconds * 1000:.0f} ms" if seconds < 0.1 else f"{seconds:.2f} s"
