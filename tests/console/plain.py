"""A client that is no browser: it sends what it likes, and keeps cookies only where it is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import aiohttp
from multidict import CIMultiDictProxy

from tests.console.site import Person, Site

COOKIE = "warouter"  # on loopback without TLS; else __Host-warouter
OWN = {"Sec-Fetch-Site": "same-origin"}
LOGIN, LOGOUT = "/console/login", "/console/logout"


class Got(NamedTuple):
    """An answer."""

    status: int
    headers: CIMultiDictProxy[str]
    text: str

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")

    @property
    def session(self) -> str:
        """The id in the cookie that was set, "" if there is none."""
        found = re.match(rf"{COOKIE}=([^;\"]*)", self.headers.get("Set-Cookie", ""))
        return found[1] if found else ""


class Plain:
    """``session`` is what it sends as the cookie, unless that is ""."""

    def __init__(self, site: Site) -> None:
        self.site = site

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def get(self, path: str, session: str = "", **headers: str) -> Got:
        return await self.ask("GET", path, session, headers=headers)

    async def post(
        self, path: str, session: str, fields: Mapping[str, str], headers: Mapping[str, str] = OWN
    ) -> Got:
        return await self.ask("POST", path, session, headers=headers, data=dict(fields))

    async def ask(
        self,
        method: str,
        path: str,
        session: str = "",
        *,
        headers: Mapping[str, str] = {},
        data: Any = None,
    ) -> Got:
        sent = {**headers, **({"Cookie": f"{COOKIE}={session}"} if session else {})}
        async with self._http.request(
            method, self.site.origin + path, headers=sent, data=data, allow_redirects=False
        ) as answer:
            return Got(answer.status, answer.headers, await answer.text())

    async def log_in(
        self, person: Person, session: str = "", headers: Mapping[str, str] = OWN
    ) -> Got:
        return await self.post(LOGIN, session, person._asdict(), headers)

    async def session_of(self, who: str) -> str:
        """The id of a session of them: a user has 20 at most, and a new one ends the oldest."""
        kept = self.site.sessions
        if who not in kept or not await self.lives(kept[who]):
            kept[who] = await self.fresh(who)
        return kept[who]

    async def fresh(self, who: str) -> str:
        """The id of a new session."""
        got = await self.log_in(self.site.people[who])
        assert got.status == 303, (got.status, got.text)
        assert got.session
        return got.session

    async def lives(self, session: str) -> bool:
        """Whether this cookie is somebody who is logged in."""
        got = await self.get("/console/", session)
        assert got.status == 200 or (got.status == 303 and got.location.startswith(LOGIN)), got
        return got.status == 200
