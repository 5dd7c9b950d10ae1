"""The session by which a process shows that it lives, and its beats."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from warouter._hash import HASH_NAME, HASH_VERSION
from warouter.config import Settings
from warouter.errors import OutcomeUnknown
from warouter.store import locks
from warouter.store.database import Connection, application_name, connect, listen, outcome_unknown

_SHOW = "select pg_try_advisory_lock($1, hashtext($2))"
_REGISTER = "select register_node($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13)"
_BEAT = "select * from beat($1, $2, $3, $4, $5)"
LOST = "lost"  # the hint that the session itself has ended, and others were missed
BETWEEN_SECONDS = 0.5  # a beat waits so long for another statement, and a lease for several beats


class NodeRegistration(msgspec.Struct, frozen=True, kw_only=True):
    """The facts that a process publishes about itself at its start."""

    incarnation: UUID
    name: str
    role: str
    host: str
    port: int
    version: str
    pid: int
    link_key: bytes | None = None
    fingerprint: str | None = None
    certificate: bytes = b""  # DER, of what dials other hosts

    @property
    def application(self) -> str:
        return application_name(self.incarnation, self.name)


class Beat(msgspec.Struct, frozen=True):
    """The answer to a beat: renewed slots with their epochs, slots
    to hand over, and the counters of what others may change.

    ``moving`` are slots for which no request shall begin; with the simulator there are none.
    ``inactive`` are numbers, paused or removed, of which none shall begin.
    """

    renewed: dict[int, int]
    handing: dict[int, int]
    map_version: int
    settings_version: int
    auth_version: int  # of users and tokens
    moving: frozenset[int] = frozenset()
    inactive: frozenset[int] = frozenset()


class NodeSession:
    """The connection that shows that a node is alive: alive lock, beats, and LISTEN.

    Dedicated; remade when lost. A beat that finds no row registers again: it never means fenced.
    Between two beats it also takes a statement that waits for nothing, such as a report's: a
    session for that alone, opened and closed each time, costs more than the beats. What may wait,
    for a leader's lock or a slow disk, goes elsewhere: who cannot beat meanwhile is taken for dead.
    """

    def __init__(
        self, settings: Settings, registration: NodeRegistration, wake: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._registration = registration
        self._wake = wake
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()  # one task at a time on a connection
        self.registered = asyncio.Event()  # there is a connection, and it is ready
        self._shown = False  # this connection has the lock of the living
        self.alive = False  # the last beat was confirmed, and its connection stands
        self._answered: float | None = None  # when the last confirmed beat was, by the loop's clock

    def register_as(self, registration: NodeRegistration) -> None:
        """Publish these facts with the next registration: the listening address is known now."""
        self._registration = registration

    async def publish(self, certificate: bytes) -> None:
        """Put this certificate (DER) into the node row, also whenever that is written anew.

        Returns once others can read it. OutcomeUnknown if the database does not say so.
        """
        self._registration = msgspec.structs.replace(self._registration, certificate=certificate)
        await self.registered.wait()
        try:
            await self.fetch(_REGISTER, *self._facts())
        except asyncpg.PostgresError as error:
            raise OutcomeUnknown(f"certificate: {error!r}") from error

    @property
    def incarnation(self) -> UUID:
        return self._registration.incarnation

    @property
    def connected(self) -> bool:
        return self._connection is not None and not self._connection.is_closed()

    @property
    def beat_age(self) -> float | None:
        """Seconds since the last beat that the database confirmed; None before the first."""
        if self._answered is None:
            return None
        return asyncio.get_running_loop().time() - self._answered

    async def beat(
        self,
        upstream_ok: bool,
        within: float,
        unreached: Sequence[UUID] = (),
        journal_ok: bool = True,
    ) -> Beat:
        """Renew the leases once. Raises OutcomeUnknown if no answer comes in ``within`` seconds.

        ``unreached`` are the coreapps that this webapp has no link to; ``journal_ok``: this
        coreapp can write its journals.
        """
        r = self._registration
        said = (r.incarnation, upstream_ok, list(unreached), journal_ok, r.role == "coreapp")
        try:
            async with asyncio.timeout(within), self._lock:
                connection = await self._connected()
                row = await connection.fetchrow(_BEAT, *said)
                if row is None:
                    await self._register(connection)
                    row = await connection.fetchrow(_BEAT, *said)
        except Exception as error:
            self.terminate()
            raise OutcomeUnknown(f"beat: {error!r}") from error
        assert row is not None
        self.alive = self.connected
        self._answered = asyncio.get_running_loop().time()
        return Beat(
            dict(zip(row["slots"], row["epochs"], strict=True)),
            dict(zip(row["handing"], row["handing_epochs"], strict=True)),
            row["map_version"],
            row["settings_version"],
            row["auth_version"],
            frozenset(row["moving"]),
            frozenset(row["inactive"]),
        )

    async def fetch(self, sql: str, *arguments: Any) -> list[Any]:
        """Run a statement that waits for nothing, while ``registered``. OutcomeUnknown, and the
        connection is ended, if there is no answer before a beat would be late. A beat that is under
        way is waited for: it has a limit of its own.
        """
        async with self._lock:
            if self._connection is None:
                raise OutcomeUnknown("between two beats: no session")
            try:
                async with asyncio.timeout(BETWEEN_SECONDS):
                    rows: list[Any] = await self._connection.fetch(sql, *arguments)
                    return rows
            except asyncpg.PostgresError as error:
                if outcome_unknown(error):
                    self.terminate()
                raise
            except Exception as error:
                self.terminate()
                raise OutcomeUnknown(f"between two beats: {error!r}") from error

    def terminate(self) -> None:
        self.alive = False
        self.registered.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _connected(self) -> Connection:
        if not self.connected:
            connection = await connect(self._settings, self._registration.application)
            self._connection = connection  # from here on terminate() ends it
            connection.add_termination_listener(self._on_lost)
            await self._show(connection)
            await self._register(connection)
            await listen(connection, self._wake)
            self.registered.set()
        assert self._connection is not None
        if not self._shown:
            await self._show(self._connection)
        return self._connection

    async def _show(self, connection: Connection) -> None:
        """Take the lock of the living. If it is not free the next beat tries again: a leader that
        looks for it has it for a moment, and a lost connection until the server notices.
        """
        incarnation = self._registration.incarnation.hex
        self._shown = await connection.fetchval(_SHOW, locks.ALIVE, incarnation)

    def _on_lost(self, _connection: object) -> None:
        """Beat again at once: a node without a session is soon judged dead."""
        self.alive = False
        self._wake(LOST)

    async def _register(self, connection: Connection) -> None:
        await connection.execute(_REGISTER, *self._facts())

    def _facts(self) -> tuple[Any, ...]:
        r = self._registration
        return (
            r.incarnation,
            r.name,
            r.role,
            r.host,
            r.port,
            r.link_key,
            r.fingerprint,
            r.version,
            HASH_NAME,
            HASH_VERSION,
            r.pid,
            self._settings.upstream_name,
            r.certificate,
        )
