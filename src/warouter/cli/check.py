"""``warouter check``: what of this installation is open, unverified, readable, old or too small."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
import uvloop

from warouter.check.finding import Finding, Level, exit_code
from warouter.check.gather import gather
from warouter.check.rules import judged, unreachable, worst_first
from warouter.cli.database import cluster_option, folder_of, settings_of
from warouter.errors import CommandError

_PLURALS = {Level.CRITICAL: "critical", Level.UNKNOWN: "unknown"}


class Unknown(CommandError):
    """The check could not begin. To monitoring 1 and 2 would mean that it found something."""

    exit_code = 3


@click.command()
@cluster_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option("-v", "--verbose", is_flag=True, help="Also print what is right.")
def check(data_dir: Path | None, as_json: bool, verbose: bool) -> None:
    """Say what is not encrypted, not verified, too widely readable, old or too small.

    Looks at the database that WA_DB_* names, or that of a local cluster, and at this host: its
    files and the variables of this command's environment. So run it on each host, with the
    environment of its processes and as root or their account. Nothing is changed. Each name and
    what to do is in docs/monitoring.md.

    Exit code: 0 fine or notes only, 1 a warning, 2 critical, 3 not everything could be found out.
    """
    try:
        settings = settings_of(data_dir)
    except CommandError as error:
        raise Unknown(str(error)) from error
    gathered = uvloop.run(gather(settings, folder_of(data_dir)))
    found = judged(gathered.facts)
    if gathered.unreachable:
        found = worst_first([*found, unreachable(gathered.unreachable)])
    shown = [finding for finding in found if verbose or finding.level is not Level.OK]
    for finding in shown:
        click.echo(msgspec.json.encode(finding) if as_json else _line(finding))
    if not as_json:
        click.echo(f"{_summary(found)} For the audit log run `warouter audit --verify`.")
    sys.exit(exit_code(found))


def _line(finding: Finding) -> str:
    words = f"{finding.found} {finding.todo}".rstrip()
    text = f"{finding.level:<8}  {finding.name:<21}  {words}"
    # Names of sessions are chosen by whoever connects.
    return "".join(char if char.isprintable() else " " for char in text)


def _summary(found: Sequence[Finding]) -> str:
    counts = {level: sum(f.level is level for f in found) for level in reversed(Level)}
    said = [
        f"{count} {_PLURALS.get(level, level + 's' * (count > 1))}"
        for level, count in counts.items()
        if count and level is not Level.OK
    ]
    rules = len({finding.name for finding in found})
    return f"{rules} rules: {', '.join(said)}." if said else f"{rules} rules: all is well."
