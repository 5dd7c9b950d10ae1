"""``warouter simulator``: runs the stand-in for WhatsApp's servers, behind either of its doors."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from warouter.errors import CommandError
from warouter.lab.simulator import control_commands, switches
from warouter.lab.simulator.cloud import facts as cloud_facts
from warouter.lab.simulator.cloud import server as cloud_server
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.server import CloudAddresses
from warouter.lab.simulator.control import Addresses
from warouter.lab.simulator.faults import Faults
from warouter.lab.simulator.server import serve
from warouter.node.runtime import cancel, run, run_until
from warouter.systemd import Notifier

_PORT, _CLOUD_PORT = 6260, 6270
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(invoke_without_command=True, epilog=switches.described())
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address that coreapps connect to."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"Port for coreapps; {_PORT} by default, {_CLOUD_PORT} with --cloud.",
)
@click.option(
    "--control-port",
    default=6261,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port of the control API (JSON over HTTP), on loopback only.",
)
@click.option(
    "--control-name",
    "control_names",
    multiple=True,
    help="Another host name that requests to the control port may use; loopback always works.",
)
@click.option(
    "--services-port",
    default=6262,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port of the media, contact and registration services (HTTP) for coreapps and webapps.",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory for the authority's key, so that certificates survive a restart.",
)
@click.option(
    "--cloud", is_flag=True, help="Stand in for Meta's Cloud API: Graph API and webhooks."
)
@click.option(
    "--webhook-url",
    "webhook_urls",
    multiple=True,
    help="With --cloud: where webhooks are sent; several, also with commas between, in turn.",
)
@click.option(
    "--tls",
    "tls",
    nargs=2,
    type=_FILE,
    metavar="CERT KEY",
    help="With --cloud: serve the Graph API over TLS.",
)
@click.option(
    "--client-tls",
    "client_tls",
    nargs=2,
    type=_FILE,
    metavar="CERT KEY",
    help="With --cloud: the certificate that webhooks show to a listener that asks for one.",
)
@click.option("--number", default="", help="With --cloud: the number of the business.")
@click.option(
    "--fault",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="A fault switch from the start; may be repeated.",
)
@click.pass_context
def simulator(
    ctx: click.Context,
    host: str,
    port: int | None,
    control_port: int,
    control_names: tuple[str, ...],
    services_port: int,
    data_dir: Path | None,
    cloud: bool,
    webhook_urls: tuple[str, ...],
    tls: tuple[Path, Path] | None,
    client_tls: tuple[Path, Path] | None,
    number: str,
    given: tuple[str, ...],
) -> None:
    """Stand in for WhatsApp's servers, until interrupted.

    Takes the connections of coreapps, answers messages, issues statuses, delivers inbound messages,
    records what a judge needs, and does what the fault switches ask. All but the authority's key is
    in memory. The control port: GET and DELETE /record, POST /inbound, GET, PUT and DELETE /faults,
    POST /certificates, GET /authority, GET /codes, GET /switches.

    With --cloud it speaks Meta's Graph API instead, drops no repeats, and sends webhooks; ids and
    secrets are those of the variables WAROUTER_CLOUD_PHONE_NUMBER_ID, _WABA_ID, _APP_ID, _TOKEN,
    _APP_SECRET and _VERIFY_TOKEN (the secrets also as _FILE).
    """
    if ctx.invoked_subcommand is not None:
        return
    asked = dict(switches.parsed(text) for text in given)
    try:
        if cloud:
            serving = partial(
                cloud_server.serve,
                host,
                _CLOUD_PORT if port is None else port,
                control_port,
                _webhook_urls(webhook_urls),
                cloud_facts.from_environment(os.environ, number),
                CloudFaults().changed(asked),
                control_names=control_names,
                tls=tls_context(ssl.PROTOCOL_TLS_SERVER, tls),
                client_tls=tls_context(ssl.PROTOCOL_TLS_CLIENT, client_tls),
            )
        else:
            serving = partial(
                serve,
                host,
                _PORT if port is None else port,
                control_port,
                services_port,
                data_dir=data_dir,
                control_names=control_names,
                faults=Faults().changed(asked),
            )
        run(partial(_serve_until_told, serving))
    except (OSError, ValueError) as error:
        raise CommandError(f"the simulator cannot start: {error}") from error


for _command in (
    control_commands.inject,
    control_commands.record,
    control_commands.codes,
    control_commands.faults,
):
    simulator.add_command(_command)


async def _serve_until_told(
    serve: Callable[..., Coroutine[Any, Any, None]], stop: asyncio.Event, notifier: Notifier
) -> None:
    def ready(addresses: Addresses | CloudAddresses) -> None:
        _say_ready(addresses)
        notifier.ready("serving")

    serving = asyncio.create_task(serve(ready=ready), name="simulator")
    await run_until(stop, [serving])
    await cancel([serving])


def _webhook_urls(given: Sequence[str]) -> list[str]:
    """The URLs, several of which may be in one text; ValueError for what is not one."""
    found = [url for urls in given for url in urls.split(",") if url]
    for url in found:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"--webhook-url {url!r} is not an http or https URL")
    return found


def tls_context(protocol: int, files: tuple[Path, Path] | None) -> ssl.SSLContext | None:
    """A context with a certificate; what the other side shows is not checked."""
    if files is None:
        return None
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(*files)
    return context


def _say_ready(addresses: Addresses | CloudAddresses) -> None:
    if isinstance(addresses, CloudAddresses):
        click.echo(f"Graph API at {addresses.graph_url}, control port {addresses.control_url}")
        return
    click.echo(
        f"simulator at {addresses.host}:{addresses.port}, services port {addresses.services_port},"
        f" control port {addresses.control_url}"
    )
