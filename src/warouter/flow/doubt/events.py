"""Whatever may happen to a message with the Cloud API."""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import msgspec

from warouter.flow.doubt.states import Treatment
from warouter.flow.doubt.verdict import DoubtRule
from warouter.flow.progress import Took


class FailureReason(NamedTuple):
    """The error of a ``failed`` status, as v1 shows it."""

    code: int
    title: str
    details: str


class _Event(msgspec.Struct, frozen=True, gc=False):
    """One thing that happens to one message."""


# towards its request


class PlaceGiven(_Event, frozen=True, gc=False):
    """The number's rate has a place for it."""


class RowAsked(_Event, frozen=True, gc=False):
    """The row of its next request is to be written."""


class RowStored(_Event, frozen=True, gc=False):
    """The row is on disk."""


class RowTakenBack(_Event, frozen=True, gc=False):
    """Its request is not to begin now: the slot moves, or the number is stopped."""


class RequestBegun(_Event, frozen=True, gc=False):
    """Its request begins; ``probing``: while no message is taken."""

    probing: bool = False


# its answer


class AnsweredTaken(_Event, frozen=True, gc=False):
    """The answer says that it was taken; those behind it wait for its ``sent``, too."""

    took: Took


class AnsweredNotTaken(_Event, frozen=True, gc=False):
    """It was surely not taken, and may go again.

    ``free``: its request never began, or was refused for the number's sake: the attempt is free
    again. ``upload``: its media are sent anew.
    """

    free: bool = False
    upload: bool = False


class AnsweredRefused(_Event, frozen=True, gc=False):
    """It was refused for good."""

    failure: FailureReason


class AnsweredUnclear(_Event, frozen=True, gc=False):
    """Nobody knows if it was taken. ``ends``: when its ttl is over."""

    cause: str
    treatment: Treatment
    ends: float = math.inf


# what others know


class EvidenceSeen(_Event, frozen=True, gc=False):
    """An attempt of it was taken: an answer, or a status with its reference. ``by``: which."""

    took: Took
    by: str


class EvidenceStored(_Event, frozen=True, gc=False):
    """It was taken, which is on disk already."""


class ToldNotTaken(_Event, frozen=True, gc=False):
    """A former owner, or this one under a former epoch, heard that the last request of it was not
    taken. ``free``: its lane is empty, and that it left is on disk.
    """

    rule: DoubtRule
    free: bool


class ToldRefused(_Event, frozen=True, gc=False):
    """A former owner, or this one under a former epoch, heard that the last request of it was
    refused for good.
    """

    failure: FailureReason


# time, people, and the disk


class TimePassed(_Event, frozen=True, gc=False):
    """Time has passed in which something might be heard of it; all times are the owner's seconds.

    ``fence``: so long an old request may be taken. ``held``: so long it waits for an operator.
    ``sent``: so long those behind it wait for its ``sent``. ``proven_at``, ``read_at``: see
    ``verdict``. ``free``: as for ToldNotTaken. ``brake``: it may not be sent again now.
    """

    rule: DoubtRule
    fence: float
    held: float
    sent: float
    proven_at: float = math.inf
    read_at: float = -math.inf
    free: bool = False
    brake: bool = False


class OperatorAsked(_Event, frozen=True, gc=False):
    """An operator's word: ``resend``, ``fail`` or ``hold``. ``free``: as for ToldNotTaken;
    ``fence``: as for TimePassed.
    """

    word: str
    free: bool
    fence: float


class TtlOver(_Event, frozen=True, gc=False):
    """It has waited too long in its lane, and ends unsent."""


class FailureStored(_Event, frozen=True, gc=False):
    """Its ``failed`` is written, in one commit with what this event notes. ``fence``: as for
    TimePassed.
    """

    fence: float


class MessageSettled(_Event, frozen=True, gc=False):
    """It was settled in its lane: it was refused, or waited too long."""


DoubtEvent: TypeAlias = (
    PlaceGiven
    | RowAsked
    | RowStored
    | RowTakenBack
    | RequestBegun
    | AnsweredTaken
    | AnsweredNotTaken
    | AnsweredRefused
    | AnsweredUnclear
    | EvidenceSeen
    | EvidenceStored
    | ToldNotTaken
    | ToldRefused
    | TimePassed
    | OperatorAsked
    | TtlOver
    | FailureStored
    | MessageSettled
)
