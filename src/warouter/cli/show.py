"""``warouter show``: how the cluster is set up, as the console's pages of the same names show it.

number    the registered number, and how it fares at the Cloud API
settings  variables of the processes, where they differ, and the settings of the API
media     what is kept, what waits, and what could not be fetched
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
from rich.console import Group
from rich.table import Table
from rich.text import Text

from warouter.cli.database import ask, cluster_option, console, table
from warouter.cli.status_facts import cloud_facts
from warouter.cloud_number import FIRST
from warouter.store.database import Connection
from warouter.store.views.doubts import CloudStatus, read_cloud
from warouter.store.views.setup.application import ApplicationStatus, read_application
from warouter.store.views.setup.environment import EnvironmentStatus, read_environment
from warouter.store.views.setup.media_status import MediaStatus, quota_of, read_media
from warouter.store.views.setup.registration_status import RegistrationStatus, read_registration

APPLICATION = "warouter show"
DOTS = "\N{BULLET}" * 5


@click.group()
def show() -> None:
    """Show the number, settings or media."""


@show.command()
@cluster_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def number(data_dir: Path | None, as_json: bool) -> None:
    """Show the registered number: its registration, and what the Cloud API says of it."""
    registration, cloud = ask(data_dir, APPLICATION, _read_number)
    if as_json:
        click.echo(msgspec.json.encode({"registration": registration, "cloud": cloud}))
        return
    facts = {"registered": _registered(registration)}
    if registration.asked_number is not None:
        facts["code asked"] = registration.asked_number
    if registration.number is not None:
        facts["two-step"] = "on" if registration.two_step else "off"
        facts["certificate"] = _certificate(registration)
    if cloud is not None:
        known = cloud.number.facts if cloud.number is not None else None
        facts |= {"display name": known.name} if known is not None and known.name else {}
        facts |= cloud_facts(cloud)
    for name, fact in facts.items():
        click.echo(f"{name:<12}  {fact}")


async def _read_number(connection: Connection) -> tuple[RegistrationStatus, CloudStatus | None]:
    return await read_registration(connection, FIRST), await read_cloud(connection, FIRST)


def _registered(found: RegistrationStatus) -> str:
    if found.number is None or found.registered_at is None:
        return "no number: POST /v1/account"
    return f"{found.number} since {found.registered_at:%Y-%m-%d %H:%M:%S}Z"


def _certificate(found: RegistrationStatus) -> str:
    if found.cert_ends is None:
        return "none that can be read"
    return f"{found.cert_name}, until {datetime.fromtimestamp(found.cert_ends, UTC):%Y-%m-%d}"


@show.command()
@cluster_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--all", "every", is_flag=True, help="Also those that are at their default.")
def settings(data_dir: Path | None, as_json: bool, every: bool) -> None:
    """Show what is set, where it comes from, and where processes differ.

    A secret is never shown, and neither is a value that a process does not report.
    """
    environment, application = ask(data_dir, APPLICATION, _read_settings)
    if as_json:
        found = {
            "processes": environment.processes,
            "variables": environment.variables,
            "application": application,
        }
        click.echo(msgspec.json.encode(found))
        return
    parts = [_variables(environment, every), _fields(application, every)]
    console().print(Group(*parts))
    differing = ", ".join(each.name for each in environment.differing)
    if differing:
        click.echo(f"Processes differ in {differing}.")


async def _read_settings(connection: Connection) -> tuple[EnvironmentStatus, ApplicationStatus]:
    return await read_environment(connection), await read_application(connection, FIRST)


def _variables(found: EnvironmentStatus, every: bool) -> Table:
    listed = table("name", "value", "from", "processes", title="variables")
    for variable in found.variables:
        if not variable.values and every:
            listed.add_row(variable.name, Text(variable.default), "default", "")
        for value in variable.values:
            if every or value.source != "default" or len(variable.values) > 1:
                alike = len(variable.values) == 1 and len(value.nodes) > 1
                nodes = Text("all that read it" if alike else ", ".join(value.nodes))
                shown = Text(DOTS if value.hidden else value.value)
                listed.add_row(variable.name, shown, value.source, nodes)
    return listed


def _fields(found: ApplicationStatus, every: bool) -> Table:
    columns = ("name", "value", "from", "since (UTC)", "by")
    listed = table(*columns, title="settings of the API")
    for field in found.fields:
        if not (every or field.set):
            continue
        value = DOTS * min(1, int(field.value)) if field.secret else str(field.value)
        since = "" if field.since is None else f"{field.since:%Y-%m-%d %H:%M:%S}"
        source = "API" if field.set else "default"
        listed.add_row(field.name, Text(value), source, since, Text(field.by or ""))
    for name in found.others:
        listed.add_row(name, DOTS, "API", "", "")
    return listed


@show.command()
@cluster_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def media(data_dir: Path | None, as_json: bool) -> None:
    """Show how much media is kept, of what type, and which fetches failed last."""
    found, environment = ask(data_dir, APPLICATION, _read_media)
    quota = quota_of(environment)
    if as_json:
        click.echo(msgspec.json.encode({"quota": quota, **msgspec.structs.asdict(found)}))
        return
    most = f"of {quota:,}" if quota else "without a quota"
    click.echo(f"{found.bytes:,} bytes {most}, the oldest from {found.oldest or 'never'}")
    shown = (
        _listed("kept", found.kept, "direction", "type", ">files", ">bytes", "oldest"),
        _listed("waiting", found.waiting, "reason", ">messages", "oldest"),
        _listed(
            *("failed", found.failed), *("at", "node", "direction", "message", "type", "reason")
        ),
    )
    console().print(Group(*(each for each in shown if each.row_count)))


async def _read_media(connection: Connection) -> tuple[MediaStatus, EnvironmentStatus]:
    return await read_media(connection), await read_environment(connection)


def _listed(title: str, rows: Sequence[msgspec.Struct], *columns: str) -> Table:
    """A row for each struct, with these of its fields."""
    listed = table(*columns, title=title)
    for row in rows:
        listed.add_row(*(Text(str(getattr(row, name.removeprefix(">")))) for name in columns))
    return listed
