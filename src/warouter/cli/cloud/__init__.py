"""``warouter cloud``: the Cloud API for operators.

check       whether everything is right, step by step; the number's callback URL
deregister  takes the number off
probe       what Meta's servers do, measured with a number of one's own
"""

from __future__ import annotations

import os
from pathlib import Path

import click
import msgspec

from warouter.cli import Commands
from warouter.cli.database import DEFAULT_FOLDER
from warouter.cli.nodes import settings_for
from warouter.config import Settings
from warouter.local.description import NAME

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


def number_settings(data_dir: Path | None) -> Settings:
    """The settings of the number that a command is about.

    Those of the cluster of --data-dir, else of the environment if it names a number, else of
    ./warouter-data if it exists. ConfigError if they lack something for the Cloud API;
    ``db_hostname`` is "" where no database is named.
    """
    named = any(name in os.environ for name in ("WAROUTER_CLOUD_PHONE_NUMBER_ID", "WA_DB_HOSTNAME"))
    if data_dir is None and not named and (DEFAULT_FOLDER / NAME).exists():
        data_dir = DEFAULT_FOLDER
    found = settings_for("console", data_dir, database=False)
    settings = msgspec.structs.replace(found, upstream="cloud")
    _ = settings.cloud, settings.number_cloud
    return settings
