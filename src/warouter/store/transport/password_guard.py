"""Hands the password to no server that could read it or try it out, unless TLS has verified it.

asyncpg has no option for that, but makes the protocol of each connection from
``asyncpg.protocol.Protocol``, which is ours from the import of this module on. It looks at each
message of the server before asyncpg does, until the server is ready for queries; from then on it
is out of the way. What it knows of asyncpg is held by a test. Should it be wrong one day, nothing
is given away: ``connect`` hands asyncpg a password that is empty for everybody but this protocol.
"""

from __future__ import annotations

import re
import struct
from typing import Any

import asyncpg
import asyncpg.protocol

from warouter.errors import UntrustedDatabase
from warouter.store.transport import sentences
from warouter.store.transport.contexts import has_verified

_PROTOCOL = "Protocol"  # where asyncpg looks for it
_AUTHENTICATION, _READY, _ERROR = b"R", b"Z", b"E"
_HEADER = struct.Struct("!ci")  # type, and length without the type
_CODE = struct.Struct("!i")
_MOST_BYTES = 1 << 16  # of one message before the server is ready
_MOST_IN_ALL = 1 << 20  # until then: asyncpg keeps each parameter that a server reports
# As asyncpg looks for it. With fewer rounds a guess costs an impostor nothing, with more the
# event loop would stand still.
_ROUNDS = re.compile(rb",i=(\d+),?")
_GOOD_ROUNDS = range(4096, 1_000_001)


class SealedPassword(str):
    """A password that reads as empty; the guard alone opens it."""

    def __new__(cls, _password: str) -> SealedPassword:
        return super().__new__(cls, "")

    def __init__(self, password: str) -> None:
        self._password = password
        self.was_opened = False

    def open(self) -> str:
        self.was_opened = True
        return self._password


async def connect(password: str, **arguments: Any) -> asyncpg.Connection:
    """Connect with this password, guarded.

    UntrustedDatabase if the server asks for it in a way that gives it away.
    """
    sealed = SealedPassword(password)
    try:
        connection: asyncpg.Connection = await asyncpg.connect(password=sealed, **arguments)
    except asyncpg.InvalidPasswordError as error:
        if not sealed.was_opened:
            raise UntrustedDatabase(sentences.UNGUARDED) from error
        raise
    return connection


class GuardedProtocol(asyncpg.protocol.Protocol):
    """asyncpg's protocol of one connection, which it makes with these arguments."""

    def __init__(self, addr: Any, connected: Any, params: Any, *others: Any) -> None:
        self._guards = isinstance(params.password, SealedPassword)
        if self._guards:
            params = params._replace(password=params.password.open())
        super().__init__(addr, connected, params, *others)
        self._where = addr if isinstance(addr, str) else "{}:{}".format(*addr)
        self._waiting = connected
        self._carrier: Any = None
        self._held = bytearray()
        self._left = _MOST_IN_ALL

    def connection_made(self, transport: Any) -> None:
        self._carrier = transport
        super().connection_made(transport)

    def data_received(self, data: Any) -> None:
        if not self._guards:
            super().data_received(data)
            return
        self._held += data
        self._left -= len(data)
        try:
            if self._left < 0:
                raise _GuardRefusal(sentences.NO_POSTGRESQL)
            while self._guards and (message := _first(self._held)):
                self._pass_on(message)
        except _GuardRefusal as refusal:
            self._end(UntrustedDatabase(sentences.refused(self._where, str(refusal))))

    def _pass_on(self, message: bytes) -> None:
        """Show asyncpg one message, unless it must not answer it."""
        _look_at(message, has_verified(self._carrier.get_extra_info("ssl_object")))
        ready = message.startswith(_READY)
        if ready and not hasattr(self.get_settings(), "server_version"):
            raise _GuardRefusal(sentences.NO_POSTGRESQL)  # asyncpg would fail without a word
        super().data_received(message)
        if ready:
            self._step_aside()
        elif message.startswith(_ERROR):
            # Else its end in TLS would wait for the server's, and a command's loop with it.
            self._carrier.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.__dict__.pop("data_received", None)  # a circle, which would wait for the collector
        super().connection_lost(exc)

    def _step_aside(self) -> None:
        """From the next bytes on the transport calls asyncpg's method directly."""
        rest, self._held = bytes(self._held), bytearray()
        self._guards = False
        self.__dict__["data_received"] = super().data_received
        self._carrier.set_protocol(self)  # uvloop keeps the method, not its name
        if rest:
            super().data_received(rest)

    def _end(self, error: UntrustedDatabase) -> None:
        self._held.clear()
        if not self._waiting.done():
            self._waiting.set_exception(error)
        self._carrier.abort()


setattr(asyncpg.protocol, _PROTOCOL, GuardedProtocol)


class _GuardRefusal(Exception):
    """Says what the server asked for."""


def _first(held: bytearray) -> bytes:
    """Takes the first whole message off what has come; empty while there is none."""
    if len(held) < _HEADER.size:
        return b""
    _, length = _HEADER.unpack_from(held)
    if not _CODE.size <= length <= _MOST_BYTES:
        raise _GuardRefusal(sentences.NO_POSTGRESQL)
    if len(held) <= length:
        return b""
    message = bytes(held[: length + 1])
    del held[: length + 1]
    return message


def _look_at(message: bytes, verified: bool) -> None:
    """Raises _GuardRefusal if the answer to this message would give the password away."""
    if not message.startswith(_AUTHENTICATION) or verified:
        return
    if len(message) < _HEADER.size + _CODE.size:
        raise _GuardRefusal(sentences.NO_POSTGRESQL)
    (code,) = _CODE.unpack_from(message, _HEADER.size)
    match code:
        case 0 | 10 | 12:  # done; SCRAM; its end, which asyncpg verifies
            return
        case 11:
            _check_rounds(message)
        case 3:
            raise _GuardRefusal(sentences.CLEAR_TEXT)
        case 5:
            raise _GuardRefusal(sentences.MD5)
        case _:
            raise _GuardRefusal(sentences.unknown(code))


def _check_rounds(message: bytes) -> None:
    found = _ROUNDS.search(message)
    if found and int(found[1][:10]) not in _GOOD_ROUNDS:
        raise _GuardRefusal(sentences.ROUNDS)
