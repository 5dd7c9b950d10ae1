"""``warouter healthcheck``: whether the processes of this host can work, as an exit code."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import click

from warouter.errors import CommandError
from warouter.net.health import FoundProcess, ProcessHealth, ask

ROLES = ("webapp", "coreapp", "master", "console")
# A webapp holds a request for as long, unless WAROUTER_HOLD says otherwise.
SILENT_SECONDS = 10.0
GET_SECONDS = 2.0
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@click.command()
@click.option(
    "--role",
    type=click.Choice(ROLES),
    help="Look at these only; otherwise at every process of this host.",
)
@click.option(
    "--at-least",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="So many of them must run.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Look at the cluster that `warouter up` runs on this data directory, and at all of it.",
)
def healthcheck(role: str | None, at_least: int, data_dir: Path | None) -> None:
    """Exit with 0 if the processes of this host, or of this container, can work, and with 1 if not.

    Each of them is asked through a socket of this host: it must answer, have registered, and have
    heard from the database within the last 10 seconds. A secondary is healthy. A webapp or a
    console must answer GET / as well. Needs no variable, no login and no rights. Believed are
    processes of the account that asks, of root and of warouter.
    """
    pids = None
    if data_dir is not None:
        pids = _pids(data_dir, role)
        at_least = max(at_least, len(pids))
    asked = ask(role or "", pids)
    found = [one for one in asked if one.stranger is None]
    wrong = [said for one in found if (said := trouble(one))]
    if len(found) < at_least:
        wrong.append(f"{_count(len(found), role)} found on this host, and {at_least} expected")
        wrong += sorted({_left_out(one.stranger) for one in asked if one.stranger is not None})
    if wrong:
        click.echo(f"unhealthy: {'; '.join(wrong)}")
        sys.exit(1)
    shown = sorted(f"{a.health.name} ({a.health.status})" for a in found if a.health)
    click.echo(f"healthy: {', '.join(shown)}")


def _left_out(uid: int) -> str:
    return f"processes of uid {uid} were not asked: check them as that account"


def _pids(data_dir: Path, role: str | None) -> set[int]:
    """The processes of a local cluster that can be asked."""
    from warouter.local.description import read_description  # which a container need not load

    listed = read_description(data_dir).get("processes", [])
    roles = [role] if role else ROLES
    pids = {process["pid"] for process in listed if process["role"] in roles}
    if not pids:
        raise CommandError(f"No cluster runs on {data_dir}: start `warouter up` first.")
    return pids


def trouble(asked: FoundProcess) -> str:
    """Why a process cannot work, as a clause; "" if it can."""
    said = asked.health
    if said is None:
        which = f"{asked.role} with pid {asked.pid}" if asked.pid else f"a {asked.role}"
        return f"{which} does not answer: its loop hangs, or it is stopped"
    if said.stopping:
        return f"{said.name} is stopping"
    if said.beat_s is None or not said.status:
        return f"{said.name} is starting"
    if said.beat_s > SILENT_SECONDS:
        return f"{said.name} has had no answer from the database for {said.beat_s:.0f} s"
    if said.problem:
        return f"{said.name} cannot write its journals ({said.problem})"
    return _unserved(said)


def _unserved(said: ProcessHealth) -> str:
    """Why a webapp or a console does not serve at its port."""
    if said.listens is None:
        return ""
    host, port, tls = said.listens
    where = f"{said.name} at port {port}"
    try:
        answer = _get(ANY_ADDRESS.get(host, host), port, tls)
    except OSError as error:
        return f"{where} does not answer GET / ({error})"
    return "" if answer.startswith(b"HTTP/1.") else f"{where} does not speak HTTP"


def _get(host: str, port: int, tls: bool) -> bytes:
    with socket.create_connection((host, port), GET_SECONDS) as sock:
        if not tls:
            sock.sendall(GET)
            return sock.recv(16)
        import ssl  # which the other roles need not load

        # To this very process: its certificate is for the names that clients use.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(sock) as wrapped:
            wrapped.sendall(GET)
            return wrapped.recv(16)


def _count(number: int, role: str | None) -> str:
    one, more = (role, f"{role}s") if role else ("process", "processes")
    return f"{number or 'no'} {one if number < 2 else more}"
