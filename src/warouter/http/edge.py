"""The listening sockets of a webapp or a console, and a shutdown that resets no client connection.

Linux resets what waits in the accept queue of a listening socket that is closed, also when another
process listens on the same port (unless net.ipv4.tcp_migrate_req is 1: see docs/compatibility.md).
So what has been queued is accepted first. Then each connection ends with its next answer, which
says `Connection: close`; one that asks nothing is closed after a moment.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence

from aiohttp import web

from warouter.http.connection import Connection
from warouter.http.door import FrontDoor
from warouter.http.envelope import ErrorResponses
from warouter.http.pace import ConnectionLimits
from warouter.http.plain import Reader
from warouter.metrics import Sample
from warouter.net.acceptor import Acceptor
from warouter.net.sockets import accept_queue

log = logging.getLogger(__name__)

IDLE_SECONDS = 1.0  # a request may be on its way on a connection that is kept alive
LOOK_SECONDS = 0.1  # for those that come to be idle later
DRAIN_SECONDS = 2.5  # with the seconds before; what is held for its shard is answered then
MOST_SECONDS = 8.0  # in all


class Edge:
    """Listening sockets and the connections that came through them."""

    def __init__(
        self,
        server: web.Server,
        sockets: Sequence[socket.socket],
        tls: ssl.SSLContext | None,
        limits: ConnectionLimits | None = None,
        fast: Reader | None = None,
        *,
        words: ErrorResponses | None = None,
    ) -> None:
        self._connections = FrontDoor(server, limits, fast, words=words)
        self.sweep = self._connections.sweep
        self._most_queued = 0
        self._sockets = sockets
        self._tls = tls
        self._acceptors: list[Acceptor[Connection]] = []

    def open(self) -> None:
        """Start to accept connections."""
        for sock in self._sockets:
            acceptor = Acceptor(sock, self._connections, self._tls)
            acceptor.open()
            self._acceptors.append(acceptor)

    def samples(self) -> list[Sample]:
        """Metrics of these sockets and connections."""
        connections = self._connections
        queues = [accept_queue(sock) for sock in self._sockets]
        queued = sum(waiting for waiting, _ in queues)
        self._most_queued = max(self._most_queued, queued)
        return [
            Sample("web_connections", connections.accepted),
            Sample("warouter_connections_refused_total", connections.refused),
            Sample("web_pending_connections", queued),
            Sample("web_max_pending_connections", self._most_queued),
            Sample("web_queue_len", sum(size for _, size in queues)),
            *(
                Sample("web_requests", connections.states()[state], {"state": state})
                for state in ("idle", "read", "handle-request")
            ),
            *(
                Sample("warouter_connections_dropped_total", connections.dropped[r], {"reason": r})
                for r in ("handshake", "head", "body", "stall")
            ),
        ]

    def close(self) -> None:
        """Accept no more; each answer from here on is the last of its connection."""
        self._connections.leave()
        for acceptor in self._acceptors:
            acceptor.close()

    async def leave(self, end_waiting: Callable[[], None]) -> None:
        """Shut down: accept no more, answer what came; ``end_waiting`` fails what is still held."""
        began = asyncio.get_running_loop().time()
        self.close()
        if not await self._emptied(IDLE_SECONDS, began + DRAIN_SECONDS):
            extra = {"connections": len(self._connections)}
            log.info("shutdown: failing held requests", extra=extra)
            end_waiting()
            # Who came last may still shake hands, or ask: on a busy machine that takes its time.
            if not await self._emptied(0.0, began + MOST_SECONDS):
                end_waiting()

    async def _emptied(self, look: float, until: float) -> bool:
        """Wait until no connection is left, or until then, by the loop's clock; who is idle, and
        was not a moment before, is closed after a first ``look`` of so many seconds.
        """
        loop, connections = asyncio.get_running_loop(), self._connections
        while not await connections.ended(min(look, until - loop.time())):
            if loop.time() >= until:
                return False
            connections.close_idle(IDLE_SECONDS)
            look = LOOK_SECONDS
        return True
