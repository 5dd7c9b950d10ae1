"""Errors at the command line: one sentence that says what and what to do, and an exit code."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from warouter.config import Settings
from warouter.local.postgres import Postgres


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    outer = {k: v for k, v in os.environ.items() if not k.startswith(("WA_", "WAROUTER_"))}
    return subprocess.run(
        [sys.executable, "-m", "warouter", *arguments],
        env=outer | environ,
        capture_output=True,
        text=True,
        timeout=30,
    )


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


@pytest.mark.parametrize(
    ("arguments", "environ", "sentence"),
    [
        (["coreapp"], {}, "WA_DB_HOSTNAME is not set"),
        (["master"], {"WA_DB_HOSTNAME": "x", "WA_DB_PORT": "many"}, "WA_DB_PORT"),
        (["webapp"], {"WA_DB_HOSTNAME": "x", "WA_DB_ENGINE": "MYSQL"}, "PostgreSQL only"),
        (["up", "--upstream", "cloud"], {}, "not available yet"),
        (["up"], {"WA_API_KEY": "short"}, "12 to 128 characters"),
        (["up", "--shards", "3"], {}, "'1', '2', '4', '8', '16', '32'"),
        (["coreapp", "--data-dir", "/nowhere"], {}, "start `warouter up` first"),
    ],
)
def test_what_is_wrong_with_a_call(
    arguments: list[str], environ: dict[str, str], sentence: str
) -> None:
    done = run(*arguments, **environ)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_is_not_there() -> None:
    done = run("coreapp", WA_DB_HOSTNAME="127.0.0.1", WA_DB_PORT=free_port())
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr


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


def test_without_a_certificate_a_webapp_says_so(postgres: Postgres, settings: Settings) -> None:
    done = run("webapp", **postgres.settings(settings.database))
    assert done.returncode == 1
    assert "WAROUTER_TLS_CERT" in done.stderr


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"WAROUTER_WEBHOOK_PORTS": "https"}, "give port numbers"),
        ({"WAROUTER_WEBHOOK_CLIENT_CERT": "/nowhere.pem"}, "go together"),
        (
            {"WAROUTER_WEBHOOK_CLIENT_CERT": "/no.pem", "WAROUTER_WEBHOOK_CLIENT_KEY": "/no.key"},
            "cannot be loaded",
        ),
    ],
)
def test_what_is_wrong_with_the_webhooks_variables(
    postgres: Postgres, settings: Settings, environ: dict[str, str], says: str
) -> None:
    here = postgres.settings(settings.database) | {"COREAPP_EXTERNAL_PORTS": "0"}
    done = run("coreapp", **here, **environ)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_typo_is_reported_once(postgres: Postgres) -> None:
    done = run("master", **postgres.settings("postgres"), WA_DB_HSOTNAME="x")
    assert done.stderr.count("WA_DB_HSOTNAME") == 1


def test_migrate_says_what_it_did(postgres: Postgres) -> None:
    environ = postgres.settings("by_the_command")
    assert "applied 0001_initial.sql" in run("migrate", **environ).stdout
    assert run("migrate", **environ).stdout == "up to date\n"
