"""Secrets in files: rotated while they are in use, and refused by the commands when unusable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.harness.postgres import environment_of
from tests.harness.scram import Scram, scram
from tests.harness.shell import forked
from warouter.config import Settings, load
from warouter.errors import CommandError, ConfigError
from warouter.local.ports import free_port
from warouter.local.process import Process
from warouter.store.database import Session, connect, create_pool, first_connection

OLD, NEW, LAST = "old password", "nêw=password", "last-password"
KEYS = "first-key-0123", "second-key-0123"


def private(path: Path, *lines: str) -> Path:
    """The file with these lines, written anew and put in the place of the one before."""
    new = path.with_suffix(".new")
    new.touch(0o600)
    new.write_text("".join(f"{line}\n" for line in lines))
    return new.replace(path)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Scram]:
    async with scram(OLD) as server:
        yield server


class Connecting:
    """Opens sessions in each way that the product does, one after the other, until it is left."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.rounds = 0

    async def __aenter__(self) -> Connecting:
        self._pool = await create_pool(self._settings, "test", 2)
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._pool.close()

    async def more(self) -> None:
        """What is begun from here on has succeeded twice."""
        wanted = self.rounds + 3
        while self.rounds < wanted:
            if self._task.done():
                self._task.result()
            await asyncio.sleep(0.01)

    async def _run(self) -> None:
        while True:
            one = await connect(self._settings, "test")
            await one.close()
            session = Session(self._settings, "test")
            assert await session.fetch("select 1", within=2.0)
            await session.close()
            await self._pool.expire_connections()
            assert await self._pool.fetchval("select 1") == 1
            self.rounds += 1


async def test_the_passwords_file_is_changed_before_the_role(server: Scram, folder: Path) -> None:
    file = private(folder / "password", OLD)
    settings = load(server.variables | {"WA_DB_PASSWORD_FILE": str(file)})
    async with Connecting(settings) as connecting:
        for old, new in ((OLD, NEW), (NEW, LAST)):
            await connecting.more()
            private(file, new, old)  # the new one is refused for now, and the old one is tried
            await connecting.more()
            await server.set_password(new)
            await connecting.more()
            private(file, new)
            await connecting.more()


async def test_the_line_that_was_taken_is_tried_first(server: Scram, folder: Path) -> None:
    """Else each connect would be a refusal in the server's log, and slower."""
    file = private(folder / "password", NEW, OLD)
    settings = load(server.variables | {"WAROUTER_DB_PASSWORD_FILE": str(file)})
    for _ in range(5):
        await (await connect(settings, "test")).close()
    assert server.server.log.read_text().count("password authentication failed") == 1


async def test_a_password_that_is_wrong_is_one_sentence(server: Scram, folder: Path) -> None:
    file = private(folder / "password", NEW, LAST)
    settings = load(server.variables | {"WA_DB_PASSWORD_FILE": str(file)})
    with pytest.raises(CommandError, match="set WA_DB_USERNAME and WA_DB_PASSWORD or") as raised:
        await first_connection(settings, "test")
    assert not [word for word in (NEW, LAST) if word in str(raised.value)]
    with pytest.raises(ConfigError, match="WA_DB_PASSWORD_FILE cannot be used: /nowhere: No such"):
        await first_connection(
            load({**server.variables, "WA_DB_PASSWORD_FILE": "/nowhere"}), "test"
        )


async def test_a_file_that_is_spoilt_later_leaves_the_password_in_force(
    server: Scram, folder: Path
) -> None:
    file = private(folder / "password", OLD)
    settings = load(server.variables | {"WA_DB_PASSWORD_FILE": str(file)})
    async with Connecting(settings) as connecting:
        for spoilt in (b"", b"\xff"):
            file.write_bytes(spoilt)
            await connecting.more()
        file.chmod(0o644)
        await connecting.more()
        file.unlink()
        await connecting.more()


async def status_of(session: aiohttp.ClientSession, port: int, key: str) -> int:
    headers = {"Authorization": f"Apikey {key}"}
    async with session.get(f"http://127.0.0.1:{port}/metrics", headers=headers) as answer:
        return answer.status


async def test_api_keys_are_rotated_without_a_refusal(settings: Settings, folder: Path) -> None:
    (old, new), port = KEYS, free_port()
    file = private(folder / "key", old)
    environment = {
        **environment_of(settings),
        "WEBAPP_EXTERNAL_PORTS": str(port),
        "WAROUTER_NO_TLS": "1",
        "WA_API_KEY_FILE": str(file),
    }
    process = Process("webapp", "webapp", ["webapp"], environment, folder)
    await process.start()
    try:
        async with aiohttp.ClientSession() as session:
            assert [await status_of(session, port, key) for key in (old, new)] == [200, 401]
            private(file, new, old)
            assert [await status_of(session, port, key) for key in (old, new)] == [200, 200]
            private(file, new)
            assert [await status_of(session, port, key) for key in (old, new)] == [401, 200]
            file.write_text("short")
            assert await status_of(session, port, new) == 200
    finally:
        await process.stop()
    said = process.log.read_text()
    assert not [key for key in KEYS if key in said]
    assert (said.count("secret changed"), said.count("secret file read failed")) == (2, 1)


CLOUD = {
    "WAROUTER_UPSTREAM": "cloud",
    "WAROUTER_CLOUD_PHONE_NUMBER_ID": "1",
    "WAROUTER_CLOUD_WABA_ID": "1",
    "WAROUTER_CLOUD_TOKEN": "token",
    "WAROUTER_CLOUD_APP_SECRET": "app-secret",
    "WAROUTER_CLOUD_VERIFY_TOKEN": "verify",
}


@pytest.mark.parametrize(
    ("role", "name", "others"),
    [
        ("webapp", "WA_DB_PASSWORD", {}),
        ("coreapp", "WA_DB_PASSWORD", {}),
        ("master", "WA_DB_PASSWORD", {}),
        ("status", "WA_DB_PASSWORD", {}),
        ("webapp", "WA_API_KEY", {}),
        ("webapp", "WAROUTER_CLOUD_APP_SECRET", CLOUD),
    ],
)
@pytest.mark.parametrize("fault", ["empty", "missing", "open", "directory"])
def test_a_command_ends_with_one_sentence(
    settings: Settings, folder: Path, role: str, name: str, others: dict[str, str], fault: str
) -> None:
    path = folder / "secret"
    says = {
        "empty": "it is empty: write the secret into it",
        "missing": "No such file or directory: write the secret there, or correct the path",
        "open": f"everybody on this machine may read it: run `chmod o= {path}`",
        "directory": "Is a directory: give the path of a file in it",
    }
    if fault == "directory":
        path.mkdir()
    elif fault != "missing":
        path.write_text("" if fault == "empty" else KEYS[0])
        path.chmod(0o644 if fault == "open" else 0o600)
    given = {key: value for key, value in others.items() if key != name}
    done = forked(
        role,
        WA_DB_HOSTNAME=settings.db_hostname,
        WAROUTER_DB_NAME=settings.database,
        WEBAPP_EXTERNAL_PORTS="0",
        COREAPP_EXTERNAL_PORTS="0",
        WAROUTER_NO_TLS="1",
        **given,
        **{f"{name}_FILE": str(path)},
    )
    assert done.returncode == 2
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert sentence.startswith(f"Error: {name}_FILE cannot be used: {path}: {says[fault]}")
    assert "Traceback" not in done.stderr
    assert KEYS[0] not in done.stderr


def test_a_private_key_that_everybody_may_read_is_said_at_the_start(
    settings: Settings, folder: Path
) -> None:
    key = folder / "tls.key"
    key.write_text("no key")
    key.chmod(0o644)
    done = forked(
        "webapp",
        WA_DB_HOSTNAME=settings.db_hostname,
        WAROUTER_DB_NAME=settings.database,
        WEBAPP_EXTERNAL_PORTS="0",
        WAROUTER_TLS_CERT=str(key),
        WAROUTER_TLS_KEY=str(key),
    )
    assert (
        f"WAROUTER_TLS_KEY is {key}, which everybody may read: run `chmod o= {key}`" in done.stderr
    )
    assert done.returncode == 1
