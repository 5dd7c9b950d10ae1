"""The console's application in this process, on a real database, under the login that it has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from typing import Any, NamedTuple, Self

import asyncpg
import msgspec
from aiohttp import ClientResponse, CookieJar, StreamReader
from aiohttp.test_utils import TestClient, TestServer

from warouter.access.token import hash_of, new_token
from warouter.config import Settings
from warouter.console import guard
from warouter.console.app import Console
from warouter.console.context import ConsoleContext
from warouter.console.session import Cookies
from warouter.console.spared import Spared
from warouter.node.console import context_of
from warouter.store.account.accounts import ADMIN, USER, Accounts
from warouter.store.database import create_pool
from warouter.store.migrate import administering
from warouter.store.roles.catalogue import recorded
from warouter.store.roles.create import create

API = "http://127.0.0.1:9"  # nothing answers there
_PEOPLE = {"alice": ADMIN, "robert": USER}  # an administrator, and who only reads
_OWN = {"Sec-Fetch-Site": "same-origin"}


class Answer(NamedTuple):
    status: int
    text: str
    location: str

    @property
    def seen(self) -> str:
        """What a person reads, without the markup."""
        reader = _Reader()
        reader.feed(self.text)
        return " ".join(" ".join(reader.parts).split())

    def links(self, start: str) -> list[str]:
        """The addresses that begin so."""
        reader = _Reader()
        reader.feed(self.text)
        return [link for link in reader.links if link.startswith(start)]


class Pages:
    """Answers as a browser of one person gets them; redirects are not followed."""

    def __init__(self, context: ConsoleContext, client: TestClient[Any, Any]) -> None:
        self.context = context
        self._client = client
        self._cookie = ""

    async def as_person(self, username: str) -> Self:
        token = new_token()
        assert await self.context.sessions.begin(1, username, "h", hash_of(token), "127.0.0.1")
        self._cookie = token
        return self

    async def get(self, path: str) -> Answer:
        return await _answer(
            await self._client.get(path, headers=self._headers(), allow_redirects=False)
        )

    async def post(self, path: str, fields: Mapping[str, str] | None = None) -> Answer:
        headers = {**self._headers(), **_OWN}
        return await _answer(
            await self._client.post(path, data=fields or {}, headers=headers, allow_redirects=False)
        )

    @asynccontextmanager
    async def streaming(self, path: str) -> AsyncIterator[StreamReader]:
        """What comes on a stream."""
        async with self._client.get(path, headers=self._headers()) as response:
            assert response.status == 200
            yield response.content

    def _headers(self) -> dict[str, str]:
        return {"Cookie": f"warouter={self._cookie}"}


@asynccontextmanager
async def pages(settings: Settings, pool: asyncpg.Pool, **more: Any) -> AsyncIterator[Pages]:
    """The console of this database; ``more`` are settings of it. An administrator is logged in."""
    async with administering(settings) as connection:
        await create(connection, None, None)
        names = await recorded(connection)
    own = msgspec.structs.replace(
        settings, db_username=names["web_console"], console_api=API, **more
    )
    for username, role in _PEOPLE.items():
        await Accounts(pool).create_user(1, username, "h", role)
    mine = await create_pool(own, "console", 2)
    context = context_of(own, mine)
    # By a clock that stands no reading is slow: however busy the machine is, none is given again.
    context.lists, context.doubts = Spared(lambda: 0.0), Spared(lambda: 0.0)
    console = Console(context, Cookies(tls=False), hosts=guard.hosts_of("127.0.0.1", ""))
    client = TestClient(TestServer(console.application()), cookie_jar=CookieJar())
    try:
        async with client:
            yield await Pages(context, client).as_person("alice")
    finally:
        await mine.close()


async def _answer(response: ClientResponse) -> Answer:
    return Answer(response.status, await response.text(), response.headers.get("Location", ""))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("href", "action")]

    def handle_data(self, data: str) -> None:
        self.parts.append(data)
