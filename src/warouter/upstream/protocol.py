"""The protocol between owners and the WhatsApp side: msgpack Structs, one a frame. Pure.

Frames are length-prefixed (``_batch``); all that is ready in one turn of the loop leaves in one
write. A connection says ``Hello`` once, then claims slots. The newest claim of a slot wins: the
older holder gets ``Revoked`` for *that slot* and may not send for it any more. Everything the
upstream delivers (``Event``) stays with it until the claimant acknowledges it; a new claimant is
given what is not acknowledged first, in order. A message is known by its id: what was taken once
is answered again and never delivered twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from warouter.flow.lane_key import lane_of
from warouter.upstream.broken import Broken

MAX_FRAME = 1 << 20

# What the upstream says is bounded where it is decoded: a frame beyond is logged and passed over.
Slot = Annotated[int, Meta(ge=0, le=31)]
Epoch = Annotated[int, Meta(ge=0, le=1 << 62)]
Number = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Code = Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]
RetryMs = Annotated[int, Meta(ge=-1, le=24 * 3600 * 1000)]
Key = Annotated[str, Meta(min_length=1, max_length=512)]
Sentence = Annotated[str, Meta(max_length=2000)]
Recipient = Annotated[str, Meta(max_length=15)]


class Hello(msgspec.Struct, tag="hello", array_like=True, frozen=True):
    """First frame of a connection, which identifies the coreapp."""

    node: str
    incarnation: str


class Claim(msgspec.Struct, tag="claim", array_like=True, frozen=True):
    """Claims a slot under an epoch, for the incarnation of the Hello."""

    slot: int
    epoch: int


class Claimed(msgspec.Struct, tag="claimed", array_like=True, frozen=True):
    """A claim is granted; its unacknowledged events follow. ``many``: EventAcks are supported."""

    slot: Slot
    epoch: Epoch
    many: bool = False


class Refused(msgspec.Struct, tag="refused", array_like=True, frozen=True):
    """Refuses a claim or a send: its epoch is below ``seen``, or is another incarnation's."""

    slot: Slot
    epoch: Epoch
    seen: Epoch


class Revoked(msgspec.Struct, tag="revoked", array_like=True, frozen=True):
    """A newer claim took the slot from this connection."""

    slot: Slot
    epoch: Epoch
    seen: Epoch


class Release(msgspec.Struct, tag="release", array_like=True, frozen=True):
    """Gives up a slot in order."""

    slot: int
    epoch: int


class Send(msgspec.Struct, tag="send", array_like=True, frozen=True):
    """One message. ``kind`` is ``message`` or ``read`` (a read mark for an inbound message).

    ``id`` is the text form; ``to`` the wa_id; ``body`` the JSON that the API client sent, as it
    came. ``seq`` is the journal's number within the slot. ``media`` are the handles of the media
    that the body refers to, in its order.
    """

    slot: int
    epoch: int
    seq: int
    id: str
    to: str
    kind: str
    body: memoryview
    media: tuple[str, ...] = ()


class Answer(msgspec.Struct, tag="answer", array_like=True, frozen=True):
    """The upstream's answer to one Send.

    ``code`` 0: taken. Otherwise ``title``/``details`` say why not; ``retry_ms`` >= 0 asks to
    try the same id again after that time, -1 is final.
    """

    slot: Slot
    id: Key
    code: Code = 0
    title: Sentence = ""
    details: Sentence = ""
    retry_ms: RetryMs = -1


class Event(msgspec.Struct, tag="event", array_like=True, frozen=True):
    """A status of a sent message, or an inbound message.

    ``number`` counts the events of a slot upwards and is what is acknowledged. ``kind`` is
    ``status`` or ``inbound``. ``key`` is unique: ``<id>:<status>:<timestamp>`` for a status, the
    upstream's id for an inbound message. ``recipient`` is the wa_id on the other side; an inbound
    event without one is an error that concerns no message, an element of ``errors[]``.
    ``payload`` is JSON in the v1 webhook form: the element of ``statuses[]`` or ``messages[]``;
    ``contact`` the element of ``contacts[]`` of an inbound message, else empty. ``media`` are the
    handles of its media by their place in the payload: the name of the type's object, `referral`.
    ``of_number`` is the business's number that it is of.
    """

    slot: Slot
    number: Number
    kind: str
    key: Key
    recipient: Recipient
    payload: bytes
    contact: bytes = b""
    media: dict[str, str] = {}
    of_number: int = 1

    @property
    def lane(self) -> str:
        return lane_of(self.of_number, self.recipient)


class EventAck(msgspec.Struct, tag="event_ack", array_like=True, frozen=True):
    """The event ``number`` of the slot is on disk and need not be delivered again."""

    slot: int
    epoch: int
    number: int


class EventAcks(msgspec.Struct, tag="event_acks", array_like=True, frozen=True):
    """An EventAck for each of ``numbers``; only for a side whose Claimed said ``many``."""

    slot: int
    epoch: int
    numbers: list[int]


class Ping(msgspec.Struct, tag="ping", array_like=True, frozen=True):
    """Asks a quiet upstream to answer with a Pong."""


class Pong(msgspec.Struct, tag="pong", array_like=True, frozen=True):
    """The answer to a Ping, at once and before anything else."""


ToUpstream = Hello | Claim | Release | Send | EventAck | EventAcks | Ping
Heard = Claimed | Refused | Revoked | Answer | Event
FromUpstream = Heard | Pong

encode = msgspec.msgpack.Encoder().encode
decode_to_upstream = msgspec.msgpack.Decoder(ToUpstream).decode
decode_from_upstream = msgspec.msgpack.Decoder(FromUpstream).decode


class Hearing(Protocol):
    """Whoever hears what comes from WhatsApp's side."""

    def congested(self) -> bool:
        """True if more waits here than may: nothing is read meanwhile."""

    def on_upstream(self, heard: Iterable[Heard]) -> None:
        """Take what came in one read; it ends where the listener aborts."""


class UpstreamHandler(Hearing, Protocol):
    """The interface of an owner; called on the loop, in the order of arrival."""

    def may_send(self) -> bool:
        """True if what was queued may still leave; asked last thing before the write."""

    def on_broken(self, broken: Broken) -> None:
        """A frame arrived that cannot be decoded."""

    def on_upstream_up(self) -> None: ...

    def on_upstream_down(self) -> None: ...

    def on_upstream_writable(self) -> None: ...


class Acks(Protocol):
    """Whoever keeps events until they are acknowledged."""

    def ack(self, slot: int, epoch: int, numbers: list[int]) -> None:
        """Say that these events of the slot are on disk."""


class Upstream(Acks, Protocol):
    """The connection of one coreapp to the WhatsApp side."""

    @property
    def well(self) -> bool:
        """The upstream was heard of late: an owner that is not well is replaced."""

    @property
    def connected(self) -> bool: ...

    @property
    def writable(self) -> bool:
        """False while the peer reads too slowly: do not send then."""

    async def run(self, listener: UpstreamHandler) -> None:
        """Serve ``listener`` until cancelled."""

    def tell(self, message: ToUpstream) -> None:
        """Queue one frame; all frames of a turn of the loop leave in one write."""

    def forget(self, slot: int) -> None:
        """Drop what is queued for the slot: its epoch has ended."""

    def abort(self) -> None:
        """Close at once and discard all buffered bytes (linger 0)."""

    async def close(self) -> None: ...
