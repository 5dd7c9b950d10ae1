"""A webapp process without a cluster, on loopback without TLS."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec

from tests.harness.api import basic
from tests.harness.postgres import environment_of
from tests.harness.wait import PATIENCE
from warouter.config import Settings
from warouter.local.ports import free_port
from warouter.local.process import Process


class Webapp:
    """The process, and calls of it; ``process.start`` starts it."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.port = free_port()
        environment = {
            **environment_of(settings),
            "WEBAPP_EXTERNAL_PORTS": str(self.port),
            "WAROUTER_NO_TLS": "1",
        }
        self.process = Process("webapp", "webapp", ["webapp"], environment, folder)

    async def call(self, method: str, path: str, authorization: str) -> tuple[int, bytes]:
        url = f"http://127.0.0.1:{self.port}{path}"
        headers = {"Authorization": authorization}
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, url, headers=headers) as answer,
        ):
            return answer.status, await answer.read()

    async def token_of(self, username: str, password: str) -> str:
        status, body = await self.call("POST", "/v1/users/login", basic(username, password))
        assert status == 200, body
        token: str = msgspec.json.decode(body)["users"][0]["token"]
        return token

    async def opens(self, token: str) -> bool:
        return (await self.call("GET", "/v1/health", f"Bearer {token}"))[0] == 200

    async def until_ended(self, token: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self.opens(token):
                pass


@asynccontextmanager
async def alone(settings: Settings) -> AsyncIterator[Webapp]:
    """A webapp on this database, not started yet; it is stopped in the end."""
    folder = Path(tempfile.mkdtemp(prefix="warouter-test-", dir="/tmp"))
    webapp = Webapp(settings, folder)
    try:
        yield webapp
    finally:
        await webapp.process.stop()
        shutil.rmtree(folder)
