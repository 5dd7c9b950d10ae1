"""Admission of connections to a webapp or a console: limits, open ones, the end of slow ones."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable

from aiohttp import web

from warouter.background import rest
from warouter.errors import Overloaded, RequestTooSlow
from warouter.http.connection import Connection
from warouter.http.envelope import Envelopes, ErrorResponses, common_fields
from warouter.http.pace import ConnectionLimits, Gate
from warouter.http.plain import Reader
from warouter.http.verified import ends_answers_as_verified

SWEEP_SECONDS = 1.0
LOOK_SECONDS = 0.1  # until all connections are looked at again when none was idle


class FrontDoor:
    """Creates the connection of each client that is admitted, and keeps the open ones.

    ``server`` is a runner's.
    A client has its place from its accept on, so that TLS handshakes count as well.
    """

    def __init__(
        self,
        server: web.Server,
        limits: ConnectionLimits | None = None,
        fast: Reader | None = None,
        *,
        words: ErrorResponses | None = None,
    ) -> None:
        self._server = server
        server.request_factory = _telling(server.request_factory)
        self.words: ErrorResponses = words or Envelopes(common_fields(server_version=True))
        self.fast = fast if fast is not None and ends_answers_as_verified() else None
        self.limits = limits or ConnectionLimits()
        self._gate = Gate(self.limits)
        self._open: dict[Connection, str] = {}  # with the address that it counts for
        self._none = asyncio.Event()
        self._refusal = self.words.alone(Overloaded("there are too many connections; retry later"))
        self._leaving = False
        self._spare: list[tuple[float, Connection]] = []  # those that were idle, the longest last
        self._looked = float("-inf")  # in vain
        self.accepted = 0
        self.refused = 0
        self.dropped: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def leaving(self) -> bool:
        """True once each answer is the last of its connection."""
        return self._leaving

    def leave(self) -> None:
        """From now on each answer is the last of its connection."""
        self._leaving = True
        if self.fast is not None:
            self.fast.leaving = True

    # acceptor.Doorkeeper

    def enter(self, address: str, sock: socket.socket | None = None) -> Connection | None:
        """The new connection of a client at ``address``; None if there are too many.

        If there is no room at all, the one that has been idle for longest gives its place: else a
        proxy with many idle ones, which has no limit of its own, would keep everybody out.
        """
        if self._gate.full and self._gate.takes(address):
            self._end_idle()
        if not self._gate.enter(address):
            return None
        self.accepted += 1
        connection = Connection(self, self._server, sock)
        self._open[connection] = address
        return connection

    def refuse(self) -> bytes:
        """The answer to a connection for which there is no room."""
        self.accepted += 1
        self.refused += 1
        return self._refusal

    def failed(self, connection: Connection, _error: BaseException) -> None:
        """The TLS handshake of a connection failed."""
        self.dropped["handshake"] += 1
        self.lost(connection)

    def lost(self, connection: Connection) -> None:
        address = self._open.pop(connection, None)
        if address is not None:
            self._gate.leave(address)
        if not self._open:
            self._none.set()

    async def sweep(self) -> None:
        """Once a second, end the connections of clients that are too slow. Runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await rest(SWEEP_SECONDS)
            now = loop.time()
            for connection in list(self._open):
                fault = connection.look(self.limits, now)
                if fault:
                    self._drop(connection, fault)
                elif connection.is_forgotten():
                    connection.broke(
                        RuntimeError("aiohttp started no handler for a request it was given")
                    )

    def states(self) -> Counter[str]:
        """Number of connections by state: ``idle``, ``read``, ``handle-request``."""
        return Counter(connection.state for connection in self._open)

    def _drop(self, connection: Connection, fault: str) -> None:
        if fault == "idle":
            connection.force_close()  # the answer before said so: no fault of the client's
            return
        self.dropped[fault] += 1
        if fault == "stall":
            connection.drop()
        elif fault == "head" and not connection.pace.head_bytes:
            connection.force_close()  # a client that asked nothing is told nothing
        else:
            connection.refuse(RequestTooSlow("the request arrived too slowly"))

    def _end_idle(self) -> None:
        """End the connection that has been idle for longest, and for a while, if one is."""
        connection = self._next_idle()
        if connection is None:
            self._look_for_idle()
            connection = self._next_idle()
        if connection is not None:
            connection.force_close()
            self.lost(connection)  # its place is free from here on

    def _next_idle(self) -> Connection | None:
        """The next connection that was idle at the last look and has asked nothing since."""
        while self._spare:
            since, connection = self._spare.pop()
            if connection in self._open and connection.idle_since == since:
                return connection
        return None

    def _look_for_idle(self) -> None:
        """Look at all connections, unless none was idle a moment ago."""
        now = asyncio.get_running_loop().time()
        if now - self._looked < LOOK_SECONDS:
            return
        until = now - self.limits.spare_seconds
        idle = [(since, c) for c in self._open if (since := c.idle_since) is not None]
        self._spare = sorted([one for one in idle if one[0] <= until], key=lambda one: -one[0])
        if not self._spare:
            self._looked = now

    def close_idle(self, seconds: float) -> None:
        """Close what has asked nothing for longer. Not who is about to: its handshake goes on, or
        has just ended, and in TLS 1.3 its request leaves with its last word of that.
        """
        now = asyncio.get_running_loop().time()
        for connection in list(self._open):
            if connection.idle_for(now) > seconds:
                connection.force_close()

    async def ended(self, within: float) -> bool:
        """Wait up to ``within`` seconds for the last connection to end; True if none is left."""
        try:
            async with asyncio.timeout(within):
                while self._open:
                    self._none.clear()
                    await self._none.wait()
        except TimeoutError:
            return False
        return True


def _telling(factory: Callable[..., web.BaseRequest]) -> Callable[..., web.BaseRequest]:
    """The factory of a server's requests; each connection hears that one of its requests begins."""

    def made(
        message: object, payload: object, protocol: Connection, *others: object
    ) -> web.BaseRequest:
        protocol.begun()
        return factory(message, payload, protocol, *others)

    return made
