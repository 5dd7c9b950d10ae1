"""``warouter up``: a whole cluster on this machine, in the foreground."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import click
import uvloop
from rich.console import Console
from rich.panel import Panel

from warouter.config import load, unknown_names
from warouter.local.cluster import Cluster
from warouter.local.container import HERE, listen_address
from warouter.local.counts import cores, webapps_for
from warouter.local.description import NAME
from warouter.local.options import CLOUD, SIMULATOR, UPSTREAMS, UpOptions
from warouter.secret import api_keys
from warouter.upstream.cloud.secrets import Secrets

_NEXT_LINE = "\n" + 11 * " "
NO_CONSOLE = "none: `pip install jinja2` brings it"
NO_NUMBER = "none yet: `warouter cloud check` says why; see POST /v1/account"


@click.command()
@click.option(
    "--shards",
    type=click.Choice(["1", "2", "4", "8", "16", "32"]),
    default="2",
    show_default=True,
    help="Number of shards of a new data directory; change it later through the API.",
)
@click.option(
    "--coreapps", type=click.IntRange(1, 64), show_default="one more than shards, at least 3"
)
@click.option(
    "--webapps",
    type=click.IntRange(1, 16),
    show_default="by cores: one for each four, at least 1",
    help="Number of webapps, which share --port.",
)
@click.option("--masters", type=click.IntRange(1, 8), default=2, show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=9090, show_default=True)
@click.option(
    "--listen",
    metavar="ADDRESS",
    envvar="WEBAPP_HOSTNAME",
    default="",
    show_default="127.0.0.1, in a container 0.0.0.0",
    help="Address of webapps.",
)
@click.option("--no-tls", is_flag=True, help="Plain HTTP instead of a self-signed certificate.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("warouter-data"),
    show_default=True,
)
@click.option(
    "--upstream",
    type=click.Choice(UPSTREAMS),
    default=SIMULATOR,
    show_default=True,
    help="The simulator, by its own protocol (simulator) or by Meta's Cloud API (cloud-simulator),"
    " or the Graph API that WAROUTER_CLOUD_* name (cloud).",
)
def up(
    shards: str, webapps: int | None, listen: str, no_tls: bool, upstream: str, **others: Any
) -> None:
    """Run PostgreSQL, masters, coreapps, webapps, a console and the simulator until Ctrl-C.

    PostgreSQL is the embedded one unless WA_DB_HOSTNAME names another. Other WA_* and WAROUTER_*
    variables hold for all processes (docs/configuration.md).

    With --upstream cloud no simulator runs. Meta has to reach the webapps' listeners of webhooks,
    which are on loopback: WAROUTER_CLOUD_LISTEN sets the port of the first webapp, and the others
    take the next ones. The number is registered as soon as Meta calls it connected, or by
    POST /v1/account.
    """
    kind = "cloud" if upstream == CLOUD else "simulator"
    settings = load({**os.environ, "WAROUTER_UPSTREAM": kind})
    api_keys(settings.api_key_source)  # refused here, not by the first process
    if upstream == CLOUD:
        Secrets(settings.number_cloud)
        for warning in settings.cloud.warnings():
            click.echo(warning, err=True)
    for name in unknown_names(os.environ):
        click.echo(f"{name} is not a warouter variable and is ignored.", err=True)
    options = UpOptions(
        shards=int(shards),
        webapps=webapps or webapps_for(cores()),
        listen=listen_address(listen),
        tls=not no_tls,
        console=True,
        upstream=upstream,
        **others,
    )
    uvloop.run(_run(options))


async def _run(options: UpOptions) -> None:
    console = Console()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    cluster = Cluster(options)
    try:
        with console.status("starting the cluster"):
            await _until(stop, cluster.start())
        if not stop.is_set():
            show_ready(console, cluster)
            await cluster.run(stop)
    finally:
        with console.status("stopping the cluster"):
            await cluster.stop()


async def _until(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Run the work, or cancel it when told to stop."""
    task = asyncio.create_task(work)
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
        return
    await task


def show_ready(console: Console, cluster: Cluster) -> None:
    """Print addresses, credentials and examples; curl lines stay unwrapped, to be copied."""
    insecure = " -k" if cluster.options.tls else ""
    listen = cluster.options.listen
    facts = {
        "url": cluster.url,
        **({"listens on": f"{listen}:{cluster.port}"} if listen != HERE else {}),
        **({"console": cluster.console_url or NO_CONSOLE} if cluster.options.console else {}),
        "user": cluster.user,
        "password": cluster.password,
        "number": " ".join(("+" + n.cc, n.phone_number)) if (n := cluster.number) else NO_NUMBER,
        **({"simulator": cluster.control_url} if cluster.control_port else {}),
        **({"webhooks": _NEXT_LINE.join(cluster.cloud_webhooks)} if cluster.cloud_webhooks else {}),
        "programs": str(cluster.folder / NAME),
    }
    lines = [f"{name:<10} {value}" for name, value in facts.items()]
    console.print(Panel("\n".join(lines), title="warouter is ready", expand=False))
    click.echo(cluster.about_postgres)
    for line in (
        f"TOKEN=$(curl{insecure} -s -u '{cluster.user}:{cluster.password}' -X POST"
        f' {cluster.url}/v1/users/login | sed \'s/.*"token":"\\([^"]*\\).*/\\1/\')',
        f"curl{insecure} -s -X POST {cluster.url}/v1/messages"
        ' -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json"'
        """ -d '{"to":"4915112345678","type":"text","text":{"body":"hello"}}'""",
    ):
        click.echo(line)
