"""The base of both ends of a link: frames leave in one write a turn, envelopes come in."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from typing import cast

from warouter import _batch
from warouter.errors import NoCommonVersion, WarouterError
from warouter.link import wire
from warouter.net.sockets import notice_silence

log = logging.getLogger(__name__)

MOST_IN_ONE = wire.MAX_ENVELOPE // 2
TICK_SECONDS = 0.25
QUIET_SECONDS = 0.5  # nothing heard for so long: ask
SILENT_SECONDS = 1.2  # nothing heard for so long: cut


class LinkConnection(asyncio.Protocol):
    """A link during and after its handshake; subclasses process the frames."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self.frames = wire.FRAMES[max(wire.FRAMES)]  # the session's, once its version is agreed
        # Who has not proved to know the key makes nothing be kept but a proof.
        self._splitter = _batch.Splitter(wire.HANDSHAKE_SIZE)
        self._sealer: wire.Sealer | None = None
        self._opener: wire.Opener | None = None
        self._out: list[bytes] = []
        self._flushing = False
        self._quiet = 0.0
        self.silent = False  # cut off, since nothing was heard for too long

    @property
    def ready(self) -> bool:
        """True once the handshake is done, while the connection lasts."""
        return self._sealer is not None and self._transport is not None

    def send(self, frame: bytes) -> None:
        """Queue one frame; all frames of a turn of the loop leave in one write."""
        self._out.append(frame)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Send the queued frames, then close."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def watch(self, passed: float) -> None:
        """``passed`` seconds went by: ping a quiet peer, disconnect a silent one.

        The caller counts no time in which it stood still itself: that says nothing of the peer.
        """
        if self._transport is None:
            return
        self._quiet += passed
        if self._quiet >= SILENT_SECONDS:
            self.silent = True
            self.abort()
        elif self.ready and self._quiet >= QUIET_SECONDS:
            self.send(wire.PING)

    def on_envelope(self, packed: memoryview) -> None:
        """The frames of one write of the peer came."""
        for frame in _batch.split(packed):
            self.on_frame(self.frames.parse(frame))

    def on_frame(self, frame: wire.Frame) -> None:
        raise NotImplementedError

    def on_handshake(self, hello: memoryview) -> None:
        raise NotImplementedError

    def on_broken(self, error: Exception) -> None:
        """The peer broke the protocol."""
        log.warning(
            "link closed: peer broke the protocol", extra={"error": str(error), **self.peer()}
        )

    def on_no_common_version(self) -> None:
        """The builds share no version: close politely, so that the other side can read why."""
        if self._transport is not None:
            self._transport.close()

    def peer(self) -> dict[str, object]:
        """The peer's address, for the log."""
        assert self._transport is not None
        return {"peer": self._transport.get_extra_info("peername")}

    def on_lost(self) -> None:
        """The connection is closed."""

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            notice_silence(sock)

    def data_received(self, data: bytes) -> None:
        self._quiet = 0.0
        try:
            for envelope in self._splitter.feed(data):
                if self._opener is None:
                    self.on_handshake(envelope)
                else:
                    self.on_envelope(self._opener.open(envelope))
        except NoCommonVersion as error:
            log.error("link refused: no common version", extra={"error": str(error), **self.peer()})
            self.on_no_common_version()
        except (WarouterError, ValueError) as error:
            self.on_broken(error)
            self.abort()
        except Exception as error:  # ours: what waited on this link is offered again on the next
            log.error("link closed: frame handler failed", extra=self.peer(), exc_info=error)
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._out.clear()
        self.on_lost()

    def _write_plain(self, payload: bytes) -> None:
        assert self._transport is not None
        self._transport.write(_batch.pack([payload]))

    def _start_session(self, version: int, key: bytes, sends: int) -> None:
        self.frames = wire.FRAMES[version]
        self._splitter.allow(wire.MAX_ENVELOPE)
        self._sealer = wire.Sealer(key, sends)
        self._opener = wire.Opener(key, 1 - sends)

    def _flush(self) -> None:
        self._flushing = False
        if self._transport is None or self._sealer is None or not self._out:
            return
        frames, self._out = self._out, []
        for part in _parts(frames):
            self._transport.write(self._sealer.seal(part))


def _parts(frames: list[bytes]) -> Iterator[list[bytes]]:
    """The frames in one envelope, or in several if one would exceed the limit."""
    part: list[bytes] = []
    size = 0
    for frame in frames:
        if part and size + len(frame) > MOST_IN_ONE:
            yield part
            part, size = [], 0
        part.append(frame)
        size += len(frame) + 4
    yield part
