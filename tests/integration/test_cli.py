"""Errors at the command line: one sentence that says what and what to do, and an exit code."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from tests.harness.shell import command, printed
from warouter.config import Settings
from warouter.local.postgres import Postgres
from warouter.store.migrate import migrations


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    outer = {k: v for k, v in os.environ.items() if not k.startswith(("WA_", "WAROUTER_"))}
    return subprocess.run(
        [sys.executable, "-m", "warouter", *arguments],
        env=outer | environ,
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.mark.parametrize(
    ("arguments", "environ", "sentence"),
    [
        (["coreapp"], {}, "WA_DB_HOSTNAME is not set"),
        (["master"], {"WA_DB_HOSTNAME": "x", "WA_DB_PORT": "many"}, "WA_DB_PORT"),
        (["webapp"], {"WA_DB_HOSTNAME": "x", "WA_DB_ENGINE": "MYSQL"}, "PostgreSQL only"),
        (["up", "--upstream", "cloud"], {}, "WAROUTER_CLOUD_PHONE_NUMBER_ID is missing"),
        (["up"], {"WA_API_KEY": "short"}, "12 to 128 characters"),
        (["up", "--shards", "3"], {}, "'1', '2', '4', '8', '16', '32'"),
        (["coreapp", "--data-dir", "/nowhere"], {}, "start `warouter up` first"),
    ],
)
async def test_what_is_wrong_with_a_call(
    arguments: list[str], environ: dict[str, str], sentence: str
) -> None:
    result = await command(None, *arguments, **environ)
    assert result.exit_code != 0
    assert sentence in f"{result.output}{result.exception}"


@pytest.mark.parametrize("role", ["webapp", "coreapp", "master"])
def test_an_empty_database_says_what_to_run(postgres: Postgres, role: str) -> None:
    done = run(role, **postgres.settings("postgres"))
    assert done.returncode == 1
    assert "run `warouter migrate`" in done.stderr


def test_a_port_that_is_taken(postgres: Postgres, settings: Settings) -> None:
    environ = postgres.settings(settings.database) | {"WAROUTER_NO_TLS": "1"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        web = run("webapp", **environ, WEBAPP_EXTERNAL_PORTS=port)
        core = run("coreapp", **environ, COREAPP_EXTERNAL_PORTS=port)
        local = run("up", "--port", port, "--data-dir", "/tmp/never-made")
    assert "set WEBAPP_EXTERNAL_PORTS" in web.stderr
    assert "set COREAPP_EXTERNAL_PORTS" in core.stderr
    assert "give --port" in local.stderr
    assert {web.returncode, core.returncode, local.returncode} == {1}


def test_what_is_wrong_with_the_webhooks_variables(postgres: Postgres, settings: Settings) -> None:
    here = postgres.settings(settings.database) | {"COREAPP_EXTERNAL_PORTS": "0"}
    done = run("coreapp", **here, WAROUTER_WEBHOOK_CLIENT_CERT="/nowhere.pem")
    assert done.returncode == 2
    assert "go together" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_typo_is_reported_once(postgres: Postgres) -> None:
    done = run("master", **postgres.settings("postgres"), WA_DB_HSOTNAME="x")
    assert done.stderr.count("WA_DB_HSOTNAME") == 1


async def test_migrate_says_what_it_did(postgres: Postgres) -> None:
    environ = postgres.settings("by_the_command")
    shown = await printed(None, "migrate", **environ)  # which makes the database, too
    assert [line for line in shown.splitlines() if line.startswith("applied ")] == [
        f"applied {m.name}" for m in migrations()
    ]
    assert await printed(None, "migrate", **environ) == "up to date\n"
