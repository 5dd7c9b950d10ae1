"""Both ends of the link over real sockets: coreapps that answer as they are told, and a webapp."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

from warouter.cluster.shardmap import ShardMap, SlotOwner
from warouter.link import wire
from warouter.link.address import LinkAddress
from warouter.link.callers import Callers
from warouter.link.client import Links
from warouter.link.credential import Credential
from warouter.link.listen import LinkServer, WebappConnection
from warouter.link.relay import Relay

OWNER, OTHER, THIRD = (uuid4() for _ in range(3))
SLOT = 5
RECIPIENT = "4915112345678"
Rows = list[bytes | None]  # certificates in node rows
SILENT = -1  # an answer: none


def an_id(number: int = 0) -> bytes:
    return bytes((1, SLOT)) + number.to_bytes(18, "big")


def fields(message: wire.Message) -> tuple[Any, ...]:
    """What its frame says, in the order in which a message is made of it."""
    place = message.slot, message.epoch, message.id, message.kind, message.recipient
    return *place, bytes(message.body), message.ttl, message.key, message.number


def outgoing(number: int = 0, body: bytes = b"{}", *more: Any) -> wire.Outgoing:
    return wire.Outgoing(SLOT, an_id(number), RECIPIENT, 0, body, *more)


def submit(links: Links, number: int = 0, body: bytes = b"{}") -> asyncio.Task[bytes]:
    return asyncio.ensure_future(links.submit(outgoing(number, body)))


async def cancelled(calls: list[asyncio.Task[bytes]]) -> None:
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


def owned_by(owner: UUID | None, epoch: int = 7, successor: UUID | None = None) -> ShardMap:
    """A map in which one coreapp has all slots."""
    return ShardMap(epoch, 1, tuple(SlotOwner(n, epoch, owner, successor) for n in range(32)))


def credential(rows: Rows) -> Credential:
    """What a process shows, which then stands in these rows."""

    async def publish(der: bytes) -> None:
        rows.append(der)

    return Credential(uuid4().hex, publish)


class Coreapp:
    """A coreapp's end: it remembers what came, and relays to whom ``known`` has."""

    def __init__(
        self, known: dict[UUID, LinkAddress] | None = None, rows: Rows | None = None
    ) -> None:
        self.key = uuid4().bytes * 2
        self.answer = wire.ACKED
        self.ids: list[bytes] = []  # what it answers with instead of the message's id
        self.came: asyncio.Queue[wire.Message] = asyncio.Queue()
        self.lookups = 0
        self.known = {} if known is None else known
        # The certificates in the node rows, as this coreapp reads them.
        self.rows = [] if rows is None else rows
        self.reads = 0
        self.credential = credential(self.rows)
        self.relay = Relay(self._find, self.credential)
        self.server = LinkServer(self.key, self, self.relay)
        self.port = 0
        self.callers: Callers | None = None
        self._follow: asyncio.Task[None] | None = None

    async def _read(self) -> Rows:
        self.reads += 1
        return list(self.rows)

    async def start(self, incarnation: UUID = OWNER, host: str = "") -> LinkAddress:
        """Listen, in TLS if there is a ``host``; then for those in ``rows``."""
        fingerprint = None
        if host:
            own = self.credential.certificate
            self.callers, fingerprint = Callers(own, self._read), own.fingerprint
            self._follow = asyncio.create_task(self.callers.run())
        self.port = await self.server.start("127.0.0.1", 0, self.callers)
        address = LinkAddress(
            incarnation, "coreapp-1", "127.0.0.1", self.port, self.key, fingerprint
        )
        self.known[incarnation] = address
        return address

    async def stop(self) -> None:
        await self.relay.close()
        await self.server.stop()
        if self._follow is not None:
            self._follow.cancel()

    @property
    def webapp(self) -> WebappConnection:
        """The only one that is linked."""
        (webapp,) = self.server._connections
        return webapp

    def cut_off(self) -> None:
        for connection in list(self.server._connections):
            connection.abort()

    async def _find(self, incarnation: UUID) -> LinkAddress | None:
        self.lookups += 1
        return self.known.get(incarnation)

    def on_messages(self, webapp: WebappConnection, messages: list[wire.Message]) -> None:
        for message in messages:
            self.on_message(webapp, message)

    def on_message(self, webapp: WebappConnection, message: wire.Message) -> None:
        self.came.put_nowait(message)
        if self.answer != SILENT:
            ids = self.ids or [message.id]
            webapp.send(webapp.frames.outcome(self.answer, message.slot, message.epoch, ids))


@asynccontextmanager
async def webapp(hold: float = 8.0, rows: Rows | None = None, **more: Any) -> AsyncIterator[Links]:
    """A webapp's end, which has neither addresses nor a map yet; ``rows`` get its certificate."""
    more.setdefault("credential", credential([] if rows is None else rows))
    links = Links(hold=hold, on_doubt=lambda: None, **more)
    sweeper = asyncio.create_task(links.sweep())
    try:
        yield links
    finally:
        sweeper.cancel()
        await links.close()
