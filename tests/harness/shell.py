"""``warouter`` as a shell would run it."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from click.testing import CliRunner, Result

from tests.harness.wait import PATIENCE
from warouter.cli import cli, imported, main
from warouter.config import Settings
from warouter.errors import CommandError


async def command(settings: Settings | None, *arguments: str, **environment: str) -> Result:
    """In a thread, since it has a loop of its own; with ``settings`` it finds that database."""
    found: dict[str, str | None] = {}
    if settings is not None:
        found = {
            "WA_DB_HOSTNAME": settings.db_hostname,
            "WA_DB_PORT": str(settings.db_port),
            "WA_DB_USERNAME": settings.db_username,
            "WA_DB_PASSWORD": settings.db_password,
            "WAROUTER_DB_NAME": settings.database,
        }
    runner = CliRunner(env={**found, **environment})
    return await asyncio.to_thread(runner.invoke, cli, arguments)


async def printed(settings: Settings | None, *arguments: str, **environment: str) -> str:
    """What a command prints that succeeds."""
    result = await command(settings, *arguments, **environment)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


async def outcome(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and complaint of a command that finds its cluster by the folder."""
    result = await command(None, *arguments, "--data-dir", str(folder))
    if isinstance(result.exception, CommandError):
        return 1, result.stdout, f"{result.stderr}Error: {result.exception}\n"
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


async def refused(settings: Settings | None, *arguments: str, **environment: str) -> str:
    """The one sentence of a command that does not."""
    result = await command(settings, *arguments, **environment)
    assert isinstance(result.exception, CommandError)
    sentence = str(result.exception)
    assert "\n" not in sentence
    return sentence


async def at_terminal(
    typed: str, environment: Mapping[str, str], *arguments: str
) -> tuple[int | None, str]:
    """Exit code and words of a process at a terminal where somebody types this line."""
    ours, theirs = os.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "warouter", *arguments),
            stdin=theirs,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
        )
        os.write(ours, f"{typed}\n".encode())
        said, _ = await process.communicate()
    finally:
        os.close(ours)
        os.close(theirs)
    return process.returncode, said.decode()


def executed(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The program as installed; of the product's variables it has these alone."""
    return subprocess.run(
        [sys.executable, "-m", "warouter", *arguments],
        env=_environment(environ),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def forked(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """As ``executed``, in a process that need not load the program again, which takes half a core
    second.
    """
    for module in ("runtime", "webapp", "coreapp", "end_simulator", "master"):
        imported(f"warouter.node.{module}")
    command = ["warouter", *arguments]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            _become(command, _environment(environ), out, err)
        _, status = os.waitpid(child, 0)
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode())
    return subprocess.CompletedProcess(command, os.waitstatus_to_exitcode(status), *said)


def _environment(own: dict[str, str]) -> dict[str, str]:
    outer = {k: v for k, v in os.environ.items() if not k.startswith(("WA_", "WAROUTER_"))}
    return outer | own


def _become(command: list[str], environ: dict[str, str], out: BinaryIO, err: BinaryIO) -> None:
    """Run the program in this process, of which nothing of the tests is to be noticed, and end."""
    code = 1
    try:
        for file, number in ((out, 1), (err, 2)):
            os.dup2(file.fileno(), number)
        sys.argv, sys.stdout, sys.stderr = command, os.fdopen(1, "w"), os.fdopen(2, "w")
        os.environ.clear()
        os.environ.update(environ)
        warnings.resetwarnings()
        logging.getLogger().handlers.clear()
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
