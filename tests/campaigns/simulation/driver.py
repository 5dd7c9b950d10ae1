"""What stands in for ``asyncpg.connect`` and the connection that it gives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import asyncpg

from tests.campaigns.simulation.loop import Loop
from tests.campaigns.simulation.network import Link, Pipe
from tests.campaigns.simulation.server import SHUTDOWN, Server, Session
from tests.harness.patch import patched


class StaleTerm(asyncpg.PostgresError):
    """A leader write of a term that is over."""

    sqlstate = "WA002"


_NOT_REPLICATED = asyncpg.PostgresLogMessage.new(
    {"S": "WARNING", "C": "01000", "M": "not replicated", "R": "SyncRepWaitForLSN"}
)


class _Version(NamedTuple):
    major: int


class _Record(dict[str, Any]):
    """A row as asyncpg gives it: it has names, and yields its values."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values())


class _Wire:
    """asyncpg's transport, as far as warouter looks at it."""

    def get_extra_info(self, _name: str) -> None:
        return None


@contextmanager
def installed() -> Iterator[None]:
    """Within, connections lead to the simulated server of the process that asks for one."""
    with patched([(asyncpg, "connect", _connect)]):
        yield


async def _connect(**keywords: Any) -> Connection:
    loop: Any = asyncio.get_running_loop()
    connection: Connection = await loop.process.to_database(keywords["server_settings"])
    return connection


async def connect(loop: Loop, link: Link, server: Server, settings: dict[str, str]) -> Connection:
    """A connection over ``link``; OSError when the server is down."""
    connection = Connection(loop, link, server)
    future = loop.create_future()
    connection.up.send(connection.called, settings, future)
    try:
        await future
    except BaseException:
        connection.terminate()
        raise
    return connection


class Connection:
    """The client's end of a session."""

    _transport = _Wire()

    def __init__(self, loop: Loop, link: Link, server: Server) -> None:
        self._loop = loop
        self._link = link
        self._server = server
        self.up = Pipe(link)
        self._down = Pipe(link)
        self._session: Session | None = None
        self._waiter: asyncio.Future[Any] | None = None
        self._shape: Callable[[list[Any]], Any] = _all
        self._closed = False
        self._ended: list[Callable[[Any], None]] = []
        self._notices: list[Callable[[Any, Any], None]] = []
        self._hints: list[Callable[[Any, int, str, object], None]] = []
        link.ends[self] = None
        loop.process.ends[self] = None

    # asyncpg

    def fetch(self, sql: str, *arguments: Any) -> asyncio.Future[Any]:
        return self._call(_all, sql, arguments)

    def fetchrow(self, sql: str, *arguments: Any) -> asyncio.Future[Any]:
        return self._call(_row, sql, arguments)

    def fetchval(self, sql: str, *arguments: Any) -> asyncio.Future[Any]:
        return self._call(_value, sql, arguments)

    def execute(self, sql: str, *arguments: Any) -> asyncio.Future[Any]:
        return self._call(_nothing, sql, arguments)

    def is_closed(self) -> bool:
        return self._closed

    def get_server_version(self) -> _Version:
        return _Version(18)

    def add_termination_listener(self, listener: Callable[[Any], None]) -> None:
        self._ended.append(listener)

    def add_log_listener(self, listener: Callable[[Any, Any], None]) -> None:
        self._notices.append(listener)

    async def add_listener(self, _channel: str, listener: Any) -> None:
        self._hints.append(listener)
        if self._session is not None:
            self.up.send(setattr, self._session, "listens", True)

    def terminate(self) -> None:
        """Close at once. What was written may still arrive."""
        if self._closed:
            return
        if self._server.draw() < 0.5:
            self._link.drop(self.up)
        self._say_goodbye()
        self.reset()

    async def close(self, **_timeout: float) -> None:
        self.terminate()

    # the network

    def called(self, settings: dict[str, str], future: asyncio.Future[Any]) -> None:
        """The server is reached."""
        name = self._loop.process.name
        if state := self._server.refusal(name):
            self._down.send(self._loop.call_soon, _refused, state, future)
            return
        session = self._server.accept(name, self, self._down, settings)
        if session is not None and self._closed:
            session.end()
            return
        self._session = session
        self._down.send(self._loop.call_soon, _reached, session, future)

    def answer(self, rows: list[Any], warned: bool) -> None:
        self._loop.call_soon(self._answered, rows, warned)

    def failure(self, state: str) -> None:
        self._loop.call_soon(self._failed, _error(state))

    def hint(self, what: str) -> None:
        if not self._closed:
            self._loop.call_soon(self._hinted, what)

    def receive(self, data: Any) -> None:
        """Everything else comes by the methods above."""

    def reset(self) -> None:
        """The connection is gone."""
        if not self._closed:
            self._close()
            self._loop.call_soon(self._lost)

    def detach(self) -> None:
        """This end's process is gone."""
        if not self._closed:
            self._say_goodbye()
            self._close()

    # inside

    def _call(
        self, shape: Callable[[list[Any]], Any], sql: str, arguments: tuple[Any, ...]
    ) -> asyncio.Future[Any]:
        future = self._loop.create_future()
        if self._waiter is not None and self._waiter.cancelled():
            self.terminate()
        if self._closed:
            future.set_exception(asyncpg.InterfaceError("connection is closed"))
        elif self._waiter is not None:
            # As asyncpg: two tasks on one connection are a defect.
            future.set_exception(RuntimeError("another operation is in progress"))
        else:
            self._waiter, self._shape = future, shape
            self.up.send(self._server.arrive, self._session, sql, arguments)
        return future

    def _answered(self, rows: list[Any], warned: bool) -> None:
        waiter, self._waiter = self._waiter, None
        if warned:
            for tell in self._notices:
                tell(self, _NOT_REPLICATED)
        if waiter is not None and not waiter.done():
            waiter.set_result(self._shape(rows))

    def _failed(self, error: Exception) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    def _hinted(self, what: str) -> None:
        for tell in self._hints:
            tell(self, 0, "warouter", what)

    def _lost(self) -> None:
        self._failed(asyncpg.ConnectionDoesNotExistError("connection was closed"))
        for tell in self._ended:
            tell(self)

    def _say_goodbye(self) -> None:
        if self._session is not None:
            self.up.send(self._session.client_gone)

    def _close(self) -> None:
        self._closed = True
        self._link.ends.pop(self, None)
        self._loop.process.ends.pop(self, None)


def _refused(state: str, future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(_error(state))


def _error(state: str) -> asyncpg.PostgresError:
    """As asyncpg makes it of what the server says."""
    if state == StaleTerm.sqlstate:
        return StaleTerm(state)
    said = {"S": "ERROR", "V": "FATAL" if state == SHUTDOWN else "ERROR", "C": state, "M": state}
    error: asyncpg.PostgresError = asyncpg.PostgresError.new(said)
    return error


def _reached(session: Session | None, future: asyncio.Future[Any]) -> None:
    if future.done():
        return
    if session is None:
        future.set_exception(ConnectionRefusedError("the server is down"))
    else:
        future.set_result(None)


def _all(rows: list[Any]) -> Any:
    return [_Record(row) if isinstance(row, dict) else row for row in rows]


def _row(rows: list[Any]) -> Any:
    return _all(rows[:1])[0] if rows else None


def _value(rows: list[Any]) -> Any:
    if not rows:
        return None
    row = rows[0]
    return next(iter(row.values())) if isinstance(row, dict) else row[0]


def _nothing(_rows: list[Any]) -> Any:
    return "OK"
