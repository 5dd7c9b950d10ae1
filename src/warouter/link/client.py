"""The webapp's end of the link: keeps every message until its owner has answered for it.

A message that is not acknowledged is offered again under the same id, to whoever owns its slot on
the next shard map, until it is on disk or ``hold`` seconds have passed. So a failover costs a pause
and not an error. What is held is bounded in number and bytes.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable
from secrets import token_bytes
from uuid import UUID

from warouter import wire
from warouter.cluster.address import Address
from warouter.cluster.shardmap import ShardMap
from warouter.errors import NotReady, Overloaded, ParameterInvalid, ProtocolError
from warouter.link import tls
from warouter.link.connection import LinkConnection
from warouter.message_id import text_of
from warouter.retry import backoff

log = logging.getLogger(__name__)

MAX_HELD = 20_000
MAX_HELD_BYTES = 64 << 20
SWEEP_SECONDS = 0.25
HANDSHAKE_SECONDS = 5.0
REFUSED_SECONDS = 10.0  # to the next try of a coreapp whose build shares no link version with ours


class Pending:
    """One message that no owner has answered for yet."""

    __slots__ = (
        "body",
        "deadline",
        "done",
        "epoch",
        "id",
        "kind",
        "offers",
        "recipient",
        "refused",
        "slot",
    )

    def __init__(
        self,
        slot: int,
        message_id: bytes,
        recipient: str,
        kind: int,
        body: bytes,
        deadline: float,
        done: asyncio.Future[None],
    ) -> None:
        self.slot = slot
        self.id = message_id
        self.recipient = recipient
        self.kind = kind
        self.body = body
        self.deadline = deadline
        self.done = done
        self.epoch = -1  # under which it was offered last
        self.offers = 0  # how often it left
        self.refused = False  # the owner was not ready for it: the sweep offers it again


class CoreappConnection(LinkConnection):
    """One coreapp, as the webapp sees it."""

    def __init__(self, links: Links, address: Address) -> None:
        super().__init__()
        self._links = links
        self.address = address
        self._hello = wire.hello(token_bytes(wire.NONCE_SIZE))
        self._server_hello = b""
        self._version = 0
        self.lost = asyncio.Event()
        self.refused = False  # the builds have no link version in common
        self.proved = False  # both ends have shown that they know the link key
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._deadline = asyncio.get_running_loop().call_later(HANDSHAKE_SECONDS, self.abort)

    def on_handshake(self, hello: memoryview) -> None:
        key = self.address.link_key
        if not self._server_hello:
            if len(hello) != wire.HELLO_SIZE:
                raise ProtocolError("link handshake of another shape")
            self._check_pin()
            self._server_hello = bytes(hello)
            mine = wire.proof(key, b"client", self._server_hello, self._hello)
            # Also if there is no common version: the coreapp then knows, and logs, why.
            self._write_plain(self._hello + mine)
            self._version = wire.common_version(self._hello, self._server_hello)
            return
        wanted = wire.proof(key, b"server", self._server_hello, self._hello)
        if not hmac.compare_digest(wanted, bytes(hello)):
            raise ProtocolError("the coreapp does not know its own link key")
        session_key = wire.session_key(key, self._server_hello, self._hello)
        self._start_session(self._version, session_key, sends=0)
        log.info("link stands", extra={"coreapp": self.address.name, "version": self._version})
        self.proved = True
        if self._deadline is not None:
            self._deadline.cancel()
        self._links.on_ready(self)

    def on_frame(self, frame: wire.Message | wire.Outcome) -> None:
        if not isinstance(frame, wire.Outcome):
            raise ProtocolError("a coreapp sends outcomes only")
        self._links.on_outcome(frame)

    def on_no_common_version(self) -> None:
        self.refused = True
        super().on_no_common_version()

    def peer(self) -> dict[str, object]:
        return {"coreapp": self.address.name}

    def on_lost(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self.lost.set()
        self._links.on_lost(self)

    def _check_pin(self) -> None:
        fingerprint = self.address.fingerprint
        if fingerprint is None:
            return
        assert self._transport is not None
        if not tls.pinned(self._transport.get_extra_info("ssl_object"), fingerprint):
            raise ProtocolError("the coreapp's certificate is not the one in its node row")


class Links:
    """All links of one webapp, and the messages that wait for their owner's answer."""

    def __init__(self, hold: float, on_doubt: Callable[[], None]) -> None:
        self._hold = hold
        self._on_doubt = on_doubt  # the shard map seems old: read it
        # Kept, since Python 3.11 makes a system call each time it is asked for.
        self._loop = asyncio.get_running_loop()
        self._map: ShardMap | None = None
        self._ready: dict[UUID, CoreappConnection] = {}
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._pending: dict[bytes, Pending] = {}
        self._bytes = 0

    @property
    def pending(self) -> int:
        return len(self._pending)

    @property
    def connected(self) -> int:
        return len(self._ready)

    async def submit(
        self, slot: int, message_id: bytes, recipient: str, kind: int, body: bytes
    ) -> None:
        """Return when the message is on disk at its owner.

        Raises Overloaded at once when too much is held, NotReady when no owner answered in time
        (details say whether the outcome is unknown).
        """
        if len(self._pending) >= MAX_HELD or self._bytes + len(body) > MAX_HELD_BYTES:
            raise Overloaded("too many messages wait for their shard; retry later")
        entry = Pending(
            slot,
            message_id,
            recipient,
            kind,
            body,
            self._loop.time() + self._hold,
            self._loop.create_future(),
        )
        self._pending[message_id] = entry
        self._bytes += len(body)
        try:
            self._offer(entry)
            await entry.done
        finally:
            self._pending.pop(message_id, None)
            self._bytes -= len(body)

    def set_map(self, new: ShardMap) -> None:
        """A newer shard map: offer what waits for slots that changed hands."""
        old, self._map = self._map, new
        moved = {
            s.slot
            for i, s in enumerate(new.slots)
            if old is None or (s.owner, s.epoch) != (old.slots[i].owner, old.slots[i].epoch)
        }
        if not moved:
            return
        for entry in list(self._pending.values()):
            if entry.slot in moved:
                self._offer(entry)

    def set_addresses(self, addresses: dict[UUID, Address]) -> None:
        """Connect to coreapps that are new, let go of those that are gone."""
        for incarnation in self._tasks.keys() - addresses.keys():
            self._tasks.pop(incarnation).cancel()
        for incarnation, address in addresses.items():
            if incarnation not in self._tasks:
                self._tasks[incarnation] = asyncio.create_task(self._keep(address))

    async def sweep(self) -> None:
        """End what has waited for too long, offer again what was refused; runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = loop.time()
            for entry in [e for e in self._pending.values() if e.refused or e.deadline <= now]:
                if entry.deadline > now:
                    self._offer(entry)
                elif not entry.done.done():
                    entry.done.set_exception(_too_late(entry))

    def end_waiting(self) -> None:
        """This process stops: answer for what no owner has answered for."""
        for entry in self._pending.values():
            if not entry.done.done():
                entry.done.set_exception(_too_late(entry))

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # what connections tell

    def on_ready(self, connection: CoreappConnection) -> None:
        incarnation = connection.address.incarnation
        self._ready[incarnation] = connection
        if self._map is None:
            return
        mine = {s.slot for s in self._map.slots if s.owner == incarnation}
        for entry in list(self._pending.values()):
            if entry.slot in mine:
                self._offer(entry)

    def on_lost(self, connection: CoreappConnection) -> None:
        incarnation = connection.address.incarnation
        if self._ready.get(incarnation) is connection:
            del self._ready[incarnation]
            self._on_doubt()

    def on_outcome(self, frame: wire.Outcome) -> None:
        doubt = False
        for message_id in frame.ids:
            entry = self._pending.get(message_id)
            if entry is None or entry.done.done():
                continue
            if frame.outcome == wire.ACKED:
                entry.done.set_result(None)
            elif frame.outcome == wire.OVERLOADED and entry.offers > 1:
                entry.refused = True  # an earlier offer may be on disk: only its id may be tried
            elif frame.outcome == wire.OVERLOADED:
                entry.done.set_exception(Overloaded("the shard's queue is full; retry later"))
            elif frame.outcome == wire.REFUSED:
                entry.done.set_exception(ParameterInvalid("the message cannot be stored"))
            elif frame.epoch >= entry.epoch:
                doubt = entry.refused = True
        if doubt:
            self._on_doubt()

    def _offer(self, entry: Pending) -> None:
        """Send to the owner if there is one that can be reached, else keep for the next map."""
        if entry.done.done():
            return
        owner = self._map.slots[entry.slot] if self._map is not None else None
        connection = self._ready.get(owner.owner) if owner and owner.owner else None
        if owner is None or connection is None or owner.successor is not None:
            # A slot on its way to a successor takes nothing any more: wait for the handover.
            return
        entry.refused = False
        entry.epoch = owner.epoch
        entry.offers += 1
        connection.send(
            connection.frames.message(
                entry.slot, owner.epoch, entry.id, entry.kind, entry.recipient, entry.body
            )
        )

    async def _keep(self, address: Address) -> None:
        """Keep one coreapp connected until cancelled."""
        attempt = 0
        connection: CoreappConnection | None = None
        try:
            while True:
                connection = CoreappConnection(self, address)
                if await self._connect(connection):
                    await connection.lost.wait()
                    attempt = 0 if connection.proved else attempt
                if connection.refused:
                    await asyncio.sleep(REFUSED_SECONDS)
                await asyncio.sleep(backoff(attempt, first=0.02, most=1.0))
                attempt += 1
        finally:
            if connection is not None:
                connection.abort()

    async def _connect(self, connection: CoreappConnection) -> bool:
        address = connection.address
        context = tls.client_context() if address.fingerprint else None
        try:
            async with asyncio.timeout(2.0):
                await asyncio.get_running_loop().create_connection(
                    lambda: connection, address.host, address.port, ssl=context
                )
        except (OSError, TimeoutError):
            return False
        return True


def _too_late(entry: Pending) -> NotReady:
    if entry.offers:
        return NotReady(
            f"outcome unknown for message {text_of(entry.id)}: its shard did not answer"
        )
    return NotReady("not accepted: no coreapp owns the recipient's shard right now")
