"""``warouter show``: how the cluster is set up, as the console's pages of the same names show it.

number    the registered number, and how it fares at the Cloud API
settings  variables of the processes, where they differ, and the settings of the API
media     what is kept, what waits, and what could not be fetched
"""

from __future__ import annotations

import click

from warouter.cli import Commands

COMMANDS = {
    "number": "warouter.cli.show.number:command",
    "settings": "warouter.cli.show.settings:command",
    "media": "warouter.cli.show.media:command",
}


@click.group(cls=Commands, targets=COMMANDS)
def show() -> None:
    """Show the number, settings or media."""
