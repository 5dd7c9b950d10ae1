"""A real webapp gets another certificate while it serves: nobody notices but by looking (S12)."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import asyncpg
import pytest
import pytest_asyncio
from trustme import CA, KeyType

from tests.harness.certificates import Pair, alone, issued, text_of
from tests.harness.postgres import environment_of
from tests.harness.wait import PATIENCE, soon
from warouter.access.token import hash_of, new_token
from warouter.config import Settings
from warouter.errors import CommandError
from warouter.local.ports import free_port
from warouter.local.process import Process
from warouter.store.account.accounts import ADMIN, Accounts

PATH = "/v1/certificates/external"


class Webapp:
    """The process, its port, and an administrator's token."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self.token = new_token()
        self.file = alone("of the file")
        (folder / "tls.crt").write_text(self.file.pem)
        (folder / "tls.key").write_text(self.file.key)
        self.environment = {
            **environment_of(settings),
            "WEBAPP_EXTERNAL_PORTS": str(self.port),
            "WAROUTER_TLS_CERT": str(folder / "tls.crt"),
            "WAROUTER_TLS_KEY": str(folder / "tls.key"),
        }
        self.process = self.another()

    def another(self, **environment: str) -> Process:
        full = self.environment | environment
        return Process("webapp", "webapp", ["webapp"], full, self.folder)

    async def shown(self, context: ssl.SSLContext | None = None) -> str:
        """The certificate (PEM) that a new connection is shown."""
        look = context or ssl._create_unverified_context()
        name = "localhost" if look.check_hostname else None
        _, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=look, server_hostname=name
        )
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return ssl.DER_cert_to_PEM_cert(der).strip()

    async def until_shown(self, pair: Pair) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                if await self.shown() == pair.pem.strip():
                    return
                await asyncio.sleep(0.02)

    async def call(self, method: str, path: str, data: str | None = None) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "text/plain"}
        url = f"https://127.0.0.1:{self.port}{path}"
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, url, data=data, headers=headers, ssl=False) as answer,
        ):
            return answer.status, await answer.text()


@pytest_asyncio.fixture
async def stopped(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Webapp]:
    folder = Path(tempfile.mkdtemp(prefix="warouter-test-", dir="/tmp"))
    yield Webapp(settings, folder)
    shutil.rmtree(folder)


@pytest_asyncio.fixture
async def webapp(stopped: Webapp, pool: asyncpg.Pool) -> AsyncIterator[Webapp]:
    webapp, accounts = stopped, Accounts(pool)
    await accounts.create_user(1, "boss", "hash", ADMIN)
    assert await accounts.add_token(1, "boss", "hash", hash_of(webapp.token))
    await webapp.process.start()
    yield webapp
    await webapp.process.stop()


async def ask(http: aiohttp.ClientSession, webapp: Webapp, stop: asyncio.Event) -> None:
    """Requests one after the other, half of them on a new connection each, and both kinds twice."""
    url, done = f"https://127.0.0.1:{webapp.port}/", 0
    while not stop.is_set() or done < 4:
        headers = {"Connection": "close"} if done % 2 else {}
        async with http.get(url, headers=headers, ssl=False) as answer:
            assert answer.status == 200
            await answer.read()
        done += 1


async def refuses_old_tls_and_weak_ciphers(webapp: Webapp) -> None:
    for change in ("ECDHE-ECDSA-AES128-SHA256", "old"):
        client = ssl._create_unverified_context()
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        if change == "old":
            client.set_ciphers("ALL:@SECLEVEL=0")
            client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
        else:
            client.set_ciphers(change)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await webapp.shown(client)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_replaced_under_load_without_one_failed_request(webapp: Webapp) -> None:
    assert await webapp.shown() == webapp.file.pem.strip()
    kept = await asyncio.open_connection(
        "127.0.0.1", webapp.port, ssl=ssl._create_unverified_context()
    )
    root = CA()
    pairs = [issued(CA(), key_type=KeyType.RSA), issued(root), alone("last")]
    stop = asyncio.Event()
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(ask(http, webapp, stop))
        for pair in pairs:
            signer = text_of(root) if pair is pairs[1] else ""
            text = pair.pem + signer + pair.key
            assert (await webapp.call("POST", PATH, text))[0] == 200
            await webapp.until_shown(pair)
            await refuses_old_tls_and_weak_ciphers(webapp)
            if signer:
                strict = ssl.create_default_context(cadata=text_of(root))
                assert strict.check_hostname
                assert await webapp.shown(strict) == pair.pem.strip()
                assert await webapp.call("GET", f"{PATH}/ca") == (200, text_of(root))
        stop.set()
    kept[1].write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await kept[0].read()).startswith(b"HTTP/1.1 200")
    kept[1].close()
    log = webapp.process.log.read_text()
    assert not any(pair.key.splitlines()[1] in log for pair in pairs)


async def test_renewed_files_are_served_without_one_failed_request(webapp: Webapp) -> None:
    """By themselves; and what is stored still comes before them."""
    stop, renewed = asyncio.Event(), alone("renewed")
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(ask(http, webapp, stop))
        (webapp.folder / "tls.crt").write_text(renewed.pem)
        (webapp.folder / "tls.key").write_text(renewed.key)
        await webapp.until_shown(renewed)
        stop.set()
    stored = alone("of the database")
    assert (await webapp.call("POST", PATH, stored.pem + stored.key))[0] == 200
    await webapp.until_shown(stored)
    (webapp.folder / "tls.crt").write_text(webapp.file.pem)
    (webapp.folder / "tls.key").write_text(webapp.file.key)
    assert (await webapp.call("DELETE", PATH))[0] == 200
    await webapp.until_shown(webapp.file)


async def test_the_database_wins_at_the_start_and_its_end_brings_the_files_back(
    webapp: Webapp,
) -> None:
    pair = alone("of the database")
    assert (await webapp.call("POST", PATH, pair.pem + pair.key))[0] == 200
    await webapp.process.stop()
    await webapp.process.start()
    assert await webapp.shown() == pair.pem.strip()
    assert (await webapp.call("DELETE", PATH))[0] == 200
    await webapp.until_shown(webapp.file)
    # Without files the database alone will do, and goes on doing when it is emptied.
    assert (await webapp.call("POST", PATH, pair.pem + pair.key))[0] == 200
    await webapp.process.stop()
    webapp.process = webapp.another(WAROUTER_TLS_CERT="", WAROUTER_TLS_KEY="")
    await webapp.process.start()
    assert (await webapp.call("DELETE", PATH))[0] == 200
    log = webapp.process.log
    await soon(lambda: "certificate refresh failed" in log.read_text())
    assert await webapp.shown() == pair.pem.strip()


async def test_nothing_to_serve_with_is_one_sentence(stopped: Webapp) -> None:
    for environment, words in (
        ({"WAROUTER_TLS_CERT": ""}, "No certificate: set WAROUTER_TLS_CERT"),
        ({"WAROUTER_TLS_KEY": "/nowhere"}, "with the key /nowhere cannot be loaded"),
        ({"WAROUTER_TLS_KEY": str(stopped.folder / "tls.crt")}, "cannot be loaded"),
    ):
        process = stopped.another(**environment)
        with pytest.raises(CommandError, match=words):
            await process.start()
        await process.stop()
        assert "Traceback" not in process.log.read_text()
