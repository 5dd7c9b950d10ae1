"""The command line: argv and environment to one process, errors to one sentence.

A command is imported when it is called, so that each starts with what it needs and no more. A
CommandError ends it with its sentence and no traceback.

Processes:

    nodes       webapp, coreapp, master, console: one process each
    up          a whole cluster on this machine
    forkserver  what `up`, the demo and tests fork their processes from

The simulator and the demo bring their own: see ``warouter.lab``.

For operators, who need only the database:

    migrate     bring the database to this build's schema
    status      the cluster as tables, as JSON, or again each second
    healthcheck    whether the processes of this host can work: asks them, not the database
    status_facts   what of that concerns the Cloud API, logins and encryption
    check       what is open, unverified, readable, old or too small
    messages    the newest messages, or those that a search finds
    trace       where one message is
    callbacks   the webhook: what it refuses, a test, and dead letters
    show        the number, settings, media: how the cluster is set up
    doubt       messages that the Cloud API may have taken: listed, shown, sent again, failed, held
    audit       the audit log
    user        users: listed, added, removed, given a password
    key         keys of programs
    cloud       the Cloud API: which upstream the database has, whether a number is set up rightly
    sizing      machines and processes for a rate
    database    what these share: finding the database, connecting, tables
"""

from __future__ import annotations

import gc
import logging
import os
import resource
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from warouter import __version__
from warouter.errors import CommandError, lacking

# Loaded only when called: a master must not import what a webapp needs.
COMMANDS = {
    "up": "warouter.cli.up:up",
    "demo": "warouter.lab.demo.demo_command:demo",
    "webapp": "warouter.cli.nodes:webapp",
    "coreapp": "warouter.cli.nodes:coreapp",
    "master": "warouter.cli.nodes:master",
    "console": "warouter.cli.nodes:console",
    "migrate": "warouter.cli.migrate:migrate",
    "simulator": "warouter.lab.simulator.simulator_command:simulator",
    "status": "warouter.cli.status:status",
    "healthcheck": "warouter.cli.healthcheck:healthcheck",
    "audit": "warouter.cli.audit:audit",
    "user": "warouter.cli.user:user",
    "key": "warouter.cli.key:key",
    "cloud": "warouter.cli.cloud:cloud",
    "callbacks": "warouter.cli.callbacks:callbacks",
    "doubt": "warouter.cli.doubt:doubt",
    "messages": "warouter.cli.messages:messages",
    "trace": "warouter.cli.trace:trace",
    "show": "warouter.cli.show:show",
    "sizing": "warouter.cli.sizing:sizing",
    "check": "warouter.cli.check:check",
}
UNEXPECTED = 70  # EX_SOFTWARE
NO_RIGHT = "42501"  # of PostgreSQL


class Commands(click.Group):
    """Subcommands, each imported only when it is used: ``targets`` has ``module:name`` by name."""

    def __init__(self, *args: Any, targets: Mapping[str, str] = COMMANDS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._targets = targets

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._targets)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = self._targets.get(cmd_name)
        if target is None:
            return None
        module, _, name = target.partition(":")
        command: click.Command = getattr(imported(module), name)
        return command


def imported(name: str) -> Any:
    """The module of this name, never looked at by the garbage collector: it lives as long as the
    process, and looking takes a quarter of a process's start. What an import leaves behind, half a
    MiB, stays.
    """
    if name in sys.modules:
        return sys.modules[name]
    collects = gc.isenabled()
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        if collects:
            gc.enable()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="warouter")
def cli() -> None:
    """An open, self-hosted WhatsApp Business API client with Multiconnect."""


def main() -> None:
    """Run a command; any error ends in one sentence and an exit code."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold keys and passwords
    try:
        # Of a command that ends by `Context.exit` click returns the code, and raises nothing.
        sys.exit(cli(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except CommandError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output went away (| head): not worth a word.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if getattr(error, "sqlstate", "") == NO_RIGHT:
            click.echo(f"Error: {lacking(str(error))}", err=True)
            sys.exit(1)
        logging.getLogger(__name__).debug("command failed", exc_info=True)
        click.echo(
            f"Error: unexpected {type(error).__name__}: {error}."
            " Run again with WAROUTER_LOG_LEVEL=DEBUG for where it happened.",
            err=True,
        )
        sys.exit(UNEXPECTED)
