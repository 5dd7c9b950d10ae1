"""Numbers and names of the kinds of messages and events. Pure.

The numbers are stored in the journal and travel on the link: they never change, and a new kind
takes a new number. The number of slots is ``_hash.SLOTS`` (from ``_slots.pxd``); the kinds
of frames are those of ``link.wire``.
"""

from __future__ import annotations

# Messages. The owner of a MEDIA message uploads its media before it sends the message. A kind that
# this build does not know is treated as a message: a later build may have written it.
MESSAGE, READ_MARK, MEDIA = 0, 1, 2

# Events: what happened to a message that was sent, and what a customer wrote.
STATUS, INBOUND = EVENT_KINDS = 0, 1
# Their names at the upstream and in the ids of dead letters, and the product's names in metrics.
EVENT_NAMES = ("status", "inbound")
EVENT_TYPES = ("status_change", "inbound_message")
