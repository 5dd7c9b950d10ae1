"""Every state of a message with the Cloud API, and the facts beside it."""

from __future__ import annotations

import math
from enum import IntEnum, StrEnum
from typing import NamedTuple

import msgspec

from warouter.flow.lane_key import lane_of


class DoubtState(StrEnum):
    """The states, in the order in which a message may pass them. docs/cloud.md has what each means
    from here.
    """

    QUEUED = "queued"
    PLACED = "placed"
    ISSUING = "issuing"
    ISSUED = "issued"
    OUT = "out"
    PROBING = "probing"
    TAKEN = "taken"
    REFUSED = "refused"
    EXPIRED = "expired"
    DOUBT = "in doubt"
    ASIDE = "aside"
    RETURNING = "returning"
    HELD = "held"
    GONE = "gone"
    SAYING = "saying"
    SAYING_ASIDE = "saying aside"
    SAID = "said"
    ENDED = "ended"


MEANINGS = {
    DoubtState.QUEUED: "waits in its lane, or is parked; its next request has no row",
    DoubtState.PLACED: "has its place in the rate, and waits for media or for a look-up",
    DoubtState.ISSUING: "the row of its request is being written",
    DoubtState.ISSUED: "the row is on disk, and the request has not begun",
    DoubtState.OUT: "its request is out",
    DoubtState.PROBING: "its request is out, and finds out whether messages are taken at all",
    DoubtState.TAKEN: "it was taken; those behind it wait for its `sent`",
    DoubtState.REFUSED: "it was refused for good; its `failed` is being written",
    DoubtState.EXPIRED: "it waited too long; its `failed` is being written",
    DoubtState.DOUBT: "nobody knows if it was taken; its lane is shut",
    DoubtState.ASIDE: "nobody knows if it was taken; those behind it go on",
    DoubtState.RETURNING: "aside, and surely not taken: it goes again once its lane is free",
    DoubtState.HELD: "waits for an operator; those behind it go on",
    DoubtState.GONE: "held; its message is not stored any more, so it cannot be sent",
    DoubtState.SAYING: "its `failed` is being written; its lane is shut",
    DoubtState.SAYING_ASIDE: "its `failed` is being written; those behind it go on",
    DoubtState.SAID: "its `failed` is on disk; its lane is shut until the fence is past",
    DoubtState.ENDED: "nothing is to be done any more",
}
# A request of it is out.
REQUESTED = frozenset({DoubtState.OUT, DoubtState.PROBING})
# A request of it may have been taken, and nobody knows: time, evidence or a person ends that.
UNKNOWN = frozenset({DoubtState.DOUBT, DoubtState.ASIDE, DoubtState.RETURNING})
# Its recipient's lane is shut by it.
SHUT = frozenset({DoubtState.DOUBT, DoubtState.SAYING, DoubtState.SAID})
KEPT = frozenset({DoubtState.HELD, DoubtState.GONE})
# It has left its recipient's lane, and those behind it go on.
APART = frozenset({DoubtState.ASIDE, DoubtState.RETURNING, DoubtState.SAYING_ASIDE}) | KEPT
# Its `failed` is being written, by time or by a word.
SAYING = frozenset({DoubtState.SAYING, DoubtState.SAYING_ASIDE})
# That it has failed is said to the business, or is about to be.
TOLD = SAYING | {DoubtState.REFUSED, DoubtState.EXPIRED, DoubtState.SAID}
# Time may end them.
TIMED = UNKNOWN | KEPT | {DoubtState.TAKEN, DoubtState.SAID}


class RowState(IntEnum):
    """States of a message's row, by its last request: see table ``send_issue``."""

    ISSUED = 1
    DOUBTED = 2
    KEPT = 3
    NOT_TAKEN = 4
    ASIDE = 5
    SAID = 6
    RETURNING = 7
    AGAIN = 8


class Treatment(NamedTuple):
    """How its sender wants it to be treated in doubt, as far as that is known for ever.

    ``policy``: a ``Policy``, or "" for that of the number. ``template``: name and language of a
    template, of whose category nothing may be known yet; "" for all else.
    """

    policy: str = ""
    template: tuple[str, str] = ("", "")


class Issue(msgspec.Struct, frozen=True, gc=False):
    """One message in its state. Times are the owner's seconds.

    ``rows`` were written for its requests. ``attempt`` is that of the last one that began, 0 before
    the first; ``doubts`` of them may have been taken, one that is out not counted, and ``spared``
    of those use up no attempt. ``since`` is when the state began in which it waits, ``ends`` when
    its ttl is over.
    """

    seq: int
    id: bytes
    recipient: str
    state: DoubtState = DoubtState.QUEUED
    rows: int = 0
    attempt: int = 0
    doubts: int = 0
    spared: int = 0
    since: float = -math.inf
    ends: float = math.inf
    cause: str = ""
    treatment: Treatment = Treatment()
    number: int = 1  # whose message it is
    uploads: int = 0  # how often its media were sent anew, since the other side did not know them

    @property
    def lane(self) -> str:
        """The key of the lane that the message is in, or was."""
        return lane_of(self.number, self.recipient)

    @property
    def counted(self) -> int:
        """Number of its doubts that use up an attempt; the first always does."""
        return self.doubts - min(self.spared, max(self.doubts - 1, 0))

    @property
    def next_attempt(self) -> int:
        """The number of the request that goes next: none is used twice."""
        return self.attempt + 1
