"""``warouter console`` as a process, on loopback without TLS, and what a browser asks it for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple, TypeVar

import aiohttp
import asyncpg
import msgspec
from multidict import CIMultiDict

from tests.harness.api import FULL_USER_HASH
from tests.harness.audit import forget
from tests.harness.postgres import environment_of
from warouter.config import Settings
from warouter.local.ports import free_port
from warouter.local.process import Process
from warouter.store.account.accounts import ADMIN, USER, Accounts
from warouter.store.migrate import administering
from warouter.store.roles.catalogue import recorded
from warouter.store.roles.create import create

T = TypeVar("T")

COOKIE = "warouter"
_TABLES = ("console_session", "token", "api_key", "user_account", "attempt")
# What a browser sends with a form of the page that it shows.
OF_A_PAGE = {"Sec-Fetch-Site": "same-origin"}


async def logins_of(settings: Settings) -> dict[str, Settings]:
    """Make the logins of this database; settings by kind."""
    async with administering(settings) as connection:
        await create(connection, None, None)
        names = await recorded(connection)
    return {
        kind: msgspec.structs.replace(settings, db_username=name) for kind, name in names.items()
    }


class Answer(NamedTuple):
    status: int
    text: str
    headers: Mapping[str, str]
    cookie: str  # as it is set; "" if it is not

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")


class Console:
    """The process under the login of these settings; ``environment`` adds to its own."""

    def __init__(self, settings: Settings, folder: Path, environment: Mapping[str, str]) -> None:
        self.port = free_port()
        own = {
            **environment_of(settings),
            "WAROUTER_CONSOLE_LISTEN": f"127.0.0.1:{self.port}",
            "WAROUTER_NO_TLS": "1",
            **environment,
        }
        self.process = Process("console", "console", ["console"], own, folder)

    async def ask(
        self,
        path: str,
        form: Mapping[str, str] | None = None,
        *,
        cookie: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """GET the path, or POST the form to it; no redirect is followed."""
        sent = CIMultiDict[str]({} if form is None else OF_A_PAGE)
        sent.extend(headers or {})
        if cookie:
            sent["Cookie"] = f"{COOKIE}={cookie}"
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
            http.request(
                "GET" if form is None else "POST",
                f"http://127.0.0.1:{self.port}{path}",
                data=form,
                headers=sent,
                allow_redirects=False,
            ) as answer,
        ):
            found = answer.cookies.get(COOKIE)
            text = await answer.text()
            return Answer(answer.status, text, answer.headers, found.value if found else "")

    @asynccontextmanager
    async def streaming(self, page: str, cookie: str) -> AsyncIterator[aiohttp.StreamReader]:
        """The stream of a page, of which the first event has come."""
        url = f"http://127.0.0.1:{self.port}/console/stream?page={page}"
        headers = {"Cookie": f"{COOKIE}={cookie}"}
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
            http.get(url, headers=headers) as answer,
        ):
            assert answer.status == 200
            await answer.content.readuntil(b"\n\n")
            yield answer.content

    async def log_in(self, username: str, password: str, **more: str) -> str:
        """The cookie of a new session."""
        form = {"username": username, "password": password, **more}
        answer = await self.ask("/console/login", form)
        assert answer.status == 303, answer.text
        assert answer.cookie
        return answer.cookie


class Consoles:
    """The consoles that tests share: one process for each environment, on one database.

    They run beside the tests, each of which has a loop of its own, and end with ``close``.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever)
        self._thread.start()
        self.kinds = self._run(logins_of(settings)).result()
        self._started: dict[tuple[object, ...], Console] = {}

    async def one(self, number: int = 0, **environment: str) -> Console:
        """The console of this environment; another ``number`` is another process."""
        key = (number, *sorted(environment.items()))
        if key not in self._started:
            folder = self._folder / str(len(self._started))
            console = Console(self.kinds["web_console"], folder, environment)
            self._started[key] = console
            await asyncio.wrap_future(self._run(console.process.start()))
        return self._started[key]

    def close(self) -> None:
        for console in self._started.values():
            self._run(console.process.stop()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)


async def begin_anew(pool: asyncpg.Pool) -> None:
    """Empty what log-ins leave, but for an administrator `admin` and a user `robert`.

    Both have USER_PASSWORD.
    """
    for table in _TABLES:
        await pool.execute(f"delete from {table}")
    await forget(pool)
    accounts = Accounts(pool)
    await accounts.create_user(1, "admin", FULL_USER_HASH, ADMIN)
    await accounts.create_user(1, "robert", FULL_USER_HASH, USER)
