"""Connections to PostgreSQL: how they are made, and what their failures mean.

Every session is named ``wa:<incarnation>:<node>``, so that a leader can see which incarnations live
and can terminate the sessions of a dead one. Dedicated sessions (locks, beats, owner's writes) are
never pooled: a pool runs pg_advisory_unlock_all() on release.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from warouter.config import Settings
from warouter.errors import CommandError, OutcomeUnknown, UnfitDatabase, UntrustedDatabase, lacking
from warouter.log import Outage
from warouter.net.sockets import notice_silence
from warouter.store import arrays, locks, server_settings
from warouter.store.servers import admitted, open_writable

log = logging.getLogger(__name__)

Connection = asyncpg.Connection
# One connection, a pool's as well: what has a transaction.
Taken = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy
Source = asyncpg.Pool | asyncpg.Connection | asyncpg.pool.PoolConnectionProxy
APPLICATION_BYTES = 63  # longer names are cut by PostgreSQL
CONNECT_SECONDS = 5.0
# What takes longer to commit may or may not be committed: one limit, for owners and leaders alike.
WRITE_SECONDS = 2.0
_hidden = Outage()  # the socket of a connection
TRANSPORT = "_transport"  # asyncpg has no public way to its socket; a test holds it to this name
READ_ONLY = "25006"
_SETTINGS = """
select name, current_setting(name, true) as value from unnest($1::text[]) as name"""
# Where PostgreSQL says that a commit was not, or may not be, on a synchronous standby. Known by its
# place in the source: texts are translated, and 01000 is the SQLSTATE of any warning.
_NOT_REPLICATED = "SyncRepWaitForLSN"
# A write that ends with one of these may or may not be committed: lost connection, shutdown.
_UNKNOWN_STATES = ("08", "57P")
# So does a session that ended with its server: a PANIC may come after the commit was written.
_ENDING_SEVERITIES = ("FATAL", "PANIC")


def application_name(incarnation: UUID, node: str) -> str:
    """The session name by which leaders recognise a node; at most 63 bytes."""
    name = f"wa:{incarnation.hex}:{node}".encode()[:APPLICATION_BYTES]
    return name.decode(errors="ignore")


async def open_session(settings: Settings, **arguments: Any) -> Connection:
    """A connection to the server that takes writes, with the password of the moment. ``arguments``
    are asyncpg's, but for those that WA_DB_* give.
    """
    given = {"user": settings.db_username, "database": settings.database, **arguments}
    return await admitted(
        settings, lambda password: open_writable(settings, **given, password=password)
    )


async def connect(settings: Settings, application: str, **server: str) -> Connection:
    """A dedicated connection that notices a silent peer within about three seconds.

    ``server`` are settings of its own. UnfitDatabase if the session is not what it asked to be.
    """
    asked = server_settings.startup(application, settings.db_schema, **server)
    async with asyncio.timeout(CONNECT_SECONDS):
        connection = await open_session(settings, timeout=CONNECT_SECONDS, server_settings=asked)
        try:
            await _look_over(connection, asked)
        except BaseException:
            connection.terminate()
            raise
    return connection


POOL_IDLE_SECONDS = 5.0  # connections of a burst are closed again soon


async def create_pool(settings: Settings, application: str, most: int) -> asyncpg.Pool:
    """A pool of up to ``most`` connections, for reads and for writes that need no fence.

    The first one is made at once, so that a mistake shows at the start. None is kept up afterwards:
    while the server is away asyncpg would log a traceback at each try to do so.
    """

    asked = server_settings.startup(application, settings.db_schema)

    async def open_one(*_: object, **arguments: Any) -> Connection:
        return await open_session(settings, **arguments)

    async def look_over(connection: Connection) -> None:
        await _look_over(connection, asked)

    arguments: dict[str, Any] = {
        "connect": open_one,
        "init_size": 1,
        "min_size": 0,
        "max_size": most,
        "max_inactive_connection_lifetime": POOL_IDLE_SECONDS,
        "init": look_over,
        "timeout": CONNECT_SECONDS,
        "command_timeout": 10.0,
        "server_settings": asked,
    }
    return await asyncpg.create_pool(**arguments)


def outcome_unknown(error: BaseException) -> bool:
    """True if a write that ended with this error may nevertheless be committed."""
    if isinstance(error, asyncpg.PostgresError):
        return ends_session(error) or (error.sqlstate or "08").startswith(_UNKNOWN_STATES)
    return True


def ends_session(error: asyncpg.PostgresError) -> bool:
    """True if the session is over with this error, or was refused."""
    severity = getattr(error, "severity_en", None) or getattr(error, "severity", None)
    return severity in _ENDING_SEVERITIES


def doubts_commit(notice: asyncpg.PostgresLogMessage) -> bool:
    """True if a notice means that a commit may be lost; one of unknown origin may."""
    return notice.server_source_function in (None, _NOT_REPLICATED)


class Session:
    """A dedicated connection, made when needed, used by one caller at a time.

    ``fetch`` either returns rows, raises asyncpg.PostgresError (not committed), or raises
    OutcomeUnknown (may be committed) after the connection was ended. A commit whose wait for a
    synchronous standby was cancelled is unknown too; all other warnings are only logged.
    """

    def __init__(self, settings: Settings, application: str, **server: str) -> None:
        self._settings = settings
        self._application = application
        self._server = server
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None
        self._doubted = False
        self._warnings: set[tuple[str | None, str | None]] = set()

    async def fetch(self, sql: str, *arguments: Any, within: float) -> list[Any]:
        """Run a statement within ``within`` seconds, counted from this call's turn."""
        async with self._lock:
            connection = await self._connected()
            self._doubted = False
            call = connection.fetch(sql, *arguments)
            try:
                rows: list[Any] = await _answer(call, connection, within)
            except asyncpg.PostgresError as error:
                if outcome_unknown(error):
                    self.terminate()
                    raise OutcomeUnknown(str(error)) from error
                if error.sqlstate == READ_ONLY:
                    self.terminate()  # a primary that was demoted: look for the new one
                raise
            except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
                self.terminate()
                raise OutcomeUnknown(str(error) or type(error).__name__) from error
            if self._doubted:
                self.terminate()
                raise OutcomeUnknown("committed on the primary, but perhaps not on the standby")
            return rows

    def terminate(self) -> None:
        """End the connection at once; the next call makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await close_politely(connection)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            try:
                connection = await connect(self._settings, self._application, **self._server)
                arrays.encode_at_once(connection)
                connection.add_log_listener(self._on_notice)
            except Exception as error:
                raise OutcomeUnknown(f"no connection to the database: {error!r}") from error
            self._connection = connection
        return self._connection

    def _on_notice(self, _connection: object, notice: asyncpg.PostgresLogMessage) -> None:
        self._doubted = self._doubted or doubts_commit(notice)
        kind = notice.sqlstate, notice.server_source_function
        if kind not in self._warnings:  # the same warning may come with every write
            self._warnings.add(kind)
            log.warning("database warned", extra={"warning": notice.message, "sqlstate": kind[0]})


async def close_politely(connection: Connection) -> None:
    """Close the connection, but never wait for a peer that does not answer."""
    with contextlib.suppress(Exception):
        await connection.close(timeout=1.0)
    if not connection.is_closed():
        connection.terminate()


async def first_connection(settings: Settings, application: str) -> Connection:
    """Connect; a failure raises a sentence for the command line."""
    where = settings.db_where
    try:
        return await connect(settings, application)
    except asyncpg.InvalidPasswordError as error:
        raise CommandError(
            f"PostgreSQL at {where} refused the password of {settings.db_username!r}:"
            " set WA_DB_USERNAME and WA_DB_PASSWORD or WA_DB_PASSWORD_FILE."
        ) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise CommandError(lacking(f"login {settings.db_username}: {error}")) from error
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        raise CommandError(
            f"PostgreSQL at {where} does not let {settings.db_username!r} in"
            f" ({_first_line(error)}): set WA_DB_USERNAME, and WA_DB_SSL_CERT if it asks for a"
            " certificate, or change its pg_hba.conf."
        ) from error
    except asyncpg.InvalidCatalogNameError as error:
        raise CommandError(
            f"Database {settings.database!r} does not exist at {where}: run `warouter migrate`,"
            " or set WAROUTER_DB_NAME to the one that was made."
        ) from error
    except (UnfitDatabase, UntrustedDatabase) as error:
        raise CommandError(str(error)) from error
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise CommandError(
            f"PostgreSQL at {where} cannot be reached ({_first_line(error)}):"
            f" check WA_DB_HOSTNAME and WA_DB_PORT, and that it runs{_local(settings)}."
        ) from error


def _local(settings: Settings) -> str:
    """More, where it may be the one that `warouter up` runs."""
    return ", a local cluster by `warouter up`" if settings.db_hostname.startswith("/") else ""


def _first_line(error: Exception) -> str:
    """The first line of an error, without the detail and hint that PostgreSQL may add."""
    return str(error).partition("\n")[0] or type(error).__name__


async def listen(connection: Connection, wake: Callable[[str], None]) -> None:
    """Call ``wake(payload)`` for every NOTIFY on our channel; some may be lost: polling decides."""

    def on_notify(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        wake(str(payload))

    await connection.add_listener(locks.CHANNEL, on_notify)


async def settings_found(connection: Connection, names: Sequence[str]) -> dict[str, str | None]:
    """Settings as this session has them; None for those that the server does not know."""
    rows = await connection.fetch(_SETTINGS, names)
    return {row["name"]: row["value"] for row in rows}


async def _look_over(connection: Connection, asked: Mapping[str, str]) -> None:
    _harden_socket(connection)
    found = await settings_found(connection, server_settings.looked_at(asked))
    if sentence := server_settings.refusal(asked, found):
        raise UnfitDatabase(sentence)


async def _answer(call: Awaitable[Any], connection: Connection, within: float) -> Any:
    """The call's result. After ``within`` seconds, or when the caller is cancelled, the connection
    is ended; OSError if it was too late.

    As a task of its own the call would cost as much as its statement. So when the caller is
    cancelled asyncpg is about to send a CancelRequest, which lets an unreplicated commit become
    visible: a connection that is terminated at once sends none.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    timer = loop.call_at(deadline, connection.terminate)
    try:
        return await call
    except asyncio.CancelledError:
        connection.terminate()
        raise
    except Exception as error:
        if loop.time() < deadline:
            raise
        raise OSError(f"no answer from the database within {within:g} s") from error
    finally:
        timer.cancel()


def _harden_socket(connection: Connection) -> None:
    """Notice a silent peer on this side as well. asyncpg has no
    option for it, and its transport is private.

    Goes without if that way is closed one day (a test holds asyncpg to it): then the time limits of
    the calls notice it, later.
    """
    try:
        sock = getattr(connection, TRANSPORT).get_extra_info("socket")
    except AttributeError as error:
        if _hidden.begins():
            log.warning("database socket lookup failed", extra={"error": str(error)})
        return
    if sock is not None:
        notice_silence(sock)
