"""Frames of the link between webapp and coreapp, as bytes. Pure.

A write carries one envelope: MAC, then the frames of this turn of the loop. The MAC is BLAKE2b
(RFC 7693, keyed, 16 bytes) over direction, a counter and the frames, so nothing can be forged,
replayed or left out. The session key comes from both hellos and the link key that the coreapp's
incarnation published in its node row.

    hello       lowest version | highest version | nonce
    handshake   server: hello_s     client: hello_c proof_c     server: proof_s
    message     kind 1 | slot | epoch | id | message kind | recipient size | ttl | keyed | number
                | recipient | key | body
    outcome     kind 2 | outcome | slot | epoch | ids; of ALREADY each id and the one before it;
                of ACKED the slot says nothing, since one frame acks all slots under an epoch
    relay       kind 3 | incarnation of the owner | message frame
    ping, pong  kind 4, kind 5
    statuses    kind 6 | MessagePack of a StatusOffer
    stored      kind 7 | MessagePack of a StatusOutcome

The handshake and the envelope are the same in every version; a session's frames are those of the
highest version that both sides speak. Proofs cover both hellos, so that nobody in between can talk
two sides into an older one. What a new version has to keep is written in docs/compatibility.md.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Callable, Iterator
from hashlib import blake2b, sha256
from typing import NamedTuple
from uuid import UUID

import msgspec

from warouter import _batch
from warouter.errors import NoCommonVersion, ProtocolError
from warouter.link import _frames

MAX_ENVELOPE = 8 << 20
NONCE_SIZE = 32
HELLO_SIZE = 2 + NONCE_SIZE
PROOF_SIZE = 32
HANDSHAKE_SIZE = HELLO_SIZE + PROOF_SIZE  # the longest envelope of a handshake
MAC_SIZE = 16

MESSAGE, OUTCOME, RELAY = 1, 2, 3
# UNREACHED: a coreapp that was to relay has no answer of the owner and will get none.
# ALREADY: the same request has come before and its message has another id; CLASHED: its key has
# come with another request.
ACKED, NOT_OWNER, OVERLOADED, REFUSED, UNREACHED, ALREADY, CLASHED = 0, 1, 2, 3, 4, 5, 6
ANY_SLOT = 0  # in an ACKED outcome
PING, PONG = b"\x04", b"\x05"
STATUSES, STORED = 6, 7

_OUTCOME = struct.Struct("<BBBQ")
_EPOCH_AT = 2  # in a message frame
_RELAY_SIZE = 1 + 16
_COUNTER = struct.Struct("<BQ")


class IdempotencyKey(NamedTuple):
    """An Idempotency-Key: SHA-256 of user and key, and of the body."""

    name: bytes  # of the user and the key that the client gave
    request: bytes  # of the request's body


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A message for the owner of ``slot``. ``kind`` is made as ``kinds`` says.

    ``ttl`` is in whole seconds, 1 or more; ``number`` that of the business.
    """

    slot: int
    id: bytes
    recipient: str
    kind: int
    body: bytes
    ttl: int | None = None
    key: IdempotencyKey | None = None
    number: int = 1


class Outcome(NamedTuple):
    """The outcomes of messages of one slot; ``epoch`` is the one they were sent under.

    Of messages that were ACKED ``slot`` is any: their ids are enough.
    """

    outcome: int
    slot: int
    epoch: int
    ids: list[bytes]


class RelayFrame(NamedTuple):
    """A message to relay to ``owner``."""

    owner: UUID
    message: Message


class Ping(NamedTuple):
    """Asks a quiet peer to answer with a Pong at once."""


class Pong(NamedTuple):
    """The answer to a Ping."""


class OfferedStatus(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A status of a message's first request, for the owner of ``slot`` under ``epoch``.

    ``key``, ``wamid`` and ``wa_id`` are as in a webhook's ``Element``, ``payload`` is its JSON.
    """

    slot: int
    epoch: int
    key: str
    id: bytes
    attempt: int
    wamid: str
    wa_id: str
    payload: bytes
    number: int = 1  # to which it came

    @property
    def unique(self) -> tuple[int, str]:
        """Number and key, which are unique together."""
        return self.number, self.key


class StatusOffer(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Statuses for one owner; ``number`` is the webapp's."""

    number: int
    statuses: list[OfferedStatus]


class StatusOutcome(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """All of an offer are on disk, but for those at the places ``left``."""

    number: int
    left: list[int]


Message = _frames.Message
Gate = _frames.Gate
Frame = Message | Outcome | RelayFrame | Ping | Pong | StatusOffer | StatusOutcome
Read = tuple[list[Message], list[Frame]]  # the messages of an envelope, and its other frames
# Slot, epoch, id, kind, recipient, body, ttl, key and number into a message frame; ValueError for
# what has no place in it.
Encode = Callable[
    [int, int, bytes, int, str, bytes, int | None, tuple[bytes, bytes] | None, int], bytes
]


message = _frames.message
_pack = msgspec.msgpack.Encoder().encode
_OF_STATUSES: dict[int, Callable[[memoryview], StatusOffer | StatusOutcome]] = {
    STATUSES: msgspec.msgpack.Decoder(StatusOffer).decode,
    STORED: msgspec.msgpack.Decoder(StatusOutcome).decode,
}


def outcome(result: int, slot: int, epoch: int, ids: list[bytes]) -> bytes:
    """An outcome frame."""
    return _OUTCOME.pack(OUTCOME, result, slot, epoch) + b"".join(ids)


def relay(owner: UUID, message: bytes) -> bytes:
    """A relay frame around a message frame."""
    return bytes((RELAY,)) + owner.bytes + message


def statuses(offer: StatusOffer) -> bytes:
    """A frame with an offer."""
    return bytes((STATUSES,)) + _pack(offer)


def stored(outcome: StatusOutcome) -> bytes:
    """A frame that answers an offer."""
    return bytes((STORED,)) + _pack(outcome)


def pairs(ids: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The pairs of an ALREADY outcome: (offered id, id of the earlier message)."""
    return zip(ids[::2], ids[1::2], strict=True)


def _read_message(frame: memoryview) -> Message:
    [message], _ = _frames.read(_batch.pack([frame]))
    return message


def parse(frame: memoryview) -> Frame:
    """Decode one frame; raises ProtocolError for a malformed one."""
    if len(frame) and frame[0] == MESSAGE:
        return _read_message(frame)
    if len(frame) and frame[0] == OUTCOME and len(frame) >= _OUTCOME.size:
        _, result, slot, epoch = _OUTCOME.unpack_from(frame)
        ids = _frames.ids(frame, _OUTCOME.size)
        if result == ALREADY and len(ids) % 2:
            raise ProtocolError("malformed outcome frame")
        return Outcome(result, slot, epoch, ids)
    return _parse_rare(frame)


def _parse_rare(frame: memoryview) -> Frame:
    if frame == PING:
        return Ping()
    if frame == PONG:
        return Pong()
    if len(frame) > _RELAY_SIZE and frame[0] == RELAY and frame[_RELAY_SIZE] == MESSAGE:
        owner = UUID(bytes=bytes(frame[1:_RELAY_SIZE]))
        return RelayFrame(owner, _read_message(frame[_RELAY_SIZE:]))
    if len(frame) and frame[0] in _OF_STATUSES:
        try:
            return _OF_STATUSES[frame[0]](frame[1:])
        except msgspec.DecodeError as error:
            raise ProtocolError(f"malformed frame of statuses: {error}") from error
    raise ProtocolError("frame of an unknown kind")


def read(packed: memoryview) -> Read:
    """All frames of an envelope; raises ProtocolError if one is malformed."""
    messages, others = _frames.read(packed)
    return messages, [parse(frame) for frame in others]


class Frames(NamedTuple):
    """Encoder and decoder of one link version.

    ``parse`` decodes one frame, ``read`` all of an envelope.
    """

    message: Encode
    outcome: Callable[[int, int, int, list[bytes]], bytes]
    parse: Callable[[memoryview], Frame]
    read: Callable[[memoryview], Read]


# By link version, without gaps. The one before a new one stays until no build that speaks nothing
# newer may run beside this one.
FRAMES = {3: Frames(message, outcome, parse, read)}

NEWEST = FRAMES[max(FRAMES)]


def under(epoch: int, frame: bytes, frames: Frames = NEWEST) -> bytes:
    """A message frame of the newest version under another epoch, in the version of ``frames``."""
    if frames is NEWEST:
        return frame[:_EPOCH_AT] + epoch.to_bytes(8, "little") + frame[_EPOCH_AT + 8 :]
    m = parse(memoryview(frame))
    assert isinstance(m, Message)
    body = bytes(m.body)
    return frames.message(m.slot, epoch, m.id, m.kind, m.recipient, body, m.ttl, m.key, m.number)


def hello(nonce: bytes) -> bytes:
    """The first bytes of a side: the versions it supports, and its nonce."""
    return bytes((min(FRAMES), max(FRAMES))) + nonce


def common_version(mine: bytes, theirs: bytes) -> int:
    """The highest version in both hellos; raises NoCommonVersion if there is none."""
    highest = min(mine[1], theirs[1])
    if highest < max(mine[0], theirs[0]):
        older = "this side" if mine[1] < theirs[0] else "the other side"
        raise NoCommonVersion(
            f"this side speaks link versions {mine[0]} to {mine[1]}, the other side"
            f" {theirs[0]} to {theirs[1]}: restart {older} with a build that shares a version"
            " with the other"
        )
    return highest


def proof(link_key: bytes, side: bytes, hello_server: bytes, hello_client: bytes) -> bytes:
    """HMAC-SHA256 over both hellos; ``side`` is b"client" or b"server"."""
    return hmac.new(link_key, side + hello_server + hello_client, sha256).digest()


def session_key(link_key: bytes, hello_server: bytes, hello_client: bytes) -> bytes:
    return hmac.new(link_key, b"session" + hello_server + hello_client, sha256).digest()


class Sealer:
    """Makes envelopes of one direction: ``direction`` 0 is webapp to coreapp, 1 the other."""

    def __init__(self, key: bytes, direction: int) -> None:
        self._key = key
        self._direction = direction
        self._counter = 0

    def seal(self, frames: list[bytes]) -> bytes:
        """All frames of a turn as bytes for one write."""
        packed = _batch.pack(frames)
        mac = _mac(self._key, self._direction, self._counter, packed)
        self._counter += 1
        return _batch.pack([mac + packed])


class Opener:
    """Checks and opens the envelopes of one direction."""

    def __init__(self, key: bytes, direction: int) -> None:
        self._key = key
        self._direction = direction
        self._counter = 0

    def open(self, envelope: memoryview) -> memoryview:
        """The frames of an envelope, a view of it. Raises ProtocolError if the MAC is wrong."""
        if len(envelope) < MAC_SIZE:
            raise ProtocolError("envelope without a MAC")
        packed = envelope[MAC_SIZE:]
        wanted = _mac(self._key, self._direction, self._counter, packed)
        if not hmac.compare_digest(wanted, bytes(envelope[:MAC_SIZE])):
            raise ProtocolError("envelope with a wrong MAC")
        self._counter += 1
        return packed


def _mac(key: bytes, direction: int, counter: int, packed: bytes | memoryview) -> bytes:
    mac = blake2b(_COUNTER.pack(direction, counter), key=key, digest_size=MAC_SIZE)
    mac.update(packed)
    return mac.digest()
