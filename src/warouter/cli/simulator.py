"""``warouter simulator``: runs the stand-in for WhatsApp's servers, and calls its control port."""

from __future__ import annotations

import asyncio
import base64
import json
import mimetypes
import os
import textwrap
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import click

from warouter.errors import CommandError
from warouter.node.runtime import cancel, run, run_until
from warouter.simulator.cloud import facts as cloud_facts
from warouter.simulator.cloud import faults as cloud_faults
from warouter.simulator.cloud import server as cloud_server
from warouter.simulator.cloud.faults import LISTS, CloudFaults
from warouter.simulator.cloud.server import CloudAddresses
from warouter.simulator.control import Addresses
from warouter.simulator.faults import Faults, described
from warouter.simulator.inbound import TYPES
from warouter.simulator.server import serve
from warouter.systemd import Notifier

_TIMEOUT_S = 10.0
_DATA_DIR = Path("warouter-data")


_PORT, _CLOUD_PORT = 6260, 6270


def _switches() -> str:
    native = _listed("Fault switches, with their defaults", described())
    return f"{native}\n\n{_listed('Those of --cloud', cloud_faults.described())}"


def _listed(title: str, switches: list[tuple[str, Any, str]]) -> str:
    lines = [
        textwrap.fill(f"{name} ({json.dumps(default)}): {text}", 76, subsequent_indent="    ")
        for name, default, text in switches
    ]
    return f"{title}:\n\n\b\n" + "\n".join(lines)


@click.group(invoke_without_command=True, epilog=_switches())
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
    number: str,
    given: tuple[str, ...],
) -> None:
    """Stand in for WhatsApp's servers, until interrupted.

    Takes the connections of coreapps, answers messages, issues statuses, delivers inbound messages,
    records what a judge needs, and does what the fault switches ask. All but the authority's key is
    in memory. The control port: GET and DELETE /record, POST /inbound, GET, PUT and DELETE /faults,
    POST /certificates, GET /authority, GET /codes.

    With --cloud it speaks Meta's Graph API instead, drops no repeats, and sends webhooks; ids and
    secrets are those of the variables WAROUTER_CLOUD_PHONE_NUMBER_ID, _WABA_ID, _TOKEN, _APP_SECRET
    and _VERIFY_TOKEN (the secrets also as _FILE).
    """
    if ctx.invoked_subcommand is not None:
        return
    switches = dict(_switch(text) for text in given)
    try:
        if cloud:
            serving = partial(
                cloud_server.serve,
                host,
                _CLOUD_PORT if port is None else port,
                control_port,
                [url for urls in webhook_urls for url in urls.split(",") if url],
                cloud_facts.from_environment(os.environ, number),
                CloudFaults().changed(switches),
                control_names=control_names,
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
                faults=Faults().changed(switches),
            )
        run(partial(_serve_until_told, serving))
    except (OSError, ValueError) as error:
        raise CommandError(f"the simulator cannot start: {error}") from error


def _control_options(command: Any) -> Any:
    url = click.option(
        "--url", help="URL of the control port; by default that of the data directory."
    )
    data_dir = click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        default=_DATA_DIR,
        show_default=True,
        help="Data directory of the running cluster, whose cluster.json names the control port.",
    )
    return url(data_dir(command))


@simulator.command()
@_control_options
@click.option("--from", "sender", required=True, help="The customer's number.")
@click.option("--name", default="", help="The customer's profile name.")
@click.option("--type", "kind", default="text", show_default=True, type=click.Choice(list(TYPES)))
@click.option("--body", help="The text, or the caption.")
@click.option(
    "--file",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The content of a media message.",
)
@click.option("--json", "given", help="The webhook object of the type, as JSON.")
def inject(
    url: str | None,
    data_dir: Path,
    sender: str,
    name: str,
    kind: str,
    body: str | None,
    path: Path | None,
    given: str | None,
) -> None:
    """Deliver an inbound message."""
    message: dict[str, Any] = {"from": sender, "name": name, "type": kind}
    if body is not None:
        message["body"] = body
    if path is not None:
        message |= _content(path)
    if given is not None:
        message[kind] = _parsed(given, "--json")
    _show(_call(_control_url(url, data_dir), "POST", "/inbound", message))


@simulator.command()
@_control_options
@click.option("--ids", is_flag=True, help="Include the ids per recipient, in order of arrival.")
@click.option("--times", is_flag=True, help="Include the arrival time of each of the last ids.")
@click.option("--forget", is_flag=True, help="Start a new record instead of showing this one.")
def record(url: str | None, data_dir: Path, ids: bool, times: bool, forget: bool) -> None:
    """Show the messages that reached the simulator."""
    control_url = _control_url(url, data_dir)
    if forget:
        _show(_call(control_url, "DELETE", "/record"))
    else:
        _show(_call(control_url, "GET", f"/record?ids={ids:d}&times={times:d}"))


@simulator.command()
@_control_options
def codes(url: str | None, data_dir: Path) -> None:
    """Show the registration codes that were sent, as an SMS would."""
    _show(_call(_control_url(url, data_dir), "GET", "/codes"))


@simulator.command(epilog=_switches())
@_control_options
@click.option("--clear", is_flag=True, help="Reset all switches first.")
@click.argument("switches", nargs=-1, metavar="[NAME=VALUE]...")
def faults(url: str | None, data_dir: Path, clear: bool, switches: tuple[str, ...]) -> None:
    """Show the fault switches, set some (repeat=0.1 unknown=491511,491512), or clear all."""
    control_url = _control_url(url, data_dir)
    asked = dict(_switch(text) for text in switches)
    shown = _call(control_url, "DELETE" if clear else "GET", "/faults")
    _show(_call(control_url, "PUT", "/faults", asked) if asked else shown)


async def _serve_until_told(
    serve: Callable[..., Coroutine[Any, Any, None]], stop: asyncio.Event, notifier: Notifier
) -> None:
    def ready(addresses: Addresses | CloudAddresses) -> None:
        _say_ready(addresses)
        notifier.ready("serving")

    serving = asyncio.create_task(serve(ready=ready), name="simulator")
    await run_until(stop, [serving])
    await cancel([serving])


def _say_ready(addresses: Addresses | CloudAddresses) -> None:
    if isinstance(addresses, CloudAddresses):
        click.echo(f"Graph API at {addresses.graph_url}, control port {addresses.control_url}")
        return
    click.echo(
        f"simulator at {addresses.host}:{addresses.port}, services port {addresses.services_port},"
        f" control port {addresses.control_url}"
    )


def _content(path: Path) -> dict[str, str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from error
    found = {"data": base64.b64encode(content).decode()}
    mime = mimetypes.guess_type(path.name)[0]
    return found if mime is None else found | {"mime": mime}


def _switch(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise CommandError(f"give a switch as NAME=VALUE, not {text!r}")
    if name in LISTS and not value.startswith("["):
        return name, [number for number in value.split(",") if number]
    return name, _parsed(value, name)


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise CommandError(f"{what} is not JSON: {text!r}") from error


def _control_url(url: str | None, data_dir: Path) -> str:
    if url is not None:
        return url.rstrip("/")
    file = data_dir / "cluster.json"
    try:
        return str(json.loads(file.read_bytes())["simulator"]["control_url"]).rstrip("/")
    except OSError as error:
        raise CommandError(
            f"{file} cannot be read ({error.strerror}): "
            "give --url, or the --data-dir of a running cluster"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{file} does not name a simulator: give --url") from error


def _call(control_url: str, method: str, path: str, body: object = None) -> Any:
    try:
        request = urllib.request.Request(
            control_url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        # A proxy of the environment cannot reach this machine's loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=_TIMEOUT_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise CommandError(_refusal(error)) from error
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise CommandError(f"no simulator answers at {control_url}: {reason}") from error


def _refusal(error: urllib.error.HTTPError) -> str:
    try:
        return f"the simulator refused: {json.load(error)['error']}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"the simulator refused with HTTP status {error.code}"


def _show(answer: Any) -> None:
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
