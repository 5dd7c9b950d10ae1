"""Whatever is to be done when something has happened to a message with the Cloud API."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from warouter.flow.doubt.events import FailureReason
from warouter.flow.progress import Change


class _Effect(msgspec.Struct, frozen=True, gc=False):
    """One thing to do. No tuple, as two of those are equal whatever kind they are of."""


class NoteChange(_Effect, frozen=True, gc=False):
    """Write this with the next record."""

    change: Change


class ShutLane(_Effect, frozen=True, gc=False):
    """Park the message and whatever waits behind it; nothing of its recipient goes."""


class ReopenLane(_Effect, frozen=True, gc=False):
    """Let the message, and what is behind it, go from where they are parked."""


class ReturnToLane(_Effect, frozen=True, gc=False):
    """Take its recipient's lane, which is empty, for the message again."""


class Settle(_Effect, frozen=True, gc=False):
    """Take the message out of the journal, wherever it is; ``reopen``: those behind it go on."""

    reopen: bool


class EndMessage(_Effect, frozen=True, gc=False):
    """End the message, wherever it is: as ``Settle``, or in its lane."""

    reopen: bool


class Retry(_Effect, frozen=True, gc=False):
    """Let the message that is out go again, after the wait that its answer says."""


class Refuse(_Effect, frozen=True, gc=False):
    """End the message that is out as ``failed``."""

    failure: FailureReason


class SayFailed(_Effect, frozen=True, gc=False):
    """Write its ``failed`` status."""

    failure: FailureReason


class CountEnd(_Effect, frozen=True, gc=False):
    """Count a doubt that has ended, by what."""

    by: str


class EndedBlind(_Effect, frozen=True, gc=False):
    """Count a doubt that ended without a proof that webhooks arrive."""


class Resent(_Effect, frozen=True, gc=False):
    """Tell the brake that it goes again though nobody knows."""


class MayBeHeard(_Effect, frozen=True, gc=False):
    """Remember for a window that a later ``attempt`` of it may be heard of."""

    attempt: int


class NotNow(_Effect, frozen=True, gc=False):
    """Ask again later: its place was given away, and a message of its recipient is on its way."""


LaneEffect: TypeAlias = ShutLane | ReopenLane | ReturnToLane | Settle | EndMessage
AnswerEffect: TypeAlias = Retry | Refuse | SayFailed
CountEffect: TypeAlias = CountEnd | EndedBlind | Resent | MayBeHeard
Effect: TypeAlias = NoteChange | LaneEffect | AnswerEffect | CountEffect | NotNow
