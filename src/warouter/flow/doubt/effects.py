"""Whatever is to be done when something has happened to a message with the Cloud API."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from warouter.flow.doubt.events import Failure
from warouter.flow.progress import Change


class Note(NamedTuple):
    """Write this with the next record."""

    change: Change


class ShutLane(NamedTuple):
    """Park the message and whatever waits behind it; nothing of its recipient goes."""


class ReopenLane(NamedTuple):
    """Let the message, and what is behind it, go from where they are parked."""


class ReturnToLane(NamedTuple):
    """Take its recipient's lane, which is empty, for the message again."""


class Settle(NamedTuple):
    """Take the message out of the journal, wherever it is; ``reopen``: those behind it go on."""

    reopen: bool


class EndMessage(NamedTuple):
    """End the message, wherever it is: as ``Settle``, or in its lane."""

    reopen: bool


class Retry(NamedTuple):
    """Let the message that is out go again, after the wait that its answer says."""


class Refuse(NamedTuple):
    """End the message that is out as ``failed``."""

    failure: Failure


class SayFailed(NamedTuple):
    """Write its ``failed`` status."""

    failure: Failure


class CountEnd(NamedTuple):
    """Count a doubt that has ended, by what."""

    by: str


class EndedBlind(NamedTuple):
    """Count a doubt that ended without a proof that webhooks arrive."""


class Resent(NamedTuple):
    """Tell the brake that it goes again though nobody knows."""


class MayBeHeard(NamedTuple):
    """Remember for a window that a later ``attempt`` of it may be heard of."""

    attempt: int


class NotNow(NamedTuple):
    """Ask again later: its place was given away, and a message of its recipient is on its way."""


LaneEffect: TypeAlias = ShutLane | ReopenLane | ReturnToLane | Settle | EndMessage
AnswerEffect: TypeAlias = Retry | Refuse | SayFailed
CountEffect: TypeAlias = CountEnd | EndedBlind | Resent | MayBeHeard
Effect: TypeAlias = Note | LaneEffect | AnswerEffect | CountEffect | NotNow
