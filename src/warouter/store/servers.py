"""Finds the server of WA_DB_HOSTNAME that accepts writes, and the password that it takes.

asyncpg's own host list has one time limit for all hosts: a primary whose machine is gone without a
word would use it up, and the standby that was promoted would never be asked. Here the next server
is asked as soon as the one before has refused or has kept silent for a moment.

The file of the password may have several lines while it is rotated, so that it can be changed on
all machines before or after the role's password is: each line is tried until the server takes one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import asyncpg

from warouter.config import Settings
from warouter.errors import UntrustedDatabase
from warouter.secret import Followed, lines_of
from warouter.store.server_settings import NEWER, NEWER_SINCE
from warouter.store.transport.dial import dial
from warouter.variables import SecretSource

Connection = asyncpg.Connection
Server = tuple[str, int]

HEAD_START = 0.25
DEFAULT_SECONDS = 60.0  # asyncpg's
AGAIN_SECONDS = 0.5  # to the next question to those that refused, while another keeps silent
# Those that ended a session since it asked for what a newer PostgreSQL has.
_older: set[Server] = set()
# The line that was taken last, by its file: without it each connect might begin with a refusal.
_taken: dict[str, str] = {}


async def open_writable(settings: Settings, **arguments: Any) -> Connection:
    """A connection to the first server that accepts writes;
    otherwise raises the most informative refusal.

    A server that is cut off may keep silent for all of asyncpg's ``timeout`` (seconds). Meanwhile a
    standby that has refused may be promoted: so those are asked again and again, and for no longer,
    as two servers that are slow to fail would keep each other's question alive for ever.
    """
    until = asyncio.get_running_loop().time() + arguments.get("timeout", DEFAULT_SECONDS)
    rest, racing = settings.db_servers, dict[asyncio.Task[Connection], Server]()
    again, refusals = list[Server](), dict[Server, BaseException]()
    try:
        while rest or racing:
            if rest:
                server = rest.pop(0)
                racing[asyncio.ensure_future(_open(settings, server, arguments))] = server
            pause = HEAD_START if rest else AGAIN_SECONDS if again else None
            done, _ = await asyncio.wait(racing, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            asked = {attempt: racing.pop(attempt) for attempt in done}
            won = [attempt for attempt in done if attempt.exception() is None]
            for late in won[1:]:
                _discard(late)
            if won:
                return won[0].result()
            refused = {server: a.exception() for a, server in asked.items()}
            refusals |= {server: error for server, error in refused.items() if error is not None}
            again += [server for server in refused if not _telling(refusals[server])]
            left = until - asyncio.get_running_loop().time()
            if not done and not rest and left > 0:
                rest, again, arguments = again, [], arguments | {"timeout": left}
    finally:
        for attempt in racing:
            attempt.add_done_callback(_discard)
            attempt.cancel()
    raise max(refusals.values(), key=_telling)


async def _open(settings: Settings, server: Server, arguments: dict[str, Any]) -> Connection:
    host, port = server
    try:
        return await _start(settings, server, arguments | {"target_session_attrs": "read-write"})
    except asyncpg.TargetServerAttributeNotMatched as error:
        raise ConnectionRefusedError(
            f"{host}:{port} takes no writes: a standby, or default_transaction_read_only is on"
        ) from error


async def _start(settings: Settings, server: Server, arguments: dict[str, Any]) -> Connection:
    """Connect; retry without settings of newer versions, which are remembered of this server."""
    was_older = server in _older
    if not was_older:
        try:
            return await dial(settings, *server, **arguments)
        except asyncpg.UndefinedObjectError:
            _older.add(server)
    wanted = {n: v for n, v in arguments["server_settings"].items() if n not in NEWER}
    connection = await dial(settings, *server, **arguments | {"server_settings": wanted})
    if was_older and connection.get_server_version().major >= NEWER_SINCE:
        # Another PostgreSQL answers there by now: an upgrade, or an address that moved.
        connection.terminate()
        _older.discard(server)
        return await _start(settings, server, arguments)
    return connection


def _telling(refusal: BaseException) -> bool:
    """Ranks refusals: the password, the database or TLS tell more than an unreachable server."""
    if isinstance(refusal, UntrustedDatabase):
        return True
    return isinstance(refusal, asyncpg.PostgresError) and not isinstance(
        refusal, asyncpg.CannotConnectNowError
    )


def _discard(attempt: asyncio.Task[Connection]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().terminate()


async def admitted(
    settings: Settings, connect: Callable[[str], Awaitable[Connection]]
) -> Connection:
    """``connect`` with each password until one is taken; raises the refusal of the last one.

    ConfigError if the file could never be used since the process started.
    """
    source = settings.db_password_source
    if not source.path:
        return await connect(source.value)
    lines = _followed(settings.db_password_name, source.path).now()
    *others, last = sorted(lines, key=lambda line: line != _taken.get(source.path))
    for password in others:
        try:
            return await _taken_by(connect, password, source.path)
        except asyncpg.InvalidPasswordError:
            continue
    return await _taken_by(connect, last, source.path)


async def _taken_by(
    connect: Callable[[str], Awaitable[Connection]], password: str, path: str
) -> Connection:
    connection = await connect(password)
    _taken[path] = password
    return connection


@cache
def _followed(name: str, path: str) -> Followed[tuple[str, ...]]:
    return Followed(name, SecretSource(path=path), lines_of)
