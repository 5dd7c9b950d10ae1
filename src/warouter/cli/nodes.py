"""``warouter webapp | coreapp | master | console``: one process each, set up by its environment."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import click
import msgspec

from warouter import log
from warouter.cli import imported
from warouter.config import AUTO, Settings, load, unknown_names
from warouter.errors import CommandError
from warouter.local.description import read_description
from warouter.local.secrets import joined
from warouter.net.route import NoRoute, own_address

logger = logging.getLogger(__name__)

OPERATOR = "console"  # the login of operator's commands
CONSOLE = "web_console"  # the web console's own kind of login
ADMINISTRATOR = "administrator"  # has the login under which a local cluster makes all others
# Of a process that joins a cluster by hand, unless its environment names others.
_FREE_PORTS: dict[str, dict[str, str]] = {
    "webapp": {"WEBAPP_EXTERNAL_PORTS": "0", "WAROUTER_CLOUD_LISTEN": "127.0.0.1:0"},
    "coreapp": {"COREAPP_EXTERNAL_PORTS": "0"},
    "master": {},
    OPERATOR: {},
    CONSOLE: {"WAROUTER_CONSOLE_LISTEN": "127.0.0.1:0"},
    ADMINISTRATOR: {},
}

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Join the cluster that `warouter up` runs on this data directory.",
)


@click.command()
@data_dir_option
def webapp(data_dir: Path | None) -> None:
    """Serve the v1 API. Configured by WA_DB_*, WEBAPP_*, WAROUTER_* (docs/configuration.md)."""
    _run("webapp", data_dir)


@click.command()
@data_dir_option
def coreapp(data_dir: Path | None) -> None:
    """Own shards: journal, send, deliver callbacks. Configured
    by WA_DB_*, COREAPP_*, WAROUTER_*.
    """
    _run("coreapp", data_dir)


@click.command()
@data_dir_option
def master(data_dir: Path | None) -> None:
    """Stand for election; as leader watch the nodes and own the
    shard map. Configured by WA_DB_*.
    """
    _run("master", data_dir)


@click.command()
@data_dir_option
def console(data_dir: Path | None) -> None:
    """Serve the web console. Configured by WA_DB_*, WAROUTER_CONSOLE_* (docs/console.md)."""
    _run("console", data_dir, login=CONSOLE)


def settings_for(role: str, data_dir: Path | None, *, database: bool = True) -> Settings:
    """Settings from the environment; with a data directory, over those of its cluster, where each
    ``role`` has a login: webapp, coreapp, master, ``CONSOLE``, ``OPERATOR`` or ``ADMINISTRATOR``.
    Without ``database`` they need not name one.
    """
    environ = dict(os.environ)
    if data_dir is not None:
        found = read_description(data_dir)
        cluster: dict[str, str] = found.get("environment", {})
        if not cluster:
            raise CommandError(f"No cluster runs on {data_dir}: start `warouter up` first.")
        if login := found.get("logins", {}).get(role):
            cluster = {**cluster, "WA_DB_USERNAME": login}
        name = {"WAROUTER_NODE": f"localhost:{role}-{os.getpid()}"}
        environ = joined(cluster | _FREE_PORTS[role] | name, environ)
    if database and not environ.get("WA_DB_HOSTNAME"):
        raise CommandError(
            "WA_DB_HOSTNAME is not set: name the PostgreSQL server (and WA_DB_USERNAME,"
            " WA_DB_PASSWORD), or join a local cluster with --data-dir."
        )
    return load(environ)


def placed(settings: Settings, role: str) -> Settings:
    """The settings with the address that `auto` stands for, where the ``role`` has one."""
    field = f"{role}_hostname"
    if getattr(settings, field, "") != AUTO:
        return settings
    try:
        return msgspec.structs.replace(settings, **{field: own_address(settings.db_servers)})
    except NoRoute as error:
        raise CommandError(
            f"{field.upper()} is auto, and no host of WA_DB_HOSTNAME tells this host's address"
            f" ({error}): correct WA_DB_HOSTNAME, or set {field.upper()} to the address of this"
            " host that the others reach."
        ) from error


def _run(role: str, data_dir: Path | None, login: str = "") -> None:
    settings = placed(settings_for(login or role, data_dir), role)
    log.setup(settings.log_level)
    for name in unknown_names(os.environ):
        logger.warning("unknown variable found", extra={"variable": name})
    # Only now: a master shall not load what a webapp needs.
    runtime = imported("warouter.node.runtime")
    node = imported(f"warouter.node.{role}")
    runtime.run(lambda stop, notifier: node.main(settings, stop, notifier))
