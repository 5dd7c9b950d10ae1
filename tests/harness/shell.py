"""``warouter`` as a shell would run it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from click.testing import CliRunner, Result

from warouter.cli import cli
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
