"""``warouter simulator inject | record | codes | faults``: calls of a simulator's control port."""

from __future__ import annotations

import base64
import json
import mimetypes
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import click

from warouter.errors import CommandError
from warouter.lab.simulator import switches
from warouter.lab.simulator.inbound import TYPES
from warouter.local.description import NAME, read_description

_TIMEOUT_S = 10.0
_DATA_DIR = Path("warouter-data")


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


@click.command()
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
        message[kind] = switches.value(given, "--json")
    _show(_call(_control_url(url, data_dir), "POST", "/inbound", message))


@click.command()
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


@click.command()
@_control_options
def codes(url: str | None, data_dir: Path) -> None:
    """Show the registration codes that were sent, as an SMS would."""
    _show(_call(_control_url(url, data_dir), "GET", "/codes"))


@click.command(epilog=switches.described())
@_control_options
@click.option("--clear", is_flag=True, help="Reset all switches first.")
@click.argument("given", nargs=-1, metavar="[NAME=VALUE]...")
def faults(url: str | None, data_dir: Path, clear: bool, given: tuple[str, ...]) -> None:
    """Show the fault switches, set some (repeat=0.1 unknown=491511,491512), or clear all."""
    control_url = _control_url(url, data_dir)
    asked = dict(switches.parsed(text) for text in given)
    shown = _call(control_url, "DELETE" if clear else "GET", "/faults")
    _show(_call(control_url, "PUT", "/faults", asked) if asked else shown)


def _content(path: Path) -> dict[str, str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from error
    found = {"data": base64.b64encode(content).decode()}
    mime = mimetypes.guess_type(path.name)[0]
    return found if mime is None else found | {"mime": mime}


def _control_url(url: str | None, data_dir: Path) -> str:
    if url is not None:
        return url.rstrip("/")
    try:
        return str(read_description(data_dir)["simulator"]["control_url"]).rstrip("/")
    except (CommandError, KeyError, TypeError) as error:
        raise CommandError(
            f"{data_dir / NAME} cannot be read, or names no simulator: give --url, or the"
            " --data-dir of a running cluster."
        ) from error


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
