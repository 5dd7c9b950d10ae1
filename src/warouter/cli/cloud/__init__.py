"""``warouter cloud``: the Cloud API for operators.

check       whether everything is right, step by step; the number's callback URL
deregister  takes the number off
settings    what those have in common that talk to Meta
probe       what Meta's servers do, measured with a number of one's own
"""

from __future__ import annotations

import click

from warouter.cli import Commands

COMMANDS = {
    "check": "warouter.cli.cloud.check:command",
    "deregister": "warouter.cli.cloud.deregister:command",
    "probe": "warouter.cli.cloud.probe:command",
}


@click.group(cls=Commands, targets=COMMANDS)
def cloud() -> None:
    """The Cloud API, the upstream that reaches WhatsApp.

    What needs the database takes the one that WA_DB_* names, or that of a local cluster:
    --data-dir, else ./warouter-data if there is one.
    """
