"""Server-sent events (HTML Living Standard, 9.2): the changing part of a page, kept up to date.

An event without a name is the whole part anew, sent when it has changed. ``alive`` says every two
seconds that readings succeed, with the time of the last: a page that hears none is out of date.
A comment every 15 s keeps proxies from ending a quiet stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from aiohttp import web

from warouter.console.feed import News
from warouter.console.visit import ConsoleRefusal, Visitor
from warouter.store.account.accounts import is_unavailable
from warouter.store.cached_reading import CachedReading

ALIVE_SECONDS = 2.0
HEARTBEAT_SECONDS = 15.0
SESSION_SECONDS = 5.0  # how long a stream may outlive the session that opened it
SHARED_SECONDS = 1.0  # of that, the age of an answer that streams share
MOST, MOST_A_USER, MOST_A_SESSION = 100, 40, 20
KEPT = 20  # of all, for administrators
Lives = Callable[[], Awaitable[bool]]
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # a proxy shall pass each event on at once
}


class _SessionStreams:
    """The streams of one session. They share one question whether it has ended."""

    def __init__(self, username: str, lives: Lives) -> None:
        self.username = username
        self.open = 0
        self._lives = CachedReading(lives, SHARED_SECONDS)

    async def lasts(self) -> bool:
        """False once it has ended; while the database is away nobody knows, and nothing is sent."""
        try:
            return await self._lives.get()
        except Exception as error:
            if is_unavailable(error):
                return True
            raise


class Streams:
    """The open streams, counted: so many in all, of one user and of one session."""

    def __init__(self) -> None:
        self._sessions: dict[bytes, _SessionStreams] = {}

    def __len__(self) -> int:
        return sum(session.open for session in self._sessions.values())

    @contextmanager
    def counted(self, visitor: Visitor, lives: Lives) -> Iterator[Lives]:
        """Counts one more of the visitor's session; ConsoleRefusal (429) if there are too many.
        However many readers look, an administrator finds a place.

        ``lives`` asks the database whether the session goes on; what is given asks it seldom.
        """
        self._check(visitor)
        key = visitor.session
        session = self._sessions.setdefault(key, _SessionStreams(visitor.username, lives))
        session.open += 1
        try:
            yield session.lasts
        finally:
            session.open -= 1
            if not session.open:
                del self._sessions[key]

    def _check(self, visitor: Visitor) -> None:
        own = [s for s in self._sessions.values() if s.username == visitor.username]
        here = self._sessions.get(visitor.session)
        if here is not None and here.open >= MOST_A_SESSION:
            raise ConsoleRefusal(f"You have {MOST_A_SESSION} pages open: close some of them.", 429)
        if sum(session.open for session in own) >= MOST_A_USER:
            raise ConsoleRefusal(
                f"{visitor.username} has {MOST_A_USER} pages open, at whatever browsers: close some"
                " of them.",
                429,
            )
        places = MOST if visitor.admin else MOST - KEPT
        if len(self) >= places:
            raise ConsoleRefusal(
                f"{places} pages are being kept up to date: close some of them.", 429
            )


async def send(request: web.Request, news: AsyncIterator[News], lasts: Lives) -> web.StreamResponse:
    """Send news until the browser leaves, or ``lasts`` says that the session has ended."""
    response = web.StreamResponse(headers=HEADERS)
    await response.prepare(request)
    loop = asyncio.get_running_loop()
    sent, spoken, asked = "", float("-inf"), loop.time()
    pending: asyncio.Future[News] | None = None
    with suppress(ConnectionError):
        try:
            while True:
                pending = pending or asyncio.ensure_future(anext(news))
                await asyncio.wait({pending}, timeout=HEARTBEAT_SECONDS)
                now = loop.time()
                if now - asked >= SESSION_SECONDS - SHARED_SECONDS:
                    asked = now
                    if not await lasts():
                        break
                if not pending.done():
                    await response.write(b": still here\n\n")
                    continue
                text = pending.result().text
                pending = None
                said = b""
                if text != sent:
                    said, sent = event(text), text
                if now - spoken >= ALIVE_SECONDS:
                    said, spoken = said + event(_time(), "alive"), now
                if said:
                    await response.write(said)
        finally:
            if pending is not None:
                pending.cancel()
                await asyncio.wait({pending})
    return response


def event(text: str, name: str = "") -> bytes:
    """One event; a text of several lines is several lines of data."""
    head = f"event: {name}\n" if name else ""
    lines = "\n".join(f"data: {line}" for line in text.splitlines())
    return f"{head}{lines}\n\n".encode()


def _time() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
