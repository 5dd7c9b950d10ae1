"""``warouter show settings``: variables of the processes, and the settings that the API changes."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
from rich.console import Group
from rich.table import Table
from rich.text import Text

from warouter.cli.database import ask, cluster_option, console, table
from warouter.store.database import Connection
from warouter.store.views.setup.application import ApplicationStatus, read_application
from warouter.store.views.setup.environment import EnvironmentStatus, Value, read_environment

APPLICATION = "warouter show"
PIPE_COLUMNS = 160
DOTS = "\N{BULLET}" * 5


@click.command("settings")
@cluster_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--all", "every", is_flag=True, help="Also those that are at their default.")
def command(data_dir: Path | None, as_json: bool, every: bool) -> None:
    """Show what is set, where it comes from, and where processes differ.

    A secret is never shown, and neither is a value that a process does not report.
    """
    environment, application = ask(data_dir, APPLICATION, _read)
    if as_json:
        found = {
            "processes": environment.processes,
            "variables": environment.variables,
            "application": application,
        }
        click.echo(msgspec.json.encode(found))
        return
    parts = [_variables(environment, every), _fields(application, every)]
    console(PIPE_COLUMNS).print(Group(*parts))
    differing = ", ".join(each.name for each in environment.differing)
    if differing:
        click.echo(f"Processes differ in {differing}.")


async def _read(connection: Connection) -> tuple[EnvironmentStatus, ApplicationStatus]:
    return await read_environment(connection), await read_application(connection)


def _variables(found: EnvironmentStatus, every: bool) -> Table:
    listed = table("name", "value", "from", "processes", title="variables")
    for variable in found.variables:
        if not variable.values and every:
            listed.add_row(variable.name, Text(variable.default), "default", "")
        for value in variable.values:
            if every or value.source != "default" or len(variable.values) > 1:
                alike = len(variable.values) == 1 and len(value.nodes) > 1
                nodes = Text("all that read it" if alike else ", ".join(value.nodes))
                listed.add_row(variable.name, Text(_shown(value)), value.source, nodes)
    return listed


def _shown(value: Value) -> str:
    return DOTS if value.hidden else value.value


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
