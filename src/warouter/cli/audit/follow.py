"""``warouter audit --follow``: each row of the audit log as it is written, once and in order.

The chain is checked on the way, so that a copy of what is printed can be verified by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import click

from warouter.cli.database import checked, told
from warouter.config import Settings
from warouter.errors import CommandError
from warouter.store import locks
from warouter.store.database import Connection, close_politely
from warouter.store.views.audit import read_ends, read_rows
from warouter.store.views.chain import Chain, ChainBroken, ChainRow, Ends

APPLICATION = "warouter audit"
POLL_SECONDS = 1.0

Show = Callable[[ChainRow], None]


async def follow(settings: Settings, since: int | None, show: Show) -> None:
    """Show the rows behind ``since``, or behind the newest, until cancelled.

    The database must answer at first; later it may be away, which is said on stderr. CommandError
    if the log is not continued by what comes, and if there is no row ``since``.
    """
    follower = Follower(settings, show)
    try:
        await follower.begin(since)
        await follower.run()
    except ChainBroken as error:
        raise CommandError(
            f"The audit log is broken: {error}. Keep what was printed so far,"
            " and run `warouter audit --verify`."
        ) from error
    finally:
        await follower.close()


class Follower:
    """A place in the log, and a connection that is made again when it is lost."""

    def __init__(self, settings: Settings, show: Show) -> None:
        self._settings = settings
        self._show = show
        self._news = asyncio.Event()
        self._connection: Connection | None = None
        self._away = False

    async def begin(self, since: int | None) -> None:
        """Connect, and take the place behind row ``since``."""
        connection = await self._connected()
        with told():
            ends = await _ends(connection)
            if since is None or since == ends.head_id:
                self._chain = Chain(ends.head_id, ends.head_hash)
            elif since <= ends.tail_id:
                self._begin_at_the_anchor(ends, since)
            else:
                rows = await read_rows(connection, since - 1, since)
                if not rows:
                    raise CommandError(
                        f"The audit log has no row {since}, it ends with row {ends.head_id}."
                    )
                self._chain = Chain(rows[0].id, rows[0].hash)

    async def run(self) -> None:
        """Show rows for ever. A hint wakes it at once, and it looks each second."""
        while True:
            self._news.clear()
            try:
                rows = await self._rows()
            except CommandError as error:
                await self._lost(error)
                rows = []
            for row in rows:
                self._chain.add(row)
                self._show(row)
            if not rows:
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._news.wait()

    async def close(self) -> None:
        if self._connection is not None:
            await close_politely(self._connection)

    async def _rows(self) -> list[ChainRow]:
        """The rows that come next; CommandError if the database does not answer."""
        connection = await self._connected()
        with told():
            ends = await _ends(connection)
            rows = await read_rows(connection, self._chain.id, ends.head_id)
        if self._away:
            click.echo("The database answers again.", err=True)
            self._away = False
        if ends.tail_id > self._chain.id:
            self._begin_at_the_anchor(ends, self._chain.id)
            return []
        if not rows:
            self._look_at_the_end(ends)
        return rows

    def _look_at_the_end(self, ends: Ends) -> None:
        """ChainBroken if nothing came after the last row, and it is not the newest as it was."""
        if ends.head_id < self._chain.id:
            raise ChainBroken(
                f"it ends with row {ends.head_id}, and row {self._chain.id} was there"
            )
        self._chain.end(ends)

    def _begin_at_the_anchor(self, ends: Ends, since: int) -> None:
        if since < ends.tail_id:
            first, last = since + 1, ends.tail_id
            gone = f"Row {last} is" if first == last else f"Rows {first} to {last} are"
            click.echo(f"{gone} no longer kept.", err=True)
        self._chain = Chain(ends.tail_id, ends.tail_hash)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await checked(self._settings, APPLICATION)
            with told():
                await self._connection.add_listener(locks.AUDIT_CHANNEL, self._on_notify)
        return self._connection

    async def _lost(self, error: CommandError) -> None:
        if not self._away:
            click.echo(f"{error} It is tried again until it answers.", err=True)
        self._away = True
        if self._connection is not None:
            await close_politely(self._connection)

    def _on_notify(self, *_: object) -> None:
        self._news.set()


async def _ends(connection: Connection) -> Ends:
    ends = await read_ends(connection)
    if ends is None:
        raise ChainBroken("audit_chain is empty")
    return ends
