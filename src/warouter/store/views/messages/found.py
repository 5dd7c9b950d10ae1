"""A search among the messages, and its results."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from warouter.kinds import MEDIA, MESSAGE, READ_MARK
from warouter.store.views.messages.newest import RowPlace, SearchLane

LOOKED_AT = 100_000  # rows that one search looks at, at most
SECONDS = 1.5  # and how long it goes on: the console gives a page 2
LIMIT, MOST = 100, 1000

# The words of store.views.trace, of outgoing messages and of inbound ones.
RECEIVED = "received"
STATES = (
    "waiting",
    "parked",
    "in_doubt",
    "held",
    "taken",
    "sent",
    "delivered",
    "read",
    "failed",
    RECEIVED,
)
# A base kind that this build does not know is a message, as everywhere.
KINDS = {"message": (MESSAGE, 3, 4, 5, 6, 7), "media": (MEDIA,), "read mark": (READ_MARK,)}
DIRECTIONS = ("out", "in")


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """The conditions that every row must match; a field that is None or empty matches all.

    ``number`` is a wa_id. Times are milliseconds since 1970: of an outgoing message when its id was
    made, of an inbound one when it was recorded. ``until`` itself is left out. ``code`` is that of
    an error with which a message failed. ``older``: only rows below this place.
    """

    message_id: str = ""
    number: str = ""
    direction: str = ""
    states: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    code: int | None = None
    older: RowPlace | None = None
    limit: int = LIMIT

    @property
    def outgoing(self) -> bool:
        return self.direction != "in" and set(self.states) != {RECEIVED}

    @property
    def inbound(self) -> bool:
        if self.direction == "out" or self.code is not None:
            return False
        return (not self.states or RECEIVED in self.states) and (
            not self.kinds or "message" in self.kinds
        )


class FoundMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message, without what was written in it. ``recipient`` is the other side's wa_id.

    ``error``: why it failed, or why it is parked.
    """

    id: str
    direction: str  # outgoing, incoming
    kind: str
    state: str
    recipient: str | None
    slot: int
    shard: int
    at: str
    error: str | None = None


class MessageRate(msgspec.Struct, frozen=True):
    """Messages a second during the last ``seconds``."""

    outgoing: float
    incoming: float
    seconds: int


class MessageListing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The newest messages that match, newest first.

    ``older`` is where to go on; None: there are no more. ``looked_down_to`` is there when the
    search ended at its bounds, before it had found as many as it was asked for. ``rate`` is that of
    all messages, whatever was looked for; only with the newest.
    """

    messages: list[FoundMessage]
    looked_at: int
    older: str | None = None
    looked_down_to: str | None = None
    rate: MessageRate | None = None


class Piece(msgspec.Struct, frozen=True):
    """The rows that reading a piece of a lane gave: ``down_to`` None at the lane's end."""

    lane: SearchLane
    rows: list[tuple[RowPlace, FoundMessage | None]]  # None: an outgoing one, to be read by its id
    looked_at: int
    down_to: RowPlace | None


def iso(ms: int) -> str:
    """A time as the list shows it: UTC, to the millisecond."""
    seconds, rest = divmod(ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"
