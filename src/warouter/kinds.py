"""Numbers and names of the kinds of messages and events. Pure.

The numbers are stored in the journal and travel on the link: they never change, and a new kind
takes a new number. The number of slots is ``_hash.SLOTS`` (from ``_slots.pxd``); the kinds
of frames are those of ``link.wire``.
"""

from __future__ import annotations

# Messages: the base kind in bits 0 to 2. The owner of a MEDIA message uploads its media before it
# sends the message. A base kind that this build does not know is treated as a message: a later
# build may have written it.
MESSAGE, READ_MARK, MEDIA = 0, 1, 2
# Above it what the sender asked for, never of a read mark: in bits 3 and 4 what to do if nobody can
# know whether the message was taken, in bit 5 whether it goes first. So they are on disk with the
# message, and reach its next owner too.
NO_POLICY, RESEND, FAIL, HOLD = 0, 1, 2, 3
POLICY_NAMES = ("", "resend", "fail", "hold")  # by number
_BASE, _POLICY, _POLICY_AT, _PRIORITY = 0b000_111, 0b011, 3, 0b100_000

# Events: what happened to a message that was sent, and what a customer wrote.
STATUS, INBOUND = EVENT_KINDS = 0, 1
# Their names at the upstream and in the ids of dead letters, and the product's names in metrics.
EVENT_NAMES = ("status", "inbound")
EVENT_TYPES = ("status_change", "inbound_message")


def base_of(kind: int) -> int:
    """MESSAGE, READ_MARK, MEDIA, or a number of a later build."""
    return kind & _BASE


def policy_of(kind: int) -> int:
    """RESEND, FAIL or HOLD; NO_POLICY if the sender did not say."""
    return kind >> _POLICY_AT & _POLICY


def has_priority(kind: int) -> bool:
    """True if the sender wants the message to go first."""
    return kind & _PRIORITY != 0


def kind_with(base: int, policy: int = NO_POLICY, priority: bool = False) -> int:
    """The kind of a message that its sender asked this for."""
    return base | policy << _POLICY_AT | (_PRIORITY if priority else 0)
