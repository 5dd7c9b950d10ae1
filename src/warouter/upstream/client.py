"""The coreapp's connection to the simulator: frames out in one write a turn, events in.

It reconnects for ever with a short back-off. A message is encoded when it is told and leaves only
if its slot was not forgotten since, and if ``may_send`` still says yes at the moment of the write:
that is the owner's local deadline.

A frame that makes no sense is told to the listener and passed over: it would come again with each
connection. Only a stream whose framing is lost is begun anew.

An upstream that is frozen or silently cut off keeps its socket open, so it is asked when it has
been quiet for a moment, and the connection is cut when it does not answer.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Iterable, Iterator
from random import random
from typing import cast

from warouter import _batch
from warouter.background import rest
from warouter.errors import FrameTooLarge
from warouter.net.sockets import notice_silence
from warouter.retry import backoff
from warouter.upstream.broken import HEAD, identify
from warouter.upstream.protocol import (
    MAX_FRAME,
    Claimed,
    EventAck,
    EventAcks,
    Heard,
    Hello,
    Ping,
    Pong,
    ToUpstream,
    Upstream,
    UpstreamHandler,
    decode_from_upstream,
    encode,
)

log = logging.getLogger(__name__)

# What lies in the kernel when a lease ends still leaves after abort(): keep it small.
SEND_BUFFER = 64 * 1024
TICK_SECONDS = 0.25
QUIET_SECONDS = 0.5  # nothing heard for so long: ask
LOST_SECONDS = 1.5  # nothing heard for so long: cut the connection, the upstream counts as lost
MUTE_SECONDS = 3.0  # no frame that can be decoded for so long: the framing is lost, begin anew
CONNECT_SECONDS = 1.0
_NO_SLOT = -1  # the slot of Hello and Ping, which need no lease
_LINGER_ZERO = struct.pack("ii", 1, 0)


class SimulatorUpstream(asyncio.Protocol, Upstream):
    """A connection to ``host:port``; ``listener`` gets everything that arrives."""

    _listener: UpstreamHandler  # there is no connection before ``run``

    def __init__(self, host: str, port: int, node: str, incarnation: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._address = (host, port)
        self._hello = Hello(node, incarnation)
        self._many = False  # the other side understands EventAcks
        self._reading = True
        self._transport: asyncio.Transport | None = None
        self._splitter = _splitter()
        self._out: list[bytes] = []
        self._slots: list[int] = []  # slots of the frames in _out
        self._flushing = False
        self._lost = asyncio.Event()
        self._writable = True
        self._closed = False
        self._failures = 0
        # Seconds without a word, counted in ticks: a moment in which this process itself stood
        # still says nothing of the upstream.
        self._quiet = 0.0  # on this connection
        self._mute = 0.0  # since the last frame that could be decoded
        self._unheard = 0.0  # on any

    @property
    def well(self) -> bool:
        return self._unheard < LOST_SECONDS

    @property
    def connected(self) -> bool:
        return self._transport is not None

    @property
    def writable(self) -> bool:
        return self._writable

    async def run(self, listener: UpstreamHandler) -> None:
        """Keep connected until cancelled or closed."""
        self._listener = listener
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_connected())
            group.create_task(self._watch())

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._closed:
            try:
                await asyncio.wait_for(
                    loop.create_connection(lambda: self, *self._address), timeout=CONNECT_SECONDS
                )
            except (OSError, TimeoutError) as error:
                if self._failures == 0:
                    to = f"WAROUTER_UPSTREAM_ADDRESS {self._address[0]}:{self._address[1]}"
                    log.warning("upstream connection failed", extra={"error": f"{to}: {error}"})
                await asyncio.sleep(backoff(self._failures, first=0.05, most=1.0, draw=random()))
                self._failures += 1
                continue
            if self._closed:
                self.abort()
                return
            await self._lost.wait()
            await asyncio.sleep(backoff(self._failures, first=0.02, most=1.0, draw=random()))
            self._failures += 1  # until the next connection has heard something

    async def _watch(self) -> None:
        """Ping a quiet upstream, and disconnect from a silent one."""
        last = self._loop.time()
        while not self._closed:
            await rest(TICK_SECONDS)
            now = self._loop.time()
            passed, last = min(now - last, 2 * TICK_SECONDS), now
            if not self._reading:
                self._read_again()
                continue  # we paused reading ourselves, so silence says nothing
            was_well = self.well
            self._quiet += passed
            self._mute += passed
            self._unheard += passed
            if self.connected and self._quiet >= LOST_SECONDS:
                log.warning("upstream timed out: connection closed")
                self.abort()
            elif self.connected and self._mute >= MUTE_SECONDS:
                log.error("upstream framing lost: connection closed")
                self.abort()
            elif self.connected and self._quiet >= QUIET_SECONDS:
                self.tell(Ping())
            if was_well and not self.well:
                log.warning("upstream lost")
                if not self.connected:  # while the connection is up, claims on it stand
                    self._listener.on_upstream_down()

    def tell(self, message: ToUpstream) -> None:
        if self._transport is None:
            return
        self._out.append(encode(message))
        self._slots.append(getattr(message, "slot", _NO_SLOT))
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def forget(self, slot: int) -> None:
        if slot in self._slots:
            kept = [pair for pair in zip(self._slots, self._out, strict=True) if pair[0] != slot]
            self._slots, self._out = [s for s, _ in kept], [frame for _, frame in kept]

    def ack(self, slot: int, epoch: int, numbers: list[int]) -> None:
        if self._many:
            self.tell(EventAcks(slot, epoch, numbers))
        else:
            for number in numbers:
                self.tell(EventAck(slot, epoch, number))

    def abort(self) -> None:
        transport, self._transport = self._transport, None
        self._forget_queued()
        if transport is None:
            return
        sock = cast("socket.socket", transport.get_extra_info("socket"))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        transport.abort()

    async def close(self) -> None:
        self._closed = True
        self._flush()
        if self._transport is not None:
            self._transport.close()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        sock = cast("socket.socket", transport.get_extra_info("socket"))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        notice_silence(sock)
        self._splitter = _splitter()
        self._reading = True
        self._lost.clear()
        self._writable = True
        self._many = False
        self._quiet = self._mute = 0.0
        self.tell(self._hello)
        self.tell(Ping())
        self._listener.on_upstream_up()

    def data_received(self, data: bytes) -> None:
        self._failures = 0
        self._quiet = self._unheard = 0.0
        try:
            frames = self._splitter.feed(data)
        except FrameTooLarge as error:
            log.error("upstream broke the protocol", extra={"error": str(error)})
            self.abort()
            return
        self._listener.on_upstream(self._heard(frames))
        if self._transport is not None and self._listener.congested():
            self._reading = False
            self._transport.pause_reading()

    def _heard(self, frames: Iterable[memoryview]) -> Iterator[Heard]:
        """Decode the frames of a read, one after the other."""
        for frame in frames:
            if self._transport is None:
                return  # the listener aborted in the middle of a read
            try:
                message = decode_from_upstream(frame)
            except (ValueError, RecursionError) as error:
                # A broken frame would come again on a new one: this connection goes on without it.
                self._listener.on_broken(identify(frame, str(error)))
                continue
            self._mute = 0.0
            if isinstance(message, Claimed):
                self._many = message.many
            if not isinstance(message, Pong):
                yield message

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._reading = True
        self._forget_queued()
        self._lost.set()
        self._listener.on_upstream_down()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._listener.on_upstream_writable()

    def _flush(self) -> None:
        self._flushing = False
        if self._transport is None or not self._out:
            return
        packed, guarded = _batch.pack(self._out), any(slot != _NO_SLOT for slot in self._slots)
        self._forget_queued()
        # The last thing before the write: a process frozen in between still sends, and the
        # upstream refuses it by the epoch.
        if guarded and not self._listener.may_send():
            self.abort()
        else:
            self._transport.write(packed)

    def _read_again(self) -> None:
        if self._transport is not None and not self._listener.congested():
            self._reading = True
            self._transport.resume_reading()

    def _forget_queued(self) -> None:
        self._out.clear()
        self._slots.clear()


def _splitter() -> _batch.Splitter:
    """A splitter that cuts a frame that is too large to its head, which does not decode."""
    return _batch.Splitter(MAX_FRAME, HEAD)
