"""``warouter console`` as a process, on loopback without TLS, and what a browser asks it for."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp
import msgspec
from multidict import CIMultiDict

from warouter.config import Settings
from warouter.local.ports import free_port
from warouter.local.process import Process
from warouter.store.migrate import administering
from warouter.store.roles.catalogue import recorded
from warouter.store.roles.create import create

COOKIE = "warouter"
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
            **os.environ,
            "WA_DB_HOSTNAME": settings.db_hostname,
            "WA_DB_USERNAME": settings.db_username,
            "WAROUTER_DB_NAME": settings.database,
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
