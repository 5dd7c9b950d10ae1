"""Errors at the command line: one sentence that says what and what to do, and an exit code."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from subprocess import CompletedProcess

import asyncpg
import pytest

from tests.harness.shell import command, executed, forked, printed
from warouter.config import Settings
from warouter.local.postgres import Postgres
from warouter.store.migrations import migrations


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
async def test_bad_command_lines_get_one_sentence(
    arguments: list[str], environ: dict[str, str], sentence: str
) -> None:
    result = await command(None, *arguments, **environ)
    assert result.exit_code != 0
    assert sentence in f"{result.output}{result.exception}"


@pytest.mark.parametrize("role", ["webapp", "coreapp", "master"])
def test_an_empty_database_says_what_to_run(postgres: Postgres, role: str) -> None:
    done = forked(role, **postgres.settings("postgres"))
    assert done.returncode == 1
    assert "run `warouter migrate`" in done.stderr


def test_a_port_that_is_taken(postgres: Postgres, settings: Settings) -> None:
    environ = postgres.settings(settings.database) | {"WAROUTER_NO_TLS": "1"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        web = forked("webapp", **environ, WEBAPP_EXTERNAL_PORTS=port)
        core = forked("coreapp", **environ, COREAPP_EXTERNAL_PORTS=port)
        local = forked("up", "--port", port, "--data-dir", "/tmp/never-made")
    assert "set WEBAPP_EXTERNAL_PORTS" in web.stderr
    assert "set COREAPP_EXTERNAL_PORTS" in core.stderr
    assert "give --port" in local.stderr
    assert {web.returncode, core.returncode, local.returncode} == {1}


@pytest.mark.parametrize("run", [executed, forked])
def test_bad_webhook_variables_get_one_sentence(
    postgres: Postgres, settings: Settings, run: Callable[..., CompletedProcess[str]]
) -> None:
    here = postgres.settings(settings.database) | {"COREAPP_EXTERNAL_PORTS": "0"}
    done = run("coreapp", **here, WAROUTER_WEBHOOK_CLIENT_CERT="/nowhere.pem")
    assert done.returncode == 2
    assert "go together" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_typo_is_reported_once(postgres: Postgres) -> None:
    done = forked("master", **postgres.settings("postgres"), WA_DB_HSOTNAME="x")
    assert done.stderr.count("WA_DB_HSOTNAME") == 1


async def test_migrate_says_what_it_did(postgres: Postgres) -> None:
    environ = postgres.settings("by_the_command")
    shown = await printed(None, "migrate", **environ)  # which makes the database, too
    assert [line for line in shown.splitlines() if line.startswith("applied ")] == [
        f"applied {m.name}" for m in migrations()
    ]
    assert await printed(None, "migrate", **environ) == "up to date\n"


@pytest.mark.parametrize("command_of", ["webapp", "coreapp", "master", "migrate", "status"])
async def test_a_login_without_a_right_is_one_sentence(
    postgres: Postgres, settings: Settings, pool: asyncpg.Pool, command_of: str
) -> None:
    login = f"stranger_{command_of}"
    await pool.execute(f"create role {login} login")
    try:
        environ = postgres.settings(settings.database) | {"WA_DB_USERNAME": login}
        environ |= {"WAROUTER_NO_TLS": "1", "WAROUTER_DB_SCHEMA": settings.db_schema}
        environ |= {"WEBAPP_EXTERNAL_PORTS": "0", "COREAPP_EXTERNAL_PORTS": "0"}
        done = await asyncio.to_thread(forked, command_of, **environ)
    finally:
        await pool.execute(f"drop role {login}")
    (said,) = done.stderr.splitlines()
    assert done.returncode == 1
    if command_of == "migrate":
        assert f"{login} has no right to use schema" in said
        assert said.endswith("as a superuser, or as who owns it.")
    else:
        assert f"(login {login} has no right to use the schema)" in said
        assert "give this command or process the login that is meant for it" in said


def test_a_wrong_value_is_shown_with_what_to_do() -> None:
    for role in ("webapp", "coreapp", "master", "migrate"):
        done = forked(role, WA_DB_HOSTNAME="127.0.0.1", WAROUTER_BEAT="soon")
        assert done.returncode == 2
        assert done.stderr == (
            "Error: WAROUTER_BEAT must be a number, and it is 'soon': correct it, or"
            " unset it for its default.\n"
        )


@pytest.mark.parametrize("role", ["webapp", "coreapp", "master", "migrate"])
def test_a_database_that_cannot_be_reached(role: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    done = forked(role, WA_DB_HOSTNAME="127.0.0.1", WA_DB_PORT=port)
    (said,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert f"PostgreSQL at 127.0.0.1:{port}" in said
    assert "check WA_DB_" in said


def test_an_address_that_auto_cannot_find() -> None:
    for role in ("webapp", "coreapp"):
        name = f"{role.upper()}_HOSTNAME"
        done = forked(role, **{"WA_DB_HOSTNAME": "nowhere.invalid", name: "auto"})
        (said,) = done.stderr.splitlines()
        assert done.returncode == 1
        assert said.startswith(f"Error: {name} is auto, and no host of WA_DB_HOSTNAME tells")
